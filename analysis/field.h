/* field.h: names of packet fields, where what a path has tested proves them. */
#ifndef ANALYSIS_FIELD_H
#define ANALYSIS_FIELD_H

#include "vm/ir.h"

#define DIM_NAME_BYTES 40
#define DIM_NO_OFFSET  UINT32_MAX

/* One dimension: a field of the packet, or part of one. */
struct dim {
	char name[DIM_NAME_BYTES];
	uint32_t offset; /* of its first byte; DIM_NO_OFFSET: it has no fixed place */
	uint32_t bytes;  /* 1 to 8; 0 without a place */
	uint64_t mask;   /* of its big-endian value: the bits that matter; 0 without a place */
	uint8_t header;  /* 1 + enum vfm_hdr_item: it is `bytes_behind` bytes at the offset HDR gives, plus `plus`; 0: it is not */
	uint8_t bytes_behind;
	uint32_t plus;
	bool optionless; /* the name is right for IPv4 headers without options, and nothing has tested that there are none */
};

/* What the way to a block has proved. */
struct path_proof {
	bool ip4, ip6, arp;
	bool no_options;
	int protocol; /* -1: not proved */
};

void field_prove(const struct ir *ir, uint32_t block, struct path_proof *proof);
/* The field that byte `offset` belongs to, at most up to its end: fills name, offset and bytes of the part from `offset` on, of at
 * most 8 bytes. Where nothing proves a name, "bytes 26-29". last is the last byte that matters. */
void field_name(const struct path_proof *proof, uint32_t offset, uint32_t last, struct dim *dim);

/* The same for `bytes` bytes at the offset that HDR item gives, plus `plus`, loaded in the block, of which `bits` matter: fills the name
 * and the place. VFLisp's name of the field if the way to the block has tested IP version or protocol; "ip.src if IPv4" if it has not;
 * "4 bytes at network + 12" where VFLisp has no name. */
void field_name_behind(const struct ir *ir, uint32_t block, uint64_t item, uint32_t plus, uint32_t bytes, uint64_t bits,
		       struct dim *dim);

#endif

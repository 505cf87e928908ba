/* witness.h: why a pinned program cannot be split by a candidate: two packets that use one entry but that the candidate would send to
 * different shards. Found by running generated packets; what is reported was seen in a run. */
#ifndef ANALYSIS_WITNESS_H
#define ANALYSIS_WITNESS_H

#include "analysis/stages.h"

#define WITNESS_MAX          8
#define WITNESS_PRELOAD_MAX  8
#define WITNESS_PACKET_BYTES 96

struct witness_entry {
	uint8_t table;
	uint64_t key, value;
};

struct witness {
	uint32_t object; /* candidate: split by this object's key; IR_NONE: by the flow (HASH5S, or the bytes where it is 0) */
	uint64_t steer_a, steer_b; /* what the candidate gives for the packets: different */
	uint8_t table;
	uint64_t key; /* the entry both use when they meet these tables */
	uint8_t a[WITNESS_PACKET_BYTES], b[WITNESS_PACKET_BYTES];
	uint32_t a_len, b_len;
	uint32_t n_preload; /* what the tables hold before either */
	struct witness_entry preload[WITNESS_PRELOAD_MAX];
};

struct witnesses {
	uint32_t n;
	uint32_t candidates; /* looked for; n of them were found */
	struct witness items[WITNESS_MAX];
};

/* One for each owned object's key as a candidate, and one for the flow, as far as found. Deterministic. 0 or -ENOMEM. */
int witness_find(const struct ir *ir, const struct objects *o, struct witnesses *w);

#endif

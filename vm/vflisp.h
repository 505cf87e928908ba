/* vflisp.h: the VFLisp compiler. The language: docs/vflisp.md. vm/vfm.h has the manual's own entry, vfl_compile_string().
 *
 * One file per pass: vfl_lex.c (text to tokens), vfl_parse.c (tokens to lists), vfl_check.c with vfl_field.c and vfl_flow.c (lists to
 * typed expressions: names, arity, ranges, tables), vfl_fold.c (constants and identities), vfl_lower.c (expressions to a graph of
 * blocks, each field loaded once), vfl_thread.c (jumps whose outcome is known), vfl_order.c and vfl_emit.c (blocks to stack code).
 */
#ifndef VM_VFLISP_H
#define VM_VFLISP_H

#include <stdio.h>

#include "vm/diag.h"
#include "vm/isa.h"

#define VFL_MAX_SOURCE_BYTES    (64u << 20)
#define VFL_MAX_DEPTH           512    /* parentheses within parentheses */
#define VFL_MAX_PARTS           262144 /* atoms and lists of one source */
#define VFL_DEFAULT_ENTRIES     65536u /* of a table that no (table ...) form declares */
#define VFL_TABLE_MEANING_BYTES 160

/* What one table of the compiled program holds: for listings and for those who write preload files. */
struct vfl_table_info {
	uint8_t number;
	uint32_t entries;
	uint32_t idle_s;
	char meaning[VFL_TABLE_MEANING_BYTES]; /* "count by src-ip dst-port" or the declared name */
};

struct vfl_listing {
	uint32_t n_tables;
	struct vfl_table_info tables[256];
};

/* Compiles source (need not end in NUL) into *code (heap, the caller frees), *len bytes that the verifier accepts. Errors and warnings
 * are appended to d with line and column; -EINVAL if there were errors, -ENOMEM. Time is linear in the source but for hostile
 * programs near the size limit. Never recurses deeper than VFL_MAX_DEPTH. */
int vfl_compile(const char *source, size_t source_bytes, struct diag_list *d, uint8_t **code, uint32_t *len);

/* The same with by-products: listing (may be NULL) gets the tables, dump (may be NULL) the program after each pass. */
int vfl_compile_listing(const char *source, size_t source_bytes, struct diag_list *d, uint8_t **code, uint32_t *len,
			struct vfl_listing *listing, FILE *dump);

/* A field behind a header: `bytes` at the offset that HDR item gives, plus `plus`. Named so only where the IP version is that, or the
 * final protocol one of those. */
struct vfl_field_place {
	const char *name;
	uint8_t item; /* enum vfm_hdr_item */
	uint8_t bytes;
	uint8_t version; /* 4 or 6; 0: protocols say it */
	uint8_t n_protocols;
	uint8_t protocols[3];
	uint32_t plus;
};

/* The i-th such field, as the table of fields defines it. False: there are no more. */
bool vfl_field_place(uint32_t i, struct vfl_field_place *place);

#endif

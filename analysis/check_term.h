/* check_term.h: values as the certificate checker sees them: vectors of 64 bit origins, hash-consed.
 *
 * A bit is 0, 1, bit b of a term, or unknown. A term is a value that depends on the packet, its time and the plan's seed only, named by
 * how it is computed, so that equal computations get equal names: one byte of the packet, a header item, a hash, or an operation on
 * vectors without an unknown bit. Where a bit passes through shifts, masks and ORs unharmed, it keeps its origin: that is what lets
 * "bits 26-29 of the packet" be recognised inside a packed key. Table contents are unknown bits.
 *
 * Part of the checker: includes only vm/isa.h of the project. */
#ifndef ANALYSIS_CHECK_TERM_H
#define ANALYSIS_CHECK_TERM_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/isa.h"

#define VEC_BITS 64
#define VEC_NONE UINT32_MAX

enum { ORIGIN_0 = 0, ORIGIN_1 = 1, ORIGIN_UNKNOWN = 2 };
/* Any other origin is 64 * (term + 1) + bit. */
static inline uint32_t origin_of(uint32_t term, unsigned bit)
{
	return 64 * (term + 1) + bit;
}
static inline bool origin_is_term(uint32_t origin)
{
	return origin >= 64;
}
static inline uint32_t origin_term(uint32_t origin)
{
	return origin / 64 - 1;
}
static inline unsigned origin_bit(uint32_t origin)
{
	return origin % 64;
}

enum term_op {
	TERM_BYTE = 256, /* packet byte at vector a + imm (a VEC_NONE: at imm) */
	TERM_HDR,        /* header item imm */
	TERM_ADD_CONST,  /* vector a + imm */
			 /* any other: the opcode of that number applied to vectors a and b */
};

struct term {
	uint32_t op;
	uint32_t a, b;
	uint32_t width; /* its value is below 2^width */
	uint64_t imm;
};

struct term_pool;

/* NULL: out of memory. */
struct term_pool *term_pool_new(void);
void term_pool_free(struct term_pool *p);
/* Memory ran out or the pool's bounds (2^17 vectors) were exceeded: results since then mean nothing. */
bool term_pool_failed(const struct term_pool *p);

/* All functions give vector ids. */
uint32_t vec_const(struct term_pool *p, uint64_t v);
uint32_t vec_unknown(struct term_pool *p, unsigned bits); /* the upper 64 - bits are 0 */
uint32_t vec_load(struct term_pool *p, uint32_t offset_vec, unsigned bytes);
uint32_t vec_leaf(struct term_pool *p, uint8_t op, uint64_t imm); /* HASH5, HASH5S, PKTLEN, INPUT, HDR, NOW */
uint32_t vec_unary(struct term_pool *p, uint8_t op, uint32_t a);
uint32_t vec_binary(struct term_pool *p, uint8_t op, uint32_t a, uint32_t b);

const uint32_t *vec_origins(const struct term_pool *p, uint32_t vec);
/* Is no bit unknown? */
bool vec_is_known(const struct term_pool *p, uint32_t vec);
bool vec_is_const(const struct term_pool *p, uint32_t vec, uint64_t *v);
/* Number of low bits outside which all are 0. */
unsigned vec_width(const struct term_pool *p, uint32_t vec);
/* vec = *base + *offset; base VEC_NONE for a constant. */
void vec_split_sum(const struct term_pool *p, uint32_t vec, uint32_t *base, uint64_t *offset);
/* Exactly the value of PKTLEN? */
bool vec_is_length(const struct term_pool *p, uint32_t vec);

#endif

/* check_fact.h: what is surely true of the packet on a path: conjunctions of bits known, patterns excluded, and lengths.
 *
 * Facts speak of terms, which do not change while a packet is processed, so a fact once true stays true. A set of facts may always
 * be made weaker (entries dropped): bounds are kept that way. */
#ifndef ANALYSIS_CHECK_FACT_H
#define ANALYSIS_CHECK_FACT_H

#include "analysis/check_term.h"

#define FACT_MAX_BYTES     40 /* bytes of terms with known bits */
#define FACT_MAX_PATTERNS  12
#define FACT_PATTERN_BYTES 8
#define FACT_MAX_ENDS      8

/* Of byte `index` of a term (0 = bits 0-7) the bits in mask are those of value. */
struct fact_byte {
	uint32_t term;
	uint8_t index;
	uint8_t mask;
	uint8_t value;
};

/* Not all of these hold. */
struct fact_pattern {
	uint32_t n;
	struct fact_byte part[FACT_PATTERN_BYTES];
};

/* base + end <= length (at_least), or base + end > length. base is a vector. */
struct fact_end {
	uint32_t base;
	uint32_t end;
	bool at_least;
};

struct facts {
	uint32_t length_lo, length_hi; /* lo <= packet length <= hi */
	uint32_t n_bytes, n_patterns, n_ends;
	struct fact_byte bytes[FACT_MAX_BYTES]; /* ascending by term, index */
	struct fact_pattern patterns[FACT_MAX_PATTERNS];
	struct fact_end ends[FACT_MAX_ENDS];
};

void facts_none(struct facts *f);
bool facts_equal(const struct facts *a, const struct facts *b);
/* What both say. */
void facts_join(struct facts *into, const struct facts *other);
/* What both together say. False: they contradict each other. */
bool facts_meet(struct facts *into, const struct facts *other);
/* Adds "a cond b" (cond VFM_OP_JEQ ...), or its negation. False: that cannot be. */
bool facts_assume(struct facts *f, const struct term_pool *p, uint8_t cond, bool holds, uint32_t a, uint32_t b);
/* Adds that a load of `bytes` at the offset vector succeeded. False: it cannot. */
bool facts_loaded(struct facts *f, const struct term_pool *p, uint32_t offset_vec, unsigned bytes);
/* Does a load of `bytes` there surely succeed? */
bool facts_cover(const struct facts *f, const struct term_pool *p, uint32_t offset_vec, unsigned bytes);
/* The origin with what is known put in: ORIGIN_0 or ORIGIN_1 if the bit is known. */
uint32_t facts_resolve(const struct facts *f, uint32_t origin);
/* Adds: the bits of the vector under mask are those of value / are not all those of value. */
bool facts_bits_equal(struct facts *f, const struct term_pool *p, uint32_t vec, uint64_t mask, uint64_t value);
bool facts_bits_differ(struct facts *f, const struct term_pool *p, uint32_t vec, uint64_t mask, uint64_t value);

#endif

/* ir_fact.h: the abstract domain of ir_facts(): known bits and an interval of one unsigned 64-bit value. Every function is sound: it
 * keeps each value that is possible. "Never" is a fact with lo > hi. */
#ifndef VM_IR_FACT_H
#define VM_IR_FACT_H

#include "vm/ir.h"

static inline bool fact_never(const struct ir_fact *f)
{
	return f->lo > f->hi;
}

static inline bool fact_constant(const struct ir_fact *f)
{
	return f->lo == f->hi;
}

static inline bool fact_allows(const struct ir_fact *f, uint64_t v)
{
	return f->lo <= v && v <= f->hi && !(v & f->zeros) && (v & f->ones) == f->ones;
}

struct ir_fact fact_make_never(void);
struct ir_fact fact_full(void);
struct ir_fact fact_of(uint64_t v);
struct ir_fact fact_range(uint64_t lo, uint64_t hi);
bool fact_equal(const struct ir_fact *a, const struct ir_fact *b);
/* Bits follow from the interval and the interval from the bits; contradictions become "never". */
struct ir_fact fact_tighten(struct ir_fact f);
/* Values that are in a or in b; in both. */
struct ir_fact fact_join(const struct ir_fact *a, const struct ir_fact *b);
struct ir_fact fact_meet(const struct ir_fact *a, const struct ir_fact *b);
/* A fact above both from which a chain of growing facts is short: for loops. */
struct ir_fact fact_widen(const struct ir_fact *was, const struct ir_fact *now);

/* Result of an arithmetic operation (IR_ADD .. IR_NEG) that did not fault. b is ignored by unary ones. */
struct ir_fact fact_apply(uint8_t op, const struct ir_fact *a, const struct ir_fact *b);
/* Sharpens a and b by the knowledge that (a cond b) holds; either becomes "never" if it cannot. */
void fact_assume(uint8_t cond, struct ir_fact *a, struct ir_fact *b);

#endif

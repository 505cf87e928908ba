/* merge.h: how the partial tables of all shards become the one table a single instance would have.
 *
 * A partial object's updates are t[k] := t[k] (+) d with one associative, commutative operation that has an identity, so partial
 * values merge in any order and grouping to the single instance's value. The identity is 0 in every class, which is also what an
 * absent entry loads as. All but sum are idempotent: a part that is merged twice counts once. The laws are tested for every row.
 */
#ifndef STATE_MERGE_H
#define STATE_MERGE_H

#include "state/table.h"

/* M(NAME, name in certificates, merged value of a and b, domain, meaning) */
#define MERGE_CLASSES(M) \
	M(SUM, "sum", a + b, a, "added, modulo 2^64") \
	M(OR, "or", a | b, a, "bits gathered") \
	M(MAX, "max", a > b ? a : b, a, "largest") \
	M(MIN, "min", !a ? b : !b || a < b ? a : b, a, "smallest of the non-zero ones") \
	M(CONSTANT, "constant", a > b ? a : b, a ? 0x5eed : 0, "0 or one constant")

#define MERGE_ENUM(name, text, merged, domain, doc) MERGE_##name,
enum merge_class { MERGE_CLASSES(MERGE_ENUM) MERGE_COUNT };

uint64_t merge_values(enum merge_class class, uint64_t a, uint64_t b);
/* A value of the class's domain made from any 64 bits (for tests). */
uint64_t merge_domain(enum merge_class class, uint64_t a);
const char *merge_name(enum merge_class class);
/* -EINVAL: no such class. */
int merge_from_name(const char *name, enum merge_class *class);

/* Merges every live entry of from (at now_s) into into. -ENOSPC: into is full; it then lacks entries. */
int merge_table(enum merge_class class, struct table *into, const struct table *from, uint32_t now_s);

#endif

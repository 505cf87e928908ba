/* check_value.h: the checker's values: up to 8 alternatives, and what it knows of those that came out of a statistics table. */
#ifndef ANALYSIS_CHECK_VALUE_H
#define ANALYSIS_CHECK_VALUE_H

#include "analysis/cert.h"
#include "analysis/check_fact.h"

#define ALTERNATIVES 8

struct alternative {
	struct facts facts;
	uint32_t vec;
};

/* How a tainted value was made from table[key]. For each class whose bit 1 << class is in `forms`, it is some value that table[key]
 * has had while this packet is processed, combined by the class's operation with values that no statistics reach: stored back
 * under the same key it is an update of that class. */
struct flow_part {
	uint8_t forms;
	bool loaded; /* exactly what the FLOW_LOAD at pc gave */
	uint8_t table;
	uint32_t key; /* vector without an unknown bit */
	uint32_t pc;
};

struct flow_value {
	uint32_t n;
	bool tainted;          /* may depend on a value loaded from a table that `taints` */
	struct flow_part part; /* all 0 unless tainted */
	struct alternative alt[ALTERNATIVES];
};

/* Unknown, but for the upper 64 - bits, which are 0; taint is left alone. / The one vector, untainted. */
void value_unknown(struct flow_value *v, struct term_pool *pool, unsigned bits);
void value_one(struct flow_value *v, uint32_t vec);
/* Bytes of v that are used: most values have one alternative. Copies those. */
size_t value_bytes(const struct flow_value *v);
void value_copy(struct flow_value *to, const struct flow_value *from);
/* Adds an alternative; equal vectors keep what both facts say. */
void value_add(struct flow_value *v, struct term_pool *pool, const struct facts *facts, uint32_t vec);
bool value_equal(const struct flow_value *a, const struct flow_value *b);
/* What v may be under the facts of the path: alternatives that contradict them go, the others learn them. */
void value_on_path(struct flow_value *v, const struct facts *facts);
/* The one vector without an unknown bit that the value always is; VEC_NONE: it is not known to be. */
uint32_t value_known(const struct term_pool *pool, const struct flow_value *v);

/* Taint of a value that may be either / of a op b. */
void value_join_taint(struct flow_value *into, const struct flow_value *in);
void value_combine_taint(struct flow_value *out, uint8_t op, const struct flow_value *a, const struct flow_value *b);

#endif

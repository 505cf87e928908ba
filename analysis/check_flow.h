/* check_flow.h: forward dataflow over bytecode, slots numbered from the top: which values each access site and each RET may see.
 *
 * A slot holds up to 8 alternatives, each a vector with the facts under which it is that. Joins are pointwise unions; what exceeds 8
 * becomes one unknown value. Loops run to a fixpoint. What exceeds the bounds is refused, never guessed. */
#ifndef ANALYSIS_CHECK_FLOW_H
#define ANALYSIS_CHECK_FLOW_H

#include "analysis/check_value.h"
#include "vm/program.h"

/* What a visitor is shown, for every reachable instruction that accesses a table, may fault, branches or returns; after the
 * fixpoint, in ascending order of address; the accesses of a region (check_region.h) with the branch that starts it. Operands are
 * those popped, a below b; PICK and the like are not shown. */
struct region;

struct flow_visit {
	const struct vfm_insn *insn;
	const struct facts *facts;      /* true on all paths to the instruction */
	const struct flow_value *a, *b; /* NULL: not popped */
	const struct region *region;    /* a branch on a tainted value that starts one, or an access inside one; else NULL */
};

struct flow_options {
	const struct facts *entry;                                    /* true at entry; NULL: nothing */
	bool (*taints)(const void *arg, const struct vfm_insn *insn); /* NULL: none */
	int (*visit)(void *arg, const struct flow_visit *v);          /* non-zero ends the run with that result */
	void *arg;
};

/* 0, what visit returned, -ENOMEM, or -E2BIG: too large for the checker's bounds. */
int flow_run(const struct vfm_proof *proof, struct term_pool *pool, const struct flow_options *options);

#endif

/* ir_run.h: runs the intermediate form as it is written, value by value: the check that it means what the bytecode means. */
#ifndef TEST_IR_RUN_H
#define TEST_IR_RUN_H

#include "vm/interp.h"
#include "vm/ir.h"

struct ir_run {
	const struct ir *ir;
	struct shard *shard;
	const struct vfm_packet *packet;
	uint32_t insn_limit;
	uint64_t insn_count;
	uint64_t accesses;
	uint32_t updates;
	bool check_facts;         /* against ir->facts */
	const char *contradicted; /* the first fact that did not hold, in words; NULL: none */
	uint32_t where;           /* value or block of it */
	struct vfm_result result;
	uint64_t *value; /* [n_values] */
	uint64_t *copy;  /* [n_values] arguments on their way to parameters */
};

/* value and copy are made here; free with ir_run_fini(). 0 or -ENOMEM. */
int ir_run_init(struct ir_run *r, const struct ir *ir);
void ir_run_fini(struct ir_run *r);
/* One packet, from the start; advances the shard's clock. */
void ir_run(struct ir_run *r, struct shard *s, const struct vfm_packet *packet, uint32_t insn_limit);

#endif

/* ir_parts.h: between the files that make up ir_build(). Not for others. */
#ifndef VM_IR_PARTS_H
#define VM_IR_PARTS_H

#include "vm/ir.h"

/* Blocks, edges, reverse post-order. *first_insn (heap, the caller frees, also on failure): index in the proof of each block's
 * first instruction. -1: out of memory. */
int ir_cfg(struct ir *ir, uint32_t **first_insn);

/* One block parameter while SSA is under construction. */
struct ir_draft_param {
	uint32_t value; /* its id among the drafts */
	uint32_t block;
	uint32_t slot;
	uint32_t args; /* index into draft args: one per predecessor */
};

/* Values in order of creation, before needless parameters are removed and the rest is numbered. */
struct ir_draft {
	struct ir_value *values; /* IR_PARAM: a is the index of its parameter */
	uint32_t *block;         /* of each value */
	uint32_t n_values, room_values;
	struct ir_draft_param *params;
	uint32_t n_params, room_params;
	uint32_t *args;
	uint32_t n_args, room_args;
};

/* For each draft value the one that stands for it: parameters whose arguments are all one value are that value. replaced has room
 * for n_values. -1: out of memory. */
int ir_simplify(const struct ir *ir, const struct ir_draft *d, uint32_t *replaced);

#endif

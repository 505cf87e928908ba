/* opt_fold.c: a value that can only be one number is a constant. Loads and divisions stay: they may fault. */
#include "jit/parts.h"
#include "vm/ir_fact.h"

void jit_fold(struct ir *ir)
{
	for (uint32_t id = 0; id < ir->n_values; id++) {
		struct ir_value *v = &ir->values[id];
		uint16_t flags = ir_ops[v->op].flags;

		if (v->op == IR_CONST || v->op == IR_PARAM || !fact_constant(&ir->facts.value[id]) || !(flags & IR_F_RESULT) ||
		    (flags & (IR_F_FAULT | IR_F_READ | IR_F_UPDATE)))
			continue;
		v->op = IR_CONST;
		v->imm = ir->facts.value[id].lo;
		v->a = v->b = IR_NONE;
	}
}

/* ir.c: what every pass of the intermediate form shares: the opcode table, conditions, life time. */
#include <stdlib.h>

#include "vm/ir.h"

#define IR_OP_ROW(name, flags, bytes, doc) [IR_##name] = {#name, doc, flags, bytes},
const struct ir_op_info ir_ops[IR_N_OPS] = {IR_OPS(IR_OP_ROW)};
#undef IR_OP_ROW

bool ir_compare(uint8_t cond, uint64_t a, uint64_t b)
{
	switch (cond) {
	case VFM_OP_JEQ:
		return a == b;
	case VFM_OP_JNE:
		return a != b;
	case VFM_OP_JGT:
		return a > b;
	case VFM_OP_JLT:
		return a < b;
	case VFM_OP_JGE:
		return a >= b;
	default:
		return a <= b;
	}
}

uint8_t ir_negated(uint8_t cond)
{
	switch (cond) {
	case VFM_OP_JEQ:
		return VFM_OP_JNE;
	case VFM_OP_JNE:
		return VFM_OP_JEQ;
	case VFM_OP_JGT:
		return VFM_OP_JLE;
	case VFM_OP_JLT:
		return VFM_OP_JGE;
	case VFM_OP_JGE:
		return VFM_OP_JLT;
	default:
		return VFM_OP_JGT;
	}
}

uint8_t ir_swapped(uint8_t cond)
{
	switch (cond) {
	case VFM_OP_JGT:
		return VFM_OP_JLT;
	case VFM_OP_JLT:
		return VFM_OP_JGT;
	case VFM_OP_JGE:
		return VFM_OP_JLE;
	case VFM_OP_JLE:
		return VFM_OP_JGE;
	default:
		return cond;
	}
}

uint32_t ir_block_of(const struct ir *ir, uint32_t value)
{
	uint32_t lo = 0, hi = ir->n_blocks;

	/* The last block whose first value is not above it; blocks without values share `first` with their successor. */
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (ir->blocks[mid].first <= value)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

struct ir *ir_new(const struct program *p, FILE *debug)
{
	static const struct {
		const char *name;
		int (*run)(struct ir *ir);
	} passes[] = {{"dom", ir_dom}, {"facts", ir_facts}, {"path", ir_path}};
	struct ir *ir = ir_build(p);

	if (ir && debug) {
		fprintf(debug, "; after build\n");
		ir_print(ir, debug);
	}
	for (unsigned i = 0; ir && i < sizeof(passes) / sizeof(*passes); i++) {
		if (passes[i].run(ir)) {
			ir_free(ir);
			return NULL;
		}
		if (debug) {
			fprintf(debug, "; after %s\n", passes[i].name);
			ir_print(ir, debug);
		}
	}
	return ir;
}

void ir_free(struct ir *ir)
{
	if (!ir)
		return;
	free(ir->values);
	free(ir->blocks);
	free(ir->args);
	free(ir->preds);
	free(ir->idom);
	free(ir->dom_in);
	free(ir->dom_out);
	free(ir->facts.value);
	free(ir->facts.operand);
	free(ir->facts.term);
	free(ir->facts.block);
	free(ir->facts.len_lo);
	free(ir);
}

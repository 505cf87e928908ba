/* report_dot.c: the dependence graph of values for graphviz: operands, what joins bring, and through the tables. */
#include <inttypes.h>
#include <stdio.h>

#include "analysis/report.h"

static const char *colour_of(const struct analysis *a, uint32_t value)
{
	static const char *const colours[] = {"#3b66a8", "#2f7d5b", "#b4552d"};
	uint32_t object = a->stages.object_of[value];

	return object == IR_NONE ? "#98a4b3" : colours[a->objects.items[object].kind];
}

static void print_node(const struct analysis *a, uint32_t value, FILE *out)
{
	const struct ir_value *v = &a->ir->values[value];

	fprintf(out, "  v%u [color=\"%s\", label=\"%s", value, colour_of(a, value), ir_ops[v->op].name);
	if (ir_ops[v->op].flags & IR_F_IMM)
		fprintf(out, " %" PRIu64, v->imm);
	if (a->stages.object_of[value] != IR_NONE)
		fprintf(out, "\\nobject %u", a->stages.object_of[value]);
	fprintf(out, "\"];\n");
	if (v->a != IR_NONE)
		fprintf(out, "  v%u -> v%u;\n", v->a, value);
	if (v->b != IR_NONE)
		fprintf(out, "  v%u -> v%u;\n", v->b, value);
}

static void print_arguments(const struct analysis *a, const struct ir_block *b, FILE *out)
{
	for (uint32_t k = 0; k < b->n_succs; k++) {
		const struct ir_block *to = &a->ir->blocks[b->succ[k].block];

		for (uint32_t i = 0; i < to->n_params; i++)
			fprintf(out, "  v%u -> v%u [style=dashed];\n", a->ir->args[b->succ[k].args + i], to->first + i);
	}
}

static void print_end(const struct ir_block *b, uint32_t block, FILE *out)
{
	if (b->term == IR_RET) {
		fprintf(out, "  v%u -> verdict;\n", b->a);
	} else if (b->term == IR_BRANCH) {
		fprintf(out,
			"  b%u [shape=diamond, label=\"%s at %u\"];\n  v%u -> b%u;\n  v%u -> b%u;\n  b%u -> verdict "
			"[style=dotted];\n",
			block, vfm_ops[b->cond].mnemonic, b->term_pc, b->a, block, b->b, block, block);
	}
}

void report_dot(const struct analysis *a, FILE *out)
{
	fputs("digraph filter {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
	      "  verdict [shape=doublecircle];\n",
	      out);
	for (uint32_t v = 0; v < a->ir->n_values; v++)
		print_node(a, v, out);
	for (uint32_t b = 0; b < a->ir->n_blocks; b++) {
		print_arguments(a, &a->ir->blocks[b], out);
		print_end(&a->ir->blocks[b], b, out);
	}
	fputs("}\n", out);
}

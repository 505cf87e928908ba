/* ir_print.c: the form as text.
 *
 *     b1 0009..0026 insns 5 from b0.1 dom b0 len>=14
 *       v4 = LD8 23                      ; 0009 0..255
 *       JEQ v4 v5 ? b3(v4) : b2          ; 0021 never the second
 */
#include <inttypes.h>
#include <stdarg.h>

#include "vm/ir_fact.h"

#define TEXT_COLUMN 34 /* where comments begin */

/* Prints and counts columns, so that comments can be aligned. */
static int put(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int put(FILE *out, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vfprintf(out, format, args);
	va_end(args);
	return n < 0 ? 0 : n;
}

static void pad(FILE *out, int column)
{
	fprintf(out, "%*s", column < TEXT_COLUMN ? TEXT_COLUMN - column : 1, "");
}

static void print_fact(const struct ir_fact *f, FILE *out)
{
	struct ir_fact implied;

	if (fact_never(f)) {
		fprintf(out, " never");
		return;
	}
	implied = fact_range(f->lo, f->hi);
	if (fact_constant(f))
		fprintf(out, " = %" PRIu64, f->lo);
	else if (f->lo != 0 || f->hi != UINT64_MAX)
		fprintf(out, " %" PRIu64 "..%" PRIu64, f->lo, f->hi);
	if (f->zeros & ~implied.zeros)
		fprintf(out, " zeros 0x%" PRIx64, f->zeros & ~implied.zeros);
	if (f->ones & ~implied.ones)
		fprintf(out, " ones 0x%" PRIx64, f->ones & ~implied.ones);
}

static int print_value_text(const struct ir_value *v, uint32_t id, FILE *out)
{
	const struct ir_op_info *info = &ir_ops[v->op];
	int n = put(out, "  ");

	n += info->flags & IR_F_RESULT ? put(out, "v%u = %s", id, info->name) : put(out, "%s", info->name);
	if (info->flags & (IR_F_READ | IR_F_UPDATE))
		n += put(out, " t%u", v->table);
	if (info->flags & IR_F_IMM)
		n += put(out, v->imm > UINT32_MAX ? " 0x%" PRIx64 : " %" PRIu64, v->imm);
	if (info->flags & IR_F_A)
		n += put(out, " v%u", v->a);
	if (info->flags & IR_F_B)
		n += put(out, " v%u", v->b);
	return n;
}

static void print_value(const struct ir *ir, uint32_t id, FILE *out)
{
	const struct ir_value *v = &ir->values[id];
	uint16_t flags = ir_ops[v->op].flags;

	pad(out, print_value_text(v, id, out));
	fprintf(out, "; %04x", v->pc);
	if (ir->facts.value) {
		if ((flags & IR_F_RESULT) && v->op != IR_CONST)
			print_fact(&ir->facts.value[id], out);
		if ((flags & IR_F_FAULT) && (flags & IR_F_A)) {
			fprintf(out, ", %s:", ir_ops[v->op].bytes ? "offset" : "divisor");
			print_fact(&ir->facts.operand[id], out);
		}
	}
	putc('\n', out);
}

static int print_succ(const struct ir *ir, const struct ir_succ *s, FILE *out)
{
	uint32_t n_params = ir->blocks[s->block].n_params;
	int n = put(out, "b%u", s->block);

	for (uint32_t i = 0; i < n_params; i++)
		n += put(out, "%sv%u", i ? " " : "(", ir->args[s->args + i]);
	if (n_params)
		n += put(out, ")");
	return n + (s->backward_jump ? put(out, " back") : 0);
}

static void print_term(const struct ir *ir, uint32_t id, FILE *out)
{
	const struct ir_block *b = &ir->blocks[id];
	uint8_t takes = ir->facts.block ? ir->facts.block[id] & (IR_TAKES_0 | IR_TAKES_1) : IR_TAKES_0 | IR_TAKES_1;
	int n;

	if (b->term == IR_RET) {
		n = put(out, "  RET v%u", b->a);
	} else if (b->term == IR_GOTO) {
		n = put(out, "  GOTO ");
		n += print_succ(ir, &b->succ[0], out);
	} else {
		n = put(out, "  %s v%u v%u ? ", vfm_ops[b->cond].mnemonic, b->a, b->b);
		n += print_succ(ir, &b->succ[0], out);
		n += put(out, " : ");
		n += print_succ(ir, &b->succ[1], out);
	}
	pad(out, n);
	fprintf(out, "; %04x", b->term_pc);
	if (b->term == IR_BRANCH && takes != (IR_TAKES_0 | IR_TAKES_1))
		fprintf(out, takes == 0 ? " never reached" : takes == IR_TAKES_0 ? " never the second" : " never the first");
	putc('\n', out);
}

static void print_block(const struct ir *ir, uint32_t id, FILE *out)
{
	const struct ir_block *b = &ir->blocks[id];

	fprintf(out, "b%u %04x..%04x insns %u", id, b->pc, b->end, b->insns);
	for (uint32_t j = 0; j < b->n_preds; j++)
		fprintf(out, "%sb%u.%u", j ? " " : " from ", ir->preds[b->preds + j].block, ir->preds[b->preds + j].succ);
	if (b->header)
		fprintf(out, " header");
	if (ir->idom)
		fprintf(out, " dom b%u", ir->idom[id]);
	if (ir->facts.block) {
		fprintf(out, " len>=%u", ir->facts.len_lo[id]);
		if (!(ir->facts.block[id] & IR_REACHED))
			fprintf(out, " never reached");
	}
	putc('\n', out);
	for (uint32_t v = b->first; v < b->first + b->n_values; v++)
		print_value(ir, v, out);
	print_term(ir, id, out);
}

static void print_count(const char *name, uint64_t count, FILE *out)
{
	if (count == IR_UNBOUNDED)
		fprintf(out, " %s unbounded", name);
	else
		fprintf(out, " %s %" PRIu64, name, count);
}

void ir_print(const struct ir *ir, FILE *out)
{
	fprintf(out, "blocks %u values %u%s\n", ir->n_blocks, ir->n_values, ir->has_cycle ? " with cycles" : "");
	for (uint32_t i = 0; i < ir->n_blocks; i++)
		print_block(ir, i, out);
	if (ir->path.insns) {
		fprintf(out, "worst case:");
		print_count("instructions", ir->path.insns, out);
		print_count("accesses", ir->path.accesses, out);
		print_count("updates", ir->path.updates, out);
		putc('\n', out);
	}
}

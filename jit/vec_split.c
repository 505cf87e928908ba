/* vec_split.c: blocks are cut in two before their first value that lanes do not have, so that the region reaches as far as it can.
 *
 * The cut moves up past values that want more than 32 bits and are used behind it: they could not be handed on. Values keep their numbers,
 * blocks do not. Only programs without loops are cut: of the others nothing is continued.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/vec_parts.h"

struct split {
	struct ir *ir;
	const uint8_t *needed;
	uint32_t *last_use; /* [value] the last value that it is an operand of; IR_NONE: a terminator or an edge */
	uint32_t *cut;      /* [block] the lower half's first value; IR_NONE: whole */
	uint32_t *moved;    /* [block] new number, of the upper half */
	uint32_t n_cuts;
};

static void use(struct split *s, uint32_t v, uint32_t by)
{
	if (v != IR_NONE)
		s->last_use[v] = by;
}

static void find_uses(struct split *s)
{
	const struct ir *ir = s->ir;

	memset(s->last_use, 0, ir->n_values * sizeof(*s->last_use));
	for (uint32_t v = 0; v < ir->n_values; v++) {
		if (!s->needed[v])
			continue;
		use(s, ir->values[v].a, v);
		use(s, ir->values[v].b, v);
	}
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		use(s, ir->blocks[i].a, IR_NONE);
		use(s, ir->blocks[i].b, IR_NONE);
	}
	for (uint32_t i = 0; i < ir->n_args; i++)
		use(s, ir->args[i], IR_NONE);
}

static uint32_t find_cut(const struct split *s, const struct ir_block *b)
{
	uint32_t start = b->first + b->n_params, end = b->first + b->n_values, at = start;

	while (at < end && (!s->needed[at] || vec_has(s->ir, at)))
		at++;
	if (at == end)
		return IR_NONE;
	for (uint32_t v = at; v-- > start;)
		if (s->needed[v] && s->last_use[v] >= at && !vec_hands_on(s->ir, v))
			at = v;
	return at == start ? IR_NONE : at;
}

static void find_cuts(struct split *s)
{
	for (uint32_t i = 0; i < s->ir->n_blocks; i++) {
		s->moved[i] = i + s->n_cuts;
		s->cut[i] = find_cut(s, &s->ir->blocks[i]);
		s->n_cuts += s->cut[i] != IR_NONE;
	}
}

/* What the cut forms are written to: they take the place of the old ones together. */
struct forms {
	struct ir_block *blocks;
	struct ir_pred *preds;
	struct ir_fact *term;
	uint8_t *block;
	uint32_t *len_lo;
};

static uint32_t lower(const struct split *s, uint32_t block)
{
	return s->moved[block] + (s->cut[block] != IR_NONE);
}

/* The bytes that the packet has once the upper half is through. */
static uint32_t length_behind(const struct ir *ir, uint32_t len_lo, const struct ir_block *upper)
{
	for (uint32_t v = upper->first; v < upper->first + upper->n_values; v++) {
		const struct ir_value *x = &ir->values[v];

		if (x->op >= IR_LD8 && x->op <= IR_LD64 && x->imm + ir_ops[x->op].bytes > len_lo)
			len_lo = (uint32_t)x->imm + ir_ops[x->op].bytes;
	}
	return len_lo;
}

static void write_lower(const struct split *s, const struct forms *f, uint32_t i)
{
	const struct ir *ir = s->ir;
	struct ir_block *b = &f->blocks[lower(s, i)];

	*b = ir->blocks[i];
	for (unsigned k = 0; k < b->n_succs; k++)
		b->succ[k].block = s->moved[b->succ[k].block];
	memcpy(&f->term[2 * lower(s, i)], &ir->facts.term[2 * i], 2 * sizeof(*f->term));
	f->block[lower(s, i)] = ir->facts.block[i];
	f->len_lo[lower(s, i)] = ir->facts.len_lo[i];
}

/* Makes a block of what stands before the cut; all instructions count there. */
static void write_upper(const struct split *s, const struct forms *f, uint32_t i, uint32_t preds)
{
	const struct ir *ir = s->ir;
	uint32_t at = s->moved[i];
	struct ir_block *up = &f->blocks[at], *low = &f->blocks[at + 1];

	*up = *low;
	up->n_values = s->cut[i] - up->first;
	up->term = IR_GOTO;
	up->n_succs = 1;
	up->succ[0] = (struct ir_succ){.block = at + 1};
	up->a = up->b = IR_NONE;
	up->preds = preds;
	low->n_values -= up->n_values;
	low->first = s->cut[i];
	low->n_params = 0;
	low->insns = 0;
	low->header = false;
	low->n_preds = 1;
	memset(&f->term[2 * at], 0, 2 * sizeof(*f->term));
	f->block[at] = (ir->facts.block[i] & IR_REACHED) | IR_TAKES_0;
	f->len_lo[at] = ir->facts.len_lo[i];
	f->len_lo[at + 1] = length_behind(ir, ir->facts.len_lo[i], up);
}

static void write_forms(const struct split *s, const struct forms *f)
{
	const struct ir *ir = s->ir;
	uint32_t n = 0;

	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		const struct ir_block *b = &ir->blocks[i];

		write_lower(s, f, i);
		f->blocks[lower(s, i)].preds = n;
		for (uint32_t k = 0; k < b->n_preds; k++) {
			struct ir_pred p = ir->preds[b->preds + k];

			f->preds[n++] = (struct ir_pred){lower(s, p.block), p.succ};
		}
		if (s->cut[i] == IR_NONE)
			continue;
		write_upper(s, f, i, n - b->n_preds);
		f->blocks[lower(s, i)].preds = n;
		f->preds[n++] = (struct ir_pred){s->moved[i], 0};
	}
}

static void free_forms(struct forms *f)
{
	free(f->blocks);
	free(f->preds);
	free(f->term);
	free(f->block);
	free(f->len_lo);
}

static int replace(const struct split *s)
{
	struct ir *ir = s->ir;
	size_t n = ir->n_blocks + s->n_cuts;
	struct forms f = {
		.blocks = malloc(n * sizeof(*f.blocks)),
		.preds = malloc((ir->n_preds + s->n_cuts + 1ul) * sizeof(*f.preds)),
		.term = malloc(2 * n * sizeof(*f.term)),
		.block = malloc(n),
		.len_lo = malloc(n * sizeof(*f.len_lo)),
	};
	struct forms old = {ir->blocks, ir->preds, ir->facts.term, ir->facts.block, ir->facts.len_lo};

	if (!f.blocks || !f.preds || !f.term || !f.block || !f.len_lo) {
		free_forms(&f);
		return -ENOMEM;
	}
	write_forms(s, &f);
	free_forms(&old);
	ir->blocks = f.blocks;
	ir->preds = f.preds;
	ir->facts.term = f.term;
	ir->facts.block = f.block;
	ir->facts.len_lo = f.len_lo;
	ir->n_blocks += s->n_cuts;
	ir->n_preds += s->n_cuts;
	free(ir->idom);
	free(ir->dom_in);
	free(ir->dom_out);
	return ir_dom(ir);
}

int vec_split(struct ir *ir, const uint8_t *needed)
{
	struct split s = {.ir = ir, .needed = needed};
	int err = -ENOMEM;

	if (ir->has_cycle)
		return 0;
	s.last_use = malloc((ir->n_values + 1ul) * sizeof(*s.last_use));
	s.cut = malloc(ir->n_blocks * sizeof(*s.cut));
	s.moved = malloc(ir->n_blocks * sizeof(*s.moved));
	if (s.last_use && s.cut && s.moved) {
		find_uses(&s);
		find_cuts(&s);
		err = s.n_cuts ? replace(&s) : 0;
	}
	free(s.last_use);
	free(s.cut);
	free(s.moved);
	return err;
}

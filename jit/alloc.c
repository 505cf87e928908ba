/* alloc.c: registers and spill slots by linear scan over live intervals (Poletto and Sarkar 1999).
 *
 * Position of value v of block b is 2 * (v + b), of its terminator the one after its last value; a value is live from its position + 1 to its last
 * use. With loops: what is live at the entry of a header and defined before it is live to the end of the last block that jumps back
 * there; block order is a reverse post-order, so this covers every path. Values that live across a call get registers that calls
 * keep. When registers run out, whichever lives longest goes to a slot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/parts.h"

struct interval {
	uint32_t start, end;
	uint32_t value;
	bool crosses_call;
};

struct alloc {
	const struct ir *ir;
	const uint8_t *needed;
	const struct jit_regs *regs;
	bool early_params;
	const struct jit_tests *tests; /* NULL: every block computes its own values */
	struct jit_places *out;
	struct interval *at; /* [value], then sorted by start */
	uint32_t *calls;     /* positions of calls, ascending */
	uint32_t n_calls;
	uint32_t *header_start, *header_end; /* of headers, ascending by start */
	uint32_t n_headers;
	const struct interval *in_reg[32]; /* who has the register now */
	uint32_t *slot_free_at;            /* [slot] end of its last user */
	uint32_t room_slots;
};

static uint32_t position(uint32_t block, uint32_t value)
{
	return 2 * (value + block);
}

static uint32_t term_position(const struct ir *ir, uint32_t block)
{
	return position(block, ir->blocks[block].first + ir->blocks[block].n_values);
}

bool jit_is_call(const struct ir_value *v)
{
	return (ir_ops[v->op].flags & (IR_F_READ | IR_F_UPDATE)) || v->op == IR_HASH5 || v->op == IR_HASH5S || v->op == IR_HDR ||
	       v->op == IR_MIX;
}

static void extend(struct alloc *a, uint32_t v, uint32_t pos)
{
	if (v != IR_NONE && a->at[v].end < pos)
		a->at[v].end = pos;
}

/* All of a block's parameters are written before it begins. */
static uint32_t param_start(const struct alloc *a, uint32_t block)
{
	const struct ir_block *b = &a->ir->blocks[block];

	if (a->early_params && b->n_preds)
		return term_position(a->ir, a->ir->preds[b->preds].block) - 1; /* preds are ascending */
	return position(block, b->first) - 1;
}

static void find_intervals(struct alloc *a)
{
	const struct ir *ir = a->ir;

	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		const struct ir_block *b = &ir->blocks[i];
		uint32_t end = term_position(ir, i);

		for (uint32_t id = b->first; id < b->first + b->n_values; id++) {
			const struct ir_value *v = &ir->values[id];
			uint32_t pos = position(i, id);

			a->at[id].start = id < b->first + b->n_params ? param_start(a, i) : pos + 1;
			/* Computed at the end of another block, before what its terminator needs is free. */
			if (a->tests && a->tests->home[i] != i)
				a->at[id].start = term_position(ir, a->tests->home[i]);
			extend(a, id, a->at[id].start);
			if (a->early_params && id < b->first + b->n_params)
				extend(a, id, pos); /* to where the block begins, used there or not */
			if (!a->needed[id])
				continue;
			extend(a, v->a, pos);
			extend(a, v->b, pos);
			if (jit_is_call(v))
				a->calls[a->n_calls++] = pos;
		}
		if (!a->tests || !a->tests->gists[i].ends_in_test) {
			extend(a, b->a, end);
			extend(a, b->b, end);
		} else if (jit_window_of_value(a->tests->gists[i].window.at)) {
			/* Not before the block whose list it is in. */
			extend(a, jit_window_value(a->tests->gists[i].window.at), end);
		}
		for (unsigned k = 0; k < b->n_succs; k++)
			for (uint32_t p = 0; p < ir->blocks[b->succ[k].block].n_params; p++)
				extend(a, ir->args[b->succ[k].args + p], end);
	}
}

static void find_headers(struct alloc *a)
{
	const struct ir *ir = a->ir;

	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		const struct ir_block *b = &ir->blocks[i];

		if (!b->header)
			continue;
		a->header_start[a->n_headers] = position(i, b->first) - (i > 0);
		a->header_end[a->n_headers] = 0;
		for (uint32_t j = 0; j < b->n_preds; j++) {
			uint32_t from = ir->preds[b->preds + j].block;

			if (from >= i && term_position(ir, from) > a->header_end[a->n_headers])
				a->header_end[a->n_headers] = term_position(ir, from);
		}
		a->n_headers++;
	}
}

/* The first header whose start is above pos. */
static uint32_t first_header_after(const struct alloc *a, uint32_t pos)
{
	uint32_t lo = 0, hi = a->n_headers;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (a->header_start[mid] <= pos)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void extend_over_loops(const struct alloc *a, struct interval *i)
{
	for (uint32_t h = first_header_after(a, i->start); h < a->n_headers && a->header_start[h] <= i->end; h++)
		if (a->header_end[h] > i->end)
			i->end = a->header_end[h];
}

static bool crosses_call(const struct alloc *a, const struct interval *i)
{
	uint32_t lo = 0, hi = a->n_calls;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (a->calls[mid] <= i->start)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* A call's operands may end there, its result begins behind it. */
	return lo < a->n_calls && a->calls[lo] < i->end;
}

static int by_start(const void *x, const void *y)
{
	const struct interval *a = x, *b = y;

	return a->start != b->start ? (a->start < b->start ? -1 : 1) : a->value < b->value ? -1 : a->value > b->value;
}

static bool spill(struct alloc *a, const struct interval *i)
{
	struct jit_place *place = &a->out->at[i->value];
	uint32_t slot = 0;

	while (slot < a->out->n_slots && a->slot_free_at[slot] >= i->start)
		slot++;
	if (slot == a->out->n_slots) {
		if (slot == a->room_slots) {
			uint32_t room = a->room_slots ? 2 * a->room_slots : 64;
			uint32_t *bigger = realloc(a->slot_free_at, room * sizeof(*bigger));

			if (!bigger)
				return false;
			a->slot_free_at = bigger;
			a->room_slots = room;
		}
		a->out->n_slots++;
	}
	a->slot_free_at[slot] = i->end;
	*place = (struct jit_place){JIT_NO_REG, slot};
	return true;
}

/* A register of the list that nobody has at i's start, or whose holder outlives i and can be sent to a slot instead. */
static uint8_t free_reg(struct alloc *a, const uint8_t *list, uint8_t n, const struct interval *i)
{
	for (uint8_t k = 0; k < n; k++)
		if (!a->in_reg[list[k]] || a->in_reg[list[k]]->end < i->start)
			return list[k];
	return JIT_NO_REG;
}

static uint8_t longest_holder(struct alloc *a, const uint8_t *list, uint8_t n, uint8_t best)
{
	for (uint8_t k = 0; k < n; k++)
		if (best == JIT_NO_REG || a->in_reg[list[k]]->end > a->in_reg[best]->end)
			best = list[k];
	return best;
}

static bool place(struct alloc *a, const struct interval *i)
{
	const struct jit_regs *r = a->regs;
	uint8_t reg = i->crosses_call ? JIT_NO_REG : free_reg(a, r->caller, r->n_caller, i);

	if (reg == JIT_NO_REG)
		reg = free_reg(a, r->callee, r->n_callee, i);
	if (reg == JIT_NO_REG) {
		reg = longest_holder(a, r->callee, r->n_callee, JIT_NO_REG);
		if (!i->crosses_call)
			reg = longest_holder(a, r->caller, r->n_caller, reg);
		if (a->in_reg[reg]->end <= i->end)
			return spill(a, i);
		if (!spill(a, a->in_reg[reg]))
			return false;
	}
	a->in_reg[reg] = i;
	a->out->at[i->value] = (struct jit_place){reg, JIT_NO_SLOT};
	return true;
}

static void note_saved(struct alloc *a)
{
	for (uint32_t v = 0; v < a->ir->n_values; v++)
		for (uint8_t k = 0; k < a->regs->n_callee; k++)
			if (a->out->at[v].reg == a->regs->callee[k])
				a->out->saved |= 1u << a->regs->callee[k];
}

static bool run(struct alloc *a)
{
	uint32_t n = 0;

	for (uint32_t v = 0; v < a->ir->n_values; v++)
		a->at[v] = (struct interval){.value = v};
	find_intervals(a);
	find_headers(a);
	for (uint32_t v = 0; v < a->ir->n_values; v++) {
		struct interval i = a->at[v];

		a->out->at[v] = (struct jit_place){JIT_NO_REG, JIT_NO_SLOT};
		if (!a->needed[v] || a->ir->values[v].op == IR_CONST || !(ir_ops[a->ir->values[v].op].flags & IR_F_RESULT))
			continue;
		extend_over_loops(a, &i);
		i.crosses_call = crosses_call(a, &i);
		a->at[n++] = i;
	}
	if (a->early_params || a->tests) /* else they are in order: ids ascend, and so do positions */
		qsort(a->at, n, sizeof(*a->at), by_start);
	for (uint32_t k = 0; k < n; k++)
		if (!place(a, &a->at[k]))
			return false;
	note_saved(a);
	return true;
}

int jit_alloc(const struct ir *ir, const uint8_t *needed, const struct jit_regs *regs, bool early_params,
	      const struct jit_tests *tests, struct jit_places *out)
{
	struct alloc a = {.ir = ir, .needed = needed, .regs = regs, .early_params = early_params, .tests = tests, .out = out};
	size_t values = ir->n_values + 1ul, blocks = ir->n_blocks;
	int err = -ENOMEM;

	*out = (struct jit_places){.at = malloc(values * sizeof(*out->at))};
	a.at = malloc(values * sizeof(*a.at));
	a.calls = malloc(values * sizeof(*a.calls));
	a.header_start = malloc(blocks * sizeof(*a.header_start));
	a.header_end = malloc(blocks * sizeof(*a.header_end));
	if (out->at && a.at && a.calls && a.header_start && a.header_end && run(&a))
		err = 0;
	free(a.at);
	free(a.calls);
	free(a.header_start);
	free(a.header_end);
	free(a.slot_free_at);
	return err;
}

/* opt_tests.c: chains of tests of the packet, or of values, as lists of conditions that are computed without a branch (vm/fuse_list.h).
 *
 * For packets that are long enough for every load at a constant offset. A block that does nothing but test may be joined into the
 * list of the block before it; values of it that others use are computed there too, before the list, whether or not the test
 * would have been reached: they cannot fault and have no effect.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "jit/parts.h"
#include "vm/vfm.h"

#define MAX_WORK  12 /* values of a block that may be computed in vain */
#define MAX_DEPTH 4  /* operations between a test and its window */

/* (number >> shift) & mask of the packet's big-endian number that ends at byte `end`, or of a value. */
struct field {
	bool of_value;
	uint32_t end; /* or the value */
	unsigned shift;
	uint64_t mask;
};

static bool is_const(const struct ir *ir, uint32_t v)
{
	return ir->values[v].op == IR_CONST;
}

static void find_field(const struct ir *ir, uint32_t id, unsigned depth, struct field *f)
{
	const struct ir_value *v = &ir->values[id];

	if (v->op >= IR_LD8 && v->op <= IR_LD64) {
		unsigned bytes = ir_ops[v->op].bytes;

		*f = (struct field){false, (uint32_t)v->imm + bytes, 0, UINT64_MAX >> (64 - 8 * bytes)};
	} else if (v->op == IR_AND && is_const(ir, v->b) && depth) {
		find_field(ir, v->a, depth - 1, f);
		f->mask &= ir->values[v->b].imm;
	} else if (v->op == IR_SHR && is_const(ir, v->b) && depth) {
		unsigned by = ir->values[v->b].imm & 63;

		find_field(ir, v->a, depth - 1, f);
		f->shift = f->shift + by > 63 ? 63 : f->shift + by;
		f->mask >>= by;
	} else {
		*f = (struct field){true, id, 0, ~ir->facts.value[id].zeros};
	}
}

/* The window of (field == c). False: there is none. */
static bool make_window(const struct field *f, uint64_t c, struct window *w)
{
	unsigned shift = f->shift;

	if (f->mask == 0 || (c & ~f->mask))
		return false;
	if (f->of_value) {
		*w = (struct window){htole64(f->mask << shift), htole64(c << shift), JIT_VALUE_AT + 16 * f->end};
		return true;
	}
	if (f->end < 8)
		shift += 8 * (8 - f->end);
	*w = (struct window){htobe64(f->mask << shift), htobe64(c << shift), f->end < 8 ? 0 : f->end - 8};
	return true;
}

/* Is v < limit, limit a power of two: no bit from there on. */
static bool make_below(const struct ir *ir, uint32_t v, uint64_t limit, struct window *w)
{
	struct field f;

	if (limit == 0 || (limit & (limit - 1)))
		return false;
	find_field(ir, v, MAX_DEPTH, &f);
	f.mask &= ~(limit - 1);
	return make_window(&f, 0, w);
}

/* The window of (v cond c); *holds: it fits if the condition holds, else if it does not. */
static bool find_window(const struct ir *ir, uint8_t cond, uint32_t v, uint64_t c, struct window *w, bool *holds)
{
	struct field f;

	*holds = cond == VFM_OP_JEQ || cond == VFM_OP_JLT || cond == VFM_OP_JLE;
	switch (cond) {
	case VFM_OP_JLT:
	case VFM_OP_JGE:
		return make_below(ir, v, c, w);
	case VFM_OP_JLE:
	case VFM_OP_JGT:
		return make_below(ir, v, c + 1, w);
	default:
		find_field(ir, v, MAX_DEPTH, &f);
		return make_window(&f, c, w);
	}
}

static bool has_needed_params(const struct ir *ir, const uint8_t *needed, uint32_t block)
{
	const struct ir_block *b = &ir->blocks[block];

	for (uint32_t i = 0; i < b->n_params; i++)
		if (needed[b->first + i])
			return true;
	return false;
}

/* May be computed in vain, and soon. */
static bool is_harmless(uint8_t op)
{
	return (op >= IR_LD8 && op <= IR_LD64) || (op >= IR_ADD && op <= IR_NEG && op != IR_DIV && op != IR_MOD) ||
	       op == IR_PKTLEN || op == IR_INPUT || op == IR_NOW;
}

/* Nothing is done in the block but what may be done before it. */
static bool is_idle(const struct ir *ir, const uint8_t *needed, uint32_t block)
{
	const struct ir_block *b = &ir->blocks[block];
	unsigned work = 0;

	if (has_needed_params(ir, needed, block))
		return false;
	for (uint32_t v = b->first + b->n_params; v < b->first + b->n_values; v++)
		if (needed[v] && !is_const(ir, v) && (!is_harmless(ir->values[v].op) || ++work > MAX_WORK))
			return false;
	return true;
}

static void note_test(const struct ir *ir, const uint8_t *needed, uint32_t block, struct gist *g)
{
	const struct ir_block *b = &ir->blocks[block];
	bool holds, swap = is_const(ir, b->a);
	uint32_t v = swap ? b->b : b->a, c = swap ? b->a : b->b;

	if (!is_const(ir, c) || is_const(ir, v) || has_needed_params(ir, needed, b->succ[0].block) ||
	    has_needed_params(ir, needed, b->succ[1].block))
		return;
	if (!find_window(ir, swap ? ir_swapped(b->cond) : b->cond, v, ir->values[c].imm, &g->window, &holds))
		return;
	g->ends_in_test = true;
	g->match = b->succ[holds ? 0 : 1].block;
	g->miss = b->succ[holds ? 1 : 0].block;
}

static void find_gist(const struct ir *ir, const uint8_t *needed, uint32_t block, struct gist *g)
{
	const struct ir_block *b = &ir->blocks[block];
	uint8_t takes = ir->facts.block[block] & (IR_TAKES_0 | IR_TAKES_1);
	/* What comes before the entry's end has to be somewhere: it is never joined. */
	bool idle = block && is_idle(ir, needed, block);

	if (b->term == IR_RET) {
		g->value = ir->values[b->a].imm;
		if (idle && is_const(ir, b->a))
			g->kind = GIST_RET;
	} else if (b->term == IR_BRANCH && takes == (IR_TAKES_0 | IR_TAKES_1)) {
		note_test(ir, needed, block, g);
		if (idle && g->ends_in_test)
			g->kind = GIST_TEST;
	} else if (takes) {
		g->match = b->succ[takes == IR_TAKES_0 ? 0 : 1].block;
		if (idle && !has_needed_params(ir, needed, g->match))
			g->kind = GIST_EMPTY;
	}
}

uint32_t jit_tests_resolve(const struct jit_tests *t, uint32_t block)
{
	while (t->gists[block].kind == GIST_EMPTY)
		block = t->gists[block].match;
	return block;
}

/* Blocks come after those that dominate them. */
static void find_homes(const struct ir *ir, struct jit_tests *t)
{
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		struct gist *g = &t->gists[i];
		bool joined = (ir->facts.block[i] & IR_REACHED) && (g->kind == GIST_TEST || g->kind == GIST_EMPTY);

		t->home[i] = joined ? t->home[ir->idom[i]] : i;
		if (g->ends_in_test) {
			g->match = jit_tests_resolve(t, g->match);
			g->miss = jit_tests_resolve(t, g->miss);
		}
	}
}

/* ---- which blocks are still gone to ---- */

const struct plan *jit_tests_plan(struct jit_tests *t, uint32_t block)
{
	if (t->planned != block)
		fuse_list(t->gists, block, t->max_items, &t->plan);
	t->planned = block;
	return &t->plan;
}

static void note_windows(struct jit_tests *t)
{
	const struct reg_list *list = &t->plan.list;

	for (uint32_t w = 0; w < list->width; w++)
		if (!jit_window_of_value(list->at[w]) && list->at[w] + 8 > t->guard)
			t->guard = list->at[w] + 8;
}

/* Are all exits but the last constants? */
static bool leads_on(const struct jit_tests *t)
{
	for (uint32_t i = 0; i < t->plan.list.n; i++)
		if (t->gists[t->plan.exit[i]].kind != GIST_RET)
			return false;
	return true;
}

unsigned jit_tests_chain(struct jit_tests *t, uint32_t block, uint32_t heads[JIT_MAX_CHAIN])
{
	for (unsigned n = 0; n < JIT_MAX_CHAIN; n++) {
		heads[n] = block;
		jit_tests_plan(t, block);
		note_windows(t);
		block = t->plan.exit[t->plan.list.n];
		if (!leads_on(t))
			return 0;
		if (t->gists[block].kind == GIST_RET)
			return n + 1;
		if (t->gists[block].kind != GIST_TEST || t->plan.list.n == 1)
			return 0;
	}
	return 0;
}

static void emit_exits(const struct ir *ir, struct jit_tests *t, uint32_t block)
{
	const struct ir_block *b = &ir->blocks[block];
	uint32_t heads[JIT_MAX_CHAIN];

	if (t->gists[block].ends_in_test) {
		if (jit_tests_chain(t, block, heads))
			return;
		jit_tests_plan(t, block);
		note_windows(t);
		for (uint32_t i = 0; i <= t->plan.list.n; i++)
			t->emitted[t->plan.exit[i]] = 1;
		return;
	}
	for (unsigned k = 0; k < b->n_succs; k++)
		if (ir->facts.block[block] & (k ? IR_TAKES_1 : IR_TAKES_0))
			t->emitted[b->succ[k].block] = 1;
}

static int find_tests(const struct ir *ir, const uint8_t *needed, struct jit_tests *t)
{
	for (uint32_t i = 0; i < ir->n_blocks; i++)
		if (ir->facts.block[i] & IR_REACHED)
			find_gist(ir, needed, i, &t->gists[i]);
	find_homes(ir, t);
	t->emitted[0] = 1;
	/* Without loops every way leads to blocks with larger numbers. */
	for (uint32_t i = 0; i < ir->n_blocks; i++)
		if (t->emitted[i])
			emit_exits(ir, t, i);
	return jit_dead_tests(ir, t->gists, &t->needed);
}

int jit_tests(const struct ir *ir, const uint8_t *needed, uint32_t max_items, struct jit_tests *t)
{
	*t = (struct jit_tests){.max_items = max_items, .planned = IR_NONE, .guard = ir->program->need_bytes};
	t->gists = calloc(ir->n_blocks, sizeof(*t->gists));
	t->home = malloc(ir->n_blocks * sizeof(*t->home));
	t->emitted = calloc(ir->n_blocks, 1);
	if (!t->gists || !t->home || !t->emitted)
		return -ENOMEM;
	return find_tests(ir, needed, t);
}

void jit_tests_fini(struct jit_tests *t)
{
	free(t->gists);
	free(t->home);
	free(t->emitted);
	free(t->needed);
}

/* ---- one condition, as plain instructions test it ---- */

static struct jit_part narrowest(uint64_t mask, uint64_t value)
{
	unsigned first = (unsigned)__builtin_ctzll(mask) / 8, last = 7 - (unsigned)__builtin_clzll(mask) / 8, bytes = 1;
	struct jit_part p;

	while (bytes < last + 1 - first)
		bytes *= 2;
	if (first + bytes > 8)
		first = 8 - bytes;
	p = (struct jit_part){first, bytes, mask >> 8 * first, value >> 8 * first};
	p.mask &= jit_low_bytes(bytes);
	p.value &= jit_low_bytes(bytes);
	return p;
}

struct jit_part jit_part_of(const struct reg_list *list, uint32_t w, uint32_t item)
{
	uint64_t mask = list->mask[w][item], value = list->value[w][item];
	int shift;

	if (!jit_window_of_value(list->at[w]))
		return narrowest(mask, value);
	shift = jit_window_shift(list->at[w]);
	if (shift > 0)
		return (struct jit_part){0, 8, mask << shift, value << shift};
	return (struct jit_part){0, 8, mask >> -shift, value >> -shift};
}

/* vfl_order.c: which values are needed where, and which are computed where they are used: those with one use, if that keeps the order of what
 * can be noticed (faults of different kinds, updates, reads of tables). */
#include <errno.h>
#include <string.h>

#include "vm/vfl_emit.h"

#define MAX_LIVENESS_BYTES ((size_t)64 << 20) /* a bit per block and value that is used in another block */

/* What an operation, or what is computed with it, must keep its place for. */
enum trace { TRACE_LOAD = 1, TRACE_DIVIDE = 2, TRACE_READ = 4, TRACE_UPDATE = 8 };

/* ---- liveness ---- */

bool vfl_is_cheap(const struct vfl_value *v)
{
	return v->kind == VFL_CONSTANT ||
	       (v->kind == VFL_OPERATION && (v->op == VFM_OP_PKTLEN || v->op == VFM_OP_NOW || v->op == VFM_OP_INPUT));
}

bool vfl_is_needed(const struct vfl_emitter *e, uint32_t i)
{
	const struct vfl_value *v = &e->g->values[i];

	return v->kind == VFL_OPERATION && (v->uses || (vfl_must_execute(v) && !vfl_divides_safely(e->g, v)));
}

uint32_t vfl_used_parameter(const struct vfl_emitter *e, uint32_t block)
{
	uint32_t parameter = e->g->blocks[block].parameter;

	return parameter && e->g->values[parameter].uses ? parameter : VFL_NONE;
}

static unsigned n_ways(const struct vfl_block *b)
{
	return b->end_kind == VFL_END_BRANCH ? 2 : b->end_kind == VFL_END_JUMP ? 1 : 0;
}

/* Calls visit for each operand of the block: of its operations in order, of its test, of its jumps. */
void vfl_visit_uses(struct vfl_emitter *e, uint32_t block, void (*visit)(struct vfl_emitter *e, uint32_t block, uint32_t value))
{
	const struct vfl_block *b = &e->g->blocks[block];

	for (uint32_t i = b->first; i < b->end; i++) {
		if (!vfl_is_needed(e, i))
			continue;
		visit(e, block, e->g->values[i].a);
		visit(e, block, e->g->values[i].b);
	}
	if (b->end_kind != VFL_END_JUMP)
		visit(e, block, b->test.a);
	if (b->end_kind == VFL_END_BRANCH)
		visit(e, block, b->test.b);
	for (unsigned i = 0; i < n_ways(b); i++)
		if (vfl_used_parameter(e, b->to[i]))
			visit(e, block, b->argument[i]);
}

static void number_live(struct vfl_emitter *e, uint32_t block, uint32_t value)
{
	if (value && !vfl_is_cheap(&e->g->values[value]) && e->g->values[value].block != block && !e->live_index[value])
		e->live_index[value] = ++e->n_live;
}

static void set_live(struct vfl_emitter *e, uint32_t block, uint32_t value)
{
	uint32_t i = e->live_index[value];

	if (i && e->g->values[value].block != block)
		e->live[block * e->live_words + i / 64] |= 1ull << i % 64;
}

bool vfl_is_live(const struct vfl_emitter *e, uint32_t block, uint32_t value)
{
	uint32_t i = e->live_index[value];

	return i && (e->live[block * e->live_words + i / 64] >> i % 64 & 1);
}

static void clear_own(struct vfl_emitter *e, uint32_t block)
{
	const struct vfl_block *b = &e->g->blocks[block];

	for (uint32_t v = b->first; v < b->end; v++) {
		uint32_t i = e->live_index[v];

		if (i)
			e->live[block * e->live_words + i / 64] &= ~(1ull << i % 64);
	}
}

void vfl_find_live(struct vfl_emitter *e)
{
	struct vfl_graph *g = e->g;

	for (uint32_t i = 0; i < g->n_order; i++)
		if (g->blocks[g->order[i]].reached)
			vfl_visit_uses(e, g->order[i], number_live);
	e->live_words = e->n_live / 64 + 1;
	if (g->n_blocks * e->live_words * 8 > MAX_LIVENESS_BYTES) {
		vfl_error(e->c, NULL, "the program keeps too many values for later; bind fewer names");
		vfl_escape(e->c, EINVAL);
	}
	e->live = vfl_alloc(e->c, g->n_blocks * e->live_words * 8);
	for (uint32_t i = g->n_order; i-- > 0;) {
		uint32_t block = g->order[i];
		const struct vfl_block *b = &g->blocks[block];

		if (!b->reached)
			continue;
		for (unsigned way = 0; way < n_ways(b); way++)
			for (size_t w = 0; w < e->live_words; w++)
				e->live[block * e->live_words + w] |= e->live[b->to[way] * e->live_words + w];
		clear_own(e, block);
		vfl_visit_uses(e, block, set_live);
	}
}

bool vfl_is_live_after(const struct vfl_emitter *e, uint32_t value)
{
	const struct vfl_block *b = &e->g->blocks[e->block];

	for (unsigned way = 0; way < n_ways(b); way++)
		if (vfl_is_live(e, b->to[way], value))
			return true;
	return false;
}

/* ---- what may be computed where it is used ---- */

static uint8_t own_trace(const struct vfl_emitter *e, const struct vfl_value *v)
{
	uint16_t flags = vfm_ops[v->op].flags;

	if (flags & VFM_F_UPDATE)
		return TRACE_UPDATE;
	if (flags & VFM_F_READ)
		return TRACE_READ;
	if (flags & VFM_F_BOUNDS)
		return TRACE_LOAD;
	return (flags & VFM_F_DIVIDE) && !vfl_divides_safely(e->g, v) ? TRACE_DIVIDE : 0;
}

/* Changing the order of a and b could be noticed. Two loads end in the same error. */
static bool conflict(uint8_t a, uint8_t b)
{
	return ((a & TRACE_LOAD) && (b & TRACE_DIVIDE)) || ((a & TRACE_DIVIDE) && (b & TRACE_LOAD)) || ((a & TRACE_UPDATE) && b) ||
	       ((b & TRACE_UPDATE) && a);
}

/* The pending value number i gets a slot after all, and so does every one before it whose place matters to it. */
static void pin(struct vfl_emitter *e, uint32_t i)
{
	uint32_t kept = 0;
	uint8_t trace = e->traces[e->pending[i]];
	bool drop[VFL_MAX_PENDING];
	uint32_t n = e->n_pending;

	memset(drop, 0, sizeof(drop));
	for (uint32_t k = i + 1; k-- > 0;) {
		if (k != i && !conflict(e->traces[e->pending[k]], trace))
			continue;
		drop[k] = true;
		trace |= e->traces[e->pending[k]];
		e->inlined[e->pending[k]] = false;
	}
	for (uint32_t k = 0; k < n; k++)
		if (!drop[k])
			e->pending[kept++] = e->pending[k];
	e->n_pending = kept;
}

/* An operand of an operation, or of the end, whose user is about to be placed: it stays inlined if nothing that came after it and must
 * stay after it is still to be computed before. */
static uint8_t take_pending(struct vfl_emitter *e, uint32_t value)
{
	uint32_t i;
	uint8_t trace = e->traces[value];

	for (i = 0; i < e->n_pending && e->pending[i] != value; i++)
		;
	if (i == e->n_pending)
		return 0;
	for (uint32_t k = i + 1; k < e->n_pending; k++) {
		if (conflict(trace, e->traces[e->pending[k]])) {
			pin(e, i);
			return 0;
		}
	}
	memmove(&e->pending[i], &e->pending[i + 1], (e->n_pending - i - 1) * sizeof(*e->pending));
	e->n_pending--;
	return trace;
}

/* What is computed here goes before every pending value. */
static void pass_pending(struct vfl_emitter *e, uint8_t trace)
{
	for (uint32_t i = e->n_pending; i-- > 0;) {
		if (i < e->n_pending && conflict(e->traces[e->pending[i]], trace))
			pin(e, i);
	}
}

static uint8_t take_operands(struct vfl_emitter *e, uint32_t a, uint32_t b)
{
	uint8_t trace = 0;

	if (b)
		trace |= take_pending(e, b);
	if (a)
		trace |= take_pending(e, a);
	return trace;
}

static bool only_jump_argument(const struct vfl_emitter *e, uint32_t value)
{
	const struct vfl_block *b = &e->g->blocks[e->block];

	return b->end_kind == VFL_END_BRANCH && (b->argument[0] == value || b->argument[1] == value);
}

void vfl_choose_inlined(struct vfl_emitter *e)
{
	const struct vfl_block *b = &e->g->blocks[e->block];

	e->n_pending = 0;
	for (uint32_t i = b->first; i < b->end; i++) {
		const struct vfl_value *v = &e->g->values[i];

		if (!vfl_is_needed(e, i) || vfl_is_cheap(v))
			continue;
		e->traces[i] = own_trace(e, v) | take_operands(e, v->a, v->b);
		e->inlined[i] = v->uses == 1 && !e->live_index[i] && !only_jump_argument(e, i) && vfm_ops[v->op].pushes;
		if (!e->inlined[i])
			pass_pending(e, e->traces[i]);
		else if (e->traces[i] && e->n_pending < VFL_MAX_PENDING)
			e->pending[e->n_pending++] = i;
		else if (e->traces[i])
			e->inlined[i] = false;
	}
	if (b->end_kind == VFL_END_JUMP)
		take_operands(e, b->argument[0], VFL_NONE);
	else
		take_operands(e, b->test.a, b->end_kind == VFL_END_BRANCH ? b->test.b : VFL_NONE);
}

/* bpf_plan.c: which values are computed, which of them stay in the accumulator, and scratch slots for the rest.
 *
 * There are no cycles, so block order is a line along which every path runs forward: the live interval of a value is from where it is
 * made to its last user in that line, and slots are given by a linear scan. Positions are doubled: a value is stored at 2p + 1, after
 * its operands were read at 2p; a parameter is live from 2p - 1, before its first predecessor's end at 2p, so that arguments can be copied
 * one after another.
 */
#include <stdlib.h>
#include <string.h>

#include "vm/bpf_parts.h"
#include "vm/ir_fact.h"
#include "vm/vfm.h"

static bool edge_taken(const struct ir *ir, uint32_t block, unsigned k)
{
	return ir->facts.block[block] & (k ? IR_TAKES_1 : IR_TAKES_0);
}

static bool undecided(const struct ir *ir, uint32_t block)
{
	return ir->blocks[block].term == IR_BRANCH && edge_taken(ir, block, 0) && edge_taken(ir, block, 1);
}

/* RET whose accept or drop depends on the packet. */
static bool returns_variable(const struct ir *ir, uint32_t block)
{
	const struct ir_fact *f = &ir->facts.term[2 * block];

	return ir->blocks[block].term == IR_RET && f->lo == 0 && f->hi != 0;
}

static void use(struct bpf_plan *p, uint32_t v)
{
	if (v == IR_NONE)
		return;
	p->needed[v] = 1;
	p->uses[v]++;
}

/* May this one end the packet, so that it has to be done even if nobody wants the result? Loads at constant offsets are guarded for
 * a whole block at once. */
static bool must_run(const struct ir *ir, uint32_t block, uint32_t id)
{
	const struct ir_value *v = &ir->values[id];
	const struct ir_fact *operand = &ir->facts.operand[id];

	if (!(ir_ops[v->op].flags & IR_F_FAULT) || !(ir_ops[v->op].flags & IR_F_A))
		return false;
	if (!ir_ops[v->op].bytes)
		return operand->lo == 0;
	return operand->hi > VFM_MAX_PACKET_BYTES || operand->hi + ir_ops[v->op].bytes > ir->facts.len_lo[block];
}

/* Users before operands: last block first, each from its end. */
static void find_needed(const struct ir *ir, struct bpf_plan *p, uint32_t block)
{
	const struct ir_block *b = &ir->blocks[block];

	for (unsigned k = 0; k < b->n_succs; k++) {
		const struct ir_block *to = &ir->blocks[b->succ[k].block];

		for (uint32_t i = 0; i < to->n_params && edge_taken(ir, block, k); i++)
			if (p->needed[to->first + i])
				use(p, ir->args[b->succ[k].args + i]);
	}
	if (undecided(ir, block) || returns_variable(ir, block)) {
		use(p, b->a);
		use(p, b->b);
	}
	for (uint32_t id = b->first + b->n_values; id-- > b->first + b->n_params;) {
		if (must_run(ir, block, id))
			p->needed[id] = 1;
		if (!p->needed[id])
			continue;
		use(p, ir->values[id].a);
		use(p, ir->values[id].b);
	}
}

/* Can the computation w take v, which was just computed, from the accumulator? */
static bool takes_from_a(const struct ir *ir, uint32_t v, const struct ir_value *w)
{
	const struct ir_value *b;

	if (w->b == IR_NONE)
		return w->a == v;
	if (w->b == v)
		return w->a != v;
	b = &ir->values[w->b];
	if (w->a != v)
		return false;
	/* A shift by a variable count, and an operand that must itself be loaded through the accumulator, come first. */
	if ((w->op == IR_SHL || w->op == IR_SHR) && b->op != IR_CONST)
		return false;
	return !(b->op >= IR_LD8 && b->op <= IR_LD64) || bpf_commutes(w->op);
}

/* Is v an argument of the one edge of a GOTO? */
static bool goes_along(const struct ir *ir, const struct bpf_plan *p, const struct ir_block *b, uint32_t v)
{
	const struct ir_block *to = &ir->blocks[b->succ[0].block];

	for (uint32_t i = 0; i < to->n_params; i++)
		if (p->needed[to->first + i] && ir->args[b->succ[0].args + i] == v)
			return true;
	return false;
}

static bool term_takes_from_a(const struct ir *ir, const struct bpf_plan *p, uint32_t block, uint32_t v)
{
	const struct ir_block *b = &ir->blocks[block];

	if (undecided(ir, block))
		return (b->a == v) != (b->b == v);
	if (b->term == IR_RET)
		return returns_variable(ir, block) && b->a == v;
	return b->term == IR_GOTO && goes_along(ir, p, b, v);
}

static void order_block(const struct ir *ir, struct bpf_plan *p, uint32_t block)
{
	const struct ir_block *b = &ir->blocks[block];
	uint32_t next = IR_NONE;

	for (uint32_t id = b->first + b->n_values; id-- > b->first + b->n_params;) {
		if (!p->needed[id] || bpf_is_cheap(&ir->values[id]))
			continue;
		p->next[id] = next;
		/* One use: if the successor's computation does not name it, somebody later does. */
		if (p->uses[id] == 1)
			p->in_a[id] =
				next == IR_NONE ? term_takes_from_a(ir, p, block, id) : takes_from_a(ir, id, &ir->values[next]);
		next = id;
	}
}

struct interval {
	uint32_t start, end; /* doubled positions */
	uint32_t value;
};

static uint32_t position(uint32_t block, uint32_t value)
{
	return 2 * (value + block);
}

static uint32_t term_position(const struct ir *ir, uint32_t block)
{
	return position(block, ir->blocks[block].first + ir->blocks[block].n_values);
}

static bool wants_slot(const struct ir *ir, const struct bpf_plan *p, uint32_t v)
{
	return v != IR_NONE && p->needed[v] && p->uses[v] && !p->in_a[v] && !bpf_is_cheap(&ir->values[v]);
}

static void extend(struct interval *at, uint32_t v, uint32_t pos)
{
	if (v == IR_NONE)
		return;
	if (pos > at[v].end)
		at[v].end = pos;
}

/* Live intervals of all values, by value. */
static void find_intervals(const struct ir *ir, const struct bpf_plan *p, struct interval *at)
{
	for (uint32_t n = 0; n < p->n_blocks; n++) {
		uint32_t block = p->blocks[n], end = term_position(ir, block);
		const struct ir_block *b = &ir->blocks[block];

		for (uint32_t id = b->first + b->n_params; id < b->first + b->n_values; id++) {
			at[id].start = position(block, id) + 1;
			if (!p->needed[id])
				continue;
			extend(at, ir->values[id].a, position(block, id));
			extend(at, ir->values[id].b, position(block, id));
		}
		extend(at, b->a, end);
		extend(at, b->b, end);
		for (unsigned k = 0; k < b->n_succs; k++) {
			const struct ir_block *to = &ir->blocks[b->succ[k].block];

			for (uint32_t i = 0; i < to->n_params && edge_taken(ir, block, k); i++) {
				extend(at, ir->args[b->succ[k].args + i], end);
				if (end - 1 < at[to->first + i].start)
					at[to->first + i].start = end - 1;
			}
		}
	}
}

static int by_start(const void *x, const void *y)
{
	const struct interval *a = x, *b = y;

	return a->start < b->start ? -1 : a->start > b->start;
}

static void give_slots(const struct ir *ir, struct bpf_plan *p, const struct interval *line, uint32_t n, struct bpf_draft *d)
{
	uint32_t busy_until[BPF_SLOTS] = {0};

	for (uint32_t i = 0; i < n; i++) {
		unsigned slot = 0;

		while (slot < BPF_SLOTS && busy_until[slot] >= line[i].start)
			slot++;
		if (slot == BPF_SLOTS) {
			bpf_refuse(
				d, VFM_ERROR_INVALID_PROGRAM,
				"at %u more than %d values are live at once, and BPF has %d scratch slots: use values sooner after "
				"they are computed",
				ir->values[line[i].value].pc, BPF_SLOTS, BPF_SLOTS);
			return;
		}
		busy_until[slot] = line[i].end;
		p->slot[line[i].value] = (uint8_t)slot;
	}
}

static int assign_slots(const struct ir *ir, struct bpf_plan *p, struct bpf_draft *d)
{
	struct interval *at = malloc((ir->n_values + 1ul) * sizeof(*at));
	uint32_t n = 0;

	if (!at) {
		bpf_refuse(d, VFM_ERROR_NO_MEMORY, "out of memory");
		return d->error;
	}
	for (uint32_t v = 0; v < ir->n_values; v++)
		at[v] = (struct interval){UINT32_MAX, 0, v};
	find_intervals(ir, p, at);
	for (uint32_t v = 0; v < ir->n_values; v++)
		if (wants_slot(ir, p, v))
			at[n++] = at[v];
	p->has_slots = n > 0;
	qsort(at, n, sizeof(*at), by_start);
	give_slots(ir, p, at, n, d);
	free(at);
	return d->error;
}

/* Does something in the block always fault? Then the facts know nothing of what follows. */
static bool always_faults(const struct ir *ir, uint32_t block)
{
	const struct ir_block *b = &ir->blocks[block];

	return b->n_values > b->n_params && fact_never(&ir->facts.value[b->first + b->n_values - 1]);
}

static int alloc(const struct ir *ir, struct bpf_plan *p)
{
	size_t values = ir->n_values + 1ul;

	p->needed = calloc(values, 1);
	p->in_a = calloc(values, 1);
	p->slot = malloc(values);
	p->uses = calloc(values, sizeof(*p->uses));
	p->next = malloc(values * sizeof(*p->next));
	p->dead = calloc(ir->n_blocks, 1);
	p->blocks = malloc(ir->n_blocks * sizeof(*p->blocks));
	return p->needed && p->in_a && p->slot && p->uses && p->next && p->dead && p->blocks ? 0 : -1;
}

int bpf_plan(const struct ir *ir, struct bpf_plan *plan, struct bpf_draft *d)
{
	*plan = (struct bpf_plan){0};
	if (alloc(ir, plan)) {
		bpf_refuse(d, VFM_ERROR_NO_MEMORY, "out of memory");
		return d->error;
	}
	memset(plan->slot, BPF_NO_SLOT, ir->n_values);
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		if (!(ir->facts.block[i] & IR_REACHED))
			continue;
		plan->dead[i] = always_faults(ir, i);
		plan->blocks[plan->n_blocks++] = i;
	}
	for (uint32_t n = plan->n_blocks; n-- > 0;)
		if (!plan->dead[plan->blocks[n]])
			find_needed(ir, plan, plan->blocks[n]);
	for (uint32_t n = 0; n < plan->n_blocks; n++)
		if (!plan->dead[plan->blocks[n]])
			order_block(ir, plan, plan->blocks[n]);
	return assign_slots(ir, plan, d);
}

void bpf_plan_fini(struct bpf_plan *plan)
{
	free(plan->needed);
	free(plan->in_a);
	free(plan->slot);
	free(plan->uses);
	free(plan->next);
	free(plan->dead);
	free(plan->blocks);
}

/* vfl_emit.c: a graph of blocks to stack code.
 *
 * A value that is used once is computed where it is used, if that keeps the order of what can be noticed: faults of different kinds,
 * updates, reads of tables. Others are computed in order and stay in their slot of the stack; users copy them (DUP, OVER, PICK), the
 * last one takes the slot itself if it is on top. What nobody needs any more is left lying: paths may meet with different depths, only
 * the slots that are still needed must be equally far from the top. Where they are not, the jump gets code that copies them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/vfl_emit.h"

#define TIDY_DEPTH 160 /* from here on, slots that nobody needs are popped */
#define MAX_CHANGE 3   /* slots that are popped or added where paths meet; more are copied anew */

/* ---- the stack ---- */

static void push_slot(struct vfl_emitter *e, uint32_t value)
{
	if (e->below + e->n >= VFM_STACK_SLOTS) {
		vfl_error(e->c, NULL, "the program needs more than %d values at a time; bind fewer names or nest less deeply",
			  VFM_STACK_SLOTS);
		vfl_escape(e->c, EINVAL);
	}
	e->slot[e->n++] = value;
}

/* How far below the top value lies; -1: nowhere. */
static int depth_of(const struct vfl_emitter *e, uint32_t value)
{
	for (uint32_t i = e->n; i-- > 0;)
		if (e->slot[i] == value)
			return (int)(e->n - 1 - i);
	return -1;
}

static void copy_slot(struct vfl_emitter *e, uint32_t value)
{
	int depth = depth_of(e, value);

	if (depth == 0)
		vfl_put(&e->code, VFM_OP_DUP, 0);
	else if (depth == 1)
		vfl_put(&e->code, VFM_OP_OVER, 0);
	else
		vfl_put(&e->code, VFM_OP_PICK, (uint64_t)depth);
	push_slot(e, value);
}

static bool in_slot(const struct vfl_emitter *e, uint32_t value)
{
	return !vfl_is_cheap(&e->g->values[value]) && !e->inlined[value];
}

/* Nobody needs the slot's value after `uses` more uses in this block. */
static bool dies_after(const struct vfl_emitter *e, uint32_t value, uint32_t uses)
{
	return e->left[value] <= uses && !vfl_is_live_after(e, value);
}

static bool is_top(const struct vfl_emitter *e, uint32_t depth, uint32_t value)
{
	return e->n > depth && e->slot[e->n - 1 - depth] == value;
}

static void begin_statement(struct vfl_emitter *e)
{
	e->started = false;
	while (e->n && e->below + e->n > TIDY_DEPTH && (!e->slot[e->n - 1] || dies_after(e, e->slot[e->n - 1], 0))) {
		vfl_put(&e->code, VFM_OP_POP, 0);
		e->n--;
	}
}

/* ---- operations ---- */

static void emit_operation(struct vfl_emitter *e, uint32_t value);

/* Brings an operand to the top of the stack. */
static void emit_operand(struct vfl_emitter *e, uint32_t value)
{
	const struct vfl_value *v = &e->g->values[value];

	e->left[value]--;
	if (e->inlined[value]) {
		emit_operation(e, value);
		return;
	}
	e->started = true;
	if (e->taken) {
		e->taken = false; /* it is the one that lies on top */
		return;
	}
	if (v->kind == VFL_CONSTANT) {
		vfl_put(&e->code, VFM_OP_PUSH, v->imm);
		push_slot(e, value);
	} else if (vfl_is_cheap(v)) {
		vfl_put(&e->code, v->op, 0);
		push_slot(e, value);
	} else {
		copy_slot(e, value);
	}
}

/* How the first operands of a statement are taken from where they lie. */
struct start {
	bool both;    /* a and b are the two slots on top, and die here */
	bool swapped; /* b is the lower of the two, or on top with a to be brought above it */
};

static bool commutes(const struct vfl_value *v)
{
	return vfm_ops[v->op].flags & VFM_F_COMMUTES;
}

static struct start plan_start(struct vfl_emitter *e, uint32_t a, uint32_t b, bool may_swap)
{
	struct start s = {false, false};

	if (!a || !in_slot(e, a) || e->started)
		return s;
	if (a == b) {
		e->taken = is_top(e, 0, a) && dies_after(e, a, 2);
		return s;
	}
	if (b && in_slot(e, b) && dies_after(e, b, 1)) {
		if (is_top(e, 0, b) && is_top(e, 1, a) && dies_after(e, a, 1)) {
			s.both = true;
			return s;
		}
		if (is_top(e, 0, b) && may_swap) {
			s.swapped = true;
			return s;
		}
		if (is_top(e, 0, a) && is_top(e, 1, b) && may_swap && dies_after(e, a, 1)) {
			s.both = s.swapped = true;
			return s;
		}
	}
	e->taken = is_top(e, 0, a) && dies_after(e, a, 1);
	return s;
}

/* Brings a and b to the top. True: b lies below a. */
static bool emit_operands(struct vfl_emitter *e, uint32_t a, uint32_t b, bool may_swap)
{
	struct start s = plan_start(e, a, b, may_swap);

	if (s.both) {
		e->started = true;
		e->left[a]--;
		e->left[b]--;
	} else if (s.swapped) {
		e->left[b]--;
		e->started = true;
		emit_operand(e, a);
	} else {
		if (a)
			emit_operand(e, a);
		if (b)
			emit_operand(e, b);
	}
	return s.swapped;
}

static void emit_opcode(struct vfl_emitter *e, const struct vfl_value *v)
{
	static const uint8_t numbered[][2] = {
		{VFM_OP_FLOW_LOAD, VFM_OP_FLOW_LOAD_T},
		{VFM_OP_FLOW_STORE, VFM_OP_FLOW_STORE_T},
		{VFM_OP_FLOW_ADD, VFM_OP_FLOW_ADD_T},
		{VFM_OP_FLOW_DEL, VFM_OP_FLOW_DEL_T},
	};

	if (v->table) {
		for (int i = 0; i < 4; i++)
			if (numbered[i][0] == v->op)
				vfl_put(&e->code, numbered[i][1], v->table);
	} else {
		vfl_put(&e->code, v->op, v->imm);
	}
}

/* The operation with all that is computed for it, its result on top (if it has one). */
static void emit_operation(struct vfl_emitter *e, uint32_t value)
{
	const struct vfl_value *v = &e->g->values[value];

	emit_operands(e, v->a, v->b, commutes(v));
	emit_opcode(e, v);
	e->n -= (v->a != VFL_NONE) + (v->b != VFL_NONE);
	if (vfm_ops[v->op].pushes)
		push_slot(e, v->uses ? value : VFL_NONE);
}

/* ---- jumps ---- */

static bool returns_constant(const struct vfl_emitter *e, uint32_t block)
{
	const struct vfl_block *b = &e->g->blocks[block];

	if (b->end_kind != VFL_END_RET || e->g->values[b->test.a].kind != VFL_CONSTANT)
		return false;
	for (uint32_t i = b->first; i < b->end; i++)
		if (vfl_is_needed(e, i))
			return false;
	return true;
}

static bool is_needed_in(const struct vfl_emitter *e, uint32_t block, uint32_t value)
{
	return value && (value == vfl_used_parameter(e, block) || vfl_is_live(e, block, value));
}

static void record_entry(struct vfl_emitter *e, uint32_t block)
{
	struct vfl_entry *in = &e->entry[block];

	in->recorded = true;
	in->depth = e->below + e->n;
	for (uint32_t i = 0; i < e->n; i++)
		if (is_needed_in(e, block, e->slot[e->n - 1 - i]) && depth_of(e, e->slot[e->n - 1 - i]) == (int)i)
			in->n = i + 1;
	in->value = vfl_alloc(e->c, (in->n ? in->n : 1) * sizeof(*in->value));
	for (uint32_t i = 0; i < in->n; i++) {
		uint32_t value = e->slot[e->n - 1 - i];

		in->value[i] = is_needed_in(e, block, value) && depth_of(e, value) == (int)i ? value : VFL_NONE;
	}
}

/* How the stack can be brought to what a block expects without copying it anew. */
struct change {
	uint32_t kept; /* slots on top that stay where they are: the block's parameter, or none */
	uint32_t pops; /* slots below those that go */
	uint32_t adds; /* slots below those that come, holding anything */
};

static bool fits_entry(const struct vfl_emitter *e, const struct vfl_entry *in, struct change change)
{
	for (uint32_t i = 0; i < in->n; i++) {
		uint32_t depth = i < change.kept ? i : i + change.pops;

		if (!in->value[i])
			continue;
		if (i >= change.kept && i < change.kept + change.adds)
			return false;
		if (i >= change.kept)
			depth -= change.adds;
		if (depth >= e->n || e->slot[e->n - 1 - depth] != in->value[i])
			return false;
	}
	return true;
}

static bool fits(struct vfl_emitter *e, uint32_t block, uint32_t argument)
{
	struct vfl_entry *in = &e->entry[block];

	if (vfl_used_parameter(e, block) && argument)
		return false;
	if (!in->recorded)
		record_entry(e, block);
	if (!fits_entry(e, in, (struct change){0, 0, 0}))
		return false;
	if (in->depth < e->below + e->n)
		in->depth = e->below + e->n;
	return true;
}

/* Finds a cheap change after which the stack fits; false: there is none. */
static bool find_change(const struct vfl_emitter *e, const struct vfl_entry *in, uint32_t kept, struct change *change)
{
	for (uint32_t k = 0; k < 2 * MAX_CHANGE; k++) {
		*change = (struct change){kept, 0, 0};
		if (k % 2)
			change->adds = k / 2 + 1;
		else
			change->pops = k / 2;
		if (change->pops + kept <= e->n && fits_entry(e, in, *change))
			return true;
	}
	return false;
}

static void apply_change(struct vfl_emitter *e, struct change change)
{
	for (uint32_t i = 0; i < change.pops; i++) {
		if (change.kept)
			vfl_put(&e->code, VFM_OP_SWAP, 0);
		vfl_put(&e->code, VFM_OP_POP, 0);
		if (change.kept)
			e->slot[e->n - 2] = e->slot[e->n - 1];
		e->n--;
	}
	for (uint32_t i = 0; i < change.adds; i++) {
		vfl_put(&e->code, e->n ? VFM_OP_DUP : VFM_OP_PUSH, 0);
		push_slot(e, change.kept ? e->slot[e->n - 1] : VFL_NONE);
	}
}

static void copy_entry(struct vfl_emitter *e, const struct vfl_entry *in)
{
	for (uint32_t i = in->n; i-- > 0;) {
		if (in->value[i]) {
			copy_slot(e, in->value[i]);
		} else {
			vfl_put(&e->code, VFM_OP_PUSH, 0);
			push_slot(e, VFL_NONE);
		}
	}
}

/* Makes the stack as the block expects it. */
static void adapt(struct vfl_emitter *e, uint32_t block)
{
	struct vfl_entry *in = &e->entry[block];
	struct change change;

	if (!in->recorded)
		record_entry(e, block);
	if (find_change(e, in, vfl_used_parameter(e, block) ? 1 : 0, &change))
		apply_change(e, change);
	else
		copy_entry(e, in);
	if (in->depth < e->below + e->n)
		in->depth = e->below + e->n;
}

/* Leaves for block by the end of the code written so far; next is the block that comes after. */
static void emit_goto(struct vfl_emitter *e, uint32_t block, uint32_t argument, uint32_t next)
{
	uint32_t parameter = vfl_used_parameter(e, block);

	if (returns_constant(e, block)) {
		vfl_put(&e->code, VFM_OP_PUSH, e->g->values[e->g->blocks[block].test.a].imm);
		push_slot(e, VFL_NONE);
		vfl_put(&e->code, VFM_OP_RET, 0);
		return;
	}
	if (parameter) {
		if (!in_slot(e, argument) || !is_top(e, 0, argument) || !dies_after(e, argument, 1))
			emit_operand(e, argument);
		else
			e->left[argument]--;
		e->slot[e->n - 1] = parameter;
	}
	adapt(e, block);
	if (block != next)
		vfl_put_jump(&e->code, VFM_OP_JMP, e->label[block]);
}

static uint8_t mirrored(uint8_t op)
{
	switch (op) {
	case VFM_OP_JGT:
		return VFM_OP_JLT;
	case VFM_OP_JLT:
		return VFM_OP_JGT;
	case VFM_OP_JGE:
		return VFM_OP_JLE;
	case VFM_OP_JLE:
		return VFM_OP_JGE;
	default:
		return op;
	}
}

/* Neither way finds the stack as it must be: each gets its own code. */
static void emit_both_ways(struct vfl_emitter *e, const struct vfl_block *b, uint8_t op, uint32_t next)
{
	uint32_t yes = vfl_label(&e->code), n = e->n;
	uint32_t slots[VFM_STACK_SLOTS];

	memcpy(slots, e->slot, n * sizeof(*slots));
	vfl_put_jump(&e->code, op, yes);
	emit_goto(e, b->to[1], b->argument[1], VFL_NONE);
	vfl_place(&e->code, yes);
	memcpy(e->slot, slots, n * sizeof(*slots));
	e->n = n;
	emit_goto(e, b->to[0], b->argument[0], next);
}

static void emit_branch(struct vfl_emitter *e, const struct vfl_block *b, uint32_t next)
{
	struct vfl_relation test = b->test;
	bool fits_yes, fits_no;

	if (emit_operands(e, test.a, test.b, true))
		test.op = mirrored(test.op);
	e->n -= 2;
	fits_yes = fits(e, b->to[0], b->argument[0]);
	fits_no = fits(e, b->to[1], b->argument[1]);
	if (!fits_yes && !fits_no) {
		emit_both_ways(e, b, test.op, next);
	} else if (fits_yes && (!fits_no || (b->to[0] != next && !returns_constant(e, b->to[0])) || b->to[1] == next)) {
		vfl_put_jump(&e->code, test.op, e->label[b->to[0]]);
		emit_goto(e, b->to[1], b->argument[1], next);
	} else {
		vfl_put_jump(&e->code, vfl_relation_inverse(test).op, e->label[b->to[1]]);
		emit_goto(e, b->to[0], b->argument[0], next);
	}
}

static void emit_end(struct vfl_emitter *e, uint32_t next)
{
	const struct vfl_block *b = &e->g->blocks[e->block];

	begin_statement(e);
	switch ((enum vfl_end_kind)b->end_kind) {
	case VFL_END_RET:
		emit_operands(e, b->test.a, VFL_NONE, false);
		vfl_put(&e->code, VFM_OP_RET, 0);
		break;
	case VFL_END_JUMP:
		emit_goto(e, b->to[0], b->argument[0], next);
		break;
	default:
		emit_branch(e, b, next);
	}
}

/* ---- blocks ---- */

static void count_left(struct vfl_emitter *e, uint32_t block, uint32_t value)
{
	(void)block;
	e->left[value]++;
}

static void clear_left(struct vfl_emitter *e, uint32_t block, uint32_t value)
{
	(void)block;
	e->left[value] = 0;
}

static void begin_stack(struct vfl_emitter *e)
{
	const struct vfl_entry *in = &e->entry[e->block];

	e->n = in->n;
	e->below = in->depth - in->n;
	for (uint32_t i = 0; i < in->n; i++)
		e->slot[in->n - 1 - i] = in->value[i];
}

static void emit_block(struct vfl_emitter *e, uint32_t block, uint32_t next)
{
	const struct vfl_block *b = &e->g->blocks[block];

	e->block = block;
	vfl_place(&e->code, e->label[block]);
	begin_stack(e);
	vfl_visit_uses(e, block, clear_left);
	vfl_visit_uses(e, block, count_left);
	vfl_choose_inlined(e);
	for (uint32_t i = b->first; i < b->end; i++) {
		if (!vfl_is_needed(e, i) || vfl_is_cheap(&e->g->values[i]) || e->inlined[i])
			continue;
		begin_statement(e);
		emit_operation(e, i);
	}
	emit_end(e, next);
}

/* The next block that is written whatever happens. */
static uint32_t next_block(const struct vfl_emitter *e, uint32_t i)
{
	for (i++; i < e->g->n_order; i++)
		if (e->g->blocks[e->g->order[i]].reached && !returns_constant(e, e->g->order[i]))
			return e->g->order[i];
	return VFL_NONE;
}

static void emit_tables(struct vfl_emitter *e)
{
	for (int32_t number = 0; number < 256; number++)
		for (const struct vfl_table *t = e->c->tables; t; t = t->next)
			if (t->number == number)
				vfl_put_table(&e->code, t);
}

static void init(struct vfl_emitter *e, struct vfl *c, struct vfl_graph *g)
{
	memset(e, 0, sizeof(*e));
	e->c = c;
	e->g = g;
	vfl_code_init(&e->code, c);
	e->label = vfl_alloc(c, g->n_blocks * sizeof(*e->label));
	e->entry = vfl_alloc(c, g->n_blocks * sizeof(*e->entry));
	e->inlined = vfl_alloc(c, g->n_values * sizeof(*e->inlined));
	e->traces = vfl_alloc(c, g->n_values * sizeof(*e->traces));
	e->left = vfl_alloc(c, g->n_values * sizeof(*e->left));
	e->live_index = vfl_alloc(c, g->n_values * sizeof(*e->live_index));
	e->pending = vfl_alloc(c, VFL_MAX_PENDING * sizeof(*e->pending));
	for (uint32_t i = 0; i < g->n_blocks; i++)
		e->label[i] = vfl_label(&e->code);
}

void vfl_emit(struct vfl *c, struct vfl_graph *g, uint8_t **code, uint32_t *len)
{
	struct vfl_emitter *e = vfl_alloc(c, sizeof(*e));

	init(e, c, g);
	vfl_find_live(e);
	emit_tables(e);
	for (uint32_t i = 0; i < g->n_order; i++)
		if (!i || (g->blocks[g->order[i]].reached && !returns_constant(e, g->order[i])))
			emit_block(e, g->order[i], next_block(e, i));
	/* Returns of constants last: most were written in the place of a jump to them. */
	for (uint32_t i = 0; i < g->n_order; i++)
		if (e->code.wanted[e->label[g->order[i]]] && returns_constant(e, g->order[i]))
			emit_block(e, g->order[i], VFL_NONE);
	*code = malloc(e->code.len);
	if (!*code)
		vfl_escape(c, ENOMEM);
	memcpy(*code, e->code.bytes, e->code.len);
	*len = e->code.len;
}

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

#include "vm/vfl_code.h"
#include "vm/vfl_graph.h"

#define TIDY_DEPTH         160                /* from here on, slots that nobody needs are popped */
#define MAX_CHANGE         3                  /* slots that are popped or added where paths meet; more are copied anew */
#define MAX_LIVENESS_BYTES ((size_t)64 << 20) /* a bit per block and value that is used in another block */

/* What an operation, or what is computed with it, must keep its place for. */
enum trace { TRACE_LOAD = 1, TRACE_DIVIDE = 2, TRACE_READ = 4, TRACE_UPDATE = 8 };

/* What a block finds on the stack when it begins: recorded by the first jump there, kept to by the others. */
struct entry {
	bool recorded;
	uint32_t n;
	uint32_t depth;  /* of the stack, at most */
	uint32_t *value; /* top first; VFL_NONE: needed by nobody */
};

struct emitter {
	struct vfl *c;
	struct vfl_graph *g;
	struct vfl_code code;
	uint32_t *label;      /* by block */
	struct entry *entry;  /* by block */
	bool *inlined;        /* by value: computed where it is used */
	uint8_t *traces;      /* by value: of an inlined one, with all that is computed with it */
	uint32_t *left;       /* by value: uses still to come in this block */
	uint32_t *live_index; /* by value: used in another block; from 1 */
	uint32_t n_live;
	size_t live_words;
	uint64_t *live;    /* by block: bit set of the values needed from its beginning on */
	uint32_t *pending; /* inlined values with traces whose user is still to come, in order */
	uint32_t n_pending;
	uint32_t slot[VFM_STACK_SLOTS + 1]; /* the stack, bottom first; VFL_NONE: needed by nobody */
	uint32_t n;
	uint32_t below; /* slots below these, at most */
	uint32_t block;
	bool started; /* something of the statement being written lies on the stack */
	bool taken;   /* its first operand lies in its place already */
};

/* ---- liveness ---- */

static bool is_cheap(const struct vfl_value *v)
{
	return v->kind == VFL_CONSTANT ||
	       (v->kind == VFL_OPERATION && (v->op == VFM_OP_PKTLEN || v->op == VFM_OP_NOW || v->op == VFM_OP_INPUT));
}

static bool divides_safely(const struct emitter *e, const struct vfl_value *v)
{
	const struct vfl_value *b = &e->g->values[v->b];

	return (vfm_ops[v->op].flags & VFM_F_DIVIDE) && b->kind == VFL_CONSTANT && b->imm;
}

static bool is_needed(const struct emitter *e, uint32_t i)
{
	const struct vfl_value *v = &e->g->values[i];

	return v->kind == VFL_OPERATION && (v->uses || (vfl_must_execute(v) && !divides_safely(e, v)));
}

static uint32_t used_parameter(const struct emitter *e, uint32_t block)
{
	uint32_t parameter = e->g->blocks[block].parameter;

	return parameter && e->g->values[parameter].uses ? parameter : VFL_NONE;
}

static unsigned n_ways(const struct vfl_block *b)
{
	return b->end_kind == VFL_END_BRANCH ? 2 : b->end_kind == VFL_END_JUMP ? 1 : 0;
}

/* Calls visit for each operand of the block: of its operations in order, of its test, of its jumps. */
static void visit_uses(struct emitter *e, uint32_t block, void (*visit)(struct emitter *e, uint32_t block, uint32_t value))
{
	const struct vfl_block *b = &e->g->blocks[block];

	for (uint32_t i = b->first; i < b->end; i++) {
		if (!is_needed(e, i))
			continue;
		visit(e, block, e->g->values[i].a);
		visit(e, block, e->g->values[i].b);
	}
	if (b->end_kind != VFL_END_JUMP)
		visit(e, block, b->test.a);
	if (b->end_kind == VFL_END_BRANCH)
		visit(e, block, b->test.b);
	for (unsigned i = 0; i < n_ways(b); i++)
		if (used_parameter(e, b->to[i]))
			visit(e, block, b->argument[i]);
}

static void number_live(struct emitter *e, uint32_t block, uint32_t value)
{
	if (value && !is_cheap(&e->g->values[value]) && e->g->values[value].block != block && !e->live_index[value])
		e->live_index[value] = ++e->n_live;
}

static void set_live(struct emitter *e, uint32_t block, uint32_t value)
{
	uint32_t i = e->live_index[value];

	if (i && e->g->values[value].block != block)
		e->live[block * e->live_words + i / 64] |= 1ull << i % 64;
}

static bool is_live(const struct emitter *e, uint32_t block, uint32_t value)
{
	uint32_t i = e->live_index[value];

	return i && (e->live[block * e->live_words + i / 64] >> i % 64 & 1);
}

static void clear_own(struct emitter *e, uint32_t block)
{
	const struct vfl_block *b = &e->g->blocks[block];

	for (uint32_t v = b->first; v < b->end; v++) {
		uint32_t i = e->live_index[v];

		if (i)
			e->live[block * e->live_words + i / 64] &= ~(1ull << i % 64);
	}
}

static void find_live(struct emitter *e)
{
	struct vfl_graph *g = e->g;

	for (uint32_t i = 0; i < g->n_order; i++)
		if (g->blocks[g->order[i]].reached)
			visit_uses(e, g->order[i], number_live);
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
		visit_uses(e, block, set_live);
	}
}

static bool is_live_after(const struct emitter *e, uint32_t value)
{
	const struct vfl_block *b = &e->g->blocks[e->block];

	for (unsigned way = 0; way < n_ways(b); way++)
		if (is_live(e, b->to[way], value))
			return true;
	return false;
}

/* ---- what may be computed where it is used ---- */

static uint8_t own_trace(const struct emitter *e, const struct vfl_value *v)
{
	uint16_t flags = vfm_ops[v->op].flags;

	if (flags & VFM_F_UPDATE)
		return TRACE_UPDATE;
	if (flags & VFM_F_READ)
		return TRACE_READ;
	if (flags & VFM_F_BOUNDS)
		return TRACE_LOAD;
	return (flags & VFM_F_DIVIDE) && !divides_safely(e, v) ? TRACE_DIVIDE : 0;
}

/* Changing the order of a and b could be noticed. Two loads end in the same error. */
static bool conflict(uint8_t a, uint8_t b)
{
	return ((a & TRACE_LOAD) && (b & TRACE_DIVIDE)) || ((a & TRACE_DIVIDE) && (b & TRACE_LOAD)) || ((a & TRACE_UPDATE) && b) ||
	       ((b & TRACE_UPDATE) && a);
}

/* The pending value number i gets a slot after all, and so does every one before it whose place matters to it. */
static void pin(struct emitter *e, uint32_t i)
{
	uint32_t kept = 0;
	uint8_t trace = e->traces[e->pending[i]];
	bool drop[VFM_STACK_SLOTS * 4];
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
static uint8_t take_pending(struct emitter *e, uint32_t value)
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
static void pass_pending(struct emitter *e, uint8_t trace)
{
	for (uint32_t i = e->n_pending; i-- > 0;) {
		if (i < e->n_pending && conflict(e->traces[e->pending[i]], trace))
			pin(e, i);
	}
}

static uint8_t take_operands(struct emitter *e, uint32_t a, uint32_t b)
{
	uint8_t trace = 0;

	if (b)
		trace |= take_pending(e, b);
	if (a)
		trace |= take_pending(e, a);
	return trace;
}

static bool only_jump_argument(const struct emitter *e, uint32_t value)
{
	const struct vfl_block *b = &e->g->blocks[e->block];

	return b->end_kind == VFL_END_BRANCH && (b->argument[0] == value || b->argument[1] == value);
}

static void choose_inlined(struct emitter *e)
{
	const struct vfl_block *b = &e->g->blocks[e->block];

	e->n_pending = 0;
	for (uint32_t i = b->first; i < b->end; i++) {
		const struct vfl_value *v = &e->g->values[i];

		if (!is_needed(e, i) || is_cheap(v))
			continue;
		e->traces[i] = own_trace(e, v) | take_operands(e, v->a, v->b);
		e->inlined[i] = v->uses == 1 && !e->live_index[i] && !only_jump_argument(e, i) && vfm_ops[v->op].pushes;
		if (!e->inlined[i])
			pass_pending(e, e->traces[i]);
		else if (e->traces[i] && e->n_pending < VFM_STACK_SLOTS * 4)
			e->pending[e->n_pending++] = i;
		else if (e->traces[i])
			e->inlined[i] = false;
	}
	if (b->end_kind == VFL_END_JUMP)
		take_operands(e, b->argument[0], VFL_NONE);
	else
		take_operands(e, b->test.a, b->end_kind == VFL_END_BRANCH ? b->test.b : VFL_NONE);
}

/* ---- the stack ---- */

static void push_slot(struct emitter *e, uint32_t value)
{
	if (e->below + e->n >= VFM_STACK_SLOTS) {
		vfl_error(e->c, NULL, "the program needs more than %d values at a time; bind fewer names or nest less deeply",
			  VFM_STACK_SLOTS);
		vfl_escape(e->c, EINVAL);
	}
	e->slot[e->n++] = value;
}

/* How far below the top value lies; -1: nowhere. */
static int depth_of(const struct emitter *e, uint32_t value)
{
	for (uint32_t i = e->n; i-- > 0;)
		if (e->slot[i] == value)
			return (int)(e->n - 1 - i);
	return -1;
}

static void copy_slot(struct emitter *e, uint32_t value)
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

static bool in_slot(const struct emitter *e, uint32_t value)
{
	return !is_cheap(&e->g->values[value]) && !e->inlined[value];
}

/* Nobody needs the slot's value after `uses` more uses in this block. */
static bool dies_after(const struct emitter *e, uint32_t value, uint32_t uses)
{
	return e->left[value] <= uses && !is_live_after(e, value);
}

static bool is_top(const struct emitter *e, uint32_t depth, uint32_t value)
{
	return e->n > depth && e->slot[e->n - 1 - depth] == value;
}

static void begin_statement(struct emitter *e)
{
	e->started = false;
	while (e->n && e->below + e->n > TIDY_DEPTH && (!e->slot[e->n - 1] || dies_after(e, e->slot[e->n - 1], 0))) {
		vfl_put(&e->code, VFM_OP_POP, 0);
		e->n--;
	}
}

/* ---- operations ---- */

static void emit_operation(struct emitter *e, uint32_t value);

/* Brings an operand to the top of the stack. */
static void emit_operand(struct emitter *e, uint32_t value)
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
	} else if (is_cheap(v)) {
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

static struct start plan_start(struct emitter *e, uint32_t a, uint32_t b, bool may_swap)
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
static bool emit_operands(struct emitter *e, uint32_t a, uint32_t b, bool may_swap)
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

static void emit_opcode(struct emitter *e, const struct vfl_value *v)
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
static void emit_operation(struct emitter *e, uint32_t value)
{
	const struct vfl_value *v = &e->g->values[value];

	emit_operands(e, v->a, v->b, commutes(v));
	emit_opcode(e, v);
	e->n -= (v->a != VFL_NONE) + (v->b != VFL_NONE);
	if (vfm_ops[v->op].pushes)
		push_slot(e, v->uses ? value : VFL_NONE);
}

/* ---- jumps ---- */

static bool returns_constant(const struct emitter *e, uint32_t block)
{
	const struct vfl_block *b = &e->g->blocks[block];

	if (b->end_kind != VFL_END_RET || e->g->values[b->test.a].kind != VFL_CONSTANT)
		return false;
	for (uint32_t i = b->first; i < b->end; i++)
		if (is_needed(e, i))
			return false;
	return true;
}

static bool is_needed_in(const struct emitter *e, uint32_t block, uint32_t value)
{
	return value && (value == used_parameter(e, block) || is_live(e, block, value));
}

static void record_entry(struct emitter *e, uint32_t block)
{
	struct entry *in = &e->entry[block];

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

static bool fits_entry(const struct emitter *e, const struct entry *in, struct change change)
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

static bool fits(struct emitter *e, uint32_t block, uint32_t argument)
{
	struct entry *in = &e->entry[block];

	if (used_parameter(e, block) && argument)
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
static bool find_change(const struct emitter *e, const struct entry *in, uint32_t kept, struct change *change)
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

static void apply_change(struct emitter *e, struct change change)
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

static void copy_entry(struct emitter *e, const struct entry *in)
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
static void adapt(struct emitter *e, uint32_t block)
{
	struct entry *in = &e->entry[block];
	struct change change;

	if (!in->recorded)
		record_entry(e, block);
	if (find_change(e, in, used_parameter(e, block) ? 1 : 0, &change))
		apply_change(e, change);
	else
		copy_entry(e, in);
	if (in->depth < e->below + e->n)
		in->depth = e->below + e->n;
}

/* Leaves for block by the end of the code written so far; next is the block that comes after. */
static void emit_goto(struct emitter *e, uint32_t block, uint32_t argument, uint32_t next)
{
	uint32_t parameter = used_parameter(e, block);

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
static void emit_both_ways(struct emitter *e, const struct vfl_block *b, uint8_t op, uint32_t next)
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

static void emit_branch(struct emitter *e, const struct vfl_block *b, uint32_t next)
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

static void emit_end(struct emitter *e, uint32_t next)
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

static void count_left(struct emitter *e, uint32_t block, uint32_t value)
{
	(void)block;
	e->left[value]++;
}

static void clear_left(struct emitter *e, uint32_t block, uint32_t value)
{
	(void)block;
	e->left[value] = 0;
}

static void begin_stack(struct emitter *e)
{
	const struct entry *in = &e->entry[e->block];

	e->n = in->n;
	e->below = in->depth - in->n;
	for (uint32_t i = 0; i < in->n; i++)
		e->slot[in->n - 1 - i] = in->value[i];
}

static void emit_block(struct emitter *e, uint32_t block, uint32_t next)
{
	const struct vfl_block *b = &e->g->blocks[block];

	e->block = block;
	vfl_place(&e->code, e->label[block]);
	begin_stack(e);
	visit_uses(e, block, clear_left);
	visit_uses(e, block, count_left);
	choose_inlined(e);
	for (uint32_t i = b->first; i < b->end; i++) {
		if (!is_needed(e, i) || is_cheap(&e->g->values[i]) || e->inlined[i])
			continue;
		begin_statement(e);
		emit_operation(e, i);
	}
	emit_end(e, next);
}

/* The next block that is written whatever happens. */
static uint32_t next_block(const struct emitter *e, uint32_t i)
{
	for (i++; i < e->g->n_order; i++)
		if (e->g->blocks[e->g->order[i]].reached && !returns_constant(e, e->g->order[i]))
			return e->g->order[i];
	return VFL_NONE;
}

static void emit_tables(struct emitter *e)
{
	for (int32_t number = 0; number < 256; number++)
		for (const struct vfl_table *t = e->c->tables; t; t = t->next)
			if (t->number == number)
				vfl_put_table(&e->code, t);
}

static void init(struct emitter *e, struct vfl *c, struct vfl_graph *g)
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
	e->pending = vfl_alloc(c, VFM_STACK_SLOTS * 4 * sizeof(*e->pending));
	for (uint32_t i = 0; i < g->n_blocks; i++)
		e->label[i] = vfl_label(&e->code);
}

void vfl_emit(struct vfl *c, struct vfl_graph *g, uint8_t **code, uint32_t *len)
{
	struct emitter *e = vfl_alloc(c, sizeof(*e));

	init(e, c, g);
	find_live(e);
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

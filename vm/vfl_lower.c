/* vfl_lower.c: expressions to a graph. Three ways to evaluate an expression: for its value; as a condition, jumping; and at the end of the
 * program, returning. Parts are evaluated from left to right, as docs/vflisp.md has it. */
#include "vm/vfl_graph.h"

/* One block per constant that the program returns in more than one place. */
struct vfl_returns {
	uint64_t value;
	uint32_t block;
	struct vfl_returns *next;
};

static uint32_t lower_value(struct vfl_graph *g, struct vfl_node *n);
static void lower_condition(struct vfl_graph *g, struct vfl_node *n, uint32_t yes, uint32_t no);
static void lower_tail(struct vfl_graph *g, struct vfl_node *n);
static void lower_effect(struct vfl_graph *g, struct vfl_node *n);

static uint32_t return_block(struct vfl_graph *g, uint64_t value)
{
	struct vfl_returns *r;

	for (r = g->returns; r; r = r->next)
		if (r->value == value)
			return r->block;
	r = vfl_alloc(g->c, sizeof(*r));
	r->value = value;
	r->block = vfl_block_new(g);
	r->next = g->returns;
	g->returns = r;
	return r->block;
}

static void bind(struct vfl_graph *g, struct vfl_node *let)
{
	let->binding->value = lower_value(g, let->a[0]);
}

/* ---- conditions ---- */

static uint8_t jump_op(enum vfl_op op)
{
	static const uint8_t of[] = {VFM_OP_JEQ, VFM_OP_JNE, VFM_OP_JGT, VFM_OP_JGE, VFM_OP_JLT, VFM_OP_JLE};

	return of[op - VFL_EQ];
}

static void lower_compare(struct vfl_graph *g, struct vfl_node *n, uint32_t yes, uint32_t no)
{
	struct vfl_relation test = {.op = jump_op((enum vfl_op)n->op)};

	test.a = lower_value(g, n->a[0]);
	test.b = lower_value(g, n->a[1]);
	vfl_end_branch(g, test, yes, no);
}

/* and, or: all but the last part lead on to the next, or out. */
static void lower_parts(struct vfl_graph *g, struct vfl_node *n, uint32_t yes, uint32_t no)
{
	for (uint32_t i = 0; i + 1 < n->n; i++) {
		uint32_t next = vfl_block_new(g);

		if (n->op == VFL_ALL)
			lower_condition(g, n->a[i], next, no);
		else
			lower_condition(g, n->a[i], yes, next);
		if (!vfl_block_start(g, next))
			return;
	}
	lower_condition(g, n->a[n->n - 1], yes, no);
}

static void lower_if_condition(struct vfl_graph *g, struct vfl_node *n, uint32_t yes, uint32_t no)
{
	uint32_t then = vfl_block_new(g), otherwise = vfl_block_new(g);

	lower_condition(g, n->a[0], then, otherwise);
	if (vfl_block_start(g, then))
		lower_condition(g, n->a[1], yes, no);
	if (vfl_block_start(g, otherwise))
		lower_condition(g, n->a[2], yes, no);
}

static void lower_condition(struct vfl_graph *g, struct vfl_node *n, uint32_t yes, uint32_t no)
{
	struct vfl_relation truth = {.op = VFM_OP_JNE};

	switch ((enum vfl_op)n->op) {
	case VFL_NUM:
		vfl_end_jump(g, n->imm ? yes : no, VFL_NONE);
		return;
	case VFL_EQ:
	case VFL_NE:
	case VFL_GT:
	case VFL_GE:
	case VFL_LT:
	case VFL_LE:
		lower_compare(g, n, yes, no);
		return;
	case VFL_ALL:
	case VFL_ANY:
		lower_parts(g, n, yes, no);
		return;
	case VFL_UNTRUE:
		lower_condition(g, n->a[0], no, yes);
		return;
	case VFL_IF:
		lower_if_condition(g, n, yes, no);
		return;
	case VFL_LET:
		bind(g, n);
		lower_condition(g, n->a[1], yes, no);
		return;
	case VFL_DO:
		for (uint32_t i = 0; i + 1 < n->n; i++)
			lower_effect(g, n->a[i]);
		lower_condition(g, n->a[n->n - 1], yes, no);
		return;
	default:
		truth.a = lower_value(g, n);
		truth.b = vfl_constant(g, 0);
		vfl_end_branch(g, truth, yes, no);
	}
}

/* ---- values ---- */

/* A condition as 0 or 1, an if as the value of either arm: two ways that meet. */
static uint32_t lower_choice(struct vfl_graph *g, struct vfl_node *n)
{
	uint32_t yes = vfl_block_new(g), no = vfl_block_new(g), join = vfl_block_new(g);
	bool is_if = n->op == VFL_IF;

	lower_condition(g, is_if ? n->a[0] : n, yes, no);
	if (vfl_block_start(g, yes))
		vfl_end_jump(g, join, is_if ? lower_value(g, n->a[1]) : vfl_constant(g, 1));
	if (vfl_block_start(g, no))
		vfl_end_jump(g, join, is_if ? lower_value(g, n->a[2]) : vfl_constant(g, 0));
	return vfl_block_parameter(g, join);
}

static uint8_t value_op(enum vfl_op op)
{
	static const uint8_t of[VFL_OPS] = {
		[VFL_ADD] = VFM_OP_ADD, [VFL_SUB] = VFM_OP_SUB, [VFL_MUL] = VFM_OP_MUL, [VFL_AND] = VFM_OP_AND,
		[VFL_OR] = VFM_OP_OR,   [VFL_XOR] = VFM_OP_XOR, [VFL_MIX] = VFM_OP_MIX, [VFL_DIV] = VFM_OP_DIV,
		[VFL_MOD] = VFM_OP_MOD, [VFL_SHL] = VFM_OP_SHL, [VFL_SHR] = VFM_OP_SHR, [VFL_NEG] = VFM_OP_NEG,
		[VFL_INV] = VFM_OP_NOT,
	};

	return of[op];
}

/* Folds the parts from the left. */
static uint32_t lower_chain(struct vfl_graph *g, struct vfl_node *n)
{
	uint32_t value = lower_value(g, n->a[0]);

	if (n->n == 1 && (n->op == VFL_NEG || n->op == VFL_INV))
		return vfl_operation(g, value_op((enum vfl_op)n->op), 0, value, VFL_NONE);
	for (uint32_t i = 1; i < n->n; i++)
		value = vfl_operation(g, value_op((enum vfl_op)n->op), 0, value, lower_value(g, n->a[i]));
	return value;
}

static uint32_t lower_load(struct vfl_graph *g, struct vfl_node *n)
{
	unsigned size = (unsigned)__builtin_ctzll(n->imm);
	uint32_t offset = lower_value(g, n->a[0]);
	const struct vfl_value *v = &g->values[offset];

	_Static_assert(VFM_OP_LD64 - VFM_OP_LD8 == 3 && VFM_OP_LDX64 - VFM_OP_LDX8 == 3, "loads are numbered by size");
	if (v->kind == VFL_CONSTANT && v->imm <= UINT16_MAX)
		return vfl_operation(g, (uint8_t)(VFM_OP_LD8 + size), v->imm, VFL_NONE, VFL_NONE);
	return vfl_operation(g, (uint8_t)(VFM_OP_LDX8 + size), 0, offset, VFL_NONE);
}

static uint32_t lower_field(struct vfl_graph *g, struct vfl_node *n)
{
	uint32_t *known = &g->field_value[n->imm];

	if (!*known || !vfl_is_at_hand(g, *known))
		*known = lower_value(g, n->a[0]);
	return *known;
}

static uint32_t lower_flow(struct vfl_graph *g, struct vfl_node *n)
{
	uint8_t table = (uint8_t)n->table->number;
	uint32_t key = lower_value(g, n->a[0]);
	uint32_t value = n->n > 1 ? lower_value(g, n->a[1]) : VFL_NONE;

	switch ((enum vfl_op)n->op) {
	case VFL_FLOW_GET:
		return vfl_table_operation(g, VFM_OP_FLOW_LOAD, table, key, VFL_NONE);
	case VFL_FLOW_ADD:
		return vfl_table_operation(g, VFM_OP_FLOW_ADD, table, key, value);
	case VFL_FLOW_SET:
		vfl_table_operation(g, VFM_OP_FLOW_STORE, table, key, value);
		return value;
	default:
		vfl_table_operation(g, VFM_OP_FLOW_DEL, table, key, VFL_NONE);
		return vfl_constant(g, 0);
	}
}

static uint32_t lower_value(struct vfl_graph *g, struct vfl_node *n)
{
	switch ((enum vfl_op)n->op) {
	case VFL_NUM:
		return vfl_constant(g, n->imm);
	case VFL_VAR:
		return n->binding->value;
	case VFL_FIELD:
		return lower_field(g, n);
	case VFL_LOAD:
		return lower_load(g, n);
	case VFL_LEAF:
		return vfl_operation(g, (uint8_t)n->imm, 0, VFL_NONE, VFL_NONE);
	case VFL_HDR:
		return vfl_operation(g, VFM_OP_HDR, n->imm, VFL_NONE, VFL_NONE);
	case VFL_LET:
		bind(g, n);
		return lower_value(g, n->a[1]);
	case VFL_DO:
		for (uint32_t i = 0; i + 1 < n->n; i++)
			lower_effect(g, n->a[i]);
		return lower_value(g, n->a[n->n - 1]);
	case VFL_FLOW_GET:
	case VFL_FLOW_SET:
	case VFL_FLOW_ADD:
	case VFL_FLOW_DEL:
		return lower_flow(g, n);
	default:
		if (n->op == VFL_IF || (n->op >= VFL_EQ && n->op <= VFL_UNTRUE))
			return lower_choice(g, n);
		return lower_chain(g, n);
	}
}

/* ---- for effects and faults only ---- */

static void lower_effect_if(struct vfl_graph *g, struct vfl_node *n)
{
	uint32_t yes = vfl_block_new(g), no = vfl_block_new(g), join = vfl_block_new(g);

	lower_condition(g, n->a[0], yes, no);
	if (vfl_block_start(g, yes)) {
		lower_effect(g, n->a[1]);
		vfl_end_jump(g, join, VFL_NONE);
	}
	if (vfl_block_start(g, no)) {
		lower_effect(g, n->a[2]);
		vfl_end_jump(g, join, VFL_NONE);
	}
	vfl_block_start(g, join);
}

static void lower_effect(struct vfl_graph *g, struct vfl_node *n)
{
	uint32_t join;

	if (n->op == VFL_IF) {
		lower_effect_if(g, n);
	} else if (n->op >= VFL_EQ && n->op <= VFL_UNTRUE) {
		join = vfl_block_new(g);
		lower_condition(g, n, join, join);
		vfl_block_start(g, join);
	} else if (n->op == VFL_LET) {
		bind(g, n);
		lower_effect(g, n->a[1]);
	} else if (n->op == VFL_DO) {
		for (uint32_t i = 0; i < n->n; i++)
			lower_effect(g, n->a[i]);
	} else {
		lower_value(g, n);
	}
}

/* ---- the end of the program ---- */

static uint32_t arm_block(struct vfl_graph *g, struct vfl_node *arm)
{
	return arm->op == VFL_NUM ? return_block(g, arm->imm) : vfl_block_new(g);
}

static void lower_tail(struct vfl_graph *g, struct vfl_node *n)
{
	uint32_t then, otherwise;

	if (n->op == VFL_IF) {
		then = arm_block(g, n->a[1]);
		otherwise = arm_block(g, n->a[2]);
		lower_condition(g, n->a[0], then, otherwise);
		if (n->a[1]->op != VFL_NUM && vfl_block_start(g, then))
			lower_tail(g, n->a[1]);
		if (n->a[2]->op != VFL_NUM && vfl_block_start(g, otherwise))
			lower_tail(g, n->a[2]);
	} else if (n->op >= VFL_EQ && n->op <= VFL_UNTRUE) {
		lower_condition(g, n, return_block(g, 1), return_block(g, 0));
	} else if (n->op == VFL_LET) {
		bind(g, n);
		lower_tail(g, n->a[1]);
	} else if (n->op == VFL_DO) {
		for (uint32_t i = 0; i + 1 < n->n; i++)
			lower_effect(g, n->a[i]);
		lower_tail(g, n->a[n->n - 1]);
	} else {
		vfl_end_return(g, lower_value(g, n));
	}
}

struct vfl_graph *vfl_lower(struct vfl *c, struct vfl_node *n)
{
	struct vfl_graph *g = vfl_graph_new(c);

	vfl_block_start(g, vfl_block_new(g));
	lower_tail(g, n);
	for (struct vfl_returns *r = g->returns; r; r = r->next)
		if (vfl_block_start(g, r->block))
			vfl_end_return(g, vfl_constant(g, r->value));
	return g;
}

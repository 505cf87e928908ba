/* vfl_fold.c: constants and identities. A part that may fault or update a table is never dropped, only its value: (* 0 src-ip) still ends
 * in BOUNDS on a short packet. MIX is not folded: its seed belongs to the plan. */
#include <string.h>

#include "vm/vfl.h"

static struct vfl_node *fold(struct vfl *c, struct vfl_node *n);

static bool is_num(const struct vfl_node *n, uint64_t value)
{
	return n->op == VFL_NUM && n->imm == value;
}

static bool droppable(const struct vfl_node *n)
{
	return !n->may_fault && !n->has_effect;
}

static void set_flags(struct vfl_node *n)
{
	bool divides = (n->op == VFL_DIV || n->op == VFL_MOD) && (n->a[1]->op != VFL_NUM || !n->a[1]->imm);

	n->may_fault = n->op == VFL_LOAD || divides;
	n->has_effect = n->op == VFL_FLOW_SET || n->op == VFL_FLOW_ADD || n->op == VFL_FLOW_DEL;
	n->reads = n->op == VFL_FLOW_GET || n->op == VFL_FLOW_ADD;
	for (uint32_t i = 0; i < n->n; i++) {
		n->may_fault |= n->a[i]->may_fault;
		n->has_effect |= n->a[i]->has_effect;
		n->reads |= n->a[i]->reads;
	}
}

/* value, after evaluating n for its faults and effects. */
static struct vfl_node *after(struct vfl *c, struct vfl_node *n, uint64_t value)
{
	return droppable(n) ? vfl_num(c, value) : vfl_2(c, VFL_DO, n, vfl_num(c, value));
}

static struct vfl_node *boolean(struct vfl *c, struct vfl_node *n)
{
	return vfl_is_boolean(n) ? n : vfl_2(c, VFL_NE, n, vfl_num(c, 0));
}

/* n where only its truth matters. */
static struct vfl_node *truth(struct vfl_node *n)
{
	while (n->op == VFL_NE && is_num(n->a[1], 0))
		n = n->a[0];
	return n;
}

/* Puts the parts of inner nodes of the same operation in their place; op is associative and evaluates from the left either way. */
static void flatten(struct vfl *c, struct vfl_node *n)
{
	uint32_t total = 0, k = 0;
	struct vfl_node **a;

	for (uint32_t i = 0; i < n->n; i++)
		total += n->a[i]->op == n->op ? n->a[i]->n : 1;
	if (total == n->n)
		return;
	a = vfl_alloc(c, total * sizeof(*a));
	for (uint32_t i = 0; i < n->n; i++) {
		if (n->a[i]->op != n->op) {
			a[k++] = n->a[i];
			continue;
		}
		memcpy(a + k, n->a[i]->a, n->a[i]->n * sizeof(*a));
		k += n->a[i]->n;
	}
	n->a = a;
	n->n = total;
}

static uint64_t apply(enum vfl_op op, uint64_t a, uint64_t b)
{
	switch (op) {
	case VFL_ADD:
		return a + b;
	case VFL_SUB:
		return a - b;
	case VFL_MUL:
		return a * b;
	case VFL_AND:
		return a & b;
	case VFL_OR:
		return a | b;
	case VFL_XOR:
		return a ^ b;
	case VFL_DIV:
		return a / b;
	case VFL_MOD:
		return a % b;
	case VFL_SHL:
		return a << (b & 63);
	case VFL_SHR:
		return a >> (b & 63);
	case VFL_EQ:
		return a == b;
	case VFL_NE:
		return a != b;
	case VFL_GT:
		return a > b;
	case VFL_GE:
		return a >= b;
	case VFL_LT:
		return a < b;
	default:
		return a <= b;
	}
}

static uint64_t neutral(enum vfl_op op)
{
	return op == VFL_MUL ? 1 : op == VFL_AND ? UINT64_MAX : 0;
}

/* + * & | ^: gathers the constants into one at the end. */
static struct vfl_node *fold_commutative(struct vfl *c, struct vfl_node *n)
{
	enum vfl_op op = (enum vfl_op)n->op;
	uint64_t constant = neutral(op);
	uint32_t k = 0;
	struct vfl_node *rest;

	flatten(c, n);
	for (uint32_t i = 0; i < n->n; i++) {
		if (n->a[i]->op == VFL_NUM)
			constant = apply(op, constant, n->a[i]->imm);
		else
			n->a[k++] = n->a[i];
	}
	n->n = k;
	if (!k)
		return vfl_num(c, constant);
	rest = k == 1 ? n->a[0] : n;
	set_flags(n);
	if (!constant && (op == VFL_MUL || op == VFL_AND))
		return after(c, rest, 0);
	if (op == VFL_AND && k == 1 && !(~constant & (UINT64_MAX >> (64 - rest->width))))
		return rest;
	if (constant == neutral(op))
		return rest;
	if (op == VFL_MUL && k == 1 && !(constant & (constant - 1)))
		return vfl_2(c, VFL_SHL, rest, vfl_num(c, (uint64_t)__builtin_ctzll(constant)));
	/* There was room for the constants that were taken out. */
	n->a[n->n++] = vfl_num(c, constant);
	return n;
}

static struct vfl_node *fold_minus(struct vfl *c, struct vfl_node *n)
{
	uint64_t constant = 0;
	uint32_t k = 1;

	for (uint32_t i = 1; i < n->n; i++) {
		if (n->a[i]->op == VFL_NUM)
			constant += n->a[i]->imm;
		else
			n->a[k++] = n->a[i];
	}
	n->n = k;
	if (k == 1 && n->a[0]->op == VFL_NUM)
		return vfl_num(c, n->a[0]->imm - constant);
	if (constant)
		n->a[n->n++] = vfl_num(c, constant);
	return n->n == 1 ? n->a[0] : n;
}

/* / % << >> */
static struct vfl_node *fold_binary(struct vfl *c, struct vfl_node *n)
{
	struct vfl_node *a = n->a[0], *b = n->a[1];
	bool shift = n->op == VFL_SHL || n->op == VFL_SHR;

	if (b->op != VFL_NUM || (!shift && !b->imm))
		return n;
	if (a->op == VFL_NUM)
		return vfl_num(c, apply((enum vfl_op)n->op, a->imm, b->imm));
	if (shift)
		return b->imm & 63 ? n : a;
	if (b->imm & (b->imm - 1))
		return n;
	if (n->op == VFL_MOD)
		return vfl_2(c, VFL_AND, a, vfl_num(c, b->imm - 1));
	return vfl_2(c, VFL_SHR, a, vfl_num(c, (uint64_t)__builtin_ctzll(b->imm)));
}

static enum vfl_op mirrored(enum vfl_op op)
{
	switch (op) {
	case VFL_GT:
		return VFL_LT;
	case VFL_GE:
		return VFL_LE;
	case VFL_LT:
		return VFL_GT;
	case VFL_LE:
		return VFL_GE;
	default:
		return op;
	}
}

static enum vfl_op inverse(enum vfl_op op)
{
	static const enum vfl_op of[] = {VFL_NE, VFL_EQ, VFL_LE, VFL_LT, VFL_GE, VFL_GT};

	_Static_assert(VFL_LE - VFL_EQ == 5, "compares stand together");
	return of[op - VFL_EQ];
}

/* What a compare of a value of at most max with b gives for every such value; -1: it depends. */
static int always(enum vfl_op op, uint64_t max, uint64_t b)
{
	if (b > max)
		return op == VFL_NE || op == VFL_LT || op == VFL_LE;
	if (op == VFL_LE && b == max)
		return 1;
	if (op == VFL_GT && b == max)
		return 0;
	if (op == VFL_GE && !b)
		return 1;
	if (op == VFL_LT && !b)
		return 0;
	return -1;
}

static struct vfl_node *fold_compare(struct vfl *c, struct vfl_node *n)
{
	struct vfl_node *a = n->a[0], *b = n->a[1];
	enum vfl_op op = (enum vfl_op)n->op;
	int known;

	if (a->op == VFL_NUM && b->op == VFL_NUM)
		return vfl_num(c, apply(op, a->imm, b->imm));
	if (a->op == VFL_NUM)
		return vfl_2(c, mirrored(op), b, a);
	if (b->op != VFL_NUM)
		return n;
	known = always(op, UINT64_MAX >> (64 - a->width), b->imm);
	if (known >= 0)
		return after(c, a, (uint64_t)known);
	if (op == VFL_GT && !b->imm)
		return vfl_2(c, VFL_NE, a, b);
	if (op == VFL_LE && !b->imm)
		return vfl_2(c, VFL_EQ, a, b);
	if (!vfl_is_boolean(a) || (op != VFL_EQ && op != VFL_NE))
		return n;
	return (op == VFL_EQ) == (b->imm == 1) ? a : vfl_1(c, VFL_UNTRUE, a);
}

/* and, or: drops what decides nothing, stops at what decides all. */
static struct vfl_node *fold_logic(struct vfl *c, struct vfl_node *n)
{
	bool deciding = n->op == VFL_ANY;
	uint32_t k = 0;

	flatten(c, n);
	for (uint32_t i = 0; i < n->n; i++) {
		struct vfl_node *part = truth(n->a[i]);

		if (part->op != VFL_NUM) {
			n->a[k++] = part;
		} else if ((part->imm != 0) == deciding) {
			n->n = k;
			set_flags(n);
			return after(c, k ? n : part, deciding);
		}
	}
	n->n = k;
	if (!k)
		return vfl_num(c, !deciding);
	return k == 1 ? boolean(c, n->a[0]) : n;
}

static struct vfl_node *fold_not(struct vfl *c, struct vfl_node *n)
{
	struct vfl_node *a = n->a[0];

	if (a->op == VFL_NUM)
		return vfl_num(c, !a->imm);
	if (a->op == VFL_UNTRUE)
		return boolean(c, a->a[0]);
	if (a->op >= VFL_EQ && a->op <= VFL_LE)
		return vfl_2(c, inverse((enum vfl_op)a->op), a->a[0], a->a[1]);
	return vfl_is_boolean(a) ? n : vfl_2(c, VFL_EQ, a, vfl_num(c, 0));
}

static struct vfl_node *fold_if(struct vfl *c, struct vfl_node *n)
{
	struct vfl_node *condition = n->a[0] = truth(n->a[0]);

	if (condition->op == VFL_NUM)
		return n->a[condition->imm ? 1 : 2];
	if (condition->op == VFL_UNTRUE)
		return vfl_if(c, condition->a[0], n->a[2], n->a[1]);
	if (n->a[1]->op != VFL_NUM || n->a[2]->op != VFL_NUM)
		return n;
	if (n->a[1]->imm == n->a[2]->imm)
		return after(c, condition, n->a[1]->imm);
	if (n->a[1]->imm == 1 && !n->a[2]->imm)
		return boolean(c, condition);
	if (n->a[2]->imm == 1 && !n->a[1]->imm)
		return vfl_1(c, VFL_UNTRUE, condition);
	return n;
}

static struct vfl_node *fold_do(struct vfl *c, struct vfl_node *n)
{
	uint32_t k = 0;

	flatten(c, n);
	for (uint32_t i = 0; i < n->n; i++)
		if (i + 1 == n->n || !droppable(n->a[i]))
			n->a[k++] = n->a[i];
	n->n = k;
	return k == 1 ? n->a[0] : n;
}

static struct vfl_node *fold_let(struct vfl_node *n)
{
	return n->a[0]->op == VFL_NUM || n->a[0]->op == VFL_VAR ? n->a[1] : n;
}

static struct vfl_node *fold_var(struct vfl_node *n)
{
	const struct vfl_node *init = n->binding->init;

	return init->op == VFL_NUM || init->op == VFL_VAR ? n->binding->init : n;
}

/* Only a field that asks whether its header is there stays one, to be evaluated once; others are their definition. */
static struct vfl_node *fold_field(struct vfl_node *n)
{
	return n->a[0]->op == VFL_IF ? n : n->a[0];
}

static struct vfl_node *fold_unary(struct vfl *c, struct vfl_node *n)
{
	struct vfl_node *a = n->a[0];

	if (a->op == VFL_NUM)
		return vfl_num(c, n->op == VFL_NEG ? -a->imm : ~a->imm);
	return a->op == n->op ? a->a[0] : n;
}

static struct vfl_node *simplify(struct vfl *c, struct vfl_node *n)
{
	switch ((enum vfl_op)n->op) {
	case VFL_ADD:
	case VFL_MUL:
	case VFL_AND:
	case VFL_OR:
	case VFL_XOR:
		return fold_commutative(c, n);
	case VFL_SUB:
		return fold_minus(c, n);
	case VFL_DIV:
	case VFL_MOD:
	case VFL_SHL:
	case VFL_SHR:
		return fold_binary(c, n);
	case VFL_NEG:
	case VFL_INV:
		return fold_unary(c, n);
	case VFL_EQ:
	case VFL_NE:
	case VFL_GT:
	case VFL_GE:
	case VFL_LT:
	case VFL_LE:
		return fold_compare(c, n);
	case VFL_ALL:
	case VFL_ANY:
		return fold_logic(c, n);
	case VFL_UNTRUE:
		return fold_not(c, n);
	case VFL_IF:
		return fold_if(c, n);
	case VFL_DO:
		return fold_do(c, n);
	case VFL_LET:
		return fold_let(n);
	case VFL_VAR:
		return fold_var(n);
	case VFL_FIELD:
		return fold_field(n);
	default:
		return n;
	}
}

/* Each rule gives a smaller or a more canonical expression of folded parts, so folding what it gives ends. */
static struct vfl_node *fold(struct vfl *c, struct vfl_node *n)
{
	while (!n->folded) {
		struct vfl_node *simpler;

		for (uint32_t i = 0; i < n->n; i++) {
			n->a[i] = fold(c, n->a[i]);
			if (n->op == VFL_LET && i == 0)
				n->binding->init = n->a[0];
		}
		simpler = simplify(c, n);
		if (simpler == n) {
			set_flags(n);
			n->folded = true;
		}
		n = simpler;
	}
	return n;
}

struct vfl_node *vfl_fold(struct vfl *c, struct vfl_node *n)
{
	return fold(c, n);
}

/* vfl_node.c: expressions: making, comparing and printing them, and the width of each. */
#include <stdio.h>
#include <string.h>

#include "vm/vfl.h"

#define EQUAL_BUDGET 4096 /* parts of an expression compared; larger ones count as different */

struct vfl_node *vfl_new(struct vfl *c, enum vfl_op op, uint32_t n)
{
	struct vfl_node *node = vfl_alloc(c, sizeof(*node));

	node->op = (uint8_t)op;
	node->width = 64;
	node->n = n;
	node->a = n ? vfl_alloc(c, n * sizeof(struct vfl_node *)) : NULL;
	return node;
}

static uint8_t bit_length(uint64_t value)
{
	return value ? (uint8_t)(64 - __builtin_clzll(value)) : 1;
}

struct vfl_node *vfl_num(struct vfl *c, uint64_t value)
{
	struct vfl_node *n = vfl_new(c, VFL_NUM, 0);

	n->imm = value;
	n->width = bit_length(value);
	return n;
}

struct vfl_node *vfl_1(struct vfl *c, enum vfl_op op, struct vfl_node *a)
{
	struct vfl_node *n = vfl_new(c, op, 1);

	n->a[0] = a;
	return vfl_done(n);
}

struct vfl_node *vfl_2(struct vfl *c, enum vfl_op op, struct vfl_node *a, struct vfl_node *b)
{
	struct vfl_node *n = vfl_new(c, op, 2);

	n->a[0] = a;
	n->a[1] = b;
	return vfl_done(n);
}

struct vfl_node *vfl_if(struct vfl *c, struct vfl_node *condition, struct vfl_node *a, struct vfl_node *b)
{
	struct vfl_node *n = vfl_new(c, VFL_IF, 3);

	n->a[0] = condition;
	n->a[1] = a;
	n->a[2] = b;
	return vfl_done(n);
}

struct vfl_binding *vfl_bind(struct vfl *c, struct vfl_node *init)
{
	struct vfl_binding *b = vfl_alloc(c, sizeof(*b));

	b->init = init;
	return b;
}

struct vfl_node *vfl_var(struct vfl *c, struct vfl_binding *b)
{
	struct vfl_node *n = vfl_new(c, VFL_VAR, 0);

	n->binding = b;
	n->width = b->init->width;
	return n;
}

struct vfl_node *vfl_let(struct vfl *c, struct vfl_binding *b, struct vfl_node *body)
{
	struct vfl_node *n = vfl_2(c, VFL_LET, b->init, body);

	n->binding = b;
	return n;
}

bool vfl_is_boolean(const struct vfl_node *n)
{
	return (n->op >= VFL_EQ && n->op <= VFL_UNTRUE) || n->width == 1;
}

static uint8_t least_width(const struct vfl_node *n)
{
	uint8_t width = 64;

	for (uint32_t i = 0; i < n->n; i++)
		width = n->a[i]->width < width ? n->a[i]->width : width;
	return width;
}

static uint8_t greatest_width(const struct vfl_node *n, uint32_t from)
{
	uint8_t width = 1;

	for (uint32_t i = from; i < n->n; i++)
		width = n->a[i]->width > width ? n->a[i]->width : width;
	return width;
}

static uint8_t shift_width(const struct vfl_node *n)
{
	uint32_t width = n->a[0]->width, count;

	if (n->a[1]->op != VFL_NUM)
		return n->op == VFL_SHR ? (uint8_t)width : 64;
	count = n->a[1]->imm & 63;
	if (n->op == VFL_SHR)
		return count >= width ? 1 : (uint8_t)(width - count);
	return width + count > 64 ? 64 : (uint8_t)(width + count);
}

struct vfl_node *vfl_done(struct vfl_node *n)
{
	switch ((enum vfl_op)n->op) {
	case VFL_LOAD:
		n->width = (uint8_t)(n->imm * 8);
		break;
	case VFL_AND:
		n->width = least_width(n);
		break;
	case VFL_OR:
	case VFL_XOR:
		n->width = greatest_width(n, 0);
		break;
	case VFL_SHL:
	case VFL_SHR:
		n->width = shift_width(n);
		break;
	case VFL_DIV:
		n->width = n->a[0]->width;
		break;
	case VFL_MOD:
		if (n->a[1]->op == VFL_NUM && n->a[1]->imm > 1)
			n->width = bit_length(n->a[1]->imm - 1);
		break;
	case VFL_IF:
		n->width = greatest_width(n, 1);
		break;
	case VFL_LET:
	case VFL_DO:
		n->width = n->a[n->n - 1]->width;
		break;
	case VFL_FLOW_SET:
		n->width = n->a[1]->width;
		break;
	case VFL_FLOW_DEL:
		n->width = 1;
		break;
	default:
		if (n->op >= VFL_EQ && n->op <= VFL_UNTRUE)
			n->width = 1;
		break;
	}
	return n;
}

static const struct vfl_node *resolve(const struct vfl_node *n)
{
	while (n->op == VFL_VAR)
		n = n->binding->init;
	return n;
}

/* Names stand for expressions that use names in turn: the tree behind a small text can be huge, so comparing has a budget. */
static bool equal(const struct vfl_node *a, const struct vfl_node *b, uint32_t *budget)
{
	a = resolve(a);
	b = resolve(b);
	if (a == b)
		return true;
	if (!*budget || a->op != b->op || a->n != b->n || a->imm != b->imm || a->table != b->table)
		return false;
	--*budget;
	for (uint32_t i = 0; i < a->n; i++)
		if (!equal(a->a[i], b->a[i], budget))
			return false;
	return true;
}

bool vfl_equal(const struct vfl_node *a, const struct vfl_node *b)
{
	uint32_t budget = EQUAL_BUDGET;

	return equal(a, b, &budget);
}

/* A bounded buffer that text is appended to. */
struct text {
	char *at, *end;
};

static void put(struct text *t, const char *s)
{
	while (*s && t->at < t->end)
		*t->at++ = *s++;
}

static const char *const op_names[VFL_OPS] = {
	[VFL_ADD] = "+",
	[VFL_SUB] = "-",
	[VFL_MUL] = "*",
	[VFL_AND] = "&",
	[VFL_OR] = "|",
	[VFL_XOR] = "^",
	[VFL_MIX] = "mix",
	[VFL_DIV] = "/",
	[VFL_MOD] = "%",
	[VFL_SHL] = "<<",
	[VFL_SHR] = ">>",
	[VFL_NEG] = "-",
	[VFL_INV] = "~",
	[VFL_EQ] = "=",
	[VFL_NE] = "!=",
	[VFL_GT] = ">",
	[VFL_GE] = ">=",
	[VFL_LT] = "<",
	[VFL_LE] = "<=",
	[VFL_ALL] = "and",
	[VFL_ANY] = "or",
	[VFL_UNTRUE] = "not",
	[VFL_IF] = "if",
	[VFL_LET] = "let",
	[VFL_DO] = "do",
	[VFL_FLOW_GET] = "flow-get",
	[VFL_FLOW_SET] = "flow-set",
	[VFL_FLOW_ADD] = "flow-add",
	[VFL_FLOW_DEL] = "flow-del",
};

static void print_leaf(const struct vfl_node *n, struct text *t)
{
	char buf[32];

	if (n->op == VFL_NUM)
		snprintf(buf, sizeof(buf), "%llu", (unsigned long long)n->imm);
	else if (n->op == VFL_HDR)
		snprintf(buf, sizeof(buf), "(hdr %u)", (unsigned)n->imm);
	else
		snprintf(buf, sizeof(buf), "%s", vfm_ops[n->imm & 255].mnemonic);
	put(t, buf);
}

static void print_binding(const struct vfl_binding *b, struct text *t)
{
	char buf[64];

	if (b->name)
		snprintf(buf, sizeof(buf), "%.*s", (int)(b->bytes < 60 ? b->bytes : 60), b->name);
	else
		snprintf(buf, sizeof(buf), "_");
	put(t, buf);
}

static void print(const struct vfl_node *n, struct text *t)
{
	char buf[32];

	if (t->at == t->end)
		return;
	switch ((enum vfl_op)n->op) {
	case VFL_NUM:
	case VFL_HDR:
	case VFL_LEAF:
		print_leaf(n, t);
		return;
	case VFL_VAR:
		print_binding(n->binding, t);
		return;
	case VFL_FIELD:
		put(t, vfl_fields[n->imm].name);
		return;
	case VFL_LOAD:
		snprintf(buf, sizeof(buf), "(ld%u", (unsigned)n->imm * 8);
		put(t, buf);
		break;
	default:
		put(t, "(");
		put(t, op_names[n->op]);
		break;
	}
	if (n->op == VFL_LET) {
		put(t, " ");
		print_binding(n->binding, t);
	}
	for (uint32_t i = 0; i < n->n; i++) {
		put(t, " ");
		print(n->a[i], t);
	}
	put(t, ")");
}

void vfl_print(const struct vfl_node *n, char *out, size_t max_bytes)
{
	struct text t = {out, out + max_bytes - 1};

	print(n, &t);
	*t.at = 0;
}

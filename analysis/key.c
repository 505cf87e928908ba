/* key.c: the anatomy of a key. */
#include <string.h>

#include "analysis/fault.h"
#include "analysis/key.h"

#define BUDGET   1024       /* values looked at per key: deeper ones are opaque */
#define COMPARES (1u << 18) /* values compared per key in search of an equal one: later ones count as different */

/* What a key's anatomy may still cost. */
enum { LOOKS, COMPARISONS, N_BUDGETS };

uint32_t key_resolve(const struct ir *ir, const key_env *env, uint32_t value)
{
	while (ir->values[value].op == IR_PARAM && env[value] != IR_NONE)
		value = env[value];
	return value;
}

bool key_packet_only(const struct ir *ir, const key_env *env, uint32_t value, uint32_t *budget)
{
	const struct ir_value *v = &ir->values[value = key_resolve(ir, env, value)];

	if (*budget == 0)
		return false;
	(*budget)--;
	if (v->op == IR_PARAM || (ir_ops[v->op].flags & (IR_F_READ | IR_F_UPDATE | IR_F_TIME)))
		return false;
	if (v->a != IR_NONE && !key_packet_only(ir, env, v->a, budget))
		return false;
	return v->b == IR_NONE || key_packet_only(ir, env, v->b, budget);
}

bool key_same(const struct ir *ir, const key_env *env, uint32_t x, uint32_t y, uint32_t *budget)
{
	const struct ir_value *v = &ir->values[x = key_resolve(ir, env, x)];
	const struct ir_value *w = &ir->values[y = key_resolve(ir, env, y)];

	if (x == y)
		return true;
	if (*budget == 0 || v->op != w->op || v->imm != w->imm || v->op == IR_PARAM)
		return false;
	(*budget)--;
	if (ir_ops[v->op].flags & (IR_F_READ | IR_F_UPDATE))
		return false;
	if (v->a != IR_NONE && !key_same(ir, env, v->a, w->a, budget))
		return false;
	return v->b == IR_NONE || key_same(ir, env, v->b, w->b, budget);
}

static void all_bits(struct key_bits *b, uint32_t source)
{
	for (unsigned i = 0; i < 64; i++)
		b->bit[i] = (struct key_bit){.source = source};
}

/* The first value of the program that is computed like this one, as far as the budget goes. */
static uint32_t canonical(const struct ir *ir, const key_env *env, uint32_t value, uint32_t *budget)
{
	for (uint32_t v = 0; v < value && budget[COMPARISONS]; v++) {
		uint32_t room = budget[COMPARISONS] < BUDGET ? budget[COMPARISONS] : BUDGET, left = room;

		if (ir->values[v].op != ir->values[value].op || ir->values[v].imm != ir->values[value].imm)
			continue;
		if (key_same(ir, env, v, value, &left))
			return v;
		budget[COMPARISONS] -= room - left ? room - left : 1;
	}
	return value;
}

static void source_bits(const struct ir *ir, const key_env *env, uint32_t value, struct key_bits *b, uint32_t *budget)
{
	uint32_t source = KEY_SOURCE + canonical(ir, env, value, budget);
	unsigned width = ir_ops[ir->values[value].op].bytes ? 8u * ir_ops[ir->values[value].op].bytes : 64;

	for (unsigned i = 0; i < 64; i++)
		b->bit[i] = i < width ? (struct key_bit){.source = source, .bit = (uint8_t)i} : (struct key_bit){.source = KEY_0};
}

static void load_bits(const struct ir_value *v, struct key_bits *b)
{
	unsigned bytes = ir_ops[v->op].bytes;

	all_bits(b, KEY_0);
	for (unsigned i = 0; i < 8 * bytes; i++)
		b->bit[i] = (struct key_bit){.source = KEY_BYTE | (uint32_t)(v->imm + bytes - 1 - i / 8), .bit = i % 8};
}

static struct key_bit join_bit(uint8_t op, struct key_bit x, struct key_bit y)
{
	if (x.source != KEY_0 && x.source != KEY_1) {
		struct key_bit swap = x;

		x = y;
		y = swap;
	}
	if (op == IR_AND && x.source <= KEY_1)
		return x.source == KEY_0 ? x : y;
	if (op == IR_OR && x.source <= KEY_1)
		return x.source == KEY_1 ? x : y;
	if (x.source == KEY_0) /* OR, XOR, ADD */
		return y;
	if (y.source == KEY_0 && op != IR_AND)
		return x;
	if (x.source >= KEY_SOURCE && x.source == y.source && x.bit == y.bit && (op == IR_AND || op == IR_OR))
		return x;
	return (struct key_bit){.source = KEY_OPAQUE};
}

static void find_bits(const struct ir *ir, const key_env *env, uint32_t value, struct key_bits *b, uint32_t *budget);

static bool constant(const struct ir *ir, const key_env *env, uint32_t value, uint64_t *c)
{
	const struct ir_value *v = &ir->values[key_resolve(ir, env, value)];

	*c = v->imm;
	return v->op == IR_CONST;
}

/* Shift by a constant, or multiplication and division by a power of two: places to the left, and what is shifted. False: neither. */
static bool shift_count(const struct ir *ir, const key_env *env, const struct ir_value *v, int *n, uint32_t *shifted)
{
	uint64_t c;

	*shifted = v->a;
	if (v->op == IR_MUL && FAULT(PRODUCT_IS_OPAQUE))
		return false;
	if (v->op == IR_MUL && constant(ir, env, v->a, &c))
		*shifted = v->b;
	else if (!constant(ir, env, v->b, &c))
		return false;
	if (v->op == IR_SHL || v->op == IR_SHR) {
		*n = v->op == IR_SHL ? (int)(c & 63) : -(int)(c & 63);
		return true;
	}
	if (!c || (c & (c - 1)))
		return false;
	*n = v->op == IR_MUL ? __builtin_ctzll(c) : -__builtin_ctzll(c);
	return true;
}

static bool shift_bits(const struct ir *ir, const key_env *env, const struct ir_value *v, struct key_bits *b, uint32_t *budget)
{
	struct key_bits in;
	uint32_t shifted;
	int n;

	if (!shift_count(ir, env, v, &n, &shifted))
		return false;
	find_bits(ir, env, shifted, &in, budget);
	for (int i = 0; i < 64; i++)
		b->bit[i] = i - n >= 0 && i - n < 64 ? in.bit[i - n] : (struct key_bit){.source = KEY_0};
	return true;
}

/* AND, OR, XOR, and ADD without carries. False: some bit is lost. */
static bool bitwise_bits(const struct ir *ir, const key_env *env, const struct ir_value *v, struct key_bits *b, uint32_t *budget)
{
	struct key_bits x, y;

	find_bits(ir, env, v->a, &x, budget);
	find_bits(ir, env, v->b, &y, budget);
	for (unsigned i = 0; i < 64; i++) {
		b->bit[i] = join_bit(v->op, x.bit[i], y.bit[i]);
		if (b->bit[i].source == KEY_OPAQUE)
			return false;
	}
	return true;
}

static void find_bits(const struct ir *ir, const key_env *env, uint32_t value, struct key_bits *b, uint32_t *budget)
{
	const struct ir_value *v = &ir->values[value = key_resolve(ir, env, value)];

	if (budget[LOOKS] == 0) {
		all_bits(b, KEY_OPAQUE);
		return;
	}
	budget[LOOKS]--;
	switch (v->op) {
	case IR_CONST:
		for (unsigned i = 0; i < 64; i++)
			b->bit[i] = (struct key_bit){.source = v->imm >> i & 1 ? KEY_1 : KEY_0};
		return;
	case IR_LD8:
	case IR_LD16:
	case IR_LD32:
	case IR_LD64:
		load_bits(v, b);
		return;
	case IR_SHL:
	case IR_SHR:
	case IR_MUL:
	case IR_DIV:
		if (shift_bits(ir, env, v, b, budget))
			return;
		break;
	case IR_AND:
	case IR_OR:
	case IR_XOR:
	case IR_ADD:
		if (bitwise_bits(ir, env, v, b, budget))
			return;
		break;
	default:
		break;
	}
	source_bits(ir, env, value, b, budget);
}

/* Does bit y continue x, one place further up? */
static bool continues(struct key_bit x, struct key_bit y)
{
	if (x.source == y.source)
		return y.bit == x.bit + 1;
	return (x.source & KEY_BYTE) && (y.source & KEY_BYTE) && x.bit == 7 && y.bit == 0 && y.source + 1 == x.source;
}

static void find_fields(struct key_form *f)
{
	for (int top = f->width - 1; top >= 0 && f->n_fields < KEY_MAX_FIELDS;) {
		int low = top;

		if (f->bits.bit[top].source < KEY_SOURCE) {
			top--;
			continue;
		}
		while (low > 0 && f->bits.bit[low - 1].source >= KEY_SOURCE && continues(f->bits.bit[low - 1], f->bits.bit[low]))
			low--;
		f->fields[f->n_fields++] =
			(struct key_field){.first = (uint8_t)low, .bits = (uint8_t)(top - low + 1), .lowest = f->bits.bit[low]};
		top = low - 1;
	}
}

void key_form(const struct ir *ir, const key_env *env, uint32_t value, struct key_form *form)
{
	uint32_t budget[N_BUDGETS] = {BUDGET, COMPARES};

	memset(form, 0, sizeof(*form));
	find_bits(ir, env, value, &form->bits, budget);
	for (unsigned i = 0; i < 64; i++)
		if (form->bits.bit[i].source != KEY_0)
			form->width = (uint8_t)(i + 1);
	find_fields(form);
}

bool key_field_load(const struct key_field *f, uint32_t *offset, uint32_t *bytes)
{
	*bytes = f->bits / 8;
	if (!(f->lowest.source & KEY_BYTE) || f->lowest.bit || f->bits % 8 || (*bytes & (*bytes - 1)))
		return false;
	*offset = (f->lowest.source & ~KEY_BYTE) - (*bytes - 1);
	return true;
}

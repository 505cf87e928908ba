/* ir_fact.c: the abstract domain. The rules for sums of known bits are the usual ones (compute with all unknown bits 0 and with all
 * of them 1; a sum bit is known where both operands' bits and the carry into it are). */
#include "vm/ir_fact.h"

struct ir_fact fact_make_never(void)
{
	return (struct ir_fact){.lo = 1, .hi = 0, .zeros = ~0ULL, .ones = ~0ULL};
}

struct ir_fact fact_full(void)
{
	return (struct ir_fact){.hi = ~0ULL};
}

struct ir_fact fact_of(uint64_t v)
{
	return (struct ir_fact){v, v, ~v, v};
}

struct ir_fact fact_range(uint64_t lo, uint64_t hi)
{
	return fact_tighten((struct ir_fact){.lo = lo, .hi = hi});
}

bool fact_equal(const struct ir_fact *a, const struct ir_fact *b)
{
	return a->lo == b->lo && a->hi == b->hi && a->zeros == b->zeros && a->ones == b->ones;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* All bits at and below the highest set one. */
static uint64_t fill(uint64_t v)
{
	return v ? ~0ULL >> __builtin_clzll(v) : 0;
}

struct ir_fact fact_tighten(struct ir_fact f)
{
	uint64_t differ;

	f.lo = max(f.lo, f.ones);
	f.hi = min(f.hi, ~f.zeros);
	if (f.lo > f.hi || (f.zeros & f.ones))
		return fact_make_never();
	/* Above the highest bit in which lo and hi differ every value between them has their bits. */
	differ = fill(f.lo ^ f.hi);
	f.ones |= f.lo & ~differ;
	f.zeros |= ~f.lo & ~differ;
	if (f.zeros & f.ones)
		return fact_make_never();
	return f;
}

struct ir_fact fact_join(const struct ir_fact *a, const struct ir_fact *b)
{
	if (fact_never(a))
		return *b;
	if (fact_never(b))
		return *a;
	return (struct ir_fact){min(a->lo, b->lo), max(a->hi, b->hi), a->zeros & b->zeros, a->ones & b->ones};
}

struct ir_fact fact_meet(const struct ir_fact *a, const struct ir_fact *b)
{
	return fact_tighten((struct ir_fact){max(a->lo, b->lo), min(a->hi, b->hi), a->zeros | b->zeros, a->ones | b->ones});
}

struct ir_fact fact_widen(const struct ir_fact *was, const struct ir_fact *now)
{
	struct ir_fact f = fact_join(was, now);

	if (fact_never(was) || fact_equal(&f, was))
		return f;
	if (f.lo < was->lo)
		f.lo = f.ones = 0;
	if (f.hi > was->hi) {
		f.hi = f.hi >> 16 == 0 ? 0xffff : f.hi >> 32 == 0 ? 0xffffffff : ~0ULL;
		f.zeros &= ~f.hi;
	}
	f.ones = 0;
	return f;
}

static struct ir_fact make(uint64_t lo, uint64_t hi, uint64_t zeros, uint64_t ones)
{
	return fact_tighten((struct ir_fact){lo, hi, zeros, ones});
}

/* Known bits of a + b + carry. */
static struct ir_fact sum_bits(const struct ir_fact *a, const struct ir_fact *b, uint64_t carry)
{
	uint64_t most = ~a->zeros + ~b->zeros + carry;
	uint64_t least = a->ones + b->ones + carry;
	uint64_t carry_zero = ~(most ^ a->zeros ^ b->zeros), carry_one = least ^ a->ones ^ b->ones;
	uint64_t known = (a->zeros | a->ones) & (b->zeros | b->ones) & (carry_zero | carry_one);

	return (struct ir_fact){0, ~0ULL, ~most & known, least & known};
}

static struct ir_fact add(const struct ir_fact *a, const struct ir_fact *b)
{
	struct ir_fact f = sum_bits(a, b, 0);
	bool lo_wraps = a->lo > ~b->lo, hi_wraps = a->hi > ~b->hi;

	if (lo_wraps == hi_wraps) {
		f.lo = a->lo + b->lo;
		f.hi = a->hi + b->hi;
	}
	return fact_tighten(f);
}

static struct ir_fact sub(const struct ir_fact *a, const struct ir_fact *b)
{
	struct ir_fact inverse = {0, 0, b->ones, b->zeros};
	struct ir_fact f = sum_bits(a, &inverse, 1);

	if (a->lo >= b->hi || a->hi < b->lo) {
		f.lo = a->lo - b->hi;
		f.hi = a->hi - b->lo;
	}
	return fact_tighten(f);
}

static struct ir_fact mul(const struct ir_fact *a, const struct ir_fact *b)
{
	/* Low bits known to be zero add up. */
	unsigned tz =
		(~a->zeros ? (unsigned)__builtin_ctzll(~a->zeros) : 64) + (~b->zeros ? (unsigned)__builtin_ctzll(~b->zeros) : 64);
	uint64_t zeros = tz >= 64 ? ~0ULL : (1ULL << tz) - 1, hi;

	if (__builtin_mul_overflow(a->hi, b->hi, &hi))
		return fact_constant(a) && fact_constant(b) ? fact_of(a->lo * b->lo) : make(0, ~0ULL, zeros, 0);
	return make(a->lo * b->lo, hi, zeros, 0);
}

static struct ir_fact divide(const struct ir_fact *a, const struct ir_fact *b)
{
	if (b->hi == 0)
		return fact_make_never();
	return make(a->lo / b->hi, a->hi / max(b->lo, 1), 0, 0);
}

static struct ir_fact modulo(const struct ir_fact *a, const struct ir_fact *b)
{
	if (b->hi == 0)
		return fact_make_never();
	if (a->hi < b->lo)
		return *a;
	if (fact_constant(a) && fact_constant(b))
		return fact_of(a->lo % b->lo);
	if (fact_constant(b) && (b->lo & (b->lo - 1)) == 0)
		return make(0, min(a->hi, b->lo - 1), a->zeros | ~(b->lo - 1), a->ones & (b->lo - 1));
	return make(0, min(a->hi, b->hi - 1), 0, 0);
}

static struct ir_fact bit_and(const struct ir_fact *a, const struct ir_fact *b)
{
	return make(0, min(a->hi, b->hi), a->zeros | b->zeros, a->ones & b->ones);
}

static struct ir_fact bit_or(const struct ir_fact *a, const struct ir_fact *b)
{
	return make(max(a->lo, b->lo), ~0ULL, a->zeros & b->zeros, a->ones | b->ones);
}

static struct ir_fact bit_xor(const struct ir_fact *a, const struct ir_fact *b)
{
	return make(0, ~0ULL, (a->zeros & b->zeros) | (a->ones & b->ones), (a->zeros & b->ones) | (a->ones & b->zeros));
}

/* Shift counts are taken modulo 64. */
static struct ir_fact shift_count(const struct ir_fact *b)
{
	struct ir_fact six_bits = fact_of(63);

	return b->hi <= 63 ? *b : bit_and(b, &six_bits);
}

static struct ir_fact shift_left(const struct ir_fact *a, const struct ir_fact *b)
{
	struct ir_fact n = shift_count(b);
	uint64_t low = (1ULL << n.lo) - 1;
	bool lossless = a->hi <= ~0ULL >> n.hi;

	if (fact_constant(&n))
		return make(lossless ? a->lo << n.lo : 0, lossless ? a->hi << n.lo : ~0ULL, a->zeros << n.lo | low,
			    a->ones << n.lo);
	return lossless ? make(a->lo << n.lo, a->hi << n.hi, low, 0) : make(0, ~0ULL, low, 0);
}

static struct ir_fact shift_right(const struct ir_fact *a, const struct ir_fact *b)
{
	struct ir_fact n = shift_count(b);

	if (fact_constant(&n))
		return make(a->lo >> n.lo, a->hi >> n.lo, ~(~a->zeros >> n.lo), a->ones >> n.lo);
	return make(a->lo >> n.hi, a->hi >> n.lo, 0, 0);
}

struct ir_fact fact_apply(uint8_t op, const struct ir_fact *a, const struct ir_fact *b)
{
	static const struct ir_fact zero = {0, 0, ~0ULL, 0};

	if (fact_never(a) || ((ir_ops[op].flags & IR_F_B) && fact_never(b)))
		return fact_make_never();
	switch (op) {
	case IR_ADD:
		return add(a, b);
	case IR_SUB:
		return sub(a, b);
	case IR_MUL:
		return mul(a, b);
	case IR_DIV:
		return divide(a, b);
	case IR_MOD:
		return modulo(a, b);
	case IR_AND:
		return bit_and(a, b);
	case IR_OR:
		return bit_or(a, b);
	case IR_XOR:
		return bit_xor(a, b);
	case IR_SHL:
		return shift_left(a, b);
	case IR_SHR:
		return shift_right(a, b);
	case IR_NOT:
		return make(~a->hi, ~a->lo, a->ones, a->zeros);
	case IR_NEG:
		return sub(&zero, a);
	default:
		return fact_full();
	}
}

/* a > b, or a >= b if or_equal. */
static void assume_above(struct ir_fact *a, struct ir_fact *b, bool or_equal)
{
	struct ir_fact not_below = {.lo = b->lo, .hi = ~0ULL}, not_above = {.lo = 0, .hi = a->hi};

	if (!or_equal && (b->lo == ~0ULL || a->hi == 0)) {
		*a = *b = fact_make_never();
		return;
	}
	if (!or_equal) {
		not_below.lo++;
		not_above.hi--;
	}
	*a = fact_meet(a, &not_below);
	*b = fact_meet(b, &not_above);
}

/* f is not v: only an end of the interval can be cut off. */
static struct ir_fact without(struct ir_fact f, uint64_t v)
{
	if (fact_constant(&f) && f.lo == v)
		return fact_make_never();
	if (f.lo == v)
		f.lo++;
	else if (f.hi == v)
		f.hi--;
	return fact_tighten(f);
}

void fact_assume(uint8_t cond, struct ir_fact *a, struct ir_fact *b)
{
	if (fact_never(a) || fact_never(b))
		return;
	switch (cond) {
	case VFM_OP_JEQ:
		*a = *b = fact_meet(a, b);
		break;
	case VFM_OP_JNE:
		if (fact_constant(b))
			*a = without(*a, b->lo);
		else if (fact_constant(a))
			*b = without(*b, a->lo);
		break;
	case VFM_OP_JGT:
		assume_above(a, b, false);
		break;
	case VFM_OP_JGE:
		assume_above(a, b, true);
		break;
	case VFM_OP_JLT:
		assume_above(b, a, false);
		break;
	default:
		assume_above(b, a, true);
		break;
	}
}

/* vec256.c: 8 lanes in AVX2 registers. Addresses, lengths and results stay in the arguments.
 *
 *     ymm0-5 values   6-10 windows   11-15 scratch
 */
#include "jit/vec_parts.h"
#include "jit/vex.h"
#include "jit/x86_encode.h"
#include "vm/vfm.h"

enum { SCRATCH = 11, UPPER = SCRATCH + 3, MASK = SCRATCH + 4 };

static struct evex_src reg(uint8_t r)
{
	return (struct evex_src){EVEX_REG, r};
}

static void op(struct jit_buf *b, enum evex_op op, uint8_t d, uint8_t a, struct evex_src s)
{
	static const enum vex_op same[] = {
		[EVEX_PADDD] = VEX_PADDD,
		[EVEX_PSUBD] = VEX_PSUBD,
		[EVEX_PMULLD] = VEX_PMULLD,
		[EVEX_PANDD] = VEX_PAND,
		[EVEX_PORD] = VEX_POR,
		[EVEX_PXORD] = VEX_PXOR,
		[EVEX_PSLLVD] = VEX_PSLLVD,
		[EVEX_PSRLVD] = VEX_PSRLVD,
		[EVEX_PSHUFB] = VEX_PSHUFB,
		[EVEX_PADDQ] = VEX_PADDQ,
		[EVEX_PUNPCKLDQ] = VEX_PUNPCKLDQ,
		[EVEX_PUNPCKHDQ] = VEX_PUNPCKHDQ,
		[EVEX_PUNPCKLQDQ] = VEX_PUNPCKLQDQ,
		[EVEX_PUNPCKHQDQ] = VEX_PUNPCKHQDQ,
	};

	vex_op(b, same[op], d, a, s);
}

/* MASK = all ones in the lanes of the mask. */
static void spread(const struct vec *v, uint8_t mask)
{
	struct evex_src bits = {EVEX_CONST, v->bits};

	vex_repeat32(v->b, MASK, mask);
	vex_op(v->b, VEX_PAND, MASK, MASK, bits);
	vex_op(v->b, VEX_PCMPEQD, MASK, MASK, bits);
}

static void blend(const struct vec *v, uint8_t d, struct evex_src s, uint8_t mask)
{
	spread(v, mask);
	vex_blend(v->b, d, d, s, MASK);
}

static void result(const struct vec *v, struct evex_src s, uint8_t mask)
{
	vex_load(v->b, UPPER, RDI, offsetof(struct vec_args, out));
	blend(v, UPPER, s, mask);
	vex_store(v->b, RDI, offsetof(struct vec_args, out), UPPER);
}

/* Without sign there is but equality: a <= s where the lesser of them is a. */
static void compare(const struct vec *v, uint8_t cond, uint8_t a, struct evex_src s, uint8_t mask)
{
	bool negate = cond == VFM_OP_JNE || cond == VFM_OP_JGT || cond == VFM_OP_JLT;
	uint8_t where = negate ? VEC_NO : VEC_YES, elsewhere = negate ? VEC_YES : VEC_NO;

	if (cond == VFM_OP_JEQ || cond == VFM_OP_JNE) {
		vex_op(v->b, VEX_PCMPEQD, MASK, a, s);
	} else {
		vex_op(v->b, cond == VFM_OP_JLE || cond == VFM_OP_JGT ? VEX_PMINUD : VEX_PMAXUD, MASK, a, s);
		vex_op(v->b, VEX_PCMPEQD, MASK, MASK, reg(a));
	}
	vex_signs32(v->b, where, MASK);
	x86_rr(v->b, false, 0x21, mask, where); /* and */
	x86_rr(v->b, false, 0x89, mask, elsewhere);
	x86_rr(v->b, false, 0x31, where, elsewhere); /* xor */
}

static void load_args(struct jit_buf *b, uint8_t d, uint32_t offset)
{
	vex_load(b, d, RDI, (int32_t)offset);
}

static void store_args(struct jit_buf *b, uint32_t offset, uint8_t s)
{
	vex_store(b, RDI, (int32_t)offset, s);
}

static uint8_t lengths(struct jit_buf *b, uint8_t d)
{
	load_args(b, d, offsetof(struct vec_args, len));
	return d;
}

static uint8_t address(struct jit_buf *b, bool upper, uint8_t d)
{
	load_args(b, d, offsetof(struct vec_args, data) + (upper ? 32 : 0));
	return d;
}

static void gather(const struct vec *v, uint8_t d, uint8_t low, uint8_t high, int32_t offset, uint8_t mask)
{
	struct jit_buf *b = v->b;

	spread(v, mask);
	vex_op(b, VEX_PXOR, d, d, reg(d));
	vex_gather(b, d, low, offset, MASK);
	spread(v, mask); /* a gather clears it */
	vex_extract_high(b, MASK, MASK);
	vex_op(b, VEX_PXOR, UPPER, UPPER, reg(UPPER));
	vex_gather(b, UPPER, high, offset, MASK);
	vex_insert_high(b, d, d, UPPER);
	vex_op(b, VEX_PSHUFB, d, d, (struct evex_src){EVEX_CONST, v->swap});
}

static void load_chunk(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset, uint8_t chunk)
{
	(chunk == 0 ? vex_load_low : vex_load_high)(b, d, gpr, offset);
}

static void widen(struct jit_buf *b, uint8_t low, uint8_t high, uint8_t s)
{
	vex_extract_high(b, high, s);
	vex_widen(b, low, s);
	vex_widen(b, high, high);
}

static void enter(struct jit_buf *b)
{
	vex_op(b, VEX_PXOR, MASK, MASK, reg(MASK));
	vex_store(b, RDI, offsetof(struct vec_args, out), MASK);
}

static void leave(struct jit_buf *b)
{
	(void)b;
}

static const uint8_t values[] = {0, 1, 2, 3, 4, 5};
static void store(struct jit_buf *b, uint32_t stack, uint8_t s)
{
	vex_store(b, RSP, (int32_t)stack, s);
}

const struct vec_isa vec_avx2 = {
	.tier = JIT_AVX2,
	.lanes = 8,
	.bytes = 32,
	.constant_bytes = 32,
	.constant_kind = EVEX_CONST,
	.values = {values, values, sizeof(values), 0},
	.first_window = 6,
	.n_windows = 5,
	.scratch = SCRATCH,
	.blocks_at_once = 1,
	.op = op,
	.shift = vex_shift,
	.move = vex_move,
	.store = store,
	.blend = blend,
	.result = result,
	.compare = compare,
	.load_args = load_args,
	.store_args = store_args,
	.lengths = lengths,
	.address = address,
	.gather = gather,
	.load_chunk = load_chunk,
	.widen = widen,
	.enter = enter,
	.leave = leave,
};

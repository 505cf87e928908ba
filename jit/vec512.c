/* vec512.c: 16 lanes in AVX-512 registers.
 *
 *     zmm0-15 values   16-23 windows   24-27 scratch (a fifth is not needed)
 *     28, 29 addresses of lanes 0-7, 8-15   30 lengths   31 results   k1, k2 scratch
 */
#include "jit/vec_parts.h"
#include "jit/vex.h"
#include "jit/x86_encode.h"

enum { SCRATCH = 24, ADDRESSES = 28, LENGTHS = 30, RESULTS = 31 };

static struct evex_src reg(uint8_t r)
{
	return (struct evex_src){EVEX_REG, r};
}

static void move(struct jit_buf *b, uint8_t d, struct evex_src s)
{
	evex_move(b, d, s, 0);
}

static void blend(const struct vec *v, uint8_t d, struct evex_src s, uint8_t mask)
{
	evex_mask_from(v->b, 1, mask);
	evex_move(v->b, d, s, 1);
}

static void result(const struct vec *v, struct evex_src s, uint8_t mask)
{
	blend(v, RESULTS, s, mask);
}

static void compare(const struct vec *v, uint8_t cond, uint8_t a, struct evex_src s, uint8_t mask)
{
	evex_compare(v->b, 1, cond, a, s);
	evex_mask_to(v->b, VEC_YES, 1);
	vex_and_not(v->b, VEC_NO, VEC_YES, mask);
	x86_rr(v->b, false, 0x21, mask, VEC_YES); /* and */
}

static void load_args(struct jit_buf *b, uint8_t d, uint32_t offset)
{
	evex_load_from(b, d, RDI, (int32_t)offset);
}

static void store_args(struct jit_buf *b, uint32_t offset, uint8_t s)
{
	evex_store_to(b, RDI, (int32_t)offset, s);
}

static uint8_t lengths(struct jit_buf *b, uint8_t d)
{
	(void)b;
	(void)d;
	return LENGTHS;
}

static uint8_t address(struct jit_buf *b, bool upper, uint8_t d)
{
	(void)b;
	(void)d;
	return (uint8_t)(ADDRESSES + upper);
}

static void gather(const struct vec *v, uint8_t d, uint8_t low, uint8_t high, int32_t offset, uint8_t mask)
{
	struct jit_buf *b = v->b;

	evex_mask_from(b, 1, mask);
	evex_mask_shift(b, 2, 1, 8);
	evex_op(b, EVEX_PXORD, d, d, reg(d));
	evex_op(b, EVEX_PXORD, SCRATCH + 3, SCRATCH + 3, reg(SCRATCH + 3));
	evex_gather(b, d, low, offset, 1);
	evex_gather(b, SCRATCH + 3, high, offset, 2);
	evex_insert_high(b, d, d, SCRATCH + 3);
	evex_op(b, EVEX_PSHUFB, d, d, (struct evex_src){EVEX_CONST, v->swap});
}

static void load_chunk(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset, uint8_t chunk)
{
	if (chunk == 0)
		vex_load_low(b, d, gpr, offset);
	else
		evex_insert_chunk(b, d, gpr, offset, chunk);
}

static void widen(struct jit_buf *b, uint8_t low, uint8_t high, uint8_t s)
{
	evex_extract_high(b, high, s);
	evex_widen(b, low, s);
	evex_widen(b, high, high);
}

static void enter(struct jit_buf *b)
{
	load_args(b, ADDRESSES, offsetof(struct vec_args, data));
	load_args(b, ADDRESSES + 1, offsetof(struct vec_args, data) + 64);
	load_args(b, LENGTHS, offsetof(struct vec_args, len));
	evex_op(b, EVEX_PXORD, RESULTS, RESULTS, reg(RESULTS));
}

static void leave(struct jit_buf *b)
{
	store_args(b, offsetof(struct vec_args, out), RESULTS);
}

static const uint8_t values[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

const struct vec_isa vec_avx512 = {
	.tier = JIT_AVX512,
	.lanes = 16,
	.bytes = 64,
	.constant_bytes = 4,
	.constant_kind = EVEX_BROADCAST,
	.values = {values, values, sizeof(values), 0},
	.first_window = 16,
	.n_windows = 8,
	.scratch = SCRATCH,
	.blocks_at_once = 4,
	.op = evex_op,
	.shift = evex_shift,
	.move = move,
	.store = evex_store,
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

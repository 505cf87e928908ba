/* arm64_encode.c: A64 instructions as words. */
#include "jit/arm64_encode.h"

#define BRANCH_REACH (1 << 20) /* bytes, of 19 signed bits of words */

static uint32_t three(uint32_t op, uint8_t d, uint8_t a, uint8_t s)
{
	return op | (uint32_t)s << 16 | (uint32_t)a << 5 | d;
}

uint32_t arm64_reg(enum arm64_reg_op op, uint8_t d, uint8_t a, uint8_t s)
{
	return three(op, d, a, s);
}

bool arm64_imm_fits(uint64_t imm)
{
	return imm < 1 << 12 || (imm < 1 << 24 && (imm & 0xfff) == 0);
}

uint32_t arm64_imm(enum arm64_imm_op op, uint8_t d, uint8_t a, uint64_t imm)
{
	uint32_t shifted = imm >= 1 << 12;

	return op | shifted << 22 | (uint32_t)(shifted ? imm >> 12 : imm) << 10 | (uint32_t)a << 5 | d;
}

static uint64_t rotate_right(uint64_t v, unsigned n, unsigned size)
{
	uint64_t all = size == 64 ? UINT64_MAX : (1ull << size) - 1;

	return n ? (v >> n | v << (size - n)) & all : v;
}

/* The smallest element that imm repeats. */
static unsigned element_bits(uint64_t imm)
{
	unsigned size = 64;

	while (size > 2) {
		unsigned half = size / 2;

		if ((imm >> half & ((1ull << half) - 1)) != (imm & ((1ull << half) - 1)))
			break;
		size = half;
	}
	return size;
}

bool arm64_mask_fits(uint64_t imm, uint32_t *bits)
{
	unsigned size = element_bits(imm), run, rotation;
	uint64_t element = size == 64 ? imm : imm & ((1ull << size) - 1);

	if (imm == 0 || imm == UINT64_MAX)
		return false;
	/* A run that wraps around the element begins above its topmost zero, others at the lowest one. */
	rotation = (unsigned)__builtin_ctzll(element);
	if (element & 1 && element >> (size - 1) & 1) {
		unsigned top_zeros = (unsigned)__builtin_clzll(~(element << (64 - size)));

		rotation = size - top_zeros;
	}
	element = rotate_right(element, rotation, size);
	run = (unsigned)__builtin_popcountll(element);
	if (element != (run == 64 ? UINT64_MAX : (1ull << run) - 1))
		return false;
	/* immr is how far the run is rotated right from bit 0; imms has the run's length under a prefix that tells the size. */
	*bits = (uint32_t)(size == 64) << 12 | ((size - rotation) & (size - 1)) << 6 | ((~(size * 2 - 1) & 0x3f) | (run - 1));
	return true;
}

uint32_t arm64_mask(enum arm64_mask_op op, uint8_t d, uint8_t a, uint32_t bits)
{
	return op | bits << 10 | (uint32_t)a << 5 | d;
}

/* UBFM d, a, #immr, #imms */
static uint32_t bitfield(uint8_t d, uint8_t a, unsigned immr, unsigned imms)
{
	return 0xd3400000u | immr << 16 | imms << 10 | (uint32_t)a << 5 | d;
}

uint32_t arm64_lsl(uint8_t d, uint8_t a, unsigned bits)
{
	return bitfield(d, a, (64 - bits) & 63, 63 - bits);
}

uint32_t arm64_lsr(uint8_t d, uint8_t a, unsigned bits)
{
	return bitfield(d, a, bits, 63);
}

uint32_t arm64_madd(uint8_t d, uint8_t a, uint8_t s, uint8_t c)
{
	return three(0x9b000000u, d, a, s) | (uint32_t)c << 10;
}

uint32_t arm64_msub(uint8_t d, uint8_t a, uint8_t s, uint8_t c)
{
	return three(0x9b008000u, d, a, s) | (uint32_t)c << 10;
}

uint32_t arm64_wide(enum arm64_wide_op op, uint8_t d, uint16_t imm, unsigned part)
{
	return op | part << 21 | (uint32_t)imm << 5 | d;
}

/* log2 of the size: the top two bits of loads and stores. */
static uint32_t size_bits(unsigned bytes)
{
	return (uint32_t)__builtin_ctz(bytes) << 30;
}

bool arm64_offset_fits(unsigned bytes, uint64_t offset)
{
	return offset % bytes == 0 && offset / bytes < 1 << 12;
}

uint32_t arm64_load(unsigned bytes, uint8_t d, uint8_t base, uint32_t offset)
{
	return 0x39400000u | size_bits(bytes) | offset / bytes << 10 | (uint32_t)base << 5 | d;
}

uint32_t arm64_load_unscaled(unsigned bytes, uint8_t d, uint8_t base, uint32_t offset)
{
	return 0x38400000u | size_bits(bytes) | offset << 12 | (uint32_t)base << 5 | d;
}

uint32_t arm64_load_indexed(unsigned bytes, uint8_t d, uint8_t base, uint8_t index)
{
	return three(0x38606800u, d, base, index) | size_bits(bytes);
}

uint32_t arm64_store(uint8_t s, uint8_t base, uint32_t offset)
{
	return 0xf9000000u | offset / 8 << 10 | (uint32_t)base << 5 | s;
}

uint32_t arm64_store32(uint8_t s, uint8_t base, uint32_t offset)
{
	return 0xb9000000u | offset / 4 << 10 | (uint32_t)base << 5 | s;
}

uint32_t arm64_store_indexed(uint8_t s, uint8_t base, uint8_t index)
{
	return three(0xf8206800u, s, base, index);
}

/* STP s, s2, [sp, #-16]! */
uint32_t arm64_push_pair(uint8_t s, uint8_t s2)
{
	return 0xa9bf0000u | (uint32_t)s2 << 10 | ARM64_SP << 5 | s;
}

/* LDP d, d2, [sp], #16 */
uint32_t arm64_pop_pair(uint8_t d, uint8_t d2)
{
	return 0xa8c10000u | (uint32_t)d2 << 10 | ARM64_SP << 5 | d;
}

uint32_t arm64_rev(unsigned bytes, uint8_t d, uint8_t s)
{
	uint32_t op = bytes == 2 ? 0x5ac00400u : bytes == 4 ? 0x5ac00800u : 0xdac00c00u;

	return op | (uint32_t)s << 5 | d;
}

bool arm64_branch_fits(int64_t distance)
{
	return distance >= -BRANCH_REACH && distance < BRANCH_REACH;
}

bool arm64_is_b(uint32_t branch)
{
	return branch >> 26 == 5;
}

uint32_t arm64_with_distance(uint32_t branch, int64_t distance)
{
	uint32_t words = (uint32_t)(distance / 4);

	return arm64_is_b(branch) ? branch | (words & 0x3ffffff) : branch | (words & 0x7ffff) << 5;
}

uint32_t arm64_b(int64_t distance)
{
	return arm64_with_distance(0x14000000u, distance);
}

uint32_t arm64_b_cond(enum arm64_cond cond, int64_t distance)
{
	return arm64_with_distance(0x54000000u | cond, distance);
}

uint32_t arm64_cbz(uint8_t a, int64_t distance)
{
	return arm64_with_distance(0xb4000000u | a, distance);
}

uint32_t arm64_csel(uint8_t d, uint8_t a, uint8_t s, enum arm64_cond cond)
{
	return three(0x9a800000u | (uint32_t)cond << 12, d, a, s);
}

uint32_t arm64_cbnz(uint8_t a, int64_t distance)
{
	return arm64_with_distance(0xb5000000u | a, distance);
}

uint32_t arm64_inverted(uint32_t branch)
{
	return branch >> 24 == 0x54 ? branch ^ 1 : branch ^ 1u << 24;
}

uint32_t arm64_blr(uint8_t target)
{
	return 0xd63f0000u | (uint32_t)target << 5;
}

uint32_t arm64_ret(void)
{
	return 0xd65f03c0u;
}

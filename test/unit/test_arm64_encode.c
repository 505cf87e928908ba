/* Every form of the A64 encoder, with many operands, as a disassembler reads it. */
#include "jit/arm64_encode.h"
#include "test/lib/disasm.h"
#include "test/lib/gen_program.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The mask immediates there are: for each element of 2 to 64 bits, runs of every length but the full one, in every rotation. */
#define N_MASKS 5334

static struct gen_rng rng = {1};

/* 31 as the zero register. */
static const char *x(uint8_t r)
{
	static const char *const names[32] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10",
					      "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
					      "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "xzr"};
	return names[r];
}

static const char *sp(uint8_t r)
{
	return r == ARM64_SP ? "sp" : x(r);
}

/* The low 32 bits; only of registers that are no argument of the same call. */
static const char *w(uint8_t r)
{
	static char name[4];

	if (r == ARM64_ZR)
		return "wzr";
	snprintf(name, sizeof(name), "w%u", r % 31u);
	return name;
}

__attribute__((format(printf, 2, 3))) static void expect(uint32_t insn, const char *format, ...)
{
	char want[128];
	const char *got = disasm(DISASM_ARM64, &insn, sizeof(insn));
	va_list args;

	va_start(args, format);
	vsnprintf(want, sizeof(want), format, args);
	va_end(args);
	if (strcmp(want, got))
		fail_msg("%08" PRIx32 " should be \"%s\" and is \"%s\"", insn, want, got);
}

/* Any but 31. */
static uint8_t any_reg(void)
{
	return (uint8_t)gen_below(&rng, 31);
}

#define MANY for (unsigned i = 0; i < 300; i++)

static void operations_on_registers(void **state)
{
	static const struct {
		enum arm64_reg_op op;
		const char *name;
	} ops[] = {{ARM64_ADD, "add"}, {ARM64_SUB, "sub"}, {ARM64_SUBS, "subs"}, {ARM64_AND, "and"},  {ARM64_ORR, "orr"},
		   {ARM64_ORN, "orn"}, {ARM64_EOR, "eor"}, {ARM64_UDIV, "udiv"}, {ARM64_LSLV, "lsl"}, {ARM64_LSRV, "lsr"}};

	(void)state;
	MANY for (size_t k = 0; k < sizeof(ops) / sizeof(*ops); k++)
	{
		uint8_t d = any_reg(), a = any_reg(), s = any_reg();

		expect(arm64_reg(ops[k].op, d, a, s), "%s %s, %s, %s", ops[k].name, x(d), x(a), x(s));
	}
}

static void operations_with_the_zero_register(void **state)
{
	(void)state;
	MANY
	{
		uint8_t d = any_reg(), a = any_reg(), s = any_reg();

		expect(arm64_reg(ARM64_ORR, d, ARM64_ZR, s), "mov %s, %s", x(d), x(s));
		expect(arm64_reg(ARM64_ORN, d, ARM64_ZR, s), "mvn %s, %s", x(d), x(s));
		expect(arm64_reg(ARM64_SUB, d, ARM64_ZR, s), "neg %s, %s", x(d), x(s));
		expect(arm64_reg(ARM64_SUBS, ARM64_ZR, a, s), "cmp %s, %s", x(a), x(s));
	}
}

static void products(void **state)
{
	(void)state;
	MANY
	{
		uint8_t d = any_reg(), a = any_reg(), s = any_reg(), c = any_reg();

		expect(arm64_madd(d, a, s, c), "madd %s, %s, %s, %s", x(d), x(a), x(s), x(c));
		expect(arm64_msub(d, a, s, c), "msub %s, %s, %s, %s", x(d), x(a), x(s), x(c));
		expect(arm64_madd(d, a, s, ARM64_ZR), "mul %s, %s, %s", x(d), x(a), x(s));
	}
}

static void expect_imm(uint64_t imm)
{
	uint8_t d = any_reg(), a = any_reg();
	char text[40];

	assert_true(arm64_imm_fits(imm));
	if (imm < 4096)
		snprintf(text, sizeof(text), "0x%" PRIx64, imm);
	else
		snprintf(text, sizeof(text), "0x%" PRIx64 ", lsl 0xc", imm / 4096);
	expect(arm64_imm(ARM64_ADD_IMM, d, a, imm), "add %s, %s, %s", x(d), x(a), text);
	expect(arm64_imm(ARM64_SUB_IMM, d, a, imm), "sub %s, %s, %s", x(d), x(a), text);
	expect(arm64_imm(ARM64_ADDS_IMM, d, a, imm), "adds %s, %s, %s", x(d), x(a), text);
	expect(arm64_imm(ARM64_SUBS_IMM, d, a, imm), "subs %s, %s, %s", x(d), x(a), text);
	expect(arm64_imm(ARM64_SUBS_IMM, ARM64_ZR, a, imm), "cmp %s, %s", x(a), text);
	expect(arm64_imm(ARM64_ADDS_IMM, ARM64_ZR, a, imm), "cmn %s, %s", x(a), text);
	expect(arm64_imm(ARM64_SUB_IMM, ARM64_SP, ARM64_SP, imm), "sub sp, sp, %s", text);
	if (imm)
		expect(arm64_imm(ARM64_ADD_IMM, ARM64_SP, ARM64_SP, imm), "add sp, sp, %s", text);
}

static void operations_with_an_immediate(void **state)
{
	(void)state;
	for (uint64_t imm = 0; imm < 4096; imm++) {
		expect_imm(imm);
		expect_imm(imm << 12);
	}
	expect(arm64_imm(ARM64_ADD_IMM, 29, ARM64_SP, 0), "mov x29, sp");
	assert_false(arm64_imm_fits(4097));
	assert_false(arm64_imm_fits(1 << 24));
	assert_false(arm64_imm_fits(0x1000001000));
	assert_false(arm64_imm_fits(UINT64_MAX));
}

static int ascending(const void *a, const void *b)
{
	uint64_t v = *(const uint64_t *)a, u = *(const uint64_t *)b;

	return v < u ? -1 : v > u;
}

/* Element by element, from the definition; not from the encoder's search. */
static void list_masks(uint64_t masks[N_MASKS])
{
	unsigned n = 0;

	for (unsigned size = 2; size <= 64; size *= 2)
		for (unsigned run = 1; run < size; run++)
			for (unsigned turn = 0; turn < size; turn++) {
				uint64_t v = 0;

				for (unsigned bit = 0; bit < 64; bit++)
					v |= (uint64_t)((bit % size + size - turn) % size < run) << bit;
				assert_true(n < N_MASKS);
				masks[n++] = v;
			}
	assert_int_equal(n, N_MASKS);
	qsort(masks, n, sizeof(*masks), ascending);
}

static void every_mask_there_is(void **state)
{
	static uint64_t masks[N_MASKS];

	(void)state;
	list_masks(masks);
	for (unsigned i = 0; i < N_MASKS; i++) {
		uint8_t d = any_reg(), a = any_reg();
		uint32_t bits;

		assert_true(arm64_mask_fits(masks[i], &bits));
		expect(arm64_mask(ARM64_AND_IMM, d, a, bits), "and %s, %s, 0x%" PRIx64, x(d), x(a), masks[i]);
		expect(arm64_mask(ARM64_ORR_IMM, d, a, bits), "orr %s, %s, 0x%" PRIx64, x(d), x(a), masks[i]);
		expect(arm64_mask(ARM64_EOR_IMM, d, a, bits), "eor %s, %s, 0x%" PRIx64, x(d), x(a), masks[i]);
		/* Near misses: one bit more or less. */
		for (unsigned bit = 0; bit < 64; bit++) {
			uint64_t near = masks[i] ^ 1ull << bit;
			bool is = bsearch(&near, masks, N_MASKS, sizeof(*masks), ascending) != NULL;

			assert_int_equal(arm64_mask_fits(near, &bits), is);
		}
	}
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t v = gen_next(&rng) & gen_next(&rng);
		uint32_t bits;

		assert_int_equal(arm64_mask_fits(v, &bits), bsearch(&v, masks, N_MASKS, sizeof(*masks), ascending) != NULL);
	}
}

static void shifts(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 64; n++) {
		uint8_t d = any_reg(), a = any_reg();

		expect(arm64_lsr(d, a, n), "lsr %s, %s, 0x%x", x(d), x(a), n);
		if (n) /* a shift left by none is the shift right by none */
			expect(arm64_lsl(d, a, n), "lsl %s, %s, 0x%x", x(d), x(a), n);
	}
	assert_int_equal(arm64_lsl(3, 4, 0), arm64_lsr(3, 4, 0));
}

static void wide_moves(void **state)
{
	static const struct {
		enum arm64_wide_op op;
		const char *name;
	} ops[] = {{ARM64_MOVZ, "movz"}, {ARM64_MOVN, "movn"}, {ARM64_MOVK, "movk"}};

	(void)state;
	MANY for (size_t k = 0; k < sizeof(ops) / sizeof(*ops); k++)
	{
		uint16_t imm = (uint16_t)(1 + gen_below(&rng, 0xfffe));
		uint8_t d = any_reg();

		expect(arm64_wide(ops[k].op, d, imm, 0), "%s %s, 0x%x", ops[k].name, x(d), imm);
		for (unsigned part = 1; part < 4; part++)
			expect(arm64_wide(ops[k].op, d, imm, part), "%s %s, 0x%x, lsl 0x%x", ops[k].name, x(d), imm, 16 * part);
	}
}

static void loads_and_stores(void **state)
{
	static const char *const names[] = {[1] = "ldrb", [2] = "ldrh", [4] = "ldr", [8] = "ldr"};

	(void)state;
	MANY for (unsigned bytes = 1; bytes <= 8; bytes *= 2)
	{
		uint8_t d = any_reg(), base = i % 4 ? any_reg() : ARM64_SP, index = any_reg();
		const char *name = names[bytes], *reg = bytes == 8 ? x(d) : w(d);
		uint32_t offset = (1 + gen_below(&rng, 4095)) * bytes, any = 1 + gen_below(&rng, 255);

		expect(arm64_load(bytes, d, base, offset), "%s %s, [%s, 0x%x]", name, reg, sp(base), offset);
		expect(arm64_load(bytes, d, base, 0), "%s %s, [%s]", name, reg, sp(base));
		expect(arm64_load_indexed(bytes, d, base, index), "%s %s, [%s, %s]", name, reg, sp(base), x(index));
		expect(arm64_load_unscaled(bytes, d, base, any), "ldu%s %s, [%s, 0x%x]", name + 2, reg, sp(base), any);
		expect(arm64_store(d, base, offset / bytes * 8), "str %s, [%s, 0x%x]", x(d), sp(base), offset / bytes * 8);
		expect(arm64_store32(d, base, offset / bytes * 4), "str %s, [%s, 0x%x]", w(d), sp(base), offset / bytes * 4);
		expect(arm64_store_indexed(d, base, index), "str %s, [%s, %s]", x(d), sp(base), x(index));
		assert_true(arm64_offset_fits(bytes, offset));
		assert_false(arm64_offset_fits(bytes, 4096 * bytes));
		assert_int_equal(arm64_offset_fits(bytes, any), any % bytes == 0);
	}
}

static void pairs(void **state)
{
	(void)state;
	for (uint8_t r = 0; r < 30; r++) {
		expect(arm64_push_pair(r, r + 1), "stp %s, %s, [sp, 0xfffffffffffffff0]!", x(r), x(r + 1));
		expect(arm64_pop_pair(r, r + 1), "ldp %s, %s, [sp], 0x10", x(r), x(r + 1));
	}
	expect(arm64_push_pair(19, ARM64_ZR), "stp x19, xzr, [sp, 0xfffffffffffffff0]!");
	expect(arm64_pop_pair(19, ARM64_ZR), "ldp x19, xzr, [sp], 0x10");
}

static void byte_orders(void **state)
{
	(void)state;
	for (uint8_t r = 0; r < 31; r++) {
		char d[4];

		snprintf(d, sizeof(d), "w%d", (r + 7) % 31);
		expect(arm64_rev(2, (r + 7) % 31, r), "rev16 %s, %s", d, w(r));
		expect(arm64_rev(4, (r + 7) % 31, r), "rev %s, %s", d, w(r));
		expect(arm64_rev(8, (r + 7) % 31, r), "rev %s, %s", x((r + 7) % 31), x(r));
	}
}

static void expect_branches(int64_t distance)
{
	static const struct {
		enum arm64_cond cond, inverse;
		const char *name;
	} conds[] = {{ARM64_EQ, ARM64_NE, "b.eq"}, {ARM64_NE, ARM64_EQ, "b.ne"}, {ARM64_HS, ARM64_LO, "b.hs"},
		     {ARM64_LO, ARM64_HS, "b.lo"}, {ARM64_HI, ARM64_LS, "b.hi"}, {ARM64_LS, ARM64_HI, "b.ls"}};
	uint8_t a = any_reg();

	assert_true(arm64_branch_fits(distance));
	for (size_t k = 0; k < sizeof(conds) / sizeof(*conds); k++) {
		expect(arm64_b_cond(conds[k].cond, distance), "%s 0x%" PRIx64, conds[k].name, distance);
		expect(arm64_with_distance(arm64_b_cond(conds[k].cond, 0), distance), "%s 0x%" PRIx64, conds[k].name, distance);
		assert_int_equal(arm64_inverted(arm64_b_cond(conds[k].cond, distance)), arm64_b_cond(conds[k].inverse, distance));
	}
	expect(arm64_cbz(a, distance), "cbz %s, 0x%" PRIx64, x(a), distance);
	expect(arm64_cbnz(a, distance), "cbnz %s, 0x%" PRIx64, x(a), distance);
	expect(arm64_with_distance(arm64_cbz(a, 0), distance), "cbz %s, 0x%" PRIx64, x(a), distance);
	assert_int_equal(arm64_inverted(arm64_cbz(a, distance)), arm64_cbnz(a, distance));
	assert_int_equal(arm64_inverted(arm64_cbnz(a, distance)), arm64_cbz(a, distance));
	assert_false(arm64_is_b(arm64_b_cond(ARM64_EQ, distance)) || arm64_is_b(arm64_cbz(a, distance)) ||
		     arm64_is_b(arm64_cbnz(a, distance)));
}

static void branches(void **state)
{
	static const int64_t edges[] = {0, 4, -4, 8, 0xffffc, -0x100000};

	(void)state;
	for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++)
		expect_branches(edges[i]);
	MANY
	{
		int64_t near = ((int64_t)gen_below(&rng, 1 << 19) - (1 << 18)) * 4;
		int64_t far = ((int64_t)gen_below(&rng, 1 << 26) - (1 << 25)) * 4;

		expect_branches(near);
		expect(arm64_b(far), "b 0x%" PRIx64, far);
		expect(arm64_with_distance(arm64_b(0), far), "b 0x%" PRIx64, far);
		assert_true(arm64_is_b(arm64_b(far)));
	}
	assert_false(arm64_branch_fits(0x100000));
	assert_false(arm64_branch_fits(-0x100004));
}

static void calls_and_returns(void **state)
{
	(void)state;
	for (uint8_t r = 0; r < 31; r++) {
		expect(arm64_blr(r), "blr %s", x(r));
		expect(arm64_csel(r, (uint8_t)(30 - r), ARM64_ZR, ARM64_EQ), "csel %s, %s, xzr, eq", x(r), x((uint8_t)(30 - r)));
		expect(arm64_csel(5, ARM64_ZR, r, ARM64_NE), "csel x5, xzr, %s, ne", x(r));
	}
	expect(arm64_ret(), "ret");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations_on_registers),
		cmocka_unit_test(operations_with_the_zero_register),
		cmocka_unit_test(products),
		cmocka_unit_test(operations_with_an_immediate),
		cmocka_unit_test(every_mask_there_is),
		cmocka_unit_test(shifts),
		cmocka_unit_test(wide_moves),
		cmocka_unit_test(loads_and_stores),
		cmocka_unit_test(pairs),
		cmocka_unit_test(byte_orders),
		cmocka_unit_test(branches),
		cmocka_unit_test(calls_and_returns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

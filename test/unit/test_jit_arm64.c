/* The arm64 target: the instructions of every operation as a disassembler reads them; constants by what they come to. (Each instruction
 * alone: test_arm64_encode. That they do what the machine does: test/prop/jit_arm64.sh.) */
#include "jit/parts.h"
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

static const struct jit_target *const t = &jit_arm64;
static struct jit_buf code;

/* The code emitted since the last call is this. */
static void expect(const char *want)
{
	const char *got = disasm(DISASM_ARM64, code.code, code.n);

	assert_false(code.failed);
	if (strcmp(want, got))
		fail_msg("should be \"%s\" and is \"%s\"", want, got);
	jit_buf_fini(&code);
	code = (struct jit_buf){0};
}

/* What a sequence of moves into register d leaves there, read from the words: instruction by instruction as the manual defines them. */
static uint64_t value_of(uint8_t d, unsigned *n)
{
	uint64_t v = 0x5555555555555555;
	uint32_t insn, before = 0;

	for (uint32_t at = 0; at < code.n; at += 4) {
		uint64_t imm, part;

		memcpy(&insn, code.code + at, 4);
		assert_int_equal(insn & 31, d);
		imm = insn >> 5 & 0xffff;
		part = insn >> 21 & 3;
		if (insn >> 23 == 0x1a5) /* MOVZ */
			v = imm << 16 * part;
		else if (insn >> 23 == 0x125) /* MOVN */
			v = ~(imm << 16 * part);
		else if (insn >> 23 == 0x1e5) /* MOVK */
			v = (v & ~(0xffffull << 16 * part)) | imm << 16 * part;
		else /* ORR d, xzr, mask: the only other */
			v = strtoull(strstr(disasm(DISASM_ARM64, &insn, 4), "0x"), NULL, 0);
		assert_true(at == 0 || (before && insn >> 23 == 0x1e5));
		before = insn;
	}
	*n = code.n / 4;
	jit_buf_fini(&code);
	code = (struct jit_buf){0};
	return v;
}

static void expect_set(uint64_t imm, unsigned at_most)
{
	unsigned n;

	t->set(&code, 9, imm);
	if (value_of(9, &n) != imm || n > at_most)
		fail_msg("0x%" PRIx64 " in %u instructions, or not at all", imm, n);
}

static void constants_come_to_what_they_are(void **state)
{
	struct gen_rng rng = {7};

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t v = gen_next(&rng);

		expect_set(v, 4);
		expect_set(v >> gen_below(&rng, 64), 4);
		expect_set(v & 0xffff0000ffff, 2);
		expect_set(v & 0xffff00000000, 1);
		expect_set(~(v & 0xffff0000), 1);
		expect_set(~(v & 0xffffffff), 2);
	}
	expect_set(0, 1);
	expect_set(UINT64_MAX, 1);
	expect_set(0x00ff00ff00ff00ff, 1);
	expect_set(0xffffffff, 1);
	expect_set(0x8000000000000001, 1);
}

static void moves_and_slots(void **state)
{
	(void)state;
	t->move(&code, 3, 3);
	t->move(&code, 3, 28);
	t->load_slot(&code, 4, 0);
	t->load_slot(&code, 4, 4095);
	t->load_slot(&code, 4, 4096);
	t->store_slot(&code, 4095, 17);
	t->store_slot(&code, 4097, 17);
	expect("mov x3, x28; ldr x4, [sp]; ldr x4, [sp, 0x7ff8]; movz x15, 0x8000; ldr x4, [sp, x15]; str x17, [sp, 0x7ff8]; "
	       "movz x15, 0x8008; str x17, [sp, x15]");
}

static void arithmetic_on_registers(void **state)
{
	static const char *const want[] = {
		[ALU_ADD] = "add x3, x4, x5", [ALU_SUB] = "sub x3, x4, x5", [ALU_AND] = "and x3, x4, x5",
		[ALU_OR] = "orr x3, x4, x5",  [ALU_XOR] = "eor x3, x4, x5", [ALU_MUL] = "mul x3, x4, x5",
		[ALU_SHL] = "lsl x3, x4, x5", [ALU_SHR] = "lsr x3, x4, x5",
	};

	(void)state;
	for (int op = ALU_ADD; op <= ALU_SHR; op++) {
		t->alu(&code, (enum jit_alu)op, 3, 4, 5);
		expect(want[op]);
	}
	t->invert(&code, false, 3, 4);
	t->invert(&code, true, 3, 4);
	t->divide(&code, false, 3, 4, 5);
	t->divide(&code, true, 3, 4, 5);
	expect("mvn x3, x4; neg x3, x4; udiv x3, x4, x5; udiv x15, x4, x5; msub x3, x15, x5, x4");
}

static void arithmetic_with_constants(void **state)
{
	static const struct {
		enum jit_alu op;
		uint64_t imm;
		const char *want;
	} cases[] = {
		{ALU_ADD, 0, "add x3, x4, 0x0"},
		{ALU_ADD, 4095, "add x3, x4, 0xfff"},
		{ALU_ADD, 4096, "add x3, x4, 0x1, lsl 0xc"},
		{ALU_ADD, -1ull, "sub x3, x4, 0x1"},
		{ALU_ADD, 4097, "movz x15, 0x1001; add x3, x4, x15"},
		{ALU_SUB, 7, "sub x3, x4, 0x7"},
		{ALU_SUB, -8192ull, "add x3, x4, 0x2, lsl 0xc"},
		{ALU_SUB, 0x12345, "movz x15, 0x2345; movk x15, 0x1, lsl 0x10; sub x3, x4, x15"},
		{ALU_AND, 0xff, "and x3, x4, 0xff"},
		{ALU_AND, 0, "movz x15, 0x0; and x3, x4, x15"},
		{ALU_AND, 5, "movz x15, 0x5; and x3, x4, x15"},
		{ALU_OR, 0xf0f0f0f0f0f0f0f0, "orr x3, x4, 0xf0f0f0f0f0f0f0f0"},
		{ALU_OR, -2ull, "orr x3, x4, 0xfffffffffffffffe"},
		{ALU_OR, 0xa, "movz x15, 0xa; orr x3, x4, x15"},
		{ALU_XOR, 1, "eor x3, x4, 0x1"},
		{ALU_XOR, -1ull, "movn x15, 0x0; eor x3, x4, x15"},
		{ALU_MUL, 1, "lsr x3, x4, 0x0"},
		{ALU_MUL, 1ull << 63, "lsl x3, x4, 0x3f"},
		{ALU_MUL, 0, "movz x15, 0x0; mul x3, x4, x15"},
		{ALU_MUL, 10, "movz x15, 0xa; mul x3, x4, x15"},
		{ALU_SHL, 5, "lsl x3, x4, 0x5"},
		{ALU_SHL, 69, "lsl x3, x4, 0x5"},
		{ALU_SHR, 63, "lsr x3, x4, 0x3f"},
		{ALU_SHR, 64, "lsr x3, x4, 0x0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		t->alu_imm(&code, cases[i].op, 3, 4, cases[i].imm);
		expect(cases[i].want);
	}
}

static void loads_from_the_packet(void **state)
{
	(void)state;
	t->load(&code, false, 3, 1, 4095);
	t->load(&code, false, 3, 1, 4096);
	t->load(&code, false, 3, 2, 12);
	t->load(&code, false, 3, 2, 13);
	t->load(&code, true, 3, 4, 255);
	t->load(&code, true, 3, 4, 257);
	t->load(&code, true, 3, 8, 32760);
	expect("ldrb w3, [x0, 0xfff]; movz x15, 0x1000; ldrb w3, [x0, x15]; ldrh w3, [x0, 0xc]; rev16 w3, w3; "
	       "ldurh w3, [x0, 0xd]; rev16 w3, w3; ldur w3, [x19, 0xff]; rev w3, w3; movz x15, 0x101; ldr w3, [x19, x15]; rev w3, "
	       "w3; "
	       "ldr x3, [x19, 0x7ff8]; rev x3, x3");
	for (unsigned bytes = 1; bytes <= 8; bytes *= 2)
		t->load_indexed(&code, bytes > 2, 3, bytes, 17);
	expect("ldrb w3, [x0, x17]; ldrh w3, [x0, x17]; rev16 w3, w3; ldr w3, [x19, x17]; rev w3, w3; ldr x3, [x19, x17]; rev x3, "
	       "x3");
}

static void loads_from_the_environment(void **state)
{
	(void)state;
	t->load_env(&code, false, 3, 8);
	t->load_env(&code, true, 3, 8);
	t->load_shard(&code, false, 3, 16);
	t->load_shard(&code, true, 3, 16);
	t->length(&code, false, 3);
	t->length(&code, true, 3);
	t->data(&code, false, 3);
	t->data(&code, true, 3);
	assert_int_equal(offsetof(struct jit_env, shard), 0);
	expect("ldr x3, [x2, 0x8]; ldr x3, [x21, 0x8]; ldr x3, [x2]; ldr x3, [x3, 0x10]; ldr x3, [x21]; ldr x3, [x3, 0x10]; "
	       "mov x3, x1; mov x3, x20; mov x3, x0; mov x3, x19");
}

static void branches(void **state)
{
	static const struct {
		uint8_t cond;
		const char *name;
		bool zero; /* has an instruction of its own for 0 */
	} conds[] = {{VFM_OP_JEQ, "b.eq", true},  {VFM_OP_JNE, "b.ne", true},  {VFM_OP_JGT, "b.hi", true},
		     {VFM_OP_JLT, "b.lo", false}, {VFM_OP_JGE, "b.hs", false}, {VFM_OP_JLE, "b.ls", true}};

	(void)state;
	for (size_t c = 0; c < sizeof(conds) / sizeof(*conds); c++) {
		uint32_t back = jit_label(&code), forth = jit_label(&code);
		bool if_zero = conds[c].cond == VFM_OP_JEQ || conds[c].cond == VFM_OP_JLE;
		const char *n = conds[c].name;
		char want[512], zero[40];

		jit_place_label(&code, back);
		t->branch(&code, conds[c].cond, 3, 4, forth);
		t->branch_imm(&code, conds[c].cond, 5, 4095, back);
		t->branch_imm(&code, conds[c].cond, 5, -4096ull, back);
		t->branch_imm(&code, conds[c].cond, 5, 0xabcd, forth);
		t->branch_imm(&code, conds[c].cond, 5, 0, forth);
		jit_place_label(&code, forth);
		t->link(&code);
		if (conds[c].zero)
			snprintf(zero, sizeof(zero), "%s x5, 0x28", if_zero ? "cbz" : "cbnz");
		else
			snprintf(zero, sizeof(zero), "cmp x5, 0x0; %s 0x2c", n);
		snprintf(want, sizeof(want),
			 "cmp x3, x4; %s %s; cmp x5, 0xfff; %s 0x0; cmn x5, 0x1, lsl 0xc; %s 0x0; movz x15, 0xabcd; cmp x5, x15; "
			 "%s %s; %s",
			 n, conds[c].zero ? "0x28" : "0x2c", n, n, n, conds[c].zero ? "0x28" : "0x2c", zero);
		expect(want);
	}
}

static void jumps_calls_and_counts(void **state)
{
	uint32_t label = jit_label(&code);

	(void)state;
	jit_place_label(&code, label);
	t->branch_imm(&code, VFM_OP_JLT, 5, -4097ull, label);
	t->branch_short(&code, false, 14, label);
	t->branch_short(&code, true, 14, label);
	t->jump(&code, label);
	t->count(&code, false, 16, 3, 0, JIT_NO_LABEL);
	t->count(&code, true, 24, 1, 64, label);
	t->count(&code, true, 16, 0, 10000, label);
	t->call(&code, (const void *)(uintptr_t)0x7f0000345678);
	t->link(&code);
	expect("movn x15, 0x1000; cmp x5, x15; b.lo 0x0; cmp x1, 0xe; b.lo 0x0; cmp x20, 0xe; b.lo 0x0; b 0x0; "
	       "ldr x14, [x2, 0x10]; add x14, x14, 0x3; str x14, [x2, 0x10]; "
	       "ldr x14, [x21, 0x18]; add x14, x14, 0x1; str x14, [x21, 0x18]; cmp x14, 0x40; b.hi 0x0; "
	       "ldr x14, [x21, 0x10]; movz x15, 0x2710; cmp x14, x15; b.hi 0x0; "
	       "movz x16, 0x5678; movk x16, 0x34, lsl 0x10; movk x16, 0x7f00, lsl 0x20; blr x16");
}

static void frames(void **state)
{
	(void)state;
	t->prologue(&code, false, 0, 0);
	t->epilogue(&code, false, 0, 0, 0);
	expect("mov x0, x16; movz x1, 0x0; ret");
	t->prologue(&code, false, 1u << 19 | 1u << 20 | 1u << 28, 3);
	t->epilogue(&code, false, 1u << 19 | 1u << 20 | 1u << 28, 3, -6);
	expect("stp x19, x20, [sp, 0xfffffffffffffff0]!; stp x28, xzr, [sp, 0xfffffffffffffff0]!; sub sp, sp, 0x20; "
	       "mov x0, x16; movn x1, 0x5; add sp, sp, 0x20; ldp x28, xzr, [sp], 0x10; ldp x19, x20, [sp], 0x10; ret");
	t->prologue(&code, false, 0, 512);
	t->epilogue(&code, false, 0, 511, 0);
	expect("sub sp, sp, 0x1, lsl 0xc; mov x0, x16; movz x1, 0x0; add sp, sp, 0x1, lsl 0xc; ret");
	t->prologue(&code, true, 1u << 22, 514);
	t->epilogue(&code, true, 1u << 22, 514, 0);
	expect("stp x29, x30, [sp, 0xfffffffffffffff0]!; mov x29, sp; stp x19, x20, [sp, 0xfffffffffffffff0]!; "
	       "stp x21, x22, [sp, 0xfffffffffffffff0]!; sub sp, sp, 0x1, lsl 0xc; sub sp, sp, 0x10; mov x19, x0; mov x20, x1; "
	       "mov x21, x2; mov x0, x16; movz x1, 0x0; add sp, sp, 0x1, lsl 0xc; add sp, sp, 0x10; ldp x21, x22, [sp], 0x10; "
	       "ldp x19, x20, [sp], 0x10; ldp x29, x30, [sp], 0x10; ret");
}

static void restart(void)
{
	jit_buf_fini(&code);
	code = (struct jit_buf){0};
}

static void expect_at(uint32_t at, uint32_t bytes, const char *want)
{
	assert_true(at + bytes <= code.n);
	assert_string_equal(disasm(DISASM_ARM64, code.code + at, bytes), want);
}

/* Two branches and a jump over `padding` instructions, and a branch back. */
static void emit_far(uint32_t padding)
{
	uint32_t start = jit_label(&code), end = jit_label(&code);

	jit_place_label(&code, start);
	t->branch_imm(&code, VFM_OP_JEQ, 3, 0, end);
	t->branch(&code, VFM_OP_JLT, 3, 4, end);
	t->jump(&code, end);
	for (uint32_t i = 0; i < padding; i++)
		t->move(&code, 5, 6);
	jit_place_label(&code, end);
	t->branch(&code, VFM_OP_JGE, 3, 4, start);
	t->link(&code);
	assert_false(code.failed);
}

/* Distances are relative to where expect_at() begins to read. */
static void branches_reach_beyond_a_mebibyte(void **state)
{
	(void)state;
	emit_far(0x3fff9); /* the longest code in which no branch is made longer */
	assert_int_equal(code.n, 0xffffc);
	expect_at(0, 16, "cbz x3, 0xffff4; cmp x3, x4; b.lo 0xffff4; b 0xffff4");
	expect_at(0xffff4, 8, "cmp x3, x4; b.hs 0xfffffffffff0000c");
	restart();
	emit_far(0x3fffa);
	assert_int_equal(code.n, 0x100000 + 3 * 4);
	expect_at(0, 24, "cbnz x3, 0x8; b 0x100000; cmp x3, x4; b.hs 0x14; b 0x100000; b 0x100000");
	expect_at(24, 8, "mov x5, x6; mov x5, x6");
	expect_at(0x100000 - 4, 16, "mov x5, x6; cmp x3, x4; b.lo 0x10; b 0xfffffffffff00004");
	restart();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constants_come_to_what_they_are),
		cmocka_unit_test(moves_and_slots),
		cmocka_unit_test(arithmetic_on_registers),
		cmocka_unit_test(arithmetic_with_constants),
		cmocka_unit_test(loads_from_the_packet),
		cmocka_unit_test(loads_from_the_environment),
		cmocka_unit_test(branches),
		cmocka_unit_test(jumps_calls_and_counts),
		cmocka_unit_test(frames),
		cmocka_unit_test(branches_reach_beyond_a_mebibyte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

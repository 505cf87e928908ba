/* The x86-64 target: the instructions of every operation, with every register that it may be given, as a disassembler reads them. */
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

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

static const char *const r64[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
				  "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
static const char *const r32[] = {"eax", "ecx", "edx",  "ebx",  "esp",  "ebp",  "esi",  "edi",
				  "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"};
static const char *const r16[] = {"ax",  "cx",  "dx",   "bx",   "sp",   "bp",   "si",   "di",
				  "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"};

/* What operations are given: neither the stack pointer nor the target's own scratch. */
static const uint8_t regs[] = {RAX, RDX, RBX, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15};
#define EACH(r) for (const uint8_t *r = regs; r < regs + sizeof(regs); r++)

static const uint64_t numbers[] = {0,         1,          2,          63,         127,        128,           255,
				   4095,      65535,      0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32,    0x123456789abcdef0,
				   INT64_MAX, 1ull << 63, -1ull,      -128ull,    -129ull,    -(1ull << 31), -(1ull << 31) - 1};
#define N_NUMBERS (sizeof(numbers) / sizeof(*numbers))

static const struct jit_target *const t = &jit_x86;
static struct jit_buf code;
static char want[4096];
static size_t n_want;

static void restart(void)
{
	jit_buf_fini(&code);
	code = (struct jit_buf){0};
	n_want = 0;
	want[0] = 0;
}

/* Appends an instruction to what is expected. */
__attribute__((format(printf, 1, 2))) static void expect(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	n_want += (size_t)snprintf(want + n_want, sizeof(want) - n_want, n_want ? "; " : "");
	n_want += (size_t)vsnprintf(want + n_want, sizeof(want) - n_want, format, args);
	va_end(args);
}

/* What was emitted since restart() must be what was expected since then. */
static void done(void)
{
	const char *got = disasm(DISASM_X86, code.code, code.n);

	assert_false(code.failed);
	if (strcmp(want, got))
		fail_msg("should be \"%s\" and is \"%s\"", want, got);
	restart();
}

static void expect_move(uint8_t d, uint8_t s)
{
	if (d != s)
		expect("mov %s, %s", r64[d], r64[s]);
}

static void expect_set(uint8_t d, uint64_t imm)
{
	if (imm == 0)
		expect("xor %s, %s", r32[d], r32[d]);
	else if (imm >> 32 == 0)
		expect("mov %s, 0x%" PRIx64, r32[d], imm);
	else
		expect("movabs %s, 0x%" PRIx64, r64[d], imm);
}

/* [base + offset] as the disassembler prints it. */
static const char *memory(uint8_t base, uint32_t offset)
{
	static char text[40];

	if (offset)
		snprintf(text, sizeof(text), "[%s + 0x%x]", r64[base], offset);
	else
		snprintf(text, sizeof(text), "[%s]", r64[base]);
	return text;
}

static void moves_and_constants(void **state)
{
	(void)state;
	EACH(d)
	{
		EACH(s)
		{
			t->move(&code, *d, *s);
			expect_move(*d, *s);
		}
		for (size_t i = 0; i < N_NUMBERS; i++) {
			t->set(&code, *d, numbers[i]);
			expect_set(*d, numbers[i]);
		}
		done();
	}
}

static void slots(void **state)
{
	static const uint32_t slot[] = {0, 1, 15, 16, 100, 5000};

	(void)state;
	EACH(r) for (size_t i = 0; i < sizeof(slot) / sizeof(*slot); i++)
	{
		t->load_slot(&code, *r, slot[i]);
		expect("mov %s, qword ptr %s", r64[*r], memory(RSP, 8 * slot[i]));
		t->store_slot(&code, slot[i], *r);
		expect("mov qword ptr %s, %s", memory(RSP, 8 * slot[i]), r64[*r]);
		done();
	}
}

static const char *const alu_names[] = {[ALU_ADD] = "add", [ALU_SUB] = "sub",  [ALU_AND] = "and", [ALU_OR] = "or",
					[ALU_XOR] = "xor", [ALU_MUL] = "imul", [ALU_SHL] = "shl", [ALU_SHR] = "shr"};

static void expect_alu(enum jit_alu op, uint8_t d, uint8_t a, uint8_t s)
{
	if (op == ALU_SHL || op == ALU_SHR) {
		expect_move(RCX, s);
		expect_move(d, a);
		expect("%s %s, cl", alu_names[op], r64[d]);
	} else if (op == ALU_SUB && d == s) {
		expect_move(RCX, a);
		expect("sub rcx, %s", r64[s]);
		expect_move(d, RCX);
	} else if (d == s) {
		expect("%s %s, %s", alu_names[op], r64[d], r64[a]);
	} else {
		expect_move(d, a);
		expect("%s %s, %s", alu_names[op], r64[d], r64[s]);
	}
}

static void arithmetic_on_registers(void **state)
{
	(void)state;
	for (int op = ALU_ADD; op <= ALU_SHR; op++)
		EACH(d) EACH(a) EACH(s)
		{
			t->alu(&code, (enum jit_alu)op, *d, *a, *s);
			expect_alu((enum jit_alu)op, *d, *a, *s);
			done();
		}
}

static void arithmetic_with_constants(void **state)
{
	(void)state;
	for (int op = ALU_ADD; op <= ALU_SHR; op++)
		EACH(d) EACH(a) for (size_t i = 0; i < N_NUMBERS; i++)
		{
			uint64_t imm = numbers[i];
			bool near = imm <= INT32_MAX || imm >= -(1ull << 31);

			t->alu_imm(&code, (enum jit_alu)op, *d, *a, imm);
			if (op == ALU_SHL || op == ALU_SHR) {
				expect_move(*d, *a);
				expect("%s %s, 0x%x", alu_names[op], r64[*d], (unsigned)imm & 63);
			} else if (op == ALU_MUL || !near) {
				expect_set(RCX, imm);
				expect_alu((enum jit_alu)op, *d, *a, RCX);
			} else {
				expect_move(*d, *a);
				expect("%s %s, 0x%" PRIx64, alu_names[op], r64[*d], imm);
			}
			done();
		}
}

static void divisions_and_inversions(void **state)
{
	(void)state;
	EACH(d) EACH(a)
	{
		t->invert(&code, false, *d, *a);
		expect_move(*d, *a);
		expect("not %s", r64[*d]);
		t->invert(&code, true, *d, *a);
		expect_move(*d, *a);
		expect("neg %s", r64[*d]);
		done();
		EACH(s) for (int remainder = 0; remainder < 2; remainder++)
		{
			t->divide(&code, remainder, *d, *a, *s);
			expect_move(RCX, *s);
			expect_move(RAX, *a);
			expect("xor edx, edx");
			expect("div rcx");
			expect_move(*d, remainder ? RDX : RAX);
			done();
		}
	}
}

/* A load of 1, 2, 4 or 8 bytes, then from big-endian. */
static void expect_load(unsigned bytes, uint8_t d, const char *from)
{
	if (bytes == 1) {
		expect("movzx %s, byte ptr %s", r32[d], from);
	} else if (bytes == 2) {
		expect("movzx %s, word ptr %s", r32[d], from);
		expect("rol %s, 0x8", r16[d]);
	} else if (bytes == 4) {
		expect("mov %s, dword ptr %s", r32[d], from);
		expect("bswap %s", r32[d]);
	} else {
		expect("mov %s, qword ptr %s", r64[d], from);
		expect("bswap %s", r64[d]);
	}
}

static void loads_from_the_packet(void **state)
{
	static const uint32_t offsets[] = {0, 1, 127, 128, 255, 256, 65535};

	(void)state;
	for (int calls = 0; calls < 2; calls++)
		EACH(d) for (unsigned bytes = 1; bytes <= 8; bytes *= 2)
		{
			uint8_t base = calls ? R12 : RDI;

			for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
				t->load(&code, calls, *d, bytes, offsets[i]);
				expect_load(bytes, *d, memory(base, offsets[i]));
			}
			EACH(index)
			{
				char from[24];

				snprintf(from, sizeof(from), "[%s + %s]", r64[base], r64[*index]);
				t->load_indexed(&code, calls, *d, bytes, *index);
				expect_load(bytes, *d, from);
			}
			done();
		}
}

static void loads_from_the_environment(void **state)
{
	(void)state;
	for (int calls = 0; calls < 2; calls++)
		EACH(d)
		{
			uint8_t env = calls ? R14 : R11;

			t->load_env(&code, calls, *d, offsetof(struct jit_env, input));
			expect("mov %s, qword ptr %s", r64[*d], memory(env, offsetof(struct jit_env, input)));
			t->load_shard(&code, calls, *d, offsetof(struct shard, seed));
			expect("mov %s, qword ptr %s", r64[*d], memory(env, offsetof(struct jit_env, shard)));
			expect("mov %s, qword ptr %s", r64[*d], memory(*d, offsetof(struct shard, seed)));
			t->length(&code, calls, *d);
			expect_move(*d, calls ? R13 : RSI);
			t->data(&code, calls, *d);
			expect_move(*d, calls ? R12 : RDI);
			done();
		}
}

static const struct {
	uint8_t cond;
	const char *name;
} conds[] = {{VFM_OP_JEQ, "je"}, {VFM_OP_JNE, "jne"}, {VFM_OP_JGT, "ja"},
	     {VFM_OP_JLT, "jb"}, {VFM_OP_JGE, "jae"}, {VFM_OP_JLE, "jbe"}};
#define N_CONDS (sizeof(conds) / sizeof(*conds))

/* One branch back to offset 0, one forward to the end. */
static void branches(void **state)
{
	(void)state;
	for (size_t c = 0; c < N_CONDS; c++)
		EACH(a) EACH(s)
		{
			uint32_t back = jit_label(&code), forth = jit_label(&code);

			jit_place_label(&code, back);
			t->branch(&code, conds[c].cond, *a, *s, forth);
			t->branch(&code, conds[c].cond, *a, *s, back);
			jit_place_label(&code, forth);
			t->link(&code);
			expect("cmp %s, %s", r64[*a], r64[*s]);
			expect("%s 0x12", conds[c].name);
			expect("cmp %s, %s", r64[*a], r64[*s]);
			expect("%s 0x0", conds[c].name);
			done();
		}
}

static void branches_on_constants(void **state)
{
	(void)state;
	for (size_t c = 0; c < N_CONDS; c++)
		EACH(a) for (size_t i = 0; i < N_NUMBERS; i++)
		{
			uint32_t label = jit_label(&code);
			uint64_t imm = numbers[i];

			jit_place_label(&code, label);
			t->branch_imm(&code, conds[c].cond, *a, imm, label);
			t->link(&code);
			if (imm == 0) {
				expect("test %s, %s", r64[*a], r64[*a]);
			} else if (imm <= INT32_MAX || imm >= -(1ull << 31)) {
				expect("cmp %s, 0x%" PRIx64, r64[*a], imm);
			} else {
				expect_set(RCX, imm);
				expect("cmp %s, rcx", r64[*a]);
			}
			expect("%s 0x0", conds[c].name);
			done();
		}
}

static void jumps_calls_and_counts(void **state)
{
	(void)state;
	for (int calls = 0; calls < 2; calls++) {
		uint8_t env = calls ? R14 : R11;
		uint32_t label = jit_label(&code), offset = offsetof(struct jit_env, updates);

		jit_place_label(&code, label);
		t->branch_short(&code, calls, 65535, label);
		t->jump(&code, label);
		t->count(&code, calls, offset, 7, 0, JIT_NO_LABEL);
		t->count(&code, calls, offset, 1, 64, label);
		t->count(&code, calls, offset, 0, 10000, label);
		t->call(&code, (const void *)(uintptr_t)0x7f0012345678);
		t->link(&code);
		expect("cmp %s, 0xffff", r64[calls ? R13 : RSI]);
		expect("jb 0x0");
		expect("jmp 0x0");
		expect("add qword ptr %s, 0x7", memory(env, offset));
		expect("add qword ptr %s, 0x1", memory(env, offset));
		expect("mov ecx, 0x40");
		expect("cmp qword ptr %s, rcx", memory(env, offset));
		expect("ja 0x0");
		expect("mov ecx, 0x2710");
		expect("cmp qword ptr %s, rcx", memory(env, offset));
		expect("ja 0x0");
		expect("movabs rax, 0x7f0012345678");
		expect("call rax");
		done();
	}
}

/* Frames for every set of saved registers, of as many slots as keep the stack aligned for calls. */
static void frames(void **state)
{
	static const uint8_t order[] = {RBX, RBP, R12, R13, R14, R15};

	(void)state;
	for (uint32_t set = 0; set < 64; set++)
		for (uint32_t n_slots = 0; n_slots < 3; n_slots++)
			for (int calls = 0; calls < 2; calls++) {
				uint32_t saved = 0, pushed, below = 8 * n_slots;

				for (unsigned i = 0; i < 6; i++)
					saved |= (set >> i & 1) << order[i];
				pushed = saved | (calls ? 1u << R12 | 1u << R13 | 1u << R14 : 0);
				if (calls)
					while ((8 + 8 * (unsigned)__builtin_popcount(pushed) + below) % 16)
						below += 8;
				t->prologue(&code, calls, saved, n_slots);
				t->epilogue(&code, calls, saved, n_slots, set % 2 ? -3 : 0);
				for (unsigned i = 0; i < 6; i++)
					if (pushed >> order[i] & 1)
						expect("push %s", r64[order[i]]);
				if (below)
					expect("sub rsp, 0x%x", below);
				expect("mov %s, rdx", r64[calls ? R14 : R11]);
				if (calls)
					expect("mov r12, rdi; mov r13, rsi");
				expect(set % 2 ? "mov rdx, 0xfffffffffffffffd" : "xor edx, edx");
				if (below)
					expect("add rsp, 0x%x", below);
				for (unsigned i = 6; i-- > 0;)
					if (pushed >> order[i] & 1)
						expect("pop %s", r64[order[i]]);
				expect("ret");
				done();
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_and_constants),
		cmocka_unit_test(slots),
		cmocka_unit_test(arithmetic_on_registers),
		cmocka_unit_test(arithmetic_with_constants),
		cmocka_unit_test(divisions_and_inversions),
		cmocka_unit_test(loads_from_the_packet),
		cmocka_unit_test(loads_from_the_environment),
		cmocka_unit_test(branches),
		cmocka_unit_test(branches_on_constants),
		cmocka_unit_test(jumps_calls_and_counts),
		cmocka_unit_test(frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

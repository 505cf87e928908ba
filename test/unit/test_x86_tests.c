/* Lists of tests in x86-64: what is written for each form, as a disassembler reads it. */
#include "jit/parts.h"
#include "test/lib/disasm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9 };

static struct jit_buf code;
static struct plan plan;
static struct jit_decision decision;

/* A list of n items, all of whose windows begin at byte 12 + 8 * w; results are 1 if any item fits, else 0. */
static void begin(uint32_t n, uint32_t width, uint32_t items_at_once)
{
	memset(&plan, 0, sizeof(plan));
	plan.list.n = n;
	plan.list.width = width;
	for (uint32_t w = 0; w < width; w++)
		plan.list.at[w] = 12 + 8 * w;
	decision = (struct jit_decision){.plan = &plan, .items_at_once = items_at_once, .returns = true, .next = JIT_NO_LABEL};
	for (uint32_t i = 0; i < n; i++)
		decision.values[i] = 1;
}

static void demand(uint32_t item, uint32_t w, uint64_t mask, uint64_t value)
{
	plan.list.mask[w][item] = mask;
	plan.list.value[w][item] = value;
}

/* Labels stand behind the code. */
static void expect(const char *want)
{
	const char *got;
	uint32_t bytes;

	jit_x86.decide(&code, &decision);
	bytes = code.n;
	for (uint32_t l = 0; l < code.n_labels; l++)
		if (code.labels[l] == JIT_NO_LABEL)
			jit_place_label(&code, l);
	jit_place_constants(&code);
	jit_x86.link(&code);
	got = disasm(DISASM_X86, code.code, bytes); /* a text of its own */
	jit_buf_fini(&code);
	code = (struct jit_buf){0};
	if (strcmp(want, got))
		fail_msg("should be \"%s\" and is \"%s\"", want, got);
}

static void one_window_is_as_narrow_as_its_mask(void **state)
{
	(void)state;
	begin(1, 1, 1);
	demand(0, 0, 0xff, 6);
	expect("movzx eax, byte ptr [rdi + 0xc]; xor eax, 0x6; sete al; movzx eax, al");
	demand(0, 0, 0xffff0000, 0x00080000);
	expect("movzx eax, word ptr [rdi + 0xe]; xor eax, 0x8; sete al; movzx eax, al");
	demand(0, 0, 0xffffff, 0x030201);
	expect("mov eax, dword ptr [rdi + 0xc]; xor eax, 0x30201; and eax, 0xffffff; sete al; movzx eax, al");
	demand(0, 0, 0xffffffull << 40, 0);
	expect("mov eax, dword ptr [rdi + 0x10]; and eax, 0xffffff00; sete al; movzx eax, al");
	demand(0, 0, 0x80ull << 56 | 1, 1);
	expect("mov rax, qword ptr [rdi + 0xc]; xor rax, 0x1; movabs rdx, 0x8000000000000001; and rax, rdx; sete al; "
	       "movzx eax, al");
	demand(0, 0, UINT64_MAX, 0x123456789abcdef0);
	expect("mov rax, qword ptr [rdi + 0xc]; movabs rdx, 0x123456789abcdef0; xor rax, rdx; sete al; movzx eax, al");
	decision.calls = true;
	demand(0, 0, 0xf0, 0x40);
	expect("movzx eax, byte ptr [r12 + 0xc]; xor eax, 0x40; and eax, 0xf0; sete al; movzx eax, al");
}

static void windows_of_values_are_shifted_into_place(void **state)
{
	(void)state;
	begin(1, 1, 1);
	plan.list.at[0] = JIT_VALUE_AT + 16 * 7;
	decision.place[0] = (struct jit_place){R9, JIT_NO_SLOT};
	demand(0, 0, 0xff, 6);
	expect("mov rax, r9; xor rax, 0x6; and rax, 0xff; sete al; movzx eax, al");
	plan.list.at[0] -= 6; /* two bytes of 0 below the value's */
	demand(0, 0, 0xffffull << 48, 443ull << 48);
	expect("mov rax, r9; xor rax, 0x1bb; and rax, 0xffff; sete al; movzx eax, al");
	plan.list.at[0] += 8;
	decision.place[0] = (struct jit_place){JIT_NO_REG, 3};
	demand(0, 0, 0xff, 6);
	expect("mov rax, qword ptr [rsp + 0x18]; xor rax, 0x60000; and rax, 0xff0000; sete al; movzx eax, al");
	assert_int_equal(jit_window_value(plan.list.at[0]), 7);
}

static void several_windows_are_one_condition(void **state)
{
	(void)state;
	begin(1, 2, 1);
	demand(0, 0, 0xffff, 8);
	demand(0, 1, 0xff000000, 0x06000000);
	expect("movzx eax, word ptr [rdi + 0xc]; xor eax, 0x8; movzx ecx, byte ptr [rdi + 0x17]; xor ecx, 0x6; or rax, rcx; "
	       "sete al; movzx eax, al");
}

static void results_are_set_and_exits_jumped_to(void **state)
{
	uint32_t fits, misses;

	(void)state;
	begin(1, 1, 1);
	demand(0, 0, 0xff, 6);
	decision.values[0] = 0;
	decision.values[1] = 1;
	expect("movzx eax, byte ptr [rdi + 0xc]; xor eax, 0x6; setne al; movzx eax, al");
	plan.list.negate = 1;
	expect("movzx eax, byte ptr [rdi + 0xc]; xor eax, 0x6; sete al; movzx eax, al");
	plan.list.negate = 0;
	decision.values[0] = 1ull << 32;
	decision.values[1] = 0;
	expect("movzx eax, byte ptr [rdi + 0xc]; xor eax, 0x6; movabs rcx, 0x100000000; mov eax, 0x0; cmove rax, rcx");
	decision.values[1] = 1ull << 32;
	expect("movzx eax, byte ptr [rdi + 0xc]; xor eax, 0x6; movabs rax, 0x100000000");

	decision.returns = false;
	fits = decision.labels[0] = jit_label(&code);
	misses = decision.labels[1] = jit_label(&code);
	expect("movzx eax, byte ptr [rdi + 0xc]; xor eax, 0x6; je 0x12; jmp 0x12");
	jit_label(&code);
	decision.next = misses;
	jit_label(&code);
	expect("movzx eax, byte ptr [rdi + 0xc]; xor eax, 0x6; je 0xd");
	jit_label(&code);
	jit_label(&code);
	decision.next = fits;
	expect("movzx eax, byte ptr [rdi + 0xc]; xor eax, 0x6; jne 0xd");
}

static void many_items_are_tested_together(void **state)
{
	(void)state;
	begin(4, 1, 4);
	for (uint32_t i = 0; i < 4; i++)
		demand(i, 0, 0xff, i);
	expect("vpbroadcastq ymm0, qword ptr [rdi + 0xc]; vpxor ymm6, ymm6, ymm6; vpxor ymm4, ymm0, ymmword ptr [rip + 0x2c]; "
	       "vpand ymm4, ymm4, ymmword ptr [rip + 0x43]; vpcmpeqq ymm4, ymm4, ymm6; vmovmskpd ecx, ymm4; mov rax, rcx; "
	       "vzeroupper; test rax, rax; setne al; movzx eax, al");
}

static void the_first_item_that_fits_decides(void **state)
{
	const char *got;

	(void)state;
	begin(9, 1, 8);
	for (uint32_t i = 0; i < 9; i++) {
		demand(i, 0, 0xff, i);
		decision.values[i] = i;
	}
	decision.values[9] = 1000;
	jit_x86.decide(&code, &decision);
	got = disasm(DISASM_X86, code.code, code.n);
	/* Another group's bits; no need to mark the end; one of ten results. */
	assert_non_null(strstr(got, "kmovw ecx, k1; shl rcx, 0x8; or rax, rcx; bsf rax, rax; lea rcx, [rip]; mov rax, qword ptr "
				    "[rcx + rax*0x8]"));
	jit_buf_fini(&code);
	code = (struct jit_buf){0};

	begin(8, 1, 8);
	for (uint32_t i = 0; i < 8; i++) {
		demand(i, 0, 0xff, i);
		decision.values[i] = i % 3 == 0 ? 7 : 5;
	}
	decision.values[8] = 7;
	plan.list.negate = 0x11;
	jit_x86.decide(&code, &decision);
	got = disasm(DISASM_X86, code.code, code.n);
	assert_non_null(strstr(got, "mov ecx, 0x11; xor rax, rcx; bts rax, 0x8; bsf rax, rax; mov ecx, 0x149; bt rcx, rax; "
				    "mov ecx, 0x7; mov eax, 0x5; cmovb rax, rcx"));
	jit_buf_fini(&code);
	code = (struct jit_buf){0};

	decision.chained = true;
	jit_x86.decide(&code, &decision);
	got = disasm(DISASM_X86, code.code, code.n);
	assert_int_equal(strncmp(got, "mov rdx, rax; ", 14), 0);
	assert_non_null(
		strstr(got, "bsf rax, rax; cmp eax, 0x8; lea rcx, [rip]; mov rax, qword ptr [rcx + rax*0x8]; cmove rax, rdx"));
	jit_buf_fini(&code);
	code = (struct jit_buf){0};
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_window_is_as_narrow_as_its_mask), cmocka_unit_test(windows_of_values_are_shifted_into_place),
		cmocka_unit_test(several_windows_are_one_condition),   cmocka_unit_test(results_are_set_and_exits_jumped_to),
		cmocka_unit_test(many_items_are_tested_together),      cmocka_unit_test(the_first_item_that_fits_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every form of the AVX2 encoder, with every register, as a disassembler reads it. */
#include "jit/vex.h"
#include "test/lib/disasm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define REGS 16 /* ymm0 to ymm15, rax to r15 */

static const char *const op_names[VEX_N_OPS] = {
	[VEX_PADDD] = "vpaddd",
	[VEX_PSUBD] = "vpsubd",
	[VEX_PMULLD] = "vpmulld",
	[VEX_PAND] = "vpand",
	[VEX_POR] = "vpor",
	[VEX_PXOR] = "vpxor",
	[VEX_PSLLVD] = "vpsllvd",
	[VEX_PSRLVD] = "vpsrlvd",
	[VEX_PSHUFB] = "vpshufb",
	[VEX_PADDQ] = "vpaddq",
	[VEX_PCMPEQD] = "vpcmpeqd",
	[VEX_PCMPEQQ] = "vpcmpeqq",
	[VEX_PUNPCKLDQ] = "vpunpckldq",
	[VEX_PUNPCKHDQ] = "vpunpckhdq",
	[VEX_PUNPCKLQDQ] = "vpunpcklqdq",
	[VEX_PUNPCKHQDQ] = "vpunpckhqdq",
	[VEX_PMINUD] = "vpminud",
	[VEX_PMAXUD] = "vpmaxud",
};
static const char *const gprs[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
				   "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
static const char *const gprs32[] = {"eax", "ecx", "edx",  "ebx",  "esp",  "ebp",  "esi",  "edi",
				     "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"};

static struct jit_buf code;

/* The code emitted since the last call; labels are linked. */
__attribute__((format(printf, 1, 2))) static void expect(const char *format, ...)
{
	char want[200];
	const char *got;
	va_list args;

	jit_x86.link(&code);
	got = disasm(DISASM_X86, code.code, code.n);
	va_start(args, format);
	vsnprintf(want, sizeof(want), format, args);
	va_end(args);
	jit_buf_fini(&code); /* got is a text of its own */
	code = (struct jit_buf){0};
	if (strcmp(want, got))
		fail_msg("should be \"%s\" and is \"%s\"", want, got);
}

static struct evex_src in_reg(uint32_t r)
{
	return (struct evex_src){EVEX_REG, r};
}

static const struct evex_src on_stack = {EVEX_STACK, 0x120};

/* A constant at the start of the code. */
static struct evex_src constant(void)
{
	struct evex_src s = {EVEX_CONST, jit_label(&code)};

	jit_place_label(&code, s.at);
	return s;
}

static void operations(void **state)
{
	(void)state;
	for (int op = 0; op < VEX_N_OPS; op++)
		for (uint8_t d = 0; d < REGS; d++)
			for (uint8_t a = 0; a < REGS; a++) {
				for (uint8_t s = 0; s < REGS; s++) {
					vex_op(&code, (enum vex_op)op, d, a, in_reg(s));
					expect("%s ymm%u, ymm%u, ymm%u", op_names[op], d, a, s);
				}
				vex_op(&code, (enum vex_op)op, d, a, on_stack);
				expect("%s ymm%u, ymm%u, ymmword ptr [rsp + 0x120]", op_names[op], d, a);
				vex_op(&code, (enum vex_op)op, d, a, constant());
				expect("%s ymm%u, ymm%u, ymmword ptr [rip - 0x9]", op_names[op], d, a);
			}
}

static void shifts_and_blends(void **state)
{
	(void)state;
	for (uint8_t d = 0; d < REGS; d++)
		for (uint8_t a = 0; a < REGS; a++) {
			vex_shift(&code, true, d, a, (uint8_t)(a + 10));
			expect("vpslld ymm%u, ymm%u, 0x%x", d, a, a + 10);
			vex_shift(&code, false, d, a, (uint8_t)(d + 10));
			expect("vpsrld ymm%u, ymm%u, 0x%x", d, a, d + 10);
			for (uint8_t m = 0; m < REGS; m++) {
				vex_blend(&code, d, a, in_reg(15u - m), m);
				expect("vpblendvb ymm%u, ymm%u, ymm%u, ymm%u", d, a, 15 - m, m);
			}
			vex_blend(&code, d, a, on_stack, a);
			expect("vpblendvb ymm%u, ymm%u, ymmword ptr [rsp + 0x120], ymm%u", d, a, a);
			vex_blend(&code, d, a, constant(), d);
			expect("vpblendvb ymm%u, ymm%u, ymmword ptr [rip - 0xa], ymm%u", d, a, d);
		}
}

static void moves(void **state)
{
	(void)state;
	for (uint8_t d = 0; d < REGS; d++) {
		vex_move(&code, d, on_stack);
		expect("vmovdqa ymm%u, ymmword ptr [rsp + 0x120]", d);
		vex_move(&code, d, constant());
		expect("vmovdqa ymm%u, ymmword ptr [rip - 0x9]", d);
		for (uint8_t s = 0; s < REGS; s++) {
			vex_move(&code, d, in_reg(s));
			expect("vmovdqa ymm%u, ymm%u", d, s);
			vex_load(&code, d, s, 64);
			expect("vmovdqa ymm%u, ymmword ptr [%s + 0x40]", d, gprs[s]);
			vex_store(&code, s, 256, d);
			expect("vmovdqa ymmword ptr [%s + 0x100], ymm%u", gprs[s], d);
			vex_load_low(&code, d, s, 30);
			expect("vmovdqu xmm%u, xmmword ptr [%s + 0x1e]", d, gprs[s]);
			vex_load_high(&code, d, s, 65535);
			expect("vinserti128 ymm%u, ymm%u, xmmword ptr [%s + 0xffff], 0x1", d, d, gprs[s]);
			vex_repeat64_from(&code, d, s, 30);
			expect("vpbroadcastq ymm%u, qword ptr [%s + 0x1e]", d, gprs[s]);
			vex_repeat64_from(&code, d, s, 65535);
			expect("vpbroadcastq ymm%u, qword ptr [%s + 0xffff]", d, gprs[s]);
			vex_repeat32(&code, d, s);
			expect("vmovd xmm%u, %s; vpbroadcastd ymm%u, xmm%u", d, gprs32[s], d, d);
			vex_repeat64(&code, d, s);
			expect("vmovq xmm%u, %s; vpbroadcastq ymm%u, xmm%u", d, gprs[s], d, d);
			vex_signs32(&code, s, d);
			expect("vmovmskps %s, ymm%u", gprs32[s], d);
			vex_signs64(&code, s, d);
			expect("vmovmskpd %s, ymm%u", gprs32[s], d);
			vex_and_not(&code, d, s, (uint8_t)(15 - d));
			expect("andn %s, %s, %s", gprs32[d], gprs32[s], gprs32[15 - d]);
		}
	}
	vex_zero_upper(&code);
	expect("vzeroupper");
}

static void gathers_halves_and_widths(void **state)
{
	(void)state;
	for (uint8_t d = 0; d < REGS; d++)
		for (uint8_t s = 0; s < REGS; s++) {
			if (d != s) {
				uint8_t mask = 0;

				while (mask == d || mask == s)
					mask++;
				vex_gather(&code, d, s, 30, mask);
				expect("vpgatherqd xmm%u, dword ptr [ymm%u + 0x1e], xmm%u", d, s, mask);
			}
			vex_insert_high(&code, d, s, (uint8_t)(15 - d));
			expect("vinserti128 ymm%u, ymm%u, xmm%u, 0x1", d, s, 15 - d);
			vex_extract_high(&code, d, s);
			expect("vextracti128 xmm%u, ymm%u, 0x1", d, s);
			vex_widen(&code, d, s);
			expect("vpmovzxdq ymm%u, xmm%u", d, s);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations),
		cmocka_unit_test(shifts_and_blends),
		cmocka_unit_test(moves),
		cmocka_unit_test(gathers_halves_and_widths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

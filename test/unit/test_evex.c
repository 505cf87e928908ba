/* Every form of the AVX-512 encoder, with every register, as a disassembler reads it. */
#include "jit/evex.h"
#include "test/lib/disasm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define REGS 32 /* zmm0 to zmm31 */

static const char *const op_names[] = {
	[EVEX_PADDD] = "vpaddd",
	[EVEX_PSUBD] = "vpsubd",
	[EVEX_PMULLD] = "vpmulld",
	[EVEX_PANDD] = "vpandd",
	[EVEX_PORD] = "vpord",
	[EVEX_PXORD] = "vpxord",
	[EVEX_PSLLVD] = "vpsllvd",
	[EVEX_PSRLVD] = "vpsrlvd",
	[EVEX_PSHUFB] = "vpshufb",
	[EVEX_PADDQ] = "vpaddq",
	[EVEX_PUNPCKLDQ] = "vpunpckldq",
	[EVEX_PUNPCKHDQ] = "vpunpckhdq",
	[EVEX_PUNPCKLQDQ] = "vpunpcklqdq",
	[EVEX_PUNPCKHQDQ] = "vpunpckhqdq",
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

/* A constant at the start of the code. */
static struct evex_src constant(bool repeated)
{
	struct evex_src s = {repeated ? EVEX_BROADCAST : EVEX_CONST, jit_label(&code)};

	jit_place_label(&code, s.at);
	return s;
}

static void operations(void **state)
{
	(void)state;
	for (int op = EVEX_PADDD; op <= EVEX_PUNPCKHQDQ; op += op == EVEX_PSRLVD ? 2 : 1) /* capstone 4 does not know vpshufb's */
		for (uint8_t d = 0; d < REGS; d++)
			for (uint8_t a = 0; a < REGS; a++) {
				const char *name = op_names[op];

				for (uint8_t s = d % 4; s < REGS; s += 4) {
					evex_op(&code, (enum evex_op)op, d, a, in_reg(s));
					expect("%s zmm%u, zmm%u, zmm%u", name, d, a, s);
				}
				if (a < 16) { /* else see what_capstone_misreads */
					evex_op(&code, (enum evex_op)op, d, a, (struct evex_src){EVEX_STACK, 64u * (a + 1u)});
					expect("%s zmm%u, zmm%u, zmmword ptr [rsp + 0x%x]", name, d, a, 64 * (a + 1));
				}
				evex_op(&code, (enum evex_op)op, d, a, constant(false));
				expect("%s zmm%u, zmm%u, zmmword ptr [rip - 0xa]", name, d, a);
				if (op <= EVEX_PXORD) { /* shifts by a repeated count are none of capstone 4's */
					evex_op(&code, (enum evex_op)op, d, a, constant(true));
					expect("%s zmm%u, zmm%u, dword ptr [rip - 0xa]{1to16}", name, d, a);
				}
			}
}

static void shifts(void **state)
{
	(void)state;
	for (uint8_t d = 0; d < REGS; d++)
		for (uint8_t a = 0; a < REGS; a++) {
			evex_shift(&code, true, d, a, a);
			expect("vpslld zmm%u, zmm%u, 0x%x", d, a, a);
			evex_shift(&code, false, d, a, d);
			expect("vpsrld zmm%u, zmm%u, 0x%x", d, a, d);
		}
}

static void moves(void **state)
{
	(void)state;
	for (uint8_t d = 0; d < REGS; d++) {
		for (uint8_t s = 0; s < REGS; s++) {
			evex_move(&code, d, in_reg(s), 0);
			expect("vmovdqa32 zmm%u, zmm%u", d, s);
		}
		for (uint8_t k = 1; k < 8; k++) {
			evex_move(&code, d, in_reg(31 - d), k);
			expect("vmovdqa32 zmm%u {k%u}, zmm%u", d, k, 31 - d);
		}
		evex_move(&code, d, (struct evex_src){EVEX_STACK, 128}, 0);
		expect("vmovdqa32 zmm%u, zmmword ptr [rsp + 0x80]", d);
		evex_move(&code, d, constant(false), 0);
		expect("vmovdqa32 zmm%u, zmmword ptr [rip - 0xa]", d);
		evex_move(&code, d, constant(true), 0);
		expect("vpbroadcastd zmm%u, dword ptr [rip - 0xa]", d);
		evex_store(&code, 192, d);
		expect("vmovdqa32 zmmword ptr [rsp + 0xc0], zmm%u", d);
		for (uint8_t g = 0; g < 16; g++) {
			if (g % 8 == 4) /* neither rsp nor r12 */
				continue;
			evex_store_to(&code, g, 128, d);
			expect("vmovdqa64 zmmword ptr [%s + 0x80], zmm%u", gprs[g], d);
			evex_load_from(&code, d, g, 64);
			expect("vmovdqa64 zmm%u, zmmword ptr [%s + 0x40]", d, gprs[g]);
			for (uint8_t chunk = 1; chunk < 4 && d < 16; chunk++) { /* the others: see the GNU disassembler */
				evex_insert_chunk(&code, d, g, 30, chunk);
				expect("vinserti32x4 zmm%u, zmm%u, xmmword ptr [%s + 0x1e], 0x%x", d, d, gprs[g], chunk);
			}
		}
	}
}

static void compares(void **state)
{
	static const struct {
		uint8_t cond;
		const char *name;
	} conds[] = {{VFM_OP_JEQ, "eq"}, {VFM_OP_JNE, "neq"}, {VFM_OP_JGT, "nle"},
		     {VFM_OP_JLT, "lt"}, {VFM_OP_JGE, "nlt"}, {VFM_OP_JLE, "le"}};

	(void)state;
	for (size_t c = 0; c < sizeof(conds) / sizeof(*conds); c++)
		for (uint8_t k = 0; k < 8; k++)
			for (uint8_t a = 0; a < REGS; a++) {
				for (uint8_t s = k % 4; s < REGS; s += 4) {
					evex_compare(&code, k, conds[c].cond, a, in_reg(s));
					expect("vpcmp%sud k%u, zmm%u, zmm%u", conds[c].name, k, a, s);
				}
				evex_compare(&code, k, conds[c].cond, a, constant(true));
				expect("vpcmp%sud k%u, zmm%u, dword ptr [rip - 0xb]{1to16}", conds[c].name, k, a);
				if (a >= 16)
					continue;
				evex_compare(&code, k, conds[c].cond, a, (struct evex_src){EVEX_STACK, 256});
				expect("vpcmp%sud k%u, zmm%u, zmmword ptr [rsp + 0x100]", conds[c].name, k, a);
			}
}

static void gathers_halves_and_widths(void **state)
{
	(void)state;
	for (uint8_t d = 0; d < REGS; d++)
		for (uint8_t s = 0; s < REGS; s++) {
			evex_gather(&code, d, s % 16, 30, 1 + d % 7);
			/* What capstone 4 says of the operand's width is one address's. */
			expect("vpgatherqd ymm%u {k%u}, qword ptr [zmm%u + 0x1e]", d, 1 + d % 7, s % 16);
			evex_insert_high(&code, d, s, 31 - d);
			expect("vinserti64x4 zmm%u, zmm%u, ymm%u, 0x1", d, s, 31 - d);
			evex_extract_high(&code, d, s);
			expect("vextracti64x4 ymm%u, zmm%u, 0x1", d, s);
			evex_widen(&code, d, s);
			expect("vpmovzxdq zmm%u, ymm%u", d, s);
		}
}

static void expect_bytes(const char *want)
{
	char got[64] = "";

	for (uint32_t i = 0; i < code.n && i < 16; i++)
		snprintf(got + 3 * i, 4, "%02x ", code.code[i]);
	jit_buf_fini(&code);
	code = (struct jit_buf){0};
	assert_string_equal(got, want);
}

/* capstone 4 takes V', where it belongs to the first source or the index of a gather, for a part of something else. The GNU disassembler reads
 * these bytes as vpaddd zmm0, zmm16, [rsp+0x440]; vpcmpequd k0, zmm16, [rsp+0x100]; vpgatherqd ymm0{k1}, [zmm16*1+0x1e]; vpgatherqd
 * ymm20{k3}, [zmm31*1+0x1e]; vpbroadcastd zmm0{k1}, [rip-0xa]; vpsllvd zmm20, zmm17, [rip-0xa]{1to16}; vpshufb zmm20, zmm9, zmm27. */
static void what_capstone_misreads(void **state)
{
	(void)state;
	evex_op(&code, EVEX_PADDD, 0, 16, (struct evex_src){EVEX_STACK, 0x440});
	expect_bytes("62 f1 7d 40 fe 84 24 40 04 00 00 ");
	evex_compare(&code, 0, VFM_OP_JEQ, 16, (struct evex_src){EVEX_STACK, 256});
	expect_bytes("62 f3 7d 40 1e 84 24 00 01 00 00 00 ");
	evex_gather(&code, 0, 16, 30, 1);
	expect_bytes("62 f2 7d 41 91 04 05 1e 00 00 00 ");
	evex_gather(&code, 20, 31, 30, 3);
	expect_bytes("62 a2 7d 43 91 24 3d 1e 00 00 00 ");
	evex_move(&code, 0, constant(true), 1);
	jit_x86.link(&code);
	expect_bytes("62 f2 7d 49 58 05 f6 ff ff ff ");
	evex_op(&code, EVEX_PSLLVD, 20, 17, constant(true));
	jit_x86.link(&code);
	expect_bytes("62 e2 75 50 47 25 f6 ff ff ff ");
	evex_op(&code, EVEX_PSHUFB, 20, 9, in_reg(27));
	expect_bytes("62 82 35 48 00 e3 ");
}

/* ---- the GNU disassembler, for what capstone 4 misreads or does not know ---- */

#define PILE_FORMS (16 * REGS * REGS)

static struct {
	uint8_t code[PILE_FORMS * 16];
	char want[PILE_FORMS][100];
	uint32_t bytes, n;
} pile;

/* The code emitted since the last call goes on the pile, which is disassembled as a whole. */
__attribute__((format(printf, 1, 2))) static void pile_up(const char *format, ...)
{
	va_list args;

	jit_x86.link(&code);
	assert_true(pile.n < PILE_FORMS && code.n <= 16);
	memcpy(pile.code + pile.bytes, code.code, code.n);
	pile.bytes += code.n;
	va_start(args, format);
	vsnprintf(pile.want[pile.n++], sizeof(pile.want[0]), format, args);
	va_end(args);
	jit_buf_fini(&code);
	code = (struct jit_buf){0};
}

static void pile_operations(uint8_t d, uint8_t a)
{
	uint8_t s = (uint8_t)((d + 7 * a) % REGS);

	evex_op(&code, EVEX_PSHUFB, d, a, in_reg(s));
	pile_up("vpshufb zmm%u,zmm%u,zmm%u", d, a, s);
	evex_op(&code, EVEX_PSHUFB, d, a, constant(false));
	pile_up("vpshufb zmm%u,zmm%u,ZMMWORD PTR [rip+0xfffffffffffffff6]", d, a);
	for (int op = EVEX_PADDD; op <= EVEX_PSRLVD; op++) {
		if (op >= EVEX_PSLLVD) {
			evex_op(&code, (enum evex_op)op, d, a, constant(true));
			pile_up("%s zmm%u,zmm%u,DWORD BCST [rip+0xfffffffffffffff6]", op_names[op], d, a);
		} else if (op == (d + a) % EVEX_PSLLVD) {
			evex_op(&code, (enum evex_op)op, d, a, (struct evex_src){EVEX_STACK, 64});
			pile_up("%s zmm%u,zmm%u,ZMMWORD PTR [rsp+0x40]", op_names[op], d, a);
		}
	}
}

static void pile_rest(uint8_t d, uint8_t a)
{
	uint8_t k = (uint8_t)(1 + (d + a) % 7);

	if (a < 16 && a % 8 != 4) { /* neither rsp nor r12 */
		evex_insert_chunk(&code, d, a, 65535, 1 + d % 3);
		pile_up("vinserti32x4 zmm%u,zmm%u,XMMWORD PTR [%s+0xffff],0x%x", d, d, gprs[a], 1 + d % 3);
	}

	evex_compare(&code, k, VFM_OP_JLE, a, (struct evex_src){EVEX_STACK, 64u * d});
	if (d)
		pile_up("vpcmpleud k%u,zmm%u,ZMMWORD PTR [rsp+0x%x]", k, a, 64 * d);
	else
		pile_up("vpcmpleud k%u,zmm%u,ZMMWORD PTR [rsp+0x0]", k, a);
	if (d != a) { /* no instruction else */
		evex_gather(&code, d, a, 30, k);
		pile_up("vpgatherqd ymm%u{k%u},DWORD PTR [zmm%u*1+0x1e]", d, k, a);
		evex_gather(&code, d, a, -2, k);
		pile_up("vpgatherqd ymm%u{k%u},DWORD PTR [zmm%u*1-0x2]", d, k, a);
	}
	evex_move(&code, d, constant(true), k);
	pile_up("vpbroadcastd zmm%u{k%u},DWORD PTR [rip+0xfffffffffffffff6]", d, k);
	evex_move(&code, d, (struct evex_src){EVEX_STACK, 4096}, k);
	pile_up("vmovdqa32 zmm%u{k%u},ZMMWORD PTR [rsp+0x1000]", d, k);
	evex_ternary(&code, d, a, in_reg(31u - d), 0xf8);
	pile_up("vpternlogd zmm%u,zmm%u,zmm%u,0xf8", d, a, 31 - d);
	evex_ternary(&code, d, a, constant(false), 0x96);
	pile_up("vpternlogd zmm%u,zmm%u,ZMMWORD PTR [rip+0xfffffffffffffff5],0x96", d, a);
	evex_test_not64(&code, k, a, in_reg(d));
	pile_up("vptestnmq k%u,zmm%u,zmm%u", k, a, d);
	evex_repeat64_from(&code, d, a % 16, 30);
	pile_up("vpbroadcastq zmm%u,QWORD PTR [%s+0x1e]", d, gprs[a % 16]);
	evex_repeat64(&code, d, a % 16);
	pile_up("vpbroadcastq zmm%u,%s", d, gprs[a % 16]);
}

/* "   2d:\tvpord  zmm0,zmm1,zmm2        # 0x2d" without address, comment and filling, in place; NULL: another line. */
static const char *instruction_of(char *line)
{
	char *at = strchr(line, '\t'), *filling;

	if (!at)
		return NULL;
	at++;
	at[strcspn(at, "#\n")] = 0;
	for (size_t n = strlen(at); n && at[n - 1] == ' '; n--)
		at[n - 1] = 0;
	filling = strstr(at, "  ");
	if (filling)
		memmove(filling, filling + 1, strlen(filling));
	return at;
}

static void compare_pile(FILE *disassembled)
{
	char line[256];
	uint32_t i = 0;

	while (fgets(line, sizeof(line), disassembled)) {
		const char *got = instruction_of(line);

		if (!got)
			continue;
		assert_true(i < pile.n);
		if (strcmp(pile.want[i], got))
			fail_msg("should be \"%s\" and is \"%s\"", pile.want[i], got);
		i++;
	}
	assert_int_equal(i, pile.n);
}

static void what_only_the_gnu_disassembler_reads(void **state)
{
	char path[] = "/tmp/test_evex_XXXXXX", command[160];
	FILE *f;
	int fd;

	(void)state;
	if (system("objdump --version >/dev/null 2>&1")) {
		print_message("SKIP no objdump\n");
		skip();
	}
	for (uint8_t d = 0; d < REGS; d++)
		for (uint8_t a = 0; a < REGS; a++) {
			pile_operations(d, a);
			pile_rest(d, a);
		}
	fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, pile.code, pile.bytes) == (ssize_t)pile.bytes);
	close(fd);
	snprintf(command, sizeof(command), "objdump -D -b binary -m i386:x86-64 -M intel -w --no-show-raw-insn %s", path);
	f = popen(command, "r");
	assert_non_null(f);
	compare_pile(f);
	pclose(f);
	unlink(path);
}

static void masks(void **state)
{
	(void)state;
	for (uint8_t k = 0; k < 8; k++)
		for (uint8_t g = 0; g < 16; g++) {
			evex_mask_from(&code, k, g);
			expect("kmovw k%u, %s", k, gprs32[g]);
			evex_mask_to(&code, g, k);
			expect("kmovw %s, k%u", gprs32[g], k);
			evex_mask_shift(&code, k, g % 8, (uint8_t)(g + 1));
			expect("kshiftrw k%u, k%u, 0x%x", k, g % 8, g + 1);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations),
		cmocka_unit_test(shifts),
		cmocka_unit_test(moves),
		cmocka_unit_test(compares),
		cmocka_unit_test(gathers_halves_and_widths),
		cmocka_unit_test(masks),
		cmocka_unit_test(what_capstone_misreads),
		cmocka_unit_test(what_only_the_gnu_disassembler_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Disassembling and assembling again gives the same bytes: for random bytes, for bytes that look like programs, for the examples.
 * The seed of a failing case is printed; TEST_SEED=N runs that case alone. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/gen_program.h"
#include "vm/asm.h"
#include "vm/file.h"

#define MAX_BYTES 2048u

/* asm(dis(code)) == code, with the comments that flags ask for. */
static bool survives(const uint8_t *code, uint32_t len, unsigned flags, struct diag_list *d)
{
	char *text = NULL;
	size_t text_bytes = 0;
	uint8_t *again = NULL;
	uint32_t again_len = 0;
	FILE *out = open_memstream(&text, &text_bytes);
	bool same;
	int ret;

	assert_non_null(out);
	assert_int_equal(dis_disassemble(code, len, flags, out), 0);
	fclose(out);
	diag_init(d, "dis", text, (uint32_t)text_bytes);
	ret = asm_assemble(text, text_bytes, false, &again, &again_len, d);
	same = ret == 0 && again_len == len && memcmp(code, again, len) == 0;
	if (!same) {
		fwrite(text, 1, text_bytes, stderr);
		diag_print(d, stderr);
	}
	free(again);
	free(text);
	return same;
}

static uint32_t random_bytes(struct gen_rng *r, uint8_t *code)
{
	uint32_t len = gen_below(r, gen_below(r, 4) ? 64 : MAX_BYTES);

	for (uint32_t i = 0; i < len; i++)
		code[i] = (uint8_t)gen_below(r, 256);
	return len;
}

/* Mostly whole instructions, jumps mostly short; cut anywhere. */
static uint32_t random_instructions(struct gen_rng *r, uint8_t *code)
{
	uint32_t len = 0, cut;

	while (len < MAX_BYTES - 16 && gen_below(r, 40)) {
		uint8_t op = (uint8_t)gen_below(r, gen_below(r, 30) ? 53 : 256);

		code[len++] = op;
		for (uint32_t i = 0; i < vfm_ops[op].operand_bytes; i++)
			code[len++] = (uint8_t)gen_below(r, 256);
		if (vfm_ops[op].operand == VFM_OPERAND_REL16) {
			int16_t distance = (int16_t)((int64_t)gen_below(r, 80) - 40);

			code[len - 2] = (uint8_t)distance;
			code[len - 1] = (uint8_t)((uint16_t)distance >> 8);
		}
	}
	cut = gen_below(r, 12);
	return gen_below(r, 3) || cut > len ? len : len - cut;
}

static uint32_t verified_program(struct gen_rng *r, uint8_t *code)
{
	static struct gen_program program;
	struct gen_options options;

	gen_options_all(&options);
	gen_program(&program, &options, gen_next(r));
	memcpy(code, program.code, program.len);
	return program.len;
}

static void run_cases(const char *name, uint32_t (*make)(struct gen_rng *, uint8_t *))
{
	const char *only = getenv("TEST_SEED");
	uint64_t first = only ? strtoull(only, NULL, 0) : 1;
	uint64_t n = only ? 1 : getenv("TEST_ALL") ? 100000 : 1000;
	struct diag_list *d = malloc(sizeof(*d));
	uint8_t *code = malloc(GEN_MAX_BYTES);

	for (uint64_t seed = first; seed < first + n; seed++) {
		struct gen_rng r = {seed};
		uint32_t len = make(&r, code);

		if (!survives(code, len, gen_below(&r, 8), d))
			fail_msg("%s differ: repeat with TEST_SEED=%llu build/test/prop/test_asm_dis", name,
				 (unsigned long long)seed);
	}
	free(code);
	free(d);
}

static void random_bytes_survive_disassembly_and_assembly(void **state)
{
	(void)state;
	run_cases("random bytes", random_bytes);
}

static void random_instructions_survive_disassembly_and_assembly(void **state)
{
	(void)state;
	run_cases("random instructions", random_instructions);
}

static void generated_programs_survive_disassembly_and_assembly(void **state)
{
	(void)state;
	run_cases("generated programs", verified_program);
}

static void every_example_survives(void **state)
{
	struct diag_list *d = malloc(sizeof(*d));
	glob_t found;

	(void)state;
	assert_int_equal(glob("examples/*/*.vfm", 0, NULL, &found), 0);
	glob("examples/*.vfm", GLOB_APPEND, NULL, &found);
	glob("test/golden/manual/as-written/*.vfm", GLOB_APPEND, NULL, &found);
	assert_in_range(found.gl_pathc, 60, 10000);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		uint8_t *code = NULL;
		uint32_t bytes, len;
		char *source;

		assert_int_equal(file_read(found.gl_pathv[i], ASM_MAX_SOURCE_BYTES, &source, &bytes), 0);
		diag_init(d, found.gl_pathv[i], source, bytes);
		/* Some of the manual's fragments lack labels; test_manual.c says which. */
		if (!asm_assemble(source, bytes, false, &code, &len, d))
			assert_true(survives(code, len, 0, d));
		free(code);
		free(source);
	}
	globfree(&found);
	free(d);
}

/* The largest program there is, of each single byte value. */
static void programs_of_65536_equal_bytes_survive(void **state)
{
	struct diag_list *d = malloc(sizeof(*d));
	uint8_t *code = malloc(VFM_MAX_PROGRAM_BYTES);

	(void)state;
	for (int byte = 0; byte < 256; byte += getenv("TEST_ALL") ? 1 : 17) {
		memset(code, byte, VFM_MAX_PROGRAM_BYTES);
		assert_true(survives(code, VFM_MAX_PROGRAM_BYTES, 0, d));
	}
	free(code);
	free(d);
}

static void nothing_disassembles_to_nothing(void **state)
{
	struct diag_list d;

	(void)state;
	assert_true(survives((const uint8_t *)"", 0, 7, &d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bytes_survive_disassembly_and_assembly),
		cmocka_unit_test(random_instructions_survive_disassembly_and_assembly),
		cmocka_unit_test(generated_programs_survive_disassembly_and_assembly),
		cmocka_unit_test(every_example_survives),
		cmocka_unit_test(programs_of_65536_equal_bytes_survive),
		cmocka_unit_test(nothing_disassembles_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

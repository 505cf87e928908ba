/* Disassembling and assembling again gives the same bytes: for random bytes, for bytes that look like programs, for the examples.
 * The seed of a failing case is printed; VFM_SEED=N runs that case alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "state/mix.h"
#include "vm/asm.h"

#define MAX_BYTES 2048u

struct rng {
	uint64_t state;
};

static uint64_t draw(struct rng *r, uint64_t below)
{
	r->state += 0x9e3779b97f4a7c15u;
	return mix64(r->state) % below;
}

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

static uint32_t random_bytes(struct rng *r, uint8_t *code)
{
	uint32_t len = (uint32_t)draw(r, draw(r, 4) ? 64 : MAX_BYTES);

	for (uint32_t i = 0; i < len; i++)
		code[i] = (uint8_t)draw(r, 256);
	return len;
}

/* Mostly whole instructions, jumps mostly short; cut anywhere. */
static uint32_t random_instructions(struct rng *r, uint8_t *code)
{
	uint32_t len = 0, cut;

	while (len < MAX_BYTES - 16 && draw(r, 40)) {
		uint8_t op = (uint8_t)draw(r, draw(r, 30) ? 53 : 256);

		code[len++] = op;
		for (uint32_t i = 0; i < vfm_ops[op].operand_bytes; i++)
			code[len++] = (uint8_t)draw(r, 256);
		if (vfm_ops[op].operand == VFM_OPERAND_REL16) {
			int16_t distance = (int16_t)((int64_t)draw(r, 80) - 40);

			code[len - 2] = (uint8_t)distance;
			code[len - 1] = (uint8_t)((uint16_t)distance >> 8);
		}
	}
	cut = (uint32_t)draw(r, 12);
	return draw(r, 3) || cut > len ? len : len - cut;
}

static void run_cases(const char *name, uint32_t (*make)(struct rng *, uint8_t *))
{
	const char *only = getenv("VFM_SEED");
	uint64_t first = only ? strtoull(only, NULL, 0) : 1;
	uint64_t n = only ? 1 : getenv("TEST_ALL") ? 100000 : 1000;
	struct diag_list *d = malloc(sizeof(*d));
	uint8_t *code = malloc(MAX_BYTES);

	for (uint64_t seed = first; seed < first + n; seed++) {
		struct rng r = {seed};
		uint32_t len = make(&r, code);

		if (!survives(code, len, (unsigned)draw(&r, 8), d))
			fail_msg("%s differ: repeat with VFM_SEED=%llu", name, (unsigned long long)seed);
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
		cmocka_unit_test(programs_of_65536_equal_bytes_survive),
		cmocka_unit_test(nothing_disassembles_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

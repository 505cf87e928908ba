/* What the interpreter makes of a program at load, one rule a test: the operations that are left, and what the program then answers.
 * That the answers are right in general is test/prop/test_interp.c's business. */
#include "vm/asm.h"
#include "vm/regcode.h"
#include "vm/vfm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAME(name, reads, writes, removable) #name,
static const char *const op_names[] = {REG_OPS(NAME)};

struct fused {
	struct program *program;
	struct reg_code code;
	char text[512]; /* names of the operations, a space between them */
};

static struct program *program_of(const char *assembly)
{
	struct vfm_reject why;
	struct diag_list d;
	struct program *p;
	uint8_t *code;
	uint32_t len;

	diag_init(&d, "test", assembly, (uint32_t)strlen(assembly));
	assert_int_equal(asm_assemble(assembly, strlen(assembly), false, &code, &len, &d), 0);
	p = program_new(code, len, 0, &why);
	if (!p)
		fail_msg("refused: %s", why.reason);
	free(code);
	return p;
}

/* present_bytes UINT32_MAX: as for packets long enough for every load. */
static void fuse(struct fused *f, const char *assembly, uint32_t present_bytes, bool counted)
{
	static const void *const handlers[REG_OP_COUNT];
	struct fuse_options o = {.present_bytes = present_bytes, .counted = counted};
	struct lift l;

	memset(f, 0, sizeof *f);
	f->program = program_of(assembly);
	if (present_bytes == UINT32_MAX)
		o.present_bytes = f->program->need_bytes;
	assert_int_equal(lift_init(&l, f->program), 0);
	assert_int_equal(fuse_code(&l, &o, handlers, &f->code), 0);
	lift_fini(&l);
	for (uint32_t i = 0; i < f->code.n; i++) {
		strcat(f->text, i ? " " : "");
		strcat(f->text, op_names[f->code.insns[i].op]);
	}
}

static void fini(struct fused *f)
{
	fuse_code_fini(&f->code);
	program_free(f->program);
}

static void assert_fused(const char *assembly, const char *operations)
{
	struct fused f;

	fuse(&f, assembly, UINT32_MAX, false);
	assert_string_equal(f.text, operations);
	fini(&f);
}

/* Runs the program on a packet whose byte i is i. */
static struct vfm_result answer(const char *assembly, uint32_t len, uint32_t limit)
{
	struct program_state_options options = {.default_capacity = 4, .idle_s = -1};
	struct program *p = program_of(assembly);
	struct shard *s = program_shard_new(p, &options);
	struct interp *c = interp_new(p);
	struct vfm_packet packet = {.len = len};
	struct vfm_result r;
	uint8_t *bytes = malloc(len ? len : 1);

	assert_true(s && c && bytes);
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)i;
	packet.data = bytes;
	interp_run(c, s, &packet, limit, &r);
	free(bytes);
	interp_free(c);
	shard_free(s);
	program_free(p);
	return r;
}

static void assert_answer(const char *assembly, uint32_t len, int error, uint64_t value)
{
	struct vfm_result r = answer(assembly, len, VFM_DEFAULT_INSN_LIMIT);

	assert_int_equal(r.error, error);
	assert_int_equal(r.value, value);
}

static void constants_are_computed_at_load(void **state)
{
	(void)state;
	assert_fused("PUSH 6\nPUSH 7\nMUL\nDUP\nSWAP\nPOP\nRET", "RET_I");
	assert_answer("PUSH 6\nPUSH 7\nMUL\nDUP\nSWAP\nPOP\nRET", 0, VFM_SUCCESS, 42);
	assert_fused("PUSH 3\nPUSH 5\nJGT yes\nPUSH 0\nRET\nyes: PUSH 1\nRET", "RET_I");
}

static void a_masked_and_shifted_load_is_one_field(void **state)
{
	const char *text = "LD16 4\nPUSH 4\nSHR\nPUSH 0xff\nAND\nRET";

	(void)state;
	assert_fused(text, "RET_FIELD");
	assert_answer(text, 20, VFM_SUCCESS, 0x40);
	assert_answer(text, 6, VFM_SUCCESS, 0x40);
	assert_answer(text, 5, VFM_ERROR_BOUNDS, 0);
	assert_fused("LD32 4\nPUSH 8\nSHR\nPUSH 4\nSHR\nRET", "RET_FIELD");
	assert_answer("LD32 4\nPUSH 8\nSHR\nPUSH 4\nSHR\nRET", 20, VFM_SUCCESS, 0x04050);
}

static void a_constant_operand_needs_no_register(void **state)
{
	(void)state;
	assert_fused("PKTLEN\nPUSH 3\nADD\nRET", "PKTLEN ADD_RI RET_R");
	assert_fused("PUSH 3\nPKTLEN\nADD\nRET", "PKTLEN ADD_RI RET_R");
	assert_fused("PUSH 3\nPKTLEN\nSUB\nRET", "PKTLEN MOVI SUB_RR RET_R");
	assert_answer("PUSH 3\nPKTLEN\nSUB\nRET", 1, VFM_SUCCESS, 2);
}

static void what_nobody_uses_is_left_out_unless_it_may_fail(void **state)
{
	(void)state;
	assert_fused("HASH5\nPOP\nPKTLEN\nPUSH 9\nADD\nPOP\nPUSH 1\nRET", "RET_I");
	assert_fused("PKTLEN\nLDX8\nPOP\nPUSH 1\nRET", "PKTLEN LDX8 RET_I");
	assert_fused("PKTLEN\nPUSH 0\nDIV\nPOP\nPUSH 1\nRET", "DIVIDE_FAULT RET_I");
	assert_answer("PKTLEN\nLDX8\nPOP\nPUSH 1\nRET", 9, VFM_ERROR_BOUNDS, 0);
	assert_answer("LD8 9\nPOP\nPUSH 1\nRET", 9, VFM_ERROR_BOUNDS, 0);
}

static void short_packets_are_checked_where_the_load_stands(void **state)
{
	const char *text = "LD8 9\nPOP\nLD8 3\nLD8 12\nADD\nRET";
	struct fused f;

	(void)state;
	fuse(&f, text, 0, false);
	assert_string_equal(f.text, "CHECK CHECK FIELD FIELD ADD_RR RET_R");
	fini(&f);
	fuse(&f, text, 10, false);
	assert_string_equal(f.text, "CHECK FIELD FIELD ADD_RR RET_R");
	fini(&f);
	assert_fused(text, "FIELD FIELD ADD_RR RET_R");
	/* Division comes first in the program, so it names the error. */
	assert_answer("PUSH 1\nPKTLEN\nPKTLEN\nSUB\nDIV\nLD8 99\nADD\nRET", 10, VFM_ERROR_DIVISION_BY_ZERO, 0);
	assert_answer("LD8 99\nPUSH 1\nPKTLEN\nPKTLEN\nSUB\nDIV\nADD\nRET", 10, VFM_ERROR_BOUNDS, 0);
}

static void tests_that_fail_to_the_same_place_become_one(void **state)
{
	const char *text = "LD16 12\nPUSH 0x0c0d\nJNE drop\nLD8 23\nPUSH 23\nJNE drop\nPUSH 1\nRET\ndrop: PUSH 0\nRET";
	struct fused f;

	(void)state;
	fuse(&f, text, UINT32_MAX, false);
	assert_string_equal(f.text, "MATCH_RET");
	assert_int_equal(f.code.lists[0].n, 1);
	assert_int_equal(f.code.lists[0].width, 2);
	fini(&f);
	assert_answer(text, 24, VFM_SUCCESS, 1);
	assert_answer("LD16 12\nPUSH 0x0c0d\nJNE drop\nLD8 23\nPUSH 24\nJNE drop\nPUSH 1\nRET\ndrop: PUSH 0\nRET", 24, VFM_SUCCESS,
		      0);
}

static void neighbouring_fields_share_a_window(void **state)
{
	struct fused f;

	(void)state;
	fuse(&f,
	     "LD32 26\nPUSH 0xff000000\nAND\nPUSH 0x1a000000\nJNE drop\nLD16 31\nPUSH 5\nJNE drop\n"
	     "LD8 33\nPUSH 3\nAND\nPUSH 1\nJNE drop\nPUSH 1\nRET\ndrop: PUSH 0\nRET",
	     UINT32_MAX, false);
	assert_int_equal(f.code.lists[0].width, 1);
	assert_int_equal(f.code.lists[0].at[0], 26);
	fini(&f);
}

static void a_chain_of_compares_becomes_a_list(void **state)
{
	const char *text = "LD16 4\nDUP\nPUSH 80\nJEQ yes\nDUP\nPUSH 0x0405\nJEQ log\nPUSH 443\nJEQ yes\nPUSH 0\nRET\n"
			   "yes: PUSH 1\nRET\nlog: PUSH 2\nRET";
	struct fused f;

	(void)state;
	fuse(&f, text, UINT32_MAX, false);
	assert_string_equal(f.text, "LIST_RET");
	assert_int_equal(f.code.lists[0].n, 3);
	fini(&f);
	assert_answer(text, 8, VFM_SUCCESS, 2);
}

static void a_guard_before_a_list_is_an_item_turned_round(void **state)
{
	const char *text = "LD16 12\nPUSH 0x800\nJNE drop\nLD16 36\nDUP\nPUSH 80\nJEQ yes\nPUSH 443\nJEQ yes\ndrop: PUSH 0\nRET\n"
			   "yes: PUSH 1\nRET";
	struct fused f;

	(void)state;
	fuse(&f, text, UINT32_MAX, false);
	assert_string_equal(f.text, "LIST_RET");
	assert_int_equal(f.code.lists[0].n, 3);
	assert_int_equal(f.code.lists[0].negate, 1);
	fini(&f);
}

static void a_list_ends_where_work_begins(void **state)
{
	const char *text = "LD8 0\nPUSH 9\nJEQ yes\nLD8 1\nPUSH 1\nJEQ count\nPUSH 0\nRET\n"
			   "count: PUSH 7\nPUSH 1\nFLOW_ADD\nRET\nyes: PUSH 1\nRET";

	(void)state;
	assert_fused(text, "LIST_JMP RET_I MOVI FLOW_ADDI RET_R RET_I");
	assert_answer(text, 8, VFM_SUCCESS, 1);
}

static void compares_with_a_power_of_two_are_tests_of_bits(void **state)
{
	const char *text = "LD16 2\nPUSH 1024\nJLT low\nPUSH 1\nRET\nlow: PUSH 0\nRET";

	(void)state;
	assert_fused(text, "MATCH_RET");
	assert_answer(text, 4, VFM_SUCCESS, 0);
	assert_fused("LD16 2\nPUSH 1000\nJLT low\nPUSH 1\nRET\nlow: PUSH 0\nRET", "JLE_FIELD RET_I RET_I");
	assert_fused("LD8 2\nPUSH 256\nJLT low\nPUSH 1\nRET\nlow: PUSH 0\nRET", "RET_I");
}

static void paths_of_unequal_depth_meet_by_a_shift(void **state)
{
	const char *text = "PKTLEN\nLD8 0\nPUSH 3\nJGT join\nPKTLEN\nPUSH 1\nADD\njoin: PUSH 2\nMUL\nRET";

	(void)state;
	assert_fused(text, "PKTLEN JMISS PKTLEN ADD_RI SHIFT MUL_RI RET_R");
	assert_answer(text, 10, VFM_SUCCESS, 22);
}

static void loops_count_and_stop_at_the_limit(void **state)
{
	const char *text = "PUSH 5\nhead: PUSH 1\nSUB\nDUP\nPUSH 0\nJGT head\nRET";
	struct fused f;

	(void)state;
	fuse(&f, text, UINT32_MAX, true);
	assert_string_equal(f.text, "COUNT MOVI COUNT SUB_RI JNE_RI COUNT LIMIT RET_R LIMIT JMP");
	fini(&f);
	/* 1 + 5 * 5 + 1 instructions; the limit is compared at the jumps taken and at RET. */
	assert_int_equal(answer(text, 0, 27).error, VFM_SUCCESS);
	assert_int_equal(answer(text, 0, 26).error, VFM_ERROR_LIMIT);
}

static void without_loops_the_limit_counts_only_at_ret(void **state)
{
	const char *text = "PUSH 1\nPUSH 2\nADD\nRET";

	(void)state;
	assert_int_equal(answer(text, 0, 4).error, VFM_SUCCESS);
	assert_int_equal(answer(text, 0, 3).error, VFM_ERROR_LIMIT);
	/* A fault on the way comes before the limit. */
	assert_int_equal(answer("LD8 5\nPUSH 2\nADD\nRET", 0, 1).error, VFM_ERROR_BOUNDS);
}

static void the_65th_update_is_not_done(void **state)
{
	const char *text = "PUSH 70\nhead: PUSH 3\nPUSH 1\nFLOW_ADD\nPOP\nPUSH 1\nSUB\nDUP\nPUSH 0\nJGT head\nRET";

	(void)state;
	assert_int_equal(answer(text, 0, VFM_DEFAULT_INSN_LIMIT).error, VFM_ERROR_LIMIT);
}

static void every_way_to_match_a_list_agrees(void **state)
{
	const char *text = "LD16 4\nDUP\nPUSH 80\nJEQ yes\nDUP\nPUSH 0x0405\nJEQ log\nPUSH 443\nJEQ yes\nPUSH 0\nRET\n"
			   "yes: PUSH 1\nRET\nlog: PUSH 2\nRET";
	uint8_t packet[8] = {0};
	match_function ways[MATCH_WAYS];
	uint32_t n = match_all(ways);
	struct fused f;

	(void)state;
	fuse(&f, text, UINT32_MAX, false);
	for (uint32_t v = 0; v < 65536; v++) {
		uint64_t low = 0x7, want;

		packet[4] = (uint8_t)(v >> 8);
		packet[5] = (uint8_t)v;
		want = (v == 80) | (v == 0x0405) << 1 | (v == 443) << 2;
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(ways[i](f.code.lists, packet) & low, want);
	}
	fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constants_are_computed_at_load),
		cmocka_unit_test(a_masked_and_shifted_load_is_one_field),
		cmocka_unit_test(a_constant_operand_needs_no_register),
		cmocka_unit_test(what_nobody_uses_is_left_out_unless_it_may_fail),
		cmocka_unit_test(short_packets_are_checked_where_the_load_stands),
		cmocka_unit_test(tests_that_fail_to_the_same_place_become_one),
		cmocka_unit_test(neighbouring_fields_share_a_window),
		cmocka_unit_test(a_chain_of_compares_becomes_a_list),
		cmocka_unit_test(a_guard_before_a_list_is_an_item_turned_round),
		cmocka_unit_test(a_list_ends_where_work_begins),
		cmocka_unit_test(compares_with_a_power_of_two_are_tests_of_bits),
		cmocka_unit_test(paths_of_unequal_depth_meet_by_a_shift),
		cmocka_unit_test(loops_count_and_stop_at_the_limit),
		cmocka_unit_test(without_loops_the_limit_counts_only_at_ret),
		cmocka_unit_test(the_65th_update_is_not_done),
		cmocka_unit_test(every_way_to_match_a_list_agrees),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_verify.c: every rule of the verifier, its position and its full text; and what must pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vm/verify.h"
#include "vm/vfm.h"

#define OP(name) VFM_OP_##name
#define PUSH1(v) OP(PUSH), (v), 0, 0, 0, 0, 0, 0, 0
#define REL(d)   (uint8_t)(d), (uint8_t)((uint16_t)(d) >> 8)

#define REFUSED(code, at, text, ...) \
	do { \
		static const uint8_t bytes[] = {__VA_ARGS__}; \
		check_refused(bytes, sizeof(bytes), 0, code, at, text); \
	} while (0)
#define ACCEPTED(proof, ...) \
	do { \
		static const uint8_t bytes[] = {__VA_ARGS__}; \
		struct vfm_reject why; \
		assert_int_equal(vfm_verify_program(bytes, sizeof(bytes), 0, proof, &why), VFM_SUCCESS); \
	} while (0)

static void check_refused(const uint8_t *bytes, uint32_t len, unsigned flags, int code, uint32_t at, const char *text)
{
	struct vfm_reject why;
	struct vfm_proof proof = {0};

	assert_int_equal(vfm_verify_program(bytes, len, flags, &proof, &why), code);
	assert_string_equal(why.reason, text);
	assert_int_equal(why.pc, at);
	assert_int_equal(why.code, code);
	assert_int_equal(why.opcode, at < len ? bytes[at] : -1);
	assert_null(proof.insns);
}

static void sizes_outside_the_limits_are_refused(void **state)
{
	static uint8_t big[VFM_MAX_PROGRAM_BYTES + 1];

	(void)state;
	check_refused(big, 0, 0, VFM_ERROR_INVALID_PROGRAM, 0, "the program is empty: it needs at least a value and RET");
	check_refused(big, sizeof(big), 0, VFM_ERROR_INVALID_PROGRAM, 0, "the program has 65537 bytes: at most 65536 are possible");
}

static void a_program_of_the_largest_size_is_accepted(void **state)
{
	static uint8_t big[VFM_MAX_PROGRAM_BYTES];
	struct vfm_reject why;

	(void)state;
	memset(big, OP(NOT), sizeof(big));
	big[0] = OP(PKTLEN);
	big[sizeof(big) - 1] = OP(RET);
	assert_int_equal(vfm_verify_program(big, sizeof(big), 0, NULL, &why), VFM_SUCCESS);
}

static void unknown_and_reserved_opcodes_are_refused(void **state)
{
	(void)state;
	REFUSED(VFM_ERROR_INVALID_OPCODE, 0, "no instruction has opcode 24", 24);
	REFUSED(VFM_ERROR_INVALID_OPCODE, 1, "no instruction has opcode 25", OP(PKTLEN), 25, OP(RET));
	REFUSED(VFM_ERROR_INVALID_OPCODE, 0, "no instruction has opcode 255", 255);
}

static void cut_off_operands_are_refused(void **state)
{
	(void)state;
	REFUSED(VFM_ERROR_INVALID_PROGRAM, 0, "the operand of PUSH is cut off: 7 of 8 bytes are there", OP(PUSH), 1, 2, 3, 4, 5, 6,
		7);
	REFUSED(VFM_ERROR_INVALID_PROGRAM, 0, "the operand of LD16 is cut off: 1 of 2 bytes are there", OP(LD16), 12);
	REFUSED(VFM_ERROR_INVALID_PROGRAM, 0, "the operand of TABLE is cut off: 0 of 9 bytes are there", OP(TABLE));
}

static void the_manuals_set_is_all_that_strict_manual_allows(void **state)
{
	static const uint8_t neg[] = {PUSH1(1), OP(NEG), OP(RET)};
	static const uint8_t plain[] = {PUSH1(1), OP(NOT), OP(RET)};
	struct vfm_reject why;

	(void)state;
	check_refused(neg, sizeof(neg), VFM_VERIFY_STRICT_MANUAL, VFM_ERROR_INVALID_OPCODE, 9,
		      "NEG is not in the manual's instruction set: leave out --strict-manual to allow extensions");
	assert_int_equal(vfm_verify_program(plain, sizeof(plain), VFM_VERIFY_STRICT_MANUAL, NULL, &why), VFM_SUCCESS);
}

static void strict_manual_allows_0_to_32_but_24_25_31(void **state)
{
	(void)state;
	for (int op = 0; op < 256; op++)
		assert_int_equal((vfm_ops[op].flags & VFM_F_MANUAL) != 0, op <= 32 && op != 24 && op != 25 && op != 31);
}

static void jumps_must_hit_an_instruction_inside_the_program(void **state)
{
	(void)state;
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 0, "JMP jumps to 5, outside the program of 5 bytes", OP(JMP), REL(2), OP(PKTLEN),
		OP(RET));
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 0, "JMP jumps to -1, outside the program of 5 bytes", OP(JMP), REL(-4), OP(PKTLEN),
		OP(RET));
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 0, "JMP jumps to 4, into the middle of an instruction", OP(JMP), REL(1), PUSH1(0),
		OP(RET));
}

static void control_may_not_run_off_the_end(void **state)
{
	(void)state;
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 0, "control runs off the end of the program after PKTLEN: end it with RET",
		OP(PKTLEN));
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 2, "control runs off the end of the program after JEQ: end it with RET", OP(PKTLEN),
		OP(DUP), OP(JEQ), REL(-5));
}

static void unreachable_code_is_refused(void **state)
{
	(void)state;
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 2, "PKTLEN can never be reached: remove it", OP(PKTLEN), OP(RET), OP(PKTLEN),
		OP(RET));
}

static void a_loop_without_exit_is_refused(void **state)
{
	(void)state;
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 0, "a loop without exit: no path from here reaches a RET", OP(JMP), REL(-3));
	/* Here a RET exists, but the branch to 8 never comes back. */
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 7, "a loop without exit: no path from here reaches a RET", OP(PKTLEN), OP(DUP),
		OP(JEQ), REL(2), OP(PKTLEN), OP(RET), OP(JMP), REL(-3));
}

static void underflow_is_refused_on_any_path(void **state)
{
	(void)state;
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 0, "RET needs 1 value, but a path arrives with 0 on the stack", OP(RET));
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 1, "ADD needs 2 values, but a path arrives with 1 on the stack", OP(PKTLEN), OP(ADD),
		OP(RET));
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 1, "PICK needs 2 values, but a path arrives with 1 on the stack", OP(PKTLEN),
		OP(PICK), 1, OP(RET));
	/* (3) DUP DUP JEQ: taken with 1 value left, else 1 - POP = 0: the join at RET may find none. */
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 7, "RET needs 1 value, but a path arrives with 0 on the stack", OP(PKTLEN), OP(DUP),
		OP(DUP), OP(JEQ), REL(1), OP(POP), OP(RET));
}

static void the_stack_holds_exactly_256_values(void **state)
{
	uint8_t code[VFM_STACK_SLOTS + 2];
	struct vfm_reject why;

	(void)state;
	memset(code, OP(PKTLEN), sizeof(code));
	code[VFM_STACK_SLOTS] = OP(RET);
	assert_int_equal(vfm_verify_program(code, VFM_STACK_SLOTS + 1, 0, NULL, &why), VFM_SUCCESS);
	code[VFM_STACK_SLOTS] = OP(PKTLEN);
	code[VFM_STACK_SLOTS + 1] = OP(RET);
	check_refused(code, sizeof(code), 0, VFM_ERROR_VERIFICATION_FAILED, VFM_STACK_SLOTS,
		      "PKTLEN: a path reaches more than 256 values on the stack");
}

static void a_loop_that_grows_the_stack_is_refused(void **state)
{
	(void)state;
	/* Round k begins with k values; the third push of round 254 is the 257th. */
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 2, "PKTLEN: a path reaches more than 256 values on the stack", OP(PKTLEN),
		OP(PKTLEN), OP(PKTLEN), OP(JEQ), REL(-6), OP(PKTLEN), OP(RET));
}

static void tables_are_declared_once_and_first(void **state)
{
	(void)state;
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 1, "TABLE after another instruction: move all TABLE lines to the top", OP(PKTLEN),
		OP(TABLE), 0, 1, 0, 0, 0, 0, 0, 0, 0, OP(RET));
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 10, "table 7 is declared twice", OP(TABLE), 7, 1, 0, 0, 0, 0, 0, 0, 0, OP(TABLE), 7,
		1, 0, 0, 0, 0, 0, 0, 0, OP(PKTLEN), OP(RET));
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 0, "table 7 with 0 entries: 1 to 268435456 are possible", OP(TABLE), 7, 0, 0, 0, 0,
		0, 0, 0, 0, OP(PKTLEN), OP(RET));
}

static void hdr_items_are_0_to_4(void **state)
{
	(void)state;
	REFUSED(VFM_ERROR_VERIFICATION_FAILED, 0, "HDR 5: items are 0 to 4", OP(HDR), 5, OP(RET));
}

static void joins_at_unequal_depths_pass_with_an_interval(void **state)
{
	struct vfm_proof proof;

	(void)state;
	/* 0 PKTLEN, 1 PKTLEN, 2 DUP, 3 DUP, 4 JEQ +1 -> 8, 7 POP, 8 RET: 2 or 1 values at RET. */
	ACCEPTED(&proof, OP(PKTLEN), OP(PKTLEN), OP(DUP), OP(DUP), OP(JEQ), REL(1), OP(POP), OP(RET));
	assert_true(proof.unequal_joins);
	assert_false(proof.has_loop);
	assert_int_equal(proof.n, 7);
	assert_int_equal(proof.depth_lo[6], 1);
	assert_int_equal(proof.depth_hi[6], 2);
	assert_int_equal(proof.max_depth, 4);
	assert_int_equal(vfm_proof_index(&proof, 5), -1);
	assert_int_equal(vfm_proof_index(&proof, 8), 6);
	vfm_proof_fini(&proof);
}

static void a_loop_with_an_exit_passes(void **state)
{
	struct vfm_proof proof;

	(void)state;
	/* 0 PKTLEN, 1 DUP, 2 DUP, 3 JNE -5 -> 1 (never taken), 6 RET */
	ACCEPTED(&proof, OP(PKTLEN), OP(DUP), OP(DUP), OP(JNE), REL(-5), OP(RET));
	assert_true(proof.has_loop);
	vfm_proof_fini(&proof);
}

static void every_row_of_the_instruction_set_is_consistent(void **state)
{
	static const uint8_t operand_bytes[] = {0, 1, 1, 2, 2, 8, 9};
	int rows = 0;

	(void)state;
	for (int op = 0; op < 256; op++) {
		const struct vfm_op_info *info = &vfm_ops[op];

		if (!info->mnemonic)
			continue;
		rows++;
		assert_int_equal(info->operand_bytes, operand_bytes[info->operand]);
		assert_true(!(info->flags & VFM_F_COND) || (info->flags & VFM_F_JUMP));
		assert_true(!(info->flags & VFM_F_JUMP) || info->operand == VFM_OPERAND_REL16);
		assert_true(info->pops <= 3 && info->pushes <= 3);
	}
	assert_int_equal(rows, 51);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_outside_the_limits_are_refused),
		cmocka_unit_test(a_program_of_the_largest_size_is_accepted),
		cmocka_unit_test(unknown_and_reserved_opcodes_are_refused),
		cmocka_unit_test(cut_off_operands_are_refused),
		cmocka_unit_test(the_manuals_set_is_all_that_strict_manual_allows),
		cmocka_unit_test(strict_manual_allows_0_to_32_but_24_25_31),
		cmocka_unit_test(jumps_must_hit_an_instruction_inside_the_program),
		cmocka_unit_test(control_may_not_run_off_the_end),
		cmocka_unit_test(unreachable_code_is_refused),
		cmocka_unit_test(a_loop_without_exit_is_refused),
		cmocka_unit_test(underflow_is_refused_on_any_path),
		cmocka_unit_test(the_stack_holds_exactly_256_values),
		cmocka_unit_test(a_loop_that_grows_the_stack_is_refused),
		cmocka_unit_test(tables_are_declared_once_and_first),
		cmocka_unit_test(hdr_items_are_0_to_4),
		cmocka_unit_test(joins_at_unequal_depths_pass_with_an_interval),
		cmocka_unit_test(a_loop_with_an_exit_passes),
		cmocka_unit_test(every_row_of_the_instruction_set_is_consistent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

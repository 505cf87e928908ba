/* test_vfm.c: the manual's C API where the manual's own snippets (test/golden/test_manual_api.c) do not go. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "vm/isa.h"
#include "vm/vfm.h"

#define OP(name) VFM_OP_##name

static const uint8_t packet[64] = {1, 2, 3, 4};
/* Counts packets in table 0 under key 1 and returns the count. */
static const uint8_t counter[] = {OP(PUSH), 1, 0, 0, 0, 0, 0, 0, 0, OP(PUSH), 1, 0, 0, 0, 0, 0, 0, 0, OP(FLOW_ADD), OP(RET)};
static const uint8_t length[] = {OP(PKTLEN), OP(RET)};

static void a_result_above_int_max_is_cut_and_kept_whole(void **state)
{
	static const uint8_t all_ones[] = {OP(PUSH), 255, 255, 255, 255, 255, 255, 255, 255, OP(RET)};
	vfm_state_t *vm = vfm_create();

	(void)state;
	assert_int_equal(vfm_load_program(vm, all_ones, sizeof(all_ones)), VFM_SUCCESS);
	assert_int_equal(vfm_execute(vm, packet, 64), INT_MAX);
	assert_int_equal(vfm_result(vm), UINT64_MAX);
	vfm_destroy(vm);
}

static void without_a_program_nothing_runs(void **state)
{
	vfm_state_t *vm = vfm_create();

	(void)state;
	assert_int_equal(vfm_execute(vm, packet, 64), VFM_ERROR_INVALID_PROGRAM);
	assert_string_equal(vfm_last_reason(vm), "no program is loaded");
	assert_int_equal(vfm_step_begin(vm, packet, 64), VFM_ERROR_INVALID_PROGRAM);
	assert_int_equal(vfm_step(vm), VFM_ERROR_INVALID_PROGRAM);
	vfm_destroy(vm);
	vfm_destroy(NULL);
}

static void a_program_that_does_not_load_leaves_the_one_before(void **state)
{
	static const uint8_t bad[] = {OP(PKTLEN)};
	vfm_state_t *vm = vfm_create();

	(void)state;
	assert_int_equal(vfm_load_program(vm, length, sizeof(length)), VFM_SUCCESS);
	assert_int_equal(vfm_load_program(vm, bad, sizeof(bad)), VFM_ERROR_VERIFICATION_FAILED);
	assert_string_equal(vfm_last_reason(vm),
			    "at byte 0: control runs off the end of the program after PKTLEN: end it with RET");
	assert_int_equal(vfm_load_program(vm, bad, 0), VFM_ERROR_INVALID_PROGRAM);
	assert_int_equal(vfm_load_program_file(vm, "/nowhere/filter.bin"), VFM_ERROR_INVALID_PROGRAM);
	assert_non_null(strstr(vfm_last_reason(vm), "/nowhere/filter.bin: No such file"));
	assert_int_equal(vfm_execute(vm, packet, 64), 64);
	vfm_destroy(vm);
}

static void a_program_is_loaded_from_a_file(void **state)
{
	char path[] = "/tmp/vfm-XXXXXX";
	int fd = mkstemp(path);
	vfm_state_t *vm = vfm_create();

	(void)state;
	assert_int_equal(write(fd, length, sizeof(length)), sizeof(length));
	close(fd);
	assert_int_equal(vfm_load_program_file(vm, path), VFM_SUCCESS);
	assert_int_equal(vfm_execute(vm, packet, 33), 33);
	vfm_destroy(vm);
	unlink(path);
}

static void table_0_may_be_initialised_before_or_after_loading(void **state)
{
	(void)state;
	for (int before = 0; before < 2; before++) {
		vfm_state_t *vm = vfm_create();
		uint64_t value = 0;

		if (before)
			assert_int_equal(vfm_flow_table_init(vm, 100), VFM_SUCCESS);
		assert_int_equal(vfm_load_program(vm, counter, sizeof(counter)), VFM_SUCCESS);
		assert_int_equal(vfm_execute(vm, packet, 64), 1);
		assert_int_equal(vfm_execute(vm, packet, 64), before ? 2 : 1); /* no table: 0 + 1 each time */
		assert_int_equal(vfm_flow_table_init(vm, 100), VFM_SUCCESS);   /* a new one, empty */
		assert_int_equal(vfm_execute(vm, packet, 64), 1);
		assert_int_equal(vfm_execute(vm, packet, 64), 2);
		assert_int_equal(vfm_flow_get(vm, 0, 1, &value), 1);
		assert_int_equal(value, 2);
		vfm_flow_table_clear(vm);
		assert_int_equal(vfm_flow_get(vm, 0, 1, &value), 0);
		assert_int_equal(vfm_execute(vm, packet, 64), 1);
		vfm_destroy(vm);
	}
}

static void a_table_of_no_or_too_many_entries_is_refused(void **state)
{
	vfm_state_t *vm = vfm_create();

	(void)state;
	assert_int_equal(vfm_flow_table_init(vm, 0), VFM_ERROR_NO_MEMORY);
	assert_int_equal(vfm_flow_table_init(vm, UINT32_MAX), VFM_ERROR_NO_MEMORY);
	assert_string_equal(vfm_last_reason(vm), "a flow table has 1 to 268,435,456 entries");
	vfm_destroy(vm);
}

static void any_number_of_entries_can_be_preloaded(void **state)
{
	vfm_state_t *vm = vfm_create();
	uint64_t value;

	(void)state;
	assert_int_equal(vfm_flow_set(vm, 0, 1, 1), VFM_ERROR_INVALID_PROGRAM); /* no program, so no table */
	assert_int_equal(vfm_load_program(vm, counter, sizeof(counter)), VFM_SUCCESS);
	assert_int_equal(vfm_flow_set(vm, 0, 1, 1), VFM_ERROR_INVALID_PROGRAM); /* not initialised */
	assert_int_equal(vfm_flow_table_init(vm, 2), VFM_SUCCESS);
	assert_int_equal(vfm_flow_set(vm, 5, 1, 1), VFM_ERROR_INVALID_PROGRAM);
	for (uint64_t key = 0; key < 1000; key++)
		assert_int_equal(vfm_flow_set(vm, 0, key, key + 7), VFM_SUCCESS);
	for (uint64_t key = 0; key < 1000; key++) {
		assert_int_equal(vfm_flow_get(vm, 0, key, &value), 1);
		assert_int_equal(value, key + 7);
	}
	assert_int_equal(vfm_execute(vm, packet, 64), 9); /* 1 + 7, plus one */
	vfm_destroy(vm);
}

static void time_and_input_are_what_was_set(void **state)
{
	static const uint8_t now[] = {OP(NOW), OP(RET)};
	static const uint8_t input[] = {OP(INPUT), OP(RET)};
	vfm_state_t *vm = vfm_create();

	(void)state;
	vfm_load_program(vm, now, sizeof(now));
	assert_int_equal(vfm_execute(vm, packet, 64), 0);
	vfm_set_time(vm, 1700000000000000ULL);
	vfm_set_time(vm, 5);
	vfm_execute(vm, packet, 64);
	assert_int_equal(vfm_result(vm), 1700000000000000ULL);
	vfm_load_program(vm, input, sizeof(input));
	vfm_set_input(vm, 4);
	assert_int_equal(vfm_execute(vm, packet, 64), 4);
	vfm_destroy(vm);
}

static void single_steps_show_the_machine(void **state)
{
	vfm_state_t *vm = vfm_create();
	int steps = 0, more;

	(void)state;
	vfm_load_program(vm, counter, sizeof(counter));
	vfm_flow_table_init(vm, 10);
	assert_int_equal(vfm_step(vm), VFM_ERROR_INVALID_PROGRAM);
	assert_int_equal(vfm_step_begin(vm, packet, 64), VFM_SUCCESS);
	while ((more = vfm_step(vm)) == 1)
		if (++steps == 2) {
			assert_int_equal(vm->pc, 18);
			assert_int_equal(vm->sp, 2);
			assert_int_equal(vm->stack[0], 1);
			assert_int_equal(vm->hot.insn_count, 2);
		}
	assert_int_equal(more, 0);
	assert_int_equal(steps, 3);
	assert_int_equal(vfm_result(vm), 1);
	vfm_destroy(vm);
}

static void the_limit_is_the_one_that_was_set(void **state)
{
	vfm_state_t *vm = vfm_create();

	(void)state;
	vfm_load_program(vm, length, sizeof(length));
	vm->hot.insn_limit = 1;
	assert_int_equal(vfm_execute(vm, packet, 64), VFM_ERROR_LIMIT);
	assert_int_equal(vfm_result(vm), 0);
	vm->hot.insn_limit = 2;
	assert_int_equal(vfm_execute(vm, packet, 64), 64);
	vfm_destroy(vm);
}

static void the_jit_gives_what_the_interpreter_gives(void **state)
{
	(void)state;
	for (int before = 0; before < 2; before++) {
		vfm_state_t *vm = vfm_create();

		if (before)
			assert_int_equal(vfm_enable_jit(vm), VFM_SUCCESS);
		assert_int_equal(vfm_execute(vm, packet, 64), VFM_ERROR_INVALID_PROGRAM);
		vfm_load_program(vm, counter, sizeof(counter));
		vfm_flow_table_init(vm, 10);
		assert_int_equal(vfm_execute(vm, packet, 64), 1);
		assert_int_equal(vfm_enable_jit(vm), VFM_SUCCESS);
		assert_int_equal(vfm_execute(vm, packet, 64), 2);
		vm->hot.insn_limit = 3; /* of 4: compiled again */
		assert_int_equal(vfm_execute(vm, packet, 64), VFM_ERROR_LIMIT);
		vm->hot.insn_limit = 4;
		assert_int_equal(vfm_execute(vm, packet, 64), 4); /* what was added before the error stays */
		vfm_load_program(vm, length, sizeof(length));
		assert_int_equal(vfm_execute(vm, packet, 33), 33);
		vfm_destroy(vm);
	}
}

static void every_error_has_a_name_and_the_manuals_words(void **state)
{
	(void)state;
	assert_string_equal(vfm_error_string(VFM_ERROR_BOUNDS), "Packet bounds exceeded");
	assert_string_equal(vfm_error_name(VFM_ERROR_DIVISION_BY_ZERO), "DIVISION_BY_ZERO");
	assert_string_equal(vfm_error_string(VFM_SUCCESS), "Success");
	assert_string_equal(vfm_error_string(VFM_ERROR_VERIFICATION_FAILED), "Verification failed");
	assert_string_equal(vfm_error_string(-10), "Unknown error");
	assert_string_equal(vfm_error_string(1), "Unknown error");
	assert_string_equal(vfm_error_string(INT_MIN), "Unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_result_above_int_max_is_cut_and_kept_whole),
		cmocka_unit_test(without_a_program_nothing_runs),
		cmocka_unit_test(a_program_that_does_not_load_leaves_the_one_before),
		cmocka_unit_test(a_program_is_loaded_from_a_file),
		cmocka_unit_test(table_0_may_be_initialised_before_or_after_loading),
		cmocka_unit_test(a_table_of_no_or_too_many_entries_is_refused),
		cmocka_unit_test(any_number_of_entries_can_be_preloaded),
		cmocka_unit_test(time_and_input_are_what_was_set),
		cmocka_unit_test(single_steps_show_the_machine),
		cmocka_unit_test(the_limit_is_the_one_that_was_set),
		cmocka_unit_test(the_jit_gives_what_the_interpreter_gives),
		cmocka_unit_test(every_error_has_a_name_and_the_manuals_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

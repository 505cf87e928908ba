/* test_step.c: what each instruction does, on the plain stack machine, against values a person can check. The fused interpreter and
 * the JIT are held to this machine elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "state/mix.h"
#include "test/lib/packets.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define OP(name)   VFM_OP_##name
#define REL(d)     (uint8_t)(d), (uint8_t)((uint16_t)(d) >> 8)
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static uint8_t buf[PACKET_BYTES];

/* A program under construction. */
struct code {
	uint8_t bytes[VFM_MAX_PROGRAM_BYTES];
	uint32_t len;
};

static void emit(struct code *c, const uint8_t *bytes, size_t n)
{
	memcpy(c->bytes + c->len, bytes, n);
	c->len += (uint32_t)n;
}

static void emit_push(struct code *c, uint64_t v)
{
	c->bytes[c->len++] = OP(PUSH);
	for (int i = 0; i < 8; i++)
		c->bytes[c->len++] = (uint8_t)(v >> 8 * i);
}

static int16_t table_zero_only[256];

static struct vfm_result run_on(const struct code *c, struct shard *shard, const struct vfm_packet *packet, uint32_t limit)
{
	static struct machine m;

	machine_init(&m, c->bytes, c->len, table_zero_only, shard, packet, limit);
	machine_run(&m);
	return m.result;
}

static struct vfm_result run(const struct code *c, uint32_t packet_bytes)
{
	struct vfm_packet packet = {.data = buf, .len = packet_bytes, .input = 3, .time_us = 1234567890};
	struct shard *shard = shard_new(1, 0);
	struct vfm_result r;

	assert_non_null(shard);
	r = run_on(c, shard, &packet, VFM_DEFAULT_INSN_LIMIT);
	shard_free(shard);
	return r;
}

static void check_value(const struct code *c, uint64_t expected)
{
	struct vfm_result r = run(c, 64);

	assert_int_equal(r.error, VFM_SUCCESS);
	assert_int_equal(r.value, expected);
}

static void check_binary(uint8_t op, uint64_t a, uint64_t b, uint64_t expected)
{
	struct code c = {.len = 0};

	emit_push(&c, a);
	emit_push(&c, b);
	emit(&c, BYTES(op, OP(RET)));
	check_value(&c, expected);
}

static void arithmetic_is_unsigned_and_wraps(void **state)
{
	(void)state;
	check_binary(OP(ADD), 10, 5, 15);
	check_binary(OP(ADD), UINT64_MAX, 2, 1);
	check_binary(OP(SUB), 10, 3, 7);
	check_binary(OP(SUB), 0, 1, UINT64_MAX);
	check_binary(OP(MUL), 1ULL << 63, 3, 1ULL << 63);
	check_binary(OP(DIV), UINT64_MAX, 2, INT64_MAX);
	check_binary(OP(MOD), 17, 5, 2);
	check_binary(OP(MOD), UINT64_MAX, 10, 5);
	check_binary(OP(AND), 0xf0f0, 0xff00, 0xf000);
	check_binary(OP(OR), 0xf0f0, 0x0f00, 0xfff0);
	check_binary(OP(XOR), 0xf0f0, 0xff00, 0x0ff0);
	check_binary(OP(SHL), 1, 63, 1ULL << 63);
	check_binary(OP(SHL), 1, 64, 1); /* counts are masked with 63 */
	check_binary(OP(SHR), 1ULL << 63, 63, 1);
	check_binary(OP(SHR), UINT64_MAX, 127, 1);
	check_binary(OP(MIX), 1, 2, mix64(mix64(1) ^ 2));
}

static void check_unary(uint8_t op, uint64_t a, uint64_t expected)
{
	struct code c = {.len = 0};

	emit_push(&c, a);
	emit(&c, BYTES(op, OP(RET)));
	check_value(&c, expected);
}

static void unary_operations(void **state)
{
	(void)state;
	check_unary(OP(NOT), 0, UINT64_MAX);
	check_unary(OP(NOT), 0xff, ~0xffULL);
	check_unary(OP(NEG), 1, UINT64_MAX);
	check_unary(OP(NEG), 0, 0);
}

/* Pushes 1, 2, 3, applies the stack instruction, and reads what is left as decimal digits, bottom first: v = below * 10 + top. */
static void check_stack(const uint8_t *op, size_t op_bytes, int left, uint64_t digits)
{
	struct code c = {.len = 0};
	uint64_t weight = 1;

	for (uint64_t v = 1; v <= 3; v++)
		emit_push(&c, v);
	emit(&c, op, op_bytes);
	for (int i = 1; i < left; i++) {
		weight *= 10;
		emit(&c, BYTES(OP(SWAP)));
		emit_push(&c, weight);
		emit(&c, BYTES(OP(MUL), OP(ADD)));
	}
	emit(&c, BYTES(OP(RET)));
	check_value(&c, digits);
}

static void stack_instructions_move_what_they_say(void **state)
{
	(void)state;
	check_stack(BYTES(OP(POP)), 2, 12);
	check_stack(BYTES(OP(DUP)), 4, 1233);
	check_stack(BYTES(OP(SWAP)), 3, 132);
	check_stack(BYTES(OP(OVER)), 4, 1232);
	check_stack(BYTES(OP(ROT)), 3, 231);
	check_stack(BYTES(OP(PICK), 0), 4, 1233);
	check_stack(BYTES(OP(PICK), 2), 4, 1231);
}

static void loads_are_big_endian_and_exactly_bounded(void **state)
{
	static const uint8_t ops[] = {OP(LD8), OP(LD16), OP(LD32), OP(LD64)};
	static const uint64_t expected[] = {0x11, 0x1122, 0x11223344, 0x1122334455667788};

	(void)state;
	memcpy(buf, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	for (int i = 0; i < 4; i++) {
		struct code fixed = {.len = 0}, computed = {.len = 0};
		struct vfm_result r;

		emit(&fixed, BYTES(ops[i], 0, 0, OP(RET)));
		emit_push(&computed, 0);
		emit(&computed, BYTES((uint8_t)(OP(LDX8) + i), OP(RET)));
		assert_int_equal(run(&fixed, 1u << i).value, expected[i]);
		assert_int_equal(run(&computed, 1u << i).value, expected[i]);
		r = run(&fixed, (1u << i) - 1);
		assert_int_equal(r.error, VFM_ERROR_BOUNDS);
		assert_int_equal(r.value, 0);
		assert_int_equal(run(&computed, (1u << i) - 1).error, VFM_ERROR_BOUNDS);
	}
}

static void a_huge_offset_does_not_wrap(void **state)
{
	struct code c = {.len = 0};

	(void)state;
	emit_push(&c, UINT64_MAX - 1);
	emit(&c, BYTES(OP(LDX32), OP(RET)));
	assert_int_equal(run(&c, 64).error, VFM_ERROR_BOUNDS);
}

static void a_load_faults_even_if_its_value_is_unused(void **state)
{
	struct code c = {.len = 0};

	(void)state;
	emit(&c, BYTES(OP(LD8), 200, 0, OP(POP), OP(PKTLEN), OP(RET)));
	assert_int_equal(run(&c, 64).error, VFM_ERROR_BOUNDS);
}

static void division_by_zero_is_an_error(void **state)
{
	struct code c = {.len = 0};

	(void)state;
	emit(&c, BYTES(OP(PKTLEN), OP(DUP), OP(DUP), OP(SUB), OP(DIV), OP(RET)));
	assert_int_equal(run(&c, 64).error, VFM_ERROR_DIVISION_BY_ZERO);
	c.bytes[4] = OP(MOD);
	assert_int_equal(run(&c, 64).error, VFM_ERROR_DIVISION_BY_ZERO);
}

static void the_first_fault_in_program_order_names_the_error(void **state)
{
	struct code c = {.len = 0};

	(void)state;
	emit(&c, BYTES(OP(LD8), 200, 0, OP(PKTLEN), OP(PKTLEN), OP(PKTLEN), OP(SUB), OP(DIV), OP(RET)));
	assert_int_equal(run(&c, 64).error, VFM_ERROR_BOUNDS);
	assert_int_equal(run(&c, 201).error, VFM_ERROR_DIVISION_BY_ZERO);
}

static void conditional_jumps_compare_unsigned(void **state)
{
	static const struct {
		uint8_t op;
		int less, equal, greater;
	} rows[] = {{OP(JEQ), 0, 1, 0}, {OP(JNE), 1, 0, 1}, {OP(JGT), 0, 0, 1},
		    {OP(JLT), 1, 0, 0}, {OP(JGE), 0, 1, 1}, {OP(JLE), 1, 1, 0}};
	static const uint64_t big = 1ULL << 63;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint64_t a[] = {1, big, big};
		const uint64_t b[] = {big, big, 1};
		const int taken[] = {rows[i].less, rows[i].equal, rows[i].greater};

		for (int j = 0; j < 3; j++) {
			struct code c = {.len = 0};

			emit_push(&c, a[j]);
			emit_push(&c, b[j]);
			emit(&c, BYTES(rows[i].op, REL(10)));
			emit_push(&c, 0);
			emit(&c, BYTES(OP(RET)));
			emit_push(&c, 1);
			emit(&c, BYTES(OP(RET)));
			check_value(&c, (uint64_t)taken[j]);
		}
	}
}

static void the_environment_is_what_the_packet_says(void **state)
{
	struct code c = {.len = 0};

	(void)state;
	emit(&c, BYTES(OP(INPUT), OP(RET)));
	check_value(&c, 3);
	c.bytes[0] = OP(PKTLEN);
	check_value(&c, 64);
	c.bytes[0] = OP(NOW);
	check_value(&c, 1234567890);
}

static void now_never_goes_back(void **state)
{
	struct vfm_packet late = {.data = buf, .len = 64, .time_us = 9000000};
	struct vfm_packet early = {.data = buf, .len = 64, .time_us = 1};
	struct shard *shard = shard_new(1, 0);
	struct code c = {.len = 0};

	(void)state;
	emit(&c, BYTES(OP(NOW), OP(RET)));
	assert_int_equal(run_on(&c, shard, &late, 10).value, 9000000);
	assert_int_equal(run_on(&c, shard, &early, 10).value, 9000000);
	assert_int_equal(shard->now_s, 9);
	shard_free(shard);
}

/* PKTLEN; n times NOT; RET: n + 2 instructions. */
/* JMP over the load, JMP back to it, the load faults: at the limit the backward jump is still taken, one above it is not. */
static void a_backward_jump_is_taken_at_the_limit_and_not_above(void **state)
{
	struct vfm_packet packet = {.data = buf, .len = 14};
	struct shard *shard = shard_new(1, 0);
	struct code c = {.len = 0};

	(void)state;
	assert_non_null(shard);
	emit(&c, BYTES(OP(JMP), REL(4), OP(LD8), 200, 0, OP(RET), OP(JMP), REL(-7)));
	assert_int_equal(run_on(&c, shard, &packet, 2).error, VFM_ERROR_BOUNDS);
	assert_int_equal(run_on(&c, shard, &packet, 1).error, VFM_ERROR_LIMIT);
	shard_free(shard);
}

static void the_limit_counts_every_instruction_and_is_compared_at_ret(void **state)
{
	struct vfm_packet packet = {.data = buf, .len = 64};
	struct shard *shard = shard_new(1, 0);
	struct code c = {.len = 0};

	(void)state;
	emit(&c, BYTES(OP(TABLE), 0, 1, 0, 0, 0, 0, 0, 0, 0)); /* not counted */
	emit(&c, BYTES(OP(PKTLEN), OP(NOT), OP(NOT), OP(RET)));
	assert_int_equal(run_on(&c, shard, &packet, 4).error, VFM_SUCCESS);
	assert_int_equal(run_on(&c, shard, &packet, 3).error, VFM_ERROR_LIMIT);
	shard_free(shard);
}

static void the_limit_is_compared_when_a_backward_jump_is_taken(void **state)
{
	struct vfm_packet packet = {.data = buf, .len = 64};
	struct shard *shard = shard_new(1, 0);
	struct code c = {.len = 0};

	(void)state;
	/* 0 PKTLEN, 1 DUP, 2 DUP, 3 JEQ -5 -> 1, 6 RET: never leaves the loop, one more value each round, 1 + 3n instructions. */
	emit(&c, BYTES(OP(PKTLEN), OP(DUP), OP(DUP), OP(JEQ), REL(-5), OP(RET)));
	assert_int_equal(run_on(&c, shard, &packet, 20).error, VFM_ERROR_LIMIT);
	shard_free(shard);
}

static struct shard *shard_with_table(uint32_t capacity)
{
	struct table_config config = {.capacity = capacity};
	struct shard *shard = shard_new(1, 0);

	shard->tables[0] = table_new(&config);
	assert_non_null(shard->tables[0]);
	return shard;
}

static void table_instructions_load_store_add_and_delete(void **state)
{
	struct vfm_packet packet = {.data = buf, .len = 64};
	struct shard *shard = shard_with_table(16);
	struct code store = {.len = 0}, add = {.len = 0}, load = {.len = 0}, del = {.len = 0};

	(void)state;
	emit_push(&store, 7);
	emit_push(&store, 40);
	emit(&store, BYTES(OP(FLOW_STORE), OP(PKTLEN), OP(RET)));
	emit_push(&add, 7);
	emit_push(&add, 2);
	emit(&add, BYTES(OP(FLOW_ADD_T), 0, OP(RET)));
	emit_push(&load, 7);
	emit(&load, BYTES(OP(FLOW_LOAD), OP(RET)));
	emit_push(&del, 7);
	emit(&del, BYTES(OP(FLOW_DEL), OP(PKTLEN), OP(RET)));

	assert_int_equal(run_on(&load, shard, &packet, 100).value, 0);
	run_on(&store, shard, &packet, 100);
	assert_int_equal(run_on(&add, shard, &packet, 100).value, 42);
	assert_int_equal(run_on(&load, shard, &packet, 100).value, 42);
	run_on(&del, shard, &packet, 100);
	assert_int_equal(run_on(&load, shard, &packet, 100).value, 0);
	shard_free(shard);
}

static void the_65th_update_is_a_limit_and_is_not_done(void **state)
{
	struct vfm_packet packet = {.data = buf, .len = 64};
	struct shard *shard = shard_with_table(100);
	static struct code c;
	uint64_t value = 0;

	(void)state;
	c.len = 0;
	for (uint64_t i = 1; i <= 65; i++) {
		emit_push(&c, i);
		emit_push(&c, i);
		emit(&c, BYTES(OP(FLOW_STORE)));
	}
	emit(&c, BYTES(OP(PKTLEN), OP(RET)));
	assert_int_equal(run_on(&c, shard, &packet, 1000).error, VFM_ERROR_LIMIT);
	assert_true(table_find(shard->tables[0], 64, 0, &value)); /* what was stored before stays stored */
	assert_int_equal(value, 64);
	assert_false(table_find(shard->tables[0], 65, 0, &value));
	shard_free(shard);
}

static void a_table_that_was_never_initialised_loads_0_and_counts_updates(void **state)
{
	struct vfm_packet packet = {.data = buf, .len = 64};
	struct shard *shard = shard_new(1, 0);
	struct code c = {.len = 0};

	(void)state;
	emit_push(&c, 7);
	emit_push(&c, 5);
	emit(&c, BYTES(OP(FLOW_ADD), OP(RET)));
	assert_int_equal(run_on(&c, shard, &packet, 100).value, 5);
	assert_int_equal(run_on(&c, shard, &packet, 100).value, 5);
	assert_int_equal(shard->ignored, 2);
	shard_free(shard);
}

static void unverified_bytecode_ends_in_an_error_not_in_a_fault(void **state)
{
	struct code c = {.len = 0};

	(void)state;
	emit(&c, BYTES(OP(ADD)));
	assert_int_equal(run(&c, 64).error, VFM_ERROR_STACK_UNDERFLOW);
	c.bytes[0] = 24;
	assert_int_equal(run(&c, 64).error, VFM_ERROR_INVALID_OPCODE);
	c.bytes[0] = OP(PUSH);
	assert_int_equal(run(&c, 64).error, VFM_ERROR_INVALID_PROGRAM);
	c.bytes[0] = OP(PKTLEN);
	assert_int_equal(run(&c, 64).error, VFM_ERROR_INVALID_PROGRAM); /* off the end */
	c.len = 0;
	emit(&c, BYTES(OP(PKTLEN), OP(JMP), REL(-4)));
	assert_int_equal(run(&c, 64).error, VFM_ERROR_STACK_OVERFLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backward_jump_is_taken_at_the_limit_and_not_above),
		cmocka_unit_test(arithmetic_is_unsigned_and_wraps),
		cmocka_unit_test(unary_operations),
		cmocka_unit_test(stack_instructions_move_what_they_say),
		cmocka_unit_test(loads_are_big_endian_and_exactly_bounded),
		cmocka_unit_test(a_huge_offset_does_not_wrap),
		cmocka_unit_test(a_load_faults_even_if_its_value_is_unused),
		cmocka_unit_test(division_by_zero_is_an_error),
		cmocka_unit_test(the_first_fault_in_program_order_names_the_error),
		cmocka_unit_test(conditional_jumps_compare_unsigned),
		cmocka_unit_test(the_environment_is_what_the_packet_says),
		cmocka_unit_test(now_never_goes_back),
		cmocka_unit_test(the_limit_counts_every_instruction_and_is_compared_at_ret),
		cmocka_unit_test(the_limit_is_compared_when_a_backward_jump_is_taken),
		cmocka_unit_test(table_instructions_load_store_add_and_delete),
		cmocka_unit_test(the_65th_update_is_a_limit_and_is_not_done),
		cmocka_unit_test(a_table_that_was_never_initialised_loads_0_and_counts_updates),
		cmocka_unit_test(unverified_bytecode_ends_in_an_error_not_in_a_fault),
	};

	memset(table_zero_only + 1, 0xff, sizeof(table_zero_only) - sizeof(table_zero_only[0]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

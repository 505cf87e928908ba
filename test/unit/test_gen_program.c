/* The program generator keeps its word: everything it writes is accepted by the verifier, everything the machine has occurs, and
 * the same seed gives the same bytes. */
#include "test/lib/gen_program.h"
#include "vm/verify.h"
#include "vm/vfm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint32_t programs(void)
{
	return getenv("TEST_ALL") ? 200000 : 5000;
}

static struct gen_program program;

struct census {
	uint64_t op[256];
	uint32_t loops, unequal, deep, tables2;
};

/* Generates, verifies and counts `n` programs; fails on the first that is refused. */
static void take_census(const struct gen_options *o, uint32_t n, struct census *c)
{
	memset(c, 0, sizeof *c);
	for (uint32_t seed = 1; seed <= n; seed++) {
		struct vfm_reject why;
		struct vfm_proof proof;

		gen_program(&program, o, seed);
		if (vfm_verify_program(program.code, program.len, 0, &proof, &why))
			fail_msg("seed %u refused at %u: %s", seed, why.pc, why.reason);
		for (uint32_t i = 0; i < proof.n; i++)
			c->op[proof.insns[i].op]++;
		assert_int_equal(proof.has_loop, program.has_loop);
		assert_true(program.has_unequal_join || !proof.unequal_joins);
		c->loops += proof.has_loop;
		c->unequal += proof.unequal_joins;
		c->deep += proof.max_depth >= 200;
		c->tables2 += program.n_tables >= 2;
		vfm_proof_fini(&proof);
	}
}

static void every_program_is_accepted_and_everything_occurs(void **state)
{
	struct gen_options o;
	struct census c;
	uint32_t n = programs();

	(void)state;
	gen_options_all(&o);
	take_census(&o, n, &c);
	for (int op = 0; op < 256; op++)
		if (vfm_op_exists((uint8_t)op) && c.op[op] < n / 50)
			fail_msg("%s occurs %lu times in %u programs", vfm_ops[op].name, (unsigned long)c.op[op], n);
	print_message("of %u programs: loops %u, unequal joins %u, two or more tables %u, deeper than 200 %u\n", n, c.loops,
		      c.unequal, c.tables2, c.deep);
	assert_true(c.loops >= n / 5);
	assert_true(c.unequal >= n / 4);
	assert_true(c.tables2 >= n / 3);
	assert_true(c.deep >= n / 50);
}

static void what_is_not_allowed_does_not_occur(void **state)
{
	struct gen_options o;
	struct census c;

	(void)state;
	gen_options_bpf(&o);
	o.unequal_joins = false;
	take_census(&o, programs() / 5, &c);
	for (int op = 0; op < 256; op++)
		assert_true(o.allow[op] ? c.op[op] > 0 : c.op[op] == 0);
	assert_int_equal(c.loops, 0);
	assert_int_equal(c.unequal, 0);
	gen_options_stateless(&o);
	take_census(&o, programs() / 5, &c);
	assert_int_equal(c.op[VFM_OP_TABLE] + c.op[VFM_OP_FLOW_LOAD] + c.op[VFM_OP_FLOW_ADD_T], 0);
}

static void the_same_seed_gives_the_same_program(void **state)
{
	static struct gen_program again;
	struct gen_options o;

	(void)state;
	gen_options_all(&o);
	gen_program(&program, &o, 42);
	gen_program(&again, &o, 42);
	assert_int_equal(program.len, again.len);
	assert_memory_equal(program.code, again.code, again.len);
	gen_program(&again, &o, 43);
	assert_true(program.len != again.len || memcmp(program.code, again.code, again.len));
}

static void packets_end_around_the_loads_and_time_moves(void **state)
{
	static const uint8_t code[] = {VFM_OP_LD32, 30, 0, VFM_OP_POP, VFM_OP_LD8, 0x39, 5, VFM_OP_RET};
	uint32_t at[3] = {0}, whole = 0;
	struct gen_traffic t;
	struct vfm_packet p;
	uint64_t first = 0;

	(void)state;
	assert_int_equal(gen_traffic_init(&t, 7, code, sizeof code), 0);
	for (uint32_t i = 0; i < 10000; i++) {
		gen_traffic_next(&t, &p);
		for (uint32_t d = 0; d < 3; d++)
			at[d] += p.len == 33 + d;
		whole += p.len >= 0x539 + 1;
		first = first ? first : p.time_us;
	}
	assert_true(at[0] > 100 && at[1] > 100 && at[2] > 100 && whole > 100);
	assert_true(p.time_us > first + 1000000000);
	gen_traffic_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_program_is_accepted_and_everything_occurs),
		cmocka_unit_test(what_is_not_allowed_does_not_occur),
		cmocka_unit_test(the_same_seed_gives_the_same_program),
		cmocka_unit_test(packets_end_around_the_loads_and_time_moves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

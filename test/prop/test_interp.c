/* The interpreter against the plain stack machine (vm/step.h) on generated programs and packets: the same value, the same error, the
 * same table contents after every packet. The machine itself must never end in an error that verification rules out.
 *
 * TEST_ALL=1 runs 10^6 programs instead of 10^4; TEST_SEED=n runs one. What was exercised is counted and has floors.
 */
#include "test/lib/gen_program.h"
#include "vm/step.h"
#include "vm/vfm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PACKETS_PER_PROGRAM 6u

struct census {
	uint64_t programs, packets;
	uint64_t executed[256];
	uint64_t bounds, division, limit;
	uint64_t loops, unequal, tables2;
	uint64_t evictions, expired;
	uint64_t accepted; /* mutated programs that the verifier accepted */
};

/* One program loaded for both, each with a shard of its own. */
struct pair {
	struct program *program;
	struct interp *interp;
	struct shard *a, *b;
	uint32_t insn_limit;
};

static struct gen_program generated;
static struct gen_traffic traffic;

static uint64_t runs(void)
{
	return getenv("TEST_ALL") ? 1000000 : 10000;
}

static void repeat_with(uint64_t seed)
{
	print_error("repeat with: TEST_SEED=%lu build/test/prop/test_interp\n", (unsigned long)seed);
}

static struct shard *new_shard(const struct program *p, uint64_t seed, bool flat, uint32_t capacity)
{
	struct program_state_options o = {.default_capacity = seed % 3 ? 3 : 0,
					  .capacity = capacity,
					  .idle_s = -1,
					  .seed = seed % 5 ? seed : 0,
					  .layout_seed = seed,
					  .flat = flat};
	return program_shard_new(p, &o);
}

/* False: the verifier refuses. */
static bool pair_open(struct pair *x, const uint8_t *code, uint32_t len, uint64_t seed)
{
	struct vfm_reject why;

	memset(x, 0, sizeof *x);
	x->program = program_new(code, len, 0, &why);
	if (!x->program)
		return false;
	x->interp = interp_new(x->program);
	assert_non_null(x->interp);
	x->insn_limit = seed % 4 == 0 ? 5 + (uint32_t)(seed / 4 % 60) : 400;
	return true;
}

static void pair_close(struct pair *x)
{
	interp_free(x->interp);
	program_free(x->program);
	shard_free(x->a);
	shard_free(x->b);
}

static void count_error(struct census *c, int error)
{
	c->packets++;
	c->bounds += error == VFM_ERROR_BOUNDS;
	c->division += error == VFM_ERROR_DIVISION_BY_ZERO;
	c->limit += error == VFM_ERROR_LIMIT;
}

/* The step machine with every executed opcode counted. */
static struct vfm_result run_machine(const struct pair *x, const struct vfm_packet *packet, struct census *c)
{
	static struct machine m;

	machine_init(&m, x->program->code, x->program->len, x->program->table_index, x->b, packet, x->insn_limit);
	do {
		if (m.pc < m.len)
			c->executed[m.code[m.pc]]++;
	} while (machine_step(&m));
	count_error(c, m.result.error);
	return m.result;
}

static bool possible_after_verification(int error)
{
	return error == VFM_SUCCESS || error == VFM_ERROR_BOUNDS || error == VFM_ERROR_DIVISION_BY_ZERO || error == VFM_ERROR_LIMIT;
}

/* Runs one packet on both; false and a message if they differ. */
static bool agree(const struct pair *x, const struct vfm_packet *packet, struct census *c)
{
	struct vfm_result got = {1, 1}, want;

	interp_run(x->interp, x->a, packet, x->insn_limit, &got);
	want = run_machine(x, packet, c);
	if (!possible_after_verification(want.error))
		print_error("a verified program ended in %s\n", vfm_error_name(want.error));
	else if (got.error != want.error || got.value != want.value)
		print_error("interpreter: error %d value %lx, machine: error %d value %lx\n", got.error, (unsigned long)got.value,
			    want.error, (unsigned long)want.value);
	else
		return true;
	return false;
}

static bool agree_with_tables(const struct pair *x, const struct vfm_packet *packet, struct census *c)
{
	if (!agree(x, packet, c))
		return false;
	if (shard_digest(x->a) == shard_digest(x->b) && x->a->ignored == x->b->ignored)
		return true;
	print_error("the tables differ\n");
	return false;
}

static void count_tables(const struct pair *x, struct census *c)
{
	for (uint32_t i = 0; i < x->program->n_tables; i++) {
		struct table_counters n = {0};

		if (x->b->tables[i])
			n = table_counters(x->b->tables[i]);
		c->evictions += n.evictions;
		c->expired += n.expired;
	}
}

static void count_program(const struct program *p, struct census *c)
{
	c->programs++;
	c->loops += p->proof.has_loop;
	c->unequal += p->proof.unequal_joins;
	c->tables2 += p->n_tables >= 2;
}

static void check_program(uint64_t seed, const struct gen_options *o, struct census *c)
{
	struct vfm_packet packet;
	struct pair x;
	bool good = true;

	gen_program(&generated, o, seed);
	gen_traffic_restart(&traffic, seed, generated.code, generated.len);
	if (!pair_open(&x, generated.code, generated.len, seed)) {
		repeat_with(seed);
		fail_msg("the verifier refuses a generated program");
	}
	x.a = new_shard(x.program, seed, false, 0);
	x.b = new_shard(x.program, seed, false, 0);
	assert_true(x.a && x.b);
	count_program(x.program, c);
	for (uint32_t i = 0; i < PACKETS_PER_PROGRAM && good; i++) {
		gen_traffic_next(&traffic, &packet);
		good = agree_with_tables(&x, &packet, c);
	}
	count_tables(&x, c);
	pair_close(&x);
	if (!good) {
		repeat_with(seed);
		fail();
	}
}

/* The floors of the full run, as shares where the run is short: 10^6 programs execute every opcode 10^4 times, 10^4 a hundredth of
 * that. */
static void check_floors(const struct census *c)
{
	uint64_t floor = runs() / 100;

	print_message("%lu programs, %lu packets: BOUNDS %.1f %%, DIVISION_BY_ZERO %.1f %%, LIMIT %.1f %%\n",
		      (unsigned long)c->programs, (unsigned long)c->packets, 100.0 * (double)c->bounds / (double)c->packets,
		      100.0 * (double)c->division / (double)c->packets, 100.0 * (double)c->limit / (double)c->packets);
	print_message("loops %lu, unequal joins %lu, two or more tables %lu programs; %lu evictions, %lu expiries\n",
		      (unsigned long)c->loops, (unsigned long)c->unequal, (unsigned long)c->tables2, (unsigned long)c->evictions,
		      (unsigned long)c->expired);
	for (int op = 0; op < 256; op++)
		if (vfm_op_exists((uint8_t)op) && c->executed[op] < floor)
			fail_msg("%s was executed %lu times, the floor is %lu", vfm_ops[op].name, (unsigned long)c->executed[op],
				 (unsigned long)floor);
	assert_true(c->bounds * 100 >= c->packets);
	assert_true(c->division * 100 >= c->packets);
	assert_true(c->limit * 100 >= c->packets);
	assert_true(c->unequal * 10 >= c->programs);
	assert_true(c->loops * 10 >= c->programs);
	assert_true(c->tables2 * 10 >= c->programs * 3);
	assert_true(c->evictions >= runs() / 10);
	assert_true(c->expired >= runs() / 10);
}

static void the_interpreter_agrees_with_the_machine_on_generated_programs(void **state)
{
	const char *only = getenv("TEST_SEED");
	struct gen_options o;
	struct census c = {0};

	(void)state;
	gen_options_all(&o);
	if (only)
		return check_program(strtoull(only, NULL, 0), &o, &c);
	for (uint64_t seed = 1; seed <= runs(); seed++)
		check_program(seed, &o, &c);
	check_floors(&c);
}

/* Filters of the usual kind, without loops and tables, meet the joined tests far more often. */
static void the_interpreter_agrees_on_programs_that_only_test_packets(void **state)
{
	struct gen_options o;
	struct census c = {0};

	(void)state;
	gen_options_bpf(&o);
	o.wild_faults = false;
	for (uint64_t seed = 1; seed <= runs() / 2; seed++)
		check_program(seed, &o, &c);
	assert_true(c.bounds > 0);
}

/* ---- tables and their naive twins ---- */

struct contents {
	uint64_t sum, n;
};

static void add_entry(void *arg, uint64_t key, uint64_t value)
{
	struct contents *c = arg;

	c->sum = (c->sum ^ key) * 0x9e3779b97f4a7c15ULL + value;
	c->n++;
}

static bool same_contents(const struct pair *x)
{
	for (uint32_t i = 0; i < x->program->n_tables; i++) {
		struct contents a = {0}, b = {0};

		assert_int_equal(shard_visit(x->a, i, add_entry, &a), 0);
		assert_int_equal(shard_visit(x->b, i, add_entry, &b), 0);
		if (a.sum != b.sum || a.n != b.n) {
			print_error("table %u: %lu and %lu entries\n", i, (unsigned long)a.n, (unsigned long)b.n);
			return false;
		}
	}
	return true;
}

/* Tables too large for an eviction hold what a balanced tree holds. */
static void the_flat_machine_agrees_where_nothing_is_evicted(void **state)
{
	struct gen_options o;
	struct census c = {0};
	struct pair x;

	(void)state;
	gen_options_all(&o);
	for (uint64_t seed = 1; seed <= runs() / 5; seed++) {
		struct vfm_packet packet;
		bool good = true;

		gen_program(&generated, &o, seed);
		gen_traffic_restart(&traffic, seed, generated.code, generated.len);
		assert_true(pair_open(&x, generated.code, generated.len, seed));
		x.a = new_shard(x.program, seed, true, 0);
		x.b = new_shard(x.program, seed, false, 1024);
		assert_true(x.a && x.b);
		for (uint32_t i = 0; i < PACKETS_PER_PROGRAM && good; i++) {
			gen_traffic_next(&traffic, &packet);
			good = agree(&x, &packet, &c) && same_contents(&x);
		}
		count_tables(&x, &c);
		pair_close(&x);
		if (!good)
			fail_msg("flat and table differ on seed %lu", (unsigned long)seed);
	}
	assert_int_equal(c.evictions, 0);
	assert_true(c.expired > runs() / 50);
}

/* ---- damaged programs ---- */

static void damage(struct gen_rng *r, uint8_t *code, uint32_t len)
{
	for (uint32_t flips = 1 + gen_below(r, 3); flips; flips--) {
		uint32_t at = gen_below(r, len);

		code[at] = gen_chance(r, 50) ? (uint8_t)(code[at] ^ 1u << gen_below(r, 8)) : (uint8_t)gen_below(r, 54);
	}
}

static void check_damaged(uint64_t seed, const struct gen_options *o, struct census *c)
{
	struct gen_rng r = {seed ^ 0xdead};
	struct vfm_packet packet;
	struct pair x;
	bool good = true;

	gen_program(&generated, o, seed);
	damage(&r, generated.code, generated.len);
	if (!pair_open(&x, generated.code, generated.len, seed))
		return;
	c->accepted++;
	/* A damaged TABLE may ask for gigabytes. */
	x.a = new_shard(x.program, seed, false, 4);
	x.b = new_shard(x.program, seed, false, 4);
	assert_true(x.a && x.b);
	gen_traffic_restart(&traffic, seed, generated.code, generated.len);
	for (uint32_t i = 0; i < 3 && good; i++) {
		gen_traffic_next(&traffic, &packet);
		good = agree_with_tables(&x, &packet, c);
	}
	pair_close(&x);
	if (!good)
		fail_msg("damaged program of seed %lu", (unsigned long)seed);
}

static void whatever_the_verifier_accepts_of_damaged_programs_runs_without_stack_faults(void **state)
{
	struct gen_options o;
	struct census c = {0};

	(void)state;
	gen_options_all(&o);
	o.max_statements = 12;
	for (uint64_t seed = 1; seed <= 2 * runs(); seed++)
		check_damaged(seed, &o, &c);
	print_message("%lu of %lu damaged programs were accepted\n", (unsigned long)c.accepted, (unsigned long)(2 * runs()));
	assert_true(c.accepted * 10 >= runs());
}

static int setup(void **state)
{
	(void)state;
	return gen_traffic_init(&traffic, 1, NULL, 0);
}

static int teardown(void **state)
{
	(void)state;
	gen_traffic_fini(&traffic);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_interpreter_agrees_with_the_machine_on_generated_programs),
		cmocka_unit_test(the_interpreter_agrees_on_programs_that_only_test_packets),
		cmocka_unit_test(the_flat_machine_agrees_where_nothing_is_evicted),
		cmocka_unit_test(whatever_the_verifier_accepts_of_damaged_programs_runs_without_stack_faults),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* The simulated cluster: seeds without a violation, floors that a run must reach, and the table of safeguards.
 *
 * SIM_SEED=N repeats one seed and prints every frame; SIM_SEEDS=N sets how many are run. */
#include "test/sim/lib/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sim sim;

static bool all_tests(void)
{
	const char *v = getenv("TEST_ALL");
	return v && strcmp(v, "1") == 0;
}

static uint64_t seeds(void)
{
	const char *v = getenv("SIM_SEEDS");
	return v ? strtoull(v, NULL, 10) : all_tests() ? 10000 : 200;
}

static void add_floors(struct sim_floors *sum, const struct sim_floors *one)
{
	uint64_t *a = (uint64_t *)sum;
	const uint64_t *b = (const uint64_t *)one;
	for (size_t i = 0; i < sizeof *sum / sizeof *a; i++)
		a[i] += b[i];
}

static void every_schedule_keeps_every_invariant_and_equals_a_single_instance(void **state)
{
	(void)state;
	uint64_t n = seeds(), events = 0;
	struct sim_floors sum = {0};
	const char *one = getenv("SIM_SEED");
	for (uint64_t seed = one ? strtoull(one, NULL, 10) : 1, k = 0; k < (one ? 1 : n); k++, seed++) {
		bool ok = sim_run(&sim, seed, one != NULL);
		add_floors(&sum, &sim.floors);
		events += sim.n_events;
		if (!ok)
			print_error("seed %llu: %s\nrepeat with: SIM_SEED=%llu build/test/sim/test_cluster\n",
				    (unsigned long long)seed, sim.why, (unsigned long long)seed);
		sim_fini(&sim);
		assert_true(ok);
	}
	if (one)
		return;
	print_message(
		"%llu schedules, %llu events: %llu packets committed, %llu moves, %llu promotions, %llu losses, %llu crashes, "
		"%llu pauses, %llu partitions, %llu frames lost, %llu doubled, %llu snapshots, %llu fenced\n",
		(unsigned long long)n, (unsigned long long)events, (unsigned long long)sum.committed, (unsigned long long)sum.moves,
		(unsigned long long)sum.promotions, (unsigned long long)sum.losses, (unsigned long long)sum.crashes,
		(unsigned long long)sum.pauses, (unsigned long long)sum.partitions, (unsigned long long)sum.drops,
		(unsigned long long)sum.duplicates, (unsigned long long)sum.snapshots, (unsigned long long)sum.fences);
	/* A run that does nothing proves nothing. */
	assert_true(sum.committed >= 80 * n && sum.moves >= 2 * n && sum.promotions >= n / 2 && sum.crashes >= n &&
		    sum.pauses >= n);
	assert_true(sum.partitions >= n && sum.snapshots >= 4 * n && sum.drops >= 20 * n && sum.duplicates >= 10 * n &&
		    sum.fences >= n && sum.pair_crashes >= n / 4);
	assert_true(sum.losses >= n / 20 && sum.steerer_restarts >= n / 5 && sum.controller_restarts >= n / 5 && sum.early >= n);
}

static void the_same_seed_gives_the_same_run(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		uint64_t events[2];
		struct sim_floors floors[2];
		for (int i = 0; i < 2; i++) {
			sim_run(&sim, seed, false);
			events[i] = sim.n_events;
			floors[i] = sim.floors;
			sim_fini(&sim);
		}
		assert_int_equal(events[0], events[1]);
		assert_memory_equal(&floors[0], &floors[1], sizeof floors[0]);
	}
}

#define SAFEGUARD_DOC(name, doc) {#name, doc},
static const struct {
	const char *name, *doc;
} safeguards[] = {SAFEGUARDS(SAFEGUARD_DOC)};

static void each_safeguard_is_needed(void **state)
{
	uint64_t most = all_tests() ? 10000 : 1500;
	bool all_red = true;
	(void)state;
	for (int i = 0; i < SAFEGUARD_COUNT; i++) {
		bool red = false;
		safeguard_removed[i] = true;
		for (uint64_t seed = 1; seed <= most && !red; seed++) {
			red = !sim_run(&sim, seed, false) && !strstr(sim.why, "wedged"); /* safety, not only progress */
			if (red)
				print_message("without %-12s (%s): seed %llu %s\n", safeguards[i].name, safeguards[i].doc,
					      (unsigned long long)seed, sim.why);
			sim_fini(&sim);
		}
		safeguard_removed[i] = false;
		if (!red)
			print_error("without %s nothing is noticed in %llu seeds\n", safeguards[i].name, (unsigned long long)most);
		all_red = all_red && red;
	}
	assert_true(all_red);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_schedule_keeps_every_invariant_and_equals_a_single_instance),
		cmocka_unit_test(the_same_seed_gives_the_same_run),
		cmocka_unit_test(each_safeguard_is_needed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

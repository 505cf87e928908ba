/* test_balance.c: shards spread over cores by their load. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "node/balance.h"
#include "test/lib/gen_program.h"

#define N 256u

static uint64_t busiest(const uint64_t *load, const uint8_t *owners, uint32_t n, uint32_t cores)
{
	uint64_t of[16] = {0}, most = 0;

	for (uint32_t i = 0; i < n; i++) {
		assert_true(owners[i] < cores);
		of[owners[i]] += load[i];
	}
	for (uint32_t c = 0; c < cores; c++)
		most = of[c] > most ? of[c] : most;
	return most;
}

static void what_is_even_stays(void **state)
{
	const uint64_t load[] = {10, 11, 10, 10};
	uint8_t owners[] = {0, 1, 2, 3};

	(void)state;
	assert_int_equal(balance_shards(load, 4, 4, owners), 0);
	for (uint8_t i = 0; i < 4; i++)
		assert_int_equal(owners[i], i);
}

static void one_heavy_shard_cannot_be_split(void **state)
{
	const uint64_t load[] = {1000, 0, 0, 0};
	uint8_t owners[] = {0, 1, 0, 1};

	(void)state;
	assert_int_equal(balance_shards(load, 4, 2, owners), 0);
	assert_int_equal(owners[0], 0);
}

static void the_light_ones_leave_the_heavy_one(void **state)
{
	const uint64_t load[] = {100, 30, 40, 30};
	uint8_t owners[] = {0, 0, 0, 0};

	(void)state;
	assert_true(balance_shards(load, 4, 2, owners) <= 3);
	assert_int_equal(busiest(load, owners, 4, 2), 100);
}

static void no_load_moves_nothing(void **state)
{
	const uint64_t load[4] = {0};
	uint8_t owners[] = {0, 0, 0, 0};

	(void)state;
	assert_int_equal(balance_shards(load, 4, 2, owners), 0);
	assert_int_equal(balance_shards(load, 4, 1, owners), 0);
}

/* The busiest core gets no busier, ends within a tenth of the mean or a shard's load of it, and asking again moves nothing. */
static void any_load_becomes_even(void **state)
{
	struct gen_rng rng = {7};

	(void)state;
	for (int round = 0; round < 2000; round++) {
		uint32_t n = 1 + (uint32_t)gen_below(&rng, N), cores = 1 + (uint32_t)gen_below(&rng, 16);
		uint64_t load[N], total = 0, heaviest = 0, before, after, mean;
		uint8_t owners[N];

		for (uint32_t i = 0; i < n; i++) {
			load[i] = gen_below(&rng, gen_below(&rng, 4) ? 100 : 5000);
			owners[i] = (uint8_t)gen_below(&rng, cores);
			total += load[i];
			heaviest = load[i] > heaviest ? load[i] : heaviest;
		}
		before = busiest(load, owners, n, cores);
		(void)balance_shards(load, n, cores, owners);
		after = busiest(load, owners, n, cores);
		mean = total / cores;
		assert_true(after <= before);
		assert_true(after <= mean + mean / 10 + heaviest + 1);
		assert_int_equal(balance_shards(load, n, cores, owners), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_even_stays),
		cmocka_unit_test(one_heavy_shard_cannot_be_split),
		cmocka_unit_test(the_light_ones_leave_the_heavy_one),
		cmocka_unit_test(no_load_moves_nothing),
		cmocka_unit_test(any_load_becomes_even),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The followed packet: what it waited is counted once, and nothing else is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/probe.h"

static void one_packet_is_followed_until_it_is_released(void **state)
{
	struct probe p = {0};
	(void)state;
	probe_read(&p, 5, 100);
	probe_read(&p, 6, 200); /* 5 is still followed */
	probe_released(&p, 4, 250);
	assert_int_equal(p.n, 0);
	probe_released(&p, 5, 300);
	probe_released(&p, 6, 900);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.sum_us, 200);
	assert_int_equal(p.max_us, 200);
}

static void a_reset_keeps_the_followed_packet(void **state)
{
	struct probe p = {0};
	(void)state;
	probe_read(&p, 1, 10);
	probe_released(&p, 1, 50);
	probe_read(&p, 2, 60);
	probe_reset(&p);
	assert_int_equal(p.max_us, 0);
	probe_released(&p, 2, 90);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.sum_us, 30);
	assert_int_equal(p.max_us, 30);
}

static void a_wait_is_counted_to_an_eighth(void **state)
{
	struct probe_waits w = {{0}};
	(void)state;
	for (uint32_t i = 1; i < PROBE_BUCKETS; i++)
		assert_true(probe_bucket_us(i) > probe_bucket_us(i - 1));
	for (uint64_t us = 0; us < 1u << 20; us += 1 + us / 37) {
		w = (struct probe_waits){{0}};
		probe_wait(&w, us);
		uint32_t i = 0;
		while (!w.n[i])
			i++;
		assert_true(probe_bucket_us(i) <= us && us < probe_bucket_us(i + 1));
		assert_true(us < 8 || (probe_bucket_us(i + 1) - probe_bucket_us(i)) * 8 <= us);
	}
	probe_wait(&w, UINT64_MAX); /* the last one takes what is longer */
	assert_int_equal(w.n[PROBE_BUCKETS - 1], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_packet_is_followed_until_it_is_released),
		cmocka_unit_test(a_reset_keeps_the_followed_packet),
		cmocka_unit_test(a_wait_is_counted_to_an_eighth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

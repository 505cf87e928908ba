/* test_rx_clock.c: a device's clock told in cycles of the TSC, on clocks of which the test knows everything. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "node/rx_clock.h"

#define TSC_HZ 2500000000u
#define BOOT   UINT64_C(123456789012345) /* the TSC when the test begins */

/* A device whose clock counts from `start` at `hz`, times 1 + ppm / 10^6. */
struct device {
	uint64_t start, hz;
	double ppm;
};

static uint64_t tsc_at(uint64_t us)
{
	return BOOT + us * (TSC_HZ / 1000000);
}

/* Modulo 2^64, as the device's register counts. */
static uint64_t ticks_at(const struct device *d, uint64_t us)
{
	return d->start + (uint64_t)((long double)us * d->hz / 1e6L * (1 + d->ppm / 1e6L));
}

static void sample_at(struct rx_clock *c, const struct device *d, uint64_t us)
{
	rx_clock_sample(c, ticks_at(d, us), tsc_at(us));
}

/* Microseconds by which a packet that came at us is told late; found 50 us later. */
static double error_us(struct rx_clock *c, const struct device *d, uint64_t us)
{
	uint64_t told = rx_clock_cycles(c, ticks_at(d, us), tsc_at(us + 50));

	return (double)(int64_t)(told - tsc_at(us)) * 1e6 / TSC_HZ;
}

static void every_frequency_is_learnt_from_two_samples(void **state)
{
	static const uint64_t hz[] = {1000000, 1953125, 78125000, 156250000, 1000000000};

	(void)state;
	for (size_t i = 0; i < sizeof(hz) / sizeof(hz[0]); i++) {
		struct device d = {.start = 77, .hz = hz[i]};
		struct rx_clock c = {0};

		sample_at(&c, &d, 0);
		assert_false(rx_clock_known(&c));
		sample_at(&c, &d, 20000);
		assert_true(rx_clock_known(&c));
		/* A tick of the slowest is a microsecond, and as much may be lost in each of the samples, over 20 ms. */
		for (uint64_t us = 20000; us < 1020000; us += 9973)
			assert_true(fabs(error_us(&c, &d, us)) <= 2 + (double)(us - 20000) * 1e-4);
	}
}

static void what_comes_before_two_samples_has_the_time_when_it_was_found(void **state)
{
	struct device d = {.start = 5, .hz = 156250000};
	struct rx_clock c = {0};

	(void)state;
	assert_true(rx_clock_cycles(&c, ticks_at(&d, 10), tsc_at(40)) == tsc_at(40));
	sample_at(&c, &d, 100);
	assert_true(rx_clock_cycles(&c, ticks_at(&d, 150), tsc_at(190)) == tsc_at(190));
	sample_at(&c, &d, 20100);
	/* Stamped before the first sample, when nobody knows what the clock was. */
	assert_true(rx_clock_cycles(&c, ticks_at(&d, 50), tsc_at(20200)) == tsc_at(20200));
	/* Before what was told last, though it is known when it came: held. */
	assert_true(rx_clock_cycles(&c, ticks_at(&d, 20150), tsc_at(20210)) == tsc_at(20200));
	assert_true(fabs(error_us(&c, &d, 20300)) < 0.1);
}

static void a_counter_that_wraps_goes_on(void **state)
{
	static const uint64_t hz[] = {1000000, 156250000, 1000000000};

	(void)state;
	for (size_t i = 0; i < sizeof(hz) / sizeof(hz[0]); i++) {
		/* At 0 again after 1.5 s: between two samples. */
		struct device d = {.start = 0 - hz[i] * 3 / 2, .hz = hz[i]};
		struct rx_clock c = {0};
		uint64_t last = 0;

		sample_at(&c, &d, 0);
		sample_at(&c, &d, 20000);
		for (uint64_t us = 20000; us < 3000000; us += 499) {
			uint64_t told = rx_clock_cycles(&c, ticks_at(&d, us), tsc_at(us + 50));

			assert_true(told >= last);
			assert_true(llabs((int64_t)(told - tsc_at(us))) < TSC_HZ / 1000000 * 2);
			last = told;
			if (us / 1000000 != (us - 499) / 1000000)
				sample_at(&c, &d, us);
		}
		assert_true(rx_clock_known(&c));
	}
}

/* Crystals are 100 ppm off and warm up: hours with a sample a second stay within what one second's change makes. */
static void drift_over_hours_stays_within_a_microsecond(void **state)
{
	(void)state;
	for (int sign = -1; sign <= 1; sign += 2) {
		struct device d = {.start = 1u << 20, .hz = 156250000, .ppm = 100.0 * sign};
		struct rx_clock c = {0};
		uint64_t last = 0;

		sample_at(&c, &d, 0);
		sample_at(&c, &d, 20000);
		for (uint64_t s = 1; s <= 4 * 3600; s++) {
			sample_at(&c, &d, s * 1000000);
			for (uint64_t us = s * 1000000 + 1; us < (s + 1) * 1000000; us += 333331) {
				uint64_t told = rx_clock_cycles(&c, ticks_at(&d, us), tsc_at(us + 50));

				assert_true(told >= last);
				assert_true(llabs((int64_t)(told - tsc_at(us))) < TSC_HZ / 1000000);
				last = told;
			}
		}
	}
}

/* Without the later samples the same crystal is a second off after three hours: they are what the test above tests. */
static void one_calibration_does_not_last_for_hours(void **state)
{
	struct device d = {.start = 9, .hz = 156250000};
	struct rx_clock c = {0};
	uint64_t told, us = UINT64_C(3) * 3600 * 1000000;

	(void)state;
	sample_at(&c, &d, 0);
	sample_at(&c, &d, 20000);
	d.ppm = -100;
	told = rx_clock_cycles(&c, ticks_at(&d, us), tsc_at(us));
	assert_true((int64_t)(tsc_at(us) - told) > TSC_HZ);
}

/* Samples that err by 20 us either way, packets as close as 1 us: no answer is before the one before, nor after the packet was found. */
static void time_never_goes_back_however_bad_the_samples(void **state)
{
	struct device d = {.start = 3, .hz = 78125000, .ppm = 100};
	struct rx_clock c = {0};
	uint64_t last = 0;

	(void)state;
	srand(1);
	sample_at(&c, &d, 100);
	sample_at(&c, &d, 20100);
	for (uint64_t us = 20200; us < 2000000; us++) {
		uint64_t told = rx_clock_cycles(&c, ticks_at(&d, us), tsc_at(us + 3));

		assert_true(told >= last && told <= tsc_at(us + 3));
		last = told;
		if (us % 1000 == 0)
			rx_clock_sample(&c, ticks_at(&d, us), tsc_at(us - 20 + (uint64_t)(rand() % 41)));
	}
}

static void a_stamp_before_the_last_one_may_go_back(void **state)
{
	struct device d = {.start = 3, .hz = 156250000};
	struct rx_clock c = {0};
	uint64_t later;

	(void)state;
	sample_at(&c, &d, 0);
	sample_at(&c, &d, 20000);
	later = rx_clock_cycles(&c, ticks_at(&d, 20100), tsc_at(20200));
	assert_true(rx_clock_cycles(&c, ticks_at(&d, 20050), tsc_at(20200)) < later);
}

static void a_clock_that_was_set_is_learnt_anew(void **state)
{
	static const int64_t steps_s[] = {-3600, -1, 1, 1000000};

	(void)state;
	for (size_t i = 0; i < sizeof(steps_s) / sizeof(steps_s[0]); i++) {
		struct device d = {.start = UINT64_C(1) << 60, .hz = 156250000};
		struct rx_clock c = {0};

		sample_at(&c, &d, 0);
		sample_at(&c, &d, 20000);
		d.start += (uint64_t)steps_s[i] * d.hz;
		/* Until the next sample nobody knows; no packet is told to be later than now for it. */
		assert_true(rx_clock_cycles(&c, ticks_at(&d, 500000), tsc_at(500050)) <= tsc_at(500050));
		sample_at(&c, &d, 1000000);
		assert_false(rx_clock_known(&c));
		assert_true(rx_clock_cycles(&c, ticks_at(&d, 1000100), tsc_at(1000150)) == tsc_at(1000150));
		sample_at(&c, &d, 2000000);
		assert_true(rx_clock_known(&c));
		assert_true(fabs(error_us(&c, &d, 2000500)) < 0.1);
	}
}

static void a_clock_that_stands_still_or_races_is_not_believed(void **state)
{
	struct rx_clock c = {0};

	(void)state;
	rx_clock_sample(&c, 1000, tsc_at(0));
	rx_clock_sample(&c, 1000, tsc_at(1000000));
	assert_false(rx_clock_known(&c));
	rx_clock_sample(&c, 1000 + (UINT64_C(1) << 50), tsc_at(2000000));
	assert_false(rx_clock_known(&c));
	assert_true(rx_clock_cycles(&c, 1000, tsc_at(2000001)) == tsc_at(2000001));
}

/* Stamps in another unit than the clock that is read: nothing between the first sample and now, hence the time it was found. */
static void stamps_of_another_clock_give_the_time_when_they_were_found(void **state)
{
	struct device d = {.start = 3, .hz = 156250000};
	struct rx_clock c = {0};

	(void)state;
	sample_at(&c, &d, 0);
	sample_at(&c, &d, 20000);
	assert_true(rx_clock_cycles(&c, UINT64_C(1700000000000000000), tsc_at(30000)) == tsc_at(30000));
	assert_true(rx_clock_cycles(&c, 0, tsc_at(30001)) == tsc_at(30001));
	assert_true(rx_clock_cycles(&c, UINT64_MAX, tsc_at(30002)) == tsc_at(30002));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frequency_is_learnt_from_two_samples),
		cmocka_unit_test(what_comes_before_two_samples_has_the_time_when_it_was_found),
		cmocka_unit_test(a_counter_that_wraps_goes_on),
		cmocka_unit_test(drift_over_hours_stays_within_a_microsecond),
		cmocka_unit_test(one_calibration_does_not_last_for_hours),
		cmocka_unit_test(time_never_goes_back_however_bad_the_samples),
		cmocka_unit_test(a_stamp_before_the_last_one_may_go_back),
		cmocka_unit_test(a_clock_that_was_set_is_learnt_anew),
		cmocka_unit_test(a_clock_that_stands_still_or_races_is_not_believed),
		cmocka_unit_test(stamps_of_another_clock_give_the_time_when_they_were_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

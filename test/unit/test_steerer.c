/* The steerer by itself: how many packets fly, and what a freeze is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "node/steerer.h"

#define PLAN 7
#define SELF 50

struct bench {
	struct outbox out;
	struct steerer s;
};

static int setup(void **state)
{
	static struct bench b;
	struct steerer_options o = {.stream = 1,
				    .session = 1,
				    .n_shards = 2,
				    .window = 64,
				    .shard_window = 64,
				    .burst = 4,
				    .flying = 8,
				    .repeat_us = 20000};
	outbox_init(&b.out, SELF, PLAN);
	*state = &b;
	return steerer_init(&b.s, &o, &b.out);
}

static int teardown(void **state)
{
	struct bench *b = *state;
	steerer_fini(&b->s);
	outbox_fini(&b->out);
	return 0;
}

static void configure(struct bench *b, uint64_t shard, uint64_t epoch, uint64_t owner, uint64_t now_us)
{
	struct wire_message m = {.kind = WIRE_CONFIG, .config = {shard, epoch, 1, PLAN, owner, 0, {NULL, 0}}};
	steerer_message(&b->s, &m, now_us);
}

static void answer(struct bench *b, uint64_t shard, uint64_t epoch, uint64_t applied, uint64_t now_us)
{
	struct wire_message m = {
		.kind = WIRE_POSITION,
		.position = {.shard = shard, .history = 1, .epoch = epoch, .stream = 1, .session = 1, .applied = applied}};
	steerer_message(&b->s, &m, now_us);
}

static void verdicts(struct bench *b, uint64_t shard, uint64_t epoch, uint64_t first, uint32_t n, uint64_t committed,
		     uint64_t now_us)
{
	static const uint64_t value[64];
	static const uint8_t error[64];
	static const uint64_t run_at = 1;
	struct wire_message m = {.kind = WIRE_VERDICTS,
				 .verdicts = {.shard = shard,
					      .history = 1,
					      .epoch = epoch,
					      .stream = 1,
					      .session = 1,
					      .committed = committed,
					      .first = first,
					      .value = wire_column(value, n),
					      .error = wire_column(error, n),
					      .run_at = wire_column(&run_at, 1),
					      .run_n = wire_column(&n, 1)}};
	steerer_message(&b->s, &m, now_us);
}

static uint32_t offer(struct bench *b, uint32_t shard, uint32_t n, uint64_t now_us)
{
	struct node_packet p = {.time_us = now_us};
	uint32_t taken = 0;
	while (taken < n && !steerer_packet(&b->s, shard, &p, now_us)) {
		taken++;
		steerer_flush(&b->s);
	}
	return taken;
}

static void no_more_packets_fly_than_allowed(void **state)
{
	struct bench *b = *state;
	configure(b, 0, 1, 100, 10);
	configure(b, 1, 1, 100, 10);
	answer(b, 0, 1, 0, 20);
	answer(b, 1, 1, 0, 20);
	assert_int_equal(offer(b, 0, 5, 30), 5);
	assert_int_equal(offer(b, 1, 5, 30), 3);
	verdicts(b, 0, 1, 1, 2, 2, 40);
	assert_int_equal(offer(b, 1, 5, 50), 2);
	verdicts(b, 0, 1, 1, 2, 2, 60); /* twice the same */
	assert_int_equal(offer(b, 1, 5, 70), 0);
}

static void a_shard_that_waits_for_another_owner_does_not_stop_the_others(void **state)
{
	struct bench *b = *state;
	configure(b, 0, 1, 100, 10);
	configure(b, 1, 1, 100, 10);
	answer(b, 0, 1, 0, 20);
	answer(b, 1, 1, 0, 20);
	assert_int_equal(offer(b, 0, 8, 30), 8);
	configure(b, 0, 2, 200, 40); /* the eight may be lost */
	assert_int_equal(offer(b, 0, 20, 50), 20);
	assert_int_equal(offer(b, 1, 8, 50), 8);
	verdicts(b, 1, 1, 1, 8, 8, 60);
	assert_int_equal(b->s.flying, 0);
	answer(b, 0, 2, 3, 70); /* it has three of them: all others are sent at once */
	assert_int_equal(b->s.flying, 25);
	assert_int_equal(offer(b, 1, 1, 80), 0);
	verdicts(b, 0, 2, 1, 28, 28, 90);
	assert_int_equal(b->s.flying, 0);
}

/* In release mode early a verdict may be known that the new owner has to make again. */
static void what_is_sent_again_though_its_verdict_is_known_does_not_fly(void **state)
{
	struct bench *b = *state;
	b->s.options.early = true;
	configure(b, 0, 1, 100, 10);
	answer(b, 0, 1, 0, 20);
	assert_int_equal(offer(b, 0, 6, 30), 6);
	verdicts(b, 0, 1, 1, 4, 0, 40);
	configure(b, 0, 2, 200, 50);
	answer(b, 0, 2, 0, 60);
	assert_int_equal(b->s.flying, 2);
	verdicts(b, 0, 2, 1, 6, 6, 70);
	assert_int_equal(b->s.flying, 0);
	assert_int_equal(offer(b, 0, 9, 80), 8);
}

/* What is settled when RESUME goes out may be released right after: the new owner must know of it. */
static void resume_says_what_may_be_released_at_any_moment(void **state)
{
	struct bench *b = *state;
	struct wire_message m;
	b->s.options.early = true;
	configure(b, 0, 1, 100, 10);
	answer(b, 0, 1, 0, 20);
	offer(b, 0, 6, 30);
	verdicts(b, 0, 1, 1, 4, 0, 40);
	outbox_clear(&b->out);
	configure(b, 0, 2, 200, 50);
	assert_int_equal(b->out.n, 1);
	assert_int_equal(wire_decode(b->out.bytes + b->out.frames[0].offset, b->out.frames[0].bytes, &m), 0);
	assert_int_equal(m.kind, WIRE_RESUME);
	assert_int_equal(m.resume.released, 4);
}

static void a_freeze_begins_with_the_last_verdict_and_ends_with_the_next(void **state)
{
	struct bench *b = *state;
	configure(b, 0, 1, 100, 10);
	answer(b, 0, 1, 0, 20);
	assert_int_equal(b->s.n_freezes, 0); /* the first owner is nobody's successor */
	offer(b, 0, 4, 100);
	verdicts(b, 0, 1, 1, 2, 2, 200);
	configure(b, 0, 2, 200, 1000);
	answer(b, 0, 2, 2, 1500);
	assert_int_equal(b->s.n_freezes, 0);
	verdicts(b, 0, 2, 3, 1, 3, 1700);
	assert_int_equal(b->s.n_freezes, 1);
	assert_int_equal(b->s.freezes[0].at_us, 1700);
	assert_int_equal(b->s.freezes[0].frozen_us, 1300);
	assert_int_equal(b->s.freezes[0].silent_us, 1500);
	verdicts(b, 0, 2, 4, 1, 4, 1800);
	configure(b, 0, 3, 100, 5000); /* nothing waits */
	answer(b, 0, 3, 4, 5400);
	assert_int_equal(b->s.n_freezes, 2);
	assert_int_equal(b->s.freezes[1].frozen_us, 400);
	assert_int_equal(b->s.freezes[1].silent_us, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_more_packets_fly_than_allowed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_shard_that_waits_for_another_owner_does_not_stop_the_others, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_sent_again_though_its_verdict_is_known_does_not_fly, setup, teardown),
		cmocka_unit_test_setup_teardown(resume_says_what_may_be_released_at_any_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(a_freeze_begins_with_the_last_verdict_and_ends_with_the_next, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_fence.c: what a controller that starts after a fence knows of it: the store has it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "controller/reconciler.h"

#define PLAN    7u
#define OWNER   1000u
#define STEERER 2000u

/* One shard, one node that owns it; what the controller last told that node to retire. */
struct world {
	struct store store;
	struct reconciler r;
	uint64_t now_us;
	uint32_t n_retired;
	uint64_t retired[WIRE_MAX_NODES];
};

static void take(void *ctx, uint64_t to, struct wire_message *msg)
{
	struct world *w = ctx;

	if (to != OWNER || msg->kind != WIRE_RETIRE)
		return;
	w->n_retired = msg->retire.incarnation.n;
	for (uint32_t i = 0; i < w->n_retired; i++)
		w->retired[i] = wire_c64(msg->retire.incarnation, i);
}

static void start(struct world *w)
{
	struct reconciler_options o = {
		.self = 1, .plan = PLAN, .n_shards = 1, .lease_us = 1000000, .repeat_us = 1000, .loss_us = 1000};

	assert_int_equal(reconciler_init(&w->r, &o, &w->store, (struct reconciler_out){w, take}, w->now_us), 0);
}

static void restart(struct world *w)
{
	reconciler_fini(&w->r);
	w->n_retired = 0;
	start(w);
}

static void begin(struct world *w)
{
	*w = (struct world){.now_us = 1};
	assert_int_equal(store_open_memory(&w->store), 0);
	start(w);
}

static void finish(struct world *w)
{
	reconciler_fini(&w->r);
	w->store.close(w->store.ctx);
}

static void report_core(struct world *w, uint64_t id, uint64_t roles, uint64_t process)
{
	uint64_t none = 0;
	struct wire_message m = {.kind = WIRE_REPORT, .plan = PLAN, .from = id};

	m.report = (struct wire_report){.name = {(const uint8_t *)"n", 1},
					.endpoint = {(const uint8_t *)"e", 1},
					.roles = roles,
					.process = process,
					.epochs = wire_column(&none, 1),
					.load = wire_column(&none, 1)};
	reconciler_message(&w->r, &m, w->now_us);
}

static void report(struct world *w, uint64_t id, uint64_t roles)
{
	report_core(w, id, roles, id);
}

static void tick(struct world *w)
{
	w->now_us += 2000;
	reconciler_tick(&w->r, w->now_us);
}

static bool is_retired(const struct world *w, uint64_t id)
{
	for (uint32_t i = 0; i < w->n_retired; i++)
		if (w->retired[i] == id)
			return true;
	return false;
}

static void a_stream_is_retired_by_a_controller_that_starts_after_the_fence(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	report(&w, STEERER, 2);
	tick(&w);
	assert_int_equal(reconciler_dead(&w.r, STEERER, w.now_us), 0); /* nobody was told before the controller ended */
	restart(&w);
	report(&w, OWNER, 1);
	tick(&w);
	assert_true(is_retired(&w, STEERER));
	assert_int_equal(w.r.n_steerers, 0);
	finish(&w);
}

static void whom_this_controller_has_never_heard_of_can_be_fenced_too(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	report(&w, STEERER, 2);
	tick(&w);
	restart(&w);
	report(&w, OWNER, 1);
	tick(&w);
	assert_int_equal(w.r.n_steerers, 1); /* so that the operator can be told of it */
	assert_string_equal(w.r.steerer_names[0], "n");
	assert_int_equal(w.n_retired, 0);
	assert_int_equal(reconciler_dead(&w.r, STEERER, w.now_us), 0);
	tick(&w);
	assert_true(is_retired(&w, STEERER));
	assert_int_equal(w.r.n_steerers, 0);
	finish(&w);
}

static void a_fenced_process_that_wakes_up_is_nobody_to_a_later_controller(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	report(&w, STEERER, 3);
	tick(&w);
	assert_int_equal(w.r.shards[0].config.owner, STEERER);
	assert_int_equal(reconciler_dead(&w.r, STEERER, w.now_us), 0);
	restart(&w);
	report(&w, STEERER, 3); /* before the store is read */
	tick(&w);
	report(&w, STEERER, 3);
	tick(&w);
	assert_true(!reconciler_node(&w.r, STEERER) || reconciler_node(&w.r, STEERER)->dead);
	report(&w, OWNER, 1);
	w.now_us += 2000000; /* long enough to declare the loss of what the dead one had */
	report(&w, OWNER, 1);
	report(&w, STEERER, 3);
	tick(&w);
	tick(&w);
	assert_int_equal(w.r.shards[0].config.owner, OWNER);
	assert_int_equal(reconciler_live_steerer(&w.r, w.now_us), 0);
	finish(&w);
}

static void count_record(void *arg, const char *key, const uint8_t *value, uint32_t bytes, uint64_t revision)
{
	(void)key, (void)value, (void)bytes, (void)revision;
	++*(uint32_t *)arg;
}

static void the_last_ones_are_kept_and_the_oldest_is_forgotten(void **state)
{
	struct world w;
	uint32_t records = 0;

	(void)state;
	begin(&w);
	for (uint64_t i = 0; i < RECONCILER_MAX_NODES + 5; i++) {
		w.now_us += 1;
		/* Descending, so that the store's order of keys is not the order of fences. */
		assert_int_equal(reconciler_dead(&w.r, STEERER + 1000 - i, w.now_us), 0);
		assert_int_equal(reconciler_dead(&w.r, STEERER + 1000 - i, w.now_us), 0);
	}
	assert_int_equal(w.store.list(w.store.ctx, "fenced/", count_record, &records), 0);
	assert_int_equal(records, RECONCILER_MAX_NODES);
	restart(&w);
	report(&w, OWNER, 1);
	tick(&w);
	assert_int_equal(w.n_retired, RECONCILER_MAX_NODES);
	for (uint64_t i = 0; i < RECONCILER_MAX_NODES + 5; i++)
		assert_int_equal(is_retired(&w, STEERER + 1000 - i), i >= 5);
	finish(&w);
}

static void who_is_fenced_takes_the_other_cores_of_its_process_along(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	report(&w, OWNER, 1);
	for (uint64_t i = 0; i < 3; i++)
		report_core(&w, STEERER + i, 3, STEERER);
	report(&w, STEERER + 3, 3);
	tick(&w);
	assert_int_equal(w.r.n_steerers, 4);
	assert_int_equal(reconciler_dead(&w.r, STEERER + 1, w.now_us), 0);
	tick(&w);
	for (uint64_t i = 0; i < 4; i++) {
		assert_int_equal(is_retired(&w, STEERER + i), i < 3);
		assert_int_equal(reconciler_node(&w.r, STEERER + i)->dead, i < 3);
	}
	assert_false(reconciler_node(&w.r, OWNER)->dead);
	assert_int_equal(w.r.n_steerers, 1);
	finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_is_retired_by_a_controller_that_starts_after_the_fence),
		cmocka_unit_test(whom_this_controller_has_never_heard_of_can_be_fenced_too),
		cmocka_unit_test(a_fenced_process_that_wakes_up_is_nobody_to_a_later_controller),
		cmocka_unit_test(the_last_ones_are_kept_and_the_oldest_is_forgotten),
		cmocka_unit_test(who_is_fenced_takes_the_other_cores_of_its_process_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

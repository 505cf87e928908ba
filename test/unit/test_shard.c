/* test_shard.c: the machine's table instructions on a shard, and the flat machine beside it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "state/mix.h"
#include "state/shard.h"

static struct shard *shard_with_table(uint32_t capacity, uint32_t idle_s)
{
	struct table_config c = {.capacity = capacity, .preload = 4, .idle_s = idle_s};
	struct shard *s = shard_new(2, 0);

	assert_non_null(s);
	s->tables[1] = table_new(&c);
	assert_non_null(s->tables[1]);
	return s;
}

static void the_clock_never_goes_back(void **state)
{
	struct shard *s = shard_new(0, 0);

	(void)state;
	shard_set_time(s, 5000000);
	shard_set_time(s, 4999999);
	assert_int_equal(s->clock_us, 5000000);
	assert_int_equal(s->now_s, 5);
	shard_free(s);
}

static void too_many_tables_are_refused(void **state)
{
	(void)state;
	errno = 0;
	assert_null(shard_new(SHARD_MAX_TABLES + 1, 0));
	assert_int_equal(errno, EINVAL);
}

static void a_table_that_is_not_initialised_loads_as_0_and_ignores_updates(void **state)
{
	struct shard *s = shard_with_table(4, 0);

	(void)state;
	shard_store(s, 0, 1, 5);
	assert_int_equal(shard_add(s, 0, 1, 7), 7);
	shard_delete(s, 0, 1);
	assert_int_equal(shard_load(s, 0, 1), 0);
	assert_int_equal(s->ignored, 3);
	assert_int_equal(shard_preload(s, 0, 1, 2), -EINVAL);
	shard_store(s, 1, 1, 5);
	assert_int_equal(shard_load(s, 1, 1), 5);
	assert_int_equal(s->ignored, 3);
	shard_free(s);
}

static void entries_expire_by_the_shards_clock(void **state)
{
	struct shard *s = shard_with_table(4, 10);

	(void)state;
	shard_set_time(s, 100999999);
	shard_store(s, 1, 1, 5);
	shard_set_time(s, 110999999);
	assert_int_equal(shard_load(s, 1, 1), 5);
	shard_set_time(s, 111000000);
	assert_int_equal(shard_load(s, 1, 1), 0);
	shard_free(s);
}

static void the_digest_sees_entries_their_table_and_the_clock(void **state)
{
	struct table_config c = {.capacity = 4};
	struct shard *a = shard_new(2, 0), *b = shard_new(2, 0);
	uint64_t empty = shard_digest(a);

	(void)state;
	for (int i = 0; i < 2; i++) {
		a->tables[i] = table_new(&c);
		b->tables[i] = table_new(&c);
	}
	assert_int_equal(shard_digest(b), empty);
	shard_store(a, 0, 1, 5);
	shard_store(b, 1, 1, 5);
	assert_true(shard_digest(a) != empty);
	assert_true(shard_digest(a) != shard_digest(b));
	shard_store(a, 1, 1, 5);
	shard_store(b, 0, 1, 5);
	assert_int_equal(shard_digest(a), shard_digest(b));
	shard_set_time(a, 1);
	assert_true(shard_digest(a) != shard_digest(b));
	shard_free(a);
	shard_free(b);
}

static void a_shared_table_is_read_by_both_shards_and_owned_by_neither(void **state)
{
	struct table_config c = {.capacity = 1, .preload = 4};
	struct table *config = table_new(&c);
	struct shard *s[2];

	(void)state;
	table_preload(config, 7, 70);
	for (int i = 0; i < 2; i++) {
		s[i] = shard_new(1, 0);
		s[i]->tables[0] = config;
		s[i]->shared[0] = true;
		assert_int_equal(shard_load(s[i], 0, 7), 70);
		shard_free(s[i]);
	}
	assert_int_equal(table_load(config, 7, 0), 70);
	table_free(config);
}

struct visited {
	uint64_t keys[4096], values[4096];
	int n;
};

static void note(void *arg, uint64_t key, uint64_t value)
{
	struct visited *v = arg;

	assert_true(v->n < 4096);
	v->keys[v->n] = key;
	v->values[v->n++] = value;
}

static void check_visits_equal(const struct shard *a, const struct shard *b)
{
	static struct visited va, vb;

	va.n = vb.n = 0;
	assert_int_equal(shard_visit(a, 1, note, &va), 0);
	assert_int_equal(shard_visit(b, 1, note, &vb), 0);
	assert_int_equal(va.n, vb.n);
	for (int i = 0; i < va.n; i++) {
		assert_true(!i || va.keys[i - 1] < va.keys[i]);
		assert_int_equal(va.keys[i], vb.keys[i]);
		assert_int_equal(va.values[i], vb.values[i]);
	}
}

static void step_both(struct shard *a, struct shard *b, uint64_t r)
{
	uint64_t key = r >> 8 & 1023, value = r >> 32;

	switch (r & 7) {
	case 0:
		shard_delete(a, 1, key);
		shard_delete(b, 1, key);
		break;
	case 1:
		shard_set_time(a, a->clock_us + value % 2000000);
		shard_set_time(b, a->clock_us);
		break;
	case 2:
	case 3:
		shard_store(a, 1, key, value);
		shard_store(b, 1, key, value);
		break;
	case 4:
	case 5:
		assert_int_equal(shard_add(a, 1, key, value), shard_add(b, 1, key, value));
		break;
	default:
		assert_int_equal(shard_load(a, 1, key), shard_load(b, 1, key));
	}
}

/* The capacity suffices, so nothing is evicted and the tree without a capacity must agree in everything. */
static void the_flat_machine_equals_the_table_where_nothing_is_evicted(void **state)
{
	const uint32_t idle_s[2] = {30, 30};
	struct shard *table = shard_with_table(1024, 30), *flat = shard_with_table(1024, 30);

	(void)state;
	for (uint64_t key = 0; key < 4; key++) {
		assert_int_equal(shard_preload(table, 1, key * 100, key), 0);
		assert_int_equal(shard_preload(flat, 1, key * 100, key), 0);
	}
	shard_store(table, 1, 5000, 1);
	shard_store(flat, 1, 5000, 1); /* an entry made before the change to flat */
	assert_int_equal(shard_make_flat(flat, idle_s), 0);
	assert_int_equal(shard_make_flat(flat, idle_s), 0);
	for (uint64_t i = 0; i < 60000; i++) {
		step_both(table, flat, mix64(i));
		if (i % 1000 == 0)
			check_visits_equal(table, flat);
	}
	check_visits_equal(table, flat);
	assert_int_equal(table_counters(table->tables[1]).evictions, 0);
	assert_true(table_counters(table->tables[1]).expired > 1000);
	shard_free(table);
	shard_free(flat);
}

static void the_flat_machine_has_every_table(void **state)
{
	const uint32_t idle_s[2] = {0, 0};
	struct shard *s = shard_new(2, 0);
	uint64_t empty;

	(void)state;
	assert_int_equal(shard_make_flat(s, idle_s), 0);
	empty = shard_digest(s);
	assert_int_equal(shard_preload(s, 0, 9, 90), 0);
	assert_int_equal(shard_add(s, 0, 9, 1), 91);
	assert_true(shard_digest(s) != empty);
	shard_delete(s, 0, 9);
	assert_int_equal(shard_load(s, 0, 9), 0);
	assert_int_equal(shard_digest(s), empty);
	shard_store(s, 2, 1, 1); /* no such table */
	assert_int_equal(s->ignored, 1);
	shard_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clock_never_goes_back),
		cmocka_unit_test(too_many_tables_are_refused),
		cmocka_unit_test(a_table_that_is_not_initialised_loads_as_0_and_ignores_updates),
		cmocka_unit_test(entries_expire_by_the_shards_clock),
		cmocka_unit_test(the_digest_sees_entries_their_table_and_the_clock),
		cmocka_unit_test(a_shared_table_is_read_by_both_shards_and_owned_by_neither),
		cmocka_unit_test(the_flat_machine_equals_the_table_where_nothing_is_evicted),
		cmocka_unit_test(the_flat_machine_has_every_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

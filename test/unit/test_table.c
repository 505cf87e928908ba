/* test_table.c: each rule of the flow table in a case that can be followed by hand. The clever parts have a twin: test_table_twin.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "state/table.h"

static struct table *table_of(uint32_t capacity, uint32_t idle_s)
{
	struct table_config c = {.capacity = capacity, .preload = 2, .idle_s = idle_s, .tracked = true, .layout_seed = 42};
	struct table *t = table_new(&c);

	assert_non_null(t);
	return t;
}

static bool has(const struct table *t, uint64_t key, uint32_t now_s)
{
	uint64_t value;

	return table_find(t, key, now_s, &value);
}

static struct table_entry entry_of(const struct table *t, uint64_t key)
{
	struct table_entry e;
	uint64_t cursor = 0;

	while (table_next(t, &cursor, &e))
		if (e.key == key)
			return e;
	fail_msg("no entry of key %llu", (unsigned long long)key);
	return e;
}

static void a_capacity_out_of_range_is_refused(void **state)
{
	struct table_config none = {.capacity = 0}, large = {.capacity = TABLE_MAX_CAPACITY + 1};

	(void)state;
	errno = 0;
	assert_null(table_new(&none));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(table_new(&large));
	assert_int_equal(errno, EINVAL);
}

static void an_absent_key_loads_as_0_but_is_not_a_stored_0(void **state)
{
	struct table *t = table_of(4, 0);
	uint64_t value = 7;

	(void)state;
	assert_int_equal(table_load(t, 5, 0), 0);
	assert_false(table_find(t, 5, 0, &value));
	assert_int_equal(value, 7);
	table_store(t, 5, 0, 0);
	assert_true(table_find(t, 5, 0, &value));
	assert_int_equal(value, 0);
	table_free(t);
}

static void every_key_is_legal_0_too(void **state)
{
	struct table *t = table_of(4, 0);

	(void)state;
	assert_false(has(t, 0, 0));
	table_store(t, 0, 11, 0);
	table_store(t, UINT64_MAX, 12, 0);
	assert_int_equal(table_load(t, 0, 0), 11);
	assert_int_equal(table_load(t, UINT64_MAX, 0), 12);
	assert_int_equal(table_held(t), 2);
	table_free(t);
}

static void add_returns_the_new_value_and_wraps(void **state)
{
	struct table *t = table_of(4, 0);

	(void)state;
	assert_int_equal(table_add(t, 1, 5, 0), 5);
	assert_int_equal(table_add(t, 1, 3, 0), 8);
	assert_int_equal(table_add(t, 1, UINT64_MAX, 0), 7);
	assert_int_equal(table_load(t, 1, 0), 7);
	table_free(t);
}

static void a_deleted_key_is_absent_and_its_place_is_free(void **state)
{
	struct table *t = table_of(1, 0);

	(void)state;
	table_store(t, 1, 5, 0);
	table_delete(t, 1, 0);
	table_delete(t, 1, 0);
	assert_false(has(t, 1, 0));
	assert_int_equal(table_counters(t).deleted, 1);
	table_store(t, 2, 6, 0);
	assert_int_equal(table_counters(t).evictions, 0);
	table_free(t);
}

static void reads_change_nothing(void **state)
{
	struct table *t = table_of(2, 10);
	uint64_t before;

	(void)state;
	table_store(t, 1, 5, 100);
	table_changes_clear(t);
	before = table_digest(t);
	(void)table_load(t, 1, 105);
	(void)has(t, 1, 105);
	table_prefetch(t, 1);
	assert_int_equal(table_changed_count(t), 0);
	assert_int_equal(table_digest(t), before);
	assert_int_equal(entry_of(t, 1).stamp_s, 100);
	assert_int_equal(entry_of(t, 1).mark, 0);
	table_free(t);
}

static void an_entry_is_absent_once_its_idle_time_is_exceeded(void **state)
{
	struct table *t = table_of(4, 10);

	(void)state;
	table_store(t, 1, 5, 100);
	assert_true(has(t, 1, 110));
	assert_false(has(t, 1, 111));
	assert_int_equal(table_live(t, 110), 1);
	assert_int_equal(table_live(t, 111), 0);
	table_store(t, 1, 6, 110); /* a store begins the idle time again */
	assert_true(has(t, 1, 120));
	assert_int_equal(table_add(t, 1, 2, 121), 2); /* the old 6 has expired */
	assert_int_equal(table_counters(t).expired, 1);
	table_free(t);
}

static void with_idle_time_0_nothing_expires(void **state)
{
	struct table *t = table_of(4, 0);

	(void)state;
	table_store(t, 1, 5, 0);
	table_store(t, 2, 5, UINT32_MAX);
	assert_true(has(t, 1, UINT32_MAX));
	table_free(t);
}

static void an_expired_entry_never_counts_toward_capacity(void **state)
{
	struct table *t = table_of(2, 10);

	(void)state;
	table_store(t, 1, 1, 100);
	table_store(t, 2, 2, 105);
	table_store(t, 3, 3, 111); /* 1 has expired: no eviction */
	assert_int_equal(table_counters(t).evictions, 0);
	assert_int_equal(table_counters(t).expired, 1);
	assert_true(has(t, 2, 111));
	assert_true(has(t, 3, 111));
	table_free(t);
}

static void an_insertion_removes_every_expired_entry_however_long_the_jump(void **state)
{
	static const uint32_t jumps[] = {11, 12, 1000, 5000, 100000, 4000000000u};

	(void)state;
	for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
		struct table *t = table_of(100, 10);

		for (uint64_t key = 0; key < 50; key++)
			table_store(t, key, 1, (uint32_t)key / 10);
		assert_int_equal(table_held(t), 50);
		table_store(t, 1000, 1, 4 + jumps[i]);
		assert_int_equal(table_held(t), 1);
		assert_int_equal(table_counters(t).expired, 50);
		table_free(t);
	}
}

static void an_idle_time_longer_than_the_wheel_is_kept_to_the_second(void **state)
{
	struct table *t = table_of(4, 100000);

	(void)state;
	table_store(t, 1, 1, 50);
	for (uint32_t now = 60; now <= 100050; now += 30)
		table_store(t, 2, now, now);
	table_store(t, 3, 1, 100050);
	assert_int_equal(table_held(t), 3);
	table_store(t, 4, 1, 100051);
	assert_int_equal(table_held(t), 3);
	assert_int_equal(table_counters(t).expired, 1);
	table_free(t);
}

static void the_oldest_unmarked_entry_makes_way(void **state)
{
	struct table *t = table_of(3, 0);

	(void)state;
	for (uint64_t key = 1; key <= 4; key++)
		table_store(t, key, key, 0);
	assert_false(has(t, 1, 0));
	assert_true(has(t, 2, 0));
	assert_int_equal(table_held(t), 3);
	assert_int_equal(table_counters(t).evictions, 1);
	table_free(t);
}

static void a_marked_entry_moves_to_kept_and_loses_its_mark(void **state)
{
	struct table *t = table_of(3, 0);

	(void)state;
	for (uint64_t key = 1; key <= 3; key++)
		table_store(t, key, key, 0);
	table_store(t, 1, 10, 0); /* marks 1 */
	assert_int_equal(entry_of(t, 1).mark, 1);
	table_store(t, 4, 4, 0);
	assert_int_equal(entry_of(t, 1).queue, TABLE_KEPT);
	assert_int_equal(entry_of(t, 1).mark, 0);
	assert_true(entry_of(t, 1).position < entry_of(t, 4).position);
	assert_false(has(t, 2, 0));
	table_free(t);
}

/* Capacity 16: NEW is looked at while it holds more than 2. 14 entries go to KEPT in steps of at most 8 looks. */
static void kept_is_looked_at_once_new_holds_no_more_than_an_eighth(void **state)
{
	struct table *t = table_of(16, 0);

	(void)state;
	for (uint64_t key = 0; key < 16; key++) {
		table_store(t, key, 1, 0);
		if (key < 14)
			table_store(t, key, 2, 0);
	}
	table_store(t, 100, 1, 0); /* 0..6 kept, the eighth, 7, removed */
	table_store(t, 101, 1, 0); /* 8..13 kept, 14, unmarked, removed */
	assert_int_equal(entry_of(t, 13).queue, TABLE_KEPT);
	assert_false(has(t, 7, 0));
	assert_false(has(t, 14, 0));
	assert_int_equal(entry_of(t, 15).queue, TABLE_NEW);
	table_store(t, 102, 1, 0); /* NEW is 15, 100, 101: 15 goes */
	assert_false(has(t, 15, 0));
	table_delete(t, 100, 0);
	table_store(t, 103, 1, 0); /* room again: NEW is 101, 102, 103 */
	table_delete(t, 101, 0);
	table_delete(t, 13, 0);
	table_put(t, &(struct table_entry){.key = 200, .position = 1000, .queue = TABLE_KEPT});
	table_put(t, &(struct table_entry){.key = 201, .position = 1001, .queue = TABLE_KEPT});
	assert_int_equal(table_held(t), 16); /* NEW is 102, 103: an eighth */
	table_store(t, 104, 1, 0);           /* the head of KEPT goes: 0 */
	assert_false(has(t, 0, 0));
	assert_true(has(t, 102, 0));
	table_free(t);
}

static void the_eighth_head_looked_at_goes_in_any_case(void **state)
{
	struct table *t = table_of(20, 0);

	(void)state;
	for (uint64_t key = 1; key <= 20; key++) {
		table_store(t, key, 1, 0);
		table_store(t, key, 2, 0);
	}
	table_store(t, 100, 1, 0);
	assert_int_equal(entry_of(t, 7).queue, TABLE_KEPT);
	assert_false(has(t, 8, 0));
	assert_int_equal(entry_of(t, 9).queue, TABLE_NEW);
	assert_int_equal(entry_of(t, 9).mark, 1);
	table_free(t);
}

static void preloaded_entries_neither_count_nor_expire_nor_make_way(void **state)
{
	struct table *t = table_of(1, 10);

	(void)state;
	assert_int_equal(table_preload(t, 1, 100), 0);
	assert_int_equal(table_preload(t, 2, 200), 0);
	assert_int_equal(table_preload(t, 2, 201), 0);
	assert_int_equal(table_preload(t, 3, 300), -ENOSPC);
	for (uint64_t key = 10; key < 20; key++)
		table_store(t, key, 1, (uint32_t)key);
	assert_int_equal(table_load(t, 1, 1000000), 100);
	assert_int_equal(table_load(t, 2, 1000000), 201);
	assert_int_equal(table_held(t), 1);
	assert_int_equal(table_live(t, 1000000), 2);
	table_free(t);
}

static void a_program_may_overwrite_and_delete_preloaded_entries(void **state)
{
	struct table *t = table_of(1, 10);
	const uint64_t *removed;
	struct table_entry e;

	(void)state;
	table_preload(t, 1, 100);
	table_store(t, 1, 101, 5);
	e = entry_of(t, 1);
	assert_int_equal(e.value, 101);
	assert_int_equal(e.queue, TABLE_PRELOADED);
	assert_int_equal(e.mark, 0);
	assert_int_equal(e.stamp_s, 0);
	assert_int_equal(table_changed_count(t), 1);
	table_delete(t, 1, 5);
	assert_false(has(t, 1, 5));
	assert_int_equal(table_removed(t, &removed), 1);
	assert_int_equal(removed[0], 1);
	table_store(t, 1, 7, 5); /* an ordinary entry now */
	assert_int_equal(entry_of(t, 1).queue, TABLE_NEW);
	table_free(t);
}

static void a_store_that_changes_nothing_is_no_change(void **state)
{
	struct table *t = table_of(4, 10);
	uint64_t digest;

	(void)state;
	table_store(t, 1, 5, 100);
	table_store(t, 1, 5, 100); /* sets the mark */
	table_changes_clear(t);
	digest = table_digest(t);
	table_store(t, 1, 5, 100);
	assert_int_equal(table_add(t, 1, 0, 100), 5);
	assert_int_equal(table_changed_count(t), 0);
	assert_int_equal(table_digest(t), digest);
	table_store(t, 1, 5, 101); /* another second */
	assert_int_equal(table_changed_count(t), 1);
	assert_true(table_digest(t) != digest);
	table_free(t);
}

static void setting_the_mark_alone_is_a_change(void **state)
{
	struct table *t = table_of(4, 0);
	uint64_t digest;

	(void)state;
	table_store(t, 1, 5, 0);
	table_changes_clear(t);
	digest = table_digest(t);
	table_store(t, 1, 5, 0);
	assert_int_equal(table_changed_count(t), 1);
	assert_true(table_digest(t) != digest);
	table_free(t);
}

static void a_key_removed_and_inserted_again_is_reported_as_both_once(void **state)
{
	struct table *t = table_of(4, 0);
	struct table_entry changed[4];
	const uint64_t *removed;

	(void)state;
	table_store(t, 1, 5, 0);
	table_changes_clear(t);
	for (int i = 0; i < 3; i++) {
		table_delete(t, 1, 0);
		table_store(t, 1, 6, 0);
	}
	assert_int_equal(table_removed(t, &removed), 1);
	assert_int_equal(removed[0], 1);
	assert_int_equal(table_changed(t, changed, 4), 1);
	assert_int_equal(changed[0].value, 6);
	table_free(t);
}

static void a_key_that_came_and_went_between_two_clears_is_not_reported(void **state)
{
	struct table *t = table_of(4, 0);
	struct table_entry changed[4];
	const uint64_t *removed;

	(void)state;
	table_store(t, 1, 5, 0);
	table_delete(t, 1, 0);
	assert_int_equal(table_removed(t, &removed), 0);
	assert_int_equal(table_changed(t, changed, 4), 0);
	assert_int_equal(table_digest(t), 0);
	table_free(t);
}

static void every_field_of_an_entry_is_in_the_digest(void **state)
{
	static const struct table_entry base = {1, 2, 3, 4, TABLE_NEW, 0};
	struct table_entry variants[] = {base, base, base, base, base, base, base};
	uint64_t digests[sizeof variants / sizeof *variants];
	size_t n = sizeof variants / sizeof *variants;

	(void)state;
	variants[1].key = 9;
	variants[2].value = 9;
	variants[3].position = 9;
	variants[4].stamp_s = 9;
	variants[5].queue = TABLE_KEPT;
	variants[6].mark = 1;
	for (size_t i = 0; i < n; i++) {
		struct table *t = table_of(4, 100);

		assert_int_equal(table_put(t, &variants[i]), 0);
		digests[i] = table_digest(t);
		assert_int_equal(digests[i], table_digest_full(t));
		for (size_t j = 0; j < i; j++)
			assert_true(digests[i] != digests[j]);
		table_free(t);
	}
}

static void put_refuses_what_no_table_could_hold(void **state)
{
	static const struct table_entry bad[] = {
		{1, 2, 3, 4, 3, 0},
		{1, 2, 3, 4, TABLE_NEW, 2},
		{1, 2, 0, 4, TABLE_NEW, 0},
		{1, 2, UINT64_MAX, 4, TABLE_NEW, 0},
		{1, 2, 3, 0, TABLE_PRELOADED, 0},
		{1, 2, 0, 0, TABLE_PRELOADED, 1},
	};
	struct table *t = table_of(2, 0);

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(table_put(t, &bad[i]), -EINVAL);
	for (uint64_t key = 1; key <= 2; key++)
		assert_int_equal(table_put(t, &(struct table_entry){.key = key, .position = key}), 0);
	assert_int_equal(table_put(t, &(struct table_entry){.key = 3, .position = 3}), -ENOSPC);
	assert_int_equal(table_put(t, &(struct table_entry){.key = 2, .position = 9}), 0); /* that one is there */
	assert_int_equal(table_held(t), 2);
	table_free(t);
}

/* 2000 entries come in random order: the queues are sorted at the first insertion that evicts. */
static void a_snapshot_in_any_order_evicts_in_the_order_of_positions(void **state)
{
	struct table *t = table_of(2000, 0);

	(void)state;
	for (uint64_t i = 0; i < 2000; i++) {
		uint64_t position = i * 1237 % 2000 + 1;

		assert_int_equal(table_put(t, &(struct table_entry){.key = position, .position = position}), 0);
	}
	for (uint64_t i = 1; i <= 2000; i++) {
		assert_true(has(t, i, 0));
		table_store(t, 10000 + i, 1, 0);
		assert_false(has(t, i, 0));
	}
	assert_int_equal(table_digest(t), table_digest_full(t));
	table_free(t);
}

static void settling_changes_no_entry(void **state)
{
	struct table *t = table_of(100, 10);
	uint64_t digest;

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		table_put(t, &(struct table_entry){.key = i, .position = i * 37 % 100 + 1, .stamp_s = (uint32_t)i});
	digest = table_digest(t);
	table_settle(t, 60);
	table_settle(t, 200);
	assert_int_equal(table_digest(t), digest);
	assert_int_equal(table_held(t), 100);
	table_store(t, 1000, 1, 200);
	assert_int_equal(table_held(t), 1);
	table_free(t);
}

/* The second entry lies where the first one did, which is listed to be examined in second 111. */
static void an_entry_put_with_an_older_stamp_expires_in_its_own_second(void **state)
{
	struct table *t = table_of(2, 10);

	(void)state;
	table_settle(t, 50); /* from here on the wheel is examined second by second */
	table_put(t, &(struct table_entry){.key = 1, .position = 1, .stamp_s = 100});
	table_take(t, 1);
	table_put(t, &(struct table_entry){.key = 1, .position = 2, .stamp_s = 50});
	table_store(t, 2, 1, 61);
	assert_int_equal(table_counters(t).expired, 1);
	assert_int_equal(table_held(t), 1);
	table_free(t);
}

static void clear_empties_everything(void **state)
{
	struct table *t = table_of(4, 10);
	const uint64_t *removed;

	(void)state;
	table_preload(t, 9, 9);
	table_store(t, 1, 5, 100);
	table_changes_clear(t);
	table_delete(t, 1, 100);
	table_clear(t);
	assert_int_equal(table_live(t, 100), 0);
	assert_int_equal(table_digest(t), 0);
	assert_int_equal(table_removed(t, &removed), 0);
	assert_int_equal(table_changed_count(t), 0);
	assert_int_equal(table_counters(t).insertions, 0);
	table_store(t, 1, 5, 50);
	assert_int_equal(entry_of(t, 1).position, 1);
	table_free(t);
}

/* A large table: memory in huge pages, every key found again, none left behind by probing. */
static void a_hundred_thousand_keys_are_found_and_deleted(void **state)
{
	struct table *t = table_of(100000, 0);

	(void)state;
	for (uint64_t key = 0; key < 100000; key++)
		table_store(t, key * 0x100000001ULL, key, 0);
	for (uint64_t key = 0; key < 100000; key++)
		assert_int_equal(table_load(t, key * 0x100000001ULL, 0), key);
	for (uint64_t key = 0; key < 100000; key += 2)
		table_delete(t, key * 0x100000001ULL, 0);
	for (uint64_t key = 0; key < 100000; key++)
		assert_int_equal(has(t, key * 0x100000001ULL, 0), key & 1);
	assert_int_equal(table_digest(t), table_digest_full(t));
	table_clear(t);
	assert_int_equal(table_held(t), 0);
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_capacity_out_of_range_is_refused),
		cmocka_unit_test(an_absent_key_loads_as_0_but_is_not_a_stored_0),
		cmocka_unit_test(every_key_is_legal_0_too),
		cmocka_unit_test(add_returns_the_new_value_and_wraps),
		cmocka_unit_test(a_deleted_key_is_absent_and_its_place_is_free),
		cmocka_unit_test(reads_change_nothing),
		cmocka_unit_test(an_entry_is_absent_once_its_idle_time_is_exceeded),
		cmocka_unit_test(with_idle_time_0_nothing_expires),
		cmocka_unit_test(an_expired_entry_never_counts_toward_capacity),
		cmocka_unit_test(an_insertion_removes_every_expired_entry_however_long_the_jump),
		cmocka_unit_test(an_idle_time_longer_than_the_wheel_is_kept_to_the_second),
		cmocka_unit_test(the_oldest_unmarked_entry_makes_way),
		cmocka_unit_test(a_marked_entry_moves_to_kept_and_loses_its_mark),
		cmocka_unit_test(kept_is_looked_at_once_new_holds_no_more_than_an_eighth),
		cmocka_unit_test(the_eighth_head_looked_at_goes_in_any_case),
		cmocka_unit_test(preloaded_entries_neither_count_nor_expire_nor_make_way),
		cmocka_unit_test(a_program_may_overwrite_and_delete_preloaded_entries),
		cmocka_unit_test(a_store_that_changes_nothing_is_no_change),
		cmocka_unit_test(setting_the_mark_alone_is_a_change),
		cmocka_unit_test(a_key_removed_and_inserted_again_is_reported_as_both_once),
		cmocka_unit_test(a_key_that_came_and_went_between_two_clears_is_not_reported),
		cmocka_unit_test(every_field_of_an_entry_is_in_the_digest),
		cmocka_unit_test(put_refuses_what_no_table_could_hold),
		cmocka_unit_test(a_snapshot_in_any_order_evicts_in_the_order_of_positions),
		cmocka_unit_test(settling_changes_no_entry),
		cmocka_unit_test(an_entry_put_with_an_older_stamp_expires_in_its_own_second),
		cmocka_unit_test(clear_empties_everything),
		cmocka_unit_test(a_hundred_thousand_keys_are_found_and_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

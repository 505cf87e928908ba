/* test_table_twin.c: struct table against a naive twin: one unordered array, written from the design page "The machine" (Tables),
 * under random operations with tiny capacities, evictions, expiries, preloaded entries, replicas fed by deltas, and promotions.
 *
 *   TEST_SEED=N   the one case with that seed        TEST_ALL=1   many more cases
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "state/mix.h"
#include "state/table.h"

#define TWIN_MAX    64
#define CASE_STEPS  600
#define SHORT_CASES 1500
#define ALL_CASES   100000

/* ---- The twin ---- */

struct twin_entry {
	struct table_entry e;
	bool changed; /* since the last clear */
};

struct twin {
	struct table_config config;
	struct twin_entry at[TWIN_MAX];
	int n;
	uint64_t next_position;
	uint64_t before[TWIN_MAX]; /* keys at the last clear */
	int n_before;
	uint64_t gone[TWIN_MAX]; /* those of them removed since */
	int n_gone;
	struct table_counters counters;
};

static bool twin_live(const struct twin *w, const struct table_entry *e, uint32_t now)
{
	return e->queue == TABLE_PRELOADED || !w->config.idle_s || now - e->stamp_s <= w->config.idle_s;
}

static struct twin_entry *twin_find(struct twin *w, uint64_t key)
{
	for (int i = 0; i < w->n; i++)
		if (w->at[i].e.key == key)
			return &w->at[i];
	return NULL;
}

static struct twin_entry *twin_find_live(struct twin *w, uint64_t key, uint32_t now)
{
	struct twin_entry *x = twin_find(w, key);

	return x && twin_live(w, &x->e, now) ? x : NULL;
}

static bool contains(const uint64_t *keys, int n, uint64_t key)
{
	for (int i = 0; i < n; i++)
		if (keys[i] == key)
			return true;
	return false;
}

static void twin_remove(struct twin *w, struct twin_entry *x)
{
	uint64_t key = x->e.key;

	if (contains(w->before, w->n_before, key) && !contains(w->gone, w->n_gone, key))
		w->gone[w->n_gone++] = key;
	*x = w->at[--w->n];
}

static int twin_count(const struct twin *w, int queue)
{
	int n = 0;

	for (int i = 0; i < w->n; i++)
		n += w->at[i].e.queue == queue;
	return n;
}

static struct twin_entry *twin_head(struct twin *w, int queue)
{
	struct twin_entry *head = NULL;

	for (int i = 0; i < w->n; i++)
		if (w->at[i].e.queue == queue && (!head || w->at[i].e.position < head->e.position))
			head = &w->at[i];
	return head;
}

static void twin_evict(struct twin *w)
{
	for (int look = 1;; look++) {
		bool from_new = twin_count(w, TABLE_NEW) * 8 > (int)w->config.capacity || twin_count(w, TABLE_KEPT) == 0;
		struct twin_entry *head = twin_head(w, from_new ? TABLE_NEW : TABLE_KEPT);

		if (!head->e.mark || look == 8) {
			twin_remove(w, head);
			w->counters.evictions++;
			return;
		}
		head->e.mark = 0;
		head->e.queue = TABLE_KEPT;
		head->e.position = w->next_position++;
		head->changed = true;
	}
}

static void twin_insert(struct twin *w, uint64_t key, uint64_t value, uint32_t now)
{
	for (int i = 0; i < w->n;) {
		if (twin_live(w, &w->at[i].e, now)) {
			i++;
		} else {
			twin_remove(w, &w->at[i]);
			w->counters.expired++;
		}
	}
	if (twin_count(w, TABLE_NEW) + twin_count(w, TABLE_KEPT) == (int)w->config.capacity)
		twin_evict(w);
	w->at[w->n++] = (struct twin_entry){{key, value, w->next_position++, now, TABLE_NEW, 0}, true};
	w->counters.insertions++;
}

static void twin_store(struct twin *w, uint64_t key, uint64_t value, uint32_t now)
{
	struct twin_entry *x = twin_find_live(w, key, now);

	if (!x) {
		twin_insert(w, key, value, now);
		return;
	}
	if (x->e.queue == TABLE_PRELOADED) {
		x->changed |= x->e.value != value;
		x->e.value = value;
		return;
	}
	x->changed |= x->e.value != value || x->e.stamp_s != now || !x->e.mark;
	x->e.value = value;
	x->e.stamp_s = now;
	x->e.mark = 1;
}

static void twin_delete(struct twin *w, uint64_t key, uint32_t now)
{
	struct twin_entry *x = twin_find_live(w, key, now);

	if (!x)
		return;
	twin_remove(w, x);
	w->counters.deleted++;
}

static void twin_clear_changes(struct twin *w)
{
	w->n_gone = 0;
	w->n_before = w->n;
	for (int i = 0; i < w->n; i++) {
		w->before[i] = w->at[i].e.key;
		w->at[i].changed = false;
	}
}

/* ---- One case ---- */

struct scene {
	uint64_t seed, draws;
	struct twin twin;
	struct table *table[2]; /* the same operations, other layout seeds */
	struct table *replica[2];
	struct table *plain; /* the same, untracked */
	uint32_t now;
	uint64_t n_keys;
	uint64_t evictions, expiries; /* of earlier lives of table[0] */
};

static uint64_t draw(struct scene *s, uint64_t below)
{
	return mix64(s->seed * 0x9e3779b97f4a7c15ULL + ++s->draws) % below;
}

/* Keys 0 and 2^64-1 are among them. */
static uint64_t draw_key(struct scene *s)
{
	uint64_t k = draw(s, s->n_keys);

	return k == 1 ? UINT64_MAX : k;
}

static struct table *new_table(const struct scene *s, uint64_t layout_seed, bool tracked)
{
	struct table_config c = s->twin.config;
	struct table *t;

	c.layout_seed = layout_seed;
	c.tracked = tracked;
	t = table_new(&c);
	assert_non_null(t);
	return t;
}

static void open_scene(struct scene *s, uint64_t seed)
{
	static const uint32_t idles[] = {0, 0, 1, 2, 5, 30, 5000};

	memset(s, 0, sizeof *s);
	s->seed = seed;
	s->twin.config.capacity = 1 + (uint32_t)draw(s, draw(s, 2) ? 8 : 30);
	s->twin.config.preload = (uint32_t)draw(s, 4);
	s->twin.config.idle_s = idles[draw(s, sizeof idles / sizeof *idles)];
	s->twin.next_position = 1;
	s->n_keys = 2 + draw(s, 2 * s->twin.config.capacity + 4);
	s->now = draw(s, 2) ? 1700000000 : 0;
	for (int i = 0; i < 2; i++) {
		s->table[i] = new_table(s, draw(s, UINT64_MAX), true);
		s->replica[i] = new_table(s, draw(s, UINT64_MAX), true);
	}
	s->plain = new_table(s, 0, false);
}

static void close_scene(struct scene *s)
{
	for (int i = 0; i < 2; i++) {
		table_free(s->table[i]);
		table_free(s->replica[i]);
	}
	table_free(s->plain);
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int by_entry_key(const void *a, const void *b)
{
	return by_key(&((const struct table_entry *)a)->key, &((const struct table_entry *)b)->key);
}

/* Replaces positions by ranks in their queues: the header promises an order, not numbers. Then sorts by key. */
static void normalise(struct table_entry *e, int n)
{
	uint64_t rank[TWIN_MAX];

	for (int i = 0; i < n; i++) {
		rank[i] = 0;
		for (int j = 0; j < n; j++) {
			assert_true(i == j || e[i].queue == TABLE_PRELOADED || e[i].position != e[j].position);
			rank[i] += e[i].queue == e[j].queue && e[j].position < e[i].position;
		}
	}
	for (int i = 0; i < n; i++)
		e[i].position = rank[i];
	qsort(e, (size_t)n, sizeof *e, by_entry_key);
}

static void check_entries_equal(const struct table_entry *a, const struct table_entry *b, int n)
{
	for (int i = 0; i < n; i++) {
		assert_int_equal(a[i].key, b[i].key);
		assert_int_equal(a[i].value, b[i].value);
		assert_int_equal(a[i].position, b[i].position);
		assert_int_equal(a[i].stamp_s, b[i].stamp_s);
		assert_int_equal(a[i].queue, b[i].queue);
		assert_int_equal(a[i].mark, b[i].mark);
	}
}

static int walk(const struct table *t, struct table_entry *out)
{
	uint64_t cursor = 0;
	int n = 0;

	while (n < TWIN_MAX && table_next(t, &cursor, &out[n]))
		n++;
	assert_true(n < TWIN_MAX);
	return n;
}

static void check_whole_state(struct scene *s, struct table *t)
{
	struct table_entry have[TWIN_MAX], want[TWIN_MAX];
	uint64_t live = 0, value;
	int n = walk(t, have);

	assert_int_equal(n, s->twin.n);
	for (int i = 0; i < n; i++) {
		want[i] = s->twin.at[i].e;
		live += twin_live(&s->twin, &want[i], s->now);
	}
	normalise(have, n);
	normalise(want, n);
	check_entries_equal(have, want, n);
	assert_int_equal(table_live(t, s->now), live);
	assert_int_equal(table_held(t), n - twin_count(&s->twin, TABLE_PRELOADED));
	for (uint64_t k = 0; k < s->n_keys; k++)
		assert_int_equal(table_find(t, k, s->now, &value), twin_find_live(&s->twin, k, s->now) != NULL);
}

static void check_changes(struct scene *s, struct table *t)
{
	struct table_entry have[TWIN_MAX], want[TWIN_MAX];
	const uint64_t *removed;
	uint64_t sorted[TWIN_MAX];
	int n_removed = (int)table_removed(t, &removed), n, n_want = 0;

	assert_int_equal(n_removed, s->twin.n_gone);
	memcpy(sorted, removed, (size_t)n_removed * sizeof *sorted);
	qsort(sorted, (size_t)n_removed, sizeof *sorted, by_key);
	qsort(s->twin.gone, (size_t)n_removed, sizeof *sorted, by_key);
	for (int i = 0; i < n_removed; i++)
		assert_int_equal(sorted[i], s->twin.gone[i]);
	n = (int)table_changed(t, have, TWIN_MAX);
	assert_true((uint32_t)n <= table_changed_count(t));
	for (int i = 0; i < s->twin.n; i++)
		if (s->twin.at[i].changed)
			want[n_want++] = s->twin.at[i].e;
	assert_int_equal(n, n_want);
	normalise(have, n);
	normalise(want, n);
	check_entries_equal(have, want, n);
}

static void ship_changes(struct table *from, struct table *to)
{
	struct table_entry changed[TWIN_MAX];
	const uint64_t *removed;
	uint32_t n = table_removed(from, &removed);

	for (uint32_t i = 0; i < n; i++)
		table_take(to, removed[i]);
	n = table_changed(from, changed, TWIN_MAX);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(table_put(to, &changed[i]), 0);
	table_changes_clear(from);
}

/* The end of a burst: changes go to the replicas, which then equal their owners in every field. */
static void end_burst(struct scene *s)
{
	for (int i = 0; i < 2; i++) {
		check_changes(s, s->table[i]);
		if (draw(s, 2))
			assert_int_equal(table_digest(s->table[i]), table_digest_full(s->table[i]));
		ship_changes(s->table[i], s->replica[i]);
		if (draw(s, 8) == 0)
			table_settle(s->replica[i], s->now);
		check_whole_state(s, s->replica[i]);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(table_digest(s->table[0]), table_digest(s->table[i]));
		assert_int_equal(table_digest(s->table[0]), table_digest_full(s->table[i]));
		assert_int_equal(table_digest(s->table[0]), table_digest(s->replica[i]));
	}
	twin_clear_changes(&s->twin);
}

/* The replicas become owners; new replicas come from snapshots in random order. */
static void promote(struct scene *s)
{
	struct table_entry e[TWIN_MAX];

	end_burst(s);
	s->evictions += table_counters(s->table[0]).evictions;
	s->expiries += table_counters(s->table[0]).expired;
	memset(&s->twin.counters, 0, sizeof s->twin.counters);
	for (int i = 0; i < 2; i++) {
		int n = walk(s->replica[i], e);

		table_free(s->table[i]);
		s->table[i] = s->replica[i];
		s->replica[i] = new_table(s, draw(s, UINT64_MAX), true);
		while (n) {
			int pick = (int)draw(s, (uint64_t)n);

			assert_int_equal(table_put(s->replica[i], &e[pick]), 0);
			e[pick] = e[--n];
		}
	}
}

static void preload(struct scene *s, uint64_t key, uint64_t value)
{
	struct twin_entry *x = twin_find(&s->twin, key);
	bool is_preloaded = x && x->e.queue == TABLE_PRELOADED;
	int want = !is_preloaded && twin_count(&s->twin, TABLE_PRELOADED) == (int)s->twin.config.preload ? -28 /* ENOSPC */ : 0;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(table_preload(s->table[i], key, value), want);
		assert_int_equal(table_preload(s->replica[i], key, value), want);
	}
	assert_int_equal(table_preload(s->plain, key, value), want);
	if (want)
		return;
	if (x)
		*x = s->twin.at[--s->twin.n];
	s->twin.at[s->twin.n++] = (struct twin_entry){{key, value, 0, 0, TABLE_PRELOADED, 0}, false};
}

static void store_everywhere(struct scene *s)
{
	uint64_t key = draw_key(s), value = draw(s, 3);

	twin_store(&s->twin, key, value, s->now);
	table_store(s->table[0], key, value, s->now);
	table_store(s->table[1], key, value, s->now);
	table_store(s->plain, key, value, s->now);
}

static void add_everywhere(struct scene *s)
{
	uint64_t key = draw_key(s), delta = draw(s, 3);
	struct twin_entry *x = twin_find_live(&s->twin, key, s->now);
	uint64_t sum = delta + (x ? x->e.value : 0);

	twin_store(&s->twin, key, sum, s->now);
	assert_int_equal(table_add(s->table[0], key, delta, s->now), sum);
	assert_int_equal(table_add(s->table[1], key, delta, s->now), sum);
	assert_int_equal(table_add(s->plain, key, delta, s->now), sum);
}

static void delete_everywhere(struct scene *s)
{
	uint64_t key = draw_key(s);

	twin_delete(&s->twin, key, s->now);
	table_delete(s->table[0], key, s->now);
	table_delete(s->table[1], key, s->now);
	table_delete(s->plain, key, s->now);
}

static void load_everywhere(struct scene *s)
{
	uint64_t key = draw_key(s);
	struct twin_entry *x = twin_find_live(&s->twin, key, s->now);

	table_prefetch(s->table[0], key);
	assert_int_equal(table_load(s->table[0], key, s->now), x ? x->e.value : 0);
	assert_int_equal(table_load(s->table[1], key, s->now), x ? x->e.value : 0);
	assert_int_equal(table_load(s->plain, key, s->now), x ? x->e.value : 0);
}

static void pass_time(struct scene *s)
{
	uint32_t idle = s->twin.config.idle_s;

	switch (draw(s, 12)) {
	case 0:
		s->now += idle + 1;
		break;
	case 1:
		s->now += (uint32_t)draw(s, 10000);
		break;
	default:
		s->now += (uint32_t)draw(s, idle / 3 + 2);
	}
}

static void step(struct scene *s)
{
	uint64_t what = draw(s, 1000);

	if (what < 350)
		store_everywhere(s);
	else if (what < 600)
		add_everywhere(s);
	else if (what < 680)
		delete_everywhere(s);
	else if (what < 800)
		load_everywhere(s);
	else if (what < 880)
		pass_time(s);
	else if (what < 960)
		end_burst(s);
	else if (what < 967)
		promote(s);
	else
		check_whole_state(s, draw(s, 3) ? s->table[draw(s, 2)] : s->plain);
}

static void check_counters(const struct scene *s)
{
	struct table_counters c = table_counters(s->table[0]);

	assert_int_equal(c.insertions, s->twin.counters.insertions);
	assert_int_equal(c.evictions, s->twin.counters.evictions);
	assert_int_equal(c.expired, s->twin.counters.expired);
	assert_int_equal(c.deleted, s->twin.counters.deleted);
}

static void run_case(uint64_t seed, uint64_t *evictions, uint64_t *expiries)
{
	static struct scene s;

	open_scene(&s, seed);
	for (uint32_t i = 0; i < s.twin.config.preload; i++) {
		if (draw(&s, 2)) {
			end_burst(&s);
			preload(&s, draw_key(&s), draw(&s, 9));
			twin_clear_changes(&s.twin);
		}
	}
	for (int i = 0; i < CASE_STEPS; i++) {
		step(&s);
		if (i % 64 == 0) {
			end_burst(&s);
			preload(&s, draw_key(&s), draw(&s, 9));
			twin_clear_changes(&s.twin);
		}
	}
	end_burst(&s);
	check_whole_state(&s, s.table[0]);
	check_whole_state(&s, s.table[1]);
	check_counters(&s);
	*evictions += s.evictions + table_counters(s.table[0]).evictions;
	*expiries += s.expiries + table_counters(s.table[0]).expired;
	close_scene(&s);
}

static uint64_t running_seed; /* 0: no case is under way */

static int tell_failing_seed(void **state)
{
	(void)state;
	if (running_seed)
		print_message("repeat: TEST_SEED=%llu build/test/prop/test_table_twin\n", (unsigned long long)running_seed);
	return 0;
}

static void a_table_equals_its_naive_twin_under_random_operations(void **state)
{
	const char *one = getenv("TEST_SEED");
	uint64_t first = one ? strtoull(one, NULL, 0) : 1, evictions = 0, expiries = 0;
	uint64_t cases = one ? 1 : getenv("TEST_ALL") ? ALL_CASES : SHORT_CASES;

	(void)state;
	for (running_seed = first; running_seed < first + cases; running_seed++)
		run_case(running_seed, &evictions, &expiries);
	running_seed = 0;
	print_message("%llu cases, %llu evictions, %llu expiries\n", (unsigned long long)cases, (unsigned long long)evictions,
		      (unsigned long long)expiries);
	if (!one) {
		assert_true(evictions > cases * 10);
		assert_true(expiries > cases * 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_table_equals_its_naive_twin_under_random_operations, tell_failing_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* table_state.c: a table's entries as data: walks, changes, digest, and the verbatim writes of replicas and snapshots. */
#include <errno.h>
#include <stdlib.h>

#include "state/table_layout.h"

#define POSITION_MAX ((1ULL << 62) - 1)

const struct table_config *table_config(const struct table *t)
{
	return &t->config;
}

struct table_counters table_counters(const struct table *t)
{
	return t->counters;
}

uint32_t table_held(const struct table *t)
{
	return t->queues[TABLE_NEW].count + t->queues[TABLE_KEPT].count;
}

static struct table_entry entry_at(const struct table *t, struct table_slot s)
{
	uint32_t n = table_slot_number(t, s);
	struct table_entry e = {.key = s.bucket->key[s.i], .value = s.bucket->value[s.i], .queue = TABLE_PRELOADED};

	if (table_slot_is(s, TABLE_PRELOAD))
		return e;
	e.position = t->links[n].position;
	e.queue = t->links[n].kept;
	e.stamp_s = s.bucket->stamp_s[s.i];
	e.mark = table_slot_is(s, TABLE_MARK);
	return e;
}

bool table_next(const struct table *t, uint64_t *cursor, struct table_entry *e)
{
	uint64_t n_slots = t->n_buckets * TABLE_BUCKET_SLOTS;

	while (*cursor < n_slots) {
		struct table_slot s = table_slot_at(t, (uint32_t)(*cursor)++);

		if (table_slot_is(s, TABLE_OCCUPIED)) {
			*e = entry_at(t, s);
			return true;
		}
	}
	return false;
}

bool table_entry_live(const struct table *t, const struct table_entry *e, uint32_t now_s)
{
	return e->queue == TABLE_PRELOADED || e->stamp_s >= table_oldest_live_s(t, now_s);
}

uint32_t table_entry_until_s(const struct table *t, const struct table_entry *e)
{
	bool for_ever = e->queue == TABLE_PRELOADED || e->stamp_s > UINT32_MAX - t->idle_s;

	return for_ever ? UINT32_MAX : e->stamp_s + t->idle_s;
}

uint64_t table_live(const struct table *t, uint32_t now_s)
{
	uint64_t cursor = 0, live = 0;
	struct table_entry e;

	if (!t->config.idle_s)
		return (uint64_t)table_held(t) + t->n_preloaded;
	while (table_next(t, &cursor, &e))
		live += table_entry_live(t, &e, now_s);
	return live;
}

uint32_t table_removed(const struct table *t, const uint64_t **keys)
{
	*keys = t->removed;
	return t->n_removed;
}

uint32_t table_changed_count(const struct table *t)
{
	return t->n_dirty;
}

/* Positions lie apart from the buckets that the burst has just touched. (always_inline: see table_prefetch_inline.) */
static inline __attribute__((always_inline)) void prefetch_place(const struct table *t, uint32_t change)
{
	if (change < t->n_dirty)
		__builtin_prefetch(&t->links[table_slot_number(t, table_slot_decode(t, t->dirty[change]))]);
}

/* A listed slot may be free by now, or hold another entry than the one that changed first: that one is new then, a change too. */
uint32_t table_changed(const struct table *t, struct table_entry *out, uint32_t room)
{
	uint32_t filled = 0;

	for (uint32_t i = 0; i < TABLE_PREFETCH_AHEAD; i++)
		prefetch_place(t, i);
	for (uint32_t i = 0; i < t->n_dirty && filled < room; i++) {
		prefetch_place(t, i + TABLE_PREFETCH_AHEAD);
		struct table_slot s = table_slot_decode(t, t->dirty[i]);

		if (table_slot_is(s, TABLE_OCCUPIED))
			out[filled++] = entry_at(t, s);
	}
	return filled;
}

static void add_if_stale(struct table *t, struct table_slot s)
{
	if (table_slot_is(s, TABLE_STALE))
		t->sum += table_content_hash(s);
}

void table_changes_clear(struct table *t)
{
	for (uint32_t i = 0; i < t->n_dirty; i++) {
		struct table_slot s = table_slot_decode(t, t->dirty[i]);

		add_if_stale(t, s);
		s.bucket->meta &= ~((TABLE_STALE | TABLE_DIRTY | TABLE_FRESH) * s.bit);
	}
	t->n_dirty = 0;
	t->n_removed = 0;
}

uint64_t table_digest(struct table *t)
{
	if (!t->tracked)
		return table_digest_full(t);
	for (uint32_t i = 0; i < t->n_dirty; i++) {
		struct table_slot s = table_slot_decode(t, t->dirty[i]);

		add_if_stale(t, s);
		s.bucket->meta &= ~(TABLE_STALE * s.bit);
	}
	return t->sum;
}

uint64_t table_digest_full(const struct table *t)
{
	uint64_t cursor = 0, sum = 0;
	struct table_entry e;

	while (table_next(t, &cursor, &e)) {
		struct table_slot s = table_slot_at(t, (uint32_t)cursor - 1);

		sum += table_content_hash(s) + table_place_hash(e.key, (enum table_queue)e.queue, e.position);
	}
	return sum;
}

static bool entry_valid(const struct table_entry *e)
{
	if (e->queue == TABLE_PRELOADED)
		return !e->mark && !e->position && !e->stamp_s;
	return e->queue <= TABLE_KEPT && e->mark <= 1 && e->position && e->position <= POSITION_MAX;
}

/* Keeps removed[] large enough for every entry there is, when one comes that is not FRESH. Grows only if removals wait to be reported. */
static int reserve_removed(struct table *t)
{
	uint64_t need = (uint64_t)t->n_removed + table_held(t) + t->n_preloaded + 1;
	uint64_t *grown;

	if (!t->tracked || need <= t->room_removed)
		return 0;
	if (need > UINT32_MAX / 2)
		return -ENOMEM;
	grown = realloc(t->removed, need * 2 * sizeof *grown);
	if (!grown)
		return -ENOMEM;
	t->removed = grown;
	t->room_removed = (uint32_t)need * 2;
	return 0;
}

/* Finds or makes room for key in the class (queued or preloaded) of the entry to put. An entry of the other class makes way. */
static int slot_to_put(struct table *t, uint64_t key, bool preloaded, struct table_slot *out)
{
	struct table_slot s = table_probe(t, key);
	int err;

	*out = s;
	if (s.bucket && table_slot_is(s, TABLE_PRELOAD) == preloaded)
		return 0;
	if (preloaded ? t->n_preloaded == t->config.preload : table_held(t) == t->config.capacity)
		return -ENOSPC;
	err = reserve_removed(t);
	if (err)
		return err;
	if (s.bucket)
		table_release(t, s);
	*out = (struct table_slot){NULL, 0, 0};
	return 0;
}

static void put_preloaded(struct table *t, struct table_slot s, bool is_new)
{
	s.bucket->stamp_s[s.i] = TABLE_STAMP_NEVER;
	if (!is_new)
		return;
	s.bucket->meta |= TABLE_PRELOAD * s.bit;
	t->n_preloaded++;
	if (t->tracked)
		t->sum += table_place_hash(s.bucket->key[s.i], TABLE_PRELOADED, 0);
}

static void put_queued(struct table *t, struct table_slot s, const struct table_entry *e, bool is_new)
{
	struct table_link *l = &t->links[table_slot_number(t, s)];

	s.bucket->stamp_s[s.i] = e->stamp_s;
	s.bucket->meta = (s.bucket->meta & ~(TABLE_MARK * s.bit)) | (e->mark ? TABLE_MARK * s.bit : 0);
	if (is_new || l->position != e->position || l->kept != e->queue) {
		if (!is_new)
			table_queue_unlink(t, s);
		l->kept = e->queue == TABLE_KEPT;
		l->position = e->position;
		table_queue_insert(t, s);
	}
	table_wheel_list(t, s);
	if (e->position >= t->next_position)
		t->next_position = e->position + 1;
}

int table_put(struct table *t, const struct table_entry *e)
{
	bool preloaded = e->queue == TABLE_PRELOADED, is_new;
	struct table_slot s;
	int err;

	if (!entry_valid(e))
		return -EINVAL;
	err = slot_to_put(t, e->key, preloaded, &s);
	if (err)
		return err;
	is_new = !s.bucket;
	if (is_new)
		s = table_claim(t, e->key, e->value);
	else if (t->tracked && !table_slot_is(s, TABLE_STALE))
		t->sum -= table_content_hash(s);
	s.bucket->meta &= ~(TABLE_STALE * s.bit);
	s.bucket->value[s.i] = e->value;
	if (preloaded)
		put_preloaded(t, s, is_new);
	else
		put_queued(t, s, e, is_new);
	if (t->tracked)
		t->sum += table_content_hash(s);
	return 0;
}

int table_preload(struct table *t, uint64_t key, uint64_t value)
{
	struct table_entry e = {.key = key, .value = value, .queue = TABLE_PRELOADED};

	return table_put(t, &e);
}

void table_take(struct table *t, uint64_t key)
{
	struct table_slot s = table_probe(t, key);

	if (s.bucket)
		table_release(t, s);
}

bool table_entry_of(const struct table *t, uint64_t key, struct table_entry *e)
{
	struct table_slot s = table_probe(t, key);

	if (!s.bucket)
		return false;
	*e = entry_at(t, s);
	return true;
}

uint64_t table_next_position(const struct table *t)
{
	return t->next_position;
}

void table_set_next_position(struct table *t, uint64_t position)
{
	if (position > t->next_position && position <= POSITION_MAX)
		t->next_position = position;
}

void table_settle(struct table *t, uint32_t now_s)
{
	if (!t->ordered)
		table_queue_sort(t);
	table_expire(t, now_s, true);
}

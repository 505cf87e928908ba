/* table.c: life of a table and the machine's operations on it. Layout and invariants: table_layout.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "state/table_layout.h"

#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define WHEEL_MAX       4096u

/* Zeroed memory, a whole number of huge pages where it is large. NULL: out of memory. */
static void *pages_new(size_t bytes)
{
	void *p;

	if (bytes < HUGE_PAGE_BYTES) {
		p = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
		return p ? memset(p, 0, bytes) : NULL;
	}
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, bytes, MADV_HUGEPAGE); /* advice: without it the table is slower, not wrong */
	return p;
}

static void pages_free(void *p, size_t bytes)
{
	if (!p)
		return;
	if (bytes < HUGE_PAGE_BYTES)
		free(p);
	else
		(void)munmap(p, bytes);
}

static uint64_t slots_of(const struct table *t)
{
	return t->n_buckets * TABLE_BUCKET_SLOTS;
}

static size_t buckets_bytes(const struct table *t)
{
	return t->n_buckets * sizeof(struct table_bucket);
}

static size_t links_bytes(const struct table *t)
{
	return slots_of(t) * sizeof(struct table_link);
}

/* A wheel as long as the time-out examines each entry once in its idle time. */
static uint32_t wheel_length(uint32_t idle_s)
{
	uint32_t n = 2;

	while (n < WHEEL_MAX && n < (uint64_t)idle_s + 2)
		n *= 2;
	return idle_s ? n : 0;
}

static int allocate(struct table *t)
{
	t->buckets = pages_new(buckets_bytes(t));
	t->links = pages_new(links_bytes(t));
	if (!t->buckets || !t->links)
		return -ENOMEM;
	if (t->n_wheel) {
		t->wheel = malloc((t->n_wheel + 1) * sizeof *t->wheel);
		if (!t->wheel)
			return -ENOMEM;
	}
	if (t->tracked) {
		t->room_removed = t->config.capacity + t->config.preload;
		t->dirty = malloc(slots_of(t) * sizeof *t->dirty);
		t->removed = malloc((size_t)t->room_removed * sizeof *t->removed);
		if (!t->dirty || !t->removed)
			return -ENOMEM;
	}
	return 0;
}

struct table *table_new(const struct table_config *config)
{
	uint64_t entries = (uint64_t)config->capacity + config->preload;
	struct table *t;

	if (!config->capacity || config->capacity > TABLE_MAX_CAPACITY || config->preload > TABLE_MAX_CAPACITY) {
		errno = EINVAL;
		return NULL;
	}
	t = aligned_alloc(64, (sizeof *t + 63) & ~(size_t)63);
	if (!t)
		return NULL;
	memset(t, 0, sizeof *t);
	t->config = *config;
	t->n_buckets = entries; /* one lookup in forty looks at a second bucket: with half as many it were one in eight */
	t->layout_seed = config->layout_seed;
	t->idle_s = config->idle_s ? config->idle_s : UINT32_MAX;
	t->n_wheel = wheel_length(config->idle_s);
	t->tracked = config->tracked;
	if (allocate(t)) {
		table_free(t);
		errno = ENOMEM;
		return NULL;
	}
	table_queue_reset(t);
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	pages_free(t->buckets, buckets_bytes(t));
	pages_free(t->links, links_bytes(t));
	free(t->wheel);
	free(t->dirty);
	free(t->removed);
	free(t);
}

void table_clear(struct table *t)
{
	memset(t->buckets, 0, buckets_bytes(t));
	memset(t->links, 0, links_bytes(t));
	table_queue_reset(t);
	t->n_dirty = 0;
	t->n_removed = 0;
	t->n_preloaded = 0;
	t->sum = 0;
	memset(&t->counters, 0, sizeof t->counters);
}

/* Slots exceed entries, so a bucket with a free one is found before the walk comes round. */
struct table_slot table_claim(struct table *t, uint64_t key, uint64_t value)
{
	uint64_t at = table_home(t, key);
	struct table_bucket *b = &t->buckets[at];
	unsigned i;

	while ((b->meta & TABLE_SLOT_MASK) == TABLE_SLOT_MASK) {
		if (b->meta / TABLE_PASS_ONE < TABLE_PASS_MAX)
			b->meta += TABLE_PASS_ONE;
		at = at + 1 == t->n_buckets ? 0 : at + 1;
		b = &t->buckets[at];
	}
	i = (unsigned)__builtin_ctz(~b->meta);
	b->key[i] = key;
	b->value[i] = value;
	b->meta |= TABLE_OCCUPIED << i;
	return table_slot_of(b, i);
}

/* Counts down the passes that table_claim() counted for the entry in s. */
static void unpass(struct table *t, struct table_slot s)
{
	uint64_t at = table_home(t, s.bucket->key[s.i]);

	while (&t->buckets[at] != s.bucket) {
		struct table_bucket *b = &t->buckets[at];

		assert(b->meta >= TABLE_PASS_ONE);
		if (b->meta / TABLE_PASS_ONE < TABLE_PASS_MAX)
			b->meta -= TABLE_PASS_ONE;
		at = at + 1 == t->n_buckets ? 0 : at + 1;
	}
}

void table_release(struct table *t, struct table_slot s)
{
	unsigned flags = TABLE_OCCUPIED | TABLE_MARK | TABLE_PRELOAD | TABLE_STALE | TABLE_FRESH;

	if (t->tracked && !table_slot_is(s, TABLE_STALE))
		t->sum -= table_content_hash(s);
	if (table_slot_is(s, TABLE_PRELOAD)) {
		t->n_preloaded--;
		t->sum -= table_place_hash(s.bucket->key[s.i], TABLE_PRELOADED, 0);
	} else {
		table_queue_unlink(t, s);
	}
	unpass(t, s);
	s.bucket->meta &= ~(flags * s.bit); /* DIRTY stays: the slot is still in the list */
}

/* A FRESH entry needs no report: either the last state reported had no such key, or its removal is reported already. */
void table_remove(struct table *t, struct table_slot s)
{
	if (t->tracked && !table_slot_is(s, TABLE_FRESH)) {
		assert(t->n_removed < t->room_removed);
		t->removed[t->n_removed++] = s.bucket->key[s.i];
	}
	table_release(t, s);
}

static bool slot_live(const struct table *t, struct table_slot s, uint32_t now_s)
{
	return s.bucket && s.bucket->stamp_s[s.i] >= table_oldest_live_s(t, now_s);
}

bool table_find(const struct table *t, uint64_t key, uint32_t now_s, uint64_t *value)
{
	struct table_slot s = table_probe(t, key);

	if (!slot_live(t, s, now_s))
		return false;
	*value = s.bucket->value[s.i];
	return true;
}

uint64_t table_load(const struct table *t, uint64_t key, uint32_t now_s)
{
	return table_load_inline(t, key, now_s);
}

void table_prefetch(const struct table *t, uint64_t key)
{
	table_prefetch_inline(t, key);
}

/* key has no live entry. Kept out of line: a hit then saves no registers for it. */
static __attribute__((noinline)) void insert(struct table *t, uint64_t key, uint64_t value, uint32_t now_s)
{
	struct table_slot s;

	__builtin_prefetch(&t->links[table_home(t, key) * TABLE_BUCKET_SLOTS], 1);
	if (!t->ordered)
		table_queue_sort(t);
	table_expire(t, now_s, false);
	if (table_held(t) == t->config.capacity)
		table_evict(t);
	s = table_claim(t, key, value);
	s.bucket->stamp_s[s.i] = now_s;
	if (t->tracked) {
		if (!table_slot_is(s, TABLE_DIRTY))
			t->dirty[t->n_dirty++] = table_slot_code(t, s);
		s.bucket->meta |= (TABLE_STALE | TABLE_DIRTY | TABLE_FRESH) * s.bit;
	}
	table_queue_append(t, s, TABLE_NEW);
	table_wheel_list(t, s);
	t->counters.insertions++;
}

/* Out of line, as the next one: a hit in the home bucket then saves no registers for it. */
__attribute__((noinline)) void table_store_anywhere(struct table *t, uint64_t key, uint64_t value, uint32_t now_s)
{
	struct table_slot s = table_probe(t, key);

	if (slot_live(t, s, now_s))
		table_overwrite(t, s, value, now_s);
	else
		insert(t, key, value, now_s);
}

void table_store(struct table *t, uint64_t key, uint64_t value, uint32_t now_s)
{
	table_store_home(t, table_home_bucket(t, key), key, value, now_s);
}

__attribute__((noinline)) uint64_t table_add_anywhere(struct table *t, uint64_t key, uint64_t delta, uint32_t now_s)
{
	struct table_slot s = table_probe(t, key);

	if (!slot_live(t, s, now_s)) {
		insert(t, key, delta, now_s);
		return delta;
	}
	delta += s.bucket->value[s.i];
	table_overwrite(t, s, delta, now_s);
	return delta;
}

uint64_t table_add(struct table *t, uint64_t key, uint64_t delta, uint32_t now_s)
{
	return table_add_home(t, table_home_bucket(t, key), key, delta, now_s);
}

void table_delete(struct table *t, uint64_t key, uint32_t now_s)
{
	struct table_slot s = table_probe(t, key);

	if (!slot_live(t, s, now_s))
		return;
	table_remove(t, s);
	t->counters.deleted++;
}

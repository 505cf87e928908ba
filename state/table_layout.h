/* table_layout.h: where a table's entries lie in memory, and the inlined probe. For state/ itself and for the two engines of the
 * machine that look keys up without a call; everybody else uses table.h.
 *
 * Buckets are cache lines of three entries, as many as there is room for entries. A key's home bucket is a multiply-shift of mix64(key ^ layout_seed); an entry lies in
 * the first bucket from its home on (cyclically) that had a free slot when it was inserted, and never moves. Each bucket counts the
 * entries that passed over it because it was full, so a probe walks on only while that count is above 0, and a removal, which
 * counts its own path down again, leaves no tombstone. A count that reaches TABLE_PASS_MAX stays there for good: probes may then
 * walk farther than needed, never too short.
 *
 * `meta`: six flags a slot, flag f of slot i is bit f + i, and the pass count above them:
 *   OCCUPIED   an entry is here
 *   MARK       the entry's mark
 *   PRELOADED  the entry stands in no queue; its stamp is TABLE_STAMP_NEVER and its mark 0
 *   STALE      the digest's sum lacks this entry's content hash (it has changed since table_digest)
 *   DIRTY      the slot's number is in the list of changed slots, whatever lies in the slot now
 *   FRESH      the entry was inserted after table_changes_clear(): the last state reported did not have it
 * The last three are used in tracked tables only.
 */
#ifndef STATE_TABLE_LAYOUT_H
#define STATE_TABLE_LAYOUT_H

#include "state/mix.h"
#include "state/table.h"

#define TABLE_OCCUPIED    (1u << 0)
#define TABLE_MARK        (1u << 3)
#define TABLE_PRELOAD     (1u << 6)
#define TABLE_STALE       (1u << 9)
#define TABLE_DIRTY       (1u << 12)
#define TABLE_FRESH       (1u << 15)
#define TABLE_PASS_ONE    (1u << 18)
#define TABLE_PASS_MAX    ((1u << 14) - 1)
#define TABLE_SLOT_MASK   7u
#define TABLE_STAMP_NEVER UINT32_MAX /* stamp of a preloaded entry, in memory and in the digest: never older than anything */
#define TABLE_NO_SLOT     UINT32_MAX

struct table_bucket {
	uint64_t key[TABLE_BUCKET_SLOTS];
	uint64_t value[TABLE_BUCKET_SLOTS];
	uint32_t stamp_s[TABLE_BUCKET_SLOTS];
	uint32_t meta;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct table_bucket) == 64, "a bucket is one cache line");

/* What a hit never touches. A slot is listed at most once in the expiry wheel, at a second not later than the one in which its entry
 * expires; a freed slot stays listed until its second is examined, and its next entry makes use of that. */
struct table_link {
	uint32_t prev, next; /* in its queue; TABLE_NO_SLOT at the ends */
	uint32_t wheel_next;
	uint32_t due_s; /* the second it is listed at; 0: not listed */
	uint64_t kept : 1;
	uint64_t position : 63;
};

struct table_list {
	uint32_t head, tail;
	uint32_t count; /* right even while the lists are not ordered */
};

struct table {
	/* Read by every operation. */
	struct table_bucket *buckets;
	uint64_t n_buckets;
	uint64_t layout_seed;
	uint32_t idle_s; /* config.idle_s, UINT32_MAX for never */
	bool tracked;
	bool ordered; /* queues and wheel are right; false after table_put() out of order, until the next insertion */
	/* Change tracking. dirty[] has room for the code of every slot. removed[] has room for every entry that is not FRESH. */
	uint32_t n_dirty;
	uint32_t n_removed;
	uint32_t *dirty;
	uint64_t *removed;
	uint64_t sum; /* position hashes of all entries and content hashes of those not STALE */
	/* Insertion, eviction, expiry. */
	struct table_link *links;    /* by slot number: bucket * TABLE_BUCKET_SLOTS + slot in it */
	struct table_list queues[2]; /* by enum table_queue */
	uint64_t next_position;
	uint32_t *wheel;      /* n_wheel list heads by second, then one for slots overdue; NULL without an idle time-out */
	uint32_t n_wheel;     /* a power of two */
	uint32_t examined_s;  /* the wheel is examined up to this second */
	uint32_t n_preloaded; /* entries */
	uint32_t room_removed;
	struct table_config config;
	struct table_counters counters;
};

/* How many keys ahead of its use a bucket is best prefetched: long enough for memory to answer, and fewer lines under way than a
 * core has buffers for (24 or so), as one more stalls it. */
#define TABLE_PREFETCH_AHEAD 20

/* A slot by bucket and place in it. bucket NULL: no such key. */
struct table_slot {
	struct table_bucket *bucket;
	unsigned i;
	unsigned bit; /* 1 << i: flag f of this slot is f * bit, a shift by a constant where f << i is one by a variable */
};

static inline uint64_t table_home(const struct table *t, uint64_t key)
{
	return (uint64_t)(((unsigned __int128)mix64(key ^ t->layout_seed) * t->n_buckets) >> 64);
}

/* Entries stamped before this second are expired at now_s. */
static inline uint32_t table_oldest_live_s(const struct table *t, uint32_t now_s)
{
	return now_s > t->idle_s ? now_s - t->idle_s : 0;
}

/* Bit i set: slot i of b holds key. */
static inline unsigned table_bucket_match(const struct table_bucket *b, uint64_t key)
{
	unsigned m = (unsigned)(b->key[0] == key) | (unsigned)(b->key[1] == key) << 1 | (unsigned)(b->key[2] == key) << 2;

	return m & b->meta;
}

/* The slot that holds key, expired or not. Ends: at most n_buckets buckets are looked at. */
static inline struct table_slot table_probe(const struct table *t, uint64_t key)
{
	uint64_t home = table_home(t, key), at = home;

	do {
		struct table_bucket *b = &t->buckets[at];
		unsigned m = table_bucket_match(b, key);

		if (__builtin_expect(m != 0, 1))
			return (struct table_slot){b, (unsigned)__builtin_ctz(m), m};
		if (b->meta < TABLE_PASS_ONE)
			break;
		at = at + 1 == t->n_buckets ? 0 : at + 1;
	} while (at != home);
	return (struct table_slot){NULL, 0, 0};
}

/* table_load without a call. */
static inline uint64_t table_load_inline(const struct table *t, uint64_t key, uint32_t now_s)
{
	struct table_slot s = table_probe(t, key);

	if (!s.bucket || s.bucket->stamp_s[s.i] < table_oldest_live_s(t, now_s))
		return 0;
	return s.bucket->value[s.i];
}

/* table_prefetch without a call. */
/* always_inline: gcc 12 takes a function that only prefetches for one without effect and drops calls of it. */
static inline __attribute__((always_inline)) void table_prefetch_inline(const struct table *t, uint64_t key)
{
	__builtin_prefetch(&t->buckets[table_home(t, key)], 1);
}

/* The same, and gives the bucket. */
static inline __attribute__((always_inline)) struct table_bucket *table_prefetch_home(const struct table *t, uint64_t key)
{
	struct table_bucket *b = &t->buckets[table_home(t, key)];

	__builtin_prefetch(b, 1);
	return b;
}

/* The rest is state/table*.c's own. */

static inline struct table_slot table_slot_of(struct table_bucket *b, unsigned i)
{
	return (struct table_slot){b, i, 1u << i};
}

static inline uint32_t table_slot_number(const struct table *t, struct table_slot s)
{
	return (uint32_t)((uint64_t)(s.bucket - t->buckets) * TABLE_BUCKET_SLOTS + s.i);
}

static inline struct table_slot table_slot_at(const struct table *t, uint32_t number)
{
	return table_slot_of(&t->buckets[number / TABLE_BUCKET_SLOTS], number % TABLE_BUCKET_SLOTS);
}

/* The form in which dirty[] names slots: cheaper to take apart than a slot number. */
static inline uint32_t table_slot_code(const struct table *t, struct table_slot s)
{
	return (uint32_t)(s.bucket - t->buckets) << 2 | s.i;
}

static inline struct table_slot table_slot_decode(const struct table *t, uint32_t code)
{
	return table_slot_of(&t->buckets[code >> 2], code & 3);
}

static inline bool table_slot_is(struct table_slot s, unsigned flag)
{
	return s.bucket->meta & flag * s.bit;
}

static inline bool table_slot_queued(struct table_slot s)
{
	return table_slot_is(s, TABLE_OCCUPIED) && !table_slot_is(s, TABLE_PRELOAD);
}

/* Content hash of a slot's entry: key, value, stamp, mark. One 64 x 64 multiplication folded, as it is done twice for every entry a
 * burst changes; the digest finds faults, it does not resist forgers. */
static inline uint64_t table_content_hash(struct table_slot s)
{
	const struct table_bucket *b = s.bucket;
	uint64_t stamp_mark = (uint64_t)b->stamp_s[s.i] << 1 | table_slot_is(s, TABLE_MARK);
	uint64_t content = b->value[s.i] + stamp_mark * 0xd1342543de82ef95ULL;
	unsigned __int128 product = (unsigned __int128)(b->key[s.i] ^ 0x9e3779b97f4a7c15ULL) * (content ^ 0xbf58476d1ce4e5b9ULL);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Hash of an entry's place: key, queue, position. */
static inline uint64_t table_place_hash(uint64_t key, enum table_queue queue, uint64_t position)
{
	return mix64(mix64(key ^ 0xbf58476d1ce4e5b9ULL) + (position << 2 | (uint64_t)queue));
}

/* table.c: table_add and table_store of a key that need not lie in its home bucket. */
uint64_t table_add_anywhere(struct table *t, uint64_t key, uint64_t delta, uint32_t now_s);
void table_store_anywhere(struct table *t, uint64_t key, uint64_t value, uint32_t now_s);

/* To be called before an entry's value, stamp or mark changes. */
static inline void table_touch(struct table *t, struct table_slot s)
{
	unsigned flags = (TABLE_STALE | TABLE_DIRTY) * s.bit;

	if (!t->tracked || table_slot_is(s, TABLE_STALE))
		return;
	t->sum -= table_content_hash(s);
	if (!table_slot_is(s, TABLE_DIRTY))
		t->dirty[t->n_dirty++] = table_slot_code(t, s);
	s.bucket->meta |= flags;
}

/* A store to a live entry whose change is noted. A preloaded one keeps its stamp and has no mark. */
static inline void table_write(struct table_slot s, uint64_t value, uint32_t now_s)
{
	s.bucket->value[s.i] = value;
	if (!table_slot_is(s, TABLE_PRELOAD)) {
		s.bucket->stamp_s[s.i] = now_s;
		s.bucket->meta |= TABLE_MARK * s.bit;
	}
}

/* A store to a live entry. */
static inline void table_overwrite(struct table *t, struct table_slot s, uint64_t value, uint32_t now_s)
{
	struct table_bucket *b = s.bucket;

	if (b->value[s.i] == value &&
	    (table_slot_is(s, TABLE_PRELOAD) || (b->stamp_s[s.i] == now_s && table_slot_is(s, TABLE_MARK))))
		return;
	table_touch(t, s);
	table_write(s, value, now_s);
}

/* The slot of key's live entry in its home bucket, if a store to it is nothing but table_write(). bucket NULL: it is not. */
static inline __attribute__((always_inline)) struct table_slot table_writable(const struct table *t, struct table_bucket *home,
									      uint64_t key, uint32_t now_s)
{
	unsigned m = table_bucket_match(home, key);
	struct table_slot s = {home, (unsigned)__builtin_ctz(m | 8), m};

	if (!m || home->stamp_s[s.i] < table_oldest_live_s(t, now_s) || (t->tracked && !table_slot_is(s, TABLE_STALE)))
		s.bucket = NULL;
	return s;
}

/* table_add and table_store with the key's home bucket known, for instance from table_prefetch_home(): a hit there needs neither hash
 * nor call. */
static inline __attribute__((always_inline)) uint64_t table_add_home(struct table *t, struct table_bucket *home, uint64_t key,
								     uint64_t delta, uint32_t now_s)
{
	struct table_slot s = table_writable(t, home, key, now_s);

	if (__builtin_expect(!s.bucket, 0))
		return table_add_anywhere(t, key, delta, now_s);
	delta += home->value[s.i];
	table_write(s, delta, now_s);
	return delta;
}

static inline __attribute__((always_inline)) void table_store_home(struct table *t, struct table_bucket *home, uint64_t key,
								   uint64_t value, uint32_t now_s)
{
	struct table_slot s = table_writable(t, home, key, now_s);

	if (__builtin_expect(!s.bucket, 0))
		table_store_anywhere(t, key, value, now_s);
	else
		table_write(s, value, now_s);
}

static inline struct table_bucket *table_home_bucket(const struct table *t, uint64_t key)
{
	return &t->buckets[table_home(t, key)];
}

/* table.c: takes a free slot for key, which is not in the table, and leaves all but its key and value to the caller. */
struct table_slot table_claim(struct table *t, uint64_t key, uint64_t value);
/* table.c: frees a slot; not reported as a change. */
void table_release(struct table *t, struct table_slot s);
/* table.c: frees a slot and reports its key as removed. */
void table_remove(struct table *t, struct table_slot s);

/* table_queue.c: empties queues and wheel; positions start again. */
void table_queue_reset(struct table *t);
/* To the tail of a queue, with the next position. */
void table_queue_append(struct table *t, struct table_slot s, enum table_queue queue);
/* Takes a slot out of its queue; the slot keeps its entry. */
void table_queue_unlink(struct table *t, struct table_slot s);
/* Links a slot by its position; gives up (ordered = false) if its place is far from the tail. */
void table_queue_insert(struct table *t, struct table_slot s);
/* Puts queues and wheel in order from scratch. No allocation; a merge sort. */
void table_queue_sort(struct table *t);
/* Removes one entry of a full table. */
void table_evict(struct table *t);
/* Lists a slot in the wheel by its stamp; no effect without an idle time-out. */
void table_wheel_list(struct table *t, struct table_slot s);
/* Examines the wheel up to now_s: removes every expired entry, or if `keep` only makes the next such call cheap. */
void table_expire(struct table *t, uint32_t now_s, bool keep);

#endif

/* table.h: one flow table of one shard: 64-bit keys to 64-bit values, exact capacity, two-queue eviction, idle time-out,
 * change tracking and a digest.
 *
 * Semantics (design page "The machine", section Tables):
 *   - Every key is legal, 0 too. An absent key loads as 0 but is not a stored 0. Reads change nothing.
 *   - Idle time-out, whole seconds of packet time: an entry is stamped with the second of its last store and is absent once
 *     now_s - stamp exceeds idle_s (idle_s 0: never). Expiry holds before each operation: an expired entry never counts toward
 *     capacity and is never found. An insertion first removes every expired entry of the table.
 *   - Capacity is exact. Entries stand in two queues, NEW and KEPT. An insertion goes to the tail of NEW. A store to an existing
 *     entry sets its mark. An insertion into a full table looks at the head of NEW while NEW holds more than an eighth of the
 *     capacity or KEPT is empty, else at the head of KEPT: unmarked -> removed; marked -> mark cleared, moved to the tail of KEPT;
 *     the eighth head looked at is removed in any case.
 *   - Preloaded entries stand in no queue: never evicted, never expired, not counted toward capacity. The program may overwrite
 *     or delete them if it has such sites.
 *   - A store that changes neither value, second nor mark is no change.
 *
 * Layout: buckets of one 64-byte cache line, three entries each, so that a hit touches one line. Queue links, positions and the
 * expiry wheel live in a second array that only insertions, evictions and expiry touch. The layout (bucket count, seed, slot
 * numbers) is not part of the state: two tables with equal entries have equal digests however they came to be.
 *
 * Ownership: a table owns its memory; every function takes it by pointer; nothing here locks (a shard has one owner thread).
 */
#ifndef STATE_TABLE_H
#define STATE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_BUCKET_SLOTS 3
#define TABLE_MAX_CAPACITY (1u << 28)

enum table_queue { TABLE_NEW = 0, TABLE_KEPT = 1, TABLE_PRELOADED = 2 };

struct table_config {
	uint32_t capacity;    /* entries, 1 .. TABLE_MAX_CAPACITY; preloaded ones come on top */
	uint32_t preload;     /* room for this many preloaded entries */
	uint32_t idle_s;      /* idle time-out in seconds of packet time; 0: never */
	bool tracked;         /* keep the list of changes since the last table_changes_clear() */
	uint64_t layout_seed; /* where keys lie in memory; not part of the state */
};

/* One entry in full: what a delta, a snapshot and the digest contain. */
struct table_entry {
	uint64_t key;
	uint64_t value;
	uint64_t position; /* place in its queue: larger is nearer the tail; unique in a table; 0 for preloaded */
	uint32_t stamp_s;  /* second of the last store */
	uint8_t queue;     /* enum table_queue */
	uint8_t mark;      /* 1: stored to again since it was inserted or last looked at */
};

/* Counts since table_new; evictions and expiries count entries removed. */
struct table_counters {
	uint64_t insertions;
	uint64_t evictions;
	uint64_t expired;
	uint64_t deleted;
};

struct table;

/* Heap table, empty. Returns NULL with errno ENOMEM, or EINVAL for a capacity out of range. */
struct table *table_new(const struct table_config *config);
void table_free(struct table *t);
/* Removes every entry, preloaded ones too, and all changes; counters and positions start again at 0. */
void table_clear(struct table *t);

/* The four operations of the machine. now_s never goes back between calls. */
bool table_find(const struct table *t, uint64_t key, uint32_t now_s, uint64_t *value);
uint64_t table_load(const struct table *t, uint64_t key, uint32_t now_s);
void table_store(struct table *t, uint64_t key, uint64_t value, uint32_t now_s);
uint64_t table_add(struct table *t, uint64_t key, uint64_t delta, uint32_t now_s);
void table_delete(struct table *t, uint64_t key, uint32_t now_s);
/* Brings the key's bucket into the cache; no other effect. */
void table_prefetch(const struct table *t, uint64_t key);

/* Adds or overwrites a preloaded entry. -ENOSPC when config.preload entries are there. */
int table_preload(struct table *t, uint64_t key, uint64_t value);

const struct table_config *table_config(const struct table *t);
struct table_counters table_counters(const struct table *t);
/* Live entries at now_s, preloaded ones included (walks the table when idle_s is set). */
uint64_t table_live(const struct table *t, uint32_t now_s);
/* Entries held, expired ones not yet removed included, preloaded ones not. */
uint32_t table_held(const struct table *t);

/* Walks every entry held, in no particular order: set *cursor = 0, call until it returns false. */
bool table_next(const struct table *t, uint64_t *cursor, struct table_entry *e);
bool table_entry_live(const struct table *t, const struct table_entry *e, uint32_t now_s);
/* The last second at which the entry lives if nothing is stored to it; UINT32_MAX: it does not expire. */
uint32_t table_entry_until_s(const struct table *t, const struct table_entry *e);

/* Change tracking (config.tracked). Between two clears a key is reported at most once as removed and at most once as present;
 * one that was removed and inserted again is reported as both: removals are to be applied first. */
uint32_t table_removed(const struct table *t, const uint64_t **keys);
uint32_t table_changed_count(const struct table *t); /* upper bound on what table_changed() fills */
uint32_t table_changed(const struct table *t, struct table_entry *out, uint32_t room);
void table_changes_clear(struct table *t);

/* Set hash over every entry held, all fields: equal for equal states, whatever the layout. Brought up to date here, at the cost of
 * one hash per entry changed since the last call. */
uint64_t table_digest(struct table *t);
/* The same from a walk over all entries: for checks. */
uint64_t table_digest_full(const struct table *t);

/* For replicas and snapshots: put an entry in verbatim (queue, position and mark as given) or take a key out. No eviction, no
 * expiry, not tracked as a change. Entries may come in any order; queues are put in order by position at the next insertion.
 * -ENOSPC above capacity (or above config.preload for preloaded ones), -EINVAL for a bad queue, mark or position, -ENOMEM only
 * if the table also has changes to report. */
int table_put(struct table *t, const struct table_entry *e);
void table_take(struct table *t, uint64_t key);
/* The entry of key, expired or not. */
bool table_entry_of(const struct table *t, uint64_t key, struct table_entry *e);
/* The position that the next entry to join a queue gets: part of the state, because a replica that takes over must go on with it.
 * Setting it below what an entry has is ignored. */
uint64_t table_next_position(const struct table *t);
void table_set_next_position(struct table *t, uint64_t position);
/* Does now what the next insertion would do first after table_put() or a long time without insertions: puts queues in order and
 * examines the expiry wheel. Removes nothing and changes no entry. A replica calls it after a snapshot and about once a second, so
 * that its first insertion after a promotion is cheap. */
void table_settle(struct table *t, uint32_t now_s);

#endif

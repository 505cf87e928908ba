/* shard.h: one shard of a program's state: its tables, its clock, the hash seed of its plan.
 *
 * A shard is a deterministic state machine: the same packets in the same order give the same verdicts and the same entries, on any
 * machine, interpreted or compiled. It never reads the wall clock. `index` below is dense: the program's i-th table in ascending
 * order of table number (struct program, vm/program.h).
 */
#ifndef STATE_SHARD_H
#define STATE_SHARD_H

#include "state/table.h"

#define SHARD_MAX_TABLES 256

struct flat_table;

struct shard {
	uint64_t clock_us; /* latest packet time applied, microseconds since 1970 */
	uint32_t now_s;    /* clock_us / 10^6 */
	uint32_t n_tables;
	uint64_t seed;                             /* HASH5's first state; the plan's seed */
	uint64_t ignored;                          /* updates of tables that were never initialised */
	struct table *tables[SHARD_MAX_TABLES];    /* NULL: not initialised; owned unless shared[i] */
	bool shared[SHARD_MAX_TABLES];             /* read-only configuration, owned by the plan, the same in every shard */
	struct flat_table *flat[SHARD_MAX_TABLES]; /* the naive twin instead of tables[] (flat machine) */
	bool is_flat;
};

/* Heap shard without tables: put them into tables[] (it then owns them unless shared[i]). NULL with errno ENOMEM or EINVAL. */
struct shard *shard_new(uint32_t n_tables, uint64_t seed);
void shard_free(struct shard *s);

/* Advances the clock to us if that is later; it never goes back. */
static inline void shard_set_time(struct shard *s, uint64_t us)
{
	if (us > s->clock_us) {
		s->clock_us = us;
		s->now_s = (uint32_t)(us / 1000000);
	}
}

/* The machine's table instructions. A table that is not initialised loads as 0; updates of it are ignored and counted;
 * shard_add then returns delta (0 + delta). */
uint64_t shard_load(const struct shard *s, uint32_t index, uint64_t key);
void shard_store(struct shard *s, uint32_t index, uint64_t key, uint64_t value);
uint64_t shard_add(struct shard *s, uint32_t index, uint64_t key, uint64_t delta);
void shard_delete(struct shard *s, uint32_t index, uint64_t key);

/* Adds or overwrites a preloaded entry. -EINVAL: the table is not initialised; -ENOSPC: config.preload such entries are there;
 * -ENOMEM (flat machine). */
int shard_preload(struct shard *s, uint32_t index, uint64_t key, uint64_t value);

/* Sum of all tables' digests, each mixed with its index, and the clock. Shared tables are left out: the plan's digest has them.
 * The flat machine's digest covers live keys and values only, and is comparable with another flat machine's alone. */
uint64_t shard_digest(struct shard *s);

/* The flat machine: makes every table of s, initialised or not, a naive one (balanced tree of tsearch(3), no capacity limit,
 * idle_s[n_tables] as given) with the entries it holds now. -ENOMEM: s is as it was. */
int shard_make_flat(struct shard *s, const uint32_t *idle_s);

/* Calls visit for every live entry of table `index` at the shard's clock, in ascending order of key. -ENOMEM: nothing visited. */
int shard_visit(const struct shard *s, uint32_t index, void (*visit)(void *arg, uint64_t key, uint64_t value), void *arg);

#endif

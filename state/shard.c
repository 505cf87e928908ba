/* shard.c: the machine's table instructions on one shard, on its tables or on their naive twins. */
#include <errno.h>
#include <stdlib.h>

#include "state/flat.h"
#include "state/mix.h"
#include "state/shard.h"

struct shard *shard_new(uint32_t n_tables, uint64_t seed)
{
	struct shard *s;

	if (n_tables > SHARD_MAX_TABLES) {
		errno = EINVAL;
		return NULL;
	}
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->n_tables = n_tables;
	s->seed = seed;
	return s;
}

static void drop_table(struct shard *s, uint32_t index)
{
	if (!s->shared[index])
		table_free(s->tables[index]);
	s->tables[index] = NULL;
	s->shared[index] = false;
}

void shard_free(struct shard *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < SHARD_MAX_TABLES; i++) {
		drop_table(s, i);
		flat_free(s->flat[i]);
	}
	free(s);
}

static bool initialised(const struct shard *s, uint32_t index)
{
	return index < s->n_tables && (s->is_flat ? s->flat[index] != NULL : s->tables[index] != NULL);
}

uint64_t shard_load(const struct shard *s, uint32_t index, uint64_t key)
{
	uint64_t value = 0;

	if (!initialised(s, index))
		return 0;
	if (!s->is_flat)
		return table_load(s->tables[index], key, s->now_s);
	(void)flat_find(s->flat[index], key, s->now_s, &value);
	return value;
}

void shard_store(struct shard *s, uint32_t index, uint64_t key, uint64_t value)
{
	if (!initialised(s, index))
		s->ignored++;
	else if (!s->is_flat)
		table_store(s->tables[index], key, value, s->now_s);
	else if (!flat_store(s->flat[index], key, value, s->now_s))
		s->ignored++;
}

uint64_t shard_add(struct shard *s, uint32_t index, uint64_t key, uint64_t delta)
{
	if (!initialised(s, index)) {
		s->ignored++;
		return delta;
	}
	if (!s->is_flat)
		return table_add(s->tables[index], key, delta, s->now_s);
	delta += shard_load(s, index, key);
	shard_store(s, index, key, delta);
	return delta;
}

void shard_delete(struct shard *s, uint32_t index, uint64_t key)
{
	if (!initialised(s, index))
		s->ignored++;
	else if (s->is_flat)
		flat_delete(s->flat[index], key, s->now_s);
	else
		table_delete(s->tables[index], key, s->now_s);
}

int shard_preload(struct shard *s, uint32_t index, uint64_t key, uint64_t value)
{
	if (!initialised(s, index))
		return -EINVAL;
	if (s->is_flat)
		return flat_preload(s->flat[index], key, value) ? 0 : -ENOMEM;
	return table_preload(s->tables[index], key, value);
}

static void add_entry_hash(void *sum, uint64_t key, uint64_t value)
{
	*(uint64_t *)sum += mix64(mix64(key) + value);
}

/* A table's part of the shard's digest. Shared tables have none: they are in the plan's digest, and other threads read them. */
static uint64_t digest_of(struct shard *s, uint32_t index)
{
	uint64_t sum = 0;

	if (s->is_flat)
		flat_visit(s->flat[index], s->now_s, add_entry_hash, &sum);
	else if (s->tables[index] && !s->shared[index])
		sum = table_digest(s->tables[index]);
	return sum ? mix64(sum + mix64(index + 1)) : 0;
}

uint64_t shard_digest(struct shard *s)
{
	uint64_t sum = mix64(s->clock_us);

	for (uint32_t i = 0; i < s->n_tables; i++)
		sum += digest_of(s, i);
	return sum;
}

/* The naive twin of a table, with the entries it holds. NULL: out of memory. */
static struct flat_table *flat_of(const struct table *t, uint32_t idle_s)
{
	struct flat_table *f = flat_new(idle_s);
	struct table_entry e;
	uint64_t cursor = 0;
	bool ok = f != NULL;

	while (ok && t && table_next(t, &cursor, &e))
		ok = e.queue == TABLE_PRELOADED ? flat_preload(f, e.key, e.value) : flat_store(f, e.key, e.value, e.stamp_s);
	if (ok)
		return f;
	flat_free(f);
	return NULL;
}

int shard_make_flat(struct shard *s, const uint32_t *idle_s)
{
	if (s->is_flat)
		return 0;
	for (uint32_t i = 0; i < s->n_tables; i++) {
		flat_free(s->flat[i]);
		s->flat[i] = flat_of(s->tables[i], idle_s[i]);
		if (!s->flat[i])
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < s->n_tables; i++)
		drop_table(s, i);
	s->is_flat = true;
	return 0;
}

struct pair {
	uint64_t key, value;
};

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

static int visit_table(const struct table *t, uint32_t now_s, void (*visit)(void *arg, uint64_t key, uint64_t value), void *arg)
{
	uint64_t n = 0, cursor = 0, live = table_live(t, now_s);
	struct table_entry e;
	struct pair *pairs = malloc(live ? live * sizeof *pairs : 1);

	if (!pairs)
		return -ENOMEM;
	while (table_next(t, &cursor, &e)) {
		if (table_entry_live(t, &e, now_s))
			pairs[n++] = (struct pair){e.key, e.value};
	}
	qsort(pairs, n, sizeof *pairs, compare_pairs);
	for (uint64_t i = 0; i < n; i++)
		visit(arg, pairs[i].key, pairs[i].value);
	free(pairs);
	return 0;
}

int shard_visit(const struct shard *s, uint32_t index, void (*visit)(void *arg, uint64_t key, uint64_t value), void *arg)
{
	if (!initialised(s, index))
		return 0;
	if (!s->is_flat)
		return visit_table(s->tables[index], s->now_s, visit, arg);
	flat_visit(s->flat[index], s->now_s, visit, arg);
	return 0;
}

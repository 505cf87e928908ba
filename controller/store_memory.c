#include "controller/store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct record {
	char key[STORE_MAX_KEY + 1];
	uint64_t revision;
	uint32_t bytes;
	uint8_t value[STORE_MAX_VALUE];
};

struct memory {
	struct record *records; /* ascending by key */
	uint32_t n, room;
	uint64_t revision;
	uint64_t lease_holder, lease_until_ms;
};

/* Index of key, or of where it would be. */
static uint32_t place_of(const struct memory *m, const char *key)
{
	uint32_t lo = 0, hi = m->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (strcmp(m->records[mid].key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct record *find(const struct memory *m, const char *key)
{
	uint32_t i = place_of(m, key);
	return i < m->n && strcmp(m->records[i].key, key) == 0 ? &m->records[i] : NULL;
}

static int memory_get(void *ctx, const char *key, uint8_t *value, uint32_t *bytes, uint64_t *revision)
{
	const struct record *r = find(ctx, key);
	if (!r)
		return -ENOENT;
	memcpy(value, r->value, r->bytes);
	*bytes = r->bytes;
	*revision = r->revision;
	return 0;
}

static int memory_list(void *ctx, const char *prefix,
		       void (*visit)(void *arg, const char *key, const uint8_t *value, uint32_t bytes, uint64_t revision),
		       void *arg)
{
	const struct memory *m = ctx;
	for (uint32_t i = place_of(m, prefix); i < m->n && strncmp(m->records[i].key, prefix, strlen(prefix)) == 0; i++)
		visit(arg, m->records[i].key, m->records[i].value, m->records[i].bytes, m->records[i].revision);
	return 0;
}

static int reserve(struct memory *m, uint32_t n)
{
	if (m->n + n <= m->room)
		return 0;
	uint32_t room = 2 * (m->n + n);
	void *p = realloc(m->records, room * sizeof *m->records);
	if (!p)
		return -ENOSPC;
	m->records = p;
	m->room = room;
	return 0;
}

static void apply(struct memory *m, const struct store_change *c)
{
	uint32_t i = place_of(m, c->key);
	bool exists = i < m->n && strcmp(m->records[i].key, c->key) == 0;
	struct record *r = &m->records[i];
	m->revision++;
	if (!c->bytes) {
		if (exists)
			memmove(r, r + 1, (--m->n - i) * sizeof *r);
		return;
	}
	if (!exists)
		memmove(r + 1, r, (m->n++ - i) * sizeof *r);
	memcpy(r->key, c->key, sizeof r->key);
	memcpy(r->value, c->value, c->bytes);
	r->bytes = c->bytes;
	r->revision = m->revision;
}

static int memory_commit(void *ctx, const struct store_change *changes, uint32_t n)
{
	struct memory *m = ctx;
	for (uint32_t i = 0; i < n; i++) {
		const struct record *r = find(m, changes[i].key);
		if ((r ? r->revision : 0) != changes[i].revision)
			return -EAGAIN;
	}
	if (reserve(m, n))
		return -ENOSPC;
	for (uint32_t i = 0; i < n; i++)
		apply(m, &changes[i]);
	return 0;
}

static int memory_watch(void *ctx, uint64_t *revision)
{
	*revision = ((struct memory *)ctx)->revision;
	return 0;
}

static int memory_lease(void *ctx, const char *name, uint64_t holder, uint64_t now_ms, uint64_t ttl_ms, uint64_t *holder_now)
{
	struct memory *m = ctx;
	(void)name; /* there is one lease */
	if (!m->lease_holder || m->lease_holder == holder || now_ms >= m->lease_until_ms || m->lease_until_ms - now_ms > ttl_ms) {
		m->lease_holder = holder;
		m->lease_until_ms = now_ms + ttl_ms;
	}
	*holder_now = m->lease_holder;
	return 0;
}

static void memory_close(void *ctx)
{
	struct memory *m = ctx;
	free(m->records);
	free(m);
}

int store_open_memory(struct store *s)
{
	struct memory *m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	*s = (struct store){.get = memory_get,
			    .list = memory_list,
			    .commit = memory_commit,
			    .watch = memory_watch,
			    .lease = memory_lease,
			    .close = memory_close};
	s->ctx = m;
	return 0;
}

/* flat.c: see flat.h. An expired entry stays in the tree, absent, until it is stored to again. */
#include <search.h>
#include <stdlib.h>

#include "state/flat.h"

struct flat_table {
	void *root;
	uint32_t idle_s;
};

struct flat_entry {
	uint64_t key;
	uint64_t value;
	uint32_t stamp_s;
	bool preloaded;
	bool deleted;
};

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct flat_entry *)a)->key, y = ((const struct flat_entry *)b)->key;

	return (x > y) - (x < y);
}

struct flat_table *flat_new(uint32_t idle_s)
{
	struct flat_table *f = calloc(1, sizeof *f);

	if (f)
		f->idle_s = idle_s;
	return f;
}

void flat_free(struct flat_table *f)
{
	if (!f)
		return;
	tdestroy(f->root, free);
	free(f);
}

static bool live(const struct flat_table *f, const struct flat_entry *e, uint32_t now_s)
{
	if (e->deleted)
		return false;
	if (e->preloaded || !f->idle_s)
		return true;
	return now_s < e->stamp_s || now_s - e->stamp_s <= f->idle_s;
}

static struct flat_entry *find(const struct flat_table *f, uint64_t key)
{
	struct flat_entry wanted = {.key = key}, **found = tfind(&wanted, &f->root, compare);

	return found ? *found : NULL;
}

bool flat_find(const struct flat_table *f, uint64_t key, uint32_t now_s, uint64_t *value)
{
	const struct flat_entry *e = find(f, key);

	if (!e || !live(f, e, now_s))
		return false;
	*value = e->value;
	return true;
}

/* The entry of key, made if there is none; NULL: out of memory. */
static struct flat_entry *entry_for(struct flat_table *f, uint64_t key)
{
	struct flat_entry *e = find(f, key);

	if (e)
		return e;
	e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->key = key;
	if (!tsearch(e, &f->root, compare)) {
		free(e);
		return NULL;
	}
	return e;
}

bool flat_store(struct flat_table *f, uint64_t key, uint64_t value, uint32_t stamp_s)
{
	struct flat_entry *e = entry_for(f, key);

	if (!e)
		return false;
	e->value = value;
	e->stamp_s = stamp_s;
	e->deleted = false;
	return true;
}

bool flat_preload(struct flat_table *f, uint64_t key, uint64_t value)
{
	struct flat_entry *e = entry_for(f, key);

	if (!e)
		return false;
	e->value = value;
	e->preloaded = true;
	e->deleted = false;
	return true;
}

/* A preloaded entry that is deleted and stored again is an ordinary one. */
void flat_delete(struct flat_table *f, uint64_t key, uint32_t now_s)
{
	struct flat_entry *e = find(f, key);

	if (!e || !live(f, e, now_s))
		return;
	e->deleted = true;
	e->preloaded = false;
}

struct visit {
	const struct flat_table *f;
	uint32_t now_s;
	void (*visit)(void *arg, uint64_t key, uint64_t value);
	void *arg;
};

static void visit_node(const void *node, VISIT order, void *closure)
{
	const struct flat_entry *e = *(struct flat_entry *const *)node;
	struct visit *v = closure;

	if ((order == postorder || order == leaf) && live(v->f, e, v->now_s))
		v->visit(v->arg, e->key, e->value);
}

void flat_visit(const struct flat_table *f, uint32_t now_s, void (*visit)(void *arg, uint64_t key, uint64_t value), void *arg)
{
	struct visit v = {f, now_s, visit, arg};

	twalk_r(f->root, visit_node, &v);
}

/* loaded.c: see loaded.h. */
#include "node/loaded.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/parts.h"

int loaded_new(struct program *p, const struct cert *cert, const struct loaded_options *options, const struct table_file *preload,
	       struct loaded **out, char *why, size_t why_bytes)
{
	struct loaded *l = calloc(1, sizeof(*l));
	int rc = -ENOMEM;

	assert(options->cores >= 1 && options->cores <= LOADED_MAX_CORES);
	*out = NULL;
	if (!l) {
		program_free(p);
		return -ENOMEM;
	}
	l->program = p;
	l->cores = options->cores;
	l->owns_state = true;
	rc = plan_new(p, cert, options->shards, 0, &l->plan, why, why_bytes);
	if (!rc)
		rc = parts_check(l->plan, options->state.idle_s, options->insn_limit, preload, why, why_bytes);
	if (!rc)
		rc = sharded_init(&l->sharded, l->plan, &options->state, preload);
	for (uint32_t i = 0; i < l->cores && !rc; i++)
		rc = engine_new(p, options->engine, options->insn_limit, &l->engines[i]);
	if (!rc && !(l->shard_packets = calloc(l->sharded.n, sizeof(*l->shard_packets))))
		rc = -ENOMEM;
	if (rc)
		loaded_free(l);
	else
		*out = l;
	return rc;
}

void loaded_free(struct loaded *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < l->cores; i++)
		engine_free(l->engines[i]);
	if (l->owns_state)
		sharded_fini(&l->sharded);
	free(l->shard_packets);
	plan_free(l->plan);
	program_free(l->program);
	free(l);
}

static bool same_tables(const struct loaded *a, const struct loaded *b)
{
	const struct program *p = a->program, *q = b->program;

	if (p->n_tables != q->n_tables || a->sharded.n != b->sharded.n)
		return false;
	for (uint32_t i = 0; i < p->n_tables; i++) {
		const struct program_table *t = &p->tables[i], *u = &q->tables[i];
		const struct table *held = a->sharded.shards[0]->tables[i], *wanted = b->sharded.shards[0]->tables[i];

		/* Tables that nothing updates are shared by the shards, the others are not. */
		if (t->number != u->number || t->updated != u->updated || !held != !wanted)
			return false;
		if (held && (table_config(held)->capacity != table_config(wanted)->capacity ||
			     table_config(held)->idle_s != table_config(wanted)->idle_s))
			return false;
	}
	return true;
}

bool loaded_same_state(const struct loaded *from, const struct loaded *to)
{
	const struct cert *a = from->plan->cert, *b = to->plan->cert;

	if (!same_tables(from, to) || !a != !b)
		return false;
	return !a || (a->steer_bytes == b->steer_bytes && !memcmp(a->steer, b->steer, a->steer_bytes));
}

void loaded_take_state(struct loaded *to, struct loaded *from)
{
	const struct plan *plan = to->plan;

	assert(loaded_same_state(from, to) && from->owns_state);
	sharded_fini(&to->sharded);
	to->sharded = from->sharded;
	to->sharded.plan = plan;
	from->owns_state = false;
}

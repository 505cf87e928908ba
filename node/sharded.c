/* sharded.c: see sharded.h. */
#include "node/sharded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/parts.h"
#include "analysis/spread.h"
#include "vm/verdict.h"

static int preload_entry(struct sharded *s, const struct table_file_entry *e)
{
	uint32_t index = (uint32_t)s->plan->program->table_index[e->table];
	int rc = 0;

	for (uint32_t i = 0; i < s->n && rc == 0; i++)
		if (spread_preloads(s->plan, e->table, i))
			rc = shard_preload(s->shards[i], index, e->key, e->value);
	return rc;
}

int sharded_init(struct sharded *s, const struct plan *plan, const struct program_state_options *options,
		 const struct table_file *preload)
{
	struct program_state_options o = *options;
	int rc = 0;

	*s = (struct sharded){.plan = plan, .n = o.flat ? 1 : plan->shards};
	s->shards = calloc(s->n, sizeof(*s->shards));
	if (!s->shards)
		return -ENOMEM;
	o.shards = s->n;
	for (uint32_t i = 0; i < s->n && rc == 0; i++) {
		o.configuration = i ? s->shards[0] : NULL;
		s->shards[i] = program_shard_new(plan->program, &o);
		rc = s->shards[i] ? 0 : -errno;
	}
	for (size_t i = 0; i < preload->n && rc == 0; i++)
		rc = preload_entry(s, &preload->entries[i]);
	if (rc)
		sharded_fini(s);
	return rc;
}

void sharded_fini(struct sharded *s)
{
	/* Shard 0 last: the others share its configuration. */
	for (uint32_t i = s->n; s->shards && i-- > 0;)
		shard_free(s->shards[i]);
	free(s->shards);
	s->shards = NULL;
}

void sharded_run(struct sharded *s, struct engine *e, const struct vfm_packet *packets, uint32_t n, struct vfm_result *results)
{
	struct vfm_packet passed[ENGINE_BURST_PACKETS];
	struct vfm_result got[ENGINE_BURST_PACKETS];
	struct shard *shards[ENGINE_BURST_PACKETS];
	uint32_t slot[ENGINE_BURST_PACKETS];
	uint32_t n_passed = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (!plan_guard_holds(s->plan, &packets[i])) {
			results[i] = (struct vfm_result){.error = VERDICT_ERROR_GUARD};
			continue;
		}
		shards[n_passed] = s->shards[s->n == 1 ? 0 : plan_shard(s->plan, &packets[i])];
		passed[n_passed] = packets[i];
		slot[n_passed++] = i;
	}
	if (n_passed)
		engine_run(e, shards, passed, n_passed, got);
	for (uint32_t i = 0; i < n_passed; i++)
		results[slot[i]] = got[i];
}

/* ---- merged tables ---- */

struct collector {
	struct sharded *sharded;
	struct table_file *file;
	uint32_t shard;
	uint8_t table;
};

static void collect_entry(void *arg, uint64_t key, uint64_t value)
{
	struct collector *c = arg;

	/* Other shards' copies of a preloaded key are not the one that the program works on. */
	if (c->sharded->n == 1 || spread_counts(c->sharded->plan, c->table, key, c->shard))
		table_file_append(c->file, &(struct table_file_entry){.table = c->table, .key = key, .value = value});
}

int sharded_collect(struct sharded *s, struct table_file *t)
{
	uint64_t clock_us = 0;
	int rc = 0;

	for (uint32_t i = 0; i < s->n; i++)
		clock_us = s->shards[i]->clock_us > clock_us ? s->shards[i]->clock_us : clock_us;
	for (uint32_t i = 0; i < s->n && rc == 0; i++) {
		shard_set_time(s->shards[i], clock_us);
		for (uint32_t j = 0; j < s->shards[i]->n_tables && rc == 0; j++) {
			struct collector c = {.sharded = s, .file = t, .shard = i, .table = s->plan->program->tables[j].number};

			rc = shard_visit(s->shards[i], j, collect_entry, &c);
		}
	}
	if (rc || t->failed)
		return -ENOMEM;
	parts_merge(s->plan->cert, t);
	return 0;
}

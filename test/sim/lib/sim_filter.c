/* sim_filter.c: the filter under test. Two tables: one small enough to evict and expire all the time, and one whose only entry is a
 * hash of everything the shard has seen, so that any difference in order or state shows in every later verdict. */
#include "test/sim/lib/sim.h"

#include "state/mix.h"

#include <string.h>

struct shard *sim_shard_new(void *ctx, uint64_t shard)
{
	struct table_config small = {.capacity = sim_now->table_capacity, .idle_s = 3, .tracked = true, .preload = 1},
			    single = {.capacity = 1, .tracked = true};
	struct shard *s = shard_new(2, 0);
	(void)ctx;
	/* the layout must not matter (I7): every copy gets another one */
	small.layout_seed = rng_next(&sim_now->rng) + shard;
	if (!s)
		return NULL;
	s->tables[0] = table_new(&small);
	s->tables[1] = table_new(&single);
	if (!s->tables[0] || !s->tables[1] || table_preload(s->tables[0], 7, 70)) {
		shard_free(s);
		return NULL;
	}
	return s;
}

void sim_filter(struct sim *s, struct shard *state, const struct node_packet *p, struct verdict *v)
{
	uint32_t id[2];
	(void)s;
	memcpy(id, p->data, sizeof id);
	shard_set_time(state, p->time_us);
	uint64_t what = mix64((uint64_t)id[0] << 32 | id[1]);
	uint64_t count = shard_add(state, 0, what % 13, 1);
	uint64_t other = shard_load(state, 0, (what >> 8) % 13);
	if (what % 11 == 0)
		shard_delete(state, 0, (what >> 16) % 13);
	uint64_t all = mix64(shard_load(state, 1, 0) ^ mix64(what + count) ^ other);
	shard_store(state, 1, 0, all);
	*v = (struct verdict){.value = all, .error = all % 17 == 0};
}

static void execute_one(struct sim_proc *q, uint64_t shard, struct shard *state, const struct node_packet *p, struct verdict *v)
{
	uint32_t id[2];
	memcpy(id, p->data, sizeof id);
	sim_filter(sim_now, state, p, v);
	q->executed_shard = (uint32_t)shard;
	if (q->n_executed < 64) {
		q->executed[q->n_executed].stream = id[0];
		q->executed[q->n_executed].index = id[1];
		q->executed[q->n_executed++].verdict = *v;
	}
}

void sim_execute(void *proc, uint64_t shard, struct shard *state, const struct node_packet *p, uint32_t n, struct verdict *v)
{
	for (uint32_t i = 0; i < n; i++)
		execute_one(proc, shard, state, &p[i], &v[i]);
}

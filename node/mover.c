/* mover.c: see mover.h. */
#include "node/mover.h"

#include <stdlib.h>
#include <time.h>

#include "node/balance.h"

#define ENOUGH_PACKETS 1000u /* less in a period says nothing of the next */

struct mover {
	uint64_t period_ns, looked_ns;
	const struct loaded *code; /* that before[] is of */
	uint32_t moves;
	uint64_t longest_ns;
	uint64_t before[PLAN_MAX_SHARDS], load[PLAN_MAX_SHARDS]; /* packets of each shard */
};

struct mover *mover_new(uint32_t period_ms)
{
	struct mover *m = calloc(1, sizeof(*m));

	if (m)
		m->period_ns = (uint64_t)period_ms * 1000000;
	return m;
}

void mover_free(struct mover *m)
{
	free(m);
}

/* Fills load[]; packets since the last look. */
static uint64_t look(struct mover *m, const struct loaded *code)
{
	bool first = m->code != code;
	uint64_t total = 0;

	m->code = code;
	for (uint32_t s = 0; s < code->sharded.n; s++) {
		uint64_t now = __atomic_load_n(&code->shard_packets[s], __ATOMIC_RELAXED);

		m->load[s] = first ? 0 : now - m->before[s];
		m->before[s] = now;
		total += m->load[s];
	}
	return total;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void mover_tick(struct mover *m, struct dataplane *dp, const struct loaded *code, uint64_t now)
{
	uint8_t owners[PLAN_MAX_SHARDS];
	uint32_t n = code->sharded.n, moves;

	if (!m->period_ns || code->cores == 1 || n == 1 || now - m->looked_ns < m->period_ns)
		return;
	m->looked_ns = now;
	if (look(m, code) < ENOUGH_PACKETS)
		return;
	for (uint32_t s = 0; s < n; s++)
		owners[s] = (uint8_t)dataplane_owner(dp, s);
	moves = balance_shards(m->load, n, code->cores, owners);
	now = now_ns();
	if (!moves || !dataplane_place(dp, owners, n))
		return;
	now = now_ns() - now;
	m->longest_ns = now > m->longest_ns ? now : m->longest_ns;
	m->moves += moves;
}

uint32_t mover_moves(const struct mover *m)
{
	return m->moves;
}

uint64_t mover_longest_ns(const struct mover *m)
{
	return m->longest_ns;
}

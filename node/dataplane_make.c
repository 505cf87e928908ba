/* dataplane_make.c: makes a data plane, and what others ask of it while its cores work. See dataplane.h. */
#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "node/dataplane_core.h"
#include "node/eal_dpdk.h"
#include "node/port_report.h"

_Static_assert(IO_BURST_PACKETS <= ENGINE_BURST_PACKETS, "a burst goes to the engine whole");
_Static_assert((WINDOW & (WINDOW - 1)) == 0, "slots are numbered modulo a power of two");
_Static_assert(EAL_MAX_CORES <= LOADED_MAX_CORES, "every core has an engine");
_Static_assert(LOADED_MAX_CORES <= UINT8_MAX, "owners[] holds cores");

void dataplane_stop(struct dataplane *dp)
{
	__atomic_store_n(&dp->stop, true, __ATOMIC_RELAXED);
}

void dataplane_swap(struct dataplane *dp, struct loaded *code)
{
	dp->code = code;
	__atomic_store_n(&dp->generation, dp->generation + 1, __ATOMIC_RELEASE);
}

bool dataplane_swapped(const struct dataplane *dp)
{
	for (uint32_t i = 0; i < dp->config.cores; i++)
		if (__atomic_load_n(&dp->cores[i]->passed, __ATOMIC_ACQUIRE) < dp->generation)
			return false;
	return true;
}

/* ---- moves ---- */

static bool all_rest(const struct dataplane *dp)
{
	for (uint32_t i = 0; i < dp->config.cores; i++)
		if (__atomic_load_n(&dp->cores[i]->rested, __ATOMIC_ACQUIRE) < dp->pauses)
			return false;
	return true;
}

static bool one_is_done(const struct dataplane *dp)
{
	for (uint32_t i = 0; i < dp->config.cores; i++)
		if (__atomic_load_n(&dp->cores[i]->passed, __ATOMIC_ACQUIRE) == CORE_IS_DONE)
			return true;
	return false;
}

bool dataplane_place(struct dataplane *dp, const uint8_t *owners, uint32_t n)
{
	bool rested;

	assert(n <= PLAN_MAX_SHARDS);
	__atomic_store_n(&dp->pauses, dp->pauses + 1, __ATOMIC_RELEASE);
	/* A packet that is on the way takes a slot of the core that received it: once all rest at a time, there is none. */
	while (!(rested = all_rest(dp)) && !one_is_done(dp))
		sched_yield();
	if (rested)
		memcpy(dp->owners, owners, n);
	__atomic_store_n(&dp->pauses, dp->pauses + 1, __ATOMIC_RELEASE);
	return rested;
}

uint32_t dataplane_owner(const struct dataplane *dp, uint32_t shard)
{
	return dp->owners[shard];
}

/* ---- looking ---- */

struct dataplane_counts dataplane_counts(const struct dataplane *dp, uint32_t port)
{
	struct dataplane_counts sum = {0};

	for (uint32_t i = 0; i < dp->config.cores; i++)
		for (uint32_t k = 0; k < dp->cores[i]->n_inputs; k++)
			if (PORT_OF(&dp->cores[i]->inputs[k]) == port)
				port_report_add(&sum, &dp->cores[i]->inputs[k].counts);
	return sum;
}

struct dataplane_core_counts dataplane_core_counts(const struct dataplane *dp, uint32_t core)
{
	const struct dataplane_core_counts *c = &dp->cores[core]->counts;

	return (struct dataplane_core_counts){
		.executed = seen(&c->executed),
		.served = seen(&c->served),
		.asked = seen(&c->asked),
		.bursts = seen(&c->bursts),
		.busy_cycles = seen(&c->busy_cycles),
		.empty_rounds = seen(&c->empty_rounds),
	};
}

uint64_t dataplane_received(const struct dataplane *dp)
{
	uint64_t n = 0;

	for (uint32_t port = 0; port < 2; port++) {
		struct io_counters c;

		io_counters(dp->config.ports[port], &c);
		n += c.received;
	}
	return n;
}

/* ---- making ---- */

static void add_inputs(struct dataplane *dp)
{
	uint32_t number = 0;

	for (uint32_t port = 0; port < (dp->config.one_way ? 1 : 2); port++) {
		struct io *io = dp->config.ports[port];

		assert(io->number == port && io->rx_queues <= IO_MAX_QUEUES);
		/* A transmit queue has one writer, as long as there are as many of them as cores that receive. */
		assert(dp->config.ports[!port]->tx_queues >= (io->rx_queues < dp->config.cores ? io->rx_queues : dp->config.cores));
		for (uint32_t queue = 0; queue < io->rx_queues; queue++) {
			struct core *c = dp->cores[queue % dp->config.cores];

			c->inputs[c->n_inputs++] =
				(struct input){.port = io, .queue = queue, .verdicts = dp->config.verdicts[number++]};
		}
	}
}

static bool add_lanes(struct dataplane *dp)
{
	for (uint32_t from = 0; from < dp->config.cores; from++) {
		for (uint32_t to = 0; to < dp->config.cores; to++) {
			if (from == to)
				continue;
			dp->requests[from][to] = lane_new(WINDOW, sizeof(struct request));
			dp->replies[from][to] = lane_new(WINDOW, sizeof(struct reply));
			if (!dp->requests[from][to] || !dp->replies[from][to])
				return false;
		}
	}
	return true;
}

struct dataplane *dataplane_new(const struct dataplane_config *config, struct loaded *code)
{
	struct dataplane *dp = calloc(1, sizeof(*dp));
	bool ok = dp != NULL;

	assert(config->cores >= 1 && config->cores <= LOADED_MAX_CORES && code->cores >= config->cores);
	if (!dp)
		return NULL;
	dp->config = *config;
	dp->code = code;
	dp->generation = 1;
	for (uint32_t i = 0; i < PLAN_MAX_SHARDS; i++)
		dp->owners[i] = (uint8_t)(i % config->cores);
	for (uint32_t i = 0; i < config->cores && ok; i++) {
		dp->cores[i] = calloc(1, sizeof(*dp->cores[i]));
		ok = dp->cores[i] != NULL;
		if (ok) {
			dp->cores[i]->dp = dp;
			dp->cores[i]->index = i;
		}
	}
	ok = ok && add_lanes(dp);
	if (!ok) {
		dataplane_free(dp);
		return NULL;
	}
	add_inputs(dp);
	return dp;
}

void dataplane_free(struct dataplane *dp)
{
	if (!dp)
		return;
	for (uint32_t from = 0; from < LOADED_MAX_CORES; from++) {
		for (uint32_t to = 0; to < LOADED_MAX_CORES; to++) {
			lane_free(dp->requests[from][to]);
			lane_free(dp->replies[from][to]);
		}
		free(dp->cores[from]);
	}
	free(dp);
}

/* dataplane_core.h: what dataplane.c, where cores work, and dataplane_make.c, which makes, looks and commands, share. */
#ifndef NODE_DATAPLANE_CORE_H
#define NODE_DATAPLANE_CORE_H

#include "node/dataplane.h"
#include "node/lane_dpdk.h"

#define WINDOW         DATAPLANE_WINDOW_PKTS
#define CORE_IS_DONE   UINT64_MAX
#define PORT_OF(input) ((input)->port->number)

struct request {
	struct vfm_packet packet;
	struct loaded *code;
	uint32_t shard;
	uint32_t slot;
};

struct reply {
	struct vfm_result result;
	uint32_t slot;
	uint32_t unused;
};

struct outbox {
	uint32_t n;
	struct request requests[IO_BURST_PACKETS];
};

struct input {
	struct io *port;
	uint32_t queue;
	FILE *verdicts;
	struct dataplane_counts counts;
};

/* A packet between arrival and release. */
struct slot {
	struct vfm_packet packet;
	struct vfm_result result;
	void *frame;
	struct input *input;
	bool done;
};

/* Packets of one input to let go, in the order they came. */
struct batch {
	struct input *input;
	uint32_t n;
	const struct vfm_packet *packets;
	const struct vfm_result *results;
	void *const *frames;
};

struct core {
	struct dataplane *dp;
	uint32_t index;
	struct loaded *code;
	uint64_t generation;  /* of code */
	uint32_t old_until;   /* slots before this one may belong to the code before */
	uint64_t passed;      /* generations below are not used here any more; CORE_IS_DONE at the end */
	bool drained;         /* nothing on the way, nothing more will be received */
	uint64_t rested;      /* the last pause in which nothing was on the way here */
	uint32_t first, next; /* slots in use, counted without end */
	uint32_t idle_rounds;
	struct dataplane_core_counts counts;
	uint32_t n_inputs;
	struct input inputs[DATAPLANE_MAX_INPUTS];
	struct slot window[WINDOW];
	struct outbox outboxes[LOADED_MAX_CORES];
};

struct dataplane {
	struct dataplane_config config;
	struct loaded *code;
	uint64_t generation;
	bool stop;
	uint64_t pauses;                 /* begun and ended so far: odd: nothing is received for now */
	uint8_t owners[PLAN_MAX_SHARDS]; /* core of a shard; written while all cores rest */
	struct core *cores[LOADED_MAX_CORES];
	struct lane *requests[LOADED_MAX_CORES][LOADED_MAX_CORES]; /* [from][to] */
	struct lane *replies[LOADED_MAX_CORES][LOADED_MAX_CORES];  /* [from][to] */
};

/* Counters have one writer; others may look. */
static inline void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t seen(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline uint32_t owner_of(const struct dataplane *dp, uint32_t shard)
{
	return dp->owners[shard];
}

#endif

/* dataplane.h: a bump in the wire: packets from one port through a filter to the other, run to completion on several cores.
 *
 * Port 0 is the outside ("in"), port 1 the inside ("out"). What comes in by one and is accepted goes out by the other.
 *
 *   core c:   serve   requests of other cores for shards that c owns: run the filter, reply
 *             collect replies to its own requests
 *             release packets in order of arrival: send, or drop
 *             receive a burst from each of its queues: steer; run what it owns at once; ask the owners for the rest
 *
 * Core of a queue: queue mod cores. Owner of a shard: shard mod cores, until dataplane_place(). A core keeps at most DATAPLANE_WINDOW_PKTS packets from
 * arrival to release, and each lane between two cores has room for as many, so a lane is never full and no core ever waits.
 * A core with nothing on the way that owns all of a burst runs it and lets it go without touching its window.
 */
#ifndef NODE_DATAPLANE_H
#define NODE_DATAPLANE_H

#include <stdio.h>

#include "node/io.h"
#include "node/loaded.h"
#include "node/mirror.h"
#include "vm/verdict.h"

#define DATAPLANE_WINDOW_PKTS 1024u
#define DATAPLANE_MAX_INPUTS  (2 * IO_MAX_QUEUES)

struct dataplane_config {
	struct io *ports[2];
	bool one_way;   /* port 1 is not read */
	uint32_t cores; /* 1 to LOADED_MAX_CORES; above 1 DPDK must be started */
	struct mirror *mirrors[MIRROR_MAX];
	uint32_t n_mirrors;
	/* Verdict file of input i = queue i of port 0, then those of port 1; NULL: none. For rehearsals: written by the core itself. */
	FILE *verdicts[DATAPLANE_MAX_INPUTS];
};

/* Packets that came by one port: packets = accept + drop + sum of errors; log is part of accept; accept = sent + send_dropped. */
struct dataplane_counts {
	uint64_t packets, accept, log, drop;
	uint64_t errors[VERDICT_ERROR_KINDS];
	uint64_t sent;
	uint64_t send_dropped; /* accepted, but the other port's transmit queue stayed full */
};

struct dataplane_core_counts {
	uint64_t executed; /* packets run here */
	uint64_t served;   /* of them, for other cores */
	uint64_t asked;    /* of the packets received here, those that ran on other cores */
	uint64_t bursts;
	uint64_t busy_cycles;  /* in rounds that found work */
	uint64_t empty_rounds; /* rounds that found none */
};

struct dataplane;

/* code is run until dataplane_swap(); not owned. NULL: out of memory (DPDK's for lanes). */
struct dataplane *dataplane_new(const struct dataplane_config *config, struct loaded *code);
/* After every core has returned. */
void dataplane_free(struct dataplane *dp);

/* Works as core `core` until dataplane_stop(), or every port that is read has ended, and all cores have let go of every packet. Each
 * core is to be called once, all of them at a time. */
void dataplane_run_core(struct dataplane *dp, uint32_t core);
/* No burst is received any more; what is there is finished. From any thread. */
void dataplane_stop(struct dataplane *dp);

/* Lets every core use `code` from its next burst on. From one thread at a time; after it dataplane_swapped() must have been true
 * before the next. */
void dataplane_swap(struct dataplane *dp, struct loaded *code);
/* True: no core will touch the code before again. */
bool dataplane_swapped(const struct dataplane *dp);

/* Moves shards: owners[s] is the core of shard s < n from now on. Nothing is received while what is on the way is let go, which takes
 * microseconds; no packet overtakes another. False: the cores are about to end, nothing moved. From the thread of dataplane_swap(), when
 * dataplane_swapped(). */
bool dataplane_place(struct dataplane *dp, const uint8_t *owners, uint32_t n);
uint32_t dataplane_owner(const struct dataplane *dp, uint32_t shard);

/* As of now, from any thread. */
struct dataplane_counts dataplane_counts(const struct dataplane *dp, uint32_t port);
struct dataplane_core_counts dataplane_core_counts(const struct dataplane *dp, uint32_t core);
/* Packets received by all inputs of a port, which may be more than counts().packets while some are on the way. */
uint64_t dataplane_received(const struct dataplane *dp);

#endif

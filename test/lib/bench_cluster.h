/* bench_cluster.h: a real cluster for the benchmark: one controller with a SQLite store, nodes and a steerer, each a process, over ipc,
 * and what they answer when asked. */
#ifndef TEST_LIB_BENCH_CLUSTER_H
#define TEST_LIB_BENCH_CLUSTER_H

#include "controller/fleet.h"

struct cluster_options {
	const char *filter, *certificate; /* certificate NULL: one shard */
	const char *capture;
	uint32_t nodes, shards;
	bool standby;
	uint32_t capacity; /* 0: as declared */
};

struct cluster {
	struct cluster_options options;
	struct fleet fleet;
	char shards[16], capacity[16];
	json_t *status; /* the controller's newest answer */
};

/* Starts all processes and waits until every shard has an owner and, where wanted, a standby; the input waits for cluster_go(). 0 or
 * -errno; cluster_stop() in any case. */
int cluster_start(struct cluster *c, const struct cluster_options *o);
void cluster_stop(struct cluster *c);
/* One node more. */
int cluster_add_node(struct cluster *c);
/* Starts a killed node again, as a new incarnation. */
int cluster_restart_node(struct cluster *c, uint32_t node);
/* Waits up to 30 s until the placement is whole. 0, -ETIMEDOUT. */
int cluster_settle(struct cluster *c);
/* Asks the controller, some times over if it does not answer or has to be asked again. 0, -ETIMEDOUT. Takes the reference. */
int cluster_order(struct cluster *c, json_t *question);
bool cluster_refresh(struct cluster *c);
/* Name of the node that owns a shard, as of the last refresh; NULL: nobody known. */
const char *cluster_owner(const struct cluster *c, uint32_t shard);
/* Index of the node of that name; -1: none that runs. */
int cluster_node(const struct cluster *c, const char *name);
/* Lets the input read up to so many packets, pps a second (0: as fast as they are taken). */
void cluster_go(struct cluster *c, uint64_t upto, uint64_t pps);
/* A number of the steerer's progress: "read", "released", "resent". */
uint64_t cluster_progress(struct cluster *c, const char *what);
/* The sum of a number over the nodes' progress: "delta_bytes", "entries_moved", "bytes_moved". */
uint64_t cluster_sum(struct cluster *c, const char *what);
/* Waits until so many packets are released. 0, -ETIMEDOUT: 30 s without one more. */
int cluster_wait_released(struct cluster *c, uint64_t packets);
/* A new reference to the steerer's list of freezes, [at_us, shard, frozen_us, silent_us] each; NULL: no answer. */
json_t *cluster_freezes(struct cluster *c);
/* The waits of all packets so far: buckets of node/probe.h. */
struct probe_waits;
void cluster_waits(struct cluster *c, struct probe_waits *w);

#endif

/* merged.h: the state of a whole cluster, read while it runs: of every shard the committed state of its committed owner, with the
 * positions it stands at, merged into the tables that a single instance would have after the same packets. */
#ifndef CONTROLLER_MERGED_H
#define CONTROLLER_MERGED_H

#include "controller/cluster.h"

/* How far a shard had got into a stream. */
struct merged_position {
	uint32_t shard;
	uint64_t epoch, number;
	uint64_t stream, session, position;
	bool retired;
};

struct merged {
	uint64_t clock_us; /* the latest of all shards: entries that expired before are left out */
	struct table_file table;
	uint32_t n_positions, room;
	struct merged_position *positions; /* by shard */
};

/* Reads until all shards have answered: a shard that moves is asked again, for at most wait_ms. 0; -ETIMEDOUT, -EIO, -ENOMEM with why.
 * merged_fini() releases it, also after a failure. */
int merged_read(struct cluster *c, const struct deploy *d, int wait_ms, struct merged *m, char why[CLUSTER_WHY_BYTES]);
void merged_fini(struct merged *m);

#endif

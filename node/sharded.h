/* sharded.h: all shards of a plan in one process: the single instance that a cluster is compared with (E1), and, with one flat
 * shard, the flat machine (E2). */
#ifndef NODE_SHARDED_H
#define NODE_SHARDED_H

#include "analysis/plan.h"
#include "node/engine.h"
#include "vm/table_file.h"

struct sharded {
	const struct plan *plan; /* not owned */
	uint32_t n;
	struct shard **shards; /* [n] */
};

/* Makes the shards and puts the preloaded entries where they are read: configuration into each, an owned key into its own shard.
 * With options->flat there is one shard whatever the plan says; only its guard counts then. options->shards and configuration are
 * set here. -ENOMEM, -EINVAL (a capacity out of range), -ENOSPC. */
int sharded_init(struct sharded *s, const struct plan *plan, const struct program_state_options *options,
		 const struct table_file *preload);
void sharded_fini(struct sharded *s);

/* Steers and runs n packets, at most ENGINE_BURST_PACKETS; those that the guard refuses get VERDICT_ERROR_GUARD and touch nothing. */
void sharded_run(struct sharded *s, struct engine *e, const struct vfm_packet *packets, uint32_t n, struct vfm_result *results);

/* Brings every clock to the latest one and appends the merged tables: each key once, from the shard it belongs to; parts
 * merged as their class says. -ENOMEM. */
int sharded_collect(struct sharded *s, struct table_file *t);

#endif

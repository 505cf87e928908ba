/* placement.h: which node should own which shard, and which should hold its standby: balanced by load, moving as little as possible.
 * A pure function of what is given. */
#ifndef CONTROLLER_PLACEMENT_H
#define CONTROLLER_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#define PLACEMENT_NONE (-1)

struct placement_node {
	bool usable;      /* may hold anything */
	uint64_t process; /* nodes with the same one fail together: the cores of one process */
};

/* One shard: in: where it is (indexes of nodes, PLACEMENT_NONE), its weight, and where the operator wants it. Out: owner, standby. */
struct placement {
	int owner, standby;
	int pinned;
	uint64_t weight; /* at least 1 */
};

/* Shards stay where they are as long as no node has more than a quarter above its fair share; what must move goes to its own standby if
 * that has room, else to the node with least. Owner and standby are on different nodes, and in different processes as long as there is
 * a usable node in another one; no standby if there is only one usable node or if standbys is false. With no usable node everything is
 * PLACEMENT_NONE. n_nodes at most 64. Cost: shards times nodes. */
void placement_decide(struct placement *shards, uint32_t n_shards, const struct placement_node *nodes, uint32_t n_nodes,
		      bool standbys);

#endif

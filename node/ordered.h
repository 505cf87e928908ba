/* ordered.h: captures replayed in an order that is told: what a cluster that took them as several streams is compared with.
 *
 * An order file has a line `shard index` for each packet of its capture: the packet is the index-th, from 1, that its shard judged.
 * Shards know nothing of each other, so their histories run one after the other.
 */
#ifndef NODE_ORDERED_H
#define NODE_ORDERED_H

#include <stdio.h>

#include "node/replay.h"

#define ORDERED_WHY_BYTES 640

struct ordered_input {
	struct capture *capture;
	FILE *order;
	const char *order_name; /* for errors */
};

/* Reads all of every capture, runs the packets in the order told, and gives them to burst() in the order of the captures. 0, or what
 * burst() gave, or with why ("what, where: what to do"): -EINVAL: an order file is malformed, names a shard that a packet does not
 * belong to, or leaves a place of a history empty or gives it twice; -EIO: a capture is damaged; -ENOMEM. */
int ordered_run(struct engine *e, struct sharded *s, const struct ordered_input *inputs, uint32_t n, replay_burst_fn burst,
		void *arg, char why[ORDERED_WHY_BYTES]);

#endif

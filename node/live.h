/* live.h: live ports of a cluster's node: a bump in the wire whose packets the cluster judges.
 *
 * Port 0 is the outside ("in"), port 1 the inside ("out"). What comes in by one and is accepted goes out by the other. Each receive
 * queue is a stream of its own, named by this process's incarnation, so it ends with the process: session = incarnation says so to
 * whoever holds its positions. A frame is held from arrival to release, at most window_pkts of a stream; with a full window the queue
 * is not read, and what the port then loses is in its counter `missed`. Packets of one queue leave in the order they came.
 *
 * Of a process with several cores, each a node of its own, core c has queue q of both ports where q mod cores = c, and sends by transmit
 * queue c; it may have none.
 *
 * Bump by bump: live_read(), node_flush(), then live_release() once verdicts are there. One thread, but for counts; nothing is allocated
 * per packet but the room of a steerer's slot when it grows.
 */
#ifndef NODE_LIVE_H
#define NODE_LIVE_H

#include "analysis/plan.h"
#include "node/dataplane.h"
#include "node/mirror.h"
#include "node/node.h"

#define LIVE_WINDOW_PKTS 4096u /* of a stream */

struct live_config {
	struct io *ports[2];  /* not owned */
	uint32_t core, cores; /* of all cores that share the ports; 0 cores: alone */
	bool one_way;         /* port 1 is not read */
	uint32_t window_pkts; /* a power of two, at least IO_BURST_PACKETS */
	const char *verdicts; /* verdict file, with several streams FILE.0, FILE.1, ...; NULL: none */
	const char *order;    /* order file, likewise: line n is `shard index`, where packet n stands in its shard's history */
	struct mirror *const *mirrors; /* [n_mirrors], not owned; as core `core` of them */
	uint32_t n_mirrors;
};

struct live;

/* Adds a steerer to the node for each of its receive queues. plan and node must outlive it; node_options.self is the session. -ENOSPC:
 * all cores' queues together are more than NODE_MAX_STREAMS, which is what a shard has room for; -ENOMEM; -EIO: a verdict file cannot be
 * written, error says which. */
int live_open(const struct live_config *config, struct node *node, const struct plan *plan, struct live **out,
	      char error[IO_ERROR_BYTES]);
/* Gives up the frames still held; closes the verdict files. live may be NULL. -EIO: a verdict file could not be written whole. */
int live_close(struct live *l);

/* Takes at most a burst from each queue that has room, and at most `most` packets altogether; how many it took. They are executed by
 * node_flush(). */
uint32_t live_read(struct live *l, uint64_t most, uint64_t now_us);
/* Sends or drops every packet whose verdict may be told. How many. */
uint32_t live_release(struct live *l, uint64_t now_us);
/* Nothing is held. */
bool live_idle(const struct live *l);

/* As of now, from any thread: what became of the packets that came by port 0 or 1; packets taken from the ports and not yet released;
 * receive queues. */
struct dataplane_counts live_counts(const struct live *l, uint32_t port);
uint64_t live_held(const struct live *l);
uint32_t live_streams(const struct live *l);

#endif

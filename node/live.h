/* live.h: live ports of a cluster's node: a bump in the wire whose packets the cluster judges.
 *
 * Port 0 is the outside ("in"), port 1 the inside ("out"). What comes in by one and is accepted goes out by the other. Each receive
 * queue is a stream of its own, named by this process's incarnation, so it ends with the process: session = incarnation says so to
 * whoever holds its positions. A frame is held from arrival to release, at most window_pkts of a stream; with a full window the queue
 * is not read, and what the port then loses is in its counter `missed`. Packets of one queue leave in the order they came.
 *
 * Bump by bump: live_read(), node_flush(), then live_release() once verdicts are there. One thread; nothing is allocated per packet
 * but the room of a steerer's slot when it grows.
 */
#ifndef NODE_LIVE_H
#define NODE_LIVE_H

#include "analysis/plan.h"
#include "node/dataplane.h"
#include "node/node.h"

#define LIVE_WINDOW_PKTS 4096u /* of a stream */

struct live_config {
	struct io *ports[2];  /* not owned */
	bool one_way;         /* port 1 is not read */
	uint32_t window_pkts; /* a power of two, at least IO_BURST_PACKETS */
	const char *verdicts; /* verdict file, with several streams FILE.0, FILE.1, ...; NULL: none */
	const char *order;    /* order file, likewise: line n is `shard index`, where packet n stands in its shard's history */
};

struct live;

/* Adds a steerer to the node for each receive queue. plan and node must outlive it; node_options.self is the session. -ENOSPC: more
 * than NODE_MAX_STREAMS; -ENOMEM; -EIO: a verdict file cannot be written, error says which. */
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

/* What became of the packets that came by port 0 or 1. */
struct dataplane_counts live_counts(const struct live *l, uint32_t port);
/* Packets taken from the ports and not yet released. */
uint64_t live_held(const struct live *l);
/* One JSON object and a line feed; form in docs/dpdk.md. */
void live_report_json(const struct live *l, FILE *out);
/* A few lines for people. */
void live_report_print(const struct live *l, FILE *out);

#endif

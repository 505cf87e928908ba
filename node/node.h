/* node.h: one process of the cluster without its sockets: its part in every shard, its streams, and what it reports. The daemon and
 * the simulator both drive this. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "node/steerer.h"

#define NODE_MAX_STREAMS 16 /* a capture is one, each receive queue of a live port another */

struct node_options {
	uint64_t self; /* incarnation: random, above OUTBOX_MAX_CONTROLLERS, never used before */
	uint64_t plan; /* first 8 bytes of the plan's digest */
	uint32_t n_shards;
	enum release_mode release;
	uint32_t readable_bytes; /* of a packet, that ops.execute may look at */
	struct member_limits limits;
	struct member_ops ops;
	uint64_t heartbeat_us;
	uint64_t roles;   /* as in REPORT */
	uint64_t process; /* as in REPORT; 0: self, a process of its own */
	const char *name;
	const char *endpoint;
	void (*observe)(void *ctx); /* called after every message handled, with ops.ctx; NULL: nobody looks (tests do) */
};

/* What limits mean by default: for processes on one machine or one rack. */
struct member_limits node_default_limits(void);

struct node {
	struct node_options options;
	struct member_env env;
	struct outbox out;
	struct member *members; /* by shard */
	uint64_t *epochs;       /* scratch of REPORT */
	uint64_t *applied;      /* packets executed as owner, by shard */
	uint32_t n_steerers;
	struct steerer *steerers[NODE_MAX_STREAMS]; /* one for each stream; owned by the caller */
	uint64_t reported_us, ticked_us;
	uint32_t n_gone;
	uint64_t gone[WIRE_MAX_NODES]; /* since the last REPORT */
	uint64_t bad_frames, other_plans;
	uint8_t *local; /* scratch: a frame to oneself */
	size_t local_room;
};

/* -EINVAL, -ENOMEM. */
int node_init(struct node *n, const struct node_options *options);
void node_fini(struct node *n);
/* One stream more, to the end. -ENOSPC: NODE_MAX_STREAMS are there. */
int node_add_steerer(struct node *n, struct steerer *s);

/* Each takes one event and leaves what is to be sent to others in n->out. Frames to oneself are handled at once.
 * node_frame: -EPROTO or -EPROTONOSUPPORT: a bad frame, its connection should be closed; -EBADMSG: another plan (n->other_plans
 * counts, the sender is told by a FAULT); else 0. */
int node_frame(struct node *n, const uint8_t *frame, size_t bytes, uint64_t now_us);
void node_tick(struct node *n, uint64_t now_us);
void node_gone(struct node *n, uint64_t who, uint64_t now_us);
/* After steerer_packet() calls: sends them, and executes those whose owner is here. */
void node_flush(struct node *n, uint64_t now_us);

#endif

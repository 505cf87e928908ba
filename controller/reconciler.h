/* reconciler.h: the controller: brings every shard's configuration, one legal step at a time, to where placement wants it.
 *
 * Stateless over its store: what it knows besides comes again with the next heartbeats, so it may be killed at any moment, and
 * several may run at once (compare-and-set decides). Nothing in the data path waits for it. Pure: the store, time and frames are
 * passed in, what it wants said goes to an outbox.
 *
 * Records: shard/NNNNN (a CONFIG frame), pin/NNNNN (node name), drain/NAME, scale (decimal), steerer/INCARNATION (name),
 * fenced/INCARNATION (decimal, rising: the last RECONCILER_MAX_NODES are kept).
 */
#ifndef CONTROLLER_RECONCILER_H
#define CONTROLLER_RECONCILER_H

#include "controller/placement.h"
#include "controller/store.h"
#include "state/config.h"

#include <stdbool.h>

#define RECONCILER_MAX_NODES WIRE_MAX_NODES
#define RECONCILER_PATIENCE  5

struct reconciler_options {
	uint64_t self;
	uint64_t plan;
	uint32_t n_shards;
	bool standbys;      /* every shard should have one */
	uint64_t lease_us;  /* a node that has not reported for this long is suspected */
	uint64_t repeat_us; /* WANT and CONFIG are repeated */
	/* Nobody who has the state is left for this long: the loss is declared; 0: never without the operator. RECONCILER_PATIENCE times
	 * as long while one of them is only silent. */
	uint64_t loss_us;
	uint64_t
		leader_ms; /* of several controllers one acts, until it has been silent this long; 0: all act, which is safe but restless */
	uint32_t min_nodes; /* no shard is placed for the first time before this many have reported */
};

struct reconciler_node {
	uint64_t id; /* incarnation; 0: free */
	char name[65];
	char endpoint[257];
	uint64_t roles;
	uint64_t process; /* shared by nodes that end together; 0: not known, none */
	uint64_t heard_us;
	bool suspected;   /* a connection broke, or silent */
	bool gone;        /* a connection broke, and nothing was heard since */
	bool quarantined; /* it sent what is no frame; for ever: it may come back as another incarnation */
	bool dead;        /* known dead: the operator's or the supervisor's word */
	bool registered;  /* its steerer is in the store, or it has none */
	uint64_t *epochs; /* by shard */
	uint64_t *load;
};

struct reconciler_shard {
	struct config config; /* as in the store; epoch 0: none */
	uint64_t revision;
	bool unsure;         /* an answer did not come: read back before anything else */
	uint64_t seen_epoch; /* highest epoch a node has reported */
	struct wire_ask ask; /* the owner's last request; epoch 0: none */
	int owner, standby;  /* wanted: indexes of nodes, PLACEMENT_NONE */
	int pinned;
	uint64_t wanted_us;       /* last WANT */
	uint64_t orphan_since_us; /* owner gone and nobody in sync since then; 0: no */
	uint64_t last_load;
	uint64_t weight;
};

/* Known dead for ever, whichever controller is asked. */
struct reconciler_fenced {
	uint64_t id;
	uint64_t number; /* of fences: the smallest is the oldest */
};

struct reconciler_counters {
	uint64_t births, adds, removes, moves, promotions, renewals, losses, unseals, conflicts, unknown, refused, faults;
};

/* What changed, for `vfmctl events`: the last ones. */
struct reconciler_event {
	uint64_t at_us;
	uint64_t shard;
	uint64_t epoch;
	enum config_step step; /* CONFIG_ILLEGAL: a fault, see what */
	bool planned;
	uint64_t who;
	uint64_t what; /* FAULT's what and detail */
	uint64_t detail;
};
#define RECONCILER_EVENTS 1024

/* Where frames go: an outbox of the same form as the nodes' (controller/ may not include node/). */
struct reconciler_out {
	void *ctx;
	void (*send)(void *ctx, uint64_t to, struct wire_message *msg);
};

struct reconciler {
	struct reconciler_options options;
	struct store *store;
	struct reconciler_out out;
	struct reconciler_shard *shards;
	struct placement *placement; /* scratch */
	struct reconciler_node nodes[RECONCILER_MAX_NODES];
	uint64_t started_us;
	uint64_t ticked_us;
	uint64_t seen_revision;
	bool reread;
	uint64_t measured_us;
	uint64_t roster_us;
	uint64_t leader_asked_us;
	bool leads;
	int store_err;       /* the store's last answer: 0, -ENOSPC, -EIO; nothing is decided without it */
	int64_t scale;       /* usable nodes, by name; < 0: all */
	uint32_t n_steerers; /* registered in the store, not known dead */
	uint64_t steerers[RECONCILER_MAX_NODES];
	char steerer_names[RECONCILER_MAX_NODES][65];
	uint32_t n_fenced; /* in the store */
	struct reconciler_fenced fenced[RECONCILER_MAX_NODES];
	char drained[RECONCILER_MAX_NODES][65];
	uint32_t n_drained;
	struct reconciler_counters counters;
	struct reconciler_event events[RECONCILER_EVENTS]; /* ring */
	uint64_t n_events;
};

/* -EINVAL, -ENOMEM. */
int reconciler_init(struct reconciler *r, const struct reconciler_options *o, struct store *store, struct reconciler_out out,
		    uint64_t now_us);
void reconciler_fini(struct reconciler *r);

/* REPORT, ASK, FAULT, CONFIG (a newer one than the store has is an alarm). */
void reconciler_message(struct reconciler *r, const struct wire_message *msg, uint64_t now_us);
void reconciler_tick(struct reconciler *r, uint64_t now_us);
/* A connection to it broke: suspected at once. */
void reconciler_gone(struct reconciler *r, uint64_t id, uint64_t now_us);
/* It sent `by` what is no frame: it is used for nothing any more. */
void reconciler_accuse(struct reconciler *r, uint64_t id, uint64_t by, uint64_t now_us);
/* It is known to be dead and will never say anything again, and with it every node of its process. Written to the store: its streams are
 * retired also by a controller that starts later. 0, or an error of the store: then it is to be said again. */
int reconciler_dead(struct reconciler *r, uint64_t id, uint64_t now_us);

/* The operator's wishes, written to the store. move: name "" takes the wish back. -EINVAL, -EIO, -EAGAIN: try again. */
int reconciler_move(struct reconciler *r, uint64_t shard, const char *name);
int reconciler_drain(struct reconciler *r, const char *name, bool drained);
int reconciler_scale(struct reconciler *r, int64_t n_nodes);

/* A process whose stream may be live: one that has reported within the lease, or that the store has and this controller has not been
 * there long enough to miss. 0: none. */
uint64_t reconciler_live_steerer(const struct reconciler *r, uint64_t now_us);
const struct reconciler_node *reconciler_node(const struct reconciler *r, uint64_t id);
/* The shard has a standby, and it would end together with its owner: no other process may have one at the moment. */
bool reconciler_shares_fate(const struct reconciler *r, uint64_t shard);

#endif

/* member.h: one node's part in one shard: owner, in-sync replica, learner or bystander. Pure: a function of what it is told and of
 * the time it is given; what it wants said goes to an outbox. docs/protocol.md explains the protocol and its invariants.
 *
 * Files: member.c (configurations, routing), owner.c (executing, committing, streams), feed.c (the owner's side of replication),
 * replica.c (the other side).
 */
#ifndef NODE_MEMBER_H
#define NODE_MEMBER_H

#include "node/log.h"
#include "node/outbox.h"
#include "state/config.h"
#include "state/snapshot.h"

#define MEMBER_MAX_PEERS  16 /* in-sync replicas and learners of one shard */
#define MEMBER_MAX_CREDIT 16

enum release_mode {
	RELEASE_COMMIT, /* a verdict is told after the commit */
	RELEASE_EARLY,  /* at once, where a single remote stream makes re-execution give the same */
	RELEASE_NONE,   /* as commit, but no standby is wanted */
};

/* A packet as the owner executes it. data holds `carried` bytes; the program cannot read beyond them (readable prefix). */
struct node_packet {
	uint64_t time_us;
	uint32_t input;
	uint32_t length; /* bytes present: PKTLEN */
	uint32_t carried;
	const uint8_t *data;
};

/* What the core needs from outside. */
struct member_ops {
	/* A fresh shard with tracked tables and the plan's preloaded entries. NULL: out of memory. */
	struct shard *(*shard_new)(void *ctx, uint64_t shard);
	/* Runs n packets, at most WIRE_MAX_BURST, in order; v[i] is what p[i] got. */
	void (*execute)(void *ctx, uint64_t shard, struct shard *state, const struct node_packet *p, uint32_t n, struct verdict *v);
	void *ctx;
};

struct member_limits {
	uint64_t repeat_us;   /* each side repeats its highest number after this long without progress */
	uint64_t handover_us; /* how long a successor waits for FINAL */
	uint64_t silent_us;   /* an in-sync replica that owes an answer this long is to be taken out */
	uint32_t log_deltas;
	size_t log_bytes;
	uint32_t chunk_entries;
	uint32_t credit;    /* chunks on their way */
	uint32_t lag;       /* deltas: a learner this close is waited for */
	uint32_t snapshots; /* sent at the same time, all shards together: few, or each takes so long that it seems lost */
	uint64_t forget_us; /* a copy that no configuration names is freed after this long without a word from the owner */
};

/* Shared by all members of a process. */
struct member_env {
	uint64_t self; /* incarnation */
	enum release_mode release;
	uint32_t readable_bytes; /* of a packet, that execute() may look at: a WORK that carries less is refused */
	struct member_limits limits;
	struct member_ops ops;
	struct outbox *out;
	uint32_t n_snapshots;                      /* being sent */
	uint64_t full_told_us;                     /* when the controller was last told of a stream without room; 0: never */
	struct delta_columns columns;              /* scratch */
	struct snapshot_columns *snapshot_columns; /* scratch */
};

enum peer_state { PEER_IN_SYNC, PEER_LEARNER, PEER_WAITED, PEER_ASKED };

/* The owner's view of one other copy. */
struct peer {
	uint64_t id;
	enum peer_state state;
	bool known;         /* has acknowledged something in this epoch */
	uint64_t acked;     /* ... up to here */
	uint64_t next;      /* number of the next delta to send */
	uint64_t wait_from; /* PEER_WAITED: all that was applied when the wait began */
	uint64_t heard_us;  /* last frame from it, or when it began to owe one */
	uint64_t sent_us;   /* last SYNC */
	uint64_t resent_us; /* last time `next` was set back */
	bool gone;          /* its connection broke */
	struct {
		bool active;
		bool waits; /* others are being sent: begins as soon as one of them is done */
		bool header_sent;
		bool pulled;      /* the peer has begun */
		uint64_t instead; /* number of the unfinished copy that the header is to replace */
		uint64_t number;  /* delta the unfinished copy is known to stand at */
		uint64_t cursor;  /* first hash not sent */
		bool all_sent;
		uint32_t n_flying;
		uint64_t flying[MEMBER_MAX_CREDIT]; /* first hashes of the chunks on their way */
		uint64_t restarted_us;
		uint64_t heard_us; /* last PULL, or when it was (re)started */
		struct snapshot walk;
	} snap;
};

struct owner_stream {
	uint64_t steerer;   /* process to answer; 0: has not resumed in this epoch */
	uint64_t committed; /* position as of the committed delta */
	uint64_t released;  /* what RESUME said */
};

struct owner {
	bool active;        /* this node is the owner in member.config */
	bool opened;        /* every in-sync replica has the base in this epoch */
	uint64_t base;      /* delta number the epoch began with */
	uint64_t committed; /* delta number */
	uint32_t n_peers;
	struct peer peers[MEMBER_MAX_PEERS];
	uint32_t n_wanted;
	uint64_t wanted[WIRE_MAX_MEMBERS];
	bool wants_known;                              /* a WANT has come in this epoch or before */
	struct owner_stream streams[WIRE_MAX_STREAMS]; /* by index in sigma.streams */
	bool late;                                     /* early release is off: a second stream waits for admission */
	uint64_t late_from;                            /* ... all released is committed with this delta */
	struct wire_resume held[WIRE_MAX_STREAMS];     /* RESUMEs that wait for the epoch to open */
	uint64_t held_from[WIRE_MAX_STREAMS];
	uint32_t n_held;
	uint64_t asked_us;
};

/* What happened, for events, metrics and tests; counts since the member was made. */
struct member_counters {
	uint64_t opened, deltas_sent, delta_bytes_sent, deltas_resent, chunks_sent, chunk_entries_sent, chunk_bytes_sent,
		snapshots_begun, snapshots_taken, refused_old, refused_full, gaps, faults, lost, fenced;
	uint64_t first_verdict_us; /* time of the first verdict told in the epoch now open, 0 none */
	uint64_t opened_us;
	uint64_t frozen_us; /* planned promotion: from the old owner's configuration to opening, as the new owner saw it */
};

struct member {
	struct member_env *env;
	uint64_t shard;
	struct config config;  /* adopted; epoch 0: none known */
	struct config pending; /* owner-to-be: adopted at FINAL or at the deadline; epoch 0: none */
	uint64_t pending_until_us;
	struct sigma *copy;     /* whole and promotable; NULL none */
	struct sigma *building; /* second copy, being filled by a snapshot */
	uint64_t building_cursor;
	bool damaged;        /* the copy was given up: a state could not be trusted, so this node may not open with an empty one */
	uint64_t said_epoch; /* epoch of the newest acknowledgement: until a newer one is adopted, the copy may be counted on */
	uint64_t pulled_us;
	uint64_t heard_number;   /* highest delta number the owner has said in this epoch */
	uint64_t heard_us;       /* last frame taken from the owner */
	struct wire_final final; /* last FINAL heard; epoch 0: none */
	struct log log;          /* of copy */
	struct owner owner;
	struct member_counters counters;
};

void member_init(struct member *m, struct member_env *env, uint64_t shard);
void member_fini(struct member *m);

/* The step function's events: a frame (decoded, its plan checked), the passing of time, a broken connection. */
void member_message(struct member *m, const struct wire_message *msg, uint64_t now_us);
void member_tick(struct member *m, uint64_t now_us);
void member_gone(struct member *m, uint64_t who, uint64_t now_us);
/* True if member_tick() has anything to do before long. */
bool member_busy(const struct member *m);

/* Sends the newest configuration known, if any. */
void member_tell_config(struct member *m, uint64_t to);
void member_fault(struct member *m, uint64_t what, uint64_t detail);

/* owner.c */
void owner_open(struct member *m, bool continuing, uint64_t now_us);
void owner_close(struct member *m);
void owner_work(struct member *m, const struct wire_work *w, uint64_t from, uint64_t now_us);
void owner_resume(struct member *m, const struct wire_resume *r, uint64_t from, uint64_t now_us);
void owner_hold(struct member *m, const struct wire_resume *r, uint64_t from);
void owner_retire(struct member *m, const struct wire_retire *r, uint64_t now_us);
/* Advances the committed number as far as acknowledgements allow, and tells steerers. */
void owner_commit(struct member *m, uint64_t now_us);

/* feed.c */
struct peer *feed_peer(struct member *m, uint64_t id);
void feed_begin(struct member *m, bool continuing, uint64_t now_us);
void feed_all(struct member *m, uint64_t now_us);
void feed_have(struct member *m, const struct wire_have *h, uint64_t from, uint64_t now_us);
void feed_pull(struct member *m, const struct wire_pull *p, uint64_t from, uint64_t now_us);
void feed_want(struct member *m, const struct wire_want *w, uint64_t now_us);
void feed_gone(struct member *m, uint64_t who);
void feed_tick(struct member *m, uint64_t now_us);
/* This process did not run for gap_us: it does not count as the peers' silence. */
void feed_forgive(struct member *m, uint64_t gap_us, uint64_t now_us);
void feed_end(struct member *m);
/* The number that every replica a commit needs has acknowledged in this epoch; false: some have acknowledged nothing. */
bool feed_acknowledged(const struct member *m, uint64_t *number);
/* Whether the owner may make one more delta. */
bool feed_has_room(const struct member *m);

/* replica.c */
void replica_sync(struct member *m, const struct wire_sync *s, uint64_t from, uint64_t now_us);
void replica_delta(struct member *m, const struct wire_delta *d, uint64_t from, uint64_t now_us);
void replica_chunk(struct member *m, const struct wire_chunk *c, uint64_t from, uint64_t now_us);
/* Tells the owner of a configuration just adopted what this replica has, before it asks. */
void replica_greet(struct member *m);
void replica_tick(struct member *m, uint64_t now_us);

#endif

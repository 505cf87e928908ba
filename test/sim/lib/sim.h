/* sim.h: a whole cluster in one process, on a virtual clock, from a seed.
 *
 * The simulator drives the very step functions that the daemons run (node/, controller/reconciler.c), with a network that delays,
 * drops, duplicates, reorders and partitions, processes that crash and lose their memory, and processes that pause and wake up as
 * zombies. After every event it checks the invariants I1 to I8 of docs/protocol.md on the process that was touched; at the end it
 * replays what was committed on a single instance and compares verdicts and tables. Equal seeds give equal runs.
 */
#ifndef SIM_H
#define SIM_H

#include "controller/reconciler.h"
#include "node/node.h"
#include "state/safeguard.h"

#define SIM_MAX_PROCS   16
#define SIM_MAX_SHARDS  4
#define SIM_MAX_STREAMS 3
#define SIM_MAX_PACKETS 128
#define SIM_MAX_HISTORY 32
#define SIM_MAX_DELTAS  4096
#define SIM_DELTA_PKTS  8
#define SIM_TEXT_BYTES  512

struct rng {
	uint64_t s;
};
uint64_t rng_next(struct rng *r);
/* 0 .. n-1. */
uint32_t rng_below(struct rng *r, uint32_t n);
bool rng_chance(struct rng *r, uint32_t percent);

/* One packet of one stream, and what became of it. */
struct sim_packet {
	uint32_t shard;
	uint64_t seq;
	uint64_t time_us;
	uint64_t committed_in; /* history; 0: not committed */
	struct verdict committed;
	bool released;
	uint64_t released_in; /* history */
	struct verdict verdict;
};

struct sim_stream {
	uint64_t id;
	uint64_t session;
	uint32_t n;
	struct sim_packet packets[SIM_MAX_PACKETS];
	uint32_t offered; /* next packet for the steerer now alive */
	uint64_t durable; /* journal */
	uint32_t host;    /* process */
	bool in_node;     /* hosted by a process that also owns shards */
};

/* What was once made: the delta of one lineage point. */
struct sim_delta {
	uint64_t shard, made_in, number; /* number 0: free place in the hash table */
	uint64_t before;
	uint64_t digest;
	bool by_owner;
	uint32_t n;
	struct {
		uint32_t stream, index;
		struct verdict verdict;
	} packets[SIM_DELTA_PKTS];
};

struct sim_history {
	uint64_t history;
	uint32_t n;                       /* deltas committed */
	uint64_t packets;                 /* in them */
	uint64_t made_in[SIM_MAX_DELTAS]; /* of delta number i + 1 */
	uint64_t position[SIM_MAX_STREAMS];
	bool started[SIM_MAX_STREAMS];
};

struct sim_shard {
	uint32_t n_histories;
	struct sim_history *histories[SIM_MAX_HISTORY];
	uint64_t newest_active; /* newest epoch in which somebody became an active owner */
	uint64_t newest_history;
	uint64_t base; /* what it began with: number, and the epoch of each number */
	uint64_t base_made_in[SIM_MAX_DELTAS];
};

enum sim_role { SIM_NODE, SIM_STEERER, SIM_CONTROLLER };

struct sim_proc {
	enum sim_role role;
	char name[16];
	uint64_t id;
	bool alive, paused;
	uint64_t resume_at;
	struct node node;
	bool has_steerer;
	uint32_t stream;
	struct steerer steerer;
	struct reconciler reconciler;
	struct outbox out; /* the controller's */
	/* checks */
	uint64_t epochs[SIM_MAX_SHARDS];
	uint64_t seen_number[SIM_MAX_SHARDS], seen_made_in[SIM_MAX_SHARDS];
	bool was_active[SIM_MAX_SHARDS];
	uint64_t active_epoch[SIM_MAX_SHARDS];
	uint64_t seen_committed[SIM_MAX_SHARDS];
	uint64_t committed_epoch[SIM_MAX_SHARDS];
	uint32_t n_executed;
	uint32_t executed_shard;
	struct {
		uint32_t stream, index;
		struct verdict verdict;
	} executed[64];
};

struct sim_event;

struct sim_floors {
	uint64_t moves, promotions, losses, crashes, pauses, partitions, drops, duplicates, snapshots, adds, steerer_restarts,
		controller_restarts, pair_crashes, fences, committed, early, resent, admissions_held;
};

struct sim {
	uint64_t seed;
	struct rng rng;
	uint64_t now;
	uint32_t n_shards, n_streams, n_nodes, n_controllers, n_procs;
	enum release_mode release;
	bool may_lose;
	bool has_pair;   /* the first two nodes are cores of one process: they crash together, and no shard has both */
	uint32_t lives;  /* of that process */
	bool lease_lies; /* until misfortune ends, every controller believes that it leads */
	uint32_t drop_percent, dup_percent, slow_percent;
	uint32_t table_capacity;
	struct sim_proc procs[SIM_MAX_PROCS];
	struct sim_stream streams[SIM_MAX_STREAMS];
	struct sim_shard shards[SIM_MAX_SHARDS];
	struct sim_delta *deltas; /* open addressing, SIM_MAX_DELTAS * 4 places */
	uint32_t n_deltas;
	bool cut[SIM_MAX_PROCS][SIM_MAX_PROCS];
	uint64_t heal_at, calm_since;
	struct store store; /* what the controllers see: may fail to answer */
	struct store real_store;
	bool store_fails;
	uint32_t chaos_left;
	uint32_t next_id;
	struct sim_event *heap;
	uint32_t n_heap, room_heap;
	uint64_t n_events, next_order;
	struct sim_floors floors;
	bool verbose;
	bool failed;
	char why[SIM_TEXT_BYTES];
};

/* Runs one seed to its end. Returns true if nothing was violated; else s->why says what. s is to be given to sim_fini(). */
bool sim_run(struct sim *s, uint64_t seed, bool verbose);
void sim_fini(struct sim *s);

/* Marks the run as failed (the first reason stays). */
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *s, const char *format, ...);

/* filter.c: the filter under test: its verdict is a hash of all that the shard has seen, in order. */
struct shard *sim_shard_new(void *ctx, uint64_t shard);
void sim_filter(struct sim *s, struct shard *state, const struct node_packet *p, struct verdict *v);
void sim_execute(void *proc, uint64_t shard, struct shard *state, const struct node_packet *p, uint32_t n, struct verdict *v);

/* check.c */
void sim_check_proc(struct sim *s, struct sim_proc *p);
void sim_check_frame(struct sim *s, const struct sim_proc *from, const uint8_t *frame, uint32_t bytes);
void sim_release(struct sim *s, struct sim_proc *p);
void sim_check_end(struct sim *s);

extern bool safeguard_removed[SAFEGUARD_COUNT]; /* in the simulator's build (state/safeguard.h) */
extern struct sim *sim_now;                     /* the run that is going on: callbacks have only their process */

#endif

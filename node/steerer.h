/* steerer.h: the input half of a node: one stream. Numbers packets per shard, keeps them until their verdicts are committed, resends
 * them to a new owner, and releases them in input order. Pure: packets, frames and time are passed in.
 *
 * A capture is one stream for ever: its numbers are a function of the file and the plan, so a restarted steerer takes it up again
 * from its journal (input index up to which all is released, committed and durable): it counts the packets before that index with
 * steerer_skip() and goes on. A live port is a fresh stream with each session.
 */
#ifndef NODE_STEERER_H
#define NODE_STEERER_H

#include "node/member.h"

#define STEERER_FLYING 512 /* what steerer_options.flying should be: more make queues, not throughput */

struct steerer_options {
	uint64_t stream;
	uint64_t session; /* larger than any before it of this stream */
	bool fresh;       /* a live port: numbers start anew */
	bool early;       /* release mode early */
	bool whole;       /* keep the whole packet for its release, not only what is carried to the owner */
	uint32_t n_shards;
	uint32_t window;       /* packets held altogether; a power of two */
	uint32_t shard_window; /* packets not yet acknowledged as durable in one shard, at most SIGMA_MAX_TAIL */
	uint32_t burst;        /* packets in one WORK, at most WIRE_MAX_BURST */
	uint32_t flying; /* packets sent to owners and without verdict, all shards together: what owners' queues are as long as */
	uint64_t repeat_us; /* RESUME is repeated after this long without progress */
};

/* One packet held. */
struct steerer_slot {
	uint64_t seq; /* in its shard */
	uint32_t shard;
	uint32_t next; /* slot of the shard's next packet; UINT32_MAX: none */
	bool settled;  /* the verdict is known */
	bool released;
	bool committed; /* nothing more can happen to it */
	struct verdict verdict;
	struct node_packet packet; /* data points into buffer */
	uint8_t *buffer;
	uint32_t room;
	uint64_t arrived_us;
};

enum steer_state { STEER_UNKNOWN, STEER_RESUMING, STEER_OPEN };

struct steer_shard {
	struct config config;
	enum steer_state state;
	uint64_t last;       /* number of the last packet */
	uint64_t sent;       /* sent up to here since the last POSITION */
	uint32_t flying;     /* sent to the owner now known, and without verdict */
	uint64_t known;      /* highest number whose verdict is known: in release mode early it may be released at any moment */
	uint64_t n_released; /* packets released by this process in this history */
	uint64_t acked;      /* durable up to here */
	uint32_t head, tail; /* slots of packets not committed; UINT32_MAX: none */
	uint64_t frozen_since_us; /* 0: not waiting for another owner */
	uint64_t answered_us;     /* the other owner has answered, but no new verdict has come yet; 0: no */
	uint64_t served_us;       /* last time a verdict came, or a first packet began to wait for one */
	uint64_t progress_us;     /* last time something moved, or RESUME was sent */
};

/* A shard that had to wait for another owner: from the last time the old one got anything done, but no sooner than packets waited
 * and no later than when the steerer learned of the new one. */
struct steerer_freeze {
	uint64_t at_us;     /* when the first verdict came that the old owner had not told; with no packet waiting, the answer */
	uint64_t frozen_us; /* until the new owner had answered: it executes again */
	uint64_t silent_us; /* until at_us */
	uint32_t shard;
};
#define STEERER_FREEZES 1024

struct steerer_counters {
	uint64_t packets, released, resent, resumes, refused_old, lost_released;
};

struct steerer {
	struct steerer_options options;
	struct outbox *out;
	struct steer_shard *shards;
	struct steerer_slot *slots; /* ring by input index */
	uint64_t first;             /* input index of the oldest packet held */
	uint64_t release;           /* ... of the next one to release */
	uint64_t end;               /* ... of the next packet to come */
	uint64_t flushed;           /* ... of the next one that steerer_flush() looks at */
	uint32_t flying;            /* sum of the shards' */
	uint64_t n_freezes;
	struct steerer_freeze freezes[STEERER_FREEZES]; /* ring */
	struct steerer_counters counters;
	/* scratch for WORK */
	uint64_t *time_us;
	uint32_t *input, *length, *carried;
	uint8_t *data;
	size_t data_room;
};

/* What the shell does with a packet. */
struct steerer_release {
	uint64_t index; /* input index, from 0 */
	uint32_t shard;
	uint64_t seq;
	uint64_t waited_us;
	struct verdict verdict; /* its index: where in the shard's history the packet stands */
	struct node_packet packet;
};

/* -EINVAL, -ENOMEM. */
int steerer_init(struct steerer *s, const struct steerer_options *options, struct outbox *out);
void steerer_fini(struct steerer *s);

/* Counts a packet that was released, committed and durable in an earlier session. Only before the first steerer_packet(). */
void steerer_skip(struct steerer *s, uint32_t shard);
/* Whether the next packet, of this shard, has room. If not, the input waits. */
bool steerer_has_room(const struct steerer *s, uint32_t shard);
/* Takes a packet (copies what it keeps). -EAGAIN: no room; -ENOMEM. It is sent by steerer_flush(). */
int steerer_packet(struct steerer *s, uint32_t shard, const struct node_packet *p, uint64_t now_us);
/* Sends what has come since the last call; once per burst. Shards whose owner has not answered yet catch up when it does. */
void steerer_flush(struct steerer *s);

/* CONFIG, VERDICTS, POSITION; others are ignored. */
void steerer_message(struct steerer *s, const struct wire_message *msg, uint64_t now_us);
void steerer_tick(struct steerer *s, uint64_t now_us);

/* The next packet in input order whose verdict may be told; false: none now. r->packet is valid until steerer_durable() passes it. */
bool steerer_next(struct steerer *s, struct steerer_release *r, uint64_t now_us);
/* Input index below which everything is released and committed: what a journal may record. */
uint64_t steerer_settled(const struct steerer *s);
/* The shell has made the outputs of all packets below index (at most steerer_settled()) durable. */
void steerer_durable(struct steerer *s, uint64_t index);
/* Nothing is held any more. */
bool steerer_idle(const struct steerer *s);

#endif

/* sigma.h: the whole state of one shard, as it is replicated: entries, clock, streams with their positions and tails, counters and
 * the lineage. Entries and positions never part: whoever has one has the other of the same moment.
 *
 * The lineage says which state this is: (epoch, number) of the last delta, and for each epoch the number of its first delta. An
 * epoch has one owner, and an owner makes one delta per number, so equal lineage implies equal state (invariant I5).
 */
#ifndef STATE_SIGMA_H
#define STATE_SIGMA_H

#include "state/shard.h"
#include "state/wire.h"

#define SIGMA_MAX_TAIL   4096 /* verdicts kept per stream: the largest window a steerer may have in one shard; a power of two */
#define SIGMA_MAX_NUMBER (1ull << 62) /* packets of a stream, deltas of a shard: a frame's numbers above that would wrap around */

/* What the filter said of one packet. */
struct verdict {
	uint64_t value;
	uint8_t error;  /* 0, or the error's number as the plan's engine names it */
	uint64_t index; /* history index: how many packets of all streams the shard had applied with this one */
};

/* A named input. Applied are all its packets up to position; the verdicts above acked, the tail, are kept for its steerer. */
struct sigma_stream {
	uint64_t id;
	uint64_t session; /* last admitted; frames of another session are refused */
	uint64_t position;
	uint64_t acked;
	bool retired;         /* over for ever: never admitted again; position and acked then say as of which delta */
	struct verdict *tail; /* ring: verdict of number n at n & (room - 1) */
	uint32_t room;
};

/* M(NAME, meaning): counters that survive moves. */
#define SIGMA_COUNTERS(M) \
	M(PACKETS, "packets applied") \
	M(IGNORED, "updates of tables that were never initialised") \
	M(INSERTIONS, "entries inserted") \
	M(EVICTIONS, "entries evicted") \
	M(EXPIRED, "entries expired") \
	M(DELETED, "entries deleted by the program")
#define SIGMA_COUNTER_ENUM(name, doc) SIGMA_##name,
enum sigma_counter { SIGMA_COUNTERS(SIGMA_COUNTER_ENUM) SIGMA_COUNTER_COUNT };

/* M(NAME, meaning): what became of the packets. Not sent with every delta: replicas count the verdicts that it brings. */
#define SIGMA_TALLIES(M) \
	M(DROPPED, "value 0") \
	M(ACCEPTED, "value 1") \
	M(LOGGED, "value 2 or more") \
	M(FIRST_ERROR, "error number 1; those of the other numbers follow")
#define SIGMA_ERRORS                9 /* error numbers counted each for itself; higher ones count as this */
#define SIGMA_TALLY_ENUM(name, doc) SIGMA_##name,
enum sigma_tally { SIGMA_TALLIES(SIGMA_TALLY_ENUM) SIGMA_TALLY_COUNT = SIGMA_FIRST_ERROR + SIGMA_ERRORS };

struct sigma {
	struct shard *shard; /* owned; its tables are tracked, or shared configuration */
	uint64_t history;
	uint64_t number;  /* of the last delta; 0: none yet */
	uint64_t made_in; /* epoch of the last delta; 0: none yet */
	uint32_t n_epochs;
	uint64_t epochs[WIRE_MAX_LINEAGE]; /* the newest ones, ascending */
	uint64_t starts[WIRE_MAX_LINEAGE]; /* number of each one's first delta */
	uint64_t counters[SIGMA_COUNTER_COUNT];
	uint64_t tallies[SIGMA_TALLY_COUNT];
	uint32_t n_streams;
	struct sigma_stream streams[WIRE_MAX_STREAMS];
	uint64_t tail_sum;                  /* set hash over all tails, kept up to date */
	uint64_t seen[SIGMA_COUNTER_COUNT]; /* not state: what the local tables had counted at the last delta */
};

/* Takes the shard. NULL: out of memory, the shard is then freed. */
struct sigma *sigma_new(struct shard *shard, uint64_t history);
void sigma_free(struct sigma *s);
/* Takes every entry out of every table that is not shared: where a snapshot begins. */
void sigma_clear_tables(struct sigma *s);

/* NULL: not registered. */
struct sigma_stream *sigma_stream(struct sigma *s, uint64_t id);
/* Registers a session of a stream. A stream that is new, or fresh, starts at position `start`; else its numbers go on.
 * Where WIRE_MAX_STREAMS are registered, a new one takes the place of the one retired longest ago, which is then forgotten.
 * -EACCES: retired, or an older session; -ENOSPC: no room for another stream; -ERANGE: start is above SIGMA_MAX_NUMBER. */
int sigma_admit(struct sigma *s, uint64_t id, uint64_t session, bool fresh, uint64_t start);
void sigma_retire(struct sigma *s, struct sigma_stream *st);
/* Makes room for n more verdicts in memory, beyond what is acknowledged by then. -ENOMEM; -ERANGE: their numbers are above
 * SIGMA_MAX_NUMBER. */
int sigma_reserve(struct sigma_stream *st, uint32_t n);
/* Appends the verdict of packet st->position + 1, counts it and gives it its history index. -ENOSPC: the tail is full, the steerer must acknowledge first; -ERANGE: that
 * number is above SIGMA_MAX_NUMBER; -ENOMEM. */
int sigma_push(struct sigma *s, struct sigma_stream *st, struct verdict v);
/* The same of a packet that is counted already and has its index. */
int sigma_keep(struct sigma *s, struct sigma_stream *st, struct verdict v);
/* Drops the tail's verdicts up to acked; a number outside the tail is cut to it. */
void sigma_ack(struct sigma *s, struct sigma_stream *st, uint64_t acked);
/* The verdict of number n, acked < n <= position. */
struct verdict sigma_verdict(const struct sigma_stream *st, uint64_t n);

/* Counts one more delta, made in epoch. */
void sigma_advance(struct sigma *s, uint64_t epoch);
/* The epoch in which delta `number` was made; 0 for number 0; UINT64_MAX where the lineage does not say. */
uint64_t sigma_made_in(const struct sigma *s, uint64_t number);

/* Brings the counters up to date with the local tables; call once per delta. */
void sigma_count(struct sigma *s);

/* Digest of everything but the lineage. The second one walks everything: for checks. */
uint64_t sigma_digest(struct sigma *s);
uint64_t sigma_digest_full(struct sigma *s);

#endif

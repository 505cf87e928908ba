/* wire.h: the message table of the cluster and its msgpack codec.
 *
 * One row per message, one row per field: the C structs, the encoder, the decoder, the size limits and docs/wire.md all come from
 * the rows below. A frame is one msgpack array: [version, kind, plan, from, field, field, ...], every field an unsigned integer or
 * a binary. Lists are binary columns of little-endian integers: a list of 1000 entries costs one length check, not 1000 objects.
 *
 * Decoders trust nothing: type, size, count and range of every field are checked before it is used; a decoded message points into
 * the frame and owns nothing. Encoding and decoding allocate nothing.
 */
#ifndef STATE_WIRE_H
#define STATE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION         1
#define WIRE_MAX_FRAME_BYTES (32u << 20)
#define WIRE_MAX_BURST       256        /* packets in one WORK */
#define WIRE_MAX_MEMBERS     8          /* in-sync replicas of one shard */
#define WIRE_MAX_NODES       64         /* incarnations in one ROSTER */
#define WIRE_MAX_SHARDS      65536      /* shards of one plan */
#define WIRE_MAX_ENTRIES     (1u << 19) /* table entries in one frame */
#define WIRE_MAX_REMOVED     (1u << 20) /* removed keys in one frame */
#define WIRE_MAX_TAIL        (1u << 16) /* verdicts in one frame */
#define WIRE_MAX_STREAMS     16         /* streams registered in one shard */
#define WIRE_MAX_LINEAGE     64         /* epochs kept in a lineage */
#define WIRE_MAX_BODY        (WIRE_MAX_FRAME_BYTES - 4096)

/* Field types: U64 an integer, limit = largest legal value (0: any). BYTES a binary of at most limit bytes. C8, C32, C64 a column of
 * at most limit little-endian integers. F(T, type, name, limit, meaning), T being the message. */
#define WIRE_FIELDS_CONFIG(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, epoch, 0, "raised by every change") \
	F(T, U64, history, 0, "raised only by a declared loss") \
	F(T, U64, plan, 0, "first 8 bytes of the plan's digest") \
	F(T, U64, owner, 0, "incarnation that executes the shard's packets") \
	F(T, U64, sealed, 1, "1: after a loss, until every live steerer knows the new history") \
	F(T, C64, in_sync, WIRE_MAX_MEMBERS, "incarnations whose acknowledgement a commit needs")
#define WIRE_FIELDS_WORK(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, history, 0, "history the packets were numbered in") \
	F(T, U64, stream, 0, "input stream") \
	F(T, U64, session, 0, "the stream's session") \
	F(T, U64, first, 0, "sequence number of the first packet; the others follow without gap") \
	F(T, U64, acked, 0, "every verdict up to this number is kept safe by the steerer") \
	F(T, C64, time_us, WIRE_MAX_BURST, "packet times") \
	F(T, C32, input, WIRE_MAX_BURST, "port numbers") \
	F(T, C32, length, WIRE_MAX_BURST, "bytes present in the packet, what PKTLEN gives") \
	F(T, C32, carried, WIRE_MAX_BURST, "bytes of it that are in data: those the program can read") \
	F(T, BYTES, data, WIRE_MAX_BODY, "the packets' carried bytes, one after the other")
#define WIRE_FIELDS_VERDICTS(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, history, 0, "history of the verdicts") \
	F(T, U64, epoch, 0, "epoch of the owner that speaks") \
	F(T, U64, stream, 0, "input stream") \
	F(T, U64, session, 0, "the stream's session") \
	F(T, U64, committed, 0, "everything up to this number is committed") \
	F(T, U64, first, 0, "sequence number of the first verdict below") \
	F(T, C64, value, WIRE_MAX_TAIL, "returned values") \
	F(T, C8, error, WIRE_MAX_TAIL, "0, or the error's number") \
	F(T, C64, run_at, WIRE_MAX_TAIL, \
	  "history indexes: of the first packet of each run of packets that no other stream's parted") \
	F(T, C32, run_n, WIRE_MAX_TAIL, "packets of each run; together as many as there are verdicts")
#define WIRE_FIELDS_RESUME(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, history, 0, "history the steerer is in") \
	F(T, U64, epoch, 0, "newest epoch the steerer knows") \
	F(T, U64, stream, 0, "input stream") \
	F(T, U64, session, 0, "the stream's session, never going back") \
	F(T, U64, fresh, 1, "1: numbers of this session start anew (a live port); 0: they go on (a capture)") \
	F(T, U64, first, 0, "first number still in the window; an empty history adopts it") \
	F(T, U64, acked, 0, "every verdict up to this number is kept safe by the steerer") \
	F(T, U64, released, 0, \
	  "highest number whose verdict is known and so may be released, committed or not (release mode early)")
#define WIRE_FIELDS_POSITION(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, history, 0, "history of the owner") \
	F(T, U64, epoch, 0, "epoch of the owner") \
	F(T, U64, stream, 0, "input stream") \
	F(T, U64, session, 0, "the stream's session") \
	F(T, U64, committed, 0, "everything up to this number is committed") \
	F(T, U64, applied, 0, "everything up to this number is applied: resend from the next") \
	F(T, U64, first, 0, "sequence number of the first verdict below") \
	F(T, C64, value, WIRE_MAX_TAIL, "the tail's returned values, up to the committed number") \
	F(T, C8, error, WIRE_MAX_TAIL, "0, or the error's number") \
	F(T, C64, run_at, WIRE_MAX_TAIL, "history indexes, as in VERDICTS") \
	F(T, C32, run_n, WIRE_MAX_TAIL, "packets of each run")
#define WIRE_FIELDS_SYNC(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, history, 0, "history of the owner") \
	F(T, U64, epoch, 0, "epoch of the owner") \
	F(T, U64, number, 0, "number of the owner's last delta") \
	F(T, U64, made_in, 0, "epoch in which that delta was made: with number, the lineage") \
	F(T, U64, digest, 0, "digest of the owner's whole state at that number")
#define WIRE_FIELDS_DELTA(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, history, 0, "history of the owner") \
	F(T, U64, epoch, 0, "epoch of the owner that sends") \
	F(T, U64, number, 0, "number of this delta") \
	F(T, U64, made_in, 0, "epoch in which it was made") \
	F(T, U64, before, 0, "epoch in which the delta before it was made") \
	F(T, BYTES, body, WIRE_MAX_BODY, "a CHANGES frame")
#define WIRE_FIELDS_CHANGES(F, T) \
	F(T, U64, clock_us, 0, "the shard's packet-time clock") \
	F(T, U64, digest, 0, "digest of the whole state with these changes") \
	F(T, U64, op, 4, "what the stream did: 0 nothing, 1 packets, 2 admitted, 3 retired") \
	F(T, U64, stream, 0, "input stream") \
	F(T, U64, session, 0, "the stream's session") \
	F(T, U64, position, 0, "the stream's position after it") \
	F(T, U64, acked, 0, "the stream's acknowledged number after it") \
	F(T, C64, counters, 16, "the state's counters after it") \
	F(T, C64, next_place, 256, "next queue position, by table") \
	F(T, C64, verdict, WIRE_MAX_BURST, "returned values of the packets up to position") \
	F(T, C8, error, WIRE_MAX_BURST, "0, or the error's number") \
	F(T, C8, gone_table, WIRE_MAX_REMOVED, "tables of the removed keys") \
	F(T, C64, gone_key, WIRE_MAX_REMOVED, "removed keys; applied before the entries") \
	F(T, C8, table, WIRE_MAX_ENTRIES, "tables of the entries") \
	F(T, C64, key, WIRE_MAX_ENTRIES, "keys") \
	F(T, C64, value, WIRE_MAX_ENTRIES, "values") \
	F(T, C64, place, WIRE_MAX_ENTRIES, "positions in their queues") \
	F(T, C32, stamp_s, WIRE_MAX_ENTRIES, "seconds of the last stores") \
	F(T, C8, flags, WIRE_MAX_ENTRIES, "queue, plus 4 where the mark is set")
#define WIRE_FIELDS_SIGMA(F, T) \
	F(T, U64, clock_us, 0, "the shard's packet-time clock") \
	F(T, U64, history, 0, "history of the state") \
	F(T, U64, number, 0, "number of its last delta") \
	F(T, U64, made_in, 0, "epoch in which that was made") \
	F(T, C64, counters, 16, "counters") \
	F(T, C64, tallies, 16, "packets dropped, accepted, logged, then in error by the error's number") \
	F(T, C64, next_place, 256, "next queue position, by table") \
	F(T, C64, epochs, WIRE_MAX_LINEAGE, "lineage: epochs") \
	F(T, C64, starts, WIRE_MAX_LINEAGE, "lineage: first delta number of each") \
	F(T, C64, stream, WIRE_MAX_STREAMS, "streams registered") \
	F(T, C64, session, WIRE_MAX_STREAMS, "the session last admitted of each") \
	F(T, C8, retired, WIRE_MAX_STREAMS, "1: retired for ever") \
	F(T, C64, position, WIRE_MAX_STREAMS, "position of each") \
	F(T, C64, acked, WIRE_MAX_STREAMS, "acknowledged number of each; position - acked verdicts follow below") \
	F(T, C64, verdict, WIRE_MAX_TAIL, "the tails' returned values, stream after stream") \
	F(T, C8, error, WIRE_MAX_TAIL, "0, or the error's number") \
	F(T, C64, index, WIRE_MAX_TAIL, "the packets' history indexes")
#define WIRE_FIELDS_HAVE(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, history, 0, "history of the replica's copy; 0: no copy") \
	F(T, U64, epoch, 0, "epoch of the frame that is answered") \
	F(T, U64, number, 0, "number of the last delta of the replica's whole copy") \
	F(T, U64, made_in, 0, "epoch in which that was made; the owner counts it as acknowledged only if its own is equal") \
	F(T, U64, gap, 1, "1: a later delta came; resend from the next number")
#define WIRE_FIELDS_CHUNK(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, epoch, 0, "epoch of the owner") \
	F(T, U64, number, 0, "number of the delta as of which the entries are") \
	F(T, U64, made_in, 0, "epoch in which that was made") \
	F(T, U64, instead, 0, "first chunk: number of the unfinished copy that it replaces, 0 none") \
	F(T, U64, from, 0, "key hashes from here") \
	F(T, U64, to, 0, "up to and with here") \
	F(T, U64, last, 1, "1: the copy is whole with this chunk") \
	F(T, U64, digest, 0, "digest of the whole state at number, for the last chunk") \
	F(T, BYTES, sigma, WIRE_MAX_BODY / 2, "first chunk: a SIGMA frame, else empty") \
	F(T, BYTES, body, WIRE_MAX_BODY / 2, "a CHANGES frame with entries alone")
#define WIRE_FIELDS_PULL(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, epoch, 0, "epoch the learner is in") \
	F(T, U64, number, 0, "last delta of the unfinished copy") \
	F(T, U64, made_in, 0, "epoch in which that was made") \
	F(T, U64, begun, 1, "1: there is an unfinished copy") \
	F(T, U64, cursor, 0, "it holds every key whose hash is below this") \
	F(T, U64, again, 1, "1: something was lost, resend from cursor and number") \
	F(T, U64, credit, 64, "chunks that may be on their way beyond cursor")
#define WIRE_FIELDS_FINAL(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, epoch, 0, "epoch that the old owner has left") \
	F(T, U64, number, 0, "number of its last delta") \
	F(T, U64, made_in, 0, "epoch in which that was made")
#define WIRE_FIELDS_ASK(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, epoch, 0, "the owner's epoch: the change is for this one") \
	F(T, U64, op, 2, "1: add to the in-sync set, 2: take out of it") \
	F(T, U64, who, 0, "incarnation")
#define WIRE_FIELDS_WANT(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, epoch, 0, "epoch the controller knows") \
	F(T, C64, members, WIRE_MAX_MEMBERS, "incarnations that are to hold the state besides the owner")
#define WIRE_FIELDS_RETIRE(F, T) F(T, C64, incarnation, WIRE_MAX_NODES, "known dead: sessions of that number are over for ever")
#define WIRE_FIELDS_REPORT(F, T) \
	F(T, BYTES, name, 64, "the node's name") \
	F(T, BYTES, endpoint, 256, "where other nodes reach it") \
	F(T, U64, roles, 3, "1: may own shards, 2: steers a stream") \
	F(T, U64, process, 0, "nodes that say the same one are cores of one process, and end together") \
	F(T, C64, epochs, WIRE_MAX_SHARDS, "newest epoch known, by shard") \
	F(T, C64, load, WIRE_MAX_SHARDS, "packets applied as owner since start, by shard") \
	F(T, C64, gone, WIRE_MAX_NODES, "incarnations whose connection broke")
#define WIRE_FIELDS_ROSTER(F, T) \
	F(T, U64, shards, WIRE_MAX_SHARDS, "number of shards of the plan") \
	F(T, C64, incarnation, WIRE_MAX_NODES, "live incarnations") \
	F(T, BYTES, endpoints, WIRE_MAX_NODES * 257, "their endpoints, each ended by a zero byte")
#define WIRE_FIELDS_FAULT(F, T) \
	F(T, U64, shard, WIRE_MAX_SHARDS - 1, "shard number") \
	F(T, U64, epoch, 0, "epoch") \
	F(T, U64, what, 8, \
	  "1: digests differ at equal lineage, 2: a change does not fit, 3: a copy of a lost history was still here, 4: plan " \
	  "differs, 5: a peer sent what is no frame, 6: packets were released under a history that is lost, 7: " \
	  "no room for another stream") \
	F(T, U64, detail, 0, \
	  "1 to 3: number of the delta; 4: the other plan; 5: the peer's incarnation; 6: how many packets; 7: the stream")
#define WIRE_FIELDS_COMMAND(F, T) \
	F(T, BYTES, text, 1u << 24, "JSON: what vfmctl asks of the controller, or the controller of a node")
#define WIRE_FIELDS_ANSWER(F, T) F(T, BYTES, text, 1u << 24, "JSON")

/* M(KIND, name, class, meaning). Classes, low to high: 0 configuration and heartbeats, 1 verdicts, 2 acknowledgements, 3 deltas,
 * 4 work, 5 snapshots, 6 records inside other frames. */
#define WIRE_MESSAGES(M) \
	M(CONFIG, config, 0, "a shard's configuration, verbatim from the store; also the answer to every frame that is too old") \
	M(WORK, work, 4, "steerer to owner: packets to execute") \
	M(VERDICTS, verdicts, 1, "owner to steerer") \
	M(RESUME, resume, 0, "steerer to owner: where do you stand? also admits a stream's new session") \
	M(POSITION, position, 1, "owner to steerer: the answer, and the answer to a gap") \
	M(SYNC, sync, 3, "owner to replica: opens an epoch, and repeats the highest delta number") \
	M(DELTA, delta, 3, "owner to replica: what one burst changed") \
	M(CHANGES, changes, 6, "record: changed entries as columns, the stream's step, verdicts") \
	M(SIGMA, sigma, 6, "record: all of a shard's state but its entries") \
	M(HAVE, have, 2, "replica to owner: the lineage of what it holds; an acknowledgement where lineages agree") \
	M(CHUNK, chunk, 5, "owner to learner: a range of key hashes") \
	M(PULL, pull, 2, "learner to owner: how far its second copy has got, and credit") \
	M(FINAL, final, 3, "old owner to new owner: there are no more deltas") \
	M(ASK, ask, 0, "owner to controller: one change of the in-sync set") \
	M(WANT, want, 0, "controller to owner: who should hold the state") \
	M(RETIRE, retire, 0, "controller to node: whose live ports' streams are over") \
	M(REPORT, report, 0, "node to controller: heartbeat") \
	M(ROSTER, roster, 0, "controller to node: who is there") \
	M(FAULT, fault, 0, "node to controller: something that must not happen did") \
	M(COMMAND, command, 0, "operator's request") \
	M(ANSWER, answer, 0, "its answer")

struct wire_bytes {
	const uint8_t *p;
	uint32_t n; /* bytes */
};
/* A column of n little-endian integers of 1, 4 or 8 bytes; not aligned. */
struct wire_column {
	const uint8_t *p;
	uint32_t n; /* elements */
};

#define WIRE_CTYPE_U64                         uint64_t
#define WIRE_CTYPE_BYTES                       struct wire_bytes
#define WIRE_CTYPE_C8                          struct wire_column
#define WIRE_CTYPE_C32                         struct wire_column
#define WIRE_CTYPE_C64                         struct wire_column
#define WIRE_MEMBER(T, type, name, limit, doc) WIRE_CTYPE_##type name;
#define WIRE_STRUCT(KIND, name, class, doc) \
	struct wire_##name { \
		WIRE_FIELDS_##KIND(WIRE_MEMBER, name) \
	};
WIRE_MESSAGES(WIRE_STRUCT)

#define WIRE_ENUM(KIND, name, class, doc) WIRE_##KIND,
enum wire_kind { WIRE_NONE, WIRE_MESSAGES(WIRE_ENUM) WIRE_KINDS };

/* FAULT's `what`. */
enum wire_fault_what {
	WIRE_FAULT_DIGEST = 1,
	WIRE_FAULT_CHANGE,
	WIRE_FAULT_STALE_COPY,
	WIRE_FAULT_PLAN,
	WIRE_FAULT_BAD_FRAMES,
	WIRE_FAULT_RELEASED_UNDER_LOST,
	WIRE_FAULT_STREAMS,
};

struct wire_message {
	enum wire_kind kind;
	uint64_t plan; /* digest of the sender's plan */
	uint64_t from; /* the sender's incarnation */
#define WIRE_UNION(KIND, name, class, doc) struct wire_##name name;
	union {
		WIRE_MESSAGES(WIRE_UNION)
	};
};

/* Descriptions generated from the rows: for the codec, the docs and the tests. */
enum wire_type { WIRE_U64, WIRE_BYTES, WIRE_C8, WIRE_C32, WIRE_C64 };
struct wire_field {
	const char *name;
	enum wire_type type;
	uint64_t limit;
	size_t offset; /* in the message's struct */
	const char *doc;
};
struct wire_shape {
	const char *name;
	unsigned class;
	unsigned n_fields;
	const struct wire_field *fields;
	const char *doc;
};
extern const struct wire_shape wire_shapes[WIRE_KINDS];

static inline uint64_t wire_c64(struct wire_column c, uint32_t i)
{
	uint64_t v;
	__builtin_memcpy(&v, c.p + 8 * (size_t)i, sizeof v);
	return v;
}
static inline uint32_t wire_c32(struct wire_column c, uint32_t i)
{
	uint32_t v;
	__builtin_memcpy(&v, c.p + 4 * (size_t)i, sizeof v);
	return v;
}
static inline uint8_t wire_c8(struct wire_column c, uint32_t i)
{
	return c.p[i];
}
/* Columns of host arrays (the host is little-endian: asserted in wire.c). */
static inline struct wire_column wire_column(const void *p, uint32_t n)
{
	return (struct wire_column){p, n};
}

/* An upper bound on the encoded size of m, in bytes. */
size_t wire_bound(const struct wire_message *m);
/* Writes the frame of m. Returns its length, or -ENOSPC when room is too small, -EINVAL when a field is above its limit. */
int64_t wire_encode(const struct wire_message *m, uint8_t *frame, size_t room);
/* Reads a frame into m, which then points into it. -EPROTO: not such a frame; m is then undefined. -EPROTONOSUPPORT: another
 * version of this protocol. */
int wire_decode(const uint8_t *frame, size_t n_bytes, struct wire_message *m);
/* The kind of a frame that has not been decoded yet; WIRE_NONE: it is none. A frame with a kind may still be bad. */
enum wire_kind wire_kind_of(const uint8_t *frame, size_t n_bytes);

#endif

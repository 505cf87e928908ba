/* snapshot.h: a shard's whole state in chunks, while the shard goes on.
 *
 * The sender walks the keys that existed when it began, in the order of mix64(key), and sends ranges of that order: each chunk holds
 * the range's entries as they are at the moment of sending. Deltas made meanwhile are sent in the same stream and applied to the
 * unfinished copy as they come. A chunk is taken only when the copy stands at the very delta as of which the chunk was made. Then:
 *
 *   for every key whose hash is below the cursor, the copy is exact (its chunk was exact, and every delta since has been applied);
 *   for every other key, the copy has it only if a delta brought it, and then exactly; its chunk will bring the same again.
 *
 * A key inserted after the sender began is in a delta; a key removed after is in a delta's removals, and no chunk has it. So at the
 * last chunk the copy is the state, and its digest must agree. The cursor is a hash, not a place in the sender's memory: another
 * walk, later or by another owner, resumes from (cursor, lineage).
 */
#ifndef STATE_SNAPSHOT_H
#define STATE_SNAPSHOT_H

#include "state/delta.h"

struct snapshot_key {
	uint64_t hash;
	uint64_t key;
	uint8_t table;
};

/* The sender's walk: keys in order of hash, then table. */
struct snapshot {
	struct snapshot_key *keys;
	uint64_t n;
};

/* Lists every entry that s holds. -ENOMEM. Cost: one pass and a sort. */
int snapshot_begin(struct snapshot *w, const struct sigma *s);
void snapshot_end(struct snapshot *w);
/* Gathers the entries of s with from <= hash, at least one key and about max_entries, into c and changes. *to: the last hash
 * covered; UINT64_MAX: nothing is left. -ENOMEM. */
int snapshot_chunk(const struct snapshot *w, const struct sigma *s, uint64_t from, uint32_t max_entries, struct delta_columns *c,
		   struct wire_changes *changes, uint64_t *to);

/* Columns behind a SIGMA record. */
struct snapshot_columns {
	uint64_t next_place[SHARD_MAX_TABLES];
	uint64_t stream[WIRE_MAX_STREAMS], session[WIRE_MAX_STREAMS], position[WIRE_MAX_STREAMS], acked[WIRE_MAX_STREAMS];
	uint8_t retired[WIRE_MAX_STREAMS];
	uint64_t verdict[WIRE_MAX_TAIL], index[WIRE_MAX_TAIL];
	uint8_t error[WIRE_MAX_TAIL];
	uint32_t run_n[WIRE_MAX_TAIL]; /* of VERDICTS and POSITION, whose run_at is in index */
};
/* Everything but the entries; w points into s and c. */
void snapshot_describe(const struct sigma *s, struct snapshot_columns *c, struct wire_sigma *w);
/* Makes s, fresh and without entries, what w describes. -EPROTO: malformed; s is then unusable. -ENOMEM. */
int snapshot_restore(struct sigma *s, const struct wire_sigma *w);

#endif

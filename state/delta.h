/* delta.h: what one step of a shard changed, as binary columns: the record CHANGES of wire.h.
 *
 * The owner makes a delta after each burst; a replica applies deltas in order: removals first, then entries verbatim. A replica
 * never evicts or expires by itself. Snapshots use the same columns for their entries.
 */
#ifndef STATE_DELTA_H
#define STATE_DELTA_H

#include "state/sigma.h"

enum delta_op { DELTA_NOTHING = 0, DELTA_PACKETS = 1, DELTA_ADMIT = 2, DELTA_RETIRE = 3 };

/* Growing scratch columns, reused from delta to delta; one per thread. Bound: WIRE_MAX_ENTRIES entries, WIRE_MAX_REMOVED keys. */
struct delta_columns {
	uint32_t n, room;
	uint8_t *table, *flags;
	uint64_t *key, *value, *place;
	uint32_t *stamp_s;
	uint32_t n_gone, room_gone;
	uint8_t *gone_table;
	uint64_t *gone_key;
	struct table_entry *entries; /* what table_changed() fills */
	uint32_t room_entries;
	uint64_t next_place[SHARD_MAX_TABLES];
	uint64_t verdict[WIRE_MAX_BURST];
	uint8_t error[WIRE_MAX_BURST];
};
void delta_columns_fini(struct delta_columns *c);
/* Appends one entry. -ENOSPC, -ENOMEM. */
int delta_columns_add(struct delta_columns *c, uint32_t table, const struct table_entry *e);
void delta_columns_reset(struct delta_columns *c);
/* Points the entry columns of w at c. */
void delta_columns_show(const struct delta_columns *c, struct wire_changes *w);

/* Gathers what changed in s since the last delta into w (which points into c), clears the tables' change lists, counts the delta as
 * made in epoch. n_verdicts: how many of st's newest verdicts belong to it; st may be NULL (nothing happened to a stream).
 * -ENOSPC: more changes than a frame holds; -ENOMEM. The state is then unusable for replication. */
int delta_make(struct sigma *s, uint64_t epoch, enum delta_op op, const struct sigma_stream *st, uint32_t n_verdicts,
	       struct delta_columns *c, struct wire_changes *w);

/* Applies w, made in epoch as the delta after s's last. -EPROTO: malformed, or of an epoch before it, nothing was changed. -EILSEQ: it does not fit this
 * state or the digests differ afterwards: s is no longer to be trusted. -ENOMEM. */
int delta_apply(struct sigma *s, uint64_t epoch, const struct wire_changes *w);
/* Puts the entries of w alone, as a snapshot's chunk. Errors as above. */
int delta_put_entries(struct sigma *s, const struct wire_changes *w);

#endif

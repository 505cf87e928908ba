/* log.h: the last deltas of one shard, encoded, so that a peer that is a little behind gets them instead of a snapshot. Every copy
 * keeps one, because any replica may be the next owner. Bounded by count and bytes: the owner stops applying before it would lose a
 * delta that an in-sync replica has not acknowledged; a replica just forgets the oldest. */
#ifndef NODE_LOG_H
#define NODE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_entry {
	uint64_t made_in; /* epoch */
	uint64_t stream;  /* whose step it was; 0 with position 0: nobody's */
	uint64_t session;
	uint64_t position; /* of that stream after it */
	uint8_t *body;     /* a CHANGES frame */
	uint32_t bytes;
};

struct log {
	uint64_t first; /* number of the oldest delta held */
	uint32_t n;
	uint32_t max_deltas;
	size_t bytes, max_bytes;
	uint32_t room; /* power of two; entry of delta k at k & (room - 1) */
	struct log_entry *ring;
};

void log_init(struct log *l, uint32_t max_deltas, size_t max_bytes);
void log_fini(struct log *l);
/* Forgets all; the next delta appended is `next`. */
void log_restart(struct log *l, uint64_t next);
/* Appends delta first + n; takes body (malloc'ed) even on failure. Drops the oldest beyond the bounds. -ENOMEM: the log then holds
 * nothing but goes on. */
int log_append(struct log *l, struct log_entry e);
/* NULL: not held (any more, or yet). */
const struct log_entry *log_at(const struct log *l, uint64_t number);
/* Whether one more delta fits without dropping number `keep` or a later one. */
bool log_has_room(const struct log *l, uint64_t keep);

#endif

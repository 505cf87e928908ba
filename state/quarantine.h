/* quarantine.h: which peers sent what is no frame: they are cut off until they come back as a new incarnation. Bounded: of more than
 * QUARANTINE_MAX the oldest is forgotten, and caught again by its next bad frame. */
#ifndef STATE_QUARANTINE_H
#define STATE_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

#define QUARANTINE_MAX 64

struct quarantine {
	uint32_t n, next; /* entries; where the next one goes */
	uint64_t id[QUARANTINE_MAX];
	uint64_t bad_frames;     /* that were no frames, of anybody */
	uint64_t dropped_frames; /* good or bad, of those in quarantine */
};

/* Peers name themselves on their connections: 'N' and the incarnation, little-endian. */
#define QUARANTINE_NAME_BYTES 9
void quarantine_name(uint64_t id, uint8_t name[QUARANTINE_NAME_BYTES]);
/* The incarnation in a connection's name; 0: nameless (vfmctl, strangers). */
uint64_t quarantine_id(const uint8_t *name, uint32_t n_bytes);

bool quarantine_has(const struct quarantine *q, uint64_t id);
/* True if id is in quarantine: its frame is to be dropped, and is counted. */
bool quarantine_drops(struct quarantine *q, uint64_t id);
/* A peer (0: nameless) sent what is no frame. True if it was not in quarantine before, and is now. */
bool quarantine_bad(struct quarantine *q, uint64_t id);

#endif

/* demand.h: the backward slice of a value, bit by bit: which bits of which values, packet bytes and tables it can depend on.
 *
 * A bit that is not demanded can change without changing the value, wherever the value is computed at all. Which of several values
 * a join brings is part of the slice: the branches between the join and its dominator are demanded whole.
 */
#ifndef ANALYSIS_DEMAND_H
#define ANALYSIS_DEMAND_H

#include "analysis/analysis.h"
#include "analysis/control.h"

#define DEMAND_PACKET_BYTES (VFM_MAX_PACKET_BYTES + 8)

struct demand {
	const struct ir *ir;
	const struct objects *objects;
	struct control *control;
	const uint32_t *object_of; /* [n_values] object of an access site, IR_NONE */
	uint64_t *bits;            /* [n_values] demanded bits of each value */
	bool *queued;              /* [n_values] */
	bool *gated;               /* [n_blocks] the block's gate is demanded */
	uint32_t *touched;         /* [n_values] values with demanded bits */
	uint32_t n_touched;
	uint32_t *queue; /* [n_values] */
	uint32_t n_queue;
	uint32_t *gates; /* [n_blocks] blocks with gated set */
	uint32_t n_gates;
	bool decided;          /* every branch is demanded */
	uint8_t *objects_read; /* [objects->n] its contents are demanded */
};

/* object_of as objects_index() gives it; everything must outlive d. 0 or -ENOMEM; free with demand_fini in either case. */
int demand_init(struct demand *d, const struct ir *ir, const struct objects *o, const uint32_t *object_of, struct control *c);
void demand_fini(struct demand *d);
/* Forgets; then the slice of the bits of each seed is taken with demand_add and demand_run. */
void demand_clear(struct demand *d);
void demand_add(struct demand *d, uint32_t value, uint64_t bits);
void demand_run(struct demand *d);

#endif

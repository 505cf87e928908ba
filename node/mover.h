/* mover.h: now and then moves shards from busy cores of a data plane to idle ones (balance.h). */
#ifndef NODE_MOVER_H
#define NODE_MOVER_H

#include "node/dataplane.h"

struct mover;

/* Looks every period_ms, 0: never. NULL: out of memory. */
struct mover *mover_new(uint32_t period_ms);
void mover_free(struct mover *m);

/* From the thread of dataplane_swap(), often; code is what runs, and dataplane_swapped() has been true of it. now_ns is monotonic. */
void mover_tick(struct mover *m, struct dataplane *dp, const struct loaded *code, uint64_t now_ns);

/* Shards moved so far. */
uint32_t mover_moves(const struct mover *m);
/* The longest time in which, for a move, nothing was received, nanoseconds. */
uint64_t mover_longest_ns(const struct mover *m);

#endif

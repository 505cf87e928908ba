/* control.h: which branches decide whether a block runs, and which of a block's entries is taken. */
#ifndef ANALYSIS_CONTROL_H
#define ANALYSIS_CONTROL_H

#include "vm/ir.h"

struct control {
	uint32_t n_blocks;
	uint32_t *ipdom; /* [n_blocks] nearest block on all ways out; n_blocks: only the end of the program is */
	uint32_t *first; /* [n_blocks + 1] into deciders: those of block b are deciders[first[b]] to deciders[first[b + 1] - 1] */
	uint32_t *deciders; /* blocks whose branch decides directly whether the block runs (Ferrante, Ottenstein, Warren 1987) */
	uint32_t *queue;    /* [n_blocks] scratch of control_gate */
	uint32_t *seen;     /* [n_blocks] scratch of control_gate: the round in which the block was seen */
	uint32_t round;
};

/* 0 or -ENOMEM; free with control_fini in either case. */
int control_find(const struct ir *ir, struct control *c);
void control_fini(struct control *c);
/* The blocks between the block's immediate dominator (included) and itself: their branches decide by which edge it is entered.
 * Gives their number; the list lives until the next call. The ir needs ir_dom. */
uint32_t control_gate(const struct ir *ir, struct control *c, uint32_t block, const uint32_t **list);

#endif

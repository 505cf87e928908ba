/* tally.h: counts verdicts: accept, log, drop, errors by name, and how often each value was returned. */
#ifndef NODE_TALLY_H
#define NODE_TALLY_H

#include "vm/verdict.h"

#define TALLY_VALUES 256 /* different values counted one by one; packets with further ones are counted together */

struct tally_value {
	uint64_t value;
	uint64_t packets;
};

/* packets = accept + drop + sum of errors; log is part of accept. Start from all zeros. */
struct tally {
	uint64_t packets;
	uint64_t accept; /* value 1 or more */
	uint64_t drop;   /* value 0 */
	uint64_t log;    /* value 2 or more */
	uint64_t errors[VERDICT_ERROR_KINDS];
	uint64_t other_values; /* packets whose value found no room below */
	uint32_t n_values;
	uint32_t recent; /* index of the value counted last */
	struct tally_value values[TALLY_VALUES];
};

void tally_add(struct tally *t, const struct vfm_result *r);
uint64_t tally_errors(const struct tally *t);
/* Puts values in ascending order. */
void tally_sort(struct tally *t);

#endif

/* report.h: what a run over packets gave, for people and as JSON (the keys are fixed: docs/vfm-test.md). */
#ifndef NODE_REPORT_H
#define NODE_REPORT_H

#include <stdio.h>

#include "node/engine.h"
#include "node/tally.h"

/* One table, summed over all shards. */
struct report_table {
	uint8_t number;
	uint64_t entries;  /* live at the end, preloaded ones included */
	uint64_t capacity; /* 0: without limit (flat), or not initialised */
	uint64_t evictions;
	uint64_t expired;
};

/* Start from all zeros. */
struct report {
	struct tally tally;
	uint32_t n_tables;
	struct report_table tables[SHARD_MAX_TABLES];
	bool flat;         /* tables have no capacity */
	uint64_t shards;   /* added so far */
	uint64_t fullest;  /* live entries of the shard that has most */
	uint64_t ignored;  /* updates of tables that were never initialised */
	uint64_t clock_us; /* latest clock of a shard */
	struct engine_tiers tiers;
	uint64_t time_back;
	uint64_t cut;
	double seconds; /* of wall time, reading included */
};

/* Adds one shard of program p to the sums. -ENOMEM. */
int report_add_shard(struct report *r, const struct program *p, const struct shard *s);

/* One line. */
void report_print_summary(const struct report *r, FILE *out);
/* Everything, as a table for people. Sorts the tally's values. */
void report_print_statistics(struct report *r, FILE *out);
/* One JSON object and a line feed. Sorts the tally's values. */
void report_print_json(struct report *r, FILE *out);

#endif

/* runner.h: an owner's packets through an engine: guard, machine, verdict. Packets come as WORK has them, of which only the bytes that
 * the program can read were carried. */
#ifndef NODE_RUNNER_H
#define NODE_RUNNER_H

#include "analysis/deploy.h"
#include "node/engine.h"
#include "node/member.h"

struct runner {
	const struct deploy *deploy;
	struct engine *engine;
	uint32_t slot_bytes; /* of scratch, for one packet */
	uint8_t *scratch;    /* packets that were not carried whole, zeroes behind what was: compiled code may look that far */
};

/* The plan must outlive it. -ENOMEM. */
int runner_init(struct runner *r, const struct deploy *deploy, enum engine_kind kind);
void runner_fini(struct runner *r);
/* Runs packets of one shard in order; each carries at least the bytes that the plan can read, or all it has. */
void runner_run(struct runner *r, struct shard *shard, const struct node_packet *packets, uint32_t n, struct verdict *verdicts);

#endif

/* deploy.h: what every process of a cluster must agree on: the program, how it is split, how large its tables are. Read from the
 * same command-line options by the node, the controller and vfmctl; its digest is in every frame. */
#ifndef ANALYSIS_DEPLOY_H
#define ANALYSIS_DEPLOY_H

#include "analysis/plan.h"
#include "vm/diag.h"

#define DEPLOY_WHY_BYTES        512
#define DEPLOY_DEFAULT_CAPACITY 65536u

struct deploy_options {
	const char *expression; /* -e, or NULL: filter */
	const char *filter;
	const char *certificate; /* NULL: one shard */
	uint32_t shards;         /* 0: 1 without a certificate, else the default */
	uint32_t capacity;       /* of every table; 0: as declared */
	uint32_t insn_limit;
};

struct deploy {
	struct deploy_options options;
	struct program *program;
	struct cert *cert; /* NULL: none */
	struct plan *plan;
	uint64_t digest; /* of all of the above */
};

/* 0; -EINVAL with why ("what, where: what to do"; compile errors are in d as well), -ENOMEM. d may be printed by the caller. */
int deploy_open(struct deploy *d, const struct deploy_options *o, struct diag_list *diags, char **text, char why[DEPLOY_WHY_BYTES]);
void deploy_close(struct deploy *d);
/* A fresh shard, tracked. NULL: out of memory. */
struct shard *deploy_shard(const struct deploy *d, uint64_t layout_seed);

#endif

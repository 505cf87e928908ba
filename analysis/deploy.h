/* deploy.h: the plan: what every process of a cluster must agree on: the program, how it is split, how large its tables are and what
 * is in them at the start. Read from the same command-line options by the node, the controller and vfmctl, or taken as one text from
 * the controller; its digest is in every frame. Whichever way it came, the program is verified and the certificate proved here
 * before anything runs (invariant I9). */
#ifndef ANALYSIS_DEPLOY_H
#define ANALYSIS_DEPLOY_H

#include "analysis/plan.h"
#include "vm/diag.h"
#include "vm/table_file.h"

#define DEPLOY_WHY_BYTES        512
#define DEPLOY_DEFAULT_CAPACITY 65536u
#define DEPLOY_NAME_BYTES       128

struct deploy_options {
	const char *expression; /* -e, or NULL: filter */
	const char *filter;
	const char *certificate; /* NULL: one shard */
	const char *preload;     /* table file; NULL: none */
	uint32_t shards;         /* 0: 1 without a certificate, else the default */
	uint32_t capacity;       /* of every table; 0: as declared */
	uint32_t insn_limit;
};

struct deploy {
	char name[DEPLOY_NAME_BYTES]; /* of the filter, for people; not part of the digest */
	uint32_t capacity;            /* as in the options */
	uint32_t insn_limit;
	uint64_t generation; /* 0: from a command line; else the how-manieth plan that was loaded into the cluster */
	struct program *program;
	struct cert *cert; /* NULL: none */
	struct plan *plan;
	struct table_file preload;
	uint32_t readable_bytes;     /* of a packet: no byte behind them can change its verdict, as long as its length is told */
	struct shard *configuration; /* has the tables that nothing updates; every shard shares them */
	uint64_t digest;             /* of all of the above but the name */
};

/* 0; -EINVAL with why ("what, where: what to do"; empty where it is all in diags: compile errors, with file and line), -ENOMEM,
 * -ENOSPC (tables). diags may be printed by the caller, who then frees *text. After a failure there is nothing to close. */
int deploy_open(struct deploy *d, const struct deploy_options *o, struct diag_list *diags, char **text, char why[DEPLOY_WHY_BYTES]);
/* The same with a certificate that is already in memory, NULL: none; options->certificate is not looked at. */
int deploy_open_with(struct deploy *d, const struct deploy_options *o, const struct cert *cert, struct diag_list *diags,
		     char **text, char why[DEPLOY_WHY_BYTES]);
void deploy_close(struct deploy *d);
/* A fresh shard of this number, tracked, with its preloaded entries. It must not outlive d. NULL: out of memory. */
struct shard *deploy_shard(const struct deploy *d, uint32_t number, uint64_t layout_seed);
/* Another generation is another plan. */
void deploy_set_generation(struct deploy *d, uint64_t generation);

/* The plan as one JSON object, on the heap; NULL: out of memory. */
char *deploy_encode(const struct deploy *d);
/* Trusts nothing in the text, its digest included. Errors as deploy_open(), all of them in why. */
int deploy_decode(struct deploy *d, const char *json, size_t bytes, char why[DEPLOY_WHY_BYTES]);

/* deploy.c, for deploy_json.c: program, cert, preload and numbers are set; checks the split and makes the rest.
 * where names the certificate in why. */
int deploy_finish(struct deploy *d, uint32_t shards, const char *where, char why[DEPLOY_WHY_BYTES]);

#endif

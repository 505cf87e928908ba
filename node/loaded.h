/* loaded.h: a filter ready to run on several cores: program, plan, the state of every shard, an engine per core. */
#ifndef NODE_LOADED_H
#define NODE_LOADED_H

#include "node/sharded.h"

#define LOADED_MAX_CORES 16

struct loaded {
	struct program *program; /* owned */
	struct plan *plan;       /* owned */
	struct sharded sharded;
	bool owns_state; /* false once another has taken it */
	uint32_t cores;
	struct engine *engines[LOADED_MAX_CORES];
	uint64_t *shard_packets; /* [sharded.n] run so far; written by the core that owns the shard */
};

struct loaded_options {
	uint32_t shards; /* of the plan, 1 without certificate */
	uint32_t cores;
	enum engine_kind engine;
	uint32_t insn_limit;
	struct program_state_options state;
};

/* Takes the program over, also on failure. With why: -EINVAL (the certificate is refused), -EPERM (parts_check); -ENOTSUP (no such engine), -ENOSPC,
 * -ENOMEM. preload may be empty. */
int loaded_new(struct program *p, const struct cert *cert, const struct loaded_options *options, const struct table_file *preload,
	       struct loaded **out, char *why, size_t why_bytes);
/* Nobody may run it any more. May be NULL. */
void loaded_free(struct loaded *l);

/* Would `to` find in the tables of `from` what it expects: the same tables with the same sizes, split alike? */
bool loaded_same_state(const struct loaded *from, const struct loaded *to);
/* Gives the state of `from` to `to`, whose own is freed. Only if loaded_same_state(); cores may go on running `from` meanwhile, since
 * a shard is touched by the core that owns it alone. */
void loaded_take_state(struct loaded *to, struct loaded *from);

#endif

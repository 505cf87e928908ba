/* plan.h: a program together with how it is split: what decides, packet by packet, which shard works on it.
 *
 * shard(packet) = mix64(S(packet)) cut to the number of shards, which is a power of two. A plan without a certificate has one shard.
 * Immutable after plan_new, so threads may share one.
 */
#ifndef ANALYSIS_PLAN_H
#define ANALYSIS_PLAN_H

#include "analysis/cert.h"
#include "vm/interp.h"

#define PLAN_MAX_SHARDS     65536u
#define PLAN_DEFAULT_SHARDS 1024u

struct plan {
	const struct program *program; /* not owned */
	struct cert *cert;             /* owned copy; NULL: one shard */
	uint32_t shards;
	struct program *steer; /* NULL: one shard */
	struct interp *steer_code;
	struct shard *steer_shard; /* empty: carries the seed */
	bool *owned_pc;            /* [program->len] an owned access stands at this address */
};

/* Checks the certificate first. seed is the plan's HASH5 seed. -EINVAL with why (the certificate is refused, or shards is no power
 * of two up to PLAN_MAX_SHARDS, or above 1 without certificate), -ENOMEM. */
int plan_new(const struct program *p, const struct cert *cert, uint32_t shards, uint64_t seed, struct plan **out, char *why,
	     size_t why_bytes);
void plan_free(struct plan *plan);

/* S(packet); 0 without a certificate. Not thread-safe against itself on one plan only in that it shares steer_shard, which it does
 * not change. */
uint64_t plan_steer(const struct plan *plan, const struct vfm_packet *packet);
uint32_t plan_shard_of_key(const struct plan *plan, uint64_t steered);
uint32_t plan_shard(const struct plan *plan, const struct vfm_packet *packet);
/* False: the plan drops the packet, counted as GUARD. */
bool plan_guard_holds(const struct plan *plan, const struct vfm_packet *packet);

/* The interpreter with suspicion: steps through the program on the shard and compares pi(key) with S(packet) at each owned access.
 * 0, or -EPROTO with *pc and *key of the access that breaks the certificate (the packet is then not finished). */
int plan_run_paranoid(const struct plan *plan, struct shard *shard, const struct vfm_packet *packet, uint32_t insn_limit,
		      struct vfm_result *result, uint32_t *pc, uint64_t *key);

#endif

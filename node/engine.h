/* engine.h: what runs a program on bursts of packets: the interpreter, or a compiled form. */
#ifndef NODE_ENGINE_H
#define NODE_ENGINE_H

#include "vm/interp.h"

#define ENGINE_BURST_PACKETS 64

/* X(enum name, name on the command line) */
#define ENGINE_KINDS(X) \
	X(INTERP, "interp") \
	X(JIT, "jit") \
	X(BURST, "burst")

#define ENGINE_KIND_ENUM(kind, name) ENGINE_##kind,
enum engine_kind { ENGINE_KINDS(ENGINE_KIND_ENUM) ENGINE_KIND_COUNT };
#undef ENGINE_KIND_ENUM

/* Who ran the packets. fallback: packets that a compiled form gave back to the interpreter. */
#define ENGINE_TIERS(X) X(interp) X(scalar) X(avx2) X(avx512) X(fallback)

struct engine_tiers {
#define ENGINE_TIER_FIELD(tier) uint64_t tier;
	ENGINE_TIERS(ENGINE_TIER_FIELD)
#undef ENGINE_TIER_FIELD
};

struct engine;

/* -1: no engine of that name. */
int engine_kind_of(const char *name);
const char *engine_kind_name(enum engine_kind kind);

/* p must outlive *out, which engine_free() releases. Where there is no machine code it interprets, and the process says so once on standard
 * error. -ENOMEM. */
int engine_new(const struct program *p, enum engine_kind kind, uint32_t insn_limit, struct engine **out);
void engine_free(struct engine *e);
/* Runs n packets (at most ENGINE_BURST_PACKETS), packets[i] on shards[i], those of one shard in order; results[i] is what packets[i]
 * got. */
void engine_run(struct engine *e, struct shard *const *shards, const struct vfm_packet *packets, uint32_t n,
		struct vfm_result *results);
struct engine_tiers engine_tiers(const struct engine *e);

#endif

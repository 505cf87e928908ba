/* jit.h: verified programs as machine code. Semantics are the interpreter's to the bit: value, first error, tables, limits.
 *
 * What a CPU cannot run, or a system that gives no executable memory, falls back to the interpreter; jit_tier() tells. VFM_JIT in the
 * environment (interp, scalar, avx2, avx512) lowers the best tier that is used.
 */
#ifndef JIT_JIT_H
#define JIT_JIT_H

#include <stdio.h>

#include "vm/interp.h"

enum jit_tier {
	JIT_INTERP, /* no machine code */
	JIT_SCALAR, /* one packet at a time */
	JIT_AVX2,   /* 8 packets at a time as far as possible */
	JIT_AVX512, /* 16 packets at a time as far as possible */
	JIT_TIERS,
};

struct jit;

/* Packets run by each tier since jit_new(): by the one that found the verdict. continued: of tier[JIT_SCALAR], those that were begun together with
 * others. fallback: given back to the interpreter by code that was compiled. */
struct jit_counts {
	uint64_t tier[JIT_TIERS];
	uint64_t continued;
	uint64_t fallback;
};

/* The best tier of this CPU, lowered by VFM_JIT. */
enum jit_tier jit_best_tier(void);
const char *jit_tier_name(enum jit_tier tier);

/* Compiles p for at most the given tier. insn_limit as in vm/vfm.h; p must outlive *out, which jit_free() releases. -ENOMEM only:
 * what cannot be compiled is interpreted. Time is linear in the program. Not thread-safe per object: one thread runs it. */
int jit_new(const struct program *p, enum jit_tier tier, uint32_t insn_limit, struct jit **out);
void jit_free(struct jit *j);
/* What it compiled to. */
enum jit_tier jit_tier(const struct jit *j);
/* Why that is JIT_INTERP; NULL: it is not. */
const char *jit_why_not(const struct jit *j);

/* One packet on its shard: advances the shard's clock, then runs. */
void jit_run(struct jit *j, struct shard *s, const struct vfm_packet *packet, struct vfm_result *result);
/* The same for n packets, packet i on shards[i]: equals n calls in order. */
void jit_burst(struct jit *j, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
	       struct vfm_result *results);

struct jit_counts jit_counts(const struct jit *j);
/* The machine code; NULL and 0 for JIT_INTERP. */
const uint8_t *jit_code(const struct jit *j, size_t *bytes);
/* The code that runs packets one after another; NULL and 0: there is none. */
const uint8_t *jit_loop_code(const struct jit *j, size_t *bytes);
/* The code for up to JIT_LANES packets at once (8 in AVX2), its constants behind it; NULL and 0: there is none. */
#define JIT_LANES 16
const uint8_t *jit_vector_code(const struct jit *j, size_t *bytes);
/* Writes all as assembly. -1: no disassembler for this CPU, or no memory. */
int jit_list(const struct jit *j, FILE *out);

#endif

/* engine.c: see engine.h. */
#include "node/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jit/jit.h"

struct engine {
	enum engine_kind kind;
	struct interp *interp; /* ENGINE_INTERP */
	struct jit *jit;       /* the others */
	uint32_t insn_limit;
	struct engine_tiers tiers;
};

static const char *const kind_names[] = {
#define NAME(kind, name) [ENGINE_##kind] = name,
	ENGINE_KINDS(NAME)
#undef NAME
};

int engine_kind_of(const char *name)
{
	for (int i = 0; i < ENGINE_KIND_COUNT; i++)
		if (strcmp(name, kind_names[i]) == 0)
			return i;
	return -1;
}

const char *engine_kind_name(enum engine_kind kind)
{
	return kind_names[kind];
}

/* For the operator, once however many engines a process makes. */
static void tell_that_it_interprets(const struct engine *e)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;

	if (e->jit && jit_why_not(e->jit) && !atomic_flag_test_and_set(&told))
		fprintf(stderr, "%s: no machine code (%s), --engine %s: interpreting instead\n", program_invocation_short_name,
			jit_why_not(e->jit), engine_kind_name(e->kind));
}

int engine_new(const struct program *p, enum engine_kind kind, uint32_t insn_limit, struct engine **out)
{
	struct engine *e = calloc(1, sizeof(*e));
	enum jit_tier best = jit_best_tier();

	*out = NULL;
	if (!e)
		return -ENOMEM;
	e->kind = kind;
	e->insn_limit = insn_limit;
	if (kind == ENGINE_INTERP)
		e->interp = interp_new(p);
	else if (jit_new(p, kind == ENGINE_JIT && best > JIT_SCALAR ? JIT_SCALAR : best, insn_limit, &e->jit))
		e->jit = NULL;
	if (!e->interp && !e->jit) {
		free(e);
		return -ENOMEM;
	}
	tell_that_it_interprets(e);
	*out = e;
	return 0;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	interp_free(e->interp);
	jit_free(e->jit);
	free(e);
}

void engine_run(struct engine *e, struct shard *const *shards, const struct vfm_packet *packets, uint32_t n,
		struct vfm_result *results)
{
	assert(n <= ENGINE_BURST_PACKETS);
	if (e->kind == ENGINE_BURST) {
		jit_burst(e->jit, n, packets, shards, results);
		return;
	}
	for (uint32_t i = 0; i < n && e->kind == ENGINE_JIT; i++)
		jit_run(e->jit, shards[i], &packets[i], &results[i]);
	for (uint32_t i = 0; i < n && e->kind == ENGINE_INTERP; i++)
		interp_run(e->interp, shards[i], &packets[i], e->insn_limit, &results[i]);
	if (e->kind == ENGINE_INTERP)
		e->tiers.interp += n;
}

struct engine_tiers engine_tiers(const struct engine *e)
{
	struct engine_tiers tiers = e->tiers;
	struct jit_counts c;

	if (!e->jit)
		return tiers;
	c = jit_counts(e->jit);
	tiers.interp = c.tier[JIT_INTERP];
	tiers.scalar = c.tier[JIT_SCALAR];
	tiers.avx2 = c.tier[JIT_AVX2];
	tiers.avx512 = c.tier[JIT_AVX512];
	tiers.fallback = c.fallback;
	return tiers;
}

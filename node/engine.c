/* engine.c: see engine.h. */
#include "node/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct engine {
	struct interp *interp;
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

int engine_new(const struct program *p, enum engine_kind kind, uint32_t insn_limit, struct engine **out)
{
	struct engine *e;

	*out = NULL;
	if (kind != ENGINE_INTERP)
		return -ENOTSUP;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->interp = interp_new(p);
	if (!e->interp) {
		free(e);
		return -ENOMEM;
	}
	e->insn_limit = insn_limit;
	*out = e;
	return 0;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	interp_free(e->interp);
	free(e);
}

void engine_run(struct engine *e, struct shard *const *shards, const struct vfm_packet *packets, uint32_t n,
		struct vfm_result *results)
{
	assert(n <= ENGINE_BURST_PACKETS);
	for (uint32_t i = 0; i < n; i++)
		interp_run(e->interp, shards[i], &packets[i], e->insn_limit, &results[i]);
	e->tiers.interp += n;
}

struct engine_tiers engine_tiers(const struct engine *e)
{
	return e->tiers;
}

/* engines_own.c: the project's engines. See engines.h. */
#include <stdio.h>
#include <stdlib.h>

#include "jit/jit.h"
#include "test/bench/vm/engines.h"
#include "vm/interp.h"
#include "vm/vfm.h"

struct own {
	struct interp *interp;
	struct jit *jit;
	struct shard *shard;
	struct shard *burst[BENCH_BURST]; /* the same for every packet */
	struct bench_shards shards;
};

static uint8_t interpret(const struct own *o, const struct vfm_packet *packet)
{
	struct vfm_result result;

	interp_run(o->interp, o->shard, packet, VFM_DEFAULT_INSN_LIMIT, &result);
	return result.value != 0;
}

static void interpreter_pass(void *self, const struct bench_pass *pass)
{
	const struct own *o = self;

	BENCH_EACH_PACKET(pass, i, interpret(o, &pass->packets[i]));
}

static uint8_t run_one(const struct own *o, const struct vfm_packet *packet)
{
	struct vfm_result result;

	jit_run(o->jit, o->shard, packet, &result);
	return result.value != 0;
}

static void packet_pass(void *self, const struct bench_pass *pass)
{
	const struct own *o = self;

	BENCH_EACH_PACKET(pass, i, run_one(o, &pass->packets[i]));
}

static void run_burst(const struct own *o, const struct vfm_packet *packets, uint8_t *verdicts, bool check)
{
	struct vfm_result results[BENCH_BURST];

	jit_burst(o->jit, BENCH_BURST, packets, o->burst, results);
	for (uint32_t k = 0; check && k < BENCH_BURST; k++)
		verdicts[k] = results[k].value != 0;
}

static void burst_pass(void *self, const struct bench_pass *pass)
{
	const struct own *o = self;

	BENCH_EACH_BURST(pass, i, run_burst(o, &pass->packets[i], &pass->verdicts[i], pass->check));
}

static void own_close(void *self)
{
	struct own *o = self;

	if (o->shard)
		o->shards.put(o->shards.arg, o->shard);
	interp_free(o->interp);
	jit_free(o->jit);
	free(o);
}

static struct own *own_new(const struct program *p, enum jit_tier tier, const struct bench_shards *shards)
{
	struct own *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->shards = *shards;
	o->shard = shards->get(shards->arg);
	for (uint32_t i = 0; i < BENCH_BURST; i++)
		o->burst[i] = o->shard;
	if (tier == JIT_INTERP)
		o->interp = interp_new(p);
	else if (jit_new(p, tier, VFM_DEFAULT_INSN_LIMIT, &o->jit))
		o->jit = NULL;
	if (o->shard && (o->interp || o->jit))
		return o;
	own_close(o);
	return NULL;
}

int bench_own_add(struct bench_engines *list, const struct program *p, const struct bench_shards *shards)
{
	static const struct {
		const char *name;
		enum jit_tier tier;
		void (*pass)(void *self, const struct bench_pass *pass);
	} engines[] = {{BENCH_INTERPRETER, JIT_INTERP, interpreter_pass},
		       {BENCH_JIT_PACKET, JIT_SCALAR, packet_pass},
		       {BENCH_JIT_SCALAR, JIT_SCALAR, burst_pass},
		       {BENCH_JIT_AVX2, JIT_AVX2, burst_pass},
		       {BENCH_JIT_AVX512, JIT_AVX512, burst_pass}};

	for (size_t i = 0; i < sizeof(engines) / sizeof(*engines); i++) {
		struct own *o;
		struct bench_engine *e;

		if (engines[i].tier > jit_best_tier())
			continue;
		o = own_new(p, engines[i].tier, shards);
		if (!o) {
			fprintf(stderr, "bench_vm: %s: no memory\n", engines[i].name);
			return -1;
		}
		e = bench_engines_add(list, engines[i].name, o);
		e->pass = engines[i].pass;
		e->close = own_close;
	}
	return 0;
}

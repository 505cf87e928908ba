/* jit.c: the API: compile, run one, run a burst; which tier. */
#include "jit/jit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/parts.h"
#include "vm/vfm.h"

#define PREFETCH_AHEAD 8  /* packets */
#define HINT_AHEAD     16 /* packets whose entries are on their way from memory together */

struct jit {
	const struct program *program;
	struct interp *interp; /* for JIT_INTERP; NULL otherwise */
	uint32_t insn_limit;
	enum jit_tier tier;
	struct jit_exec exec;
	jit_fn run;
	struct jit_hint hint;
	struct jit_counts counts;
};

static const char *const tier_names[JIT_TIERS] = {"interp", "scalar", "avx2", "avx512"};

const char *jit_tier_name(enum jit_tier tier)
{
	return tier_names[tier];
}

#ifdef __x86_64__
static const struct jit_target *const native = &jit_x86;
#elif defined(__aarch64__)
static const struct jit_target *const native = &jit_arm64;
#else
static const struct jit_target *const native = NULL;
#endif

enum jit_tier jit_best_tier(void)
{
	const char *forced = getenv("VFM_JIT");
	enum jit_tier best = native ? JIT_SCALAR : JIT_INTERP;

	for (int t = 0; forced && t < (int)best; t++)
		if (strcmp(forced, tier_names[t]) == 0)
			best = (enum jit_tier)t;
	return best;
}

/* 0; -ENOMEM; or another error: interpret. */
static int compile(struct jit *j)
{
	struct ir *ir = ir_new(j->program, NULL);
	uint8_t *needed = NULL;
	struct jit_buf b = {0};
	int err = -ENOMEM;

	if (!ir)
		return err;
	jit_fold(ir);
	err = jit_cse(ir);
	if (!err)
		err = jit_dead(ir, &needed);
	if (!err)
		err = jit_gen(ir, needed, native, j->insn_limit, &b);
	if (!err)
		err = jit_exec_new(b.code, b.n, &j->exec);
	jit_buf_fini(&b);
	free(needed);
	ir_free(ir);
	return err;
}

int jit_new(const struct program *p, enum jit_tier tier, uint32_t insn_limit, struct jit **out)
{
	struct jit *j = calloc(1, sizeof(*j));

	*out = NULL;
	if (!j)
		return -ENOMEM;
	j->program = p;
	j->insn_limit = insn_limit;
	if (native && tier >= JIT_SCALAR && compile(j) == 0) {
		j->tier = JIT_SCALAR;
		j->run = (jit_fn)(uintptr_t)j->exec.code;
		jit_perf_map(&j->exec, "vfm_filter");
		(void)jit_hint_new(p, native, &j->hint); /* it runs without */
	} else {
		j->interp = interp_new(p);
		if (!j->interp) {
			free(j);
			return -ENOMEM;
		}
	}
	*out = j;
	return 0;
}

void jit_free(struct jit *j)
{
	if (!j)
		return;
	interp_free(j->interp);
	jit_exec_free(&j->exec);
	jit_hint_free(&j->hint);
	free(j);
}

enum jit_tier jit_tier(const struct jit *j)
{
	return j->tier;
}

struct jit_counts jit_counts(const struct jit *j)
{
	return j->counts;
}

const uint8_t *jit_code(const struct jit *j, size_t *bytes)
{
	*bytes = j->exec.bytes;
	return j->exec.code;
}

static void run_compiled(const struct jit *j, struct shard *s, const struct vfm_packet *packet, struct vfm_result *result)
{
	struct jit_env env = {.shard = s, .input = packet->input};
	struct jit_ret ret;

	shard_set_time(s, packet->time_us);
	ret = j->run(packet->data, packet->len, &env);
	result->value = ret.value;
	result->error = (int)ret.error;
}

void jit_run(struct jit *j, struct shard *s, const struct vfm_packet *packet, struct vfm_result *result)
{
	if (j->run)
		run_compiled(j, s, packet, result);
	else
		interp_run(j->interp, s, packet, j->insn_limit, result);
	j->counts.tier[j->tier]++;
}

void jit_burst(struct jit *j, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards, struct vfm_result *results)
{
	for (uint32_t i = 0; i < n; i++) {
		if (i % HINT_AHEAD == 0)
			jit_hint_burst(&j->hint, n - i < HINT_AHEAD ? n - i : HINT_AHEAD, packets + i, shards + i);
		if (i + PREFETCH_AHEAD < n)
			__builtin_prefetch(packets[i + PREFETCH_AHEAD].data);
		if (j->run)
			run_compiled(j, shards[i], &packets[i], &results[i]);
		else
			interp_run(j->interp, shards[i], &packets[i], j->insn_limit, &results[i]);
	}
	j->counts.tier[j->tier] += n;
}

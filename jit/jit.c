/* jit.c: the API: compile, run one, run a burst; which tier. */
#include "jit/jit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/parts.h"
#include "vm/vfm.h"

#define FEWEST_LANES  4   /* fewer packets are run one by one */
#define GROUP         32  /* packets whose headers are on their way from memory together */
#define ALONE_PACKETS 256 /* run one by one after a burst most of which was left to be */

struct jit {
	const struct program *program;
	const char *why_not;   /* compiled; NULL: it is */
	struct interp *interp; /* for JIT_INTERP; NULL otherwise */
	uint32_t insn_limit;
	enum jit_tier tier;
	struct jit_exec exec; /* all the codes, one after another */
	const uint8_t *loop_code, *vector_code;
	size_t scalar_bytes, loop_bytes, vector_bytes;
	jit_fn run;
	jit_loop_fn loop;     /* NULL: none */
	bool loop_sets_times; /* and looks at shards */
	struct jit_lanes lanes;
	uint32_t alone; /* packets still to be run one by one, as lanes would leave most of them */
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

#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		best = JIT_AVX2;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi"))
		best = JIT_AVX512;
#endif
	for (int t = 0; forced && t < (int)best; t++)
		if (strcmp(forced, tier_names[t]) == 0)
			best = (enum jit_tier)t;
	return best;
}

/* The codes of one program, made from one intermediate form. */
struct codes {
	struct jit_buf scalar, loop, hint; /* all but the first may be empty: it runs without */
	struct jit_vec_code vector;
	bool loop_sets_times;
	enum jit_tier vector_tier;
};

static void codes_fini(struct codes *c)
{
	jit_buf_fini(&c->scalar);
	jit_buf_fini(&c->loop);
	jit_buf_fini(&c->hint);
	jit_vec_code_fini(&c->vector);
}

/* 0; -ENOMEM; or another error: interpret. */
static int gen_codes(struct jit *j, enum jit_tier tier, struct codes *c)
{
	struct ir *ir = ir_new(j->program, NULL);
	uint8_t *needed = NULL;
	int err = -ENOMEM;

	if (!ir)
		return err;
	jit_fold(ir);
	err = jit_cse(ir);
	if (!err)
		err = jit_dead(ir, &needed);
	if (!err)
		err = jit_gen(ir, needed, native, j->insn_limit, &c->scalar);
	c->loop_sets_times = !err && jit_uses_shard(ir, needed);
	if (!err && jit_gen_loop(ir, needed, native, j->insn_limit, c->loop_sets_times ? LOOP_TIMES : LOOP_ALONE, &c->loop))
		c->loop.n = 0;
	if (!err && jit_hint_gen(ir, native, &j->hint, &c->hint))
		c->hint.n = 0;
	c->vector_tier = tier < jit_best_tier() ? tier : jit_best_tier();
	if (!err && (c->vector_tier < JIT_AVX2 || jit_vec(ir, needed, c->vector_tier, j->insn_limit, &c->vector)))
		c->vector.lanes.n = 0;
	free(needed);
	ir_free(ir);
	return err;
}

#define CODE_ALIGN 64 /* a cache line; vector code's constants want it */

/* Appends code at the next aligned offset, which it returns. */
static uint32_t append(struct jit_buf *all, const struct jit_buf *code)
{
	static const uint8_t filling[CODE_ALIGN];
	uint32_t at;

	jit_bytes(all, filling, -all->n % CODE_ALIGN);
	at = all->n;
	jit_bytes(all, code->code, code->n);
	return at;
}

static int make_executable(struct jit *j, const struct codes *c)
{
	struct jit_buf all = {0};
	uint32_t loop_at, hint_at, vector_at, onward_at;
	int err = -ENOMEM;

	append(&all, &c->scalar);
	loop_at = append(&all, &c->loop);
	hint_at = append(&all, &c->hint);
	vector_at = append(&all, &c->vector.lanes);
	onward_at = append(&all, &c->vector.onward);
	if (!all.failed)
		err = jit_exec_new(all.code, all.n, &j->exec);
	jit_buf_fini(&all);
	if (err)
		return err;
	j->tier = JIT_SCALAR;
	j->scalar_bytes = c->scalar.n;
	j->run = (jit_fn)(uintptr_t)j->exec.code;
	jit_perf_map(j->exec.code, c->scalar.n, "vfm_filter");
	if (c->loop.n) {
		j->loop_code = j->exec.code + loop_at;
		j->loop_bytes = c->loop.n;
		j->loop = (jit_loop_fn)(uintptr_t)j->loop_code;
		j->loop_sets_times = c->loop_sets_times;
		jit_perf_map(j->loop_code, c->loop.n, "vfm_filter_loop");
	}
	if (c->hint.n)
		j->hint.run = (jit_loop_fn)(uintptr_t)(j->exec.code + hint_at);
	if (c->vector.lanes.n) {
		j->tier = c->vector_tier;
		j->vector_code = j->exec.code + vector_at;
		j->vector_bytes = c->vector.lanes.n;
		j->lanes = (struct jit_lanes){.run = (jit_vec_fn)(uintptr_t)j->vector_code,
					      .lanes = j->tier == JIT_AVX512 ? 16 : 8,
					      .wants = c->vector.wants,
					      .restart = j->run,
					      .onward = (jit_loop_fn)(uintptr_t)(j->exec.code + onward_at),
					      .continuations = c->vector.continuations,
					      .hint = &j->hint};
		jit_perf_map(j->vector_code, c->vector.lanes.n, j->tier == JIT_AVX512 ? "vfm_filter_avx512" : "vfm_filter_avx2");
		jit_perf_map(j->exec.code + onward_at, c->vector.onward.n, "vfm_filter_onward");
	}
	return 0;
}

static int compile(struct jit *j, enum jit_tier tier)
{
	struct codes c = {0};
	int err = gen_codes(j, tier, &c);

	if (!err)
		err = make_executable(j, &c);
	codes_fini(&c);
	return err;
}

static const char *why_not(enum jit_tier tier)
{
	if (!native)
		return "there is no compiler for this CPU";
	return tier < JIT_SCALAR ? "VFM_JIT=interp" : NULL;
}

static const char *why_of(int err)
{
	switch (err) {
	case 0:
		return NULL;
	case -EACCES:
	case -EPERM:
		return "the system allows no executable memory";
	default:
		return "there is no memory for it";
	}
}

int jit_new(const struct program *p, enum jit_tier tier, uint32_t insn_limit, struct jit **out)
{
	struct jit *j = calloc(1, sizeof(*j));

	*out = NULL;
	if (!j)
		return -ENOMEM;
	j->program = p;
	j->insn_limit = insn_limit;
	j->hint.fewest_entries = JIT_FEWEST_ENTRIES;
	j->why_not = why_not(tier);
	if (!j->why_not)
		j->why_not = why_of(compile(j, tier));
	if (j->why_not) {
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
	free(j);
}

void jit_hint_from(struct jit *j, uint32_t fewest_entries)
{
	j->hint.fewest_entries = fewest_entries;
}

enum jit_tier jit_tier(const struct jit *j)
{
	return j->tier;
}

const char *jit_why_not(const struct jit *j)
{
	return j->why_not;
}

struct jit_counts jit_counts(const struct jit *j)
{
	return j->counts;
}

const uint8_t *jit_code(const struct jit *j, size_t *bytes)
{
	*bytes = j->scalar_bytes;
	return j->exec.code;
}

const uint8_t *jit_loop_code(const struct jit *j, size_t *bytes)
{
	*bytes = j->loop_bytes;
	return j->loop_code;
}

const uint8_t *jit_vector_code(const struct jit *j, size_t *bytes)
{
	*bytes = j->vector_bytes;
	return j->vector_code;
}

/* Inlined: calls cost a packet a nanosecond. */
static inline __attribute__((always_inline)) void run_compiled(const struct jit *j, struct shard *s,
							       const struct vfm_packet *packet, struct vfm_result *result)
{
	struct jit_env env; /* what loops want is not set: that takes a nanosecond */
	struct jit_ret ret;

	env.shard = s;
	env.input = packet->input;
	env.insns = env.updates = 0;
	env.parsed = JIT_NOTHING_PARSED;
	env.kept_table = NULL;
	env.hint_table = JIT_NO_HINT;
	shard_set_time(s, packet->time_us);
	ret = j->run(packet->data, packet->len, &env);
	result->value = ret.value;
	result->error = (int)ret.error;
}

static inline __attribute__((always_inline)) void run_one(struct jit *j, struct shard *s, const struct vfm_packet *packet,
							  struct vfm_result *result)
{
	if (j->run)
		run_compiled(j, s, packet, result);
	else
		interp_run(j->interp, s, packet, j->insn_limit, result);
}

void jit_run(struct jit *j, struct shard *s, const struct vfm_packet *packet, struct vfm_result *result)
{
	run_one(j, s, packet, result);
	j->counts.tier[j->run ? JIT_SCALAR : JIT_INTERP]++;
}

/* Packets one after another: in the machine code's own loop as far as they are long enough for it. hinted: of each, or NULL. */
static void run_in_order(struct jit *j, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
			 const struct jit_hinted *hinted, struct vfm_result *results)
{
	struct jit_env env = {.end = packets + n, .parsed = JIT_NOTHING_PARSED, .hint_table = hinted ? j->hint.table : JIT_NO_HINT};

	if (j->loop && !j->loop_sets_times)
		jit_set_times(n, packets, shards);
	for (uint32_t i = 0; i < n; i++) {
		if (j->loop) {
			env.shards = shards + i;
			env.hinted = hinted ? hinted + i : NULL;
			env.results = results + i;
			i = (uint32_t)(j->loop(packets + i, &env) - packets);
		}
		if (i < n)
			run_one(j, shards[i], &packets[i], &results[i]);
	}
	j->counts.tier[j->run ? JIT_SCALAR : JIT_INTERP] += n;
}

/* Packets in lanes as far as possible, the others one by one in order. */
static void run_in_lanes(struct jit *j, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
			 struct vfm_result *results)
{
	struct jit_lanes_counts c;

	jit_lanes_run(&j->lanes, n, packets, shards, results, &c);
	j->counts.tier[j->tier] += n - c.left;
	j->counts.tier[JIT_SCALAR] += c.left;
	j->counts.continued += c.continued;
	if (2 * c.idle > n)
		j->alone = ALONE_PACKETS;
}

static uint32_t at_most(uint32_t n, uint32_t most)
{
	return n < most ? n : most;
}

static void fetch_headers(uint32_t n, const struct vfm_packet *packets)
{
	for (uint32_t i = 0; i < n; i++)
		__builtin_prefetch(packets[i].data);
}

/* Headers are fetched for one group of packets, entries for the next one, while one runs. */
static void run_hinted(struct jit *j, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
		       struct vfm_result *results)
{
	struct jit_hinted hinted[2][JIT_HINT_MOST]; /* of this group and of the next, in turn */
	uint32_t group = at_most(n, JIT_HINT_MOST), turn = 0;
	bool known[2] = {jit_hint_burst(&j->hint, group, packets, shards, hinted[0])};

	for (uint32_t i = 0, next; i < n; i += group, group = next, turn ^= 1) {
		const struct vfm_packet *after = packets + i + group;

		next = at_most(n - i - group, JIT_HINT_MOST);
		fetch_headers(at_most(n - i - group - next, JIT_HINT_MOST), after + next);
		jit_hint_shards(&j->hint, at_most(n - i - group - next, JIT_HINT_MOST), shards + i + group + next);
		known[turn ^ 1] = next && jit_hint_burst(&j->hint, next, after, shards + i + group, hinted[turn ^ 1]);
		run_in_order(j, group, packets + i, shards + i, known[turn] ? hinted[turn] : NULL, results + i);
	}
}

static void run_alone(struct jit *j, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
		      struct vfm_result *results)
{
	for (uint32_t i = 0, group; i < n && !j->hint.run; i += group) {
		group = at_most(n - i, GROUP);
		fetch_headers(at_most(n - i - group, GROUP), packets + i + group);
		run_in_order(j, group, packets + i, shards + i, NULL, results + i);
	}
	if (j->hint.run)
		run_hinted(j, n, packets, shards, results);
	j->alone -= at_most(n, j->alone);
}

void jit_burst(struct jit *j, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards, struct vfm_result *results)
{
	uint32_t i = 0;

	if (j->hint.run) {
		jit_hint_look(&j->hint, n, shards);
		jit_hint_shards(&j->hint, at_most(n, 2 * JIT_HINT_MOST), shards);
	}
	while (j->lanes.run && n - i >= FEWEST_LANES && !j->alone) {
		uint32_t some = n - i < JIT_LANES_AHEAD ? n - i : JIT_LANES_AHEAD;

		run_in_lanes(j, some, packets + i, shards + i, results + i);
		i += some;
	}
	if (i < n)
		run_alone(j, n - i, packets + i, shards + i, results + i);
}

/* jit.c: the API: compile, run one, run a burst; which tier. */
#include "jit/jit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "jit/parts.h"
#include "vm/vfm.h"

#define FEWEST_LANES   4   /* fewer packets are run one by one */
#define ALONE_PACKETS  256 /* run one by one after a burst most of which was left to be */

struct jit {
	const struct program *program;
	const char *why_not; /* compiled; NULL: it is */
	struct interp *interp; /* for JIT_INTERP; NULL otherwise */
	uint32_t insn_limit;
	enum jit_tier tier;
	struct jit_exec exec; /* all the codes, one after another */
	const uint8_t *loop_code, *vector_code;
	size_t scalar_bytes, loop_bytes, vector_bytes;
	jit_fn run;
	jit_loop_fn loop;     /* NULL: none */
	bool loop_sets_times; /* and looks at shards */
	jit_vec_fn run_lanes; /* NULL: no vector code */
	uint32_t lanes;       /* packets that it takes */
	uint32_t alone;       /* packets still to be run one by one, as lanes would leave most of them */
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
	struct jit_buf scalar, loop, hint, vector; /* all but the first may be empty: it runs without */
	bool loop_sets_times;
	enum jit_tier vector_tier;
};

static void codes_fini(struct codes *c)
{
	jit_buf_fini(&c->scalar);
	jit_buf_fini(&c->loop);
	jit_buf_fini(&c->hint);
	jit_buf_fini(&c->vector);
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
		c->vector.n = 0;
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
	uint32_t loop_at, hint_at, vector_at;
	int err = -ENOMEM;

	append(&all, &c->scalar);
	loop_at = append(&all, &c->loop);
	hint_at = append(&all, &c->hint);
	vector_at = append(&all, &c->vector);
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
	if (c->vector.n) {
		j->tier = c->vector_tier;
		j->lanes = j->tier == JIT_AVX512 ? 16 : 8;
		j->vector_code = j->exec.code + vector_at;
		j->vector_bytes = c->vector.n;
		j->run_lanes = (jit_vec_fn)(uintptr_t)j->vector_code;
		jit_perf_map(j->vector_code, c->vector.n, j->tier == JIT_AVX512 ? "vfm_filter_avx512" : "vfm_filter_avx2");
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
static inline __attribute__((always_inline)) void run_compiled(const struct jit *j, struct shard *s, const struct vfm_packet *packet, struct vfm_result *result)
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

static inline __attribute__((always_inline)) void run_one(struct jit *j, struct shard *s, const struct vfm_packet *packet, struct vfm_result *result)
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

#ifdef __x86_64__
_Static_assert(sizeof(struct vfm_packet) == 24 && offsetof(struct vfm_packet, len) == 8 && offsetof(struct vfm_packet, input) == 12,
	       "three 64-bit words a packet: data, len and input, time");

/* 16 packets are 6 registers of words; each of the first two kinds is picked out of them. */
__attribute__((target("avx512f"))) static void fill_lanes(const struct vfm_packet *packets, struct vec_args *args)
{
	const __m512i data01 = _mm512_setr_epi64(0, 3, 6, 9, 12, 15, 0, 0), data2 = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 10, 13);
	const __m512i len01 = _mm512_setr_epi64(1, 4, 7, 10, 13, 0, 0, 0), len2 = _mm512_setr_epi64(0, 1, 2, 3, 4, 8, 11, 14);
	const uint8_t *at = (const uint8_t *)packets;
	__m256i len[2], input[2];

	for (unsigned half = 0; half < 2; half++, at += 8 * sizeof(*packets)) {
		__m512i w0 = _mm512_loadu_si512(at), w1 = _mm512_loadu_si512(at + 64), w2 = _mm512_loadu_si512(at + 128);
		__m512i data = _mm512_permutex2var_epi64(_mm512_permutex2var_epi64(w0, data01, w1), data2, w2);
		__m512i lens = _mm512_permutex2var_epi64(_mm512_permutex2var_epi64(w0, len01, w1), len2, w2);

		_mm512_store_si512(args->data + 8 * half, data);
		len[half] = _mm512_cvtepi64_epi32(lens);
		input[half] = _mm512_cvtepi64_epi32(_mm512_srli_epi64(lens, 32));
	}
	/* Whole vectors, as they are read: a load waits for two stores that it spans. */
	_mm512_store_si512(args->len, _mm512_inserti64x4(_mm512_castsi256_si512(len[0]), len[1], 1));
	_mm512_store_si512(args->input, _mm512_inserti64x4(_mm512_castsi256_si512(input[0]), input[1], 1));
}

/* Are all of them one shard? Then the latest of the packets' times is all it needs. */
__attribute__((target("avx512f"))) static bool set_time_of_one_shard(const struct vfm_packet *packets, struct shard *const *shards)
{
	const __m512i time01 = _mm512_setr_epi64(2, 5, 8, 11, 14, 0, 0, 0), time2 = _mm512_setr_epi64(0, 1, 2, 3, 4, 9, 12, 15);
	const __m512i one = _mm512_set1_epi64((int64_t)(uintptr_t)shards[0]);
	const uint8_t *at = (const uint8_t *)packets;
	__m512i latest = _mm512_setzero_si512();

	if (_mm512_cmpneq_epi64_mask(_mm512_loadu_si512(shards), one) ||
	    _mm512_cmpneq_epi64_mask(_mm512_loadu_si512(shards + 8), one))
		return false;
	for (unsigned half = 0; half < 2; half++, at += 8 * sizeof(*packets)) {
		__m512i w0 = _mm512_loadu_si512(at), w1 = _mm512_loadu_si512(at + 64), w2 = _mm512_loadu_si512(at + 128);

		latest = _mm512_max_epu64(latest, _mm512_permutex2var_epi64(_mm512_permutex2var_epi64(w0, time01, w1), time2, w2));
	}
	if (_mm512_cmpgt_epu64_mask(latest, _mm512_set1_epi64((int64_t)shards[0]->clock_us)))
		shard_set_time(shards[0], _mm512_reduce_max_epu64(latest));
	return true;
}

_Static_assert(sizeof(struct vfm_result) == 16 && offsetof(struct vfm_result, error) == 8, "a value, then the error");

/* Sixteen values without errors. */
__attribute__((target("avx512f"))) static void store_results(const struct vec_args *args, struct vfm_result *results)
{
	const __m512i spread = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);

	for (unsigned i = 0; i < VEC_LANES; i += 4) {
		__m512i four = _mm512_cvtepu32_epi64(_mm256_castsi128_si256(_mm_load_si128((const __m128i *)(args->out + i))));

		_mm512_storeu_si512(results + i, _mm512_maskz_permutexvar_epi64(0x55, spread, four));
	}
}
#else
static bool set_time_of_one_shard(const struct vfm_packet *packets, struct shard *const *shards)
{
	(void)packets;
	(void)shards;
	return false;
}

static void store_results(const struct vec_args *args, struct vfm_result *results)
{
	(void)args;
	(void)results;
}

static void fill_lanes(const struct vfm_packet *packets, struct vec_args *args)
{
	(void)packets;
	(void)args;
}
#endif

static uint32_t run_lanes(const struct jit *j, uint32_t n, const struct vfm_packet *packets, struct vec_args *args)
{
	struct vfm_packet some[VEC_LANES]; /* what is not there is not read */

	if (n == VEC_LANES)
		fill_lanes(packets, args);
	if (n < j->lanes)
		packets = memcpy(some, packets, n * sizeof(*packets));
	for (uint32_t i = 0; i < n && n < VEC_LANES; i++) {
		args->data[i] = (uint64_t)(uintptr_t)packets[i].data;
		args->len[i] = packets[i].len;
		args->input[i] = packets[i].input;
	}
	return j->run_lanes(args, (1u << n) - 1, packets);
}

/* The clocks of all, where no packet's verdict looks at them. */
static void set_times(uint32_t n, const struct vfm_packet *packets, struct shard *const *shards)
{
	uint64_t latest = packets[0].time_us;
	bool one = true;

	for (uint32_t i = 1; i < n; i++) {
		one &= shards[i] == shards[0];
		latest = packets[i].time_us > latest ? packets[i].time_us : latest;
	}
	if (one)
		shard_set_time(shards[0], latest);
	for (uint32_t i = 0; i < n && !one; i++)
		shard_set_time(shards[i], packets[i].time_us);
}

/* Packets one after another: in the machine code's own loop as far as they are long enough for it. hinted: of each, or NULL. */
static void run_in_order(struct jit *j, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
			 const struct jit_hinted *hinted, struct vfm_result *results)
{
	struct jit_env env = {.end = packets + n, .parsed = JIT_NOTHING_PARSED, .hint_table = hinted ? j->hint.table : JIT_NO_HINT};

	if (j->loop && !j->loop_sets_times)
		set_times(n, packets, shards);
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

/* Fetches the entries of the packets that are still to be run. */
static void hint_left(struct jit *j, uint32_t left, const struct vfm_packet *packets, struct shard *const *shards)
{
	struct jit_hinted hinted[VEC_LANES];
	struct vfm_packet some[VEC_LANES];
	struct shard *theirs[VEC_LANES];
	uint32_t n = 0;

	for (; left; left &= left - 1) {
		some[n] = packets[__builtin_ctz(left)];
		theirs[n++] = shards[__builtin_ctz(left)];
	}
	jit_hint_burst(&j->hint, n, some, theirs, hinted);
}

/* At most j->lanes packets: together as far as possible, what is left one by one in order. */
static void burst_lanes(struct jit *j, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
			struct vfm_result *results)
{
	struct vec_args args;
	uint32_t left = run_lanes(j, n, packets, &args);

	if (left == 0 && n == VEC_LANES && set_time_of_one_shard(packets, shards)) {
		store_results(&args, results);
		j->counts.tier[j->tier] += n;
		return;
	}
	if (j->hint.run) {
		hint_left(j, left, packets, shards);
		if (2 * (uint32_t)__builtin_popcount(left) > n)
			j->alone = ALONE_PACKETS;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (left >> i & 1) {
			run_one(j, shards[i], &packets[i], &results[i]);
			continue;
		}
		shard_set_time(shards[i], packets[i].time_us);
		results[i] = (struct vfm_result){args.out[i], VFM_SUCCESS};
	}
	j->counts.tier[j->tier] += n - (uint32_t)__builtin_popcount(left);
	j->counts.tier[JIT_SCALAR] += (uint32_t)__builtin_popcount(left);
}

static uint32_t at_most(uint32_t n, uint32_t most)
{
	return n < most ? n : most;
}

/* Headers, then entries, are fetched for one group of packets while the one before it runs. */
static void run_alone(struct jit *j, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards, struct vfm_result *results)
{
	struct jit_hinted hinted[2][JIT_HINT_MOST]; /* of this group and of the next, in turn */
	uint32_t group = at_most(n, JIT_HINT_MOST), turn = 0;
	bool known[2] = {j->hint.run && jit_hint_burst(&j->hint, group, packets, shards, hinted[0])};

	for (uint32_t i = 0, next; i < n; i += group, group = next, turn ^= 1) {
		const struct vfm_packet *after = packets + i + group;

		next = at_most(n - i - group, JIT_HINT_MOST);
		for (const struct vfm_packet *p = after + next, *end = packets + at_most(n, i + group + 2 * JIT_HINT_MOST); p < end; p++)
			__builtin_prefetch(p->data);
		known[turn ^ 1] = j->hint.run && next && jit_hint_burst(&j->hint, next, after, shards + i + group, hinted[turn ^ 1]);
		run_in_order(j, group, packets + i, shards + i, known[turn] ? hinted[turn] : NULL, results + i);
	}
	j->alone -= at_most(n, j->alone);
}

void jit_burst(struct jit *j, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards, struct vfm_result *results)
{
	uint32_t i = 0;

	while (j->run_lanes && n - i >= FEWEST_LANES && !j->alone) {
		uint32_t lanes = n - i < j->lanes ? n - i : j->lanes;

		for (uint32_t k = i + lanes; k < n && k < i + 2 * j->lanes; k++)
			__builtin_prefetch(packets[k].data);
		burst_lanes(j, lanes, packets + i, shards + i, results + i);
		i += lanes;
	}
	run_alone(j, n - i, packets + i, shards + i, results + i);
}

/* lanes.c: bursts in the vector code, and what it leaves: packets go on one by one from where they left, or from their start.
 *
 * The vector code has no effects, so it runs for JIT_LANES_AHEAD packets before the first of them goes on; in between, the entries of
 * tables that they look at first are on their way from memory.
 */
#include <stddef.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "jit/parts.h"
#include "state/table_layout.h"
#include "vm/vfm.h"

struct group {
	struct vec_args args;
	uint32_t n;
	uint32_t left, continued; /* lanes */
	uint64_t latest_us;       /* of 16 packets */
	bool known;               /* hinted[] is filled, NULL where nothing is known */
	struct jit_hinted hinted[VEC_LANES];
};

#ifdef __x86_64__
_Static_assert(sizeof(struct vfm_packet) == 24 && offsetof(struct vfm_packet, len) == 8 && offsetof(struct vfm_packet, input) == 12,
	       "three 64-bit words a packet: data, len and input, time");

/* 16 packets are 6 registers of words; each kind is picked out of them. Returns the latest of their times. */
__attribute__((target("avx512f"))) static uint64_t fill_lanes(const struct vfm_packet *packets, unsigned wants,
							      struct vec_args *args)
{
	const __m512i first01 = _mm512_setr_epi64(0, 3, 6, 9, 12, 15, 0, 0), first2 = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 10, 13);
	const __m512i second01 = _mm512_setr_epi64(1, 4, 7, 10, 13, 0, 0, 0), second2 = _mm512_setr_epi64(0, 1, 2, 3, 4, 8, 11, 14);
	const __m512i third01 = _mm512_setr_epi64(2, 5, 8, 11, 14, 0, 0, 0), third2 = _mm512_setr_epi64(0, 1, 2, 3, 4, 9, 12, 15);
	const uint8_t *at = (const uint8_t *)packets;
	__m512i latest = _mm512_setzero_si512();
	__m256i len[2], input[2];

	for (unsigned half = 0; half < 2; half++, at += 8 * sizeof(*packets)) {
		__m512i w0 = _mm512_loadu_si512(at), w1 = _mm512_loadu_si512(at + 64), w2 = _mm512_loadu_si512(at + 128);
		__m512i lens = _mm512_permutex2var_epi64(_mm512_permutex2var_epi64(w0, second01, w1), second2, w2);

		latest =
			_mm512_max_epu64(latest, _mm512_permutex2var_epi64(_mm512_permutex2var_epi64(w0, third01, w1), third2, w2));
		if (wants & VEC_DATA)
			_mm512_store_si512(args->data + 8 * half,
					   _mm512_permutex2var_epi64(_mm512_permutex2var_epi64(w0, first01, w1), first2, w2));
		len[half] = _mm512_cvtepi64_epi32(lens);
		input[half] = _mm512_cvtepi64_epi32(_mm512_srli_epi64(lens, 32));
	}
	/* Whole vectors, as they are read: a load waits for two stores that it spans. */
	_mm512_store_si512(args->len, _mm512_inserti64x4(_mm512_castsi256_si512(len[0]), len[1], 1));
	if (wants & VEC_INPUT)
		_mm512_store_si512(args->input, _mm512_inserti64x4(_mm512_castsi256_si512(input[0]), input[1], 1));
	/* Most often the last one. */
	if (!_mm512_cmpgt_epu64_mask(latest, _mm512_set1_epi64((int64_t)packets[VEC_LANES - 1].time_us)))
		return packets[VEC_LANES - 1].time_us;
	return _mm512_reduce_max_epu64(latest);
}

/* The same for 8, without their times. Lanes are put together before they are stored, as they are read together. */
__attribute__((target("avx2"))) static void fill_8_lanes(const struct vfm_packet *packets, unsigned wants, struct vec_args *args)
{
	const struct vfm_packet *p = packets;

#define ALL_8(field) \
	(int)p[0].field, (int)p[1].field, (int)p[2].field, (int)p[3].field, (int)p[4].field, (int)p[5].field, (int)p[6].field, \
		(int)p[7].field
	_mm256_store_si256((__m256i *)args->len, _mm256_setr_epi32(ALL_8(len)));
	if (wants & VEC_INPUT)
		_mm256_store_si256((__m256i *)args->input, _mm256_setr_epi32(ALL_8(input)));
#undef ALL_8
	for (unsigned i = 0; i < 8 && wants & VEC_DATA; i += 4)
		_mm256_store_si256((__m256i *)(args->data + i),
				   _mm256_setr_epi64x((int64_t)(uintptr_t)p[i].data, (int64_t)(uintptr_t)p[i + 1].data,
						      (int64_t)(uintptr_t)p[i + 2].data, (int64_t)(uintptr_t)p[i + 3].data));
}

/* Are all of 16 one shard? */
__attribute__((target("avx512f"))) static bool is_one_shard(struct shard *const *shards)
{
	const __m512i one = _mm512_set1_epi64((int64_t)(uintptr_t)shards[0]);

	return !(_mm512_cmpneq_epi64_mask(_mm512_loadu_si512(shards), one) |
		 _mm512_cmpneq_epi64_mask(_mm512_loadu_si512(shards + 8), one));
}

_Static_assert(sizeof(struct vfm_result) == 16 && offsetof(struct vfm_result, error) == 8, "a value, then the error");

/* Sixteen values without errors. */
__attribute__((target("avx512f"))) static void store_results(const struct vec_args *args, struct vfm_result *results)
{
	const __m512i four = _mm512_set1_epi32(4), out = _mm512_load_si512(args->out);
	__m512i from = _mm512_setr_epi32(0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0);

	for (unsigned i = 0; i < VEC_LANES; i += 4) {
		_mm512_storeu_si512(results + i, _mm512_maskz_permutexvar_epi32(0x1111, from, out));
		from = _mm512_add_epi32(from, four);
	}
}
#else
static bool is_one_shard(struct shard *const *shards)
{
	(void)shards;
	return false;
}

static void store_results(const struct vec_args *args, struct vfm_result *results)
{
	(void)args;
	(void)results;
}

static uint64_t fill_lanes(const struct vfm_packet *packets, unsigned wants, struct vec_args *args)
{
	(void)packets;
	(void)wants;
	(void)args;
	return 0;
}

static void fill_8_lanes(const struct vfm_packet *packets, unsigned wants, struct vec_args *args)
{
	(void)fill_lanes(packets, wants, args);
}
#endif

/* Of the group that comes next, of which there are n packets or more. */
static void fetch_headers(const struct jit_lanes *l, uint32_t n, const struct vfm_packet *packets)
{
	if (n >= VEC_LANES && l->lanes == VEC_LANES) {
#pragma GCC unroll 16
		for (unsigned i = 0; i < VEC_LANES; i++)
			__builtin_prefetch(packets[i].data);
		return;
	}
	for (uint32_t i = 0; i < n && i < l->lanes; i++)
		__builtin_prefetch(packets[i].data);
}

static void run_group(const struct jit_lanes *l, struct group *g, const struct vfm_packet *packets)
{
	struct vfm_packet some[VEC_LANES];
	struct vec_args *args = &g->args;

	if (g->n < l->lanes) {
		packets = memcpy(some, packets, g->n * sizeof(*packets));
		memset(some + g->n, 0, (l->lanes - g->n) * sizeof(*some));
	}
	if (l->lanes == VEC_LANES)
		g->latest_us = fill_lanes(packets, l->wants, args);
	else
		fill_8_lanes(packets, l->wants, args);
	g->left = l->run(args, (1u << g->n) - 1, packets);
	g->continued = 0;
	g->known = false;
	for (uint32_t k = 0; k < l->continuations.n; k++)
		g->continued |= args->leave[k];
}

/* ---- entries of tables, before packets look at them ---- */

/* The packet's key, if it has it. */
static bool read_key(const struct jit_continuation *c, const struct vec_args *args, uint32_t lane, const struct vfm_packet *packet,
		     uint64_t *key)
{
	const uint8_t *at = packet->data + c->key_at;
	uint32_t word;

	if (c->key == JIT_KEY_HANDED_ON) {
		*key = args->live[c->slot[c->key_at]][lane];
		return true;
	}
	if (packet->len < c->key_at + c->key_bytes)
		return false;
	if (c->key_bytes == sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		*key = __builtin_bswap32(word);
		return true;
	}
	*key = 0;
	for (uint32_t i = 0; i < c->key_bytes; i++)
		*key = *key << 8 | at[i];
	return true;
}

/* g->hinted, to be filled. */
static struct jit_hinted *know(struct group *g)
{
	if (!g->known)
		memset(g->hinted, 0, sizeof(g->hinted));
	g->known = true;
	return g->hinted;
}

/* Fetches what this continuation's lanes look at, where tables are large, and tells in hinted[] what is in the hints' table. Returns the lanes
 * fetched for. */
static uint32_t fetch_known(const struct jit_lanes *l, const struct jit_continuation *c, uint32_t lanes, struct group *g,
			    const struct vfm_packet *packets, struct shard *const *shards)
{
	const struct shard *last = NULL;
	const struct table *t = NULL;
	uint32_t fetched = 0;
	uint64_t key;

	for (; lanes; lanes &= lanes - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(lanes);

		if (shards[lane] != last) {
			last = shards[lane];
			t = jit_hint_table(l->hint, last, c->table);
		}
		if (!t || !read_key(c, &g->args, lane, &packets[lane], &key))
			continue;
		if (c->table == l->hint->table)
			know(g)[lane] = (struct jit_hinted){key, table_prefetch_home(t, key)};
		else
			table_prefetch(t, key);
		fetched |= 1u << lane;
	}
	return fetched;
}

/* Fetches what the program's hints know of these lanes' packets. */
static void fetch_hinted(const struct jit_hint *h, uint32_t lanes, struct group *g, const struct vfm_packet *packets,
			 struct shard *const *shards)
{
	struct jit_hinted hinted[VEC_LANES];
	struct vfm_packet some[VEC_LANES];
	struct shard *theirs[VEC_LANES];
	uint32_t n = 0;

	for (uint32_t left = lanes; left; left &= left - 1) {
		some[n] = packets[__builtin_ctz(left)];
		theirs[n++] = shards[__builtin_ctz(left)];
	}
	if (!jit_hint_burst(h, n, some, theirs, hinted))
		return;
	for (n = 0; lanes; lanes &= lanes - 1)
		know(g)[__builtin_ctz(lanes)] = hinted[n++];
}

/* Is some of these lanes' table large enough to be fetched from memory? */
static bool is_worth_it(const struct jit_hint *h, uint32_t lanes, struct shard *const *shards)
{
	const struct shard *last = NULL;

	for (; lanes; lanes &= lanes - 1) {
		const struct shard *s = shards[__builtin_ctz(lanes)];

		if (s != last && jit_hint_table(h, s, h->table))
			return true;
		last = s;
	}
	return false;
}

/* Returns the lanes that gain nothing by it: no verdict, and no entry but what hints tell, which they tell without lanes too. */
static uint32_t fetch(const struct jit_lanes *l, struct group *g, const struct vfm_packet *packets, struct shard *const *shards)
{
	const struct jit_continuations *all = &l->continuations;
	uint32_t gain = ~g->left, unknown = g->left;

	if (!l->hint->run)
		return 0;
	if (!is_worth_it(l->hint, g->left, shards))
		return g->left;
	for (uint32_t k = 0; k < all->n; k++) {
		if (all->at[k].key == JIT_KEY_UNKNOWN || !g->args.leave[k])
			continue;
		gain |= fetch_known(l, &all->at[k], g->args.leave[k], g, packets, shards);
		unknown &= ~g->args.leave[k];
	}
	if (unknown)
		fetch_hinted(l->hint, unknown, g, packets, shards);
	return ~gain;
}

/* ---- results ---- */

void jit_set_times(uint32_t n, const struct vfm_packet *packets, struct shard *const *shards)
{
	uint64_t latest[2] = {0}, others = 0; /* two at a time: a maximum waits for the one before it */
	uint32_t i = 0;

	for (; i + 1 < n; i += 2) {
		latest[0] = packets[i].time_us > latest[0] ? packets[i].time_us : latest[0];
		latest[1] = packets[i + 1].time_us > latest[1] ? packets[i + 1].time_us : latest[1];
		others |= ((uintptr_t)shards[i] ^ (uintptr_t)shards[0]) | ((uintptr_t)shards[i + 1] ^ (uintptr_t)shards[0]);
	}
	if (i < n) {
		latest[0] = packets[i].time_us > latest[0] ? packets[i].time_us : latest[0];
		others |= (uintptr_t)shards[i] ^ (uintptr_t)shards[0];
	}
	if (!others)
		shard_set_time(shards[0], latest[0] > latest[1] ? latest[0] : latest[1]);
	for (i = 0; i < n && others; i++)
		shard_set_time(shards[i], packets[i].time_us);
}

static struct vfm_result restart(const struct jit_lanes *l, const struct vfm_packet *packet, struct shard *s)
{
	struct jit_env env = {.shard = s, .input = packet->input, .parsed = JIT_NOTHING_PARSED, .hint_table = JIT_NO_HINT};
	struct jit_ret ret = l->restart(packet->data, packet->len, &env);

	return (struct vfm_result){ret.value, (int)ret.error};
}

/* The number of 1s that x begins with, from bit 0; x is not all 1s. */
static uint32_t ones(uint32_t x)
{
	return (uint32_t)__builtin_ctz(~x);
}

/* From packet i on, which goes on, up to one that does not, or is too short for the continuations' code. Returns that one. */
static uint32_t go_on(const struct jit_lanes *l, const struct group *g, uint32_t i, const struct vfm_packet *packets,
		      struct shard *const *shards, struct vfm_result *results)
{
	struct jit_env env = {.shards = shards + i,
			      .results = results + i,
			      .end = packets + i + ones(g->continued >> i),
			      .parsed = JIT_NOTHING_PARSED,
			      .hint_table = g->known ? l->hint->table : JIT_NO_HINT,
			      .hinted = g->hinted + i,
			      .lane = &g->args.live[0][i]};

	return (uint32_t)(l->onward(packets + i, &env) - packets);
}

static uint64_t verdict(const struct jit_lanes *l, const struct group *g, uint32_t lane)
{
	uint32_t out = g->args.out[lane];

	return l->wants & VEC_SIGNED ? (uint64_t)(int64_t)(int32_t)out : out;
}

static void store_verdicts(const struct jit_lanes *l, const struct group *g, struct vfm_result *results)
{
	if (g->n == VEC_LANES && !(l->wants & VEC_SIGNED)) {
		store_results(&g->args, results);
		return;
	}
	for (uint32_t i = 0; i < g->n; i++)
		results[i] = (struct vfm_result){verdict(l, g, i), VFM_SUCCESS};
}

/* In the packets' order, the clocks as those before leave them. */
static void finish_group(const struct jit_lanes *l, const struct group *g, const struct vfm_packet *packets,
			 struct shard *const *shards, struct vfm_result *results)
{
	if (!g->left) {
		store_verdicts(l, g, results);
		if (g->n == VEC_LANES && is_one_shard(shards))
			shard_set_time(shards[0], g->latest_us);
		else
			jit_set_times(g->n, packets, shards);
		return;
	}
	for (uint32_t i = 0; i < g->n; i++) {
		uint32_t next = g->continued >> i & 1 ? go_on(l, g, i, packets, shards, results) : i;

		if (next > i) {
			i = next - 1;
			continue;
		}
		shard_set_time(shards[i], packets[i].time_us);
		if (g->left >> i & 1)
			results[i] = restart(l, &packets[i], shards[i]);
		else
			results[i] = (struct vfm_result){verdict(l, g, i), VFM_SUCCESS};
	}
}

static uint32_t count(uint64_t lanes)
{
	return (uint32_t)__builtin_popcountll(lanes);
}

void jit_lanes_run(const struct jit_lanes *l, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
		   struct vfm_result *results, struct jit_lanes_counts *counts)
{
	struct group groups[JIT_LANES_AHEAD / 8], *g = groups;
	uint32_t first = 0; /* packet of those that wait for entries, in groups */
	uint64_t left = 0, continued = 0, idle = 0;

	for (uint32_t i = 0; i < n; i += l->lanes) {
		uint32_t gainless = 0;

		g->n = n - i < l->lanes ? n - i : l->lanes;
		fetch_headers(l, n - i - g->n, packets + i + g->n);
		run_group(l, g, packets + i);
		if (g->left)
			gainless = fetch(l, g, packets + i, shards + i);
		idle |= (uint64_t)gainless << i;
		left |= (uint64_t)g->left << i;
		continued |= (uint64_t)g->continued << i;
		if (g++ > groups || (g[-1].left & ~gainless && l->hint->run))
			continue;
		finish_group(l, groups, packets + i, shards + i, results + i);
		g = groups;
		first = i + l->lanes;
	}
	g = groups;
	for (uint32_t i = first; i < n; i += l->lanes)
		finish_group(l, g++, packets + i, shards + i, results + i);
	*counts = (struct jit_lanes_counts){count(left), count(continued), count(idle)};
}

/* bench_table.c: the flow table beside rte_hash, open addressing, and the physical bound.
 *
 * Case "update": one is added to the counters of keys that are all there, in bursts of 32. Our table does it as an owner does: idle
 * time-out, change tracking, at each burst's end digest and clearing of the changes, and before that the prefetch of the next burst's
 * first buckets ("bursts apart": without this). Case "replace": every key is
 * new and the table is full: our table evicts, rte_hash is told which key to delete.
 *
 *   --quick   a smoke run: 1K and 64K keys, few rounds
 *   SIZE      that size only: 1K, 64K, 1M or 16M
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "state/table_layout.h"
#include "test/lib/bench.h"
#include "test/lib/rte_hash_dpdk.h"

#define BURST      32
#define IDLE_S     100000
#define NOW_S      1700000000u
#define MAX_OPS    (1u << 18)
#define HEAP_BYTES ((size_t)1700 << 20)

/* ---- Open addressing in the way of khash: separate arrays, power of two, load up to 0.77, triangular probing ---- */

struct open_table {
	uint64_t *keys, *values;
	uint8_t *used;
	uint64_t mask;
};

/* Zeroed memory in huge pages, as the table has. */
static void *lines_new(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

static bool open_table_init(struct open_table *o, uint64_t n)
{
	uint64_t room = 64;

	while (room * 77 / 100 < n)
		room *= 2;
	o->mask = room - 1;
	o->keys = lines_new(room * sizeof *o->keys);
	o->values = lines_new(room * sizeof *o->values);
	o->used = lines_new(room);
	return o->keys && o->values && o->used;
}

static void open_table_fini(struct open_table *o)
{
	munmap(o->keys, (o->mask + 1) * sizeof *o->keys);
	munmap(o->values, (o->mask + 1) * sizeof *o->values);
	munmap(o->used, o->mask + 1);
}

static void open_table_add(struct open_table *o, uint64_t key, uint64_t delta)
{
	uint64_t at = mix64(key) & o->mask;

	for (uint64_t step = 1; o->used[at] && o->keys[at] != key; step++)
		at = (at + step) & o->mask;
	o->used[at] = 1;
	o->keys[at] = key;
	o->values[at] += delta;
}

/* ---- One size: the engines on the same keys ---- */

enum engine { TABLE, TABLE_APART, TABLE_DELTA, TABLE_PLAIN, TABLE_4K, RTE_BULK, RTE_SINGLE, OPEN, BOUND, BOUND_4K, N_ENGINES };

static const char *const engine_names[N_ENGINES] = {
	[TABLE] = "table",
	[TABLE_APART] = "table, bursts apart",
	[TABLE_DELTA] = "table, delta read out",
	[TABLE_PLAIN] = "table, untracked",
	[TABLE_4K] = "table on 4K pages",
	[RTE_BULK] = "rte_hash bulk",
	[RTE_SINGLE] = "rte_hash single",
	[OPEN] = "open addressing",
	[BOUND] = "bound",
	[BOUND_4K] = "bound on 4K pages",
};

struct world {
	uint64_t n;
	struct table *table, *plain, *table_4k;
	struct rte_peer *rte;
	struct open_table open;
	uint64_t *lines, *lines_4k; /* as many cache lines as the table has buckets */
	uint64_t n_lines;
	uint64_t draws;
	uint64_t total[N_ENGINES]; /* updates done, to be found again in the counters */
	uint64_t sink;
};

static uint64_t key_of(uint64_t number)
{
	return mix64(number + 1);
}

static struct table *filled_table(uint64_t n, bool full_service)
{
	struct table_config c = {
		.capacity = (uint32_t)n, .idle_s = full_service ? IDLE_S : 0, .tracked = full_service, .layout_seed = 7};
	struct table *t = table_new(&c);

	if (!t)
		return NULL;
	for (uint64_t i = 0; i < n; i++) {
		table_add(t, key_of(i), 0, NOW_S);
		if (i % BURST == 0)
			table_changes_clear(t);
	}
	table_changes_clear(t);
	return t;
}

static bool world_open_peers(struct world *w)
{
	w->rte = rte_peer_new((uint32_t)w->n);
	if (!w->rte || !open_table_init(&w->open, w->n))
		return false;
	for (uint64_t i = 0; i < w->n; i++) {
		if (rte_peer_insert(w->rte, key_of(i)))
			return false;
		open_table_add(&w->open, key_of(i), 0);
	}
	return true;
}

static bool world_open(struct world *w, uint64_t n)
{
	memset(w, 0, sizeof *w);
	w->n = n;
	w->table = filled_table(n, true);
	w->plain = filled_table(n, false);
	if (!w->table || !w->plain)
		return false;
	w->n_lines = w->table->n_buckets;
	w->lines = lines_new(w->n_lines * 64);
	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	w->table_4k = filled_table(n, true);
	w->lines_4k = lines_new(w->n_lines * 64);
	if (!w->lines || !w->lines_4k || !w->table_4k)
		return false;
	memset(w->lines_4k, 0, w->n_lines * 64);
	(void)prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	memset(w->lines, 0, w->n_lines * 64);
	return world_open_peers(w);
}

static void world_close(struct world *w)
{
	table_free(w->table);
	table_free(w->plain);
	table_free(w->table_4k);
	rte_peer_free(w->rte);
	open_table_fini(&w->open);
	munmap(w->lines, w->n_lines * 64);
	munmap(w->lines_4k, w->n_lines * 64);
}

/* How a burst runs. The keys of the next one are known when it is `chained`. */
struct burst_way {
	bool chained, delta, closed;
};

static void table_bursts(struct world *w, struct table *t, struct burst_way way, const uint64_t *keys, size_t n)
{
	struct table_bucket *home[2 * BURST];
	struct table_entry out[BURST];
	size_t ahead = 0; /* keys prefetched of the burst */

	for (size_t i = 0; i < n; i += BURST) {
		size_t known = way.chained && i + BURST < n ? 2 * BURST : BURST;

		for (; ahead < TABLE_PREFETCH_AHEAD; ahead++)
			home[ahead] = table_prefetch_home(t, keys[i + ahead]);
		for (size_t k = 0; k < BURST; k++) {
			if (ahead < known) {
				home[ahead] = table_prefetch_home(t, keys[i + ahead]);
				ahead++;
			}
			table_add_home(t, home[k], keys[i + k], 1, NOW_S + (uint32_t)(i >> 14));
		}
		ahead -= BURST;
		for (size_t k = 0; k < ahead; k++)
			home[k] = home[BURST + k];
		if (!way.closed)
			continue;
		w->sink += table_digest(t);
		if (way.delta)
			w->sink += table_changed(t, out, BURST);
		table_changes_clear(t);
	}
}

static void line_bursts(struct world *w, uint64_t *lines, const uint64_t *keys, size_t n)
{
	uint64_t at[BURST];

	for (size_t i = 0; i < n; i += BURST) {
		for (int k = 0; k < BURST; k++) {
			at[k] = (uint64_t)(((unsigned __int128)keys[i + (size_t)k] * w->n_lines) >> 64) * 8;
			__builtin_prefetch(&lines[at[k]], 1);
		}
		for (int k = 0; k < BURST; k++)
			lines[at[k]]++;
	}
}

static void run(struct world *w, enum engine engine, const uint64_t *keys, size_t n)
{
	w->total[engine] += n;
	switch (engine) {
	case TABLE:
		table_bursts(w, w->table, (struct burst_way){.chained = true, .closed = true}, keys, n);
		break;
	case TABLE_APART:
		table_bursts(w, w->table, (struct burst_way){.closed = true}, keys, n);
		break;
	case TABLE_DELTA:
		table_bursts(w, w->table, (struct burst_way){.chained = true, .closed = true, .delta = true}, keys, n);
		break;
	case TABLE_PLAIN:
		table_bursts(w, w->plain, (struct burst_way){.chained = true}, keys, n);
		break;
	case TABLE_4K:
		table_bursts(w, w->table_4k, (struct burst_way){.chained = true, .closed = true}, keys, n);
		break;
	case RTE_BULK:
		rte_peer_update_bulk(w->rte, keys, n);
		break;
	case RTE_SINGLE:
		rte_peer_update_single(w->rte, keys, n);
		break;
	case OPEN:
		for (size_t i = 0; i < n; i++)
			open_table_add(&w->open, keys[i], 1);
		break;
	case BOUND:
		line_bursts(w, w->lines, keys, n);
		break;
	case BOUND_4K:
		line_bursts(w, w->lines_4k, keys, n);
		break;
	case N_ENGINES:
		break;
	}
}

/* Zipf with exponent 1 by the inverse of its continuous distribution; rank r is key number r. */
static void draw_keys(struct world *w, bool zipf, uint64_t *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t r = mix64(0x1234567 + w->draws++);
		double u = (double)(r >> 11) * 0x1p-53;
		uint64_t number = zipf ? (uint64_t)(exp(u * log((double)w->n + 1)) - 1) : (uint64_t)(u * (double)w->n);

		keys[i] = key_of(number < w->n ? number : w->n - 1);
	}
}

static size_t ops_of(uint64_t n)
{
	return n <= 1000 ? MAX_OPS / 4 : MAX_OPS;
}

/* Each engine warms up on a quarter of the keys it is then timed on; the order rotates. */
static void measure_round(struct world *w, bool zipf, int round, struct bench_series *series)
{
	static uint64_t keys[MAX_OPS + MAX_OPS / 4];
	size_t ops = ops_of(w->n), warm = ops / 4;

	draw_keys(w, zipf, keys, ops + warm);
	for (int k = 0; k < N_ENGINES; k++) {
		enum engine engine = (enum engine)((k + round) % N_ENGINES);
		uint64_t start;

		run(w, engine, keys, warm);
		start = bench_now_ns();
		run(w, engine, keys + warm, ops);
		bench_add(&series[engine], (double)(bench_now_ns() - start) / (double)ops);
	}
}

static void report(struct bench_json *json, const char *set, const struct bench_series *series)
{
	for (int e = 0; e < N_ENGINES; e++) {
		enum engine bound = e == TABLE_4K ? BOUND_4K : BOUND;
		struct bench_interval ns = bench_median(&series[e]), to_rte = bench_ratio(&series[e], &series[RTE_BULK]),
				      to_bound = bench_ratio(&series[e], &series[bound]);

		printf("%-13s %-22s %7.1f   %5.2f [%5.2f %5.2f]   %5.2f [%5.2f %5.2f]\n", set, engine_names[e], ns.median,
		       to_rte.median, to_rte.low, to_rte.high, to_bound.median, to_bound.low, to_bound.high);
		bench_json_row(json, "update", engine_names[e], set, ns.median, engine_names[RTE_BULK], to_rte);
		bench_json_row(json, "update", engine_names[e], set, ns.median, engine_names[bound], to_bound);
	}
	printf("\n");
	fflush(stdout);
}

static uint64_t table_sum(const struct table *t)
{
	uint64_t sum = 0, cursor = 0;
	struct table_entry e;

	while (table_next(t, &cursor, &e))
		sum += e.value;
	return sum;
}

/* A fast engine that loses updates would be no engine. */
static bool totals_right(const struct world *w)
{
	uint64_t open = 0;

	for (uint64_t i = 0; i <= w->open.mask; i++)
		open += w->open.values[i];
	return open == w->total[OPEN] && table_sum(w->table) == w->total[TABLE] + w->total[TABLE_APART] + w->total[TABLE_DELTA] &&
	       table_sum(w->plain) == w->total[TABLE_PLAIN] && rte_peer_sum(w->rte) == w->total[RTE_BULK] + w->total[RTE_SINGLE];
}

static void replace_in_table(struct world *w, const uint64_t *keys, size_t n)
{
	for (size_t i = 0; i < n; i += BURST) {
		for (int k = 0; k < BURST; k++)
			table_prefetch_inline(w->table, keys[i + (size_t)k]);
		for (int k = 0; k < BURST; k++)
			table_add(w->table, keys[i + (size_t)k], 1, NOW_S + 100);
		w->sink += table_digest(w->table);
		table_changes_clear(w->table);
	}
}

/* Ends the life of the tables' first keys. */
static void measure_replace(struct world *w, struct bench_json *json, const char *set, int rounds)
{
	static uint64_t old[1 << 14], new[1 << 14];
	size_t ops = w->n < (1 << 14) ? 512 : 1 << 14;
	struct bench_series series[2] = {0};
	struct bench_interval ratio, ns;

	for (int round = 0; round < rounds; round++) {
		uint64_t start = bench_now_ns(), middle;

		for (size_t i = 0; i < ops; i++) {
			old[i] = key_of((uint64_t)round * ops + i);
			new[i] = key_of(w->n + (uint64_t)round * ops + i);
		}
		start = bench_now_ns();
		replace_in_table(w, new, ops);
		middle = bench_now_ns();
		rte_peer_replace(w->rte, old, new, ops);
		bench_add(&series[0], (double)(middle - start) / (double)ops);
		bench_add(&series[1], (double)(bench_now_ns() - middle) / (double)ops);
	}
	ns = bench_median(&series[0]);
	ratio = bench_ratio(&series[0], &series[1]);
	printf("%-13s %-22s %7.1f   %5.2f [%5.2f %5.2f] of rte_hash delete + add (%.1f)\n\n", set, "table, full, new keys",
	       ns.median, ratio.median, ratio.low, ratio.high, bench_median(&series[1]).median);
	bench_json_row(json, "replace", engine_names[TABLE], set, ns.median, "rte_hash delete + add", ratio);
}

static bool measure_size(struct bench_json *json, const char *name, uint64_t n, int rounds)
{
	static struct world w;
	bool right;

	if (!world_open(&w, n)) {
		fprintf(stderr, "bench_table: out of memory for %s keys: free some and run again\n", name);
		return false;
	}
	for (int zipf = 0; zipf < 2; zipf++) {
		struct bench_series series[N_ENGINES];
		char set[32];

		memset(series, 0, sizeof series);
		(void)snprintf(set, sizeof set, "%s %s", name, zipf ? "zipf" : "uniform");
		for (int round = 0; round < rounds; round++)
			measure_round(&w, zipf, round, series);
		report(json, set, series);
	}
	right = totals_right(&w);
	if (!right)
		fprintf(stderr, "bench_table: updates lost at %s keys: a fault in an engine\n", name);
	measure_replace(&w, json, name, rounds);
	world_close(&w);
	return right;
}

static const struct {
	const char *name;
	uint64_t n;
} sizes[] = {{"1K", 1000}, {"64K", 64000}, {"1M", 1000000}, {"16M", 16000000}};

static int measure(const char *only, bool quick)
{
	struct bench_json json;
	bool ok = true;
	int err = bench_json_open(&json, "table");

	if (err) {
		fprintf(stderr, "bench_table: build/bench/table.json: %s\n", strerror(-err));
		return 1;
	}
	printf("%-13s %-22s %7s   %-21s   %s\n", "keys", "engine", "ns", "of rte_hash bulk", "of the bound");
	for (int i = 0; ok && i < (quick ? 2 : 4); i++)
		if (!only || !strcmp(only, sizes[i].name))
			ok = measure_size(&json, sizes[i].name, sizes[i].n, quick ? 3 : 31);
	if (bench_json_close(&json)) {
		fprintf(stderr, "bench_table: build/bench/table.json: not written\n");
		return 1;
	}
	return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
	bool quick = argc > 1 && !strcmp(argv[1], "--quick");
	const char *only = argc > 1 && !quick ? argv[1] : NULL;

	if (argc > 2 || (only && (*only == '-' || !strpbrk(only, "KM")))) {
		fprintf(stderr, "usage: bench_table [--quick | 1K | 64K | 1M | 16M]\n");
		return 2;
	}
	if (rte_peer_init(quick ? HEAP_BYTES / 16 : HEAP_BYTES)) {
		fprintf(stderr, "bench_table: DPDK does not start: see its message above\n");
		return 1;
	}
	return measure(only, quick);
}

/* flows.c: counters per source and per flow. See cases.h.
 *
 * Every IPv4 packet adds 1 to its key's counter and passes by the counter's bit BENCH_TURN_BIT, so that a verdict depends on the whole
 * past of its key. Packets are hot: before each pass the addresses, ports and protocols of 4,096 packets are written anew, flows drawn
 * uniformly, and the verdicts expected are counted out in an array. Engines on our table share one; rte_hash and the
 * kernel's map have theirs. All keys are in the tables before the first round, each with a count of its own.
 */
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/mix.h"
#include "test/bench/vm/cases.h"
#include "test/bench/vm/engines.h"
#include "test/lib/rte_hash_dpdk.h"

#define PACKETS    4096u
#define PASSES     8 /* timed together, each with new packets */
#define BATCH      4096u
#define IDLE_S     300
#define COUNT_MASK 127u /* of the first counts */
#define HEAP_BASE  ((size_t)32 << 20)
#define HEAP_FLOW  108u /* bytes of rte_hash and its counters for one flow */

enum { ETHERTYPE = 12, PROTOCOL = 23, SOURCE = 26, PORTS = 34, NEED = 38 };
enum table_of { OURS, RTE_HASH, KERNEL, TABLES };

struct flows {
	const struct bench_options *options;
	struct bench_report *report;
	enum bench_flow_filter which;
	const char *name;
	uint32_t n;
	struct program *program;
	struct shard *shard;
	struct rte_peer *rte;
	struct bench_engines engines;
	struct bench_slots packets;
	uint8_t *counts[TABLES]; /* of each flow, modulo 256 */
	uint64_t drawn;
	uint32_t slots[PACKETS];
	struct vfm_packet visits[PACKETS + BENCH_BURST];
	uint8_t want[PACKETS], verdicts[PACKETS];
};

static struct flows *current; /* for DPDK's external functions, which get nothing but the key */

static uint64_t count_ours(uint64_t key)
{
	return table_add(current->shard->tables[0], key, 1, current->shard->now_s);
}

static uint64_t count_rte(uint64_t key)
{
	return rte_peer_add(current->rte, key, 1);
}

/* Flow f's fields, f's source being its own alone. */
static void write_flow(uint8_t *p, uint32_t f)
{
	uint32_t source = __builtin_bswap32(f * 2654435761u), other = (uint32_t)mix64(f + 1);
	uint8_t destination[4] = {192, 168, 0, (uint8_t)(other >> 24)};

	memcpy(p + SOURCE, &source, sizeof(source));
	memcpy(p + SOURCE + 4, destination, sizeof(destination));
	memcpy(p + PORTS, &other, sizeof(other));
	p[PROTOCOL] = other & 1 ? 6 : 17;
}

static uint64_t big_endian(const uint8_t *p, int bytes)
{
	uint64_t x = 0;

	for (int i = 0; i < bytes; i++)
		x = x << 8 | p[i];
	return x;
}

static uint64_t key_of(enum bench_flow_filter which, const uint8_t *p)
{
	if (which == BENCH_PER_SOURCE)
		return big_endian(p + SOURCE, 4);
	return vfm_mix(big_endian(p + SOURCE, 8), big_endian(p + PORTS, 4) << 8 | p[PROTOCOL], 0);
}

static uint64_t first_count(uint32_t f)
{
	return mix64(~(uint64_t)f) & COUNT_MASK;
}

static struct program *assemble(const struct flows *w)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "TABLE 0, %u, %d\nLD16 12\nPUSH 0x800\nJNE accept\n"
		       "%s\nPUSH 1\nFLOW_ADD\nPUSH %d\nAND\nPUSH 0\nJNE drop\naccept: PUSH 1\nRET\ndrop: PUSH 0\nRET\n",
		       w->n, IDLE_S, w->which == BENCH_PER_SOURCE ? "LD32 26" : "LD64 26\nLD32 34\nPUSH 8\nSHL\nLD8 23\nOR\nMIX",
		       BENCH_TURN_BIT);
	return bench_assemble(w->name, text);
}

static struct bench_engine *kernel_of(struct flows *w)
{
	for (int i = 0; i < w->engines.n; i++)
		if (!strcmp(w->engines.engine[i].name, BENCH_KERNEL))
			return &w->engines.engine[i];
	return NULL;
}

/* All flows with their first counts into every table. */
static int fill(struct flows *w)
{
	struct bench_engine *kernel = kernel_of(w);
	uint64_t keys[BATCH], counts[BATCH];
	uint8_t packet[64];

	shard_set_time(w->shard, w->packets.packets[0].time_us);
	for (uint32_t f = 0; f < w->n; f++) {
		uint64_t key, count = first_count(f);

		write_flow(packet, f);
		key = key_of(w->which, packet);
		for (int t = 0; t < TABLES; t++)
			w->counts[t][f] = (uint8_t)count;
		shard_store(w->shard, 0, key, count);
		if (rte_peer_insert(w->rte, key))
			return -1;
		(void)rte_peer_add(w->rte, key, count);
		keys[f % BATCH] = key;
		counts[f % BATCH] = count;
		if (kernel && (f % BATCH == BATCH - 1 || f == w->n - 1) && bench_kernel_insert(kernel, keys, counts, f % BATCH + 1))
			return -1;
	}
	return 0;
}

static struct shard *shared_shard(void *arg)
{
	return ((struct flows *)arg)->shard;
}

static void keep_shard(void *arg, struct shard *s)
{
	(void)arg;
	(void)s;
}

static int add_engines(struct flows *w)
{
	struct bench_shards shards = {shared_shard, keep_shard, w};

	if (bench_flow_twins_add(&w->engines, w->which, &shards) || bench_own_add(&w->engines, w->program, &shards) ||
	    bench_dpdk_add_count(&w->engines, "librte_bpf, our table", w->which, count_ours) ||
	    bench_dpdk_add_count(&w->engines, "librte_bpf, rte_hash", w->which, count_rte))
		return -1;
	w->engines.engine[w->engines.n - 1].counts_in = RTE_HASH;
	if (bench_kernel_add_count(&w->engines, w->which, w->n, PACKETS, PACKETS))
		return -1;
	if (kernel_of(w))
		kernel_of(w)->counts_in = KERNEL;
	bench_engines_choose(&w->engines, w->options->engine);
	return 0;
}

static int load(struct flows *w)
{
	w->program = assemble(w);
	if (!w->program || bench_slots_make(&w->packets, PACKETS, 1))
		return -1;
	w->shard = bench_shard_new(w->program);
	w->rte = rte_peer_new(w->n);
	for (int t = 0; t < TABLES; t++) {
		w->counts[t] = bench_memory_new(w->n);
		if (!w->counts[t])
			return -1;
	}
	if (!w->shard || !w->rte || add_engines(w) || fill(w)) {
		fprintf(stderr, "bench_vm: %s: no memory for %u flows: free some and run again\n", w->name, w->n);
		return -1;
	}
	for (uint32_t i = 0; i < PACKETS; i++) {
		w->slots[i] = i;
		w->visits[i] = w->packets.packets[i];
	}
	memcpy(w->visits + PACKETS, w->visits, BENCH_BURST * sizeof(*w->visits));
	return 0;
}

static void unload(struct flows *w)
{
	bench_engines_close(&w->engines);
	for (int t = 0; t < TABLES; t++) {
		bench_memory_free(w->counts[t], w->n);
		w->counts[t] = NULL;
	}
	rte_peer_free(w->rte);
	shard_free(w->shard);
	program_free(w->program);
	bench_slots_free(&w->packets);
	w->rte = NULL;
	w->shard = NULL;
	w->program = NULL;
}

/* Writes new flows into the packets, and what each must answer when counted in this table. */
static void draw(struct flows *w, enum table_of table)
{
	for (uint32_t i = 0; i < PACKETS; i++) {
		uint8_t *p = w->packets.memory + (size_t)i * BENCH_SLOT_BYTES + BENCH_LEAD_BYTES;
		uint32_t f = (uint32_t)(((unsigned __int128)mix64(w->drawn++) * w->n) >> 64);

		w->want[i] = 1;
		if (big_endian(p + ETHERTYPE, 2) != 0x800 || w->visits[i].len < NEED)
			continue;
		write_flow(p, f);
		w->want[i] = !(++w->counts[table][f] & BENCH_TURN_BIT);
	}
}

/* One pass, compared (0, or -1: wrong verdicts) or, where ns is given, timed. */
static int run(struct flows *w, const struct bench_engine *e, double *ns)
{
	struct bench_pass pass = {
		.n = PACKETS, .n_slots = PACKETS, .packets = w->visits, .slots = w->slots, .verdicts = w->verdicts};

	draw(w, (enum table_of)e->counts_in);
	if (e->prepare)
		e->prepare(e->self, &pass);
	if (!ns)
		return bench_check(e, w->name, &pass, w->want);
	*ns += bench_time(e, &pass);
	return 0;
}

static int measure(struct flows *w, const char *size)
{
	struct bench_series series[BENCH_MAX_ENGINES] = {0};
	char set[24];

	for (int round = 0; round < w->options->rounds; round++) {
		for (int k = 0; k < w->engines.n; k++) {
			int i = (k + round) % w->engines.n;
			double total = 0;

			if (run(w, &w->engines.engine[i], NULL))
				return -1;
			for (int pass = 0; pass < PASSES; pass++)
				(void)run(w, &w->engines.engine[i], &total);
			bench_add(&series[i], total / (PASSES * PACKETS));
		}
	}
	(void)snprintf(set, sizeof(set), "%s flows", size);
	bench_report_add(w->report, w->name, set, &w->engines, series);
	return 0;
}

static const struct {
	const char *name;
	uint32_t n;
	bool quick; /* measured with --quick too */
} sizes[] = {{"1K", 1000, true}, {"64K", 64000, true}, {"1M", 1000000, false}, {"16M", 16000000, false}};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

static const char *const names[] = {[BENCH_PER_SOURCE] = "per source", [BENCH_PER_FLOW] = "per flow"};

static bool is_wanted(const struct bench_options *options, int which, size_t size)
{
	if (!bench_wanted(options->filter, names[which]) || !bench_wanted(options->set, "flows"))
		return false;
	return options->flows ? !strcmp(options->flows, sizes[size].name) : !options->quick || sizes[size].quick;
}

size_t bench_flows_heap_bytes(const struct bench_options *options)
{
	size_t most = 0;

	for (int which = BENCH_PER_SOURCE; which <= BENCH_PER_FLOW; which++)
		for (size_t i = 0; i < SIZES; i++)
			if (is_wanted(options, which, i))
				most = sizes[i].n;
	return HEAP_BASE + most * HEAP_FLOW;
}

static int measure_size(struct flows *w, int which, size_t size)
{
	int rc;

	w->which = (enum bench_flow_filter)which;
	w->name = names[which];
	w->n = sizes[size].n;
	rc = load(w) || measure(w, sizes[size].name) ? -1 : 0;
	unload(w);
	return rc;
}

int bench_flows(const struct bench_options *options, struct bench_report *report)
{
	struct flows *w = malloc(sizeof(*w));
	int rc = 0;

	if (!w)
		return -1;
	current = w;
	for (int which = BENCH_PER_SOURCE; which <= BENCH_PER_FLOW; which++) {
		for (size_t i = 0; i < SIZES; i++) {
			if (!is_wanted(options, which, i))
				continue;
			memset(w, 0, sizeof(*w));
			w->options = options;
			w->report = report;
			if (measure_size(w, which, i))
				rc = -1;
		}
	}
	free(w);
	return rc;
}

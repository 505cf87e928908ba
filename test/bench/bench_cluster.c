/* bench_cluster.c: what a cluster of processes costs and how long it makes packets wait (make bench-cluster; --quick for a look).
 * Every process is real, frames go over ipc, the controller's store is SQLite with synchronous=FULL. No figure fails the benchmark;
 * only a cluster that does not come up, or loses a packet, does. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/probe.h"
#include "test/lib/bench.h"
#include "test/lib/bench_cluster.h"
#include "test/lib/bench_socket.h"

#define PACED_PPS   20000u
#define FLOWS       1000000u
#define ENTRY_BYTES 30u /* of a snapshot: table, flags, key, value, place, stamp */
#define MAX_VALUES  8192

struct plan {
	const char *build;
	char traffic[256], flows[256], split[256], flows_split[256], flows_filter[256];
	uint32_t packets, flow_packets, rounds, paced_packets, moves, kills, hangs;
	struct bench_json json;
};

struct values {
	double v[MAX_VALUES];
	uint32_t n;
};

static void add(struct values *s, double v)
{
	if (s->n < MAX_VALUES)
		s->v[s->n++] = v;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(struct values *s, double q)
{
	qsort(s->v, s->n, sizeof(*s->v), compare);
	return s->n ? s->v[(uint32_t)(q * (s->n - 1) + 0.5)] : 0;
}

static void print_quantiles(struct plan *p, const char *name, const char *engine, const char *set, struct values *s,
			    const char *goal)
{
	static const struct {
		const char *name;
		double q;
	} columns[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};

	printf("%-34s %-9s", name, engine);
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
		char key[96];

		snprintf(key, sizeof(key), "%s, %s", name, columns[i].name);
		printf(" %s %9.0f", columns[i].name, quantile(s, columns[i].q));
		bench_json_value(&p->json, key, engine, set, "us", quantile(s, columns[i].q));
	}
	printf(" us  (n = %u; %s)\n", s->n, goal);
}

/* ---- throughput and latency, with and without a standby ---- */

struct side {
	const char *name;
	bool standby;
	struct bench_series seconds;
	struct probe_waits waits;
	double bytes_per_packet;
};

static void add_waits(struct probe_waits *sum, const struct probe_waits *w)
{
	for (uint32_t i = 0; i < PROBE_BUCKETS; i++)
		sum->n[i] += w->n[i];
}

static bool run_side(struct plan *p, struct side *s)
{
	struct cluster_options o = {"examples/conntrack.vfl", p->split, p->traffic, 2, 64, s->standby, 0};
	struct cluster c;
	struct probe_waits w;
	bool ok = cluster_start(&c, &o) == 0;

	if (ok) {
		cluster_go(&c, p->paced_packets, PACED_PPS);
		ok = cluster_wait_released(&c, p->paced_packets) == 0;
		cluster_waits(&c, &w);
		add_waits(&s->waits, &w);
	}
	if (ok) {
		uint64_t began = bench_now_ns();

		cluster_go(&c, UINT32_MAX, 0);
		ok = cluster_wait_released(&c, p->packets) == 0;
		bench_add(&s->seconds, (double)(bench_now_ns() - began) / (p->packets - p->paced_packets));
		s->bytes_per_packet = (double)cluster_sum(&c, "delta_bytes") / p->packets;
	}
	cluster_stop(&c);
	return ok;
}

static uint64_t wait_quantile(const struct probe_waits *w, double q)
{
	uint64_t total = 0, seen = 0;
	uint32_t i = 0;

	for (uint32_t k = 0; k < PROBE_BUCKETS; k++)
		total += w->n[k];
	while (i < PROBE_BUCKETS - 1 && (double)(seen += w->n[i]) < q * (double)total)
		i++;
	return probe_bucket_us(i);
}

static void print_histogram(const struct side sides[2])
{
	printf("\nwait of a packet at %u packets a second, share of packets\n%10s %9s %9s\n", PACED_PPS, "from us", sides[0].name,
	       sides[1].name);
	for (uint32_t i = 0; i < PROBE_BUCKETS; i += PROBE_STEPS) {
		double share[2] = {0, 0}, total[2] = {0, 0};

		for (uint32_t k = 0; k < PROBE_BUCKETS; k++)
			for (int s = 0; s < 2; s++) {
				total[s] += (double)sides[s].waits.n[k];
				share[s] += k >= i && k < i + PROBE_STEPS ? (double)sides[s].waits.n[k] : 0;
			}
		if (share[0] + share[1] > 0)
			printf("%10llu %8.2f%% %8.2f%%\n", (unsigned long long)probe_bucket_us(i), 100 * share[0] / total[0],
			       100 * share[1] / total[1]);
	}
}

static bool standby(struct plan *p)
{
	struct side sides[2] = {{.name = "none"}, {.name = "standby", .standby = true}};
	struct bench_interval ratio;

	for (uint32_t r = 0; r < p->rounds; r++)
		for (uint32_t k = 0; k < 2; k++)
			if (!run_side(p, &sides[(k + r) % 2]))
				return false;
	ratio = bench_ratio(&sides[0].seconds, &sides[1].seconds);
	printf("\nthroughput, conntrack, 2 nodes, 64 shards, %u packets, %u rounds\n", p->packets, p->rounds);
	for (int k = 0; k < 2; k++) {
		struct bench_interval ns = bench_median(&sides[k].seconds);

		printf("  %-9s %7.0f ns a packet, %7.0f packets a second\n", sides[k].name, ns.median, 1e9 / ns.median);
		bench_json_row(&p->json, "throughput", sides[k].name, "conntrack", ns.median, k ? "none" : NULL,
			       bench_ratio(&sides[k].seconds, &sides[0].seconds));
	}
	printf("  standby beside none: %.0f %% [%.0f, %.0f] (goal: 90 %%); replicated %.1f bytes a packet\n", 100 * ratio.median,
	       100 * ratio.low, 100 * ratio.high, sides[1].bytes_per_packet);
	bench_json_value(&p->json, "replicated", "standby", "conntrack", "bytes_per_packet", sides[1].bytes_per_packet);
	print_histogram(sides);
	for (int k = 0; k < 2; k++) {
		printf("  %-9s p50 %llu us, p99 %llu us\n", sides[k].name, (unsigned long long)wait_quantile(&sides[k].waits, 0.5),
		       (unsigned long long)wait_quantile(&sides[k].waits, 0.99));
		bench_json_value(&p->json, "wait, p50", sides[k].name, "conntrack", "us",
				 (double)wait_quantile(&sides[k].waits, 0.5));
		bench_json_value(&p->json, "wait, p99", sides[k].name, "conntrack", "us",
				 (double)wait_quantile(&sides[k].waits, 0.99));
	}
	printf("  added by the standby, p50: %lld us (goal: 100 us)\n",
	       (long long)(wait_quantile(&sides[1].waits, 0.5) - wait_quantile(&sides[0].waits, 0.5)));
	return true;
}

/* ---- moves and kills under a steady load ---- */

static uint64_t item(const json_t *list, size_t i)
{
	return (uint64_t)json_integer_value(json_array_get(list, i));
}

static bool move_once(struct cluster *c, uint32_t shard)
{
	uint64_t until = fleet_now_us() + 10000000;
	int at = cluster_refresh(c) ? cluster_node(c, cluster_owner(c, shard)) : -1;
	const char *to;

	if (at < 0)
		return false;
	to = c->fleet.nodes[((uint32_t)at + 1) % c->fleet.n_nodes].name;
	if (cluster_order(c, json_pack("{s:s,s:I,s:s}", "command", "move", "shard", (json_int_t)shard, "node", to)))
		return false;
	while (fleet_now_us() < until) {
		if (cluster_refresh(c) && cluster_owner(c, shard) && strcmp(cluster_owner(c, shard), to) == 0)
			return true;
		usleep(1000);
	}
	return false;
}

/* Freezes that have ended since `since`. */
static void take_freezes(struct cluster *c, uint64_t since, struct values *frozen, struct values *silent)
{
	json_t *list = cluster_freezes(c), *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (item(one, 0) < since)
			continue;
		add(frozen, (double)item(one, 2));
		add(silent, (double)item(one, 3));
	}
	json_decref(list);
}

/* From `at` to the verdict of the first and of the last shard that was promoted: their waits had begun before the promotion. */
static void take_promotions(struct cluster *c, uint64_t at, uint64_t promoted, struct values *first, struct values *last)
{
	json_t *list = cluster_freezes(c), *one;
	uint64_t least = UINT64_MAX, most = 0;
	size_t i;

	json_array_foreach(list, i, one)
	{
		uint64_t end = item(one, 0);

		if (end < at || end - item(one, 3) > promoted)
			continue;
		least = end - at < least ? end - at : least;
		most = end - at > most ? end - at : most;
	}
	json_decref(list);
	if (most) {
		add(first, (double)least);
		add(last, (double)most);
	}
}

static bool take_down(struct cluster *c, uint32_t round, int signal_number, struct values *first, struct values *last)
{
	uint64_t at, promoted = 0, until;
	uint32_t owned = 1;
	int node = cluster_refresh(c) ? cluster_node(c, cluster_owner(c, round * 7 % c->options.shards)) : -1;
	char name[16];

	if (node < 0)
		return false;
	snprintf(name, sizeof(name), "%s", c->fleet.nodes[node].name);
	at = fleet_now_us();
	kill(c->fleet.nodes[node].pid, signal_number);
	for (until = at + 10000000; owned && fleet_now_us() < until; usleep(4000)) {
		owned = !cluster_refresh(c);
		for (uint32_t k = 0; k < c->options.shards; k++)
			owned += cluster_owner(c, k) && strcmp(cluster_owner(c, k), name) == 0;
		promoted = fleet_now_us();
	}
	usleep(50000);
	take_promotions(c, at, promoted, first, last);
	fleet_kill(&c->fleet.nodes[node], SIGKILL);
	return !owned && cluster_restart_node(c, (uint32_t)node) == 0 && cluster_settle(c) == 0;
}

static bool faults(struct plan *p)
{
	struct cluster_options o = {"examples/conntrack.vfl", p->split, p->traffic, 3, 64, true, 0};
	struct values frozen = {0}, silent = {0}, first = {0}, last = {0}, hung = {0}, hung_last = {0};
	struct cluster c;
	bool ok = cluster_start(&c, &o) == 0;
	uint64_t began = fleet_now_us();

	if (ok)
		cluster_go(&c, UINT32_MAX, PACED_PPS / 2);
	for (uint32_t i = 0; ok && i < p->moves; i++)
		ok = move_once(&c, i % o.shards) && cluster_settle(&c) == 0;
	if (ok)
		take_freezes(&c, began, &frozen, &silent);
	for (uint32_t i = 0; ok && i < p->kills; i++)
		ok = take_down(&c, i, SIGKILL, &first, &last);
	for (uint32_t i = 0; ok && i < p->hangs; i++)
		ok = take_down(&c, i, SIGSTOP, &hung, &hung_last);
	printf("\nmoves and failures, conntrack, 3 nodes, 64 shards, one standby each, %u packets a second\n", PACED_PPS / 2);
	print_quantiles(p, "freeze of a shard", "move", "conntrack", &frozen, "goal: p99 1000 us");
	print_quantiles(p, "until the next verdict", "move", "conntrack", &silent, "the same with the next packet's execution");
	print_quantiles(p, "kill to the first verdict", "kill -9", "conntrack", &first, "first shard; goal: 10000 us");
	print_quantiles(p, "kill to the last shard's verdict", "kill -9", "conntrack", &last, "about 21 shards");
	print_quantiles(p, "hang to the last shard's verdict", "SIGSTOP", "conntrack", &hung_last, "goal: 500000 us");
	if (ok && cluster_progress(&c, "read") >= p->packets)
		printf("  the capture ended before the faults did: the last of them had no packets to delay\n");
	cluster_stop(&c);
	return ok;
}

/* ---- 10^6 entries at once ---- */

static bool bulk_round(struct plan *p, struct bench_series *moved, struct bench_series *bare, double *bytes, double *entries)
{
	struct cluster_options o = {p->flows_filter, p->flows_split, p->flows, 1, 64, false, 0};
	struct cluster c;
	uint64_t began, until;
	uint32_t left = 1;
	bool ok = cluster_start(&c, &o) == 0;

	if (ok) {
		cluster_go(&c, UINT32_MAX, 0);
		ok = cluster_wait_released(&c, p->flow_packets) == 0 && cluster_add_node(&c) == 0;
	}
	usleep(300000);
	began = fleet_now_us();
	ok = ok && cluster_order(&c, json_pack("{s:s,s:s,s:b}", "command", "drain", "node", "node1", "on", 1)) == 0;
	for (until = began + 30000000; ok && left && fleet_now_us() < until; usleep(4000)) {
		left = !cluster_refresh(&c);
		for (uint32_t k = 0; k < o.shards; k++)
			left += !cluster_owner(&c, k) || strcmp(cluster_owner(&c, k), "node2");
	}
	bench_add(moved, (double)(fleet_now_us() - began) * 1e3);
	*bytes = (double)cluster_sum(&c, "bytes_moved");
	*entries = (double)cluster_sum(&c, "entries_moved");
	cluster_stop(&c);
	if (ok && !left)
		bench_add(bare, bench_socket_ns((size_t)*bytes, 64 * 1024));
	return ok && !left;
}

static bool bulk(struct plan *p)
{
	struct bench_series moved = {0}, bare = {0};
	struct bench_interval ns, socket_ns, ratio;
	double bytes = 0, entries = 0;

	for (uint32_t r = 0; r < p->rounds; r++)
		if (!bulk_round(p, &moved, &bare, &bytes, &entries))
			return false;
	ns = bench_median(&moved);
	socket_ns = bench_median(&bare);
	ratio = bench_ratio(&bare, &moved);
	printf("\nall shards from one node to another: %.0f entries, %.0f bytes, 64 shards, %u rounds\n", entries, bytes,
	       p->rounds);
	printf("  moved  %8.1f ms  %6.2f million entries a second (goal: 10^6 in 100 ms)\n", ns.median / 1e6,
	       entries * 1e3 / ns.median);
	printf("  bare   %8.1f ms, the same bytes over a Unix socket\n", socket_ns.median / 1e6);
	printf("  %.1f %% of the bare socket's throughput [%.1f, %.1f] (goal: 60 %%)\n", 100 * ratio.median, 100 * ratio.low,
	       100 * ratio.high);
	bench_json_row(&p->json, "move of 10^6 flows", "bare socket", "hash5", socket_ns.median, NULL, ratio);
	bench_json_row(&p->json, "move of 10^6 flows", "cluster", "hash5", ns.median, "bare socket", bench_ratio(&moved, &bare));
	bench_json_value(&p->json, "move of 10^6 flows", "cluster", "hash5", "entries_per_second", entries * 1e9 / ns.median);
	return true;
}

/* ---- bytes per packet beside copying all state ---- */

static bool replicated(struct plan *p)
{
	struct cluster_options o = {p->flows_filter, p->flows_split, p->flows, 2, 64, true, 0};
	struct cluster c;
	double delta = 0, all = (double)p->flow_packets * ENTRY_BYTES;
	bool ok = cluster_start(&c, &o) == 0;

	if (ok) {
		cluster_go(&c, UINT32_MAX, 0);
		ok = cluster_wait_released(&c, p->flow_packets) == 0;
		delta = (double)cluster_sum(&c, "delta_bytes") / p->flow_packets;
	}
	cluster_stop(&c);
	printf("\nreplicated, a new flow with every packet: %.1f bytes a packet; a copy of all %u flows is %.0f bytes, %.0f times "
	       "as much "
	       "(goal: 1000)\n",
	       delta, p->flow_packets, all, delta > 0 ? all / delta : 0);
	bench_json_value(&p->json, "replicated", "standby", "hash5", "bytes_per_packet", delta);
	bench_json_value(&p->json, "replicated", "copy of all state", "hash5", "bytes_per_packet", all);
	return ok;
}

/* ---- input ---- */

static int run(const char *command)
{
	int status = system(command);

	if (status)
		fprintf(stderr, "bench_cluster: this fails: %s\n", command);
	return status;
}

/* A filter that stores one entry for every flow it sees, and what the benchmark plays. */
static bool prepare(struct plan *p)
{
	char command[1400];
	FILE *f;

	snprintf(p->traffic, sizeof(p->traffic), "%s/bench/cluster-traffic.pcap", p->build);
	snprintf(p->flows, sizeof(p->flows), "%s/bench/cluster-flows.pcap", p->build);
	snprintf(p->split, sizeof(p->split), "%s/bench/cluster-traffic.cert", p->build);
	snprintf(p->flows_split, sizeof(p->flows_split), "%s/bench/cluster-flows.cert", p->build);
	snprintf(p->flows_filter, sizeof(p->flows_filter), "%s/bench/cluster-flows.vfm", p->build);
	f = fopen(p->flows_filter, "w");
	if (!f)
		return false;
	fprintf(f, "TABLE 3 2097152 0\nHASH5\nPUSH 1\nFLOW_ADD 3\nRET 1\n");
	fclose(f);
	snprintf(command, sizeof(command), "%s/test/tools/traffic-gen -n %u -o %s", p->build, p->packets, p->traffic);
	if (run(command))
		return false;
	snprintf(command, sizeof(command), "%s/test/tools/traffic-gen -n %u -m spoofed=100 -r 1000000 -o %s", p->build,
		 p->flow_packets, p->flows);
	if (run(command))
		return false;
	snprintf(command, sizeof(command),
		 "%s/bin/vfm-analyze --certificate %s examples/conntrack.vfl >/dev/null && %s/bin/vfm-analyze --certificate %s %s "
		 ">/dev/null",
		 p->build, p->split, p->build, p->flows_split, p->flows_filter);
	return run(command) == 0;
}

int main(int argc, char **argv)
{
	bool quick = argc == 2 && !strcmp(argv[1], "--quick"), ok;
	struct plan p = {.build = getenv("BUILD") ? getenv("BUILD") : "build"};

	if (argc > 2 || (argc == 2 && !quick)) {
		fprintf(stderr, "usage: bench_cluster [--quick]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0); /* it takes minutes */
	p.packets = quick ? 200000 : 1000000;
	p.flow_packets = quick ? 100000 : FLOWS;
	p.paced_packets = quick ? 20000 : 60000;
	p.rounds = quick ? 1 : 3;
	p.moves = quick ? 10 : 60;
	p.kills = quick ? 2 : 10;
	p.hangs = quick ? 1 : 3;
	if (bench_json_open(&p.json, "cluster")) {
		fprintf(stderr, "bench_cluster: build/bench/cluster.json cannot be written: see BENCH_DIR\n");
		return 1;
	}
	ok = prepare(&p) && standby(&p) && faults(&p) && bulk(&p) && replicated(&p);
	if (!ok)
		fprintf(stderr, "bench_cluster: the cluster did not come up, or did not go on\n");
	return bench_json_close(&p.json) == 0 && ok ? 0 : 1;
}

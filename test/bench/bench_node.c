/* bench_node.c: what a filter costs on top of moving packets, on one core: the node beside bare forwarding loops on the same ports.
 *
 * ring: two net_ring ports, each giving back what is sent to it; 960 frames go round for ever, no frame is made or lost while measuring.
 * null: two net_null ports, which make 64-byte frames of zeros and take everything.
 * In the stateful case the source address is drawn anew from 10^6 on every arrival, in a port in front of the one below, and the loop
 * that it is compared with does the same and nothing else. The io and macswap loops do per burst what dpdk-testpmd's modes of those
 * names do; they stand here so that both sides run in one process, interleaved (bench_node.py runs dpdk-testpmd itself). One core,
 * in processor time. First the throughput at saturation; then the no-drop rate: the highest rate of arrival, found by
 * bisection, at which a receive queue of BENCH_SHAPED_QUEUE_PKTS loses nothing in one of TRIALS trials of TRIAL_MS. Prints tables and
 * writes build/bench/node.json.
 *
 *   --quick   few rounds, for a look
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/dataplane.h"
#include "node/eal_dpdk.h"
#include "node/io_dpdk.h"
#include "test/lib/bench.h"
#include "test/lib/bench_ports_dpdk.h"
#include "test/lib/bench_shaped.h"
#include "vm/asm.h"
#include "vm/vfm.h"

#define FRAMES      960u
#define FLOWS       1000000u
#define ROUND_MS    10
#define WARM_ROUNDS 100
#define TRIAL_MS    5  /* of a rate */
#define TRIALS      5  /* a rate is passed if one of them misses no packet */
#define HALVINGS    10 /* of the interval that the highest such rate is in */
#define TOP_PPS     400e6

enum side { IO, MACSWAP, NODE_INTERP, NODE_BURST, N_ENGINES };
static const char *const engine_names[N_ENGINES] = {"io loop", "macswap loop", "node, interp", "node, burst"};

struct bench {
	const char *names[2];
	struct bench_shaped ports[2];
	uint32_t sources;
	bool shaped;                    /* the io loop is to use ports[] */
	struct loaded *code[N_ENGINES]; /* of the sides that are nodes */
};

struct timer {
	struct dataplane *dp;
	int ms;
};

static void *stop_later(void *arg)
{
	struct timer *t = arg;

	nanosleep(&(struct timespec){.tv_nsec = t->ms * 1000000}, NULL);
	dataplane_stop(t->dp);
	return NULL;
}

/* Packets of one round of the node. */
static uint64_t round_node(struct bench *b, struct loaded *code, int ms)
{
	struct dataplane_config config = {.ports = {&b->ports[0].io, &b->ports[1].io}, .cores = 1};
	struct dataplane *dp = dataplane_new(&config, code);
	struct timer stop = {dp, ms};
	uint64_t packets = 0;
	pthread_t timer;

	if (dp && pthread_create(&timer, NULL, stop_later, &stop) == 0) {
		dataplane_run_core(dp, 0);
		pthread_join(timer, NULL);
		packets = dataplane_counts(dp, 0).packets + dataplane_counts(dp, 1).packets;
	}
	dataplane_free(dp);
	return packets;
}

/* The io loop through io.h, where the ports are shaped as the node's are. */
static uint64_t forward_shaped(struct bench *b, uint64_t cycles)
{
	uint64_t end = eal_cycles() + cycles, moved = 0;
	struct io_burst burst;

	while (eal_cycles() < end) {
		for (int i = 0; i < 2; i++) {
			uint32_t n = io_rx(&b->ports[i].io, 0, &burst);
			uint32_t sent = n ? io_tx(&b->ports[!i].io, 0, burst.frames, n) : 0;

			if (sent < n)
				io_free(&b->ports[i].io, burst.frames + sent, n - sent);
			moved += n;
		}
	}
	return moved;
}

static uint64_t forward(struct bench *b, enum side e, int ms)
{
	uint64_t cycles = eal_hz() * (uint64_t)ms / 1000;

	if (b->code[e])
		return round_node(b, b->code[e], ms);
	return e == IO && b->shaped ? forward_shaped(b, cycles) : bench_ports_forward(b->names, e == MACSWAP, cycles);
}

/* Of this thread, so that a busy neighbour does not count. */
static double processor_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds a packet. */
static double measure(struct bench *b, enum side e)
{
	double began = processor_ns();
	uint64_t packets = forward(b, e, ROUND_MS);

	return packets ? (processor_ns() - began) / (double)packets : 0;
}

static bool misses_none(struct bench *b, enum side e, double pps)
{
	for (int i = 0; i < 2; i++)
		bench_shaped_offer(&b->ports[i], pps / 2);
	return forward(b, e, TRIAL_MS) > 0 && !b->ports[0].missed && !b->ports[1].missed;
}

/* By bisection, packets a second through both ports. */
static double no_drop_rate(struct bench *b, enum side e)
{
	double low = 0, high = TOP_PPS;

	b->shaped = true;
	for (int k = 0; k < HALVINGS; k++) {
		double middle = (low + high) / 2;
		bool passed = false;

		for (int trial = 0; trial < TRIALS && !passed; trial++)
			passed = misses_none(b, e, middle);
		*(passed ? &low : &high) = middle;
	}
	for (int i = 0; i < 2; i++)
		bench_shaped_offer(&b->ports[i], 0);
	b->shaped = b->sources > 0;
	return low;
}

static struct loaded *load(const char *assembly, enum engine_kind engine)
{
	struct loaded_options options = {
		.shards = 1, .cores = 1, .engine = engine, .insn_limit = VFM_DEFAULT_INSN_LIMIT, .state = {.idle_s = -1}};
	struct table_file none = {0};
	struct vfm_reject why;
	struct diag_list *d = calloc(1, sizeof(*d));
	struct program *p = NULL;
	struct loaded *l = NULL;
	uint8_t *code = NULL;
	uint32_t len;
	char text[256];

	if (!d)
		return NULL;
	diag_init(d, "bench", assembly, (uint32_t)strlen(assembly));
	if (asm_assemble(assembly, strlen(assembly), false, &code, &len, d) == 0)
		p = program_new(code, len, 0, &why);
	else
		diag_print(d, stderr);
	free(code);
	free(d);
	if (p && loaded_new(p, NULL, &options, &none, &l, text, sizeof(text)))
		l = NULL;
	return l;
}

static void print_times(struct bench_json *json, const struct bench_series *series, enum side e, const char *name, const char *set)
{
	struct bench_interval ns = bench_median(&series[e]), ratio = bench_ratio(&series[e], &series[IO]);

	printf("%-26s %-10s %-13s %7.1f ns %7.2f M/s   %6.2f [%.2f, %.2f]\n", name, set, engine_names[e], ns.median,
	       ns.median > 0 ? 1e3 / ns.median : 0, ratio.median, ratio.low, ratio.high);
	bench_json_row(json, name, engine_names[e], set, ns.median, engine_names[IO], ratio);
}

static void print_rates(struct bench_json *json, struct bench *b, const char *name, const char *set)
{
	double of_io = 0;

	for (int e = 0; e < N_ENGINES; e++) {
		char key[64];
		double rate;

		if (e == MACSWAP)
			continue; /* its ports are not shaped */
		rate = no_drop_rate(b, (enum side)e);
		of_io = e == IO ? rate : of_io;
		printf("%-26s %-10s %-13s %7.2f M/s without a miss   %6.2f of the io loop\n", name, set, engine_names[e],
		       rate / 1e6, of_io > 0 ? rate / of_io : 0);
		snprintf(key, sizeof(key), "%s, no-drop rate, pps", name);
		bench_json_row(json, key, engine_names[e], set, rate, NULL, (struct bench_interval){0});
	}
}

static bool run_case(struct bench_json *json, struct bench *b, const char *name, const char *set, const char *assembly, int rounds)
{
	struct bench_series series[N_ENGINES] = {0};

	b->code[NODE_INTERP] = load(assembly, ENGINE_INTERP);
	b->code[NODE_BURST] = load(assembly, ENGINE_BURST);
	if (!b->code[NODE_INTERP] || !b->code[NODE_BURST])
		return false;
	for (int i = 0; i < 2; i++)
		b->ports[i].sources = b->sources;
	b->shaped = b->sources > 0;
	for (int i = 0; i < (b->sources ? WARM_ROUNDS : 1); i++) /* tables and ports warm, every flow there */
		for (int e = NODE_INTERP; e < N_ENGINES; e++)
			(void)measure(b, (enum side)e);
	for (int round = 0; round < rounds; round++)
		for (int k = 0; k < N_ENGINES; k++) {
			int e = (k + round) % N_ENGINES;

			bench_add(&series[e], measure(b, (enum side)e));
		}
	for (int e = 0; e < N_ENGINES; e++)
		if (!b->sources || e != MACSWAP) /* it redraws nothing: no fair neighbour */
			print_times(json, series, (enum side)e, name, set);
	print_rates(json, b, name, set);
	for (int e = 0; e < N_ENGINES; e++) {
		loaded_free(b->code[e]);
		b->code[e] = NULL;
	}
	return true;
}

static bool open_ports(struct bench *b, const char *first, const char *second)
{
	const char *names[2] = {first, second};

	for (uint32_t i = 0; i < 2; i++) {
		struct io_dpdk_config config = {
			.number = i, .rx_queues = 1, .tx_queues = 1, .held_pkts = DATAPLANE_WINDOW_PKTS, .cores = 1};
		char error[IO_ERROR_BYTES];

		struct io *port;

		if (io_dpdk_open(names[i], &config, &port, error)) {
			fprintf(stderr, "bench_node: %s\n", error);
			return false;
		}
		b->names[i] = names[i];
		bench_shaped_init(&b->ports[i], port);
	}
	return true;
}

/* TCP over IPv4 without options; IMIX is 7 frames of 64 bytes to 4 of 576 and 1 of 1500. */
static bool fill(const char *port, bool imix)
{
	static const uint32_t lengths[12] = {64, 576, 64, 64, 576, 64, 1500, 64, 576, 64, 576, 64};
	static uint8_t data[FRAMES][1500];
	struct bench_frame frames[FRAMES];

	memset(data, 0, sizeof(data));
	for (uint32_t i = 0; i < FRAMES; i++) {
		static const uint8_t head[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 6};

		memcpy(data[i], head, sizeof(head));
		data[i][BENCH_SOURCE_OFFSET] = 10;
		data[i][BENCH_SOURCE_OFFSET + 2] = (uint8_t)(i >> 8);
		data[i][BENCH_SOURCE_OFFSET + 3] = (uint8_t)i;
		data[i][37] = i & 1 ? 80 : 22; /* destination port */
		data[i][47] = 0x10;
		frames[i] = (struct bench_frame){data[i], imix ? lengths[i % 12] : 64};
	}
	return bench_ports_fill(port, frames, FRAMES) == FRAMES;
}

int main(int argc, char **argv)
{
	static const char eal[] =
		"--no-huge --no-pci --no-shconf --no-telemetry -m 512 -l 0 --vdev net_null0,size=64 --vdev net_null1,size=64 "
		"--vdev net_ring0 --vdev net_ring1 --vdev net_ring2 --vdev net_ring3";
	static const char stateless[] = "LD16 12\nPUSH 0x0800\nJNE pass\nLD8 23\nPUSH 6\nJNE pass\nLD16 36\nPUSH 80\nJEQ pass\n"
					"RET 2\npass:\nRET 1\n";
	static const char stateful[] = "TABLE 3 2097152 0\nLD32 26\nPUSH 1\nFLOW_ADD 3\nRET 1\n";
	bool quick = argc == 2 && !strcmp(argv[1], "--quick"), ok;
	int rounds = quick ? 5 : 31;
	struct bench null = {0}, small = {0}, imix = {0};
	char error[EAL_ERROR_BYTES];
	struct bench_json json;

	if (argc > 2 || (argc == 2 && !quick)) {
		fprintf(stderr, "usage: bench_node [--quick]\n");
		return 2;
	}
	if (eal_start("bench_node", eal, error)) {
		fprintf(stderr, "bench_node: %s\n", error);
		return 1;
	}
	if (!open_ports(&null, "net_null0", "net_null1") || !open_ports(&small, "net_ring0", "net_ring1") ||
	    !open_ports(&imix, "net_ring2", "net_ring3") || !fill("net_ring0", false) || !fill("net_ring2", true) ||
	    bench_json_open(&json, "node")) {
		fprintf(stderr, "bench_node: ports cannot be set up, or build/bench/node.json cannot be written\n");
		return 1;
	}
	printf("%d rounds of %d ms, one core; ratio to the io loop on the same ports\n", rounds, ROUND_MS);
	ok = run_case(&json, &null, "null ports, accept all", "64 B", "RET 1\n", rounds) &&
	     run_case(&json, &null, "null ports, stateless", "64 B", stateless, rounds) &&
	     run_case(&json, &small, "ring ports, accept all", "64 B", "RET 1\n", rounds) &&
	     run_case(&json, &small, "ring ports, stateless", "64 B", stateless, rounds) &&
	     run_case(&json, &imix, "ring ports, stateless", "IMIX", stateless, rounds);
	small.sources = imix.sources = FLOWS;
	ok = ok && run_case(&json, &small, "ring ports, 1M flows", "64 B", stateful, rounds) &&
	     run_case(&json, &imix, "ring ports, 1M flows", "IMIX", stateful, rounds);
	ok = bench_json_close(&json) == 0 && ok;
	eal_stop();
	return ok ? 0 : 1;
}

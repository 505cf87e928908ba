/* bench_node.c: what a filter costs on top of moving packets, on one core: the node beside bare forwarding loops on the same ports.
 *
 * ring: two net_ring ports, each giving back what is sent to it; 960 frames go round for ever, no frame is made or lost while measuring.
 * null: two net_null ports, which make 64-byte frames of zeros and take everything.
 * In the stateful case the source address is drawn anew from 10^6 on every arrival, in the wrapper of the port below, and the loop
 * that it is compared with does the same and nothing else. The io and macswap loops do per burst what dpdk-testpmd's modes of those
 * names do; they stand here so that both sides run in one process, interleaved. One core, the machine's time stamp counter;
 * nothing is rate-limited, so this is throughput at saturation, not a no-drop rate. Prints a table and writes build/bench/node.json.
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
#include "test/lib/gen_program.h"
#include "vm/asm.h"
#include "vm/vfm.h"

#define FRAMES      960u
#define FLOWS       1000000u
#define ROUND_MS    10
#define WARM_ROUNDS 100
#define SOURCE      26u /* offset of the IPv4 source address */

enum side { IO, MACSWAP, NODE, N_ENGINES };
static const char *const engine_names[N_ENGINES] = {"io loop", "macswap loop", "node"};

/* A port that redraws source addresses as packets arrive. */
struct redrawing {
	struct io io; /* first */
	struct io *below;
};

static struct gen_rng rng = {1};
static bool redraw;

static void redraw_rx(struct io *io, uint32_t queue, struct io_burst *b)
{
	io_rx(((struct redrawing *)io)->below, queue, b);
	for (uint32_t i = 0; redraw && i < b->n; i++) {
		uint32_t source = 0x0a000000u + (uint32_t)gen_below(&rng, FLOWS);

		if (b->packets[i].len >= SOURCE + 4)
			memcpy((uint8_t *)(uintptr_t)b->packets[i].data + SOURCE, &source, 4);
	}
}

static uint32_t redraw_tx(struct io *io, uint32_t queue, void *const *frames, uint32_t n)
{
	return io_tx(((struct redrawing *)io)->below, queue, frames, n);
}

static void redraw_free(struct io *io, void *const *frames, uint32_t n)
{
	io_free(((struct redrawing *)io)->below, frames, n);
}

static void redraw_counters(struct io *io, struct io_counters *c)
{
	io_counters(((struct redrawing *)io)->below, c);
}

static const struct io_ops redraw_ops = {.rx = redraw_rx, .tx = redraw_tx, .free = redraw_free, .counters = redraw_counters};

struct bench {
	const char *names[2];
	struct redrawing ports[2];
	struct loaded *code;
};

static void *stop_later(void *dp)
{
	nanosleep(&(struct timespec){.tv_nsec = ROUND_MS * 1000000}, NULL);
	dataplane_stop(dp);
	return NULL;
}

/* Packets and cycles of one round of the node; cycles 0: failed. */
static uint64_t round_node(struct bench *b, uint64_t *cycles)
{
	struct dataplane_config config = {.ports = {&b->ports[0].io, &b->ports[1].io}, .cores = 1};
	struct dataplane *dp = dataplane_new(&config, b->code);
	uint64_t packets = 0;
	pthread_t timer;

	*cycles = 0;
	if (dp && pthread_create(&timer, NULL, stop_later, dp) == 0) {
		*cycles = eal_cycles();
		dataplane_run_core(dp, 0);
		*cycles = eal_cycles() - *cycles;
		pthread_join(timer, NULL);
		packets = dataplane_counts(dp, 0).packets + dataplane_counts(dp, 1).packets;
	}
	dataplane_free(dp);
	return packets;
}

/* The io loop through io.h, for the stateful case: it redraws addresses as the node's ports do. */
static uint64_t forward_redrawing(struct bench *b, uint64_t cycles)
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

/* Cycles per packet. */
static double measure(struct bench *b, enum side e)
{
	uint64_t cycles = eal_hz() * ROUND_MS / 1000, packets;

	if (e == NODE)
		packets = round_node(b, &cycles);
	else if (redraw && e == IO)
		packets = forward_redrawing(b, cycles);
	else
		packets = bench_ports_forward(b->names, e == MACSWAP, cycles);
	return packets ? (double)cycles / (double)packets : 0;
}

static struct loaded *load(const char *assembly)
{
	struct loaded_options options = {
		.shards = 1, .cores = 1, .engine = ENGINE_INTERP, .insn_limit = VFM_DEFAULT_INSN_LIMIT, .state = {.idle_s = -1}};
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

static bool run_case(struct bench_json *json, struct bench *b, const char *name, const char *set, const char *assembly, int rounds)
{
	struct bench_series series[N_ENGINES] = {0};

	b->code = load(assembly);
	if (!b->code)
		return false;
	for (int i = 0; i < (redraw ? WARM_ROUNDS : 1); i++) /* tables and ports warm, every flow there */
		(void)measure(b, NODE);
	for (int round = 0; round < rounds; round++)
		for (int k = 0; k < N_ENGINES; k++) {
			int e = (k + round) % N_ENGINES;

			bench_add(&series[e], measure(b, (enum side)e) * 1e9 / (double)eal_hz());
		}
	for (int e = 0; e < N_ENGINES; e++) {
		if (redraw && e == MACSWAP)
			continue; /* it redraws nothing: no fair neighbour */
		struct bench_interval ns = bench_median(&series[e]), ratio = bench_ratio(&series[e], &series[IO]);

		printf("%-26s %-10s %-13s %7.1f ns %8.0f cycles %7.2f M/s   %6.2f [%.2f, %.2f]\n", name, set, engine_names[e],
		       ns.median, ns.median * (double)eal_hz() / 1e9, ns.median > 0 ? 1e3 / ns.median : 0, ratio.median, ratio.low,
		       ratio.high);
		bench_json_row(json, name, engine_names[e], set, ns.median, engine_names[IO], ratio);
	}
	loaded_free(b->code);
	return true;
}

static bool open_ports(struct bench *b, const char *first, const char *second)
{
	const char *names[2] = {first, second};

	for (uint32_t i = 0; i < 2; i++) {
		struct io_dpdk_config config = {
			.number = i, .rx_queues = 1, .tx_queues = 1, .held_pkts = DATAPLANE_WINDOW_PKTS, .cores = 1};
		char error[IO_ERROR_BYTES];

		if (io_dpdk_open(names[i], &config, &b->ports[i].below, error)) {
			fprintf(stderr, "bench_node: %s\n", error);
			return false;
		}
		b->names[i] = names[i];
		b->ports[i].io = *b->ports[i].below;
		b->ports[i].io.ops = &redraw_ops;
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
		data[i][SOURCE] = 10;
		data[i][SOURCE + 2] = (uint8_t)(i >> 8);
		data[i][SOURCE + 3] = (uint8_t)i;
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
	redraw = true;
	ok = ok && run_case(&json, &small, "ring ports, 1M flows", "64 B", stateful, rounds) &&
	     run_case(&json, &imix, "ring ports, 1M flows", "IMIX", stateful, rounds);
	ok = bench_json_close(&json) == 0 && ok;
	eal_stop();
	return ok ? 0 : 1;
}

/* bench_vm.c: engines of the machine beside libpcap's interpreter, ns per packet on a hot set.
 *
 * The set is 2048 packets, visited in a random order that repeats only after 65,536 visits: packets in cache, outcomes that a branch
 * predictor cannot learn by heart, as on a link.
 * All engines run the same filters on the same packets in one process, round by round; before that their verdicts are compared on
 * every packet. Prints a table and writes build/bench/vm.json.
 *
 *   --quick   few rounds, for a look
 */
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "jit/jit.h"
#include "test/lib/bench.h"
#include "test/lib/bench_filters.h"
#include "test/lib/gen_program.h"
#include "vm/asm.h"
#include "vm/interp.h"
#include "vm/vfm.h"

#define HOT_PACKETS 2048u
#define VISITS      65536u
#define SET_NAME    "hot"

#define BURST 32u

enum engine { LIBPCAP, INTERPRETER, JIT_PACKET, JIT_BURST_SCALAR, JIT_BURST_AVX2, JIT_BURST_AVX512, N_ENGINES };

static const char *const engine_names[N_ENGINES] = {"libpcap bpf_filter", "interpreter",    "jit per packet",
						    "jit burst scalar",   "jit burst avx2", "jit burst avx512"};
static const enum jit_tier engine_tiers[N_ENGINES] = {
	[JIT_PACKET] = JIT_SCALAR, [JIT_BURST_SCALAR] = JIT_SCALAR, [JIT_BURST_AVX2] = JIT_AVX2, [JIT_BURST_AVX512] = JIT_AVX512};

/* One filter loaded for every engine. */
struct loaded {
	struct bpf_program bpf;
	struct program *program;
	struct interp *interp;
	struct jit *jit[N_ENGINES]; /* NULL: this CPU has no such tier */
	struct shard *shard;
	struct shard *shards[BURST];
};

static struct bench_packets set;
static uint16_t order[VISITS];
static struct vfm_packet visits[VISITS]; /* the same, one after another, as a burst wants them */
static struct bench_filter filter;
/* What keeps the compiler from leaving calls out. */
static volatile uint64_t sink;

static int load_pcap(struct loaded *x)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
	int rc = pcap_compile(p, &x->bpf, filter.pcap, 1, PCAP_NETMASK_UNKNOWN);

	if (rc)
		fprintf(stderr, "bench_vm: %s: pcap filter: %s\n", filter.name, pcap_geterr(p));
	pcap_close(p);
	return rc;
}

static int load_vfm(struct loaded *x)
{
	struct program_state_options options = {.idle_s = -1};
	struct vfm_reject why = {.reason = "does not assemble"};
	struct diag_list d;
	uint8_t *code = NULL;
	uint32_t len;

	diag_init(&d, filter.name, filter.assembly, (uint32_t)strlen(filter.assembly));
	if (asm_assemble(filter.assembly, strlen(filter.assembly), false, &code, &len, &d) == 0)
		x->program = program_new(code, len, 0, &why);
	else
		diag_print(&d, stderr);
	free(code);
	if (!x->program) {
		fprintf(stderr, "bench_vm: %s: %s\n", filter.name, why.reason);
		return -1;
	}
	x->interp = interp_new(x->program);
	x->shard = program_shard_new(x->program, &options);
	for (int e = JIT_PACKET; e < N_ENGINES; e++)
		if (engine_tiers[e] <= jit_best_tier() && jit_new(x->program, engine_tiers[e], VFM_DEFAULT_INSN_LIMIT, &x->jit[e]))
			return -1;
	for (uint32_t i = 0; i < BURST; i++)
		x->shards[i] = x->shard;
	return x->interp && x->shard ? 0 : -1;
}

static void unload(struct loaded *x)
{
	pcap_freecode(&x->bpf);
	interp_free(x->interp);
	for (int e = 0; e < N_ENGINES; e++)
		jit_free(x->jit[e]);
	program_free(x->program);
	shard_free(x->shard);
}

/* One pass of an engine over the visits; returns how many it accepts. */
static uint64_t pass_libpcap(const struct loaded *x, int e)
{
	uint64_t accepted = 0;

	(void)e;
	for (uint32_t i = 0; i < VISITS; i++) {
		const struct vfm_packet *p = &set.packets[order[i]];

		accepted += bpf_filter(x->bpf.bf_insns, p->data, p->len, p->len) != 0;
	}
	return accepted;
}

static uint64_t pass_interpreter(const struct loaded *x, int e)
{
	struct vfm_result result;
	uint64_t accepted = 0;

	(void)e;
	for (uint32_t i = 0; i < VISITS; i++) {
		interp_run(x->interp, x->shard, &set.packets[order[i]], VFM_DEFAULT_INSN_LIMIT, &result);
		accepted += result.value != 0;
	}
	return accepted;
}

static uint64_t pass_packet(const struct loaded *x, int e)
{
	struct vfm_result result;
	uint64_t accepted = 0;

	for (uint32_t i = 0; i < VISITS; i++) {
		jit_run(x->jit[e], x->shard, &visits[i], &result);
		accepted += result.value != 0;
	}
	return accepted;
}

static uint64_t pass_burst(const struct loaded *x, int e)
{
	struct vfm_result results[BURST];
	uint64_t accepted = 0;

	for (uint32_t i = 0; i < VISITS; i += BURST) {
		jit_burst(x->jit[e], BURST, &visits[i], x->shards, results);
		for (uint32_t k = 0; k < BURST; k++)
			accepted += results[k].value != 0;
	}
	return accepted;
}

static uint64_t (*const passes[N_ENGINES])(const struct loaded *x, int e) = {pass_libpcap, pass_interpreter, pass_packet,
									     pass_burst,   pass_burst,       pass_burst};

static bool is_there(const struct loaded *x, int e)
{
	return e < JIT_PACKET || e >= N_ENGINES || x->jit[e];
}

/* Packets on which the verdicts differ. */
static uint32_t compare_verdicts(const struct loaded *x)
{
	uint32_t differing = 0;

	for (uint32_t i = 0; i < set.n; i++) {
		bool want = bpf_filter(x->bpf.bf_insns, set.packets[i].data, set.packets[i].len, set.packets[i].len) != 0;
		struct vfm_result result;

		interp_run(x->interp, x->shard, &set.packets[i], VFM_DEFAULT_INSN_LIMIT, &result);
		differing += want != (result.value != 0);
	}
	for (int e = JIT_PACKET; e < N_ENGINES; e++)
		if (is_there(x, e) && passes[e](x, e) != passes[INTERPRETER](x, INTERPRETER))
			differing++;
	return differing;
}

static void measure_round(const struct loaded *x, int round, int repeat, struct bench_series *series)
{
	for (int k = 0; k < N_ENGINES; k++) {
		int e = (k + round) % N_ENGINES; /* no engine always runs first */
		uint64_t start = bench_now_ns(), accepted = 0;

		if (!is_there(x, e))
			continue;
		for (int i = 0; i < repeat; i++)
			accepted += passes[e](x, e);
		bench_add(&series[e], (double)(bench_now_ns() - start) / ((double)repeat * VISITS));
		sink = accepted;
	}
}

static void report(struct bench_json *json, const struct loaded *x, const struct bench_series *series)
{
	double share = 100.0 * (double)pass_libpcap(x, LIBPCAP) / VISITS;

	for (int e = 0; e < N_ENGINES; e++) {
		if (!is_there(x, e))
			continue;
		struct bench_interval ns = bench_median(&series[e]), ratio = bench_ratio(&series[e], &series[LIBPCAP]);

		printf("%-10s %5.1f %%   %-20s %7.1f   %5.2f [%.2f, %.2f]\n", filter.name, share, engine_names[e], ns.median,
		       ratio.median, ratio.low, ratio.high);
		bench_json_row(json, filter.name, engine_names[e], SET_NAME, ns.median, engine_names[LIBPCAP], ratio);
	}
}

static bool measure_filter(struct bench_json *json, int i, bool quick)
{
	struct bench_series series[N_ENGINES] = {0};
	struct loaded x = {0};
	bool ok = false;

	bench_filter_make(i, &filter);
	if (load_pcap(&x) || load_vfm(&x))
		goto out;
	if (compare_verdicts(&x)) {
		fprintf(stderr,
			"bench_vm: %s: %u verdicts differ from libpcap's: a fault in an engine or in the filter's two texts\n",
			filter.name, compare_verdicts(&x));
		goto out;
	}
	for (int round = 0; round < (quick ? 5 : 41); round++)
		measure_round(&x, round, quick ? 1 : 2, series);
	report(json, &x, series);
	ok = true;
out:
	unload(&x);
	return ok;
}

int main(int argc, char **argv)
{
	bool quick = argc == 2 && !strcmp(argv[1], "--quick"), ok = true;
	struct gen_rng rng = {1};
	struct bench_json json;

	if (argc > 2 || (argc == 2 && !quick)) {
		fprintf(stderr, "usage: bench_vm [--quick]\n");
		return 2;
	}
	if (bench_packets_make(&set, HOT_PACKETS, 1) || bench_json_open(&json, "vm")) {
		fprintf(stderr, "bench_vm: no memory, or build/bench/vm.json cannot be written\n");
		return 1;
	}
	for (uint32_t i = 0; i < VISITS; i++) {
		order[i] = (uint16_t)gen_below(&rng, set.n);
		visits[i] = set.packets[order[i]];
	}
	printf("%-10s %7s   %-20s %7s   %s\n", "filter", "accept", "engine", "ns", "of libpcap");
	for (int i = 0; i < BENCH_FILTERS; i++)
		ok = measure_filter(&json, i, quick) && ok;
	if (bench_json_close(&json)) {
		fprintf(stderr, "bench_vm: build/bench/vm.json: not written\n");
		return 1;
	}
	return ok ? 0 : 1;
}

/* stateless.c: the filters without tables. See cases.h. */
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/bench/vm/cases.h"
#include "test/bench/vm/engines.h"

struct stateless {
	const struct bench_options *options;
	const struct bench_slots *templates;
	struct bench_report *report;
	struct bench_filter filter;
	struct bpf_program bpf;
	struct program *program;
	struct bench_engines engines;
	uint8_t expected[BENCH_TEMPLATES]; /* by libpcap */
	uint8_t want[BENCH_HOT_VISITS];    /* of the pass */
	uint8_t verdicts[BENCH_HOT_VISITS];
	struct bench_hot hot;
	struct bench_cold cold;
};

static int compile_pcap(struct stateless *s)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
	int rc = pcap_compile(p, &s->bpf, s->filter.pcap, 1, PCAP_NETMASK_UNKNOWN);

	if (rc)
		fprintf(stderr, "bench_vm: %s: pcap filter: %s\n", s->filter.name, pcap_geterr(p));
	pcap_close(p);
	return rc ? -1 : 0;
}

/* Every engine with filter `which`. */
static int load(struct stateless *s, int which)
{
	struct bench_shards shards = {bench_shard_new, bench_shard_free, NULL};
	const bpf_insn_t *classic;

	if (compile_pcap(s))
		return -1;
	s->program = bench_assemble(s->filter.name, s->filter.assembly);
	if (!s->program)
		return -1;
	shards.arg = s->program;
	classic = (const bpf_insn_t *)s->bpf.bf_insns;
	if (bench_twins_add(&s->engines, which) || bench_own_add(&s->engines, s->program, &shards) ||
	    bench_dpdk_add(&s->engines, &s->bpf) ||
	    bench_kernel_add(&s->engines, classic, s->bpf.bf_len, BENCH_TEMPLATES, BENCH_HOT_VISITS))
		return -1;
	bench_libpcap_add(&s->engines, &s->bpf);
	for (uint32_t i = 0; i < s->templates->n; i++) {
		const struct vfm_packet *p = &s->templates->packets[i];

		s->expected[i] = bpf_filter(s->bpf.bf_insns, p->data, p->len, p->len) != 0;
	}
	bench_engines_choose(&s->engines, s->options->engine);
	return 0;
}

static void unload(struct stateless *s)
{
	bench_engines_close(&s->engines);
	program_free(s->program);
	pcap_freecode(&s->bpf);
	s->program = NULL;
	memset(&s->bpf, 0, sizeof(s->bpf));
}

static int measure_hot(struct stateless *s)
{
	struct bench_pass pass = {.verdicts = s->verdicts};
	struct bench_series series[BENCH_MAX_ENGINES] = {0};

	bench_hot_make(&s->hot, s->templates, &pass);
	for (uint32_t i = 0; i < pass.n; i++)
		s->want[i] = s->expected[s->hot.slots[i]];
	for (int i = 0; i < s->engines.n; i++)
		if (s->engines.engine[i].prepare)
			s->engines.engine[i].prepare(s->engines.engine[i].self, &pass);
	for (int round = 0; round < s->options->rounds; round++) {
		for (int k = 0; k < s->engines.n; k++) {
			int i = (k + round) % s->engines.n; /* no engine always comes first */

			/* The pass that is compared gives caches and predictors what the engine needs. */
			if (bench_check(&s->engines.engine[i], s->filter.name, &pass, s->want))
				return -1;
			bench_add(&series[i], bench_time(&s->engines.engine[i], &pass) / pass.n);
		}
	}
	bench_report_add(s->report, s->filter.name, BENCH_HOT, &s->engines, series);
	return 0;
}

static int cold_pass(struct stateless *s, const struct bench_engine *e, struct bench_pass *pass, struct bench_series *series)
{
	bench_cold_next(&s->cold, pass);
	for (uint32_t i = 0; i < pass->n; i++)
		s->want[i] = s->expected[s->cold.buffers[i] % BENCH_TEMPLATES];
	if (e->prepare)
		e->prepare(e->self, pass);
	if (bench_check(e, s->filter.name, pass, s->want))
		return -1;
	bench_cold_flush(&s->cold);
	bench_add(series, bench_time(e, pass) / pass->n);
	return 0;
}

static int measure_cold(struct stateless *s, bool prefetch)
{
	struct bench_pass pass = {.verdicts = s->verdicts, .prefetch = prefetch};
	struct bench_series series[BENCH_MAX_ENGINES] = {0};

	if (!s->cold.memory && bench_cold_make(&s->cold, s->templates)) {
		fprintf(stderr, "bench_vm: no memory for the cold sets: they take a fifth more than the last-level cache\n");
		return -1;
	}
	for (int round = 0; round < s->options->rounds; round++) {
		for (int k = 0; k < s->engines.n; k++) {
			int i = (k + round) % s->engines.n;

			if (!s->engines.engine[i].hot_only && cold_pass(s, &s->engines.engine[i], &pass, &series[i]))
				return -1;
		}
	}
	bench_report_add(s->report, s->filter.name, prefetch ? BENCH_PREFETCH : BENCH_COLD, &s->engines, series);
	return 0;
}

static int measure_sets(struct stateless *s)
{
	const char *only = s->options->set;

	if ((bench_wanted(only, BENCH_HOT) && measure_hot(s)) || (bench_wanted(only, BENCH_PREFETCH) && measure_cold(s, true)))
		return -1;
	return bench_wanted(only, BENCH_COLD) ? measure_cold(s, false) : 0;
}

static int measure_filter(struct stateless *s, int which)
{
	int rc;

	bench_filter_make(which, &s->filter);
	if (!bench_wanted(s->options->filter, s->filter.name))
		return 0;
	rc = load(s, which);
	if (!rc)
		rc = measure_sets(s);
	unload(s);
	return rc;
}

int bench_stateless(const struct bench_options *options, const struct bench_slots *templates, struct bench_report *report)
{
	struct stateless *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (!s) {
		fprintf(stderr, "bench_vm: no memory\n");
		return -1;
	}
	s->options = options;
	s->templates = templates;
	s->report = report;
	for (int i = 0; i < BENCH_FILTERS; i++)
		if (measure_filter(s, i))
			rc = -1;
	bench_cold_free(&s->cold);
	free(s);
	return rc;
}

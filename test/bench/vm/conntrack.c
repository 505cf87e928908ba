/* conntrack.c: examples/conntrack.vfl on 4,096 packets of traffic in their order, again and again. See cases.h.
 *
 * Each engine has a table of its own and has seen as many passes as the others, so that in each pass all must answer alike.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/bench/vm/cases.h"
#include "test/bench/vm/engines.h"
#include "vm/filter.h"

#define PACKETS 4096u
#define PASSES  4 /* timed together */
#define NAME    "conntrack"
#define FILE_AT "examples/conntrack.vfl"

struct conntrack {
	struct program *program;
	struct bench_engines engines;
	struct bench_slots packets;
	uint32_t slots[PACKETS];
	struct vfm_packet visits[PACKETS + BENCH_BURST];
	uint8_t want[PACKETS], verdicts[PACKETS];
};

static struct program *read_example(void)
{
	struct diag_list d = {0};
	char *text = NULL;
	struct program *p = filter_read(FILE_AT, 0, &d, &text);

	if (!p)
		diag_print(&d, stderr);
	free(text);
	return p;
}

static int load(struct conntrack *c, const struct bench_options *options)
{
	struct bench_shards shards = {bench_shard_new, bench_shard_free, NULL};

	c->program = read_example();
	if (!c->program || bench_slots_make(&c->packets, PACKETS, 1))
		return -1;
	shards.arg = c->program;
	if (bench_flow_twins_add(&c->engines, BENCH_CONNTRACK, &shards) || bench_own_add(&c->engines, c->program, &shards) ||
	    bench_dpdk_add_conntrack(&c->engines, "librte_bpf, our table", &shards))
		return -1;
	bench_engines_choose(&c->engines, options->engine);
	for (uint32_t i = 0; i < PACKETS; i++) {
		c->slots[i] = i;
		c->visits[i] = c->packets.packets[i];
	}
	memcpy(c->visits + PACKETS, c->visits, BENCH_BURST * sizeof(*c->visits));
	return 0;
}

/* What the first engine of a round answers to a pass is what the others must; the passes after it are timed. */
static int measure_engine(struct conntrack *c, const struct bench_engine *e, bool first, struct bench_series *series)
{
	struct bench_pass pass = {
		.n = PACKETS, .n_slots = PACKETS, .packets = c->visits, .slots = c->slots, .verdicts = c->verdicts};
	double total = 0;

	if (first) {
		pass.check = true;
		pass.verdicts = c->want;
		e->pass(e->self, &pass);
		pass.check = false;
		pass.verdicts = c->verdicts;
	} else if (bench_check(e, NAME, &pass, c->want)) {
		return -1;
	}
	for (int i = 0; i < PASSES; i++)
		total += bench_time(e, &pass);
	bench_add(series, total / (PASSES * PACKETS));
	return 0;
}

static int measure(struct conntrack *c, const struct bench_options *options, struct bench_report *report)
{
	struct bench_series series[BENCH_MAX_ENGINES] = {0};

	for (int round = 0; round < options->rounds; round++) {
		for (int k = 0; k < c->engines.n; k++) {
			int i = (k + round) % c->engines.n;

			if (measure_engine(c, &c->engines.engine[i], !k, &series[i]))
				return -1;
		}
	}
	bench_report_add(report, NAME, BENCH_HOT, &c->engines, series);
	return 0;
}

int bench_conntrack(const struct bench_options *options, struct bench_report *report)
{
	struct conntrack *c;
	int rc;

	if (!bench_wanted(options->filter, NAME) || !bench_wanted(options->set, BENCH_HOT))
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -1;
	rc = load(c, options) || measure(c, options, report) ? -1 : 0;
	bench_engines_close(&c->engines);
	program_free(c->program);
	bench_slots_free(&c->packets);
	free(c);
	return rc;
}

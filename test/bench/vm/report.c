/* report.c: see report.h. */
#include "test/bench/vm/report.h"

#include <stdio.h>
#include <string.h>

#include "test/bench/vm/engines.h"

int bench_report_open(struct bench_report *r)
{
	r->n = 0;
	return bench_json_open(&r->json, "vm");
}

int bench_report_close(struct bench_report *r)
{
	return bench_json_close(&r->json);
}

static const struct bench_row *find(const struct bench_report *r, const char *name, const char *set, const char *engine)
{
	for (int i = 0; i < r->n; i++)
		if (!strcmp(r->rows[i].name, name) && !strcmp(r->rows[i].set, set) && !strcmp(r->rows[i].engine, engine))
			return &r->rows[i];
	return NULL;
}

static void print_row(struct bench_report *r, const struct bench_row *row)
{
	const struct bench_row *base = find(r, row->name, row->set, BENCH_GCC_CALL);
	struct bench_interval ns = bench_median(&row->series), ratio = {0};

	printf("%-10s %-18s %-22s %7.1f [%6.1f %6.1f]", row->name, row->set, row->engine, ns.median, ns.low, ns.high);
	if (base) {
		ratio = bench_ratio(&row->series, &base->series);
		printf("   %5.2f [%5.2f %5.2f]", ratio.median, ratio.low, ratio.high);
	}
	printf("\n");
	bench_json_row(&r->json, row->name, row->engine, row->set, ns.median, base ? BENCH_GCC_CALL : NULL, ratio);
}

void bench_report_add(struct bench_report *r, const char *name, const char *set, const struct bench_engines *engines,
		      const struct bench_series *series)
{
	int first = r->n;

	for (int i = 0; i < engines->n && r->n < BENCH_MAX_ROWS; i++) {
		struct bench_row *row = &r->rows[r->n];

		if (!series[i].n)
			continue;
		r->n++;
		(void)snprintf(row->name, sizeof(row->name), "%s", name);
		(void)snprintf(row->set, sizeof(row->set), "%s", set);
		row->engine = engines->engine[i].name;
		row->series = series[i];
	}
	for (int i = first; i < r->n; i++)
		print_row(r, &r->rows[i]);
	printf("\n");
	fflush(stdout);
}

/* ---- Goals ---- */

/* Of several engines the one with the smallest median counts. */
struct goal {
	const char *name, *set;
	const char *engines[3], *to[3]; /* NULL: no more */
	double limit;                   /* of the ratio */
	const char *text;
};

/* clang-format off */
#define BURSTS {BENCH_JIT_SCALAR, BENCH_JIT_AVX2, BENCH_JIT_AVX512}
#define IN_C   {BENCH_GCC_CALL}
#define DPDK   {BENCH_DPDK_MBUF}
#define CHECK  {BENCH_DPDK_CHECK}
#define LOOPS  {BENCH_GCC_BURST, BENCH_CLANG_BURST}

#define EVERY_FILTER(X) X("F1") X("F2") X("F3") X("F3L") X("CIDR") X("PORTS") X("F2 options")
#define PACKET_GOAL(name)   {name, BENCH_HOT, {BENCH_JIT_PACKET}, IN_C, 1.2, "JIT per packet, of the call in C"},
#define DPDK_GOAL(name)     {name, BENCH_HOT, BURSTS, DPDK, 0.2, "burst, of DPDK's JIT"},
#define CHECK_GOAL(name)    {name, BENCH_HOT, BURSTS, CHECK, 0.2, "burst, of DPDK's JIT with one check"},
#define LOOP_GOAL(name)     {name, BENCH_HOT, BURSTS, LOOPS, 1.0, "burst, of the branch-free loop in C"},
#define PREFETCH_GOAL(name) {name, BENCH_PREFETCH, BURSTS, IN_C, 1.1, "burst, of the call in C"},
#define LIBPCAP_GOAL(name)  {name, BENCH_HOT, {BENCH_INTERPRETER}, {BENCH_LIBPCAP}, 0.5, "interpreter, of libpcap's"},
#define TABLE_GOAL(name)    {name, "1M flows", BURSTS, LOOPS, 1.2, "burst, of the burst in C on the same table"},

static const struct goal goals[] = {
	EVERY_FILTER(PACKET_GOAL)
	{"F1", BENCH_HOT, BURSTS, IN_C, 0.40, "burst, of the call in C"},
	{"F2", BENCH_HOT, BURSTS, IN_C, 0.20, "burst, of the call in C"},
	{"F3", BENCH_HOT, BURSTS, IN_C, 0.22, "burst, of the call in C"},
	{"F3L", BENCH_HOT, BURSTS, IN_C, 0.25, "burst, of the call in C"},
	EVERY_FILTER(DPDK_GOAL)
	EVERY_FILTER(CHECK_GOAL)
	EVERY_FILTER(LOOP_GOAL)
	EVERY_FILTER(PREFETCH_GOAL)
	EVERY_FILTER(LIBPCAP_GOAL)
	TABLE_GOAL("per source")
	TABLE_GOAL("per flow")
};
/* clang-format on */

static const struct bench_row *fastest(const struct bench_report *r, const struct goal *g, const char *const engines[3])
{
	const struct bench_row *best = NULL;

	for (int i = 0; i < 3 && engines[i]; i++) {
		const struct bench_row *row = find(r, g->name, g->set, engines[i]);

		if (row && (!best || bench_median(&row->series).median < bench_median(&best->series).median))
			best = row;
	}
	return best;
}

void bench_report_goals(struct bench_report *r)
{
	printf("%-10s %-18s %-44s %5s   %-20s\n", "goal", "set", "ratio", "limit", "measured");
	for (size_t i = 0; i < sizeof(goals) / sizeof(*goals); i++) {
		const struct goal *g = &goals[i];
		const struct bench_row *row = fastest(r, g, g->engines), *to = fastest(r, g, g->to);
		struct bench_interval ratio;

		if (!row || !to)
			continue;
		ratio = bench_ratio(&row->series, &to->series);
		printf("%-10s %-18s %-44s %5.2f   %5.2f [%5.2f %5.2f]  %-6s (%s / %s)\n", g->name, g->set, g->text, g->limit,
		       ratio.median, ratio.low, ratio.high, ratio.median <= g->limit ? "met" : "missed", row->engine, to->engine);
		bench_json_row(&r->json, row->name, row->engine, row->set, bench_median(&row->series).median, to->engine, ratio);
	}
}

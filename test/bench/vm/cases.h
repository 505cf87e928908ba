/* cases.h: what bench-vm measures. Each case loads one filter into every engine, runs all of them round by round on the same packets,
 * and fails if a verdict differs from what is expected: before each time that is taken a pass is run and compared. */
#ifndef TEST_BENCH_VM_CASES_H
#define TEST_BENCH_VM_CASES_H

#include "test/bench/vm/report.h"
#include "test/bench/vm/sets.h"
#include "vm/program.h"

struct bench_options {
	int rounds;
	bool quick;
	const char *filter; /* only filters whose name contains it; NULL: all */
	const char *engine; /* only engines whose name contains it, and the C call */
	const char *set;    /* only sets whose name contains it: hot, cold, ... */
	const char *flows;  /* only "1K", "64K", "1M" or "16M" */
};

/* stateless.c: the filters without tables, hot, cold with prefetch, cold. 0, or -1 after saying why on standard error. */
int bench_stateless(const struct bench_options *options, const struct bench_slots *templates, struct bench_report *report);
/* flows.c: the counters per source and per flow at each number of flows. */
int bench_flows(const struct bench_options *options, struct bench_report *report);
/* What rte_hash needs for them. DPDK clears all of it at once, so no more than that. */
size_t bench_flows_heap_bytes(const struct bench_options *options);
/* conntrack.c: examples/conntrack.vfl on traffic in its order. */
int bench_conntrack(const struct bench_options *options, struct bench_report *report);

/* harness.c. */
bool bench_wanted(const char *only, const char *name);
/* Assembles and verifies; NULL after saying on standard error why not. */
struct program *bench_assemble(const char *name, const char *assembly);
/* For struct bench_shards (engines.h): a shard of its own for each engine; arg is the struct program. */
struct shard *bench_shard_new(void *arg);
void bench_shard_free(void *arg, struct shard *s);
/* Leaves out the engines that are not asked for. */
void bench_engines_choose(struct bench_engines *list, const char *only);
/* Nanoseconds of this thread's processor time for a pass, less the baseline. */
double bench_time(const struct bench_engine *e, const struct bench_pass *pass);
/* Runs a pass that is not timed and compares: 0, or -1 after naming the first packet whose verdict differs. */
int bench_check(const struct bench_engine *e, const char *filter, const struct bench_pass *pass, const uint8_t *expected);

#endif

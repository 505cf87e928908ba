/* bench_vm.c: the machine's engines beside those a user could pick instead, ns per packet: make bench-vm.
 *
 * Every engine has the same filters and gets the same packets, in one process, round by round; each verdict of each pass is compared.
 * Prints a table and the goals, and writes build/bench/vm.json. What is measured: docs/figures.md.
 *
 *   --quick         few rounds and at most 64K flows, for a look
 *   --filter NAME   only filters whose name contains NAME: F1, F2, F3, F3L, CIDR, PORTS, "F2 options", "per source", ...
 *   --engine NAME   only engines whose name contains NAME, beside the call in C
 *   --set NAME      only sets whose name contains NAME: hot, cold, "cold with prefetch", flows
 *   --flows SIZE    counters only with 1K, 64K, 1M or 16M flows
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "test/bench/vm/cases.h"
#include "test/bench/vm/engines.h"
#include "test/lib/rte_hash_dpdk.h"

#define ROUNDS       31
#define QUICK_ROUNDS 5

/* 0, or -1: not understood. */
static int read_options(int argc, char **argv, struct bench_options *options)
{
	static const struct option names[] = {{"quick", no_argument, NULL, 'q'},        {"filter", required_argument, NULL, 'f'},
					      {"engine", required_argument, NULL, 'e'}, {"set", required_argument, NULL, 's'},
					      {"flows", required_argument, NULL, 'n'},  {NULL, 0, NULL, 0}};
	int c;

	options->rounds = ROUNDS;
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'q':
			options->rounds = QUICK_ROUNDS;
			options->quick = true;
			break;
		case 'f':
			options->filter = optarg;
			break;
		case 'e':
			options->engine = optarg;
			break;
		case 's':
			options->set = optarg;
			break;
		case 'n':
			options->flows = optarg;
			break;
		default:
			return -1;
		}
	}
	return optind == argc ? 0 : -1;
}

static int measure(const struct bench_options *options, struct bench_report *report)
{
	struct bench_slots templates;
	int rc;

	if (bench_slots_make(&templates, BENCH_TEMPLATES, 1)) {
		fprintf(stderr, "bench_vm: no memory\n");
		return -1;
	}
	bench_twins_describe();
	printf("last-level cache: %zu MiB\n\n", bench_cache_bytes() >> 20);
	printf("%-10s %-18s %-22s %7s %-15s   of gcc's call\n", "filter", "set", "engine", "ns", "");
	rc = bench_stateless(options, &templates, report);
	if (bench_flows(options, report))
		rc = -1;
	if (bench_conntrack(options, report))
		rc = -1;
	bench_report_goals(report);
	bench_slots_free(&templates);
	return rc;
}

int main(int argc, char **argv)
{
	static struct bench_report report;
	struct bench_options options = {0};
	int rc;

	if (read_options(argc, argv, &options)) {
		fprintf(stderr, "usage: bench_vm [--quick] [--filter NAME] [--engine NAME] [--set NAME] [--flows 1K|64K|1M|16M]\n");
		return 2;
	}
	if (rte_peer_init(bench_flows_heap_bytes(&options))) {
		fprintf(stderr, "bench_vm: DPDK's environment does not start\n");
		return 1;
	}
	if (bench_report_open(&report)) {
		fprintf(stderr, "bench_vm: build/bench/vm.json cannot be written\n");
		return 1;
	}
	rc = measure(&options, &report);
	if (bench_report_close(&report)) {
		fprintf(stderr, "bench_vm: build/bench/vm.json: not written\n");
		return 1;
	}
	return rc ? 1 : 0;
}

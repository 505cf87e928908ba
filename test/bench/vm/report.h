/* report.h: what bench-vm measured: a table for people, rows of build/bench/vm.json, and at the end the goals. */
#ifndef TEST_BENCH_VM_REPORT_H
#define TEST_BENCH_VM_REPORT_H

#include "test/bench/vm/engine.h"
#include "test/lib/bench.h"

#define BENCH_MAX_ROWS 1024

/* The sets. */
#define BENCH_HOT      "hot"
#define BENCH_PREFETCH "cold with prefetch"
#define BENCH_COLD     "cold"

struct bench_row {
	char name[24]; /* of the filter */
	char set[24];
	const char *engine;
	struct bench_series series;
};

struct bench_report {
	struct bench_json json;
	int n;
	struct bench_row rows[BENCH_MAX_ROWS];
};

/* 0 or -errno: build/bench/vm.json cannot be written. */
int bench_report_open(struct bench_report *r);
/* Prints one filter on one set, series[i] being engine i's. Ratios are to "gcc call". */
void bench_report_add(struct bench_report *r, const char *name, const char *set, const struct bench_engines *engines,
		      const struct bench_series *series);
/* Prints each goal with what was measured; goals whose engines were not run are left out. */
void bench_report_goals(struct bench_report *r);
int bench_report_close(struct bench_report *r);

#endif

/* bench.h: rounds, medians, paired ratios and build/bench/NAME.json for the benchmarks.
 *
 * Engines run interleaved in one process: round r measures each once, so that a ratio is taken between neighbours in time. An
 * interval is the distribution-free 95 % interval of the median (order statistics).
 */
#ifndef TEST_LIB_BENCH_H
#define TEST_LIB_BENCH_H

#include <stdint.h>
#include <stdio.h>

#define BENCH_MAX_ROUNDS 128

struct bench_series {
	double ns[BENCH_MAX_ROUNDS]; /* by round */
	int n;
};

struct bench_interval {
	double median, low, high;
};

/* Monotonic nanoseconds. */
uint64_t bench_now_ns(void);
/* Nanoseconds of this thread's processor time: on a machine with other work the time that others ran in between does not count. */
uint64_t bench_thread_ns(void);
/* Appends a round; beyond BENCH_MAX_ROUNDS it is ignored. */
void bench_add(struct bench_series *s, double ns);
struct bench_interval bench_median(const struct bench_series *s);
/* Of the ratios a/b of equal rounds. */
struct bench_interval bench_ratio(const struct bench_series *a, const struct bench_series *b);

struct bench_json {
	FILE *file;
	int rows;
};

/* Creates build/bench/NAME.json (below $BENCH_DIR if that is set). 0 or -errno. */
int bench_json_open(struct bench_json *j, const char *name);
/* One row; ratio_to NULL: the row has no ratio. The strings need no escapes. */
void bench_json_row(struct bench_json *j, const char *bench_case, const char *engine, const char *set, double ns,
		    const char *ratio_to, struct bench_interval ratio);
/* One row with another unit than nanoseconds, which is its key, and no ratio. */
void bench_json_value(struct bench_json *j, const char *bench_case, const char *engine, const char *set, const char *unit,
		      double value);
/* 0 or -errno: the file is whole or an error is returned. */
int bench_json_close(struct bench_json *j);

#endif

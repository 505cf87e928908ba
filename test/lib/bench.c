/* bench.c: see bench.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "test/lib/bench.h"

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t bench_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t bench_thread_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void bench_add(struct bench_series *s, double ns)
{
	if (s->n < BENCH_MAX_ROUNDS)
		s->ns[s->n++] = ns;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Ranks n/2 -+ 0.98 sqrt(n) enclose the median with 95 % (normal approximation of the sign test). */
static struct bench_interval interval_of(const double *values, int n)
{
	double v[BENCH_MAX_ROUNDS];
	int reach = (int)ceil(0.98 * sqrt(n)), low, high;

	if (!n)
		return (struct bench_interval){0, 0, 0};
	memcpy(v, values, (size_t)n * sizeof *v);
	qsort(v, (size_t)n, sizeof *v, compare);
	low = n / 2 - reach < 0 ? 0 : n / 2 - reach;
	high = n / 2 + reach >= n ? n - 1 : n / 2 + reach;
	return (struct bench_interval){v[n / 2], v[low], v[high]};
}

struct bench_interval bench_median(const struct bench_series *s)
{
	return interval_of(s->ns, s->n);
}

struct bench_interval bench_ratio(const struct bench_series *a, const struct bench_series *b)
{
	double ratios[BENCH_MAX_ROUNDS];
	int n = a->n < b->n ? a->n : b->n;

	for (int i = 0; i < n; i++)
		ratios[i] = a->ns[i] / b->ns[i];
	return interval_of(ratios, n);
}

int bench_json_open(struct bench_json *j, const char *name)
{
	const char *dir = getenv("BENCH_DIR");
	char path[512];

	j->rows = 0;
	if (!dir) {
		dir = "build/bench";
		(void)mkdir("build", 0777);
	}
	if (mkdir(dir, 0777) && errno != EEXIST)
		return -errno;
	if (snprintf(path, sizeof path, "%s/%s.json", dir, name) >= (int)sizeof path)
		return -ENAMETOOLONG;
	j->file = fopen(path, "w");
	if (!j->file)
		return -errno;
	fputs("[", j->file);
	return 0;
}

void bench_json_row(struct bench_json *j, const char *bench_case, const char *engine, const char *set, double ns,
		    const char *ratio_to, struct bench_interval ratio)
{
	fprintf(j->file, "%s\n{\"case\":\"%s\",\"engine\":\"%s\",\"set\":\"%s\",\"ns\":%.2f", j->rows++ ? "," : "", bench_case,
		engine, set, ns);
	if (ratio_to)
		fprintf(j->file, ",\"ratio_to\":\"%s\",\"ratio\":%.3f,\"low\":%.3f,\"high\":%.3f", ratio_to, ratio.median,
			ratio.low, ratio.high);
	fputs("}", j->file);
}

void bench_json_value(struct bench_json *j, const char *bench_case, const char *engine, const char *set, const char *unit,
		      double value)
{
	fprintf(j->file, "%s\n{\"case\":\"%s\",\"engine\":\"%s\",\"set\":\"%s\",\"%s\":%.2f}", j->rows++ ? "," : "", bench_case,
		engine, set, unit, value);
}

int bench_json_close(struct bench_json *j)
{
	int bad;

	fputs("\n]\n", j->file);
	bad = ferror(j->file);
	return fclose(j->file) || bad ? -EIO : 0;
}

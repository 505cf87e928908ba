/* bench_compile.c: what it costs to load a filter: verification, compilation to each tier's code, and the code's size.
 *
 *   --quick   few rounds, for a look
 *
 * Every round does each step once, from the same bytes. Prints the least and the median time, which on a machine with other work are
 * far apart, and writes medians to build/bench/compile.json.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "jit/jit.h"
#include "test/lib/bench.h"
#include "test/lib/bench_filters.h"
#include "vm/asm.h"
#include "vm/vfm.h"

#define ROUNDS       BENCH_MAX_ROUNDS
#define QUICK_ROUNDS 15

enum step { VERIFY, SCALAR, AVX512, N_STEPS };
static const char *const step_names[N_STEPS] = {"verify", "scalar", "avx512"};

static struct bench_filter filter;
static struct bench_series series[N_STEPS];
static size_t code_bytes[N_STEPS];

/* 0 or -errno. */
static int compile(const struct program *p, enum step step, enum jit_tier tier)
{
	uint64_t start_ns = bench_now_ns();
	size_t scalar, vector;
	struct jit *j;
	int err = jit_new(p, tier, VFM_DEFAULT_INSN_LIMIT, &j);

	bench_add(&series[step], (double)(bench_now_ns() - start_ns));
	if (err)
		return err;
	(void)jit_code(j, &scalar);
	(void)jit_vector_code(j, &vector);
	code_bytes[step] = scalar + vector;
	jit_free(j);
	return 0;
}

static int round_of(const uint8_t *code, uint32_t len)
{
	uint64_t start_ns = bench_now_ns();
	struct vfm_reject why;
	struct program *p = program_new(code, len, 0, &why);
	int err;

	bench_add(&series[VERIFY], (double)(bench_now_ns() - start_ns));
	if (!p)
		return -1;
	err = compile(p, SCALAR, JIT_SCALAR);
	if (!err)
		err = compile(p, AVX512, JIT_AVX512);
	program_free(p);
	return err;
}

static double least(const struct bench_series *s)
{
	double ns = s->ns[0];

	for (int i = 1; i < s->n; i++)
		ns = s->ns[i] < ns ? s->ns[i] : ns;
	return ns;
}

static void report(struct bench_json *json, uint32_t len)
{
	code_bytes[VERIFY] = len;
	for (int s = 0; s < N_STEPS; s++) {
		struct bench_interval median = bench_median(&series[s]);

		printf("%-10s  %-6s %8zu %10.1f %10.1f\n", filter.name, step_names[s], code_bytes[s], least(&series[s]) / 1000,
		       median.median / 1000);
		bench_json_row(json, filter.name, step_names[s], "load", median.median, NULL, (struct bench_interval){0});
	}
}

static bool measure(struct bench_json *json, int i, int rounds)
{
	struct diag_list d;
	uint8_t *code = NULL;
	uint32_t len;
	bool ok = true;

	memset(series, 0, sizeof(series));
	bench_filter_make(i, &filter);
	diag_init(&d, filter.name, filter.assembly, (uint32_t)strlen(filter.assembly));
	if (asm_assemble(filter.assembly, strlen(filter.assembly), false, &code, &len, &d)) {
		diag_print(&d, stderr);
		return false;
	}
	for (int r = 0; r < rounds && ok; r++)
		ok = round_of(code, len) == 0;
	if (ok)
		report(json, len);
	else
		fprintf(stderr, "bench_compile: %s: not verified or no memory\n", filter.name);
	free(code);
	return ok;
}

int main(int argc, char **argv)
{
	bool quick = argc == 2 && !strcmp(argv[1], "--quick"), ok = true;
	struct bench_json json;

	if (argc > 2 || (argc == 2 && !quick)) {
		fprintf(stderr, "usage: bench_compile [--quick]\n");
		return 2;
	}
	if (bench_json_open(&json, "compile")) {
		fprintf(stderr, "bench_compile: build/bench/compile.json cannot be written\n");
		return 1;
	}
	printf("%-10s  %-6s %8s %10s %10s\n", "filter", "step", "bytes", "least us", "median us");
	for (int i = 0; i < BENCH_FILTERS; i++)
		ok = measure(&json, i, quick ? QUICK_ROUNDS : ROUNDS) && ok;
	if (bench_json_close(&json)) {
		fprintf(stderr, "bench_compile: build/bench/compile.json: not written\n");
		return 1;
	}
	return ok ? 0 : 1;
}

/* bench_compile.c: what it costs to load a filter: verification, compilation to each tier's code, and the code's size.
 *
 * Programs are the benchmarks' filters, every example, and policies of growing length up to the longest program there may be. Every
 * round does each step once, from the same bytecode. Prints medians of this thread's processor time and the goals, and writes
 * build/bench/compile.json.
 *
 *   --quick   few rounds, for a look
 */
#include <glob.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "jit/jit.h"
#include "test/lib/bench.h"
#include "test/lib/bench_filters.h"
#include "vm/asm.h"
#include "vm/filter.h"
#include "vm/vfm.h"

#define ROUNDS       63
#define QUICK_ROUNDS 9
#define MAX_BYTES    65536u
#define RULE_BYTES   50u /* of a policy's rule */

enum step { VERIFY, SCALAR, AVX2, AVX512, N_STEPS };
static const char *const step_names[N_STEPS] = {"verify", "scalar", "avx2", "avx512"};
static const enum jit_tier step_tiers[N_STEPS] = {[SCALAR] = JIT_SCALAR, [AVX2] = JIT_AVX2, [AVX512] = JIT_AVX512};

struct measured {
	struct bench_series series[N_STEPS];
	size_t bytes[N_STEPS]; /* of bytecode, of code */
};

/* Verification and compilation for the best tier of this CPU, ns. */
struct load {
	char name[64];
	uint32_t bytes;
	double ns;
	bool example;
};

static struct bench_json json;
static struct load slowest, longest, half, f3;
static int rounds = ROUNDS;

/* 0 or -errno. */
static int compile(const struct program *p, enum step step, struct measured *m)
{
	uint64_t start_ns = bench_thread_ns();
	size_t scalar, loop, vector;
	struct jit *j;
	int err = jit_new(p, step_tiers[step], VFM_DEFAULT_INSN_LIMIT, &j);

	bench_add(&m->series[step], (double)(bench_thread_ns() - start_ns));
	if (err)
		return err;
	(void)jit_code(j, &scalar);
	(void)jit_loop_code(j, &loop);
	(void)jit_vector_code(j, &vector);
	m->bytes[step] = scalar + loop + vector;
	jit_free(j);
	return 0;
}

static int round_of(const uint8_t *code, uint32_t len, struct measured *m)
{
	uint64_t start_ns = bench_thread_ns();
	struct vfm_reject why;
	struct program *p = program_new(code, len, 0, &why);
	int err = 0;

	bench_add(&m->series[VERIFY], (double)(bench_thread_ns() - start_ns));
	if (!p)
		return -1;
	for (int step = SCALAR; step < N_STEPS && !err; step++)
		if (step_tiers[step] <= jit_best_tier())
			err = compile(p, (enum step)step, m);
	program_free(p);
	return err;
}

static void report(const char *name, const struct measured *m)
{
	printf("%-28s %8zu", name, m->bytes[VERIFY]);
	for (int s = 0; s < N_STEPS; s++) {
		struct bench_interval median = bench_median(&m->series[s]);

		if (!m->series[s].n)
			continue;
		printf(" %9.1f", median.median / 1000);
		if (s != VERIFY)
			printf(" %8zu", m->bytes[s]);
		bench_json_row(&json, name, step_names[s], "load", median.median, NULL, (struct bench_interval){0});
	}
	printf("\n");
}

/* What it takes to load the program and run it at its best. */
static struct load load_of(const char *name, const struct measured *m)
{
	struct load l = {.bytes = (uint32_t)m->bytes[VERIFY], .ns = bench_median(&m->series[VERIFY]).median};
	int best = SCALAR;

	for (int s = SCALAR; s < N_STEPS; s++)
		if (m->series[s].n)
			best = s;
	l.ns += bench_median(&m->series[best]).median;
	(void)snprintf(l.name, sizeof(l.name), "%s", name);
	return l;
}

static bool measure(const char *name, const uint8_t *code, uint32_t len, struct load *out)
{
	struct measured m = {.bytes = {[VERIFY] = len}};

	for (int r = 0; r < rounds; r++) {
		if (round_of(code, len, &m)) {
			fprintf(stderr, "bench_compile: %s: not verified or no memory\n", name);
			return false;
		}
	}
	report(name, &m);
	*out = load_of(name, &m);
	return true;
}

/* The same for assembly. */
static bool measure_assembly(const char *name, const char *text, struct load *out)
{
	struct diag_list d;
	uint8_t *code = NULL;
	uint32_t len;
	bool ok;

	diag_init(&d, name, text, (uint32_t)strlen(text));
	if (asm_assemble(text, strlen(text), false, &code, &len, &d)) {
		diag_print(&d, stderr);
		return false;
	}
	ok = measure(name, code, len, out);
	free(code);
	return ok;
}

static bool measure_filters(void)
{
	static struct bench_filter filter;
	struct load load;
	bool ok = true;

	for (int i = 0; i < BENCH_FILTERS; i++) {
		bench_filter_make(i, &filter);
		ok = measure_assembly(filter.name, filter.assembly, &load) && ok;
		if (!strcmp(filter.name, "F3"))
			f3 = load;
	}
	return ok;
}

/* Examples that the manual has and the verifier refuses are left out: nobody loads them. */
static bool measure_examples(const char *pattern)
{
	bool ok = true;
	glob_t g;

	if (glob(pattern, 0, NULL, &g)) {
		fprintf(stderr, "bench_compile: %s: no such files: run it from the top folder\n", pattern);
		return false;
	}
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct diag_list d = {0};
		char *text = NULL;
		struct program *p = filter_read(g.gl_pathv[i], 0, &d, &text);
		struct load load;

		if (p) {
			ok = measure(strchr(g.gl_pathv[i], '/') + 1, p->code, p->len, &load) && ok;
			if (ok && load.ns > slowest.ns)
				slowest = load;
		}
		program_free(p);
		free(text);
	}
	globfree(&g);
	return ok;
}

/* A policy of as many rules as fit: source network and destination port. */
static bool measure_policy(uint32_t max_bytes, struct load *out)
{
	static char text[MAX_BYTES * 4];
	char name[32];
	size_t at = 0;

	for (uint32_t i = 0; i < (max_bytes - 10) / RULE_BYTES; i++)
		at += (size_t)snprintf(
			text + at, sizeof(text) - at,
			"LD32 26\nPUSH 0xffffff00\nAND\nPUSH 0x%x\nJNE no%u\nLD16 36\nPUSH %u\nJNE no%u\nPUSH 1\nRET\nno%u:\n",
			(0x0a000000 + 0x2500 * i) & 0xffffff00, i, 1 + i * 7 % 65521, i, i);
	(void)snprintf(text + at, sizeof(text) - at, "PUSH 0\nRET\n");
	(void)snprintf(name, sizeof(name), "policy of %u rules", (max_bytes - 10) / RULE_BYTES);
	return measure_assembly(name, text, out);
}

static bool measure_policies(void)
{
	bool ok = true;

	for (uint32_t bytes = 1024; bytes <= MAX_BYTES; bytes *= 2) {
		half = longest;
		ok = measure_policy(bytes, &longest) && ok;
	}
	return ok;
}

static void report_goal(const char *text, double limit, double value, const char *unit, const char *of)
{
	printf("%-58s %6.1f %s   %8.1f  %-6s %s\n", text, limit, unit, value, value <= limit ? "met" : "missed", of);
}

/* Twice the bytes may take a little more than twice the time: a larger program leaves the caches. */
static void report_goals(void)
{
	printf("\n");
	report_goal("slowest example, verified and compiled", 1000, slowest.ns / 1000, "us", slowest.name);
	report_goal("20-rule policy F3, verified and compiled", 50, f3.ns / 1000, "us", f3.name);
	report_goal("time per byte of bytecode, 64 KiB against 32 KiB", 1.3, longest.ns / longest.bytes / (half.ns / half.bytes),
		    "  ", longest.name);
}

int main(int argc, char **argv)
{
	bool quick = argc == 2 && !strcmp(argv[1], "--quick"), ok;

	if (argc > 2 || (argc == 2 && !quick)) {
		fprintf(stderr, "usage: bench_compile [--quick]\n");
		return 2;
	}
	if (bench_json_open(&json, "compile")) {
		fprintf(stderr, "bench_compile: build/bench/compile.json cannot be written\n");
		return 1;
	}
	rounds = quick ? QUICK_ROUNDS : ROUNDS;
	printf("median us of each step, bytes of code for each tier\n%-28s %8s %9s", "program", "bytecode", "verify");
	for (int s = SCALAR; s < N_STEPS; s++)
		if (step_tiers[s] <= jit_best_tier())
			printf(" %9s %8s", step_names[s], "bytes");
	printf("\n");
	ok = measure_filters();
	ok = measure_examples("examples/*.vfl") && ok;
	ok = measure_examples("examples/manual/*.vf[lm]") && ok;
	ok = measure_policies() && ok;
	report_goals();
	if (bench_json_close(&json)) {
		fprintf(stderr, "bench_compile: build/bench/compile.json: not written\n");
		return 1;
	}
	return ok ? 0 : 1;
}

/* harness.c: see cases.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/bench/vm/cases.h"
#include "test/bench/vm/engines.h"
#include "vm/asm.h"

bool bench_wanted(const char *only, const char *name)
{
	return !only || strstr(name, only);
}

struct program *bench_assemble(const char *name, const char *assembly)
{
	struct vfm_reject why = {.reason = "does not assemble"};
	struct program *program = NULL;
	struct diag_list d;
	uint8_t *code = NULL;
	uint32_t len;

	diag_init(&d, name, assembly, (uint32_t)strlen(assembly));
	if (asm_assemble(assembly, strlen(assembly), false, &code, &len, &d) == 0)
		program = program_new(code, len, 0, &why);
	else
		diag_print(&d, stderr);
	free(code);
	if (!program)
		fprintf(stderr, "bench_vm: %s: %s\n", name, why.reason);
	return program;
}

struct shard *bench_shard_new(void *arg)
{
	struct program_state_options options = {.idle_s = -1};

	return program_shard_new(arg, &options);
}

void bench_shard_free(void *arg, struct shard *s)
{
	(void)arg;
	shard_free(s);
}

void bench_engines_choose(struct bench_engines *list, const char *only)
{
	int kept = 0;

	for (int i = 0; i < list->n; i++) {
		struct bench_engine *e = &list->engine[i];

		if (bench_wanted(only, e->name) || !strcmp(e->name, BENCH_GCC_CALL))
			list->engine[kept++] = *e;
		else if (e->close)
			e->close(e->self);
	}
	list->n = kept;
}

double bench_time(const struct bench_engine *e, const struct bench_pass *pass)
{
	uint64_t start = bench_thread_ns(), end, baseline;

	if (e->baseline)
		e->baseline(e->self, pass);
	end = bench_thread_ns();
	baseline = e->baseline ? end - start : 0;
	start = bench_thread_ns();
	e->pass(e->self, pass);
	end = bench_thread_ns();
	return (double)(end - start) - (double)baseline;
}

int bench_check(const struct bench_engine *e, const char *filter, const struct bench_pass *pass, const uint8_t *expected)
{
	struct bench_pass checked = *pass;
	uint32_t i = 0;

	checked.check = true;
	memset(pass->verdicts, 0xff, pass->n);
	e->pass(e->self, &checked);
	if (!memcmp(pass->verdicts, expected, pass->n))
		return 0;
	while (pass->verdicts[i] == expected[i])
		i++;
	fprintf(stderr,
		"bench_vm: %s: %s says %u to packet %u of a pass, expected is %u: a fault in the engine or in the filter's texts\n",
		filter, e->name, pass->verdicts[i], i, expected[i]);
	return -1;
}

/* engines_c.c: the filters in C, and libpcap's interpreter. See engines.h. */
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "test/bench/vm/engines.h"

struct twin {
	bench_twin_call *call;
	bench_twin_loop *loop;
	bench_flow_call *flow_call;
	bench_flow_loop *flow_loop;
	struct shard *shard;
	struct bench_shards shards;
};

static void call_pass(void *self, const struct bench_pass *pass)
{
	bench_twin_call *call = ((const struct twin *)self)->call;

	BENCH_EACH_PACKET(pass, i, (uint8_t)call(pass->packets[i].data, pass->packets[i].len));
}

static void loop_pass(void *self, const struct bench_pass *pass)
{
	bench_twin_loop *loop = ((const struct twin *)self)->loop;

	BENCH_EACH_BURST(pass, i, loop(&pass->packets[i], &pass->verdicts[i]));
}

static void flow_call_pass(void *self, const struct bench_pass *pass)
{
	const struct twin *t = self;

	BENCH_EACH_PACKET(pass, i, (uint8_t)t->flow_call(t->shard, &pass->packets[i]));
}

static void flow_loop_pass(void *self, const struct bench_pass *pass)
{
	const struct twin *t = self;

	BENCH_EACH_BURST(pass, i, t->flow_loop(t->shard, &pass->packets[i], &pass->verdicts[i]));
}

static void twin_close(void *self)
{
	struct twin *t = self;

	if (t->shard)
		t->shards.put(t->shards.arg, t->shard);
	free(t);
}

static int add(struct bench_engines *list, const char *name, const struct twin *from,
	       void (*pass)(void *self, const struct bench_pass *pass), const struct bench_shards *shards)
{
	struct twin *t = malloc(sizeof(*t));
	struct bench_engine *e;

	if (!t)
		return -1;
	*t = *from;
	if (shards) {
		t->shards = *shards;
		t->shard = shards->get(shards->arg);
		if (!t->shard) {
			free(t);
			return -1;
		}
	}
	e = bench_engines_add(list, name, t);
	e->pass = pass;
	e->close = twin_close;
	return 0;
}

static int add_twins(struct bench_engines *list, const struct bench_twins *twins, int which, const char *call, const char *loop)
{
	return add(list, call, &(struct twin){.call = twins->call[which]}, call_pass, NULL) ||
	       add(list, loop, &(struct twin){.loop = twins->loop[which]}, loop_pass, NULL);
}

int bench_twins_add(struct bench_engines *list, int which)
{
	if (add_twins(list, &bench_twins_gcc, which, BENCH_GCC_CALL, BENCH_GCC_BURST) ||
	    (&bench_twins_clang && add_twins(list, &bench_twins_clang, which, BENCH_CLANG_CALL, BENCH_CLANG_BURST))) {
		fprintf(stderr, "bench_vm: filters in C: no memory\n");
		return -1;
	}
	return 0;
}

static int add_flow_twins(struct bench_engines *list, const struct bench_flow_twins *twins, enum bench_flow_filter which,
			  const char *call, const char *loop, const struct bench_shards *shards)
{
	return add(list, call, &(struct twin){.flow_call = twins->call[which]}, flow_call_pass, shards) ||
	       add(list, loop, &(struct twin){.flow_loop = twins->loop[which]}, flow_loop_pass, shards);
}

int bench_flow_twins_add(struct bench_engines *list, enum bench_flow_filter which, const struct bench_shards *shards)
{
	if (add_flow_twins(list, &bench_flow_twins_gcc, which, BENCH_GCC_CALL, BENCH_GCC_BURST, shards) ||
	    (&bench_flow_twins_clang &&
	     add_flow_twins(list, &bench_flow_twins_clang, which, BENCH_CLANG_CALL, BENCH_CLANG_BURST, shards))) {
		fprintf(stderr, "bench_vm: filters in C: no memory\n");
		return -1;
	}
	return 0;
}

void bench_twins_describe(void)
{
	printf("filters in C: gcc %s -O3 -march=native", bench_twins_gcc.compiler);
	if (&bench_twins_clang)
		printf("; %s -O3 -march=native\n", bench_twins_clang.compiler);
	else
		printf("; clang was not there when this was built, so its rows are missing\n");
}

static void libpcap_pass(void *self, const struct bench_pass *pass)
{
	const struct bpf_insn *code = ((const struct bpf_program *)self)->bf_insns;

	BENCH_EACH_PACKET(pass, i, bpf_filter(code, pass->packets[i].data, pass->packets[i].len, pass->packets[i].len) != 0);
}

void bench_libpcap_add(struct bench_engines *list, struct bpf_program *bpf)
{
	bench_engines_add(list, BENCH_LIBPCAP, bpf)->pass = libpcap_pass;
}

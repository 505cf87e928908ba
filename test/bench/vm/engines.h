/* engines.h: the engines that bench-vm compares: the project's, and the peers that a user could pick instead.
 *
 * Each function appends engines with one filter loaded to a list; 0, or -1 after saying on standard error what is wrong. A peer that
 * this machine does not have is said to be missing on standard output, once, and is no error.
 */
#ifndef TEST_BENCH_VM_ENGINES_H
#define TEST_BENCH_VM_ENGINES_H

#include "state/shard.h"
#include "test/bench/vm/engine.h"
#include "test/bench/vm/twins.h"
#include "test/lib/bench_filters.h"
#include "vm/program.h"
#include "vm/vfm.h"

struct bpf_program;

/* The names of engines that others are compared with. */
#define BENCH_GCC_CALL    "gcc call"
#define BENCH_GCC_BURST   "gcc burst"
#define BENCH_CLANG_CALL  "clang call"
#define BENCH_CLANG_BURST "clang burst"
#define BENCH_INTERPRETER "interpreter"
#define BENCH_JIT_PACKET  "jit per packet"
#define BENCH_JIT_SCALAR  "jit burst scalar"
#define BENCH_JIT_AVX2    "jit burst avx2"
#define BENCH_JIT_AVX512  "jit burst avx512"
#define BENCH_DPDK_MBUF   "librte_bpf"
#define BENCH_DPDK_CHECK  "librte_bpf one check"
#define BENCH_LIBPCAP     "libpcap"
#define BENCH_KERNEL      "kernel jit"

/* Gives an engine the shard it runs on; NULL: no memory. */
struct bench_shards {
	struct shard *(*get)(void *arg);
	void (*put)(void *arg, struct shard *s);
	void *arg;
};

/* engines_own.c: interpreter, JIT per packet, a burst engine for each tier of this CPU and of VFM_JIT. */
int bench_own_add(struct bench_engines *list, const struct program *p, const struct bench_shards *shards);

/* engines_c.c: filter `which` of bench_filter_make() in C; libpcap's interpreter. */
int bench_twins_add(struct bench_engines *list, int which);
int bench_flow_twins_add(struct bench_engines *list, enum bench_flow_filter which, const struct bench_shards *shards);
void bench_libpcap_add(struct bench_engines *list, struct bpf_program *bpf);
/* What compiled the filters in C, for the report's head. */
void bench_twins_describe(void);

/* peer_dpdk.c: DPDK's JIT: a libpcap program as rte_bpf_convert() gives it, each load checked against an mbuf's length, and the same
 * with one check of a length before the bytes. */
int bench_dpdk_add(struct bench_engines *list, const struct bpf_program *bpf);
/* A counting filter with count(key) as external function. */
int bench_dpdk_add_count(struct bench_engines *list, const char *name, enum bench_flow_filter which,
			 uint64_t (*count)(uint64_t key));

/* examples/conntrack.vfl by hand, on our table and our parser as external functions. */
int bench_dpdk_add_conntrack(struct bench_engines *list, const char *name, const struct bench_shards *shards);

/* peer_kernel.c: the kernel's JIT over the hot set: packets in a map, a loop over them in one BPF_PROG_TEST_RUN, less the same loop
 * around nothing. The passes to come have n packets in n_slots buffers, both powers of two. */
int bench_kernel_add(struct bench_engines *list, const bpf_insn_t *code, uint32_t len, uint32_t n_slots, uint32_t n);
/* A counting filter with the kernel's hash map, which has room for `entries` keys. */
int bench_kernel_add_count(struct bench_engines *list, enum bench_flow_filter which, uint32_t entries, uint32_t n_slots,
			   uint32_t n);
/* n keys with their counts into the map of an engine of bench_kernel_add_count(). 0 or -errno. */
int bench_kernel_insert(const struct bench_engine *engine, const uint64_t *keys, const uint64_t *counts, uint32_t n);

#endif

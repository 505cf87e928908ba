/* peer_dpdk.c: librte_bpf's JIT. See engines.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALLOW_EXPERIMENTAL_API /* rte_bpf_convert */
#include <pcap/pcap.h>
#include <rte_bpf.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "test/bench/vm/ebpf.h"
#include "test/bench/vm/engines.h"
#include "test/bench/vm/sets.h"

struct dpdk {
	struct rte_bpf *bpf;
	uint64_t (*run)(void *packet);
	struct rte_mbuf *mbufs; /* by slot; NULL: run takes the address of the length before the bytes */
	uint32_t n_mbufs;
	struct bench_shards shards;
	struct shard *shard; /* NULL: none */
};

static void dpdk_close(void *self)
{
	struct dpdk *d = self;

	if (d->shard)
		d->shards.put(d->shards.arg, d->shard);
	rte_bpf_destroy(d->bpf);
	free(d->mbufs);
	free(d);
}

static void prepare_mbufs(void *self, const struct bench_pass *pass)
{
	struct dpdk *d = self;

	if (d->n_mbufs < pass->n_slots) {
		free(d->mbufs);
		d->mbufs = aligned_alloc(64, pass->n_slots * sizeof(*d->mbufs));
		if (!d->mbufs)
			abort();
		d->n_mbufs = pass->n_slots;
	}
	memset(d->mbufs, 0, pass->n_slots * sizeof(*d->mbufs));
	for (uint32_t i = 0; i < pass->n; i++) {
		struct rte_mbuf *m = &d->mbufs[pass->slots[i]];

		m->buf_addr = (void *)(uintptr_t)pass->packets[i].data;
		m->nb_segs = 1;
		m->pkt_len = pass->packets[i].len;
		m->data_len = (uint16_t)pass->packets[i].len;
	}
}

static void mbuf_pass(void *self, const struct bench_pass *pass)
{
	const struct dpdk *d = self;

	BENCH_EACH_PACKET(pass, i, d->run(&d->mbufs[pass->slots[i]]) != 0);
}

static void bytes_pass(void *self, const struct bench_pass *pass)
{
	const struct dpdk *d = self;

	BENCH_EACH_PACKET(pass, i, d->run((void *)(uintptr_t)(pass->packets[i].data - BENCH_LEN_BYTES)) != 0);
}

static int add(struct bench_engines *list, const char *name, const struct rte_bpf_prm *prm,
	       void (*pass)(void *self, const struct bench_pass *pass))
{
	struct dpdk *d = calloc(1, sizeof(*d));
	struct rte_bpf_jit jit = {0};
	struct bench_engine *e;

	if (!d)
		return -1;
	d->bpf = rte_bpf_load(prm);
	if (!d->bpf || rte_bpf_get_jit(d->bpf, &jit) || !jit.func) {
		fprintf(stderr, "bench_vm: %s: %s\n", name, d->bpf ? "no machine code for this CPU" : rte_strerror(rte_errno));
		dpdk_close(d);
		return -1;
	}
	d->run = jit.func;
	e = bench_engines_add(list, name, d);
	e->pass = pass;
	e->close = dpdk_close;
	if (pass == mbuf_pass)
		e->prepare = prepare_mbufs;
	return 0;
}

/* Register 1 has the address of the length. */
static void begin(struct ebpf *e)
{
	ebpf_init(e);
	ebpf_op(e, E_ALU64 | E_MOV | E_X, E_PACKET, 1, 0, 0);
	ebpf_op(e, E_LDX_W, E_LEN, E_PACKET, 0, 0);
}

static int add_bytes(struct bench_engines *list, const char *name, struct ebpf *e, const struct rte_bpf_xsym *symbols, uint32_t n)
{
	struct rte_bpf_prm prm = {.xsym = symbols, .nb_xsym = n};

	ebpf_bind(e, E_END);
	ebpf_op(e, E_EXIT, 0, 0, 0, 0);
	if (ebpf_finish(e)) {
		fprintf(stderr, "bench_vm: %s: the filter does not fit into eBPF\n", name);
		return -1;
	}
	prm.ins = (const struct ebpf_insn *)e->ops;
	prm.nb_ins = e->n;
	prm.prog_arg.type = RTE_BPF_ARG_PTR;
	prm.prog_arg.size = BENCH_SLOT_BYTES - BENCH_LEAD_BYTES + BENCH_LEN_BYTES;
	return add(list, name, &prm, bytes_pass);
}

int bench_dpdk_add(struct bench_engines *list, const struct bpf_program *bpf)
{
	static struct ebpf e;
	struct rte_bpf_prm *prm = rte_bpf_convert(bpf);
	int rc;

	if (!prm) {
		fprintf(stderr, "bench_vm: rte_bpf_convert: %s\n", rte_strerror(rte_errno));
		return -1;
	}
	rc = add(list, BENCH_DPDK_MBUF, prm, mbuf_pass);
	rte_free(prm);
	if (rc)
		return rc;
	begin(&e);
	if (ebpf_from_classic(&e, (const bpf_insn_t *)bpf->bf_insns, bpf->bf_len)) {
		fprintf(stderr, "bench_vm: %s: classic BPF that it does not know\n", BENCH_DPDK_CHECK);
		return -1;
	}
	return add_bytes(list, BENCH_DPDK_CHECK, &e, NULL, 0);
}

static void call_count(struct ebpf *e, void *arg)
{
	(void)arg;
	ebpf_op(e, E_ALU64 | E_MOV | E_X, 1, E_KEY, 0, 0);
	ebpf_op(e, E_CALL, 0, 0, 0, 0); /* symbol 0 */
}

/* ---- connection tracking: external functions get nothing but what the program passes, and a stack at any multiple of 8 ---- */

#define EXTERNAL __attribute__((force_align_arg_pointer)) static uint64_t

static struct shard *tracked;
static struct vfm_headers headers;

static uint32_t len_of(const uint8_t *packet)
{
	uint32_t len;

	memcpy(&len, packet, sizeof(len));
	return len;
}

EXTERNAL conntrack_headers(uint64_t packet)
{
	const uint8_t *at = (const uint8_t *)(uintptr_t)packet, *p = at + BENCH_LEN_BYTES;
	uint32_t len = len_of(at), flags_at;
	uint64_t info;

	vfm_parse(p, len, &headers);
	flags_at = headers.transport + 13u;
	info = headers.protocol;
	if (headers.version == 4 && p[headers.network + 12] == 10)
		info |= EBPF_INSIDE;
	if (headers.transport && flags_at >= len)
		return info | EBPF_SHORT;
	return headers.transport ? info | EBPF_FLAGS((uint64_t)p[flags_at]) : info;
}

EXTERNAL conntrack_hash(uint64_t packet)
{
	return vfm_hash5_of((const uint8_t *)(uintptr_t)packet + BENCH_LEN_BYTES, &headers, true, tracked->seed);
}

EXTERNAL conntrack_load(uint64_t key)
{
	return table_load(tracked->tables[0], key, tracked->now_s);
}

EXTERNAL conntrack_store(uint64_t key, uint64_t state)
{
	table_store(tracked->tables[0], key, state, tracked->now_s);
	return 0;
}

EXTERNAL conntrack_delete(uint64_t key)
{
	table_delete(tracked->tables[0], key, tracked->now_s);
	return 0;
}

static void track(const struct dpdk *d, const struct vfm_packet *packet, uint8_t *verdict)
{
	shard_set_time(tracked, packet->time_us);
	*verdict = d->run((void *)(uintptr_t)(packet->data - BENCH_LEN_BYTES)) != 0;
}

static void conntrack_pass(void *self, const struct bench_pass *pass)
{
	const struct dpdk *d = self;

	tracked = d->shard;
	for (uint32_t i = 0; i < pass->n; i++)
		track(d, &pass->packets[i], &pass->verdicts[i]);
}

int bench_dpdk_add_conntrack(struct bench_engines *list, const char *name, const struct bench_shards *shards)
{
	static const struct {
		const char *name;
		void *function;
		uint32_t args;
	} calls[EBPF_CONNTRACK_CALLS] = {[EBPF_HEADERS] = {"headers", (void *)conntrack_headers, 1},
					 [EBPF_HASH] = {"hash", (void *)conntrack_hash, 1},
					 [EBPF_LOAD] = {"load", (void *)conntrack_load, 1},
					 [EBPF_STORE] = {"store", (void *)conntrack_store, 2},
					 [EBPF_DELETE] = {"delete", (void *)conntrack_delete, 1}};
	const struct rte_bpf_arg word = {.type = RTE_BPF_ARG_RAW, .size = sizeof(uint64_t)};
	struct rte_bpf_xsym symbols[EBPF_CONNTRACK_CALLS] = {0};
	static struct ebpf e;
	struct dpdk *d;

	for (int i = 0; i < EBPF_CONNTRACK_CALLS; i++) {
		symbols[i].name = calls[i].name;
		symbols[i].type = RTE_BPF_XTYPE_FUNC;
		symbols[i].func.val = (uint64_t(*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t))calls[i].function;
		symbols[i].func.nb_args = calls[i].args;
		symbols[i].func.args[0] = symbols[i].func.args[1] = symbols[i].func.ret = word;
	}
	begin(&e);
	ebpf_conntrack(&e);
	if (add_bytes(list, name, &e, symbols, EBPF_CONNTRACK_CALLS))
		return -1;
	d = list->engine[list->n - 1].self;
	d->shards = *shards;
	d->shard = shards->get(shards->arg);
	list->engine[list->n - 1].pass = conntrack_pass;
	return d->shard ? 0 : -1;
}

int bench_dpdk_add_count(struct bench_engines *list, const char *name, enum bench_flow_filter which,
			 uint64_t (*count)(uint64_t key))
{
	static struct ebpf e;
	struct rte_bpf_xsym symbol = {.name = "count", .type = RTE_BPF_XTYPE_FUNC};

	/* DPDK calls every external function with five arguments; the others are left as they are in their registers. */
	symbol.func.val = (uint64_t(*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t))(void *)count;
	symbol.func.nb_args = 1;
	symbol.func.args[0] = (struct rte_bpf_arg){.type = RTE_BPF_ARG_RAW, .size = sizeof(uint64_t)};
	symbol.func.ret = symbol.func.args[0];
	begin(&e);
	ebpf_count(&e, which, call_count, NULL);
	return add_bytes(list, name, &e, &symbol, 1);
}

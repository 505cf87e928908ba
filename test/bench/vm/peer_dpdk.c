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
};

static void dpdk_close(void *self)
{
	struct dpdk *d = self;

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

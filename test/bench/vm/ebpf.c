/* ebpf.c: see ebpf.h. */
#include "test/bench/vm/ebpf.h"

#include <errno.h>
#include <string.h>

#include <pcap/pcap.h>

#define SCRATCH  5 /* a register that no call keeps */
#define SCRATCH2 4

void ebpf_init(struct ebpf *e)
{
	memset(e, 0, sizeof(*e));
}

void ebpf_op(struct ebpf *e, uint8_t code, int dst, int src, int off, int32_t imm)
{
	if (e->n == E_MAX_OPS) {
		e->overflow = true;
		return;
	}
	e->ops[e->n++] = (struct ebpf_op){
		.code = code, .dst = (uint8_t)(dst & 15), .src = (uint8_t)(src & 15), .off = (int16_t)off, .imm = imm};
}

void ebpf_load64(struct ebpf *e, int dst, int src, uint64_t value)
{
	ebpf_op(e, E_LDDW, dst, src, 0, (int32_t)value);
	ebpf_op(e, 0, 0, 0, 0, (int32_t)(value >> 32));
}

static void jump_to(struct ebpf *e, uint32_t label)
{
	if (label >= E_MAX_LABELS)
		e->overflow = true;
	else if (!e->overflow)
		e->label_of[e->n - 1] = (uint16_t)(label + 1);
}

/* Conditions are on 64 bits and their immediates signed, so that one with the highest bit set goes through a register. */
void ebpf_jump(struct ebpf *e, uint8_t code, int dst, int32_t imm, uint32_t label)
{
	if (imm < 0) {
		ebpf_op(e, E_ALU32 | E_MOV, SCRATCH, 0, 0, imm);
		ebpf_op(e, code | E_X, dst, SCRATCH, 0, 0);
	} else {
		ebpf_op(e, code, dst, 0, 0, imm);
	}
	jump_to(e, label);
}

void ebpf_bind(struct ebpf *e, uint32_t label)
{
	if (label >= E_MAX_LABELS)
		e->overflow = true;
	else
		e->at[label] = e->n + 1;
}

int ebpf_finish(struct ebpf *e)
{
	if (e->overflow)
		return -EINVAL;
	for (uint32_t i = 0; i < e->n; i++) {
		uint32_t label = e->label_of[i];

		if (!label)
			continue;
		if (!e->at[label - 1])
			return -EINVAL;
		e->ops[i].off = (int16_t)((int)e->at[label - 1] - 1 - (int)i - 1);
	}
	return 0;
}

void ebpf_tail(struct ebpf *e)
{
	ebpf_bind(e, E_ACCEPT);
	ebpf_op(e, E_ALU64 | E_MOV, 0, 0, 0, 1);
	ebpf_jump(e, E_JA, 0, 0, E_END);
	ebpf_bind(e, E_DROP);
	ebpf_op(e, E_ALU64 | E_MOV, 0, 0, 0, 0);
}

/* ---- Classic BPF: A in register 0, X in register 9, scratch memory in the frame ---- */

#define A 0
#define X E_KEY

static int load_bytes(uint16_t code)
{
	switch (BPF_SIZE(code)) {
	case BPF_B:
		return 1;
	case BPF_H:
		return 2;
	default:
		return 4;
	}
}

/* register 0 = bytes at base + off, big-endian */
static void load(struct ebpf *e, int bytes, int base, int off)
{
	static const uint8_t codes[] = {[1] = E_LDX_B, [2] = E_LDX_H, [4] = E_LDX_W, [8] = E_LDX_DW};

	ebpf_op(e, codes[bytes], A, base, off + BENCH_LEN_BYTES, 0);
	if (bytes > 1)
		ebpf_op(e, E_BE, A, 0, 0, 8 * bytes);
}

static void load_indexed(struct ebpf *e, const bpf_insn_t *i)
{
	int bytes = load_bytes(i->code);

	ebpf_op(e, E_ALU64 | E_MOV | E_X, SCRATCH, X, 0, 0);
	ebpf_op(e, E_ALU64 | E_ADD, SCRATCH, 0, 0, (int32_t)i->k + bytes);
	ebpf_op(e, E_JGT | E_X, SCRATCH, E_LEN, 0, 0);
	jump_to(e, E_DROP);
	ebpf_op(e, E_ALU64 | E_MOV | E_X, SCRATCH, E_PACKET, 0, 0);
	ebpf_op(e, E_ALU64 | E_ADD | E_X, SCRATCH, X, 0, 0);
	load(e, bytes, SCRATCH, (int)i->k);
}

static void load_header_length(struct ebpf *e, const bpf_insn_t *i)
{
	ebpf_op(e, E_LDX_B, X, E_PACKET, (int)i->k + BENCH_LEN_BYTES, 0);
	ebpf_op(e, E_ALU64 | E_AND, X, 0, 0, 15);
	ebpf_op(e, E_ALU64 | E_LSH, X, 0, 0, 2);
}

static int jump(struct ebpf *e, const bpf_insn_t *i, uint32_t next)
{
	uint8_t op = BPF_OP(i->code), code, inverse;
	uint32_t yes = E_FREE_LABEL + next + i->jt, no = E_FREE_LABEL + next + i->jf;

	if (op == BPF_JA) {
		ebpf_jump(e, E_JA, 0, 0, E_FREE_LABEL + next + i->k);
		return 0;
	}
	if (BPF_SRC(i->code) != BPF_K)
		return -EINVAL;
	code = op == BPF_JEQ ? E_JEQ : op == BPF_JGT ? E_JGT : op == BPF_JGE ? E_JGE : E_JSET;
	inverse = op == BPF_JEQ ? E_JNE : op == BPF_JGT ? E_JLE : E_JLT;
	if (!i->jt && op != BPF_JSET) {
		ebpf_jump(e, inverse, A, (int32_t)i->k, no);
		return 0;
	}
	ebpf_jump(e, code, A, (int32_t)i->k, yes);
	if (i->jf)
		ebpf_jump(e, E_JA, 0, 0, no);
	return 0;
}

static int alu(struct ebpf *e, const bpf_insn_t *i)
{
	static const struct {
		uint8_t classic, code;
	} same[] = {{BPF_ADD, E_ADD}, {BPF_MUL, E_MUL}, {BPF_OR, E_OR}, {BPF_AND, E_AND}, {BPF_LSH, E_LSH}, {BPF_RSH, E_RSH}};

	for (size_t k = 0; k < sizeof(same) / sizeof(*same); k++) {
		if (BPF_OP(i->code) != same[k].classic)
			continue;
		if (BPF_SRC(i->code) == BPF_X)
			ebpf_op(e, E_ALU32 | same[k].code | E_X, A, X, 0, 0);
		else
			ebpf_op(e, E_ALU32 | same[k].code, A, 0, 0, (int32_t)i->k);
		return 0;
	}
	return -EINVAL;
}

static int translate(struct ebpf *e, const bpf_insn_t *i, uint32_t next)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
		if (BPF_MODE(i->code) == BPF_ABS)
			load(e, load_bytes(i->code), E_PACKET, (int)i->k);
		else if (BPF_MODE(i->code) == BPF_IND)
			load_indexed(e, i);
		else
			return -EINVAL;
		return 0;
	case BPF_LDX:
		if (BPF_MODE(i->code) != BPF_MSH)
			return -EINVAL;
		load_header_length(e, i);
		return 0;
	case BPF_ALU:
		return alu(e, i);
	case BPF_JMP:
		return jump(e, i, next);
	case BPF_RET:
		ebpf_jump(e, E_JA, 0, 0, i->k ? E_ACCEPT : E_DROP);
		return BPF_RVAL(i->code) == BPF_K ? 0 : -EINVAL;
	case BPF_MISC:
		if (BPF_MISCOP(i->code) == BPF_TAX)
			ebpf_op(e, E_ALU32 | E_MOV | E_X, X, A, 0, 0);
		else
			ebpf_op(e, E_ALU32 | E_MOV | E_X, A, X, 0, 0);
		return 0;
	default:
		return -EINVAL;
	}
}

int ebpf_from_classic(struct ebpf *e, const bpf_insn_t *code, uint32_t n)
{
	uint32_t need = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t end = code[i].k + (BPF_CLASS(code[i].code) == BPF_LDX ? 1 : (uint32_t)load_bytes(code[i].code));
		bool load_at = BPF_CLASS(code[i].code) == BPF_LD && BPF_MODE(code[i].code) == BPF_ABS;

		if ((load_at || BPF_CLASS(code[i].code) == BPF_LDX) && end > need)
			need = end;
	}
	ebpf_jump(e, E_JLT, E_LEN, (int32_t)need, E_DROP);
	for (uint32_t i = 0; i < n; i++) {
		ebpf_bind(e, E_FREE_LABEL + i);
		if (translate(e, &code[i], i + 1))
			return -EINVAL;
	}
	ebpf_tail(e);
	return 0;
}

/* ---- Counters by key ---- */

enum { ETHERTYPE = 12, PROTOCOL = 23, SOURCE = 26, PORTS = 34 };
enum { NEED_ETHERTYPE = 14, NEED_SOURCE = 30, NEED_PORTS = 38 };

/* reg = mix64(reg), state/mix.h */
static void mix(struct ebpf *e, int reg)
{
	static const uint64_t factors[] = {0xff51afd7ed558ccdULL, 0xc4ceb9fe1a85ec53ULL, 0};

	for (const uint64_t *factor = factors;; factor++) {
		ebpf_op(e, E_ALU64 | E_MOV | E_X, SCRATCH, reg, 0, 0);
		ebpf_op(e, E_ALU64 | E_RSH, SCRATCH, 0, 0, 33);
		ebpf_op(e, E_ALU64 | E_XOR | E_X, reg, SCRATCH, 0, 0);
		if (!*factor)
			return;
		ebpf_load64(e, SCRATCH, 0, *factor);
		ebpf_op(e, E_ALU64 | E_MUL | E_X, reg, SCRATCH, 0, 0);
	}
}

static void flow_key(struct ebpf *e)
{
	load(e, 8, E_PACKET, SOURCE);
	ebpf_op(e, E_ALU64 | E_MOV | E_X, E_KEY, 0, 0, 0);
	mix(e, E_KEY);
	load(e, 1, E_PACKET, PROTOCOL);
	ebpf_op(e, E_ALU64 | E_MOV | E_X, SCRATCH2, 0, 0, 0);
	load(e, 4, E_PACKET, PORTS);
	ebpf_op(e, E_ALU64 | E_LSH, 0, 0, 0, 8);
	ebpf_op(e, E_ALU64 | E_OR | E_X, 0, SCRATCH2, 0, 0);
	ebpf_op(e, E_ALU64 | E_XOR | E_X, E_KEY, 0, 0, 0);
	mix(e, E_KEY);
}

void ebpf_count(struct ebpf *e, enum bench_flow_filter filter, void (*count)(struct ebpf *e, void *arg), void *arg)
{
	ebpf_jump(e, E_JLT, E_LEN, NEED_ETHERTYPE, E_DROP);
	load(e, 2, E_PACKET, ETHERTYPE);
	ebpf_jump(e, E_JNE, 0, 0x800, E_ACCEPT);
	ebpf_jump(e, E_JLT, E_LEN, filter == BENCH_PER_SOURCE ? NEED_SOURCE : NEED_PORTS, E_DROP);
	if (filter == BENCH_PER_SOURCE) {
		load(e, 4, E_PACKET, SOURCE);
		ebpf_op(e, E_ALU64 | E_MOV | E_X, E_KEY, 0, 0, 0);
	} else {
		flow_key(e);
	}
	count(e, arg);
	/* AND and a compare: the x86 JIT of librte_bpf 22.11 gets JSET wrong where the immediate fits a byte. */
	ebpf_op(e, E_ALU64 | E_AND, 0, 0, 0, BENCH_TURN_BIT);
	ebpf_jump(e, E_JNE, 0, 0, E_DROP);
	ebpf_tail(e);
}

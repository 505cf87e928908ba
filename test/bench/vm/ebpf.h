/* ebpf.h: eBPF programs for the peers that take them, DPDK's librte_bpf and the kernel: an assembler, the translation of classic BPF,
 * and the filters with tables by hand.
 *
 * A program's body finds the packet's length, a uint32_t, and behind it the bytes at E_PACKET, its length once more in E_LEN,
 * and leaves 1 (accept) or 0 in register 0 at E_END. What comes before and after is the peer's own.
 */
#ifndef TEST_BENCH_VM_EBPF_H
#define TEST_BENCH_VM_EBPF_H

#include <stdint.h>

#include "test/bench/vm/engine.h"
#include "test/bench/vm/twins.h"
#include "vm/vfm.h"

/* The layout of the kernel's struct bpf_insn and DPDK's struct ebpf_insn. */
struct ebpf_op {
	uint8_t code;
	uint8_t dst : 4, src : 4;
	int16_t off;
	int32_t imm;
};

enum { E_PACKET = 6, E_INDEX = 7, E_LEN = 8, E_KEY = 9, E_FRAME = 10 };

/* Class, size and operation bits of the codes that are used. */
enum {
	E_LDDW = 0x18,
	E_LDX_B = 0x71,
	E_LDX_H = 0x69,
	E_LDX_W = 0x61,
	E_LDX_DW = 0x79,
	E_STX_B = 0x73,
	E_STX_W = 0x63,
	E_STX_DW = 0x7b,
	E_ALU32 = 0x04,
	E_ALU64 = 0x07,
	E_ADD = 0x00,
	E_MUL = 0x20,
	E_OR = 0x40,
	E_AND = 0x50,
	E_LSH = 0x60,
	E_RSH = 0x70,
	E_XOR = 0xa0,
	E_MOV = 0xb0,
	E_X = 0x08, /* operand: a register, not an immediate */
	E_BE = 0xdc,
	E_JA = 0x05,
	E_JEQ = 0x15,
	E_JGT = 0x25,
	E_JGE = 0x35,
	E_JSET = 0x45,
	E_JNE = 0x55,
	E_JLT = 0xa5,
	E_JLE = 0xb5,
	E_CALL = 0x85,
	E_EXIT = 0x95,
};

#define E_MAX_OPS    8192
#define E_MAX_LABELS 4096
#define E_END        0 /* label: the body's end */
#define E_DROP       1 /* label: register 0 becomes 0, then E_END */
#define E_ACCEPT     2
#define E_FREE_LABEL 3 /* the first one for the body's own use */

struct ebpf {
	uint32_t n;
	struct ebpf_op ops[E_MAX_OPS];
	uint32_t at[E_MAX_LABELS];    /* op + 1, 0: not bound */
	uint16_t label_of[E_MAX_OPS]; /* of a jump: its label + 1 */
	bool overflow;
};

void ebpf_init(struct ebpf *e);
void ebpf_op(struct ebpf *e, uint8_t code, int dst, int src, int off, int32_t imm);
/* A 64-bit constant; src as the kernel's BPF_PSEUDO_ (0: none). */
void ebpf_load64(struct ebpf *e, int dst, int src, uint64_t value);
void ebpf_jump(struct ebpf *e, uint8_t code, int dst, int32_t imm, uint32_t label);
void ebpf_bind(struct ebpf *e, uint32_t label);
/* Puts jump distances in; 0, or -EINVAL: too long, or a label that is not bound. */
int ebpf_finish(struct ebpf *e);

/* Binds E_ACCEPT and E_DROP and falls to E_END, which the caller binds. */
void ebpf_tail(struct ebpf *e);
/* Classic BPF with one check of the length against the furthest constant load. -EINVAL: an instruction it does not know. */
int ebpf_from_classic(struct ebpf *e, const bpf_insn_t *code, uint32_t n);
/* The body of a counting filter: the key in E_KEY, then count() must leave the key's new count in register 0. */
void ebpf_count(struct ebpf *e, enum bench_flow_filter filter, void (*count)(struct ebpf *e, void *arg), void *arg);

/* The body of examples/conntrack.vfl, on functions of these numbers. HEADERS(packet) gives the protocol in its lowest 8 bits, TCP's flags above
 * them, and the two bits; HASH(packet) the 5-tuple's hash without direction; LOAD(key), STORE(key, state) and DELETE(key) are the
 * table's. Packets are addresses of lengths. */
enum ebpf_conntrack_call { EBPF_HEADERS, EBPF_HASH, EBPF_LOAD, EBPF_STORE, EBPF_DELETE, EBPF_CONNTRACK_CALLS };
#define EBPF_FLAGS(flags) ((flags) << 8)
#define EBPF_INSIDE       (1 << 16) /* the source is in 10.0.0.0/8 */
#define EBPF_SHORT        (1 << 17) /* the packet ends before TCP's flags */
void ebpf_conntrack(struct ebpf *e);

#endif

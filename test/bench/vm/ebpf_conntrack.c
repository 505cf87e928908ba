/* ebpf_conntrack.c: examples/conntrack.vfl as eBPF. See ebpf.h. */
#include "test/bench/vm/ebpf.h"

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16, TCP = 6 };
enum { STATE = E_LEN, INFO = E_INDEX }; /* registers that calls keep */
enum { ON_RST = E_FREE_LABEL, ON_SYN, ON_SYN_ACK, ON_STATE_2, ON_FIN, KEEP, STORE_1, STORE_2, STORE_3, STORE_4, STORE_5 };

static void set(struct ebpf *e, int d, int32_t imm)
{
	ebpf_op(e, E_ALU64 | E_MOV, d, 0, 0, imm);
}

static void move(struct ebpf *e, int d, int s)
{
	ebpf_op(e, E_ALU64 | E_MOV | E_X, d, s, 0, 0);
}

static void call(struct ebpf *e, int argument, enum ebpf_conntrack_call which)
{
	move(e, 1, argument);
	ebpf_op(e, E_CALL, 0, 0, 0, which);
}

/* Register 1 = those of the packet's TCP flags. */
static void take_flags(struct ebpf *e, int32_t flags)
{
	move(e, 1, INFO);
	ebpf_op(e, E_ALU64 | E_AND, 1, 0, 0, EBPF_FLAGS(flags));
}

/* state: a number, or 0 for the one that there is. */
static void store(struct ebpf *e, uint32_t label, int32_t state)
{
	ebpf_bind(e, label);
	if (state)
		set(e, 2, state);
	else
		move(e, 2, STATE);
	call(e, E_KEY, EBPF_STORE);
	ebpf_jump(e, E_JA, 0, 0, E_ACCEPT);
}

static void key_and_state(struct ebpf *e)
{
	call(e, E_PACKET, EBPF_HEADERS);
	move(e, INFO, 0);
	ebpf_op(e, E_ALU64 | E_AND, 0, 0, 0, 0xff);
	ebpf_jump(e, E_JNE, 0, TCP, E_ACCEPT);
	ebpf_jump(e, E_JSET, INFO, EBPF_SHORT, E_DROP);
	call(e, E_PACKET, EBPF_HASH);
	move(e, E_KEY, 0);
	call(e, E_KEY, EBPF_LOAD);
	move(e, STATE, 0);
}

static void opening(struct ebpf *e)
{
	ebpf_bind(e, ON_SYN);
	move(e, 1, INFO);
	ebpf_op(e, E_ALU64 | E_AND, 1, 0, 0, EBPF_INSIDE);
	ebpf_jump(e, E_JEQ, 1, 0, E_DROP);
	ebpf_jump(e, E_JEQ, STATE, 0, STORE_1);
	ebpf_jump(e, E_JEQ, STATE, 1, STORE_1);
	ebpf_jump(e, E_JEQ, STATE, 5, STORE_1);
	ebpf_jump(e, E_JA, 0, 0, E_DROP);
	ebpf_bind(e, ON_SYN_ACK);
	ebpf_jump(e, E_JSET, INFO, EBPF_INSIDE, E_DROP);
	ebpf_jump(e, E_JEQ, STATE, 1, STORE_2);
	ebpf_jump(e, E_JEQ, STATE, 2, STORE_2);
	ebpf_jump(e, E_JA, 0, 0, E_DROP);
	ebpf_bind(e, ON_STATE_2);
	move(e, 1, INFO);
	ebpf_op(e, E_ALU64 | E_AND, 1, 0, 0, EBPF_INSIDE | EBPF_FLAGS(ACK));
	ebpf_jump(e, E_JEQ, 1, EBPF_INSIDE | EBPF_FLAGS(ACK), STORE_3);
	ebpf_jump(e, E_JA, 0, 0, E_DROP);
}

static void closing(struct ebpf *e)
{
	ebpf_bind(e, ON_FIN);
	ebpf_jump(e, E_JEQ, STATE, 3, STORE_4);
	ebpf_jump(e, E_JA, 0, 0, STORE_5);
	ebpf_bind(e, ON_RST);
	ebpf_jump(e, E_JEQ, STATE, 0, E_DROP);
	call(e, E_KEY, EBPF_DELETE);
	ebpf_jump(e, E_JA, 0, 0, E_ACCEPT);
}

void ebpf_conntrack(struct ebpf *e)
{
	key_and_state(e);
	ebpf_jump(e, E_JSET, INFO, EBPF_FLAGS(RST), ON_RST);
	take_flags(e, SYN | ACK);
	ebpf_jump(e, E_JEQ, 1, EBPF_FLAGS(SYN), ON_SYN);
	ebpf_jump(e, E_JEQ, 1, EBPF_FLAGS(SYN | ACK), ON_SYN_ACK);
	ebpf_jump(e, E_JEQ, STATE, 2, ON_STATE_2);
	ebpf_jump(e, E_JLT, STATE, 3, E_DROP);
	ebpf_jump(e, E_JSET, INFO, EBPF_FLAGS(FIN), ON_FIN);
	ebpf_jump(e, E_JA, 0, 0, KEEP);
	opening(e);
	closing(e);
	store(e, KEEP, 0);
	store(e, STORE_1, 1);
	store(e, STORE_2, 2);
	store(e, STORE_3, 3);
	store(e, STORE_4, 4);
	store(e, STORE_5, 5);
	ebpf_tail(e);
}

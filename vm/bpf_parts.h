/* bpf_parts.h: between the files of the BPF export. Not for others.
 *
 *     bpf_plan.c  what must be computed, what may stay in the accumulator, which scratch slot the rest gets
 *     bpf_emit.c  instructions with labels          bpf_link.c  labels to offsets, far jumps through JA
 *     bpf_text.c  listings                          bpf.c       the API
 */
#ifndef VM_BPF_PARTS_H
#define VM_BPF_PARTS_H

#include <stdio.h>

#include "vm/ir.h"
#include "vm/vfm.h"

#define BPF_SLOTS     16
#define BPF_NO_SLOT   0xff
#define BPF_MAX_ITEMS (1u << 16) /* while under construction; a program that needs more is too long in any case */

/* How each value is to be had. */
struct bpf_plan {
	uint8_t *needed;  /* [n_values] some emitted instruction, jump or RET uses it, or it may fault */
	uint8_t *in_a;    /* [n_values] its one user comes next and takes it from the accumulator */
	uint8_t *slot;    /* [n_values] scratch slot, BPF_NO_SLOT: none */
	uint32_t *uses;   /* [n_values] by what is emitted */
	uint32_t *next;   /* [n_values] the next value of the block that is computed, IR_NONE: the terminator */
	uint8_t *dead;    /* [n_blocks] drops every packet: something in it always faults */
	uint32_t *blocks; /* order of emission: the reached blocks */
	uint32_t n_blocks;
	bool has_slots;
};

/* An instruction before its jumps are resolved; t and f are labels. An unconditional jump (JA) uses t only. */
struct bpf_item {
	uint16_t code;
	uint32_t k;
	uint32_t t, f;
};

/* Instructions and labels. Errors are sticky: see `error`. */
struct bpf_draft {
	struct bpf_item *items;
	uint32_t n_items, room_items;
	uint32_t *labels; /* [label] index of an item */
	uint32_t n_labels, room_labels;
	int error; /* VFM_ERROR_* */
	char reason[VFM_BPF_REASON_BYTES];
};

/* Values that are computed again at each use: they need neither slot nor order. */
static inline bool bpf_is_cheap(const struct ir_value *v)
{
	return v->op == IR_CONST || v->op == IR_PKTLEN || (v->op >= IR_LD8 && v->op <= IR_LD64);
}

static inline bool bpf_commutes(uint8_t op)
{
	return op == IR_ADD || op == IR_MUL || op == IR_AND || op == IR_OR || op == IR_XOR;
}

/* Says why the program is refused; only the first call counts. */
void bpf_refuse(struct bpf_draft *d, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* 0 or VFM_ERROR_*, d->reason is set. The plan is to be released in any case. */
int bpf_plan(const struct ir *ir, struct bpf_plan *plan, struct bpf_draft *d);
void bpf_plan_fini(struct bpf_plan *plan);
/* Fills the draft; d->error. */
void bpf_emit(const struct ir *ir, const struct bpf_plan *plan, struct bpf_draft *d);
/* Writes at most `room` instructions; returns how many there are. */
uint32_t bpf_link(struct bpf_draft *d, bpf_insn_t *out, uint32_t room);

/* One instruction as tcpdump -d prints it (libpcap's bpf_image()): "(002) ldb      [23]"; text has room for 96 bytes. */
void bpf_text(const bpf_insn_t *insn, uint32_t index, char text[96]);

#endif

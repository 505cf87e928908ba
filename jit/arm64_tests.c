/* arm64_tests.c: lists of tests (opt_tests.c) in arm64, which have one item: its conditions together, without a branch between them.
 *
 *     x16, x17   scratch     x14, x15   scratch of the target's operations, x14 free here
 */
#include "jit/arm64_encode.h"
#include "jit/parts.h"
#include "vm/vfm.h"

enum { X0 = 0, OTHER = 14, YES = 14, RESULT = 16, NO = 17, X19 = 19 };

static void word(struct jit_buf *b, uint32_t insn)
{
	jit_bytes(b, &insn, 4);
}

static void load_number(struct jit_buf *b, uint8_t r, unsigned bytes, uint8_t base, uint32_t offset)
{
	if (arm64_offset_fits(bytes, offset)) {
		word(b, arm64_load(bytes, r, base, offset));
	} else {
		jit_arm64.set(b, r, offset);
		word(b, arm64_load_indexed(bytes, r, base, r));
	}
}

/* r = 0 if window w of the item fits. */
static void misfit(struct jit_buf *b, const struct jit_decision *d, uint8_t r, uint32_t w)
{
	const struct reg_list *list = &d->plan->list;
	struct jit_part p = jit_part_of(list, w, 0);
	uint8_t from = r;

	if (!jit_window_of_value(list->at[w]))
		load_number(b, r, p.bytes, d->calls ? X19 : X0, list->at[w] + p.at);
	else if (d->place[w].reg == JIT_NO_REG)
		jit_arm64.load_slot(b, r, d->place[w].slot);
	else
		from = d->place[w].reg;
	if (p.value || from != r) {
		jit_arm64.alu_imm(b, ALU_XOR, r, from, p.value);
		from = r;
	}
	if (p.mask != jit_low_bytes(p.bytes))
		jit_arm64.alu_imm(b, ALU_AND, r, from, p.mask);
}

/* x16 = yes where it is 0, else no. */
static void select_value(struct jit_buf *b, uint64_t yes, uint64_t no)
{
	uint8_t if_yes = yes ? YES : ARM64_ZR, if_no = no ? NO : ARM64_ZR;

	word(b, arm64_imm(ARM64_SUBS_IMM, ARM64_ZR, RESULT, 0));
	if (yes)
		jit_arm64.set(b, YES, yes);
	if (no)
		jit_arm64.set(b, NO, no);
	word(b, arm64_csel(RESULT, if_yes, if_no, ARM64_EQ));
}

void jit_arm64_decide(struct jit_buf *b, const struct jit_decision *d)
{
	bool negate = d->plan->list.negate & 1;
	uint32_t fits = negate ? 1 : 0, misfits = 1 - fits;

	misfit(b, d, RESULT, 0);
	for (uint32_t w = 1; w < d->plan->list.width; w++) {
		misfit(b, d, OTHER, w);
		word(b, arm64_reg(ARM64_ORR, RESULT, RESULT, OTHER));
	}
	if (d->returns) {
		select_value(b, d->values[fits], d->values[misfits]);
	} else if (d->labels[fits] == d->next) {
		jit_arm64.branch_imm(b, VFM_OP_JNE, RESULT, 0, d->labels[misfits]);
	} else {
		jit_arm64.branch_imm(b, VFM_OP_JEQ, RESULT, 0, d->labels[fits]);
		if (d->labels[misfits] != d->next)
			jit_arm64.jump(b, d->labels[misfits]);
	}
}

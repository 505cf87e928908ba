/* arm64.c: 64-bit Arm, procedure call standard AAPCS64. Only instructions that every such CPU has.
 *
 *     x16, x17   scratch of the code generator     x14, x15   this file's own scratch     x18   the system's, never touched
 *     leaf code      x0 data, x1 len, x2 env
 *     calling code   x19 data, x20 len, x21 env
 */
#include <stdlib.h>
#include <string.h>

#include "jit/arm64_encode.h"
#include "jit/parts.h"

enum { X0, X1, X2, X3, TMP2 = 14, TMP, S0, S1, X19 = 19, X20, X21, X22, X29 = 29, X30 };

static void word(struct jit_buf *b, uint32_t insn)
{
	jit_bytes(b, &insn, 4);
}

static uint8_t data_reg(bool calls)
{
	return calls ? X19 : X0;
}

static uint8_t len_reg(bool calls)
{
	return calls ? X20 : X1;
}

static uint8_t env_reg(bool calls)
{
	return calls ? X21 : X2;
}

/* ---- registers and constants ---- */

static void move(struct jit_buf *b, uint8_t d, uint8_t s)
{
	if (d != s)
		word(b, arm64_reg(ARM64_ORR, d, ARM64_ZR, s));
}

/* How many of the four 16-bit parts of imm are `part`. */
static unsigned count_parts(uint64_t imm, uint16_t part)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 4; i++)
		n += (uint16_t)(imm >> 16 * i) == part;
	return n;
}

/* One instruction if there is one, else a part at a time, on top of zeros or ones, whichever saves more. */
static void set(struct jit_buf *b, uint8_t d, uint64_t imm)
{
	unsigned zeros = count_parts(imm, 0), ones = count_parts(imm, 0xffff);
	uint16_t rest = ones > zeros ? 0xffff : 0;
	enum arm64_wide_op op = rest ? ARM64_MOVN : ARM64_MOVZ;
	uint32_t bits;

	if (zeros < 3 && ones < 3 && arm64_mask_fits(imm, &bits)) {
		word(b, arm64_mask(ARM64_ORR_IMM, d, ARM64_ZR, bits));
		return;
	}
	for (unsigned i = 0; i < 4; i++) {
		uint16_t part = (uint16_t)(imm >> 16 * i);

		if (part == rest)
			continue;
		word(b, arm64_wide(op, d, op == ARM64_MOVN ? (uint16_t)~part : part, i));
		op = ARM64_MOVK;
	}
	if (op != ARM64_MOVK)
		word(b, arm64_wide(op, d, 0, 0)); /* 0 or all ones */
}

/* ---- memory ---- */

static void load_at(struct jit_buf *b, unsigned bytes, uint8_t d, uint8_t base, uint32_t offset)
{
	if (arm64_offset_fits(bytes, offset)) {
		word(b, arm64_load(bytes, d, base, offset));
	} else if (offset < 256) {
		word(b, arm64_load_unscaled(bytes, d, base, offset));
	} else {
		set(b, TMP, offset);
		word(b, arm64_load_indexed(bytes, d, base, TMP));
	}
}

static void store_at(struct jit_buf *b, uint8_t s, uint8_t base, uint32_t offset)
{
	if (arm64_offset_fits(8, offset)) {
		word(b, arm64_store(s, base, offset));
	} else {
		set(b, TMP, offset);
		word(b, arm64_store_indexed(s, base, TMP));
	}
}

static void load_slot(struct jit_buf *b, uint8_t d, uint32_t slot)
{
	load_at(b, 8, d, ARM64_SP, slot * 8);
}

static void store_slot(struct jit_buf *b, uint32_t slot, uint8_t s)
{
	store_at(b, s, ARM64_SP, slot * 8);
}

/* Packets are big-endian. */
static void load(struct jit_buf *b, bool calls, uint8_t d, unsigned bytes, uint32_t offset)
{
	load_at(b, bytes, d, data_reg(calls), offset);
	if (bytes > 1)
		word(b, arm64_rev(bytes, d, d));
}

static void load_indexed(struct jit_buf *b, bool calls, uint8_t d, unsigned bytes, uint8_t index)
{
	word(b, arm64_load_indexed(bytes, d, data_reg(calls), index));
	if (bytes > 1)
		word(b, arm64_rev(bytes, d, d));
}

static void load_env(struct jit_buf *b, bool calls, uint8_t d, uint32_t offset)
{
	load_at(b, 8, d, env_reg(calls), offset);
}

static void load_shard(struct jit_buf *b, bool calls, uint8_t d, uint32_t offset)
{
	load_env(b, calls, d, offsetof(struct jit_env, shard));
	load_at(b, 8, d, d, offset);
}

static void length(struct jit_buf *b, bool calls, uint8_t d)
{
	move(b, d, len_reg(calls));
}

static void data(struct jit_buf *b, bool calls, uint8_t d)
{
	move(b, d, data_reg(calls));
}

static void env(struct jit_buf *b, bool calls, uint8_t d)
{
	move(b, d, env_reg(calls));
}

/* ---- frames ---- */

/* Registers to be saved, an even number: the zero register fills up. Returns how many. */
static unsigned saved_regs(bool calls, uint32_t saved, uint8_t regs[12])
{
	unsigned n = 0;

	if (calls)
		saved |= 1u << X19 | 1u << X20 | 1u << X21;
	for (uint8_t r = X19; r < X29; r++)
		if (saved >> r & 1)
			regs[n++] = r;
	if (n % 2)
		regs[n++] = ARM64_ZR;
	return n;
}

/* The stack pointer must be a multiple of 16. */
static void adjust_sp(struct jit_buf *b, enum arm64_imm_op op, uint32_t n_slots)
{
	uint32_t bytes = (n_slots + n_slots % 2) * 8;

	if (bytes >= 1 << 12)
		word(b, arm64_imm(op, ARM64_SP, ARM64_SP, bytes & ~0xfffu));
	if (bytes & 0xfff)
		word(b, arm64_imm(op, ARM64_SP, ARM64_SP, bytes & 0xfff));
}

void arm64_push_frame(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots)
{
	uint8_t regs[12];
	unsigned n = saved_regs(calls, saved, regs);

	if (calls) {
		word(b, arm64_push_pair(X29, X30));
		word(b, arm64_imm(ARM64_ADD_IMM, X29, ARM64_SP, 0)); /* frames are chained, for whoever walks the stack */
	}
	for (unsigned i = 0; i < n; i += 2)
		word(b, arm64_push_pair(regs[i], regs[i + 1]));
	adjust_sp(b, ARM64_SUB_IMM, n_slots);
}

static void prologue(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots)
{
	arm64_push_frame(b, calls, saved, n_slots);
	if (calls) {
		move(b, X19, X0);
		move(b, X20, X1);
		move(b, X21, X2);
	}
}

void arm64_pop_frame(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots)
{
	uint8_t regs[12];
	unsigned n = saved_regs(calls, saved, regs);

	adjust_sp(b, ARM64_ADD_IMM, n_slots);
	for (unsigned i = n; i > 0; i -= 2)
		word(b, arm64_pop_pair(regs[i - 2], regs[i - 1]));
	if (calls)
		word(b, arm64_pop_pair(X29, X30));
	word(b, arm64_ret());
}

static void epilogue(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots, int error)
{
	move(b, X0, S0);
	set(b, X1, (uint64_t)(int64_t)error);
	arm64_pop_frame(b, calls, saved, n_slots);
}

/* ---- arithmetic ---- */

static void alu(struct jit_buf *b, enum jit_alu op, uint8_t d, uint8_t a, uint8_t s)
{
	static const enum arm64_reg_op ops[] = {
		[ALU_ADD] = ARM64_ADD, [ALU_SUB] = ARM64_SUB,  [ALU_AND] = ARM64_AND,  [ALU_OR] = ARM64_ORR,
		[ALU_XOR] = ARM64_EOR, [ALU_SHL] = ARM64_LSLV, [ALU_SHR] = ARM64_LSRV,
	};

	word(b, op == ALU_MUL ? arm64_madd(d, a, s, ARM64_ZR) : arm64_reg(ops[op], d, a, s));
}

static bool add_imm(struct jit_buf *b, bool subtract, uint8_t d, uint8_t a, uint64_t imm)
{
	if (!arm64_imm_fits(imm)) {
		subtract = !subtract;
		imm = -imm;
	}
	if (!arm64_imm_fits(imm))
		return false;
	word(b, arm64_imm(subtract ? ARM64_SUB_IMM : ARM64_ADD_IMM, d, a, imm));
	return true;
}

static bool mask_imm(struct jit_buf *b, enum arm64_mask_op op, uint8_t d, uint8_t a, uint64_t imm)
{
	uint32_t bits;

	if (!arm64_mask_fits(imm, &bits))
		return false;
	word(b, arm64_mask(op, d, a, bits));
	return true;
}

/* False: no instruction has this immediate. */
static bool alu_with_imm(struct jit_buf *b, enum jit_alu op, uint8_t d, uint8_t a, uint64_t imm)
{
	switch (op) {
	case ALU_ADD:
	case ALU_SUB:
		return add_imm(b, op == ALU_SUB, d, a, imm);
	case ALU_AND:
		return mask_imm(b, ARM64_AND_IMM, d, a, imm);
	case ALU_OR:
		return mask_imm(b, ARM64_ORR_IMM, d, a, imm);
	case ALU_XOR:
		return mask_imm(b, ARM64_EOR_IMM, d, a, imm);
	case ALU_SHL:
		word(b, arm64_lsl(d, a, imm & 63));
		return true;
	case ALU_SHR:
		word(b, arm64_lsr(d, a, imm & 63));
		return true;
	default:
		if (imm & (imm - 1) || !imm)
			return false;
		word(b, arm64_lsl(d, a, (unsigned)__builtin_ctzll(imm)));
		return true;
	}
}

static void alu_imm(struct jit_buf *b, enum jit_alu op, uint8_t d, uint8_t a, uint64_t imm)
{
	if (alu_with_imm(b, op, d, a, imm))
		return;
	set(b, TMP, imm);
	alu(b, op, d, a, TMP);
}

static void divide(struct jit_buf *b, bool remainder, uint8_t d, uint8_t a, uint8_t s)
{
	word(b, arm64_reg(ARM64_UDIV, remainder ? TMP : d, a, s));
	if (remainder)
		word(b, arm64_msub(d, TMP, s, a));
}

static void invert(struct jit_buf *b, bool negate, uint8_t d, uint8_t a)
{
	word(b, arm64_reg(negate ? ARM64_SUB : ARM64_ORN, d, ARM64_ZR, a));
}

/* ---- control ---- */

static enum arm64_cond condition(uint8_t cond)
{
	switch (cond) {
	case VFM_OP_JEQ:
		return ARM64_EQ;
	case VFM_OP_JNE:
		return ARM64_NE;
	case VFM_OP_JGT:
		return ARM64_HI;
	case VFM_OP_JLT:
		return ARM64_LO;
	case VFM_OP_JGE:
		return ARM64_HS;
	default:
		return ARM64_LS;
	}
}

/* A branch whose distance link_jumps() writes. */
static void branch_to(struct jit_buf *b, uint32_t insn, uint32_t label)
{
	jit_fixup(b, b->n, label);
	word(b, insn);
}

static void branch(struct jit_buf *b, uint8_t cond, uint8_t a, uint8_t s, uint32_t label)
{
	word(b, arm64_reg(ARM64_SUBS, ARM64_ZR, a, s));
	branch_to(b, arm64_b_cond(condition(cond), 0), label);
}

static void compare_imm(struct jit_buf *b, uint8_t a, uint64_t imm)
{
	if (arm64_imm_fits(imm)) {
		word(b, arm64_imm(ARM64_SUBS_IMM, ARM64_ZR, a, imm));
	} else if (arm64_imm_fits(-imm)) {
		/* a + n carries exactly when a - -n does not borrow, for n other than 0. */
		word(b, arm64_imm(ARM64_ADDS_IMM, ARM64_ZR, a, -imm));
	} else {
		set(b, TMP, imm);
		word(b, arm64_reg(ARM64_SUBS, ARM64_ZR, a, TMP));
	}
}

static void branch_imm(struct jit_buf *b, uint8_t cond, uint8_t a, uint64_t imm, uint32_t label)
{
	if (imm == 0 && (cond == VFM_OP_JEQ || cond == VFM_OP_JLE)) {
		branch_to(b, arm64_cbz(a, 0), label);
	} else if (imm == 0 && (cond == VFM_OP_JNE || cond == VFM_OP_JGT)) {
		branch_to(b, arm64_cbnz(a, 0), label);
	} else {
		compare_imm(b, a, imm);
		branch_to(b, arm64_b_cond(condition(cond), 0), label);
	}
}

static void branch_short(struct jit_buf *b, bool calls, uint32_t bytes, uint32_t label)
{
	branch_imm(b, VFM_OP_JLT, len_reg(calls), bytes, label);
}

static void jump(struct jit_buf *b, uint32_t label)
{
	branch_to(b, arm64_b(0), label);
}

static void count(struct jit_buf *b, bool calls, uint32_t offset, uint32_t imm, uint32_t limit, uint32_t label)
{
	load_env(b, calls, TMP2, offset);
	if (imm) {
		alu_imm(b, ALU_ADD, TMP2, TMP2, imm);
		store_at(b, TMP2, env_reg(calls), offset);
	}
	if (label != JIT_NO_LABEL)
		branch_imm(b, VFM_OP_JGT, TMP2, limit, label);
}

static void call(struct jit_buf *b, const void *function)
{
	set(b, S0, (uint64_t)(uintptr_t)function);
	word(b, arm64_blr(S0));
}

static uint32_t items_at_once(void)
{
	return 1;
}

/* ---- linking ---- */

static uint32_t insn_at(const struct jit_buf *b, uint32_t at)
{
	uint32_t insn;

	memcpy(&insn, b->code + at, 4);
	return insn;
}

/* Conditional branches before offset `at`: fixups ascend. before[i]: of the first i fixups. */
static uint32_t conditional_before(const struct jit_buf *b, const uint32_t *before, uint32_t at)
{
	uint32_t lo = 0, hi = b->n_fixups;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (b->fixups[mid].at < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return before[lo];
}

/* Moves the code apart into `apart` and makes of each conditional branch its opposite around a B. */
static void move_apart(struct jit_buf *b, const uint32_t *before, uint8_t *apart)
{
	uint32_t from = 0, to = 0;

	for (uint32_t i = 0; i < b->n_fixups; i++) {
		struct jit_fixup *f = &b->fixups[i];
		uint32_t insn = insn_at(b, f->at), b_insn = arm64_b(0), n = f->at - from;

		memcpy(apart + to, b->code + from, n);
		from += n + 4;
		to += n;
		if (!arm64_is_b(insn)) {
			insn = arm64_with_distance(arm64_inverted(insn), 8);
			memcpy(apart + to, &insn, 4);
			to += 4;
		}
		memcpy(apart + to, &b_insn, 4);
		to += 4;
	}
	memcpy(apart + to, b->code + from, b->n - from);
	for (uint32_t l = 0; l < b->n_labels; l++)
		b->labels[l] += 4 * conditional_before(b, before, b->labels[l]);
	for (uint32_t i = 0; i < b->n_fixups; i++)
		b->fixups[i].at += 4 * before[i + 1];
}

/* Code longer than a conditional branch reaches: none is left that has to. */
static bool lengthen_branches(struct jit_buf *b)
{
	uint32_t *before = malloc((b->n_fixups + 1ul) * sizeof(*before));
	uint8_t *apart = NULL;
	uint32_t room;

	if (!before)
		return false;
	before[0] = 0;
	for (uint32_t i = 0; i < b->n_fixups; i++)
		before[i + 1] = before[i] + !arm64_is_b(insn_at(b, b->fixups[i].at));
	room = b->n + 4 * before[b->n_fixups];
	apart = malloc(room);
	if (apart) {
		move_apart(b, before, apart);
		free(b->code);
		b->code = apart;
		b->n = room;
		b->room = room;
	}
	free(before);
	return apart != NULL;
}

static void link_jumps(struct jit_buf *b)
{
	if (!arm64_branch_fits(b->n) && !lengthen_branches(b)) {
		b->failed = true;
		return;
	}
	for (uint32_t i = 0; i < b->n_fixups; i++) {
		const struct jit_fixup *f = &b->fixups[i];
		uint32_t insn = arm64_with_distance(insn_at(b, f->at), (int64_t)b->labels[f->label] - f->at);

		memcpy(b->code + f->at, &insn, 4);
	}
}

static const uint8_t leaf_caller[] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
static const uint8_t leaf_callee[] = {19, 20, 21, 22, 23, 24, 25, 26, 27, 28};
/* The others are the loop's. */
static const uint8_t leaf_loop_callee[] = {22, 23, 24, 25, 26, 27, 28}, calling_loop_callee[] = {23, 24, 25, 26, 27, 28};
static const uint8_t calling_caller[] = {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 1, 2, 3};
static const uint8_t calling_callee[] = {22, 23, 24, 25, 26, 27, 28};

const struct jit_target jit_arm64 = {
	.name = "arm64",
	.leaf = {leaf_caller, leaf_callee, sizeof(leaf_caller), sizeof(leaf_callee)},
	.calling = {calling_caller, calling_callee, sizeof(calling_caller), sizeof(calling_callee)},
	.leaf_loop = {leaf_caller, leaf_loop_callee, sizeof(leaf_caller), sizeof(leaf_loop_callee)},
	.calling_loop = {calling_caller, calling_loop_callee, sizeof(calling_caller), sizeof(calling_loop_callee)},
	.scratch = {S0, S1},
	.args = {X0, X1, X2, X3},
	.result = X0,
	.prologue = prologue,
	.epilogue = epilogue,
	.begin_loop = jit_arm64_begin_loop,
	.end_loop = jit_arm64_end_loop,
	.move = move,
	.set = set,
	.load_slot = load_slot,
	.store_slot = store_slot,
	.alu = alu,
	.alu_imm = alu_imm,
	.divide = divide,
	.invert = invert,
	.load = load,
	.load_indexed = load_indexed,
	.load_env = load_env,
	.load_shard = load_shard,
	.count = count,
	.length = length,
	.data = data,
	.env = env,
	.branch = branch,
	.branch_imm = branch_imm,
	.branch_short = branch_short,
	.jump = jump,
	.call = call,
	.items_at_once = items_at_once,
	.decide = jit_arm64_decide,
	.link = link_jumps,
};

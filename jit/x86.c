/* x86.c: x86-64, System V calling convention. Only instructions that every x86-64 CPU has.
 *
 *     rax, rdx   scratch (rdx also the second result)     rcx   this file's own scratch
 *     leaf code      rdi data, rsi len, r11 env
 *     calling code   r12 data, r13 len, r14 env
 */
#include <string.h>

#include "jit/x86_encode.h"

static void load_slot(struct jit_buf *b, uint8_t d, uint32_t slot)
{
	x86_rm(b, true, 0x8b, d, RSP, (int32_t)(slot * 8));
}

static void store_slot(struct jit_buf *b, uint32_t slot, uint8_t s)
{
	x86_rm(b, true, 0x89, s, RSP, (int32_t)(slot * 8));
}

/* ---- frames ---- */

static const uint8_t pushed_order[] = {RBX, RBP, R12, R13, R14, R15};

static uint32_t pushes(bool calls, uint32_t saved)
{
	return calls ? saved | 1u << R12 | 1u << R13 | 1u << R14 : saved;
}

/* Bytes below the pushed registers. With calls the stack must be 16-byte aligned there; at entry it is 8 off. */
static uint32_t frame_bytes(bool calls, uint32_t saved, uint32_t n_slots)
{
	uint32_t n = (uint32_t)__builtin_popcount(pushes(calls, saved));

	return n_slots * 8 + (calls && (n + n_slots) % 2 == 0 ? 8 : 0);
}

static void adjust_sp(struct jit_buf *b, unsigned op, uint32_t bytes)
{
	if (!bytes)
		return;
	x86_byte(b, 0x48);
	x86_byte(b, 0x81);
	x86_byte(b, op);
	x86_word32(b, bytes);
}

void x86_push_frame(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots)
{
	uint32_t regs = pushes(calls, saved);

	for (unsigned i = 0; i < sizeof(pushed_order); i++) {
		if (!(regs & 1u << pushed_order[i]))
			continue;
		x86_rex(b, false, 0, 0, pushed_order[i]);
		x86_byte(b, 0x50u | (pushed_order[i] & 7u));
	}
	adjust_sp(b, 0xec, frame_bytes(calls, saved, n_slots));
}

static void prologue(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots)
{
	x86_push_frame(b, calls, saved, n_slots);
	x86_move(b, calls ? R14 : R11, RDX);
	if (calls) {
		x86_move(b, R12, RDI);
		x86_move(b, R13, RSI);
	}
}

void x86_pop_frame(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots)
{
	uint32_t regs = pushes(calls, saved);

	adjust_sp(b, 0xc4, frame_bytes(calls, saved, n_slots));
	for (unsigned i = sizeof(pushed_order); i-- > 0;) {
		if (!(regs & 1u << pushed_order[i]))
			continue;
		x86_rex(b, false, 0, 0, pushed_order[i]);
		x86_byte(b, 0x58u | (pushed_order[i] & 7u));
	}
	x86_byte(b, 0xc3);
}

static void epilogue(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots, int error)
{
	if (error == 0) {
		x86_set(b, RDX, 0);
	} else {
		x86_byte(b, 0x48); /* mov rdx, simm32 */
		x86_byte(b, 0xc7);
		x86_byte(b, 0xc2);
		x86_word32(b, (uint32_t)error);
	}
	x86_pop_frame(b, calls, saved, n_slots);
}

/* ---- arithmetic ---- */

static const uint8_t alu_opcode[] = {[ALU_ADD] = 0x01, [ALU_SUB] = 0x29, [ALU_AND] = 0x21, [ALU_OR] = 0x09, [ALU_XOR] = 0x31};
static const uint8_t alu_group[] = {[ALU_ADD] = 0, [ALU_SUB] = 5, [ALU_AND] = 4, [ALU_OR] = 1, [ALU_XOR] = 6};

static void multiply(struct jit_buf *b, uint8_t d, uint8_t s)
{
	x86_rex(b, true, d, 0, s);
	x86_byte(b, 0x0f);
	x86_byte(b, 0xaf);
	x86_modrm_reg(b, d, s);
}

/* d op= s */
static void alu2(struct jit_buf *b, enum jit_alu op, uint8_t d, uint8_t s)
{
	if (op == ALU_MUL)
		multiply(b, d, s);
	else
		x86_rr(b, true, alu_opcode[op], s, d);
}

static void shift(struct jit_buf *b, enum jit_alu op, uint8_t d, uint8_t a, uint8_t s)
{
	x86_move(b, RCX, s);
	x86_move(b, d, a);
	x86_rr(b, true, 0xd3, op == ALU_SHL ? 4 : 5, d); /* the count is taken modulo 64 */
}

static void alu(struct jit_buf *b, enum jit_alu op, uint8_t d, uint8_t a, uint8_t s)
{
	if (op == ALU_SHL || op == ALU_SHR) {
		shift(b, op, d, a, s);
	} else if (d != s) {
		x86_move(b, d, a);
		alu2(b, op, d, s);
	} else if (op != ALU_SUB) {
		alu2(b, op, d, a);
	} else {
		x86_move(b, RCX, a);
		alu2(b, op, RCX, s);
		x86_move(b, d, RCX);
	}
}

static bool fits_simm32(uint64_t imm)
{
	return (uint64_t)(int64_t)(int32_t)imm == imm;
}

static void alu_imm(struct jit_buf *b, enum jit_alu op, uint8_t d, uint8_t a, uint64_t imm)
{
	if (op == ALU_SHL || op == ALU_SHR) {
		x86_move(b, d, a);
		x86_rr(b, true, 0xc1, op == ALU_SHL ? 4 : 5, d);
		x86_byte(b, imm & 63);
	} else if (op == ALU_MUL || !fits_simm32(imm)) {
		x86_set(b, RCX, imm);
		alu(b, op, d, a, RCX);
	} else {
		x86_move(b, d, a);
		x86_rr(b, true, 0x81, alu_group[op], d);
		x86_word32(b, (uint32_t)imm);
	}
}

static void divide(struct jit_buf *b, bool remainder, uint8_t d, uint8_t a, uint8_t s)
{
	x86_move(b, RCX, s);
	x86_move(b, RAX, a);
	x86_rr(b, false, 0x31, RDX, RDX);
	x86_rr(b, true, 0xf7, 6, RCX);
	x86_move(b, d, remainder ? RDX : RAX);
}

static void invert(struct jit_buf *b, bool negate, uint8_t d, uint8_t a)
{
	x86_move(b, d, a);
	x86_rr(b, true, 0xf7, negate ? 3 : 2, d);
}

/* ---- memory ---- */

static uint8_t data_reg(bool calls)
{
	return calls ? R12 : RDI;
}

static uint8_t len_reg(bool calls)
{
	return calls ? R13 : RSI;
}

static uint8_t env_reg(bool calls)
{
	return calls ? R14 : R11;
}

/* The opcode of a load that clears the rest of the register. */
static void load_opcode(struct jit_buf *b, unsigned bytes, uint8_t d, uint8_t index, uint8_t base)
{
	x86_rex(b, bytes == 8, d, index, base);
	if (bytes <= 2)
		x86_byte(b, 0x0f);
	x86_byte(b, bytes == 1 ? 0xb6 : bytes == 2 ? 0xb7 : 0x8b);
}

/* From little-endian to big-endian. */
static void swap_bytes(struct jit_buf *b, unsigned bytes, uint8_t d)
{
	if (bytes == 1)
		return;
	if (bytes == 2) {
		x86_byte(b, 0x66); /* rol d16, 8 */
		x86_rex(b, false, 0, 0, d);
		x86_byte(b, 0xc1);
		x86_modrm_reg(b, 0, d);
		x86_byte(b, 8);
		return;
	}
	x86_rex(b, bytes == 8, 0, 0, d);
	x86_byte(b, 0x0f);
	x86_byte(b, 0xc8u | (d & 7u));
}

static void load(struct jit_buf *b, bool calls, uint8_t d, unsigned bytes, uint32_t offset)
{
	load_opcode(b, bytes, d, 0, data_reg(calls));
	x86_modrm_mem(b, d, data_reg(calls), (int32_t)offset);
	swap_bytes(b, bytes, d);
}

static void load_indexed(struct jit_buf *b, bool calls, uint8_t d, unsigned bytes, uint8_t index)
{
	uint8_t base = data_reg(calls);

	load_opcode(b, bytes, d, index, base);
	x86_byte(b, 0x04u | (d & 7u) << 3); /* SIB without displacement: base is neither rbp nor r13 */
	x86_byte(b, (index & 7u) << 3 | (base & 7u));
	swap_bytes(b, bytes, d);
}

static void load32(struct jit_buf *b, uint8_t d, uint8_t base, uint32_t offset)
{
	x86_rm(b, false, 0x8b, d, base, (int32_t)offset);
}

static void load_env(struct jit_buf *b, bool calls, uint8_t d, uint32_t offset)
{
	x86_rm(b, true, 0x8b, d, env_reg(calls), (int32_t)offset);
}

static void load_shard(struct jit_buf *b, bool calls, uint8_t d, uint32_t offset)
{
	load_env(b, calls, d, offsetof(struct jit_env, shard));
	x86_rm(b, true, 0x8b, d, d, (int32_t)offset);
}

static void count(struct jit_buf *b, bool calls, uint32_t offset, uint32_t imm, uint32_t limit, uint32_t label)
{
	if (imm) {
		x86_rm(b, true, 0x81, 0, env_reg(calls), (int32_t)offset);
		x86_word32(b, imm);
	}
	if (label == JIT_NO_LABEL)
		return;
	x86_set(b, RCX, limit);
	x86_rm(b, true, 0x39, RCX, env_reg(calls), (int32_t)offset);
	x86_jump_if(b, 7, label); /* above */
}

static void length(struct jit_buf *b, bool calls, uint8_t d)
{
	x86_move(b, d, len_reg(calls));
}

static void data(struct jit_buf *b, bool calls, uint8_t d)
{
	x86_move(b, d, data_reg(calls));
}

static void env(struct jit_buf *b, bool calls, uint8_t d)
{
	x86_move(b, d, env_reg(calls));
}

/* ---- control ---- */

static unsigned condition_code(uint8_t cond)
{
	switch (cond) {
	case VFM_OP_JEQ:
		return 4;
	case VFM_OP_JNE:
		return 5;
	case VFM_OP_JGT:
		return 7;
	case VFM_OP_JLT:
		return 2;
	case VFM_OP_JGE:
		return 3;
	default:
		return 6;
	}
}

static void branch(struct jit_buf *b, uint8_t cond, uint8_t a, uint8_t s, uint32_t label)
{
	x86_rr(b, true, 0x39, s, a);
	x86_jump_if(b, condition_code(cond), label);
}

static void branch_imm(struct jit_buf *b, uint8_t cond, uint8_t a, uint64_t imm, uint32_t label)
{
	if (imm == 0) {
		x86_rr(b, true, 0x85, a, a);
	} else if (fits_simm32(imm)) {
		x86_rr(b, true, 0x81, 7, a);
		x86_word32(b, (uint32_t)imm);
	} else {
		x86_set(b, RCX, imm);
		x86_rr(b, true, 0x39, RCX, a);
	}
	x86_jump_if(b, condition_code(cond), label);
}

static void branch_short(struct jit_buf *b, bool calls, uint32_t bytes, uint32_t label)
{
	branch_imm(b, VFM_OP_JLT, len_reg(calls), bytes, label);
}

static void jump(struct jit_buf *b, uint32_t label)
{
	x86_byte(b, 0xe9);
	jit_fixup(b, b->n, label);
	x86_word32(b, 0);
}

static void call(struct jit_buf *b, const void *function)
{
	x86_set(b, RAX, (uint64_t)(uintptr_t)function);
	x86_byte(b, 0xff);
	x86_byte(b, 0xd0);
}

void jit_x86_link(struct jit_buf *b)
{
	for (uint32_t i = 0; i < b->n_fixups; i++) {
		uint32_t distance;

		/* What stands there is added: bytes of the instruction behind the distance. */
		memcpy(&distance, b->code + b->fixups[i].at, 4);
		distance += b->labels[b->fixups[i].label] - (b->fixups[i].at + 4);
		memcpy(b->code + b->fixups[i].at, &distance, 4);
	}
}

static const uint8_t leaf_caller[] = {R8, R9, R10}, leaf_callee[] = {RBX, RBP, R12, R13, R14, R15};
static const uint8_t loop_callee[] = {RBX, RBP, R15}; /* a leaf's; the last one not in code with calls */
static const uint8_t calling_caller[] = {R8, R9, R10, R11, RDI, RSI}, calling_callee[] = {RBX, RBP, R15};

const struct jit_target jit_x86 = {
	.name = "x86-64",
	.leaf = {leaf_caller, leaf_callee, sizeof(leaf_caller), sizeof(leaf_callee)},
	.calling = {calling_caller, calling_callee, sizeof(calling_caller), sizeof(calling_callee)},
	.leaf_loop = {leaf_caller, loop_callee, sizeof(leaf_caller), sizeof(loop_callee)},
	.calling_loop = {calling_caller, loop_callee, sizeof(calling_caller), sizeof(loop_callee) - 1},
	.scratch = {RAX, RDX},
	.args = {RDI, RSI, RDX, RCX},
	.result = RAX,
	.prologue = prologue,
	.epilogue = epilogue,
	.begin_loop = jit_x86_begin_loop,
	.end_loop = jit_x86_end_loop,
	.move = x86_move,
	.set = x86_set,
	.load_slot = load_slot,
	.store_slot = store_slot,
	.alu = alu,
	.alu_imm = alu_imm,
	.divide = divide,
	.invert = invert,
	.load = load,
	.load_indexed = load_indexed,
	.load_env = load_env,
	.load32 = load32,
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
	.items_at_once = jit_x86_items_at_once,
	.decide = jit_x86_decide,
	.link = jit_x86_link,
};

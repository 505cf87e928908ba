/* x86_encode.h: the plain x86-64 instructions that more than one file writes. Registers have the manual's numbers. */
#ifndef JIT_X86_ENCODE_H
#define JIT_X86_ENCODE_H

#include "jit/parts.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

static inline void x86_byte(struct jit_buf *b, unsigned v)
{
	uint8_t c = (uint8_t)v;

	jit_bytes(b, &c, 1);
}

static inline void x86_word32(struct jit_buf *b, uint32_t v)
{
	jit_bytes(b, &v, 4);
}

static inline void x86_word64(struct jit_buf *b, uint64_t v)
{
	jit_bytes(b, &v, 8);
}

/* REX prefix if one is needed; wide: 64-bit operands. */
static inline void x86_rex(struct jit_buf *b, bool wide, uint8_t reg, uint8_t index, uint8_t base)
{
	unsigned v = 0x40u | (unsigned)wide << 3 | (reg >> 3 & 1u) << 2 | (index >> 3 & 1u) << 1 | (base >> 3 & 1u);

	if (v != 0x40)
		x86_byte(b, v);
}

static inline void x86_modrm_reg(struct jit_buf *b, uint8_t reg, uint8_t rm)
{
	x86_byte(b, 0xc0u | (reg & 7u) << 3 | (rm & 7u));
}

/* [base + disp] */
static inline void x86_modrm_mem(struct jit_buf *b, uint8_t reg, uint8_t base, int32_t disp)
{
	bool small = disp >= -128 && disp <= 127;

	x86_byte(b, (small ? 0x40u : 0x80u) | (reg & 7u) << 3 | (base & 7u));
	if ((base & 7) == RSP)
		x86_byte(b, 0x24);
	if (small)
		x86_byte(b, (uint8_t)disp);
	else
		x86_word32(b, (uint32_t)disp);
}

/* op r/m, reg with register operands. */
static inline void x86_rr(struct jit_buf *b, bool wide, unsigned op, uint8_t reg, uint8_t rm)
{
	x86_rex(b, wide, reg, 0, rm);
	x86_byte(b, op);
	x86_modrm_reg(b, reg, rm);
}

static inline void x86_rm(struct jit_buf *b, bool wide, unsigned op, uint8_t reg, uint8_t base, int32_t disp)
{
	x86_rex(b, wide, reg, 0, base);
	x86_byte(b, op);
	x86_modrm_mem(b, reg, base, disp);
}

static inline void x86_move(struct jit_buf *b, uint8_t d, uint8_t s)
{
	if (d != s)
		x86_rr(b, true, 0x89, s, d);
}

static inline void x86_set(struct jit_buf *b, uint8_t d, uint64_t imm)
{
	if (imm == 0) {
		x86_rr(b, false, 0x31, d, d); /* xor; no caller needs the flags */
	} else if (imm <= UINT32_MAX) {
		x86_rex(b, false, 0, 0, d);
		x86_byte(b, 0xb8u | (d & 7u));
		x86_word32(b, (uint32_t)imm);
	} else {
		x86_rex(b, true, 0, 0, d);
		x86_byte(b, 0xb8u | (d & 7u));
		x86_word64(b, imm);
	}
}

/* condition: the low four bits of Jcc. */
static inline void x86_jump_if(struct jit_buf *b, unsigned condition, uint32_t label)
{
	x86_byte(b, 0x0f);
	x86_byte(b, 0x80u | condition);
	jit_fixup(b, b->n, label);
	x86_word32(b, 0);
}

/* Registers to be kept (and those of code with calls) to the stack, slots below them; and back, with the return. */
void x86_push_frame(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots);
void x86_pop_frame(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots);

#endif

/* vex.h: the AVX2 instructions that the compiler needs, on 256-bit registers unless said otherwise. */
#ifndef JIT_VEX_H
#define JIT_VEX_H

#include "jit/evex.h"

/* Columns: name, opcode map (1: 0F, 2: 0F38), opcode. Second operands are evex.h's but EVEX_BROADCAST, which there is not. */
#define VEX_OPS(X) \
	X(PADDD, 1, 0xfe) \
	X(PSUBD, 1, 0xfa) \
	X(PMULLD, 2, 0x40) \
	X(PAND, 1, 0xdb) \
	X(POR, 1, 0xeb) \
	X(PXOR, 1, 0xef) \
	X(PSLLVD, 2, 0x47) \
	X(PSRLVD, 2, 0x45) \
	X(PSHUFB, 2, 0x00) \
	X(PADDQ, 1, 0xd4) \
	X(PUNPCKLDQ, 1, 0x62) \
	X(PUNPCKHDQ, 1, 0x6a) \
	X(PUNPCKLQDQ, 1, 0x6c) \
	X(PUNPCKHQDQ, 1, 0x6d) \
	X(PCMPEQD, 1, 0x76) \
	X(PCMPEQQ, 2, 0x29) \
	X(PMINUD, 2, 0x3b) \
	X(PMAXUD, 2, 0x3f)

#define VEX_OP_ENUM(name, map, opcode) VEX_##name,
enum vex_op { VEX_OPS(VEX_OP_ENUM) VEX_N_OPS };
#undef VEX_OP_ENUM

/* d = a op s */
void vex_op(struct jit_buf *b, enum vex_op op, uint8_t d, uint8_t a, struct evex_src s);
/* d = a << n or a >> n, per 32 bits. */
void vex_shift(struct jit_buf *b, bool left, uint8_t d, uint8_t a, uint8_t n);
void vex_move(struct jit_buf *b, uint8_t d, struct evex_src s);
/* d = [gpr + offset]; [gpr + offset] = s. Addresses are multiples of 32. */
void vex_load(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset);
void vex_store(struct jit_buf *b, uint8_t gpr, int32_t offset, uint8_t s);
/* The low 128 bits of d = those at [gpr + offset], which need not be aligned; the others become 0. */
void vex_load_low(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset);
/* The upper 128 bits of d = those at [gpr + offset]. */
void vex_load_high(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset);
/* d = s in bytes where the highest bit of mask's is set, else a. */
void vex_blend(struct jit_buf *b, uint8_t d, uint8_t a, struct evex_src s, uint8_t mask);
/* d = 8 times the low 32 bits of gpr; 4 times its 64 bits, the 64 bits at [gpr + offset]. */
void vex_repeat32(struct jit_buf *b, uint8_t d, uint8_t gpr);
void vex_repeat64(struct jit_buf *b, uint8_t d, uint8_t gpr);
void vex_repeat64_from(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset);
/* Bit i of gpr = highest bit of number i of s. */
void vex_signs32(struct jit_buf *b, uint8_t gpr, uint8_t s);
void vex_signs64(struct jit_buf *b, uint8_t gpr, uint8_t s);
/* Low 128 bits of d = 32 bits at address index.q[i] + offset for each i of 4 whose mask is negative; mask ends as 0. All three
 * registers differ. */
void vex_gather(struct jit_buf *b, uint8_t d, uint8_t index, int32_t offset, uint8_t mask);
/* d = a with its upper 128 bits replaced by s. */
void vex_insert_high(struct jit_buf *b, uint8_t d, uint8_t a, uint8_t s);
/* Low 128 bits of d = upper 128 bits of s. */
void vex_extract_high(struct jit_buf *b, uint8_t d, uint8_t s);
/* Each of 4 low 32-bit numbers of s to 64 bits. */
void vex_widen(struct jit_buf *b, uint8_t d, uint8_t s);
/* General registers of 32 bits: d = ~not_ & s (BMI1). */
void vex_and_not(struct jit_buf *b, uint8_t d, uint8_t not_, uint8_t s);
/* Upper halves of all registers to 0: before code that uses the lower ones alone. */
void vex_zero_upper(struct jit_buf *b);

#endif

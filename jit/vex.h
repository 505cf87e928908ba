/* vex.h: the AVX2 instructions that the compiler needs, on 256-bit registers unless said otherwise. */
#ifndef JIT_VEX_H
#define JIT_VEX_H

#include "jit/evex.h"

/* Where a second operand comes from is as in evex.h, but EVEX_BROADCAST: that wants an instruction of its own. */
enum vex_op {
	VEX_PANDQ,
	VEX_PORQ,
	VEX_PXORQ,
	VEX_PCMPEQQ,
	VEX_OPS,
};

/* d = a op s */
void vex_op(struct jit_buf *b, enum vex_op op, uint8_t d, uint8_t a, struct evex_src s);
/* d = 4 times the 64 bits at [gpr + offset]; the 64 bits of gpr. */
void vex_repeat64_from(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset);
void vex_repeat64(struct jit_buf *b, uint8_t d, uint8_t gpr);
/* Bit i of gpr = highest bit of 64-bit number i of s. */
void vex_signs64(struct jit_buf *b, uint8_t gpr, uint8_t s);
/* Upper halves of all registers to 0: before code that uses the lower ones alone. */
void vex_zero_upper(struct jit_buf *b);

#endif

/* evex.h: the AVX-512 instructions that vec.c needs, on 512-bit registers unless said otherwise. Memory operands have 32-bit
 * displacements, which EVEX never scales. */
#ifndef JIT_EVEX_H
#define JIT_EVEX_H

#include "jit/parts.h"

/* Where a second operand comes from. */
struct evex_src {
	enum { EVEX_REG, EVEX_STACK, EVEX_CONST, EVEX_BROADCAST } kind;
	uint32_t at; /* register; byte offset from rsp; label of the constant (64 bytes; 4 bytes repeated) */
};

enum evex_op {
	EVEX_PADDD,
	EVEX_PSUBD,
	EVEX_PMULLD,
	EVEX_PANDD,
	EVEX_PORD,
	EVEX_PXORD,
	EVEX_PSLLVD,
	EVEX_PSRLVD,
	EVEX_PSHUFB,
	EVEX_PADDQ,
	EVEX_PUNPCKLDQ,
	EVEX_PUNPCKHDQ,
	EVEX_PUNPCKLQDQ,
	EVEX_PUNPCKHQDQ,
};

/* d = a op s */
void evex_op(struct jit_buf *b, enum evex_op op, uint8_t d, uint8_t a, struct evex_src s);
/* d = a << n or a >> n, per 32 bits. */
void evex_shift(struct jit_buf *b, bool left, uint8_t d, uint8_t a, uint8_t n);
/* d = s in lanes of mask k (0: all). */
void evex_move(struct jit_buf *b, uint8_t d, struct evex_src s, uint8_t k);
void evex_store(struct jit_buf *b, uint32_t stack, uint8_t s);
/* [gpr + offset] = s */
void evex_store_to(struct jit_buf *b, uint8_t gpr, int32_t offset, uint8_t s);
void evex_load_from(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset);
/* k = a cond s, unsigned, cond is VFM_OP_JEQ and so on. */
void evex_compare(struct jit_buf *b, uint8_t k, uint8_t cond, uint8_t a, struct evex_src s);
/* Low 256 bits of d = 32 bits at address index.q[i] + offset for each i of 8 in k, which ends as 0. */
void evex_gather(struct jit_buf *b, uint8_t d, uint8_t index, int32_t offset, uint8_t k);
/* d = a with its upper 256 bits replaced by s. */
void evex_insert_high(struct jit_buf *b, uint8_t d, uint8_t a, uint8_t s);
/* d with 128 bits from [gpr + offset] as its chunk 1, 2 or 3. */
void evex_insert_chunk(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset, uint8_t chunk);
/* Low 256 bits of d = upper 256 bits of s. */
void evex_extract_high(struct jit_buf *b, uint8_t d, uint8_t s);
/* Each of 8 low 32-bit numbers of s to 64 bits. */
void evex_widen(struct jit_buf *b, uint8_t d, uint8_t s);
/* d = table[d, a, s], bit by bit: bit 4 * d + 2 * a + s of table. */
void evex_ternary(struct jit_buf *b, uint8_t d, uint8_t a, struct evex_src s, uint8_t table);
/* k = (a & s) == 0, per 64 bits. */
void evex_test_not64(struct jit_buf *b, uint8_t k, uint8_t a, struct evex_src s);
/* d = 8 times the 64 bits at [gpr + offset]; the 64 bits of gpr. */
void evex_repeat64_from(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset);
void evex_repeat64(struct jit_buf *b, uint8_t d, uint8_t gpr);
void evex_mask_from(struct jit_buf *b, uint8_t k, uint8_t gpr);
void evex_mask_to(struct jit_buf *b, uint8_t gpr, uint8_t k);
/* d = s >> n */
void evex_mask_shift(struct jit_buf *b, uint8_t d, uint8_t s, uint8_t n);

#endif

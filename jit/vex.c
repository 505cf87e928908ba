/* vex.c: encodings from Intel's manual, volume 2, "VEX". */
#include "jit/vex.h"

#include "jit/x86_encode.h"

enum { MAP_0F = 1, MAP_0F38 = 2, MAP_0F3A = 3 };

struct form {
	uint8_t map, opcode;
	bool wide;
	bool short_; /* 128 bits */
};

static const struct form forms[VEX_OPS] = {
	[VEX_PANDQ] = {.map = MAP_0F, .opcode = 0xdb},
	[VEX_PORQ] = {.map = MAP_0F, .opcode = 0xeb},
	[VEX_PXORQ] = {.map = MAP_0F, .opcode = 0xef},
	[VEX_PCMPEQQ] = {.map = MAP_0F38, .opcode = 0x29},
};

/* All with the prefix 66. */
static void prefix(struct jit_buf *b, const struct form *f, uint8_t reg, uint8_t vvvv, uint8_t index, uint8_t rm)
{
	x86_byte(b, 0xc4);
	x86_byte(b, (unsigned)!(reg & 8) << 7 | (unsigned)!(index & 8) << 6 | (unsigned)!(rm & 8) << 5 | f->map);
	x86_byte(b, (unsigned)f->wide << 7 | (~vvvv & 15u) << 3 | (unsigned)!f->short_ << 2 | 1u);
	x86_byte(b, f->opcode);
}

/* trailing: bytes of the instruction behind a displacement. */
static void instruction(struct jit_buf *b, const struct form *f, uint8_t reg, uint8_t vvvv, struct evex_src s, uint32_t trailing)
{
	prefix(b, f, reg, vvvv, 0, s.kind == EVEX_REG ? (uint8_t)s.at : 0);
	if (s.kind == EVEX_REG) {
		x86_modrm_reg(b, reg, (uint8_t)s.at);
	} else if (s.kind == EVEX_STACK) {
		x86_modrm_mem(b, reg, RSP, (int32_t)s.at);
	} else {
		x86_byte(b, (reg & 7u) << 3 | 5u);
		jit_fixup(b, b->n, s.at);
		x86_word32(b, -trailing);
	}
}

static struct evex_src in_reg(uint8_t r)
{
	return (struct evex_src){EVEX_REG, r};
}

void vex_op(struct jit_buf *b, enum vex_op op, uint8_t d, uint8_t a, struct evex_src s)
{
	instruction(b, &forms[op], d, a, s, 0);
}

void vex_repeat64_from(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset)
{
	static const struct form f = {.map = MAP_0F38, .opcode = 0x59};

	prefix(b, &f, d, 0, 0, gpr);
	x86_modrm_mem(b, d, gpr, offset);
}

void vex_repeat64(struct jit_buf *b, uint8_t d, uint8_t gpr)
{
	static const struct form take = {.map = MAP_0F, .opcode = 0x6e, .wide = true, .short_ = true},
				 f = {.map = MAP_0F38, .opcode = 0x59};

	instruction(b, &take, d, 0, in_reg(gpr), 0);
	instruction(b, &f, d, 0, in_reg(d), 0);
}

void vex_signs64(struct jit_buf *b, uint8_t gpr, uint8_t s)
{
	static const struct form f = {.map = MAP_0F, .opcode = 0x50};

	instruction(b, &f, gpr, 0, in_reg(s), 0);
}

void vex_zero_upper(struct jit_buf *b)
{
	x86_byte(b, 0xc5);
	x86_byte(b, 0xf8);
	x86_byte(b, 0x77);
}

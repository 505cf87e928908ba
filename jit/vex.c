/* vex.c: encodings from Intel's manual, volume 2, "VEX". */
#include "jit/vex.h"

#include "jit/x86_encode.h"

enum { MAP_0F = 1, MAP_0F38 = 2, MAP_0F3A = 3 };

struct form {
	uint8_t map, opcode;
	bool wide;
	bool half;  /* 128 bits */
	bool plain; /* no prefix, else 66 */
	bool f3;    /* but this one */
};

#define VEX_FORM(name, m, o) {.map = (m), .opcode = (o)},
static const struct form forms[VEX_N_OPS] = {VEX_OPS(VEX_FORM)};
#undef VEX_FORM

static void prefix(struct jit_buf *b, const struct form *f, uint8_t reg, uint8_t vvvv, uint8_t index, uint8_t rm)
{
	x86_byte(b, 0xc4);
	x86_byte(b, (unsigned)!(reg & 8) << 7 | (unsigned)!(index & 8) << 6 | (unsigned)!(rm & 8) << 5 | f->map);
	x86_byte(b, (unsigned)f->wide << 7 | (~vvvv & 15u) << 3 | (unsigned)!f->half << 2 | (f->f3 ? 2u : (unsigned)!f->plain));
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

static void at_gpr(struct jit_buf *b, const struct form *f, uint8_t reg, uint8_t gpr, int32_t offset)
{
	prefix(b, f, reg, 0, 0, gpr);
	x86_modrm_mem(b, reg, gpr, offset);
}

static struct evex_src in_reg(uint8_t r)
{
	return (struct evex_src){EVEX_REG, r};
}

void vex_op(struct jit_buf *b, enum vex_op op, uint8_t d, uint8_t a, struct evex_src s)
{
	instruction(b, &forms[op], d, a, s, 0);
}

void vex_shift(struct jit_buf *b, bool left, uint8_t d, uint8_t a, uint8_t n)
{
	static const struct form f = {.map = MAP_0F, .opcode = 0x72};

	instruction(b, &f, left ? 6 : 2, d, in_reg(a), 1);
	x86_byte(b, n);
}

static const struct form load_form = {.map = MAP_0F, .opcode = 0x6f}, store_form = {.map = MAP_0F, .opcode = 0x7f};

void vex_move(struct jit_buf *b, uint8_t d, struct evex_src s)
{
	instruction(b, &load_form, d, 0, s, 0);
}

void vex_load(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset)
{
	at_gpr(b, &load_form, d, gpr, offset);
}

void vex_store(struct jit_buf *b, uint8_t gpr, int32_t offset, uint8_t s)
{
	at_gpr(b, &store_form, s, gpr, offset);
}

void vex_load_low(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset)
{
	static const struct form f = {.map = MAP_0F, .opcode = 0x6f, .half = true, .f3 = true};

	at_gpr(b, &f, d, gpr, offset);
}

void vex_load_high(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset)
{
	static const struct form f = {.map = MAP_0F3A, .opcode = 0x38};

	prefix(b, &f, d, d, 0, gpr);
	x86_modrm_mem(b, d, gpr, offset);
	x86_byte(b, 1);
}

void vex_blend(struct jit_buf *b, uint8_t d, uint8_t a, struct evex_src s, uint8_t mask)
{
	static const struct form f = {.map = MAP_0F3A, .opcode = 0x4c};

	instruction(b, &f, d, a, s, 1);
	x86_byte(b, (unsigned)mask << 4);
}

/* From a general register to the lowest of a vector's numbers, and from there to all. */
static void repeat(struct jit_buf *b, uint8_t d, uint8_t gpr, bool wide, uint8_t opcode)
{
	const struct form take = {.map = MAP_0F, .opcode = 0x6e, .wide = wide, .half = true};
	const struct form f = {.map = MAP_0F38, .opcode = opcode};

	instruction(b, &take, d, 0, in_reg(gpr), 0);
	instruction(b, &f, d, 0, in_reg(d), 0);
}

void vex_repeat32(struct jit_buf *b, uint8_t d, uint8_t gpr)
{
	repeat(b, d, gpr, false, 0x58);
}

void vex_repeat64(struct jit_buf *b, uint8_t d, uint8_t gpr)
{
	repeat(b, d, gpr, true, 0x59);
}

void vex_repeat64_from(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset)
{
	static const struct form f = {.map = MAP_0F38, .opcode = 0x59};

	at_gpr(b, &f, d, gpr, offset);
}

void vex_signs64(struct jit_buf *b, uint8_t gpr, uint8_t s)
{
	static const struct form f = {.map = MAP_0F, .opcode = 0x50};

	instruction(b, &f, gpr, 0, in_reg(s), 0);
}

void vex_signs32(struct jit_buf *b, uint8_t gpr, uint8_t s)
{
	static const struct form f = {.map = MAP_0F, .opcode = 0x50, .plain = true};

	instruction(b, &f, gpr, 0, in_reg(s), 0);
}

void vex_gather(struct jit_buf *b, uint8_t d, uint8_t index, int32_t offset, uint8_t mask)
{
	static const struct form f = {.map = MAP_0F38, .opcode = 0x91};

	/* vpgatherqd xmm, [ymm index + disp32], xmm mask: no base, which is mod 0 with SIB base 5. */
	prefix(b, &f, d, mask, index, 0);
	x86_byte(b, (d & 7u) << 3 | RSP);
	x86_byte(b, (index & 7u) << 3 | 5u);
	x86_word32(b, (uint32_t)offset);
}

void vex_insert_high(struct jit_buf *b, uint8_t d, uint8_t a, uint8_t s)
{
	static const struct form f = {.map = MAP_0F3A, .opcode = 0x38};

	instruction(b, &f, d, a, in_reg(s), 1);
	x86_byte(b, 1);
}

void vex_extract_high(struct jit_buf *b, uint8_t d, uint8_t s)
{
	static const struct form f = {.map = MAP_0F3A, .opcode = 0x39};

	instruction(b, &f, s, 0, in_reg(d), 1);
	x86_byte(b, 1);
}

void vex_widen(struct jit_buf *b, uint8_t d, uint8_t s)
{
	static const struct form f = {.map = MAP_0F38, .opcode = 0x35};

	instruction(b, &f, d, 0, in_reg(s), 0);
}

void vex_and_not(struct jit_buf *b, uint8_t d, uint8_t not_, uint8_t s)
{
	static const struct form f = {.map = MAP_0F38, .opcode = 0xf2, .half = true, .plain = true};

	instruction(b, &f, d, not_, in_reg(s), 0);
}

void vex_zero_upper(struct jit_buf *b)
{
	x86_byte(b, 0xc5);
	x86_byte(b, 0xf8);
	x86_byte(b, 0x77);
}

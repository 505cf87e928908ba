/* evex.c: encodings from Intel's manual, volume 2, "EVEX". */
#include "jit/evex.h"
#include "jit/x86_encode.h"

enum { MAP_0F = 1, MAP_0F38 = 2, MAP_0F3A = 3 };

struct form {
	uint8_t map, opcode;
	bool wide;
	bool f3; /* the prefix F3, else 66 */
};

static const struct form forms[] = {
	[EVEX_PADDD] = {.map = MAP_0F, .opcode = 0xfe},
	[EVEX_PSUBD] = {.map = MAP_0F, .opcode = 0xfa},
	[EVEX_PMULLD] = {.map = MAP_0F38, .opcode = 0x40},
	[EVEX_PANDD] = {.map = MAP_0F, .opcode = 0xdb},
	[EVEX_PORD] = {.map = MAP_0F, .opcode = 0xeb},
	[EVEX_PXORD] = {.map = MAP_0F, .opcode = 0xef},
	[EVEX_PSLLVD] = {.map = MAP_0F38, .opcode = 0x47},
	[EVEX_PSRLVD] = {.map = MAP_0F38, .opcode = 0x45},
	[EVEX_PSHUFB] = {.map = MAP_0F38, .opcode = 0x00},
	[EVEX_PADDQ] = {.map = MAP_0F, .opcode = 0xd4, .wide = true},
	[EVEX_PUNPCKLDQ] = {.map = MAP_0F, .opcode = 0x62},
	[EVEX_PUNPCKHDQ] = {.map = MAP_0F, .opcode = 0x6a},
	[EVEX_PUNPCKLQDQ] = {.map = MAP_0F, .opcode = 0x6c, .wide = true},
	[EVEX_PUNPCKHQDQ] = {.map = MAP_0F, .opcode = 0x6d, .wide = true},
};

/* reg: modrm.reg; vvvv: first source; x, rm: bits 4 and 3 of modrm.rm (or of index and base). */
static void prefix(struct jit_buf *b, const struct form *f, uint8_t reg, uint8_t vvvv, bool x, bool rm, bool broadcast, uint8_t k)
{
	x86_byte(b, 0x62);
	x86_byte(b, (unsigned)!(reg & 8) << 7 | (unsigned)!x << 6 | (unsigned)!rm << 5 | (unsigned)!(reg & 16) << 4 | f->map);
	x86_byte(b, (unsigned)f->wide << 7 | (~vvvv & 15u) << 3 | 4u | (f->f3 ? 2u : 1u));
	x86_byte(b, 2u << 5 | (unsigned)broadcast << 4 | (unsigned)!(vvvv & 16) << 3 | k);
	x86_byte(b, f->opcode);
}

static void modrm_stack(struct jit_buf *b, uint8_t reg, uint32_t offset)
{
	x86_byte(b, 0x80u | (reg & 7u) << 3 | 4u);
	x86_byte(b, 0x24);
	x86_word32(b, offset);
}

/* trailing: bytes of the instruction behind the displacement, which counts from their end. */
static void modrm_label(struct jit_buf *b, uint8_t reg, uint32_t label, uint32_t trailing)
{
	x86_byte(b, (reg & 7u) << 3 | 5u);
	jit_fixup(b, b->n, label);
	x86_word32(b, -trailing);
}

static void instruction(struct jit_buf *b, const struct form *f, uint8_t reg, uint8_t vvvv, struct evex_src s, uint8_t k,
			uint32_t trailing)
{
	bool is_reg = s.kind == EVEX_REG;

	prefix(b, f, reg, vvvv, is_reg && (s.at & 16), is_reg && (s.at & 8), s.kind == EVEX_BROADCAST, k);
	if (is_reg)
		x86_byte(b, 0xc0u | (reg & 7u) << 3 | (s.at & 7u));
	else if (s.kind == EVEX_STACK)
		modrm_stack(b, reg, s.at);
	else
		modrm_label(b, reg, s.at, trailing);
}

static struct evex_src in_reg(uint8_t r)
{
	return (struct evex_src){EVEX_REG, r};
}

void evex_op(struct jit_buf *b, enum evex_op op, uint8_t d, uint8_t a, struct evex_src s)
{
	instruction(b, &forms[op], d, a, s, 0, 0);
}

void evex_shift(struct jit_buf *b, bool left, uint8_t d, uint8_t a, uint8_t n)
{
	static const struct form f = {.map = MAP_0F, .opcode = 0x72};

	instruction(b, &f, left ? 6 : 2, d, in_reg(a), 0, 1);
	x86_byte(b, n);
}

void evex_move(struct jit_buf *b, uint8_t d, struct evex_src s, uint8_t k)
{
	static const struct form whole = {.map = MAP_0F, .opcode = 0x6f}, repeated = {.map = MAP_0F38, .opcode = 0x58};

	if (s.kind == EVEX_BROADCAST) {
		/* vpbroadcastd: its operand is 4 bytes anyway, the broadcast bit must be clear. */
		s.kind = EVEX_CONST;
		instruction(b, &repeated, d, 0, s, k, 0);
	} else {
		instruction(b, &whole, d, 0, s, k, 0);
	}
}

void evex_store(struct jit_buf *b, uint32_t stack, uint8_t s)
{
	static const struct form f = {.map = MAP_0F, .opcode = 0x7f};

	instruction(b, &f, s, 0, (struct evex_src){EVEX_STACK, stack}, 0, 0);
}

static void with_memory(struct jit_buf *b, const struct form *f, uint8_t reg, uint8_t vvvv, uint8_t gpr, int32_t offset)
{
	prefix(b, f, reg, vvvv, false, gpr & 8, false, 0);
	x86_byte(b, 0x80u | (reg & 7u) << 3 | (gpr & 7u));
	if ((gpr & 7) == RSP)
		x86_byte(b, 0x24);
	x86_word32(b, (uint32_t)offset);
}

static void at_gpr(struct jit_buf *b, const struct form *f, uint8_t reg, uint8_t gpr, int32_t offset)
{
	with_memory(b, f, reg, 0, gpr, offset);
}

void evex_insert_chunk(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset, uint8_t chunk)
{
	static const struct form f = {.map = MAP_0F3A, .opcode = 0x38};

	with_memory(b, &f, d, d, gpr, offset);
	x86_byte(b, chunk);
}

void evex_store_to(struct jit_buf *b, uint8_t gpr, int32_t offset, uint8_t s)
{
	static const struct form f = {.map = MAP_0F, .opcode = 0x7f, .wide = true};

	/* vmovdqu would want another prefix; the callers' arrays are aligned. */
	at_gpr(b, &f, s, gpr, offset);
}

void evex_load_from(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset)
{
	static const struct form f = {.map = MAP_0F, .opcode = 0x6f, .wide = true};

	at_gpr(b, &f, d, gpr, offset);
}

void evex_compare(struct jit_buf *b, uint8_t k, uint8_t cond, uint8_t a, struct evex_src s)
{
	static const struct form f = {.map = MAP_0F3A, .opcode = 0x1e};
	uint8_t predicate;

	switch (cond) {
	case VFM_OP_JEQ:
		predicate = 0;
		break;
	case VFM_OP_JLT:
		predicate = 1;
		break;
	case VFM_OP_JLE:
		predicate = 2;
		break;
	case VFM_OP_JNE:
		predicate = 4;
		break;
	case VFM_OP_JGE:
		predicate = 5;
		break;
	default:
		predicate = 6;
		break;
	}
	instruction(b, &f, k, a, s, 0, 1);
	x86_byte(b, predicate);
}

void evex_gather(struct jit_buf *b, uint8_t d, uint8_t index, int32_t offset, uint8_t k)
{
	/* vpgatherqd ymm{k}, [zmm index + disp32]: no base, which is mod 0 with SIB base 5. V' is the index's bit 4. */
	x86_byte(b, 0x62);
	x86_byte(b, (unsigned)!(d & 8) << 7 | (unsigned)!(index & 8) << 6 | 1u << 5 | (unsigned)!(d & 16) << 4 | MAP_0F38);
	x86_byte(b, 15u << 3 | 4u | 1u);
	x86_byte(b, 2u << 5 | (unsigned)!(index & 16) << 3 | k);
	x86_byte(b, 0x91);
	x86_byte(b, (d & 7u) << 3 | RSP);
	x86_byte(b, (index & 7u) << 3 | 5u);
	x86_word32(b, (uint32_t)offset);
}

void evex_insert_high(struct jit_buf *b, uint8_t d, uint8_t a, uint8_t s)
{
	static const struct form f = {.map = MAP_0F3A, .opcode = 0x3a, .wide = true};

	instruction(b, &f, d, a, in_reg(s), 0, 1);
	x86_byte(b, 1);
}

void evex_extract_high(struct jit_buf *b, uint8_t d, uint8_t s)
{
	static const struct form f = {.map = MAP_0F3A, .opcode = 0x3b, .wide = true};

	instruction(b, &f, s, 0, in_reg(d), 0, 1);
	x86_byte(b, 1);
}

void evex_widen(struct jit_buf *b, uint8_t d, uint8_t s)
{
	static const struct form f = {.map = MAP_0F38, .opcode = 0x35};

	instruction(b, &f, d, 0, in_reg(s), 0, 0);
}

/* kmovw, a VEX instruction. */
static void mask_move(struct jit_buf *b, unsigned opcode, uint8_t reg, uint8_t rm)
{
	x86_byte(b, 0xc4);
	x86_byte(b, (unsigned)!(reg & 8) << 7 | 1u << 6 | (unsigned)!(rm & 8) << 5 | MAP_0F);
	x86_byte(b, 15u << 3);
	x86_byte(b, opcode);
	x86_byte(b, 0xc0u | (reg & 7u) << 3 | (rm & 7u));
}

void evex_mask_from(struct jit_buf *b, uint8_t k, uint8_t gpr)
{
	mask_move(b, 0x92, k, gpr);
}

void evex_mask_to(struct jit_buf *b, uint8_t gpr, uint8_t k)
{
	mask_move(b, 0x93, gpr, k);
}

void evex_ternary(struct jit_buf *b, uint8_t d, uint8_t a, struct evex_src s, uint8_t table)
{
	static const struct form f = {.map = MAP_0F3A, .opcode = 0x25};

	instruction(b, &f, d, a, s, 0, 1);
	x86_byte(b, table);
}

void evex_test_not64(struct jit_buf *b, uint8_t k, uint8_t a, struct evex_src s)
{
	static const struct form f = {.map = MAP_0F38, .opcode = 0x27, .wide = true, .f3 = true};

	instruction(b, &f, k, a, s, 0, 0);
}

void evex_repeat64_from(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset)
{
	static const struct form f = {.map = MAP_0F38, .opcode = 0x59, .wide = true};

	at_gpr(b, &f, d, gpr, offset);
}

void evex_repeat64(struct jit_buf *b, uint8_t d, uint8_t gpr)
{
	static const struct form f = {.map = MAP_0F38, .opcode = 0x7c, .wide = true};

	instruction(b, &f, d, 0, in_reg(gpr), 0, 0);
}

void evex_mask_shift(struct jit_buf *b, uint8_t d, uint8_t s, uint8_t n)
{
	x86_byte(b, 0xc4);
	x86_byte(b, 7u << 5 | MAP_0F3A);
	x86_byte(b, 1u << 7 | 15u << 3 | 1u);
	x86_byte(b, 0x30);
	x86_modrm_reg(b, d, s);
	x86_byte(b, n);
}

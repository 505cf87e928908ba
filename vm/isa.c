/* isa.c: the opcode table in memory, generated from the rows of isa.h, and the one decoder. */
#include <errno.h>
#include <string.h>

#include "vm/isa.h"

enum {
	BYTES_NONE = 0,
	BYTES_U8 = 1,
	BYTES_TABLE = 1,
	BYTES_U16 = 2,
	BYTES_REL16 = 2,
	BYTES_IMM64 = 8,
	BYTES_DECLARE = 9,
};

#define ROW(name, number, mnemonic, operand, pops, pushes, flags, doc) \
	[number] = {#name, mnemonic, doc, VFM_OPERAND_##operand, BYTES_##operand, pops, pushes, flags},

const struct vfm_op_info vfm_ops[256] = {VFM_ISA(ROW)};

static uint64_t read_le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = bytes; i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

int vfm_decode(const uint8_t *code, uint32_t len, uint32_t pc, struct vfm_insn *insn)
{
	const struct vfm_op_info *info = &vfm_ops[code[pc]];
	const uint8_t *operand = code + pc + 1;

	memset(insn, 0, sizeof(*insn));
	insn->pc = pc;
	insn->op = code[pc];
	if (!info->mnemonic)
		return -EINVAL;
	if (len - pc - 1 < info->operand_bytes)
		return -ENODATA;
	insn->next = pc + 1 + info->operand_bytes;
	switch ((enum vfm_operand)info->operand) {
	case VFM_OPERAND_NONE:
		break;
	case VFM_OPERAND_TABLE:
		insn->table = operand[0];
		break;
	case VFM_OPERAND_REL16:
		/* Wraps below 0 to a huge address: never inside the program. */
		insn->target = insn->next + (uint32_t)(int32_t)(int16_t)read_le(operand, 2);
		break;
	case VFM_OPERAND_U8:
	case VFM_OPERAND_U16:
	case VFM_OPERAND_IMM64:
		insn->imm = read_le(operand, info->operand_bytes);
		break;
	case VFM_OPERAND_DECLARE:
		insn->table = operand[0];
		insn->imm = read_le(operand + 1, 4);
		insn->idle_s = (uint32_t)read_le(operand + 5, 4);
		break;
	}
	return 0;
}

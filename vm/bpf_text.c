/* bpf_text.c: classic BPF as libpcap's bpf_image() and so tcpdump -d print it, for the instructions that the export writes. */
#include <linux/filter.h>
#include <stdio.h>

#include "vm/bpf_parts.h"

static const char *alu_name(uint16_t code)
{
	static const char *const names[16] = {"add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "neg", "mod", "xor"};
	const char *name = names[BPF_OP(code) >> 4];

	return name ? name : "alu";
}

static const char *jump_name(uint16_t code)
{
	static const char *const names[16] = {"ja", "jeq", "jgt", "jge", "jset"};
	const char *name = names[BPF_OP(code) >> 4];

	return name ? name : "jmp";
}

static const char *load_name(uint16_t code)
{
	return BPF_SIZE(code) == BPF_H ? "ldh" : BPF_SIZE(code) == BPF_B ? "ldb" : "ld";
}

static const char *name_of(uint16_t code)
{
	switch (BPF_CLASS(code)) {
	case BPF_LD:
		return load_name(code);
	case BPF_LDX:
		return "ldx";
	case BPF_ST:
		return "st";
	case BPF_STX:
		return "stx";
	case BPF_ALU:
		return alu_name(code);
	case BPF_JMP:
		return jump_name(code);
	case BPF_RET:
		return "ret";
	default:
		return BPF_MISCOP(code) == BPF_TAX ? "tax" : "txa";
	}
}

static void load_operand(const bpf_insn_t *i, char *text, size_t room)
{
	switch (BPF_MODE(i->code)) {
	case BPF_IMM:
		snprintf(text, room, "#0x%x", i->k);
		break;
	case BPF_ABS:
		snprintf(text, room, "[%d]", (int)i->k);
		break;
	case BPF_IND:
		snprintf(text, room, "[x + %d]", (int)i->k);
		break;
	case BPF_MEM:
		snprintf(text, room, "M[%d]", (int)i->k);
		break;
	default:
		snprintf(text, room, "#pktlen");
		break;
	}
}

static void alu_operand(const bpf_insn_t *i, char *text, size_t room)
{
	uint16_t op = BPF_OP(i->code);

	if (op == BPF_NEG)
		text[0] = '\0';
	else if (BPF_SRC(i->code) == BPF_X)
		snprintf(text, room, "x");
	else if (op == BPF_AND || op == BPF_OR || op == BPF_XOR)
		snprintf(text, room, "#0x%x", i->k);
	else
		snprintf(text, room, "#%d", (int)i->k);
}

static void operand_of(const bpf_insn_t *i, uint32_t index, char *text, size_t room)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
	case BPF_LDX:
		load_operand(i, text, room);
		break;
	case BPF_ST:
	case BPF_STX:
		snprintf(text, room, "M[%d]", (int)i->k);
		break;
	case BPF_ALU:
		alu_operand(i, text, room);
		break;
	case BPF_JMP:
		if (BPF_OP(i->code) == BPF_JA)
			snprintf(text, room, "%u", index + 1 + i->k);
		else if (BPF_SRC(i->code) == BPF_X)
			snprintf(text, room, "x");
		else
			snprintf(text, room, "#0x%x", i->k);
		break;
	case BPF_RET:
		snprintf(text, room, "#%d", (int)i->k);
		break;
	default:
		text[0] = '\0';
		break;
	}
}

void bpf_text(const bpf_insn_t *insn, uint32_t index, char text[96])
{
	char operand[32];

	operand_of(insn, index, operand, sizeof(operand));
	if (BPF_CLASS(insn->code) == BPF_JMP && BPF_OP(insn->code) != BPF_JA)
		snprintf(text, 96, "(%03u) %-8s %-16s jt %u\tjf %u", index, name_of(insn->code), operand, index + 1 + insn->jt,
			 index + 1 + insn->jf);
	else
		snprintf(text, 96, "(%03u) %-8s %s", index, name_of(insn->code), operand);
}

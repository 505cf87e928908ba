/* Two sweeps from address 0: the first finds where lines begin and which of them are jumped to, the second writes. Bytes that are no
 * whole instruction become .byte lines, so every byte is written exactly once and assembles to itself. */
#include "vm/asm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COMMENT_COLUMN 28
#define BYTES_PER_LINE 9 /* an instruction that is cut off has at most so many */

/* What is known of an address. */
#define LINE_STARTS 1u
#define JUMPED_TO   2u

struct disassembler {
	const uint8_t *code;
	uint32_t len;
	unsigned flags;
	uint8_t *marks; /* len + 1 of them: a label may stand behind the last byte */
	FILE *out;
};

/* The instruction at pc, or false and the end of the .byte line there: bytes up to the next opcode that exists, or, if the operand
 * is cut off, all that is left. */
static bool next_line(const struct disassembler *x, uint32_t pc, struct vfm_insn *insn, uint32_t *end)
{
	int ret = vfm_decode(x->code, x->len, pc, insn);

	if (!ret) {
		*end = insn->next;
		return true;
	}
	for (*end = pc + 1; *end < x->len && *end - pc < BYTES_PER_LINE; ++*end)
		if (ret == -EINVAL && vfm_op_exists(x->code[*end]))
			break;
	return false;
}

static void mark(struct disassembler *x)
{
	struct vfm_insn insn;

	for (uint32_t pc = 0, end; pc < x->len; pc = end) {
		x->marks[pc] |= LINE_STARTS;
		if (next_line(x, pc, &insn, &end) && vfm_ops[insn.op].flags & VFM_F_JUMP && insn.target <= x->len)
			x->marks[insn.target] |= JUMPED_TO;
	}
	x->marks[x->len] |= LINE_STARTS;
}

static bool has_label(const struct disassembler *x, uint32_t pc)
{
	return pc <= x->len && x->marks[pc] == (LINE_STARTS | JUMPED_TO);
}

/* Constants as people write them: small ones in decimal, others in hexadecimal, all bits set as -1. */
static int format_value(char *text, size_t room, uint64_t value)
{
	if (value == UINT64_MAX)
		return snprintf(text, room, "-1");
	return snprintf(text, room, value < 10000 ? "%" PRIu64 : "0x%" PRIx64, value);
}

static void format_operand(const struct disassembler *x, const struct vfm_insn *insn, char *text, size_t room)
{
	switch (vfm_ops[insn->op].operand) {
	case VFM_OPERAND_NONE:
		*text = '\0';
		break;
	case VFM_OPERAND_TABLE:
		snprintf(text, room, " %u", insn->table);
		break;
	case VFM_OPERAND_U8:
	case VFM_OPERAND_U16:
		snprintf(text, room, " %" PRIu64, insn->imm);
		break;
	case VFM_OPERAND_REL16:
		if (has_label(x, insn->target))
			snprintf(text, room, " L%04x", insn->target);
		else
			snprintf(text, room, " %+d", (int32_t)(insn->target - insn->next));
		break;
	case VFM_OPERAND_IMM64:
		*text = ' ';
		format_value(text + 1, room - 1, insn->imm);
		break;
	case VFM_OPERAND_DECLARE:
		snprintf(text, room, " %u, %" PRIu64 ", %u", insn->table, insn->imm, insn->idle_s);
		break;
	}
}

static void write_comment(const struct disassembler *x, int column, uint32_t pc, uint32_t end, const char *doc)
{
	if (!(x->flags & (DIS_ADDRESSES | DIS_HEX | DIS_VERBOSE)))
		return;
	fprintf(x->out, "%*s;", column < COMMENT_COLUMN ? COMMENT_COLUMN - column : 1, "");
	if (x->flags & DIS_ADDRESSES)
		fprintf(x->out, " %04x", pc);
	if (x->flags & DIS_HEX) {
		fputs(x->flags & DIS_ADDRESSES ? ": " : " ", x->out);
		for (uint32_t i = pc; i < end; i++)
			fprintf(x->out, "%s%02x", i > pc ? " " : "", x->code[i]);
		if (x->flags & DIS_VERBOSE && end - pc < 10)
			fprintf(x->out, "%*s", 3 * (10 - (int)(end - pc)), "");
	}
	if (x->flags & DIS_VERBOSE)
		fprintf(x->out, "  %s", doc);
}

static void write_instruction(const struct disassembler *x, const struct vfm_insn *insn)
{
	char operand[64], doc[128];
	int column;

	format_operand(x, insn, operand, sizeof(operand));
	column = fprintf(x->out, "    %s%s", vfm_ops[insn->op].mnemonic, operand);
	if (insn->op == VFM_OP_PUSH)
		snprintf(doc, sizeof(doc), "push 0x%" PRIx64, insn->imm);
	else
		snprintf(doc, sizeof(doc), "%s", vfm_ops[insn->op].doc);
	write_comment(x, column, insn->pc, insn->next, doc);
	fputc('\n', x->out);
}

static void write_bytes(const struct disassembler *x, uint32_t pc, uint32_t end)
{
	bool cut_off = vfm_op_exists(x->code[pc]);
	int column = fprintf(x->out, "    .byte");

	for (uint32_t i = pc; i < end; i++)
		column += fprintf(x->out, "%s 0x%02x", i > pc ? "," : "", x->code[i]);
	write_comment(x, column, pc, end, cut_off ? "cut off by the end of the program" : "no such instruction");
	fputc('\n', x->out);
}

int dis_disassemble(const uint8_t *code, uint32_t len, unsigned flags, FILE *out)
{
	struct disassembler x = {.code = code, .len = len, .flags = flags, .out = out};
	struct vfm_insn insn;

	x.marks = calloc((size_t)len + 1, 1);
	if (!x.marks)
		return -ENOMEM;
	mark(&x);
	for (uint32_t pc = 0, end; pc < len; pc = end) {
		if (has_label(&x, pc))
			fprintf(out, "L%04x:\n", pc);
		if (next_line(&x, pc, &insn, &end))
			write_instruction(&x, &insn);
		else
			write_bytes(&x, pc, end);
	}
	if (has_label(&x, len))
		fprintf(out, "L%04x:\n", len);
	free(x.marks);
	return ferror(out) ? -EIO : 0;
}

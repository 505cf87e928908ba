/* isa_doc.c: writes docs/isa.md from the rows of vm/isa.h (make docs). */
#include <stdio.h>

#include "vm/isa.h"

static const char *const operand_forms[] = {
	[VFM_OPERAND_NONE] = "",
	[VFM_OPERAND_U8] = "number",
	[VFM_OPERAND_TABLE] = "table",
	[VFM_OPERAND_U16] = "offset",
	[VFM_OPERAND_REL16] = "label",
	[VFM_OPERAND_IMM64] = "value",
	[VFM_OPERAND_DECLARE] = "table, entries, seconds",
};

static const char *const operand_encodings[] = {
	[VFM_OPERAND_NONE] = "none",
	[VFM_OPERAND_U8] = "u8",
	[VFM_OPERAND_TABLE] = "u8",
	[VFM_OPERAND_U16] = "u16",
	[VFM_OPERAND_REL16] = "s16",
	[VFM_OPERAND_IMM64] = "u64",
	[VFM_OPERAND_DECLARE] = "u8, u32, u32",
};

/* What can end the program here. */
static const char *errors_of(uint16_t flags)
{
	if (flags & VFM_F_BOUNDS)
		return "BOUNDS";
	if (flags & VFM_F_DIVIDE)
		return "DIVISION_BY_ZERO";
	return flags & VFM_F_UPDATE ? "LIMIT" : "";
}

static const char head[] =
	"# Instruction set\n"
	"\n"
	"Generated from [vm/isa.h](../vm/isa.h) by `make docs`; [assembly.md](assembly.md) has the language around it.\n"
	"\n"
	"Bytecode is raw bytes without a header: one byte of opcode, then the operand, little-endian and unaligned. A program has "
	"at most\n"
	"65,536 bytes. Values are unsigned 64-bit numbers; arithmetic wraps around. The stack holds 256. \"(a b -- c)\" means that "
	"b was\n"
	"on top, both are taken, and c is on top afterwards.\n"
	"\n"
	"- *Jumps* go label minus the address after the jump, in bytes, -32768 to 32767.\n"
	"- *Loads* read big-endian and end in BOUNDS unless the packet has all their bytes; they do so even if nobody uses the "
	"value.\n"
	"- *Tables*: FLOW_LOAD, FLOW_STORE, FLOW_ADD and FLOW_DEL without a number mean table 0. At most 64 updates a packet; the "
	"next one\n"
	"  ends in LIMIT and is not done.\n"
	"- *LIMIT* also ends a program that has executed more than its limit of instructions (10,000), tested at backward jumps "
	"and at RET.\n"
	"- *Manual*: yes if the instruction is in the VFM programming manual, so that `vfm-asm --strict-manual` takes it.\n"
	"- *PICK n* needs n + 1 values on the stack.\n"
	"- Opcodes that are not listed do not exist; the verifier refuses them.\n"
	"\n"
	"| opcode | instruction | operand | pops | pushes | may end in | manual | what it does |\n"
	"| ---: | --- | --- | ---: | ---: | --- | --- | --- |\n";

int main(void)
{
	fputs(head, stdout);
	for (int op = 0; op < 256; op++) {
		const struct vfm_op_info *row = &vfm_ops[op];
		const char *form;

		if (!vfm_op_exists((uint8_t)op))
			continue;
		form = operand_forms[row->operand];
		printf("| %d | `%s%s%s` | %s | %u | %u | %s | %s | ", op, row->mnemonic, *form ? " " : "", form,
		       operand_encodings[row->operand], row->pops, row->pushes, errors_of(row->flags),
		       row->flags & VFM_F_MANUAL ? "yes" : "");
		/* A bar would end the cell. */
		for (const char *c = row->doc; *c; c++)
			printf(*c == '|' ? "\\%c" : "%c", *c);
		puts(" |");
	}
	return ferror(stdout) ? 1 : 0;
}

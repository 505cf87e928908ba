/* disasm.c: machine code as capstone reads it. */
#include "test/lib/disasm.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <capstone/capstone.h>

struct text {
	size_t n;
	char at[1 << 16];
};

static struct text text;

static void add(const char *from, size_t n)
{
	if (n > sizeof(text.at) - 1 - text.n)
		n = sizeof(text.at) - 1 - text.n;
	memcpy(text.at + text.n, from, n);
	text.n += n;
	text.at[text.n] = 0;
}

static bool starts_number(const char *begin, const char *at)
{
	const char *digits = at + (*at == '-');

	return isdigit((unsigned char)*digits) &&
	       (at == begin || (!isalnum((unsigned char)at[-1]) && at[-1] != '.' && at[-1] != '{'));
}

/* Operands, with every number as 0x... and no "#". */
static void add_operands(const char *operands)
{
	for (const char *at = operands; *at;) {
		char number[24], *end;

		if (*at == '#' || (*at == ' ' && at[strspn(at, " ")] == ',')) {
			at++; /* the disassembler leaves spaces where no mask is */
		} else if (starts_number(operands, at)) {
			uint64_t v = *at == '-' ? -strtoull(at + 1, &end, 0) : strtoull(at, &end, 0);

			add(number, (size_t)snprintf(number, sizeof(number), "0x%" PRIx64, v));
			at = end;
		} else {
			add(at++, 1);
		}
	}
}

static csh handle_of(enum disasm_arch arch)
{
	static csh handles[DISASM_ARCHS];

	if (!handles[arch] && cs_open(arch == DISASM_X86 ? CS_ARCH_X86 : CS_ARCH_ARM64,
				      arch == DISASM_X86 ? CS_MODE_64 : CS_MODE_LITTLE_ENDIAN, &handles[arch]) != CS_ERR_OK)
		abort();
	return handles[arch];
}

const char *disasm(enum disasm_arch arch, const void *code, size_t bytes)
{
	csh handle = handle_of(arch);
	cs_insn *insn = cs_malloc(handle);
	const uint8_t *at = code;
	uint64_t address = 0;

	text.n = 0;
	text.at[0] = 0;
	while (insn && cs_disasm_iter(handle, &at, &bytes, &address, insn)) {
		if (text.n)
			add("; ", 2);
		add(insn->mnemonic, strlen(insn->mnemonic));
		if (insn->op_str[0])
			add(" ", 1);
		add_operands(insn->op_str);
	}
	if (bytes)
		add("(bad)", 5);
	if (insn)
		cs_free(insn, 1);
	return text.at;
}

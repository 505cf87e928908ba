/* fuzz_asm.c: the input as assembly: it assembles or gives errors that can be printed. What it assembles to, and the input itself
 * taken for bytecode, survive disassembly and assembly unchanged. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/asm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct diag_list diags;

static int assemble(const char *source, size_t bytes, uint8_t **code, uint32_t *len)
{
	diag_init(&diags, "input", source, (uint32_t)bytes);
	return asm_assemble(source, bytes, false, code, len, &diags);
}

static void check_inverse(const uint8_t *code, uint32_t len, unsigned flags)
{
	char *text = NULL;
	size_t bytes = 0;
	uint8_t *again = NULL;
	uint32_t again_len = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (!out || dis_disassemble(code, len, flags, out) || fclose(out))
		abort();
	if (assemble(text, bytes, &again, &again_len) || again_len != len || memcmp(code, again, len))
		abort();
	free(again);
	free(text);
}

static void check_printable(void)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (!out || !diags.errors)
		abort();
	diag_print(&diags, out);
	fclose(out);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *code = NULL;
	uint32_t len = 0;

	if (assemble((const char *)data, size, &code, &len))
		check_printable();
	else
		check_inverse(code, len, 0);
	free(code);
	if (size <= VFM_MAX_PROGRAM_BYTES)
		check_inverse(data, (uint32_t)size, DIS_ADDRESSES | DIS_HEX | DIS_VERBOSE);
	return 0;
}

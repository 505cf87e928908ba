/* list.c: compiled code as assembly. The one file that knows capstone. */
#include <capstone/capstone.h>
#include <inttypes.h>

#include "jit/jit.h"

static int open_disassembler(csh *handle)
{
#ifdef __aarch64__
	cs_err err = cs_open(CS_ARCH_ARM64, CS_MODE_ARM, handle);
#else
	cs_err err = cs_open(CS_ARCH_X86, CS_MODE_64, handle);
#endif
	if (err)
		return -1;
	cs_option(*handle, CS_OPT_SKIPDATA, CS_OPT_ON); /* constants stand behind vector code */
	return 0;
}

static void list(csh handle, cs_insn *insn, const uint8_t *code, size_t bytes, FILE *out)
{
	uint64_t address = 0;

	while (cs_disasm_iter(handle, &code, &bytes, &address, insn))
		fprintf(out, "%04" PRIx64 "  %-12s %s\n", insn->address, insn->mnemonic, insn->op_str);
}

int jit_list(const struct jit *j, FILE *out)
{
	size_t bytes, loop_bytes, vector_bytes;
	const uint8_t *code = jit_code(j, &bytes), *loop = jit_loop_code(j, &loop_bytes);
	const uint8_t *vector = jit_vector_code(j, &vector_bytes);
	cs_insn *insn;
	csh handle;

	if (!code) {
		fprintf(out, "; no machine code on this system: the interpreter runs this program\n");
		return 0;
	}
	if (open_disassembler(&handle))
		return -1;
	insn = cs_malloc(handle);
	if (insn) {
		fprintf(out, "; one packet: %zu bytes\n", bytes);
		list(handle, insn, code, bytes, out);
		if (loop)
			fprintf(out, "; packet after packet: %zu bytes\n", loop_bytes);
		if (loop)
			list(handle, insn, loop, loop_bytes, out);
		if (vector)
			fprintf(out, "; %d packets at once: %zu bytes with their constants\n", jit_tier(j) == JIT_AVX512 ? 16 : 8,
				vector_bytes);
		if (vector)
			list(handle, insn, vector, vector_bytes, out);
		cs_free(insn, 1);
	}
	cs_close(&handle);
	return insn ? 0 : -1;
}

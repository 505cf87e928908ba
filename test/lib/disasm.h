/* disasm.h: machine code as a disassembler reads it (capstone), in a form that is easy to write down as what is expected. */
#ifndef TEST_DISASM_H
#define TEST_DISASM_H

#include <stddef.h>
#include <stdint.h>

enum disasm_arch { DISASM_X86, DISASM_ARM64, DISASM_ARCHS };

/* The instructions at address 0, separated by "; ". Numbers stand as 0x..., negative ones as their 64 bits; arm64's without "#". Bytes
 * that are no instruction end the text with "(bad)". Valid until the next call. */
const char *disasm(enum disasm_arch arch, const void *code, size_t bytes);

#endif

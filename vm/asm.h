/* asm.h: assembler and disassembler. asm(dis(bytes)) = bytes for any byte string. */
#ifndef VM_ASM_H
#define VM_ASM_H

#include <stdio.h>

#include "vm/diag.h"
#include "vm/isa.h"

#define ASM_MAX_SOURCE_BYTES (64u << 20)

/* Assembles source (need not end in NUL) into *code (heap, the caller frees). Every error is appended to d; -EINVAL if there were
 * any, -ENOMEM. Does not verify. strict_manual refuses mnemonics beyond the manual's. */
int asm_assemble(const char *source, size_t source_bytes, bool strict_manual, uint8_t **code, uint32_t *len, struct diag_list *d);

#define DIS_ADDRESSES 1u /* add "; 0012" comments */
#define DIS_HEX       2u /* add the bytes as a comment */
#define DIS_VERBOSE   4u /* add what each instruction does as a comment */
/* Writes assembly. Bytes that are no whole instruction become .byte lines. -EIO if out fails. */
int dis_disassemble(const uint8_t *code, uint32_t len, unsigned flags, FILE *out);

#endif

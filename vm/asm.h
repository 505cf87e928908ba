/* asm.h: assembler and disassembler. asm(dis(bytes)) = bytes for any byte string of at most VFM_MAX_PROGRAM_BYTES. */
#ifndef VM_ASM_H
#define VM_ASM_H

#include <stdio.h>

#include "vm/diag.h"
#include "vm/verify.h"

#define ASM_MAX_SOURCE_BYTES (64u << 20)

/* Assembles source (need not end in NUL) into *code (heap, the caller frees). Every error is appended to d; -EINVAL if there were
 * any, -ENOMEM. Does not verify. strict_manual refuses mnemonics beyond the manual's. */
int asm_assemble(const char *source, size_t source_bytes, bool strict_manual, uint8_t **code, uint32_t *len, struct diag_list *d);

/* Where an instruction came from. */
struct asm_place {
	uint32_t pc;
	uint32_t line, column; /* from 1 */
};

/* Places of a program's instructions, ascending by pc. */
struct asm_map {
	uint32_t n, room;
	struct asm_place *places;
};

/* asm_assemble, and fills *map, so that what the verifier says about an address can be said about a line. The caller releases it
 * with asm_map_fini in any case. */
int asm_assemble_map(const char *source, size_t source_bytes, bool strict_manual, uint8_t **code, uint32_t *len,
		     struct asm_map *map, struct diag_list *d);
int asm_map_append(struct asm_map *map, struct asm_place place); /* -ENOMEM */
void asm_map_fini(struct asm_map *map);
/* The instruction that holds address pc, or the last one before it; NULL: none. O(log n). */
const struct asm_place *asm_map_find(const struct asm_map *map, uint32_t pc);
/* Says why the verifier refused, at the line of the instruction it is about (map NULL: without a position). */
void asm_map_say_reject(const struct vfm_reject *reject, const struct asm_map *map, struct diag_list *d);

/* asm_assemble, then the verifier, whose reason is said at the line of the instruction it is about. verify_flags as for
 * vfm_verify_program; proof may be NULL, else it is filled on success. On failure (-EINVAL, -ENOMEM) *code is not set. */
int asm_assemble_verified(const char *source, size_t source_bytes, unsigned verify_flags, uint8_t **code, uint32_t *len,
			  struct vfm_proof *proof, struct diag_list *d);

#define DIS_ADDRESSES 1u /* add "; 0012" comments */
#define DIS_HEX       2u /* add the bytes as a comment */
#define DIS_VERBOSE   4u /* add what each instruction does as a comment */
/* Writes assembly. Bytes that are no whole instruction become .byte lines. -EIO if out fails. */
int dis_disassemble(const uint8_t *code, uint32_t len, unsigned flags, FILE *out);

#endif

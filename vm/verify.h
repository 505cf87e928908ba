/* verify.h: proves that a program cannot harm the machine, before anything of it runs.
 *
 * Proved: every opcode and operand whole; TABLE only before all other instructions and each table declared once; jump targets on
 * instruction boundaries inside the program; no fall off the end; no unreachable code; from every instruction a RET can be reached;
 * on no path a stack underflow, nor more than 256 values. Law: verified implies never UNDERFLOW, OVERFLOW, INVALID_OPCODE or
 * INVALID_PROGRAM at run time.
 *
 * Depth is an interval: paths may join with different depths. A block's input is exactly its `lo` top slots, numbered from the top;
 * what lies deeper is dead.
 */
#ifndef VM_VERIFY_H
#define VM_VERIFY_H

#include "vm/isa.h"

struct vfm_reject {
	int code;         /* VFM_ERROR_* (vm/vfm.h); VFM_SUCCESS when accepted */
	uint32_t pc;      /* of the offending instruction; the program's length for a fall off its end */
	int opcode;       /* the byte there, -1: none */
	char reason[192]; /* one sentence in words */
};

/* What was proved, per instruction. All arrays have n elements, in ascending order of address. */
struct vfm_proof {
	uint32_t n;
	struct vfm_insn *insns;
	uint16_t *depth_lo; /* values surely on the stack before the instruction */
	uint16_t *depth_hi; /* values at most on the stack before the instruction */
	uint16_t max_depth; /* over all paths, after any instruction */
	bool has_loop;      /* some backward jump */
	bool unequal_joins; /* some instruction with lo != hi */
};

#define VFM_VERIFY_STRICT_MANUAL 1u /* refuse opcodes beyond the manual's */

/* Accepts (0) or refuses (reject->code, negative). proof may be NULL; on success it is filled, to be released with
 * vfm_proof_fini(). Time and memory are linear in len. -1 (VFM_ERROR_NO_MEMORY) if memory runs out. */
int vfm_verify_program(const uint8_t *code, uint32_t len, unsigned flags, struct vfm_proof *proof, struct vfm_reject *reject);
void vfm_proof_fini(struct vfm_proof *proof);
/* Index of the instruction at address pc; -1 if none begins there. O(log n). */
int64_t vfm_proof_index(const struct vfm_proof *proof, uint32_t pc);

#endif

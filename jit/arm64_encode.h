/* arm64_encode.h: the A64 instructions that the compiler writes, as words. Source: Arm Architecture Reference Manual for A-profile (DDI 0487),
 * chapter C4, "A64 Instruction Set Encoding".
 *
 * Registers are 0 to 30; 31 is the zero register or the stack pointer, as the instruction has it. All operations have 64 bits unless
 * the name says otherwise. Operands must be in range: callers ask the *_fits functions first.
 */
#ifndef JIT_ARM64_ENCODE_H
#define JIT_ARM64_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

#define ARM64_ZR 31
#define ARM64_SP 31

enum arm64_cond { ARM64_EQ = 0, ARM64_NE = 1, ARM64_HS = 2, ARM64_LO = 3, ARM64_HI = 8, ARM64_LS = 9 };

/* d = a op s. */
enum arm64_reg_op {
	ARM64_ADD = 0x8b000000,
	ARM64_SUB = 0xcb000000,
	ARM64_SUBS = 0xeb000000,
	ARM64_AND = 0x8a000000,
	ARM64_ORR = 0xaa000000,
	ARM64_ORN = 0xaa200000,
	ARM64_EOR = 0xca000000,
	ARM64_UDIV = 0x9ac00800,
	ARM64_LSLV = 0x9ac02000, /* counts are taken modulo 64 */
	ARM64_LSRV = 0x9ac02400,
};
uint32_t arm64_reg(enum arm64_reg_op op, uint8_t d, uint8_t a, uint8_t s);

/* d = a op imm, imm 0 to 4095, or that times 4096. 31 is the stack pointer, but the zero register as d of SUBS and ADDS. */
enum arm64_imm_op {
	ARM64_ADD_IMM = 0x91000000,
	ARM64_ADDS_IMM = 0xb1000000,
	ARM64_SUB_IMM = 0xd1000000,
	ARM64_SUBS_IMM = 0xf1000000,
};
bool arm64_imm_fits(uint64_t imm);
uint32_t arm64_imm(enum arm64_imm_op op, uint8_t d, uint8_t a, uint64_t imm);

/* d = a op imm, imm a run of ones, rotated, in elements of 2, 4, 8, 16, 32 or 64 bits that are all alike. */
enum arm64_mask_op { ARM64_AND_IMM = 0x92000000, ARM64_ORR_IMM = 0xb2000000, ARM64_EOR_IMM = 0xd2000000 };
/* The 13 bits N:immr:imms that mean imm; false: there are none. */
bool arm64_mask_fits(uint64_t imm, uint32_t *bits);
uint32_t arm64_mask(enum arm64_mask_op op, uint8_t d, uint8_t a, uint32_t bits);

/* Shift by 0 to 63. */
uint32_t arm64_lsl(uint8_t d, uint8_t a, unsigned bits);
uint32_t arm64_lsr(uint8_t d, uint8_t a, unsigned bits);

/* d = c + a * s; d = c - a * s. */
uint32_t arm64_madd(uint8_t d, uint8_t a, uint8_t s, uint8_t c);
uint32_t arm64_msub(uint8_t d, uint8_t a, uint8_t s, uint8_t c);

/* imm << 16 * part into d: the rest is zeros, ones (all inverted), as it was. */
enum arm64_wide_op { ARM64_MOVZ = 0xd2800000, ARM64_MOVN = 0x92800000, ARM64_MOVK = 0xf2800000 };
uint32_t arm64_wide(enum arm64_wide_op op, uint8_t d, uint16_t imm, unsigned part);

/* Loads that clear the rest of the register, 1, 2, 4 or 8 bytes. offset: a multiple of the size, at most 4095 times it. */
bool arm64_offset_fits(unsigned bytes, uint64_t offset);
uint32_t arm64_load(unsigned bytes, uint8_t d, uint8_t base, uint32_t offset);
/* offset: any from 0 to 255. */
uint32_t arm64_load_unscaled(unsigned bytes, uint8_t d, uint8_t base, uint32_t offset);
uint32_t arm64_load_indexed(unsigned bytes, uint8_t d, uint8_t base, uint8_t index);
uint32_t arm64_store(uint8_t s, uint8_t base, uint32_t offset);
/* The low 32 bits; offset: a multiple of 4. */
uint32_t arm64_store32(uint8_t s, uint8_t base, uint32_t offset);
uint32_t arm64_store_indexed(uint8_t s, uint8_t base, uint8_t index);
/* Two registers below the stack pointer, which moves down by 16; and back. */
uint32_t arm64_push_pair(uint8_t s, uint8_t s2);
uint32_t arm64_pop_pair(uint8_t d, uint8_t d2);

/* Reverse the bytes: of 2 (the rest must be clear), 4 or 8. */
uint32_t arm64_rev(unsigned bytes, uint8_t d, uint8_t s);

/* d = a where the condition holds, else s. */
uint32_t arm64_csel(uint8_t d, uint8_t a, uint8_t s, enum arm64_cond cond);

/* distance: in bytes from the instruction, a multiple of 4. B reaches 128 MiB either way, the others 1 MiB. */
bool arm64_branch_fits(int64_t distance);
uint32_t arm64_b(int64_t distance);
uint32_t arm64_b_cond(enum arm64_cond cond, int64_t distance);
uint32_t arm64_cbz(uint8_t a, int64_t distance);
uint32_t arm64_cbnz(uint8_t a, int64_t distance);
/* A branch written with distance 0, of any of the four kinds, with its distance. */
uint32_t arm64_with_distance(uint32_t branch, int64_t distance);
bool arm64_is_b(uint32_t branch);
/* Of b_cond, cbz and cbnz: the one that branches when this does not; the distance stays. */
uint32_t arm64_inverted(uint32_t branch);
uint32_t arm64_blr(uint8_t target);
uint32_t arm64_ret(void);

#endif

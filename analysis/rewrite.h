/* rewrite.h: a program with code put in front of some of its table accesses, or with accesses moved to other tables or taken out: the
 * changes that --explain proposes are made here, to see whether they help before anyone is told. */
#ifndef ANALYSIS_REWRITE_H
#define ANALYSIS_REWRITE_H

#include "vm/program.h"

#define REWRITE_MAX_EDITS 64
#define REWRITE_MAX_LINES 8

/* One instruction that is put in; imm is its operand, of those that have one. */
struct rewrite_line {
	uint8_t op;
	uint64_t imm;
};

/* What is done at one table access. */
struct rewrite_edit {
	uint32_t pc;   /* of the access */
	bool take_out; /* the access is left out; what it would push is 0 */
	int16_t table; /* the table it uses from now on; -1: as before */
	uint32_t n;    /* instructions put in front of it */
	struct rewrite_line lines[REWRITE_MAX_LINES + 2];
};

/* The assembly text of an instruction that is put in; cut to room bytes, NUL included. */
void rewrite_text(const struct rewrite_line *line, char *text, size_t room);

/* The changed program. Edits ascend by pc, each the address of a FLOW instruction. A table that replaces a declared one is declared like
 * it. NULL: out of memory, or what comes out does not verify (too long, a jump or the stack too deep). */
struct program *rewrite_program(const struct program *p, const struct rewrite_edit *edits, uint32_t n);

#endif

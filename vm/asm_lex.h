/* asm_lex.h: the assembler's tokens. Private to the assembler. */
#ifndef VM_ASM_LEX_H
#define VM_ASM_LEX_H

#include <stdbool.h>
#include <stdint.h>

enum asm_token_kind {
	ASM_TOKEN_END,    /* end of the line, or its comment */
	ASM_TOKEN_NAME,   /* mnemonic, directive or label */
	ASM_TOKEN_NUMBER, /* decimal, 0x hex, 0b binary, with an optional sign */
	ASM_TOKEN_COLON,
	ASM_TOKEN_COMMA,
	ASM_TOKEN_BAD_NUMBER, /* begins like a number and is none */
	ASM_TOKEN_HUGE,       /* a number of more than 64 bits */
	ASM_TOKEN_OTHER,      /* any other character */
};

struct asm_token {
	enum asm_token_kind kind;
	const char *text;
	uint32_t bytes;
	uint32_t column; /* from 1 */
	bool negative;   /* NUMBER: the value is -magnitude */
	uint64_t magnitude;
};

struct asm_lexer {
	const char *at, *end, *line_start;
	uint32_t line; /* from 1 */
};

/* Starts at the first line; a UTF-8 byte order mark is skipped. */
void asm_lex_init(struct asm_lexer *x, const char *source, uint32_t source_bytes);
/* Goes to a byte of the source, which must not lie before the present one. */
void asm_lex_seek(struct asm_lexer *x, const char *to);
/* The next token of this line; END again and again at its end. */
void asm_lex_next(struct asm_lexer *x, struct asm_token *t);
/* Goes to the next line; false if there is none. */
bool asm_lex_next_line(struct asm_lexer *x);

#endif

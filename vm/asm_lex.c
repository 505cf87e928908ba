#include "vm/asm_lex.h"

#include <ctype.h>
#include <string.h>

void asm_lex_init(struct asm_lexer *x, const char *source, uint32_t source_bytes)
{
	bool mark = source_bytes >= 3 && !memcmp(source, "\xef\xbb\xbf", 3);

	x->line_start = source;
	x->at = source + (mark ? 3 : 0);
	x->end = source + source_bytes;
	x->line = 1;
}

void asm_lex_seek(struct asm_lexer *x, const char *to)
{
	for (; x->at < to; x->at++) {
		if (*x->at == '\n') {
			x->line++;
			x->line_start = x->at + 1;
		}
	}
}

static bool is_name_start(char c)
{
	return isalpha((unsigned char)c) || c == '_' || c == '.';
}

static bool is_name(char c)
{
	return is_name_start(c) || isdigit((unsigned char)c);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f';
}

static int digit_value(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	if (isalpha((unsigned char)c))
		return toupper((unsigned char)c) - 'A' + 10;
	return 99;
}

/* Reads the digits of [at, end), which must be all of them and at least one. */
static enum asm_token_kind read_digits(const char *at, const char *end, uint64_t base, uint64_t *value)
{
	enum asm_token_kind kind = ASM_TOKEN_NUMBER;

	if (at == end)
		return ASM_TOKEN_BAD_NUMBER;
	for (*value = 0; at < end; at++) {
		uint64_t digit = (uint64_t)digit_value(*at);

		if (digit >= base)
			return ASM_TOKEN_BAD_NUMBER;
		if (*value > (UINT64_MAX - digit) / base)
			kind = ASM_TOKEN_HUGE;
		*value = *value * base + digit;
	}
	return kind;
}

/* A number takes all name characters that follow, so that 12ab is one bad number, not a number and a name. */
static void read_number(struct asm_lexer *x, struct asm_token *t)
{
	const char *start;
	uint64_t base = 10;

	if (*x->at == '+' || *x->at == '-')
		t->negative = *x->at++ == '-';
	start = x->at;
	while (x->at < x->end && is_name(*x->at))
		x->at++;
	if (x->at - start >= 2 && start[0] == '0' && (start[1] == 'x' || start[1] == 'X'))
		base = 16;
	else if (x->at - start >= 2 && start[0] == '0' && (start[1] == 'b' || start[1] == 'B'))
		base = 2;
	t->kind = read_digits(base == 10 ? start : start + 2, x->at, base, &t->magnitude);
	if (t->kind == ASM_TOKEN_NUMBER && t->negative && t->magnitude > (uint64_t)1 << 63)
		t->kind = ASM_TOKEN_HUGE;
	t->negative = t->negative && t->magnitude;
}

static void read_name(struct asm_lexer *x, struct asm_token *t)
{
	while (x->at < x->end && is_name(*x->at))
		x->at++;
	t->kind = ASM_TOKEN_NAME;
}

void asm_lex_next(struct asm_lexer *x, struct asm_token *t)
{
	memset(t, 0, sizeof(*t));
	while (x->at < x->end && is_blank(*x->at))
		x->at++;
	t->text = x->at;
	t->column = (uint32_t)(x->at - x->line_start) + 1;
	if (x->at == x->end || *x->at == '\n' || *x->at == ';') {
		t->kind = ASM_TOKEN_END;
		return;
	}
	if (is_name_start(*x->at)) {
		read_name(x, t);
	} else if (isdigit((unsigned char)*x->at) || *x->at == '+' || *x->at == '-') {
		read_number(x, t);
	} else {
		t->kind = *x->at == ':' ? ASM_TOKEN_COLON : *x->at == ',' ? ASM_TOKEN_COMMA : ASM_TOKEN_OTHER;
		do
			x->at++;
		while (x->at < x->end && ((unsigned char)*x->at & 0xc0) == 0x80); /* the rest of a UTF-8 character */
	}
	t->bytes = (uint32_t)(x->at - t->text);
}

bool asm_lex_next_line(struct asm_lexer *x)
{
	x->at = x->at < x->end ? memchr(x->at, '\n', (size_t)(x->end - x->at)) : 0;
	if (!x->at) {
		x->at = x->end;
		return false;
	}
	x->line_start = ++x->at;
	x->line++;
	return true;
}

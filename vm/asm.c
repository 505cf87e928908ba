/* One pass over the lines: every instruction's size is known when it is read, so bytes are written at once and only the operands
 * that name a label are filled in at the end. */
#include "vm/asm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vm/asm_label.h"
#include "vm/asm_lex.h"
#include "vm/file.h"

/* One mnemonic and its one or two opcodes. */
struct mnemonic {
	const char *text;
	int op;       /* -1: only the form with a table number */
	int op_table; /* the form with a table number; -1: none */
};

struct assembler {
	struct asm_lexer lexer;
	struct asm_token token;
	struct diag_list *d;
	bool strict_manual;
	bool full; /* beyond VFM_MAX_PROGRAM_BYTES: nothing more is written */
	int error; /* -ENOMEM */
	uint32_t n_mnemonics;
	struct mnemonic mnemonics[256]; /* sorted */
	uint8_t *code;                  /* VFM_MAX_PROGRAM_BYTES */
	uint32_t len;
	struct asm_label_list labels, uses;
	struct asm_map *map;
};

#define SAY(a, token, ...) diag_add((a)->d, DIAG_ERROR, (a)->lexer.line, (token)->column, __VA_ARGS__)
#define TEXT(token)        (int)((token)->bytes < 64 ? (token)->bytes : 64), (token)->text

/* ---- output ---- */

/* Begins an instruction of that many bytes; false if there is no room for it. */
static bool begin(struct assembler *a, const struct asm_token *at, uint32_t bytes)
{
	if (a->full)
		return false;
	if (a->len + bytes > VFM_MAX_PROGRAM_BYTES) {
		SAY(a, at, "the program grows beyond %u bytes here; split the filter", VFM_MAX_PROGRAM_BYTES);
		a->full = true;
		return false;
	}
	if (asm_map_append(a->map, (struct asm_place){a->len, a->lexer.line, at->column}))
		a->error = -ENOMEM;
	return !a->error;
}

static void put(struct assembler *a, uint64_t value, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		a->code[a->len++] = (uint8_t)(value >> 8 * i);
}

/* ---- mnemonics ---- */

static int compare_mnemonics(const void *pa, const void *pb)
{
	const struct mnemonic *a = pa, *b = pb;

	return strcasecmp(a->text, b->text);
}

/* The form with a table number shares its mnemonic with the form without, if there is one. */
static void add_table_form(struct assembler *a, int op)
{
	uint32_t i = 0;

	while (i < a->n_mnemonics && strcmp(a->mnemonics[i].text, vfm_ops[op].mnemonic))
		i++;
	if (i == a->n_mnemonics)
		a->mnemonics[a->n_mnemonics++] = (struct mnemonic){vfm_ops[op].mnemonic, -1, -1};
	a->mnemonics[i].op_table = op;
}

static void collect_mnemonics(struct assembler *a)
{
	for (int op = 0; op < 256; op++)
		if (vfm_op_exists((uint8_t)op) && vfm_ops[op].operand != VFM_OPERAND_TABLE)
			a->mnemonics[a->n_mnemonics++] = (struct mnemonic){vfm_ops[op].mnemonic, op, -1};
	for (int op = 0; op < 256; op++)
		if (vfm_op_exists((uint8_t)op) && vfm_ops[op].operand == VFM_OPERAND_TABLE)
			add_table_form(a, op);
	qsort(a->mnemonics, a->n_mnemonics, sizeof(a->mnemonics[0]), compare_mnemonics);
}

static const struct mnemonic *find_mnemonic(const struct assembler *a, const struct asm_token *name)
{
	char text[16] = "";
	struct mnemonic key = {.text = text};

	if (name->bytes >= sizeof(text))
		return NULL;
	memcpy(text, name->text, name->bytes);
	return bsearch(&key, a->mnemonics, a->n_mnemonics, sizeof(key), compare_mnemonics);
}

static void report_unknown(struct assembler *a, const struct asm_token *name, const struct asm_token *next)
{
	struct nearest near;

	nearest_init(&near, name->text, name->bytes, true);
	if (a->d->count < DIAG_MAX)
		for (uint32_t i = 0; i < a->n_mnemonics; i++)
			nearest_offer(&near, a->mnemonics[i].text, (uint32_t)strlen(a->mnemonics[i].text));
	if (name->text[0] == '.')
		SAY(a, name, "unknown directive '%.*s'; the only one is .byte", TEXT(name));
	else if (near.best)
		SAY(a, name, "unknown instruction '%.*s'; did you mean %.*s?", TEXT(name), (int)near.best_bytes, near.best);
	else if (next->kind == ASM_TOKEN_END)
		SAY(a, name, "unknown instruction '%.*s'; if it is a label, write '%.*s:'", TEXT(name), TEXT(name));
	else
		SAY(a, name, "unknown instruction '%.*s'; docs/isa.md lists them all", TEXT(name));
}

/* ---- operands ---- */

static void advance(struct assembler *a)
{
	asm_lex_next(&a->lexer, &a->token);
}

/* What an operand may be: min is -(below), max is max. */
struct range {
	const char *what;
	const char *text;
	uint64_t below, max;
};

static const struct range byte_range = {"a byte", "0 to 255", 0, 255};
/* HDR takes any byte, so that every program can be written; the verifier refuses items above 4. */
static const struct range item_range = {"an item", "0 to 4", 0, 255};
static const struct range depth_range = {"a depth", "0 to 255", 0, 255};
static const struct range table_range = {"a table number", "0 to 255", 0, 255};
static const struct range offset_range = {"a packet offset", "0 to 65535", 0, 65535};
static const struct range jump_range = {"a jump's distance in bytes", "-32768 to 32767; use a label", 32768, 32767};
static const struct range entries_range = {"a number of entries", "0 to 4294967295", 0, UINT32_MAX};
static const struct range seconds_range = {"an idle time in seconds", "0 to 4294967295", 0, UINT32_MAX};
static const struct range value_range = {"a value", "-9223372036854775808 to 18446744073709551615", (uint64_t)1 << 63, UINT64_MAX};

/* Takes the current token as a number in range, and goes to the next token. */
static bool take_number(struct assembler *a, const char *mnemonic, const struct range *range, uint64_t *value)
{
	const struct asm_token *t = &a->token;

	switch (t->kind) {
	case ASM_TOKEN_NUMBER:
		if (t->magnitude <= (t->negative ? range->below : range->max)) {
			*value = t->negative ? -t->magnitude : t->magnitude;
			advance(a);
			return true;
		}
		/* fall through */
	case ASM_TOKEN_HUGE:
		SAY(a, t, "%.*s is out of range: %s is %s", TEXT(t), range->what, range->text);
		return false;
	case ASM_TOKEN_BAD_NUMBER:
		SAY(a, t, "'%.*s' is not a number; write decimal, 0x and hex digits, or 0b and binary digits", TEXT(t));
		return false;
	case ASM_TOKEN_END:
		SAY(a, t, "%s needs %s here: %s", mnemonic, range->what, range->text);
		return false;
	case ASM_TOKEN_NAME:
		SAY(a, t, "'%.*s' cannot stand here; %s needs %s: %s", TEXT(t), mnemonic, range->what, range->text);
		return false;
	default:
		SAY(a, t, "unexpected '%.*s'; %s needs %s: %s", TEXT(t), mnemonic, range->what, range->text);
		return false;
	}
}

static bool take_end(struct assembler *a, const char *mnemonic, const char *operands)
{
	const struct asm_token *t = &a->token;

	if (t->kind == ASM_TOKEN_END)
		return true;
	if (t->kind == ASM_TOKEN_OTHER)
		SAY(a, t, "unexpected character '%.*s'; a comment begins with ';'", TEXT(t));
	else
		SAY(a, t, "'%.*s' is too much: %s takes %s; one instruction a line, comments begin with ';'", TEXT(t), mnemonic,
		    operands);
	return false;
}

/* Makes the next `bytes` bytes of code stand for a label. */
static void use_label(struct assembler *a, const struct asm_token *name, bool is_rel16)
{
	if (asm_label_append(&a->uses, name, a->lexer.line, a->len, is_rel16))
		a->error = -ENOMEM;
	put(a, 0, is_rel16 ? 2 : 8);
}

/* A number or a label. */
struct operand {
	bool is_label;
	struct asm_token name;
	uint64_t value;
};

static bool take_operand(struct assembler *a, const char *mnemonic, const struct range *range, struct operand *o)
{
	memset(o, 0, sizeof(*o));
	o->is_label = a->token.kind == ASM_TOKEN_NAME;
	if (!o->is_label)
		return take_number(a, mnemonic, range, &o->value);
	o->name = a->token;
	advance(a);
	return true;
}

/* ---- instructions, by operand form ---- */

static void assemble_none(struct assembler *a, const struct asm_token *at, const struct mnemonic *m, uint8_t op)
{
	if (take_end(a, m->text, "no operand") && begin(a, at, 1))
		put(a, op, 1);
}

static void assemble_number(struct assembler *a, const struct asm_token *at, const struct mnemonic *m, uint8_t op,
			    const struct range *range)
{
	uint32_t bytes = vfm_ops[op].operand_bytes;
	uint64_t value;

	if (!take_number(a, m->text, range, &value) || !take_end(a, m->text, "one operand") || !begin(a, at, 1 + bytes))
		return;
	put(a, op, 1);
	put(a, value, bytes);
}

static void assemble_jump(struct assembler *a, const struct asm_token *at, const struct mnemonic *m, uint8_t op)
{
	struct operand o;

	if (a->token.kind == ASM_TOKEN_END) {
		SAY(a, &a->token, "%s needs a label, or a distance in bytes from the next instruction", m->text);
		return;
	}
	if (!take_operand(a, m->text, &jump_range, &o) || !take_end(a, m->text, "one label") || !begin(a, at, 3))
		return;
	put(a, op, 1);
	if (o.is_label)
		use_label(a, &o.name, true);
	else
		put(a, o.value, 2);
}

/* PUSH value, PUSH label, and RET value, which is PUSH value and RET. */
static void assemble_push(struct assembler *a, const struct asm_token *at, const struct mnemonic *m, bool ret)
{
	struct operand o;

	if (!take_operand(a, m->text, &value_range, &o) || !take_end(a, m->text, "one value or label") || !begin(a, at, 9))
		return;
	put(a, VFM_OP_PUSH, 1);
	if (o.is_label)
		use_label(a, &o.name, false);
	else
		put(a, o.value, 8);
	if (ret && begin(a, at, 1))
		put(a, VFM_OP_RET, 1);
}

static void skip_comma(struct assembler *a)
{
	if (a->token.kind == ASM_TOKEN_COMMA)
		advance(a);
}

static void assemble_declaration(struct assembler *a, const struct asm_token *at, const struct mnemonic *m, uint8_t op)
{
	uint64_t table, entries, seconds;

	if (!take_number(a, m->text, &table_range, &table))
		return;
	skip_comma(a);
	if (!take_number(a, m->text, &entries_range, &entries))
		return;
	skip_comma(a);
	if (!take_number(a, m->text, &seconds_range, &seconds) || !take_end(a, m->text, "three numbers") || !begin(a, at, 10))
		return;
	put(a, op, 1);
	put(a, table, 1);
	put(a, entries, 4);
	put(a, seconds, 4);
}

static void assemble_op(struct assembler *a, const struct asm_token *at, const struct mnemonic *m, uint8_t op)
{
	switch (vfm_ops[op].operand) {
	case VFM_OPERAND_NONE:
		assemble_none(a, at, m, op);
		break;
	case VFM_OPERAND_U8:
		assemble_number(a, at, m, op, op == VFM_OP_PICK ? &depth_range : &item_range);
		break;
	case VFM_OPERAND_TABLE:
		assemble_number(a, at, m, op, &table_range);
		break;
	case VFM_OPERAND_U16:
		assemble_number(a, at, m, op, &offset_range);
		break;
	case VFM_OPERAND_REL16:
		assemble_jump(a, at, m, op);
		break;
	case VFM_OPERAND_IMM64:
		assemble_push(a, at, m, false);
		break;
	case VFM_OPERAND_DECLARE:
		assemble_declaration(a, at, m, op);
		break;
	}
}

static void assemble_instruction(struct assembler *a, const struct asm_token *at, const struct mnemonic *m)
{
	bool alone = a->token.kind == ASM_TOKEN_END;
	int op = m->op_table >= 0 && (!alone || m->op < 0) ? m->op_table : m->op;

	if (a->strict_manual && !(vfm_ops[op].flags & VFM_F_MANUAL))
		SAY(a, at, "%s%s is not in the manual; leave --strict-manual out, or write it with the manual's instructions",
		    m->text, op == m->op_table ? " with a table number" : "");
	else if (op == VFM_OP_RET && !alone)
		assemble_push(a, at, m, true);
	else
		assemble_op(a, at, m, (uint8_t)op);
}

/* .byte n, n, ...: bytes as they are. */
static void assemble_bytes(struct assembler *a, const struct asm_token *at)
{
	uint64_t value;
	bool more;

	do {
		if (!take_number(a, ".byte", &byte_range, &value))
			return;
		if (begin(a, at, 1))
			put(a, value, 1);
		more = a->token.kind != ASM_TOKEN_END;
		skip_comma(a);
	} while (more);
}

/* ---- lines ---- */

static void define_label(struct assembler *a, const struct asm_token *name)
{
	if (name->bytes > ASM_MAX_LABEL_BYTES)
		SAY(a, name, "the label '%.*s...' has %u characters; shorten it to at most %u", 16, name->text, name->bytes,
		    ASM_MAX_LABEL_BYTES);
	else if (a->labels.n == ASM_MAX_LABELS)
		SAY(a, name, "more than %u labels; remove those that no jump uses", ASM_MAX_LABELS);
	else if (asm_label_append(&a->labels, name, a->lexer.line, a->len, false))
		a->error = -ENOMEM;
}

/* Labels, then at most one instruction. The rest of a line with an error is skipped. */
static void assemble_line(struct assembler *a)
{
	const struct mnemonic *m;
	struct asm_token name;

	for (advance(a); a->token.kind != ASM_TOKEN_END; advance(a)) {
		name = a->token;
		if (name.kind != ASM_TOKEN_NAME) {
			SAY(a, &name, "unexpected '%.*s'; a line is: label, instruction, comment beginning with ';'", TEXT(&name));
			return;
		}
		advance(a);
		if (a->token.kind == ASM_TOKEN_COLON) {
			define_label(a, &name);
			continue;
		}
		m = find_mnemonic(a, &name);
		if (m)
			assemble_instruction(a, &name, m);
		else if (name.bytes == 5 && !strncasecmp(name.text, ".byte", 5))
			assemble_bytes(a, &name);
		else
			report_unknown(a, &name, &a->token);
		return;
	}
}

static bool check_text(struct assembler *a, const char *source, size_t source_bytes)
{
	const char *control;
	struct asm_lexer x;

	if (source_bytes > ASM_MAX_SOURCE_BYTES) {
		diag_add(a->d, DIAG_ERROR, 0, 0, "the source has %zu bytes; at most %u are read: is this the right file?",
			 source_bytes, ASM_MAX_SOURCE_BYTES);
		return false;
	}
	control = file_find_control(source, (uint32_t)source_bytes);
	if (!control)
		return true;
	asm_lex_init(&x, source, (uint32_t)source_bytes);
	asm_lex_seek(&x, control);
	diag_add(a->d, DIAG_ERROR, x.line, (uint32_t)(x.at - x.line_start) + 1,
		 "byte 0x%02x is not text; give assembly source (vfm-dis reads bytecode)", (unsigned char)*control);
	return false;
}

static void assemble_lines(struct assembler *a)
{
	do
		assemble_line(a);
	while (!a->error && asm_lex_next_line(&a->lexer));
	if (a->error)
		return;
	asm_label_sort(&a->labels, a->d);
	asm_label_resolve(&a->labels, &a->uses, a->full ? NULL : a->code, a->d);
}

int asm_assemble_map(const char *source, size_t source_bytes, bool strict_manual, uint8_t **code, uint32_t *len,
		     struct asm_map *map, struct diag_list *d)
{
	struct assembler *a = calloc(1, sizeof(*a));
	uint32_t errors_before = d->errors;
	int ret = -ENOMEM;

	memset(map, 0, sizeof(*map));
	if (!a)
		return -ENOMEM;
	a->d = d;
	a->map = map;
	a->strict_manual = strict_manual;
	a->code = malloc(VFM_MAX_PROGRAM_BYTES);
	if (!a->code)
		goto out;
	collect_mnemonics(a);
	asm_lex_init(&a->lexer, source, (uint32_t)source_bytes);
	if (check_text(a, source, source_bytes))
		assemble_lines(a);
	ret = a->error ? a->error : d->errors > errors_before ? -EINVAL : 0;
	if (!ret) {
		*code = a->code;
		*len = a->len;
		a->code = NULL;
	}
out:
	asm_label_fini(&a->labels);
	asm_label_fini(&a->uses);
	free(a->code);
	free(a);
	return ret;
}

int asm_assemble(const char *source, size_t source_bytes, bool strict_manual, uint8_t **code, uint32_t *len, struct diag_list *d)
{
	struct asm_map map;
	int ret = asm_assemble_map(source, source_bytes, strict_manual, code, len, &map, d);

	asm_map_fini(&map);
	return ret;
}

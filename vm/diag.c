#include "vm/diag.h"

#include <stdarg.h>
#include <string.h>

#define SHOWN_LINE_BYTES 160

void diag_init(struct diag_list *d, const char *file, const char *source, uint32_t source_bytes)
{
	memset(d, 0, sizeof(*d));
	d->file = file;
	d->source = source;
	d->source_bytes = source_bytes;
}

void diag_add(struct diag_list *d, enum diag_severity severity, uint32_t line, uint32_t column, const char *format, ...)
{
	struct diag *item;
	va_list args;

	if (severity == DIAG_ERROR)
		d->errors++;
	if (d->count == DIAG_MAX) {
		d->dropped++;
		return;
	}
	item = &d->items[d->count++];
	item->severity = severity;
	item->line = line;
	item->column = column;
	va_start(args, format);
	vsnprintf(item->text, sizeof(item->text), format, args);
	va_end(args);
}

/* Finds line number `line` of the source, without its line end. */
static bool find_line(const struct diag_list *d, uint32_t line, const char **text, uint32_t *bytes)
{
	const char *at = d->source, *end;

	if (!d->source || !line)
		return false;
	end = d->source + d->source_bytes;
	for (uint32_t i = 1; i < line; i++) {
		at = memchr(at, '\n', (size_t)(end - at));
		if (!at)
			return false;
		at++;
	}
	*text = at;
	at = memchr(at, '\n', (size_t)(end - at));
	if (!at)
		at = end;
	if (at > *text && at[-1] == '\r')
		at--;
	*bytes = (uint32_t)(at - *text);
	return true;
}

/* A byte that is not the first of a UTF-8 character takes no room on the screen. */
static bool continues_character(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Text from a stranger's file goes to a terminal: control bytes are shown as '?'. */
static void print_source(const char *text, uint32_t bytes, FILE *out)
{
	for (uint32_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)text[i];

		fputc((c < 0x20 && c != '\t') || c == 0x7f ? '?' : c, out);
	}
}

/* As wide as text: a tab for a tab, a space for a character. */
static void print_padding(const char *text, uint32_t bytes, FILE *out)
{
	for (uint32_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!continues_character(c))
			fputc(c == '\t' ? '\t' : ' ', out);
	}
}

static void print_quote(const struct diag_list *d, const struct diag *item, FILE *out)
{
	const char *text;
	uint32_t bytes, caret, from = 0, shown;

	if (!find_line(d, item->line, &text, &bytes))
		return;
	caret = item->column ? item->column - 1 : 0;
	if (caret > bytes)
		caret = bytes;
	if (bytes > SHOWN_LINE_BYTES && caret > SHOWN_LINE_BYTES / 2)
		from = caret - SHOWN_LINE_BYTES / 2;
	while (from > 0 && continues_character((unsigned char)text[from]))
		from--;
	shown = bytes - from < SHOWN_LINE_BYTES ? bytes - from : SHOWN_LINE_BYTES;
	fputs("    ", out);
	print_source(text + from, shown, out);
	fputc('\n', out);
	if (!item->column)
		return;
	fputs("    ", out);
	print_padding(text + from, caret - from, out);
	fputs("^\n", out);
}

static void print_one(const struct diag_list *d, const struct diag *item, FILE *out)
{
	if (d->file)
		fprintf(out, "%s:", d->file);
	if (item->line)
		fprintf(out, "%u:", item->line);
	if (item->line && item->column)
		fprintf(out, "%u:", item->column);
	if (d->file || item->line)
		fputc(' ', out);
	fprintf(out, "%s: %s\n", item->severity == DIAG_ERROR ? "error" : "warning", item->text);
	print_quote(d, item, out);
}

static bool comes_before(const struct diag *a, const struct diag *b)
{
	return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void diag_print(const struct diag_list *d, FILE *out)
{
	uint32_t order[DIAG_MAX] = {0};

	for (uint32_t i = 0; i < d->count; i++) {
		uint32_t j = i;

		for (; j > 0 && comes_before(&d->items[i], &d->items[order[j - 1]]); j--)
			order[j] = order[j - 1];
		order[j] = i;
	}
	for (uint32_t i = 0; i < d->count; i++)
		print_one(d, &d->items[order[i]], out);
	if (d->dropped)
		fprintf(out, "%s%s%u more not shown: correct these first\n", d->file ? d->file : "", d->file ? ": " : "",
			d->dropped);
}

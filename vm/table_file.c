/* table_file.c: see table_file.h. */
#include "vm/table_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_FILE_FIRST_ROOM 256u

void table_file_fini(struct table_file *t)
{
	free(t->entries);
	*t = (struct table_file){0};
}

void table_file_append(struct table_file *t, const struct table_file_entry *e)
{
	if (t->n == t->room) {
		size_t room = t->room ? 2 * t->room : TABLE_FILE_FIRST_ROOM;
		struct table_file_entry *grown = reallocarray(t->entries, room, sizeof(*grown));

		if (!grown) {
			t->failed = true;
			return;
		}
		t->entries = grown;
		t->room = room;
	}
	t->entries[t->n++] = *e;
}

static int compare_entries(const void *a, const void *b)
{
	const struct table_file_entry *x = a, *y = b;

	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return x->key < y->key ? -1 : x->key > y->key;
}

void table_file_sort(struct table_file *t)
{
	if (t->n)
		qsort(t->entries, t->n, sizeof(*t->entries), compare_entries);
}

int table_file_write(struct table_file *t, FILE *out)
{
	table_file_sort(t);
	for (size_t i = 0; i < t->n; i++) {
		const struct table_file_entry *e = &t->entries[i];

		fprintf(out, "%u 0x%016" PRIx64 " 0x%016" PRIx64 "\n", e->table, e->key, e->value);
	}
	return ferror(out) ? -EIO : 0;
}

/* Skips blanks, then takes a number that ends at a blank or the end of the line. False: none there, or above 2^64 - 1. */
static bool take_number(const char **at, uint64_t *value)
{
	const char *text = *at + strspn(*at, " \t");
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char first = hex ? text[2] : text[0];
	char *end;

	*at = text;
	/* strtoull would take a sign, and a space after it. */
	if (!(first >= '0' && first <= '9') && !(hex && ((first >= 'a' && first <= 'f') || (first >= 'A' && first <= 'F'))))
		return false;
	errno = 0;
	*value = strtoull(text, &end, hex ? 16 : 10);
	if (errno || !strchr(" \t\r\n", *end))
		return false;
	*at = end;
	return true;
}

/* One line that is not empty and no comment; what is wrong with it goes into d. */
static void parse_line(struct table_file *t, const struct program *p, const char *line, uint32_t number, struct diag_list *d)
{
	static const char *const wanted[] = {"a table number", "a key", "a value"};
	uint64_t field[3];
	const char *at = line;

	for (int i = 0; i < 3; i++) {
		if (!take_number(&at, &field[i])) {
			diag_add(d, DIAG_ERROR, number, (uint32_t)(at - line) + 1,
				 "%s below 2^64 expected: a line is `table key value`, decimal or 0x...", wanted[i]);
			return;
		}
	}
	at += strspn(at, " \t\r");
	if (*at && *at != '\n') {
		diag_add(d, DIAG_ERROR, number, (uint32_t)(at - line) + 1, "text after the value: a line is `table key value`");
		return;
	}
	if (field[0] > UINT8_MAX || p->table_index[field[0]] < 0) {
		diag_add(d, DIAG_ERROR, number, 0,
			 "the program has no table %" PRIu64 ": remove the line or use the table in the program", field[0]);
		return;
	}
	table_file_append(t, &(struct table_file_entry){.table = (uint8_t)field[0], .key = field[1], .value = field[2]});
}

static void refuse_duplicates(const struct table_file *t, struct diag_list *d)
{
	for (size_t i = 1; i < t->n; i++)
		if (compare_entries(&t->entries[i - 1], &t->entries[i]) == 0)
			diag_add(d, DIAG_ERROR, 0, 0, "key 0x%016" PRIx64 " of table %u is given twice: keep one of its lines",
				 t->entries[i].key, t->entries[i].table);
}

int table_file_parse(struct table_file *t, const struct program *p, const char *text, size_t text_bytes, struct diag_list *d)
{
	const char *end = text + text_bytes;
	uint32_t number = 1;

	for (const char *line = text; line < end; number++) {
		const char *feed = memchr(line, '\n', (size_t)(end - line));
		size_t blanks = strspn(line, " \t\r");

		if (line + blanks < end && line[blanks] != '\n' && line[blanks] != '#')
			parse_line(t, p, line, number, d);
		line = feed ? feed + 1 : end;
	}
	table_file_sort(t);
	refuse_duplicates(t, d);
	if (t->failed)
		return -ENOMEM;
	return d->errors ? -EINVAL : 0;
}

uint32_t table_file_room(const struct table_file *t)
{
	uint32_t counts[256] = {0}, most = 0;

	for (size_t i = 0; i < t->n; i++) {
		uint32_t n = ++counts[t->entries[i].table];

		most = n > most ? n : most;
	}
	return most;
}

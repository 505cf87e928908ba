/* table_file.h: the contents of a program's tables as text: what --table writes and --preload reads.
 *
 * One line per entry, `table key value`: the table's number decimal, key and value as 0x and 16 hex digits; sorted by table, then
 * key. Reading also takes decimal keys and values, empty lines and lines that begin with '#'.
 */
#ifndef VM_TABLE_FILE_H
#define VM_TABLE_FILE_H

#include "vm/diag.h"
#include "vm/program.h"

#define TABLE_FILE_MAX_BYTES (1u << 30)

struct table_file_entry {
	uint8_t table; /* number as written in the program */
	uint64_t key;
	uint64_t value;
};

/* A growing list. Start from all zeros; table_file_fini() releases it. */
struct table_file {
	struct table_file_entry *entries;
	size_t n;
	size_t room;
	bool failed; /* memory ran out: entries are missing */
};

void table_file_fini(struct table_file *t);

/* Appends one entry; t->failed is set if memory runs out. */
void table_file_append(struct table_file *t, const struct table_file_entry *e);
/* Ascending by table, then key. */
void table_file_sort(struct table_file *t);
/* Sorts and writes. -EIO if out fails. */
int table_file_write(struct table_file *t, FILE *out);

/* Parses text (text_bytes without the NUL it must end in). Wrong lines, tables that the program does not have and keys given twice
 * are said in d; -EINVAL if there were any, -ENOMEM. On success t is sorted. */
int table_file_parse(struct table_file *t, const struct program *p, const char *text, size_t text_bytes, struct diag_list *d);
/* Largest number of entries that one table has in t: program_state_options.preload_room. */
uint32_t table_file_room(const struct table_file *t);

#endif

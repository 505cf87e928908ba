/* diag.h: what the libraries say to people. Libraries never print: they append to a list that the program prints.
 *
 * One diagnostic is printed as
 *     FILE:LINE:COL: error: TEXT
 *         SOURCE LINE
 *         ^
 * (line 0: no position; col 0: no caret). Every text says what is wrong and what to do.
 */
#ifndef VM_DIAG_H
#define VM_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define DIAG_MAX        64 /* later ones are counted, not kept */
#define DIAG_TEXT_BYTES 320

enum diag_severity { DIAG_ERROR, DIAG_WARNING };

struct diag {
	enum diag_severity severity;
	uint32_t line;   /* from 1; 0: none */
	uint32_t column; /* from 1, in bytes; 0: none */
	char text[DIAG_TEXT_BYTES];
};

struct diag_list {
	const char *file;   /* name for messages; not owned */
	const char *source; /* whole text, for the quoted line; not owned; NULL: none */
	uint32_t source_bytes;
	uint32_t count;   /* kept */
	uint32_t dropped; /* said but not kept */
	uint32_t errors;  /* kept or not */
	struct diag items[DIAG_MAX];
};

void diag_init(struct diag_list *d, const char *file, const char *source, uint32_t source_bytes);
void diag_add(struct diag_list *d, enum diag_severity severity, uint32_t line, uint32_t column, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* Prints all of them in order of position; lines longer than 160 bytes are shown around the caret. */
void diag_print(const struct diag_list *d, FILE *out);

#endif

/* verdict.h: what a packet got, as people and files say it.
 *
 * Verdict file: line n = packet n in input order: the returned value as decimal unsigned 64-bit number, or the error's name. Written
 * alike by every program that judges packets, so that two of them are compared with cmp(1).
 */
#ifndef VM_VERDICT_H
#define VM_VERDICT_H

#include <stdio.h>

#include "vm/interp.h"

/* A plan's guard refused the packet: an error of a split program, beside the machine's own. */
#define VERDICT_ERROR_GUARD (-32)

/* Errors that a packet of a verified program can meet: X(index name, error code, name in files). */
#define VERDICT_ERRORS(X) \
	X(BOUNDS, VFM_ERROR_BOUNDS, "BOUNDS") \
	X(DIVISION, VFM_ERROR_DIVISION_BY_ZERO, "DIVISION_BY_ZERO") \
	X(LIMIT, VFM_ERROR_LIMIT, "LIMIT") \
	X(GUARD, VERDICT_ERROR_GUARD, "GUARD")

#define VERDICT_ERROR_INDEX(index, code, name) VERDICT_INDEX_##index,
enum verdict_error_index { VERDICT_ERRORS(VERDICT_ERROR_INDEX) VERDICT_ERROR_KINDS };
#undef VERDICT_ERROR_INDEX

/* Index of an error code, -1 for success or a code that no verified program meets. */
int verdict_error_index(int error);
/* Code of an index below VERDICT_ERROR_KINDS. */
int verdict_error_code(enum verdict_error_index index);
/* Name in files of an index below VERDICT_ERROR_KINDS. */
const char *verdict_error_name(enum verdict_error_index index);

#define VERDICT_TEXT_BYTES 24 /* longest: 20 digits and a NUL */
/* The line without its line feed. */
void verdict_text(const struct vfm_result *r, char text[VERDICT_TEXT_BYTES]);
/* Appends one line; -EIO if out is in error. */
int verdict_write(FILE *out, const struct vfm_result *r);
/* Reads one line: 1 and *r, 0 at the end of the file, -EINVAL for anything else. */
int verdict_read(FILE *in, struct vfm_result *r);

#endif

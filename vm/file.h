/* file.h: a whole file in memory, with a bound. */
#ifndef VM_FILE_H
#define VM_FILE_H

#include <stdint.h>

/* Reads file `name` ("-": standard input) into *data (heap, the caller frees; a NUL byte follows the last one). -EFBIG if it has more
 * than max_bytes (nothing beyond is read), -ENOMEM, -errno of opening or reading. */
int file_read(const char *name, uint32_t max_bytes, char **data, uint32_t *bytes);
/* The first byte that source text cannot hold: a control byte other than tab, line feed, form feed, return. NULL: there is none, so
 * this is text and not bytecode. */
const char *file_find_control(const char *data, uint32_t bytes);
/* Writes all of it to file `name` ("-": standard output), replacing what was there; a file that could not be written whole is
 * removed. -errno. */
int file_write(const char *name, const void *data, uint32_t bytes);

#endif

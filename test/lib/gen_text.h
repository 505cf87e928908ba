/* gen_text.h: programs written as assembly text, piece by piece and by chance. One text at a time. */
#ifndef TEST_LIB_GEN_TEXT_H
#define TEST_LIB_GEN_TEXT_H

#include <stdint.h>

#include "vm/program.h"

/* Empty text, chances from the seed. */
void text_begin(uint64_t seed);
/* 0 .. n-1; n at least 1. */
uint32_t text_below(uint32_t n);
/* Appends; what is beyond 64 KiB is an error of the test, which ends. */
__attribute__((format(printf, 1, 2))) void text_add(const char *format, ...);
const char *text_so_far(void);
/* The program, which program_free() releases. NULL: *why says what is wrong, until the next call. */
struct program *text_assemble(const char **why);

#endif

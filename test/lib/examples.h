/* examples.h: every program of examples/ and of test/golden/analysis, for tests that hold for all of them. */
#ifndef TEST_EXAMPLES_H
#define TEST_EXAMPLES_H

#include "vm/program.h"

/* Calls visit for each, in a fixed order; p lives until it returns. From the top folder, where tests run. The number visited; 0 where
 * a program does not load (said on standard error) or none is found: a test should fail then. */
uint32_t examples_visit(void (*visit)(void *arg, const char *path, const struct program *p), void *arg);

#endif

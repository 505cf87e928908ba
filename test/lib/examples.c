/* examples.c: see examples.h. */
#include "test/lib/examples.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "vm/filter.h"

static const char *const patterns[] = {"examples/*.vfm", "examples/*.vfl", "examples/manual/*.vfm", "examples/manual/*.vfl",
				       "test/golden/analysis/*.vfm"};

static struct program *load(const char *path)
{
	struct diag_list *d = calloc(1, sizeof(*d));
	char *text = NULL;
	struct program *p;

	if (!d)
		return NULL;
	p = filter_read(path, 0, d, &text);
	if (!p)
		diag_print(d, stderr);
	free(text);
	free(d);
	return p;
}

uint32_t examples_visit(void (*visit)(void *arg, const char *path, const struct program *p), void *arg)
{
	glob_t names = {0};
	uint32_t n = 0;

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &names);
	for (size_t i = 0; i < names.gl_pathc; i++) {
		struct program *p = load(names.gl_pathv[i]);

		if (!p) {
			n = 0;
			break;
		}
		visit(arg, names.gl_pathv[i], p);
		program_free(p);
		n++;
	}
	globfree(&names);
	return n;
}

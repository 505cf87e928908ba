/* analyze.c: the table of contents: stage after stage. */
#include <errno.h>
#include <string.h>

#include "analysis/analyze.h"

int analysis_run(const struct program *program, struct analysis *a)
{
	int err;

	memset(a, 0, sizeof(*a));
	a->program = program;
	cert_digest_program(program, a->sha256);
	a->ir = ir_new(program, NULL);
	if (!a->ir)
		return -ENOMEM;
	err = objects_find(a->ir, &a->objects);
	if (!err)
		err = split_search(a->ir, &a->objects, &a->split);
	return err;
}

void analysis_fini(struct analysis *a)
{
	split_fini(&a->split);
	objects_fini(&a->objects);
	ir_free(a->ir);
	memset(a, 0, sizeof(*a));
}

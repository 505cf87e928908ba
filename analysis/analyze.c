/* analyze.c: the table of contents: stage after stage. */
#include <errno.h>
#include <string.h>

#include "analysis/analyze.h"

/* Has a path proved a name? */
static bool is_field(const struct dim *d)
{
	return d->header ? !strstr(d->name, " if ") : d->offset != DIM_NO_OFFSET && strncmp(d->name, "byte", 4) != 0;
}

/* Every field with a name that some object's path proved. */
static void collect_names(const struct analysis *a, struct dims *names)
{
	names->n = 0;
	for (uint32_t i = 0; i < a->objects.n; i++)
		for (uint32_t k = 0; k < a->stages.objects[i].dims.n; k++) {
			const struct dim *d = &a->stages.objects[i].dims.items[k];

			if (is_field(d) && names->n < DIMS_MAX)
				names->items[names->n++] = *d;
		}
}

/* What the certificate's steering program looks at. */
static int find_by(const struct analysis *a, const struct cert *c, struct dims *by)
{
	struct vfm_reject reject;
	struct program *steer;
	struct dims names;
	int err = -ENOMEM;
	struct ir *ir;

	if (!c || c->n_rows == 0)
		return 0;
	steer = program_new(c->steer, c->steer_bytes, 0, &reject);
	ir = steer ? ir_new(steer, NULL) : NULL;
	collect_names(a, &names);
	if (ir)
		err = dims_of_result(ir, &names, by);
	ir_free(ir);
	program_free(steer);
	return err;
}

int analysis_split(const struct program *program, struct analysis *a)
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
		err = stages_find(a->ir, &a->objects, &a->stages);
	if (!err)
		err = split_search(a->ir, &a->objects, &a->split);
	if (!err)
		err = find_by(a, a->split.cert, &a->by);
	return err;
}

int analysis_run(const struct program *program, struct analysis *a)
{
	int err = analysis_split(program, a);

	if (!err && a->split.verdict == SPLIT_PINNED)
		err = witness_find(a->ir, &a->objects, &a->witnesses);
	return err;
}

int analysis_choose(struct analysis *a, struct balance *b)
{
	struct choice *c = &a->choice;
	int err = 0;

	c->n = 1 + a->split.n_others;
	c->taken = balance_results(b, c->results);
	for (uint32_t i = 0; i < c->n && !err; i++)
		err = find_by(a, i ? a->split.others[i - 1] : a->split.cert, &c->by[i]);
	if (c->taken) {
		split_take(&a->split, c->taken - 1);
		a->by = c->by[c->taken];
	}
	return err;
}

struct balance *analysis_weigh(const struct analysis *a)
{
	const struct cert *all[1 + SPLIT_MAX_OTHERS] = {a->split.cert};

	for (uint32_t i = 0; i < a->split.n_others; i++)
		all[1 + i] = a->split.others[i];
	return balance_new(all, 1 + a->split.n_others);
}

void analysis_fini(struct analysis *a)
{
	split_fini(&a->split);
	stages_fini(&a->stages);
	objects_fini(&a->objects);
	ir_free(a->ir);
	memset(a, 0, sizeof(*a));
}

/* ir_simplify.c: removes parameters that are only another value: all their arguments are that value or the parameter itself.
 *
 * A worklist; when a parameter turns out to be v, everything that used it is looked at again. Users are kept as linked lists that
 * are joined when one value takes another's place, so the whole is near linear. For reducible control flow the result is minimal SSA
 * (Braun et al., "Simple and Efficient Construction of Static Single Assignment Form", 2013).
 */
#include <stdlib.h>

#include "vm/ir_parts.h"

struct simplifier {
	const struct ir *ir;
	const struct ir_draft *d;
	uint32_t *replaced; /* [value] union-find parent */
	/* Uses of a parameter as an argument; a use is an index into d->args. [parameter] first and last, [use] next and owner. */
	uint32_t *first, *last, *next, *owner;
	uint32_t *work;
	uint32_t n_work;
	uint8_t *queued;
};

static uint32_t find(struct simplifier *s, uint32_t v)
{
	while (s->replaced[v] != v) {
		s->replaced[v] = s->replaced[s->replaced[v]];
		v = s->replaced[v];
	}
	return v;
}

static void enqueue(struct simplifier *s, uint32_t param)
{
	if (s->queued[param])
		return;
	s->queued[param] = 1;
	s->work[s->n_work++] = param;
}

static void add_use(struct simplifier *s, uint32_t param, uint32_t use)
{
	s->next[use] = IR_NONE;
	if (s->first[param] == IR_NONE)
		s->first[param] = use;
	else
		s->next[s->last[param]] = use;
	s->last[param] = use;
}

static void collect_uses(struct simplifier *s)
{
	for (uint32_t i = 0; i < s->d->n_params; i++)
		s->first[i] = s->last[i] = IR_NONE;
	for (uint32_t i = 0; i < s->d->n_params; i++) {
		const struct ir_draft_param *p = &s->d->params[i];

		for (uint32_t j = 0; j < s->ir->blocks[p->block].n_preds; j++) {
			const struct ir_value *arg = &s->d->values[s->d->args[p->args + j]];

			s->owner[p->args + j] = i;
			if (arg->op == IR_PARAM)
				add_use(s, arg->a, p->args + j);
		}
		enqueue(s, i);
	}
}

/* The one value that all arguments are, apart from the parameter itself; IR_NONE if there are several. */
static uint32_t only_value(struct simplifier *s, const struct ir_draft_param *p)
{
	uint32_t only = IR_NONE;

	for (uint32_t j = 0; j < s->ir->blocks[p->block].n_preds; j++) {
		uint32_t v = find(s, s->d->args[p->args + j]);

		if (v == p->value || v == only)
			continue;
		if (only != IR_NONE)
			return IR_NONE;
		only = v;
	}
	return only;
}

/* Parameter i is v: its users become v's users. */
static void replace(struct simplifier *s, uint32_t i, uint32_t v)
{
	const struct ir_value *by = &s->d->values[v];

	s->replaced[s->d->params[i].value] = v;
	for (uint32_t use = s->first[i]; use != IR_NONE; use = s->next[use])
		enqueue(s, s->owner[use]);
	if (by->op != IR_PARAM || s->first[i] == IR_NONE)
		return;
	if (s->first[by->a] == IR_NONE)
		s->first[by->a] = s->first[i];
	else
		s->next[s->last[by->a]] = s->first[i];
	s->last[by->a] = s->last[i];
	s->first[i] = s->last[i] = IR_NONE;
}

static void run(struct simplifier *s)
{
	collect_uses(s);
	while (s->n_work) {
		uint32_t i = s->work[--s->n_work];
		const struct ir_draft_param *p = &s->d->params[i];
		uint32_t only;

		s->queued[i] = 0;
		if (s->replaced[p->value] != p->value)
			continue;
		only = only_value(s, p);
		if (only != IR_NONE)
			replace(s, i, only);
	}
	for (uint32_t v = 0; v < s->d->n_values; v++)
		s->replaced[v] = find(s, v);
}

int ir_simplify(const struct ir *ir, const struct ir_draft *d, uint32_t *replaced)
{
	struct simplifier s = {.ir = ir, .d = d, .replaced = replaced};
	size_t params = d->n_params + 1ul, args = d->n_args + 1ul;
	int err = -1;

	for (uint32_t v = 0; v < d->n_values; v++)
		replaced[v] = v;
	s.first = malloc(params * sizeof(uint32_t));
	s.last = malloc(params * sizeof(uint32_t));
	s.next = malloc(args * sizeof(uint32_t));
	s.owner = malloc(args * sizeof(uint32_t));
	s.work = malloc(params * sizeof(uint32_t));
	s.queued = calloc(params, 1);
	if (s.first && s.last && s.next && s.owner && s.work && s.queued) {
		run(&s);
		err = 0;
	}
	free(s.first);
	free(s.last);
	free(s.next);
	free(s.owner);
	free(s.work);
	free(s.queued);
	return err;
}

/* opt_dead.c: marks what must be computed: whatever may fault or updates a table, and what that, a branch or the result is made
 * of. Parameters of loops need a worklist; the rest falls out of it. */
#include <errno.h>
#include <stdlib.h>

#include "jit/parts.h"

struct marker {
	const struct ir *ir;
	uint8_t *needed;
	uint32_t *work;
	uint32_t n;
};

static void need(struct marker *m, uint32_t v)
{
	if (v == IR_NONE || m->needed[v])
		return;
	m->needed[v] = 1;
	m->work[m->n++] = v;
}

static void need_args(struct marker *m, uint32_t param)
{
	uint32_t id = ir_block_of(m->ir, param);
	const struct ir_block *b = &m->ir->blocks[id];

	for (uint32_t j = 0; j < b->n_preds; j++) {
		const struct ir_pred *p = &m->ir->preds[b->preds + j];

		need(m, m->ir->args[m->ir->blocks[p->block].succ[p->succ].args + param - b->first]);
	}
}

static void propagate(struct marker *m)
{
	while (m->n) {
		uint32_t v = m->work[--m->n];

		need(m, m->ir->values[v].a);
		need(m, m->ir->values[v].b);
		if (m->ir->values[v].op == IR_PARAM)
			need_args(m, v);
	}
}

static bool is_plain_load(const struct ir_value *v)
{
	return v->op >= IR_LD8 && v->op <= IR_LD64;
}

/* A test needs the value that its window is of, if any. */
static void need_terminator(struct marker *m, const struct ir_block *b, const struct gist *g)
{
	if (!g || !g->ends_in_test) {
		need(m, b->a);
		need(m, b->b);
	} else if (jit_window_of_value(g->window.at)) {
		need(m, jit_window_value(g->window.at));
	}
}

/* gists NULL: loads may fault, and no block ends in a list. */
static int mark(const struct ir *ir, const struct gist *gists, uint8_t **needed)
{
	struct marker m = {.ir = ir, .needed = calloc(ir->n_values + 1ul, 1)};

	m.work = malloc((ir->n_values + 1ul) * sizeof(*m.work));
	if (!m.needed || !m.work) {
		free(m.needed);
		free(m.work);
		return -ENOMEM;
	}
	for (uint32_t v = 0; v < ir->n_values; v++)
		if ((ir_ops[ir->values[v].op].flags & (IR_F_FAULT | IR_F_UPDATE)) && !(gists && is_plain_load(&ir->values[v])))
			need(&m, v);
	for (uint32_t i = 0; i < ir->n_blocks; i++)
		need_terminator(&m, &ir->blocks[i], gists ? &gists[i] : NULL);
	propagate(&m);
	free(m.work);
	*needed = m.needed;
	return 0;
}

int jit_dead(const struct ir *ir, uint8_t **needed)
{
	return mark(ir, NULL, needed);
}

int jit_dead_tests(const struct ir *ir, const struct gist *gists, uint8_t **needed)
{
	return mark(ir, gists, needed);
}

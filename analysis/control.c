/* control.c: post-dominators (Cooper, Harvey, Kennedy on the reversed graph) and control dependence from them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/control.h"

struct reverse {
	const struct ir *ir;
	uint32_t exit;    /* the virtual block behind every RET: n_blocks */
	uint32_t n;       /* blocks in order */
	uint32_t *order;  /* [n_blocks + 1] reverse post-order of the reversed graph; order[0] is the exit */
	uint32_t *number; /* [n_blocks + 1] place in order */
	uint32_t *at;     /* [n_blocks + 1] depth-first search: next predecessor to look at */
	uint32_t *stack;  /* [n_blocks + 1] */
};

static uint32_t n_before(const struct reverse *r, uint32_t b)
{
	return b == r->exit ? r->ir->n_blocks : r->ir->blocks[b].n_preds;
}

/* The i-th block before b; of the exit every block, of which those that do not return are skipped. */
static bool before(const struct reverse *r, uint32_t b, uint32_t i, uint32_t *out)
{
	*out = b == r->exit ? i : r->ir->preds[r->ir->blocks[b].preds + i].block;
	return b != r->exit || r->ir->blocks[i].term == IR_RET;
}

static void number_blocks(struct reverse *r)
{
	uint32_t total = r->ir->n_blocks + 1, depth = 0, place = total;

	for (uint32_t b = 0; b < total; b++)
		r->number[b] = IR_NONE;
	r->stack[depth++] = r->exit;
	r->number[r->exit] = 0;
	while (depth) {
		uint32_t b = r->stack[depth - 1], p;

		if (r->at[b] == n_before(r, b)) {
			r->order[--place] = b;
			depth--;
			continue;
		}
		if (before(r, b, r->at[b]++, &p) && r->number[p] == IR_NONE) {
			r->number[p] = 0;
			r->stack[depth++] = p;
		}
	}
	/* The verifier proved that every block reaches a RET, so all were found and place is 0. */
	r->n = total - place;
	memmove(r->order, r->order + place, r->n * sizeof(*r->order));
	for (uint32_t i = 0; i < r->n; i++)
		r->number[r->order[i]] = i;
}

static uint32_t intersect(const struct reverse *r, const uint32_t *ipdom, uint32_t a, uint32_t b)
{
	while (a != b) {
		while (r->number[a] > r->number[b])
			a = ipdom[a];
		while (r->number[b] > r->number[a])
			b = ipdom[b];
	}
	return a;
}

static uint32_t after(const struct reverse *r, uint32_t b, uint32_t i)
{
	return r->ir->blocks[b].term == IR_RET ? r->exit : r->ir->blocks[b].succ[i].block;
}

static uint32_t n_after(const struct reverse *r, uint32_t b)
{
	return r->ir->blocks[b].term == IR_RET ? 1 : r->ir->blocks[b].n_succs;
}

/* ipdom has n_blocks + 1 places. */
static void post_dominate(const struct reverse *r, uint32_t *ipdom)
{
	bool changed = true;

	for (uint32_t b = 0; b <= r->exit; b++)
		ipdom[b] = IR_NONE;
	ipdom[r->exit] = r->exit;
	while (changed) {
		changed = false;
		for (uint32_t i = 1; i < r->n; i++) {
			uint32_t b = r->order[i], best = IR_NONE;

			for (uint32_t k = 0; k < n_after(r, b); k++) {
				uint32_t s = after(r, b, k);

				if (ipdom[s] != IR_NONE)
					best = best == IR_NONE ? s : intersect(r, ipdom, best, s);
			}
			changed = changed || best != ipdom[b];
			ipdom[b] = best;
		}
	}
}

/* Puts each (branch, block it decides on) into its list; fill NULL: only counts into first[block + 1]. */
static void decide(const struct ir *ir, struct control *c, uint32_t *fill)
{
	for (uint32_t b = 0; b < ir->n_blocks; b++) {
		if (ir->blocks[b].term != IR_BRANCH)
			continue;
		for (uint32_t k = 0; k < 2; k++)
			for (uint32_t x = ir->blocks[b].succ[k].block; x != c->ipdom[b] && x < ir->n_blocks; x = c->ipdom[x]) {
				if (fill)
					c->deciders[c->first[x] + fill[x]++] = b;
				else
					c->first[x + 1]++;
			}
	}
}

static int list_deciders(const struct ir *ir, struct control *c, uint32_t *fill)
{
	decide(ir, c, NULL);
	for (uint32_t b = 0; b < ir->n_blocks; b++)
		c->first[b + 1] += c->first[b];
	c->deciders = calloc(c->first[ir->n_blocks] + 1ul, sizeof(*c->deciders));
	if (!c->deciders)
		return -ENOMEM;
	decide(ir, c, fill);
	return 0;
}

int control_find(const struct ir *ir, struct control *c)
{
	size_t n = ir->n_blocks + 1ul;
	struct reverse r = {.ir = ir, .exit = ir->n_blocks};
	uint32_t *scratch = calloc(4 * n, sizeof(*scratch));
	int err = -ENOMEM;

	*c = (struct control){.n_blocks = ir->n_blocks};
	c->ipdom = malloc(n * sizeof(*c->ipdom));
	c->first = calloc(n, sizeof(*c->first));
	c->queue = malloc(n * sizeof(*c->queue));
	c->seen = calloc(n, sizeof(*c->seen));
	if (scratch && c->ipdom && c->first && c->queue && c->seen) {
		r.order = scratch;
		r.number = scratch + n;
		r.at = scratch + 2 * n;
		r.stack = scratch + 3 * n;
		number_blocks(&r);
		post_dominate(&r, c->ipdom);
		memset(scratch, 0, n * sizeof(*scratch));
		err = list_deciders(ir, c, scratch);
	}
	free(scratch);
	return err;
}

void control_fini(struct control *c)
{
	free(c->ipdom);
	free(c->first);
	free(c->deciders);
	free(c->queue);
	free(c->seen);
	memset(c, 0, sizeof(*c));
}

static void look_before(const struct ir *ir, struct control *c, uint32_t block, uint32_t *n)
{
	for (uint32_t i = 0; i < ir->blocks[block].n_preds; i++) {
		uint32_t p = ir->preds[ir->blocks[block].preds + i].block;

		if (c->seen[p] == c->round)
			continue;
		c->seen[p] = c->round;
		c->queue[(*n)++] = p;
	}
}

uint32_t control_gate(const struct ir *ir, struct control *c, uint32_t block, const uint32_t **list)
{
	uint32_t n = 0;

	c->round++;
	/* The dominator is a member, but what lies before it is not: it stands first and is not looked behind. */
	c->seen[ir->idom[block]] = c->round;
	c->queue[n++] = ir->idom[block];
	look_before(ir, c, block, &n);
	for (uint32_t at = 1; at < n; at++)
		look_before(ir, c, c->queue[at], &n);
	*list = c->queue;
	return n;
}

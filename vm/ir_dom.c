/* ir_dom.c: immediate dominators.
 *
 * Lengauer and Tarjan, "A fast algorithm for finding dominators in a flowgraph" (1979), the simple version with path compression:
 * O(edges * log blocks) for any flow graph. (The usual iteration over reverse post-order is quadratic on a long chain of tests with
 * one common exit, which is what a policy of many rules looks like.)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/ir.h"

/* Nodes are numbered 0 .. n-1 in depth-first preorder; vertex maps a number to its block. */
struct dom {
	const struct ir *ir;
	uint32_t *number; /* [block] */
	uint32_t *vertex, *parent, *semi, *label, *ancestor, *dom;
	uint32_t *bucket, *next_in_bucket;
	uint32_t *stack; /* two words per node */
};

static void search(struct dom *d)
{
	uint32_t depth = 0, n = 0;

	memset(d->number, 0xff, d->ir->n_blocks * sizeof(uint32_t));
	d->number[0] = n;
	d->vertex[n] = 0;
	d->parent[n++] = 0;
	d->stack[depth++] = 0;
	d->stack[depth++] = 0;
	while (depth) {
		uint32_t k = d->stack[depth - 1]++, from = d->stack[depth - 2], to;

		if (k >= d->ir->blocks[from].n_succs) {
			depth -= 2;
			continue;
		}
		to = d->ir->blocks[from].succ[k].block;
		if (d->number[to] != IR_NONE)
			continue;
		d->number[to] = n;
		d->vertex[n] = to;
		d->parent[n++] = d->number[from];
		d->stack[depth++] = to;
		d->stack[depth++] = 0;
	}
}

/* Shortens the path from v to the root of its tree; afterwards label[v] has the least semi on that path. */
static void compress(struct dom *d, uint32_t v)
{
	uint32_t depth = 0;

	while (d->ancestor[d->ancestor[v]] != IR_NONE) {
		d->stack[depth++] = v;
		v = d->ancestor[v];
	}
	while (depth) {
		uint32_t w = d->stack[--depth], above = d->ancestor[w];

		if (d->semi[d->label[above]] < d->semi[d->label[w]])
			d->label[w] = d->label[above];
		d->ancestor[w] = d->ancestor[above];
	}
}

static uint32_t eval(struct dom *d, uint32_t v)
{
	if (d->ancestor[v] == IR_NONE)
		return v;
	compress(d, v);
	return d->label[v];
}

static void find_semi(struct dom *d, uint32_t w)
{
	const struct ir_block *blk = &d->ir->blocks[d->vertex[w]];

	for (uint32_t j = 0; j < blk->n_preds; j++) {
		uint32_t u = eval(d, d->number[d->ir->preds[blk->preds + j].block]);

		if (d->semi[u] < d->semi[w])
			d->semi[w] = d->semi[u];
	}
	d->next_in_bucket[w] = d->bucket[d->semi[w]];
	d->bucket[d->semi[w]] = w;
}

static void run(struct dom *d)
{
	uint32_t n = d->ir->n_blocks;

	search(d);
	for (uint32_t v = 0; v < n; v++) {
		d->semi[v] = d->label[v] = v;
		d->ancestor[v] = d->bucket[v] = IR_NONE;
	}
	for (uint32_t w = n - 1; w > 0; w--) {
		uint32_t p = d->parent[w];

		find_semi(d, w);
		d->ancestor[w] = p;
		for (uint32_t v = d->bucket[p]; v != IR_NONE; v = d->next_in_bucket[v]) {
			uint32_t u = eval(d, v);

			d->dom[v] = d->semi[u] < d->semi[v] ? u : p;
		}
		d->bucket[p] = IR_NONE;
	}
	d->dom[0] = 0;
	for (uint32_t w = 1; w < n; w++)
		if (d->dom[w] != d->semi[w])
			d->dom[w] = d->dom[d->dom[w]];
}

/* Intervals of a walk over the dominator tree. A block's id is larger than its dominator's, so sizes are summed from the end and
 * places given from the start. next has room for a word per block. */
static void number_tree(struct ir *ir, uint32_t *next)
{
	uint32_t n = ir->n_blocks;

	for (uint32_t i = 0; i < n; i++)
		ir->dom_out[i] = 1; /* for now the size of the subtree */
	for (uint32_t i = n - 1; i > 0; i--)
		ir->dom_out[ir->idom[i]] += ir->dom_out[i];
	for (uint32_t i = 0; i < n; i++) {
		uint32_t size = ir->dom_out[i];

		ir->dom_in[i] = i ? next[ir->idom[i]] : 0;
		if (i)
			next[ir->idom[i]] += size;
		next[i] = ir->dom_in[i] + 1;
		ir->dom_out[i] = ir->dom_in[i] + size - 1;
	}
}

int ir_dom(struct ir *ir)
{
	size_t n = ir->n_blocks;
	uint32_t *work = malloc(11 * n * sizeof(*work));
	struct dom d = {.ir = ir};

	ir->idom = malloc(n * sizeof(*ir->idom));
	ir->dom_in = malloc(n * sizeof(*ir->dom_in));
	ir->dom_out = malloc(n * sizeof(*ir->dom_out));
	if (!work || !ir->idom || !ir->dom_in || !ir->dom_out) {
		free(work);
		return -ENOMEM;
	}
	d.number = work;
	d.vertex = work + n;
	d.parent = work + 2 * n;
	d.semi = work + 3 * n;
	d.label = work + 4 * n;
	d.ancestor = work + 5 * n;
	d.dom = work + 6 * n;
	d.bucket = work + 7 * n;
	d.next_in_bucket = work + 8 * n;
	d.stack = work + 9 * n;
	run(&d);
	for (uint32_t i = 0; i < n; i++)
		ir->idom[i] = d.vertex[d.dom[d.number[i]]];
	number_tree(ir, work);
	free(work);
	return 0;
}

/* ir_path.c: the most that one packet can cause: instructions, table accesses, updates; each as a longest path.
 *
 * Strongly connected components are found first (Tarjan, iterative); they come out successors first, so a component's longest
 * continuation is known when it is completed. Inside a cycle every count that is not zero is unbounded. Linear.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/ir.h"

struct search {
	struct ir *ir;
	uint32_t *index, *low; /* [block]; index IR_NONE: not seen; low IR_NONE: its component is complete */
	uint32_t *open;        /* blocks of incomplete components */
	uint32_t *walk;        /* two words per block: block, successor */
	uint32_t n_open, n_seen;
	struct ir_path *longest; /* [block] from its entry to the end; of complete components */
};

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a > IR_UNBOUNDED - b ? IR_UNBOUNDED : a + b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static struct ir_path weight(const struct ir *ir, uint32_t block)
{
	const struct ir_block *b = &ir->blocks[block];
	struct ir_path w = {.insns = b->insns};

	for (uint32_t v = b->first; v < b->first + b->n_values; v++) {
		uint16_t flags = ir_ops[ir->values[v].op].flags;

		w.accesses += (flags & (IR_F_READ | IR_F_UPDATE)) != 0;
		w.updates += (flags & IR_F_UPDATE) != 0;
	}
	return w;
}

static uint64_t in_cycle(uint64_t count)
{
	return count ? IR_UNBOUNDED : 0;
}

static bool is_cycle(const struct ir *ir, const uint32_t *members, uint32_t n)
{
	const struct ir_block *b = &ir->blocks[members[0]];

	if (n > 1)
		return true;
	for (unsigned k = 0; k < b->n_succs; k++)
		if (b->succ[k].block == members[0])
			return true;
	return false;
}

/* A component is complete: everything it leads to is too. */
static void complete(struct search *s, const uint32_t *members, uint32_t n)
{
	struct ir_path own = {0}, rest = {0};

	for (uint32_t i = 0; i < n; i++)
		s->low[members[i]] = IR_NONE;
	for (uint32_t i = 0; i < n; i++) {
		const struct ir_block *b = &s->ir->blocks[members[i]];
		struct ir_path w = weight(s->ir, members[i]);

		own.insns = plus(own.insns, w.insns);
		own.accesses = plus(own.accesses, w.accesses);
		own.updates = plus(own.updates, w.updates);
		for (unsigned k = 0; k < b->n_succs; k++) {
			const struct ir_path *next = &s->longest[b->succ[k].block];

			/* An edge inside the component adds its zero-initialised entry. */
			rest.insns = max(rest.insns, next->insns);
			rest.accesses = max(rest.accesses, next->accesses);
			rest.updates = max(rest.updates, next->updates);
		}
	}
	if (is_cycle(s->ir, members, n)) {
		own.insns = in_cycle(own.insns);
		own.accesses = in_cycle(own.accesses);
		own.updates = in_cycle(own.updates);
	}
	rest.insns = plus(rest.insns, own.insns);
	rest.accesses = plus(rest.accesses, own.accesses);
	rest.updates = plus(rest.updates, own.updates);
	for (uint32_t i = 0; i < n; i++)
		s->longest[members[i]] = rest;
}

static void close_block(struct search *s, uint32_t block)
{
	uint32_t first = s->n_open;

	if (s->low[block] != s->index[block])
		return;
	do
		first--;
	while (s->open[first] != block);
	complete(s, s->open + first, s->n_open - first);
	s->n_open = first;
}

static void open_block(struct search *s, uint32_t block, uint32_t *depth)
{
	s->index[block] = s->low[block] = s->n_seen++;
	s->open[s->n_open++] = block;
	s->walk[(*depth)++] = block;
	s->walk[(*depth)++] = 0;
}

static void run(struct search *s)
{
	uint32_t depth = 0;

	open_block(s, 0, &depth);
	while (depth) {
		uint32_t block = s->walk[depth - 2], k = s->walk[depth - 1]++, to;
		const struct ir_block *b = &s->ir->blocks[block];

		if (k >= b->n_succs) {
			uint32_t low = s->low[block];

			close_block(s, block);
			depth -= 2;
			if (depth && s->low[block] != IR_NONE && low < s->low[s->walk[depth - 2]])
				s->low[s->walk[depth - 2]] = low;
			continue;
		}
		to = b->succ[k].block;
		if (s->index[to] == IR_NONE)
			open_block(s, to, &depth);
		else if (s->low[to] != IR_NONE && s->index[to] < s->low[block])
			s->low[block] = s->index[to];
	}
	s->ir->path = s->longest[0];
}

int ir_path(struct ir *ir)
{
	size_t n = ir->n_blocks;
	struct search s = {.ir = ir};
	uint32_t *work = malloc(5 * n * sizeof(*work));

	s.longest = calloc(n, sizeof(*s.longest));
	if (!work || !s.longest) {
		free(work);
		free(s.longest);
		return -ENOMEM;
	}
	s.index = work;
	s.low = work + n;
	s.open = work + 2 * n;
	s.walk = work + 3 * n;
	memset(s.index, 0xff, n * sizeof(*s.index));
	run(&s);
	free(work);
	free(s.longest);
	return 0;
}

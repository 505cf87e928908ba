/* lift_flow.c: what is known at the entry of each block (symbols, bytes checked), and which homes are alive there.
 *
 * Both are fixed points over passes in order of address. Symbols start unknown and only fall to REG; liveness only grows. A program
 * that needs more than MAX_PASSES (only made on purpose) gets the safe answer: everything in its home, everything alive.
 */
#include <errno.h>
#include <string.h>

#include "vm/regcode.h"

#define MAX_PASSES 32u

static bool same(const struct sym *a, const struct sym *b)
{
	return a->kind == b->kind && a->v == b->v && a->end == b->end && a->shift == b->shift;
}

/* ---- symbols ---- */

/* Joins the state at the end of the block just lifted into block `to`. */
static bool join(struct lift *l, uint32_t to)
{
	struct block *t = &l->blocks[to];
	bool changed = !t->reached;

	for (uint32_t k = 0; k < LIFT_SYMBOLS && k < t->lo_in; k++) {
		struct sym s = l->stack[l->sp - 1 - k];

		if (s.kind == SYM_REG)
			s = (struct sym){.kind = SYM_REG};
		if (t->reached && !same(&t->in[k], &s))
			s = (struct sym){.kind = SYM_REG};
		if (!same(&t->in[k], &s))
			changed = true;
		t->in[k] = s;
	}
	if (!t->reached || l->checked < t->checked) {
		t->checked = l->checked;
		changed = true;
	}
	t->reached = true;
	return changed;
}

static bool symbol_pass(struct lift *l)
{
	bool changed = false;

	for (uint32_t b = 0; b < l->n_blocks; b++) {
		const struct block *block = &l->blocks[b];

		if (!block->reached)
			continue;
		lift_symbols(l, b);
		if (l->term.kind == TERM_JMP || l->term.kind == TERM_COND)
			changed |= join(l, block->taken);
		if (l->term.kind == TERM_NEXT || l->term.kind == TERM_COND)
			changed |= join(l, block->next);
	}
	return changed;
}

static void know_nothing(struct lift *l)
{
	for (uint32_t b = 0; b < l->n_blocks; b++) {
		l->blocks[b].reached = true;
		l->blocks[b].checked = 0;
		for (uint32_t k = 0; k < LIFT_SYMBOLS; k++)
			l->blocks[b].in[k] = (struct sym){.kind = SYM_REG};
	}
}

/* ---- live homes ---- */

static void set_bit(uint64_t set[4], uint32_t j)
{
	set[j / 64] |= 1ULL << (j % 64);
}

static bool test_bit(const uint64_t set[4], uint32_t j)
{
	return set[j / 64] >> (j % 64) & 1;
}

static void note_use(struct block *block, uint32_t reg)
{
	if (reg < REG_HOMES)
		set_bit(block->use, reg);
}

/* Homes that the block reads, and those that it overwrites if they are alive after it. */
static void find_uses(struct lift *l, uint32_t b)
{
	struct block *block = &l->blocks[b];
	uint32_t *reads[2];

	lift_symbols(l, b);
	for (uint32_t i = 0; i < l->n_ops; i++)
		for (uint32_t n = lift_reads(&l->ops[i], reads); n; n--)
			note_use(block, *reads[n - 1]);
	for (uint32_t n = lift_term_reads(&l->term, reads); n; n--)
		note_use(block, *reads[n - 1]);
	for (uint32_t j = 0; j < l->sp; j++) {
		const struct sym *s = &l->stack[j];

		if (s->kind == SYM_REG && s->end == j)
			continue;
		set_bit(block->kill, j);
		if (s->kind == SYM_REG)
			note_use(block, s->end);
	}
}

/* Adds what block `to` needs alive at its entry to `out`, in the numbering of block `from`. */
static void add_needed(const struct lift *l, uint32_t from, uint32_t to, uint64_t out[4])
{
	const struct block *t = &l->blocks[to];
	uint32_t distance = (uint32_t)(l->blocks[from].lo_out - t->lo_in);

	for (uint32_t j = 0; j < t->lo_in; j++)
		if (test_bit(t->live, j))
			set_bit(out, j + distance);
}

/* live = use | (needed after - kill), without slots that arrive as symbols. */
static bool live_through(struct lift *l, uint32_t b)
{
	struct block *block = &l->blocks[b];
	uint64_t out[4] = {0};
	bool changed = false;

	if (block->taken != UINT32_MAX)
		add_needed(l, b, block->taken, out);
	if (block->next != UINT32_MAX)
		add_needed(l, b, block->next, out);
	for (uint32_t w = 0; w < 4; w++) {
		uint64_t live = block->use[w] | (out[w] & ~block->kill[w]);

		changed |= live != block->live[w];
		block->live[w] = live;
	}
	return changed;
}

static bool live_pass(struct lift *l)
{
	bool changed = false;

	for (uint32_t b = l->n_blocks; b-- > 0;)
		if (l->blocks[b].reached)
			changed |= live_through(l, b);
	return changed;
}

static void all_alive(struct lift *l)
{
	for (uint32_t b = 0; b < l->n_blocks; b++)
		for (uint32_t j = 0; j < l->blocks[b].lo_in; j++) {
			uint32_t from_top = l->blocks[b].lo_in - 1 - j;

			if (from_top >= LIFT_SYMBOLS || l->blocks[b].in[from_top].kind == SYM_REG)
				set_bit(l->blocks[b].live, j);
		}
}

int lift_flow(struct lift *l)
{
	uint32_t pass = 0;

	l->blocks[0].reached = true;
	while (symbol_pass(l))
		if (++pass == MAX_PASSES) {
			know_nothing(l);
			break;
		}
	for (uint32_t b = 0; b < l->n_blocks; b++)
		if (l->blocks[b].reached)
			find_uses(l, b);
	pass = 0;
	while (live_pass(l))
		if (++pass == MAX_PASSES) {
			all_alive(l);
			break;
		}
	return l->failed ? -ENOMEM : 0;
}

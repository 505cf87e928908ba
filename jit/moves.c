/* moves.c: values to where they are wanted, all at once: no place is overwritten before it has been read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/parts.h"

static void move_place(struct jit_moves *m, uint32_t d, uint32_t s)
{
	uint8_t via = m->t->scratch[0];

	if (d < JIT_PLACE_REGS && s < JIT_PLACE_REGS)
		m->t->move(m->b, (uint8_t)d, (uint8_t)s);
	else if (d < JIT_PLACE_REGS)
		m->t->load_slot(m->b, (uint8_t)d, s - JIT_PLACE_REGS);
	else if (s < JIT_PLACE_REGS)
		m->t->store_slot(m->b, d - JIT_PLACE_REGS, (uint8_t)s);
	else {
		m->t->load_slot(m->b, via, s - JIT_PLACE_REGS);
		m->t->store_slot(m->b, d - JIT_PLACE_REGS, via);
	}
}

/* What is left when nothing is ready are cycles, each place with one reader. Goes once round the one through first. */
static void move_cycle(struct jit_moves *m, uint32_t first, uint8_t spare)
{
	uint32_t at = first;

	move_place(m, spare, first);
	for (;;) {
		uint32_t from = m->source[at];

		m->source[at] = IR_NONE;
		m->readers[from]--;
		if (from == first) {
			move_place(m, at, spare);
			return;
		}
		move_place(m, at, from);
		at = from;
	}
}

void jit_moves_do(struct jit_moves *m, const struct jit_target *t, struct jit_buf *b, uint8_t spare)
{
	uint32_t n_ready = 0, n = m->n;

	m->t = t;
	m->b = b;
	m->n = 0;
	for (uint32_t i = 0; i < n; i++)
		m->readers[m->source[m->pending[i]]]++;
	for (uint32_t i = 0; i < n; i++)
		if (m->readers[m->pending[i]] == 0)
			m->ready[n_ready++] = m->pending[i];
	while (n_ready) {
		uint32_t d = m->ready[--n_ready], s = m->source[d];

		move_place(m, d, s);
		m->source[d] = IR_NONE;
		if (--m->readers[s] == 0 && m->source[s] != IR_NONE)
			m->ready[n_ready++] = s;
	}
	for (uint32_t i = 0; i < n; i++)
		if (m->source[m->pending[i]] != IR_NONE)
			move_cycle(m, m->pending[i], spare);
}

void jit_moves_add(struct jit_moves *m, uint32_t d, uint32_t s)
{
	if (d == s)
		return;
	m->source[d] = s;
	m->pending[m->n++] = d;
}

int jit_moves_init(struct jit_moves *m, uint32_t n_slots)
{
	size_t places = JIT_PLACE_REGS + n_slots;

	*m = (struct jit_moves){0};
	m->readers = calloc(places, sizeof(*m->readers));
	m->source = malloc(places * sizeof(*m->source));
	m->pending = malloc(places * sizeof(*m->pending));
	m->ready = malloc(places * sizeof(*m->ready));
	if (!m->readers || !m->source || !m->pending || !m->ready)
		return -ENOMEM;
	memset(m->source, 0xff, places * sizeof(*m->source));
	return 0;
}

void jit_moves_fini(struct jit_moves *m)
{
	free(m->readers);
	free(m->source);
	free(m->pending);
	free(m->ready);
}

/* vec_leave.c: how lanes leave the region: which blocks outside are gone on from, and with which values.
 *
 * A continuation is the scalar code from one such block on. It is handed the values that it uses and that its lanes have, and loads from the
 * packet again what is as cheap to load as to hand on. Lanes leave without one, to be run again from their start, where a value has more
 * than 32 bits, where there is too much to hand on, and in programs with loops or where the instruction limit may be met.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/vec_parts.h"
#include "vm/vfm.h"

static bool is_plain_load(const struct ir_value *x)
{
	return x->op >= IR_LD8 && x->op <= IR_LD64;
}

/* As cheap to have again as to be handed on. */
static bool is_loaded_again(const struct ir_value *x)
{
	return is_plain_load(x) || x->op == IR_PKTLEN || x->op == IR_INPUT;
}

bool vec_hands_on(const struct ir *ir, uint32_t v)
{
	const struct ir_value *x = &ir->values[v];

	return x->op == IR_CONST || is_loaded_again(x) || ir->facts.value[v].hi <= UINT32_MAX;
}

/* ---- what a continuation uses ---- */

struct search {
	const struct ir *ir;
	const uint8_t *needed;
	struct jit_continuation *c;
	uint8_t *reached; /* [block] from c->block */
	uint8_t *seen;    /* [value] already handed on or loaded again */
	bool fits;
};

static void find_reached(const struct search *s)
{
	const struct ir *ir = s->ir;

	memset(s->reached, 0, ir->n_blocks);
	s->reached[s->c->block] = 1;
	for (uint32_t i = s->c->block; i < ir->n_blocks; i++)
		for (unsigned k = 0; s->reached[i] && k < ir->blocks[i].n_succs; k++)
			if (vec_takes(ir, i, k))
				s->reached[ir->blocks[i].succ[k].block] = 1;
}

static void hand_on(struct search *s, uint32_t v)
{
	struct jit_continuation *c = s->c;

	uint32_t *list = c->live, *n = &c->n_live, most = JIT_MAX_LIVE;

	if (s->seen[v])
		return;
	if (is_loaded_again(&s->ir->values[v])) {
		list = c->reload;
		n = &c->n_reloads;
		most = JIT_MAX_RELOADS;
	}
	if (*n == most || !vec_hands_on(s->ir, v)) {
		s->fits = false;
		return;
	}
	list[(*n)++] = v;
	s->seen[v] = 1;
}

/* There are no cycles: what is used behind the block and is not computed there is computed on every way to it. */
static void use(struct search *s, uint32_t v)
{
	if (v != IR_NONE && v < s->ir->blocks[s->c->block].first && s->ir->values[v].op != IR_CONST)
		hand_on(s, v);
}

static void use_block(struct search *s, uint32_t block)
{
	const struct ir *ir = s->ir;
	const struct ir_block *b = &ir->blocks[block];

	for (uint32_t v = b->first + b->n_params; v < b->first + b->n_values; v++) {
		if (!s->needed[v])
			continue;
		use(s, ir->values[v].a);
		use(s, ir->values[v].b);
	}
	if (b->term == IR_RET || vec_undecided(ir, block)) {
		use(s, b->a);
		use(s, b->b);
	}
	for (unsigned k = 0; k < b->n_succs; k++) {
		const struct ir_block *to = &ir->blocks[b->succ[k].block];

		for (uint32_t p = 0; p < to->n_params && vec_takes(ir, block, k); p++)
			if (s->needed[to->first + p])
				use(s, ir->args[b->succ[k].args + p]);
	}
}

static void find_live(struct search *s)
{
	const struct ir *ir = s->ir;
	const struct ir_block *b = &ir->blocks[s->c->block];

	for (uint32_t p = b->first; p < b->first + b->n_params; p++)
		if (s->needed[p])
			hand_on(s, p);
	for (uint32_t i = s->c->block; i < ir->n_blocks && s->fits; i++)
		if (s->reached[i])
			use_block(s, i);
}

/* ---- the entry that it looks at first ---- */

static uint32_t first_access(const struct search *s)
{
	const struct ir_block *b = &s->ir->blocks[s->c->block];

	for (uint32_t v = b->first; v < b->first + b->n_values; v++)
		if (ir_ops[s->ir->values[v].op].flags & (IR_F_READ | IR_F_UPDATE))
			return v;
	return IR_NONE;
}

static void find_key(struct search *s)
{
	struct jit_continuation *c = s->c;
	uint32_t access = first_access(s), key;

	if (access == IR_NONE)
		return;
	key = s->ir->values[access].a;
	c->table = (uint32_t)s->ir->program->table_index[s->ir->values[access].table];
	if (is_plain_load(&s->ir->values[key])) {
		c->key = JIT_KEY_IN_PACKET;
		c->key_at = (uint32_t)s->ir->values[key].imm;
		c->key_bytes = ir_ops[s->ir->values[key].op].bytes;
	}
	for (uint32_t i = 0; i < c->n_live; i++) {
		if (c->live[i] != key)
			continue;
		c->key = JIT_KEY_HANDED_ON;
		c->key_at = i;
	}
}

/* ---- all of them ---- */

static void forget(struct search *s)
{
	for (uint32_t i = 0; i < s->c->n_live; i++)
		s->seen[s->c->live[i]] = 0;
	for (uint32_t i = 0; i < s->c->n_reloads; i++)
		s->seen[s->c->reload[i]] = 0;
}

static void add(struct search *s, struct jit_continuations *all)
{
	const struct ir *ir = s->ir;

	for (uint32_t i = s->c->block; i < ir->n_blocks; i++) {
		if (!s->reached[i] || all->reached[i])
			continue;
		all->reached[i] = 1;
		memcpy(all->needed + ir->blocks[i].first, s->needed + ir->blocks[i].first, ir->blocks[i].n_values);
	}
	for (uint32_t i = 0; i < s->c->n_live; i++)
		all->needed[s->c->live[i]] = 1;
	for (uint32_t i = 0; i < s->c->n_reloads; i++)
		all->needed[s->c->reload[i]] = 1;
	all->n_live += s->c->n_live;
	all->n++;
}

/* Is a value that this one is handed computed by another one? It would have two origins. */
static bool is_computed(const struct search *s, const struct jit_continuations *all)
{
	const struct jit_continuation *c = s->c;

	for (uint32_t i = 0; i < c->n_live + c->n_reloads; i++) {
		uint32_t v = i < c->n_live ? c->live[i] : c->reload[i - c->n_live];

		if (v < s->ir->blocks[c->block].first && all->reached[ir_block_of(s->ir, v)])
			return true;
	}
	return false;
}

static void consider(struct search *s, struct jit_continuations *all, uint32_t block)
{
	s->c = &all->at[all->n];
	*s->c = (struct jit_continuation){.block = block};
	s->fits = true;
	find_reached(s);
	find_live(s);
	find_key(s);
	forget(s);
	if (s->fits && !is_computed(s, all) && all->n_live + s->c->n_live <= VEC_SLOTS)
		add(s, all);
}

/* Some lane may go from the region to the block. */
static bool is_left_to(const struct vec *v, uint32_t block)
{
	const struct ir_block *b = &v->ir->blocks[block];

	for (uint32_t i = 0; i < b->n_preds; i++) {
		const struct ir_pred *p = &v->ir->preds[b->preds + i];

		if (v->state[p->block] == VEC_INSIDE && vec_takes(v->ir, p->block, p->succ))
			return v->state[block] == VEC_OUTSIDE;
	}
	return false;
}

int vec_find_continuations(struct vec *v, const uint8_t *needed)
{
	const struct ir *ir = v->ir;
	struct jit_continuations *all = v->continuations;
	struct search s = {.ir = ir, .needed = needed};
	int err = -ENOMEM;

	all->known = v->guard;
	all->reached = calloc(ir->n_blocks, 1);
	all->needed = calloc(ir->n_values + 1ul, 1);
	s.reached = malloc(ir->n_blocks);
	s.seen = calloc(ir->n_values + 1ul, 1);
	if (all->reached && all->needed && s.reached && s.seen) {
		err = 0;
		for (uint32_t i = 1; i < ir->n_blocks && !ir->has_cycle && ir->path.insns <= v->insn_limit; i++)
			if (all->n < JIT_MAX_CONTINUATIONS && is_left_to(v, i))
				consider(&s, all, i);
	}
	free(s.reached);
	free(s.seen);
	return err;
}

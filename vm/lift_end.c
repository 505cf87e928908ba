/* lift_end.c: the end of a lifted block: live slots go to their homes, unused operations go away, temporaries get registers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "vm/regcode.h"

/* Slots to be put into homes when the block ends. */
struct moves {
	uint32_t n;
	uint16_t home[VFM_STACK_SLOTS];
	struct sym from[VFM_STACK_SLOTS];
};

static bool alive_after(const struct lift *l, uint32_t from, uint32_t to, uint32_t j)
{
	const struct block *t = &l->blocks[to];
	uint32_t distance = (uint32_t)(l->blocks[from].lo_out - t->lo_in);

	return j >= distance && t->live[(j - distance) / 64] >> ((j - distance) % 64) & 1;
}

static void collect_moves(const struct lift *l, uint32_t b, struct moves *m)
{
	const struct block *block = &l->blocks[b];
	bool taken = l->term.kind == TERM_JMP || l->term.kind == TERM_COND;
	bool next = l->term.kind == TERM_NEXT || l->term.kind == TERM_COND;

	m->n = 0;
	if (!taken && !next)
		return;
	for (uint32_t j = 0; j < l->sp; j++) {
		if (l->stack[j].kind == SYM_REG && l->stack[j].end == j)
			continue;
		if (!(taken && alive_after(l, b, block->taken, j)) && !(next && alive_after(l, b, block->next, j)))
			continue;
		m->home[m->n] = (uint16_t)j;
		m->from[m->n++] = l->stack[j];
	}
}

static void emit_move(struct lift *l, uint32_t home, uint32_t from)
{
	struct rop *r = lift_emit(l, REG_MOV);

	r->dst = home;
	r->a = from;
}

static uint32_t save(struct lift *l, uint32_t reg)
{
	uint32_t temp = REG_HOMES + l->n_temps++;

	emit_move(l, temp, reg);
	return temp;
}

/* The condition is tested after the moves: its registers must not be overwritten by them. */
static void save_condition(struct lift *l, const struct moves *m)
{
	uint32_t *reads[2];

	for (uint32_t n = lift_term_reads(&l->term, reads); n; n--)
		for (uint32_t i = 0; i < m->n; i++)
			if (*reads[n - 1] == m->home[i]) {
				*reads[n - 1] = save(l, m->home[i]);
				break;
			}
}

static bool is_source(const struct moves *m, uint32_t reg)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->from[i].kind == SYM_REG && m->from[i].end == reg)
			return true;
	return false;
}

static void replace_source(struct moves *m, uint32_t reg, uint32_t by)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->from[i].kind == SYM_REG && m->from[i].end == reg)
			m->from[i].end = by;
}

static void drop_move(struct moves *m, uint32_t i)
{
	m->n--;
	m->home[i] = m->home[m->n];
	m->from[i] = m->from[m->n];
}

/* Index of the operation that makes temp, if home is neither read nor written after it, the condition included; else UINT32_MAX. */
static uint32_t coalescible(struct lift *l, uint32_t temp, uint32_t home)
{
	uint32_t *reads[2];

	for (uint32_t n = lift_term_reads(&l->term, reads); n; n--)
		if (*reads[n - 1] == home)
			return UINT32_MAX;
	for (uint32_t i = l->n_ops; i-- > 0;) {
		struct rop *op = &l->ops[i];

		if (lift_writes(op) && op->dst == temp)
			return i;
		if (lift_writes(op) && op->dst == home)
			break;
		for (uint32_t n = lift_reads(op, reads); n; n--)
			if (*reads[n - 1] == home)
				return UINT32_MAX;
	}
	return UINT32_MAX;
}

static void rename_temp(struct lift *l, uint32_t from_op, uint32_t temp, uint32_t home)
{
	uint32_t *reads[2];

	l->ops[from_op].dst = home;
	for (uint32_t i = from_op + 1; i < l->n_ops; i++)
		for (uint32_t n = lift_reads(&l->ops[i], reads); n; n--)
			if (*reads[n - 1] == temp)
				*reads[n - 1] = home;
	for (uint32_t n = lift_term_reads(&l->term, reads); n; n--)
		if (*reads[n - 1] == temp)
			*reads[n - 1] = home;
}

/* A temporary that ends in a home is computed there at once where nothing needs the home's old value any more. */
static void coalesce(struct lift *l, struct moves *m)
{
	for (uint32_t i = 0; i < m->n; i++) {
		uint32_t home = m->home[i], temp = m->from[i].end, op;

		if (m->from[i].kind != SYM_REG || temp < REG_HOMES || is_source(m, home))
			continue;
		op = coalescible(l, temp, home);
		if (op == UINT32_MAX)
			continue;
		rename_temp(l, op, temp, home);
		drop_move(m, i--);
		replace_source(m, temp, home);
	}
}

/* Register moves happen as if at once: a home is written when no other move needs its old value; a ring is broken by a copy. */
static void emit_register_moves(struct lift *l, struct moves *m)
{
	for (bool progress = true; progress;) {
		bool left = false;
		uint32_t stuck = 0;

		progress = false;
		for (uint32_t i = 0; i < m->n; i++) {
			uint32_t home = m->home[i];

			if (m->from[i].kind != SYM_REG)
				continue;
			if (m->from[i].end != home && is_source(m, home)) {
				left = true;
				stuck = i;
				continue;
			}
			if (m->from[i].end != home)
				emit_move(l, home, m->from[i].end);
			drop_move(m, i--);
			progress = true;
		}
		if (!progress && left) {
			replace_source(m, m->home[stuck], save(l, m->home[stuck]));
			progress = true;
		}
	}
}

static void emit_other_moves(struct lift *l, const struct moves *m)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct sym *s = &m->from[i];
		struct rop *r = lift_emit(l, s->kind == SYM_CONST ? REG_MOVI : REG_FIELD);

		r->dst = m->home[i];
		r->end = s->end;
		r->shift = s->shift;
		r->imm = s->v;
	}
}

/* ---- temporaries ---- */

#define NOT_USED UINT32_MAX

static bool reserve_last_use(struct lift *l)
{
	if (!l->last_use || l->n_temps > l->last_use_room) {
		uint32_t room = l->n_temps + 64;
		uint32_t *grown = realloc(l->last_use, room * sizeof(*grown));

		if (!grown) {
			l->failed = true;
			return false;
		}
		l->last_use = grown;
		l->last_use_room = room;
	}
	memset(l->last_use, 0xff, l->n_temps * sizeof(*l->last_use));
	return true;
}

static void use_at(struct lift *l, uint32_t reg, uint32_t at)
{
	if (reg >= REG_HOMES && l->last_use[reg - REG_HOMES] == NOT_USED)
		l->last_use[reg - REG_HOMES] = at;
}

/* Backward: operations whose temporary nobody reads go away; notes the last reader of each temporary. */
static void remove_unused(struct lift *l)
{
	uint32_t *reads[2], kept = l->n_ops;

	for (uint32_t n = lift_term_reads(&l->term, reads); n; n--)
		use_at(l, *reads[n - 1], l->n_ops);
	for (uint32_t i = l->n_ops; i-- > 0;) {
		struct rop *op = &l->ops[i];

		if (lift_removable(op) && op->dst >= REG_HOMES && l->last_use[op->dst - REG_HOMES] == NOT_USED)
			continue;
		for (uint32_t n = lift_reads(op, reads); n; n--)
			use_at(l, *reads[n - 1], i);
		/* Kept operations gather at the end; i < kept always. */
		if (--kept != i) {
			l->ops[kept] = *op;
			for (uint32_t n = lift_reads(&l->ops[kept], reads); n; n--)
				if (*reads[n - 1] >= REG_HOMES && l->last_use[*reads[n - 1] - REG_HOMES] == i)
					l->last_use[*reads[n - 1] - REG_HOMES] = kept;
		}
	}
	for (uint32_t t = 0; t < l->n_temps; t++)
		if (l->last_use[t] != NOT_USED)
			l->last_use[t] -= kept;
	l->n_ops -= kept;
	if (l->n_ops)
		memmove(l->ops, l->ops + kept, l->n_ops * sizeof(*l->ops));
}

struct registers {
	uint32_t n_free, n_used;
	uint16_t free[REG_TEMPS];
};

static uint32_t take_register(struct registers *r)
{
	if (r->n_free)
		return r->free[--r->n_free];
	assert(r->n_used < REG_TEMPS);
	return REG_HOMES + r->n_used++;
}

/* Forward: a temporary holds its register from the operation that makes it to its last reader. */
static void assign_registers(struct lift *l, uint32_t *reg_of)
{
	struct registers r = {0};
	uint32_t *reads[2];

	for (uint32_t i = 0; i < l->n_ops; i++) {
		struct rop *op = &l->ops[i];
		uint32_t freed = 0;

		for (uint32_t n = lift_reads(op, reads); n; n--) {
			uint32_t t = *reads[n - 1] - REG_HOMES;

			if (*reads[n - 1] < REG_HOMES)
				continue;
			*reads[n - 1] = reg_of[t];
			if (l->last_use[t] == i && freed != reg_of[t]) {
				r.free[r.n_free++] = (uint16_t)reg_of[t];
				freed = reg_of[t];
			}
		}
		if (lift_writes(op) && op->dst >= REG_HOMES) {
			uint32_t t = op->dst - REG_HOMES;

			op->dst = reg_of[t] = take_register(&r);
			if (l->last_use[t] == NOT_USED)
				r.free[r.n_free++] = (uint16_t)op->dst;
		}
	}
	for (uint32_t n = lift_term_reads(&l->term, reads); n; n--)
		if (*reads[n - 1] >= REG_HOMES)
			*reads[n - 1] = reg_of[*reads[n - 1] - REG_HOMES];
}

void lift_end(struct lift *l, uint32_t b)
{
	struct moves m;
	uint32_t *reg_of;

	collect_moves(l, b, &m);
	coalesce(l, &m);
	save_condition(l, &m);
	emit_register_moves(l, &m);
	emit_other_moves(l, &m);
	if (l->failed || !reserve_last_use(l))
		return;
	remove_unused(l);
	reg_of = malloc((l->n_temps + 1) * sizeof(*reg_of));
	if (!reg_of) {
		l->failed = true;
		return;
	}
	assign_registers(l, reg_of);
	free(reg_of);
}

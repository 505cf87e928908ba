/* vec_onward.c: the continuations as a program of their own, in the intermediate form: it asks a packet's lane how it goes on, takes over what the
 * lane hands on, and goes on with the blocks that are reached from there.
 *
 *     ask k       by == k ? take k : ask k + 1     (not of the last one; the first one takes over what several continuations are handed)
 *     take k      the other values of continuation k; to its block, parameters with them
 *     ...         the blocks reached, in their order
 *
 * So it is compiled as any other program: lists of tests, one loop for all packets (jit_gen_loop()).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/vec_parts.h"
#include "vm/ir_fact.h"
#include "vm/vfm.h"

struct build {
	const struct ir *ir;
	const struct jit_continuations *c;
	struct ir *o;
	uint32_t *value; /* [old value] new one */
	uint32_t *block; /* [old block] new one */
	uint8_t *users;  /* [old value] continuations that are handed it or load it again */
};

/* ---- values and blocks of its own ---- */

static uint32_t add_value(struct build *w, struct ir_value v, struct ir_fact fact)
{
	struct ir *o = w->o;
	uint32_t id = o->n_values++;

	o->values[id] = v;
	o->facts.value[id] = fact;
	o->facts.operand[id] = fact_full();
	o->blocks[o->n_blocks - 1].n_values++;
	return id;
}

static uint32_t add_handed(struct build *w, uint32_t offset, struct ir_fact fact)
{
	return add_value(w, (struct ir_value){.op = IR_HANDED, .a = IR_NONE, .b = IR_NONE, .imm = offset}, fact);
}

static uint32_t add_const(struct build *w, uint64_t x)
{
	return add_value(w, (struct ir_value){.op = IR_CONST, .a = IR_NONE, .b = IR_NONE, .imm = x}, fact_of(x));
}

static struct ir_block *begin_block(struct build *w, uint8_t takes)
{
	struct ir *o = w->o;
	uint32_t id = o->n_blocks++;

	o->blocks[id] = (struct ir_block){.first = o->n_values, .a = IR_NONE, .b = IR_NONE};
	o->facts.block[id] = IR_REACHED | takes;
	o->facts.len_lo[id] = w->c->known;
	o->facts.term[2 * id] = o->facts.term[2 * id + 1] = fact_full();
	return &o->blocks[id];
}

/* A value that a continuation takes over: i of its live ones, or one to be loaded again. */
static void take_over(struct build *w, uint32_t v, uint8_t slot)
{
	const struct ir *ir = w->ir;

	if (w->value[v] != IR_NONE)
		return;
	if (slot == UINT8_MAX)
		w->value[v] = add_value(w, ir->values[v], ir->facts.value[v]);
	else
		w->value[v] = add_handed(w, slot * (uint32_t)sizeof(uint32_t[VEC_LANES]), ir->facts.value[v]);
}

/* Those of continuation k that it shares with others, or the rest. */
static void take_over_all(struct build *w, uint32_t k, bool shared)
{
	const struct jit_continuation *c = &w->c->at[k];

	for (uint32_t i = 0; i < c->n_live; i++)
		if (shared == (w->users[c->live[i]] > 1))
			take_over(w, c->live[i], c->slot[i]);
	for (uint32_t i = 0; i < c->n_reloads; i++)
		if (shared == (w->users[c->reload[i]] > 1))
			take_over(w, c->reload[i], UINT8_MAX);
}

/* if (by == x) yes, else no */
static void ask(struct build *w, struct ir_block *b, uint32_t by, uint64_t x, uint32_t yes, uint32_t no)
{
	b->term = IR_BRANCH;
	b->cond = VFM_OP_JEQ;
	b->a = by;
	b->b = add_const(w, x);
	b->n_succs = 2;
	b->succ[0].block = yes;
	b->succ[1].block = no;
}

static uint32_t number_of_take(const struct build *w, uint32_t k)
{
	return w->c->n - 1 + k;
}

static void add_asks(struct build *w)
{
	uint32_t n = w->c->n, by = IR_NONE;

	for (uint32_t k = 0; k + 1 < n; k++) {
		struct ir_block *b = begin_block(w, IR_TAKES_0 | IR_TAKES_1);

		if (k == 0)
			by = add_handed(w, VEC_FROM_LIVE(by), fact_range(0, n - 1));
		for (uint32_t c = 0; c < n && k == 0; c++)
			take_over_all(w, c, true);
		ask(w, b, by, k, number_of_take(w, k), k + 2 < n ? k + 1 : number_of_take(w, k + 1));
	}
}

static void add_take(struct build *w, uint32_t k)
{
	const struct ir_block *to = &w->ir->blocks[w->c->at[k].block];
	struct ir_block *b = begin_block(w, IR_TAKES_0);

	take_over_all(w, k, false);
	b->term = IR_GOTO;
	b->n_succs = 1;
	b->succ[0] = (struct ir_succ){.block = w->block[w->c->at[k].block], .args = w->o->n_args};
	for (uint32_t p = 0; p < to->n_params; p++) {
		w->o->args[w->o->n_args++] = w->value[to->first + p];
		w->value[to->first + p] = IR_NONE; /* from here on it is the parameter itself */
	}
}

/* ---- what is reached ---- */

/* A constant of a block that is not reached is made in the block that is written, once: it is nowhere computed, so no other one misses it. */
static uint32_t moved(struct build *w, uint32_t v)
{
	if (v == IR_NONE)
		return IR_NONE;
	if (w->value[v] == IR_NONE && w->ir->values[v].op == IR_CONST)
		w->value[v] = add_const(w, w->ir->values[v].imm);
	return w->value[v];
}

static void copy_values(struct build *w, const struct ir_block *b)
{
	const struct ir *ir = w->ir;

	for (uint32_t v = b->first; v < b->first + b->n_values; v++) {
		struct ir_value x = ir->values[v];

		if (w->c->needed[v] || x.op == IR_PARAM) {
			x.a = moved(w, x.a);
			x.b = moved(w, x.b);
		} else {
			x = (struct ir_value){.op = IR_CONST, .a = IR_NONE, .b = IR_NONE};
		}
		w->value[v] = add_value(w, x, ir->facts.value[v]);
		w->o->facts.operand[w->value[v]] = ir->facts.operand[v];
	}
}

static void copy_edge(struct build *w, struct ir_succ *to, const struct ir_succ *from)
{
	const struct ir_block *target = &w->ir->blocks[from->block];

	to->block = w->block[from->block];
	to->args = w->o->n_args;
	for (uint32_t p = 0; p < target->n_params; p++)
		w->o->args[w->o->n_args++] = moved(w, w->ir->args[from->args + p]);
}

static void copy_block(struct build *w, uint32_t block)
{
	const struct ir *ir = w->ir;
	const struct ir_block *from = &ir->blocks[block];
	uint8_t takes = ir->facts.block[block] & (IR_TAKES_0 | IR_TAKES_1);
	struct ir_block *b = begin_block(w, takes);
	uint32_t id = w->o->n_blocks - 1;

	b->n_params = from->n_params;
	copy_values(w, from);
	memcpy(&w->o->facts.term[2 * id], &ir->facts.term[2 * block], 2 * sizeof(*ir->facts.term));
	if (ir->facts.len_lo[block] > w->o->facts.len_lo[id])
		w->o->facts.len_lo[id] = ir->facts.len_lo[block];
	b->term = from->term;
	if (b->term == IR_RET || vec_undecided(ir, block)) {
		b->cond = from->cond;
		b->a = moved(w, from->a);
		b->b = moved(w, from->b);
		b->n_succs = from->n_succs;
		for (unsigned k = 0; k < b->n_succs; k++)
			copy_edge(w, &b->succ[k], &from->succ[k]);
		return;
	}
	/* One way, or none: then something before always faults. */
	b->term = IR_GOTO;
	w->o->facts.block[id] = IR_REACHED | (takes ? IR_TAKES_0 : 0);
	b->n_succs = takes != 0;
	if (takes)
		copy_edge(w, &b->succ[0], &from->succ[takes == IR_TAKES_0 ? 0 : 1]);
}

/* ---- the whole ---- */

static void find_preds(struct ir *o)
{
	for (uint32_t i = 0; i < o->n_blocks; i++)
		for (unsigned k = 0; k < o->blocks[i].n_succs; k++)
			o->blocks[o->blocks[i].succ[k].block].n_preds++;
	for (uint32_t i = 0; i < o->n_blocks; i++) {
		o->blocks[i].preds = o->n_preds;
		o->n_preds += o->blocks[i].n_preds;
		o->blocks[i].n_preds = 0;
	}
	for (uint32_t i = 0; i < o->n_blocks; i++) {
		for (unsigned k = 0; k < o->blocks[i].n_succs; k++) {
			struct ir_block *to = &o->blocks[o->blocks[i].succ[k].block];

			o->preds[to->preds + to->n_preds++] = (struct ir_pred){i, k};
		}
	}
}

/* The furthest load at a constant offset. */
static uint32_t need_bytes(const struct ir *o)
{
	uint32_t most = 0;

	for (uint32_t v = 0; v < o->n_values; v++)
		if (o->values[v].op >= IR_LD8 && o->values[v].op <= IR_LD64 &&
		    o->values[v].imm + ir_ops[o->values[v].op].bytes > most)
			most = (uint32_t)o->values[v].imm + ir_ops[o->values[v].op].bytes;
	return most;
}

static void build(struct build *w)
{
	const struct ir *ir = w->ir;
	uint32_t n = number_of_take(w, w->c->n);

	for (uint32_t i = 0; i < ir->n_blocks; i++)
		w->block[i] = w->c->reached[i] ? n++ : IR_NONE;
	for (uint32_t k = 0; k < w->c->n; k++) {
		for (uint32_t i = 0; i < w->c->at[k].n_live; i++)
			w->users[w->c->at[k].live[i]]++;
		for (uint32_t i = 0; i < w->c->at[k].n_reloads; i++)
			w->users[w->c->at[k].reload[i]]++;
	}
	add_asks(w);
	for (uint32_t k = 0; k < w->c->n; k++)
		add_take(w, k);
	for (uint32_t i = 0; i < ir->n_blocks; i++)
		if (w->c->reached[i])
			copy_block(w, i);
	find_preds(w->o);
}

/* Room for everything. */
static bool make_room(struct ir *o, const struct ir *ir)
{
	size_t blocks = ir->n_blocks + 2ul + 2 * JIT_MAX_CONTINUATIONS;
	size_t values = ir->n_values + 2 * blocks + JIT_MAX_CONTINUATIONS * (JIT_MAX_LIVE + JIT_MAX_RELOADS);

	o->values = calloc(values, sizeof(*o->values));
	o->blocks = calloc(blocks, sizeof(*o->blocks));
	o->args = malloc((ir->n_args + JIT_MAX_CONTINUATIONS * (JIT_MAX_LIVE + 256ul)) * sizeof(*o->args));
	o->preds = malloc((ir->n_preds + 2 * blocks) * sizeof(*o->preds));
	o->facts.value = calloc(values, sizeof(*o->facts.value));
	o->facts.operand = calloc(values, sizeof(*o->facts.operand));
	o->facts.term = calloc(2 * blocks, sizeof(*o->facts.term));
	o->facts.block = calloc(blocks, 1);
	o->facts.len_lo = calloc(blocks, sizeof(*o->facts.len_lo));
	return o->values && o->blocks && o->args && o->preds && o->facts.value && o->facts.operand && o->facts.term &&
	       o->facts.block && o->facts.len_lo;
}

static int compile(struct ir *o, const struct jit_target *t, struct jit_buf *b)
{
	uint8_t *needed = NULL;
	int err = ir_dom(o);

	if (!err)
		err = jit_dead(o, &needed);
	if (!err)
		err = jit_gen_loop(o, needed, t, UINT32_MAX, LOOP_TIMES, b);
	free(needed);
	return err;
}

int vec_onward(const struct ir *ir, const struct jit_continuations *c, const struct jit_target *t, struct jit_buf *b)
{
	struct ir *o = calloc(1, sizeof(*o));
	struct program program = *ir->program;
	struct build w = {.ir = ir, .c = c, .o = o};
	int err = -ENOMEM;

	w.value = malloc((ir->n_values + 1ul) * sizeof(*w.value));
	w.block = malloc(ir->n_blocks * sizeof(*w.block));
	w.users = calloc(ir->n_values + 1ul, 1);
	if (o && w.value && w.block && w.users && make_room(o, ir)) {
		memset(w.value, 0xff, ir->n_values * sizeof(*w.value));
		o->program = &program;
		o->path = ir->path;
		build(&w);
		program.need_bytes = need_bytes(o);
		err = compile(o, t, b);
	}
	free(w.value);
	free(w.block);
	free(w.users);
	ir_free(o);
	return err;
}

/* gen_program.c: see gen_program.h. The generator's state is the verifier's: an interval of depths at the point being written. */
#include "test/lib/gen_program.h"

#include <string.h>

#define MAX_LABELS      12
#define MAX_LABEL_JUMPS 12
#define MAX_HEADS       24
#define ROOM_BYTES      1024u /* left for what a statement may write at most, and for the end of the program */

uint64_t gen_next(struct gen_rng *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15ULL);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint32_t gen_below(struct gen_rng *r, uint32_t n)
{
	return (uint32_t)((gen_next(r) >> 32) * n >> 32);
}

bool gen_chance(struct gen_rng *r, uint32_t percent)
{
	return gen_below(r, 100) < percent;
}

/* ---- options ---- */

void gen_options_all(struct gen_options *o)
{
	memset(o, 0, sizeof *o);
	for (int op = 0; op < 256; op++)
		o->allow[op] = vfm_op_exists((uint8_t)op);
	o->loops = o->unequal_joins = o->wide_values = o->wild_faults = true;
	o->min_statements = 3;
	o->max_statements = 36;
	o->max_depth = 24;
	o->max_load_offset = 120;
}

static void deny_flags(struct gen_options *o, unsigned flags)
{
	for (int op = 0; op < 256; op++)
		if (vfm_ops[op].flags & flags)
			o->allow[op] = false;
}

void gen_options_stateless(struct gen_options *o)
{
	gen_options_all(o);
	deny_flags(o, VFM_F_READ | VFM_F_UPDATE);
	o->allow[VFM_OP_TABLE] = false;
}

void gen_options_bpf(struct gen_options *o)
{
	gen_options_stateless(o);
	deny_flags(o, VFM_F_TIME);
	static const uint8_t denied[] = {VFM_OP_LD64, VFM_OP_LDX64, VFM_OP_HASH5, VFM_OP_HASH5S,
					 VFM_OP_MIX,  VFM_OP_INPUT, VFM_OP_HDR};
	for (unsigned i = 0; i < sizeof denied; i++)
		o->allow[denied[i]] = false;
	o->loops = o->wide_values = false;
	o->max_depth = 8;
}

/* ---- the point being written ---- */

struct label {
	uint32_t lo, hi;
	uint32_t n;
	uint32_t operands[MAX_LABEL_JUMPS]; /* addresses of the jumps' operands */
};

struct head {
	uint32_t pc, lo, hi;
};

struct gen {
	struct gen_rng rng;
	const struct gen_options *o;
	struct gen_program *p;
	bool live; /* control can reach the point being written */
	uint32_t lo, hi;
	uint32_t n_labels, n_heads;
	struct label labels[MAX_LABELS];
	struct head heads[MAX_HEADS];
	uint32_t n_numbers;
	uint8_t numbers[4]; /* table numbers of this program */
};

/* The scope of a statement: a loop's body must not touch what lies below its floor, nor bind labels made before it. */
struct scope {
	uint32_t floor;
	uint32_t first_label;
	uint32_t first_head;
	uint32_t nesting;
};

static uint32_t below(struct gen *g, uint32_t n)
{
	return gen_below(&g->rng, n);
}

static bool chance(struct gen *g, uint32_t percent)
{
	return gen_chance(&g->rng, percent);
}

static bool may(const struct gen *g, uint8_t op)
{
	return g->o->allow[op];
}

static void emit_u(struct gen *g, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		g->p->code[g->p->len++] = (uint8_t)(v >> (8 * i));
}

/* Writes op with its operand and moves the depths. */
static void emit(struct gen *g, uint8_t op, uint64_t operand)
{
	emit_u(g, op, 1);
	emit_u(g, operand, vfm_ops[op].operand_bytes);
	g->lo += vfm_ops[op].pushes - vfm_ops[op].pops;
	g->hi += vfm_ops[op].pushes - vfm_ops[op].pops;
}

static void push(struct gen *g, uint64_t v)
{
	emit(g, VFM_OP_PUSH, v);
}

static bool room(const struct gen *g)
{
	return g->p->len + ROOM_BYTES < GEN_MAX_BYTES;
}

/* ---- values ---- */

static uint64_t constant(struct gen *g)
{
	static const uint64_t wide[] = {1ULL << 32, 1ULL << 63, ~0ULL, (1ULL << 63) - 1, 0xffffffff00000000ULL, 65ULL << 32};
	static const uint32_t narrow[] = {0xff,        0x100,       0xffff, 0x0800, 0x86dd, 0x10000, 0x7fffffff,
					  0x80000000u, 0xffffffffu, 63,     64,     6,      17};
	uint32_t kind = below(g, 100);
	if (kind < 60)
		return below(g, 5);
	if (kind < 75)
		return below(g, 256);
	if (kind < 90 || !g->o->wide_values)
		return narrow[below(g, sizeof narrow / sizeof narrow[0])];
	return kind < 96 ? wide[below(g, sizeof wide / sizeof wide[0])] : gen_next(&g->rng);
}

static uint32_t load_offset(struct gen *g)
{
	uint32_t kind = below(g, 100);
	if (kind < 70)
		return below(g, g->o->max_load_offset < 40 ? g->o->max_load_offset : 40);
	if (kind < 97 || !g->o->wild_faults)
		return below(g, g->o->max_load_offset);
	return kind < 99 ? below(g, 1600) : 65535 - below(g, 12);
}

static void emit_load(struct gen *g)
{
	uint8_t op = (uint8_t)(VFM_OP_LD8 + below(g, 4));
	if (!may(g, op))
		op = VFM_OP_LD8;
	if (may(g, op))
		emit(g, op, load_offset(g));
	else
		push(g, constant(g));
}

/* LDX after an offset that is mostly small. */
static void emit_indexed_load(struct gen *g)
{
	uint8_t op = (uint8_t)(VFM_OP_LDX8 + below(g, 4));
	if (!may(g, op))
		return emit_load(g);
	uint32_t kind = below(g, 100);
	if (kind < 40) {
		push(g, load_offset(g));
	} else {
		emit_load(g);
		if (kind < 95 || !g->o->wild_faults) {
			push(g, 31);
			emit(g, VFM_OP_AND, 0);
		}
	}
	emit(g, op, 0);
}

/* Pushes one value of any kind. */
static void emit_value(struct gen *g)
{
	static const uint8_t sources[] = {VFM_OP_PKTLEN, VFM_OP_NOW, VFM_OP_INPUT, VFM_OP_HASH5, VFM_OP_HASH5S, VFM_OP_HDR};
	uint32_t kind = below(g, 100);
	if (kind < 40)
		return emit_load(g);
	if (kind < 65)
		return push(g, constant(g));
	if (kind < 75)
		return emit_indexed_load(g);
	uint8_t op = sources[below(g, sizeof sources)];
	if (may(g, op))
		emit(g, op, op == VFM_OP_HDR ? below(g, VFM_HDR_ITEMS) : 0);
	else
		emit_load(g);
}

/* Pushes a value below 8 or so: keys, divisors, shift counts. */
static void emit_small(struct gen *g)
{
	if (chance(g, 30))
		return push(g, below(g, 6));
	emit_load(g);
	push(g, chance(g, 80) ? 7 : 3);
	emit(g, VFM_OP_AND, 0);
}

/* ---- straight code ---- */

static void emit_binary(struct gen *g, uint32_t avail)
{
	static const uint8_t ops[] = {VFM_OP_ADD, VFM_OP_SUB, VFM_OP_MUL, VFM_OP_AND, VFM_OP_OR,
				      VFM_OP_XOR, VFM_OP_SHL, VFM_OP_SHR, VFM_OP_MIX};
	uint8_t op = ops[below(g, sizeof ops)];
	if (!may(g, op))
		op = VFM_OP_XOR;
	if (avail < 1)
		emit_value(g);
	if (avail < 2 || chance(g, 50))
		chance(g, 60) ? push(g, constant(g)) : emit_value(g);
	emit(g, op, 0);
}

static void emit_divide(struct gen *g, uint32_t avail)
{
	uint8_t op = chance(g, 50) ? VFM_OP_DIV : VFM_OP_MOD;
	if (!may(g, op))
		return emit_binary(g, avail);
	if (avail < 1)
		emit_value(g);
	uint32_t kind = below(g, 100);
	if (kind < 40) {
		push(g, 1 + below(g, 9));
	} else if (kind < 75 || !g->o->wild_faults) {
		emit_small(g);
		push(g, 1);
		emit(g, VFM_OP_OR, 0);
	} else if (kind < 98) {
		emit_small(g);
	} else {
		push(g, 0);
	}
	emit(g, op, 0);
}

static void emit_unary(struct gen *g, uint32_t avail)
{
	uint8_t op = chance(g, 50) ? VFM_OP_NOT : VFM_OP_NEG;
	if (avail < 1)
		emit_value(g);
	if (may(g, op))
		emit(g, op, 0);
}

/* DUP, SWAP, OVER, ROT, PICK, POP on what the scope may touch; PICK reads anything that is surely there. */
static void emit_shuffle(struct gen *g, uint32_t avail)
{
	static const uint8_t ops[] = {VFM_OP_DUP, VFM_OP_SWAP, VFM_OP_OVER, VFM_OP_ROT, VFM_OP_PICK, VFM_OP_POP};
	static const uint8_t needs[] = {1, 2, 2, 3, 1, 1};
	uint32_t i = below(g, sizeof ops);
	while (avail < needs[i]) {
		emit_value(g);
		avail++;
	}
	if (may(g, ops[i]))
		emit(g, ops[i], ops[i] == VFM_OP_PICK ? below(g, g->lo < 256 ? g->lo : 256) : 0);
}

/* A stack near its limit, then back to where it was; reads deep into it. */
static void emit_tower(struct gen *g)
{
	uint32_t top = chance(g, 50) ? VFM_STACK_SLOTS : 60 + below(g, 150);
	uint32_t back = g->hi;
	push(g, constant(g));
	while (g->hi < top)
		emit(g, VFM_OP_DUP, 0);
	emit(g, VFM_OP_POP, 0);
	if (may(g, VFM_OP_PICK))
		emit(g, VFM_OP_PICK, below(g, g->lo < 256 ? g->lo : 256));
	while (g->hi > back + 1)
		emit(g, chance(g, 50) ? VFM_OP_POP : VFM_OP_ADD, 0);
}

/* ---- tables ---- */

/* Maps an operation on table 0 to its form with a table number where needed. */
static void emit_table_op(struct gen *g, uint8_t short_op, uint8_t numbered_op, uint8_t number)
{
	bool can_short = number == 0 && may(g, short_op);
	if (can_short && (chance(g, 60) || !may(g, numbered_op)))
		emit(g, short_op, 0);
	else
		emit(g, numbered_op, number);
}

static void emit_key(struct gen *g)
{
	if (chance(g, 75))
		return emit_small(g);
	if (may(g, VFM_OP_HASH5) && chance(g, 60))
		return emit(g, chance(g, 50) || !may(g, VFM_OP_HASH5S) ? VFM_OP_HASH5 : VFM_OP_HASH5S, 0);
	emit_value(g);
}

static void emit_update(struct gen *g, uint8_t number)
{
	uint32_t kind = below(g, 100);
	emit_key(g);
	if (kind < 35) {
		emit_value(g);
		emit_table_op(g, VFM_OP_FLOW_STORE, VFM_OP_FLOW_STORE_T, number);
	} else if (kind < 70) {
		chance(g, 60) ? push(g, 1) : emit_value(g);
		emit_table_op(g, VFM_OP_FLOW_ADD, VFM_OP_FLOW_ADD_T, number);
	} else if (kind < 85) {
		emit_table_op(g, VFM_OP_FLOW_DEL, VFM_OP_FLOW_DEL_T, number);
	} else {
		emit(g, VFM_OP_DUP, 0);
		emit_table_op(g, VFM_OP_FLOW_LOAD, VFM_OP_FLOW_LOAD_T, number);
		push(g, 1);
		emit(g, VFM_OP_ADD, 0);
		emit_table_op(g, VFM_OP_FLOW_STORE, VFM_OP_FLOW_STORE_T, number);
	}
}

static void emit_table(struct gen *g)
{
	if (!may(g, VFM_OP_FLOW_LOAD_T))
		return emit_value(g);
	uint8_t number = g->numbers[below(g, g->n_numbers)];
	if (chance(g, 65))
		return emit_update(g, number);
	emit_key(g);
	emit_table_op(g, VFM_OP_FLOW_LOAD, VFM_OP_FLOW_LOAD_T, number);
}

static void choose_tables(struct gen *g)
{
	static const uint8_t candidates[] = {0, 1, 2, 7, 255, 100};
	uint32_t n = 1 + below(g, 3);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t c = candidates[below(g, sizeof candidates)];
		if (!memchr(g->numbers, c, g->n_numbers))
			g->numbers[g->n_numbers++] = c;
	}
	g->p->n_tables = may(g, VFM_OP_FLOW_LOAD_T) ? g->n_numbers : 0;
	if (!may(g, VFM_OP_TABLE))
		return;
	for (uint32_t i = 0; i < g->n_numbers; i++) {
		if (chance(g, 15))
			continue; /* used but not declared */
		emit_u(g, VFM_OP_TABLE, 1);
		emit_u(g, g->numbers[i], 1);
		emit_u(g, chance(g, 85) ? 1 + below(g, 6) : 1 + below(g, 40), 4);
		emit_u(g, chance(g, 40) ? 0 : 1 + below(g, 4), 4);
	}
}

/* ---- control flow ---- */

static void note_head(struct gen *g)
{
	struct head h = {g->p->len, g->lo, g->hi};
	if (g->n_heads < MAX_HEADS)
		g->heads[g->n_heads++] = h;
}

/* A label that a jump with the present depths may join, or a new one; NULL: none left. */
static struct label *label_for_jump(struct gen *g, const struct scope *s)
{
	if (g->n_labels > s->first_label && chance(g, 60)) {
		struct label *l = &g->labels[s->first_label + below(g, g->n_labels - s->first_label)];
		bool equal = l->lo == g->lo && l->hi == g->hi;
		if (l->n < MAX_LABEL_JUMPS && (equal || g->o->unequal_joins))
			return l;
	}
	if (g->n_labels == MAX_LABELS)
		return NULL;
	struct label *l = &g->labels[g->n_labels++];
	*l = (struct label){.lo = g->lo, .hi = g->hi};
	return l;
}

static void jump_to(struct gen *g, struct label *l, uint8_t op)
{
	emit(g, op, 0);
	l->operands[l->n++] = g->p->len - 2;
	if (l->lo != g->lo || l->hi != g->hi)
		g->p->has_unequal_join = true;
	l->lo = g->lo < l->lo ? g->lo : l->lo;
	l->hi = g->hi > l->hi ? g->hi : l->hi;
}

static void patch(struct gen *g, uint32_t operand, uint32_t target)
{
	uint32_t rel = target - (operand + 2);
	g->p->code[operand] = (uint8_t)rel;
	g->p->code[operand + 1] = (uint8_t)(rel >> 8);
}

/* Binds label i at the point being written. */
static void bind(struct gen *g, uint32_t i)
{
	struct label *l = &g->labels[i];
	for (uint32_t j = 0; j < l->n; j++)
		patch(g, l->operands[j], g->p->len);
	if (!g->live) {
		g->lo = l->lo;
		g->hi = l->hi;
	} else {
		if (l->lo != g->lo || l->hi != g->hi)
			g->p->has_unequal_join = true;
		g->lo = l->lo < g->lo ? l->lo : g->lo;
		g->hi = l->hi > g->hi ? l->hi : g->hi;
	}
	g->live = true;
	g->labels[i] = g->labels[--g->n_labels];
}

/* Binds some label of the scope; false: there is none. */
static bool bind_some(struct gen *g, const struct scope *s)
{
	if (g->n_labels == s->first_label)
		return false;
	uint32_t i = s->first_label + below(g, g->n_labels - s->first_label);
	const struct label *l = &g->labels[i];
	bool equal = !g->live || (l->lo == g->lo && l->hi == g->hi);
	if (!equal && !g->o->unequal_joins)
		return false;
	bind(g, i);
	return true;
}

static uint8_t compare_op(struct gen *g)
{
	static const uint8_t ops[] = {VFM_OP_JEQ, VFM_OP_JNE, VFM_OP_JGT, VFM_OP_JLT, VFM_OP_JGE, VFM_OP_JLE};
	uint8_t op = ops[below(g, sizeof ops)];
	return may(g, op) ? op : VFM_OP_JEQ;
}

/* Pushes the two sides of a compare. */
static void emit_sides(struct gen *g, uint32_t avail)
{
	if (avail < 1 || chance(g, 60))
		emit_value(g);
	chance(g, 70) ? push(g, constant(g)) : emit_value(g);
}

static void emit_branch(struct gen *g, const struct scope *s, uint32_t avail)
{
	uint32_t before = g->lo;
	emit_sides(g, avail);
	/* The label must see the depths after the two pops. */
	g->lo -= 2;
	g->hi -= 2;
	struct label *l = label_for_jump(g, s);
	g->lo += 2;
	g->hi += 2;
	if (l)
		return jump_to(g, l, compare_op(g));
	while (g->lo > before)
		emit(g, VFM_OP_POP, 0);
}

/* One value compared with several constants: loaded once and duplicated, or loaded again for each. */
static void emit_chain(struct gen *g, const struct scope *s)
{
	bool reload = chance(g, 40);
	uint32_t offset = load_offset(g), links = 2 + below(g, 9);
	uint8_t op = chance(g, 80) ? VFM_OP_JEQ : compare_op(g);
	uint8_t load = may(g, VFM_OP_LD16) && chance(g, 50) ? VFM_OP_LD16 : VFM_OP_LD8;
	if (!may(g, op) || !may(g, load))
		return;
	if (!reload)
		emit(g, load, offset);
	for (uint32_t i = 0; i < links; i++) {
		struct label *l = label_for_jump(g, s);
		if (!l)
			break;
		reload ? emit(g, load, offset) : emit(g, VFM_OP_DUP, 0);
		push(g, chance(g, 80) ? below(g, 8) : constant(g));
		jump_to(g, l, op);
	}
	if (!reload && chance(g, 70))
		emit(g, VFM_OP_POP, 0);
}

/* if (cond) { push a few }: the two ways meet with different depths. */
static void emit_unequal(struct gen *g, const struct scope *s, uint32_t avail)
{
	uint32_t n = 1 + below(g, 3);
	if (!g->o->unequal_joins || g->n_labels == MAX_LABELS || g->hi + n > g->o->max_depth)
		return emit_branch(g, s, avail);
	emit_sides(g, 0);
	struct label *l = &g->labels[g->n_labels++];
	*l = (struct label){.lo = g->lo - 2, .hi = g->hi - 2};
	jump_to(g, l, compare_op(g));
	for (uint32_t i = 0; i < n; i++)
		emit_value(g);
	bind(g, g->n_labels - 1);
}

static void emit_ret(struct gen *g)
{
	if (g->lo == 0 || chance(g, 30))
		chance(g, 60) ? push(g, below(g, 3)) : emit_value(g);
	emit(g, VFM_OP_RET, 0);
	g->live = false;
}

/* RET or JMP, then some label of the scope. */
static void emit_end(struct gen *g, const struct scope *s)
{
	struct label *l = NULL;
	if (g->n_labels == s->first_label)
		return;
	if (may(g, VFM_OP_JMP) && chance(g, 60))
		l = label_for_jump(g, s);
	if (l) {
		jump_to(g, l, VFM_OP_JMP);
		g->live = false;
	} else {
		emit_ret(g);
	}
	bind_some(g, s);
}

/* Brings the depths within those of h by POP and PUSH; false: the interval is wider than the head's. */
static bool fit_head(struct gen *g, const struct head *h)
{
	if (g->hi - g->lo > h->hi - h->lo)
		return false;
	while (g->hi > h->hi)
		emit(g, VFM_OP_POP, 0);
	while (g->lo < h->lo)
		push(g, below(g, 4));
	return true;
}

static void emit_backward(struct gen *g, const struct head *h, uint8_t op)
{
	emit(g, op, 0);
	patch(g, g->p->len - 2, h->pc);
	g->p->has_loop = true;
}

/* A jump back to some point of the scope, on a condition that may hold for ever. */
static void emit_wild_loop(struct gen *g, const struct scope *s)
{
	if (!g->o->loops || g->n_heads == s->first_head)
		return;
	const struct head *h = &g->heads[s->first_head + below(g, g->n_heads - s->first_head)];
	if (h->lo < s->floor || !fit_head(g, h))
		return;
	emit_value(g);
	push(g, chance(g, 70) ? below(g, 4) : constant(g));
	if (may(g, VFM_OP_JMP) && chance(g, 30) && g->n_labels < MAX_LABELS) {
		struct label *l = &g->labels[g->n_labels++];
		*l = (struct label){.lo = g->lo - 2, .hi = g->hi - 2};
		jump_to(g, l, compare_op(g));
		emit_backward(g, h, VFM_OP_JMP);
		g->live = false;
		bind(g, g->n_labels - 1);
	} else {
		emit_backward(g, h, compare_op(g));
	}
}

static void emit_block(struct gen *g, struct scope s, uint32_t statements);

/* PUSH n; head: body; PUSH 1; SUB; DUP; PUSH 0; JGT head; POP. Bodies with joins of unequal depth may lose the counter. */
static void emit_counted_loop(struct gen *g, const struct scope *s)
{
	if (!g->o->loops || s->nesting >= 2 || g->hi + 8 > g->o->max_depth || !may(g, VFM_OP_JGT))
		return;
	push(g, chance(g, 85) ? 1 + below(g, 6) : 60 + below(g, 100));
	struct head h = {g->p->len, g->lo, g->hi};
	struct scope inner = {g->lo, g->n_labels, g->n_heads, s->nesting + 1};
	emit_block(g, inner, 1 + below(g, 5));
	g->n_heads = inner.first_head;
	if (!g->live || !fit_head(g, &h))
		return;
	push(g, 1);
	emit(g, VFM_OP_SUB, 0);
	emit(g, VFM_OP_DUP, 0);
	push(g, 0);
	emit_backward(g, &h, VFM_OP_JGT);
	if (chance(g, 80))
		emit(g, VFM_OP_POP, 0);
}

/* ---- statements ---- */

static void emit_statement(struct gen *g, const struct scope *s)
{
	uint32_t avail = g->lo > s->floor ? g->lo - s->floor : 0;
	uint32_t kind = below(g, 1000);
	if (chance(g, 20))
		note_head(g);
	if (g->hi + 8 > g->o->max_depth) {
		while (avail > 0 && g->hi + 8 > g->o->max_depth / 2 + 8) {
			emit(g, VFM_OP_POP, 0);
			avail--;
		}
	}
	if (g->hi + 8 > VFM_STACK_SLOTS)
		return;
	if (kind < 170)
		emit_value(g);
	else if (kind < 270)
		emit_binary(g, avail);
	else if (kind < 310)
		emit_divide(g, avail);
	else if (kind < 350)
		emit_unary(g, avail);
	else if (kind < 450)
		emit_shuffle(g, avail);
	else if (kind < 650)
		emit_table(g);
	else if (kind < 730)
		emit_branch(g, s, avail);
	else if (kind < 770)
		emit_chain(g, s);
	else if (kind < 800)
		emit_unequal(g, s, avail);
	else if (kind < 840)
		emit_counted_loop(g, s);
	else if (kind < 860)
		emit_wild_loop(g, s);
	else if (kind < 900)
		emit_end(g, s);
	else if (kind < 995)
		bind_some(g, s);
	else
		emit_tower(g);
}

/* Statements until the budget, the room or the last way to get here is used up. */
static void emit_block(struct gen *g, struct scope s, uint32_t statements)
{
	for (uint32_t i = 0; i < statements && room(g); i++) {
		if (!g->live && !bind_some(g, &s))
			return;
		emit_statement(g, &s);
	}
}

/* Binds every label that is left, each with a RET of its own or running into the next. */
static void finish(struct gen *g)
{
	struct scope top = {0};
	while (g->n_labels) {
		if (g->live && chance(g, 70))
			emit_ret(g);
		if (!bind_some(g, &top))
			emit_ret(g);
	}
	if (g->live)
		emit_ret(g);
}

void gen_program(struct gen_program *p, const struct gen_options *o, uint64_t seed)
{
	struct gen g = {.rng = {seed}, .o = o, .p = p, .live = true};
	struct scope top = {0};
	p->len = 0;
	p->n_tables = 0;
	p->has_loop = p->has_unequal_join = false;
	choose_tables(&g);
	emit_block(&g, top, o->min_statements + below(&g, o->max_statements - o->min_statements + 1));
	finish(&g);
}

/* ir_facts.c: known bits and intervals of every value.
 *
 * The dominator tree is walked from the root, children in order of id, so everything but the arguments of retreating edges is known
 * before it is needed. On the way down `now` holds what is known of each value here: its fact at definition, sharpened by the branch
 * that leads here and by loads and divisions that did not fault; an undo log takes this back on the way up. Parameters collect the join
 * over their edges. With loops the walk is repeated until no parameter changes, widening from the third time on; after
 * MAX_ROUNDS headers are taken to be anything and one last walk is sound whatever it finds. Linear times MAX_ROUNDS at most.
 */
#include <errno.h>
#include <stdlib.h>

#include "vm/ir_fact.h"

#define MAX_ROUNDS   8
#define WIDEN_ROUND  2
#define NOT_SEEN_LEN UINT32_MAX

struct undo {
	uint32_t value;
	struct ir_fact was;
};

struct facts {
	struct ir *ir;
	struct ir_fact *now; /* [value] */
	struct undo *log;
	uint32_t n_log, room_log;
	uint32_t *preorder; /* blocks of the dominator tree */
	uint32_t *marks;    /* for each block on the path from the root: end of its interval, n_log at its entry */
	uint32_t round;
	bool changed;
	bool failed;
};

static void sharpen(struct facts *f, uint32_t value, struct ir_fact fact)
{
	if (fact_equal(&f->now[value], &fact))
		return;
	if (f->n_log == f->room_log) {
		uint32_t room = f->room_log ? 2 * f->room_log : 256;
		struct undo *log = realloc(f->log, room * sizeof(*log));

		if (!log) {
			f->failed = true;
			return;
		}
		f->log = log;
		f->room_log = room;
	}
	f->log[f->n_log++] = (struct undo){value, f->now[value]};
	f->now[value] = fact;
}

static void undo_to(struct facts *f, uint32_t mark)
{
	while (f->n_log > mark) {
		f->n_log--;
		f->now[f->log[f->n_log].value] = f->log[f->n_log].was;
	}
}

/* Assumes that block b leaves by edge k. False if it cannot. *len: the packet is at least this long. */
static bool assume_edge(struct facts *f, const struct ir_block *b, uint32_t k, uint32_t *len)
{
	uint32_t sides[2] = {b->a, b->b};
	struct ir_fact s[2];

	if (b->term != IR_BRANCH)
		return true;
	if (b->a == b->b)
		return ir_compare(k ? ir_negated(b->cond) : b->cond, 0, 0);
	s[0] = f->now[b->a];
	s[1] = f->now[b->b];
	fact_assume(k ? ir_negated(b->cond) : b->cond, &s[0], &s[1]);
	if (fact_never(&s[0]) || fact_never(&s[1]))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		sharpen(f, sides[i], s[i]);
		if (f->ir->values[sides[i]].op == IR_PKTLEN && s[i].lo > *len)
			*len = (uint32_t)s[i].lo;
	}
	return true;
}

static void grow_param(struct facts *f, uint32_t param, const struct ir_fact *arg, bool header)
{
	struct ir_fact *fact = &f->ir->facts.value[param], joined;

	if (header && f->round >= WIDEN_ROUND)
		joined = fact_widen(fact, arg);
	else
		joined = fact_join(fact, arg);
	if (!fact_equal(&joined, fact)) {
		*fact = joined;
		f->changed = true;
	}
}

/* Control may go along edge k of block from, with a packet at least len long. */
static void take_edge(struct facts *f, uint32_t from, uint32_t k, uint32_t len)
{
	const struct ir_block *b = &f->ir->blocks[from];
	uint32_t id = b->succ[k].block;
	const struct ir_block *to = &f->ir->blocks[id];
	struct ir_facts *known = &f->ir->facts;

	known->block[from] |= k ? IR_TAKES_1 : IR_TAKES_0;
	if (!(known->block[id] & IR_REACHED)) {
		known->block[id] |= IR_REACHED;
		f->changed = true;
	}
	if (len < known->len_lo[id]) {
		known->len_lo[id] = len;
		f->changed = true;
	}
	for (uint32_t i = 0; i < to->n_params; i++)
		grow_param(f, to->first + i, &f->now[f->ir->args[b->succ[k].args + i]], to->header);
}

static struct ir_fact source(const struct ir_value *v, uint32_t len)
{
	switch (v->op) {
	case IR_CONST:
		return fact_of(v->imm);
	case IR_PKTLEN:
		return fact_range(len, VFM_MAX_PACKET_BYTES);
	case IR_HDR:
		return fact_range(0, v->imm == VFM_HDR_PROTOCOL ? 0xff : 0xffff);
	case IR_INPUT:
		return fact_range(0, UINT32_MAX);
	default:
		return fact_full();
	}
}

static struct ir_fact load(struct facts *f, const struct ir_value *v, uint32_t id, uint32_t *len)
{
	unsigned bytes = ir_ops[v->op].bytes;
	uint64_t least = v->imm, most = ~0ULL >> (64 - 8 * bytes);

	if (v->a != IR_NONE) {
		struct ir_fact inside = fact_range(0, VFM_MAX_PACKET_BYTES - bytes), offset = fact_meet(&f->now[v->a], &inside);

		f->ir->facts.operand[id] = f->now[v->a];
		if (fact_never(&offset))
			return offset;
		sharpen(f, v->a, offset);
		least = offset.lo;
	}
	if (least > VFM_MAX_PACKET_BYTES - bytes)
		return fact_make_never();
	if (least + bytes > *len)
		*len = (uint32_t)least + bytes;
	return (struct ir_fact){.hi = most, .zeros = ~most};
}

static struct ir_fact division(struct facts *f, const struct ir_value *v, uint32_t id)
{
	struct ir_fact not_zero = fact_range(1, ~0ULL), divisor = fact_meet(&f->now[v->b], &not_zero), result;

	f->ir->facts.operand[id] = f->now[v->b];
	if (fact_never(&divisor))
		return divisor;
	result = v->a == v->b ? fact_of(v->op == IR_DIV) : fact_apply(v->op, &f->now[v->a], &divisor);
	sharpen(f, v->b, divisor);
	return result;
}

static struct ir_fact evaluate(struct facts *f, uint32_t id, uint32_t *len)
{
	const struct ir_value *v = &f->ir->values[id];
	uint16_t flags = ir_ops[v->op].flags;

	if (ir_ops[v->op].bytes)
		return load(f, v, id, len);
	if (flags & IR_F_FAULT)
		return division(f, v, id);
	if (!(flags & IR_F_A) || (flags & (IR_F_READ | IR_F_UPDATE)))
		return source(v, *len);
	if (v->a == v->b && (v->op == IR_SUB || v->op == IR_XOR))
		return fact_of(0);
	return fact_apply(v->op, &f->now[v->a], &f->now[v->b == IR_NONE ? v->a : v->b]);
}

static void leave_block(struct facts *f, uint32_t block, uint32_t len)
{
	const struct ir_block *b = &f->ir->blocks[block];

	if (b->a != IR_NONE)
		f->ir->facts.term[2 * block] = f->now[b->a];
	if (b->b != IR_NONE)
		f->ir->facts.term[2 * block + 1] = f->now[b->b];
	for (uint32_t k = 0; k < b->n_succs; k++) {
		uint32_t mark = f->n_log, edge_len = len;

		if (assume_edge(f, b, k, &edge_len))
			take_edge(f, block, k, edge_len);
		undo_to(f, mark);
	}
}

static void enter_block(struct facts *f, uint32_t block)
{
	const struct ir_block *b = &f->ir->blocks[block];
	const struct ir_pred *pred = &f->ir->preds[b->preds];
	struct ir_facts *known = &f->ir->facts;
	uint32_t len, end = b->first + b->n_values;

	if (!(known->block[block] & IR_REACHED))
		return;
	if (b->n_preds == 1 && block > 0)
		assume_edge(f, &f->ir->blocks[pred->block], pred->succ, &known->len_lo[block]);
	len = known->len_lo[block];
	for (uint32_t i = 0; i < b->n_params; i++)
		f->now[b->first + i] = known->value[b->first + i];
	for (uint32_t v = b->first + b->n_params; v < end; v++) {
		known->value[v] = f->now[v] = evaluate(f, v, &len);
		if (!fact_never(&f->now[v]))
			continue;
		/* It always faults: what follows never happens. */
		while (++v < end)
			known->value[v] = f->now[v] = fact_make_never();
		return;
	}
	leave_block(f, block, len);
}

static void walk(struct facts *f)
{
	const struct ir *ir = f->ir;
	uint32_t depth = 0;

	for (uint32_t i = 0; i < ir->n_blocks && !f->failed; i++) {
		uint32_t block = f->preorder[i];

		while (depth && f->marks[2 * depth - 2] < i) {
			depth--;
			undo_to(f, f->marks[2 * depth + 1]);
		}
		f->marks[2 * depth] = ir->dom_out[block];
		f->marks[2 * depth + 1] = f->n_log;
		depth++;
		enter_block(f, block);
	}
	undo_to(f, 0);
}

/* Gives up on precision: every header may be reached with anything. */
static void assume_nothing(struct ir *ir)
{
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		const struct ir_block *b = &ir->blocks[i];

		if (!b->header)
			continue;
		ir->facts.block[i] |= IR_REACHED;
		ir->facts.len_lo[i] = 0;
		for (uint32_t p = 0; p < b->n_params; p++)
			ir->facts.value[b->first + p] = fact_full();
	}
}

static int alloc(struct facts *f)
{
	struct ir *ir = f->ir;
	size_t values = ir->n_values + 1ul, blocks = ir->n_blocks;

	f->now = malloc(values * sizeof(*f->now));
	f->preorder = malloc(blocks * sizeof(*f->preorder));
	f->marks = malloc(2 * blocks * sizeof(*f->marks));
	ir->facts.value = malloc(values * sizeof(*ir->facts.value));
	ir->facts.operand = malloc(values * sizeof(*ir->facts.operand));
	ir->facts.term = malloc(2 * blocks * sizeof(*ir->facts.term));
	ir->facts.block = calloc(blocks, 1);
	ir->facts.len_lo = malloc(blocks * sizeof(*ir->facts.len_lo));
	if (!f->now || !f->preorder || !f->marks || !ir->facts.value || !ir->facts.operand || !ir->facts.term || !ir->facts.block ||
	    !ir->facts.len_lo)
		return -ENOMEM;
	for (uint32_t v = 0; v < ir->n_values; v++)
		f->now[v] = ir->facts.value[v] = ir->facts.operand[v] = fact_make_never();
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		f->preorder[ir->dom_in[i]] = i;
		ir->facts.len_lo[i] = NOT_SEEN_LEN;
		ir->facts.term[2 * i] = ir->facts.term[2 * i + 1] = fact_make_never();
	}
	ir->facts.block[0] = IR_REACHED;
	ir->facts.len_lo[0] = 0;
	return 0;
}

int ir_facts(struct ir *ir)
{
	struct facts f = {.ir = ir};
	int err = alloc(&f);

	for (f.round = 0; !err; f.round++) {
		if (f.round == MAX_ROUNDS)
			assume_nothing(ir);
		f.changed = false;
		walk(&f);
		if (f.failed)
			err = -ENOMEM;
		if (!f.changed || !ir->has_cycle || f.round == MAX_ROUNDS)
			break;
	}
	for (uint32_t i = 0; !err && i < ir->n_blocks; i++)
		if (ir->facts.len_lo[i] == NOT_SEEN_LEN)
			ir->facts.len_lo[i] = 0;
	free(f.now);
	free(f.log);
	free(f.preorder);
	free(f.marks);
	return err;
}

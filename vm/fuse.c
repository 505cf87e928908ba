/* fuse.c: lifted blocks to one array of instructions.
 *
 * First every block is reduced to its gist (a test, a constant result, nothing, or more than that); then the blocks that are still
 * reached after joining tests are laid out in order of address, and stubs for edges that move homes or test the limit behind them.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/regcode.h"

#define NO_EDGE UINT32_MAX

struct stub {
	uint32_t from, to; /* blocks; from NO_EDGE: the edge's work is done */
	uint32_t insn;     /* the jump that goes through it */
	int32_t list_exit; /* >= 0: the exit of its list, else its target */
};

struct fuse {
	struct lift *l;
	const struct fuse_options *o;
	const void *const *handlers;
	struct reg_code *code;
	struct gist *gists;
	bool *needed;
	uint32_t *start; /* block -> index of its first instruction */
	uint32_t *order; /* needed blocks in order of address; scratch stack before that */
	uint32_t n_order;
	uint32_t following; /* block laid out next; UINT32_MAX: none */
	struct stub *stubs;
	uint32_t n_stubs, stubs_room;
	struct plan plan;
	bool failed;
};

/* ---- gists ---- */

static bool left_out(const struct fuse *f, const struct rop *op)
{
	return op->op == REG_CHECK && op->end <= f->o->present_bytes;
}

/* The edge needs nothing but a jump. */
static bool plain(const struct fuse *f, uint32_t from, uint32_t to)
{
	const struct block *b = &f->l->blocks[from];
	uint32_t first, n, distance;

	if (f->o->counted && b->back && b->taken == to)
		return false;
	return !lift_edge_shift(f->l, from, to, &first, &n, &distance);
}

static void note_test(const struct fuse *f, uint32_t b, struct gist *g)
{
	const struct block *block = &f->l->blocks[b];
	const struct term *t = &f->l->term;

	if (t->a.kind != SYM_FIELD || (t->op != VFM_OP_JEQ && t->op != VFM_OP_JNE) || f->o->counted)
		return;
	if (!plain(f, b, block->taken) || !plain(f, b, block->next))
		return;
	g->ends_in_test = true;
	g->window = fuse_window(&t->a, t->b.v);
	g->match = t->op == VFM_OP_JEQ ? block->taken : block->next;
	g->miss = t->op == VFM_OP_JEQ ? block->next : block->taken;
}

static void find_gist(struct fuse *f, uint32_t b)
{
	const struct block *block = &f->l->blocks[b];
	const struct term *t = &f->l->term;
	struct gist *g = &f->gists[b];
	bool alone = !f->o->counted;
	uint32_t to;

	lift_block(f->l, b);
	for (uint32_t i = 0; i < f->l->n_ops; i++)
		alone = alone && left_out(f, &f->l->ops[i]);
	if (t->kind == TERM_COND) {
		note_test(f, b, g);
		if (alone && g->ends_in_test)
			g->kind = GIST_TEST;
	} else if (t->kind == TERM_RET) {
		g->value = t->a.v;
		if (alone && t->a.kind == SYM_CONST)
			g->kind = GIST_RET;
	} else if (alone) {
		to = t->kind == TERM_JMP ? block->taken : block->next;
		g->match = to;
		if (plain(f, b, to))
			g->kind = GIST_EMPTY;
	}
}

/* Through blocks that do nothing. Uncounted programs have no loops, so this ends. */
static uint32_t resolve(const struct fuse *f, uint32_t b)
{
	while (f->gists[b].kind == GIST_EMPTY)
		b = f->gists[b].match;
	return b;
}

static void find_gists(struct fuse *f)
{
	for (uint32_t b = 0; b < f->l->n_blocks; b++)
		if (f->l->blocks[b].reached)
			find_gist(f, b);
	for (uint32_t b = 0; b < f->l->n_blocks; b++) {
		struct gist *g = &f->gists[b];

		if (!g->ends_in_test)
			continue;
		g->match = resolve(f, g->match);
		g->miss = resolve(f, g->miss);
	}
}

/* ---- which blocks are needed ---- */

static void need(struct fuse *f, uint32_t b)
{
	if (f->needed[b])
		return;
	f->needed[b] = true;
	f->order[f->n_order++] = b;
}

/* A result that is a constant is written where it is wanted instead of jumped to. */
static void need_exit(struct fuse *f, uint32_t b)
{
	b = resolve(f, b);
	if (f->gists[b].kind != GIST_RET)
		need(f, b);
}

static bool all_results(const struct fuse *f, const struct plan *plan, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (f->gists[plan->exit[i]].kind != GIST_RET)
			return false;
	return true;
}

/* A list whose items all give results needs only its last exit, if that is no result; anything else jumps, to results too. */
static void need_exits_of_list(struct fuse *f)
{
	const struct plan *plan = &f->plan;
	uint32_t n = plan->list.n;

	if (all_results(f, plan, n) && (n > 1 || all_results(f, plan, 2)))
		return need_exit(f, plan->exit[n]);
	for (uint32_t i = 0; i <= n; i++)
		need(f, plan->exit[i]);
}

static void need_exits_of(struct fuse *f, uint32_t b)
{
	const struct block *block = &f->l->blocks[b];

	if (f->gists[b].ends_in_test) {
		fuse_list(f->gists, b, LIST_MAX_ITEMS, &f->plan);
		return need_exits_of_list(f);
	}
	lift_block(f->l, b);
	if (f->l->term.kind == TERM_COND)
		need(f, resolve(f, block->taken));
	if (f->l->term.kind == TERM_JMP)
		need_exit(f, block->taken);
	if (f->l->term.kind == TERM_COND || f->l->term.kind == TERM_NEXT)
		need_exit(f, block->next);
}

static int by_address(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void find_needed(struct fuse *f)
{
	uint32_t n = 0;

	need(f, 0);
	/* order[] is a stack of blocks to look at; every block enters it once, so the ones taken out can be kept below. */
	while (f->n_order > n) {
		uint32_t last = f->n_order - 1, b = f->order[last];

		f->order[last] = f->order[n];
		f->order[n++] = b;
		need_exits_of(f, b);
	}
	qsort(f->order, f->n_order, sizeof(*f->order), by_address);
}

/* ---- writing ---- */

static struct reg_insn *emit(struct fuse *f, uint8_t op)
{
	static struct reg_insn unused;
	struct reg_code *c = f->code;

	if (c->n == c->room) {
		uint32_t room = c->room ? 2 * c->room : 64;
		struct reg_insn *insns = realloc(c->insns, room * sizeof(*insns));

		if (!insns) {
			f->failed = true;
			return &unused;
		}
		c->insns = insns;
		c->room = room;
	}
	c->insns[c->n] = (struct reg_insn){.op = op, .handler = f->handlers[op]};
	return &c->insns[c->n++];
}

static uint32_t keep_list(struct fuse *f, const struct reg_list *list)
{
	struct reg_code *c = f->code;

	if (c->n_lists == c->lists_room) {
		uint32_t room = c->lists_room ? 2 * c->lists_room : 4;
		struct reg_list *lists = aligned_alloc(_Alignof(struct reg_list), room * sizeof(*lists));

		if (!lists) {
			f->failed = true;
			return 0;
		}
		if (c->n_lists)
			memcpy(lists, c->lists, c->n_lists * sizeof(*lists));
		free(c->lists);
		c->lists = lists;
		c->lists_room = room;
	}
	c->lists[c->n_lists] = *list;
	return c->n_lists++;
}

static void set_field(struct reg_insn *insn, uint32_t end, uint8_t shift, uint64_t mask)
{
	insn->at = end < 8 ? 0 : end - 8;
	insn->shift = (uint8_t)(shift + (end < 8 ? 8 * (8 - end) : 0));
	insn->imm = mask;
}

static void emit_op(struct fuse *f, const struct rop *op)
{
	struct reg_insn *insn;

	if (left_out(f, op))
		return;
	insn = emit(f, op->op);
	insn->dst = (uint16_t)op->dst;
	insn->a = (uint16_t)op->a;
	insn->b = (uint16_t)op->b;
	insn->imm = op->imm;
	insn->at = op->op == REG_CHECK ? op->end : op->n;
	if (op->op == REG_FIELD)
		set_field(insn, op->end, op->shift, op->imm);
}

/* Remembers that the last instruction's target (or exit of its list) is block `to`, by a stub if the edge needs one. */
static void aim(struct fuse *f, uint32_t from, uint32_t to, uint32_t insn, int32_t list_exit)
{
	if (f->n_stubs == f->stubs_room) {
		uint32_t room = f->stubs_room ? 2 * f->stubs_room : 64;
		struct stub *stubs = realloc(f->stubs, room * sizeof(*stubs));

		if (!stubs) {
			f->failed = true;
			return;
		}
		f->stubs = stubs;
		f->stubs_room = room;
	}
	f->stubs[f->n_stubs++] = (struct stub){from, to, insn, list_exit};
}

/* What an edge does on its way. */
static void emit_edge_work(struct fuse *f, uint32_t from, uint32_t to)
{
	const struct block *b = &f->l->blocks[from];
	uint32_t first, n, distance;
	struct reg_insn *insn;

	if (f->o->counted && b->back && b->taken == to)
		emit(f, REG_LIMIT);
	if (!lift_edge_shift(f->l, from, to, &first, &n, &distance))
		return;
	insn = emit(f, REG_SHIFT);
	insn->dst = (uint16_t)first;
	insn->a = (uint16_t)(first + distance);
	insn->b = (uint16_t)n;
}

/* Control goes on from here to block `to`; from NO_EDGE: the ways of a list need no work. */
static void emit_way(struct fuse *f, uint32_t from, uint32_t to)
{
	uint32_t end = resolve(f, to);

	if (from != NO_EDGE)
		emit_edge_work(f, from, to);
	if (f->gists[end].kind == GIST_RET) {
		emit(f, REG_RET_I)->imm = f->gists[end].value;
	} else if (end != f->following) {
		emit(f, REG_JMP);
		aim(f, NO_EDGE, end, f->code->n - 1, -1);
	}
}

/* ---- the end of a block ---- */

static void emit_ret(struct fuse *f)
{
	const struct sym *a = &f->l->term.a;
	struct reg_insn *insn;

	if (f->o->counted)
		emit(f, REG_LIMIT);
	switch (a->kind) {
	case SYM_CONST:
		emit(f, REG_RET_I)->imm = a->v;
		break;
	case SYM_FIELD:
		set_field(emit(f, REG_RET_FIELD), a->end, a->shift, a->v);
		break;
	default:
		insn = emit(f, REG_RET_R);
		insn->a = (uint16_t)a->end;
		break;
	}
}

static uint8_t compare_op(const struct term *t)
{
	uint8_t base = t->a.kind == SYM_FIELD ? REG_JGT_FIELD - 2 : t->b.kind == SYM_CONST ? REG_JEQ_RI : REG_JEQ_RR;

	switch (t->op) {
	case VFM_OP_JEQ:
		return base;
	case VFM_OP_JNE:
		return (uint8_t)(base + 1);
	case VFM_OP_JGT:
		return (uint8_t)(base + 2);
	default:
		return (uint8_t)(base + 3); /* JLE */
	}
}

/* A conditional jump by itself. */
static void emit_compare(struct fuse *f, uint32_t b)
{
	const struct block *block = &f->l->blocks[b];
	const struct term *t = &f->l->term;
	struct reg_insn *insn;

	if (t->a.kind == SYM_FIELD && (t->op == VFM_OP_JEQ || t->op == VFM_OP_JNE)) {
		struct window w = fuse_window(&t->a, t->b.v);

		insn = emit(f, t->op == VFM_OP_JEQ ? REG_JMATCH : REG_JMISS);
		insn->imm = w.mask;
		insn->imm2 = w.value;
		insn->at = w.at;
	} else {
		insn = emit(f, compare_op(t));
		insn->a = (uint16_t)t->a.end;
		insn->b = (uint16_t)t->b.end;
		insn->imm = t->b.v;
		if (t->a.kind == SYM_FIELD) {
			set_field(insn, t->a.end, t->a.shift, t->a.v);
			insn->imm2 = t->b.v;
		}
	}
	aim(f, b, block->taken, f->code->n - 1, -1);
	emit_way(f, b, block->next);
}

/* A list of one: a jump. */
static void emit_match(struct fuse *f)
{
	const struct plan *plan = &f->plan;
	bool invert = plan->exit[0] == f->following;
	uint32_t to = plan->exit[invert ? 1 : 0];
	struct reg_insn *insn;

	if (plan->list.width == 1) {
		insn = emit(f, invert ? REG_JMISS : REG_JMATCH);
		insn->imm = plan->list.mask[0][0];
		insn->imm2 = plan->list.value[0][0];
		insn->at = plan->list.at[0];
	} else {
		insn = emit(f, invert ? REG_JMISS_LIST : REG_JMATCH_LIST);
		insn->at = keep_list(f, &plan->list);
	}
	aim(f, NO_EDGE, to, f->code->n - 1, -1);
	if (!invert)
		emit_way(f, NO_EDGE, plan->exit[1]);
}

static void emit_list(struct fuse *f, uint32_t b)
{
	struct plan *plan = &f->plan;
	uint32_t n;
	bool results, last_result;

	fuse_list(f->gists, b, LIST_MAX_ITEMS, plan);
	n = plan->list.n;
	results = all_results(f, plan, n);
	last_result = f->gists[plan->exit[n]].kind == GIST_RET;
	for (uint32_t i = 0; i <= n; i++)
		plan->list.result[i] = f->gists[plan->exit[i]].value;
	if (n == 1 && !(results && last_result)) {
		emit_match(f);
	} else if (results) {
		uint32_t list = keep_list(f, &plan->list);

		emit(f, !last_result ? REG_LIST_NEXT : n == 1 ? REG_MATCH_RET : REG_LIST_RET)->at = list;
		if (!last_result)
			emit_way(f, NO_EDGE, plan->exit[n]);
	} else {
		uint32_t list = keep_list(f, &plan->list);

		emit(f, REG_LIST_JMP)->at = list;
		for (uint32_t i = 0; i <= n; i++)
			aim(f, NO_EDGE, plan->exit[i], f->code->n - 1, (int32_t)i);
	}
}

static void emit_block(struct fuse *f, uint32_t b)
{
	const struct block *block = &f->l->blocks[b];

	lift_block(f->l, b);
	if (f->l->failed)
		return;
	f->start[b] = f->code->n;
	if (f->o->counted)
		emit(f, REG_COUNT)->imm = block->count;
	for (uint32_t i = 0; i < f->l->n_ops; i++)
		emit_op(f, &f->l->ops[i]);
	switch (f->l->term.kind) {
	case TERM_RET:
		emit_ret(f);
		break;
	case TERM_JMP:
		emit_way(f, b, block->taken);
		break;
	case TERM_NEXT:
		emit_way(f, b, block->next);
		break;
	default:
		if (f->gists[b].ends_in_test)
			emit_list(f, b);
		else
			emit_compare(f, b);
		break;
	}
}

/* ---- targets ---- */

static uint32_t stub_start(struct fuse *f, const struct stub *s)
{
	uint32_t end = resolve(f, s->to), at = f->code->n;

	if (s->from == NO_EDGE || plain(f, s->from, s->to))
		return f->start[end];
	f->following = UINT32_MAX;
	emit_edge_work(f, s->from, s->to);
	emit(f, REG_JMP)->target = f->start[end];
	return at;
}

static void link_targets(struct fuse *f)
{
	for (uint32_t i = 0; i < f->n_stubs && !f->failed; i++) {
		const struct stub *s = &f->stubs[i];
		uint32_t start = stub_start(f, s);
		struct reg_insn *insn = &f->code->insns[s->insn];

		if (s->list_exit >= 0)
			f->code->lists[insn->at].target[s->list_exit] = start;
		else
			insn->target = start;
	}
}

int fuse_code(struct lift *l, const struct fuse_options *o, const void *const *handlers, struct reg_code *code)
{
	struct fuse f = {.l = l, .o = o, .handlers = handlers, .code = code};

	memset(code, 0, sizeof(*code));
	code->match = match_choose();
	f.gists = calloc(l->n_blocks, sizeof(*f.gists));
	f.needed = calloc(l->n_blocks, sizeof(*f.needed));
	f.start = calloc(l->n_blocks, sizeof(*f.start));
	f.order = calloc(l->n_blocks, sizeof(*f.order));
	f.failed = !f.gists || !f.needed || !f.start || !f.order;
	if (!f.failed) {
		find_gists(&f);
		find_needed(&f);
	}
	for (uint32_t i = 0; i < f.n_order && !f.failed && !l->failed; i++) {
		f.following = i + 1 < f.n_order ? f.order[i + 1] : UINT32_MAX;
		emit_block(&f, f.order[i]);
	}
	if (!f.failed && !l->failed)
		link_targets(&f);
	free(f.gists);
	free(f.needed);
	free(f.start);
	free(f.order);
	free(f.stubs);
	if (!f.failed && !l->failed)
		return 0;
	fuse_code_fini(code);
	return -ENOMEM;
}

void fuse_code_fini(struct reg_code *code)
{
	free(code->insns);
	free(code->lists);
	memset(code, 0, sizeof(*code));
}

/* vfl_graph.c: values, blocks, and what is known on the way to a block. */
#include <errno.h>
#include <string.h>

#include "vm/vfl_graph.h"

#define CHAINS         8192
#define MAX_OPERATIONS (2u * VFM_MAX_PROGRAM_BYTES) /* each that is needed takes a byte at least, so more never fit */
#define WALK_BLOCKS    1024                         /* how far up the dominators to look for what is known */

struct vfl_graph *vfl_graph_new(struct vfl *c)
{
	struct vfl_graph *g = vfl_alloc(c, sizeof(*g));

	g->c = c;
	g->chains = vfl_alloc(c, CHAINS * sizeof(*g->chains));
	g->n_values = 1;
	g->n_blocks = 1;
	return g;
}

static void too_large(struct vfl_graph *g)
{
	vfl_error(g->c, NULL, "the program does not fit in %u bytes; preload a table instead of listing members",
		  VFM_MAX_PROGRAM_BYTES);
	vfl_escape(g->c, EINVAL);
}

static void *grown(struct vfl *c, const void *old, uint32_t used, uint32_t *room, size_t each)
{
	void *p;

	*room = *room ? 2 * *room : 64;
	p = vfl_alloc(c, *room * each);
	if (used)
		memcpy(p, old, used * each);
	return p;
}

static uint32_t new_value(struct vfl_graph *g, const struct vfl_value *v)
{
	if (g->n_values >= g->room_values)
		g->values = grown(g->c, g->values, g->n_values == 1 ? 0 : g->n_values, &g->room_values, sizeof(*g->values));
	g->values[g->n_values] = *v;
	return g->n_values++;
}

static uint32_t *chain_of(struct vfl_graph *g, const struct vfl_value *v)
{
	uint64_t h = v->imm * 0x9e3779b97f4a7c15ULL;

	h = (h ^ v->op) * 0x9e3779b97f4a7c15ULL;
	h = (h ^ v->a ^ (uint64_t)v->b << 32) * 0x9e3779b97f4a7c15ULL;
	h ^= v->epoch + v->table;
	return &g->chains[(h ^ h >> 32) % CHAINS];
}

/* The block at the given depth on the way from block up the dominator tree. Ancestors are chosen so that O(log depth) steps do
 * (Myers, "An applicative random-access stack", 1983). */
static uint32_t ancestor_at(const struct vfl_graph *g, uint32_t block, uint32_t depth)
{
	while (g->blocks[block].depth > depth) {
		const struct vfl_block *b = &g->blocks[block];

		block = g->blocks[b->ancestor].depth >= depth ? b->ancestor : b->dominator;
	}
	return block;
}

static uint32_t common_dominator(const struct vfl_graph *g, uint32_t a, uint32_t b)
{
	a = ancestor_at(g, a, g->blocks[b].depth);
	b = ancestor_at(g, b, g->blocks[a].depth);
	while (a != b) {
		bool far = g->blocks[a].ancestor != g->blocks[b].ancestor;

		a = far ? g->blocks[a].ancestor : g->blocks[a].dominator;
		b = far ? g->blocks[b].ancestor : g->blocks[b].dominator;
	}
	return a;
}

void vfl_place_in_tree(struct vfl_graph *g, uint32_t block)
{
	struct vfl_block *b = &g->blocks[block];
	const struct vfl_block *up = &g->blocks[b->dominator], *further = &g->blocks[up->ancestor];
	bool equal_steps = up->depth - further->depth == further->depth - g->blocks[further->ancestor].depth;

	b->depth = up->depth + 1;
	b->ancestor = equal_steps ? further->ancestor : b->dominator;
}

bool vfl_is_at_hand(const struct vfl_graph *g, uint32_t value)
{
	const struct vfl_value *v = &g->values[value];

	return v->kind == VFL_CONSTANT || ancestor_at(g, g->current, g->blocks[v->block].depth) == v->block;
}

static uint32_t find_value(struct vfl_graph *g, const struct vfl_value *like, uint32_t first)
{
	for (uint32_t i = first; i; i = g->values[i].next) {
		const struct vfl_value *v = &g->values[i];

		if (v->kind == like->kind && v->op == like->op && v->imm == like->imm && v->a == like->a && v->b == like->b &&
		    v->table == like->table && v->epoch == like->epoch && vfl_is_at_hand(g, i))
			return i;
	}
	return VFL_NONE;
}

static uint32_t find_or_add(struct vfl_graph *g, struct vfl_value *like)
{
	uint32_t *chain = chain_of(g, like);
	uint32_t found = find_value(g, like, *chain);

	if (found)
		return found;
	if (like->kind == VFL_OPERATION && ++g->n_operations > MAX_OPERATIONS)
		too_large(g);
	like->block = like->kind == VFL_CONSTANT ? VFL_NONE : g->current;
	like->next = *chain;
	*chain = new_value(g, like);
	return *chain;
}

void vfl_forget_values(struct vfl_graph *g)
{
	memset(g->chains, 0, CHAINS * sizeof(*g->chains));
}

uint32_t vfl_find_or_enter(struct vfl_graph *g, uint32_t value)
{
	struct vfl_value *v = &g->values[value];
	uint32_t *chain = chain_of(g, v);
	uint32_t found = find_value(g, v, *chain);

	if (found)
		return found;
	v->next = *chain;
	*chain = value;
	return value;
}

uint32_t vfl_constant(struct vfl_graph *g, uint64_t value)
{
	struct vfl_value v = {.kind = VFL_CONSTANT, .imm = value};

	return find_or_add(g, &v);
}

uint32_t vfl_operation(struct vfl_graph *g, uint8_t op, uint64_t imm, uint32_t a, uint32_t b)
{
	struct vfl_value v = {.kind = VFL_OPERATION, .op = op, .imm = imm, .a = a, .b = b};

	return find_or_add(g, &v);
}

uint32_t vfl_table_operation(struct vfl_graph *g, uint8_t op, uint8_t table, uint32_t a, uint32_t b)
{
	struct vfl_value v = {.kind = VFL_OPERATION, .op = op, .table = table, .a = a, .b = b};
	struct vfl_block *block = &g->blocks[g->current];

	if (vfm_ops[op].flags & VFM_F_UPDATE)
		block->epoch_end = ++g->epochs; /* makes it unlike any other */
	v.epoch = block->epoch_end;
	return find_or_add(g, &v);
}

uint32_t vfl_block_new(struct vfl_graph *g)
{
	if (g->n_blocks > MAX_OPERATIONS)
		too_large(g);
	if (g->n_blocks >= g->room_blocks)
		g->blocks = grown(g->c, g->blocks, g->n_blocks == 1 ? 0 : g->n_blocks, &g->room_blocks, sizeof(*g->blocks));
	memset(&g->blocks[g->n_blocks], 0, sizeof(*g->blocks));
	return g->n_blocks++;
}

bool vfl_block_start(struct vfl_graph *g, uint32_t block)
{
	struct vfl_block *b = &g->blocks[block];

	g->current = VFL_NONE;
	if (!b->n_from && g->n_order)
		return false;
	if (!g->order)
		g->order = vfl_alloc(g->c, (MAX_OPERATIONS + 2) * sizeof(*g->order));
	g->order[g->n_order++] = block;
	g->current = block;
	b->started = true;
	b->first = b->end = g->n_values;
	/* Several ways in: some may have updated a table. */
	b->epoch_begin = b->n_from > 1 ? ++g->epochs : g->blocks[b->dominator].epoch_end;
	b->epoch_end = b->epoch_begin;
	if (b->n_from)
		vfl_place_in_tree(g, block);
	else
		b->ancestor = b->dominator = block;
	return true;
}

uint32_t vfl_block_parameter(struct vfl_graph *g, uint32_t block)
{
	struct vfl_value v = {.kind = VFL_PARAMETER, .block = block};

	vfl_block_start(g, block);
	g->blocks[block].parameter = new_value(g, &v);
	return g->blocks[block].parameter;
}

static struct vfl_block *finish(struct vfl_graph *g, enum vfl_end_kind kind)
{
	struct vfl_block *b = &g->blocks[g->current];

	b->end = g->n_values;
	b->end_kind = (uint8_t)kind;
	return b;
}

void vfl_meet_dominator(struct vfl_graph *g, uint32_t block, uint32_t from)
{
	struct vfl_block *b = &g->blocks[block];

	b->dominator = b->n_from++ ? common_dominator(g, b->dominator, from) : from;
}

static void add_edge(struct vfl_graph *g, uint32_t to, struct vfl_relation fact)
{
	struct vfl_block *b = &g->blocks[to];

	if (b->n_from)
		b->fact.op = 0;
	else
		b->fact = fact;
	vfl_meet_dominator(g, to, g->current);
}

void vfl_end_return(struct vfl_graph *g, uint32_t value)
{
	finish(g, VFL_END_RET)->test.a = value;
	g->current = VFL_NONE;
}

void vfl_end_jump(struct vfl_graph *g, uint32_t to, uint32_t argument)
{
	struct vfl_block *b = finish(g, VFL_END_JUMP);

	b->to[0] = to;
	b->argument[0] = argument;
	add_edge(g, to, (struct vfl_relation){0});
	g->current = VFL_NONE;
}

void vfl_end_branch(struct vfl_graph *g, struct vfl_relation test, uint32_t yes, uint32_t no)
{
	int known = vfl_decide(g, g->current, (struct vfl_relation){0}, test);
	struct vfl_block *b;

	if (known >= 0 || yes == no) {
		vfl_end_jump(g, known == 0 ? no : yes, VFL_NONE);
		return;
	}
	b = finish(g, VFL_END_BRANCH);
	b->test = test;
	b->to[0] = yes;
	b->to[1] = no;
	add_edge(g, yes, test);
	add_edge(g, no, vfl_relation_inverse(test));
	g->current = VFL_NONE;
}

/* ---- what is known ---- */

struct vfl_relation vfl_relation_inverse(struct vfl_relation r)
{
	static const uint8_t of[][2] = {{VFM_OP_JEQ, VFM_OP_JNE}, {VFM_OP_JGT, VFM_OP_JLE}, {VFM_OP_JLT, VFM_OP_JGE}};

	for (int i = 0; i < 3; i++) {
		if (r.op == of[i][0] || r.op == of[i][1]) {
			r.op = of[i][r.op == of[i][0]];
			break;
		}
	}
	return r;
}

/* What is known of one value: it lies in [least, most] and is not `other` (if has_other). */
struct known {
	uint64_t least, most, other;
	bool has_other;
};

static void learn(struct known *k, uint8_t op, uint64_t b)
{
	switch (op) {
	case VFM_OP_JEQ:
		k->least = k->most = b;
		break;
	case VFM_OP_JGT:
		if (b < UINT64_MAX && b + 1 > k->least)
			k->least = b + 1;
		break;
	case VFM_OP_JGE:
		if (b > k->least)
			k->least = b;
		break;
	case VFM_OP_JLT:
		if (b && b - 1 < k->most)
			k->most = b - 1;
		break;
	case VFM_OP_JLE:
		if (b < k->most)
			k->most = b;
		break;
	default: /* JNE */
		if (b == k->other)
			k->has_other = true;
	}
}

static int judge(const struct known *k, uint8_t op, uint64_t b)
{
	switch (op) {
	case VFM_OP_JEQ:
		if (b < k->least || b > k->most || (k->has_other && b == k->other))
			return 0;
		return k->least == k->most ? 1 : -1;
	case VFM_OP_JGT:
		return k->least > b ? 1 : k->most <= b ? 0 : -1;
	case VFM_OP_JGE:
		return k->least >= b ? 1 : k->most < b ? 0 : -1;
	default:
		return -1;
	}
}

static bool is_constant(const struct vfl_graph *g, uint32_t value)
{
	return g->values[value].kind == VFL_CONSTANT;
}

/* Takes one fact into account; true if it answers the test by itself. */
static bool apply_fact(const struct vfl_graph *g, struct vfl_relation fact, struct vfl_relation test, struct known *k, int *answer)
{
	if (!fact.op || fact.a != test.a)
		return false;
	if (fact.b == test.b && (fact.op == test.op || fact.op == vfl_relation_inverse(test).op)) {
		*answer = fact.op == test.op;
		return true;
	}
	if (is_constant(g, fact.b))
		learn(k, fact.op, g->values[fact.b].imm);
	return false;
}

int vfl_decide(const struct vfl_graph *g, uint32_t block, struct vfl_relation edge, struct vfl_relation test)
{
	struct known k = {0, UINT64_MAX, g->values[test.b].imm, false};
	struct vfl_relation inverse = vfl_relation_inverse(test);
	/* judge() answers JEQ, JGT and JGE: ask the inverse of the others. */
	bool ask_inverse = test.op == VFM_OP_JNE || test.op == VFM_OP_JLE || test.op == VFM_OP_JLT;
	int answer;

	if (is_constant(g, test.a))
		k.least = k.most = g->values[test.a].imm;
	if (apply_fact(g, edge, test, &k, &answer))
		return answer;
	for (uint32_t i = 0; i < WALK_BLOCKS; i++, block = g->blocks[block].dominator) {
		if (apply_fact(g, g->blocks[block].fact, test, &k, &answer))
			return answer;
		if (!g->blocks[block].depth)
			break;
	}
	if (!is_constant(g, test.b))
		return -1;
	answer = judge(&k, ask_inverse ? inverse.op : test.op, g->values[test.b].imm);
	return answer < 0 || !ask_inverse ? answer : !answer;
}

/* ---- printing ---- */

static void dump_value(const struct vfl_graph *g, uint32_t i, FILE *out)
{
	const struct vfl_value *v = &g->values[i];

	if (v->kind == VFL_PARAMETER) {
		fprintf(out, "  v%u = parameter\n", i);
		return;
	}
	fprintf(out, "  v%u = %s", i, vfm_ops[v->op].mnemonic);
	if (v->a)
		fprintf(out, " v%u", v->a);
	if (v->b)
		fprintf(out, " v%u", v->b);
	if (vfm_ops[v->op].flags & (VFM_F_READ | VFM_F_UPDATE))
		fprintf(out, " table %u", v->table);
	else if (!v->a)
		fprintf(out, " %llu", (unsigned long long)v->imm);
	fprintf(out, "\n");
}

void vfl_graph_dump(const struct vfl_graph *g, FILE *out)
{
	for (uint32_t i = 0; i < g->n_values; i++)
		if (i && is_constant(g, i))
			fprintf(out, "v%u = %llu\n", i, (unsigned long long)g->values[i].imm);
	for (uint32_t i = 0; i < g->n_order; i++) {
		const struct vfl_block *b = &g->blocks[g->order[i]];

		fprintf(out, "block %u:\n", g->order[i]);
		for (uint32_t v = b->first; v < b->end; v++)
			if (g->values[v].kind == VFL_PARAMETER || g->values[v].kind == VFL_OPERATION)
				dump_value(g, v, out);
		if (b->end_kind == VFL_END_RET)
			fprintf(out, "  RET v%u\n", b->test.a);
		else if (b->end_kind == VFL_END_JUMP)
			fprintf(out, "  JMP block %u (v%u)\n", b->to[0], b->argument[0]);
		else
			fprintf(out, "  %s v%u v%u block %u else block %u\n", vfm_ops[b->test.op].mnemonic, b->test.a, b->test.b,
				b->to[0], b->to[1]);
	}
}

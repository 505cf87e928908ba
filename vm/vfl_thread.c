/* vfl_thread.c: a jump to a block that only tests what is known on the way there goes on to where that test leads. So a guard repeated in
 * several alternatives, (or (and guard a) (and guard b)), is tested once. Also: what is used, what is reached. */
#include "vm/vfl_graph.h"

#define MAX_STEPS 64 /* of one jump */
#define ROUNDS    3  /* a value found again can make another test's outcome known */

bool vfl_must_execute(const struct vfl_value *v)
{
	return v->kind == VFL_OPERATION && (vfm_ops[v->op].flags & (VFM_F_BOUNDS | VFM_F_DIVIDE | VFM_F_UPDATE));
}

bool vfl_divides_safely(const struct vfl_graph *g, const struct vfl_value *v)
{
	const struct vfl_value *b = &g->values[v->b];

	return (vfm_ops[v->op].flags & VFM_F_DIVIDE) && b->kind == VFL_CONSTANT && b->imm;
}

static void mark_reached(struct vfl_graph *g)
{
	for (uint32_t i = 1; i < g->n_blocks; i++)
		g->blocks[i].reached = false;
	g->blocks[g->order[0]].reached = true;
	for (uint32_t i = 0; i < g->n_order; i++) {
		const struct vfl_block *b = &g->blocks[g->order[i]];

		if (!b->reached)
			continue;
		if (b->end_kind == VFL_END_JUMP || b->end_kind == VFL_END_BRANCH)
			g->blocks[b->to[0]].reached = true;
		if (b->end_kind == VFL_END_BRANCH)
			g->blocks[b->to[1]].reached = true;
	}
}

static void use(struct vfl_graph *g, uint32_t value)
{
	g->values[value].uses++;
}

static void count_end(struct vfl_graph *g, const struct vfl_block *b)
{
	switch ((enum vfl_end_kind)b->end_kind) {
	case VFL_END_BRANCH:
		use(g, b->test.a);
		use(g, b->test.b);
		for (int i = 0; i < 2; i++)
			if (g->blocks[b->to[i]].parameter && g->values[g->blocks[b->to[i]].parameter].uses)
				use(g, b->argument[i]);
		break;
	case VFL_END_JUMP:
		if (g->blocks[b->to[0]].parameter && g->values[g->blocks[b->to[0]].parameter].uses)
			use(g, b->argument[0]);
		break;
	default:
		use(g, b->test.a);
	}
}

/* Users stand behind what they use, so one pass from the end finds everything that is needed. */
void vfl_count_uses(struct vfl_graph *g)
{
	mark_reached(g);
	for (uint32_t i = 0; i < g->n_values; i++)
		g->values[i].uses = 0;
	for (uint32_t i = g->n_order; i-- > 0;) {
		const struct vfl_block *b = &g->blocks[g->order[i]];

		if (!b->reached)
			continue;
		count_end(g, b);
		for (uint32_t k = b->end; k-- > b->first;) {
			const struct vfl_value *v = &g->values[k];

			if (v->kind != VFL_OPERATION || (!v->uses && (!vfl_must_execute(v) || vfl_divides_safely(g, v))))
				continue;
			if (v->a)
				use(g, v->a);
			if (v->b)
				use(g, v->b);
		}
	}
}

static uint32_t uses_at_end(const struct vfl_block *b, uint32_t value)
{
	if (b->end_kind == VFL_END_JUMP)
		return b->argument[0] == value;
	return (b->test.a == value) + (b->end_kind == VFL_END_BRANCH && b->test.b == value);
}

/* The block does nothing but its end, and its parameter stands nowhere else: on a way around the block nothing would bring it. */
static bool is_empty(const struct vfl_graph *g, const struct vfl_block *b)
{
	for (uint32_t i = b->first; i < b->end; i++)
		if (g->values[i].kind == VFL_OPERATION && (g->values[i].uses || vfl_must_execute(&g->values[i])))
			return false;
	return !b->parameter || g->values[b->parameter].uses == uses_at_end(b, b->parameter);
}

static uint32_t brought(const struct vfl_block *b, uint32_t value, uint32_t argument)
{
	return b->parameter && value == b->parameter ? argument : value;
}

/* Where a jump from `from` to *to, on a way where `edge` holds, may go instead. False: nowhere else. */
static bool step(const struct vfl_graph *g, uint32_t from, struct vfl_relation edge, uint32_t *to, uint32_t *argument)
{
	const struct vfl_block *b = &g->blocks[*to];
	struct vfl_relation test = b->test;
	int known;

	if (!is_empty(g, b))
		return false;
	if (b->end_kind == VFL_END_JUMP) {
		*argument = brought(b, b->argument[0], *argument);
		*to = b->to[0];
		return true;
	}
	if (b->end_kind != VFL_END_BRANCH || b->argument[0] || b->argument[1])
		return false;
	test.a = brought(b, test.a, *argument);
	test.b = brought(b, test.b, *argument);
	known = vfl_decide(g, from, edge, test);
	if (known < 0)
		return false;
	*to = b->to[known ? 0 : 1];
	*argument = VFL_NONE;
	return true;
}

static void thread_edge(struct vfl_graph *g, uint32_t from, struct vfl_relation edge, int which)
{
	struct vfl_block *b = &g->blocks[from];

	for (int i = 0; i < MAX_STEPS && step(g, from, edge, &b->to[which], &b->argument[which]); i++)
		;
}

/* ---- values that now dominate ---- */

static void find_dominators(struct vfl_graph *g)
{
	for (uint32_t i = 0; i < g->n_order; i++)
		g->blocks[g->order[i]].n_from = 0;
	for (uint32_t i = 0; i < g->n_order; i++) {
		uint32_t block = g->order[i];
		struct vfl_block *b = &g->blocks[block];
		unsigned ways = b->end_kind == VFL_END_BRANCH ? 2 : b->end_kind == VFL_END_JUMP ? 1 : 0;

		if (!b->reached)
			continue;
		if (i)
			vfl_place_in_tree(g, block);
		for (unsigned way = 0; way < ways; way++)
			vfl_meet_dominator(g, b->to[way], block);
	}
}

static void rename_operand(const uint32_t *name, uint32_t *value)
{
	*value = name[*value];
}

static void rename_relations(const uint32_t *name, struct vfl_block *b)
{
	rename_operand(name, &b->fact.a);
	rename_operand(name, &b->fact.b);
	rename_operand(name, &b->test.a);
	rename_operand(name, &b->test.b);
	rename_operand(name, &b->argument[0]);
	rename_operand(name, &b->argument[1]);
}

/* Fewer ways into a block mean that more was computed before it: an operation of which an equal one now dominates it is that one. */
static void reuse_values(struct vfl_graph *g)
{
	uint32_t *name = vfl_alloc(g->c, g->n_values * sizeof(*name));

	find_dominators(g);
	vfl_forget_values(g);
	for (uint32_t i = 0; i < g->n_values; i++)
		name[i] = i;
	for (uint32_t i = 0; i < g->n_order; i++) {
		struct vfl_block *b = &g->blocks[g->order[i]];

		if (!b->reached)
			continue;
		g->current = g->order[i];
		for (uint32_t k = b->first; k < b->end; k++) {
			if (g->values[k].kind != VFL_OPERATION)
				continue;
			rename_operand(name, &g->values[k].a);
			rename_operand(name, &g->values[k].b);
			name[k] = vfl_find_or_enter(g, k);
			if (name[k] != k)
				g->values[k].kind = VFL_REPLACED;
		}
		rename_relations(name, b);
	}
}

/* ---- rounds ---- */

/* What was known in a block is known still: every way there is now was a way then, less tests whose outcome was certain on it. */
static void thread_all(struct vfl_graph *g)
{
	for (uint32_t i = 0; i < g->n_order; i++) {
		struct vfl_block *b = &g->blocks[g->order[i]];

		if (!b->reached)
			continue;
		if (b->end_kind == VFL_END_JUMP) {
			thread_edge(g, g->order[i], (struct vfl_relation){0}, 0);
		} else if (b->end_kind == VFL_END_BRANCH) {
			thread_edge(g, g->order[i], b->test, 0);
			thread_edge(g, g->order[i], vfl_relation_inverse(b->test), 1);
			if (b->to[0] == b->to[1] && b->argument[0] == b->argument[1])
				b->end_kind = VFL_END_JUMP;
		}
	}
}

void vfl_thread(struct vfl_graph *g)
{
	for (int i = 0; i < ROUNDS; i++) {
		vfl_count_uses(g);
		thread_all(g);
		vfl_count_uses(g);
		reuse_values(g);
	}
	vfl_count_uses(g);
}

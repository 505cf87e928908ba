/* objects.c: stages 1 and 2: the access sites that may meet, grouped, and what may update them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/analysis.h"
#include "analysis/fault.h"

#define IS_ACCESS (IR_F_READ | IR_F_UPDATE)

/* Bits that facts know of both keys and that differ keep two sites apart for ever; so do disjoint intervals. */
static bool may_meet(const struct ir *ir, uint32_t x, uint32_t y)
{
	const struct ir_fact *a = &ir->facts.value[ir->values[x].a];
	const struct ir_fact *b = &ir->facts.value[ir->values[y].a];

	if (ir->values[x].table != ir->values[y].table)
		return false;
	if ((a->ones & b->zeros) || (a->zeros & b->ones))
		return false;
	return a->lo <= b->hi && b->lo <= a->hi;
}

static bool reached(const struct ir *ir, uint32_t value)
{
	return ir->facts.block[ir_block_of(ir, value)] & IR_REACHED;
}

/* Group of site i under path compression. */
static uint32_t find_root(uint32_t *parent, uint32_t i)
{
	while (parent[i] != i) {
		parent[i] = parent[parent[i]];
		i = parent[i];
	}
	return i;
}

static uint32_t *collect_sites(const struct ir *ir, uint32_t *n)
{
	uint32_t *sites = malloc((ir->n_values + 1ul) * sizeof(*sites));

	*n = 0;
	for (uint32_t v = 0; sites && v < ir->n_values; v++)
		if ((ir_ops[ir->values[v].op].flags & IS_ACCESS) && reached(ir, v))
			sites[(*n)++] = v;
	return sites;
}

/* How often each value is used as an operand, argument, or result. */
static uint32_t *count_uses(const struct ir *ir)
{
	uint32_t *uses = calloc(ir->n_values + 1ul, sizeof(*uses));

	if (!uses)
		return NULL;
	for (uint32_t v = 0; v < ir->n_values; v++) {
		if (ir->values[v].a != IR_NONE)
			uses[ir->values[v].a]++;
		if (ir->values[v].b != IR_NONE)
			uses[ir->values[v].b]++;
	}
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		if (ir->blocks[i].a != IR_NONE)
			uses[ir->blocks[i].a]++;
		if (ir->blocks[i].b != IR_NONE)
			uses[ir->blocks[i].b]++;
	}
	for (uint32_t i = 0; i < ir->n_args; i++)
		uses[ir->args[i]]++;
	return uses;
}

/* Every site adds and drops the sum; or every site stores one constant. Then parts merge exactly, and this needs no proof of how
 * values flow (partial.c has what does). */
static bool is_partial(const struct ir *ir, const struct object *o, const uint32_t *uses, uint8_t *merge_class)
{
	const struct ir_value *first = &ir->values[o->sites[0]];

	for (uint32_t i = 0; i < o->n_sites; i++) {
		const struct ir_value *v = &ir->values[o->sites[i]];

		if (v->op != first->op)
			return false;
		if (v->op == IR_FLOW_ADD && uses[o->sites[i]] == 0)
			continue;
		if (v->op == IR_FLOW_STORE && FAULT(ANY_STORES_MERGE))
			continue;
		if (v->op != IR_FLOW_STORE || ir->values[v->b].op != IR_CONST || ir->values[v->b].imm != ir->values[first->b].imm)
			return false;
	}
	*merge_class = first->op == IR_FLOW_ADD ? CERT_SUM : CERT_CONSTANT;
	return true;
}

static void classify(const struct ir *ir, struct object *o, const uint32_t *uses)
{
	const struct program *p = ir->program;

	for (uint32_t i = 0; i < o->n_sites; i++)
		if (ir_ops[ir->values[o->sites[i]].op].flags & IR_F_UPDATE &&
		    !(FAULT(STORE_IS_NO_UPDATE) && ir->values[o->sites[i]].op == IR_FLOW_STORE))
			o->updateable = true;
	o->kind = o->updateable ? OBJECT_OWNED : OBJECT_CONFIG;
	if (o->updateable && p->tables[p->table_index[o->table]].idle_s == 0 && is_partial(ir, o, uses, &o->merge_class))
		o->kind = OBJECT_PARTIAL;
}

/* A partial object has a table of its own, or shares it with such that are merged in the same way. Constants of two objects may
 * differ, so theirs are not shared. */
static void keep_partials_apart(struct objects *all)
{
	bool mixed[256] = {false};

	for (uint32_t i = 0; i < all->n; i++)
		for (uint32_t j = 0; j < i; j++) {
			const struct object *x = &all->items[i], *y = &all->items[j];

			if (x->table == y->table && (x->kind != OBJECT_PARTIAL || y->kind != OBJECT_PARTIAL ||
						     x->merge_class != CERT_SUM || y->merge_class != CERT_SUM))
				mixed[x->table] = true;
		}
	for (uint32_t i = 0; i < all->n; i++)
		if (all->items[i].kind == OBJECT_PARTIAL && mixed[all->items[i].table])
			all->items[i].kind = OBJECT_OWNED;
}

/* One site and what is known of its key. */
struct keyed {
	uint8_t table;
	uint32_t at; /* index of the site */
	struct ir_fact fact;
};

static int by_fact(const void *x, const void *y)
{
	const struct keyed *a = x, *b = y;
	const uint64_t left[] = {a->table, a->fact.zeros, a->fact.ones, a->fact.lo, a->fact.hi};
	const uint64_t right[] = {b->table, b->fact.zeros, b->fact.ones, b->fact.lo, b->fact.hi};

	for (int i = 0; i < 5; i++)
		if (left[i] != right[i])
			return left[i] > right[i] ? 1 : -1;
	return 0;
}

/* Joins what may meet. Sites of which the same is known meet, so only one of each kind is compared with the others of its table: a
 * program has room for far fewer kinds than sites. */
static int join_sites(const struct ir *ir, const uint32_t *sites, uint32_t n, uint32_t *parent)
{
	struct keyed *k = malloc((n + 1ul) * sizeof(*k));
	uint32_t kinds = 0;

	if (!k)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		k[i] = (struct keyed){ir->values[sites[i]].table, i, ir->facts.value[ir->values[sites[i]].a]};
	qsort(k, n, sizeof(*k), by_fact);
	for (uint32_t i = 0; i < n; i++) {
		if (kinds && !by_fact(&k[kinds - 1], &k[i]))
			parent[find_root(parent, k[i].at)] = find_root(parent, k[kinds - 1].at);
		else
			k[kinds++] = k[i];
	}
	for (uint32_t i = 0; i < kinds; i++)
		for (uint32_t j = i; j-- > 0 && k[j].table == k[i].table;)
			if (find_root(parent, k[i].at) != find_root(parent, k[j].at) &&
			    may_meet(ir, sites[k[i].at], sites[k[j].at]))
				parent[find_root(parent, k[i].at)] = find_root(parent, k[j].at);
	free(k);
	return 0;
}

static int group_sites(const struct ir *ir, const uint32_t *sites, uint32_t n, uint32_t *parent, uint32_t *members,
		       struct objects *o)
{
	for (uint32_t i = 0; i < n; i++)
		parent[i] = i;
	if (join_sites(ir, sites, n, parent))
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		members[find_root(parent, i)]++;
	o->items = calloc(n + 1ul, sizeof(*o->items));
	if (!o->items)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct object *x;

		if (find_root(parent, i) != i)
			continue;
		x = &o->items[o->n++];
		x->table = ir->values[sites[i]].table;
		x->sites = malloc(members[i] * sizeof(*x->sites));
		if (!x->sites)
			return -ENOMEM;
		for (uint32_t j = 0; j < n; j++)
			if (find_root(parent, j) == i)
				x->sites[x->n_sites++] = sites[j];
	}
	return 0;
}

int objects_find(const struct ir *ir, struct objects *o)
{
	uint32_t n = 0;
	uint32_t *sites = collect_sites(ir, &n);
	uint32_t *parent = malloc((n + 1ul) * sizeof(*parent));
	uint32_t *members = calloc(n + 1ul, sizeof(*members));
	uint32_t *uses = count_uses(ir);
	int err = -ENOMEM;

	memset(o, 0, sizeof(*o));
	if (sites && parent && members && uses)
		err = group_sites(ir, sites, n, parent, members, o);
	for (uint32_t i = 0; !err && i < o->n; i++)
		classify(ir, &o->items[i], uses);
	keep_partials_apart(o);
	if (!err)
		err = partial_find(ir, o);
	if (err)
		objects_fini(o);
	free(uses);
	free(members);
	free(parent);
	free(sites);
	return err;
}

void objects_fini(struct objects *o)
{
	for (uint32_t i = 0; i < o->n; i++)
		free(o->items[i].sites);
	free(o->items);
	memset(o, 0, sizeof(*o));
}

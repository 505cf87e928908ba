/* partial.c: statistics that are read before they are written: t[k] := t[k] | d, t[k] + d, max(t[k], x), min(t[k], x).
 *
 * As everywhere in the search, the shape of the program suggests a class and the checker says whether it is so. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/analysis.h"

#define MAX_ASKED 8  /* the checker runs over the whole program each time */
#define MAX_DEPTH 16 /* of an expression that is looked through */

#define CLASS(name) (1u << CERT_##name)
#define EXTREMES    (CLASS(MAX) | CLASS(MIN))
#define COMBINED    (CLASS(SUM) | CLASS(OR) | EXTREMES)

struct partials {
	const struct ir *ir;
	struct objects *objects;
	struct cert *trial;
	uint32_t asked;
};

static bool is_load_of(const struct ir *ir, uint32_t value, uint8_t table)
{
	return value != IR_NONE && ir->values[value].op == IR_FLOW_LOAD && ir->values[value].table == table;
}

/* Does the expression contain a load of the table, under this operation alone? */
static bool combines(const struct ir *ir, uint32_t value, uint8_t table, int op, unsigned depth)
{
	const struct ir_value *v = &ir->values[value];

	if (is_load_of(ir, value, table))
		return true;
	if (depth == MAX_DEPTH || (v->op != op && !(op == IR_ADD && v->op == IR_SUB)))
		return false;
	return combines(ir, v->a, table, op, depth + 1) || combines(ir, v->b, table, op, depth + 1);
}

/* Classes that the update may be of, by its looks. */
static uint32_t classes_of_site(const struct ir *ir, uint32_t site)
{
	const struct ir_value *v = &ir->values[site];

	switch (v->op) {
	case IR_FLOW_LOAD:
		return COMBINED;
	case IR_FLOW_STORE:
		return (combines(ir, v->b, v->table, IR_OR, 0) ? CLASS(OR) : 0) |
		       (combines(ir, v->b, v->table, IR_ADD, 0) ? CLASS(SUM) : 0) | EXTREMES;
	default:
		return 0;
	}
}

/* A value of the table is compared somewhere / is returned somewhere. */
static bool ends_blocks(const struct ir *ir, uint8_t table, enum ir_term term)
{
	for (uint32_t i = 0; i < ir->n_blocks; i++)
		if (ir->blocks[i].term == term &&
		    (is_load_of(ir, ir->blocks[i].a, table) || is_load_of(ir, ir->blocks[i].b, table)))
			return true;
	return false;
}

static uint32_t classes_of_table(const struct partials *p, uint8_t table)
{
	const struct program *program = p->ir->program;
	uint32_t classes = COMBINED;
	bool loads = false;

	for (uint32_t i = 0; i < p->objects->n; i++) {
		const struct object *o = &p->objects->items[i];

		for (uint32_t j = 0; o->table == table && j < o->n_sites; j++) {
			classes &= classes_of_site(p->ir, o->sites[j]);
			loads = loads || p->ir->values[o->sites[j]].op == IR_FLOW_LOAD;
		}
	}
	if (!loads || program->tables[program->table_index[table]].idle_s || ends_blocks(p->ir, table, IR_RET))
		return 0;
	return ends_blocks(p->ir, table, IR_BRANCH) ? classes & EXTREMES : classes & ~EXTREMES;
}

static int by_pc(const void *a, const void *b)
{
	const struct cert_site *x = a, *y = b;

	return (x->pc > y->pc) - (x->pc < y->pc);
}

/* Does the checker accept all sites of the table as of that class? */
static int ask(struct partials *p, uint8_t table, uint8_t merge_class)
{
	char why[256];

	p->trial->n_sites = 0;
	for (uint32_t i = 0; i < p->objects->n; i++) {
		const struct object *o = &p->objects->items[i];

		for (uint32_t j = 0; o->table == table && j < o->n_sites; j++) {
			if (p->trial->n_sites == CERT_MAX_SITES)
				return -EINVAL;
			p->trial->sites[p->trial->n_sites++] = (struct cert_site){
				.pc = p->ir->values[o->sites[j]].pc, .table = table, .partial = true, .merge_class = merge_class};
		}
	}
	qsort(p->trial->sites, p->trial->n_sites, sizeof(p->trial->sites[0]), by_pc);
	p->asked++;
	return cert_check_listed(p->trial, p->ir->program, why, sizeof(why));
}

static int try_table(struct partials *p, uint8_t table)
{
	uint32_t classes = classes_of_table(p, table);

	for (uint8_t c = 0; c < CERT_CLASSES && p->asked < MAX_ASKED; c++) {
		int err = classes >> c & 1 ? ask(p, table, c) : -EINVAL;

		if (err == -EINVAL)
			continue;
		for (uint32_t i = 0; i < p->objects->n && !err; i++)
			if (p->objects->items[i].table == table) {
				p->objects->items[i].kind = OBJECT_PARTIAL;
				p->objects->items[i].merge_class = c;
			}
		return err;
	}
	return 0;
}

int partial_find(const struct ir *ir, struct objects *o)
{
	struct partials p = {.ir = ir, .objects = o};
	bool tried[256] = {false};
	int err = 0;

	p.trial = calloc(1, sizeof(*p.trial));
	if (!p.trial)
		return -ENOMEM;
	cert_digest_program(ir->program, p.trial->program_sha256);
	for (uint32_t i = 0; i < o->n && !err; i++) {
		const struct object *x = &o->items[i];

		if (x->kind == OBJECT_OWNED && !tried[x->table])
			err = try_table(&p, x->table);
		tried[x->table] = true;
	}
	free(p.trial);
	return err;
}

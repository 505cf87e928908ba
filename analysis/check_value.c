/* check_value.c: see check_value.h. */
#include <stddef.h>
#include <string.h>

#include "analysis/check_value.h"

void value_unknown(struct flow_value *v, struct term_pool *pool, unsigned bits)
{
	v->n = 1;
	facts_none(&v->alt[0].facts);
	v->alt[0].vec = vec_unknown(pool, bits);
}

void value_one(struct flow_value *v, uint32_t vec)
{
	v->n = 1;
	v->tainted = false;
	v->part = (struct flow_part){0};
	facts_none(&v->alt[0].facts);
	v->alt[0].vec = vec;
}

static bool part_equal(const struct flow_part *a, const struct flow_part *b)
{
	return a->forms == b->forms && a->loaded == b->loaded && a->table == b->table && a->key == b->key && a->pc == b->pc;
}

uint32_t value_known(const struct term_pool *pool, const struct flow_value *v)
{
	return v->n == 1 && !v->tainted && vec_is_known(pool, v->alt[0].vec) ? v->alt[0].vec : VEC_NONE;
}

void value_join_taint(struct flow_value *into, const struct flow_value *in)
{
	struct flow_part *p = &into->part;

	if (into->tainted && in->tainted && p->table == in->part.table && p->key == in->part.key) {
		p->forms &= in->part.forms;
		p->loaded = p->loaded && in->part.loaded && p->pc == in->part.pc;
		p->pc = p->loaded ? p->pc : 0;
	} else if (into->tainted || in->tainted) {
		*p = (struct flow_part){0};
	}
	into->tainted = into->tainted || in->tainted;
}

size_t value_bytes(const struct flow_value *v)
{
	return offsetof(struct flow_value, alt) + v->n * sizeof(v->alt[0]);
}

void value_copy(struct flow_value *to, const struct flow_value *from)
{
	memcpy(to, from, value_bytes(from));
}

void value_add(struct flow_value *v, struct term_pool *pool, const struct facts *facts, uint32_t vec)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (v->alt[i].vec == vec) {
			facts_join(&v->alt[i].facts, facts);
			return;
		}
	if (v->n == ALTERNATIVES) {
		value_unknown(v, pool, VEC_BITS);
		return;
	}
	/* One alternative unknown in all bits covers every other, under what both facts say. */
	if (v->n == 1 && v->alt[0].vec == vec_unknown(pool, VEC_BITS)) {
		facts_join(&v->alt[0].facts, facts);
		return;
	}
	v->alt[v->n].facts = *facts;
	v->alt[v->n].vec = vec;
	v->n++;
}

bool value_equal(const struct flow_value *a, const struct flow_value *b)
{
	if (a->n != b->n || a->tainted != b->tainted || !part_equal(&a->part, &b->part))
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->alt[i].vec != b->alt[i].vec || !facts_equal(&a->alt[i].facts, &b->alt[i].facts))
			return false;
	return true;
}

void value_on_path(struct flow_value *v, const struct facts *facts)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < v->n; i++) {
		struct facts both = v->alt[i].facts;

		if (!facts_meet(&both, facts))
			continue;
		v->alt[kept].facts = both;
		v->alt[kept].vec = v->alt[i].vec;
		kept++;
	}
	v->n = kept;
}

/* The classes that "a op b" is of if one of the two is statistics: v + d, v - d, v | d. */
static uint8_t forms_after(uint8_t op, const struct flow_value *a, const struct flow_value *b)
{
	const struct flow_value *v = a->tainted ? a : b;

	if (a->tainted && b->tainted)
		return 0;
	if (op == VFM_OP_OR)
		return v->part.forms & 1 << CERT_OR;
	if (op == VFM_OP_ADD || (op == VFM_OP_SUB && v == a))
		return v->part.forms & 1 << CERT_SUM;
	return 0;
}

void value_combine_taint(struct flow_value *out, uint8_t op, const struct flow_value *a, const struct flow_value *b)
{
	out->tainted = a->tainted || b->tainted;
	if (!out->tainted)
		return;
	out->part = a->tainted ? a->part : b->part;
	out->part.forms = forms_after(op, a, b);
	out->part.loaded = false;
	out->part.pc = 0;
}

/* dims.c: stage 3: the chop from the packet to the keys, as named fields with masks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/demand.h"
#include "analysis/stages.h"

#define TOGETHER 16 /* sites: of objects with more, one slice is taken for each block */

/* The packet bytes of one slice. */
struct footprint {
	uint8_t mask[DEMAND_PACKET_BYTES];
	uint32_t end; /* mask is 0 from here on */
};

static void add_dim(struct dims *all, const struct dim *d)
{
	for (uint32_t i = 0; i < all->n; i++)
		if (all->items[i].offset == d->offset && all->items[i].bytes == d->bytes && !strcmp(all->items[i].name, d->name)) {
			all->items[i].mask |= d->mask;
			return;
		}
	if (all->n == DIMS_MAX)
		all->dropped++;
	else
		all->items[all->n++] = *d;
}

static void add_named(struct dims *all, const char *name)
{
	struct dim d = {.offset = DIM_NO_OFFSET};

	snprintf(d.name, sizeof(d.name), "%s", name);
	add_dim(all, &d);
}

static void add_load(struct footprint *f, const struct ir_value *v, uint64_t bits)
{
	uint32_t bytes = ir_ops[v->op].bytes, offset = (uint32_t)v->imm;

	for (uint32_t i = 0; i < bytes; i++)
		f->mask[offset + i] |= (uint8_t)(bits >> 8 * (bytes - 1 - i));
	if (offset + bytes > f->end)
		f->end = offset + bytes;
}

/* The place of another list that this one is. */
static void lent_place(const struct dims *lend, struct dim *d)
{
	for (uint32_t i = 0; lend && i < lend->n; i++) {
		const struct dim *l = &lend->items[i];

		if (l->header == d->header && l->plus == d->plus && l->bytes_behind == d->bytes_behind) {
			*d = *l;
			return;
		}
	}
}

/* A load at an offset that HDR gives has a field's name, any other is "bytes at a computed offset". */
static void add_indexed(struct dims *all, const struct demand *d, uint32_t value, const struct dims *lend)
{
	const struct ir *ir = d->ir;
	const struct ir_value *v = &ir->values[value], *at = &ir->values[v->a];
	uint64_t plus = 0;
	struct dim dim;

	if (at->op == IR_ADD && ir->values[at->b].op == IR_CONST) {
		plus = ir->values[at->b].imm;
		at = &ir->values[at->a];
	}
	if (at->op != IR_HDR || at->imm > VFM_HDR_PAYLOAD || plus > UINT16_MAX) {
		add_named(all, "bytes at a computed offset");
		return;
	}
	field_name_behind(ir, ir_block_of(ir, value), at->imm, (uint32_t)plus, ir_ops[v->op].bytes, d->bits[value], &dim);
	lent_place(lend, &dim);
	add_dim(all, &dim);
}

#define MAX_USES_VALUES 16384 /* of a program whose uses are looked through */

/* Loads at this value or at it plus a constant; -1: it is used for something else than loads and branches. */
static int loads_behind(const struct ir *ir, uint32_t value, bool sum)
{
	int loads = 0, more;

	for (uint32_t i = 0; i < ir->n_args; i++)
		if (ir->args[i] == value)
			return -1;
	for (uint32_t i = 0; i < ir->n_blocks; i++)
		if (ir->blocks[i].term == IR_RET && ir->blocks[i].a == value)
			return -1;
	for (uint32_t i = value + 1; i < ir->n_values; i++) {
		const struct ir_value *v = &ir->values[i];

		if (v->a != value && v->b != value)
			continue;
		more = 1;
		if (v->op < IR_LDX8 || v->op > IR_LDX64)
			more = !sum && v->op == IR_ADD && v->a == value && ir->values[v->b].op == IR_CONST
				       ? loads_behind(ir, i, true)
				       : -1;
		if (more < 0)
			return -1;
		loads += more;
	}
	return loads;
}

/* Does the header's offset only lead to fields behind it? Then their names say it all. */
static bool only_leads(const struct ir *ir, uint32_t value)
{
	return ir->n_values <= MAX_USES_VALUES && loads_behind(ir, value, false) > 0;
}

static void add_source(struct dims *all, const struct demand *d, uint32_t value, const struct dims *lend, struct footprint *f)
{
	static const char *const items[VFM_HDR_ITEMS] = {"network offset", "transport offset", "payload offset", "final protocol",
							 "fragment offset"};
	const struct ir_value *v = &d->ir->values[value];

	if (v->op >= IR_LD8 && v->op <= IR_LD64)
		add_load(f, v, d->bits[value]);
	else if (v->op >= IR_LDX8 && v->op <= IR_LDX64)
		add_indexed(all, d, value, lend);
	else if (v->op == IR_HASH5 || v->op == IR_HASH5S)
		add_named(all, v->op == IR_HASH5 ? "5-tuple" : "5-tuple, either direction");
	else if (v->op == IR_HDR && (v->imm > VFM_HDR_PAYLOAD || !only_leads(d->ir, value)))
		add_named(all, items[v->imm]);
	else if (v->op == IR_PKTLEN)
		add_named(all, "packet length");
	else if (v->op == IR_INPUT)
		add_named(all, "input port");
	else if (v->op == IR_NOW)
		add_named(all, "time");
}

/* The field of another list that the byte belongs to. */
static bool lent_name(const struct dims *lend, uint32_t offset, struct dim *d)
{
	for (uint32_t i = 0; lend && i < lend->n; i++) {
		*d = lend->items[i];
		d->mask = 0;
		if (d->offset <= offset && offset < (uint64_t)d->offset + d->bytes)
			return true;
	}
	return false;
}

/* The footprint as fields. */
static void add_fields(struct dims *all, const struct path_proof *proof, const struct dims *lend, const struct footprint *f)
{
	for (uint32_t at = 0; at < f->end; at++) {
		struct dim d;

		if (!f->mask[at])
			continue;
		if (!lent_name(lend, at, &d))
			field_name(proof, at, f->end - 1, &d);
		for (uint32_t i = 0; i < d.bytes; i++)
			d.mask = d.mask << 8 | f->mask[d.offset + i];
		add_dim(all, &d);
		at = d.offset + d.bytes - 1;
	}
}

/* What has been demanded since demand_clear, named by what the way to block has proved. */
static void collect(struct dims *all, const struct demand *d, uint32_t block, const struct dims *lend, struct footprint *f)
{
	struct path_proof proof;
	char name[DIM_NAME_BYTES];

	field_prove(d->ir, block, &proof);
	memset(f->mask, 0, f->end);
	f->end = 0;
	for (uint32_t i = 0; i < d->n_touched; i++)
		add_source(all, d, d->touched[i], lend, f);
	add_fields(all, &proof, lend, f);
	for (uint32_t i = 0; i < d->objects->n; i++)
		if (d->objects_read[i]) {
			snprintf(name, sizeof(name), "contents of table %u", d->objects->items[i].table);
			add_named(all, name);
		}
}

static int by_place(const void *a, const void *b)
{
	const struct dim *x = a, *y = b;

	return x->offset != y->offset ? (x->offset > y->offset) - (x->offset < y->offset) : strcmp(x->name, y->name);
}

static bool has_place(const struct dims *d, uint32_t offset, uint32_t bytes)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (d->items[i].offset <= offset && d->items[i].offset + d->items[i].bytes >= offset + bytes)
			return true;
	return false;
}

static bool has_name(const struct dims *d, const char *name)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (!strcmp(d->items[i].name, name))
			return true;
	return false;
}

static bool has_behind(const struct dims *d, enum vfm_hdr_item item, uint32_t plus, uint32_t bytes)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (d->items[i].header == 1 + item && d->items[i].plus == plus && d->items[i].bytes_behind == bytes)
			return true;
	return false;
}

static bool is_per_flow(const struct dims *d)
{
	if (has_name(d, "5-tuple") || has_name(d, "5-tuple, either direction"))
		return true;
	if (has_behind(d, VFM_HDR_NETWORK, 12, 4) && has_behind(d, VFM_HDR_NETWORK, 16, 4))
		return has_behind(d, VFM_HDR_TRANSPORT, 0, 4) ||
		       (has_behind(d, VFM_HDR_TRANSPORT, 0, 2) && has_behind(d, VFM_HDR_TRANSPORT, 2, 2));
	if (has_place(d, 22, 8) && has_place(d, 38, 8) && has_place(d, 54, 2) && has_place(d, 56, 2))
		return true;
	return has_place(d, 26, 4) && has_place(d, 30, 4) && has_place(d, 34, 2) && has_place(d, 36, 2);
}

static enum object_scope scope_of(const struct object *o, const struct dims *d)
{
	if (!o->updateable)
		return SCOPE_CONFIGURATION;
	if (d->n == 0)
		return SCOPE_ALL_FLOWS;
	return is_per_flow(d) ? SCOPE_PER_FLOW : SCOPE_MULTI_FLOW;
}

/* Each site's slice is taken by itself; of objects with many sites, those of one block together, which costs one slice a block and may
 * show neighbouring bytes of two keys as one dimension. */
static void find_object(struct demand *d, const struct object *o, struct object_stages *s, struct footprint *f)
{
	s->symmetric = true;
	for (uint32_t i = 0; i < o->n_sites;) {
		uint32_t block = ir_block_of(d->ir, o->sites[i]);

		demand_clear(d);
		do {
			uint32_t key = d->ir->values[o->sites[i++]].a;

			demand_add(d, key, UINT64_MAX);
			s->symmetric = s->symmetric && symmetric_value(d->ir, key);
		} while (o->n_sites > TOGETHER && i < o->n_sites && ir_block_of(d->ir, o->sites[i]) == block);
		demand_run(d);
		collect(&s->dims, d, block, NULL, f);
	}
	qsort(s->dims.items, s->dims.n, sizeof(s->dims.items[0]), by_place);
	s->symmetric = s->symmetric && s->dims.n;
	s->scope = scope_of(o, &s->dims);
}

int dims_find(const struct ir *ir, const struct objects *o, struct control *c, struct stages *s)
{
	struct footprint *f = calloc(1, sizeof(*f));
	struct demand d = {0};
	int err = f ? demand_init(&d, ir, o, s->object_of, c) : -ENOMEM;

	for (uint32_t i = 0; i < o->n && !err; i++)
		find_object(&d, &o->items[i], &s->objects[i], f);
	demand_fini(&d);
	free(f);
	return err;
}

int dims_of_result(const struct ir *ir, const struct dims *lend, struct dims *dims)
{
	const struct objects none = {0};
	struct footprint *f = calloc(1, sizeof(*f));
	struct control c = {0};
	struct demand d = {0};
	int err = control_find(ir, &c);

	memset(dims, 0, sizeof(*dims));
	if (!err)
		err = f ? demand_init(&d, ir, &none, NULL, &c) : -ENOMEM;
	for (uint32_t b = 0; b < ir->n_blocks && !err; b++)
		if (ir->blocks[b].term == IR_RET && (ir->facts.block[b] & IR_REACHED)) {
			demand_clear(&d);
			demand_add(&d, ir->blocks[b].a, UINT64_MAX);
			demand_run(&d);
			collect(dims, &d, b, lend, f);
		}
	qsort(dims->items, dims->n, sizeof(dims->items[0]), by_place);
	demand_fini(&d);
	control_fini(&c);
	free(f);
	return err;
}

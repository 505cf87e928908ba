/* change.c: see change.h.
 *
 * Three changes are tried. Keys of different forms that meet in one table get a table each. A field that some owned objects have in
 * their keys goes in front of the keys of those that lack it; where an object has it in some keys and not in others (the two directions
 * of a connection), it would tear apart what belongs together, so then both addresses together are tried, which are the same in both
 * directions, and at last the hash of the connection, for all owned objects. And each owned object is left alone, for a filter of its
 * own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/analyze.h"
#include "analysis/report.h"
#include "analysis/steer.h"

#define MAX_FIELDS 12
#define SRC_IP4    26
#define DST_IP4    30

/* A field that can go in front of a key: 32 bits of it do. */
struct candidate {
	char name[CHANGE_FIELD_BYTES], lisp[CHANGE_FIELD_BYTES];
	bool of_packet; /* a load at a fixed place, so that keys may have it already */
	uint32_t offset, bytes;
	uint32_t n;
	struct rewrite_line lines[3];
};

struct finder {
	const struct analysis *a;
	struct changes *out;
	uint32_t n_owned;
	uint32_t owned[CHANGE_MAX_OBJECTS];
	uint32_t n_seen;
	struct steer_seen *seen; /* [STEER_MAX_SEEN] */
	uint32_t n_fields;
	struct candidate fields[MAX_FIELDS];
};

const char *change_name(enum change_kind k)
{
	static const char *const names[] = {"own-tables", "field-in-keys", "own-filter"};

	return names[k];
}

/* ---- what is known of the program ---- */

static uint32_t pc_of(const struct finder *f, uint32_t value)
{
	return f->a->ir->values[value].pc;
}

static uint32_t object_of(const struct finder *f, uint32_t value)
{
	return f->a->stages.object_of[value];
}

static bool has_field(const struct key_form *form, const struct candidate *c)
{
	for (uint32_t i = 0; c->of_packet && i < form->n_fields; i++) {
		uint32_t offset, bytes;

		if (key_field_load(&form->fields[i], &offset, &bytes) && offset == c->offset && bytes == c->bytes)
			return true;
	}
	return false;
}

enum presence { NOWHERE, SOMEWHERE, EVERYWHERE };

static enum presence presence(const struct finder *f, uint32_t object, const struct candidate *c)
{
	uint32_t n = 0, with = 0;

	for (uint32_t i = 0; i < f->n_seen; i++)
		if (object_of(f, f->seen[i].site) == object) {
			n++;
			with += has_field(&f->seen[i].form, c);
		}
	return with == 0 ? NOWHERE : with == n ? EVERYWHERE : SOMEWHERE;
}

/* The name that some object's path proved, else "bytes 26-29". */
static void name_field(const struct finder *f, struct candidate *c)
{
	snprintf(c->lisp, sizeof(c->lisp), "(ld%u %u)", 8 * c->bytes, c->offset);
	for (uint32_t i = 0; i < f->a->objects.n; i++)
		for (uint32_t k = 0; k < f->a->stages.objects[i].dims.n; k++) {
			const struct dim *d = &f->a->stages.objects[i].dims.items[k];

			if (d->offset == c->offset && d->bytes == c->bytes) {
				snprintf(c->name, sizeof(c->name), "%s", d->name);
				return;
			}
		}
	snprintf(c->name, sizeof(c->name), c->bytes == 1 ? "byte %u" : "bytes %u-%u", c->offset, c->offset + c->bytes - 1);
}

static uint8_t load_op(uint32_t bytes)
{
	return bytes == 1 ? VFM_OP_LD8 : bytes == 2 ? VFM_OP_LD16 : VFM_OP_LD32;
}

static void add_packet_field(struct finder *f, uint32_t offset, uint32_t bytes)
{
	struct candidate *c = &f->fields[f->n_fields];

	for (uint32_t i = 0; i < f->n_fields; i++)
		if (f->fields[i].offset == offset && f->fields[i].bytes == bytes)
			return;
	/* The last two places are for both addresses and for the connection. */
	if (f->n_fields >= MAX_FIELDS - 2 || bytes > 4)
		return;
	*c = (struct candidate){.of_packet = true, .offset = offset, .bytes = bytes, .n = 1, .lines = {{load_op(bytes), offset}}};
	name_field(f, c);
	f->n_fields++;
}

static void collect_fields(struct finder *f)
{
	bool source = false, destination = false;

	for (uint32_t i = 0; i < f->n_seen; i++)
		for (uint32_t j = 0; j < f->seen[i].form.n_fields; j++) {
			uint32_t offset, bytes;

			if (!key_field_load(&f->seen[i].form.fields[j], &offset, &bytes))
				continue;
			add_packet_field(f, offset, bytes);
			source = source || (offset == SRC_IP4 && bytes == 4);
			destination = destination || (offset == DST_IP4 && bytes == 4);
		}
	if (source && destination)
		f->fields[f->n_fields++] =
			(struct candidate){.name = "src-ip xor dst-ip",
					   .lisp = "(^ src-ip dst-ip)",
					   .n = 3,
					   .lines = {{VFM_OP_LD32, SRC_IP4}, {VFM_OP_LD32, DST_IP4}, {VFM_OP_XOR, 0}}};
	f->fields[f->n_fields++] =
		(struct candidate){.name = "the connection's hash", .lisp = "hash5s", .n = 1, .lines = {{VFM_OP_HASH5S, 0}}};
}

/* ---- trials ---- */

static int by_pc(const void *x, const void *y)
{
	const struct rewrite_edit *a = x, *b = y;

	return (a->pc > b->pc) - (a->pc < b->pc);
}

static struct rewrite_edit *add_edit(struct change *c, uint32_t pc)
{
	struct rewrite_edit *e;

	if (c->n_edits == REWRITE_MAX_EDITS)
		return NULL;
	e = &c->edits[c->n_edits++];
	*e = (struct rewrite_edit){.pc = pc, .table = -1};
	return e;
}

/* Makes the change and analyses: 1 it splits, 0 it does not, -ENOMEM. */
static int try_change(struct finder *f, struct change *c)
{
	struct analysis *after = calloc(1, sizeof(*after));
	struct program *p;
	int err = 0;

	if (!after)
		return -ENOMEM;
	qsort(c->edits, c->n_edits, sizeof(c->edits[0]), by_pc);
	p = rewrite_program(f->a->program, c->edits, c->n_edits);
	if (p) {
		f->out->tried++;
		err = analysis_split(p, after);
		if (!err && after->split.verdict == SPLIT_PARTITIONABLE) {
			report_dims(&after->by, c->by, sizeof(c->by));
			err = 1;
		}
		analysis_fini(after);
		program_free(p);
	}
	free(after);
	return err;
}

static int keep_if_it_helps(struct finder *f, struct change *c)
{
	int rc = f->out->n < CHANGE_MAX ? try_change(f, c) : 0;

	if (rc == 1)
		f->out->items[f->out->n++] = *c;
	return rc;
}

/* ---- a table for each form of key ---- */

static int unused_table(const struct finder *f, const bool *taken)
{
	for (int t = 0; t < 256; t++)
		if (f->a->program->table_index[t] < 0 && !taken[t])
			return t;
	return -1;
}

/* The form met at a site; NULL: not met, or several. */
static const struct key_form *form_at(const struct finder *f, uint32_t site)
{
	const struct key_form *form = NULL;

	for (uint32_t i = 0; i < f->n_seen; i++)
		if (f->seen[i].site == site) {
			if (form && form->width != f->seen[i].form.width)
				return NULL;
			form = &f->seen[i].form;
		}
	return form;
}

/* Sites of one object whose keys have another width than the first one's get another table, one for each width. */
static bool split_object(const struct finder *f, uint32_t object, bool *taken, struct change *c)
{
	const struct object *o = &f->a->objects.items[object];
	int table_of_width[65];
	bool changed = false;

	for (int i = 0; i <= 64; i++)
		table_of_width[i] = -1;
	for (uint32_t i = 0; i < o->n_sites; i++) {
		const struct key_form *form = form_at(f, o->sites[i]);
		struct rewrite_edit *e;

		if (!form)
			return false;
		if (i == 0)
			table_of_width[form->width] = o->table;
		if (table_of_width[form->width] < 0) {
			table_of_width[form->width] = unused_table(f, taken);
			if (table_of_width[form->width] < 0)
				return false;
			taken[table_of_width[form->width]] = true;
		}
		if (table_of_width[form->width] == o->table)
			continue;
		e = add_edit(c, pc_of(f, o->sites[i]));
		if (!e)
			return false;
		e->table = (int16_t)table_of_width[form->width];
		changed = true;
	}
	if (changed)
		c->objects[c->n_objects++] = object;
	return true;
}

static int try_tables(struct finder *f)
{
	struct change c = {.kind = CHANGE_TABLES};
	bool taken[256] = {false};

	for (uint32_t i = 0; i < f->n_owned; i++)
		if (!split_object(f, f->owned[i], taken, &c))
			return 0;
	return c.n_edits ? keep_if_it_helps(f, &c) : 0;
}

/* ---- a field in front ---- */

/* key -> field << 32 | lower half of key; the key is below the value for accesses that take both. */
static void put_in_front(const struct candidate *field, uint8_t pops, struct rewrite_edit *e)
{
	if (pops == 2)
		e->lines[e->n++] = (struct rewrite_line){VFM_OP_SWAP, 0};
	e->lines[e->n++] = (struct rewrite_line){VFM_OP_PUSH, UINT32_MAX};
	e->lines[e->n++] = (struct rewrite_line){VFM_OP_AND, 0};
	for (uint32_t i = 0; i < field->n; i++)
		e->lines[e->n++] = field->lines[i];
	e->lines[e->n++] = (struct rewrite_line){VFM_OP_PUSH, 32};
	e->lines[e->n++] = (struct rewrite_line){VFM_OP_SHL, 0};
	e->lines[e->n++] = (struct rewrite_line){VFM_OP_OR, 0};
	if (pops == 2)
		e->lines[e->n++] = (struct rewrite_line){VFM_OP_SWAP, 0};
}

static int try_field(struct finder *f, const struct candidate *field)
{
	struct change c = {.kind = CHANGE_FIELD};

	snprintf(c.field, sizeof(c.field), "%s", field->name);
	snprintf(c.lisp, sizeof(c.lisp), "%s", field->lisp);
	for (uint32_t i = 0; i < f->n_owned; i++) {
		const struct object *o = &f->a->objects.items[f->owned[i]];
		enum presence there = presence(f, f->owned[i], field);

		if (there == SOMEWHERE)
			return 0;
		if (there == EVERYWHERE)
			continue;
		c.objects[c.n_objects++] = f->owned[i];
		for (uint32_t j = 0; j < o->n_sites; j++) {
			uint32_t pc = pc_of(f, o->sites[j]);
			struct rewrite_edit *e = add_edit(&c, pc);

			if (!e)
				return 0;
			put_in_front(field, vfm_ops[f->a->program->code[pc]].pops, e);
		}
	}
	return c.n_edits ? keep_if_it_helps(f, &c) : 0;
}

/* The first that helps is enough. */
static int try_fields(struct finder *f)
{
	int rc = 0;

	for (uint32_t i = 0; i < f->n_fields && rc == 0; i++)
		rc = try_field(f, &f->fields[i]);
	return rc;
}

/* ---- filters of their own ---- */

static int try_alone(struct finder *f, uint32_t stays)
{
	struct change c = {.kind = CHANGE_SEPARATE, .n_objects = 1, .objects = {stays}};

	for (uint32_t i = 0; i < f->n_owned; i++) {
		const struct object *o = &f->a->objects.items[f->owned[i]];

		for (uint32_t j = 0; f->owned[i] != stays && j < o->n_sites; j++) {
			struct rewrite_edit *e = add_edit(&c, pc_of(f, o->sites[j]));

			if (!e)
				return 0;
			e->take_out = true;
		}
	}
	return keep_if_it_helps(f, &c);
}

/* All of them or none: what is left over must run somewhere. Objects that depend on one another cannot be parted. */
static int try_separate(struct finder *f)
{
	uint32_t before = f->out->n;
	int rc = 1;

	if (f->n_owned < 2 || before + f->n_owned > CHANGE_MAX)
		return 0;
	for (uint32_t i = 0; i < f->n_owned && rc == 1; i++)
		rc = try_alone(f, f->owned[i]);
	if (rc != 1)
		f->out->n = before;
	return rc;
}

/* ---- all ---- */

/* False: too many objects, or out of memory with *err set. */
static bool prepare(struct finder *f, int *err)
{
	const struct analysis *a = f->a;
	bool *owned = calloc(a->ir->n_values + 1ul, sizeof(*owned));
	uint32_t limits = 0;
	bool fits = true;

	f->seen = calloc(STEER_MAX_SEEN, sizeof(*f->seen));
	*err = owned && f->seen ? 0 : -ENOMEM;
	for (uint32_t i = 0; !*err && i < a->objects.n && fits; i++) {
		if (a->objects.items[i].kind != OBJECT_OWNED)
			continue;
		fits = f->n_owned < CHANGE_MAX_OBJECTS;
		if (fits)
			f->owned[f->n_owned++] = i;
		for (uint32_t j = 0; j < a->objects.items[i].n_sites; j++)
			owned[a->objects.items[i].sites[j]] = true;
	}
	if (!*err && fits)
		*err = steer_survey(a->ir, owned, f->seen, &f->n_seen, &limits);
	free(owned);
	return !*err && fits;
}

int change_find(const struct analysis *a, struct changes *c)
{
	struct finder *f;
	int err = 0;

	memset(c, 0, sizeof(*c));
	if (a->split.verdict != SPLIT_PINNED && a->split.verdict != SPLIT_CONDITIONAL)
		return 0;
	c->skipped = a->program->len > CHANGE_MAX_BYTES;
	if (c->skipped)
		return 0;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->a = a;
	f->out = c;
	if (prepare(f, &err)) {
		collect_fields(f);
		err = try_tables(f);
		if (err == 0)
			err = try_fields(f);
		if (err >= 0)
			err = try_separate(f);
	}
	free(f->seen);
	free(f);
	return err < 0 ? err : 0;
}

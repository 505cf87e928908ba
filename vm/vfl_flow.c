/* vfl_flow.c: tables, keys, and the operations on them: counters, windows, token buckets.
 *
 * A key of several fields: side by side, the first highest, if they fit in 64 bits; else, if the first has at most 32 bits, the first in
 * the highest bits and the upper bits of a MIX of the others below it; else a MIX of all. So the first field can be read off every key
 * but the last kind, and a program can be split by it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "state/table.h"
#include "vm/nearest.h"
#include "vm/vfl.h"

#define MAX_PERIOD_US     (uint64_t)31622400000000 /* 366 days */
#define BUCKET_TICKS      1024u                    /* per microsecond */
#define BUCKET_TICKS_S    (1000000ull * BUCKET_TICKS)
#define WINDOW_COUNT_MASK 0xffffffffull

/* ---- keys ---- */

struct keys {
	struct vfl_node **at;
	uint32_t n;
};

/* The first n positional arguments as key fields; a 128-bit field gives two. */
static struct keys take_keys(struct vfl *c, const struct vfl_args *a, uint32_t n)
{
	struct keys k = {vfl_alloc(c, 2 * n * sizeof(*k.at)), 0};

	for (uint32_t i = 0; i < n; i++) {
		const struct vfl_sexp *s = a->at[i];
		const struct vfl_wide_field *wide = s->kind == VFL_SYMBOL ? vfl_wide_find(s->text, s->bytes) : NULL;

		if (!wide) {
			k.at[k.n++] = vfl_expression(c, s);
			continue;
		}
		k.at[k.n++] = vfl_field_node(c, (uint32_t)vfl_field_find(wide->hi, (uint32_t)strlen(wide->hi)));
		k.at[k.n++] = vfl_field_node(c, (uint32_t)vfl_field_find(wide->lo, (uint32_t)strlen(wide->lo)));
	}
	return k;
}

static struct vfl_node *mix_all(struct vfl *c, struct vfl_node **at, uint32_t n)
{
	struct vfl_node *mix = vfl_new(c, VFL_MIX, n < 2 ? 2 : n);

	for (uint32_t i = 0; i < n; i++)
		mix->a[i] = at[i];
	if (n < 2)
		mix->a[1] = vfl_num(c, 0);
	return mix;
}

static struct vfl_node *side_by_side(struct vfl *c, struct keys k)
{
	struct vfl_node *n = k.at[0];

	for (uint32_t i = 1; i < k.n; i++)
		n = vfl_2(c, VFL_OR, vfl_2(c, VFL_SHL, n, vfl_num(c, k.at[i]->width)), k.at[i]);
	return n;
}

static struct vfl_node *compose(struct vfl *c, struct keys k)
{
	uint32_t bits = 0, first = k.at[0]->width;

	if (k.n == 1)
		return k.at[0];
	for (uint32_t i = 0; i < k.n; i++)
		bits += k.at[i]->width;
	if (bits <= 64)
		return side_by_side(c, k);
	if (first > 32)
		return mix_all(c, k.at, k.n);
	return vfl_2(c, VFL_OR, vfl_2(c, VFL_SHL, k.at[0], vfl_num(c, 64 - first)),
		     vfl_2(c, VFL_SHR, mix_all(c, k.at + 1, k.n - 1), vfl_num(c, first)));
}

/* ---- tables ---- */

static struct vfl_table *append_table(struct vfl *c, enum vfl_table_kind kind)
{
	struct vfl_table *t = vfl_alloc(c, sizeof(*t));

	if (!c->tables)
		c->tables_end = &c->tables;
	t->kind = kind;
	t->number = -1;
	t->entries = VFL_DEFAULT_ENTRIES;
	*c->tables_end = t;
	c->tables_end = &t->next;
	return t;
}

static struct vfl_table *declared_table(struct vfl *c, const struct vfl_sexp *name)
{
	struct nearest near;

	if (name->kind == VFL_BAD)
		return NULL;
	nearest_init(&near, name->text, name->bytes, true);
	for (struct vfl_table *t = c->tables; t; t = t->next) {
		if (t->kind != VFL_DECLARED)
			continue;
		if (name->kind == VFL_SYMBOL && t->name->bytes == name->bytes && !memcmp(t->name->text, name->text, name->bytes)) {
			t->used = true;
			return t;
		}
		nearest_offer(&near, t->name->text, t->name->bytes);
	}
	if (name->kind != VFL_SYMBOL)
		vfl_error(c, name, "a table is meant by its name; write (table name) at the top and :table name here");
	else if (near.best)
		vfl_error(c, name, "no table '%.*s' is declared; did you mean '%.*s'?", (int)(name->bytes < 64 ? name->bytes : 64),
			  name->text, (int)near.best_bytes, near.best);
	else
		vfl_error(c, name, "no table '%.*s' is declared; write (table %.*s) before the expression",
			  (int)(name->bytes < 64 ? name->bytes : 64), name->text, (int)(name->bytes < 64 ? name->bytes : 64),
			  name->text);
	return NULL;
}

static bool same_table(const struct vfl_table *t, const struct vfl_table *like)
{
	if (t->kind != like->kind || t->n_keys != like->n_keys || t->per_us != like->per_us || t->rate != like->rate ||
	    t->burst != like->burst)
		return false;
	for (uint32_t i = 0; i < t->n_keys; i++)
		if (!vfl_equal(t->keys[i], like->keys[i]))
			return false;
	return true;
}

/* The declared table that :table names, else the one for this use and list of keys, made on first use. Its idle time must be at least
 * idle_s (a window or bucket that vanishes early forgets). */
static struct vfl_table *find_table(struct vfl *c, const struct vfl_args *a, struct vfl_table like, struct keys k)
{
	struct vfl_table *t;

	if (a->table) {
		t = declared_table(c, a->table);
		if (t && t->idle_s && t->idle_s < like.idle_s)
			vfl_error(c, a->table,
				  "the table's idle time, %u s, is shorter than the %u s that this operation must remember",
				  t->idle_s, like.idle_s);
		return t ? t : append_table(c, VFL_PLAIN);
	}
	like.keys = k.at;
	like.n_keys = k.n;
	for (t = c->tables; t; t = t->next)
		if (same_table(t, &like))
			return t;
	t = append_table(c, like.kind);
	like.next = t->next;
	like.number = t->number;
	like.entries = t->entries;
	like.used = true;
	*t = like;
	return t;
}

static bool in_range(struct vfl *c, const struct vfl_sexp *s, const char *what, uint64_t least, uint64_t most, uint64_t *value)
{
	*value = s->value;
	if (s->kind == VFL_NUMBER && s->value >= least && s->value <= most)
		return true;
	if (s->kind != VFL_BAD)
		vfl_error(c, s, "%s must be a literal from %llu to %llu", what, (unsigned long long)least,
			  (unsigned long long)most);
	return false;
}

static void take_idle(struct vfl *c, const struct vfl_sexp *s, struct vfl_table *t)
{
	struct vfl_sexp seconds = *s;
	uint64_t value;

	if (s->kind == VFL_DURATION) {
		if (s->value % 1000000)
			vfl_error(c, s, "an idle time is in whole seconds; write, say, 30s");
		seconds.kind = VFL_NUMBER;
		seconds.value /= 1000000;
	}
	if (in_range(c, &seconds, "the idle time in seconds", 0, UINT32_MAX, &value))
		t->idle_s = (uint32_t)value;
}

void vfl_declare_table(struct vfl *c, const struct vfl_args *a)
{
	struct vfl_table *t;
	uint64_t value;

	if (a->at[0]->kind != VFL_SYMBOL) {
		if (a->at[0]->kind != VFL_BAD)
			vfl_error(c, a->at[0], "a table's name must be a word; write %s", a->usage);
		return;
	}
	for (t = c->tables; t; t = t->next) {
		if (t->name->bytes == a->at[0]->bytes && !memcmp(t->name->text, a->at[0]->text, t->name->bytes)) {
			vfl_error(c, a->at[0], "table '%.*s' is declared twice; remove one",
				  (int)(t->name->bytes < 64 ? t->name->bytes : 64), t->name->text);
			return;
		}
	}
	t = append_table(c, VFL_DECLARED);
	t->declared = a->form;
	t->name = a->at[0];
	if (a->entries && in_range(c, a->entries, "the number of entries", 1, TABLE_MAX_CAPACITY, &value))
		t->entries = (uint32_t)value;
	if (a->idle)
		take_idle(c, a->idle, t);
	if (!a->number || !in_range(c, a->number, "a table's number", 0, 255, &value))
		return;
	for (const struct vfl_table *other = c->tables; other; other = other->next)
		if (other->number == (int32_t)value)
			vfl_error(c, a->number, "table number %u is taken; choose another", (unsigned)value);
	t->number = (int32_t)value;
}

void vfl_number_tables(struct vfl *c)
{
	bool taken[256] = {false};
	uint32_t next = 0;

	for (const struct vfl_table *t = c->tables; t; t = t->next) {
		if (t->number >= 0)
			taken[t->number] = true;
		if (!t->used && t->declared)
			vfl_warn(c, t->name, "table '%.*s' is never used; remove it or name it with :table",
				 (int)(t->name->bytes < 64 ? t->name->bytes : 64), t->name->text);
	}
	for (struct vfl_table *t = c->tables; t; t = t->next) {
		if (t->number >= 0)
			continue;
		while (next < 256 && taken[next])
			next++;
		if (next == 256) {
			vfl_error(c, NULL, "the program has more than 256 tables; let counters share one with :table");
			return;
		}
		t->number = (int32_t)next;
		taken[next] = true;
	}
}

/* ---- operations ---- */

static struct vfl_node *operation(struct vfl *c, enum vfl_op op, struct vfl_table *t, struct vfl_node *key, struct vfl_node *value)
{
	struct vfl_node *n = value ? vfl_2(c, op, key, value) : vfl_1(c, op, key);

	n->table = t;
	return n;
}

struct vfl_node *vfl_flow_key(struct vfl *c, const struct vfl_args *a)
{
	struct keys k = take_keys(c, a, a->n);

	return operation(c, a->op, find_table(c, a, (struct vfl_table){.kind = VFL_PLAIN}, k), compose(c, k), NULL);
}

struct vfl_node *vfl_flow_value(struct vfl *c, const struct vfl_args *a)
{
	struct keys k = take_keys(c, a, a->n - 1);
	struct vfl_table *t = find_table(c, a, (struct vfl_table){.kind = VFL_PLAIN}, k);

	return operation(c, a->op, t, compose(c, k), vfl_expression(c, a->at[a->n - 1]));
}

struct vfl_node *vfl_count_by(struct vfl *c, const struct vfl_args *a)
{
	struct keys k;

	if (a->per)
		return vfl_rate_by(c, a);
	k = take_keys(c, a, a->n);
	return operation(c, VFL_FLOW_ADD, find_table(c, a, (struct vfl_table){.kind = VFL_PLAIN}, k), compose(c, k), vfl_num(c, 1));
}

/* An entry is window number << 32 | count. The next window starts the count again:
 *     w = now / per modulo 2^32;  n = v >> 32 == w ? v + 1 : w << 32 | 1;  store n;  the result is its count.
 * A table of its own forgets an entry once it is idle for a window or more, when the entry counts for nothing: so numbers that are equal
 * modulo 2^32 never meet, and the entry leaves room. */
static struct vfl_node *window(struct vfl *c, struct vfl_table *t, struct vfl_node *key, uint64_t per_us)
{
	struct vfl_node *number = vfl_2(c, VFL_AND, vfl_2(c, VFL_DIV, vfl_expression_text(c, "now"), vfl_num(c, per_us)),
					vfl_num(c, WINDOW_COUNT_MASK));
	struct vfl_binding *k = vfl_bind(c, key), *w = vfl_bind(c, number), *v, *n;
	struct vfl_node *body, *first;

	v = vfl_bind(c, operation(c, VFL_FLOW_GET, t, vfl_var(c, k), NULL));
	first = vfl_2(c, VFL_OR, vfl_2(c, VFL_SHL, vfl_var(c, w), vfl_num(c, 32)), vfl_num(c, 1));
	n = vfl_bind(c, vfl_if(c, vfl_2(c, VFL_EQ, vfl_2(c, VFL_SHR, vfl_var(c, v), vfl_num(c, 32)), vfl_var(c, w)),
			       vfl_2(c, VFL_ADD, vfl_var(c, v), vfl_num(c, 1)), first));
	body = vfl_2(c, VFL_DO, operation(c, VFL_FLOW_SET, t, vfl_var(c, k), vfl_var(c, n)),
		     vfl_2(c, VFL_AND, vfl_var(c, n), vfl_num(c, WINDOW_COUNT_MASK)));
	return vfl_let(c, k, vfl_let(c, w, vfl_let(c, v, vfl_let(c, n, body))));
}

struct vfl_node *vfl_rate_by(struct vfl *c, const struct vfl_args *a)
{
	struct keys k = take_keys(c, a, a->n);
	struct vfl_table like = {.kind = VFL_WINDOW};

	if (!a->per) {
		vfl_error(c, a->form, "the window's length is missing; write %s", a->usage);
		return vfl_num(c, 0);
	}
	if (a->per->kind != VFL_DURATION || !a->per->value || a->per->value > MAX_PERIOD_US) {
		if (a->per->kind != VFL_BAD)
			vfl_error(c, a->per, "a window is a duration from 1us to 8784h; write, say, :per 1s");
		return vfl_num(c, 0);
	}
	like.per_us = a->per->value;
	like.idle_s = (uint32_t)((like.per_us + 999999) / 1000000);
	return window(c, find_table(c, a, like, k), compose(c, k), like.per_us);
}

/* The bucket as one number, the time at which it is full again (the virtual scheduling form of the leaky bucket, ITU-T I.371), in ticks
 * of 1/1024 us:  full = max(stored, now);  room if full - now <= (burst - 1) * interval;  then store full + interval.
 * An entry idle for burst * interval is a full bucket, as an absent one is: a table of its own forgets it then. */
static struct vfl_node *bucket(struct vfl *c, struct vfl_table *t, struct vfl_node *key, uint64_t interval, uint64_t burst)
{
	struct vfl_binding *k = vfl_bind(c, key), *stored, *ticks, *full;
	struct vfl_node *take, *room;

	ticks = vfl_bind(c, vfl_2(c, VFL_SHL, vfl_expression_text(c, "now"), vfl_num(c, 10)));
	stored = vfl_bind(c, operation(c, VFL_FLOW_GET, t, vfl_var(c, k), NULL));
	full = vfl_bind(c,
			vfl_if(c, vfl_2(c, VFL_GT, vfl_var(c, stored), vfl_var(c, ticks)), vfl_var(c, stored), vfl_var(c, ticks)));
	take = vfl_2(c, VFL_DO,
		     operation(c, VFL_FLOW_SET, t, vfl_var(c, k), vfl_2(c, VFL_ADD, vfl_var(c, full), vfl_num(c, interval))),
		     vfl_num(c, 1));
	room = vfl_2(c, VFL_LE, vfl_2(c, VFL_SUB, vfl_var(c, full), vfl_var(c, ticks)), vfl_num(c, (burst - 1) * interval));
	return vfl_let(c, k, vfl_let(c, ticks, vfl_let(c, stored, vfl_let(c, full, vfl_if(c, room, take, vfl_num(c, 0))))));
}

struct vfl_node *vfl_token_bucket(struct vfl *c, const struct vfl_args *a)
{
	struct keys k = take_keys(c, a, a->n - 2);
	struct vfl_table like = {.kind = VFL_BUCKET};
	uint64_t interval;

	if (!in_range(c, a->at[a->n - 2], "the rate in tokens per second", 1, 1000000000, &like.rate) ||
	    !in_range(c, a->at[a->n - 1], "the burst in tokens", 1, 1000000000, &like.burst))
		return vfl_num(c, 0);
	interval = BUCKET_TICKS_S / like.rate;
	/* interval <= 2^30, burst < 2^30: below 2^60 */
	if (like.burst * interval > MAX_PERIOD_US * BUCKET_TICKS) {
		vfl_error(c, a->at[a->n - 1], "the bucket takes more than 366 days to fill; lower the burst or raise the rate");
		return vfl_num(c, 0);
	}
	like.idle_s = (uint32_t)((like.burst * interval + BUCKET_TICKS_S - 1) / BUCKET_TICKS_S);
	return bucket(c, find_table(c, a, like, k), compose(c, k), interval, like.burst);
}

/* ---- listing ---- */

static void describe(const struct vfl_table *t, char out[VFL_TABLE_MEANING_BYTES])
{
	size_t room = VFL_TABLE_MEANING_BYTES, used = 0;

	if (t->kind == VFL_DECLARED) {
		snprintf(out, room, "%.*s", (int)(t->name->bytes < 100 ? t->name->bytes : 100), t->name->text);
		return;
	}
	if (t->kind == VFL_WINDOW)
		used = (size_t)snprintf(out, room, "window << 32 | count, windows of %llu us, by", (unsigned long long)t->per_us);
	else if (t->kind == VFL_BUCKET)
		used = (size_t)snprintf(out, room, "token bucket, %llu per second, burst %llu, by", (unsigned long long)t->rate,
					(unsigned long long)t->burst);
	else
		used = (size_t)snprintf(out, room, "by");
	for (uint32_t i = 0; i < t->n_keys && used + 3 < room; i++) {
		out[used++] = ' ';
		vfl_print(t->keys[i], out + used, room - used);
		used += strlen(out + used);
	}
}

void vfl_list_tables(const struct vfl *c, struct vfl_listing *listing)
{
	listing->n_tables = 0;
	for (const struct vfl_table *t = c->tables; t; t = t->next) {
		struct vfl_table_info *info = &listing->tables[listing->n_tables++];

		info->number = (uint8_t)t->number;
		info->entries = t->entries;
		info->idle_s = t->idle_s;
		describe(t, info->meaning);
	}
}

/* search.c: the search for a partition certificate. It guesses from the shapes of the keys and lets the checker decide.
 *
 * Guesses, those with most packet bits first: the whole key; each field that stands in every key, widest first; each key's own highest
 * field, and the upper end of it that is as wide as the narrowest of them. Keys of different widths in one table are told apart by the
 * bits above the narrower one; if these bits come from the packet, a guard says that they are not all 0, and the split is conditional.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/steer.h"

#define MAX_ROLES 64

struct search {
	const struct ir *ir;
	const struct objects *objects;
	bool *owned; /* [n_values] */
	uint32_t n_owned;
	uint32_t n_seen;
	struct steer_seen *seen; /* [STEER_MAX_SEEN] */
	uint32_t n_roles;
	struct steer_role roles[MAX_ROLES];
	struct cert *base; /* program digest and listed sites */
	struct cert *trial;
	struct split *out;
};

const char *split_name(enum split_verdict v)
{
	static const char *const names[] = {"stateless", "partitionable", "conditional", "pinned"};

	return names[v];
}

const char *split_limit_text(enum split_limit l)
{
#define LIMIT_TEXT(name, text) text,
	static const char *const texts[] = {SPLIT_LIMITS(LIMIT_TEXT)};
#undef LIMIT_TEXT

	return texts[l];
}

static int by_pc(const void *a, const void *b)
{
	const struct cert_site *x = a, *y = b;

	return (x->pc > y->pc) - (x->pc < y->pc);
}

/* Marks owned sites, lists the others. False: more sites than a certificate can list. */
static bool list_sites(struct search *s)
{
	for (uint32_t i = 0; i < s->objects->n; i++) {
		const struct object *o = &s->objects->items[i];

		for (uint32_t j = 0; j < o->n_sites; j++) {
			if (o->kind == OBJECT_OWNED) {
				s->owned[o->sites[j]] = true;
				s->n_owned++;
				continue;
			}
			if (s->base->n_sites == CERT_MAX_SITES)
				return false;
			s->base->sites[s->base->n_sites++] = (struct cert_site){.pc = s->ir->values[o->sites[j]].pc,
										.table = o->table,
										.partial = o->kind == OBJECT_PARTIAL,
										.merge_class = o->merge_class};
		}
	}
	qsort(s->base->sites, s->base->n_sites, sizeof(s->base->sites[0]), by_pc);
	return true;
}

static bool fits_all(const struct search *s, const struct steer_role *role)
{
	struct cert_row row;

	for (uint32_t i = 0; i < s->n_seen; i++)
		if (!steer_row(role, &s->seen[i].form, 0, &row))
			return false;
	return true;
}

static bool same_role(const struct steer_role *x, const struct steer_role *y)
{
	return x->kind == y->kind && x->lowest.source == y->lowest.source && x->lowest.bit == y->lowest.bit && x->bits == y->bits;
}

static bool same_guard(const struct cert_guard *x, const struct cert_guard *y)
{
	return x->offset == y->offset && x->bytes == y->bytes && x->equal == y->equal && x->mask == y->mask && x->value == y->value;
}

static void add_role(struct search *s, const struct steer_role *role)
{
	for (uint32_t i = 0; i < s->n_roles; i++)
		if (same_role(&s->roles[i], role))
			return;
	if (!fits_all(s, role))
		return;
	if (s->n_roles < MAX_ROLES)
		s->roles[s->n_roles++] = *role;
	else
		s->out->limits |= 1u << SPLIT_LIMIT_FIELDS;
}

static int wider_first(const void *a, const void *b)
{
	const struct steer_role *x = a, *y = b;

	return (int)y->bits - (int)x->bits;
}

/* Bits of the narrowest highest field of a key. */
static uint8_t narrowest_top(const struct search *s)
{
	uint8_t bits = 64;

	for (uint32_t i = 0; i < s->n_seen; i++)
		if (s->seen[i].form.n_fields && s->seen[i].form.fields[0].bits < bits)
			bits = s->seen[i].form.fields[0].bits;
	return bits;
}

static void find_roles(struct search *s)
{
	struct steer_role role;
	uint32_t fields_from;

	memset(&role, 0, sizeof(role)); /* roles are compared whole */
	for (uint32_t i = 0; i < s->n_seen; i++)
		if (s->seen[i].form.n_fields) {
			role.kind = STEER_WHOLE;
			add_role(s, &role);
		}
	fields_from = s->n_roles;
	for (uint32_t i = 0; i < s->n_seen; i++)
		for (uint32_t j = 0; j < s->seen[i].form.n_fields; j++) {
			role.kind = STEER_FIELD;
			role.lowest.source = s->seen[i].form.fields[j].lowest.source;
			role.lowest.bit = s->seen[i].form.fields[j].lowest.bit;
			role.bits = s->seen[i].form.fields[j].bits;
			add_role(s, &role);
		}
	qsort(&s->roles[fields_from], s->n_roles - fields_from, sizeof(s->roles[0]), wider_first);
	memset(&role, 0, sizeof(role));
	role.kind = STEER_TOP_FIELD;
	add_role(s, &role);
	role.bits = narrowest_top(s);
	add_role(s, &role);
}

static uint64_t ones_from(unsigned bit)
{
	return bit < 64 ? UINT64_MAX << bit : 0;
}

static int narrower_first(const void *a, const void *b)
{
	const struct steer_seen *x = *(const struct steer_seen *const *)a, *y = *(const struct steer_seen *const *)b;

	return (int)x->form.width - (int)y->form.width;
}

/* Rows of one table: each distinct projection once, told apart by the bits above the narrower keys. */
static bool table_rows(struct search *s, const struct steer_role *role, uint8_t table)
{
	const struct steer_seen *of_table[STEER_MAX_SEEN];
	struct cert *c = s->trial;
	uint32_t n = 0, from = c->n_rows;

	for (uint32_t i = 0; i < s->n_seen; i++)
		if (s->ir->values[s->seen[i].site].table == table)
			of_table[n++] = &s->seen[i];
	qsort(of_table, n, sizeof(of_table[0]), narrower_first);
	for (uint32_t i = 0; i < n; i++) {
		struct cert_row row, *last = c->n_rows > from ? &c->rows[c->n_rows - 1] : NULL;

		if (!steer_row(role, &of_table[i]->form, table, &row))
			return false;
		if (last && last->first == row.first && last->bits == row.bits)
			continue;
		if (last)
			last->mask = ones_from(of_table[i - 1]->form.width);
		if (c->n_rows == CERT_MAX_ROWS)
			return false;
		c->rows[c->n_rows++] = row;
	}
	return true;
}

static bool build_rows(struct search *s, const struct steer_role *role)
{
	bool done[256] = {false};

	s->trial->n_rows = 0;
	for (uint32_t i = 0; i < s->n_seen; i++) {
		uint8_t table = s->ir->values[s->seen[i].site].table;

		if (!done[table] && !table_rows(s, role, table))
			return false;
		done[table] = true;
	}
	return true;
}

/* "Packet byte at offset is not all 0 under mask" for one byte; neighbours are merged by the caller. */
static bool guard_of_bits(const struct key_form *form, unsigned from, unsigned to, struct cert_guard *g)
{
	uint32_t low = UINT32_MAX, high = 0;

	for (unsigned i = from; i < to; i++) {
		uint32_t source = form->bits.bit[i].source;

		if (!(source & KEY_BYTE))
			return false;
		low = (source & ~KEY_BYTE) < low ? source & ~KEY_BYTE : low;
		high = (source & ~KEY_BYTE) > high ? source & ~KEY_BYTE : high;
	}
	if (low > high || high - low >= 8)
		return false;
	memset(g, 0, sizeof(*g));
	g->offset = low;
	g->bytes = high - low < 1 ? 1 : high - low < 2 ? 2 : high - low < 4 ? 4 : 8;
	for (unsigned i = from; i < to; i++) {
		struct key_bit b = form->bits.bit[i];

		g->mask |= 1ULL << (8 * (low + g->bytes - 1 - (b.source & ~KEY_BYTE)) + b.bit);
	}
	return true;
}

/* A guard for every key that a narrower row of its table might take for its own. */
static bool add_guards(struct search *s)
{
	struct cert *c = s->trial;

	for (uint32_t i = 0; i < s->n_seen; i++)
		for (uint32_t r = 0; r < c->n_rows; r++) {
			const struct key_form *form = &s->seen[i].form;
			unsigned narrow = c->rows[r].mask ? (unsigned)__builtin_ctzll(c->rows[r].mask) : 64;
			struct cert_guard g;
			bool there = false;

			if (c->rows[r].table != s->ir->values[s->seen[i].site].table || form->width <= narrow)
				continue;
			if (!guard_of_bits(form, narrow, form->width, &g))
				return false;
			for (uint32_t k = 0; k < c->n_guards; k++)
				there = there || same_guard(&c->guards[k], &g);
			if (!there && c->n_guards == CERT_MAX_GUARDS)
				return false;
			if (!there)
				c->guards[c->n_guards++] = g;
		}
	return c->n_guards > 0;
}

static int ask_checker(struct search *s)
{
	int err;

	s->out->tried++;
	err = cert_check(s->trial, s->ir->program, s->out->reason, sizeof(s->out->reason));
	if (err == -EINVAL && strstr(s->out->reason, CERT_BOUNDS_WORDS))
		s->out->limits |= 1u << SPLIT_LIMIT_CHECKER;
	return err;
}

/* 0: proved; -EINVAL, -ENOTSUP: not this way. */
static int try_role(struct search *s, const struct steer_role *role)
{
	int err;

	memcpy(s->trial, s->base, sizeof(*s->trial));
	err = steer_write(s->ir, s->owned, role, s->trial, s->out->reason, sizeof(s->out->reason), &s->out->limits);
	if (err)
		return err;
	if (!build_rows(s, role))
		return -ENOTSUP;
	err = ask_checker(s);
	s->out->verdict = SPLIT_PARTITIONABLE;
	if (err == -EINVAL && add_guards(s)) {
		err = ask_checker(s);
		s->out->verdict = SPLIT_CONDITIONAL;
	}
	return err;
}

/* Nothing owned: any steering will do, and the flow's hash spreads best. */
static int without_owned(struct search *s)
{
	static const uint8_t by_hash[] = {VFM_OP_HASH5, VFM_OP_RET};

	memcpy(s->trial, s->base, sizeof(*s->trial));
	memcpy(s->trial->steer, by_hash, sizeof(by_hash));
	s->trial->steer_bytes = sizeof(by_hash);
	s->out->verdict = s->objects->n ? SPLIT_PARTITIONABLE : SPLIT_STATELESS;
	return ask_checker(s);
}

/* Unconditional answers are better than conditional ones, so all roles are tried before one with a guard is taken. */
static int try_all(struct search *s)
{
	struct cert *conditional = NULL;
	int err = -EINVAL;

	for (uint32_t i = 0; i < s->n_roles && (err == -EINVAL || err == -ENOTSUP); i++) {
		err = try_role(s, &s->roles[i]);
		if (err || s->out->verdict == SPLIT_PARTITIONABLE)
			continue;
		err = -EINVAL;
		if (conditional)
			continue;
		conditional = malloc(sizeof(*conditional));
		if (!conditional)
			return -ENOMEM;
		memcpy(conditional, s->trial, sizeof(*conditional));
	}
	if (err && err != -ENOMEM && conditional) {
		memcpy(s->trial, conditional, sizeof(*conditional));
		s->out->verdict = SPLIT_CONDITIONAL;
		err = 0;
	}
	free(conditional);
	return err;
}

/* The listed sites, and the roles that fit all keys. 0; -EINVAL: nothing can be guessed; -ENOMEM. */
static int prepare(struct search *s)
{
	int err;

	cert_digest_program(s->ir->program, s->base->program_sha256);
	if (!list_sites(s)) {
		snprintf(s->out->reason, sizeof(s->out->reason), "more than %d configuration and statistics sites", CERT_MAX_SITES);
		s->out->limits |= 1u << SPLIT_LIMIT_SITES;
		return -EINVAL;
	}
	if (s->n_owned == 0)
		return 0;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): search_fini() frees what search_init() made, whatever happens here. */
	err = steer_survey(s->ir, s->owned, s->seen, &s->n_seen, &s->out->limits);
	if (err)
		return err;
	find_roles(s);
	if (s->n_roles == 0)
		snprintf(s->out->reason, sizeof(s->out->reason), "the keys have no packet field in common");
	return 0;
}

static bool search_init(struct search *s, const struct ir *ir, const struct objects *o, struct split *out)
{
	*s = (struct search){.ir = ir, .objects = o, .out = out};
	s->owned = calloc(ir->n_values + 1ul, sizeof(*s->owned));
	s->seen = calloc(STEER_MAX_SEEN, sizeof(*s->seen));
	s->base = calloc(1, sizeof(*s->base));
	s->trial = calloc(1, sizeof(*s->trial));
	return s->owned && s->seen && s->base && s->trial;
}

static void search_fini(struct search *s)
{
	free(s->owned);
	free(s->seen);
	free(s->base);
	free(s->trial);
}

int split_search(const struct ir *ir, const struct objects *o, struct split *out)
{
	struct search s;
	int err = -ENOMEM;

	memset(out, 0, sizeof(*out));
	if (search_init(&s, ir, o, out))
		err = prepare(&s);
	if (err == 0)
		err = s.n_owned ? try_all(&s) : without_owned(&s);
	if (err == 0) {
		out->cert = s.trial;
		s.trial = NULL;
		out->reason[0] = 0;
	} else if (err == -EINVAL || err == -ENOTSUP) {
		out->verdict = SPLIT_PINNED;
		err = 0;
	}
	search_fini(&s);
	return err;
}

/* ---- the other ways ---- */

static bool same_guards(const struct cert *x, const struct cert *y)
{
	bool same = x->n_guards == y->n_guards;

	for (uint32_t i = 0; i < x->n_guards && same; i++)
		same = same_guard(&x->guards[i], &y->guards[i]);
	return same;
}

static bool same_steer(const struct cert *x, const struct cert *y)
{
	return x->steer_bytes == y->steer_bytes && !memcmp(x->steer, y->steer, x->steer_bytes);
}

static bool is_another(const struct split *s, const struct cert *c)
{
	if (!same_guards(s->cert, c) || same_steer(s->cert, c))
		return false;
	for (uint32_t i = 0; i < s->n_others; i++)
		if (same_steer(s->others[i], c))
			return false;
	return s->n_others < SPLIT_MAX_OTHERS;
}

int split_alternatives(const struct ir *ir, const struct objects *o, struct split *out)
{
	struct split found = {0};
	struct search s;
	int err = -ENOMEM;

	if (!out->cert)
		return 0;
	if (search_init(&s, ir, o, &found))
		err = prepare(&s);
	for (uint32_t i = 0; i < s.n_roles && err != -ENOMEM; i++) {
		err = try_role(&s, &s.roles[i]);
		if (err || found.verdict != out->verdict || !is_another(out, s.trial))
			continue;
		out->others[out->n_others++] = s.trial;
		s.trial = malloc(sizeof(*s.trial));
		err = s.trial ? 0 : -ENOMEM;
	}
	search_fini(&s);
	return err == -ENOMEM ? err : 0;
}

void split_take(struct split *s, uint32_t i)
{
	struct cert *c = s->cert;

	s->cert = s->others[i];
	s->others[i] = c;
}

void split_fini(struct split *s)
{
	for (uint32_t i = 0; i < s->n_others; i++)
		free(s->others[i]);
	free(s->cert);
	memset(s, 0, sizeof(*s));
}

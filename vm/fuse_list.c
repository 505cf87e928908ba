/* fuse_list.c: chains of tests into one list of conditions that is computed without a branch.
 *
 * Two steps, repeated along a chain. Tests that must all hold (each fails to the same place) become one condition of several
 * windows; tests next to each other share a window. Conditions one of whose ways leads on to a further test become the items of
 * a list. Everything joined is free of effects and cannot fault, so computing all of it is the same as stopping early.
 */
#include <endian.h>
#include <string.h>

#include "vm/regcode.h"

struct window fuse_window(const struct sym *field, uint64_t c)
{
	uint32_t shift = field->shift + (field->end < 8 ? 8 * (8 - field->end) : 0);

	return (struct window){
		.mask = htobe64(field->v << shift), .value = htobe64(c << shift), .at = field->end < 8 ? 0 : field->end - 8};
}

/* ---- windows over single bytes ---- */

#define CONDITION_BYTES 32u

/* Bytes of the packet, ascending, with what is demanded of each. */
struct bytes {
	uint32_t n;
	uint32_t at[CONDITION_BYTES];
	uint8_t mask[CONDITION_BYTES], value[CONDITION_BYTES];
};

/* False: no room, or it contradicts what is there. */
static bool add_byte(struct bytes *b, uint32_t at, uint8_t mask, uint8_t value)
{
	uint32_t i = 0;

	while (i < b->n && b->at[i] < at)
		i++;
	if (i == b->n || b->at[i] != at) {
		if (b->n == CONDITION_BYTES)
			return false;
		memmove(&b->at[i + 1], &b->at[i], (b->n - i) * sizeof(b->at[0]));
		memmove(&b->mask[i + 1], &b->mask[i], b->n - i);
		memmove(&b->value[i + 1], &b->value[i], b->n - i);
		b->n++;
		b->at[i] = at;
		b->mask[i] = b->value[i] = 0;
	}
	if ((b->mask[i] & mask) & (b->value[i] ^ value))
		return false;
	b->mask[i] |= mask;
	b->value[i] |= value;
	return true;
}

/* Covers the bytes with windows from the first on; how many it takes, LIST_MAX_WINDOWS + 1: too many. A window ends no later than
 * the last of the bytes (or begins at 0), because what lies behind it may not be there. */
static uint32_t cover(const struct bytes *b, uint32_t at[LIST_MAX_WINDOWS])
{
	uint32_t n = 0, last = b->at[b->n - 1], latest = last < 7 ? 0 : last - 7;

	for (uint32_t i = 0; i < b->n;) {
		uint32_t from = b->at[i] < latest ? b->at[i] : latest;

		if (n == LIST_MAX_WINDOWS)
			return n + 1;
		at[n++] = from;
		while (i < b->n && b->at[i] < from + 8)
			i++;
	}
	return n;
}

static bool fits(const struct bytes *b)
{
	uint32_t at[LIST_MAX_WINDOWS];

	return cover(b, at) <= LIST_MAX_WINDOWS;
}

/* ---- one condition ---- */

struct condition {
	struct bytes bytes;
	uint32_t holds, fails; /* blocks */
};

static bool add_window(struct bytes *b, const struct window *w)
{
	struct bytes wider = *b;
	uint8_t mask[8], value[8];

	memcpy(mask, &w->mask, 8);
	memcpy(value, &w->value, 8);
	for (uint32_t i = 0; i < 8; i++)
		if (mask[i] && !add_byte(&wider, w->at + i, mask[i], value[i]))
			return false;
	if (!fits(&wider))
		return false;
	*b = wider;
	return true;
}

/* The test at the end of block b and those that it leads to as long as they fail to the same place. */
static void build_condition(const struct gist *gists, uint32_t b, struct condition *c)
{
	c->bytes.n = 0;
	(void)add_window(&c->bytes, &gists[b].window);
	c->holds = gists[b].match;
	c->fails = gists[b].miss;
	for (uint32_t steps = 0; steps < 16; steps++) {
		const struct gist *next = &gists[c->holds];

		if (next->kind != GIST_TEST || next->miss != c->fails || !add_window(&c->bytes, &next->window))
			break;
		c->holds = next->match;
	}
}

/* ---- the list ---- */

/* The bytes that any item looks at, with mask 0: only the places matter. False: too far apart. */
static bool add_places(struct bytes *all, const struct bytes *b)
{
	struct bytes wider = *all;

	for (uint32_t i = 0; i < b->n; i++)
		if (!add_byte(&wider, b->at[i], 0, 0))
			return false;
	if (!fits(&wider))
		return false;
	*all = wider;
	return true;
}

/* Writes condition b as item i of a list whose windows stand. Each byte is tested in the first window that has it. */
static void write_item(struct reg_list *list, uint32_t i, const struct bytes *b)
{
	for (uint32_t k = 0; k < b->n; k++)
		for (uint32_t w = 0; w < list->width; w++) {
			uint32_t place = b->at[k] - list->at[w];

			if (b->at[k] < list->at[w] || place > 7)
				continue;
			((uint8_t *)&list->mask[w][i])[place] = b->mask[k];
			((uint8_t *)&list->value[w][i])[place] = b->value[k];
			break;
		}
}

struct builder {
	struct plan *plan;
	struct bytes places;
	struct bytes items[LIST_MAX_ITEMS];
};

static void add_item(struct builder *l, const struct condition *c, bool negate)
{
	uint32_t n = l->plan->list.n++;

	l->items[n] = c->bytes;
	if (negate)
		l->plan->list.negate |= 1ULL << n;
	l->plan->exit[n] = negate ? c->fails : c->holds;
}

static void write_list(struct builder *l)
{
	struct reg_list *list = &l->plan->list;

	list->width = cover(&l->places, list->at);
	for (uint32_t i = 0; i < list->n; i++)
		write_item(list, i, &l->items[i]);
}

void fuse_list(const struct gist *gists, uint32_t b, uint32_t max_items, struct plan *plan)
{
	struct builder l = {.plan = plan};
	struct condition c;

	memset(plan, 0, sizeof(*plan));
	for (;;) {
		uint32_t *last = &plan->exit[plan->list.n];

		build_condition(gists, b, &c);
		*last = b;
		if (plan->list.n == max_items || !add_places(&l.places, &c.bytes))
			break;
		if (gists[c.fails].kind == GIST_TEST) {
			add_item(&l, &c, false);
			b = c.fails;
		} else if (gists[c.holds].kind == GIST_TEST) {
			add_item(&l, &c, true);
			b = c.holds;
		} else {
			add_item(&l, &c, false);
			last[1] = c.fails;
			break;
		}
	}
	write_list(&l);
}

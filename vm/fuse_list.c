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

/* ---- one condition of several windows ---- */

static uint32_t first_byte(const struct window *w)
{
	return w->at + (uint32_t)__builtin_ctzll(w->mask) / 8;
}

static uint32_t last_byte(const struct window *w)
{
	return w->at + 7 - (uint32_t)__builtin_clzll(w->mask) / 8;
}

/* The same condition seen from a window that begins at `at`; its bytes must lie there. */
static struct window moved(struct window w, uint32_t at)
{
	if (at < w.at) {
		w.mask <<= 8 * (w.at - at);
		w.value <<= 8 * (w.at - at);
	} else {
		w.mask >>= 8 * (at - w.at);
		w.value >>= 8 * (at - w.at);
	}
	w.at = at;
	return w;
}

/* Joins b into a if both fit into 8 bytes. False: they do not, or they contradict each other. */
static bool join_windows(struct window *a, struct window b)
{
	uint32_t first = first_byte(a) < first_byte(&b) ? first_byte(a) : first_byte(&b);
	uint32_t last = last_byte(a) > last_byte(&b) ? last_byte(a) : last_byte(&b);
	uint32_t at = last < 7 ? 0 : last - 7;
	struct window x, y;

	if (last - first > 7)
		return false;
	x = moved(*a, at);
	y = moved(b, at);
	if ((x.mask & y.mask) & (x.value ^ y.value))
		return false;
	x.mask |= y.mask;
	x.value |= y.value;
	*a = x;
	return true;
}

/* Adds window w to a condition of *n windows; false: no room. */
static bool add_window(struct window *windows, uint32_t *n, struct window w)
{
	for (uint32_t i = 0; i < *n; i++)
		if (join_windows(&windows[i], w))
			return true;
	if (*n == LIST_MAX_WINDOWS)
		return false;
	windows[(*n)++] = w;
	return true;
}

struct condition {
	struct window windows[LIST_MAX_WINDOWS];
	uint32_t n;
	uint32_t holds, fails; /* blocks */
};

/* The test at the end of block b and those that it leads to as long as they fail to the same place. */
static void build_condition(const struct gist *gists, uint32_t b, struct condition *c)
{
	c->windows[0] = gists[b].window;
	c->n = 1;
	c->holds = gists[b].match;
	c->fails = gists[b].miss;
	for (uint32_t steps = 0; steps < 16; steps++) {
		const struct gist *next = &gists[c->holds];

		if (next->kind != GIST_TEST || next->miss != c->fails || !add_window(c->windows, &c->n, next->window))
			break;
		c->holds = next->match;
	}
}

/* ---- the list ---- */

static void add_item(struct plan *plan, const struct condition *c, bool negate)
{
	struct reg_list *list = &plan->list;
	struct window *to = &list->windows[list->n * LIST_MAX_WINDOWS];

	memcpy(to, c->windows, c->n * sizeof(*to));
	for (uint32_t i = c->n; i < LIST_MAX_WINDOWS; i++)
		to[i] = (struct window){.at = c->windows[0].at};
	if (c->n > list->width)
		list->width = c->n > 2 ? 4 : c->n;
	if (negate)
		list->negate |= 1u << list->n;
	plan->exit[list->n++] = negate ? c->fails : c->holds;
}

/* Items were built with room for LIST_MAX_WINDOWS each: keep `width`. */
static void pack(struct reg_list *list)
{
	for (uint32_t i = 1; i < list->n; i++)
		memmove(&list->windows[i * list->width], &list->windows[i * LIST_MAX_WINDOWS],
			list->width * sizeof(list->windows[0]));
}

void fuse_list(const struct gist *gists, uint32_t b, struct plan *plan)
{
	struct condition c;

	memset(plan, 0, sizeof(*plan));
	for (;;) {
		build_condition(gists, b, &c);
		if (plan->list.n + 1 == LIST_MAX_ITEMS)
			break;
		if (gists[c.fails].kind == GIST_TEST) {
			add_item(plan, &c, false);
			b = c.fails;
		} else if (gists[c.holds].kind == GIST_TEST) {
			add_item(plan, &c, true);
			b = c.holds;
		} else {
			break;
		}
	}
	add_item(plan, &c, false);
	plan->exit[plan->list.n] = c.fails;
	pack(&plan->list);
}

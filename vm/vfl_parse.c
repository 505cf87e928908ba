/* vfl_parse.c: tokens to lists. Knows parentheses and limits, no names. */
#include <errno.h>

#include "vm/vfl.h"

static struct vfl_sexp *keep(struct vfl *c, const struct vfl_sexp *token)
{
	struct vfl_sexp *s;

	if (++c->parts > VFL_MAX_PARTS) {
		vfl_error(c, token, "the program has more than %u parts; split it or preload a table instead", VFL_MAX_PARTS);
		vfl_escape(c, EINVAL);
	}
	s = vfl_alloc(c, sizeof(*s));
	*s = *token;
	return s;
}

static struct vfl_sexp *parse_form(struct vfl *c, const struct vfl_sexp *token, uint32_t depth);

static struct vfl_sexp *parse_list(struct vfl *c, const struct vfl_sexp *open, uint32_t depth)
{
	struct vfl_sexp *list = keep(c, open), **end = &list->first;
	struct vfl_sexp token;

	if (depth == VFL_MAX_DEPTH) {
		vfl_error(c, open, "parentheses are nested more than %d deep; name parts with let", VFL_MAX_DEPTH);
		vfl_escape(c, EINVAL);
	}
	list->kind = VFL_LIST;
	for (vfl_lex(c, &token); token.kind != VFL_CLOSE; vfl_lex(c, &token)) {
		if (token.kind == VFL_END) {
			vfl_error(c, open, "this parenthesis is never closed; add ')'");
			vfl_escape(c, EINVAL);
		}
		*end = parse_form(c, &token, depth + 1);
		end = &(*end)->next;
		list->n++;
	}
	return list;
}

static struct vfl_sexp *parse_form(struct vfl *c, const struct vfl_sexp *token, uint32_t depth)
{
	return token->kind == VFL_OPEN ? parse_list(c, token, depth) : keep(c, token);
}

struct vfl_sexp *vfl_parse(struct vfl *c)
{
	struct vfl_sexp *first = NULL, **end = &first;
	struct vfl_sexp token;

	for (vfl_lex(c, &token); token.kind != VFL_END; vfl_lex(c, &token)) {
		if (token.kind == VFL_CLOSE) {
			vfl_error(c, &token, "this ')' closes nothing; remove it");
			vfl_escape(c, EINVAL);
		}
		*end = parse_form(c, &token, 0);
		end = &(*end)->next;
	}
	if (!first)
		vfl_error(c, &token, "the program is empty; write an expression, like (= proto 6)");
	return first;
}

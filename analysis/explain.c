/* explain.c: why a program is pinned or conditional, and what to change so that it splits. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analysis/report.h"

static const char *access_name(const struct analysis *a, uint32_t pc)
{
	return vfm_ops[a->program->code[pc]].mnemonic;
}

/* ---- changes that were tried ---- */

static void print_objects(const struct analysis *a, const struct change *c, FILE *out)
{
	for (uint32_t i = 0; i < c->n_objects; i++)
		fprintf(out, "%sobject %u (table %u)",
			i == 0                  ? ""
			: i + 1 == c->n_objects ? " and "
						: ", ",
			c->objects[i], a->objects.items[c->objects[i]].table);
}

static void explain_tables(const struct analysis *a, const struct change *c, FILE *out)
{
	fputs("give each form of key a table of its own, in ", out);
	print_objects(a, c, out);
	fprintf(out, ".\n  Then it splits by %s, without a condition:\n", c->by);
	for (uint32_t i = 0; i < c->n_edits; i++)
		fprintf(out, "    at %u: %s %d\n", c->edits[i].pc, access_name(a, c->edits[i].pc), c->edits[i].table);
}

static void print_lines(const struct rewrite_edit *e, FILE *out)
{
	for (uint32_t i = 0; i < e->n; i++) {
		char text[64];

		rewrite_text(&e->lines[i], text, sizeof(text));
		fprintf(out, "%s%s", i ? "; " : "", text);
	}
}

static void explain_field(const struct analysis *a, const struct change *c, FILE *out)
{
	fprintf(out, "put %s in front of the keys of ", c->field);
	print_objects(a, c, out);
	fprintf(out,
		".\n  Then it splits by %s, and what it counts or remembers there it does apart for each value of that.\n"
		"  In VFLisp, begin those keys with %s. In assembly, put in front of\n",
		c->by, c->lisp);
	for (uint32_t i = 0; i < c->n_edits; i++) {
		fprintf(out, "    %-10s at %4u: ", access_name(a, c->edits[i].pc), c->edits[i].pc);
		print_lines(&c->edits[i], out);
		fputc('\n', out);
	}
}

static void explain_separate(const struct analysis *a, const struct change *c, FILE *out)
{
	fputs("a filter of its own for ", out);
	print_objects(a, c, out);
	fprintf(out, ", without the accesses of the others.\n  It splits%s%s, without", c->by[0] ? " by " : "", c->by);
	for (uint32_t i = 0; i < c->n_edits; i++)
		fprintf(out, "%s %s at %u", i ? "," : "", access_name(a, c->edits[i].pc), c->edits[i].pc);
	fputc('\n', out);
}

static void explain_changes(const struct analysis *a, FILE *out)
{
	const struct changes *c = &a->changes;

	if (c->skipped)
		fprintf(out, "\nNo change was tried: the program has more than %d bytes.\n", CHANGE_MAX_BYTES);
	else if (c->n == 0)
		fprintf(out, "\nNone of the %u changes that were tried makes it split.\n", c->tried);
	for (uint32_t i = 0; i < c->n; i++) {
		fputs(i ? "\nOr: " : "\nWhat to change (made and analysed): ", out);
		if (c->items[i].kind == CHANGE_TABLES)
			explain_tables(a, &c->items[i], out);
		else if (c->items[i].kind == CHANGE_FIELD)
			explain_field(a, &c->items[i], out);
		else
			explain_separate(a, &c->items[i], out);
	}
}

/* ---- why ---- */

static void explain_conditional(const struct analysis *a, FILE *out)
{
	char guard[512];

	report_guard(a->split.cert, guard, sizeof(guard));
	fprintf(out,
		"\nWhy: keys of different forms share a table and are told apart only if %s.\n"
		"Run guarded (--guarded), packets that break this are dropped.\n",
		guard);
}

static void explain_object(const struct analysis *a, uint32_t i, FILE *out)
{
	const struct object *o = &a->objects.items[i];
	char dims[512];

	if (o->kind != OBJECT_OWNED)
		return;
	report_dims(&a->stages.objects[i].dims, dims, sizeof(dims));
	fprintf(out, "  object %u (table %u) is keyed by %s\n", i, o->table, dims[0] ? dims : "nothing of the packet");
}

static void explain_pinned(const struct analysis *a, FILE *out)
{
	fprintf(out, "\nWhy: %s.\nTo split, the keys of all these must have a packet field in common, each at one place:\n",
		a->split.reason);
	for (uint32_t i = 0; i < a->objects.n; i++)
		explain_object(a, i, out);
}

static void print_frame(const char *name, const uint8_t *data, uint32_t len, FILE *out)
{
	fprintf(out, "    %s ", name);
	for (uint32_t i = 0; i < len; i++)
		fprintf(out, "%02x", data[i]);
	fputc('\n', out);
}

static void explain_witness(const struct witness *w, FILE *out)
{
	if (w->object == IR_NONE)
		fprintf(out, "\nSplit by the flow? ");
	else
		fprintf(out, "\nSplit by object %u's key? ", w->object);
	fprintf(out,
		"These two packets both use key 0x%" PRIx64 " of table %u, but would go different ways (0x%" PRIx64 ", 0x%" PRIx64
		"):\n",
		w->key, w->table, w->steer_a, w->steer_b);
	print_frame("a", w->a, w->a_len, out);
	print_frame("b", w->b, w->b_len, out);
	for (uint32_t i = 0; i < w->n_preload; i++)
		fprintf(out, "    with %u 0x%016" PRIx64 " 0x%016" PRIx64 " in the table\n", w->preload[i].table, w->preload[i].key,
			w->preload[i].value);
}

void report_explain(const struct analysis *a, FILE *out)
{
	if (a->split.verdict == SPLIT_CONDITIONAL) {
		explain_conditional(a, out);
		explain_changes(a, out);
	}
	if (a->split.verdict != SPLIT_PINNED)
		return;
	explain_pinned(a, out);
	explain_changes(a, out);
	for (uint32_t i = 0; i < a->witnesses.n; i++)
		explain_witness(&a->witnesses.items[i], out);
	if (a->witnesses.n == 0)
		fprintf(out,
			"\nNo two packets were found that prove it: this may be a limit of the analyzer, not of the program.\n");
}

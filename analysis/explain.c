/* explain.c: what to change in a program that is pinned or conditional, so that it splits. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analysis/report.h"

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool keyed_by(const struct object_stages *s, const char *start)
{
	for (uint32_t i = 0; i < s->dims.n; i++)
		if (starts(s->dims.items[i].name, start))
			return true;
	return false;
}

static void explain_conditional(const struct analysis *a, FILE *out)
{
	char guard[512];

	report_guard(a->split.cert, guard, sizeof(guard));
	fprintf(out,
		"\nWhat to change: keys of different forms share a table and are told apart only if %s.\n"
		"  - Give each form a table of its own (FLOW_LOAD 1, FLOW_LOAD 2, ...): then it splits without a condition.\n"
		"  - Or set a bit in one form that the others never have (PUSH 0x1000000000000, OR).\n"
		"  - Or run it guarded (--guarded): packets that break the guard are dropped.\n",
		guard);
}

static void explain_object(const struct analysis *a, uint32_t i, FILE *out)
{
	const struct object *o = &a->objects.items[i];
	const struct object_stages *s = &a->stages.objects[i];
	char dims[512];

	if (o->kind != OBJECT_OWNED)
		return;
	report_dims(&s->dims, dims, sizeof(dims));
	fprintf(out, "  - object %u (table %u) ", i, o->table);
	if (s->dims.n == 0)
		fprintf(out, "has one key for all packets. If it only counts, count with FLOW_ADD, drop the result and give it a "
			     "table of\n"
			     "    its own: then it is statistics and hinders nothing. Else put a packet field into its key.\n");
	else if (keyed_by(s, "contents of table"))
		fprintf(out, "has keys that come out of a table: build them from packet fields alone.\n");
	else if (keyed_by(s, "time"))
		fprintf(out, "has the time in its keys: keep it in the value, and compare there.\n");
	else
		fprintf(out, "is keyed by %s.\n", dims);
}

static void explain_pinned(const struct analysis *a, FILE *out)
{
	fprintf(out,
		"\nWhy: %s.\nWhat to change: all objects that are owned need a packet field in common, in each key at the same "
		"place.\n",
		a->split.reason);
	for (uint32_t i = 0; i < a->objects.n; i++)
		explain_object(a, i, out);
	fprintf(out,
		"  Where two objects have no field in common: put a field of one into the other's keys, make two filters of them,\n"
		"  or let one of them only count (FLOW_ADD, result dropped).\n");
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
	if (a->split.verdict == SPLIT_CONDITIONAL)
		explain_conditional(a, out);
	if (a->split.verdict != SPLIT_PINNED)
		return;
	explain_pinned(a, out);
	for (uint32_t i = 0; i < a->witnesses.n; i++)
		explain_witness(&a->witnesses.items[i], out);
	if (a->witnesses.n == 0)
		fprintf(out,
			"\nNo two packets were found that prove it: this may be a limit of the analyzer, not of the program.\n");
}

/* report_json.c: the analysis as one JSON object. */
#include <inttypes.h>
#include <stdio.h>

#include "analysis/report.h"

static void print_hex(const uint8_t *bytes, uint32_t n, FILE *out)
{
	fputc('"', out);
	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "%02x", bytes[i]);
	fputc('"', out);
}

/* 64-bit numbers are written as hex strings: JSON readers lose bits above 2^53. */
static void print_u64(const char *key, uint64_t v, FILE *out)
{
	fprintf(out, "\"%s\":\"0x%016" PRIx64 "\"", key, v);
}

static const char *boolean(bool b)
{
	return b ? "true" : "false";
}

static void print_program(const struct analysis *a, FILE *out)
{
	fprintf(out, "\"program\":{\"bytes\":%u,\"sha256\":", a->program->len);
	print_hex(a->sha256, sizeof(a->sha256), out);
	fputc('}', out);
}

static void print_dims(const struct dims *dims, FILE *out)
{
	fputc('[', out);
	for (uint32_t i = 0; i < dims->n; i++) {
		const struct dim *d = &dims->items[i];

		fprintf(out, "%s{\"name\":\"%s\",", i ? "," : "", d->name);
		if (d->offset == DIM_NO_OFFSET) {
			fputs("\"offset\":null,\"bytes\":null,\"mask\":null}", out);
			continue;
		}
		fprintf(out, "\"offset\":%u,\"bytes\":%u,", d->offset, d->bytes);
		print_u64("mask", d->mask, out);
		fprintf(out, ",\"optionless\":%s}", boolean(d->optionless));
	}
	fputc(']', out);
}

static void print_guards(const struct cert *c, FILE *out)
{
	fputc('[', out);
	for (uint32_t i = 0; c && i < c->n_guards; i++) {
		const struct cert_guard *g = &c->guards[i];

		fprintf(out, "%s{\"offset\":%u,\"bytes\":%u,\"equal\":%s,", i ? "," : "", g->offset, g->bytes, boolean(g->equal));
		print_u64("mask", g->mask, out);
		fputc(',', out);
		print_u64("value", g->value, out);
		fputc('}', out);
	}
	fputc(']', out);
}

static void print_witness(const struct witness *w, uint32_t i, FILE *out)
{
	fputs(i ? ",{\"a\":" : "{\"a\":", out);
	print_hex(w->a, w->a_len, out);
	fputs(",\"b\":", out);
	print_hex(w->b, w->b_len, out);
	fputs(",\"preload\":[", out);
	for (uint32_t k = 0; k < w->n_preload; k++) {
		fprintf(out, "%s{\"table\":%u,", k ? "," : "", w->preload[k].table);
		print_u64("key", w->preload[k].key, out);
		fputc(',', out);
		print_u64("value", w->preload[k].value, out);
		fputc('}', out);
	}
	fprintf(out, "],\"table\":%u,", w->table);
	print_u64("key", w->key, out);
	if (w->object == IR_NONE)
		fputs(",\"object\":null,", out);
	else
		fprintf(out, ",\"object\":%u,", w->object);
	print_u64("steer_a", w->steer_a, out);
	fputc(',', out);
	print_u64("steer_b", w->steer_b, out);
	fputc('}', out);
}

/* What is put in, as lines of assembly. */
static void print_edit(const struct rewrite_edit *e, uint32_t i, FILE *out)
{
	fprintf(out, "%s{\"at\":%u,\"take_out\":%s,\"table\":", i ? "," : "", e->pc, boolean(e->take_out));
	if (e->table < 0)
		fputs("null", out);
	else
		fprintf(out, "%d", e->table);
	fputs(",\"insert\":[", out);
	for (uint32_t k = 0; k < e->n; k++) {
		char text[64];

		rewrite_text(&e->lines[k], text, sizeof(text));
		fprintf(out, "%s\"%s\"", k ? "," : "", text);
	}
	fputs("]}", out);
}

static void print_change(const struct change *c, uint32_t i, FILE *out)
{
	fprintf(out, "%s{\"kind\":\"%s\",\"field\":", i ? "," : "", change_name(c->kind));
	fprintf(out, c->field[0] ? "\"%s\",\"lisp\":\"%s\"" : "null,\"lisp\":null", c->field, c->lisp);
	fputs(",\"objects\":[", out);
	for (uint32_t k = 0; k < c->n_objects; k++)
		fprintf(out, "%s%u", k ? "," : "", c->objects[k]);
	fprintf(out, "],\"by\":\"%s\",\"edits\":[", c->by);
	for (uint32_t k = 0; k < c->n_edits; k++)
		print_edit(&c->edits[k], k, out);
	fputs("]}", out);
}

static void print_choice(const struct choice *c, FILE *out)
{
	fputs(",\"choice\":[", out);
	for (uint32_t i = 0; i < c->n; i++) {
		fprintf(out, "%s{\"packets\":%" PRIu64 ",\"classes\":%" PRIu64 ",\"largest\":%" PRIu64 ",\"taken\":%s,\"by\":",
			i ? "," : "", c->results[i].packets, c->results[i].classes, c->results[i].largest, boolean(i == c->taken));
		print_dims(&c->by[i], out);
		fputc('}', out);
	}
	fputc(']', out);
}

static void print_given_up(uint32_t limits, FILE *out)
{
	const char *comma = "";

	fputs(",\"given_up\":[", out);
	for (int i = 0; i < SPLIT_LIMIT_COUNT; i++)
		if (limits >> i & 1) {
			fprintf(out, "%s\"%s\"", comma, split_limit_text(i));
			comma = ",";
		}
	fputc(']', out);
}

static void print_split(const struct analysis *a, FILE *out)
{
	const struct cert *c = a->split.cert;

	fprintf(out, ",\"split\":{\"verdict\":\"%s\",\"by\":", split_name(a->split.verdict));
	print_dims(&a->by, out);
	fputs(",\"steer\":", out);
	if (c)
		print_hex(c->steer, c->steer_bytes, out);
	else
		fputs("null", out);
	fputs(",\"guard\":", out);
	print_guards(c, out);
	print_given_up(a->split.limits, out);
	fputs(",\"witness\":[", out);
	for (uint32_t i = 0; i < a->witnesses.n; i++)
		print_witness(&a->witnesses.items[i], i, out);
	fputs("],\"changes\":[", out);
	for (uint32_t i = 0; i < a->changes.n; i++)
		print_change(&a->changes.items[i], i, out);
	fputc(']', out);
	print_choice(&a->choice, out);
	fputc('}', out);
}

static void print_coupled(const struct analysis *a, uint32_t object, FILE *out)
{
	const char *comma = "";

	fputs(",\"coupled\":[", out);
	for (uint32_t i = 0; i < a->objects.n; i++) {
		if (i == object || a->objects.items[i].table != a->objects.items[object].table)
			continue;
		fprintf(out, "%s%u", comma, i);
		comma = ",";
	}
	fputs("]}", out);
}

static void print_object(const struct analysis *a, uint32_t i, FILE *out)
{
	const struct object *o = &a->objects.items[i];
	const struct object_stages *s = &a->stages.objects[i];

	fprintf(out, "%s{\"id\":%u,\"table\":%u,\"sites\":[", i ? "," : "", i, o->table);
	for (uint32_t j = 0; j < o->n_sites; j++)
		fprintf(out, "%s%u", j ? "," : "", a->ir->values[o->sites[j]].pc);
	fprintf(out, "],\"access\":\"%s\",\"kind\":\"%s\",\"scope\":\"%s\",\"dims\":", report_access(s), report_kind(o),
		scope_name(s->scope));
	print_dims(&s->dims, out);
	fprintf(out, ",\"symmetric\":%s,\"output\":\"%s\",\"merge\":", boolean(s->symmetric), output_name(s->output));
	if (o->kind == OBJECT_PARTIAL)
		fprintf(out, "\"%s\"", cert_class_name(o->merge_class));
	else
		fputs("null", out);
	print_coupled(a, i, out);
}

static void print_bound(const char *key, uint64_t n, FILE *out)
{
	if (n == IR_UNBOUNDED)
		fprintf(out, "\"%s\":null", key);
	else
		fprintf(out, "\"%s\":%" PRIu64, key, n);
}

static void print_numbers(const struct analysis *a, FILE *out)
{
	const struct stage_counts *n = &a->stages.counts;

	fprintf(out,
		",\"stages\":{\"values\":%u,\"persistent\":%u,\"flow\":%u,\"updateable\":%u,\"impacting\":%u,\"tracked\":%u},"
		"\"readable\":{\"prefix\":%u},\"worst\":{",
		n->values, n->persistent, n->flow, n->updateable, n->impacting, n->tracked, a->stages.readable_bytes);
	print_bound("instructions", a->ir->path.insns, out);
	fputc(',', out);
	print_bound("accesses", a->ir->path.accesses, out);
	fputc(',', out);
	print_bound("updates", a->ir->path.updates, out);
	fputc('}', out);
}

static void print_transfer(const struct transfer_sums *s, FILE *out)
{
	const char *comma = "";

	fputs(",\"transfer\":", out);
	if (!s->packets) {
		fputs("null", out);
		return;
	}
	fputc('{', out);
#define ROW(letter, text) \
	fprintf(out, "%s\"%c\":{\"bytes_per_packet\":%.3f,\"ratio\":", comma, #letter[0] + 32, \
		transfer_bytes_per_packet(s, TRANSFER_##letter)); \
	if (s->bytes[TRANSFER_##letter]) \
		fprintf(out, "%.3f}", transfer_ratio(s, TRANSFER_##letter)); \
	else \
		fputs("null}", out); \
	comma = ",";
	TRANSFER_BASELINES(ROW)
#undef ROW
	fputc('}', out);
}

void report_json(const struct analysis *a, FILE *out)
{
	fputc('{', out);
	print_program(a, out);
	print_split(a, out);
	fputs(",\"objects\":[", out);
	for (uint32_t i = 0; i < a->objects.n; i++)
		print_object(a, i, out);
	fputc(']', out);
	print_numbers(a, out);
	print_transfer(&a->transfer, out);
	fputs("}\n", out);
}

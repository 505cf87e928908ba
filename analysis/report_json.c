/* report_json.c: the analysis as one JSON object. */
#include <inttypes.h>
#include <stdio.h>

#include "analysis/analyze.h"

static void print_hex(const uint8_t *bytes, uint32_t n, FILE *out)
{
	fputc('"', out);
	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "%02x", bytes[i]);
	fputc('"', out);
}

static void print_program(const struct analysis *a, FILE *out)
{
	fprintf(out, "\"program\":{\"bytes\":%u,\"sha256\":", a->program->len);
	print_hex(a->sha256, sizeof(a->sha256), out);
	fputc('}', out);
}

static void print_guards(const struct cert *c, FILE *out)
{
	fputs(",\"guard\":[", out);
	for (uint32_t i = 0; c && i < c->n_guards; i++) {
		const struct cert_guard *g = &c->guards[i];

		fprintf(out,
			"%s{\"offset\":%u,\"bytes\":%u,\"equal\":%s,\"mask\":\"0x%016" PRIx64 "\",\"value\":\"0x%016" PRIx64 "\"}",
			i ? "," : "", g->offset, g->bytes, g->equal ? "true" : "false", g->mask, g->value);
	}
	fputc(']', out);
}

static void print_split(const struct analysis *a, FILE *out)
{
	const struct cert *c = a->split.cert;

	fprintf(out, ",\"split\":{\"verdict\":\"%s\",\"steer\":", split_name(a->split.verdict));
	if (c)
		print_hex(c->steer, c->steer_bytes, out);
	else
		fputs("null", out);
	print_guards(c, out);
	fputc('}', out);
}

void report_json(const struct analysis *a, FILE *out)
{
	fputc('{', out);
	print_program(a, out);
	print_split(a, out);
	fputs("}\n", out);
}

/* deploy_json.c: the plan as one JSON text: what the controller keeps in its store, and what nodes and vfmctl take from it. */
#include "analysis/deploy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/json.h"

#define PLAN_FORMAT "vfm-plan-1"

/* ---- out ---- */

static json_t *program_json(const struct program *p)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * (size_t)p->len + 1);
	if (!text)
		return NULL;
	for (uint32_t i = 0; i < p->len; i++) {
		text[2 * i] = digits[p->code[i] >> 4];
		text[2 * i + 1] = digits[p->code[i] & 15];
	}
	json_t *j = json_stringn(text, 2 * (size_t)p->len);
	free(text);
	return j;
}

static json_t *cert_json(const struct cert *c)
{
	char *text = c ? cert_encode(c) : NULL;
	json_t *j = text ? json_loads(text, 0, NULL) : c ? NULL : json_null();
	free(text);
	return j;
}

static json_t *preload_json(const struct table_file *t)
{
	struct table_file sorted = *t; /* it is: writing does not move an entry */
	char *text = NULL;
	size_t n = 0;
	FILE *out = t->n ? open_memstream(&text, &n) : NULL;
	if (!out)
		return t->n ? NULL : json_null();
	int rc = table_file_write(&sorted, out);
	json_t *j = fclose(out) || rc ? NULL : json_stringn(text, n);
	free(text);
	return j;
}

char *deploy_encode(const struct deploy *d)
{
	char digest[20];
	snprintf(digest, sizeof digest, "%016" PRIx64, d->digest);
	json_t *o = json_pack("{s:s,s:s,s:I,s:s,s:I,s:I,s:I,s:o,s:o,s:o}", "format", PLAN_FORMAT, "digest", digest, "generation",
			      (json_int_t)d->generation, "name", d->name, "shards", (json_int_t)d->plan->shards, "capacity",
			      (json_int_t)d->capacity, "limit", (json_int_t)d->insn_limit, "program", program_json(d->program),
			      "certificate", cert_json(d->cert), "preload", preload_json(&d->preload));
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return text;
}

/* ---- in ---- */

static int digit_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_program(struct deploy *d, const json_t *o, char why[DEPLOY_WHY_BYTES])
{
	const json_t *j = json_object_get(o, "program");
	const char *hex = json_string_value(j);
	size_t n = hex ? json_string_length(j) : 0;
	uint8_t *code = n && n % 2 == 0 && n / 2 <= UINT32_MAX ? malloc(n / 2) : NULL;
	struct vfm_reject reject;
	bool good = code != NULL;
	for (size_t i = 0; good && i < n / 2; i++) {
		int high = digit_of(hex[2 * i]), low = digit_of(hex[2 * i + 1]);
		good = high >= 0 && low >= 0;
		code[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
	}
	if (!good)
		snprintf(why, DEPLOY_WHY_BYTES, "no program in hex digits, the plan: load the filter again");
	else if (!(d->program = program_new(code, (uint32_t)(n / 2), 0, &reject)))
		snprintf(why, DEPLOY_WHY_BYTES,
			 "the program is not verified (address %04u: %.200s), the plan: load the filter again", reject.pc,
			 reject.reason);
	free(code);
	return d->program ? 0 : -EINVAL;
}

static int take_certificate(struct deploy *d, const json_t *o, char why[DEPLOY_WHY_BYTES])
{
	const json_t *j = json_object_get(o, "certificate");
	char reason[256] = "";
	if (json_is_null(j))
		return 0;
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	d->cert = malloc(sizeof *d->cert);
	int rc = d->cert ? cert_decode(text ? text : "", text ? strlen(text) : 0, d->cert, reason, sizeof reason) : -ENOMEM;
	free(text);
	if (rc)
		snprintf(why, DEPLOY_WHY_BYTES, "%s, the plan's certificate: load the filter again",
			 *reason ? reason : strerror(-rc));
	return rc;
}

static int take_preload(struct deploy *d, const json_t *o, char why[DEPLOY_WHY_BYTES])
{
	const json_t *j = json_object_get(o, "preload");
	const char *text = json_string_value(j);
	size_t n = text ? json_string_length(j) : 0;
	if (json_is_null(j))
		return 0;
	struct diag_list *diags = text && n <= TABLE_FILE_MAX_BYTES ? calloc(1, sizeof *diags) : NULL;
	int rc = -EINVAL;
	if (diags) {
		diag_init(diags, "the plan", text, (uint32_t)n);
		rc = table_file_parse(&d->preload, d->program, text, n, diags);
	}
	if (rc)
		snprintf(why, DEPLOY_WHY_BYTES, "%.320s, the plan's preloaded entries: load the filter again",
			 diags && diags->count ? diags->items[0].text : "not a table file");
	free(diags);
	return rc;
}

/* -1: not a number from 0 to high. */
static int64_t take_number(const json_t *o, const char *key, int64_t high)
{
	const json_t *j = json_object_get(o, key);
	return json_is_integer(j) && json_integer_value(j) >= 0 && json_integer_value(j) <= high ? json_integer_value(j) : -1;
}

static int take_all(struct deploy *d, const json_t *o, char why[DEPLOY_WHY_BYTES])
{
	const char *format = json_string_value(json_object_get(o, "format")), *name = json_string_value(json_object_get(o, "name")),
		   *digest = json_string_value(json_object_get(o, "digest"));
	int64_t shards = take_number(o, "shards", PLAN_MAX_SHARDS), capacity = take_number(o, "capacity", UINT32_MAX),
		limit = take_number(o, "limit", UINT32_MAX), generation = take_number(o, "generation", INT64_MAX);
	if (!format || strcmp(format, PLAN_FORMAT) || !name || !digest || shards < 0 || capacity < 0 || limit < 0 ||
	    generation < 0) {
		snprintf(why, DEPLOY_WHY_BYTES,
			 "not a plan of the form " PLAN_FORMAT ", the controller's store: load the filter again");
		return -EINVAL;
	}
	snprintf(d->name, sizeof d->name, "%s", name);
	d->capacity = (uint32_t)capacity;
	d->insn_limit = (uint32_t)limit;
	d->generation = (uint64_t)generation;
	int rc = take_program(d, o, why);
	if (!rc)
		rc = take_certificate(d, o, why);
	if (!rc)
		rc = take_preload(d, o, why);
	if (!rc)
		rc = deploy_finish(d, (uint32_t)shards, "the certificate", why);
	if (!rc && strtoull(digest, NULL, 16) != d->digest) {
		snprintf(why, DEPLOY_WHY_BYTES, "digest %.20s, but its parts give %016" PRIx64 ", the plan: load the filter again",
			 digest, d->digest);
		rc = -EINVAL;
	}
	return rc;
}

int deploy_decode(struct deploy *d, const char *json, size_t bytes, char why[DEPLOY_WHY_BYTES])
{
	json_error_t error;
	json_t *o = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &error);
	*d = (struct deploy){0};
	why[0] = 0;
	if (!o) {
		snprintf(why, DEPLOY_WHY_BYTES, "not JSON (%.160s), the plan: load the filter again", error.text);
		return -EINVAL;
	}
	int rc = take_all(d, o, why);
	json_decref(o);
	if (rc && !why[0])
		snprintf(why, DEPLOY_WHY_BYTES, "%s, the plan: load the filter again", strerror(-rc));
	if (rc)
		deploy_close(d);
	return rc;
}

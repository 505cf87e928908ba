/* cert.c: the certificate as data: JSON in and out, projection, guard. The only file here that includes OpenSSL. */
#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/json.h"

#include "analysis/cert.h"

static const char *const class_names[CERT_CLASSES] = {"sum", "or", "max", "min", "constant"};

const char *cert_class_name(uint8_t merge_class)
{
	return merge_class < CERT_CLASSES ? class_names[merge_class] : "unknown";
}

void cert_digest_program(const struct program *p, uint8_t sha256[32])
{
	SHA256(p->code, p->len, sha256);
}

bool cert_guard_holds(const struct cert *c, const uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < c->n_guards; i++) {
		const struct cert_guard *g = &c->guards[i];
		uint64_t v = 0;

		if (g->offset + g->bytes > len)
			continue;
		for (unsigned b = 0; b < g->bytes; b++)
			v = v << 8 | data[g->offset + b];
		if (((v & g->mask) == g->value) != g->equal)
			return false;
	}
	return true;
}

bool cert_project(const struct cert *c, uint8_t table, uint64_t key, uint64_t *out)
{
	for (uint32_t i = 0; i < c->n_rows; i++) {
		const struct cert_row *r = &c->rows[i];

		if (r->table != table || (key & r->mask) != r->match)
			continue;
		*out = key >> r->first;
		if (r->bits < 64)
			*out &= (1ULL << r->bits) - 1;
		return true;
	}
	return false;
}

const struct cert_site *cert_site_at(const struct cert *c, uint32_t pc)
{
	for (uint32_t i = 0; i < c->n_sites; i++)
		if (c->sites[i].pc == pc)
			return &c->sites[i];
	return NULL;
}

/* ---- out ---- */

static json_t *hex_json(const uint8_t *bytes, uint32_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2ul * n + 1);
	json_t *j;

	if (!text)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * n] = 0;
	j = json_string(text);
	free(text);
	return j;
}

/* 64-bit numbers are written as hex strings: JSON readers lose bits above 2^53. */
static json_t *u64_json(uint64_t v)
{
	char text[19];

	snprintf(text, sizeof(text), "0x%016llx", (unsigned long long)v);
	return json_string(text);
}

static json_t *guards_json(const struct cert *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->n_guards; i++) {
		const struct cert_guard *g = &c->guards[i];

		json_array_append_new(list,
				      json_pack("{s:i, s:i, s:b, s:o, s:o}", "offset", (int)g->offset, "bytes", (int)g->bytes,
						"equal", (int)g->equal, "mask", u64_json(g->mask), "value", u64_json(g->value)));
	}
	return list;
}

static json_t *rows_json(const struct cert *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->n_rows; i++) {
		const struct cert_row *r = &c->rows[i];

		json_array_append_new(list,
				      json_pack("{s:i, s:o, s:o, s:i, s:i}", "table", (int)r->table, "mask", u64_json(r->mask),
						"match", u64_json(r->match), "first", (int)r->first, "bits", (int)r->bits));
	}
	return list;
}

/* Listed sites of one kind, grouped by table (and class). */
static json_t *sites_json(const struct cert *c, bool partial)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->n_sites; i++) {
		const struct cert_site *s = &c->sites[i];
		json_t *group = NULL, *g;
		size_t at;

		if (s->partial != partial)
			continue;
		json_array_foreach(list, at, g)
		{
			const char *name = json_string_value(json_object_get(g, "class"));

			if (json_integer_value(json_object_get(g, "table")) == s->table &&
			    (!partial || !strcmp(name ? name : "", cert_class_name(s->merge_class))))
				group = g;
		}
		if (!group) {
			group = json_pack("{s:i, s:[]}", "table", (int)s->table, "sites");
			if (partial)
				json_object_set_new(group, "class", json_string(cert_class_name(s->merge_class)));
			json_array_append_new(list, group);
		}
		json_array_append_new(json_object_get(group, "sites"), json_integer(s->pc));
	}
	return list;
}

char *cert_encode(const struct cert *c)
{
	json_t *root =
		json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "format", CERT_FORMAT, "program_sha256",
			  hex_json(c->program_sha256, 32), "guard", guards_json(c), "steer", hex_json(c->steer, c->steer_bytes),
			  "rows", rows_json(c), "partial", sites_json(c, true), "config", sites_json(c, false));
	char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;

	json_decref(root);
	return text;
}

/* ---- in ---- */

struct reader {
	char *why;
	size_t why_bytes;
	bool failed;
};

static void bad(struct reader *r, const char *what, const char *expected)
{
	if (!r->failed)
		snprintf(r->why, r->why_bytes, "%s: %s expected", what, expected);
	r->failed = true;
}

static uint64_t read_int(struct reader *r, const json_t *object, const char *key, uint64_t max)
{
	const json_t *j = json_object_get(object, key);
	json_int_t v = json_is_integer(j) ? json_integer_value(j) : -1;

	if (v < 0 || (uint64_t)v > max)
		bad(r, key, "a whole number in range");
	return v < 0 ? 0 : (uint64_t)v;
}

static uint64_t read_u64(struct reader *r, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	unsigned long long v = 0;
	char *end;

	if (!text || strlen(text) < 3 || strlen(text) > 18 || strncmp(text, "0x", 2)) {
		bad(r, key, "a string 0x and up to 16 hex digits");
		return 0;
	}
	errno = 0;
	v = strtoull(text + 2, &end, 16);
	if (*end || errno || text[2] == '-' || text[2] == '+' || text[2] == ' ')
		bad(r, key, "a string 0x and up to 16 hex digits");
	return v;
}

static int nibble(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static uint32_t read_hex(struct reader *r, const json_t *root, const char *key, uint8_t *out, uint32_t room)
{
	const char *text = json_string_value(json_object_get(root, key));
	size_t n = text ? strlen(text) : 1;

	if (n % 2 || n / 2 > room) {
		bad(r, key, "lower-case hex digits in pairs, not too many,");
		return 0;
	}
	for (size_t i = 0; i < n / 2; i++) {
		int hi = nibble(text[2 * i]), lo = nibble(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			bad(r, key, "lower-case hex digits in pairs");
		out[i] = (uint8_t)((hi & 15) << 4 | (lo & 15));
	}
	return (uint32_t)(n / 2);
}

/* The list under key; checks its length. */
static const json_t *read_list(struct reader *r, const json_t *root, const char *key, size_t max)
{
	const json_t *list = json_object_get(root, key);

	if (!json_is_array(list) || json_array_size(list) > max) {
		bad(r, key, "a list, not too long,");
		return NULL;
	}
	return list;
}

static void read_guards(struct reader *r, const json_t *root, struct cert *c)
{
	const json_t *list = read_list(r, root, "guard", CERT_MAX_GUARDS);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *j = json_array_get(list, i);
		const json_t *equal = json_object_get(j, "equal");

		if (!json_is_boolean(equal))
			bad(r, "equal", "true or false");
		c->guards[c->n_guards++] = (struct cert_guard){.offset = (uint32_t)read_int(r, j, "offset", VFM_MAX_PACKET_BYTES),
							       .bytes = (uint8_t)read_int(r, j, "bytes", 8),
							       .equal = json_is_true(equal),
							       .mask = read_u64(r, j, "mask"),
							       .value = read_u64(r, j, "value")};
	}
}

static void read_rows(struct reader *r, const json_t *root, struct cert *c)
{
	const json_t *list = read_list(r, root, "rows", CERT_MAX_ROWS);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *j = json_array_get(list, i);

		c->rows[c->n_rows++] = (struct cert_row){.table = (uint8_t)read_int(r, j, "table", 255),
							 .first = (uint8_t)read_int(r, j, "first", 63),
							 .bits = (uint8_t)read_int(r, j, "bits", 64),
							 .mask = read_u64(r, j, "mask"),
							 .match = read_u64(r, j, "match")};
	}
}

static uint8_t read_class(struct reader *r, const json_t *group)
{
	const char *name = json_string_value(json_object_get(group, "class"));

	for (uint8_t i = 0; name && i < CERT_CLASSES; i++)
		if (!strcmp(name, class_names[i]))
			return i;
	bad(r, "class", "sum, or, max, min or constant");
	return 0;
}

static void read_sites(struct reader *r, const json_t *root, const char *key, bool partial, struct cert *c)
{
	const json_t *groups = read_list(r, root, key, CERT_MAX_SITES);

	for (size_t g = 0; g < json_array_size(groups); g++) {
		const json_t *group = json_array_get(groups, g);
		struct cert_site site = {.partial = partial, .table = (uint8_t)read_int(r, group, "table", 255)};
		const json_t *list = read_list(r, group, "sites", CERT_MAX_SITES - c->n_sites);

		if (partial)
			site.merge_class = read_class(r, group);
		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *pc = json_array_get(list, i);

			if (!json_is_integer(pc) || json_integer_value(pc) < 0 || json_integer_value(pc) >= VFM_MAX_PROGRAM_BYTES)
				bad(r, "sites", "addresses inside a program");
			site.pc = (uint32_t)json_integer_value(pc);
			c->sites[c->n_sites++] = site;
		}
	}
}

static int by_pc(const void *a, const void *b)
{
	const struct cert_site *x = a, *y = b;

	return (x->pc > y->pc) - (x->pc < y->pc);
}

int cert_decode(const char *json, size_t bytes, struct cert *c, char *why, size_t why_bytes)
{
	struct reader r = {.why = why, .why_bytes = why_bytes};
	json_error_t error;
	json_t *root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &error);
	const char *format;

	memset(c, 0, sizeof(*c));
	if (!root) {
		snprintf(why, why_bytes, "line %d, column %d: not JSON: %s", error.line, error.column, error.text);
		return -EINVAL;
	}
	format = json_string_value(json_object_get(root, "format"));
	if (!format || strcmp(format, CERT_FORMAT))
		bad(&r, "format", CERT_FORMAT);
	if (read_hex(&r, root, "program_sha256", c->program_sha256, 32) != 32)
		bad(&r, "program_sha256", "64 hex digits");
	c->steer_bytes = read_hex(&r, root, "steer", c->steer, CERT_MAX_STEER_BYTES);
	read_guards(&r, root, c);
	read_rows(&r, root, c);
	read_sites(&r, root, "partial", true, c);
	read_sites(&r, root, "config", false, c);
	qsort(c->sites, c->n_sites, sizeof(c->sites[0]), by_pc);
	json_decref(root);
	return r.failed ? -EINVAL : 0;
}

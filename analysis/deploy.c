#include "analysis/deploy.h"

#include "analysis/parts.h"
#include "analysis/spread.h"
#include "analysis/stages.h"
#include "state/mix.h"
#include "vm/file.h"
#include "vm/filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CERTIFICATE_MAX_BYTES (16u << 20)

static int read_certificate(const char *name, struct cert *cert, char why[DEPLOY_WHY_BYTES])
{
	char *text = NULL, reason[256] = "";
	uint32_t n = 0;
	int rc = file_read(name, CERTIFICATE_MAX_BYTES, &text, &n);
	if (rc)
		snprintf(reason, sizeof reason, "%s", strerror(-rc));
	else
		rc = cert_decode(text, n, cert, reason, sizeof reason);
	free(text);
	if (rc)
		snprintf(why, DEPLOY_WHY_BYTES, "%s, %s: make one with vfm-analyze --certificate", reason, name);
	return rc;
}

static uint64_t mix_bytes(uint64_t h, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	for (size_t i = 0; i < n; i++)
		h = mix64(h ^ p[i]) + i;
	return h;
}

static uint64_t mix_preload(uint64_t h, const struct table_file *t)
{
	for (size_t i = 0; i < t->n; i++)
		h = mix64(mix64(mix64(h ^ (t->entries[i].table + 1u)) ^ t->entries[i].key) + t->entries[i].value);
	return h;
}

static uint64_t digest_of(const struct deploy *d)
{
	uint8_t sha256[32];
	uint32_t numbers[3] = {d->plan->shards, d->capacity, d->insn_limit};
	cert_digest_program(d->program, sha256);
	uint64_t h = mix_bytes(1, sha256, sizeof sha256);
	if (d->cert) {
		h = mix_bytes(h, d->cert->steer, d->cert->steer_bytes);
		for (uint32_t i = 0; i < d->cert->n_guards; i++) {
			uint64_t g[4] = {d->cert->guards[i].offset, d->cert->guards[i].bytes * 2u + d->cert->guards[i].equal,
					 d->cert->guards[i].mask, d->cert->guards[i].value};
			h = mix_bytes(h, g, sizeof g);
		}
	}
	h = mix_preload(h, &d->preload);
	if (d->generation)
		h = mix64(h + d->generation);
	return mix_bytes(h, numbers, sizeof numbers);
}

void deploy_set_generation(struct deploy *d, uint64_t generation)
{
	d->generation = generation;
	d->digest = digest_of(d);
}

static struct program_state_options state_options(const struct deploy *d)
{
	return (struct program_state_options){.capacity = d->capacity,
					      .default_capacity = DEPLOY_DEFAULT_CAPACITY,
					      .idle_s = -1,
					      .preload_room = table_file_room(&d->preload),
					      .tracked = true,
					      .shards = d->plan->shards};
}

static int fill(const struct deploy *d, struct shard *s, uint32_t number)
{
	int rc = 0;
	for (size_t i = 0; i < d->preload.n && !rc; i++) {
		const struct table_file_entry *e = &d->preload.entries[i];
		uint32_t index = (uint32_t)d->program->table_index[e->table];
		if (!s->shared[index] && spread_preloads(d->plan, e->table, number))
			rc = shard_preload(s, index, e->key, e->value);
	}
	return rc;
}

struct shard *deploy_shard(const struct deploy *d, uint32_t number, uint64_t layout_seed)
{
	struct program_state_options o = state_options(d);
	o.layout_seed = layout_seed;
	o.configuration = d->configuration;
	struct shard *s = program_shard_new(d->program, &o);
	if (s && fill(d, s, number)) {
		shard_free(s);
		s = NULL;
	}
	return s;
}

static int read_preload(struct deploy *d, const char *name, struct diag_list *diags, char **text, char why[DEPLOY_WHY_BYTES])
{
	char *lines = NULL;
	uint32_t n = 0;
	int rc = file_read(name, TABLE_FILE_MAX_BYTES, &lines, &n);
	if (rc) {
		snprintf(why, DEPLOY_WHY_BYTES, "%s, %s: give a file of lines `table key value`", strerror(-rc), name);
		return rc;
	}
	free(*text);
	*text = lines;
	diag_init(diags, name, lines, n);
	return table_file_parse(&d->preload, d->program, lines, n, diags);
}

/* What the program looks at, and what the guard does: both are run by a shard's owner. */
static int find_readable(struct deploy *d)
{
	struct ir *ir = ir_new(d->program, NULL);
	if (!ir)
		return -ENOMEM;
	d->readable_bytes = readable_find(ir);
	ir_free(ir);
	for (uint32_t i = 0; d->cert && i < d->cert->n_guards; i++) {
		uint32_t end = d->cert->guards[i].offset + d->cert->guards[i].bytes;
		d->readable_bytes = end > d->readable_bytes ? end : d->readable_bytes;
	}
	return 0;
}

int deploy_finish(struct deploy *d, uint32_t shards, const char *where, char why[DEPLOY_WHY_BYTES])
{
	char reason[256] = "";
	int rc = plan_new(d->program, d->cert, shards, 0, &d->plan, reason, sizeof reason);
	if (rc) {
		snprintf(why, DEPLOY_WHY_BYTES, "%s, %s: make a certificate with vfm-analyze --certificate, or use one shard",
			 *reason ? reason : strerror(-rc), d->cert ? where : "the plan");
		return rc;
	}
	rc = parts_check(d->plan, -1, d->insn_limit, &d->preload, why, DEPLOY_WHY_BYTES);
	if (rc)
		return rc;
	rc = find_readable(d);
	if (rc)
		return rc;
	struct program_state_options o = state_options(d);
	d->configuration = program_shard_new(d->program, &o);
	rc = d->configuration ? fill(d, d->configuration, 0) : -errno;
	if (rc)
		snprintf(why, DEPLOY_WHY_BYTES, "%s, the tables: give a smaller --capacity, or preload fewer entries",
			 strerror(-rc));
	else
		d->digest = digest_of(d);
	return rc;
}

static int open_all(struct deploy *d, const struct deploy_options *o, const struct cert *cert, struct diag_list *diags, char **text,
		    char why[DEPLOY_WHY_BYTES])
{
	int rc = 0;
	d->program = o->expression ? filter_expression(o->expression, 0, diags) : filter_read(o->filter, 0, diags, text);
	if (!d->program)
		return -EINVAL;
	if (cert || o->certificate) {
		d->cert = malloc(sizeof *d->cert);
		if (!d->cert)
			return -ENOMEM;
	}
	if (cert)
		*d->cert = *cert;
	else if (o->certificate)
		rc = read_certificate(o->certificate, d->cert, why);
	if (!rc && o->preload)
		rc = read_preload(d, o->preload, diags, text, why);
	return rc ? rc
		  : deploy_finish(d,
				  o->shards ? o->shards
				  : d->cert ? PLAN_DEFAULT_SHARDS
					    : 1,
				  cert ? "the certificate" : o->certificate, why);
}

/* It travels in JSON: plain characters only. */
static void name_plan(struct deploy *d, const char *name)
{
	snprintf(d->name, sizeof d->name, "%s", name);
	for (char *c = d->name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

int deploy_open_with(struct deploy *d, const struct deploy_options *o, const struct cert *cert, struct diag_list *diags,
		     char **text, char why[DEPLOY_WHY_BYTES])
{
	*d = (struct deploy){.capacity = o->capacity, .insn_limit = o->insn_limit};
	name_plan(d, o->expression ? o->expression : o->filter);
	why[0] = 0;
	*text = NULL;
	int rc = open_all(d, o, cert, diags, text, why);
	if (rc)
		deploy_close(d);
	return rc;
}

int deploy_open(struct deploy *d, const struct deploy_options *o, struct diag_list *diags, char **text, char why[DEPLOY_WHY_BYTES])
{
	return deploy_open_with(d, o, NULL, diags, text, why);
}

void deploy_close(struct deploy *d)
{
	shard_free(d->configuration);
	plan_free(d->plan);
	program_free(d->program);
	table_file_fini(&d->preload);
	free(d->cert);
	*d = (struct deploy){0};
}

#include "analysis/deploy.h"

#include "analysis/parts.h"
#include "state/mix.h"
#include "vm/file.h"
#include "vm/filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CERTIFICATE_MAX_BYTES (16u << 20)

static int read_certificate(struct deploy *d, char why[DEPLOY_WHY_BYTES])
{
	char *text = NULL, reason[256] = "";
	uint32_t n = 0;
	int rc = file_read(d->options.certificate, CERTIFICATE_MAX_BYTES, &text, &n);
	if (rc)
		snprintf(reason, sizeof reason, "%s", strerror(-rc));
	d->cert = malloc(sizeof *d->cert);
	if (!rc)
		rc = d->cert ? cert_decode(text, n, d->cert, reason, sizeof reason) : -ENOMEM;
	free(text);
	if (rc)
		snprintf(why, DEPLOY_WHY_BYTES, "%s, %s: make one with vfm-analyze --certificate", reason, d->options.certificate);
	return rc;
}

static uint64_t mix_bytes(uint64_t h, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	for (size_t i = 0; i < n; i++)
		h = mix64(h ^ p[i]) + i;
	return h;
}

static uint64_t digest_of(const struct deploy *d)
{
	uint8_t sha256[32];
	uint32_t numbers[3] = {d->plan->shards, d->options.capacity, d->options.insn_limit};
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
	return mix_bytes(h, numbers, sizeof numbers);
}

int deploy_open(struct deploy *d, const struct deploy_options *o, struct diag_list *diags, char **text, char why[DEPLOY_WHY_BYTES])
{
	char reason[256] = "";
	*d = (struct deploy){.options = *o};
	why[0] = 0;
	*text = NULL;
	d->program = o->expression ? filter_expression(o->expression, 0, diags) : filter_read(o->filter, 0, diags, text);
	if (!d->program)
		return -EINVAL;
	int rc = o->certificate ? read_certificate(d, why) : 0;
	if (!rc) {
		uint32_t shards = o->shards ? o->shards : d->cert ? PLAN_DEFAULT_SHARDS : 1;
		rc = plan_new(d->program, d->cert, shards, 0, &d->plan, reason, sizeof reason);
		if (rc)
			snprintf(why, DEPLOY_WHY_BYTES,
				 "%s, %s: make a certificate with vfm-analyze --certificate, or use one shard",
				 *reason ? reason : strerror(-rc), o->certificate ? o->certificate : "the plan");
		else
			rc = parts_check(d->plan, -1, o->insn_limit, NULL, why, DEPLOY_WHY_BYTES);
	}
	if (rc)
		deploy_close(d);
	else
		d->digest = digest_of(d);
	return rc;
}

void deploy_close(struct deploy *d)
{
	plan_free(d->plan);
	program_free(d->program);
	free(d->cert);
	*d = (struct deploy){0};
}

struct shard *deploy_shard(const struct deploy *d, uint64_t layout_seed)
{
	struct program_state_options o = {.capacity = d->options.capacity,
					  .default_capacity = DEPLOY_DEFAULT_CAPACITY,
					  .idle_s = -1,
					  .layout_seed = layout_seed,
					  .tracked = true,
					  .shards = d->plan->shards};
	return program_shard_new(d->program, &o);
}

#include "node/runner.h"

#include "vm/verdict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLACK_BYTES 64 /* the widest load of compiled code */

int runner_init(struct runner *r, const struct deploy *deploy, enum engine_kind kind)
{
	*r = (struct runner){.deploy = deploy, .slot_bytes = deploy->readable_bytes + SLACK_BYTES};
	r->scratch = calloc(ENGINE_BURST_PACKETS, r->slot_bytes);
	int err = r->scratch ? engine_new(deploy->program, kind, deploy->insn_limit, &r->engine) : -ENOMEM;
	if (err)
		runner_fini(r);
	return err;
}

void runner_fini(struct runner *r)
{
	engine_free(r->engine);
	free(r->scratch);
	*r = (struct runner){.engine = NULL};
}

static struct vfm_packet whole(const struct runner *r, const struct node_packet *p, uint32_t slot)
{
	struct vfm_packet packet = {.data = p->data, .len = p->length, .input = p->input, .time_us = p->time_us};
	uint32_t n = p->carried < r->deploy->readable_bytes ? p->carried : r->deploy->readable_bytes;
	uint8_t *place = r->scratch + (size_t)slot * r->slot_bytes;
	if (p->carried == p->length)
		return packet;
	if (n)
		memcpy(place, p->data, n);
	packet.data = place;
	return packet;
}

static struct verdict verdict_of(const struct vfm_result *r)
{
	return (struct verdict){.value = r->value, .error = (uint8_t)(verdict_error_index(r->error) + 1)};
}

static void run_burst(struct runner *r, struct shard *shard, const struct node_packet *packets, uint32_t n,
		      struct verdict *verdicts)
{
	static const struct vfm_result refused = {.error = VERDICT_ERROR_GUARD};
	struct vfm_packet passed[ENGINE_BURST_PACKETS];
	struct vfm_result got[ENGINE_BURST_PACKETS];
	struct shard *shards[ENGINE_BURST_PACKETS];
	uint32_t slot[ENGINE_BURST_PACKETS], n_passed = 0;
	for (uint32_t i = 0; i < n; i++) {
		passed[n_passed] = whole(r, &packets[i], i);
		verdicts[i] = verdict_of(&refused);
		if (!plan_guard_holds(r->deploy->plan, &passed[n_passed]))
			continue;
		shards[n_passed] = shard;
		slot[n_passed++] = i;
	}
	if (n_passed)
		engine_run(r->engine, shards, passed, n_passed, got);
	for (uint32_t i = 0; i < n_passed; i++)
		verdicts[slot[i]] = verdict_of(&got[i]);
}

void runner_run(struct runner *r, struct shard *shard, const struct node_packet *packets, uint32_t n, struct verdict *verdicts)
{
	for (uint32_t i = 0; i < n; i += ENGINE_BURST_PACKETS)
		run_burst(r, shard, packets + i, n - i < ENGINE_BURST_PACKETS ? n - i : ENGINE_BURST_PACKETS, verdicts + i);
}

/* plan.c: steering packets to shards. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/plan.h"
#include "state/mix.h"
#include "vm/step.h"

static bool shards_possible(uint32_t shards)
{
	return shards && shards <= PLAN_MAX_SHARDS && !(shards & (shards - 1));
}

static int load_steer(struct plan *plan, const struct cert *cert, uint64_t seed)
{
	struct vfm_reject reject;

	plan->cert = malloc(sizeof(*plan->cert));
	plan->owned_pc = calloc(plan->program->len, sizeof(*plan->owned_pc));
	plan->steer_shard = shard_new(0, seed);
	plan->steer = program_new(cert->steer, cert->steer_bytes, 0, &reject);
	plan->steer_code = plan->steer ? interp_new(plan->steer) : NULL;
	if (!plan->cert || !plan->owned_pc || !plan->steer_shard || !plan->steer_code)
		return -ENOMEM;
	memcpy(plan->cert, cert, sizeof(*cert));
	for (uint32_t i = 0; i < plan->program->proof.n; i++) {
		const struct vfm_insn *insn = &plan->program->proof.insns[i];

		plan->owned_pc[insn->pc] = (vfm_ops[insn->op].flags & (VFM_F_READ | VFM_F_UPDATE)) && !cert_site_at(cert, insn->pc);
	}
	return 0;
}

int plan_new(const struct program *p, const struct cert *cert, uint32_t shards, uint64_t seed, struct plan **out, char *why,
	     size_t why_bytes)
{
	struct plan *plan;
	int err = 0;

	if (!shards_possible(shards)) {
		snprintf(why, why_bytes, "%u shards: a power of two from 1 to %u is possible", shards, PLAN_MAX_SHARDS);
		return -EINVAL;
	}
	if (!cert && shards > 1) {
		snprintf(why, why_bytes,
			 "%u shards need a certificate that the program may be split: make one with vfm-analyze --certificate",
			 shards);
		return -EINVAL;
	}
	if (cert)
		err = cert_check(cert, p, why, why_bytes);
	if (err)
		return err;
	plan = calloc(1, sizeof(*plan));
	if (!plan)
		return -ENOMEM;
	plan->program = p;
	plan->shards = shards;
	err = cert ? load_steer(plan, cert, seed) : 0;
	if (err)
		plan_free(plan);
	else
		*out = plan;
	return err;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	interp_free(plan->steer_code);
	program_free(plan->steer);
	shard_free(plan->steer_shard);
	free(plan->owned_pc);
	free(plan->cert);
	free(plan);
}

uint64_t plan_steer(const struct plan *plan, const struct vfm_packet *packet)
{
	struct vfm_packet timeless = *packet;
	struct vfm_result result;

	if (!plan->steer)
		return 0;
	/* The checker has proved that S neither faults nor looks at the clock. */
	timeless.time_us = 0;
	interp_run(plan->steer_code, plan->steer_shard, &timeless, VFM_DEFAULT_INSN_LIMIT, &result);
	return result.value;
}

uint32_t plan_shard_of_key(const struct plan *plan, uint64_t steered)
{
	return (uint32_t)mix64(steered) & (plan->shards - 1);
}

uint32_t plan_shard(const struct plan *plan, const struct vfm_packet *packet)
{
	return plan->shards == 1 ? 0 : plan_shard_of_key(plan, plan_steer(plan, packet));
}

bool plan_guard_holds(const struct plan *plan, const struct vfm_packet *packet)
{
	return !plan->cert || cert_guard_holds(plan->cert, packet->data, packet->len);
}

/* Is the instruction about to run an owned access whose key projects elsewhere? */
static bool breaks_certificate(const struct plan *plan, const struct machine *m, uint64_t steered, uint64_t *key)
{
	const struct program *p = plan->program;
	struct vfm_insn insn;
	uint64_t projected;

	if (m->pc >= p->len || !plan->owned_pc[m->pc])
		return false;
	vfm_decode(p->code, p->len, m->pc, &insn);
	*key = m->stack[m->sp - vfm_ops[insn.op].pops];
	return !cert_project(plan->cert, insn.table, *key, &projected) || projected != steered;
}

int plan_run_paranoid(const struct plan *plan, struct shard *shard, const struct vfm_packet *packet, uint32_t insn_limit,
		      struct vfm_result *result, uint32_t *pc, uint64_t *key)
{
	const struct program *p = plan->program;
	uint64_t steered = plan_steer(plan, packet);
	struct machine m;

	machine_init(&m, p->code, p->len, p->table_index, shard, packet, insn_limit);
	do {
		if (plan->cert && breaks_certificate(plan, &m, steered, key)) {
			*pc = m.pc;
			return -EPROTO;
		}
	} while (machine_step(&m));
	*result = m.result;
	return 0;
}

/* member.c: which configuration a node is in for one shard, what role follows from it, and who handles which message. */
#include "node/member.h"

#include "state/safeguard.h"

#include <stdlib.h>

void member_init(struct member *m, struct member_env *env, uint64_t shard)
{
	*m = (struct member){.env = env, .shard = shard};
	log_init(&m->log, env->limits.log_deltas, env->limits.log_bytes);
}

void member_fini(struct member *m)
{
	feed_end(m);
	sigma_free(m->copy);
	sigma_free(m->building);
	log_fini(&m->log);
}

void member_tell_config(struct member *m, uint64_t to)
{
	const struct config *c = m->pending.epoch ? &m->pending : &m->config;
	struct wire_message msg = {.kind = WIRE_CONFIG};
	if (!c->epoch)
		return;
	config_to_wire(c, &msg.config);
	outbox_send(m->env->out, to, &msg);
}

void member_fault(struct member *m, uint64_t what, uint64_t detail)
{
	struct wire_message msg = {.kind = WIRE_FAULT, .fault = {m->shard, m->config.epoch, what, detail}};
	m->counters.faults++;
	outbox_send(m->env->out, OUTBOX_CONTROLLER, &msg);
}

/* The old owner's last word: it will apply nothing more, and this is where it stands. */
static void hand_over(struct member *m, const struct config *next)
{
	struct wire_message msg = {.kind = WIRE_CONFIG};
	config_to_wire(next, &msg.config);
	outbox_send(m->env->out, next->owner, &msg);
	msg = (struct wire_message){.kind = WIRE_FINAL, .final = {m->shard, m->config.epoch, m->copy->number, m->copy->made_in}};
	outbox_send(m->env->out, next->owner, &msg);
}

/* A copy of an older history is never promoted; the loss was declared, and is counted and reported. */
static void drop_older_history(struct member *m, uint64_t history)
{
	if (m->building && m->building->history != history) {
		sigma_free(m->building);
		m->building = NULL;
	}
	if (m->copy && m->copy->history != history) {
		member_fault(m, WIRE_FAULT_STALE_COPY, m->copy->number);
		m->counters.lost++;
		sigma_free(m->copy);
		m->copy = NULL;
		log_restart(&m->log, 1);
	}
	if (history != m->config.history)
		m->damaged = false;
}

/* The owner without a copy starts empty: so a shard is born, and so a new history begins. Nowhere else can it happen: members are
 * incarnations, a process that lost its memory is named in no configuration, and only whole copies are in sync. */
static bool have_copy(struct member *m)
{
	if (m->copy || m->damaged)
		return m->copy != NULL;
	struct shard *fresh = m->env->ops.shard_new(m->env->ops.ctx, m->shard);
	m->copy = fresh ? sigma_new(fresh, m->config.history) : NULL;
	log_restart(&m->log, 1);
	return m->copy != NULL;
}

static void become_owner(struct member *m, bool continuing, uint64_t now_us)
{
	sigma_free(m->building);
	m->building = NULL;
	if (!m->config.sealed && have_copy(m))
		owner_open(m, continuing, now_us);
}

static void adopt(struct member *m, const struct config *c, uint64_t now_us)
{
	bool was_owner = m->owner.active, is_owner = c->owner == m->env->self;
	bool continuing = was_owner && is_owner && c->history == m->config.history;
	if (was_owner && !is_owner)
		hand_over(m, c);
	if (was_owner && !continuing)
		owner_close(m);
	if (continuing && config_step_of(&m->config, c) == CONFIG_RENEW)
		m->owner.n_wanted = m->owner.wants_known = 0; /* what was asked for is refused: wait to be told what is wanted */
	drop_older_history(m, c->history);
	m->config = *c;
	m->pending.epoch = 0;
	m->heard_us = now_us;
	m->heard_number = 0;
	if (is_owner)
		become_owner(m, continuing, now_us);
	else if (m->copy && config_in_sync(c, m->env->self))
		replica_greet(m);
}

static bool final_matches(const struct member *m)
{
	return m->final.epoch == m->config.epoch && m->copy && m->copy->number == m->final.number &&
	       m->copy->made_in == m->final.made_in;
}

/* A successor whose predecessor stays in sync goes on taking its deltas for a moment: it spares the predecessor a snapshot. */
static bool should_wait(const struct member *m, const struct config *c)
{
	return m->config.epoch && m->copy && c->owner == m->env->self && m->config.owner != m->env->self &&
	       c->history == m->config.history && config_in_sync(c, m->config.owner) && !final_matches(m);
}

static void configure(struct member *m, const struct wire_config *w, uint64_t from, uint64_t now_us)
{
	struct config c;
	if (config_from_wire(w, &c))
		return;
	if (c.epoch < m->config.epoch || c.epoch < m->pending.epoch) {
		if (c.epoch < m->config.epoch)
			member_tell_config(m, from);
		return;
	}
	if (c.epoch == m->config.epoch || c.epoch == m->pending.epoch)
		return;
	if (should_wait(m, &c)) {
		if (!m->pending.epoch)
			m->pending_until_us = now_us + m->env->limits.handover_us;
		m->pending = c;
		return;
	}
	adopt(m, &c, now_us);
}

static void take_final(struct member *m, const struct wire_final *f, uint64_t now_us)
{
	m->final = *f;
	if (m->pending.epoch && final_matches(m)) {
		struct config c = m->pending;
		adopt(m, &c, now_us);
	}
}

static void owner_message(struct member *m, const struct wire_message *msg, uint64_t now_us)
{
	switch (msg->kind) {
	case WIRE_WORK:
		owner_work(m, &msg->work, msg->from, now_us);
		break;
	case WIRE_RESUME:
		owner_resume(m, &msg->resume, msg->from, now_us);
		break;
	case WIRE_RETIRE:
		owner_retire(m, &msg->retire, now_us);
		break;
	case WIRE_WANT:
		feed_want(m, &msg->want, now_us);
		break;
	case WIRE_HAVE:
		feed_have(m, &msg->have, msg->from, now_us);
		break;
	case WIRE_PULL:
		feed_pull(m, &msg->pull, msg->from, now_us);
		break;
	default:
		break;
	}
}

void member_message(struct member *m, const struct wire_message *msg, uint64_t now_us)
{
	switch (msg->kind) {
	case WIRE_CONFIG:
		configure(m, &msg->config, msg->from, now_us);
		break;
	case WIRE_FINAL:
		take_final(m, &msg->final, now_us);
		break;
	case WIRE_SYNC:
		replica_sync(m, &msg->sync, msg->from, now_us);
		break;
	case WIRE_DELTA:
		replica_delta(m, &msg->delta, msg->from, now_us);
		break;
	case WIRE_CHUNK:
		replica_chunk(m, &msg->chunk, msg->from, now_us);
		break;
	case WIRE_WORK:
	case WIRE_RESUME:
		if (!m->owner.active) {
			m->counters.refused_old++;
			if (msg->kind == WIRE_RESUME && msg->resume.epoch > m->config.epoch)
				owner_hold(m, &msg->resume, msg->from);
			member_tell_config(m, msg->from);
			break;
		}
		owner_message(m, msg, now_us);
		break;
	default:
		if (m->owner.active)
			owner_message(m, msg, now_us);
		break;
	}
}

/* A copy that the owner may have asked to be put in sync in this very epoch is never forgotten. */
static void forget_unneeded(struct member *m, uint64_t now_us)
{
	if (m->said_epoch >= m->config.epoch || config_member(&m->config, m->env->self) || !m->config.n_in_sync ||
	    now_us - m->heard_us < m->env->limits.forget_us)
		return;
	sigma_free(m->copy);
	sigma_free(m->building);
	m->copy = m->building = NULL;
	log_restart(&m->log, 1);
}

void member_tick(struct member *m, uint64_t now_us)
{
	if (m->pending.epoch && now_us >= m->pending_until_us) {
		struct config c = m->pending;
		adopt(m, &c, now_us);
	}
	if (m->owner.active) {
		owner_commit(m, now_us);
		feed_tick(m, now_us);
	} else if (m->copy || m->building) {
		replica_tick(m, now_us);
		forget_unneeded(m, now_us);
	} else if (m->config.owner == m->env->self && !m->config.sealed) {
		become_owner(m, false, now_us);
	}
}

bool member_busy(const struct member *m)
{
	return m->pending.epoch || m->owner.active || m->building || (m->copy && !config_member(&m->config, m->env->self)) ||
	       m->config.owner == m->env->self;
}

void member_gone(struct member *m, uint64_t who, uint64_t now_us)
{
	if (m->owner.active)
		feed_gone(m, who);
	if (m->pending.epoch && m->config.owner == who) {
		struct config c = m->pending;
		adopt(m, &c, now_us);
	}
}

/* replica.c: holding a copy of a shard: taking deltas in order, saying what one has, and being filled by a snapshot. */
#include "node/member.h"

#include "state/safeguard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The fence: a frame of an older epoch is refused, and answered with the newest configuration, verbatim. A frame of a newer epoch
 * is answered with what is known here, so that its sender passes the newer configuration on. */
static bool takes(struct member *m, uint64_t epoch, uint64_t number, uint64_t from, uint64_t now_us)
{
	if (!SAFEGUARD(FENCE) && epoch < m->config.epoch)
		return true;
	if (epoch != m->config.epoch) {
		m->counters.fenced += epoch < m->config.epoch;
		member_tell_config(m, from);
		return false;
	}
	if (m->config.owner != from || from == m->env->self)
		return false;
	m->heard_us = now_us;
	if (number > m->heard_number)
		m->heard_number = number;
	return true;
}

/* Says what the whole copy is. The owner counts it as an acknowledgement where the lineages agree. */
static void say_have(struct member *m, uint64_t epoch, uint64_t to, bool gap)
{
	struct wire_message msg = {.kind = WIRE_HAVE, .have = {.shard = m->shard, .epoch = epoch, .gap = gap}};
	if (m->copy) {
		msg.have.history = m->copy->history;
		msg.have.number = m->copy->number;
		msg.have.made_in = m->copy->made_in;
	}
	m->said_epoch = epoch > m->said_epoch ? epoch : m->said_epoch;
	outbox_send(m->env->out, to, &msg);
}

/* From here on frames of older epochs are refused: whatever the new owner needs to know before it opens is said. */
void replica_greet(struct member *m)
{
	say_have(m, m->config.epoch, m->config.owner, false);
}

static void pull(struct member *m, bool again, uint64_t now_us)
{
	struct wire_message msg = {.kind = WIRE_PULL,
				   .pull = {.shard = m->shard,
					    .epoch = m->config.epoch,
					    .begun = m->building != NULL,
					    .cursor = m->building_cursor,
					    .again = again,
					    .credit = m->env->limits.credit}};
	if (m->building) {
		msg.pull.number = m->building->number;
		msg.pull.made_in = m->building->made_in;
	}
	m->pulled_us = now_us;
	outbox_send(m->env->out, m->config.owner, &msg);
}

static void drop_building(struct member *m)
{
	sigma_free(m->building);
	m->building = NULL;
	m->building_cursor = 0;
}

static void drop_copy(struct member *m)
{
	sigma_free(m->copy);
	m->copy = NULL;
	log_restart(&m->log, 1);
}

/* A copy that cannot be trusted is no copy: the owner will send a snapshot. Until then this node must not open as owner. */
static void give_up_copy(struct member *m, uint64_t what, uint64_t number)
{
	member_fault(m, what, number);
	drop_copy(m);
	m->damaged = true;
}

/* Nothing has come for so long that something must be lost: chunks of other shards may be before this one's. */
static bool stalls(const struct member *m, uint64_t now_us)
{
	return now_us - m->pulled_us >= 4 * m->env->limits.repeat_us;
}

void replica_sync(struct member *m, const struct wire_sync *s, uint64_t from, uint64_t now_us)
{
	if (!takes(m, s->epoch, s->number, from, now_us))
		return;
	if (m->copy && m->copy->number == s->number && m->copy->made_in == s->made_in && m->copy->history == s->history &&
	    sigma_digest(m->copy) != s->digest) {
		give_up_copy(m, WIRE_FAULT_DIGEST, s->number);
	}
	say_have(m, s->epoch, from, m->copy && m->copy->number < s->number);
	if (m->building && stalls(m, now_us))
		pull(m, true, now_us);
}

/* An unfinished copy's digest says nothing yet. */
static int apply(struct sigma *to, const struct wire_delta *d, bool whole)
{
	struct wire_message body;
	int err = wire_decode(d->body.p, d->body.n, &body);
	if (err || body.kind != WIRE_CHANGES)
		return -EPROTO;
	err = delta_apply(to, d->made_in, &body.changes);
	return err || !whole ? err : sigma_digest(to) == body.changes.digest ? 0 : -EILSEQ;
}

static void remember(struct member *m, const struct wire_delta *d)
{
	struct wire_message body;
	uint8_t *bytes = malloc(d->body.n);
	if (!bytes || wire_decode(d->body.p, d->body.n, &body)) {
		free(bytes);
		log_restart(&m->log, d->number + 1);
		return;
	}
	memcpy(bytes, d->body.p, d->body.n);
	log_append(&m->log, (struct log_entry){d->made_in, body.changes.stream, body.changes.session, body.changes.position, bytes,
					       d->body.n});
}

static bool follows(const struct sigma *s, const struct wire_delta *d)
{
	return s && s->history == d->history && s->number + 1 == d->number && s->made_in == d->before;
}

static void delta_to_building(struct member *m, const struct wire_delta *d, uint64_t now_us)
{
	if (follows(m->building, d)) {
		if (apply(m->building, d, false)) {
			member_fault(m, WIRE_FAULT_CHANGE, d->number);
			drop_building(m);
			pull(m, true, now_us);
		}
	} else if (d->number > m->building->number && now_us - m->pulled_us >= m->env->limits.repeat_us) {
		pull(m, true, now_us);
	}
}

void replica_delta(struct member *m, const struct wire_delta *d, uint64_t from, uint64_t now_us)
{
	if (!takes(m, d->epoch, d->number, from, now_us))
		return;
	if (m->building)
		delta_to_building(m, d, now_us);
	if (!follows(m->copy, d)) {
		if (!m->building)
			say_have(m, d->epoch, from, m->copy && d->number > m->copy->number);
		return;
	}
	drop_building(m); /* the whole copy is being fed: no second one is needed */
	int err = apply(m->copy, d, true);
	if (err == 0) {
		remember(m, d);
	} else if (err != -EPROTO) {
		give_up_copy(m, err == -EILSEQ ? WIRE_FAULT_DIGEST : WIRE_FAULT_CHANGE, d->number);
	}
	say_have(m, d->epoch, from, false);
}

/* A late chunk of a snapshot that the copy has left behind: taking it would take back what is acknowledged. The copy is on the
 * owner's lineage if it has the chunk's number in it and is not ahead of all that the owner has said in this epoch: what the owner
 * makes in this epoch comes here in frames of this epoch, and its base was said with the epoch's first frames. A copy that is ahead
 * is an old owner's, and has to go back. */
static bool left_behind(const struct member *m, const struct wire_chunk *c)
{
	return m->copy && c->number <= m->copy->number && sigma_made_in(m->copy, c->number) == c->made_in &&
	       m->copy->number <= m->heard_number;
}

/* A second copy begins, as the header says; the old one stays whole and promotable until this one is. */
static bool begin_building(struct member *m, const struct wire_chunk *c)
{
	struct wire_message record;
	struct shard *fresh;
	if ((m->building && m->building->number != c->instead) || left_behind(m, c))
		return false;
	if (wire_decode(c->sigma.p, c->sigma.n, &record) || record.kind != WIRE_SIGMA || record.sigma.number != c->number ||
	    record.sigma.made_in != c->made_in || record.sigma.history != m->config.history)
		return false;
	drop_building(m);
	if (!SAFEGUARD(SECOND_COPY))
		drop_copy(m);
	fresh = m->env->ops.shard_new(m->env->ops.ctx, m->shard);
	m->building = fresh ? sigma_new(fresh, m->config.history) : NULL;
	if (!m->building)
		return false;
	sigma_clear_tables(m->building);
	if (snapshot_restore(m->building, &record.sigma)) {
		drop_building(m);
		return false;
	}
	m->counters.snapshots_taken++;
	return true;
}

/* The second copy is whole: if it is what the owner says it is, it replaces the first. */
static void finish_building(struct member *m, uint64_t digest)
{
	if (sigma_digest(m->building) != digest) {
		member_fault(m, WIRE_FAULT_DIGEST, m->building->number);
		drop_building(m);
		return;
	}
	for (uint32_t i = 0; i < m->building->shard->n_tables; i++)
		if (m->building->shard->tables[i] && !m->building->shard->shared[i])
			table_settle(m->building->shard->tables[i], m->building->shard->now_s);
	drop_copy(m);
	m->damaged = false;
	m->copy = m->building;
	m->building = NULL;
	m->building_cursor = 0;
	log_restart(&m->log, m->copy->number + 1);
}

static bool chunk_fits(const struct member *m, const struct wire_chunk *c)
{
	return m->building && c->from == m->building_cursor && c->number == m->building->number &&
	       c->made_in == m->building->made_in;
}

void replica_chunk(struct member *m, const struct wire_chunk *c, uint64_t from, uint64_t now_us)
{
	struct wire_message body;
	if (!takes(m, c->epoch, c->number, from, now_us))
		return;
	if (c->sigma.n && !begin_building(m, c))
		return;
	if (!chunk_fits(m, c) || wire_decode(c->body.p, c->body.n, &body) || body.kind != WIRE_CHANGES) {
		if (m->building && now_us - m->pulled_us >= m->env->limits.repeat_us)
			pull(m, true, now_us);
		return;
	}
	if (delta_put_entries(m->building, &body.changes)) {
		member_fault(m, WIRE_FAULT_CHANGE, c->number);
		drop_building(m);
		return;
	}
	if (c->last) {
		finish_building(m, c->digest);
		say_have(m, c->epoch, from, false);
		return;
	}
	m->building_cursor = c->to + 1;
	pull(m, false, now_us);
}

void replica_tick(struct member *m, uint64_t now_us)
{
	if (m->building && m->config.owner != m->env->self && stalls(m, now_us))
		pull(m, true, now_us);
}

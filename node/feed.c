/* feed.c: the owner's side of replication: who holds which delta, what to send next, whom to wait for, whom to ask for. */
#include "node/member.h"

#include "state/safeguard.h"

#include <stdlib.h>
#include <string.h>

/* Whether a commit waits for this peer. */
static bool counts(const struct peer *p)
{
	return p->state == PEER_IN_SYNC || (SAFEGUARD(WAIT) && p->state != PEER_LEARNER);
}

struct peer *feed_peer(struct member *m, uint64_t id)
{
	for (uint32_t i = 0; i < m->owner.n_peers; i++)
		if (m->owner.peers[i].id == id)
			return &m->owner.peers[i];
	return NULL;
}

bool feed_acknowledged(const struct member *m, uint64_t *number)
{
	*number = m->copy->number;
	for (uint32_t i = 0; i < m->owner.n_peers; i++) {
		const struct peer *p = &m->owner.peers[i];
		if (!counts(p))
			continue;
		if (!p->known)
			return false;
		if (p->acked < *number)
			*number = p->acked;
	}
	return true;
}

bool feed_has_room(const struct member *m)
{
	return log_has_room(&m->log, m->owner.committed + 1);
}

/* ---- frames ---- */

static void send_sync(struct member *m, struct peer *p, uint64_t now_us)
{
	struct wire_message msg = {
		.kind = WIRE_SYNC,
		.sync = {m->shard, m->config.history, m->config.epoch, m->copy->number, m->copy->made_in, sigma_digest(m->copy)}};
	if (!p->known)
		member_tell_config(m, p->id);
	p->sent_us = now_us;
	outbox_send(m->env->out, p->id, &msg);
}

static void send_delta(struct member *m, struct peer *p, const struct log_entry *e, uint64_t number)
{
	const struct log_entry *before = log_at(&m->log, number - 1);
	struct wire_message msg = {.kind = WIRE_DELTA,
				   .delta = {m->shard,
					     m->config.history,
					     m->config.epoch,
					     number,
					     e->made_in,
					     before ? before->made_in : sigma_made_in(m->copy, number - 1),
					     {e->body, e->bytes}}};
	m->counters.deltas_sent++;
	m->counters.delta_bytes_sent += e->bytes;
	outbox_send(m->env->out, p->id, &msg);
}

static void ask(struct member *m, unsigned op, uint64_t who)
{
	struct wire_message msg = {.kind = WIRE_ASK, .ask = {m->shard, m->config.epoch, op, who}};
	outbox_send(m->env->out, OUTBOX_CONTROLLER, &msg);
}

/* ---- snapshots ---- */

static void snapshot_stop(struct member *m, struct peer *p)
{
	if (!p->snap.active)
		return;
	snapshot_end(&p->snap.walk);
	memset(&p->snap, 0, sizeof p->snap);
	m->env->n_snapshots--;
}

/* (Re)starts from the beginning, in place of the unfinished copy that stands at `instead`. */
static void snapshot_start(struct member *m, struct peer *p, uint64_t instead, uint64_t now_us)
{
	p->snap.waits = !p->snap.active && m->env->n_snapshots >= m->env->limits.snapshots;
	if (p->snap.waits)
		return;
	snapshot_stop(m, p);
	p->snap.active = true;
	p->snap.instead = instead;
	p->snap.restarted_us = p->snap.heard_us = now_us;
	m->env->n_snapshots++;
	m->counters.snapshots_begun++;
}

static bool walk(struct member *m, struct peer *p)
{
	snapshot_end(&p->snap.walk);
	return snapshot_begin(&p->snap.walk, m->copy) == 0;
}

/* Encodes a record into scratch memory at the end of the outbox's frame: records are small enough to be built twice. */
static int64_t encode_record(const struct wire_message *record, uint8_t **bytes)
{
	size_t room = wire_bound(record);
	*bytes = malloc(room);
	return *bytes ? wire_encode(record, *bytes, room) : -1;
}

static bool send_chunk(struct member *m, struct peer *p)
{
	struct wire_message body = {.kind = WIRE_CHANGES}, sigma = {.kind = WIRE_SIGMA}, msg = {.kind = WIRE_CHUNK};
	uint8_t *body_bytes = NULL, *sigma_bytes = NULL;
	int64_t n_body, n_sigma = 0;
	uint64_t to;
	if (snapshot_chunk(&p->snap.walk, m->copy, p->snap.cursor, m->env->limits.chunk_entries, &m->env->columns, &body.changes,
			   &to))
		return false;
	n_body = encode_record(&body, &body_bytes);
	if (!p->snap.header_sent) {
		snapshot_describe(m->copy, m->env->snapshot_columns, &sigma.sigma);
		n_sigma = encode_record(&sigma, &sigma_bytes);
	}
	if (n_body < 0 || n_sigma < 0)
		goto out;
	msg.chunk = (struct wire_chunk){m->shard,
					m->config.epoch,
					m->copy->number,
					m->copy->made_in,
					p->snap.instead,
					p->snap.cursor,
					to,
					to == UINT64_MAX,
					sigma_digest(m->copy),
					{sigma_bytes, (uint32_t)n_sigma},
					{body_bytes, (uint32_t)n_body}};
	outbox_send(m->env->out, p->id, &msg);
	p->snap.header_sent = true;
	p->snap.flying[p->snap.n_flying++] = p->snap.cursor;
	p->snap.all_sent = to == UINT64_MAX;
	p->snap.cursor = to == UINT64_MAX ? to : to + 1;
	m->counters.chunks_sent++;
	m->counters.chunk_entries_sent += body.changes.table.n;
	m->counters.chunk_bytes_sent += (uint64_t)n_body + (uint64_t)n_sigma;
out:
	free(body_bytes);
	free(sigma_bytes);
	return n_body >= 0 && n_sigma >= 0;
}

/* Sends what the peer may have next: deltas in order, and between them chunks, within its credit. */
static void feed(struct member *m, struct peer *p, uint64_t now_us)
{
	if (!p->known && !p->snap.active)
		return;
	if (p->snap.active && !p->snap.header_sent) {
		/* The walk lists the keys of this very moment: what is inserted later is in the deltas that follow. */
		if (!walk(m, p))
			return;
		p->next = m->copy->number + 1;
		p->snap.number = m->copy->number;
	}
	uint64_t stands = p->snap.active ? p->snap.number : p->acked;
	while (p->next <= m->copy->number && p->next - stands <= m->env->limits.log_deltas) {
		const struct log_entry *e = log_at(&m->log, p->next);
		if (!e) {
			snapshot_start(m, p, p->snap.active ? p->snap.number : 0, now_us);
			return;
		}
		send_delta(m, p, e, p->next++);
	}
	while (p->snap.active && !p->snap.all_sent && p->next > m->copy->number && p->snap.n_flying < m->env->limits.credit)
		if (!send_chunk(m, p))
			return;
}

void feed_all(struct member *m, uint64_t now_us)
{
	for (uint32_t i = 0; i < m->owner.n_peers; i++) {
		struct peer *p = &m->owner.peers[i];
		if (p->known && p->acked + 1 == m->copy->number && !p->snap.active)
			p->heard_us = p->sent_us = now_us; /* from now on it owes an answer */
		feed(m, p, now_us);
	}
}

/* ---- the peers of an epoch ---- */

static struct peer *add_peer(struct member *m, uint64_t id, enum peer_state state, uint64_t now_us)
{
	struct owner *o = &m->owner;
	if (o->n_peers == MEMBER_MAX_PEERS)
		return NULL;
	struct peer *p = &o->peers[o->n_peers++];
	*p = (struct peer){.id = id, .state = state, .next = m->copy->number + 1, .heard_us = now_us};
	return p;
}

static void drop_peer(struct member *m, struct peer *p)
{
	snapshot_stop(m, p);
	*p = m->owner.peers[--m->owner.n_peers];
}

static bool wanted(const struct owner *o, uint64_t id)
{
	for (uint32_t i = 0; i < o->n_wanted; i++)
		if (o->wanted[i] == id)
			return true;
	return false;
}

void feed_begin(struct member *m, bool continuing, uint64_t now_us)
{
	struct owner *o = &m->owner;
	(void)continuing; /* a new owner's list is empty */
	for (uint32_t i = o->n_peers; i-- > 0;) {
		struct peer *p = &o->peers[i];
		bool in_sync = config_in_sync(&m->config, p->id);
		if (!in_sync && !wanted(o, p->id)) {
			drop_peer(m, p);
			continue;
		}
		p->state = in_sync ? PEER_IN_SYNC : PEER_LEARNER;
		p->known = false;
		p->acked = 0;
		p->heard_us = now_us;
	}
	for (uint32_t i = 0; i < m->config.n_in_sync; i++)
		if (!feed_peer(m, m->config.in_sync[i]))
			add_peer(m, m->config.in_sync[i], PEER_IN_SYNC, now_us);
	for (uint32_t i = 0; i < o->n_peers; i++)
		send_sync(m, &o->peers[i], now_us);
}

void feed_end(struct member *m)
{
	while (m->owner.n_peers)
		drop_peer(m, &m->owner.peers[0]);
}

void feed_want(struct member *m, const struct wire_want *w, uint64_t now_us)
{
	struct owner *o = &m->owner;
	if (w->epoch != m->config.epoch)
		return;
	o->wants_known = true;
	o->n_wanted = w->members.n;
	for (uint32_t i = 0; i < w->members.n; i++)
		o->wanted[i] = wire_c64(w->members, i);
	for (uint32_t i = o->n_peers; i-- > 0;) {
		struct peer *p = &o->peers[i];
		if (!wanted(o, p->id) && (p->state == PEER_LEARNER || p->state == PEER_WAITED))
			drop_peer(m, p);
	}
	for (uint32_t i = 0; i < o->n_wanted; i++) {
		if (o->wanted[i] == m->env->self || feed_peer(m, o->wanted[i]))
			continue;
		struct peer *p = add_peer(m, o->wanted[i], PEER_LEARNER, now_us);
		if (p)
			send_sync(m, p, now_us);
	}
	owner_commit(m, now_us); /* perhaps nobody is waited for any more */
}

void feed_gone(struct member *m, uint64_t who)
{
	struct peer *p = feed_peer(m, who);
	if (p)
		p->gone = true;
}

/* ---- answers ---- */

/* A learner that is close is waited for; when it has all that was applied when the wait began, it is asked for. After that only a
 * newer configuration ends the wait: the controller may act on the request at any time. */
static void consider_adding(struct member *m, struct peer *p)
{
	if (p->state == PEER_LEARNER && m->copy->number - p->acked <= m->env->limits.lag) {
		p->state = PEER_WAITED;
		p->wait_from = m->copy->number;
	}
	if (p->state == PEER_WAITED && m->owner.opened && p->acked >= p->wait_from && p->acked >= m->owner.base) {
		p->state = PEER_ASKED;
		ask(m, 1, p->id);
	}
}

/* The first chunk was lost, so the peer has not begun to pull; or the peer has given its unfinished copy up and waits: one that builds
 * repeats PULL. */
static bool snapshot_unheard(const struct member *m, const struct peer *p, uint64_t now_us)
{
	uint64_t patience_us = (p->snap.pulled ? 16 : 4) * m->env->limits.repeat_us;
	return p->snap.active && now_us - p->snap.heard_us >= patience_us;
}

static void acknowledged(struct member *m, struct peer *p, uint64_t number, bool gap, uint64_t now_us)
{
	bool first = !p->known;
	if (p->snap.active) {
		if (!log_at(&m->log, number + 1) && number < m->copy->number) {
			/* The old copy of a learner that needs a snapshot. */
			if (snapshot_unheard(m, p, now_us)) {
				snapshot_start(m, p, 0, now_us);
				feed(m, p, now_us);
			}
			return;
		}
		snapshot_stop(m, p);
		first = true;
	}
	p->known = true;
	p->snap.waits = false;
	if (number > p->acked)
		p->acked = number;
	if (first || p->next <= p->acked || (gap && now_us - p->resent_us >= m->env->limits.repeat_us)) {
		if (p->next > number + 1) {
			m->counters.deltas_resent += p->next - number - 1;
			p->resent_us = now_us;
		}
		p->next = number + 1;
	}
	feed(m, p, now_us);
	consider_adding(m, p);
	owner_commit(m, now_us);
}

void feed_have(struct member *m, const struct wire_have *h, uint64_t from, uint64_t now_us)
{
	struct peer *p = feed_peer(m, from);
	if (!p || h->epoch != m->config.epoch)
		return;
	p->heard_us = now_us;
	p->gone = false;
	bool same =
		h->history == m->config.history && h->number <= m->copy->number && sigma_made_in(m->copy, h->number) == h->made_in;
	if (!SAFEGUARD(LINEAGE) && h->history == m->config.history) {
		acknowledged(m, p, h->number < m->copy->number ? h->number : m->copy->number, h->gap, now_us);
		return;
	}
	if (same) {
		acknowledged(m, p, h->number, h->gap, now_us);
	} else if (!p->snap.active || snapshot_unheard(m, p, now_us)) {
		snapshot_start(m, p, 0, now_us);
		feed(m, p, now_us);
	}
}

/* Whether the unfinished copy can go on from where it says it stands. */
static bool resumable(const struct member *m, const struct wire_pull *p)
{
	return p->begun && p->number <= m->copy->number && sigma_made_in(m->copy, p->number) == p->made_in &&
	       (p->number == m->copy->number || log_at(&m->log, p->number + 1));
}

static void take_progress(struct peer *p, const struct wire_pull *w, bool again)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < p->snap.n_flying; i++)
		if (p->snap.flying[i] >= w->cursor && !again)
			p->snap.flying[kept++] = p->snap.flying[i];
	p->snap.n_flying = kept;
	if (w->number > p->snap.number)
		p->snap.number = w->number;
	if (again || p->snap.cursor < w->cursor) {
		p->snap.cursor = w->cursor;
		p->snap.all_sent = false;
		p->snap.number = w->number;
		p->next = w->number + 1;
	}
}

void feed_pull(struct member *m, const struct wire_pull *w, uint64_t from, uint64_t now_us)
{
	struct peer *p = feed_peer(m, from);
	if (!p || w->epoch != m->config.epoch)
		return;
	p->heard_us = now_us;
	p->gone = false;
	if (!p->snap.active && p->known)
		return; /* its whole copy is good: a late PULL */
	bool again = w->again, goes_on = resumable(m, w);
	if (!p->snap.active || !goes_on) {
		if (p->snap.active && now_us - p->snap.restarted_us < m->env->limits.repeat_us)
			return;
		snapshot_start(m, p, w->begun ? w->number : 0, now_us);
		if (!p->snap.active)
			return;
		p->snap.header_sent = again = goes_on && walk(m, p); /* another walk goes on where the first one was */
		goes_on = again;
	}
	p->snap.pulled = true;
	p->snap.heard_us = now_us;
	if (goes_on)
		take_progress(p, w, again);
	feed(m, p, now_us);
}

/* ---- time ---- */

/* An in-sync replica that placement no longer wants leaves only when everyone it wants is in sync. */
static bool surplus(const struct member *m, const struct peer *p)
{
	const struct owner *o = &m->owner;
	if (!o->wants_known || p->state != PEER_IN_SYNC || wanted(o, p->id))
		return false;
	for (uint32_t i = 0; i < o->n_wanted; i++)
		if (o->wanted[i] != m->env->self && !config_in_sync(&m->config, o->wanted[i]))
			return false;
	return true;
}

/* Returns false if the peer was dropped. */
static bool tick_peer(struct member *m, struct peer *p, uint64_t now_us)
{
	const struct member_limits *l = &m->env->limits;
	bool owes = !p->known || p->acked < m->copy->number || p->snap.active;
	if (!owes)
		p->heard_us = now_us;
	if (p->snap.waits && m->env->n_snapshots < m->env->limits.snapshots) {
		snapshot_start(m, p, 0, now_us);
		feed(m, p, now_us);
	}
	bool silent = p->gone || now_us - p->heard_us > l->silent_us;
	if (silent && (p->state == PEER_LEARNER || p->state == PEER_WAITED)) {
		drop_peer(m, p);
		return false;
	}
	if (now_us - p->sent_us < l->repeat_us)
		return true;
	if (owes)
		send_sync(m, p, now_us);
	if (p->known)
		consider_adding(m, p); /* the epoch may have opened since its last answer */
	if (p->state == PEER_ASKED)
		ask(m, 1, p->id);
	else if (p->state == PEER_IN_SYNC && (silent || surplus(m, p)))
		ask(m, 2, p->id);
	p->sent_us = now_us;
	feed(m, p, now_us);
	return true;
}

void feed_forgive(struct member *m, uint64_t gap_us, uint64_t now_us)
{
	for (uint32_t i = 0; i < m->owner.n_peers; i++) {
		struct peer *p = &m->owner.peers[i];
		p->heard_us = now_us - p->heard_us > gap_us ? p->heard_us + gap_us : now_us;
	}
}

void feed_tick(struct member *m, uint64_t now_us)
{
	for (uint32_t i = m->owner.n_peers; i-- > 0;)
		tick_peer(m, &m->owner.peers[i], now_us);
	owner_commit(m, now_us);
}

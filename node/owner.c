/* owner.c: executing packets in sequence, making deltas, committing, and telling steerers. */
#include "node/member.h"

#include "state/safeguard.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FULL_REPEAT_US 10000000 /* between two complaints of a stream without room */

/* ---- what steerers are told; all of it ends at the committed number (invariant I4) ---- */

static uint64_t tellable(const struct member *m, uint32_t index)
{
	uint64_t position = m->copy->streams[index].position;
	uint64_t committed = m->owner.streams[index].committed;
	return !SAFEGUARD(CUT) || committed > position ? position : committed;
}

/* Verdicts first .. last of a stream into the scratch columns, their history indexes as runs. Returns how many; the tail below acked
 * is gone. */
static uint32_t gather_verdicts(struct member *m, const struct sigma_stream *st, uint64_t *first, uint64_t last, uint32_t *runs)
{
	struct snapshot_columns *c = m->env->snapshot_columns;
	uint32_t n = 0;
	*runs = 0;
	if (*first <= st->acked)
		*first = st->acked + 1;
	for (uint64_t k = *first; k <= last; k++, n++) {
		struct verdict v = sigma_verdict(st, k);
		c->verdict[n] = v.value;
		c->error[n] = v.error;
		if (*runs && c->index[*runs - 1] + c->run_n[*runs - 1] == v.index) {
			c->run_n[*runs - 1]++;
		} else {
			c->index[*runs] = v.index;
			c->run_n[(*runs)++] = 1;
		}
	}
	return n;
}

static void tell_verdicts(struct member *m, uint32_t index, uint64_t first, uint64_t last, uint64_t now_us)
{
	const struct sigma_stream *st = &m->copy->streams[index];
	const struct owner_stream *os = &m->owner.streams[index];
	if (!os->steerer || st->retired)
		return;
	uint32_t runs, n = gather_verdicts(m, st, &first, last, &runs);
	struct wire_message msg = {.kind = WIRE_VERDICTS,
				   .verdicts = {.shard = m->shard,
						.history = m->config.history,
						.epoch = m->config.epoch,
						.stream = st->id,
						.session = st->session,
						.committed = os->committed,
						.first = first,
						.value = wire_column(m->env->snapshot_columns->verdict, n),
						.error = wire_column(m->env->snapshot_columns->error, n),
						.run_at = wire_column(m->env->snapshot_columns->index, runs),
						.run_n = wire_column(m->env->snapshot_columns->run_n, runs)}};
	if (!m->counters.first_verdict_us && n)
		m->counters.first_verdict_us = now_us;
	outbox_send(m->env->out, os->steerer, &msg);
}

static void tell_position(struct member *m, uint32_t index)
{
	const struct sigma_stream *st = &m->copy->streams[index];
	const struct owner_stream *os = &m->owner.streams[index];
	uint64_t first = st->acked + 1, last = tellable(m, index);
	uint32_t runs, n = gather_verdicts(m, st, &first, last, &runs);
	struct wire_message msg = {.kind = WIRE_POSITION,
				   .position = {.shard = m->shard,
						.history = m->config.history,
						.epoch = m->config.epoch,
						.stream = st->id,
						.session = st->session,
						.committed = last,
						.applied = st->position,
						.first = first,
						.value = wire_column(m->env->snapshot_columns->verdict, n),
						.error = wire_column(m->env->snapshot_columns->error, n),
						.run_at = wire_column(m->env->snapshot_columns->index, runs),
						.run_n = wire_column(m->env->snapshot_columns->run_n, runs)}};
	outbox_send(m->env->out, os->steerer, &msg);
}

/* ---- epochs and commits ---- */

/* A new owner begins with nothing but the steerers that already wait for it. */
static void keep_held(struct owner *o)
{
	struct wire_resume held[WIRE_MAX_STREAMS];
	uint64_t from[WIRE_MAX_STREAMS];
	uint32_t n = o->n_held;
	memcpy(held, o->held, sizeof held);
	memcpy(from, o->held_from, sizeof from);
	*o = (struct owner){.n_held = n};
	memcpy(o->held, held, sizeof held);
	memcpy(o->held_from, from, sizeof from);
}

void owner_open(struct member *m, bool continuing, uint64_t now_us)
{
	struct owner *o = &m->owner;
	if (!continuing) {
		keep_held(o);
		o->active = true;
		for (uint32_t i = 0; i < m->copy->n_streams; i++)
			o->streams[i].committed = m->copy->streams[i].position;
		m->counters.first_verdict_us = 0;
	}
	o->base = m->copy->number;
	m->counters.opened_us = now_us;
	feed_begin(m, continuing, now_us);
	if (!continuing && !SAFEGUARD(SYNC)) {
		o->opened = true;
		o->committed = o->base;
	}
	owner_commit(m, now_us);
}

void owner_close(struct member *m)
{
	feed_end(m);
	m->owner = (struct owner){0};
}

static void answer_held(struct member *m, uint64_t now_us)
{
	struct owner *o = &m->owner;
	uint32_t n = o->n_held;
	o->n_held = 0;
	for (uint32_t i = 0; i < n; i++)
		owner_resume(m, &o->held[i], o->held_from[i], now_us);
}

/* Every stream's committed position after delta `number`; true if this moved it forward. */
static void commit_delta(struct member *m, uint64_t number, bool moved[WIRE_MAX_STREAMS])
{
	const struct log_entry *e = log_at(&m->log, number);
	struct sigma_stream *st = e ? sigma_stream(m->copy, e->stream) : NULL;
	if (!st || st->session != e->session)
		return;
	uint32_t index = (uint32_t)(st - m->copy->streams);
	m->owner.streams[index].committed = e->position;
	moved[index] = true;
}

void owner_commit(struct member *m, uint64_t now_us)
{
	struct owner *o = &m->owner;
	uint64_t n, before[WIRE_MAX_STREAMS];
	bool moved[WIRE_MAX_STREAMS] = {false}, opens = !o->opened;
	if (!feed_acknowledged(m, &n) || (opens && n < o->base))
		return;
	if (opens) {
		o->opened = true;
		if (o->committed < o->base)
			o->committed = o->base;
		m->counters.opened++;
	}
	for (uint32_t i = 0; i < m->copy->n_streams; i++)
		before[i] = o->streams[i].committed;
	while (o->committed < n)
		commit_delta(m, ++o->committed, moved);
	for (uint32_t i = 0; i < m->copy->n_streams; i++)
		if (moved[i])
			tell_verdicts(m, i, before[i] + 1, tellable(m, i), now_us);
	if (opens)
		answer_held(m, now_us);
}

/* Makes a delta of what has just happened, keeps it, sends it, and commits if nobody is to be waited for. A state whose change could
 * not be written down cannot be replicated: the copy is given up and the fault reported; a replica takes over. */
static void publish(struct member *m, enum delta_op op, struct sigma_stream *st, uint32_t n_verdicts, uint64_t now_us)
{
	struct wire_message msg = {.kind = WIRE_CHANGES};
	int64_t n = delta_make(m->copy, m->config.epoch, op, st, n_verdicts, &m->env->columns, &msg.changes);
	size_t room = n ? 0 : wire_bound(&msg);
	uint8_t *body = room ? malloc(room) : NULL;
	if (body)
		n = wire_encode(&msg, body, room);
	if (!body || n < 0 ||
	    log_append(&m->log, (struct log_entry){m->config.epoch, st->id, st->session, st->position, body, (uint32_t)n})) {
		if (n < 0)
			free(body);
		member_fault(m, WIRE_FAULT_CHANGE, m->copy->number);
		owner_close(m);
		sigma_free(m->copy);
		m->copy = NULL;
		m->damaged = true;
		return;
	}
	feed_all(m, now_us);
	owner_commit(m, now_us);
}

/* ---- packets ---- */

static uint32_t registered(const struct member *m)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < m->copy->n_streams; i++)
		n += !m->copy->streams[i].retired;
	return n;
}

/* Early release is sound only where re-execution in a new owner must give the same: one stream, and its steerer survives us. */
static bool early(const struct member *m, uint32_t index)
{
	if (!SAFEGUARD(HOLD))
		return true;
	if (m->env->release != RELEASE_EARLY)
		return false;
	if (!SAFEGUARD(SINGLE))
		return true;
	return !m->owner.late && registered(m) == 1 && m->owner.streams[index].steerer != m->env->self;
}

static bool work_legal(const struct member *m, const struct wire_work *w)
{
	uint32_t n = w->length.n;
	uint64_t bytes = 0;
	if (!n || !w->first || w->time_us.n != n || w->input.n != n || w->carried.n != n)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t length = wire_c32(w->length, i), carried = wire_c32(w->carried, i);
		if (length > UINT16_MAX || carried > length || (carried < length && carried < m->env->readable_bytes))
			return false; /* the program may read them */
		bytes += carried;
	}
	return bytes == w->data.n;
}

/* Executes packets skip .. skip + n - 1 of w. The tail has room for their verdicts: state and position must not part. */
static void execute(struct member *m, struct sigma_stream *st, const struct wire_work *w, uint32_t skip, uint32_t n)
{
	struct node_packet p[WIRE_MAX_BURST];
	struct verdict v[WIRE_MAX_BURST];
	const uint8_t *data = w->data.p;
	for (uint32_t i = 0; i < skip + n; i++) {
		uint32_t carried = wire_c32(w->carried, i);
		if (i >= skip)
			p[i - skip] = (struct node_packet){wire_c64(w->time_us, i), wire_c32(w->input, i), wire_c32(w->length, i),
							   carried, data};
		data += carried;
	}
	m->env->ops.execute(m->env->ops.ctx, m->shard, m->copy->shard, p, n, v);
	for (uint32_t i = 0; i < n; i++) {
		int err = sigma_push(m->copy, st, v[i]);
		assert(!err);
		(void)err;
	}
}

static void apply_work(struct member *m, struct sigma_stream *st, const struct wire_work *w, uint64_t now_us)
{
	uint32_t index = (uint32_t)(st - m->copy->streams), skip = (uint32_t)(st->position + 1 - w->first);
	uint64_t before = st->position, acked = w->acked > st->acked ? w->acked : st->acked;
	uint64_t held = acked < before ? before - acked : 0;
	uint32_t n = w->length.n - skip;
	if (!feed_has_room(m) || SIGMA_MAX_TAIL - held < n || sigma_reserve(st, n)) {
		m->counters.refused_full++;
		return;
	}
	sigma_ack(m->copy, st, w->acked);
	execute(m, st, w, skip, n);
	publish(m, DELTA_PACKETS, st, n, now_us);
	if (m->owner.active && early(m, index) && m->owner.streams[index].committed < st->position)
		tell_verdicts(m, index, before + 1, st->position, now_us);
}

void owner_work(struct member *m, const struct wire_work *w, uint64_t from, uint64_t now_us)
{
	struct sigma_stream *st = sigma_stream(m->copy, w->stream);
	if (w->history != m->config.history) {
		member_tell_config(m, from);
		return;
	}
	if (!st || st->retired || st->session != w->session || !work_legal(m, w)) {
		m->counters.refused_old++;
		return;
	}
	uint32_t index = (uint32_t)(st - m->copy->streams);
	if (!m->owner.streams[index].steerer)
		return; /* it has not resumed in this epoch, and will */
	uint64_t last = w->first + w->length.n - 1;
	if (w->first > st->position + 1) {
		m->counters.gaps++;
		tell_position(m, index);
	} else if (last <= st->position) {
		uint64_t told = tellable(m, index);
		tell_verdicts(m, index, w->first, last < told ? last : told, now_us);
	} else {
		apply_work(m, st, w, now_us);
	}
}

/* ---- streams ---- */

/* A RESUME that comes before its epoch is answered when the epoch opens here. */
void owner_hold(struct member *m, const struct wire_resume *r, uint64_t from)
{
	struct owner *o = &m->owner;
	uint32_t i = 0;
	while (i < o->n_held && o->held[i].stream != r->stream)
		i++;
	if (i == WIRE_MAX_STREAMS)
		return;
	if (i == o->n_held)
		o->n_held++;
	o->held[i] = *r;
	o->held_from[i] = from;
}

/* A second stream ends early release. It is admitted only when everything that the first one's steerer has released is committed:
 * otherwise a later owner could put the second stream's packets before packets whose verdicts are out. */
static bool may_admit(struct member *m, uint64_t stream)
{
	struct owner *o = &m->owner;
	int other = -1;
	if (m->env->release != RELEASE_EARLY || !SAFEGUARD(SINGLE) || registered(m) != 1)
		return true;
	for (uint32_t i = 0; i < m->copy->n_streams; i++)
		if (!m->copy->streams[i].retired && m->copy->streams[i].id != stream)
			other = (int)i;
	if (other < 0)
		return true;
	if (!o->late) {
		o->late = true;
		o->late_from = m->copy->number;
	}
	return o->streams[other].steerer && o->committed >= o->late_from &&
	       o->streams[other].committed >= o->streams[other].released;
}

/* The stream waits, and asks again and again: the operator has to say which of the others are over. Once for all shards of the node, as
 * they have the same streams. */
static void tell_full(struct member *m, uint64_t stream, uint64_t now_us)
{
	if (m->env->full_told_us && now_us - m->env->full_told_us < FULL_REPEAT_US)
		return;
	m->env->full_told_us = now_us;
	member_fault(m, WIRE_FAULT_STREAMS, stream);
}

/* Registers the session; false: not now, or never. */
static bool admit(struct member *m, const struct wire_resume *r, uint64_t now_us)
{
	int err = 0;
	struct sigma_stream *st = sigma_stream(m->copy, r->stream);
	if (st && st->session == r->session && !st->retired)
		return true;
	if (!r->first || !may_admit(m, r->stream) || !feed_has_room(m) ||
	    (err = sigma_admit(m->copy, r->stream, r->session, r->fresh, r->first - 1))) {
		m->counters.refused_old++;
		if (err == -ENOSPC)
			tell_full(m, r->stream, now_us);
		return false;
	}
	bool anew = !st || r->fresh;
	st = sigma_stream(m->copy, r->stream);
	uint32_t index = (uint32_t)(st - m->copy->streams);
	if (anew)
		m->owner.streams[index].committed = st->position;
	m->owner.streams[index].steerer = 0;
	publish(m, DELTA_ADMIT, st, 0, now_us);
	return m->owner.active;
}

void owner_resume(struct member *m, const struct wire_resume *r, uint64_t from, uint64_t now_us)
{
	if (r->history != m->config.history || r->epoch != m->config.epoch) {
		if (r->epoch > m->config.epoch)
			owner_hold(m, r, from);
		member_tell_config(m, from);
		return;
	}
	if (!m->owner.opened) {
		owner_hold(m, r, from);
		return;
	}
	if (!admit(m, r, now_us))
		return;
	uint32_t index = (uint32_t)(sigma_stream(m->copy, r->stream) - m->copy->streams);
	m->owner.streams[index].steerer = from;
	m->owner.streams[index].released = r->released;
	tell_position(m, index);
}

static bool is_over(const struct sigma_stream *st, const struct wire_retire *r)
{
	for (uint32_t i = 0; i < r->incarnation.n; i++)
		if (st->session == wire_c64(r->incarnation, i))
			return !st->retired;
	return false;
}

void owner_retire(struct member *m, const struct wire_retire *r, uint64_t now_us)
{
	for (uint32_t i = 0; m->owner.opened && i < m->copy->n_streams && feed_has_room(m); i++) {
		struct sigma_stream *st = &m->copy->streams[i];
		if (!is_over(st, r))
			continue;
		sigma_retire(m->copy, st);
		m->owner.streams[i] = (struct owner_stream){0};
		publish(m, DELTA_RETIRE, st, 0, now_us);
	}
}

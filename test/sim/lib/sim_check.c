/* sim_check.c: the invariants of docs/protocol.md, looked at after every event. */
#include "test/sim/lib/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;
	if (s->failed)
		return;
	s->failed = true;
	int n = snprintf(s->why, sizeof s->why, "at %" PRIu64 " us: ", s->now);
	va_start(args, format);
	vsnprintf(s->why + n, sizeof s->why - (size_t)n, format, args);
	va_end(args);
}

/* ---- what was made ---- */

static struct sim_delta *delta_place(struct sim *s, uint64_t shard, uint64_t made_in, uint64_t number)
{
	uint64_t h = (number * 0x9e3779b97f4a7c15u) ^ (made_in * 0xc2b2ae3d27d4eb4fu) ^ (shard * 0x165667b19e3779f9u);
	h ^= h >> 29;
	for (;; h++) {
		struct sim_delta *d = &s->deltas[h & (4 * SIM_MAX_DELTAS - 1)];
		if (!d->number || (d->shard == shard && d->made_in == made_in && d->number == number))
			return d;
	}
}

/* Deltas made in the same event before the last one: admissions, without packets. */
static void file_silent(struct sim *s, const struct sim_proc *p, uint32_t shard)
{
	const struct sigma *c = p->node.members[shard].copy;
	for (uint64_t k = c->number - 1; k && sigma_made_in(c, k) == c->made_in; k--) {
		struct sim_delta *d = delta_place(s, shard, c->made_in, k);
		if (d->number)
			return;
		*d = (struct sim_delta){.shard = shard, .made_in = c->made_in, .number = k};
		s->n_deltas++;
	}
}

/* I5: equal lineage, equal state. Also files what an owner has just made. */
static void check_lineage(struct sim *s, struct sim_proc *p, uint32_t shard)
{
	struct member *m = &p->node.members[shard];
	struct sigma *c = m->copy;
	if (!c || !c->number || (p->seen_number[shard] == c->number && p->seen_made_in[shard] == c->made_in))
		return;
	bool made_here = m->owner.active && c->made_in == m->config.epoch;
	p->seen_number[shard] = c->number;
	p->seen_made_in[shard] = c->made_in;
	if (made_here)
		file_silent(s, p, shard);
	struct sim_delta *d = delta_place(s, shard, c->made_in, c->number);
	uint64_t digest = sigma_digest_full(c);
	if (sigma_digest(c) != digest)
		sim_fail(s, "digest kept up to date differs from the one from scratch: shard %u, %s, delta %" PRIu64, shard,
			 p->name, c->number);
	if (d->number && !d->digest)
		d->digest = digest;
	if (d->number) {
		if (d->digest != digest)
			sim_fail(s, "I5: shard %u, %s: equal lineage (epoch %" PRIu64 ", number %" PRIu64 "), other state", shard,
				 p->name, c->made_in, c->number);
		return;
	}
	if (s->n_deltas >= 2 * SIM_MAX_DELTAS) {
		sim_fail(s, "too many deltas for the simulator's table");
		return;
	}
	s->n_deltas++;
	*d = (struct sim_delta){.shard = shard,
				.made_in = c->made_in,
				.number = c->number,
				.before = sigma_made_in(c, c->number - 1),
				.digest = digest,
				.by_owner = made_here};
	if (!made_here || p->executed_shard != shard)
		return;
	for (uint32_t i = 0; i < p->n_executed && i < SIM_DELTA_PKTS; i++) {
		d->packets[i].stream = p->executed[i].stream;
		d->packets[i].index = p->executed[i].index;
		d->packets[i].verdict = p->executed[i].verdict;
		d->n++;
	}
}

/* ---- what was committed ---- */

static struct sim_history *history_of(struct sim *s, uint32_t shard, uint64_t history)
{
	struct sim_shard *h = &s->shards[shard];
	for (uint32_t i = 0; i < h->n_histories; i++)
		if (h->histories[i]->history == history)
			return h->histories[i];
	if (h->n_histories == SIM_MAX_HISTORY)
		return NULL;
	struct sim_history *x = calloc(1, sizeof *x);
	if (x) {
		x->history = history;
		h->histories[h->n_histories++] = x;
	}
	return x;
}

/* I2: once per history, in order per stream. I3: a released verdict is the history's. */
static void commit_packets(struct sim *s, uint32_t shard, struct sim_history *h, const struct sim_delta *d)
{
	for (uint32_t i = 0; i < d->n; i++) {
		uint32_t k = d->packets[i].stream;
		struct sim_packet *p = &s->streams[k].packets[d->packets[i].index];
		if (h->started[k] && p->seq != h->position[k] + 1)
			sim_fail(s, "I2: shard %u: packet %" PRIu64 " of stream %u committed after %" PRIu64, shard, p->seq, k,
				 h->position[k]);
		h->started[k] = true;
		h->position[k] = p->seq;
		s->floors.committed++;
		h->packets++;
		if (h->history < p->committed_in)
			continue; /* by an old owner that does not know of the loss: what steerers go by is the newer commit */
		p->committed_in = h->history;
		p->committed = d->packets[i].verdict;
		p->committed.index = h->packets;
		if (p->released && p->released_in == h->history &&
		    (p->verdict.value != p->committed.value || p->verdict.error != p->committed.error ||
		     p->verdict.index != p->committed.index))
			sim_fail(s,
				 "I3: shard %u: packet %" PRIu64 " of stream %u was released with another verdict than committed",
				 shard, p->seq, k);
	}
}

static void commit_number(struct sim *s, struct sim_proc *p, uint32_t shard, struct sim_history *h, uint64_t number)
{
	uint64_t made_in = sigma_made_in(p->node.members[shard].copy, number);
	if (number <= h->n) {
		if (h->made_in[number - 1] != made_in)
			sim_fail(s,
				 "I1: shard %u: %s commits delta %" PRIu64 " made in epoch %" PRIu64
				 ", already committed is one of epoch %" PRIu64,
				 shard, p->name, number, made_in, h->made_in[number - 1]);
		return;
	}
	const struct sim_delta *d = delta_place(s, shard, made_in, number);
	if (!d->number || h->n == SIM_MAX_DELTAS) {
		sim_fail(s, "shard %u: %s commits delta %" PRIu64 " of epoch %" PRIu64 ", which nobody has made", shard, p->name,
			 number, made_in);
		return;
	}
	h->made_in[h->n++] = made_in;
	commit_packets(s, shard, h, d);
}

/* I1, the other half: an owner of an older epoch commits nothing that the newest owner does not have. */
static void check_against_newest(struct sim *s, struct sim_proc *p, uint32_t shard, uint64_t committed)
{
	const struct sim_shard *h = &s->shards[shard];
	const struct member *m = &p->node.members[shard];
	if (m->config.epoch >= h->newest_active || m->config.history != h->newest_history)
		return;
	if (committed > h->base || (committed && h->base_made_in[committed - 1] != sigma_made_in(m->copy, committed)))
		sim_fail(s,
			 "I1: shard %u: %s commits delta %" PRIu64 " in epoch %" PRIu64 ", epoch %" PRIu64 " has opened without it",
			 shard, p->name, committed, m->config.epoch, h->newest_active);
}

static void check_commit(struct sim *s, struct sim_proc *p, uint32_t shard)
{
	struct member *m = &p->node.members[shard];
	if (!m->owner.active || !m->copy)
		return;
	uint64_t from = p->committed_epoch[shard] == m->config.epoch ? p->seen_committed[shard] : 0, to = m->owner.committed;
	if (p->committed_epoch[shard] == m->config.epoch && to < from)
		sim_fail(s, "shard %u: %s: the committed number goes back", shard, p->name);
	p->committed_epoch[shard] = m->config.epoch;
	p->seen_committed[shard] = to;
	struct sim_history *h = to > from ? history_of(s, shard, m->config.history) : NULL;
	if (!h)
		return;
	check_against_newest(s, p, shard, to);
	for (uint64_t k = from + 1; k <= to && !s->failed; k++)
		commit_number(s, p, shard, h, k);
}

/* I1: whoever opens an epoch has all that was committed in that history. */
static void check_opening(struct sim *s, struct sim_proc *p, uint32_t shard)
{
	struct member *m = &p->node.members[shard];
	struct sim_shard *h = &s->shards[shard];
	if (!m->owner.active || !m->copy || (p->was_active[shard] && p->active_epoch[shard] == m->config.epoch)) {
		p->was_active[shard] = m->owner.active;
		return;
	}
	p->was_active[shard] = true;
	p->active_epoch[shard] = m->config.epoch;
	if (m->config.epoch <= h->newest_active)
		return;
	h->newest_active = m->config.epoch;
	h->newest_history = m->config.history;
	h->base = m->copy->number < SIM_MAX_DELTAS ? m->copy->number : SIM_MAX_DELTAS;
	for (uint64_t k = 1; k <= h->base; k++)
		h->base_made_in[k - 1] = sigma_made_in(m->copy, k);
	struct sim_history *c = history_of(s, shard, m->config.history);
	for (uint32_t k = 1; c && k <= c->n; k++)
		if (k > h->base || h->base_made_in[k - 1] != c->made_in[k - 1]) {
			sim_fail(s, "I1: shard %u: %s opens epoch %" PRIu64 " without committed delta %u", shard, p->name,
				 m->config.epoch, k);
			return;
		}
}

/* ---- bounds and epochs ---- */

static void check_bounds(struct sim *s, struct sim_proc *p, uint32_t shard)
{
	const struct member *m = &p->node.members[shard];
	if (m->config.epoch < p->epochs[shard])
		sim_fail(s, "I6: shard %u: %s goes back from epoch %" PRIu64 " to %" PRIu64, shard, p->name, p->epochs[shard],
			 m->config.epoch);
	p->epochs[shard] = m->config.epoch;
	if (m->log.n > m->log.max_deltas || m->owner.n_peers > MEMBER_MAX_PEERS)
		sim_fail(s, "I8: shard %u: %s: log or peers out of bounds", shard, p->name);
	if (m->counters.faults)
		sim_fail(s, "shard %u: %s: a replica saw a difference at equal lineage, or a delta that does not fit", shard,
			 p->name);
}

void sim_check_proc(struct sim *s, struct sim_proc *p)
{
	for (uint32_t i = 0; i < s->n_shards && !s->failed; i++) {
		struct member *m = &p->node.members[i];
		if (m->counters.lost)
			m->counters.faults -= m->counters.lost, m->counters.lost = 0; /* declared, not a fault of the protocol */
		check_bounds(s, p, i);
		check_opening(s, p, i);
		check_lineage(s, p, i);
		check_commit(s, p, i);
	}
	p->n_executed = 0;
	if (p->has_steerer && p->steerer.end - p->steerer.first > p->steerer.options.window)
		sim_fail(s, "I8: %s holds more packets than its window", p->name);
}

/* I4 on the wire: no frame tells a verdict that is not committed (release early may). */
void sim_check_frame(struct sim *s, const struct sim_proc *from, const uint8_t *frame, uint32_t bytes)
{
	struct wire_message m;
	if (s->release == RELEASE_EARLY || wire_decode(frame, bytes, &m) || (m.kind != WIRE_VERDICTS && m.kind != WIRE_POSITION))
		return;
	uint64_t shard = m.kind == WIRE_VERDICTS ? m.verdicts.shard : m.position.shard;
	uint64_t stream = (m.kind == WIRE_VERDICTS ? m.verdicts.stream : m.position.stream) - 1;
	uint64_t first = m.kind == WIRE_VERDICTS ? m.verdicts.first : m.position.first;
	uint32_t n = m.kind == WIRE_VERDICTS ? m.verdicts.value.n : m.position.value.n;
	for (uint32_t i = 0; n && i < s->streams[stream].n; i++) {
		const struct sim_packet *p = &s->streams[stream].packets[i];
		if (p->shard == shard && p->seq >= first && p->seq < first + n && !p->committed_in)
			sim_fail(s, "I4: shard %" PRIu64 ": %s tells the verdict of packet %" PRIu64 " before it is committed",
				 shard, from->name, p->seq);
	}
}

/* ---- releases ---- */

static void check_release(struct sim *s, const struct steerer_release *r, struct sim_packet *p, uint32_t stream, uint64_t history)
{
	if (p->shard != r->shard || p->seq != r->seq)
		sim_fail(s, "stream %u: packet %" PRIu64 " is released as another", stream, r->index);
	if (p->released)
		sim_fail(s, "I3: stream %u: packet %" PRIu64 " is released twice", stream, r->index);
	if (p->committed_in == history && (p->committed.value != r->verdict.value || p->committed.error != r->verdict.error))
		sim_fail(s, "I3: stream %u: packet %" PRIu64 " is released with another verdict than committed", stream, r->index);
	if (p->committed_in == history && p->committed.index != r->verdict.index)
		sim_fail(s,
			 "stream %u: packet %" PRIu64 " is told to stand at %" PRIu64
			 " of its history, where it stands at %" PRIu64,
			 stream, r->index, r->verdict.index, p->committed.index);
	if (s->release != RELEASE_EARLY && p->committed_in != history)
		sim_fail(s, "I4: stream %u: packet %" PRIu64 " is released before it is committed", stream, r->index);
	if (history < s->shards[p->shard].newest_history)
		sim_fail(s, "I3: stream %u: packet %" PRIu64 " is released with a verdict of a lost history", stream, r->index);
}

void sim_release(struct sim *s, struct sim_proc *p)
{
	struct steerer_release r;
	if (!p->has_steerer)
		return;
	struct sim_stream *st = &s->streams[p->stream];
	while (steerer_next(&p->steerer, &r, s->now)) {
		struct sim_packet *q = &st->packets[r.index];
		uint64_t history = p->steerer.shards[r.shard].config.history;
		check_release(s, &r, q, p->stream, history);
		if (q->committed_in != history)
			s->floors.early++;
		q->released = true;
		q->released_in = history;
		q->verdict = r.verdict;
	}
	if (rng_chance(&s->rng, 20)) { /* the journal is written now and then */
		st->durable = steerer_settled(&p->steerer);
		steerer_durable(&p->steerer, st->durable);
	}
}

/* ---- the end: a single instance ---- */

static const struct sim_proc *owner_at_end(struct sim *s, uint32_t shard)
{
	for (uint32_t i = 0; i < s->n_procs; i++) {
		const struct sim_proc *p = &s->procs[i];
		if (p->alive && p->role != SIM_CONTROLLER && p->node.members[shard].owner.active &&
		    p->node.members[shard].config.epoch == s->shards[shard].newest_active)
			return p;
	}
	return NULL;
}

/* Replays what was committed in the shard's last history on one fresh shard. */
static void replay(struct sim *s, uint32_t shard)
{
	const struct sim_proc *p = owner_at_end(s, shard);
	if (!p) {
		sim_fail(s, "shard %u has no owner at the end", shard);
		return;
	}
	struct sigma *copy = p->node.members[shard].copy;
	const struct sim_history *h = history_of(s, shard, copy->history);
	struct shard *single = sim_shard_new(NULL, shard);
	if (!h || h->n != copy->number)
		sim_fail(s, "shard %u: %" PRIu64 " deltas at the end, %u committed", shard, copy->number, h ? h->n : 0);
	for (uint32_t k = 1; h && single && k <= h->n && !s->failed; k++) {
		const struct sim_delta *d = delta_place(s, shard, h->made_in[k - 1], k);
		for (uint32_t i = 0; i < d->n; i++) {
			uint32_t id[2] = {d->packets[i].stream, d->packets[i].index};
			struct node_packet packet = {s->streams[id[0]].packets[id[1]].time_us, 0, 8, 8, (const uint8_t *)id};
			struct verdict v;
			sim_filter(s, single, &packet, &v);
			if (v.value != d->packets[i].verdict.value || v.error != d->packets[i].verdict.error)
				sim_fail(s, "E1: shard %u: a single instance has another verdict for packet %u of stream %u", shard,
					 id[1], id[0]);
		}
	}
	if (single && shard_digest(single) != shard_digest(copy->shard))
		sim_fail(s, "E1: shard %u: the tables differ from a single instance's", shard);
	shard_free(single);
}

/* Exactly once. Released early in a history that was lost before the commit: counted by the steerer, and allowed. */
static void check_packet_at_end(struct sim *s, uint32_t stream, uint32_t index)
{
	const struct sim_packet *p = &s->streams[stream].packets[index];
	bool lost = s->release == RELEASE_EARLY && p->released && p->released_in < s->shards[p->shard].newest_history;
	if (!p->released || (!p->committed_in && !lost))
		sim_fail(s, "packet %u of stream %u was not %s", index, stream, p->released ? "committed" : "released");
}

void sim_check_end(struct sim *s)
{
	for (uint32_t k = 0; k < s->n_streams; k++)
		for (uint32_t i = 0; i < s->streams[k].n; i++)
			check_packet_at_end(s, k, i);
	for (uint32_t i = 0; i < s->n_shards && !s->failed; i++)
		replay(s, i);
}

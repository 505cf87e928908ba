#include "node/steerer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_SLOT UINT32_MAX

static struct steerer_slot *slot_of(const struct steerer *s, uint64_t index)
{
	return &s->slots[index & (s->options.window - 1)];
}

int steerer_init(struct steerer *s, const struct steerer_options *o, struct outbox *out)
{
	*s = (struct steerer){.options = *o, .out = out};
	if (!o->n_shards || o->n_shards > WIRE_MAX_SHARDS || !o->window || (o->window & (o->window - 1)) || !o->shard_window ||
	    o->shard_window > SIGMA_MAX_TAIL || !o->burst || o->burst > WIRE_MAX_BURST || !o->flying)
		return -EINVAL;
	s->shards = calloc(o->n_shards, sizeof *s->shards);
	s->slots = calloc(o->window, sizeof *s->slots);
	s->time_us = calloc(o->burst, sizeof *s->time_us);
	s->input = calloc(3 * (size_t)o->burst, sizeof *s->input);
	if (!s->shards || !s->slots || !s->time_us || !s->input) {
		steerer_fini(s);
		return -ENOMEM;
	}
	s->length = s->input + o->burst;
	s->carried = s->length + o->burst;
	for (uint32_t i = 0; i < o->n_shards; i++)
		s->shards[i].head = s->shards[i].tail = NO_SLOT;
	return 0;
}

void steerer_fini(struct steerer *s)
{
	for (uint32_t i = 0; s->slots && i < s->options.window; i++)
		free(s->slots[i].buffer);
	free(s->shards);
	free(s->slots);
	free(s->time_us);
	free(s->input);
	free(s->data);
	*s = (struct steerer){0};
}

void steerer_skip(struct steerer *s, uint32_t shard)
{
	struct steer_shard *h = &s->shards[shard];
	h->last++;
	h->sent = h->known = h->acked = h->last;
	s->first = s->release = s->flushed = ++s->end;
}

bool steerer_has_room(const struct steerer *s, uint32_t shard)
{
	const struct steer_shard *h = &s->shards[shard];
	return s->flying < s->options.flying && s->end - s->first < s->options.window &&
	       h->last - h->acked < s->options.shard_window;
}

static int keep_bytes(struct steerer_slot *slot, const struct node_packet *p, uint32_t bytes)
{
	if (bytes > slot->room) {
		uint32_t room = slot->room ? slot->room : 128;
		while (room < bytes)
			room *= 2;
		uint8_t *grown = realloc(slot->buffer, room);
		if (!grown)
			return -ENOMEM;
		slot->buffer = grown;
		slot->room = room;
	}
	if (bytes)
		memcpy(slot->buffer, p->data, bytes);
	slot->packet = *p;
	slot->packet.data = slot->buffer;
	return 0;
}

static void append(struct steerer *s, struct steer_shard *h, uint32_t number)
{
	s->slots[number].next = NO_SLOT;
	if (h->head == NO_SLOT)
		h->head = number;
	else
		s->slots[h->tail].next = number;
	h->tail = number;
}

int steerer_packet(struct steerer *s, uint32_t shard, const struct node_packet *p, uint64_t now_us)
{
	struct steer_shard *h = &s->shards[shard];
	struct steerer_slot *slot = slot_of(s, s->end);
	uint32_t number = (uint32_t)(s->end & (s->options.window - 1));
	if (!steerer_has_room(s, shard))
		return -EAGAIN;
	if (keep_bytes(slot, p, s->options.whole ? p->length : p->carried))
		return -ENOMEM;
	slot->seq = ++h->last;
	slot->shard = shard;
	slot->settled = slot->released = slot->committed = false;
	slot->arrived_us = now_us;
	if (h->head == NO_SLOT)
		h->progress_us = h->served_us = now_us;
	append(s, h, number);
	s->end++;
	s->counters.packets++;
	return 0;
}

/* ---- sending ---- */

static bool add_to_work(struct steerer *s, const struct steerer_slot *slot, uint32_t i, uint32_t *bytes)
{
	size_t need = (size_t)*bytes + slot->packet.carried;
	if (need > WIRE_MAX_BODY)
		return false;
	if (need > s->data_room) {
		uint8_t *grown = realloc(s->data, 2 * need);
		if (!grown)
			return false;
		s->data = grown;
		s->data_room = 2 * need;
	}
	if (slot->packet.carried)
		memcpy(s->data + *bytes, slot->packet.data, slot->packet.carried);
	s->time_us[i] = slot->packet.time_us;
	s->input[i] = slot->packet.input;
	s->length[i] = slot->packet.length;
	s->carried[i] = slot->packet.carried;
	*bytes = (uint32_t)need;
	return true;
}

static void send_work(struct steerer *s, uint32_t shard, uint64_t first, uint32_t n, uint32_t bytes)
{
	struct steer_shard *h = &s->shards[shard];
	struct wire_message msg = {.kind = WIRE_WORK,
				   .work = {.shard = shard,
					    .history = h->config.history,
					    .stream = s->options.stream,
					    .session = s->options.session,
					    .first = first,
					    .acked = h->acked,
					    .time_us = wire_column(s->time_us, n),
					    .input = wire_column(s->input, n),
					    .length = wire_column(s->length, n),
					    .carried = wire_column(s->carried, n),
					    .data = {s->data, bytes}}};
	outbox_send(s->out, h->config.owner, &msg);
}

/* What was sent before an owner has said where it stands is lost, or is sent again. */
static void land(struct steerer *s, struct steer_shard *h)
{
	s->flying -= h->flying;
	h->flying = 0;
}

/* Everything above h->sent, in order, a burst at a time. */
static void send_unsent(struct steerer *s, uint32_t shard)
{
	struct steer_shard *h = &s->shards[shard];
	uint32_t n = 0, bytes = 0;
	uint64_t first = 0;
	for (uint32_t at = h->head; at != NO_SLOT; at = s->slots[at].next) {
		struct steerer_slot *slot = &s->slots[at];
		if (slot->seq <= h->sent)
			continue;
		if (!n)
			first = slot->seq;
		if (!add_to_work(s, slot, n, &bytes))
			break;
		h->sent = slot->seq;
		h->flying += !slot->settled;
		s->flying += !slot->settled;
		if (++n == s->options.burst) {
			send_work(s, shard, first, n, bytes);
			n = bytes = 0;
		}
	}
	if (n)
		send_work(s, shard, first, n, bytes);
}

void steerer_flush(struct steerer *s)
{
	for (; s->flushed < s->end; s->flushed++) {
		uint32_t shard = slot_of(s, s->flushed)->shard;
		if (s->shards[shard].state == STEER_OPEN && s->shards[shard].sent < s->shards[shard].last)
			send_unsent(s, shard);
	}
}

static void resume(struct steerer *s, uint32_t shard, uint64_t now_us)
{
	struct steer_shard *h = &s->shards[shard];
	uint64_t first = h->head == NO_SLOT ? h->last + 1 : s->slots[h->head].seq;
	struct wire_message msg = {.kind = WIRE_RESUME,
				   .resume = {.shard = shard,
					      .history = h->config.history,
					      .epoch = h->config.epoch,
					      .stream = s->options.stream,
					      .session = s->options.session,
					      .fresh = s->options.fresh,
					      .first = first,
					      .acked = h->acked,
					      .released = h->known}};
	h->progress_us = now_us;
	s->counters.resumes++;
	outbox_send(s->out, h->config.owner, &msg);
}

/* ---- configurations ---- */

/* What went out under a history that is lost stays out, but nothing remembers it any more: say so. */
static void report_lost(struct steerer *s, uint32_t shard)
{
	struct steer_shard *h = &s->shards[shard];
	struct wire_message msg = {.kind = WIRE_FAULT,
				   .fault = {shard, h->config.epoch, WIRE_FAULT_RELEASED_UNDER_LOST, h->n_released}};
	outbox_send(s->out, OUTBOX_CONTROLLER, &msg);
	h->n_released = 0;
}

/* The shard's history is lost: what is not released is executed again in the new one, known verdicts or not; what is released was
 * released under the old one. */
static void enter_history(struct steerer *s, uint32_t shard)
{
	struct steer_shard *h = &s->shards[shard];
	report_lost(s, shard);
	h->head = h->tail = NO_SLOT;
	h->known = h->acked;
	for (uint64_t i = s->first; i < s->end; i++) {
		struct steerer_slot *slot = slot_of(s, i);
		if (slot->shard != shard)
			continue;
		if (slot->released) {
			s->counters.lost_released += !slot->committed;
			h->known = slot->seq;
			slot->committed = true;
		} else {
			slot->settled = slot->committed = false;
			append(s, h, (uint32_t)(i & (s->options.window - 1)));
		}
	}
}

static void configure(struct steerer *s, const struct wire_config *w, uint64_t now_us)
{
	struct config c;
	if (config_from_wire(w, &c) || c.shard >= s->options.n_shards)
		return;
	struct steer_shard *h = &s->shards[c.shard];
	if (c.epoch <= h->config.epoch)
		return;
	uint64_t history = h->config.history;
	bool same = h->state == STEER_OPEN && c.owner == h->config.owner && c.history == history && !s->options.early;
	if (h->state == STEER_OPEN && c.owner != h->config.owner) {
		h->frozen_since_us = h->head == NO_SLOT ? now_us : h->served_us;
		h->answered_us = 0;
	}
	h->config = c;
	if (same)
		return; /* the owner goes on: it knows this stream, and WORK names no epoch */
	h->state = STEER_RESUMING;
	land(s, h);
	if (history && c.history != history)
		enter_history(s, (uint32_t)c.shard);
	if (!c.sealed)
		resume(s, (uint32_t)c.shard, now_us);
}

/* ---- verdicts ---- */

/* Packets whose verdict is committed leave the shard's list; they stay in the ring until they are released. */
static void drop_committed(struct steerer *s, struct steer_shard *h)
{
	while (h->head != NO_SLOT && s->slots[h->head].committed && s->slots[h->head].settled)
		h->head = s->slots[h->head].next;
	if (h->head == NO_SLOT)
		h->tail = NO_SLOT;
}

/* What a VERDICTS or a POSITION says of the packets from number `first` on. */
struct told {
	uint64_t first, committed;
	struct wire_column value, error, run_at, run_n;
};

/* As many errors and, in all runs together, history indexes as values. */
static bool is_whole(const struct told *t)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < t->run_n.n; i++)
		n += wire_c32(t->run_n, i);
	return t->value.n == t->error.n && t->run_at.n == t->run_n.n && t->value.n == n;
}

/* Where in the runs verdict i is, which never goes back. */
struct run {
	uint32_t number, before; /* verdicts of the runs before this one */
};

static struct verdict verdict_at(const struct told *t, struct run *r, uint32_t i)
{
	while (i - r->before >= wire_c32(t->run_n, r->number))
		r->before += wire_c32(t->run_n, r->number++);
	return (struct verdict){wire_c64(t->value, i), wire_c8(t->error, i), wire_c64(t->run_at, r->number) + i - r->before};
}

/* Returns whether any verdict is new. */
static bool settle(struct steerer *s, struct steer_shard *h, const struct told *t, uint64_t now_us)
{
	struct run run = {0};
	bool any = false;
	for (uint32_t at = h->head; at != NO_SLOT; at = s->slots[at].next) {
		struct steerer_slot *slot = &s->slots[at];
		if (slot->seq >= t->first && slot->seq - t->first < t->value.n && !slot->settled) {
			slot->verdict = verdict_at(t, &run, (uint32_t)(slot->seq - t->first));
			slot->settled = true;
			h->known = slot->seq > h->known ? slot->seq : h->known;
			s->flying -= h->flying > 0;
			h->flying -= h->flying > 0;
			h->progress_us = h->served_us = now_us;
			any = true;
		}
		if (slot->seq <= t->committed && slot->settled)
			slot->committed = true;
		if (slot->seq > t->committed && slot->seq >= t->first + t->value.n)
			break;
	}
	drop_committed(s, h);
	return any;
}

static struct steer_shard *addressed(struct steerer *s, uint64_t shard, uint64_t history, uint64_t stream, uint64_t session)
{
	if (shard >= s->options.n_shards || stream != s->options.stream || session != s->options.session)
		return NULL;
	struct steer_shard *h = &s->shards[shard];
	if (history == h->config.history)
		return h;
	s->counters.refused_old++;
	return NULL;
}

static void note_freeze(struct steerer *s, struct steer_shard *h, uint32_t shard, uint64_t now_us)
{
	uint64_t since = h->frozen_since_us;
	if (!since || !h->answered_us)
		return;
	s->freezes[s->n_freezes++ % STEERER_FREEZES] =
		(struct steerer_freeze){now_us, h->answered_us - since, now_us - since, shard};
	h->frozen_since_us = h->answered_us = 0;
}

static void take_verdicts(struct steerer *s, const struct wire_verdicts *v, uint64_t now_us)
{
	struct steer_shard *h = addressed(s, v->shard, v->history, v->stream, v->session);
	struct told t = {v->first, v->committed, v->value, v->error, v->run_at, v->run_n};
	if (!h || !is_whole(&t))
		return;
	if (s->options.early && v->epoch < h->config.epoch)
		return; /* not committed perhaps, and the new owner may decide on another order */
	if (settle(s, h, &t, now_us))
		note_freeze(s, h, (uint32_t)v->shard, now_us);
}

static void take_position(struct steerer *s, const struct wire_position *p, uint64_t now_us)
{
	struct steer_shard *h = addressed(s, p->shard, p->history, p->stream, p->session);
	struct told t = {p->first, p->committed, p->value, p->error, p->run_at, p->run_n};
	if (!h || p->epoch != h->config.epoch || !is_whole(&t))
		return;
	land(s, h);
	bool served = settle(s, h, &t, now_us) || h->head == NO_SLOT;
	if (h->sent > p->applied)
		s->counters.resent += h->sent - p->applied;
	h->sent = p->applied;
	h->state = STEER_OPEN;
	h->answered_us = now_us;
	if (served)
		note_freeze(s, h, (uint32_t)p->shard, now_us);
	h->progress_us = now_us;
	send_unsent(s, (uint32_t)p->shard);
}

void steerer_message(struct steerer *s, const struct wire_message *msg, uint64_t now_us)
{
	if (msg->kind == WIRE_CONFIG)
		configure(s, &msg->config, now_us);
	else if (msg->kind == WIRE_VERDICTS)
		take_verdicts(s, &msg->verdicts, now_us);
	else if (msg->kind == WIRE_POSITION)
		take_position(s, &msg->position, now_us);
}

void steerer_tick(struct steerer *s, uint64_t now_us)
{
	for (uint32_t i = 0; i < s->options.n_shards; i++) {
		struct steer_shard *h = &s->shards[i];
		bool waits = h->state == STEER_RESUMING || (h->state == STEER_OPEN && h->head != NO_SLOT);
		if (waits && !h->config.sealed && now_us - h->progress_us >= s->options.repeat_us)
			resume(s, i, now_us);
	}
}

/* ---- output ---- */

bool steerer_next(struct steerer *s, struct steerer_release *r, uint64_t now_us)
{
	if (s->release == s->end)
		return false;
	struct steerer_slot *slot = slot_of(s, s->release);
	if (!slot->settled || !(slot->committed || s->options.early))
		return false;
	*r = (struct steerer_release){s->release, slot->shard, slot->seq, now_us - slot->arrived_us, slot->verdict, slot->packet};
	slot->released = true;
	s->shards[slot->shard].n_released++;
	s->release++;
	s->counters.released++;
	return true;
}

uint64_t steerer_settled(const struct steerer *s)
{
	uint64_t i = s->first;
	while (i < s->release && slot_of(s, i)->committed)
		i++;
	return i;
}

void steerer_durable(struct steerer *s, uint64_t index)
{
	while (s->first < index && s->first < s->release && slot_of(s, s->first)->committed) {
		struct steerer_slot *slot = slot_of(s, s->first);
		s->shards[slot->shard].acked = slot->seq;
		s->first++;
	}
}

bool steerer_idle(const struct steerer *s)
{
	return s->first == s->end;
}

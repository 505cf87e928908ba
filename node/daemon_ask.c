/* daemon_ask.c: what an operator, or a rehearsal, may ask of a node. See daemon_core.h. */
#include "node/daemon_core.h"

#include "node/account.h"
#include "node/json.h"

#include <stdlib.h>
#include <string.h>

struct steerer_counters daemon_totals(const struct daemon *d)
{
	struct steerer_counters sum = {0};
	for (uint32_t i = 0; i < d->node.n_steerers; i++) {
		const struct steerer_counters *c = &d->node.steerers[i]->counters;
		sum.released += c->released;
		sum.resent += c->resent;
		sum.lost_released += c->lost_released;
	}
	return sum;
}

static void add_freezes(json_t *list, const struct steerer *s)
{
	uint64_t n = s->n_freezes, first = n > STEERER_FREEZES ? n - STEERER_FREEZES : 0;
	for (uint64_t i = first; i < n; i++) {
		const struct steerer_freeze *f = &s->freezes[i % STEERER_FREEZES];
		json_array_append_new(list, json_pack("[I,I,I,I]", (json_int_t)f->at_us, (json_int_t)f->shard,
						      (json_int_t)f->frozen_us, (json_int_t)f->silent_us));
	}
}

static json_t *freezes(const struct daemon *d)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < d->node.n_steerers; i++)
		add_freezes(list, d->node.steerers[i]);
	return list;
}

static json_t *progress(const struct daemon *d)
{
	struct steerer_counters sum = daemon_totals(d);
	uint64_t opened = 0, delta_bytes = 0, entries = 0, chunk_bytes = 0, snapshots = 0, applied = 0, clock = 0, evictions = 0;
	for (uint32_t i = 0; i < d->node.options.n_shards; i++) {
		const struct member *m = &d->node.members[i];
		opened += m->owner.opened;
		delta_bytes += m->counters.delta_bytes_sent;
		entries += m->counters.chunk_entries_sent;
		chunk_bytes += m->counters.chunk_bytes_sent;
		snapshots += m->counters.snapshots_taken;
		applied += d->node.applied[i];
		if (m->owner.opened && m->copy->shard->clock_us > clock)
			clock = m->copy->shard->clock_us;
		evictions += m->owner.opened ? m->copy->counters[SIGMA_EVICTIONS] : 0;
	}
	return json_pack("{s:I,s:I,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "read", (json_int_t)d->read,
			 "released", (json_int_t)sum.released, "end", (int)daemon_capture_through(d), "opened", (json_int_t)opened,
			 "delta_bytes", (json_int_t)delta_bytes, "entries_moved", (json_int_t)entries, "bytes_moved",
			 (json_int_t)chunk_bytes, "snapshots", (json_int_t)snapshots, "applied", (json_int_t)applied, "clock_us",
			 (json_int_t)clock, "evictions", (json_int_t)evictions, "resent", (json_int_t)sum.resent, "lost_released",
			 (json_int_t)sum.lost_released, "queue_full", (json_int_t)(d->link ? link_queue_full(d->link) : 0),
			 "bad_frames", (json_int_t)d->quarantine.bad_frames, "dropped_frames",
			 (json_int_t)d->quarantine.dropped_frames, "now_us", (json_int_t)daemon_clock_us(), "freezes", freezes(d));
}

/* What has come out, and how long packets waited since this was last asked. */
static json_t *sample(struct daemon *d)
{
	json_t *o = json_pack("{s:I,s:I,s:I,s:I,s:I}", "now_us", (json_int_t)daemon_clock_us(), "released",
			      (json_int_t)daemon_totals(d).released, "waits", (json_int_t)d->probe.n, "wait_sum_us",
			      (json_int_t)d->probe.sum_us, "wait_max_us", (json_int_t)d->probe.max_us);
	probe_reset(&d->probe);
	return o;
}

/* Waits since the start: [least microseconds, packets] of every bucket that holds any. */
static json_t *waits(const struct daemon *d)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < PROBE_BUCKETS; i++)
		if (d->waits.n[i])
			json_array_append_new(list, json_pack("[I,I]", (json_int_t)probe_bucket_us(i), (json_int_t)d->waits.n[i]));
	return json_pack("{s:o}", "waits", list);
}

static uint64_t number_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static json_t *go(struct daemon *d, uint64_t upto, uint64_t pps)
{
	d->allowed = upto;
	d->pps = pps;
	d->paced_us = daemon_clock_us();
	d->paced_from = d->read;
	return json_pack("{s:b}", "done", 1);
}

/* NULL: the answer comes when what is read is committed. */
static char *read_state(struct daemon *d, const json_t *o, const struct link_reply *reply)
{
	char *said = NULL;
	if (json_object_get(o, "reading"))
		said = readings_page(&d->readings, number_of(o, "reading"), number_of(o, "offset"), d->now_us);
	else if (readings_begin(&d->readings, number_of(o, "shard"), reply, sizeof *reply, d->now_us) == 0)
		return NULL;
	return said ? said : strdup("{\"busy\":\"not owned here, or too many readers\"}");
}

static char *command(struct daemon *d, const struct wire_bytes *text, const struct link_reply *reply)
{
	json_t *o = json_loadb((const char *)text->p, text->n, 0, NULL), *answer = NULL;
	const char *what = json_string_value(json_object_get(o, "command"));
	char *said = NULL;
	if (what && strcmp(what, "progress") == 0)
		answer = progress(d);
	else if (what && strcmp(what, "account") == 0)
		said = account_write(&d->node);
	else if (what && strcmp(what, "sample") == 0)
		answer = sample(d);
	else if (what && strcmp(what, "waits") == 0)
		answer = waits(d);
	else if (what && strcmp(what, "go") == 0)
		answer = go(d, number_of(o, "upto"), number_of(o, "pps"));
	else if (what && strcmp(what, "read") == 0)
		said = read_state(d, o, reply);
	else
		answer = json_pack("{s:s}", "error", "no such command");
	if (answer)
		said = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	json_decref(o);
	return said;
}

/* Frees said. */
static void answer(struct daemon *d, char *said, const struct link_reply *reply)
{
	struct wire_message msg = {.kind = WIRE_ANSWER, .from = d->node.options.self};
	if (!said)
		return;
	msg.answer.text = (struct wire_bytes){(const uint8_t *)said, (uint32_t)strlen(said)};
	size_t room = wire_bound(&msg);
	uint8_t *frame = malloc(room);
	int64_t n = frame ? wire_encode(&msg, frame, room) : -1;
	if (n > 0)
		(void)link_answer(d->link, reply, frame, (size_t)n);
	free(frame);
	free(said);
}

void daemon_ask_later(struct daemon *d)
{
	struct link_reply reply;
	char *said;
	while (readings_next(&d->readings, &reply, sizeof reply, &said, d->now_us))
		answer(d, said, &reply);
}

void daemon_ask(struct daemon *d, const struct wire_bytes *text, const struct link_reply *reply)
{
	answer(d, command(d, text, reply), reply);
}

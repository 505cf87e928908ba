#include "state/sigma.h"

#include "state/mix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sigma *sigma_new(struct shard *shard, uint64_t history)
{
	struct sigma *s = calloc(1, sizeof *s);
	if (!s) {
		shard_free(shard);
		return NULL;
	}
	s->shard = shard;
	s->history = history;
	return s;
}

void sigma_free(struct sigma *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n_streams; i++)
		free(s->streams[i].tail);
	shard_free(s->shard);
	free(s);
}

void sigma_clear_tables(struct sigma *s)
{
	for (uint32_t i = 0; i < s->shard->n_tables; i++)
		if (s->shard->tables[i] && !s->shard->shared[i])
			table_clear(s->shard->tables[i]);
	memset(s->seen, 0, sizeof s->seen);
}

struct sigma_stream *sigma_stream(struct sigma *s, uint64_t id)
{
	for (uint32_t i = 0; i < s->n_streams; i++)
		if (s->streams[i].id == id)
			return &s->streams[i];
	return NULL;
}

static uint64_t verdict_hash(uint64_t stream, uint64_t number, struct verdict v)
{
	return mix64(mix64(mix64(stream) + number) ^ mix64(v.value + v.index) ^ (uint64_t)v.error << 56);
}

/* Where the next stream goes. NULL: everywhere is one that lives. */
static struct sigma_stream *place_for(struct sigma *s)
{
	struct sigma_stream *best = NULL;
	if (s->n_streams < WIRE_MAX_STREAMS)
		return &s->streams[s->n_streams++];
	for (uint32_t i = 0; i < s->n_streams; i++)
		if (s->streams[i].retired && (!best || s->streams[i].position < best->position))
			best = &s->streams[i];
	if (best)
		*best = (struct sigma_stream){0};
	return best;
}

int sigma_admit(struct sigma *s, uint64_t id, uint64_t session, bool fresh, uint64_t start)
{
	struct sigma_stream *st = sigma_stream(s, id);
	if (st && (st->retired || session < st->session))
		return -EACCES;
	if (start > SIGMA_MAX_NUMBER)
		return -ERANGE;
	bool is_new = !st;
	if (is_new)
		st = place_for(s);
	if (!st)
		return -ENOSPC;
	if (is_new || (fresh && session != st->session)) {
		sigma_ack(s, st, st->position);
		st->id = id;
		st->position = st->acked = start;
	}
	st->session = session;
	return 0;
}

void sigma_retire(struct sigma *s, struct sigma_stream *st)
{
	sigma_ack(s, st, st->position);
	free(st->tail);
	st->tail = NULL;
	st->room = 0;
	st->position = st->acked = s->number;
	st->retired = true;
}

static int tail_grow(struct sigma_stream *st)
{
	uint32_t room = st->room ? 2 * st->room : 16;
	struct verdict *tail = calloc(room, sizeof *tail);
	if (!tail)
		return -ENOMEM;
	for (uint64_t n = st->acked + 1; n <= st->position; n++)
		tail[n & (room - 1)] = st->tail[n & (st->room - 1)];
	free(st->tail);
	st->tail = tail;
	st->room = room;
	return 0;
}

int sigma_reserve(struct sigma_stream *st, uint32_t n)
{
	uint64_t held = st->position - st->acked;
	if (st->position > SIGMA_MAX_NUMBER - n)
		return -ERANGE;
	while (st->room < SIGMA_MAX_TAIL && held + n > st->room)
		if (tail_grow(st))
			return -ENOMEM;
	return 0;
}

int sigma_keep(struct sigma *s, struct sigma_stream *st, struct verdict v)
{
	uint64_t held = st->position - st->acked;
	if (held >= SIGMA_MAX_TAIL)
		return -ENOSPC;
	if (st->position >= SIGMA_MAX_NUMBER)
		return -ERANGE;
	if (held >= st->room && tail_grow(st))
		return -ENOMEM;
	st->position++;
	st->tail[st->position & (st->room - 1)] = v;
	s->tail_sum += verdict_hash(st->id, st->position, v);
	return 0;
}

static enum sigma_tally tally_of(struct verdict v)
{
	if (!v.error)
		return v.value > 1 ? SIGMA_LOGGED : v.value ? SIGMA_ACCEPTED : SIGMA_DROPPED;
	return SIGMA_FIRST_ERROR + (v.error < SIGMA_ERRORS ? v.error : SIGMA_ERRORS) - 1;
}

int sigma_push(struct sigma *s, struct sigma_stream *st, struct verdict v)
{
	v.index = s->counters[SIGMA_PACKETS] + 1;
	int err = sigma_keep(s, st, v);
	s->counters[SIGMA_PACKETS] += !err;
	s->tallies[tally_of(v)] += !err;
	return err;
}

struct verdict sigma_verdict(const struct sigma_stream *st, uint64_t n)
{
	return st->tail[n & (st->room - 1)];
}

void sigma_ack(struct sigma *s, struct sigma_stream *st, uint64_t acked)
{
	if (acked > st->position)
		acked = st->position;
	while (st->acked < acked) {
		st->acked++;
		s->tail_sum -= verdict_hash(st->id, st->acked, sigma_verdict(st, st->acked));
	}
}

void sigma_advance(struct sigma *s, uint64_t epoch)
{
	s->number++;
	if (epoch == s->made_in)
		return;
	s->made_in = epoch;
	if (s->n_epochs == WIRE_MAX_LINEAGE) {
		s->n_epochs--;
		memmove(s->epochs, s->epochs + 1, s->n_epochs * sizeof *s->epochs);
		memmove(s->starts, s->starts + 1, s->n_epochs * sizeof *s->starts);
	}
	s->epochs[s->n_epochs] = epoch;
	s->starts[s->n_epochs++] = s->number;
}

uint64_t sigma_made_in(const struct sigma *s, uint64_t number)
{
	if (number == 0)
		return 0;
	for (uint32_t i = s->n_epochs; number <= s->number && i-- > 0;)
		if (s->starts[i] <= number)
			return s->epochs[i];
	return UINT64_MAX;
}

void sigma_count(struct sigma *s)
{
	uint64_t now[SIGMA_COUNTER_COUNT] = {0};
	now[SIGMA_IGNORED] = s->shard->ignored;
	for (uint32_t i = 0; i < s->shard->n_tables; i++) {
		if (!s->shard->tables[i] || s->shard->shared[i])
			continue;
		struct table_counters c = table_counters(s->shard->tables[i]);
		now[SIGMA_INSERTIONS] += c.insertions;
		now[SIGMA_EVICTIONS] += c.evictions;
		now[SIGMA_EXPIRED] += c.expired;
		now[SIGMA_DELETED] += c.deleted;
	}
	for (int i = SIGMA_IGNORED; i < SIGMA_COUNTER_COUNT; i++) {
		s->counters[i] += now[i] - s->seen[i];
		s->seen[i] = now[i];
	}
}

static uint64_t rest_digest(const struct sigma *s, uint64_t tail_sum)
{
	uint64_t sum = mix64(tail_sum);
	for (int i = 0; i < SIGMA_COUNTER_COUNT; i++)
		sum = mix64(sum ^ s->counters[i]);
	for (int i = 0; i < SIGMA_TALLY_COUNT; i++)
		sum = mix64(sum ^ s->tallies[i]);
	for (uint32_t i = 0; i < s->n_streams; i++) {
		const struct sigma_stream *st = &s->streams[i];
		sum += mix64(mix64(mix64(mix64(st->id) + st->session) + st->position) + 2 * st->acked + st->retired);
	}
	for (uint32_t i = 0; i < s->shard->n_tables; i++)
		if (s->shard->tables[i] && !s->shard->shared[i])
			sum = mix64(sum ^ table_next_position(s->shard->tables[i]));
	return sum;
}

uint64_t sigma_digest(struct sigma *s)
{
	return shard_digest(s->shard) + rest_digest(s, s->tail_sum);
}

uint64_t sigma_digest_full(struct sigma *s)
{
	uint64_t sum = mix64(s->shard->clock_us), tail_sum = 0;
	for (uint32_t i = 0; i < s->shard->n_tables; i++) {
		uint64_t d = s->shard->tables[i] && !s->shard->shared[i] ? table_digest_full(s->shard->tables[i]) : 0;
		sum += d ? mix64(d + mix64(i + 1)) : 0;
	}
	for (uint32_t i = 0; i < s->n_streams; i++)
		for (uint64_t n = s->streams[i].acked + 1; n <= s->streams[i].position; n++)
			tail_sum += verdict_hash(s->streams[i].id, n, sigma_verdict(&s->streams[i], n));
	return sum + rest_digest(s, tail_sum);
}

#include "state/snapshot.h"

#include "state/mix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((uint64_t)WIRE_MAX_STREAMS *SIGMA_MAX_TAIL <= WIRE_MAX_TAIL, "all tails fit one record");

static int compare_keys(const void *a, const void *b)
{
	const struct snapshot_key *x = a, *y = b;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return (int)x->table - (int)y->table;
}

static uint64_t held(const struct sigma *s, uint32_t index)
{
	const struct table *t = s->shard->tables[index];
	return t && !s->shard->shared[index] ? (uint64_t)table_held(t) + table_config(t)->preload : 0;
}

int snapshot_begin(struct snapshot *w, const struct sigma *s)
{
	uint64_t room = 0;
	struct table_entry e;
	for (uint32_t i = 0; i < s->shard->n_tables; i++)
		room += held(s, i);
	w->n = 0;
	w->keys = malloc(room ? room * sizeof *w->keys : 1);
	if (!w->keys)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->shard->n_tables; i++) {
		uint64_t cursor = 0;
		while (held(s, i) && w->n < room && table_next(s->shard->tables[i], &cursor, &e))
			w->keys[w->n++] = (struct snapshot_key){mix64(e.key), e.key, (uint8_t)i};
	}
	qsort(w->keys, w->n, sizeof *w->keys, compare_keys);
	return 0;
}

void snapshot_end(struct snapshot *w)
{
	free(w->keys);
	*w = (struct snapshot){0};
}

/* Index of the first key whose hash is not below from. */
static uint64_t lower_bound(const struct snapshot *w, uint64_t from)
{
	uint64_t lo = 0, hi = w->n;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		if (w->keys[mid].hash < from)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int snapshot_chunk(const struct snapshot *w, const struct sigma *s, uint64_t from, uint32_t max_entries, struct delta_columns *c,
		   struct wire_changes *changes, uint64_t *to)
{
	uint64_t i = lower_bound(w, from), end = w->n - i > max_entries ? i + max_entries : w->n;
	struct table_entry e;
	while (end < w->n && end > i && w->keys[end].hash == w->keys[end - 1].hash)
		end++;
	delta_columns_reset(c);
	for (; i < end; i++) {
		if (!table_entry_of(s->shard->tables[w->keys[i].table], w->keys[i].key, &e))
			continue;
		int err = delta_columns_add(c, w->keys[i].table, &e);
		if (err)
			return err;
	}
	*changes = (struct wire_changes){0};
	delta_columns_show(c, changes);
	*to = end == w->n ? UINT64_MAX : w->keys[end - 1].hash;
	return 0;
}

static uint32_t describe_stream(const struct sigma_stream *st, struct snapshot_columns *c, uint32_t i, uint32_t n_verdicts)
{
	c->stream[i] = st->id;
	c->session[i] = st->session;
	c->position[i] = st->position;
	c->acked[i] = st->acked;
	c->retired[i] = st->retired;
	for (uint64_t n = st->acked + 1; n <= st->position; n++) {
		struct verdict v = sigma_verdict(st, n);
		c->verdict[n_verdicts] = v.value;
		c->index[n_verdicts] = v.index;
		c->error[n_verdicts++] = v.error;
	}
	return n_verdicts;
}

void snapshot_describe(const struct sigma *s, struct snapshot_columns *c, struct wire_sigma *w)
{
	uint32_t n_verdicts = 0, n = s->n_streams;
	for (uint32_t i = 0; i < n; i++)
		n_verdicts = describe_stream(&s->streams[i], c, i, n_verdicts);
	for (uint32_t i = 0; i < s->shard->n_tables; i++)
		c->next_place[i] = held(s, i) || s->shard->tables[i] ? table_next_position(s->shard->tables[i]) : 0;
	*w = (struct wire_sigma){.clock_us = s->shard->clock_us,
				 .history = s->history,
				 .number = s->number,
				 .made_in = s->made_in,
				 .counters = wire_column(s->counters, SIGMA_COUNTER_COUNT),
				 .tallies = wire_column(s->tallies, SIGMA_TALLY_COUNT),
				 .next_place = wire_column(c->next_place, s->shard->n_tables),
				 .epochs = wire_column(s->epochs, s->n_epochs),
				 .starts = wire_column(s->starts, s->n_epochs),
				 .stream = wire_column(c->stream, n),
				 .session = wire_column(c->session, n),
				 .retired = wire_column(c->retired, n),
				 .position = wire_column(c->position, n),
				 .acked = wire_column(c->acked, n),
				 .verdict = wire_column(c->verdict, n_verdicts),
				 .error = wire_column(c->error, n_verdicts),
				 .index = wire_column(c->index, n_verdicts)};
}

static bool lineage_legal(const struct wire_sigma *w)
{
	uint32_t n = w->epochs.n;
	if (w->starts.n != n || (n == 0) != (w->number == 0) || w->number > SIGMA_MAX_NUMBER)
		return false;
	for (uint32_t i = 1; i < n; i++)
		if (wire_c64(w->epochs, i) <= wire_c64(w->epochs, i - 1) || wire_c64(w->starts, i) <= wire_c64(w->starts, i - 1))
			return false;
	return n ? wire_c64(w->epochs, n - 1) == w->made_in && wire_c64(w->starts, n - 1) <= w->number : w->made_in == 0;
}

static bool shape_legal(const struct sigma *s, const struct wire_sigma *w)
{
	uint32_t n = w->stream.n;
	return w->session.n == n && w->retired.n == n && w->position.n == n && w->acked.n == n && w->verdict.n == w->error.n &&
	       w->verdict.n == w->index.n && w->counters.n == SIGMA_COUNTER_COUNT && w->tallies.n == SIGMA_TALLY_COUNT &&
	       w->next_place.n == s->shard->n_tables && lineage_legal(w);
}

static int restore_stream(struct sigma *s, const struct wire_sigma *w, uint32_t i, uint32_t *used)
{
	struct sigma_stream *st = &s->streams[i];
	uint64_t position = wire_c64(w->position, i), acked = wire_c64(w->acked, i);
	if (sigma_stream(s, wire_c64(w->stream, i)) || position > SIGMA_MAX_NUMBER || acked > position ||
	    position - acked > w->verdict.n - *used)
		return -EPROTO;
	*st = (struct sigma_stream){.id = wire_c64(w->stream, i),
				    .session = wire_c64(w->session, i),
				    .retired = wire_c8(w->retired, i),
				    .position = acked,
				    .acked = acked};
	s->n_streams = i + 1;
	for (; st->position < position; ++*used) {
		int err = sigma_keep(
			s, st, (struct verdict){wire_c64(w->verdict, *used), wire_c8(w->error, *used), wire_c64(w->index, *used)});
		if (err)
			return err == -ENOMEM ? err : -EPROTO;
	}
	return 0;
}

int snapshot_restore(struct sigma *s, const struct wire_sigma *w)
{
	uint32_t used = 0;
	if (!shape_legal(s, w))
		return -EPROTO;
	s->history = w->history;
	s->number = w->number;
	s->made_in = w->made_in;
	s->n_epochs = w->epochs.n;
	for (uint32_t i = 0; i < s->n_epochs; i++) {
		s->epochs[i] = wire_c64(w->epochs, i);
		s->starts[i] = wire_c64(w->starts, i);
	}
	for (uint32_t i = 0; i < SIGMA_COUNTER_COUNT; i++)
		s->counters[i] = wire_c64(w->counters, i);
	for (uint32_t i = 0; i < SIGMA_TALLY_COUNT; i++)
		s->tallies[i] = wire_c64(w->tallies, i);
	for (uint32_t i = 0; i < s->shard->n_tables; i++)
		if (s->shard->tables[i] && !s->shard->shared[i])
			table_set_next_position(s->shard->tables[i], wire_c64(w->next_place, i));
	shard_set_time(s->shard, w->clock_us);
	for (uint32_t i = 0; i < w->stream.n; i++) {
		int err = restore_stream(s, w, i, &used);
		if (err)
			return err;
	}
	return used == w->verdict.n ? 0 : -EPROTO;
}

#include "state/delta.h"

#include <errno.h>
#include <stdlib.h>

#define FLAG_MARK 4u

void delta_columns_fini(struct delta_columns *c)
{
	void *all[] = {c->table, c->flags, c->key, c->value, c->place, c->stamp_s, c->gone_table, c->gone_key, c->entries};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]);
	*c = (struct delta_columns){0};
}

void delta_columns_reset(struct delta_columns *c)
{
	c->n = c->n_gone = 0;
}

static int resize(void *column, size_t bytes)
{
	void *p = realloc(*(void **)column, bytes);
	if (!p)
		return -ENOMEM;
	*(void **)column = p;
	return 0;
}

static int reserve(struct delta_columns *c, uint64_t n)
{
	if (n > WIRE_MAX_ENTRIES)
		return -ENOSPC;
	if (n <= c->room)
		return 0;
	size_t room = c->room ? c->room : 64;
	while (room < n)
		room *= 2;
	if (resize(&c->table, room) || resize(&c->flags, room) || resize(&c->key, 8 * room) || resize(&c->value, 8 * room) ||
	    resize(&c->place, 8 * room) || resize(&c->stamp_s, 4 * room))
		return -ENOMEM;
	c->room = (uint32_t)room;
	return 0;
}

static int reserve_gone(struct delta_columns *c, uint64_t n)
{
	if (n > WIRE_MAX_REMOVED)
		return -ENOSPC;
	if (n <= c->room_gone)
		return 0;
	size_t room = c->room_gone ? c->room_gone : 64;
	while (room < n)
		room *= 2;
	if (resize(&c->gone_table, room) || resize(&c->gone_key, 8 * room))
		return -ENOMEM;
	c->room_gone = (uint32_t)room;
	return 0;
}

int delta_columns_add(struct delta_columns *c, uint32_t table, const struct table_entry *e)
{
	int err = reserve(c, (uint64_t)c->n + 1);
	if (err)
		return err;
	c->table[c->n] = (uint8_t)table;
	c->key[c->n] = e->key;
	c->value[c->n] = e->value;
	c->place[c->n] = e->position;
	c->stamp_s[c->n] = e->stamp_s;
	c->flags[c->n++] = (uint8_t)(e->queue | (e->mark ? FLAG_MARK : 0));
	return 0;
}

static int gather_table(struct delta_columns *c, uint32_t index, struct table *t)
{
	const uint64_t *gone;
	uint32_t n_gone = table_removed(t, &gone), room = table_changed_count(t);
	int err = reserve_gone(c, (uint64_t)c->n_gone + n_gone);
	if (err)
		return err;
	for (uint32_t i = 0; i < n_gone; i++) {
		c->gone_table[c->n_gone] = (uint8_t)index;
		c->gone_key[c->n_gone++] = gone[i];
	}
	if (room > c->room_entries) {
		if (resize(&c->entries, (size_t)room * 2 * sizeof *c->entries))
			return -ENOMEM;
		c->room_entries = 2 * room;
	}
	uint32_t n = table_changed(t, c->entries, room);
	for (uint32_t i = 0; i < n && !err; i++)
		err = delta_columns_add(c, index, &c->entries[i]);
	return err;
}

void delta_columns_show(const struct delta_columns *c, struct wire_changes *w)
{
	w->gone_table = wire_column(c->gone_table, c->n_gone);
	w->gone_key = wire_column(c->gone_key, c->n_gone);
	w->table = wire_column(c->table, c->n);
	w->key = wire_column(c->key, c->n);
	w->value = wire_column(c->value, c->n);
	w->place = wire_column(c->place, c->n);
	w->stamp_s = wire_column(c->stamp_s, c->n);
	w->flags = wire_column(c->flags, c->n);
}

static int gather(struct sigma *s, struct delta_columns *c)
{
	int err = 0;
	delta_columns_reset(c);
	for (uint32_t i = 0; i < s->shard->n_tables && !err; i++) {
		struct table *t = s->shard->tables[i];
		c->next_place[i] = 0;
		if (!t || s->shard->shared[i])
			continue;
		err = gather_table(c, i, t);
		c->next_place[i] = table_next_position(t);
	}
	return err;
}

static void show_stream(const struct sigma_stream *st, uint32_t n_verdicts, struct delta_columns *c, struct wire_changes *w)
{
	w->stream = st->id;
	w->session = st->session;
	w->position = st->position;
	w->acked = st->acked;
	for (uint32_t i = 0; i < n_verdicts; i++) {
		struct verdict v = sigma_verdict(st, st->position - n_verdicts + 1 + i);
		c->verdict[i] = v.value;
		c->error[i] = v.error;
	}
	w->verdict = wire_column(c->verdict, n_verdicts);
	w->error = wire_column(c->error, n_verdicts);
}

int delta_make(struct sigma *s, uint64_t epoch, enum delta_op op, const struct sigma_stream *st, uint32_t n_verdicts,
	       struct delta_columns *c, struct wire_changes *w)
{
	int err = gather(s, c);
	if (err)
		return err;
	*w = (struct wire_changes){.clock_us = s->shard->clock_us, .op = op};
	delta_columns_show(c, w);
	if (st)
		show_stream(st, n_verdicts, c, w);
	sigma_count(s);
	sigma_advance(s, epoch);
	w->counters = wire_column(s->counters, SIGMA_COUNTER_COUNT);
	w->next_place = wire_column(c->next_place, s->shard->n_tables);
	w->digest = sigma_digest(s);
	for (uint32_t i = 0; i < s->shard->n_tables; i++)
		if (s->shard->tables[i] && !s->shard->shared[i])
			table_changes_clear(s->shard->tables[i]);
	return 0;
}

static bool table_legal(const struct sigma *s, uint8_t index)
{
	return index < s->shard->n_tables && s->shard->tables[index] && !s->shard->shared[index];
}

static bool entries_legal(const struct sigma *s, const struct wire_changes *w)
{
	uint32_t n = w->table.n;
	if (w->key.n != n || w->value.n != n || w->place.n != n || w->stamp_s.n != n || w->flags.n != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!table_legal(s, wire_c8(w->table, i)) || wire_c8(w->flags, i) > (FLAG_MARK | 3))
			return false;
	return true;
}

static bool removals_legal(const struct sigma *s, const struct wire_changes *w)
{
	if (w->gone_key.n != w->gone_table.n)
		return false;
	for (uint32_t i = 0; i < w->gone_table.n; i++)
		if (!table_legal(s, wire_c8(w->gone_table, i)))
			return false;
	return true;
}

int delta_put_entries(struct sigma *s, const struct wire_changes *w)
{
	if (!entries_legal(s, w))
		return -EPROTO;
	for (uint32_t i = 0; i < w->table.n; i++) {
		uint8_t flags = wire_c8(w->flags, i);
		struct table_entry e = {.key = wire_c64(w->key, i),
					.value = wire_c64(w->value, i),
					.position = wire_c64(w->place, i),
					.stamp_s = wire_c32(w->stamp_s, i),
					.queue = flags & 3,
					.mark = (flags & FLAG_MARK) != 0};
		int err = table_put(s->shard->tables[wire_c8(w->table, i)], &e);
		if (err)
			return err == -ENOMEM ? err : -EILSEQ;
	}
	return 0;
}

static int apply_packets(struct sigma *s, const struct wire_changes *w)
{
	struct sigma_stream *st = sigma_stream(s, w->stream);
	if (!st || st->retired || st->position + w->verdict.n != w->position)
		return -EILSEQ;
	sigma_ack(s, st, w->acked);
	for (uint32_t i = 0; i < w->verdict.n; i++) {
		int err = sigma_push(s, st, (struct verdict){.value = wire_c64(w->verdict, i), .error = wire_c8(w->error, i)});
		if (err)
			return err == -ENOMEM ? err : -EILSEQ;
	}
	return 0;
}

/* The owner's position after the admission tells whether the numbers started anew. */
static int apply_admission(struct sigma *s, const struct wire_changes *w)
{
	struct sigma_stream *st = sigma_stream(s, w->stream);
	if (sigma_admit(s, w->stream, w->session, !st || w->position != st->position, w->position))
		return -EILSEQ;
	sigma_ack(s, sigma_stream(s, w->stream), w->acked);
	return 0;
}

static int apply_stream(struct sigma *s, const struct wire_changes *w)
{
	struct sigma_stream *st = sigma_stream(s, w->stream);
	switch ((enum delta_op)w->op) {
	case DELTA_NOTHING:
		return 0;
	case DELTA_PACKETS:
		return apply_packets(s, w);
	case DELTA_ADMIT:
		return apply_admission(s, w);
	case DELTA_RETIRE:
		if (!st)
			return -EILSEQ;
		sigma_retire(s, st);
		return 0;
	}
	return -EPROTO;
}

int delta_apply(struct sigma *s, uint64_t epoch, const struct wire_changes *w)
{
	if (!entries_legal(s, w) || !removals_legal(s, w) || w->verdict.n != w->error.n || w->counters.n != SIGMA_COUNTER_COUNT ||
	    w->next_place.n != s->shard->n_tables || w->op > DELTA_RETIRE || epoch < s->made_in)
		return -EPROTO;
	int err = apply_stream(s, w);
	for (uint32_t i = 0; i < w->gone_table.n && !err; i++)
		table_take(s->shard->tables[wire_c8(w->gone_table, i)], wire_c64(w->gone_key, i));
	if (!err)
		err = delta_put_entries(s, w);
	if (err)
		return err == -ENOMEM ? err : -EILSEQ;
	shard_set_time(s->shard, w->clock_us);
	for (uint32_t i = 0; i < s->shard->n_tables; i++)
		if (table_legal(s, (uint8_t)i))
			table_set_next_position(s->shard->tables[i], wire_c64(w->next_place, i));
	for (uint32_t i = 0; i < SIGMA_COUNTER_COUNT; i++)
		s->counters[i] = wire_c64(w->counters, i);
	sigma_advance(s, epoch);
	return 0;
}

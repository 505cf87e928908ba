#include "controller/merged.h"

#include "analysis/parts.h"
#include "analysis/spread.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct part_entry {
	struct table_file_entry entry;
	uint32_t until_s;
};

/* One shard. */
struct part {
	bool read, confirmed;
	uint64_t epoch, number, clock_us;
	json_t *streams;
	struct part_entry *entries;
	size_t n, room;
};

struct merging {
	struct cluster *cluster;
	const struct deploy *deploy;
	struct part *parts;
	char *why;
};

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static uint64_t hex_number(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	return text ? strtoull(text, NULL, 16) : 0;
}

static void part_fini(struct part *p)
{
	json_decref(p->streams);
	free(p->entries);
	*p = (struct part){0};
}

/* ---- one shard ---- */

static int take_entry(struct part *p, const struct part_entry *e)
{
	if (p->n == p->room) {
		size_t room = p->room ? 2 * p->room : 64;
		struct part_entry *grown = reallocarray(p->entries, room, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		p->entries = grown;
		p->room = room;
	}
	p->entries[p->n++] = *e;
	return 0;
}

static int take_lines(const struct merging *g, struct part *p, const char *text)
{
	for (const char *at = strchr(text, '\n'); at && at[1]; at = strchr(at + 1, '\n')) {
		unsigned table;
		struct part_entry e;
		if (sscanf(at + 1, "%u %" SCNx64 " %" SCNx64 " %" SCNu32, &table, &e.entry.key, &e.entry.value, &e.until_s) != 4 ||
		    table > 255 || g->deploy->program->table_index[table] < 0)
			return -EPROTO;
		e.entry.table = (uint8_t)table;
		int err = take_entry(p, &e);
		if (err)
			return err;
	}
	return 0;
}

/* One page. 1: there are more; 0: that was the last; -EAGAIN: ask again from the start; -EPROTO, -ENOMEM. */
static int take_page(const struct merging *g, struct part *p, const char *text, uint32_t shard, json_t **next)
{
	const char *line = strchr(text, '\n');
	json_t *head = json_loadb(text, line ? (size_t)(line - text) : strlen(text), 0, NULL);
	int err = -EAGAIN;
	if (!json_object_get(head, "busy") && !json_object_get(head, "error")) {
		err = line && json_object_get(head, "streams") && number(head, "shard") == shard ? take_lines(g, p, text) : -EPROTO;
		p->epoch = number(head, "epoch");
		p->number = number(head, "number");
		p->clock_us = number(head, "clock_us");
		json_decref(p->streams);
		p->streams = json_incref(json_object_get(head, "streams"));
		if (!err && !json_is_true(json_object_get(head, "end"))) {
			*next = json_pack("{s:s,s:O,s:O}", "command", "read", "reading", json_object_get(head, "reading"), "offset",
					  json_object_get(head, "next"));
			err = 1;
		}
	}
	json_decref(head);
	return err;
}

static const json_t *config_of(const struct merging *g, uint32_t shard)
{
	size_t i;
	json_t *s, *shards = json_object_get(g->cluster->status, "shards");
	if (number(json_array_get(shards, shard), "shard") == shard)
		return json_array_get(shards, shard);
	json_array_foreach(shards, i, s)
	{
		if (number(s, "shard") == shard)
			return s;
	}
	return NULL;
}

/* 0: read, or not now; -EPROTO, -ENOMEM. */
static int read_part(const struct merging *g, uint32_t shard)
{
	struct part *p = &g->parts[shard];
	const char *owner = json_string_value(json_object_get(config_of(g, shard), "incarnation"));
	json_t *next = json_pack("{s:s,s:I}", "command", "read", "shard", (json_int_t)shard);
	int err = 1;
	part_fini(p);
	while (owner && err == 1) {
		char *text = cluster_ask_node(g->cluster, owner, next);
		next = NULL;
		err = text ? take_page(g, p, text, shard, &next) : -EAGAIN;
		free(text);
	}
	json_decref(next);
	p->read = err == 0;
	return err == 1 || err == -EAGAIN ? 0 : err;
}

/* What was read is the committed owner's if the store has no newer epoch than it was read in. */
static bool confirm(const struct merging *g)
{
	bool all = true;
	for (uint32_t i = 0; i < g->deploy->plan->shards; i++) {
		struct part *p = &g->parts[i];
		const json_t *c = config_of(g, i);
		p->confirmed = p->confirmed || (p->read && c && number(c, "epoch") <= p->epoch);
		all = all && p->confirmed;
	}
	return all;
}

static int read_parts(const struct merging *g, int wait_ms)
{
	uint64_t until = now_ms() + (uint64_t)wait_ms;
	for (bool first = true;; first = false) {
		int err = cluster_refresh(g->cluster, g->why);
		if (err)
			return err;
		if (!first && confirm(g))
			return 0;
		if (!first && now_ms() > until)
			break;
		if (!first)
			nanosleep(&(struct timespec){0, 2000000}, NULL);
		for (uint32_t i = 0; i < g->deploy->plan->shards && !err; i++)
			err = g->parts[i].confirmed ? 0 : read_part(g, i);
		if (err) {
			snprintf(g->why, CLUSTER_WHY_BYTES, "%s, a node's answer: are all of one version?", strerror(-err));
			return err;
		}
	}
	uint32_t shard = 0;
	while (g->parts[shard].confirmed)
		shard++;
	snprintf(g->why, CLUSTER_WHY_BYTES,
		 "its state cannot be read, shard %u: has it an owner that is in sync? see vfmctl shards", shard);
	return -ETIMEDOUT;
}

/* ---- all of them ---- */

static int add_positions(struct merged *m, const struct part *p, uint32_t shard)
{
	size_t i;
	json_t *s;
	json_array_foreach(p->streams, i, s)
	{
		if (m->n_positions == m->room) {
			uint32_t room = m->room ? 2 * m->room : 64;
			struct merged_position *grown = reallocarray(m->positions, room, sizeof *grown);
			if (!grown)
				return -ENOMEM;
			m->positions = grown;
			m->room = room;
		}
		m->positions[m->n_positions++] = (struct merged_position){shard,
									  p->epoch,
									  p->number,
									  hex_number(s, "stream"),
									  hex_number(s, "session"),
									  number(s, "position"),
									  json_is_true(json_object_get(s, "retired"))};
	}
	return 0;
}

static int merge(const struct merging *g, struct merged *m)
{
	const struct plan *plan = g->deploy->plan;
	int err = 0;
	for (uint32_t i = 0; i < plan->shards; i++)
		m->clock_us = g->parts[i].clock_us > m->clock_us ? g->parts[i].clock_us : m->clock_us;
	for (uint32_t i = 0; i < plan->shards && !err; i++) {
		const struct part *p = &g->parts[i];
		for (size_t k = 0; k < p->n; k++)
			if (m->clock_us / 1000000 <= p->entries[k].until_s &&
			    spread_counts(plan, p->entries[k].entry.table, p->entries[k].entry.key, i))
				table_file_append(&m->table, &p->entries[k].entry);
		err = add_positions(m, p, i);
	}
	if (err || m->table.failed)
		return -ENOMEM;
	parts_merge(plan->cert, &m->table);
	return 0;
}

int merged_read(struct cluster *c, const struct deploy *d, int wait_ms, struct merged *m, char why[CLUSTER_WHY_BYTES])
{
	struct merging g = {c, d, calloc(d->plan->shards, sizeof *g.parts), why};
	*m = (struct merged){0};
	int err = g.parts ? read_parts(&g, wait_ms) : -ENOMEM;
	if (!err)
		err = merge(&g, m);
	for (uint32_t i = 0; g.parts && i < d->plan->shards; i++)
		part_fini(&g.parts[i]);
	free(g.parts);
	if (err == -ENOMEM)
		snprintf(why, CLUSTER_WHY_BYTES, "out of memory, the merged table: close other programs");
	return err;
}

void merged_fini(struct merged *m)
{
	table_file_fini(&m->table);
	free(m->positions);
	*m = (struct merged){0};
}

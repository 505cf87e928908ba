#include "node/reading.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void drop(struct reading *x)
{
	free(x->text);
	free(x->streams);
	*x = (struct reading){0};
}

void readings_fini(struct readings *r)
{
	for (int i = 0; i < READINGS; i++)
		drop(&r->items[i]);
}

static const struct member *owned(const struct readings *r, uint64_t shard)
{
	const struct member *m = shard < r->node->options.n_shards ? &r->node->members[shard] : NULL;
	return m && m->owner.opened && m->copy ? m : NULL;
}

/* ---- writing down ---- */

static void write_entries(const struct readings *r, const struct shard *s, FILE *out)
{
	struct table_entry e;
	for (uint32_t i = 0; i < s->n_tables; i++) {
		uint64_t cursor = 0;
		while (s->tables[i] && table_next(s->tables[i], &cursor, &e))
			fprintf(out, "%u 0x%016" PRIx64 " 0x%016" PRIx64 " %" PRIu32 "\n", r->program->tables[i].number, e.key,
				e.value, table_entry_until_s(s->tables[i], &e));
	}
}

/* JSON libraries hold signed integers; these two take all 64 bits. */
static void write_streams(const struct sigma *s, FILE *out)
{
	fputc('[', out);
	for (uint32_t i = 0; i < s->n_streams; i++) {
		const struct sigma_stream *st = &s->streams[i];
		fprintf(out,
			"%s{\"stream\":\"%016" PRIx64 "\",\"session\":\"%016" PRIx64 "\",\"position\":%" PRIu64
			",\"acknowledged\":%" PRIu64 ",\"retired\":%s}",
			i ? "," : "", st->id, st->session, st->position, st->acked, st->retired ? "true" : "false");
	}
	fputc(']', out);
}

static bool write_down(const struct readings *r, struct reading *x, const struct sigma *s)
{
	size_t unused;
	FILE *entries = open_memstream(&x->text, &x->bytes), *streams = open_memstream(&x->streams, &unused);
	if (entries)
		write_entries(r, s->shard, entries);
	if (streams)
		write_streams(s, streams);
	bool good = entries && streams;
	if (entries && fclose(entries))
		good = false;
	if (streams && fclose(streams))
		good = false;
	return good;
}

/* A free place, or one whose reader has gone. */
static struct reading *place(struct readings *r, uint64_t now_us)
{
	for (int i = 0; i < READINGS; i++) {
		struct reading *x = &r->items[i];
		if (x->told && now_us - x->heard_us > READING_KEEP_US)
			drop(x);
		if (!x->taken)
			return x;
	}
	return NULL;
}

int readings_begin(struct readings *r, uint64_t shard, const void *reply, size_t reply_bytes, uint64_t now_us)
{
	const struct member *m = owned(r, shard);
	struct reading *x = m ? place(r, now_us) : NULL;
	if (!x || reply_bytes > READING_REPLY)
		return -EAGAIN;
	*x = (struct reading){.taken = true,
			      .id = ++r->last_id,
			      .shard = shard,
			      .history = m->config.history,
			      .number = m->copy->number,
			      .opened = m->counters.opened,
			      .heard_us = now_us,
			      .clock_us = m->copy->shard->clock_us};
	memcpy(x->reply, reply, reply_bytes);
	if (write_down(r, x, m->copy))
		return 0;
	drop(x);
	return -ENOMEM;
}

/* ---- telling ---- */

/* Pages end at the end of a line. */
static size_t page_end(const struct reading *x, size_t from)
{
	size_t to = x->bytes - from > READING_PAGE_BYTES ? from + READING_PAGE_BYTES : x->bytes;
	while (to < x->bytes && to > from && x->text[to - 1] != '\n')
		to--;
	return to;
}

static char *page(const struct readings *r, struct reading *x, size_t from)
{
	const struct member *m = &r->node->members[x->shard];
	size_t to = page_end(x, from), size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	fprintf(out,
		"{\"shard\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"history\":%" PRIu64 ",\"number\":%" PRIu64 ",\"clock_us\":%" PRIu64
		",\"reading\":%" PRIu64 ",\"next\":%zu,\"end\":%s,\"streams\":%s}\n",
		x->shard, m->config.epoch, x->history, x->number, x->clock_us, x->id, to, to == x->bytes ? "true" : "false",
		x->streams);
	fwrite(x->text + from, 1, to - from, out);
	if (to == x->bytes)
		drop(x);
	return fclose(out) ? NULL : text;
}

char *readings_page(struct readings *r, uint64_t id, uint64_t offset, uint64_t now_us)
{
	for (int i = 0; i < READINGS; i++) {
		struct reading *x = &r->items[i];
		if (!x->told || x->id != id || offset > x->bytes)
			continue;
		x->heard_us = now_us;
		return page(r, x, offset);
	}
	return NULL;
}

enum progress { WAITS, TELLABLE, OVER };

static enum progress progress_of(const struct readings *r, const struct reading *x, uint64_t now_us)
{
	const struct member *m = owned(r, x->shard);
	if (!m || m->counters.opened != x->opened || m->config.history != x->history)
		return OVER;
	if (m->owner.committed >= x->number)
		return TELLABLE;
	return now_us - x->heard_us > READING_WAIT_US ? OVER : WAITS;
}

bool readings_next(struct readings *r, void *reply, size_t reply_bytes, char **text, uint64_t now_us)
{
	for (int i = 0; i < READINGS; i++) {
		struct reading *x = &r->items[i];
		enum progress p = x->taken && !x->told ? progress_of(r, x, now_us) : WAITS;
		if (p == WAITS)
			continue;
		memcpy(reply, x->reply, reply_bytes);
		if (p == TELLABLE) {
			x->told = true;
			x->heard_us = now_us;
			*text = page(r, x, 0);
		} else {
			drop(x);
			*text = strdup("{\"busy\":\"another owner, or not committed in time\"}");
		}
		return true;
	}
	return false;
}

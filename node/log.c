#include "node/log.h"

#include <errno.h>
#include <stdlib.h>

void log_init(struct log *l, uint32_t max_deltas, size_t max_bytes)
{
	*l = (struct log){.first = 1, .max_deltas = max_deltas, .max_bytes = max_bytes};
}

static struct log_entry *slot(const struct log *l, uint64_t number)
{
	return &l->ring[number & (l->room - 1)];
}

static void drop_oldest(struct log *l)
{
	struct log_entry *e = slot(l, l->first);
	l->bytes -= e->bytes;
	free(e->body);
	e->body = NULL;
	l->first++;
	l->n--;
}

void log_restart(struct log *l, uint64_t next)
{
	while (l->n)
		drop_oldest(l);
	l->first = next;
}

void log_fini(struct log *l)
{
	log_restart(l, 1);
	free(l->ring);
	l->ring = NULL;
	l->room = 0;
}

static int grow(struct log *l)
{
	uint32_t room = l->room ? 2 * l->room : 8;
	struct log_entry *ring = calloc(room, sizeof *ring);
	if (!ring)
		return -ENOMEM;
	for (uint64_t k = l->first; k < l->first + l->n; k++)
		ring[k & (room - 1)] = *slot(l, k);
	free(l->ring);
	l->ring = ring;
	l->room = room;
	return 0;
}

int log_append(struct log *l, struct log_entry e)
{
	while (l->n && (l->n >= l->max_deltas || l->bytes + e.bytes > l->max_bytes))
		drop_oldest(l);
	if (l->n == l->room && grow(l)) {
		free(e.body);
		log_restart(l, l->first + l->n + 1);
		return -ENOMEM;
	}
	*slot(l, l->first + l->n) = e;
	l->n++;
	l->bytes += e.bytes;
	return 0;
}

const struct log_entry *log_at(const struct log *l, uint64_t number)
{
	return number >= l->first && number < l->first + l->n ? slot(l, number) : NULL;
}

bool log_has_room(const struct log *l, uint64_t keep)
{
	uint64_t needed = l->first + l->n - keep; /* from keep on, and one more */
	return keep >= l->first + l->n || (needed < l->max_deltas && l->bytes < l->max_bytes / 2);
}

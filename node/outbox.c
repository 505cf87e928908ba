#include "node/outbox.h"

#include <stdlib.h>

void outbox_init(struct outbox *o, uint64_t self, uint64_t plan)
{
	*o = (struct outbox){.self = self, .plan = plan};
}

void outbox_fini(struct outbox *o)
{
	free(o->frames);
	free(o->bytes);
	*o = (struct outbox){0};
}

void outbox_clear(struct outbox *o)
{
	o->n = 0;
	o->used = 0;
}

static bool reserve(struct outbox *o, size_t bytes)
{
	if (o->n == o->room) {
		uint32_t room = o->room ? 2 * o->room : 64;
		void *p = realloc(o->frames, room * sizeof *o->frames);
		if (!p)
			return false;
		o->frames = p;
		o->room = room;
	}
	if (o->used + bytes <= o->size)
		return true;
	if (o->used + bytes > OUTBOX_MAX_BYTES)
		return false;
	size_t size = o->size ? o->size : 65536;
	while (size < o->used + bytes)
		size *= 2;
	void *p = realloc(o->bytes, size);
	if (!p)
		return false;
	o->bytes = p;
	o->size = size;
	return true;
}

void outbox_send(struct outbox *o, uint64_t to, struct wire_message *m)
{
	m->plan = o->plan;
	m->from = o->self;
	if (!reserve(o, wire_bound(m))) {
		o->refused++;
		return;
	}
	int64_t n = wire_encode(m, o->bytes + o->used, o->size - o->used);
	if (n < 0) {
		o->refused++;
		return;
	}
	o->frames[o->n++] = (struct outbox_frame){to, (uint8_t)m->kind, (uint32_t)n, o->used};
	o->used += (size_t)n;
}

/* buf.c: machine code under construction. */
#include <stdlib.h>
#include <string.h>

#include "jit/parts.h"

static void *grow(struct jit_buf *b, void *array, uint32_t want, uint32_t *room, size_t size)
{
	uint32_t bigger = *room ? *room : size == 1 ? 4096 : 256;
	void *moved;

	if (want <= *room)
		return array;
	while (bigger < want)
		bigger *= 2;
	moved = realloc(array, bigger * size);
	if (!moved) {
		b->failed = true;
		return array;
	}
	*room = bigger;
	return moved;
}

bool jit_room(struct jit_buf *b, uint32_t n)
{
	b->code = grow(b, b->code, b->n + n, &b->room, 1);
	return b->room - b->n >= n;
}

uint32_t jit_label(struct jit_buf *b)
{
	b->labels = grow(b, b->labels, b->n_labels + 1, &b->room_labels, sizeof(*b->labels));
	if (b->failed)
		return 0;
	b->labels[b->n_labels] = JIT_NO_LABEL;
	return b->n_labels++;
}

void jit_place_label(struct jit_buf *b, uint32_t label)
{
	if (!b->failed)
		b->labels[label] = b->n;
}

void jit_fixup(struct jit_buf *b, uint32_t at, uint32_t label)
{
	b->fixups = grow(b, b->fixups, b->n_fixups + 1, &b->room_fixups, sizeof(*b->fixups));
	if (!b->failed)
		b->fixups[b->n_fixups++] = (struct jit_fixup){at, label};
}

uint32_t jit_constant(struct jit_buf *b, const void *bytes, uint32_t n, uint32_t align)
{
	uint32_t at = (b->n_pool + align - 1) / align * align, label = jit_label(b);

	b->pool = grow(b, b->pool, at + n, &b->room_pool, 1);
	b->pooled = grow(b, b->pooled, b->n_pooled + 1, &b->room_pooled, sizeof(*b->pooled));
	if (b->failed)
		return 0;
	memset(b->pool + b->n_pool, 0, at - b->n_pool);
	memcpy(b->pool + at, bytes, n);
	b->n_pool = at + n;
	b->pooled[b->n_pooled++] = (struct jit_fixup){at, label};
	return label;
}

void jit_place_constants(struct jit_buf *b)
{
	static const uint8_t filling[64];

	if (b->n_pool == 0)
		return;
	jit_bytes(b, filling, -b->n % 64);
	for (uint32_t i = 0; i < b->n_pooled && !b->failed; i++)
		b->labels[b->pooled[i].label] = b->n + b->pooled[i].at;
	jit_bytes(b, b->pool, b->n_pool);
}

void jit_buf_fini(struct jit_buf *b)
{
	free(b->code);
	free(b->labels);
	free(b->fixups);
	free(b->pool);
	free(b->pooled);
}

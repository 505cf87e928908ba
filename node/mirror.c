/* mirror.c: see mirror.h. */
#include "node/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 16u

/* Before each copy; len UINT32_MAX: nothing more up to the end of the ring. */
struct record {
	uint64_t time_us;
	uint32_t len;
	uint32_t unused;
};

/* Bytes written and read since the beginning; the place is the count modulo MIRROR_RING_BYTES. Records are multiples of ALIGNMENT, so
 * one never splits a record head over the end. */
struct ring {
	uint64_t put __attribute__((aligned(64)));
	uint64_t lost;
	uint64_t got __attribute__((aligned(64)));
	uint8_t bytes[MIRROR_RING_BYTES];
};

struct mirror {
	struct capture_writer *out;
	enum mirror_class class;
	uint32_t cores;
	uint64_t written;
	struct ring *rings[];
};

_Static_assert(sizeof(struct record) == ALIGNMENT && MIRROR_RING_BYTES % ALIGNMENT == 0, "a record head is never split");

/* MIRROR_CLASS_COUNT: no class of that name. */
static enum mirror_class class_of(const char *word, size_t n)
{
	static const char *const words[] = {
#define MIRROR_WORD(name, text, test) text,
		MIRROR_CLASSES(MIRROR_WORD)
#undef MIRROR_WORD
	};
	int i = 0;

	while (i < MIRROR_CLASS_COUNT && (strlen(words[i]) != n || strncmp(word, words[i], n) != 0))
		i++;
	return (enum mirror_class)i;
}

const char *mirror_list_add(struct mirror_list *list, const char *text)
{
	const char *colon = strchr(text, ':');
	enum mirror_class class;

	if (!colon || !colon[1])
		return "--mirror takes CLASS:FILE, not ";
	class = class_of(text, (size_t)(colon - text));
	if (class == MIRROR_CLASS_COUNT)
		return "--mirror knows the classes log, accept, drop and error, not ";
	if (list->n == MIRROR_MAX)
		return "more than 4 times --mirror, from ";
	list->classes[list->n] = class;
	list->files[list->n++] = colon + 1;
	return NULL;
}

int mirrors_open(const struct mirror_list *list, uint32_t cores, struct mirror *mirrors[], char error[CAPTURE_ERROR_BYTES])
{
	int rc = 0;

	for (uint32_t i = 0; i < list->n && !rc; i++)
		rc = mirror_new(list->files[i], list->classes[i], cores, &mirrors[i], error);
	return rc;
}

static bool is_of_class(enum mirror_class class, const struct vfm_result *r)
{
	switch (class) {
#define MIRROR_TEST(name, word, test) \
	case MIRROR_##name: \
		return test;
		MIRROR_CLASSES(MIRROR_TEST)
#undef MIRROR_TEST
	default:
		return false;
	}
}

int mirror_new(const char *name, enum mirror_class class, uint32_t cores, struct mirror **out, char error[CAPTURE_ERROR_BYTES])
{
	struct mirror *m = calloc(1, sizeof(*m) + cores * sizeof(m->rings[0]));
	int rc = m ? 0 : -ENOMEM;

	*out = NULL;
	if (m) {
		m->class = class;
		m->cores = cores;
	}
	for (uint32_t i = 0; i < cores && !rc; i++) {
		m->rings[i] = aligned_alloc(64, sizeof(*m->rings[i]));
		if (!m->rings[i])
			rc = -ENOMEM;
		else
			m->rings[i]->put = m->rings[i]->got = m->rings[i]->lost = 0;
	}
	if (rc)
		snprintf(error, CAPTURE_ERROR_BYTES, "out of memory, the mirror %.200s: use fewer cores or mirrors", name);
	else
		rc = capture_create(name, &m->out, error);
	if (rc)
		mirror_free(m);
	else
		*out = m;
	return rc;
}

void mirror_offer(struct mirror *m, uint32_t core, const struct vfm_packet *packet, const struct vfm_result *r)
{
	struct ring *ring = m->rings[core];
	uint32_t need = (uint32_t)sizeof(struct record) + (packet->len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	uint32_t at = (uint32_t)(ring->put % MIRROR_RING_BYTES);
	uint32_t skip = MIRROR_RING_BYTES - at < need ? MIRROR_RING_BYTES - at : 0;
	struct record head = {.time_us = packet->time_us, .len = packet->len};

	if (!is_of_class(m->class, r))
		return;
	if (ring->put + skip + need - __atomic_load_n(&ring->got, __ATOMIC_ACQUIRE) > MIRROR_RING_BYTES) {
		__atomic_store_n(&ring->lost, ring->lost + 1, __ATOMIC_RELAXED);
		return;
	}
	if (skip) {
		memcpy(ring->bytes + at, &(struct record){.len = UINT32_MAX}, sizeof(struct record));
		at = 0;
	}
	memcpy(ring->bytes + at, &head, sizeof(head));
	memcpy(ring->bytes + at + sizeof(head), packet->data, packet->len);
	__atomic_store_n(&ring->put, ring->put + skip + need, __ATOMIC_RELEASE);
}

static uint32_t drain_ring(struct mirror *m, struct ring *ring)
{
	uint64_t end = __atomic_load_n(&ring->put, __ATOMIC_ACQUIRE), got = ring->got;
	uint32_t n = 0;

	while (got != end) {
		uint32_t at = (uint32_t)(got % MIRROR_RING_BYTES);
		struct record head;

		memcpy(&head, ring->bytes + at, sizeof(head));
		if (head.len == UINT32_MAX) {
			got += MIRROR_RING_BYTES - at;
		} else {
			capture_write(m->out, &(struct vfm_packet){.data = ring->bytes + at + sizeof(head),
								   .len = head.len,
								   .time_us = head.time_us});
			got += sizeof(head) + (head.len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
			n++;
		}
		__atomic_store_n(&ring->got, got, __ATOMIC_RELEASE);
	}
	return n;
}

uint32_t mirror_drain(struct mirror *m)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->cores; i++)
		n += drain_ring(m, m->rings[i]);
	m->written += n;
	return n;
}

uint64_t mirror_written(const struct mirror *m)
{
	return m->written;
}

uint64_t mirror_lost(const struct mirror *m)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < m->cores; i++)
		n += __atomic_load_n(&m->rings[i]->lost, __ATOMIC_RELAXED);
	return n;
}

int mirror_free(struct mirror *m)
{
	int rc;

	if (!m)
		return 0;
	if (m->out)
		mirror_drain(m);
	rc = capture_finish(m->out);
	for (uint32_t i = 0; i < m->cores; i++)
		free(m->rings[i]);
	free(m);
	return rc;
}

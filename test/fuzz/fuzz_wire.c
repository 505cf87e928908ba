/* fuzz_wire.c: the input as frames, each behind its length (two bytes, little-endian; too long a length: all that is left).
 *
 * A frame is refused, or encodes and decodes to the same message. A record that is taken goes into one shard's state, as a replica
 * would take it: never a fault, and afterwards the digest is that of a walk over everything, a snapshot of the state restores to an
 * equal one, and the shard can go on as an owner's. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "state/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_FRAMES 64

static struct delta_columns columns;
static struct snapshot_columns snapshot_columns;

static void require(int condition)
{
	if (!condition)
		abort();
}

/* Two tables that are written, one of them with time-out and preload, one that is shared, one that is not initialised. */
static struct sigma *empty_state(uint64_t layout_seed)
{
	struct table_config config = {.capacity = 12, .preload = 2, .idle_s = 5, .tracked = true, .layout_seed = layout_seed};
	struct shard *s = shard_new(4, 0);
	struct sigma *state;

	if (!s)
		abort();
	s->tables[0] = table_new(&config);
	config = (struct table_config){.capacity = 3, .tracked = true, .layout_seed = layout_seed};
	s->tables[1] = table_new(&config);
	config.tracked = false;
	s->tables[2] = table_new(&config);
	s->shared[2] = true;
	require(s->tables[0] && s->tables[1] && s->tables[2]);
	state = sigma_new(s, 1);
	require(state != NULL);
	return state;
}

static void free_state(struct sigma *s)
{
	struct table *shared = s->shard->tables[2];

	sigma_free(s);
	table_free(shared);
}

/* ---- the codec ---- */

static size_t element_bytes(enum wire_type type)
{
	return type == WIRE_C64 ? 8 : type == WIRE_C32 ? 4 : 1;
}

static void require_equal_fields(const struct wire_message *a, const struct wire_message *b)
{
	const struct wire_shape *shape = &wire_shapes[a->kind];

	require(a->kind == b->kind && a->plan == b->plan && a->from == b->from);
	for (unsigned i = 0; i < shape->n_fields; i++) {
		const struct wire_field *f = &shape->fields[i];
		const uint8_t *x = (const uint8_t *)&a->config + f->offset, *y = (const uint8_t *)&b->config + f->offset;
		struct wire_column c, d;

		if (f->type == WIRE_U64) {
			require(!memcmp(x, y, sizeof(uint64_t)));
			continue;
		}
		memcpy(&c, x, sizeof c);
		memcpy(&d, y, sizeof d);
		require(c.n == d.n && (!c.n || !memcmp(c.p, d.p, c.n * element_bytes(f->type))));
	}
}

/* Room for n bytes: a block of exactly that size, so that a sanitizer sees what goes beyond it. */
static uint8_t *encoded(const struct wire_message *m, size_t *n)
{
	uint8_t *frame = malloc(wire_bound(m));
	int64_t length = frame ? wire_encode(m, frame, wire_bound(m)) : 0;

	require(length > 0);
	*n = (size_t)length;
	return frame;
}

static void check_codec(const struct wire_message *m)
{
	struct wire_message again;
	size_t n, n_again;
	uint8_t *frame = encoded(m, &n), *frame_again;

	require(wire_decode(frame, n, &again) == 0 && wire_kind_of(frame, n) == m->kind);
	require_equal_fields(m, &again);
	frame_again = encoded(&again, &n_again);
	require(n == n_again && !memcmp(frame, frame_again, n));
	free(frame);
	free(frame_again);
}

/* ---- what a replica does with records ---- */

/* A second state from a snapshot of s. */
static struct sigma *copied(const struct sigma *s)
{
	struct sigma *copy = empty_state(7);
	struct snapshot walk;
	struct wire_message m = {.kind = WIRE_SIGMA};
	uint64_t from = 0, to = 0;
	uint8_t *frame;
	size_t n;

	snapshot_describe(s, &snapshot_columns, &m.sigma);
	frame = encoded(&m, &n);
	require(wire_decode(frame, n, &m) == 0 && snapshot_restore(copy, &m.sigma) == 0);
	free(frame);
	require(snapshot_begin(&walk, s) == 0);
	for (; to != UINT64_MAX; from = to + 1) {
		m.kind = WIRE_CHANGES;
		require(snapshot_chunk(&walk, s, from, 4, &columns, &m.changes, &to) == 0 && to >= from);
		require(delta_put_entries(copy, &m.changes) == 0);
	}
	snapshot_end(&walk);
	return copy;
}

/* The state becomes an owner's: insertions, evictions and expiry, and a delta of what they changed. */
static void go_on(struct sigma *s, uint64_t key)
{
	struct wire_message m = {.kind = WIRE_CHANGES};
	uint8_t *frame;
	size_t n;

	for (uint64_t i = 0; i < 20; i++) {
		shard_set_time(s->shard, s->shard->clock_us + i * 200000);
		shard_store(s->shard, i & 3, key + i / 2, i);
		shard_delete(s->shard, i & 1, key + i / 3);
	}
	require(delta_make(s, s->made_in + 1, DELTA_NOTHING, NULL, 0, &columns, &m.changes) == 0);
	frame = encoded(&m, &n);
	free(frame);
	require(sigma_digest(s) == sigma_digest_full(s));
}

static void check_state(struct sigma *s, uint64_t key)
{
	struct sigma *copy;

	require(sigma_digest(s) == sigma_digest_full(s));
	copy = copied(s);
	require(sigma_digest(copy) == sigma_digest(s) && sigma_digest_full(copy) == sigma_digest(s));
	table_settle(copy->shard->tables[0], copy->shard->now_s);
	require(sigma_digest(copy) == sigma_digest_full(s));
	go_on(copy, key);
	free_state(copy);
}

/* Epochs do not go back. */
static void take_changes(struct sigma **s, const struct wire_message *m)
{
	uint64_t epoch = (*s)->made_in + (!(*s)->made_in || (m->from & 1));

	if ((*s)->number >= SIGMA_MAX_NUMBER || epoch >= SIGMA_MAX_NUMBER)
		return;
	require(!(*s)->made_in || delta_apply(*s, (*s)->made_in - 1, &m->changes) == -EPROTO);
	int err = delta_apply(*s, epoch, &m->changes);
	require(err <= 0);
	if (err) {
		free_state(*s);
		*s = empty_state(3);
	}
}

static void take_sigma(struct sigma **s, const struct wire_sigma *w)
{
	struct sigma *fresh = empty_state(5);

	if (snapshot_restore(fresh, w) || fresh->made_in >= SIGMA_MAX_NUMBER) {
		free_state(fresh);
		return;
	}
	free_state(*s);
	*s = fresh;
}

static void take_frame(struct sigma **s, const uint8_t *frame, size_t n, bool inside);

static void take_inside(struct sigma **s, struct wire_bytes b)
{
	take_frame(s, b.p, b.n, true);
}

static void take_frame(struct sigma **s, const uint8_t *frame, size_t n, bool inside)
{
	struct wire_message m;

	if (wire_decode(frame, n, &m))
		return;
	check_codec(&m);
	if (m.kind == WIRE_CHANGES && inside && !m.changes.counters.n)
		(void)delta_put_entries(*s, &m.changes); /* a chunk's body has entries alone */
	else if (m.kind == WIRE_CHANGES)
		take_changes(s, &m);
	else if (m.kind == WIRE_SIGMA)
		take_sigma(s, &m.sigma);
	else if (m.kind == WIRE_CHUNK && !inside)
		take_inside(s, m.chunk.sigma);
	if (m.kind == WIRE_CHUNK && !inside)
		take_inside(s, m.chunk.body);
	if (m.kind == WIRE_DELTA && !inside)
		take_inside(s, m.delta.body);
	check_state(*s, m.plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sigma *s = empty_state(1);

	for (int i = 0; i < MAX_FRAMES && size >= 2; i++) {
		size_t n = data[0] | (size_t)data[1] << 8;

		data += 2;
		size -= 2;
		if (n > size)
			n = size;
		take_frame(&s, data, n, false);
		data += n;
		size -= n;
	}
	free_state(s);
	delta_columns_fini(&columns);
	return 0;
}

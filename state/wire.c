/* wire.c: the codec over the rows of wire.h. The encoder is msgpack-c's packer; the decoder is a reader of the flat subset that
 * frames use, because a general unpacker allocates by counts it has not checked (tests hold the two to each other). */
#include "state/wire.h"

#include <errno.h>
#include <msgpack.h>
#include <stdbool.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "columns are host arrays");

#define WIRE_FIELD(T, type, name, limit, doc) {#name, WIRE_##type, (limit), offsetof(struct wire_##T, name), doc},
#define WIRE_FIELD_TABLE(KIND, name, class, doc) \
	static const struct wire_field fields_##name[] = {WIRE_FIELDS_##KIND(WIRE_FIELD, name)};
WIRE_MESSAGES(WIRE_FIELD_TABLE)

#define WIRE_SHAPE(KIND, name, class, doc) \
	[WIRE_##KIND] = {#KIND, class, sizeof fields_##name / sizeof *fields_##name, fields_##name, doc},
const struct wire_shape wire_shapes[WIRE_KINDS] = {WIRE_MESSAGES(WIRE_SHAPE)};

#define HEADER_FIELDS 4

static unsigned element_bytes(enum wire_type type)
{
	return type == WIRE_C64 ? 8 : type == WIRE_C32 ? 4 : 1;
}

/* Where the message's union starts: every message struct is at offset 0 of it. */
static void *body_of(struct wire_message *m)
{
	return &m->config;
}

struct room {
	uint8_t *p;
	size_t used, size;
};

static int put_bytes(void *arg, const char *bytes, size_t n)
{
	struct room *r = arg;
	if (n > r->size - r->used)
		return -1;
	if (n)
		memcpy(r->p + r->used, bytes, n);
	r->used += n;
	return 0;
}

size_t wire_bound(const struct wire_message *m)
{
	const struct wire_shape *s = &wire_shapes[m->kind];
	const uint8_t *body = (const uint8_t *)&m->config;
	size_t n = 32;
	for (unsigned i = 0; i < s->n_fields; i++) {
		const struct wire_field *f = &s->fields[i];
		n += 9;
		if (f->type != WIRE_U64)
			n += (size_t)((const struct wire_bytes *)(body + f->offset))->n * element_bytes(f->type);
	}
	return n;
}

/* wire_bytes and wire_column have one layout: pointer and count. */
_Static_assert(sizeof(struct wire_bytes) == sizeof(struct wire_column), "one layout");
_Static_assert(offsetof(struct wire_bytes, n) == offsetof(struct wire_column, n), "one layout");

static int pack_field(msgpack_packer *pk, const struct wire_field *f, const uint8_t *body)
{
	if (f->type == WIRE_U64) {
		uint64_t v;
		memcpy(&v, body + f->offset, sizeof v);
		if (f->limit && v > f->limit)
			return -EINVAL;
		return msgpack_pack_uint64(pk, v) ? -ENOSPC : 0;
	}
	struct wire_bytes b;
	memcpy(&b, body + f->offset, sizeof b);
	if (b.n > f->limit)
		return -EINVAL;
	size_t bytes = (size_t)b.n * element_bytes(f->type);
	if (msgpack_pack_bin(pk, bytes) || msgpack_pack_bin_body(pk, b.p, bytes))
		return -ENOSPC;
	return 0;
}

int64_t wire_encode(const struct wire_message *m, uint8_t *frame, size_t room)
{
	if (m->kind <= WIRE_NONE || m->kind >= WIRE_KINDS)
		return -EINVAL;
	const struct wire_shape *s = &wire_shapes[m->kind];
	struct room r = {frame, 0, room < WIRE_MAX_FRAME_BYTES ? room : WIRE_MAX_FRAME_BYTES};
	msgpack_packer pk;
	msgpack_packer_init(&pk, &r, put_bytes);
	if (msgpack_pack_array(&pk, HEADER_FIELDS + s->n_fields) || msgpack_pack_uint64(&pk, WIRE_VERSION) ||
	    msgpack_pack_uint64(&pk, m->kind) || msgpack_pack_uint64(&pk, m->plan) || msgpack_pack_uint64(&pk, m->from))
		return -ENOSPC;
	for (unsigned i = 0; i < s->n_fields; i++) {
		int err = pack_field(&pk, &s->fields[i], (const uint8_t *)&m->config);
		if (err)
			return err;
	}
	return (int64_t)r.used;
}

struct reader {
	const uint8_t *p;
	const uint8_t *end;
};

/* n big-endian bytes. */
static bool read_be(struct reader *r, unsigned n, uint64_t *v)
{
	if ((size_t)(r->end - r->p) < n)
		return false;
	*v = 0;
	for (unsigned i = 0; i < n; i++)
		*v = *v << 8 | *r->p++;
	return true;
}

static bool read_u64(struct reader *r, uint64_t *v)
{
	if (r->p == r->end)
		return false;
	uint8_t tag = *r->p++;
	if (tag < 0x80) {
		*v = tag;
		return true;
	}
	return tag >= 0xcc && tag <= 0xcf && read_be(r, 1u << (tag - 0xcc), v);
}

static bool read_bin(struct reader *r, struct wire_bytes *b)
{
	if (r->p == r->end)
		return false;
	uint8_t tag = *r->p++;
	uint64_t n;
	if (tag < 0xc4 || tag > 0xc6 || !read_be(r, 1u << (tag - 0xc4), &n) || n > (size_t)(r->end - r->p))
		return false;
	b->p = r->p;
	b->n = (uint32_t)n;
	r->p += n;
	return true;
}

static bool read_array(struct reader *r, uint64_t *n)
{
	if (r->p == r->end)
		return false;
	uint8_t tag = *r->p++;
	if ((tag & 0xf0) == 0x90) {
		*n = tag & 0x0f;
		return true;
	}
	return tag == 0xdc && read_be(r, 2, n);
}

static bool read_field(struct reader *r, const struct wire_field *f, uint8_t *body)
{
	if (f->type == WIRE_U64) {
		uint64_t v;
		if (!read_u64(r, &v) || (f->limit && v > f->limit))
			return false;
		memcpy(body + f->offset, &v, sizeof v);
		return true;
	}
	struct wire_bytes b;
	unsigned size = element_bytes(f->type);
	if (!read_bin(r, &b) || b.n % size || b.n / size > f->limit)
		return false;
	b.n /= size;
	memcpy(body + f->offset, &b, sizeof b);
	return true;
}

enum wire_kind wire_kind_of(const uint8_t *frame, size_t n_bytes)
{
	struct reader r = {frame, frame + n_bytes};
	uint64_t n, version, kind;
	if (!read_array(&r, &n) || !read_u64(&r, &version) || !read_u64(&r, &kind) || kind >= WIRE_KINDS)
		return WIRE_NONE;
	return (enum wire_kind)kind;
}

int wire_decode(const uint8_t *frame, size_t n_bytes, struct wire_message *m)
{
	if (n_bytes > WIRE_MAX_FRAME_BYTES)
		return -EPROTO;
	struct reader r = {frame, frame + n_bytes};
	uint64_t n, version, kind;
	if (!read_array(&r, &n) || n < HEADER_FIELDS || !read_u64(&r, &version))
		return -EPROTO;
	if (version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (!read_u64(&r, &kind) || kind <= WIRE_NONE || kind >= WIRE_KINDS || !read_u64(&r, &m->plan) || !read_u64(&r, &m->from))
		return -EPROTO;
	const struct wire_shape *s = &wire_shapes[kind];
	if (n != HEADER_FIELDS + s->n_fields)
		return -EPROTO;
	m->kind = (enum wire_kind)kind;
	for (unsigned i = 0; i < s->n_fields; i++)
		if (!read_field(&r, &s->fields[i], body_of(m)))
			return -EPROTO;
	return r.p == r.end ? 0 : -EPROTO;
}

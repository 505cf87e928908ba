/* check_term.c: hash-consed bit vectors and terms. */
#include <stdlib.h>
#include <string.h>

#include "analysis/check_term.h"

#define MAX_VECS    (1u << 17)
#define MAX_TERMS   (1u << 17)
#define FIRST_SLOTS 1024u

struct vec {
	uint32_t origin[VEC_BITS];
	uint64_t value; /* if constant */
	bool constant;
	bool known; /* no unknown bit */
	uint8_t width;
};

struct term_pool {
	bool failed;
	uint32_t n_vecs, vec_room;
	uint32_t n_terms, term_room;
	struct vec *vecs;
	struct term *terms;
	struct slots {
		uint32_t n;   /* a power of two, at least twice the entries: probing ends */
		uint32_t *id; /* id + 1; 0: empty */
	} vec_slots, term_slots;
};

void term_pool_free(struct term_pool *p)
{
	if (!p)
		return;
	free(p->vecs);
	free(p->terms);
	free(p->vec_slots.id);
	free(p->term_slots.id);
	free(p);
}

bool term_pool_failed(const struct term_pool *p)
{
	return p->failed;
}

static uint32_t hash_bytes(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a */

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return (uint32_t)(h ^ h >> 32);
}

/* Makes room for one more element; false (and failed) when there is none to be had. */
static bool reserve(struct term_pool *p, void **array, uint32_t used, uint32_t *room, uint32_t limit, size_t size)
{
	uint32_t want = *room ? *room * 2 : 256;
	void *grown;

	if (used < *room)
		return true;
	grown = used < limit ? realloc(*array, want * size) : NULL;
	if (!grown) {
		p->failed = true;
		return false;
	}
	*array = grown;
	*room = want;
	return true;
}

/* What follows from the origins alone. */
static void describe(struct vec *v)
{
	v->constant = v->known = true;
	v->value = 0;
	v->width = 0;
	for (unsigned i = 0; i < VEC_BITS; i++) {
		v->constant = v->constant && v->origin[i] <= ORIGIN_1;
		v->known = v->known && v->origin[i] != ORIGIN_UNKNOWN;
		if (v->origin[i] == ORIGIN_1)
			v->value |= 1ULL << i;
		if (v->origin[i] != ORIGIN_0)
			v->width = (uint8_t)(i + 1);
	}
}

/* Doubles the slots when half of them are taken; hash_of(p, id) gives an entry's hash. */
static bool grow_slots(struct term_pool *p, struct slots *s, uint32_t entries,
		       uint32_t (*hash_of)(const struct term_pool *p, uint32_t id))
{
	uint32_t n = s->n ? s->n * 2 : FIRST_SLOTS;
	uint32_t *id;

	if (entries * 2 < s->n)
		return true;
	id = calloc(n, sizeof(*id));
	if (!id) {
		p->failed = true;
		return false;
	}
	for (uint32_t i = 0; i < entries; i++) {
		uint32_t at = hash_of(p, i) & (n - 1);

		while (id[at])
			at = (at + 1) & (n - 1);
		id[at] = i + 1;
	}
	free(s->id);
	s->id = id;
	s->n = n;
	return true;
}

static uint32_t hash_vec(const struct term_pool *p, uint32_t id)
{
	return hash_bytes(p->vecs[id].origin, sizeof(p->vecs[id].origin));
}

static uint32_t hash_term(const struct term_pool *p, uint32_t id)
{
	return hash_bytes(&p->terms[id], sizeof(p->terms[id]));
}

static uint32_t intern_vec(struct term_pool *p, const uint32_t origin[VEC_BITS])
{
	size_t bytes = VEC_BITS * sizeof(origin[0]);
	uint32_t at;

	if (!grow_slots(p, &p->vec_slots, p->n_vecs, hash_vec))
		return 0;
	for (at = hash_bytes(origin, bytes); p->vec_slots.id[at & (p->vec_slots.n - 1)]; at++) {
		uint32_t id = p->vec_slots.id[at & (p->vec_slots.n - 1)] - 1;

		if (!memcmp(p->vecs[id].origin, origin, bytes))
			return id;
	}
	if (!reserve(p, (void **)&p->vecs, p->n_vecs, &p->vec_room, MAX_VECS, sizeof(*p->vecs)))
		return 0;
	memcpy(p->vecs[p->n_vecs].origin, origin, bytes);
	describe(&p->vecs[p->n_vecs]);
	p->vec_slots.id[at & (p->vec_slots.n - 1)] = ++p->n_vecs;
	return p->n_vecs - 1;
}

/* width: the term's value is below 2^width, a function of the other arguments. */
static uint32_t intern_term(struct term_pool *p, uint32_t op, uint32_t a, uint32_t b, uint64_t imm, unsigned width)
{
	struct term t;
	uint32_t at;

	memset(&t, 0, sizeof(t)); /* padding is hashed */
	t.op = op;
	t.a = a;
	t.b = b;
	t.imm = imm;
	t.width = width;
	if (!grow_slots(p, &p->term_slots, p->n_terms, hash_term))
		return 0;
	for (at = hash_bytes(&t, sizeof(t)); p->term_slots.id[at & (p->term_slots.n - 1)]; at++) {
		uint32_t id = p->term_slots.id[at & (p->term_slots.n - 1)] - 1;

		if (!memcmp(&p->terms[id], &t, sizeof(t)))
			return id;
	}
	if (!reserve(p, (void **)&p->terms, p->n_terms, &p->term_room, MAX_TERMS, sizeof(*p->terms)))
		return 0;
	p->terms[p->n_terms] = t;
	p->term_slots.id[at & (p->term_slots.n - 1)] = ++p->n_terms;
	return p->n_terms - 1;
}

uint32_t vec_const(struct term_pool *p, uint64_t v)
{
	uint32_t origin[VEC_BITS];

	for (unsigned i = 0; i < VEC_BITS; i++)
		origin[i] = v >> i & 1 ? ORIGIN_1 : ORIGIN_0;
	return intern_vec(p, origin);
}

struct term_pool *term_pool_new(void)
{
	struct term_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	vec_const(p, 0); /* vector 0 is what a failed pool gives back */
	if (p->failed) {
		term_pool_free(p);
		return NULL;
	}
	return p;
}

uint32_t vec_unknown(struct term_pool *p, unsigned bits)
{
	uint32_t origin[VEC_BITS];

	for (unsigned i = 0; i < VEC_BITS; i++)
		origin[i] = i < bits ? ORIGIN_UNKNOWN : ORIGIN_0;
	return intern_vec(p, origin);
}

/* The low `bits` bits are the term's. */
static uint32_t vec_of_term(struct term_pool *p, uint32_t term, unsigned bits)
{
	uint32_t origin[VEC_BITS];

	for (unsigned i = 0; i < VEC_BITS; i++)
		origin[i] = i < bits ? origin_of(term, i) : ORIGIN_0;
	return intern_vec(p, origin);
}

const uint32_t *vec_origins(const struct term_pool *p, uint32_t vec)
{
	return p->vecs[vec].origin;
}

bool vec_is_known(const struct term_pool *p, uint32_t vec)
{
	return p->vecs[vec].known;
}

bool vec_is_const(const struct term_pool *p, uint32_t vec, uint64_t *v)
{
	*v = p->vecs[vec].value;
	return p->vecs[vec].constant;
}

unsigned vec_width(const struct term_pool *p, uint32_t vec)
{
	return p->vecs[vec].width;
}

/* The term that vec is, bit for bit from bit 0; false if it is none. */
static bool whole_term(const struct term_pool *p, uint32_t vec, uint32_t *term)
{
	const struct vec *v = &p->vecs[vec];

	if (!origin_is_term(v->origin[0]))
		return false;
	*term = origin_term(v->origin[0]);
	if (v->width != p->terms[*term].width)
		return false;
	for (unsigned i = 0; i < v->width; i++)
		if (v->origin[i] != origin_of(*term, i))
			return false;
	return true;
}

void vec_split_sum(const struct term_pool *p, uint32_t vec, uint32_t *base, uint64_t *offset)
{
	uint32_t term;

	*base = vec;
	*offset = 0;
	if (vec_is_const(p, vec, offset)) {
		*base = VEC_NONE;
	} else {
		*offset = 0;
		if (whole_term(p, vec, &term) && p->terms[term].op == TERM_ADD_CONST) {
			*base = p->terms[term].a;
			*offset = p->terms[term].imm;
		}
	}
}

bool vec_is_length(const struct term_pool *p, uint32_t vec)
{
	uint32_t term;

	return whole_term(p, vec, &term) && p->terms[term].op == VFM_OP_PKTLEN;
}

uint32_t vec_load(struct term_pool *p, uint32_t offset_vec, unsigned bytes)
{
	uint32_t origin[VEC_BITS] = {0};
	uint32_t base;
	uint64_t offset;

	if (!p->vecs[offset_vec].known)
		return vec_unknown(p, bytes * 8);
	vec_split_sum(p, offset_vec, &base, &offset);
	for (unsigned i = 0; i < bytes; i++) {
		uint32_t term = intern_term(p, TERM_BYTE, base, VEC_NONE, offset + i, 8);

		for (unsigned bit = 0; bit < 8; bit++)
			origin[(bytes - 1 - i) * 8 + bit] = origin_of(term, bit);
	}
	return intern_vec(p, origin);
}

uint32_t vec_leaf(struct term_pool *p, uint8_t op, uint64_t imm)
{
	/* Lengths, offsets and protocols fit 16 bits, port numbers 32; hashes fill the word. */
	unsigned bits = op == VFM_OP_HDR || op == VFM_OP_PKTLEN ? 16 : op == VFM_OP_INPUT ? 32 : 64;

	return vec_of_term(p, intern_term(p, op == VFM_OP_HDR ? (uint32_t)TERM_HDR : op, VEC_NONE, VEC_NONE, imm, bits), bits);
}

/* An operation whose bits cannot be followed: a term if both operands are known, cut to width bits. */
static uint32_t opaque(struct term_pool *p, uint32_t op, uint32_t a, uint32_t b, uint64_t imm, unsigned width)
{
	bool known = p->vecs[a].known && (b == VEC_NONE || p->vecs[b].known);

	if (!known)
		return vec_unknown(p, width);
	return vec_of_term(p, intern_term(p, op, a, b, imm, width), width);
}

/* Bit i of a op b where it follows from the two bits alone; ORIGIN_UNKNOWN if not. */
static uint32_t bitwise(uint8_t op, uint32_t x, uint32_t y)
{
	if (y <= ORIGIN_1) {
		uint32_t swap = x;

		x = y;
		y = swap;
	}
	switch (op) {
	case VFM_OP_AND:
		return x == ORIGIN_0 ? ORIGIN_0 : x == ORIGIN_1 || x == y ? y : ORIGIN_UNKNOWN;
	case VFM_OP_OR:
		return x == ORIGIN_1 ? ORIGIN_1 : x == ORIGIN_0 || x == y ? y : ORIGIN_UNKNOWN;
	default: /* XOR */
		if (x == ORIGIN_0)
			return y;
		if (x == ORIGIN_1 && y <= ORIGIN_1)
			return 1 - y;
		return x == y && x != ORIGIN_UNKNOWN ? ORIGIN_0 : ORIGIN_UNKNOWN;
	}
}

static uint32_t vec_bitwise(struct term_pool *p, uint8_t op, uint32_t a, uint32_t b)
{
	bool known = p->vecs[a].known && p->vecs[b].known;
	uint32_t origin[VEC_BITS];

	for (unsigned i = 0; i < VEC_BITS; i++) {
		origin[i] = bitwise(op, p->vecs[a].origin[i], p->vecs[b].origin[i]);
		if (origin[i] == ORIGIN_UNKNOWN && known)
			origin[i] = origin_of(intern_term(p, op, a < b ? a : b, a < b ? b : a, 0, VEC_BITS), i);
	}
	return intern_vec(p, origin);
}

/* Shift left by n (negative: right). */
static uint32_t vec_shift(struct term_pool *p, uint32_t a, int n)
{
	uint32_t origin[VEC_BITS];

	for (int i = 0; i < VEC_BITS; i++)
		origin[i] = i - n >= 0 && i - n < VEC_BITS ? p->vecs[a].origin[i - n] : ORIGIN_0;
	return intern_vec(p, origin);
}

static uint32_t vec_add_const(struct term_pool *p, uint32_t a, uint64_t c)
{
	uint32_t base;
	uint64_t offset;
	unsigned width = 64;

	vec_split_sum(p, a, &base, &offset);
	if (base == VEC_NONE)
		return vec_const(p, offset + c);
	offset += c;
	if (offset == 0)
		return base;
	/* base < 2^w and offset < 2^w give a sum below 2^(w+1). */
	if (p->vecs[base].width < 63 && offset >> 62 == 0) {
		width = p->vecs[base].width;
		while (width < 63 && offset >> width)
			width++;
		width++;
	}
	return opaque(p, TERM_ADD_CONST, base, VEC_NONE, offset, width);
}

static bool no_carry(const struct term_pool *p, uint32_t a, uint32_t b)
{
	for (unsigned i = 0; i < VEC_BITS; i++)
		if (p->vecs[a].origin[i] != ORIGIN_0 && p->vecs[b].origin[i] != ORIGIN_0)
			return false;
	return true;
}

static uint32_t vec_add(struct term_pool *p, uint32_t a, uint32_t b)
{
	uint64_t c;

	if (no_carry(p, a, b))
		return vec_bitwise(p, VFM_OP_OR, a, b);
	if (vec_is_const(p, b, &c))
		return vec_add_const(p, a, c);
	if (vec_is_const(p, a, &c))
		return vec_add_const(p, b, c);
	return opaque(p, VFM_OP_ADD, a < b ? a : b, a < b ? b : a, 0, 64);
}

static bool power_of_two(uint64_t c)
{
	return c && !(c & (c - 1));
}

static uint32_t vec_multiply(struct term_pool *p, uint32_t a, uint32_t b)
{
	uint64_t c, d;

	if (vec_is_const(p, a, &c) && vec_is_const(p, b, &d))
		return vec_const(p, c * d);
	if (vec_is_const(p, a, &c) && power_of_two(c))
		return vec_shift(p, b, __builtin_ctzll(c));
	if (vec_is_const(p, b, &c) && power_of_two(c))
		return vec_shift(p, a, __builtin_ctzll(c));
	return opaque(p, VFM_OP_MUL, a < b ? a : b, a < b ? b : a, 0, 64);
}

static uint32_t vec_divide(struct term_pool *p, uint8_t op, uint32_t a, uint32_t b)
{
	uint64_t c, d;

	if (vec_is_const(p, b, &d) && power_of_two(d))
		return op == VFM_OP_DIV ? vec_shift(p, a, -__builtin_ctzll(d)) : vec_bitwise(p, VFM_OP_AND, a, vec_const(p, d - 1));
	if (vec_is_const(p, a, &c) && vec_is_const(p, b, &d) && d)
		return vec_const(p, op == VFM_OP_DIV ? c / d : c % d);
	return opaque(p, op, a, b, 0, 64);
}

uint32_t vec_binary(struct term_pool *p, uint8_t op, uint32_t a, uint32_t b)
{
	uint64_t c;

	switch (op) {
	case VFM_OP_ADD:
		return vec_add(p, a, b);
	case VFM_OP_SUB:
		if (vec_is_const(p, b, &c))
			return vec_add_const(p, a, -c);
		return opaque(p, op, a, b, 0, 64);
	case VFM_OP_MUL:
		return vec_multiply(p, a, b);
	case VFM_OP_DIV:
	case VFM_OP_MOD:
		return vec_divide(p, op, a, b);
	case VFM_OP_AND:
	case VFM_OP_OR:
	case VFM_OP_XOR:
		return vec_bitwise(p, op, a, b);
	case VFM_OP_SHL:
	case VFM_OP_SHR:
		if (vec_is_const(p, b, &c))
			return vec_shift(p, a, op == VFM_OP_SHL ? (int)(c & 63) : -(int)(c & 63));
		return opaque(p, op, a, b, 0, 64);
	default: /* MIX; its value depends on the plan's seed, so it is never folded */
		return opaque(p, op, a, b, 0, 64);
	}
}

uint32_t vec_unary(struct term_pool *p, uint8_t op, uint32_t a)
{
	uint64_t c;

	if (vec_is_const(p, a, &c))
		return vec_const(p, op == VFM_OP_NOT ? ~c : -c);
	return opaque(p, op, a, VEC_NONE, 0, 64);
}

/* check_fact.c: conjunctions of facts about the packet. */
#include <string.h>

#include "analysis/check_fact.h"

void facts_none(struct facts *f)
{
	memset(f, 0, sizeof(*f));
	f->length_hi = VFM_MAX_PACKET_BYTES;
}

static bool same_byte(const struct fact_byte *a, const struct fact_byte *b)
{
	return a->term == b->term && a->index == b->index && a->mask == b->mask && a->value == b->value;
}

static bool same_pattern(const struct fact_pattern *a, const struct fact_pattern *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!same_byte(&a->part[i], &b->part[i]))
			return false;
	return true;
}

static bool same_end(const struct fact_end *a, const struct fact_end *b)
{
	return a->base == b->base && a->end == b->end && a->at_least == b->at_least;
}

bool facts_equal(const struct facts *a, const struct facts *b)
{
	if (a->length_lo != b->length_lo || a->length_hi != b->length_hi || a->n_bytes != b->n_bytes ||
	    a->n_patterns != b->n_patterns || a->n_ends != b->n_ends)
		return false;
	for (uint32_t i = 0; i < a->n_bytes; i++)
		if (!same_byte(&a->bytes[i], &b->bytes[i]))
			return false;
	for (uint32_t i = 0; i < a->n_patterns; i++)
		if (!same_pattern(&a->patterns[i], &b->patterns[i]))
			return false;
	for (uint32_t i = 0; i < a->n_ends; i++)
		if (!same_end(&a->ends[i], &b->ends[i]))
			return false;
	return true;
}

static const struct fact_byte *find_byte(const struct facts *f, uint32_t term, uint8_t index)
{
	for (uint32_t i = 0; i < f->n_bytes; i++)
		if (f->bytes[i].term == term && f->bytes[i].index == index)
			return &f->bytes[i];
	return NULL;
}

enum truth { FALSE_FOR_SURE, TRUE_FOR_SURE, OPEN };

/* Do all parts of the pattern hold under f? */
static enum truth pattern_truth(const struct facts *f, const struct fact_pattern *p)
{
	enum truth t = TRUE_FOR_SURE;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct fact_byte *known = find_byte(f, p->part[i].term, p->part[i].index);
		uint8_t mask = known ? known->mask & p->part[i].mask : 0;

		if (known && ((known->value ^ p->part[i].value) & mask))
			return FALSE_FOR_SURE;
		if (mask != p->part[i].mask)
			t = OPEN;
	}
	return t;
}

static bool no_pattern_holds(const struct facts *f)
{
	for (uint32_t i = 0; i < f->n_patterns; i++)
		if (pattern_truth(f, &f->patterns[i]) == TRUE_FOR_SURE)
			return false;
	return true;
}

/* Adds one byte; false if it contradicts what is known of that byte. A full list forgets it. */
static bool add_byte(struct facts *f, const struct fact_byte *b)
{
	uint32_t i = 0;

	while (i < f->n_bytes && (f->bytes[i].term < b->term || (f->bytes[i].term == b->term && f->bytes[i].index < b->index)))
		i++;
	if (i < f->n_bytes && f->bytes[i].term == b->term && f->bytes[i].index == b->index) {
		if ((f->bytes[i].value ^ b->value) & f->bytes[i].mask & b->mask)
			return false;
		f->bytes[i].mask |= b->mask;
		f->bytes[i].value |= b->value;
		return true;
	}
	if (f->n_bytes == FACT_MAX_BYTES)
		return true;
	memmove(&f->bytes[i + 1], &f->bytes[i], (f->n_bytes - i) * sizeof(f->bytes[0]));
	f->bytes[i] = *b;
	f->n_bytes++;
	return true;
}

static void add_pattern(struct facts *f, const struct fact_pattern *p)
{
	for (uint32_t i = 0; i < f->n_patterns; i++)
		if (same_pattern(&f->patterns[i], p))
			return;
	if (f->n_patterns < FACT_MAX_PATTERNS)
		f->patterns[f->n_patterns++] = *p;
}

/* False: an end known to be inside lies at or beyond one known to be outside. */
static bool add_end(struct facts *f, const struct fact_end *e)
{
	struct fact_end *same = NULL;

	for (uint32_t i = 0; i < f->n_ends; i++) {
		struct fact_end *have = &f->ends[i];

		if (have->base != e->base)
			continue;
		if (have->at_least == e->at_least)
			same = have;
		else if (have->at_least ? have->end >= e->end : e->end >= have->end)
			return false;
	}
	if (!same && f->n_ends < FACT_MAX_ENDS)
		f->ends[f->n_ends++] = *e;
	else if (same && (e->at_least ? e->end > same->end : e->end < same->end))
		same->end = e->end;
	return true;
}

/* Keeps of into's ends what other implies too. */
static void join_ends(struct facts *into, const struct facts *other)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < into->n_ends; i++)
		for (uint32_t j = 0; j < other->n_ends; j++) {
			struct fact_end e = into->ends[i];

			if (e.base != other->ends[j].base || e.at_least != other->ends[j].at_least)
				continue;
			if (e.at_least ? other->ends[j].end < e.end : other->ends[j].end > e.end)
				e.end = other->ends[j].end;
			into->ends[kept++] = e;
			break;
		}
	into->n_ends = kept;
}

static bool excludes(const struct facts *f, const struct fact_pattern *p)
{
	for (uint32_t i = 0; i < f->n_patterns; i++)
		if (same_pattern(&f->patterns[i], p))
			return true;
	return pattern_truth(f, p) == FALSE_FOR_SURE;
}

void facts_join(struct facts *into, const struct facts *other)
{
	struct facts old = *into;

	if (other->length_lo < into->length_lo)
		into->length_lo = other->length_lo;
	if (other->length_hi > into->length_hi)
		into->length_hi = other->length_hi;
	into->n_patterns = 0;
	for (uint32_t i = 0; i < old.n_patterns; i++)
		if (excludes(other, &old.patterns[i]))
			add_pattern(into, &old.patterns[i]);
	for (uint32_t i = 0; i < other->n_patterns; i++)
		if (excludes(&old, &other->patterns[i]))
			add_pattern(into, &other->patterns[i]);
	into->n_bytes = 0;
	for (uint32_t i = 0; i < old.n_bytes; i++) {
		struct fact_byte b = old.bytes[i];
		const struct fact_byte *o = find_byte(other, b.term, b.index);

		if (!o)
			continue;
		b.mask &= o->mask & (uint8_t) ~(b.value ^ o->value);
		b.value &= b.mask;
		if (b.mask)
			into->bytes[into->n_bytes++] = b;
	}
	join_ends(into, other);
}

bool facts_meet(struct facts *into, const struct facts *other)
{
	if (other->length_lo > into->length_lo)
		into->length_lo = other->length_lo;
	if (other->length_hi < into->length_hi)
		into->length_hi = other->length_hi;
	if (into->length_lo > into->length_hi)
		return false;
	for (uint32_t i = 0; i < other->n_bytes; i++)
		if (!add_byte(into, &other->bytes[i]))
			return false;
	for (uint32_t i = 0; i < other->n_ends; i++)
		if (!add_end(into, &other->ends[i]))
			return false;
	/* First with all of both bytes known, then kept as far as there is room. */
	for (uint32_t i = 0; i < other->n_patterns; i++) {
		if (pattern_truth(into, &other->patterns[i]) == TRUE_FOR_SURE)
			return false;
		add_pattern(into, &other->patterns[i]);
	}
	return no_pattern_holds(into);
}

uint32_t facts_resolve(const struct facts *f, uint32_t origin)
{
	const struct fact_byte *known;
	unsigned bit;

	if (!origin_is_term(origin))
		return origin;
	bit = origin_bit(origin);
	known = find_byte(f, origin_term(origin), (uint8_t)(bit / 8));
	if (!known || !(known->mask >> bit % 8 & 1))
		return origin;
	return known->value >> bit % 8 & 1 ? ORIGIN_1 : ORIGIN_0;
}

/* Puts into the pattern that the origin is the given bit; false if the pattern is full. */
static bool add_part(struct fact_pattern *p, uint32_t origin, unsigned value)
{
	uint32_t term = origin_term(origin);
	uint8_t index = (uint8_t)(origin_bit(origin) / 8);
	uint8_t bit = (uint8_t)(1u << origin_bit(origin) % 8);
	uint32_t i = 0;

	while (i < p->n && (p->part[i].term != term || p->part[i].index != index))
		i++;
	if (i == FACT_PATTERN_BYTES)
		return false;
	if (i == p->n)
		p->part[p->n++] = (struct fact_byte){.term = term, .index = index};
	p->part[i].mask |= bit;
	if (value)
		p->part[i].value |= bit;
	return true;
}

bool facts_bits_equal(struct facts *f, const struct term_pool *p, uint32_t vec, uint64_t mask, uint64_t value)
{
	const uint32_t *origin = vec_origins(p, vec);

	for (unsigned i = 0; i < VEC_BITS; i++) {
		struct fact_pattern one = {.n = 0};
		uint32_t want = value >> i & 1 ? ORIGIN_1 : ORIGIN_0;

		if (!(mask >> i & 1) || origin[i] == ORIGIN_UNKNOWN || origin[i] == want)
			continue;
		if (!origin_is_term(origin[i]))
			return false;
		add_part(&one, origin[i], want == ORIGIN_1);
		if (!add_byte(f, &one.part[0]))
			return false;
	}
	return no_pattern_holds(f);
}

bool facts_bits_differ(struct facts *f, const struct term_pool *p, uint32_t vec, uint64_t mask, uint64_t value)
{
	const uint32_t *origin = vec_origins(p, vec);
	struct fact_pattern pattern = {.n = 0};

	for (unsigned i = 0; i < VEC_BITS; i++) {
		uint32_t want = value >> i & 1 ? ORIGIN_1 : ORIGIN_0;

		if (!(mask >> i & 1) || origin[i] == want)
			continue;
		if (origin[i] <= ORIGIN_1)
			return true; /* they differ in any case */
		if (origin[i] == ORIGIN_UNKNOWN || !add_part(&pattern, origin[i], want == ORIGIN_1))
			return true; /* nothing follows for the known bits */
	}
	/* An empty pattern holds always: then the values are equal and cannot differ. */
	if (pattern_truth(f, &pattern) == TRUE_FOR_SURE)
		return false;
	add_pattern(f, &pattern);
	return true;
}

static uint8_t negate(uint8_t cond)
{
	static const uint8_t negated[][2] = {{VFM_OP_JEQ, VFM_OP_JNE}, {VFM_OP_JGT, VFM_OP_JLE}, {VFM_OP_JLT, VFM_OP_JGE}};

	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 2; j++)
			if (negated[i][j] == cond)
				return negated[i][1 - j];
	return cond;
}

static uint8_t swap_sides(uint8_t cond)
{
	switch (cond) {
	case VFM_OP_JGT:
		return VFM_OP_JLT;
	case VFM_OP_JLT:
		return VFM_OP_JGT;
	case VFM_OP_JGE:
		return VFM_OP_JLE;
	case VFM_OP_JLE:
		return VFM_OP_JGE;
	default:
		return cond;
	}
}

static bool length_at_least(struct facts *f, uint64_t n)
{
	if (n > f->length_hi)
		return false;
	if (n > f->length_lo)
		f->length_lo = (uint32_t)n;
	return true;
}

static bool length_at_most(struct facts *f, uint64_t n)
{
	if (n < f->length_lo)
		return false;
	if (n < f->length_hi)
		f->length_hi = (uint32_t)n;
	return true;
}

/* PKTLEN cond c. */
static bool assume_length(struct facts *f, uint8_t cond, uint64_t c)
{
	switch (cond) {
	case VFM_OP_JEQ:
		return length_at_least(f, c) && length_at_most(f, c);
	case VFM_OP_JGT:
		return c != UINT64_MAX && length_at_least(f, c + 1);
	case VFM_OP_JGE:
		return length_at_least(f, c);
	case VFM_OP_JLT:
		return c && length_at_most(f, c - 1);
	case VFM_OP_JLE:
		return length_at_most(f, c);
	default: /* JNE at a bound */
		if (c == f->length_lo)
			return length_at_least(f, c + 1);
		return c != f->length_hi || length_at_most(f, c - 1);
	}
}

/* value cond c for a value that is not the length. */
static bool assume_constant(struct facts *f, const struct term_pool *p, uint8_t cond, uint32_t vec, uint64_t c)
{
	uint64_t below = 0;

	switch (cond) {
	case VFM_OP_JEQ:
		return facts_bits_equal(f, p, vec, UINT64_MAX, c);
	case VFM_OP_JNE:
	case VFM_OP_JGT:
		return facts_bits_differ(f, p, vec, UINT64_MAX, c) &&
		       (cond == VFM_OP_JNE || c == 0 || facts_bits_differ(f, p, vec, UINT64_MAX, 0));
	case VFM_OP_JGE:
		return c == 0 || facts_bits_differ(f, p, vec, UINT64_MAX, 0);
	case VFM_OP_JLT:
		if (c == 0)
			return false;
		c--;
		break;
	default:
		break;
	}
	/* value <= c: the bits above c's highest are 0. */
	while (below < c)
		below = below << 1 | 1;
	return facts_bits_equal(f, p, vec, ~below, 0);
}

/* base + end against the length; only where base + end cannot wrap. Returns whether the fact has this form. */
static bool end_of(const struct term_pool *p, uint32_t vec, uint64_t add, struct fact_end *e)
{
	uint64_t offset;

	vec_split_sum(p, vec, &e->base, &offset);
	if (e->base == VEC_NONE || vec_width(p, e->base) > 32 || offset > INT32_MAX || offset + add > INT32_MAX)
		return false;
	e->end = (uint32_t)(offset + add);
	return true;
}

/* value cond PKTLEN. */
static bool assume_end(struct facts *f, const struct term_pool *p, uint8_t cond, uint32_t vec)
{
	struct fact_end e = {.at_least = cond == VFM_OP_JLE || cond == VFM_OP_JLT || cond == VFM_OP_JEQ};

	if (cond == VFM_OP_JNE || !end_of(p, vec, cond == VFM_OP_JLT, &e))
		return true;
	if (cond == VFM_OP_JGE) {
		/* value >= length is value + 1 > length. */
		e.end++;
	}
	return add_end(f, &e);
}

bool facts_assume(struct facts *f, const struct term_pool *p, uint8_t cond, bool holds, uint32_t a, uint32_t b)
{
	uint64_t c;

	if (!holds)
		cond = negate(cond);
	/* A constant goes to the right; the length too unless the other side is a constant. */
	if (vec_is_const(p, a, &c) || (vec_is_length(p, a) && !vec_is_const(p, b, &c))) {
		uint32_t swap = a;

		a = b;
		b = swap;
		cond = swap_sides(cond);
	}
	if (vec_is_const(p, b, &c)) {
		uint64_t d;

		if (vec_is_length(p, a))
			return assume_length(f, cond, c);
		if (vec_is_const(p, a, &d) && cond != VFM_OP_JEQ && cond != VFM_OP_JNE) {
			bool truth = cond == VFM_OP_JGT ? d > c : cond == VFM_OP_JLT ? d < c : cond == VFM_OP_JGE ? d >= c : d <= c;

			return truth;
		}
		return assume_constant(f, p, cond, a, c);
	}
	if (vec_is_length(p, b))
		return assume_end(f, p, cond, a);
	return true;
}

bool facts_loaded(struct facts *f, const struct term_pool *p, uint32_t offset_vec, unsigned bytes)
{
	struct fact_end e = {.at_least = true};
	uint64_t c;

	if (vec_is_const(p, offset_vec, &c))
		return c <= VFM_MAX_PACKET_BYTES && length_at_least(f, c + bytes);
	return !end_of(p, offset_vec, bytes, &e) || add_end(f, &e);
}

bool facts_cover(const struct facts *f, const struct term_pool *p, uint32_t offset_vec, unsigned bytes)
{
	struct fact_end e = {.at_least = true};
	uint64_t c;

	if (vec_is_const(p, offset_vec, &c))
		return c <= VFM_MAX_PACKET_BYTES && c + bytes <= f->length_lo;
	if (!end_of(p, offset_vec, bytes, &e))
		return false;
	for (uint32_t i = 0; i < f->n_ends; i++)
		if (f->ends[i].at_least && f->ends[i].base == e.base && f->ends[i].end >= e.end)
			return true;
	return false;
}

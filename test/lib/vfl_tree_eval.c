/* vfl_tree_eval.c: what a VFLisp tree means, as docs/vflisp.md has it: nothing clever. */
#include <stdlib.h>
#include <string.h>

#include "state/mix.h"
#include "test/lib/vfl_tree_parts.h"
#include "vm/vfm.h"

#define MAX_UPDATES 64

/* ---- evaluating ---- */

struct run {
	struct vt_program *p;
	const struct vfm_packet *packet;
	struct vfm_headers h;
	uint32_t updates;
	int error; /* the first; nothing after it counts */
};

static uint64_t eval(struct run *r, struct vt_node *n);

static uint64_t load_at(struct run *r, uint64_t offset, uint64_t bytes)
{
	uint64_t v = 0;

	if (r->error)
		return 0;
	if (offset > r->packet->len || r->packet->len - offset < bytes) {
		r->error = VFM_ERROR_BOUNDS;
		return 0;
	}
	for (uint64_t i = 0; i < bytes; i++)
		v = v << 8 | r->packet->data[offset + i];
	return v;
}

static uint64_t top_field(struct run *r, uint32_t which)
{
	switch (which) {
	case 0:
		return r->packet->len;
	case 1:
		return r->p->clock_us;
	case 2:
		return r->packet->input;
	case 3:
		return vfm_hash5(r->packet->data, r->packet->len, 0);
	case 4:
		return vfm_hash5s(r->packet->data, r->packet->len, 0);
	case 5:
		return r->h.network;
	case 6:
		return r->h.transport;
	case 7:
		return r->h.payload;
	case 8:
		return r->h.protocol;
	case 9:
		return r->h.fragment;
	case 10:
		return r->h.version;
	case 11:
		return load_at(r, 0, 6);
	default:
		return load_at(r, 6, 6);
	}
}

static uint64_t field_value(struct run *r, uint32_t i)
{
	uint32_t offset = vt_fields[i].offset, bytes = vt_fields[i].bytes, tag;
	uint8_t proto = r->h.protocol;

	switch (vt_fields[i].of) {
	case FIXED:
		return load_at(r, offset, bytes);
	case TOP:
		return top_field(r, offset);
	case NET4:
		return r->h.version == 4 ? load_at(r, r->h.network + offset, bytes) : 0;
	case NET6:
		return r->h.version == 6 ? load_at(r, r->h.network + offset, bytes) : 0;
	case PORTS:
		return r->h.transport && (proto == 6 || proto == 17 || proto == 132) ? load_at(r, r->h.transport + offset, bytes)
										     : 0;
	case TCP:
		return r->h.transport && proto == 6 ? load_at(r, r->h.transport + offset, bytes) : 0;
	case UDP:
		return r->h.transport && proto == 17 ? load_at(r, r->h.transport + offset, bytes) : 0;
	case ICMP:
		return r->h.transport && (proto == 1 || proto == 58) ? load_at(r, r->h.transport + offset, bytes) : 0;
	default:
		tag = (uint32_t)load_at(r, 12, 2);
		if (tag != 0x8100 && tag != 0x88a8 && tag != 0x9100)
			return 0;
		return offset ? load_at(r, 14, 2) >> 13 : load_at(r, 14, 2) & 0xfff;
	}
}

static uint64_t nary(struct run *r, struct vt_node *n)
{
	uint64_t v = eval(r, n->kid[0]);

	if (n->n == 1 && n->op[0] == '-')
		return -v;
	for (uint32_t i = 1; i < n->n && !r->error; i++) {
		uint64_t x = eval(r, n->kid[i]);

		switch (n->op[0]) {
		case '+':
			v += x;
			break;
		case '-':
			v -= x;
			break;
		case '*':
			v *= x;
			break;
		case '&':
			v &= x;
			break;
		case '|':
			v |= x;
			break;
		case '^':
			v ^= x;
			break;
		default:
			v = vfm_mix(v, x, 0);
		}
	}
	return v;
}

static uint64_t binary(struct run *r, struct vt_node *n)
{
	uint64_t a = eval(r, n->kid[0]), b = eval(r, n->kid[1]);

	if (r->error)
		return 0;
	if ((n->op[0] == '/' || n->op[0] == '%') && !b) {
		r->error = VFM_ERROR_DIVISION_BY_ZERO;
		return 0;
	}
	switch (n->op[0]) {
	case '/':
		return a / b;
	case '%':
		return a % b;
	case '<':
		return a << (b & 63);
	default:
		return a >> (b & 63);
	}
}

static uint64_t compare_values(const char *op, uint64_t a, uint64_t b)
{
	bool or_equal = op[1] == '=';

	if (op[0] == '=')
		return a == b;
	if (op[0] == '!')
		return a != b;
	if (op[0] == '<')
		return or_equal ? a <= b : a < b;
	return or_equal ? a >= b : a > b;
}

static uint64_t logic(struct run *r, struct vt_node *n)
{
	bool stop_at = n->op[0] == 'o';

	for (uint32_t i = 0; i < n->n && !r->error; i++)
		if ((eval(r, n->kid[i]) != 0) == stop_at && !r->error)
			return stop_at;
	return !stop_at;
}

static uint64_t in_value(struct run *r, struct vt_node *n)
{
	uint64_t v = eval(r, n->kid[0]);

	for (uint32_t i = 1; i < n->n; i++) {
		const struct vt_node *m = n->kid[i];

		if (!m->network && m->num == v)
			return 1;
		if (m->network && v <= UINT32_MAX && (!m->prefix || v >> (32 - m->prefix) == m->num >> (32 - m->prefix)))
			return 1;
	}
	return 0;
}

/* The width of docs/vflisp.md, said again. */
static uint32_t width(const struct vt_node *n);

static uint32_t bits_of(uint64_t v)
{
	uint32_t bits = 1;

	while (v >>= 1)
		bits++;
	return bits;
}

static uint32_t widest(const struct vt_node *n, uint32_t from)
{
	uint32_t w = 1;

	for (uint32_t i = from; i < n->n; i++)
		w = width(n->kid[i]) > w ? width(n->kid[i]) : w;
	return w;
}

static uint32_t width_nary(const struct vt_node *n)
{
	uint32_t w = 64;

	if (n->op[0] == '|' || n->op[0] == '^')
		return widest(n, 0);
	for (uint32_t i = 0; n->op[0] == '&' && i < n->n; i++)
		w = width(n->kid[i]) < w ? width(n->kid[i]) : w;
	return w;
}

static uint32_t width_binary(const struct vt_node *n)
{
	uint32_t w = width(n->kid[0]), count = (uint32_t)(n->kid[1]->num & 63);
	bool literal = n->kid[1]->kind == NUM;

	switch (n->op[0]) {
	case '/':
		return w;
	case '%':
		return literal && n->kid[1]->num > 1 ? bits_of(n->kid[1]->num - 1) : 64;
	case '<':
		return !literal || w + count > 64 ? 64 : w + count;
	default:
		return !literal ? w : count >= w ? 1 : w - count;
	}
}

static uint32_t width_bits(const struct vt_node *n)
{
	uint32_t w = width(n->kid[0]), top = n->hi - n->lo + 1;

	w = n->lo >= w ? 1 : w - n->lo;
	return w < top ? w : top;
}

static uint32_t width(const struct vt_node *n)
{
	switch (n->kind) {
	case NUM:
		return bits_of(n->num);
	case VAR:
		return width(n->binding->kid[0]);
	case FIELD:
		return vt_fields[n->field].width;
	case LOAD:
		return (uint32_t)n->num * 8;
	case NARY:
		return width_nary(n);
	case BINARY:
		return width_binary(n);
	case COMPARE:
	case LOGIC:
	case NOT:
	case IN:
		return 1;
	case IF:
		return widest(n, 1);
	case LET:
	case DO:
		return width(n->kid[n->n - 1]);
	case BITS:
		return width_bits(n);
	case HDR:
		return 16;
	case FLOW:
		if (n->rate || !strcmp(n->op, "flow-del"))
			return 1;
		if (n->per)
			return 32;
		return strcmp(n->op, "flow-set") ? 64 : width(n->kid[n->n - 1]);
	default:
		return 64;
	}
}

static uint64_t key_of(struct run *r, struct vt_node *n)
{
	uint64_t v[VT_MAX_KIDS] = {0}, key, rest;
	uint32_t keys = vt_n_keys(n), bits = 0, first = width(n->kid[0]);

	for (uint32_t i = 0; i < keys; i++) {
		v[i] = eval(r, n->kid[i]);
		bits += width(n->kid[i]);
	}
	if (keys == 1)
		return v[0];
	if (bits <= 64) {
		key = v[0];
		for (uint32_t i = 1; i < keys; i++)
			key = key << width(n->kid[i]) | v[i];
		return key;
	}
	if (first > 32) {
		key = v[0];
		for (uint32_t i = 1; i < keys; i++)
			key = vfm_mix(key, v[i], 0);
		return key;
	}
	rest = keys == 2 ? vfm_mix(v[1], 0, 0) : v[1];
	for (uint32_t i = 2; i < keys; i++)
		rest = vfm_mix(rest, v[i], 0);
	return v[0] << (64 - first) | rest >> first;
}

static uint32_t seconds(const struct vt_program *p)
{
	return (uint32_t)(p->clock_us / 1000000);
}

static bool alive(const struct vt_program *p, const struct vt_entry *e)
{
	return e->table || !p->idle_s || seconds(p) - e->stamp_s <= p->idle_s;
}

static struct vt_entry *find_entry(struct vt_program *p, uint32_t table, uint64_t key)
{
	for (uint32_t i = 0; i < p->n_entries; i++)
		if (p->entries[i].table == table && p->entries[i].key == key && alive(p, &p->entries[i]))
			return &p->entries[i];
	return NULL;
}

static uint64_t get(struct run *r, uint32_t table, uint64_t key)
{
	struct vt_entry *e = find_entry(r->p, table, key);

	return e ? e->value : 0;
}

static bool may_update(struct run *r)
{
	if (!r->error && r->updates == MAX_UPDATES)
		r->error = VFM_ERROR_LIMIT;
	r->updates++;
	return !r->error;
}

static void set(struct run *r, uint32_t table, uint64_t key, uint64_t value)
{
	struct vt_entry *e;

	if (!may_update(r))
		return;
	e = find_entry(r->p, table, key);
	if (!e) {
		if (r->p->n_entries == VFL_TREE_ENTRIES) {
			r->p->full = true;
			return;
		}
		e = &r->p->entries[r->p->n_entries++];
	}
	*e = (struct vt_entry){table, seconds(r->p), key, value};
}

static void delete (struct run *r, uint32_t table, uint64_t key)
{
	struct vt_entry *e;

	if (!may_update(r))
		return;
	e = find_entry(r->p, table, key);
	if (e)
		*e = r->p->entries[--r->p->n_entries];
}

static uint64_t take_token(struct run *r, const struct vt_node *n, uint32_t table, uint64_t key)
{
	uint64_t interval = 1024000000ull / n->rate, now = r->p->clock_us << 10, full = get(r, table, key);

	full = full > now ? full : now;
	if (full - now > (n->burst - 1) * interval)
		return 0;
	set(r, table, key, full + interval);
	return 1;
}

static uint64_t count_in_window(struct run *r, const struct vt_node *n, uint32_t table, uint64_t key)
{
	uint64_t window = r->p->clock_us / n->per_us & UINT32_MAX, v = get(r, table, key);

	v = v >> 32 == window ? v + 1 : window << 32 | 1;
	set(r, table, key, v);
	return v & UINT32_MAX;
}

static uint64_t flow_value(struct run *r, struct vt_node *n)
{
	uint64_t key = key_of(r, n), v = 1;
	uint32_t table = n->declared ? 0 : n->table;

	if (!strcmp(n->op, "flow-set") || !strcmp(n->op, "flow-add"))
		v = eval(r, n->kid[n->n - 1]);
	if (r->error)
		return 0;
	if (n->rate)
		return take_token(r, n, table, key);
	if (n->per)
		return count_in_window(r, n, table, key);
	if (!strcmp(n->op, "flow-get"))
		return get(r, table, key);
	if (!strcmp(n->op, "flow-del")) {
		delete (r, table, key);
		return 0;
	}
	if (strcmp(n->op, "flow-set") != 0)
		v += get(r, table, key);
	set(r, table, key, v);
	return v;
}

static uint64_t eval_form(struct run *r, struct vt_node *n)
{
	uint64_t v = 0;

	switch (n->kind) {
	case COMPARE:
		v = eval(r, n->kid[0]);
		return compare_values(n->op, v, eval(r, n->kid[1]));
	case IF:
		v = eval(r, n->kid[0]);
		return r->error ? 0 : eval(r, n->kid[v ? 1 : 2]);
	case LET:
		n->bound = eval(r, n->kid[0]);
		return eval(r, n->kid[1]);
	case DO:
		for (uint32_t i = 0; i < n->n; i++)
			v = eval(r, n->kid[i]);
		return v;
	case BITS:
		v = eval(r, n->kid[0]) >> n->lo;
		return n->hi - n->lo == 63 ? v : v & ((1ull << (n->hi - n->lo + 1)) - 1);
	default:
		return flow_value(r, n);
	}
}

static uint64_t eval(struct run *r, struct vt_node *n)
{
	if (r->error)
		return 0;
	switch (n->kind) {
	case NUM:
		return n->num;
	case VAR:
		return n->binding->bound;
	case FIELD:
		return field_value(r, n->field);
	case LOAD:
		return load_at(r, eval(r, n->kid[0]), n->num);
	case HDR:
		return vfm_hdr(r->packet->data, r->packet->len, (uint8_t)n->num);
	case NARY:
		return nary(r, n);
	case BINARY:
		return binary(r, n);
	case UNARY:
		return n->op[0] == '-' ? -eval(r, n->kid[0]) : ~eval(r, n->kid[0]);
	case LOGIC:
		return logic(r, n);
	case NOT:
		return !eval(r, n->kid[0]);
	case IN:
		return in_value(r, n);
	default:
		return eval_form(r, n);
	}
}

int vt_evaluate(struct vt_program *p, const struct vfm_packet *packet, uint64_t *value)
{
	struct run r = {.p = p, .packet = packet};

	if (packet->time_us > p->clock_us)
		p->clock_us = packet->time_us;
	vfm_parse(packet->data, packet->len, &r.h);
	*value = eval(&r, p->root);
	if (r.error)
		*value = 0;
	return r.error;
}

static bool is_forgetful(const struct vt_program *p, uint32_t table)
{
	return table && strncmp(p->table[table], "0 0 0", 5) != 0;
}

uint64_t vt_digest(const struct vt_program *p)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->n_entries; i++)
		if (alive(p, &p->entries[i]) && !is_forgetful(p, p->entries[i].table))
			sum += mix64(mix64(p->entries[i].key) ^ p->entries[i].value);
	return sum;
}

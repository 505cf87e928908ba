/* vfl_tree_gen.c: random VFLisp programs, and their text. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/lib/vfl_tree_parts.h"

#define MAX_NODES 4000
#define BUDGET    70

const struct vt_field vt_fields[] = {
	{"ethertype", 16, FIXED, 12, 2}, {"proto", 8, FIXED, 23, 1},       {"src-ip", 32, FIXED, 26, 4},
	{"dst-ip", 32, FIXED, 30, 4},    {"src-port", 16, FIXED, 34, 2},   {"dst-port", 16, FIXED, 36, 2},
	{"ip-len", 16, FIXED, 16, 2},    {"tcp-flags", 8, FIXED, 47, 1},   {"pkt-len", 16, TOP, 0, 0},
	{"now", 64, TOP, 1, 0},          {"input", 32, TOP, 2, 0},         {"hash5", 64, TOP, 3, 0},
	{"hash5s", 64, TOP, 4, 0},       {"net.off", 16, TOP, 5, 0},       {"l4.off", 16, TOP, 6, 0},
	{"payload.off", 16, TOP, 7, 0},  {"l4.proto", 8, TOP, 8, 0},       {"frag.off", 16, TOP, 9, 0},
	{"ip.version", 4, TOP, 10, 0},   {"eth.dst", 48, TOP, 11, 0},      {"eth.src", 48, TOP, 12, 0},
	{"vlan.id", 12, VLAN, 0, 0},     {"vlan.priority", 3, VLAN, 1, 0}, {"ip.tos", 8, NET4, 1, 1},
	{"ip.len", 16, NET4, 2, 2},      {"ip.id", 16, NET4, 4, 2},        {"ip.ttl", 8, NET4, 8, 1},
	{"ip.src", 32, NET4, 12, 4},     {"ip.dst", 32, NET4, 16, 4},      {"ip6.len", 16, NET6, 4, 2},
	{"ip6.hops", 8, NET6, 7, 1},     {"ip6.src-hi", 64, NET6, 8, 8},   {"ip6.src-lo", 64, NET6, 16, 8},
	{"ip6.dst-hi", 64, NET6, 24, 8}, {"ip6.dst-lo", 64, NET6, 32, 8},  {"l4.sport", 16, PORTS, 0, 2},
	{"l4.dport", 16, PORTS, 2, 2},   {"tcp.flags", 8, TCP, 13, 1},     {"tcp.seq", 32, TCP, 4, 4},
	{"tcp.ack", 32, TCP, 8, 4},      {"tcp.window", 16, TCP, 14, 2},   {"udp.len", 16, UDP, 4, 2},
	{"icmp.type", 8, ICMP, 0, 1},    {"icmp.code", 8, ICMP, 1, 1},
};
const uint32_t vt_n_fields = sizeof(vt_fields) / sizeof(vt_fields[0]);

uint32_t vt_n_keys(const struct vt_node *n)
{
	return n->n - (!strcmp(n->op, "flow-set") || !strcmp(n->op, "flow-add"));
}

/* ---- generating ---- */

struct generator {
	struct vt_program *p;
	struct gen_rng rng;
	int budget;
	struct vt_node *scope[8]; /* LETs around */
	uint32_t n_scope;
	bool has_table; /* a (table t ...) form stands at the top */
	uint32_t table_idle_s;
	size_t used; /* of p->text */
};

static struct vt_node *expression(struct generator *g, int depth);

static struct vt_node *new_node(struct generator *g, enum vt_kind kind)
{
	struct vt_node *n;

	assert(g->p->n_nodes < MAX_NODES);
	n = &g->p->nodes[g->p->n_nodes++];
	n->kind = kind;
	g->budget--;
	return n;
}

static uint64_t interesting(struct generator *g)
{
	static const uint64_t numbers[] = {0,          1,        2,          4,          6,          8,      17,
					   40,         53,       64,         80,         255,        256,    443,
					   0x800,      0x8100,   0x86dd,     65535,      65536,      100000, 0x0a000001,
					   0xffffffff, 1u << 31, 1ull << 32, 1ull << 63, UINT64_MAX, 33};

	if (gen_chance(&g->rng, 10))
		return gen_next(&g->rng) >> gen_below(&g->rng, 64);
	return numbers[gen_below(&g->rng, sizeof(numbers) / sizeof(numbers[0]))];
}

static struct vt_node *number(struct generator *g, uint64_t value)
{
	struct vt_node *n = new_node(g, NUM);

	n->num = value;
	n->style = (int)gen_below(&g->rng, 4);
	return n;
}

static struct vt_node *leaf(struct generator *g)
{
	struct vt_node *n;

	if (g->n_scope && gen_chance(&g->rng, 30)) {
		n = new_node(g, VAR);
		n->binding = g->scope[gen_below(&g->rng, g->n_scope)];
		return n;
	}
	if (gen_chance(&g->rng, 25))
		return number(g, interesting(g));
	n = new_node(g, FIELD);
	n->field = gen_below(&g->rng, gen_chance(&g->rng, 60) ? 8 : vt_n_fields);
	return n;
}

static void fill(struct generator *g, struct vt_node *n, uint32_t count, int depth)
{
	n->n = count;
	for (uint32_t i = 0; i < count; i++)
		n->kid[i] = expression(g, depth - 1);
}

static const char *pick(struct generator *g, const char *const *names, uint32_t n)
{
	return names[gen_below(&g->rng, n)];
}
#define PICK(g, ...) pick(g, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* A literal that a field could not equal is refused by the compiler. */
static void suit(struct vt_node *with, struct vt_node *n)
{
	if (with->kind == FIELD && n->kind == NUM && vt_fields[with->field].width < 64)
		n->num &= (1ull << vt_fields[with->field].width) - 1;
}

static struct vt_node *compare(struct generator *g, int depth)
{
	struct vt_node *n = new_node(g, COMPARE);

	n->op = PICK(g, "=", "=", "=", "!=", "<", "<=", ">", ">=");
	fill(g, n, 2, depth);
	if (gen_chance(&g->rng, 50))
		n->kid[1] = number(g, interesting(g));
	suit(n->kid[0], n->kid[1]);
	suit(n->kid[1], n->kid[0]);
	return n;
}

static struct vt_node *load(struct generator *g, int depth)
{
	struct vt_node *n = new_node(g, LOAD), *mask;

	n->num = 1ull << gen_below(&g->rng, 4);
	n->n = 1;
	if (gen_chance(&g->rng, 60)) {
		n->kid[0] = number(g, gen_below(&g->rng, 70));
		return n;
	}
	mask = new_node(g, NARY);
	mask->op = "&";
	mask->n = 2;
	mask->kid[0] = expression(g, depth - 1);
	mask->kid[1] = number(g, 63);
	n->kid[0] = gen_chance(&g->rng, 90) ? mask : mask->kid[0];
	return n;
}

static struct vt_node *let(struct generator *g, int depth)
{
	struct vt_node *n = new_node(g, LET);

	n->n = 2;
	n->kid[0] = expression(g, depth - 1);
	if (g->n_scope == 8)
		return n->kid[0];
	n->name = g->n_scope;
	g->scope[g->n_scope++] = n;
	n->kid[1] = expression(g, depth - 1);
	g->n_scope--;
	return n;
}

static struct vt_node *in_set(struct generator *g, int depth)
{
	struct vt_node *n = new_node(g, IN);
	uint32_t members = 1 + gen_below(&g->rng, 3);

	n->n = 1 + members;
	n->kid[0] = expression(g, depth - 1);
	for (uint32_t i = 1; i <= members; i++) {
		struct vt_node *m = n->kid[i] = number(g, interesting(g));

		suit(n->kid[0], m);
		if (!gen_chance(&g->rng, 40))
			continue;
		m->network = true;
		m->prefix = gen_below(&g->rng, 33);
		m->num &= m->prefix ? (uint64_t)UINT32_MAX << (32 - m->prefix) & UINT32_MAX : 0;
	}
	return n;
}

/* Half of all keys come from very few, so that operations meet. */
static struct vt_node *key(struct generator *g, int depth)
{
	struct vt_node *n;

	if (gen_chance(&g->rng, 50)) {
		n = new_node(g, FIELD);
		n->field = gen_below(&g->rng, 3); /* ethertype, proto, src-ip */
		return n;
	}
	return gen_chance(&g->rng, 50) ? leaf(g) : expression(g, depth - 1);
}

static struct vt_node *flow(struct generator *g, int depth)
{
	static const struct {
		const char *text;
		uint64_t us;
	} periods[] = {{"1s", 1000000}, {"10ms", 10000}, {"1500ms", 1500000}, {"1min", 60000000}, {"7us", 7}};
	struct vt_node *n = new_node(g, FLOW);
	uint32_t keys = gen_chance(&g->rng, 60) ? 1 : 1 + gen_below(&g->rng, 4), period = gen_below(&g->rng, 5);

	n->op = PICK(g, "flow-get", "flow-set", "flow-add", "flow-del", "count-by", "count-by", "flow-count", "rate-by",
		     "token-bucket");
	for (uint32_t i = 0; i < keys; i++)
		n->kid[i] = key(g, depth);
	n->n = keys;
	if (!strcmp(n->op, "flow-set") || !strcmp(n->op, "flow-add"))
		n->kid[n->n++] = expression(g, depth - 1);
	n->declared = g->has_table && gen_chance(&g->rng, 40);
	if (!strcmp(n->op, "rate-by") || (strstr(n->op, "count") && gen_chance(&g->rng, 15))) {
		n->per = periods[period].text;
		n->per_us = periods[period].us;
	}
	if (!strcmp(n->op, "token-bucket")) {
		n->rate = 1 + gen_below(&g->rng, 2000);
		n->burst = 1 + gen_below(&g->rng, 5);
	}
	/* An idle time below what is to be remembered is refused. */
	if (n->per_us > g->table_idle_s * 1000000ull || (n->rate && n->burst > n->rate * g->table_idle_s))
		n->declared &= !g->table_idle_s;
	return n;
}

static struct vt_node *composite(struct generator *g, int depth)
{
	struct vt_node *n;

	switch (gen_below(&g->rng, 17)) {
	case 0:
	case 1:
		n = new_node(g, NARY);
		n->op = PICK(g, "+", "*", "&", "|", "^", "-", "mix");
		fill(g, n, strcmp(n->op, "mix") ? 1 + gen_below(&g->rng, 4) : 2 + gen_below(&g->rng, 2), depth);
		return n;
	case 2:
		n = new_node(g, BINARY);
		n->op = PICK(g, "/", "%", "<<", ">>");
		fill(g, n, 2, depth);
		return n;
	case 3:
		n = new_node(g, UNARY);
		n->op = PICK(g, "-", "~");
		fill(g, n, 1, depth);
		return n;
	case 4:
	case 5:
		return compare(g, depth);
	case 6:
	case 7:
		n = new_node(g, LOGIC);
		n->op = PICK(g, "and", "or");
		fill(g, n, 1 + gen_below(&g->rng, 4), depth);
		return n;
	case 8:
		n = new_node(g, gen_chance(&g->rng, 50) ? NOT : DO);
		fill(g, n, n->kind == NOT ? 1 : 1 + gen_below(&g->rng, 3), depth);
		return n;
	case 9:
		n = new_node(g, IF);
		fill(g, n, 3, depth);
		return n;
	case 10:
		return let(g, depth);
	case 11:
		if (gen_chance(&g->rng, 70))
			return load(g, depth);
		n = new_node(g, HDR);
		n->num = gen_below(&g->rng, 5);
		return n;
	case 12:
		n = new_node(g, BITS);
		n->lo = gen_below(&g->rng, 64);
		n->hi = n->lo + gen_below(&g->rng, 64 - n->lo);
		fill(g, n, 1, depth);
		return n;
	case 13:
		return in_set(g, depth);
	default:
		return flow(g, depth);
	}
}

static struct vt_node *expression(struct generator *g, int depth)
{
	if (depth <= 0 || g->budget <= 0 || gen_chance(&g->rng, 12))
		return leaf(g);
	return composite(g, depth);
}

/* ---- printing ---- */

static void put(struct generator *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct generator *g, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g->used += (size_t)vsnprintf(g->p->text + g->used, VFL_TREE_MAX_TEXT - g->used, format, args);
	va_end(args);
	assert(g->used < VFL_TREE_MAX_TEXT);
}

static void put_number(struct generator *g, const struct vt_node *n)
{
	if (n->network)
		put(g, "%u.%u.%u.%u/%u", (unsigned)(n->num >> 24) & 255, (unsigned)(n->num >> 16) & 255,
		    (unsigned)(n->num >> 8) & 255, (unsigned)n->num & 255, n->prefix);
	else if (n->style == 1)
		put(g, "0x%llx", (unsigned long long)n->num);
	else if (n->style == 2 && n->num <= UINT32_MAX)
		put(g, "%u.%u.%u.%u", (unsigned)(n->num >> 24) & 255, (unsigned)(n->num >> 16) & 255, (unsigned)(n->num >> 8) & 255,
		    (unsigned)n->num & 255);
	else
		put(g, "%llu", (unsigned long long)n->num);
}

/* With `resolved`, names are replaced by what they stand for: the identity of a table. */
static void print(struct generator *g, const struct vt_node *n, bool resolved);

static void print_kids(struct generator *g, const struct vt_node *n, bool resolved)
{
	for (uint32_t i = 0; i < n->n; i++) {
		put(g, " ");
		print(g, n->kid[i], resolved);
	}
}

static void print(struct generator *g, const struct vt_node *n, bool resolved)
{
	switch (n->kind) {
	case NUM:
		if (resolved && !n->network)
			put(g, "%llu", (unsigned long long)n->num);
		else
			put_number(g, n);
		return;
	case VAR:
		if (resolved)
			print(g, n->binding->kid[0], true);
		else
			put(g, "v%u", n->binding->name);
		return;
	case FIELD:
		put(g, "%s", vt_fields[n->field].name);
		return;
	case LOAD:
		put(g, "(ld%u", (unsigned)n->num * 8);
		break;
	case HDR:
		put(g, "(hdr %u)", (unsigned)n->num);
		return;
	case NOT:
		put(g, "(not");
		break;
	case IF:
		put(g, "(if");
		break;
	case DO:
		put(g, "(do");
		break;
	case IN:
		put(g, "(in");
		break;
	case BITS:
		put(g, "(bits ");
		print(g, n->kid[0], resolved);
		put(g, " %u %u)", n->hi, n->lo);
		return;
	case LET:
		put(g, "(let ((v%u ", n->name);
		print(g, n->kid[0], resolved);
		put(g, ")) ");
		print(g, n->kid[1], resolved);
		put(g, ")");
		return;
	default:
		put(g, "(%s", n->op);
	}
	print_kids(g, n, resolved);
	if (n->rate)
		put(g, " %llu %llu", (unsigned long long)n->rate, (unsigned long long)n->burst);
	if (n->per)
		put(g, " :per %s", n->per);
	if (n->declared)
		put(g, " :table t");
	put(g, ")");
}

/* ---- tables ---- */

/* Which table a use means: by its text, after the program's own. */
static void find_table(struct generator *g, struct vt_node *n)
{
	size_t start = g->used + 1;
	struct vt_program *p = g->p;

	if (n->declared)
		return; /* table 0 of ours */
	g->used = start;
	put(g, "%llu %llu %llu", (unsigned long long)n->per_us, (unsigned long long)n->rate, (unsigned long long)n->burst);
	for (uint32_t i = 0; i < vt_n_keys(n); i++) {
		put(g, " , ");
		print(g, n->kid[i], true);
	}
	for (n->table = 1; n->table < p->n_tables; n->table++)
		if (!strcmp(p->table[n->table], p->text + start))
			break;
	if (n->table == p->n_tables) {
		assert(p->n_tables < VFL_TREE_MAX_TABLES);
		p->table[p->n_tables++] = strdup(p->text + start);
	}
	g->used = start - 1;
	p->text[g->used] = 0;
}

struct vt_program *vt_generate(uint64_t seed)
{
	struct vt_program *p = calloc(1, sizeof(*p));
	struct generator g = {.p = p, .rng = {seed}, .budget = BUDGET};

	assert(p);
	p->nodes = calloc(MAX_NODES, sizeof(*p->nodes));
	assert(p->nodes);
	p->n_tables = 1;
	g.has_table = gen_chance(&g.rng, 30);
	if (g.has_table) {
		g.table_idle_s = gen_below(&g.rng, 4);
		put(&g, "(table t :idle %u)", g.table_idle_s);
		p->idle_s = g.table_idle_s;
	}
	p->root = composite(&g, 2 + (int)gen_below(&g.rng, 5));
	print(&g, p->root, false);
	for (uint32_t i = 0; i < p->n_nodes; i++)
		if (p->nodes[i].kind == FLOW)
			find_table(&g, &p->nodes[i]);
	return p;
}

void vt_free(struct vt_program *p)
{
	for (uint32_t i = 1; i < p->n_tables; i++)
		free(p->table[i]);
	free(p->nodes);
	free(p);
}

/* vfl_check.c: lists to expressions: names, arity, ranges. Goes on after an error, with a number in the place of what was wrong, so
 * that one run reports all of them. */
#include <errno.h>
#include <string.h>

#include "vm/nearest.h"
#include "vm/vfl.h"

#define ANY_NUMBER UINT32_MAX

enum keyword { KW_TABLE = 1, KW_PER = 2, KW_ENTRIES = 4, KW_IDLE = 8, KW_NUMBER = 16 };

struct form {
	const char *name;
	uint32_t least, most; /* positional arguments */
	unsigned keywords;
	enum vfl_op op;
	struct vfl_node *(*make)(struct vfl *c, const struct vfl_args *a);
	const char *usage;
};

static struct vfl_node *make_op(struct vfl *c, const struct vfl_args *a);
static struct vfl_node *make_minus(struct vfl *c, const struct vfl_args *a);
static struct vfl_node *make_compare(struct vfl *c, const struct vfl_args *a);
static struct vfl_node *make_bits(struct vfl *c, const struct vfl_args *a);
static struct vfl_node *make_in(struct vfl *c, const struct vfl_args *a);
static struct vfl_node *make_let(struct vfl *c, const struct vfl_args *a);
static struct vfl_node *make_load(struct vfl *c, const struct vfl_args *a);
static struct vfl_node *make_hdr(struct vfl *c, const struct vfl_args *a);
static struct vfl_node *make_leaf(struct vfl *c, const struct vfl_args *a);

static const struct form forms[] = {
	{"+", 1, ANY_NUMBER, 0, VFL_ADD, make_op, "(+ a b ...)"},
	{"-", 1, ANY_NUMBER, 0, VFL_SUB, make_minus, "(- a b ...) or (- a)"},
	{"*", 1, ANY_NUMBER, 0, VFL_MUL, make_op, "(* a b ...)"},
	{"/", 2, 2, 0, VFL_DIV, make_op, "(/ a b)"},
	{"%", 2, 2, 0, VFL_MOD, make_op, "(% a b)"},
	{"&", 1, ANY_NUMBER, 0, VFL_AND, make_op, "(& a b ...)"},
	{"|", 1, ANY_NUMBER, 0, VFL_OR, make_op, "(| a b ...)"},
	{"^", 1, ANY_NUMBER, 0, VFL_XOR, make_op, "(^ a b ...)"},
	{"~", 1, 1, 0, VFL_INV, make_op, "(~ a)"},
	{"<<", 2, 2, 0, VFL_SHL, make_op, "(<< a count)"},
	{">>", 2, 2, 0, VFL_SHR, make_op, "(>> a count)"},
	{"mix", 2, ANY_NUMBER, 0, VFL_MIX, make_op, "(mix a b ...)"},
	{"=", 2, 2, 0, VFL_EQ, make_compare, "(= a b)"},
	{"!=", 2, 2, 0, VFL_NE, make_compare, "(!= a b)"},
	{">", 2, 2, 0, VFL_GT, make_op, "(> a b)"},
	{">=", 2, 2, 0, VFL_GE, make_op, "(>= a b)"},
	{"<", 2, 2, 0, VFL_LT, make_op, "(< a b)"},
	{"<=", 2, 2, 0, VFL_LE, make_op, "(<= a b)"},
	{"and", 1, ANY_NUMBER, 0, VFL_ALL, make_op, "(and a b ...)"},
	{"or", 1, ANY_NUMBER, 0, VFL_ANY, make_op, "(or a b ...)"},
	{"not", 1, 1, 0, VFL_UNTRUE, make_op, "(not a)"},
	{"if", 3, 3, 0, VFL_IF, make_op, "(if condition then else)"},
	{"do", 1, ANY_NUMBER, 0, VFL_DO, make_op, "(do first ... last)"},
	{"let", 2, 2, 0, VFL_LET, make_let, "(let ((name value) ...) body)"},
	{"bits", 3, 3, 0, VFL_AND, make_bits, "(bits value high low)"},
	{"in", 2, ANY_NUMBER, 0, VFL_ANY, make_in, "(in value member ...)"},
	{"ld8", 1, 1, 0, VFL_LOAD, make_load, "(ld8 offset)"},
	{"ld16", 1, 1, 0, VFL_LOAD, make_load, "(ld16 offset)"},
	{"ld32", 1, 1, 0, VFL_LOAD, make_load, "(ld32 offset)"},
	{"ld64", 1, 1, 0, VFL_LOAD, make_load, "(ld64 offset)"},
	{"hdr", 1, 1, 0, VFL_HDR, make_hdr, "(hdr item)"},
	{"flow-get", 1, ANY_NUMBER, KW_TABLE, VFL_FLOW_GET, vfl_flow_key, "(flow-get key ... [:table name])"},
	{"flow-del", 1, ANY_NUMBER, KW_TABLE, VFL_FLOW_DEL, vfl_flow_key, "(flow-del key ... [:table name])"},
	{"flow-set", 2, ANY_NUMBER, KW_TABLE, VFL_FLOW_SET, vfl_flow_value, "(flow-set key ... value [:table name])"},
	{"flow-add", 2, ANY_NUMBER, KW_TABLE, VFL_FLOW_ADD, vfl_flow_value, "(flow-add key ... amount [:table name])"},
	{"count-by", 1, ANY_NUMBER, KW_TABLE | KW_PER, VFL_FLOW_ADD, vfl_count_by, "(count-by key ... [:per 1s] [:table name])"},
	{"flow-count", 1, ANY_NUMBER, KW_TABLE | KW_PER, VFL_FLOW_ADD, vfl_count_by,
	 "(flow-count key ... [:per 1s] [:table name])"},
	{"rate-by", 1, ANY_NUMBER, KW_TABLE | KW_PER, VFL_FLOW_ADD, vfl_rate_by, "(rate-by key ... :per 1s [:table name])"},
	{"token-bucket", 3, ANY_NUMBER, KW_TABLE, VFL_FLOW_ADD, vfl_token_bucket,
	 "(token-bucket key ... rate burst [:table name])"},
	/* Of the compiler's own definitions: an instruction without operands. */
	{"%leaf", 1, 1, 0, VFL_LEAF, make_leaf, "(%leaf opcode)"},
};
#define N_FORMS (sizeof(forms) / sizeof(forms[0]))

static const struct form table_form = {
	"table", 1, 1, KW_ENTRIES | KW_IDLE | KW_NUMBER, VFL_OPS, NULL, "(table name [:entries n] [:idle seconds] [:number n])",
};

static bool same_text(const struct vfl_sexp *s, const char *name)
{
	return s->bytes == strlen(name) && !memcmp(s->text, name, s->bytes);
}

static int shown(const struct vfl_sexp *s)
{
	return s->bytes < NEAREST_MAX_NAME_BYTES ? (int)s->bytes : NEAREST_MAX_NAME_BYTES;
}

/* ---- names ---- */

static void say_unknown(struct vfl *c, const struct vfl_sexp *s, const char *what, const struct nearest *near,
			const char *otherwise)
{
	if (near->best)
		vfl_error(c, s, "unknown %s '%.*s'; did you mean '%.*s'?", what, shown(s), s->text, (int)near->best_bytes,
			  near->best);
	else
		vfl_error(c, s, "unknown %s '%.*s'; %s", what, shown(s), s->text, otherwise);
}

static const struct form *find_form(const struct vfl *c, const struct vfl_sexp *name)
{
	for (size_t i = 0; i < N_FORMS; i++)
		if (same_text(name, forms[i].name) && (c->in_field || forms[i].make != make_leaf))
			return &forms[i];
	return NULL;
}

static void unknown_form(struct vfl *c, const struct vfl_sexp *name)
{
	struct nearest near;

	nearest_init(&near, name->text, name->bytes, true);
	for (size_t i = 0; i < N_FORMS; i++)
		if (forms[i].make != make_leaf)
			nearest_offer(&near, forms[i].name, (uint32_t)strlen(forms[i].name));
	if (vfl_field_find(name->text, name->bytes) >= 0)
		vfl_error(c, name, "'%.*s' is a field, not an operation; write it without parentheses", shown(name), name->text);
	else
		say_unknown(c, name, "operation", &near, "docs/vflisp.md lists them");
}

static void unknown_name(struct vfl *c, const struct vfl_sexp *s)
{
	struct nearest near;

	nearest_init(&near, s->text, s->bytes, true);
	for (const struct vfl_scope *scope = c->scope; scope; scope = scope->outer)
		nearest_offer(&near, scope->binding->name, scope->binding->bytes);
	for (uint32_t i = 0; i < vfl_n_fields; i++)
		nearest_offer(&near, vfl_fields[i].name, (uint32_t)strlen(vfl_fields[i].name));
	if (find_form(c, s))
		vfl_error(c, s, "'%.*s' is an operation; write it in parentheses: %s", shown(s), s->text, find_form(c, s)->usage);
	else
		say_unknown(c, s, "name", &near, "docs/vflisp.md lists the fields; bind names of your own with let");
}

static struct vfl_node *symbol(struct vfl *c, const struct vfl_sexp *s)
{
	const struct vfl_wide_field *wide;
	int field;

	for (const struct vfl_scope *scope = c->scope; scope; scope = scope->outer)
		if (scope->binding->bytes == s->bytes && !memcmp(scope->binding->name, s->text, s->bytes))
			return vfl_var(c, scope->binding);
	field = vfl_field_find(s->text, s->bytes);
	if (field >= 0)
		return vfl_field_node(c, (uint32_t)field);
	wide = vfl_wide_find(s->text, s->bytes);
	if (wide)
		vfl_error(c, s, "'%s' has 128 bits; use %s and %s, or it as a key, or (in %s 2001:db8::/32)", wide->name, wide->hi,
			  wide->lo, wide->name);
	else
		unknown_name(c, s);
	return vfl_num(c, 0);
}

/* ---- forms ---- */

static const struct vfl_sexp **keyword_place(struct vfl_args *a, unsigned keyword)
{
	switch (keyword) {
	case KW_TABLE:
		return &a->table;
	case KW_PER:
		return &a->per;
	case KW_ENTRIES:
		return &a->entries;
	case KW_IDLE:
		return &a->idle;
	default:
		return &a->number;
	}
}

static const struct {
	const char *name;
	enum keyword bit;
} keywords[] = {{"table", KW_TABLE}, {"per", KW_PER}, {"entries", KW_ENTRIES}, {"idle", KW_IDLE}, {"number", KW_NUMBER}};

/* Takes ":keyword value" at s; returns the last element taken. */
static const struct vfl_sexp *take_keyword(struct vfl *c, const struct form *form, struct vfl_args *a, const struct vfl_sexp *s)
{
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		const struct vfl_sexp **place = keyword_place(a, keywords[i].bit);

		if (!(form->keywords & keywords[i].bit) || !same_text(s, keywords[i].name))
			continue;
		if (*place)
			vfl_error(c, s, "':%s' is given twice; remove one", keywords[i].name);
		if (!s->next) {
			vfl_error(c, s, "':%s' has no value; write %s", keywords[i].name, form->usage);
			return s;
		}
		*place = s->next;
		return s->next;
	}
	vfl_error(c, s, "'%s' has no option ':%.*s'; write %s", form->name, shown(s), s->text, form->usage);
	return s->next ? s->next : s;
}

static bool take_arguments(struct vfl *c, const struct form *form, const struct vfl_sexp *list, struct vfl_args *a)
{
	memset(a, 0, sizeof(*a));
	a->form = list;
	a->usage = form->usage;
	a->op = form->op;
	a->at = vfl_alloc(c, list->n * sizeof(*a->at));
	for (const struct vfl_sexp *s = list->first->next; s; s = s->next) {
		if (s->kind == VFL_KEYWORD)
			s = take_keyword(c, form, a, s);
		else
			a->at[a->n++] = s;
	}
	if (a->n >= form->least && a->n <= form->most)
		return true;
	vfl_error(c, list, "'%s' takes %s%u argument%s, not %u; write %s", form->name, form->most == form->least ? "" : "at least ",
		  form->least, form->least == 1 ? "" : "s", a->n, form->usage);
	return false;
}

static struct vfl_node *list_expression(struct vfl *c, const struct vfl_sexp *s)
{
	const struct form *form;
	struct vfl_args *args;

	if (!s->n) {
		vfl_error(c, s, "empty parentheses; write an operation, like (= proto 6)");
		return vfl_num(c, 0);
	}
	if (s->first->kind == VFL_BAD)
		return vfl_num(c, 0);
	if (s->first->kind != VFL_SYMBOL) {
		vfl_error(c, s->first, "an operation must come first in parentheses, like (= proto 6)");
		return vfl_num(c, 0);
	}
	if (vfl_is(s->first, "table")) {
		vfl_error(c, s, "tables are declared before the expression, not in it; move the form to the top");
		return vfl_num(c, 0);
	}
	form = find_form(c, s->first);
	if (!form) {
		unknown_form(c, s->first);
		return vfl_num(c, 0);
	}
	args = vfl_alloc(c, sizeof(*args));
	if (!take_arguments(c, form, s, args))
		return vfl_num(c, 0);
	return form->make(c, args);
}

struct vfl_node *vfl_expression(struct vfl *c, const struct vfl_sexp *s)
{
	switch (s->kind) {
	case VFL_NUMBER:
	case VFL_DURATION:
		return vfl_num(c, s->value);
	case VFL_SYMBOL:
		return symbol(c, s);
	case VFL_LIST:
		return list_expression(c, s);
	case VFL_NETWORK4:
		vfl_error(c, s, "a network is a set of addresses; write (in src-ip %.*s)", shown(s), s->text);
		return vfl_num(c, 0);
	case VFL_ADDRESS6:
		vfl_error(c, s, "an IPv6 address has 128 bits; write (in ip6.src %.*s)", shown(s), s->text);
		return vfl_num(c, 0);
	case VFL_KEYWORD:
		vfl_error(c, s,
			  "an option cannot stand here; options are the arguments of operations, like (count-by src-ip :per 1s)");
		return vfl_num(c, 0);
	default:
		return vfl_num(c, 0); /* VFL_BAD: the lexer has said it */
	}
}

static struct vfl_node *make_op(struct vfl *c, const struct vfl_args *a)
{
	struct vfl_node *n = vfl_new(c, a->op, a->n);

	for (uint32_t i = 0; i < a->n; i++)
		n->a[i] = vfl_expression(c, a->at[i]);
	return vfl_done(n);
}

static struct vfl_node *make_minus(struct vfl *c, const struct vfl_args *a)
{
	if (a->n > 1)
		return make_op(c, a);
	return vfl_1(c, VFL_NEG, vfl_expression(c, a->at[0]));
}

/* A literal that a field can never equal is a slip of the writer. */
static void check_range(struct vfl *c, const struct vfl_sexp *literal, const struct vfl_node *value, const struct vfl_node *with)
{
	const struct vfl_field *f;

	if (with->op != VFL_FIELD || value->op != VFL_NUM || value->width <= with->width ||
	    (literal->kind != VFL_NUMBER && literal->kind != VFL_DURATION))
		return;
	f = &vfl_fields[with->imm];
	vfl_error(c, literal, "%.*s is out of range: %s has %u bits, its largest value is %llu", shown(literal), literal->text,
		  f->name, f->width, (unsigned long long)(UINT64_MAX >> (64 - f->width)));
}

/* (and (= ip.version 6) (= hi network) (= lo network)), each under its mask. */
static struct vfl_node *match6(struct vfl *c, const struct vfl_wide_field *wide, const struct vfl_sexp *network)
{
	struct vfl_node *n = vfl_new(c, VFL_ALL, 3), *part;

	n->a[0] = vfl_2(c, VFL_EQ, vfl_expression_text(c, "ip.version"), vfl_num(c, 6));
	part = vfl_field_node(c, (uint32_t)vfl_field_find(wide->hi, (uint32_t)strlen(wide->hi)));
	if (network->prefix < 64)
		part = vfl_2(c, VFL_AND, part, vfl_num(c, network->prefix ? UINT64_MAX << (64 - network->prefix) : 0));
	n->a[1] = vfl_2(c, VFL_EQ, part, vfl_num(c, network->hi));
	part = vfl_field_node(c, (uint32_t)vfl_field_find(wide->lo, (uint32_t)strlen(wide->lo)));
	if (network->prefix < 128)
		part = vfl_2(c, VFL_AND, part, vfl_num(c, network->prefix > 64 ? UINT64_MAX << (128 - network->prefix) : 0));
	n->a[2] = vfl_2(c, VFL_EQ, part, vfl_num(c, network->value));
	return vfl_done(n);
}

static const struct vfl_wide_field *wide_symbol(const struct vfl_sexp *s)
{
	return s->kind == VFL_SYMBOL ? vfl_wide_find(s->text, s->bytes) : NULL;
}

/* (= ip6.src ADDRESS) and (!= ip6.src ADDRESS), either way round. */
static struct vfl_node *compare6(struct vfl *c, const struct vfl_args *a)
{
	bool first = a->at[0]->kind == VFL_ADDRESS6;
	const struct vfl_sexp *address = a->at[first ? 0 : 1], *other = a->at[first ? 1 : 0];
	const struct vfl_wide_field *wide = wide_symbol(other);
	struct vfl_node *match;

	if (!wide || address->kind != VFL_ADDRESS6) {
		vfl_error(c, wide ? address : other,
			  "IPv6 addresses compare with ip6.src and ip6.dst only; write (= ip6.src 2001:db8::1)");
		return vfl_num(c, 0);
	}
	match = match6(c, wide, address);
	return a->op == VFL_EQ ? match : vfl_1(c, VFL_UNTRUE, match);
}

static struct vfl_node *make_compare(struct vfl *c, const struct vfl_args *a)
{
	struct vfl_node *n;

	for (uint32_t i = 0; i < 2; i++)
		if (a->at[i]->kind == VFL_ADDRESS6 || wide_symbol(a->at[i]))
			return compare6(c, a);
	n = make_op(c, a);
	check_range(c, a->at[1], n->a[1], n->a[0]);
	check_range(c, a->at[0], n->a[0], n->a[1]);
	return n;
}

static bool bit_number(struct vfl *c, const struct vfl_sexp *s, uint64_t *value)
{
	*value = s->value;
	if (s->kind == VFL_NUMBER && s->value < 64)
		return true;
	vfl_error(c, s, "a bit's number must be a literal from 0 to 63; write (bits value high low)");
	return false;
}

static struct vfl_node *make_bits(struct vfl *c, const struct vfl_args *a)
{
	struct vfl_node *n = vfl_expression(c, a->at[0]);
	uint64_t hi, lo;

	if (!bit_number(c, a->at[1], &hi) || !bit_number(c, a->at[2], &lo))
		return n;
	if (hi < lo) {
		vfl_error(c, a->at[1], "bit %u is below bit %u; write the higher one first", (unsigned)hi, (unsigned)lo);
		return n;
	}
	if (lo)
		n = vfl_2(c, VFL_SHR, n, vfl_num(c, lo));
	return vfl_2(c, VFL_AND, n, vfl_num(c, UINT64_MAX >> (63 - (hi - lo))));
}

static struct vfl_node *in_wide(struct vfl *c, const struct vfl_args *a, const struct vfl_wide_field *wide)
{
	struct vfl_node *n = vfl_new(c, VFL_ANY, a->n - 1);

	for (uint32_t i = 1; i < a->n; i++) {
		n->a[i - 1] = vfl_num(c, 0);
		if (a->at[i]->kind == VFL_ADDRESS6)
			n->a[i - 1] = match6(c, wide, a->at[i]);
		else if (a->at[i]->kind != VFL_BAD)
			vfl_error(c, a->at[i], "members of a set of %s are IPv6 addresses and networks, like 2001:db8::/32",
				  wide->name);
	}
	return vfl_done(n);
}

static struct vfl_node *member(struct vfl *c, struct vfl_binding *value, const struct vfl_sexp *s)
{
	struct vfl_node *n = vfl_var(c, value), *with;
	uint64_t mask;

	if (s->kind != VFL_NETWORK4) {
		with = vfl_expression(c, s);
		check_range(c, s, with, value->init);
		return vfl_2(c, VFL_EQ, n, with);
	}
	mask = s->prefix ? (uint64_t)UINT32_MAX << (32 - s->prefix) & UINT32_MAX : 0;
	/* A value above 32 bits lies in no network: the mask keeps its upper bits. */
	if (value->init->width > 32)
		mask |= ~(uint64_t)UINT32_MAX;
	if (s->prefix < 32)
		n = vfl_2(c, VFL_AND, n, vfl_num(c, mask));
	return vfl_2(c, VFL_EQ, n, vfl_num(c, s->value));
}

static struct vfl_node *make_in(struct vfl *c, const struct vfl_args *a)
{
	struct vfl_binding *value;
	struct vfl_node *n;

	if (wide_symbol(a->at[0]))
		return in_wide(c, a, wide_symbol(a->at[0]));
	value = vfl_bind(c, vfl_expression(c, a->at[0]));
	n = vfl_new(c, VFL_ANY, a->n - 1);
	for (uint32_t i = 1; i < a->n; i++)
		n->a[i - 1] = member(c, value, a->at[i]);
	return vfl_let(c, value, vfl_done(n));
}

/* One (name value) of a let: checks the name, opens a scope. */
static void bind_name(struct vfl *c, const struct vfl_sexp *s)
{
	struct vfl_scope *scope;
	struct vfl_binding *b;

	if (s->kind != VFL_LIST || s->n != 2 || s->first->kind != VFL_SYMBOL) {
		if (s->kind != VFL_LIST || !s->n || s->first->kind != VFL_BAD)
			vfl_error(c, s, "a binding is a name and a value; write (let ((name value) ...) body)");
		return;
	}
	if (vfl_field_find(s->first->text, s->first->bytes) >= 0 || vfl_wide_find(s->first->text, s->first->bytes) ||
	    find_form(c, s->first)) {
		vfl_error(c, s->first, "'%.*s' already means something; choose another name", shown(s->first), s->first->text);
		return;
	}
	b = vfl_bind(c, vfl_expression(c, s->first->next));
	b->name = s->first->text;
	b->bytes = s->first->bytes;
	scope = vfl_alloc(c, sizeof(*scope));
	scope->binding = b;
	scope->outer = c->scope;
	c->scope = scope;
}

static struct vfl_node *make_let(struct vfl *c, const struct vfl_args *a)
{
	struct vfl_scope *outer = c->scope;
	struct vfl_node *n;

	if (a->at[0]->kind != VFL_LIST) {
		vfl_error(c, a->at[0], "bindings must stand in parentheses; write %s", a->usage);
		return vfl_num(c, 0);
	}
	for (const struct vfl_sexp *s = a->at[0]->first; s; s = s->next)
		bind_name(c, s);
	n = vfl_expression(c, a->at[1]);
	for (; c->scope != outer; c->scope = c->scope->outer)
		n = vfl_let(c, c->scope->binding, n);
	return n;
}

static struct vfl_node *make_load(struct vfl *c, const struct vfl_args *a)
{
	uint64_t bytes = same_text(a->form->first, "ld8")    ? 1
			 : same_text(a->form->first, "ld16") ? 2
			 : same_text(a->form->first, "ld32") ? 4
							     : 8;
	struct vfl_node *n = vfl_new(c, VFL_LOAD, 1);

	n->imm = bytes;
	n->a[0] = vfl_expression(c, a->at[0]);
	return vfl_done(n);
}

static struct vfl_node *make_hdr(struct vfl *c, const struct vfl_args *a)
{
	struct vfl_node *n = vfl_new(c, VFL_HDR, 0);

	n->imm = a->at[0]->value;
	n->width = 16;
	if (a->at[0]->kind != VFL_NUMBER || n->imm >= VFM_HDR_ITEMS) {
		n->imm = 0;
		vfl_error(c, a->at[0],
			  "the item must be 0 (network offset), 1 (transport offset), 2 (payload offset), 3 (protocol) or 4 "
			  "(fragment offset)");
	}
	return n;
}

static struct vfl_node *make_leaf(struct vfl *c, const struct vfl_args *a)
{
	struct vfl_node *n = vfl_new(c, VFL_LEAF, 0);

	n->imm = a->at[0]->value;
	return n;
}

/* ---- the program ---- */

struct vfl_node *vfl_expression_text(struct vfl *c, const char *text)
{
	struct vfl saved = *c;
	struct vfl_sexp *s;
	struct vfl_node *n;

	vfl_lex_begin(c, text, (uint32_t)strlen(text));
	s = vfl_parse(c);
	c->scope = NULL;
	c->in_field = true;
	n = vfl_expression(c, s);
	c->source = saved.source;
	c->source_bytes = saved.source_bytes;
	c->at = saved.at;
	c->line = saved.line;
	c->line_start = saved.line_start;
	c->scope = saved.scope;
	c->in_field = saved.in_field;
	return n;
}

/* Takes the (table ...) forms at the top; returns the first other form, or NULL after reporting that there is none. */
static struct vfl_sexp *take_tables(struct vfl *c, struct vfl_sexp *forms_at_top)
{
	struct vfl_sexp *s, *last = forms_at_top;

	for (s = forms_at_top; s && s->kind == VFL_LIST && s->n && vfl_is(s->first, "table"); s = s->next) {
		struct vfl_args args;

		last = s;
		if (take_arguments(c, &table_form, s, &args))
			vfl_declare_table(c, &args);
	}
	if (!s)
		vfl_error(c, last, "the program declares tables but has no expression; write one after them");
	return s;
}

struct vfl_node *vfl_check(struct vfl *c, struct vfl_sexp *forms_at_top)
{
	struct vfl_node *n;
	struct vfl_sexp *s = take_tables(c, forms_at_top);

	if (!s)
		return NULL;
	n = vfl_expression(c, s);
	if (s->next)
		vfl_error(c, s->next, "a program is one expression; join several with (do ...), (and ...) or (or ...)");
	vfl_number_tables(c);
	return c->diags->errors > c->errors_before ? NULL : n;
}

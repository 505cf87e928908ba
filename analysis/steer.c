/* steer.c: steering programs from the program itself.
 *
 * The walk runs the program along both sides of every branch up to the first owned access of each path. Where both sides need the
 * same steering code, or one side never reaches an owned access (then any value will do), the branch is left out; so what remains is
 * mostly one load. A branch that needs both and that the packet alone does not decide ends the attempt.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/fault.h"
#include "analysis/steer.h"

#define WALK_BUDGET 50000 /* blocks entered per attempt */
#define WALK_DEPTH  2000  /* blocks on one path */

struct blob {
	bool any_value; /* no owned access on this path */
	uint32_t len;
	uint8_t bytes[CERT_MAX_STEER_BYTES];
};

struct walker {
	const struct ir *ir;
	const bool *owned;
	const struct steer_role *role;
	struct steer_seen *seen; /* survey instead of code */
	uint32_t *n_seen;
	uint32_t *limits;
	uint32_t budget;
	uint32_t depth;
	key_env *env;
	bool *on_path; /* [n_blocks] */
	bool *known;   /* survey: [n_blocks] walked before */
	int err;
	char *why;
	size_t why_bytes;
};

static int give_up(struct walker *w, const char *why)
{
	if (!w->err) {
		w->err = -ENOTSUP;
		if (w->why)
			snprintf(w->why, w->why_bytes, "%s", why);
	}
	return w->err;
}

static int give_up_for(struct walker *w, enum split_limit limit, const char *why)
{
	*w->limits |= 1u << limit;
	return give_up(w, why);
}

/* ---- code ---- */

static void put(struct walker *w, struct blob *b, const void *bytes, uint32_t n)
{
	if (b->len + n > sizeof(b->bytes)) {
		give_up_for(w, SPLIT_LIMIT_STEER, "the steering program would be too large");
		return;
	}
	memcpy(b->bytes + b->len, bytes, n);
	b->len += n;
}

static void put_op(struct walker *w, struct blob *b, uint8_t op)
{
	put(w, b, &op, 1);
}

static void put_push(struct walker *w, struct blob *b, uint64_t v)
{
	uint8_t insn[9] = {VFM_OP_PUSH};

	for (int i = 0; i < 8; i++)
		insn[1 + i] = (uint8_t)(v >> 8 * i);
	put(w, b, insn, sizeof(insn));
}

/* op with a 16-bit operand: LDn, or a jump by distance. */
static void put_u16(struct walker *w, struct blob *b, uint8_t op, uint32_t v)
{
	uint8_t insn[3] = {op, (uint8_t)v, (uint8_t)(v >> 8)};

	put(w, b, insn, sizeof(insn));
}

#define GIVE_ZERO_BYTES 10

/* Two values are on the stack: go on if "a cond b", else steer to 0. */
static void put_unless_zero(struct walker *w, struct blob *b, uint8_t cond)
{
	put_u16(w, b, cond, GIVE_ZERO_BYTES);
	put_push(w, b, 0);
	put_op(w, b, VFM_OP_RET);
}

static uint8_t load_op(uint8_t first, unsigned bytes)
{
	return (uint8_t)(first + (bytes == 8 ? 3 : bytes / 2));
}

static void put_load(struct walker *w, struct blob *b, uint32_t offset, unsigned bytes)
{
	put_op(w, b, VFM_OP_PKTLEN);
	put_push(w, b, offset + bytes);
	put_unless_zero(w, b, VFM_OP_JGE);
	put_u16(w, b, load_op(VFM_OP_LD8, bytes), FAULT(STEER_BESIDE) && offset ? offset - 1 : offset);
}

static void put_value(struct walker *w, struct blob *b, uint32_t value, int depth);

static void put_indexed_load(struct walker *w, struct blob *b, const struct ir_value *v, int depth)
{
	unsigned bytes = ir_ops[v->op].bytes;

	put_value(w, b, v->a, depth);
	put_push(w, b, bytes);
	put_op(w, b, VFM_OP_ADD);
	put_op(w, b, VFM_OP_PKTLEN);
	put_unless_zero(w, b, VFM_OP_JLE);
	put_value(w, b, v->a, depth);
	put_op(w, b, load_op(VFM_OP_LDX8, bytes));
}

/* The bytecode of an operation of the ir that keeps its name. */
static uint8_t opcode_of(uint8_t ir_op)
{
	static const uint8_t ops[IR_N_OPS] = {
		[IR_ADD] = VFM_OP_ADD,     [IR_SUB] = VFM_OP_SUB,     [IR_MUL] = VFM_OP_MUL,       [IR_DIV] = VFM_OP_DIV,
		[IR_MOD] = VFM_OP_MOD,     [IR_AND] = VFM_OP_AND,     [IR_OR] = VFM_OP_OR,         [IR_XOR] = VFM_OP_XOR,
		[IR_SHL] = VFM_OP_SHL,     [IR_SHR] = VFM_OP_SHR,     [IR_NOT] = VFM_OP_NOT,       [IR_NEG] = VFM_OP_NEG,
		[IR_MIX] = VFM_OP_MIX,     [IR_HASH5] = VFM_OP_HASH5, [IR_HASH5S] = VFM_OP_HASH5S, [IR_PKTLEN] = VFM_OP_PKTLEN,
		[IR_INPUT] = VFM_OP_INPUT,
	};

	return ops[ir_op];
}

/* Recomputes the value from the packet. */
static void put_value(struct walker *w, struct blob *b, uint32_t value, int depth)
{
	const struct ir_value *v = &w->ir->values[key_resolve(w->ir, w->env, value)];

	if (w->err)
		return;
	if (depth > 100) {
		give_up_for(w, SPLIT_LIMIT_STEER, "a key's expression is too deep");
		return;
	}
	switch (v->op) {
	case IR_CONST:
		put_push(w, b, v->imm);
		return;
	case IR_LD8:
	case IR_LD16:
	case IR_LD32:
	case IR_LD64:
		put_load(w, b, (uint32_t)v->imm, ir_ops[v->op].bytes);
		return;
	case IR_LDX8:
	case IR_LDX16:
	case IR_LDX32:
	case IR_LDX64:
		put_indexed_load(w, b, v, depth + 1);
		return;
	case IR_HDR: {
		uint8_t insn[2] = {VFM_OP_HDR, (uint8_t)v->imm};

		put(w, b, insn, sizeof(insn));
		return;
	}
	default:
		break;
	}
	if (!opcode_of(v->op)) {
		give_up(w, "a key depends on table contents, time, or the round of a loop");
		return;
	}
	if (v->a != IR_NONE)
		put_value(w, b, v->a, depth + 1);
	if (v->b != IR_NONE)
		put_value(w, b, v->b, depth + 1);
	put_op(w, b, opcode_of(v->op));
}

/* ---- roles ---- */

/* The highest field, or as much of its upper end as the role asks for: two header fields side by side look like one wider field. */
static const struct key_field *top_of(const struct steer_role *role, const struct key_form *form, struct key_field *cut)
{
	const struct key_field *f = &form->fields[0];
	unsigned first = f->first + f->bits - role->bits;

	if (role->bits == 0 || role->bits >= f->bits)
		return f;
	*cut = (struct key_field){.first = (uint8_t)first, .bits = role->bits, .lowest = form->bits.bit[first]};
	return cut;
}

static const struct key_field *field_of(const struct steer_role *role, const struct key_form *form, struct key_field *cut)
{
	if (role->kind == STEER_TOP_FIELD)
		return form->n_fields ? top_of(role, form, cut) : NULL;
	for (uint32_t i = 0; i < form->n_fields; i++)
		for (unsigned at = 0; at + role->bits <= form->fields[i].bits; at++) {
			unsigned first = form->fields[i].first + at;

			if (form->bits.bit[first].source != role->lowest.source || form->bits.bit[first].bit != role->lowest.bit)
				continue;
			*cut = (struct key_field){.first = (uint8_t)first, .bits = role->bits, .lowest = role->lowest};
			return cut;
		}
	return NULL;
}

bool steer_row(const struct steer_role *role, const struct key_form *form, uint8_t table, struct cert_row *row)
{
	struct key_field cut;
	const struct key_field *f;

	*row = (struct cert_row){.table = table, .bits = 64};
	if (role->kind == STEER_WHOLE)
		return true;
	f = field_of(role, form, &cut);
	if (!f)
		return false;
	row->first = f->first;
	row->bits = f->bits;
	/* Where nothing stands above, reading to the top is the same and fits narrower keys too. */
	if (f->first + f->bits == form->width)
		row->bits = (uint8_t)(64 - f->first);
	return true;
}

static void put_projection(struct walker *w, struct blob *b, uint32_t key, const struct key_form *form, const struct cert_row *row)
{
	struct key_field cut;
	const struct key_field *f = w->role->kind == STEER_WHOLE ? NULL : field_of(w->role, form, &cut);
	uint32_t offset, bytes;

	if (f && key_field_load(f, &offset, &bytes)) {
		put_load(w, b, offset, bytes);
	} else {
		put_value(w, b, key, 0);
		if (row->first) {
			put_push(w, b, row->first);
			put_op(w, b, VFM_OP_SHR);
		}
		if (row->bits < 64 - row->first) {
			put_push(w, b, (1ULL << row->bits) - 1);
			put_op(w, b, VFM_OP_AND);
		}
	}
	put_op(w, b, VFM_OP_RET);
}

static void at_site(struct walker *w, uint32_t site, struct blob *b)
{
	uint32_t key = w->ir->values[site].a;
	struct key_form form;
	struct cert_row row;

	if (w->seen && *w->n_seen == STEER_MAX_SEEN) {
		*w->limits |= 1u << SPLIT_LIMIT_FORMS;
		return;
	}
	key_form(w->ir, w->env, key, &form);
	if (w->seen) {
		w->seen[(*w->n_seen)++] = (struct steer_seen){.site = site, .form = form};
		return;
	}
	if (!steer_row(w->role, &form, w->ir->values[site].table, &row)) {
		give_up(w, "the keys have no field in common");
		return;
	}
	put_projection(w, b, key, &form, &row);
}

/* ---- the walk ---- */

static void walk(struct walker *w, uint32_t block, struct blob *out);

/* Goes over an edge with the target's parameters bound, then forgets them again. */
static void cross(struct walker *w, const struct ir_succ *s, struct blob *out)
{
	const struct ir_block *to = &w->ir->blocks[s->block];
	uint32_t *saved;

	if (w->on_path[s->block]) {
		if (!w->seen)
			give_up(w, "an owned access lies behind a loop");
		out->any_value = true;
		return;
	}
	saved = malloc((2ul * to->n_params + 1) * sizeof(*saved));
	if (!saved) {
		w->err = -ENOMEM;
		return;
	}
	for (uint32_t i = 0; i < to->n_params; i++) {
		saved[i] = w->env[to->first + i];
		saved[to->n_params + i] = key_resolve(w->ir, w->env, w->ir->args[s->args + i]);
	}
	memcpy(&w->env[to->first], &saved[to->n_params], to->n_params * sizeof(*saved));
	walk(w, s->block, out);
	memcpy(&w->env[to->first], saved, to->n_params * sizeof(*saved));
	free(saved);
}

static void put_branch(struct walker *w, const struct ir_block *b, const struct blob *taken, const struct blob *other,
		       struct blob *out)
{
	uint32_t budget = 4096;

	if (!key_packet_only(w->ir, w->env, b->a, &budget) || !key_packet_only(w->ir, w->env, b->b, &budget)) {
		give_up(w, "which key a packet uses depends on table contents or time");
		return;
	}
	put_value(w, out, b->a, 0);
	put_value(w, out, b->b, 0);
	put_u16(w, out, b->cond, other->len);
	put(w, out, other->bytes, other->len);
	put(w, out, taken->bytes, taken->len);
}

static void branch(struct walker *w, const struct ir_block *b, uint8_t may, struct blob *out)
{
	struct blob *side = calloc(2, sizeof(*side));
	const struct blob *same = NULL;

	if (!side) {
		w->err = -ENOMEM;
		return;
	}
	side[0].any_value = side[1].any_value = true;
	for (int i = 0; i < 2 && !w->err; i++)
		if (may & (i ? IR_TAKES_1 : IR_TAKES_0))
			cross(w, &b->succ[i], &side[i]);
	if (side[0].any_value)
		same = &side[1];
	else if (side[1].any_value || (side[0].len == side[1].len && !memcmp(side[0].bytes, side[1].bytes, side[0].len)))
		same = &side[0];
	if (same) {
		out->any_value = same->any_value;
		put(w, out, same->bytes, same->len);
	} else if (!w->err) {
		put_branch(w, b, &side[0], &side[1], out);
	}
	free(side);
}

static void walk(struct walker *w, uint32_t block, struct blob *out)
{
	const struct ir_block *b = &w->ir->blocks[block];

	out->any_value = false;
	if (w->err)
		return;
	if (w->budget == 0 || w->depth == WALK_DEPTH) {
		give_up_for(w, SPLIT_LIMIT_PATHS, "the program has too many paths to its accesses");
		return;
	}
	w->budget--;
	for (uint32_t v = b->first; v < b->first + b->n_values; v++) {
		if (!w->owned[v])
			continue;
		at_site(w, v, out);
		if (!w->seen)
			return;
	}
	/* A survey looks at each block once. */
	if (w->seen && w->known[block])
		return;
	if (w->known)
		w->known[block] = true;
	w->on_path[block] = true;
	w->depth++;
	if (b->term == IR_BRANCH)
		branch(w, b, w->ir->facts.block[block], out);
	else if (b->term == IR_GOTO)
		cross(w, &b->succ[0], out);
	else
		out->any_value = true;
	w->depth--;
	w->on_path[block] = false;
}

static int run(struct walker *w, struct blob *out)
{
	w->budget = WALK_BUDGET;
	w->env = malloc((w->ir->n_values + 1ul) * sizeof(*w->env));
	w->on_path = calloc(w->ir->n_blocks, sizeof(*w->on_path));
	w->known = w->seen ? calloc(w->ir->n_blocks, sizeof(*w->known)) : NULL;
	if (w->env && w->on_path && (w->known || !w->seen)) {
		memset(w->env, 0xff, (w->ir->n_values + 1ul) * sizeof(*w->env));
		walk(w, 0, out);
	} else {
		w->err = -ENOMEM;
	}
	free(w->env);
	free(w->on_path);
	free(w->known);
	return w->err;
}

int steer_survey(const struct ir *ir, const bool *owned, struct steer_seen *seen, uint32_t *n_seen, uint32_t *limits)
{
	struct walker w = {.ir = ir, .owned = owned, .seen = seen, .n_seen = n_seen, .limits = limits};
	struct blob *b = calloc(1, sizeof(*b));
	int err = b ? run(&w, b) : -ENOMEM;

	free(b);
	return err == -ENOMEM ? err : 0;
}

int steer_write(const struct ir *ir, const bool *owned, const struct steer_role *role, struct cert *cert, char *why,
		size_t why_bytes, uint32_t *limits)
{
	struct walker w = {.ir = ir, .owned = owned, .role = role, .why = why, .why_bytes = why_bytes, .limits = limits};
	struct blob *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	err = run(&w, b);
	if (!err && b->any_value) {
		b->len = 0;
		put_push(&w, b, 0);
		put_op(&w, b, VFM_OP_RET);
	}
	cert->steer_bytes = b->len;
	memcpy(cert->steer, b->bytes, b->len);
	free(b);
	return err;
}

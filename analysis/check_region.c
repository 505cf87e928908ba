/* check_region.c: branches on statistics, followed until their ways meet. */
#include <stdlib.h>
#include <string.h>

#include "analysis/check_region.h"

/* How v (loaded) and x (compared with it) may stand to each other: one example for each case. v = 0 and v != 0 are told apart. */
static const struct {
	uint64_t v, x;
	uint8_t keeps, stores; /* bit 1 << class: v may stay; x may take its place */
} cases[] = {
	{0, 5, 0, 1 << CERT_MAX | 1 << CERT_MIN}, {0, 0, 1 << CERT_MAX, 1 << CERT_MAX}, /* ZERO_CASE: not where x cannot be 0 */
	{3, 5, 1 << CERT_MIN, 1 << CERT_MAX},     {5, 5, 1 << CERT_MAX | 1 << CERT_MIN, 1 << CERT_MAX | 1 << CERT_MIN},
	{7, 5, 1 << CERT_MAX, 1 << CERT_MIN},
};
#define N_CASES   (sizeof(cases) / sizeof(cases[0]))
#define ALL_CASES ((1u << N_CASES) - 1)
#define ZERO_CASE 1

/* What a slot holds on one way: what slot `id` held before the branch, a vector without an unknown bit, table[key] as it stands, or
 * something else. */
enum sym_kind { SYM_SLOT, SYM_KNOWN, SYM_LOADED, SYM_OTHER };

struct sym {
	uint8_t kind;
	uint32_t id;
};

/* One way through the region. */
struct way {
	uint32_t at;
	bool returned, stored;
	uint8_t cases;
	uint32_t sp;
	struct sym stack[VFM_STACK_SLOTS + 3];
};

struct follower {
	const struct region_start *start;
	struct region *region;
	uint8_t classes; /* that the region can be of: bit 1 << class */
	uint32_t n_ways;
	struct way ways[REGION_MAX_PATHS];
};

bool region_possible(const struct vfm_proof *proof, uint32_t insn_limit)
{
	uint32_t *insns = calloc(proof->n + 1ul, sizeof(*insns)), *updates = calloc(proof->n + 1ul, sizeof(*updates));
	bool possible = insns && updates && !proof->has_loop;

	for (uint32_t i = proof->n; possible && i-- > 0;) {
		const struct vfm_insn *insn = &proof->insns[i];
		uint16_t flags = vfm_ops[insn->op].flags;
		uint32_t next = flags & VFM_F_END ? proof->n : i + 1;
		uint32_t target = flags & VFM_F_JUMP ? (uint32_t)vfm_proof_index(proof, insn->target) : proof->n;

		insns[i] = 1 + (insns[next] > insns[target] ? insns[next] : insns[target]);
		updates[i] = ((flags & VFM_F_UPDATE) != 0) + (updates[next] > updates[target] ? updates[next] : updates[target]);
	}
	possible = possible && insns[0] <= insn_limit && updates[0] <= VFM_MAX_UPDATES;
	free(insns);
	free(updates);
	return possible;
}

/* Does some instruction in between, which would run after the one and before the other, update the table? */
static bool updated_between(const struct vfm_proof *proof, uint8_t table, uint32_t from_pc, uint32_t to_pc)
{
	for (uint32_t i = (uint32_t)vfm_proof_index(proof, from_pc) + 1; proof->insns[i].pc < to_pc; i++)
		if ((vfm_ops[proof->insns[i].op].flags & VFM_F_UPDATE) && proof->insns[i].table == table)
			return true;
	return false;
}

/* Is the value table[key] as it stands before the branch? */
static bool is_current(const struct follower *f, const struct flow_value *v)
{
	return v->tainted && v->part.loaded && v->part.table == f->region->table && v->part.key == f->region->key &&
	       !updated_between(f->start->proof, v->part.table, v->part.pc, f->start->proof->insns[f->start->at].pc);
}

static struct sym sym_of(const struct follower *f, uint32_t slot)
{
	const struct flow_value *v = &f->start->stack[slot];
	uint32_t vec = value_known(f->start->pool, v);

	if (is_current(f, v))
		return (struct sym){.kind = SYM_LOADED};
	return vec != VEC_NONE ? (struct sym){.kind = SYM_KNOWN, .id = vec} : (struct sym){.kind = SYM_SLOT, .id = slot};
}

/* The table and key that the branch is about. */
static bool find_subject(struct follower *f)
{
	const struct flow_value *top = &f->start->stack[f->start->sp - 1];
	const struct flow_value *v = top->tainted ? top : top - 1;

	f->region->table = v->part.table;
	f->region->key = v->part.key;
	return is_current(f, v);
}

/* v can be seen to be compared with x or with 0. The first vector that it is compared with is x. */
static bool take_x(struct follower *f, struct sym other, bool *zero)
{
	uint64_t c;

	if (other.kind != SYM_KNOWN)
		return false;
	*zero = vec_is_const(f->start->pool, other.id, &c) && c == 0;
	if (!*zero && f->region->x == VEC_NONE)
		f->region->x = other.id;
	return *zero || f->region->x == other.id;
}

static bool holds(uint8_t cond, uint64_t a, uint64_t b)
{
	switch (cond) {
	case VFM_OP_JEQ:
		return a == b;
	case VFM_OP_JNE:
		return a != b;
	case VFM_OP_JGT:
		return a > b;
	case VFM_OP_JLT:
		return a < b;
	case VFM_OP_JGE:
		return a >= b;
	default:
		return a <= b;
	}
}

/* Splits the way at a branch: it goes on as the one that jumps, a new one falls through; a way without a case is none. */
static bool follow_branch(struct follower *f, struct way *w, const struct vfm_insn *insn)
{
	struct sym b = w->stack[--w->sp], a = w->stack[--w->sp];
	uint32_t target = (uint32_t)vfm_proof_index(f->start->proof, insn->target);
	bool v_first = a.kind == SYM_LOADED, zero;
	uint8_t jumps = 0, falls;

	if (v_first == (b.kind == SYM_LOADED) || !take_x(f, v_first ? b : a, &zero))
		return false;
	for (unsigned i = 0; i < N_CASES; i++) {
		uint64_t x = zero ? 0 : cases[i].x;

		if (holds(insn->op, v_first ? cases[i].v : x, v_first ? x : cases[i].v))
			jumps |= (uint8_t)(1u << i);
	}
	falls = w->cases & (uint8_t)~jumps;
	jumps &= w->cases;
	if (jumps && falls) {
		struct way *other = &f->ways[f->n_ways];

		if (f->n_ways++ == REGION_MAX_PATHS)
			return false;
		memcpy(other, w, sizeof(*other));
		other->cases = falls;
		other->at++;
	}
	w->at = jumps ? target : w->at + 1;
	w->cases = jumps ? jumps : falls;
	return true;
}

static bool note_access(struct follower *f, const struct vfm_insn *insn)
{
	for (uint32_t i = 0; i < f->region->n_accesses; i++)
		if (f->region->accesses[i] == insn)
			return true;
	if (f->region->n_accesses == REGION_MAX_ACCESSES)
		return false;
	f->region->accesses[f->region->n_accesses++] = insn;
	return true;
}

static bool is_subject(const struct follower *f, const struct vfm_insn *insn, struct sym key)
{
	return f->start->options->taints(f->start->options->arg, insn) && insn->table == f->region->table &&
	       key.kind == SYM_KNOWN && key.id == f->region->key;
}

/* Only the entry that the branch is about may be read, and, once, be replaced by x. */
static bool follow_access(struct follower *f, struct way *w, const struct vfm_insn *insn)
{
	struct sym value;

	if (w->stored || !note_access(f, insn))
		return false;
	switch (insn->op) {
	case VFM_OP_FLOW_LOAD:
	case VFM_OP_FLOW_LOAD_T:
		if (!is_subject(f, insn, w->stack[w->sp - 1]))
			return false;
		w->stack[w->sp - 1] = (struct sym){.kind = SYM_LOADED};
		return true;
	case VFM_OP_FLOW_STORE:
	case VFM_OP_FLOW_STORE_T:
		value = w->stack[--w->sp];
		if (!is_subject(f, insn, w->stack[--w->sp]) || value.kind != SYM_KNOWN)
			return false;
		if (f->region->x == VEC_NONE)
			f->region->x = value.id;
		w->stored = true;
		return f->region->x == value.id;
	default:
		return false;
	}
}

static void push(struct way *w, enum sym_kind kind, uint32_t id)
{
	w->stack[w->sp++] = (struct sym){.kind = (uint8_t)kind, .id = id};
}

static void push_vec(struct follower *f, struct way *w, uint32_t vec)
{
	push(w, vec_is_known(f->start->pool, vec) ? SYM_KNOWN : SYM_OTHER, vec);
}

/* A load that cannot fault. */
static bool follow_load(struct follower *f, struct way *w, const struct vfm_insn *insn)
{
	bool fixed = insn->op <= VFM_OP_LD64;
	unsigned bytes = 1u << (insn->op - (fixed ? VFM_OP_LD8 : VFM_OP_LDX8));
	struct sym offset = {.kind = SYM_KNOWN};

	if (fixed)
		offset.id = vec_const(f->start->pool, insn->imm);
	else
		offset = w->stack[--w->sp];
	if (offset.kind != SYM_KNOWN || !facts_cover(f->start->facts, f->start->pool, offset.id, bytes))
		return false;
	push_vec(f, w, vec_load(f->start->pool, offset.id, bytes));
	return true;
}

static void follow_arithmetic(struct follower *f, struct way *w, const struct vfm_insn *insn)
{
	bool unary = vfm_ops[insn->op].pops == 1;
	struct sym b = {.kind = SYM_KNOWN}, a;

	if (!unary)
		b = w->stack[--w->sp];
	a = w->stack[--w->sp];

	if (a.kind != SYM_KNOWN || b.kind != SYM_KNOWN)
		push(w, SYM_OTHER, 0);
	else
		push_vec(f, w,
			 unary ? vec_unary(f->start->pool, insn->op, a.id) : vec_binary(f->start->pool, insn->op, a.id, b.id));
}

static void follow_stack(struct way *w, const struct vfm_insn *insn)
{
	struct sym *top = &w->stack[w->sp - 1], swap;

	switch (insn->op) {
	case VFM_OP_POP:
		w->sp--;
		break;
	case VFM_OP_DUP:
		w->stack[w->sp++] = *top;
		break;
	case VFM_OP_SWAP:
		swap = top[0];
		top[0] = top[-1];
		top[-1] = swap;
		break;
	case VFM_OP_OVER:
		w->stack[w->sp++] = top[-1];
		break;
	case VFM_OP_PICK:
		w->stack[w->sp++] = *(top - insn->imm);
		break;
	default: /* ROT: a b c -- b c a */
		swap = top[-2];
		top[-2] = top[-1];
		top[-1] = top[0];
		top[0] = swap;
		break;
	}
}

/* One instruction of the way; false: not in a region. */
static bool follow_insn(struct follower *f, struct way *w)
{
	const struct vfm_insn *insn = &f->start->proof->insns[w->at];
	uint16_t flags = vfm_ops[insn->op].flags;

	if (flags & VFM_F_COND)
		return follow_branch(f, w, insn);
	w->at++;
	switch (insn->op) {
	case VFM_OP_JMP:
		w->at = (uint32_t)vfm_proof_index(f->start->proof, insn->target);
		return true;
	case VFM_OP_RET:
		w->returned = true;
		return true;
	case VFM_OP_PUSH:
		push(w, SYM_KNOWN, vec_const(f->start->pool, insn->imm));
		return true;
	case VFM_OP_POP:
	case VFM_OP_DUP:
	case VFM_OP_SWAP:
	case VFM_OP_OVER:
	case VFM_OP_PICK:
	case VFM_OP_ROT:
		follow_stack(w, insn);
		return true;
	case VFM_OP_HASH5:
	case VFM_OP_HASH5S:
	case VFM_OP_PKTLEN:
	case VFM_OP_INPUT:
	case VFM_OP_HDR:
	case VFM_OP_NOW:
		push_vec(f, w, vec_leaf(f->start->pool, insn->op, insn->op == VFM_OP_HDR ? insn->imm : 0));
		return true;
	default:
		break;
	}
	if (flags & VFM_F_BOUNDS)
		return follow_load(f, w, insn);
	if (flags & (VFM_F_READ | VFM_F_UPDATE))
		return follow_access(f, w, insn);
	if (!(flags & VFM_F_PURE))
		return false;
	follow_arithmetic(f, w, insn);
	return true;
}

/* The way that stands at the lowest address; NULL: all stand at one place, or have returned. */
static struct way *hindmost(struct follower *f)
{
	struct way *low = &f->ways[0];
	bool apart = false;

	for (uint32_t i = 1; i < f->n_ways; i++) {
		struct way *w = &f->ways[i];

		apart = apart || w->at != low->at || w->returned || low->returned;
		if (low->returned || (!w->returned && w->at < low->at))
			low = w;
	}
	return low->returned || !apart ? NULL : low;
}

/* ---- where the ways end ---- */

static bool same_sym(struct sym a, struct sym b)
{
	return a.kind == b.kind && a.kind != SYM_OTHER && (a.kind == SYM_LOADED || a.id == b.id);
}

/* Classes of which "what the way holds" is the new value in every case that the way is taken. */
static uint8_t classes_of(const struct way *w, bool new_value)
{
	uint8_t classes = UINT8_MAX;

	for (unsigned i = 0; i < N_CASES; i++)
		if (w->cases >> i & 1)
			classes &= new_value ? cases[i].stores : cases[i].keeps;
	return classes;
}

/* A slot, `below` slots under the top at the end, as it is after the region. */
static struct region_slot slot_after(const struct follower *f, uint32_t below)
{
	struct flow_part part = {.table = f->region->table, .key = f->region->key, .forms = f->classes};
	uint32_t at = f->ways[0].sp - 1 - below;
	struct sym s = f->ways[0].stack[at];
	bool same = true;

	for (uint32_t i = 0; i < f->n_ways; i++) {
		const struct way *w = &f->ways[i];
		struct sym here = w->stack[w->sp - 1 - below];
		bool x = here.kind == SYM_KNOWN && here.id == f->region->x;

		same = same && same_sym(s, here);
		part.forms &= x || here.kind == SYM_LOADED ? classes_of(w, x) : 0;
	}
	if (same && s.kind == SYM_SLOT && s.id == at)
		return (struct region_slot){.kind = REGION_SAME};
	if (same && s.kind == SYM_KNOWN)
		return (struct region_slot){.kind = REGION_KNOWN, .vec = s.id};
	return (struct region_slot){.kind = REGION_TAINTED, .part = part};
}

/* Is x surely not 0? Only then is the smallest non-zero value what a store of x leaves. */
static bool x_is_positive(const struct follower *f)
{
	struct facts here = *f->start->facts;

	return f->region->x != VEC_NONE &&
	       !facts_assume(&here, f->start->pool, VFM_OP_JEQ, true, f->region->x, vec_const(f->start->pool, 0));
}

/* Which classes the stores inside are updates of. */
static void find_classes(struct follower *f)
{
	uint8_t stores;
	bool any = false;

	f->classes = x_is_positive(f) ? 1 << CERT_MAX | 1 << CERT_MIN : 1 << CERT_MAX;
	stores = f->classes;
	for (uint32_t i = 0; i < f->n_ways; i++) {
		if (f->classes & 1 << CERT_MIN)
			f->ways[i].cases &= (uint8_t) ~(1u << ZERO_CASE);
		any = any || f->ways[i].stored;
		stores &= classes_of(&f->ways[i], f->ways[i].stored);
	}
	f->region->stores = any ? stores : 0;
}

/* Do all ways return one value that statistics do not reach? */
static bool one_result(const struct follower *f)
{
	const struct way *first = &f->ways[0];
	struct sym s = first->stack[first->sp - 1];

	for (uint32_t i = 0; i < f->n_ways; i++)
		if (!same_sym(s, f->ways[i].stack[f->ways[i].sp - 1]))
			return false;
	return s.kind == SYM_KNOWN || (s.kind == SYM_SLOT && !f->start->stack[s.id].tainted);
}

static bool finish(struct follower *f)
{
	struct region *r = f->region;

	find_classes(f);
	r->returns = f->ways[0].returned;
	if (r->returns)
		return one_result(f);
	r->join = f->ways[0].at;
	r->sp = f->ways[0].sp;
	r->n_slots = f->start->proof->depth_lo[r->join];
	for (uint32_t i = 0; i < r->n_slots; i++)
		r->slots[i] = slot_after(f, r->n_slots - 1 - i);
	return true;
}

bool region_follow(const struct region_start *start, struct region *region)
{
	struct follower *f = calloc(1, sizeof(*f));
	struct way *w;
	bool ok;

	if (!f)
		return false;
	memset(region, 0, sizeof(*region));
	region->x = VEC_NONE;
	f->start = start;
	f->region = region;
	f->n_ways = 1;
	w = &f->ways[0];
	ok = find_subject(f);
	for (uint32_t i = 0; i < start->sp; i++)
		w->stack[i] = sym_of(f, i);
	w->sp = start->sp;
	w->at = start->at;
	w->cases = ALL_CASES;
	for (uint32_t n = 0; ok && w; n++) {
		ok = n < REGION_MAX_INSNS && follow_insn(f, w);
		w = hindmost(f);
	}
	ok = ok && finish(f);
	free(f);
	return ok;
}

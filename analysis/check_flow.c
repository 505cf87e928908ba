/* check_flow.c: the checker's dataflow. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/check_region.h"

#define MAX_STATE_BYTES (128u << 20)
#define MAX_VISITS      200 /* of one block; facts and alternatives settle long before in any program of sense */

/* State at the start of a basic block. */
struct flow_state {
	bool reached;
	bool queued;
	uint32_t visits;
	uint32_t depth; /* the proof's lo at the leader */
	struct facts facts;
	struct flow_value **slots; /* [depth] from the bottom of the lo top slots */
};

struct flow {
	const struct vfm_proof *proof;
	struct term_pool *pool;
	const struct flow_options *options;
	struct flow_state **states; /* [n] by instruction; NULL: no leader */
	size_t state_bytes;
	uint32_t n_queued;
	int err;
	bool visiting;
	bool regions; /* branches on statistics may be followed */
	/* The block being run: */
	bool dead; /* no alternative left: control cannot come here */
	uint32_t sp;
	struct facts facts;
	struct flow_value stack[VFM_STACK_SLOTS + 3];
};

static struct flow_value *push(struct flow *f)
{
	struct flow_value *v = &f->stack[f->sp++];

	v->n = 0;
	v->tainted = false;
	v->part = (struct flow_part){0};
	return v;
}

static void apply_unary(struct flow *f, const struct vfm_insn *insn)
{
	struct flow_value a, *out;

	value_copy(&a, &f->stack[--f->sp]);
	out = push(f);
	out->tainted = a.tainted;
	for (uint32_t i = 0; i < a.n; i++)
		value_add(out, f->pool, &a.alt[i].facts, vec_unary(f->pool, insn->op, a.alt[i].vec));
}

static void apply_binary(struct flow *f, const struct vfm_insn *insn)
{
	struct flow_value a, b, *out;

	value_copy(&b, &f->stack[--f->sp]);
	value_copy(&a, &f->stack[--f->sp]);
	out = push(f);
	value_combine_taint(out, insn->op, &a, &b);
	for (uint32_t i = 0; i < a.n; i++)
		for (uint32_t j = 0; j < b.n; j++) {
			struct facts both = a.alt[i].facts;

			if (facts_meet(&both, &b.alt[j].facts))
				value_add(out, f->pool, &both, vec_binary(f->pool, insn->op, a.alt[i].vec, b.alt[j].vec));
		}
	f->dead = f->dead || out->n == 0;
}

/* LDX: on from here the load has succeeded, for whichever alternative it was. */
static void apply_load(struct flow *f, const struct vfm_insn *insn)
{
	unsigned bytes = 1u << (insn->op - VFM_OP_LDX8);
	struct flow_value offset, *out;
	struct facts after;
	bool any = false;

	value_copy(&offset, &f->stack[--f->sp]);
	out = push(f);
	out->tainted = offset.tainted;
	for (uint32_t i = 0; i < offset.n; i++) {
		struct facts here = offset.alt[i].facts;

		if (!facts_meet(&here, &f->facts) || !facts_loaded(&here, f->pool, offset.alt[i].vec, bytes))
			continue;
		value_add(out, f->pool, &here, vec_load(f->pool, offset.alt[i].vec, bytes));
		if (any)
			facts_join(&after, &here);
		else
			after = here;
		any = true;
	}
	if (any)
		f->facts = after;
	f->dead = f->dead || !any;
}

static void apply_fixed_load(struct flow *f, const struct vfm_insn *insn)
{
	unsigned bytes = 1u << (insn->op - VFM_OP_LD8);
	uint32_t offset = vec_const(f->pool, insn->imm);

	if (!facts_loaded(&f->facts, f->pool, offset, bytes))
		f->dead = true;
	value_one(push(f), vec_load(f->pool, offset, bytes));
}

static void apply_access(struct flow *f, const struct vfm_insn *insn)
{
	const struct vfm_op_info *info = &vfm_ops[insn->op];
	bool taints = f->options->taints && f->options->taints(f->options->arg, insn);
	struct flow_value *v;
	uint32_t key;

	f->sp -= info->pops;
	key = value_known(f->pool, &f->stack[f->sp]);
	if (!info->pushes)
		return;
	v = push(f);
	value_unknown(v, f->pool, VEC_BITS);
	v->tainted = taints;
	if (taints && key != VEC_NONE && (info->flags & VFM_F_UPDATE) == 0)
		v->part = (struct flow_part){.forms = UINT8_MAX, .loaded = true, .table = insn->table, .key = key, .pc = insn->pc};
}

static void apply_stack(struct flow *f, const struct vfm_insn *insn)
{
	struct flow_value *top = &f->stack[f->sp - 1]; /* unused where the stack may be empty */
	struct flow_value swap;

	switch (insn->op) {
	case VFM_OP_POP:
		f->sp--;
		break;
	case VFM_OP_DUP:
		value_copy(&f->stack[f->sp++], top);
		break;
	case VFM_OP_SWAP:
		value_copy(&swap, top);
		value_copy(top, top - 1);
		value_copy(top - 1, &swap);
		break;
	case VFM_OP_OVER:
		value_copy(&f->stack[f->sp++], top - 1);
		break;
	case VFM_OP_PICK:
		value_copy(&f->stack[f->sp++], top - insn->imm);
		break;
	default: /* ROT: a b c -- b c a */
		value_copy(&swap, top - 2);
		value_copy(top - 2, top - 1);
		value_copy(top - 1, top);
		value_copy(top, &swap);
		break;
	}
}

static void apply(struct flow *f, const struct vfm_insn *insn)
{
	switch (insn->op) {
	case VFM_OP_TABLE:
		break;
	case VFM_OP_LD8:
	case VFM_OP_LD16:
	case VFM_OP_LD32:
	case VFM_OP_LD64:
		apply_fixed_load(f, insn);
		break;
	case VFM_OP_LDX8:
	case VFM_OP_LDX16:
	case VFM_OP_LDX32:
	case VFM_OP_LDX64:
		apply_load(f, insn);
		break;
	case VFM_OP_PUSH:
		value_one(push(f), vec_const(f->pool, insn->imm));
		break;
	case VFM_OP_POP:
	case VFM_OP_DUP:
	case VFM_OP_SWAP:
	case VFM_OP_OVER:
	case VFM_OP_PICK:
	case VFM_OP_ROT:
		apply_stack(f, insn);
		break;
	case VFM_OP_NOT:
	case VFM_OP_NEG:
		apply_unary(f, insn);
		break;
	case VFM_OP_HASH5:
	case VFM_OP_HASH5S:
	case VFM_OP_PKTLEN:
	case VFM_OP_INPUT:
	case VFM_OP_HDR:
	case VFM_OP_NOW:
		value_one(push(f), vec_leaf(f->pool, insn->op, insn->op == VFM_OP_HDR ? insn->imm : 0));
		break;
	default:
		if (vfm_ops[insn->op].flags & (VFM_F_READ | VFM_F_UPDATE))
			apply_access(f, insn);
		else
			apply_binary(f, insn);
		break;
	}
}

/* Instruction i starts a block: the entry, a jump's target, or what stands behind a jump or RET. */
static bool *find_leaders(const struct vfm_proof *proof)
{
	bool *leader = calloc(proof->n + 1, sizeof(*leader));

	if (!leader)
		return NULL;
	leader[0] = true;
	for (uint32_t i = 0; i < proof->n; i++) {
		uint16_t flags = vfm_ops[proof->insns[i].op].flags;

		if (flags & VFM_F_JUMP)
			leader[vfm_proof_index(proof, proof->insns[i].target)] = true;
		if (flags & (VFM_F_JUMP | VFM_F_END))
			leader[i + 1] = true;
	}
	return leader;
}

static struct flow_state *state_new(struct flow *f, uint32_t leader)
{
	uint32_t depth = f->proof->depth_lo[leader];
	struct flow_state *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->depth = depth;
	s->slots = calloc(depth ? depth : 1, sizeof(*s->slots));
	if (!s->slots) {
		free(s);
		return NULL;
	}
	return s;
}

static void state_free(struct flow_state *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->depth; i++)
		free(s->slots[i]);
	free(s->slots);
	free(s);
}

/* A slot's value in as many bytes as it needs. */
static int slot_set(struct flow *f, struct flow_value **slot, const struct flow_value *v)
{
	size_t bytes = value_bytes(v);
	struct flow_value *copy;

	if (f->state_bytes + bytes > MAX_STATE_BYTES)
		return -E2BIG;
	copy = malloc(bytes);
	if (!copy)
		return -ENOMEM;
	value_copy(copy, v);
	f->state_bytes += bytes;
	if (*slot)
		f->state_bytes -= value_bytes(*slot);
	free(*slot);
	*slot = copy;
	return 0;
}

/* Merges one incoming value into a slot; *changed if the slot is another afterwards. */
static int slot_merge(struct flow *f, struct flow_value **slot, const struct flow_value *in, bool first, bool *changed)
{
	struct flow_value merged;

	if (first) {
		*changed = true;
		return slot_set(f, slot, in);
	}
	value_copy(&merged, *slot);
	value_join_taint(&merged, in);
	for (uint32_t i = 0; i < in->n; i++)
		value_add(&merged, f->pool, &in->alt[i].facts, in->alt[i].vec);
	if (value_equal(&merged, *slot))
		return 0;
	*changed = true;
	return slot_set(f, slot, &merged);
}

/* Control goes from the block being run to the leader, with the facts given. */
static int flow_into(struct flow *f, uint32_t leader, const struct facts *facts)
{
	struct flow_state *s = f->states[leader];
	bool first = !s->reached, changed = !s->reached;
	struct flow_value v;
	int err = 0;

	for (uint32_t i = 0; i < s->depth && !err; i++) {
		value_copy(&v, &f->stack[f->sp - s->depth + i]);
		value_on_path(&v, facts);
		if (v.n == 0)
			return 0; /* the path contradicts itself: it is never taken */
	}
	for (uint32_t i = 0; i < s->depth && !err; i++) {
		value_copy(&v, &f->stack[f->sp - s->depth + i]);
		value_on_path(&v, facts);
		err = slot_merge(f, &s->slots[i], &v, first, &changed);
	}
	if (first) {
		s->facts = *facts;
	} else {
		struct facts joined = s->facts;

		facts_join(&joined, facts);
		changed = changed || !facts_equal(&joined, &s->facts);
		s->facts = joined;
	}
	s->reached = true;
	if (!err && changed && !s->queued) {
		s->queued = true;
		f->n_queued++;
	}
	return err;
}

/* May the branch go that way, and what is known then? */
static bool assume_branch(const struct flow *f, const struct vfm_insn *insn, const struct flow_value *a, const struct flow_value *b,
			  bool taken, struct facts *out)
{
	bool any = false;

	for (uint32_t i = 0; i < a->n; i++)
		for (uint32_t j = 0; j < b->n; j++) {
			struct facts here = f->facts;

			if (!facts_meet(&here, &a->alt[i].facts) || !facts_meet(&here, &b->alt[j].facts) ||
			    !facts_assume(&here, f->pool, insn->op, taken, a->alt[i].vec, b->alt[j].vec))
				continue;
			if (any)
				facts_join(out, &here);
			else
				*out = here;
			any = true;
		}
	return any;
}

/* Does the branch at the end of the block start a region? */
static bool starts_region(const struct flow *f, uint32_t at, struct region *region)
{
	struct region_start start = {
		.proof = f->proof,
		.pool = f->pool,
		.options = f->options,
		.facts = &f->facts,
		.stack = f->stack,
		.sp = f->sp,
		.at = at,
	};

	if (!f->regions || !(vfm_ops[f->proof->insns[at].op].flags & VFM_F_COND))
		return false;
	if (!f->stack[f->sp - 1].tainted && !f->stack[f->sp - 2].tainted)
		return false;
	return region_follow(&start, region) && (region->returns || f->states[region->join]);
}

/* Goes on where the ways through the region meet. */
static int flow_past(struct flow *f, const struct region *region)
{
	if (region->returns)
		return 0;
	f->sp = region->sp;
	for (uint32_t i = 0; i < region->n_slots; i++) {
		struct flow_value *v = &f->stack[f->sp - region->n_slots + i];
		const struct region_slot *slot = &region->slots[i];

		if (slot->kind == REGION_SAME)
			continue;
		value_one(v, slot->kind == REGION_KNOWN ? slot->vec : vec_unknown(f->pool, VEC_BITS));
		v->tainted = slot->kind == REGION_TAINTED;
		v->part = slot->part;
	}
	return flow_into(f, region->join, &f->facts);
}

static int flow_branch(struct flow *f, uint32_t at)
{
	const struct vfm_insn *insn = &f->proof->insns[at];
	uint32_t target = (uint32_t)vfm_proof_index(f->proof, insn->target);
	struct region region;
	struct flow_value a, b;
	struct facts facts;
	int err = 0;

	if (insn->op == VFM_OP_JMP)
		return flow_into(f, target, &f->facts);
	if (starts_region(f, at, &region))
		return flow_past(f, &region);
	value_copy(&b, &f->stack[--f->sp]);
	value_copy(&a, &f->stack[--f->sp]);
	if (assume_branch(f, insn, &a, &b, true, &facts))
		err = flow_into(f, target, &facts);
	if (!err && assume_branch(f, insn, &a, &b, false, &facts))
		err = flow_into(f, at + 1, &facts);
	return err;
}

/* Shows a region's accesses: all with its key, stores with its x. */
static int show_region(struct flow *f, const struct region *region)
{
	struct flow_value key, x;
	int err = 0;

	value_one(&key, region->key);
	value_one(&x, region->x == VEC_NONE ? vec_unknown(f->pool, VEC_BITS) : region->x);
	for (uint32_t i = 0; i < region->n_accesses && !err; i++) {
		struct flow_visit v = {.insn = region->accesses[i], .facts = &f->facts, .a = &key, .region = region};

		v.b = vfm_ops[v.insn->op].pops == 2 ? &x : NULL;
		err = f->options->visit(f->options->arg, &v);
	}
	return err;
}

static int show(struct flow *f, uint32_t at)
{
	const struct vfm_insn *insn = &f->proof->insns[at];
	const struct vfm_op_info *info = &vfm_ops[insn->op];
	struct flow_visit v = {.insn = insn, .facts = &f->facts};
	struct region region;
	int err;

	if (!f->visiting)
		return 0;
	if (!(info->flags & (VFM_F_READ | VFM_F_UPDATE | VFM_F_BOUNDS | VFM_F_DIVIDE | VFM_F_COND | VFM_F_TIME)) &&
	    insn->op != VFM_OP_RET)
		return 0;
	if (info->pops == 2)
		v.b = &f->stack[f->sp - 1];
	if (info->pops)
		v.a = &f->stack[f->sp - info->pops];
	if (starts_region(f, at, &region))
		v.region = &region;
	err = f->options->visit(f->options->arg, &v);
	return err || !v.region ? err : show_region(f, &region);
}

static void enter(struct flow *f, const struct flow_state *s)
{
	f->dead = false;
	f->sp = s->depth;
	f->facts = s->facts;
	for (uint32_t i = 0; i < s->depth; i++)
		value_copy(&f->stack[i], s->slots[i]);
}

/* Runs the block that starts at instruction i from its state. */
static int run_block(struct flow *f, uint32_t i)
{
	enter(f, f->states[i]);
	for (;; i++) {
		const struct vfm_insn *insn = &f->proof->insns[i];
		uint16_t flags = vfm_ops[insn->op].flags;
		int err = show(f, i);

		if (err || insn->op == VFM_OP_RET)
			return err;
		if (term_pool_failed(f->pool))
			return -E2BIG;
		if (flags & VFM_F_JUMP)
			return f->visiting ? 0 : flow_branch(f, i);
		apply(f, insn);
		if (f->dead)
			return 0;
		if (i + 1 < f->proof->n && f->states[i + 1])
			return f->visiting ? 0 : flow_into(f, i + 1, &f->facts);
	}
}

static int solve(struct flow *f)
{
	int err = 0;

	while (f->n_queued && !err) {
		/* In order of address: mostly one visit per block where there are no loops. */
		for (uint32_t i = 0; i < f->proof->n && !err; i++) {
			struct flow_state *s = f->states[i];

			if (!s || !s->queued)
				continue;
			s->queued = false;
			f->n_queued--;
			err = ++s->visits > MAX_VISITS ? -E2BIG : run_block(f, i);
		}
	}
	return err;
}

static int make_states(struct flow *f)
{
	bool *leader = find_leaders(f->proof);
	int err = leader ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < f->proof->n && !err; i++) {
		if (!leader[i])
			continue;
		f->states[i] = state_new(f, i);
		if (!f->states[i])
			err = -ENOMEM;
	}
	free(leader);
	return err;
}

int flow_run(const struct vfm_proof *proof, struct term_pool *pool, const struct flow_options *options)
{
	struct flow *f = calloc(1, sizeof(*f));
	struct facts entry;
	int err = -ENOMEM;

	if (!f)
		return -ENOMEM;
	f->proof = proof;
	f->pool = pool;
	f->options = options;
	f->regions = options->taints && region_possible(proof, VFM_DEFAULT_INSN_LIMIT);
	f->states = calloc(proof->n, sizeof(struct flow_state *));
	if (!f->states || make_states(f))
		goto out;
	facts_none(&entry);
	err = flow_into(f, 0, options->entry ? options->entry : &entry);
	if (!err)
		err = solve(f);
	f->visiting = true;
	for (uint32_t i = 0; i < proof->n && !err; i++)
		if (f->states[i] && f->states[i]->reached)
			err = run_block(f, i);
	if (!err && term_pool_failed(pool))
		err = -E2BIG;
out:
	for (uint32_t i = 0; f->states && i < proof->n; i++)
		state_free(f->states[i]);
	free(f->states);
	free(f);
	return err;
}

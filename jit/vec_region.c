/* vec_region.c: what of a program runs in lanes.
 *
 * The region is what can be reached from the entry without loops, tables, hashes, divisions and times. Lanes hold the low 32 bits
 * of values; wherever more would matter the facts must prove that there is no more, else the block is outside the region. Four
 * packet bytes that end where a load ends are fetched with one gather ("window") at the start, and shared by all loads inside them.
 */
#include <errno.h>
#include <stdlib.h>

#include "jit/vec_parts.h"
#include "vm/ir_fact.h"
#include "vm/vfm.h"

#define MIN_LENGTH 4 /* a window */

/* ---- the region ---- */

static bool narrow(const struct ir_fact *f)
{
	return f->hi <= UINT32_MAX;
}

bool vec_has(const struct ir *ir, uint32_t id)
{
	const struct ir_value *v = &ir->values[id];

	switch (v->op) {
	case IR_CONST:
	case IR_PARAM:
	case IR_LD8:
	case IR_LD16:
	case IR_LD32:
	case IR_LD64:
	case IR_ADD:
	case IR_SUB:
	case IR_MUL:
	case IR_AND:
	case IR_OR:
	case IR_XOR:
	case IR_SHL:
	case IR_NOT:
	case IR_NEG:
	case IR_PKTLEN:
	case IR_INPUT:
		return true;
	case IR_SHR:
		return narrow(&ir->facts.value[v->a]);
	case IR_LDX8:
	case IR_LDX16:
	case IR_LDX32:
		return narrow(&ir->facts.operand[id]);
	default:
		return false;
	}
}

bool vec_takes(const struct ir *ir, uint32_t block, unsigned k)
{
	return ir->facts.block[block] & (k ? IR_TAKES_1 : IR_TAKES_0);
}

bool vec_undecided(const struct ir *ir, uint32_t block)
{
	return ir->blocks[block].term == IR_BRANCH && vec_takes(ir, block, 0) && vec_takes(ir, block, 1);
}

/* Is x - y compared with 0, x and y of 32 bits? The difference is between -2^32 and 2^32, so it is 0 if its low 32 bits are. */
static bool tests_difference(const struct ir *ir, const struct ir_block *b)
{
	const struct ir_value *a = &ir->values[b->a], *zero = &ir->values[b->b];

	return (b->cond == VFM_OP_JEQ || b->cond == VFM_OP_JNE) && zero->op == IR_CONST && zero->imm == 0 && a->op == IR_SUB &&
	       narrow(&ir->facts.value[a->a]) && narrow(&ir->facts.value[a->b]);
}

/* ---- verdicts: 32 bits, or as many with sign where some are such constants as -1 ---- */

static bool fits_with_sign(const struct ir *ir, uint32_t block)
{
	const struct ir_value *v = &ir->values[ir->blocks[block].a];

	if (v->op == IR_CONST)
		return (uint64_t)(int64_t)(int32_t)v->imm == v->imm;
	return ir->facts.term[2 * block].hi <= INT32_MAX;
}

/* Verdicts that only one of the two ways can tell: of the way that the first of them wants. */
static bool wants_sign(const struct ir *ir)
{
	for (uint32_t i = 0; i < ir->n_blocks; i++)
		if (ir->facts.block[i] & IR_REACHED && ir->blocks[i].term == IR_RET &&
		    fits_with_sign(ir, i) != narrow(&ir->facts.term[2 * i]))
			return fits_with_sign(ir, i);
	return false;
}

static bool block_fits(const struct vec *v, const uint8_t *needed, uint32_t block)
{
	const struct ir *ir = v->ir;
	const struct ir_block *b = &ir->blocks[block];
	const struct ir_fact *t = &ir->facts.term[2 * block];

	if (b->header)
		return false;
	for (uint32_t id = b->first; id < b->first + b->n_values; id++)
		if (needed[id] && !vec_has(ir, id))
			return false;
	if (b->term == IR_RET)
		return v->wants & VEC_SIGNED ? fits_with_sign(ir, block) : narrow(&t[0]);
	return !vec_undecided(ir, block) || (narrow(&t[0]) && narrow(&t[1])) || tests_difference(ir, b);
}

static void lead_to(struct vec *v, uint32_t block, uint64_t insns)
{
	if (v->state[block] == VEC_UNREACHED)
		/* A header's turn may be over; of the others it is decided when it comes. */
		v->state[block] = v->ir->blocks[block].header ? VEC_OUTSIDE : VEC_INSIDE;
	if (insns > v->insns[block])
		v->insns[block] = insns;
}

/* Follows the region from the entry. False: there is none. */
static bool find_region(struct vec *v, const uint8_t *needed)
{
	const struct ir *ir = v->ir;

	if (wants_sign(ir))
		v->wants |= VEC_SIGNED;
	lead_to(v, 0, 0);
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		const struct ir_block *b = &ir->blocks[i];

		if (v->state[i] != VEC_INSIDE)
			continue;
		/* Where the limit may be met, packets are counted one by one. */
		v->state[i] = block_fits(v, needed, i) && v->insns[i] + b->insns <= v->insn_limit ? VEC_INSIDE : VEC_OUTSIDE;
		if (v->state[i] == VEC_OUTSIDE)
			continue;
		v->finds_verdicts |= b->term == IR_RET;
		for (unsigned k = 0; k < b->n_succs; k++)
			if (vec_takes(ir, i, k))
				lead_to(v, b->succ[k].block, v->insns[i] + b->insns);
	}
	return v->state[0] == VEC_INSIDE;
}

static void need(struct vec *v, uint32_t id)
{
	if (id != IR_NONE)
		v->needed[id] = 1;
}

/* What the region's branches, results and arguments are made of; users come before operands. */
static void find_needed(struct vec *v)
{
	const struct ir *ir = v->ir;

	for (uint32_t id = 0; id < ir->n_values; id++)
		v->needed[id] = v->slot[id] != 0;
	for (uint32_t i = ir->n_blocks; i-- > 0;) {
		const struct ir_block *b = &ir->blocks[i];

		if (v->state[i] != VEC_INSIDE)
			continue;
		for (unsigned k = 0; k < b->n_succs; k++) {
			const struct ir_block *to = &ir->blocks[b->succ[k].block];

			/* Outside, parameters are needed that are handed on. */
			for (uint32_t p = 0; p < to->n_params && vec_takes(ir, i, k); p++)
				if (v->needed[to->first + p])
					need(v, ir->args[b->succ[k].args + p]);
		}
		if (vec_undecided(ir, i) || b->term == IR_RET) {
			need(v, b->a);
			need(v, b->b);
		}
		for (uint32_t id = b->first + b->n_values; id-- > b->first + b->n_params;) {
			const struct ir_value *x = &ir->values[id];

			if (x->op >= IR_LDX8 && x->op <= IR_LDX64)
				v->needed[id] = 1; /* may be outside the packet */
			if (!v->needed[id])
				continue;
			need(v, x->a);
			need(v, x->b);
		}
	}
}

/* Every load of the region at a constant offset is checked at the start, needed or not. */
static uint32_t furthest_load(const struct vec *v)
{
	uint32_t end = MIN_LENGTH;

	for (uint32_t i = 0; i < v->ir->n_blocks; i++) {
		const struct ir_block *b = &v->ir->blocks[i];

		for (uint32_t id = b->first; id < b->first + b->n_values && v->state[i] == VEC_INSIDE; id++) {
			const struct ir_value *x = &v->ir->values[id];

			if (x->op >= IR_LD8 && x->op <= IR_LD64 && x->imm + ir_ops[x->op].bytes > end)
				end = (uint32_t)x->imm + ir_ops[x->op].bytes;
		}
	}
	return end;
}

/* ---- windows ---- */

/* The part of a load whose low 32 bits count. */
uint32_t vec_part_start(const struct ir_value *x)
{
	return (uint32_t)x->imm + (x->op == IR_LD64 ? 4 : 0);
}

uint32_t vec_part_bytes(const struct ir_value *x)
{
	return x->op == IR_LD64 ? 4 : ir_ops[x->op].bytes;
}

uint32_t vec_window_of(uint32_t end)
{
	return end < 4 ? 0 : end - 4;
}

int vec_find_window(const struct vec *v, const struct ir_value *x)
{
	for (uint32_t w = 0; w < v->n_windows; w++)
		if (v->window_start[w] <= vec_part_start(x) && vec_part_start(x) + vec_part_bytes(x) <= v->window_start[w] + 4)
			return (int)w;
	return -1;
}

static int by_number_down(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return a < b ? 1 : a > b ? -1 : 0;
}

/* From the furthest end backwards, so that a window serves as many loads before it as it can. */
static int choose_windows(struct vec *v)
{
	const struct ir *ir = v->ir;
	uint32_t *ends = malloc((ir->n_values + 1ul) * sizeof(*ends)), n = 0, covered = UINT32_MAX;

	if (!ends)
		return -ENOMEM;
	for (uint32_t id = 0; id < ir->n_values; id++) {
		const struct ir_value *x = &ir->values[id];

		if (v->needed[id] && x->op >= IR_LD8 && x->op <= IR_LD64)
			ends[n++] = vec_part_start(x) + vec_part_bytes(x);
	}
	qsort(ends, n, sizeof(*ends), by_number_down);
	/* A load that begins before its window's start gets another one; ends alone decide here, vec_find_window() checks. */
	for (uint32_t i = 0; i < n && v->n_windows < v->isa->n_windows; i++) {
		if (ends[i] == covered)
			continue;
		covered = ends[i];
		v->window_start[v->n_windows++] = vec_window_of(ends[i]);
	}
	free(ends);
	return 0;
}

/* Leaves out windows all of whose loads lie in another one. */
static void prune_windows(struct vec *v)
{
	const struct ir *ir = v->ir;

	for (uint32_t w = v->n_windows; w-- > 0;) {
		uint32_t kept = v->window_start[w];
		bool alone = false;

		v->window_start[w] = UINT32_MAX - 8; /* holds nothing */
		for (uint32_t id = 0; id < ir->n_values && !alone; id++) {
			const struct ir_value *x = &ir->values[id];

			if (v->needed[id] && x->op >= IR_LD8 && x->op <= IR_LD64 && vec_part_start(x) >= kept &&
			    vec_part_start(x) + vec_part_bytes(x) <= kept + 4)
				alone = vec_find_window(v, x) < 0;
		}
		if (alone)
			v->window_start[w] = kept;
		else
			v->window_start[w] = v->window_start[--v->n_windows];
	}
}

int vec_region(struct vec *v, const uint8_t *needed)
{
	if (!find_region(v, needed))
		return -ENOTSUP;
	v->guard = furthest_load(v);
	return v->guard > VFM_MAX_PACKET_BYTES ? -ENOTSUP : 0;
}

/* The values handed on, behind the arguments of edges, where there is room for them: what is done to those is done to them. */
static void append_live(struct ir *ir, const struct jit_continuations *c)
{
	for (uint32_t k = 0; k < c->n; k++)
		for (uint32_t i = 0; i < c->at[k].n_live; i++)
			ir->args[ir->n_args++] = c->at[k].live[i];
}

static void give_slots(struct vec *v)
{
	struct jit_continuations *c = v->continuations;
	const uint32_t *arg = &v->ir->args[v->ir->n_args - c->n_live];
	uint8_t n = 0;

	for (uint32_t k = 0; k < c->n; k++) {
		v->leave_by[c->at[k].block] = (uint8_t)(k + 1);
		for (uint32_t i = 0; i < c->at[k].n_live; i++, arg++) {
			if (!v->slot[*arg])
				v->slot[*arg] = ++n;
			c->at[k].slot[i] = v->slot[*arg] - 1;
		}
	}
}

int vec_plan(struct vec *v)
{
	int err;

	append_live(v->ir, v->continuations);
	err = jit_cse_flat(v->ir, v->state);
	if (err)
		return err;
	give_slots(v);
	find_needed(v);
	err = choose_windows(v);
	if (!err)
		prune_windows(v);
	if (v->n_windows && v->guard < VEC_BLOCK)
		v->guard = VEC_BLOCK;
	return err;
}

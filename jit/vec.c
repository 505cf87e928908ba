/* vec.c: several packets at once, one in each 32-bit lane of vector registers.
 *
 * The region (vec_region.c) is if-converted: every block's values are computed for all lanes, and each block has a mask of the lanes
 * that are really there; a branch splits a mask, a join unites masks, parameters are blended. Loads are safe for all lanes because
 * each lane's packet was found long enough for the furthest one first. A lane that leaves the region, whose packet is too short, or
 * whose computed offset does not lie inside is handed back, to be run alone from its start: nothing the region does has an effect, so
 * that is exact.
 *
 * Masks are in general registers, whose bits above the lanes are 0:
 *
 *     rax, rdx the ways out of a block   rcx its own   r11 lanes handed back   r9, r10 lanes that return the two commonest constants
 *     rsi, r8, rbx, rbp, r12-r15 of blocks to come (then the stack)   rdi args
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/vec_parts.h"
#include "jit/vex.h"
#include "jit/x86_encode.h"
#include "vm/vfm.h"

static const uint8_t accumulators[VEC_ACCUMULATORS] = {R9, R10};

/* The first of them callers do not want back; so few are enough for a few blocks. */
#define FREE_POOL 2
static const uint8_t pool[VEC_MAX_POOL] = {RSI, R8, RBX, RBP, R12, R13, R14, R15};

/* ---- masks of lanes ---- */

static void mask_move(struct jit_buf *b, uint8_t d, uint8_t s)
{
	x86_rr(b, false, 0x89, s, d);
}

static void mask_or(struct jit_buf *b, uint8_t d, uint8_t s)
{
	x86_rr(b, false, 0x09, s, d);
}

static void mask_load(struct jit_buf *b, uint8_t d, uint32_t stack)
{
	x86_rm(b, false, 0x8b, d, RSP, (int32_t)stack);
}

static void mask_store(struct jit_buf *b, uint32_t stack, uint8_t s)
{
	x86_rm(b, false, 0x89, s, RSP, (int32_t)stack);
}

static void mask_or_stack(struct jit_buf *b, uint32_t stack, uint8_t s)
{
	x86_rm(b, false, 0x09, s, RSP, (int32_t)stack);
}

/* ---- constants and operands ---- */

static uint32_t constant(struct vec *v, uint32_t x)
{
	uint32_t repeated[16], k = (x ^ x >> 8 ^ x >> 16) % VEC_CONSTANTS;

	if (v->constants[k].used && v->constants[k].number == x)
		return v->constants[k].label;
	for (unsigned i = 0; i < 16; i++)
		repeated[i] = x;
	v->constants[k].used = true;
	v->constants[k].number = x;
	v->constants[k].label = jit_constant(v->b, repeated, v->isa->constant_bytes, v->isa->constant_bytes);
	return v->constants[k].label;
}

static struct evex_src reg(uint8_t r)
{
	return (struct evex_src){EVEX_REG, r};
}

static struct evex_src number(struct vec *v, uint32_t x)
{
	return (struct evex_src){v->isa->constant_kind, constant(v, x)};
}

static struct evex_src operand(struct vec *v, uint32_t id)
{
	const struct jit_place *p = &v->places.at[id];

	if (v->ir->values[id].op == IR_CONST)
		return number(v, (uint32_t)v->ir->values[id].imm);
	if (p->reg == JIT_NO_REG)
		return (struct evex_src){EVEX_STACK, p->slot * v->isa->bytes};
	return reg(p->reg);
}

static uint8_t scratch(const struct vec *v, unsigned i)
{
	return (uint8_t)(v->isa->scratch + i);
}

/* A register with the value: its own, or spare. */
static uint8_t in_reg(struct vec *v, uint32_t id, uint8_t spare)
{
	struct evex_src s = operand(v, id);

	if (s.kind == EVEX_REG)
		return (uint8_t)s.at;
	v->isa->move(v->b, spare, s);
	return spare;
}

static uint8_t result(const struct vec *v, uint32_t id)
{
	return v->places.at[id].reg == JIT_NO_REG ? scratch(v, 0) : v->places.at[id].reg;
}

static uint32_t live_offset(const struct vec *v, uint32_t id)
{
	return (uint32_t)offsetof(struct vec_args, live) + (v->slot[id] - 1u) * (uint32_t)sizeof(uint32_t[VEC_LANES]);
}

static void put(struct vec *v, uint32_t id, uint8_t r)
{
	if (v->slot[id])
		v->isa->store_args(v->b, live_offset(v, id), r);
	if (v->places.at[id].reg == JIT_NO_REG && v->places.at[id].slot != JIT_NO_SLOT)
		v->isa->store(v->b, v->places.at[id].slot * v->isa->bytes, r);
}

/* ---- values ---- */

/* Cuts `bytes` bytes out of a big-endian window w, `after` bytes of which lie behind them. */
static void cut(struct vec *v, uint8_t d, uint8_t w, uint32_t bytes, uint32_t after)
{
	if (after)
		v->isa->shift(v->b, false, d, w, (uint8_t)(8 * after));
	if (bytes + after < 4)
		v->isa->op(v->b, EVEX_PANDD, d, after ? d : w, number(v, (1u << 8 * bytes) - 1));
	else if (!after && d != w)
		v->isa->move(v->b, d, reg(w));
}

static void load(struct vec *v, uint32_t id, const struct ir_value *x)
{
	int w = vec_find_window(v, x);
	uint8_t d = result(v, id), from = (uint8_t)(w < 0 ? scratch(v, 2) : v->isa->first_window + w);
	uint32_t start = w < 0 ? vec_window_of(vec_part_start(x) + vec_part_bytes(x)) : v->window_start[w];

	if (w < 0) {
		uint8_t low = v->isa->address(v->b, false, scratch(v, 0)), high = v->isa->address(v->b, true, scratch(v, 1));

		v->wants |= VEC_DATA;
		/* Lanes that are not in the burst, or too short, stay out: the entry's mask is kept on the stack. */
		mask_load(v->b, VEC_YES, v->words_offset);
		v->isa->gather(v, from, low, high, (int32_t)start, VEC_YES);
	}
	cut(v, d, from, vec_part_bytes(x), start + 4 - vec_part_start(x) - vec_part_bytes(x));
	put(v, id, d);
}

/* mask: register with the block's lanes; those whose offset is not inside leave it. */
static void load_indexed(struct vec *v, uint32_t id, const struct ir_value *x, uint8_t mask)
{
	struct jit_buf *b = v->b;
	uint32_t bytes = ir_ops[x->op].bytes;
	uint8_t d = result(v, id), at = in_reg(v, x->a, scratch(v, 0)), low = scratch(v, 1), high = scratch(v, 2);

	v->wants |= VEC_DATA;
	/* at = offset + bytes - 4, the window's start; inside iff at <= length - 4, both without sign. */
	if (bytes < 4) {
		v->isa->op(b, EVEX_PSUBD, scratch(v, 0), at, number(v, 4 - bytes));
		at = scratch(v, 0);
	}
	v->isa->op(b, EVEX_PSUBD, scratch(v, 1), v->isa->lengths(b, scratch(v, 1)), number(v, 4));
	v->isa->compare(v, VFM_OP_JLE, at, reg(scratch(v, 1)), mask);
	mask_or(b, VEC_LEFT, VEC_NO);
	mask_move(b, mask, VEC_YES);
	v->isa->widen(b, low, high, at);
	v->isa->op(b, EVEX_PADDQ, low, low, reg(v->isa->address(b, false, scratch(v, 3))));
	v->isa->op(b, EVEX_PADDQ, high, high, reg(v->isa->address(b, true, scratch(v, 3))));
	v->isa->gather(v, scratch(v, 0), low, high, 0, mask);
	cut(v, d, scratch(v, 0), bytes, 0);
	put(v, id, d);
}

static void shift(struct vec *v, uint32_t id, const struct ir_value *x)
{
	bool left = x->op == IR_SHL;
	uint8_t d = result(v, id);

	if (v->ir->values[x->b].op == IR_CONST) {
		uint8_t n = v->ir->values[x->b].imm & 63;

		if (n >= 32)
			v->isa->op(v->b, EVEX_PXORD, d, d, reg(d));
		else
			v->isa->shift(v->b, left, d, in_reg(v, x->a, scratch(v, 0)), n);
	} else {
		/* Counts of 32 to 63 give 0 in a lane. */
		v->isa->op(v->b, EVEX_PANDD, scratch(v, 1), in_reg(v, x->b, scratch(v, 1)), number(v, 63));
		v->isa->op(v->b, left ? EVEX_PSLLVD : EVEX_PSRLVD, d, in_reg(v, x->a, scratch(v, 0)), reg(scratch(v, 1)));
	}
	put(v, id, d);
}

static enum evex_op op_of(uint8_t op)
{
	switch (op) {
	case IR_ADD:
		return EVEX_PADDD;
	case IR_SUB:
		return EVEX_PSUBD;
	case IR_MUL:
		return EVEX_PMULLD;
	case IR_AND:
		return EVEX_PANDD;
	case IR_OR:
		return EVEX_PORD;
	default:
		return EVEX_PXORD;
	}
}

static void compute(struct vec *v, uint32_t id, uint8_t mask)
{
	const struct ir_value *x = &v->ir->values[id];
	uint8_t d = result(v, id);

	switch (x->op) {
	case IR_LD8:
	case IR_LD16:
	case IR_LD32:
	case IR_LD64:
		load(v, id, x);
		return;
	case IR_LDX8:
	case IR_LDX16:
	case IR_LDX32:
		load_indexed(v, id, x, mask);
		return;
	case IR_SHL:
	case IR_SHR:
		shift(v, id, x);
		return;
	case IR_NOT:
		v->isa->op(v->b, EVEX_PXORD, d, in_reg(v, x->a, scratch(v, 0)), number(v, UINT32_MAX));
		break;
	case IR_NEG:
		v->isa->op(v->b, EVEX_PXORD, scratch(v, 1), scratch(v, 1), reg(scratch(v, 1)));
		v->isa->op(v->b, EVEX_PSUBD, d, scratch(v, 1), operand(v, x->a));
		break;
	case IR_PKTLEN:
		v->isa->move(v->b, d, reg(v->isa->lengths(v->b, d)));
		break;
	case IR_INPUT:
		v->wants |= VEC_INPUT;
		v->isa->load_args(v->b, d, offsetof(struct vec_args, input));
		break;
	default:
		v->isa->op(v->b, op_of(x->op), d, in_reg(v, x->a, scratch(v, 0)), operand(v, x->b));
		break;
	}
	put(v, id, d);
}

/* ---- masks of blocks ---- */

static int accumulator(struct vec *v, uint32_t value)
{
	for (uint32_t i = 0; i < v->n_accumulated; i++)
		if (v->accumulated[i] == value)
			return (int)i;
	if (v->n_accumulated == VEC_ACCUMULATORS)
		return -1;
	v->accumulated[v->n_accumulated] = value;
	return (int)v->n_accumulated++;
}

static void return_constant(struct vec *v, uint32_t value, uint8_t mask)
{
	int a;

	if (value == 0)
		return; /* results begin as 0 */
	a = accumulator(v, value);
	if (a >= 0) {
		mask_or(v->b, accumulators[a], mask);
		return;
	}
	v->isa->result(v, number(v, value), mask);
}

/* Nothing but a constant verdict. What the block computes may be needed elsewhere: equal values of other blocks are taken from it. */
static bool is_plain_return(const struct vec *v, uint32_t block)
{
	const struct ir_block *b = &v->ir->blocks[block];

	if (b->term != IR_RET || v->ir->values[b->a].op != IR_CONST)
		return false;
	for (uint32_t id = b->first; id < b->first + b->n_values; id++)
		if (v->ir->values[id].op != IR_CONST && v->needed[id])
			return false;
	return true;
}

static uint32_t word_offset(const struct vec *v, uint32_t word)
{
	return v->words_offset + 4 + 4 * word;
}

/* Finds a place for the mask of a block to come. */
static void reserve_mask(struct vec *v, uint32_t block)
{
	uint32_t word = 0;

	for (unsigned i = 0; i < v->n_pool; i++) {
		if (v->pool_used[i])
			continue;
		v->pool_used[i] = true;
		v->mask_at[block] = (uint16_t)(1 + i);
		return;
	}
	while (v->word_used[word])
		word++;
	v->word_used[word] = 1;
	v->mask_at[block] = (uint16_t)(1 + v->n_pool + word);
}

static int32_t leave_offset(uint32_t continuation)
{
	return (int32_t)(offsetof(struct vec_args, leave) + sizeof(uint32_t) * continuation);
}

/* The lanes in the register go to a block outside. */
static void leave(struct vec *v, uint32_t block, uint8_t mask)
{
	uint8_t by = v->leave_by[block];

	mask_or(v->b, VEC_LEFT, mask);
	if (by)
		x86_rm(v->b, false, 0x09, mask, RDI, leave_offset(by - 1u));
}

/* The lanes in the register go to the block. */
static void give(struct vec *v, uint32_t block, uint8_t mask)
{
	bool first = v->mask_at[block] == 0;

	if (v->state[block] != VEC_INSIDE) {
		leave(v, block, mask);
		return;
	}
	if (is_plain_return(v, block)) {
		return_constant(v, (uint32_t)v->ir->values[v->ir->blocks[block].a].imm, mask);
		return;
	}
	if (first)
		reserve_mask(v, block);
	if (v->mask_at[block] <= v->n_pool)
		(first ? mask_move : mask_or)(v->b, pool[v->mask_at[block] - 1], mask);
	else
		(first ? mask_store : mask_or_stack)(v->b, word_offset(v, v->mask_at[block] - 1 - v->n_pool), mask);
}

/* The parameter of a block inside is the argument, in the lanes of the mask. */
static void pass(struct vec *v, uint32_t param, struct evex_src arg, uint8_t mask)
{
	const struct jit_place *p = &v->places.at[param];

	if (p->reg != JIT_NO_REG) {
		v->isa->blend(v, p->reg, arg, mask);
		return;
	}
	v->isa->move(v->b, scratch(v, 0), operand(v, param));
	v->isa->blend(v, scratch(v, 0), arg, mask);
	v->isa->store(v->b, p->slot * v->isa->bytes, scratch(v, 0));
}

/* The parameter of a block outside is handed on as the argument, in the lanes of the mask. */
static void hand_on(struct vec *v, uint32_t param, struct evex_src arg, uint8_t mask)
{
	uint32_t begun = 1u << v->slot[param];

	if (v->slots_begun & begun) {
		v->isa->load_args(v->b, scratch(v, 0), live_offset(v, param));
		v->isa->blend(v, scratch(v, 0), arg, mask);
	} else {
		v->isa->move(v->b, scratch(v, 0), arg);
	}
	v->slots_begun |= begun;
	v->isa->store_args(v->b, live_offset(v, param), scratch(v, 0));
}

/* Arguments of the edge, in the lanes of the mask; then the lanes go along it. */
static void take_edge(struct vec *v, const struct ir_succ *s, uint8_t mask)
{
	const struct ir_block *to = &v->ir->blocks[s->block];

	for (uint32_t i = 0; i < to->n_params; i++) {
		uint32_t param = to->first + i;

		if (v->needed[param])
			(v->state[s->block] == VEC_INSIDE ? pass : hand_on)(v, param, operand(v, v->ir->args[s->args + i]), mask);
	}
	give(v, s->block, mask);
}

static void branch(struct vec *v, uint32_t block, uint8_t mask)
{
	const struct ir_block *b = &v->ir->blocks[block];
	uint8_t cond = b->cond;
	uint32_t x = b->a, y = b->b;

	if (v->ir->values[x].op == IR_CONST) {
		x = b->b;
		y = b->a;
		cond = ir_swapped(cond);
	}
	v->isa->compare(v, cond, in_reg(v, x, scratch(v, 0)), operand(v, y), mask);
	take_edge(v, &b->succ[0], VEC_YES);
	take_edge(v, &b->succ[1], VEC_NO);
}

static void emit_block(struct vec *v, uint32_t block)
{
	const struct ir_block *b = &v->ir->blocks[block];
	uint16_t at = v->mask_at[block];
	/* The block's own register: its place may be given to a successor while its mask is still read. */
	uint8_t mask = VEC_OWN;

	if (at == 0)
		return; /* a plain return, or its predecessors left the region */
	if (at <= v->n_pool) {
		mask_move(v->b, mask, pool[at - 1]);
		v->pool_used[at - 1] = false;
	} else {
		mask_load(v->b, mask, word_offset(v, at - 1 - v->n_pool));
		v->word_used[at - 1 - v->n_pool] = 0;
	}
	for (uint32_t id = b->first; id < b->first + b->n_params; id++)
		if (v->slot[id])
			v->isa->store_args(v->b, live_offset(v, id), in_reg(v, id, scratch(v, 0)));
	for (uint32_t id = b->first + b->n_params; id < b->first + b->n_values; id++)
		if (v->needed[id] && v->ir->values[id].op != IR_CONST)
			compute(v, id, mask);
	if (b->term == IR_RET) {
		v->isa->result(v, operand(v, b->a), mask);
	} else if (vec_undecided(v->ir, block)) {
		branch(v, block, mask);
	} else if (vec_takes(v->ir, block, 0) || vec_takes(v->ir, block, 1)) {
		take_edge(v, &b->succ[vec_takes(v->ir, block, 0) ? 0 : 1], mask);
	} else {
		mask_or(v->b, VEC_LEFT, mask); /* never: something before always faults */
	}
}

/* ---- frame ---- */

static void push_or_pop(struct jit_buf *b, unsigned opcode, uint8_t r)
{
	x86_rex(b, false, 0, 0, r);
	x86_byte(b, opcode | (r & 7u));
}

static void emit_entry(struct vec *v, uint32_t frame)
{
	struct jit_buf *b = v->b;

	for (unsigned i = FREE_POOL; i < v->n_pool; i++)
		push_or_pop(b, 0x50, pool[i]);
	x86_move(b, RAX, RSP);         /* old stack pointer, kept at the frame's top */
	x86_rr(b, true, 0x81, 5, RSP); /* sub rsp, frame */
	x86_word32(b, frame);
	x86_rr(b, true, 0x83, 4, RSP); /* and rsp, -64 */
	x86_byte(b, 0xc0);
	x86_rm(b, true, 0x89, RAX, RSP, (int32_t)frame - 72);
	x86_move(b, R8, RDX);
	v->isa->enter(b);
	mask_move(b, VEC_OWN, RSI);
	for (unsigned i = 0; i < VEC_ACCUMULATORS; i++)
		x86_rr(b, false, 0x31, accumulators[i], accumulators[i]);
	/* Long enough: into the entry's mask; the others are handed back. */
	v->isa->compare(v, VFM_OP_JGE, v->isa->lengths(b, scratch(v, 0)), number(v, v->guard), VEC_OWN);
	mask_move(b, VEC_LEFT, VEC_NO);
	mask_move(b, VEC_OWN, VEC_YES);
	mask_store(b, v->words_offset, VEC_OWN);
	for (uint32_t k = 0; k < v->continuations->n; k++) {
		x86_rm(b, false, 0xc7, 0, RDI, leave_offset(k)); /* mov [rdi + ...], 0 */
		x86_word32(b, 0);
	}
	if (v->n_windows)
		vec_load_windows(v, v->exit);
}

/* By which continuation each lane goes on. */
static void tell_lanes(struct vec *v)
{
	uint8_t by = scratch(v, 0);

	v->isa->op(v->b, EVEX_PXORD, by, by, reg(by));
	for (uint32_t k = 1; k < v->continuations->n; k++) {
		x86_rm(v->b, false, 0x8b, VEC_YES, RDI, leave_offset(k));
		v->isa->blend(v, by, number(v, k), VEC_YES);
	}
	v->isa->store_args(v->b, offsetof(struct vec_args, by), by);
}

static void emit_exit(struct vec *v, uint32_t frame)
{
	struct jit_buf *b = v->b;

	jit_place_label(b, v->exit);
	if (v->continuations->n > 1)
		tell_lanes(v);
	for (uint32_t i = 0; i < v->n_accumulated; i++)
		v->isa->result(v, number(v, v->accumulated[i]), accumulators[i]);
	v->isa->leave(b);
	mask_move(b, RAX, VEC_LEFT);
	x86_rm(b, true, 0x8b, RSP, RSP, (int32_t)frame - 72);
	for (unsigned i = v->n_pool; i-- > FREE_POOL;)
		push_or_pop(b, 0x58, pool[i]);
	vex_zero_upper(b);
	x86_byte(b, 0xc3);
}

/* Constants that the instruction sets want. */
static void make_constants(struct vec *v)
{
	static const uint32_t bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
	uint8_t swap[64];

	for (unsigned i = 0; i < sizeof(swap); i++)
		swap[i] = (uint8_t)((i % 16 & ~3u) + 3 - i % 4);
	v->swap = jit_constant(v->b, swap, v->isa->bytes, v->isa->bytes);
	if (v->isa->tier == JIT_AVX2)
		v->bits = jit_constant(v->b, bits, sizeof(bits), sizeof(bits));
}

static void emit(struct vec *v)
{
	/* Spill slots, the entry's mask, masks of blocks, the old stack pointer; up to 64 bytes are lost to alignment. */
	uint32_t frame;

	v->words_offset = v->places.n_slots * v->isa->bytes;
	frame = (v->words_offset + 4 + 4 * v->mask_words + 72 + 8 + 63) / 64 * 64 + 64;
	v->n_pool = v->ir->n_blocks <= FREE_POOL + 4 ? FREE_POOL : VEC_MAX_POOL;
	make_constants(v);
	v->exit = jit_label(v->b);
	emit_entry(v, frame);
	give(v, 0, VEC_OWN);
	for (uint32_t i = 0; i < v->ir->n_blocks && !v->b->failed; i++)
		if (v->state[i] == VEC_INSIDE)
			emit_block(v, i);
	emit_exit(v, frame);
	jit_place_constants(v->b);
	if (!v->b->failed)
		jit_x86_link(v->b);
}

static bool has_key(const struct jit_continuations *c)
{
	for (uint32_t k = 0; k < c->n; k++)
		if (c->at[k].key != JIT_KEY_UNKNOWN)
			return true;
	return false;
}

/* The region, its continuations, then its code; own: room for a copy of what changes of the form. */
static int make(struct vec *v, struct ir *own, const uint8_t *needed, struct jit_vec_code *out)
{
	struct ir *ir = v->ir;
	int err = vec_region(v, needed);

	if (!err)
		err = vec_find_continuations(v, needed);
	if (!err && !v->finds_verdicts && !has_key(&out->continuations))
		err = -ENOTSUP;
	if (err)
		return err;
	memcpy(own->values, ir->values, ir->n_values * sizeof(*own->values));
	memcpy(own->blocks, ir->blocks, ir->n_blocks * sizeof(*own->blocks));
	memcpy(own->args, ir->args, ir->n_args * sizeof(*own->args));
	v->ir = own;
	err = vec_plan(v);
	if (!err && out->continuations.n)
		err = vec_onward(ir, &out->continuations, &jit_x86, &out->onward);
	if (!err)
		err = jit_alloc(v->ir, v->needed, &v->isa->values, true, NULL, &v->places);
	if (!err)
		emit(v);
	out->wants = v->wants;
	return !err && v->b->failed ? -ENOMEM : err;
}

int jit_vec(struct ir *ir, const uint8_t *needed, enum jit_tier tier, uint32_t insn_limit, struct jit_vec_code *out)
{
	struct vec v = {.ir = ir,
			.isa = tier == JIT_AVX512 ? &vec_avx512 : &vec_avx2,
			.b = &out->lanes,
			.continuations = &out->continuations,
			.insn_limit = insn_limit};
	int err = vec_split(ir, needed);
	struct ir own = *ir;

	if (err)
		return err;
	own.values = malloc((ir->n_values + 1ul) * sizeof(*own.values));
	own.blocks = malloc(ir->n_blocks * sizeof(*own.blocks));
	own.args = malloc((ir->n_args + VEC_SLOTS) * sizeof(*own.args));
	v.mask_words = ir->n_blocks;
	v.state = calloc(ir->n_blocks, 1);
	v.needed = calloc(ir->n_values + 1ul, 1);
	v.mask_at = calloc(ir->n_blocks, sizeof(*v.mask_at));
	v.word_used = calloc(ir->n_blocks + 1ul, 1);
	v.insns = calloc(ir->n_blocks, sizeof(*v.insns));
	v.leave_by = calloc(ir->n_blocks, 1);
	v.slot = calloc(ir->n_values + 1ul, 1);
	err = -ENOMEM;
	if (own.values && own.blocks && own.args && v.insns && v.state && v.needed && v.mask_at && v.word_used && v.leave_by &&
	    v.slot)
		err = make(&v, &own, needed, out);
	free(own.values);
	free(own.blocks);
	free(own.args);
	free(v.state);
	free(v.insns);
	free(v.needed);
	free(v.mask_at);
	free(v.word_used);
	free(v.places.at);
	free(v.leave_by);
	free(v.slot);
	return err;
}

void jit_vec_code_fini(struct jit_vec_code *c)
{
	jit_buf_fini(&c->lanes);
	jit_buf_fini(&c->onward);
	free(c->continuations.reached);
	free(c->continuations.needed);
}

/* vec.c: 16 packets at once, one in each 32-bit lane of AVX-512 registers.
 *
 * The region is what can be reached from the entry without loops, tables, hashes, divisions and times. It is if-converted: every block's
 * values are computed for all lanes, and each block has a mask of the lanes that are really there; a branch splits a mask, a join
 * unites masks, parameters are blended. Loads are safe for all lanes because each lane's packet was found long enough for the furthest one first.
 * A lane that leaves the region, whose packet is too short, or whose computed offset does not lie inside is handed back, to be run alone from
 * its start: nothing the region does has an effect, so that is exact.
 *
 * Lanes hold the low 32 bits of values; wherever more would matter the facts must prove that there is no more, else the block is
 * outside the region. Four packet bytes that end where a load ends are fetched with one gather ("window") at the start, and shared by all
 * loads inside them.
 *
 *     zmm0-15 values   16-23 windows   24-27 scratch   28, 29 addresses of lanes 0-7, 8-15   30 lengths   31 results
 *     rdi args   rax, rdx scratch   rbx lanes handed back   r14, r15 lanes that return the two commonest constants
 *     rsi, rcx, r8-r13 masks of blocks to come (then the stack)   k1, k2 scratch
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/evex.h"
#include "jit/x86_encode.h"
#include "vm/ir_fact.h"

#define WINDOWS      8
#define FIRST_WINDOW 16
#define SCRATCH      24
#define ADDRESS_LOW  28
#define ADDRESS_HIGH 29
#define LENGTHS      30
#define RESULTS      31
#define ACCUMULATORS 2
#define MIN_LENGTH   4 /* a window */

enum state { UNREACHED, INSIDE = JIT_FLAT, OUTSIDE };

static const uint8_t mask_pool[] = {RSI, RCX, R8, R9, R10, R11, R12, R13};
#define POOL (sizeof(mask_pool))

struct vec {
	struct ir *ir;
	struct jit_buf *b;
	uint32_t insn_limit;
	uint8_t *state;  /* [block] enum state */
	uint64_t *insns; /* [block] at most so many instructions are executed before it */
	uint8_t *needed; /* [value] */
	struct jit_places places;
	uint32_t window_start[WINDOWS]; /* packet offset */
	uint32_t n_windows;
	uint32_t guard; /* packets this long, at least */
	/* Masks of blocks to come: where (0: none yet; 1 .. POOL: register; above: stack word). */
	uint16_t *mask_at; /* [block] */
	bool pool_used[POOL];
	uint32_t mask_words; /* of the stack */
	uint8_t *word_used;
	uint32_t words_offset;
	uint32_t accumulated[ACCUMULATORS]; /* constants returned, by register */
	uint32_t n_accumulated;
	/* Constants: labels, placed behind the code. */
	uint32_t *constants, *constant_labels;
	uint32_t n_constants, room_constants;
	uint32_t swap_label;
};

/* ---- the region ---- */

static bool narrow(const struct ir_fact *f)
{
	return f->hi <= UINT32_MAX;
}

static bool value_fits(const struct ir *ir, uint32_t id)
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

static bool takes(const struct ir *ir, uint32_t block, unsigned k)
{
	return ir->facts.block[block] & (k ? IR_TAKES_1 : IR_TAKES_0);
}

static bool undecided(const struct ir *ir, uint32_t block)
{
	return ir->blocks[block].term == IR_BRANCH && takes(ir, block, 0) && takes(ir, block, 1);
}

/* Is x - y compared with 0, x and y of 32 bits? The difference is between -2^32 and 2^32, so it is 0 if its low 32 bits are. */
static bool tests_difference(const struct ir *ir, const struct ir_block *b)
{
	const struct ir_value *a = &ir->values[b->a], *zero = &ir->values[b->b];

	return (b->cond == VFM_OP_JEQ || b->cond == VFM_OP_JNE) && zero->op == IR_CONST && zero->imm == 0 && a->op == IR_SUB &&
	       narrow(&ir->facts.value[a->a]) && narrow(&ir->facts.value[a->b]);
}

static bool block_fits(const struct ir *ir, const uint8_t *needed, uint32_t block)
{
	const struct ir_block *b = &ir->blocks[block];
	const struct ir_fact *t = &ir->facts.term[2 * block];

	if (b->header)
		return false;
	for (uint32_t id = b->first; id < b->first + b->n_values; id++)
		if (needed[id] && !value_fits(ir, id))
			return false;
	if (b->term == IR_RET)
		return narrow(&t[0]);
	return !undecided(ir, block) || (narrow(&t[0]) && narrow(&t[1])) || tests_difference(ir, b);
}

static void lead_to(struct vec *v, uint32_t block, uint64_t insns)
{
	if (v->state[block] == UNREACHED)
		/* A header's turn may be over; of the others it is decided when it comes. */
		v->state[block] = v->ir->blocks[block].header ? OUTSIDE : INSIDE;
	if (insns > v->insns[block])
		v->insns[block] = insns;
}

/* Follows the region from the entry. True if some verdict is found inside. */
static bool find_region(struct vec *v, const uint8_t *needed)
{
	const struct ir *ir = v->ir;
	bool verdict = false;

	lead_to(v, 0, 0);
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		const struct ir_block *b = &ir->blocks[i];

		if (v->state[i] != INSIDE)
			continue;
		/* Where the limit may be met, packets are counted one by one. */
		v->state[i] = block_fits(ir, needed, i) && v->insns[i] + b->insns <= v->insn_limit ? INSIDE : OUTSIDE;
		if (v->state[i] == OUTSIDE)
			continue;
		verdict |= b->term == IR_RET;
		for (unsigned k = 0; k < b->n_succs; k++)
			if (takes(ir, i, k))
				lead_to(v, b->succ[k].block, v->insns[i] + b->insns);
	}
	return verdict && v->state[0] == INSIDE;
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

	for (uint32_t i = ir->n_blocks; i-- > 0;) {
		const struct ir_block *b = &ir->blocks[i];

		if (v->state[i] != INSIDE)
			continue;
		for (unsigned k = 0; k < b->n_succs; k++) {
			const struct ir_block *to = &ir->blocks[b->succ[k].block];

			for (uint32_t p = 0; p < to->n_params && takes(ir, i, k); p++)
				if (v->state[b->succ[k].block] == INSIDE && v->needed[to->first + p])
					need(v, ir->args[b->succ[k].args + p]);
		}
		if (undecided(ir, i) || b->term == IR_RET) {
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

		for (uint32_t id = b->first; id < b->first + b->n_values && v->state[i] == INSIDE; id++) {
			const struct ir_value *x = &v->ir->values[id];

			if (x->op >= IR_LD8 && x->op <= IR_LD64 && x->imm + ir_ops[x->op].bytes > end)
				end = (uint32_t)x->imm + ir_ops[x->op].bytes;
		}
	}
	return end;
}

/* ---- windows ---- */

/* The part of a load whose low 32 bits count. */
static uint32_t part_start(const struct ir_value *x)
{
	return (uint32_t)x->imm + (x->op == IR_LD64 ? 4 : 0);
}

static uint32_t part_bytes(const struct ir_value *x)
{
	return x->op == IR_LD64 ? 4 : ir_ops[x->op].bytes;
}

static uint32_t window_of(uint32_t end)
{
	return end < 4 ? 0 : end - 4;
}

static int find_window(const struct vec *v, const struct ir_value *x)
{
	for (uint32_t w = 0; w < v->n_windows; w++)
		if (v->window_start[w] <= part_start(x) && part_start(x) + part_bytes(x) <= v->window_start[w] + 4)
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
			ends[n++] = part_start(x) + part_bytes(x);
	}
	qsort(ends, n, sizeof(*ends), by_number_down);
	/* A load that begins before its window's start gets another one; ends alone decide here, find_window() checks. */
	for (uint32_t i = 0; i < n && v->n_windows < WINDOWS; i++) {
		if (ends[i] == covered)
			continue;
		covered = ends[i];
		v->window_start[v->n_windows++] = window_of(ends[i]);
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

			if (v->needed[id] && x->op >= IR_LD8 && x->op <= IR_LD64 && part_start(x) >= kept &&
			    part_start(x) + part_bytes(x) <= kept + 4)
				alone = find_window(v, x) < 0;
		}
		if (alone)
			v->window_start[w] = kept;
		else
			v->window_start[w] = v->window_start[--v->n_windows];
	}
}

/* ---- scalar instructions on masks ---- */

static void rr(struct jit_buf *b, bool wide, unsigned opcode, uint8_t reg, uint8_t rm)
{
	x86_byte(b, 0x40u | (unsigned)wide << 3 | (reg >> 3u & 1) << 2 | (rm >> 3u & 1));
	x86_byte(b, opcode);
	x86_byte(b, 0xc0u | (reg & 7u) << 3 | (rm & 7u));
}

static void stack_op(struct jit_buf *b, unsigned opcode, uint8_t reg, uint32_t offset)
{
	x86_byte(b, 0x40u | (reg >> 3u & 1) << 2);
	x86_byte(b, opcode);
	x86_byte(b, 0x80u | (reg & 7u) << 3 | RSP);
	x86_byte(b, 0x24);
	x86_word32(b, offset);
}

#define OP_MOV  0x89u /* to memory or rm */
#define OP_LOAD 0x8bu
#define OP_AND  0x21u
#define OP_OR   0x09u

/* d = ~not_ & with */
static void and_not(struct jit_buf *b, uint8_t d, uint8_t not_, uint8_t with)
{
	rr(b, false, OP_MOV, not_, d);
	x86_byte(b, 0x40u | (d >> 3u & 1)); /* not d */
	x86_byte(b, 0xf7);
	x86_byte(b, 0xd0u | (d & 7u));
	rr(b, false, OP_AND, with, d);
}

/* ---- constants and operands ---- */

static uint32_t constant(struct vec *v, uint32_t x)
{
	for (uint32_t i = 0; i < v->n_constants; i++)
		if (v->constants[i] == x)
			return v->constant_labels[i];
	if (v->n_constants == v->room_constants) {
		uint32_t room = v->room_constants ? 2 * v->room_constants : 64;
		uint32_t *c = realloc(v->constants, room * sizeof(*c));
		uint32_t *l = c ? realloc(v->constant_labels, room * sizeof(*l)) : NULL;

		v->constants = c ? c : v->constants;
		v->constant_labels = l ? l : v->constant_labels;
		if (!l) {
			v->b->failed = true;
			return 0;
		}
		v->room_constants = room;
	}
	v->constants[v->n_constants] = x;
	v->constant_labels[v->n_constants] = jit_label(v->b);
	return v->constant_labels[v->n_constants++];
}

static struct evex_src reg(uint8_t r)
{
	return (struct evex_src){EVEX_REG, r};
}

static struct evex_src number(struct vec *v, uint32_t x)
{
	return (struct evex_src){EVEX_BROADCAST, constant(v, x)};
}

static struct evex_src operand(struct vec *v, uint32_t id)
{
	const struct jit_place *p = &v->places.at[id];

	if (v->ir->values[id].op == IR_CONST)
		return number(v, (uint32_t)v->ir->values[id].imm);
	if (p->reg == JIT_NO_REG)
		return (struct evex_src){EVEX_STACK, p->slot * 64};
	return reg(p->reg);
}

/* A register with the value: its own, or scratch. */
static uint8_t in_reg(struct vec *v, uint32_t id, uint8_t scratch)
{
	struct evex_src s = operand(v, id);

	if (s.kind == EVEX_REG)
		return (uint8_t)s.at;
	evex_move(v->b, scratch, s, 0);
	return scratch;
}

static uint8_t result(const struct vec *v, uint32_t id)
{
	return v->places.at[id].reg == JIT_NO_REG ? SCRATCH : v->places.at[id].reg;
}

static void put(struct vec *v, uint32_t id, uint8_t r)
{
	if (v->places.at[id].reg == JIT_NO_REG && v->places.at[id].slot != JIT_NO_SLOT)
		evex_store(v->b, v->places.at[id].slot * 64, r);
}

/* ---- values ---- */

/* 32 bits at each lane's address + offset, for lanes in the mask register; addresses of 8 lanes in low and in high. d is not a scratch. */
static void gather(struct vec *v, uint8_t d, uint8_t low, uint8_t high, int32_t offset, uint8_t mask)
{
	struct jit_buf *b = v->b;

	evex_mask_from(b, 1, mask);
	rr(b, false, OP_MOV, mask, RAX);
	x86_byte(b, 0xc1); /* shr eax, 8 */
	x86_byte(b, 0xe8);
	x86_byte(b, 8);
	evex_mask_from(b, 2, RAX);
	evex_op(b, EVEX_PXORD, d, d, reg(d));
	evex_op(b, EVEX_PXORD, SCRATCH + 3, SCRATCH + 3, reg(SCRATCH + 3));
	evex_gather(b, d, low, offset, 1);
	evex_gather(b, SCRATCH + 3, high, offset, 2);
	evex_insert_high(b, d, d, SCRATCH + 3);
	evex_op(b, EVEX_PSHUFB, d, d, (struct evex_src){EVEX_CONST, v->swap_label});
}

/* Cuts `bytes` bytes out of a big-endian window w, `after` bytes of which lie behind them. */
static void cut(struct vec *v, uint8_t d, uint8_t w, uint32_t bytes, uint32_t after)
{
	if (after)
		evex_shift(v->b, false, d, w, (uint8_t)(8 * after));
	if (bytes + after < 4)
		evex_op(v->b, EVEX_PANDD, d, after ? d : w, number(v, (1u << 8 * bytes) - 1));
	else if (!after && d != w)
		evex_move(v->b, d, reg(w), 0);
}

static void load(struct vec *v, uint32_t id, const struct ir_value *x)
{
	int w = find_window(v, x);
	uint8_t d = result(v, id), from = (uint8_t)(w < 0 ? SCRATCH + 2 : FIRST_WINDOW + w);
	uint32_t start = w < 0 ? window_of(part_start(x) + part_bytes(x)) : v->window_start[w];

	if (w < 0) {
		/* Lanes that are not in the burst, or too short, stay out: the entry's mask is kept on the stack. */
		stack_op(v->b, OP_LOAD, RDX, v->words_offset);
		gather(v, from, ADDRESS_LOW, ADDRESS_HIGH, (int32_t)start, RDX);
	}
	cut(v, d, from, part_bytes(x), start + 4 - part_start(x) - part_bytes(x));
	put(v, id, d);
}

/* mask: register with the block's lanes; those whose offset is not inside leave it. */
static void load_indexed(struct vec *v, uint32_t id, const struct ir_value *x, uint8_t mask)
{
	struct jit_buf *b = v->b;
	uint32_t bytes = ir_ops[x->op].bytes;
	uint8_t d = result(v, id), at = in_reg(v, x->a, SCRATCH);

	/* at = offset + bytes - 4, the window's start; inside iff at <= length - 4, both without sign. */
	if (bytes < 4) {
		evex_op(b, EVEX_PSUBD, SCRATCH, at, number(v, 4 - bytes));
		at = SCRATCH;
	}
	evex_op(b, EVEX_PSUBD, SCRATCH + 1, LENGTHS, number(v, 4));
	evex_compare(b, 1, VFM_OP_JLE, at, reg(SCRATCH + 1));
	evex_mask_to(b, RAX, 1);
	and_not(b, RDX, RAX, mask);
	rr(b, false, OP_OR, RDX, RBX);
	rr(b, false, OP_AND, RAX, mask);
	evex_extract_high(b, SCRATCH + 2, at);
	evex_widen(b, SCRATCH + 1, at);
	evex_widen(b, SCRATCH + 2, SCRATCH + 2);
	evex_op(b, EVEX_PADDQ, SCRATCH + 1, SCRATCH + 1, reg(ADDRESS_LOW));
	evex_op(b, EVEX_PADDQ, SCRATCH + 2, SCRATCH + 2, reg(ADDRESS_HIGH));
	gather(v, SCRATCH, SCRATCH + 1, SCRATCH + 2, 0, mask);
	cut(v, d, SCRATCH, bytes, 0);
	put(v, id, d);
}

static void shift(struct vec *v, uint32_t id, const struct ir_value *x)
{
	bool left = x->op == IR_SHL;
	uint8_t d = result(v, id);

	if (v->ir->values[x->b].op == IR_CONST) {
		uint8_t n = v->ir->values[x->b].imm & 63;

		if (n >= 32)
			evex_op(v->b, EVEX_PXORD, d, d, reg(d));
		else
			evex_shift(v->b, left, d, in_reg(v, x->a, SCRATCH), n);
	} else {
		/* Counts of 32 to 63 give 0 in a lane. */
		evex_op(v->b, EVEX_PANDD, SCRATCH + 1, in_reg(v, x->b, SCRATCH + 1), number(v, 63));
		evex_op(v->b, left ? EVEX_PSLLVD : EVEX_PSRLVD, d, in_reg(v, x->a, SCRATCH), reg(SCRATCH + 1));
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
		evex_op(v->b, EVEX_PXORD, d, in_reg(v, x->a, SCRATCH), number(v, UINT32_MAX));
		break;
	case IR_NEG:
		evex_op(v->b, EVEX_PXORD, SCRATCH + 1, SCRATCH + 1, reg(SCRATCH + 1));
		evex_op(v->b, EVEX_PSUBD, d, SCRATCH + 1, operand(v, x->a));
		break;
	case IR_PKTLEN:
		evex_move(v->b, d, reg(LENGTHS), 0);
		break;
	case IR_INPUT:
		evex_load_from(v->b, d, RDI, offsetof(struct vec_args, input));
		break;
	default:
		evex_op(v->b, op_of(x->op), d, in_reg(v, x->a, SCRATCH), operand(v, x->b));
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
	if (v->n_accumulated == ACCUMULATORS)
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
		rr(v->b, false, OP_OR, mask, (uint8_t)(R14 + a));
		return;
	}
	evex_mask_from(v->b, 1, mask);
	evex_move(v->b, RESULTS, number(v, value), 1);
}

static bool is_plain_return(const struct vec *v, uint32_t block)
{
	const struct ir_block *b = &v->ir->blocks[block];

	if (b->term != IR_RET || v->ir->values[b->a].op != IR_CONST)
		return false;
	for (uint32_t id = b->first; id < b->first + b->n_values; id++)
		if (v->needed[id] && v->ir->values[id].op >= IR_LDX8 && v->ir->values[id].op <= IR_LDX64)
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

	for (unsigned i = 0; i < POOL; i++) {
		if (v->pool_used[i])
			continue;
		v->pool_used[i] = true;
		v->mask_at[block] = (uint16_t)(1 + i);
		return;
	}
	while (v->word_used[word])
		word++;
	v->word_used[word] = 1;
	v->mask_at[block] = (uint16_t)(1 + POOL + word);
}

/* The lanes in the register go to the block. */
static void give(struct vec *v, uint32_t block, uint8_t mask)
{
	bool first = v->mask_at[block] == 0;

	if (v->state[block] != INSIDE) {
		rr(v->b, false, OP_OR, mask, RBX);
		return;
	}
	if (is_plain_return(v, block)) {
		return_constant(v, (uint32_t)v->ir->values[v->ir->blocks[block].a].imm, mask);
		return;
	}
	if (first)
		reserve_mask(v, block);
	if (v->mask_at[block] <= POOL)
		rr(v->b, false, first ? OP_MOV : OP_OR, mask, mask_pool[v->mask_at[block] - 1]);
	else
		stack_op(v->b, first ? OP_MOV : OP_OR, mask, word_offset(v, v->mask_at[block] - 1 - POOL));
}

/* Arguments of the edge, in the lanes of the mask; then the lanes go along it. */
static void take_edge(struct vec *v, const struct ir_succ *s, uint8_t mask)
{
	const struct ir_block *to = &v->ir->blocks[s->block];
	bool loaded = false;

	for (uint32_t i = 0; i < to->n_params && v->state[s->block] == INSIDE; i++) {
		uint32_t param = to->first + i;
		const struct jit_place *p = &v->places.at[param];
		struct evex_src arg;

		if (!v->needed[param])
			continue;
		if (!loaded)
			evex_mask_from(v->b, 1, mask);
		loaded = true;
		arg = operand(v, v->ir->args[s->args + i]);
		if (p->reg != JIT_NO_REG) {
			evex_move(v->b, p->reg, arg, 1);
		} else {
			evex_move(v->b, SCRATCH, operand(v, param), 0);
			evex_move(v->b, SCRATCH, arg, 1);
			put(v, param, SCRATCH);
		}
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
	evex_compare(v->b, 1, cond, in_reg(v, x, SCRATCH), operand(v, y));
	evex_mask_to(v->b, RAX, 1);
	and_not(v->b, RDX, RAX, mask);
	rr(v->b, false, OP_AND, mask, RAX);
	/* Both registers are free of other use until both edges are done: moves use k1 and vectors only. */
	take_edge(v, &b->succ[0], RAX);
	take_edge(v, &b->succ[1], RDX);
}

static void emit_block(struct vec *v, uint32_t block)
{
	const struct ir_block *b = &v->ir->blocks[block];
	uint16_t at = v->mask_at[block];
	uint8_t mask = RBP;

	if (at == 0)
		return; /* a plain return, or its predecessors left the region */
	if (at <= POOL) {
		mask = mask_pool[at - 1];
		v->pool_used[at - 1] = false;
	} else {
		v->word_used[at - 1 - POOL] = 0;
		stack_op(v->b, OP_LOAD, RAX, word_offset(v, at - 1 - POOL));
	}
	/* The block's own register: its place may be given to a successor while its mask is still read. */
	rr(v->b, false, OP_MOV, at <= POOL ? mask : RAX, RBP);
	mask = RBP;
	for (uint32_t id = b->first + b->n_params; id < b->first + b->n_values; id++)
		if (v->needed[id] && v->ir->values[id].op != IR_CONST)
			compute(v, id, mask);
	if (b->term == IR_RET) {
		evex_mask_from(v->b, 1, mask);
		evex_move(v->b, RESULTS, operand(v, b->a), 1);
	} else if (undecided(v->ir, block)) {
		branch(v, block, mask);
	} else if (takes(v->ir, block, 0) || takes(v->ir, block, 1)) {
		take_edge(v, &b->succ[takes(v->ir, block, 0) ? 0 : 1], mask);
	} else {
		rr(v->b, false, OP_OR, mask, RBX); /* never: something before always faults */
	}
}

/* ---- frame ---- */

static const uint8_t saved[] = {RBX, RBP, R12, R13, R14, R15};

static void emit_entry(struct vec *v, uint32_t frame)
{
	struct jit_buf *b = v->b;

	for (unsigned i = 0; i < sizeof(saved); i++) {
		if (saved[i] >= 8)
			x86_byte(b, 0x41);
		x86_byte(b, 0x50u | (saved[i] & 7u));
	}
	rr(b, true, OP_MOV, RSP, RAX); /* old stack pointer, kept at the frame's top */
	x86_byte(b, 0x48);             /* sub rsp, frame */
	x86_byte(b, 0x81);
	x86_byte(b, 0xec);
	x86_word32(b, frame);
	x86_byte(b, 0x48); /* and rsp, -64 */
	x86_byte(b, 0x83);
	x86_byte(b, 0xe4);
	x86_byte(b, 0xc0);
	x86_byte(b, 0x48); /* mov [rsp + frame - 72], rax */
	x86_byte(b, 0x89);
	x86_byte(b, 0x84);
	x86_byte(b, 0x24);
	x86_word32(b, frame - 72);
	evex_load_from(b, ADDRESS_LOW, RDI, offsetof(struct vec_args, data));
	evex_load_from(b, ADDRESS_HIGH, RDI, offsetof(struct vec_args, data) + 64);
	evex_load_from(b, LENGTHS, RDI, offsetof(struct vec_args, len));
	evex_op(b, EVEX_PXORD, RESULTS, RESULTS, reg(RESULTS));
	rr(b, false, 0x31, R14, R14);
	rr(b, false, 0x31, R15, R15);
	/* Long enough: into the entry's mask, eax; the others are handed back. */
	evex_compare(b, 1, VFM_OP_JGE, LENGTHS, number(v, v->guard));
	evex_mask_to(b, RAX, 1);
	and_not(b, RBX, RAX, RSI);
	rr(b, false, OP_AND, RSI, RAX);
	stack_op(b, OP_MOV, RAX, v->words_offset);
	rr(b, false, OP_MOV, RAX, RDX);
	for (uint32_t w = 0; w < v->n_windows; w++)
		gather(v, (uint8_t)(FIRST_WINDOW + w), ADDRESS_LOW, ADDRESS_HIGH, (int32_t)v->window_start[w], RDX);
}

static void emit_exit(struct vec *v, uint32_t frame)
{
	struct jit_buf *b = v->b;

	for (uint32_t i = 0; i < v->n_accumulated; i++) {
		evex_mask_from(b, 1, (uint8_t)(R14 + i));
		evex_move(b, RESULTS, number(v, v->accumulated[i]), 1);
	}
	/* args->out */
	x86_byte(b, 0x48); /* add rdi, imm32 */
	x86_byte(b, 0x81);
	x86_byte(b, 0xc7);
	x86_word32(b, offsetof(struct vec_args, out));
	evex_store_at(b, RDI, RESULTS);
	rr(b, false, OP_MOV, RBX, RAX);
	x86_byte(b, 0x48); /* mov rsp, [rsp + frame - 72] */
	x86_byte(b, 0x8b);
	x86_byte(b, 0xa4);
	x86_byte(b, 0x24);
	x86_word32(b, frame - 72);
	for (unsigned i = sizeof(saved); i-- > 0;) {
		if (saved[i] >= 8)
			x86_byte(b, 0x41);
		x86_byte(b, 0x58u | (saved[i] & 7u));
	}
	x86_byte(b, 0xc5); /* vzeroupper */
	x86_byte(b, 0xf8);
	x86_byte(b, 0x77);
	x86_byte(b, 0xc3);
}

static void emit_constants(struct vec *v)
{
	static const uint8_t swap[4] = {3, 2, 1, 0};

	while (v->b->n % 64 && !v->b->failed)
		x86_byte(v->b, 0xcc);
	jit_place_label(v->b, v->swap_label);
	for (unsigned i = 0; i < 64; i++)
		x86_byte(v->b, (i % 16 & ~3u) + swap[i % 4]);
	for (uint32_t i = 0; i < v->n_constants; i++) {
		jit_place_label(v->b, v->constant_labels[i]);
		x86_word32(v->b, v->constants[i]);
	}
}

static void emit(struct vec *v)
{
	/* Spill slots, the entry's mask, masks of blocks, the old stack pointer; up to 64 bytes are lost to alignment. */
	uint32_t frame;

	v->words_offset = v->places.n_slots * 64;
	frame = (v->words_offset + 4 + 4 * v->mask_words + 72 + 8 + 63) / 64 * 64 + 64;
	v->swap_label = jit_label(v->b);
	emit_entry(v, frame);
	stack_op(v->b, OP_LOAD, RDX, v->words_offset);
	give(v, 0, RDX);
	for (uint32_t i = 0; i < v->ir->n_blocks && !v->b->failed; i++)
		if (v->state[i] == INSIDE)
			emit_block(v, i);
	emit_exit(v, frame);
	emit_constants(v);
	if (!v->b->failed)
		jit_x86_link(v->b);
}

static const uint8_t lanes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const struct jit_regs vector_regs = {lanes, lanes, sizeof(lanes), 0};

static int prepare(struct vec *v, const uint8_t *needed)
{
	struct jit_places places = {0};
	int err;

	if (!find_region(v, needed))
		return -ENOTSUP;
	v->guard = furthest_load(v);
	if (v->guard > VFM_MAX_PACKET_BYTES)
		return -ENOTSUP;
	err = jit_cse_flat(v->ir, v->state);
	if (err)
		return err;
	find_needed(v);
	err = choose_windows(v);
	if (err)
		return err;
	prune_windows(v);
	err = jit_alloc(v->ir, v->needed, &vector_regs, true, NULL, &places);
	v->places = places;
	return err;
}

int jit_vec(struct ir *ir, const uint8_t *needed, uint32_t insn_limit, struct jit_buf *b)
{
	struct vec v = {.ir = ir, .b = b, .insn_limit = insn_limit, .mask_words = ir->n_blocks};
	int err = -ENOMEM;

	v.state = calloc(ir->n_blocks, 1);
	v.needed = calloc(ir->n_values + 1ul, 1);
	v.mask_at = calloc(ir->n_blocks, sizeof(*v.mask_at));
	v.word_used = calloc(ir->n_blocks + 1ul, 1);
	v.insns = calloc(ir->n_blocks, sizeof(*v.insns));
	if (v.insns && v.state && v.needed && v.mask_at && v.word_used)
		err = prepare(&v, needed);
	if (!err)
		emit(&v);
	if (!err && b->failed)
		err = -ENOMEM;
	free(v.state);
	free(v.insns);
	free(v.needed);
	free(v.mask_at);
	free(v.word_used);
	free(v.places.at);
	free(v.constants);
	free(v.constant_labels);
	return err;
}

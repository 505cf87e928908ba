/* bpf_emit.c: instruction selection, one block after another in an order in which all edges go forward.
 *
 * A value is had from the accumulator A, the index register X, its scratch slot, or, if it is cheap (a constant, the length, a
 * load at a constant offset), by computing it again. in_a and in_x say which value A and X hold. Only the low 32 bits of a value are held: ADD, SUB,
 * MUL, AND, OR, XOR, NOT, NEG and SHL need no more; wherever more would matter the facts must prove that there is no more, else
 * the program is refused.
 */
#include <inttypes.h>
#include <linux/filter.h>
#include <stdlib.h>

#include "vm/bpf_parts.h"
#include "vm/ir_fact.h"
#include "vm/vfm.h"

#define MAX_KERNEL_OFFSET 0x7fffffffu /* above, the kernel takes an offset for a negative one */

struct emitter {
	const struct ir *ir;
	const struct bpf_plan *plan;
	struct bpf_draft *d;
	uint32_t in_a, in_x;     /* value ids or IR_NONE */
	uint32_t *end_a, *end_x; /* [block] at its end */
	uint32_t drop_label;     /* return 0 */
	uint32_t accept_label;   /* return 0xffffffff */
	bool uses_drop, uses_accept;
};

static void out_of_memory(struct bpf_draft *d)
{
	bpf_refuse(d, VFM_ERROR_NO_MEMORY, "out of memory");
}

static void too_long(struct bpf_draft *d)
{
	bpf_refuse(d, VFM_ERROR_INVALID_PROGRAM, "it needs more than %d BPF instructions, which the kernel does not take",
		   VFM_BPF_MAX_INSNS);
}

static void put(struct emitter *e, struct bpf_item item)
{
	struct bpf_draft *d = e->d;

	if (d->error)
		return;
	if (d->n_items == BPF_MAX_ITEMS) {
		too_long(d);
		return;
	}
	if (d->n_items == d->room_items) {
		uint32_t room = d->room_items ? 2 * d->room_items : 256;
		struct bpf_item *items = realloc(d->items, room * sizeof(*items));

		if (!items) {
			out_of_memory(d);
			return;
		}
		d->items = items;
		d->room_items = room;
	}
	d->items[d->n_items++] = item;
}

static void insn(struct emitter *e, uint16_t code, uint32_t k)
{
	put(e, (struct bpf_item){.code = code, .k = k});
}

static uint32_t new_label(struct emitter *e)
{
	struct bpf_draft *d = e->d;

	if (d->n_labels == d->room_labels) {
		uint32_t room = d->room_labels ? 2 * d->room_labels : 256;
		uint32_t *labels = realloc(d->labels, room * sizeof(*labels));

		if (!labels) {
			out_of_memory(d);
			return 0;
		}
		d->labels = labels;
		d->room_labels = room;
	}
	return d->n_labels++;
}

static void place(struct emitter *e, uint32_t label)
{
	if (!e->d->error)
		e->d->labels[label] = e->d->n_items;
}

static void jump(struct emitter *e, uint32_t label)
{
	put(e, (struct bpf_item){.code = BPF_JMP | BPF_JA, .t = label});
}

static uint32_t drop(struct emitter *e)
{
	e->uses_drop = true;
	return e->drop_label;
}

/* Ends the program. The kernel's check that scratch slots are stored before they are loaded takes what follows a RET for
 * reachable from it; so in programs with slots the only RETs stand at the very end. */
static void end(struct emitter *e, bool accept)
{
	if (!e->plan->has_slots)
		insn(e, BPF_RET | BPF_K, accept ? UINT32_MAX : 0);
	else if (!accept)
		jump(e, drop(e));
	else
		jump(e, e->accept_label);
	e->uses_accept |= accept && e->plan->has_slots;
}

/* ---- getting at values ---- */

static const struct ir_value *value(const struct emitter *e, uint32_t v)
{
	return &e->ir->values[v];
}

static bool is_const(const struct emitter *e, uint32_t v)
{
	return value(e, v)->op == IR_CONST;
}

static bool is_load(const struct emitter *e, uint32_t v)
{
	return value(e, v)->op >= IR_LD8 && value(e, v)->op <= IR_LD64;
}

static uint32_t low32(const struct emitter *e, uint32_t v)
{
	return (uint32_t)value(e, v)->imm;
}

/* Width for a load; of 64 bits the low half, whose end is the same. */
static uint16_t width(uint8_t bytes)
{
	return bytes == 1 ? BPF_B : bytes == 2 ? BPF_H : BPF_W;
}

/* Is what a register holds, `held` or IR_NONE, the value v or computed in the same way? */
static bool holds(const struct emitter *e, uint32_t held, uint32_t v)
{
	const struct ir_value *h = value(e, held == IR_NONE ? v : held), *x = value(e, v);

	return held == v || (held != IR_NONE && bpf_is_cheap(x) && h->op == x->op && h->imm == x->imm);
}

static void load_a(struct emitter *e, uint32_t v)
{
	const struct ir_value *x = value(e, v);
	uint8_t bytes = ir_ops[x->op].bytes;

	if (holds(e, e->in_a, v))
		return;
	if (x->op == IR_CONST)
		insn(e, BPF_LD | BPF_IMM, low32(e, v));
	else if (x->op == IR_PKTLEN)
		insn(e, BPF_LD | BPF_W | BPF_LEN, 0);
	else if (holds(e, e->in_x, v))
		insn(e, BPF_MISC | BPF_TXA, 0);
	else if (is_load(e, v))
		insn(e, BPF_LD | BPF_ABS | width(bytes), (uint32_t)x->imm + (bytes == 8 ? 4 : 0));
	else
		insn(e, BPF_LD | BPF_MEM, e->plan->slot[v]);
	e->in_a = v;
}

/* Can v be put in X without changing A? */
static bool reaches_x(const struct emitter *e, uint32_t v)
{
	return holds(e, e->in_x, v) || holds(e, e->in_a, v) || !is_load(e, v);
}

static void load_x(struct emitter *e, uint32_t v)
{
	const struct ir_value *x = value(e, v);

	if (holds(e, e->in_x, v))
		return;
	if (x->op == IR_CONST) {
		insn(e, BPF_LDX | BPF_IMM, low32(e, v));
	} else if (x->op == IR_PKTLEN) {
		insn(e, BPF_LDX | BPF_W | BPF_LEN, 0);
	} else if (holds(e, e->in_a, v) || is_load(e, v)) {
		load_a(e, v);
		insn(e, BPF_MISC | BPF_TAX, 0);
	} else {
		insn(e, BPF_LDX | BPF_MEM, e->plan->slot[v]);
	}
	e->in_x = v;
}

/* Puts one of a and b in A and the other in X. True: b is in A. may_swap: the caller can use that. */
static bool load_both(struct emitter *e, uint32_t a, uint32_t b, bool may_swap)
{
	if (may_swap && ((e->in_a == b && reaches_x(e, a)) || (e->in_a == a && !reaches_x(e, b)))) {
		load_x(e, a);
		load_a(e, b);
		return true;
	}
	load_x(e, b);
	load_a(e, a);
	return false;
}

/* The low 32 bits of v must be all of it; f says what is known of it. */
static void require_32_bits(struct emitter *e, uint32_t v, const struct ir_fact *f)
{
	const struct ir_value *x = value(e, v);

	if (f->hi <= UINT32_MAX)
		return;
	bpf_refuse(e->d, VFM_ERROR_INVALID_PROGRAM,
		   "at %u the value of %s may be as large as %" PRIu64
		   ", and BPF has 32 bits: keep it below 2^32 (AND, SHR, a smaller load)",
		   x->pc,
		   x->op == IR_CONST   ? "PUSH"
		   : x->op == IR_PARAM ? "a join"
				       : ir_ops[x->op].name,
		   f->hi);
}

/* ---- computations: each leaves its result in A ---- */

static uint16_t alu_code(uint8_t op)
{
	switch (op) {
	case IR_ADD:
		return BPF_ALU | BPF_ADD;
	case IR_SUB:
		return BPF_ALU | BPF_SUB;
	case IR_MUL:
		return BPF_ALU | BPF_MUL;
	case IR_DIV:
		return BPF_ALU | BPF_DIV;
	case IR_MOD:
		return BPF_ALU | BPF_MOD;
	case IR_AND:
		return BPF_ALU | BPF_AND;
	case IR_OR:
		return BPF_ALU | BPF_OR;
	case IR_XOR:
		return BPF_ALU | BPF_XOR;
	case IR_SHL:
		return BPF_ALU | BPF_LSH;
	default:
		return BPF_ALU | BPF_RSH;
	}
}

static void binary(struct emitter *e, const struct ir_value *v)
{
	bool commutes = bpf_commutes(v->op);

	if (is_const(e, v->b)) {
		load_a(e, v->a);
		insn(e, alu_code(v->op) | BPF_K, low32(e, v->b));
	} else if (commutes && is_const(e, v->a)) {
		load_a(e, v->b);
		insn(e, alu_code(v->op) | BPF_K, low32(e, v->a));
	} else {
		load_both(e, v->a, v->b, commutes);
		insn(e, alu_code(v->op) | BPF_X, 0);
	}
}

static void divide(struct emitter *e, uint32_t id, const struct ir_value *v)
{
	/* Division by zero ends a BPF program with 0, which is what an error is to us: drop. */
	require_32_bits(e, v->a, &e->ir->facts.value[v->a]);
	require_32_bits(e, v->b, &e->ir->facts.operand[id]);
	binary(e, v);
}

/* Shift counts from 32 on are an error or undefined in BPF; here they count modulo 64. */
static void shift(struct emitter *e, const struct ir_value *v)
{
	const struct ir_fact *count = &e->ir->facts.value[v->b];
	uint32_t zero, end, go_on;

	if (v->op == IR_SHR)
		require_32_bits(e, v->a, &e->ir->facts.value[v->a]);
	if (is_const(e, v->b)) {
		uint32_t n = low32(e, v->b) & 63;

		if (n >= 32) {
			insn(e, BPF_LD | BPF_IMM, 0);
			return;
		}
		load_a(e, v->a);
		insn(e, alu_code(v->op) | BPF_K, n);
		return;
	}
	load_a(e, v->b);
	if (count->hi > 63)
		insn(e, BPF_ALU | BPF_AND | BPF_K, 63);
	insn(e, BPF_MISC | BPF_TAX, 0);
	e->in_a = e->in_x = IR_NONE;
	if (count->hi <= 31) {
		load_a(e, v->a);
		insn(e, alu_code(v->op) | BPF_X, 0);
		return;
	}
	zero = new_label(e);
	end = new_label(e);
	go_on = new_label(e);
	put(e, (struct bpf_item){.code = BPF_JMP | BPF_JGE | BPF_K, .k = 32, .t = zero, .f = go_on});
	place(e, go_on);
	load_a(e, v->a);
	insn(e, alu_code(v->op) | BPF_X, 0);
	jump(e, end);
	place(e, zero);
	insn(e, BPF_LD | BPF_IMM, 0);
	place(e, end);
}

static void load_indirect(struct emitter *e, uint32_t id, const struct ir_value *v)
{
	const struct ir_fact *offset = &e->ir->facts.operand[id];
	uint8_t bytes = ir_ops[v->op].bytes;
	uint32_t low_half = bytes == 8 ? 4 : 0;

	require_32_bits(e, v->a, offset);
	if (fact_constant(offset) && offset->lo <= VFM_MAX_PACKET_BYTES) {
		insn(e, BPF_LD | BPF_ABS | width(bytes), (uint32_t)offset->lo + low_half);
		return;
	}
	/* X + 4 must not pass the kernel's limit either. */
	if (offset->hi > MAX_KERNEL_OFFSET - low_half) {
		uint32_t go_on = new_label(e);

		load_a(e, v->a);
		put(e, (struct bpf_item){
			       .code = BPF_JMP | BPF_JGT | BPF_K, .k = MAX_KERNEL_OFFSET - low_half, .t = drop(e), .f = go_on});
		place(e, go_on);
	}
	load_x(e, v->a);
	insn(e, BPF_LD | BPF_IND | width(bytes), low_half);
}

static void refuse_op(struct emitter *e, const struct ir_value *v)
{
	const char *name = ir_ops[v->op].name;

	if (v->op == IR_HDR)
		bpf_refuse(e->d, VFM_ERROR_INVALID_PROGRAM,
			   "at %u HDR needs the packet parser, which BPF does not have: use fixed offsets", v->pc);
	else if (v->op == IR_NOW)
		bpf_refuse(e->d, VFM_ERROR_INVALID_PROGRAM, "at %u NOW: BPF has no clock", v->pc);
	else if (v->op == IR_INPUT)
		bpf_refuse(e->d, VFM_ERROR_INVALID_PROGRAM, "at %u INPUT: BPF does not know our port numbers", v->pc);
	else
		bpf_refuse(e->d, VFM_ERROR_INVALID_PROGRAM, "at %u %s: BPF has no 64-bit hash", v->pc, name);
}

static void compute(struct emitter *e, uint32_t id)
{
	const struct ir_value *v = value(e, id);

	switch (v->op) {
	case IR_ADD:
	case IR_SUB:
	case IR_MUL:
	case IR_AND:
	case IR_OR:
	case IR_XOR:
		binary(e, v);
		break;
	case IR_DIV:
	case IR_MOD:
		divide(e, id, v);
		break;
	case IR_SHL:
	case IR_SHR:
		shift(e, v);
		break;
	case IR_NOT:
		load_a(e, v->a);
		insn(e, BPF_ALU | BPF_XOR | BPF_K, UINT32_MAX);
		break;
	case IR_NEG:
		load_a(e, v->a);
		insn(e, BPF_ALU | BPF_NEG, 0);
		break;
	case IR_LDX8:
	case IR_LDX16:
	case IR_LDX32:
	case IR_LDX64:
		load_indirect(e, id, v);
		break;
	default:
		refuse_op(e, v);
		break;
	}
	e->in_a = id;
	if (e->plan->slot[id] != BPF_NO_SLOT)
		insn(e, BPF_ST, e->plan->slot[id]);
}

/* ---- ends of blocks ---- */

static bool edge_taken(const struct emitter *e, uint32_t block, unsigned k)
{
	return e->ir->facts.block[block] & (k ? IR_TAKES_1 : IR_TAKES_0);
}

/* Arguments to parameters along an edge. No parameter's slot is an argument's, so the order is free: what is in A goes first. */
static void pass_args(struct emitter *e, const struct ir_succ *s)
{
	const struct ir_block *to = &e->ir->blocks[s->block];

	uint32_t first = e->in_a;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < to->n_params; i++) {
			uint32_t arg = e->ir->args[s->args + i];

			if (!e->plan->needed[to->first + i] || (pass == 0) != (arg == first))
				continue;
			load_a(e, arg);
			insn(e, BPF_ST, e->plan->slot[to->first + i]);
		}
	}
}

static bool passes_args(const struct emitter *e, const struct ir_succ *s)
{
	const struct ir_block *to = &e->ir->blocks[s->block];

	for (uint32_t i = 0; i < to->n_params; i++)
		if (e->plan->needed[to->first + i])
			return true;
	return false;
}

static void conditional(struct emitter *e, uint8_t cond, uint16_t source, uint32_t k, uint32_t t, uint32_t f)
{
	uint16_t code = cond == VFM_OP_JEQ || cond == VFM_OP_JNE   ? BPF_JEQ
			: cond == VFM_OP_JGT || cond == VFM_OP_JLE ? BPF_JGT
								   : BPF_JGE;
	bool swap = cond == VFM_OP_JNE || cond == VFM_OP_JLE || cond == VFM_OP_JLT;

	put(e, (struct bpf_item){.code = BPF_JMP | code | source, .k = k, .t = swap ? f : t, .f = swap ? t : f});
}

/* A & K, compared with 0 right after: one JSET does both. */
static bool is_bit_test(const struct emitter *e, const struct ir_block *b)
{
	const struct ir_value *v = value(e, b->a);

	return (b->cond == VFM_OP_JEQ || b->cond == VFM_OP_JNE) && is_const(e, b->b) && value(e, b->b)->imm == 0 &&
	       v->op == IR_AND && e->plan->in_a[b->a] && e->plan->next[b->a] == IR_NONE && is_const(e, v->b) &&
	       value(e, v->b)->imm <= UINT32_MAX;
}

static void compare(struct emitter *e, uint32_t block, uint32_t t, uint32_t f)
{
	const struct ir_block *b = &e->ir->blocks[block];
	uint8_t cond = b->cond;

	if (is_bit_test(e, b)) {
		load_a(e, value(e, b->a)->a);
		put(e, (struct bpf_item){.code = BPF_JMP | BPF_JSET | BPF_K,
					 .k = low32(e, value(e, b->a)->b),
					 .t = cond == VFM_OP_JNE ? t : f,
					 .f = cond == VFM_OP_JNE ? f : t});
		return;
	}
	require_32_bits(e, b->a, &e->ir->facts.term[2 * block]);
	require_32_bits(e, b->b, &e->ir->facts.term[2 * block + 1]);
	if (is_const(e, b->b)) {
		load_a(e, b->a);
		conditional(e, cond, BPF_K, low32(e, b->b), t, f);
	} else if (is_const(e, b->a)) {
		load_a(e, b->b);
		conditional(e, ir_swapped(cond), BPF_K, low32(e, b->a), t, f);
	} else {
		if (load_both(e, b->a, b->b, true))
			cond = ir_swapped(cond);
		conditional(e, cond, BPF_X, 0, t, f);
	}
}

static void branch(struct emitter *e, uint32_t block)
{
	const struct ir_block *b = &e->ir->blocks[block];
	uint32_t labels[2], in_a, in_x;

	for (unsigned k = 0; k < 2; k++)
		labels[k] = passes_args(e, &b->succ[k]) ? new_label(e) : b->succ[k].block;
	compare(e, block, labels[0], labels[1]);
	in_a = e->end_a[block] = e->in_a;
	in_x = e->end_x[block] = e->in_x;
	for (unsigned k = 2; k-- > 0;) {
		if (labels[k] == b->succ[k].block)
			continue;
		place(e, labels[k]);
		e->in_a = in_a;
		e->in_x = in_x;
		pass_args(e, &b->succ[k]);
		jump(e, b->succ[k].block);
	}
	/* Falls to the next block only if the linker finds its label there. */
}

static void ret(struct emitter *e, uint32_t block)
{
	const struct ir_fact *f = &e->ir->facts.term[2 * block];

	if (f->lo > 0 || f->hi == 0) {
		end(e, f->lo > 0);
		return;
	}
	require_32_bits(e, e->ir->blocks[block].a, f);
	load_a(e, e->ir->blocks[block].a);
	e->uses_accept = true;
	put(e, (struct bpf_item){.code = BPF_JMP | BPF_JEQ | BPF_K, .k = 0, .t = drop(e), .f = e->accept_label});
}

static void finish_block(struct emitter *e, uint32_t block)
{
	const struct ir_block *b = &e->ir->blocks[block];
	unsigned k;

	if (b->term == IR_RET) {
		ret(e, block);
		return;
	}
	if (b->term == IR_BRANCH && edge_taken(e, block, 0) && edge_taken(e, block, 1)) {
		branch(e, block);
		return;
	}
	k = edge_taken(e, block, 0) ? 0 : 1;
	pass_args(e, &b->succ[k]);
	e->end_a[block] = e->in_a;
	e->end_x[block] = e->in_x;
	jump(e, b->succ[k].block);
}

/* ---- blocks ---- */

static uint32_t load_end(const struct emitter *e, uint32_t v)
{
	return v != IR_NONE && is_load(e, v) ? (uint32_t)value(e, v)->imm + ir_ops[value(e, v)->op].bytes : 0;
}

static uint32_t max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* How far the packet is surely read by computing v. Shifts may not look at what they shift. */
static uint32_t surely_read(const struct emitter *e, const struct ir_value *v)
{
	if (v->op == IR_SHL || v->op == IR_SHR)
		return load_end(e, v->b);
	return max(load_end(e, v->a), load_end(e, v->b));
}

/* The block's loads at constant offsets fault if the packet is shorter than the furthest one's end. If no computation of the block does
 * that load anyway, its last byte is loaded here. */
static void guard(struct emitter *e, uint32_t block)
{
	const struct ir_block *b = &e->ir->blocks[block];
	const struct ir_fact *result = &e->ir->facts.term[2 * block];
	uint8_t both = IR_TAKES_0 | IR_TAKES_1;
	uint32_t need = 0, done = e->ir->facts.len_lo[block];

	for (uint32_t id = b->first + b->n_params; id < b->first + b->n_values; id++) {
		need = max(need, load_end(e, id));
		if (e->plan->needed[id] && !bpf_is_cheap(value(e, id)))
			done = max(done, surely_read(e, value(e, id)));
	}
	if (b->term == IR_BRANCH && (e->ir->facts.block[block] & both) == both)
		done = max(done, max(load_end(e, b->a), load_end(e, b->b)));
	if (b->term == IR_RET && result->lo == 0 && result->hi != 0)
		done = max(done, load_end(e, b->a));
	if (need > done) {
		insn(e, BPF_LD | BPF_ABS | BPF_B, need - 1);
		e->in_a = IR_NONE;
	}
}

static bool is_deferred(const struct emitter *e, uint32_t block, uint32_t id)
{
	const struct ir_block *b = &e->ir->blocks[block];
	uint8_t both = IR_TAKES_0 | IR_TAKES_1;

	return b->term == IR_BRANCH && b->a == id && (e->ir->facts.block[block] & both) == both && is_bit_test(e, b);
}

static void emit_block(struct emitter *e, uint32_t block)
{
	const struct ir_block *b = &e->ir->blocks[block];
	const struct ir_pred *pred = &e->ir->preds[b->preds];

	place(e, block);
	e->in_a = e->in_x = IR_NONE;
	if (e->plan->dead[block]) {
		end(e, false);
		return;
	}
	if (b->n_preds == 1 && block > 0) {
		e->in_a = e->end_a[pred->block];
		e->in_x = e->end_x[pred->block];
	}
	guard(e, block);
	for (uint32_t id = b->first + b->n_params; id < b->first + b->n_values; id++)
		if (e->plan->needed[id] && !bpf_is_cheap(value(e, id)) && !is_deferred(e, block, id))
			compute(e, id);
	finish_block(e, block);
}

static void emit_ends(struct emitter *e)
{
	place(e, e->drop_label);
	if (e->uses_drop)
		insn(e, BPF_RET | BPF_K, 0);
	place(e, e->accept_label);
	if (e->uses_accept)
		insn(e, BPF_RET | BPF_K, UINT32_MAX);
}

void bpf_emit(const struct ir *ir, const struct bpf_plan *plan, struct bpf_draft *d)
{
	struct emitter e = {.ir = ir, .plan = plan, .d = d};

	e.end_a = malloc(ir->n_blocks * sizeof(*e.end_a));
	e.end_x = malloc(ir->n_blocks * sizeof(*e.end_x));
	if (!e.end_a || !e.end_x)
		out_of_memory(d);
	for (uint32_t i = 0; i < ir->n_blocks && !d->error && e.end_a && e.end_x; i++) {
		e.end_a[i] = e.end_x[i] = IR_NONE;
		new_label(&e); /* a block's label is its id */
	}
	e.drop_label = new_label(&e);
	e.accept_label = new_label(&e);
	for (uint32_t n = 0; n < plan->n_blocks && !d->error; n++)
		emit_block(&e, plan->blocks[n]);
	emit_ends(&e);
	free(e.end_a);
	free(e.end_x);
}

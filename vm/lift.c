/* lift.c: bytecode to blocks, and one block run on symbols. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/regcode.h"

#define OP_READS(name, reads, writes, removable)     [REG_##name] = reads,
#define OP_WRITES(name, reads, writes, removable)    [REG_##name] = writes,
#define OP_REMOVABLE(name, reads, writes, removable) [REG_##name] = removable,
static const uint8_t op_reads[REG_OP_COUNT] = {REG_OPS(OP_READS)};
static const bool op_writes[REG_OP_COUNT] = {REG_OPS(OP_WRITES)};
static const bool op_removable[REG_OP_COUNT] = {REG_OPS(OP_REMOVABLE)};

uint32_t lift_reads(struct rop *op, uint32_t *reads[2])
{
	uint32_t n = 0;

	if (op_reads[op->op] & 1)
		reads[n++] = &op->a;
	if (op_reads[op->op] & 2)
		reads[n++] = &op->b;
	return n;
}

uint32_t lift_term_reads(struct term *t, uint32_t *reads[2])
{
	uint32_t n = 0;

	if ((t->kind == TERM_COND || t->kind == TERM_RET) && t->a.kind == SYM_REG)
		reads[n++] = &t->a.end;
	if (t->kind == TERM_COND && t->b.kind == SYM_REG)
		reads[n++] = &t->b.end;
	return n;
}

bool lift_writes(const struct rop *op)
{
	return op_writes[op->op];
}

bool lift_removable(const struct rop *op)
{
	return op_removable[op->op];
}

/* ---- symbols ---- */

static struct sym sym_const(uint64_t v)
{
	return (struct sym){.kind = SYM_CONST, .v = v};
}

static struct sym sym_reg(uint32_t reg)
{
	return (struct sym){.kind = SYM_REG, .end = reg};
}

static bool sym_equal(const struct sym *a, const struct sym *b)
{
	return a->kind == b->kind && a->v == b->v && a->end == b->end && a->shift == b->shift;
}

struct rop *lift_emit(struct lift *l, uint8_t op)
{
	static struct rop unused;

	if (l->n_ops == l->room) {
		uint32_t room = l->room ? 2 * l->room : 64;
		struct rop *ops = realloc(l->ops, room * sizeof(*ops));

		if (!ops) {
			l->failed = true;
			unused = (struct rop){.op = op};
			return &unused;
		}
		l->ops = ops;
		l->room = room;
	}
	l->ops[l->n_ops] = (struct rop){.op = op};
	return &l->ops[l->n_ops++];
}

/* Emits an operation with a new temporary as its result. */
static struct rop *emit_value(struct lift *l, uint8_t op)
{
	struct rop *r = lift_emit(l, op);

	r->dst = REG_HOMES + l->n_temps++;
	return r;
}

static uint32_t read_field(struct lift *l, struct sym s)
{
	uint32_t room = sizeof(l->read) / sizeof(l->read[0]);
	struct rop *r;

	for (uint32_t i = 0; i < room && i < l->n_read; i++)
		if (sym_equal(&l->read[i].field, &s))
			return l->read[i].reg;
	r = emit_value(l, REG_FIELD);
	r->end = s.end;
	r->shift = s.shift;
	r->imm = s.v;
	l->read[l->n_read % room].field = s;
	l->read[l->n_read++ % room].reg = r->dst;
	return r->dst;
}

uint32_t lift_to_reg(struct lift *l, struct sym s)
{
	struct rop *r;

	switch (s.kind) {
	case SYM_REG:
		return s.end;
	case SYM_FIELD:
		return read_field(l, s);
	default:
		r = emit_value(l, REG_MOVI);
		r->imm = s.v;
		return r->dst;
	}
}

static void push(struct lift *l, struct sym s)
{
	l->stack[l->sp++] = s;
}

static struct sym pop(struct lift *l)
{
	return l->stack[--l->sp];
}

/* ---- operations on symbols ---- */

static bool compute(uint8_t op, uint64_t a, uint64_t b, uint64_t *v)
{
	switch (op) {
	case VFM_OP_ADD:
		*v = a + b;
		return true;
	case VFM_OP_SUB:
		*v = a - b;
		return true;
	case VFM_OP_MUL:
		*v = a * b;
		return true;
	case VFM_OP_DIV:
		*v = b ? a / b : 0;
		return b != 0;
	case VFM_OP_MOD:
		*v = b ? a % b : 0;
		return b != 0;
	case VFM_OP_AND:
		*v = a & b;
		return true;
	case VFM_OP_OR:
		*v = a | b;
		return true;
	case VFM_OP_XOR:
		*v = a ^ b;
		return true;
	case VFM_OP_SHL:
		*v = a << (b & 63);
		return true;
	case VFM_OP_SHR:
		*v = a >> (b & 63);
		return true;
	default:
		return false; /* MIX depends on the shard's seed */
	}
}

/* A field masked or shifted right by a constant is a field. */
static bool narrow_field(uint8_t op, struct sym a, uint64_t c, struct sym *out)
{
	*out = a;
	if (op == VFM_OP_AND) {
		out->v &= c;
	} else if (op == VFM_OP_SHR) {
		out->v >>= c & 63;
		out->shift = (uint8_t)(a.shift + (c & 63));
	} else {
		return false;
	}
	if (out->v == 0 || out->shift > 63)
		*out = sym_const(0);
	return true;
}

/* The form with two registers; with a constant on the right it is the next one. */
static uint8_t op_two_registers(uint8_t op)
{
	switch (op) {
	case VFM_OP_ADD:
		return REG_ADD_RR;
	case VFM_OP_SUB:
		return REG_SUB_RR;
	case VFM_OP_MUL:
		return REG_MUL_RR;
	case VFM_OP_DIV:
		return REG_DIV_RR;
	case VFM_OP_MOD:
		return REG_MOD_RR;
	case VFM_OP_AND:
		return REG_AND_RR;
	case VFM_OP_OR:
		return REG_OR_RR;
	case VFM_OP_XOR:
		return REG_XOR_RR;
	case VFM_OP_SHL:
		return REG_SHL_RR;
	case VFM_OP_SHR:
		return REG_SHR_RR;
	default:
		return REG_MIX_RR;
	}
}

static void lift_binary(struct lift *l, uint8_t op)
{
	struct sym b = pop(l), a = pop(l), out;
	uint8_t reg_op = op_two_registers(op);
	uint32_t ra, rb = 0;
	struct rop *r;
	uint64_t v;

	if (a.kind == SYM_CONST && b.kind == SYM_CONST && compute(op, a.v, b.v, &v))
		return push(l, sym_const(v));
	if (a.kind == SYM_CONST && b.kind != SYM_CONST && (vfm_ops[op].flags & VFM_F_COMMUTES)) {
		out = a;
		a = b;
		b = out;
	}
	if (a.kind == SYM_FIELD && b.kind == SYM_CONST && narrow_field(op, a, b.v, &out))
		return push(l, out);
	if (b.kind == SYM_CONST && b.v == 0 && (vfm_ops[op].flags & VFM_F_DIVIDE)) {
		lift_emit(l, REG_DIVIDE_FAULT);
		return push(l, sym_const(0));
	}
	ra = lift_to_reg(l, a);
	if (b.kind != SYM_CONST)
		rb = lift_to_reg(l, b);
	r = emit_value(l, b.kind == SYM_CONST ? reg_op + 1 : reg_op);
	r->a = ra;
	r->b = rb;
	r->imm = b.kind == SYM_CONST ? b.v : 0;
	push(l, sym_reg(r->dst));
}

static void lift_unary(struct lift *l, uint8_t op)
{
	struct sym a = pop(l);
	struct rop *r;
	uint32_t ra;

	if (a.kind == SYM_CONST)
		return push(l, sym_const(op == VFM_OP_NOT ? ~a.v : -a.v));
	ra = lift_to_reg(l, a);
	r = emit_value(l, op == VFM_OP_NOT ? REG_NOT : REG_NEG);
	r->a = ra;
	push(l, sym_reg(r->dst));
}

/* A load at a fixed offset: the check stays where the load was, the bytes are read where they are needed. */
static void lift_load(struct lift *l, uint64_t off, uint32_t bytes)
{
	uint32_t end = off > VFM_MAX_PACKET_BYTES ? UINT32_MAX : (uint32_t)off + bytes;
	uint64_t mask = bytes == 8 ? ~0ULL : (1ULL << 8 * bytes) - 1;

	if (end > l->checked) {
		lift_emit(l, REG_CHECK)->end = end;
		l->checked = end;
	}
	if (end > VFM_MAX_PACKET_BYTES)
		push(l, sym_const(0)); /* the check never lets it get here */
	else
		push(l, (struct sym){.kind = SYM_FIELD, .end = end, .v = mask});
}

static void lift_indexed_load(struct lift *l, uint8_t op)
{
	struct sym a = pop(l);
	struct rop *r;
	uint32_t ra;

	if (a.kind == SYM_CONST)
		return lift_load(l, a.v, 1u << (op - VFM_OP_LDX8));
	ra = lift_to_reg(l, a);
	r = emit_value(l, (uint8_t)(REG_LDX8 + (op - VFM_OP_LDX8)));
	r->a = ra;
	push(l, sym_reg(r->dst));
}

static void lift_add(struct lift *l, uint16_t table)
{
	struct sym delta = pop(l), key = pop(l);
	uint32_t ra = lift_to_reg(l, key), rb = delta.kind == SYM_CONST ? 0 : lift_to_reg(l, delta);
	struct rop *r = emit_value(l, delta.kind == SYM_CONST ? REG_FLOW_ADDI : REG_FLOW_ADD);

	r->a = ra;
	r->b = rb;
	r->imm = delta.v;
	r->n = table;
	push(l, sym_reg(r->dst));
}

static void lift_table(struct lift *l, const struct vfm_insn *insn)
{
	uint16_t table = (uint16_t)l->p->table_index[insn->table];
	uint32_t ra, rb = 0;
	struct rop *r;

	switch (insn->op) {
	case VFM_OP_FLOW_ADD:
	case VFM_OP_FLOW_ADD_T:
		lift_add(l, table);
		return;
	case VFM_OP_FLOW_LOAD:
	case VFM_OP_FLOW_LOAD_T:
		ra = lift_to_reg(l, pop(l));
		r = emit_value(l, REG_FLOW_LOAD);
		push(l, sym_reg(r->dst));
		break;
	case VFM_OP_FLOW_STORE:
	case VFM_OP_FLOW_STORE_T:
		rb = lift_to_reg(l, pop(l));
		ra = lift_to_reg(l, pop(l));
		r = lift_emit(l, REG_FLOW_STORE);
		break;
	default:
		ra = lift_to_reg(l, pop(l));
		r = lift_emit(l, REG_FLOW_DEL);
		break;
	}
	r->a = ra;
	r->b = rb;
	r->n = table;
}

static void lift_source(struct lift *l, uint8_t op, uint64_t imm)
{
	struct rop *r = emit_value(l, op);

	r->imm = imm;
	push(l, sym_reg(r->dst));
}

static void lift_shuffle(struct lift *l, const struct vfm_insn *insn)
{
	struct sym *top = &l->stack[l->sp], s;

	switch (insn->op) {
	case VFM_OP_POP:
		l->sp--;
		break;
	case VFM_OP_SWAP:
		s = top[-1];
		top[-1] = top[-2];
		top[-2] = s;
		break;
	case VFM_OP_OVER:
		push(l, top[-2]);
		break;
	case VFM_OP_ROT:
		s = top[-3];
		top[-3] = top[-2];
		top[-2] = top[-1];
		top[-1] = s;
		break;
	default: /* DUP, PICK */
		push(l, top[-1 - (int64_t)insn->imm]);
		break;
	}
}

/* ---- the end of a block ---- */

static void set_outcome(struct term *t, bool taken)
{
	t->kind = taken ? TERM_JMP : TERM_NEXT;
}

static uint8_t mirrored(uint8_t op)
{
	switch (op) {
	case VFM_OP_JGT:
		return VFM_OP_JLT;
	case VFM_OP_JLT:
		return VFM_OP_JGT;
	case VFM_OP_JGE:
		return VFM_OP_JLE;
	case VFM_OP_JLE:
		return VFM_OP_JGE;
	default:
		return op;
	}
}

/* v & mask <= c where c + 1 is a power of two: no bit above c is set. */
static void narrow_compare(struct term *t)
{
	uint64_t c = t->b.v;

	if (t->a.kind != SYM_FIELD || (c & (c + 1)) != 0)
		return;
	t->op = t->op == VFM_OP_JLE ? VFM_OP_JEQ : VFM_OP_JNE;
	t->a.v &= ~c;
	t->b.v = 0;
}

/* Compare with a constant: JEQ, JNE, JGT and JLE suffice; settles what a field's width settles. */
static void reduce_compare(struct term *t)
{
	uint64_t c = t->b.v, max = t->a.kind == SYM_FIELD ? t->a.v : ~0ULL;

	if (t->op == VFM_OP_JGE || t->op == VFM_OP_JLT) {
		if (c == 0)
			return set_outcome(t, t->op == VFM_OP_JGE);
		t->op = t->op == VFM_OP_JGE ? VFM_OP_JGT : VFM_OP_JLE;
		t->b.v = --c;
	}
	if (t->op == VFM_OP_JGT || t->op == VFM_OP_JLE) {
		if (c >= max)
			return set_outcome(t, t->op == VFM_OP_JLE);
		if (c == 0)
			t->op = t->op == VFM_OP_JGT ? VFM_OP_JNE : VFM_OP_JEQ;
		else
			narrow_compare(t);
		return;
	}
	if (c & ~max)
		set_outcome(t, t->op == VFM_OP_JNE);
}

static bool compare_const(uint8_t op, uint64_t a, uint64_t b)
{
	switch (op) {
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

static void lift_compare(struct lift *l, uint8_t op)
{
	struct sym b = pop(l), a = pop(l), s;
	struct term *t = &l->term;

	if (a.kind == SYM_CONST && b.kind == SYM_CONST)
		return set_outcome(t, compare_const(op, a.v, b.v));
	if (a.kind == SYM_CONST) {
		s = a;
		a = b;
		b = s;
		op = mirrored(op);
	}
	if (b.kind != SYM_CONST) {
		a = sym_reg(lift_to_reg(l, a));
		b = sym_reg(lift_to_reg(l, b));
		if (op == VFM_OP_JLT || op == VFM_OP_JGE) {
			s = a;
			a = b;
			b = s;
			op = mirrored(op);
		}
	}
	*t = (struct term){.kind = TERM_COND, .op = op, .a = a, .b = b};
	if (b.kind == SYM_CONST)
		reduce_compare(t);
}

/* ---- one block ---- */

static void lift_insn(struct lift *l, const struct vfm_insn *insn)
{
	switch ((enum vfm_op)insn->op) {
	case VFM_OP_TABLE:
		return;
	case VFM_OP_LD8:
	case VFM_OP_LD16:
	case VFM_OP_LD32:
	case VFM_OP_LD64:
		return lift_load(l, insn->imm, 1u << (insn->op - VFM_OP_LD8));
	case VFM_OP_LDX8:
	case VFM_OP_LDX16:
	case VFM_OP_LDX32:
	case VFM_OP_LDX64:
		return lift_indexed_load(l, insn->op);
	case VFM_OP_PUSH:
		return push(l, sym_const(insn->imm));
	case VFM_OP_POP:
	case VFM_OP_DUP:
	case VFM_OP_SWAP:
	case VFM_OP_OVER:
	case VFM_OP_ROT:
	case VFM_OP_PICK:
		return lift_shuffle(l, insn);
	case VFM_OP_NOT:
	case VFM_OP_NEG:
		return lift_unary(l, insn->op);
	case VFM_OP_HASH5:
		return lift_source(l, REG_HASH5, 0);
	case VFM_OP_HASH5S:
		return lift_source(l, REG_HASH5S, 0);
	case VFM_OP_HDR:
		return lift_source(l, REG_HDR, insn->imm);
	case VFM_OP_PKTLEN:
		return lift_source(l, REG_PKTLEN, 0);
	case VFM_OP_NOW:
		return lift_source(l, REG_NOW, 0);
	case VFM_OP_INPUT:
		return lift_source(l, REG_INPUT, 0);
	case VFM_OP_JMP:
		l->term.kind = TERM_JMP;
		return;
	case VFM_OP_RET:
		l->term = (struct term){.kind = TERM_RET, .a = pop(l)};
		return;
	default:
		if (vfm_ops[insn->op].flags & VFM_F_JUMP)
			return lift_compare(l, insn->op);
		if (vfm_ops[insn->op].flags & (VFM_F_READ | VFM_F_UPDATE))
			return lift_table(l, insn);
		return lift_binary(l, insn->op);
	}
}

void lift_symbols(struct lift *l, uint32_t b)
{
	const struct block *block = &l->blocks[b];

	l->n_ops = l->n_temps = l->n_read = 0;
	l->checked = block->checked;
	l->term = (struct term){.kind = TERM_NEXT};
	l->sp = block->lo_in;
	for (uint32_t j = 0; j < block->lo_in; j++) {
		uint32_t from_top = block->lo_in - 1 - j;

		l->stack[j] = from_top < LIFT_SYMBOLS ? block->in[from_top] : sym_reg(j);
		if (l->stack[j].kind == SYM_REG)
			l->stack[j].end = j;
	}
	for (uint32_t i = block->first; i < block->end; i++)
		lift_insn(l, &l->p->proof.insns[i]);
}

void lift_block(struct lift *l, uint32_t b)
{
	lift_symbols(l, b);
	lift_end(l, b);
}

bool lift_edge_shift(const struct lift *l, uint32_t from, uint32_t to, uint32_t *first, uint32_t *n, uint32_t *distance)
{
	const struct block *t = &l->blocks[to];
	uint32_t last = 0;

	*distance = (uint32_t)(l->blocks[from].lo_out - t->lo_in);
	*n = 0;
	for (uint32_t j = 0; *distance && j < t->lo_in; j++) {
		if (!(t->live[j / 64] >> (j % 64) & 1))
			continue;
		if (!*n)
			*first = j;
		last = j;
		*n = last - *first + 1;
	}
	return *n != 0;
}

/* ---- blocks ---- */

static void mark_leaders(struct lift *l, bool *leader)
{
	const struct vfm_proof *proof = &l->p->proof;

	leader[0] = true;
	for (uint32_t i = 0; i < proof->n; i++) {
		uint16_t flags = vfm_ops[proof->insns[i].op].flags;

		if (flags & VFM_F_JUMP)
			leader[vfm_proof_index(proof, proof->insns[i].target)] = true;
		if ((flags & (VFM_F_JUMP | VFM_F_END)) && i + 1 < proof->n)
			leader[i + 1] = true;
	}
	for (uint32_t i = 0; i < proof->n; i++)
		l->block_of[i] = leader[i] ? l->n_blocks++ : UINT32_MAX;
}

static void close_block(struct lift *l, struct block *b)
{
	const struct vfm_proof *proof = &l->p->proof;
	const struct vfm_insn *last = &proof->insns[b->end - 1];
	const struct vfm_op_info *info = &vfm_ops[last->op];

	for (uint32_t i = b->first; i < b->end; i++)
		b->count += proof->insns[i].op != VFM_OP_TABLE;
	b->lo_in = proof->depth_lo[b->first];
	b->lo_out = (uint16_t)(proof->depth_lo[b->end - 1] - info->pops + info->pushes);
	b->taken = b->next = UINT32_MAX;
	if (info->flags & VFM_F_JUMP) {
		b->taken = l->block_of[vfm_proof_index(proof, last->target)];
		b->back = last->target <= last->pc;
	}
	if (!(info->flags & VFM_F_END))
		b->next = l->block_of[b->end];
}

static void make_blocks(struct lift *l)
{
	uint32_t n = l->p->proof.n, b = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (l->block_of[i] == UINT32_MAX)
			continue;
		b = l->block_of[i];
		l->blocks[b].first = i;
		if (b)
			l->blocks[b - 1].end = i;
	}
	l->blocks[b].end = n;
	for (b = 0; b < l->n_blocks; b++)
		close_block(l, &l->blocks[b]);
}

int lift_init(struct lift *l, const struct program *p)
{
	bool *leader = calloc(p->proof.n, sizeof(*leader));
	int err = -ENOMEM;

	memset(l, 0, sizeof(*l));
	l->p = p;
	l->block_of = malloc(p->proof.n * sizeof(*l->block_of));
	if (!leader || !l->block_of)
		goto out;
	mark_leaders(l, leader);
	l->blocks = calloc(l->n_blocks, sizeof(*l->blocks));
	if (!l->blocks)
		goto out;
	make_blocks(l);
	err = lift_flow(l);
out:
	free(leader);
	if (err)
		lift_fini(l);
	return err;
}

void lift_fini(struct lift *l)
{
	free(l->blocks);
	free(l->block_of);
	free(l->ops);
	free(l->last_use);
	memset(l, 0, sizeof(*l));
}

/* ir_run.c: a plain evaluator of the intermediate form. */
#include "test/lib/ir_run.h"

#include <errno.h>
#include <stdlib.h>

#include "vm/ir_fact.h"
#include "vm/vfm.h"

int ir_run_init(struct ir_run *r, const struct ir *ir)
{
	*r = (struct ir_run){.ir = ir};
	r->value = calloc(ir->n_values + 1ul, sizeof(*r->value));
	r->copy = calloc(ir->n_values + 1ul, sizeof(*r->copy));
	return r->value && r->copy ? 0 : -ENOMEM;
}

void ir_run_fini(struct ir_run *r)
{
	free(r->value);
	free(r->copy);
}

static void contradict(struct ir_run *r, const char *what, uint32_t where)
{
	if (r->check_facts && !r->contradicted) {
		r->contradicted = what;
		r->where = where;
	}
}

static bool end(struct ir_run *r, int error, uint64_t value)
{
	r->result.error = error;
	r->result.value = value;
	return false;
}

static bool load(struct ir_run *r, const struct ir_value *v, uint64_t *out)
{
	uint64_t off = v->a == IR_NONE ? v->imm : r->value[v->a];
	unsigned bytes = ir_ops[v->op].bytes;

	if (off > r->packet->len || r->packet->len - off < bytes)
		return end(r, VFM_ERROR_BOUNDS, 0);
	*out = 0;
	for (unsigned i = 0; i < bytes; i++)
		*out = *out << 8 | r->packet->data[off + i];
	return true;
}

static uint64_t arithmetic(const struct ir_run *r, uint8_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case IR_ADD:
		return a + b;
	case IR_SUB:
		return a - b;
	case IR_MUL:
		return a * b;
	case IR_DIV:
		return a / b;
	case IR_MOD:
		return a % b;
	case IR_AND:
		return a & b;
	case IR_OR:
		return a | b;
	case IR_XOR:
		return a ^ b;
	case IR_SHL:
		return a << (b & 63);
	case IR_SHR:
		return a >> (b & 63);
	case IR_NOT:
		return ~a;
	case IR_NEG:
		return -a;
	default:
		return vfm_mix(a, b, r->shard->seed);
	}
}

static uint64_t source(const struct ir_run *r, const struct ir_value *v)
{
	const struct vfm_packet *p = r->packet;

	switch (v->op) {
	case IR_CONST:
		return v->imm;
	case IR_HASH5:
		return vfm_hash5(p->data, p->len, r->shard->seed);
	case IR_HASH5S:
		return vfm_hash5s(p->data, p->len, r->shard->seed);
	case IR_HDR:
		return vfm_hdr(p->data, p->len, (uint8_t)v->imm);
	case IR_PKTLEN:
		return p->len;
	case IR_INPUT:
		return p->input;
	default:
		return r->shard->clock_us;
	}
}

static bool access_table(struct ir_run *r, const struct ir_value *v, uint64_t *out)
{
	uint32_t index = (uint32_t)r->ir->program->table_index[v->table];
	uint64_t key = r->value[v->a], operand = v->b == IR_NONE ? 0 : r->value[v->b];

	if ((ir_ops[v->op].flags & IR_F_UPDATE) && ++r->updates > VFM_MAX_UPDATES)
		return end(r, VFM_ERROR_LIMIT, 0);
	r->accesses++;
	switch (v->op) {
	case IR_FLOW_LOAD:
		*out = shard_load(r->shard, index, key);
		break;
	case IR_FLOW_STORE:
		shard_store(r->shard, index, key, operand);
		break;
	case IR_FLOW_ADD:
		*out = shard_add(r->shard, index, key, operand);
		break;
	default:
		shard_delete(r->shard, index, key);
		break;
	}
	return true;
}

static void check_operand(struct ir_run *r, const struct ir_value *v, uint32_t id)
{
	uint16_t flags = ir_ops[v->op].flags;

	if (r->check_facts && (flags & IR_F_FAULT) && (flags & IR_F_A) &&
	    !fact_allows(&r->ir->facts.operand[id], r->value[ir_ops[v->op].bytes ? v->a : v->b]))
		contradict(r, "an operand is not what its fact says", id);
}

static bool evaluate(struct ir_run *r, uint32_t id)
{
	const struct ir_value *v = &r->ir->values[id];
	uint16_t flags = ir_ops[v->op].flags;
	uint64_t *out = &r->value[id];

	check_operand(r, v, id);
	if (ir_ops[v->op].bytes) {
		if (!load(r, v, out))
			return false;
	} else if (flags & (IR_F_READ | IR_F_UPDATE)) {
		if (!access_table(r, v, out))
			return false;
	} else if (flags & IR_F_A) {
		if ((flags & IR_F_FAULT) && r->value[v->b] == 0)
			return end(r, VFM_ERROR_DIVISION_BY_ZERO, 0);
		*out = arithmetic(r, v->op, r->value[v->a], v->b == IR_NONE ? 0 : r->value[v->b]);
	} else {
		*out = source(r, v);
	}
	return true;
}

static void check_value(struct ir_run *r, uint32_t id)
{
	if (r->check_facts && (ir_ops[r->ir->values[id].op].flags & IR_F_RESULT) &&
	    !fact_allows(&r->ir->facts.value[id], r->value[id]))
		contradict(r, "a value is not what its fact says", id);
}

static void pass_args(struct ir_run *r, const struct ir_succ *s)
{
	const struct ir_block *to = &r->ir->blocks[s->block];

	for (uint32_t i = 0; i < to->n_params; i++)
		r->copy[i] = r->value[r->ir->args[s->args + i]];
	for (uint32_t i = 0; i < to->n_params; i++) {
		r->value[to->first + i] = r->copy[i];
		check_value(r, to->first + i);
	}
}

static void check_term(struct ir_run *r, const struct ir_block *b, uint32_t block)
{
	const struct ir_fact *f = r->check_facts ? &r->ir->facts.term[2 * block] : NULL;

	if (f &&
	    ((b->a != IR_NONE && !fact_allows(&f[0], r->value[b->a])) || (b->b != IR_NONE && !fact_allows(&f[1], r->value[b->b]))))
		contradict(r, "an operand of a jump or RET is not what its fact says", block);
}

/* The successor's number, or IR_NONE at the end. */
static uint32_t leave(struct ir_run *r, uint32_t block)
{
	const struct ir_block *b = &r->ir->blocks[block];
	const struct ir_succ *s = &b->succ[0];

	check_term(r, b, block);
	r->insn_count += b->insns;
	if (b->term == IR_RET) {
		if (r->insn_count > r->insn_limit)
			end(r, VFM_ERROR_LIMIT, 0);
		else
			end(r, VFM_SUCCESS, r->value[b->a]);
		return IR_NONE;
	}
	if (b->term == IR_BRANCH && !ir_compare(b->cond, r->value[b->a], r->value[b->b]))
		s = &b->succ[1];
	if (r->check_facts && !(r->ir->facts.block[block] & (s == &b->succ[0] ? IR_TAKES_0 : IR_TAKES_1)))
		contradict(r, "an edge is taken that never is", block);
	if (s->backward_jump && r->insn_count > r->insn_limit) {
		end(r, VFM_ERROR_LIMIT, 0);
		return IR_NONE;
	}
	pass_args(r, s);
	return s->block;
}

void ir_run(struct ir_run *r, struct shard *s, const struct vfm_packet *packet, uint32_t insn_limit)
{
	uint32_t block = 0;

	r->shard = s;
	r->packet = packet;
	r->insn_limit = insn_limit;
	r->insn_count = r->accesses = r->updates = 0;
	shard_set_time(s, packet->time_us);
	while (block != IR_NONE) {
		const struct ir_block *b = &r->ir->blocks[block];

		if (r->check_facts && packet->len < r->ir->facts.len_lo[block])
			contradict(r, "the packet is shorter than known", block);
		if (r->check_facts && !(r->ir->facts.block[block] & IR_REACHED))
			contradict(r, "a block is reached that never is", block);
		for (uint32_t v = b->first + b->n_params; v < b->first + b->n_values; v++) {
			if (!evaluate(r, v))
				return;
			check_value(r, v);
		}
		block = leave(r, block);
	}
}

/* step.c: the plain stack machine. Written to be read beside the manual; nothing here is clever. */
#include <string.h>

#include "vm/step.h"
#include "vm/vfm.h"

void machine_init(struct machine *m, const uint8_t *code, uint32_t len, const int16_t table_index[256], struct shard *shard,
		  const struct vfm_packet *packet, uint32_t insn_limit)
{
	memset(m, 0, offsetof(struct machine, stack));
	m->code = code;
	m->len = len;
	m->table_index = table_index;
	m->shard = shard;
	m->packet = *packet;
	m->insn_limit = insn_limit;
	shard_set_time(shard, packet->time_us);
}

static bool end(struct machine *m, int error, uint64_t value)
{
	m->done = true;
	m->result.error = error;
	m->result.value = value;
	return false;
}

static bool load_packet(struct machine *m, uint64_t off, unsigned size, uint64_t *value)
{
	if (off > m->packet.len || m->packet.len - off < size)
		return end(m, VFM_ERROR_BOUNDS, 0);
	*value = 0;
	for (unsigned i = 0; i < size; i++)
		*value = *value << 8 | m->packet.data[off + i];
	return true;
}

static bool compare(uint8_t op, uint64_t a, uint64_t b)
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
	case VFM_OP_JLE:
		return a <= b;
	default:
		return true; /* JMP */
	}
}

static uint64_t compute(const struct machine *m, uint8_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case VFM_OP_ADD:
		return a + b;
	case VFM_OP_SUB:
		return a - b;
	case VFM_OP_MUL:
		return a * b;
	case VFM_OP_DIV:
		return a / b;
	case VFM_OP_MOD:
		return a % b;
	case VFM_OP_AND:
		return a & b;
	case VFM_OP_OR:
		return a | b;
	case VFM_OP_XOR:
		return a ^ b;
	case VFM_OP_SHL:
		return a << (b & 63);
	case VFM_OP_SHR:
		return a >> (b & 63);
	default:
		return vfm_mix(a, b, m->shard->seed); /* MIX */
	}
}

static bool jump(struct machine *m, const struct vfm_insn *insn, uint64_t a, uint64_t b)
{
	if (!compare(insn->op, a, b))
		return true;
	if (insn->target >= m->len)
		return end(m, VFM_ERROR_INVALID_PROGRAM, 0);
	if (insn->target <= insn->pc && m->insn_count > m->insn_limit)
		return end(m, VFM_ERROR_LIMIT, 0);
	m->pc = insn->target;
	return true;
}

/* FLOW_*: the popped values are key and operand. Returns false when the packet ends here. */
static bool access_table(struct machine *m, const struct vfm_insn *insn, uint64_t key, uint64_t operand, uint64_t *value)
{
	uint32_t index = (uint32_t)m->table_index[insn->table];

	if ((vfm_ops[insn->op].flags & VFM_F_UPDATE) && ++m->updates > VFM_MAX_UPDATES)
		return end(m, VFM_ERROR_LIMIT, 0);
	if (m->table_index[insn->table] < 0)
		return end(m, VFM_ERROR_INVALID_PROGRAM, 0); /* never in a verified program */
	switch (insn->op) {
	case VFM_OP_FLOW_LOAD:
	case VFM_OP_FLOW_LOAD_T:
		*value = shard_load(m->shard, index, key);
		break;
	case VFM_OP_FLOW_STORE:
	case VFM_OP_FLOW_STORE_T:
		shard_store(m->shard, index, key, operand);
		break;
	case VFM_OP_FLOW_ADD:
	case VFM_OP_FLOW_ADD_T:
		*value = shard_add(m->shard, index, key, operand);
		break;
	default:
		shard_delete(m->shard, index, key);
		break;
	}
	return true;
}

/* a is the value below the top b where the instruction pops two, else a is the top. Pushes are done here. */
static bool execute(struct machine *m, const struct vfm_insn *insn, uint64_t a, uint64_t b, uint64_t *top)
{
	const struct vfm_packet *p = &m->packet;
	uint64_t v = 0;

	switch (insn->op) {
	case VFM_OP_TABLE:
	case VFM_OP_POP:
		return true;
	case VFM_OP_LD8:
	case VFM_OP_LD16:
	case VFM_OP_LD32:
	case VFM_OP_LD64:
		if (!load_packet(m, insn->imm, 1u << (insn->op - VFM_OP_LD8), &v))
			return false;
		break;
	case VFM_OP_LDX8:
	case VFM_OP_LDX16:
	case VFM_OP_LDX32:
	case VFM_OP_LDX64:
		if (!load_packet(m, a, 1u << (insn->op - VFM_OP_LDX8), &v))
			return false;
		break;
	case VFM_OP_PUSH:
		v = insn->imm;
		break;
	case VFM_OP_DUP:
		top[1] = a;
		v = a;
		break;
	case VFM_OP_SWAP:
		top[1] = a;
		v = b;
		break;
	case VFM_OP_OVER:
		top[1] = b;
		top[2] = a;
		v = a;
		break;
	case VFM_OP_ROT:
		v = top[1];
		top[1] = top[2];
		top[2] = top[0];
		top[0] = v;
		return true;
	case VFM_OP_PICK:
		v = top[-1 - (int64_t)insn->imm];
		break;
	case VFM_OP_NOT:
		v = ~a;
		break;
	case VFM_OP_NEG:
		v = -a;
		break;
	case VFM_OP_DIV:
	case VFM_OP_MOD:
		if (b == 0)
			return end(m, VFM_ERROR_DIVISION_BY_ZERO, 0);
		v = compute(m, insn->op, a, b);
		break;
	case VFM_OP_RET:
		if (m->insn_count > m->insn_limit)
			return end(m, VFM_ERROR_LIMIT, 0);
		return end(m, VFM_SUCCESS, a);
	case VFM_OP_HASH5:
		v = vfm_hash5(p->data, p->len, m->shard->seed);
		break;
	case VFM_OP_HASH5S:
		v = vfm_hash5s(p->data, p->len, m->shard->seed);
		break;
	case VFM_OP_HDR:
		v = vfm_hdr(p->data, p->len, (uint8_t)insn->imm);
		break;
	case VFM_OP_PKTLEN:
		v = p->len;
		break;
	case VFM_OP_NOW:
		v = m->shard->clock_us;
		break;
	case VFM_OP_INPUT:
		v = p->input;
		break;
	default:
		if (vfm_ops[insn->op].flags & VFM_F_JUMP)
			return jump(m, insn, a, b);
		if (!(vfm_ops[insn->op].flags & (VFM_F_READ | VFM_F_UPDATE)))
			v = compute(m, insn->op, a, b);
		else if (!access_table(m, insn, a, b, &v))
			return false;
		break;
	}
	top[0] = v; /* beyond the new top for instructions that push nothing */
	return true;
}

/* The checks that verification makes needless. */
static bool check_stack(struct machine *m, const struct vfm_insn *insn)
{
	const struct vfm_op_info *info = &vfm_ops[insn->op];
	uint32_t needs = insn->op == VFM_OP_PICK ? (uint32_t)insn->imm + 1 : info->pops;

	if (m->sp < needs)
		return end(m, VFM_ERROR_STACK_UNDERFLOW, 0);
	if (m->sp - info->pops + info->pushes > VFM_STACK_SLOTS)
		return end(m, VFM_ERROR_STACK_OVERFLOW, 0);
	return true;
}

bool machine_step(struct machine *m)
{
	struct vfm_insn insn;
	uint64_t *top;

	if (m->done)
		return false;
	if (m->pc >= m->len)
		return end(m, VFM_ERROR_INVALID_PROGRAM, 0);
	if (vfm_decode(m->code, m->len, m->pc, &insn))
		return end(m, vfm_op_exists(insn.op) ? VFM_ERROR_INVALID_PROGRAM : VFM_ERROR_INVALID_OPCODE, 0);
	if (insn.op == VFM_OP_HDR && insn.imm >= VFM_HDR_ITEMS)
		return end(m, VFM_ERROR_INVALID_PROGRAM, 0);
	if (!check_stack(m, &insn))
		return false;
	if (insn.op != VFM_OP_TABLE)
		m->insn_count++;
	m->pc = insn.next;
	m->sp -= vfm_ops[insn.op].pops;
	top = &m->stack[m->sp];
	if (!execute(m, &insn, top[0], top[1], top))
		return false;
	m->sp += vfm_ops[insn.op].pushes;
	return true;
}

void machine_run(struct machine *m)
{
	while (machine_step(m))
		;
}

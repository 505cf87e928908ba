/* verify.c: the verifier. Four passes, each linear: decode, link jumps, reach (forward with depths, backward from RET), report.
 *
 * Depths: lo is the minimum and hi the maximum over all paths. lo only falls and hi only rises while the worklist runs; both leave
 * [0, 256] after at most 256 steps per instruction, and leaving it is a rejection, so the run is bounded.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/table.h"
#include "vm/verify.h"
#include "vm/vfm.h"

#define NOT_REACHED UINT16_MAX

struct verifier {
	const uint8_t *code;
	uint32_t len;
	unsigned flags;
	struct vfm_proof proof;
	uint32_t *index_at; /* address -> instruction index + 1; 0: none begins there */
	uint32_t *work;     /* stack of instruction indices to look at again */
	uint32_t work_count;
	bool *queued;
	struct vfm_reject *reject;
};

static int reject(struct verifier *v, int code, uint32_t pc, const char *format, ...) __attribute__((format(printf, 4, 5)));

static int reject(struct verifier *v, int code, uint32_t pc, const char *format, ...)
{
	va_list args;

	v->reject->code = code;
	v->reject->pc = pc;
	v->reject->opcode = pc < v->len ? v->code[pc] : -1;
	va_start(args, format);
	vsnprintf(v->reject->reason, sizeof(v->reject->reason), format, args);
	va_end(args);
	return code;
}

/* The rules on one instruction by itself. */
static int check_insn(struct verifier *v, const struct vfm_insn *insn, bool declared[256], bool in_prologue)
{
	const struct vfm_op_info *info = &vfm_ops[insn->op];

	if ((v->flags & VFM_VERIFY_STRICT_MANUAL) && !(info->flags & VFM_F_MANUAL))
		return reject(v, VFM_ERROR_INVALID_OPCODE, insn->pc,
			      "%s is not in the manual's instruction set: leave out --strict-manual to allow extensions",
			      info->name);
	if (insn->op == VFM_OP_HDR && insn->imm >= VFM_HDR_ITEMS)
		return reject(v, VFM_ERROR_VERIFICATION_FAILED, insn->pc, "HDR %u: items are 0 to %d", (unsigned)insn->imm,
			      VFM_HDR_ITEMS - 1);
	if (insn->op != VFM_OP_TABLE)
		return 0;
	if (!in_prologue)
		return reject(v, VFM_ERROR_VERIFICATION_FAILED, insn->pc,
			      "TABLE after another instruction: move all TABLE lines to the top");
	if (declared[insn->table])
		return reject(v, VFM_ERROR_VERIFICATION_FAILED, insn->pc, "table %u is declared twice", insn->table);
	if (insn->imm == 0 || insn->imm > TABLE_MAX_CAPACITY)
		return reject(v, VFM_ERROR_VERIFICATION_FAILED, insn->pc, "table %u with %u entries: 1 to %u are possible",
			      insn->table, (unsigned)insn->imm, TABLE_MAX_CAPACITY);
	declared[insn->table] = true;
	return 0;
}

static int decode_all(struct verifier *v)
{
	bool declared[256] = {false};
	bool in_prologue = true;

	for (uint32_t pc = 0; pc < v->len;) {
		struct vfm_insn *insn = &v->proof.insns[v->proof.n];
		int err = vfm_decode(v->code, v->len, pc, insn);

		if (err && !vfm_op_exists(v->code[pc]))
			return reject(v, VFM_ERROR_INVALID_OPCODE, pc, "no instruction has opcode %u", v->code[pc]);
		if (err)
			return reject(v, VFM_ERROR_INVALID_PROGRAM, pc, "the operand of %s is cut off: %u of %u bytes are there",
				      vfm_ops[v->code[pc]].name, v->len - pc - 1, vfm_ops[v->code[pc]].operand_bytes);
		err = check_insn(v, insn, declared, in_prologue);
		if (err)
			return err;
		in_prologue = in_prologue && insn->op == VFM_OP_TABLE;
		v->index_at[pc] = ++v->proof.n;
		pc = insn->next;
	}
	return 0;
}

/* Every jump must hit the first byte of an instruction. */
static int link_jumps(struct verifier *v)
{
	for (uint32_t i = 0; i < v->proof.n; i++) {
		const struct vfm_insn *insn = &v->proof.insns[i];

		if (!(vfm_ops[insn->op].flags & VFM_F_JUMP))
			continue;
		if (insn->target >= v->len)
			return reject(v, VFM_ERROR_VERIFICATION_FAILED, insn->pc, "%s jumps to %d, outside the program of %u bytes",
				      vfm_ops[insn->op].name, (int32_t)insn->target, v->len);
		if (!v->index_at[insn->target])
			return reject(v, VFM_ERROR_VERIFICATION_FAILED, insn->pc,
				      "%s jumps to %u, into the middle of an instruction", vfm_ops[insn->op].name, insn->target);
		if (insn->target <= insn->pc)
			v->proof.has_loop = true;
	}
	return 0;
}

static void enqueue(struct verifier *v, uint32_t i)
{
	if (v->queued[i])
		return;
	v->queued[i] = true;
	v->work[v->work_count++] = i;
}

/* Control arrives at instruction i with lo to hi values on the stack. */
static void arrive(struct verifier *v, uint32_t i, uint16_t lo, uint16_t hi)
{
	struct vfm_proof *p = &v->proof;

	if (p->depth_lo[i] == NOT_REACHED) {
		p->depth_lo[i] = lo;
		p->depth_hi[i] = hi;
		enqueue(v, i);
		return;
	}
	if (lo >= p->depth_lo[i] && hi <= p->depth_hi[i])
		return;
	if (lo < p->depth_lo[i])
		p->depth_lo[i] = lo;
	if (hi > p->depth_hi[i])
		p->depth_hi[i] = hi;
	enqueue(v, i);
}

static int flow_through(struct verifier *v, uint32_t i)
{
	struct vfm_proof *p = &v->proof;
	const struct vfm_insn *insn = &p->insns[i];
	const struct vfm_op_info *info = &vfm_ops[insn->op];
	/* PICK n reads the slot n below the top: n + 1 values must be there. */
	uint32_t needs = insn->op == VFM_OP_PICK ? (uint32_t)insn->imm + 1 : info->pops;
	uint16_t lo, hi;

	if (p->depth_lo[i] < needs)
		return reject(v, VFM_ERROR_VERIFICATION_FAILED, insn->pc,
			      "%s needs %u value%s, but a path arrives with %u on the stack", info->name, needs,
			      needs == 1 ? "" : "s", p->depth_lo[i]);
	lo = (uint16_t)(p->depth_lo[i] - info->pops + info->pushes);
	hi = (uint16_t)(p->depth_hi[i] - info->pops + info->pushes);
	if (hi > VFM_STACK_SLOTS)
		return reject(v, VFM_ERROR_VERIFICATION_FAILED, insn->pc, "%s: a path reaches more than %d values on the stack",
			      info->name, VFM_STACK_SLOTS);
	if (hi > p->max_depth)
		p->max_depth = hi;
	if (info->flags & VFM_F_JUMP)
		arrive(v, v->index_at[insn->target] - 1, lo, hi);
	if (info->flags & VFM_F_END)
		return 0;
	if (i + 1 == p->n)
		return reject(v, VFM_ERROR_VERIFICATION_FAILED, insn->pc,
			      "control runs off the end of the program after %s: end it with RET", info->name);
	arrive(v, i + 1, lo, hi);
	return 0;
}

static int reach_forward(struct verifier *v)
{
	struct vfm_proof *p = &v->proof;

	memset(p->depth_lo, 0xff, p->n * sizeof(*p->depth_lo));
	arrive(v, 0, 0, 0);
	while (v->work_count) {
		uint32_t i = v->work[--v->work_count];
		int err;

		v->queued[i] = false;
		err = flow_through(v, i);
		if (err)
			return err;
	}
	for (uint32_t i = 0; i < p->n; i++) {
		if (p->depth_lo[i] == NOT_REACHED)
			return reject(v, VFM_ERROR_VERIFICATION_FAILED, p->insns[i].pc, "%s can never be reached: remove it",
				      vfm_ops[p->insns[i].op].name);
		if (p->depth_lo[i] != p->depth_hi[i])
			p->unequal_joins = true;
	}
	return 0;
}

/* Predecessors as lists: head[i] is the first edge into i, an edge 2*from + (0 fall, 1 jump); next[edge] the next one. */
static void collect_edges(const struct verifier *v, uint32_t *head, uint32_t *next)
{
	const struct vfm_proof *p = &v->proof;

	for (uint32_t i = 0; i < p->n; i++) {
		uint16_t flags = vfm_ops[p->insns[i].op].flags;

		if (flags & VFM_F_JUMP) {
			uint32_t to = v->index_at[p->insns[i].target] - 1;

			next[2 * i + 1] = head[to];
			head[to] = 2 * i + 1;
		}
		if (!(flags & VFM_F_END)) {
			next[2 * i] = head[i + 1];
			head[i + 1] = 2 * i;
		}
	}
}

/* From every instruction some path must lead to a RET. */
static int reach_backward(struct verifier *v)
{
	const struct vfm_proof *p = &v->proof;
	uint32_t *head = malloc(p->n * sizeof(*head));
	uint32_t *next = malloc(2ul * p->n * sizeof(*next));
	int err = 0;

	if (!head || !next) {
		err = reject(v, VFM_ERROR_NO_MEMORY, 0, "out of memory while verifying");
		goto out;
	}
	memset(head, 0xff, p->n * sizeof(*head));
	collect_edges(v, head, next);
	for (uint32_t i = 0; i < p->n; i++)
		if (p->insns[i].op == VFM_OP_RET)
			enqueue(v, i);
	/* queued[] is not cleared here: it now means "a RET can be reached". */
	while (v->work_count) {
		uint32_t i = v->work[--v->work_count];

		for (uint32_t e = head[i]; e != UINT32_MAX; e = next[e])
			enqueue(v, e / 2);
	}
	for (uint32_t i = 0; i < p->n && !err; i++)
		if (!v->queued[i])
			err = reject(v, VFM_ERROR_VERIFICATION_FAILED, p->insns[i].pc,
				     "a loop without exit: no path from here reaches a RET");
out:
	free(next);
	free(head);
	return err;
}

static int alloc_all(struct verifier *v)
{
	/* An instruction is at least one byte long. */
	size_t n = v->len;

	v->proof.insns = malloc(n * sizeof(*v->proof.insns));
	v->proof.depth_lo = malloc(n * sizeof(*v->proof.depth_lo));
	v->proof.depth_hi = malloc(n * sizeof(*v->proof.depth_hi));
	v->index_at = calloc(n, sizeof(*v->index_at));
	v->work = malloc(n * sizeof(*v->work));
	v->queued = calloc(n, sizeof(*v->queued));
	if (!v->proof.insns || !v->proof.depth_lo || !v->proof.depth_hi || !v->index_at || !v->work || !v->queued)
		return reject(v, VFM_ERROR_NO_MEMORY, 0, "out of memory while verifying");
	return 0;
}

static int run_passes(struct verifier *v)
{
	int err = alloc_all(v);

	if (!err)
		err = decode_all(v);
	if (!err)
		err = link_jumps(v);
	if (!err)
		err = reach_forward(v);
	if (!err)
		err = reach_backward(v);
	return err;
}

int vfm_verify_program(const uint8_t *code, uint32_t len, unsigned flags, struct vfm_proof *proof, struct vfm_reject *why)
{
	struct vfm_reject unwanted;
	struct verifier v = {.code = code, .len = len, .flags = flags, .reject = why ? why : &unwanted};
	int err;

	memset(v.reject, 0, sizeof(*v.reject));
	if (len == 0)
		err = reject(&v, VFM_ERROR_INVALID_PROGRAM, 0, "the program is empty: it needs at least a value and RET");
	else if (len > VFM_MAX_PROGRAM_BYTES)
		err = reject(&v, VFM_ERROR_INVALID_PROGRAM, 0, "the program has %u bytes: at most %u are possible", len,
			     VFM_MAX_PROGRAM_BYTES);
	else
		err = run_passes(&v);
	free(v.index_at);
	free(v.work);
	free(v.queued);
	if (!err && proof)
		*proof = v.proof;
	else
		vfm_proof_fini(&v.proof);
	return err;
}

void vfm_proof_fini(struct vfm_proof *proof)
{
	free(proof->insns);
	free(proof->depth_lo);
	free(proof->depth_hi);
	memset(proof, 0, sizeof(*proof));
}

int64_t vfm_proof_index(const struct vfm_proof *proof, uint32_t pc)
{
	uint32_t lo = 0, hi = proof->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (proof->insns[mid].pc < pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < proof->n && proof->insns[lo].pc == pc ? (int64_t)lo : -1;
}

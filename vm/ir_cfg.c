/* ir_cfg.c: blocks, edges and their order: the first half of ir_build(). */
#include <stdlib.h>
#include <string.h>

#include "vm/ir_parts.h"

static bool ends_block(uint8_t op)
{
	return vfm_ops[op].flags & (VFM_F_JUMP | VFM_F_END);
}

/* leader[i]: instruction i begins a block. */
static void mark_leaders(const struct vfm_proof *proof, uint8_t *leader)
{
	leader[0] = 1;
	for (uint32_t i = 0; i < proof->n; i++) {
		const struct vfm_insn *insn = &proof->insns[i];

		if (vfm_ops[insn->op].flags & VFM_F_JUMP)
			leader[vfm_proof_index(proof, insn->target)] = 1;
		if (ends_block(insn->op) && i + 1 < proof->n)
			leader[i + 1] = 1;
	}
}

/* Cuts the program in blocks, in order of address; block_at[i] is the block that instruction i belongs to. */
static void cut(struct ir *ir, const uint8_t *leader, uint32_t *block_at, uint32_t *first_insn)
{
	const struct vfm_proof *proof = &ir->program->proof;
	uint32_t n = 0;

	for (uint32_t i = 0; i < proof->n; i++) {
		struct ir_block *b;

		if (leader[i]) {
			first_insn[n] = i;
			ir->blocks[n++].pc = proof->insns[i].pc;
		}
		b = &ir->blocks[n - 1];
		b->end = proof->insns[i].next;
		b->insns += proof->insns[i].op != VFM_OP_TABLE;
		b->term_pc = proof->insns[i].pc;
		block_at[i] = n - 1;
	}
	ir->n_blocks = n;
}

static void link_block(struct ir *ir, struct ir_block *b, const struct vfm_insn *last, const uint32_t *block_at, uint32_t next)
{
	const struct vfm_proof *proof = &ir->program->proof;
	uint16_t flags = vfm_ops[last->op].flags;

	b->a = b->b = IR_NONE;
	if (last->op == VFM_OP_RET) {
		b->term = IR_RET;
		return;
	}
	b->term = flags & VFM_F_COND ? IR_BRANCH : IR_GOTO;
	b->cond = flags & VFM_F_COND ? last->op : 0;
	if (flags & VFM_F_JUMP)
		b->succ[b->n_succs++] = (struct ir_succ){.block = block_at[vfm_proof_index(proof, last->target)],
							 .backward_jump = last->target <= last->pc};
	if (!(flags & VFM_F_END))
		b->succ[b->n_succs++] = (struct ir_succ){.block = next};
}

/* Reverse post-order. Of two successors the one at the higher address is walked first and so stands later: loop bodies before the
 * exits, as the bytecode has it. order[i] = address-ordered block that gets number i. */
static void number_blocks(const struct ir *ir, uint32_t *order, uint32_t *number, uint32_t *stack)
{
	uint32_t depth = 0, left = ir->n_blocks;
	uint8_t *next = (uint8_t *)(stack + ir->n_blocks); /* successors of stack[i] walked so far */

	memset(number, 0xff, ir->n_blocks * sizeof(*number));
	number[0] = 0;
	stack[depth] = 0;
	next[depth++] = 0;
	while (depth) {
		const struct ir_block *b = &ir->blocks[stack[depth - 1]];
		uint32_t to, k = next[depth - 1]++;

		if (k >= b->n_succs) {
			order[--left] = stack[--depth];
			continue;
		}
		if (b->n_succs == 2 && b->succ[0].block < b->succ[1].block)
			k = 1 - k;
		to = b->succ[k].block;
		if (number[to] == IR_NONE) {
			number[to] = 0;
			stack[depth] = to;
			next[depth++] = 0;
		}
	}
	for (uint32_t i = 0; i < ir->n_blocks; i++)
		number[order[i]] = i;
}

static int permute(struct ir *ir, const uint32_t *order, const uint32_t *number, uint32_t *first_insn)
{
	struct ir_block *blocks = malloc(ir->n_blocks * sizeof(*blocks));
	uint32_t *first = malloc(ir->n_blocks * sizeof(*first));

	if (!blocks || !first) {
		free(blocks);
		free(first);
		return -1;
	}
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		blocks[i] = ir->blocks[order[i]];
		first[i] = first_insn[order[i]];
		for (unsigned k = 0; k < blocks[i].n_succs; k++)
			blocks[i].succ[k].block = number[blocks[i].succ[k].block];
	}
	memcpy(first_insn, first, ir->n_blocks * sizeof(*first));
	free(first);
	free(ir->blocks);
	ir->blocks = blocks;
	return 0;
}

/* Predecessor lists, ascending; and which blocks are headers. */
static int collect_preds(struct ir *ir)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < ir->n_blocks; i++)
		for (unsigned k = 0; k < ir->blocks[i].n_succs; k++)
			ir->blocks[ir->blocks[i].succ[k].block].n_preds++;
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		ir->blocks[i].preds = at;
		at += ir->blocks[i].n_preds;
		ir->blocks[i].n_preds = 0;
	}
	ir->n_preds = at;
	ir->preds = malloc((at + 1) * sizeof(*ir->preds));
	if (!ir->preds)
		return -1;
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		for (uint32_t k = 0; k < ir->blocks[i].n_succs; k++) {
			struct ir_block *to = &ir->blocks[ir->blocks[i].succ[k].block];

			ir->preds[to->preds + to->n_preds++] = (struct ir_pred){i, k};
			if (ir->blocks[i].succ[k].block <= i)
				to->header = ir->has_cycle = true;
		}
	}
	return 0;
}

int ir_cfg(struct ir *ir, uint32_t **first_insn)
{
	const struct vfm_proof *proof = &ir->program->proof;
	uint32_t n = proof->n;
	uint8_t *leader = calloc(n, 1);
	/* block_at, order, number, stack and one byte per stack entry: n words each are enough. */
	uint32_t *work = malloc(5ul * n * sizeof(*work));
	int err = -1;

	*first_insn = malloc(n * sizeof(**first_insn));
	ir->blocks = calloc(n, sizeof(*ir->blocks));
	if (!leader || !work || !*first_insn || !ir->blocks)
		goto out;
	mark_leaders(proof, leader);
	cut(ir, leader, work, *first_insn);
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		uint32_t last = (i + 1 < ir->n_blocks ? (*first_insn)[i + 1] : n) - 1;

		link_block(ir, &ir->blocks[i], &proof->insns[last], work, i + 1);
	}
	number_blocks(ir, work + n, work + 2ul * n, work + 3ul * n);
	err = permute(ir, work + n, work + 2ul * n, *first_insn);
	if (!err)
		err = collect_preds(ir);
out:
	free(leader);
	free(work);
	return err;
}

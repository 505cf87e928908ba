/* rewrite.c: see rewrite.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/rewrite.h"

struct writer {
	const struct program *from;
	const struct rewrite_edit *edits;
	uint32_t n_edits;
	uint8_t *code; /* VFM_MAX_PROGRAM_BYTES */
	uint32_t len;
	uint32_t *new_pc; /* [from->len] where the instruction, with what was put in front of it, begins now */
	bool full;
};

void rewrite_text(const struct rewrite_line *line, char *text, size_t room)
{
	const struct vfm_op_info *op = &vfm_ops[line->op];

	if (op->operand_bytes)
		snprintf(text, room, line->imm > 0xffff ? "%s 0x%" PRIx64 : "%s %" PRIu64, op->mnemonic, line->imm);
	else
		snprintf(text, room, "%s", op->mnemonic);
}

static void put_bytes(struct writer *w, const void *bytes, uint32_t n)
{
	if (w->len + n > VFM_MAX_PROGRAM_BYTES) {
		w->full = true;
		return;
	}
	memcpy(w->code + w->len, bytes, n);
	w->len += n;
}

static void put_line(struct writer *w, uint8_t op, uint64_t imm)
{
	uint8_t insn[1 + sizeof(imm)] = {op};
	uint32_t operand = vfm_ops[op].operand_bytes;

	for (uint32_t i = 0; i < operand; i++)
		insn[1 + i] = (uint8_t)(imm >> 8 * i);
	put_bytes(w, insn, 1 + operand);
}

/* The access goes; the stack looks as if it had found nothing. */
static void put_nothing(struct writer *w, uint8_t op)
{
	for (uint32_t i = 0; i < vfm_ops[op].pops; i++)
		put_line(w, VFM_OP_POP, 0);
	for (uint32_t i = 0; i < vfm_ops[op].pushes; i++)
		put_line(w, VFM_OP_PUSH, 0);
}

/* The form with a table's number. */
static uint8_t numbered(uint8_t op)
{
	switch (op) {
	case VFM_OP_FLOW_LOAD:
		return VFM_OP_FLOW_LOAD_T;
	case VFM_OP_FLOW_STORE:
		return VFM_OP_FLOW_STORE_T;
	case VFM_OP_FLOW_ADD:
		return VFM_OP_FLOW_ADD_T;
	case VFM_OP_FLOW_DEL:
		return VFM_OP_FLOW_DEL_T;
	default:
		return op;
	}
}

static void put_edited(struct writer *w, const struct rewrite_edit *e, const struct vfm_insn *insn)
{
	for (uint32_t i = 0; i < e->n; i++)
		put_line(w, e->lines[i].op, e->lines[i].imm);
	if (e->take_out)
		put_nothing(w, insn->op);
	else if (e->table >= 0)
		put_line(w, numbered(insn->op), (uint64_t)e->table);
	else
		put_bytes(w, w->from->code + insn->pc, insn->next - insn->pc);
}

/* A table that stands in for a declared one is declared in the same way, once. */
static void declare(struct writer *w)
{
	bool done[256] = {false};

	for (uint32_t i = 0; i < w->n_edits; i++) {
		const struct program *p = w->from;
		struct vfm_insn insn;
		const struct program_table *like;
		int table = w->edits[i].table;

		if (table < 0 || done[table] || vfm_decode(p->code, p->len, w->edits[i].pc, &insn))
			continue;
		like = &p->tables[p->table_index[insn.table]];
		done[table] = true;
		if (!like->declared || p->table_index[table] >= 0)
			continue;
		put_bytes(w, (uint8_t[]){VFM_OP_TABLE, (uint8_t)table}, 2);
		put_bytes(w, &like->entries, sizeof(like->entries)); /* little-endian like the machine that this is built for */
		put_bytes(w, &like->idle_s, sizeof(like->idle_s));
	}
}

/* Jumps go where what they meant begins now, which is in front of what was put in. */
static void mend_jumps(struct writer *w)
{
	const struct vfm_proof *proof = &w->from->proof;

	for (uint32_t i = 0; i < proof->n; i++) {
		const struct vfm_insn *insn = &proof->insns[i];
		uint32_t at = w->new_pc[insn->pc];
		int64_t distance;

		if (!(vfm_ops[insn->op].flags & VFM_F_JUMP))
			continue;
		distance = (int64_t)w->new_pc[insn->target] - (at + 3);
		if (distance < INT16_MIN || distance > INT16_MAX)
			w->full = true;
		w->code[at + 1] = (uint8_t)((uint64_t)distance & 0xff);
		w->code[at + 2] = (uint8_t)((uint64_t)distance >> 8);
	}
}

static void write_all(struct writer *w)
{
	const struct vfm_proof *proof = &w->from->proof;
	uint32_t e = 0;

	declare(w);
	for (uint32_t i = 0; i < proof->n && !w->full; i++) {
		const struct vfm_insn *insn = &proof->insns[i];

		w->new_pc[insn->pc] = w->len;
		while (e < w->n_edits && w->edits[e].pc < insn->pc)
			e++;
		if (e < w->n_edits && w->edits[e].pc == insn->pc)
			put_edited(w, &w->edits[e], insn);
		else
			put_bytes(w, w->from->code + insn->pc, insn->next - insn->pc);
	}
	if (!w->full)
		mend_jumps(w);
}

struct program *rewrite_program(const struct program *p, const struct rewrite_edit *edits, uint32_t n)
{
	struct writer w = {.from = p, .edits = edits, .n_edits = n};
	struct program *changed = NULL;
	struct vfm_reject reject;

	w.code = malloc(VFM_MAX_PROGRAM_BYTES);
	w.new_pc = calloc(p->len, sizeof(*w.new_pc));
	if (w.code && w.new_pc)
		write_all(&w);
	if (w.code && w.new_pc && !w.full)
		changed = program_new(w.code, w.len, 0, &reject);
	free(w.code);
	free(w.new_pc);
	return changed;
}

/* ir_build.c: SSA values from the operand stack: the second half of ir_build().
 *
 * The stack at any point is a shared list of cells, top first: a push adds a cell, a pop forgets one, and paths that did not touch
 * the deeper part share it. Blocks are run in reverse post-order:
 *   - a block with one predecessor starts with that one's list;
 *   - at a join the lists are compared from the top until they meet in a shared cell; where they bring different values, the block
 *     gets a parameter;
 *   - at a header some predecessors are still to come: it starts with a lazy list. Reading slot k of it makes the parameter
 *     for slot k, whose arguments are filled in when all blocks have run. Slots nobody reads cost nothing.
 * Then ir_simplify() removes parameters that are only another value, unused ones are dropped, and the rest is numbered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/ir_parts.h"

/* A list is a cell's index, or EMPTY, or LAZY + header * LAZY_SPAN + slot: from that slot of that header's entry on. */
#define EMPTY     UINT32_MAX
#define LAZY      (1u << 31)
#define LAZY_SPAN (VFM_STACK_SLOTS + 1u)

struct cell {
	uint32_t value;
	uint32_t next;
};

struct builder {
	struct ir *ir;
	struct ir_draft draft;
	struct cell *cells;
	uint32_t n_cells, room_cells;
	uint32_t *out;         /* [block] list at its end */
	uint32_t *first_insn;  /* [block] index in the proof */
	uint32_t *lazy_index;  /* [block] of a header: where its slots begin in lazy_params */
	uint32_t *header_of;   /* header number -> block */
	uint32_t *header_no;   /* [block] header number */
	uint32_t *lazy_params; /* parameter's value for each readable slot of each header, or IR_NONE */
	bool failed;           /* out of memory; sticky */
};

/* Makes room for `more` more elements in a growing array. */
static void *grow(struct builder *b, void *array, uint32_t n, uint32_t more, uint32_t *room, size_t size)
{
	uint64_t want = n + (uint64_t)more;
	void *bigger;

	if (want <= *room)
		return array;
	want = want * 2 < 256 ? 256 : want * 2;
	bigger = want < LAZY ? realloc(array, want * size) : NULL;
	if (!bigger) {
		b->failed = true;
		return array;
	}
	*room = (uint32_t)want;
	return bigger;
}

static uint32_t new_value(struct builder *b, uint32_t block, struct ir_value v)
{
	struct ir_draft *d = &b->draft;
	uint32_t room = d->room_values;

	d->values = grow(b, d->values, d->n_values, 1, &d->room_values, sizeof(*d->values));
	d->block = grow(b, d->block, d->n_values, 1, &room, sizeof(*d->block));
	if (b->failed)
		return 0;
	d->block[d->n_values] = block;
	d->values[d->n_values] = v;
	return d->n_values++;
}

/* A parameter whose arguments are not known yet. */
static uint32_t new_param(struct builder *b, uint32_t block, uint32_t slot)
{
	struct ir_draft *d = &b->draft;
	const struct ir_block *blk = &b->ir->blocks[block];
	struct ir_value v = {.op = IR_PARAM, .pc = blk->pc, .a = d->n_params, .b = IR_NONE, .imm = slot};
	uint32_t id = new_value(b, block, v);

	d->params = grow(b, d->params, d->n_params, 1, &d->room_params, sizeof(*d->params));
	d->args = grow(b, d->args, d->n_args, blk->n_preds, &d->room_args, sizeof(*d->args));
	if (b->failed)
		return 0;
	d->params[d->n_params++] = (struct ir_draft_param){id, block, slot, d->n_args};
	d->n_args += blk->n_preds;
	return id;
}

static uint32_t push(struct builder *b, uint32_t list, uint32_t value)
{
	b->cells = grow(b, b->cells, b->n_cells, 1, &b->room_cells, sizeof(*b->cells));
	if (b->failed)
		return EMPTY;
	b->cells[b->n_cells] = (struct cell){value, list};
	return b->n_cells++;
}

static bool is_lazy(uint32_t list)
{
	return list >= LAZY && list != EMPTY;
}

/* The list without its n top slots. */
static uint32_t drop(const struct builder *b, uint32_t list, uint32_t n)
{
	while (n && !is_lazy(list)) {
		list = b->cells[list].next;
		n--;
	}
	return list + n;
}

/* The value on top. Of a lazy list that makes the header's parameter. */
static uint32_t top(struct builder *b, uint32_t list)
{
	uint32_t header, slot, *param;

	if (!is_lazy(list))
		return b->cells[list].value;
	header = b->header_of[(list - LAZY) / LAZY_SPAN];
	slot = (list - LAZY) % LAZY_SPAN;
	param = &b->lazy_params[b->lazy_index[header] + slot];
	if (*param == IR_NONE)
		*param = new_param(b, header, slot);
	return *param;
}

/* One slot of a join: every predecessor's list brings its top. Returns the value, or a parameter for the values. */
static uint32_t join_slot(struct builder *b, uint32_t block, uint32_t slot, const uint32_t *lists)
{
	uint32_t n = b->ir->blocks[block].n_preds;
	uint32_t first = top(b, lists[0]), param;
	bool same = true;

	for (uint32_t j = 1; j < n && same; j++)
		same = top(b, lists[j]) == first;
	if (same || b->failed)
		return first;
	param = new_param(b, block, slot);
	for (uint32_t j = 0; j < n && !b->failed; j++) {
		uint32_t arg = top(b, lists[j]); /* may make a parameter: then draft.args moves */

		b->draft.args[b->draft.params[b->draft.values[param].a].args + j] = arg;
	}
	return param;
}

static bool all_equal(const uint32_t *lists, uint32_t n)
{
	for (uint32_t j = 1; j < n; j++)
		if (lists[j] != lists[0])
			return false;
	return true;
}

/* List at the entry of a block all of whose predecessors have run; depth slots exist. */
static uint32_t join(struct builder *b, uint32_t block, uint32_t depth)
{
	const struct ir_block *blk = &b->ir->blocks[block];
	uint32_t *lists = malloc(blk->n_preds * sizeof(*lists));
	uint32_t head = EMPTY, last = EMPTY;

	if (!lists) {
		b->failed = true;
		return EMPTY;
	}
	for (uint32_t j = 0; j < blk->n_preds; j++)
		lists[j] = b->out[b->ir->preds[blk->preds + j].block];
	for (uint32_t slot = 0; slot <= depth && !b->failed; slot++) {
		bool shared = all_equal(lists, blk->n_preds);
		uint32_t rest = shared ? lists[0] : slot == depth ? EMPTY : push(b, EMPTY, join_slot(b, block, slot, lists));

		if (last == EMPTY)
			head = rest;
		else
			b->cells[last].next = rest;
		if (shared || slot == depth)
			break;
		last = rest;
		for (uint32_t j = 0; j < blk->n_preds; j++)
			lists[j] = drop(b, lists[j], 1);
	}
	free(lists);
	return head;
}

static uint32_t entry_list(struct builder *b, uint32_t block)
{
	const struct ir_block *blk = &b->ir->blocks[block];

	if (blk->header)
		return LAZY + b->header_no[block] * LAZY_SPAN;
	if (blk->n_preds == 0)
		return EMPTY;
	return join(b, block, b->ir->program->proof.depth_lo[b->first_insn[block]]);
}

/* The instructions that only move stack slots. Returns false for all others. */
static bool shuffle(struct builder *b, const struct vfm_insn *insn, uint32_t *list)
{
	uint32_t v0, v1, v2;

	switch (insn->op) {
	case VFM_OP_POP:
		*list = drop(b, *list, 1);
		return true;
	case VFM_OP_DUP:
		*list = push(b, *list, top(b, *list));
		return true;
	case VFM_OP_OVER:
		*list = push(b, *list, top(b, drop(b, *list, 1)));
		return true;
	case VFM_OP_PICK:
		*list = push(b, *list, top(b, drop(b, *list, (uint32_t)insn->imm)));
		return true;
	case VFM_OP_SWAP:
		v0 = top(b, *list);
		v1 = top(b, drop(b, *list, 1));
		*list = push(b, push(b, drop(b, *list, 2), v0), v1);
		return true;
	case VFM_OP_ROT:
		v0 = top(b, *list);
		v1 = top(b, drop(b, *list, 1));
		v2 = top(b, drop(b, *list, 2));
		*list = push(b, push(b, push(b, drop(b, *list, 3), v1), v0), v2);
		return true;
	default:
		return insn->op == VFM_OP_TABLE;
	}
}

static const uint8_t op_of[256] = {
	[VFM_OP_LD8] = IR_LD8,
	[VFM_OP_LD16] = IR_LD16,
	[VFM_OP_LD32] = IR_LD32,
	[VFM_OP_LD64] = IR_LD64,
	[VFM_OP_PUSH] = IR_CONST,
	[VFM_OP_ADD] = IR_ADD,
	[VFM_OP_SUB] = IR_SUB,
	[VFM_OP_MUL] = IR_MUL,
	[VFM_OP_DIV] = IR_DIV,
	[VFM_OP_AND] = IR_AND,
	[VFM_OP_OR] = IR_OR,
	[VFM_OP_XOR] = IR_XOR,
	[VFM_OP_SHL] = IR_SHL,
	[VFM_OP_SHR] = IR_SHR,
	[VFM_OP_HASH5] = IR_HASH5,
	[VFM_OP_FLOW_LOAD] = IR_FLOW_LOAD,
	[VFM_OP_FLOW_STORE] = IR_FLOW_STORE,
	[VFM_OP_NOT] = IR_NOT,
	[VFM_OP_NEG] = IR_NEG,
	[VFM_OP_MOD] = IR_MOD,
	[VFM_OP_HASH5S] = IR_HASH5S,
	[VFM_OP_PKTLEN] = IR_PKTLEN,
	[VFM_OP_NOW] = IR_NOW,
	[VFM_OP_LDX8] = IR_LDX8,
	[VFM_OP_LDX16] = IR_LDX16,
	[VFM_OP_LDX32] = IR_LDX32,
	[VFM_OP_LDX64] = IR_LDX64,
	[VFM_OP_FLOW_ADD] = IR_FLOW_ADD,
	[VFM_OP_FLOW_DEL] = IR_FLOW_DEL,
	[VFM_OP_HDR] = IR_HDR,
	[VFM_OP_MIX] = IR_MIX,
	[VFM_OP_INPUT] = IR_INPUT,
	[VFM_OP_FLOW_LOAD_T] = IR_FLOW_LOAD,
	[VFM_OP_FLOW_STORE_T] = IR_FLOW_STORE,
	[VFM_OP_FLOW_ADD_T] = IR_FLOW_ADD,
	[VFM_OP_FLOW_DEL_T] = IR_FLOW_DEL,
};

/* An instruction that computes or does something: one value. Jumps and RET: operands of the block's terminator. */
static void compute(struct builder *b, uint32_t block, const struct vfm_insn *insn, uint32_t *list)
{
	uint16_t flags = vfm_ops[insn->op].flags;
	struct ir_value v = {.op = op_of[insn->op], .table = insn->table, .pc = insn->pc, .a = IR_NONE, .b = IR_NONE};

	if (vfm_ops[insn->op].pops == 2) {
		v.b = top(b, *list);
		v.a = top(b, drop(b, *list, 1));
	} else if (vfm_ops[insn->op].pops == 1) {
		v.a = top(b, *list);
	}
	*list = drop(b, *list, vfm_ops[insn->op].pops);
	if (flags & (VFM_F_JUMP | VFM_F_END)) {
		b->ir->blocks[block].a = v.a;
		b->ir->blocks[block].b = v.b;
		return;
	}
	if (ir_ops[v.op].flags & IR_F_IMM)
		v.imm = insn->imm;
	if (ir_ops[v.op].flags & IR_F_RESULT)
		*list = push(b, *list, new_value(b, block, v));
	else
		new_value(b, block, v);
}

static void run_block(struct builder *b, uint32_t block)
{
	const struct vfm_proof *proof = &b->ir->program->proof;
	uint32_t end = b->ir->blocks[block].end;
	uint32_t list = entry_list(b, block);

	for (uint32_t i = b->first_insn[block]; i < proof->n && proof->insns[i].pc < end && !b->failed; i++)
		if (!shuffle(b, &proof->insns[i], &list))
			compute(b, block, &proof->insns[i], &list);
	b->out[block] = list;
}

/* Arguments of the headers' parameters; filling one may make more of them, at the end of the list. */
static void fill_header_args(struct builder *b)
{
	for (uint32_t i = 0; i < b->draft.n_params && !b->failed; i++) {
		struct ir_draft_param p = b->draft.params[i];
		const struct ir_block *blk = &b->ir->blocks[p.block];

		for (uint32_t j = 0; j < blk->n_preds && blk->header && !b->failed; j++) {
			uint32_t list = b->out[b->ir->preds[blk->preds + j].block];
			uint32_t arg = top(b, drop(b, list, p.slot));

			b->draft.args[p.args + j] = arg;
		}
	}
}

/* Every header's lazy slots, none read yet. */
static int prepare_headers(struct builder *b)
{
	const struct ir *ir = b->ir;
	uint32_t headers = 0, slots = 0;

	b->lazy_index = malloc(ir->n_blocks * sizeof(uint32_t));
	b->header_of = malloc(ir->n_blocks * sizeof(uint32_t));
	b->header_no = malloc(ir->n_blocks * sizeof(uint32_t));
	if (!b->lazy_index || !b->header_of || !b->header_no)
		return -1;
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		if (!ir->blocks[i].header)
			continue;
		b->lazy_index[i] = slots;
		b->header_no[i] = headers;
		b->header_of[headers++] = i;
		slots += ir->program->proof.depth_lo[b->first_insn[i]];
	}
	b->lazy_params = malloc((slots + 1) * sizeof(uint32_t));
	if (!b->lazy_params)
		return -1;
	memset(b->lazy_params, 0xff, (slots + 1) * sizeof(uint32_t));
	return 0;
}

/* Marks what v stands for as used; a parameter is put on the worklist. Returns the new length of the list. */
static uint32_t use(const struct ir_draft *d, const uint32_t *replaced, uint8_t *used, uint32_t v, uint32_t *work, uint32_t n)
{
	if (v == IR_NONE || used[replaced[v]])
		return n;
	v = replaced[v];
	used[v] = 1;
	if (d->values[v].op == IR_PARAM)
		work[n++] = d->values[v].a;
	return n;
}

/* Marks parameters that some instruction, terminator or marked parameter uses; all other values are kept anyway. */
static int mark_used(const struct builder *b, const uint32_t *replaced, uint8_t *used)
{
	const struct ir_draft *d = &b->draft;
	uint32_t *work = malloc((d->n_params + 1) * sizeof(*work)), n = 0;

	if (!work)
		return -1;
	for (uint32_t i = 0; i < d->n_values; i++) {
		if (d->values[i].op == IR_PARAM)
			continue;
		n = use(d, replaced, used, d->values[i].a, work, n);
		n = use(d, replaced, used, d->values[i].b, work, n);
	}
	for (uint32_t i = 0; i < b->ir->n_blocks; i++) {
		n = use(d, replaced, used, b->ir->blocks[i].a, work, n);
		n = use(d, replaced, used, b->ir->blocks[i].b, work, n);
	}
	while (n) {
		const struct ir_draft_param *p = &d->params[work[--n]];

		for (uint32_t j = 0; j < b->ir->blocks[p->block].n_preds; j++)
			n = use(d, replaced, used, d->args[p->args + j], work, n);
	}
	free(work);
	return 0;
}

static bool is_kept(const struct ir_draft *d, const uint8_t *used, uint32_t v)
{
	return d->values[v].op != IR_PARAM || used[v];
}

/* Parameters of one block are made in any order: sorts all of them by slot, counting. sorted has room for n_params. */
static void sort_by_slot(const struct ir_draft *d, uint32_t *sorted)
{
	uint32_t place[VFM_STACK_SLOTS + 1] = {0};

	for (uint32_t i = 0; i < d->n_params; i++)
		place[d->params[i].slot + 1]++;
	for (uint32_t s = 1; s <= VFM_STACK_SLOTS; s++)
		place[s] += place[s - 1];
	for (uint32_t i = 0; i < d->n_params; i++)
		sorted[place[d->params[i].slot]++] = i;
}

/* Gives every kept value its number: by block, parameters by slot, then the rest in program order. id has room for n_values. */
static int number_values(struct builder *b, const uint8_t *used, uint32_t *id)
{
	struct ir *ir = b->ir;
	const struct ir_draft *d = &b->draft;
	uint32_t *sorted = malloc((d->n_params + 1) * sizeof(*sorted));

	if (!sorted)
		return -1;
	sort_by_slot(d, sorted);
	for (uint32_t i = 0; i < d->n_values; i++)
		ir->blocks[d->block[i]].n_values += is_kept(d, used, i);
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		ir->blocks[i].first = ir->n_values;
		ir->n_values += ir->blocks[i].n_values;
		ir->blocks[i].n_values = 0;
	}
	for (uint32_t i = 0; i < d->n_params; i++) {
		struct ir_block *blk = &ir->blocks[d->params[sorted[i]].block];
		uint32_t v = d->params[sorted[i]].value;

		if (used[v]) {
			id[v] = blk->first + blk->n_values++;
			blk->n_params++;
		}
	}
	for (uint32_t i = 0; i < d->n_values; i++) {
		struct ir_block *blk = &ir->blocks[d->block[i]];

		if (d->values[i].op != IR_PARAM)
			id[i] = blk->first + blk->n_values++;
	}
	free(sorted);
	return 0;
}

/* Lays out the edges' argument lists. */
static int place_args(struct ir *ir)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < ir->n_blocks; i++)
		for (unsigned k = 0; k < ir->blocks[i].n_succs; k++) {
			ir->blocks[i].succ[k].args = (uint32_t)n;
			n += ir->blocks[ir->blocks[i].succ[k].block].n_params;
		}
	if (n >= UINT32_MAX)
		return -1;
	ir->n_args = (uint32_t)n;
	ir->args = malloc((n + 1) * sizeof(*ir->args));
	return ir->args ? 0 : -1;
}

static uint32_t final_id(const uint32_t *replaced, const uint32_t *id, uint32_t v)
{
	return v == IR_NONE ? IR_NONE : id[replaced[v]];
}

/* Writes the numbered form. */
static int emit(struct builder *b, const uint32_t *replaced, const uint8_t *used, const uint32_t *id)
{
	struct ir *ir = b->ir;
	const struct ir_draft *d = &b->draft;

	ir->values = malloc((ir->n_values + 1) * sizeof(*ir->values));
	if (!ir->values || place_args(ir))
		return -1;
	for (uint32_t i = 0; i < d->n_values; i++) {
		struct ir_value v = d->values[i];

		if (!is_kept(d, used, i))
			continue;
		if (v.op == IR_PARAM)
			v.a = IR_NONE;
		v.a = final_id(replaced, id, v.a);
		v.b = final_id(replaced, id, v.b);
		ir->values[id[i]] = v;
	}
	for (uint32_t i = 0; i < d->n_params; i++) {
		const struct ir_draft_param *p = &d->params[i];
		const struct ir_block *blk = &ir->blocks[p->block];

		for (uint32_t j = 0; used[p->value] && j < blk->n_preds; j++) {
			const struct ir_pred *pred = &ir->preds[blk->preds + j];
			uint32_t base = ir->blocks[pred->block].succ[pred->succ].args;

			ir->args[base + id[p->value] - blk->first] = final_id(replaced, id, d->args[p->args + j]);
		}
	}
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		ir->blocks[i].a = final_id(replaced, id, ir->blocks[i].a);
		ir->blocks[i].b = final_id(replaced, id, ir->blocks[i].b);
	}
	return 0;
}

static int finish(struct builder *b)
{
	uint32_t n = b->draft.n_values;
	uint32_t *replaced = malloc((n + 1ul) * sizeof(*replaced));
	uint32_t *id = malloc((n + 1ul) * sizeof(*id));
	uint8_t *used = calloc(n + 1ul, 1);
	int err = replaced && id && used ? 0 : -1;

	if (!err)
		err = ir_simplify(b->ir, &b->draft, replaced);
	if (!err)
		err = mark_used(b, replaced, used);
	if (!err)
		err = number_values(b, used, id);
	if (!err)
		err = emit(b, replaced, used, id);
	free(replaced);
	free(id);
	free(used);
	return err;
}

static int build_values(struct builder *b)
{
	b->out = malloc(b->ir->n_blocks * sizeof(*b->out));
	if (!b->out || prepare_headers(b))
		return -1;
	for (uint32_t i = 0; i < b->ir->n_blocks && !b->failed; i++)
		run_block(b, i);
	fill_header_args(b);
	return b->failed ? -1 : finish(b);
}

struct ir *ir_build(const struct program *p)
{
	struct ir *ir = calloc(1, sizeof(*ir));
	struct builder b = {.ir = ir};
	int err = -1;

	if (ir) {
		ir->program = p;
		err = ir_cfg(ir, &b.first_insn);
		if (!err)
			err = build_values(&b);
	}
	free(b.draft.values);
	free(b.draft.block);
	free(b.draft.params);
	free(b.draft.args);
	free(b.cells);
	free(b.out);
	free(b.first_insn);
	free(b.lazy_index);
	free(b.header_of);
	free(b.header_no);
	free(b.lazy_params);
	if (err) {
		ir_free(ir);
		errno = ENOMEM;
		return NULL;
	}
	return ir;
}

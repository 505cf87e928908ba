/* gen.c: the intermediate form to a target's operations.
 *
 * Code has up to two bodies of the same program. The entry compares the packet's length once with the end of the furthest load: long enough, and
 * the first body runs, whose loads at constant offsets check nothing and whose tests are joined into lists (opt_tests.c); else the
 * second, where each load is checked and each test is a branch. Both are exact. Values that may fault are computed in program order, so
 * the first fault is the bytecode's.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "jit/parts.h"
#include "vm/ir_fact.h"
#include "vm/packet.h"
#include "vm/vfm.h"

struct stub {
	uint32_t label;
	uint32_t block;
	unsigned succ;
};

struct gen {
	const struct ir *ir;
	const uint8_t *needed;
	const struct jit_target *t;
	struct jit_buf *b;
	struct jit_places places;
	bool calls;
	struct jit_loop *loop; /* NULL: the body runs one packet */
	uint32_t loop_end;     /* label of the code between two packets, JIT_NO_LABEL: not written yet */
	/* The body. */
	bool checked;
	struct jit_tests *tests; /* NULL: no lists */
	uint32_t items_at_once;
	uint32_t *joined; /* [block] the next whose values are computed where this one's are, IR_NONE: none */
	bool count_insns, count_updates;
	uint32_t insn_limit;
	uint32_t *labels;  /* [block] of this body */
	uint32_t fault[3]; /* labels: BOUNDS, DIVISION_BY_ZERO, LIMIT; JIT_NO_LABEL: not used yet */
	uint32_t next;     /* the block whose code comes next, IR_NONE: none */
	uint32_t known;    /* the packet is at least this long here */
	struct stub *stubs;
	uint32_t n_stubs;
	uint8_t *probes; /* [value] PROBE_* */
	struct jit_moves moves;
};

enum { FAULT_BOUNDS, FAULT_DIVISION, FAULT_LIMIT };
static const int fault_errors[] = {VFM_ERROR_BOUNDS, VFM_ERROR_DIVISION_BY_ZERO, VFM_ERROR_LIMIT};

static uint32_t fault_label(struct gen *g, int fault)
{
	if (g->fault[fault] == JIT_NO_LABEL)
		g->fault[fault] = jit_label(g->b);
	return g->fault[fault];
}

/* ---- values in registers ---- */

static bool is_const(const struct gen *g, uint32_t v)
{
	return g->ir->values[v].op == IR_CONST;
}

/* A register that holds v: its own, or scratch. */
static uint8_t get(struct gen *g, uint32_t v, uint8_t scratch)
{
	const struct jit_place *p = &g->places.at[v];

	if (is_const(g, v))
		g->t->set(g->b, scratch, g->ir->values[v].imm);
	else if (p->reg == JIT_NO_REG)
		g->t->load_slot(g->b, scratch, p->slot);
	else
		return p->reg;
	return scratch;
}

/* Where the result of v is to be computed; put() then stores it if need be. */
static uint8_t result_reg(const struct gen *g, uint32_t v)
{
	uint8_t reg = g->places.at[v].reg;

	return reg == JIT_NO_REG ? g->t->scratch[0] : reg;
}

static void put(struct gen *g, uint32_t v, uint8_t reg)
{
	const struct jit_place *p = &g->places.at[v];

	if (p->reg != JIT_NO_REG && p->reg != reg)
		g->t->move(g->b, p->reg, reg);
	else if (p->reg == JIT_NO_REG && p->slot != JIT_NO_SLOT)
		g->t->store_slot(g->b, p->slot, reg);
}

/* Arguments of an edge to the parameters of its target. */
static void pass_args(struct gen *g, const struct ir_succ *s)
{
	const struct ir_block *to = &g->ir->blocks[s->block];

	for (uint32_t i = 0; i < to->n_params; i++) {
		uint32_t arg = g->ir->args[s->args + i];

		if (g->needed[to->first + i] && !is_const(g, arg))
			jit_moves_add(&g->moves, jit_place_number(&g->places.at[to->first + i]),
				      jit_place_number(&g->places.at[arg]));
	}
	jit_moves_do(&g->moves, g->t, g->b, g->t->scratch[1]);
	for (uint32_t i = 0; i < to->n_params; i++) {
		uint32_t arg = g->ir->args[s->args + i], param = to->first + i;
		uint8_t reg = result_reg(g, param);

		if (!g->needed[param] || !is_const(g, arg))
			continue;
		g->t->set(g->b, reg, g->ir->values[arg].imm);
		put(g, param, reg);
	}
}

/* ---- calls ---- */

/* Puts up to two values into argument registers. */
static void pass_operands(struct gen *g, uint32_t a, uint8_t a_reg, uint32_t b, uint8_t b_reg)
{
	if (a != IR_NONE && !is_const(g, a))
		jit_moves_add(&g->moves, a_reg, jit_place_number(&g->places.at[a]));
	if (b != IR_NONE && !is_const(g, b))
		jit_moves_add(&g->moves, b_reg, jit_place_number(&g->places.at[b]));
	jit_moves_do(&g->moves, g->t, g->b, g->t->scratch[0]);
	if (a != IR_NONE && is_const(g, a))
		g->t->set(g->b, a_reg, g->ir->values[a].imm);
	if (b != IR_NONE && is_const(g, b))
		g->t->set(g->b, b_reg, g->ir->values[b].imm);
}

/* Does a store to a key that this loads follow, or did a load of the key that this stores to precede, on some path? A wrong yes costs
 * some instructions. */
enum { PROBE_ALONE, PROBE_KEEPS, PROBE_IS_KEPT };

/* PROBE_* of each table instruction; heap, NULL: out of memory. */
static uint8_t *find_pairs(const struct ir *ir)
{
	uint8_t *probes = calloc(ir->n_values + 1ul, 1);
	uint32_t *load_of = calloc(ir->n_values + 1ul, sizeof(*load_of)); /* [key] the last load, and 1 */

	for (uint32_t id = 0; id < ir->n_values && probes && load_of; id++) {
		const struct ir_value *v = &ir->values[id];
		uint32_t load;

		if (v->op == IR_FLOW_LOAD)
			load_of[v->a] = id + 1;
		if (v->op != IR_FLOW_STORE && v->op != IR_FLOW_ADD)
			continue;
		load = load_of[v->a];
		if (!load || ir->values[load - 1].table != v->table)
			continue;
		probes[load - 1] = PROBE_KEEPS;
		probes[id] = PROBE_IS_KEPT;
	}
	if (!load_of) {
		free(probes);
		probes = NULL;
	}
	free(load_of);
	return probes;
}

static const void *table_function(uint8_t op, uint8_t probe)
{
	switch (op) {
	case IR_FLOW_LOAD:
		return probe == PROBE_KEEPS ? (const void *)jit_table_load_keep : (const void *)jit_table_load;
	case IR_FLOW_STORE:
		return probe == PROBE_IS_KEPT ? (const void *)jit_table_store_kept : (const void *)jit_table_store;
	case IR_FLOW_ADD:
		return probe == PROBE_IS_KEPT ? (const void *)jit_table_add_kept : (const void *)jit_table_add;
	default:
		return (const void *)jit_table_delete;
	}
}

static void access_table(struct gen *g, uint32_t id, const struct ir_value *v)
{
	const struct jit_target *t = g->t;

	if (g->count_updates && (ir_ops[v->op].flags & IR_F_UPDATE))
		t->count(g->b, g->calls, offsetof(struct jit_env, updates), 1, VFM_MAX_UPDATES, fault_label(g, FAULT_LIMIT));
	pass_operands(g, v->a, t->args[2], v->b, t->args[3]);
	t->env(g->b, g->calls, t->args[0]);
	t->set(g->b, t->args[1], (uint32_t)g->ir->program->table_index[v->table]);
	t->call(g->b, table_function(v->op, g->probes[id]));
}

static void hash(struct gen *g, const struct ir_value *v)
{
	const struct jit_target *t = g->t;

	if (v->op == IR_MIX) {
		pass_operands(g, v->a, t->args[0], v->b, t->args[1]);
		t->load_shard(g->b, g->calls, t->args[2], offsetof(struct shard, seed));
		t->call(g->b, (const void *)vfm_mix);
		return;
	}
	t->env(g->b, g->calls, t->args[0]);
	t->data(g->b, g->calls, t->args[1]);
	t->length(g->b, g->calls, t->args[2]);
	if (v->op == IR_HDR)
		t->set(g->b, t->args[3], v->imm);
	t->call(g->b, v->op == IR_HDR     ? (const void *)jit_hdr
		      : v->op == IR_HASH5 ? (const void *)jit_hash5
					  : (const void *)jit_hash5s);
}

/* ---- computations ---- */

static enum jit_alu alu_of(uint8_t op)
{
	switch (op) {
	case IR_ADD:
		return ALU_ADD;
	case IR_SUB:
		return ALU_SUB;
	case IR_MUL:
		return ALU_MUL;
	case IR_AND:
		return ALU_AND;
	case IR_OR:
		return ALU_OR;
	case IR_XOR:
		return ALU_XOR;
	case IR_SHL:
		return ALU_SHL;
	default:
		return ALU_SHR;
	}
}

static bool commutes(uint8_t op)
{
	return op == IR_ADD || op == IR_MUL || op == IR_AND || op == IR_OR || op == IR_XOR;
}

static void arithmetic(struct gen *g, uint32_t id, const struct ir_value *v)
{
	const struct jit_target *t = g->t;
	uint8_t d = result_reg(g, id), a;

	if (is_const(g, v->b)) {
		t->alu_imm(g->b, alu_of(v->op), d, get(g, v->a, t->scratch[0]), g->ir->values[v->b].imm);
	} else if (commutes(v->op) && is_const(g, v->a)) {
		t->alu_imm(g->b, alu_of(v->op), d, get(g, v->b, t->scratch[0]), g->ir->values[v->a].imm);
	} else {
		a = get(g, v->a, t->scratch[0]);
		t->alu(g->b, alu_of(v->op), d, a, get(g, v->b, t->scratch[1]));
	}
	put(g, id, d);
}

static void division(struct gen *g, uint32_t id, const struct ir_value *v)
{
	const struct jit_target *t = g->t;
	uint8_t d = result_reg(g, id), a, b = get(g, v->b, t->scratch[1]);

	if (g->ir->facts.operand[id].lo == 0)
		t->branch_imm(g->b, VFM_OP_JEQ, b, 0, fault_label(g, FAULT_DIVISION));
	a = get(g, v->a, t->scratch[0]);
	t->divide(g->b, v->op == IR_MOD, d, a, b);
	put(g, id, d);
}

static void load(struct gen *g, uint32_t id, const struct ir_value *v)
{
	uint8_t bytes = ir_ops[v->op].bytes, d = result_reg(g, id);
	uint32_t end = (uint32_t)v->imm + bytes;

	if (g->checked && end > g->known)
		g->t->branch_short(g->b, g->calls, end, fault_label(g, FAULT_BOUNDS));
	if (end > g->known)
		g->known = end;
	g->t->load(g->b, g->calls, d, bytes, (uint32_t)v->imm);
	put(g, id, d);
}

static void load_indexed(struct gen *g, uint32_t id, const struct ir_value *v)
{
	const struct jit_target *t = g->t;
	const struct ir_fact *offset = &g->ir->facts.operand[id];
	uint8_t bytes = ir_ops[v->op].bytes, d = result_reg(g, id), index = get(g, v->a, t->scratch[0]);

	if (fact_never(offset) || offset->hi > g->known || g->known - offset->hi < bytes) {
		/* len - offset, without wrap, must be at least the size. */
		t->length(g->b, g->calls, t->scratch[1]);
		t->branch(g->b, VFM_OP_JLT, t->scratch[1], index, fault_label(g, FAULT_BOUNDS));
		t->alu(g->b, ALU_SUB, t->scratch[1], t->scratch[1], index);
		t->branch_imm(g->b, VFM_OP_JLT, t->scratch[1], bytes, fault_label(g, FAULT_BOUNDS));
	}
	t->load_indexed(g->b, g->calls, d, bytes, index);
	put(g, id, d);
}

static void compute(struct gen *g, uint32_t id)
{
	const struct ir_value *v = &g->ir->values[id];
	const struct jit_target *t = g->t;
	uint8_t d = result_reg(g, id);

	if (jit_is_call(v)) {
		if (ir_ops[v->op].flags & (IR_F_READ | IR_F_UPDATE))
			access_table(g, id, v);
		else
			hash(g, v);
		if (ir_ops[v->op].flags & IR_F_RESULT)
			put(g, id, t->result);
		return;
	}
	switch (v->op) {
	case IR_LD8:
	case IR_LD16:
	case IR_LD32:
	case IR_LD64:
		load(g, id, v);
		return;
	case IR_LDX8:
	case IR_LDX16:
	case IR_LDX32:
	case IR_LDX64:
		load_indexed(g, id, v);
		return;
	case IR_DIV:
	case IR_MOD:
		division(g, id, v);
		return;
	case IR_NOT:
	case IR_NEG:
		t->invert(g->b, v->op == IR_NEG, d, get(g, v->a, t->scratch[0]));
		break;
	case IR_PKTLEN:
		t->length(g->b, g->calls, d);
		break;
	case IR_INPUT:
		t->load_env(g->b, g->calls, d, offsetof(struct jit_env, input));
		break;
	case IR_HANDED:
		/* env->lane is the next packet's by now. */
		t->load_env(g->b, g->calls, d, offsetof(struct jit_env, lane));
		t->load32(g->b, d, d, (uint32_t)v->imm - (uint32_t)sizeof(uint32_t));
		break;
	case IR_NOW:
		t->load_shard(g->b, g->calls, d, offsetof(struct shard, clock_us));
		break;
	default:
		arithmetic(g, id, v);
		return;
	}
	put(g, id, d);
}

/* ---- ends of blocks ---- */

static void check_limit(struct gen *g)
{
	g->t->count(g->b, g->calls, offsetof(struct jit_env, insns), 0, g->insn_limit, fault_label(g, FAULT_LIMIT));
}

static bool is_plain(const struct gen *g, const struct ir_succ *s)
{
	const struct ir_block *to = &g->ir->blocks[s->block];

	if (s->backward_jump && g->count_insns)
		return false;
	for (uint32_t i = 0; i < to->n_params; i++)
		if (g->needed[to->first + i])
			return false;
	return true;
}

static void follow(struct gen *g, const struct ir_succ *s)
{
	if (s->backward_jump && g->count_insns)
		check_limit(g);
	pass_args(g, s);
	if (s->block != g->next)
		g->t->jump(g->b, g->labels[s->block]);
}

/* Where the jump along an edge goes: the block, or a stub that does what the edge needs first. */
static uint32_t edge_label(struct gen *g, uint32_t block, unsigned k)
{
	const struct ir_succ *s = &g->ir->blocks[block].succ[k];

	if (is_plain(g, s))
		return g->labels[s->block];
	g->stubs[g->n_stubs] = (struct stub){jit_label(g->b), block, k};
	return g->stubs[g->n_stubs++].label;
}

static void branch(struct gen *g, uint32_t block)
{
	const struct ir_block *b = &g->ir->blocks[block];
	const struct jit_target *t = g->t;
	/* Jump on the edge that does not lead to the next block. */
	unsigned away = b->succ[0].block == g->next ? 1 : 0;
	uint8_t cond = away ? ir_negated(b->cond) : b->cond;
	uint32_t label = edge_label(g, block, away);

	if (is_const(g, b->b)) {
		t->branch_imm(g->b, cond, get(g, b->a, t->scratch[0]), g->ir->values[b->b].imm, label);
	} else if (is_const(g, b->a)) {
		t->branch_imm(g->b, ir_swapped(cond), get(g, b->b, t->scratch[0]), g->ir->values[b->a].imm, label);
	} else {
		uint8_t a = get(g, b->a, t->scratch[0]);

		t->branch(g->b, cond, a, get(g, b->b, t->scratch[1]), label);
	}
	follow(g, &b->succ[1 - away]);
}

/* The value in scratch[0] is the verdict. */
static void leave(struct gen *g, int error)
{
	if (!g->loop) {
		g->t->epilogue(g->b, g->calls, g->places.saved, g->places.n_slots, error);
		return;
	}
	g->t->set(g->b, g->t->scratch[1], (uint64_t)(int64_t)error);
	if (g->loop_end != JIT_NO_LABEL) {
		g->t->jump(g->b, g->loop_end);
		return;
	}
	g->loop_end = jit_label(g->b);
	jit_place_label(g->b, g->loop_end);
	g->t->end_loop(g->b, g->loop);
}

/* ---- lists of tests ---- */

/* Has the target write the list that begins at the block. */
static void write_list(struct gen *g, uint32_t block, struct jit_decision *d)
{
	d->plan = jit_tests_plan(g->tests, block);
	for (uint32_t w = 0; w < d->plan->list.width; w++)
		if (jit_window_of_value(d->plan->list.at[w]))
			d->place[w] = g->places.at[jit_window_value(d->plan->list.at[w])];
	for (uint32_t i = 0; i <= d->plan->list.n; i++) {
		d->values[i] = g->tests->gists[d->plan->exit[i]].value;
		d->labels[i] = g->labels[d->plan->exit[i]];
	}
	g->t->decide(g->b, d);
}

static void decide(struct gen *g, uint32_t block)
{
	struct jit_decision d = {.items_at_once = g->items_at_once, .calls = g->calls, .next = JIT_NO_LABEL};
	uint32_t heads[JIT_MAX_CHAIN];
	unsigned n = jit_tests_chain(g->tests, block, heads);

	if (g->next < g->ir->n_blocks)
		d.next = g->labels[g->next];
	d.returns = n > 0;
	if (!n)
		write_list(g, block, &d);
	/* The last one first: it is what the one before it comes to where nothing fits. */
	for (unsigned i = n; i-- > 0; d.chained = true)
		write_list(g, heads[i], &d);
	if (n)
		leave(g, VFM_SUCCESS);
}

/* ---- blocks ---- */

static void finish_block(struct gen *g, uint32_t block)
{
	const struct ir_block *b = &g->ir->blocks[block];
	uint8_t takes = g->ir->facts.block[block] & (IR_TAKES_0 | IR_TAKES_1);

	if (g->count_insns)
		g->t->count(g->b, g->calls, offsetof(struct jit_env, insns), b->insns, 0, JIT_NO_LABEL);
	if (b->term == IR_RET) {
		uint8_t reg;

		if (g->count_insns)
			check_limit(g);
		reg = get(g, b->a, g->t->scratch[0]);
		if (reg != g->t->scratch[0])
			g->t->move(g->b, g->t->scratch[0], reg);
		leave(g, VFM_SUCCESS);
	} else if (g->tests && g->tests->gists[block].ends_in_test) {
		decide(g, block);
	} else if (takes == (IR_TAKES_0 | IR_TAKES_1)) {
		branch(g, block);
	} else if (takes) {
		follow(g, &b->succ[takes == IR_TAKES_0 ? 0 : 1]);
	} else {
		g->t->jump(g->b, fault_label(g, FAULT_BOUNDS)); /* never: something before it always faults */
	}
}

static bool is_emitted(const struct gen *g, uint32_t block)
{
	return g->tests ? g->tests->emitted[block] : g->ir->facts.block[block] & IR_REACHED;
}

static void compute_block(struct gen *g, uint32_t block)
{
	const struct ir_block *b = &g->ir->blocks[block];

	for (uint32_t id = b->first + b->n_params; id < b->first + b->n_values; id++)
		if (g->needed[id] && !is_const(g, id))
			compute(g, id);
}

static void emit_block(struct gen *g, uint32_t block)
{
	jit_place_label(g->b, g->labels[block]);
	g->next = block + 1;
	while (g->next < g->ir->n_blocks && !is_emitted(g, g->next))
		g->next++;
	g->known = g->checked ? g->ir->facts.len_lo[block] : g->ir->program->need_bytes;
	if (!g->tests || g->tests->home[block] == block)
		compute_block(g, block);
	for (uint32_t i = g->tests ? g->joined[block] : IR_NONE; i != IR_NONE; i = g->joined[i])
		compute_block(g, i);
	finish_block(g, block);
}

static void emit_faults(struct gen *g)
{
	for (unsigned f = 0; f < 3; f++) {
		if (g->fault[f] == JIT_NO_LABEL)
			continue;
		jit_place_label(g->b, g->fault[f]);
		g->t->set(g->b, g->t->scratch[0], 0);
		leave(g, fault_errors[f]);
	}
}

static void enter(struct gen *g)
{
	if (!g->loop) {
		g->t->prologue(g->b, g->calls, g->places.saved, g->places.n_slots);
		return;
	}
	g->loop->calls = g->calls;
	g->loop->saved = g->places.saved;
	g->loop->n_slots = g->places.n_slots;
	g->loop->head = jit_label(g->b);
	g->loop->stop = jit_label(g->b);
	g->loop_end = JIT_NO_LABEL;
	g->t->begin_loop(g->b, g->loop);
}

static void emit_body(struct gen *g, bool checked)
{
	g->checked = checked;
	g->n_stubs = 0;
	for (unsigned f = 0; f < 3; f++)
		g->fault[f] = JIT_NO_LABEL;
	enter(g);
	for (uint32_t i = 0; i < g->ir->n_blocks; i++)
		g->labels[i] = jit_label(g->b);
	for (uint32_t i = 0; i < g->ir->n_blocks && !g->b->failed; i++)
		if (is_emitted(g, i))
			emit_block(g, i);
	g->next = IR_NONE;
	for (uint32_t i = 0; i < g->n_stubs && !g->b->failed; i++) {
		jit_place_label(g->b, g->stubs[i].label);
		follow(g, &g->ir->blocks[g->stubs[i].block].succ[g->stubs[i].succ]);
	}
	emit_faults(g);
}

static bool has_calls(const struct ir *ir, const uint8_t *needed)
{
	for (uint32_t v = 0; v < ir->n_values; v++)
		if (needed[v] && jit_is_call(&ir->values[v]))
			return true;
	return false;
}

/* For each block that computes others' values, a chain of them in their order. */
static int chain_joined(struct gen *g)
{
	const struct jit_tests *tests = g->tests;
	uint32_t n = g->ir->n_blocks, *last = malloc(n * sizeof(*last));

	g->joined = malloc(n * sizeof(*g->joined));
	if (!last || !g->joined) {
		free(last);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		g->joined[i] = IR_NONE;
		last[i] = i;
		if (tests->home[i] == i)
			continue;
		g->joined[last[tests->home[i]]] = i;
		last[tests->home[i]] = i;
	}
	free(last);
	return 0;
}

static int alloc_body(struct gen *g)
{
	g->labels = malloc(g->ir->n_blocks * sizeof(*g->labels));
	g->stubs = malloc(g->ir->n_blocks * sizeof(*g->stubs));
	g->probes = find_pairs(g->ir);
	return g->labels && g->stubs && g->probes ? jit_moves_init(&g->moves, g->places.n_slots) : -ENOMEM;
}

static void free_body(struct gen *g)
{
	free(g->places.at);
	free(g->joined);
	free(g->labels);
	free(g->stubs);
	free(g->probes);
	jit_moves_fini(&g->moves);
}

static const struct jit_regs *registers(const struct gen *g)
{
	if (g->loop)
		return g->calls ? &g->t->calling_loop : &g->t->leaf_loop;
	return g->calls ? &g->t->calling : &g->t->leaf;
}

static int gen_body(struct gen *g, bool checked)
{
	int err = jit_alloc(g->ir, g->needed, registers(g), false, g->tests, &g->places);

	if (!err)
		err = alloc_body(g);
	if (!err && g->tests)
		err = chain_joined(g);
	if (!err)
		emit_body(g, checked);
	free_body(g);
	return err;
}

/* For packets of at least *guard bytes, with which the entry compares. */
static int gen_unchecked(struct gen g, uint32_t checked, uint32_t *guard)
{
	struct jit_tests tests;
	int err = 0;

	*guard = g.ir->program->need_bytes;

	if (!g.count_insns && g.t->items_at_once) {
		g.tests = &tests;
		g.items_at_once = g.t->items_at_once();
		err = jit_tests(g.ir, g.needed, g.items_at_once > 1 ? LIST_MAX_ITEMS : 1, &tests);
		g.needed = tests.needed;
		*guard = tests.guard;
	}
	if (g.loop)
		g.loop->guard = *guard;
	else if (*guard)
		g.t->branch_short(g.b, false, *guard, checked);
	if (!err)
		err = gen_body(&g, false);
	if (g.tests)
		jit_tests_fini(&tests);
	return err;
}

static struct gen gen_new(const struct ir *ir, const uint8_t *needed, const struct jit_target *t, uint32_t insn_limit,
			  struct jit_buf *b)
{
	struct gen g = {.ir = ir, .needed = needed, .t = t, .b = b, .insn_limit = insn_limit};

	g.calls = has_calls(ir, needed);
	g.count_insns = ir->path.insns > insn_limit;
	g.count_updates = ir->path.updates > VFM_MAX_UPDATES;
	return g;
}

static int finish(struct gen *g, int err)
{
	jit_place_constants(g->b);
	if (!err && !g->b->failed)
		g->t->link(g->b);
	return !err && g->b->failed ? -ENOMEM : err;
}

int jit_gen(const struct ir *ir, const uint8_t *needed, const struct jit_target *t, uint32_t insn_limit, struct jit_buf *b)
{
	struct gen g = gen_new(ir, needed, t, insn_limit, b);
	uint32_t checked = jit_label(b), guard = ir->program->need_bytes;
	int err = 0;

	if (ir->program->need_bytes <= VFM_MAX_PACKET_BYTES)
		err = gen_unchecked(g, checked, &guard);
	jit_place_label(b, checked);
	if (!err && guard)
		err = gen_body(&g, true);
	return finish(&g, err);
}

bool jit_uses_shard(const struct ir *ir, const uint8_t *needed)
{
	for (uint32_t v = 0; v < ir->n_values; v++) {
		uint8_t op = ir->values[v].op;

		if (needed[v] && (ir_ops[op].flags & (IR_F_READ | IR_F_UPDATE) || op == IR_NOW || op == IR_MIX || op == IR_HASH5 ||
				  op == IR_HASH5S))
			return true;
	}
	return false;
}

static bool uses(const struct ir *ir, const uint8_t *needed, uint8_t op)
{
	for (uint32_t v = 0; v < ir->n_values; v++)
		if (needed[v] && ir->values[v].op == op)
			return true;
	return false;
}

int jit_gen_loop(const struct ir *ir, const uint8_t *needed, const struct jit_target *t, uint32_t insn_limit,
		 enum jit_loop_shards shards, struct jit_buf *b)
{
	struct gen g = gen_new(ir, needed, t, insn_limit, b);
	struct jit_loop loop = {
		.shards = shards, .input = uses(ir, needed, IR_INPUT), .insns = g.count_insns, .updates = g.count_updates};
	uint32_t guard;

	if (ir->program->need_bytes > VFM_MAX_PACKET_BYTES)
		return -ENOTSUP;
	loop.lanes = uses(ir, needed, IR_HANDED);
	g.loop = &loop;
	return finish(&g, gen_unchecked(g, JIT_NO_LABEL, &guard));
}

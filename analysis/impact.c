/* impact.c: stage 4: what a loaded value can change, backwards from the sinks: the returned value, the branches that decide it, what may
 * fault, and through the tables: keys, values and deciding branches of updates to an object that has an impact itself.
 *
 * A level goes with each value: the most that it can change. A branch's own level is that of the outcomes that lie behind it, if its
 * sides meet again nowhere before the end; else it matters only for what lies between (what may fault there, updates there) and for the
 * values that differ where its sides meet.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/fault.h"
#include "analysis/stages.h"

/* How a packet can end. */
enum outcome {
	OUT_DROP = 1 << 0,
	OUT_ACCEPT = 1 << 1,
	OUT_LOG = 1 << 2,
	OUT_LOG_VALUES = 1 << 3, /* with more than one value above 1 */
	OUT_BOUNDS = 1 << 4,
	OUT_DIVISION = 1 << 5,
	OUT_LIMIT = 1 << 6,
};

#define OUT_PASSES (OUT_ACCEPT | OUT_LOG)
#define OUT_FAILS  (OUT_DROP | OUT_BOUNDS | OUT_DIVISION | OUT_LIMIT)

struct ends {
	uint8_t set;
	uint64_t log_value; /* where OUT_LOG is in the set */
};

struct impact {
	const struct ir *ir;
	const struct objects *objects;
	struct control *control; /* control_gate uses its scratch */
	struct stages *stages;
	struct ends *ends;    /* [n_blocks] from its entry on */
	uint8_t *level;       /* [n_values] */
	uint8_t *block_level; /* [n_blocks] that the block runs */
	uint8_t *gate_level;  /* [n_blocks] how it is entered */
	uint32_t *queue;      /* [n_values] */
	bool *queued;
	uint32_t n_queue;
	uint32_t *blocks; /* [n_blocks] work list of mark_block */
	bool *block_queued;
	uint32_t n_blocks;
	uint8_t fault_level; /* that every possible fault has at least */
	bool may_limit;
};

static enum output_level level_of(uint8_t set)
{
	if ((set & OUT_PASSES) && (set & OUT_FAILS))
		return OUTPUT_FORWARDING;
	if ((set & OUT_PASSES) == OUT_PASSES || (set & OUT_LOG_VALUES))
		return OUTPUT_CLASS;
	return (set & OUT_FAILS) & ((set & OUT_FAILS) - 1) ? OUTPUT_ERROR : OUTPUT_NONE;
}

static bool add_ends(struct ends *into, struct ends more)
{
	struct ends was = *into;

	if ((into->set & OUT_LOG) && (more.set & OUT_LOG) && into->log_value != more.log_value)
		into->set |= OUT_LOG_VALUES;
	else if (more.set & OUT_LOG)
		into->log_value = more.log_value;
	into->set |= more.set;
	return was.set != into->set;
}

static struct ends ends_of_return(const struct ir *ir, uint32_t value)
{
	const struct ir_fact *f = &ir->facts.value[value];
	struct ends e = {.log_value = f->hi};

	if (f->lo == 0)
		e.set |= OUT_DROP;
	if (f->lo <= 1 && f->hi >= 1)
		e.set |= OUT_ACCEPT;
	if (f->hi >= 2)
		e.set |= OUT_LOG;
	if (f->hi >= 2 && f->lo != f->hi && f->hi != 2)
		e.set |= OUT_LOG_VALUES;
	return e;
}

/* How the value's computation may end the packet, seen from its block's entry. */
static uint8_t fault_of(const struct ir *ir, uint32_t block, uint32_t value)
{
	const struct ir_value *v = &ir->values[value];
	unsigned bytes = ir_ops[v->op].bytes;
	uint32_t there = ir->facts.len_lo[block];

	if (!(ir_ops[v->op].flags & IR_F_FAULT))
		return 0;
	if (v->op == IR_DIV || v->op == IR_MOD)
		return ir->facts.operand[value].lo ? 0 : OUT_DIVISION;
	if (v->a == IR_NONE)
		return v->imm + bytes <= there ? 0 : OUT_BOUNDS;
	return ir->facts.operand[value].hi <= there && ir->facts.operand[value].hi + bytes <= there ? 0 : OUT_BOUNDS;
}

static uint8_t faults_of_block(const struct impact *m, uint32_t block)
{
	const struct ir_block *b = &m->ir->blocks[block];
	uint8_t set = m->may_limit ? OUT_LIMIT : 0;

	for (uint32_t v = b->first; v < b->first + b->n_values; v++)
		set |= fault_of(m->ir, block, v);
	return set;
}

/* Outcomes backwards; ids are a reverse post-order, so one round is enough without loops. */
static void find_ends(struct impact *m)
{
	bool changed = true;

	for (uint32_t b = 0; b < m->ir->n_blocks; b++) {
		m->ends[b].set = faults_of_block(m, b);
		if (m->ir->blocks[b].term == IR_RET)
			add_ends(&m->ends[b], ends_of_return(m->ir, m->ir->blocks[b].a));
	}
	while (changed) {
		changed = false;
		for (uint32_t b = m->ir->n_blocks; b-- > 0;)
			for (uint32_t k = 0; k < m->ir->blocks[b].n_succs; k++)
				if (add_ends(&m->ends[b], m->ends[m->ir->blocks[b].succ[k].block]))
					changed = true;
	}
}

static void mark_value(struct impact *m, uint32_t value, uint8_t level)
{
	if (level <= m->level[value])
		return;
	m->level[value] = level;
	if (m->queued[value])
		return;
	m->queued[value] = true;
	m->queue[m->n_queue++] = value;
}

static void mark_branch(struct impact *m, uint32_t block, uint8_t level)
{
	if (m->ir->blocks[block].term != IR_BRANCH)
		return;
	mark_value(m, m->ir->blocks[block].a, level);
	mark_value(m, m->ir->blocks[block].b, level);
}

/* That the block runs matters: so do the branches that decide it, and that their blocks run. */
static void mark_block(struct impact *m, uint32_t block, uint8_t level)
{
	if (level <= m->block_level[block])
		return;
	m->block_level[block] = level;
	if (m->block_queued[block])
		return;
	m->block_queued[block] = true;
	m->blocks[m->n_blocks++] = block;
}

static void step_block(struct impact *m, uint32_t block)
{
	for (uint32_t i = m->control->first[block]; i < m->control->first[block + 1]; i++) {
		mark_branch(m, m->control->deciders[i], m->block_level[block]);
		mark_block(m, m->control->deciders[i], m->block_level[block]);
	}
}

static void mark_operands(struct impact *m, const struct ir_value *v, uint8_t level)
{
	if (v->a != IR_NONE)
		mark_value(m, v->a, level);
	if (v->b != IR_NONE)
		mark_value(m, v->b, level);
}

/* Marks what decides each possible fault of the block. */
static void mark_faults(struct impact *m, uint32_t block, uint8_t level)
{
	const struct ir_block *b = &m->ir->blocks[block];

	if (!faults_of_block(m, block) || !(m->ir->facts.block[block] & IR_REACHED))
		return;
	mark_block(m, block, level);
	for (uint32_t v = b->first; v < b->first + b->n_values; v++) {
		const struct ir_value *value = &m->ir->values[v];

		if (!fault_of(m->ir, block, v))
			continue;
		if (value->op == IR_DIV || value->op == IR_MOD)
			mark_value(m, value->b, level);
		else if (value->a != IR_NONE)
			mark_value(m, value->a, level);
	}
}

/* A fault keeps every update behind it from being made, so it matters as much as they do. */
static void raise_faults(struct impact *m, uint8_t level)
{
	if (level <= m->fault_level)
		return;
	m->fault_level = level;
	for (uint32_t block = 0; block < m->ir->n_blocks; block++) {
		mark_faults(m, block, level);
		if (m->may_limit)
			mark_branch(m, block, level);
	}
}

static void mark_object(struct impact *m, uint32_t object, uint8_t level)
{
	const struct object *o = &m->objects->items[object];

	if (level <= m->stages->objects[object].output)
		return;
	m->stages->objects[object].output = (enum output_level)level;
	if (o->updateable)
		raise_faults(m, level);
	for (uint32_t i = 0; i < o->n_sites; i++) {
		if (!(ir_ops[m->ir->values[o->sites[i]].op].flags & IR_F_UPDATE))
			continue;
		mark_operands(m, &m->ir->values[o->sites[i]], level);
		mark_block(m, ir_block_of(m->ir, o->sites[i]), level);
	}
	/* An entry more in the table is an entry less for its other objects. */
	for (uint32_t i = 0; i < m->objects->n && m->stages->objects[object].coupled; i++)
		if (m->objects->items[i].table == o->table)
			mark_object(m, i, level);
}

static void step_param(struct impact *m, uint32_t value)
{
	uint32_t block = ir_block_of(m->ir, value), first = IR_NONE, n;
	const struct ir_block *b = &m->ir->blocks[block];
	const uint32_t *list;
	bool differ = false;

	for (uint32_t i = 0; i < b->n_preds; i++) {
		const struct ir_pred *p = &m->ir->preds[b->preds + i];
		uint32_t arg = m->ir->args[m->ir->blocks[p->block].succ[p->succ].args + (value - b->first)];

		mark_value(m, arg, m->level[value]);
		if (arg == value)
			continue;
		differ = differ || (first != IR_NONE && arg != first);
		first = arg;
	}
	if (!differ || m->level[value] <= m->gate_level[block])
		return;
	m->gate_level[block] = m->level[value];
	n = control_gate(m->ir, m->control, block, &list);
	for (uint32_t i = 0; i < n; i++)
		mark_branch(m, list[i], m->level[value]);
}

static void step_value(struct impact *m, uint32_t value)
{
	const struct ir_value *v = &m->ir->values[value];

	if (v->op == IR_PARAM)
		step_param(m, value);
	else
		mark_operands(m, v, m->level[value]);
	if (!FAULT(LOAD_IS_HARMLESS) && (ir_ops[v->op].flags & IR_F_READ) && m->stages->object_of[value] != IR_NONE)
		mark_object(m, m->stages->object_of[value], m->level[value]);
}

/* What the branch's two sides can come to; what its own block may have faulted at has not happened when it is taken. */
static uint8_t ends_of_sides(const struct impact *m, uint32_t block)
{
	struct ends e = {.set = m->may_limit ? OUT_LIMIT : 0};

	for (uint32_t k = 0; k < m->ir->blocks[block].n_succs; k++)
		add_ends(&e, m->ends[m->ir->blocks[block].succ[k].block]);
	return e.set;
}

static void mark_sinks(struct impact *m)
{
	for (uint32_t block = 0; block < m->ir->n_blocks; block++) {
		const struct ir_block *b = &m->ir->blocks[block];

		if (!(m->ir->facts.block[block] & IR_REACHED))
			continue;
		if (b->term == IR_RET)
			mark_value(m, b->a, level_of(ends_of_return(m->ir, b->a).set));
		/* Sides that meet only at the end, or that a limit may tell apart. */
		if (b->term == IR_BRANCH && (m->control->ipdom[block] == m->ir->n_blocks || m->may_limit))
			mark_branch(m, block, level_of(ends_of_sides(m, block)));
		mark_faults(m, block, level_of(m->ends[block].set));
	}
}

static void run(struct impact *m)
{
	find_ends(m);
	mark_sinks(m);
	while (m->n_queue || m->n_blocks) {
		uint32_t at;

		if (m->n_queue) {
			at = m->queue[--m->n_queue];
			m->queued[at] = false;
			step_value(m, at);
		} else {
			at = m->blocks[--m->n_blocks];
			m->block_queued[at] = false;
			step_block(m, at);
		}
	}
}

int impact_find(const struct ir *ir, const struct objects *o, struct control *c, struct stages *s)
{
	size_t values = ir->n_values + 1ul, blocks = ir->n_blocks;
	struct impact m = {.ir = ir, .objects = o, .control = c, .stages = s};
	int err = -ENOMEM;

	m.may_limit = ir->path.insns > VFM_DEFAULT_INSN_LIMIT || ir->path.updates > VFM_MAX_UPDATES;
	m.ends = calloc(blocks, sizeof(*m.ends));
	m.level = calloc(values, sizeof(*m.level));
	m.queue = malloc(values * sizeof(*m.queue));
	m.queued = calloc(values, sizeof(*m.queued));
	m.block_level = calloc(blocks, sizeof(*m.block_level));
	m.gate_level = calloc(blocks, sizeof(*m.gate_level));
	m.blocks = malloc(blocks * sizeof(*m.blocks));
	m.block_queued = calloc(blocks, sizeof(*m.block_queued));
	if (m.ends && m.level && m.queue && m.queued && m.block_level && m.gate_level && m.blocks && m.block_queued) {
		run(&m);
		err = 0;
	}
	free(m.ends);
	free(m.level);
	free(m.queue);
	free(m.queued);
	free(m.block_level);
	free(m.gate_level);
	free(m.blocks);
	free(m.block_queued);
	return err;
}

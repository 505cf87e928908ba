/* demand.c: see demand.h. Each opcode has its rule for which bits of its operands can reach which bits of its result. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/demand.h"
#include "analysis/fault.h"

int demand_init(struct demand *d, const struct ir *ir, const struct objects *o, const uint32_t *object_of, struct control *c)
{
	size_t n = ir->n_values + 1ul;

	*d = (struct demand){.ir = ir, .objects = o, .object_of = object_of, .control = c};
	d->bits = calloc(n, sizeof(*d->bits));
	d->queued = calloc(n, sizeof(*d->queued));
	d->touched = malloc(n * sizeof(*d->touched));
	d->queue = malloc(n * sizeof(*d->queue));
	d->gated = calloc(ir->n_blocks, sizeof(*d->gated));
	d->gates = malloc(ir->n_blocks * sizeof(*d->gates));
	d->objects_read = calloc(o->n + 1ul, sizeof(*d->objects_read));
	return d->bits && d->queued && d->touched && d->queue && d->gated && d->gates && d->objects_read ? 0 : -ENOMEM;
}

void demand_fini(struct demand *d)
{
	free(d->bits);
	free(d->queued);
	free(d->touched);
	free(d->queue);
	free(d->gated);
	free(d->gates);
	free(d->objects_read);
	memset(d, 0, sizeof(*d));
}

void demand_clear(struct demand *d)
{
	for (uint32_t i = 0; i < d->n_touched; i++)
		d->bits[d->touched[i]] = 0;
	for (uint32_t i = 0; i < d->n_gates; i++)
		d->gated[d->gates[i]] = false;
	memset(d->objects_read, 0, d->objects->n);
	d->n_touched = d->n_gates = 0;
	d->decided = false;
}

void demand_add(struct demand *d, uint32_t value, uint64_t bits)
{
	const struct ir_fact *f = &d->ir->facts.value[value];

	bits &= ~(f->zeros | f->ones); /* a bit that is always the same carries nothing */
	if (!(bits & ~d->bits[value]))
		return;
	if (!d->bits[value])
		d->touched[d->n_touched++] = value;
	d->bits[value] |= bits;
	if (d->queued[value])
		return;
	d->queued[value] = true;
	d->queue[d->n_queue++] = value;
}

/* All bits up to the highest of these: what carries can come from. */
static uint64_t up_to(uint64_t bits)
{
	return bits ? UINT64_MAX >> __builtin_clzll(bits) : 0;
}

static bool constant(const struct demand *d, uint32_t value, uint64_t *c)
{
	const struct ir_fact *f = &d->ir->facts.value[value];

	*c = f->lo;
	return f->lo == f->hi;
}

static bool power_of_two(const struct demand *d, uint32_t value, unsigned *log)
{
	uint64_t c;

	if (!constant(d, value, &c) || !c || (c & (c - 1)))
		return false;
	*log = (unsigned)__builtin_ctzll(c);
	return true;
}

static void whole(struct demand *d, const struct ir_value *v)
{
	if (v->a != IR_NONE)
		demand_add(d, v->a, UINT64_MAX);
	if (v->b != IR_NONE)
		demand_add(d, v->b, UINT64_MAX);
}

static void both(struct demand *d, const struct ir_value *v, uint64_t bits)
{
	demand_add(d, v->a, bits);
	demand_add(d, v->b, bits);
}

static void add_sum(struct demand *d, const struct ir_value *v, uint64_t bits)
{
	const struct ir_fact *a = &d->ir->facts.value[v->a], *b = &d->ir->facts.value[v->b];

	/* Where no bit can be 1 on both sides there are no carries. */
	both(d, v, (a->zeros | b->zeros) == UINT64_MAX ? bits : up_to(bits));
}

static void add_product(struct demand *d, const struct ir_value *v, uint64_t bits)
{
	unsigned log;

	if (power_of_two(d, v->b, &log))
		demand_add(d, v->a, bits >> log);
	else if (power_of_two(d, v->a, &log))
		demand_add(d, v->b, bits >> log);
	else
		both(d, v, up_to(bits));
}

static void add_quotient(struct demand *d, const struct ir_value *v, uint64_t bits)
{
	unsigned log;

	if (!power_of_two(d, v->b, &log))
		whole(d, v);
	else if (v->op == IR_DIV)
		demand_add(d, v->a, bits << log);
	else
		demand_add(d, v->a, bits & ((1ULL << log) - 1));
}

static void add_shift(struct demand *d, const struct ir_value *v, uint64_t bits)
{
	uint64_t n;

	if (!constant(d, v->b, &n))
		whole(d, v);
	else if (v->op == IR_SHL)
		demand_add(d, v->a, bits >> (n & 63));
	else
		demand_add(d, v->a, bits << (n & 63));
}

/* A bit masked away by the other operand does not matter. */
static void add_masked(struct demand *d, const struct ir_value *v, uint64_t bits)
{
	const struct ir_fact *a = &d->ir->facts.value[v->a], *b = &d->ir->facts.value[v->b];

	demand_add(d, v->a, bits & ~((v->op == IR_AND) != FAULT(MASK_REVERSED) ? b->zeros : b->ones));
	demand_add(d, v->b, bits & ~(v->op == IR_AND ? a->zeros : a->ones));
}

static void add_gate(struct demand *d, uint32_t block)
{
	const uint32_t *list;
	uint32_t n;

	if (d->gated[block])
		return;
	d->gated[block] = true;
	d->gates[d->n_gates++] = block;
	n = control_gate(d->ir, d->control, block, &list);
	for (uint32_t i = 0; i < n; i++)
		if (d->ir->blocks[list[i]].term == IR_BRANCH) {
			demand_add(d, d->ir->blocks[list[i]].a, UINT64_MAX);
			demand_add(d, d->ir->blocks[list[i]].b, UINT64_MAX);
		}
}

static void add_param(struct demand *d, uint32_t value, uint64_t bits)
{
	uint32_t block = ir_block_of(d->ir, value), first = IR_NONE;
	const struct ir_block *b = &d->ir->blocks[block];
	bool differ = false;

	for (uint32_t i = 0; i < b->n_preds; i++) {
		const struct ir_pred *p = &d->ir->preds[b->preds + i];
		uint32_t arg = d->ir->args[d->ir->blocks[p->block].succ[p->succ].args + (value - b->first)];

		demand_add(d, arg, bits);
		if (arg == value)
			continue;
		differ = differ || (first != IR_NONE && arg != first);
		first = arg;
	}
	if (differ)
		add_gate(d, block);
}

/* What may decide whether anything runs: branches, and what may fault. All of it is more than needed, never less. */
static void add_decisions(struct demand *d)
{
	if (d->decided)
		return;
	d->decided = true;
	for (uint32_t b = 0; b < d->ir->n_blocks; b++)
		if (d->ir->blocks[b].term == IR_BRANCH) {
			demand_add(d, d->ir->blocks[b].a, UINT64_MAX);
			demand_add(d, d->ir->blocks[b].b, UINT64_MAX);
		}
	for (uint32_t v = 0; v < d->ir->n_values; v++)
		if (ir_ops[d->ir->values[v].op].flags & IR_F_FAULT)
			whole(d, &d->ir->values[v]);
}

/* The contents of an object: everything that any update of it puts there, and whether it does. */
static void add_contents(struct demand *d, uint32_t object)
{
	const struct object *o = &d->objects->items[object];

	if (d->objects_read[object])
		return;
	d->objects_read[object] = true;
	for (uint32_t i = 0; i < o->n_sites; i++)
		if (ir_ops[d->ir->values[o->sites[i]].op].flags & IR_F_UPDATE)
			whole(d, &d->ir->values[o->sites[i]]);
	if (o->updateable)
		add_decisions(d);
}

static void step(struct demand *d, uint32_t value)
{
	const struct ir_value *v = &d->ir->values[value];
	uint64_t bits = d->bits[value];

	switch (v->op) {
	case IR_PARAM:
		add_param(d, value, bits);
		return;
	case IR_ADD:
		add_sum(d, v, bits);
		return;
	case IR_SUB:
		both(d, v, up_to(bits));
		return;
	case IR_NEG:
		demand_add(d, v->a, up_to(bits));
		return;
	case IR_MUL:
		add_product(d, v, bits);
		return;
	case IR_DIV:
	case IR_MOD:
		add_quotient(d, v, bits);
		return;
	case IR_SHL:
	case IR_SHR:
		add_shift(d, v, bits);
		return;
	case IR_AND:
	case IR_OR:
		add_masked(d, v, bits);
		return;
	case IR_XOR:
		both(d, v, bits);
		return;
	case IR_NOT:
		demand_add(d, v->a, bits);
		return;
	case IR_FLOW_LOAD:
	case IR_FLOW_ADD:
		whole(d, v);
		if (d->object_of[value] != IR_NONE) /* else it is never executed */
			add_contents(d, d->object_of[value]);
		return;
	default: /* what is computed from the packet directly; LDX from its offset, MIX from all of both */
		whole(d, v);
		return;
	}
}

void demand_run(struct demand *d)
{
	while (d->n_queue) {
		uint32_t value = d->queue[--d->n_queue];

		d->queued[value] = false;
		step(d, value);
	}
}

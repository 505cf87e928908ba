/* opt_cse.c: a value computed in the same way on every path to here is used instead. The packet does not change while it is looked at,
 * so loads are such values too; a load that succeeded before succeeds again, so the second need not even be checked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/parts.h"
#include "state/mix.h"

struct cse {
	struct ir *ir;
	uint32_t *head, *next; /* hash chains of value ids, newest first */
	uint32_t mask;
	const uint8_t *flat; /* [block] NULL: dominance decides */
	uint32_t *instead;   /* [value] the one to use */
	uint32_t *block;     /* [value] */
};

static bool is_repeatable(const struct ir_value *v)
{
	uint16_t flags = ir_ops[v->op].flags;

	return (flags & IR_F_RESULT) && !(flags & (IR_F_READ | IR_F_UPDATE)) && v->op != IR_PARAM;
}

static bool same(const struct ir_value *x, const struct ir_value *y)
{
	return x->op == y->op && x->a == y->a && x->b == y->b && (!(ir_ops[x->op].flags & IR_F_IMM) || x->imm == y->imm);
}

static uint32_t hash(const struct ir_value *v)
{
	uint64_t imm = ir_ops[v->op].flags & IR_F_IMM ? v->imm : 0;

	return (uint32_t)mix64(imm ^ mix64((uint64_t)v->a << 32 ^ v->b ^ (uint64_t)v->op << 56));
}

/* Is value `at` there, when x would be computed in the block? What may end the packet by its operand holds only where it was done. */
static bool reaches(const struct cse *c, uint32_t at, const struct ir_value *x, uint32_t block)
{
	uint16_t flags = ir_ops[x->op].flags;
	bool may_end = (flags & IR_F_FAULT) && (flags & IR_F_A);

	if (c->flat && !may_end && c->flat[c->block[at]] == JIT_FLAT && c->flat[block] == JIT_FLAT)
		return true;
	return ir_dominates(c->ir, c->block[at], block);
}

#define MAX_CHAIN 16 /* looked at: keeps the pass linear */

static void number(struct cse *c, uint32_t id, uint32_t block)
{
	struct ir_value *v = &c->ir->values[id];
	uint32_t *head, steps = 0;

	c->block[id] = block;
	c->instead[id] = id;
	if (v->a != IR_NONE)
		v->a = c->instead[v->a];
	if (v->b != IR_NONE)
		v->b = c->instead[v->b];
	if (!is_repeatable(v))
		return;
	head = &c->head[hash(v) & c->mask];
	for (uint32_t at = *head; at != IR_NONE && steps < MAX_CHAIN; at = c->next[at], steps++) {
		if (!same(&c->ir->values[at], v) || !reaches(c, at, v, block))
			continue;
		c->instead[id] = at;
		return;
	}
	c->next[id] = *head;
	*head = id;
}

static void run(struct cse *c)
{
	struct ir *ir = c->ir;

	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		struct ir_block *b = &ir->blocks[i];

		for (uint32_t id = b->first; id < b->first + b->n_values; id++)
			number(c, id, i);
		if (b->a != IR_NONE)
			b->a = c->instead[b->a];
		if (b->b != IR_NONE)
			b->b = c->instead[b->b];
	}
	for (uint32_t i = 0; i < ir->n_args; i++)
		ir->args[i] = c->instead[ir->args[i]];
	/* What has a stand-in does nothing any more. */
	for (uint32_t id = 0; id < ir->n_values; id++)
		if (c->instead[id] != id)
			ir->values[id] = (struct ir_value){.op = IR_CONST, .pc = ir->values[id].pc, .a = IR_NONE, .b = IR_NONE};
}

static int cse(struct ir *ir, const uint8_t *flat)
{
	struct cse c = {.ir = ir, .mask = 255, .flat = flat};
	size_t values = ir->n_values + 1ul;
	int err = -ENOMEM;

	while (c.mask < ir->n_values)
		c.mask = c.mask * 2 + 1;
	c.head = malloc((c.mask + 1ul) * sizeof(*c.head));
	c.next = malloc(values * sizeof(*c.next));
	c.instead = malloc(values * sizeof(*c.instead));
	c.block = malloc(values * sizeof(*c.block));
	if (c.head && c.next && c.instead && c.block) {
		memset(c.head, 0xff, (c.mask + 1ul) * sizeof(*c.head));
		run(&c);
		err = 0;
	}
	free(c.next);
	free(c.instead);
	free(c.block);
	free(c.head);
	return err;
}

int jit_cse(struct ir *ir)
{
	return cse(ir, NULL);
}

int jit_cse_flat(struct ir *ir, const uint8_t *flat_blocks)
{
	return cse(ir, flat_blocks);
}

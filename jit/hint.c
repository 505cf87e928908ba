/* hint.c: which entry a packet will look at first, found before it runs, so that a burst can have the entries fetched from memory together.
 *
 * The code is the program's own, ended where a path comes to its first table instruction: there it returns the key. A hint changes nothing; a
 * wrong one costs a cache line. So paths to other tables than the first one met return 0, and values of time and state may be stale.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/parts.h"
#include "state/table_layout.h"
#include "vm/vfm.h"

#define SPREAD_SHARDS 64u /* at least so many there are, it is taken, where most packets are another's than the one before */

static void blank(struct ir *ir, uint32_t first, uint32_t end)
{
	for (uint32_t v = first; v < end; v++)
		ir->values[v] = (struct ir_value){.op = IR_CONST, .a = IR_NONE, .b = IR_NONE};
}

/* The block is cut off before value `end`, whose place gets the constant 0, and returns value key. */
static void end_block(struct ir *ir, struct ir_block *b, uint32_t end, uint32_t key)
{
	blank(ir, end, b->first + b->n_values);
	b->n_values = end - b->first + (end < b->first + b->n_values);
	b->term = IR_RET;
	b->n_succs = 0;
	b->a = key;
	b->b = IR_NONE;
}

/* The first table instruction of the block, IR_NONE: none. */
static uint32_t first_access(const struct ir *ir, const struct ir_block *b)
{
	for (uint32_t v = b->first; v < b->first + b->n_values; v++)
		if (ir_ops[ir->values[v].op].flags & (IR_F_READ | IR_F_UPDATE))
			return v;
	return IR_NONE;
}

/* Cuts every path at its first access. Blocks without a cycle are in topological order. Returns the number of the table, -1: no access. */
static int cut(struct ir *ir, uint8_t *reached)
{
	int table = -1;

	reached[0] = 1;
	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		struct ir_block *b = &ir->blocks[i];
		uint32_t access = first_access(ir, b);

		if (!reached[i]) {
			end_block(ir, b, b->first, IR_NONE);
			ir->facts.block[i] = 0;
		} else if (access != IR_NONE) {
			const struct ir_value *v = &ir->values[access];

			if (table < 0)
				table = v->table;
			end_block(ir, b, access, v->table == table ? v->a : access);
		}
		for (unsigned k = 0; k < b->n_succs; k++)
			if (ir->facts.block[i] & (k ? IR_TAKES_1 : IR_TAKES_0))
				reached[b->succ[k].block] = 1;
	}
	return table;
}

/* Code for ir after cut(). */
static int compile(const struct ir *ir, const struct jit_target *t, struct jit_buf *b)
{
	uint8_t *needed = NULL;
	int err = jit_dead(ir, &needed);

	if (!err)
		err = jit_gen_loop(ir, needed, t, UINT32_MAX, jit_uses_shard(ir, needed) ? LOOP_SHARDS : LOOP_ALONE, b);
	free(needed);
	return err;
}

/* cut() on a copy of what it changes: other code is made from ir too. */
static int gen_cut(const struct ir *ir, const struct jit_target *t, struct jit_hint *h, struct jit_buf *b)
{
	struct ir own = *ir;
	uint8_t *reached = calloc(ir->n_blocks, 1);
	int err = -ENOMEM, table;

	own.values = malloc((ir->n_values + 1ul) * sizeof(*own.values));
	own.blocks = malloc(ir->n_blocks * sizeof(*own.blocks));
	own.facts.block = malloc(ir->n_blocks);
	if (!reached || !own.values || !own.blocks || !own.facts.block)
		goto out;
	memcpy(own.values, ir->values, ir->n_values * sizeof(*own.values));
	memcpy(own.blocks, ir->blocks, ir->n_blocks * sizeof(*own.blocks));
	memcpy(own.facts.block, ir->facts.block, ir->n_blocks);
	err = -ENOTSUP;
	table = cut(&own, reached);
	if (table < 0)
		goto out;
	h->table = (uint32_t)ir->program->table_index[table];
	err = compile(&own, t, b);
out:
	free(reached);
	free(own.values);
	free(own.blocks);
	free(own.facts.block);
	return err;
}

int jit_hint_gen(const struct ir *ir, const struct jit_target *t, struct jit_hint *h, struct jit_buf *b)
{
	if (!ir->program->n_tables || ir->has_cycle)
		return -ENOTSUP;
	return gen_cut(ir, t, h, b);
}

void jit_hint_keys(const struct jit_hint *h, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
		   struct vfm_result *keys)
{
	struct jit_env env = {.end = packets + n, .parsed = JIT_NOTHING_PARSED, .hint_table = JIT_NO_HINT};

	for (uint32_t i = 0; i < n; i++) {
		env.shards = shards + i;
		env.results = keys + i;
		i = (uint32_t)(h->run(packets + i, &env) - packets);
		if (i < n)
			keys[i].error = VFM_ERROR_BOUNDS; /* too short: no hint */
	}
}

const struct table *jit_hint_table(const struct jit_hint *h, const struct shard *s, uint32_t table)
{
	const struct table *t = s->tables[table];

	return t && table_held(t) >= (h->spread ? h->fewest_entries / SPREAD_SHARDS : h->fewest_entries) ? t : NULL;
}

void jit_hint_look(struct jit_hint *h, uint32_t n, struct shard *const *shards)
{
	uint32_t changes = 0;

	for (uint32_t i = 1; i < n; i++)
		changes += shards[i] != shards[i - 1];
	h->spread = 2 * changes >= n;
}

void jit_hint_shards(const struct jit_hint *h, uint32_t n, struct shard *const *shards)
{
	for (uint32_t i = 0; i < n && h->spread; i++) {
		__builtin_prefetch(shards[i], 1);
		__builtin_prefetch(&shards[i]->tables[h->table]);
	}
}

bool jit_hint_burst(const struct jit_hint *h, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
		    struct jit_hinted *hinted)
{
	const struct table *tables[JIT_HINT_MOST], *any = NULL;
	struct vfm_result keys[JIT_HINT_MOST];

	for (uint32_t i = 0; i < n; i++) {
		tables[i] = i && shards[i] == shards[i - 1] ? tables[i - 1] : jit_hint_table(h, shards[i], h->table);
		any = tables[i] ? tables[i] : any;
	}
	if (!any)
		return false;
	jit_hint_keys(h, n, packets, shards, keys);
	for (uint32_t i = 0; i < n; i++) {
		hinted[i] = (struct jit_hinted){keys[i].value, NULL};
		if (tables[i] && keys[i].error == VFM_SUCCESS)
			hinted[i].home = table_prefetch_home(tables[i], keys[i].value);
	}
	return true;
}

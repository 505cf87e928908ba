/* transfer.c: see transfer.h. Objects that share a table cannot be told apart by an entry, so the table counts as the object with the
 * most to say. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/transfer.h"
#include "vm/step.h"
#include "vm/vfm.h"

struct changed {
	uint32_t index; /* of the table */
	uint64_t key;
};

#define BURST_CHANGES (TRANSFER_BURST_PKTS * VFM_MAX_UPDATES)

struct transfer {
	const struct program *program;
	struct shard *shard;
	bool updateable[SHARD_MAX_TABLES], impacting[SHARD_MAX_TABLES]; /* by table index */
	struct transfer_sums sums;
	uint32_t n_packet, n_burst;
	struct changed packet[VFM_MAX_UPDATES];
	struct changed burst[BURST_CHANGES];
	struct machine machine;
};

struct transfer *transfer_new(const struct ir *ir, const struct objects *o, const struct stages *s)
{
	struct program_state_options options = {.idle_s = -1, .default_capacity = TRANSFER_TABLE_CAPACITY};
	struct transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->program = ir->program;
	t->shard = program_shard_new(ir->program, &options);
	if (!t->shard) {
		free(t);
		return NULL;
	}
	for (uint32_t i = 0; i < o->n; i++) {
		int index = t->program->table_index[o->items[i].table];

		t->updateable[index] |= o->items[i].updateable;
		t->impacting[index] |= o->items[i].updateable && s->objects[i].output != OUTPUT_NONE;
	}
	return t;
}

void transfer_free(struct transfer *t)
{
	if (t)
		shard_free(t->shard);
	free(t);
}

/* Appends unless it is there or the list is full (which the limit on updates keeps from happening). */
static void remember(struct changed *list, uint32_t *n, uint32_t room, struct changed c)
{
	for (uint32_t i = 0; i < *n; i++)
		if (list[i].index == c.index && list[i].key == c.key)
			return;
	if (*n < room)
		list[(*n)++] = c;
}

/* One instruction; if it changes an entry, that is remembered. False: the packet is done. */
static bool step(struct transfer *t)
{
	struct machine *m = &t->machine;
	uint64_t before = 0, after = 0;
	bool had, has, more;
	struct vfm_insn insn;
	struct changed c;

	vfm_decode(t->program->code, t->program->len, m->pc, &insn);
	if (!(vfm_ops[insn.op].flags & VFM_F_UPDATE))
		return machine_step(m);
	c.index = (uint32_t)t->program->table_index[insn.table];
	c.key = m->stack[m->sp - vfm_ops[insn.op].pops];
	had = table_find(t->shard->tables[c.index], c.key, t->shard->now_s, &before);
	more = machine_step(m);
	has = table_find(t->shard->tables[c.index], c.key, t->shard->now_s, &after);
	if (had != has || before != after)
		remember(t->packet, &t->n_packet, VFM_MAX_UPDATES, c);
	return more;
}

static void count_present(struct transfer *t)
{
	for (uint32_t i = 0; i < t->program->n_tables; i++) {
		uint64_t bytes = (uint64_t)table_held(t->shard->tables[i]) * TRANSFER_ENTRY_BYTES;

		t->sums.bytes[TRANSFER_A] += bytes;
		t->sums.bytes[TRANSFER_B] += t->updateable[i] ? bytes : 0;
		t->sums.bytes[TRANSFER_C] += t->impacting[i] ? bytes : 0;
	}
}

void transfer_packet(struct transfer *t, const struct vfm_packet *packet)
{
	machine_init(&t->machine, t->program->code, t->program->len, t->program->table_index, t->shard, packet,
		     VFM_DEFAULT_INSN_LIMIT);
	t->n_packet = 0;
	while (step(t))
		;
	count_present(t);
	t->sums.bytes[TRANSFER_D] += (uint64_t)t->n_packet * TRANSFER_ENTRY_BYTES;
	for (uint32_t i = 0; i < t->n_packet; i++)
		remember(t->burst, &t->n_burst, BURST_CHANGES, t->packet[i]);
	if (++t->sums.packets % TRANSFER_BURST_PKTS == 0) {
		t->sums.bytes[TRANSFER_E] += (uint64_t)t->n_burst * TRANSFER_ENTRY_BYTES;
		t->n_burst = 0;
	}
}

struct transfer_sums transfer_sums(const struct transfer *t)
{
	struct transfer_sums s = t->sums;

	s.bytes[TRANSFER_E] += (uint64_t)t->n_burst * TRANSFER_ENTRY_BYTES;
	return s;
}

double transfer_bytes_per_packet(const struct transfer_sums *s, enum transfer_baseline b)
{
	return s->packets ? (double)s->bytes[b] / (double)s->packets : 0;
}

double transfer_ratio(const struct transfer_sums *s, enum transfer_baseline b)
{
	return s->bytes[b] ? (double)s->bytes[TRANSFER_A] / (double)s->bytes[b] : 0;
}

/* program.c: from verified bytecode to what every consumer starts from, and from there to a shard with the program's tables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/program.h"
#include "vm/vfm.h"

static uint32_t load_bytes(uint8_t op)
{
	switch (op) {
	case VFM_OP_LD8:
		return 1;
	case VFM_OP_LD16:
		return 2;
	case VFM_OP_LD32:
		return 4;
	case VFM_OP_LD64:
		return 8;
	default:
		return 0;
	}
}

/* Marks in *t what the instruction does to its table. */
static void note_table(struct program_table *t, const struct vfm_insn *insn)
{
	uint16_t flags = vfm_ops[insn->op].flags;

	if (insn->op == VFM_OP_TABLE) {
		t->declared = true;
		t->entries = (uint32_t)insn->imm;
		t->idle_s = insn->idle_s;
	}
	t->loaded |= (flags & VFM_F_READ) != 0;
	t->updated |= (flags & VFM_F_UPDATE) != 0;
}

/* Gives the tables that the program names dense indices in ascending order of number. */
static void number_tables(struct program *p)
{
	bool named[256] = {false};

	for (uint32_t i = 0; i < p->proof.n; i++) {
		const struct vfm_insn *insn = &p->proof.insns[i];

		if (insn->op == VFM_OP_TABLE || (vfm_ops[insn->op].flags & (VFM_F_READ | VFM_F_UPDATE)))
			named[insn->table] = true;
	}
	for (unsigned number = 0; number < 256; number++) {
		p->table_index[number] = named[number] ? (int16_t)p->n_tables : -1;
		if (named[number])
			p->tables[p->n_tables++].number = (uint8_t)number;
	}
}

static void scan(struct program *p)
{
	for (uint32_t i = 0; i < p->proof.n; i++) {
		const struct vfm_insn *insn = &p->proof.insns[i];
		uint16_t flags = vfm_ops[insn->op].flags;
		uint32_t bytes = load_bytes(insn->op);

		if (insn->op == VFM_OP_TABLE)
			p->start = insn->next;
		if (insn->op == VFM_OP_TABLE || (flags & (VFM_F_READ | VFM_F_UPDATE)))
			note_table(&p->tables[p->table_index[insn->table]], insn);
		if (flags & VFM_F_UPDATE)
			p->update_sites++;
		if (flags & VFM_F_TIME)
			p->uses_time = true;
		if (bytes && insn->imm + bytes > p->need_bytes)
			p->need_bytes = (uint32_t)insn->imm + bytes;
	}
}

struct program *program_new(const uint8_t *code, uint32_t len, unsigned verify_flags, struct vfm_reject *reject)
{
	struct program *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		goto no_memory;
	err = vfm_verify_program(code, len, verify_flags, &p->proof, reject);
	if (err) {
		free(p);
		return NULL;
	}
	p->code = malloc(len);
	if (!p->code)
		goto no_memory;
	memcpy(p->code, code, len);
	p->len = len;
	number_tables(p);
	scan(p);
	return p;

no_memory:
	program_free(p);
	memset(reject, 0, sizeof(*reject));
	reject->code = VFM_ERROR_NO_MEMORY;
	strcpy(reject->reason, "out of memory while loading the program");
	return NULL;
}

void program_free(struct program *p)
{
	if (!p)
		return;
	vfm_proof_fini(&p->proof);
	free(p->code);
	free(p);
}

/* Capacity of a table under the options; 0: not initialised. */
static uint32_t capacity_of(const struct program_table *t, const struct program_state_options *o)
{
	if (o->capacity)
		return o->capacity;
	return t->declared ? t->entries : o->default_capacity;
}

static uint32_t square_root(uint32_t n)
{
	uint32_t root = 0;

	for (uint32_t bit = 1u << 15; bit; bit >>= 1)
		if ((root + bit) <= n / (root + bit))
			root += bit;
	return root;
}

uint32_t program_share(uint32_t capacity, uint32_t shards)
{
	uint32_t mean, share;

	if (shards <= 1 || capacity == 0)
		return capacity;
	mean = capacity / shards + (capacity % shards != 0);
	share = mean + 4 * square_root(mean) + 8;
	return share < capacity ? share : capacity;
}

static int fill_shard(struct shard *s, const struct program *p, const struct program_state_options *o)
{
	uint32_t idle_s[SHARD_MAX_TABLES];

	for (uint32_t i = 0; i < p->n_tables; i++) {
		struct table_config config = {.capacity = program_share(capacity_of(&p->tables[i], o), o->shards),
					      .preload = o->preload_room,
					      .tracked = o->tracked,
					      .layout_seed = o->layout_seed};

		config.idle_s = idle_s[i] = o->idle_s < 0 ? p->tables[i].idle_s : (uint32_t)o->idle_s;
		if (o->flat || config.capacity == 0)
			continue;
		if (o->configuration && !p->tables[i].updated) {
			s->tables[i] = o->configuration->tables[i];
			s->shared[i] = true;
			continue;
		}
		s->tables[i] = table_new(&config);
		if (!s->tables[i])
			return -errno;
	}
	return o->flat ? shard_make_flat(s, idle_s) : 0;
}

struct shard *program_shard_new(const struct program *p, const struct program_state_options *options)
{
	struct shard *s = shard_new(p->n_tables, options->seed);
	int err;

	if (!s)
		return NULL;
	err = fill_shard(s, p, options);
	if (err) {
		shard_free(s);
		errno = -err;
		return NULL;
	}
	return s;
}

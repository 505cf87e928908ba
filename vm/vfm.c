/* vfm.c: the manual's C API over program, shard, interpreter and step machine. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/interp.h"
#include "vm/step.h"
#include "vm/vfm.h"
#include "vm/vfm_engine.h"

#define PRELOAD_ROOM_FIRST 64u

struct vfm_private {
	struct program *program; /* NULL: nothing loaded */
	struct interp *interp;
	const struct vfm_engine *engine; /* NULL: the interpreter */
	void *made;                      /* by engine for program and made_limit; NULL: nothing yet */
	uint32_t made_limit;
	struct shard *shard;
	uint32_t table0_entries; /* of vfm_flow_table_init; 0: not called */
	uint64_t time_us;
	uint32_t input;
	struct vfm_result result;
	struct machine machine; /* of vfm_step */
	bool stepping;
	char reason[256];
};

vfm_state_t *vfm_create(void)
{
	vfm_state_t *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	vm->priv = calloc(1, sizeof(*vm->priv));
	if (!vm->priv) {
		free(vm);
		return NULL;
	}
	vm->hot.insn_limit = VFM_DEFAULT_INSN_LIMIT;
	return vm;
}

static void drop_made(struct vfm_private *p)
{
	if (p->made)
		p->engine->drop(p->made);
	p->made = NULL;
}

static void unload(struct vfm_private *p)
{
	drop_made(p);
	interp_free(p->interp);
	shard_free(p->shard);
	program_free(p->program);
	p->interp = NULL;
	p->shard = NULL;
	p->program = NULL;
	p->stepping = false;
}

void vfm_destroy(vfm_state_t *vm)
{
	if (!vm)
		return;
	unload(vm->priv);
	free(vm->priv);
	free(vm);
}

const char *vfm_last_reason(const vfm_state_t *vm)
{
	return vm->priv->reason;
}

static int fail(vfm_state_t *vm, int code, const char *reason)
{
	snprintf(vm->priv->reason, sizeof(vm->priv->reason), "%s", reason);
	return code;
}

static struct shard *new_shard(const struct program *program)
{
	struct program_state_options options = {.idle_s = -1, .preload_room = PRELOAD_ROOM_FIRST};

	return program_shard_new(program, &options);
}

/* Gives table 0 room for entries; nothing to do if the program does not name it. */
static int init_table0(struct vfm_private *p, uint32_t entries)
{
	struct table_config config = {.capacity = entries, .preload = PRELOAD_ROOM_FIRST};
	int16_t index = p->program->table_index[0];
	struct table *t;

	if (index < 0)
		return 0;
	config.idle_s = p->program->tables[index].idle_s;
	t = table_new(&config);
	if (!t)
		return -errno;
	table_free(p->shard->tables[index]);
	p->shard->tables[index] = t;
	return 0;
}

int vfm_load_program(vfm_state_t *vm, const uint8_t *program, uint32_t len)
{
	struct vfm_private *p = vm->priv;
	struct vfm_private next = {
		.table0_entries = p->table0_entries, .time_us = p->time_us, .input = p->input, .engine = p->engine};
	struct vfm_reject reject;

	next.program = program_new(program, len, 0, &reject);
	if (!next.program) {
		snprintf(p->reason, sizeof(p->reason), "at byte %u: %s", reject.pc, reject.reason);
		return reject.code;
	}
	next.interp = interp_new(next.program);
	next.shard = new_shard(next.program);
	if (!next.interp || !next.shard || (next.table0_entries && init_table0(&next, next.table0_entries))) {
		unload(&next);
		return fail(vm, VFM_ERROR_NO_MEMORY, "out of memory while loading the program");
	}
	unload(p);
	*p = next;
	return VFM_SUCCESS;
}

int vfm_load_program_file(vfm_state_t *vm, const char *filename)
{
	uint8_t *bytes = malloc(VFM_MAX_PROGRAM_BYTES + 1ul);
	FILE *f = fopen(filename, "rb");
	int err;
	size_t n;

	if (!bytes) {
		err = fail(vm, VFM_ERROR_NO_MEMORY, "out of memory while reading the program");
		goto out;
	}
	if (!f) {
		snprintf(vm->priv->reason, sizeof(vm->priv->reason), "%s: %s", filename, strerror(errno));
		err = VFM_ERROR_INVALID_PROGRAM;
		goto out;
	}
	n = fread(bytes, 1, VFM_MAX_PROGRAM_BYTES + 1ul, f);
	if (ferror(f)) {
		snprintf(vm->priv->reason, sizeof(vm->priv->reason), "%s: cannot be read: %s", filename, strerror(errno));
		err = VFM_ERROR_INVALID_PROGRAM;
		goto out;
	}
	err = vfm_load_program(vm, bytes, (uint32_t)n);
out:
	if (f)
		fclose(f);
	free(bytes);
	return err;
}

/* The manual's return value: error code, or the result cut to a positive int. */
static int public_result(const struct vfm_result *r)
{
	if (r->error)
		return r->error;
	return r->value > INT_MAX ? INT_MAX : (int)r->value;
}

static struct vfm_packet packet_of(const struct vfm_private *p, const uint8_t *data, uint16_t len)
{
	return (struct vfm_packet){.data = data, .len = len, .input = p->input, .time_us = p->time_us};
}

/* The engine has made what runs the program under this limit. False: out of memory; the interpreter can always run it. */
static bool make_ready(struct vfm_private *p, uint32_t insn_limit)
{
	if (p->made && p->made_limit == insn_limit)
		return true;
	drop_made(p);
	p->made = p->engine->make(p->program, insn_limit);
	p->made_limit = insn_limit;
	return p->made != NULL;
}

int vfm_use_engine(vfm_state_t *vm, const struct vfm_engine *engine)
{
	struct vfm_private *p = vm->priv;

	drop_made(p);
	p->engine = engine;
	if (engine && p->program && !make_ready(p, vm->hot.insn_limit)) {
		p->engine = NULL;
		return fail(vm, VFM_ERROR_NO_MEMORY, "out of memory while compiling; the interpreter goes on");
	}
	return VFM_SUCCESS;
}

int vfm_execute(vfm_state_t *vm, const uint8_t *packet, uint16_t packet_len)
{
	struct vfm_private *p = vm->priv;
	struct vfm_packet view = packet_of(p, packet, packet_len);

	if (!p->program)
		return fail(vm, VFM_ERROR_INVALID_PROGRAM, "no program is loaded");
	if (p->engine && make_ready(p, vm->hot.insn_limit))
		p->engine->run(p->made, p->shard, &view, &p->result);
	else
		interp_run(p->interp, p->shard, &view, vm->hot.insn_limit, &p->result);
	return public_result(&p->result);
}

uint64_t vfm_result(const vfm_state_t *vm)
{
	return vm->priv->result.value;
}

void vfm_set_time(vfm_state_t *vm, uint64_t us)
{
	if (us > vm->priv->time_us)
		vm->priv->time_us = us;
}

void vfm_set_input(vfm_state_t *vm, uint32_t input)
{
	vm->priv->input = input;
}

/* Shows the machine's registers in the public part of vm. */
static void show_machine(vfm_state_t *vm)
{
	const struct machine *m = &vm->priv->machine;

	vm->pc = m->pc;
	vm->sp = m->sp;
	vm->hot.insn_count = (uint32_t)m->insn_count;
	memcpy(vm->stack, m->stack, m->sp * sizeof(vm->stack[0]));
}

int vfm_step_begin(vfm_state_t *vm, const uint8_t *packet, uint16_t packet_len)
{
	struct vfm_private *p = vm->priv;
	struct vfm_packet view = packet_of(p, packet, packet_len);

	if (!p->program)
		return fail(vm, VFM_ERROR_INVALID_PROGRAM, "no program is loaded");
	machine_init(&p->machine, p->program->code, p->program->len, p->program->table_index, p->shard, &view, vm->hot.insn_limit);
	p->stepping = true;
	show_machine(vm);
	return VFM_SUCCESS;
}

int vfm_step(vfm_state_t *vm)
{
	struct vfm_private *p = vm->priv;
	bool more;

	if (!p->stepping)
		return fail(vm, VFM_ERROR_INVALID_PROGRAM, "no packet to step through: call vfm_step_begin first");
	more = machine_step(&p->machine);
	show_machine(vm);
	if (more)
		return 1;
	p->result = p->machine.result;
	return p->result.error;
}

int vfm_flow_table_init(vfm_state_t *vm, uint32_t size)
{
	struct vfm_private *p = vm->priv;

	if (size == 0 || size > TABLE_MAX_CAPACITY)
		return fail(vm, VFM_ERROR_NO_MEMORY, "a flow table has 1 to 268,435,456 entries");
	if (p->program && init_table0(p, size))
		return fail(vm, VFM_ERROR_NO_MEMORY, "out of memory while making the flow table");
	p->table0_entries = size;
	return VFM_SUCCESS;
}

void vfm_flow_table_clear(vfm_state_t *vm)
{
	struct shard *s = vm->priv->shard;

	for (uint32_t i = 0; s && i < s->n_tables; i++)
		if (s->tables[i])
			table_clear(s->tables[i]);
}

/* The table that number names in the loaded program; NULL if there is none or it was never initialised. */
static struct table **find_table(const struct vfm_private *p, uint8_t number)
{
	int16_t index = p->program ? p->program->table_index[number] : -1;

	return index >= 0 && p->shard->tables[index] ? &p->shard->tables[index] : NULL;
}

/* Replaces *slot by an equal table with room for twice as many preloaded entries. */
static int grow_preload(struct table **slot)
{
	struct table_config config = *table_config(*slot);
	struct table_entry e;
	uint64_t cursor = 0;
	struct table *t;

	config.preload = config.preload * 2;
	t = table_new(&config);
	if (!t)
		return -ENOMEM;
	while (table_next(*slot, &cursor, &e))
		table_put(t, &e);
	table_free(*slot);
	*slot = t;
	return 0;
}

int vfm_flow_set(vfm_state_t *vm, uint8_t table, uint64_t key, uint64_t value)
{
	struct table **slot = find_table(vm->priv, table);
	int err;

	if (!slot)
		return fail(vm, VFM_ERROR_INVALID_PROGRAM, "the program has no such table, or it was never initialised");
	err = table_preload(*slot, key, value);
	if (err == -ENOSPC && !grow_preload(slot))
		err = table_preload(*slot, key, value);
	return err ? fail(vm, VFM_ERROR_NO_MEMORY, "out of memory while preloading") : VFM_SUCCESS;
}

int vfm_flow_get(const vfm_state_t *vm, uint8_t table, uint64_t key, uint64_t *value)
{
	struct table **slot = find_table(vm->priv, table);

	return slot && table_find(*slot, key, vm->priv->shard->now_s, value);
}

int vfm_verify(const uint8_t *program, uint32_t len)
{
	struct vfm_reject reject;

	return vfm_verify_program(program, len, 0, NULL, &reject);
}

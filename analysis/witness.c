/* witness.c: see witness.h. Packets are frames with few different addresses and ports, so that keys meet, and with what the program
 * compares packet bytes with put in, so that they get past its tests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/fault.h"
#include "analysis/witness.h"
#include "state/mix.h"
#include "vm/packet.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define PACKETS     160
#define ACCESSES    16
#define ROUNDS      6
#define MAX_TESTS   32
#define CAPACITY    256
#define FLOW_OBJECT IR_NONE

/* A packet byte test of the program: these bytes, that value. */
struct byte_test {
	uint32_t offset, bytes;
	uint64_t value;
};

struct use {
	uint32_t object;
	uint8_t table;
	uint64_t key;
};

struct sample {
	uint8_t data[WITNESS_PACKET_BYTES];
	uint32_t len;
	uint64_t flow;
	uint32_t n;
	struct use uses[ACCESSES]; /* of owned objects */
};

struct finder {
	const struct ir *ir;
	const struct objects *objects;
	uint64_t random;
	uint32_t n_tests;
	struct byte_test tests[MAX_TESTS];
	uint32_t *object_at; /* [program bytes] owned object accessed at this address, IR_NONE */
	uint32_t n_preload;
	struct witness_entry preload[WITNESS_PRELOAD_MAX];
	struct sample *samples; /* [PACKETS] */
	struct machine machine;
};

static uint32_t below(struct finder *f, uint32_t n)
{
	f->random += 0x9e3779b97f4a7c15ULL;
	return (uint32_t)(mix64(f->random) >> 32) % n;
}

/* ---- packets ---- */

static void collect_tests(struct finder *f)
{
	const struct ir *ir = f->ir;

	for (uint32_t i = 0; i < ir->n_blocks && f->n_tests < MAX_TESTS; i++) {
		const struct ir_block *b = &ir->blocks[i];
		const struct ir_value *x, *c;

		if (b->term != IR_BRANCH)
			continue;
		x = &ir->values[b->a];
		c = &ir->values[b->b];
		if (x->op == IR_AND)
			x = &ir->values[x->a];
		if (c->op == IR_CONST && x->op >= IR_LD8 && x->op <= IR_LD64 && x->imm + 8 <= WITNESS_PACKET_BYTES)
			f->tests[f->n_tests++] = (struct byte_test){(uint32_t)x->imm, ir_ops[x->op].bytes, c->imm};
	}
}

static void put(uint8_t *at, unsigned bytes, uint64_t v)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

static void make_packet(struct finder *f, struct sample *s)
{
	static const uint32_t hosts[] = {0x0a000001, 0x0a000002, 0x0a000102, 0x00000005, 0x00050007};
	static const uint16_t ports[] = {5, 7, 80, 443};
	bool udp = below(f, 3) == 0;

	memset(s->data, 0, sizeof(s->data));
	s->len = 60 + below(f, 8);
	put(s->data + 12, 2, 0x0800);
	s->data[14] = 0x45;
	put(s->data + 16, 2, s->len - 14);
	s->data[22] = 64;
	s->data[23] = udp ? 17 : 6;
	put(s->data + 26, 4, hosts[below(f, 5)]);
	put(s->data + 30, 4, hosts[below(f, 5)]);
	put(s->data + 34, 2, ports[below(f, 4)]);
	put(s->data + 36, 2, ports[below(f, 4)]);
	s->data[46] = 0x50;
	s->data[47] = below(f, 2) ? 2 : 16;
	/* Half of the packets get past most tests, the others past some. */
	for (uint32_t i = 0; i < f->n_tests; i++)
		if (below(f, 4) < 2)
			put(s->data + f->tests[i].offset, f->tests[i].bytes, f->tests[i].value);
}

/* ---- runs ---- */

static struct shard *make_shard(const struct finder *f)
{
	struct program_state_options o = {
		.idle_s = -1, .default_capacity = CAPACITY, .preload_room = WITNESS_PRELOAD_MAX, .flat = true};
	struct shard *s = program_shard_new(f->ir->program, &o);

	for (uint32_t i = 0; s && i < f->n_preload; i++)
		shard_store(s, (uint32_t)f->ir->program->table_index[f->preload[i].table], f->preload[i].key, f->preload[i].value);
	return s;
}

static int run_sample(struct finder *f, struct sample *s)
{
	const struct program *p = f->ir->program;
	struct vfm_packet packet = {.data = s->data, .len = s->len};
	struct shard *shard = make_shard(f);
	struct machine *m = &f->machine;
	struct vfm_insn insn;

	if (!shard)
		return -ENOMEM;
	s->n = 0;
	s->flow = vfm_hash5s(s->data, s->len, 0);
	machine_init(m, p->code, p->len, p->table_index, shard, &packet, VFM_DEFAULT_INSN_LIMIT);
	do {
		vfm_decode(p->code, p->len, m->pc, &insn);
		if (f->object_at[m->pc] != IR_NONE && s->n < ACCESSES)
			s->uses[s->n++] = (struct use){f->object_at[m->pc], insn.table, m->stack[m->sp - vfm_ops[insn.op].pops]};
	} while (machine_step(m));
	shard_free(shard);
	return 0;
}

static bool steer_of(const struct sample *s, uint32_t object, uint64_t *steer)
{
	*steer = s->flow;
	if (object == FLOW_OBJECT)
		return s->flow != 0;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->uses[i].object == object) {
			*steer = s->uses[i].key;
			return true;
		}
	return false;
}

/* An entry that both use; reached by candidate objects only through their own keys, so another object's counts first. */
static const struct use *meeting(const struct sample *x, const struct sample *y)
{
	for (uint32_t i = 0; i < x->n; i++)
		for (uint32_t j = 0; j < y->n; j++)
			if (x->uses[i].table == y->uses[j].table && x->uses[i].key == y->uses[j].key)
				return &x->uses[i];
	return NULL;
}

static bool try_pair(const struct finder *f, uint32_t object, const struct sample *x, const struct sample *y, struct witness *w)
{
	const struct use *at = meeting(x, y);
	uint64_t left, right;

	if (FAULT(WITNESS_ANY_PAIR) && x->n)
		at = &x->uses[0];
	if (!at || !steer_of(x, object, &left) || !steer_of(y, object, &right) || left == right)
		return false;
	*w = (struct witness){.object = object,
			      .steer_a = left,
			      .steer_b = right,
			      .table = at->table,
			      .key = at->key,
			      .a_len = x->len,
			      .b_len = y->len,
			      .n_preload = f->n_preload};
	memcpy(w->a, x->data, sizeof(w->a));
	memcpy(w->b, y->data, sizeof(w->b));
	memcpy(w->preload, f->preload, sizeof(w->preload));
	return true;
}

static bool try_candidate(const struct finder *f, uint32_t object, struct witness *w)
{
	for (uint32_t i = 0; i < PACKETS; i++)
		for (uint32_t j = 0; j < i; j++)
			if (try_pair(f, object, &f->samples[i], &f->samples[j], w))
				return true;
	return false;
}

/* Other table contents for the next round: small values under keys that packets have used. */
static void change_preload(struct finder *f)
{
	f->n_preload = 0;
	for (uint32_t i = 0; i < WITNESS_PRELOAD_MAX; i++) {
		const struct sample *s = &f->samples[below(f, PACKETS)];

		if (s->n) {
			const struct use *u = &s->uses[below(f, s->n)];

			f->preload[f->n_preload++] = (struct witness_entry){u->table, u->key, 1 + below(f, 24)};
		}
	}
}

static bool is_found(const struct witnesses *w, uint32_t object)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (w->items[i].object == object)
			return true;
	return false;
}

static int one_round(struct finder *f, struct witnesses *w)
{
	int err = 0;

	for (uint32_t i = 0; i < PACKETS && !err; i++) {
		make_packet(f, &f->samples[i]);
		err = run_sample(f, &f->samples[i]);
	}
	w->candidates = 1;
	for (uint32_t o = 0; o <= f->objects->n && !err && w->n < WITNESS_MAX; o++) {
		uint32_t object = o < f->objects->n ? o : FLOW_OBJECT;

		if (object != FLOW_OBJECT && f->objects->items[o].kind != OBJECT_OWNED)
			continue;
		w->candidates += object != FLOW_OBJECT;
		if (!is_found(w, object) && try_candidate(f, object, &w->items[w->n]))
			w->n++;
	}
	return err;
}

int witness_find(const struct ir *ir, const struct objects *o, struct witnesses *w)
{
	struct finder *f = calloc(1, sizeof(*f));
	int err = -ENOMEM;

	memset(w, 0, sizeof(*w));
	if (!f)
		return -ENOMEM;
	f->ir = ir;
	f->objects = o;
	f->samples = calloc(PACKETS, sizeof(*f->samples));
	f->object_at = malloc(ir->program->len * sizeof(*f->object_at));
	if (!f->samples || !f->object_at)
		goto out;
	memset(f->object_at, 0xff, ir->program->len * sizeof(*f->object_at));
	for (uint32_t i = 0; i < o->n; i++)
		for (uint32_t j = 0; j < o->items[i].n_sites && o->items[i].kind == OBJECT_OWNED; j++)
			f->object_at[ir->values[o->items[i].sites[j]].pc] = i;
	collect_tests(f);
	err = 0;
	for (int round = 0; round < ROUNDS && !err && (round == 0 || w->n < w->candidates); round++) {
		err = one_round(f, w);
		change_preload(f);
	}
out:
	free(f->samples);
	free(f->object_at);
	free(f);
	return err;
}

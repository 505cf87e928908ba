/* analysis_precision.c: how much of what the analyzer says of the examples real traffic confirms. A sound analyzer may say too much; here
 * is counted how much was seen: of the objects called updateable, those that some packet updated; of those called output-impacting, those
 * of which one entry, changed, turned a packet's verdict; of the packet bits in the dimensions, those that, turned over, changed a key;
 * of the pairs of packets for pinned programs, those that use one entry and are parted by the candidate, which must be all.
 *
 *     TEST_ALL=1   every capture instead of a few
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "analysis/analyze.h"
#include "node/capture.h"
#include "test/lib/examples.h"
#include "vm/packet.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define CAPTURES      "../shared/data/captures/*/*"
#define TRACE_MAX     64
#define PACKET_MAX    65536
#define TRIALS_OBJECT 200 /* packets on which an object's claims are put to the test */

struct access {
	uint32_t pc;
	uint8_t table;
	bool update;
	uint64_t key, before; /* before: what the table held when the packet came to the entry first */
};

struct trace {
	uint32_t n;
	struct access items[TRACE_MAX];
	struct vfm_result result;
};

/* What has been confirmed of one object. */
struct confirmed {
	bool updated, decided;
	uint32_t trials;
	uint64_t bits[DIMS_MAX];
};

struct tally {
	uint64_t claimed, seen;
};

static struct {
	struct tally updates, decides, bits, pairs;
	uint64_t packets, programs, captures;
} count;

struct subject {
	struct analysis a;
	struct confirmed *objects;
	struct shard *state;
};

static struct shard *new_shard(const struct program *p)
{
	struct program_state_options o = {.idle_s = -1, .default_capacity = 65536, .flat = true};
	struct shard *s = program_shard_new(p, &o);

	assert_non_null(s);
	return s;
}

static void run_traced(const struct program *p, struct shard *s, const struct vfm_packet *packet, struct trace *t)
{
	static struct machine m;
	struct vfm_insn insn;

	t->n = 0;
	machine_init(&m, p->code, p->len, p->table_index, s, packet, VFM_DEFAULT_INSN_LIMIT);
	do {
		uint16_t flags;
		struct access *x = &t->items[t->n];

		vfm_decode(p->code, p->len, m.pc, &insn);
		flags = vfm_ops[insn.op].flags;
		if (!(flags & (VFM_F_READ | VFM_F_UPDATE)) || t->n == TRACE_MAX)
			continue;
		*x = (struct access){.pc = insn.pc, .table = insn.table, .update = flags & VFM_F_UPDATE};
		x->key = m.stack[m.sp - vfm_ops[insn.op].pops];
		x->before = shard_load(s, (uint32_t)p->table_index[insn.table], x->key);
		for (uint32_t i = 0; i < t->n; i++)
			if (t->items[i].table == x->table && t->items[i].key == x->key)
				x->before = t->items[i].before;
		t->n++;
	} while (machine_step(&m));
	t->result = m.result;
}

static uint32_t object_at(const struct analysis *a, uint32_t pc)
{
	for (uint32_t i = 0; i < a->objects.n; i++)
		for (uint32_t j = 0; j < a->objects.items[i].n_sites; j++)
			if (a->ir->values[a->objects.items[i].sites[j]].pc == pc)
				return i;
	return IR_NONE;
}

/* Runs the packet on tables that hold what `was` saw, the entry of access `other` (UINT32_MAX: none) with another value. */
static void run_again(const struct subject *s, const struct trace *was, const struct vfm_packet *packet, uint32_t other,
		      uint64_t value, struct trace *t)
{
	const struct program *p = s->a.program;
	struct shard *shard = new_shard(p);

	for (uint32_t i = 0; i < was->n; i++)
		shard_store(shard, (uint32_t)p->table_index[was->items[i].table], was->items[i].key, was->items[i].before);
	if (other != UINT32_MAX)
		shard_store(shard, (uint32_t)p->table_index[was->items[other].table], was->items[other].key, value);
	run_traced(p, shard, packet, t);
	shard_free(shard);
}

/* Does the packet's verdict turn when the entry of access i has another value? */
static bool decides(const struct subject *s, const struct trace *was, const struct vfm_packet *packet, uint32_t i)
{
	const uint64_t values[] = {0, 1, 2, 1000000, was->items[i].before + 1, was->items[i].before - 1, UINT64_MAX >> 1};
	static struct trace base, changed;

	run_again(s, was, packet, UINT32_MAX, 0, &base);
	for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
		run_again(s, was, packet, i, values[k], &changed);
		if (changed.result.value != base.result.value || changed.result.error != base.result.error)
			return true;
	}
	return false;
}

static bool key_changed(const struct subject *s, const struct trace *x, const struct trace *y, uint32_t object)
{
	for (uint32_t i = 0; i < x->n; i++)
		for (uint32_t j = 0; j < y->n; j++)
			if (x->items[i].pc == y->items[j].pc && x->items[i].key != y->items[j].key &&
			    object_at(&s->a, x->items[i].pc) == object)
				return true;
	return false;
}

/* Turns over each bit of a dimension that has not been confirmed yet. */
static void try_dimension(struct subject *s, uint32_t object, uint32_t k, const struct trace *was, const struct vfm_packet *packet)
{
	const struct dim *d = &s->a.stages.objects[object].dims.items[k];
	struct confirmed *c = &s->objects[object];
	static uint8_t copy[PACKET_MAX];
	static struct trace base, changed;
	struct vfm_packet turned = *packet;

	if (d->offset == DIM_NO_OFFSET || d->offset + d->bytes > packet->len || packet->len > sizeof(copy))
		return;
	run_again(s, was, packet, UINT32_MAX, 0, &base);
	turned.data = copy;
	for (uint32_t bit = 0; bit < 8 * d->bytes; bit++) {
		if (!(d->mask >> bit & 1) || c->bits[k] >> bit & 1)
			continue;
		memcpy(copy, packet->data, packet->len);
		copy[d->offset + d->bytes - 1 - bit / 8] ^= (uint8_t)(1u << bit % 8);
		run_again(s, was, &turned, UINT32_MAX, 0, &changed);
		if (key_changed(s, &base, &changed, object))
			c->bits[k] |= 1ULL << bit;
	}
}

static void one_packet(struct subject *s, const struct vfm_packet *packet)
{
	static struct trace was;

	run_traced(s->a.program, s->state, packet, &was);
	count.packets++;
	for (uint32_t i = 0; i < was.n; i++) {
		uint32_t object = object_at(&s->a, was.items[i].pc);
		struct confirmed *c = &s->objects[object];

		c->updated = c->updated || was.items[i].update;
		if (c->trials++ >= TRIALS_OBJECT)
			continue;
		if (s->a.stages.objects[object].output != OUTPUT_NONE && !c->decided)
			c->decided = decides(s, &was, packet, i);
		for (uint32_t k = 0; k < s->a.stages.objects[object].dims.n; k++)
			try_dimension(s, object, k, &was, packet);
	}
}

static void run_capture(struct subject *s, const char *name)
{
	char error[CAPTURE_ERROR_BYTES];
	struct vfm_packet packet;
	struct capture *c;

	if (capture_open(name, &c, error))
		return; /* not Ethernet: another suite's matter */
	for (uint32_t i = 0; i < s->a.objects.n; i++)
		s->objects[i].trials = 0;
	s->state = new_shard(s->a.program);
	while (capture_next(c, &packet) == 1)
		one_packet(s, &packet);
	shard_free(s->state);
	capture_close(c);
	count.captures++;
}

/* ---- pairs ---- */

static bool uses_entry(const struct subject *s, const struct witness *w, const uint8_t *data, uint32_t len, uint64_t *way)
{
	struct vfm_packet packet = {.data = data, .len = len};
	struct shard *shard = new_shard(s->a.program);
	static struct trace t;
	bool used = false, first = true;

	for (uint32_t i = 0; i < w->n_preload; i++)
		shard_store(shard, (uint32_t)s->a.program->table_index[w->preload[i].table], w->preload[i].key,
			    w->preload[i].value);
	run_traced(s->a.program, shard, &packet, &t);
	shard_free(shard);
	*way = vfm_hash5s(data, len, 0);
	for (uint32_t i = 0; i < t.n; i++) {
		used = used || (t.items[i].table == w->table && t.items[i].key == w->key);
		if (first && object_at(&s->a, t.items[i].pc) == w->object) {
			*way = t.items[i].key;
			first = false;
		}
	}
	return used;
}

static void check_pairs(const struct subject *s, const char *path)
{
	for (uint32_t i = 0; i < s->a.witnesses.n; i++) {
		const struct witness *w = &s->a.witnesses.items[i];
		uint64_t left, right;

		count.pairs.claimed++;
		if (uses_entry(s, w, w->a, w->a_len, &left) && uses_entry(s, w, w->b, w->b_len, &right) && left != right)
			count.pairs.seen++;
		else
			fail_msg("%s: pair %u proves nothing", path, i);
	}
}

/* ---- programs ---- */

static void add(struct tally *t, bool claimed, bool seen)
{
	t->claimed += claimed;
	t->seen += claimed && seen;
}

static void count_object(const struct subject *s, uint32_t i)
{
	const struct object_stages *o = &s->a.stages.objects[i];
	const struct confirmed *c = &s->objects[i];

	add(&count.updates, s->a.objects.items[i].updateable, c->updated);
	add(&count.decides, o->output != OUTPUT_NONE, c->decided);
	if (c->updated && !s->a.objects.items[i].updateable)
		fail_msg("object %u is updated and is not called updateable", i);
	for (uint32_t k = 0; k < o->dims.n; k++)
		for (uint32_t bit = 0; o->dims.items[k].offset != DIM_NO_OFFSET && bit < 64; bit++)
			add(&count.bits, o->dims.items[k].mask >> bit & 1, c->bits[k] >> bit & 1);
}

static void visit(void *arg, const char *path, const struct program *p)
{
	const glob_t *names = arg;
	static struct subject s;

	assert_int_equal(analysis_run(p, &s.a), 0);
	if (s.a.objects.n) {
		count.programs++;
		s.objects = calloc(s.a.objects.n, sizeof(*s.objects));
		assert_non_null(s.objects);
		for (size_t i = 0; i < names->gl_pathc; i++)
			if (getenv("TEST_ALL") || strstr(names->gl_pathv[i], "/one_http_stream_rst.") ||
			    strstr(names->gl_pathv[i], "/many-protocols."))
				run_capture(&s, names->gl_pathv[i]);
		for (uint32_t i = 0; i < s.a.objects.n; i++)
			count_object(&s, i);
		check_pairs(&s, path);
		free(s.objects);
	}
	analysis_fini(&s.a);
}

static double share(const struct tally *t)
{
	return t->claimed ? 100.0 * (double)t->seen / (double)t->claimed : 0;
}

#define SAY(what, t) \
	print_message("  %-40s %6llu of %6llu  %5.1f %%\n", what, (unsigned long long)(t).seen, (unsigned long long)(t).claimed, \
		      share(&(t)))

static void real_traffic_confirms_most_of_what_is_said(void **state)
{
	glob_t names;

	(void)state;
	if (glob(CAPTURES, 0, NULL, &names)) {
		print_message("SKIP: no captures beside the repository\n");
		skip();
	}
	assert_true(examples_visit(visit, &names) > 50);
	globfree(&names);
	print_message("%llu programs with state, %llu runs over captures, %llu packets; confirmed:\n",
		      (unsigned long long)count.programs, (unsigned long long)count.captures, (unsigned long long)count.packets);
	SAY("updateable objects seen updated", count.updates);
	SAY("impacting objects that turned a verdict", count.decides);
	SAY("dimensions' bits that changed a key", count.bits);
	SAY("pinned pairs that were run", count.pairs);
	assert_true(count.pairs.claimed > 0 && count.pairs.seen == count.pairs.claimed);
	assert_true(share(&count.updates) > 50);
	assert_true(share(&count.decides) > 40);
	assert_true(share(&count.bits) > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(real_traffic_confirms_most_of_what_is_said)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

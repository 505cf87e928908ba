/* test_analysis.c: what the stages say of a program holds in every run: on random stateful filters,
 *   - no run updates an entry that an object called configuration reads,
 *   - a packet bit outside an object's dimensions never changes its keys,
 *   - an object that is not called output-impacting can hold anything and no verdict changes, now or later,
 *   - rewriting a program without changing what it does never changes its split verdict,
 *   - each pair of packets that is to prove a program pinned does: both use the entry, and the candidate parts them.
 * Each of them beside the share of findings that a run confirms: a sound analyzer may say less, a useless one says nothing.
 *
 *     TEST_ALL=1   10^5 programs instead of 1000
 *     TEST_SEED=N  only program N, with its text
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "analysis/analyze.h"
#include "test/lib/gen_split.h"
#include "test/lib/packets.h"
#include "vm/asm.h"
#include "vm/packet.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define TRIALS      6
#define HISTORY_MAX 8 /* packets before the one that matters */
#define LATER       4 /* packets after it */
#define TRACE_MAX   64
#define WITHOUT     12 /* packet bytes before this one are no part of what HASH5 and HDR look at */

struct access {
	uint32_t pc;
	uint8_t table;
	bool update;
	uint64_t key;
};

struct trace {
	uint32_t n;
	struct access items[TRACE_MAX];
	struct vfm_result result;
};

static struct {
	uint64_t programs, outside, inside, inside_changed, harmless, harmful, harmful_changed, config_reads, rewritten, pinned,
		pairs;
} count;

static char text[GEN_SPLIT_TEXT_BYTES];

static struct program *assemble(const char *source)
{
	static struct diag_list d;
	struct vfm_reject reject;
	struct program *p;
	uint8_t *code;
	uint32_t len;

	diag_init(&d, "generated", source, (uint32_t)strlen(source));
	if (asm_assemble(source, strlen(source), false, &code, &len, &d))
		fail_msg("%s\n%s", d.items[0].text, source);
	p = program_new(code, len, 0, &reject);
	free(code);
	return p;
}

static struct shard *new_shard(const struct program *p)
{
	struct program_state_options o = {.idle_s = -1, .default_capacity = 512, .flat = true};
	struct shard *s = program_shard_new(p, &o);

	assert_non_null(s);
	return s;
}

/* Runs the packet and writes down every access. */
static void run_traced(const struct program *p, struct shard *s, const struct vfm_packet *packet, struct trace *t)
{
	static struct machine m;
	struct vfm_insn insn;

	t->n = 0;
	machine_init(&m, p->code, p->len, p->table_index, s, packet, VFM_DEFAULT_INSN_LIMIT);
	do {
		uint16_t flags;

		vfm_decode(p->code, p->len, m.pc, &insn);
		flags = vfm_ops[insn.op].flags;
		if ((flags & (VFM_F_READ | VFM_F_UPDATE)) && t->n < TRACE_MAX)
			t->items[t->n++] = (struct access){.pc = insn.pc,
							   .table = insn.table,
							   .update = flags & VFM_F_UPDATE,
							   .key = m.stack[m.sp - vfm_ops[insn.op].pops]};
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

/* Two equal shards with the same history, and the packet that comes next. */
struct trial {
	struct shard *left, *right;
	struct gen_rng rng;
	uint64_t time_us;
	uint8_t buf[PACKET_BYTES];
	struct vfm_packet packet;
	struct trace trace[2];
};

static void next_packet(struct trial *t)
{
	t->packet = (struct vfm_packet){.data = t->buf, .len = gen_split_packet(&t->rng, t->buf, &t->time_us)};
	t->packet.time_us = t->time_us;
}

static void step_both(const struct analysis *a, struct trial *t)
{
	run_traced(a->program, t->left, &t->packet, &t->trace[0]);
	run_traced(a->program, t->right, &t->packet, &t->trace[1]);
}

/* No update meets what configuration reads. */
static void check_config(const struct analysis *a, const struct trace *t, uint64_t seed)
{
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t object = object_at(a, t->items[i].pc);

		if (object == IR_NONE)
			fail_msg("TEST_SEED=%llu: at %u an access that belongs to no object\n%s", (unsigned long long)seed,
				 t->items[i].pc, text);
		if (a->objects.items[object].updateable)
			continue;
		count.config_reads++;
		if (t->items[i].update)
			fail_msg("TEST_SEED=%llu: at %u an update of configuration\n%s", (unsigned long long)seed, t->items[i].pc,
				 text);
		for (uint32_t j = 0; j < t->n; j++)
			if (t->items[j].update && t->items[j].table == t->items[i].table && t->items[j].key == t->items[i].key)
				fail_msg("TEST_SEED=%llu: %u updates what %u reads as configuration\n%s", (unsigned long long)seed,
					 t->items[j].pc, t->items[i].pc, text);
	}
}

static void begin(const struct analysis *a, struct trial *t, uint64_t seed, int number)
{
	uint32_t history;

	t->rng = (struct gen_rng){seed * 1000003 + (uint64_t)number};
	gen_next(&t->rng);
	t->time_us = 1000000;
	t->left = new_shard(a->program);
	t->right = new_shard(a->program);
	history = gen_below(&t->rng, HISTORY_MAX + 1);
	for (uint32_t i = 0; i < history; i++) {
		next_packet(t);
		step_both(a, t);
		check_config(a, &t->trace[0], seed);
	}
	next_packet(t);
}

static void end(struct trial *t)
{
	shard_free(t->left);
	shard_free(t->right);
}

/* May the bit change the object's keys, as the dimensions have it? */
static bool is_inside(const struct dims *d, uint32_t offset, uint8_t mask)
{
	if (d->dropped)
		return true;
	for (uint32_t i = 0; i < d->n; i++) {
		const struct dim *x = &d->items[i];

		if (x->offset == DIM_NO_OFFSET && offset >= WITHOUT)
			return true;
		if (x->offset == DIM_NO_OFFSET || offset < x->offset || offset >= x->offset + x->bytes)
			continue;
		if (x->mask >> 8 * (x->bytes - 1 - (offset - x->offset)) & mask)
			return true;
	}
	return false;
}

/* An access of the object at which both runs were, with different keys. */
static const struct access *differing(const struct analysis *a, const struct trial *t, uint32_t object)
{
	for (uint32_t i = 0; i < t->trace[0].n; i++)
		for (uint32_t j = 0; j < t->trace[1].n; j++)
			if (t->trace[0].items[i].pc == t->trace[1].items[j].pc &&
			    t->trace[0].items[i].key != t->trace[1].items[j].key && object_at(a, t->trace[0].items[i].pc) == object)
				return &t->trace[0].items[i];
	return NULL;
}

static void try_dimensions(const struct analysis *a, uint64_t seed, int number)
{
	uint32_t object = (uint32_t)number % a->objects.n, offset;
	struct vfm_packet flipped;
	uint8_t copy[PACKET_BYTES], mask;
	const struct access *at;
	static struct trial t;

	begin(a, &t, seed, number);
	if (t.packet.len) {
		offset = gen_below(&t.rng, t.packet.len);
		mask = (uint8_t)(1u << gen_below(&t.rng, 8));
		memcpy(copy, t.buf, t.packet.len);
		copy[offset] ^= mask;
		flipped = t.packet;
		flipped.data = copy;
		run_traced(a->program, t.left, &t.packet, &t.trace[0]);
		run_traced(a->program, t.right, &flipped, &t.trace[1]);
		at = differing(a, &t, object);
		if (is_inside(&a->stages.objects[object].dims, offset, mask)) {
			count.inside++;
			count.inside_changed += at != NULL;
		} else {
			count.outside++;
			if (at)
				fail_msg("TEST_SEED=%llu: object %u: bit 0x%02x of byte %u changes the key at %u\n%s",
					 (unsigned long long)seed, object, mask, offset, at->pc, text);
		}
	}
	end(&t);
}

static bool same_result(const struct trial *t)
{
	return t->trace[0].result.value == t->trace[1].result.value && t->trace[0].result.error == t->trace[1].result.error;
}

/* Puts random values under the keys that the packet is about to use, and a few others. */
static void disturb(const struct analysis *a, struct trial *t, uint8_t table)
{
	uint32_t index = (uint32_t)a->program->table_index[table];
	struct shard *scout = new_shard(a->program);
	static struct trace seen;

	run_traced(a->program, scout, &t->packet, &seen);
	for (uint32_t i = 0; i < seen.n; i++)
		if (seen.items[i].table == table)
			shard_store(t->right, index, seen.items[i].key, gen_below(&t->rng, 6));
	shard_store(t->right, index, gen_below(&t->rng, 8), gen_below(&t->rng, 6));
	shard_free(scout);
}

static void try_impact(const struct analysis *a, uint64_t seed, int number)
{
	uint32_t object = (uint32_t)number % a->objects.n;
	const struct object_stages *s = &a->stages.objects[object];
	bool changed = false;
	static struct trial t;

	if (s->coupled) /* an entry cannot be told to be one object's */
		return;
	begin(a, &t, seed, number + TRIALS);
	disturb(a, &t, a->objects.items[object].table);
	for (int i = 0; i <= LATER; i++) {
		step_both(a, &t);
		changed = changed || !same_result(&t);
		next_packet(&t);
	}
	if (s->output == OUTPUT_NONE && changed)
		fail_msg("TEST_SEED=%llu: object %u of table %u changes a verdict\n%s", (unsigned long long)seed, object,
			 a->objects.items[object].table, text);
	count.harmless += s->output == OUTPUT_NONE;
	count.harmful += s->output != OUTPUT_NONE;
	count.harmful_changed += s->output != OUTPUT_NONE && changed;
	end(&t);
}

/* ---- rewriting ---- */

/* Replaces every occurrence. */
static void replace(char *out, size_t room, const char *in, const char *what, const char *with)
{
	size_t used = 0, n = strlen(what);

	while (*in && used + strlen(with) + 2 < room) {
		if (!strncmp(in, what, n)) {
			used += (size_t)snprintf(out + used, room - used, "%s", with);
			in += n;
		} else {
			out[used++] = *in++;
		}
	}
	out[used] = 0;
}

static const char *const rewrites[][2] = {
	{"PUSH 16\nSHL\n", "PUSH 65536\nMUL\n"},
	{"PUSH 32\nSHL\n", "PUSH 0x100000000\nMUL\n"},
	{"\nOR\n", "\nSWAP\nOR\n"},
	{"\nXOR\n", "\nSWAP\nXOR\n"},
	{"\nAND\n", "\nSWAP\nAND\n"},
	{"\nADD\n", "\nSWAP\nADD\n"},
	{"LD32 26\n", "LD32 26\nDUP\nPOP\n"},
	{"LD32 26\n", "LD32 26\nLD32 26\nAND\n"}, /* computed again */
	{"PUSH 1\n", "PUSH 7\nPOP\nPUSH 1\n"},    /* dead code */
	{"FLOW_LOAD ", "FLOW_LOAD 1"},            /* other table numbers: in the next three rows, too */
};

static enum split_verdict verdict_of(struct program *p)
{
	static struct analysis a;
	enum split_verdict v;

	assert_int_equal(analysis_run(p, &a), 0);
	v = a.split.verdict;
	analysis_fini(&a);
	return v;
}

static void rename_tables(char *out, size_t room, const char *in)
{
	static char half[4 * GEN_SPLIT_TEXT_BYTES], most[4 * GEN_SPLIT_TEXT_BYTES];

	replace(half, sizeof(half), in, "FLOW_LOAD ", "FLOW_LOAD 1");
	replace(most, sizeof(most), half, "FLOW_STORE ", "FLOW_STORE 1");
	replace(half, sizeof(half), most, "FLOW_ADD ", "FLOW_ADD 1");
	replace(out, room, half, "FLOW_DEL ", "FLOW_DEL 1");
}

static void try_rewrite(const struct analysis *a, uint64_t seed)
{
	static char changed[4 * GEN_SPLIT_TEXT_BYTES];
	size_t which = seed % (sizeof(rewrites) / sizeof(rewrites[0]));
	enum split_verdict v;
	struct program *p;

	if (!strncmp(rewrites[which][0], "FLOW", 4))
		rename_tables(changed, sizeof(changed), text);
	else
		replace(changed, sizeof(changed), text, rewrites[which][0], rewrites[which][1]);
	p = assemble(changed);
	assert_non_null(p);
	v = verdict_of(p);
	count.rewritten += strcmp(changed, text) != 0;
	if (v != a->split.verdict)
		fail_msg("TEST_SEED=%llu: %s before, %s after rewriting %s\n%s", (unsigned long long)seed,
			 split_name(a->split.verdict), split_name(v), rewrites[which][0], text);
	program_free(p);
}

/* ---- pinned: the pairs ---- */

/* What the candidate makes of the packet, from a run of it alone: the first key of the candidate's object, or the flow's hash. Whether it
 * uses the entry, too. */
static bool run_witness(const struct analysis *a, const struct witness *w, const uint8_t *data, uint32_t len, uint64_t *way)
{
	struct vfm_packet packet = {.data = data, .len = len};
	struct shard *s = new_shard(a->program);
	bool used = false, parted = false;
	static struct trace t;

	for (uint32_t i = 0; i < w->n_preload; i++)
		shard_store(s, (uint32_t)a->program->table_index[w->preload[i].table], w->preload[i].key, w->preload[i].value);
	run_traced(a->program, s, &packet, &t);
	shard_free(s);
	if (w->object == IR_NONE) {
		*way = vfm_hash5s(data, len, 0);
		parted = *way != 0;
	}
	for (uint32_t i = 0; i < t.n; i++) {
		used = used || (t.items[i].table == w->table && t.items[i].key == w->key);
		if (w->object != IR_NONE && !parted && object_at(a, t.items[i].pc) == w->object) {
			*way = t.items[i].key;
			parted = true;
		}
	}
	return used && parted;
}

static void try_witnesses(const struct analysis *a, uint64_t seed)
{
	count.pinned += a->split.verdict == SPLIT_PINNED;
	for (uint32_t i = 0; i < a->witnesses.n; i++) {
		const struct witness *w = &a->witnesses.items[i];
		uint64_t left = 0, right = 0;

		if (!run_witness(a, w, w->a, w->a_len, &left) || !run_witness(a, w, w->b, w->b_len, &right) || left == right ||
		    left != w->steer_a || right != w->steer_b)
			fail_msg("TEST_SEED=%llu: pair %u proves nothing: table %u key %llx, ways %llx and %llx\n%s",
				 (unsigned long long)seed, i, w->table, (unsigned long long)w->key, (unsigned long long)left,
				 (unsigned long long)right, text);
		count.pairs++;
	}
}

static void run_program(uint64_t seed)
{
	static struct analysis a;
	struct program *p;

	gen_split_program(seed, text);
	p = assemble(text);
	if (!p)
		return; /* some statement made code that cannot be reached */
	if (getenv("TEST_SEED"))
		print_message("%s\n", text);
	assert_int_equal(analysis_run(p, &a), 0);
	count.programs++;
	for (int i = 0; i < TRIALS && a.objects.n; i++) {
		try_dimensions(&a, seed, i);
		try_impact(&a, seed, i);
	}
	try_witnesses(&a, seed);
	try_rewrite(&a, seed);
	analysis_fini(&a);
	program_free(p);
}

static void what_the_stages_say_holds_in_every_run(void **state)
{
	const char *only = getenv("TEST_SEED");
	uint64_t n = getenv("TEST_ALL") ? 100000 : 1000;

	(void)state;
	if (only) {
		run_program(strtoull(only, NULL, 0));
		return;
	}
	for (uint64_t seed = 0; seed < n; seed++)
		run_program(seed);
	print_message("%llu programs, %llu rewritten; %llu configuration reads\n"
		      "bits outside the dimensions: %llu, none changed a key; inside: %llu, %.0f %% changed one\n"
		      "objects without impact disturbed: %llu, no verdict changed; with impact: %llu, %.0f %% changed one\n"
		      "pinned: %llu, with %llu pairs of packets that prove it, all confirmed\n",
		      (unsigned long long)count.programs, (unsigned long long)count.rewritten,
		      (unsigned long long)count.config_reads, (unsigned long long)count.outside, (unsigned long long)count.inside,
		      100.0 * (double)count.inside_changed / (double)count.inside, (unsigned long long)count.harmless,
		      (unsigned long long)count.harmful, 100.0 * (double)count.harmful_changed / (double)count.harmful,
		      (unsigned long long)count.pinned, (unsigned long long)count.pairs);
	/* Floors: what was never tried was not tested. */
	assert_true(count.outside > n);
	assert_true(count.inside_changed * 20 > count.inside);
	assert_true(count.harmless * 5 > n);
	assert_true(count.harmful_changed * 10 > count.harmful);
	assert_true(count.config_reads * 5 > n);
	assert_true(count.rewritten * 3 > n);
	assert_true(count.pairs > count.pinned / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_the_stages_say_holds_in_every_run)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_steering.c: for every packet the steering program gives what the keys say. The program is run step by step, each key is taken off
 * the stack in front of an owned access and projected by the certificate's rows, read here and not by the plan; the steering program's
 * bytes are run by themselves. All examples that split, and random stateful filters, over generated traffic.
 *
 *     TEST_ALL=1   10^6 packets and more instead of 10^4
 *     TEST_SEED=N  only random filter N, with its text
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "analysis/analysis.h"
#include "test/lib/examples.h"
#include "test/lib/gen_split.h"
#include "test/lib/packets.h"
#include "test/lib/traffic.h"
#include "vm/asm.h"
#include "vm/step.h"
#include "vm/vfm.h"

static struct {
	uint64_t programs, packets, keys;
} count;

static uint64_t per_example, per_generated;

/* One certificate under test, with what runs it. */
struct subject {
	const char *name, *text;
	const struct program *program;
	const struct cert *cert;
	struct program *steer;
	struct shard *state, *nothing;
	uint64_t keys;
};

static struct shard *new_shard(const struct program *p)
{
	struct program_state_options o = {.idle_s = -1, .default_capacity = 4096, .flat = true};
	struct shard *s = program_shard_new(p, &o);

	assert_non_null(s);
	return s;
}

/* What the steering program's bytes return. */
static uint64_t steered(const struct subject *s, const struct vfm_packet *packet)
{
	static struct machine m;

	machine_init(&m, s->steer->code, s->steer->len, s->steer->table_index, s->nothing, packet, VFM_DEFAULT_INSN_LIMIT);
	machine_run(&m);
	if (m.result.error)
		fail_msg("%s: the steering program ends in error %d\n%s", s->name, m.result.error, s->text);
	return m.result.value;
}

static bool is_listed(const struct cert *c, uint32_t pc)
{
	for (uint32_t i = 0; i < c->n_sites; i++)
		if (c->sites[i].pc == pc)
			return true;
	return false;
}

static bool projected(const struct cert *c, uint8_t table, uint64_t key, uint64_t *out)
{
	for (uint32_t i = 0; i < c->n_rows; i++) {
		const struct cert_row *r = &c->rows[i];

		if (r->table != table || (key & r->mask) != r->match)
			continue;
		*out = key >> r->first;
		if (r->bits < 64)
			*out &= (1ULL << r->bits) - 1;
		return true;
	}
	return false;
}

static bool guard_holds(const struct cert *c, const struct vfm_packet *packet)
{
	for (uint32_t i = 0; i < c->n_guards; i++) {
		const struct cert_guard *g = &c->guards[i];
		uint64_t v = 0;

		if (g->offset + g->bytes > packet->len)
			continue;
		for (uint32_t k = 0; k < g->bytes; k++)
			v = v << 8 | packet->data[g->offset + k];
		if (((v & g->mask) == g->value) != g->equal)
			return false;
	}
	return true;
}

static void one_packet(struct subject *s, const struct vfm_packet *packet)
{
	uint64_t way, key, got = 0;
	static struct machine m;
	struct vfm_insn insn;

	if (!guard_holds(s->cert, packet))
		return;
	way = steered(s, packet);
	machine_init(&m, s->program->code, s->program->len, s->program->table_index, s->state, packet, VFM_DEFAULT_INSN_LIMIT);
	do {
		vfm_decode(s->program->code, s->program->len, m.pc, &insn);
		if (!(vfm_ops[insn.op].flags & (VFM_F_READ | VFM_F_UPDATE)) || is_listed(s->cert, insn.pc))
			continue;
		key = m.stack[m.sp - vfm_ops[insn.op].pops];
		s->keys++;
		if (!projected(s->cert, insn.table, key, &got) || got != way)
			fail_msg("%s: the key at %u is 0x%llx, its projection 0x%llx, but the packet is steered by 0x%llx\n%s",
				 s->name, insn.pc, (unsigned long long)key, (unsigned long long)got, (unsigned long long)way,
				 s->text);
	} while (machine_step(&m));
	count.packets++;
}

/* Hosts and ports that often meet, and a network's traffic with IPv6, VLANs, fragments and damage. */
static void run_packets(struct subject *s, uint64_t n, uint64_t seed)
{
	struct gen_rng rng = {seed ^ 0x57ee4};
	struct traffic_config config;
	struct traffic *traffic;
	uint8_t buf[PACKET_BYTES];
	uint64_t time_us = 1000000;
	uint32_t len;

	traffic_config_init(&config);
	config.seed = seed;
	config.packets = n / 2;
	config.clients = 50;
	traffic = traffic_new(&config);
	assert_non_null(traffic);
	for (uint64_t i = 0; i < n - n / 2; i++) {
		struct vfm_packet packet = {.data = buf, .len = gen_split_packet(&rng, buf, &time_us), .time_us = time_us};

		one_packet(s, &packet);
	}
	while (traffic_next(traffic, buf, &len, &time_us)) {
		struct vfm_packet packet = {.data = buf, .len = len, .time_us = time_us};

		one_packet(s, &packet);
	}
	traffic_free(traffic);
}

/* False: there is nothing to steer by. */
static bool try_program(const char *name, const char *text, const struct program *p, uint64_t packets, uint64_t seed)
{
	struct subject s = {.name = name, .text = text, .program = p};
	struct vfm_reject reject;
	struct objects objects;
	struct split split;
	struct ir *ir = ir_new(p, NULL);
	bool steers;

	assert_non_null(ir);
	assert_int_equal(objects_find(ir, &objects), 0);
	assert_int_equal(split_search(ir, &objects, &split), 0);
	steers = split.cert && split.cert->n_rows;
	if (steers) {
		s.cert = split.cert;
		s.steer = program_new(split.cert->steer, split.cert->steer_bytes, 0, &reject);
		assert_non_null(s.steer);
		s.state = new_shard(p);
		s.nothing = new_shard(s.steer);
		run_packets(&s, packets, seed);
		count.programs++;
		count.keys += s.keys;
		shard_free(s.nothing);
		shard_free(s.state);
		program_free(s.steer);
	}
	split_fini(&split);
	objects_fini(&objects);
	ir_free(ir);
	return steers && s.keys;
}

static void visit_example(void *arg, const char *path, const struct program *p)
{
	*(uint32_t *)arg += try_program(path, "", p, per_example, 1);
}

static void generated(uint64_t seed)
{
	static char text[GEN_SPLIT_TEXT_BYTES];
	static struct diag_list d;
	struct vfm_reject reject;
	struct program *p;
	uint8_t *code;
	uint32_t len;
	char name[32];

	gen_split_program(seed, text);
	diag_init(&d, "generated", text, (uint32_t)strlen(text));
	if (asm_assemble(text, strlen(text), false, &code, &len, &d))
		fail_msg("%s\n%s", d.items[0].text, text);
	p = program_new(code, len, 0, &reject);
	free(code);
	if (!p)
		return; /* some statement made code that cannot be reached */
	snprintf(name, sizeof(name), "TEST_SEED=%llu", (unsigned long long)seed);
	try_program(name, text, p, per_generated, seed);
	program_free(p);
}

static void the_steering_program_gives_what_the_keys_say(void **state)
{
	uint64_t n = getenv("TEST_ALL") ? 10000 : 250;
	const char *only = getenv("TEST_SEED");
	uint32_t used = 0;

	(void)state;
	per_example = getenv("TEST_ALL") ? 20000 : 200;
	per_generated = getenv("TEST_ALL") ? 100 : 40;
	if (only) {
		generated(strtoull(only, NULL, 0));
		return;
	}
	assert_true(examples_visit(visit_example, &used) > 50);
	for (uint64_t seed = 0; seed < n; seed++)
		generated(seed);
	print_message("%llu programs, %u of them examples; %llu packets steered, %llu keys compared\n",
		      (unsigned long long)count.programs, used, (unsigned long long)count.packets, (unsigned long long)count.keys);
	/* Floors: what met no key was not tested. */
	assert_true(used >= 22);
	assert_true(count.packets >= (getenv("TEST_ALL") ? 1000000 : 10000));
	assert_true(count.keys > count.packets / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_steering_program_gives_what_the_keys_say)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

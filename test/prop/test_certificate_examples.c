/* test_certificate_examples.c: the certificates of all examples, field by field. Every bit of the digest, of the steering program and of
 * each row and conjunct is turned over, every other number takes its neighbours' values, every row, conjunct and listed site is left out,
 * every access is listed that was not. What the checker does not refuse must be true: the paranoid interpreter and the flat machine
 * say so on generated traffic. The certificates themselves are put to the same test.
 *
 *     TEST_ALL=1   every mutation; 10^5 packets for each certificate and 10^4 for each mutation that is accepted, instead of some
 *                  mutations and a tenth or a hundredth of the packets
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
#include "analysis/plan.h"
#include "test/lib/examples.h"
#include "test/lib/gen_split.h"
#include "test/lib/packets.h"
#include "test/lib/traffic.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define SHARDS 8

static struct {
	uint64_t certificates, mutations, refused, accepted, packets;
} count;

static uint64_t packets_original, packets_mutant;
static uint32_t every; /* this many mutations apart are tried */

/* ---- one mutation after the other ---- */

/* A walk over all mutations of a certificate: each step copies the original into *out and changes one thing. */
struct walk {
	const struct cert *from;
	const struct program *program;
	struct cert *out;
	uint32_t at, wanted; /* mutations seen so far; the one that is made */
	bool made;
	char what[128];
};

/* Is this the one? */
static bool here(struct walk *w, const char *what, uint32_t item, uint32_t bit)
{
	if (w->at++ != w->wanted)
		return false;
	snprintf(w->what, sizeof(w->what), "%s %u, %u", what, item, bit);
	w->made = true;
	return true;
}

static void turn_bits(struct walk *w, const char *what, uint32_t item, uint8_t *bytes, uint32_t n)
{
	for (uint32_t i = 0; i < 8 * n; i++)
		if (here(w, what, item, i))
			bytes[i / 8] ^= (uint8_t)(1u << i % 8);
}

static void change_row(struct walk *w, uint32_t i)
{
	struct cert_row *r = &w->out->rows[i];

	turn_bits(w, "row mask", i, (uint8_t *)&r->mask, sizeof(r->mask));
	turn_bits(w, "row match", i, (uint8_t *)&r->match, sizeof(r->match));
	turn_bits(w, "row table", i, &r->table, 1);
	for (uint32_t first = 0; first < 64; first++)
		if (first != r->first && first + r->bits <= 64 && here(w, "row first", i, first))
			r->first = (uint8_t)first;
	for (uint32_t bits = 1; bits + r->first <= 64; bits++)
		if (bits != r->bits && here(w, "row bits", i, bits))
			r->bits = (uint8_t)bits;
	if (here(w, "row left out", i, 0)) {
		w->out->n_rows--;
		memmove(r, r + 1, (w->out->n_rows - i) * sizeof(*r));
	}
	if (i && here(w, "rows exchanged", i, 0)) {
		struct cert_row other = r[-1];

		r[-1] = *r;
		*r = other;
	}
}

static void change_guard(struct walk *w, uint32_t i)
{
	struct cert_guard *g = &w->out->guards[i];

	turn_bits(w, "guard offset", i, (uint8_t *)&g->offset, 2);
	turn_bits(w, "guard mask", i, (uint8_t *)&g->mask, g->bytes);
	turn_bits(w, "guard value", i, (uint8_t *)&g->value, g->bytes);
	for (uint32_t bytes = 1; bytes <= 8; bytes *= 2)
		if (bytes != g->bytes && here(w, "guard bytes", i, bytes))
			g->bytes = (uint8_t)bytes;
	if (here(w, "guard equal", i, 0))
		g->equal = !g->equal;
	if (here(w, "guard left out", i, 0)) {
		w->out->n_guards--;
		memmove(g, g + 1, (w->out->n_guards - i) * sizeof(*g));
	}
}

static void change_site(struct walk *w, uint32_t i)
{
	struct cert_site *s = &w->out->sites[i];

	if (here(w, "site's kind", i, 0))
		s->partial = !s->partial;
	for (uint8_t class = 0; class < CERT_CLASSES; class ++)
		if (s->partial && class != s->merge_class && here(w, "site's class", i, class))
			s->merge_class = class;
	turn_bits(w, "site's table", i, &s->table, 1);
	if (here(w, "site's address", i, 0))
		s->pc++;
	if (here(w, "site left out", i, 0)) {
		w->out->n_sites--;
		memmove(s, s + 1, (w->out->n_sites - i) * sizeof(*s));
	}
}

/* An owned site that is listed as configuration or as statistics of some class. */
static void list_site(struct walk *w, const struct vfm_insn *insn)
{
	for (uint32_t kind = 0; kind <= CERT_CLASSES; kind++) {
		struct cert *c = w->out;
		uint32_t place = 0;

		if (!here(w, "listed access", insn->pc, kind))
			continue;
		while (place < c->n_sites && c->sites[place].pc < insn->pc)
			place++;
		memmove(&c->sites[place + 1], &c->sites[place], (c->n_sites++ - place) * sizeof(c->sites[0]));
		c->sites[place] = (struct cert_site){
			.pc = insn->pc, .table = insn->table, .partial = kind > 0, .merge_class = (uint8_t)(kind ? kind - 1 : 0)};
	}
}

/* Makes mutation `wanted`; false: there are fewer. */
static bool mutate(struct walk *w, uint32_t wanted)
{
	const struct vfm_proof *proof = &w->program->proof;
	struct cert *c = w->out;

	memcpy(c, w->from, sizeof(*c));
	w->at = 0;
	w->wanted = wanted;
	w->made = false;
	turn_bits(w, "digest", 0, c->program_sha256, sizeof(c->program_sha256));
	turn_bits(w, "steer", 0, c->steer, c->steer_bytes);
	if (!w->made && here(w, "steer cut", 0, 0))
		c->steer_bytes--;
	for (uint32_t i = 0; !w->made && i < w->from->n_rows; i++)
		change_row(w, i);
	for (uint32_t i = 0; !w->made && i < w->from->n_guards; i++)
		change_guard(w, i);
	for (uint32_t i = 0; !w->made && i < w->from->n_sites; i++)
		change_site(w, i);
	for (uint32_t i = 0; !w->made && i < proof->n; i++)
		if ((vfm_ops[proof->insns[i].op].flags & (VFM_F_READ | VFM_F_UPDATE)) && !cert_site_at(w->from, proof->insns[i].pc))
			list_site(w, &proof->insns[i]);
	return w->made;
}

/* ---- is what was accepted true? ---- */

struct trial {
	const char *path, *what;
	const struct cert *cert;
	struct plan *plan;
	struct shard *shards[SHARDS], *flat;
};

static struct shard *new_shard(const struct program *p)
{
	struct program_state_options o = {.idle_s = -1, .default_capacity = 512, .flat = true};
	struct shard *s = program_shard_new(p, &o);

	assert_non_null(s);
	return s;
}

static void one_packet(struct trial *t, const struct vfm_packet *packet)
{
	const struct program *p = t->plan->program;
	static struct machine m;
	struct vfm_result split;
	uint64_t key = 0;
	uint32_t pc = 0;

	if (!plan_guard_holds(t->plan, packet))
		return;
	count.packets++;
	if (plan_run_paranoid(t->plan, t->shards[plan_shard(t->plan, packet)], packet, VFM_DEFAULT_INSN_LIMIT, &split, &pc, &key))
		fail_msg("%s, %s: accepted, but at %u key %llx projects elsewhere\n%s", t->path, t->what, pc,
			 (unsigned long long)key, cert_encode(t->cert));
	machine_init(&m, p->code, p->len, p->table_index, t->flat, packet, VFM_DEFAULT_INSN_LIMIT);
	machine_run(&m);
	if (m.result.value != split.value || m.result.error != split.error)
		fail_msg("%s, %s: accepted, but split %llu, flat %llu\n%s", t->path, t->what, (unsigned long long)split.value,
			 (unsigned long long)m.result.value, cert_encode(t->cert));
}

/* Half of it few hosts whose keys meet, half of it a network's traffic. */
static void run_packets(struct trial *t, uint64_t n)
{
	struct gen_rng rng = {count.mutations};
	struct traffic_config config;
	struct traffic *traffic;
	uint8_t buf[PACKET_BYTES];
	uint64_t time_us = 1000000;
	uint32_t len;

	traffic_config_init(&config);
	config.seed = 1 + count.mutations;
	config.packets = n / 2;
	traffic = traffic_new(&config);
	assert_non_null(traffic);
	for (uint64_t i = 0; i < n - n / 2; i++) {
		struct vfm_packet packet = {.data = buf, .len = gen_split_packet(&rng, buf, &time_us), .time_us = time_us};

		one_packet(t, &packet);
	}
	while (traffic_next(traffic, buf, &len, &time_us)) {
		struct vfm_packet packet = {.data = buf, .len = len, .time_us = time_us};

		one_packet(t, &packet);
	}
	traffic_free(traffic);
}

static void check_true(const char *path, const char *what, const struct program *p, const struct cert *c, uint64_t packets)
{
	struct trial t = {.path = path, .what = what, .cert = c};
	char why[256];

	assert_int_equal(plan_new(p, c, SHARDS, 0, &t.plan, why, sizeof(why)), 0);
	for (int i = 0; i < SHARDS; i++)
		t.shards[i] = new_shard(p);
	t.flat = new_shard(p);
	run_packets(&t, packets);
	for (int i = 0; i < SHARDS; i++)
		shard_free(t.shards[i]);
	shard_free(t.flat);
	plan_free(t.plan);
}

static void try_certificate(const char *path, const struct program *p, const struct cert *c)
{
	struct walk w = {.from = c, .program = p, .out = malloc(sizeof(*w.out))};
	char why[256];

	assert_non_null(w.out);
	assert_int_equal(cert_check(c, p, why, sizeof(why)), 0);
	count.certificates++;
	check_true(path, "as it is", p, c, packets_original);
	for (uint32_t i = (uint32_t)(count.certificates % every); mutate(&w, i); i += every) {
		count.mutations++;
		why[0] = 0;
		if (cert_check(w.out, p, why, sizeof(why))) {
			count.refused++;
			assert_true(strlen(why) > 0);
			continue;
		}
		count.accepted++;
		if (!strncmp(w.what, "digest", 6))
			fail_msg("%s: the certificate of another program is accepted", path);
		check_true(path, w.what, p, w.out, packets_mutant);
	}
	free(w.out);
}

static void visit(void *arg, const char *path, const struct program *p)
{
	struct objects objects;
	struct split split;
	struct ir *ir = ir_new(p, NULL);

	(void)arg;
	assert_non_null(ir);
	assert_int_equal(objects_find(ir, &objects), 0);
	assert_int_equal(split_search(ir, &objects, &split), 0);
	if (split.cert && objects.n)
		try_certificate(path, p, split.cert);
	split_fini(&split);
	objects_fini(&objects);
	ir_free(ir);
}

static void every_field_of_every_certificate_of_the_examples_matters(void **state)
{
	(void)state;
	every = getenv("TEST_ALL") ? 1 : 41;
	packets_original = getenv("TEST_ALL") ? 100000 : 1000;
	packets_mutant = getenv("TEST_ALL") ? 10000 : 1000;
	assert_true(examples_visit(visit, NULL) > 50);
	print_message("%llu certificates, %llu mutations: %llu refused, %llu accepted and true on %llu packets\n",
		      (unsigned long long)count.certificates, (unsigned long long)count.mutations,
		      (unsigned long long)count.refused, (unsigned long long)count.accepted, (unsigned long long)count.packets);
	/* Floors: what was never tried was not tested. */
	assert_true(count.certificates >= 30);
	assert_true(count.mutations > 400);
	assert_true(count.refused * 10 > count.mutations * 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_field_of_every_certificate_of_the_examples_matters)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

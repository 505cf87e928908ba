/* test_certificate.c: no lie gets past the checker. Every real certificate, with one field changed, is either refused or still true: true
 * is what the paranoid interpreter and the flat machine find, packet for packet. The certificates are those of random stateful
 * filters and of the examples.
 *
 *     TEST_ALL=1   10^5 mutations instead of some thousands
 *     TEST_SEED=N  only program N
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
#include "analysis/plan.h"
#include "test/lib/gen_split.h"
#include "test/lib/merged.h"
#include "test/lib/packets.h"
#include "vm/asm.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define SHARDS    8
#define PACKETS   100
#define MUTATIONS 12 /* of each certificate */

static struct {
	uint64_t certificates, mutations, refused, harmless;
} count;

static char text[GEN_SPLIT_TEXT_BYTES];
static struct cert_site sites[CERT_MAX_SITES];

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

/* ---- mutations: one field each ---- */

static void mutate_steer(struct cert *c, struct gen_rng *r)
{
	c->steer[gen_below(r, c->steer_bytes)] ^= (uint8_t)(1u << gen_below(r, 8));
}

static bool mutate_row(struct cert *c, struct gen_rng *r)
{
	struct cert_row *row;

	if (!c->n_rows)
		return false;
	row = &c->rows[gen_below(r, c->n_rows)];
	switch (gen_below(r, 6)) {
	case 0:
		row->first = (uint8_t)(row->first ^ (1u << gen_below(r, 6)));
		break;
	case 1:
		row->bits = (uint8_t)gen_below(r, 66);
		break;
	case 2:
		row->mask ^= 1ULL << gen_below(r, 64);
		break;
	case 3:
		row->match ^= 1ULL << gen_below(r, 64);
		break;
	case 4:
		row->table = (uint8_t)(row->table ^ (1u << gen_below(r, 3)));
		break;
	default: /* the row is gone */
		*row = c->rows[--c->n_rows];
		break;
	}
	return true;
}

static bool mutate_guard(struct cert *c, struct gen_rng *r)
{
	struct cert_guard *g;

	if (!c->n_guards)
		return false;
	g = &c->guards[gen_below(r, c->n_guards)];
	switch (gen_below(r, 5)) {
	case 0:
		g->offset ^= 1u << gen_below(r, 6);
		break;
	case 1:
		g->equal = !g->equal;
		break;
	case 2:
		g->mask ^= 1ULL << gen_below(r, 8 * g->bytes);
		break;
	case 3:
		g->value ^= 1ULL << gen_below(r, 8 * g->bytes);
		break;
	default:
		*g = c->guards[--c->n_guards];
		break;
	}
	return true;
}

/* All sites of a table become partial of a class, whatever they were. */
static bool mutate_table(struct cert *c, const struct program *p, struct gen_rng *r)
{
	uint8_t class = (uint8_t)gen_below(r, CERT_CLASSES), table;
	uint32_t kept = 0;

	if (!p->n_tables)
		return false;
	table = p->tables[gen_below(r, p->n_tables)].number;
	for (uint32_t i = 0; i < p->proof.n; i++) {
		const struct vfm_insn *insn = &p->proof.insns[i];
		const struct cert_site *was = cert_site_at(c, insn->pc);

		if (!(vfm_ops[insn->op].flags & (VFM_F_READ | VFM_F_UPDATE)) || (insn->table != table && !was))
			continue;
		sites[kept++] = insn->table != table
					? *was
					: (struct cert_site){.pc = insn->pc, .table = table, .partial = true, .merge_class = class};
	}
	c->n_sites = kept;
	memcpy(c->sites, sites, kept * sizeof(sites[0]));
	return true;
}

/* A listed site is dropped, changes its kind or class, or an owned site is listed. */
static bool mutate_site(struct cert *c, const struct program *p, struct gen_rng *r)
{
	uint32_t kind = gen_below(r, 4), at;

	if (kind < 3) {
		if (!c->n_sites)
			return false;
		at = gen_below(r, c->n_sites);
		if (kind == 0)
			c->sites[at].partial = !c->sites[at].partial;
		else if (kind == 1)
			c->sites[at].merge_class = (uint8_t)gen_below(r, CERT_CLASSES);
		else
			memmove(&c->sites[at], &c->sites[at + 1], (--c->n_sites - at) * sizeof(c->sites[0]));
		return true;
	}
	at = gen_below(r, p->proof.n);
	for (uint32_t i = 0; i < p->proof.n; i++, at = (at + 1) % p->proof.n) {
		const struct vfm_insn *insn = &p->proof.insns[at];
		uint32_t place = 0;

		if (!(vfm_ops[insn->op].flags & (VFM_F_READ | VFM_F_UPDATE)) || cert_site_at(c, insn->pc))
			continue;
		while (place < c->n_sites && c->sites[place].pc < insn->pc)
			place++;
		memmove(&c->sites[place + 1], &c->sites[place], (c->n_sites++ - place) * sizeof(c->sites[0]));
		c->sites[place] = (struct cert_site){.pc = insn->pc, .table = insn->table, .partial = gen_chance(r, 50)};
		return true;
	}
	return false;
}

static bool mutate(struct cert *c, const struct program *p, struct gen_rng *r)
{
	switch (gen_below(r, 8)) {
	case 0:
	case 1:
		mutate_steer(c, r);
		return true;
	case 2:
	case 3:
		return mutate_row(c, r);
	case 4:
		return mutate_guard(c, r);
	case 5:
	case 6:
		return mutate_table(c, p, r);
	default:
		return mutate_site(c, p, r);
	}
}

/* ---- is what was accepted true? ---- */

static struct shard *new_shard(const struct program *p, bool flat)
{
	struct program_state_options o = {.idle_s = -1, .capacity = flat ? 0 : 512, .default_capacity = 512, .flat = flat};
	struct shard *s = program_shard_new(p, &o);

	assert_non_null(s);
	return s;
}

static void check_true(const struct program *p, const struct cert *c, uint64_t seed)
{
	struct shard *shards[SHARDS], *flat = new_shard(p, true);
	struct gen_rng rng = {seed ^ 0xce27};
	uint8_t buf[PACKET_BYTES];
	uint64_t time_us = 1000000;
	static struct machine m;
	const char *differs;
	struct plan *plan;
	char why[256];

	assert_int_equal(plan_new(p, c, SHARDS, 0, &plan, why, sizeof(why)), 0);
	for (int i = 0; i < SHARDS; i++)
		shards[i] = new_shard(p, false);
	for (int i = 0; i < PACKETS; i++) {
		struct vfm_packet packet = {.data = buf, .len = gen_split_packet(&rng, buf, &time_us), .time_us = time_us};
		struct vfm_result split;
		uint64_t key = 0;
		uint32_t pc = 0;

		if (!plan_guard_holds(plan, &packet))
			continue;
		if (plan_run_paranoid(plan, shards[plan_shard(plan, &packet)], &packet, VFM_DEFAULT_INSN_LIMIT, &split, &pc, &key))
			fail_msg("TEST_SEED=%llu: accepted, but at %u key %llx projects elsewhere\n%s\n%s",
				 (unsigned long long)seed, pc, (unsigned long long)key, cert_encode(c), text);
		machine_init(&m, p->code, p->len, p->table_index, flat, &packet, VFM_DEFAULT_INSN_LIMIT);
		machine_run(&m);
		if (m.result.value != split.value || m.result.error != split.error)
			fail_msg("TEST_SEED=%llu: accepted, but packet %d: split %llu, flat %llu\n%s\n%s", (unsigned long long)seed,
				 i, (unsigned long long)split.value, (unsigned long long)m.result.value, cert_encode(c), text);
	}
	differs = merged_differs(plan, shards, SHARDS, flat);
	if (differs)
		fail_msg("TEST_SEED=%llu: accepted, but %s\n%s\n%s", (unsigned long long)seed, differs, cert_encode(c), text);
	for (int i = 0; i < SHARDS; i++)
		shard_free(shards[i]);
	shard_free(flat);
	plan_free(plan);
}

static void try_certificate(const struct program *p, const struct cert *c, uint64_t seed)
{
	struct cert *mutant = malloc(sizeof(*mutant));
	struct gen_rng rng = {seed};
	char why[256];

	assert_non_null(mutant);
	gen_next(&rng);
	count.certificates++;
	assert_int_equal(cert_check(c, p, why, sizeof(why)), 0);
	for (int i = 0; i < MUTATIONS; i++) {
		memcpy(mutant, c, sizeof(*mutant));
		if (!mutate(mutant, p, &rng))
			continue;
		count.mutations++;
		if (cert_check(mutant, p, why, sizeof(why))) {
			count.refused++;
			assert_true(strlen(why) > 0);
			continue;
		}
		count.harmless++;
		check_true(p, mutant, seed);
	}
	free(mutant);
}

static void run_program(uint64_t seed)
{
	struct objects objects;
	struct program *p;
	struct split split;
	struct ir *ir;

	gen_split_program(seed, text);
	p = assemble(text);
	if (!p)
		return;
	ir = ir_new(p, NULL);
	assert_non_null(ir);
	assert_int_equal(objects_find(ir, &objects), 0);
	assert_int_equal(split_search(ir, &objects, &split), 0);
	if (split.cert)
		try_certificate(p, split.cert, seed);
	split_fini(&split);
	objects_fini(&objects);
	ir_free(ir);
	program_free(p);
}

static void a_changed_certificate_is_refused_or_still_true(void **state)
{
	const char *only = getenv("TEST_SEED");
	uint64_t n = getenv("TEST_ALL") ? 10000 : 400;

	(void)state;
	if (only) {
		run_program(strtoull(only, NULL, 0));
		return;
	}
	for (uint64_t seed = 0; seed < n; seed++)
		run_program(seed);
	print_message("%llu certificates, %llu mutations: %llu refused, %llu accepted and true\n",
		      (unsigned long long)count.certificates, (unsigned long long)count.mutations,
		      (unsigned long long)count.refused, (unsigned long long)count.harmless);
	assert_true(count.mutations > 5 * n);
	assert_true(count.refused * 2 > count.mutations);
}

/* ---- forged ---- */

static void refused(const char *source, const struct cert *forged, const char *because)
{
	struct program *p = assemble(source);
	struct cert *c = malloc(sizeof(*c));
	char why[256] = "";

	assert_non_null(p);
	assert_non_null(c);
	*c = *forged;
	cert_digest_program(p, c->program_sha256);
	if (cert_check(c, p, why, sizeof(why)) == 0)
		fail_msg("accepted: %s\n%s", because, source);
	free(c);
	program_free(p);
}

static struct cert *forge(const void *steer, uint32_t n)
{
	struct cert *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	memcpy(c->steer, steer, n);
	c->steer_bytes = n;
	c->n_rows = 1;
	c->rows[0] = (struct cert_row){.table = 1, .bits = 64};
	return c;
}

#define SOURCE "LD32 26\n PUSH 1\n FLOW_ADD 1\n RET\n"

static void forged_certificates_are_refused(void **state)
{
	static const uint8_t other_field[] = {VFM_OP_PKTLEN, VFM_OP_PUSH, 34, 0, 0, 0, 0, 0, 0, 0,          VFM_OP_JGE,  10, 0,
					      VFM_OP_PUSH,   0,           0,  0, 0, 0, 0, 0, 0, VFM_OP_RET, VFM_OP_LD32, 30, 0,
					      VFM_OP_RET};
	static const uint8_t faults[] = {VFM_OP_LD32, 26, 0, VFM_OP_RET};
	static const uint8_t clock[] = {VFM_OP_NOW, VFM_OP_RET};
	static const uint8_t endless[] = {VFM_OP_JMP, 0xfd, 0xff};
	struct cert *c;

	(void)state;
	c = forge(other_field, sizeof(other_field));
	refused(SOURCE, c, "another field");
	free(c);
	c = forge(faults, sizeof(faults));
	refused(SOURCE, c, "a steering program that faults");
	free(c);
	c = forge(clock, sizeof(clock));
	refused(SOURCE, c, "a steering program that looks at the clock");
	free(c);
	c = forge(endless, sizeof(endless));
	refused(SOURCE, c, "a steering program that never ends");
	c->steer_bytes = 0;
	refused(SOURCE, c, "no steering program");
	free(c);
	/* What the verdict depends on is no statistics; what is updated is no configuration. */
	c = forge("\x17\x16", 2); /* HASH5 RET */
	c->n_rows = 0;
	c->n_sites = 1;
	c->sites[0] = (struct cert_site){.pc = 12, .table = 1, .partial = true};
	refused(SOURCE, c, "a limit as statistics");
	c->sites[0].partial = false;
	refused(SOURCE, c, "an update as configuration");
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_changed_certificate_is_refused_or_still_true),
		cmocka_unit_test(forged_certificates_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

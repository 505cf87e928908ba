/* test_vflisp_eval.c: compiled VFLisp against a naive evaluator of the tests' own (test/lib/vfl_tree_eval.c): result, error, and what lies in the
 * tables afterwards, over random programs and packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/mix.h"
#include "test/lib/packets.h"
#include "test/lib/vfl_tree.h"
#include "vm/step.h"
#include "vm/vflisp.h"
#include "vm/vfm.h"

#define PACKETS_EACH   20
#define SHORT_PROGRAMS 1500  /* 3 * 10^4 runs */
#define ALL_PROGRAMS   50000 /* 10^6 runs */

static uint64_t seen[4]; /* runs without an error, and with BOUNDS, DIVISION_BY_ZERO, LIMIT */

static uint8_t pool[96][PACKET_BYTES];
static uint32_t pool_len[96], n_pool;

static const uint8_t v6[2][16] = {{0x20, 1, 0xd, 0xb8, [15] = 1}, {0x20, 1, 0xd, 0xb8, [15] = 2}};

static uint32_t base_packet(struct gen_rng *rng, uint8_t *buf)
{
	uint32_t src = PACKET_IP(10, 0, 0, 1 + gen_below(rng, 2)), dst = PACKET_IP(192, 168, 0, 1 + gen_below(rng, 2));
	uint16_t sport = gen_chance(rng, 50) ? 53 : 40000, dport = gen_chance(rng, 50) ? 80 : 443;

	switch (gen_below(rng, 8)) {
	case 0:
	case 1:
	case 2:
		return packet_tcp4(buf, src, dst, sport, dport, gen_chance(rng, 50) ? TCP_SYN : TCP_ACK, gen_below(rng, 40));
	case 3:
		return packet_udp4(buf, src, dst, sport, dport, gen_below(rng, 40));
	case 4:
		return packet_icmp4(buf, src, dst, gen_below(rng, 40));
	case 5:
		return packet_tcp6(buf, v6[gen_below(rng, 2)], v6[gen_below(rng, 2)], sport, dport, TCP_SYN, 4);
	case 6:
		return packet_udp6(buf, v6[gen_below(rng, 2)], v6[gen_below(rng, 2)], sport, dport, 4);
	default:
		return packet_arp(buf, src, dst);
	}
}

static int fill_pool(void **state)
{
	struct gen_rng rng = {42};

	(void)state;
	for (n_pool = 0; n_pool < 96; n_pool++) {
		uint8_t *buf = pool[n_pool];
		uint32_t len = base_packet(&rng, buf);

		if (gen_chance(&rng, 20))
			len = packet_vlan(buf, len, 0x8100, 42);
		if (gen_chance(&rng, 25))
			len = packet_cut(buf, len, gen_below(&rng, 60));
		pool_len[n_pool] = len;
	}
	return 0;
}

static struct program *compile(const char *text)
{
	static struct diag_list d;
	struct vfm_reject reject;
	struct program *p;
	uint8_t *code;
	uint32_t len;

	diag_init(&d, "generated", text, (uint32_t)strlen(text));
	if (vfl_compile(text, strlen(text), &d, &code, &len)) {
		diag_print(&d, stderr);
		return NULL;
	}
	p = program_new(code, len, 0, &reject);
	free(code);
	return p;
}

struct sum {
	uint64_t of;
};

static void add_entry(void *arg, uint64_t key, uint64_t value)
{
	((struct sum *)arg)->of += mix64(mix64(key) ^ value);
}

/* As vt_digest: tables that the compiler made to forget are those with an idle time, the declared one excepted. */
static uint64_t digest(const struct program *p, const struct shard *shard, bool declared)
{
	struct sum sum = {0};

	for (uint32_t i = 0; i < p->n_tables; i++)
		if (!p->tables[i].idle_s || (declared && !p->tables[i].number))
			assert_int_equal(shard_visit(shard, i, add_entry, &sum), 0);
	return sum.of;
}

/* False: they differ; `why` says how. */
static bool run_packets(struct vt_program *tree, const struct program *p, struct shard *shard, struct gen_rng *rng, char why[200])
{
	uint64_t time_us = 1000000000 + gen_below(rng, 1000000);

	for (int i = 0; i < PACKETS_EACH && !tree->full; i++) {
		uint32_t which = gen_below(rng, n_pool);
		struct vfm_packet packet = {pool[which], pool_len[which], gen_below(rng, 3), time_us};
		static struct machine m;
		uint64_t value;
		int error = vt_evaluate(tree, &packet, &value);

		machine_init(&m, p->code, p->len, p->table_index, shard, &packet, VFM_DEFAULT_INSN_LIMIT);
		machine_run(&m);
		if (m.result.error != error || m.result.value != value) {
			snprintf(why, 200, "packet %d: %s %llu instead of %s %llu", i, vfm_error_name(m.result.error),
				 (unsigned long long)m.result.value, vfm_error_name(error), (unsigned long long)value);
			return false;
		}
		seen[error ? VFM_ERROR_BOUNDS - error + 1 : 0]++;
		time_us += gen_chance(rng, 70) ? gen_below(rng, 2000) : gen_below(rng, 3000000);
	}
	if (tree->full || digest(p, shard, !strncmp(tree->text, "(table", 6)) == vt_digest(tree))
		return true;
	snprintf(why, 200, "the tables differ afterwards");
	return false;
}

static void check_program(uint64_t seed)
{
	struct program_state_options options = {.idle_s = -1};
	struct vt_program *tree = vt_generate(seed);
	struct program *p = compile(tree->text);
	struct shard *shard = p ? program_shard_new(p, &options) : NULL;
	struct gen_rng rng = {~seed};
	char why[200] = "it does not compile";

	if (!shard || !run_packets(tree, p, shard, &rng, why))
		fail_msg("%s: %s\nrepeat: TEST_SEED=%llu build/test/prop/test_vflisp_eval", why, tree->text,
			 (unsigned long long)seed);
	shard_free(shard);
	program_free(p);
	vt_free(tree);
}

static void compiled_programs_do_what_a_naive_evaluator_says(void **state)
{
	const char *one = getenv("TEST_SEED");
	uint64_t programs = one ? 1 : getenv("TEST_ALL") ? ALL_PROGRAMS : SHORT_PROGRAMS;

	(void)state;
	for (uint64_t i = 0; i < programs; i++)
		check_program(one ? strtoull(one, NULL, 0) : i + 1);
	print_message("%llu programs, %d packets each: %llu runs well, %llu BOUNDS, %llu DIVISION_BY_ZERO, %llu LIMIT\n",
		      (unsigned long long)programs, PACKETS_EACH, (unsigned long long)seen[0], (unsigned long long)seen[1],
		      (unsigned long long)seen[2], (unsigned long long)seen[3]);
	assert_true(one || (seen[0] > 1000 && seen[1] > 1000 && seen[2] > 100));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(compiled_programs_do_what_a_naive_evaluator_says, fill_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Compiled table instructions against the plain machine, where entries that an instruction has found may be gone when the next one wants
 * them: tables of a few entries, keys that come again and again in a burst, evictions, deletions and expiry between a load and a store.
 *   TEST_SEED=N   the one case with that seed        TEST_ALL=1   many more cases
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "jit/parts.h"
#include "state/table.h"
#include "test/lib/gen_text.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define SHORT_PROGRAMS 2000
#define ALL_PROGRAMS   200000
#define MAX_BURST      67
#define PACKET_BYTES   4
#define TABLES         2

static uint64_t running_seed;

#define FAIL(...) \
	do { \
		print_message("repeat: TEST_SEED=%llu build/test/prop/test_jit_tables\n%s", (unsigned long long)running_seed, \
			      text_so_far()); \
		fail_msg(__VA_ARGS__); \
	} while (0)

static struct {
	uint64_t packets, evictions, expired, deleted, insertions;
} seen;

static void add_key(void)
{
	text_add("LD8 %u\nPUSH 3\nAND\n", text_below(3));
}

/* One access or more; the sum of what was read stays on the stack. */
static void add_access(void)
{
	uint32_t t = text_below(TABLES), at = text_below(3);

	switch (text_below(8)) {
	case 0:
		add_key();
		text_add("FLOW_LOAD %u\nADD\n", t);
		return;
	case 1:
		add_key();
		text_add("PUSH %u\nFLOW_STORE %u\n", text_below(3), t);
		return;
	case 2:
		add_key();
		text_add("PUSH %u\nFLOW_ADD %u\nADD\n", text_below(3), t);
		return;
	case 3:
		add_key();
		text_add("FLOW_DEL %u\n", t);
		return;
	case 4: /* another key between load and add */
		text_add("LD8 %u\nPUSH 3\nAND\nDUP\nFLOW_LOAD %u\n", at, t);
		add_key();
		text_add("PUSH 1\nFLOW_STORE %u\nFLOW_ADD %u\nADD\n", t, t);
		return;
	default: /* load, modify, store */
		text_add("LD8 %u\nPUSH 3\nAND\nDUP\nFLOW_LOAD %u\nPUSH %u\nADD\n", at, t, text_below(2));
		if (text_below(2)) {
			add_key();
			text_add("PUSH %u\nFLOW_STORE %u\n", text_below(3), text_below(TABLES));
		}
		text_add("FLOW_STORE %u\n", t);
	}
}

static void make_program(uint64_t seed)
{
	text_begin(seed);
	for (uint32_t t = 0; t < TABLES; t++)
		text_add("TABLE %u, %u, %u\n", t, 1 + text_below(4), text_below(3));
	text_add("PUSH 0\n");
	for (uint32_t i = 0, n = 1 + text_below(8); i < n; i++) {
		bool maybe = text_below(3) == 0;

		if (maybe)
			text_add("LD8 3\nPUSH %u\nAND\nPUSH 0\nJEQ skip%u\n", 1 + text_below(3), i);
		add_access();
		if (maybe)
			text_add("skip%u:\n", i);
	}
	text_add("RET\n");
}

static struct program *assemble(void)
{
	const char *why;
	struct program *p = text_assemble(&why);

	if (!p)
		FAIL("%s", why);
	return p;
}

static void count_events(const struct shard *s)
{
	for (uint32_t t = 0; t < s->n_tables; t++) {
		struct table_counters c = table_counters(s->tables[t]);

		seen.evictions += c.evictions;
		seen.expired += c.expired;
		seen.deleted += c.deleted;
		seen.insertions += c.insertions;
	}
}

/* Bursts on two shards, times that go on by up to 0.6 s a packet. */
static void check_bursts(const struct program *p, enum jit_tier tier, struct shard *const twin[2], struct shard *const mine[2])
{
	static struct machine m;
	uint8_t bytes[MAX_BURST][PACKET_BYTES];
	struct vfm_packet packets[MAX_BURST];
	struct vfm_result results[MAX_BURST];
	struct shard *shards[MAX_BURST];
	uint64_t now = 0;
	struct jit *j;

	assert_int_equal(jit_new(p, tier, VFM_DEFAULT_INSN_LIMIT, &j), 0);
	if (text_below(2))
		jit_hint_from(j, 0);
	for (unsigned burst = 0; burst < 3; burst++) {
		uint32_t n = 1 + text_below(MAX_BURST), few = 1 + text_below(4), step = text_below(2) * 600000;

		for (uint32_t i = 0; i < n; i++) {
			for (uint32_t k = 0; k < PACKET_BYTES; k++)
				bytes[i][k] = (uint8_t)text_below(few);
			now += text_below(step + 1);
			packets[i] = (struct vfm_packet){.data = bytes[i], .len = PACKET_BYTES, .time_us = now};
			shards[i] = mine[i % 5 == 1];
		}
		jit_burst(j, n, packets, shards, results);
		for (uint32_t i = 0; i < n; i++) {
			machine_init(&m, p->code, p->len, p->table_index, twin[i % 5 == 1], &packets[i], VFM_DEFAULT_INSN_LIMIT);
			machine_run(&m);
			if (m.result.error != results[i].error || m.result.value != results[i].value)
				FAIL("%s, burst %u, packet %u of %u: machine %llu, compiled %llu", jit_tier_name(tier), burst, i, n,
				     (unsigned long long)m.result.value, (unsigned long long)results[i].value);
		}
		seen.packets += n;
		for (unsigned k = 0; k < 2; k++) {
			if (shard_digest(twin[k]) != shard_digest(mine[k]))
				FAIL("%s, burst %u: the tables differ", jit_tier_name(tier), burst);
			for (uint32_t t = 0; t < TABLES && text_below(2); t++) {
				table_changes_clear(twin[k]->tables[t]);
				table_changes_clear(mine[k]->tables[t]);
			}
		}
	}
	jit_free(j);
}

static void check(uint64_t seed, enum jit_tier tier)
{
	struct program_state_options state = {.idle_s = -1, .tracked = seed % 2};
	struct shard *twin[2], *mine[2];
	struct program *p;

	make_program(seed);
	p = assemble();
	for (unsigned k = 0; k < 2; k++) {
		twin[k] = program_shard_new(p, &state);
		mine[k] = program_shard_new(p, &state);
		assert_true(twin[k] && mine[k]);
	}
	check_bursts(p, tier, twin, mine);
	for (unsigned k = 0; k < 2; k++) {
		count_events(mine[k]);
		shard_free(twin[k]);
		shard_free(mine[k]);
	}
	program_free(p);
}

static void tables_equal_the_machine(void **state)
{
	const char *one = getenv("TEST_SEED");
	uint64_t n = one ? 1 : getenv("TEST_ALL") ? ALL_PROGRAMS : SHORT_PROGRAMS;
	enum jit_tier best = jit_best_tier();

	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		running_seed = one ? strtoull(one, NULL, 0) : i + 1;
		for (int tier = JIT_SCALAR; tier <= (int)best; tier++) {
			setenv("VFM_JIT", jit_tier_name((enum jit_tier)tier), 1);
			check(running_seed, (enum jit_tier)tier);
		}
	}
	unsetenv("VFM_JIT");
	if (n == 1)
		return;
	if (seen.evictions * 10 < seen.insertions || seen.expired * 50 < seen.insertions || seen.deleted * 50 < seen.insertions ||
	    seen.insertions * 4 < seen.packets)
		fail_msg("too few of %llu insertions were evicted (%llu), expired (%llu), deleted (%llu)",
			 (unsigned long long)seen.insertions, (unsigned long long)seen.evictions, (unsigned long long)seen.expired,
			 (unsigned long long)seen.deleted);
}

/* The table has one entry: the store of 2 takes the place of what was loaded as 1, and the store of 1 takes it back. */
static void a_store_between_load_and_store_may_evict_the_key(void **state)
{
	static const uint8_t bytes[2] = {1, 2};
	struct program_state_options options = {.idle_s = -1};
	struct vfm_packet packets[MAX_BURST];
	struct vfm_result results[MAX_BURST];
	struct shard *shards[MAX_BURST];
	struct program *p;
	struct jit *j;

	(void)state;
	text_begin(0);
	text_add("TABLE 0, 1, 0\n"
		 "LD8 0\nDUP\nFLOW_LOAD 0\nPUSH 1\nADD\n" /* 1, and its value + 1 */
		 "LD8 1\nPUSH 7\nFLOW_STORE 0\n"
		 "FLOW_STORE 0\nLD8 0\nFLOW_LOAD 0\nPUSH 10\nMUL\nLD8 1\nFLOW_LOAD 0\nADD\nRET\n");
	p = assemble();
	shards[0] = program_shard_new(p, &options);
	assert_non_null(shards[0]);
	assert_int_equal(jit_new(p, jit_best_tier(), VFM_DEFAULT_INSN_LIMIT, &j), 0);
	for (uint32_t i = 0; i < MAX_BURST; i++) {
		packets[i] = (struct vfm_packet){.data = bytes, .len = sizeof(bytes)};
		shards[i] = shards[0];
	}
	jit_burst(j, MAX_BURST, packets, shards, results);
	for (uint32_t i = 0; i < MAX_BURST; i++) {
		assert_int_equal(results[i].error, VFM_SUCCESS);
		assert_int_equal(results[i].value, 10 * (i + 1)); /* 1 has counted on, 2 is gone */
	}
	assert_int_equal(table_counters(shards[0]->tables[0]).evictions, 2 * MAX_BURST - 1);
	jit_free(j);
	shard_free(shards[0]);
	program_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_equal_the_machine),
		cmocka_unit_test(a_store_between_load_and_store_may_evict_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

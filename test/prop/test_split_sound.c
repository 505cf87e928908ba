/* test_split_sound.c: whatever the analyzer says may be split gives the same answers split: every accepted certificate over random
 * stateful filters and packets, against the flat machine (E2), with the paranoid interpreter looking at each owned access.
 *
 *     TEST_ALL=1   10^5 programs instead of 1000
 *     TEST_SEED=N  only program N, with its text
 */
#include <errno.h>
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
#include "test/lib/gen_split.h"
#include "test/lib/merged.h"
#include "test/lib/packets.h"
#include "vm/asm.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define SHARDS   16
#define PACKETS  120
#define CAPACITY 512 /* above the keys that the traffic can make: no evictions, so E2 must hold */

static struct {
	uint64_t programs, packets, verdicts[4], drops;
	uint64_t classes[CERT_CLASSES]; /* sites proved to be of the class */
} count;

static char text[GEN_SPLIT_TEXT_BYTES];

static struct program *assemble(uint64_t seed)
{
	static struct diag_list d;
	struct vfm_reject reject;
	struct program *p;
	uint8_t *code;
	uint32_t len;

	gen_split_program(seed, text);
	diag_init(&d, "generated", text, (uint32_t)strlen(text));
	if (asm_assemble(text, strlen(text), false, &code, &len, &d))
		fail_msg("program %llu does not assemble: %s\n%s", (unsigned long long)seed, d.items[0].text, text);
	p = program_new(code, len, 0, &reject);
	free(code);
	return p; /* NULL: some statement made code that cannot be reached */
}

static struct shard *new_shard(const struct program *p, bool flat, uint64_t layout_seed)
{
	struct program_state_options o = {.capacity = CAPACITY, .idle_s = -1, .flat = flat, .layout_seed = layout_seed};
	struct shard *s = program_shard_new(p, &o);

	assert_non_null(s);
	return s;
}

static void run_plan(const struct plan *plan, uint64_t seed)
{
	struct shard *shards[SHARDS], *flat = new_shard(plan->program, true, 0);
	struct gen_rng rng = {seed ^ 0x5eed};
	uint8_t buf[PACKET_BYTES];
	uint64_t time_us = 1000000;
	static struct machine m;
	const char *differs;

	for (uint32_t i = 0; i < SHARDS; i++)
		shards[i] = new_shard(plan->program, false, i);
	for (int i = 0; i < PACKETS; i++) {
		struct vfm_packet packet = {.data = buf, .len = gen_split_packet(&rng, buf, &time_us), .time_us = time_us};
		struct vfm_result split;
		uint64_t key = 0;
		uint32_t pc = 0;

		if (!plan_guard_holds(plan, &packet))
			continue; /* dropped in either machine */
		if (plan_run_paranoid(plan, shards[plan_shard(plan, &packet)], &packet, VFM_DEFAULT_INSN_LIMIT, &split, &pc, &key))
			fail_msg("TEST_SEED=%llu: at %u key %llx projects to another shard key, packet %d\n%s",
				 (unsigned long long)seed, pc, (unsigned long long)key, i, text);
		machine_init(&m, plan->program->code, plan->program->len, plan->program->table_index, flat, &packet,
			     VFM_DEFAULT_INSN_LIMIT);
		machine_run(&m);
		count.packets++;
		count.drops += m.result.value == 0;
		if (m.result.value != split.value || m.result.error != split.error)
			fail_msg("TEST_SEED=%llu: packet %d: split %llu (%d), flat %llu (%d)\n%s", (unsigned long long)seed, i,
				 (unsigned long long)split.value, split.error, (unsigned long long)m.result.value, m.result.error,
				 text);
	}
	differs = merged_differs(plan, shards, SHARDS, flat);
	if (differs)
		fail_msg("TEST_SEED=%llu: %s\n%s", (unsigned long long)seed, differs, text);
	for (uint32_t i = 0; i < plan->cert->n_sites; i++)
		if (plan->cert->sites[i].partial)
			count.classes[plan->cert->sites[i].merge_class]++;
	for (uint32_t i = 0; i < SHARDS; i++)
		shard_free(shards[i]);
	shard_free(flat);
}

static void run_program(uint64_t seed)
{
	struct program *p = assemble(seed);
	struct objects objects;
	struct split split;
	struct plan *plan;
	char why[256];
	struct ir *ir;

	if (!p)
		return;
	ir = ir_new(p, NULL);
	assert_non_null(ir);
	assert_int_equal(objects_find(ir, &objects), 0);
	assert_int_equal(split_search(ir, &objects, &split), 0);
	count.programs++;
	count.verdicts[split.verdict]++;
	if (getenv("TEST_SEED"))
		print_message("%s\n%s: %s\n", text, split_name(split.verdict), split.reason);
	if (split.cert) {
		if (plan_new(p, split.cert, SHARDS, 0, &plan, why, sizeof(why)))
			fail_msg("%s", why);
		run_plan(plan, seed);
		plan_free(plan);
	}
	split_fini(&split);
	objects_fini(&objects);
	ir_free(ir);
	program_free(p);
}

static void a_split_that_was_proved_changes_no_verdict(void **state)
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
	print_message(
		"%llu programs: %llu stateless, %llu partitionable, %llu conditional, %llu pinned; %llu packets, %llu dropped\n",
		(unsigned long long)count.programs, (unsigned long long)count.verdicts[SPLIT_STATELESS],
		(unsigned long long)count.verdicts[SPLIT_PARTITIONABLE], (unsigned long long)count.verdicts[SPLIT_CONDITIONAL],
		(unsigned long long)count.verdicts[SPLIT_PINNED], (unsigned long long)count.packets,
		(unsigned long long)count.drops);
	for (uint8_t i = 0; i < CERT_CLASSES; i++) {
		print_message("  %llu sites of class %s\n", (unsigned long long)count.classes[i], cert_class_name(i));
		assert_true(count.classes[i] * 200 >= count.programs);
	}
	/* Floors: a run that says "pinned" to everything proves nothing. */
	assert_true(count.verdicts[SPLIT_PARTITIONABLE] * 100 >= count.programs * 25);
	assert_true(count.verdicts[SPLIT_CONDITIONAL] * 1000 >= count.programs * 2);
	assert_true(count.verdicts[SPLIT_PINNED] * 100 >= count.programs * 5);
	assert_true(count.drops * 100 >= count.packets * 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_split_that_was_proved_changes_no_verdict)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

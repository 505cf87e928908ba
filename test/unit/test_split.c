/* test_split.c: may it be split, and by what, on programs whose answer a person can see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "analysis/analysis.h"
#include "vm/asm.h"
#include "vm/step.h"

struct answer {
	struct program *program;
	struct ir *ir;
	struct objects objects;
	struct split split;
};

static struct answer analyze(const char *text)
{
	static struct diag_list d;
	struct vfm_reject reject;
	struct answer a;
	uint8_t *code;
	uint32_t len;

	diag_init(&d, "test", text, (uint32_t)strlen(text));
	if (asm_assemble(text, strlen(text), false, &code, &len, &d))
		fail_msg("%s\n%s", d.items[0].text, text);
	a.program = program_new(code, len, 0, &reject);
	if (!a.program)
		fail_msg("%s\n%s", reject.reason, text);
	free(code);
	a.ir = ir_new(a.program, NULL);
	assert_non_null(a.ir);
	assert_int_equal(objects_find(a.ir, &a.objects), 0);
	assert_int_equal(split_search(a.ir, &a.objects, &a.split), 0);
	return a;
}

static void finish(struct answer *a)
{
	split_fini(&a->split);
	objects_fini(&a->objects);
	ir_free(a->ir);
	program_free(a->program);
}

/* The verdict, and what S gives for a 64-byte packet whose byte i is i. */
static void check(const char *text, enum split_verdict verdict, uint64_t steered)
{
	struct answer a = analyze(text);

	if (a.split.verdict != verdict)
		fail_msg("%s: %s\n%s", split_name(a.split.verdict), a.split.reason, text);
	if (a.split.cert) {
		uint8_t bytes[64];
		struct vfm_packet packet = {.data = bytes, .len = sizeof(bytes)};
		struct vfm_reject reject;
		struct program *s = program_new(a.split.cert->steer, a.split.cert->steer_bytes, 0, &reject);
		struct shard *shard = shard_new(0, 0);
		static struct machine m;

		for (int i = 0; i < 64; i++)
			bytes[i] = (uint8_t)i;
		bytes[12] = 8; /* IPv4 */
		bytes[13] = 0;
		machine_init(&m, s->code, s->len, s->table_index, shard, &packet, VFM_DEFAULT_INSN_LIMIT);
		machine_run(&m);
		assert_int_equal(m.result.error, 0);
		assert_int_equal(m.result.value, steered);
		shard_free(shard);
		program_free(s);
	}
	finish(&a);
}

#define SRC    0x1a1b1c1dULL
#define DST    0x1e1f2021ULL
#define BY_SRC "LD32 26\n PUSH 1\n FLOW_ADD\n PUSH 10\n JGT drop\nok: PUSH 1\n RET\ndrop: PUSH 0\n RET\n"

static void a_counter_per_source_splits_by_source(void **state)
{
	(void)state;
	check(BY_SRC, SPLIT_PARTITIONABLE, SRC);
	check("LD16 12\n PUSH 0x800\n JNE ok\n LD8 23\n PUSH 6\n JNE ok\n" BY_SRC, SPLIT_PARTITIONABLE, SRC);
}

static void load_add_store_is_one_object(void **state)
{
	struct answer a = analyze("LD32 26\n DUP\n FLOW_LOAD\n PUSH 1\n ADD\n DUP\n ROT\n SWAP\n FLOW_STORE\n RET\n");

	(void)state;
	assert_int_equal(a.objects.n, 1);
	assert_int_equal(a.objects.items[0].n_sites, 2);
	assert_true(a.objects.items[0].updateable);
	assert_int_equal(a.split.verdict, SPLIT_PARTITIONABLE);
	finish(&a);
}

static void two_tables_with_the_source_in_common_split_by_it(void **state)
{
	(void)state;
	check("LD32 26\n PUSH 16\n SHL\n LD16 36\n OR\n DUP\n FLOW_LOAD 1\n PUSH 0\n JNE ok\n PUSH 1\n FLOW_STORE 1\n"
	      "LD32 26\n PUSH 1\n FLOW_ADD 2\n PUSH 20\n JGT drop\nok: PUSH 1\n RET\ndrop: PUSH 0\n RET\n",
	      SPLIT_PARTITIONABLE, SRC);
}

static void the_manuals_port_scan_is_conditional(void **state)
{
	static const char scan[] =
		"LD32 26\n PUSH 16\n SHL\n LD16 36\n OR\n DUP\n FLOW_LOAD\n PUSH 0\n JNE ok\n PUSH 1\n FLOW_STORE\n"
		"LD32 26\n PUSH 1\n FLOW_ADD\n PUSH 20\n JGT drop\nok: PUSH 1\n RET\ndrop: PUSH 0\n RET\n";
	struct answer a = analyze(scan);

	(void)state;
	assert_int_equal(a.split.verdict, SPLIT_CONDITIONAL);
	assert_int_equal(a.split.cert->n_guards, 1);
	assert_int_equal(a.split.cert->guards[0].offset, 26);
	assert_int_equal(a.split.cert->guards[0].bytes, 2);
	assert_int_equal(a.split.cert->guards[0].mask, 0xffff);
	finish(&a);
	check(scan, SPLIT_CONDITIONAL, SRC);
}

static void hashes_and_symmetric_keys_split_by_themselves(void **state)
{
	(void)state;
	check("HASH5\n PUSH 1\n FLOW_ADD\n RET\n", SPLIT_PARTITIONABLE, 0);
	check("LD32 26\n LD32 30\n XOR\n LD16 34\n LD16 36\n XOR\n XOR\n PUSH 1\n FLOW_ADD\n RET\n", SPLIT_PARTITIONABLE,
	      SRC ^ DST ^ 0x2223 ^ 0x2425);
}

static void a_source_limit_on_top_of_connections_splits_by_source(void **state)
{
	(void)state;
	/* Table 1: source, then the rest mixed; table 2: source. */
	check("LD32 26\n PUSH 32\n SHL\n LD32 30\n LD32 34\n MIX\n PUSH 0xffffffff\n AND\n OR\n DUP\n FLOW_LOAD 1\n PUSH 0\n JNE "
	      "ok\n"
	      "PUSH 1\n FLOW_STORE 1\n LD32 26\n PUSH 1\n FLOW_ADD 2\n PUSH 9\n JGT drop\nok: PUSH 1\n RET\ndrop: PUSH 0\n RET\n",
	      SPLIT_PARTITIONABLE, SRC);
}

static void a_prefix_and_an_address_split_by_the_prefix(void **state)
{
	(void)state;
	check("LD32 26\n PUSH 1\n FLOW_ADD 1\n LD32 26\n PUSH 8\n SHR\n PUSH 1\n FLOW_ADD 2\n ADD\n RET\n", SPLIT_PARTITIONABLE,
	      SRC >> 8);
}

static void source_on_one_path_and_destination_on_the_other_split_by_either(void **state)
{
#define BY_SOURCE "LD8 47\n PUSH 2\n JNE rst\n LD32 26\n FLOW_LOAD 3\n RET\nrst: "
	(void)state;
	check(BY_SOURCE "LD32 30\n PUSH 1\n FLOW_STORE 3\n PUSH 1\n RET\n", SPLIT_PARTITIONABLE, 0x1e1f2021);
	/* The port stands right behind the destination, in the packet and in the key, as if both were one field. */
	check(BY_SOURCE "LD32 30\n PUSH 16\n SHL\n LD16 34\n OR\n PUSH 1\n FLOW_ADD 1\n PUSH 9\n JGT many\n"
			"LD32 30\n PUSH 1\n FLOW_STORE 3\nmany: PUSH 1\n RET\n",
	      SPLIT_PARTITIONABLE, 0x1e1f2021);
	/* The path to the other address is not known by the packet alone. */
	check("LD32 26\n FLOW_LOAD 2\n PUSH 0\n JNE rst\n LD32 26\n FLOW_LOAD 3\n RET\nrst: LD32 30\n PUSH 1\n FLOW_STORE 3\n PUSH "
	      "1\n RET\n",
	      SPLIT_PINNED, 0);
}

static void source_and_destination_counters_pin(void **state)
{
	(void)state;
	check("LD32 26\n PUSH 1\n FLOW_ADD 1\n LD32 30\n PUSH 1\n FLOW_ADD 2\n ADD\n RET\n", SPLIT_PINNED, 0);
}

static void a_key_out_of_a_table_pins(void **state)
{
	(void)state;
	check("LD32 26\n FLOW_LOAD 1\n DUP\n PUSH 5\n FLOW_STORE 1\n PUSH 1\n FLOW_ADD 2\n RET\n", SPLIT_PINNED, 0);
	check("PUSH 0\n PUSH 1\n FLOW_ADD\n RET\n", SPLIT_PINNED, 0);
}

static void statistics_and_configuration_do_not_hinder(void **state)
{
	struct answer a = analyze("PUSH 0\n PKTLEN\n FLOW_ADD 9\n POP\n LD32 30\n FLOW_LOAD 7\n PUSH 0\n JEQ drop\n" BY_SRC);

	(void)state;
	assert_int_equal(a.split.verdict, SPLIT_PARTITIONABLE);
	assert_int_equal(a.objects.n, 3);
	assert_int_equal(a.objects.items[0].kind, OBJECT_PARTIAL);
	assert_int_equal(a.objects.items[1].kind, OBJECT_CONFIG);
	assert_int_equal(a.objects.items[2].kind, OBJECT_OWNED);
	finish(&a);
}

static void a_stateless_program_is_stateless(void **state)
{
	struct answer a = analyze("LD16 12\n PUSH 0x800\n JEQ ok\n PUSH 0\n RET\nok: PUSH 1\n RET\n");

	(void)state;
	assert_int_equal(a.split.verdict, SPLIT_STATELESS);
	assert_int_equal(a.objects.n, 0);
	finish(&a);
}

static void each_family_may_have_its_own_key(void **state)
{
	(void)state;
	check("LD16 12\n PUSH 0x800\n JEQ four\n LD16 12\n PUSH 0x86dd\n JNE ok\n LD64 22\n JMP count\nfour: LD32 26\n"
	      "count: PUSH 1\n FLOW_ADD\n RET\nok: PUSH 1\n RET\n",
	      SPLIT_PARTITIONABLE, SRC);
}

static void header_offsets_split(void **state)
{
	(void)state;
	/* No IPv4 header begins at 14 here, so HDR 0 is 0 and S reads bytes 12 to 15. */
	check("HDR 0\n PUSH 12\n ADD\n LDX32\n PUSH 1\n FLOW_ADD\n RET\n", SPLIT_PARTITIONABLE, 0x08000e0f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_counter_per_source_splits_by_source),
		cmocka_unit_test(load_add_store_is_one_object),
		cmocka_unit_test(two_tables_with_the_source_in_common_split_by_it),
		cmocka_unit_test(the_manuals_port_scan_is_conditional),
		cmocka_unit_test(hashes_and_symmetric_keys_split_by_themselves),
		cmocka_unit_test(a_source_limit_on_top_of_connections_splits_by_source),
		cmocka_unit_test(a_prefix_and_an_address_split_by_the_prefix),
		cmocka_unit_test(source_on_one_path_and_destination_on_the_other_split_by_either),
		cmocka_unit_test(source_and_destination_counters_pin),
		cmocka_unit_test(a_key_out_of_a_table_pins),
		cmocka_unit_test(statistics_and_configuration_do_not_hinder),
		cmocka_unit_test(a_stateless_program_is_stateless),
		cmocka_unit_test(each_family_may_have_its_own_key),
		cmocka_unit_test(header_offsets_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_stages.c: each stage on programs whose answer a person can see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "analysis/report.h"
#include "vm/asm.h"
#include "vm/step.h"

static struct program *program;
static struct analysis a;

static void analyze(const char *text)
{
	static struct diag_list d;
	struct vfm_reject reject;
	uint8_t *code;
	uint32_t len;

	diag_init(&d, "test", text, (uint32_t)strlen(text));
	if (asm_assemble(text, strlen(text), false, &code, &len, &d))
		fail_msg("%s\n%s", d.items[0].text, text);
	program = program_new(code, len, 0, &reject);
	if (!program)
		fail_msg("%s\n%s", reject.reason, text);
	free(code);
	assert_int_equal(analysis_run(program, &a), 0);
}

static void finish(void)
{
	analysis_fini(&a);
	program_free(program);
}

static void check_dims(uint32_t object, const char *expected, enum object_scope scope)
{
	char text[512];

	assert_true(object < a.objects.n);
	report_dims(&a.stages.objects[object].dims, text, sizeof(text));
	assert_string_equal(text, expected);
	assert_string_equal(scope_name(a.stages.objects[object].scope), scope_name(scope));
}

#define IP4   "LD16 12\n PUSH 0x800\n JNE out\n"
#define TCP   "LD8 23\n PUSH 6\n JNE out\n"
#define COUNT "PUSH 1\n FLOW_ADD 1\n PUSH 9\n JGT drop\nout: PUSH 1\n RET\ndrop: PUSH 0\n RET\n"

/* ---- stage 3 ---- */

static void a_field_has_its_name_where_the_path_proves_it(void **state)
{
	(void)state;
	analyze(IP4 "LD32 26\n" COUNT);
	check_dims(0, "src-ip", SCOPE_MULTI_FLOW);
	finish();
	analyze("LD32 26\n PUSH 1\n FLOW_ADD 1\n RET\n");
	check_dims(0, "bytes 26-29", SCOPE_MULTI_FLOW);
	finish();
	/* The test is made, but its other side goes on as well. */
	analyze("LD16 12\n PUSH 0x800\n JNE next\n LD8 23\n POP\nnext: LD32 26\n PUSH 1\n FLOW_ADD 1\n RET\n");
	check_dims(0, "bytes 26-29", SCOPE_MULTI_FLOW);
	finish();
}

static void ports_need_the_protocol_as_well(void **state)
{
	(void)state;
	analyze(IP4 TCP "LD16 36\n" COUNT);
	check_dims(0, "dst-port", SCOPE_MULTI_FLOW);
	assert_true(a.stages.objects[0].dims.items[0].optionless);
	finish();
	analyze(IP4 "LD16 36\n" COUNT);
	check_dims(0, "bytes 36-37", SCOPE_MULTI_FLOW);
	finish();
}

static void a_field_behind_a_header_has_vflisps_name(void **state)
{
#define VERSION(n) "HDR 0\n LDX8\n PUSH 4\n SHR\n PUSH " #n "\n JNE out\n"
#define PORTS      "HDR 3\n PUSH 6\n JEQ l4\n HDR 3\n PUSH 17\n JNE out\nl4: "
	static const char *const rows[][2] = {
		{VERSION(4) "HDR 0\n PUSH 12\n ADD\n LDX32\n" COUNT, "ip.src"},
		{VERSION(4) "HDR 0\n PUSH 16\n ADD\n LDX32\n" COUNT, "ip.dst"},
		{VERSION(6) "HDR 0\n PUSH 8\n ADD\n LDX64\n" COUNT, "ip6.src-hi"},
		{"HDR 0\n PUSH 12\n ADD\n LDX32\n" COUNT, "ip.src if IPv4"},
		/* Bytes 12-15 of an IPv6 header are in the middle of its source. */
		{VERSION(6) "HDR 0\n PUSH 12\n ADD\n LDX32\n" COUNT, "4 bytes at network + 12"},
		{PORTS "HDR 1\n LDX16\n" COUNT, "l4.sport"},
		{PORTS "HDR 1\n PUSH 2\n ADD\n LDX16\n" COUNT, "l4.dport"},
		{"HDR 3\n PUSH 17\n JNE out\n HDR 1\n PUSH 2\n ADD\n LDX16\n" COUNT, "l4.dport"},
		{"HDR 3\n PUSH 6\n JNE out\n HDR 1\n PUSH 13\n ADD\n LDX8\n" COUNT, "tcp.flags"},
		{PORTS "HDR 1\n PUSH 13\n ADD\n LDX8\n" COUNT, "1 bytes at transport + 13"},
		{VERSION(4) "HDR 0\n PUSH 13\n ADD\n LDX32\n" COUNT, "4 bytes at network + 13"},
		/* The offset itself is counted, not only what it leads to. */
		{VERSION(4) "HDR 0\n DUP\n PUSH 12\n ADD\n LDX32\n PUSH 16\n SHL\n OR\n" COUNT, "ip.src, network offset"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		analyze(rows[i][0]);
		check_dims(0, rows[i][1], SCOPE_MULTI_FLOW);
		finish();
	}
}

static void masks_are_part_of_a_dimension(void **state)
{
	(void)state;
	analyze(IP4 "LD32 26\n PUSH 8\n SHR\n" COUNT);
	check_dims(0, "src-ip/24", SCOPE_MULTI_FLOW);
	finish();
	analyze(IP4 "LD32 26\n PUSH 0xffff0000\n AND\n" COUNT);
	check_dims(0, "src-ip/16", SCOPE_MULTI_FLOW);
	finish();
	analyze(IP4 "LD32 26\n PUSH 7\n MOD\n" COUNT);
	check_dims(0, "src-ip", SCOPE_MULTI_FLOW);
	finish();
	analyze(IP4 "LD32 26\n PUSH 16\n MOD\n" COUNT);
	check_dims(0, "src-ip & 0xf", SCOPE_MULTI_FLOW);
	finish();
}

static void the_branch_that_chooses_a_key_is_part_of_its_dimensions(void **state)
{
	(void)state;
	analyze("LD8 15\n PUSH 3\n JEQ other\n PUSH 1\n JMP count\nother: PUSH 2\ncount: PUSH 1\n FLOW_ADD 1\n RET\n");
	check_dims(0, "byte 15", SCOPE_MULTI_FLOW);
	finish();
}

static void scopes(void **state)
{
	(void)state;
	analyze("HASH5\n"
		"PUSH 1\n FLOW_ADD 1\n RET\n");
	check_dims(0, "5-tuple", SCOPE_PER_FLOW);
	assert_false(a.stages.objects[0].symmetric);
	finish();
	analyze("HASH5S\n"
		"PUSH 1\n FLOW_ADD 1\n RET\n");
	check_dims(0, "5-tuple, either direction", SCOPE_PER_FLOW);
	assert_true(a.stages.objects[0].symmetric);
	finish();
	analyze("PUSH 0\n PUSH 1\n FLOW_ADD 1\n RET\n");
	check_dims(0, "", SCOPE_ALL_FLOWS);
	finish();
	analyze("LD32 26\n FLOW_LOAD 1\n RET\n");
	check_dims(0, "bytes 26-29", SCOPE_CONFIGURATION);
	finish();
}

static void xor_of_both_ends_is_symmetric_and_their_order_is_not(void **state)
{
	(void)state;
	analyze("LD32 26\n LD32 30\n XOR\n LD16 34\n LD16 36\n ADD\n XOR\n PUSH 1\n FLOW_ADD 1\n RET\n");
	assert_true(a.stages.objects[0].symmetric);
	assert_int_equal(a.stages.objects[0].scope, SCOPE_PER_FLOW);
	finish();
	analyze("LD32 26\n LD32 30\n SUB\n PUSH 1\n FLOW_ADD 1\n RET\n");
	assert_false(a.stages.objects[0].symmetric);
	finish();
	analyze("LD64 26\n PUSH 1\n FLOW_ADD 1\n RET\n");
	assert_false(a.stages.objects[0].symmetric);
	finish();
}

static void a_key_out_of_a_table_depends_on_its_contents(void **state)
{
	(void)state;
	analyze("LD32 26\n FLOW_LOAD 1\n PUSH 1\n FLOW_ADD 2\n RET\n");
	check_dims(1, "bytes 26-29, contents of table 1", SCOPE_MULTI_FLOW);
	finish();
}

/* ---- stage 4 ---- */

static void check_output(const char *text, uint32_t object, enum output_level level)
{
	analyze(text);
	assert_true(object < a.objects.n);
	if (a.stages.objects[object].output != level)
		fail_msg("object %u decides %s, not %s\n%s", object, output_name(a.stages.objects[object].output),
			 output_name(level), text);
	finish();
}

static void statistics_decide_nothing(void **state)
{
	(void)state;
	check_output("LD32 26\n PUSH 1\n FLOW_ADD 1\n POP\n PUSH 1\n RET\n", 0, OUTPUT_NONE);
	/* Compared, but both sides return the same. */
	check_output("LD32 26\n PUSH 1\n FLOW_ADD 1\n PUSH 3\n JGT more\n PUSH 1\n RET\nmore: PUSH 1\n RET\n", 0, OUTPUT_NONE);
}

static void limits_decide_forwarding(void **state)
{
	(void)state;
	check_output(IP4 "LD32 26\n" COUNT, 0, OUTPUT_FORWARDING);
	check_output("LD32 26\n FLOW_LOAD 1\n RET\n", 0, OUTPUT_FORWARDING);
}

static void logging_is_a_class(void **state)
{
	(void)state;
	check_output("LD32 26\n PUSH 1\n FLOW_ADD 1\n PUSH 3\n JGT log\n PUSH 1\n RET\nlog: PUSH 2\n RET\n", 0, OUTPUT_CLASS);
}

static void a_divisor_decides_which_error_a_dropped_packet_is(void **state)
{
	(void)state;
	check_output("PUSH 8\n LD8 0\n FLOW_LOAD 1\n DIV\n POP\n PUSH 0\n RET\n", 0, OUTPUT_ERROR);
	check_output("PUSH 8\n LD8 0\n FLOW_LOAD 1\n DIV\n POP\n PUSH 1\n RET\n", 0, OUTPUT_FORWARDING);
}

static void impact_goes_through_the_tables(void **state)
{
	(void)state;
	/* Table 1 decides whether table 2 counts; table 2 decides. */
	check_output("LD8 0\n FLOW_LOAD 1\n PUSH 0\n JEQ skip\n LD8 1\n PUSH 1\n FLOW_ADD 2\n POP\n"
		     "skip: LD8 1\n FLOW_LOAD 2\n PUSH 5\n JGT drop\n PUSH 1\n RET\ndrop: PUSH 0\n RET\n",
		     0, OUTPUT_FORWARDING);
	/* Table 1's value goes into table 2. */
	check_output("LD8 1\n LD8 0\n FLOW_LOAD 1\n FLOW_STORE 2\n LD8 1\n FLOW_LOAD 2\n PUSH 5\n JGT drop\n PUSH 1\n RET\ndrop: "
		     "PUSH 0\n "
		     "RET\n",
		     0, OUTPUT_FORWARDING);
	/* A fault by table 1's value keeps table 2 from counting, in a program that drops whatever table 1 says. */
	check_output("LD8 2\n PUSH 9\n JEQ ask\n PUSH 8\n LD8 0\n FLOW_LOAD 1\n DIV\n POP\n LD8 1\n PUSH 1\n FLOW_ADD 2\n POP\n "
		     "PUSH 0\n RET\n"
		     "ask: LD8 1\n FLOW_LOAD 2\n RET\n",
		     0, OUTPUT_FORWARDING);
	/* Nobody asks table 2, but a packet of one byte ends in BOUNDS only where table 1 says so. */
	check_output("LD8 0\n FLOW_LOAD 1\n PUSH 0\n JEQ skip\n LD8 1\n POP\nskip: PUSH 1\n RET\n", 0, OUTPUT_FORWARDING);
	/* Nobody asks table 2. */
	check_output("LD8 0\n FLOW_LOAD 1\n PUSH 0\n JEQ skip\n LD8 0\n PUSH 1\n FLOW_ADD 2\n POP\nskip: PUSH 1\n RET\n", 0,
		     OUTPUT_NONE);
}

static void objects_of_one_table_are_coupled_by_its_capacity(void **state)
{
	(void)state;
	check_output("LD8 0\n PUSH 0x100\n OR\n PUSH 1\n FLOW_ADD 1\n POP\n LD8 0\n PUSH 1\n FLOW_ADD 1\n RET\n", 0,
		     OUTPUT_FORWARDING);
	/* In tables of their own they are not. */
	check_output("LD8 0\n PUSH 0x100\n OR\n PUSH 1\n FLOW_ADD 2\n POP\n LD8 0\n PUSH 1\n FLOW_ADD 1\n RET\n", 0, OUTPUT_NONE);
}

/* ---- the rest ---- */

static void the_readable_prefix_ends_with_the_last_load(void **state)
{
	(void)state;
	analyze(IP4 "LD32 26\n" COUNT);
	assert_int_equal(a.stages.readable_bytes, 30);
	finish();
	analyze("LD8 14\n PUSH 15\n AND\n LDX16\n RET\n"); /* offset 0 to 15 */
	assert_int_equal(a.stages.readable_bytes, 17);
	finish();
	analyze("PKTLEN\n RET\n");
	assert_int_equal(a.stages.readable_bytes, 0);
	finish();
}

static void the_stage_table_counts(void **state)
{
	(void)state;
	/* Values: 26, 1, add, 30, load, 9: six; of which two accesses; 1 for RET, 0 for RET. */
	analyze("LD32 26\n PUSH 1\n FLOW_ADD 1\n POP\n LD32 30\n FLOW_LOAD 2\n PUSH 9\n JGT drop\n PUSH 1\n RET\ndrop: PUSH 0\n "
		"RET\n");
	assert_int_equal(a.stages.counts.values, 8);
	assert_int_equal(a.stages.counts.persistent, 2);
	assert_int_equal(a.stages.counts.flow, 2);
	assert_int_equal(a.stages.counts.updateable, 1);
	assert_int_equal(a.stages.counts.impacting, 0);
	assert_int_equal(a.stages.counts.tracked, 1);
	finish();
}

/* The pair that is reported uses the entry, and the candidate sends it two ways: seen in a run of its own. */
static bool uses(const struct witness *w, const uint8_t *data, uint32_t len)
{
	struct vfm_packet packet = {.data = data, .len = len};
	struct program_state_options o = {.idle_s = -1, .default_capacity = 64, .flat = true};
	struct shard *s = program_shard_new(program, &o);
	static struct machine m;
	struct vfm_insn insn;
	bool used = false;

	for (uint32_t i = 0; i < w->n_preload; i++)
		shard_store(s, (uint32_t)program->table_index[w->preload[i].table], w->preload[i].key, w->preload[i].value);
	machine_init(&m, program->code, program->len, program->table_index, s, &packet, VFM_DEFAULT_INSN_LIMIT);
	do {
		vfm_decode(program->code, program->len, m.pc, &insn);
		if ((vfm_ops[insn.op].flags & (VFM_F_READ | VFM_F_UPDATE)) && insn.table == w->table)
			used = used || m.stack[m.sp - vfm_ops[insn.op].pops] == w->key;
	} while (machine_step(&m));
	shard_free(s);
	return used;
}

static void pinned_programs_come_with_packets_that_prove_it(void **state)
{
	(void)state;
	analyze(IP4 "LD32 26\n PUSH 1\n FLOW_ADD 1\n LD32 30\n PUSH 1\n FLOW_ADD 2\n ADD\n RET\nout: PUSH 1\n RET\n");
	assert_int_equal(a.split.verdict, SPLIT_PINNED);
	assert_int_equal(a.witnesses.n, 3); /* by src-ip, by dst-ip, by the flow */
	for (uint32_t i = 0; i < a.witnesses.n; i++) {
		const struct witness *w = &a.witnesses.items[i];

		assert_true(uses(w, w->a, w->a_len));
		assert_true(uses(w, w->b, w->b_len));
		assert_true(w->steer_a != w->steer_b);
	}
	/* Split by the source: same destination, different sources. */
	assert_memory_equal(a.witnesses.items[0].a + 30, a.witnesses.items[0].b + 30, 4);
	assert_true(memcmp(a.witnesses.items[0].a + 26, a.witnesses.items[0].b + 26, 4) != 0);
	finish();
}

static void the_guard_in_front_drops_what_breaks_it_and_nothing_else(void **state)
{
	static const char scan[] =
		"TABLE 0 100 0\nLD32 26\n PUSH 16\n SHL\n LD16 36\n OR\n FLOW_LOAD\n POP\n LD32 26\n PUSH 1\n FLOW_ADD\n RET\n";
	uint8_t frame[60] = {0};
	struct vfm_packet packet = {.data = frame, .len = sizeof(frame)};
	struct program_state_options o = {.idle_s = -1};
	struct vfm_reject reject;
	struct program *guarded;
	static struct machine m;
	struct shard *s;
	uint8_t *code;
	uint32_t len;

	(void)state;
	analyze(scan);
	assert_int_equal(a.split.verdict, SPLIT_CONDITIONAL);
	assert_int_equal(guard_program(program, a.split.cert, &code, &len), 0);
	guarded = program_new(code, len, 0, &reject);
	assert_non_null(guarded);
	s = program_shard_new(guarded, &o);
	for (int high = 0; high < 2; high++) {
		frame[26] = (uint8_t)(10 * high);
		machine_init(&m, guarded->code, guarded->len, guarded->table_index, s, &packet, VFM_DEFAULT_INSN_LIMIT);
		machine_run(&m);
		assert_int_equal(m.result.error, 0);
		assert_int_equal(m.result.value, high); /* the source's first packet: 1 */
		assert_int_equal(cert_guard_holds(a.split.cert, frame, sizeof(frame)), high);
	}
	/* Too short for the guard: the program decides. */
	packet.len = 20;
	machine_init(&m, guarded->code, guarded->len, guarded->table_index, s, &packet, VFM_DEFAULT_INSN_LIMIT);
	machine_run(&m);
	assert_true(m.result.error != 0);
	shard_free(s);
	program_free(guarded);
	free(code);
	finish();
}

/* The changes that --explain names, made. */
static void what_explain_names_helps(void **state)
{
	(void)state;
	/* Conditional: a table for each form. */
	analyze("LD32 26\n PUSH 16\n SHL\n LD16 36\n OR\n FLOW_LOAD 2\n POP\n LD32 26\n PUSH 1\n FLOW_ADD 1\n RET\n");
	assert_int_equal(a.split.verdict, SPLIT_PARTITIONABLE);
	finish();
	/* Source and destination: one of them only counts. */
	analyze("LD32 26\n PUSH 1\n FLOW_ADD 1\n LD32 30\n PUSH 1\n FLOW_ADD 2\n POP\n RET\n");
	assert_int_equal(a.split.verdict, SPLIT_PARTITIONABLE);
	finish();
	/* One key for all: a field in the key. */
	analyze("PUSH 0\n PUSH 1\n FLOW_ADD 1\n RET\n");
	assert_int_equal(a.split.verdict, SPLIT_PINNED);
	finish();
	analyze("LD32 26\n PUSH 1\n FLOW_ADD 1\n RET\n");
	assert_int_equal(a.split.verdict, SPLIT_PARTITIONABLE);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_field_has_its_name_where_the_path_proves_it),
		cmocka_unit_test(ports_need_the_protocol_as_well),
		cmocka_unit_test(a_field_behind_a_header_has_vflisps_name),
		cmocka_unit_test(masks_are_part_of_a_dimension),
		cmocka_unit_test(the_branch_that_chooses_a_key_is_part_of_its_dimensions),
		cmocka_unit_test(scopes),
		cmocka_unit_test(xor_of_both_ends_is_symmetric_and_their_order_is_not),
		cmocka_unit_test(a_key_out_of_a_table_depends_on_its_contents),
		cmocka_unit_test(statistics_decide_nothing),
		cmocka_unit_test(limits_decide_forwarding),
		cmocka_unit_test(logging_is_a_class),
		cmocka_unit_test(a_divisor_decides_which_error_a_dropped_packet_is),
		cmocka_unit_test(impact_goes_through_the_tables),
		cmocka_unit_test(objects_of_one_table_are_coupled_by_its_capacity),
		cmocka_unit_test(the_readable_prefix_ends_with_the_last_load),
		cmocka_unit_test(the_stage_table_counts),
		cmocka_unit_test(pinned_programs_come_with_packets_that_prove_it),
		cmocka_unit_test(the_guard_in_front_drops_what_breaks_it_and_nothing_else),
		cmocka_unit_test(what_explain_names_helps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

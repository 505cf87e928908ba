/* test_check.c: the certificate checker on programs whose answer a person can see, and on forged certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "analysis/cert.h"
#include "vm/asm.h"

static struct cert cert;
static char why[256];

static uint32_t assemble(const char *text, uint8_t **code)
{
	static struct diag_list d;
	uint32_t len = 0;

	diag_init(&d, "test", text, (uint32_t)strlen(text));
	if (asm_assemble(text, strlen(text), false, code, &len, &d))
		fail_msg("%s\n%s", d.items[0].text, text);
	return len;
}

static struct program *program_of(const char *text)
{
	struct vfm_reject reject;
	uint8_t *code;
	uint32_t len = assemble(text, &code);
	struct program *p = program_new(code, len, 0, &reject);

	if (!p)
		fail_msg("%s\n%s", reject.reason, text);
	free(code);
	return p;
}

/* A certificate without rows, sites and guards yet. */
static void begin(const struct program *p, const char *steer)
{
	uint8_t *code;

	memset(&cert, 0, sizeof(cert));
	cert_digest_program(p, cert.program_sha256);
	cert.steer_bytes = assemble(steer, &code);
	memcpy(cert.steer, code, cert.steer_bytes);
	free(code);
}

static void add_row(uint8_t table, uint64_t mask, uint64_t match, uint8_t first, uint8_t bits)
{
	cert.rows[cert.n_rows++] = (struct cert_row){.table = table, .mask = mask, .match = match, .first = first, .bits = bits};
}

/* Lists the i-th access site of the program. */
static void list_site(const struct program *p, int i, bool partial, uint8_t merge_class)
{
	for (uint32_t k = 0; k < p->proof.n; k++) {
		const struct vfm_insn *insn = &p->proof.insns[k];

		if (!(vfm_ops[insn->op].flags & (VFM_F_READ | VFM_F_UPDATE)) || i-- > 0)
			continue;
		cert.sites[cert.n_sites++] =
			(struct cert_site){.pc = insn->pc, .table = insn->table, .partial = partial, .merge_class = merge_class};
		return;
	}
	fail_msg("the program has fewer access sites");
}

static void accepted(struct program *p)
{
	if (cert_check(&cert, p, why, sizeof(why)))
		fail_msg("refused: %s", why);
	program_free(p);
}

static void refused(struct program *p, const char *text)
{
	assert_int_not_equal(cert_check(&cert, p, why, sizeof(why)), 0);
	if (!strstr(why, text))
		fail_msg("refused, but with: %s", why);
	program_free(p);
}

static const char steer_src[] = "PKTLEN\n PUSH 30\n JLT short\n LD32 26\n RET\nshort: PUSH 0\n RET\n";
static const char count_src[] = "LD16 12\n PUSH 0x800\n JNE other\n LD32 26\n PUSH 1\n FLOW_ADD\n PUSH 10\n JGT drop\n"
				"other: PUSH 1\n RET\ndrop: PUSH 0\n RET\n";

static void a_counter_per_source_splits_by_source(void **state)
{
	struct program *p = program_of(count_src);

	(void)state;
	begin(p, steer_src);
	add_row(0, 0, 0, 0, 64);
	accepted(p);
}

static void it_does_not_split_by_destination(void **state)
{
	struct program *p = program_of(count_src);

	(void)state;
	begin(p, "PKTLEN\n PUSH 34\n JLT short\n LD32 30\n RET\nshort: PUSH 0\n RET\n");
	add_row(0, 0, 0, 0, 64);
	refused(p, "the key of FLOW_ADD is not proved to project to what the steering program returns");
}

static void a_missing_or_wrong_row_is_refused(void **state)
{
	struct program *p = program_of(count_src);

	(void)state;
	begin(p, steer_src);
	refused(p, "is not proved to project");
	p = program_of(count_src);
	begin(p, steer_src);
	add_row(0, 0, 0, 0, 31); /* one bit short: S has it */
	refused(p, "is not proved to project");
	p = program_of(count_src);
	begin(p, steer_src);
	add_row(0, 0, 0, 1, 32);
	refused(p, "is not proved to project");
	p = program_of(count_src);
	begin(p, steer_src);
	add_row(0, 0, 0, 1, 64);
	refused(p, "are not inside a 64-bit key");
	p = program_of(count_src);
	begin(p, steer_src);
	add_row(3, 0, 0, 0, 64);
	refused(p, "the program has no table 3");
}

static void another_program_is_refused(void **state)
{
	struct program *p = program_of(count_src);

	(void)state;
	begin(p, steer_src);
	add_row(0, 0, 0, 0, 64);
	cert.program_sha256[0] ^= 1;
	refused(p, "another program");
}

static void a_steering_program_must_be_harmless(void **state)
{
	static const char *const rows[][2] = {
		{"LD32 26\n RET\n", "LD32 at 0 is not proved to lie in the packet"},
		{"PKTLEN\n PUSH 29\n JLT short\n LD32 26\n RET\nshort: PUSH 0\n RET\n", "is not proved to lie in the packet"},
		{"HDR 0\n LDX32\n RET\n", "LDX32 at 2 is not proved"},
		{"PUSH 6\n PKTLEN\n DIV\n RET\n", "the divisor of DIV"},
		{"NOW\n RET\n", "may not use NOW"},
		{"PUSH 0\n FLOW_LOAD\n RET\n", "may not use FLOW_LOAD"},
		{"PUSH 1\nloop: PUSH 1\n PKTLEN\n JEQ loop\n RET\n", "backward jump"},
		{"ADD\n RET\n", "does not verify"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct program *p = program_of(count_src);

		begin(p, rows[i][0]);
		add_row(0, 0, 0, 0, 64);
		refused(p, rows[i][1]);
	}
}

static const char scan_one_table[] =
	"LD32 26\n PUSH 16\n SHL\n LD16 36\n OR\n DUP\n FLOW_LOAD\n PUSH 0\n JNE accept\n PUSH 1\n FLOW_STORE\n"
	"LD32 26\n PUSH 1\n FLOW_ADD\n PUSH 20\n JGT drop\naccept: PUSH 1\n RET\ndrop: PUSH 0\n RET\n";

static void scan_certificate(const struct program *p)
{
	begin(p, steer_src);
	add_row(0, 0xffff00000000, 0, 0, 32);
	add_row(0, 0, 0, 16, 32);
}

static void the_port_scan_in_one_table_needs_a_guard(void **state)
{
	struct program *p = program_of(scan_one_table);

	(void)state;
	scan_certificate(p);
	refused(p, "is not proved to project");
	p = program_of(scan_one_table);
	scan_certificate(p);
	cert.guards[cert.n_guards++] = (struct cert_guard){.offset = 26, .bytes = 2, .mask = 0xffff, .value = 0, .equal = false};
	accepted(p);
	p = program_of(scan_one_table);
	scan_certificate(p);
	cert.guards[cert.n_guards++] = (struct cert_guard){.offset = 28, .bytes = 2, .mask = 0xffff, .value = 0, .equal = false};
	refused(p, "is not proved to project"); /* the wrong bytes */
}

static void the_port_scan_in_two_tables_does_not(void **state)
{
	struct program *p = program_of(
		"LD32 26\n PUSH 16\n SHL\n LD16 36\n OR\n DUP\n FLOW_LOAD 1\n PUSH 0\n JNE accept\n PUSH 1\n FLOW_STORE 1\n"
		"LD32 26\n PUSH 1\n FLOW_ADD 2\n PUSH 20\n JGT drop\naccept: PUSH 1\n RET\ndrop: PUSH 0\n RET\n");

	(void)state;
	begin(p, steer_src);
	add_row(1, 0, 0, 16, 32);
	add_row(2, 0, 0, 0, 32);
	accepted(p);
}

static void a_counter_per_flow_splits_by_its_hash(void **state)
{
	struct program *p = program_of("HASH5\n PUSH 1\n FLOW_ADD\n RET\n");

	(void)state;
	begin(p, "HASH5\n RET\n");
	add_row(0, 0, 0, 0, 64);
	accepted(p);
	p = program_of("HASH5S\n PUSH 1\n FLOW_ADD\n RET\n");
	begin(p, "HASH5\n RET\n");
	add_row(0, 0, 0, 0, 64);
	refused(p, "is not proved to project");
}

static void a_symmetric_key_splits_by_itself(void **state)
{
	struct program *p = program_of("LD32 26\n LD32 30\n XOR\n LD16 36\n LD16 34\n XOR\n XOR\n FLOW_LOAD\n RET\n");

	(void)state;
	begin(p, "PKTLEN\n PUSH 38\n JLT no\n LD32 30\n LD32 26\n XOR\n LD16 34\n LD16 36\n XOR\n XOR\n RET\nno: PUSH 0\n RET\n");
	add_row(0, 0, 0, 0, 64);
	accepted(p);
}

static void a_mixed_key_splits_by_the_field_written_first(void **state)
{
	struct program *p = program_of(
		"LD32 26\n PUSH 32\n SHL\n LD32 30\n LD16 36\n MIX\n PUSH 0xffffffff\n AND\n OR\n PUSH 1\n FLOW_ADD\n RET\n");

	(void)state;
	begin(p, steer_src);
	add_row(0, 0, 0, 32, 32);
	accepted(p);
}

static void header_offsets_are_followed(void **state)
{
	static const char by_header[] = "HDR 0\n PUSH 12\n ADD\n LDX32\n PUSH 1\n FLOW_ADD\n RET\n";
	struct program *p = program_of(by_header);

	(void)state;
	begin(p, "HDR 0\n PUSH 16\n ADD\n PKTLEN\n JGT no\n HDR 0\n PUSH 12\n ADD\n LDX32\n RET\nno: PUSH 0\n RET\n");
	add_row(0, 0, 0, 0, 64);
	accepted(p);
	p = program_of(by_header); /* the check is for 15 bytes: the load may fault */
	begin(p, "HDR 0\n PUSH 15\n ADD\n PKTLEN\n JGT no\n HDR 0\n PUSH 12\n ADD\n LDX32\n RET\nno: PUSH 0\n RET\n");
	add_row(0, 0, 0, 0, 64);
	refused(p, "is not proved to lie in the packet");
}

static void each_path_may_have_its_own_key(void **state)
{
	static const char dual[] = "LD16 12\n PUSH 0x800\n JEQ four\n LD16 12\n PUSH 0x86dd\n JNE other\n LD64 22\n JMP count\n"
				   "four: LD32 26\ncount: PUSH 1\n FLOW_ADD\n RET\nother: PUSH 1\n RET\n";
	struct program *p = program_of(dual);

	(void)state;
	begin(p,
	      "PKTLEN\n PUSH 30\n JLT no\n LD16 12\n PUSH 0x800\n JNE six\n LD32 26\n RET\nsix: LD64 22\n RET\nno: PUSH 0\n RET\n");
	add_row(0, 0, 0, 0, 64);
	accepted(p);
	p = program_of(dual);
	begin(p, steer_src); /* right for IPv4 only */
	add_row(0, 0, 0, 0, 64);
	refused(p, "is not proved to project");
	p = program_of(dual); /* right for IPv6 only */
	begin(p, "PKTLEN\n PUSH 30\n JLT no\n LD64 22\n RET\nno: PUSH 0\n RET\n");
	add_row(0, 0, 0, 0, 64);
	refused(p, "is not proved to project");
}

static void a_key_from_a_table_does_not_split(void **state)
{
	struct program *p = program_of("LD32 26\n FLOW_LOAD\n PUSH 1\n FLOW_ADD\n RET\n");

	(void)state;
	begin(p, steer_src);
	add_row(0, 0, 0, 0, 64);
	refused(p, "the key of FLOW_ADD");
}

static void two_counters_of_different_fields_do_not_split(void **state)
{
	struct program *p = program_of("LD32 26\n PUSH 1\n FLOW_ADD 1\n LD32 30\n PUSH 1\n FLOW_ADD 2\n ADD\n RET\n");

	(void)state;
	begin(p, steer_src);
	add_row(1, 0, 0, 0, 64);
	add_row(2, 0, 0, 0, 64);
	refused(p, "the key of FLOW_ADD");
}

static void configuration_may_be_read_anywhere(void **state)
{
	static const char allow[] =
		"LD32 30\n FLOW_LOAD 7\n PUSH 0\n JEQ drop\n LD32 26\n PUSH 1\n FLOW_ADD 1\n RET\ndrop: PUSH 0\n RET\n";
	struct program *p = program_of(allow);

	(void)state;
	begin(p, steer_src);
	add_row(1, 0, 0, 0, 64);
	refused(p, "the key of FLOW_LOAD");
	p = program_of(allow);
	begin(p, steer_src);
	add_row(1, 0, 0, 0, 64);
	list_site(p, 0, false, 0);
	accepted(p);
	p = program_of(allow);
	begin(p, steer_src);
	list_site(p, 0, false, 0);
	list_site(p, 1, false, 0); /* it is updated */
	refused(p, "updates what the certificate lists as configuration");
}

static void configuration_may_not_meet_an_update(void **state)
{
	struct program *p = program_of("LD32 30\n FLOW_LOAD\n POP\n LD32 26\n PUSH 1\n FLOW_ADD\n RET\n");

	(void)state;
	begin(p, steer_src);
	add_row(0, 0, 0, 0, 64);
	list_site(p, 0, false, 0);
	refused(p, "may meet the access");
	/* Bit 40 keeps them apart. */
	p = program_of("LD32 30\n PUSH 0x10000000000\n OR\n FLOW_LOAD\n POP\n LD32 26\n PUSH 1\n FLOW_ADD\n RET\n");
	begin(p, steer_src);
	add_row(0, 0, 0, 0, 64);
	list_site(p, 0, false, 0);
	accepted(p);
}

static void statistics_are_partial_and_no_hindrance(void **state)
{
	static const char counted[] = "PUSH 0\n PKTLEN\n FLOW_ADD 9\n POP\n LD32 26\n PUSH 1\n FLOW_ADD 1\n RET\n";
	struct program *p = program_of(counted);

	(void)state;
	begin(p, steer_src);
	add_row(1, 0, 0, 0, 64);
	refused(p, "the key of FLOW_ADD");
	p = program_of(counted);
	begin(p, steer_src);
	add_row(1, 0, 0, 0, 64);
	list_site(p, 0, true, CERT_SUM);
	accepted(p);
}

static void a_partial_value_may_decide_nothing(void **state)
{
	static const char *const uses[][2] = {
		{"PUSH 0\n PUSH 1\n FLOW_ADD 9\n RET\n", "RET uses"},
		{"PUSH 0\n PUSH 1\n FLOW_ADD 9\n PUSH 5\n JGT x\n PUSH 1\n RET\nx: PUSH 0\n RET\n", "JGT uses"},
		{"PUSH 0\n PUSH 1\n FLOW_ADD 9\n PUSH 3\n FLOW_STORE 1\n PUSH 0\n RET\n", "FLOW_STORE uses"},
		{"PUSH 0\n PUSH 1\n FLOW_ADD 9\n LDX8\n RET\n", "LDX8 uses"},
		{"PUSH 1\n PUSH 0\n PUSH 1\n FLOW_ADD 9\n DIV\n RET\n", "DIV uses"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		struct program *p = program_of(uses[i][0]);

		begin(p, steer_src);
		list_site(p, 0, true, CERT_SUM);
		refused(p, uses[i][1]);
	}
}

static void partial_tables_hold_one_kind_and_no_time_out(void **state)
{
	struct program *p = program_of("TABLE 9 100 60\n PUSH 0\n PUSH 1\n FLOW_ADD 9\n POP\n PUSH 0\n RET\n");

	(void)state;
	begin(p, steer_src);
	list_site(p, 0, true, CERT_SUM);
	refused(p, "idle time-out");
	p = program_of("PUSH 0\n PUSH 1\n FLOW_ADD 9\n POP\n PUSH 3\n FLOW_LOAD 9\n RET\n");
	begin(p, steer_src);
	list_site(p, 0, true, CERT_SUM);
	list_site(p, 1, false, 0);
	refused(p, "shares its table");
	p = program_of("LD32 26\n PUSH 1\n FLOW_STORE 9\n LD32 30\n PUSH 1\n FLOW_STORE 9\n PUSH 0\n RET\n");
	begin(p, steer_src);
	list_site(p, 0, true, CERT_CONSTANT);
	list_site(p, 1, true, CERT_CONSTANT);
	accepted(p);
	p = program_of("LD32 26\n PUSH 1\n FLOW_STORE 9\n LD32 30\n PUSH 2\n FLOW_STORE 9\n PUSH 0\n RET\n");
	begin(p, steer_src);
	list_site(p, 0, true, CERT_CONSTANT);
	list_site(p, 1, true, CERT_CONSTANT);
	refused(p, "store different constants");
	p = program_of("LD32 26\n DUP\n FLOW_STORE 9\n PUSH 0\n RET\n");
	begin(p, steer_src);
	list_site(p, 0, true, CERT_SUM);
	refused(p, "is not proved to be the class sum");
	cert.n_sites = 0;
}

static void a_loop_over_keys_is_refused_unless_the_key_stays(void **state)
{
	/* The same key in every round. */
	struct program *p =
		program_of("PUSH 3\nloop: LD32 26\n PUSH 1\n FLOW_ADD\n POP\n PUSH 1\n SUB\n DUP\n PUSH 0\n JNE loop\n RET\n");

	(void)state;
	begin(p, steer_src);
	add_row(0, 0, 0, 0, 64);
	accepted(p);
	/* src, src + 1, ... */
	p = program_of("LD32 26\nloop: DUP\n PUSH 1\n FLOW_ADD\n POP\n PUSH 1\n ADD\n DUP\n PUSH 99\n JNE loop\n RET\n");
	begin(p, steer_src);
	add_row(0, 0, 0, 0, 64);
	refused(p, "the key of FLOW_ADD");
}

static void the_text_form_is_read_back_as_written(void **state)
{
	struct program *p = program_of(scan_one_table);
	static struct cert back;
	char *text;

	(void)state;
	scan_certificate(p);
	list_site(p, 0, true, CERT_SUM);
	list_site(p, 1, false, 0);
	cert.guards[cert.n_guards++] = (struct cert_guard){.offset = 26, .bytes = 2, .mask = 0xffff, .value = 0, .equal = false};
	text = cert_encode(&cert);
	assert_non_null(text);
	assert_int_equal(cert_decode(text, strlen(text), &back, why, sizeof(why)), 0);
	assert_memory_equal(&back, &cert, sizeof(cert));
	assert_int_not_equal(cert_decode(text, strlen(text) / 2, &back, why, sizeof(why)), 0);
	assert_non_null(strstr(why, "not JSON"));
	free(text);
	program_free(p);
}

static void projection_takes_the_first_row_that_matches(void **state)
{
	uint64_t shard_key;

	(void)state;
	memset(&cert, 0, sizeof(cert));
	add_row(0, 0xffff00000000, 0, 0, 32);
	add_row(0, 0, 0, 16, 32);
	assert_true(cert_project(&cert, 0, 0x0a000001, &shard_key));
	assert_int_equal(shard_key, 0x0a000001);
	assert_true(cert_project(&cert, 0, 0x0a0000010050, &shard_key));
	assert_int_equal(shard_key, 0x0a000001);
	assert_false(cert_project(&cert, 1, 5, &shard_key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_counter_per_source_splits_by_source),
		cmocka_unit_test(it_does_not_split_by_destination),
		cmocka_unit_test(a_missing_or_wrong_row_is_refused),
		cmocka_unit_test(another_program_is_refused),
		cmocka_unit_test(a_steering_program_must_be_harmless),
		cmocka_unit_test(the_port_scan_in_one_table_needs_a_guard),
		cmocka_unit_test(the_port_scan_in_two_tables_does_not),
		cmocka_unit_test(a_counter_per_flow_splits_by_its_hash),
		cmocka_unit_test(a_symmetric_key_splits_by_itself),
		cmocka_unit_test(a_mixed_key_splits_by_the_field_written_first),
		cmocka_unit_test(header_offsets_are_followed),
		cmocka_unit_test(each_path_may_have_its_own_key),
		cmocka_unit_test(a_key_from_a_table_does_not_split),
		cmocka_unit_test(two_counters_of_different_fields_do_not_split),
		cmocka_unit_test(configuration_may_be_read_anywhere),
		cmocka_unit_test(configuration_may_not_meet_an_update),
		cmocka_unit_test(statistics_are_partial_and_no_hindrance),
		cmocka_unit_test(a_partial_value_may_decide_nothing),
		cmocka_unit_test(partial_tables_hold_one_kind_and_no_time_out),
		cmocka_unit_test(a_loop_over_keys_is_refused_unless_the_key_stays),
		cmocka_unit_test(the_text_form_is_read_back_as_written),
		cmocka_unit_test(projection_takes_the_first_row_that_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

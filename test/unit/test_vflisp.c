/* test_vflisp.c: the VFLisp compiler's errors, each with its full text and place; its limits; and what it must get right in the small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/lib/packets.h"
#include "vm/file.h"
#include "vm/step.h"
#include "vm/vfl.h"
#include "vm/vflisp.h"
#include "vm/vfm.h"

static struct diag_list d;

static int compile(const char *source, uint8_t **code, uint32_t *len)
{
	diag_init(&d, NULL, source, (uint32_t)strlen(source));
	return vfl_compile(source, strlen(source), &d, code, len);
}

/* Every error of the compiler: source, place, text. */
static const struct {
	const char *source;
	uint32_t line, column;
	const char *text;
} errors[] = {
	/* text */
	{"(= proto \x01)", 1, 10, "byte 0x01 cannot stand here; write names in ASCII"},
	{"(= proto 18446744073709551616)", 1, 10,
	 "'18446744073709551616': the number is out of range; the largest is 18446744073709551615"},
	{"(+ 1 -9223372036854775809)", 1, 6,
	 "'-9223372036854775809': the number is out of range; the least is -9223372036854775808"},
	{"(= proto 6x)", 1, 10,
	 "'6x': not a number; write decimal, 0x hexadecimal, 0b binary, an address, or a duration like 10s, 500ms, 5min"},
	{"(+ 0b12 1)", 1, 4,
	 "'0b12': not a number; write decimal, 0x hexadecimal, 0b binary, an address, or a duration like 10s, 500ms, 5min"},
	{"(> now 18446744073709551615h)", 1, 8, "'18446744073709551615h': the duration is out of range"},
	{"(in src-ip 10.0.0.0/33)", 1, 12, "'10.0.0.0/33': the prefix length is out of range; write /0 to /32"},
	{"(in ip6.src 2001:db8::/129)", 1, 13, "'2001:db8::/129': the prefix length is out of range; write /0 to /128"},
	{"(= src-ip 100.100.100.100.100)", 1, 11, "'100.100.100.100.100': not an address"},
	{"(= src-ip 10.0.0.256)", 1, 11, "'10.0.0.256': not an IPv4 address; write four numbers from 0 to 255, like 10.0.0.1"},
	{"(in src-ip 10.0.0.1/8)", 1, 12,
	 "'10.0.0.1/8': the address has bits beyond its prefix; clear them or lengthen the prefix"},
	{"(in ip6.src 2001:db8::1/32)", 1, 13,
	 "'2001:db8::1/32': the address has bits beyond its prefix; clear them or lengthen the prefix"},
	{"(= ip6.src 2001::db8::1)", 1, 12,
	 "'2001::db8::1': not an IPv6 or MAC address; write one like 2001:db8::1 or 02:00:00:00:00:01"},
	/* parentheses */
	{"", 1, 1, "the program is empty; write an expression, like (= proto 6)"},
	{"; nothing\n", 2, 1, "the program is empty; write an expression, like (= proto 6)"},
	{"(and 1\n  (= proto 6)", 1, 1, "this parenthesis is never closed; add ')'"},
	{"1)", 1, 2, "this ')' closes nothing; remove it"},
	{"1 2", 1, 3, "a program is one expression; join several with (do ...), (and ...) or (or ...)"},
	{"(and () 1)", 1, 6, "empty parentheses; write an operation, like (= proto 6)"},
	{"(6 proto)", 1, 2, "an operation must come first in parentheses, like (= proto 6)"},
	/* names */
	{"(= porto 6)", 1, 4, "unknown name 'porto'; did you mean 'proto'?"},
	{"(= flags1 6)", 1, 4, "unknown name 'flags1'; docs/vflisp.md lists the fields; bind names of your own with let"},
	{"(let ((count 1)) (+ coutn 1))", 1, 21, "unknown name 'coutn'; did you mean 'count'?"},
	{"(flow-cuont src-ip)", 1, 2, "unknown operation 'flow-cuont'; did you mean 'flow-count'?"},
	{"(frobnicate 1)", 1, 2, "unknown operation 'frobnicate'; docs/vflisp.md lists them"},
	{"(%leaf 36)", 1, 2, "unknown operation '%leaf'; docs/vflisp.md lists them"},
	{"(and (proto) 1)", 1, 7, "'proto' is a field, not an operation; write it without parentheses"},
	{"(+ not 1)", 1, 4, "'not' is an operation; write it in parentheses: (not a)"},
	{"(+ ip6.src 1)", 1, 4,
	 "'ip6.src' has 128 bits; use ip6.src-hi and ip6.src-lo, or it as a key, or (in ip6.src 2001:db8::/32)"},
	{"(let ((proto 1)) proto)", 1, 8, "'proto' already means something; choose another name"},
	{"(let ((if 1)) 2)", 1, 8, "'if' already means something; choose another name"},
	{"(let ((ip6.dst 1)) 2)", 1, 8, "'ip6.dst' already means something; choose another name"},
	{"(let (x 1) 2)", 1, 7, "a binding is a name and a value; write (let ((name value) ...) body)"},
	{"(let ((x)) 2)", 1, 7, "a binding is a name and a value; write (let ((name value) ...) body)"},
	{"(let x 2)", 1, 6, "bindings must stand in parentheses; write (let ((name value) ...) body)"},
	/* arity */
	{"(if 1 2)", 1, 1, "'if' takes 3 arguments, not 2; write (if condition then else)"},
	{"(= 1 2 3)", 1, 1, "'=' takes 2 arguments, not 3; write (= a b)"},
	{"(not 1 2)", 1, 1, "'not' takes 1 argument, not 2; write (not a)"},
	{"(and)", 1, 1, "'and' takes at least 1 argument, not 0; write (and a b ...)"},
	{"(flow-set src-ip)", 1, 1, "'flow-set' takes at least 2 arguments, not 1; write (flow-set key ... value [:table name])"},
	/* ranges */
	{"(= proto 300)", 1, 10, "300 is out of range: proto has 8 bits, its largest value is 255"},
	{"(!= 0x10000 dst-port)", 1, 5, "0x10000 is out of range: dst-port has 16 bits, its largest value is 65535"},
	{"(in dst-port 80 70000)", 1, 17, "70000 is out of range: dst-port has 16 bits, its largest value is 65535"},
	{"(bits proto 64 0)", 1, 13, "a bit's number must be a literal from 0 to 63; write (bits value high low)"},
	{"(bits proto 3 4)", 1, 13, "bit 3 is below bit 4; write the higher one first"},
	{"(hdr 5)", 1, 6,
	 "the item must be 0 (network offset), 1 (transport offset), 2 (payload offset), 3 (protocol) or 4 (fragment offset)"},
	{"(= src-ip 10.0.0.0/8)", 1, 11, "a network is a set of addresses; write (in src-ip 10.0.0.0/8)"},
	{"(+ 2001:db8::1 1)", 1, 4, "an IPv6 address has 128 bits; write (in ip6.src 2001:db8::1)"},
	{"(= src-ip 2001:db8::1)", 1, 4, "IPv6 addresses compare with ip6.src and ip6.dst only; write (= ip6.src 2001:db8::1)"},
	{"(= ip6.src 7)", 1, 12, "IPv6 addresses compare with ip6.src and ip6.dst only; write (= ip6.src 2001:db8::1)"},
	{"(in ip6.src 10.0.0.0/8)", 1, 13, "members of a set of ip6.src are IPv6 addresses and networks, like 2001:db8::/32"},
	/* options */
	{":per", 1, 1, "an option cannot stand here; options are the arguments of operations, like (count-by src-ip :per 1s)"},
	{"(count-by src-ip :pre 1s)", 1, 18, "'count-by' has no option ':pre'; write (count-by key ... [:per 1s] [:table name])"},
	{"(+ 1 2 :table t)", 1, 8, "'+' has no option ':table'; write (+ a b ...)"},
	{"(count-by src-ip :per)", 1, 18, "':per' has no value; write (count-by key ... [:per 1s] [:table name])"},
	{"(count-by src-ip :per 1s :per 2s)", 1, 26, "':per' is given twice; remove one"},
	{"(rate-by src-ip)", 1, 1, "the window's length is missing; write (rate-by key ... :per 1s [:table name])"},
	{"(rate-by src-ip :per 5)", 1, 22, "a window is a duration from 1us to 8784h; write, say, :per 1s"},
	{"(rate-by src-ip :per 8785h)", 1, 22, "a window is a duration from 1us to 8784h; write, say, :per 1s"},
	{"(token-bucket src-ip 0 5)", 1, 22, "the rate in tokens per second must be a literal from 1 to 1000000000"},
	{"(token-bucket src-ip 5 proto)", 1, 24, "the burst in tokens must be a literal from 1 to 1000000000"},
	{"(token-bucket src-ip 1 40000000)", 1, 24,
	 "the bucket takes more than 366 days to fill; lower the burst or raise the rate"},
	/* tables */
	{"(and (table t) 1)", 1, 6, "tables are declared before the expression, not in it; move the form to the top"},
	{"(table t)", 1, 1, "the program declares tables but has no expression; write one after them"},
	{"(table 5) 1", 1, 8, "a table's name must be a word; write (table name [:entries n] [:idle seconds] [:number n])"},
	{"(table t) (table t) (flow-get 1 :table t)", 1, 18, "table 't' is declared twice; remove one"},
	{"(table t :entries 0) (flow-get 1 :table t)", 1, 19, "the number of entries must be a literal from 1 to 268435456"},
	{"(table t :idle proto) (flow-get 1 :table t)", 1, 16, "the idle time in seconds must be a literal from 0 to 4294967295"},
	{"(table t :idle 1500ms) (flow-get 1 :table t)", 1, 16, "an idle time is in whole seconds; write, say, 30s"},
	{"(table t :number 256) (flow-get 1 :table t)", 1, 18, "a table's number must be a literal from 0 to 255"},
	{"(table t :number 3) (table u :number 3) (+ (flow-get 1 :table t) (flow-get 1 :table u))", 1, 38,
	 "table number 3 is taken; choose another"},
	{"(flow-get 1 :table blocked)", 1, 20, "no table 'blocked' is declared; write (table blocked) before the expression"},
	{"(table blocked) (flow-get 1 :table blokced)", 1, 36, "no table 'blokced' is declared; did you mean 'blocked'?"},
	{"(table t) (flow-get 1 :table 0)", 1, 30,
	 "a table is meant by its name; write (table name) at the top and :table name here"},
	{"(table t :idle 5) (rate-by src-ip :per 10s :table t)", 1, 51,
	 "the table's idle time, 5 s, is shorter than the 10 s that this operation must remember"},
};

static const struct diag *find_error(void)
{
	for (uint32_t i = 0; i < d.count; i++)
		if (d.items[i].severity == DIAG_ERROR)
			return &d.items[i];
	return NULL;
}

static void every_error_has_its_text_and_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		const struct diag *item;
		uint8_t *code;
		uint32_t len;

		assert_int_equal(compile(errors[i].source, &code, &len), -EINVAL);
		assert_null(code);
		item = find_error();
		assert_non_null(item);
		if (strcmp(item->text, errors[i].text) != 0 || item->line != errors[i].line || item->column != errors[i].column)
			fail_msg("%s\n  gives %u:%u: %s\n  not   %u:%u: %s", errors[i].source, item->line, item->column, item->text,
				 errors[i].line, errors[i].column, errors[i].text);
	}
}

static void an_error_is_printed_with_its_line_and_a_caret(void **state)
{
	uint8_t *code;
	uint32_t len;
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	assert_non_null(out);
	assert_int_equal(compile("(and (= proto 6)\n     (= dst-prot 80))\n", &code, &len), -EINVAL);
	d.file = "web.vfl";
	diag_print(&d, out);
	fclose(out);
	assert_string_equal(text, "web.vfl:2:9: error: unknown name 'dst-prot'; did you mean 'dst-port'?\n"
				  "         (= dst-prot 80))\n"
				  "            ^\n");
	free(text);
}

static void all_errors_are_reported_not_only_the_first(void **state)
{
	uint8_t *code;
	uint32_t len;

	(void)state;
	assert_int_equal(compile("(and (= porto 6) (= dst-port 70000) (foo) (if 1))", &code, &len), -EINVAL);
	assert_int_equal(d.errors, 4);
}

static void a_declared_table_that_nothing_uses_is_a_warning(void **state)
{
	uint8_t *code;
	uint32_t len;

	(void)state;
	assert_int_equal(compile("(table spare) 1", &code, &len), 0);
	assert_int_equal(d.errors, 0);
	assert_int_equal(d.count, 1);
	assert_string_equal(d.items[0].text, "table 'spare' is never used; remove it or name it with :table");
	free(code);
}

static void compile_string_says_the_first_error_in_one_line(void **state)
{
	uint8_t *code;
	uint32_t len;
	char text[100];

	(void)state;
	assert_int_equal(vfl_compile_string("(= porto 6)", &code, &len, text, sizeof(text)), VFM_ERROR_INVALID_PROGRAM);
	assert_string_equal(text, "1:4: unknown name 'porto'; did you mean 'proto'?");
	assert_null(code);
	assert_int_equal(vfl_compile_string("(= porto 6)", &code, &len, text, 8), VFM_ERROR_INVALID_PROGRAM);
	assert_string_equal(text, "1:4: un");
	assert_int_equal(vfl_compile_string("(= porto 6)", &code, &len, NULL, 0), VFM_ERROR_INVALID_PROGRAM);
	assert_int_equal(vfl_compile_string("(= proto 6)", &code, &len, text, sizeof(text)), VFM_SUCCESS);
	assert_string_equal(text, "");
	assert_int_equal(vfm_verify(code, len), VFM_SUCCESS);
	free(code);
}

/* ---- limits ---- */

static int compile_bytes(char *source, size_t bytes, const char **text)
{
	uint8_t *code;
	uint32_t len;
	int err;

	diag_init(&d, NULL, source, (uint32_t)bytes);
	err = vfl_compile(source, bytes, &d, &code, &len);
	*text = d.count ? d.items[0].text : "";
	free(code);
	free(source);
	return err;
}

/* head, n times part, tail; %u in part is the number of the time. */
static char *repeated(const char *head, const char *part, uint32_t n, const char *tail, size_t *bytes)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, bytes);

	assert_non_null(f);
	fputs(head, f);
	for (uint32_t i = 0; i < n; i++) {
		const char *mark = strstr(part, "%u");

		if (mark)
			fprintf(f, "%.*s%u%s", (int)(mark - part), part, i, mark + 2);
		else
			fputs(part, f);
	}
	fputs(tail, f);
	fclose(f);
	return text;
}

static void ten_megabytes_of_parentheses_end_in_an_error(void **state)
{
	const char *text;
	size_t bytes;
	char *source = repeated("", "(- ", 3500000, "", &bytes);

	(void)state;
	assert_true(bytes > 10u << 20);
	assert_int_equal(compile_bytes(source, bytes, &text), -EINVAL);
	assert_string_equal(text, "parentheses are nested more than 512 deep; name parts with let");
}

static void nesting_up_to_the_limit_compiles(void **state)
{
	const char *text;
	size_t bytes;
	char *source = repeated("", "(% ", 512, "src-ip", &bytes);
	char *closing = repeated(source, " 7)", 512, "", &bytes);

	(void)state;
	free(source);
	assert_int_equal(compile_bytes(closing, bytes, &text), 0);
}

static void operands_nested_deeper_than_the_stack_say_so(void **state)
{
	const char *text;
	size_t bytes;
	char *source = repeated("", "(- 1 ", 300, "src-ip", &bytes);
	char *closing = repeated(source, ")", 300, "", &bytes);

	(void)state;
	free(source);
	assert_int_equal(compile_bytes(closing, bytes, &text), -EINVAL);
	assert_string_equal(text, "the program needs more than 256 values at a time; bind fewer names or nest less deeply");
}

static void ten_megabytes_of_members_end_in_an_error(void **state)
{
	const char *text;
	size_t bytes;
	char *source = repeated("(in src-ip", " %u", 1500000, ")", &bytes);

	(void)state;
	assert_int_equal(compile_bytes(source, bytes, &text), -EINVAL);
	assert_string_equal(text, "the program has more than 262144 parts; split it or preload a table instead");
}

static void a_program_that_does_not_fit_says_so(void **state)
{
	const char *text;
	size_t bytes;
	char *source = repeated("(in src-ip", " %u", 20000, ")", &bytes);

	(void)state;
	assert_int_equal(compile_bytes(source, bytes, &text), -EINVAL);
	assert_string_equal(text, "the program does not fit in 65536 bytes; preload a table instead of listing members");
	source = repeated("(+", " (<< src-ip (+ dst-port %u))", 30000, ")", &bytes);
	assert_int_equal(compile_bytes(source, bytes, &text), -EINVAL);
	assert_string_equal(text, "the program does not fit in 65536 bytes; preload a table instead of listing members");
}

/* 24,000 values, each used in a block of its own after the last was computed: a bit for each pair is more than the compiler keeps. */
static void values_kept_for_too_many_blocks_say_so(void **state)
{
	char *source = NULL;
	const char *text;
	size_t bytes;
	FILE *f = open_memstream(&source, &bytes);

	(void)state;
	assert_non_null(f);
	fputs("(let (", f);
	for (int i = 0; i < 24000; i++)
		fprintf(f, "(v%d (ld8 %d)) ", i, i);
	fputs(") (and", f);
	for (int i = 0; i < 24000; i++)
		fprintf(f, " v%d", i);
	fputs("))", f);
	fclose(f);
	assert_int_equal(compile_bytes(source, bytes, &text), -EINVAL);
	assert_string_equal(text, "the program keeps too many values for later; bind fewer names");
}

static void more_source_than_is_read_says_so(void **state)
{
	const char *text;
	size_t bytes = VFL_MAX_SOURCE_BYTES + 1;
	char *source = malloc(bytes);

	(void)state;
	assert_non_null(source);
	memset(source, ' ', bytes);
	assert_int_equal(compile_bytes(source, bytes, &text), -EINVAL);
	assert_string_equal(text, "the source has more than 67108864 bytes; preload a table instead");
}

/* 300 values that are all used twice after the last was computed. */
static void too_many_values_at_a_time_say_so(void **state)
{
	char *source = NULL;
	const char *text;
	size_t bytes;
	FILE *f = open_memstream(&source, &bytes);

	(void)state;
	assert_non_null(f);
	fputs("(let (", f);
	for (int i = 0; i < 300; i++)
		fprintf(f, "(v%d (ld8 %d)) ", i, i);
	fputs(") (+", f);
	for (int i = 0; i < 300; i++)
		fprintf(f, " v%d", i);
	for (int i = 0; i < 300; i++)
		fprintf(f, " v%d", i);
	fputs("))", f);
	fclose(f);
	assert_int_equal(compile_bytes(source, bytes, &text), -EINVAL);
	assert_string_equal(text, "the program needs more than 256 values at a time; bind fewer names or nest less deeply");
}

static void more_tables_than_there_are_numbers_say_so(void **state)
{
	const char *text;
	size_t bytes;
	char *source = repeated("(+", " (flow-get (+ src-ip %u))", 257, ")", &bytes);

	(void)state;
	assert_int_equal(compile_bytes(source, bytes, &text), -EINVAL);
	assert_string_equal(text, "the program has more than 256 tables; let counters share one with :table");
}

/* ---- running ---- */

static struct vfm_result run(const char *source, const uint8_t *packet, uint32_t packet_bytes)
{
	static struct machine m;
	const struct vfm_packet p = {.data = packet, .len = packet_bytes};
	const struct program_state_options options = {.idle_s = -1};
	struct vfm_reject reject;
	struct program *program;
	struct shard *shard;
	uint8_t *code;
	uint32_t len;

	if (compile(source, &code, &len)) {
		diag_print(&d, stderr);
		fail_msg("%s does not compile", source);
	}
	program = program_new(code, len, 0, &reject);
	assert_non_null(program);
	shard = program_shard_new(program, &options);
	assert_non_null(shard);
	machine_init(&m, program->code, program->len, program->table_index, shard, &p, 1000000);
	machine_run(&m);
	shard_free(shard);
	program_free(program);
	free(code);
	return m.result;
}

static void jumps_farther_than_16_bits_go_over_islands(void **state)
{
	uint8_t packet[PACKET_BYTES];
	uint32_t len = packet_tcp4(packet, PACKET_IP(0, 0, 7, 208), PACKET_IP(10, 0, 0, 1), 1, 2, TCP_SYN, 0);
	size_t bytes;
	/* The first condition fails on this packet: a jump over some 55,000 bytes; the members are tried up to the 2000th. */
	char *far = repeated("(if (= proto 17) (in src-ip", " %u", 4200, ") 7)", &bytes);
	char *member = repeated("(if (in src-ip", " %u", 4200, ") 5 6)", &bytes);

	(void)state;
	assert_int_equal(run(far, packet, len).value, 7);
	assert_int_equal(run(member, packet, len).value, 5);
	packet[26] = 1; /* not a member */
	assert_int_equal(run(member, packet, len).value, 6);
	free(far);
	free(member);
}

/* A fault stands where the source first reaches it, and which fault comes first is the source's order. */
static void faults_come_in_the_order_of_the_source(void **state)
{
	static const struct {
		const char *source;
		int error;
		uint64_t value;
	} cases[] = {
		/* the packet has 20 bytes: ethertype is there, src-ip is not */
		{"(and (= ethertype 0) src-ip)", 0, 0},
		{"(and src-ip (= ethertype 0))", VFM_ERROR_BOUNDS, 0},
		{"(if (= ethertype 0x0800) 1 src-ip)", 0, 1},
		{"(* 0 src-ip)", VFM_ERROR_BOUNDS, 0},
		{"(do src-ip 1)", VFM_ERROR_BOUNDS, 0},
		{"(+ (/ 1 (- ethertype 0x0800)) src-ip)", VFM_ERROR_DIVISION_BY_ZERO, 0},
		{"(+ src-ip (/ 1 (- ethertype 0x0800)))", VFM_ERROR_BOUNDS, 0},
		{"(let ((y (/ 1 (- ethertype 0x0800)))) (+ src-ip y))", VFM_ERROR_DIVISION_BY_ZERO, 0},
		{"(let ((x src-ip) (y (/ 1 (- ethertype 0x0800)))) (+ (* y y) x))", VFM_ERROR_BOUNDS, 0},
		{"(let ((y (/ 1 (- ethertype 0x0800))) (x src-ip)) (+ (* x x) y))", VFM_ERROR_DIVISION_BY_ZERO, 0},
		{"(let ((x src-ip)) (if (= ethertype 1) x 0))", VFM_ERROR_BOUNDS, 0},
		{"(or (= ethertype 0x0800) (/ 1 0))", 0, 1},
		{"(/ 1 0)", VFM_ERROR_DIVISION_BY_ZERO, 0},
		{"(let ((n (count-by 1)) (m (count-by 2))) (+ (* 10 (count-by 1)) m))", 0, 21},
		{"(let ((n (count-by 1))) (+ (* 100 (count-by 1)) n))", 0, 201},
		{"(+ (flow-set 1 5) (* 10 (flow-get 1)))", 0, 55},
		{"(let ((before (flow-get 1))) (do (if (= ethertype 0x0800) (flow-set 1 5) 0) (+ before (* 10 (flow-get 1)))))", 0,
		 50},
		{"(let ((before (flow-get 1))) (do (flow-set 1 5) (+ before (* 10 (flow-get 1)))))", 0, 50},
	};
	uint8_t packet[PACKET_BYTES];
	uint32_t len = packet_cut(packet, packet_tcp4(packet, 1, 2, 3, 4, TCP_SYN, 0), 20);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vfm_result r = run(cases[i].source, packet, len);

		if (r.error != cases[i].error || r.value != cases[i].value)
			fail_msg("%s gives %s %lu", cases[i].source, vfm_error_name(r.error), r.value);
	}
}

/* 128-bit fields: networks, addresses, keys. Not IPv6: in no set, and equal to no address. */
static void ipv6_addresses_are_compared_whole(void **state)
{
	static const struct {
		const char *source;
		uint64_t of_a, of_b, of_arp; /* a: 2001:db8::1 to 2001:db8:0:1::2; b: the same reversed */
	} cases[] = {
		{"(in ip6.src 2001:db8::/64)", 1, 0, 0},
		{"(in ip6.src 2001:db8::/32)", 1, 1, 0},
		{"(in ip6.src 2001:db8::/63)", 1, 1, 0},
		{"(in ip6.src ::/0)", 1, 1, 0},
		{"(in ip6.src 2001:db8::/127)", 1, 0, 0},
		{"(in ip6.src 2001:db8::2/127)", 0, 0, 0},
		{"(in ip6.src 2001:db9::/32 2001:db8:0:1::2)", 0, 1, 0},
		{"(= ip6.src 2001:db8::1)", 1, 0, 0},
		{"(!= 2001:db8::1 ip6.src)", 0, 1, 1},
		{"(= ip6.dst 2001:db8::1)", 0, 1, 0},
		{"(= ip6.src-lo 1)", 1, 0, 0},
	};
	const uint8_t a6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1}, b6[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, [15] = 2};
	uint8_t a[PACKET_BYTES], b[PACKET_BYTES], arp[PACKET_BYTES];
	uint32_t a_len = packet_vlan(a, packet_udp6(a, a6, b6, 1, 2, 0), 0x8100, 7);
	uint32_t b_len = packet_udp6(b, b6, a6, 1, 2, 0), arp_len = packet_arp(arp, 1, 2);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (run(cases[i].source, a, a_len).value != cases[i].of_a ||
		    run(cases[i].source, b, b_len).value != cases[i].of_b ||
		    run(cases[i].source, arp, arp_len).value != cases[i].of_arp)
			fail_msg("%s", cases[i].source);
	}
	/* as a key: both halves, so that the networks of a and b differ */
	assert_int_equal(run("(do (flow-set ip6.src 1) (+ (flow-get ip6.src) (* 2 (flow-get ip6.src-hi ip6.src-lo)) "
			     "(* 8 (flow-get ip6.dst))))",
			     a, a_len)
				 .value,
			 3);
}

static void the_65th_update_of_a_packet_is_limit(void **state)
{
	uint8_t packet[PACKET_BYTES];
	uint32_t len = packet_tcp4(packet, 1, 2, 3, 4, TCP_SYN, 0);
	size_t bytes;
	char *allowed = repeated("(do", " (count-by src-ip)", 64, " 1)", &bytes);
	char *beyond = repeated("(do", " (count-by src-ip)", 65, " (/ 1 0))", &bytes);

	(void)state;
	assert_int_equal(run(allowed, packet, len).value, 1);
	assert_int_equal(run(beyond, packet, len).error, VFM_ERROR_LIMIT);
	free(allowed);
	free(beyond);
}

/* How often an opcode stands in the compiled program. */
static uint32_t count_opcode(const char *source, uint8_t opcode)
{
	uint8_t *code;
	uint32_t len, n = 0;
	struct vfm_insn insn;

	assert_int_equal(compile(source, &code, &len), 0);
	for (uint32_t pc = 0; pc < len; pc = insn.next) {
		assert_int_equal(vfm_decode(code, len, pc, &insn), 0);
		n += insn.op == opcode;
	}
	free(code);
	return n;
}

static void a_field_is_loaded_once(void **state)
{
	(void)state;
	assert_int_equal(count_opcode("(or (= dst-port 80) (= dst-port 443) (= dst-port 22))", VFM_OP_LD16), 1);
	assert_int_equal(count_opcode("(+ (* proto proto) (if (= proto 6) proto 0))", VFM_OP_LD8), 1);
	assert_int_equal(count_opcode("(and (= ip.version 4) (in ip.src 10.0.0.0/8) (= ip.ttl 64))", VFM_OP_HDR), 1);
	assert_int_equal(count_opcode("(+ hash5 (flow-get hash5))", VFM_OP_HASH5), 1);
}

static void a_guard_that_is_repeated_is_tested_once(void **state)
{
	const char *twice = "(or (and (= ethertype 0x0800) (= proto 6) (= dst-port 22)) "
			    "(and (= ethertype 0x0800) (= proto 17) (= dst-port 53)))";
	const char *nested = "(if (= proto 6) (if (= proto 6) 2 3) (if (= proto 6) 4 5))";

	(void)state;
	assert_int_equal(count_opcode(twice, VFM_OP_LD16), 3);
	assert_int_equal(count_opcode(twice, VFM_OP_LD8), 1);
	assert_int_equal(count_opcode(twice, VFM_OP_JNE) + count_opcode(twice, VFM_OP_JEQ), 5);
	assert_int_equal(count_opcode(nested, VFM_OP_JNE) + count_opcode(nested, VFM_OP_JEQ), 1);
}

static void constants_are_folded(void **state)
{
	(void)state;
	assert_int_equal(count_opcode("(+ 1 (* 2 3) (- 10 4) (<< 1 3))", VFM_OP_ADD), 0);
	assert_int_equal(count_opcode("(if (and 1 (> 3 2)) 5 (/ src-ip 7))", VFM_OP_DIV), 0);
	assert_int_equal(count_opcode("(+ 1 src-ip 2 dst-ip 3)", VFM_OP_PUSH), 1);
	/* the seed of MIX belongs to the plan */
	assert_int_equal(count_opcode("(mix 1 2)", VFM_OP_MIX), 1);
}

static void the_listing_says_what_each_table_holds(void **state)
{
	static struct vfl_listing listing;
	const char *source =
		"(table seen :entries 10 :idle 2min :number 1)"
		"(+ (count-by src-ip dst-port) (flow-get src-ip :table seen) (rate-by proto :per 1s) (token-bucket hash5 10 5))";
	uint8_t *code;
	uint32_t len;

	(void)state;
	diag_init(&d, NULL, NULL, 0);
	assert_int_equal(vfl_compile_listing(source, strlen(source), &d, &code, &len, &listing, NULL), 0);
	assert_int_equal(listing.n_tables, 4);
	assert_string_equal(listing.tables[0].meaning, "seen");
	assert_int_equal(listing.tables[0].number, 1);
	assert_int_equal(listing.tables[0].entries, 10);
	assert_int_equal(listing.tables[0].idle_s, 120);
	assert_string_equal(listing.tables[1].meaning, "by src-ip dst-port");
	assert_int_equal(listing.tables[1].number, 0);
	assert_string_equal(listing.tables[2].meaning, "window << 32 | count, windows of 1000000 us, by proto");
	assert_int_equal(listing.tables[2].idle_s, 1);
	assert_string_equal(listing.tables[3].meaning, "token bucket, 10 per second, burst 5, by hash5");
	assert_int_equal(listing.tables[3].number, 3);
	free(code);
}

/* As docs/vflisp.md has it: by list of fields, in order, with names replaced; by length of window; by rate and burst. */
static void each_use_has_a_table_of_its_own(void **state)
{
	static const struct {
		const char *source;
		uint32_t tables;
	} cases[] = {
		{"(+ (count-by src-ip) (flow-count src-ip) (flow-get src-ip) (flow-set src-ip 1) (flow-del src-ip))", 1},
		{"(+ (count-by src-ip) (count-by dst-ip))", 2},
		{"(+ (count-by src-ip dst-ip) (count-by dst-ip src-ip))", 2},
		{"(+ (count-by src-ip) (count-by src-ip dst-ip))", 2},
		{"(let ((s src-ip)) (+ (count-by src-ip) (count-by s)))", 1},
		{"(+ (count-by src-ip) (rate-by src-ip :per 1s))", 2},
		{"(+ (count-by src-ip :per 1s) (rate-by src-ip :per 1000ms))", 1},
		{"(+ (rate-by src-ip :per 1s) (rate-by src-ip :per 2s))", 2},
		{"(+ (token-bucket src-ip 1 1) (token-bucket src-ip 1 1))", 1},
		{"(+ (token-bucket src-ip 1 1) (token-bucket src-ip 2 1) (token-bucket src-ip 1 2))", 3},
		{"(+ (count-by ip6.src) (count-by ip6.src-hi ip6.src-lo))", 1},
		{"(table t) (+ (count-by src-ip :table t) (count-by dst-ip :table t) (count-by src-ip))", 2},
	};
	static struct vfl_listing listing;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *code;
		uint32_t len;

		diag_init(&d, NULL, NULL, 0);
		assert_int_equal(vfl_compile_listing(cases[i].source, strlen(cases[i].source), &d, &code, &len, &listing, NULL), 0);
		if (listing.n_tables != cases[i].tables)
			fail_msg("%s has %u tables", cases[i].source, listing.n_tables);
		free(code);
	}
}

/* docs/vflisp.md has a row for every field, with its width. */
static void the_reference_has_every_field(void **state)
{
	char *text;
	uint32_t bytes;

	(void)state;
	assert_int_equal(file_read("docs/vflisp.md", 1u << 20, &text, &bytes), 0);
	for (uint32_t i = 0; i < vfl_n_fields; i++) {
		char row[100];

		snprintf(row, sizeof(row), "| `%s` | %u | ", vfl_fields[i].name, vfl_fields[i].width);
		if (!strstr(text, row) || !strstr(text, vfl_fields[i].doc))
			fail_msg("docs/vflisp.md lacks %s", row);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_its_text_and_its_place),
		cmocka_unit_test(an_error_is_printed_with_its_line_and_a_caret),
		cmocka_unit_test(all_errors_are_reported_not_only_the_first),
		cmocka_unit_test(a_declared_table_that_nothing_uses_is_a_warning),
		cmocka_unit_test(compile_string_says_the_first_error_in_one_line),
		cmocka_unit_test(ten_megabytes_of_parentheses_end_in_an_error),
		cmocka_unit_test(nesting_up_to_the_limit_compiles),
		cmocka_unit_test(operands_nested_deeper_than_the_stack_say_so),
		cmocka_unit_test(ten_megabytes_of_members_end_in_an_error),
		cmocka_unit_test(values_kept_for_too_many_blocks_say_so),
		cmocka_unit_test(more_source_than_is_read_says_so),
		cmocka_unit_test(a_program_that_does_not_fit_says_so),
		cmocka_unit_test(too_many_values_at_a_time_say_so),
		cmocka_unit_test(more_tables_than_there_are_numbers_say_so),
		cmocka_unit_test(jumps_farther_than_16_bits_go_over_islands),
		cmocka_unit_test(faults_come_in_the_order_of_the_source),
		cmocka_unit_test(ipv6_addresses_are_compared_whole),
		cmocka_unit_test(the_65th_update_of_a_packet_is_limit),
		cmocka_unit_test(a_field_is_loaded_once),
		cmocka_unit_test(a_guard_that_is_repeated_is_tested_once),
		cmocka_unit_test(constants_are_folded),
		cmocka_unit_test(the_reference_has_every_field),
		cmocka_unit_test(each_use_has_a_table_of_its_own),
		cmocka_unit_test(the_listing_says_what_each_table_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

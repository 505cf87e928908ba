/* test_vflisp_manual.c: every VFLisp expression of the VFM programming manual: as written (the answer, or the exact error) and corrected
 * (examples/manual). Answers are worked out by hand from the manual's words and the packets below, never taken from a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/lib/packets.h"
#include "vm/filter.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define CLIENT PACKET_IP(10, 0, 0, 1)
#define SERVER PACKET_IP(192, 0, 2, 7)

#define B   -6  /* BOUNDS: the frame ends before the field */
#define ANY -99 /* depends on a checksum: not said here */

/* The packets, in this order in every row below. TCP and UDP go from the client's port 40000 to the server's.
 *   http    TCP to 80, SYN, no payload:        ip-len 40
 *   https   TCP to 443, ACK, 100 bytes:        ip-len 140
 *   ssh     TCP to 22, PSH and ACK, 20 bytes:  ip-len 60
 *   high    TCP to 1024, SYN and ACK:          ip-len 40
 *   dns     UDP to 53, 30 bytes:               ip-len 58; byte 47 is payload byte 5, which is 5
 *   large   UDP to 9000, 1400 bytes:           ip-len 1428; byte 47 is 5
 *   ping    ICMP echo request, 40 bytes:       ip-len 68; "src-port" is type 8, code 0: 0x0800; "dst-port" the checksum; byte 47 is 5
 *   arp     42 bytes, ethertype 0x0806; byte 23, the second of the sender's MAC address, is 0; bytes 16-17, the protocol type, are 0x0800;
 *           bytes 34-37, of the target's MAC address, are 0; byte 47 is not there
 */
enum { HTTP, HTTPS, SSH, HIGH, DNS, LARGE, PING, ARP, N_PACKETS };

static uint8_t packets[N_PACKETS][PACKET_BYTES];
static uint32_t len[N_PACKETS];

static int make_packets(void **state)
{
	(void)state;
	len[HTTP] = packet_tcp4(packets[HTTP], CLIENT, SERVER, 40000, 80, TCP_SYN, 0);
	len[HTTPS] = packet_tcp4(packets[HTTPS], CLIENT, SERVER, 40000, 443, TCP_ACK, 100);
	len[SSH] = packet_tcp4(packets[SSH], CLIENT, SERVER, 40000, 22, TCP_PSH | TCP_ACK, 20);
	len[HIGH] = packet_tcp4(packets[HIGH], CLIENT, SERVER, 40000, 1024, TCP_SYN | TCP_ACK, 0);
	len[DNS] = packet_udp4(packets[DNS], CLIENT, SERVER, 40000, 53, 30);
	len[LARGE] = packet_udp4(packets[LARGE], CLIENT, SERVER, 40000, 9000, 1400);
	len[PING] = packet_icmp4(packets[PING], CLIENT, SERVER, 40);
	len[ARP] = packet_arp(packets[ARP], CLIENT, SERVER);
	return 0;
}

struct row {
	const char *text;           /* an expression, or the name of a file */
	int64_t answers[N_PACKETS]; /* http https ssh high dns large ping arp */
};

#define SAME(v) \
	{ \
		v, v, v, v, v, v, v, v \
	}

/* Language Reference and examples, as written. */
static const struct row as_written[] = {
	/* Data Types */
	{"42", SAME(42)},
	{"0xFF", SAME(255)},
	{"0b1010 ; Binary (future)", SAME(10)},
	{"ethertype", {2048, 2048, 2048, 2048, 2048, 2048, 2048, 0x806}},
	{"proto", {6, 6, 6, 6, 17, 17, 1, 0}},
	/* 10.0.0.1; in ARP: the sender's last two MAC bytes and first two address bytes */
	{"src-ip", {0xa000001, 0xa000001, 0xa000001, 0xa000001, 0xa000001, 0xa000001, 0xa000001, 0x00010a00}},
	/* 192.0.2.7; in ARP: the sender's last two address bytes and the target's first two MAC bytes */
	{"dst-ip", {0xc0000207, 0xc0000207, 0xc0000207, 0xc0000207, 0xc0000207, 0xc0000207, 0xc0000207, 0x00010000}},
	{"src-port", {40000, 40000, 40000, 40000, 40000, 40000, 2048, 0}},
	{"dst-port", {80, 443, 22, 1024, 53, 9000, ANY, 0}},
	{"ip-len", {40, 140, 60, 40, 58, 1428, 68, 2048}},
	{"tcp-flags", {2, 16, 24, 18, 5, 5, 5, B}},
	/* Arithmetic Operations */
	{"(+ 10 20)           ; Addition: 30", SAME(30)},
	{"(- 100 25)          ; Subtraction: 75", SAME(75)},
	{"(* 6 7)             ; Multiplication: 42", SAME(42)},
	{"(/ 100 4)           ; Division: 25", SAME(25)},
	{"(% 17 5)            ; Modulo: 2", SAME(2)},
	{"(+ 1 2 3 4)         ; Chain: 1+2+3+4 = 10", SAME(10)},
	{"(* 2 3 4)           ; Chain: 2*3*4 = 24", SAME(24)},
	/* Comparison Operations */
	{"(= proto 6)", {1, 1, 1, 1, 0, 0, 0, 0}},
	{"(!= src-port 80)", SAME(1)},
	{"(> ip-len 1400)", {0, 0, 0, 0, 0, 1, 0, 1}},
	{"(>= tcp-flags 2)", {1, 1, 1, 1, 1, 1, 1, B}},
	{"(< dst-port 1024)", {1, 1, 1, 0, 1, 0, ANY, 1}},
	{"(<= ip-len 576)", {1, 1, 1, 1, 1, 0, 1, 0}},
	/* Logical Operations */
	{"(and (= proto 6) (= dst-port 80))", {1, 0, 0, 0, 0, 0, 0, 0}},
	{"(or (= dst-port 80) (= dst-port 443))", {1, 1, 0, 0, 0, 0, ANY, 0}},
	{"(not (= proto 17))", {1, 1, 1, 1, 0, 0, 1, 1}},
	{"(and (= ethertype 0x0800) (= proto 6) (= dst-port 443))", {0, 1, 0, 0, 0, 0, 0, 0}},
	{"(or (= dst-port 80) (= dst-port 443) (= dst-port 8080))", {1, 1, 0, 0, 0, 0, ANY, 0}},
	/* Bitwise Operations: 5 & 2 is 0 */
	{"(& tcp-flags 0x02)", {2, 0, 0, 2, 0, 0, 0, B}},
	/* Control Flow */
	{"(if (= proto 6) 1 0)", {1, 1, 1, 1, 0, 0, 0, 0}},
	{"(if (= ethertype 0x0800)\n (if (= proto 6)\n (if (= dst-port 80) 1 0)\n 0)\n 1)", {1, 0, 0, 0, 0, 0, 0, 1}},
	/* Getting Started, VFLisp Examples */
	{"; Accept all IPv4 TCP packets\n(and (= ethertype 0x0800)\n (= proto 6))", {1, 1, 1, 1, 0, 0, 0, 0}},
	/* "Block": accepts only what it is to block; ARP's protocol is 0 */
	{"(and (= proto 17)\n (> ip-len 1400))", {0, 0, 0, 0, 0, 1, 0, 0}},
	{"(and (= proto 6)\n (or (= dst-port 80)\n (= dst-port 443)))", {1, 1, 0, 0, 0, 0, 0, 0}},
	/* each packet is the first of its table: the count is 1 */
	{"(if (= proto 6)\n (< (flow-count src-ip) 100)\n 1)", SAME(1)},
	/* Basic Protocol Filtering */
	{"(or (= proto 6) (= proto 17))", {1, 1, 1, 1, 1, 1, 0, 0}},
	{"(not (= proto 1))", {1, 1, 1, 1, 1, 1, 0, 1}},
	/* Port-based Filtering. "Block privileged ports" drops 1024 and everything that is not TCP */
	{"(and (= proto 6)\n (> dst-port 1024))", SAME(0)},
	{"(and (= proto 6)\n (= dst-port 22))", {0, 0, 1, 0, 0, 0, 0, 0}},
	/* Complex Traffic Analysis. Of 0x18 = PSH and ACK one flag is enough as written; to port 80 there is only a SYN here */
	{"(and (= proto 6)\n (= dst-port 80)\n (& tcp-flags 0x18))  ; PSH+ACK flags", SAME(0)},
	{"(and (= proto 6)\n (= tcp-flags 0x02))  ; SYN only", {1, 0, 0, 0, 0, 0, 0, 0}},
	{"(and (= proto 6)\n (< (count-by src-ip) 100))", {1, 1, 1, 1, 0, 0, 0, 0}},
	/* Multi-condition Filters */
	{"(if (= ethertype 0x0800) (if (= proto 6) (or (= dst-port 80) (= dst-port 443) (= dst-port 22) (= dst-port 25) (= "
	 "dst-port 993))"
	 " (if (= proto 17) (or (= dst-port 53) (= dst-port 123)) 0)) 1)",
	 {1, 1, 1, 0, 1, 0, 0, 1}},
	{"(if (and (= proto 6) (= dst-port 22)) (if (> (count-by src-ip) 10) 0 1) (if (and (= proto 17) (> ip-len 1024)) 0 1))",
	 {1, 1, 1, 1, 1, 0, 1, 1}},
};

static const struct row corrected[] = {
	{"first-filter.vfl", {1, 1, 1, 1, 0, 0, 0, 0}},
	{"web-port.vfl", {1, 0, 0, 0, 0, 0, 0, 0}},
	{"block-large-udp.vfl", {1, 1, 1, 1, 1, 0, 1, 1}},
	{"http-https.vfl", {1, 1, 0, 0, 0, 0, 0, 0}},
	{"rate-limit.vfl", SAME(1)},
	{"block-privileged.vfl", {0, 0, 0, 1, 1, 1, 1, 1}},
	{"detect-large-udp.vfl", {1, 1, 1, 1, 1, 2, 1, 1}},
	{"http-post.vfl", SAME(0)},
	{"detect-syn.vfl", {2, 1, 1, 1, 1, 1, 1, 1}},
	{"rate-per-source.vfl", SAME(1)},
	{"enterprise.vfl", {1, 1, 1, 0, 1, 0, 0, 1}},
	/* ssh has ACK: no new connection */
	{"security.vfl", {1, 1, 1, 1, 1, 0, 1, 1}},
	/* (flags | 16) + (proto ^ 6) + (proto << 4) + (proto >> 2): http 18 + 0 + 96 + 1; https 16 + 97; ssh 24 + 97; high 18 + 97;
	 * UDP 21 + 23 + 272 + 4; ICMP 21 + 7 + 16 + 0 */
	{"bitwise.vfl", {115, 113, 121, 115, 320, 320, 44, B}},
};

static struct program *load(const char *text, bool is_file)
{
	static struct diag_list d;
	char *source = NULL, path[200];
	struct program *p;

	snprintf(path, sizeof(path), "examples/manual/%s", text);
	p = is_file ? filter_read(path, 0, &d, &source) : filter_expression(text, 0, &d);
	if (!p)
		diag_print(&d, stderr);
	free(source);
	assert_non_null(p);
	return p;
}

static struct shard *new_shard(const struct program *p)
{
	const struct program_state_options options = {.idle_s = -1};
	struct shard *s = program_shard_new(p, &options);

	assert_non_null(s);
	return s;
}

static int64_t answer(const struct program *p, struct shard *shard, int packet)
{
	static struct machine m;
	const struct vfm_packet v = {.data = packets[packet], .len = len[packet]};

	machine_init(&m, p->code, p->len, p->table_index, shard, &v, VFM_DEFAULT_INSN_LIMIT);
	machine_run(&m);
	return m.result.error ? m.result.error : (int64_t)m.result.value;
}

static void check_rows(const struct row *rows, size_t n, bool files)
{
	for (size_t i = 0; i < n; i++) {
		struct program *p = load(rows[i].text, files);

		for (int k = 0; k < N_PACKETS; k++) {
			struct shard *shard = new_shard(p);
			int64_t got = answer(p, shard, k);

			if (rows[i].answers[k] != ANY && got != rows[i].answers[k])
				fail_msg("%s: packet %d gives %ld, not %ld", rows[i].text, k, got, rows[i].answers[k]);
			shard_free(shard);
		}
		program_free(p);
	}
}

static void every_expression_of_the_manual_gives_what_the_manual_says(void **state)
{
	(void)state;
	check_rows(as_written, sizeof(as_written) / sizeof(as_written[0]), false);
}

static void every_corrected_program_gives_what_its_comment_says(void **state)
{
	(void)state;
	check_rows(corrected, sizeof(corrected) / sizeof(corrected[0]), true);
}

static void placeholders_of_the_manual_are_refused_by_name(void **state)
{
	static const char *const texts[][2] = {
		{"(| flags1 flags2)", "unknown name 'flags1'; docs/vflisp.md lists the fields; bind names of your own with let"},
		{"(^ val1 val2)", "unknown name 'val1'; docs/vflisp.md lists the fields; bind names of your own with let"},
		{"(<< value 4)", "unknown name 'value'; docs/vflisp.md lists the fields; bind names of your own with let"},
		{"(>> value 2)", "unknown name 'value'; docs/vflisp.md lists the fields; bind names of your own with let"},
		{"(if condition then-expression else-expression)",
		 "unknown name 'condition'; docs/vflisp.md lists the fields; bind names of your own with let"},
		{"(operator operand1 operand2)", "unknown operation 'operator'; docs/vflisp.md lists them"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		static struct diag_list d;

		assert_null(filter_expression(texts[i][0], 0, &d));
		assert_string_equal(d.items[0].text, texts[i][1]);
	}
}

/* The answer to the n-th of the same packet. */
static int64_t nth_answer(const char *text, bool is_file, int packet, int n)
{
	struct program *p = load(text, is_file);
	struct shard *shard = new_shard(p);
	int64_t got = 0;

	for (int i = 0; i < n; i++)
		got = answer(p, shard, packet);
	shard_free(shard);
	program_free(p);
	return got;
}

static void limits_hold_at_their_packet(void **state)
{
	const char *written = "(if (= proto 6) (< (flow-count src-ip) 100) 1)";

	(void)state;
	/* as written: the 100th has count 100, which is not below 100 */
	assert_int_equal(nth_answer(written, false, HTTP, 99), 1);
	assert_int_equal(nth_answer(written, false, HTTP, 100), 0);
	assert_int_equal(nth_answer(written, false, DNS, 200), 1);
	assert_int_equal(nth_answer("rate-limit.vfl", true, HTTP, 100), 1);
	assert_int_equal(nth_answer("rate-limit.vfl", true, HTTP, 101), 0);
	assert_int_equal(nth_answer("rate-per-source.vfl", true, HTTP, 100), 1);
	assert_int_equal(nth_answer("rate-per-source.vfl", true, HTTP, 101), 0);
	assert_int_equal(nth_answer("rate-per-source.vfl", true, PING, 101), 1);
	/* as written, an SSH session ends with its eleventh packet; corrected, with its eleventh SYN */
	assert_int_equal(nth_answer("(if (> (count-by src-ip) 10) 0 1)", false, SSH, 10), 1);
	assert_int_equal(nth_answer("(if (> (count-by src-ip) 10) 0 1)", false, SSH, 11), 0);
	assert_int_equal(nth_answer("security.vfl", true, SSH, 11), 1);
	packets[SSH][47] = TCP_SYN;
	assert_int_equal(nth_answer("security.vfl", true, SSH, 10), 2);
	assert_int_equal(nth_answer("security.vfl", true, SSH, 11), 0);
	packets[SSH][47] = TCP_PSH | TCP_ACK;
}

/* The manual's own "Generated VFM assembly" of (= proto 6) has 11 executed instructions for TCP. Ours: LD8, PUSH, JNE, PUSH, RET. */
static void the_compiled_form_of_the_manuals_example_is_the_shortest(void **state)
{
	struct program *p = load("(= proto 6)", false);

	(void)state;
	assert_int_equal(p->proof.n, 7);
	program_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_expression_of_the_manual_gives_what_the_manual_says),
		cmocka_unit_test(every_corrected_program_gives_what_its_comment_says),
		cmocka_unit_test(placeholders_of_the_manual_are_refused_by_name),
		cmocka_unit_test(limits_hold_at_their_packet),
		cmocka_unit_test(the_compiled_form_of_the_manuals_example_is_the_shortest),
	};

	return cmocka_run_group_tests(tests, make_packets, NULL);
}

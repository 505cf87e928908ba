/* Every assembly program and fragment of the VFM programming manual: as written (test/golden/manual/as-written: the answer, or the
 * exact error) and corrected (examples/manual). The answers are worked out in comments here from the manual's words and the packets,
 * never taken from a run. Programs run on the plain stack machine and on the interpreter, which must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/packets.h"
#include "vm/filter.h"
#include "vm/interp.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define AS_WRITTEN "test/golden/manual/as-written/"
#define CORRECTED  "examples/manual/"

#define CLIENT PACKET_IP(10, 0, 0, 1)
#define SERVER PACKET_IP(192, 0, 2, 7)

/* ---- a program at work, once on each machine ---- */

struct bench {
	const char *path;
	struct program *program;
	struct interp *interp;
	struct shard *step_shard, *interp_shard;
	uint8_t packet[PACKET_BYTES];
};

static void setup(struct bench *b, const char *path)
{
	struct program_state_options options = {.default_capacity = 4096, .idle_s = -1};
	struct diag_list *d = malloc(sizeof(*d));
	char *text;

	memset(b, 0, sizeof(*b));
	b->path = path;
	b->program = filter_read(path, 0, d, &text);
	diag_print(d, stderr);
	assert_non_null(b->program);
	free(text);
	free(d);
	b->step_shard = program_shard_new(b->program, &options);
	b->interp_shard = program_shard_new(b->program, &options);
	b->interp = interp_new(b->program);
	assert_true(b->step_shard && b->interp_shard && b->interp);
}

static void teardown(struct bench *b)
{
	shard_free(b->step_shard);
	shard_free(b->interp_shard);
	interp_free(b->interp);
	program_free(b->program);
}

static struct vfm_result run(struct bench *b, uint32_t len)
{
	struct vfm_packet packet = {.data = b->packet, .len = len};
	struct vfm_result result;
	struct machine m;

	machine_init(&m, b->program->code, b->program->len, b->program->table_index, b->step_shard, &packet,
		     VFM_DEFAULT_INSN_LIMIT);
	machine_run(&m);
	interp_run(b->interp, b->interp_shard, &packet, VFM_DEFAULT_INSN_LIMIT, &result);
	if (m.result.error != result.error || m.result.value != result.value)
		fail_msg("%s: the stack machine gives %llu (error %d), the interpreter %llu (error %d)", b->path,
			 (unsigned long long)m.result.value, m.result.error, (unsigned long long)result.value, result.error);
	return result;
}

/* The packet in b->packet gives this answer. */
static void answers(struct bench *b, uint32_t len, uint64_t expected)
{
	struct vfm_result result = run(b, len);

	if (result.error || result.value != expected)
		fail_msg("%s: answers %llu (error %d), expected %llu", b->path, (unsigned long long)result.value, result.error,
			 (unsigned long long)expected);
}

static void faults(struct bench *b, uint32_t len, int error)
{
	struct vfm_result result = run(b, len);

	if (result.error != error)
		fail_msg("%s: error %d, expected %d", b->path, result.error, error);
}

static uint32_t client_tcp(struct bench *b, uint16_t sport, uint16_t dport, uint8_t flags)
{
	return packet_tcp4(b->packet, CLIENT, SERVER, sport, dport, flags, 0);
}

static uint32_t server_tcp(struct bench *b, uint16_t sport, uint16_t dport, uint8_t flags)
{
	return packet_tcp4(b->packet, SERVER, CLIENT, sport, dport, flags, 0);
}

static uint32_t client_udp(struct bench *b, uint16_t sport, uint16_t dport, uint32_t payload_bytes)
{
	return packet_udp4(b->packet, CLIENT, SERVER, sport, dport, payload_bytes);
}

static uint32_t arp(struct bench *b)
{
	return packet_arp(b->packet, CLIENT, SERVER);
}

static uint32_t ip6(struct bench *b)
{
	static const uint8_t src[16] = {0x20, 1, 0xd, 0xb8, [15] = 1}, dst[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};

	return packet_tcp6(b->packet, src, dst, 1234, 80, TCP_SYN, 0);
}

/* Runs one scenario on a list of programs that must all answer alike. */
static void on_each(const char *const *paths, void (*scenario)(struct bench *))
{
	struct bench b;

	for (; *paths; paths++) {
		setup(&b, *paths);
		scenario(&b);
		teardown(&b);
	}
}

#define ON(scenario, ...) on_each((const char *const[]){__VA_ARGS__, NULL}, scenario)

/* ---- as written: refused, with these words ---- */

struct refusal {
	const char *name;
	const char *words; /* LINE:COLUMN: TEXT, one a line */
};

#define FALLS(line, address, last) \
	line ":1: not verified (VERIFICATION_FAILED, address " address "): control runs off the end of the program after " last \
	     ": end it with RET\n"

/* Addresses: LDn 3 bytes, PUSH 9, jumps 3, everything else 1. */
static const struct refusal refusals[] = {
	{"ld8", FALLS("1", "0000", "LD8")},
	{"ld16", FALLS("2", "0003", "LD16")},
	{"ld32", FALLS("1", "0000", "LD32")},
	{"push", FALLS("3", "0012", "PUSH")},
	{"pop", FALLS("3", "0012", "POP")},
	{"dup", FALLS("2", "0009", "DUP")},
	{"swap", FALLS("3", "0012", "SWAP")},
	{"add", FALLS("3", "0012", "ADD")},
	{"sub", FALLS("3", "0012", "SUB")},
	/* LD8 3 + PUSH 9 */
	{"and", FALLS("3", "000c", "AND")},
	{"hash5", FALLS("2", "0001", "FLOW_LOAD")},
	/* PUSH, PUSH, ADD, PUSH: 9 + 9 + 1 + 9 */
	{"stack-bad", FALLS("5", "001c", "SUB")},
	{"stack-good", FALLS("5", "001c", "SUB")},
	{"cache-bad", FALLS("5", "0003", "FLOW_LOAD")},
	{"cache-good", FALLS("6", "0004", "FLOW_LOAD")},
	/* Two jumps of 3 bytes; "end" is behind the second. */
	{"jmp", "1:1: not verified (VERIFICATION_FAILED, address 0000): JMP jumps to 6, outside the program of 6 bytes\n"},
	/* LD16 3 + PUSH 9 + JNE 3 + LD8 3 = 18. */
	{"validate", "4:1: not verified (VERIFICATION_FAILED, address 000c): JNE jumps to 18, outside the program of 18 bytes\n"},
	{"jeq", "3:5: unknown label 'ipv4_handler'; define it by writing 'ipv4_handler:' before an instruction\n"},
	{"rate-limit", "12:5: unknown label 'drop'; define it by writing 'drop:' before an instruction\n"},
	{"common-case", "5:5: unknown label 'handle_tcp'; define it by writing 'handle_tcp:' before an instruction\n"
			"7:5: unknown label 'handle_udp'; define it by writing 'handle_udp:' before an instruction\n"},
	/* JMP 0 goes to the next instruction: from the first one into is_ipv4, from the second one, the last, out of the program.
	 * PUSH 9, JMP 3, LD16 3, PUSH 9, JEQ 3, PUSH 9, SWAP 1, JMP 3, PUSH 9, SWAP 1: the last JMP is at 50 = 0x32. */
	{"subroutine",
	 "17:5: not verified (VERIFICATION_FAILED, address 0032): JMP jumps to 53, outside the program of 53 bytes\n"},
	/* JLT has taken the IHL: JGT finds 15 alone. LD16 PUSH JNE 15, LD8 DUP PUSH SHR PUSH JNE 26 -> 41, PUSH AND PUSH JLT 22 -> 63,
	 * PUSH 9 -> 72 = 0x48. */
	{"parse-ip4",
	 "18:1: not verified (VERIFICATION_FAILED, address 0048): JGT needs 2 values, but a path arrives with 1 on the stack\n"},
	/* At handle_ack the key is alone: PUSH 0x10, AND and JEQ took the flags; POP takes the key, FLOW_LOAD finds nothing.
	 * (handle_syn_ack has the same fault.) Bytes before: 30 to the key, LD32 LD32 XOR LD16 LD16 XOR XOR DUP 16 -> 46,
	 * LD8 DUP PUSH AND PUSH JEQ 26 -> 72, PUSH AND PUSH JEQ 22 -> 94, the same -> 116, FLOW_LOAD PUSH JEQ PUSH RET 23 -> 139,
	 * POP PUSH FLOW_STORE PUSH RET 21 -> 160, POP FLOW_LOAD PUSH JNE POP PUSH FLOW_STORE PUSH RET 35 -> 195, POP -> 196 = 0xc4. */
	{"connection-tracker", "65:1: not verified (VERIFICATION_FAILED, address 00c4): FLOW_LOAD needs 1 value, but a path "
			       "arrives with 0 on the stack\n"},
};

static void refused_examples_say_why_where_and_what_to_do(void **state)
{
	struct diag_list *d = malloc(sizeof(*d));

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		char path[128], words[1024] = "", *text;
		size_t n = 0;

		snprintf(path, sizeof(path), AS_WRITTEN "%s.vfm", refusals[i].name);
		assert_null(filter_read(path, 0, d, &text));
		for (uint32_t j = 0; j < d->count; j++)
			n += (size_t)snprintf(words + n, sizeof(words) - n, "%u:%u: %s\n", d->items[j].line, d->items[j].column,
					      d->items[j].text);
		assert_string_equal(words, refusals[i].words);
		free(text);
	}
	free(d);
}

/* ---- filters without state ---- */

/* EtherType at 12: 0x0800 is IPv4. */
static void ip4_scenario(struct bench *b)
{
	answers(b, client_tcp(b, 1234, 80, TCP_SYN), 1);
	answers(b, client_udp(b, 1234, 53, 10), 1);
	answers(b, arp(b), 0);
	answers(b, ip6(b), 0);
	/* A VLAN tag stands where the EtherType is looked for. */
	answers(b, packet_vlan(b->packet, client_tcp(b, 1234, 80, TCP_SYN), ETHER_VLAN, 5), 0);
	/* Bytes 12 and 13 are needed: 14 bytes are enough, 13 are not. */
	answers(b, packet_cut(b->packet, arp(b), 14), 0);
	faults(b, packet_cut(b->packet, arp(b), 13), VFM_ERROR_BOUNDS);
	faults(b, 0, VFM_ERROR_BOUNDS);
}

static void filters_of_ip4_accept_ip4_alone(void **state)
{
	(void)state;
	ON(ip4_scenario, AS_WRITTEN "getting-started.vfm", CORRECTED "getting-started.vfm", AS_WRITTEN "jump-bad.vfm",
	   CORRECTED "jump-bad.vfm", AS_WRITTEN "jump-good.vfm", CORRECTED "jump-good.vfm", CORRECTED "jeq.vfm");
}

/* The byte at 23 is the IPv4 protocol: TCP 6, UDP 17. In an IPv6 frame it is the second byte of the source address: 0x01 of 2001. */
static void proto_scenario(struct bench *b)
{
	answers(b, client_tcp(b, 1234, 80, TCP_SYN), 1);
	answers(b, client_udp(b, 1234, 53, 10), 0);
	answers(b, ip6(b), 0);
	faults(b, packet_cut(b->packet, client_tcp(b, 1, 2, TCP_SYN), 23), VFM_ERROR_BOUNDS);
}

static void the_compiled_protocol_test_accepts_tcp(void **state)
{
	(void)state;
	ON(proto_scenario, AS_WRITTEN "compiled-proto.vfm", CORRECTED "compiled-proto.vfm");
}

static void tcp_scenario(struct bench *b)
{
	answers(b, client_tcp(b, 1234, 80, TCP_SYN), 1);
	answers(b, client_tcp(b, 1, 1, TCP_ACK), 1);
	answers(b, client_udp(b, 1234, 80, 10), 0);
	answers(b, arp(b), 0);
	answers(b, ip6(b), 0);
}

static void the_protocol_filter_accepts_tcp_over_ip4(void **state)
{
	(void)state;
	ON(tcp_scenario, AS_WRITTEN "filter-protocol.vfm", CORRECTED "filter-protocol.vfm");
}

/* TCP to 80 or 443. The source port does not count, UDP does not, and with IPv4 options byte 36 is no longer the port: with four
 * bytes of options bytes 36 and 37 are NOP, NOP = 0x0101. */
static void web_scenario(struct bench *b)
{
	answers(b, client_tcp(b, 1234, 80, TCP_SYN), 1);
	answers(b, client_tcp(b, 1234, 443, TCP_SYN), 1);
	answers(b, client_tcp(b, 1234, 8080, TCP_SYN), 0);
	answers(b, client_tcp(b, 80, 1234, TCP_SYN), 0);
	answers(b, client_udp(b, 1234, 80, 10), 0);
	answers(b, arp(b), 0);
	answers(b, packet_ip4_options(b->packet, client_tcp(b, 1234, 80, TCP_SYN), 4), 0);
	faults(b, packet_cut(b->packet, client_tcp(b, 1234, 80, TCP_SYN), 37), VFM_ERROR_BOUNDS);
}

static void the_port_filter_accepts_web_traffic(void **state)
{
	(void)state;
	ON(web_scenario, AS_WRITTEN "filter-port.vfm", CORRECTED "filter-port.vfm");
}

/* Either port is 80 or 443. No EtherType is tested: in ARP bytes 36 and 37 are the target's hardware address, 0, bytes 34 and 35 too. */
static void subroutine_scenario(struct bench *b)
{
	answers(b, client_tcp(b, 1234, 80, TCP_SYN), 1);
	answers(b, client_tcp(b, 1234, 443, TCP_SYN), 1);
	answers(b, client_tcp(b, 80, 1234, TCP_SYN), 1);
	answers(b, client_udp(b, 443, 1234, 10), 1);
	answers(b, client_tcp(b, 1234, 1235, TCP_SYN), 0);
	answers(b, arp(b), 0);
}

static void the_subroutine_returns_to_both_callers(void **state)
{
	(void)state;
	ON(subroutine_scenario, CORRECTED "subroutine.vfm");
}

static uint32_t with_byte(struct bench *b, uint32_t len, uint32_t at, uint8_t value)
{
	b->packet[at] = value;
	return len;
}

/* Byte 14 is version and IHL, 0x45 in a plain packet; bytes 16 and 17 the total length: 40 for a TCP header without payload. */
static void parse_scenario(struct bench *b)
{
	answers(b, client_tcp(b, 1234, 80, TCP_SYN), 1);
	answers(b, arp(b), 0);
	answers(b, ip6(b), 0);
	answers(b, with_byte(b, client_tcp(b, 1, 2, TCP_SYN), 14, 0x65), 0); /* version 6 */
	answers(b, with_byte(b, client_tcp(b, 1, 2, TCP_SYN), 14, 0x44), 0); /* IHL 4: below 5 */
	answers(b, with_byte(b, client_tcp(b, 1, 2, TCP_SYN), 14, 0x4a), 1); /* IHL 10: 40 bytes, not above 40 */
	answers(b, with_byte(b, client_tcp(b, 1, 2, TCP_SYN), 14, 0x4b), 0); /* IHL 11: 44 bytes, above 40 */
	answers(b, with_byte(b, client_tcp(b, 1, 2, TCP_SYN), 17, 20), 1);   /* total length 20: a header alone */
	answers(b, with_byte(b, client_tcp(b, 1, 2, TCP_SYN), 17, 19), 0);   /* below the header */
	faults(b, packet_cut(b->packet, client_tcp(b, 1, 2, TCP_SYN), 17), VFM_ERROR_BOUNDS);
}

static void the_header_check_finds_bad_headers(void **state)
{
	(void)state;
	ON(parse_scenario, CORRECTED "parse-ip4.vfm");
}

/* IP total length = 20 + 8 + payload: 484 bytes of payload give 512, which is not above 512; 485 give 513. */
static void dns_scenario(struct bench *b)
{
	answers(b, packet_udp4(b->packet, SERVER, CLIENT, 53, 1234, 484), 1);
	answers(b, packet_udp4(b->packet, SERVER, CLIENT, 53, 1234, 485), 0);
	answers(b, packet_udp4(b->packet, SERVER, CLIENT, 1234, 53, 1000), 1); /* a question */
	answers(b, packet_tcp4(b->packet, SERVER, CLIENT, 53, 1234, TCP_ACK, 1000), 1);
	answers(b, arp(b), 1);
	answers(b, ip6(b), 1);
}

static void the_dns_filter_drops_large_answers(void **state)
{
	(void)state;
	ON(dns_scenario, AS_WRITTEN "dns-amplification.vfm", CORRECTED "dns-amplification.vfm");
}

static uint32_t http(struct bench *b, uint16_t dport, const char *payload)
{
	struct packet_tcp tcp = {.sport = 1234, .dport = dport, .flags = TCP_PSH | TCP_ACK, .seq = 1, .ack = 1};

	return packet_tcp4_with(b->packet, CLIENT, SERVER, &tcp, (const uint8_t *)payload, (uint32_t)strlen(payload));
}

/* "GET " at 54 = 14 + 20 + 20. A packet with less than four bytes of payload is shorter than 44 by its IP length. */
static void http_scenario(struct bench *b)
{
	answers(b, http(b, 80, "GET / HTTP/1.1\r\n"), 2);
	answers(b, http(b, 80, "GET "), 2);
	answers(b, http(b, 80, "GET"), 1);
	answers(b, http(b, 80, "POST / HTTP/1.1\r\n"), 1);
	answers(b, http(b, 8080, "GET / HTTP/1.1\r\n"), 1);
	answers(b, client_tcp(b, 1234, 80, TCP_SYN), 1);
	answers(b, client_udp(b, 1234, 80, 100), 1);
	answers(b, arp(b), 1);
}

static void the_http_logger_marks_get_requests(void **state)
{
	(void)state;
	ON(http_scenario, AS_WRITTEN "http-logger.vfm", CORRECTED "http-logger.vfm");
}

static void as_written_the_http_logger_misses_requests_behind_options(void **state)
{
	struct bench b;

	(void)state;
	/* With 4 bytes of options bytes 36 and 37 are NOP, NOP, which is not port 80: accepted, not marked. */
	setup(&b, AS_WRITTEN "http-logger.vfm");
	answers(&b, packet_ip4_options(b.packet, http(&b, 80, "GET / HTTP/1.1\r\n"), 4), 1);
	/* IP says 44 and more, but the frame ends before byte 57. */
	faults(&b, packet_cut(b.packet, http(&b, 80, "GET / HTTP/1.1\r\n"), 57), VFM_ERROR_BOUNDS);
	teardown(&b);
	setup(&b, CORRECTED "http-logger.vfm");
	answers(&b, packet_ip4_options(b.packet, http(&b, 80, "GET / HTTP/1.1\r\n"), 4), 2);
	answers(&b, packet_vlan(b.packet, http(&b, 80, "GET / HTTP/1.1\r\n"), ETHER_VLAN, 5), 2);
	answers(&b, packet_cut(b.packet, http(&b, 80, "GET / HTTP/1.1\r\n"), 57), 1);
	answers(&b, 0, 1);
	teardown(&b);
}

/* ---- fragments made whole ---- */

static void gives_10(struct bench *b)
{
	answers(b, 0, 10);
}

static void gives_25(struct bench *b)
{
	answers(b, 0, 25);
}

static void the_stack_examples_give_what_their_comments_say(void **state)
{
	static const struct {
		const char *path;
		uint64_t answer;
	} rows[] = {
		{CORRECTED "push.vfm", UINT64_MAX}, /* -1 */
		{CORRECTED "dup.vfm", 84},          /* 42 + 42 */
		{CORRECTED "add.vfm", 15},          /* 10 + 5 */
		{CORRECTED "sub.vfm", 7},           /* 10 - 3 */
		{CORRECTED "jmp.vfm", 128},         /* 1, 2, 4, ... 64 is not above 100 */
		{CORRECTED "ret.vfm", 1},           {AS_WRITTEN "ret.vfm", 1},
	};
	struct bench b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(&b, rows[i].path);
		answers(&b, 0, rows[i].answer);
		teardown(&b);
	}
	ON(gives_10, CORRECTED "pop.vfm", CORRECTED "swap.vfm");             /* 10 of 10 20; 20 - 10 */
	ON(gives_25, CORRECTED "stack-bad.vfm", CORRECTED "stack-good.vfm"); /* 10 + 20 - 5 */
}

static void the_packet_examples_read_the_fields_they_name(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, CORRECTED "ld8.vfm");
	answers(&b, client_tcp(&b, 1234, 80, TCP_SYN), 6);
	answers(&b, client_udp(&b, 1234, 80, 0), 17);
	teardown(&b);
	setup(&b, CORRECTED "ld16.vfm");
	answers(&b, client_tcp(&b, 1234, 8080, TCP_SYN), 8080);
	teardown(&b);
	setup(&b, CORRECTED "ld32.vfm");
	answers(&b, client_tcp(&b, 1, 2, TCP_SYN), 0x0a000001); /* 10.0.0.1 */
	teardown(&b);
	setup(&b, CORRECTED "and.vfm");
	answers(&b, client_tcp(&b, 1, 2, TCP_SYN), 2);
	answers(&b, client_tcp(&b, 1, 2, TCP_SYN | TCP_ACK), 2);
	answers(&b, client_tcp(&b, 1, 2, TCP_ACK), 0);
	teardown(&b);
	setup(&b, CORRECTED "validate.vfm");
	answers(&b, client_udp(&b, 1, 2, 0), 17);
	answers(&b, arp(&b), 0);
	teardown(&b);
}

static void the_common_case_comes_first(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, CORRECTED "common-case.vfm");
	answers(&b, client_tcp(&b, 1, 2, TCP_SYN), 1);
	answers(&b, client_udp(&b, 1, 2, 0), 2);
	answers(&b, packet_icmp4(b.packet, CLIENT, SERVER, 8), 0);
	teardown(&b);
}

static void the_debug_filter_shows_the_ethertype_once_corrected(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, AS_WRITTEN "debug.vfm");
	answers(&b, client_tcp(&b, 1, 2, TCP_SYN), 1);
	answers(&b, arp(&b), 0); /* the 0 of RET 0, not the EtherType below it */
	teardown(&b);
	setup(&b, CORRECTED "debug.vfm");
	answers(&b, client_tcp(&b, 1, 2, TCP_SYN), 1);
	answers(&b, arp(&b), 0x0806);
	answers(&b, ip6(&b), 0x86dd);
	teardown(&b);
}

/* ---- filters with state ---- */

/* Puts a value into table 0 of both machines. */
static void put(struct bench *b, uint64_t key, uint64_t value)
{
	shard_store(b->step_shard, 0, key, value);
	shard_store(b->interp_shard, 0, key, value);
}

/* The value stored for the flow is found; another flow has none, so 0. */
static void flow_value(const char *path, uint64_t factor)
{
	struct bench b;
	uint32_t len;

	setup(&b, path);
	len = client_tcp(&b, 1234, 80, TCP_SYN);
	answers(&b, len, 0);
	put(&b, vfm_hash5(b.packet, len, 0), 21);
	answers(&b, len, 21 * factor);
	answers(&b, client_tcp(&b, 1235, 80, TCP_SYN), 0);
	teardown(&b);
}

static void the_flow_table_examples_find_the_value_of_the_flow(void **state)
{
	(void)state;
	flow_value(CORRECTED "hash5.vfm", 1);
	flow_value(CORRECTED "cache-bad.vfm", 2);
	flow_value(CORRECTED "cache-good.vfm", 2);
}

/* A flow's first 100 packets pass, its 101st and later ones do not; another flow is not affected. */
static void the_rate_limit_counts_by_flow(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, CORRECTED "rate-limit.vfm");
	for (int i = 1; i <= 103; i++)
		answers(&b, client_udp(&b, 1234, 53, 10), i <= 100);
	answers(&b, client_udp(&b, 1235, 53, 10), 1);
	teardown(&b);
}

/* A source's first 10 SYNs pass, later ones do not; what is not a SYN, and other sources, pass. */
static void the_syn_flood_filter_counts_syns_by_source(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, CORRECTED "syn-flood.vfm");
	for (uint16_t i = 1; i <= 13; i++)
		answers(&b, client_tcp(&b, (uint16_t)(1000 + i), 80, TCP_SYN), i <= 10);
	answers(&b, client_tcp(&b, 1001, 80, TCP_ACK), 1);
	answers(&b, client_udp(&b, 1001, 80, 10), 1);
	answers(&b, arp(&b), 1);
	/* SYN-ACKs of a busy server are not SYNs. */
	for (uint16_t i = 1; i <= 13; i++)
		answers(&b, server_tcp(&b, 80, (uint16_t)(1000 + i), TCP_SYN | TCP_ACK), 1);
	answers(&b, server_tcp(&b, 1000, 80, TCP_SYN), 1);
	teardown(&b);
}

/* As written: (source count+1 count+1) FLOW_STORE takes count+1 for key and value; JGT compares the source with 10. Every source above
 * 0.0.0.10 is dropped with its first SYN, or SYN-ACK, and one at or below it is never dropped. */
static void as_written_the_syn_flood_filter_drops_every_syn(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, AS_WRITTEN "syn-flood.vfm");
	answers(&b, client_tcp(&b, 1000, 80, TCP_SYN), 0);
	answers(&b, server_tcp(&b, 80, 1000, TCP_SYN | TCP_ACK), 0);
	answers(&b, client_tcp(&b, 1000, 80, TCP_ACK), 1);
	for (uint16_t i = 1; i <= 20; i++)
		answers(&b, packet_tcp4(b.packet, PACKET_IP(0, 0, 0, 10), SERVER, i, 80, TCP_SYN, 0), 1);
	teardown(&b);
}

/* The first 20 different ports pass, the 21st and later do not; a port tried before passes even then. */
static void the_port_scan_filter_counts_different_ports(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, CORRECTED "port-scan.vfm");
	for (uint16_t port = 1; port <= 20; port++) {
		answers(&b, client_tcp(&b, 1000, port, TCP_SYN), 1);
		answers(&b, client_tcp(&b, 1001, port, TCP_SYN), 1);
	}
	answers(&b, client_tcp(&b, 1000, 21, TCP_SYN), 0);
	answers(&b, client_tcp(&b, 1000, 22, TCP_SYN), 0);
	answers(&b, client_tcp(&b, 1000, 21, TCP_SYN), 1);
	answers(&b, client_tcp(&b, 1000, 23, TCP_SYN | TCP_ACK), 1);
	answers(&b, client_tcp(&b, 1000, 23, TCP_ACK), 1);
	answers(&b, client_udp(&b, 1000, 23, 10), 1);
	answers(&b, server_tcp(&b, 1000, 23, TCP_SYN), 1);
	answers(&b, arp(&b), 1);
	teardown(&b);
}

/* As written the first SYN to a port marks the pair and is dropped, because the source is above 20; the second one passes as seen. */
static void as_written_the_port_scan_filter_drops_every_first_syn(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, AS_WRITTEN "port-scan.vfm");
	answers(&b, client_tcp(&b, 1000, 80, TCP_SYN), 0);
	answers(&b, client_tcp(&b, 1000, 80, TCP_SYN), 1);
	answers(&b, client_tcp(&b, 1000, 81, TCP_SYN | TCP_ACK), 0);
	answers(&b, client_tcp(&b, 1000, 82, TCP_ACK), 1);
	teardown(&b);
}

static void the_connection_tracker_follows_handshakes(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, CORRECTED "connection-tracker.vfm");
	answers(&b, client_tcp(&b, 1000, 80, TCP_ACK), 0);           /* never opened */
	answers(&b, server_tcp(&b, 80, 1000, TCP_SYN | TCP_ACK), 0); /* nobody asked */
	answers(&b, client_tcp(&b, 1000, 80, TCP_SYN), 1);
	answers(&b, client_tcp(&b, 1000, 80, TCP_ACK), 0); /* not yet established */
	answers(&b, server_tcp(&b, 80, 1000, TCP_SYN | TCP_ACK), 1);
	answers(&b, client_tcp(&b, 1000, 80, TCP_ACK), 1);
	answers(&b, client_tcp(&b, 1000, 80, TCP_PSH | TCP_ACK), 1);
	answers(&b, server_tcp(&b, 80, 1000, TCP_PSH | TCP_ACK), 1);
	answers(&b, server_tcp(&b, 80, 1000, TCP_SYN | TCP_ACK), 0); /* established, no longer "SYN seen" */
	answers(&b, server_tcp(&b, 80, 1000, TCP_RST), 1);
	answers(&b, client_tcp(&b, 1001, 80, TCP_PSH | TCP_ACK), 0); /* another connection */
	answers(&b, client_tcp(&b, 1001, 80, TCP_RST), 0);
	answers(&b, client_udp(&b, 1001, 80, 10), 1);
	answers(&b, arp(&b), 1);
	teardown(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_examples_say_why_where_and_what_to_do),
		cmocka_unit_test(filters_of_ip4_accept_ip4_alone),
		cmocka_unit_test(the_compiled_protocol_test_accepts_tcp),
		cmocka_unit_test(the_protocol_filter_accepts_tcp_over_ip4),
		cmocka_unit_test(the_port_filter_accepts_web_traffic),
		cmocka_unit_test(the_subroutine_returns_to_both_callers),
		cmocka_unit_test(the_header_check_finds_bad_headers),
		cmocka_unit_test(the_dns_filter_drops_large_answers),
		cmocka_unit_test(the_http_logger_marks_get_requests),
		cmocka_unit_test(as_written_the_http_logger_misses_requests_behind_options),
		cmocka_unit_test(the_stack_examples_give_what_their_comments_say),
		cmocka_unit_test(the_packet_examples_read_the_fields_they_name),
		cmocka_unit_test(the_common_case_comes_first),
		cmocka_unit_test(the_debug_filter_shows_the_ethertype_once_corrected),
		cmocka_unit_test(the_flow_table_examples_find_the_value_of_the_flow),
		cmocka_unit_test(the_rate_limit_counts_by_flow),
		cmocka_unit_test(the_syn_flood_filter_counts_syns_by_source),
		cmocka_unit_test(as_written_the_syn_flood_filter_drops_every_syn),
		cmocka_unit_test(the_port_scan_filter_counts_different_ports),
		cmocka_unit_test(as_written_the_port_scan_filter_drops_every_first_syn),
		cmocka_unit_test(the_connection_tracker_follows_handshakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

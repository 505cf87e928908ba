/* test_vflisp_examples.c: the filters under examples/ do what their comments say, packet by packet, and give the counts that Suricata's own
 * tests publish for their captures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/capture.h"
#include "test/lib/packets.h"
#include "vm/filter.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define SURICATA "../shared/data/captures/suricata-verify/"

#define INSIDE  PACKET_IP(10, 0, 0, 1)
#define OTHER   PACKET_IP(10, 0, 0, 2)
#define OUTSIDE PACKET_IP(192, 0, 2, 7)
#define SECOND  1000000u

/* A filter at work. */
struct bench {
	struct program *program;
	struct shard *shard;
	uint64_t time_us;
	uint8_t packet[PACKET_BYTES];
};

static void bench_init(struct bench *b, struct program *p)
{
	const struct program_state_options options = {.idle_s = -1, .preload_room = 16};

	assert_non_null(p);
	b->program = p;
	b->shard = program_shard_new(p, &options);
	assert_non_null(b->shard);
	b->time_us = 1000ull * SECOND;
}

static void setup(struct bench *b, const char *name)
{
	static struct diag_list d;
	char path[200], *text = NULL;
	struct program *p;

	snprintf(path, sizeof(path), "examples/%s.vfl", name);
	p = filter_read(path, 0, &d, &text);
	if (!p)
		diag_print(&d, stderr);
	free(text);
	bench_init(b, p);
}

static void teardown(struct bench *b)
{
	shard_free(b->shard);
	program_free(b->program);
}

static int64_t answer_to(struct bench *b, const uint8_t *data, uint32_t len)
{
	static struct machine m;
	const struct vfm_packet v = {.data = data, .len = len, .time_us = b->time_us};

	machine_init(&m, b->program->code, b->program->len, b->program->table_index, b->shard, &v, VFM_DEFAULT_INSN_LIMIT);
	machine_run(&m);
	return m.result.error ? m.result.error : (int64_t)m.result.value;
}

static int64_t tcp(struct bench *b, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, uint8_t flags)
{
	return answer_to(b, b->packet, packet_tcp4(b->packet, src, dst, sport, dport, flags, 0));
}

static int64_t udp(struct bench *b, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, uint32_t payload_bytes)
{
	return answer_to(b, b->packet, packet_udp4(b->packet, src, dst, sport, dport, payload_bytes));
}

static void syn_limit_lets_100_a_second_and_source_through(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "syn-limit");
	for (uint16_t i = 1; i <= 100; i++)
		assert_int_equal(tcp(&b, OUTSIDE, INSIDE, i, 80, TCP_SYN), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 101, 80, TCP_SYN), 0);
	assert_int_equal(tcp(&b, OTHER, INSIDE, 101, 80, TCP_SYN), 1);           /* another source */
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 1, 80, TCP_ACK), 1);           /* connections go on */
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 1, TCP_SYN | TCP_ACK), 1); /* answers are no attempts */
	b.time_us += SECOND - 1;
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 102, 80, TCP_SYN), 0); /* the same window: it began at a whole second */
	b.time_us += 1;
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 103, 80, TCP_SYN), 1);
	teardown(&b);
}

static void token_bucket_has_a_burst_and_a_rate(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "token-bucket");
	for (int i = 0; i < 50; i++)
		assert_int_equal(udp(&b, OUTSIDE, INSIDE, 1, 53, 10), 1);
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 1, 53, 10), 0);
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 1, 54, 10), 1); /* another service */
	b.time_us += 4999;
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 1, 53, 10), 0);
	b.time_us += 1; /* 200 a second: one token each 5 ms */
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 1, 53, 10), 1);
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 1, 53, 10), 0);
	b.time_us += 10 * SECOND; /* no more than the burst */
	for (int i = 0; i < 50; i++)
		assert_int_equal(udp(&b, OUTSIDE, INSIDE, 1, 53, 10), 1);
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 1, 53, 10), 0);
	teardown(&b);
}

static void portscan_counts_different_ports_of_one_server(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "portscan");
	for (uint16_t port = 1; port < 20; port++) {
		assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 1, port, TCP_SYN), 1);
		assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 2, port, TCP_SYN), 1); /* the same port again does not count */
	}
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 1, 20, TCP_SYN), 2);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 1, 21, TCP_SYN), 0);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 1, 5, TCP_SYN), 0);
	assert_int_equal(tcp(&b, OUTSIDE, OTHER, 1, 5, TCP_SYN), 1); /* another server */
	b.time_us += 601ull * SECOND;
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 1, 22, TCP_SYN), 1);
	teardown(&b);
}

static void dns_amplification_lets_one_answer_in_for_each_query(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "dns-amplification");
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 53, 4000, 1000), 0);
	assert_int_equal(udp(&b, INSIDE, OUTSIDE, 4000, 53, 30), 1);
	assert_int_equal(udp(&b, OUTSIDE, OTHER, 53, 4000, 1000), 0); /* not who has asked */
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 53, 4000, 1000), 1);
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 53, 4000, 1000), 0);
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 123, 4000, 1000), 1);
	teardown(&b);
}

static void conntrack_lets_only_the_inside_open_connections(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "conntrack");
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_SYN), 0);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_SYN | TCP_ACK), 0);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_ACK), 0);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 4000, 80, TCP_ACK), 0);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 4000, 80, TCP_SYN), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_ACK), 0); /* before its SYN-ACK */
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_SYN | TCP_ACK), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_ACK), 0); /* before the handshake's end */
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 4000, 80, TCP_ACK), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_ACK | TCP_PSH), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_SYN), 0);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 81, 4000, TCP_ACK), 0); /* another connection */
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 4000, 80, TCP_FIN | TCP_ACK), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_ACK), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_FIN | TCP_ACK), 1);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 4000, 80, TCP_ACK), 1);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 4000, 80, TCP_SYN), 1); /* the ports are used again */
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_RST | TCP_ACK), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_RST | TCP_ACK), 0);
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 80, 4000, 10), 1);
	teardown(&b);
}

static void conntrack_forgets_idle_connections(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "conntrack");
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 1, 2, TCP_SYN), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 2, 1, TCP_SYN | TCP_ACK), 1);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 1, 2, TCP_ACK), 1);
	for (int i = 0; i < 3; i++) { /* every packet renews it */
		b.time_us += 300ull * SECOND;
		assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 2, 1, TCP_ACK), 1);
	}
	b.time_us += 301ull * SECOND;
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 2, 1, TCP_ACK), 0);
	teardown(&b);
}

static void allow_list_knows_networks_and_its_table(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "allow-list");
	assert_int_equal(table_preload(b.shard->tables[0], PACKET_IP(198, 51, 100, 1), 1), 0);
	assert_int_equal(table_preload(b.shard->tables[0], PACKET_IP(198, 51, 100, 2), 2), 0);
	assert_int_equal(udp(&b, INSIDE, OUTSIDE, 1, 2, 0), 1);
	assert_int_equal(udp(&b, PACKET_IP(192, 168, 255, 255), OUTSIDE, 1, 2, 0), 1);
	assert_int_equal(udp(&b, PACKET_IP(192, 169, 0, 0), OUTSIDE, 1, 2, 0), 0);
	assert_int_equal(udp(&b, PACKET_IP(11, 0, 0, 0), OUTSIDE, 1, 2, 0), 0);
	assert_int_equal(udp(&b, PACKET_IP(198, 51, 100, 1), OUTSIDE, 1, 2, 0), 1);
	assert_int_equal(udp(&b, PACKET_IP(198, 51, 100, 2), OUTSIDE, 1, 2, 0), 2);
	assert_int_equal(answer_to(&b, b.packet, packet_arp(b.packet, OUTSIDE, INSIDE)), 1);
	assert_false(b.program->tables[0].updated);
	teardown(&b);
}

static void ipv6_is_limited_by_network_whatever_the_extension_headers(void **state)
{
	const uint8_t dst[16] = {0x20, 1, 0xd, 0xb8, [15] = 9};
	uint8_t src[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1};
	struct bench b;
	uint32_t len;

	(void)state;
	setup(&b, "syn-limit-ipv6");
	for (int i = 0; i < 100; i++) {
		src[15] = (uint8_t)i; /* another address of the same network each time */
		len = packet_tcp6(b.packet, src, dst, 1, 80, TCP_SYN, 0);
		if (i % 2)
			len = packet_ip6_extension(b.packet, len, 60, 8);
		assert_int_equal(answer_to(&b, b.packet, len), 1);
	}
	len = packet_tcp6(b.packet, src, dst, 1, 80, TCP_SYN, 0);
	assert_int_equal(answer_to(&b, b.packet, len), 0);
	src[7] = 2;
	len = packet_tcp6(b.packet, src, dst, 1, 80, TCP_SYN, 0);
	assert_int_equal(answer_to(&b, b.packet, len), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 1, 80, TCP_SYN), 1);
	teardown(&b);
}

static void vlans_are_limited_each_by_itself(void **state)
{
	const uint8_t a6[16] = {0x20, 1, [15] = 1}, b6[16] = {0x20, 1, [15] = 2};
	struct bench b;
	uint32_t len;

	(void)state;
	setup(&b, "syn-limit-vlan");
	for (int i = 0; i <= 100; i++) {
		len = packet_vlan(b.packet, packet_tcp4(b.packet, OUTSIDE, INSIDE, 1, 80, TCP_SYN, 0), 0x8100, 5);
		assert_int_equal(answer_to(&b, b.packet, len), i < 100);
		len = packet_vlan(b.packet, packet_tcp6(b.packet, a6, b6, 1, 80, TCP_SYN, 0), 0x8100, 5);
		assert_int_equal(answer_to(&b, b.packet, len), i < 100);
	}
	len = packet_vlan(b.packet, packet_tcp4(b.packet, OUTSIDE, INSIDE, 1, 80, TCP_SYN, 0), 0x8100, 6);
	assert_int_equal(answer_to(&b, b.packet, len), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 1, 80, TCP_SYN), 1);
	teardown(&b);
}

static void a_source_has_fifty_connections(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "source-limit-on-connections");
	for (uint16_t port = 1; port <= 50; port++)
		assert_int_equal(tcp(&b, INSIDE, OUTSIDE, port, 80, TCP_SYN), 1);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 51, 80, TCP_SYN), 0);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 51, 80, TCP_ACK), 0);
	assert_int_equal(tcp(&b, OTHER, OUTSIDE, 51, 80, TCP_SYN), 1);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 7, 80, TCP_SYN), 1); /* sent again */
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 7, TCP_SYN | TCP_ACK), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 51, TCP_SYN | TCP_ACK), 0);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 7, 80, TCP_FIN | TCP_ACK), 1);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 7, 80, TCP_ACK), 0); /* closed */
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 51, 80, TCP_SYN), 1);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 52, 80, TCP_SYN), 0);
	teardown(&b);
}

static void prads_logs_hosts_and_services_once(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "prads");
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 4000, 80, TCP_SYN), 2);
	assert_int_equal(tcp(&b, INSIDE, OUTSIDE, 4000, 80, TCP_ACK), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4000, TCP_SYN | TCP_ACK), 2);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 80, 4001, TCP_SYN | TCP_ACK), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 443, 4001, TCP_SYN | TCP_ACK), 2);
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 53, 4000, 10), 2);
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 53, 4000, 10), 1);
	assert_int_equal(udp(&b, OUTSIDE, INSIDE, 5353, 4000, 10), 1);
	teardown(&b);
}

static void haproxy_rejects_the_21st_connection_in_ten_seconds(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "haproxy-stick-table");
	for (uint16_t i = 1; i <= 20; i++)
		assert_int_equal(tcp(&b, OUTSIDE, INSIDE, i, i % 2 ? 80 : 443, TCP_SYN), 1);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 21, 80, TCP_SYN), 0);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 21, 22, TCP_SYN), 1);
	b.time_us += 9ull * SECOND; /* the window is remembered to its end */
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 22, 80, TCP_SYN), 0);
	b.time_us += 1ull * SECOND;
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 22, 80, TCP_SYN), 1);
	teardown(&b);
}

/* One attempt that fails: SYN, answered by RST. Gives the answer to the RST. */
static int64_t failed_attempt(struct bench *b, uint32_t scanner, uint32_t host, uint16_t port)
{
	assert_int_equal(tcp(b, scanner, host, 1000, port, TCP_SYN), 1);
	return tcp(b, host, scanner, port, 1000, TCP_RST | TCP_ACK);
}

static void bro_notices_address_scans_and_port_scans(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "bro-scan");
	for (uint32_t host = 1; host < 25; host++)
		assert_int_equal(failed_attempt(&b, OUTSIDE, PACKET_IP(10, 1, 0, host), 22), 1);
	assert_int_equal(failed_attempt(&b, OUTSIDE, PACKET_IP(10, 1, 0, 1), 22), 1); /* seen before */
	assert_int_equal(failed_attempt(&b, OUTSIDE, PACKET_IP(10, 1, 0, 25), 22), 2);
	assert_int_equal(tcp(&b, OUTSIDE, INSIDE, 1, 80, TCP_SYN), 0);
	for (uint16_t port = 1; port < 15; port++)
		assert_int_equal(failed_attempt(&b, OTHER, INSIDE, port), 1);
	assert_int_equal(failed_attempt(&b, OTHER, INSIDE, 15), 2);
	assert_int_equal(tcp(&b, OTHER, OUTSIDE, 1, 80, TCP_SYN), 0);
	b.time_us += 301ull * SECOND;
	assert_int_equal(tcp(&b, OTHER, OUTSIDE, 1, 80, TCP_SYN), 1);
	teardown(&b);
}

static int64_t openvpn(struct bench *b, uint32_t src, uint16_t sport, uint8_t opcode)
{
	const uint8_t payload[14] = {(uint8_t)(opcode << 3)};

	return answer_to(b, b->packet, packet_udp4_with(b->packet, src, INSIDE, sport, 1194, payload, sizeof(payload)));
}

static void openvpn_admits_sessions_that_begin_with_a_reset(void **state)
{
	struct bench b;

	(void)state;
	setup(&b, "openvpn-admission");
	assert_int_equal(openvpn(&b, OUTSIDE, 5000, 6), 0);
	assert_int_equal(openvpn(&b, OUTSIDE, 5000, 7), 1);
	assert_int_equal(openvpn(&b, OUTSIDE, 5000, 6), 1);
	assert_int_equal(openvpn(&b, OUTSIDE, 5001, 6), 0);
	for (uint16_t port = 1; port <= 4; port++)
		assert_int_equal(openvpn(&b, OUTSIDE, port, 7), 1);
	assert_int_equal(openvpn(&b, OUTSIDE, 6, 7), 0);
	assert_int_equal(udp(&b, INSIDE, OUTSIDE, 1194, 5000, 20), 1);
	b.time_us += 120ull * SECOND;
	assert_int_equal(openvpn(&b, OUTSIDE, 5000, 6), 1);
	b.time_us += 121ull * SECOND;
	assert_int_equal(openvpn(&b, OUTSIDE, 5000, 6), 0);
	teardown(&b);
}

/* ---- Suricata's published counts ---- */

struct counts {
	uint64_t dropped, accepted, logged, errors;
};

static void run_capture(struct bench *b, const char *path, struct counts *counts)
{
	char error[CAPTURE_ERROR_BYTES];
	struct vfm_packet p;
	struct capture *c;

	memset(counts, 0, sizeof(*counts));
	if (capture_open(path, &c, error)) {
		print_message("SKIP no capture %s\n", path);
		skip();
	}
	while (capture_next(c, &p) == 1) {
		int64_t value;

		b->time_us = p.time_us;
		value = answer_to(b, p.data, p.len);
		counts->errors += value < 0;
		counts->dropped += value == 0;
		counts->accepted += value > 0;
		counts->logged += value > 1;
	}
	capture_close(c);
}

static void setup_expression(struct bench *b, const char *text)
{
	static struct diag_list d;

	bench_init(b, filter_expression(text, 0, &d));
}

/* firewall-tcp-session-syn-flood-drop-precedence: threshold 100, 100 accepted, 100 dropped. */
static void a_syn_flood_is_cut_as_suricata_cuts_it(void **state)
{
	struct counts counts;
	struct bench b;

	(void)state;
	setup_expression(&b,
			 "(if (and (= ethertype 0x0800) (= proto 6) (= (& tcp-flags 0x12) 0x02)) (<= (count-by dst-ip) 100) 1)");
	run_capture(&b, SURICATA "firewall-tcp-session-syn-flood-drop-precedence.pcap", &counts);
	assert_int_equal(counts.accepted, 100);
	assert_int_equal(counts.dropped, 100);
	assert_int_equal(counts.errors, 0);
	teardown(&b);
}

/* threshold-threshold-rule-flow: echo requests per source above 1, 2, 4, 7, 8: 7, 6, 4, 1, 0 alerts. */
static void echo_requests_raise_the_alerts_that_suricata_raises(void **state)
{
	static const struct {
		int above;
		uint64_t alerts;
	} cases[] = {{1, 7}, {2, 6}, {4, 4}, {7, 1}, {8, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct counts counts;
		struct bench b;
		char text[160];

		snprintf(text, sizeof(text),
			 "(if (and (= l4.proto 1) (= icmp.type 8)) (if (> (rate-by ip.src :per 60s) %d) 2 1) 1)", cases[i].above);
		setup_expression(&b, text);
		run_capture(&b, SURICATA "threshold-threshold-rule-flow.pcap", &counts);
		assert_int_equal(counts.logged, cases[i].alerts);
		assert_int_equal(counts.accepted, 12);
		teardown(&b);
	}
}

/* The example has a count of 4: so four alerts. */
static void the_snort_example_raises_four_alerts(void **state)
{
	struct counts counts;
	struct bench b;

	(void)state;
	setup(&b, "snort-detection-filter");
	run_capture(&b, SURICATA "threshold-threshold-rule-flow.pcap", &counts);
	assert_int_equal(counts.logged, 4);
	teardown(&b);
}

static void every_example_says_what_it_answers(void **state)
{
	glob_t names;

	(void)state;
	assert_int_equal(glob("examples/*.vfl", 0, NULL, &names), 0);
	assert_true(names.gl_pathc >= 14);
	for (size_t i = 0; i < names.gl_pathc; i++) {
		FILE *f = fopen(names.gl_pathv[i], "r");
		char text[4096] = "";

		assert_non_null(f);
		assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
		fclose(f);
		if (!strstr(text, "; Answers: ") || !strstr(text, "; Table 0"))
			fail_msg("%s does not say what it answers and what its tables hold", names.gl_pathv[i]);
	}
	globfree(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syn_limit_lets_100_a_second_and_source_through),
		cmocka_unit_test(token_bucket_has_a_burst_and_a_rate),
		cmocka_unit_test(portscan_counts_different_ports_of_one_server),
		cmocka_unit_test(dns_amplification_lets_one_answer_in_for_each_query),
		cmocka_unit_test(conntrack_lets_only_the_inside_open_connections),
		cmocka_unit_test(conntrack_forgets_idle_connections),
		cmocka_unit_test(allow_list_knows_networks_and_its_table),
		cmocka_unit_test(ipv6_is_limited_by_network_whatever_the_extension_headers),
		cmocka_unit_test(vlans_are_limited_each_by_itself),
		cmocka_unit_test(a_source_has_fifty_connections),
		cmocka_unit_test(prads_logs_hosts_and_services_once),
		cmocka_unit_test(haproxy_rejects_the_21st_connection_in_ten_seconds),
		cmocka_unit_test(bro_notices_address_scans_and_port_scans),
		cmocka_unit_test(openvpn_admits_sessions_that_begin_with_a_reset),
		cmocka_unit_test(a_syn_flood_is_cut_as_suricata_cuts_it),
		cmocka_unit_test(echo_requests_raise_the_alerts_that_suricata_raises),
		cmocka_unit_test(the_snort_example_raises_four_alerts),
		cmocka_unit_test(every_example_says_what_it_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_packet.c: the parser behind HASH5, HASH5S and HDR. The hash vectors were computed from the definition in vm/packet.h by hand
 * (a ten-line script over the tuple bytes), not by this code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "state/mix.h"
#include "test/lib/packets.h"
#include "vm/isa.h"
#include "vm/packet.h"

#define A PACKET_IP(10, 0, 0, 1)
#define B PACKET_IP(192, 168, 1, 2)

static const uint8_t a6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
static const uint8_t b6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 2};
static uint8_t buf[PACKET_BYTES];

#define TCP4_HASH  0x0004e37d42fa68dfULL
#define ICMP4_HASH 0xa5e8abff71160d54ULL
#define UDP6_HASH  0x79996eb19bad1674ULL

/* network, transport, payload, protocol, fragment */
static void check_hdr(uint32_t len, const uint64_t expected[VFM_HDR_ITEMS])
{
	for (uint8_t item = 0; item < VFM_HDR_ITEMS; item++)
		assert_int_equal(vfm_hdr(buf, len, item), expected[item]);
}
#define HDR(len, ...) check_hdr(len, (const uint64_t[VFM_HDR_ITEMS]){__VA_ARGS__})

static void mix64_is_murmurs_finalizer(void **state)
{
	(void)state;
	assert_int_equal(mix64(0), 0);
	assert_int_equal(mix64(1), 0xb456bcfc34c2cb2cULL);
}

static void hash5_has_the_published_values(void **state)
{
	uint32_t len = packet_tcp4(buf, A, B, 1234, 80, TCP_SYN, 0);

	(void)state;
	assert_int_equal(vfm_hash5(buf, len, 0), TCP4_HASH);
	assert_int_equal(vfm_hash5(buf, len, 0x0123456789abcdefULL), 0x26c58f136558a8deULL);
	len = packet_icmp4(buf, A, B, 0);
	assert_int_equal(vfm_hash5(buf, len, 0), ICMP4_HASH);
	len = packet_udp6(buf, a6, b6, 53, 4321, 5);
	assert_int_equal(vfm_hash5(buf, len, 0), UDP6_HASH);
	assert_int_equal(vfm_mix(1, 2, 0), 0x4e0fcd7162342871ULL);
	assert_int_equal(vfm_mix(1, 2, 0xff), 0xa0dcfa3fff9cc929ULL);
}

static void vlan_tags_do_not_change_the_hash(void **state)
{
	uint32_t len = packet_tcp4(buf, A, B, 1234, 80, TCP_SYN, 0);

	(void)state;
	len = packet_vlan(buf, len, ETHER_VLAN, 5);
	assert_int_equal(vfm_hash5(buf, len, 0), TCP4_HASH);
	HDR(len, 18, 38, 58, IP_TCP, 0);
	len = packet_vlan(buf, len, ETHER_QINQ, 6);
	assert_int_equal(vfm_hash5(buf, len, 0), TCP4_HASH);
	HDR(len, 22, 42, 62, IP_TCP, 0);
	len = packet_vlan(buf, len, ETHER_QINQ, 7);
	assert_int_equal(vfm_hash5(buf, len, 0), 0); /* a third tag is not followed */
	HDR(len, 0, 0, 0, 0, 0);
	/* The tag that was used before 802.1ad was settled. */
	len = packet_vlan(buf, packet_tcp4(buf, A, B, 1234, 80, TCP_SYN, 0), 0x9100, 8);
	HDR(len, 18, 38, 58, IP_TCP, 0);
}

static void hash5s_is_equal_for_both_directions(void **state)
{
	uint64_t there, back;

	(void)state;
	there = vfm_hash5s(buf, packet_tcp4(buf, A, B, 1234, 80, TCP_SYN, 0), 7);
	back = vfm_hash5s(buf, packet_tcp4(buf, B, A, 80, 1234, TCP_SYN | TCP_ACK, 9), 7);
	assert_int_equal(there, back);
	/* Equal addresses: the ports decide. */
	there = vfm_hash5s(buf, packet_udp4(buf, A, A, 53, 99, 0), 7);
	back = vfm_hash5s(buf, packet_udp4(buf, A, A, 99, 53, 0), 7);
	assert_int_equal(there, back);
	/* A has the smaller address, so from A the plain hash comes out; from B another. */
	assert_int_equal(vfm_hash5s(buf, packet_tcp4(buf, A, B, 1234, 80, TCP_SYN, 0), 0), TCP4_HASH);
	there = vfm_hash5s(buf, packet_udp6(buf, b6, a6, 4321, 53, 5), 0);
	assert_int_equal(there, UDP6_HASH);
}

static void plain_headers_are_found(void **state)
{
	(void)state;
	HDR(packet_tcp4(buf, A, B, 1, 2, TCP_ACK, 10), 14, 34, 54, IP_TCP, 0);
	HDR(packet_udp4(buf, A, B, 1, 2, 10), 14, 34, 42, IP_UDP, 0);
	HDR(packet_icmp4(buf, A, B, 10), 14, 34, 42, IP_ICMP, 0);
	HDR(packet_ip4(buf, A, B, IP_SCTP, 12), 14, 34, 46, IP_SCTP, 0);
	HDR(packet_ip4(buf, A, B, 47, 12), 14, 34, 0, 47, 0); /* GRE: no payload known */
	HDR(packet_tcp6(buf, a6, b6, 1, 2, TCP_ACK, 10), 14, 54, 74, IP_TCP, 0);
	HDR(packet_ip6(buf, a6, b6, 59, 0), 14, 0, 0, 59, 0); /* no next header */
	HDR(packet_arp(buf, A, B), 0, 0, 0, 0, 0);
}

static void ip4_options_move_the_transport_header(void **state)
{
	uint32_t len = packet_tcp4(buf, A, B, 1234, 80, TCP_SYN, 0);

	(void)state;
	len = packet_ip4_options(buf, len, 12);
	HDR(len, 14, 46, 66, IP_TCP, 0);
	assert_int_equal(vfm_hash5(buf, len, 0), TCP4_HASH);
}

static void ip6_extension_headers_are_followed(void **state)
{
	static const uint8_t types[] = {0, 43, 51, 60, 135, 139, 140};
	uint32_t len = packet_udp6(buf, a6, b6, 53, 4321, 5);

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		len = packet_ip6_extension(buf, len, types[i], 8 * (uint32_t)(i + 2));
		assert_int_equal(vfm_hash5(buf, len, 0), UDP6_HASH);
	}
	HDR(len, 14, 54 + 8 * (2 + 3 + 4 + 5 + 6 + 7 + 8), 54 + 8 * 35 + 8, IP_UDP, 0);
	len = packet_ip6_extension(buf, len, 60, 8);
	assert_int_equal(vfm_hash5(buf, len, 0), UDP6_HASH); /* eight are followed */
	len = packet_ip6_extension(buf, len, 60, 8);
	HDR(len, 14, 0, 0, 0, 0); /* the ninth (the hop-by-hop header, type 0, put in first) is where it stops */
}

static void only_first_fragments_have_a_transport_header(void **state)
{
	uint32_t whole = packet_udp4(buf, A, B, 53, 99, 100);
	uint64_t hash = vfm_hash5(buf, whole, 0);
	uint32_t len = packet_fragment4(buf, whole, 1, 0, 32);

	(void)state;
	HDR(len, 14, 34, 42, IP_UDP, 0);
	assert_int_equal(vfm_hash5(buf, len, 0), hash);
	len = packet_udp4(buf, A, B, 53, 99, 100);
	len = packet_fragment4(buf, len, 1, 32, 32);
	HDR(len, 14, 0, 0, IP_UDP, 32);
	/* A later fragment has ports 0, like a packet of a protocol without ports. */
	assert_int_not_equal(vfm_hash5(buf, len, 0), hash);
	assert_int_not_equal(vfm_hash5(buf, len, 0), 0);

	len = packet_fragment6(buf, packet_udp6(buf, a6, b6, 53, 4321, 100), 1, 0, 32);
	HDR(len, 14, 62, 70, IP_UDP, 0);
	assert_int_equal(vfm_hash5(buf, len, 0), UDP6_HASH);
	len = packet_fragment6(buf, packet_udp6(buf, a6, b6, 53, 4321, 100), 1, 64, 32);
	HDR(len, 14, 0, 0, IP_UDP, 64);

	/* The last offset there is: 8191 units of 8 bytes. */
	len = packet_udp4(buf, A, B, 53, 4321, 8);
	packet_put16(buf + ETHER_BYTES + 6, 0x1fff);
	HDR(len, 14, 0, 0, IP_UDP, 65528);
}

static void a_cut_packet_has_the_headers_that_are_whole(void **state)
{
	uint32_t whole = packet_tcp4(buf, A, B, 1234, 80, TCP_SYN, 10);

	(void)state;
	HDR(13, 0, 0, 0, 0, 0);
	HDR(33, 0, 0, 0, 0, 0);         /* IP header not whole */
	HDR(34, 14, 0, 0, IP_TCP, 0);   /* no byte of TCP */
	HDR(53, 14, 34, 0, IP_TCP, 0);  /* TCP header not whole */
	HDR(54, 14, 34, 54, IP_TCP, 0); /* empty payload */
	HDR(whole, 14, 34, 54, IP_TCP, 0);
	assert_int_equal(vfm_hash5(buf, 37, 0), 0); /* destination port not whole */
	assert_int_equal(vfm_hash5(buf, 38, 0), TCP4_HASH);
	assert_int_equal(vfm_hash5(buf, 0, 0), 0);
	packet_udp6(buf, a6, b6, 53, 4321, 5);
	HDR(53, 0, 0, 0, 0, 0);
	HDR(54, 14, 0, 0, IP_UDP, 0);
}

static void wrong_headers_are_no_headers(void **state)
{
	uint32_t len = packet_tcp4(buf, A, B, 1, 2, TCP_SYN, 0);

	(void)state;
	buf[14] = 0x44; /* IHL 4 */
	HDR(len, 0, 0, 0, 0, 0);
	buf[14] = 0x65; /* version 6 under ethertype 0x0800 */
	HDR(len, 0, 0, 0, 0, 0);
	buf[14] = 0x4f; /* IHL 15: 60 bytes, not there */
	HDR(len, 0, 0, 0, 0, 0);
	buf[14] = 0x45;
	buf[46] = 0x40; /* TCP data offset 4 */
	HDR(len, 14, 34, 0, IP_TCP, 0);
}

/* The parser reads exactly what is present: every prefix of many frames lies flush against the end of a heap block (ASan, valgrind). */
static void no_prefix_of_a_frame_is_read_beyond_its_end(void **state)
{
	uint32_t frames[3];

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		frames[0] = packet_ip4_options(buf, packet_tcp4(buf, A, B, 1, 2, TCP_SYN, 4), 8);
		if (kind == 1)
			frames[1] = packet_ip6_extension(buf, packet_tcp6(buf, a6, b6, 1, 2, 0, 4), 51, 24);
		if (kind == 2)
			frames[2] = packet_vlan(buf, packet_fragment6(buf, packet_udp6(buf, a6, b6, 1, 2, 64), 9, 0, 32),
						ETHER_QINQ, 1);
		for (uint32_t len = 0; len <= frames[kind]; len++) {
			uint8_t *flush = malloc(len ? len : 1);

			memcpy(flush, buf, len);
			for (uint8_t item = 0; item < VFM_HDR_ITEMS; item++)
				assert_true(vfm_hdr(flush, len, item) <= UINT16_MAX);
			vfm_hash5(flush, len, 0);
			vfm_hash5s(flush, len, 0);
			free(flush);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mix64_is_murmurs_finalizer),
		cmocka_unit_test(hash5_has_the_published_values),
		cmocka_unit_test(vlan_tags_do_not_change_the_hash),
		cmocka_unit_test(hash5s_is_equal_for_both_directions),
		cmocka_unit_test(plain_headers_are_found),
		cmocka_unit_test(ip4_options_move_the_transport_header),
		cmocka_unit_test(ip6_extension_headers_are_followed),
		cmocka_unit_test(only_first_fragments_have_a_transport_header),
		cmocka_unit_test(a_cut_packet_has_the_headers_that_are_whole),
		cmocka_unit_test(wrong_headers_are_no_headers),
		cmocka_unit_test(no_prefix_of_a_frame_is_read_beyond_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

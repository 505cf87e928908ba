/* The frames that tests build have the lengths, fields and checksums that they claim. The oracle is arithmetic from the RFCs, written
 * byte by byte here. */
#include "test/lib/packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t src6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1}, dst6[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};
static const uint32_t src4 = PACKET_IP(10, 0, 0, 1), dst4 = PACKET_IP(192, 168, 7, 2);

/* RFC 1071 as it is written: 16-bit words one after another, a last odd byte padded with 0. */
static uint32_t sum16(const uint8_t *at, uint32_t bytes, uint32_t sum)
{
	for (uint32_t i = 0; i < bytes; i++)
		sum += i % 2 ? at[i] : at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A header or segment with a correct checksum in it sums up to 0xffff. */
static void check_ip4(const uint8_t *ip, uint32_t bytes)
{
	uint32_t header = (ip[0] & 15) * 4, transport = bytes - header;

	assert_int_equal(packet_get16(ip + 2), bytes);
	assert_int_equal(sum16(ip, header, 0), 0xffff);
	assert_int_equal(sum16(ip + header, transport, sum16(ip + 12, 8, ip[9] + transport)), 0xffff);
}

static void check_ip6(const uint8_t *ip, uint32_t bytes, uint8_t protocol)
{
	assert_int_equal(packet_get16(ip + 4), bytes - 40);
	assert_int_equal(sum16(ip + 40, bytes - 40, sum16(ip + 8, 32, protocol + bytes - 40)), 0xffff);
}

static void checksums_are_those_of_rfc_1071(void **state)
{
	static const uint8_t rfc[8] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}; /* RFC 1071, 3: the sum is ddf2 */
	uint8_t data[64];

	(void)state;
	assert_int_equal(packet_checksum(rfc, 8, 0), (uint16_t)~0xddf2);
	for (uint32_t bytes = 0; bytes < sizeof data; bytes++) {
		for (uint32_t i = 0; i < bytes; i++)
			data[i] = i * 37 + bytes * 11;
		assert_int_equal(packet_checksum(data, bytes, 0xabcd), (uint16_t)~sum16(data, bytes, 0xabcd));
	}
}

static void tcp_and_udp_frames_are_whole_at_every_payload_length(void **state)
{
	uint8_t buf[PACKET_BYTES];

	(void)state;
	for (uint32_t n = 0; n <= PACKET_PAYLOAD_BYTES; n += n < 40 ? 1 : 355) {
		assert_int_equal(packet_tcp4(buf, src4, dst4, 1234, 80, TCP_SYN | TCP_ACK, n), 54 + n);
		check_ip4(buf + 14, 40 + n);
		assert_int_equal(packet_get16(buf + 36), 80);
		assert_int_equal(buf[47], 18);
		assert_int_equal(packet_udp4(buf, src4, dst4, 53, 5353, n), 42 + n);
		check_ip4(buf + 14, 28 + n);
		assert_int_equal(packet_tcp6(buf, src6, dst6, 1, 2, TCP_RST, n), 74 + n);
		check_ip6(buf + 14, 60 + n, IP_TCP);
		assert_int_equal(packet_udp6(buf, src6, dst6, 1, 2, n), 62 + n);
		check_ip6(buf + 14, 48 + n, IP_UDP);
	}
}

static void icmp_and_arp_frames_have_their_fields(void **state)
{
	uint8_t buf[PACKET_BYTES];

	(void)state;
	assert_int_equal(packet_icmp4(buf, src4, dst4, 56), 98);
	assert_int_equal(sum16(buf + 34, 64, 0), 0xffff);
	assert_int_equal(buf[23], 1);
	assert_int_equal(packet_arp(buf, src4, dst4), 42);
	assert_int_equal(packet_get16(buf + 12), ETHER_ARP);
	assert_int_equal(packet_get32(buf + 28), src4);
	assert_int_equal(packet_get32(buf + 38), dst4);
}

static void tags_options_and_extensions_shift_what_follows(void **state)
{
	uint8_t buf[PACKET_BYTES];
	uint32_t len = packet_tcp4(buf, src4, dst4, 1234, 80, TCP_SYN, 5);

	(void)state;
	len = packet_ip4_options(buf, len, 12);
	check_ip4(buf + 14, 57);
	len = packet_vlan(buf, len, ETHER_VLAN, 42);
	len = packet_vlan(buf, len, ETHER_QINQ, 7);
	assert_int_equal(len, 14 + 8 + 57);
	assert_int_equal(packet_get32(buf + 12), 0x88a80007);
	assert_int_equal(packet_get32(buf + 16), 0x8100002a);
	check_ip4(buf + 22, 57);

	len = packet_udp6(buf, src6, dst6, 7, 8, 9);
	len = packet_ip6_extension(buf, len, 60, 16);
	len = packet_ip6_extension(buf, len, 0, 8);
	assert_int_equal(len, 14 + 40 + 24 + 17);
	assert_int_equal(buf[14 + 6], 0);   /* hop-by-hop comes first, */
	assert_int_equal(buf[14 + 40], 60); /* then destination options */
	assert_int_equal(buf[14 + 48], IP_UDP);
	assert_int_equal(buf[14 + 49], 1);
	assert_int_equal(packet_get16(buf + 14 + 64), 7);
}

static void fragments_put_together_are_the_whole(void **state)
{
	uint8_t whole[PACKET_BYTES], part[PACKET_BYTES], sum[PACKET_BYTES];
	uint32_t len = packet_udp4(whole, src4, dst4, 1, 2, 1000), from, n;

	(void)state;
	for (from = 0; from < 1008; from += 400) {
		n = from + 400 < 1008 ? 400 : 1008 - from;
		memcpy(part, whole, len);
		assert_int_equal(packet_fragment4(part, len, 99, from, n), 34 + n);
		assert_int_equal(sum16(part + 14, 20, 0), 0xffff);
		assert_int_equal(packet_get16(part + 20), (from == 800 ? 0 : 0x2000) | from / 8);
		memcpy(sum + from, part + 34, n);
	}
	assert_memory_equal(sum, whole + 34, 1008);

	len = packet_udp6(whole, src6, dst6, 1, 2, 1000);
	for (from = 0; from < 1008; from += 400) {
		n = from + 400 < 1008 ? 400 : 1008 - from;
		memcpy(part, whole, len);
		assert_int_equal(packet_fragment6(part, len, 99, from, n), 62 + n);
		assert_int_equal(part[20], 44);
		assert_int_equal(part[54], IP_UDP);
		assert_int_equal(packet_get16(part + 56), from | (from == 800 ? 0 : 1));
		assert_int_equal(packet_get32(part + 58), 99);
		memcpy(sum + from, part + 62, n);
	}
	assert_memory_equal(sum, whole + 54, 1008);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_are_those_of_rfc_1071),
		cmocka_unit_test(tcp_and_udp_frames_are_whole_at_every_payload_length),
		cmocka_unit_test(icmp_and_arp_frames_have_their_fields),
		cmocka_unit_test(tags_options_and_extensions_shift_what_follows),
		cmocka_unit_test(fragments_put_together_are_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* packets.c: single frames for tests (packets.h). */
#include "test/lib/packets.h"

#include <assert.h>
#include <string.h>

static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};

void packet_put16(uint8_t *at, uint16_t v)
{
	at[0] = v >> 8;
	at[1] = v & 255;
}

void packet_put32(uint8_t *at, uint32_t v)
{
	packet_put16(at, v >> 16);
	packet_put16(at + 2, v & 0xffff);
}

uint16_t packet_get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

uint32_t packet_get32(const uint8_t *at)
{
	return (uint32_t)packet_get16(at) << 16 | packet_get16(at + 2);
}

/* Sums 4 bytes at a time in the machine's order: the ones' complement sum does not depend on byte order but for one final swap (RFC 1071, 2). */
uint16_t packet_checksum(const uint8_t *data, uint32_t bytes, uint32_t sum)
{
	uint64_t s = 0;
	uint32_t word, i;

	for (i = 0; i + 4 <= bytes; i += 4) {
		memcpy(&word, data + i, 4);
		s += word;
	}
	word = 0;
	memcpy(&word, data + i, bytes - i);
	s += word;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		s = __builtin_bswap16(s);
	s += sum;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s;
}

/* 0 to 255 */
#define FOUR(n)    (n), (n) + 1, (n) + 2, (n) + 3
#define SIXTEEN(n) FOUR(n), FOUR((n) + 4), FOUR((n) + 8), FOUR((n) + 12)
#define MANY(n)    SIXTEEN(n), SIXTEEN((n) + 16), SIXTEEN((n) + 32), SIXTEEN((n) + 48)
static const uint8_t pattern[256] = {MANY(0), MANY(64), MANY(128), MANY(192)};

static void payload_fill(uint8_t *at, const uint8_t *payload, uint32_t bytes)
{
	assert(bytes <= PACKET_PAYLOAD_BYTES);
	if (payload) {
		memcpy(at, payload, bytes);
		return;
	}
	for (uint32_t i = 0; i < bytes; i += sizeof pattern)
		memcpy(at + i, pattern, bytes - i < sizeof pattern ? bytes - i : sizeof pattern);
}

/* The header of a frame; returns where its payload starts. */
static uint8_t *ether_header(uint8_t *buf, uint16_t ethertype)
{
	memcpy(buf, macs, sizeof macs);
	packet_put16(buf + 12, ethertype);
	return buf + ETHER_BYTES;
}

void packet_fix_ip4(uint8_t *buf)
{
	uint8_t *ip = buf + ETHER_BYTES;

	packet_put16(ip + 10, 0);
	packet_put16(ip + 10, packet_checksum(ip, (ip[0] & 15) * 4, 0));
}

static uint8_t *ip4_header(uint8_t *buf, uint32_t src, uint32_t dst, uint8_t protocol, uint32_t payload_bytes)
{
	uint8_t *ip = ether_header(buf, ETHER_IP4);

	memset(ip, 0, IP4_BYTES);
	ip[0] = 0x45;
	packet_put16(ip + 2, IP4_BYTES + payload_bytes);
	ip[8] = 64;
	ip[9] = protocol;
	packet_put32(ip + 12, src);
	packet_put32(ip + 16, dst);
	packet_fix_ip4(buf);
	return ip + IP4_BYTES;
}

static uint8_t *ip6_header(uint8_t *buf, const uint8_t src[16], const uint8_t dst[16], uint8_t next, uint32_t payload_bytes)
{
	uint8_t *ip = ether_header(buf, ETHER_IP6);

	packet_put32(ip, 6u << 28);
	packet_put16(ip + 4, payload_bytes);
	ip[6] = next;
	ip[7] = 64;
	memcpy(ip + 8, src, 16);
	memcpy(ip + 24, dst, 16);
	return ip + IP6_BYTES;
}

/* The sum of the pseudo header's words: the addresses (address_bytes of them right before the transport header), protocol and length. */
static uint32_t pseudo_sum(const uint8_t *transport, uint32_t address_bytes, uint8_t protocol, uint32_t bytes)
{
	uint16_t addresses = ~packet_checksum(transport - address_bytes, address_bytes, 0);

	return (uint32_t)addresses + protocol + bytes;
}

static void tcp_write(uint8_t *at, const struct packet_tcp *tcp, const uint8_t *payload, uint32_t payload_bytes,
		      uint32_t address_bytes)
{
	uint32_t bytes = TCP_BYTES + payload_bytes;

	packet_put16(at, tcp->sport);
	packet_put16(at + 2, tcp->dport);
	packet_put32(at + 4, tcp->seq);
	packet_put32(at + 8, tcp->ack);
	at[12] = TCP_BYTES / 4 << 4;
	at[13] = tcp->flags;
	packet_put16(at + 14, 65535);
	packet_put32(at + 16, 0);
	payload_fill(at + TCP_BYTES, payload, payload_bytes);
	packet_put16(at + 16, packet_checksum(at, bytes, pseudo_sum(at, address_bytes, IP_TCP, bytes)));
}

static void udp_write(uint8_t *at, uint16_t sport, uint16_t dport, const uint8_t *payload, uint32_t payload_bytes,
		      uint32_t address_bytes)
{
	uint32_t bytes = UDP_BYTES + payload_bytes;
	uint16_t sum;

	packet_put16(at, sport);
	packet_put16(at + 2, dport);
	packet_put16(at + 4, bytes);
	packet_put16(at + 6, 0);
	payload_fill(at + UDP_BYTES, payload, payload_bytes);
	sum = packet_checksum(at, bytes, pseudo_sum(at, address_bytes, IP_UDP, bytes));
	packet_put16(at + 6, sum ? sum : 0xffff); /* 0 would say "no checksum" (RFC 768) */
}

uint32_t packet_tcp4_with(uint8_t *buf, uint32_t src, uint32_t dst, const struct packet_tcp *tcp, const uint8_t *payload,
			  uint32_t payload_bytes)
{
	uint8_t *at = ip4_header(buf, src, dst, IP_TCP, TCP_BYTES + payload_bytes);

	tcp_write(at, tcp, payload, payload_bytes, 8);
	return ETHER_BYTES + IP4_BYTES + TCP_BYTES + payload_bytes;
}

uint32_t packet_tcp6_with(uint8_t *buf, const uint8_t src[16], const uint8_t dst[16], const struct packet_tcp *tcp,
			  const uint8_t *payload, uint32_t payload_bytes)
{
	uint8_t *at = ip6_header(buf, src, dst, IP_TCP, TCP_BYTES + payload_bytes);

	tcp_write(at, tcp, payload, payload_bytes, 32);
	return ETHER_BYTES + IP6_BYTES + TCP_BYTES + payload_bytes;
}

uint32_t packet_udp4_with(uint8_t *buf, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, const uint8_t *payload,
			  uint32_t payload_bytes)
{
	uint8_t *at = ip4_header(buf, src, dst, IP_UDP, UDP_BYTES + payload_bytes);

	udp_write(at, sport, dport, payload, payload_bytes, 8);
	return ETHER_BYTES + IP4_BYTES + UDP_BYTES + payload_bytes;
}

uint32_t packet_tcp4(uint8_t *buf, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, uint8_t flags,
		     uint32_t payload_bytes)
{
	struct packet_tcp tcp = {sport, dport, flags, 1, flags & TCP_ACK ? 1 : 0};

	return packet_tcp4_with(buf, src, dst, &tcp, NULL, payload_bytes);
}

uint32_t packet_tcp6(uint8_t *buf, const uint8_t src[16], const uint8_t dst[16], uint16_t sport, uint16_t dport, uint8_t flags,
		     uint32_t payload_bytes)
{
	struct packet_tcp tcp = {sport, dport, flags, 1, flags & TCP_ACK ? 1 : 0};

	return packet_tcp6_with(buf, src, dst, &tcp, NULL, payload_bytes);
}

uint32_t packet_udp4(uint8_t *buf, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, uint32_t payload_bytes)
{
	return packet_udp4_with(buf, src, dst, sport, dport, NULL, payload_bytes);
}

uint32_t packet_udp6(uint8_t *buf, const uint8_t src[16], const uint8_t dst[16], uint16_t sport, uint16_t dport,
		     uint32_t payload_bytes)
{
	uint8_t *at = ip6_header(buf, src, dst, IP_UDP, UDP_BYTES + payload_bytes);

	udp_write(at, sport, dport, NULL, payload_bytes, 32);
	return ETHER_BYTES + IP6_BYTES + UDP_BYTES + payload_bytes;
}

uint32_t packet_icmp4(uint8_t *buf, uint32_t src, uint32_t dst, uint32_t payload_bytes)
{
	uint8_t *at = ip4_header(buf, src, dst, IP_ICMP, 8 + payload_bytes);

	memset(at, 0, 8);
	at[0] = 8;
	payload_fill(at + 8, NULL, payload_bytes);
	packet_put16(at + 2, packet_checksum(at, 8 + payload_bytes, 0));
	return ETHER_BYTES + IP4_BYTES + 8 + payload_bytes;
}

uint32_t packet_arp(uint8_t *buf, uint32_t src, uint32_t dst)
{
	static const uint8_t fixed[8] = {0, 1, 8, 0, 6, 4, 0, 1}; /* Ethernet, IPv4, sizes 6 and 4, request */
	uint8_t *at = ether_header(buf, ETHER_ARP);

	memcpy(at, fixed, 8);
	memcpy(at + 8, macs + 6, 6);
	packet_put32(at + 14, src);
	memset(at + 18, 0, 6);
	packet_put32(at + 24, dst);
	return ETHER_BYTES + 28;
}

uint32_t packet_ether(uint8_t *buf, uint16_t ethertype, uint32_t payload_bytes)
{
	payload_fill(ether_header(buf, ethertype), NULL, payload_bytes);
	return ETHER_BYTES + payload_bytes;
}

uint32_t packet_ip4(uint8_t *buf, uint32_t src, uint32_t dst, uint8_t protocol, uint32_t payload_bytes)
{
	payload_fill(ip4_header(buf, src, dst, protocol, payload_bytes), NULL, payload_bytes);
	return ETHER_BYTES + IP4_BYTES + payload_bytes;
}

uint32_t packet_ip6(uint8_t *buf, const uint8_t src[16], const uint8_t dst[16], uint8_t next, uint32_t payload_bytes)
{
	payload_fill(ip6_header(buf, src, dst, next, payload_bytes), NULL, payload_bytes);
	return ETHER_BYTES + IP6_BYTES + payload_bytes;
}

/* Opens a gap of bytes at offset at; returns the new length. */
static uint32_t insert_gap(uint8_t *buf, uint32_t len, uint32_t at, uint32_t bytes)
{
	assert(at <= len && len + bytes <= PACKET_BYTES);
	memmove(buf + at + bytes, buf + at, len - at);
	return len + bytes;
}

uint32_t packet_vlan(uint8_t *buf, uint32_t len, uint16_t ethertype, uint16_t vid)
{
	len = insert_gap(buf, len, 12, 4);
	packet_put16(buf + 12, ethertype);
	packet_put16(buf + 14, vid);
	return len;
}

uint32_t packet_ip4_options(uint8_t *buf, uint32_t len, uint32_t option_bytes)
{
	uint8_t *ip = buf + ETHER_BYTES;

	assert(option_bytes % 4 == 0 && option_bytes <= 40 && ip[0] == 0x45);
	len = insert_gap(buf, len, ETHER_BYTES + IP4_BYTES, option_bytes);
	memset(ip + IP4_BYTES, 1, option_bytes);
	ip[0] = 0x40 | (IP4_BYTES + option_bytes) / 4;
	packet_put16(ip + 2, packet_get16(ip + 2) + option_bytes);
	packet_fix_ip4(buf);
	return len;
}

uint32_t packet_ip6_extension(uint8_t *buf, uint32_t len, uint8_t type, uint32_t bytes)
{
	uint8_t *ip = buf + ETHER_BYTES, *ext = ip + IP6_BYTES;

	assert(bytes % 8 == 0 && bytes >= 8 && bytes <= 256 && (type != 44 || bytes == 8));
	len = insert_gap(buf, len, ETHER_BYTES + IP6_BYTES, bytes);
	memset(ext, 0, bytes);
	ext[0] = ip[6];
	if (type == 51)
		ext[1] = bytes / 4 - 2; /* RFC 4302: in 32-bit words, less 2 */
	else if (type != 44)
		ext[1] = bytes / 8 - 1; /* RFC 8200: in 8 bytes, less 1; a fragment header has none */
	if (type == 0 || type == 60) {
		ext[2] = 1; /* PadN over the rest */
		ext[3] = bytes - 4;
	}
	ip[6] = type;
	packet_put16(ip + 4, packet_get16(ip + 4) + bytes);
	return len;
}

uint32_t packet_fragment4(uint8_t *buf, uint32_t len, uint16_t id, uint32_t from, uint32_t bytes)
{
	uint8_t *ip = buf + ETHER_BYTES;
	uint32_t start = ETHER_BYTES + (ip[0] & 15) * 4, whole = len - start;

	assert(from % 8 == 0 && from + bytes <= whole);
	memmove(buf + start, buf + start + from, bytes);
	packet_put16(ip + 2, start - ETHER_BYTES + bytes);
	packet_put16(ip + 4, id);
	packet_put16(ip + 6, (from + bytes < whole ? 0x2000 : 0) | from / 8);
	packet_fix_ip4(buf);
	return start + bytes;
}

uint32_t packet_fragment6(uint8_t *buf, uint32_t len, uint32_t id, uint32_t from, uint32_t bytes)
{
	uint8_t *ip = buf + ETHER_BYTES, *ext = ip + IP6_BYTES;
	uint32_t start = ETHER_BYTES + IP6_BYTES, whole = len - start;

	assert(from % 8 == 0 && from + bytes <= whole);
	memmove(buf + start, buf + start + from, bytes);
	packet_put16(ip + 4, bytes);
	len = packet_ip6_extension(buf, start + bytes, 44, 8);
	packet_put16(ext + 2, from | (from + bytes < whole ? 1 : 0));
	packet_put32(ext + 4, id);
	return len;
}

uint32_t packet_cut(uint8_t *buf, uint32_t len, uint32_t to)
{
	(void)buf;
	return len < to ? len : to;
}

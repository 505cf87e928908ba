/* packets.h: single frames for tests, with correct lengths and checksums.
 *
 *     uint8_t buf[PACKET_BYTES];
 *     uint32_t len = packet_tcp4(buf, PACKET_IP(10, 0, 0, 1), PACKET_IP(10, 0, 0, 2), 1234, 80, TCP_SYN, 0);
 *     len = packet_vlan(buf, len, 0x8100, 42);
 *     len = packet_cut(buf, len, 20);
 *
 * Every builder writes a whole Ethernet frame (unpadded, no FCS) to buf and returns its length in bytes. IPv4 addresses and all ports
 * are in host order; IPv6 addresses are 16 bytes in network order. buf must hold PACKET_BYTES. Too large an argument is a fault of the
 * test: assert.
 * Byte i of a payload is i & 255. MAC addresses are 02:00:00:00:00:01 to 02:00:00:00:00:02, TTL is 64, IPv4 identification 0 unless stated.
 */
#ifndef TEST_PACKETS_H
#define TEST_PACKETS_H

#include <stdbool.h>
#include <stdint.h>

#define PACKET_BYTES         2048 /* what buf must hold */
#define PACKET_PAYLOAD_BYTES 1460 /* the largest payload_bytes */

#define PACKET_IP(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

enum packet_tcp_flag { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16, TCP_URG = 32 };
enum packet_ethertype { ETHER_IP4 = 0x0800, ETHER_ARP = 0x0806, ETHER_VLAN = 0x8100, ETHER_IP6 = 0x86dd, ETHER_QINQ = 0x88a8 };
enum packet_protocol { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_ICMP6 = 58, IP_SCTP = 132 };
enum packet_offset { ETHER_BYTES = 14, IP4_BYTES = 20, IP6_BYTES = 40, TCP_BYTES = 20, UDP_BYTES = 8 };

/* packet_tcp4 and packet_tcp6 have seq 1, ack 0 (1 with TCP_ACK); the window is 65535 everywhere. */
struct packet_tcp {
	uint16_t sport, dport;
	uint8_t flags;
	uint32_t seq, ack;
};

uint32_t packet_tcp4(uint8_t *buf, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, uint8_t flags,
		     uint32_t payload_bytes);
uint32_t packet_udp4(uint8_t *buf, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, uint32_t payload_bytes);
/* An ICMP echo request. */
uint32_t packet_icmp4(uint8_t *buf, uint32_t src, uint32_t dst, uint32_t payload_bytes);
uint32_t packet_tcp6(uint8_t *buf, const uint8_t src[16], const uint8_t dst[16], uint16_t sport, uint16_t dport, uint8_t flags,
		     uint32_t payload_bytes);
uint32_t packet_udp6(uint8_t *buf, const uint8_t src[16], const uint8_t dst[16], uint16_t sport, uint16_t dport,
		     uint32_t payload_bytes);
/* An ARP request of src for dst. */
uint32_t packet_arp(uint8_t *buf, uint32_t src, uint32_t dst);
/* A frame of any type with payload_bytes behind its header. */
uint32_t packet_ether(uint8_t *buf, uint16_t ethertype, uint32_t payload_bytes);
/* IPv4 or IPv6 of any protocol with payload_bytes behind the header. */
uint32_t packet_ip4(uint8_t *buf, uint32_t src, uint32_t dst, uint8_t protocol, uint32_t payload_bytes);
uint32_t packet_ip6(uint8_t *buf, const uint8_t src[16], const uint8_t dst[16], uint8_t next, uint32_t payload_bytes);

/* The general TCP forms: payload is payload_bytes bytes, or NULL for the standard ones. */
uint32_t packet_tcp4_with(uint8_t *buf, uint32_t src, uint32_t dst, const struct packet_tcp *tcp, const uint8_t *payload,
			  uint32_t payload_bytes);
uint32_t packet_tcp6_with(uint8_t *buf, const uint8_t src[16], const uint8_t dst[16], const struct packet_tcp *tcp,
			  const uint8_t *payload, uint32_t payload_bytes);
uint32_t packet_udp4_with(uint8_t *buf, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, const uint8_t *payload,
			  uint32_t payload_bytes);

/* Changes to a frame that is there; each returns the new length. */

/* Puts a VLAN tag (ethertype 0x8100, 0x88a8 or 0x9100) behind the MAC addresses, before any tag that is there. */
uint32_t packet_vlan(uint8_t *buf, uint32_t len, uint16_t ethertype, uint16_t vid);
/* Puts option_bytes (a multiple of 4, at most 40) of NOP options into an untagged IPv4 frame without options. */
uint32_t packet_ip4_options(uint8_t *buf, uint32_t len, uint32_t option_bytes);
/* Puts an extension header of bytes (a multiple of 8, at most 256; AH's length field is in its own unit) in front of what follows
 * the fixed header of an untagged IPv6 frame. */
uint32_t packet_ip6_extension(uint8_t *buf, uint32_t len, uint8_t type, uint32_t bytes);
/* Makes an untagged IPv4 frame one fragment of itself: the bytes [from, from + bytes) behind its header. from is a multiple of 8. */
uint32_t packet_fragment4(uint8_t *buf, uint32_t len, uint16_t id, uint32_t from, uint32_t bytes);
/* The same for an untagged IPv6 frame without extension headers: adds a fragment header. */
uint32_t packet_fragment6(uint8_t *buf, uint32_t len, uint32_t id, uint32_t from, uint32_t bytes);
/* The first to bytes of the frame (all of it if it is shorter); no length field changes. */
uint32_t packet_cut(uint8_t *buf, uint32_t len, uint32_t to);

/* Big-endian stores and loads, and RFC 1071: the Internet checksum of data, starting from the sum of other words (0 for none). */
void packet_put16(uint8_t *at, uint16_t v);
void packet_put32(uint8_t *at, uint32_t v);
uint16_t packet_get16(const uint8_t *at);
uint32_t packet_get32(const uint8_t *at);
uint16_t packet_checksum(const uint8_t *data, uint32_t bytes, uint32_t sum);
/* Recomputes the header checksum of an untagged IPv4 frame after a test changed its header. */
void packet_fix_ip4(uint8_t *buf);

#endif

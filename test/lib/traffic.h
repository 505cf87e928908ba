/* traffic.h: a seeded generator of traffic: what a filter at the edge of a network sees, on one link, in order of time.
 *
 *     struct traffic_config config;
 *     traffic_config_init(&config);
 *     config.seed = 7;
 *     struct traffic *t = traffic_new(&config);
 *     while (traffic_next(t, buf, &len, &time_us))
 *             ...
 *     traffic_free(t);
 *
 * The same configuration gives the same bytes and times on any machine (integers only). Addresses:
 *   clients 10.1.0.0/16 (2001:db8:1::/48), servers 192.168.0.0/24 (2001:db8:2::/48), TRAFFIC_VICTIM attacked by TRAFFIC_ATTACKER (one
 *   source) or by anybody (spoofed), TRAFFIC_SCANNER scans the servers' network, resolvers 100.64.0.0/16.
 */
#ifndef TEST_TRAFFIC_H
#define TEST_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "test/lib/packets.h"

/* Kinds of traffic: name, its share in the standard mix, what it is. */
#define TRAFFIC_KIND_TABLE(X) \
	X(TCP, "tcp", 50, "IPv4 TCP connections: handshake, data over a Zipf mix of sizes, FIN or RST") \
	X(IP6, "ip6", 12, "the same over IPv6, a third of them with extension headers") \
	X(VLAN, "vlan", 10, "the same over IPv4 in a VLAN or in two (QinQ)") \
	X(UDP, "udp", 6, "DNS questions and their answers") \
	X(OTHER, "other", 2, "ARP and ICMP") \
	X(SYN_FLOOD, "syn-flood", 5, "SYNs to one victim from one source") \
	X(SPOOFED, "spoofed", 5, "SYNs to one victim, each from another source") \
	X(SCAN, "scan", 3, "one source trying port after port, mostly answered by RST") \
	X(DNS_AMPLIFICATION, "dns-amplification", 3, "large DNS answers that the victim never asked for") \
	X(FRAGMENTS, "fragments", 2, "IPv4 and IPv6 datagrams in fragments, some last fragment first") \
	X(MALFORMED, "malformed", 2, "frames cut short, or with lying lengths, versions, offsets")

#define TRAFFIC_KIND_ENUM(id, name, share, text) TRAFFIC_##id,
enum traffic_kind { TRAFFIC_KIND_TABLE(TRAFFIC_KIND_ENUM) TRAFFIC_KINDS };

#define TRAFFIC_VICTIM          PACKET_IP(192, 168, 0, 80)
#define TRAFFIC_ATTACKER        PACKET_IP(203, 0, 113, 66)
#define TRAFFIC_SCANNER         PACKET_IP(198, 51, 100, 23)
#define TRAFFIC_MAX_CONNECTIONS (1u << 20)
#define TRAFFIC_MAX_SEGMENTS    4096u

struct traffic_config {
	uint64_t seed;
	uint64_t packets;            /* how many traffic_next() gives; UINT64_MAX: endless */
	uint64_t start_us;           /* time of the first packet, since 1970 */
	uint32_t packets_per_second; /* on average, 1 to 1000000 */
	uint32_t clients;            /* different client addresses, 1 to 65535 */
	uint32_t connections;        /* open at a time, of each of tcp, ip6, vlan; 1 to TRAFFIC_MAX_CONNECTIONS */
	uint32_t max_segments;       /* data segments of the largest connection, 1 to TRAFFIC_MAX_SEGMENTS; sizes have P(n) ~ 1/n */
	uint32_t share[TRAFFIC_KINDS]; /* of the packets, in parts of their sum; each at most 1000000, not all 0 */
};

/* What the generator knows about the packet it gave last: the truth that tests compare with. */
struct traffic_note {
	enum traffic_kind kind;
	uint8_t version;    /* 4, 6 or 0: no IP; of a malformed frame: what it was before the damage */
	uint8_t protocol;   /* transport protocol, 0 without IP */
	uint8_t tcp_flags;  /* 0 unless a whole TCP header is in the frame */
	uint8_t tags;       /* VLAN tags */
	uint8_t extensions; /* IPv6 extension headers, the fragment header not counted */
	bool fragment;      /* a part of a datagram */
	bool later;         /* ... and not its first part */
};

struct traffic;

/* Seed 1, 10^5 packets, 50,000 a second from 2023-11-14 22:13:20 UTC, 4,000 clients, 64 connections at a time, at most 200 segments,
 * the standard mix. */
void traffic_config_init(struct traffic_config *config);
/* Sets the shares from "tcp=60,syn-flood=40"; a kind that is not named gets 0. -EINVAL: *where points at the wrong word. */
int traffic_config_mix(struct traffic_config *config, const char *mix, const char **where);
const char *traffic_kind_name(enum traffic_kind kind);
const char *traffic_kind_text(enum traffic_kind kind);

/* NULL if the configuration is out of its bounds, or memory runs out. */
struct traffic *traffic_new(const struct traffic_config *config);
void traffic_free(struct traffic *t);
/* Writes the next packet to buf (PACKET_BYTES); false at the end. Times strictly grow. */
bool traffic_next(struct traffic *t, uint8_t *buf, uint32_t *len, uint64_t *time_us);
const struct traffic_note *traffic_note(const struct traffic *t);

#endif

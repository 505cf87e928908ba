/* packet.h: a packet as the machine sees it, and the one parser behind HASH5, HASH5S and HDR.
 *
 * The parser reads Ethernet with up to two VLAN tags (0x8100, 0x88a8, 0x9100), IPv4 with options, IPv6 with at most eight extension
 * headers (0 hop-by-hop, 43 routing, 44 fragment, 51 AH, 60 destination, 135 mobility, 139 HIP, 140 shim6). It trusts no length
 * field beyond the bytes present and never faults.
 */
#ifndef VM_PACKET_H
#define VM_PACKET_H

#include <stdbool.h>
#include <stdint.h>

struct vfm_packet {
	const uint8_t *data; /* not owned */
	uint32_t len;        /* bytes present, at most VFM_MAX_PACKET_BYTES */
	uint32_t input;      /* number of the port it came in by; 0 for a capture */
	uint64_t time_us;    /* microseconds since 1970, never going back on one input */
};

struct vfm_headers {
	uint8_t version;    /* 4, 6, or 0: no IP header that is whole */
	bool ports;         /* transport is TCP, UDP or SCTP, first fragment, port fields present */
	bool truncated;     /* the headers end before the transport header is reached, or its ports are cut off */
	uint8_t protocol;   /* final protocol; 0 where version is 0 */
	uint16_t network;   /* offset, 0: none */
	uint16_t transport; /* offset, 0: none (not a first fragment, or no byte of it present) */
	uint16_t payload;   /* offset, 0: none */
	uint16_t fragment;  /* fragment offset in bytes */
};

void vfm_parse(const uint8_t *data, uint32_t len, struct vfm_headers *h);

/* HASH5: h = mix64(h ^ word) over the 8-byte big-endian words of src, dst, sport, dport, proto (zero-padded to a multiple of 8);
 * h starts as seed. Ports are 0 unless headers.ports. 0 for non-IP or truncated packets. */
uint64_t vfm_hash5(const uint8_t *data, uint32_t len, uint64_t seed);
/* The same after putting the smaller of (src, sport) and (dst, dport) first: equal for both directions. */
uint64_t vfm_hash5s(const uint8_t *data, uint32_t len, uint64_t seed);
/* The same with the packet's headers known. */
uint64_t vfm_hash5_of(const uint8_t *data, const struct vfm_headers *h, bool symmetric, uint64_t seed);
uint64_t vfm_hdr_of(const struct vfm_headers *h, uint8_t item);
/* MIX: mix64(mix64(seed ^ a) ^ b). */
uint64_t vfm_mix(uint64_t a, uint64_t b, uint64_t seed);
/* HDR: item is enum vfm_hdr_item; 0 where there is none. */
uint64_t vfm_hdr(const uint8_t *data, uint32_t len, uint8_t item);

#endif

/* packet.c: the one packet parser. Formats: IEEE 802.1Q/802.1ad tags, RFC 791, RFC 8200, RFC 4302 (AH), RFC 9293, RFC 9260. */
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "state/mix.h"
#include "vm/isa.h"
#include "vm/packet.h"

#define ETHER_BYTES           14
#define MAX_VLAN_TAGS         2
#define MAX_EXTENSION_HEADERS 8

enum {
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_IP6 = 0x86dd,
	PROTO_HOPOPTS = 0,
	PROTO_ICMP = 1,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AH = 51,
	PROTO_ICMP6 = 58,
	PROTO_NONE = 59,
	PROTO_DSTOPTS = 60,
	PROTO_SCTP = 132,
	PROTO_MOBILITY = 135,
	PROTO_HIP = 139,
	PROTO_SHIM6 = 140,
};

/* Largest hashed tuple: two IPv6 addresses, two ports, protocol, padded to 8-byte words. */
#define TUPLE_BYTES_MAX 40

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static bool is_vlan(uint32_t ethertype)
{
	return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100;
}

/* Sets payload and ports of the transport header at h->transport. */
static void parse_transport(const uint8_t *data, uint32_t len, struct vfm_headers *h)
{
	uint32_t left = len - h->transport;
	uint32_t header_bytes;

	switch (h->protocol) {
	case PROTO_TCP:
		header_bytes = left >= 13 ? (data[h->transport + 12] >> 4) * 4u : 0;
		if (header_bytes < 20)
			header_bytes = 0;
		break;
	case PROTO_SCTP:
		header_bytes = 12;
		break;
	case PROTO_UDP:
	case PROTO_ICMP:
	case PROTO_ICMP6:
		header_bytes = 8;
		break;
	default:
		return;
	}
	if (header_bytes && header_bytes <= left)
		h->payload = (uint16_t)(h->transport + header_bytes);
	if (h->protocol == PROTO_ICMP || h->protocol == PROTO_ICMP6)
		return;
	h->ports = left >= 4;
	h->truncated = !h->ports;
}

/* The transport header begins at off unless this is a later fragment. */
static void enter_transport(const uint8_t *data, uint32_t len, uint32_t off, struct vfm_headers *h)
{
	if (h->fragment || h->protocol == PROTO_NONE)
		return;
	if (off >= len) {
		h->truncated = true;
		return;
	}
	h->transport = (uint16_t)off;
	parse_transport(data, len, h);
}

static void parse_ip4(const uint8_t *data, uint32_t len, uint32_t off, struct vfm_headers *h)
{
	const uint8_t *ip = data + off;
	uint32_t header_bytes;

	if (len - off < 20 || ip[0] >> 4 != 4)
		return;
	header_bytes = (ip[0] & 15) * 4u;
	if (header_bytes < 20 || header_bytes > len - off)
		return;
	h->version = 4;
	h->network = (uint16_t)off;
	h->protocol = ip[9];
	h->fragment = (uint16_t)((be16(ip + 6) & 0x1fff) * 8);
	enter_transport(data, len, off + header_bytes, h);
}

static bool is_extension(uint8_t protocol)
{
	switch (protocol) {
	case PROTO_HOPOPTS:
	case PROTO_ROUTING:
	case PROTO_FRAGMENT:
	case PROTO_AH:
	case PROTO_DSTOPTS:
	case PROTO_MOBILITY:
	case PROTO_HIP:
	case PROTO_SHIM6:
		return true;
	default:
		return false;
	}
}

static uint32_t extension_bytes(uint8_t protocol, const uint8_t *p)
{
	if (protocol == PROTO_FRAGMENT)
		return 8;
	if (protocol == PROTO_AH)
		return (p[1] + 2u) * 4;
	return (p[1] + 1u) * 8;
}

static void parse_ip6(const uint8_t *data, uint32_t len, uint32_t off, struct vfm_headers *h)
{
	if (len - off < 40 || data[off] >> 4 != 6)
		return;
	h->version = 6;
	h->network = (uint16_t)off;
	h->protocol = data[off + 6];
	off += 40;
	for (int i = 0; i < MAX_EXTENSION_HEADERS && is_extension(h->protocol); i++) {
		uint32_t bytes;

		if (len - off < 8 || len - off < (bytes = extension_bytes(h->protocol, data + off))) {
			h->truncated = true;
			return;
		}
		if (h->protocol == PROTO_FRAGMENT)
			h->fragment = (uint16_t)(be16(data + off + 2) & 0xfff8);
		h->protocol = data[off];
		off += bytes;
		if (h->fragment)
			return; /* what follows in a later fragment is not a header */
	}
	if (!is_extension(h->protocol)) /* else: more headers than we follow, no transport header known */
		enter_transport(data, len, off, h);
}

void vfm_parse(const uint8_t *data, uint32_t len, struct vfm_headers *h)
{
	uint32_t off = ETHER_BYTES;
	uint32_t ethertype;

	memset(h, 0, sizeof(*h));
	if (len < ETHER_BYTES)
		return;
	ethertype = be16(data + 12);
	for (int i = 0; i < MAX_VLAN_TAGS && is_vlan(ethertype) && len - off >= 4; i++) {
		ethertype = be16(data + off + 2);
		off += 4;
	}
	if (ethertype == ETHERTYPE_IP4)
		parse_ip4(data, len, off, h);
	else if (ethertype == ETHERTYPE_IP6)
		parse_ip6(data, len, off, h);
}

/* One end of a flow: where its address and its port lie. */
struct flow_end {
	const uint8_t *address;
	const uint8_t *port;
};

static const uint8_t no_port[2];

static int compare_ends(const struct flow_end *a, const struct flow_end *b, size_t address_bytes)
{
	int order = memcmp(a->address, b->address, address_bytes);

	return order ? order : memcmp(a->port, b->port, 2);
}

static uint32_t be32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, 4);
	return be32toh(x);
}

/* The tuple of IPv4 is two words, made without a detour through memory. */
static uint64_t hash_ip4(const uint8_t *data, const struct vfm_headers *h, bool symmetric, uint64_t seed)
{
	uint64_t src = be32(data + h->network + 12), dst = be32(data + h->network + 16);
	uint64_t sport = h->ports ? be16(data + h->transport) : 0, dport = h->ports ? be16(data + h->transport + 2) : 0;
	uint64_t from = src << 16 | sport, to = dst << 16 | dport;

	if (symmetric && from > to)
		return mix64(mix64(seed ^ (dst << 32 | src)) ^ (dport << 48 | sport << 32 | (uint64_t)h->protocol << 24));
	return mix64(mix64(seed ^ (src << 32 | dst)) ^ (sport << 48 | dport << 32 | (uint64_t)h->protocol << 24));
}

/* src, dst, sport, dport, proto in network order, zero-padded; with symmetric the smaller end first. Returns the bytes. */
static size_t build_tuple(const uint8_t *data, const struct vfm_headers *h, bool symmetric, uint8_t tuple[TUPLE_BYTES_MAX])
{
	const size_t address_bytes = 16;
	struct flow_end src, dst;
	size_t used;

	src.address = data + h->network + 8;
	dst.address = src.address + address_bytes;
	src.port = h->ports ? data + h->transport : no_port;
	dst.port = h->ports ? data + h->transport + 2 : no_port;
	if (symmetric && compare_ends(&src, &dst, address_bytes) > 0) {
		struct flow_end swap = src;

		src = dst;
		dst = swap;
	}
	memset(tuple, 0, TUPLE_BYTES_MAX);
	memcpy(tuple, src.address, address_bytes);
	memcpy(tuple + address_bytes, dst.address, address_bytes);
	memcpy(tuple + 2 * address_bytes, src.port, 2);
	memcpy(tuple + 2 * address_bytes + 2, dst.port, 2);
	tuple[2 * address_bytes + 4] = h->protocol;
	used = 2 * address_bytes + 5;
	return (used + 7) & ~(size_t)7;
}

static uint64_t hash_ip6(const uint8_t *data, const struct vfm_headers *headers, bool symmetric, uint64_t seed)
{
	uint8_t tuple[TUPLE_BYTES_MAX];
	size_t bytes = build_tuple(data, headers, symmetric, tuple);
	uint64_t h = seed;

	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t word;

		memcpy(&word, tuple + i, 8);
		h = mix64(h ^ be64toh(word));
	}
	return h;
}

uint64_t vfm_hash5_of(const uint8_t *data, const struct vfm_headers *h, bool symmetric, uint64_t seed)
{
	if (!h->version || h->truncated)
		return 0;
	return (h->version == 4 ? hash_ip4 : hash_ip6)(data, h, symmetric, seed);
}

uint64_t vfm_hash5(const uint8_t *data, uint32_t len, uint64_t seed)
{
	struct vfm_headers h;

	vfm_parse(data, len, &h);
	return vfm_hash5_of(data, &h, false, seed);
}

uint64_t vfm_hash5s(const uint8_t *data, uint32_t len, uint64_t seed)
{
	struct vfm_headers h;

	vfm_parse(data, len, &h);
	return vfm_hash5_of(data, &h, true, seed);
}

uint64_t vfm_mix(uint64_t a, uint64_t b, uint64_t seed)
{
	return mix64(mix64(seed ^ a) ^ b);
}

uint64_t vfm_hdr_of(const struct vfm_headers *h, uint8_t item)
{
	switch ((enum vfm_hdr_item)item) {
	case VFM_HDR_NETWORK:
		return h->network;
	case VFM_HDR_TRANSPORT:
		return h->transport;
	case VFM_HDR_PAYLOAD:
		return h->payload;
	case VFM_HDR_PROTOCOL:
		return h->protocol;
	case VFM_HDR_FRAGMENT:
		return h->fragment;
	default:
		return 0;
	}
}

uint64_t vfm_hdr(const uint8_t *data, uint32_t len, uint8_t item)
{
	struct vfm_headers h;

	vfm_parse(data, len, &h);
	return vfm_hdr_of(&h, item);
}

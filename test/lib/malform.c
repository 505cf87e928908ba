/* malform.c: damaged frames (malform.h). One function per kind of damage. */
#include "test/lib/malform.h"

#include <string.h>

static uint32_t cut_anywhere(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	return packet_cut(buf, len, 1 + gen_below(rng, len));
}

/* Inside the Ethernet, network or transport header, where parsers are careless. */
static uint32_t cut_headers(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	return packet_cut(buf, len, 1 + gen_below(rng, ETHER_BYTES + IP6_BYTES + TCP_BYTES));
}

static uint32_t lie_about_length(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	uint8_t *ip = buf + ETHER_BYTES;
	bool v4 = packet_get16(buf + 12) == ETHER_IP4;

	packet_put16(ip + (v4 ? 2 : 4), gen_chance(rng, 50) ? gen_below(rng, 60) : gen_below(rng, 65536));
	if (v4)
		packet_fix_ip4(buf);
	return len;
}

/* IPv4: a header length below 5 words, or beyond the frame; IPv6: an extension header that claims more than there is. */
static uint32_t lie_about_header(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	uint8_t *ip = buf + ETHER_BYTES;

	if (packet_get16(buf + 12) == ETHER_IP4) {
		ip[0] = 0x40 | gen_below(rng, 16);
		return gen_chance(rng, 50) ? packet_cut(buf, len, ETHER_BYTES + 20 + gen_below(rng, 30)) : len;
	}
	len = packet_ip6_extension(buf, len, gen_chance(rng, 50) ? 0 : 43, 8);
	ip[IP6_BYTES + 1] = 1 + gen_below(rng, 255);
	return packet_cut(buf, len, ETHER_BYTES + IP6_BYTES + 8 + gen_below(rng, 64));
}

static uint32_t wrong_version(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	buf[ETHER_BYTES] = gen_below(rng, 256);
	return len;
}

/* The type field of one IP over the header of the other. */
static uint32_t wrong_type(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	(void)rng;
	packet_put16(buf + 12, packet_get16(buf + 12) == ETHER_IP4 ? ETHER_IP6 : ETHER_IP4);
	return len;
}

/* TCP's data offset, or UDP's length: the same place in neither, so both bytes are overwritten. */
static uint32_t lie_in_transport(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	uint32_t transport = ETHER_BYTES + (packet_get16(buf + 12) == ETHER_IP4 ? IP4_BYTES : IP6_BYTES);

	if (transport + TCP_BYTES <= len)
		buf[transport + 12] = gen_below(rng, 256);
	packet_put16(buf + transport + 4, gen_below(rng, 65536));
	return len;
}

/* A chain of extension headers longer than any parser should follow, or a frame that ends in the middle of it. */
static uint32_t long_chain(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	if (packet_get16(buf + 12) != ETHER_IP6)
		return wrong_version(rng, buf, len);
	for (uint32_t n = 7 + gen_below(rng, 6); n; n--)
		len = packet_ip6_extension(buf, len, 60, 8);
	return gen_chance(rng, 50) ? packet_cut(buf, len, ETHER_BYTES + IP6_BYTES + gen_below(rng, 100)) : len;
}

/* More tags than two, or a frame that ends inside one. */
static uint32_t too_many_tags(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	for (uint32_t n = 1 + gen_below(rng, 4); n; n--)
		len = packet_vlan(buf, len, ETHER_VLAN, gen_below(rng, 4096));
	return gen_chance(rng, 50) ? packet_cut(buf, len, 12 + gen_below(rng, 12)) : len;
}

/* A first fragment too short for the transport header, or one at an offset beyond 65,535 bytes (the ping of death). */
static uint32_t bad_fragment(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	if (packet_get16(buf + 12) != ETHER_IP4)
		return packet_fragment6(buf, len, gen_next(rng), 0, 8);
	if (gen_chance(rng, 50))
		return packet_fragment4(buf, len, gen_next(rng), 0, 8);
	packet_put16(buf + ETHER_BYTES + 6, 0x1fff);
	packet_fix_ip4(buf);
	return len;
}

static uint32_t flip_bits(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	for (uint32_t n = 1 + gen_below(rng, 8); n; n--)
		buf[gen_below(rng, len)] ^= 1 << gen_below(rng, 8);
	return len;
}

static uint32_t noise(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	len = 1 + gen_below(rng, 128);
	for (uint32_t i = 0; i < len; i++)
		buf[i] = gen_below(rng, 256);
	return len;
}

uint32_t malform(struct gen_rng *rng, uint8_t *buf, uint32_t len)
{
	static uint32_t (*const ways[])(struct gen_rng *, uint8_t *, uint32_t) = {
		cut_anywhere, cut_headers,   lie_about_length, lie_about_header, wrong_version, wrong_type,
		long_chain,   too_many_tags, lie_in_transport, bad_fragment,     flip_bits,     noise,
	};

	return ways[gen_below(rng, sizeof ways / sizeof *ways)](rng, buf, len);
}

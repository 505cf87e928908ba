/* vfl_field.c: the names of packet fields. A field is defined in VFLisp itself, by a row of this table, from which docs/vflisp.md has
 * its own. Fields with a dot look behind VLAN tags, IPv4 options and IPv6 extension headers, and are 0 where their header is not
 * there; they end in BOUNDS only where the header is there but cut off. */
#include <stdio.h>
#include <string.h>

#include "vm/vfl.h"

#define IF_IP4(offset_load)           "(if (= ip.version 4) " offset_load " 0)"
#define IF_IP6(offset_load)           "(if (= ip.version 6) " offset_load " 0)"
#define IF_L4(protocols, offset_load) "(if " protocols " (if l4.off " offset_load " 0) 0)"
#define TAGGED                        "(in ethertype 0x8100 0x88a8 0x9100)"

const struct vfl_field vfl_fields[] = {
	{"ethertype", 16, "(ld16 12)", "Ethernet type, fixed offset 12"},
	{"proto", 8, "(ld8 23)", "IPv4 protocol, fixed offset 23"},
	{"src-ip", 32, "(ld32 26)", "IPv4 source, fixed offset 26"},
	{"dst-ip", 32, "(ld32 30)", "IPv4 destination, fixed offset 30"},
	{"src-port", 16, "(ld16 34)", "TCP/UDP source port, fixed offset 34"},
	{"dst-port", 16, "(ld16 36)", "TCP/UDP destination port, fixed offset 36"},
	{"ip-len", 16, "(ld16 16)", "IPv4 total length, fixed offset 16"},
	{"tcp-flags", 8, "(ld8 47)", "TCP flags, fixed offset 47"},
	{"pkt-len", 16, "(%leaf 36)", "bytes present of the packet"},
	{"now", 64, "(%leaf 37)", "packet time, microseconds since 1970"},
	{"input", 32, "(%leaf 47)", "number of the port the packet came in by; 0 for a capture"},
	{"hash5", 64, "(%leaf 23)", "hash of the 5-tuple; 0 if there is none"},
	{"hash5s", 64, "(%leaf 35)", "the same, equal for both directions"},
	{"eth.dst", 48, "(| (<< (ld16 0) 32) (ld32 2))", "destination MAC address"},
	{"eth.src", 48, "(| (<< (ld16 6) 32) (ld32 8))", "source MAC address"},
	{"vlan.id", 12, "(if " TAGGED " (& (ld16 14) 0xfff) 0)", "VLAN number of the outer tag; 0 without a tag"},
	{"vlan.priority", 3, "(if " TAGGED " (bits (ld16 14) 15 13) 0)", "priority of the outer VLAN tag"},
	{"net.off", 16, "(hdr 0)", "offset of the IPv4 or IPv6 header; 0: none"},
	{"l4.off", 16, "(hdr 1)", "offset of the transport header; 0: none, or a later fragment"},
	{"payload.off", 16, "(hdr 2)", "offset behind the transport header; 0: none"},
	{"l4.proto", 8, "(hdr 3)", "final protocol, behind IPv6 extension headers; 0: no IP"},
	{"frag.off", 16, "(hdr 4)", "fragment offset in bytes"},
	{"ip.version", 4, "(if net.off (>> (ld8 net.off) 4) 0)", "4, 6, or 0: no IP"},
	{"ip.tos", 8, IF_IP4("(ld8 (+ net.off 1))"), "IPv4 type of service"},
	{"ip.len", 16, IF_IP4("(ld16 (+ net.off 2))"), "IPv4 total length"},
	{"ip.id", 16, IF_IP4("(ld16 (+ net.off 4))"), "IPv4 identification"},
	{"ip.ttl", 8, IF_IP4("(ld8 (+ net.off 8))"), "IPv4 time to live"},
	{"ip.src", 32, IF_IP4("(ld32 (+ net.off 12))"), "IPv4 source"},
	{"ip.dst", 32, IF_IP4("(ld32 (+ net.off 16))"), "IPv4 destination"},
	{"ip6.len", 16, IF_IP6("(ld16 (+ net.off 4))"), "IPv6 payload length"},
	{"ip6.hops", 8, IF_IP6("(ld8 (+ net.off 7))"), "IPv6 hop limit"},
	{"ip6.src-hi", 64, IF_IP6("(ld64 (+ net.off 8))"), "IPv6 source, upper half"},
	{"ip6.src-lo", 64, IF_IP6("(ld64 (+ net.off 16))"), "IPv6 source, lower half"},
	{"ip6.dst-hi", 64, IF_IP6("(ld64 (+ net.off 24))"), "IPv6 destination, upper half"},
	{"ip6.dst-lo", 64, IF_IP6("(ld64 (+ net.off 32))"), "IPv6 destination, lower half"},
	{"l4.sport", 16, IF_L4("(in l4.proto 6 17 132)", "(ld16 l4.off)"), "source port of TCP, UDP or SCTP"},
	{"l4.dport", 16, IF_L4("(in l4.proto 6 17 132)", "(ld16 (+ l4.off 2))"), "destination port of TCP, UDP or SCTP"},
	{"tcp.flags", 8, IF_L4("(= l4.proto 6)", "(ld8 (+ l4.off 13))"), "TCP flags"},
	{"tcp.seq", 32, IF_L4("(= l4.proto 6)", "(ld32 (+ l4.off 4))"), "TCP sequence number"},
	{"tcp.ack", 32, IF_L4("(= l4.proto 6)", "(ld32 (+ l4.off 8))"), "TCP acknowledgment number"},
	{"tcp.window", 16, IF_L4("(= l4.proto 6)", "(ld16 (+ l4.off 14))"), "TCP window"},
	{"udp.len", 16, IF_L4("(= l4.proto 17)", "(ld16 (+ l4.off 4))"), "UDP length"},
	{"icmp.type", 8, IF_L4("(in l4.proto 1 58)", "(ld8 l4.off)"), "ICMP or ICMPv6 type"},
	{"icmp.code", 8, IF_L4("(in l4.proto 1 58)", "(ld8 (+ l4.off 1))"), "ICMP or ICMPv6 code"},
};
const uint32_t vfl_n_fields = sizeof(vfl_fields) / sizeof(vfl_fields[0]);

const struct vfl_wide_field vfl_wide_fields[2] = {
	{"ip6.src", "ip6.src-hi", "ip6.src-lo"},
	{"ip6.dst", "ip6.dst-hi", "ip6.dst-lo"},
};

_Static_assert(sizeof(vfl_fields) / sizeof(vfl_fields[0]) <= sizeof(((struct vfl *)0)->fields) / sizeof(void *),
	       "struct vfl has a place for every field's definition");

int vfl_field_find(const char *text, uint32_t bytes)
{
	for (uint32_t i = 0; i < vfl_n_fields; i++)
		if (bytes == strlen(vfl_fields[i].name) && !memcmp(text, vfl_fields[i].name, bytes))
			return (int)i;
	return -1;
}

const struct vfl_wide_field *vfl_wide_find(const char *text, uint32_t bytes)
{
	for (uint32_t i = 0; i < 2; i++)
		if (bytes == strlen(vfl_wide_fields[i].name) && !memcmp(text, vfl_wide_fields[i].name, bytes))
			return &vfl_wide_fields[i];
	return NULL;
}

/* Reads a definition of the form IF_IP4, IF_IP6 or IF_L4. */
static bool read_place(const struct vfl_field *field, struct vfl_field_place *place)
{
	const char *load = strstr(field->definition, "(ld");
	unsigned version = 0, bits, protocols[3];
	int n;

	*place = (struct vfl_field_place){.name = field->name, .item = VFM_HDR_NETWORK};
	if (sscanf(field->definition, "(if (= ip.version %u)", &version) != 1) {
		n = sscanf(field->definition, "(if (in l4.proto %u %u %u)", &protocols[0], &protocols[1], &protocols[2]);
		if (n < 1)
			n = sscanf(field->definition, "(if (= l4.proto %u)", &protocols[0]);
		if (n < 1)
			return false;
		place->item = VFM_HDR_TRANSPORT;
		place->n_protocols = (uint8_t)n;
		for (int i = 0; i < n; i++)
			place->protocols[i] = (uint8_t)protocols[i];
	}
	if (!load || sscanf(load, "(ld%u (+ %*[a-z0-9.] %u))", &bits, &place->plus) < 1)
		return false;
	place->version = (uint8_t)version;
	place->bytes = (uint8_t)(bits / 8);
	return true;
}

bool vfl_field_place(uint32_t i, struct vfl_field_place *place)
{
	for (uint32_t k = 0; k < vfl_n_fields; k++)
		if (read_place(&vfl_fields[k], place) && i-- == 0)
			return true;
	return false;
}

struct vfl_node *vfl_field_node(struct vfl *c, uint32_t i)
{
	struct vfl_node *n = vfl_new(c, VFL_FIELD, 1);

	if (!c->fields[i])
		c->fields[i] = vfl_expression_text(c, vfl_fields[i].definition);
	n->imm = i;
	n->a[0] = c->fields[i];
	n->width = vfl_fields[i].width;
	return n;
}

/* field.c: the fields of Ethernet, ARP, IPv4 and IPv6 frames at their fixed places (RFC 791, 826, 8200), with VFLisp's names. */
#include <stdio.h>
#include <string.h>

#include "analysis/field.h"
#include "vm/vflisp.h"

enum frame { FRAME_ANY, FRAME_IP4, FRAME_IP4_PORTS, FRAME_IP4_TCP, FRAME_IP6, FRAME_IP6_PORTS, FRAME_ARP };

struct field {
	const char *name;
	uint16_t offset;
	uint8_t bytes;
	uint8_t frame; /* enum frame that must be proved */
};

/* More particular ones first. */
static const struct field fields[] = {
	{"eth.dst", 0, 6, FRAME_ANY},         {"eth.src", 6, 6, FRAME_ANY},         {"ethertype", 12, 2, FRAME_ANY},
	{"ip.ihl", 14, 1, FRAME_IP4},         {"ip.tos", 15, 1, FRAME_IP4},         {"ip-len", 16, 2, FRAME_IP4},
	{"ip.id", 18, 2, FRAME_IP4},          {"ip.frag", 20, 2, FRAME_IP4},        {"ip.ttl", 22, 1, FRAME_IP4},
	{"proto", 23, 1, FRAME_IP4},          {"src-ip", 26, 4, FRAME_IP4},         {"dst-ip", 30, 4, FRAME_IP4},
	{"src-port", 34, 2, FRAME_IP4_PORTS}, {"dst-port", 36, 2, FRAME_IP4_PORTS}, {"tcp.seq", 38, 4, FRAME_IP4_TCP},
	{"tcp.ack", 42, 4, FRAME_IP4_TCP},    {"tcp-flags", 47, 1, FRAME_IP4_TCP},  {"ip6.next", 20, 1, FRAME_IP6},
	{"ip6.hops", 21, 1, FRAME_IP6},       {"ip6.src-hi", 22, 8, FRAME_IP6},     {"ip6.src-lo", 30, 8, FRAME_IP6},
	{"ip6.dst-hi", 38, 8, FRAME_IP6},     {"ip6.dst-lo", 46, 8, FRAME_IP6},     {"src-port", 54, 2, FRAME_IP6_PORTS},
	{"dst-port", 56, 2, FRAME_IP6_PORTS}, {"arp.sha", 22, 6, FRAME_ARP},        {"arp.spa", 28, 4, FRAME_ARP},
	{"arp.tha", 32, 6, FRAME_ARP},        {"arp.tpa", 38, 4, FRAME_ARP},
};

/* Packet bits that equal a constant: (load & mask) == value. */
struct equality {
	uint32_t offset, bytes;
	uint64_t mask, value;
};

/* "x cond c holds" as an equality about a load, through one mask or shift. */
static bool read_equality(const struct ir *ir, uint32_t x, uint64_t c, struct equality *e)
{
	const struct ir_value *v = &ir->values[x], *in = v;

	*e = (struct equality){.mask = UINT64_MAX, .value = c};
	if ((v->op == IR_AND || v->op == IR_SHR) && ir->values[v->b].op == IR_CONST) {
		uint64_t k = ir->values[v->b].imm;

		in = &ir->values[v->a];
		e->mask = v->op == IR_AND ? k : UINT64_MAX << (k & 63);
		e->value = v->op == IR_AND ? c : c << (k & 63);
	}
	if (in->op < IR_LD8 || in->op > IR_LD64)
		return false;
	e->offset = (uint32_t)in->imm;
	e->bytes = ir_ops[in->op].bytes;
	return true;
}

static void note(struct path_proof *p, const struct equality *e)
{
	if (e->offset == 12 && e->bytes == 2 && (e->mask & 0xffff) == 0xffff) {
		p->ip4 = p->ip4 || e->value == 0x0800;
		p->ip6 = p->ip6 || e->value == 0x86dd;
		p->arp = p->arp || e->value == 0x0806;
	}
	if (e->offset == 14 && e->bytes == 1 && (e->mask & 15) == 15)
		p->no_options = p->no_options || (e->value & 15) == 5;
	if (e->bytes == 1 && (e->mask & 0xff) == 0xff && (e->offset == 23 || e->offset == 20)) {
		if (e->offset == 23 ? p->ip4 : p->ip6)
			p->protocol = (int)e->value;
	}
}

/* Where control takes this edge, value x is the constant c. */
static bool edge_constant(const struct ir *ir, const struct ir_pred *p, uint32_t *x, uint64_t *c)
{
	const struct ir_block *from = &ir->blocks[p->block];
	bool swap;

	if (from->term != IR_BRANCH || from->cond != (p->succ == 0 ? VFM_OP_JEQ : VFM_OP_JNE))
		return false;
	swap = ir->values[from->b].op != IR_CONST;
	*x = swap ? from->b : from->a;
	*c = ir->values[swap ? from->a : from->b].imm;
	return ir->values[swap ? from->a : from->b].op == IR_CONST;
}

/* The branch that is the only way into the block, if it proves an equality. */
static bool edge_equality(const struct ir *ir, uint32_t block, struct equality *e)
{
	const struct ir_block *b = &ir->blocks[block];
	uint64_t c;
	uint32_t x;

	return b->n_preds == 1 && edge_constant(ir, &ir->preds[b->preds], &x, &c) && read_equality(ir, x, c, e);
}

void field_prove(const struct ir *ir, uint32_t block, struct path_proof *proof)
{
	struct equality e;

	*proof = (struct path_proof){.protocol = -1};
	/* Twice: the protocol byte has its place only where the EtherType is known, which is usually tested before it. */
	for (int round = 0; round < 2; round++)
		for (uint32_t b = block; b != 0; b = ir->idom[b])
			if (edge_equality(ir, b, &e))
				note(proof, &e);
}

static bool has_ports(int protocol)
{
	return protocol == 6 || protocol == 17 || protocol == 132;
}

static bool proved(const struct path_proof *p, enum frame frame)
{
	switch (frame) {
	case FRAME_ANY:
		return true;
	case FRAME_IP4:
		return p->ip4;
	case FRAME_IP4_PORTS:
		return p->ip4 && has_ports(p->protocol);
	case FRAME_IP4_TCP:
		return p->ip4 && p->protocol == 6;
	case FRAME_IP6:
		return p->ip6;
	case FRAME_IP6_PORTS:
		return p->ip6 && has_ports(p->protocol);
	default:
		return p->arp;
	}
}

void field_name(const struct path_proof *proof, uint32_t offset, uint32_t last, struct dim *dim)
{
	*dim = (struct dim){.offset = offset};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct field *f = &fields[i];

		if (offset < f->offset || offset >= f->offset + f->bytes || !proved(proof, (enum frame)f->frame))
			continue;
		dim->offset = f->offset;
		dim->bytes = f->bytes;
		dim->optionless = !proof->no_options && (f->frame == FRAME_IP4_PORTS || f->frame == FRAME_IP4_TCP);
		snprintf(dim->name, sizeof(dim->name), "%s", f->name);
		return;
	}
	/* Up to four bytes at a time, within words counted from byte 2, where the headers behind Ethernet have theirs. */
	dim->bytes = 4 - (offset + 2) % 4;
	if (offset + dim->bytes - 1 > last)
		dim->bytes = last - offset + 1;
	if (dim->bytes == 1)
		snprintf(dim->name, sizeof(dim->name), "byte %u", offset);
	else
		snprintf(dim->name, sizeof(dim->name), "bytes %u-%u", offset, offset + dim->bytes - 1);
}

/* ---- behind headers, wherever they are ---- */

#define PROTOCOLS_MAX 4

/* What the way to a block has proved of the headers that HDR finds. */
struct header_proof {
	unsigned version;     /* 0: not proved */
	unsigned n_protocols; /* 0: not proved */
	uint64_t protocols[PROTOCOLS_MAX];
};

/* "x is c" as the IP version: the upper half of the network header's first byte. */
static unsigned version_of(const struct ir *ir, uint32_t x, uint64_t c)
{
	const struct ir_value *v = &ir->values[x], *load;

	if ((v->op != IR_SHR && v->op != IR_AND) || ir->values[v->b].op != IR_CONST)
		return 0;
	load = &ir->values[v->a];
	if (load->op != IR_LDX8 || ir->values[load->a].op != IR_HDR || ir->values[load->a].imm != VFM_HDR_NETWORK)
		return 0;
	if (v->op == IR_AND)
		return ir->values[v->b].imm == 0xf0 ? (unsigned)(c >> 4) : 0;
	return ir->values[v->b].imm == 4 ? (unsigned)c : 0;
}

/* Whichever way into the block was taken, the final protocol is one of those. */
static unsigned protocols_at(const struct ir *ir, const struct ir_block *b, uint64_t protocols[PROTOCOLS_MAX])
{
	uint32_t x;

	if (b->n_preds > PROTOCOLS_MAX)
		return 0;
	for (uint32_t i = 0; i < b->n_preds; i++)
		if (!edge_constant(ir, &ir->preds[b->preds + i], &x, &protocols[i]) || ir->values[x].op != IR_HDR ||
		    ir->values[x].imm != VFM_HDR_PROTOCOL)
			return 0;
	return b->n_preds;
}

static void prove_headers(const struct ir *ir, uint32_t block, struct header_proof *proof)
{
	*proof = (struct header_proof){0};
	for (uint32_t at = block; at != 0; at = ir->idom[at]) {
		const struct ir_block *b = &ir->blocks[at];
		uint64_t c;
		uint32_t x;

		if (!proof->version && b->n_preds == 1 && edge_constant(ir, &ir->preds[b->preds], &x, &c))
			proof->version = version_of(ir, x, c);
		if (!proof->n_protocols)
			proof->n_protocols = protocols_at(ir, b, proof->protocols);
	}
}

enum place_fit { PLACE_NOT, PLACE_MAYBE, PLACE_PROVED };

static enum place_fit place_fits(const struct vfl_field_place *p, const struct header_proof *proof)
{
	if (p->version)
		return proof->version == p->version ? PLACE_PROVED : proof->version ? PLACE_NOT : PLACE_MAYBE;
	for (unsigned i = 0; i < proof->n_protocols; i++)
		if (!memchr(p->protocols, (int)proof->protocols[i], p->n_protocols) || proof->protocols[i] > UINT8_MAX)
			return PLACE_NOT;
	return proof->n_protocols ? PLACE_PROVED : PLACE_MAYBE;
}

/* What must be so for the place to be the field. */
static const char *place_condition(const struct vfl_field_place *p)
{
	if (p->version)
		return p->version == 4 ? "IPv4" : "IPv6";
	if (p->n_protocols > 2)
		return "TCP, UDP or SCTP";
	return p->protocols[0] == 6 ? "TCP" : p->protocols[0] == 17 ? "UDP" : "ICMP";
}

void field_name_behind(const struct ir *ir, uint32_t block, uint64_t item, uint32_t plus, uint32_t bytes, uint64_t bits,
		       struct dim *dim)
{
	static const char *const items[VFM_HDR_ITEMS] = {"network", "transport", "payload", "protocol", "fragment"};
	struct header_proof proof;
	struct vfl_field_place p;
	unsigned maybe = 0;

	*dim = (struct dim){.offset = DIM_NO_OFFSET, .header = (uint8_t)(1 + item), .bytes_behind = (uint8_t)bytes, .plus = plus};
	prove_headers(ir, block, &proof);
	for (uint32_t i = 0; vfl_field_place(i, &p); i++) {
		enum place_fit fit = p.item == item && p.plus == plus && p.bytes == bytes ? place_fits(&p, &proof) : PLACE_NOT;

		if (fit == PLACE_PROVED) {
			snprintf(dim->name, sizeof(dim->name), "%s", p.name);
			return;
		}
		if (fit == PLACE_MAYBE && maybe++ == 0)
			snprintf(dim->name, sizeof(dim->name), "%s if %s", p.name, place_condition(&p));
	}
	if (item == VFM_HDR_NETWORK && plus == 0 && bytes == 1 && !(bits & 15))
		snprintf(dim->name, sizeof(dim->name), "ip.version");
	else if (maybe != 1)
		snprintf(dim->name, sizeof(dim->name), "%u bytes at %s + %u", bytes, items[item], plus);
}

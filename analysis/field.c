/* field.c: the fields of Ethernet, ARP, IPv4 and IPv6 frames at their fixed places (RFC 791, 826, 8200), with VFLisp's names. */
#include <stdio.h>
#include <string.h>

#include "analysis/field.h"

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

/* The branch that is the only way into the block, if it proves an equality. */
static bool edge_equality(const struct ir *ir, uint32_t block, struct equality *e)
{
	const struct ir_block *b = &ir->blocks[block], *from;
	const struct ir_pred *p = &ir->preds[b->preds];
	bool taken;

	if (b->n_preds != 1)
		return false;
	from = &ir->blocks[p->block];
	taken = p->succ == 0;
	if (from->term != IR_BRANCH || from->cond != (taken ? VFM_OP_JEQ : VFM_OP_JNE))
		return false;
	if (ir->values[from->b].op == IR_CONST)
		return read_equality(ir, from->a, ir->values[from->b].imm, e);
	return ir->values[from->a].op == IR_CONST && read_equality(ir, from->b, ir->values[from->a].imm, e);
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

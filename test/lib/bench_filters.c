/* bench_filters.c: see bench_filters.h. Rules are kept once and written out in both languages. */
#include "test/lib/bench_filters.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "test/lib/bench_rules.h"
#include "test/lib/packets.h"

static void add(char text[BENCH_TEXT_BYTES], const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(char text[BENCH_TEXT_BYTES], const char *format, ...)
{
	size_t len = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + len, BENCH_TEXT_BYTES - len, format, args);
	va_end(args);
}

#define END    "accept: PUSH 1\nRET\ndrop: PUSH 0\nRET\n"
#define IS_IP4 "LD16 12\nPUSH 0x800\nJNE drop\n"

static void make_f1(struct bench_filter *f)
{
	add(f->pcap, "ip proto 6");
	add(f->assembly, IS_IP4 "LD8 23\nPUSH 6\nJNE drop\n" END);
}

static void make_f2(struct bench_filter *f)
{
	add(f->pcap, "ether[12:2] = 0x800 and ether[23] = 6 and (ether[36:2] = 80 or ether[36:2] = 443)");
	add(f->assembly, IS_IP4 "LD8 23\nPUSH 6\nJNE drop\nLD16 36\nDUP\nPUSH 80\nJEQ accept\nPUSH 443\nJNE drop\n" END);
}

static void make_f2_options(struct bench_filter *f)
{
	add(f->pcap, "ip and tcp and (tcp dst port 80 or tcp dst port 443)");
	add(f->assembly, IS_IP4 "LD8 23\nPUSH 6\nJNE drop\n"
				"LD16 20\nPUSH 0x1fff\nAND\nPUSH 0\nJNE drop\n"
				"LD8 14\nPUSH 15\nAND\nPUSH 2\nSHL\nPUSH 16\nADD\nLDX16\n"
				"DUP\nPUSH 80\nJEQ accept\nPUSH 443\nJNE drop\n" END);
}

/* What rule i of the policy demands: a source network, a destination network or none, a protocol, a destination port. */
struct rule {
	uint32_t source, source_bits, destination, destination_bits;
	uint8_t protocol;
	uint16_t port;
};

#define RULE_ROW(source, source_bits, destination, destination_bits, protocol, port) \
	{source, source_bits, destination, destination_bits, protocol, port},
static const struct rule policy[] = {BENCH_POLICY(RULE_ROW)};
#define RULES (int)(sizeof(policy) / sizeof(*policy))

static void add_net_term(struct bench_filter *f, int offset, uint32_t net, uint32_t bits, int rule)
{
	if (!bits)
		return;
	add(f->pcap, "ether[%d:4] & 0x%x = 0x%x and ", offset, BENCH_MASK(bits), net & BENCH_MASK(bits));
	add(f->assembly, "LD32 %d\nPUSH 0x%x\nAND\nPUSH 0x%x\nJNE next%d\n", offset, BENCH_MASK(bits), net & BENCH_MASK(bits),
	    rule);
}

static void make_f3(struct bench_filter *f)
{
	add(f->pcap, "ether[12:2] = 0x800 and (");
	add(f->assembly, IS_IP4);
	for (int i = 0; i < RULES; i++) {
		const struct rule *r = &policy[i];

		add(f->pcap, "%s(", i ? " or " : "");
		add_net_term(f, 26, r->source, r->source_bits, i);
		add_net_term(f, 30, r->destination, r->destination_bits, i);
		add(f->pcap, "ether[23] = %u and ether[36:2] = %u)", r->protocol, r->port);
		add(f->assembly, "LD8 23\nPUSH %u\nJNE next%d\nLD16 36\nPUSH %u\nJEQ accept\nnext%d:\n", r->protocol, i, r->port,
		    i);
	}
	add(f->pcap, ")");
	add(f->assembly, "JMP drop\n" END);
}

#define PORT_ROW(port) port,
static const uint16_t ports[] = {BENCH_PORTS64(PORT_ROW)};

/* One 16-bit field against the first n ports. */
static void add_ports(struct bench_filter *f, int n)
{
	add(f->pcap, "(");
	add(f->assembly, "LD16 36\n");
	for (int i = 0; i < n; i++) {
		add(f->pcap, "%sether[36:2] = %u", i ? " or " : "", ports[i]);
		add(f->assembly, "DUP\nPUSH %u\nJEQ accept\n", ports[i]);
	}
	add(f->pcap, ")");
	add(f->assembly, "JMP drop\n" END);
}

static void make_f3l(struct bench_filter *f)
{
	add_ports(f, 20);
}

static void make_ports(struct bench_filter *f)
{
	add(f->pcap, "ether[12:2] = 0x800 and ether[23] = 6 and ");
	add(f->assembly, IS_IP4 "LD8 23\nPUSH 6\nJNE drop\n");
	add_ports(f, 64);
}

#define CIDR_ROW(net, bits) {net, bits},
static const struct {
	uint32_t net, bits;
} networks[] = {BENCH_NETWORKS(CIDR_ROW)};

static void make_cidr(struct bench_filter *f)
{
	add(f->pcap, "ether[12:2] = 0x800 and (");
	add(f->assembly, IS_IP4);
	for (size_t i = 0; i < sizeof(networks) / sizeof(*networks); i++) {
		uint32_t mask = BENCH_MASK(networks[i].bits), net = networks[i].net;

		add(f->pcap, "%sether[26:4] & 0x%x = 0x%x", i ? " or " : "", mask, net);
		add(f->assembly, "LD32 26\nPUSH 0x%x\nAND\nPUSH 0x%x\nJEQ accept\n", mask, net);
	}
	add(f->pcap, ")");
	add(f->assembly, "JMP drop\n" END);
}

void bench_filter_make(int i, struct bench_filter *f)
{
	static const struct {
		const char *name;
		void (*make)(struct bench_filter *f);
	} filters[BENCH_FILTERS] = {{"F1", make_f1},
				    {"F2", make_f2},
				    {"F3", make_f3},
				    {"F3L", make_f3l},
				    {"CIDR", make_cidr},
				    {"PORTS", make_ports},
				    {"F2 options", make_f2_options}};

	memset(f, 0, sizeof(*f));
	f->name = filters[i].name;
	filters[i].make(f);
}

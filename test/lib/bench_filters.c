/* bench_filters.c: see bench_filters.h. Rules are kept once and written out in both languages. */
#include "test/lib/bench_filters.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "test/lib/packets.h"
#include "test/lib/traffic.h"

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

static const struct rule policy[20] = {
	{PACKET_IP(10, 9, 0, 0), 16, 0, 0, 6, 22},
	{PACKET_IP(172, 16, 0, 0), 12, PACKET_IP(192, 168, 0, 0), 24, 6, 3306},
	{PACKET_IP(10, 1, 16, 0), 20, PACKET_IP(192, 168, 0, 0), 24, 6, 443},
	{PACKET_IP(10, 1, 32, 0), 20, PACKET_IP(192, 168, 0, 0), 24, 6, 80},
	{PACKET_IP(192, 168, 7, 0), 24, 0, 0, 17, 161},
	{PACKET_IP(10, 1, 64, 0), 18, PACKET_IP(192, 168, 0, 16), 28, 6, 25},
	{PACKET_IP(10, 2, 0, 0), 16, PACKET_IP(192, 168, 0, 0), 16, 6, 8443},
	{PACKET_IP(10, 1, 0, 0), 16, PACKET_IP(192, 168, 0, 53), 32, 17, 53},
	{PACKET_IP(100, 64, 0, 0), 16, 0, 0, 17, 123},
	{PACKET_IP(10, 3, 0, 0), 16, 0, 0, 6, 5432},
	{PACKET_IP(10, 1, 128, 0), 18, PACKET_IP(192, 168, 0, 32), 27, 6, 8080},
	{PACKET_IP(10, 4, 0, 0), 16, 0, 0, 6, 6379},
	{PACKET_IP(203, 0, 113, 0), 24, PACKET_IP(192, 168, 0, 80), 32, 6, 80},
	{PACKET_IP(10, 5, 0, 0), 16, 0, 0, 17, 514},
	{PACKET_IP(10, 1, 192, 0), 18, PACKET_IP(192, 168, 0, 64), 26, 6, 443},
	{PACKET_IP(10, 6, 0, 0), 16, PACKET_IP(192, 168, 3, 0), 24, 6, 9200},
	{PACKET_IP(198, 51, 100, 0), 24, PACKET_IP(192, 168, 0, 0), 24, 6, 22},
	{PACKET_IP(10, 7, 0, 0), 16, 0, 0, 17, 1812},
	{PACKET_IP(10, 8, 0, 0), 16, 0, 0, 6, 1883},
	{PACKET_IP(10, 1, 0, 0), 17, PACKET_IP(192, 168, 0, 0), 16, 6, 993},
};

static uint32_t mask_of(uint32_t bits)
{
	return bits ? ~0u << (32 - bits) : 0;
}

static void add_net_term(struct bench_filter *f, int offset, uint32_t net, uint32_t bits, int rule)
{
	if (!bits)
		return;
	add(f->pcap, "ether[%d:4] & 0x%x = 0x%x and ", offset, mask_of(bits), net & mask_of(bits));
	add(f->assembly, "LD32 %d\nPUSH 0x%x\nAND\nPUSH 0x%x\nJNE next%d\n", offset, mask_of(bits), net & mask_of(bits), rule);
}

static void make_f3(struct bench_filter *f)
{
	add(f->pcap, "ether[12:2] = 0x800 and (");
	add(f->assembly, IS_IP4);
	for (int i = 0; i < 20; i++) {
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

/* One 16-bit field against n ports. */
static void add_ports(struct bench_filter *f, int n)
{
	static const uint16_t known[] = {443,  22,   25,   110,  143,  993, 995, 587, 465, 3306,
					 5432, 6379, 8080, 8443, 9200, 21,  23,  389, 636, 80};

	add(f->pcap, "(");
	add(f->assembly, "LD16 36\n");
	for (int i = 0; i < n; i++) {
		uint32_t port = i < 20 ? known[i] : 20000u + 137u * (uint32_t)i;

		add(f->pcap, "%sether[36:2] = %u", i ? " or " : "", port);
		add(f->assembly, "DUP\nPUSH %u\nJEQ accept\n", port);
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

/* 24 source networks of different lengths. */
static void make_cidr(struct bench_filter *f)
{
	add(f->pcap, "ether[12:2] = 0x800 and (");
	add(f->assembly, IS_IP4);
	for (uint32_t i = 0; i < 24; i++) {
		uint32_t bits = 12 + i % 13,
			 net = i % 3 == 2 ? PACKET_IP(10, 1, 8 * i, 0) : PACKET_IP(20 + 7 * i, 16 * i, 5 * i, 0);

		net &= mask_of(bits);
		add(f->pcap, "%sether[26:4] & 0x%x = 0x%x", i ? " or " : "", mask_of(bits), net);
		add(f->assembly, "LD32 26\nPUSH 0x%x\nAND\nPUSH 0x%x\nJEQ accept\n", mask_of(bits), net);
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

int bench_packets_make(struct bench_packets *set, uint32_t n, uint64_t seed)
{
	struct traffic_config config;
	struct traffic *t;
	uint8_t buf[PACKET_BYTES];
	uint64_t time_us;
	uint32_t len;

	traffic_config_init(&config);
	config.seed = seed;
	config.share[TRAFFIC_MALFORMED] = 0;
	t = traffic_new(&config);
	if (!t)
		return -ENOMEM;
	for (set->n = 0; set->n < n && traffic_next(t, buf, &len, &time_us); set->n++) {
		uint32_t kept = len < BENCH_SLOT_BYTES ? len : BENCH_SLOT_BYTES;

		memcpy(set->bytes[set->n], buf, kept);
		set->packets[set->n] = (struct vfm_packet){set->bytes[set->n], kept, 0, time_us};
	}
	traffic_free(t);
	return 0;
}

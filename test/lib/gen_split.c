/* gen_split.c: random stateful filters and packets for them. */
#include "test/lib/gen_split.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "test/lib/packets.h"

struct writer {
	struct gen_rng rng;
	char *text;
	size_t used;
	const char *base; /* the field that most keys begin with */
	int labels;
};

static void say(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct writer *w, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(w->text + w->used, GEN_SPLIT_TEXT_BYTES - w->used, format, args);
	va_end(args);
	if (n > 0 && w->used + (size_t)n < GEN_SPLIT_TEXT_BYTES)
		w->used += (size_t)n;
}

static const char *const fields[] = {
	"LD32 26\n",
	"LD32 30\n",
	"LD16 34\n",
	"LD16 36\n",
	"LD8 23\n",
	"LD32 26\nPUSH 8\nSHR\n",
	"LD32 26\nPUSH 0xffffff00\nAND\n",
	"HASH5\n",
	"HASH5S\n",
	"HDR 0\nPUSH 12\nADD\nLDX32\n",
	"LD32 26\nLD32 30\nXOR\n",
	"LD64 26\n",
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static const char *any_field(struct writer *w)
{
	return fields[gen_below(&w->rng, N_FIELDS)];
}

static const char *key_base(struct writer *w)
{
	return gen_chance(&w->rng, 90) ? w->base : any_field(w);
}

static void write_key(struct writer *w)
{
	say(w, "%s", key_base(w));
	switch (gen_below(&w->rng, 9)) {
	case 0:
		say(w, "PUSH 16\nSHL\nLD16 36\nOR\n");
		break;
	case 1:
		say(w, "PUSH 32\nSHL\n%s%sMIX\nPUSH 0xffffffff\nAND\nOR\n", any_field(w), any_field(w));
		break;
	case 2:
		say(w, "PUSH %u\nXOR\n", gen_below(&w->rng, 3));
		break;
	case 3:
		say(w, "PUSH 0x%x0000000000\nOR\n", 1 + gen_below(&w->rng, 3));
		break;
	case 4:
		if (gen_chance(&w->rng, 20))
			say(w, "FLOW_LOAD %u\n", gen_below(&w->rng, 4));
		break;
	default:
		break;
	}
}

static void write_condition(struct writer *w)
{
	static const char *const jumps[] = {"JEQ", "JNE", "JGT", "JLT"};
	static const unsigned constants[] = {0, 5, 6, 7, 17, 80, 0x800, 0x0a000002};

	say(w, "%sPUSH %u\n%s next%d\n", any_field(w), constants[gen_below(&w->rng, 8)], jumps[gen_below(&w->rng, 4)], w->labels);
}

static void write_access(struct writer *w)
{
	unsigned table = gen_below(&w->rng, 4);

	switch (gen_below(&w->rng, 7)) {
	case 0:
	case 1: /* a limit */
		write_key(w);
		say(w, "PUSH 1\nFLOW_ADD %u\nPUSH %u\nJGT drop\n", table, 1 + gen_below(&w->rng, 4));
		break;
	case 2: /* seen before? */
		write_key(w);
		say(w, "DUP\nFLOW_LOAD %u\nPUSH 0\nJNE seen%d\nPUSH 1\nFLOW_STORE %u\nJMP next%d\nseen%d: POP\n", table, w->labels,
		    table, w->labels, w->labels);
		break;
	case 3:
		write_key(w);
		say(w, "%sFLOW_STORE %u\n", any_field(w), table);
		break;
	case 4:
		write_key(w);
		say(w, "FLOW_LOAD %u\nPUSH 2\nJEQ drop\n", table);
		break;
	case 5: /* statistics */
		write_key(w);
		say(w, "PKTLEN\nFLOW_ADD %u\nPOP\n", 6 + table);
		break;
	default:
		write_key(w);
		say(w, gen_chance(&w->rng, 30) ? "FLOW_DEL %u\n" : "FLOW_LOAD %u\nPOP\n", table);
		break;
	}
}

void gen_split_program(uint64_t seed, char text[GEN_SPLIT_TEXT_BYTES])
{
	struct writer w = {.rng = {seed}, .text = text};
	uint32_t statements;

	text[0] = 0;
	gen_next(&w.rng);
	w.base = gen_chance(&w.rng, 60) ? fields[0] : any_field(&w);
	statements = 1 + gen_below(&w.rng, 4);
	for (uint32_t i = 0; i < statements; i++) {
		if (gen_chance(&w.rng, 40))
			write_condition(&w);
		write_access(&w);
		say(&w, "next%d:\n", w.labels++);
	}
	say(&w, "PUSH 1\nRET\n");
	if (strstr(text, " drop\n"))
		say(&w, "drop: PUSH 0\nRET\n");
}

uint32_t gen_split_packet(struct gen_rng *r, uint8_t *buf, uint64_t *time_us)
{
	static const uint32_t hosts[] = {PACKET_IP(0, 0, 0, 5),  PACKET_IP(0, 5, 0, 7),  PACKET_IP(10, 0, 0, 1),
					 PACKET_IP(10, 0, 0, 2), PACKET_IP(10, 0, 1, 2), PACKET_IP(0, 0, 0, 7)};
	static const uint16_t ports[] = {0, 5, 7, 80, 443};
	uint32_t src = hosts[gen_below(r, 6)], dst = hosts[gen_below(r, 6)];
	uint16_t sport = ports[gen_below(r, 5)], dport = ports[gen_below(r, 5)];
	uint32_t len;

	*time_us += gen_below(r, 1000);
	if (gen_chance(r, 70))
		len = packet_tcp4(buf, src, dst, sport, dport, TCP_SYN, gen_below(r, 8));
	else if (gen_chance(r, 80))
		len = packet_udp4(buf, src, dst, sport, dport, gen_below(r, 8));
	else
		len = packet_arp(buf, src, dst);
	if (gen_chance(r, 5))
		len = packet_cut(buf, len, gen_below(r, len + 1));
	else if (gen_chance(r, 5))
		len = packet_vlan(buf, len, ETHER_VLAN, 1);
	return len;
}

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

/* What statistics are made of: packet fields, lengths, time, now and then another table's value. */
static const char *operand(struct writer *w)
{
	static const char *const operands[] = {"PKTLEN\n", "LD8 47\n", "LD16 36\n",
					       "NOW\n",    "PUSH 5\n", "LD8 23\nPUSH 0x100\nOR\n"};

	return gen_chance(&w->rng, 5) ? "PUSH 0\nFLOW_LOAD 1\n" : operands[gen_below(&w->rng, 6)];
}

/* The larger or smaller of what is there and a value: "if it is, store" or "store what is". Now and then the branch is another, what is
 * stored is not what was compared, or something else depends on the branch. */
static void write_extreme(struct writer *w, unsigned table, const char *key, const char *x)
{
	static const char *const beats[] = {"JGT", "JGE", "JLT", "JLE"}; /* x against v: x is stored */
	bool min = gen_chance(&w->rng, 50), zero = min != gen_chance(&w->rng, 10);
	unsigned jump = gen_chance(&w->rng, 10) ? gen_below(&w->rng, 4) : gen_below(&w->rng, 2) + (min ? 2 : 0);
	int n = w->labels;

	table += min ? 16 : 12;
	if (gen_chance(&w->rng, 50)) {
		say(w, "%sFLOW_LOAD %u\n", key, table);
		if (zero)
			say(w, "DUP\nPUSH 0\nJEQ take%d\n", n);
		say(w, "DUP\n%sSWAP\n%s take%d\nPOP\nJMP next%d\n", x, beats[jump], n, n);
		say(w, "take%d: POP\n%s%sFLOW_STORE %u\n", n, key, gen_chance(&w->rng, 5) ? operand(w) : x, table);
		if (gen_chance(&w->rng, 5))
			say(w, gen_chance(&w->rng, 50) ? "PUSH 0\nRET\n" : "PUSH 3\nPUSH 1\nFLOW_ADD 1\nPOP\n");
		return;
	}
	say(w, "%sDUP\nFLOW_LOAD %u\n", key, table);
	if (zero)
		say(w, "DUP\nPUSH 0\nJEQ take%d\n", n);
	say(w, "%sOVER\n%s take%d\nJMP kept%d\ntake%d: POP\n%skept%d: FLOW_STORE %u\n", x, beats[jump], n, n, n, x, n, table);
}

/* Statistics of every merge class. Those of one class have their tables, except now and then. */
static void write_statistics(struct writer *w)
{
	unsigned table = gen_below(&w->rng, 2);
	size_t from = w->used;
	char key[512];
	const char *x;

	write_key(w);
	snprintf(key, sizeof(key), "%s", w->text + from);
	w->used = from;
	w->text[from] = 0;
	x = operand(w);
	switch (gen_below(&w->rng, 8)) {
	case 0:
		say(w, "%s%sFLOW_ADD %u\nPOP\n", key, x, 6 + table);
		break;
	case 1:
		say(w, "%sDUP\nFLOW_LOAD %u\n%sADD\nFLOW_STORE %u\n", key, 6 + table, x, 6 + table);
		break;
	case 2:
		say(w, "%sPUSH 9\nFLOW_STORE %u\n", key, 8 + table);
		break;
	case 3:
	case 4:
		say(w, "%s%sFLOW_LOAD %u\n%s%s\nFLOW_STORE %u\n", key, gen_chance(&w->rng, 95) ? key : "PUSH 7\n",
		    gen_chance(&w->rng, 95) ? 10 + table : 11, x, gen_chance(&w->rng, 95) ? "OR" : "XOR", 10 + table);
		break;
	default:
		write_extreme(w, table, key, x);
		break;
	}
}

static void write_access(struct writer *w)
{
	unsigned table = gen_below(&w->rng, 4);

	switch (gen_below(&w->rng, 8)) {
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
	case 5:
	case 6:
		write_statistics(w);
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

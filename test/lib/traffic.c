/* traffic.c: a seeded generator of traffic (traffic.h). */
#include "test/lib/traffic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/lib/gen_program.h"
#include "test/lib/malform.h"

#define MAX_SHARE  1000000u
#define MAX_PIECES 8

enum phase { CLOSED, SYN_SENT, SYN_ANSWERED, DATA, FIN_SENT, FIN_ANSWERED };
enum side { CLIENT, SERVER };

struct connection {
	uint32_t address[2]; /* of client and server; over IPv6 the last 32 bits */
	uint16_t port[2];
	uint32_t seq[2];        /* next to be sent by each side */
	uint32_t segments_left; /* of data */
	uint16_t vid[2];        /* inner and outer VLAN; 0: no tag */
	uint8_t phase;
	bool reset;      /* ends by RST */
	bool extensions; /* IPv6: every packet carries extension headers */
};

/* A question on its way to be answered by the kind's next packet. */
struct pending {
	bool waits;
	uint32_t client, server;
	uint16_t port, id;
};

struct piece {
	uint16_t from, bytes;
};

struct traffic {
	struct traffic_config config;
	struct gen_rng rng;
	uint64_t given, time_us;
	uint32_t total_share;
	uint64_t *size_sums;         /* sums of 2^32 / n over the sizes 1 to n, for drawing sizes */
	struct connection *pools[3]; /* of TRAFFIC_TCP, TRAFFIC_IP6, TRAFFIC_VLAN */
	struct pending dns, scan;
	uint32_t scan_next; /* counts ports, then hosts */
	uint8_t datagram[PACKET_BYTES];
	uint32_t datagram_bytes, datagram_id;
	struct piece pieces[MAX_PIECES];
	uint32_t n_pieces, next_piece;
	struct traffic_note note, datagram_note;
};

static const struct {
	const char *name, *text;
	uint32_t share;
} kinds[] = {
#define KIND_ROW(id, name, share, text) {name, text, share},
	TRAFFIC_KIND_TABLE(KIND_ROW)
#undef KIND_ROW
};

const char *traffic_kind_name(enum traffic_kind kind)
{
	return kinds[kind].name;
}

const char *traffic_kind_text(enum traffic_kind kind)
{
	return kinds[kind].text;
}

void traffic_config_init(struct traffic_config *config)
{
	*config = (struct traffic_config){
		.seed = 1,
		.packets = 100000,
		.start_us = 1700000000000000u,
		.packets_per_second = 50000,
		.clients = 4000,
		.connections = 64,
		.max_segments = 200,
	};
	for (unsigned k = 0; k < TRAFFIC_KINDS; k++)
		config->share[k] = kinds[k].share;
}

/* The kind whose name is the bytes [name, name + bytes), or TRAFFIC_KINDS. */
static enum traffic_kind kind_named(const char *name, size_t bytes)
{
	unsigned k = 0;

	while (k < TRAFFIC_KINDS && (strlen(kinds[k].name) != bytes || memcmp(kinds[k].name, name, bytes)))
		k++;
	return k;
}

int traffic_config_mix(struct traffic_config *config, const char *mix, const char **where)
{
	uint64_t sum = 0;

	memset(config->share, 0, sizeof config->share);
	for (const char *at = mix;;) {
		size_t name_bytes = strcspn(at, "=,");
		enum traffic_kind kind = kind_named(at, name_bytes);
		const char *digits = at + name_bytes + 1;
		unsigned long share;
		char *end;

		*where = at;
		if (kind == TRAFFIC_KINDS || at[name_bytes] != '=' || *digits < '0' || *digits > '9')
			return -EINVAL;
		share = strtoul(digits, &end, 10);
		if (share > MAX_SHARE || (*end && *end != ','))
			return -EINVAL;
		config->share[kind] = share;
		if (!*end)
			break;
		at = end + 1;
	}
	for (unsigned k = 0; k < TRAFFIC_KINDS; k++)
		sum += config->share[k];
	*where = mix;
	return sum ? 0 : -EINVAL;
}

static bool config_valid(const struct traffic_config *c, uint32_t *total_share)
{
	*total_share = 0;
	for (unsigned k = 0; k < TRAFFIC_KINDS; k++) {
		if (c->share[k] > MAX_SHARE)
			return false;
		*total_share += c->share[k];
	}
	return *total_share && c->packets_per_second >= 1 && c->packets_per_second <= 1000000 && c->clients >= 1 &&
	       c->clients <= 65535 && c->connections >= 1 && c->connections <= TRAFFIC_MAX_CONNECTIONS && c->max_segments >= 1 &&
	       c->max_segments <= TRAFFIC_MAX_SEGMENTS;
}

struct traffic *traffic_new(const struct traffic_config *config)
{
	uint32_t total_share;
	struct traffic *t;
	uint64_t sum = 0;

	if (!config_valid(config, &total_share))
		return NULL;
	t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->config = *config;
	t->total_share = total_share;
	t->rng.state = config->seed;
	t->time_us = config->start_us;
	t->size_sums = calloc(config->max_segments, sizeof *t->size_sums);
	if (!t->size_sums)
		goto out;
	for (uint32_t n = 1; n <= config->max_segments; n++)
		t->size_sums[n - 1] = sum += (1ull << 32) / n;
	for (unsigned k = 0; k < 3; k++) {
		t->pools[k] = calloc(config->connections, sizeof **t->pools);
		if (!t->pools[k])
			goto out;
	}
	return t;
out:
	traffic_free(t);
	return NULL;
}

void traffic_free(struct traffic *t)
{
	if (!t)
		return;
	for (unsigned k = 0; k < 3; k++)
		free(t->pools[k]);
	free(t->size_sums);
	free(t);
}

const struct traffic_note *traffic_note(const struct traffic *t)
{
	return &t->note;
}

/* Data segments of a new connection: n with probability proportional to 1/n. */
static uint32_t draw_segments(struct traffic *t)
{
	uint32_t low = 0, high = t->config.max_segments - 1;
	uint64_t at = gen_next(&t->rng) % t->size_sums[high];

	while (low < high) { /* the first sum above at */
		uint32_t middle = (low + high) / 2;

		if (t->size_sums[middle] > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low + 1;
}

static uint32_t draw_client(struct traffic *t)
{
	return PACKET_IP(10, 1, 0, 0) + 1 + gen_below(&t->rng, t->config.clients);
}

static uint16_t draw_port(struct traffic *t)
{
	return 32768 + gen_below(&t->rng, 28000);
}

static void note_ip(struct traffic *t, uint8_t version, uint8_t protocol, uint8_t tcp_flags)
{
	t->note.version = version;
	t->note.protocol = protocol;
	t->note.tcp_flags = tcp_flags;
}

/* 2001:db8:net::host */
static void address6(uint8_t out[16], uint8_t net, uint32_t host)
{
	static const uint8_t prefix[16] = {0x20, 0x01, 0x0d, 0xb8};

	memcpy(out, prefix, 16);
	out[5] = net;
	packet_put32(out + 12, host);
}

static uint32_t add_extensions(struct traffic *t, uint8_t *buf, uint32_t len)
{
	static const struct {
		uint8_t type, bytes;
	} chain[] = {{51, 24}, {43, 8}, {60, 16}, {0, 8}}; /* each goes in front of the one before: hop-by-hop ends up first */

	for (unsigned i = 0; i < 4; i++) {
		if (!gen_chance(&t->rng, 50))
			continue;
		len = packet_ip6_extension(buf, len, chain[i].type, chain[i].bytes);
		t->note.extensions++;
	}
	return len;
}

static void connection_open(struct traffic *t, enum traffic_kind kind, struct connection *c)
{
	static const uint16_t services[] = {443, 443, 443, 80, 80, 22, 25, 8080};

	memset(c, 0, sizeof *c);
	c->address[CLIENT] = draw_client(t);
	c->address[SERVER] = PACKET_IP(192, 168, 0, 1) + gen_below(&t->rng, 100);
	c->port[CLIENT] = draw_port(t);
	c->port[SERVER] = services[gen_below(&t->rng, 8)];
	c->seq[CLIENT] = gen_next(&t->rng);
	c->seq[SERVER] = gen_next(&t->rng);
	c->segments_left = draw_segments(t);
	c->reset = gen_chance(&t->rng, 15);
	if (kind == TRAFFIC_IP6)
		c->extensions = gen_chance(&t->rng, 33);
	if (kind == TRAFFIC_VLAN) {
		c->vid[0] = 1 + gen_below(&t->rng, 200);
		c->vid[1] = gen_chance(&t->rng, 50) ? 1000 + gen_below(&t->rng, 50) : 0;
	}
}

/* One segment of a connection, with the sequence numbers that its side has arrived at. */
static uint32_t connection_segment(struct traffic *t, struct connection *c, enum side from, uint8_t flags, uint32_t payload_bytes,
				   uint8_t *buf)
{
	enum side to = !from;
	struct packet_tcp tcp = {c->port[from], c->port[to], flags, c->seq[from], flags & TCP_ACK ? c->seq[to] : 0};
	uint8_t address[2][16];
	uint32_t len;

	c->seq[from] += payload_bytes + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
	note_ip(t, t->note.kind == TRAFFIC_IP6 ? 6 : 4, IP_TCP, flags);
	if (t->note.kind == TRAFFIC_IP6) {
		address6(address[CLIENT], 1, c->address[CLIENT]);
		address6(address[SERVER], 2, c->address[SERVER]);
		len = packet_tcp6_with(buf, address[from], address[to], &tcp, NULL, payload_bytes);
		return c->extensions ? add_extensions(t, buf, len) : len;
	}
	len = packet_tcp4_with(buf, c->address[from], c->address[to], &tcp, NULL, payload_bytes);
	for (unsigned i = 0; i < 2 && c->vid[i]; i++, t->note.tags++)
		len = packet_vlan(buf, len, i ? ETHER_QINQ : ETHER_VLAN, c->vid[i]);
	return len;
}

static uint32_t connection_data(struct traffic *t, struct connection *c, uint8_t *buf)
{
	if (gen_chance(&t->rng, 25))
		return connection_segment(t, c, CLIENT, TCP_ACK, 0, buf);
	c->segments_left--;
	if (gen_chance(&t->rng, 25))
		return connection_segment(t, c, CLIENT, TCP_ACK | TCP_PSH, 1 + gen_below(&t->rng, 600), buf);
	return connection_segment(t, c, SERVER, TCP_ACK, gen_chance(&t->rng, 50) ? 1380 : 1 + gen_below(&t->rng, 1380), buf);
}

/* The next packet of one of the kind's open connections. */
static uint32_t emit_connection(struct traffic *t, uint8_t *buf)
{
	struct connection *c = &t->pools[t->note.kind][gen_below(&t->rng, t->config.connections)];

	switch (c->phase) {
	case CLOSED:
		connection_open(t, t->note.kind, c);
		c->phase = SYN_SENT;
		return connection_segment(t, c, CLIENT, TCP_SYN, 0, buf);
	case SYN_SENT:
		c->phase = SYN_ANSWERED;
		return connection_segment(t, c, SERVER, TCP_SYN | TCP_ACK, 0, buf);
	case SYN_ANSWERED:
		c->phase = DATA;
		return connection_segment(t, c, CLIENT, TCP_ACK, 0, buf);
	case DATA:
		if (c->segments_left)
			return connection_data(t, c, buf);
		c->phase = c->reset ? CLOSED : FIN_SENT;
		return connection_segment(t, c, CLIENT, (c->reset ? TCP_RST : TCP_FIN) | TCP_ACK, 0, buf);
	case FIN_SENT:
		c->phase = FIN_ANSWERED;
		return connection_segment(t, c, SERVER, TCP_FIN | TCP_ACK, 0, buf);
	default:
		c->phase = CLOSED;
		return connection_segment(t, c, CLIENT, TCP_ACK, 0, buf);
	}
}

/* A DNS message of bytes (45 or more): header, one question, and what an answer would fill. */
static void dns_message(uint8_t *out, uint32_t bytes, uint16_t id, bool answer)
{
	static const uint8_t question[] = "\7example\3org\0\0\377\0\1"; /* example.org, ANY, IN */

	for (uint32_t i = 0; i < bytes; i++)
		out[i] = i;
	packet_put16(out, id);
	packet_put16(out + 2, answer ? 0x8180 : 0x0100);
	packet_put32(out + 4, answer ? 0x10004 : 0x10000); /* questions, answers */
	packet_put32(out + 8, 0);
	memcpy(out + 12, question, sizeof question - 1);
}

static uint32_t emit_udp(struct traffic *t, uint8_t *buf)
{
	struct pending *p = &t->dns;
	uint8_t message[512];
	uint32_t bytes = 45;

	note_ip(t, 4, IP_UDP, 0);
	if (p->waits) {
		p->waits = false;
		bytes += gen_below(&t->rng, 200);
		dns_message(message, bytes, p->id, true);
		return packet_udp4_with(buf, p->server, p->client, 53, p->port, message, bytes);
	}
	*p = (struct pending){true, draw_client(t), PACKET_IP(192, 168, 0, 53), draw_port(t), gen_next(&t->rng)};
	dns_message(message, bytes, p->id, false);
	return packet_udp4_with(buf, p->client, p->server, p->port, 53, message, bytes);
}

static uint32_t emit_other(struct traffic *t, uint8_t *buf)
{
	if (gen_chance(&t->rng, 50))
		return packet_arp(buf, draw_client(t), PACKET_IP(10, 1, 0, 1));
	note_ip(t, 4, IP_ICMP, 0);
	return packet_icmp4(buf, draw_client(t), PACKET_IP(192, 168, 0, 1), 56);
}

static uint32_t emit_syn(struct traffic *t, uint8_t *buf)
{
	uint32_t source = t->note.kind == TRAFFIC_SYN_FLOOD ? TRAFFIC_ATTACKER : (uint32_t)gen_next(&t->rng);
	struct packet_tcp tcp = {1024 + gen_below(&t->rng, 64000), 80, TCP_SYN, gen_next(&t->rng), 0};

	note_ip(t, 4, IP_TCP, TCP_SYN);
	return packet_tcp4_with(buf, source, TRAFFIC_VICTIM, &tcp, NULL, 0);
}

static uint32_t emit_scan(struct traffic *t, uint8_t *buf)
{
	struct pending *p = &t->scan;

	if (p->waits && gen_chance(&t->rng, 80)) {
		p->waits = false;
		note_ip(t, 4, IP_TCP, TCP_RST | TCP_ACK);
		return packet_tcp4(buf, p->server, TRAFFIC_SCANNER, p->port, 54321, TCP_RST | TCP_ACK, 0);
	}
	*p = (struct pending){true, 0, PACKET_IP(192, 168, 0, 1) + t->scan_next / 1024 % 250, 1 + t->scan_next % 1024, 0};
	t->scan_next++;
	note_ip(t, 4, IP_TCP, TCP_SYN);
	return packet_tcp4(buf, TRAFFIC_SCANNER, p->server, 54321, p->port, TCP_SYN, 0);
}

static uint32_t emit_amplification(struct traffic *t, uint8_t *buf)
{
	uint32_t bytes = 1000 + gen_below(&t->rng, 400), resolver = PACKET_IP(100, 64, 0, 1) + gen_below(&t->rng, 3000);
	uint8_t message[PACKET_PAYLOAD_BYTES];

	dns_message(message, bytes, gen_next(&t->rng), true);
	note_ip(t, 4, IP_UDP, 0);
	return packet_udp4_with(buf, resolver, TRAFFIC_VICTIM, 53, 1024 + gen_below(&t->rng, 64000), message, bytes);
}

/* A whole frame of IPv4 or IPv6, TCP or UDP, for cutting up or damaging. */
static uint32_t plain_frame(struct traffic *t, uint8_t *buf, uint32_t payload_bytes)
{
	uint32_t client = draw_client(t), server = PACKET_IP(192, 168, 0, 1) + gen_below(&t->rng, 100);
	uint16_t port = draw_port(t);
	uint8_t client6[16], server6[16];
	bool tcp = gen_chance(&t->rng, 50);
	uint8_t version = gen_chance(&t->rng, 60) ? 4 : 6;

	note_ip(t, version, tcp ? IP_TCP : IP_UDP, tcp ? TCP_ACK : 0);
	if (version == 4)
		return tcp ? packet_tcp4(buf, client, server, port, 443, TCP_ACK, payload_bytes)
			   : packet_udp4(buf, client, server, port, 4433, payload_bytes);
	address6(client6, 1, client);
	address6(server6, 2, server);
	return tcp ? packet_tcp6(buf, client6, server6, port, 443, TCP_ACK, payload_bytes)
		   : packet_udp6(buf, client6, server6, port, 4433, payload_bytes);
}

/* A new datagram, and the two or more pieces it will be sent in: now and then a tiny first one; in order, or last piece first. */
static void datagram_new(struct traffic *t)
{
	uint32_t start, whole, bytes, piece, from = 0;

	t->datagram_bytes = plain_frame(t, t->datagram, 300 + gen_below(&t->rng, 1100));
	t->datagram_note = t->note;
	t->datagram_id++;
	start = ETHER_BYTES + (t->note.version == 4 ? IP4_BYTES : IP6_BYTES);
	whole = t->datagram_bytes - start;
	piece = 8 * (12 + gen_below(&t->rng, whole / 16 - 12)); /* 96 bytes to half of it: whole is 308 or more */
	bytes = gen_chance(&t->rng, 20) ? 8 : piece;
	t->n_pieces = t->next_piece = 0;
	for (; from < whole; from += bytes, bytes = piece) {
		if (whole - from < bytes || t->n_pieces == MAX_PIECES - 1)
			bytes = whole - from;
		t->pieces[t->n_pieces++] = (struct piece){from, bytes};
	}
	if (gen_chance(&t->rng, 25)) {
		struct piece last = t->pieces[t->n_pieces - 1];

		memmove(t->pieces + 1, t->pieces, (t->n_pieces - 1) * sizeof last);
		t->pieces[0] = last;
	}
}

static uint32_t emit_fragment(struct traffic *t, uint8_t *buf)
{
	const struct piece *p;

	if (t->next_piece == t->n_pieces)
		datagram_new(t);
	p = &t->pieces[t->next_piece++];
	t->note = t->datagram_note;
	t->note.fragment = true;
	t->note.later = p->from != 0;
	if (t->note.later || p->bytes < TCP_BYTES)
		t->note.tcp_flags = 0;
	memcpy(buf, t->datagram, t->datagram_bytes);
	if (t->note.version == 4)
		return packet_fragment4(buf, t->datagram_bytes, t->datagram_id, p->from, p->bytes);
	return packet_fragment6(buf, t->datagram_bytes, t->datagram_id, p->from, p->bytes);
}

static uint32_t emit_malformed(struct traffic *t, uint8_t *buf)
{
	uint32_t len = plain_frame(t, buf, gen_below(&t->rng, 200));

	return malform(&t->rng, buf, len);
}

static enum traffic_kind draw_kind(struct traffic *t)
{
	uint32_t at = gen_below(&t->rng, t->total_share);
	unsigned k = 0;

	for (; at >= t->config.share[k]; k++)
		at -= t->config.share[k];
	return k;
}

bool traffic_next(struct traffic *t, uint8_t *buf, uint32_t *len, uint64_t *time_us)
{
	static uint32_t (*const emit[TRAFFIC_KINDS])(struct traffic *, uint8_t *) = {
		[TRAFFIC_TCP] = emit_connection,      [TRAFFIC_IP6] = emit_connection,
		[TRAFFIC_VLAN] = emit_connection,     [TRAFFIC_UDP] = emit_udp,
		[TRAFFIC_OTHER] = emit_other,         [TRAFFIC_SYN_FLOOD] = emit_syn,
		[TRAFFIC_SPOOFED] = emit_syn,         [TRAFFIC_SCAN] = emit_scan,
		[TRAFFIC_FRAGMENTS] = emit_fragment,  [TRAFFIC_DNS_AMPLIFICATION] = emit_amplification,
		[TRAFFIC_MALFORMED] = emit_malformed,
	};

	if (t->given == t->config.packets)
		return false;
	t->note = (struct traffic_note){.kind = draw_kind(t)};
	*len = emit[t->note.kind](t, buf);
	*time_us = t->time_us;
	t->time_us += 1 + gen_below(&t->rng, 2 * (1000000 / t->config.packets_per_second) - 1);
	t->given++;
	return true;
}

/* The generator's traffic is what it says it is. Oracles: libpcap's filters for what each packet is, checksums and lengths added up
 * byte by byte, a list of connections and of datagrams that follows every packet. */
#include "test/lib/traffic.h"

#include <errno.h>
#include <pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SLOTS 65536u

struct cursor {
	struct traffic *t;
	const struct traffic_note *note;
	uint64_t time_us;
	uint32_t len;
	uint8_t buf[PACKET_BYTES];
};

static void cursor_open(struct cursor *c, uint64_t packets, const char *mix)
{
	struct traffic_config config;
	const char *where;

	traffic_config_init(&config);
	config.packets = packets;
	if (mix)
		assert_int_equal(traffic_config_mix(&config, mix, &where), 0);
	c->t = traffic_new(&config);
	assert_non_null(c->t);
	c->note = traffic_note(c->t);
}

static bool cursor_next(struct cursor *c)
{
	return traffic_next(c->t, c->buf, &c->len, &c->time_us);
}

/* Without malformed, which may be anything. */
#define SOUND "tcp=40,ip6=20,vlan=15,udp=5,other=3,syn-flood=4,spoofed=4,scan=3,dns-amplification=3,fragments=3"

static bool says_syn(const struct traffic_note *n)
{
	return n->version == 4 && !n->tags && !n->later && n->tcp_flags == TCP_SYN;
}

static bool says_vlan(const struct traffic_note *n)
{
	return n->tags > 0;
}

static bool says_qinq(const struct traffic_note *n)
{
	return n->tags == 2;
}

static bool says_ip6(const struct traffic_note *n)
{
	return n->version == 6 && !n->tags;
}

static bool says_ip6_tcp(const struct traffic_note *n)
{
	return n->version == 6 && n->protocol == IP_TCP && !n->extensions && !n->fragment;
}

static bool says_extensions(const struct traffic_note *n)
{
	return n->extensions > 0;
}

static bool says_fragment4(const struct traffic_note *n)
{
	return n->version == 4 && n->fragment;
}

static bool says_later4(const struct traffic_note *n)
{
	return n->version == 4 && n->later;
}

static bool says_fragment6(const struct traffic_note *n)
{
	return n->version == 6 && n->fragment;
}

static bool says_udp4(const struct traffic_note *n)
{
	return n->version == 4 && !n->tags && n->protocol == IP_UDP;
}

static bool says_flood(const struct traffic_note *n)
{
	return n->kind == TRAFFIC_SYN_FLOOD;
}

static bool says_scan(const struct traffic_note *n)
{
	return n->kind == TRAFFIC_SCAN;
}

static bool says_amplification(const struct traffic_note *n)
{
	return n->kind == TRAFFIC_DNS_AMPLIFICATION;
}

static bool says_no_ip(const struct traffic_note *n)
{
	return n->version == 0;
}

static const struct claim {
	const char *filter;
	bool (*says)(const struct traffic_note *n);
} claims[] = {
	{"tcp[13] = 2", says_syn},
	{"vlan", says_vlan},
	{"vlan and vlan", says_qinq},
	{"ip6", says_ip6},
	{"ip6[6] = 6", says_ip6_tcp},
	{"ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 51 or ip6[6] = 60", says_extensions},
	{"ip[6:2] & 0x3fff != 0", says_fragment4},
	{"ip[6:2] & 0x1fff != 0", says_later4},
	{"ip6[6] = 44", says_fragment6},
	{"ip proto 17", says_udp4},
	{"src host 203.0.113.66 and tcp", says_flood},
	{"host 198.51.100.23 and tcp port 54321", says_scan},
	{"udp src port 53 and dst host 192.168.0.80 and greater 1000", says_amplification},
	{"arp", says_no_ip},
};
#define CLAIMS (sizeof claims / sizeof *claims)

static void libpcap_sees_what_each_packet_is_said_to_be(void **state)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program programs[CLAIMS];
	unsigned held[CLAIMS] = {0};
	struct cursor c;
	unsigned i;

	(void)state;
	for (i = 0; i < CLAIMS; i++)
		assert_int_equal(pcap_compile(p, &programs[i], claims[i].filter, 1, PCAP_NETMASK_UNKNOWN), 0);
	for (cursor_open(&c, 100000, SOUND); cursor_next(&c);) {
		for (i = 0; i < CLAIMS; i++) {
			struct pcap_pkthdr header = {.caplen = c.len, .len = c.len};
			bool matches = pcap_offline_filter(&programs[i], &header, c.buf) != 0;

			if (matches != claims[i].says(c.note))
				fail_msg("\"%s\" is %d for a packet of kind %s", claims[i].filter, matches,
					 traffic_kind_name(c.note->kind));
			held[i] += matches;
		}
	}
	for (i = 0; i < CLAIMS; i++) {
		if (held[i] < 300)
			fail_msg("\"%s\" holds for only %u packets", claims[i].filter, held[i]);
		pcap_freecode(&programs[i]);
	}
	pcap_close(p);
	traffic_free(c.t);
}

static void each_kind_has_its_share(void **state)
{
	unsigned seen[TRAFFIC_KINDS] = {0}, k;
	struct traffic_config config;
	struct cursor c;

	(void)state;
	for (cursor_open(&c, 100000, NULL); cursor_next(&c);)
		seen[c.note->kind]++;
	traffic_config_init(&config); /* its shares are percent */
	for (k = 0; k < TRAFFIC_KINDS; k++)
		assert_in_range(seen[k], config.share[k] * 900, config.share[k] * 1100);
	traffic_free(c.t);
}

/* RFC 1071, byte by byte. */
static uint32_t sum16(const uint8_t *at, uint32_t bytes, uint32_t sum)
{
	for (uint32_t i = 0; i < bytes; i++)
		sum += i % 2 ? at[i] : at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Where a frame's parts are: a naive walk, for sound frames only. */
struct walk {
	const uint8_t *ip, *transport;
	uint32_t ip_bytes, transport_bytes, address_bytes;
	uint8_t version, protocol;
	bool fragment, more;
	uint32_t id, from;
};

static void walk_ip4(struct walk *w)
{
	w->address_bytes = 8;
	w->protocol = w->ip[9];
	w->transport = w->ip + (w->ip[0] & 15) * 4;
	w->from = (packet_get16(w->ip + 6) & 0x1fff) * 8;
	w->more = packet_get16(w->ip + 6) & 0x2000;
	w->fragment = w->from || w->more;
	w->id = packet_get16(w->ip + 4);
	assert_int_equal(packet_get16(w->ip + 2), w->ip_bytes);
	assert_int_equal(sum16(w->ip, 20, 0), 0xffff);
}

static void walk_ip6(struct walk *w)
{
	const uint8_t *at = w->ip + 40;
	uint8_t next = w->ip[6];

	w->address_bytes = 32;
	assert_int_equal(packet_get16(w->ip + 4), w->ip_bytes - 40);
	while (next == 0 || next == 43 || next == 44 || next == 51 || next == 60) {
		uint32_t bytes = next == 51 ? at[1] * 4 + 8 : at[1] * 8 + 8;

		if (next == 44) {
			w->fragment = true;
			w->from = packet_get16(at + 2) & 0xfff8;
			w->more = at[3] & 1;
			w->id = packet_get32(at + 4);
			bytes = 8;
		}
		next = at[0];
		at += bytes;
		assert_true(at <= w->ip + w->ip_bytes);
	}
	w->protocol = next;
	w->transport = at;
}

/* False for a frame without IP. */
static bool walk_frame(struct walk *w, const uint8_t *buf, uint32_t len)
{
	const uint8_t *type = buf + 12;

	memset(w, 0, sizeof *w);
	while (packet_get16(type) == ETHER_VLAN || packet_get16(type) == ETHER_QINQ)
		type += 4;
	w->ip = type + 2;
	w->ip_bytes = buf + len - w->ip;
	if (packet_get16(type) == ETHER_ARP)
		return false;
	w->version = w->ip[0] >> 4;
	if (packet_get16(type) == ETHER_IP4)
		walk_ip4(w);
	else
		walk_ip6(w);
	w->transport_bytes = w->ip + w->ip_bytes - w->transport;
	return true;
}

static bool transport_sum_right(const struct walk *w, const uint8_t *transport, uint32_t bytes)
{
	const uint8_t *addresses = w->ip + (w->version == 4 ? 12 : 8);
	uint32_t pseudo = w->protocol == IP_ICMP ? 0 : sum16(addresses, w->address_bytes, w->protocol + bytes);

	return sum16(transport, bytes, pseudo) == 0xffff;
}

static void lengths_and_checksums_are_right_and_time_grows(void **state)
{
	uint64_t last_us = 0, first_us = 0;
	struct cursor c;
	struct walk w;

	(void)state;
	for (cursor_open(&c, 100000, SOUND); cursor_next(&c); last_us = c.time_us) {
		first_us = first_us ? first_us : c.time_us;
		assert_true(c.time_us > last_us);
		if (!walk_frame(&w, c.buf, c.len)) {
			assert_int_equal(c.note->version, 0);
			continue;
		}
		assert_int_equal(w.version, c.note->version);
		assert_int_equal(w.protocol, c.note->protocol);
		assert_int_equal(w.fragment, c.note->fragment);
		if (!w.fragment)
			assert_true(transport_sum_right(&w, w.transport, w.transport_bytes));
		if (!w.fragment && w.protocol == IP_UDP)
			assert_int_equal(packet_get16(w.transport + 4), w.transport_bytes);
	}
	assert_in_range(last_us - first_us, 1900000, 2100000); /* 10^5 packets at 50,000 a second */
	traffic_free(c.t);
}

/* One connection as seen from outside; direction 0 is that of the first SYN. */
struct seen {
	uint8_t key[36];
	uint32_t next_seq[2], data_segments;
	uint8_t flags_sent[2];
	bool open;
};

/* The slot of the connection whose direction 0 has this key; an empty one if there is none. */
static struct seen *seen_find(struct seen *table, const uint8_t key[36])
{
	uint32_t h = 2166136261u;

	for (unsigned i = 0; i < 36; i++)
		h = (h ^ key[i]) * 16777619u;
	for (;; h++) {
		struct seen *s = &table[h % SLOTS];
		static const uint8_t none[36];

		if (!memcmp(s->key, key, 36) || !memcmp(s->key, none, 36))
			return s;
	}
}

/* Addresses and ports in the direction asked for (1: turned around). */
static void key_of(const struct walk *w, unsigned turned, uint8_t key[36])
{
	const uint8_t *addresses = w->ip + (w->version == 4 ? 12 : 8);
	uint32_t half = w->address_bytes / 2;

	memset(key, 0, 36);
	memcpy(key, addresses + (turned ? half : 0), half);
	memcpy(key + 16, addresses + (turned ? 0 : half), half);
	memcpy(key + 32, w->transport + (turned ? 2 : 0), 2);
	memcpy(key + 34, w->transport + (turned ? 0 : 2), 2);
}

struct tally {
	unsigned opened, by_fin, by_rst, up_to_10;
};

static void follow_segment(struct seen *table, const struct walk *w, struct tally *tally)
{
	uint8_t flags = w->transport[13], key[36];
	uint32_t seq = packet_get32(w->transport + 4), ack = packet_get32(w->transport + 8), bytes = w->transport_bytes - 20;
	unsigned side = packet_get16(w->transport) < 32768; /* the services' ports are low */
	struct seen *s;

	key_of(w, side, key);
	s = seen_find(table, key);
	if (flags == TCP_SYN) {
		assert_false(s->open);
		*s = (struct seen){.open = true, .next_seq = {seq}};
		memcpy(s->key, key, 36);
		tally->opened++;
	} else if (flags == (TCP_SYN | TCP_ACK)) {
		assert_int_equal(s->flags_sent[0], TCP_SYN);
		s->next_seq[1] = seq;
	} else {
		assert_int_equal(s->flags_sent[0] & TCP_SYN, TCP_SYN);
		assert_int_equal(s->flags_sent[1] & TCP_SYN, TCP_SYN);
	}
	assert_true(s->open);
	assert_int_equal(seq, s->next_seq[side]);
	if (flags & TCP_ACK)
		assert_int_equal(ack, s->next_seq[!side]);
	s->next_seq[side] += bytes + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
	s->data_segments += bytes > 0;
	if (flags & TCP_RST || (s->flags_sent[0] & s->flags_sent[1] & TCP_FIN)) {
		s->open = false;
		tally->by_rst += !!(flags & TCP_RST);
		tally->by_fin += !(flags & TCP_RST);
		tally->up_to_10 += s->data_segments <= 10;
	}
	s->flags_sent[side] |= flags;
}

static void connections_shake_hands_count_their_bytes_and_end(void **state)
{
	static const char *const mixes[] = {"tcp=1", "ip6=1", "vlan=1"};
	struct seen *table = calloc(SLOTS, sizeof *table);
	struct cursor c;
	struct walk w;

	(void)state;
	assert_non_null(table);
	for (unsigned i = 0; i < 3; i++) {
		struct tally tally = {0};

		memset(table, 0, SLOTS * sizeof *table);
		for (cursor_open(&c, 100000, mixes[i]); cursor_next(&c);) {
			assert_true(walk_frame(&w, c.buf, c.len));
			follow_segment(table, &w, &tally);
		}
		traffic_free(c.t);
		/* Sizes with P(n) ~ 1/n up to 200 have H(10)/H(200) = 2.929/5.878 = half of them up to 10, and 34 segments on average;
		 * with a third more pure ACKs and 6 other packets, 10^5 packets are some 1,950 connections, 15 % ended by RST. */
		assert_in_range(tally.opened, 1700, 2200);
		assert_in_range(tally.by_fin + tally.by_rst, tally.opened - 64, tally.opened);
		assert_in_range(tally.up_to_10 * 100, (tally.by_fin + tally.by_rst) * 45, (tally.by_fin + tally.by_rst) * 55);
		assert_in_range(tally.by_rst * 100, tally.opened * 12, tally.opened * 18);
	}
	free(table);
}

static void fragments_put_together_have_the_right_checksum(void **state)
{
	uint8_t whole[PACKET_BYTES];
	uint32_t have = 0, total = 0, id = 0, whole_datagrams = 0, turned = 0, tiny = 0;
	struct cursor c;
	struct walk w;

	(void)state;
	for (cursor_open(&c, 20000, "fragments=1"); cursor_next(&c);) {
		assert_true(walk_frame(&w, c.buf, c.len));
		assert_true(w.fragment);
		if (!have) {
			id = w.id;
			total = 0;
			turned += !w.more;
		}
		assert_int_equal(w.id, id);
		assert_true(w.from + w.transport_bytes <= sizeof whole);
		assert_true(!w.more || w.transport_bytes % 8 == 0);
		memcpy(whole + w.from, w.transport, w.transport_bytes);
		have += w.transport_bytes;
		tiny += w.from == 0 && w.transport_bytes == 8;
		if (!w.more)
			total = w.from + w.transport_bytes;
		if (have == total) {
			assert_true(transport_sum_right(&w, whole, total));
			whole_datagrams++;
			have = 0;
		}
	}
	assert_true(whole_datagrams > 3000 && turned > 500 && tiny > 500);
	traffic_free(c.t);
}

static void malformed_frames_are_of_many_lengths_and_stay_in_the_buffer(void **state)
{
	unsigned no_ethernet = 0, no_ip = 0, no_transport = 0, lying = 0, n = 0;
	struct cursor c;

	(void)state;
	for (cursor_open(&c, 20000, "malformed=1"); cursor_next(&c); n++) {
		bool v4 = c.len >= 34 && packet_get16(c.buf + 12) == ETHER_IP4;

		assert_in_range(c.len, 1, PACKET_BYTES);
		no_ethernet += c.len < 14;
		no_ip += c.len >= 14 && c.len < 34;
		no_transport += c.len >= 34 && c.len < 54;
		lying += v4 && packet_get16(c.buf + 16) != c.len - 14;
	}
	assert_int_equal(n, 20000);
	assert_true(no_ethernet > 400 && no_ip > 400 && no_transport > 400 && lying > 2000);
	traffic_free(c.t);
}

static uint64_t digest(uint64_t seed, uint64_t packets)
{
	uint8_t buf[PACKET_BYTES];
	uint64_t h = 14695981039346656037u, time_us;
	struct traffic_config config;
	struct traffic *t;
	uint32_t len;

	traffic_config_init(&config);
	config.seed = seed;
	config.packets = packets;
	t = traffic_new(&config);
	assert_non_null(t);
	while (traffic_next(t, buf, &len, &time_us)) {
		for (uint32_t i = 0; i < len; i++)
			h = (h ^ buf[i]) * 1099511628211u;
		h = (h ^ time_us) * 1099511628211u;
	}
	assert_false(traffic_next(t, buf, &len, &time_us));
	traffic_free(t);
	return h;
}

static void the_same_seed_gives_the_same_traffic_and_another_one_other_traffic(void **state)
{
	(void)state;
	assert_true(digest(5, 5000) == digest(5, 5000));
	assert_true(digest(5, 5000) != digest(6, 5000));
	assert_true(digest(5, 5000) != digest(5, 4999));
}

static void a_wrong_mix_is_refused_at_the_wrong_word(void **state)
{
	static const struct {
		const char *mix;
		unsigned at;
	} wrong[] = {
		{"", 0},       {"tcp", 0},       {"tcp=", 0},   {"tcp=1,", 6},       {"tcp=1,udq=2", 6},
		{"tcp=-1", 0}, {"tcp=1;udp", 0}, {"tcp=0", 0},  {"tcp=99999999", 0}, {"udp=1,tc=1", 6},
		{"tcpp=1", 0}, {"=1", 0},        {"tcp=1x", 0}, {"tcp=1,,udp=1", 6},
	};
	struct traffic_config config;
	const char *where;

	(void)state;
	traffic_config_init(&config);
	for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(traffic_config_mix(&config, wrong[i].mix, &where), -EINVAL);
		assert_int_equal(where - wrong[i].mix, wrong[i].at);
	}
	assert_int_equal(traffic_config_mix(&config, "scan=3,tcp=2,scan=4", &where), 0);
	assert_int_equal(config.share[TRAFFIC_TCP], 2);
	assert_int_equal(config.share[TRAFFIC_SCAN], 4);
	assert_int_equal(config.share[TRAFFIC_UDP], 0);
}

static void a_configuration_out_of_bounds_is_refused(void **state)
{
	struct traffic_config config;

	(void)state;
#define REFUSED(change) \
	traffic_config_init(&config); \
	change; \
	assert_null(traffic_new(&config))
	REFUSED(config.packets_per_second = 0);
	REFUSED(config.packets_per_second = 1000001);
	REFUSED(config.clients = 0);
	REFUSED(config.clients = 65536);
	REFUSED(config.connections = 0);
	REFUSED(config.connections = TRAFFIC_MAX_CONNECTIONS + 1);
	REFUSED(config.max_segments = 0);
	REFUSED(config.max_segments = TRAFFIC_MAX_SEGMENTS + 1);
	REFUSED(memset(config.share, 0, sizeof config.share));
	REFUSED(config.share[0] = 1000001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libpcap_sees_what_each_packet_is_said_to_be),
		cmocka_unit_test(each_kind_has_its_share),
		cmocka_unit_test(lengths_and_checksums_are_right_and_time_grows),
		cmocka_unit_test(connections_shake_hands_count_their_bytes_and_end),
		cmocka_unit_test(fragments_put_together_have_the_right_checksum),
		cmocka_unit_test(malformed_frames_are_of_many_lengths_and_stay_in_the_buffer),
		cmocka_unit_test(the_same_seed_gives_the_same_traffic_and_another_one_other_traffic),
		cmocka_unit_test(a_wrong_mix_is_refused_at_the_wrong_word),
		cmocka_unit_test(a_configuration_out_of_bounds_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

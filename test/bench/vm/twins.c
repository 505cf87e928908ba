/* twins.c: see twins.h: the filters without tables. Offsets are fixed, as in bench_filters.c. A packet too short for the furthest
 * load is dropped: no path accepts without it. */
#include "test/bench/vm/twins.h"
#include "test/bench/vm/engine.h"
#include "test/lib/bench_rules.h"

enum { ETHERTYPE = 12, IP = 14, FRAGMENT = 20, PROTOCOL = 23, SOURCE = 26, DESTINATION = 30, PORT = 36 };
enum { NEED_PROTOCOL = 24, NEED_SOURCE = 30, NEED_PORT = 38 };

#define IP4 0x800
#define TCP 6

/* ---- One packet a call ---- */

static int f1_call(const uint8_t *p, uint32_t len)
{
	return len >= NEED_PROTOCOL && twin_be16(p + ETHERTYPE) == IP4 && p[PROTOCOL] == TCP;
}

static int f2_call(const uint8_t *p, uint32_t len)
{
	uint32_t port;

	if (len < NEED_PORT || twin_be16(p + ETHERTYPE) != IP4 || p[PROTOCOL] != TCP)
		return 0;
	port = twin_be16(p + PORT);
	return port == 80 || port == 443;
}

static int f3_call(const uint8_t *p, uint32_t len)
{
	uint32_t source, destination, port;
	uint8_t protocol;

	if (len < NEED_PORT || twin_be16(p + ETHERTYPE) != IP4)
		return 0;
	source = twin_be32(p + SOURCE);
	destination = twin_be32(p + DESTINATION);
	protocol = p[PROTOCOL];
	port = twin_be16(p + PORT);
#define RULE_CALL(s, s_bits, d, d_bits, rule_protocol, rule_port) \
	if ((source & BENCH_MASK(s_bits)) == ((s)&BENCH_MASK(s_bits)) && \
	    (destination & BENCH_MASK(d_bits)) == ((d)&BENCH_MASK(d_bits)) && protocol == (rule_protocol) && port == (rule_port)) \
		return 1;
	BENCH_POLICY(RULE_CALL)
	return 0;
}

#define PORT_CALL(number) || port == (number)

static int f3l_call(const uint8_t *p, uint32_t len)
{
	uint32_t port;

	if (len < NEED_PORT)
		return 0;
	port = twin_be16(p + PORT);
	return 0 BENCH_PORTS20(PORT_CALL);
}

static int ports_call(const uint8_t *p, uint32_t len)
{
	uint32_t port;

	if (len < NEED_PORT || twin_be16(p + ETHERTYPE) != IP4 || p[PROTOCOL] != TCP)
		return 0;
	port = twin_be16(p + PORT);
	return 0 BENCH_PORTS64(PORT_CALL);
}

static int cidr_call(const uint8_t *p, uint32_t len)
{
	uint32_t source;

	if (len < NEED_SOURCE || twin_be16(p + ETHERTYPE) != IP4)
		return 0;
	source = twin_be32(p + SOURCE);
#define NETWORK_CALL(net, bits) || (source & BENCH_MASK(bits)) == (net)
	return 0 BENCH_NETWORKS(NETWORK_CALL);
}

/* Where the destination port lies behind IP options. */
static uint32_t port_offset(const uint8_t *p)
{
	return IP + 2 + ((p[IP] & 15u) << 2);
}

static int f2_options_call(const uint8_t *p, uint32_t len)
{
	uint32_t at, port;

	if (len < NEED_PROTOCOL || twin_be16(p + ETHERTYPE) != IP4 || p[PROTOCOL] != TCP || twin_be16(p + FRAGMENT) & 0x1fff)
		return 0;
	at = port_offset(p);
	if (at + 2 > len)
		return 0;
	port = twin_be16(p + at);
	return port == 80 || port == 443;
}

/* ---- A burst, without branches ---- */

static const uint8_t nothing[128]; /* looked at instead of a packet that is too short: no filter accepts it */

#define LOOP(name, need) \
	static void name##_loop(const struct vfm_packet *packets, uint8_t *verdicts) \
	{ \
		for (uint32_t k = 0; k < BENCH_BURST; k++) \
			verdicts[k] = (uint8_t)name##_free(packets[k].len >= (need) ? packets[k].data : nothing); \
	}

static int f1_free(const uint8_t *p)
{
	return (twin_be16(p + ETHERTYPE) == IP4) & (p[PROTOCOL] == TCP);
}
LOOP(f1, NEED_PROTOCOL)

static int f2_free(const uint8_t *p)
{
	uint32_t port = twin_be16(p + PORT);

	return f1_free(p) & ((port == 80) | (port == 443));
}
LOOP(f2, NEED_PORT)

/* By columns, so that a compiler may take many rules at once. */
#define COLUMN_SOURCE(s, s_bits, d, d_bits, protocol, port)           (s) & BENCH_MASK(s_bits),
#define COLUMN_SOURCE_MASK(s, s_bits, d, d_bits, protocol, port)      BENCH_MASK(s_bits),
#define COLUMN_DESTINATION(s, s_bits, d, d_bits, protocol, port)      (d) & BENCH_MASK(d_bits),
#define COLUMN_DESTINATION_MASK(s, s_bits, d, d_bits, protocol, port) BENCH_MASK(d_bits),
#define COLUMN_SERVICE(s, s_bits, d, d_bits, protocol, port)          (uint32_t)(protocol) << 16 | (port),
#define RULES                                                         (sizeof(rule_service) / sizeof(*rule_service))
static const uint32_t rule_source[] = {BENCH_POLICY(COLUMN_SOURCE)};
static const uint32_t rule_source_mask[] = {BENCH_POLICY(COLUMN_SOURCE_MASK)};
static const uint32_t rule_destination[] = {BENCH_POLICY(COLUMN_DESTINATION)};
static const uint32_t rule_destination_mask[] = {BENCH_POLICY(COLUMN_DESTINATION_MASK)};
static const uint32_t rule_service[] = {BENCH_POLICY(COLUMN_SERVICE)};

static int f3_free(const uint8_t *p)
{
	uint32_t source = twin_be32(p + SOURCE), destination = twin_be32(p + DESTINATION);
	uint32_t service = (uint32_t)p[PROTOCOL] << 16 | twin_be16(p + PORT), hit = 0;

	for (uint32_t r = 0; r < RULES; r++)
		hit |= (((source & rule_source_mask[r]) ^ rule_source[r]) |
			((destination & rule_destination_mask[r]) ^ rule_destination[r]) | (service ^ rule_service[r])) == 0;
	return (int)(hit & (twin_be16(p + ETHERTYPE) == IP4));
}
LOOP(f3, NEED_PORT)

#define PORT_FREE(number) (number),
static const uint16_t ports[] = {BENCH_PORTS64(PORT_FREE)};

static int f3l_free(const uint8_t *p)
{
	uint16_t port = (uint16_t)twin_be16(p + PORT), hit = 0;

	for (uint32_t i = 0; i < 20; i++)
		hit |= port == ports[i];
	return hit;
}
LOOP(f3l, NEED_PORT)

static int ports_free(const uint8_t *p)
{
	uint16_t port = (uint16_t)twin_be16(p + PORT), hit = 0;

	for (uint32_t i = 0; i < 64; i++)
		hit |= port == ports[i];
	return hit & f1_free(p);
}
LOOP(ports, NEED_PORT)

#define COLUMN_NET(net, bits)  (net),
#define COLUMN_MASK(net, bits) BENCH_MASK(bits),
static const uint32_t network[] = {BENCH_NETWORKS(COLUMN_NET)};
static const uint32_t network_mask[] = {BENCH_NETWORKS(COLUMN_MASK)};

static int cidr_free(const uint8_t *p)
{
	uint32_t source = twin_be32(p + SOURCE), hit = 0;

	for (uint32_t i = 0; i < sizeof(network) / sizeof(*network); i++)
		hit |= (source & network_mask[i]) == network[i];
	return (int)(hit & (twin_be16(p + ETHERTYPE) == IP4));
}
LOOP(cidr, NEED_SOURCE)

static void f2_options_loop(const struct vfm_packet *packets, uint8_t *verdicts)
{
	for (uint32_t k = 0; k < BENCH_BURST; k++) {
		const uint8_t *p = packets[k].len >= NEED_PROTOCOL ? packets[k].data : nothing;
		uint32_t at = port_offset(p), port = twin_be16((at + 2 <= packets[k].len ? p : nothing) + at);

		verdicts[k] = (uint8_t)(f1_free(p) & !(twin_be16(p + FRAGMENT) & 0x1fff) & ((port == 80) | (port == 443)));
	}
}

const struct bench_twins TWIN_NAME(bench_twins) = {
	.compiler = __VERSION__,
	.call = {f1_call, f2_call, f3_call, f3l_call, cidr_call, ports_call, f2_options_call},
	.loop = {f1_loop, f2_loop, f3_loop, f3l_loop, cidr_loop, ports_loop, f2_options_loop},
};

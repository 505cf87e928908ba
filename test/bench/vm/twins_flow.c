/* twins_flow.c: see twins.h: the filters with tables, on the project's own table. */
#include "state/table_layout.h"
#include "test/bench/vm/engine.h"
#include "test/bench/vm/twins.h"

enum { ETHERTYPE = 12, PROTOCOL = 23, SOURCE = 26, PORTS = 34 };
enum { NEED_ETHERTYPE = 14, NEED_SOURCE = 30, NEED_PORTS = 38 };

#define IP4 0x800

static uint64_t source_key(const uint8_t *p)
{
	return twin_be32(p + SOURCE);
}

/* Addresses, ports and protocol, mixed as the machine's MIX does with seed 0. */
static uint64_t flow_key(const uint8_t *p)
{
	return mix64(mix64(twin_be64(p + SOURCE)) ^ ((uint64_t)twin_be32(p + PORTS) << 8 | p[PROTOCOL]));
}

static int turn_of(uint64_t count)
{
	return !(count & BENCH_TURN_BIT);
}

static inline int count_call(struct shard *s, const struct vfm_packet *packet, uint64_t (*key_of)(const uint8_t *p), uint32_t need)
{
	const uint8_t *p = packet->data;
	struct table *t = s->tables[0];
	uint64_t key;

	shard_set_time(s, packet->time_us);
	if (packet->len < NEED_ETHERTYPE)
		return 0;
	if (twin_be16(p + ETHERTYPE) != IP4)
		return 1;
	if (packet->len < need)
		return 0;
	key = key_of(p);
	return turn_of(table_add_home(t, &t->buckets[table_home(t, key)], key, 1, s->now_s));
}

/* Keys and buckets of all packets first; then the packets that count, one after another. */
static inline void count_loop(struct shard *s, const struct vfm_packet *packets, uint8_t *verdicts,
			      uint64_t (*key_of)(const uint8_t *p), uint32_t need)
{
	static const uint8_t nothing[64];
	struct table *t = s->tables[0];
	struct table_bucket *home[BENCH_BURST];
	uint64_t key[BENCH_BURST];
	uint8_t counted[BENCH_BURST];
	uint32_t n = 0;

	for (uint32_t k = 0; k < BENCH_BURST; k++) {
		const struct vfm_packet *packet = &packets[k];
		const uint8_t *p = packet->len >= need ? packet->data : nothing;
		uint32_t type = twin_be16(packet->len >= NEED_ETHERTYPE ? packet->data + ETHERTYPE : nothing);

		key[n] = key_of(p);
		home[n] = table_prefetch_home(t, key[n]);
		counted[n] = (uint8_t)k;
		n += (packet->len >= need) & (type == IP4);
		verdicts[k] = (packet->len >= NEED_ETHERTYPE) & (type != IP4);
	}
	for (uint32_t m = 0; m < n; m++) {
		shard_set_time(s, packets[counted[m]].time_us);
		verdicts[counted[m]] = (uint8_t)turn_of(table_add_home(t, home[m], key[m], 1, s->now_s));
	}
}

static int per_source_call(struct shard *s, const struct vfm_packet *packet)
{
	return count_call(s, packet, source_key, NEED_SOURCE);
}

static int per_flow_call(struct shard *s, const struct vfm_packet *packet)
{
	return count_call(s, packet, flow_key, NEED_PORTS);
}

static void per_source_loop(struct shard *s, const struct vfm_packet *packets, uint8_t *verdicts)
{
	count_loop(s, packets, verdicts, source_key, NEED_SOURCE);
}

static void per_flow_loop(struct shard *s, const struct vfm_packet *packets, uint8_t *verdicts)
{
	count_loop(s, packets, verdicts, flow_key, NEED_PORTS);
}

/* ---- examples/conntrack.vfl ---- */

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static int set_state(struct shard *s, uint64_t key, uint64_t state)
{
	shard_store(s, 0, key, state);
	return 1;
}

static bool from_inside(const uint8_t *p, const struct vfm_headers *h)
{
	return h->version == 4 && p[h->network + 12] == 10;
}

static int follow(struct shard *s, uint64_t key, unsigned flags, bool inside)
{
	uint64_t state = shard_load(s, 0, key);

	if (flags & RST) {
		if (!state)
			return 0;
		shard_delete(s, 0, key);
		return 1;
	}
	if ((flags & (SYN | ACK)) == SYN)
		return inside && (state == 0 || state == 1 || state == 5) ? set_state(s, key, 1) : 0;
	if ((flags & (SYN | ACK)) == (SYN | ACK))
		return !inside && (state == 1 || state == 2) ? set_state(s, key, 2) : 0;
	if (state == 2)
		return inside && flags & ACK ? set_state(s, key, 3) : 0;
	if (state < 3)
		return 0;
	return set_state(s, key, flags & FIN ? state == 3 ? 4 : 5 : state);
}

static int conntrack_call(struct shard *s, const struct vfm_packet *packet)
{
	struct vfm_headers h;
	uint32_t flags_at;
	unsigned flags = 0;

	shard_set_time(s, packet->time_us);
	vfm_parse(packet->data, packet->len, &h);
	if (h.protocol != 6)
		return 1;
	flags_at = h.transport + 13u;
	if (h.transport && flags_at >= packet->len)
		return 0;
	if (h.transport)
		flags = packet->data[flags_at];
	return follow(s, vfm_hash5s(packet->data, packet->len, s->seed), flags, from_inside(packet->data, &h));
}

/* Keys and flags first, the table's lines on their way; what a packet does to its connection stays a branch. */
static void conntrack_loop(struct shard *s, const struct vfm_packet *packets, uint8_t *verdicts)
{
	uint64_t key[BENCH_BURST];
	uint8_t flags[BENCH_BURST], inside[BENCH_BURST], tracked[BENCH_BURST];
	uint32_t n = 0;

	for (uint32_t k = 0; k < BENCH_BURST; k++) {
		const struct vfm_packet *p = &packets[k];
		struct vfm_headers h;

		vfm_parse(p->data, p->len, &h);
		verdicts[k] = h.protocol != 6;
		if (h.protocol != 6 || (h.transport && h.transport + 13u >= p->len))
			continue;
		tracked[n] = (uint8_t)k;
		flags[n] = h.transport ? p->data[h.transport + 13u] : 0;
		inside[n] = from_inside(p->data, &h);
		key[n] = vfm_hash5s(p->data, p->len, s->seed);
		table_prefetch_inline(s->tables[0], key[n]);
		n++;
	}
	for (uint32_t m = 0; m < n; m++) {
		shard_set_time(s, packets[tracked[m]].time_us);
		verdicts[tracked[m]] = (uint8_t)follow(s, key[m], flags[m], inside[m]);
	}
}

const struct bench_flow_twins TWIN_NAME(bench_flow_twins) = {
	.call = {per_source_call, per_flow_call, conntrack_call},
	.loop = {per_source_loop, per_flow_loop, conntrack_loop},
};

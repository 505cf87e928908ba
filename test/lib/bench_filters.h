/* bench_filters.h: the filters that engines are compared on, each as a pcap filter and as assembly with the same verdict on every
 * packet, and a hot set of packets.
 *
 * F1, F2, F3, F3L, CIDR and PORTS say the same terms in both languages (fixed offsets, `ether[36:2]`). "F2 options" is what
 * `ip and tcp dst port 80 or 443` means to libpcap: no later fragments, and the port behind IP options.
 */
#ifndef TEST_LIB_BENCH_FILTERS_H
#define TEST_LIB_BENCH_FILTERS_H

#include <stdint.h>

#include "vm/packet.h"

#define BENCH_FILTERS     7
#define BENCH_TEXT_BYTES  16384
#define BENCH_SLOT_BYTES  128 /* of each packet, this much is kept */
#define BENCH_MAX_PACKETS 4096

struct bench_filter {
	const char *name;
	char pcap[BENCH_TEXT_BYTES];
	char assembly[BENCH_TEXT_BYTES];
};

/* Writes filter i, 0 .. BENCH_FILTERS-1. */
void bench_filter_make(int i, struct bench_filter *f);

struct bench_packets {
	uint32_t n;
	struct vfm_packet packets[BENCH_MAX_PACKETS];
	uint8_t bytes[BENCH_MAX_PACKETS][BENCH_SLOT_BYTES] __attribute__((aligned(64)));
};

/* n packets of generated traffic (test/lib/traffic.h, without the malformed), cut to BENCH_SLOT_BYTES, side by side in memory.
 * 0 or -ENOMEM. */
int bench_packets_make(struct bench_packets *set, uint32_t n, uint64_t seed);

#endif

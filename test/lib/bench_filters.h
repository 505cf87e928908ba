/* bench_filters.h: the filters that engines are compared on, each as a pcap filter and as assembly with the same verdict on every
 * packet, and a hot set of packets.
 *
 * F1, F2, F3, F3L, CIDR and PORTS say the same terms in both languages (fixed offsets, `ether[36:2]`). "F2 options" is what
 * `ip and tcp dst port 80 or 443` means to libpcap: no later fragments, and the port behind IP options.
 */
#ifndef TEST_LIB_BENCH_FILTERS_H
#define TEST_LIB_BENCH_FILTERS_H

#define BENCH_FILTERS    7
#define BENCH_TEXT_BYTES 16384

struct bench_filter {
	const char *name;
	char pcap[BENCH_TEXT_BYTES];
	char assembly[BENCH_TEXT_BYTES];
};

/* Writes filter i, 0 .. BENCH_FILTERS-1. */
void bench_filter_make(int i, struct bench_filter *f);

#endif

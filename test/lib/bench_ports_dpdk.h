/* bench_ports_dpdk.h: what bench-node needs of DPDK itself: packets put on ports, and the bare loop between two ports. */
#ifndef TEST_LIB_BENCH_PORTS_DPDK_H
#define TEST_LIB_BENCH_PORTS_DPDK_H

#include <stdint.h>

struct bench_frame {
	const uint8_t *data;
	uint32_t len; /* at most 1518 */
};

/* Sends copies of the frames out of a port that is up. How many it took. */
uint32_t bench_ports_fill(const char *port, const struct bench_frame *frames, uint32_t n);
/* dpdk-testpmd's "io" (swap_macs false) or "macswap" between two ports, both ways, in bursts of 64, for so many cycles; packets
 * moved. */
uint64_t bench_ports_forward(const char *const names[2], int swap_macs, uint64_t cycles);

#endif

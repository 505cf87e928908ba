/* io_dpdk.h: DPDK ports behind io.h. DPDK must be started (eal_dpdk.h).
 *
 * Time of a packet: its receive stamp where the port gives it one, else the time stamp counter's (rx_time_dpdk.h).
 */
#ifndef NODE_IO_DPDK_H
#define NODE_IO_DPDK_H

#include "node/io.h"

#define IO_DPDK_MAX_MBUFS (1u << 20)

/* What a port can do. */
struct io_dpdk_limits {
	uint32_t rx_queues, tx_queues; /* at most, IO_MAX_QUEUES and less */
	bool rss;                      /* spreads flows over its receive queues by itself */
};

struct io_dpdk_config {
	uint32_t number;    /* vfm_packet.input */
	uint32_t rx_queues; /* 1 or more, within the limits */
	uint32_t tx_queues; /* 1 or more, within the limits */
	uint32_t held_pkts; /* that the caller holds at a time, all queues together */
	uint32_t cores;     /* that free frames: each keeps some in a cache */
	uint32_t mbufs;     /* of the receive pool; 0: as many as the above need */
};

/* port: its name as DPDK has it ("net_pcap0", "0000:03:00.0") or its number. -ENODEV: error names the ports there are. */
int io_dpdk_limits(const char *port, struct io_dpdk_limits *limits, char error[IO_ERROR_BYTES]);
/* Sets the port up and starts it. -ENODEV as above; -EINVAL: more queues than the port has; -ENOMEM: the pool does not fit into
 * DPDK's memory; -EIO: the port refuses. error says "what, where: what to do". */
int io_dpdk_open(const char *port, const struct io_dpdk_config *config, struct io **io, char error[IO_ERROR_BYTES]);

#endif

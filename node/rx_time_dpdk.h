/* rx_time_dpdk.h: the time of a packet that came by a DPDK port, in microseconds since 1970.
 *
 *     "capture"   net_pcap's receive timestamp, which is the capture's
 *     "port"      the device's own receive stamp, told in TSC cycles (rx_clock.h); wants RTE_ETH_RX_OFFLOAD_TIMESTAMP and a clock
 *                 that rte_eth_read_clock() reads. A packet without a stamp has the time of the TSC
 *     "tsc"       any other port: the time stamp counter when the packet was found, read once a burst
 *
 * TSC time is anchored to the wall clock at opening and runs freely from then on. Times of one queue never go back.
 */
#ifndef NODE_RX_TIME_DPDK_H
#define NODE_RX_TIME_DPDK_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>

#include "node/rx_clock.h"

/* Of a port; read by all who poll it. */
struct rx_time {
	const char *source; /* as above */
	uint16_t port;
	bool reads_clock; /* the device's, which told stamps are of */
	int offset;       /* of the stamp in the mbuf; -1: packets have none */
	uint64_t flag;
	uint64_t anchor_cycles, anchor_us, hz;
	rte_spinlock_t reading; /* the device's clock: drivers need not stand two readers */
};

/* Of a receive queue, with one writer. */
struct rx_time_queue {
	uint64_t latest_us;
	uint64_t stamped, time_back; /* packets: IO_COUNTERS */
	uint64_t asked;              /* cycles: when the device's clock was last read, or tried to be */
	struct rx_clock clock;
} __attribute__((aligned(64)));

/* When a burst was found. */
struct rx_time_burst {
	uint64_t cycles, us;
};

/* What to ask the port for when it is configured: 0 or RTE_ETH_RX_OFFLOAD_TIMESTAMP. Without a clock to read stamps would cost and say
 * nothing. */
uint64_t rx_time_offload(uint16_t port, const struct rte_eth_dev_info *info);
/* After the port has started. A port that stamps takes 20 ms, to learn how fast its clock is. queues[n] must be all 0. */
void rx_time_start(struct rx_time *t, uint16_t port, const struct rte_eth_dev_info *info, struct rx_time_queue *queues, uint32_t n);

/* Once a burst, after it was taken from the port. */
struct rx_time_burst rx_time_burst(struct rx_time *t, struct rx_time_queue *q);
/* What the packet's stamp says, held back to the time of the one before. */
uint64_t rx_time_stamped(const struct rx_time *t, struct rx_time_queue *q, const struct rte_mbuf *m, const struct rx_time_burst *b);

/* The same for a time that is known. */
static inline uint64_t rx_time_held(struct rx_time_queue *q, uint64_t us)
{
	if (us < q->latest_us)
		__atomic_store_n(&q->time_back, q->time_back + 1, __ATOMIC_RELAXED);
	else
		q->latest_us = us;
	return q->latest_us;
}

/* The time of a packet of the burst, in the order they came. */
static inline uint64_t rx_time_us(const struct rx_time *t, struct rx_time_queue *q, const struct rte_mbuf *m,
				  const struct rx_time_burst *b)
{
	if (t->offset >= 0 && (m->ol_flags & t->flag))
		return rx_time_stamped(t, q, m, b);
	return rx_time_held(q, b->us);
}

#endif

/* bench_ports_dpdk.c: see bench_ports_dpdk.h. */
#include "test/lib/bench_ports_dpdk.h"

#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#define BURST      64
#define POOL_MBUFS 4095

uint32_t bench_ports_fill(const char *port, const struct bench_frame *frames, uint32_t n)
{
	static struct rte_mempool *pool;
	uint32_t sent = 0;
	uint16_t id;

	if (!pool)
		pool = rte_pktmbuf_pool_create("bench", POOL_MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!pool || rte_eth_dev_get_port_by_name(port, &id))
		return 0;
	for (; sent < n; sent++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		char *room = m ? rte_pktmbuf_append(m, (uint16_t)frames[sent].len) : NULL;

		if (room)
			memcpy(room, frames[sent].data, frames[sent].len);
		if (!room || rte_eth_tx_burst(id, 0, &m, 1) != 1) {
			rte_pktmbuf_free(m);
			break;
		}
	}
	return sent;
}

static void swap(struct rte_mbuf *m)
{
	struct rte_ether_hdr *h = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ether_addr a = h->dst_addr;

	h->dst_addr = h->src_addr;
	h->src_addr = a;
}

uint64_t bench_ports_forward(const char *const names[2], int swap_macs, uint64_t cycles)
{
	uint64_t end = rte_rdtsc() + cycles, moved = 0;
	struct rte_mbuf *mbufs[BURST];
	uint16_t ids[2];

	if (rte_eth_dev_get_port_by_name(names[0], &ids[0]) || rte_eth_dev_get_port_by_name(names[1], &ids[1]))
		return 0;
	while (rte_rdtsc() < end) {
		for (int i = 0; i < 2; i++) {
			uint16_t n = rte_eth_rx_burst(ids[i], 0, mbufs, BURST), sent;

			for (uint16_t k = 0; swap_macs && k < n; k++)
				swap(mbufs[k]);
			sent = rte_eth_tx_burst(ids[!i], 0, mbufs, n);
			rte_pktmbuf_free_bulk(mbufs + sent, n - sent);
			moved += n;
		}
	}
	return moved;
}

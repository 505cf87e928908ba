/* io_dpdk.c: see io_dpdk.h. The one file that knows DPDK's ports. */
#include "node/io_dpdk.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "node/eal_dpdk.h"
#include "node/rx_time_dpdk.h"
#include "vm/isa.h"

#define DESCRIPTORS   1024u
#define CACHE_MBUFS   256u
#define GATHER_MBUFS  256u /* packets in several segments that may be on the way at a time */
#define PREFETCH_PKTS 4u

/* Written by the core that polls the queue, read by anybody. */
struct queue {
	uint64_t received, received_bytes, no_buffer, cut, gathered;
	uint64_t sent, sent_bytes; /* of the transmit queue of the same number */
} __attribute__((aligned(64)));

struct dpdk_port {
	struct io io; /* first */
	uint16_t id;
	bool started;
	bool removed;
	bool gathers;       /* packets in several segments have come */
	unsigned interface; /* of the kernel, below; 0: none */
	struct rx_time time;
	struct rte_mempool *pool;
	struct rte_mempool *gather; /* mbufs that hold any packet in one piece */
	struct queue queues[IO_MAX_QUEUES];
	struct rx_time_queue times[IO_MAX_QUEUES];
};

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static uint64_t seen(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* ---- receiving ---- */

/* The packet in one piece: itself, or a copy of all its segments; NULL (and freed) if no mbuf is left for the copy. */
static struct rte_mbuf *in_one_piece(struct dpdk_port *p, struct queue *q, struct rte_mbuf *m)
{
	uint32_t len = m->pkt_len < VFM_MAX_PACKET_BYTES ? m->pkt_len : VFM_MAX_PACKET_BYTES;
	struct rte_mbuf *whole;
	const void *data;

	if (m->nb_segs == 1)
		return m;
	if (!p->gathers)
		__atomic_store_n(&p->gathers, true, __ATOMIC_RELAXED);
	count(&q->gathered, 1);
	count(&q->cut, m->pkt_len > VFM_MAX_PACKET_BYTES);
	whole = rte_pktmbuf_alloc(p->gather);
	if (whole) {
		/* Without headroom the mbuf has VFM_MAX_PACKET_BYTES of room, hence at least len. */
		whole->data_off = 0;
		whole->data_len = (uint16_t)len;
		whole->pkt_len = len;
		data = rte_pktmbuf_read(m, 0, len, rte_pktmbuf_mtod(whole, void *));
		assert(data == rte_pktmbuf_mtod(whole, void *));
		(void)data;
	} else {
		count(&q->no_buffer, 1);
	}
	rte_pktmbuf_free(m);
	return whole;
}

/* Some ports take the outer VLAN tag out of the frame; filters count on the frame as it was on the wire. */
static void put_tag_back(struct rte_mbuf **m)
{
	if (((*m)->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) && rte_vlan_insert(m) == 0)
		(*m)->ol_flags &= ~(uint64_t)RTE_MBUF_F_RX_VLAN;
}

/* While so many packets in several segments are held that a burst of them might find no mbuf, they stay in the queue. */
static bool may_gather(const struct dpdk_port *p)
{
	return !__atomic_load_n(&p->gathers, __ATOMIC_RELAXED) || rte_mempool_avail_count(p->gather) >= IO_BURST_PACKETS;
}

static void port_rx(struct io *io, uint32_t queue, struct io_burst *b)
{
	struct dpdk_port *p = (struct dpdk_port *)io;
	struct queue *q = &p->queues[queue];
	struct rte_mbuf *mbufs[IO_BURST_PACKETS];
	uint32_t n = may_gather(p) ? rte_eth_rx_burst(p->id, (uint16_t)queue, mbufs, IO_BURST_PACKETS) : 0;
	struct rx_time_burst found;
	uint64_t bytes = 0;

	b->n = 0;
	if (!n)
		return;
	found = rx_time_burst(&p->time, &p->times[queue]);
	for (uint32_t i = 0; i < n && i < PREFETCH_PKTS; i++)
		__builtin_prefetch(rte_pktmbuf_mtod(mbufs[i], void *));
	for (uint32_t i = 0; i < n; i++) {
		uint64_t us = rx_time_us(&p->time, &p->times[queue], mbufs[i], &found);
		struct rte_mbuf *m;

		if (i + PREFETCH_PKTS < n)
			__builtin_prefetch(rte_pktmbuf_mtod(mbufs[i + PREFETCH_PKTS], void *));
		put_tag_back(&mbufs[i]);
		m = in_one_piece(p, q, mbufs[i]);
		if (!m)
			continue;
		bytes += m->pkt_len;
		b->packets[b->n] = (struct vfm_packet){
			.data = rte_pktmbuf_mtod(m, const uint8_t *),
			.len = m->pkt_len,
			.input = io->number,
			.time_us = us,
		};
		b->frames[b->n++] = m;
	}
	count(&q->received, b->n);
	count(&q->received_bytes, bytes);
}

/* ---- sending ---- */

static uint32_t port_tx(struct io *io, uint32_t queue, void *const *frames, uint32_t n)
{
	struct dpdk_port *p = (struct dpdk_port *)io;
	struct rte_mbuf *mbufs[IO_BURST_PACKETS];
	uint32_t len[IO_BURST_PACKETS], k;
	uint64_t bytes = 0;

	n = n < IO_BURST_PACKETS ? n : IO_BURST_PACKETS;
	for (uint32_t i = 0; i < n; i++) {
		mbufs[i] = frames[i];
		len[i] = mbufs[i]->pkt_len;
	}
	k = rte_eth_tx_burst(p->id, (uint16_t)queue, mbufs, (uint16_t)n);
	for (uint32_t i = 0; i < k; i++)
		bytes += len[i];
	count(&p->queues[queue].sent, k);
	count(&p->queues[queue].sent_bytes, bytes);
	return k;
}

static void port_free(struct io *io, void *const *frames, uint32_t n)
{
	(void)io;
	for (uint32_t i = 0; i < n; i++)
		rte_pktmbuf_free(frames[i]);
}

/* ---- looking ---- */

static void port_counters(struct io *io, struct io_counters *c)
{
	struct dpdk_port *p = (struct dpdk_port *)io;
	struct rte_eth_stats stats = {0};

	*c = (struct io_counters){0};
	if (!__atomic_load_n(&p->removed, __ATOMIC_RELAXED) && rte_eth_stats_get(p->id, &stats) == 0) {
		c->missed = stats.imissed;
		c->rx_errors = stats.ierrors;
		c->no_buffer = stats.rx_nombuf;
	}
	for (uint32_t i = 0; i < IO_MAX_QUEUES; i++) {
		const struct queue *q = &p->queues[i];

		c->received += seen(&q->received);
		c->received_bytes += seen(&q->received_bytes);
		c->no_buffer += seen(&q->no_buffer);
		c->cut += seen(&q->cut);
		c->gathered += seen(&q->gathered);
		c->time_back += seen(&p->times[i].time_back);
		c->stamped += seen(&p->times[i].stamped);
		c->sent += seen(&q->sent);
		c->sent_bytes += seen(&q->sent_bytes);
	}
}

/* The drivers over a kernel interface do not follow its link, and learn nothing of its end. */
static bool interface_up(unsigned index)
{
	struct ifreq request = {0};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up = s >= 0 && if_indextoname(index, request.ifr_name) && ioctl(s, SIOCGIFFLAGS, &request) == 0 &&
		  (request.ifr_flags & IFF_RUNNING);

	if (s >= 0)
		close(s);
	return up;
}

static bool port_link_up(struct io *io)
{
	struct dpdk_port *p = (struct dpdk_port *)io;
	struct rte_eth_link link = {0};

	if (__atomic_load_n(&p->removed, __ATOMIC_RELAXED) || rte_eth_link_get_nowait(p->id, &link) || !link.link_status)
		return false;
	return !p->interface || interface_up(p->interface);
}

/* rte_eth_dev_cb_fn: the port was pulled out. Its queues stay quiet from now on. */
static int port_removed(uint16_t id, enum rte_eth_event_type event, void *arg, void *ret)
{
	struct dpdk_port *p = arg;

	(void)id;
	(void)event;
	(void)ret;
	__atomic_store_n(&p->removed, true, __ATOMIC_RELAXED);
	p->io.ended = true;
	return 0;
}

static int port_close(struct io *io)
{
	struct dpdk_port *p = (struct dpdk_port *)io;

	if (p->started) {
		rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_INTR_RMV, port_removed, p);
		rte_eth_dev_stop(p->id);
		rte_eth_dev_close(p->id);
	}
	/* The pools stay until DPDK stops: the other port may still hold mbufs of this one in its transmit queue. */
	free(p);
	return 0;
}

static const struct io_ops dpdk_ops = {port_rx, port_tx, port_free, port_counters, port_link_up, port_close};

/* ---- setting up ---- */

/* What to say of a name that is no port. */
static int no_port(const char *port, char error[IO_ERROR_BYTES])
{
	char name[RTE_ETH_NAME_MAX_LEN];
	uint16_t id;
	int used = snprintf(error, IO_ERROR_BYTES, "no such port, %.100s: ", port);
	const char *before = "name one of ";

	RTE_ETH_FOREACH_DEV(id)
	{
		if (rte_eth_dev_get_name_by_port(id, name) || used >= IO_ERROR_BYTES - 100)
			break;
		used += snprintf(error + used, (size_t)(IO_ERROR_BYTES - used), "%s%s", before, name);
		before = ", ";
	}
	if (!rte_eth_dev_count_avail())
		used += snprintf(error + used, (size_t)(IO_ERROR_BYTES - used),
				 "DPDK has no port at all; bind a NIC with dpdk-devbind.py or add --vdev to --dpdk");
	if (*eal_said() && used < IO_ERROR_BYTES)
		snprintf(error + used, (size_t)(IO_ERROR_BYTES - used), " (DPDK said: %s)", eal_said());
	return -ENODEV;
}

static int find_port(const char *port, uint16_t *id, char error[IO_ERROR_BYTES])
{
	char *end;
	unsigned long n = strtoul(port, &end, 10);

	if (rte_eth_dev_get_port_by_name(port, id) == 0)
		return 0;
	if (port[0] >= '0' && port[0] <= '9' && !*end && n < RTE_MAX_ETHPORTS && rte_eth_dev_is_valid_port((uint16_t)n)) {
		*id = (uint16_t)n;
		return 0;
	}
	return no_port(port, error);
}

static uint32_t at_most(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

int io_dpdk_limits(const char *port, struct io_dpdk_limits *limits, char error[IO_ERROR_BYTES])
{
	struct rte_eth_dev_info info;
	uint16_t id;
	int rc = find_port(port, &id, error);

	if (rc)
		return rc;
	rc = rte_eth_dev_info_get(id, &info);
	if (rc) {
		snprintf(error, IO_ERROR_BYTES, "%s, %.100s: bind the port to DPDK again", strerror(-rc), port);
		return -EIO;
	}
	*limits = (struct io_dpdk_limits){
		.rx_queues = at_most(info.max_rx_queues, IO_MAX_QUEUES),
		.tx_queues = at_most(info.max_tx_queues, IO_MAX_QUEUES),
		.rss = (info.flow_type_rss_offloads & RTE_ETH_RSS_IP) != 0,
	};
	return 0;
}

/* Every place where mbufs can be at a time: both rings of each queue, what the caller holds, the caches of the cores (which may keep
 * half as much again), and a burst on its way in for each core. */
static uint32_t mbufs_needed(const struct io_dpdk_config *c, uint32_t rx_descriptors)
{
	uint64_t n = (uint64_t)c->rx_queues * rx_descriptors + (uint64_t)c->tx_queues * DESCRIPTORS + c->held_pkts +
		     (uint64_t)c->cores * (CACHE_MBUFS + CACHE_MBUFS / 2 + IO_BURST_PACKETS);

	return n < IO_DPDK_MAX_MBUFS ? (uint32_t)n : IO_DPDK_MAX_MBUFS;
}

static int make_pools(struct dpdk_port *p, const struct io_dpdk_config *c, uint32_t rx_descriptors, char error[IO_ERROR_BYTES])
{
	uint32_t needed = mbufs_needed(c, rx_descriptors), n = c->mbufs ? c->mbufs : needed;
	uint32_t cache = at_most(CACHE_MBUFS, n * 2 / 3 / (c->cores + 1));
	int socket = rte_eth_dev_socket_id(p->id);
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "vfm_rx_%u", p->id);
	p->pool = rte_pktmbuf_pool_create(name, n, cache, 0, RTE_MBUF_DEFAULT_BUF_SIZE, socket);
	snprintf(name, sizeof(name), "vfm_gather_%u", p->id);
	p->gather = rte_pktmbuf_pool_create(name, GATHER_MBUFS, 0, 0, VFM_MAX_PACKET_BYTES, socket);
	if (p->pool && p->gather)
		return 0;
	snprintf(error, IO_ERROR_BYTES,
		 "%u packet buffers (%llu MB) do not fit, %.100s: give DPDK more memory (-m MB), or fewer --mbufs, --queues or "
		 "cores",
		 n,
		 ((unsigned long long)n * RTE_MBUF_DEFAULT_BUF_SIZE + (unsigned long long)GATHER_MBUFS * VFM_MAX_PACKET_BYTES) >>
			 20,
		 p->io.name);
	return -ENOMEM;
}

static int refused(const struct dpdk_port *p, const char *step, int rc, char error[IO_ERROR_BYTES])
{
	snprintf(error, IO_ERROR_BYTES, "the port refuses %s (%s), %.100s: try dpdk-testpmd with the same arguments", step,
		 rc < 0 ? strerror(-rc) : "no reason given", p->io.name);
	return -EIO;
}

static int configure(struct dpdk_port *p, const struct io_dpdk_config *c, const struct rte_eth_dev_info *info,
		     char error[IO_ERROR_BYTES])
{
	struct rte_eth_conf conf = {0};
	int rc;

	if (c->rx_queues > at_most(info->max_rx_queues, IO_MAX_QUEUES) ||
	    c->tx_queues > at_most(info->max_tx_queues, IO_MAX_QUEUES)) {
		snprintf(error, IO_ERROR_BYTES,
			 "%u receive and %u transmit queues of %u and %u that there are, %.100s: give fewer --queues or cores",
			 c->rx_queues, c->tx_queues, info->max_rx_queues, info->max_tx_queues, p->io.name);
		return -EINVAL;
	}
	conf.rxmode.offloads = (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) | rx_time_offload(p->id, info);
	conf.txmode.offloads = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (c->rx_queues > 1 && (info->flow_type_rss_offloads & RTE_ETH_RSS_IP)) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
	}
	rc = rte_eth_dev_configure(p->id, (uint16_t)c->rx_queues, (uint16_t)c->tx_queues, &conf);
	return rc ? refused(p, "its configuration", rc, error) : 0;
}

static int set_up_queues(struct dpdk_port *p, const struct io_dpdk_config *c, char error[IO_ERROR_BYTES])
{
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	unsigned socket = (unsigned)rte_eth_dev_socket_id(p->id);
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rx, &tx);

	if (rc)
		return refused(p, "the length of its queues", rc, error);
	rc = make_pools(p, c, rx, error);
	if (rc)
		return rc;
	for (uint16_t i = 0; i < c->rx_queues && rc == 0; i++)
		rc = rte_eth_rx_queue_setup(p->id, i, rx, socket, NULL, p->pool);
	for (uint16_t i = 0; i < c->tx_queues && rc == 0; i++)
		rc = rte_eth_tx_queue_setup(p->id, i, tx, socket, NULL);
	return rc ? refused(p, "its queues", rc, error) : 0;
}

int io_dpdk_open(const char *port, const struct io_dpdk_config *config, struct io **io, char error[IO_ERROR_BYTES])
{
	struct dpdk_port *p = aligned_alloc(64, sizeof(*p));
	struct rte_eth_dev_info info;
	int rc;

	*io = NULL;
	if (!p) {
		snprintf(error, IO_ERROR_BYTES, "out of memory, %.100s: close other programs", port);
		return -ENOMEM;
	}
	memset(p, 0, sizeof(*p));
	p->io = (struct io){
		.ops = &dpdk_ops, .number = config->number, .rx_queues = config->rx_queues, .tx_queues = config->tx_queues};
	snprintf(p->io.name, sizeof(p->io.name), "%s", port);
	rc = find_port(port, &p->id, error);
	if (rc)
		goto out;
	rc = rte_eth_dev_info_get(p->id, &info);
	rc = rc ? refused(p, "to say what it is", rc, error) : configure(p, config, &info, error);
	if (!rc)
		rc = set_up_queues(p, config, error);
	if (rc)
		goto out;
	p->interface = info.if_index;
	/* A port that has no promiscuous mode gets every frame anyway, or says so in its manual. */
	(void)rte_eth_promiscuous_enable(p->id);
	rc = rte_eth_dev_start(p->id);
	if (rc) {
		rc = refused(p, "to start", rc, error);
		goto out;
	}
	p->started = true;
	rx_time_start(&p->time, p->id, &info, p->times, config->rx_queues);
	p->io.time = p->time.source;
	rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_INTR_RMV, port_removed, p);
	*io = &p->io;
out:
	if (rc)
		port_close(&p->io);
	return rc;
}

/* rx_time_dpdk.c: see rx_time_dpdk.h. */
#define ALLOW_EXPERIMENTAL_API /* rte_eth_read_clock() */
#include "node/rx_time_dpdk.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_mbuf_dyn.h>

#define LEARN_US 20000
#define TRIES    3 /* of reading both clocks at a moment; the quickest counts */

static bool is_capture(const struct rte_eth_dev_info *info)
{
	return info->driver_name && !strcmp(info->driver_name, "net_pcap");
}

uint64_t rx_time_offload(uint16_t port, const struct rte_eth_dev_info *info)
{
	uint64_t clock, stamps = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_TIMESTAMP;

	/* Any other failure may be that the port has not started. */
	return stamps && rte_eth_read_clock(port, &clock) != -ENOTSUP ? stamps : 0;
}

/* Reads both clocks as nearly at once as can be. The device's reading lies between two of the TSC, and is taken to be half-way. */
static bool sample(struct rx_time *t, struct rx_time_queue *q)
{
	uint64_t narrowest = UINT64_MAX, ticks = 0, cycles = 0;

	if (!rte_spinlock_trylock(&t->reading))
		return true; /* at the next burst, then */
	q->asked = rte_rdtsc();
	for (int i = 0; i < TRIES; i++) {
		uint64_t before = rte_rdtsc(), read, took;
		int rc = rte_eth_read_clock(t->port, &read);

		took = rte_rdtsc() - before;
		if (rc == 0 && took < narrowest) {
			narrowest = took;
			ticks = read;
			cycles = before + took / 2;
		}
	}
	rte_spinlock_unlock(&t->reading);
	if (narrowest == UINT64_MAX)
		return false;
	rx_clock_sample(&q->clock, ticks, cycles);
	return true;
}

static bool sample_all(struct rx_time *t, struct rx_time_queue *queues, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!sample(t, &queues[i]))
			return false;
	return true;
}

static bool learn_clock(struct rx_time *t, struct rx_time_queue *queues, uint32_t n)
{
	if (!sample_all(t, queues, n))
		return false;
	rte_delay_us_sleep(LEARN_US);
	return sample_all(t, queues, n);
}

void rx_time_start(struct rx_time *t, uint16_t port, const struct rte_eth_dev_info *info, struct rx_time_queue *queues, uint32_t n)
{
	struct timespec now;

	*t = (struct rx_time){.source = "tsc", .port = port, .offset = -1, .hz = rte_get_tsc_hz()};
	rte_spinlock_init(&t->reading);
	clock_gettime(CLOCK_REALTIME, &now);
	t->anchor_cycles = rte_rdtsc();
	t->anchor_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	/* All drivers share one field and one flag; net_pcap sets them unasked. */
	if ((is_capture(info) || rx_time_offload(port, info)) && rte_mbuf_dyn_rx_timestamp_register(&t->offset, &t->flag) == 0) {
		if (is_capture(info))
			t->source = "capture";
		else if ((t->reads_clock = learn_clock(t, queues, n)))
			t->source = "port";
		else
			t->offset = -1;
	}
}

/* Seconds and remainder apart: cycles * 10^6 would overflow after an hour. */
static uint64_t cycles_to_us(const struct rx_time *t, uint64_t cycles)
{
	uint64_t since = cycles - t->anchor_cycles;

	return t->anchor_us + since / t->hz * 1000000 + since % t->hz * 1000000 / t->hz;
}

struct rx_time_burst rx_time_burst(struct rx_time *t, struct rx_time_queue *q)
{
	struct rx_time_burst b = {.cycles = rte_rdtsc()};

	if (t->reads_clock && b.cycles - q->asked >= t->hz) {
		(void)sample(t, q);
		b.cycles = rte_rdtsc();
	}
	b.us = cycles_to_us(t, b.cycles);
	return b;
}

uint64_t rx_time_stamped(const struct rx_time *t, struct rx_time_queue *q, const struct rte_mbuf *m, const struct rx_time_burst *b)
{
	uint64_t stamp = *RTE_MBUF_DYNFIELD(m, t->offset, const rte_mbuf_timestamp_t *);

	__atomic_store_n(&q->stamped, q->stamped + 1, __ATOMIC_RELAXED);
	if (t->reads_clock)
		stamp = cycles_to_us(t, rx_clock_cycles(&q->clock, stamp, b->cycles));
	return rx_time_held(q, stamp);
}

/* ports.c: see ports.h. */
#include "node/ports.h"

#include "node/io_dpdk.h"

/* Receive queues of both ports: as asked, else one per core where the ports spread flows over them. */
static int choose_queues(const struct ports_options *o, uint32_t rx[2], char error[IO_ERROR_BYTES])
{
	struct io_dpdk_limits limits[2];

	for (uint32_t i = 0; i < 2; i++) {
		int rc = io_dpdk_limits(o->names[i], &limits[i], error);

		if (rc)
			return rc;
	}
	for (uint32_t i = 0; i < 2; i++) {
		rx[i] = o->queues ? o->queues : limits[i].rss ? o->cores : 1;
		if (!o->queues && rx[i] > limits[i].rx_queues)
			rx[i] = limits[i].rx_queues;
		if (!o->queues && rx[i] > limits[!i].tx_queues)
			rx[i] = limits[!i].tx_queues;
		if (i == 1 && o->one_way)
			rx[i] = 1; /* a port needs one, though nobody reads it */
	}
	return 0;
}

int ports_open(const struct ports_options *o, struct io *ports[2], char error[IO_ERROR_BYTES])
{
	uint32_t rx[2];
	int rc = choose_queues(o, rx, error);

	for (uint32_t i = 0; i < 2 && !rc; i++) {
		uint32_t polled = rx[!i] < o->cores ? rx[!i] : o->cores;
		struct io_dpdk_config config = {
			.number = i,
			.rx_queues = rx[i],
			.tx_queues = polled,
			.held_pkts = o->held_pkts,
			.cores = o->cores,
			.mbufs = o->mbufs,
		};

		rc = io_dpdk_open(o->names[i], &config, &ports[i], error);
	}
	return rc;
}

void ports_watch(struct io *const ports[2], bool up[2], FILE *out)
{
	for (uint32_t i = 0; i < 2; i++) {
		bool now = io_link_up(ports[i]);

		if (now != up[i])
			fprintf(out,
				now ? "vfm-node: link up, %s: packets flow again\n"
				    : "vfm-node: link down or port gone, %s: check cable and peer; the node keeps its state and "
				      "waits\n",
				ports[i]->name);
		up[i] = now;
	}
}

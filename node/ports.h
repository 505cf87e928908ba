/* ports.h: the pair of DPDK ports that a node stands between. DPDK must be started (eal_dpdk.h). */
#ifndef NODE_PORTS_H
#define NODE_PORTS_H

#include <stdio.h>

#include "node/io.h"

struct ports_options {
	const char *names[2]; /* as DPDK has them, or numbers */
	bool one_way;         /* port 1 is not read */
	uint32_t queues;      /* receive queues of each port; 0: one for each core where the ports spread flows over them, else 1 */
	uint32_t mbufs;       /* of each port; 0: as many as are needed */
	uint32_t cores;       /* that poll queues and free frames */
	uint32_t held_pkts;   /* that the cores hold at a time besides, of one port */
};

/* Opens both; ports[i] has number i. On failure what io_dpdk_open() gives, with error filled; what is open by then is the caller's to
 * close. */
int ports_open(const struct ports_options *options, struct io *ports[2], char error[IO_ERROR_BYTES]);

/* Says on out which link has changed since up[] was last brought up to date. */
void ports_watch(struct io *const ports[2], bool up[2], FILE *out);

#endif

/* cores.h: live ports in a cluster: a process whose lcores are members of it, each with shards, sockets and queues of its own.
 *
 *   ports    queue q -> core q mod cores: a daemon (daemon.h), which is a node: it steers what it polls, runs what it owns
 *   cluster  packets, deltas and moves go from core to core as from process to process: over the daemons' sockets
 *   control  a thread beside the cores sees to signals, links, mirrors and counters, so that no core waits for any of them
 *
 * So a move between two cores is a move, and what one core may not do to another is what a node may not do to another: there is nothing
 * between cores but messages. They end together, however: the cores say which process they are of, and the controller keeps a shard's
 * owner and standby in different ones.
 *
 * With more than one core, core c is called NAME.c; it listens at EP.c (ipc), or c ports above (tcp).
 */
#ifndef NODE_CORES_H
#define NODE_CORES_H

#include <signal.h>

#include "node/daemon.h"
#include "node/ports.h"

struct cores_options {
	const char *dpdk;           /* DPDK's arguments; NULL: no live ports */
	struct ports_options ports; /* cores and held_pkts are set here */
	const char *verdicts;       /* verdict and order files, as in live.h; NULL: none */
	const char *order;
	struct mirror_list mirrors;
	uint32_t stop_after_ms; /* end when no packet has come for so long; 0: never */
	bool json;
	FILE *report;                       /* where counters go at the end; NULL: nowhere */
	volatile sig_atomic_t *print_asked; /* not 0: print the counters on standard error; set to 0 here. NULL: never */
};

/* Until *stop, then another second at most for the packets that are on the way; node is what each core is like. Errors as daemon_run(). */
int cores_run(const struct cores_options *o, const struct daemon_options *node, const struct deploy *deploy,
	      const volatile int *stop, char why[DAEMON_WHY_BYTES]);

/* What a report is made of. Everything may go on running meanwhile. */
struct cores_view {
	struct io *ports[2];
	uint32_t cores;
	struct daemon *const *daemons; /* [cores] */
	struct mirror *const *mirrors;
	uint32_t n_mirrors;
};
/* One JSON object and a line feed; form in docs/dpdk.md. */
void cores_report_json(const struct cores_view *v, FILE *out);
/* A few lines for people. */
void cores_report_print(const struct cores_view *v, FILE *out);

#endif

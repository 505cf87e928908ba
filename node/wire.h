/* wire.h: vfm-node on DPDK ports, as a command. It speaks to people (standard output and error), unlike the rest of the library; it
 * stands here because vfm-node has other forms beside it. */
#ifndef NODE_WIRE_H
#define NODE_WIRE_H

#include <stdio.h>

#include "node/dataplane.h"

/* Exit status. */
enum { WIRE_DONE = 0, WIRE_UNUSABLE = 1, WIRE_USAGE = 2 };

/* All of vfm-node where --dpdk is among the arguments and --controller is not; returns the exit status. */
int wire_main(int argc, char **argv);

/* What a report is made of. Everything may go on running meanwhile. */
struct wire_view {
	const struct dataplane *dataplane;
	struct io *ports[2];
	uint32_t cores;
	const struct loaded *code;
	const struct mirror *const *mirrors;
	uint32_t n_mirrors;
	uint32_t swaps;
	uint32_t moves;           /* of shards between cores */
	uint64_t longest_move_ns; /* nothing was received for so long */
	double seconds;
	bool stopped; /* the cores have returned: tables may be looked at */
};

/* A few lines for people. */
void wire_report_print(const struct wire_view *v, FILE *out);
/* One JSON object and a line feed; form in docs/dpdk.md. -ENOMEM. */
int wire_report_json(const struct wire_view *v, FILE *out);

#endif

/* wire_options.h: the command line of vfm-node on DPDK ports. */
#ifndef NODE_WIRE_OPTIONS_H
#define NODE_WIRE_OPTIONS_H

#include "node/dataplane.h"

struct wire_options {
	const char *dpdk;     /* EAL arguments */
	const char *ports[2]; /* --in, --out */
	const char *expression, *filter;
	bool one_way, json;
	uint32_t queues; /* receive queues of each port, 0: as many as there are cores if the port spreads flows itself, else 1 */
	uint32_t mbufs;  /* 0: as many as are needed */
	const char *certificate;
	uint32_t shards; /* 0: not given */
	uint32_t balance_ms;
	enum engine_kind engine;
	uint32_t capacity; /* 0: as declared */
	int64_t idle_s;    /* -1: as declared */
	uint32_t insn_limit;
	const char *preload, *verdicts, *table;
	struct mirror_list mirrors;
	uint32_t stop_after_ms; /* without a packet, 0: never */
	uint32_t every_s;       /* counters on standard error, 0: never */
};

/* -1: go on with *o; else the exit status, everything said. */
int wire_options_read(int argc, char **argv, struct wire_options *o);

#endif

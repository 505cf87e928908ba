/* daemon.h: the process around a node: sockets; a capture or live ports as input, verdicts and accepted packets as output, a journal.
 * All deciding is in node.c and below; this moves bytes and asks the clock. */
#ifndef NODE_DAEMON_H
#define NODE_DAEMON_H

#include "analysis/deploy.h"
#include "node/engine.h"
#include "node/follow.h"
#include "node/node.h"
#include "state/keys.h"
#include "node/ports.h"

#include <signal.h>
#include <stdio.h>

#define DAEMON_WHY_BYTES 512

struct daemon_options {
	const char *name;
	const char *endpoint;    /* where peers reach this node; NULL: alone */
	const char *key, *peers; /* files of keys, for connections over a network; NULL: none */
	const struct keys *keys; /* what is in them */
	const char *controller;  /* the controllers' endpoints, with commas between; NULL: alone */
	struct follow *follow;   /* ends when the controller has another plan; NULL: goes on with this one */
	bool owns;               /* may own shards */
	const char *capture;     /* input; NULL: none */
	uint64_t stream;
	const char *verdicts; /* verdict file; NULL: none */
	const char *accepted; /* capture of accepted packets; NULL: none */
	const char *order;    /* live ports: order file; NULL: none */
	const char *journal;  /* NULL: what is written counts as durable */
	uint64_t stop_at;     /* packets read before the first `go`; UINT64_MAX: all */
	bool leave;           /* end when the capture is done */
	enum release_mode release;
	uint32_t window;
	enum engine_kind engine;
	/* live ports */
	const char *dpdk;           /* DPDK's arguments; NULL: none */
	struct ports_options ports; /* cores and held_pkts are set here */
	uint32_t stop_after_ms;     /* end when no packet has come for so long; 0: never */
	bool json;
	FILE *report;                       /* where counters go at the end; NULL: nowhere */
	volatile sig_atomic_t *print_asked; /* not 0: print the counters on standard error; set to 0 here. NULL: never */
};

struct daemon_summary {
	uint64_t packets, accept, drop, errors, log;
	bool damaged;
};

/* Runs until *stop or the end of the input. 0; -ESTALE: the controller has another plan; -EIO, -EINVAL, -ENOMEM with why. */
int daemon_run(const struct daemon_options *o, const struct deploy *deploy, const volatile int *stop,
	       struct daemon_summary *summary, char why[DAEMON_WHY_BYTES]);

#endif

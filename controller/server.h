/* server.h: the process around the reconciler: sockets, store, clock, and what vfmctl asks. */
#ifndef CONTROLLER_SERVER_H
#define CONTROLLER_SERVER_H

#include "analysis/deploy.h"
#include "controller/reconciler.h"
#include "state/keys.h"

#include <signal.h>

#define SERVER_WHY_BYTES 512

struct server_options {
	const char *endpoint;
	const char *store;           /* SQLite file; NULL: memory */
	const char *key, *peers;     /* files of keys, for connections over a network; NULL: none */
	const struct keys *keys;     /* what is in them */
	const struct deploy *deploy; /* from the command line; NULL: the store's, or what vfmctl loads. Not owned */
	bool standbys;
	uint32_t min_nodes;
	uint64_t lease_us, loss_us;
};

/* Runs until *stop. 0; -EIO, -ENOMEM, -EINVAL (the store has another plan) with why. */
int server_run(const struct server_options *o, const volatile int *stop, char why[SERVER_WHY_BYTES]);

#endif

/* daemon.h: what makes a member of the cluster of a node: sockets, a clock, and a capture or live ports as input. All deciding is in node.c
 * and below; this moves bytes and asks the clock.
 *
 * A process has one daemon (daemon_run), or with live ports one for each core (cores.h). A daemon is used by one thread at a time; what
 * else may be called meanwhile says so.
 */
#ifndef NODE_DAEMON_H
#define NODE_DAEMON_H

#include "analysis/deploy.h"
#include "node/engine.h"
#include "node/follow.h"
#include "node/link.h"
#include "node/live.h"
#include "node/node.h"
#include "state/keys.h"

#define DAEMON_WHY_BYTES 512

struct daemon_options {
	const char *name;
	uint64_t process;        /* incarnation of the first node of this process; 0: this is it */
	const char *endpoint;    /* where peers reach this node; NULL: alone */
	struct link_hub *hub;    /* of this process's daemons; NULL: there is but one */
	const struct keys *keys; /* for connections over a network; NULL: none */
	const char *controller;  /* the controllers' endpoints, with commas between; NULL: alone */
	struct follow *follow;   /* ends when the controller has another plan; NULL: goes on with this one */
	bool owns;               /* may own shards */
	uint64_t stop_at;        /* packets read before the first `go`; UINT64_MAX: all */
	enum release_mode release;
	enum engine_kind engine;
	/* a capture */
	const char *capture; /* input; NULL: none */
	uint64_t stream;
	const char *verdicts; /* verdict file; NULL: none */
	const char *accepted; /* capture of accepted packets; NULL: none */
	const char *journal;  /* NULL: what is written counts as durable */
	bool leave;           /* end when the capture is done */
	uint32_t window;
};

struct daemon_summary {
	uint64_t packets, accept, drop, errors, log;
	bool damaged;
};

/* Runs until *stop or the end of the input. 0; -ESTALE: the controller has another plan; -EIO, -EINVAL, -ENOMEM with why. */
int daemon_run(const struct daemon_options *o, const struct deploy *deploy, const volatile int *stop,
	       struct daemon_summary *summary, char why[DAEMON_WHY_BYTES]);

/* ---- step by step, for one of several cores ---- */

struct daemon;

/* Listens, and begins to connect; sockets' threads run where the caller may. o, deploy and why (written until daemon_close()) must outlive
 * it. -EIO, -EINVAL, -ENOMEM with why. */
int daemon_open(struct daemon **out, const struct daemon_options *o, const struct deploy *deploy, char why[DAEMON_WHY_BYTES]);
/* Gives it the live ports' queues that are its core's; once, before daemon_poll_ports(). Errors of live_open(), with why. */
int daemon_take_ports(struct daemon *d, const struct live_config *config);
/* Steers and owns until told to leave. 0; -ESTALE, -EIO with why. */
int daemon_poll_ports(struct daemon *d);
/* d may be NULL (0). -EIO with why: an output could not be written whole. */
int daemon_close(struct daemon *d);

/* From any thread, each at least what was told before. */
enum daemon_order {
	DAEMON_GO,    /* the beginning */
	DAEMON_DRAIN, /* take no packet from the ports any more */
	DAEMON_LEAVE  /* return from daemon_poll_ports() */
};
void daemon_order(struct daemon *d, enum daemon_order order);

/* From any thread, as of now. */
struct daemon_view {
	uint64_t quiet_us; /* its ports have had nothing for so long, as polled, and nothing is held; 0: something is */
	uint64_t executed; /* packets, as owner */
	bool drained;      /* it has been told to, and holds nothing */
};
struct daemon_view daemon_view(const struct daemon *d);
/* What does not change. */
uint64_t daemon_self(const struct daemon *d);
const char *daemon_name(const struct daemon *d);
const struct live *daemon_live(const struct daemon *d); /* NULL: no ports */

#endif

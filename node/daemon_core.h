/* daemon_core.h: what daemon.c (sockets and the loop), daemon_capture.c and daemon_ports.c (input) and daemon_ask.c (what an operator may
 * ask) share. */
#ifndef NODE_DAEMON_CORE_H
#define NODE_DAEMON_CORE_H

#include "node/capture.h"
#include "node/daemon.h"
#include "node/probe.h"
#include "node/reading.h"
#include "node/runner.h"
#include "state/quarantine.h"

#include <stdio.h>

struct daemon {
	struct daemon_options options;
	const struct deploy *deploy;
	struct runner runner;
	struct node node;
	struct steerer steerer; /* of the capture */
	struct probe probe;
	struct probe_waits waits;
	struct readings readings;
	struct link *link;
	struct quarantine quarantine;
	uint64_t refused; /* connections with keys that are no peer's */
	char told[257];   /* where peers reach this node, as they are told: the endpoint, and its key */
	uint32_t n_controllers;
	char controllers[OUTBOX_MAX_CONTROLLERS]
			[257 + KEYS_NAME_BYTES]; /* endpoints; the link knows them as OUTBOX_CONTROLLER + index */
	uint64_t now_us, ticked_us;
	/* input */
	struct capture *capture;
	struct vfm_packet pending;
	bool has_pending, at_end, damaged;
	uint32_t pending_shard;
	uint64_t read, allowed;
	uint64_t pps, paced_us, paced_from; /* so many packets a second since then, after so many; 0: as fast as they are taken */
	/* live ports instead */
	struct live *live;
	uint64_t arrived_us;
	int order;                /* enum daemon_order; written by others */
	struct daemon_view shown; /* read by others */
	/* output */
	FILE *verdicts;
	struct capture_writer *accepted;
	uint64_t journal_us, journal_index, session;
	struct daemon_summary summary;
	char *why;
};

/* Of the monotonic clock. */
uint64_t daemon_clock_us(void);
/* Says why, unless something else was said before; returns err. */
int daemon_fail(struct daemon *d, int err, const char *what, const char *where, const char *todo);

/* One round of the loop. -ESTALE with why: the controller has another plan. */
int daemon_turn(struct daemon *d);

/* Changes what other threads may look at. */
void daemon_show(uint64_t *shown, uint64_t value);
/* Packets taken from the ports, at most a burst of each queue; they are on their way. */
uint32_t daemon_ports_read(struct daemon *d);

/* Opens the capture and what is written of it, and goes on where its journal ends. -EIO, -EINVAL, -ENOMEM with why. */
int daemon_capture_open(struct daemon *d);
/* -EIO with why: not all could be written. */
int daemon_capture_close(struct daemon *d);
/* When packet number `index` may be read; 0: at once. */
uint64_t daemon_capture_due_us(const struct daemon *d, uint64_t index);
/* Packets read, at most a burst; they are on their way. */
uint32_t daemon_capture_read(struct daemon *d);
/* Writes what may be told. */
void daemon_capture_release(struct daemon *d);
/* Nothing more will come, and nothing is on the way. */
bool daemon_capture_through(const struct daemon *d);

/* Of all streams together. */
struct steerer_counters daemon_totals(const struct daemon *d);
/* Answers a COMMAND, now or when what it asks for is there (daemon_ask_later()). */
void daemon_ask(struct daemon *d, const struct wire_bytes *text, const struct link_reply *reply);
void daemon_ask_later(struct daemon *d);

#endif

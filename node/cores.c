/* cores.c: see cores.h. */
#include "node/cores.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/eal_dpdk.h"

#define TICK_NS     1000000
#define DRAIN_US    1000000
#define LINK_TICKS  200
#define PLACE_BYTES 300

struct core {
	char name[65], endpoint[PLACE_BYTES];
	struct daemon_options options;
	int err; /* of daemon_poll_ports() */
	bool returned;
};

struct cores {
	const struct cores_options *options;
	const volatile int *stop;
	char *why;
	uint32_t n;
	struct link_hub *hub;
	struct core core[EAL_MAX_CORES];
	struct daemon *daemons[EAL_MAX_CORES];
	struct io *ports[2];
	struct mirror *mirrors[MIRROR_MAX];
	bool all_returned, link_up[2];
	uint64_t drain_until_us; /* 0: packets are taken */
};

static int fail(struct cores *c, int err, const char *error)
{
	snprintf(c->why, DAEMON_WHY_BYTES, "%.*s", DAEMON_WHY_BYTES - 1, error);
	return err;
}

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static struct cores_view view_of(const struct cores *c)
{
	return (struct cores_view){.ports = {c->ports[0], c->ports[1]},
				   .cores = c->n,
				   .daemons = c->daemons,
				   .mirrors = c->mirrors,
				   .n_mirrors = c->options->mirrors.n};
}

/* ---- the control thread ---- */

static void order_all(struct cores *c, enum daemon_order order)
{
	for (uint32_t i = 0; i < c->n; i++)
		daemon_order(c->daemons[i], order);
}

/* No packet has come by any core's queues for that long, as that core has polled them. */
static bool is_quiet(const struct cores *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (daemon_view(c->daemons[i]).quiet_us < c->options->stop_after_ms * 1000ull)
			return false;
	return c->options->stop_after_ms != 0;
}

static bool are_drained(const struct cores *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (!daemon_view(c->daemons[i]).drained)
			return false;
	return true;
}

static bool any_returned(const struct cores *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (__atomic_load_n(&c->core[i].returned, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* A core that has let go of all its packets may own the shards of another's: they leave together. */
static void see_to_the_end(struct cores *c)
{
	uint64_t now_us = clock_us();

	if (!c->drain_until_us && (*c->stop || is_quiet(c))) {
		c->drain_until_us = now_us + DRAIN_US;
		order_all(c, DAEMON_DRAIN);
	}
	if (any_returned(c) || (c->drain_until_us && (are_drained(c) || now_us >= c->drain_until_us)))
		order_all(c, DAEMON_LEAVE);
}

static void print_counters(struct cores *c)
{
	volatile sig_atomic_t *asked = c->options->print_asked;
	struct cores_view view = view_of(c);

	if (!asked || !*asked)
		return;
	*asked = 0;
	cores_report_print(&view, stderr);
}

static void *control(void *arg)
{
	struct cores *c = arg;

	for (uint32_t ticks = 0; !__atomic_load_n(&c->all_returned, __ATOMIC_ACQUIRE); ticks++) {
		uint32_t copied = 0;

		see_to_the_end(c);
		if (ticks % LINK_TICKS == 0)
			ports_watch(c->ports, c->link_up, stderr);
		print_counters(c);
		for (uint32_t i = 0; i < c->options->mirrors.n; i++)
			copied += mirror_drain(c->mirrors[i]);
		if (!copied)
			nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
	}
	return NULL;
}

/* ---- opening ---- */

/* Where core number `core` listens. -EINVAL: there are not so many ports, or it is neither ipc nor tcp. */
static int place_of(const char *endpoint, uint32_t core, char place[PLACE_BYTES])
{
	const char *colon = strrchr(endpoint, ':');
	unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;

	if (strncmp(endpoint, "ipc://", 6) == 0)
		return snprintf(place, PLACE_BYTES, "%s.%u", endpoint, core) < PLACE_BYTES ? 0 : -EINVAL;
	if (strncmp(endpoint, "tcp://", 6) || port == 0 || port + core > 65535)
		return -EINVAL;
	return snprintf(place, PLACE_BYTES, "%.*s:%lu", (int)(colon - endpoint), endpoint, port + core) < PLACE_BYTES ? 0 : -EINVAL;
}

static int open_core(struct cores *c, uint32_t i, const struct daemon_options *node, const struct deploy *deploy)
{
	struct core *core = &c->core[i];
	int rc = 0;

	core->options = *node;
	core->options.hub = c->hub;
	core->options.process = i ? daemon_self(c->daemons[0]) : 0;
	core->options.follow = i ? NULL : node->follow; /* one asks for all */
	if (c->n > 1) {
		if ((size_t)snprintf(core->name, sizeof(core->name), "%s.%u", node->name, i) >= sizeof(core->name))
			return fail(c, -EINVAL, "too long, --name: give a shorter one");
		rc = place_of(node->endpoint, i, core->endpoint);
		core->options.name = core->name;
		core->options.endpoint = core->endpoint;
	}
	if (rc)
		return fail(c, rc, "no place for each core, --bind: give ipc://PATH or tcp://HOST:PORT with as many ports above");
	return daemon_open(&c->daemons[i], &core->options, deploy, c->why);
}

static int open_ports(struct cores *c)
{
	struct ports_options ports = c->options->ports;
	char error[IO_ERROR_BYTES];
	int rc;

	ports.cores = c->n;
	ports.held_pkts = (ports.queues ? ports.queues : c->n) * (LIVE_WINDOW_PKTS + IO_BURST_PACKETS);
	rc = ports_open(&ports, c->ports, error);
	if (!rc)
		rc = mirrors_open(&c->options->mirrors, c->n, c->mirrors, error);
	return rc ? fail(c, rc, error) : 0;
}

static int take_ports(struct cores *c)
{
	const struct cores_options *o = c->options;
	int rc = 0;

	for (uint32_t i = 0; i < c->n && !rc; i++) {
		struct live_config config = {
			.ports = {c->ports[0], c->ports[1]},
			.core = i,
			.cores = c->n,
			.one_way = o->ports.one_way,
			.window_pkts = LIVE_WINDOW_PKTS,
			.verdicts = o->verdicts,
			.order = o->order,
			.mirrors = c->mirrors,
			.n_mirrors = o->mirrors.n,
		};

		rc = daemon_take_ports(c->daemons[i], &config);
	}
	return rc;
}

static int open_all(struct cores *c, const struct daemon_options *node, const struct deploy *deploy)
{
	int rc = 0;

	c->hub = link_hub_new(c->n);
	if (!c->hub)
		return fail(c, -ENOMEM, "out of memory, the cores' sockets: close other programs");
	for (uint32_t i = 0; i < c->n && !rc; i++)
		rc = open_core(c, i, node, deploy);
	if (!rc)
		rc = open_ports(c);
	return rc ? rc : take_ports(c);
}

/* ---- a run ---- */

static void run_core(void *arg, uint32_t core)
{
	struct cores *c = arg;

	c->core[core].err = daemon_poll_ports(c->daemons[core]);
	__atomic_store_n(&c->core[core].returned, true, __ATOMIC_RELEASE);
}

static void say_running(const struct cores *c, uint32_t shards)
{
	uint32_t streams = 0;

	for (uint32_t i = 0; i < c->n; i++)
		streams += live_streams(daemon_live(c->daemons[i]));
	fprintf(stderr, "vfm-node: running, %s %s %s: %u cores, %u streams, %u shards\n", c->ports[0]->name,
		c->options->ports.one_way ? "->" : "<->", c->ports[1]->name, c->n, streams, shards);
}

static int run(struct cores *c)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, control, c);

	if (rc)
		return fail(c, -rc, "no thread to be had, control: raise the limit of processes (ulimit -u)");
	eal_roam(false);
	eal_run(run_core, c);
	__atomic_store_n(&c->all_returned, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	for (uint32_t i = 0; i < c->n && !rc; i++)
		rc = c->core[i].err;
	return rc;
}

static void report(const struct cores *c)
{
	struct cores_view view = view_of(c);

	for (uint32_t i = 0; i < c->options->mirrors.n; i++)
		mirror_drain(c->mirrors[i]);
	if (c->options->report)
		(c->options->json ? cores_report_json : cores_report_print)(&view, c->options->report);
}

/* Frames go back to the ports before they are closed. */
static int close_all(struct cores *c)
{
	int rc = 0, one;

	for (uint32_t i = 0; i < c->n; i++) {
		one = daemon_close(c->daemons[i]);
		rc = rc ? rc : one;
	}
	link_hub_free(c->hub);
	for (uint32_t i = 0; i < c->options->mirrors.n; i++)
		if (mirror_free(c->mirrors[i]))
			rc = fail(c, -EIO, "not all could be written, --mirror: make room");
	for (uint32_t i = 0; i < 2; i++)
		(void)io_close(c->ports[i]);
	eal_stop();
	return rc;
}

int cores_run(const struct cores_options *o, const struct daemon_options *node, const struct deploy *deploy,
	      const volatile int *stop, char why[DAEMON_WHY_BYTES])
{
	struct cores *c = calloc(1, sizeof(*c));
	char error[EAL_ERROR_BYTES];
	int rc, rest;

	if (!c)
		return -ENOMEM;
	*c = (struct cores){
		.options = o, .stop = stop, .why = why, .link_up = {true, true}}; /* a link that is down is told at once */
	why[0] = 0;
	rc = eal_start("vfm-node", o->dpdk, error);
	if (rc)
		(void)fail(c, rc, error);
	c->n = rc ? 0 : eal_cores();
	eal_roam(true); /* the sockets' threads are not for the cores */
	if (!rc)
		rc = open_all(c, node, deploy);
	if (!rc) {
		say_running(c, deploy->plan->shards);
		rc = run(c);
		report(c);
	}
	rest = close_all(c);
	free(c);
	return rc ? rc : rest;
}

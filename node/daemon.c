#include "node/daemon_core.h"

#include "state/mix.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define TICK_US 1000
#define POLL_US 100  /* then what was caused is sent */
#define BUSY_US 2000 /* after a packet the ports are polled without rest for so long, then every millisecond */

uint64_t daemon_clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int daemon_fail(struct daemon *d, int err, const char *what, const char *where, const char *todo)
{
	if (!d->why[0])
		snprintf(d->why, DAEMON_WHY_BYTES, "%.300s, %.100s: %.100s", what, where, todo);
	return err;
}

/* ---- what the core calls ---- */

static struct shard *make_shard(void *ctx, uint64_t shard)
{
	struct daemon *d = ctx;
	return deploy_shard(d->deploy, (uint32_t)shard, mix64(d->node.options.self + shard));
}

static void execute(void *ctx, uint64_t number, struct shard *shard, const struct node_packet *packets, uint32_t n,
		    struct verdict *verdicts)
{
	struct daemon *d = ctx;
	(void)number;
	runner_run(&d->runner, shard, packets, n, verdicts);
	daemon_show(&d->shown.executed, d->shown.executed + n);
}

/* ---- frames ---- */

static void take_roster(struct daemon *d, const struct wire_roster *r)
{
	const char *at = (const char *)r->endpoints.p, *end = at + r->endpoints.n;
	for (uint32_t i = 0; i < r->incarnation.n && at < end; i++) {
		size_t n = strnlen(at, (size_t)(end - at));
		if (at + n == end)
			return;
		uint64_t id = wire_c64(r->incarnation, i);
		if (id != d->node.options.self && n && !quarantine_has(&d->quarantine, id))
			(void)link_connect(d->link, id, at);
		at += n + 1;
	}
}

/* Costs the connection; a peer of the cluster costs it all connections, until it comes back as a new incarnation. */
static void refuse(struct daemon *d, const struct link_reply *reply)
{
	uint64_t id = link_sender(reply);
	link_cut(reply);
	if (!quarantine_bad(&d->quarantine, id))
		return;
	fprintf(stderr, "vfm-node: quarantine, %016" PRIx64 ": it sent what is no frame: start it again\n", id);
	struct wire_message msg = {.kind = WIRE_FAULT, .fault = {0, 0, WIRE_FAULT_BAD_FRAMES, id}};
	outbox_send(&d->node.out, OUTBOX_CONTROLLER, &msg);
	link_disconnect(d->link, id);
	node_gone(&d->node, id, d->now_us);
}

static void on_frame(void *ctx, const uint8_t *frame, size_t bytes, const struct link_reply *reply)
{
	struct daemon *d = ctx;
	struct wire_message msg;
	uint64_t sender = link_sender(reply);
	d->now_us = daemon_clock_us();
	if (quarantine_drops(&d->quarantine, sender)) {
		link_cut(reply);
		return;
	}
	if (wire_decode(frame, bytes, &msg) || (msg.kind != WIRE_COMMAND && (!sender || msg.from != sender))) {
		refuse(d, reply);
		return;
	}
	if (msg.kind == WIRE_COMMAND || msg.kind == WIRE_ROSTER) {
		if (msg.kind == WIRE_COMMAND)
			daemon_ask(d, &msg.command.text, reply);
		else if (msg.plan == d->node.options.plan)
			take_roster(d, &msg.roster);
		return;
	}
	(void)node_frame(&d->node, frame, bytes, d->now_us);
}

static void on_gone(void *ctx, uint64_t id)
{
	struct daemon *d = ctx;
	if (id - OUTBOX_CONTROLLER < d->n_controllers) /* another one may come to the same place */
		(void)link_connect(d->link, id, d->controllers[id - OUTBOX_CONTROLLER]);
	else
		node_gone(&d->node, id, d->now_us);
}

static void on_refused(void *ctx, const char *key, const char *address)
{
	struct daemon *d = ctx;
	uint64_t n = ++d->refused;
	if ((n & (n - 1)) == 0) /* it will try again and again */
		fprintf(stderr, "vfm-node: refused, %s with the key %s: no file in --peers has it (%" PRIu64 " refused)\n", address,
			key, n);
}

static void send_all(struct daemon *d)
{
	struct outbox *o = &d->node.out;
	for (uint32_t i = 0; d->link && i < o->n; i++) {
		const struct outbox_frame *f = &o->frames[i];
		uint32_t copies = f->to == OUTBOX_CONTROLLER ? d->n_controllers : 1;
		for (uint32_t k = 0; k < copies; k++)
			(void)link_send(d->link, f->to + k, o->bytes + f->offset, f->bytes);
	}
	outbox_clear(o);
}

/* All of the endpoints in --controller. */
static int connect_controllers(struct daemon *d)
{
	int err = 0;
	for (const char *at = d->options.controller; at && !err;) {
		size_t n = strcspn(at, ",");
		if (!n || n >= sizeof d->controllers[0] || d->n_controllers == OUTBOX_MAX_CONTROLLERS)
			return daemon_fail(d, -EINVAL, "not a list of at most 8 endpoints", d->options.controller,
					   "give EP or EP,EP to --controller");
		memcpy(d->controllers[d->n_controllers], at, n);
		err = link_connect(d->link, OUTBOX_CONTROLLER + d->n_controllers, d->controllers[d->n_controllers]);
		if (err == -ENOKEY)
			return daemon_fail(d, err, "no key of it is known", d->controllers[d->n_controllers],
					   "give --key and --peers with its public file, named controller, or as EP@NAME");
		if (err)
			return daemon_fail(d, err, strerror(-err), d->controllers[d->n_controllers],
					   "give ipc://PATH or tcp://HOST:PORT to --controller");
		d->n_controllers++;
		at = at[n] ? at + n + 1 : NULL;
	}
	return err;
}

/* Without a controller every shard is born here. */
static void own_everything(struct daemon *d)
{
	uint8_t frame[512];
	for (uint32_t i = 0; i < d->deploy->plan->shards; i++) {
		struct config c = config_birth(i, d->deploy->digest, d->node.options.self);
		struct wire_message msg = {.kind = WIRE_CONFIG, .plan = d->deploy->digest, .from = d->node.options.self};
		config_to_wire(&c, &msg.config);
		int64_t n = wire_encode(&msg, frame, sizeof frame);
		if (n > 0)
			(void)node_frame(&d->node, frame, (size_t)n, d->now_us);
	}
}

/* Flow (docs/protocol.md): what may be on its way to one peer fits its queue. Packets that fly, deltas of packets that fly, their
 * acknowledgements and their verdicts, of all streams of a shard at once; chunks and the requests for them. */
_Static_assert(4 * STEERER_FLYING * WIRE_MAX_STREAMS + 2 * 16 * MEMBER_MAX_CREDIT < LINK_QUEUE_FRAMES, "credits fit the queue");

static int join(struct daemon *d)
{
	const struct daemon_options *o = &d->options;
	struct link_calls calls = {d, on_frame, on_gone, on_refused};
	int err = link_open(&d->link, d->node.options.self, o->endpoint, o->hub, o->keys, &calls);
	if (err == -ENOKEY)
		return daemon_fail(d, err, "on a network without keys", o->endpoint,
				   "give --key and --peers (vfmctl keygen), or ipc or loopback");
	if (err)
		return daemon_fail(d, err, strerror(-err), o->endpoint, "give an endpoint that is free");
	return connect_controllers(d);
}

static int start(struct daemon *d)
{
	const struct daemon_options *o = &d->options;
	struct node_options no = {.plan = d->deploy->digest,
				  .n_shards = d->deploy->plan->shards,
				  .release = o->release,
				  .readable_bytes = d->deploy->readable_bytes,
				  .limits = node_default_limits(),
				  .ops = {make_shard, execute, d},
				  .heartbeat_us = 50000,
				  .roles = (o->owns ? 1 : 0) | (o->capture ? 2 : 0),
				  .process = o->process,
				  .name = o->name,
				  .endpoint = d->told};
	if (o->endpoint && (size_t)snprintf(d->told, sizeof d->told, o->keys ? "%s %s" : "%s", o->endpoint,
					    o->keys ? o->keys->public_key : "") >= sizeof d->told)
		return daemon_fail(d, -EINVAL, "too long", o->endpoint, "give a shorter endpoint");
	while (no.self <= OUTBOX_MAX_CONTROLLERS)
		if (getrandom(&no.self, sizeof no.self, 0) != sizeof no.self)
			return daemon_fail(d, -EIO, "no random numbers", "getrandom", "check the kernel");
	d->readings = (struct readings){.node = &d->node, .program = d->deploy->program};
	int err = runner_init(&d->runner, d->deploy, o->engine);
	if (!err)
		err = node_init(&d->node, &no);
	if (!err && o->endpoint)
		err = join(d);
	if (!err)
		err = daemon_capture_open(d);
	if (!err && !o->controller)
		own_everything(d);
	return err ? daemon_fail(d, err, strerror(-err), "start", "see --help") : 0;
}

int daemon_open(struct daemon **out, const struct daemon_options *o, const struct deploy *deploy, char why[DAEMON_WHY_BYTES])
{
	struct daemon *d = calloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	*d = (struct daemon){.options = *o, .deploy = deploy, .why = why, .now_us = daemon_clock_us()};
	int err = start(d);
	if (err)
		(void)daemon_close(d);
	else
		*out = d;
	return err;
}

int daemon_close(struct daemon *d)
{
	if (!d)
		return 0;
	int err = daemon_capture_close(d);
	link_close(d->link);
	if (live_close(d->live))
		err = daemon_fail(d, -EIO, "could not be written", "verdicts or order", "make room");
	readings_fini(&d->readings);
	node_fini(&d->node);
	runner_fini(&d->runner);
	free(d);
	return err;
}

/* ---- the loop ---- */

static void give_output(struct daemon *d)
{
	if (d->live)
		(void)live_release(d->live, d->now_us);
	else if (d->capture)
		daemon_capture_release(d);
	if (d->probe.armed)
		probe_released(&d->probe, daemon_totals(d).released, daemon_clock_us());
}

/* How long nothing has to be done unless something comes. A port is polled without rest while packets come or are on the way. */
static uint64_t rest_us(const struct daemon *d, uint32_t n_read)
{
	uint64_t next = d->ticked_us + TICK_US;
	if (n_read || (d->live && d->node.n_steerers && (d->now_us - d->arrived_us < BUSY_US || !live_idle(d->live))))
		return 0;
	if (d->pps && d->read < d->allowed && !d->at_end && !d->has_pending && daemon_capture_due_us(d, d->read) < next)
		next = daemon_capture_due_us(d, d->read);
	return next > d->now_us ? next - d->now_us : 1;
}

int daemon_turn(struct daemon *d)
{
	const struct daemon_options *o = &d->options;
	uint32_t n;
	d->now_us = daemon_clock_us();
	if (o->follow && follow_changed(o->follow, d->deploy->digest, d->now_us))
		return daemon_fail(d, -ESTALE, "the cluster has another filter now", o->controller, "start this stream again");
	n = d->live ? daemon_ports_read(d) : d->capture ? daemon_capture_read(d) : 0;
	if (d->link)
		n += (uint32_t)link_poll(d->link, rest_us(d, n), POLL_US);
	d->now_us = daemon_clock_us();
	give_output(d);
	daemon_ask_later(d);
	if (d->now_us - d->ticked_us >= TICK_US) {
		node_tick(&d->node, d->now_us);
		d->ticked_us = d->now_us;
	}
	send_all(d);
	return 0;
}

int daemon_run(const struct daemon_options *o, const struct deploy *deploy, const volatile int *stop,
	       struct daemon_summary *summary, char why[DAEMON_WHY_BYTES])
{
	struct daemon *d = NULL;
	why[0] = 0;
	int err = daemon_open(&d, o, deploy, why), rest;
	if (err)
		return err;
	while (!err && !*stop && !(o->leave && d->capture && daemon_capture_through(d)))
		err = daemon_turn(d);
	d->summary.damaged = d->damaged;
	*summary = d->summary;
	rest = daemon_close(d);
	return err ? err : rest;
}

#include "node/daemon.h"

#include "node/account.h"
#include "node/capture.h"
#include "node/eal_dpdk.h"
#include "node/journal.h"
#include "node/json.h"
#include "node/link.h"
#include "node/live.h"
#include "node/probe.h"
#include "node/reading.h"
#include "node/runner.h"
#include "state/mix.h"
#include "state/quarantine.h"
#include "vm/verdict.h"
#include "vm/vfm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define TICK_US         1000
#define READ_BURST      256 /* over many shards: a few packets in each WORK */
#define POLL_US         100 /* then what was caused is sent */
#define JOURNAL_PACKETS 1024
#define JOURNAL_US      20000
#define BUSY_US         2000 /* after a packet the ports are polled without rest for so long, then every millisecond */
#define DRAIN_US        1000000
#define LINK_US         200000

struct daemon {
	struct daemon_options options;
	const struct deploy *deploy;
	struct runner runner;
	struct node node;
	struct steerer steerer;
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
	/* live ports instead */
	struct io *ports[2];
	struct live *live;
	bool draining, link_up[2];
	uint64_t arrived_us, drain_until_us, looked_us;
	uint64_t pps, paced_us, paced_from; /* so many packets a second since then, after so many; 0: as fast as they are taken */
	/* output */
	FILE *verdicts;
	struct capture_writer *accepted;
	uint64_t journal_us, journal_index, session;
	struct daemon_summary summary;
	char *why;
};

static uint64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int fail(struct daemon *d, int err, const char *what, const char *where, const char *todo)
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
}

static struct vfm_result result_of(struct verdict v)
{
	struct vfm_result r = {.value = v.value};
	if (v.error && v.error <= VERDICT_ERROR_KINDS)
		r.error = verdict_error_code((enum verdict_error_index)(v.error - 1));
	return r;
}

/* ---- what an operator may ask ---- */

/* Of all streams together. */
static struct steerer_counters totals(const struct daemon *d)
{
	struct steerer_counters sum = {0};
	for (uint32_t i = 0; i < d->node.n_steerers; i++) {
		const struct steerer_counters *c = &d->node.steerers[i]->counters;
		sum.released += c->released;
		sum.resent += c->resent;
		sum.lost_released += c->lost_released;
	}
	return sum;
}

/* Nothing more will come, and nothing is on the way. */
static bool is_through(const struct daemon *d)
{
	return d->at_end && !d->has_pending && steerer_idle(&d->steerer);
}

static void add_freezes(json_t *list, const struct steerer *s)
{
	uint64_t n = s->n_freezes, first = n > STEERER_FREEZES ? n - STEERER_FREEZES : 0;
	for (uint64_t i = first; i < n; i++) {
		const struct steerer_freeze *f = &s->freezes[i % STEERER_FREEZES];
		json_array_append_new(list, json_pack("[I,I,I,I]", (json_int_t)f->at_us, (json_int_t)f->shard,
						      (json_int_t)f->frozen_us, (json_int_t)f->silent_us));
	}
}

static json_t *freezes(const struct daemon *d)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < d->node.n_steerers; i++)
		add_freezes(list, d->node.steerers[i]);
	return list;
}

static json_t *progress(const struct daemon *d)
{
	struct steerer_counters sum = totals(d);
	uint64_t opened = 0, delta_bytes = 0, entries = 0, chunk_bytes = 0, snapshots = 0, applied = 0, clock = 0, evictions = 0;
	for (uint32_t i = 0; i < d->node.options.n_shards; i++) {
		const struct member *m = &d->node.members[i];
		opened += m->owner.opened;
		delta_bytes += m->counters.delta_bytes_sent;
		entries += m->counters.chunk_entries_sent;
		chunk_bytes += m->counters.chunk_bytes_sent;
		snapshots += m->counters.snapshots_taken;
		applied += d->node.applied[i];
		if (m->owner.opened && m->copy->shard->clock_us > clock)
			clock = m->copy->shard->clock_us;
		evictions += m->owner.opened ? m->copy->counters[SIGMA_EVICTIONS] : 0;
	}
	return json_pack("{s:I,s:I,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "read", (json_int_t)d->read,
			 "released", (json_int_t)sum.released, "end", (int)is_through(d), "opened", (json_int_t)opened,
			 "delta_bytes", (json_int_t)delta_bytes, "entries_moved", (json_int_t)entries, "bytes_moved",
			 (json_int_t)chunk_bytes, "snapshots", (json_int_t)snapshots, "applied", (json_int_t)applied, "clock_us",
			 (json_int_t)clock, "evictions", (json_int_t)evictions, "resent", (json_int_t)sum.resent, "lost_released",
			 (json_int_t)sum.lost_released, "queue_full", (json_int_t)(d->link ? link_queue_full(d->link) : 0),
			 "bad_frames", (json_int_t)d->quarantine.bad_frames, "dropped_frames",
			 (json_int_t)d->quarantine.dropped_frames, "now_us", (json_int_t)clock_us(), "freezes", freezes(d));
}

/* What has come out, and how long packets waited since this was last asked. */
static json_t *sample(struct daemon *d)
{
	json_t *o = json_pack("{s:I,s:I,s:I,s:I,s:I}", "now_us", (json_int_t)clock_us(), "released", (json_int_t)totals(d).released,
			      "waits", (json_int_t)d->probe.n, "wait_sum_us", (json_int_t)d->probe.sum_us, "wait_max_us",
			      (json_int_t)d->probe.max_us);
	probe_reset(&d->probe);
	return o;
}

/* Waits since the start: [least microseconds, packets] of every bucket that holds any. */
static json_t *waits(const struct daemon *d)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < PROBE_BUCKETS; i++)
		if (d->waits.n[i])
			json_array_append_new(list, json_pack("[I,I]", (json_int_t)probe_bucket_us(i), (json_int_t)d->waits.n[i]));
	return json_pack("{s:o}", "waits", list);
}

static uint64_t number_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static json_t *go(struct daemon *d, uint64_t upto, uint64_t pps)
{
	d->allowed = upto;
	d->pps = pps;
	d->paced_us = clock_us();
	d->paced_from = d->read;
	return json_pack("{s:b}", "done", 1);
}

/* NULL: the answer comes when what is read is committed. */
static char *read_state(struct daemon *d, const json_t *o, const struct link_reply *reply)
{
	char *said = NULL;
	if (json_object_get(o, "reading"))
		said = readings_page(&d->readings, number_of(o, "reading"), number_of(o, "offset"), d->now_us);
	else if (readings_begin(&d->readings, number_of(o, "shard"), reply, sizeof *reply, d->now_us) == 0)
		return NULL;
	return said ? said : strdup("{\"busy\":\"not owned here, or too many readers\"}");
}

static char *command(struct daemon *d, const struct wire_bytes *text, const struct link_reply *reply)
{
	json_t *o = json_loadb((const char *)text->p, text->n, 0, NULL), *answer = NULL;
	const char *what = json_string_value(json_object_get(o, "command"));
	char *said = NULL;
	if (what && strcmp(what, "progress") == 0)
		answer = progress(d);
	else if (what && strcmp(what, "account") == 0)
		said = account_write(&d->node);
	else if (what && strcmp(what, "sample") == 0)
		answer = sample(d);
	else if (what && strcmp(what, "waits") == 0)
		answer = waits(d);
	else if (what && strcmp(what, "go") == 0)
		answer = go(d, number_of(o, "upto"), number_of(o, "pps"));
	else if (what && strcmp(what, "read") == 0)
		said = read_state(d, o, reply);
	else
		answer = json_pack("{s:s}", "error", "no such command");
	if (answer)
		said = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	json_decref(o);
	return said;
}

/* Frees said. */
static void answer(struct daemon *d, char *said, const struct link_reply *reply)
{
	struct wire_message msg = {.kind = WIRE_ANSWER, .from = d->node.options.self};
	if (!said)
		return;
	msg.answer.text = (struct wire_bytes){(const uint8_t *)said, (uint32_t)strlen(said)};
	size_t room = wire_bound(&msg);
	uint8_t *frame = malloc(room);
	int64_t n = frame ? wire_encode(&msg, frame, room) : -1;
	if (n > 0)
		(void)link_answer(d->link, reply, frame, (size_t)n);
	free(frame);
	free(said);
}

static void answer_readers(struct daemon *d)
{
	struct link_reply reply;
	char *said;
	while (readings_next(&d->readings, &reply, sizeof reply, &said, d->now_us))
		answer(d, said, &reply);
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
	d->now_us = clock_us();
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
			answer(d, command(d, &msg.command.text, reply), reply);
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

/* ---- input ---- */

/* A packet that the guard refuses belongs to no shard in particular. */
static uint32_t shard_of(const struct daemon *d, const struct vfm_packet *p)
{
	const struct plan *plan = d->deploy->plan;
	return plan->shards > 1 && plan_guard_holds(plan, p) ? plan_shard(plan, p) : 0;
}

/* When packet number `index` may be read. */
static uint64_t due_us(const struct daemon *d, uint64_t index)
{
	return d->pps ? d->paced_us + (index - d->paced_from) * 1000000 / d->pps : 0;
}

static bool fetch(struct daemon *d)
{
	if (d->has_pending)
		return true;
	if (!d->capture || d->at_end || d->read >= d->allowed || due_us(d, d->read) > d->now_us)
		return false;
	int rc = capture_next(d->capture, &d->pending);
	if (rc != 1) {
		d->at_end = true;
		d->damaged = rc < 0;
		return false;
	}
	d->has_pending = true;
	d->pending_shard = shard_of(d, &d->pending);
	return true;
}

static uint32_t read_burst(struct daemon *d)
{
	uint32_t n = 0;
	if (d->has_pending && d->steerer.flying > STEERER_FLYING / 2)
		return 0; /* once there was no room: until there is some for a burst worth sending */
	for (; n < READ_BURST && fetch(d); n++) {
		const struct vfm_packet *p = &d->pending;
		uint32_t carried = p->len < d->deploy->readable_bytes ? p->len : d->deploy->readable_bytes;
		struct node_packet packet = {p->time_us, p->input, p->len, carried, p->data};
		if (steerer_packet(&d->steerer, d->pending_shard, &packet, d->now_us))
			break;
		d->has_pending = false;
		d->read++;
		probe_read(&d->probe, d->steerer.counters.packets, d->now_us);
	}
	node_flush(&d->node, d->now_us);
	return n;
}

/* Packets read since the last call; they are on their way by then. */
static uint32_t take_input(struct daemon *d)
{
	if (d->capture)
		return read_burst(d);
	if (!d->live || d->draining)
		return 0;
	uint32_t n = live_read(d->live, d->allowed - d->read, d->now_us);
	if (n) {
		probe_read(&d->probe, d->read + 1, d->now_us);
		d->arrived_us = d->now_us;
	}
	d->read += n;
	node_flush(&d->node, d->now_us);
	return n;
}

/* Counts what an earlier session has settled. */
static int skip_settled(struct daemon *d, uint64_t index)
{
	while (d->read < index) {
		d->allowed = UINT64_MAX;
		if (!fetch(d))
			return fail(d, -EINVAL, "the journal is ahead of the capture", d->options.journal,
				    "remove it to begin anew");
		steerer_skip(&d->steerer, d->pending_shard);
		d->has_pending = false;
		d->read++;
	}
	return 0;
}

/* ---- output ---- */

static void count(struct daemon *d, const struct vfm_result *r)
{
	struct daemon_summary *s = &d->summary;
	s->packets++;
	s->errors += r->error != 0;
	s->accept += !r->error && r->value;
	s->log += !r->error && r->value > 1;
	s->drop += !r->error && !r->value;
}

/* Outputs first, then the journal that counts on them. */
static void write_journal(struct daemon *d, uint64_t index)
{
	struct journal j = {.index = index, .session = d->session};
	if (d->verdicts && (fflush(d->verdicts) || fdatasync(fileno(d->verdicts))))
		return; /* a full disk: nothing is acknowledged, the window fills, the input waits */
	if (d->accepted && capture_sync(d->accepted, &j.accepted))
		return;
	j.verdicts = d->verdicts ? (uint64_t)ftell(d->verdicts) : 0;
	if (journal_write(d->options.journal, &j))
		return;
	d->journal_index = index;
	d->journal_us = d->now_us;
	steerer_durable(&d->steerer, index);
}

static void release(struct daemon *d)
{
	struct steerer_release r;
	while (steerer_next(&d->steerer, &r, d->now_us)) {
		struct vfm_result result = result_of(r.verdict);
		struct vfm_packet packet = {.data = r.packet.data, .len = r.packet.length, .time_us = r.packet.time_us};
		count(d, &result);
		probe_wait(&d->waits, r.waited_us);
		if (d->verdicts)
			(void)verdict_write(d->verdicts, &result);
		if (d->accepted && !result.error && result.value)
			capture_write(d->accepted, &packet);
		uint64_t now = d->options.journal ? steerer_settled(&d->steerer) : 0;
		if (now >= d->journal_index + JOURNAL_PACKETS && now == d->steerer.release)
			write_journal(d, now); /* the files hold exactly the packets before it */
	}
	uint64_t settled = steerer_settled(&d->steerer);
	if (!d->options.journal)
		steerer_durable(&d->steerer, settled);
	else if (settled > d->journal_index && settled == d->steerer.release &&
		 (d->now_us - d->journal_us >= JOURNAL_US || d->at_end))
		write_journal(d, settled);
}

static void give_output(struct daemon *d)
{
	if (d->live)
		(void)live_release(d->live, d->now_us);
	else if (d->capture)
		release(d);
	if (d->probe.armed)
		probe_released(&d->probe, totals(d).released, clock_us());
}

static int open_output(struct daemon *d, uint64_t *index)
{
	const struct daemon_options *o = &d->options;
	char error[CAPTURE_ERROR_BYTES];
	struct journal j = {0};
	int err = o->journal ? journal_read(o->journal, &j) : -ENOENT;
	if (err && err != -ENOENT)
		return fail(d, err, err == -EINVAL ? "not a journal" : strerror(-err), o->journal, "remove it to begin anew");
	d->session = j.session + 1;
	d->journal_index = *index = j.index;
	if (o->verdicts) {
		d->verdicts = fopen(o->verdicts, *index ? "r+" : "w");
		if (!d->verdicts || ftruncate(fileno(d->verdicts), (off_t)j.verdicts) ||
		    fseek(d->verdicts, (long)j.verdicts, SEEK_SET))
			return fail(d, -EIO, strerror(errno), o->verdicts, "give a file that can be written");
	}
	if (o->accepted && *index && !j.accepted)
		return fail(d, -EINVAL, "the journal is of a run without --out", o->journal, "remove it to begin anew");
	if (o->accepted && (*index ? capture_reopen(o->accepted, j.accepted, &d->accepted, error)
				   : capture_create(o->accepted, &d->accepted, error)))
		return fail(d, -EIO, error, o->accepted, "give a file that can be written");
	return 0;
}

/* ---- start and end ---- */

static int open_input(struct daemon *d)
{
	const struct daemon_options *o = &d->options;
	struct steerer_options so = {.stream = o->stream,
				     .early = o->release == RELEASE_EARLY,
				     .whole = o->accepted != NULL,
				     .n_shards = d->deploy->plan->shards,
				     .window = o->window,
				     .shard_window = SIGMA_MAX_TAIL,
				     .burst = READ_BURST,
				     .flying = STEERER_FLYING,
				     .repeat_us = d->node.options.limits.repeat_us};
	char error[CAPTURE_ERROR_BYTES];
	uint64_t index;
	if (!o->capture)
		return 0;
	int err = open_output(d, &index);
	so.session = d->session;
	if (!err && capture_open(o->capture, &d->capture, error))
		err = fail(d, -EINVAL, error, o->capture, "give a capture");
	if (!err)
		err = steerer_init(&d->steerer, &so, &d->node.out);
	if (err)
		return err;
	err = node_add_steerer(&d->node, &d->steerer);
	if (!err)
		err = skip_settled(d, index);
	d->allowed = o->stop_at;
	return err;
}

/* The sockets' threads are there already: DPDK binds only this one to its core. */
static int open_live(struct daemon *d)
{
	const struct daemon_options *o = &d->options;
	struct ports_options ports = o->ports;
	char error[IO_ERROR_BYTES];
	ports.cores = 1;
	ports.held_pkts = (o->ports.queues ? o->ports.queues : 1) * (LIVE_WINDOW_PKTS + IO_BURST_PACKETS);
	int err = eal_start("vfm-node", o->dpdk, error);
	if (!err)
		err = ports_open(&ports, d->ports, error);
	if (!err) {
		struct live_config config = {{d->ports[0], d->ports[1]}, ports.one_way, LIVE_WINDOW_PKTS, o->verdicts, o->order};
		err = live_open(&config, &d->node, d->deploy->plan, &d->live, error);
	}
	if (err) {
		snprintf(d->why, DAEMON_WHY_BYTES, "%.*s", DAEMON_WHY_BYTES - 1, error);
		return err;
	}
	d->allowed = o->stop_at;
	d->arrived_us = d->now_us;
	d->link_up[0] = d->link_up[1] = true; /* a link that is down is told at once */
	fprintf(stderr, "vfm-node: running, %s %s %s: %u streams, %u shards\n", d->ports[0]->name, ports.one_way ? "->" : "<->",
		d->ports[1]->name, d->node.n_steerers, d->deploy->plan->shards);
	return 0;
}

/* All of the endpoints in --controller. */
static int connect_controllers(struct daemon *d)
{
	int err = 0;
	for (const char *at = d->options.controller; at && !err;) {
		size_t n = strcspn(at, ",");
		if (!n || n >= sizeof d->controllers[0] || d->n_controllers == OUTBOX_MAX_CONTROLLERS)
			return fail(d, -EINVAL, "not a list of at most 8 endpoints", d->options.controller,
				    "give EP or EP,EP to --controller");
		memcpy(d->controllers[d->n_controllers], at, n);
		err = link_connect(d->link, OUTBOX_CONTROLLER + d->n_controllers, d->controllers[d->n_controllers]);
		if (err == -ENOKEY)
			return fail(d, err, "no key of it is known", d->controllers[d->n_controllers],
				    "give --key and --peers with its public file, named controller, or as EP@NAME");
		if (err)
			return fail(d, err, strerror(-err), d->controllers[d->n_controllers],
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
	int err = link_open(&d->link, d->node.options.self, o->endpoint, o->keys, &calls);
	if (err == -ENOKEY)
		return fail(d, err, "on a network without keys", o->endpoint,
			    "give --key and --peers (vfmctl keygen), or ipc or loopback");
	if (err)
		return fail(d, err, strerror(-err), o->endpoint, "give an endpoint that is free");
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
				  .roles = (o->owns ? 1 : 0) | (o->capture || o->dpdk ? 2 : 0),
				  .name = o->name,
				  .endpoint = d->told};
	if (o->endpoint && (size_t)snprintf(d->told, sizeof d->told, o->keys ? "%s %s" : "%s", o->endpoint,
					    o->keys ? o->keys->public_key : "") >= sizeof d->told)
		return fail(d, -EINVAL, "too long", o->endpoint, "give a shorter endpoint");
	while (no.self <= OUTBOX_MAX_CONTROLLERS)
		if (getrandom(&no.self, sizeof no.self, 0) != sizeof no.self)
			return fail(d, -EIO, "no random numbers", "getrandom", "check the kernel");
	d->readings = (struct readings){.node = &d->node, .program = d->deploy->program};
	int err = runner_init(&d->runner, d->deploy, o->engine);
	if (!err)
		err = node_init(&d->node, &no);
	if (!err && o->endpoint)
		err = join(d);
	if (!err)
		err = o->dpdk ? open_live(d) : open_input(d);
	if (!err && !o->controller)
		own_everything(d);
	return err ? fail(d, err, strerror(-err), "start", "see --help") : 0;
}

static int finish(struct daemon *d)
{
	int err = 0;
	if (d->verdicts && fclose(d->verdicts))
		err = fail(d, -EIO, strerror(errno), d->options.verdicts, "make room");
	if (capture_finish(d->accepted))
		err = fail(d, -EIO, "could not be written", d->options.accepted, "make room");
	link_close(d->link);
	if (d->live && d->options.report)
		d->options.json ? live_report_json(d->live, d->options.report) : live_report_print(d->live, d->options.report);
	if (live_close(d->live))
		err = fail(d, -EIO, "could not be written", d->options.verdicts ? d->options.verdicts : d->options.order,
			   "make room");
	for (uint32_t i = 0; i < 2; i++)
		(void)io_close(d->ports[i]);
	if (d->options.dpdk)
		eal_stop();
	steerer_fini(&d->steerer);
	if (d->capture)
		capture_close(d->capture);
	readings_fini(&d->readings);
	node_fini(&d->node);
	runner_fini(&d->runner);
	return err;
}

static bool at_end(const struct daemon *d)
{
	if (d->live)
		return (d->options.stop_after_ms && live_idle(d->live) &&
			d->now_us - d->arrived_us >= d->options.stop_after_ms * 1000ull) ||
		       (d->draining && (live_idle(d->live) || d->now_us >= d->drain_until_us));
	return d->options.leave && d->capture && is_through(d);
}

/* No packet is taken any more, and those that are on the way have a second. */
static bool goes_on(struct daemon *d, const volatile int *stop)
{
	if (!*stop)
		return true;
	if (d->live && !d->draining) {
		d->draining = true;
		d->drain_until_us = d->now_us + DRAIN_US;
	}
	return d->live != NULL;
}

/* What people want to know of live ports while packets flow. */
static void look(struct daemon *d)
{
	volatile sig_atomic_t *asked = d->options.print_asked;
	if (d->now_us - d->looked_us >= LINK_US) {
		ports_watch(d->ports, d->link_up, stderr);
		d->looked_us = d->now_us;
	}
	if (asked && *asked) {
		*asked = 0;
		live_report_print(d->live, stderr);
	}
}

/* How long nothing has to be done unless something comes. A port is polled without rest while packets come or are on the way. */
static uint64_t rest_us(const struct daemon *d, uint32_t n_read)
{
	uint64_t next = d->ticked_us + TICK_US;
	if (n_read || (d->live && (d->now_us - d->arrived_us < BUSY_US || !live_idle(d->live))))
		return 0;
	if (d->pps && d->read < d->allowed && !d->at_end && !d->has_pending && due_us(d, d->read) < next)
		next = due_us(d, d->read);
	return next > d->now_us ? next - d->now_us : 1;
}

int daemon_run(const struct daemon_options *o, const struct deploy *deploy, const volatile int *stop,
	       struct daemon_summary *summary, char why[DAEMON_WHY_BYTES])
{
	struct daemon *d = calloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	*d = (struct daemon){.options = *o, .deploy = deploy, .why = why, .now_us = clock_us()};
	why[0] = 0;
	int err = start(d), rest;
	while (!err && goes_on(d, stop) && !at_end(d)) {
		d->now_us = clock_us();
		if (o->follow && follow_changed(o->follow, deploy->digest, d->now_us))
			err = fail(d, -ESTALE, "the cluster has another filter now", o->controller, "start this stream again");
		uint32_t n = take_input(d);
		if (d->link)
			n += (uint32_t)link_poll(d->link, rest_us(d, n), POLL_US);
		d->now_us = clock_us();
		give_output(d);
		if (d->live)
			look(d);
		answer_readers(d);
		if (d->now_us - d->ticked_us >= TICK_US) {
			node_tick(&d->node, d->now_us);
			d->ticked_us = d->now_us;
		}
		send_all(d);
	}
	d->summary.damaged = d->damaged;
	*summary = d->summary;
	rest = finish(d);
	free(d);
	return err ? err : rest;
}

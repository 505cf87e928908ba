#include "controller/server.h"

#include "controller/gate.h"
#include "controller/json.h"
#include "controller/notice.h"

#include "state/quarantine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define TICK_US 2000

struct server {
	struct server_options options;
	struct reconciler reconciler;
	struct store store;
	struct gate *gate;
	struct quarantine quarantine;
	uint64_t refused; /* connections with keys that are no peer's */
	struct notice notice;
	uint64_t now_us, ticked_us;
	bool urgent; /* something happened that should not wait for the next tick */
};

static uint64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void send_frame(void *ctx, uint64_t to, struct wire_message *msg)
{
	struct server *s = ctx;
	msg->plan = s->options.plan;
	msg->from = s->reconciler.options.self;
	size_t room = wire_bound(msg);
	uint8_t *frame = malloc(room);
	int64_t n = frame ? wire_encode(msg, frame, room) : -1;
	if (n > 0)
		(void)gate_send(s->gate, to, frame, (size_t)n);
	free(frame);
}

/* ---- what vfmctl asks ---- */

static json_t *hex(uint64_t id)
{
	char text[20];
	snprintf(text, sizeof text, "%016" PRIx64, id);
	return json_string(text);
}

static json_t *named(const struct server *s, uint64_t id)
{
	const struct reconciler_node *n = reconciler_node(&s->reconciler, id);
	return n && n->name[0] ? json_string(n->name) : hex(id);
}

static json_t *nodes_json(const struct server *s)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++) {
		const struct reconciler_node *n = &s->reconciler.nodes[i];
		uint64_t owned = 0, load = 0;
		if (!n->id)
			continue;
		for (uint32_t k = 0; k < s->options.n_shards; k++) {
			owned += s->reconciler.shards[k].config.owner == n->id;
			load += n->load[k];
		}
		json_array_append_new(list,
				      json_pack("{s:s,s:o,s:s,s:b,s:b,s:b,s:b,s:b,s:I,s:I,s:I}", "name", n->name, "incarnation",
						hex(n->id), "endpoint", n->endpoint, "owns", (int)(n->roles & 1), "steers",
						(int)((n->roles & 2) != 0), "suspected", (int)n->suspected, "dead", (int)n->dead,
						"quarantined", (int)n->quarantined, "shards", (json_int_t)owned, "packets",
						(json_int_t)load, "silent_us", (json_int_t)(s->now_us - n->heard_us)));
	}
	return list;
}

static json_t *shards_json(const struct server *s)
{
	json_t *list = json_array();
	for (uint32_t k = 0; k < s->options.n_shards; k++) {
		const struct config *c = &s->reconciler.shards[k].config;
		json_t *in_sync = json_array(), *ids = json_array();
		if (!c->epoch) {
			json_decref(in_sync);
			json_decref(ids);
			continue;
		}
		for (uint32_t i = 0; i < c->n_in_sync; i++) {
			json_array_append_new(in_sync, named(s, c->in_sync[i]));
			json_array_append_new(ids, hex(c->in_sync[i]));
		}
		json_array_append_new(list, json_pack("{s:I,s:I,s:I,s:o,s:o,s:b,s:o,s:o}", "shard", (json_int_t)k, "epoch",
						      (json_int_t)c->epoch, "history", (json_int_t)c->history, "owner",
						      named(s, c->owner), "incarnation", hex(c->owner), "sealed", (int)c->sealed,
						      "in_sync", in_sync, "in_sync_incarnations", ids));
	}
	return list;
}

static json_t *counters_json(const struct server *s)
{
	const struct reconciler_counters *c = &s->reconciler.counters;
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "moves", (json_int_t)c->moves, "promotions",
			 (json_int_t)c->promotions, "losses", (json_int_t)c->losses, "adds", (json_int_t)c->adds, "removes",
			 (json_int_t)c->removes, "conflicts", (json_int_t)c->conflicts, "refused", (json_int_t)c->refused, "faults",
			 (json_int_t)c->faults);
}

static json_t *events_json(const struct server *s)
{
	static const char *const steps[] = {"FAULT",    "renewed",      "replica added", "replica removed",
					    "promoted", "HISTORY LOST", "unsealed"};
	const struct reconciler *r = &s->reconciler;
	json_t *list = json_array();
	for (uint64_t i = r->n_events > RECONCILER_EVENTS ? r->n_events - RECONCILER_EVENTS : 0; i < r->n_events; i++) {
		const struct reconciler_event *e = &r->events[i % RECONCILER_EVENTS];
		json_array_append_new(list, json_pack("{s:I,s:I,s:I,s:s,s:b,s:o,s:s,s:I}", "at_us", (json_int_t)e->at_us, "shard",
						      (json_int_t)e->shard, "epoch", (json_int_t)e->epoch, "what", steps[e->step],
						      "planned", (int)e->planned, "node", named(s, e->who), "why",
						      e->what ? notice_fault(e->what) : "", "detail", (json_int_t)e->detail));
	}
	return list;
}

static json_t *done(int err)
{
	return err ? json_pack("{s:s}", "error",
			       err == -EAGAIN   ? "another controller was faster, try again"
			       : err == -ENOSPC ? "the store has no room"
			       : err == -EIO    ? "the store does not answer"
						: strerror(-err))
		   : json_pack("{s:b}", "done", 1);
}

static json_t *obey(struct server *s, const json_t *o)
{
	const char *what = json_string_value(json_object_get(o, "command")), *node = json_string_value(json_object_get(o, "node"));
	json_int_t n = json_integer_value(json_object_get(o, "n"));
	s->urgent = true;
	if (!what)
		return json_pack("{s:s}", "error", "no command");
	if (strcmp(what, "status") == 0)
		return json_pack("{s:I,s:b,s:s,s:I,s:I,s:o,s:o,s:o}", "shards_total", (json_int_t)s->options.n_shards, "leads",
				 (int)s->reconciler.leads, "store", notice_store(s->reconciler.store_err), "bad_frames",
				 (json_int_t)s->quarantine.bad_frames, "dropped_frames", (json_int_t)s->quarantine.dropped_frames,
				 "nodes", nodes_json(s), "shards", shards_json(s), "counters", counters_json(s));
	if (strcmp(what, "events") == 0)
		return json_pack("{s:o}", "events", events_json(s));
	if (strcmp(what, "move") == 0 && node)
		return done(reconciler_move(&s->reconciler, (uint64_t)json_integer_value(json_object_get(o, "shard")), node));
	if (strcmp(what, "drain") == 0 && node)
		return done(reconciler_drain(&s->reconciler, node, !json_is_false(json_object_get(o, "on"))));
	if (strcmp(what, "scale") == 0)
		return done(reconciler_scale(&s->reconciler, n));
	if (strcmp(what, "fence") == 0 && node)
		return done(reconciler_dead(&s->reconciler, strtoull(node, NULL, 16), s->now_us));
	return json_pack("{s:s}", "error", "no such command");
}

static void answer(struct server *s, const struct wire_bytes *asked, const struct gate_reply *reply)
{
	json_t *o = json_loadb((const char *)asked->p, asked->n, 0, NULL), *said = obey(s, o);
	char *text = said ? json_dumps(said, JSON_COMPACT) : NULL;
	struct wire_message msg = {.kind = WIRE_ANSWER};
	if (text) {
		msg.answer.text = (struct wire_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
		size_t room = wire_bound(&msg);
		uint8_t *frame = malloc(room);
		int64_t n = frame ? wire_encode(&msg, frame, room) : -1;
		if (n > 0)
			(void)gate_answer(s->gate, reply, frame, (size_t)n);
		free(frame);
	}
	free(text);
	json_decref(said);
	json_decref(o);
}

/* ---- frames ---- */

/* Costs the connection; a node costs it its place in the cluster, until it comes back as a new incarnation. */
static void refuse(struct server *s, const struct gate_reply *reply)
{
	uint64_t id = gate_sender(reply);
	gate_cut(reply);
	if (!quarantine_bad(&s->quarantine, id))
		return;
	reconciler_accuse(&s->reconciler, id, s->reconciler.options.self, s->now_us);
	gate_disconnect(s->gate, id);
	s->urgent = true;
}

static void on_frame(void *ctx, const uint8_t *frame, size_t bytes, const struct gate_reply *reply)
{
	struct server *s = ctx;
	struct wire_message msg;
	s->now_us = clock_us(); /* the step before may have waited for the store: nobody was silent meanwhile */
	uint64_t sender = gate_sender(reply);
	if (quarantine_drops(&s->quarantine, sender)) {
		gate_cut(reply);
		return;
	}
	if (wire_decode(frame, bytes, &msg) || (msg.kind != WIRE_COMMAND && (!sender || msg.from != sender))) {
		refuse(s, reply);
		return;
	}
	if (msg.kind == WIRE_COMMAND) {
		answer(s, &msg.command.text, reply);
		return;
	}
	if (msg.plan != s->options.plan) {
		fprintf(stderr,
			"vfm-controller: another plan, %016" PRIx64 " instead of %016" PRIx64 " from %016" PRIx64
			": start the node with the same filter and options\n",
			msg.plan, s->options.plan, msg.from);
		return;
	}
	reconciler_message(&s->reconciler, &msg, s->now_us);
	if (msg.kind == WIRE_REPORT) {
		const struct reconciler_node *n = reconciler_node(&s->reconciler, msg.from);
		if (n && n->endpoint[0])
			(void)gate_connect(s->gate, n->id, n->endpoint);
	}
	s->urgent |= msg.kind == WIRE_ASK;
}

static void on_gone(void *ctx, uint64_t id)
{
	struct server *s = ctx;
	reconciler_gone(&s->reconciler, id, s->now_us);
	s->urgent = true;
}

static void on_refused(void *ctx, const char *key, const char *address)
{
	struct server *s = ctx;
	uint64_t n = ++s->refused;
	if ((n & (n - 1)) == 0) /* it will try again and again */
		fprintf(stderr, "vfm-controller: refused, %s with the key %s: no file in --peers has it (%" PRIu64 " refused)\n",
			address, key, n);
}

int server_run(const struct server_options *o, const volatile int *stop, char why[SERVER_WHY_BYTES])
{
	struct server *s = calloc(1, sizeof *s);
	struct gate_calls calls = {s, on_frame, on_gone, on_refused};
	const char *reason = "out of memory";
	if (!s)
		return -ENOMEM;
	s->options = *o;
	s->now_us = clock_us();
	int err = o->store ? store_open_sqlite(&s->store, o->store, &reason) : store_open_memory(&s->store);
	if (err)
		snprintf(why, SERVER_WHY_BYTES, "%s, %s: give another file with --store", reason, o->store ? o->store : "memory");
	struct reconciler_options ro = {.plan = o->plan,
					.n_shards = o->n_shards,
					.standbys = o->standbys,
					.lease_us = o->lease_us,
					.repeat_us = 50000,
					.loss_us = o->loss_us,
					.leader_ms = 1000,
					.min_nodes = o->min_nodes};
	if (!err && getrandom(&ro.self, sizeof ro.self, 0) != sizeof ro.self)
		err = -EIO;
	if (!err) {
		err = gate_open(&s->gate, ro.self, o->endpoint, o->keys, &calls);
		if (err == -ENOKEY)
			snprintf(why, SERVER_WHY_BYTES,
				 "on a network without keys, %s: give --key and --peers (vfmctl keygen), or ipc or loopback",
				 o->endpoint);
		else if (err)
			snprintf(why, SERVER_WHY_BYTES, "%s, %s: give an endpoint that is free", strerror(-err), o->endpoint);
	}
	if (!err)
		err = reconciler_init(&s->reconciler, &ro, &s->store, (struct reconciler_out){s, send_frame}, s->now_us);
	while (!err && !*stop) {
		(void)gate_poll(s->gate, 1, 512);
		s->now_us = clock_us();
		if (s->urgent || s->now_us - s->ticked_us >= TICK_US) {
			s->urgent = false;
			s->ticked_us = s->now_us;
			reconciler_tick(&s->reconciler, s->now_us);
			notice_print(&s->notice, &s->reconciler, o->store ? o->store : "memory", s->now_us, stderr);
		}
	}
	reconciler_fini(&s->reconciler);
	gate_close(s->gate);
	if (s->store.close)
		s->store.close(s->store.ctx);
	free(s);
	return err;
}

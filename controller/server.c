#include "controller/server.h"

#include "controller/gate.h"
#include "controller/json.h"
#include "controller/notice.h"
#include "controller/plan_store.h"

#include "state/quarantine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define TICK_US   2000
#define STRANGERS 16 /* told of once each */

struct server {
	struct server_options options;
	struct deploy deploy;   /* the store's plan; program NULL: none is loaded */
	uint64_t plan_revision; /* of its record */
	uint64_t store_revision, self;
	uint64_t strangers[STRANGERS], n_strangers; /* peers with another plan */
	struct reconciler reconciler;
	struct store store;
	struct gate *gate;
	struct quarantine quarantine;
	uint64_t refused; /* connections with keys that are no peer's */
	struct notice notice;
	uint64_t now_us, ticked_us;
	bool failed; /* out of memory */
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
	msg->plan = s->deploy.digest;
	msg->from = s->self;
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

/* Those that the store has, and that have not reported to this controller: gone, perhaps, with streams that are still registered. */
static void add_silent_steerers(const struct server *s, json_t *list)
{
	const struct reconciler *r = &s->reconciler;
	for (uint32_t i = 0; i < r->n_steerers; i++)
		if (!reconciler_node(r, r->steerers[i]))
			json_array_append_new(list,
					      json_pack("{s:s,s:o,s:o,s:s,s:b,s:b,s:b,s:b,s:b,s:I,s:I,s:I}", "name",
							r->steerer_names[i], "incarnation", hex(r->steerers[i]), "process",
							hex(r->steerers[i]), "endpoint", "", "owns", 0, "steers", 1, "suspected", 1,
							"dead", 0, "quarantined", 0, "shards", (json_int_t)0, "packets",
							(json_int_t)0, "silent_us", (json_int_t)(s->now_us - r->started_us)));
}

static json_t *nodes_json(const struct server *s)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++) {
		const struct reconciler_node *n = &s->reconciler.nodes[i];
		uint64_t owned = 0, load = 0;
		if (!n->id)
			continue;
		for (uint32_t k = 0; k < s->deploy.plan->shards; k++) {
			owned += s->reconciler.shards[k].config.owner == n->id;
			load += n->load[k];
		}
		json_array_append_new(
			list, json_pack("{s:s,s:o,s:o,s:s,s:b,s:b,s:b,s:b,s:b,s:I,s:I,s:I}", "name", n->name, "incarnation",
					hex(n->id), "process", hex(n->process), "endpoint", n->endpoint, "owns",
					(int)(n->roles & 1), "steers", (int)((n->roles & 2) != 0), "suspected", (int)n->suspected,
					"dead", (int)n->dead, "quarantined", (int)n->quarantined, "shards", (json_int_t)owned,
					"packets", (json_int_t)load, "silent_us", (json_int_t)(s->now_us - n->heard_us)));
	}
	add_silent_steerers(s, list);
	return list;
}

static json_t *shards_json(const struct server *s)
{
	json_t *list = json_array();
	for (uint32_t k = 0; k < s->deploy.plan->shards; k++) {
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
		json_array_append_new(list, json_pack("{s:I,s:I,s:I,s:o,s:o,s:b,s:b,s:o,s:o}", "shard", (json_int_t)k, "epoch",
						      (json_int_t)c->epoch, "history", (json_int_t)c->history, "owner",
						      named(s, c->owner), "incarnation", hex(c->owner), "sealed", (int)c->sealed,
						      "same_process", (int)reconciler_shares_fate(&s->reconciler, k), "in_sync",
						      in_sync, "in_sync_incarnations", ids));
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

/* ---- the plan ---- */

/* Takes d over: every shard begins anew. */
static int set_plan(struct server *s, struct deploy *d, uint64_t revision)
{
	const struct server_options *o = &s->options;
	struct reconciler_options ro = {.self = s->self,
					.plan = d->digest,
					.n_shards = d->plan->shards,
					.standbys = o->standbys,
					.lease_us = o->lease_us,
					.repeat_us = 50000,
					.loss_us = o->loss_us,
					.leader_ms = 1000,
					.min_nodes = o->min_nodes};
	reconciler_fini(&s->reconciler);
	deploy_close(&s->deploy);
	s->deploy = *d;
	s->plan_revision = revision;
	s->notice = (struct notice){0};
	int err = reconciler_init(&s->reconciler, &ro, &s->store, (struct reconciler_out){s, send_frame}, s->now_us);
	s->failed = err != 0;
	return err;
}

/* Takes the store's plan. -ENOENT: it has none. */
static int read_plan(struct server *s, char why[SERVER_WHY_BYTES])
{
	struct deploy d;
	char *text;
	uint64_t revision;
	int err = plan_store_read(&s->store, &text, &revision);
	if (!err)
		err = deploy_decode(&d, text, strlen(text), why);
	else if (err != -ENOENT)
		snprintf(why, SERVER_WHY_BYTES, "%s, the store's plan: is the file damaged?", strerror(-err));
	if (!err)
		err = set_plan(s, &d, revision);
	free(text);
	return err;
}

static int write_plan(struct server *s, const struct deploy *d)
{
	char *text = deploy_encode(d);
	int err = text ? plan_store_write(&s->store, s->plan_revision, d->digest, text) : -ENOMEM;
	free(text);
	return err;
}

/* The store's plan, else the command line's; if both are there they must be one. */
static int first_plan(struct server *s, char why[SERVER_WHY_BYTES])
{
	const struct deploy *given = s->options.deploy;
	int err = read_plan(s, why);
	if (err == -ENOENT && !given)
		return 0;
	if (err == -ENOENT) {
		err = write_plan(s, given);
		if (err == 0 || err == -EAGAIN)
			err = read_plan(s, why);
		else
			snprintf(why, SERVER_WHY_BYTES, "%s, the store: give another file with --store", strerror(-err));
	}
	if (!err && given && given->digest != s->deploy.digest) {
		snprintf(why, SERVER_WHY_BYTES,
			 "plan %016" PRIx64 " (%.60s) is in the store, not %016" PRIx64
			 ", %.100s: start without a filter, and replace it with vfmctl load --replace",
			 s->deploy.digest, s->deploy.name, given->digest, s->options.store ? s->options.store : "memory");
		err = -EINVAL;
	}
	return err;
}

/* Another controller may have loaded another plan. */
static void watch_plan(struct server *s)
{
	char why[SERVER_WHY_BYTES] = "";
	uint64_t revision;
	if (s->store.watch(s->store.ctx, &revision) || revision == s->store_revision)
		return;
	s->store_revision = revision;
	if (plan_store_revision(&s->store, &revision) || !revision || revision == s->plan_revision)
		return;
	if (read_plan(s, why))
		fprintf(stderr, "vfm-controller: %s\n", why);
}

static json_t *plan_json(const struct server *s)
{
	if (!s->deploy.program)
		return json_pack("{s:n}", "plan");
	char *text = deploy_encode(&s->deploy);
	json_t *plan = text ? json_loads(text, 0, NULL) : NULL;
	free(text);
	return plan ? json_pack("{s:o}", "plan", plan) : json_pack("{s:s}", "error", "out of memory");
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

static json_t *said_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

static json_t *said_error(const char *format, ...)
{
	char text[SERVER_WHY_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return json_pack("{s:s}", "error", text);
}

/* Why this plan may not be taken now; NULL: it may. */
static json_t *objection(const struct server *s, bool replace)
{
	if (!s->deploy.program)
		return NULL;
	if (!replace)
		return said_error("%s is loaded already, plan %016" PRIx64 ": give --replace, which begins with empty tables",
				  s->deploy.name, s->deploy.digest);
	uint64_t id = reconciler_live_steerer(&s->reconciler, s->now_us);
	const struct reconciler_node *n = reconciler_node(&s->reconciler, id);
	if (id)
		return said_error("a stream is live, %s (%016" PRIx64
				  "): end its process first, or say with vfmctl fence that it is dead",
				  n && n->name[0] ? n->name : "a node that has not reported yet", id);
	return NULL;
}

/* Every load is another plan, though the filter be the same: nothing of the state before can be mistaken for its own. */
static uint64_t new_generation(void)
{
	uint64_t g = 0;
	while (!g)
		if (getrandom(&g, sizeof g, 0) != sizeof g)
			return 0;
		else
			g &= INT64_MAX;
	return g;
}

static json_t *load(struct server *s, const json_t *o)
{
	char why[SERVER_WHY_BYTES] = "", *text = json_dumps(json_object_get(o, "plan"), JSON_COMPACT);
	struct deploy d;
	json_t *no = NULL;
	int err = deploy_decode(&d, text ? text : "", text ? strlen(text) : 0, why);
	free(text);
	if (err)
		return said_error("%s", why);
	no = objection(s, json_is_true(json_object_get(o, "replace")));
	if (!no) {
		deploy_set_generation(&d, new_generation());
		err = d.generation ? write_plan(s, &d) : -EIO;
	}
	deploy_close(&d);
	if (!no && !err)
		err = read_plan(s, why);
	if (no)
		return no;
	if (err == -E2BIG)
		return said_error("more than 12 MiB, the plan: preload fewer entries");
	if (err)
		return why[0] ? said_error("%s", why) : done(err);
	return json_pack("{s:b,s:o,s:I}", "done", 1, "plan", hex(s->deploy.digest), "shards", (json_int_t)s->deploy.plan->shards);
}

static json_t *obey(struct server *s, const json_t *o)
{
	const char *what = json_string_value(json_object_get(o, "command")), *node = json_string_value(json_object_get(o, "node"));
	json_int_t n = json_integer_value(json_object_get(o, "n"));
	s->urgent = true;
	if (!what)
		return json_pack("{s:s}", "error", "no command");
	if (strcmp(what, "plan") == 0)
		return plan_json(s);
	if (strcmp(what, "digest") == 0)
		return json_pack("{s:o}", "digest", s->deploy.program ? hex(s->deploy.digest) : json_null());
	if (strcmp(what, "load") == 0)
		return load(s, o);
	if (!s->deploy.program)
		return said_error("no filter is loaded, the controller: vfmctl load FILTER");
	if (strcmp(what, "status") == 0)
		return json_pack("{s:I,s:b,s:s,s:I,s:I,s:o,s:o,s:o}", "shards_total", (json_int_t)s->deploy.plan->shards, "leads",
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
	if (s->deploy.program)
		reconciler_accuse(&s->reconciler, id, s->self, s->now_us);
	gate_disconnect(s->gate, id);
	s->urgent = true;
}

static void refuse_stranger(struct server *s, const struct wire_message *msg)
{
	for (int i = 0; i < STRANGERS; i++)
		if (s->strangers[i] == (msg->from ^ msg->plan))
			return;
	s->strangers[s->n_strangers++ % STRANGERS] = msg->from ^ msg->plan;
	fprintf(stderr,
		"vfm-controller: another plan, %016" PRIx64 " instead of %016" PRIx64 " from %016" PRIx64
		": start the node with the same filter and options, or without a filter\n",
		msg->plan, s->deploy.digest, msg->from);
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
	if (!s->deploy.program)
		return;
	if (msg.plan != s->deploy.digest) {
		refuse_stranger(s, &msg);
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
	if (s->deploy.program)
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
	if (!err && getrandom(&s->self, sizeof s->self, 0) != sizeof s->self)
		err = -EIO;
	if (!err) {
		err = gate_open(&s->gate, s->self, o->endpoint, o->keys, &calls);
		if (err == -ENOKEY)
			snprintf(why, SERVER_WHY_BYTES,
				 "on a network without keys, %s: give --key and --peers (vfmctl keygen), or ipc or loopback",
				 o->endpoint);
		else if (err)
			snprintf(why, SERVER_WHY_BYTES, "%s, %s: give an endpoint that is free", strerror(-err), o->endpoint);
	}
	if (!err)
		err = first_plan(s, why);
	while (!err && !*stop && !s->failed) {
		(void)gate_poll(s->gate, 1, 512);
		s->now_us = clock_us();
		if (s->urgent || s->now_us - s->ticked_us >= TICK_US) {
			s->urgent = false;
			s->ticked_us = s->now_us;
			watch_plan(s);
			if (s->deploy.program) {
				reconciler_tick(&s->reconciler, s->now_us);
				notice_print(&s->notice, &s->reconciler, o->store ? o->store : "memory", s->now_us, stderr);
			}
		}
	}
	if (s->failed)
		err = -ENOMEM;
	reconciler_fini(&s->reconciler);
	deploy_close(&s->deploy);
	gate_close(s->gate);
	if (s->store.close)
		s->store.close(s->store.ctx);
	free(s);
	return err;
}

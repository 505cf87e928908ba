/* sim_world.c: processes, network, clock and misfortune. */
#include "test/sim/lib/sim.h"

#include "state/mix.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_US      1000
#define LEASE_US     25000
#define LEADER_MS    20
#define END_US       4000000
#define MAX_EVENTS   200000 /* a schedule has some 3,000: more are frames that beget frames */
#define OPERATOR_US  500000
#define PLAN         0x9143a5ull
#define WINDOW       32
#define SHARD_WINDOW 24

struct sim *sim_now;
bool safeguard_removed[SAFEGUARD_COUNT];

uint64_t rng_next(struct rng *r)
{
	r->s += 0x9e3779b97f4a7c15ull;
	return mix64(r->s);
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(rng_next(r) % n);
}

bool rng_chance(struct rng *r, uint32_t percent)
{
	return rng_below(r, 100) < percent;
}

/* ---- events ---- */

enum sim_event_kind { EVENT_FRAME, EVENT_TICK, EVENT_INPUT, EVENT_CHAOS, EVENT_GONE, EVENT_DEAD, EVENT_RESTART };

struct sim_event {
	uint64_t at, order;
	enum sim_event_kind kind;
	uint32_t proc;
	uint64_t id; /* the incarnation it is for; GONE, DEAD: whom it is about is in `about` */
	uint64_t about;
	uint8_t *frame;
	uint32_t bytes;
};

static bool sooner(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct sim *s, struct sim_event e)
{
	if (s->n_heap == s->room_heap) {
		uint32_t room = s->room_heap ? 2 * s->room_heap : 256;
		struct sim_event *grown = realloc(s->heap, room * sizeof *grown);
		if (!grown) {
			free(e.frame);
			return;
		}
		s->heap = grown;
		s->room_heap = room;
	}
	e.order = s->next_order++;
	uint32_t i = s->n_heap++;
	while (i && sooner(&e, &s->heap[(i - 1) / 2])) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = e;
}

static struct sim_event pop(struct sim *s)
{
	struct sim_event top = s->heap[0], last = s->heap[--s->n_heap];
	uint32_t i = 0;
	for (;;) {
		uint32_t c = 2 * i + 1;
		if (c >= s->n_heap)
			break;
		if (c + 1 < s->n_heap && sooner(&s->heap[c + 1], &s->heap[c]))
			c++;
		if (!sooner(&s->heap[c], &last))
			break;
		s->heap[i] = s->heap[c];
		i = c;
	}
	s->heap[i] = last;
	return top;
}

/* ---- network ---- */

static uint64_t delay(struct sim *s)
{
	if (rng_chance(&s->rng, s->slow_percent))
		return 1000 + rng_below(&s->rng, 12000);
	return 20 + rng_below(&s->rng, 300);
}

static void transmit(struct sim *s, uint32_t from, uint32_t to, const uint8_t *frame, uint32_t bytes)
{
	uint32_t copies = 1;
	if (s->cut[from][to]) {
		s->floors.drops++;
		return;
	}
	if (rng_chance(&s->rng, s->drop_percent)) {
		copies = 0;
		s->floors.drops++;
	} else if (rng_chance(&s->rng, s->dup_percent)) {
		copies = 2;
		s->floors.duplicates++;
	}
	for (uint32_t i = 0; i < copies; i++) {
		uint8_t *copy = malloc(bytes);
		if (!copy)
			return;
		memcpy(copy, frame, bytes);
		push(s, (struct sim_event){.at = s->now + delay(s),
					   .kind = EVENT_FRAME,
					   .proc = to,
					   .id = s->procs[to].id,
					   .frame = copy,
					   .bytes = bytes});
	}
}

static void log_frame(const struct sim *s, const char *from, const char *to, const uint8_t *frame, uint32_t bytes)
{
	struct wire_message m;
	if (!s->verbose || wire_decode(frame, bytes, &m) || m.kind == WIRE_REPORT || m.kind == WIRE_ROSTER)
		return;
	printf("%8" PRIu64 " %s -> %s %s shard %" PRIu64, s->now, from, to, wire_shapes[m.kind].name, m.config.shard);
	const struct wire_shape *w = &wire_shapes[m.kind];
	for (unsigned i = 1; i < w->n_fields && i < 9; i++)
		if (w->fields[i].type == WIRE_U64)
			printf(" %s=%" PRIu64, w->fields[i].name,
			       *(const uint64_t *)((const char *)&m.config + w->fields[i].offset));
	if (m.kind == WIRE_CONFIG)
		for (uint32_t i = 0; i < m.config.in_sync.n; i++)
			printf(" +%" PRIu64, wire_c64(m.config.in_sync, i));
	printf("\n");
}

static void send_all(struct sim *s, uint32_t from, struct outbox *out)
{
	for (uint32_t i = 0; i < out->n; i++) {
		const struct outbox_frame *f = &out->frames[i];
		sim_check_frame(s, &s->procs[from], out->bytes + f->offset, f->bytes);
		for (uint32_t to = 0; to < s->n_procs; to++) {
			const struct sim_proc *p = &s->procs[to];
			if (!p->alive || (f->to == OUTBOX_CONTROLLER ? p->role != SIM_CONTROLLER : p->id != f->to))
				continue;
			log_frame(s, s->procs[from].name, p->name, out->bytes + f->offset, f->bytes);
			transmit(s, from, to, out->bytes + f->offset, f->bytes);
		}
	}
	outbox_clear(out);
}

static void controller_send(void *ctx, uint64_t to, struct wire_message *msg)
{
	struct sim_proc *p = ctx;
	outbox_send(&p->out, to, msg);
}

/* ---- a store that sometimes does not answer ---- */

static int sim_get(void *ctx, const char *key, uint8_t *value, uint32_t *bytes, uint64_t *revision)
{
	struct sim *s = ctx;
	return s->real_store.get(s->real_store.ctx, key, value, bytes, revision);
}

static int sim_list(void *ctx, const char *prefix,
		    void (*visit)(void *arg, const char *key, const uint8_t *value, uint32_t bytes, uint64_t revision), void *arg)
{
	struct sim *s = ctx;
	return s->real_store.list(s->real_store.ctx, prefix, visit, arg);
}

/* I6 in the store: only legal steps. */
static void check_step(struct sim *s, const struct store_change *c)
{
	uint8_t value[STORE_MAX_VALUE];
	uint32_t bytes;
	uint64_t revision;
	struct wire_message old_msg, new_msg;
	struct config from, to;
	if (strncmp(c->key, "shard/", 6) || s->real_store.get(s->real_store.ctx, c->key, value, &bytes, &revision) ||
	    revision != c->revision)
		return;
	if (wire_decode(value, bytes, &old_msg) || wire_decode(c->value, c->bytes, &new_msg) ||
	    config_from_wire(&old_msg.config, &from) || config_from_wire(&new_msg.config, &to) ||
	    config_step_of(&from, &to) == CONFIG_ILLEGAL)
		sim_fail(s, "I6: an illegal step is written to %s", c->key);
}

static int sim_commit(void *ctx, const struct store_change *changes, uint32_t n)
{
	struct sim *s = ctx;
	uint32_t fate = s->store_fails ? rng_below(&s->rng, 20) : 9;
	if (fate == 0)
		return -EIO; /* not done, no answer */
	for (uint32_t i = 0; i < n; i++)
		check_step(s, &changes[i]);
	int err = s->real_store.commit(s->real_store.ctx, changes, n);
	return fate == 1 ? -EIO : err; /* done, no answer */
}

static int sim_watch(void *ctx, uint64_t *revision)
{
	struct sim *s = ctx;
	if (s->store_fails && rng_chance(&s->rng, 3))
		return -EIO;
	return s->real_store.watch(s->real_store.ctx, revision);
}

static int sim_lease(void *ctx, const char *name, uint64_t holder, uint64_t now_ms, uint64_t ttl_ms, uint64_t *holder_now)
{
	struct sim *s = ctx;
	if (s->lease_lies) {
		*holder_now = holder; /* everybody is told that it leads: unsafe nowhere, restless for ever */
		return 0;
	}
	return s->real_store.lease(s->real_store.ctx, name, holder, now_ms, ttl_ms, holder_now);
}

/* ---- processes ---- */

static bool in_pair(const struct sim *s, uint32_t i)
{
	return s->has_pair && i >= s->n_controllers && i < s->n_controllers + 2;
}

/* The other core of its process; itself: it has none. */
static uint32_t other_core(const struct sim *s, uint32_t i)
{
	return !in_pair(s, i) ? i : i == s->n_controllers ? i + 1 : i - 1;
}

static struct member_limits limits(void)
{
	return (struct member_limits){.repeat_us = 3000,
				      .handover_us = 1000,
				      .silent_us = 20000,
				      .log_deltas = 24,
				      .log_bytes = 1 << 20,
				      .chunk_entries = 3,
				      .credit = 2,
				      .lag = 6,
				      .snapshots = 3,
				      .forget_us = 60000};
}

static void observe(void *ctx)
{
	sim_check_proc(sim_now, ctx);
}

static void start_controller(struct sim *s, struct sim_proc *p)
{
	struct reconciler_options o = {.self = p->id,
				       .plan = PLAN,
				       .n_shards = s->n_shards,
				       .standbys = s->release != RELEASE_NONE,
				       .lease_us = LEASE_US,
				       .repeat_us = 3000,
				       .loss_us = s->may_lose ? 15000 : 0,
				       .leader_ms = LEADER_MS,
				       .min_nodes = 2};
	outbox_init(&p->out, p->id, PLAN);
	if (reconciler_init(&p->reconciler, &o, &s->store, (struct reconciler_out){p, controller_send}, s->now))
		sim_fail(s, "no memory");
}

static void start_steerer(struct sim *s, struct sim_proc *p)
{
	struct sim_stream *st = &s->streams[p->stream];
	struct steerer_options o = {.stream = st->id,
				    .session = ++st->session,
				    .early = s->release == RELEASE_EARLY,
				    .n_shards = s->n_shards,
				    .window = WINDOW,
				    .shard_window = SHARD_WINDOW,
				    .burst = 4,
				    .flying = 16,
				    .repeat_us = 3000};
	if (steerer_init(&p->steerer, &o, &p->node.out))
		sim_fail(s, "no memory");
	for (uint32_t i = 0; i < st->durable; i++)
		steerer_skip(&p->steerer, st->packets[i].shard);
	for (uint32_t i = (uint32_t)st->durable; i < st->n; i++)
		st->packets[i].released = false; /* the output is cut back to the journal */
	st->offered = (uint32_t)st->durable;
	(void)node_add_steerer(&p->node, &p->steerer);
	p->has_steerer = true;
}

static void start_proc(struct sim *s, uint32_t i)
{
	struct sim_proc *p = &s->procs[i];
	uint64_t old = p->id;
	p->id = SAFEGUARD(INCARNATION) || !old || p->role != SIM_NODE ? 1000 + 10 * s->next_id++ + i : old;
	p->alive = true;
	p->paused = false;
	memset(p->epochs, 0, sizeof p->epochs);
	memset(p->seen_number, 0, sizeof p->seen_number);
	memset(p->seen_made_in, 0, sizeof p->seen_made_in);
	memset(p->was_active, 0, sizeof p->was_active);
	memset(p->committed_epoch, 0, sizeof p->committed_epoch);
	p->n_executed = 0;
	if (s->verbose)
		printf("%8" PRIu64 " %s starts as %" PRIu64 "\n", s->now, p->name, p->id);
	if (p->role == SIM_CONTROLLER) {
		start_controller(s, p);
	} else {
		struct node_options o = {.self = p->id,
					 .plan = PLAN,
					 .n_shards = s->n_shards,
					 .release = s->release,
					 .limits = limits(),
					 .ops = {sim_shard_new, sim_execute, p},
					 .heartbeat_us = 4000,
					 .roles = (p->role == SIM_NODE ? 1 : 0) | (p->stream != UINT32_MAX ? 2 : 0),
					 .process = in_pair(s, i) ? 1 + s->lives : 0,
					 .name = p->name,
					 .endpoint = "",
					 .observe = observe};
		if (node_init(&p->node, &o))
			sim_fail(s, "no memory");
		if (p->stream != UINT32_MAX) {
			start_steerer(s, p);
			push(s, (struct sim_event){.at = s->now + 500, .kind = EVENT_INPUT, .proc = i, .id = p->id});
		}
	}
	push(s, (struct sim_event){.at = s->now + 1 + rng_below(&s->rng, TICK_US), .kind = EVENT_TICK, .proc = i, .id = p->id});
}

static void stop_proc(struct sim_proc *p)
{
	if (!p->alive)
		return;
	p->alive = false;
	if (p->role == SIM_CONTROLLER) {
		reconciler_fini(&p->reconciler);
		outbox_fini(&p->out);
		return;
	}
	if (p->has_steerer)
		steerer_fini(&p->steerer);
	p->has_steerer = false;
	node_fini(&p->node);
}

/* What a step left to be sent, and what may be released, after the checks. */
static void after_step(struct sim *s, uint32_t i)
{
	struct sim_proc *p = &s->procs[i];
	if (p->role == SIM_CONTROLLER) {
		send_all(s, i, &p->out);
		return;
	}
	sim_check_proc(s, p);
	sim_release(s, p);
	send_all(s, i, &p->node.out);
}

static void crash(struct sim *s, uint32_t i)
{
	struct sim_proc *p = &s->procs[i];
	uint64_t id = p->id;
	if (s->verbose)
		printf("%8" PRIu64 " %s crashes (%" PRIu64 ")\n", s->now, p->name, id);
	for (uint32_t k = 0; k < s->n_shards && p->role != SIM_CONTROLLER; k++)
		s->floors.snapshots += p->node.members[k].counters.snapshots_taken;
	stop_proc(p);
	for (uint32_t k = 0; k < s->n_procs && p->role != SIM_CONTROLLER; k++) {
		if (rng_chance(&s->rng, 60))
			push(s, (struct sim_event){
					.at = s->now + delay(s), .kind = EVENT_GONE, .proc = k, .id = s->procs[k].id, .about = id});
		if (s->procs[k].role == SIM_CONTROLLER)
			push(s,
			     (struct sim_event){
				     .at = s->now + 5000 + rng_below(&s->rng, 20000), .kind = EVENT_DEAD, .proc = k, .about = id});
	}
	push(s, (struct sim_event){.at = s->now + 2000 + rng_below(&s->rng, 30000), .kind = EVENT_RESTART, .proc = i, .about = id});
}

/* ---- misfortune ---- */

/* The whole process of node i; a core of it may be on its way back from the last time. */
static void crash_process(struct sim *s, uint32_t i)
{
	uint32_t other = other_core(s, i);
	crash(s, i);
	if (other == i)
		return;
	s->lives++;
	s->floors.pair_crashes++;
	if (s->procs[other].alive)
		crash(s, other);
}

/* Whether some shard would be left without any in-sync copy that lives. */
static bool would_lose(struct sim *s, uint32_t victim)
{
	for (uint32_t i = 0; i < s->n_shards; i++) {
		uint8_t value[STORE_MAX_VALUE];
		char key[32];
		uint32_t bytes;
		uint64_t revision;
		struct wire_message msg;
		struct config c;
		bool left = false, touched = false;
		snprintf(key, sizeof key, "shard/%05u", i);
		if (s->real_store.get(s->real_store.ctx, key, value, &bytes, &revision) || wire_decode(value, bytes, &msg) ||
		    config_from_wire(&msg.config, &c))
			continue;
		for (uint32_t k = 0; k < s->n_procs; k++) {
			const struct sim_proc *p = &s->procs[k];
			if (p->role != SIM_NODE || !p->alive || !config_member(&c, p->id))
				continue;
			touched |= k == victim || k == other_core(s, victim);
			left |= k != victim && k != other_core(s, victim);
		}
		if (touched && !left)
			return true;
	}
	return false;
}

static uint32_t any_proc(struct sim *s, enum sim_role role)
{
	for (int tries = 0; tries < 20; tries++) {
		uint32_t i = rng_below(&s->rng, s->n_procs);
		if (s->procs[i].role == role && s->procs[i].alive)
			return i;
	}
	return UINT32_MAX;
}

static void order_move(struct sim *s)
{
	uint32_t c = any_proc(s, SIM_CONTROLLER), n = any_proc(s, SIM_NODE);
	if (c == UINT32_MAX || n == UINT32_MAX)
		return;
	uint32_t shard = rng_below(&s->rng, s->n_shards);
	if (s->verbose)
		printf("%8" PRIu64 " order: shard %u to %s\n", s->now, shard, s->procs[n].name);
	(void)reconciler_move(&s->procs[c].reconciler, shard, s->procs[n].name);
}

static void order_scale(struct sim *s)
{
	uint32_t c = any_proc(s, SIM_CONTROLLER), n = any_proc(s, SIM_NODE);
	if (c == UINT32_MAX || n == UINT32_MAX)
		return;
	if (rng_chance(&s->rng, 50))
		(void)reconciler_scale(&s->procs[c].reconciler,
				       rng_chance(&s->rng, 50) ? -1 : 2 + (int64_t)rng_below(&s->rng, s->n_nodes - 1));
	else
		(void)reconciler_drain(&s->procs[c].reconciler, s->procs[n].name, rng_chance(&s->rng, 40));
}

static void pause_proc(struct sim *s)
{
	uint32_t i = rng_below(&s->rng, s->n_procs);
	if (!s->procs[i].alive || s->procs[i].paused)
		return;
	s->procs[i].paused = true;
	s->procs[i].resume_at = s->now + 3000 + rng_below(&s->rng, 70000);
	if (s->verbose)
		printf("%8" PRIu64 " %s pauses until %" PRIu64 "\n", s->now, s->procs[i].name, s->procs[i].resume_at);
	s->floors.pauses++;
}

static void partition(struct sim *s)
{
	uint32_t i = rng_below(&s->rng, s->n_procs), j = rng_below(&s->rng, s->n_procs);
	bool all = rng_chance(&s->rng, 40), both = rng_chance(&s->rng, 70);
	for (uint32_t k = 0; k < s->n_procs; k++) {
		if (!all && k != j)
			continue;
		s->cut[i][k] = true;
		s->cut[k][i] |= both;
	}
	s->heal_at = s->now + 3000 + rng_below(&s->rng, 60000);
	if (s->verbose)
		printf("%8" PRIu64 " %s is cut off from %s until %" PRIu64 "\n", s->now, s->procs[i].name,
		       all ? "all" : s->procs[j].name, s->heal_at);
	s->floors.partitions++;
}

static void crash_some(struct sim *s, enum sim_role role)
{
	uint32_t i = any_proc(s, role);
	if (i == UINT32_MAX || (role == SIM_NODE && !s->may_lose && would_lose(s, i)))
		return;
	s->floors.crashes += role == SIM_NODE;
	s->floors.steerer_restarts += role == SIM_STEERER;
	s->floors.controller_restarts += role == SIM_CONTROLLER;
	crash_process(s, i);
}

static void chaos(struct sim *s)
{
	uint32_t what = rng_below(&s->rng, 100);
	if (what < 40)
		order_move(s);
	else if (what < 48)
		order_scale(s);
	else if (what < 64)
		crash_some(s, SIM_NODE);
	else if (what < 80)
		pause_proc(s);
	else if (what < 92)
		partition(s);
	else
		crash_some(s, what < 96 ? SIM_CONTROLLER : SIM_STEERER);
	if (--s->chaos_left)
		push(s, (struct sim_event){.at = s->now + 1000 + rng_below(&s->rng, 12000), .kind = EVENT_CHAOS});
}

static void calm(struct sim *s)
{
	memset(s->cut, 0, sizeof s->cut);
	s->drop_percent = s->dup_percent = s->slow_percent = 0;
	s->store_fails = s->lease_lies = false;
	if (!s->calm_since)
		s->calm_since = s->now;
	if (s->now - s->calm_since < OPERATOR_US || s->may_lose)
		return;
	/* The owner died after the only replica had been taken out at its request: two faults. The operator declares the loss. */
	s->may_lose = true;
	for (uint32_t i = 0; i < s->n_procs; i++)
		if (s->procs[i].role == SIM_CONTROLLER)
			s->procs[i].reconciler.options.loss_us = 15000;
}

/* ---- input ---- */

static void offer(struct sim *s, struct sim_proc *p)
{
	struct sim_stream *st = &s->streams[p->stream];
	uint32_t burst = 1 + rng_below(&s->rng, 4);
	for (uint32_t i = 0; i < burst && st->offered < st->n; i++) {
		const struct sim_packet *q = &st->packets[st->offered];
		uint32_t id[2] = {p->stream, st->offered};
		struct node_packet packet = {q->time_us, 0, 8, 8, (const uint8_t *)id};
		if (steerer_packet(&p->steerer, q->shard, &packet, s->now))
			break;
		st->offered++;
	}
	node_flush(&p->node, s->now);
}

/* ---- the loop ---- */

static void handle(struct sim *s, struct sim_event *e)
{
	struct sim_proc *p = &s->procs[e->proc];
	struct wire_message msg;
	switch (e->kind) {
	case EVENT_FRAME:
		if (p->role != SIM_CONTROLLER)
			(void)node_frame(&p->node, e->frame, e->bytes, s->now);
		else if (!wire_decode(e->frame, e->bytes, &msg))
			reconciler_message(&p->reconciler, &msg, s->now);
		break;
	case EVENT_TICK:
		if (p->role == SIM_CONTROLLER)
			reconciler_tick(&p->reconciler, s->now);
		else
			node_tick(&p->node, s->now);
		push(s, (struct sim_event){.at = s->now + TICK_US, .kind = EVENT_TICK, .proc = e->proc, .id = p->id});
		break;
	case EVENT_INPUT:
		offer(s, p);
		push(s, (struct sim_event){
				.at = s->now + 200 + rng_below(&s->rng, 3000), .kind = EVENT_INPUT, .proc = e->proc, .id = p->id});
		break;
	case EVENT_GONE:
		if (p->role == SIM_CONTROLLER)
			reconciler_gone(&p->reconciler, e->about, s->now);
		else
			node_gone(&p->node, e->about, s->now);
		break;
	default:
		break;
	}
	after_step(s, e->proc);
}

/* Events that are nobody's step. */
static bool handle_outside(struct sim *s, struct sim_event *e)
{
	struct sim_proc *p = &s->procs[e->proc];
	if (e->kind == EVENT_CHAOS)
		chaos(s);
	else if (e->kind == EVENT_RESTART)
		start_proc(s, e->proc);
	else if (e->kind == EVENT_DEAD &&
		 (!p->alive || p->paused || (SAFEGUARD(INCARNATION) && reconciler_dead(&p->reconciler, e->about, s->now))))
		push(s, (struct sim_event){.at = s->now + 3000, .kind = EVENT_DEAD, .proc = e->proc, .about = e->about});
	else if (e->kind != EVENT_DEAD)
		return false;
	return true;
}

/* The newest owner lives, has opened, and has committed all it has. */
static bool settled(const struct sim *s, uint32_t shard)
{
	for (uint32_t i = 0; i < s->n_procs; i++) {
		const struct member *m = s->procs[i].role == SIM_NODE ? &s->procs[i].node.members[shard] : NULL;
		if (m && m->owner.opened && m->config.epoch == s->shards[shard].newest_active &&
		    m->owner.committed == m->copy->number)
			return true;
	}
	return false;
}

/* Whose lease it is, without taking it: nobody's would be taken for longer than that. */
static uint64_t leader(const struct sim *s)
{
	uint64_t holder = 0;
	(void)s->real_store.lease(s->real_store.ctx, "leader", 0, 0, UINT64_MAX, &holder);
	return holder;
}

static bool is_of_pair(const struct sim *s, uint64_t id)
{
	return s->has_pair && (id == s->procs[s->n_controllers].id || id == s->procs[s->n_controllers + 1].id);
}

/* Owner and standby are not both of the pair, as long as its controller may give shards to anybody else. */
static bool apart(const struct sim *s, const struct reconciler *r, uint32_t shard)
{
	const struct config *c = &r->shards[shard].config;
	bool other = false;
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++) {
		const struct reconciler_node *n = &r->nodes[i];
		other |= n->id && n->heard_us && (n->roles & 1) && !n->dead && !n->suspected && !is_of_pair(s, n->id);
	}
	return !other || r->scale >= 0 || r->n_drained || !c->n_in_sync || !is_of_pair(s, c->owner) ||
	       !is_of_pair(s, c->in_sync[0]);
}

/* The controllers have brought the shard to where they want it. */
static bool placed(const struct sim *s, uint32_t shard)
{
	for (uint32_t i = 0; i < s->n_controllers; i++) {
		const struct reconciler *r = &s->procs[i].reconciler;
		const struct reconciler_shard *x = &r->shards[shard];
		if (leader(s) != r->options.self)
			continue;
		if (r->n_drained >= s->n_nodes)
			continue; /* nobody may have anything: all stays where it is */
		uint64_t owner = x->owner < 0 ? 0 : r->nodes[x->owner].id, standby = x->standby < 0 ? 0 : r->nodes[x->standby].id;
		if (x->config.owner != owner || x->config.n_in_sync != (standby ? 1 : 0) ||
		    (standby && x->config.in_sync[0] != standby) || !apart(s, r, shard))
			return false;
	}
	return true;
}

static bool done(const struct sim *s)
{
	if (s->chaos_left)
		return false;
	for (uint32_t i = 0; i < s->n_procs; i++) {
		const struct sim_proc *p = &s->procs[i];
		if (!p->alive || p->paused)
			return false;
		if (p->stream != UINT32_MAX &&
		    (s->streams[p->stream].offered < s->streams[p->stream].n || steerer_settled(&p->steerer) < p->steerer.end))
			return false;
	}
	for (uint32_t k = 0; k < s->n_shards; k++)
		if (!settled(s, k) || !placed(s, k))
			return false;
	return true;
}

static void step(struct sim *s)
{
	struct sim_event e = pop(s);
	struct sim_proc *p = &s->procs[e.proc];
	s->now = e.at;
	s->n_events++;
	if (s->heal_at && s->now >= s->heal_at) {
		memset(s->cut, 0, sizeof s->cut);
		s->heal_at = 0;
	}
	if (!s->chaos_left)
		calm(s);
	if (handle_outside(s, &e))
		return;
	if (!p->alive || p->id != e.id) {
		free(e.frame);
		return;
	}
	if (p->paused && s->now < p->resume_at) {
		e.at = p->resume_at + e.order % 7;
		push(s, e); /* it wakes up to everything that came meanwhile */
		return;
	}
	p->paused = false;
	handle(s, &e);
	free(e.frame);
}

/* ---- the beginning ---- */

static void make_streams(struct sim *s)
{
	for (uint32_t k = 0; k < s->n_streams; k++) {
		struct sim_stream *st = &s->streams[k];
		uint64_t seq[SIM_MAX_SHARDS] = {0}, time_us = 1000000000;
		st->id = k + 1;
		st->n = 40 + rng_below(&s->rng, SIM_MAX_PACKETS - 40);
		for (uint32_t i = 0; i < st->n; i++) {
			struct sim_packet *p = &st->packets[i];
			time_us += rng_below(&s->rng, 900000);
			p->shard = rng_below(&s->rng, s->n_shards);
			p->seq = ++seq[p->shard];
			p->time_us = time_us;
		}
	}
}

static void make_procs(struct sim *s)
{
	for (uint32_t i = 0; i < s->n_controllers + s->n_nodes + s->n_streams; i++) {
		struct sim_proc *p = &s->procs[s->n_procs];
		p->stream = UINT32_MAX;
		p->role = i < s->n_controllers ? SIM_CONTROLLER : i < s->n_controllers + s->n_nodes ? SIM_NODE : SIM_STEERER;
		if (p->role == SIM_STEERER) {
			p->stream = i - s->n_controllers - s->n_nodes;
			struct sim_proc *host = &s->procs[s->n_controllers + rng_below(&s->rng, s->n_nodes)];
			if (rng_chance(&s->rng, 30) && host->stream == UINT32_MAX) {
				host->stream = p->stream;
				continue;
			}
		}
		snprintf(p->name, sizeof p->name, "%s%u",
			 p->role == SIM_CONTROLLER ? "ctl"
			 : p->role == SIM_NODE     ? "node"
						   : "in",
			 i);
		s->n_procs++;
	}
	for (uint32_t i = 0; i < s->n_procs; i++)
		start_proc(s, i);
}

static void configure(struct sim *s)
{
	struct rng *r = &s->rng;
	s->n_shards = 1 + rng_below(r, 3);
	s->n_streams = 1 + rng_below(r, 2);
	s->n_nodes = 3 + rng_below(r, 2);
	s->n_controllers = 1 + rng_below(r, 2);
	s->release = rng_chance(r, 25) ? RELEASE_EARLY : RELEASE_COMMIT;
	s->may_lose = rng_chance(r, 15);
	s->drop_percent = rng_chance(r, 50) ? rng_below(r, 8) : 0;
	s->dup_percent = rng_chance(r, 50) ? rng_below(r, 10) : 0;
	s->slow_percent = rng_chance(r, 60) ? rng_below(r, 10) : 0;
	s->store_fails = rng_chance(r, 30);
	s->lease_lies = !rng_chance(r, 60);
	s->table_capacity = 4 + rng_below(r, 12);
	s->chaos_left = 12 + rng_below(r, 14);
	s->has_pair = rng_chance(r, 40);
}

static void count_floors(struct sim *s)
{
	for (uint32_t i = 0; i < s->n_procs; i++) {
		struct sim_proc *p = &s->procs[i];
		if (!p->alive)
			continue;
		if (p->role == SIM_CONTROLLER) {
			s->floors.moves += p->reconciler.counters.moves;
			s->floors.promotions += p->reconciler.counters.promotions;
			s->floors.losses += p->reconciler.counters.losses;
			s->floors.adds += p->reconciler.counters.adds;
			continue;
		}
		s->floors.resent += p->has_steerer ? p->steerer.counters.resent : 0;
		for (uint32_t k = 0; k < s->n_shards; k++) {
			s->floors.snapshots += p->node.members[k].counters.snapshots_taken;
			s->floors.fences += p->node.members[k].counters.fenced;
		}
	}
}

bool sim_run(struct sim *s, uint64_t seed, bool verbose)
{
	memset(s, 0, sizeof *s);
	s->seed = seed;
	s->rng.s = seed;
	s->verbose = verbose;
	sim_now = s;
	s->deltas = calloc(4 * SIM_MAX_DELTAS, sizeof *s->deltas);
	if (!s->deltas || store_open_memory(&s->real_store)) {
		sim_fail(s, "no memory");
		return false;
	}
	s->store = (struct store){s, sim_get, sim_list, sim_commit, sim_watch, sim_lease, NULL};
	configure(s);
	make_streams(s);
	make_procs(s);
	push(s, (struct sim_event){.at = 12000, .kind = EVENT_CHAOS});
	while (!s->failed && s->n_heap && s->now < END_US && s->n_events < MAX_EVENTS && !done(s))
		step(s);
	if (!s->failed && !done(s))
		sim_fail(s, "wedged: not everything was released, or placement was not reached");
	if (!s->failed)
		sim_check_end(s);
	count_floors(s);
	return !s->failed;
}

void sim_fini(struct sim *s)
{
	for (uint32_t i = 0; i < s->n_procs; i++)
		stop_proc(&s->procs[i]);
	while (s->n_heap)
		free(s->heap[--s->n_heap].frame);
	for (uint32_t i = 0; i < SIM_MAX_SHARDS; i++)
		for (uint32_t k = 0; k < s->shards[i].n_histories; k++)
			free(s->shards[i].histories[k]);
	free(s->heap);
	free(s->deltas);
	if (s->real_store.ctx)
		s->real_store.close(s->real_store.ctx);
}

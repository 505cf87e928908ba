/* reconciler.c: one legal step per shard and round. */
#include "controller/reconciler.h"

#include "state/safeguard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64

int reconciler_init(struct reconciler *r, const struct reconciler_options *o, struct store *store, struct reconciler_out out,
		    uint64_t now_us)
{
	*r = (struct reconciler){.options = *o, .store = store, .out = out, .started_us = now_us, .scale = -1, .reread = true};
	if (!o->n_shards || o->n_shards > WIRE_MAX_SHARDS)
		return -EINVAL;
	r->shards = calloc(o->n_shards, sizeof *r->shards);
	r->placement = calloc(o->n_shards, sizeof *r->placement);
	if (!r->shards || !r->placement) {
		reconciler_fini(r);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < o->n_shards; i++)
		r->shards[i].weight = 1;
	return 0;
}

void reconciler_fini(struct reconciler *r)
{
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++) {
		free(r->nodes[i].epochs);
		free(r->nodes[i].load);
	}
	free(r->shards);
	free(r->placement);
	memset(r, 0, sizeof *r);
}

/* ---- nodes ---- */

static struct reconciler_node *node_of(struct reconciler *r, uint64_t id)
{
	for (uint32_t i = 0; id && i < RECONCILER_MAX_NODES; i++)
		if (r->nodes[i].id == id)
			return &r->nodes[i];
	return NULL;
}

const struct reconciler_node *reconciler_node(const struct reconciler *r, uint64_t id)
{
	for (uint32_t i = 0; id && i < RECONCILER_MAX_NODES; i++)
		if (r->nodes[i].id == id)
			return &r->nodes[i];
	return NULL;
}

static bool is_fenced(const struct reconciler *r, uint64_t id)
{
	for (uint32_t i = 0; i < r->n_fenced; i++)
		if (r->fenced[i].id == id)
			return true;
	return false;
}

uint64_t reconciler_live_steerer(const struct reconciler *r, uint64_t now_us)
{
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++)
		if (r->nodes[i].id && (r->nodes[i].roles & 2) && !r->nodes[i].dead && !r->nodes[i].suspected)
			return r->nodes[i].id;
	for (uint32_t i = 0; i < r->n_steerers; i++)
		if (!reconciler_node(r, r->steerers[i]) && !is_fenced(r, r->steerers[i]) &&
		    now_us - r->started_us < r->options.lease_us)
			return r->steerers[i];
	return 0;
}

static bool same_process(const struct reconciler_node *a, const struct reconciler_node *b)
{
	return a->id && b->id && (a == b || (a->process && a->process == b->process));
}

bool reconciler_shares_fate(const struct reconciler *r, uint64_t shard)
{
	const struct config *c = &r->shards[shard].config;
	const struct reconciler_node *owner = reconciler_node(r, c->owner);
	for (uint32_t i = 0; i < c->n_in_sync; i++) {
		const struct reconciler_node *n = reconciler_node(r, c->in_sync[i]);
		if (!owner || !n || !same_process(owner, n))
			return false;
	}
	return c->n_in_sync > 0;
}

static int index_of(struct reconciler *r, uint64_t id)
{
	const struct reconciler_node *n = node_of(r, id);
	return n ? (int)(n - r->nodes) : PLACEMENT_NONE;
}

/* A place for a new incarnation: a free one, else that of a dead or long silent one. */
static struct reconciler_node *add_node(struct reconciler *r, uint64_t id)
{
	struct reconciler_node *n = NULL;
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES && !n; i++)
		if (!r->nodes[i].id)
			n = &r->nodes[i];
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES && !n; i++)
		if (r->nodes[i].dead || r->nodes[i].suspected)
			n = &r->nodes[i];
	if (!n)
		return NULL;
	if (!n->epochs)
		n->epochs = calloc(r->options.n_shards, sizeof *n->epochs);
	if (!n->load)
		n->load = calloc(r->options.n_shards, sizeof *n->load);
	if (!n->epochs || !n->load)
		return NULL;
	uint64_t *epochs = n->epochs, *load = n->load;
	memset(epochs, 0, r->options.n_shards * sizeof *epochs);
	memset(load, 0, r->options.n_shards * sizeof *load);
	*n = (struct reconciler_node){.id = id, .epochs = epochs, .load = load};
	return n;
}

/* A member not heard of since this controller started is given the benefit of the doubt for one lease. */
static bool alive(struct reconciler *r, uint64_t id, uint64_t now_us)
{
	const struct reconciler_node *n = node_of(r, id);
	if (!n)
		return !is_fenced(r, id) && now_us - r->started_us < r->options.lease_us;
	return !n->dead && !n->suspected && !n->quarantined;
}

static void send_config(struct reconciler *r, uint64_t to, const struct config *c)
{
	struct wire_message msg = {.kind = WIRE_CONFIG};
	config_to_wire(c, &msg.config);
	r->out.send(r->out.ctx, to, &msg);
}

/* Steerers hear of configurations only once they are registered in the store: so a loss can wait for all of them. */
static void announce(struct reconciler *r, const struct config *c)
{
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++)
		if (r->nodes[i].id && !r->nodes[i].dead && r->nodes[i].registered)
			send_config(r, r->nodes[i].id, c);
}

static void note(struct reconciler *r, const struct reconciler_event *e)
{
	r->events[r->n_events++ % RECONCILER_EVENTS] = *e;
}

/* ---- the store ---- */

/* What is full or broken is remembered until something can be written again. */
static int commit(struct reconciler *r, const struct store_change *changes, uint32_t n)
{
	int err = r->store->commit(r->store->ctx, changes, n);
	r->store_err = err == -EAGAIN ? 0 : err;
	return err;
}

static void shard_key(char key[STORE_MAX_KEY + 1], const char *what, uint64_t shard)
{
	snprintf(key, STORE_MAX_KEY + 1, "%s/%05" PRIu64, what, shard);
}

static void take_record(void *arg, const char *key, const uint8_t *value, uint32_t bytes, uint64_t revision)
{
	struct reconciler *r = arg;
	struct wire_message msg;
	struct config c;
	uint64_t shard = strtoull(key + strlen("shard/"), NULL, 10);
	if (shard >= r->options.n_shards || wire_decode(value, bytes, &msg) || msg.kind != WIRE_CONFIG ||
	    config_from_wire(&msg.config, &c) || c.shard != shard)
		return;
	struct reconciler_shard *s = &r->shards[shard];
	if (c.epoch > s->config.epoch) {
		s->config = c;
		announce(r, &c);
	}
	s->revision = revision;
	s->unsure = false;
}

static void take_pin(void *arg, const char *key, const uint8_t *value, uint32_t bytes, uint64_t revision)
{
	struct reconciler *r = arg;
	uint64_t shard = strtoull(key + strlen("pin/"), NULL, 10);
	(void)revision;
	for (int i = 0; shard < r->options.n_shards && i < RECONCILER_MAX_NODES; i++)
		if (r->nodes[i].id && !r->nodes[i].dead && !r->nodes[i].suspected && strlen(r->nodes[i].name) == bytes &&
		    memcmp(r->nodes[i].name, value, bytes) == 0)
			r->shards[shard].pinned = i;
}

static void take_drain(void *arg, const char *key, const uint8_t *value, uint32_t bytes, uint64_t revision)
{
	struct reconciler *r = arg;
	(void)value, (void)bytes, (void)revision;
	if (r->n_drained < RECONCILER_MAX_NODES)
		snprintf(r->drained[r->n_drained++], sizeof r->drained[0], "%s", key + strlen("drain/"));
}

static void take_steerer(void *arg, const char *key, const uint8_t *value, uint32_t bytes, uint64_t revision)
{
	struct reconciler *r = arg;
	uint64_t id = strtoull(key + strlen("steerer/"), NULL, 16);
	struct reconciler_node *n = node_of(r, id);
	(void)revision;
	if (n)
		n->registered = true;
	if (r->n_steerers == RECONCILER_MAX_NODES)
		return;
	snprintf(r->steerer_names[r->n_steerers], sizeof r->steerer_names[0], "%.*s", (int)bytes, (const char *)value);
	r->steerers[r->n_steerers++] = id;
}

static struct reconciler_fenced *oldest_fenced(struct reconciler *r)
{
	struct reconciler_fenced *oldest = r->fenced;
	for (uint32_t i = 1; i < r->n_fenced; i++)
		if (r->fenced[i].number < oldest->number)
			oldest = &r->fenced[i];
	return oldest;
}

static void take_fenced(void *arg, const char *key, const uint8_t *value, uint32_t bytes, uint64_t revision)
{
	struct reconciler *r = arg;
	char text[24];
	(void)revision;
	snprintf(text, sizeof text, "%.*s", (int)bytes, (const char *)value);
	struct reconciler_fenced f = {strtoull(key + strlen("fenced/"), NULL, 16), strtoull(text, NULL, 10)};
	struct reconciler_node *n = node_of(r, f.id);
	if (n)
		n->dead = n->suspected = true;
	if (r->n_fenced < RECONCILER_MAX_NODES)
		r->fenced[r->n_fenced++] = f;
	else if (oldest_fenced(r)->number < f.number)
		*oldest_fenced(r) = f;
}

/* Reads everything again if anything has changed. False: the store does not answer; nothing is to be decided. */
static bool read_store(struct reconciler *r)
{
	const struct store *s = r->store;
	uint64_t revision;
	uint8_t value[STORE_MAX_VALUE];
	uint32_t bytes;
	int err = s->watch(s->ctx, &revision);
	if (err) {
		r->store_err = err;
		return false;
	}
	if (revision == r->seen_revision && !r->reread)
		return true;
	for (uint32_t i = 0; i < r->options.n_shards; i++) {
		r->shards[i].pinned = PLACEMENT_NONE;
		r->shards[i].unsure = false;
	}
	r->n_drained = 0;
	r->n_steerers = 0;
	r->n_fenced = 0;
	r->scale = -1;
	if (s->list(s->ctx, "shard/", take_record, r) || s->list(s->ctx, "pin/", take_pin, r) ||
	    s->list(s->ctx, "drain/", take_drain, r) || s->list(s->ctx, "steerer/", take_steerer, r) ||
	    s->list(s->ctx, "fenced/", take_fenced, r))
		return false;
	uint64_t unused;
	if (s->get(s->ctx, "scale", value, &bytes, &unused) == 0 && bytes < sizeof value) {
		value[bytes] = 0;
		r->scale = strtoll((const char *)value, NULL, 10);
	}
	r->seen_revision = revision;
	r->reread = false;
	return true;
}

static int try_record(struct reconciler *r, const char *key, const char *text)
{
	struct store_change c = {.bytes = (uint32_t)strlen(text)};
	uint8_t value[STORE_MAX_VALUE];
	uint32_t bytes;
	if (strlen(key) > STORE_MAX_KEY || c.bytes > STORE_MAX_VALUE)
		return -EINVAL;
	strcpy(c.key, key);
	memcpy(c.value, text, c.bytes);
	int err = r->store->get(r->store->ctx, key, value, &bytes, &c.revision);
	if (err == -ENOENT && !c.bytes)
		return 0;
	if (err && err != -ENOENT)
		return err;
	r->reread = true;
	return commit(r, &c, 1);
}

static int write_record(struct reconciler *r, const char *key, const char *text)
{
	int err = -EAGAIN;
	for (int tries = 0; tries < 4 && err == -EAGAIN; tries++)
		err = try_record(r, key, text);
	return err;
}

int reconciler_move(struct reconciler *r, uint64_t shard, const char *name)
{
	char key[STORE_MAX_KEY + 1];
	if (shard >= r->options.n_shards)
		return -EINVAL;
	shard_key(key, "pin", shard);
	return write_record(r, key, name);
}

int reconciler_drain(struct reconciler *r, const char *name, bool drained)
{
	char key[STORE_MAX_KEY + 1];
	if ((size_t)snprintf(key, sizeof key, "drain/%s", name) >= sizeof key)
		return -EINVAL;
	return write_record(r, key, drained ? "1" : "");
}

int reconciler_scale(struct reconciler *r, int64_t n_nodes)
{
	char text[24];
	snprintf(text, sizeof text, "%" PRId64, n_nodes);
	return write_record(r, "scale", text);
}

static int write_of(struct reconciler *r, const char *what, uint64_t id, const char *text)
{
	char key[STORE_MAX_KEY + 1];
	snprintf(key, sizeof key, "%s/%016" PRIx64, what, id);
	return write_record(r, key, text);
}

static int register_steerer(struct reconciler *r, uint64_t id, const char *text)
{
	return write_of(r, "steerer", id, text);
}

/* The fence first: whoever finds it does not wait for the steerer, whether or not that is still registered. */
static int fence(struct reconciler *r, uint64_t id)
{
	uint64_t number = 1;
	char text[24];
	int err = read_store(r) ? 0 : r->store_err ? r->store_err : -EIO;
	if (err)
		return err;
	for (uint32_t i = 0; i < r->n_fenced; i++)
		if (r->fenced[i].number >= number)
			number = r->fenced[i].number + 1;
	snprintf(text, sizeof text, "%" PRIu64, number);
	if (!is_fenced(r, id))
		err = write_of(r, "fenced", id, text);
	if (!err && !is_fenced(r, id) && r->n_fenced == RECONCILER_MAX_NODES)
		err = write_of(r, "fenced", oldest_fenced(r)->id, "");
	return err ? err : register_steerer(r, id, "");
}

void reconciler_gone(struct reconciler *r, uint64_t id, uint64_t now_us)
{
	struct reconciler_node *n = node_of(r, id);
	(void)now_us;
	if (n)
		n->suspected = n->gone = true;
}

int reconciler_dead(struct reconciler *r, uint64_t id, uint64_t now_us)
{
	struct reconciler_node *n = node_of(r, id);
	(void)now_us;
	if (!n)
		n = add_node(r, id);
	if (n)
		n->dead = n->suspected = true;
	int err = fence(r, id);
	for (uint32_t i = 0; n && i < RECONCILER_MAX_NODES && !err; i++) {
		struct reconciler_node *x = &r->nodes[i];
		if (!same_process(x, n) || x->dead)
			continue;
		err = fence(r, x->id);
		x->dead = x->suspected = x->dead || !err; /* else it is said again */
	}
	return err;
}

/* ---- messages ---- */

static void take_epochs(struct reconciler *r, const struct reconciler_node *n)
{
	for (uint32_t i = 0; i < r->options.n_shards; i++) {
		struct reconciler_shard *s = &r->shards[i];
		if (n->epochs[i] > s->seen_epoch)
			s->seen_epoch = n->epochs[i];
		if (n->epochs[i] < s->config.epoch && n->registered)
			send_config(r, n->id, &s->config);
	}
}

static void take_report(struct reconciler *r, const struct wire_report *w, uint64_t from, uint64_t now_us)
{
	struct reconciler_node *n = node_of(r, from);
	if (w->epochs.n != r->options.n_shards || w->load.n != r->options.n_shards)
		return;
	if (!n && !is_fenced(r, from))
		n = add_node(r, from);
	if (!n || n->dead)
		return;
	snprintf(n->name, sizeof n->name, "%.*s", (int)w->name.n, (const char *)w->name.p);
	snprintf(n->endpoint, sizeof n->endpoint, "%.*s", (int)w->endpoint.n, (const char *)w->endpoint.p);
	if (!n->heard_us || n->suspected)
		r->reread = true; /* pins may name it */
	n->roles = w->roles;
	n->process = w->process;
	n->heard_us = now_us;
	n->suspected = n->gone = false;
	if (!(w->roles & 2) || (!n->registered && register_steerer(r, from, n->name) == 0))
		n->registered = true;
	for (uint32_t i = 0; i < r->options.n_shards; i++) {
		n->epochs[i] = wire_c64(w->epochs, i);
		n->load[i] = wire_c64(w->load, i);
	}
	take_epochs(r, n);
}

void reconciler_accuse(struct reconciler *r, uint64_t id, uint64_t by, uint64_t now_us)
{
	struct reconciler_node *n = node_of(r, id);
	if (n)
		n->quarantined = true;
	r->counters.faults++;
	note(r, &(struct reconciler_event){now_us, 0, 0, CONFIG_ILLEGAL, false, by, WIRE_FAULT_BAD_FRAMES, id});
}

static void take_fault(struct reconciler *r, const struct wire_fault *f, uint64_t from, uint64_t now_us)
{
	const struct reconciler_node *accuser = node_of(r, from);
	if (f->what == WIRE_FAULT_BAD_FRAMES) {
		if (accuser && !accuser->quarantined)
			reconciler_accuse(r, f->detail, from, now_us);
		return;
	}
	r->counters.faults++;
	note(r, &(struct reconciler_event){now_us, f->shard, f->epoch, CONFIG_ILLEGAL, false, from, f->what, f->detail});
}

void reconciler_message(struct reconciler *r, const struct wire_message *msg, uint64_t now_us)
{
	struct reconciler_shard *s;
	switch (msg->kind) {
	case WIRE_REPORT:
		take_report(r, &msg->report, msg->from, now_us);
		break;
	case WIRE_ASK:
		s = msg->ask.shard < r->options.n_shards ? &r->shards[msg->ask.shard] : NULL;
		if (s && msg->from == s->config.owner && msg->ask.epoch == s->config.epoch)
			s->ask = msg->ask;
		break;
	case WIRE_FAULT:
		take_fault(r, &msg->fault, msg->from, now_us);
		break;
	case WIRE_CONFIG:
		if (msg->config.shard < r->options.n_shards && msg->config.epoch > r->shards[msg->config.shard].seen_epoch)
			r->shards[msg->config.shard].seen_epoch = msg->config.epoch;
		break;
	default:
		break;
	}
}

/* ---- placement ---- */

static bool is_drained(const struct reconciler *r, const char *name)
{
	for (uint32_t i = 0; i < r->n_drained; i++)
		if (strcmp(r->drained[i], name) == 0)
			return true;
	return false;
}

/* How many usable nodes have a smaller name: `scale N` means the first N. */
static uint32_t rank(const struct reconciler *r, const bool *usable, uint32_t node)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++)
		n += usable[i] && i != node && strcmp(r->nodes[i].name, r->nodes[node].name) < 0;
	return n;
}

static uint32_t usable_nodes(const struct reconciler *r, bool usable[RECONCILER_MAX_NODES])
{
	bool healthy[RECONCILER_MAX_NODES];
	uint32_t n = 0;
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++) {
		const struct reconciler_node *x = &r->nodes[i];
		healthy[i] = x->id && x->heard_us && !x->dead && !x->suspected && !x->quarantined && (x->roles & 1) &&
			     !is_drained(r, x->name);
	}
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++) {
		usable[i] = healthy[i] && (r->scale < 0 || rank(r, healthy, i) < (uint64_t)r->scale);
		n += usable[i];
	}
	return n;
}

/* Loads are measured over whole seconds and only to a power of two: noise must not move shards. */
static void measure(struct reconciler *r, uint64_t now_us)
{
	if (now_us - r->measured_us < 1000000)
		return;
	r->measured_us = now_us;
	for (uint32_t i = 0; i < r->options.n_shards; i++) {
		struct reconciler_shard *s = &r->shards[i];
		const struct reconciler_node *n = node_of(r, s->config.owner);
		uint64_t load = n ? n->load[i] : 0, rate = load > s->last_load ? load - s->last_load : 0;
		s->last_load = load;
		s->weight = 1;
		while (s->weight < rate / 1024)
			s->weight *= 2;
	}
}

/* The first replica in another process than the owner; else the first. */
static int standby_now(struct reconciler *r, const struct config *c)
{
	const struct reconciler_node *owner = node_of(r, c->owner), *best = NULL;
	for (uint32_t i = 0; i < c->n_in_sync; i++) {
		const struct reconciler_node *n = node_of(r, c->in_sync[i]);
		if (n && (!best || (owner && same_process(best, owner) && !same_process(n, owner))))
			best = n;
	}
	return best ? (int)(best - r->nodes) : PLACEMENT_NONE;
}

static void place(struct reconciler *r)
{
	struct placement_node nodes[RECONCILER_MAX_NODES];
	bool usable[RECONCILER_MAX_NODES];
	if (usable_nodes(r, usable) == 0)
		return; /* nothing better is known than what is */
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++)
		nodes[i] = (struct placement_node){usable[i], r->nodes[i].process ? r->nodes[i].process : r->nodes[i].id};
	for (uint32_t i = 0; i < r->options.n_shards; i++) {
		struct reconciler_shard *s = &r->shards[i];
		int standby = standby_now(r, &s->config);
		r->placement[i] = (struct placement){.owner = index_of(r, s->config.owner),
						     .standby = standby >= 0 || !s->config.epoch ? standby : s->standby,
						     .pinned = s->pinned,
						     .weight = s->weight};
	}
	placement_decide(r->placement, r->options.n_shards, nodes, RECONCILER_MAX_NODES, r->options.standbys);
	for (uint32_t i = 0; i < r->options.n_shards; i++) {
		r->shards[i].owner = r->placement[i].owner;
		r->shards[i].standby = r->placement[i].standby;
	}
}

/* ---- one step ---- */

static uint64_t id_at(const struct reconciler *r, int node)
{
	return node >= 0 ? r->nodes[node].id : 0;
}

static bool is_wanted(const struct reconciler *r, const struct reconciler_shard *s, uint64_t id)
{
	return id && (id == id_at(r, s->owner) || id == id_at(r, s->standby));
}

/* The in-sync replica to promote when the owner is gone: the wanted owner, a wanted standby, any that lives. 0: none. */
static uint64_t successor(struct reconciler *r, const struct reconciler_shard *s, uint64_t now_us)
{
	uint64_t best = 0;
	for (uint32_t i = 0; i < s->config.n_in_sync; i++) {
		uint64_t id = s->config.in_sync[i];
		if (!alive(r, id, now_us))
			continue;
		if (!best || id == id_at(r, s->owner) || (is_wanted(r, s, id) && !is_wanted(r, s, best)))
			best = id;
	}
	return best;
}

/* Every steerer that is not known dead has said that it is in the new history. */
static bool all_steerers_know(struct reconciler *r, uint64_t shard)
{
	for (uint32_t i = 0; i < r->n_steerers; i++) {
		const struct reconciler_node *n = node_of(r, r->steerers[i]);
		if (is_fenced(r, r->steerers[i]) || (n && n->dead))
			continue;
		if (!n || n->epochs[shard] < r->shards[shard].config.epoch)
			return false;
	}
	return true;
}

/* Owner or in-sync replica, nobody of whom can be used now, but somebody is only silent: slow perhaps, or behind a broken switch. */
static bool may_wake(struct reconciler *r, const struct config *c)
{
	for (uint32_t i = 0; i <= c->n_in_sync; i++) {
		const struct reconciler_node *n = node_of(r, i < c->n_in_sync ? c->in_sync[i] : c->owner);
		if (n && !n->gone && !n->dead)
			return true;
	}
	return false;
}

static struct config owner_is_gone(struct reconciler *r, struct reconciler_shard *s, uint64_t now_us)
{
	uint64_t next = successor(r, s, now_us), heir = id_at(r, s->owner);
	if (next && !s->config.sealed)
		return config_promote(&s->config, next, false);
	if (!s->orphan_since_us)
		s->orphan_since_us = now_us;
	uint64_t patience_us = r->options.loss_us * (may_wake(r, &s->config) ? RECONCILER_PATIENCE : 1);
	if (r->options.loss_us && now_us - s->orphan_since_us >= patience_us && heir && heir != s->config.owner)
		return config_lose(&s->config, heir);
	return (struct config){0};
}

static struct config asked_step(struct reconciler *r, struct reconciler_shard *s, uint64_t now_us)
{
	const struct wire_ask *a = &s->ask;
	if (a->op == 2)
		return config_in_sync(&s->config, a->who) ? config_remove(&s->config, a->who) : (struct config){0};
	if (a->op == 1 && !config_member(&s->config, a->who))
		return is_wanted(r, s, a->who) && alive(r, a->who, now_us) ? config_add(&s->config, a->who)
									   : config_renew(&s->config);
	return (struct config){0};
}

/* Only the simulator's build gets here: owner and replica replaced in one step. */
static struct config two_changes(struct reconciler *r, const struct reconciler_shard *s, struct config next)
{
	uint64_t standby = id_at(r, s->standby);
	if (!SAFEGUARD(ONE_CHANGE) && standby && standby != next.owner) {
		next.n_in_sync = 1;
		next.in_sync[0] = standby;
	}
	return next;
}

/* The next record of a shard; epoch 0: it is as it should be, or nothing can be done. */
static struct config next_step(struct reconciler *r, uint64_t shard, bool *planned, uint64_t now_us)
{
	struct reconciler_shard *s = &r->shards[shard];
	uint64_t owner = id_at(r, s->owner);
	*planned = true;
	if (!s->config.epoch)
		return owner ? config_birth(shard, r->options.plan, owner) : (struct config){0};
	if (!alive(r, s->config.owner, now_us)) {
		*planned = false;
		return two_changes(r, s, owner_is_gone(r, s, now_us));
	}
	s->orphan_since_us = 0;
	if (s->config.sealed)
		return all_steerers_know(r, shard) ? config_unseal(&s->config) : (struct config){0};
	struct config asked = s->ask.epoch == s->config.epoch ? asked_step(r, s, now_us) : (struct config){0};
	if (asked.epoch)
		return asked;
	if (owner && owner != s->config.owner && config_in_sync(&s->config, owner) && alive(r, owner, now_us))
		return two_changes(r, s, config_promote(&s->config, owner, true));
	return (struct config){0};
}

static bool change_of(const struct reconciler *r, const struct config *c, struct store_change *change)
{
	struct wire_message msg = {.kind = WIRE_CONFIG, .plan = r->options.plan, .from = r->options.self};
	config_to_wire(c, &msg.config);
	int64_t n = wire_encode(&msg, change->value, sizeof change->value);
	if (n <= 0)
		return false;
	change->bytes = (uint32_t)n;
	change->revision = r->shards[c->shard].revision;
	shard_key(change->key, "shard", c->shard);
	return true;
}

static void count_step(struct reconciler *r, const struct config *from, const struct config *to, bool planned, uint64_t now_us)
{
	enum config_step step = from->epoch ? config_step_of(from, to) : CONFIG_RENEW;
	struct reconciler_counters *c = &r->counters;
	c->births += !from->epoch;
	c->renewals += from->epoch && step == CONFIG_RENEW;
	c->adds += step == CONFIG_ADD;
	c->removes += step == CONFIG_REMOVE;
	c->moves += step == CONFIG_PROMOTE && planned;
	c->promotions += step == CONFIG_PROMOTE && !planned;
	c->losses += step == CONFIG_LOSE;
	c->unseals += step == CONFIG_UNSEAL;
	note(r, &(struct reconciler_event){now_us, to->shard, to->epoch, step, planned, to->owner, 0, 0});
}

struct batch {
	uint32_t n;
	struct config to[BATCH];
	bool planned[BATCH];
	struct store_change changes[BATCH];
};

static void commit_one(struct reconciler *r, struct batch *b, uint32_t i)
{
	int err = commit(r, &b->changes[i], 1);
	r->counters.conflicts += err == -EAGAIN;
	r->counters.unknown += err == -EIO;
	if (err)
		r->shards[b->to[i].shard].unsure = true;
}

/* A dead node means a change for every shard it owned: one transaction. Whatever the answer, the records are read back before they
 * are announced: what is announced is what the store has. */
static void commit_batch(struct reconciler *r, struct batch *b, uint64_t now_us)
{
	if (!b->n)
		return;
	if (commit(r, b->changes, b->n))
		for (uint32_t i = 0; i < b->n && b->n > 1; i++)
			commit_one(r, b, i);
	struct config before[BATCH];
	for (uint32_t i = 0; i < b->n; i++)
		before[i] = r->shards[b->to[i].shard].config;
	r->reread = true;
	if (read_store(r))
		for (uint32_t i = 0; i < b->n; i++)
			if (config_equal(&r->shards[b->to[i].shard].config, &b->to[i]))
				count_step(r, &before[i], &b->to[i], b->planned[i], now_us);
	b->n = 0;
}

static void decide(struct reconciler *r, uint64_t now_us)
{
	struct batch *b = calloc(1, sizeof *b);
	for (uint32_t i = 0; b && i < r->options.n_shards; i++) {
		struct reconciler_shard *s = &r->shards[i];
		if (s->seen_epoch > s->config.epoch) {
			r->counters.refused++; /* the store has lost something: act on nothing */
			continue;
		}
		struct config to = next_step(r, i, &b->planned[b->n], now_us);
		if (!to.epoch || (s->config.epoch && config_step_of(&s->config, &to) == CONFIG_ILLEGAL))
			continue;
		b->to[b->n] = to;
		if (change_of(r, &to, &b->changes[b->n]) && ++b->n == BATCH)
			commit_batch(r, b, now_us);
	}
	if (b)
		commit_batch(r, b, now_us);
	free(b);
}

/* ---- telling ---- */

static void send_want(struct reconciler *r, uint64_t shard, uint64_t now_us)
{
	struct reconciler_shard *s = &r->shards[shard];
	uint64_t members[2], owner = id_at(r, s->owner), standby = id_at(r, s->standby);
	uint32_t n = 0;
	if (owner && owner != s->config.owner)
		members[n++] = owner;
	if (standby && standby != s->config.owner)
		members[n++] = standby;
	bool same = n == s->config.n_in_sync;
	for (uint32_t i = 0; i < n && same; i++)
		same = config_in_sync(&s->config, members[i]);
	if (same || !s->config.epoch || s->config.sealed || now_us - s->wanted_us < r->options.repeat_us)
		return;
	struct wire_message msg = {.kind = WIRE_WANT,
				   .want = {.shard = shard, .epoch = s->config.epoch, .members = wire_column(members, n)}};
	s->wanted_us = now_us;
	r->out.send(r->out.ctx, s->config.owner, &msg);
}

/* Whose live ports' streams are over: said as long as the store remembers, since nobody answers. */
static void send_retired(struct reconciler *r)
{
	uint64_t ids[RECONCILER_MAX_NODES];
	for (uint32_t i = 0; i < r->n_fenced; i++)
		ids[i] = r->fenced[i].id;
	struct wire_message msg = {.kind = WIRE_RETIRE, .retire = {wire_column(ids, r->n_fenced)}};
	for (uint32_t i = 0; r->n_fenced && i < RECONCILER_MAX_NODES; i++)
		if (r->nodes[i].id && !r->nodes[i].dead && !r->nodes[i].suspected && (r->nodes[i].roles & 1))
			r->out.send(r->out.ctx, r->nodes[i].id, &msg);
}

static void send_roster(struct reconciler *r, uint64_t now_us)
{
	uint64_t ids[RECONCILER_MAX_NODES];
	char endpoints[RECONCILER_MAX_NODES * 257];
	uint32_t n = 0, bytes = 0;
	if (now_us - r->roster_us < r->options.repeat_us)
		return;
	r->roster_us = now_us;
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++) {
		const struct reconciler_node *x = &r->nodes[i];
		if (!x->id || x->dead || x->quarantined)
			continue;
		ids[n++] = x->id;
		memcpy(endpoints + bytes, x->endpoint, strlen(x->endpoint) + 1);
		bytes += (uint32_t)strlen(x->endpoint) + 1;
	}
	struct wire_message msg = {.kind = WIRE_ROSTER,
				   .roster = {r->options.n_shards, wire_column(ids, n), {(const uint8_t *)endpoints, bytes}}};
	for (uint32_t i = 0; i < n; i++)
		r->out.send(r->out.ctx, ids[i], &msg);
	send_retired(r);
}

static uint32_t watch_nodes(struct reconciler *r, uint64_t now_us)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++) {
		struct reconciler_node *x = &r->nodes[i];
		if (x->id && !x->suspected && now_us - x->heard_us > r->options.lease_us)
			x->suspected = true;
		n += x->id && x->heard_us && !x->suspected && (x->roles & 1);
	}
	return n;
}

/* Two controllers may see the nodes differently for a while, and undo each other's placement: one acts at a time. */
static bool leads(struct reconciler *r, uint64_t now_us)
{
	uint64_t holder = 0;
	if (!r->options.leader_ms)
		return true;
	if (r->leader_asked_us && now_us - r->leader_asked_us < r->options.leader_ms * 250) /* a quarter of the lease */
		return r->leads;
	r->leader_asked_us = now_us;
	int err = r->store->lease(r->store->ctx, "leader", r->options.self, now_us / 1000, r->options.leader_ms, &holder);
	r->store_err = err == -EAGAIN ? 0 : err;
	r->leads = !err && holder == r->options.self;
	if (err == -EAGAIN)
		r->leader_asked_us = 0; /* another controller writes: ask again at once */
	return r->leads;
}

static void forgive(uint64_t *since_us, uint64_t gap_us, uint64_t now_us)
{
	if (*since_us)
		*since_us = now_us - *since_us > gap_us ? *since_us + gap_us : now_us;
}

/* While this process did not run nobody could be heard: that is nobody's silence. */
static void forgive_pause(struct reconciler *r, uint64_t now_us)
{
	uint64_t gap_us = r->ticked_us ? now_us - r->ticked_us : 0;
	r->ticked_us = now_us;
	if (gap_us < r->options.lease_us / 4)
		return;
	for (uint32_t i = 0; i < RECONCILER_MAX_NODES; i++)
		forgive(&r->nodes[i].heard_us, gap_us, now_us);
	for (uint32_t i = 0; i < r->options.n_shards; i++)
		forgive(&r->shards[i].orphan_since_us, gap_us, now_us);
}

void reconciler_tick(struct reconciler *r, uint64_t now_us)
{
	forgive_pause(r, now_us);
	uint32_t n_alive = watch_nodes(r, now_us);
	if (!read_store(r))
		return;
	send_roster(r, now_us);
	if (!leads(r, now_us))
		return;
	measure(r, now_us);
	if (n_alive >= r->options.min_nodes || r->shards[0].config.epoch) {
		place(r);
		decide(r, now_us);
	}
	for (uint32_t i = 0; i < r->options.n_shards; i++)
		send_want(r, i, now_us);
}

#include "node/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct member_limits node_default_limits(void)
{
	return (struct member_limits){.repeat_us = 20000,
				      .handover_us = 2000,
				      .silent_us = 400000,
				      .log_deltas = 4096,
				      .log_bytes = 8u << 20,
				      .chunk_entries = 2048,
				      .credit = 4,
				      .lag = 64,
				      .snapshots = 4,
				      .forget_us = 2000000};
}

/* Counts executions for the load that REPORT carries. */
static void execute_counted(void *ctx, uint64_t shard, struct shard *state, const struct node_packet *p, uint32_t count,
			    struct verdict *v)
{
	struct node *n = ctx;
	n->applied[shard] += count;
	n->options.ops.execute(n->options.ops.ctx, shard, state, p, count, v);
}

static struct shard *shard_new_for(void *ctx, uint64_t shard)
{
	struct node *n = ctx;
	return n->options.ops.shard_new(n->options.ops.ctx, shard);
}

int node_init(struct node *n, const struct node_options *o)
{
	*n = (struct node){.options = *o};
	if (!o->n_shards || o->n_shards > WIRE_MAX_SHARDS || o->self <= OUTBOX_MAX_CONTROLLERS ||
	    o->limits.credit > MEMBER_MAX_CREDIT)
		return -EINVAL;
	outbox_init(&n->out, o->self, o->plan);
	n->env = (struct member_env){.self = o->self,
				     .release = o->release,
				     .readable_bytes = o->readable_bytes,
				     .limits = o->limits,
				     .ops = {shard_new_for, execute_counted, n},
				     .out = &n->out,
				     .snapshot_columns = malloc(sizeof *n->env.snapshot_columns)};
	n->members = calloc(o->n_shards, sizeof *n->members);
	n->epochs = calloc(o->n_shards, sizeof *n->epochs);
	n->applied = calloc(o->n_shards, sizeof *n->applied);
	if (!n->env.snapshot_columns || !n->members || !n->epochs || !n->applied) {
		node_fini(n);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < o->n_shards; i++)
		member_init(&n->members[i], &n->env, i);
	return 0;
}

void node_fini(struct node *n)
{
	for (uint32_t i = 0; n->members && i < n->options.n_shards; i++)
		member_fini(&n->members[i]);
	free(n->members);
	free(n->epochs);
	free(n->applied);
	free(n->local);
	free(n->env.snapshot_columns);
	delta_columns_fini(&n->env.columns);
	outbox_fini(&n->out);
	*n = (struct node){0};
}

int node_add_steerer(struct node *n, struct steerer *s)
{
	if (n->n_steerers == NODE_MAX_STREAMS)
		return -ENOSPC;
	n->steerers[n->n_steerers++] = s;
	return 0;
}

/* Every message about a shard has the shard's number as its first field. */
static uint64_t shard_of(const struct wire_message *msg)
{
	return msg->config.shard;
}

static bool is_about_shard(enum wire_kind kind)
{
	switch (kind) {
	case WIRE_CONFIG:
	case WIRE_WORK:
	case WIRE_VERDICTS:
	case WIRE_RESUME:
	case WIRE_POSITION:
	case WIRE_SYNC:
	case WIRE_DELTA:
	case WIRE_HAVE:
	case WIRE_CHUNK:
	case WIRE_PULL:
	case WIRE_FINAL:
	case WIRE_WANT:
		return true;
	default:
		return false;
	}
}

static void dispatch(struct node *n, const struct wire_message *msg, uint64_t now_us)
{
	for (uint32_t i = 0; msg->kind == WIRE_RETIRE && i < n->options.n_shards; i++)
		member_message(&n->members[i], msg, now_us);
	if (!is_about_shard(msg->kind) || shard_of(msg) >= n->options.n_shards)
		return;
	for (uint32_t i = 0; i < n->n_steerers; i++)
		steerer_message(n->steerers[i], msg, now_us);
	if (msg->kind != WIRE_VERDICTS && msg->kind != WIRE_POSITION)
		member_message(&n->members[shard_of(msg)], msg, now_us);
	if (n->options.observe)
		n->options.observe(n->options.ops.ctx);
}

/* Handles the outbox's frames to this very process, those they cause included, and takes them out. Ends: a message to oneself causes
 * only messages of lower classes (WORK: VERDICTS; RESUME: POSITION; POSITION: WORK, each packet once). */
static void drain_local(struct node *n, uint64_t now_us)
{
	struct outbox *o = &n->out;
	struct wire_message msg;
	for (uint32_t i = 0; i < o->n; i++) {
		struct outbox_frame f = o->frames[i];
		if (f.to != n->options.self)
			continue;
		o->frames[i].to = 0;
		if (f.bytes > n->local_room) {
			uint8_t *grown = realloc(n->local, 2 * (size_t)f.bytes);
			if (!grown)
				continue; /* as if lost: timers repeat it */
			n->local = grown;
			n->local_room = 2 * (size_t)f.bytes;
		}
		memcpy(n->local, o->bytes + f.offset, f.bytes);
		if (!wire_decode(n->local, f.bytes, &msg))
			dispatch(n, &msg, now_us);
	}
	uint32_t kept = 0;
	for (uint32_t i = 0; i < o->n; i++)
		if (o->frames[i].to)
			o->frames[kept++] = o->frames[i];
	o->n = kept;
}

int node_frame(struct node *n, const uint8_t *frame, size_t bytes, uint64_t now_us)
{
	struct wire_message msg;
	int err = wire_decode(frame, bytes, &msg);
	if (err) {
		n->bad_frames++;
		return err;
	}
	if (msg.plan != n->options.plan && msg.kind != WIRE_FAULT) {
		struct wire_message fault = {.kind = WIRE_FAULT, .fault = {0, 0, WIRE_FAULT_PLAN, msg.plan}};
		n->other_plans++;
		outbox_send(&n->out, msg.from, &fault);
		return -EBADMSG;
	}
	dispatch(n, &msg, now_us);
	drain_local(n, now_us);
	return 0;
}

static void report(struct node *n, uint64_t now_us)
{
	const struct node_options *o = &n->options;
	for (uint32_t i = 0; i < o->n_shards; i++)
		n->epochs[i] = n->members[i].config.epoch;
	struct wire_message msg = {.kind = WIRE_REPORT,
				   .report = {.name = {(const uint8_t *)o->name, (uint32_t)strlen(o->name)},
					      .endpoint = {(const uint8_t *)o->endpoint, (uint32_t)strlen(o->endpoint)},
					      .roles = o->roles,
					      .process = o->process ? o->process : o->self,
					      .epochs = wire_column(n->epochs, o->n_shards),
					      .load = wire_column(n->applied, o->n_shards),
					      .gone = wire_column(n->gone, n->n_gone)}};
	outbox_send(&n->out, OUTBOX_CONTROLLER, &msg);
	n->reported_us = now_us;
	n->n_gone = 0;
}

/* While this process did not run nobody could be heard: that is nobody's silence. */
static void forgive_pause(struct node *n, uint64_t now_us)
{
	uint64_t gap_us = n->ticked_us ? now_us - n->ticked_us : 0;
	n->ticked_us = now_us;
	for (uint32_t i = 0; gap_us >= n->options.limits.silent_us / 4 && i < n->options.n_shards; i++)
		feed_forgive(&n->members[i], gap_us, now_us);
}

void node_tick(struct node *n, uint64_t now_us)
{
	forgive_pause(n, now_us);
	for (uint32_t i = 0; i < n->options.n_shards; i++)
		if (member_busy(&n->members[i]))
			member_tick(&n->members[i], now_us);
	for (uint32_t i = 0; i < n->n_steerers; i++)
		steerer_tick(n->steerers[i], now_us);
	if (!n->reported_us || now_us - n->reported_us >= n->options.heartbeat_us)
		report(n, now_us);
	drain_local(n, now_us);
}

void node_gone(struct node *n, uint64_t who, uint64_t now_us)
{
	for (uint32_t i = 0; i < n->options.n_shards; i++)
		member_gone(&n->members[i], who, now_us);
	if (n->n_gone < WIRE_MAX_NODES)
		n->gone[n->n_gone++] = who;
	drain_local(n, now_us);
}

void node_flush(struct node *n, uint64_t now_us)
{
	for (uint32_t i = 0; i < n->n_steerers; i++)
		steerer_flush(n->steerers[i]);
	drain_local(n, now_us);
}

/* live.c: see live.h. */
#include "node/live.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/port_report.h"
#include "state/mix.h"

#define SEND_TRIES 16 /* at a full transmit queue, before the packet is given up */
#define WORK_PKTS  64

/* From arrival to release. */
struct held {
	void *frame;
	const uint8_t *data; /* in the frame */
};

/* One receive queue. */
struct queue {
	struct steerer steerer;
	struct io *in, *out;
	uint32_t rx, tx, port;
	struct held *held; /* [window_pkts] by input index */
	struct io_burst burst;
	uint32_t next;  /* first of the burst that the steerer has not taken */
	uint64_t taken; /* from the port; this and the counts are read by others */
	struct dataplane_counts counts;
	FILE *verdicts, *order;
};

struct live {
	struct live_config config;
	const struct plan *plan;
	uint32_t readable_bytes;       /* carried to the owner; the frame itself stays here */
	uint32_t n_queues, of_process; /* of this core, of all together */
	struct queue *queues[NODE_MAX_STREAMS];
};

static void add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* ---- in ---- */

/* A packet that the guard refuses belongs to no shard in particular. */
static uint32_t shard_of(const struct plan *plan, const struct vfm_packet *p)
{
	return plan->shards > 1 && plan_guard_holds(plan, p) ? plan_shard(plan, p) : 0;
}

/* Only a burst that will find room is taken from the port; a shard of its own may be full all the same, then the rest waits here. */
static bool has_burst(const struct live *l, struct queue *q)
{
	const struct steerer *s = &q->steerer;

	if (q->next < q->burst.n)
		return true;
	if (l->config.window_pkts - (s->end - s->first) < IO_BURST_PACKETS)
		return false;
	q->next = 0;
	add(&q->taken, io_rx(q->in, q->rx, &q->burst));
	return q->burst.n > 0;
}

static uint32_t read_queue(struct live *l, struct queue *q, uint64_t most, uint64_t now_us)
{
	uint32_t n = 0;

	if (!most || !has_burst(l, q))
		return 0;
	for (; q->next < q->burst.n && n < most; n++) {
		const struct vfm_packet *p = &q->burst.packets[q->next];
		uint32_t carried = p->len < l->readable_bytes ? p->len : l->readable_bytes;
		struct node_packet packet = {p->time_us, p->input, p->len, carried, p->data};
		uint64_t index = q->steerer.end;

		if (steerer_packet(&q->steerer, shard_of(l->plan, p), &packet, now_us))
			break;
		q->held[index & (l->config.window_pkts - 1)] = (struct held){q->burst.frames[q->next++], p->data};
	}
	return n;
}

uint32_t live_read(struct live *l, uint64_t most, uint64_t now_us)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n_queues; i++)
		n += read_queue(l, l->queues[i], most - n, now_us);
	return n;
}

/* ---- out ---- */

static void send_frames(struct queue *q, void *const *frames, uint32_t n)
{
	uint32_t sent = 0;

	for (uint32_t tries = 0; sent < n && tries < SEND_TRIES; tries++)
		sent += io_tx(q->out, q->tx, frames + sent, n - sent);
	io_free(q->in, frames + sent, n - sent);
	add(&q->counts.sent, sent);
	add(&q->counts.send_dropped, n - sent);
}

/* True: accepted. */
static bool count(struct dataplane_counts *c, const struct verdict *v)
{
	add(&c->packets, 1);
	if (v->error) {
		add(&c->errors[v->error - 1], 1);
		return false;
	}
	add(&c->accept, v->value >= 1);
	add(&c->log, v->value >= 2);
	add(&c->drop, v->value == 0);
	return v->value >= 1;
}

static struct vfm_result result_of(const struct verdict *v)
{
	struct vfm_result r = {.value = v->value};

	if (v->error)
		r.error = verdict_error_code((enum verdict_error_index)(v->error - 1));
	return r;
}

/* What is kept of a packet besides its counts. */
static void write_down(struct live *l, struct queue *q, const struct steerer_release *r, const uint8_t *data)
{
	struct vfm_packet packet = {.data = data, .len = r->packet.length, .input = r->packet.input, .time_us = r->packet.time_us};
	struct vfm_result result = result_of(&r->verdict);

	if (q->verdicts)
		(void)verdict_write(q->verdicts, &result); /* live_close() tells */
	if (q->order)
		fprintf(q->order, "%u %" PRIu64 "\n", r->shard, r->verdict.index);
	for (uint32_t i = 0; i < l->config.n_mirrors; i++)
		mirror_offer(l->config.mirrors[i], l->config.core, &packet, &result);
}

/* A process that is killed while it holds nothing leaves whole files. */
static void flush_when_idle(const struct queue *q)
{
	if (!steerer_idle(&q->steerer))
		return;
	if (q->verdicts)
		(void)fflush(q->verdicts);
	if (q->order)
		(void)fflush(q->order);
}

static uint32_t release_queue(struct live *l, struct queue *q, uint64_t now_us)
{
	void *frames[IO_BURST_PACKETS];
	struct steerer_release r;
	uint32_t n = 0, n_frames = 0;

	for (; steerer_next(&q->steerer, &r, now_us); n++) {
		struct held *held = &q->held[r.index & (l->config.window_pkts - 1)];

		/* An owner of the same plan says no other error; a frame that is not of this process is not believed. */
		if (r.verdict.error > VERDICT_ERROR_KINDS)
			r.verdict = (struct verdict){.error = VERDICT_INDEX_GUARD + 1};
		write_down(l, q, &r, held->data);
		if (!count(&q->counts, &r.verdict)) {
			io_free(q->in, &held->frame, 1);
			continue;
		}
		frames[n_frames++] = held->frame;
		if (n_frames == IO_BURST_PACKETS) {
			send_frames(q, frames, n_frames);
			n_frames = 0;
		}
	}
	if (n_frames)
		send_frames(q, frames, n_frames);
	steerer_durable(&q->steerer, steerer_settled(&q->steerer)); /* what has left by a port is as safe as it will ever be */
	if (n)
		flush_when_idle(q);
	return n;
}

uint32_t live_release(struct live *l, uint64_t now_us)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n_queues; i++)
		n += release_queue(l, l->queues[i], now_us);
	return n;
}

/* ---- looking ---- */

bool live_idle(const struct live *l)
{
	for (uint32_t i = 0; i < l->n_queues; i++)
		if (l->queues[i]->next < l->queues[i]->burst.n || !steerer_idle(&l->queues[i]->steerer))
			return false;
	return true;
}

struct dataplane_counts live_counts(const struct live *l, uint32_t port)
{
	struct dataplane_counts sum = {0};

	for (uint32_t i = 0; i < l->n_queues; i++)
		if (l->queues[i]->port == port)
			port_report_add(&sum, &l->queues[i]->counts);
	return sum;
}

uint64_t live_held(const struct live *l)
{
	uint64_t held = 0;

	for (uint32_t i = 0; i < l->n_queues; i++) {
		const struct queue *q = l->queues[i];
		uint64_t released = __atomic_load_n(&q->counts.packets, __ATOMIC_RELAXED);

		held += __atomic_load_n(&q->taken, __ATOMIC_RELAXED) - released; /* read last: never less */
	}
	return held;
}

uint32_t live_streams(const struct live *l)
{
	return l->n_queues;
}

/* ---- start and end ---- */

static int open_file(const struct live *l, const char *base, uint32_t number, FILE **out, char error[IO_ERROR_BYTES])
{
	char name[512];

	if (!base)
		return 0;
	snprintf(name, sizeof(name), l->of_process == 1 ? "%s" : "%s.%u", base, number);
	*out = fopen(name, "w");
	if (*out)
		return 0;
	snprintf(error, IO_ERROR_BYTES, "%s, %s: name a file that can be written", strerror(errno), name);
	return -EIO;
}

static int open_queue(struct live *l, struct node *node, struct queue *q, uint32_t number)
{
	const struct node_options *n = &node->options;
	struct steerer_options o = {.stream = mix64(n->self + number),
				    .session = n->self,
				    .fresh = true,
				    .early = n->release == RELEASE_EARLY,
				    .n_shards = n->n_shards,
				    .window = l->config.window_pkts,
				    .shard_window = SIGMA_MAX_TAIL,
				    .burst = WORK_PKTS,
				    .flying = STEERER_FLYING,
				    .repeat_us = n->limits.repeat_us};
	uint32_t of_port_0 = l->config.ports[0]->rx_queues;
	int rc = steerer_init(&q->steerer, &o, &node->out);

	q->port = number >= of_port_0;
	q->rx = number - q->port * of_port_0;
	q->in = l->config.ports[q->port];
	q->out = l->config.ports[!q->port];
	q->tx = q->out->tx_queues ? q->rx % q->out->tx_queues : 0;
	q->held = calloc(l->config.window_pkts, sizeof(*q->held));
	if (!rc && !q->held)
		rc = -ENOMEM;
	return rc;
}

/* Number `number` of all queues, those of port 0 first. */
static int add_queue(struct live *l, struct node *node, uint32_t number, char error[IO_ERROR_BYTES])
{
	struct queue *q = calloc(1, sizeof(*q));
	int rc = q ? open_queue(l, node, q, number) : -ENOMEM;

	if (q)
		l->queues[l->n_queues++] = q;
	if (!rc)
		rc = open_file(l, l->config.verdicts, number, &q->verdicts, error);
	if (!rc)
		rc = open_file(l, l->config.order, number, &q->order, error);
	return rc;
}

static bool is_own(const struct live_config *c, uint32_t number)
{
	uint32_t of_port_0 = c->ports[0]->rx_queues, rx = number < of_port_0 ? number : number - of_port_0;

	return !c->cores || rx % c->cores == c->core;
}

int live_open(const struct live_config *config, struct node *node, const struct plan *plan, struct live **out,
	      char error[IO_ERROR_BYTES])
{
	struct live *l = calloc(1, sizeof(*l));
	uint32_t n = config->ports[0]->rx_queues + (config->one_way ? 0 : config->ports[1]->rx_queues);
	int rc = l ? 0 : -ENOMEM;

	*out = NULL;
	snprintf(error, IO_ERROR_BYTES, "out of memory, the ports' windows: close other programs");
	if (node->n_steerers + n > NODE_MAX_STREAMS) {
		snprintf(error, IO_ERROR_BYTES, "%u receive queues, %.100s: at most %d together; give fewer --queues", n,
			 config->ports[0]->name, NODE_MAX_STREAMS);
		rc = -ENOSPC;
	}
	if (!rc) {
		l->config = *config;
		l->plan = plan;
		l->readable_bytes = node->options.readable_bytes;
		l->of_process = n;
	}
	for (uint32_t i = 0; i < n && !rc; i++)
		if (is_own(config, i))
			rc = add_queue(l, node, i, error);
	for (uint32_t i = 0; !rc && i < l->n_queues; i++) /* cannot fail: there is room for all */
		rc = node_add_steerer(node, &l->queues[i]->steerer);
	if (rc)
		(void)live_close(l);
	else
		*out = l;
	return rc;
}

/* -EIO: not all of it is written. */
static int close_file(FILE *f)
{
	int bad = f ? ferror(f) : 0;

	return f && (fclose(f) || bad) ? -EIO : 0;
}

static int close_queue(struct live *l, struct queue *q)
{
	struct steerer *s = &q->steerer;
	int rc = close_file(q->verdicts), rest = close_file(q->order);

	for (uint64_t i = s->release; q->held && i < s->end; i++)
		io_free(q->in, &q->held[i & (l->config.window_pkts - 1)].frame, 1);
	if (q->next < q->burst.n)
		io_free(q->in, q->burst.frames + q->next, q->burst.n - q->next);
	steerer_fini(s);
	free(q->held);
	free(q);
	return rc ? rc : rest;
}

int live_close(struct live *l)
{
	int rc = 0;

	for (uint32_t i = 0; l && i < l->n_queues; i++)
		if (close_queue(l, l->queues[i]))
			rc = -EIO;
	free(l);
	return rc;
}

/* dataplane.c: a core's work. See dataplane.h. */
#include <assert.h>
#include <sched.h>

#include "node/dataplane_core.h"
#include "node/eal_dpdk.h"

#define SEND_TRIES  32u
#define YIELD_AFTER 256u /* rounds without work before the processor is offered to others */

/* ---- release ---- */

static void send_or_drop(struct core *c, struct input *from, struct io *to, void *const *frames, uint32_t n)
{
	uint32_t queue = to->tx_queues ? c->index % to->tx_queues : 0;
	uint32_t sent = 0;

	for (uint32_t tries = 0; sent < n && tries < SEND_TRIES; tries++)
		sent += io_tx(to, queue, frames + sent, n - sent);
	count(&from->counts.sent, sent);
	count(&from->counts.send_dropped, n - sent);
	if (sent < n)
		io_free(to, frames + sent, n - sent);
}

static void count_verdicts(struct dataplane_counts *counts, const struct batch *b)
{
	uint32_t accept = 0, log = 0, drop = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		const struct vfm_result *r = &b->results[i];

		if (r->error)
			count(&counts->errors[verdict_error_index(r->error)], 1);
		accept += !r->error && r->value >= 1;
		log += !r->error && r->value >= 2;
		drop += !r->error && r->value == 0;
	}
	count(&counts->packets, b->n);
	count(&counts->accept, accept);
	count(&counts->log, log);
	count(&counts->drop, drop);
}

/* To the verdict file and the mirrors. */
static void tell(struct core *c, const struct batch *b)
{
	const struct dataplane_config *config = &c->dp->config;

	for (uint32_t i = 0; b->input->verdicts && i < b->n; i++)
		(void)verdict_write(b->input->verdicts, &b->results[i]);
	for (uint32_t k = 0; k < config->n_mirrors; k++)
		for (uint32_t i = 0; i < b->n; i++)
			mirror_offer(config->mirrors[k], c->index, &b->packets[i], &b->results[i]);
}

static void let_go(struct core *c, const struct batch *b)
{
	void *out[IO_BURST_PACKETS], *dropped[IO_BURST_PACKETS];
	uint32_t n_out = 0, n_dropped = 0;

	count_verdicts(&b->input->counts, b);
	tell(c, b);
	for (uint32_t i = 0; i < b->n; i++) {
		bool passes = b->results[i].error == 0 && b->results[i].value;

		out[n_out] = dropped[n_dropped] = b->frames[i];
		n_out += passes;
		n_dropped += !passes;
	}
	if (n_out)
		send_or_drop(c, b->input, c->dp->config.ports[!PORT_OF(b->input)], out, n_out);
	if (n_dropped)
		io_free(b->input->port, dropped, n_dropped);
}

/* The packets at the head of the window that are done and came by one input, at most a burst of them. */
static uint32_t release_batch(struct core *c)
{
	struct vfm_packet packets[IO_BURST_PACKETS];
	struct vfm_result results[IO_BURST_PACKETS];
	void *frames[IO_BURST_PACKETS];
	struct batch b = {c->window[c->first % WINDOW].input, 0, packets, results, frames};

	while (c->first != c->next && b.n < IO_BURST_PACKETS) {
		const struct slot *s = &c->window[c->first % WINDOW];

		if (!s->done || s->input != b.input)
			break;
		packets[b.n] = s->packet;
		results[b.n] = s->result;
		frames[b.n++] = s->frame;
		c->first++;
	}
	if (b.n)
		let_go(c, &b);
	return b.n;
}

static uint32_t release(struct core *c)
{
	uint32_t total = 0, n;

	while (total < WINDOW && (n = release_batch(c)) > 0)
		total += n;
	return total;
}

/* ---- execution ---- */

static void execute(struct core *c, struct loaded *code, const uint32_t *shards, const struct vfm_packet *packets, uint32_t n,
		    struct vfm_result *results)
{
	struct shard *states[IO_BURST_PACKETS];

	for (uint32_t i = 0; i < n; i++)
		states[i] = code->sharded.shards[shards[i]];
	if (code->sharded.n == 1)
		count(&code->shard_packets[0], n);
	for (uint32_t i = 0; code->sharded.n > 1 && i < n; i++)
		count(&code->shard_packets[shards[i]], 1);
	engine_run(code->engines[c->index], states, packets, n, results);
	count(&c->counts.executed, n);
	count(&c->counts.bursts, 1);
}

/* Runs neighbours of the same code together. */
static void serve_burst(struct core *c, uint32_t peer, const struct request *requests, uint32_t n)
{
	struct vfm_packet packets[IO_BURST_PACKETS];
	struct vfm_result results[IO_BURST_PACKETS];
	struct reply replies[IO_BURST_PACKETS];
	uint32_t shards[IO_BURST_PACKETS], put;

	for (uint32_t i = 0, k; i < n; i = k) {
		for (k = i; k < n && requests[k].code == requests[i].code; k++) {
			packets[k - i] = requests[k].packet;
			shards[k - i] = requests[k].shard;
		}
		execute(c, requests[i].code, shards, packets, k - i, results + i);
	}
	for (uint32_t i = 0; i < n; i++)
		replies[i] = (struct reply){.result = results[i], .slot = requests[i].slot};
	put = lane_put(c->dp->replies[c->index][peer], replies, n);
	assert(put == n);
	(void)put;
	count(&c->counts.served, n);
}

static uint32_t serve(struct core *c)
{
	struct request requests[IO_BURST_PACKETS];
	uint32_t total = 0;

	for (uint32_t peer = 0; peer < c->dp->config.cores; peer++) {
		uint32_t n;

		if (peer == c->index)
			continue;
		n = lane_get(c->dp->requests[peer][c->index], requests, IO_BURST_PACKETS);
		if (n)
			serve_burst(c, peer, requests, n);
		total += n;
	}
	return total;
}

static uint32_t collect(struct core *c)
{
	struct reply replies[IO_BURST_PACKETS];
	uint32_t total = 0;

	for (uint32_t peer = 0; peer < c->dp->config.cores; peer++) {
		uint32_t n = peer == c->index ? 0 : lane_get(c->dp->replies[peer][c->index], replies, IO_BURST_PACKETS);

		for (uint32_t i = 0; i < n; i++) {
			struct slot *s = &c->window[replies[i].slot % WINDOW];

			assert(!s->done);
			s->result = replies[i].result;
			s->done = true;
		}
		total += n;
	}
	return total;
}

/* ---- reception ---- */

/* Where the packets of a burst go. */
struct steered {
	uint32_t shards[IO_BURST_PACKETS];
	bool refused[IO_BURST_PACKETS]; /* by the guard */
	bool all_own, any_refused;
};

static void steer(const struct core *c, const struct io_burst *b, struct steered *s)
{
	const struct plan *plan = c->code->plan;

	s->all_own = true;
	s->any_refused = false;
	for (uint32_t i = 0; i < b->n; i++) {
		s->refused[i] = !plan_guard_holds(plan, &b->packets[i]);
		s->any_refused |= s->refused[i];
		s->shards[i] = s->refused[i] ? 0 : plan_shard(plan, &b->packets[i]);
		s->all_own &= s->refused[i] || owner_of(c->dp, s->shards[i]) == c->index;
	}
}

/* Runs those packets of the burst that are this core's, in order; which[] says where their results belong. */
static uint32_t execute_own(struct core *c, const struct io_burst *b, const struct steered *s, uint32_t *which,
			    struct vfm_result *results)
{
	struct vfm_packet packets[IO_BURST_PACKETS];
	uint32_t shards[IO_BURST_PACKETS], n = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		if (s->refused[i] || owner_of(c->dp, s->shards[i]) != c->index)
			continue;
		packets[n] = b->packets[i];
		shards[n] = s->shards[i];
		which[n++] = i;
	}
	if (n)
		execute(c, c->code, shards, packets, n, results);
	return n;
}

static void run_through(struct core *c, struct input *input, const struct io_burst *b, const struct steered *s)
{
	struct vfm_result results[IO_BURST_PACKETS];

	if (s->any_refused) {
		struct vfm_result own[IO_BURST_PACKETS];
		uint32_t which[IO_BURST_PACKETS], n = execute_own(c, b, s, which, own);

		for (uint32_t i = 0; i < b->n; i++)
			results[i] = (struct vfm_result){.error = VERDICT_ERROR_GUARD};
		for (uint32_t i = 0; i < n; i++)
			results[which[i]] = own[i];
	} else {
		execute(c, c->code, s->shards, b->packets, b->n, results);
	}
	let_go(c, &(struct batch){input, b->n, b->packets, results, b->frames});
}

/* Asks the owners of the shards that are not this core's. */
static void ask(struct core *c, const struct io_burst *b, const struct steered *s, uint32_t first_slot)
{
	for (uint32_t i = 0; i < b->n; i++) {
		uint32_t owner = owner_of(c->dp, s->shards[i]);
		struct outbox *o = &c->outboxes[owner];

		if (s->refused[i] || owner == c->index)
			continue;
		o->requests[o->n++] =
			(struct request){.packet = b->packets[i], .code = c->code, .shard = s->shards[i], .slot = first_slot + i};
	}
	for (uint32_t peer = 0; peer < c->dp->config.cores; peer++) {
		struct outbox *o = &c->outboxes[peer];
		uint32_t put = o->n ? lane_put(c->dp->requests[c->index][peer], o->requests, o->n) : 0;

		assert(put == o->n);
		count(&c->counts.asked, put);
		o->n = 0;
	}
}

/* The caller has made sure of room for a burst. */
static void run_windowed(struct core *c, struct input *input, const struct io_burst *b, const struct steered *s)
{
	struct vfm_result results[IO_BURST_PACKETS];
	uint32_t which[IO_BURST_PACKETS], n, first = c->next;

	for (uint32_t i = 0; i < b->n; i++) {
		assert(c->next - c->first < WINDOW);
		c->window[c->next++ % WINDOW] = (struct slot){
			.packet = b->packets[i],
			.frame = b->frames[i],
			.input = input,
			.result = {.error = VERDICT_ERROR_GUARD},
			.done = s->refused[i],
		};
	}
	ask(c, b, s, first);
	n = execute_own(c, b, s, which, results);
	for (uint32_t i = 0; i < n; i++) {
		struct slot *slot = &c->window[(first + which[i]) % WINDOW];

		slot->result = results[i];
		slot->done = true;
	}
}

static uint32_t receive(struct core *c, struct input *input)
{
	struct io_burst b;
	struct steered s;

	if (WINDOW - (c->next - c->first) < IO_BURST_PACKETS || !io_rx(input->port, input->queue, &b))
		return 0;
	steer(c, &b, &s);
	if (s.all_own && c->first == c->next)
		run_through(c, input, &b, &s);
	else
		run_windowed(c, input, &b, &s);
	return b.n;
}

/* ---- a core's loop ---- */

/* Between two bursts. The code before is passed once every packet steered by it has been released, here and, since release waits for
 * the reply, on every core that was asked. */
static void adopt(struct core *c)
{
	uint64_t generation = __atomic_load_n(&c->dp->generation, __ATOMIC_ACQUIRE);

	if (generation != c->generation) {
		c->code = c->dp->code;
		c->generation = generation;
		c->old_until = c->next;
	}
	/* The difference counts modulo 2^32; at most WINDOW slots are in use. */
	if (c->passed != c->generation && (int32_t)(c->first - c->old_until) >= 0)
		__atomic_store_n(&c->passed, c->generation, __ATOMIC_RELEASE);
}

/* Neither stopped, nor have all ports ended. */
static bool receives(const struct core *c)
{
	if (__atomic_load_n(&c->dp->stop, __ATOMIC_RELAXED))
		return false;
	for (uint32_t i = 0; i < c->n_inputs; i++)
		if (!__atomic_load_n(&c->inputs[i].port->ended, __ATOMIC_RELAXED))
			return true;
	return false;
}

static bool all_drained(struct core *c)
{
	if (c->first == c->next)
		__atomic_store_n(&c->drained, true, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < c->dp->config.cores; i++)
		if (!__atomic_load_n(&c->dp->cores[i]->drained, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

/* One round; how many packets it moved. */
static uint32_t work(struct core *c, bool receiving)
{
	uint32_t n = serve(c) + collect(c);

	n += release(c);
	for (uint32_t i = 0; receiving && i < c->n_inputs; i++)
		n += receive(c, &c->inputs[i]);
	return n;
}

static void account(struct core *c, uint64_t cycles, uint32_t worked)
{
	if (worked) {
		count(&c->counts.busy_cycles, cycles);
		c->idle_rounds = 0;
		return;
	}
	count(&c->counts.empty_rounds, 1);
	if (++c->idle_rounds >= YIELD_AFTER) {
		c->idle_rounds = 0;
		sched_yield();
	}
}

void dataplane_run_core(struct dataplane *dp, uint32_t core)
{
	struct core *c = dp->cores[core];
	uint64_t before = eal_cycles();

	for (;;) {
		bool receiving = receives(c);
		uint64_t pause = __atomic_load_n(&dp->pauses, __ATOMIC_ACQUIRE), now;
		uint32_t worked;

		adopt(c);
		worked = work(c, receiving && pause % 2 == 0);
		if (pause % 2 && c->first == c->next)
			__atomic_store_n(&c->rested, pause, __ATOMIC_RELEASE);
		now = eal_cycles();
		account(c, now - before, worked);
		before = now;
		if (!receiving && all_drained(c))
			break;
	}
	__atomic_store_n(&c->passed, CORE_IS_DONE, __ATOMIC_RELEASE);
}

/* bench_shaped.c: see bench_shaped.h. */
#include "test/lib/bench_shaped.h"

#include <string.h>

#include "node/eal_dpdk.h"
#include "test/lib/gen_program.h"

static struct gen_rng rng = {1};

/* Is a whole burst there? Counts those that found the queue full. */
static bool burst_is_there(struct bench_shaped *s)
{
	uint64_t come = (uint64_t)((double)(eal_cycles() - s->began) * s->per_cycle);
	uint64_t waiting = come - s->taken - s->missed;

	if (waiting > BENCH_SHAPED_QUEUE_PKTS)
		s->missed += waiting - BENCH_SHAPED_QUEUE_PKTS;
	return waiting >= IO_BURST_PACKETS;
}

static void redraw(const struct bench_shaped *s, const struct io_burst *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		uint32_t source = 0x0a000000u + (uint32_t)gen_below(&rng, s->sources);

		if (b->packets[i].len >= BENCH_SOURCE_OFFSET + 4)
			memcpy((uint8_t *)(uintptr_t)b->packets[i].data + BENCH_SOURCE_OFFSET, &source, 4);
	}
}

static void shaped_rx(struct io *io, uint32_t queue, struct io_burst *b)
{
	struct bench_shaped *s = (struct bench_shaped *)io;

	b->n = 0;
	if (s->per_cycle > 0 && !burst_is_there(s))
		return;
	io_rx(s->below, queue, b);
	s->taken += b->n;
	if (s->sources)
		redraw(s, b);
}

static uint32_t shaped_tx(struct io *io, uint32_t queue, void *const *frames, uint32_t n)
{
	return io_tx(((struct bench_shaped *)io)->below, queue, frames, n);
}

static void shaped_free(struct io *io, void *const *frames, uint32_t n)
{
	io_free(((struct bench_shaped *)io)->below, frames, n);
}

static void shaped_counters(struct io *io, struct io_counters *c)
{
	io_counters(((struct bench_shaped *)io)->below, c);
}

void bench_shaped_init(struct bench_shaped *s, struct io *below)
{
	static const struct io_ops ops = {.rx = shaped_rx, .tx = shaped_tx, .free = shaped_free, .counters = shaped_counters};

	*s = (struct bench_shaped){.io = *below, .below = below};
	s->io.ops = &ops;
}

void bench_shaped_offer(struct bench_shaped *s, double pps)
{
	s->per_cycle = pps / (double)eal_hz();
	s->began = eal_cycles();
	s->taken = s->missed = 0;
}

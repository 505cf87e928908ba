/* engine.h: what bench-vm runs: an engine with one filter loaded, and a pass, the packets it is given at a time. */
#ifndef TEST_BENCH_VM_ENGINE_H
#define TEST_BENCH_VM_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/packet.h"

#define BENCH_BURST       32u
#define BENCH_AHEAD       16u /* packets between the prefetch of a packet and its use, where engines are called packet by packet */
#define BENCH_MAX_ENGINES 24
#define BENCH_LEN_BYTES   4 /* before each packet's bytes lies its length, uint32_t, for peers that can look at nothing else */

struct bench_pass {
	uint32_t n;                       /* a multiple of BENCH_BURST */
	uint32_t n_slots;                 /* buffers */
	const struct vfm_packet *packets; /* n, and BENCH_BURST more that are only prefetched */
	const uint32_t *slots;            /* n: the buffer of each packet, below n_slots */
	bool prefetch;                    /* each packet's first line before it is needed */
	uint8_t *verdicts;                /* n, out: 1 accept, 0 drop or error */
	/* The verdicts will be compared. Else an engine whose results have another form need not put them into this one: what a user does
	 * with results is no part of any engine's time. */
	bool check;
};

struct bench_engine {
	const char *name;
	void *self;
	/* Not timed: the pass has other packets than before (NULL: it does not matter). */
	void (*prepare)(void *self, const struct bench_pass *pass);
	void (*pass)(void *self, const struct bench_pass *pass);
	/* What pass() costs without the filter, to be subtracted (NULL: nothing is). */
	void (*baseline)(void *self, const struct bench_pass *pass);
	void (*close)(void *self);
	bool hot_only; /* cannot prefetch, and keeps packets where the cold sets cannot flush them */
	int counts_in; /* which table of a case with flows it counts in */
};

/* The engines of one filter, in the order of the report. */
struct bench_engines {
	int n;
	struct bench_engine engine[BENCH_MAX_ENGINES];
};

/* Appends; self is closed with the list. */
static inline struct bench_engine *bench_engines_add(struct bench_engines *list, const char *name, void *self)
{
	struct bench_engine *e = &list->engine[list->n++];

	*e = (struct bench_engine){.name = name, .self = self};
	return e;
}

static inline void bench_engines_close(struct bench_engines *list)
{
	for (int i = 0; i < list->n; i++)
		if (list->engine[i].close)
			list->engine[i].close(list->engine[i].self);
	list->n = 0;
}

static inline void bench_prefetch_packet(const struct bench_pass *pass, uint32_t i)
{
	__builtin_prefetch(pass->packets[i + BENCH_AHEAD].data);
}

static inline void bench_prefetch_burst(const struct vfm_packet *packets)
{
	for (uint32_t k = 0; k < BENCH_BURST; k++)
		__builtin_prefetch(packets[k].data);
}

/* Runs CALL for each packet i of the pass, with or without prefetch. */
#define BENCH_EACH_PACKET(pass, i, CALL) \
	do { \
		if ((pass)->prefetch) { \
			for (uint32_t i = 0; i < (pass)->n; i++) { \
				bench_prefetch_packet(pass, i); \
				(pass)->verdicts[i] = CALL; \
			} \
		} else { \
			for (uint32_t i = 0; i < (pass)->n; i++) \
				(pass)->verdicts[i] = CALL; \
		} \
	} while (0)

/* Runs CALL for each burst that begins with packet i. */
#define BENCH_EACH_BURST(pass, i, CALL) \
	do { \
		if ((pass)->prefetch) \
			bench_prefetch_burst((pass)->packets); \
		for (uint32_t i = 0; i < (pass)->n; i += BENCH_BURST) { \
			if ((pass)->prefetch) \
				bench_prefetch_burst(&(pass)->packets[i + BENCH_BURST]); \
			CALL; \
		} \
	} while (0)

#endif

/* bench_shaped.h: a port in front of another that shapes what comes in: source addresses drawn anew, packets offered at a rate. */
#ifndef TEST_LIB_BENCH_SHAPED_H
#define TEST_LIB_BENCH_SHAPED_H

#include "node/io.h"

/* A receive queue's length, in packets: what comes while it is full is missed. */
#define BENCH_SHAPED_QUEUE_PKTS 4096u

struct bench_shaped {
	struct io io; /* first */
	struct io *below;
	uint32_t sources; /* addresses drawn from, 0: as they come */
	double per_cycle; /* packets offered a cycle of the time stamp counter, 0: as many as are taken */
	uint64_t began;   /* cycles */
	uint64_t taken, missed;
};

/* In front of `below`, which is not owned and must always have packets where a rate is offered. */
void bench_shaped_init(struct bench_shaped *s, struct io *below);
/* Offers packets a second from now on, none missed yet; 0: no rate. In whole bursts, as a moderated interrupt would. */
void bench_shaped_offer(struct bench_shaped *s, double pps);
/* Puts the IPv4 source address of a frame there. */
#define BENCH_SOURCE_OFFSET 26u

#endif

/* rx_clock.h: a network device's clock, by which it stamps what it receives, told in cycles of the time stamp counter (TSC).
 *
 *     rx_clock_sample(c, ticks, cycles)        both clocks, read at the same moment: at the start, then about once a second
 *     rx_clock_cycles(c, stamp, now)           when a packet came, for its stamp
 *
 * Between two samples the device is taken to tick as it did before the last one, so the error is what its frequency changes in a
 * second. A sample that the frequency known so far missed by more than 1 % says that somebody set the clock: it is learnt anew
 * from the next two. Clocks count modulo 2^64. Pure; one core's.
 */
#ifndef NODE_RX_CLOCK_H
#define NODE_RX_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* All 0: nothing known. */
struct rx_clock {
	bool sampled, told;
	uint64_t ticks, cycles;          /* the last sample */
	uint64_t first;                  /* cycles of the first one since the clock is known */
	uint64_t cycles_per_tick_q40;    /* 0: not known */
	uint64_t latest_ticks, latest_c; /* the last packet's stamp and what was told of it */
};

/* The device's clock stood at ticks when the TSC stood at cycles. */
void rx_clock_sample(struct rx_clock *c, uint64_t ticks, uint64_t cycles);
/* Can stamps be told? From the second sample on. */
bool rx_clock_known(const struct rx_clock *c);
/* When, by the TSC, a packet came whose stamp is ticks and that was found in the queue at now. Never later than now, and never earlier
 * than an answer before, unless the stamp itself is earlier than the one before. A stamp of which nothing can be said (no frequency
 * known, before the first sample, later than now) gives now. */
uint64_t rx_clock_cycles(struct rx_clock *c, uint64_t ticks, uint64_t now);

#endif

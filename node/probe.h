/* probe.h: how long packets wait between being read and being released: one packet at a time is followed, so that it costs nothing. */
#ifndef NODE_PROBE_H
#define NODE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/* Start from all zeros. Packets are numbered from 1 in the order they are read, and released in that order. */
struct probe {
	bool armed;
	uint64_t packet, read_us;
	uint64_t n, sum_us, max_us; /* since probe_reset() */
};

/* How many packets waited how long, exact to an eighth: the first 2 * PROBE_STEPS buckets hold single microseconds, each PROBE_STEPS
 * after them twice the width. */
#define PROBE_STEPS   8
#define PROBE_BUCKETS 256
struct probe_waits {
	uint64_t n[PROBE_BUCKETS];
};
void probe_wait(struct probe_waits *w, uint64_t us);
/* The smallest wait that a bucket holds. */
uint64_t probe_bucket_us(uint32_t bucket);

/* The packet of that number was read; it is followed unless another one is. */
void probe_read(struct probe *p, uint64_t packet, uint64_t now_us);
/* That many packets are released by now. */
void probe_released(struct probe *p, uint64_t packets, uint64_t now_us);
/* Forgets what was measured; the packet that is followed is still followed. */
void probe_reset(struct probe *p);

#endif

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

/* The packet of that number was read; it is followed unless another one is. */
void probe_read(struct probe *p, uint64_t packet, uint64_t now_us);
/* That many packets are released by now. */
void probe_released(struct probe *p, uint64_t packets, uint64_t now_us);
/* Forgets what was measured; the packet that is followed is still followed. */
void probe_reset(struct probe *p);

#endif

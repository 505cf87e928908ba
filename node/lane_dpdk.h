/* lane_dpdk.h: a bounded queue of fixed-size items from one core to one other, over rte_ring. DPDK must be started. */
#ifndef NODE_LANE_DPDK_H
#define NODE_LANE_DPDK_H

#include <stdint.h>

struct lane;

/* room: items it holds, a power of two from 2; item_bytes a multiple of 4. NULL: out of DPDK's memory. */
struct lane *lane_new(uint32_t room, uint32_t item_bytes);
void lane_free(struct lane *l);
/* The first k of n items are in; returns k, less than n only if it is full. */
uint32_t lane_put(struct lane *l, const void *items, uint32_t n);
/* Up to n items; returns how many. */
uint32_t lane_get(struct lane *l, void *items, uint32_t n);

#endif

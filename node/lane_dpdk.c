/* lane_dpdk.c: see lane_dpdk.h. */
#include "node/lane_dpdk.h"

#include <stdio.h>
#include <stdlib.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>

struct lane {
	struct rte_ring *ring;
	uint32_t item_bytes;
};

struct lane *lane_new(uint32_t room, uint32_t item_bytes)
{
	static unsigned made;
	char name[RTE_RING_NAMESIZE];
	struct lane *l = malloc(sizeof(*l));

	if (!l)
		return NULL;
	snprintf(name, sizeof(name), "vfm_lane_%u", __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED));
	l->item_bytes = item_bytes;
	l->ring = rte_ring_create_elem(name, item_bytes, room, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	if (l->ring)
		return l;
	free(l);
	return NULL;
}

void lane_free(struct lane *l)
{
	if (!l)
		return;
	rte_ring_free(l->ring);
	free(l);
}

uint32_t lane_put(struct lane *l, const void *items, uint32_t n)
{
	return rte_ring_enqueue_burst_elem(l->ring, items, l->item_bytes, n, NULL);
}

uint32_t lane_get(struct lane *l, void *items, uint32_t n)
{
	return rte_ring_dequeue_burst_elem(l->ring, items, l->item_bytes, n, NULL);
}

/* rte_hash_dpdk.c: see rte_hash_dpdk.h. The only file of the benchmark that includes DPDK. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>

#include "test/lib/rte_hash_dpdk.h"

#define HEAP_NAME       "peer"
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

struct rte_peer {
	struct rte_hash *hash;
	uint64_t *counters; /* by position */
	uint32_t room;
};

static void *huge_pages(size_t bytes)
{
	uint8_t *p =
		mmap(NULL, bytes + HUGE_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	p += HUGE_PAGE_BYTES - (uintptr_t)p % HUGE_PAGE_BYTES;
	(void)madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

int rte_peer_init(size_t bytes)
{
	char *argv[] = {"bench_table", "--no-huge", "--no-pci", "-m", "64", "--no-shconf", "--log-level=3", "--no-telemetry", NULL};
	void *heap;

	if (rte_eal_init((int)(sizeof argv / sizeof *argv) - 1, argv) < 0)
		return -rte_errno;
	bytes = (bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
	heap = huge_pages(bytes);
	if (!heap)
		return -ENOMEM;
	if (rte_malloc_heap_create(HEAP_NAME) ||
	    rte_malloc_heap_memory_add(HEAP_NAME, heap, bytes, NULL, (unsigned)(bytes / HUGE_PAGE_BYTES), HUGE_PAGE_BYTES))
		return -rte_errno;
	return 0;
}

struct rte_peer *rte_peer_new(uint32_t n)
{
	static unsigned made;
	char name[32];
	struct rte_hash_parameters params = {.name = name,
					     .entries = n + n / 4 + 64,
					     .key_len = sizeof(uint64_t),
					     .hash_func = rte_hash_crc,
					     .socket_id = rte_malloc_heap_get_socket(HEAP_NAME)};
	struct rte_peer *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	(void)snprintf(name, sizeof name, "peer%u", made++);
	p->room = params.entries;
	p->hash = rte_hash_create(&params);
	p->counters = rte_zmalloc_socket(NULL, (size_t)p->room * sizeof *p->counters, 64, params.socket_id);
	if (p->hash && p->counters)
		return p;
	rte_peer_free(p);
	return NULL;
}

void rte_peer_free(struct rte_peer *p)
{
	if (!p)
		return;
	rte_hash_free(p->hash);
	rte_free(p->counters);
	free(p);
}

int rte_peer_insert(struct rte_peer *p, uint64_t key)
{
	int at = rte_hash_add_key(p->hash, &key);

	if (at < 0)
		return at;
	p->counters[at] = 0;
	return 0;
}

uint64_t rte_peer_add(struct rte_peer *p, uint64_t key, uint64_t delta)
{
	int at = rte_hash_lookup(p->hash, &key);

	if (at < 0)
		return 0;
	p->counters[at] += delta;
	return p->counters[at];
}

void rte_peer_update_single(struct rte_peer *p, const uint64_t *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int at = rte_hash_lookup(p->hash, &keys[i]);

		if (at >= 0)
			p->counters[at]++;
	}
}

void rte_peer_update_bulk(struct rte_peer *p, const uint64_t *keys, size_t n)
{
	const void *burst[RTE_PEER_BURST];
	int32_t at[RTE_PEER_BURST];

	for (size_t i = 0; i + RTE_PEER_BURST <= n; i += RTE_PEER_BURST) {
		for (int k = 0; k < RTE_PEER_BURST; k++)
			burst[k] = &keys[i + (size_t)k];
		if (rte_hash_lookup_bulk(p->hash, burst, RTE_PEER_BURST, at) < 0)
			return;
		for (int k = 0; k < RTE_PEER_BURST; k++)
			if (at[k] >= 0)
				__builtin_prefetch(&p->counters[at[k]], 1);
		for (int k = 0; k < RTE_PEER_BURST; k++)
			if (at[k] >= 0)
				p->counters[at[k]]++;
	}
}

void rte_peer_replace(struct rte_peer *p, const uint64_t *old, const uint64_t *new, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int at = rte_hash_del_key(p->hash, &old[i]);

		if (at >= 0)
			p->counters[at] = 0;
		at = rte_hash_add_key(p->hash, &new[i]);
		if (at >= 0)
			p->counters[at] = 1;
	}
}

uint64_t rte_peer_sum(const struct rte_peer *p)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->room; i++)
		sum += p->counters[i];
	return sum;
}

/* rte_hash_dpdk.h: DPDK's hash table with an array of counters beside it, as peer in bench-table and bench-vm. */
#ifndef TEST_LIB_RTE_HASH_DPDK_H
#define TEST_LIB_RTE_HASH_DPDK_H

#include <stddef.h>
#include <stdint.h>

#define RTE_PEER_BURST 32

struct rte_peer;

/* Starts DPDK's environment without devices, with a heap of `bytes` in transparent huge pages (the same pages our table gets).
 * Once a process. 0, or -errno after DPDK has told why on standard error. */
int rte_peer_init(size_t bytes);

/* Room for n 64-bit keys at no more than four fifths of rte_hash's load limit. NULL: out of memory. */
struct rte_peer *rte_peer_new(uint32_t n);
void rte_peer_free(struct rte_peer *p);
/* 0, or a negative errno of rte_hash_add_key. */
int rte_peer_insert(struct rte_peer *p, uint64_t key);
/* Adds delta to the counter of a key and returns the sum; 0 if the key is absent. */
uint64_t rte_peer_add(struct rte_peer *p, uint64_t key, uint64_t delta);
/* Adds 1 to the counter of each key, n a multiple of RTE_PEER_BURST. Keys that are absent are skipped. */
void rte_peer_update_single(struct rte_peer *p, const uint64_t *keys, size_t n);
void rte_peer_update_bulk(struct rte_peer *p, const uint64_t *keys, size_t n);
/* Deletes old[i], inserts new[i] with counter 1. */
void rte_peer_replace(struct rte_peer *p, const uint64_t *old, const uint64_t *new, size_t n);
/* Sum of all counters. */
uint64_t rte_peer_sum(const struct rte_peer *p);

#endif

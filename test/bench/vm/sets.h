/* sets.h: the packets that engines are timed on.
 *
 * All come from 2,048 packets of generated traffic (test/lib/traffic.h, without the malformed), of which the headers are kept.
 *   hot    65,536 visits to the 2,048 in random order: in cache, outcomes that no branch predictor learns by heart
 *   cold   copies in buffers as DPDK spaces them, together larger than the last-level cache; each pass visits other buffers, whose
 *          lines are written back to memory before it begins
 */
#ifndef TEST_BENCH_VM_SETS_H
#define TEST_BENCH_VM_SETS_H

#include <stddef.h>

#include "test/bench/vm/engine.h"

#define BENCH_TEMPLATES   2048u
#define BENCH_SLOT_BYTES  128u
#define BENCH_LEAD_BYTES  16u /* in a slot before the packet; the length is the last four */
#define BENCH_HOT_VISITS  65536u
#define BENCH_COLD_VISITS 16384u
#define BENCH_STRIDE      2368u /* a buffer of DPDK's: 64 + 128 + 128 + 2048 bytes */

/* Slots of BENCH_SLOT_BYTES side by side, packet i in slot i. */
struct bench_slots {
	uint32_t n;
	uint8_t *memory;
	struct vfm_packet *packets;
};

/* n packets of traffic. 0 or -ENOMEM. */
int bench_slots_make(struct bench_slots *s, uint32_t n, uint64_t seed);
void bench_slots_free(struct bench_slots *s);

/* Zeroed memory in huge pages where the system has them; NULL: no memory. */
void *bench_memory_new(size_t bytes);
void bench_memory_free(void *memory, size_t bytes);
/* Writes a packet's length and bytes at p, where its bytes begin. */
void bench_slot_write(uint8_t *p, const uint8_t *data, uint32_t len);

struct bench_hot {
	uint32_t slots[BENCH_HOT_VISITS];
	struct vfm_packet packets[BENCH_HOT_VISITS + BENCH_BURST];
};

/* The pass over slots in random order; verdicts is the caller's. */
void bench_hot_make(struct bench_hot *hot, const struct bench_slots *templates, struct bench_pass *pass);

struct bench_cold {
	uint32_t n; /* buffers, buffer i with template i % BENCH_TEMPLATES */
	uint32_t next;
	uint8_t *memory;
	uint32_t *order;
	const struct bench_slots *templates;
	uint32_t buffers[BENCH_COLD_VISITS]; /* of this pass */
	uint32_t slots[BENCH_COLD_VISITS];
	struct vfm_packet packets[BENCH_COLD_VISITS + BENCH_BURST];
};

/* Buffers a fifth larger together than the last-level cache. 0 or -ENOMEM. */
int bench_cold_make(struct bench_cold *cold, const struct bench_slots *templates);
void bench_cold_free(struct bench_cold *cold);
/* The next pass's buffers. Flush them with bench_cold_flush() when the engine is prepared. */
void bench_cold_next(struct bench_cold *cold, struct bench_pass *pass);
void bench_cold_flush(const struct bench_cold *cold);

/* Bytes of the last-level cache; 32 MiB where the system does not tell. */
size_t bench_cache_bytes(void);

#endif

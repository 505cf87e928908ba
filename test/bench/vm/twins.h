/* twins.h: the benchmark's filters by hand in C, in twins*.c, compiled by gcc and by clang with -O3 for the CPU at hand.
 *
 * Each filter twice: as a function called for one packet, written as one would, and as a loop over a burst without branches on what
 * the packets hold. bench_twins_clang is NULL where the build found no clang.
 */
#ifndef TEST_BENCH_VM_TWINS_H
#define TEST_BENCH_VM_TWINS_H

#include "state/shard.h"
#include "test/lib/bench_filters.h"
#include "vm/packet.h"

enum bench_flow_filter { BENCH_PER_SOURCE, BENCH_PER_FLOW, BENCH_CONNTRACK, BENCH_FLOW_FILTERS };

/* A key's packets pass in turns: of its packets number n passes if this bit of n is 0. */
#define BENCH_TURN_BIT 64

typedef int bench_twin_call(const uint8_t *data, uint32_t len);
/* BENCH_BURST packets. */
typedef void bench_twin_loop(const struct vfm_packet *packets, uint8_t *verdicts);
typedef int bench_flow_call(struct shard *s, const struct vfm_packet *packet);
typedef void bench_flow_loop(struct shard *s, const struct vfm_packet *packets, uint8_t *verdicts);

struct bench_twins {
	const char *compiler;
	bench_twin_call *call[BENCH_FILTERS];
	bench_twin_loop *loop[BENCH_FILTERS];
};

struct bench_flow_twins {
	bench_flow_call *call[BENCH_FLOW_FILTERS];
	bench_flow_loop *loop[BENCH_FLOW_FILTERS];
};

extern const struct bench_twins bench_twins_gcc;
extern const struct bench_twins bench_twins_clang __attribute__((weak));
extern const struct bench_flow_twins bench_flow_twins_gcc;
extern const struct bench_flow_twins bench_flow_twins_clang __attribute__((weak));

#ifndef TWIN
#define TWIN gcc
#endif
#define TWIN_PASTE(name, compiler)  name##_##compiler
#define TWIN_EXPAND(name, compiler) TWIN_PASTE(name, compiler)
#define TWIN_NAME(name)             TWIN_EXPAND(name, TWIN)

static inline uint32_t twin_be16(const uint8_t *p)
{
	uint16_t x;

	__builtin_memcpy(&x, p, sizeof(x));
	return __builtin_bswap16(x);
}

static inline uint32_t twin_be32(const uint8_t *p)
{
	uint32_t x;

	__builtin_memcpy(&x, p, sizeof(x));
	return __builtin_bswap32(x);
}

static inline uint64_t twin_be64(const uint8_t *p)
{
	uint64_t x;

	__builtin_memcpy(&x, p, sizeof(x));
	return __builtin_bswap64(x);
}

#endif

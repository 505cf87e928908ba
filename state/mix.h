/* mix.h: the one 64-bit mixing function of the project (murmur3's finalizer: a bijection on 64 bits). Part of the machine's
 * specification: HASH5, MIX, shard choice and digests are built from it, so it never changes. */
#ifndef STATE_MIX_H
#define STATE_MIX_H

#include <stdint.h>

static inline uint64_t mix64(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	x ^= x >> 33;
	return x;
}

#endif

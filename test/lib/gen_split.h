/* gen_split.h: stateful filters as people write them, at random: counters, seen-before tables, limits, configuration, statistics, over
 * keys made from header fields. Many may be split, some only under a guard, some not: for tests of the analyzer and of the cluster.
 * And packets of a few hosts and ports, chosen so that keys of different shapes meet (0.0.0.5:7 and 0.5.0.7). */
#ifndef TEST_GEN_SPLIT_H
#define TEST_GEN_SPLIT_H

#include "test/lib/gen_program.h"

#define GEN_SPLIT_TEXT_BYTES 8192

/* Assembly text, NUL-terminated. The same seed gives the same text. */
void gen_split_program(uint64_t seed, char text[GEN_SPLIT_TEXT_BYTES]);
/* One frame into buf (PACKET_BYTES of test/lib/packets.h); its length. Advances *time_us. */
uint32_t gen_split_packet(struct gen_rng *r, uint8_t *buf, uint64_t *time_us);

#endif

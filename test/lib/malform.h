/* malform.h: damages a correct frame the way broken stacks, cut captures and attackers do. */
#ifndef TEST_MALFORM_H
#define TEST_MALFORM_H

#include "test/lib/gen_program.h"
#include "test/lib/packets.h"

/* Damages an untagged frame of IPv4 or IPv6 (TCP or UDP) in one of many ways; returns its new length, at least 1. Checksums are then
 * wrong or right, as it falls. */
uint32_t malform(struct gen_rng *rng, uint8_t *buf, uint32_t len);

#endif

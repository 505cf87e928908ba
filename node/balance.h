/* balance.h: which core runs which shard, by what the shards had to do. */
#ifndef NODE_BALANCE_H
#define NODE_BALANCE_H

#include <stdint.h>

/* Changes owners[s], the core of shard s < n, so that the busiest of `cores` cores has little more than its part of the load, with few
 * moves: from the busiest to the idlest, at each step the heaviest shard that makes them more equal, until the busiest has at most
 * a tenth above the mean or no move helps. load[s] is what shard s had to do lately, in any unit. How many shards moved. */
uint32_t balance_shards(const uint64_t *load, uint32_t n, uint32_t cores, uint8_t *owners);

#endif

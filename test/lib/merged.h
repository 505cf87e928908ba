/* merged.h: the tables of a split machine against those of the flat one. */
#ifndef TEST_MERGED_H
#define TEST_MERGED_H

#include "analysis/plan.h"

/* Merges the tables of n shards as the plan's certificate says and compares them with the flat machine's. A key that is not partial may
 * stand in one shard only. NULL, or what differs (static text, until the next call). */
const char *merged_differs(const struct plan *plan, struct shard *const *shards, uint32_t n, const struct shard *flat);

#endif

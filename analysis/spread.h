/* spread.h: how the entries of a program's tables lie in the shards of a plan, and which of them count when they are read as the one
 * table that a single instance would have (parts are then merged: parts.h). */
#ifndef ANALYSIS_SPREAD_H
#define ANALYSIS_SPREAD_H

#include "analysis/plan.h"

/* Does this shard get the preloaded entries of the table? Configuration is read in every shard (tables that nothing updates are
 * shared: only the first has them); a part must be there once. */
bool spread_preloads(const struct plan *plan, uint8_t table, uint32_t shard);
/* Does the shard's entry of this key count in the merged table? Parts do in every shard, an owned key in its own shard alone,
 * configuration in the first. */
bool spread_counts(const struct plan *plan, uint8_t table, uint64_t key, uint32_t shard);
#endif

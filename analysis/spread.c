/* spread.c: see spread.h. */
#include "analysis/spread.h"

#include "analysis/parts.h"

bool spread_preloads(const struct plan *plan, uint8_t table, uint32_t shard)
{
	const struct program *p = plan->program;

	return shard == 0 || (p->tables[p->table_index[table]].updated && !parts_site(plan->cert, table));
}

bool spread_counts(const struct plan *plan, uint8_t table, uint64_t key, uint32_t shard)
{
	uint64_t projected;

	if (plan->shards == 1 || parts_site(plan->cert, table))
		return true;
	if (!cert_project(plan->cert, table, key, &projected))
		return shard == 0;
	return plan_shard_of_key(plan, projected) == shard;
}

/* parts.h: partial tables at run time: what a plan must not be combined with, and how the parts of all shards become one table. */
#ifndef ANALYSIS_PARTS_H
#define ANALYSIS_PARTS_H

#include "analysis/plan.h"
#include "vm/table_file.h"

/* The listed site that makes the table partial; NULL: it is not (or there is no certificate). */
const struct cert_site *parts_site(const struct cert *c, uint8_t table);

/* Can the parts be merged exactly if the plan's shards run so? idle_s: of every table, < 0 as declared; preload may be NULL. Always yes for
 * one shard. -EPERM with why, a whole message ("what: what to do"). */
int parts_check(const struct plan *plan, int64_t idle_s, uint32_t insn_limit, const struct table_file *preload, char *why,
		size_t why_bytes);

/* Sorts the entries of all shards and makes one of those with the same key of a partial table. */
void parts_merge(const struct cert *c, struct table_file *t);

#endif

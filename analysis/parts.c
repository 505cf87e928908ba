/* parts.c: see parts.h. */
#include <errno.h>
#include <stdio.h>

#include "analysis/check_region.h"
#include "analysis/parts.h"
#include "state/merge.h"

const struct cert_site *parts_site(const struct cert *c, uint8_t table)
{
	for (uint32_t i = 0; c && i < c->n_sites; i++)
		if (c->sites[i].table == table && c->sites[i].partial)
			return &c->sites[i];
	return NULL;
}

/* What is preloaded into the first shard is a part like any other, except where the other parts can only be one constant. */
static int check_preload(const struct cert *c, const struct table_file *preload, char *why, size_t why_bytes)
{
	for (size_t i = 0; preload && i < preload->n; i++) {
		const struct table_file_entry *e = &preload->entries[i];
		const struct cert_site *s = parts_site(c, e->table);

		if (!s || s->merge_class != CERT_CONSTANT)
			continue;
		snprintf(why, why_bytes,
			 "preloaded table %u, key 0x%llx: the program stores one constant there, and every shard keeps its own "
			 "part, which a "
			 "preloaded value cannot be merged with: preload other tables only, or use one shard",
			 e->table, (unsigned long long)e->key);
		return -EPERM;
	}
	return 0;
}

int parts_check(const struct plan *plan, int64_t idle_s, uint32_t insn_limit, const struct table_file *preload, char *why,
		size_t why_bytes)
{
	const struct cert *c = plan->cert;

	for (uint32_t i = 0; c && plan->shards > 1 && i < c->n_sites; i++) {
		const struct cert_site *s = &c->sites[i];

		if (s->partial && idle_s > 0) {
			snprintf(why, why_bytes,
				 "table %u is kept in parts by every shard, and parts cannot be merged with an idle time-out of "
				 "%lld s, which the "
				 "certificate does not know of: declare it in the filter and make a new certificate, or use one "
				 "shard",
				 s->table, (long long)idle_s);
			return -EPERM;
		}
		if (s->partial && (s->merge_class == CERT_MAX || s->merge_class == CERT_MIN) &&
		    !region_possible(&plan->program->proof, insn_limit)) {
			snprintf(why, why_bytes,
				 "table %u keeps the class %s in parts, so how many instructions a packet takes may differ from "
				 "shard to shard, "
				 "and a limit of %u instructions could tell: give a limit that the filter's longest path keeps, or "
				 "use one shard",
				 s->table, cert_class_name(s->merge_class), insn_limit);
			return -EPERM;
		}
	}
	return plan->shards > 1 ? check_preload(c, preload, why, why_bytes) : 0;
}

void parts_merge(const struct cert *c, struct table_file *t)
{
	size_t kept = 0;

	/* One numbering. */
	_Static_assert((int)CERT_SUM == (int)MERGE_SUM && (int)CERT_OR == (int)MERGE_OR && (int)CERT_MAX == (int)MERGE_MAX &&
			       (int)CERT_MIN == (int)MERGE_MIN && (int)CERT_CONSTANT == (int)MERGE_CONSTANT &&
			       (int)CERT_CLASSES == (int)MERGE_COUNT,
		       "certificates and merge classes are numbered alike");
	table_file_sort(t);
	for (size_t i = 0; i < t->n; i++) {
		struct table_file_entry *last = kept ? &t->entries[kept - 1] : NULL, *e = &t->entries[i];
		const struct cert_site *site =
			last && last->table == e->table && last->key == e->key ? parts_site(c, e->table) : NULL;

		if (site)
			last->value = merge_values((enum merge_class)site->merge_class, last->value, e->value);
		else
			t->entries[kept++] = *e;
	}
	t->n = kept;
}

/* merged.c: see merged.h. Merges by itself, pair by pair, with nothing but the classes' definition in common with analysis/parts.c. */
#include "test/lib/merged.h"

#include <stdio.h>

#include "analysis/parts.h"
#include "state/merge.h"

#define MAX_ENTRIES 4096

struct merged {
	const struct cert_site *partial; /* NULL: owned */
	uint8_t table;
	uint32_t n;
	uint64_t keys[MAX_ENTRIES], values[MAX_ENTRIES];
	const char *wrong;
};

static char text[128];

static const char *say(const struct merged *m, uint64_t key, uint64_t value, const char *what)
{
	snprintf(text, sizeof(text), "table %u key %llx = %llx: %s", m->table, (unsigned long long)key, (unsigned long long)value,
		 what);
	return text;
}

static void add_entry(void *arg, uint64_t key, uint64_t value)
{
	struct merged *m = arg;

	for (uint32_t i = 0; i < m->n; i++)
		if (m->keys[i] == key) {
			if (m->partial)
				m->values[i] = merge_values((enum merge_class)m->partial->merge_class, m->values[i], value);
			else
				m->wrong = say(m, key, value, "in two shards");
			return;
		}
	if (m->n == MAX_ENTRIES) {
		m->wrong = "more entries than the test has room for";
		return;
	}
	m->keys[m->n] = key;
	m->values[m->n++] = value;
}

static void take_entry(void *arg, uint64_t key, uint64_t value)
{
	struct merged *m = arg;

	for (uint32_t i = 0; i < m->n; i++)
		if (m->keys[i] == key && m->values[i] == value) {
			m->keys[i] = m->keys[--m->n];
			m->values[i] = m->values[m->n];
			return;
		}
	m->wrong = say(m, key, value, "of the flat machine is not in the merged shards");
}

const char *merged_differs(const struct plan *plan, struct shard *const *shards, uint32_t n, const struct shard *flat)
{
	static struct merged m;

	for (uint32_t t = 0; t < plan->program->n_tables; t++) {
		m.table = plan->program->tables[t].number;
		m.partial = parts_site(plan->cert, m.table);
		m.n = 0;
		m.wrong = NULL;
		for (uint32_t s = 0; s < n; s++)
			shard_visit(shards[s], t, add_entry, &m);
		if (!m.wrong)
			shard_visit(flat, t, take_entry, &m);
		if (!m.wrong && m.n)
			m.wrong = say(&m, m.keys[0], m.values[0], "is not in the flat machine");
		if (m.wrong)
			return m.wrong;
	}
	return NULL;
}

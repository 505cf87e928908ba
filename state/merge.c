#include "state/merge.h"

#include <errno.h>
#include <string.h>

uint64_t merge_values(enum merge_class class, uint64_t a, uint64_t b)
{
#define MERGE_CASE(name, text, merged, domain, doc) \
	case MERGE_##name: \
		return merged;
	switch (class) {
		MERGE_CLASSES(MERGE_CASE)
	case MERGE_COUNT:
		break;
	}
	return 0;
}

uint64_t merge_domain(enum merge_class class, uint64_t a)
{
#define MERGE_DOMAIN(name, text, merged, domain, doc) \
	case MERGE_##name: \
		return domain;
	switch (class) {
		MERGE_CLASSES(MERGE_DOMAIN)
	case MERGE_COUNT:
		break;
	}
	return 0;
}

#define MERGE_NAME(name, text, merged, domain, doc) text,
static const char *const names[MERGE_COUNT] = {MERGE_CLASSES(MERGE_NAME)};

const char *merge_name(enum merge_class class)
{
	return names[class];
}

int merge_from_name(const char *name, enum merge_class *class)
{
	for (int i = 0; i < MERGE_COUNT; i++)
		if (strcmp(name, names[i]) == 0) {
			*class = (enum merge_class)i;
			return 0;
		}
	return -EINVAL;
}

int merge_table(enum merge_class class, struct table *into, const struct table *from, uint32_t now_s)
{
	struct table_entry e;
	uint64_t cursor = 0, have;
	while (table_next(from, &cursor, &e)) {
		if (!table_entry_live(from, &e, now_s))
			continue;
		bool known = table_find(into, e.key, now_s, &have);
		if (!known && e.queue != TABLE_PRELOADED && table_held(into) >= table_config(into)->capacity)
			return -ENOSPC;
		table_store(into, e.key, known ? merge_values(class, have, e.value) : e.value, now_s);
	}
	return 0;
}

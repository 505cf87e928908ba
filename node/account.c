#include "node/account.h"

#include "vm/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert((int)VERDICT_ERROR_KINDS <= SIGMA_ERRORS, "every error has a tally of its own");

struct sums {
	uint64_t shards, counters[SIGMA_COUNTER_COUNT], tallies[SIGMA_TALLY_COUNT];
};

static bool is_owned(const struct member *m)
{
	return m->owner.opened && m->copy;
}

static void add(struct sums *t, const struct sigma *s)
{
	t->shards++;
	for (int i = 0; i < SIGMA_COUNTER_COUNT; i++)
		t->counters[i] += s->counters[i];
	for (int i = 0; i < SIGMA_TALLY_COUNT; i++)
		t->tallies[i] += s->tallies[i];
}

static void write_copies(const struct node *n, FILE *out)
{
	const char *comma = "";
	fputs("\"copies\":[", out);
	for (uint32_t i = 0; i < n->options.n_shards; i++) {
		const struct member *m = &n->members[i];
		if (!m->copy || is_owned(m))
			continue;
		fprintf(out, "%s[%" PRIu32 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", comma, i, m->copy->history, m->config.epoch,
			m->copy->number);
		comma = ",";
	}
	fputc(']', out);
}

char *account_write(const struct node *n)
{
	static const char *const names[] = {"packets", "ignored", "insertions", "evictions", "expired", "deleted"};
	struct sums t = {0};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	_Static_assert(sizeof names / sizeof *names == SIGMA_COUNTER_COUNT, "a name each");
	if (!out)
		return NULL;
	for (uint32_t i = 0; i < n->options.n_shards; i++)
		if (is_owned(&n->members[i]))
			add(&t, n->members[i].copy);
	fprintf(out, "{\"owned\":%" PRIu64 ",", t.shards);
	for (int i = 0; i < SIGMA_COUNTER_COUNT; i++)
		fprintf(out, "\"%s\":%" PRIu64 ",", names[i], t.counters[i]);
	fprintf(out, "\"accept\":%" PRIu64 ",\"drop\":%" PRIu64 ",\"log\":%" PRIu64 ",\"errors\":{",
		t.tallies[SIGMA_ACCEPTED] + t.tallies[SIGMA_LOGGED], t.tallies[SIGMA_DROPPED], t.tallies[SIGMA_LOGGED]);
	for (int i = 0; i < (int)VERDICT_ERROR_KINDS; i++)
		fprintf(out, "%s\"%s\":%" PRIu64, i ? "," : "", verdict_error_name((enum verdict_error_index)i),
			t.tallies[SIGMA_FIRST_ERROR + i]);
	fputs("},", out);
	write_copies(n, out);
	uint64_t lost = 0;
	for (uint32_t i = 0; i < n->n_steerers; i++)
		lost += n->steerers[i]->counters.lost_released;
	fprintf(out, ",\"lost_released\":%" PRIu64 "}", lost);
	return fclose(out) ? NULL : text;
}

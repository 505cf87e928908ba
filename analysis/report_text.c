/* report_text.c: the analysis for people. */
#include <stdio.h>

#include "analysis/analyze.h"

void report_sentence(const struct analysis *a, char *text, size_t text_bytes)
{
	switch (a->split.verdict) {
	case SPLIT_STATELESS:
		snprintf(text, text_bytes, "Stateless: any packet may go to any shard.");
		break;
	case SPLIT_PARTITIONABLE:
		snprintf(text, text_bytes, "Partitionable: the state may be split over any number of shards.");
		break;
	case SPLIT_CONDITIONAL:
		snprintf(text, text_bytes, "Conditional: it may be split if the packets that the guard refuses are dropped.");
		break;
	default:
		snprintf(text, text_bytes, "Pinned: no split was proved, so one shard has all of the state (%s).", a->split.reason);
		break;
	}
}

void report_text(const struct analysis *a, FILE *out)
{
	char text[512];

	report_sentence(a, text, sizeof(text));
	fprintf(out, "%s\n", text);
}

/* report.c: see report.h. */
#include "node/report.h"

#include <inttypes.h>
#include <string.h>

static void count_entry(void *arg, uint64_t key, uint64_t value)
{
	uint64_t *n = arg;

	(void)key;
	(void)value;
	++*n;
}

static void add_table(struct report_table *sum, const struct table *t, uint32_t now_s)
{
	struct table_counters counters = table_counters(t);

	sum->entries += table_live(t, now_s);
	sum->capacity += table_config(t)->capacity;
	sum->evictions += counters.evictions;
	sum->expired += counters.expired;
}

int report_add_shard(struct report *r, const struct program *p, const struct shard *s)
{
	uint64_t before = 0, after = 0;

	r->n_tables = p->n_tables;
	for (uint32_t i = 0; i < p->n_tables; i++) {
		struct report_table *sum = &r->tables[i];
		int rc = 0;

		before += sum->entries;
		sum->number = p->tables[i].number;
		if (s->is_flat)
			rc = shard_visit(s, i, count_entry, &sum->entries);
		else if (s->tables[i] && !s->shared[i])
			add_table(sum, s->tables[i], s->now_s);
		if (rc)
			return rc;
		after += sum->entries;
	}
	r->flat |= s->is_flat;
	r->shards++;
	r->fullest = after - before > r->fullest ? after - before : r->fullest;
	r->ignored += s->ignored;
	r->clock_us = s->clock_us > r->clock_us ? s->clock_us : r->clock_us;
	return 0;
}

static struct report_table sum_of_tables(const struct report *r)
{
	struct report_table sum = {0};

	for (uint32_t i = 0; i < r->n_tables; i++) {
		sum.entries += r->tables[i].entries;
		sum.capacity += r->tables[i].capacity;
		sum.evictions += r->tables[i].evictions;
		sum.expired += r->tables[i].expired;
	}
	return sum;
}

static double packets_per_second(const struct report *r)
{
	return r->seconds > 0 ? (double)r->tally.packets / r->seconds : 0;
}

void report_print_summary(const struct report *r, FILE *out)
{
	const struct tally *t = &r->tally;

	fprintf(out, "%" PRIu64 " packets: %" PRIu64 " accepted (%" PRIu64 " to log), %" PRIu64 " dropped, %" PRIu64 " in error\n",
		t->packets, t->accept, t->log, t->drop, tally_errors(t));
}

static void print_row(const char *indent, const char *name, uint64_t n, uint64_t of, FILE *out)
{
	fprintf(out, "%s%-*s %12" PRIu64 "  %5.1f %%\n", indent, (int)(22 - strlen(indent)), name, n,
		of ? 100.0 * (double)n / (double)of : 0.0);
}

static void print_verdicts(struct tally *t, FILE *out)
{
	char text[VERDICT_TEXT_BYTES];

	print_row("", "packets", t->packets, t->packets, out);
	print_row("  ", "accept", t->accept, t->packets, out);
	print_row("    ", "to log", t->log, t->packets, out);
	print_row("  ", "drop", t->drop, t->packets, out);
	print_row("  ", "error", tally_errors(t), t->packets, out);
	for (int i = 0; i < VERDICT_ERROR_KINDS; i++)
		if (t->errors[i])
			print_row("    ", verdict_error_name(i), t->errors[i], t->packets, out);
	tally_sort(t);
	fprintf(out, "returned value\n");
	for (uint32_t i = 0; i < t->n_values; i++) {
		verdict_text(&(struct vfm_result){.value = t->values[i].value}, text);
		print_row("  ", text, t->values[i].packets, t->packets, out);
	}
	if (t->other_values)
		print_row("  ", "further values", t->other_values, t->packets, out);
}

static void print_tables(const struct report *r, FILE *out)
{
	if (r->n_tables)
		fprintf(out, "%-10s %12s %12s %12s %12s\n", "table", "entries", "capacity", "evictions", "expired");
	for (uint32_t i = 0; i < r->n_tables; i++) {
		const struct report_table *t = &r->tables[i];

		fprintf(out, "  %-8u %12" PRIu64 " ", t->number, t->entries);
		if (t->capacity)
			fprintf(out, "%12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", t->capacity, t->evictions, t->expired);
		else
			fprintf(out, "%12s %12s %12s\n", r->flat ? "unlimited" : "none", "-", "-");
	}
	if (r->ignored)
		fprintf(out, "updates of tables that were never initialised: %" PRIu64 "\n", r->ignored);
}

void report_print_statistics(struct report *r, FILE *out)
{
	print_verdicts(&r->tally, out);
	print_tables(r, out);
	if (r->time_back)
		fprintf(out, "time went back and was held: %" PRIu64 " packets\n", r->time_back);
	if (r->cut)
		fprintf(out, "longer than %u bytes and cut: %" PRIu64 " packets\n", VFM_MAX_PACKET_BYTES, r->cut);
	fprintf(out, "%.3f seconds, %.0f packets a second\n", r->seconds, packets_per_second(r));
}

static void print_json_verdicts(struct tally *t, FILE *out)
{
	fprintf(out, "{\"packets\":%" PRIu64 ",\"accept\":%" PRIu64 ",\"drop\":%" PRIu64 ",\"log\":%" PRIu64 ",\"errors\":{",
		t->packets, t->accept, t->drop, t->log);
	for (int i = 0; i < VERDICT_ERROR_KINDS; i++)
		fprintf(out, "%s\"%s\":%" PRIu64, i ? "," : "", verdict_error_name(i), t->errors[i]);
	fprintf(out, "},\"verdicts\":{");
	tally_sort(t);
	for (uint32_t i = 0; i < t->n_values; i++)
		fprintf(out, "%s\"%" PRIu64 "\":%" PRIu64, i ? "," : "", t->values[i].value, t->values[i].packets);
	if (t->other_values)
		fprintf(out, ",\"other\":%" PRIu64, t->other_values);
	fprintf(out, "}");
}

static void print_json_table(const struct report *r, FILE *out)
{
	struct report_table sum = sum_of_tables(r);

	fprintf(out, ",\"table\":{\"entries\":%" PRIu64 ",\"capacity\":", sum.entries);
	if (r->flat)
		fprintf(out, "null");
	else
		fprintf(out, "%" PRIu64, sum.capacity);
	fprintf(out,
		",\"shards\":%" PRIu64 ",\"fullest\":%" PRIu64 ",\"evictions\":%" PRIu64 ",\"expired\":%" PRIu64
		",\"ignored\":%" PRIu64 "}",
		r->shards, r->fullest, sum.evictions, sum.expired, r->ignored);
}

void report_print_json(struct report *r, FILE *out)
{
	const char *comma = "";

	print_json_verdicts(&r->tally, out);
	print_json_table(r, out);
	fprintf(out, ",\"time_back\":%" PRIu64 ",\"cut\":%" PRIu64 ",\"tiers\":{", r->time_back, r->cut);
#define TIER(tier) \
	fprintf(out, "%s\"" #tier "\":%" PRIu64, comma, r->tiers.tier); \
	comma = ",";
	ENGINE_TIERS(TIER)
#undef TIER
	fprintf(out, "},\"seconds\":%.6f,\"pps\":%.0f}\n", r->seconds, packets_per_second(r));
}

/* report_text.c: the analysis for people. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "analysis/report.h"

#define LINE_BYTES 512

/* Appends, and forgets what does not fit. */
static void add(char *text, size_t room, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void add(char *text, size_t room, const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, room - used, format, args);
	va_end(args);
}

void report_dim(const struct dim *d, char *text, size_t room)
{
	uint64_t all = d->bytes == 8 ? UINT64_MAX : (1ULL << 8 * d->bytes) - 1;
	unsigned low = d->mask ? (unsigned)__builtin_ctzll(d->mask) : 0;

	text[0] = 0;
	add(text, room, "%s", d->name);
	if (d->offset == DIM_NO_OFFSET || d->mask == all)
		return;
	if (d->mask && (d->mask | ((1ULL << low) - 1)) == all)
		add(text, room, "/%u", 8 * d->bytes - low);
	else
		add(text, room, " & 0x%" PRIx64, d->mask);
}

void report_dims(const struct dims *dims, char *text, size_t room)
{
	text[0] = 0;
	for (uint32_t i = 0; i < dims->n; i++) {
		char one[DIM_NAME_BYTES + 24];

		report_dim(&dims->items[i], one, sizeof(one));
		add(text, room, "%s%s", i ? ", " : "", one);
	}
	if (dims->dropped)
		add(text, room, " and %u more", dims->dropped);
}

static void add_guard(const struct cert_guard *g, char *text, size_t room)
{
	uint64_t all = g->bytes == 8 ? UINT64_MAX : (1ULL << 8 * g->bytes) - 1;

	if (g->bytes == 1)
		add(text, room, "byte %u", g->offset);
	else
		add(text, room, "bytes %u-%u", g->offset, g->offset + g->bytes - 1);
	if (g->mask != all)
		add(text, room, " & 0x%" PRIx64, g->mask);
	add(text, room, g->equal ? " = 0x%" PRIx64 : " are not 0x%" PRIx64, g->value);
}

void report_guard(const struct cert *c, char *text, size_t room)
{
	text[0] = 0;
	for (uint32_t i = 0; i < c->n_guards; i++) {
		add(text, room, "%s", i ? " and " : "");
		add_guard(&c->guards[i], text, room);
	}
}

void report_sentence(const struct analysis *a, char *text, size_t room)
{
	char by[LINE_BYTES], guard[LINE_BYTES];

	report_dims(&a->by, by, sizeof(by));
	text[0] = 0;
	switch (a->split.verdict) {
	case SPLIT_STATELESS:
		add(text, room, "Stateless: nothing is remembered from packet to packet, so any shard may take any packet.");
		return;
	case SPLIT_PARTITIONABLE:
		if (a->split.cert->n_rows)
			add(text, room, "Partitionable: the state splits over any number of shards by %s, and no verdict changes.",
			    by);
		else
			add(text, room,
			    "Partitionable: what it remembers is configuration or statistics, so any shard may take any packet.");
		return;
	case SPLIT_CONDITIONAL:
		report_guard(a->split.cert, guard, sizeof(guard));
		add(text, room, "Conditional: the state splits by %s if packets are dropped unless %s.", by, guard);
		return;
	default:
		add(text, room, "Pinned: no way to split the state was proved, so one shard must have all of it.");
		return;
	}
}

const char *report_kind(const struct object *o)
{
	static const char *const names[] = {"config", "partial", "owned"};

	return names[o->kind];
}

const char *report_access(const struct object_stages *s)
{
	return s->reads && s->updates ? "read-write" : s->updates ? "write" : "read";
}

static void print_stages(const struct analysis *a, FILE *out)
{
	const struct stage_counts *n = &a->stages.counts;

	fprintf(out, "\n%-10s %-12s %-12s %-12s %-18s %s\n", "values", "persistent", "objects", "updateable", "output-impacting",
		"tracked sites");
	fprintf(out, "%-10u %-12u %-12u %-12u %-18u %u\n", n->values, n->persistent, n->flow, n->updateable, n->impacting,
		n->tracked);
}

static void print_object(const struct analysis *a, uint32_t i, FILE *out)
{
	const struct object *o = &a->objects.items[i];
	const struct object_stages *s = &a->stages.objects[i];
	char dims[LINE_BYTES];

	report_dims(&s->dims, dims, sizeof(dims));
	fprintf(out, "\nobject %u: table %u, %s, %s%s%s, %s\n", i, o->table, report_access(s), report_kind(o),
		o->kind == OBJECT_PARTIAL ? " of class " : "", o->kind == OBJECT_PARTIAL ? cert_class_name(o->merge_class) : "",
		scope_name(s->scope));
	fprintf(out, "  keyed by   %s%s\n", dims[0] ? dims : "nothing of the packet",
		s->symmetric ? " (the same in both directions)" : "");
	fprintf(out, "  decides    %s%s\n", output_name(s->output),
		s->coupled ? ", shares its table's capacity with another object" : "");
	fprintf(out, "  sites     ");
	for (uint32_t j = 0; j < o->n_sites && j < REPORT_MAX_SITES; j++)
		fprintf(out, " %u", a->ir->values[o->sites[j]].pc);
	fprintf(out, "%s\n", o->n_sites > REPORT_MAX_SITES ? " ..." : "");
}

static void print_bound(const char *what, uint64_t n, FILE *out)
{
	if (n == IR_UNBOUNDED)
		fprintf(out, ", %s bounded by the limit only", what);
	else
		fprintf(out, ", at most %" PRIu64 " %s", n, what);
}

static void print_choice(const struct choice *c, FILE *out)
{
	if (!c->n)
		return;
	fprintf(out, "\nways to split, by %" PRIu64 " packets of the capture: the one whose largest class is smallest is taken\n",
		c->results[0].packets);
	for (uint32_t i = 0; i < c->n; i++) {
		const struct balance_result *r = &c->results[i];
		char by[LINE_BYTES];

		report_dims(&c->by[i], by, sizeof(by));
		fprintf(out, "  %c %-60s %10" PRIu64 " classes, largest %5.1f %%\n", i == c->taken ? '*' : ' ', by, r->classes,
			r->packets ? 100.0 * (double)r->largest / (double)r->packets : 0);
	}
}

static void print_transfer(const struct transfer_sums *s, FILE *out)
{
	if (!s->packets)
		return;
	fprintf(out, "\nkeeping a standby up to date over %" PRIu64 " packets: bytes a packet, and how many times as much (a) is\n",
		s->packets);
#define ROW(letter, text) \
	fprintf(out, "  (%c) %-72s %12.2f %10.1f\n", #letter[0] + 32, text, transfer_bytes_per_packet(s, TRANSFER_##letter), \
		transfer_ratio(s, TRANSFER_##letter));
	TRANSFER_BASELINES(ROW)
#undef ROW
}

void report_text(const struct analysis *a, FILE *out)
{
	char text[3 * LINE_BYTES];

	report_sentence(a, text, sizeof(text));
	fprintf(out, "%s\n", text);
	for (int i = 0; i < SPLIT_LIMIT_COUNT; i++)
		if (a->split.limits >> i & 1)
			fprintf(out, "given up: %s\n", split_limit_text(i));
	print_stages(a, out);
	for (uint32_t i = 0; i < a->objects.n; i++)
		print_object(a, i, out);
	fprintf(out, "\na packet: %u bytes readable", a->stages.readable_bytes);
	print_bound("instructions", a->ir->path.insns, out);
	print_bound("table accesses", a->ir->path.accesses, out);
	print_bound("updates", a->ir->path.updates, out);
	fputc('\n', out);
	print_choice(&a->choice, out);
	print_transfer(&a->transfer, out);
}

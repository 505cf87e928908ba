/* ctl_state.c: vfmctl state: the merged table, by object. */
#include "controller/ctl.h"
#include "controller/merged.h"

#include "analysis/analyze.h"
#include "analysis/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct view {
	const struct ctl_options *options;
	struct deploy deploy;
	struct analysis analysis;
	struct merged merged;
};

int ctl_fail(const char *why)
{
	fprintf(stderr, "vfmctl: %s\n", why);
	return 1;
}

int ctl_print_json(json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!text)
		return ctl_fail("out of memory, the answer: close other programs");
	puts(text);
	free(text);
	return 0;
}

/* ---- by object ---- */

static bool is_shown(const struct view *v, uint8_t table)
{
	int64_t object = v->options->object;
	return object < 0 || v->analysis.objects.items[object].table == table;
}

static size_t first_of(const struct view *v, uint8_t table)
{
	size_t i = 0;
	while (i < v->merged.table.n && v->merged.table.entries[i].table < table)
		i++;
	return i;
}

static size_t count_of(const struct view *v, uint8_t table)
{
	size_t n = 0;
	for (size_t i = first_of(v, table); i < v->merged.table.n && v->merged.table.entries[i].table == table; i++)
		n++;
	return n;
}

static json_t *hex(uint64_t value)
{
	char text[20];
	snprintf(text, sizeof text, "0x%016" PRIx64, value);
	return json_string(text);
}

static json_t *objects_json(const struct view *v, uint8_t table)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < v->analysis.objects.n; i++) {
		const struct object *o = &v->analysis.objects.items[i];
		char by[512];
		if (o->table != table)
			continue;
		report_dims(&v->analysis.stages.objects[i].dims, by, sizeof by);
		json_array_append_new(list,
				      json_pack("{s:I,s:s,s:s?,s:s}", "id", (json_int_t)i, "kind", report_kind(o), "merge",
						o->kind == OBJECT_PARTIAL ? cert_class_name(o->merge_class) : NULL, "by", by));
	}
	return list;
}

static json_t *entries_json(const struct view *v, uint8_t table)
{
	json_t *list = json_array();
	size_t first = first_of(v, table), n = count_of(v, table);
	for (size_t i = first; i < first + n; i++)
		json_array_append_new(
			list, json_pack("[o,o]", hex(v->merged.table.entries[i].key), hex(v->merged.table.entries[i].value)));
	return list;
}

static json_t *tables_json(const struct view *v)
{
	const struct program *p = v->deploy.program;
	json_t *list = json_array();
	for (uint32_t i = 0; i < p->n_tables; i++)
		if (is_shown(v, p->tables[i].number))
			json_array_append_new(list, json_pack("{s:I,s:o,s:o}", "table", (json_int_t)p->tables[i].number, "objects",
							      objects_json(v, p->tables[i].number), "entries",
							      entries_json(v, p->tables[i].number)));
	return list;
}

static json_t *positions_json(const struct view *v)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < v->merged.n_positions; i++) {
		const struct merged_position *p = &v->merged.positions[i];
		char stream[24], session[24];
		snprintf(stream, sizeof stream, "%" PRIu64, p->stream);
		snprintf(session, sizeof session, "%016" PRIx64, p->session);
		json_array_append_new(list,
				      json_pack("{s:I,s:I,s:I,s:s,s:s,s:I,s:b}", "shard", (json_int_t)p->shard, "epoch",
						(json_int_t)p->epoch, "number", (json_int_t)p->number, "stream", stream, "session",
						session, "position", (json_int_t)p->position, "retired", (int)p->retired));
	}
	return list;
}

static int print_json(const struct view *v)
{
	char digest[20];
	snprintf(digest, sizeof digest, "%016" PRIx64, v->deploy.digest);
	return ctl_print_json(json_pack("{s:s,s:s,s:I,s:I,s:o,s:o}", "filter", v->deploy.name, "plan", digest, "shards",
					(json_int_t)v->deploy.plan->shards, "clock_us", (json_int_t)v->merged.clock_us, "positions",
					positions_json(v), "tables", tables_json(v)));
}

/* ---- for people ---- */

static int by_stream(const void *a, const void *b)
{
	const struct merged_position *x = a, *y = b;
	if (x->stream != y->stream)
		return x->stream < y->stream ? -1 : 1;
	return x->shard < y->shard ? -1 : x->shard > y->shard;
}

/* Sorts the positions. */
static void print_streams(struct view *v)
{
	struct merged_position *p = v->merged.positions;
	uint32_t n = v->merged.n_positions, next;
	qsort(p, n, n ? sizeof *p : 1, by_stream);
	for (uint32_t i = 0; i < n; i = next) {
		uint64_t sum = 0;
		for (next = i; next < n && p[next].stream == p[i].stream; next++)
			sum += p[next].position;
		printf("stream %" PRIu64 "%s: %" PRIu64 " packets applied\n", p[i].stream, p[i].retired ? " (retired)" : "", sum);
		for (uint32_t k = i; k < next && v->options->verbose; k++)
			printf("  shard %u: position %" PRIu64 ", epoch %" PRIu64 ", delta %" PRIu64 "\n", p[k].shard,
			       p[k].position, p[k].epoch, p[k].number);
	}
}

static void print_object(const struct view *v, uint32_t i)
{
	const struct object *o = &v->analysis.objects.items[i];
	char by[512];
	report_dims(&v->analysis.stages.objects[i].dims, by, sizeof by);
	printf("  object %u: %s%s%s, keyed by %s\n", i, report_kind(o), o->kind == OBJECT_PARTIAL ? ", merged by " : "",
	       o->kind == OBJECT_PARTIAL ? cert_class_name(o->merge_class) : "", by[0] ? by : "nothing of the packet");
}

static int print_text(struct view *v)
{
	const struct program *p = v->deploy.program;
	printf("%s, plan %016" PRIx64 ", %u shard%s, packet time %" PRIu64 ".%06u s\n", v->deploy.name, v->deploy.digest,
	       v->deploy.plan->shards, v->deploy.plan->shards == 1 ? "" : "s", v->merged.clock_us / 1000000,
	       (unsigned)(v->merged.clock_us % 1000000));
	print_streams(v);
	for (uint32_t i = 0; i < p->n_tables; i++) {
		uint8_t table = p->tables[i].number;
		size_t first = first_of(v, table), n = count_of(v, table);
		if (!is_shown(v, table))
			continue;
		printf("table %u: %zu entr%s\n", table, n, n == 1 ? "y" : "ies");
		for (uint32_t k = 0; k < v->analysis.objects.n; k++)
			if (v->analysis.objects.items[k].table == table)
				print_object(v, k);
		for (size_t k = first; k < first + n; k++)
			printf("  0x%016" PRIx64 " 0x%016" PRIx64 "\n", v->merged.table.entries[k].key,
			       v->merged.table.entries[k].value);
	}
	return fflush(stdout) ? ctl_fail("not all could be written, standard output: make room") : 0;
}

/* ---- the table file ---- */

static int write_table(const struct view *v)
{
	const char *name = v->options->table;
	struct table_file shown = {0};
	FILE *out = strcmp(name, "-") ? fopen(name, "w") : stdout;
	int err = out ? 0 : -errno;
	for (size_t i = 0; i < v->merged.table.n && !err; i++)
		if (is_shown(v, v->merged.table.entries[i].table))
			table_file_append(&shown, &v->merged.table.entries[i]);
	if (!err)
		err = shown.failed ? -ENOMEM : table_file_write(&shown, out);
	table_file_fini(&shown);
	if (out && (out == stdout ? fflush(out) : fclose(out)) && !err)
		err = -errno;
	if (err)
		fprintf(stderr, "vfmctl: %s, %s: name a file that can be written\n", strerror(-err), name);
	return err ? 1 : 0;
}

static int show(struct view *v)
{
	const struct ctl_options *o = v->options;
	char why[CLUSTER_WHY_BYTES];
	if (o->object >= (int64_t)v->analysis.objects.n) {
		snprintf(why, sizeof why,
			 "no such object, --object %" PRId64 ": the filter has %u, numbered from 0 (see vfmctl report)", o->object,
			 v->analysis.objects.n);
		return ctl_fail(why);
	}
	int status = o->table ? write_table(v) : 0;
	if (status || (o->table && strcmp(o->table, "-") == 0))
		return status;
	return o->json ? print_json(v) : print_text(v);
}

int ctl_state(const struct ctl_options *o)
{
	char why[CLUSTER_WHY_BYTES] = "out of memory, the state: close other programs";
	struct view v = {.options = o};
	struct cluster c;
	int err = cluster_open(&c, o->controller, o->keys, why);
	if (!err)
		err = cluster_plan(&c, &v.deploy, why);
	if (!err)
		err = analysis_run(v.deploy.program, &v.analysis);
	if (!err)
		err = merged_read(&c, &v.deploy, 1000 * o->wait_s, &v.merged, why);
	int status = err ? ctl_fail(why) : show(&v);
	merged_fini(&v.merged);
	analysis_fini(&v.analysis);
	deploy_close(&v.deploy);
	cluster_close(&c);
	return status;
}

/* ctl_report.c: vfmctl report: what the analyzer says of the filter that is loaded, and how the cluster stands with it. */
#include "controller/ctl.h"

#include "analysis/analyze.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the nodes count that is added up, with the words for people. */
#define COUNTS(X) \
	X(packets, "packets applied") \
	X(accept, "accepted") \
	X(log, "of them logged") \
	X(drop, "dropped") \
	X(insertions, "entries inserted") \
	X(evictions, "evicted") \
	X(expired, "expired") \
	X(deleted, "deleted") \
	X(ignored, "updates of tables without room")

enum count {
#define COUNT_ENUM(name, words) COUNT_##name,
	COUNTS(COUNT_ENUM) COUNT_KINDS
};
static const char *const count_names[] = {
#define COUNT_NAME(name, words) #name,
	COUNTS(COUNT_NAME)};
static const char *const count_words[] = {
#define COUNT_WORDS(name, words) words,
	COUNTS(COUNT_WORDS)};

struct report {
	const struct ctl_options *options;
	struct cluster cluster;
	struct deploy deploy;
	struct analysis analysis;
	uint64_t counts[COUNT_KINDS];
	uint64_t lost_released;
	json_t *errors; /* {"BOUNDS": n, ...} */
	json_t *nodes;  /* [{"name", "owns", "standby", "packets", "suspected", "answers"}] */
	json_t *losses; /* [{"shard", "history"}] */
	json_t *stray;  /* [{"node", "shard", "history", "number", "stale"}] copies that no configuration names */
	uint64_t placed, with_standby, same_process, sealed, silent;
};

static uint64_t number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static const char *word(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

/* ---- shards ---- */

static bool in_sync(const json_t *shard, const char *name)
{
	size_t i;
	json_t *member;
	json_array_foreach(json_object_get(shard, "in_sync"), i, member)
	{
		if (strcmp(json_string_value(member), name) == 0)
			return true;
	}
	return false;
}

static void look_at_shards(struct report *r)
{
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(r->cluster.status, "shards"), i, s)
	{
		r->placed++;
		r->with_standby += json_array_size(json_object_get(s, "in_sync")) > 0;
		r->same_process += json_is_true(json_object_get(s, "same_process"));
		r->sealed += json_is_true(json_object_get(s, "sealed"));
		if (number(s, "history") > 1)
			json_array_append_new(r->losses, json_pack("{s:I,s:I}", "shard", (json_int_t)number(s, "shard"), "history",
								   (json_int_t)number(s, "history")));
	}
}

/* ---- nodes ---- */

static const json_t *shard_numbered(const struct report *r, uint64_t shard)
{
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(r->cluster.status, "shards"), i, s)
	{
		if (number(s, "shard") == shard)
			return s;
	}
	return NULL;
}

/* A learner's copy, or one that a history lost has left: of an older history it is never promoted without the operator's word. */
static void look_at_copies(struct report *r, const char *node, const char *incarnation, const json_t *account)
{
	size_t i;
	json_t *copy;
	json_array_foreach(json_object_get(account, "copies"), i, copy)
	{
		uint64_t shard = (uint64_t)json_integer_value(json_array_get(copy, 0)),
			 history = (uint64_t)json_integer_value(json_array_get(copy, 1));
		const json_t *s = shard_numbered(r, shard);
		if (!s || in_sync(s, node) || strcmp(word(s, "incarnation"), incarnation) == 0)
			continue;
		json_array_append_new(r->stray,
				      json_pack("{s:s,s:I,s:I,s:I,s:b}", "node", node, "shard", (json_int_t)shard, "history",
						(json_int_t)history, "number", json_integer_value(json_array_get(copy, 3)), "stale",
						(int)(history < number(s, "history"))));
	}
}

static void add_counts(struct report *r, const json_t *account)
{
	const char *name;
	json_t *n, *errors = json_object_get(account, "errors");
	for (int i = 0; i < COUNT_KINDS; i++)
		r->counts[i] += number(account, count_names[i]);
	json_object_foreach(errors, name, n)
	{
		json_object_set_new(r->errors, name, json_integer((json_int_t)number(r->errors, name) + json_integer_value(n)));
	}
	r->lost_released += number(account, "lost_released");
}

static void look_at_node(struct report *r, const json_t *node)
{
	const char *name = word(node, "name"), *incarnation = word(node, "incarnation");
	bool lives = !json_is_true(json_object_get(node, "suspected")) && !json_is_true(json_object_get(node, "dead"));
	char *text = lives ? cluster_ask_node(&r->cluster, incarnation, json_pack("{s:s}", "command", "account")) : NULL;
	json_t *account = text ? json_loads(text, 0, NULL) : NULL, *s;
	uint64_t standby = 0;
	size_t i;
	free(text);
	json_array_foreach(json_object_get(r->cluster.status, "shards"), i, s)
	{
		standby += in_sync(s, name);
	}
	if (account) {
		add_counts(r, account);
		look_at_copies(r, name, incarnation, account);
	}
	r->silent += !account && number(node, "shards");
	if (!lives && !number(node, "shards") && !standby)
		return; /* gone, and not missed */
	json_array_append_new(r->nodes, json_pack("{s:s,s:s,s:I,s:I,s:I,s:b,s:b}", "name", name, "incarnation", incarnation, "owns",
						  (json_int_t)number(node, "shards"), "standby", (json_int_t)standby, "packets",
						  (json_int_t)number(account, "packets"), "steers",
						  (int)json_is_true(json_object_get(node, "steers")), "answers", account != NULL));
	json_decref(account);
}

static int gather(struct report *r, char why[CLUSTER_WHY_BYTES])
{
	size_t i;
	json_t *node;
	int err = cluster_plan(&r->cluster, &r->deploy, why);
	if (!err)
		err = cluster_refresh(&r->cluster, why);
	if (!err && analysis_run(r->deploy.program, &r->analysis)) {
		snprintf(why, CLUSTER_WHY_BYTES, "out of memory, the analysis: close other programs");
		err = -ENOMEM;
	}
	if (err)
		return err;
	look_at_shards(r);
	json_array_foreach(json_object_get(r->cluster.status, "nodes"), i, node)
	{
		look_at_node(r, node);
	}
	return 0;
}

/* ---- showing ---- */

static json_t *analysis_object(const struct report *r)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	if (!out)
		return NULL;
	report_json(&r->analysis, out);
	json_t *o = fclose(out) ? NULL : json_loadb(text, n, 0, NULL);
	free(text);
	return o;
}

static int print_json(struct report *r)
{
	char plan[20];
	json_t *counts = json_object();
	snprintf(plan, sizeof plan, "%016" PRIx64, r->deploy.digest);
	for (int i = 0; i < COUNT_KINDS; i++)
		json_object_set_new(counts, count_names[i], json_integer((json_int_t)r->counts[i]));
	json_object_set(counts, "errors", r->errors);
	return ctl_print_json(json_pack("{s:s,s:s,s:s,s:s*,s:o,s:{s:I,s:I,s:I,s:I,s:I,s:O,s:O,s:O,s:I,s:o,s:O}}", "filter",
					r->deploy.name, "plan", plan, "verdict", split_name(r->analysis.split.verdict), "reason",
					r->analysis.split.verdict == SPLIT_PINNED ? r->analysis.split.reason : NULL, "analysis",
					analysis_object(r), "cluster", "shards", (json_int_t)r->deploy.plan->shards, "placed",
					(json_int_t)r->placed, "with_standby", (json_int_t)r->with_standby, "same_process",
					(json_int_t)r->same_process, "sealed", (json_int_t)r->sealed, "nodes", r->nodes, "losses",
					r->losses, "stray", r->stray, "lost_released", (json_int_t)r->lost_released, "counts",
					counts, "controller", json_object_get(r->cluster.status, "counters")));
}

static void print_split(const struct report *r)
{
	const struct deploy *d = &r->deploy;
	if (r->analysis.split.verdict == SPLIT_PINNED)
		printf("why: %s\n", r->analysis.split.reason);
	else if (d->plan->shards == 1)
		printf("It was loaded into one shard all the same.\n");
	if (d->preload.n)
		printf("%zu entries are preloaded.\n", d->preload.n);
}

static void print_nodes(const struct report *r)
{
	size_t i;
	json_t *n;
	printf("\n%-16s %8s %8s %12s\n", "node", "owns", "standby", "packets");
	json_array_foreach(r->nodes, i, n)
	{
		printf("%-16s %8" PRIu64 " %8" PRIu64 " %12" PRIu64 "%s%s\n", word(n, "name"), number(n, "owns"),
		       number(n, "standby"), number(n, "packets"), json_is_true(json_object_get(n, "steers")) ? "  steers" : "",
		       json_is_true(json_object_get(n, "answers")) ? "" : "  DOES NOT ANSWER");
	}
}

static void print_counts(const struct report *r)
{
	const char *name;
	json_t *n;
	for (int i = 0; i < COUNT_KINDS; i++) {
		printf("%s%" PRIu64 " %s", i == 0 || i == COUNT_insertions ? "\n" : ", ", r->counts[i], count_words[i]);
		if (i != COUNT_drop)
			continue;
		json_object_foreach(r->errors, name, n)
		{
			if (json_integer_value(n))
				printf(", %" JSON_INTEGER_FORMAT " in error by %s", json_integer_value(n), name);
		}
	}
	putchar('\n');
	if (r->silent)
		printf("WITHOUT what %" PRIu64 " node%s that do%s not answer would add\n", r->silent, r->silent == 1 ? "" : "s",
		       r->silent == 1 ? "es" : "");
}

static void print_losses(const struct report *r)
{
	size_t i;
	json_t *x;
	printf("losses declared: %zu shard%s\n", json_array_size(r->losses), json_array_size(r->losses) == 1 ? "" : "s");
	json_array_foreach(r->losses, i, x)
	{
		printf("  shard %" PRIu64 " is in history %" PRIu64 "\n", number(x, "shard"), number(x, "history"));
	}
	if (r->lost_released)
		printf("  %" PRIu64 " packets were released under a history that was lost\n", r->lost_released);
	printf("copies that no configuration names: %zu\n", json_array_size(r->stray));
	json_array_foreach(r->stray, i, x)
	{
		printf("  shard %" PRIu64 " on %s, history %" PRIu64 ", delta %" PRIu64 "%s\n", number(x, "shard"), word(x, "node"),
		       number(x, "history"), number(x, "number"),
		       json_is_true(json_object_get(x, "stale")) ? ", STALE: of a history that was lost" : "");
	}
}

static int print_text(const struct report *r)
{
	const struct deploy *d = &r->deploy;
	printf("%s, plan %016" PRIx64 ", %u shard%s\n", d->name, d->digest, d->plan->shards, d->plan->shards == 1 ? "" : "s");
	report_text(&r->analysis, stdout);
	print_split(r);
	printf("\n%" PRIu64 " of %u shards have an owner, %" PRIu64 " a standby in sync", r->placed, d->plan->shards,
	       r->with_standby);
	if (r->same_process)
		printf(" (%" PRIu64 " of them in their owner's own process)", r->same_process);
	if (r->sealed)
		printf(", %" PRIu64 " wait for steerers after a loss", r->sealed);
	print_nodes(r);
	print_counts(r);
	print_losses(r);
	return fflush(stdout) ? ctl_fail("not all could be written, standard output: make room") : 0;
}

int ctl_report(const struct ctl_options *o)
{
	char why[CLUSTER_WHY_BYTES];
	struct report r = {
		.options = o, .errors = json_object(), .nodes = json_array(), .losses = json_array(), .stray = json_array()};
	int err = cluster_open(&r.cluster, o->controller, o->keys, why);
	if (!err)
		err = gather(&r, why);
	int status = err ? ctl_fail(why) : o->json ? print_json(&r) : print_text(&r);
	json_t *lists[] = {r.errors, r.nodes, r.losses, r.stray};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		json_decref(lists[i]);
	analysis_fini(&r.analysis);
	deploy_close(&r.deploy);
	cluster_close(&r.cluster);
	return status;
}

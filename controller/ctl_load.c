/* ctl_load.c: vfmctl load: another filter for a cluster, or its first. The filter is compiled, verified, analysed and its split proved
 * here, so that what is wrong is said with its place before anything changes; the controller and the nodes prove it again. */
#include "controller/ctl.h"

#include "analysis/analyze.h"
#include "analysis/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENTENCE_BYTES 1024

/* Diagnostics are printed where they arise; why is empty then. */
static int open_plan(const struct deploy_options *o, const struct cert *cert, struct deploy *d, char why[CLUSTER_WHY_BYTES])
{
	struct diag_list *diags = calloc(1, sizeof *diags);
	char *text = NULL;
	why[0] = 0;
	if (!diags)
		return -ENOMEM;
	int err = cert ? deploy_open_with(d, o, cert, diags, &text, why) : deploy_open(d, o, diags, &text, why);
	diag_print(diags, stderr);
	free(text);
	free(diags);
	return err;
}

static int refuse(const struct deploy_options *o, const char *what, const char *todo, char why[CLUSTER_WHY_BYTES])
{
	snprintf(why, CLUSTER_WHY_BYTES, "%.300s, %.80s: %s", what, o->expression ? o->expression : o->filter, todo);
	return -EINVAL;
}

/* The plan as the analyzer finds it: split where that is proved, else in one shard. */
static int analysed_plan(const struct ctl_options *o, struct deploy *d, char sentence[SENTENCE_BYTES], char why[CLUSTER_WHY_BYTES])
{
	struct deploy_options options = o->plan;
	struct analysis a = {0};
	struct deploy one;
	options.shards = 1;
	int err = open_plan(&options, NULL, &one, why);
	if (err)
		return err;
	err = analysis_run(one.program, &a);
	if (!err) {
		report_sentence(&a, sentence, SENTENCE_BYTES);
		options.shards = o->plan.shards;
		if (a.split.verdict == SPLIT_PINNED && o->plan.shards > 1)
			err = refuse(&options, a.split.reason, "it may not be split: load it without --shards, it then runs in one",
				     why);
		else if (a.split.verdict == SPLIT_CONDITIONAL && o->plan.shards != 1 && !o->accept_guard)
			err = refuse(&options, sentence, "give --accept-guard, or --shards 1", why);
		else
			err = open_plan(&options, o->plan.shards == 1 ? NULL : a.split.cert, d, why);
	}
	analysis_fini(&a);
	deploy_close(&one);
	return err;
}

static json_t *request(const struct ctl_options *o, const struct deploy *d)
{
	char *text = deploy_encode(d);
	json_t *plan = text ? json_loads(text, 0, NULL) : NULL;
	free(text);
	return plan ? json_pack("{s:s,s:o,s:b}", "command", "load", "plan", plan, "replace", (int)o->replace) : NULL;
}

static int tell(const struct ctl_options *o, const struct deploy *d, const char *sentence, const json_t *answer)
{
	const char *plan = json_string_value(json_object_get(answer, "plan"));
	if (o->json)
		return ctl_print_json(json_incref((json_t *)(uintptr_t)answer));
	printf("%s is loaded, plan %s, %u shard%s\n", d->name, plan ? plan : "", d->plan->shards, d->plan->shards == 1 ? "" : "s");
	if (sentence[0])
		printf("%s\n", sentence);
	return 0;
}

int ctl_load(const struct ctl_options *o)
{
	char why[CLUSTER_WHY_BYTES], sentence[SENTENCE_BYTES] = "";
	struct deploy d;
	struct cluster c;
	int err = o->plan.certificate ? open_plan(&o->plan, NULL, &d, why) : analysed_plan(o, &d, sentence, why);
	if (err)
		return why[0] ? ctl_fail(why) : 1;
	err = cluster_open(&c, o->controller, o->keys, why);
	json_t *q = err ? NULL : request(o, &d), *answer = q ? cluster_ask(&c, q, why) : NULL;
	if (!err && !q)
		snprintf(why, sizeof why, "out of memory, the plan: close other programs");
	int status = answer ? tell(o, &d, sentence, answer) : ctl_fail(why);
	json_decref(answer);
	if (!err)
		cluster_close(&c);
	deploy_close(&d);
	return status;
}

/* ---- scale ---- */

static int tell_scale(const struct ctl_options *o, const struct deploy *d)
{
	struct analysis a = {0};
	char note[SENTENCE_BYTES] = "";
	int err = d->plan->shards > 1 ? 0 : analysis_run(d->program, &a);
	if (err)
		return ctl_fail("out of memory, the analysis: close other programs");
	if (d->plan->shards == 1 && a.split.verdict == SPLIT_PINNED)
		snprintf(note, sizeof note,
			 "%.60s may not be split (%.256s): it runs in one shard, with a standby; more nodes take none of its "
			 "packets",
			 d->name, a.split.reason);
	else if (d->plan->shards == 1)
		snprintf(note, sizeof note,
			 "%.60s was loaded into one shard, with a standby: more nodes take none of its packets (vfmctl load "
			 "--replace "
			 "would split it)",
			 d->name);
	analysis_fini(&a);
	if (o->json)
		return ctl_print_json(json_pack("{s:b,s:I,s:s*}", "done", 1, "shards", (json_int_t)d->plan->shards, "note",
						note[0] ? note : NULL));
	if (note[0])
		puts(note);
	return 0;
}

int ctl_scale(const struct ctl_options *o, const char *nodes)
{
	char why[CLUSTER_WHY_BYTES], *end;
	struct cluster c;
	struct deploy d;
	long long n = strtoll(nodes, &end, 10);
	if (*end || end == nodes || n < -1 || n == 0)
		return ctl_fail("a number of nodes is needed, scale: give 1 or more, or -1 for all");
	if (cluster_open(&c, o->controller, o->keys, why))
		return ctl_fail(why);
	json_t *answer = cluster_ask(&c, json_pack("{s:s,s:I}", "command", "scale", "n", (json_int_t)n), why);
	int status = !answer || cluster_plan(&c, &d, why) ? ctl_fail(why) : tell_scale(o, &d);
	if (!status)
		deploy_close(&d);
	json_decref(answer);
	cluster_close(&c);
	return status;
}

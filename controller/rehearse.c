#include "controller/rehearse.h"

#include "analysis/parts.h"
#include "controller/draw.h"
#include "controller/fleet.h"
#include "controller/input.h"
#include "controller/merged.h"
#include "state/mix.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SETTLE_US  30000000u
#define PROMOTIONS 256
#define NAME_BYTES 160

struct rehearsal {
	const struct rehearse_options *options;
	struct rehearse_result *result;
	char *why;
	struct fleet fleet;
	struct watch *watch; /* with --svg */
	struct deploy deploy;
	struct rehearse_options effective;
	struct input input;
	char certificate[NAME_BYTES], e1[NAME_BYTES], e1_table[NAME_BYTES], e2[NAME_BYTES], table[NAME_BYTES], shards_text[16],
		capacity_text[16], json[NAME_BYTES];
	uint64_t random;
	json_t *status; /* the controller's newest answer */
	uint64_t kill_at_us[PROMOTIONS];
	uint64_t promoted_us[PROMOTIONS];
	uint64_t n_kills;
	uint64_t delta_bytes; /* of nodes that were killed */
};

static uint64_t draw(struct rehearsal *h, uint64_t n)
{
	h->random += 0x9e3779b97f4a7c15ull;
	return mix64(h->random) % n;
}

static void say(const struct rehearsal *h, const char *what, const char *detail, uint64_t n)
{
	if (h->options->verbose)
		fprintf(stderr, "%9.3f s  %s %s %" PRIu64 "\n", (double)(fleet_now_us() % 1000000000) / 1e6, what, detail, n);
}

static int fail(struct rehearsal *h, int err, const char *what, const char *where, const char *todo)
{
	if (!h->why[0])
		snprintf(h->why, REHEARSE_WHY_BYTES, "%.200s, %.160s: %.120s", what, where, todo);
	return err;
}

static void pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	nanosleep(&t, NULL);
}

/* ---- the single instances ---- */

static void add_common(struct rehearsal *h, const char *arg)
{
	h->fleet.common[h->fleet.n_common++] = arg;
}

/* The filter and its options, as vfm-test and the cluster's programs take them. */
static void set_common(struct rehearsal *h)
{
	const struct deploy_options *p = &h->effective.plan;
	h->fleet.n_common = 0;
	if (p->certificate) {
		snprintf(h->shards_text, sizeof h->shards_text, "%u", h->effective.shards);
		add_common(h, "--certificate");
		add_common(h, p->certificate);
		add_common(h, "--shards");
		add_common(h, h->shards_text);
	}
	if (p->capacity) {
		snprintf(h->capacity_text, sizeof h->capacity_text, "%u", p->capacity);
		add_common(h, "--capacity");
		add_common(h, h->capacity_text);
	}
	if (p->preload) {
		add_common(h, "--preload");
		add_common(h, p->preload);
	}
	if (p->expression)
		add_common(h, "-e");
	add_common(h, p->expression ? p->expression : p->filter);
}

static int split(struct rehearsal *h)
{
	const struct deploy_options *p = &h->effective.plan;
	const char *args[8];
	int n = 0;
	if (p->certificate || h->options->shards == 1)
		return 0;
	args[n++] = "--certificate";
	args[n++] = h->certificate;
	if (p->expression)
		args[n++] = "-e";
	args[n++] = p->expression ? p->expression : p->filter;
	args[n] = NULL;
	int status = fleet_run(&h->fleet, "vfm-analyze", args, NULL);
	if (status == 10 && !h->options->accept_guard)
		return fail(h, -EINVAL, "the filter may be split only behind a guard that drops some packets", args[n - 1],
			    "see vfm-analyze --explain, then give --accept-guard, or --shards 1");
	if (status == 0 || status == 10)
		h->effective.plan.certificate = h->certificate;
	else if (status != 11)
		return fail(h, -EINVAL, "cannot be analyzed", args[n - 1], "see vfm-analyze");
	return 0;
}

enum single { SINGLE_FLAT, SINGLE_IN_TURN, SINGLE_ORDERED };

/* One instance over all captures, one after the other, or in the order that the cluster told. */
static int run_single(struct rehearsal *h, enum single how, const char *verdicts, const char *table)
{
	char orders[INPUT_MAX_CAPTURES][INPUT_PATH_BYTES + 16];
	const char *args[FLEET_MAX_ARGS + 3 * INPUT_MAX_CAPTURES];
	bool flat = how == SINGLE_FLAT;
	int n = 0;
	args[n++] = "--json";
	args[n++] = "--verdicts";
	args[n++] = verdicts;
	args[n++] = "--table";
	args[n++] = table;
	if (flat)
		args[n++] = "--flat";
	for (uint32_t i = 0; how == SINGLE_ORDERED && i < h->input.n_captures; i++) {
		input_order(&h->input, i, orders[i]);
		args[n++] = "--order";
		args[n++] = orders[i];
	}
	for (uint32_t i = 0; i < h->fleet.n_common; i++) {
		if (flat && (!strcmp(h->fleet.common[i], "--shards") || !strcmp(h->fleet.common[i], "--capacity")))
			i++; /* the flat machine is not split, and its tables have no end */
		else
			args[n++] = h->fleet.common[i];
	}
	for (uint32_t i = 0; i < h->input.n_captures; i++)
		args[n++] = h->input.captures[i];
	args[n] = NULL;
	int status = fleet_run(&h->fleet, "vfm-test", args, h->json);
	if (status)
		return fail(h, -EINVAL, "the single instance cannot run it", h->input.captures[0], "see vfm-test");
	json_t *o = json_load_file(h->json, 0, NULL);
	if (!flat) {
		h->result->packets = (uint64_t)json_integer_value(json_object_get(o, "packets"));
		h->result->evictions = (uint64_t)json_integer_value(json_object_get(json_object_get(o, "table"), "evictions"));
	}
	json_decref(o);
	return 0;
}

/* ---- the cluster ---- */

static int start_node(struct rehearsal *h, uint32_t i)
{
	const char *args[] = {"--controller", h->fleet.controller.endpoint, "--release", h->options->release,
			      "--engine",     h->options->engine,           NULL};
	snprintf(h->fleet.nodes[i].name, sizeof h->fleet.nodes[i].name, "node%u", i + 1);
	return fleet_start(&h->fleet, &h->fleet.nodes[i], "vfm-node", args);
}

static int start_all(struct rehearsal *h)
{
	struct fleet *f = &h->fleet;
	char store[NAME_BYTES], nodes[16];
	snprintf(store, sizeof store, "%s/store", f->directory);
	snprintf(nodes, sizeof nodes, "%u", h->options->nodes);
	const char *controller[8] = {"--store", store, "--nodes", nodes, NULL};
	if (strcmp(h->options->release, "none") == 0)
		controller[4] = "--no-standby";
	snprintf(f->controller.name, sizeof f->controller.name, "controller");
	snprintf(f->steerer.name, sizeof f->steerer.name, "input");
	int err = fleet_start(f, &f->controller, "vfm-controller", controller);
	f->n_nodes = h->options->nodes;
	for (uint32_t i = 0; i < f->n_nodes && !err; i++)
		err = start_node(h, i);
	const char *steer[16 + INPUT_MAX_ARGS] = {"--controller", f->controller.endpoint,
						  "--release",    h->options->release,
						  "--steer-only", "--stay",
						  "--stop-at",    "0"};
	input_args(&h->input, steer);
	if (!err)
		err = fleet_start(f, &f->steerer, "vfm-node", steer);
	if (!err && h->options->svg)
		err = watch_start(&h->watch, f->steerer.endpoint);
	return err ? fail(h, err, strerror(-err), "the cluster", "see the logs with --keep") : 0;
}

static bool refresh(struct rehearsal *h)
{
	json_t *status = fleet_ask(&h->fleet.controller, json_pack("{s:s}", "command", "status"));
	if (!status)
		return false;
	json_decref(h->status);
	h->status = status;
	return true;
}

static struct fleet_process *node_named(struct rehearsal *h, const char *name)
{
	for (uint32_t i = 0; name && i < h->fleet.n_nodes; i++)
		if (strcmp(h->fleet.nodes[i].name, name) == 0)
			return &h->fleet.nodes[i];
	return NULL;
}

static const json_t *shard_at(const struct rehearsal *h, uint64_t shard)
{
	return json_array_get(json_object_get(h->status, "shards"), shard);
}

static const char *owner_of(const struct rehearsal *h, uint64_t shard)
{
	return json_string_value(json_object_get(shard_at(h, shard), "owner"));
}

/* By incarnation: a name may be that of a process killed before. */
static bool is_alive(const struct rehearsal *h, const json_t *incarnation)
{
	const json_t *node;
	size_t i;
	json_array_foreach(json_object_get(h->status, "nodes"), i, node)
	{
		if (json_equal(json_object_get(node, "incarnation"), incarnation))
			return !json_is_true(json_object_get(node, "dead")) && !json_is_true(json_object_get(node, "suspected"));
	}
	return false;
}

/* Every shard has an owner that runs, is not sealed, and has its standby. */
static bool is_settled(struct rehearsal *h)
{
	bool standby = strcmp(h->options->release, "none") != 0;
	if (json_array_size(json_object_get(h->status, "shards")) != h->effective.shards)
		return false;
	for (uint32_t i = 0; i < h->effective.shards; i++) {
		const json_t *shard = shard_at(h, i), *in_sync = json_object_get(shard, "in_sync_incarnations");
		if (json_is_true(json_object_get(shard, "sealed")) || !is_alive(h, json_object_get(shard, "incarnation")) ||
		    (standby && !is_alive(h, json_array_get(in_sync, 0))))
			return false;
	}
	return true;
}

/* The cluster would survive a node that crashes; a rehearsal must not. */
static int check_processes(struct rehearsal *h)
{
	const struct fleet *f = &h->fleet;
	const struct fleet_process *all[FLEET_MAX_NODES + 2] = {&f->controller, &f->steerer};
	char how[FLEET_HOW_BYTES], what[64];
	for (uint32_t i = 0; i < f->n_nodes; i++)
		all[2 + i] = &f->nodes[i];
	for (uint32_t i = 0; i < 2 + f->n_nodes; i++) {
		if (!fleet_ended(all[i], how))
			continue;
		snprintf(what, sizeof what, "a process ended by itself (%s)", how);
		return fail(h, -ECHILD, what, all[i]->name, "see its log with --keep");
	}
	return 0;
}

static int settle(struct rehearsal *h, const char *what)
{
	uint64_t until = fleet_now_us() + SETTLE_US;
	int err = 0;
	while (!err && fleet_now_us() < until) {
		err = check_processes(h);
		if (!err && refresh(h) && is_settled(h))
			return 0;
		pause_ms(2);
	}
	return err ? err : fail(h, -ETIMEDOUT, "the cluster does not settle", what, "see the logs with --keep");
}

static json_t *progress(struct rehearsal *h)
{
	return fleet_ask(&h->fleet.steerer, json_pack("{s:s}", "command", "progress"));
}

static uint64_t number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static int go(struct rehearsal *h, uint64_t upto)
{
	json_t *a = NULL;
	int err = 0;
	for (uint64_t until = fleet_now_us() + SETTLE_US;
	     !a && !err && fleet_now_us() < until;) { /* DPDK takes its time to start */
		a = fleet_ask(&h->fleet.steerer, json_pack("{s:s,s:I}", "command", "go", "upto", (json_int_t)upto));
		if (!a)
			err = check_processes(h);
	}
	json_decref(a);
	if (a || err)
		return err;
	return fail(h, -ETIMEDOUT, "does not answer", "the input's process", "see the logs with --keep");
}

static int wait_read(struct rehearsal *h, uint64_t packets)
{
	uint64_t until = fleet_now_us() + SETTLE_US;
	while (fleet_now_us() < until) {
		json_t *p = progress(h);
		bool there = p && (number(p, "read") >= packets || json_is_true(json_object_get(p, "end")));
		json_decref(p);
		if (there)
			return 0;
		pause_ms(1);
	}
	return fail(h, -ETIMEDOUT, "the input does not go on", "the cluster", "see the logs with --keep");
}

/* ---- what is done to it ---- */

enum action { ACTION_MOVE, ACTION_KILL, ACTION_OUT, ACTION_IN };

static struct fleet_process *any_node(struct rehearsal *h, const char *except)
{
	struct fleet_process *found[FLEET_MAX_NODES];
	uint32_t n = 0;
	for (uint32_t i = 0; i < h->fleet.n_nodes; i++)
		if (h->fleet.nodes[i].pid && (!except || strcmp(h->fleet.nodes[i].name, except)))
			found[n++] = &h->fleet.nodes[i];
	return n ? found[draw(h, n)] : NULL;
}

static int ask_controller(struct rehearsal *h, json_t *question)
{
	for (int tries = 0; tries < 50; tries++) {
		json_t *a = fleet_ask(&h->fleet.controller, json_incref(question));
		json_decref(a);
		if (a) {
			json_decref(question);
			return 0;
		}
		pause_ms(5);
	}
	json_decref(question);
	return fail(h, -ETIMEDOUT, "does not obey", "the controller", "see the logs with --keep");
}

static int do_move(struct rehearsal *h)
{
	uint64_t shard = draw(h, h->effective.shards), until = fleet_now_us() + SETTLE_US;
	const struct fleet_process *to = any_node(h, owner_of(h, shard));
	if (!to)
		return 0;
	say(h, "move to", to->name, shard);
	watch_event(h->watch, WATCH_MOVE, "shard %" PRIu64 " to %s", shard, to->name);
	int err = ask_controller(h, json_pack("{s:s,s:I,s:s}", "command", "move", "shard", (json_int_t)shard, "node", to->name));
	while (!err && fleet_now_us() < until) {
		if (refresh(h) && owner_of(h, shard) && strcmp(owner_of(h, shard), to->name) == 0)
			return 0;
		pause_ms(1);
	}
	return err ? err : fail(h, -ETIMEDOUT, "a move does not end", to->name, "see the logs with --keep");
}

/* What a node has sent so far, before it is gone. */
static void account(struct rehearsal *h, struct fleet_process *p)
{
	json_t *o = p->pid ? fleet_ask(p, json_pack("{s:s}", "command", "progress")) : NULL;
	h->delta_bytes += number(o, "delta_bytes");
	h->result->entries_moved += number(o, "entries_moved");
	h->result->bytes_moved += number(o, "bytes_moved");
	json_decref(o);
}

static int do_kill(struct rehearsal *h)
{
	struct fleet_process *p = node_named(h, owner_of(h, draw(h, h->effective.shards)));
	char incarnation[32] = "";
	size_t i;
	json_t *node;
	if (!p)
		return 0;
	account(h, p);
	int err = settle(h, "before a kill"); /* again: on a slow machine a standby may just have been taken for dead */
	if (err)
		return err;
	json_array_foreach(json_object_get(h->status, "nodes"), i, node)
	{
		if (strcmp(json_string_value(json_object_get(node, "name")), p->name) == 0 &&
		    !json_is_true(json_object_get(node, "dead")))
			snprintf(incarnation, sizeof incarnation, "%s", json_string_value(json_object_get(node, "incarnation")));
	}
	say(h, "kill -9", p->name, (uint64_t)p->pid);
	watch_event(h->watch, WATCH_KILL, "kill -9 %s", p->name);
	if (h->n_kills < PROMOTIONS)
		h->kill_at_us[h->n_kills++] = fleet_now_us();
	fleet_kill(p, SIGKILL);
	h->result->kills++;
	err = ask_controller(h, json_pack("{s:s,s:s}", "command", "fence", "node", incarnation));
	for (uint64_t until = fleet_now_us() + SETTLE_US; !err && fleet_now_us() < until; pause_ms(1)) {
		bool gone = refresh(h);
		for (uint32_t k = 0; gone && k < h->effective.shards; k++)
			gone = owner_of(h, k) && strcmp(owner_of(h, k), p->name);
		if (gone)
			break;
	}
	h->promoted_us[h->n_kills - 1] = fleet_now_us();
	watch_event(h->watch, WATCH_PROMOTE, "promoted for %s", p->name);
	return err ? err : start_node(h, (uint32_t)(p - h->fleet.nodes));
}

static int do_out(struct rehearsal *h)
{
	if (h->fleet.n_nodes == FLEET_MAX_NODES)
		return 0;
	say(h, "start", "node", h->fleet.n_nodes + 1);
	watch_event(h->watch, WATCH_OUT, "start node%u", h->fleet.n_nodes + 1);
	h->result->scale_outs++;
	return start_node(h, h->fleet.n_nodes++);
}

static int do_in(struct rehearsal *h)
{
	struct fleet_process *p = &h->fleet.nodes[h->fleet.n_nodes - 1];
	say(h, "drain", p->name, 0);
	watch_event(h->watch, WATCH_IN, "drain %s", p->name);
	int err = ask_controller(h, json_pack("{s:s,s:s,s:b}", "command", "drain", "node", p->name, "on", 1));
	for (uint64_t until = fleet_now_us() + SETTLE_US; !err && fleet_now_us() < until; pause_ms(2)) {
		bool empty = refresh(h) && is_settled(h);
		for (uint32_t k = 0; empty && k < h->effective.shards; k++) {
			const json_t *in_sync = json_object_get(shard_at(h, k), "in_sync");
			empty = strcmp(owner_of(h, k), p->name) != 0;
			for (size_t i = 0; empty && i < json_array_size(in_sync); i++)
				empty = strcmp(json_string_value(json_array_get(in_sync, i)), p->name) != 0;
		}
		if (!empty)
			continue;
		account(h, p);
		fleet_kill(p, SIGTERM);
		watch_event(h->watch, WATCH_IN, "stop %s", p->name);
		h->result->scale_ins++;
		return 0;
	}
	return err ? err : fail(h, -ETIMEDOUT, "is not drained", p->name, "see the logs with --keep");
}

static int act(struct rehearsal *h, enum action a)
{
	static int (*const how[])(struct rehearsal *) = {do_move, do_kill, do_out, do_in};
	int err = settle(h, "before the next step");
	return err ? err : how[a](h);
}

/* Moves and kills in an order drawn from the seed; one node more after a third, one fewer after two thirds. */
static uint32_t plan_actions(struct rehearsal *h, enum action *list)
{
	uint32_t n = 0, moves = h->options->moves, kills = h->options->kills;
	uint32_t total = moves + kills;
	for (uint32_t i = 0; i < total; i++) {
		if (i == total / 3)
			list[n++] = ACTION_OUT;
		if (i == total * 2 / 3)
			list[n++] = ACTION_IN;
		bool is_kill = draw(h, moves + kills) < kills;
		list[n++] = is_kill ? ACTION_KILL : ACTION_MOVE;
		is_kill ? kills-- : moves--;
	}
	return n;
}

static int play(struct rehearsal *h)
{
	enum action *list = calloc(h->options->moves + h->options->kills + 4, sizeof *list);
	if (!list)
		return -ENOMEM;
	uint32_t n = plan_actions(h, list);
	int err = settle(h, "at the start");
	for (uint32_t i = 0; i < n && !err; i++) {
		uint64_t at = h->result->packets * (i + 1) / (n + 1), next = h->result->packets * (i + 2) / (n + 1);
		err = go(h, next); /* packets flow while it is done */
		if (!err)
			err = wait_read(h, at);
		if (!err)
			err = act(h, list[i]);
	}
	free(list);
	if (!err)
		err = go(h, INT64_MAX);
	return err ? err : settle(h, "at the end");
}

static int wait_end(struct rehearsal *h)
{
	uint64_t read = 0, until = fleet_now_us() + SETTLE_US;
	while (fleet_now_us() < until) {
		json_t *p = progress(h);
		bool end = json_is_true(json_object_get(p, "end")) ||
			   (h->options->dpdk && number(p, "released") >= h->result->packets); /* a port has no end */
		if (number(p, "released") > read) {
			read = number(p, "released");
			until = fleet_now_us() + SETTLE_US;
		}
		json_decref(p);
		if (end)
			return 0;
		pause_ms(2);
	}
	return fail(h, -ETIMEDOUT, "not every packet is released", "the cluster", "see the logs with --keep");
}

/* ---- what it has become ---- */

static int collect(struct rehearsal *h)
{
	struct cluster c;
	struct merged m = {0};
	int err = cluster_open(&c, h->fleet.controller.endpoint, NULL, h->why);
	if (!err)
		err = merged_read(&c, &h->deploy, SETTLE_US / 1000, &m, h->why);
	FILE *out = err ? NULL : fopen(h->table, "w");
	if (!err && (!out || table_file_write(&m.table, out)))
		err = fail(h, -EIO, "cannot be written", h->table, "make room");
	if (out && fclose(out) && !err)
		err = fail(h, -EIO, "cannot be written", h->table, "make room");
	merged_fini(&m);
	cluster_close(&c);
	return err;
}

/* Lines that differ; *lines_a, *lines_b: how many there are; *first: number of the first that differs, 0 none. */
static uint64_t compare(const char *a, const char *b, uint64_t *lines_a, uint64_t *lines_b, uint64_t *first)
{
	FILE *fa = fopen(a, "r"), *fb = fopen(b, "r");
	char la[128], lb[128];
	uint64_t differ = 0;
	*lines_a = *lines_b = *first = 0;
	while (fa && fb) {
		bool ga = fgets(la, sizeof la, fa), gb = fgets(lb, sizeof lb, fb);
		if (!ga && !gb)
			break;
		*lines_a += ga;
		*lines_b += gb;
		if (ga && gb && strcmp(la, lb) == 0)
			continue;
		if (!differ++)
			*first = *lines_a > *lines_b ? *lines_a : *lines_b;
	}
	if (!fa || !fb)
		differ++;
	if (fa)
		fclose(fa);
	if (fb)
		fclose(fb);
	return differ;
}

static int compare_u64(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* Freezes are the moves' waits; a promotion's wait counts from the kill to the first verdict of the last shard that was promoted. */
static void measure(struct rehearsal *h)
{
	json_t *p = progress(h), *list = json_object_get(p, "freezes"), *one;
	uint64_t us[1024], n = 0, promote[PROMOTIONS] = {0};
	size_t i;
	json_array_foreach(list, i, one)
	{
		uint64_t at = (uint64_t)json_integer_value(json_array_get(one, 0)),
			 took = (uint64_t)json_integer_value(json_array_get(one, 2)),
			 since = at - (uint64_t)json_integer_value(json_array_get(one, 3));
		bool killed = false;
		for (uint64_t k = 0; k < h->n_kills; k++)
			if (at >= h->kill_at_us[k] && since <= h->promoted_us[k]) {
				killed = true;
				if (at - h->kill_at_us[k] > promote[k])
					promote[k] = at - h->kill_at_us[k];
			}
		if (!killed && n < 1024)
			us[n++] = took;
	}
	qsort(us, n, sizeof *us, compare_u64);
	qsort(promote, h->n_kills, sizeof *promote, compare_u64);
	struct rehearse_result *r = h->result;
	if (n) {
		r->freeze_p50_us = us[n / 2];
		r->freeze_p99_us = us[n * 99 / 100];
		r->freeze_max_us = us[n - 1];
	}
	if (h->n_kills) {
		r->promote_p50_ms = (promote[h->n_kills / 2] + 999) / 1000;
		r->promote_max_ms = (promote[h->n_kills - 1] + 999) / 1000;
	}
	r->retransmitted = number(p, "resent");
	json_decref(p);
}

/* The input has written all it will. With several streams the single instance runs only now, in the order that the cluster found. */
static int finish_input(struct rehearsal *h)
{
	for (uint32_t i = 0; i < h->fleet.n_nodes; i++)
		account(h, &h->fleet.nodes[i]);
	measure(h);
	fleet_kill(&h->fleet.steerer, SIGTERM);
	if (input_join(&h->input))
		return fail(h, -EIO, "the verdict files cannot be put together", h->input.verdicts, "make room");
	return h->input.n_captures == 1 ? 0 : run_single(h, SINGLE_ORDERED, h->e1, h->e1_table);
}

static int judge(struct rehearsal *h)
{
	struct rehearse_result *r = h->result;
	uint64_t expected, got, first, unused[3];
	(void)refresh(h);
	const json_t *c = json_object_get(h->status, "counters");
	r->moves = number(c, "moves");
	r->promotions = number(c, "promotions");
	r->losses = number(c, "losses");
	r->replicated_bytes_per_packet = r->packets ? (double)h->delta_bytes / (double)r->packets : 0;
	r->differences_e1 = compare(h->e1, h->input.verdicts, &expected, &got, &first);
	r->first_difference = first;
	r->lost = expected > got ? expected - got : 0;
	r->released_twice = got > expected ? got - expected : 0;
	r->state_equal = compare(h->e1_table, h->table, &unused[0], &unused[1], &unused[2]) == 0;
	r->e2_known = r->evictions == 0 && h->input.n_captures == 1;
	if (r->e2_known)
		r->differences_e2 = compare(h->e2, h->input.verdicts, &unused[0], &unused[1], &unused[2]);
	return 0;
}

static int copy_file(const char *from, const char *to)
{
	char block[65536];
	FILE *in = to ? fopen(from, "r") : NULL, *out = in ? fopen(to, "w") : NULL;
	size_t n;
	if (!to)
		return 0;
	while (out && (n = fread(block, 1, sizeof block, in)) > 0)
		if (fwrite(block, 1, n, out) != n)
			break;
	int err = !in || !out || ferror(in) || ferror(out) ? -EIO : 0;
	if (in)
		fclose(in);
	if (out && fclose(out))
		err = -EIO;
	return err;
}

static int prepare(struct rehearsal *h)
{
	struct diag_list *d = calloc(1, sizeof *d);
	char *text = NULL, table[NAME_BYTES];
	const char *dir = h->fleet.directory;
	snprintf(h->certificate, NAME_BYTES, "%s/certificate", dir);
	snprintf(h->e1, NAME_BYTES, "%s/single.verdicts", dir);
	snprintf(h->e1_table, NAME_BYTES, "%s/single.table", dir);
	snprintf(h->e2, NAME_BYTES, "%s/flat.verdicts", dir);
	snprintf(h->table, NAME_BYTES, "%s/cluster.table", dir);
	snprintf(h->json, NAME_BYTES, "%s/json", dir);
	snprintf(table, NAME_BYTES, "%s/flat.table", dir);
	if (!d)
		return -ENOMEM;
	int err = split(h);
	h->effective.shards = !h->effective.plan.certificate ? 1 : h->options->shards ? h->options->shards : 64;
	h->effective.plan.shards = h->effective.shards;
	h->result->shards = h->effective.shards;
	if (!err) {
		err = deploy_open(&h->deploy, &h->effective.plan, d, &text, h->why);
		diag_print(d, stderr);
	}
	free(text);
	free(d);
	set_common(h);
	if (!err && input_prepare(&h->input, dir))
		err = fail(h, -EINVAL, "cannot be played", h->input.captures[0], "give captures in files");
	if (!err)
		err = run_single(h, SINGLE_IN_TURN, h->e1, h->e1_table);
	return err ? err : run_single(h, SINGLE_FLAT, h->e2, table);
}

static int picture(struct rehearsal *h)
{
	const struct rehearse_result *r = h->result;
	const struct rehearse_options *o = h->options;
	char title[256];
	const char *slash = strrchr(o->captures[0], '/');
	if (!o->svg)
		return 0;
	snprintf(title, sizeof title, "%.80s: %" PRIu64 " packets, %u shards, %u nodes, release %s, %" PRIu64 " differing verdicts",
		 slash ? slash + 1 : o->captures[0], r->packets, r->shards, o->nodes, o->release, r->differences_e1);
	int err = draw_rehearsal(watch_stop(h->watch), title, o->svg);
	return err ? fail(h, err, strerror(-err), o->svg, "give a file that can be written") : 0;
}

int rehearse(const struct rehearse_options *o, struct rehearse_result *r, char why[REHEARSE_WHY_BYTES])
{
	struct rehearsal *h = calloc(1, sizeof *h);
	uint64_t began = fleet_now_us();
	*r = (struct rehearse_result){0};
	why[0] = 0;
	if (!h)
		return -ENOMEM;
	h->options = o;
	h->effective = *o;
	h->result = r;
	h->why = why;
	h->random = o->seed;
	h->input = (struct input){.captures = o->captures, .n_captures = o->n_captures, .dpdk = o->dpdk};
	int err = fleet_init(&h->fleet);
	int (*const steps[])(struct rehearsal *) = {prepare, start_all,    play,  wait_end, check_processes,
						    collect, finish_input, judge, picture};
	for (size_t i = 0; i < sizeof steps / sizeof *steps && !err; i++)
		err = steps[i](h);
	if (!err && (copy_file(h->input.verdicts, o->verdicts) || copy_file(h->table, o->table)))
		err = fail(h, -EIO, "cannot be written", o->verdicts ? o->verdicts : o->table, "give a file that can");
	r->seconds = (double)(fleet_now_us() - began) / 1e6;
	if (o->keep)
		fprintf(stderr, "vfmctl: everything is kept in %s\n", h->fleet.directory);
	watch_free(h->watch);
	fleet_fini(&h->fleet, o->keep);
	deploy_close(&h->deploy);
	json_decref(h->status);
	free(h);
	return err;
}

bool rehearse_passed(const struct rehearse_options *o, const struct rehearse_result *r)
{
	return !r->differences_e1 && !r->losses && (!r->e2_known || !r->differences_e2) && r->state_equal && !r->lost &&
	       !r->released_twice && r->moves >= o->moves && r->kills >= o->kills;
}

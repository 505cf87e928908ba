/* bench_cluster.c: see bench_cluster.h. */
#include "test/lib/bench_cluster.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "node/probe.h"

#define PATIENCE_US 30000000u

static void pause_us(long us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	nanosleep(&t, NULL);
}

static uint64_t number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static void add_common(struct cluster *c, const char *arg)
{
	c->fleet.common[c->fleet.n_common++] = arg;
}

static void set_common(struct cluster *c)
{
	const struct cluster_options *o = &c->options;

	snprintf(c->shards, sizeof(c->shards), "%u", o->shards);
	snprintf(c->capacity, sizeof(c->capacity), "%u", o->capacity);
	if (o->certificate) {
		add_common(c, "--certificate");
		add_common(c, o->certificate);
		add_common(c, "--shards");
		add_common(c, c->shards);
	}
	if (o->capacity) {
		add_common(c, "--capacity");
		add_common(c, c->capacity);
	}
	add_common(c, o->filter);
}

static int start_node(struct cluster *c, uint32_t i)
{
	struct fleet_process *p = &c->fleet.nodes[i];
	const char *args[] = {"--controller", c->fleet.controller.endpoint, "--release", c->options.standby ? "commit" : "none",
			      NULL};

	snprintf(p->name, sizeof(p->name), "node%u", i + 1);
	return fleet_start(&c->fleet, p, "vfm-node", args);
}

int cluster_add_node(struct cluster *c)
{
	return start_node(c, c->fleet.n_nodes++);
}

int cluster_restart_node(struct cluster *c, uint32_t node)
{
	return start_node(c, node);
}

static int start_input(struct cluster *c)
{
	const char *args[] = {"--controller",
			      c->fleet.controller.endpoint,
			      "--release",
			      c->options.standby ? "commit" : "none",
			      "--steer-only",
			      "--stay",
			      "--capture",
			      c->options.capture,
			      "--stop-at",
			      "0",
			      NULL};

	snprintf(c->fleet.steerer.name, sizeof(c->fleet.steerer.name), "input");
	return fleet_start(&c->fleet, &c->fleet.steerer, "vfm-node", args);
}

int cluster_start(struct cluster *c, const struct cluster_options *o)
{
	char store[96], nodes[16];
	const char *args[] = {"--store", store, "--nodes", nodes, o->standby ? NULL : "--no-standby", NULL};
	int err;

	*c = (struct cluster){.options = *o};
	err = fleet_init(&c->fleet);
	if (err)
		return err;
	/* The programs are not beside this one, but in the build's bin. */
	char *slash = strstr(c->fleet.programs, "/test/bench");
	if (slash)
		memcpy(slash, "/bin", sizeof("/bin"));
	set_common(c);
	snprintf(store, sizeof(store), "%s/store", c->fleet.directory);
	snprintf(nodes, sizeof(nodes), "%u", o->nodes);
	snprintf(c->fleet.controller.name, sizeof(c->fleet.controller.name), "controller");
	err = fleet_start(&c->fleet, &c->fleet.controller, "vfm-controller", args);
	while (!err && c->fleet.n_nodes < o->nodes)
		err = cluster_add_node(c);
	if (!err)
		err = start_input(c);
	return err ? err : cluster_settle(c);
}

void cluster_stop(struct cluster *c)
{
	json_decref(c->status);
	fleet_fini(&c->fleet, false);
}

bool cluster_refresh(struct cluster *c)
{
	json_t *status = fleet_ask(&c->fleet.controller, json_pack("{s:s}", "command", "status"));

	if (!status)
		return false;
	json_decref(c->status);
	c->status = status;
	return true;
}

const char *cluster_owner(const struct cluster *c, uint32_t shard)
{
	return json_string_value(json_object_get(json_array_get(json_object_get(c->status, "shards"), shard), "owner"));
}

int cluster_node(const struct cluster *c, const char *name)
{
	for (uint32_t i = 0; name && i < c->fleet.n_nodes; i++)
		if (c->fleet.nodes[i].pid && strcmp(c->fleet.nodes[i].name, name) == 0)
			return (int)i;
	return -1;
}

static bool is_settled(const struct cluster *c)
{
	const json_t *shards = json_object_get(c->status, "shards");

	if (json_array_size(shards) != c->options.shards)
		return false;
	for (uint32_t i = 0; i < c->options.shards; i++) {
		const json_t *in_sync = json_object_get(json_array_get(shards, i), "in_sync");

		if (cluster_node(c, cluster_owner(c, i)) < 0)
			return false;
		if (c->options.standby && cluster_node(c, json_string_value(json_array_get(in_sync, 0))) < 0)
			return false;
	}
	return true;
}

int cluster_settle(struct cluster *c)
{
	uint64_t until = fleet_now_us() + PATIENCE_US;
	int calm = 0;

	/* Three looks in a row: placement goes on for a while after a node has come. */
	for (; calm < 3 && fleet_now_us() < until; pause_us(20000))
		calm = cluster_refresh(c) && is_settled(c) ? calm + 1 : 0;
	return calm == 3 ? 0 : -ETIMEDOUT;
}

int cluster_order(struct cluster *c, json_t *question)
{
	json_t *answer = NULL;

	for (int tries = 0; tries < 50 && !answer; tries++) {
		answer = fleet_ask(&c->fleet.controller, json_incref(question));
		if (!answer)
			pause_us(2000);
	}
	json_decref(question);
	json_decref(answer);
	return answer ? 0 : -ETIMEDOUT;
}

void cluster_go(struct cluster *c, uint64_t upto, uint64_t pps)
{
	json_decref(fleet_ask(&c->fleet.steerer,
			      json_pack("{s:s,s:I,s:I}", "command", "go", "upto", (json_int_t)upto, "pps", (json_int_t)pps)));
}

uint64_t cluster_progress(struct cluster *c, const char *what)
{
	json_t *o = fleet_ask(&c->fleet.steerer, json_pack("{s:s}", "command", "progress"));
	uint64_t n = number(o, what);

	json_decref(o);
	return n;
}

uint64_t cluster_sum(struct cluster *c, const char *what)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < c->fleet.n_nodes; i++) {
		json_t *o = c->fleet.nodes[i].pid ? fleet_ask(&c->fleet.nodes[i], json_pack("{s:s}", "command", "progress")) : NULL;

		n += number(o, what);
		json_decref(o);
	}
	return n;
}

int cluster_wait_released(struct cluster *c, uint64_t packets)
{
	uint64_t last = 0, n, until = fleet_now_us() + PATIENCE_US;

	while (fleet_now_us() < until) {
		n = cluster_progress(c, "released");
		if (n >= packets)
			return 0;
		if (n > last) {
			last = n;
			until = fleet_now_us() + PATIENCE_US;
		}
		pause_us(5000);
	}
	return -ETIMEDOUT;
}

json_t *cluster_freezes(struct cluster *c)
{
	json_t *o = fleet_ask(&c->fleet.steerer, json_pack("{s:s}", "command", "progress"));
	json_t *list = json_incref(json_object_get(o, "freezes"));

	json_decref(o);
	return list;
}

void cluster_waits(struct cluster *c, struct probe_waits *w)
{
	json_t *o = fleet_ask(&c->fleet.steerer, json_pack("{s:s}", "command", "waits")), *one;
	size_t i;
	uint32_t bucket = 0;

	memset(w, 0, sizeof(*w));
	json_array_foreach(json_object_get(o, "waits"), i, one)
	{
		while (probe_bucket_us(bucket) < (uint64_t)json_integer_value(json_array_get(one, 0)))
			bucket++;
		w->n[bucket] = (uint64_t)json_integer_value(json_array_get(one, 1));
	}
	json_decref(o);
}

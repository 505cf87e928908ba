#include "controller/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS      5000
#define ASK_NODE_MS 3000

int cluster_open(struct cluster *c, const char *endpoint, const struct keys *keys, char why[CLUSTER_WHY_BYTES])
{
	*c = (struct cluster){.keys = keys};
	snprintf(c->endpoint, sizeof c->endpoint, "%s", endpoint);
	int err = gate_asker_open(&c->controller, endpoint, keys);
	if (err == -ENOKEY)
		snprintf(why, CLUSTER_WHY_BYTES,
			 "no key of it is known, %.256s: give --key and --peers with its public file, named controller, or as "
			 "EP@NAME",
			 endpoint);
	else if (err)
		snprintf(why, CLUSTER_WHY_BYTES, "not an endpoint, %.256s: give ipc://PATH or tcp://HOST:PORT", endpoint);
	return err;
}

void cluster_close(struct cluster *c)
{
	for (uint32_t i = 0; i < c->n_nodes; i++)
		gate_asker_close(c->nodes[i].asker);
	gate_asker_close(c->controller);
	json_decref(c->status);
	*c = (struct cluster){.n_nodes = 0};
}

static char *ask_text(struct gate_asker *asker, json_t *question, int timeout_ms)
{
	char *text = json_dumps(question, JSON_COMPACT), *answer = NULL;
	json_decref(question);
	if (!text || gate_ask(asker, text, timeout_ms, &answer))
		answer = NULL;
	free(text);
	return answer;
}

json_t *cluster_ask(struct cluster *c, json_t *question, char why[CLUSTER_WHY_BYTES])
{
	char *text = ask_text(c->controller, question, ASK_MS);
	json_t *answer = text ? json_loads(text, 0, NULL) : NULL;
	const char *error = answer ? json_string_value(json_object_get(answer, "error")) : "no answer";
	free(text);
	if (!error)
		return answer;
	if (strstr(error, ": ")) /* says itself where, and what to do */
		snprintf(why, CLUSTER_WHY_BYTES, "%.500s", error);
	else
		snprintf(why, CLUSTER_WHY_BYTES, "%.160s, %.256s: is the controller there, and is the command right?", error,
			 c->endpoint);
	json_decref(answer);
	return NULL;
}

int cluster_refresh(struct cluster *c, char why[CLUSTER_WHY_BYTES])
{
	json_t *status = cluster_ask(c, json_pack("{s:s}", "command", "status"), why);
	if (!status)
		return -EIO;
	json_decref(c->status);
	c->status = status;
	return 0;
}

static struct gate_asker *asker_at(struct cluster *c, const char *endpoint)
{
	for (uint32_t i = 0; i < c->n_nodes; i++)
		if (strcmp(c->nodes[i].endpoint, endpoint) == 0)
			return c->nodes[i].asker;
	if (c->n_nodes == CLUSTER_MAX_NODES) { /* the oldest may have gone long ago */
		gate_asker_close(c->nodes[0].asker);
		c->nodes[0] = c->nodes[--c->n_nodes];
	}
	struct cluster_node *n = &c->nodes[c->n_nodes];
	if (gate_asker_open(&n->asker, endpoint, c->keys))
		return NULL;
	snprintf(n->endpoint, sizeof n->endpoint, "%s", endpoint);
	c->n_nodes++;
	return n->asker;
}

char *cluster_ask_node(struct cluster *c, const char *incarnation, json_t *question)
{
	const char *endpoint = NULL, *id;
	size_t i;
	json_t *node;
	json_array_foreach(json_object_get(c->status, "nodes"), i, node)
	{
		id = json_string_value(json_object_get(node, "incarnation"));
		if (id && incarnation && strcmp(id, incarnation) == 0)
			endpoint = json_string_value(json_object_get(node, "endpoint"));
	}
	struct gate_asker *asker = endpoint && *endpoint ? asker_at(c, endpoint) : NULL;
	if (asker)
		return ask_text(asker, question, ASK_NODE_MS);
	json_decref(question);
	return NULL;
}

int cluster_plan(struct cluster *c, struct deploy *d, char why[CLUSTER_WHY_BYTES])
{
	json_t *answer = cluster_ask(c, json_pack("{s:s}", "command", "plan"), why), *plan;
	if (!answer)
		return -EIO;
	plan = json_object_get(answer, "plan");
	char *text = json_is_object(plan) ? json_dumps(plan, JSON_COMPACT) : NULL;
	int err = text ? deploy_decode(d, text, strlen(text), why) : -ENOENT;
	if (err == -ENOENT)
		snprintf(why, CLUSTER_WHY_BYTES, "no filter is loaded, %.256s: vfmctl load FILTER", c->endpoint);
	free(text);
	json_decref(answer);
	return err;
}

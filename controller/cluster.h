/* cluster.h: a running cluster as vfmctl sees it: its controller, the nodes that this names, and the plan it has. */
#ifndef CONTROLLER_CLUSTER_H
#define CONTROLLER_CLUSTER_H

#include "analysis/deploy.h"
#include "controller/gate.h"
#include "controller/json.h"

#include <stdbool.h>

#define CLUSTER_WHY_BYTES DEPLOY_WHY_BYTES
#define CLUSTER_MAX_NODES 64

struct cluster {
	char endpoint[257];
	struct gate_asker *controller;
	const struct keys *keys;
	json_t *status; /* the controller's newest answer to `status`; NULL: none yet */
	uint32_t n_nodes;
	struct cluster_node {
		char endpoint[512]; /* with its key */
		struct gate_asker *asker;
	} nodes[CLUSTER_MAX_NODES];
};

/* keys (kept): of the one who asks; NULL: none. -EINVAL, -ENOKEY with why: not an endpoint, or its key is not known. Nothing is asked
 * yet. */
int cluster_open(struct cluster *c, const char *endpoint, const struct keys *keys, char why[CLUSTER_WHY_BYTES]);
void cluster_close(struct cluster *c);

/* Asks the controller; takes the question. A new reference. NULL with why: no answer, or the error in it. */
json_t *cluster_ask(struct cluster *c, json_t *question, char why[CLUSTER_WHY_BYTES]);
/* Fetches c->status anew. -EIO with why. */
int cluster_refresh(struct cluster *c, char why[CLUSTER_WHY_BYTES]);
/* Asks the node that c->status has under this incarnation; takes the question. Heap text, NULL: unknown, or no answer. */
char *cluster_ask_node(struct cluster *c, const char *incarnation, json_t *question);
/* Takes the controller's plan; close it with deploy_close(). -ENOENT (none is loaded), -EIO, -EINVAL with why. */
int cluster_plan(struct cluster *c, struct deploy *d, char why[CLUSTER_WHY_BYTES]);

#endif

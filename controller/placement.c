#include "controller/placement.h"

#define MAX_NODES 64

struct loads {
	const struct placement_node *nodes;
	uint32_t n_nodes;
	uint64_t share; /* of one node, of owned weight: a quarter and the heaviest shard's rounding included */
	uint64_t weight[MAX_NODES];
	bool alone[MAX_NODES]; /* no usable node is in another process */
};

static bool usable(const struct loads *l, int node)
{
	return node >= 0 && (uint32_t)node < l->n_nodes && l->nodes[node].usable;
}

static bool fits(const struct loads *l, int node, uint64_t weight)
{
	return usable(l, node) && l->weight[node] + weight <= l->share;
}

/* A standby in the owner's process would die with it: only where there is nobody else, since it still makes a move quick. */
static bool may_stand_by(const struct loads *l, int node, int owner)
{
	return usable(l, node) && node != owner && (l->nodes[node].process != l->nodes[owner].process || l->alone[owner]);
}

/* The node with least that may have it; owner PLACEMENT_NONE: as its owner, else as its standby. */
static int least(const struct loads *l, int owner)
{
	int best = PLACEMENT_NONE;
	for (int i = 0; i < (int)l->n_nodes; i++)
		if ((owner < 0 ? usable(l, i) : may_stand_by(l, i, owner)) && (best < 0 || l->weight[i] < l->weight[best]))
			best = i;
	return best;
}

static struct loads loads_of(const struct placement_node *nodes, uint32_t n_nodes)
{
	struct loads l = {.nodes = nodes, .n_nodes = n_nodes};
	for (uint32_t i = 0; i < n_nodes; i++) {
		l.alone[i] = true;
		for (uint32_t k = 0; k < n_nodes; k++)
			l.alone[i] &= !nodes[k].usable || nodes[k].process == nodes[i].process;
	}
	return l;
}

/* A quarter above the mean, or as much as the heaviest shard's rounding. */
static void share_owners(struct loads *l, const struct placement *shards, uint32_t n_shards)
{
	uint64_t total = 0, heaviest = 0, n = 0;
	for (uint32_t i = 0; i < n_shards; i++) {
		total += shards[i].weight;
		if (shards[i].weight > heaviest)
			heaviest = shards[i].weight;
	}
	for (uint32_t i = 0; i < l->n_nodes; i++)
		n += l->nodes[i].usable;
	uint64_t fair = n ? (total + n - 1) / n : 0, rounding = heaviest - (heaviest > 0);
	l->share = fair + (fair / 4 > rounding ? fair / 4 : rounding);
}

/* The first pass keeps what may stay; the second places the rest. */
static void place_owners(struct placement *shards, uint32_t n_shards, struct loads *l)
{
	for (uint32_t i = 0; i < n_shards; i++) {
		struct placement *s = &shards[i];
		if (usable(l, s->pinned))
			s->owner = s->pinned;
		else if (!fits(l, s->owner, s->weight))
			continue;
		l->weight[s->owner] += s->weight;
		s->weight = 0;
	}
	for (uint32_t i = 0; i < n_shards; i++) {
		struct placement *s = &shards[i];
		if (!s->weight)
			continue;
		int old = s->owner;
		s->owner = fits(l, s->standby, s->weight) ? s->standby : least(l, PLACEMENT_NONE);
		if (s->owner == s->standby && usable(l, old))
			s->standby = old;
		if (s->owner >= 0)
			l->weight[s->owner] += s->weight;
	}
}

/* By owner: the node with least that may stand by for it. */
static void find_heirs(const struct loads *l, int heirs[MAX_NODES])
{
	for (int i = 0; i < (int)l->n_nodes; i++)
		heirs[i] = least(l, i);
}

static void give_standby(struct placement *s, int node, struct loads *l)
{
	if (s->standby >= 0)
		l->weight[s->standby]--;
	s->standby = node;
	if (node >= 0)
		l->weight[node]++;
}

/* Not all nodes may stand by for all owners, so there is no share that each could be held to: a standby leaves a node that has a quarter
 * and one more than another that may have it. Ends: each such step makes the sum of the squares smaller. */
static void even_out(struct placement *shards, uint32_t n_shards, struct loads *l)
{
	int heirs[MAX_NODES];
	bool changed = true;
	find_heirs(l, heirs);
	while (changed) {
		changed = false;
		for (uint32_t i = 0; i < n_shards; i++) {
			struct placement *s = &shards[i];
			int heir = s->standby >= 0 ? heirs[s->owner] : PLACEMENT_NONE;
			if (heir < 0 || l->weight[s->standby] <= l->weight[heir] + l->weight[heir] / 4 + 1)
				continue;
			give_standby(s, heir, l);
			find_heirs(l, heirs);
			changed = true;
		}
	}
}

static void place_standbys(struct placement *shards, uint32_t n_shards, struct loads *l)
{
	for (uint32_t i = 0; i < n_shards; i++) {
		struct placement *s = &shards[i];
		if (s->owner < 0 || !may_stand_by(l, s->standby, s->owner))
			s->standby = PLACEMENT_NONE;
		else
			l->weight[s->standby]++;
	}
	for (uint32_t i = 0; i < n_shards; i++)
		if (shards[i].standby == PLACEMENT_NONE && shards[i].owner >= 0)
			give_standby(&shards[i], least(l, shards[i].owner), l);
	even_out(shards, n_shards, l);
}

void placement_decide(struct placement *shards, uint32_t n_shards, const struct placement_node *nodes, uint32_t n_nodes,
		      bool standbys)
{
	struct loads owning = loads_of(nodes, n_nodes), standing = owning;
	share_owners(&owning, shards, n_shards);
	place_owners(shards, n_shards, &owning);
	for (uint32_t i = 0; i < n_shards && !standbys; i++)
		shards[i].standby = PLACEMENT_NONE;
	if (!standbys)
		return;
	place_standbys(shards, n_shards, &standing);
}

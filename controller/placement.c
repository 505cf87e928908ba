#include "controller/placement.h"

#define MAX_NODES 64

struct loads {
	const bool *usable;
	uint32_t n_nodes;
	uint64_t share; /* of one node, a quarter and the heaviest shard's rounding included */
	uint64_t weight[MAX_NODES];
};

static bool usable(const struct loads *l, int node)
{
	return node >= 0 && (uint32_t)node < l->n_nodes && l->usable[node];
}

static bool fits(const struct loads *l, int node, uint64_t weight)
{
	return usable(l, node) && l->weight[node] + weight <= l->share;
}

static int least(const struct loads *l, int except)
{
	int best = PLACEMENT_NONE;
	for (uint32_t i = 0; i < l->n_nodes; i++)
		if (l->usable[i] && (int)i != except && (best < 0 || l->weight[i] < l->weight[best]))
			best = (int)i;
	return best;
}

static struct loads loads_of(const struct placement *shards, uint32_t n_shards, const bool *is_usable, uint32_t n_nodes)
{
	struct loads l = {.usable = is_usable, .n_nodes = n_nodes};
	uint64_t total = 0, heaviest = 0, n = 0;
	for (uint32_t i = 0; i < n_shards; i++) {
		total += shards[i].weight;
		if (shards[i].weight > heaviest)
			heaviest = shards[i].weight;
	}
	for (uint32_t i = 0; i < n_nodes; i++)
		n += is_usable[i];
	uint64_t fair = n ? (total + n - 1) / n : 0;
	l.share = fair + (fair / 4 > heaviest - (heaviest > 0) ? fair / 4 : heaviest - (heaviest > 0));
	return l;
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

static void place_standbys(struct placement *shards, uint32_t n_shards, struct loads *l)
{
	for (uint32_t i = 0; i < n_shards; i++) {
		struct placement *s = &shards[i];
		if (s->standby == s->owner || !fits(l, s->standby, 1))
			s->standby = PLACEMENT_NONE;
		else
			l->weight[s->standby]++;
	}
	for (uint32_t i = 0; i < n_shards; i++) {
		struct placement *s = &shards[i];
		if (s->standby == PLACEMENT_NONE && s->owner >= 0)
			s->standby = least(l, s->owner);
		else
			continue;
		if (s->standby >= 0)
			l->weight[s->standby]++;
	}
}

void placement_decide(struct placement *shards, uint32_t n_shards, const bool *is_usable, uint32_t n_nodes, bool standbys)
{
	struct loads l = loads_of(shards, n_shards, is_usable, n_nodes);
	place_owners(shards, n_shards, &l);
	for (uint32_t i = 0; i < n_shards && !standbys; i++)
		shards[i].standby = PLACEMENT_NONE;
	if (!standbys)
		return;
	struct placement one = {.weight = 1};
	struct loads held = loads_of(&one, 1, is_usable, n_nodes);
	uint64_t n = 0;
	for (uint32_t i = 0; i < n_nodes; i++)
		n += is_usable[i];
	held.share = n ? (n_shards + n - 1) / n + n_shards / (4 * n) + 1 : 0;
	place_standbys(shards, n_shards, &held);
}

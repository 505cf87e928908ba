/* balance.c: see balance.h. */
#include "node/balance.h"

#include <assert.h>
#include <stdbool.h>

#define MAX_CORES 256u

struct sums {
	uint64_t of[MAX_CORES], total;
	uint32_t busiest, idlest;
};

static void find_extremes(struct sums *s, uint32_t cores)
{
	s->busiest = s->idlest = 0;
	for (uint32_t c = 1; c < cores; c++) {
		if (s->of[c] > s->of[s->busiest])
			s->busiest = c;
		if (s->of[c] < s->of[s->idlest])
			s->idlest = c;
	}
}

/* The heaviest shard of the busiest core that is lighter than the gap to the idlest; n: none. */
static uint32_t best_move(const struct sums *s, const uint64_t *load, uint32_t n, const uint8_t *owners)
{
	uint64_t gap = s->of[s->busiest] - s->of[s->idlest];
	uint32_t best = n;

	for (uint32_t i = 0; i < n; i++)
		if (owners[i] == s->busiest && load[i] && load[i] < gap && (best == n || load[i] > load[best]))
			best = i;
	return best;
}

static bool even(const struct sums *s, uint32_t cores)
{
	return s->of[s->busiest] * cores * 10 <= s->total * 11;
}

uint32_t balance_shards(const uint64_t *load, uint32_t n, uint32_t cores, uint8_t *owners)
{
	struct sums s = {0};
	uint32_t moves = 0;

	assert(cores >= 1 && cores <= MAX_CORES);
	for (uint32_t i = 0; i < n; i++) {
		s.of[owners[i]] += load[i];
		s.total += load[i];
	}
	for (find_extremes(&s, cores); !even(&s, cores) && moves < n; moves++) {
		uint32_t shard = best_move(&s, load, n, owners);

		if (shard == n)
			break;
		s.of[s.busiest] -= load[shard];
		s.of[s.idlest] += load[shard];
		owners[shard] = (uint8_t)s.idlest;
		find_extremes(&s, cores);
	}
	return moves;
}

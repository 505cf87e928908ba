/* test_placement.c: who should have what: balance, as few moves as possible, and standbys out of reach of what ends their owners. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "controller/placement.h"
#include "state/mix.h"

#define MAX_SHARDS 64
#define MAX_NODES  12

struct world {
	uint32_t n_shards, n_nodes;
	struct placement shards[MAX_SHARDS];
	struct placement_node nodes[MAX_NODES];
};

/* Each digit is a node's process; '-' one that is not usable. Nobody has anything yet. */
static struct world begin(uint32_t n_shards, const char *processes)
{
	struct world w = {.n_shards = n_shards, .n_nodes = (uint32_t)strlen(processes)};

	for (uint32_t i = 0; i < w.n_nodes; i++)
		w.nodes[i] = (struct placement_node){processes[i] != '-', (uint64_t)processes[i]};
	for (uint32_t i = 0; i < n_shards; i++)
		w.shards[i] = (struct placement){PLACEMENT_NONE, PLACEMENT_NONE, PLACEMENT_NONE, 1};
	return w;
}

/* Weights are used up. */
static void decide(struct world *w)
{
	for (uint32_t i = 0; i < w->n_shards; i++)
		w->shards[i].weight = 1;
	placement_decide(w->shards, w->n_shards, w->nodes, w->n_nodes, true);
}

static uint32_t owned(const struct world *w, int node)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_shards; i++)
		n += w->shards[i].owner == node;
	return n;
}

static uint32_t held(const struct world *w, int node)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_shards; i++)
		n += w->shards[i].standby == node;
	return n;
}

static uint32_t usable_processes(const struct world *w)
{
	bool seen[256] = {false};
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_nodes; i++) {
		n += w->nodes[i].usable && !seen[w->nodes[i].process];
		seen[w->nodes[i].process] |= w->nodes[i].usable;
	}
	return n;
}

static uint32_t usable_nodes(const struct world *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_nodes; i++)
		n += w->nodes[i].usable;
	return n;
}

/* What must hold of every placement, said once more without cleverness. */
static void assert_sound(const struct world *w)
{
	for (uint32_t i = 0; i < w->n_shards; i++) {
		const struct placement *s = &w->shards[i];

		if (!usable_nodes(w)) {
			assert_true(s->owner == PLACEMENT_NONE && s->standby == PLACEMENT_NONE);
			continue;
		}
		assert_true(s->owner >= 0 && w->nodes[s->owner].usable);
		assert_int_equal(s->standby >= 0, usable_nodes(w) > 1);
		if (s->standby < 0)
			continue;
		assert_true(w->nodes[s->standby].usable && s->standby != s->owner);
		if (usable_processes(w) > 1)
			assert_true(w->nodes[s->standby].process != w->nodes[s->owner].process);
	}
}

/* No node has more than a quarter and one above another that could have it. */
static void assert_standbys_are_even(const struct world *w)
{
	for (uint32_t i = 0; i < w->n_shards; i++) {
		const struct placement *s = &w->shards[i];

		for (int k = 0; s->standby >= 0 && k < (int)w->n_nodes; k++)
			if (w->nodes[k].usable && w->nodes[k].process != w->nodes[s->owner].process)
				assert_true(held(w, s->standby) <= held(w, k) + held(w, k) / 4 + 1);
	}
}

static void assert_stays(struct world *w)
{
	struct world before = *w;

	decide(w);
	for (uint32_t i = 0; i < w->n_shards; i++) {
		assert_int_equal(w->shards[i].owner, before.shards[i].owner);
		assert_int_equal(w->shards[i].standby, before.shards[i].standby);
	}
}

static void the_standbys_of_two_cores_are_all_in_the_other_process(void **state)
{
	struct world w = begin(60, "aab");

	(void)state;
	decide(&w);
	assert_sound(&w);
	for (int i = 0; i < 3; i++)
		assert_int_equal(owned(&w, i), 20);
	assert_int_equal(held(&w, 2), 40);
	assert_int_equal(held(&w, 0) + held(&w, 1), 20);
	assert_stays(&w);
}

static void with_no_other_process_a_core_stands_by_and_leaves_when_one_comes(void **state)
{
	struct world w = begin(32, "aa-");

	(void)state;
	decide(&w);
	assert_sound(&w);
	assert_int_equal(held(&w, 0), 16);
	assert_int_equal(held(&w, 1), 16);
	assert_stays(&w);
	w.nodes[2] = (struct placement_node){true, 'b'};
	decide(&w);
	assert_sound(&w);
	assert_stays(&w);
}

static void a_pinned_shard_takes_its_standby_out_of_the_process_it_goes_to(void **state)
{
	struct world w = begin(8, "aabc");

	(void)state;
	decide(&w);
	for (uint32_t i = 0; i < w.n_shards; i++)
		w.shards[i].pinned = 1;
	decide(&w);
	assert_sound(&w);
	assert_int_equal(owned(&w, 1), 8);
	assert_int_equal(held(&w, 0), 0);
	assert_stays(&w);
}

/* Whatever comes, goes and is pinned: sound at once, and at rest after the first decision. */
static void every_placement_is_sound_and_stays(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (uint32_t round = 0; round < 1000; round++) {
		char processes[MAX_NODES + 1] = "";
		uint32_t n = 1 + (uint32_t)(mix64(++random) % MAX_NODES);

		for (uint32_t i = 0; i < n; i++)
			processes[i] = "abcd-"[mix64(++random) % 5];
		struct world w = begin(1 + (uint32_t)(mix64(++random) % MAX_SHARDS), processes);
		for (uint32_t step = 0; step < 4; step++) {
			decide(&w);
			assert_sound(&w);
			assert_standbys_are_even(&w);
			assert_stays(&w);
			uint32_t k = (uint32_t)(mix64(++random) % n);
			w.nodes[k].usable = !w.nodes[k].usable;
			uint64_t pin = mix64(++random);
			w.shards[pin / n % w.n_shards].pinned = (int)(pin % n);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_standbys_of_two_cores_are_all_in_the_other_process),
		cmocka_unit_test(with_no_other_process_a_core_stands_by_and_leaves_when_one_comes),
		cmocka_unit_test(a_pinned_shard_takes_its_standby_out_of_the_process_it_goes_to),
		cmocka_unit_test(every_placement_is_sound_and_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* balance.c: see balance.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/balance.h"
#include "vm/interp.h"
#include "vm/vfm.h"

struct steered {
	const struct cert *cert;
	struct program *steer;
	struct interp *code;
	uint64_t n, room;
	uint64_t *values; /* [room] of the steering program, one a packet */
};

struct balance {
	struct shard *shard; /* without tables: carries the hash seed */
	uint32_t n;
	struct steered items[];
};

static bool steered_init(struct steered *s, const struct cert *cert)
{
	struct vfm_reject reject;

	s->cert = cert;
	s->steer = program_new(cert->steer, cert->steer_bytes, 0, &reject);
	s->code = s->steer ? interp_new(s->steer) : NULL;
	return s->code;
}

struct balance *balance_new(const struct cert *const *certs, uint32_t n)
{
	struct balance *b = calloc(1, sizeof(*b) + n * sizeof(b->items[0]));

	if (!b)
		return NULL;
	b->n = n;
	b->shard = shard_new(0, 0);
	for (uint32_t i = 0; i < n; i++)
		if (!b->shard || !steered_init(&b->items[i], certs[i])) {
			balance_free(b);
			return NULL;
		}
	return b;
}

void balance_free(struct balance *b)
{
	for (uint32_t i = 0; b && i < b->n; i++) {
		interp_free(b->items[i].code);
		program_free(b->items[i].steer);
		free(b->items[i].values);
	}
	if (b)
		shard_free(b->shard);
	free(b);
}

static int add_value(struct steered *s, uint64_t value)
{
	if (s->n == s->room) {
		uint64_t room = s->room ? 2 * s->room : 1024;
		uint64_t *values = realloc(s->values, room * sizeof(*values));

		if (!values)
			return -ENOMEM;
		s->values = values;
		s->room = room;
	}
	s->values[s->n++] = value;
	return 0;
}

int balance_packet(struct balance *b, const struct vfm_packet *packet)
{
	struct vfm_packet timeless = *packet;
	int err = 0;

	timeless.time_us = 0;
	for (uint32_t i = 0; i < b->n && !err; i++) {
		struct steered *s = &b->items[i];
		struct vfm_result result;

		if (s->n == BALANCE_MAX_PKTS || !cert_guard_holds(s->cert, packet->data, packet->len))
			continue;
		interp_run(s->code, b->shard, &timeless, VFM_DEFAULT_INSN_LIMIT, &result);
		err = add_value(s, result.value);
	}
	return err;
}

static int ascending(const void *x, const void *y)
{
	const uint64_t *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

static struct balance_result count_classes(struct steered *s)
{
	struct balance_result r = {.packets = s->n};
	uint64_t run = 0;

	if (s->n)
		qsort(s->values, s->n, sizeof(s->values[0]), ascending);
	for (uint64_t i = 0; i < s->n; i++) {
		bool same = i && s->values[i] == s->values[i - 1];

		run = same ? run + 1 : 1;
		r.classes += !same;
		r.largest = run > r.largest ? run : r.largest;
	}
	return r;
}

uint32_t balance_results(struct balance *b, struct balance_result *results)
{
	uint32_t best = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		results[i] = count_classes(&b->items[i]);
		if (results[i].largest < results[best].largest)
			best = i;
	}
	return best;
}

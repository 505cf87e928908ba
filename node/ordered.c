/* ordered.c: see ordered.h. */
#include "node/ordered.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct place {
	uint64_t index; /* in the shard's history */
	uint64_t packet;
	uint32_t shard;
};

struct ordered {
	const struct sharded *shards;
	uint64_t n, room;
	struct vfm_packet *packets; /* [n], data on the heap */
	struct place *places;       /* [n] */
	struct vfm_result *results; /* [n] */
	char *why;
};

static int fail(struct ordered *o, int rc, const char *what, const char *where, const char *advice)
{
	snprintf(o->why, ORDERED_WHY_BYTES, "%.200s, %.200s: %.200s", what, where, advice);
	return rc;
}

static int out_of_memory(struct ordered *o)
{
	return fail(o, -ENOMEM, "out of memory", "the captures", "give smaller ones");
}

static int grow(struct ordered *o)
{
	uint64_t room = o->room ? 2 * o->room : 4096;
	void *packets = realloc(o->packets, room * sizeof(*o->packets));

	if (packets)
		o->packets = packets;
	void *places = packets ? realloc(o->places, room * sizeof(*o->places)) : NULL;
	if (!places)
		return out_of_memory(o);
	o->places = places;
	o->room = room;
	return 0;
}

static uint32_t shard_of(const struct sharded *s, const struct vfm_packet *p)
{
	return s->n > 1 && plan_guard_holds(s->plan, p) ? plan_shard(s->plan, p) : 0;
}

static int add(struct ordered *o, const struct vfm_packet *p, const struct ordered_input *in, uint64_t line)
{
	char text[64], what[160];
	struct place place = {.packet = o->n};
	uint8_t *data = o->n < o->room || !grow(o) ? malloc(p->len + 1) : NULL; /* never of no bytes */

	if (!data)
		return out_of_memory(o);
	memcpy(data, p->data, p->len);
	o->packets[o->n] = *p;
	o->packets[o->n++].data = data;
	if (!fgets(text, sizeof(text), in->order) || sscanf(text, "%" SCNu32 " %" SCNu64, &place.shard, &place.index) != 2) {
		snprintf(what, sizeof(what), "no `shard index` for packet %" PRIu64, line);
		return fail(o, -EINVAL, what, in->order_name, "give the order file that vfm-node wrote of this capture");
	}
	if (place.shard != shard_of(o->shards, p)) {
		snprintf(what, sizeof(what), "packet %" PRIu64 " belongs to shard %u, not %u", line, shard_of(o->shards, p),
			 place.shard);
		return fail(o, -EINVAL, what, in->order_name, "give the certificate and --shards that the node had");
	}
	o->places[o->n - 1] = place;
	return 0;
}

static int read_input(struct ordered *o, const struct ordered_input *in)
{
	struct vfm_packet p;
	uint64_t line = 0;
	int got, rc = 0;

	while (!rc && (got = capture_next(in->capture, &p)) == 1)
		rc = add(o, &p, in, ++line);
	if (!rc && got < 0) {
		snprintf(o->why, ORDERED_WHY_BYTES, "%s", capture_error(in->capture));
		return -EIO;
	}
	if (!rc && fgetc(in->order) != EOF)
		return fail(o, -EINVAL, "more lines than packets", in->order_name,
			    "give the order file that vfm-node wrote of this capture");
	return rc;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* Sorted, each shard's indexes must be 1, 2, 3, ... */
static int check_places(struct ordered *o)
{
	char what[160];
	uint64_t wanted = 1;

	qsort(o->places, o->n, sizeof(*o->places), compare_places);
	for (uint64_t i = 0; i < o->n; i++, wanted++) {
		const struct place *p = &o->places[i];

		if (i && p->shard != p[-1].shard)
			wanted = 1;
		if (p->index == wanted)
			continue;
		snprintf(what, sizeof(what), "%s at %" PRIu64 " of shard %u's history",
			 p->index < wanted ? "two packets stand" : "no packet stands", p->index < wanted ? p->index : wanted,
			 p->shard);
		return fail(o, -EINVAL, what, "the order files", "they are not of one run, or packets were lost in it");
	}
	return 0;
}

static int run(struct ordered *o, struct engine *e, struct sharded *s)
{
	struct vfm_packet burst[ENGINE_BURST_PACKETS];
	struct vfm_result got[ENGINE_BURST_PACKETS];

	o->results = calloc(o->n ? o->n : 1, sizeof(*o->results));
	if (!o->results)
		return out_of_memory(o);
	for (uint64_t i = 0; i < o->n;) {
		uint32_t n = o->n - i < ENGINE_BURST_PACKETS ? (uint32_t)(o->n - i) : ENGINE_BURST_PACKETS;

		for (uint32_t k = 0; k < n; k++)
			burst[k] = o->packets[o->places[i + k].packet];
		sharded_run(s, e, burst, n, got);
		for (uint32_t k = 0; k < n; k++)
			o->results[o->places[i++].packet] = got[k];
	}
	return 0;
}

static int tell(const struct ordered *o, replay_burst_fn burst, void *arg)
{
	int rc = 0;

	for (uint64_t i = 0; i < o->n && !rc;) {
		uint32_t n = o->n - i < ENGINE_BURST_PACKETS ? (uint32_t)(o->n - i) : ENGINE_BURST_PACKETS;

		rc = burst(arg, i + 1, &o->packets[i], &o->results[i], n);
		i += n;
	}
	return rc;
}

int ordered_run(struct engine *e, struct sharded *s, const struct ordered_input *inputs, uint32_t n, replay_burst_fn burst,
		void *arg, char why[ORDERED_WHY_BYTES])
{
	struct ordered o = {.shards = s, .why = why};
	int rc = 0;

	why[0] = 0;
	for (uint32_t i = 0; i < n && !rc; i++)
		rc = read_input(&o, &inputs[i]);
	if (!rc)
		rc = check_places(&o);
	if (!rc)
		rc = run(&o, e, s);
	if (!rc)
		rc = tell(&o, burst, arg);
	for (uint64_t i = 0; i < o.n; i++)
		free((void *)(uintptr_t)o.packets[i].data);
	free(o.packets);
	free(o.places);
	free(o.results);
	return rc;
}

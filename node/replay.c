/* replay.c: see replay.h. */
#include "node/replay.h"

#include <stdlib.h>
#include <string.h>

#include "vm/isa.h"

struct replay {
	struct engine *engine;
	struct sharded *shards;
	replay_burst_fn burst;
	void *arg;
	uint64_t done; /* packets run */
	uint32_t n;    /* packets waiting */
	uint32_t used; /* bytes of data */
	struct vfm_packet packets[ENGINE_BURST_PACKETS];
	struct vfm_result results[ENGINE_BURST_PACKETS];
	uint8_t data[REPLAY_BYTES];
};

_Static_assert(REPLAY_BYTES >= VFM_MAX_PACKET_BYTES, "any packet fits into an empty burst");

struct replay *replay_new(struct engine *e, struct sharded *s, replay_burst_fn burst, void *arg)
{
	struct replay *r = malloc(sizeof(*r));

	if (!r)
		return NULL;
	r->engine = e;
	r->shards = s;
	r->burst = burst;
	r->arg = arg;
	r->done = 0;
	r->n = 0;
	r->used = 0;
	return r;
}

void replay_free(struct replay *r)
{
	free(r);
}

static int flush(struct replay *r)
{
	uint32_t n = r->n;
	int rc;

	if (n == 0)
		return 0;
	sharded_run(r->shards, r->engine, r->packets, n, r->results);
	rc = r->burst(r->arg, r->done + 1, r->packets, r->results, n);
	r->done += n;
	r->n = 0;
	r->used = 0;
	return rc;
}

/* A capture's packet lives until the next one is read, so a burst holds copies. */
static int add(struct replay *r, const struct vfm_packet *packet)
{
	int rc = 0;

	if (r->n == ENGINE_BURST_PACKETS || packet->len > REPLAY_BYTES - r->used)
		rc = flush(r);
	if (rc)
		return rc;
	memcpy(r->data + r->used, packet->data, packet->len);
	r->packets[r->n] = *packet;
	r->packets[r->n].data = r->data + r->used;
	r->used += packet->len;
	r->n++;
	return 0;
}

int replay_capture(struct replay *r, struct capture *c)
{
	struct vfm_packet packet;
	int status, rc = 0;

	while ((status = capture_next(c, &packet)) == 1 && rc == 0)
		rc = add(r, &packet);
	if (rc == 0)
		rc = flush(r);
	return rc ? rc : status;
}

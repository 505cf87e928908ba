/* replay.h: packets of captures through an engine on the shards of a plan, in order, in bursts. */
#ifndef NODE_REPLAY_H
#define NODE_REPLAY_H

#include <stdio.h>

#include "node/capture.h"
#include "node/engine.h"
#include "node/sharded.h"

#define REPLAY_BYTES (ENGINE_BURST_PACKETS * 4096u) /* of packet data in one burst; never less than one packet */

/* Told after each burst. verdicts[i] is what packets[i] got; the first of them is packet number first (from 1) of the replay. */
typedef int (*replay_burst_fn)(void *arg, uint64_t first, const struct vfm_packet *packets, const struct vfm_result *results,
			       uint32_t n);

struct replay;

/* The engine and the shards must outlive it. NULL: out of memory. */
struct replay *replay_new(struct engine *e, struct sharded *s, replay_burst_fn burst, void *arg);
void replay_free(struct replay *r);
/* Runs c to its end. 0; -EIO: damaged, all packets before were run; or what burst returned, if not 0. */
int replay_capture(struct replay *r, struct capture *c);

#endif

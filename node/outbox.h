/* outbox.h: what a step wants sent. The core never touches a socket: it encodes frames into an outbox, the shell (or the simulator)
 * takes them from there and empties it. */
#ifndef NODE_OUTBOX_H
#define NODE_OUTBOX_H

#include "state/wire.h"

#include <stdbool.h>

#define OUTBOX_CONTROLLER      1ull /* address of whichever controllers there are: a frame to it goes to all of them */
#define OUTBOX_MAX_CONTROLLERS 8    /* the shell's own addresses of each: 1 to 8; incarnations are larger */
#define OUTBOX_MAX_BYTES       (256ull << 20)

struct outbox_frame {
	uint64_t to;  /* incarnation, or OUTBOX_CONTROLLER */
	uint8_t kind; /* enum wire_kind: the sender's queues are by class */
	uint32_t bytes;
	size_t offset; /* in outbox.bytes */
};

struct outbox {
	uint64_t self; /* put into every frame */
	uint64_t plan;
	uint32_t n, room;
	struct outbox_frame *frames;
	size_t used, size;
	uint8_t *bytes;
	uint64_t refused; /* frames not taken: no memory, or OUTBOX_MAX_BYTES reached; timers repeat what they said */
};

void outbox_init(struct outbox *o, uint64_t self, uint64_t plan);
void outbox_fini(struct outbox *o);
/* Encodes m for `to`; plan and from are filled in here. */
void outbox_send(struct outbox *o, uint64_t to, struct wire_message *m);
void outbox_clear(struct outbox *o);

#endif

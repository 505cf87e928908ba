/* link.h: the node's sockets: the one file of node/ that knows ZeroMQ. Frames come in on one ROUTER; each peer has a DEALER of its
 * own to send to, whose monitor tells when the connection breaks (a killed process closes its sockets at once).
 *
 * What has come is taken from the ROUTER as soon as it is there and waits in four lines: what others wait for (configurations, RESUME,
 * POSITION), verdicts, replication in the order of its arrival, packets. A frame of an earlier line goes first: a node with a thousand packets to
 * execute learns at once that a shard is not its own any more.
 *
 * Nothing blocks: a frame that a full queue does not take is dropped and counted; the protocol's timers say it again. Linger is 0:
 * what a process that ends has not sent is as lost as if it had been killed. One pipe per peer for all classes, LINK_QUEUE_FRAMES at
 * each end: more than the sum of all credits toward a peer (docs/protocol.md, Flow), so that only a peer that takes nothing fills it.
 */
#ifndef NODE_LINK_H
#define NODE_LINK_H

#include "state/keys.h"

#include <stddef.h>
#include <stdint.h>

#define LINK_QUEUE_FRAMES 65536
#define LINK_MAX_PEERS    80
#define LINK_LINE_FRAMES  4096 /* in one line; the rest waits in the ROUTER */
#define LINK_REPLY_BYTES  32

struct link;

/* What links of one process may share: then they reach each other from memory to memory, without threads or the kernel between. All its
 * links are opened, one after the other, before any of them is polled; afterwards each may be in a thread of its own. */
struct link_hub;
/* For so many links. NULL: out of memory. */
struct link_hub *link_hub_new(uint32_t links);
/* After its links are closed. hub may be NULL. */
void link_hub_free(struct link_hub *hub);

struct link_reply {
	uint8_t to[LINK_REPLY_BYTES];
	uint8_t bytes;
	int fd; /* of the connection; -1 unknown */
};

struct link_calls {
	void *ctx;
	void (*frame)(void *ctx, const uint8_t *frame, size_t bytes, const struct link_reply *reply);
	void (*gone)(void *ctx, uint64_t id);
	/* Somebody at address wanted to connect with a public key that is no peer's. */
	void (*refused)(void *ctx, const char *key, const char *address);
};

/* Listens at endpoint (ipc://... or tcp://...) as incarnation self. hub: NULL: none. keys (kept; NULL: none): every connection from another
 * process is encrypted, and only peers' keys are let in. -ENOKEY: the endpoint is on a network, and there are no keys; -ENOSPC: more
 * links than the hub is for; -errno. */
int link_open(struct link **out, uint64_t self, const char *endpoint, struct link_hub *hub, const struct keys *keys,
	      const struct link_calls *calls);
void link_close(struct link *l);
/* Connects to a peer, unless it is connected there already: EP, EP@NAME or `EP KEY` (keys_resolve). -ENOKEY: its key is not known;
 * -ENOSPC, -errno. */
int link_connect(struct link *l, uint64_t id, const char *endpoint);
void link_disconnect(struct link *l, uint64_t id);
/* -ENOTCONN: no such peer; -EAGAIN: its queue is full, which is counted. */
int link_send(struct link *l, uint64_t id, const uint8_t *frame, size_t bytes);
/* Frames that full queues did not take, of all peers. */
uint64_t link_queue_full(const struct link *l);
/* Who sent a frame, as its connection is named; 0: nameless. */
uint64_t link_sender(const struct link_reply *reply);
/* Closes the connection a frame came by: the sender may connect again. */
void link_cut(const struct link_reply *reply);
/* Answers a frame on the connection it came by. */
int link_answer(struct link *l, const struct link_reply *to, const uint8_t *frame, size_t bytes);
/* Waits up to timeout_us (0: not at all) if nothing has come, and handles what has come for about budget_us. Returns how many frames
 * were handled. */
int link_poll(struct link *l, uint64_t timeout_us, uint64_t budget_us);

/* Asking a controller what vfmctl asks it: one question at a time, on a connection of its own. Of several endpoints, with commas between,
 * the next has its turn when a question was not answered. */
struct link_asker;
/* keys (kept): NULL: none. -ENOKEY: the endpoint is on a network, and there are no keys, or its own is not known; -errno. */
int link_asker_open(struct link_asker **out, const char *endpoints, const struct keys *keys);
void link_asker_close(struct link_asker *a);
/* Sends a COMMAND with the text. An answer to an earlier question that has not come yet is forgotten. -errno. */
int link_ask(struct link_asker *a, const char *text);
/* The ANSWER's text on the heap, waiting at most timeout_ms for it; NULL: none has come. */
char *link_asked(struct link_asker *a, int timeout_ms);

#endif

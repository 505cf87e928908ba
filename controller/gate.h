/* gate.h: the controller's sockets: the one file of controller/ that knows ZeroMQ. Frames come in on one ROUTER; each peer has a DEALER of its
 * own to send to, whose monitor tells when the connection breaks (a killed process closes its sockets at once).
 *
 * Nothing blocks: a frame that a full queue does not take is dropped and counted; the protocol's timers say it again. Linger is 0:
 * what a process that ends has not sent is as lost as if it had been killed. The queues are as long as the windows allow, and no
 * longer: GATE_QUEUE_FRAMES per peer.
 */
#ifndef CONTROLLER_GATE_H
#define CONTROLLER_GATE_H

#include "state/keys.h"

#include <stddef.h>
#include <stdint.h>

#define GATE_QUEUE_FRAMES 65536
#define GATE_MAX_PEERS    80
#define GATE_REPLY_BYTES  32

struct gate;

struct gate_reply {
	uint8_t to[GATE_REPLY_BYTES];
	uint8_t bytes;
	int fd; /* of the connection; -1 unknown */
};

struct gate_calls {
	void *ctx;
	void (*frame)(void *ctx, const uint8_t *frame, size_t bytes, const struct gate_reply *reply);
	void (*gone)(void *ctx, uint64_t id);
	/* Somebody at address wanted to connect with a public key that is no peer's. */
	void (*refused)(void *ctx, const char *key, const char *address);
};

/* Listens at endpoint (ipc://... or tcp://...) as incarnation self. keys (kept; NULL: none): every connection is
 * encrypted, and only peers' keys are let in. -ENOKEY: the endpoint is on a network, and there are no keys; -errno. */
int gate_open(struct gate **out, uint64_t self, const char *endpoint, const struct keys *keys, const struct gate_calls *calls);
void gate_close(struct gate *l);
/* Connects to a peer, unless it is connected there already: EP, EP@NAME or `EP KEY` (keys_resolve). -ENOKEY: its key is not known;
 * -ENOSPC, -errno. */
int gate_connect(struct gate *l, uint64_t id, const char *endpoint);
void gate_disconnect(struct gate *l, uint64_t id);
/* -ENOTCONN: no such peer; -EAGAIN: its queue is full. */
int gate_send(struct gate *l, uint64_t id, const uint8_t *frame, size_t bytes);
/* Who sent a frame, as its connection is named; 0: nameless. */
uint64_t gate_sender(const struct gate_reply *reply);
/* Closes the connection a frame came by: the sender may connect again. */
void gate_cut(const struct gate_reply *reply);
/* Answers a frame on the connection it came by. */
int gate_answer(struct gate *l, const struct gate_reply *to, const uint8_t *frame, size_t bytes);
/* Waits up to timeout_ms (0: not at all) and handles what has come, at most max_frames. Returns how many frames were handled. */
int gate_poll(struct gate *l, int timeout_ms, int max_frames);

/* The other side of gate_answer(): one question at a time, for vfmctl. */
struct gate_asker;
/* EP or EP@NAME. keys (kept): of the one who asks; NULL: none. -ENOKEY: the endpoint is on a network, and there are no keys, or the other
 * end's is not among them; -errno. */
int gate_asker_open(struct gate_asker **out, const char *endpoint, const struct keys *keys);
void gate_asker_close(struct gate_asker *a);
/* Sends a COMMAND with the text and waits for its ANSWER: *answer is a heap string. -ETIMEDOUT, -EPROTO, -ENOMEM. */
int gate_ask(struct gate_asker *a, const char *text, int timeout_ms, char **answer);

/* A new pair of keys. -errno. */
int gate_keypair(char public_key[KEYS_TEXT_BYTES], char secret_key[KEYS_TEXT_BYTES]);

#endif

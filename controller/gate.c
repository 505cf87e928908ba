#include "controller/gate.h"

#include "state/quarantine.h"
#include "state/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

struct gate_peer {
	uint64_t id;
	void *socket, *monitor;
	char endpoint[257 + KEYS_NAME_BYTES]; /* as given */
};

struct gate {
	void *context, *router, *zap;
	const struct keys *keys;
	struct gate_calls calls;
	uint8_t name[QUARANTINE_NAME_BYTES]; /* of this process's connections */
	int n_peers;
	struct gate_peer peers[GATE_MAX_PEERS];
	uint64_t n_monitors;
};

static void set_int(void *socket, int option, int value)
{
	(void)zmq_setsockopt(socket, option, &value, sizeof value);
}

static void set_common(void *socket)
{
	int64_t most = WIRE_MAX_FRAME_BYTES;
	set_int(socket, ZMQ_LINGER, 0);
	set_int(socket, ZMQ_SNDHWM, GATE_QUEUE_FRAMES);
	set_int(socket, ZMQ_RCVHWM, GATE_QUEUE_FRAMES);
	(void)zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof most);
}

/* ---- who may connect ---- */

static void set_text(void *socket, int option, const char *text)
{
	(void)zmq_setsockopt(socket, option, text, strlen(text) + 1);
}

/* This end asks, the other one, whose public key is key, decides. */
static void set_client_keys(const struct keys *keys, void *socket, const char *key)
{
	set_text(socket, ZMQ_CURVE_SERVERKEY, key);
	set_text(socket, ZMQ_CURVE_PUBLICKEY, keys->public_key);
	set_text(socket, ZMQ_CURVE_SECRETKEY, keys->secret_key);
}

/* ZeroMQ asks a socket of this name about each connection (https://rfc.zeromq.org/spec/27). */
static int guard(struct gate *l)
{
	l->zap = zmq_socket(l->context, ZMQ_REP);
	if (!l->zap || zmq_bind(l->zap, "inproc://zeromq.zap.01"))
		return -errno;
	set_int(l->zap, ZMQ_LINGER, 0);
	set_int(l->router, ZMQ_CURVE_SERVER, 1);
	set_text(l->router, ZMQ_CURVE_SECRETKEY, l->keys->secret_key);
	(void)zmq_setsockopt(l->router, ZMQ_ZAP_DOMAIN, "cluster", strlen("cluster"));
	return 0;
}

enum { ZAP_VERSION, ZAP_REQUEST, ZAP_DOMAIN, ZAP_ADDRESS, ZAP_IDENTITY, ZAP_MECHANISM, ZAP_KEY, ZAP_PARTS };

/* Answers one such question. False: there is none. */
static bool admit(struct gate *l)
{
	uint8_t parts[ZAP_PARTS][256];
	size_t bytes[ZAP_PARTS] = {0};
	char key[KEYS_TEXT_BYTES] = "";
	int n = 0, more = 1;
	size_t more_bytes = sizeof more;
	for (; more; n++) {
		int got = zmq_recv(l->zap, parts[n < ZAP_PARTS ? n : 0], 255, ZMQ_DONTWAIT);
		if (got < 0)
			return false;
		if (n < ZAP_PARTS)
			bytes[n] = got < 255 ? (size_t)got : 255;
		(void)zmq_getsockopt(l->zap, ZMQ_RCVMORE, &more, &more_bytes);
	}
	bool is_key = n == ZAP_PARTS && bytes[ZAP_KEY] == 32 && zmq_z85_encode(key, parts[ZAP_KEY], 32);
	bool peer = is_key && keys_name_of(l->keys, key);
	(void)zmq_send(l->zap, "1.0", 3, ZMQ_SNDMORE);
	(void)zmq_send(l->zap, parts[ZAP_REQUEST], bytes[ZAP_REQUEST], ZMQ_SNDMORE);
	(void)zmq_send(l->zap, peer ? "200" : "400", 3, ZMQ_SNDMORE);
	(void)zmq_send(l->zap, "", 0, ZMQ_SNDMORE);
	(void)zmq_send(l->zap, "", 0, ZMQ_SNDMORE);
	(void)zmq_send(l->zap, "", 0, 0);
	parts[ZAP_ADDRESS][bytes[ZAP_ADDRESS]] = 0;
	if (!peer)
		l->calls.refused(l->calls.ctx, key, (const char *)parts[ZAP_ADDRESS]);
	return true;
}

int gate_open(struct gate **out, uint64_t self, const char *endpoint, const struct keys *keys, const struct gate_calls *calls)
{
	if (!keys && keys_needed(endpoint))
		return -ENOKEY;
	struct gate *l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	l->calls = *calls;
	l->keys = keys;
	quarantine_name(self, l->name);
	l->context = zmq_ctx_new();
	l->router = l->context ? zmq_socket(l->context, ZMQ_ROUTER) : NULL;
	if (l->router) {
		set_common(l->router);
		set_int(l->router, ZMQ_ROUTER_MANDATORY, 1);
		set_int(l->router, ZMQ_ROUTER_HANDOVER, 1); /* a peer's new connection is it, not the broken one before */
	}
	if (!l->router || (keys && guard(l)) || zmq_bind(l->router, endpoint)) {
		int err = -errno;
		gate_close(l);
		return err;
	}
	*out = l;
	return 0;
}

static void close_peer(struct gate_peer *p)
{
	if (p->socket) {
		(void)zmq_socket_monitor(p->socket, NULL, 0);
		zmq_close(p->socket);
	}
	if (p->monitor)
		zmq_close(p->monitor);
}

void gate_close(struct gate *l)
{
	if (!l)
		return;
	for (int i = 0; i < l->n_peers; i++)
		close_peer(&l->peers[i]);
	if (l->router)
		zmq_close(l->router);
	if (l->zap)
		zmq_close(l->zap);
	if (l->context)
		zmq_ctx_term(l->context);
	free(l);
}

static struct gate_peer *find(struct gate *l, uint64_t id)
{
	for (int i = 0; i < l->n_peers; i++)
		if (l->peers[i].id == id)
			return &l->peers[i];
	return NULL;
}

void gate_disconnect(struct gate *l, uint64_t id)
{
	struct gate_peer *p = find(l, id);
	if (!p)
		return;
	close_peer(p);
	*p = l->peers[--l->n_peers];
}

/* Only a broken connection is of interest. */
static int watch(struct gate *l, struct gate_peer *p)
{
	char name[64];
	snprintf(name, sizeof name, "inproc://monitor-%" PRIu64, l->n_monitors++);
	if (zmq_socket_monitor(p->socket, name, ZMQ_EVENT_DISCONNECTED))
		return -errno;
	p->monitor = zmq_socket(l->context, ZMQ_PAIR);
	if (!p->monitor || zmq_connect(p->monitor, name))
		return -errno;
	set_int(p->monitor, ZMQ_LINGER, 0);
	return 0;
}

int gate_connect(struct gate *l, uint64_t id, const char *endpoint)
{
	struct gate_peer *p = find(l, id);
	char where[257], key[KEYS_TEXT_BYTES];
	if (p && strcmp(p->endpoint, endpoint) == 0)
		return 0;
	int err = keys_resolve(l->keys, endpoint, where, key);
	if (err || (!l->keys && keys_needed(where)))
		return err ? err : -ENOKEY;
	if (p)
		gate_disconnect(l, id);
	if (l->n_peers == GATE_MAX_PEERS)
		return -ENOSPC;
	p = &l->peers[l->n_peers];
	*p = (struct gate_peer){.id = id, .socket = zmq_socket(l->context, ZMQ_DEALER)};
	snprintf(p->endpoint, sizeof p->endpoint, "%s", endpoint);
	if (!p->socket)
		return -errno;
	set_common(p->socket);
	(void)zmq_setsockopt(p->socket, ZMQ_ROUTING_ID, l->name, sizeof l->name);
	set_int(p->socket, ZMQ_RCVHWM, 1); /* nobody answers on it */
	set_int(p->socket, ZMQ_RECONNECT_IVL, 20);
	set_int(p->socket, ZMQ_RECONNECT_IVL_MAX, 200);
	if (l->keys)
		set_client_keys(l->keys, p->socket, key);
	err = watch(l, p);
	if (!err && zmq_connect(p->socket, where))
		err = -errno;
	if (err)
		close_peer(p);
	else
		l->n_peers++;
	return err;
}

int gate_send(struct gate *l, uint64_t id, const uint8_t *frame, size_t bytes)
{
	struct gate_peer *p = find(l, id);
	if (!p)
		return -ENOTCONN;
	return zmq_send(p->socket, frame, bytes, ZMQ_DONTWAIT) < 0 ? -errno : 0;
}

uint64_t gate_sender(const struct gate_reply *reply)
{
	return quarantine_id(reply->to, reply->bytes);
}

void gate_cut(const struct gate_reply *reply)
{
	if (reply->fd >= 0)
		(void)shutdown(reply->fd, SHUT_RDWR); /* ZeroMQ sees its end and lets go of it */
}

int gate_answer(struct gate *l, const struct gate_reply *to, const uint8_t *frame, size_t bytes)
{
	if (zmq_send(l->router, to->to, to->bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
		return -errno;
	return zmq_send(l->router, frame, bytes, ZMQ_DONTWAIT) < 0 ? -errno : 0;
}

/* One message of the ROUTER: [identity, frame]; parts beyond are read and dropped. False: nothing has come. */
static int receive(struct gate *l)
{
	struct gate_reply reply = {.fd = -1};
	zmq_msg_t part;
	int n = 0, more = 1;
	for (; more; n++) {
		zmq_msg_init(&part);
		if (zmq_msg_recv(&part, l->router, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&part);
			return 0;
		}
		more = zmq_msg_more(&part);
		if (n == 0 && zmq_msg_size(&part) <= GATE_REPLY_BYTES) {
			reply.bytes = (uint8_t)zmq_msg_size(&part);
			memcpy(reply.to, zmq_msg_data(&part), reply.bytes);
		} else if (n == 1) {
			reply.fd = zmq_msg_get(&part, ZMQ_SRCFD);
			l->calls.frame(l->calls.ctx, zmq_msg_data(&part), zmq_msg_size(&part), &reply);
		}
		zmq_msg_close(&part);
	}
	return 1;
}

static void watch_peers(struct gate *l)
{
	for (int i = l->n_peers; i-- > 0;) {
		zmq_msg_t event;
		bool broke = false;
		zmq_msg_init(&event);
		while (zmq_msg_recv(&event, l->peers[i].monitor, ZMQ_DONTWAIT) >= 0)
			broke = true;
		zmq_msg_close(&event);
		if (!broke)
			continue;
		uint64_t id = l->peers[i].id;
		gate_disconnect(l, id); /* the roster brings it back if it still lives */
		l->calls.gone(l->calls.ctx, id);
	}
}

int gate_poll(struct gate *l, int timeout_ms, int max_frames)
{
	zmq_pollitem_t items[GATE_MAX_PEERS + 2] = {{l->router, 0, ZMQ_POLLIN, 0}};
	int n = 0, n_items = 1;
	for (int i = 0; i < l->n_peers; i++)
		items[n_items++] = (zmq_pollitem_t){l->peers[i].monitor, 0, ZMQ_POLLIN, 0};
	if (l->zap)
		items[n_items++] = (zmq_pollitem_t){l->zap, 0, ZMQ_POLLIN, 0};
	if (zmq_poll(items, n_items, timeout_ms) < 0)
		return 0;
	watch_peers(l);
	while (l->zap && admit(l))
		;
	while (n < max_frames && receive(l))
		n++;
	return n;
}

/* ---- asking ---- */

struct gate_asker {
	void *context, *socket;
	const struct keys *keys;
	char endpoint[257], key[KEYS_TEXT_BYTES];
};

static int connect_asker(struct gate_asker *a)
{
	if (a->socket)
		zmq_close(a->socket);
	a->socket = zmq_socket(a->context, ZMQ_DEALER);
	if (!a->socket)
		return -errno;
	set_common(a->socket);
	if (a->keys)
		set_client_keys(a->keys, a->socket, a->key);
	return zmq_connect(a->socket, a->endpoint) ? -errno : 0;
}

int gate_asker_open(struct gate_asker **out, const char *endpoint, const struct keys *keys)
{
	struct gate_asker *a = calloc(1, sizeof *a);
	if (!a)
		return -ENOMEM;
	a->keys = keys;
	int err = keys_resolve(keys, endpoint, a->endpoint, a->key);
	if (!err && !keys && keys_needed(a->endpoint))
		err = -ENOKEY;
	a->context = zmq_ctx_new();
	if (!err)
		err = a->context ? connect_asker(a) : -ENOMEM;
	if (err)
		gate_asker_close(a);
	else
		*out = a;
	return err;
}

void gate_asker_close(struct gate_asker *a)
{
	if (!a)
		return;
	if (a->socket)
		zmq_close(a->socket);
	if (a->context)
		zmq_ctx_term(a->context);
	free(a);
}

static int take_answer(zmq_msg_t *msg, char **answer)
{
	struct wire_message m;
	if (wire_decode(zmq_msg_data(msg), zmq_msg_size(msg), &m) || m.kind != WIRE_ANSWER)
		return -EPROTO;
	*answer = malloc((size_t)m.answer.text.n + 1);
	if (!*answer)
		return -ENOMEM;
	memcpy(*answer, m.answer.text.p, m.answer.text.n);
	(*answer)[m.answer.text.n] = 0;
	return 0;
}

int gate_ask(struct gate_asker *a, const char *text, int timeout_ms, char **answer)
{
	struct wire_message m = {.kind = WIRE_COMMAND, .command = {{(const uint8_t *)text, (uint32_t)strlen(text)}}};
	size_t room = wire_bound(&m);
	uint8_t *frame = malloc(room);
	int64_t n = frame ? wire_encode(&m, frame, room) : -1;
	int sent = n > 0 ? zmq_send(a->socket, frame, (size_t)n, ZMQ_DONTWAIT) : -1;
	zmq_pollitem_t item = {a->socket, 0, ZMQ_POLLIN, 0};
	free(frame);
	if (sent < 0 || zmq_poll(&item, 1, timeout_ms) <= 0) {
		(void)connect_asker(a); /* an answer that comes too late must not be taken for the next one's */
		return -ETIMEDOUT;
	}
	zmq_msg_t msg;
	zmq_msg_init(&msg);
	int err = zmq_msg_recv(&msg, a->socket, 0) < 0 ? -errno : take_answer(&msg, answer);
	zmq_msg_close(&msg);
	return err;
}

int gate_keypair(char public_key[KEYS_TEXT_BYTES], char secret_key[KEYS_TEXT_BYTES])
{
	return zmq_curve_keypair(public_key, secret_key) ? -errno : 0;
}

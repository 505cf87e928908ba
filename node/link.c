#include "node/link.h"

#include "state/quarantine.h"
#include "state/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

struct link_peer {
	uint64_t id;
	void *socket, *monitor;
	char endpoint[257 + KEYS_NAME_BYTES]; /* as given */
};

/* A frame that waits for its turn. */
struct arrival {
	zmq_msg_t frame;
	struct link_reply reply;
};

struct line {
	uint32_t first, n;
	struct arrival ring[LINK_LINE_FRAMES];
};

enum { LINE_URGENT, LINE_VERDICTS, LINE_REPLICATION, LINE_WORK, LINES };

#define HUB_NAME_BYTES (257 + sizeof "inproc://")

struct link_hub {
	void *context;
	bool guarded; /* a link answers ZeroMQ's questions for all */
	uint32_t n, room;
	char names[][HUB_NAME_BYTES]; /* where links listen for each other: inproc:// and their endpoints */
};

struct link {
	struct link_hub *hub; /* NULL: context is its own */
	uint64_t self;
	void *context, *router, *zap;
	const struct keys *keys;
	int timer;
	struct line lines[LINES];
	struct link_calls calls;
	uint8_t name[QUARANTINE_NAME_BYTES]; /* of this process's connections */
	int n_peers;
	struct link_peer peers[LINK_MAX_PEERS];
	uint64_t n_monitors, queue_full;
};

static void set_int(void *socket, int option, int value)
{
	(void)zmq_setsockopt(socket, option, &value, sizeof value);
}

static void set_common(void *socket)
{
	int64_t most = WIRE_MAX_FRAME_BYTES;
	set_int(socket, ZMQ_LINGER, 0);
	set_int(socket, ZMQ_SNDHWM, LINK_QUEUE_FRAMES);
	set_int(socket, ZMQ_RCVHWM, LINK_QUEUE_FRAMES);
	(void)zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof most);
}

/* ---- links of one process ---- */

struct link_hub *link_hub_new(uint32_t links)
{
	struct link_hub *h = calloc(1, sizeof *h + links * sizeof h->names[0]);
	if (!h)
		return NULL;
	h->room = links;
	h->context = zmq_ctx_new();
	if (h->context && zmq_ctx_set(h->context, ZMQ_IO_THREADS, (int)links) == 0)
		return h;
	link_hub_free(h);
	return NULL;
}

void link_hub_free(struct link_hub *h)
{
	if (h && h->context)
		zmq_ctx_term(h->context);
	free(h);
}

/* Listens for the hub's other links too. */
static int enter_hub(struct link *l, const char *endpoint)
{
	struct link_hub *h = l->hub;
	if (h->n == h->room || (size_t)snprintf(h->names[h->n], HUB_NAME_BYTES, "inproc://%s", endpoint) >= HUB_NAME_BYTES)
		return -ENOSPC;
	return zmq_bind(l->router, h->names[h->n++]) ? -errno : 0;
}

/* Where to connect to reach endpoint: from memory to memory if it is in the hub. */
static const char *nearest(const struct link *l, const char *endpoint)
{
	for (uint32_t i = 0; l->hub && i < l->hub->n; i++)
		if (strcmp(l->hub->names[i] + strlen("inproc://"), endpoint) == 0)
			return l->hub->names[i];
	return endpoint;
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
static int guard(struct link *l)
{
	if (!l->hub || !l->hub->guarded) {
		l->zap = zmq_socket(l->context, ZMQ_REP);
		if (!l->zap || zmq_bind(l->zap, "inproc://zeromq.zap.01"))
			return -errno;
		set_int(l->zap, ZMQ_LINGER, 0);
	}
	if (l->hub)
		l->hub->guarded = true;
	set_int(l->router, ZMQ_CURVE_SERVER, 1);
	set_text(l->router, ZMQ_CURVE_SECRETKEY, l->keys->secret_key);
	(void)zmq_setsockopt(l->router, ZMQ_ZAP_DOMAIN, "cluster", strlen("cluster"));
	return 0;
}

enum { ZAP_VERSION, ZAP_REQUEST, ZAP_DOMAIN, ZAP_ADDRESS, ZAP_IDENTITY, ZAP_MECHANISM, ZAP_KEY, ZAP_PARTS };

/* Answers one such question. False: there is none. */
static bool admit(struct link *l)
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

static int listen_at(struct link *l, const char *endpoint)
{
	int err = l->keys ? guard(l) : 0;
	if (!err && zmq_bind(l->router, endpoint))
		err = -errno;
	return !err && l->hub ? enter_hub(l, endpoint) : err;
}

int link_open(struct link **out, uint64_t self, const char *endpoint, struct link_hub *hub, const struct keys *keys,
	      const struct link_calls *calls)
{
	if (!keys && keys_needed(endpoint))
		return -ENOKEY;
	struct link *l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	l->calls = *calls;
	l->keys = keys;
	l->hub = hub;
	l->self = self;
	quarantine_name(self, l->name);
	l->context = hub ? hub->context : zmq_ctx_new();
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	l->router = l->context && l->timer >= 0 ? zmq_socket(l->context, ZMQ_ROUTER) : NULL;
	if (l->router) {
		set_common(l->router);
		set_int(l->router, ZMQ_ROUTER_MANDATORY, 1);
		set_int(l->router, ZMQ_ROUTER_HANDOVER, 1); /* a peer's new connection is it, not the broken one before */
	}
	int err = l->router ? listen_at(l, endpoint) : -errno;
	if (err)
		link_close(l);
	else
		*out = l;
	return err;
}

static struct arrival *take(struct line *q)
{
	struct arrival *a = &q->ring[q->first];
	q->first = (q->first + 1) % LINK_LINE_FRAMES;
	q->n--;
	return a;
}

static void close_peer(struct link_peer *p)
{
	if (p->socket) {
		(void)zmq_socket_monitor(p->socket, NULL, 0);
		zmq_close(p->socket);
	}
	if (p->monitor)
		zmq_close(p->monitor);
}

void link_close(struct link *l)
{
	if (!l)
		return;
	for (int i = 0; i < LINES; i++)
		while (l->lines[i].n)
			(void)zmq_msg_close(&take(&l->lines[i])->frame);
	for (int i = 0; i < l->n_peers; i++)
		close_peer(&l->peers[i]);
	if (l->router)
		zmq_close(l->router);
	if (l->zap)
		zmq_close(l->zap);
	if (l->context && !l->hub)
		zmq_ctx_term(l->context);
	if (l->timer >= 0)
		close(l->timer);
	free(l);
}

static struct link_peer *find(struct link *l, uint64_t id)
{
	for (int i = 0; i < l->n_peers; i++)
		if (l->peers[i].id == id)
			return &l->peers[i];
	return NULL;
}

void link_disconnect(struct link *l, uint64_t id)
{
	struct link_peer *p = find(l, id);
	if (!p)
		return;
	close_peer(p);
	*p = l->peers[--l->n_peers];
}

/* Only a broken connection is of interest. */
static int watch(struct link *l, struct link_peer *p)
{
	char name[64];
	snprintf(name, sizeof name, "inproc://monitor-%016" PRIx64 "-%" PRIu64, l->self, l->n_monitors++);
	if (zmq_socket_monitor(p->socket, name, ZMQ_EVENT_DISCONNECTED))
		return -errno;
	p->monitor = zmq_socket(l->context, ZMQ_PAIR);
	if (!p->monitor || zmq_connect(p->monitor, name))
		return -errno;
	set_int(p->monitor, ZMQ_LINGER, 0);
	return 0;
}

int link_connect(struct link *l, uint64_t id, const char *endpoint)
{
	struct link_peer *p = find(l, id);
	char where[257], key[KEYS_TEXT_BYTES];
	if (p && strcmp(p->endpoint, endpoint) == 0)
		return 0;
	int err = keys_resolve(l->keys, endpoint, where, key);
	if (err || (!l->keys && keys_needed(where)))
		return err ? err : -ENOKEY;
	if (p)
		link_disconnect(l, id);
	if (l->n_peers == LINK_MAX_PEERS)
		return -ENOSPC;
	p = &l->peers[l->n_peers];
	*p = (struct link_peer){.id = id, .socket = zmq_socket(l->context, ZMQ_DEALER)};
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
	if (!err && zmq_connect(p->socket, nearest(l, where)))
		err = -errno;
	if (err)
		close_peer(p);
	else
		l->n_peers++;
	return err;
}

int link_send(struct link *l, uint64_t id, const uint8_t *frame, size_t bytes)
{
	struct link_peer *p = find(l, id);
	if (!p)
		return -ENOTCONN;
	if (zmq_send(p->socket, frame, bytes, ZMQ_DONTWAIT) >= 0)
		return 0;
	l->queue_full += errno == EAGAIN;
	return -errno;
}

uint64_t link_queue_full(const struct link *l)
{
	return l->queue_full;
}

uint64_t link_sender(const struct link_reply *reply)
{
	return quarantine_id(reply->to, reply->bytes);
}

void link_cut(const struct link_reply *reply)
{
	if (reply->fd >= 0)
		(void)shutdown(reply->fd, SHUT_RDWR); /* ZeroMQ sees its end and lets go of it */
}

int link_answer(struct link *l, const struct link_reply *to, const uint8_t *frame, size_t bytes)
{
	if (zmq_send(l->router, to->to, to->bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
		return -errno;
	return zmq_send(l->router, frame, bytes, ZMQ_DONTWAIT) < 0 ? -errno : 0;
}

static int line_of(const uint8_t *frame, size_t bytes)
{
	switch (wire_kind_of(frame, bytes)) {
	case WIRE_WORK:
		return LINE_WORK;
	case WIRE_VERDICTS:
		return LINE_VERDICTS;
	case WIRE_SYNC:
	case WIRE_DELTA:
	case WIRE_HAVE:
	case WIRE_CHUNK:
	case WIRE_PULL:
	case WIRE_FINAL:
		return LINE_REPLICATION;
	default:
		return LINE_URGENT;
	}
}

static void put(struct link *l, zmq_msg_t *frame, const struct link_reply *reply)
{
	struct line *q = &l->lines[line_of(zmq_msg_data(frame), zmq_msg_size(frame))];
	struct arrival *a = &q->ring[(q->first + q->n++) % LINK_LINE_FRAMES];
	a->reply = *reply;
	(void)zmq_msg_init(&a->frame);
	(void)zmq_msg_move(&a->frame, frame);
}

/* One message of the ROUTER: [identity, frame]; parts beyond are read and dropped. False: nothing has come. */
static bool receive(struct link *l)
{
	struct link_reply reply = {.fd = -1};
	zmq_msg_t part;
	int n = 0, more = 1;
	for (; more; n++) {
		zmq_msg_init(&part);
		if (zmq_msg_recv(&part, l->router, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&part);
			return false;
		}
		more = zmq_msg_more(&part);
		if (n == 0 && zmq_msg_size(&part) <= LINK_REPLY_BYTES) {
			reply.bytes = (uint8_t)zmq_msg_size(&part);
			memcpy(reply.to, zmq_msg_data(&part), reply.bytes);
		} else if (n == 1) {
			reply.fd = zmq_msg_get(&part, ZMQ_SRCFD);
			put(l, &part, &reply);
		}
		zmq_msg_close(&part);
	}
	return true;
}

/* Takes what is there, as long as every line has room. */
static void receive_all(struct link *l)
{
	for (;;) {
		for (int i = 0; i < LINES; i++)
			if (l->lines[i].n == LINK_LINE_FRAMES)
				return;
		if (!receive(l))
			return;
	}
}

/* Handles the first frame of the first line that has one. False: nothing is there. */
static bool handle_next(struct link *l)
{
	for (int i = 0; i < LINES; i++) {
		if (!l->lines[i].n)
			continue;
		struct arrival *a = take(&l->lines[i]);
		l->calls.frame(l->calls.ctx, zmq_msg_data(&a->frame), zmq_msg_size(&a->frame), &a->reply);
		(void)zmq_msg_close(&a->frame);
		return true;
	}
	return false;
}

static void watch_peers(struct link *l)
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
		link_disconnect(l, id); /* the roster brings it back if it still lives */
		l->calls.gone(l->calls.ctx, id);
	}
}

static uint64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool holds(const struct link *l)
{
	bool any = false;
	for (int i = 0; i < LINES; i++)
		any |= l->lines[i].n > 0;
	return any;
}

/* ZeroMQ counts in milliseconds; the timer ends the wait in between. */
static void set_timer(const struct link *l, uint64_t us)
{
	struct itimerspec t = {.it_value = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000}};
	(void)timerfd_settime(l->timer, 0, &t, NULL);
}

int link_poll(struct link *l, uint64_t timeout_us, uint64_t budget_us)
{
	zmq_pollitem_t items[LINK_MAX_PEERS + 3] = {{l->router, 0, ZMQ_POLLIN, 0}, {NULL, l->timer, ZMQ_POLLIN, 0}};
	int n = 0, n_items = 2;
	bool waits = timeout_us && !holds(l);
	for (int i = 0; i < l->n_peers; i++)
		items[n_items++] = (zmq_pollitem_t){l->peers[i].monitor, 0, ZMQ_POLLIN, 0};
	if (l->zap)
		items[n_items++] = (zmq_pollitem_t){l->zap, 0, ZMQ_POLLIN, 0};
	if (waits)
		set_timer(l, timeout_us);
	if (zmq_poll(items, n_items, waits ? (long)(timeout_us / 1000) + 1 : 0) < 0)
		return 0;
	watch_peers(l);
	while (l->zap && admit(l))
		;
	uint64_t until = clock_us() + budget_us;
	do {
		receive_all(l);
		if (!handle_next(l))
			break;
		n++;
	} while (clock_us() < until);
	return n;
}

/* ---- asking ---- */

struct link_asker {
	void *context, *socket;
	const struct keys *keys;
	char *endpoints;  /* with commas between */
	const char *next; /* of them */
	bool asked;       /* and no answer yet */
};

/* The next one's turn, each time a question was not answered. */
static void take_endpoint(struct link_asker *a, char endpoint[257])
{
	size_t n = strcspn(a->next, ",");
	snprintf(endpoint, 257, "%.*s", (int)(n < 256 ? n : 256), a->next);
	a->next += n;
	a->next = *a->next ? a->next + 1 : a->endpoints;
}

static int connect_asker(struct link_asker *a)
{
	char text[257], endpoint[257], key[KEYS_TEXT_BYTES];
	take_endpoint(a, text);
	int err = keys_resolve(a->keys, text, endpoint, key);
	if (err || (!a->keys && keys_needed(endpoint)))
		return err ? err : -ENOKEY;
	if (a->socket)
		zmq_close(a->socket);
	a->asked = false;
	a->socket = zmq_socket(a->context, ZMQ_DEALER);
	if (!a->socket)
		return -errno;
	set_common(a->socket);
	if (a->keys)
		set_client_keys(a->keys, a->socket, key);
	return zmq_connect(a->socket, endpoint) ? -errno : 0;
}

int link_asker_open(struct link_asker **out, const char *endpoints, const struct keys *keys)
{
	struct link_asker *a = calloc(1, sizeof *a);
	if (!a)
		return -ENOMEM;
	a->keys = keys;
	a->context = zmq_ctx_new();
	a->next = a->endpoints = strdup(endpoints);
	int err = a->context && a->endpoints ? connect_asker(a) : -ENOMEM;
	if (err)
		link_asker_close(a);
	else
		*out = a;
	return err;
}

void link_asker_close(struct link_asker *a)
{
	if (!a)
		return;
	if (a->socket)
		zmq_close(a->socket);
	if (a->context)
		zmq_ctx_term(a->context);
	free(a->endpoints);
	free(a);
}

int link_ask(struct link_asker *a, const char *text)
{
	struct wire_message m = {.kind = WIRE_COMMAND, .command = {{(const uint8_t *)text, (uint32_t)strlen(text)}}};
	uint8_t frame[512];
	int err = a->asked ? connect_asker(a) : 0; /* an answer that comes too late must not be taken for the next one's */
	int64_t n = err || wire_bound(&m) > sizeof frame ? -EMSGSIZE : wire_encode(&m, frame, sizeof frame);
	if (err || n < 0)
		return err ? err : (int)n;
	if (zmq_send(a->socket, frame, (size_t)n, ZMQ_DONTWAIT) < 0)
		return -errno;
	a->asked = true;
	return 0;
}

char *link_asked(struct link_asker *a, int timeout_ms)
{
	zmq_pollitem_t item = {a->socket, 0, ZMQ_POLLIN, 0};
	struct wire_message m;
	zmq_msg_t msg;
	char *text = NULL;
	if (zmq_poll(&item, 1, timeout_ms) <= 0)
		return NULL;
	zmq_msg_init(&msg);
	if (zmq_msg_recv(&msg, a->socket, ZMQ_DONTWAIT) >= 0 && wire_decode(zmq_msg_data(&msg), zmq_msg_size(&msg), &m) == 0 &&
	    m.kind == WIRE_ANSWER)
		text = strndup((const char *)m.answer.text.p, m.answer.text.n);
	zmq_msg_close(&msg);
	a->asked = false;
	return text;
}

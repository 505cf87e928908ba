/* The node's sockets: a peer that takes nothing, a queue that is bounded, frames that are counted and not lost without a word. */
#include "node/link.h"
#include "state/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define A     100
#define B     200
#define OTHER 300

struct end {
	struct link *link;
	char endpoint[128];
	uint64_t frames, next; /* received, and the number expected next */
	bool in_order;
	uint64_t sender;
};

static char directory[] = "/tmp/vfm-link-XXXXXX";

static void on_frame(void *ctx, const uint8_t *frame, size_t bytes, const struct link_reply *reply)
{
	struct end *e = ctx;
	struct wire_message m;
	e->sender = link_sender(reply);
	assert_int_equal(wire_decode(frame, bytes, &m), 0);
	e->in_order = e->in_order && m.kind == WIRE_FAULT && m.fault.detail == e->next;
	e->next = m.fault.detail + 1;
	e->frames++;
}

static void on_gone(void *ctx, uint64_t id)
{
	(void)ctx, (void)id;
}

static void on_refused(void *ctx, const char *key, const char *address)
{
	(void)ctx, (void)key, (void)address;
}

static void open_end(struct end *e, uint64_t self, struct link_hub *hub)
{
	struct link_calls calls = {e, on_frame, on_gone, on_refused};
	*e = (struct end){.in_order = true};
	snprintf(e->endpoint, sizeof e->endpoint, "ipc://%s/%llu", directory, (unsigned long long)self);
	assert_int_equal(link_open(&e->link, self, e->endpoint, hub, NULL, &calls), 0);
}

static int send_number(struct end *from, uint64_t to, uint64_t number)
{
	uint8_t frame[128];
	struct wire_message m = {.kind = WIRE_FAULT, .from = A, .fault = {0, 0, 1, number}};
	int64_t n = wire_encode(&m, frame, sizeof frame);
	assert_true(n > 0);
	return link_send(from->link, to, frame, (size_t)n);
}

static void a_peer_that_takes_nothing_fills_a_bounded_queue_and_what_it_refuses_is_counted(void **state)
{
	struct end a, b;
	uint64_t sent = 0, refused = 0;
	(void)state;
	open_end(&a, A, NULL);
	open_end(&b, B, NULL);
	assert_int_equal(link_connect(a.link, B, b.endpoint), 0);
	while (refused < 1000 && sent < 100 * LINK_QUEUE_FRAMES) {
		int err = send_number(&a, B, sent);
		assert_true(err == 0 || err == -EAGAIN);
		sent += err == 0;
		refused += err == -EAGAIN;
	}
	assert_int_equal(refused, 1000);
	assert_int_equal(link_queue_full(a.link), 1000);
	assert_true(sent >= LINK_QUEUE_FRAMES);
	assert_true(sent <= 2 * LINK_QUEUE_FRAMES + 65536); /* both ends' queues, and what a socket of the kernel holds */
	for (int tries = 0; b.frames < sent && tries < 100000; tries++)
		(void)link_poll(b.link, 1000, 1000);
	assert_int_equal(b.frames, sent);
	assert_true(b.in_order);
	assert_int_equal(b.sender, A);
	assert_int_equal(send_number(&a, B, sent), 0);
	link_close(a.link);
	link_close(b.link);
}

static void nobody_is_reached_over_a_network_without_keys(void **state)
{
	struct end a;
	struct link *none = NULL;
	struct link_calls calls = {&a, on_frame, on_gone, on_refused};
	(void)state;
	open_end(&a, A, NULL);
	assert_int_equal(link_connect(a.link, B, "tcp://192.0.2.1:7000"), -ENOKEY);
	assert_int_equal(link_open(&none, B, "tcp://*:0", NULL, NULL, &calls), -ENOKEY);
	assert_int_equal(send_number(&a, B, 1), -ENOTCONN);
	link_close(a.link);
}

static void take_all(struct end *e, uint64_t frames)
{
	for (int tries = 0; e->frames < frames && tries < 100000; tries++)
		(void)link_poll(e->link, 1000, 1000);
	assert_int_equal(e->frames, frames);
	assert_true(e->in_order);
}

static void links_of_one_process_reach_each_other_in_a_hub_and_others_as_ever(void **state)
{
	struct link_hub *hub = link_hub_new(2);
	struct end a, b, other;
	struct link *third = NULL;
	struct link_calls calls = {&a, on_frame, on_gone, on_refused};
	(void)state;
	assert_non_null(hub);
	open_end(&a, A, hub);
	open_end(&b, B, hub);
	open_end(&other, OTHER, NULL);
	assert_int_equal(link_open(&third, OTHER, "ipc:///nowhere/x", hub, NULL, &calls), -ENOENT);
	assert_int_equal(link_connect(a.link, B, b.endpoint), 0);
	assert_int_equal(link_connect(a.link, OTHER, other.endpoint), 0);
	for (uint64_t i = 0; i < 5000; i++) {
		assert_int_equal(send_number(&a, B, i), 0);
		assert_int_equal(send_number(&a, OTHER, i), 0);
	}
	/* The kernel knows the one endpoint, and not the other's: nobody is there any more. */
	assert_int_equal(unlink(b.endpoint + strlen("ipc://")), 0);
	take_all(&b, 5000);
	assert_int_equal(b.sender, A);
	assert_int_equal(link_connect(other.link, A, a.endpoint), 0);
	assert_int_equal(send_number(&other, A, 0), 0);
	take_all(&a, 1);
	take_all(&other, 5000);
	link_disconnect(a.link, B);
	assert_int_equal(link_connect(a.link, B, b.endpoint), 0);
	assert_int_equal(send_number(&a, B, 5000), 0);
	take_all(&b, 5001);
	link_close(a.link);
	link_close(b.link);
	link_close(other.link);
	link_hub_free(hub);
}

static void a_hub_is_for_as_many_links_as_were_asked_for(void **state)
{
	struct link_hub *hub = link_hub_new(1);
	struct link *more = NULL;
	struct end a;
	struct link_calls calls = {&a, on_frame, on_gone, on_refused};
	char endpoint[128];
	(void)state;
	open_end(&a, A, hub);
	snprintf(endpoint, sizeof endpoint, "ipc://%s/300", directory);
	assert_int_equal(link_open(&more, B, endpoint, hub, NULL, &calls), -ENOSPC);
	link_close(a.link);
	link_hub_free(hub);
	link_hub_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_that_takes_nothing_fills_a_bounded_queue_and_what_it_refuses_is_counted),
		cmocka_unit_test(nobody_is_reached_over_a_network_without_keys),
		cmocka_unit_test(links_of_one_process_reach_each_other_in_a_hub_and_others_as_ever),
		cmocka_unit_test(a_hub_is_for_as_many_links_as_were_asked_for),
	};
	char command[64];
	if (!mkdtemp(directory))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (int i = A; i <= OTHER; i += 100) {
		snprintf(command, sizeof command, "%s/%d", directory, i);
		(void)unlink(command);
	}
	(void)rmdir(directory);
	return failed;
}

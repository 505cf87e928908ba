/* A shard read while packets flow: told only when what was read is committed, in pages, and never by an owner that is one no more. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "analysis/deploy.h"
#include "node/reading.h"

#define SELF    100u
#define PEER    200u
#define STEERER 300u

struct world {
	struct deploy deploy;
	struct node node;
	struct readings readings;
	uint64_t now_us, number;
};

static struct shard *make_shard(void *ctx, uint64_t shard)
{
	struct world *w = ctx;
	return deploy_shard(&w->deploy, (uint32_t)shard, 1);
}

/* input says how many entries a packet makes. */
static void execute(void *ctx, uint64_t number, struct shard *shard, const struct node_packet *p, uint32_t n, struct verdict *v)
{
	(void)ctx, (void)number;
	assert_int_equal(n, 1);
	for (uint32_t i = 0; i < p->input; i++)
		shard_store(shard, 0, p->time_us + i, 7);
	*v = (struct verdict){.value = 1};
}

static void frame(struct world *w, struct wire_message *msg, uint64_t from)
{
	uint8_t bytes[1024];
	msg->plan = w->deploy.digest;
	msg->from = from;
	int64_t n = wire_encode(msg, bytes, sizeof bytes);
	assert_true(n > 0);
	assert_int_equal(node_frame(&w->node, bytes, (size_t)n, w->now_us), 0);
	outbox_clear(&w->node.out);
}

static void configure(struct world *w, const struct config *c)
{
	struct wire_message msg = {.kind = WIRE_CONFIG};
	config_to_wire(c, &msg.config);
	frame(w, &msg, OUTBOX_CONTROLLER);
}

static void acknowledge(struct world *w)
{
	const struct sigma *s = w->node.members[0].copy;
	struct wire_message msg = {.kind = WIRE_HAVE, .have = {0, 1, w->node.members[0].config.epoch, s->number, s->made_in, 0}};
	frame(w, &msg, PEER);
}

static void send_packet(struct world *w, uint32_t entries)
{
	uint64_t time_us = 1000000;
	uint32_t none = 0;
	struct wire_message msg = {.kind = WIRE_WORK,
				   .work = {.history = 1,
					    .stream = 1,
					    .session = 1,
					    .first = ++w->number,
					    .time_us = wire_column(&time_us, 1),
					    .input = wire_column(&entries, 1),
					    .length = wire_column(&none, 1),
					    .carried = wire_column(&none, 1)}};
	frame(w, &msg, STEERER);
}

/* An owner whose standby acknowledges when it is told to. */
static void begin(struct world *w, struct config *c)
{
	static struct diag_list d;
	char why[DEPLOY_WHY_BYTES], *text;
	struct deploy_options o = {.expression = "(< (count-by src-ip) 5)", .insn_limit = 1000};
	*w = (struct world){.now_us = 1};
	assert_int_equal(deploy_open(&w->deploy, &o, &d, &text, why), 0);
	struct node_options no = {.self = SELF,
				  .plan = w->deploy.digest,
				  .n_shards = 1,
				  .limits = node_default_limits(),
				  .ops = {.shard_new = make_shard, .execute = execute, .ctx = w},
				  .name = "n",
				  .endpoint = ""};
	assert_int_equal(node_init(&w->node, &no), 0);
	w->readings = (struct readings){.node = &w->node, .program = w->deploy.program};
	*c = config_birth(0, w->deploy.digest, SELF);
	configure(w, c);
	*c = config_add(c, PEER);
	configure(w, c);
	acknowledge(w);
	struct wire_message msg = {.kind = WIRE_RESUME,
				   .resume = {.history = 1, .epoch = c->epoch, .stream = 1, .session = 1, .first = 1}};
	frame(w, &msg, STEERER);
	acknowledge(w);
	assert_int_equal(w->node.members[0].owner.committed, w->node.members[0].copy->number);
}

static void finish(struct world *w)
{
	readings_fini(&w->readings);
	node_fini(&w->node);
	deploy_close(&w->deploy);
}

static char *told(struct world *w)
{
	uint32_t reply = 0;
	char *text = NULL;
	if (!readings_next(&w->readings, &reply, sizeof reply, &text, w->now_us))
		return NULL;
	assert_int_equal(reply, 0x1234);
	return text;
}

static void ask(struct world *w)
{
	uint32_t reply = 0x1234;
	assert_int_equal(readings_begin(&w->readings, 0, &reply, sizeof reply, w->now_us), 0);
}

static void what_is_not_committed_is_not_told(void **state)
{
	struct world w;
	struct config c;
	(void)state;
	begin(&w, &c);
	send_packet(&w, 2);
	ask(&w);
	assert_null(told(&w));
	acknowledge(&w);
	char *text = told(&w);
	assert_non_null(strstr(text, "\"position\":1,"));
	assert_non_null(strstr(text, "\"end\":true"));
	assert_non_null(strstr(text, "\n0 0x00000000000f4240 0x0000000000000007 4294967295\n"));
	assert_non_null(strstr(text, "\n0 0x00000000000f4241 0x0000000000000007 4294967295\n"));
	free(text);
	finish(&w);
}

static void packets_applied_after_it_was_asked_for_are_not_in_it(void **state)
{
	struct world w;
	struct config c;
	(void)state;
	begin(&w, &c);
	ask(&w);
	send_packet(&w, 2);
	char *text = told(&w);
	assert_non_null(strstr(text, "\"position\":0,"));
	assert_null(strstr(text, "\n0 0x"));
	free(text);
	finish(&w);
}

static void an_owner_that_is_replaced_tells_nothing(void **state)
{
	struct world w;
	struct config c;
	(void)state;
	begin(&w, &c);
	send_packet(&w, 1);
	ask(&w);
	c = config_promote(&c, PEER, true);
	configure(&w, &c);
	char *text = told(&w);
	assert_non_null(strstr(text, "busy"));
	free(text);
	uint32_t reply = 0;
	assert_int_equal(readings_begin(&w.readings, 0, &reply, sizeof reply, w.now_us), -EAGAIN);
	assert_int_equal(readings_begin(&w.readings, 1, &reply, sizeof reply, w.now_us), -EAGAIN);
	finish(&w);
}

/* Its numbers go on where the other owner's ended, so what it has committed says nothing of what was read before. */
static void an_owner_that_is_so_again_tells_nothing_of_before(void **state)
{
	struct world w;
	struct config c;
	(void)state;
	begin(&w, &c);
	send_packet(&w, 1);
	ask(&w);
	uint64_t number = w.node.members[0].copy->number;
	c = config_promote(&c, PEER, true);
	configure(&w, &c);
	const struct sigma *copy = w.node.members[0].copy;
	struct wire_message final = {.kind = WIRE_FINAL, .final = {0, c.epoch, copy->number, copy->made_in}};
	c = config_promote(&c, SELF, true);
	configure(&w, &c);
	frame(&w, &final, PEER);
	acknowledge(&w);
	assert_true(w.node.members[0].owner.opened);
	assert_true(w.node.members[0].owner.committed >= number);
	char *text = told(&w);
	assert_non_null(strstr(text, "busy"));
	free(text);
	ask(&w);
	text = told(&w);
	assert_non_null(strstr(text, "\"position\":1,"));
	free(text);
	finish(&w);
}

static void what_never_commits_is_given_up(void **state)
{
	struct world w;
	struct config c;
	(void)state;
	begin(&w, &c);
	send_packet(&w, 1);
	ask(&w);
	w.now_us += READING_WAIT_US;
	assert_null(told(&w));
	w.now_us += 2;
	char *text = told(&w);
	assert_non_null(strstr(text, "busy"));
	free(text);
	finish(&w);
}

static void pages_join_to_the_whole_and_end_with_lines(void **state)
{
	struct world w;
	struct config c;
	uint64_t entries = 0, pages = 0, next = 0, id = 1;
	(void)state;
	begin(&w, &c);
	for (int i = 0; i < 4; i++)
		send_packet(&w, 60000); /* the same keys: enough to fill the table */
	acknowledge(&w);
	ask(&w);
	char *text = told(&w);
	for (bool more = true; more; pages++) {
		assert_non_null(text);
		char *line = strchr(text, '\n');
		more = !strstr(text, "\"end\":true");
		next = strtoull(strstr(text, "\"next\":") + 7, NULL, 10);
		for (; line && line[1]; line = strchr(line + 1, '\n'), entries++)
			assert_memory_equal(line, "\n0 0x", 5);
		assert_int_equal(text[strlen(text) - 1], '\n');
		free(text);
		text = more ? readings_page(&w.readings, id, next, w.now_us) : NULL;
	}
	assert_int_equal(entries, 60000);
	assert_int_equal(pages, (60000 * 52 + READING_PAGE_BYTES - 1) / READING_PAGE_BYTES);
	assert_null(readings_page(&w.readings, id, 0, w.now_us)); /* what was told to its end is over */
	finish(&w);
}

static void readers_that_went_away_make_room(void **state)
{
	struct world w;
	struct config c;
	uint32_t reply = 0x1234;
	(void)state;
	begin(&w, &c);
	send_packet(&w, 1);
	for (int i = 0; i < READINGS; i++)
		ask(&w);
	assert_int_equal(readings_begin(&w.readings, 0, &reply, sizeof reply, w.now_us), -EAGAIN);
	acknowledge(&w);
	for (int i = 0; i < READINGS; i++)
		free(told(&w));
	ask(&w);
	finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_committed_is_not_told),
		cmocka_unit_test(packets_applied_after_it_was_asked_for_are_not_in_it),
		cmocka_unit_test(an_owner_that_is_replaced_tells_nothing),
		cmocka_unit_test(an_owner_that_is_so_again_tells_nothing_of_before),
		cmocka_unit_test(what_never_commits_is_given_up),
		cmocka_unit_test(pages_join_to_the_whole_and_end_with_lines),
		cmocka_unit_test(readers_that_went_away_make_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

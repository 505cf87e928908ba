/* Packets of which only the readable prefix was carried get the verdicts of whole ones, on every engine; what carries less is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "node/node.h"
#include "node/runner.h"

#define LENGTH  200u
#define PACKETS 100u

static struct deploy opened(const char *expression)
{
	static struct diag_list diags;
	struct deploy_options o = {.expression = expression, .insn_limit = 1000};
	struct deploy d;
	char why[DEPLOY_WHY_BYTES], *text;
	assert_int_equal(deploy_open(&d, &o, &diags, &text, why), 0);
	return d;
}

/* Bytes at the end of a page behind which nothing may be read. */
static uint8_t *before_the_abyss(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED && bytes <= page);
	assert_int_equal(mprotect(p + page, page, PROT_NONE), 0);
	return p + page - bytes;
}

static void fill(uint8_t *bytes, uint32_t n, uint32_t seed)
{
	for (uint32_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(seed * 31 + i * 7);
	if (n >= 14) {
		bytes[12] = 8;
		bytes[13] = 0;
	}
	if (n >= 15)
		bytes[14] = 0x45;
}

static void same_on(enum engine_kind kind, const char *expression)
{
	struct deploy d = opened(expression);
	struct runner r;
	struct shard *carried = deploy_shard(&d, 0, 1), *whole = deploy_shard(&d, 0, 2);
	assert_in_range(d.readable_bytes, 1, LENGTH - 1);
	assert_int_equal(runner_init(&r, &d, kind), 0);
	uint8_t *flush = before_the_abyss(d.readable_bytes), bytes[LENGTH];
	for (uint32_t i = 0; i < PACKETS; i++) {
		uint32_t length = i % 5 ? LENGTH : i % (d.readable_bytes + 1),
			 n = length < d.readable_bytes ? length : d.readable_bytes;
		struct node_packet full = {1000000 + i, 0, length, length, bytes}, prefix = {1000000 + i, 0, length, n, flush};
		struct verdict a, b;
		fill(bytes, length, i % 9);
		memcpy(flush, bytes, n);
		prefix.data = flush + (n == length ? d.readable_bytes - n : 0);
		memmove((uint8_t *)(uintptr_t)prefix.data, bytes, n);
		runner_run(&r, whole, &full, 1, &a);
		runner_run(&r, carried, &prefix, 1, &b);
		assert_int_equal(a.value, b.value);
		assert_int_equal(a.error, b.error);
	}
	assert_int_equal(shard_digest(whole), shard_digest(carried));
	runner_fini(&r);
	shard_free(carried);
	shard_free(whole);
	deploy_close(&d);
}

static void a_readable_prefix_is_as_good_as_the_packet(void **state)
{
	static const char *const expressions[] = {"(< (count-by src-ip) 5)", "(= dst-port 443)", "(< (count-by dst-ip) 3)"};
	(void)state;
	for (int kind = 0; kind < ENGINE_KIND_COUNT; kind++)
		for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++)
			same_on((enum engine_kind)kind, expressions[i]);
}

static void bursts_of_any_length_keep_their_order(void **state)
{
	(void)state;
	struct deploy d = opened("(< (count-by src-ip) 70)");
	struct runner r;
	struct shard *shard = deploy_shard(&d, 0, 1);
	struct node_packet packets[WIRE_MAX_BURST];
	struct verdict v[WIRE_MAX_BURST];
	uint8_t bytes[LENGTH];
	uint32_t changes = 0;
	fill(bytes, LENGTH, 1);
	for (uint32_t i = 0; i < WIRE_MAX_BURST; i++)
		packets[i] = (struct node_packet){1000000, 0, LENGTH, d.readable_bytes, bytes};
	assert_int_equal(runner_init(&r, &d, ENGINE_BURST), 0);
	runner_run(&r, shard, packets, WIRE_MAX_BURST, v);
	for (uint32_t i = 1; i < WIRE_MAX_BURST; i++)
		changes += v[i].value != v[i - 1].value;
	assert_int_equal(changes, 1); /* the limit is reached once, in its place */
	assert_int_not_equal(v[68].value, v[70].value);
	runner_fini(&r);
	shard_free(shard);
	deploy_close(&d);
}

/* ---- what an owner refuses ---- */

static uint32_t executed;

static struct shard *make_shard(void *ctx, uint64_t number)
{
	return deploy_shard(ctx, (uint32_t)number, 1);
}

static void execute(void *ctx, uint64_t number, struct shard *shard, const struct node_packet *p, uint32_t n, struct verdict *v)
{
	(void)ctx, (void)number, (void)shard, (void)p;
	memset(v, 0, n * sizeof *v);
	executed += n;
}

static void give(struct node *n, struct wire_message *msg)
{
	uint8_t frame[1024];
	msg->plan = n->options.plan;
	msg->from = 300;
	int64_t bytes = wire_encode(msg, frame, sizeof frame);
	assert_true(bytes > 0);
	assert_int_equal(node_frame(n, frame, (size_t)bytes, 1), 0);
	outbox_clear(&n->out);
}

static void give_packet(struct node *n, uint64_t number, uint32_t length, uint32_t carried)
{
	uint64_t time_us = 1000000;
	uint32_t input = 0;
	uint8_t bytes[LENGTH] = {0};
	struct wire_message msg = {.kind = WIRE_WORK,
				   .work = {.history = 1,
					    .stream = 1,
					    .session = 1,
					    .first = number,
					    .time_us = wire_column(&time_us, 1),
					    .input = wire_column(&input, 1),
					    .length = wire_column(&length, 1),
					    .carried = wire_column(&carried, 1),
					    .data = {bytes, carried}}};
	give(n, &msg);
}

static void work_that_carries_less_than_the_program_can_read_is_refused(void **state)
{
	(void)state;
	struct deploy d = opened("(< (count-by src-ip) 5)");
	struct node n;
	struct node_options o = {.self = 100,
				 .plan = d.digest,
				 .n_shards = 1,
				 .limits = node_default_limits(),
				 .readable_bytes = d.readable_bytes,
				 .ops = {.shard_new = make_shard, .execute = execute, .ctx = &d},
				 .name = "n",
				 .endpoint = ""};
	assert_int_equal(node_init(&n, &o), 0);
	struct config c = config_birth(0, d.digest, 100);
	struct wire_message msg = {.kind = WIRE_CONFIG};
	config_to_wire(&c, &msg.config);
	give(&n, &msg);
	msg = (struct wire_message){.kind = WIRE_RESUME,
				    .resume = {.history = 1, .epoch = 1, .stream = 1, .session = 1, .first = 1}};
	give(&n, &msg);
	executed = 0;
	give_packet(&n, 1, LENGTH, d.readable_bytes - 1);
	give_packet(&n, 1, d.readable_bytes, d.readable_bytes - 1);
	give_packet(&n, 1, 10, 11);
	assert_int_equal(executed, 0);
	give_packet(&n, 1, LENGTH, d.readable_bytes);
	give_packet(&n, 2, 10, 10);
	assert_int_equal(executed, 2);
	node_fini(&n);
	deploy_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_readable_prefix_is_as_good_as_the_packet),
		cmocka_unit_test(bursts_of_any_length_keep_their_order),
		cmocka_unit_test(work_that_carries_less_than_the_program_can_read_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

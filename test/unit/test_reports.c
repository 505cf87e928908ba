/* test_reports.c: verdict files, table files, tallies, and replay in bursts: the parts behind vfm-test that other programs share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/replay.h"
#include "node/tally.h"
#include "vm/asm.h"
#include "vm/table_file.h"
#include "vm/verdict.h"
#include "vm/vfm.h"

static FILE *holding(const char *text)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	fputs(text, f);
	rewind(f);
	return f;
}

static struct program *assembled(const char *source)
{
	static struct diag_list d;
	struct vfm_reject reject;
	struct program *p;
	uint8_t *code;
	uint32_t len;

	diag_init(&d, "test", source, (uint32_t)strlen(source));
	assert_int_equal(asm_assemble(source, strlen(source), false, &code, &len, &d), 0);
	p = program_new(code, len, 0, &reject);
	assert_non_null(p);
	free(code);
	return p;
}

/* One shard, no certificate. */
static struct plan *plan_of(const struct program *p)
{
	struct plan *plan;
	char why[256];

	assert_int_equal(plan_new(p, NULL, 1, 0, &plan, why, sizeof(why)), 0);
	return plan;
}

/* ---- verdict files ---- */

static const struct vfm_result all_kinds[] = {
	{.value = 0},
	{.value = 9},
	{.value = 10},
	{.value = UINT64_MAX},
	{.error = VFM_ERROR_BOUNDS},
	{.error = VFM_ERROR_DIVISION_BY_ZERO},
	{.error = VFM_ERROR_LIMIT},
	{.error = VERDICT_ERROR_GUARD},
};
#define KINDS (sizeof(all_kinds) / sizeof(all_kinds[0]))

static void a_verdict_file_has_a_line_for_each_verdict(void **state)
{
	char text[256];
	FILE *f = tmpfile();

	(void)state;
	for (size_t i = 0; i < KINDS; i++)
		assert_int_equal(verdict_write(f, &all_kinds[i]), 0);
	rewind(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	assert_string_equal(text, "0\n9\n10\n18446744073709551615\nBOUNDS\nDIVISION_BY_ZERO\nLIMIT\nGUARD\n");
	fclose(f);
}

static void a_verdict_file_reads_back_as_it_was_written(void **state)
{
	struct vfm_result r;
	FILE *f = tmpfile();

	(void)state;
	for (size_t i = 0; i < KINDS; i++)
		assert_int_equal(verdict_write(f, &all_kinds[i]), 0);
	rewind(f);
	for (size_t i = 0; i < KINDS; i++) {
		assert_int_equal(verdict_read(f, &r), 1);
		assert_int_equal(r.error, all_kinds[i].error);
		assert_int_equal(r.value, all_kinds[i].value);
	}
	assert_int_equal(verdict_read(f, &r), 0);
	fclose(f);
}

static void what_is_no_verdict_line_is_refused(void **state)
{
	static const char *const wrong[] = {"\n",        "1",
					    "-1\n",      " 1\n",
					    "1 \n",      "BOUND\n",
					    "BOUNDS \n", "18446744073709551616\n",
					    "0x1\n",     "111111111111111111111111111111\n",
					    "1\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct vfm_result r;
		FILE *f = holding(wrong[i]);

		if (verdict_read(f, &r) != -EINVAL)
			fail_msg("\"%s\" is taken", wrong[i]);
		fclose(f);
	}
}

static void verdicts_that_cannot_be_written_are_reported(void **state)
{
	FILE *f = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(f);
	setvbuf(f, NULL, _IONBF, 0);
	assert_int_equal(verdict_write(f, &all_kinds[0]), -EIO);
	assert_int_equal(verdict_write(f, &all_kinds[3]), -EIO);
	fclose(f);
}

/* ---- tallies ---- */

static void a_tally_splits_packets_into_accept_drop_and_errors(void **state)
{
	struct tally t = {0};

	(void)state;
	for (size_t i = 0; i < KINDS; i++)
		tally_add(&t, &all_kinds[i]);
	tally_add(&t, &(struct vfm_result){.value = 1});
	assert_int_equal(t.packets, KINDS + 1);
	assert_int_equal(t.accept, 4);
	assert_int_equal(t.log, 3);
	assert_int_equal(t.drop, 1);
	assert_int_equal(tally_errors(&t), 4);
	assert_int_equal(t.errors[VERDICT_INDEX_LIMIT], 1);
	tally_sort(&t);
	assert_int_equal(t.n_values, 5);
	for (uint32_t i = 1; i < t.n_values; i++)
		assert_true(t.values[i - 1].value < t.values[i].value);
}

static void a_tally_counts_any_number_of_values_in_bounded_room(void **state)
{
	struct tally t = {0};

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		tally_add(&t, &(struct vfm_result){.value = i});
	assert_int_equal(t.n_values, TALLY_VALUES);
	assert_int_equal(t.other_values, 1000 - TALLY_VALUES);
	tally_add(&t, &(struct vfm_result){.value = 7});
	assert_int_equal(t.values[7].packets, 2);
}

/* ---- table files ---- */

#define TWO_TABLES "FLOW_LOAD 3\nPUSH 1\nFLOW_ADD 9\nRET\n"

static void a_table_file_survives_preload_and_collect(void **state)
{
	static const char text[] = "3 0x0000000000000000 0xffffffffffffffff\n"
				   "3 0x8000000000000000 0x0000000000000000\n"
				   "9 0x0000000000000001 0x0000000000000002\n";
	struct program *p = assembled("PUSH 1\n" TWO_TABLES);
	struct plan *plan = plan_of(p);
	char written[sizeof(text) + 1];

	(void)state;
	for (int flat = 0; flat < 2; flat++) {
		struct table_file in = {0}, out = {0};
		struct program_state_options options = {.default_capacity = 4, .idle_s = -1, .flat = flat};
		static struct diag_list d;
		struct sharded s;
		FILE *f = tmpfile();

		diag_init(&d, "t", text, sizeof(text) - 1);
		assert_int_equal(table_file_parse(&in, p, text, sizeof(text) - 1, &d), 0);
		options.preload_room = table_file_room(&in);
		assert_int_equal(options.preload_room, 2);
		assert_int_equal(sharded_init(&s, plan, &options, &in), 0);
		assert_int_equal(sharded_collect(&s, &out), 0);
		assert_int_equal(table_file_write(&out, f), 0);
		rewind(f);
		written[fread(written, 1, sizeof(written) - 1, f)] = 0;
		assert_string_equal(written, text);
		fclose(f);
		table_file_fini(&in);
		table_file_fini(&out);
		sharded_fini(&s);
	}
	plan_free(plan);
	program_free(p);
}

static void preloading_more_than_there_is_room_for_is_an_error(void **state)
{
	static const char text[] = "3 1 1\n3 2 2\n";
	const struct program_state_options options = {.default_capacity = 4, .idle_s = -1, .preload_room = 1};
	struct program *p = assembled("PUSH 1\n" TWO_TABLES);
	struct plan *plan = plan_of(p);
	static struct diag_list d;
	struct table_file t = {0};
	struct sharded s;

	(void)state;
	diag_init(&d, "t", text, sizeof(text) - 1);
	assert_int_equal(table_file_parse(&t, p, text, sizeof(text) - 1, &d), 0);
	assert_int_equal(sharded_init(&s, plan, &options, &t), -ENOSPC);
	table_file_fini(&t);
	plan_free(plan);
	program_free(p);
}

/* ---- replay ---- */

struct heard {
	uint64_t packets, bytes, bursts, largest_burst;
	int answer; /* what each call returns */
};

static int hear(void *arg, uint64_t first, const struct vfm_packet *packets, const struct vfm_result *results, uint32_t n)
{
	struct heard *h = arg;

	assert_int_equal(first, h->packets + 1);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(results[i].value, packets[i].len);
		assert_int_equal(packets[i].data[0], (uint8_t)(first + i)); /* each burst holds its own packets' bytes */
		assert_int_equal(packets[i].data[packets[i].len - 1], (uint8_t)(first + i));
		h->bytes += packets[i].len;
	}
	h->packets += n;
	h->bursts++;
	h->largest_burst = n > h->largest_burst ? n : h->largest_burst;
	return h->answer;
}

/* A capture of n packets of the same length, all bytes of packet i (from 1) are i. */
static struct capture *capture_of(const char *path, uint32_t n, uint32_t len)
{
	static uint8_t data[VFM_MAX_PACKET_BYTES];
	char error[CAPTURE_ERROR_BYTES] = "";
	struct capture_writer *w;
	struct capture *c;

	assert_int_equal(capture_create(path, &w, error), 0);
	for (uint32_t i = 1; i <= n; i++) {
		memset(data, (int)i, len);
		capture_write(w, &(struct vfm_packet){.data = data, .len = len});
	}
	assert_int_equal(capture_finish(w), 0);
	assert_int_equal(capture_open(path, &c, error), 0);
	return c;
}

static struct heard replay_of(uint32_t n, uint32_t len, int answer, int expected)
{
	const struct program_state_options options = {.idle_s = -1};
	char path[] = "/tmp/replay-XXXXXX";
	struct program *p = assembled("PKTLEN\nRET\n");
	struct plan *plan = plan_of(p);
	struct table_file none = {0};
	struct sharded s;
	struct heard h = {.answer = answer};
	struct capture *c;
	struct replay *r;
	struct engine *e;

	close(mkstemp(path));
	c = capture_of(path, n, len);
	assert_int_equal(engine_new(p, ENGINE_INTERP, VFM_DEFAULT_INSN_LIMIT, &e), 0);
	assert_int_equal(sharded_init(&s, plan, &options, &none), 0);
	r = replay_new(e, &s, hear, &h);
	assert_non_null(r);
	assert_int_equal(replay_capture(r, c), expected);
	replay_free(r);
	engine_free(e);
	capture_close(c);
	sharded_fini(&s);
	plan_free(plan);
	program_free(p);
	unlink(path);
	return h;
}

static void replay_runs_full_bursts_and_the_rest(void **state)
{
	struct heard h = replay_of(2 * ENGINE_BURST_PACKETS + 3, 60, 0, 0);

	(void)state;
	assert_int_equal(h.packets, 2 * ENGINE_BURST_PACKETS + 3);
	assert_int_equal(h.bytes, h.packets * 60);
	assert_int_equal(h.bursts, 3);
	assert_int_equal(h.largest_burst, ENGINE_BURST_PACKETS);
}

static void replay_of_the_longest_packets_makes_shorter_bursts(void **state)
{
	struct heard h = replay_of(30, VFM_MAX_PACKET_BYTES, 0, 0);

	(void)state;
	assert_int_equal(h.packets, 30);
	assert_int_equal(h.bytes, 30 * VFM_MAX_PACKET_BYTES);
	assert_int_equal(h.largest_burst, REPLAY_BYTES / VFM_MAX_PACKET_BYTES);
}

static void replay_ends_where_the_listener_says_so(void **state)
{
	struct heard h = replay_of(3 * ENGINE_BURST_PACKETS, 60, -ENOSPC, -ENOSPC);

	(void)state;
	assert_int_equal(h.packets, ENGINE_BURST_PACKETS);
}

static void engines_are_known_by_name(void **state)
{
	struct program *p = assembled("RET 1\n");

	(void)state;
	assert_int_equal(engine_kind_of("warp"), -1);
	for (int kind = 0; kind < ENGINE_KIND_COUNT; kind++) {
		struct engine *e;

		assert_int_equal(engine_kind_of(engine_kind_name(kind)), kind);
		assert_int_equal(engine_new(p, kind, 100, &e), 0);
		engine_free(e);
	}
	program_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verdict_file_has_a_line_for_each_verdict),
		cmocka_unit_test(a_verdict_file_reads_back_as_it_was_written),
		cmocka_unit_test(what_is_no_verdict_line_is_refused),
		cmocka_unit_test(verdicts_that_cannot_be_written_are_reported),
		cmocka_unit_test(a_tally_splits_packets_into_accept_drop_and_errors),
		cmocka_unit_test(a_tally_counts_any_number_of_values_in_bounded_room),
		cmocka_unit_test(a_table_file_survives_preload_and_collect),
		cmocka_unit_test(preloading_more_than_there_is_room_for_is_an_error),
		cmocka_unit_test(replay_runs_full_bursts_and_the_rest),
		cmocka_unit_test(replay_of_the_longest_packets_makes_shorter_bursts),
		cmocka_unit_test(replay_ends_where_the_listener_says_so),
		cmocka_unit_test(engines_are_known_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

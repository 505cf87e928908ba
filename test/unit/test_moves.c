/* test_moves.c: packets that overtake none: while others of theirs wait on another core, and while shards change cores. The filter's verdict of a packet is how many its source has
 * sent so far, so any two packets that run out of order are seen in the verdicts; the ports are a test's, who says what comes when.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "analysis/analyze.h"
#include "node/dataplane.h"
#include "node/eal_dpdk.h"
#include "test/lib/packets.h"
#include "vm/filter.h"
#include "vm/vfm.h"

#define ARGS      "--no-huge --no-pci --no-shconf --no-telemetry -m 64"
#define CORES     2u
#define SHARDS    16u
#define SOURCES   64u
#define MOVES     300u
#define COUNT_ALL "(count-by src-ip)"

/* ---- ports ---- */

/* Receives what next() says for a queue: how many packets, each of them source[i]. Takes all that is sent. */
struct fake {
	struct io io; /* first */
	uint32_t (*next)(struct fake *f, uint32_t queue, uint32_t source[IO_BURST_PACKETS]);
	uint64_t received;
	uint32_t seeds[CORES];
	uint32_t given; /* bursts */
	bool go_on;
};

static uint8_t frames[SOURCES][PACKET_BYTES];
static uint32_t frame_bytes[SOURCES];

static void fake_rx(struct io *io, uint32_t queue, struct io_burst *b)
{
	struct fake *f = (struct fake *)io;
	uint32_t source[IO_BURST_PACKETS];

	b->n = f->next ? f->next(f, queue, source) : 0;
	for (uint32_t i = 0; i < b->n; i++) {
		b->packets[i] = (struct vfm_packet){.data = frames[source[i]], .len = frame_bytes[source[i]], .time_us = 1};
		b->frames[i] = frames[source[i]];
	}
	__atomic_add_fetch(&f->received, b->n, __ATOMIC_RELAXED);
}

static uint32_t fake_tx(struct io *io, uint32_t queue, void *const *sent, uint32_t n)
{
	(void)io;
	(void)queue;
	(void)sent;
	return n;
}

static void fake_free(struct io *io, void *const *freed, uint32_t n)
{
	(void)io;
	(void)freed;
	(void)n;
}

static void fake_counters(struct io *io, struct io_counters *c)
{
	*c = (struct io_counters){.received = __atomic_load_n(&((struct fake *)io)->received, __ATOMIC_RELAXED)};
}

static bool fake_link_up(struct io *io)
{
	(void)io;
	return true;
}

static int fake_close(struct io *io)
{
	(void)io;
	return 0;
}

static const struct io_ops fake_ops = {fake_rx, fake_tx, fake_free, fake_counters, fake_link_up, fake_close};

/* ---- two cores ---- */

static struct world {
	struct fake in, out;
	struct loaded *code;
	struct dataplane *dp;
	FILE *verdicts[CORES];
	pthread_t threads[CORES];
	bool started[CORES];
} w;

static struct loaded *load(void)
{
	struct loaded_options options = {.shards = SHARDS,
					 .cores = CORES,
					 .engine = ENGINE_INTERP,
					 .insn_limit = VFM_DEFAULT_INSN_LIMIT,
					 .state = {.idle_s = -1}};
	struct diag_list *d = calloc(1, sizeof(*d));
	struct table_file none = {0};
	struct analysis *a = calloc(1, sizeof(*a));
	struct loaded *l = NULL;
	struct program *p;
	char why[256] = "";

	assert_non_null(d);
	assert_non_null(a);
	p = filter_expression(COUNT_ALL, 0, d);
	assert_non_null(p);
	assert_int_equal(analysis_split(p, a), 0);
	assert_int_equal(a->split.verdict, SPLIT_PARTITIONABLE);
	if (loaded_new(p, a->split.cert, &options, &none, &l, why, sizeof(why)))
		fail_msg("%s", why);
	analysis_fini(a);
	free(a);
	free(d);
	return l;
}

static void begin(uint32_t queues, uint32_t (*next)(struct fake *, uint32_t, uint32_t *))
{
	struct dataplane_config config = {.one_way = true, .cores = CORES};

	memset(&w, 0, sizeof(w));
	w.in = (struct fake){.io = {.ops = &fake_ops, .rx_queues = queues, .tx_queues = CORES, .time = "tsc"}, .next = next};
	w.out = (struct fake){.io = {.ops = &fake_ops, .number = 1, .rx_queues = 1, .tx_queues = CORES, .time = "tsc"}};
	for (uint32_t i = 0; i < queues; i++) {
		w.in.seeds[i] = i + 1;
		w.verdicts[i] = config.verdicts[i] = tmpfile();
		assert_non_null(w.verdicts[i]);
	}
	config.ports[0] = &w.in.io;
	config.ports[1] = &w.out.io;
	w.code = load();
	w.dp = dataplane_new(&config, w.code);
	assert_non_null(w.dp);
	for (uint32_t s = 0; s < SOURCES; s++)
		frame_bytes[s] = packet_udp4(frames[s], PACKET_IP(10, 0, 0, s), PACKET_IP(10, 1, 0, 1), 1000, 2000, 10);
}

static void *run_core(void *arg)
{
	dataplane_run_core(w.dp, (uint32_t)(uintptr_t)arg);
	return NULL;
}

static void start_core(uint32_t core)
{
	assert_false(w.started[core]);
	w.started[core] = true;
	assert_int_equal(pthread_create(&w.threads[core], NULL, run_core, (void *)(uintptr_t)core), 0);
}

static void join_cores(void)
{
	for (uint32_t i = 0; i < CORES; i++)
		assert_int_equal(pthread_join(w.threads[i], NULL), 0);
}

static void end(void)
{
	dataplane_free(w.dp);
	loaded_free(w.code);
	for (uint32_t i = 0; i < CORES; i++)
		if (w.verdicts[i])
			fclose(w.verdicts[i]);
}

/* ---- a packet that waits on another core ---- */

static bool placing; /* the thread that moves shards looks after itself */
static pthread_t placer;

/* The program's own goes before the C library's: a mover that has to wait says so here, and only then does the other core begin to
 * work. Without waiting it would never be called. */
int sched_yield(void)
{
	if (placing && pthread_equal(pthread_self(), placer) && !w.started[1])
		start_core(1);
	return (int)syscall(SYS_sched_yield);
}

/* Two bursts of a source each; the second when it may come. */
static struct {
	uint32_t source, n;
} script[2];

static uint32_t two_bursts(struct fake *f, uint32_t queue, uint32_t source[IO_BURST_PACKETS])
{
	uint32_t n;

	(void)queue;
	if (f->given == 2 || (f->given == 1 && !__atomic_load_n(&f->go_on, __ATOMIC_ACQUIRE)))
		return 0;
	n = script[f->given].n;
	for (uint32_t i = 0; i < n; i++)
		source[i] = script[f->given].source;
	if (++f->given == 2)
		__atomic_store_n(&f->io.ended, true, __ATOMIC_RELEASE);
	return n;
}

static uint32_t source_of_core(uint32_t core)
{
	for (uint32_t s = 0; s < SOURCES; s++) {
		struct vfm_packet p = {.data = frames[s], .len = frame_bytes[s]};

		if (dataplane_owner(w.dp, plan_shard(w.code->plan, &p)) == core)
			return s;
	}
	fail_msg("no source belongs to core %u", core);
	return 0;
}

/* Core 0 works; a burst that it has received waits for core 1, which does not work yet. */
static void begin_waiting(void)
{
	begin(1, two_bursts);
	script[0].source = source_of_core(1);
	script[0].n = IO_BURST_PACKETS;
	start_core(0);
	while (dataplane_core_counts(w.dp, 0).asked < IO_BURST_PACKETS)
		usleep(100);
}

/* Lets the second burst come, then core 1 begin to work once core 0 has run that burst. */
static void finish_waiting(void)
{
	__atomic_store_n(&w.in.go_on, true, __ATOMIC_RELEASE);
	while (dataplane_core_counts(w.dp, 0).executed < script[1].n)
		usleep(100);
	if (!w.started[1])
		start_core(1);
	join_cores();
	rewind(w.verdicts[0]);
}

static void assert_counts(uint64_t first, uint64_t last)
{
	struct vfm_result r;

	for (uint64_t n = first; n <= last; n++) {
		assert_int_equal(verdict_read(w.verdicts[0], &r), 1);
		assert_int_equal(r.value, n);
	}
}

static void a_burst_that_runs_at_once_waits_for_the_packets_before_it(void **state)
{
	(void)state;
	begin_waiting();
	script[1].source = source_of_core(0);
	script[1].n = IO_BURST_PACKETS / 2;
	finish_waiting();
	assert_counts(1, IO_BURST_PACKETS);
	assert_counts(1, IO_BURST_PACKETS / 2);
	end();
}

static void a_shard_does_not_move_before_its_packets_have_run(void **state)
{
	uint8_t all_to_0[SHARDS] = {0};

	(void)state;
	begin_waiting();
	script[1] = script[0];
	placer = pthread_self();
	placing = true;
	assert_true(dataplane_place(w.dp, all_to_0, SHARDS));
	placing = false;
	finish_waiting();
	assert_counts(1, 2 * IO_BURST_PACKETS);
	assert_int_equal(dataplane_core_counts(w.dp, 1).served, IO_BURST_PACKETS);
	end();
}

/* ---- many moves ---- */

static uint32_t draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)*seed * below) >> 32);
}

/* A queue has every second source for itself: what order the queues meet in is nobody's to say. */
static uint32_t bursts_without_end(struct fake *f, uint32_t queue, uint32_t source[IO_BURST_PACKETS])
{
	uint32_t n = draw(&f->seeds[queue], IO_BURST_PACKETS + 1);

	for (uint32_t i = 0; i < n; i++)
		source[i] = draw(&f->seeds[queue], SOURCES / CORES) * CORES + queue;
	return n;
}

/* Makes the same bursts once more, for as many packets as were judged. */
static void check_counts(uint32_t queue)
{
	struct fake again = {.seeds = {1, 2}};
	uint64_t counts[SOURCES] = {0}, packets = 0;
	uint32_t source[IO_BURST_PACKETS];
	struct vfm_result r;
	int rc = 1;

	rewind(w.verdicts[queue]);
	while (rc == 1) {
		uint32_t n = bursts_without_end(&again, queue, source);

		for (uint32_t i = 0; i < n && (rc = verdict_read(w.verdicts[queue], &r)) == 1; i++, packets++)
			assert_int_equal(r.value, ++counts[source[i]]);
	}
	assert_int_equal(rc, 0);
	assert_true(packets > MOVES);
}

static void verdicts_are_those_of_one_core_however_often_shards_move(void **state)
{
	uint32_t seed = 7;

	(void)state;
	begin(CORES, bursts_without_end);
	for (uint32_t i = 0; i < CORES; i++)
		start_core(i);
	for (uint32_t i = 0; i < MOVES; i++) {
		uint64_t before = dataplane_received(w.dp);
		uint8_t owners[SHARDS];

		for (uint32_t s = 0; s < SHARDS; s++)
			owners[s] = (uint8_t)draw(&seed, CORES);
		while (dataplane_received(w.dp) == before)
			usleep(10);
		assert_true(dataplane_place(w.dp, owners, SHARDS));
	}
	dataplane_stop(w.dp);
	join_cores();
	for (uint32_t i = 0; i < CORES; i++)
		check_counts(i);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_that_runs_at_once_waits_for_the_packets_before_it),
		cmocka_unit_test(a_shard_does_not_move_before_its_packets_have_run),
		cmocka_unit_test(verdicts_are_those_of_one_core_however_often_shards_move),
	};
	char error[EAL_ERROR_BYTES];
	int failed;

	if (eal_start("test", ARGS, error)) {
		print_message("SKIP %s\n", error);
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	eal_stop();
	return failed;
}

/* test_dataplane.c: the data plane on one core between captures, and mirrors whose ring goes round. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/dataplane.h"
#include "node/io_pcap.h"
#include "test/lib/traffic.h"
#include "vm/filter.h"
#include "vm/vfm.h"

#define PACKETS 5000u

static char folder[] = "/tmp/vfm-dataplane-XXXXXX";
static char in_name[64], out_name[64], mirror_name[64];

static int make_capture(void **state)
{
	struct traffic_config config;
	struct traffic *t;
	struct capture_writer *w;
	char error[CAPTURE_ERROR_BYTES];
	uint8_t data[PACKET_BYTES];
	struct vfm_packet p = {.data = data};

	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(in_name, sizeof(in_name), "%s/in", folder);
	snprintf(out_name, sizeof(out_name), "%s/out", folder);
	snprintf(mirror_name, sizeof(mirror_name), "%s/mirror", folder);
	traffic_config_init(&config);
	config.packets = PACKETS;
	t = traffic_new(&config);
	if (!t || capture_create(in_name, &w, error))
		return -1;
	while (traffic_next(t, data, &p.len, &p.time_us))
		capture_write(w, &p);
	traffic_free(t);
	return capture_finish(w);
}

static int remove_captures(void **state)
{
	(void)state;
	unlink(in_name);
	unlink(out_name);
	unlink(mirror_name);
	return rmdir(folder);
}

static struct loaded *load(const char *expression)
{
	struct loaded_options options = {
		.shards = 1, .cores = 1, .engine = ENGINE_INTERP, .insn_limit = VFM_DEFAULT_INSN_LIMIT, .state = {.idle_s = -1}};
	struct diag_list *d = calloc(1, sizeof(*d));
	struct table_file none = {0};
	struct loaded *l = NULL;
	char why[256];

	assert_non_null(d);
	assert_int_equal(loaded_new(filter_expression(expression, 0, d), NULL, &options, &none, &l, why, sizeof(why)), 0);
	free(d);
	return l;
}

/* The packets of in_name that are accepted, or dropped without error, must be, in order, those of capture `name`. */
static void assert_capture_holds(const char *name, struct loaded *l, bool accepted)
{
	struct capture *all, *some;
	char error[CAPTURE_ERROR_BYTES];
	struct vfm_packet p, q;

	assert_int_equal(capture_open(in_name, &all, error), 0);
	assert_int_equal(capture_open(name, &some, error), 0);
	while (capture_next(all, &p) == 1) {
		struct vfm_result r;

		sharded_run(&l->sharded, l->engines[0], &p, 1, &r);
		if (r.error || (r.value != 0) != accepted)
			continue;
		assert_int_equal(capture_next(some, &q), 1);
		assert_int_equal(p.len, q.len);
		assert_int_equal(p.time_us, q.time_us);
		assert_memory_equal(p.data, q.data, p.len);
	}
	assert_int_equal(capture_next(some, &q), 0);
	capture_close(all);
	capture_close(some);
}

static void accepted_packets_leave_and_dropped_ones_are_mirrored(void **state)
{
	struct loaded *l = load("(!= proto 17)");
	struct dataplane_config config = {.one_way = true, .cores = 1, .n_mirrors = 1};
	struct dataplane *dp;
	struct dataplane_counts counts;
	char error[IO_ERROR_BYTES];

	(void)state;
	assert_int_equal(io_pcap_open(in_name, NULL, 0, &config.ports[0], error), 0);
	assert_int_equal(io_pcap_open(NULL, out_name, 1, &config.ports[1], error), 0);
	assert_int_equal(mirror_new(mirror_name, MIRROR_DROP, 1, &config.mirrors[0], error), 0);
	dp = dataplane_new(&config, l);
	assert_non_null(dp);
	dataplane_run_core(dp, 0);
	counts = dataplane_counts(dp, 0);
	assert_int_equal(counts.packets, PACKETS);
	assert_int_equal(counts.accept + counts.drop + counts.errors[VERDICT_INDEX_BOUNDS], PACKETS);
	assert_int_equal(counts.sent, counts.accept);
	assert_true(counts.drop > PACKETS / 100);
	assert_int_equal(mirror_lost(config.mirrors[0]), 0);
	assert_int_equal(mirror_free(config.mirrors[0]), 0);
	dataplane_free(dp);
	assert_string_equal(io_pcap_error(config.ports[0]), "");
	assert_int_equal(io_close(config.ports[0]), 0);
	assert_int_equal(io_close(config.ports[1]), 0);
	assert_capture_holds(out_name, l, true);
	assert_capture_holds(mirror_name, l, false);
	loaded_free(l);
}

static void a_mirror_counts_what_its_ring_has_no_room_for(void **state)
{
	static uint8_t data[60001];
	const struct vfm_packet p = {.data = data, .len = sizeof(data)};
	const struct vfm_result logged = {.value = 2}, passed = {.value = 1};
	char error[CAPTURE_ERROR_BYTES];
	struct mirror *m;
	uint64_t offered = 0;

	(void)state;
	assert_int_equal(mirror_new(mirror_name, MIRROR_LOG, 1, &m, error), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++, offered++) {
			mirror_offer(m, 0, &p, &passed);
			mirror_offer(m, 0, &p, &logged);
		}
		assert_true(mirror_drain(m) >= MIRROR_RING_BYTES / sizeof(data) - 2);
	}
	assert_true(mirror_lost(m) > 0);
	assert_int_equal(mirror_written(m) + mirror_lost(m), offered);
	assert_int_equal(mirror_free(m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted_packets_leave_and_dropped_ones_are_mirrored),
		cmocka_unit_test(a_mirror_counts_what_its_ring_has_no_room_for),
	};

	return cmocka_run_group_tests(tests, make_capture, remove_captures);
}

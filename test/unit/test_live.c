/* test_live.c: live ports of a node without sockets: two captures as ports, each a stream, and what a single instance makes of their
 * packets in the order that the node says it judged them in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/deploy.h"
#include "node/io_pcap.h"
#include "node/live.h"
#include "state/mix.h"
#include "test/lib/traffic.h"
#include "vm/vfm.h"

#define PACKETS 3000u
#define WINDOW  128u
#define SELF    77u
/* The 2nd and further packets of a source count: what it says depends on the order of both streams' packets. */
#define FILTER "(<= (rate-by src-ip :per 1s) 1)"

static char folder[] = "/tmp/vfm-live-XXXXXX";

static const char *named(const char *name)
{
	static char path[16][64];
	static unsigned n;
	char *p = path[n++ % 16];

	snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
	return p;
}

static int make_capture(const char *name, uint64_t seed)
{
	struct traffic_config config;
	struct capture_writer *w;
	char error[CAPTURE_ERROR_BYTES];
	uint8_t data[PACKET_BYTES];
	struct vfm_packet p = {.data = data};

	traffic_config_init(&config);
	config.packets = PACKETS;
	config.seed = seed;
	struct traffic *t = traffic_new(&config);
	if (!t || capture_create(named(name), &w, error))
		return -1;
	while (traffic_next(t, data, &p.len, &p.time_us))
		capture_write(w, &p);
	traffic_free(t);
	return capture_finish(w);
}

static int make_captures(void **state)
{
	(void)state;
	return !mkdtemp(folder) || make_capture("in0", 1) || make_capture("in1", 2);
}

static int remove_all(void **state)
{
	static const char *const names[] = {"in0", "in1", "out0", "out1", "v", "v.0", "v.1", "o", "o.0", "o.1", "m0", "m1"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(named(names[i]));
	return rmdir(folder);
}

/* ---- a node that owns everything ---- */

struct world {
	struct deploy deploy;
	struct interp *interp;
	struct node node;
	struct io *ports[2];
	struct live *live;
	uint64_t now_us;
};

static struct shard *make_shard(void *ctx, uint64_t shard)
{
	(void)shard;
	return deploy_shard(&((struct world *)ctx)->deploy, 0, 1);
}

static struct verdict judge(struct world *w, struct shard *shard, const struct vfm_packet *p)
{
	struct vfm_result r;

	interp_run(w->interp, shard, p, VFM_DEFAULT_INSN_LIMIT, &r);
	return (struct verdict){.value = r.value, .error = (uint8_t)(verdict_error_index(r.error) + 1)};
}

static void execute(void *ctx, uint64_t number, struct shard *shard, const struct node_packet *p, uint32_t n, struct verdict *v)
{
	(void)number;
	for (uint32_t i = 0; i < n; i++) {
		struct vfm_packet packet = {.data = p[i].data, .len = p[i].length, .input = p[i].input, .time_us = p[i].time_us};

		v[i] = judge(ctx, shard, &packet);
	}
}

static void give_frame(struct world *w, struct wire_message *m)
{
	uint8_t frame[512];

	m->plan = w->deploy.digest;
	m->from = 2;
	int64_t n = wire_encode(m, frame, sizeof(frame));
	assert_true(n > 0);
	assert_int_equal(node_frame(&w->node, frame, (size_t)n, w->now_us), 0);
}

static void make_owner(struct world *w)
{
	struct config c = config_birth(0, w->deploy.digest, SELF);
	struct wire_message m = {.kind = WIRE_CONFIG};

	config_to_wire(&c, &m.config);
	give_frame(w, &m);
}

static void start(struct world *w, const struct live_config *like)
{
	struct deploy_options options = {.expression = FILTER, .insn_limit = VFM_DEFAULT_INSN_LIMIT};
	struct live_config config = *like;
	struct diag_list *d = calloc(1, sizeof(*d));
	char why[DEPLOY_WHY_BYTES], error[IO_ERROR_BYTES], *text = NULL;

	*w = (struct world){.now_us = 1000000};
	assert_int_equal(deploy_open(&w->deploy, &options, d, &text, why), 0);
	free(text);
	free(d);
	w->interp = interp_new(w->deploy.program);
	struct node_options o = {.self = SELF,
				 .plan = w->deploy.digest,
				 .n_shards = 1,
				 .limits = node_default_limits(),
				 .readable_bytes = w->deploy.readable_bytes,
				 .ops = {make_shard, execute, w},
				 .heartbeat_us = 50000,
				 .name = "n",
				 .endpoint = ""};
	assert_int_equal(node_init(&w->node, &o), 0);
	assert_int_equal(io_pcap_open(named("in0"), named("out0"), 0, &w->ports[0], error), 0);
	assert_int_equal(io_pcap_open(named("in1"), named("out1"), 1, &w->ports[1], error), 0);
	config.ports[0] = w->ports[0];
	config.ports[1] = w->ports[1];
	config.window_pkts = WINDOW;
	assert_int_equal(live_open(&config, &w->node, w->deploy.plan, &w->live, error), 0);
}

static void stop(struct world *w)
{
	assert_int_equal(live_close(w->live), 0);
	assert_int_equal(io_close(w->ports[0]), 0);
	assert_int_equal(io_close(w->ports[1]), 0);
	node_fini(&w->node);
	interp_free(w->interp);
	deploy_close(&w->deploy);
}

/* One round of the daemon's loop; how many packets moved. */
static uint32_t turn(struct world *w, uint64_t most)
{
	uint32_t n = live_read(w->live, most, w->now_us);

	node_flush(&w->node, w->now_us);
	n += live_release(w->live, w->now_us);
	w->now_us += 1000;
	node_tick(&w->node, w->now_us);
	outbox_clear(&w->node.out);
	return n;
}

static void play(struct world *w)
{
	for (int quiet = 0; quiet < 10;)
		quiet = turn(w, UINT64_MAX) ? 0 : quiet + 1;
	assert_true(live_idle(w->live));
}

/* ---- a single instance ---- */

struct judged {
	struct vfm_packet packet;
	char verdict[VERDICT_TEXT_BYTES];
};

/* Puts the packets of a stream where their indexes say. */
static void take_stream(struct judged *by_index, uint32_t room, const char *in, const char *verdicts, const char *order)
{
	FILE *v = fopen(named(verdicts), "r"), *o = fopen(named(order), "r");
	char error[CAPTURE_ERROR_BYTES], line[VERDICT_TEXT_BYTES];
	struct capture *c;
	struct vfm_packet p;
	unsigned shard;
	uint64_t index, last = 0;

	assert_non_null(v);
	assert_non_null(o);
	assert_int_equal(capture_open(named(in), &c, error), 0);
	while (capture_next(c, &p) == 1) {
		assert_non_null(fgets(line, sizeof(line), v));
		assert_int_equal(fscanf(o, "%u %" SCNu64, &shard, &index), 2);
		assert_true(shard == 0 && index > last && index <= room);
		assert_null(by_index[index - 1].packet.data);
		last = index;
		by_index[index - 1].packet = p;
		by_index[index - 1].packet.data = memcpy(malloc(p.len + 1), p.data, p.len);
		snprintf(by_index[index - 1].verdict, sizeof(line), "%.*s", (int)strcspn(line, "\n"), line);
	}
	assert_null(fgets(line, sizeof(line), v));
	capture_close(c);
	fclose(v);
	fclose(o);
}

static void assert_same_as_single(struct world *w, struct judged *all, uint32_t n)
{
	struct shard *single = deploy_shard(&w->deploy, 0, 2);
	char text[VERDICT_TEXT_BYTES];

	for (uint32_t i = 0; i < n; i++) {
		struct verdict v = judge(w, single, &all[i].packet);
		struct vfm_result r = {.value = v.value, .error = v.error ? verdict_error_code(v.error - 1) : 0};

		verdict_text(&r, text);
		assert_string_equal(text, all[i].verdict);
		free((void *)(uintptr_t)all[i].packet.data);
	}
	assert_true(shard_digest(single) == shard_digest(w->node.members[0].copy->shard));
	shard_free(single);
}

static void two_streams_get_the_verdicts_of_one_instance_in_the_order_told(void **state)
{
	struct judged *all = calloc(2 * PACKETS, sizeof(*all));
	struct world w;

	(void)state;
	start(&w, &(struct live_config){.verdicts = named("v"), .order = named("o")});
	make_owner(&w);
	play(&w);
	struct dataplane_counts c[2] = {live_counts(w.live, 0), live_counts(w.live, 1)};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(c[i].packets, PACKETS);
		assert_int_equal(c[i].packets, c[i].accept + c[i].drop + c[i].errors[VERDICT_INDEX_BOUNDS]);
		assert_int_equal(c[i].sent, c[i].accept);
		assert_true(c[i].drop > 10);
	}
	assert_int_equal(live_close(w.live), 0);
	w.live = NULL;
	take_stream(all, 2 * PACKETS, "in0", "v.0", "o.0");
	take_stream(all, 2 * PACKETS, "in1", "v.1", "o.1");
	assert_same_as_single(&w, all, 2 * PACKETS);
	stop(&w);
	free(all);
}

static void with_a_full_window_a_port_is_not_read_and_nothing_is_lost(void **state)
{
	struct io_counters c;
	struct world w;

	(void)state;
	start(&w, &(struct live_config){.one_way = true});
	for (int i = 0; i < 20; i++)
		turn(&w, UINT64_MAX); /* nobody owns the shard yet */
	io_counters(w.ports[0], &c);
	assert_true(c.received <= WINDOW && c.received > WINDOW - IO_BURST_PACKETS);
	assert_int_equal(live_held(w.live), c.received);
	assert_false(live_idle(w.live));
	make_owner(&w);
	play(&w);
	assert_int_equal(live_counts(w.live, 0).packets, PACKETS);
	io_counters(w.ports[1], &c);
	assert_int_equal(c.received, 0);
	stop(&w);
}

static void no_more_packets_are_taken_than_asked_for(void **state)
{
	struct world w;

	(void)state;
	start(&w, &(struct live_config){0});
	make_owner(&w);
	for (uint64_t n = 0; n < 100; n++) {
		assert_int_equal(live_read(w.live, n < 99 ? 1 : 0, w.now_us), n < 99);
		turn(&w, 0);
	}
	assert_int_equal(live_counts(w.live, 0).packets + live_counts(w.live, 1).packets, 99);
	/* A burst is half taken. All frames go back, those of it and of the window: the port has every one again. */
	assert_int_equal(live_read(w.live, 40, w.now_us), 40);
	assert_int_equal(live_close(w.live), 0);
	w.live = NULL;
	for (int i = 0; i < 2; i++) {
		struct io_burst b;
		uint32_t n = 0;

		while (io_rx(w.ports[i], 0, &b))
			n += b.n;
		assert_int_equal(n, IO_PCAP_FRAMES);
	}
	stop(&w);
}

static void streams_end_when_their_process_is_known_dead(void **state)
{
	uint64_t dead[] = {SELF + 1, SELF};
	struct wire_message m = {.kind = WIRE_RETIRE};
	struct world w;

	(void)state;
	start(&w, &(struct live_config){0});
	make_owner(&w);
	turn(&w, 10);
	const struct sigma *s = w.node.members[0].copy;
	assert_int_equal(s->n_streams, 2);
	m.retire.incarnation = wire_column(dead, 1); /* another one */
	give_frame(&w, &m);
	assert_false(s->streams[0].retired || s->streams[1].retired);
	m.retire.incarnation = wire_column(dead, 2);
	uint64_t number = s->number;
	give_frame(&w, &m);
	assert_true(s->streams[0].retired && s->streams[1].retired);
	assert_int_equal(s->number, number + 2); /* each a delta of its own */
	give_frame(&w, &m);                      /* said again */
	assert_int_equal(s->number, number + 2);
	uint64_t executed = w.node.applied[0];
	turn(&w, 10);
	assert_int_equal(w.node.applied[0], executed); /* what comes of a dead process is refused */
	stop(&w);
}

static void give_resume(struct world *w, uint64_t stream)
{
	struct wire_message m = {.kind = WIRE_RESUME,
				 .resume = {.history = 1, .epoch = 1, .stream = stream, .session = stream, .fresh = 1, .first = 1}};

	outbox_clear(&w->node.out);
	give_frame(w, &m);
}

/* Complaints to the controller since the last frame was given; all of stream 17. */
static uint32_t complaints(const struct world *w)
{
	struct wire_message m;
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->node.out.n; i++) {
		const struct outbox_frame *f = &w->node.out.frames[i];

		assert_int_equal(wire_decode(w->node.out.bytes + f->offset, f->bytes, &m), 0);
		if (m.kind != WIRE_FAULT)
			continue;
		assert_true(f->to == OUTBOX_CONTROLLER && m.fault.what == WIRE_FAULT_STREAMS && m.fault.detail == 17);
		n++;
	}
	return n;
}

static void a_stream_without_room_waits_the_operator_is_told_and_a_retired_one_makes_room(void **state)
{
	uint64_t dead[] = {5};
	struct wire_message m = {.kind = WIRE_RETIRE, .retire = {wire_column(dead, 1)}};
	struct world w;

	(void)state;
	start(&w, &(struct live_config){0});
	make_owner(&w);
	const struct sigma *s = w.node.members[0].copy;
	for (uint64_t stream = 1; s->n_streams < WIRE_MAX_STREAMS; stream++) { /* beside the ports' own */
		assert_true(stream <= WIRE_MAX_STREAMS);
		give_resume(&w, stream);
		assert_int_equal(complaints(&w), 0);
	}
	give_resume(&w, WIRE_MAX_STREAMS + 1);
	assert_int_equal(complaints(&w), 1);
	give_resume(&w, WIRE_MAX_STREAMS + 1); /* it asks all the time */
	assert_int_equal(complaints(&w), 0);
	w.now_us += 20000000;
	give_resume(&w, WIRE_MAX_STREAMS + 1);
	assert_int_equal(complaints(&w), 1);
	assert_null(sigma_stream((struct sigma *)(uintptr_t)s, WIRE_MAX_STREAMS + 1));
	give_frame(&w, &m);
	give_resume(&w, WIRE_MAX_STREAMS + 1);
	assert_int_equal(complaints(&w), 0);
	assert_non_null(sigma_stream((struct sigma *)(uintptr_t)s, WIRE_MAX_STREAMS + 1));
	assert_null(sigma_stream((struct sigma *)(uintptr_t)s, 5));
	assert_int_equal(s->n_streams, WIRE_MAX_STREAMS);
	stop(&w);
}

/* VERDICTS of one packet from owner 5; runs tells how many packets the frame says its runs hold. */
static void give_verdict(struct world *w, uint32_t runs)
{
	uint64_t value[] = {1}, at[] = {1};
	uint8_t error[] = {0};
	struct wire_message m = {.kind = WIRE_VERDICTS};

	m.verdicts = (struct wire_verdicts){.history = 1,
					    .epoch = 1,
					    .stream = w->node.steerers[0]->options.stream,
					    .session = SELF,
					    .committed = 1,
					    .first = 1,
					    .value = wire_column(value, 1),
					    .error = wire_column(error, 1),
					    .run_at = wire_column(at, 1),
					    .run_n = wire_column(&runs, 1)};
	give_frame(w, &m);
}

static void verdicts_whose_places_do_not_fit_are_not_believed(void **state)
{
	struct wire_message m = {.kind = WIRE_CONFIG};
	struct world w;

	(void)state;
	start(&w, &(struct live_config){.one_way = true});
	struct config c = config_birth(0, w.deploy.digest, 5);
	config_to_wire(&c, &m.config);
	give_frame(&w, &m);
	turn(&w, 1);
	give_verdict(&w, 0);
	give_verdict(&w, 2);
	assert_int_equal(live_release(w.live, w.now_us), 0);
	give_verdict(&w, 1);
	assert_int_equal(live_release(w.live, w.now_us), 1);
	stop(&w);
}

static void more_queues_than_streams_are_refused(void **state)
{
	struct world w;
	char error[IO_ERROR_BYTES];
	struct live *l;

	(void)state;
	start(&w, &(struct live_config){0});
	struct io many = *w.ports[0];
	many.rx_queues = NODE_MAX_STREAMS;
	struct live_config config = {.ports = {&many, w.ports[1]}, .window_pkts = WINDOW};
	assert_int_equal(live_open(&config, &w.node, w.deploy.plan, &l, error), -ENOSPC);
	assert_non_null(strstr(error, "give fewer --queues"));
	config = (struct live_config){.ports = {w.ports[0], w.ports[1]}, .window_pkts = WINDOW, .verdicts = "/no/such/directory/v"};
	assert_int_equal(live_open(&config, &w.node, w.deploy.plan, &l, error), -EIO);
	assert_non_null(strstr(error, "/no/such/directory/v.0"));
	stop(&w);
}

/* Each with a steerer named by its number among all queues, which is what tells them apart. */
static void a_core_has_the_queues_whose_number_is_its_own_modulo_the_cores(void **state)
{
	static const uint32_t wanted[3][5] = {{0, 3, 4, 7}, {1, 5}, {2, 6}};
	static const uint32_t n_wanted[3] = {4, 2, 2};
	struct world w;

	(void)state;
	start(&w, &(struct live_config){0});
	assert_int_equal(live_close(w.live), 0);
	w.live = NULL;
	struct io many[2] = {*w.ports[0], *w.ports[1]};
	many[0].rx_queues = many[1].rx_queues = 4;
	for (uint32_t core = 0; core < 3; core++) {
		struct live_config config = {.ports = {&many[0], &many[1]}, .core = core, .cores = 3, .window_pkts = WINDOW};
		char error[IO_ERROR_BYTES];
		struct live *l;

		w.node.n_steerers = 0;
		assert_int_equal(live_open(&config, &w.node, w.deploy.plan, &l, error), 0);
		assert_int_equal(live_streams(l), n_wanted[core]);
		for (uint32_t i = 0; i < n_wanted[core]; i++)
			assert_true(w.node.steerers[i]->options.stream == mix64(SELF + wanted[core][i]));
		assert_int_equal(live_close(l), 0);
	}
	w.node.n_steerers = 0;
	stop(&w);
}

/* How many. */
static uint64_t assert_same_packets(const char *one, const char *other)
{
	struct capture *a, *b;
	struct vfm_packet p, q;
	char error[CAPTURE_ERROR_BYTES];
	uint64_t n = 0;

	assert_int_equal(capture_open(named(one), &a, error), 0);
	assert_int_equal(capture_open(named(other), &b, error), 0);
	for (; capture_next(a, &p) == 1; n++) {
		assert_int_equal(capture_next(b, &q), 1);
		assert_int_equal(p.len, q.len);
		assert_memory_equal(p.data, q.data, p.len);
	}
	assert_int_equal(capture_next(b, &q), 0);
	capture_close(a);
	capture_close(b);
	return n;
}

static void a_mirror_gets_the_packets_of_its_class_as_they_are_let_go(void **state)
{
	struct mirror *mirrors[2];
	char error[CAPTURE_ERROR_BYTES];
	struct world w;

	(void)state;
	assert_int_equal(mirror_new(named("m0"), MIRROR_DROP, 2, &mirrors[0], error), 0);
	assert_int_equal(mirror_new(named("m1"), MIRROR_ACCEPT, 2, &mirrors[1], error), 0);
	start(&w, &(struct live_config){.core = 1, .cores = 0, .one_way = true, .mirrors = mirrors, .n_mirrors = 2});
	make_owner(&w);
	play(&w);
	struct dataplane_counts counts = live_counts(w.live, 0);
	for (int i = 0; i < 2; i++)
		mirror_drain(mirrors[i]);
	assert_int_equal(mirror_written(mirrors[0]), counts.drop);
	assert_int_equal(mirror_written(mirrors[1]), counts.accept);
	assert_int_equal(mirror_lost(mirrors[0]) + mirror_lost(mirrors[1]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(mirror_free(mirrors[i]), 0);
	stop(&w);
	assert_int_equal(assert_same_packets("m1", "out1"), counts.sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_streams_get_the_verdicts_of_one_instance_in_the_order_told),
		cmocka_unit_test(with_a_full_window_a_port_is_not_read_and_nothing_is_lost),
		cmocka_unit_test(no_more_packets_are_taken_than_asked_for),
		cmocka_unit_test(streams_end_when_their_process_is_known_dead),
		cmocka_unit_test(a_stream_without_room_waits_the_operator_is_told_and_a_retired_one_makes_room),
		cmocka_unit_test(verdicts_whose_places_do_not_fit_are_not_believed),
		cmocka_unit_test(more_queues_than_streams_are_refused),
		cmocka_unit_test(a_core_has_the_queues_whose_number_is_its_own_modulo_the_cores),
		cmocka_unit_test(a_mirror_gets_the_packets_of_its_class_as_they_are_let_go),
	};

	return cmocka_run_group_tests(tests, make_captures, remove_all);
}

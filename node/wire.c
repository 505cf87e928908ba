/* wire.c: see wire.h. Main thread: loads, opens, works as one of the cores. A control thread beside it sees to signals, mirrors, links,
 * counters and changes of the filter, so that no core ever waits for any of them. */
#include "node/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/eal_dpdk.h"
#include "node/mover.h"
#include "node/ports.h"
#include "node/wire_options.h"
#include "vm/file.h"
#include "vm/filter.h"

#define DEFAULT_CAPACITY      65536u
#define CERTIFICATE_MAX_BYTES (16u << 20)
#define TICK_NS               1000000
#define LINK_PERIOD_MS        200
#define SILENT_ROUNDS         1000 /* a core must have polled so often in vain to have heard silence */

struct wire {
	const struct wire_options *options;
	struct io *ports[2];
	struct loaded *code;
	struct loaded *code_before; /* not to be freed before dataplane_swapped() */
	struct mirror *mirrors[MIRROR_MAX];
	FILE *verdicts[DATAPLANE_MAX_INPUTS];
	struct dataplane *dataplane;
	struct mover *mover;
	uint32_t cores;
	uint32_t swaps;
	struct timespec started, ended;
	bool link_up[2];
	bool cores_returned;
	struct timespec last_packet;
	uint64_t last_moved;                    /* received and released */
	uint64_t rounds_then[LOADED_MAX_CORES]; /* in vain */
	uint64_t printed_s;                     /* since the start */
};

static volatile sig_atomic_t stop_asked, swap_asked, print_asked;

static void on_signal(int number)
{
	if (number == SIGHUP)
		swap_asked = 1;
	else if (number == SIGUSR1)
		print_asked = 1;
	else
		stop_asked = 1;
}

static int failed(const char *what, const char *where, const char *advice)
{
	fprintf(stderr, "vfm-node: %s, %s: %s\n", what, where, advice);
	return WIRE_UNUSABLE;
}

static double seconds_between(const struct timespec *from, const struct timespec *to)
{
	return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_nsec - from->tv_nsec) / 1e9;
}

/* ---- the filter ---- */

static int read_filter(const struct wire_options *o, struct program **program)
{
	struct diag_list *d = calloc(1, sizeof(*d));
	char *text = NULL;

	if (!d)
		return failed("out of memory", "the filter", "close other programs");
	*program = o->expression ? filter_expression(o->expression, 0, d) : filter_read(o->filter, 0, d, &text);
	diag_print(d, stderr);
	free(text);
	free(d);
	return *program ? WIRE_DONE : WIRE_UNUSABLE;
}

static int read_preload(const struct wire_options *o, const struct program *program, struct table_file *preload)
{
	struct diag_list *d;
	char *text = NULL;
	uint32_t n = 0;
	int rc;

	if (!o->preload)
		return WIRE_DONE;
	rc = file_read(o->preload, TABLE_FILE_MAX_BYTES, &text, &n);
	if (rc)
		return failed(rc == -EFBIG ? "larger than 1 GiB" : strerror(-rc), o->preload,
			      "give a file of lines `table key value`");
	d = calloc(1, sizeof(*d));
	rc = -ENOMEM;
	if (d) {
		diag_init(d, o->preload, text, n);
		rc = table_file_parse(preload, program, text, n, d);
		diag_print(d, stderr);
	}
	free(d);
	free(text);
	return rc == -ENOMEM ? failed("out of memory", o->preload, "preload fewer entries") : rc ? WIRE_UNUSABLE : WIRE_DONE;
}

static int read_certificate(const struct wire_options *o, struct cert **cert)
{
	char *text = NULL, why[256];
	uint32_t n = 0;
	int rc;

	*cert = NULL;
	if (!o->certificate)
		return WIRE_DONE;
	rc = file_read(o->certificate, CERTIFICATE_MAX_BYTES, &text, &n);
	if (rc)
		return failed(strerror(-rc), o->certificate, "give a certificate that vfm-analyze --certificate wrote");
	*cert = malloc(sizeof(**cert));
	snprintf(why, sizeof(why), "out of memory");
	rc = *cert ? cert_decode(text, n, *cert, why, sizeof(why)) : -ENOMEM;
	free(text);
	if (!rc)
		return WIRE_DONE;
	free(*cert);
	*cert = NULL;
	return failed(why, o->certificate, "give a certificate that vfm-analyze --certificate wrote");
}

static int say_not_loaded(const struct wire_options *o, int rc, const char *why)
{
	if (rc == -ENOTSUP)
		return failed("not built in", engine_kind_name(o->engine), "use --engine interp"), WIRE_USAGE;
	if (rc == -EPERM)
		return fprintf(stderr, "vfm-node: %s\n", why), WIRE_UNUSABLE;
	if (rc == -EINVAL && *why)
		return failed(why, o->certificate ? o->certificate : "the plan",
			      "make a certificate with vfm-analyze --certificate");
	return failed(strerror(-rc), "tables", "give a smaller --capacity");
}

/* Reads filter, certificate and preload as they are now. */
static int load(const struct wire_options *o, uint32_t cores, struct loaded **out)
{
	struct loaded_options options = {
		.shards = o->shards        ? o->shards
			  : o->certificate ? PLAN_DEFAULT_SHARDS
					   : 1,
		.cores = cores,
		.engine = o->engine,
		.insn_limit = o->insn_limit,
		.state = {.capacity = o->capacity, .default_capacity = DEFAULT_CAPACITY, .idle_s = o->idle_s},
	};
	struct table_file preload = {0};
	struct program *program = NULL;
	struct cert *cert = NULL;
	char why[512] = "";
	int status = read_filter(o, &program), rc;

	if (status == WIRE_DONE)
		status = read_preload(o, program, &preload);
	if (status == WIRE_DONE)
		status = read_certificate(o, &cert);
	if (status == WIRE_DONE) {
		options.state.preload_room = table_file_room(&preload);
		rc = loaded_new(program, cert, &options, &preload, out, why, sizeof(why));
		program = NULL; /* taken over */
		if (rc)
			status = say_not_loaded(o, rc, why);
	}
	program_free(program);
	free(cert);
	table_file_fini(&preload);
	return status;
}

/* A filter that cannot be used leaves the one that runs in place. */
static void swap(struct wire *w)
{
	struct loaded *next = NULL;
	bool keeps;

	if (w->code_before)
		return; /* asked again before the last change is through: swap_asked stays set */
	swap_asked = 0;
	if (load(w->options, w->cores, &next) != WIRE_DONE) {
		fprintf(stderr, "vfm-node: the filter that runs stays\n");
		return;
	}
	keeps = loaded_same_state(w->code, next);
	if (keeps)
		loaded_take_state(next, w->code);
	w->code_before = w->code;
	w->code = next;
	dataplane_swap(w->dataplane, next);
	w->swaps++;
	fprintf(stderr, "vfm-node: filter changed, its tables %s\n",
		keeps ? "kept" : "new: they are not those of the filter before");
}

/* ---- ports ---- */

static int open_ports(struct wire *w)
{
	const struct wire_options *o = w->options;
	struct ports_options options = {
		.names = {o->ports[0], o->ports[1]},
		.one_way = o->one_way,
		.queues = o->queues,
		.mbufs = o->mbufs,
		.cores = w->cores,
		.held_pkts = w->cores * DATAPLANE_WINDOW_PKTS,
	};
	char error[IO_ERROR_BYTES];

	if (!ports_open(&options, w->ports, error))
		return WIRE_DONE;
	fprintf(stderr, "vfm-node: %s\n", error);
	return WIRE_UNUSABLE;
}

static int open_verdicts(struct wire *w)
{
	uint32_t n = w->ports[0]->rx_queues + (w->options->one_way ? 0 : w->ports[1]->rx_queues);
	const char *name = w->options->verdicts;
	char numbered[4096];

	for (uint32_t i = 0; name && i < n; i++) {
		snprintf(numbered, sizeof(numbered), n == 1 ? "%s" : "%s.%u", name, i);
		w->verdicts[i] = fopen(numbered, "w");
		if (!w->verdicts[i])
			return failed(strerror(errno), numbered, "name a file that can be written");
	}
	return WIRE_DONE;
}

static int close_verdicts(struct wire *w)
{
	int status = WIRE_DONE;

	for (uint32_t i = 0; i < DATAPLANE_MAX_INPUTS; i++) {
		FILE *f = w->verdicts[i];
		int bad = f ? ferror(f) : 0;

		w->verdicts[i] = NULL;
		if (f && (fclose(f) || bad))
			status = failed("not all could be written", w->options->verdicts, "make room");
	}
	return status;
}

static int open_mirrors(struct wire *w)
{
	char error[CAPTURE_ERROR_BYTES];

	if (!mirrors_open(&w->options->mirrors, w->cores, w->mirrors, error))
		return WIRE_DONE;
	fprintf(stderr, "vfm-node: %s\n", error);
	return WIRE_UNUSABLE;
}

static int close_mirrors(struct wire *w)
{
	int status = WIRE_DONE;

	for (uint32_t i = 0; i < w->options->mirrors.n; i++) {
		if (mirror_free(w->mirrors[i]))
			status = failed("not all could be written", w->options->mirrors.files[i], "make room");
		w->mirrors[i] = NULL;
	}
	return status;
}

static int write_tables(struct wire *w)
{
	const char *name = w->options->table;
	struct table_file t = {0};
	FILE *out;
	int rc, bad;

	if (!name)
		return WIRE_DONE;
	out = fopen(name, "w");
	if (!out)
		return failed(strerror(errno), name, "name a file that can be written");
	rc = sharded_collect(&w->code->sharded, &t);
	if (!rc)
		rc = table_file_write(&t, out);
	table_file_fini(&t);
	bad = ferror(out);
	if (fclose(out) || bad || rc)
		return failed(rc == -ENOMEM ? "out of memory" : "not all could be written", name, "make room");
	return WIRE_DONE;
}

/* ---- the control thread ---- */

static struct wire_view view_of(const struct wire *w)
{
	struct timespec now = w->ended;

	if (!w->cores_returned)
		clock_gettime(CLOCK_MONOTONIC, &now);
	return (struct wire_view){
		.dataplane = w->dataplane,
		.ports = {w->ports[0], w->ports[1]},
		.cores = w->cores,
		.code = w->code,
		.mirrors = (const struct mirror *const *)w->mirrors,
		.n_mirrors = w->options->mirrors.n,
		.swaps = w->swaps,
		.moves = mover_moves(w->mover),
		.longest_move_ns = mover_longest_ns(w->mover),
		.seconds = seconds_between(&w->started, &now),
		.stopped = w->cores_returned,
	};
}

static void print_counters(struct wire *w, const struct timespec *now)
{
	uint64_t s = (uint64_t)seconds_between(&w->started, now);
	uint32_t every_s = w->options->every_s;
	struct wire_view view;

	if (!print_asked && (!every_s || s / every_s == w->printed_s / every_s))
		return;
	print_asked = 0;
	w->printed_s = s;
	view = view_of(w);
	wire_report_print(&view, stderr);
}

/* Has each core polled in vain since then? One that waits for a processor has seen no silence. */
static bool all_polled(struct wire *w)
{
	for (uint32_t i = 0; i < w->cores; i++)
		if (dataplane_core_counts(w->dataplane, i).empty_rounds - w->rounds_then[i] < SILENT_ROUNDS)
			return false;
	return true;
}

static void stop_when_idle(struct wire *w, const struct timespec *now)
{
	uint64_t received = dataplane_received(w->dataplane);
	uint64_t released = dataplane_counts(w->dataplane, 0).packets + dataplane_counts(w->dataplane, 1).packets;

	/* With packets on the way there may be no room to receive. */
	if (received + released != w->last_moved || received != released || !w->options->stop_after_ms) {
		w->last_moved = received + released;
		w->last_packet = *now;
		for (uint32_t i = 0; i < w->cores; i++)
			w->rounds_then[i] = dataplane_core_counts(w->dataplane, i).empty_rounds;
	} else if (seconds_between(&w->last_packet, now) * 1000 >= w->options->stop_after_ms && all_polled(w)) {
		dataplane_stop(w->dataplane);
	}
}

static void *control(void *arg)
{
	struct wire *w = arg;
	uint32_t ticks = 0;

	while (!__atomic_load_n(&w->cores_returned, __ATOMIC_ACQUIRE)) {
		struct timespec now;
		uint32_t copied = 0;

		clock_gettime(CLOCK_MONOTONIC, &now);
		if (stop_asked)
			dataplane_stop(w->dataplane);
		if (swap_asked)
			swap(w);
		if (w->code_before && dataplane_swapped(w->dataplane)) {
			loaded_free(w->code_before);
			w->code_before = NULL;
		}
		if (!w->code_before)
			mover_tick(w->mover, w->dataplane, w->code, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
		if (ticks++ % LINK_PERIOD_MS == 0)
			ports_watch(w->ports, w->link_up, stderr);
		stop_when_idle(w, &now);
		print_counters(w, &now);
		for (uint32_t i = 0; i < w->options->mirrors.n; i++)
			copied += mirror_drain(w->mirrors[i]);
		if (!copied)
			nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
	}
	return NULL;
}

static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
}

/* ---- a run ---- */

static void run_core(void *arg, uint32_t core)
{
	dataplane_run_core(arg, core);
}

static int run(struct wire *w)
{
	struct dataplane_config config = {
		.ports = {w->ports[0], w->ports[1]},
		.one_way = w->options->one_way,
		.cores = w->cores,
		.n_mirrors = w->options->mirrors.n,
	};
	pthread_t thread;

	memcpy(config.mirrors, w->mirrors, sizeof(config.mirrors));
	memcpy(config.verdicts, w->verdicts, sizeof(config.verdicts));
	w->dataplane = dataplane_new(&config, w->code);
	w->mover = mover_new(w->options->balance_ms);
	if (!w->dataplane || !w->mover)
		return failed("out of memory", "lanes between cores", "give DPDK more memory (-m MB) or fewer cores");
	clock_gettime(CLOCK_MONOTONIC, &w->started);
	w->last_packet = w->started;
	w->link_up[0] = w->link_up[1] = true; /* a link that is down is told at once */
	fprintf(stderr, "vfm-node: running, %s %s %s: %u cores, %u shards\n", w->ports[0]->name, w->options->one_way ? "->" : "<->",
		w->ports[1]->name, w->cores, w->code->sharded.n);
	eal_roam(true);
	if (pthread_create(&thread, NULL, control, w))
		return failed("no thread to be had", "control", "raise the limit of processes (ulimit -u)");
	eal_roam(false);
	eal_run(run_core, w->dataplane);
	clock_gettime(CLOCK_MONOTONIC, &w->ended);
	__atomic_store_n(&w->cores_returned, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	return WIRE_DONE;
}

/* The first status that is not WIRE_DONE. */
static int worse(int a, int b)
{
	return a == WIRE_DONE ? b : a;
}

static int report(struct wire *w)
{
	struct wire_view view = view_of(w);
	int rc = 0;

	if (w->options->json)
		rc = wire_report_json(&view, stdout);
	else
		wire_report_print(&view, stdout);
	if (fflush(stdout) || rc)
		return failed("not all could be written", "standard output", "make room");
	return WIRE_DONE;
}

static int finish(struct wire *w)
{
	int status = close_verdicts(w);

	for (uint32_t i = 0; i < w->options->mirrors.n; i++)
		mirror_drain(w->mirrors[i]);
	status = worse(status, report(w));
	status = worse(status, write_tables(w));
	return worse(status, close_mirrors(w));
}

static int load_first(struct wire *w)
{
	return load(w->options, w->cores, &w->code);
}

static int start_dpdk(struct wire *w)
{
	char error[EAL_ERROR_BYTES];

	if (eal_start("vfm-node", w->options->dpdk, error)) {
		fprintf(stderr, "vfm-node: %s\n", error);
		return WIRE_UNUSABLE;
	}
	w->cores = eal_cores();
	return WIRE_DONE;
}

static void release(struct wire *w)
{
	(void)close_verdicts(w);
	(void)close_mirrors(w);
	dataplane_free(w->dataplane);
	mover_free(w->mover);
	for (uint32_t i = 0; i < 2; i++)
		(void)io_close(w->ports[i]);
	loaded_free(w->code_before);
	loaded_free(w->code);
	eal_stop();
}

int wire_main(int argc, char **argv)
{
	static int (*const steps[])(struct wire *) = {start_dpdk, load_first, open_ports, open_verdicts, open_mirrors, run, finish};
	struct wire_options options;
	struct wire w = {.options = &options};
	int status = wire_options_read(argc, argv, &options);

	if (status >= 0)
		return status;
	catch_signals();
	status = WIRE_DONE;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == WIRE_DONE; i++)
		status = steps[i](&w);
	release(&w);
	return status;
}

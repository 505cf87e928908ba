/* vfm-test: a filter against captures (manual, "Command Line Tools"; docs/vfm-test.md). Exit status: 0 done, 1 the filter or an input
 * cannot be used, 2 the command line is wrong, 3 a capture is damaged (results cover what was read). */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "analysis/parts.h"
#include "node/ordered.h"
#include "node/report.h"
#include "vm/file.h"
#include "vm/filter.h"
#include "vm/table_file.h"
#include "vm/vfm.h"

enum { STATUS_DONE = 0, STATUS_UNUSABLE = 1, STATUS_USAGE = 2, STATUS_DAMAGED = 3 };

#define DEFAULT_CAPACITY      65536u
#define PROGRESS_PERIOD_NS    200000000
#define PROGRESS_LINE_BYTES   128
#define MAX_ORDERS            64
#define CERTIFICATE_MAX_BYTES (16u << 20)

struct options {
	const char *expression, *filter;
	char **captures;
	int n_captures;
	bool flat, json, stats, verbose;
	enum engine_kind engine;
	uint32_t capacity; /* 0: as declared */
	int64_t idle_s;    /* -1: as declared */
	uint32_t insn_limit;
	const char *preload, *verdicts, *table, *certificate;
	uint32_t shards;                /* 0: not given */
	const char *orders[MAX_ORDERS]; /* in the order of the captures */
	int n_orders;
};

static const char help[] =
	"usage: vfm-test [options] FILTER CAPTURE...\n"
	"       vfm-test [options] -e EXPR CAPTURE...\n"
	"\n"
	"Runs FILTER (bytecode, assembly or VFLisp) on every packet of the captures (pcap or pcapng, Ethernet), one after the\n"
	"other, and says what became of them. \"-\" is standard input. A value of 1 or more accepts a packet (2 or more: accept\n"
	"and log), 0 drops it, a run-time error drops it and is counted by name.\n"
	"\n"
	"  -e, --expression EXPR    the filter, as a VFLisp expression\n"
	"  -s, --stats              print statistics: verdicts, returned values, tables, speed\n"
	"  -v, --verbose            print a line for each packet: number, time, bytes present, verdict\n"
	"      --json               print one JSON object and nothing else\n"
	"      --verdicts FILE      write the verdict file: line n is what packet n got\n"
	"      --table FILE         write the tables at the end: `table key value`, sorted\n"
	"      --preload FILE       fill configuration tables first, from the same form\n"
	"      --flat               the naive machine: tables without capacity, nothing is ever evicted\n"
	"      --capacity N         entries of every table, declared or not (else as declared, undeclared 65536)\n"
	"      --idle S             idle time-out of every table in seconds of packet time, 0: none (else as declared)\n"
	"      --limit N            instructions a packet may take (10000)\n"
	"      --engine KIND        interp, jit or burst (interp)\n"
	"      --shards P           split the state over P shards, with\n"
	"      --certificate CERT   the proof that it may be split\n"
	"      --order FILE         once for each capture: run their packets in the order that a node on several ports judged "
	"them\n"
	"                           in (vfm-node --order)\n"
	"      --version            print the version\n"
	"  -h, --help               print this text\n"
	"\n"
	"Exit status: 0 done, 1 unusable filter or input, 2 wrong command line, 3 capture damaged (results as far as read).\n";

/* ---- command line ---- */

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "vfm-test: %s%s: see vfm-test --help\n", what, which);
	return STATUS_USAGE;
}

/* A whole decimal number from low to high. */
static bool take_count(const char *text, uint64_t low, uint64_t high, uint64_t *n)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*n = strtoull(text, &end, 10);
	return !errno && !*end && *n >= low && *n <= high;
}

enum long_only {
	OPT_JSON = 256,
	OPT_VERDICTS,
	OPT_TABLE,
	OPT_PRELOAD,
	OPT_FLAT,
	OPT_CAPACITY,
	OPT_IDLE,
	OPT_LIMIT,
	OPT_ENGINE,
	OPT_SHARDS,
	OPT_CERTIFICATE,
	OPT_ORDER,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"expression", required_argument, NULL, 'e'},
	{"stats", no_argument, NULL, 's'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, OPT_JSON},
	{"verdicts", required_argument, NULL, OPT_VERDICTS},
	{"table", required_argument, NULL, OPT_TABLE},
	{"preload", required_argument, NULL, OPT_PRELOAD},
	{"flat", no_argument, NULL, OPT_FLAT},
	{"capacity", required_argument, NULL, OPT_CAPACITY},
	{"idle", required_argument, NULL, OPT_IDLE},
	{"limit", required_argument, NULL, OPT_LIMIT},
	{"engine", required_argument, NULL, OPT_ENGINE},
	{"shards", required_argument, NULL, OPT_SHARDS},
	{"certificate", required_argument, NULL, OPT_CERTIFICATE},
	{"order", required_argument, NULL, OPT_ORDER},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

/* Options with a number or a name; -1 to go on, else the exit status. */
static int take_value(struct options *o, int option, const char *text)
{
	uint64_t n = 0;
	int kind;

	switch (option) {
	case OPT_CAPACITY:
		if (!take_count(text, 1, TABLE_MAX_CAPACITY, &n))
			return usage_error("--capacity takes a number from 1 to 268435456, not ", text);
		o->capacity = (uint32_t)n;
		return -1;
	case OPT_IDLE:
		if (!take_count(text, 0, UINT32_MAX, &n))
			return usage_error("--idle takes seconds from 0 to 4294967295, not ", text);
		o->idle_s = (int64_t)n;
		return -1;
	case OPT_LIMIT:
		if (!take_count(text, 1, UINT32_MAX, &n))
			return usage_error("--limit takes a number from 1 to 4294967295, not ", text);
		o->insn_limit = (uint32_t)n;
		return -1;
	case OPT_SHARDS:
		if (!take_count(text, 1, 65536, &n) || (n & (n - 1)))
			return usage_error("--shards takes a power of two up to 65536, not ", text);
		o->shards = (uint32_t)n;
		return -1;
	default: /* OPT_ENGINE */
		kind = engine_kind_of(text);
		if (kind < 0)
			return usage_error("--engine takes interp, jit or burst, not ", text);
		o->engine = (enum engine_kind)kind;
		return -1;
	}
}

/* One option; -1 to go on, else the exit status. */
static int take_option(struct options *o, int option, char **argv)
{
	switch (option) {
	case 'e':
		o->expression = optarg;
		return -1;
	case 's':
		o->stats = true;
		return -1;
	case 'v':
		o->verbose = true;
		return -1;
	case OPT_JSON:
		o->json = true;
		return -1;
	case OPT_VERDICTS:
		o->verdicts = optarg;
		return -1;
	case OPT_TABLE:
		o->table = optarg;
		return -1;
	case OPT_PRELOAD:
		o->preload = optarg;
		return -1;
	case OPT_FLAT:
		o->flat = true;
		return -1;
	case OPT_CERTIFICATE:
		o->certificate = optarg;
		return -1;
	case OPT_ORDER:
		if (o->n_orders == MAX_ORDERS)
			return usage_error("--order more than 64 times, from ", optarg);
		o->orders[o->n_orders++] = optarg;
		return -1;
	case OPT_VERSION:
		puts("vfm-test " VFM_VERSION);
		return STATUS_DONE;
	case 'h':
		fputs(help, stdout);
		return STATUS_DONE;
	case ':':
		return usage_error("no value for ", argv[optind - 1]);
	case '?':
		return usage_error("unknown or ambiguous option ", argv[optind - 1]);
	default:
		return take_value(o, option, optarg);
	}
}

static int count_standard_input(const struct options *o)
{
	int n = (o->filter && !strcmp(o->filter, "-")) + (o->preload && !strcmp(o->preload, "-"));

	for (int i = 0; i < o->n_captures; i++)
		n += !strcmp(o->captures[i], "-");
	return n;
}

static bool is_standard(const char *name)
{
	return name && !strcmp(name, "-");
}

/* What single options cannot see; -1 to go on, else the exit status. */
static int check_options(const struct options *o)
{
	if (!o->expression && !o->filter)
		return usage_error("no filter", "");
	if (!o->n_captures)
		return usage_error("no capture", "");
	if (o->json && (o->verbose || o->stats))
		return usage_error("--json with -s or -v, of which only one can have standard output", "");
	if (is_standard(o->verdicts) + is_standard(o->table) + o->json > 1)
		return usage_error("more than one of --json, --verdicts - and --table - for standard output", "");
	if (count_standard_input(o) > 1)
		return usage_error("more than one input from standard input", "");
	if (o->n_orders && o->n_orders != o->n_captures)
		return usage_error("--order once for each capture, or not at all", "");
	if (o->n_orders && o->flat)
		return usage_error("--flat with --order, but it is the order of each shard's own packets", "");
	if (o->flat && o->capacity)
		return usage_error("--flat with --capacity, but flat tables have none", "");
	if (o->shards > 1 && !o->certificate)
		return usage_error("--shards above 1 needs the proof that the program may be split: add --certificate", "");
	if (o->shards && o->flat)
		return usage_error("--flat with --shards, but the flat machine is not split", "");
	return -1;
}

static int read_options(int argc, char **argv, struct options *o)
{
	int status;

	*o = (struct options){.idle_s = -1, .insn_limit = VFM_DEFAULT_INSN_LIMIT};
	for (int c; (c = getopt_long(argc, argv, ":e:svh", long_options, NULL)) != -1;) {
		status = take_option(o, c, argv);
		if (status >= 0)
			return status;
	}
	if (!o->expression && optind < argc)
		o->filter = argv[optind++];
	o->captures = argv + optind;
	o->n_captures = argc - optind;
	return check_options(o);
}

/* ---- a run ---- */

struct run {
	const struct options *options;
	struct program *program;
	struct table_file preload;
	struct plan *plan;
	struct sharded sharded;
	struct engine *engine;
	struct replay *replay;
	struct capture **captures; /* options->n_captures, NULL where not yet open */
	int at;                    /* capture being read */
	FILE *verdicts;
	FILE *progress; /* NULL: none */
	struct timespec started, shown;
	struct report report;
};

static int64_t ns_between(const struct timespec *from, const struct timespec *to)
{
	return (to->tv_sec - from->tv_sec) * 1000000000 + to->tv_nsec - from->tv_nsec;
}

static int failed(const char *what, const char *where, const char *advice)
{
	fprintf(stderr, "vfm-test: %s, %s: %s\n", what, where, advice);
	return STATUS_UNUSABLE;
}

static int load_filter(struct run *run)
{
	const struct options *o = run->options;
	struct diag_list *d = calloc(1, sizeof(*d));
	char *text = NULL;

	if (!d)
		return failed("out of memory", "the filter", "close other programs");
	run->program = o->expression ? filter_expression(o->expression, 0, d) : filter_read(o->filter, 0, d, &text);
	diag_print(d, stderr);
	free(text);
	free(d);
	return run->program ? STATUS_DONE : STATUS_UNUSABLE;
}

static int load_preload(struct run *run)
{
	const char *name = run->options->preload;
	struct diag_list *d;
	char *text = NULL;
	uint32_t n = 0;
	int rc;

	if (!name)
		return STATUS_DONE;
	rc = file_read(name, TABLE_FILE_MAX_BYTES, &text, &n);
	if (rc)
		return failed(rc == -EFBIG ? "larger than 1 GiB" : strerror(-rc), name, "give a file of lines `table key value`");
	d = calloc(1, sizeof(*d));
	rc = -ENOMEM;
	if (d) {
		diag_init(d, name, text, n);
		rc = table_file_parse(&run->preload, run->program, text, n, d);
		diag_print(d, stderr);
	}
	free(d);
	free(text);
	return rc == -ENOMEM ? failed("out of memory", name, "preload fewer entries") : rc ? STATUS_UNUSABLE : STATUS_DONE;
}

static int load_certificate(struct run *run, struct cert *cert)
{
	const char *name = run->options->certificate;
	char *text = NULL, why[256];
	uint32_t n = 0;
	int rc = file_read(name, CERTIFICATE_MAX_BYTES, &text, &n);

	if (rc)
		return failed(strerror(-rc), name, "give a certificate that vfm-analyze --certificate wrote");
	rc = cert_decode(text, n, cert, why, sizeof(why));
	free(text);
	return rc ? failed(why, name, "give a certificate that vfm-analyze --certificate wrote") : STATUS_DONE;
}

static int make_plan(struct run *run)
{
	const struct options *o = run->options;
	struct cert *cert = o->certificate ? malloc(sizeof(*cert)) : NULL;
	int status = STATUS_DONE;
	char why[512];

	if (o->certificate && !cert)
		return failed("out of memory", o->certificate, "close other programs");
	if (cert)
		status = load_certificate(run, cert);
	why[0] = 0;
	if (status == STATUS_DONE && plan_new(run->program, cert, o->shards ? o->shards : 1, 0, &run->plan, why, sizeof(why)))
		status = failed(*why ? why : "out of memory", cert ? o->certificate : "the plan",
				"make a certificate with vfm-analyze --certificate");
	free(cert);
	if (status == STATUS_DONE && !o->flat &&
	    parts_check(run->plan, o->idle_s, o->insn_limit, &run->preload, why, sizeof(why))) {
		fprintf(stderr, "vfm-test: %s\n", why);
		status = STATUS_UNUSABLE;
	}
	return status;
}

static int make_machine(struct run *run)
{
	const struct options *o = run->options;
	struct program_state_options state = {
		.capacity = o->capacity,
		.default_capacity = DEFAULT_CAPACITY,
		.idle_s = o->idle_s,
		.preload_room = table_file_room(&run->preload),
		.flat = o->flat,
	};
	int rc = sharded_init(&run->sharded, run->plan, &state, &run->preload);

	if (rc)
		return failed(strerror(-rc), "tables", "give a smaller --capacity");
	rc = engine_new(run->program, o->engine, o->insn_limit, &run->engine);
	return rc ? failed("out of memory", "the engine", "close other programs") : STATUS_DONE;
}

/* All captures are opened before any packet runs, so that a wrong name is told at once and not after an hour. */
static int open_captures(struct run *run)
{
	const struct options *o = run->options;
	char error[CAPTURE_ERROR_BYTES];

	run->captures = calloc((size_t)o->n_captures, sizeof(*run->captures));
	if (!run->captures)
		return failed("out of memory", "captures", "close other programs");
	for (int i = 0; i < o->n_captures; i++) {
		if (capture_open(o->captures[i], &run->captures[i], error)) {
			fprintf(stderr, "vfm-test: %s\n", error);
			return STATUS_UNUSABLE;
		}
	}
	return STATUS_DONE;
}

static FILE *open_output(const char *name)
{
	return is_standard(name) ? stdout : fopen(name, "w");
}

/* Flushes or closes; 0 if all that was written is there. */
static int close_output(FILE *f)
{
	int bad = ferror(f);

	return (f == stdout ? fflush(f) : fclose(f)) || bad ? -EIO : 0;
}

static void show_progress(struct run *run)
{
	struct timespec now;
	double seconds, share;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (ns_between(&run->shown, &now) < PROGRESS_PERIOD_NS)
		return;
	run->shown = now;
	seconds = (double)ns_between(&run->started, &now) / 1e9;
	share = capture_progress(run->captures[run->at]);
	fprintf(run->progress, "\r%" PRIu64 " packets, %.2f million a second, capture %d of %d", run->report.tally.packets,
		(double)run->report.tally.packets / seconds / 1e6, run->at + 1, run->options->n_captures);
	if (share >= 0)
		fprintf(run->progress, ", %3.0f %% of it", 100 * share);
	fprintf(run->progress, "\033[K");
	fflush(run->progress);
}

static void print_packet(uint64_t number, const struct vfm_packet *p, const struct vfm_result *r)
{
	char text[VERDICT_TEXT_BYTES];
	const char *word = r->error ? "error" : r->value == 0 ? "drop" : r->value == 1 ? "accept" : "accept, log";

	verdict_text(r, text);
	printf("packet %" PRIu64 "  %" PRIu64 ".%06u s  %u bytes  %s  %s\n", number, p->time_us / 1000000,
	       (unsigned)(p->time_us % 1000000), p->len, text, word);
}

/* replay_burst_fn */
static int take_burst(void *arg, uint64_t first, const struct vfm_packet *packets, const struct vfm_result *results, uint32_t n)
{
	struct run *run = arg;

	for (uint32_t i = 0; i < n; i++) {
		tally_add(&run->report.tally, &results[i]);
		if (run->verdicts)
			verdict_write(run->verdicts, &results[i]);
		if (run->options->verbose)
			print_packet(first + i, &packets[i], &results[i]);
	}
	if (run->progress)
		show_progress(run);
	return run->verdicts && ferror(run->verdicts) ? -EIO : 0;
}

/* Runs every capture; STATUS_DAMAGED if one was, after going on with the others. */
static int run_captures(struct run *run)
{
	int status = STATUS_DONE;

	run->progress = isatty(STDERR_FILENO) && !run->options->verbose ? stderr : NULL;
	for (run->at = 0; run->at < run->options->n_captures; run->at++) {
		struct capture *c = run->captures[run->at];
		int rc = replay_capture(run->replay, c);

		if (rc && !*capture_error(c))
			break; /* the verdict file: close_output() tells */
		if (rc) {
			fprintf(stderr, "%svfm-test: %s\n", run->progress ? "\r\033[K" : "", capture_error(c));
			status = STATUS_DAMAGED;
		}
		run->report.time_back += capture_counters(c).time_back;
		run->report.cut += capture_counters(c).cut;
	}
	if (run->progress)
		fputs("\r\033[K", run->progress);
	return status;
}

/* The same in the order told. */
static int run_ordered(struct run *run)
{
	const struct options *o = run->options;
	uint32_t n = (uint32_t)o->n_captures, opened = 0;
	struct ordered_input *inputs = calloc(n, sizeof(*inputs));
	char why[ORDERED_WHY_BYTES];
	int status = inputs ? STATUS_DONE : failed("out of memory", "the order files", "close other programs");

	for (; opened < n && status == STATUS_DONE; opened++) {
		inputs[opened] = (struct ordered_input){run->captures[opened], fopen(o->orders[opened], "r"), o->orders[opened]};
		if (!inputs[opened].order)
			status = failed(strerror(errno), o->orders[opened], "give the order file that vfm-node wrote");
	}
	if (status == STATUS_DONE && ordered_run(run->engine, &run->sharded, inputs, n, take_burst, run, why)) {
		status = STATUS_UNUSABLE;
		if (*why) /* else the verdict file: close_output() tells */
			fprintf(stderr, "vfm-test: %s\n", why);
	}
	for (uint32_t i = 0; i < opened; i++)
		if (inputs[i].order)
			fclose(inputs[i].order);
	free(inputs);
	return status;
}

static int write_table(struct run *run)
{
	const char *name = run->options->table;
	struct table_file t = {0};
	FILE *out;
	int rc;

	if (!name)
		return STATUS_DONE;
	out = open_output(name);
	if (!out)
		return failed(strerror(errno), name, "name a file that can be written");
	rc = sharded_collect(&run->sharded, &t);
	if (!rc)
		rc = table_file_write(&t, out);
	table_file_fini(&t);
	if (close_output(out) || rc)
		return failed(rc == -ENOMEM ? "out of memory" : "not all could be written", name, "make room");
	return STATUS_DONE;
}

static int print_report(struct run *run)
{
	struct report *r = &run->report;

	for (uint32_t i = 0; i < run->sharded.n; i++)
		if (report_add_shard(r, run->program, run->sharded.shards[i]))
			return failed("out of memory", "tables", "close other programs");
	r->tiers = engine_tiers(run->engine);
	if (run->options->json)
		report_print_json(r, stdout);
	else if (run->options->stats)
		report_print_statistics(r, stdout);
	else
		report_print_summary(r, stdout);
	return fflush(stdout) ? failed("not all could be written", "standard output", "make room") : STATUS_DONE;
}

/* The first status that is not STATUS_DONE, but nothing outranks a failure. */
static int worse(int a, int b)
{
	return a == STATUS_DONE || (a == STATUS_DAMAGED && b != STATUS_DONE) ? b : a;
}

static int run_all(struct run *run)
{
	const char *verdicts = run->options->verdicts;
	struct timespec now;
	int status;

	run->replay = replay_new(run->engine, &run->sharded, take_burst, run);
	if (!run->replay)
		return failed("out of memory", "the replay", "close other programs");
	if (verdicts && !(run->verdicts = open_output(verdicts)))
		return failed(strerror(errno), verdicts, "name a file that can be written");
	clock_gettime(CLOCK_MONOTONIC, &run->started);
	run->shown = run->started;
	status = run->options->n_orders ? run_ordered(run) : run_captures(run);
	clock_gettime(CLOCK_MONOTONIC, &now);
	run->report.seconds = (double)ns_between(&run->started, &now) / 1e9;
	if (run->verdicts && close_output(run->verdicts))
		status = worse(status, failed("not all could be written", verdicts, "make room"));
	if (status == STATUS_UNUSABLE)
		return status;
	status = worse(status, write_table(run));
	return worse(status, print_report(run));
}

static void release(struct run *run)
{
	for (int i = 0; run->captures && i < run->options->n_captures; i++)
		capture_close(run->captures[i]);
	free(run->captures);
	replay_free(run->replay);
	engine_free(run->engine);
	sharded_fini(&run->sharded);
	plan_free(run->plan);
	table_file_fini(&run->preload);
	program_free(run->program);
}

int main(int argc, char **argv)
{
	static int (*const steps[])(struct run *) = {load_filter, load_preload, make_plan, make_machine, open_captures, run_all};
	struct options options;
	static struct run run;
	int status = read_options(argc, argv, &options);

	if (status >= 0)
		return status;
	run.options = &options;
	status = STATUS_DONE;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == STATUS_DONE; i++)
		status = steps[i](&run);
	release(&run);
	return status;
}

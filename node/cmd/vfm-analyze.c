/* vfm-analyze: what state a filter has, what it is keyed by, and whether and by what it may be split (docs/analysis.md). Exit status:
 * 0 stateless or partitionable (or the certificate is right), 10 conditional, 11 pinned, 1 the filter or an input cannot be used (or
 * the certificate is refused), 2 the command line is wrong. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/analyze.h"
#include "node/capture.h"
#include "vm/file.h"
#include "vm/filter.h"
#include "vm/vfm.h"

enum { STATUS_DONE = 0, STATUS_UNUSABLE = 1, STATUS_USAGE = 2, STATUS_CONDITIONAL = 10, STATUS_PINNED = 11 };

#define CERT_MAX_BYTES (16u << 20)

struct options {
	const char *expression, *filter, *check;
	const char *certificate, *steer, *guarded, *html, *dot, *capture;
	bool json, explain;
};

static const char help[] =
	"usage: vfm-analyze [options] FILTER\n"
	"       vfm-analyze [options] -e EXPR\n"
	"       vfm-analyze --check CERT FILTER\n"
	"\n"
	"Says what state FILTER (bytecode, assembly or VFLisp) has, what it is keyed by, what it decides, and whether it may be "
	"split\n"
	"over shards, with a proof where it may. \"-\" is standard input or output.\n"
	"\n"
	"  -e, --expression EXPR    the filter, as a VFLisp expression\n"
	"      --json               print one JSON object and nothing else\n"
	"      --html F             write the report as one self-contained page\n"
	"      --dot F              write the dependence graph for graphviz\n"
	"      --explain            say what to change where it cannot be split, or only under a condition\n"
	"      --certificate OUT    write the proof that it may be split\n"
	"      --steer OUT.bin      write the steering program: what it returns for a packet chooses the shard\n"
	"      --guarded OUT.bin    write the filter with the certificate's guard in front: packets that break it are dropped\n"
	"      --capture F          choose among several ways to split by this capture, and say what keeping a standby up to date\n"
	"                           would cost on it\n"
	"      --check CERT         only check the certificate against FILTER\n"
	"      --version            print the version\n"
	"  -h, --help               print this text\n"
	"\n"
	"Exit status: 0 stateless or partitionable (--check: right), 10 conditional, 11 pinned, 1 unusable filter or input "
	"(--check:\n"
	"refused), 2 wrong command line.\n";

/* ---- command line ---- */

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "vfm-analyze: %s%s: see vfm-analyze --help\n", what, which);
	return STATUS_USAGE;
}

enum long_only {
	OPT_JSON = 256,
	OPT_EXPLAIN,
	OPT_HTML,
	OPT_DOT,
	OPT_CAPTURE,
	OPT_CERTIFICATE,
	OPT_STEER,
	OPT_GUARDED,
	OPT_CHECK,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"expression", required_argument, NULL, 'e'},
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, OPT_JSON},
	{"explain", no_argument, NULL, OPT_EXPLAIN},
	{"capture", required_argument, NULL, OPT_CAPTURE},
	{"html", required_argument, NULL, OPT_HTML},
	{"dot", required_argument, NULL, OPT_DOT},
	{"certificate", required_argument, NULL, OPT_CERTIFICATE},
	{"steer", required_argument, NULL, OPT_STEER},
	{"guarded", required_argument, NULL, OPT_GUARDED},
	{"check", required_argument, NULL, OPT_CHECK},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

/* One option; -1 to go on, else the exit status. */
static int take_option(struct options *o, int option, char **argv)
{
	switch (option) {
	case 'e':
		o->expression = optarg;
		return -1;
	case OPT_JSON:
		o->json = true;
		return -1;
	case OPT_CAPTURE:
		o->capture = optarg;
		return -1;
	case OPT_HTML:
		o->html = optarg;
		return -1;
	case OPT_DOT:
		o->dot = optarg;
		return -1;
	case OPT_EXPLAIN:
		o->explain = true;
		return -1;
	case OPT_CERTIFICATE:
		o->certificate = optarg;
		return -1;
	case OPT_STEER:
		o->steer = optarg;
		return -1;
	case OPT_GUARDED:
		o->guarded = optarg;
		return -1;
	case OPT_CHECK:
		o->check = optarg;
		return -1;
	case OPT_VERSION:
		puts("vfm-analyze " VFM_VERSION);
		return STATUS_DONE;
	case 'h':
		fputs(help, stdout);
		return STATUS_DONE;
	case ':':
		return usage_error("no value for ", argv[optind - 1]);
	default:
		return usage_error("unknown or ambiguous option ", argv[optind - 1]);
	}
}

static bool is_standard(const char *name)
{
	return name && !strcmp(name, "-");
}

/* What single options cannot see; -1 to go on, else the exit status. */
static int check_options(const struct options *o, int more)
{
	if (!o->expression && !o->filter)
		return usage_error("no filter", "");
	if (more)
		return usage_error("more than one filter", "");
	if (o->check && (o->capture || o->html || o->dot || o->json || o->explain || o->certificate || o->steer || o->guarded))
		return usage_error("--check goes with a filter and nothing else", "");
	if (is_standard(o->check) + is_standard(o->filter) + is_standard(o->capture) > 1)
		return usage_error("more than one input from standard input", "");
	if (o->json + is_standard(o->certificate) + is_standard(o->steer) + is_standard(o->guarded) + is_standard(o->html) +
		    is_standard(o->dot) >
	    1)
		return usage_error("more than one output for standard output", "");
	return -1;
}

static int read_options(int argc, char **argv, struct options *o)
{
	int status;

	*o = (struct options){0};
	for (int c; (c = getopt_long(argc, argv, ":e:h", long_options, NULL)) != -1;) {
		status = take_option(o, c, argv);
		if (status >= 0)
			return status;
	}
	if (!o->expression && optind < argc)
		o->filter = argv[optind++];
	return check_options(o, argc - optind);
}

/* ---- a run ---- */

static int failed(const char *what, const char *where, const char *advice)
{
	fprintf(stderr, "vfm-analyze: %s, %s: %s\n", what, where, advice);
	return STATUS_UNUSABLE;
}

static struct program *load_filter(const struct options *o)
{
	struct diag_list *d = calloc(1, sizeof(*d));
	struct program *p;
	char *text = NULL;

	if (!d) {
		failed("out of memory", "the filter", "close other programs");
		return NULL;
	}
	p = o->expression ? filter_expression(o->expression, 0, d) : filter_read(o->filter, 0, d, &text);
	diag_print(d, stderr);
	free(text);
	free(d);
	return p;
}

static int check_certificate(const char *name, const struct program *p)
{
	struct cert *c = calloc(1, sizeof(*c));
	char *text = NULL, why[256] = "";
	uint32_t n = 0;
	int rc = file_read(name, CERT_MAX_BYTES, &text, &n);

	if (rc) {
		free(c);
		return failed(rc == -EFBIG ? "larger than 16 MiB" : strerror(-rc), name,
			      "give a file that vfm-analyze --certificate wrote");
	}
	rc = c ? cert_decode(text, n, c, why, sizeof(why)) : -ENOMEM;
	if (!rc)
		rc = cert_check(c, p, why, sizeof(why));
	free(text);
	free(c);
	if (rc == -ENOMEM)
		return failed("out of memory", name, "close other programs");
	if (rc) {
		fprintf(stderr, "vfm-analyze: the certificate is refused, %s: %s\n", name, why);
		return STATUS_UNUSABLE;
	}
	printf("the certificate is right: every access to an owned object goes where the steering program sends the packet\n");
	return STATUS_DONE;
}

static int write_bytes(const char *name, const void *bytes, uint32_t n)
{
	int rc = file_write(name, bytes, n);

	return rc ? failed(strerror(-rc), name, "name a file that can be written") : STATUS_DONE;
}

static int write_certificate(const char *name, const struct cert *c)
{
	char *text = cert_encode(c);
	char *line = text ? realloc(text, strlen(text) + 2) : NULL;
	int status;

	if (!line) {
		free(text);
		return failed("out of memory", name, "close other programs");
	}
	strcat(line, "\n");
	status = write_bytes(name, line, (uint32_t)strlen(line));
	free(line);
	return status;
}

static int write_guarded(const char *name, const struct program *p, const struct cert *c)
{
	uint8_t *code = NULL;
	uint32_t len = 0;
	int rc = guard_program(p, c, &code, &len);
	int status;

	if (rc)
		return failed(rc == -EFBIG ? "the guard does not fit into 64 KiB with the filter" : "out of memory", name,
			      "shorten the filter");
	status = write_bytes(name, code, len);
	free(code);
	return status;
}

/* What only exists where a split was proved. */
static int write_outputs(const struct options *o, const struct analysis *a)
{
	const struct cert *c = a->split.cert;
	int status = STATUS_DONE;

	if (!c && (o->certificate || o->steer || o->guarded)) {
		fprintf(stderr, "vfm-analyze: nothing written, %s: the filter is pinned (%s); see --explain\n",
			o->certificate ? o->certificate
			: o->steer     ? o->steer
				       : o->guarded,
			a->split.reason);
		return STATUS_DONE;
	}
	if (o->certificate)
		status = write_certificate(o->certificate, c);
	if (o->steer && status == STATUS_DONE)
		status = write_bytes(o->steer, c->steer, c->steer_bytes);
	if (o->guarded && status == STATUS_DONE)
		status = write_guarded(o->guarded, a->program, c);
	return status;
}

/* Opens, lets write, closes. dot: the graph, else the page. */
static int write_report(const struct options *o, const char *name, bool dot, const struct analysis *a)
{
	FILE *out = is_standard(name) ? stdout : fopen(name, "w");
	bool bad;

	if (!out)
		return failed(strerror(errno), name, "name a file that can be written");
	if (dot)
		report_dot(a, out);
	else
		report_html(a, o->filter ? o->filter : o->expression, out);
	bad = fflush(out) || ferror(out);
	if (out != stdout)
		bad = fclose(out) || bad;
	return bad ? failed("not all could be written", name, "make room") : STATUS_DONE;
}

static int print_report(const struct options *o, const struct analysis *a)
{
	int status = o->html ? write_report(o, o->html, false, a) : STATUS_DONE;

	if (o->dot && status == STATUS_DONE)
		status = write_report(o, o->dot, true, a);
	if (status != STATUS_DONE || is_standard(o->certificate) || is_standard(o->steer) || is_standard(o->guarded) ||
	    is_standard(o->html) || is_standard(o->dot))
		return status;
	if (o->json)
		report_json(a, stdout);
	else
		report_text(a, stdout);
	if (o->explain && !o->json)
		report_explain(a, stdout);
	return fflush(stdout) || ferror(stdout) ? failed("not all could be written", "standard output", "make room") : STATUS_DONE;
}

static int verdict_status(const struct analysis *a)
{
	switch (a->split.verdict) {
	case SPLIT_CONDITIONAL:
		return STATUS_CONDITIONAL;
	case SPLIT_PINNED:
		return STATUS_PINNED;
	default:
		return STATUS_DONE;
	}
}

/* Packets that the guard refuses change nothing and are left out. */
static int run_capture(struct transfer *t, struct balance *b, const struct cert *cert, struct capture *c)
{
	struct vfm_packet packet;
	int rc, err = 0;

	while (!err && (rc = capture_next(c, &packet)) > 0) {
		if (cert && !cert_guard_holds(cert, packet.data, packet.len))
			continue;
		transfer_packet(t, &packet);
		if (b)
			err = balance_packet(b, &packet);
	}
	if (err)
		return failed("out of memory", "the capture", "give a shorter one");
	if (rc)
		fprintf(stderr, "vfm-analyze: %s\n", capture_error(c));
	return rc ? STATUS_UNUSABLE : STATUS_DONE;
}

/* The standby's cost, and which of several ways to split is taken. */
static int measure_capture(const char *name, struct analysis *a)
{
	char error[CAPTURE_ERROR_BYTES];
	struct balance *b = NULL;
	struct capture *c = NULL;
	struct transfer *t;
	int status = STATUS_DONE;

	if (capture_open(name, &c, error)) {
		fprintf(stderr, "vfm-analyze: %s\n", error);
		return STATUS_UNUSABLE;
	}
	t = transfer_new(a->ir, &a->objects, &a->stages);
	if (!t || split_alternatives(a->ir, &a->objects, &a->split) || (a->split.n_others && !(b = analysis_weigh(a))))
		status = failed("out of memory", name, "close other programs");
	if (status == STATUS_DONE)
		status = run_capture(t, b, a->split.cert, c);
	if (status == STATUS_DONE)
		a->transfer = transfer_sums(t);
	if (status == STATUS_DONE && b && analysis_choose(a, b))
		status = failed("out of memory", name, "close other programs");
	balance_free(b);
	transfer_free(t);
	capture_close(c);
	return status;
}

static int analyze(const struct options *o, const struct program *p)
{
	static struct analysis a;
	int status;

	if (analysis_run(p, &a) || change_find(&a, &a.changes)) {
		analysis_fini(&a);
		return failed("out of memory", "the analysis", "close other programs");
	}
	status = o->capture ? measure_capture(o->capture, &a) : STATUS_DONE;
	if (status == STATUS_DONE)
		status = write_outputs(o, &a);
	if (status == STATUS_DONE)
		status = print_report(o, &a);
	if (status == STATUS_DONE)
		status = verdict_status(&a);
	analysis_fini(&a);
	return status;
}

int main(int argc, char **argv)
{
	struct options options;
	struct program *p;
	int status = read_options(argc, argv, &options);

	if (status >= 0)
		return status;
	p = load_filter(&options);
	if (!p)
		return STATUS_UNUSABLE;
	status = options.check ? check_certificate(options.check, p) : analyze(&options, p);
	program_free(p);
	return status;
}

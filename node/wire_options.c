/* wire_options.c: see wire_options.h. */
#include "node/wire_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/io_dpdk.h"
#include "node/wire.h"
#include "vm/isa.h"
#include "vm/vfm.h"

static const char help[] =
	"usage: vfm-node --dpdk \"EAL ARGUMENTS\" --in PORT --out PORT [options] FILTER\n"
	"       vfm-node --dpdk \"EAL ARGUMENTS\" --in PORT --out PORT [options] -e EXPR\n"
	"\n"
	"A bump in the wire: packets that come by one port and that FILTER accepts leave by the other, both ways. PORT is a DPDK\n"
	"port's name or number. Every core of the EAL arguments (-l) works; shards are spread over them.\n"
	"\n"
	"  -e, --expression EXPR    the filter, as a VFLisp expression\n"
	"      --one-way            only from --in to --out\n"
	"      --queues N           receive queues of each port (one per core if the port spreads flows itself, else 1)\n"
	"      --mbufs N            packet buffers of each port (as many as its queues and the cores can hold)\n"
	"      --shards P           split the state over P shards (1024 with a certificate), with\n"
	"      --certificate CERT   the proof that it may be split (vfm-analyze --certificate)\n"
	"      --balance MS         look every MS milliseconds whether shards should move to other cores, 0: never (1000)\n"
	"      --engine KIND        interp, jit or burst (burst)\n"
	"      --capacity N         entries of every table, declared or not (else as declared, undeclared 65536)\n"
	"      --idle S             idle time-out of every table in seconds, 0: none (else as declared)\n"
	"      --limit N            instructions a packet may take (10000)\n"
	"      --preload FILE       fill tables first: lines `table key value`\n"
	"      --mirror CLASS:FILE  copy packets to a capture: log, accept, drop or error; up to 4 times\n"
	"      --verdicts FILE      write a verdict file; with several queues, or both ways, FILE.0, FILE.1, ...\n"
	"      --table FILE         write the tables at the end\n"
	"      --stop-after MS      stop after so many milliseconds without a packet (rehearsals)\n"
	"      --every S            print counters on standard error every S seconds\n"
	"      --json               print one JSON object at the end and nothing else\n"
	"      --version            print the version\n"
	"  -h, --help               print this text\n"
	"\n"
	"Signals: INT and TERM finish what is on the way and stop; HUP reads FILTER again and changes over between two bursts; "
	"USR1\n"
	"prints the counters.\n"
	"Exit status: 0 done, 1 unusable filter, port or file, 2 wrong command line.\n";

enum long_only {
	OPT_DPDK = 256,
	OPT_IN,
	OPT_OUT,
	OPT_ONE_WAY,
	OPT_QUEUES,
	OPT_MBUFS,
	OPT_SHARDS,
	OPT_CERTIFICATE,
	OPT_BALANCE,
	OPT_ENGINE,
	OPT_CAPACITY,
	OPT_IDLE,
	OPT_LIMIT,
	OPT_PRELOAD,
	OPT_MIRROR,
	OPT_VERDICTS,
	OPT_TABLE,
	OPT_STOP_AFTER,
	OPT_EVERY,
	OPT_JSON,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"dpdk", required_argument, NULL, OPT_DPDK},
	{"in", required_argument, NULL, OPT_IN},
	{"out", required_argument, NULL, OPT_OUT},
	{"expression", required_argument, NULL, 'e'},
	{"one-way", no_argument, NULL, OPT_ONE_WAY},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"mbufs", required_argument, NULL, OPT_MBUFS},
	{"shards", required_argument, NULL, OPT_SHARDS},
	{"certificate", required_argument, NULL, OPT_CERTIFICATE},
	{"balance", required_argument, NULL, OPT_BALANCE},
	{"engine", required_argument, NULL, OPT_ENGINE},
	{"capacity", required_argument, NULL, OPT_CAPACITY},
	{"idle", required_argument, NULL, OPT_IDLE},
	{"limit", required_argument, NULL, OPT_LIMIT},
	{"preload", required_argument, NULL, OPT_PRELOAD},
	{"mirror", required_argument, NULL, OPT_MIRROR},
	{"verdicts", required_argument, NULL, OPT_VERDICTS},
	{"table", required_argument, NULL, OPT_TABLE},
	{"stop-after", required_argument, NULL, OPT_STOP_AFTER},
	{"every", required_argument, NULL, OPT_EVERY},
	{"json", no_argument, NULL, OPT_JSON},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "vfm-node: %s%s: see vfm-node --help\n", what, which);
	return WIRE_USAGE;
}

/* Where the number of an option goes, and its bounds. */
struct number_option {
	int option;
	uint64_t low, high;
	const char *complaint;
};

static const struct number_option number_options[] = {
	{OPT_QUEUES, 1, IO_MAX_QUEUES, "--queues takes a number from 1 to 16, not "},
	{OPT_MBUFS, 64, IO_DPDK_MAX_MBUFS, "--mbufs takes a number from 64 to 1048576, not "},
	{OPT_SHARDS, 1, PLAN_MAX_SHARDS, "--shards takes a power of two up to 65536, not "},
	{OPT_BALANCE, 0, 3600000, "--balance takes milliseconds from 0 to 3600000, not "},
	{OPT_CAPACITY, 1, TABLE_MAX_CAPACITY, "--capacity takes a number from 1 to 268435456, not "},
	{OPT_IDLE, 0, UINT32_MAX, "--idle takes seconds from 0 to 4294967295, not "},
	{OPT_LIMIT, 1, UINT32_MAX, "--limit takes a number from 1 to 4294967295, not "},
	{OPT_STOP_AFTER, 1, 86400000, "--stop-after takes milliseconds from 1 to 86400000, not "},
	{OPT_EVERY, 1, 86400, "--every takes seconds from 1 to 86400, not "},
};

static void set_number(struct wire_options *o, int option, uint64_t n)
{
	switch (option) {
	case OPT_IDLE:
		o->idle_s = (int64_t)n;
		return;
#define SET(opt, field) \
	case opt: \
		o->field = (uint32_t)n; \
		return
		SET(OPT_QUEUES, queues);
		SET(OPT_MBUFS, mbufs);
		SET(OPT_SHARDS, shards);
		SET(OPT_BALANCE, balance_ms);
		SET(OPT_CAPACITY, capacity);
		SET(OPT_LIMIT, insn_limit);
		SET(OPT_STOP_AFTER, stop_after_ms);
		SET(OPT_EVERY, every_s);
#undef SET
	}
}

/* An option with a number; -1 to go on, else the exit status. */
static int take_number(struct wire_options *o, int option, const char *text)
{
	for (size_t i = 0; i < sizeof(number_options) / sizeof(number_options[0]); i++) {
		const struct number_option *n = &number_options[i];
		char *end;
		uint64_t value;

		if (n->option != option)
			continue;
		errno = 0;
		value = strtoull(text, &end, 10);
		if (text[0] < '0' || text[0] > '9' || errno || *end || value < n->low || value > n->high ||
		    (option == OPT_SHARDS && (value & (value - 1))))
			return usage_error(n->complaint, text);
		set_number(o, option, value);
	}
	return -1;
}

static int take_engine(struct wire_options *o, const char *text)
{
	int kind = engine_kind_of(text);

	if (kind < 0)
		return usage_error("--engine takes interp, jit or burst, not ", text);
	o->engine = (enum engine_kind)kind;
	return -1;
}

/* Options with a text; false: none of them. */
static bool take_text(struct wire_options *o, int option)
{
	const char **where = option == OPT_DPDK          ? &o->dpdk
			     : option == OPT_IN          ? &o->ports[0]
			     : option == OPT_OUT         ? &o->ports[1]
			     : option == 'e'             ? &o->expression
			     : option == OPT_CERTIFICATE ? &o->certificate
			     : option == OPT_PRELOAD     ? &o->preload
			     : option == OPT_VERDICTS    ? &o->verdicts
			     : option == OPT_TABLE       ? &o->table
							 : NULL;

	if (where)
		*where = optarg;
	return where != NULL;
}

/* One option; -1 to go on, else the exit status. */
static int take_option(struct wire_options *o, int option, char **argv)
{
	const char *why;

	if (take_text(o, option))
		return -1;
	switch (option) {
	case OPT_ONE_WAY:
		o->one_way = true;
		return -1;
	case OPT_JSON:
		o->json = true;
		return -1;
	case OPT_MIRROR:
		why = mirror_list_add(&o->mirrors, optarg);
		return why ? usage_error(why, optarg) : -1;
	case OPT_ENGINE:
		return take_engine(o, optarg);
	case OPT_VERSION:
		puts("vfm-node " VFM_VERSION);
		return WIRE_DONE;
	case 'h':
		fputs(help, stdout);
		return WIRE_DONE;
	case ':':
		return usage_error("no value for ", argv[optind - 1]);
	case '?':
		return usage_error("unknown or ambiguous option ", argv[optind - 1]);
	default:
		return take_number(o, option, optarg);
	}
}

/* What single options cannot see; -1 to go on, else the exit status. */
static int check_options(const struct wire_options *o)
{
	if (!o->ports[0] || !o->ports[1])
		return usage_error("no port: give --in PORT and --out PORT", "");
	if (!strcmp(o->ports[0], o->ports[1]))
		return usage_error("--in and --out are the same port ", o->ports[0]);
	if (!o->expression && !o->filter)
		return usage_error("no filter", "");
	if (o->shards > 1 && !o->certificate)
		return usage_error("--shards above 1 needs the proof that the program may be split: add --certificate", "");
	return -1;
}

int wire_options_read(int argc, char **argv, struct wire_options *o)
{
	*o = (struct wire_options){.idle_s = -1, .engine = ENGINE_BURST, .balance_ms = 1000, .insn_limit = VFM_DEFAULT_INSN_LIMIT};
	for (int c; (c = getopt_long(argc, argv, ":e:h", long_options, NULL)) != -1;) {
		int status = take_option(o, c, argv);

		if (status >= 0)
			return status;
	}
	if (!o->expression && optind < argc)
		o->filter = argv[optind++];
	if (optind < argc)
		return usage_error("more than one filter: ", argv[optind]);
	return check_options(o);
}

/* member_options.c: see member_options.h. */
#include "node/member_options.h"

#include "vm/vfm.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: vfm-node [options] [FILTER]\n"
	"       vfm-node [options] -e EXPR\n"
	"       vfm-node --dpdk \"EAL ARGUMENTS\" --in PORT --out PORT ... (live ports, alone; vfm-node --dpdk x --help)\n"
	"\n"
	"Runs FILTER on its part of a cluster's packets. With --controller it joins a cluster; without, it is alone and needs "
	"--capture.\n"
	"Without FILTER it takes what the controller has (vfmctl load), and whatever is loaded in its place.\n"
	"\n"
	"  -e, --expression EXPR  the filter, as a VFLisp expression\n"
	"      --name NAME        the node's name (node)\n"
	"      --controller EP    the controller's endpoint, ipc://PATH or tcp://HOST:PORT; of several: EP,EP\n"
	"      --bind EP          where other nodes reach this one (needed with --controller)\n"
	"      --key FILE         this process's secret key (vfmctl keygen): needed where an endpoint is not on this machine\n"
	"      --peers DIR        the public keys of all who may take part; the controller's is called controller, or: EP@NAME\n"
	"      --capture FILE     read packets from a capture and steer them\n"
	"      --stream N         number of that input stream (1)\n"
	"      --steer-only       own no shards\n"
	"      --verdicts FILE    write the verdict file: line n is what packet n got\n"
	"      --out FILE         write the accepted packets to a capture\n"
	"      --journal FILE     what is settled is kept: a restarted node goes on where it was\n"
	"      --dpdk \"EAL ARGS\"  steer live ports instead: what comes by one and is accepted leaves by the other, both ways; "
	"each\n"
	"                         lcore is a node, NAME.0, NAME.1, ..., which listens at EP.0, ... (ipc) or from the port on "
	"(tcp)\n"
	"      --in PORT, --out PORT  the ports\n"
	"      --one-way          only from --in to --out\n"
	"      --queues N         receive queues of each port, each a stream (one for each core where the port spreads flows, else "
	"1)\n"
	"      --mbufs N          packet buffers of each port (as many as are needed)\n"
	"      --order FILE       write where each packet stands in its shard's history: lines `shard index` (vfm-test --order)\n"
	"      --mirror CLASS:FILE  copy packets of a class (log, accept, drop, error) to a capture; up to 4 times\n"
	"      --stop-after MS    end when no packet has come for so long\n"
	"      --json             live ports: the counters at the end as one JSON object\n"
	"      --stop-at N        read N packets and wait for the operator's word (vfmctl rehearse)\n"
	"      --stay             do not end with the capture\n"
	"      --certificate CERT the proof that the program may be split\n"
	"      --shards P         into so many shards, a power of two (1024 with a certificate, else 1)\n"
	"      --preload FILE     fill tables first: lines `table key value`\n"
	"      --capacity N       entries of every table (else as declared, undeclared 65536)\n"
	"      --limit N          instructions a packet may take (10000)\n"
	"      --engine KIND      interp, jit or burst (burst)\n"
	"      --release MODE     commit, early or none (commit)\n"
	"      --version          print the version\n"
	"  -h, --help             print this text\n";

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "vfm-node: %s%s: see vfm-node --help\n", what, which);
	return 2;
}

enum long_only {
	OPT_NAME = 256,
	OPT_CONTROLLER,
	OPT_BIND,
	OPT_KEY,
	OPT_PEERS,
	OPT_CAPTURE,
	OPT_STREAM,
	OPT_STEER_ONLY,
	OPT_VERDICTS,
	OPT_OUT,
	OPT_JOURNAL,
	OPT_STOP_AT,
	OPT_STAY,
	OPT_CERTIFICATE,
	OPT_PRELOAD,
	OPT_SHARDS,
	OPT_CAPACITY,
	OPT_LIMIT,
	OPT_ENGINE,
	OPT_RELEASE,
	OPT_DPDK,
	OPT_IN,
	OPT_ONE_WAY,
	OPT_QUEUES,
	OPT_MBUFS,
	OPT_STOP_AFTER,
	OPT_ORDER,
	OPT_JSON,
	OPT_MIRROR,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"expression", required_argument, NULL, 'e'},
	{"name", required_argument, NULL, OPT_NAME},
	{"controller", required_argument, NULL, OPT_CONTROLLER},
	{"bind", required_argument, NULL, OPT_BIND},
	{"key", required_argument, NULL, OPT_KEY},
	{"peers", required_argument, NULL, OPT_PEERS},
	{"capture", required_argument, NULL, OPT_CAPTURE},
	{"stream", required_argument, NULL, OPT_STREAM},
	{"steer-only", no_argument, NULL, OPT_STEER_ONLY},
	{"verdicts", required_argument, NULL, OPT_VERDICTS},
	{"out", required_argument, NULL, OPT_OUT},
	{"journal", required_argument, NULL, OPT_JOURNAL},
	{"stop-at", required_argument, NULL, OPT_STOP_AT},
	{"stay", no_argument, NULL, OPT_STAY},
	{"certificate", required_argument, NULL, OPT_CERTIFICATE},
	{"preload", required_argument, NULL, OPT_PRELOAD},
	{"shards", required_argument, NULL, OPT_SHARDS},
	{"capacity", required_argument, NULL, OPT_CAPACITY},
	{"limit", required_argument, NULL, OPT_LIMIT},
	{"engine", required_argument, NULL, OPT_ENGINE},
	{"release", required_argument, NULL, OPT_RELEASE},
	{"dpdk", required_argument, NULL, OPT_DPDK},
	{"in", required_argument, NULL, OPT_IN},
	{"one-way", no_argument, NULL, OPT_ONE_WAY},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"mbufs", required_argument, NULL, OPT_MBUFS},
	{"stop-after", required_argument, NULL, OPT_STOP_AFTER},
	{"order", required_argument, NULL, OPT_ORDER},
	{"json", no_argument, NULL, OPT_JSON},
	{"mirror", required_argument, NULL, OPT_MIRROR},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static bool take_number(const char *text, uint64_t most, uint64_t *n)
{
	char *end;
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*n = strtoull(text, &end, 10);
	return !errno && !*end && *n <= most;
}

static int take_release(struct member_options *o, const char *text)
{
	static const char *const names[] = {"commit", "early", "none"};
	for (int i = 0; i < 3; i++)
		if (strcmp(text, names[i]) == 0) {
			o->node.release = (enum release_mode)i;
			return -1;
		}
	return usage_error("--release takes commit, early or none, not ", text);
}

static int take_engine(struct member_options *o, const char *text)
{
	int kind = engine_kind_of(text);
	if (kind < 0)
		return usage_error("--engine takes interp, jit or burst, not ", text);
	o->node.engine = (enum engine_kind)kind;
	return -1;
}

static int take_counted(struct member_options *o, int option, const char *text)
{
	uint64_t n;
	if (!take_number(text, option == OPT_STREAM || option == OPT_STOP_AT ? UINT64_MAX - 1 : UINT32_MAX, &n))
		return usage_error("a number is needed, not ", text);
	if (option == OPT_STREAM)
		o->node.stream = n;
	else if (option == OPT_STOP_AT)
		o->node.stop_at = n;
	else if (option == OPT_SHARDS)
		o->plan.shards = (uint32_t)n;
	else if (option == OPT_CAPACITY)
		o->plan.capacity = (uint32_t)n;
	else if (option == OPT_STOP_AFTER)
		o->live.stop_after_ms = (uint32_t)n;
	else if (option == OPT_MBUFS)
		o->live.ports.mbufs = (uint32_t)n;
	else if (option == OPT_QUEUES && (!n || n > IO_MAX_QUEUES))
		return usage_error("--queues takes a number from 1 to 16, not ", text);
	else if (option == OPT_QUEUES)
		o->live.ports.queues = (uint32_t)n;
	else
		o->plan.insn_limit = (uint32_t)n;
	return -1;
}

/* -1 to go on, else the exit status. */
static int take(struct member_options *o, int option, char **argv)
{
	struct daemon_options *n = &o->node;
	struct cores_options *l = &o->live;
	const char **texts[] = {[OPT_NAME - 256] = &n->name,         [OPT_CONTROLLER - 256] = &n->controller,
				[OPT_BIND - 256] = &n->endpoint,     [OPT_CAPTURE - 256] = &n->capture,
				[OPT_VERDICTS - 256] = &n->verdicts, [OPT_OUT - 256] = &n->accepted,
				[OPT_JOURNAL - 256] = &n->journal,   [OPT_CERTIFICATE - 256] = &o->plan.certificate,
				[OPT_DPDK - 256] = &l->dpdk,         [OPT_IN - 256] = &l->ports.names[0],
				[OPT_KEY - 256] = &o->key,           [OPT_PEERS - 256] = &o->peers,
				[OPT_ORDER - 256] = &l->order,       [OPT_PRELOAD - 256] = &o->plan.preload,
				[OPT_VERSION - 256] = NULL};
	const char *why;
	if (option >= 256 && texts[option - 256]) {
		*texts[option - 256] = optarg;
		return -1;
	}
	switch (option) {
	case 'e':
		o->plan.expression = optarg;
		return -1;
	case OPT_STEER_ONLY:
		n->owns = false;
		return -1;
	case OPT_ONE_WAY:
		l->ports.one_way = true;
		return -1;
	case OPT_JSON:
		l->json = true;
		return -1;
	case OPT_STAY:
		n->leave = false;
		return -1;
	case OPT_MIRROR:
		why = mirror_list_add(&l->mirrors, optarg);
		return why ? usage_error(why, optarg) : -1;
	case OPT_ENGINE:
		return take_engine(o, optarg);
	case OPT_RELEASE:
		return take_release(o, optarg);
	case OPT_VERSION:
		puts("vfm-node " VFM_VERSION);
		return 0;
	case 'h':
		fputs(help, stdout);
		return 0;
	case '?':
		return usage_error("unknown or ambiguous option, or one without its value: ", argv[optind - 1]);
	default:
		return take_counted(o, option, optarg);
	}
}

/* What live ports cannot do, and what they need. */
static int check_ports(struct member_options *o)
{
	const char **ports = o->live.ports.names;
	ports[1] = o->node.accepted; /* --out names a port here */
	o->live.verdicts = o->node.verdicts;
	o->node.accepted = o->node.verdicts = NULL;
	if (!ports[0] || !ports[1])
		return usage_error("no port: give --in PORT and --out PORT", "");
	if (!strcmp(ports[0], ports[1]))
		return usage_error("--in and --out are the same port ", ports[0]);
	if (o->node.capture || o->node.journal)
		return usage_error("--dpdk with --capture or --journal: live ports are not a file that can be taken up again", "");
	return -1;
}

/* What goes with what. */
static int check(struct member_options *o)
{
	const struct daemon_options *n = &o->node;
	const struct deploy_options *p = &o->plan;
	if (!p->expression && !p->filter && !n->controller)
		return usage_error("no filter", "");
	if (!p->expression && !p->filter && (p->certificate || p->shards || p->capacity || p->preload))
		return usage_error("no filter, but options of one: the controller's plan has its own", "");
	if (!o->key != !o->peers)
		return usage_error("--key and --peers go together", "");
	if (!n->controller != !n->endpoint)
		return usage_error("--controller and --bind go together", "");
	if (!n->controller && !n->capture)
		return usage_error("alone and without --capture there is nothing to do", "");
	if (o->live.dpdk)
		return check_ports(o);
	if (o->live.order)
		return usage_error("--order without --dpdk: a capture is one stream, which has an order of its own", "");
	if (o->live.mirrors.n)
		return usage_error("--mirror without --dpdk: --out writes what a capture's packets become", "");
	if (n->journal && n->accepted && strcmp(n->accepted, "-") == 0)
		return usage_error("--journal with --out -: standard output cannot be taken up again, only a file", "");
	return -1;
}

int member_options_read(int argc, char **argv, struct member_options *o)
{
	int option, status = -1;
	*o = (struct member_options){.node = {.name = "node",
					      .owns = true,
					      .stream = 1,
					      .stop_at = UINT64_MAX,
					      .leave = true,
					      .window = 16384,
					      .engine = ENGINE_BURST},
				     .plan = {.insn_limit = 10000}};
	opterr = 0;
	while (status < 0 && (option = getopt_long(argc, argv, "e:h", long_options, NULL)) != -1)
		status = take(o, option, argv);
	if (status >= 0)
		return status;
	if (!o->plan.expression)
		o->plan.filter = optind < argc ? argv[optind++] : NULL;
	if (optind < argc)
		return usage_error("too many arguments, from ", argv[optind]);
	return check(o);
}

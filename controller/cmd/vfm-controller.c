/* vfm-controller: keeps every shard of a cluster owned, in sync and where it should be. Exit status: 0 done, 1 it cannot run, 2 the
 * command line is wrong. */
#include "analysis/deploy.h"
#include "controller/server.h"
#include "vm/vfm.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "usage: vfm-controller [options] --bind EP [FILTER]\n"
			   "\n"
			   "Without FILTER it has the plan that is in its store, or waits for vfmctl load.\n"
			   "\n"
			   "  -e, --expression EXPR  the filter, as a VFLisp expression\n"
			   "      --bind EP          where nodes and vfmctl reach it, ipc://PATH or tcp://HOST:PORT\n"
			   "      --key FILE         its secret key (vfmctl keygen): needed where EP is not on this machine\n"
			   "      --peers DIR        the public keys of all who may take part\n"
			   "      --store FILE       keep the shards' configurations in a SQLite file (else in memory)\n"
			   "      --nodes N          place nothing before N nodes have reported (1)\n"
			   "      --no-standby       one copy of each shard\n"
			   "      --lease MS         a node that is silent this long is suspected (400)\n"
			   "      --loss MS          owner gone and nobody in sync this long: declare the loss, 0: never (2000)\n"
			   "      --certificate CERT, --shards P, --capacity N, --limit N, --preload FILE   as given to the nodes\n"
			   "      --version          print the version\n"
			   "  -h, --help             print this text\n";

static volatile int stop;

static void on_signal(int number)
{
	stop = number;
}

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "vfm-controller: %s%s: see vfm-controller --help\n", what, which);
	return 2;
}

enum long_only {
	OPT_BIND = 256,
	OPT_KEY,
	OPT_PEERS,
	OPT_STORE,
	OPT_NODES,
	OPT_NO_STANDBY,
	OPT_LEASE,
	OPT_LOSS,
	OPT_CERTIFICATE,
	OPT_PRELOAD,
	OPT_SHARDS,
	OPT_CAPACITY,
	OPT_LIMIT,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"expression", required_argument, NULL, 'e'},
	{"bind", required_argument, NULL, OPT_BIND},
	{"key", required_argument, NULL, OPT_KEY},
	{"peers", required_argument, NULL, OPT_PEERS},
	{"store", required_argument, NULL, OPT_STORE},
	{"nodes", required_argument, NULL, OPT_NODES},
	{"no-standby", no_argument, NULL, OPT_NO_STANDBY},
	{"lease", required_argument, NULL, OPT_LEASE},
	{"loss", required_argument, NULL, OPT_LOSS},
	{"certificate", required_argument, NULL, OPT_CERTIFICATE},
	{"preload", required_argument, NULL, OPT_PRELOAD},
	{"shards", required_argument, NULL, OPT_SHARDS},
	{"capacity", required_argument, NULL, OPT_CAPACITY},
	{"limit", required_argument, NULL, OPT_LIMIT},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int take_number(struct server_options *o, struct deploy_options *p, int option, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || n > UINT32_MAX)
		return usage_error("a number is needed, not ", text);
	if (option == OPT_NODES)
		o->min_nodes = (uint32_t)n;
	else if (option == OPT_LEASE)
		o->lease_us = n * 1000;
	else if (option == OPT_LOSS)
		o->loss_us = n * 1000;
	else if (option == OPT_SHARDS)
		p->shards = (uint32_t)n;
	else if (option == OPT_CAPACITY)
		p->capacity = (uint32_t)n;
	else
		p->insn_limit = (uint32_t)n;
	return -1;
}

static int take(struct server_options *o, struct deploy_options *p, int option, char **argv)
{
	switch (option) {
	case 'e':
		p->expression = optarg;
		return -1;
	case OPT_BIND:
		o->endpoint = optarg;
		return -1;
	case OPT_KEY:
		o->key = optarg;
		return -1;
	case OPT_PEERS:
		o->peers = optarg;
		return -1;
	case OPT_STORE:
		o->store = optarg;
		return -1;
	case OPT_NO_STANDBY:
		o->standbys = false;
		return -1;
	case OPT_CERTIFICATE:
		p->certificate = optarg;
		return -1;
	case OPT_PRELOAD:
		p->preload = optarg;
		return -1;
	case OPT_VERSION:
		puts("vfm-controller " VFM_VERSION);
		return 0;
	case 'h':
		fputs(help, stdout);
		return 0;
	case '?':
		return usage_error("unknown or ambiguous option, or one without its value: ", argv[optind - 1]);
	default:
		return take_number(o, p, option, optarg);
	}
}

static int read_options(int argc, char **argv, struct server_options *o, struct deploy_options *p)
{
	int option, status = -1;
	*o = (struct server_options){.standbys = true, .min_nodes = 1, .lease_us = 400000, .loss_us = 2000000};
	*p = (struct deploy_options){.insn_limit = 10000};
	opterr = 0;
	while (status < 0 && (option = getopt_long(argc, argv, "e:h", long_options, NULL)) != -1)
		status = take(o, p, option, argv);
	if (status >= 0)
		return status;
	if (!p->expression)
		p->filter = optind < argc ? argv[optind++] : NULL;
	bool filter = p->expression || p->filter;
	if (!filter && (p->certificate || p->shards || p->capacity || p->preload))
		return usage_error("no filter, but options of one", "");
	if (!o->endpoint)
		return usage_error("no --bind", "");
	if (!o->key != !o->peers)
		return usage_error("--key and --peers go together", "");
	return optind < argc ? usage_error("too many arguments, from ", argv[optind]) : -1;
}

static int open_plan(struct deploy *deploy, const struct deploy_options *p, char why[DEPLOY_WHY_BYTES])
{
	struct diag_list *d = calloc(1, sizeof *d);
	char *text;
	if (!d)
		return -ENOMEM;
	int err = deploy_open(deploy, p, d, &text, why);
	diag_print(d, stderr);
	free(text);
	free(d);
	return err;
}

int main(int argc, char **argv)
{
	struct server_options o;
	struct deploy_options p;
	struct deploy deploy = {.program = NULL};
	char why[DEPLOY_WHY_BYTES] = "";
	struct sigaction action = {.sa_handler = on_signal};
	int status = read_options(argc, argv, &o, &p);
	if (status >= 0)
		return status;
	static struct keys keys;
	o.keys = o.key ? &keys : NULL;
	if (o.key && keys_load(&keys, o.key, o.peers, why)) {
		fprintf(stderr, "vfm-controller: %s\n", why);
		return 1;
	}
	int err = p.expression || p.filter ? open_plan(&deploy, &p, why) : 0;
	if (!err) {
		sigaction(SIGTERM, &action, NULL);
		sigaction(SIGINT, &action, NULL);
		signal(SIGXFSZ, SIG_IGN); /* a limit on the store's size is an error of the store, and not the end */
		o.deploy = p.expression || p.filter ? &deploy : NULL;
		err = server_run(&o, &stop, why);
		deploy_close(&deploy);
	}
	if (err && why[0])
		fprintf(stderr, "vfm-controller: %s\n", why);
	return err ? 1 : 0;
}

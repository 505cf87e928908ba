/* vfmctl: the operator's command: what a cluster is doing, what it should do, and a rehearsal of it all. Exit status: 0 done (rehearse:
 * and passed), 1 not done, 2 the command line is wrong. */
#include "controller/ctl.h"
#include "controller/fleet.h"
#include "controller/input.h"
#include "controller/rehearse.h"
#include "state/keys.h"
#include "vm/vfm.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: vfmctl [--json] --controller EP status|nodes|shards|events\n"
	"       vfmctl [--json] --controller EP scale N          use the first N nodes by name (-1: all)\n"
	"       vfmctl [--json] --controller EP move SHARD NODE  move a shard's owner\n"
	"       vfmctl [--json] --controller EP drain NODE | undrain NODE\n"
	"       vfmctl [--json] --controller EP fence INCARNATION  that process is dead: say so only if you know\n"
	"       vfmctl keygen NAME                               a pair of keys: NAME for all, NAME_secret for one process\n"
	"       vfmctl [--json] [-v] [--table FILE] [--object N] --controller EP state   the merged table, by object\n"
	"       vfmctl [--json] --controller EP report           the filter's analysis, and how the cluster stands with it\n"
	"       vfmctl [options] --controller EP load FILTER     the cluster's filter (or load -e EXPR); --replace: another one\n"
	"       vfmctl rehearse [options] FILTER CAPTURE...      (or -e EXPR CAPTURE...)\n"
	"\n"
	"      --controller EP    its endpoint; over a network EP@NAME if its public file in --peers is not called controller\n"
	"      --key FILE, --peers DIR   keys, needed over a network: as given to the nodes\n"
	"\n"
	"rehearse starts a real cluster on this machine, plays the captures through it while shards are moved and nodes are "
	"killed, added\n"
	"and taken away, and compares every verdict and the final state with a single instance.\n"
	"\n"
	"      --nodes N          nodes (3)\n"
	"      --moves M          moves (20)\n"
	"      --kills K          nodes killed with -9 and started again (3)\n"
	"      --seed S           what is done when (1)\n"
	"      --release MODE     commit, early or none (commit)\n"
	"      --engine KIND      the nodes' engine: interp, jit or burst (burst); the single instance interprets\n"
	"      --capacity N       entries of every table\n"
	"      --shards P         shards, 1 or a power of two (64 where the program may be split)\n"
	"      --certificate CERT the proof that it may be (else the analyzer is asked)\n"
	"      --accept-guard     a conditional split is accepted: packets that break the guard are dropped and counted\n"
	"      --io pcap|dpdk     how packets come in: straight from the capture, or by DPDK ports that play it (pcap)\n"
	"      --together         with --io dpdk: play all captures at once, each by a receive queue of its own\n"
	"      --verdicts FILE    keep the verdict file\n"
	"      --table FILE       keep (state: write) the merged state, `table key value`, sorted\n"
	"      --svg FILE         draw throughput and latency over time, with what was done marked\n"
	"      --keep             keep the directory with all files and logs\n"
	"      --replace          load: in place of the filter that is loaded; every table begins empty\n"
	"      --preload FILE     fill tables first, from lines `table key value`\n"
	"      --limit N          load: instructions a packet may take (10000)\n"
	"      --object N         state: only the table of this object\n"
	"      --wait SECONDS     state: for shards that have no owner at the moment (10)\n"
	"  -v, --verbose          say what is done (state: every shard's positions)\n"
	"      --json             one JSON object and nothing else\n"
	"      --version          print the version\n"
	"  -h, --help             print this text\n";

struct options {
	struct rehearse_options rehearse;
	struct ctl_options ctl;
	const char *key, *peers;
	bool together;
};

enum long_only {
	OPT_NODES = 256,
	OPT_MOVES,
	OPT_KILLS,
	OPT_SEED,
	OPT_CAPACITY,
	OPT_SHARDS,
	OPT_RELEASE,
	OPT_ENGINE,
	OPT_CERTIFICATE,
	OPT_ACCEPT_GUARD,
	OPT_IO,
	OPT_TOGETHER,
	OPT_VERDICTS,
	OPT_TABLE,
	OPT_SVG,
	OPT_KEEP,
	OPT_OBJECT,
	OPT_REPLACE,
	OPT_PRELOAD,
	OPT_LIMIT,
	OPT_WAIT,
	OPT_JSON,
	OPT_CONTROLLER,
	OPT_KEY,
	OPT_PEERS,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"expression", required_argument, NULL, 'e'},
	{"nodes", required_argument, NULL, OPT_NODES},
	{"moves", required_argument, NULL, OPT_MOVES},
	{"kills", required_argument, NULL, OPT_KILLS},
	{"seed", required_argument, NULL, OPT_SEED},
	{"capacity", required_argument, NULL, OPT_CAPACITY},
	{"shards", required_argument, NULL, OPT_SHARDS},
	{"release", required_argument, NULL, OPT_RELEASE},
	{"engine", required_argument, NULL, OPT_ENGINE},
	{"certificate", required_argument, NULL, OPT_CERTIFICATE},
	{"accept-guard", no_argument, NULL, OPT_ACCEPT_GUARD},
	{"io", required_argument, NULL, OPT_IO},
	{"together", no_argument, NULL, OPT_TOGETHER},
	{"verdicts", required_argument, NULL, OPT_VERDICTS},
	{"table", required_argument, NULL, OPT_TABLE},
	{"svg", required_argument, NULL, OPT_SVG},
	{"keep", no_argument, NULL, OPT_KEEP},
	{"object", required_argument, NULL, OPT_OBJECT},
	{"replace", no_argument, NULL, OPT_REPLACE},
	{"preload", required_argument, NULL, OPT_PRELOAD},
	{"limit", required_argument, NULL, OPT_LIMIT},
	{"wait", required_argument, NULL, OPT_WAIT},
	{"verbose", no_argument, NULL, 'v'},
	{"json", no_argument, NULL, OPT_JSON},
	{"controller", required_argument, NULL, OPT_CONTROLLER},
	{"key", required_argument, NULL, OPT_KEY},
	{"peers", required_argument, NULL, OPT_PEERS},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "vfmctl: %s%s: see vfmctl --help\n", what, which);
	return 2;
}

static int take_number(struct options *all, int option, const char *text)
{
	struct rehearse_options *o = &all->rehearse;
	char *end;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || (option != OPT_SEED && n > UINT32_MAX))
		return usage_error("a number is needed, not ", text);
	if (option == OPT_NODES && (n < 2 || n > FLEET_MAX_NODES - 1))
		return usage_error("--nodes takes 2 to 31, not ", text);
	if ((option == OPT_MOVES || option == OPT_KILLS) && n > (option == OPT_KILLS ? 200 : 100000))
		return usage_error("too many: ", text);
	if (option == OPT_SHARDS && (!n || (n & (n - 1)) || n > 65536))
		return usage_error("--shards takes a power of two up to 65536, not ", text);
	switch (option) {
	case OPT_NODES:
		o->nodes = (uint32_t)n;
		break;
	case OPT_MOVES:
		o->moves = (uint32_t)n;
		break;
	case OPT_KILLS:
		o->kills = (uint32_t)n;
		break;
	case OPT_OBJECT:
		all->ctl.object = (int64_t)n;
		break;
	case OPT_LIMIT:
		o->plan.insn_limit = (uint32_t)n;
		break;
	case OPT_WAIT:
		all->ctl.wait_s = n < 86400 ? (int)n : 86400;
		break;
	case OPT_SEED:
		o->seed = n;
		break;
	case OPT_SHARDS:
		o->shards = (uint32_t)n;
		break;
	default:
		o->plan.capacity = (uint32_t)n;
	}
	return -1;
}

static int take(struct options *o, int option, char **argv)
{
	struct rehearse_options *r = &o->rehearse;
	switch (option) {
	case 'e':
		r->plan.expression = optarg;
		return -1;
	case 'v':
		r->verbose = o->ctl.verbose = true;
		return -1;
	case OPT_RELEASE:
		r->release = optarg;
		if (strcmp(optarg, "commit") && strcmp(optarg, "early") && strcmp(optarg, "none"))
			return usage_error("--release takes commit, early or none, not ", optarg);
		return -1;
	case OPT_ENGINE:
		r->engine = optarg;
		if (strcmp(optarg, "interp") && strcmp(optarg, "jit") && strcmp(optarg, "burst"))
			return usage_error("--engine takes interp, jit or burst, not ", optarg);
		return -1;
	case OPT_CERTIFICATE:
		r->plan.certificate = optarg;
		return -1;
	case OPT_ACCEPT_GUARD:
		r->accept_guard = o->ctl.accept_guard = true;
		return -1;
	case OPT_IO:
		r->dpdk = strcmp(optarg, "dpdk") == 0;
		return !r->dpdk && strcmp(optarg, "pcap") ? usage_error("--io takes pcap or dpdk, not ", optarg) : -1;
	case OPT_TOGETHER:
		o->together = true;
		return -1;
	case OPT_VERDICTS:
		r->verdicts = optarg;
		return -1;
	case OPT_TABLE:
		r->table = o->ctl.table = optarg;
		return -1;
	case OPT_SVG:
		r->svg = optarg;
		return -1;
	case OPT_REPLACE:
		o->ctl.replace = true;
		return -1;
	case OPT_PRELOAD:
		r->plan.preload = optarg;
		return -1;
	case OPT_KEEP:
		r->keep = true;
		return -1;
	case OPT_JSON:
		o->ctl.json = true;
		return -1;
	case OPT_CONTROLLER:
		o->ctl.controller = optarg;
		return -1;
	case OPT_KEY:
		o->key = optarg;
		return -1;
	case OPT_PEERS:
		o->peers = optarg;
		return -1;
	case OPT_VERSION:
		puts("vfmctl " VFM_VERSION);
		return 0;
	case 'h':
		fputs(help, stdout);
		return 0;
	case '?':
		return usage_error("unknown or ambiguous option, or one without its value: ", argv[optind - 1]);
	default:
		return take_number(o, option, optarg);
	}
}

/* ---- rehearse ---- */

static void print_json(const struct rehearse_result *r)
{
	json_t *e2 = r->e2_known ? json_integer((json_int_t)r->differences_e2) : json_null();
	json_t *o = json_pack(
		"{s:I,s:I,s:o,s:I,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:{s:I,s:I,s:I},s:{s:I,s:I},s:I,s:f,s:i,s:f}",
		"packets", (json_int_t)r->packets, "differences_e1", (json_int_t)r->differences_e1, "differences_e2", e2,
		"first_difference", (json_int_t)r->first_difference, "state_equal", (int)r->state_equal, "lost",
		(json_int_t)r->lost, "losses", (json_int_t)r->losses, "released_twice", (json_int_t)r->released_twice, "evictions",
		(json_int_t)r->evictions, "moves", (json_int_t)r->moves, "promotions", (json_int_t)r->promotions, "kills",
		(json_int_t)r->kills, "scale_outs", (json_int_t)r->scale_outs, "scale_ins", (json_int_t)r->scale_ins,
		"entries_moved", (json_int_t)r->entries_moved, "bytes_moved", (json_int_t)r->bytes_moved, "freeze_us", "p50",
		(json_int_t)r->freeze_p50_us, "p99", (json_int_t)r->freeze_p99_us, "max", (json_int_t)r->freeze_max_us,
		"promote_ms", "p50", (json_int_t)r->promote_p50_ms, "max", (json_int_t)r->promote_max_ms, "retransmitted",
		(json_int_t)r->retransmitted, "replicated_bytes_per_packet", r->replicated_bytes_per_packet, "shards",
		(int)r->shards, "seconds", r->seconds);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	puts(text ? text : "{}");
	free(text);
	json_decref(o);
}

static void print_text(const struct rehearse_result *r, const char *capture)
{
	printf("%s: %" PRIu64 " packets, %u shards, %.1f s\n", capture, r->packets, r->shards, r->seconds);
	printf("  moves %" PRIu64 ", promotions %" PRIu64 ", kills %" PRIu64 ", scale-outs %" PRIu64 ", scale-ins %" PRIu64 "\n",
	       r->moves, r->promotions, r->kills, r->scale_outs, r->scale_ins);
	printf("  entries moved %" PRIu64 " (%" PRIu64 " bytes), retransmitted %" PRIu64 ", replicated %.1f bytes a packet\n",
	       r->entries_moved, r->bytes_moved, r->retransmitted, r->replicated_bytes_per_packet);
	printf("  freeze p50 %" PRIu64 " us, p99 %" PRIu64 " us, max %" PRIu64 " us; promotion p50 %" PRIu64 " ms, max %" PRIu64
	       " ms\n",
	       r->freeze_p50_us, r->freeze_p99_us, r->freeze_max_us, r->promote_p50_ms, r->promote_max_ms);
	if (r->e2_known)
		printf("  against the flat machine: %" PRIu64 " differing verdicts\n", r->differences_e2);
	else
		printf("  against the flat machine: not comparable, %" PRIu64 " entries were evicted%s\n", r->evictions,
		       r->evictions ? "" : ", but several streams have no order that it could follow");
	printf("  state %s, lost %" PRIu64 ", released twice %" PRIu64 "\n", r->state_equal ? "equal" : "DIFFERS", r->lost,
	       r->released_twice);
	if (r->losses)
		printf("  the histories of %" PRIu64 " shards were DECLARED LOST: owner and standby did not answer in time\n",
		       r->losses);
	if (r->differences_e1)
		printf("  first difference: packet %" PRIu64 "\n", r->first_difference);
	printf("%" PRIu64 " differing verdicts of %" PRIu64 " packets\n", r->differences_e1, r->packets);
}

static int run_rehearsals(struct options *o, char **captures, int n)
{
	struct rehearse_result r;
	char why[REHEARSE_WHY_BYTES];
	bool passed = true;
	int each = o->together ? n : 1;
	if (o->together && (!o->rehearse.dpdk || n > INPUT_MAX_CAPTURES))
		return usage_error("--together needs --io dpdk, and at most 16 captures", "");
	if (o->ctl.json && n != each)
		return usage_error("--json takes one capture at a time, not more, from ", captures[1]);
	for (int i = 0; i < n; i += each) {
		o->rehearse.captures = (const char *const *)captures + i;
		o->rehearse.n_captures = (uint32_t)each;
		if (rehearse(&o->rehearse, &r, why)) {
			if (why[0])
				fprintf(stderr, "vfmctl: %s\n", why);
			return 1;
		}
		if (o->ctl.json)
			print_json(&r);
		else
			print_text(&r, captures[i]);
		passed = passed && rehearse_passed(&o->rehearse, &r);
	}
	if (!passed)
		fprintf(stderr, "vfmctl: the rehearsal did not pass: see above\n");
	return passed ? 0 : 1;
}

/* ---- a running cluster ---- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static json_int_t number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* Whether another node that lives is a core of the same process. */
static bool is_core(const json_t *status, const json_t *node)
{
	size_t i;
	json_t *n;
	json_array_foreach(json_object_get(status, "nodes"), i, n)
	{
		if (n != node && !json_is_true(json_object_get(n, "dead")) &&
		    strcmp(text_of(n, "process"), text_of(node, "process")) == 0)
			return true;
	}
	return false;
}

static void print_nodes(const json_t *status)
{
	size_t i;
	json_t *n;
	printf("%-16s %-16s %8s %12s  %s\n", "node", "incarnation", "shards", "packets", "state");
	json_array_foreach(json_object_get(status, "nodes"), i, n)
	{
		printf("%-16s %-16s %8lld %12lld  %s%s%s%s%s\n", text_of(n, "name"), text_of(n, "incarnation"),
		       (long long)number_of(n, "shards"), (long long)number_of(n, "packets"),
		       json_is_true(json_object_get(n, "dead"))          ? "dead"
		       : json_is_true(json_object_get(n, "quarantined")) ? "quarantined"
		       : json_is_true(json_object_get(n, "suspected"))   ? "suspected"
									 : "alive",
		       json_is_true(json_object_get(n, "owns")) ? ", owns" : "",
		       json_is_true(json_object_get(n, "steers")) ? ", steers" : "",
		       is_core(status, n) ? ", a core of process " : "", is_core(status, n) ? text_of(n, "process") : "");
	}
}

/* What a kill -9 of one process would cost. */
static void print_degraded(const json_t *status)
{
	size_t i, n = 0;
	json_t *s, *shards = json_object_get(status, "shards");
	json_array_foreach(shards, i, s)
	{
		n += json_is_true(json_object_get(s, "same_process"));
	}
	if (n)
		printf("DEGRADED: %zu of %zu shards have their standby in their owner's own process: start a node in another one\n",
		       n, json_array_size(shards));
}

static void print_shards(const json_t *status)
{
	size_t i, k;
	json_t *s, *member;
	printf("%6s %8s %8s %-16s %s\n", "shard", "epoch", "history", "owner", "in sync");
	json_array_foreach(json_object_get(status, "shards"), i, s)
	{
		printf("%6lld %8lld %8lld %-16s", (long long)number_of(s, "shard"), (long long)number_of(s, "epoch"),
		       (long long)number_of(s, "history"), text_of(s, "owner"));
		json_array_foreach(json_object_get(s, "in_sync"), k, member)
		{
			printf(" %s", json_string_value(member));
		}
		printf("%s%s\n", json_is_true(json_object_get(s, "same_process")) ? " (same process)" : "",
		       json_is_true(json_object_get(s, "sealed")) ? " (sealed)" : "");
	}
}

static void print_events(const json_t *answer)
{
	size_t i;
	json_t *e;
	json_array_foreach(json_object_get(answer, "events"), i, e)
	{
		printf("%12.6f shard %lld epoch %lld %s %s%s", (double)number_of(e, "at_us") / 1e6,
		       (long long)number_of(e, "shard"), (long long)number_of(e, "epoch"), text_of(e, "what"), text_of(e, "node"),
		       json_is_true(json_object_get(e, "planned")) ? "" : " (not planned)");
		if (text_of(e, "why")[0])
			printf(": %s (%lld)", text_of(e, "why"), (long long)number_of(e, "detail"));
		printf("\n");
	}
}

static json_t *question(const char *verb, char **args, int n)
{
	if ((strcmp(verb, "status") == 0 || strcmp(verb, "nodes") == 0 || strcmp(verb, "shards") == 0) && n == 0)
		return json_pack("{s:s}", "command", "status");
	if (strcmp(verb, "events") == 0 && n == 0)
		return json_pack("{s:s}", "command", "events");
	if (strcmp(verb, "move") == 0 && n == 2)
		return json_pack("{s:s,s:I,s:s}", "command", "move", "shard", (json_int_t)strtoll(args[0], NULL, 10), "node",
				 args[1]);
	if ((strcmp(verb, "drain") == 0 || strcmp(verb, "undrain") == 0) && n == 1)
		return json_pack("{s:s,s:s,s:b}", "command", "drain", "node", args[0], "on", verb[0] == 'd');
	if (strcmp(verb, "fence") == 0 && n == 1)
		return json_pack("{s:s,s:s}", "command", "fence", "node", args[0]);
	return NULL;
}

static void print_answer(const char *verb, const json_t *answer, bool json)
{
	char *text = json ? json_dumps(answer, JSON_COMPACT) : NULL;
	if (json)
		puts(text ? text : "{}");
	else if (strcmp(verb, "events") == 0)
		print_events(answer);
	else if (strcmp(verb, "status") == 0 || strcmp(verb, "nodes") == 0)
		print_nodes(answer);
	if (!json && (strcmp(verb, "status") == 0 || strcmp(verb, "nodes") == 0))
		print_degraded(answer);
	if (!json && (strcmp(verb, "status") == 0 || strcmp(verb, "shards") == 0))
		print_shards(answer);
	free(text);
}

/* vfmctl keygen NAME */
static int make_keys(char **args, int n)
{
	char public_key[KEYS_TEXT_BYTES], secret_key[KEYS_TEXT_BYTES];
	if (n != 1)
		return usage_error("keygen takes one name", "");
	int err = gate_keypair(public_key, secret_key);
	if (!err)
		err = keys_write(args[0], public_key, secret_key);
	if (err)
		fprintf(stderr, "vfmctl: %s, %s: name files that can be written and are not there\n", strerror(-err), args[0]);
	else
		printf("%s: for the --peers directory of all; %s_secret: for --key of one process\n", args[0], args[0]);
	return err ? 1 : 0;
}

/* The verbs of ctl.h; -1: it is none of them. */
static int about_filter(const struct options *o, char **args, int n)
{
	struct ctl_options c = o->ctl;
	bool load = strcmp(args[0], "load") == 0 && n == (o->rehearse.plan.expression ? 1 : 2),
	     scale = strcmp(args[0], "scale") == 0 && n == 2, state = strcmp(args[0], "state") == 0 && n == 1,
	     report = strcmp(args[0], "report") == 0 && n == 1;
	if (!load && !scale && !state && !report)
		return -1;
	if (!c.controller)
		return usage_error("no --controller", "");
	c.plan = o->rehearse.plan;
	c.plan.shards = o->rehearse.shards;
	c.plan.filter = load && n == 2 ? args[1] : NULL;
	return load ? ctl_load(&c) : scale ? ctl_scale(&c, args[1]) : state ? ctl_state(&c) : ctl_report(&c);
}

static int talk(const struct options *o, char **args, int n)
{
	int status = n ? about_filter(o, args, n) : -1;
	if (status >= 0)
		return status;
	char why[CLUSTER_WHY_BYTES];
	struct cluster c;
	json_t *q = n ? question(args[0], args + 1, n - 1) : NULL;
	if (!q)
		return usage_error(n ? "not a command, or not its arguments: " : "no command", n ? args[0] : "");
	if (!o->ctl.controller || cluster_open(&c, o->ctl.controller, o->ctl.keys, why)) {
		json_decref(q);
		return o->ctl.controller ? ctl_fail(why) : usage_error("no --controller", "");
	}
	json_t *answer = cluster_ask(&c, q, why);
	if (answer)
		print_answer(args[0], answer, o->ctl.json);
	status = answer ? 0 : ctl_fail(why);
	json_decref(answer);
	cluster_close(&c);
	return status;
}

int main(int argc, char **argv)
{
	struct options o = {.ctl = {.object = -1, .wait_s = 10},
			    .rehearse = {.nodes = 3,
					 .moves = 20,
					 .kills = 3,
					 .seed = 1,
					 .release = "commit",
					 .engine = "burst",
					 .plan = {.insn_limit = 10000}}};
	int option, status = -1;
	opterr = 0;
	while (status < 0 && (option = getopt_long(argc, argv, "e:vh", long_options, NULL)) != -1)
		status = take(&o, option, argv);
	if (status >= 0)
		return status;
	if (optind < argc && strcmp(argv[optind], "keygen") == 0)
		return make_keys(argv + optind + 1, argc - optind - 1);
	static struct keys keys;
	char why[KEYS_WHY_BYTES];
	o.ctl.keys = o.key ? &keys : NULL;
	if (o.key && keys_load(&keys, o.key, o.peers ? o.peers : ".", why))
		return ctl_fail(why);
	if (optind == argc || strcmp(argv[optind], "rehearse"))
		return talk(&o, argv + optind, argc - optind);
	optind++;
	if (!o.rehearse.plan.expression)
		o.rehearse.plan.filter = optind < argc ? argv[optind++] : NULL;
	if (!o.rehearse.plan.expression && !o.rehearse.plan.filter)
		return usage_error("rehearse what? no filter", "");
	if (optind == argc)
		return usage_error("no capture", "");
	return run_rehearsals(&o, argv + optind, argc - optind);
}

/* vfm-node: one node of a cluster: owns shards, steers a capture, or both; alone without a controller. Exit status: 0 done, 1 the
 * filter, an input or an output cannot be used, 2 the command line is wrong, 3 the capture is damaged. */
#include "node/member_options.h"
#include "node/wire.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile int stop;

static void on_signal(int number)
{
	stop = number;
}

static volatile sig_atomic_t print_asked;

static void on_print(int number)
{
	print_asked = number;
}

/* Is this long option among the arguments? */
static bool given(int argc, char **argv, const char *option)
{
	size_t n = strlen(option);
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strncmp(argv[i], option, n) && (!argv[i][n] || argv[i][n] == '='))
			return true;
	return false;
}

/* One node, or one for each core. */
static int run_plan(const struct member_options *o, const struct deploy *deploy, struct daemon_summary *s,
		    char why[DEPLOY_WHY_BYTES])
{
	if (o->live.dpdk)
		return cores_run(&o->live, &o->node, deploy, &stop, why);
	return daemon_run(&o->node, deploy, &stop, s, why);
}

static int run(const struct member_options *o, struct daemon_summary *s, char why[DEPLOY_WHY_BYTES])
{
	struct diag_list *d = calloc(1, sizeof *d);
	struct deploy deploy;
	char *text;
	if (!d)
		return -ENOMEM;
	int err = deploy_open(&deploy, &o->plan, d, &text, why);
	diag_print(d, stderr);
	free(text);
	free(d);
	if (err)
		return err;
	err = run_plan(o, &deploy, s, why);
	deploy_close(&deploy);
	return err;
}

/* The controller's plan, and when another is loaded, that one: as a new incarnation, with empty tables. A stream ends instead: its
 * packets belong to the plan it began with. */
static int run_following(struct member_options *o, struct daemon_summary *s, char why[DEPLOY_WHY_BYTES])
{
	struct daemon_options *n = &o->node;
	bool steers = n->capture || o->live.dpdk;
	int err = follow_open(&n->follow, n->controller, n->keys);
	if (err)
		snprintf(why, DEPLOY_WHY_BYTES, "%s, %s: give the controller's endpoint", strerror(-err), n->controller);
	while (!err) {
		struct deploy deploy;
		err = follow_plan(n->follow, &deploy, &stop, why);
		if (err)
			break;
		err = run_plan(o, &deploy, s, why);
		deploy_close(&deploy);
		if (err != -ESTALE || steers)
			break;
		fprintf(stderr, "vfm-node: %s has another plan, %s begins anew with it\n", n->controller, n->name);
		err = 0;
	}
	follow_close(n->follow);
	return err == -EINTR ? 0 : err;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	action.sa_handler = on_print;
	sigaction(SIGUSR1, &action, NULL);
}

int main(int argc, char **argv)
{
	struct member_options o;
	struct daemon_summary s = {0};
	char why[DEPLOY_WHY_BYTES] = "";
	if (given(argc, argv, "--dpdk") && !given(argc, argv, "--controller"))
		return wire_main(argc, argv);
	int status = member_options_read(argc, argv, &o);
	if (status >= 0)
		return status;
	static struct keys keys;
	o.node.keys = o.key ? &keys : NULL;
	if (o.key && keys_load(&keys, o.key, o.peers, why)) {
		fprintf(stderr, "vfm-node: %s\n", why);
		return 1;
	}
	catch_signals();
	o.live.report = stdout;
	o.live.print_asked = &print_asked;
	int err = o.plan.expression || o.plan.filter ? run(&o, &s, why) : run_following(&o, &s, why);
	if (err && why[0])
		fprintf(stderr, "vfm-node: %s\n", why);
	else if (!err && o.node.capture)
		printf("packets %llu accept %llu drop %llu log %llu errors %llu\n", (unsigned long long)s.packets,
		       (unsigned long long)s.accept, (unsigned long long)s.drop, (unsigned long long)s.log,
		       (unsigned long long)s.errors);
	return err ? 1 : s.damaged ? 3 : 0;
}

/* ctl.h: vfmctl's verbs about the filter that a running cluster has: its state, its report, loading another. */
#ifndef CONTROLLER_CTL_H
#define CONTROLLER_CTL_H

#include "controller/cluster.h"

struct ctl_options {
	const char *controller;  /* endpoint */
	const struct keys *keys; /* NULL: none */
	bool json, verbose;
	const char *table;          /* state: also written to this file, "-": standard output; NULL: no */
	int wait_s;                 /* state: for shards without an owner */
	bool replace;               /* load: in place of the filter that is loaded */
	bool accept_guard;          /* load: a conditional split is accepted */
	struct deploy_options plan; /* load; certificate NULL: the analyzer is asked */
	int64_t object;             /* state: only the table of this object; < 0: all */
};

/* Each does all of it, messages included, and gives the exit status. */
int ctl_state(const struct ctl_options *o);
int ctl_report(const struct ctl_options *o);
int ctl_load(const struct ctl_options *o);
/* nodes: a number as text. */
int ctl_scale(const struct ctl_options *o, const char *nodes);

/* "vfmctl: WHY" on standard error; the exit status 1. */
int ctl_fail(const char *why);
/* Prints and releases o. The exit status: 1 if o is NULL (out of memory). */
int ctl_print_json(json_t *o);

#endif

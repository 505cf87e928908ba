/* member_options.h: the command line of vfm-node as a member of a cluster, on a capture or on live ports, or alone on a capture. That on
 * live ports without a cluster is in wire_options.h. */
#ifndef NODE_MEMBER_OPTIONS_H
#define NODE_MEMBER_OPTIONS_H

#include "node/cores.h"

struct member_options {
	struct daemon_options node; /* keys and follow are the caller's */
	struct cores_options live;  /* dpdk NULL: none; report and print_asked are the caller's */
	struct deploy_options plan; /* no filter and no expression: the controller's */
	const char *key, *peers;    /* files of keys; NULL: none */
};

/* -1: go on with *o; else the exit status, everything said. */
int member_options_read(int argc, char **argv, struct member_options *o);

#endif

/* input.h: how packets come into a rehearsal: straight from a capture, or by DPDK ports that play one (net_pcap), or several at a
 * time, each a receive queue and so a stream of its own. */
#ifndef CONTROLLER_INPUT_H
#define CONTROLLER_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#define INPUT_MAX_CAPTURES 16
#define INPUT_MAX_ARGS     16
#define INPUT_PATH_BYTES   160

struct input {
	const char *const *captures; /* not owned */
	uint32_t n_captures;         /* 1 without dpdk, up to INPUT_MAX_CAPTURES with it */
	bool dpdk;
	char eal[4096];
	char queues[16];
	char verdicts[INPUT_PATH_BYTES]; /* of all captures, one after the other: written by the node, or by input_join() */
	char order[INPUT_PATH_BYTES];    /* of several: FILE.0, FILE.1, ..., as the node writes them */
};

/* Links, ports and files go to the directory. -errno: a capture cannot be linked to. */
int input_prepare(struct input *in, const char *directory);
/* Appends vfm-node's arguments to a list that ends with NULL and has room for INPUT_MAX_ARGS more. They live as long as `in`. */
void input_args(const struct input *in, const char **args);
/* Name of the order file of capture i. */
void input_order(const struct input *in, uint32_t i, char name[INPUT_PATH_BYTES + 16]);
/* Once the node has written all: puts the verdict files of several captures together. -EIO, -errno. */
int input_join(const struct input *in);

#endif

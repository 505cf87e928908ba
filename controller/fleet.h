/* fleet.h: the processes of a rehearsal: one controller, nodes, and one that steers the capture, all on this machine, over ipc. */
#ifndef CONTROLLER_FLEET_H
#define CONTROLLER_FLEET_H

#include "controller/gate.h"
#include "controller/json.h"

#include <stdbool.h>
#include <sys/types.h>

#define FLEET_MAX_NODES 32
#define FLEET_MAX_ARGS  96
#define FLEET_HOW_BYTES 24

struct fleet_process {
	char name[16];
	char endpoint[128];
	pid_t pid; /* 0: not running */
	struct gate_asker *asker;
};

struct fleet {
	char directory[64]; /* sockets, logs, files */
	char programs[512]; /* where the programs are */
	struct fleet_process controller, steerer, nodes[FLEET_MAX_NODES];
	uint32_t n_nodes;
	const char *common[FLEET_MAX_ARGS]; /* the filter and its options, as every process gets them */
	uint32_t n_common;
};

/* Makes the directory and finds the programs beside this one. -errno. */
int fleet_init(struct fleet *f);
/* Kills what still runs, by process id; removes the directory unless keep. */
void fleet_fini(struct fleet *f, bool keep);
uint64_t fleet_now_us(void);

/* Runs a program to its end, its standard output into file (NULL: nowhere). Its exit status, or -errno. */
int fleet_run(const struct fleet *f, const char *program, const char *const *args, const char *output);
/* Starts `program --name NAME --bind ENDPOINT args... common...`; p->name is set. -errno. */
int fleet_start(struct fleet *f, struct fleet_process *p, const char *program, const char *const *args);
void fleet_kill(struct fleet_process *p, int signal_number);
/* True if p was started, nobody killed it here, and it has ended all the same: how says by which signal or with which status. */
bool fleet_ended(const struct fleet_process *p, char how[FLEET_HOW_BYTES]);
/* Asks; a new reference, NULL: no answer, or an error. */
json_t *fleet_ask(struct fleet_process *p, json_t *question);
char *fleet_ask_text(struct fleet_process *p, json_t *question);

#endif

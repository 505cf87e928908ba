#include "controller/fleet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ASK_MS 2000

uint64_t fleet_now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int fleet_init(struct fleet *f)
{
	char self[sizeof f->programs];
	memset(f, 0, sizeof *f);
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0)
		return -errno;
	self[n] = 0;
	snprintf(f->programs, sizeof f->programs, "%s", dirname(self));
	snprintf(f->directory, sizeof f->directory, "/tmp/vfm-rehearsal-XXXXXX");
	return mkdtemp(f->directory) ? 0 : -errno;
}

static void remove_directory(const char *directory)
{
	DIR *d = opendir(directory);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	(void)rmdir(directory);
}

void fleet_kill(struct fleet_process *p, int signal_number)
{
	if (p->pid > 0) {
		kill(p->pid, signal_number);
		waitpid(p->pid, NULL, 0);
	}
	gate_asker_close(p->asker);
	p->pid = 0;
	p->asker = NULL;
}

bool fleet_ended(const struct fleet_process *p, char how[FLEET_HOW_BYTES])
{
	siginfo_t info = {0};
	if (p->pid <= 0 || waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid != p->pid)
		return false;
	snprintf(how, FLEET_HOW_BYTES, "%s %d", info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
	return true;
}

void fleet_fini(struct fleet *f, bool keep)
{
	fleet_kill(&f->steerer, SIGKILL);
	for (uint32_t i = 0; i < f->n_nodes; i++)
		fleet_kill(&f->nodes[i], SIGKILL);
	fleet_kill(&f->controller, SIGKILL);
	if (!keep && f->directory[0])
		remove_directory(f->directory);
}

/* In the child: never returns. It dies with its parent. */
static void become(const struct fleet *f, const char *program, const char *const *argv, const char *output, const char *errors)
{
	char path[640];
	int out = open(output ? output : "/dev/null", O_CREAT | O_WRONLY | O_TRUNC, 0644);
	int err = errors ? open(errors, O_CREAT | O_WRONLY | O_APPEND, 0644) : -1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, 1);
	if (err >= 0)
		dup2(err, 2);
	snprintf(path, sizeof path, "%s/%s", f->programs, program);
	execv(path, (char *const *)(uintptr_t)argv);
	_exit(127);
}

int fleet_run(const struct fleet *f, const char *program, const char *const *args, const char *output)
{
	const char *argv[FLEET_MAX_ARGS + 2] = {program};
	int status, n = 1;
	while (*args && n <= FLEET_MAX_ARGS)
		argv[n++] = *args++;
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(f, program, argv, output, NULL);
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

int fleet_start(struct fleet *f, struct fleet_process *p, const char *program, const char *const *args)
{
	const char *argv[2 * FLEET_MAX_ARGS] = {program};
	char log[160];
	int n = 1;
	snprintf(p->endpoint, sizeof p->endpoint, "ipc://%s/%s-%llu", f->directory, p->name, (unsigned long long)fleet_now_us());
	snprintf(log, sizeof log, "%s/%s.log", f->directory, p->name);
	if (strcmp(program, "vfm-node") == 0) {
		argv[n++] = "--name";
		argv[n++] = p->name;
	}
	argv[n++] = "--bind";
	argv[n++] = p->endpoint;
	while (*args && n < FLEET_MAX_ARGS)
		argv[n++] = *args++;
	for (uint32_t i = 0; i < f->n_common; i++)
		argv[n++] = f->common[i];
	p->pid = fork();
	if (p->pid < 0)
		return -errno;
	if (p->pid == 0)
		become(f, program, argv, NULL, log);
	return gate_asker_open(&p->asker, p->endpoint, NULL);
}

char *fleet_ask_text(struct fleet_process *p, json_t *question)
{
	char *text = json_dumps(question, JSON_COMPACT), *answer = NULL;
	json_decref(question);
	if (!text || !p->asker || gate_ask(p->asker, text, ASK_MS, &answer))
		answer = NULL;
	free(text);
	return answer;
}

json_t *fleet_ask(struct fleet_process *p, json_t *question)
{
	char *text = fleet_ask_text(p, question);
	json_t *answer = text ? json_loads(text, 0, NULL) : NULL;
	free(text);
	if (answer && json_object_get(answer, "error")) {
		json_decref(answer);
		return NULL;
	}
	return answer;
}

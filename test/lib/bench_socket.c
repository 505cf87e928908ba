/* bench_socket.c: see bench_socket.h. */
#include "test/lib/bench_socket.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/lib/bench.h"

/* The writing process: never returns. */
static void write_all(int fd, const char *block, size_t n, size_t bytes)
{
	while (bytes) {
		ssize_t done = write(fd, block, bytes < n ? bytes : n);

		if (done <= 0)
			_exit(1);
		bytes -= (size_t)done;
	}
	_exit(0);
}

double bench_socket_ns(size_t bytes, size_t block)
{
	char *data = calloc(1, block);
	int fds[2], status = 1;
	size_t got = 0;
	uint64_t began;
	pid_t pid;

	if (!data || socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) {
		free(data);
		return 0;
	}
	memset(data, 1, block);
	began = bench_now_ns();
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		write_all(fds[1], data, block, bytes);
	}
	close(fds[1]);
	while (pid > 0 && got < bytes) {
		ssize_t n = read(fds[0], data, block);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	began = bench_now_ns() - began;
	close(fds[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	free(data);
	return got == bytes && !status ? (double)began : 0;
}

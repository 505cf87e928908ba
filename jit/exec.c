/* exec.c: executable memory. Pages are written while writable and only then made executable. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "jit/parts.h"

int jit_exec_new(const uint8_t *code, size_t bytes, struct jit_exec *out)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), mapped = (bytes + page - 1) / page * page;
	uint8_t *at = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return -errno;
	memcpy(at, code, bytes);
	if (mprotect(at, mapped, PROT_READ | PROT_EXEC)) {
		int err = -errno;

		munmap(at, mapped);
		return err;
	}
	__builtin___clear_cache((char *)at, (char *)at + bytes);
	*out = (struct jit_exec){at, bytes, mapped};
	return 0;
}

void jit_exec_free(struct jit_exec *e)
{
	if (e->code)
		munmap(e->code, e->mapped);
	*e = (struct jit_exec){0};
}

void jit_perf_map(const uint8_t *code, size_t bytes, const char *name)
{
	char path[64];
	int fd;

	if (!getenv("VFM_PERF_MAP"))
		return;
	snprintf(path, sizeof(path), "/tmp/perf-%ld.map", (long)getpid());
	/* The name is perf's and can be guessed: nobody's link there is followed. */
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	dprintf(fd, "%lx %zx %s\n", (unsigned long)(uintptr_t)code, bytes, name);
	close(fd);
}

#include "node/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

int journal_read(const char *name, struct journal *j)
{
	FILE *f = fopen(name, "r");
	*j = (struct journal){0};
	if (!f)
		return -errno;
	/* One that was written before captures were in it ends after the third number. */
	int n = fscanf(f, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &j->index, &j->verdicts, &j->session, &j->accepted);
	fclose(f);
	return n >= 3 ? 0 : -EINVAL;
}

int journal_write(const char *name, const struct journal *j)
{
	char line[96], next[4096];
	int n = snprintf(line, sizeof line, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", j->index, j->verdicts, j->session,
			 j->accepted);
	if ((size_t)snprintf(next, sizeof next, "%s.next", name) >= sizeof next)
		return -ENAMETOOLONG;
	int fd = open(next, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	int err = write(fd, line, (size_t)n) != n || fdatasync(fd) ? -EIO : 0;
	close(fd);
	return err ? err : rename(next, name) ? -errno : 0;
}

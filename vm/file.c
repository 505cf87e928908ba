#include "vm/file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_standard(const char *name)
{
	return !strcmp(name, "-");
}

/* Reads to the end of file or to one byte beyond max_bytes. */
static int read_all(FILE *in, uint32_t max_bytes, char **data, uint32_t *bytes)
{
	size_t room = 4096, n = 0, got;
	char *text = malloc(room + 1), *larger;

	while (text && (got = fread(text + n, 1, room - n, in)) > 0) {
		n += got;
		if (n > max_bytes)
			break;
		if (n < room)
			continue;
		room = 2 * room < (size_t)max_bytes + 1 ? 2 * room : (size_t)max_bytes + 1;
		larger = realloc(text, room + 1);
		if (!larger)
			free(text);
		text = larger;
	}
	if (!text)
		return -ENOMEM;
	if (n > max_bytes || ferror(in)) {
		free(text);
		return n > max_bytes ? -EFBIG : -(errno ? errno : EIO);
	}
	text[n] = '\0';
	*data = text;
	*bytes = (uint32_t)n;
	return 0;
}

int file_read(const char *name, uint32_t max_bytes, char **data, uint32_t *bytes)
{
	FILE *in = is_standard(name) ? stdin : fopen(name, "rb");
	int ret;

	if (!in)
		return -errno;
	errno = 0;
	ret = read_all(in, max_bytes, data, bytes);
	if (in != stdin)
		fclose(in);
	return ret;
}

const char *file_find_control(const char *data, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)data[i];

		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r') || c == 0x7f)
			return data + i;
	}
	return NULL;
}

int file_write(const char *name, const void *data, uint32_t bytes)
{
	FILE *out = is_standard(name) ? stdout : fopen(name, "wb");
	struct stat status;
	bool failed;
	int ret = 0;

	if (!out)
		return -errno;
	failed = fwrite(data, 1, bytes, out) != bytes || fflush(out);
	if (failed)
		ret = -(errno ? errno : EIO);
	if (out == stdout)
		return ret;
	if (fclose(out) && !ret)
		ret = -(errno ? errno : EIO);
	/* A device such as /dev/full is not ours to remove. */
	if (ret && !stat(name, &status) && S_ISREG(status.st_mode))
		unlink(name);
	return ret;
}

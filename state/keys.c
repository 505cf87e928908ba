#include "state/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

bool keys_needed(const char *endpoint)
{
	if (!starts(endpoint, "tcp://"))
		return false;
	const char *host = endpoint + strlen("tcp://");
	return !starts(host, "127.") && !starts(host, "localhost:") && !starts(host, "[::1]:");
}

/* The value of a line `name = "value"`, if it is a key. */
static bool take_key(const char *line, const char *name, char key[KEYS_TEXT_BYTES])
{
	const char *at = line + strspn(line, " \t");
	if (!starts(at, name))
		return false;
	at += strlen(name);
	at += strspn(at, " \t=");
	const char *end = *at == '"' ? strchr(at + 1, '"') : NULL;
	if (!end || end - at - 1 != KEYS_TEXT_BYTES - 1)
		return false;
	memcpy(key, at + 1, KEYS_TEXT_BYTES - 1);
	key[KEYS_TEXT_BYTES - 1] = 0;
	return true;
}

/* secret_key NULL: of no interest. 0; -errno; -EINVAL: no such key in it. */
static int read_file(const char *file, char *public_key, char *secret_key)
{
	char line[512];
	bool has_public = false, has_secret = !secret_key;
	FILE *f = fopen(file, "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof line, f)) {
		has_public |= take_key(line, "public-key", public_key);
		has_secret |= secret_key && take_key(line, "secret-key", secret_key);
	}
	fclose(f);
	return has_public && has_secret ? 0 : -EINVAL;
}

static int fail(char why[KEYS_WHY_BYTES], int err, const char *where, const char *todo)
{
	snprintf(why, KEYS_WHY_BYTES, "%.60s, %.200s: %.120s", err == -EINVAL ? "no key in it" : strerror(-err), where, todo);
	return err;
}

static int add_peer(struct keys *k, const char *path, const char *name, char why[KEYS_WHY_BYTES])
{
	if (k->n_peers == KEYS_MAX_PEERS || strlen(name) >= KEYS_NAME_BYTES)
		return fail(why, -ENOSPC, path, "keep at most 256 files there, with names of at most 63 bytes");
	int err = read_file(path, k->peers[k->n_peers].public_key, NULL);
	if (err)
		return fail(why, err, path, "keep nothing there but the public files that vfmctl keygen wrote");
	strcpy(k->peers[k->n_peers++].name, name);
	return 0;
}

static bool is_secret(const char *name)
{
	size_t n = strlen(name), m = strlen("_secret");
	return n >= m && strcmp(name + n - m, "_secret") == 0;
}

int keys_load(struct keys *k, const char *file, const char *directory, char why[KEYS_WHY_BYTES])
{
	struct stat info;
	char path[4096];
	*k = (struct keys){0};
	int err = read_file(file, k->public_key, k->secret_key);
	if (err)
		return fail(why, err, file, "give --key the file NAME_secret that vfmctl keygen NAME wrote");
	if (stat(file, &info) == 0 && (info.st_mode & 077))
		return fail(why, -EPERM, file, "others may read it: chmod 600");
	DIR *d = opendir(directory);
	if (!d)
		return fail(why, -errno, directory, "give --peers the directory of the peers' public files");
	for (struct dirent *e; (e = readdir(d)) && !err;) {
		if (e->d_name[0] == '.' || is_secret(e->d_name))
			continue;
		snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
		err = add_peer(k, path, e->d_name, why);
	}
	closedir(d);
	return err;
}

static int write_file(const char *file, mode_t mode, const char *public_key, const char *secret_key)
{
	int fd = open(file, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f)
		return -errno;
	fprintf(f, "metadata\ncurve\n    public-key = \"%s\"\n", public_key);
	if (secret_key)
		fprintf(f, "    secret-key = \"%s\"\n", secret_key);
	return fclose(f) ? -errno : 0;
}

int keys_write(const char *file, const char *public_key, const char *secret_key)
{
	char secret[4096];
	if ((size_t)snprintf(secret, sizeof secret, "%s_secret", file) >= sizeof secret)
		return -ENAMETOOLONG;
	int err = write_file(secret, 0600, public_key, secret_key);
	return err ? err : write_file(file, 0644, public_key, NULL);
}

const char *keys_name_of(const struct keys *k, const char *public_key)
{
	for (uint32_t i = 0; i < k->n_peers; i++)
		if (strcmp(k->peers[i].public_key, public_key) == 0)
			return k->peers[i].name;
	return NULL;
}

const char *keys_key_of(const struct keys *k, const char *name)
{
	for (uint32_t i = 0; i < k->n_peers; i++)
		if (strcmp(k->peers[i].name, name) == 0)
			return k->peers[i].public_key;
	return NULL;
}

int keys_resolve(const struct keys *k, const char *text, char endpoint[257], char key[KEYS_TEXT_BYTES])
{
	size_t n = strcspn(text, " @");
	const char *rest = text[n] ? text + n + 1 : "";
	const char *found = "";
	if (n >= 257)
		return -EINVAL;
	memcpy(endpoint, text, n);
	endpoint[n] = 0;
	if (k && text[n] == ' ')
		found = keys_name_of(k, rest) ? rest : NULL;
	else if (k)
		found = keys_key_of(k, *rest ? rest : KEYS_CONTROLLER);
	if (!found)
		return -ENOKEY;
	snprintf(key, KEYS_TEXT_BYTES, "%s", found);
	return 0;
}

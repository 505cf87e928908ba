/* store.h: where the controller keeps what must not be forgotten: a small interface that memory (tests), SQLite (one machine) and
 * others can provide. A record is a key, a value and a revision; every change is a compare-and-set on revisions. */
#ifndef CONTROLLER_STORE_H
#define CONTROLLER_STORE_H

#include <stddef.h>
#include <stdint.h>

#define STORE_MAX_KEY   63
#define STORE_MAX_VALUE 512

struct store_change {
	char key[STORE_MAX_KEY + 1];
	uint64_t revision; /* that the record must have now; 0: there must be none */
	uint32_t bytes;    /* 0: the record is removed */
	uint8_t value[STORE_MAX_VALUE];
};

struct store {
	void *ctx;
	/* -ENOENT: no such key; -EIO: no answer. value holds STORE_MAX_VALUE bytes. */
	int (*get)(void *ctx, const char *key, uint8_t *value, uint32_t *bytes, uint64_t *revision);
	/* Calls visit for every record whose key begins with prefix, in order of key. -EIO. */
	int (*list)(void *ctx, const char *prefix,
		    void (*visit)(void *arg, const char *key, const uint8_t *value, uint32_t bytes, uint64_t revision), void *arg);
	/* All changes or none, durable when 0 is returned. -EAGAIN: a revision differs, or another one writes: nothing was changed. -EIO: no answer; the
	 * changes may or may not have been made: read back. -ENOSPC: no room, nothing was changed. */
	int (*commit)(void *ctx, const struct store_change *changes, uint32_t n);
	/* A number that rises with every change: tells whether anything changed since. -EIO. */
	int (*watch)(void *ctx, uint64_t *revision);
	/* Takes or renews the lease `name` for holder until now_ms + ttl_ms, if it is free, expired or its own. *holder_now says who
	 * has it, 0 another one. A lease that would last longer than ttl_ms was taken before the clock began anew (a reboot): expired.
	 * Only a matter of efficiency: two controllers at once are safe. -EIO, -EAGAIN,
	 * -ENOSPC. */
	int (*lease)(void *ctx, const char *name, uint64_t holder, uint64_t now_ms, uint64_t ttl_ms, uint64_t *holder_now);
	void (*close)(void *ctx);
};

/* Memory: for tests and for a cluster that need not outlive its controller. -ENOMEM. */
int store_open_memory(struct store *s);
/* SQLite with synchronous=FULL and a write-ahead log: one write to the disk for each commit, FILE-wal and FILE-shm beside FILE. -EIO
 * with *why (static) set. */
int store_open_sqlite(struct store *s, const char *path, const char **why);

#endif

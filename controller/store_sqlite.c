/* store_sqlite.c: the controller's store on one machine: one table, synchronous=FULL: what commit() answered with 0 survives a power
 * cut. A write-ahead log, so that a controller that reads never waits for one that writes. The one file that knows SQLite. */
#include "controller/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct sqlite {
	sqlite3 *db;
	sqlite3_stmt *get, *list, *put, *del, *top, *raise;
};

static const char schema[] =
	"PRAGMA busy_timeout=250; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	"CREATE TABLE IF NOT EXISTS record(key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS top(id INTEGER PRIMARY KEY CHECK(id = 0), revision INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS lease(name TEXT PRIMARY KEY, holder INTEGER, until_ms INTEGER);"
	"INSERT OR IGNORE INTO top VALUES(0, 0);";

/* SQLite's codes as the interface has them. */
static int error_of(int rc)
{
	if (rc == SQLITE_BUSY)
		return -EAGAIN; /* another controller writes: nothing was done */
	return rc == SQLITE_FULL ? -ENOSPC : -EIO;
}

static int get_record(struct sqlite *s, const char *key, uint8_t *value, uint32_t *bytes, uint64_t *revision)
{
	int rc, err = -EIO;
	sqlite3_bind_text(s->get, 1, key, -1, SQLITE_STATIC);
	rc = sqlite3_step(s->get);
	if (rc == SQLITE_DONE)
		err = -ENOENT;
	if (rc == SQLITE_ROW && sqlite3_column_bytes(s->get, 0) <= STORE_MAX_VALUE) {
		*bytes = (uint32_t)sqlite3_column_bytes(s->get, 0);
		if (*bytes)
			memcpy(value, sqlite3_column_blob(s->get, 0), *bytes);
		*revision = (uint64_t)sqlite3_column_int64(s->get, 1);
		err = 0;
	}
	sqlite3_reset(s->get);
	return err;
}

static int sqlite_get(void *ctx, const char *key, uint8_t *value, uint32_t *bytes, uint64_t *revision)
{
	return get_record(ctx, key, value, bytes, revision);
}

static int sqlite_list(void *ctx, const char *prefix,
		       void (*visit)(void *arg, const char *key, const uint8_t *value, uint32_t bytes, uint64_t revision),
		       void *arg)
{
	struct sqlite *s = ctx;
	char end[STORE_MAX_KEY + 1];
	size_t n = strlen(prefix);
	int rc;
	if (!n || n > STORE_MAX_KEY)
		return -EIO;
	memcpy(end, prefix, n + 1);
	end[n - 1]++; /* the first key that no longer begins with prefix */
	sqlite3_bind_text(s->list, 1, prefix, -1, SQLITE_STATIC);
	sqlite3_bind_text(s->list, 2, end, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(s->list)) == SQLITE_ROW)
		visit(arg, (const char *)sqlite3_column_text(s->list, 0), sqlite3_column_blob(s->list, 1),
		      (uint32_t)sqlite3_column_bytes(s->list, 1), (uint64_t)sqlite3_column_int64(s->list, 2));
	sqlite3_reset(s->list);
	return rc == SQLITE_DONE ? 0 : -EIO;
}

static int run(sqlite3_stmt *statement)
{
	int rc = sqlite3_step(statement), err = rc == SQLITE_DONE ? 0 : error_of(rc);
	sqlite3_reset(statement);
	return err;
}

static int read_top(struct sqlite *s, uint64_t *revision)
{
	int rc = sqlite3_step(s->top);
	*revision = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s->top, 0) : 0;
	sqlite3_reset(s->top);
	return rc == SQLITE_ROW ? 0 : -EIO;
}

static int apply(struct sqlite *s, const struct store_change *c)
{
	uint8_t value[STORE_MAX_VALUE];
	uint32_t bytes;
	uint64_t revision = 0;
	int err = get_record(s, c->key, value, &bytes, &revision);
	if (err && err != -ENOENT)
		return err;
	if (revision != c->revision)
		return -EAGAIN;
	err = run(s->raise);
	if (err || !c->bytes) {
		sqlite3_bind_text(s->del, 1, c->key, -1, SQLITE_STATIC);
		return err ? err : run(s->del);
	}
	sqlite3_bind_text(s->put, 1, c->key, -1, SQLITE_STATIC);
	sqlite3_bind_blob(s->put, 2, c->value, (int)c->bytes, SQLITE_STATIC);
	return run(s->put);
}

static int sqlite_commit(void *ctx, const struct store_change *changes, uint32_t n)
{
	struct sqlite *s = ctx;
	int err = 0;
	int rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return error_of(rc);
	for (uint32_t i = 0; i < n && !err; i++)
		err = apply(s, &changes[i]);
	if (err) {
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		return err;
	}
	rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return 0;
	err = error_of(rc);
	sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

static int sqlite_watch(void *ctx, uint64_t *revision)
{
	return read_top(ctx, revision);
}

/* A lease that a power cut forgets harms nobody: it does not wait for the disk, and no change waits for it. */
static int sqlite_lease(void *ctx, const char *name, uint64_t holder, uint64_t now_ms, uint64_t ttl_ms, uint64_t *holder_now)
{
	struct sqlite *s = ctx;
	sqlite3_stmt *take = NULL;
	int err = -EIO;
	static const char sql[] =
		"INSERT INTO lease VALUES(?1, ?2, ?3 + ?4) ON CONFLICT(name) DO UPDATE SET holder = ?2, until_ms = ?3 + ?4 "
		"WHERE holder = ?2 OR until_ms <= ?3 OR until_ms > ?3 + ?4";
	if (sqlite3_exec(s->db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(s->db, sql, -1, &take, NULL) == SQLITE_OK) {
		sqlite3_bind_text(take, 1, name, -1, SQLITE_STATIC);
		sqlite3_bind_int64(take, 2, (sqlite3_int64)holder);
		sqlite3_bind_int64(take, 3, (sqlite3_int64)now_ms);
		sqlite3_bind_int64(take, 4, (sqlite3_int64)ttl_ms);
		int rc = sqlite3_step(take);
		err = rc == SQLITE_DONE ? 0 : error_of(rc);
		*holder_now = sqlite3_changes(s->db) ? holder : 0;
	}
	sqlite3_finalize(take);
	if (sqlite3_exec(s->db, "PRAGMA synchronous=FULL", NULL, NULL, NULL) != SQLITE_OK)
		err = -EIO;
	return err;
}

static void sqlite_close(void *ctx)
{
	struct sqlite *s = ctx;
	sqlite3_stmt *all[] = {s->get, s->list, s->put, s->del, s->top, s->raise};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		sqlite3_finalize(all[i]);
	sqlite3_close(s->db);
	free(s);
}

int store_open_sqlite(struct store *out, const char *path, const char **why)
{
	struct sqlite *s = calloc(1, sizeof *s);
	*why = "out of memory";
	if (!s)
		return -EIO;
	struct {
		sqlite3_stmt **statement;
		const char *sql;
	} all[] = {{&s->get, "SELECT value, revision FROM record WHERE key = ?1"},
		   {&s->list, "SELECT key, value, revision FROM record WHERE key >= ?1 AND key < ?2 ORDER BY key"},
		   {&s->put,
		    "INSERT INTO record VALUES(?1, ?2, (SELECT revision FROM top)) ON CONFLICT(key) DO UPDATE SET value = ?2, "
		    "revision = (SELECT revision FROM top)"},
		   {&s->del, "DELETE FROM record WHERE key = ?1"},
		   {&s->top, "SELECT revision FROM top"},
		   {&s->raise, "UPDATE top SET revision = revision + 1"}};
	bool ok = sqlite3_open(path, &s->db) == SQLITE_OK && sqlite3_exec(s->db, schema, NULL, NULL, NULL) == SQLITE_OK;
	*why = "the file cannot be opened as a SQLite database";
	for (size_t i = 0; i < sizeof all / sizeof *all && ok; i++)
		ok = sqlite3_prepare_v2(s->db, all[i].sql, -1, all[i].statement, NULL) == SQLITE_OK;
	if (!ok) {
		sqlite_close(s);
		return -EIO;
	}
	*out = (struct store){s, sqlite_get, sqlite_list, sqlite_commit, sqlite_watch, sqlite_lease, sqlite_close};
	return 0;
}

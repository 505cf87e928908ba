#include "controller/plan_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD "plan"
#define BATCH  256

/* What the record says. */
struct head {
	uint64_t digest, revision;
	uint32_t pieces, bytes;
};

static int read_head(const struct store *s, struct head *h)
{
	uint8_t value[STORE_MAX_VALUE + 1];
	uint32_t n = 0;
	*h = (struct head){0};
	int err = s->get(s->ctx, RECORD, value, &n, &h->revision);
	if (err)
		return err;
	value[n] = 0;
	if (sscanf((const char *)value, "%" SCNx64 " %" SCNu32 " %" SCNu32, &h->digest, &h->pieces, &h->bytes) != 3 ||
	    h->bytes > PLAN_STORE_MAX_BYTES || h->pieces != (h->bytes + STORE_MAX_VALUE - 1) / STORE_MAX_VALUE)
		return -EIO;
	return 0;
}

int plan_store_revision(const struct store *s, uint64_t *revision)
{
	struct head h;
	int err = read_head(s, &h);
	*revision = h.revision;
	return err == -ENOENT ? 0 : err;
}

static void piece_key(char key[STORE_MAX_KEY + 1], uint64_t digest, uint32_t piece)
{
	snprintf(key, STORE_MAX_KEY + 1, RECORD "/%016" PRIx64 "/%06" PRIu32, digest, piece);
}

int plan_store_read(const struct store *s, char **text, uint64_t *revision)
{
	struct head h;
	int err = read_head(s, &h);
	*revision = h.revision;
	*text = NULL;
	if (err)
		return err;
	char *all = malloc((size_t)h.pieces * STORE_MAX_VALUE + 1), key[STORE_MAX_KEY + 1];
	uint32_t at = 0;
	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < h.pieces && !err; i++) {
		uint32_t n = 0;
		uint64_t unused;
		piece_key(key, h.digest, i);
		err = s->get(s->ctx, key, (uint8_t *)all + at, &n, &unused);
		at += n;
	}
	if (err || at != h.bytes) {
		free(all);
		return -EIO;
	}
	all[at] = 0;
	*text = all;
	return 0;
}

/* ---- writing ---- */

struct changes {
	struct store_change *list;
	uint32_t n, room;
	bool failed;
};

static struct store_change *add(struct changes *c, const char *key, uint64_t revision)
{
	if (c->n == c->room) {
		uint32_t room = c->room ? 2 * c->room : BATCH;
		struct store_change *grown = reallocarray(c->list, room, sizeof *grown);
		if (!grown) {
			c->failed = true;
			return NULL;
		}
		c->list = grown;
		c->room = room;
	}
	struct store_change *x = &c->list[c->n++];
	*x = (struct store_change){.revision = revision};
	snprintf(x->key, sizeof x->key, "%s", key);
	return x;
}

static void take_out(void *arg, const char *key, const uint8_t *value, uint32_t bytes, uint64_t revision)
{
	(void)value, (void)bytes;
	(void)add(arg, key, revision);
}

/* One piece; one that an unfinished load has left has the same bytes and stays. */
static int write_pieces(const struct store *s, uint64_t digest, const char *text, uint32_t bytes)
{
	struct changes c = {0};
	char key[STORE_MAX_KEY + 1];
	int err = 0;
	for (uint32_t at = 0, i = 0; at < bytes && !err; i++) {
		uint32_t n = bytes - at < STORE_MAX_VALUE ? bytes - at : STORE_MAX_VALUE, have;
		uint8_t value[STORE_MAX_VALUE];
		uint64_t revision;
		piece_key(key, digest, i);
		int known = s->get(s->ctx, key, value, &have, &revision);
		struct store_change *x = known == -ENOENT ? add(&c, key, 0) : NULL;
		if (x) {
			memcpy(x->value, text + at, n);
			x->bytes = n;
		}
		at += n;
		err = known && known != -ENOENT ? known : c.failed ? -ENOMEM : 0;
		if (!err && c.n && (c.n == BATCH || at == bytes)) {
			err = s->commit(s->ctx, c.list, c.n);
			c.n = 0;
		}
	}
	free(c.list);
	return err;
}

int plan_store_write(const struct store *s, uint64_t revision, uint64_t digest, const char *text)
{
	static const char *const others[] = {"shard/", "pin/", "steerer/"};
	size_t bytes = strlen(text);
	struct changes c = {0};
	struct head h;
	char old[STORE_MAX_KEY + 1];
	if (bytes > PLAN_STORE_MAX_BYTES)
		return -E2BIG;
	int err = read_head(s, &h);
	if (err && err != -ENOENT)
		return err;
	if (h.revision != revision)
		return -EAGAIN;
	err = write_pieces(s, digest, text, (uint32_t)bytes);
	for (size_t i = 0; i < sizeof others / sizeof *others && !err && revision; i++)
		err = s->list(s->ctx, others[i], take_out, &c);
	snprintf(old, sizeof old, RECORD "/%016" PRIx64 "/", h.digest);
	if (!err && revision && h.digest != digest)
		err = s->list(s->ctx, old, take_out, &c);
	struct store_change *x = err ? NULL : add(&c, RECORD, revision);
	if (x)
		x->bytes = (uint32_t)snprintf((char *)x->value, sizeof x->value, "%016" PRIx64 " %zu %zu", digest,
					      (bytes + STORE_MAX_VALUE - 1) / STORE_MAX_VALUE, bytes);
	if (!err)
		err = c.failed ? -ENOMEM : s->commit(s->ctx, c.list, c.n);
	free(c.list);
	return err;
}

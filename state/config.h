/* config.h: the configuration of one shard: who executes it, whose acknowledgement a commit needs. One record, one key in the
 * controller's store, changed one step at a time by compare-and-set; every step raises the epoch.
 *
 * Members are incarnations (a random 64-bit number drawn when a process starts), never names: a process that lost its memory is
 * somebody else.
 */
#ifndef STATE_CONFIG_H
#define STATE_CONFIG_H

#include "state/wire.h"

#include <stdbool.h>

#define CONFIG_MAX_IN_SYNC WIRE_MAX_MEMBERS

struct config {
	uint64_t shard;
	uint64_t epoch;   /* 0: no configuration known; the first is 1 */
	uint64_t history; /* raised only by a declared loss; the first is 1 */
	uint64_t plan;
	uint64_t owner;
	uint64_t sealed; /* 1: the owner of a new history must not open yet */
	uint32_t n_in_sync;
	uint64_t in_sync[CONFIG_MAX_IN_SYNC]; /* the owner is not in it */
};

/* The legal steps, each from a record to the next. */
enum config_step {
	CONFIG_ILLEGAL,
	CONFIG_RENEW,   /* the same members, to refuse a request that was made at the old epoch */
	CONFIG_ADD,     /* one incarnation into the in-sync set; only at the owner's request */
	CONFIG_REMOVE,  /* one out of it; only at the live owner's request */
	CONFIG_PROMOTE, /* an in-sync replica becomes the owner; the old owner stays as a replica or leaves */
	CONFIG_LOSE,    /* nobody is left: a new history, empty, sealed */
	CONFIG_UNSEAL,  /* every live steerer knows the new history */
};

bool config_equal(const struct config *a, const struct config *b);
bool config_in_sync(const struct config *c, uint64_t who);
static inline bool config_member(const struct config *c, uint64_t who)
{
	return c->owner == who || config_in_sync(c, who);
}

/* The first record of a shard. */
struct config config_birth(uint64_t shard, uint64_t plan, uint64_t owner);
/* Each returns the record after the step; what is not possible (adding a member, removing a stranger, a full set) gives a record
 * that config_step_of() calls illegal. */
struct config config_renew(const struct config *c);
struct config config_add(const struct config *c, uint64_t who);
struct config config_remove(const struct config *c, uint64_t who);
struct config config_promote(const struct config *c, uint64_t who, bool keep_old_owner);
struct config config_lose(const struct config *c, uint64_t new_owner);
struct config config_unseal(const struct config *c);

/* Which legal step leads from one record to the other: the one function that decides. Stores refuse CONFIG_ILLEGAL. */
enum config_step config_step_of(const struct config *from, const struct config *to);

/* in_sync of the wire form points into c. */
void config_to_wire(const struct config *c, struct wire_config *w);
/* -EPROTO: owner 0, an owner inside its in-sync set, or a member twice. */
int config_from_wire(const struct wire_config *w, struct config *c);

#endif

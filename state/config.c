#include "state/config.h"

#include "state/safeguard.h"

#include <errno.h>
#include <string.h>

bool config_in_sync(const struct config *c, uint64_t who)
{
	for (uint32_t i = 0; i < c->n_in_sync; i++)
		if (c->in_sync[i] == who)
			return true;
	return false;
}

bool config_equal(const struct config *a, const struct config *b)
{
	return a->shard == b->shard && a->epoch == b->epoch && a->history == b->history && a->plan == b->plan &&
	       a->owner == b->owner && a->sealed == b->sealed && a->n_in_sync == b->n_in_sync &&
	       memcmp(a->in_sync, b->in_sync, a->n_in_sync * sizeof *a->in_sync) == 0;
}

struct config config_birth(uint64_t shard, uint64_t plan, uint64_t owner)
{
	return (struct config){.shard = shard, .epoch = 1, .history = 1, .plan = plan, .owner = owner};
}

struct config config_renew(const struct config *c)
{
	struct config n = *c;
	n.epoch++;
	return n;
}

struct config config_add(const struct config *c, uint64_t who)
{
	struct config n = config_renew(c);
	if (n.n_in_sync < CONFIG_MAX_IN_SYNC && !config_member(c, who))
		n.in_sync[n.n_in_sync++] = who;
	else
		n.owner = 0;
	return n;
}

struct config config_remove(const struct config *c, uint64_t who)
{
	struct config n = config_renew(c);
	n.n_in_sync = 0;
	for (uint32_t i = 0; i < c->n_in_sync; i++)
		if (c->in_sync[i] != who)
			n.in_sync[n.n_in_sync++] = c->in_sync[i];
	if (n.n_in_sync == c->n_in_sync)
		n.owner = 0;
	return n;
}

struct config config_promote(const struct config *c, uint64_t who, bool keep_old_owner)
{
	struct config n = config_remove(c, who);
	if (!n.owner)
		return n;
	if (keep_old_owner)
		n.in_sync[n.n_in_sync++] = c->owner;
	n.owner = who;
	return n;
}

struct config config_lose(const struct config *c, uint64_t new_owner)
{
	struct config n = config_renew(c);
	n.history++;
	n.owner = new_owner;
	n.sealed = 1;
	n.n_in_sync = 0;
	return n;
}

struct config config_unseal(const struct config *c)
{
	struct config n = config_renew(c);
	n.sealed = 0;
	return n;
}

/* How many of a's in-sync replicas are not in b's. */
static uint32_t missing(const struct config *a, const struct config *b)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < a->n_in_sync; i++)
		n += !config_in_sync(b, a->in_sync[i]);
	return n;
}

static bool well_formed(const struct config *c)
{
	if (!c->owner || !c->epoch || !c->history || c->sealed > 1 || c->n_in_sync > CONFIG_MAX_IN_SYNC ||
	    config_in_sync(c, c->owner))
		return false;
	for (uint32_t i = 0; i < c->n_in_sync; i++)
		for (uint32_t j = 0; j < i; j++)
			if (c->in_sync[i] == c->in_sync[j])
				return false;
	return !c->sealed || !c->n_in_sync;
}

static enum config_step step_with_new_owner(const struct config *from, const struct config *to)
{
	uint32_t left = missing(from, to), joined = missing(to, from);
	if (!config_in_sync(from, to->owner) || left != 1 || joined > 1 || from->sealed || to->sealed)
		return CONFIG_ILLEGAL;
	return joined == 0 || config_in_sync(to, from->owner) ? CONFIG_PROMOTE : CONFIG_ILLEGAL;
}

static enum config_step step_with_same_owner(const struct config *from, const struct config *to)
{
	uint32_t left = missing(from, to), joined = missing(to, from);
	if (from->sealed && !to->sealed)
		return left + joined ? CONFIG_ILLEGAL : CONFIG_UNSEAL;
	if (from->sealed != to->sealed || left + joined > 1)
		return CONFIG_ILLEGAL;
	return joined ? CONFIG_ADD : left ? CONFIG_REMOVE : CONFIG_RENEW;
}

enum config_step config_step_of(const struct config *from, const struct config *to)
{
	if (!well_formed(to) || to->epoch != from->epoch + 1 || to->shard != from->shard || to->plan != from->plan)
		return CONFIG_ILLEGAL;
	if (to->history == from->history + 1)
		return to->sealed && !to->n_in_sync ? CONFIG_LOSE : CONFIG_ILLEGAL;
	if (to->history != from->history)
		return CONFIG_ILLEGAL;
	if (!SAFEGUARD(ONE_CHANGE) && to->owner != from->owner && config_in_sync(from, to->owner))
		return CONFIG_PROMOTE;
	return to->owner == from->owner ? step_with_same_owner(from, to) : step_with_new_owner(from, to);
}

void config_to_wire(const struct config *c, struct wire_config *w)
{
	*w = (struct wire_config){.shard = c->shard,
				  .epoch = c->epoch,
				  .history = c->history,
				  .plan = c->plan,
				  .owner = c->owner,
				  .sealed = c->sealed,
				  .in_sync = wire_column(c->in_sync, c->n_in_sync)};
}

int config_from_wire(const struct wire_config *w, struct config *c)
{
	*c = (struct config){.shard = w->shard,
			     .epoch = w->epoch,
			     .history = w->history,
			     .plan = w->plan,
			     .owner = w->owner,
			     .sealed = w->sealed,
			     .n_in_sync = w->in_sync.n};
	for (uint32_t i = 0; i < c->n_in_sync; i++)
		c->in_sync[i] = wire_c64(w->in_sync, i);
	return well_formed(c) ? 0 : -EPROTO;
}

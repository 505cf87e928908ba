#include "controller/notice.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define STORE_PATIENCE_US 300000 /* another controller may have it locked for a moment */

const char *notice_fault(uint64_t what)
{
	static const char *const words[] = {
		[WIRE_FAULT_DIGEST] = "digests differ at equal lineage",
		[WIRE_FAULT_CHANGE] = "a change does not fit",
		[WIRE_FAULT_STALE_COPY] = "a copy of a lost history was still there and is dropped, not promoted",
		[WIRE_FAULT_PLAN] = "another plan",
		[WIRE_FAULT_BAD_FRAMES] = "a peer sent what is no frame",
		[WIRE_FAULT_RELEASED_UNDER_LOST] = "packets were released under a history that is lost",
		[WIRE_FAULT_STREAMS] = "no room for another stream",
	};
	return what && what < sizeof words / sizeof *words ? words[what] : "unknown fault";
}

const char *notice_store(int err)
{
	return !err ? "ok" : err == -ENOSPC ? "no room" : "no answer";
}

static void say_event(const struct reconciler *r, const struct reconciler_event *e, FILE *out)
{
	const struct reconciler_node *n = reconciler_node(r, e->who);
	char who[96];
	snprintf(who, sizeof who, "%s%s%016" PRIx64, n ? n->name : "", n && n->name[0] ? " " : "", e->who);
	if (e->step == CONFIG_LOSE)
		fprintf(out,
			"vfm-controller: HISTORY LOST, shard %" PRIu64 ": no copy in sync was left at epoch %" PRIu64
			"; it begins empty at %s\n",
			e->shard, e->epoch, who);
	else if (e->what == WIRE_FAULT_BAD_FRAMES)
		fprintf(out, "vfm-controller: QUARANTINE, %016" PRIx64 ": it sent what is no frame to %s: start it again\n",
			e->detail, who);
	else if (e->what == WIRE_FAULT_STREAMS)
		fprintf(out,
			"vfm-controller: NO ROOM for another stream, shard %" PRIu64
			" at %s: it holds %d, some of processes that are gone; "
			"stream %016" PRIx64
			" waits, its packets unread: see vfmctl state and nodes, and say vfmctl fence INCARNATION "
			"of each that is gone for good\n",
			e->shard, who, WIRE_MAX_STREAMS, e->detail);
	else if (e->step == CONFIG_ILLEGAL)
		fprintf(out, "vfm-controller: FAULT, shard %" PRIu64 ": %s: %s (%" PRIu64 ")\n", e->shard, who,
			notice_fault(e->what), e->detail);
}

static void say_store(struct notice *n, const struct reconciler *r, const char *store, uint64_t now_us, FILE *out)
{
	if (!r->store_err)
		n->store_bad_us = 0;
	else if (!n->store_bad_us)
		n->store_bad_us = now_us;
	if (r->store_err == n->store_err || (r->store_err && now_us - n->store_bad_us < STORE_PATIENCE_US))
		return;
	n->store_err = r->store_err;
	if (r->store_err)
		fprintf(out, "vfm-controller: the store has %s, %s: nothing is changed until it has; traffic goes on\n",
			notice_store(r->store_err), store);
	else
		fprintf(out, "vfm-controller: the store answers again, %s: going on\n", store);
}

void notice_print(struct notice *n, const struct reconciler *r, const char *store, uint64_t now_us, FILE *out)
{
	if (r->n_events - n->said > RECONCILER_EVENTS)
		n->said = r->n_events - RECONCILER_EVENTS;
	while (n->said < r->n_events)
		say_event(r, &r->events[n->said++ % RECONCILER_EVENTS], out);
	say_store(n, r, store, now_us, out);
}

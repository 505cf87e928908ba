/* follow.h: a node that was started without a filter takes the plan from the controller, and learns when the operator has loaded
 * another one. */
#ifndef NODE_FOLLOW_H
#define NODE_FOLLOW_H

#include "analysis/deploy.h"
#include "state/keys.h"

#define FOLLOW_ASK_US 500000 /* how often the controller is asked which plan it has */

struct follow;

/* keys (kept): NULL: none. -EINVAL: not an endpoint; -ENOKEY: no key of it is known; -ENOMEM. */
int follow_open(struct follow **out, const char *controller, const struct keys *keys);
void follow_close(struct follow *f);
/* Waits until the controller has a plan, and takes it; close it with deploy_close(). -EINTR: *stop was set before; -EINVAL, -ENOMEM
 * with why: it has one that cannot be used. */
int follow_plan(struct follow *f, struct deploy *d, const volatile int *stop, char why[DEPLOY_WHY_BYTES]);
/* Does the controller say that it has another plan than this? Asks from time to time and never waits for the answer; a controller
 * that does not answer, or has none, changes nothing. */
bool follow_changed(struct follow *f, uint64_t digest, uint64_t now_us);

#endif

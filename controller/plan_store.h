/* plan_store.h: the plan in the controller's store.
 *
 * Records: plan (digest, pieces and bytes of the text), plan/DIGEST/NNNNNN (its pieces). The pieces are written first and the record
 * last, in the transaction that takes out the shards, wishes and steerers of the plan before: a store has one whole plan and
 * configurations of that plan alone, or no plan. Epochs begin anew with a plan, and every load is another plan, so frames of the one
 * before are refused by their digest.
 */
#ifndef CONTROLLER_PLAN_STORE_H
#define CONTROLLER_PLAN_STORE_H

#include "controller/store.h"

#define PLAN_STORE_MAX_BYTES (12u << 20) /* of the text */

/* The text on the heap, and the record's revision. -ENOENT: there is no plan, *revision is 0; -EIO: no answer, or a damaged store;
 * -ENOMEM. */
int plan_store_read(const struct store *s, char **text, uint64_t *revision);
/* The record's revision alone; 0: no plan. -EIO. */
int plan_store_revision(const struct store *s, uint64_t *revision);
/* Puts a plan in place of the one whose record has this revision (0: none). -EAGAIN: another controller was faster, read again;
 * -E2BIG: the text is too long; -EIO, -ENOSPC, -ENOMEM. */
int plan_store_write(const struct store *s, uint64_t revision, uint64_t digest, const char *text);

#endif

/* notice.h: what the controller says aloud, on standard error: losses, faults, and a store that does not answer. `vfmctl events` has
 * them, too, among all that changed. */
#ifndef CONTROLLER_NOTICE_H
#define CONTROLLER_NOTICE_H

#include "controller/reconciler.h"

#include <stdio.h>

struct notice {
	uint64_t said;         /* events looked at so far */
	int store_err;         /* as last said */
	uint64_t store_bad_us; /* since when it has been bad; 0: it is not */
};

/* A few words on FAULT's `what` (enum wire_fault_what). */
const char *notice_fault(uint64_t what);
/* The store's error in words: "ok" for 0. */
const char *notice_store(int err);
/* Prints what is new since the last call. store: its name. */
void notice_print(struct notice *n, const struct reconciler *r, const char *store, uint64_t now_us, FILE *out);

#endif

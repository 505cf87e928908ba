/* journal.h: how far a stream's outputs are durable: what a restarted input needs to go on where it was, each packet still released
 * exactly once. One line of text, replaced as a whole. */
#ifndef NODE_JOURNAL_H
#define NODE_JOURNAL_H

#include <stdint.h>

struct journal {
	uint64_t index;    /* packets whose outputs are durable */
	uint64_t session;  /* of the stream; the next one is larger */
	uint64_t verdicts; /* bytes of the verdict file that are those packets' */
	uint64_t accepted; /* bytes of the capture of accepted packets, 0: none was written */
};

/* -ENOENT: there is none, *j is all zeros; -EINVAL: not a journal; -errno. */
int journal_read(const char *name, struct journal *j);
/* Durable when 0 is returned; else the one before it still stands. -errno. */
int journal_write(const char *name, const struct journal *j);

#endif

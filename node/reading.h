/* reading.h: the state of shards as it is read from outside while packets flow.
 *
 * A reading is the whole state of one shard as of one delta. It is written down at once, so traffic does not wait for it, and told
 * only when that delta is committed by the owner that made it (invariant I4): entries and positions are of one moment, and what is
 * told is a prefix of what every later owner has. A reader takes a reading in pages, so that no answer is larger than a frame.
 *
 * As text: one line of JSON, then a line `table key value until` for each entry held: until is the last second of packet time at
 * which it lives. Which of them count in the merged table is the reader's business (analysis/spread.h).
 */
#ifndef NODE_READING_H
#define NODE_READING_H

#include "node/node.h"
#include "vm/program.h"

#define READINGS           8
#define READING_PAGE_BYTES (1u << 20)
#define READING_WAIT_US    2000000  /* not committed this long: given up */
#define READING_KEEP_US    10000000 /* a reader that is silent this long has gone */
#define READING_REPLY      40

struct reading {
	bool taken, told;
	uint64_t id;
	uint64_t shard, history, number, opened; /* opened: of member_counters, tells one ownership from the next */
	uint64_t heard_us;
	char *text; /* entries */
	size_t bytes;
	char *streams; /* JSON, as of the reading */
	uint64_t clock_us;
	uint8_t reply[READING_REPLY]; /* the caller's: where the first page goes */
};

struct readings {
	const struct node *node;
	const struct program *program;
	uint64_t last_id;
	struct reading items[READINGS];
};

/* Begins to read a shard that is owned here. reply is kept for the caller. -EAGAIN: not owned, or all readings are taken; -ENOMEM. */
int readings_begin(struct readings *r, uint64_t shard, const void *reply, size_t reply_bytes, uint64_t now_us);
/* The next reading that has become tellable, or has failed: *text is its first page, or says why not. False: none now. The caller
 * sends it to *reply and frees it. */
bool readings_next(struct readings *r, void *reply, size_t reply_bytes, char **text, uint64_t now_us);
/* The page from offset of a reading that has been told; heap text, NULL: there is no such reading (any more). */
char *readings_page(struct readings *r, uint64_t id, uint64_t offset, uint64_t now_us);
void readings_fini(struct readings *r);

#endif

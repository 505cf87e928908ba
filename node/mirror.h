/* mirror.h: copies of packets of one class of verdict into a capture, without the cores waiting for the disk.
 *
 * Each core copies into a ring of its own; one other thread empties the rings into the capture. A full ring loses the copy, counted,
 * never the packet.
 */
#ifndef NODE_MIRROR_H
#define NODE_MIRROR_H

#include "node/capture.h"
#include "vm/verdict.h"

#define MIRROR_RING_BYTES (4u << 20) /* of each core */

/* X(enum name, word of the command line, which packets) */
#define MIRROR_CLASSES(X) \
	X(LOG, "log", r->error == 0 && r->value >= 2) \
	X(ACCEPT, "accept", r->error == 0 && r->value >= 1) \
	X(DROP, "drop", r->error == 0 && r->value == 0) \
	X(ERROR, "error", r->error != 0)

#define MIRROR_CLASS_ENUM(name, word, test) MIRROR_##name,
enum mirror_class { MIRROR_CLASSES(MIRROR_CLASS_ENUM) MIRROR_CLASS_COUNT };
#undef MIRROR_CLASS_ENUM

#define MIRROR_MAX 4 /* of one process */

/* What --mirror has asked for. */
struct mirror_list {
	uint32_t n;
	enum mirror_class classes[MIRROR_MAX];
	const char *files[MIRROR_MAX];
};

struct mirror;

/* Adds CLASS:FILE, which is kept. NULL, else what is wrong with it, to be said before it. */
const char *mirror_list_add(struct mirror_list *list, const char *text);
/* Creates each of them, for so many cores, into mirrors[list->n] (all NULL before). On failure as mirror_new(); what is there is the
 * caller's to free. */
int mirrors_open(const struct mirror_list *list, uint32_t cores, struct mirror *mirrors[], char error[CAPTURE_ERROR_BYTES]);
/* Creates capture `name`. -EIO or -ENOMEM with error as capture_create() gives it. */
int mirror_new(const char *name, enum mirror_class class, uint32_t cores, struct mirror **out, char error[CAPTURE_ERROR_BYTES]);
/* Copies the packet if its verdict is of the class. Called by core `core` alone. */
void mirror_offer(struct mirror *m, uint32_t core, const struct vfm_packet *packet, const struct vfm_result *r);
/* Writes what is in the rings; returns how many packets. One thread at a time. */
uint32_t mirror_drain(struct mirror *m);
uint64_t mirror_written(const struct mirror *m);
uint64_t mirror_lost(const struct mirror *m);
/* Drains and closes; the cores have stopped. -EIO: not all could be written. m may be NULL (0). */
int mirror_free(struct mirror *m);

#endif

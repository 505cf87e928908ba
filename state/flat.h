/* flat.h: the flat machine's table: a balanced tree (tsearch(3)), no capacity limit, no queues, no tracking. The naive twin that
 * struct table is compared with. Used through shard.h. */
#ifndef STATE_FLAT_H
#define STATE_FLAT_H

#include <stdbool.h>
#include <stdint.h>

struct flat_table;

/* Heap table, empty; idle_s in seconds of packet time, 0: never. NULL: out of memory. */
struct flat_table *flat_new(uint32_t idle_s);
void flat_free(struct flat_table *f);

bool flat_find(const struct flat_table *f, uint64_t key, uint32_t now_s, uint64_t *value);
/* The value stored last second stamp_s. False: out of memory, nothing stored. */
bool flat_store(struct flat_table *f, uint64_t key, uint64_t value, uint32_t stamp_s);
/* An entry that never expires. False: out of memory. */
bool flat_preload(struct flat_table *f, uint64_t key, uint64_t value);
void flat_delete(struct flat_table *f, uint64_t key, uint32_t now_s);
/* Ascending order of key; entries live at now_s. */
void flat_visit(const struct flat_table *f, uint32_t now_s, void (*visit)(void *arg, uint64_t key, uint64_t value), void *arg);

#endif

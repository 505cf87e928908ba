/* account.h: what a node has to say of its shards when the operator asks for a report: what its owned shards have counted, and which
 * other copies it holds. */
#ifndef NODE_ACCOUNT_H
#define NODE_ACCOUNT_H

#include "node/node.h"

/* One JSON object on the heap; NULL: out of memory. counters and tallies are of the shards that are owned here and open; copies are
 * [shard, history, epoch, number] of those held besides. */
char *account_write(const struct node *n);

#endif

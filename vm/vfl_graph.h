/* vfl_graph.h: a VFLisp program as a graph of blocks without cycles. Private to vm/vfl_*.c.
 *
 * Every value is computed in one place and may be used wherever that place dominates. Blocks are filled one after the other, each after
 * all jumps to it are known (jumps only go forward), so dominators are final when a block begins, and a value computed before is found
 * again instead of being computed twice: that is how each field is loaded once. Nothing is ever moved up: a load stands where the
 * source first reaches it.
 */
#ifndef VM_VFL_GRAPH_H
#define VM_VFL_GRAPH_H

#include "vm/vfl.h"

#define VFL_NONE 0u /* no value, no block: both are numbered from 1 */

enum vfl_value_kind {
	VFL_CONSTANT,  /* imm; in no block */
	VFL_PARAMETER, /* what the jump to its block brought */
	VFL_OPERATION, /* op of a and b */
	VFL_REPLACED,  /* an equal operation before it serves as well */
};

struct vfl_value {
	uint8_t kind; /* enum vfl_value_kind */
	uint8_t op;   /* enum vfm_op; tables in their short form, with the table's number beside */
	uint8_t table;
	uint32_t a, b; /* operands */
	uint32_t block;
	uint32_t epoch; /* reads of tables: how many updates came before */
	uint32_t uses;
	uint32_t next; /* in the same chain of graph.chains */
	uint64_t imm;
};

enum vfl_end_kind { VFL_END_NONE, VFL_END_RET, VFL_END_JUMP, VFL_END_BRANCH };

/* "a op b" with op one of JEQ JNE JGT JLT JGE JLE; op 0: nothing is known. */
struct vfl_relation {
	uint8_t op;
	uint32_t a, b;
};

struct vfl_block {
	uint32_t first, end; /* its values, in order */
	uint32_t parameter;
	uint8_t end_kind;
	struct vfl_relation test; /* branch: goes to to[0] if it holds, else to[1]; RET: a */
	uint32_t to[2];
	uint32_t argument[2]; /* for the parameter of to[] */
	uint32_t dominator;   /* the block that every way here passes last */
	uint32_t depth;       /* in the dominator tree */
	uint32_t ancestor;    /* some block further up, to walk the tree in logarithmic time */
	uint32_t n_from;
	struct vfl_relation fact; /* holds on entry, and wherever this block dominates */
	uint32_t epoch_begin, epoch_end;
	bool started, reached;
};

struct vfl_graph {
	struct vfl *c;
	struct vfl_value *values;
	uint32_t n_values, room_values;
	struct vfl_block *blocks;
	uint32_t n_blocks, room_blocks;
	uint32_t *order; /* blocks in the order they were started: every jump goes forward in it */
	uint32_t n_order;
	uint32_t current; /* the block being filled, VFL_NONE: control does not get here */
	uint32_t epochs;
	uint32_t *chains; /* hash of values */
	uint32_t n_operations;
	uint32_t field_value[64]; /* by index of vfl_fields[] */
	struct vfl_returns *returns;
};

struct vfl_graph *vfl_graph_new(struct vfl *c);
uint32_t vfl_constant(struct vfl_graph *g, uint64_t value);
/* The value of an operation on values: one computed before if it is there, else a new one at the end of the current block. */
uint32_t vfl_operation(struct vfl_graph *g, uint8_t op, uint64_t imm, uint32_t a, uint32_t b);
/* An operation on a table; always new if it updates. */
uint32_t vfl_table_operation(struct vfl_graph *g, uint8_t op, uint8_t table, uint32_t a, uint32_t b);
/* value may be used in the current block. */
bool vfl_is_at_hand(const struct vfl_graph *g, uint32_t value);
/* Forgets what was computed, to enter the operations again one by one: each gives an equal one at hand, or itself. */
void vfl_forget_values(struct vfl_graph *g);
uint32_t vfl_find_or_enter(struct vfl_graph *g, uint32_t value);

uint32_t vfl_block_new(struct vfl_graph *g);
/* Begins to fill block; false if nothing jumps to it. */
bool vfl_block_start(struct vfl_graph *g, uint32_t block);
/* Begins block with a parameter; returns its value. */
uint32_t vfl_block_parameter(struct vfl_graph *g, uint32_t block);
/* (Re)computes the dominator tree block by block: a way from `from` to `block`; block's own place once all are known. */
void vfl_meet_dominator(struct vfl_graph *g, uint32_t block, uint32_t from);
void vfl_place_in_tree(struct vfl_graph *g, uint32_t block);
/* Ends of the current block. */
void vfl_end_return(struct vfl_graph *g, uint32_t value);
void vfl_end_jump(struct vfl_graph *g, uint32_t to, uint32_t argument);
void vfl_end_branch(struct vfl_graph *g, struct vfl_relation test, uint32_t yes, uint32_t no);

struct vfl_relation vfl_relation_inverse(struct vfl_relation r);
/* Whether test holds at the end of block, on the way where `edge` holds as well: 1, 0, or -1 if that is not known. */
int vfl_decide(const struct vfl_graph *g, uint32_t block, struct vfl_relation edge, struct vfl_relation test);

/* vfl_lower.c: builds the graph. vfl_thread.c: leads jumps past tests whose outcome is known on the way. */
struct vfl_graph *vfl_lower(struct vfl *c, struct vfl_node *n);
void vfl_thread(struct vfl_graph *g);
/* Counts uses, marks reached blocks; operations that nothing needs get 0 uses. */
void vfl_count_uses(struct vfl_graph *g);
/* The operation must be executed even if its value is not used. */
bool vfl_must_execute(const struct vfl_value *v);
/* A division by a constant that is not 0, which cannot fault after all. */
bool vfl_divides_safely(const struct vfl_graph *g, const struct vfl_value *v);

/* vfl_emit.c: stack code, on the heap. */
void vfl_emit(struct vfl *c, struct vfl_graph *g, uint8_t **code, uint32_t *len);

void vfl_graph_dump(const struct vfl_graph *g, FILE *out);

#endif

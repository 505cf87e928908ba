/* vfl_emit.h: what the two halves of the emitter share: vfl_order.c decides which values are computed where they are used, vfl_emit.c writes
 * the code. Private to vm/vfl_*.c. */
#ifndef VM_VFL_EMIT_H
#define VM_VFL_EMIT_H

#include "vm/vfl_code.h"
#include "vm/vfl_graph.h"

#define VFL_MAX_PENDING (4 * VFM_STACK_SLOTS)

/* What a block finds on the stack when it begins: recorded by the first jump there, kept to by the others. */
struct vfl_entry {
	bool recorded;
	uint32_t n;
	uint32_t depth;  /* of the stack, at most */
	uint32_t *value; /* top first; VFL_NONE: needed by nobody */
};

struct vfl_emitter {
	struct vfl *c;
	struct vfl_graph *g;
	struct vfl_code code;
	uint32_t *label;         /* by block */
	struct vfl_entry *entry; /* by block */
	bool *inlined;           /* by value: computed where it is used */
	uint8_t *traces;         /* by value: of an inlined one, with all that is computed with it */
	uint32_t *left;          /* by value: uses still to come in this block */
	uint32_t *live_index;    /* by value: used in another block; from 1 */
	uint32_t n_live;
	size_t live_words;
	uint64_t *live;    /* by block: bit set of the values needed from its beginning on */
	uint32_t *pending; /* inlined values with traces whose user is still to come, in order */
	uint32_t n_pending;
	uint32_t slot[VFM_STACK_SLOTS + 1]; /* the stack, bottom first; VFL_NONE: needed by nobody */
	uint32_t n;
	uint32_t below; /* slots below these, at most */
	uint32_t block;
	bool started; /* something of the statement being written lies on the stack */
	bool taken;   /* its first operand lies in its place already */
};

/* Costs one instruction and cannot fault: computed anew at every use. */
bool vfl_is_cheap(const struct vfl_value *v);
/* The operation must be written: its value is used, or it may fault or updates a table. */
bool vfl_is_needed(const struct vfl_emitter *e, uint32_t value);
/* The block's parameter if anything uses it. */
uint32_t vfl_used_parameter(const struct vfl_emitter *e, uint32_t block);
/* Calls visit for each operand of the block: of its operations in order, of its test, of its jumps. */
void vfl_visit_uses(struct vfl_emitter *e, uint32_t block, void (*visit)(struct vfl_emitter *e, uint32_t block, uint32_t value));
/* Finds which values are needed from the beginning of which block on. */
void vfl_find_live(struct vfl_emitter *e);
bool vfl_is_live(const struct vfl_emitter *e, uint32_t block, uint32_t value);
/* Some way out of the current block needs the value. */
bool vfl_is_live_after(const struct vfl_emitter *e, uint32_t value);
/* Sets e->inlined for the values of the current block. */
void vfl_choose_inlined(struct vfl_emitter *e);

#endif

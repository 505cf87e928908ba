/* vfl_code.h: bytecode being written: labels, and islands for jumps farther than a signed 16-bit distance. Private to vm/vfl_*.c. */
#ifndef VM_VFL_CODE_H
#define VM_VFL_CODE_H

#include "vm/vfl.h"

/* A jump whose label is not placed yet. */
struct vfl_fix {
	uint32_t at; /* of the operand */
	uint32_t label;
};

struct vfl_code {
	struct vfl *c;
	uint8_t *bytes;
	uint32_t len;
	uint32_t *labels; /* address, or VFL_NOT_PLACED */
	bool *wanted;     /* some jump goes there */
	uint32_t n_labels, room_labels;
	struct vfl_fix *fixes; /* in order of address */
	uint32_t n_fixes, room_fixes;
};

#define VFL_NOT_PLACED UINT32_MAX

void vfl_code_init(struct vfl_code *k, struct vfl *c);
uint32_t vfl_label(struct vfl_code *k);
void vfl_place(struct vfl_code *k, uint32_t label);
/* One instruction that is no jump. The operand's form is the opcode's. */
void vfl_put(struct vfl_code *k, uint8_t op, uint64_t operand);
/* A jump to a label that is not placed yet: all go forward. */
void vfl_put_jump(struct vfl_code *k, uint8_t op, uint32_t label);
void vfl_put_table(struct vfl_code *k, const struct vfl_table *t);

#endif

/* asm_label.h: the assembler's labels and the places that name them. Private to the assembler. */
#ifndef VM_ASM_LABEL_H
#define VM_ASM_LABEL_H

#include "vm/asm_lex.h"
#include "vm/diag.h"
#include "vm/nearest.h"

#define ASM_MAX_LABELS      65536u
#define ASM_MAX_LABEL_BYTES NEAREST_MAX_NAME_BYTES

/* A name in the source, defined at an address or used by the operand at an address. */
struct asm_label {
	const char *name; /* into the source */
	uint32_t name_bytes;
	uint32_t line, column;
	uint32_t pc;   /* definition: the address it stands for; use: address of the operand */
	bool is_rel16; /* use: a jump, else a 64-bit constant */
};

struct asm_label_list {
	uint32_t n, room;
	struct asm_label *items;
};

/* -ENOMEM. */
int asm_label_append(struct asm_label_list *list, const struct asm_token *name, uint32_t line, uint32_t pc, bool is_rel16);
void asm_label_fini(struct asm_label_list *list);
/* Sorts the definitions by name and reports those that are defined twice. */
void asm_label_sort(struct asm_label_list *definitions, struct diag_list *d);
/* The (first) definition of a name in a sorted list; NULL: none. */
const struct asm_label *asm_label_find(const struct asm_label_list *definitions, const struct asm_label *use);
/* Puts the address of each used label into code (NULL: only reports). Reports unknown labels and jumps that are too far. */
void asm_label_resolve(const struct asm_label_list *definitions, const struct asm_label_list *uses, uint8_t *code,
		       struct diag_list *d);

#endif

/* key.h: where each bit of a key comes from, on one path through the program. For the search only: the checker has its own. */
#ifndef ANALYSIS_KEY_H
#define ANALYSIS_KEY_H

#include "vm/ir.h"

/* What stands for a block parameter on the path being walked: a value id, IR_NONE where unknown. [n_values] */
typedef uint32_t key_env;

enum { KEY_0, KEY_1, KEY_OPAQUE };

/* One bit: 0, 1, opaque, or bit `bit` of source. A source is a packet byte (KEY_BYTE | offset) or the id of the first value computed
 * in the same way as this one. */
#define KEY_SOURCE 16u
#define KEY_BYTE   0x80000000u
struct key_bit {
	uint32_t source; /* KEY_0, KEY_1, KEY_OPAQUE, KEY_BYTE | offset, or KEY_SOURCE + value id */
	uint8_t bit;
};

struct key_bits {
	struct key_bit bit[64];
};

/* A field: bits [first, first + bits) of the key that come from one source in ascending order, widened over neighbours that continue
 * it (the next byte of the packet). */
struct key_field {
	uint8_t first, bits;
	struct key_bit lowest; /* where its lowest bit comes from */
};

#define KEY_MAX_FIELDS 16

struct key_form {
	struct key_bits bits;
	uint8_t width; /* bits above are 0 */
	uint32_t n_fields;
	struct key_field fields[KEY_MAX_FIELDS]; /* from the top down */
};

/* Follows parameters through env. */
uint32_t key_resolve(const struct ir *ir, const key_env *env, uint32_t value);
/* Is the value computed from the packet alone, on this path? */
bool key_packet_only(const struct ir *ir, const key_env *env, uint32_t value, uint32_t *budget);
/* Same computation on this path? */
bool key_same(const struct ir *ir, const key_env *env, uint32_t x, uint32_t y, uint32_t *budget);
void key_form(const struct ir *ir, const key_env *env, uint32_t value, struct key_form *form);
/* Is the field the whole of a packet load of 1, 2, 4 or 8 bytes? */
bool key_field_load(const struct key_field *f, uint32_t *offset, uint32_t *bytes);

#endif

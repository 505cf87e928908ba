/* vec_parts.h: between the files of the vector code. Not for others.
 *
 *     vec_load.c    windows of the packets into lanes
 *     vec_split.c   blocks cut where lanes end                                      vec_leave.c  what is handed on from there
 *     vec_onward.c  the continuations' code
 *     vec_region.c  what runs in lanes, and what of the packets is loaded first     vec.c      its code, lanes of any number
 *     vec512.c      16 lanes in AVX-512 registers                                   vec256.c   8 lanes in AVX2 registers
 */
#ifndef JIT_VEC_PARTS_H
#define JIT_VEC_PARTS_H

#include "jit/evex.h"

enum vec_state { VEC_UNREACHED, VEC_INSIDE = JIT_FLAT, VEC_OUTSIDE };

#define VEC_MAX_WINDOWS  8
#define VEC_ACCUMULATORS 2
#define VEC_MAX_POOL     8
#define VEC_CONSTANTS    256 /* remembered, so that most stand in the code once */

/* Registers with masks: the ways out of a block, its own, lanes to be handed back. */
enum { VEC_YES = 0, VEC_NO = 2, VEC_OWN = 1, VEC_LEFT = 11 };

struct vec_isa;

struct vec {
	struct ir *ir;
	const struct vec_isa *isa;
	struct jit_buf *b;
	uint32_t insn_limit;
	uint8_t *state;  /* [block] enum vec_state */
	uint64_t *insns; /* [block] at most so many instructions are executed before it */
	uint8_t *needed; /* [value] */
	struct jit_places places;
	uint32_t window_start[VEC_MAX_WINDOWS]; /* packet offset */
	uint32_t n_windows;
	uint32_t guard; /* packets this long, at least */
	bool finds_verdicts;
	/* How lanes leave. */
	struct jit_continuations *continuations;
	uint8_t *leave_by;    /* [block] 1 + continuation; 0: none */
	uint8_t *slot;        /* [value] 1 + where it is handed on; 0: it is not */
	uint32_t slots_begun; /* bit s: some lanes' value is in slot s - 1 */
	/* Masks of blocks to come: where (0: none yet; 1 .. POOL: register; above: stack word). */
	uint16_t *mask_at; /* [block] */
	bool pool_used[VEC_MAX_POOL];
	uint8_t n_pool;
	uint32_t mask_words; /* of the stack */
	uint8_t *word_used;
	uint32_t words_offset;
	uint32_t accumulated[VEC_ACCUMULATORS]; /* constants returned, by register */
	uint32_t n_accumulated;
	struct {
		uint32_t number, label;
		bool used;
	} constants[VEC_CONSTANTS];
	uint8_t wants;       /* VEC_DATA, VEC_INPUT, VEC_SIGNED */
	uint32_t exit;       /* label */
	uint32_t swap, bits; /* constants: bytes of each 32 bits reversed; AVX2: bit i in lane i */
};

/* ---- instructions on all lanes, and on masks of lanes ---- */

/* Second operands are those of evex.h: a register, the stack, a constant as wide as its lanes or (AVX-512) as one, repeated. Registers from
 * scratch on, five, are never given to values; functions that take a mask use the last two of them. */
struct vec_isa {
	enum jit_tier tier;
	uint8_t lanes;
	uint8_t bytes;          /* of a vector */
	uint8_t constant_bytes; /* of a number in memory that is used in all lanes */
	uint8_t constant_kind;  /* how such an operand is written */
	struct jit_regs values;
	uint8_t first_window, n_windows, scratch;
	uint8_t blocks_at_once; /* so many blocks of windows are loaded together, to the first four times as many registers */
	/* d = a op s */
	void (*op)(struct jit_buf *b, enum evex_op op, uint8_t d, uint8_t a, struct evex_src s);
	/* d = a << n or a >> n */
	void (*shift)(struct jit_buf *b, bool left, uint8_t d, uint8_t a, uint8_t n);
	void (*move)(struct jit_buf *b, uint8_t d, struct evex_src s);
	void (*store)(struct jit_buf *b, uint32_t stack, uint8_t s);
	/* d = s in lanes of the mask. */
	void (*blend)(const struct vec *v, uint8_t d, struct evex_src s, uint8_t mask);
	/* The lanes of the mask return s. */
	void (*result)(const struct vec *v, struct evex_src s, uint8_t mask);
	/* VEC_YES = lanes of the mask, VEC_OWN or another, where (a cond s), without sign; VEC_NO = its other lanes. */
	void (*compare)(const struct vec *v, uint8_t cond, uint8_t a, struct evex_src s, uint8_t mask);
	/* d = field of the arguments at an offset. */
	void (*load_args)(struct jit_buf *b, uint8_t d, uint32_t offset);
	/* The field = s. */
	void (*store_args)(struct jit_buf *b, uint32_t offset, uint8_t s);
	/* The register with packets' lengths, with addresses of the lower or upper half of the lanes: maybe d, which is loaded. */
	uint8_t (*lengths)(struct jit_buf *b, uint8_t d);
	uint8_t (*address)(struct jit_buf *b, bool upper, uint8_t d);
	/* d = 32 bits, big-endian, at each lane's address + offset, 0 in lanes out of the mask. d, low and high are none of the last two
	 * scratches. */
	void (*gather)(const struct vec *v, uint8_t d, uint8_t low, uint8_t high, int32_t offset, uint8_t mask);
	/* 128 bits at [gpr + offset] to chunk 0, 1 .. of d; chunk 0 comes first. */
	void (*load_chunk)(struct jit_buf *b, uint8_t d, uint8_t gpr, int32_t offset, uint8_t chunk);
	/* Lanes of s to 64 bits: the lower half to low, the upper to high; neither is s. */
	void (*widen)(struct jit_buf *b, uint8_t low, uint8_t high, uint8_t s);
	/* First and last: no lane returns anything; results go to the arguments. */
	void (*enter)(struct jit_buf *b);
	void (*leave)(struct jit_buf *b);
};

extern const struct vec_isa vec_avx512, vec_avx2;

/* ---- vec_load.c ---- */

#define VEC_BLOCK 16u /* bytes; with windows a packet has at least so many */

/* All windows, in all lanes; VEC_OWN is the mask of the lanes that there are and that are long enough, the others' windows hold anything.
 * r8: the packets, of all lanes. Jumps to the label if there are no lanes. Changes scratch registers, values' and rsi. */
void vec_load_windows(struct vec *v, uint32_t no_lanes);
/* ---- vec_split.c, vec_leave.c ---- */

/* Cuts blocks where the region ends inside. 0 or -ENOMEM. */
int vec_split(struct ir *ir, const uint8_t *needed);
/* Can the value be had in a continuation: handed on, or loaded again? */
bool vec_hands_on(const struct ir *ir, uint32_t v);
/* Fills in v->continuations, but for slots and entries; after the region is found. 0 or -ENOMEM. */
int vec_find_continuations(struct vec *v, const uint8_t *needed);

/* ---- vec_onward.c ---- */

/* Code that goes on with packets behind the lanes. 0; -ENOTSUP: no packet is long enough; -ENOMEM. */
int vec_onward(const struct ir *ir, const struct jit_continuations *c, const struct jit_target *t, struct jit_buf *b);

/* ---- vec_region.c ---- */

/* Finds what runs in lanes. 0 or -ENOTSUP: nothing to gain. */
int vec_region(struct vec *v, const uint8_t *needed);
/* What of it must be computed, its windows, slots of what is handed on; changes v->ir, whose args have room for VEC_SLOTS more. 0 or -ENOMEM. */
int vec_plan(struct vec *v);
/* Do lanes have the value? */
bool vec_has(const struct ir *ir, uint32_t id);
bool vec_takes(const struct ir *ir, uint32_t block, unsigned k);
bool vec_undecided(const struct ir *ir, uint32_t block);
/* The part of a load at a constant offset whose low 32 bits count. */
uint32_t vec_part_start(const struct ir_value *x);
uint32_t vec_part_bytes(const struct ir_value *x);
/* Start of the four bytes that end at `end`. */
uint32_t vec_window_of(uint32_t end);
/* The window that has the load's part; -1: none. */
int vec_find_window(const struct vec *v, const struct ir_value *x);

#endif

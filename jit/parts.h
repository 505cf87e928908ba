/* parts.h: between the files of the compiler. Not for others.
 *
 *     opt_fold.c  values with one possible outcome become constants       alloc.c   registers and spill slots, linear scan
 *     opt_cse.c   a value computed before is not computed again           gen.c     the IR to target operations
 *     opt_dead.c  what is needed for the verdict, faults and tables       x86.c     operations to x86-64 machine code
 *     opt_tests.c chains of tests as lists             x86_tests.c, arm64_tests.c   lists of tests, in x86-64 all items at once
 *     probe.c     what the code calls for tables                          headers.c   and for headers
 *     moves.c     values to where they are wanted, all at once            x86_loop.c, arm64_loop.c   a body that runs packet after packet
 *     exec.c      executable memory, perf map                             jit.c     the API
 *     vec_parts.h  many packets at once                                   lanes.c   bursts in it, and the packets that it leaves
 *     hint.c      the entry that a packet looks at first, to be prefetched     arm64.c   the same to arm64, arm64_encode.c its instructions
 */
#ifndef JIT_PARTS_H
#define JIT_PARTS_H

#include <stddef.h>
#include <string.h>

#include "jit/jit.h"
#include "vm/fuse_list.h"
#include "vm/ir.h"

struct table_bucket;

/* The key that a packet looks up first, and where it is at home in the table; NULL: not known. */
struct jit_hinted {
	uint64_t key;
	struct table_bucket *home;
};
#define JIT_NO_HINT        UINT64_MAX
#define JIT_NOTHING_PARSED ((const uint8_t *)(uintptr_t)1)

/* What compiled code is given beside the packet. Offsets are in the code. */
struct jit_env {
	struct shard *shard;
	uint64_t input;
	uint64_t insns;   /* counted where the limit may be met */
	uint64_t updates; /* counted where VFM_MAX_UPDATES may be passed */
	/* Headers of the packet at parsed, of parsed_len bytes; JIT_NOTHING_PARSED is no packet's address. */
	const uint8_t *parsed;
	uint64_t parsed_len;
	struct vfm_headers headers;
	/* Where the last load that was to be kept found its key. NULL: nowhere. */
	const struct table *kept_table;
	struct table_bucket *kept_bucket;
	uint64_t hint_table; /* dense index of the table that hinted is about; JIT_NO_HINT: it is not there */
	/* Of loops only, which move them on. */
	struct shard *const *shards;     /* of the next packet */
	const struct jit_hinted *hinted; /* of the packet after this one */
	struct vfm_result *results;
	const struct vfm_packet *end;
	const uint32_t *lane; /* of the packet after this one, in vec_args.live[0] */
};

/* In two registers: how both calling conventions return a pair. */
struct jit_ret {
	uint64_t value;
	int64_t error;
};
typedef struct jit_ret (*jit_fn)(const uint8_t *data, uint64_t len, struct jit_env *env);
/* Packets one after another, from first to env->end, each as if alone; env->results (and env->shards, if the loop looks at them) begin
 * at the first one's. Returns the first packet that is too short for the code, and has not been run, or env->end. */
typedef const struct vfm_packet *(*jit_loop_fn)(const struct vfm_packet *first, struct jit_env *env);

/* ---- passes: they change the ir, which the compiler owns ---- */
void jit_fold(struct ir *ir);
int jit_cse(struct ir *ir);
/* The same where all values of blocks marked JIT_FLAT are computed whatever path is taken: an earlier one need not dominate. */
#define JIT_FLAT 1
int jit_cse_flat(struct ir *ir, const uint8_t *flat_blocks);
/* needed[v]: v is to be computed (or at least checked for its fault). 0 or -ENOMEM; heap. */
int jit_dead(const struct ir *ir, uint8_t **needed);

/* ---- where values are ---- */
#define JIT_NO_REG  0xff
#define JIT_NO_SLOT UINT32_MAX

struct jit_place {
	uint8_t reg;   /* JIT_NO_REG: in the slot */
	uint32_t slot; /* 8 bytes each, below the frame */
};

/* A target's registers as allocation sees them. */
struct jit_regs {
	const uint8_t *caller; /* lost by calls */
	const uint8_t *callee; /* kept by calls, to be saved */
	uint8_t n_caller, n_callee;
};

struct jit_places {
	struct jit_place *at; /* [n_values] */
	uint32_t n_slots;
	uint32_t saved; /* bit r: callee-saved register r is used */
};

struct jit_tests;

/* 0 or -ENOMEM. Constants get no place. early_params: parameters are written one after another at the end of each predecessor, so
 * they live from the end of the first one and share no place with arguments. tests: blocks that end in lists, or NULL. */
int jit_alloc(const struct ir *ir, const uint8_t *needed, const struct jit_regs *regs, bool early_params,
	      const struct jit_tests *tests, struct jit_places *out);
bool jit_is_call(const struct ir_value *v);

/* ---- chains of tests ---- */

/* Tests look at windows of 8 bytes (vm/fuse_list.h): of the packet, or of a value, whose bytes, the lowest first, are taken to
 * stand at JIT_VALUE_AT + 16 * value. */
#define JIT_VALUE_AT 0x20000u

static inline bool jit_window_of_value(uint32_t at)
{
	return at >= JIT_VALUE_AT - 8;
}

static inline uint32_t jit_window_value(uint32_t at)
{
	return (at + 8 - JIT_VALUE_AT) / 16;
}

/* Bits by which the value is to be shifted right (negative: left) to be the window. */
static inline int jit_window_shift(uint32_t at)
{
	return 8 * ((int)((at + 8 - JIT_VALUE_AT) % 16) - 8);
}

/* How a program runs on packets that are long enough for all its loads: blocks end in lists of tests where they can, which take the
 * place of further blocks. */
struct jit_tests {
	struct gist *gists; /* [block] */
	uint32_t *home;     /* [block] the block that computes its values: itself, or one before the list that it is in */
	uint8_t *needed;    /* [value] */
	uint8_t *emitted;   /* [block] it is still gone to */
	uint32_t max_items; /* of a list */
	uint32_t guard;     /* packets this long, at least */
	struct plan plan;   /* the last one made, */
	uint32_t planned;   /* of the list at this block; IR_NONE: none yet */
};

/* needed is jit_dead()'s. max_items: 1 .. LIST_MAX_ITEMS. 0 or -ENOMEM; jit_tests_fini() in any case. */
int jit_tests(const struct ir *ir, const uint8_t *needed, uint32_t max_items, struct jit_tests *t);
void jit_tests_fini(struct jit_tests *t);
/* The list that begins at the block's end; valid until another one is asked for. */
const struct plan *jit_tests_plan(struct jit_tests *t, uint32_t block);
/* The block behind those that do nothing. */
uint32_t jit_tests_resolve(const struct jit_tests *t, uint32_t block);
/* Lists one after another, all of whose ends are constants: heads[0] = block and the blocks that the next ones begin at. Returns
 * how many; 0: the list at block has other ends, or there are too many. Leaves the last one in plan. */
#define JIT_MAX_CHAIN 4
unsigned jit_tests_chain(struct jit_tests *t, uint32_t block, uint32_t heads[JIT_MAX_CHAIN]);
/* needed[v] where blocks end in lists; constant loads cannot fault there. 0 or -ENOMEM. */
int jit_dead_tests(const struct ir *ir, const struct gist *gists, uint8_t **needed);

/* What a condition looks at of a window: a number of 1, 2, 4 or 8 bytes at a place in it, little-endian; of a value's, all of the value. */
struct jit_part {
	unsigned at, bytes;
	uint64_t mask, value;
};

static inline uint64_t jit_low_bytes(unsigned bytes)
{
	return UINT64_MAX >> (64 - 8 * bytes);
}

/* Of window w of an item, whose mask is not 0. */
struct jit_part jit_part_of(const struct reg_list *list, uint32_t w, uint32_t item);

/* A list of tests and what comes of it, for a target to write. */
struct jit_decision {
	const struct plan *plan;
	uint32_t items_at_once;
	bool calls;
	struct jit_place place[LIST_MAX_WINDOWS]; /* of windows of values */
	bool returns; /* the exits' values are results, one of which is to be put into scratch[0]; else go on at labels */
	bool chained; /* results alone, of two items at least: values[n] is not meant, but what scratch[0] holds */
	uint64_t values[LIST_ITEM_ROOM]; /* [n + 1] */
	uint32_t labels[LIST_ITEM_ROOM];
	uint32_t next; /* the label that follows */
};

/* ---- machine code under construction; errors are sticky ---- */
#define JIT_NO_LABEL UINT32_MAX

struct jit_fixup {
	uint32_t at; /* where the target writes the distance */
	uint32_t label;
};

struct jit_buf {
	uint8_t *code;
	uint32_t n, room;
	uint32_t *labels; /* [label] offset */
	uint32_t n_labels, room_labels;
	struct jit_fixup *fixups;
	uint32_t n_fixups, room_fixups;
	uint8_t *pool; /* constants, to stand behind the code */
	uint32_t n_pool, room_pool;
	struct jit_fixup *pooled; /* where in the pool its labels are */
	uint32_t n_pooled, room_pooled;
	bool failed;
};

/* Makes room for n more bytes of code. False: no memory. */
bool jit_room(struct jit_buf *b, uint32_t n);

static inline void jit_bytes(struct jit_buf *b, const void *bytes, uint32_t n)
{
	if (n == 0 || (b->room - b->n < n && !jit_room(b, n)))
		return;
	memcpy(b->code + b->n, bytes, n);
	b->n += n;
}

uint32_t jit_label(struct jit_buf *b);
void jit_place_label(struct jit_buf *b, uint32_t label);
void jit_fixup(struct jit_buf *b, uint32_t at, uint32_t label);
/* n bytes of data behind the code, aligned to align (at most 64); returns their label. */
uint32_t jit_constant(struct jit_buf *b, const void *bytes, uint32_t n, uint32_t align);
/* Ends the code: puts all constants here, at a multiple of 64. */
void jit_place_constants(struct jit_buf *b);
void jit_buf_fini(struct jit_buf *b);

/* ---- targets ---- */
enum jit_alu { ALU_ADD, ALU_SUB, ALU_AND, ALU_OR, ALU_XOR, ALU_MUL, ALU_SHL, ALU_SHR };

/* What a loop does about packets' shards, beside running them. */
enum jit_loop_shards {
	LOOP_ALONE,  /* nothing, nor does the program: clocks are the caller's matter */
	LOOP_SHARDS, /* looks at env->shards */
	LOOP_TIMES,  /* and sets their clocks */
};

/* A body that runs packet after packet. */
struct jit_loop {
	bool calls;
	uint32_t saved, n_slots; /* of places */
	uint32_t guard;          /* it stops at a packet that is shorter */
	enum jit_loop_shards shards;
	bool input, insns, updates; /* sets these fields of env: to the packet's input, to 0 */
	bool lanes;                 /* moves env->lane on */
	uint32_t head, stop;        /* labels */
};

/* Small records: everything that gen.c asks of a machine. Registers are numbers of the target; scratch registers are never given to
 * values. All arithmetic has 64 bits; immediates are any 64 bits. d may equal a or b. */
struct jit_target {
	const char *name;
	struct jit_regs leaf, calling; /* for code without and with calls */
	struct jit_regs leaf_loop, calling_loop;
	uint8_t scratch[2];
	uint8_t args[4];
	uint8_t result;
	void (*prologue)(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots);
	/* Returns value (in scratch[0]) and an error number. */
	void (*epilogue)(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots, int error);
	/* Up to where the first packet's body begins. In loops values are in the registers of looping and looping_calling. */
	void (*begin_loop)(struct jit_buf *b, const struct jit_loop *l);
	/* Value and error are in the scratch registers: to the results with them, and on to the next packet. Falls out of the loop's end. */
	void (*end_loop)(struct jit_buf *b, const struct jit_loop *l);
	void (*move)(struct jit_buf *b, uint8_t d, uint8_t s);
	void (*set)(struct jit_buf *b, uint8_t d, uint64_t imm);
	void (*load_slot)(struct jit_buf *b, uint8_t d, uint32_t slot);
	void (*store_slot)(struct jit_buf *b, uint32_t slot, uint8_t s);
	void (*alu)(struct jit_buf *b, enum jit_alu op, uint8_t d, uint8_t a, uint8_t s);
	void (*alu_imm)(struct jit_buf *b, enum jit_alu op, uint8_t d, uint8_t a, uint64_t imm);
	void (*divide)(struct jit_buf *b, bool remainder, uint8_t d, uint8_t a, uint8_t s);
	void (*invert)(struct jit_buf *b, bool negate, uint8_t d, uint8_t a);
	/* Big-endian load of 1, 2, 4 or 8 bytes at data + offset, or data + index. */
	void (*load)(struct jit_buf *b, bool calls, uint8_t d, unsigned bytes, uint32_t offset);
	void (*load_indexed)(struct jit_buf *b, bool calls, uint8_t d, unsigned bytes, uint8_t index);
	/* Fields of struct jit_env, or of its shard. */
	void (*load_env)(struct jit_buf *b, bool calls, uint8_t d, uint32_t offset);
	void (*load_shard)(struct jit_buf *b, bool calls, uint8_t d, uint32_t offset);
	/* env->field += imm, then compare with limit: jump if above (label JIT_NO_LABEL: no compare). */
	void (*count)(struct jit_buf *b, bool calls, uint32_t offset, uint32_t imm, uint32_t limit, uint32_t label);
	void (*length)(struct jit_buf *b, bool calls, uint8_t d);
	void (*data)(struct jit_buf *b, bool calls, uint8_t d);
	/* d = 32 bits at [base + offset], in the CPU's byte order. NULL: no lanes. */
	void (*load32)(struct jit_buf *b, uint8_t d, uint8_t base, uint32_t offset);
	/* d = address of the struct jit_env */
	void (*env)(struct jit_buf *b, bool calls, uint8_t d);
	/* Jump to label if (a cond s), cond being VFM_OP_JEQ and so on. */
	void (*branch)(struct jit_buf *b, uint8_t cond, uint8_t a, uint8_t s, uint32_t label);
	void (*branch_imm)(struct jit_buf *b, uint8_t cond, uint8_t a, uint64_t imm, uint32_t label);
	/* Jump to label if the packet is shorter than bytes. */
	void (*branch_short)(struct jit_buf *b, bool calls, uint32_t bytes, uint32_t label);
	void (*jump)(struct jit_buf *b, uint32_t label);
	void (*call)(struct jit_buf *b, const void *function);
	/* How many items of a list decide() tests together on this CPU; 1: lists are to have one item. NULL: no lists. */
	uint32_t (*items_at_once)(void);
	void (*decide)(struct jit_buf *b, const struct jit_decision *d);
	/* Writes the distances. */
	void (*link)(struct jit_buf *b);
};

extern const struct jit_target jit_x86, jit_arm64;
void jit_arm64_begin_loop(struct jit_buf *b, const struct jit_loop *l);
void jit_arm64_decide(struct jit_buf *b, const struct jit_decision *d);
void jit_arm64_end_loop(struct jit_buf *b, const struct jit_loop *l);
/* Registers to be kept (and those of code with calls) to the stack, slots below them; and back, with the return. */
void arm64_push_frame(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots);
void arm64_pop_frame(struct jit_buf *b, bool calls, uint32_t saved, uint32_t n_slots);
void jit_x86_link(struct jit_buf *b);
void jit_x86_begin_loop(struct jit_buf *b, const struct jit_loop *l);
void jit_x86_end_loop(struct jit_buf *b, const struct jit_loop *l);
uint32_t jit_x86_items_at_once(void);
void jit_x86_decide(struct jit_buf *b, const struct jit_decision *d);

/* ---- parallel moves between places ---- */

#define JIT_PLACE_REGS 32 /* places are numbered: registers first, then slots */

struct jit_moves {
	uint32_t *readers, *source, *pending, *ready; /* for each place; between uses nothing reads and nothing is a source */
	uint32_t n;                                   /* pending */
	const struct jit_target *t;
	struct jit_buf *b;
};

static inline uint32_t jit_place_number(const struct jit_place *p)
{
	return p->reg != JIT_NO_REG ? p->reg : JIT_PLACE_REGS + p->slot;
}

/* 0 or -ENOMEM; jit_moves_fini() in any case. */
int jit_moves_init(struct jit_moves *m, uint32_t n_slots);
void jit_moves_fini(struct jit_moves *m);
/* Place d is to get what is in s. */
void jit_moves_add(struct jit_moves *m, uint32_t d, uint32_t s);
/* Does what was added, all at once. spare: a register that none of it names, and not scratch[0] where slots move. */
void jit_moves_do(struct jit_moves *m, const struct jit_target *t, struct jit_buf *b, uint8_t spare);

/* The whole program: guard, unchecked body, checked body. */
int jit_gen(const struct ir *ir, const uint8_t *needed, const struct jit_target *t, uint32_t insn_limit, struct jit_buf *b);
/* The unchecked body as a jit_loop_fn. -ENOTSUP: no packet is long enough. */
int jit_gen_loop(const struct ir *ir, const uint8_t *needed, const struct jit_target *t, uint32_t insn_limit,
		 enum jit_loop_shards shards, struct jit_buf *b);
/* Does the program look at its shard, so that packets' shards matter? */
bool jit_uses_shard(const struct ir *ir, const uint8_t *needed);

/* ---- continuations: scalar code that goes on where lanes left the region (vec_leave.c) ---- */
#define JIT_MAX_CONTINUATIONS 8
#define JIT_MAX_LIVE          8  /* values handed on to one */
#define JIT_MAX_RELOADS       16 /* values that one loads again */

enum jit_key { JIT_KEY_UNKNOWN, JIT_KEY_IN_PACKET, JIT_KEY_HANDED_ON };

struct jit_continuation {
	uint32_t block; /* it goes on from */
	uint32_t n_live, n_reloads;
	uint32_t live[JIT_MAX_LIVE]; /* values, those of the block's parameters included */
	uint32_t reload[JIT_MAX_RELOADS];
	uint8_t slot[JIT_MAX_LIVE]; /* of each in vec_args.live */
	/* Where its first table instruction's key is, if it is known before, and the table's dense index. */
	enum jit_key key;
	uint32_t key_at; /* offset in the packet; index into live */
	uint32_t key_bytes;
	uint32_t table;
};

struct jit_continuations {
	uint32_t n, n_live; /* of all together */
	struct jit_continuation at[JIT_MAX_CONTINUATIONS];
	uint32_t known;   /* packets are at least this long */
	uint8_t *reached; /* [block] by some of them; heap, while code is made */
	uint8_t *needed;  /* [value] likewise */
};

/* ---- many packets at once ---- */
#define VEC_LANES JIT_LANES
#define VEC_SLOTS 16

/* data[i], len[i], packets[i] of lane i, all that the tier has; active: which of them there are. Writes out[i] for the lanes whose verdict was
 * found; returns the others. Of those, bit i of leave[k] tells that lane i goes on with continuation k, whose live values are
 * live[slot][i], and so does by[i] = k if there are several. All arrays of lanes are 64-byte aligned. */
struct vec_args {
	uint64_t data[VEC_LANES];
	uint32_t len[VEC_LANES];
	uint32_t input[VEC_LANES];
	uint32_t out[VEC_LANES];
	struct vfm_packet mended[VEC_LANES]; /* the code's own */
	uint32_t by[VEC_LANES];
	uint32_t live[VEC_SLOTS][VEC_LANES];
	uint32_t leave[JIT_MAX_CONTINUATIONS];
} __attribute__((aligned(64)));
/* Where a lane's number in another array is, as seen from live[0]. */
#define VEC_FROM_LIVE(array) ((uint32_t)offsetof(struct vec_args, array) - (uint32_t)offsetof(struct vec_args, live))
typedef uint32_t (*jit_vec_fn)(struct vec_args *args, uint32_t active, const struct vfm_packet *packets);

/* What jit_vec() makes. */
struct jit_vec_code {
	struct jit_buf lanes;
	struct jit_buf onward; /* a jit_loop_fn over packets that all go on; empty: no continuations */
	struct jit_continuations continuations;
	uint8_t wants; /* VEC_DATA, VEC_INPUT: of the arguments, else they need not be filled; VEC_SIGNED: out[] is 64 bits' lower half, with sign */
};
enum { VEC_DATA = 1, VEC_INPUT = 2, VEC_SIGNED = 4 };
void jit_vec_code_fini(struct jit_vec_code *c);

/* tier: JIT_AVX2, 8 lanes, or JIT_AVX512, 16. needed is jit_dead()'s. 0; -ENOTSUP: nothing to gain; -ENOMEM. Changes ir. */
int jit_vec(struct ir *ir, const uint8_t *needed, enum jit_tier tier, uint32_t insn_limit, struct jit_vec_code *out);

/* ---- table instructions, called by code (probe.c); index is dense ---- */
uint64_t jit_table_load(struct jit_env *env, uint64_t index, uint64_t key);
uint64_t jit_table_load_keep(struct jit_env *env, uint64_t index, uint64_t key); /* a store of the key may follow */
void jit_table_store(struct jit_env *env, uint64_t index, uint64_t key, uint64_t value);
void jit_table_store_kept(struct jit_env *env, uint64_t index, uint64_t key, uint64_t value); /* the key was loaded */
uint64_t jit_table_add(struct jit_env *env, uint64_t index, uint64_t key, uint64_t delta);
uint64_t jit_table_add_kept(struct jit_env *env, uint64_t index, uint64_t key, uint64_t delta);
void jit_table_delete(struct jit_env *env, uint64_t index, uint64_t key);

/* ---- header instructions, called by code (headers.c): a packet is parsed once ---- */
uint64_t jit_hdr(struct jit_env *env, const uint8_t *data, uint64_t len, uint64_t item);
uint64_t jit_hash5(struct jit_env *env, const uint8_t *data, uint64_t len);
uint64_t jit_hash5s(struct jit_env *env, const uint8_t *data, uint64_t len);

/* ---- executable memory: written, then made executable, never both ---- */
struct jit_exec {
	uint8_t *code;
	size_t bytes, mapped;
};
/* -errno: no executable memory. */
int jit_exec_new(const uint8_t *code, size_t bytes, struct jit_exec *out);
void jit_exec_free(struct jit_exec *e);
/* Appends a line to /tmp/perf-PID.map if VFM_PERF_MAP is set; failures are silent. */
void jit_perf_map(const uint8_t *code, size_t bytes, const char *name);

/* ---- prefetch: bursts of loop-free programs with tables ---- */
struct jit_hint {
	jit_loop_fn run;         /* NULL: there is nothing to prefetch. It looks at shards, but sets no clock */
	uint32_t table;          /* dense index: the one that hints are about */
	uint32_t fewest_entries; /* below them a table is in the cache anyway */
	bool spread;             /* packets come on many shards, whose tables together are larger */
};
#define JIT_FEWEST_ENTRIES 8192u
/* For tests: hints for tables that hold fewer. */
void jit_hint_from(struct jit *j, uint32_t fewest_entries);
/* The shard's table, NULL: there is none that is worth a prefetch. */
const struct table *jit_hint_table(const struct jit_hint *h, const struct shard *s, uint32_t table);
/* Code to be run as h->run; ir has been through jit_cse(). 0; -ENOTSUP: no tables, or loops; -ENOMEM. */
int jit_hint_gen(const struct ir *ir, const struct jit_target *t, struct jit_hint *h, struct jit_buf *b);
/* The keys of the packets' first table instructions, if those are on h->table; else any. An error: the packet ends in one before, or is
 * too short to tell. */
void jit_hint_keys(const struct jit_hint *h, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
		   struct vfm_result *keys);
#define JIT_HINT_MOST 16 /* packets */
/* Sets h->spread for a burst. */
void jit_hint_look(struct jit_hint *h, uint32_t n, struct shard *const *shards);
/* Prefetches the packets' shards, if they are many. */
void jit_hint_shards(const struct jit_hint *h, uint32_t n, struct shard *const *shards);
/* Prefetches for at most JIT_HINT_MOST packets that run next, where tables are large, and fills hinted[n]; false: no table is, and it is not
 * filled. h->run is not NULL. */
bool jit_hint_burst(const struct jit_hint *h, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
		    struct jit_hinted *hinted);

/* ---- lanes.c: bursts in the vector code ---- */
#define JIT_LANES_AHEAD 32 /* packets */

struct jit_lanes {
	jit_vec_fn run; /* NULL: no vector code */
	uint32_t lanes; /* packets that it takes */
	uint8_t wants;
	jit_fn restart; /* the whole program */
	jit_loop_fn onward;
	struct jit_continuations continuations;
	const struct jit_hint *hint;
};

/* Packets that lanes left; of them those continued; those for which lanes found neither a verdict nor the entry to fetch. */
struct jit_lanes_counts {
	uint32_t left, continued, idle;
};

/* Sets the clocks of n packets' shards, where no verdict looks at them. */
void jit_set_times(uint32_t n, const struct vfm_packet *packets, struct shard *const *shards);
/* Runs 1 .. JIT_LANES_AHEAD packets on their shards, in order as far as anyone can tell. */
void jit_lanes_run(const struct jit_lanes *l, uint32_t n, const struct vfm_packet *packets, struct shard *const *shards,
		   struct vfm_result *results, struct jit_lanes_counts *counts);

#endif

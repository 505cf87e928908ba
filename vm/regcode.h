/* regcode.h: the interpreter's register form, private to lift.c, fuse.c and interp.c.
 *
 * lift.c turns each block of bytecode into register operations by running it on a stack of symbols. Three kinds of value are known:
 * a constant, a bit field of the packet at a fixed place, and a register. Constants and fields travel across blocks as symbols and
 * cost nothing until an operation needs them. Registers 0 .. 255 are homes: home j of a block is the j-th of its `lo` input slots
 * counted from the deepest; an edge into a block with fewer slots shifts the homes down. Registers from 256 on are temporaries of
 * one block.
 *
 * A field is read as the 8 bytes that end where it ends (the first 8 bytes of the packet if it ends before byte 8), so a packet
 * must have at least 8 readable bytes: interp_run copies shorter ones.
 */
#ifndef VM_REGCODE_H
#define VM_REGCODE_H

#include "vm/fuse_list.h"
#include "vm/interp.h"

#define REG_HOMES   256u
#define REG_TEMPS   288u /* no more are alive at once than the stack has slots, and a few for moves */
#define REG_UNKNOWN 0xffffu

enum sym_kind { SYM_NONE, SYM_CONST, SYM_FIELD, SYM_REG };

/* FIELD: (the big-endian number ending at byte `end` >> shift) & v. */
struct sym {
	uint8_t kind;
	uint8_t shift;
	uint32_t end; /* FIELD: offset of the first byte after it; REG: register */
	uint64_t v;   /* CONST: value; FIELD: mask */
};

/* name, registers read (0, a: 1, b: 2, both: 3), writes dst, may be left out if dst is unused */
#define REG_OPS(X) \
	X(MOVI, 0, 1, 1) \
	X(MOV, 1, 1, 1) \
	X(FIELD, 0, 1, 1) \
	X(ADD_RR, 3, 1, 1) \
	X(ADD_RI, 1, 1, 1) \
	X(SUB_RR, 3, 1, 1) \
	X(SUB_RI, 1, 1, 1) \
	X(MUL_RR, 3, 1, 1) \
	X(MUL_RI, 1, 1, 1) \
	X(DIV_RR, 3, 1, 0) \
	X(DIV_RI, 1, 1, 1) \
	X(MOD_RR, 3, 1, 0) \
	X(MOD_RI, 1, 1, 1) \
	X(AND_RR, 3, 1, 1) \
	X(AND_RI, 1, 1, 1) \
	X(OR_RR, 3, 1, 1) \
	X(OR_RI, 1, 1, 1) \
	X(XOR_RR, 3, 1, 1) \
	X(XOR_RI, 1, 1, 1) \
	X(SHL_RR, 3, 1, 1) \
	X(SHL_RI, 1, 1, 1) \
	X(SHR_RR, 3, 1, 1) \
	X(SHR_RI, 1, 1, 1) \
	X(MIX_RR, 3, 1, 1) \
	X(MIX_RI, 1, 1, 1) \
	X(NOT, 1, 1, 1) \
	X(NEG, 1, 1, 1) \
	X(LDX8, 1, 1, 0) \
	X(LDX16, 1, 1, 0) \
	X(LDX32, 1, 1, 0) \
	X(LDX64, 1, 1, 0) \
	X(HASH5, 0, 1, 1) \
	X(HASH5S, 0, 1, 1) \
	X(HDR, 0, 1, 1) \
	X(PKTLEN, 0, 1, 1) \
	X(NOW, 0, 1, 1) \
	X(INPUT, 0, 1, 1) \
	X(FLOW_LOAD, 1, 1, 1) \
	X(FLOW_STORE, 3, 0, 0) \
	X(FLOW_ADD, 3, 1, 0) \
	X(FLOW_ADDI, 1, 1, 0) \
	X(FLOW_DEL, 1, 0, 0) \
	X(CHECK, 0, 0, 0) \
	X(DIVIDE_FAULT, 0, 0, 0) \
	X(COUNT, 0, 0, 0) \
	X(LIMIT, 0, 0, 0) \
	X(SHIFT, 0, 0, 0) \
	X(JMP, 0, 0, 0) \
	X(JEQ_RR, 3, 0, 0) \
	X(JNE_RR, 3, 0, 0) \
	X(JGT_RR, 3, 0, 0) \
	X(JLE_RR, 3, 0, 0) \
	X(JEQ_RI, 1, 0, 0) \
	X(JNE_RI, 1, 0, 0) \
	X(JGT_RI, 1, 0, 0) \
	X(JLE_RI, 1, 0, 0) \
	X(JGT_FIELD, 0, 0, 0) \
	X(JLE_FIELD, 0, 0, 0) \
	X(JMATCH, 0, 0, 0) \
	X(JMISS, 0, 0, 0) \
	X(RET_I, 0, 0, 0) \
	X(RET_R, 1, 0, 0) \
	X(RET_FIELD, 0, 0, 0) \
	X(JMATCH_LIST, 0, 0, 0) \
	X(JMISS_LIST, 0, 0, 0) \
	X(MATCH_RET, 0, 0, 0) \
	X(LIST_RET, 0, 0, 0) \
	X(LIST_NEXT, 0, 0, 0) \
	X(LIST_JMP, 0, 0, 0)

#define REG_ENUM(name, reads, writes, removable) REG_##name,
enum reg_op { REG_OPS(REG_ENUM) REG_OP_COUNT };
#undef REG_ENUM

/* One operation before layout. */
struct rop {
	uint8_t op;    /* enum reg_op */
	uint8_t shift; /* FIELD */
	uint16_t n;    /* FLOW_*: dense table index */
	uint32_t dst, a, b;
	uint32_t end; /* FIELD, CHECK */
	uint64_t imm; /* FIELD: mask */
};

/* One instruction as it runs. */
struct reg_insn {
	const void *handler;
	uint64_t imm;    /* FIELD, JGT_FIELD, JLE_FIELD: mask; JMATCH, JMISS: mask of the window */
	uint64_t imm2;   /* JMATCH, JMISS: value of the window; JGT_FIELD, JLE_FIELD: constant */
	uint32_t target; /* index of the instruction to go to */
	uint32_t at;     /* first byte of the window, or index into lists; CHECK: bytes */
	uint16_t dst, a, b;
	uint8_t shift;
	uint8_t op;
};

enum term_kind { TERM_NEXT, TERM_JMP, TERM_COND, TERM_RET };

/* How a block ends. COND: op is JEQ, JNE, JGT or JLE on (a, b); b may be a constant, then a is a register or field. */
struct term {
	uint8_t kind;
	uint8_t op;
	struct sym a, b; /* RET: a */
};

#define LIFT_SYMBOLS 16u /* symbols are carried across blocks for this many slots from the top */

struct block {
	uint32_t first, end;  /* instructions [first, end) of the proof */
	uint32_t count;       /* of them, those that count toward the limit */
	uint32_t taken, next; /* blocks; UINT32_MAX: none */
	bool back;            /* the jump goes backward */
	bool reached;
	uint16_t lo_in, lo_out;
	uint32_t checked;                  /* bytes surely present at entry */
	struct sym in[LIFT_SYMBOLS];       /* input slots from the top: constant, field, or REG (in its home) */
	uint64_t use[4], kill[4], live[4]; /* homes: read; overwritten; alive at entry */
};

struct lift {
	const struct program *p;
	struct block *blocks;
	uint32_t n_blocks;
	uint32_t *block_of; /* instruction index -> block that begins there, else UINT32_MAX */
	/* the block being lifted */
	uint32_t sp;
	struct sym stack[VFM_STACK_SLOTS];
	uint32_t checked;
	struct rop *ops;
	uint32_t n_ops, room;
	uint32_t n_temps;   /* temporaries are numbered REG_HOMES + i */
	uint32_t *last_use; /* scratch of lift_end, one per temporary */
	uint32_t last_use_room;
	struct {
		struct sym field;
		uint32_t reg;
	} read[4]; /* fields read in this block, the latest few */
	uint32_t n_read;
	struct term term;
	bool failed; /* memory ran out */
};

/* Runs block b on symbols from its entry state: l->stack, l->sp, l->ops, l->term, l->checked. */
void lift_symbols(struct lift *l, uint32_t b);
/* Registers that hold a symbol; emits an operation where it is in none. */
uint32_t lift_to_reg(struct lift *l, struct sym s);
struct rop *lift_emit(struct lift *l, uint8_t op);
/* The register reads of an operation or term: each in turn, for (pointer to) every register that is read. */
uint32_t lift_reads(struct rop *op, uint32_t *reads[2]);
uint32_t lift_term_reads(struct term *t, uint32_t *reads[2]);
bool lift_writes(const struct rop *op);
bool lift_removable(const struct rop *op);

/* lift_flow.c: symbols across blocks to a fixed point, then live homes. */
int lift_flow(struct lift *l);
/* lift_end.c: after lift_symbols: puts live slots into their homes, removes what is not used, gives temporaries registers. */
void lift_end(struct lift *l, uint32_t b);

/* Finds blocks, carries symbols across them to a fixed point, finds live homes. 0 or -ENOMEM. */
int lift_init(struct lift *l, const struct program *p);
void lift_fini(struct lift *l);
/* Lifts block b into l->ops and l->term; temporaries have their final registers. */
void lift_block(struct lift *l, uint32_t b);
/* True if the edge from block `from` to block `to` must move homes: `distance` down, homes [first, first + n). */
bool lift_edge_shift(const struct lift *l, uint32_t from, uint32_t to, uint32_t *first, uint32_t *n, uint32_t *distance);

/* match.c: bit i of the result: the windows of item i fit (`negate` is not applied; bits from n on are undefined). */
typedef uint64_t (*match_function)(const struct reg_list *list, const uint8_t *data);
#define MATCH_WAYS 3
/* Those that this processor can run, the fastest last; how many. */
uint32_t match_all(match_function ways[MATCH_WAYS]);
/* The fastest for this processor. */
match_function match_choose(void);

/* One variant of the code. */
struct reg_code {
	struct reg_insn *insns;
	uint32_t n, room;
	struct reg_list *lists;
	uint32_t n_lists, lists_room;
	match_function match;
};

struct fuse_options {
	uint32_t present_bytes; /* every packet that runs this code has at least so many: checks up to there are left out */
	bool counted;           /* instructions are counted and compared with the limit */
};

/* The window of (field == c). */
struct window fuse_window(const struct sym *field, uint64_t c);

/* Lays out code; handlers[op] is the address of the interpreter's label. 0 or -ENOMEM. */
int fuse_code(struct lift *l, const struct fuse_options *o, const void *const *handlers, struct reg_code *code);
void fuse_code_fini(struct reg_code *code);

#endif

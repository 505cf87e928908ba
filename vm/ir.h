/* ir.h: the common intermediate form of a verified program: control flow, SSA, dominators, known bits and intervals, longest path.
 * BPF export, the analyzer (read only) and the JIT start from it; the certificate checker does not.
 *
 * One pass = one file = one verb. ir_build() makes the form; the passes fill in what they know, in this order if wanted:
 *     ir_build.c  blocks and SSA values            ir_dom.c    immediate dominators
 *     ir_facts.c  known bits, intervals            ir_path.c   worst-case instructions, accesses, updates
 *     ir_print.c  text for people and golden tests
 *
 * Values. The operand stack is gone: every instruction that pushes a new value is one SSA value; PUSH is IR_CONST; POP, DUP, SWAP,
 * OVER, ROT, PICK, JMP and TABLE leave no trace but the instruction count. Values that only have an effect (FLOW_STORE, FLOW_DEL)
 * are values nobody uses. All of a block's values stand in program order: whatever may fault (LD, LDX, DIV, MOD) or touches a table is to be
 * executed in this order. Nothing is removed, not even what is unused: a load faults although its result is dropped.
 *
 * Numbering. Block ids are a reverse post-order from the entry, block 0; a loop's body stands before its exits where the bytecode
 * has it so. A block's values are values[first .. first + n_values), its parameters foremost; ids ascend with block ids. So, apart from arguments of
 * retreating edges (from a block to one with an id not larger), everything is defined at a smaller id than it is used.
 *
 * Joins. A value that differs between a block's predecessors is a parameter of the block (IR_PARAM); each edge has one argument for
 * each parameter of its target. Parameters stand for stack slots numbered from the top at block entry, as the verifier numbers
 * them; of paths that join with unequal depths only the proved `lo` top slots exist.
 *
 * Cost: time and memory linear in the program, times the stack depth (at most 256) where loops or unequal joins shift the stack.
 */
#ifndef VM_IR_H
#define VM_IR_H

#include <stdio.h>

#include "vm/program.h"

#define IR_NONE UINT32_MAX /* no value, no block */

enum ir_op_flag {
	IR_F_A = 1 << 0,      /* uses operand a */
	IR_F_B = 1 << 1,      /* uses operand b */
	IR_F_IMM = 1 << 2,    /* uses imm */
	IR_F_RESULT = 1 << 3, /* has a result */
	IR_F_FAULT = 1 << 4,  /* may end the packet: BOUNDS or DIVISION_BY_ZERO */
	IR_F_READ = 1 << 5,   /* reads a table */
	IR_F_UPDATE = 1 << 6, /* updates a table; may end in LIMIT */
	IR_F_PACKET = 1 << 7, /* result depends on the packet's bytes, length or port */
	IR_F_TIME = 1 << 8,   /* depends on packet time */
};

#define IR_F_UNARY  (IR_F_A | IR_F_RESULT)
#define IR_F_BINARY (IR_F_A | IR_F_B | IR_F_RESULT)

/* Columns: name, flags, bytes loaded, meaning. Arithmetic is the bytecode's (vm/isa.h): 64 bits, unsigned, modulo 2^64. */
#define IR_OPS(X) \
	X(CONST, IR_F_IMM | IR_F_RESULT, 0, "imm") \
	X(PARAM, IR_F_IMM | IR_F_RESULT, 0, "what the edge brings for stack slot imm (0 = top) of block entry") \
	X(LD8, IR_F_IMM | IR_F_RESULT | IR_F_FAULT | IR_F_PACKET, 1, "packet byte at imm") \
	X(LD16, IR_F_IMM | IR_F_RESULT | IR_F_FAULT | IR_F_PACKET, 2, "16 bits at imm, big-endian") \
	X(LD32, IR_F_IMM | IR_F_RESULT | IR_F_FAULT | IR_F_PACKET, 4, "32 bits at imm, big-endian") \
	X(LD64, IR_F_IMM | IR_F_RESULT | IR_F_FAULT | IR_F_PACKET, 8, "64 bits at imm, big-endian") \
	X(LDX8, IR_F_UNARY | IR_F_FAULT | IR_F_PACKET, 1, "packet byte at a") \
	X(LDX16, IR_F_UNARY | IR_F_FAULT | IR_F_PACKET, 2, "16 bits at a, big-endian") \
	X(LDX32, IR_F_UNARY | IR_F_FAULT | IR_F_PACKET, 4, "32 bits at a, big-endian") \
	X(LDX64, IR_F_UNARY | IR_F_FAULT | IR_F_PACKET, 8, "64 bits at a, big-endian") \
	X(ADD, IR_F_BINARY, 0, "a + b") \
	X(SUB, IR_F_BINARY, 0, "a - b") \
	X(MUL, IR_F_BINARY, 0, "a * b") \
	X(DIV, IR_F_BINARY | IR_F_FAULT, 0, "a / b") \
	X(MOD, IR_F_BINARY | IR_F_FAULT, 0, "a % b") \
	X(AND, IR_F_BINARY, 0, "a & b") \
	X(OR, IR_F_BINARY, 0, "a | b") \
	X(XOR, IR_F_BINARY, 0, "a ^ b") \
	X(SHL, IR_F_BINARY, 0, "a << (b & 63)") \
	X(SHR, IR_F_BINARY, 0, "a >> (b & 63)") \
	X(NOT, IR_F_UNARY, 0, "~a") \
	X(NEG, IR_F_UNARY, 0, "-a") \
	X(MIX, IR_F_BINARY, 0, "vfm_mix(a, b); depends on the plan's seed") \
	X(HASH5, IR_F_RESULT | IR_F_PACKET, 0, "hash of the 5-tuple") \
	X(HASH5S, IR_F_RESULT | IR_F_PACKET, 0, "the same for both directions") \
	X(HDR, IR_F_IMM | IR_F_RESULT | IR_F_PACKET, 0, "header item imm (enum vfm_hdr_item)") \
	X(PKTLEN, IR_F_RESULT | IR_F_PACKET, 0, "bytes present") \
	X(INPUT, IR_F_RESULT | IR_F_PACKET, 0, "port the packet came in by") \
	X(NOW, IR_F_RESULT | IR_F_TIME, 0, "packet time") \
	X(HANDED, IR_F_IMM | IR_F_RESULT | IR_F_PACKET, 0, "32 bits that vector code hands on, at imm; only jit/ makes it") \
	X(FLOW_LOAD, IR_F_UNARY | IR_F_READ, 0, "table [a]") \
	X(FLOW_STORE, IR_F_A | IR_F_B | IR_F_UPDATE, 0, "table [a] = b") \
	X(FLOW_ADD, IR_F_BINARY | IR_F_READ | IR_F_UPDATE, 0, "table [a] += b; the new value") \
	X(FLOW_DEL, IR_F_A | IR_F_UPDATE, 0, "remove a from table")

#define IR_OP_ENUM(name, flags, bytes, doc) IR_##name,
enum ir_op { IR_OPS(IR_OP_ENUM) IR_N_OPS };
#undef IR_OP_ENUM

struct ir_op_info {
	const char *name;
	const char *doc;
	uint16_t flags; /* enum ir_op_flag */
	uint8_t bytes;  /* LD, LDX: bytes loaded */
};
extern const struct ir_op_info ir_ops[IR_N_OPS];

struct ir_value {
	uint8_t op;    /* enum ir_op */
	uint8_t table; /* FLOW_*: table number */
	uint32_t pc;   /* of the bytecode instruction; IR_PARAM: of the block */
	uint32_t a, b; /* operands: value ids, IR_NONE where the opcode has none; b was nearer the top of the stack */
	uint64_t imm;
};

enum ir_term {
	IR_GOTO,   /* to succ[0] */
	IR_BRANCH, /* if (a cond b) succ[0], else succ[1] */
	IR_RET,    /* the result is a */
};

struct ir_succ {
	uint32_t block;
	uint32_t args;      /* index into ir.args: one value id for each parameter of the block */
	bool backward_jump; /* a jump to an address not above its own: the instruction count is compared with the limit */
};

struct ir_pred {
	uint32_t block;
	uint32_t succ; /* 0 or 1: which of its edges */
};

struct ir_block {
	uint32_t pc;       /* address of its first instruction */
	uint32_t end;      /* address after its last one */
	uint32_t insns;    /* bytecode instructions executed by running through it, its jump or RET included */
	uint32_t first;    /* id of its first value */
	uint32_t n_params; /* the first n_params values are IR_PARAM, by ascending slot */
	uint32_t n_values; /* parameters included */
	uint8_t term;      /* enum ir_term */
	uint8_t cond;      /* IR_BRANCH: VFM_OP_JEQ, JNE, JGT, JLT, JGE or JLE */
	uint8_t n_succs;   /* IR_GOTO 1, IR_BRANCH 2 (both may be the same block), IR_RET 0 */
	bool header;       /* target of a retreating edge: every cycle has such a block */
	uint32_t term_pc;  /* of the jump, RET or (fall through) last instruction */
	uint32_t a, b;     /* operands of the terminator: value ids, else IR_NONE */
	struct ir_succ succ[2];
	uint32_t preds; /* index into ir.preds */
	uint32_t n_preds;
};

/* What is surely true of a value whenever it is computed: lo <= v <= hi, (v & zeros) == 0, (v & ones) == ones. lo > hi: it is
 * never computed. */
struct ir_fact {
	uint64_t lo, hi;
	uint64_t zeros, ones;
};

#define IR_TAKES_0 1u /* the branch may go to succ[0] */
#define IR_TAKES_1 2u
#define IR_REACHED 4u /* the block may be reached at all */

struct ir_facts {
	struct ir_fact *value;   /* [n_values] of the result, where it is computed */
	struct ir_fact *operand; /* [n_values] of LDX's a, of DIV's and MOD's b, sharpened by the branches that lead there */
	struct ir_fact *term;    /* [2 * n_blocks] of the terminator's a and b, sharpened likewise */
	uint8_t *block;          /* [n_blocks] IR_TAKES_0 | IR_TAKES_1 | IR_REACHED */
	uint32_t *len_lo;        /* [n_blocks] at block entry the packet is at least this long (loads before it succeeded) */
};

#define IR_UNBOUNDED UINT64_MAX /* inside a loop: only the limits bound it */

/* The most that one packet can cause, over all paths; errors end a packet earlier. Each maximum on its own path. */
struct ir_path {
	uint64_t insns;    /* bytecode instructions */
	uint64_t accesses; /* table instructions, reading or updating; FLOW_ADD is one */
	uint64_t updates;  /* of them updating; the machine stops at VFM_MAX_UPDATES */
};

struct ir {
	const struct program *program; /* not owned; outlives the ir */
	uint32_t n_values;
	uint32_t n_blocks;
	uint32_t n_args;
	uint32_t n_preds;
	struct ir_value *values;
	struct ir_block *blocks;
	uint32_t *args;
	struct ir_pred *preds;

	/* ir_dom(); NULL before. idom[0] = 0. a dominates b iff dom_in[a] <= dom_in[b] && dom_out[b] <= dom_out[a]. */
	uint32_t *idom;
	uint32_t *dom_in, *dom_out;

	struct ir_facts facts; /* ir_facts(); pointers NULL before */
	struct ir_path path;   /* ir_path() */
	bool has_cycle;        /* ir_build(): some block is a header */
};

/* From a verified program. NULL: out of memory (errno ENOMEM). Free with ir_free(). */
struct ir *ir_build(const struct program *p);
void ir_free(struct ir *ir);

/* The passes: 0 or -ENOMEM; each may be run once. ir_facts needs ir_dom. */
int ir_dom(struct ir *ir);
int ir_facts(struct ir *ir);
int ir_path(struct ir *ir);
/* Build and all passes; if debug is given, prints the form after each of them. NULL: out of memory. */
struct ir *ir_new(const struct program *p, FILE *debug);

static inline bool ir_dominates(const struct ir *ir, uint32_t a, uint32_t b)
{
	return ir->dom_in[a] <= ir->dom_in[b] && ir->dom_out[b] <= ir->dom_out[a];
}

/* Block that the value belongs to. O(log n). */
uint32_t ir_block_of(const struct ir *ir, uint32_t value);
/* Does (a cond b) hold; cond is VFM_OP_JEQ and so on. */
bool ir_compare(uint8_t cond, uint64_t a, uint64_t b);
/* The condition that holds exactly when cond does not; and the one that holds when the operands are swapped. */
uint8_t ir_negated(uint8_t cond);
uint8_t ir_swapped(uint8_t cond);

/* Prints all that is known so far. Errors show in ferror(out). */
void ir_print(const struct ir *ir, FILE *out);

#endif

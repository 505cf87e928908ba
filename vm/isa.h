/* isa.h: the instruction set, one row per opcode. Everything else that must know the opcodes is generated from the row: mnemonics,
 * operand sizes, stack effects, the strict-manual subset, the documentation (docs/isa.md) and the completeness tests.
 *
 * Bytecode is raw bytes without a header: opcode 1 byte, operands little-endian and unaligned. Source: VFM programming manual,
 * "Instruction Set Reference", settled and extended by docs/machine.md.
 *
 * Columns: enum name, number, mnemonic, operand form, values popped, values pushed, flags, one line for people.
 * (a b -- c) means b was on top.
 */
#ifndef VM_ISA_H
#define VM_ISA_H

#include <stdbool.h>
#include <stdint.h>

#define VFM_MAX_PROGRAM_BYTES  65536u
#define VFM_STACK_SLOTS        256
#define VFM_MAX_UPDATES        64 /* updates of tables per packet; the next one is LIMIT */
#define VFM_DEFAULT_INSN_LIMIT 10000u
#define VFM_MAX_PACKET_BYTES   65535u

/* Operand forms: bytes after the opcode. */
enum vfm_operand {
	VFM_OPERAND_NONE,    /* 0 */
	VFM_OPERAND_U8,      /* 1: PICK depth, HDR item */
	VFM_OPERAND_TABLE,   /* 1: table number */
	VFM_OPERAND_U16,     /* 2: packet offset */
	VFM_OPERAND_REL16,   /* 2: signed, in bytes, relative to the address after the jump */
	VFM_OPERAND_IMM64,   /* 8 */
	VFM_OPERAND_DECLARE, /* 9: u8 table, u32 entries, u32 idle seconds */
};

enum vfm_op_flag {
	VFM_F_MANUAL = 1 << 0,    /* in the manual's own set: --strict-manual allows it */
	VFM_F_JUMP = 1 << 1,      /* has a target */
	VFM_F_COND = 1 << 2,      /* and may fall through */
	VFM_F_END = 1 << 3,       /* control does not go on to the next instruction */
	VFM_F_PACKET = 1 << 4,    /* result depends on the packet's bytes, length or port */
	VFM_F_BOUNDS = 1 << 5,    /* may end in BOUNDS */
	VFM_F_DIVIDE = 1 << 6,    /* may end in DIVISION_BY_ZERO */
	VFM_F_READ = 1 << 7,      /* reads a table */
	VFM_F_UPDATE = 1 << 8,    /* updates a table; may end in LIMIT */
	VFM_F_TIME = 1 << 9,      /* depends on packet time */
	VFM_F_COMMUTES = 1 << 10, /* (a b) and (b a) give the same */
	VFM_F_PURE = 1 << 11,     /* result is a function of the values popped and the immediate operand only, never faults */
};

#define VFM_ISA(X) \
	X(LD8, 0, "LD8", U16, 0, 1, VFM_F_MANUAL | VFM_F_PACKET | VFM_F_BOUNDS, "push the byte at a packet offset") \
	X(LD16, 1, "LD16", U16, 0, 1, VFM_F_MANUAL | VFM_F_PACKET | VFM_F_BOUNDS, "push 16 bits at a packet offset, big-endian") \
	X(LD32, 2, "LD32", U16, 0, 1, VFM_F_MANUAL | VFM_F_PACKET | VFM_F_BOUNDS, "push 32 bits at a packet offset, big-endian") \
	X(LD64, 3, "LD64", U16, 0, 1, VFM_F_MANUAL | VFM_F_PACKET | VFM_F_BOUNDS, "push 64 bits at a packet offset, big-endian") \
	X(PUSH, 4, "PUSH", IMM64, 0, 1, VFM_F_MANUAL | VFM_F_PURE, "push a constant") \
	X(POP, 5, "POP", NONE, 1, 0, VFM_F_MANUAL | VFM_F_PURE, "(a -- )") \
	X(DUP, 6, "DUP", NONE, 1, 2, VFM_F_MANUAL | VFM_F_PURE, "(a -- a a)") \
	X(SWAP, 7, "SWAP", NONE, 2, 2, VFM_F_MANUAL | VFM_F_PURE, "(a b -- b a)") \
	X(ADD, 8, "ADD", NONE, 2, 1, VFM_F_MANUAL | VFM_F_PURE | VFM_F_COMMUTES, "(a b -- a+b) modulo 2^64") \
	X(SUB, 9, "SUB", NONE, 2, 1, VFM_F_MANUAL | VFM_F_PURE, "(a b -- a-b) modulo 2^64") \
	X(MUL, 10, "MUL", NONE, 2, 1, VFM_F_MANUAL | VFM_F_PURE | VFM_F_COMMUTES, "(a b -- a*b) modulo 2^64") \
	X(DIV, 11, "DIV", NONE, 2, 1, VFM_F_MANUAL | VFM_F_DIVIDE, "(a b -- a/b) unsigned; DIVISION_BY_ZERO if b is 0") \
	X(AND, 12, "AND", NONE, 2, 1, VFM_F_MANUAL | VFM_F_PURE | VFM_F_COMMUTES, "(a b -- a&b)") \
	X(OR, 13, "OR", NONE, 2, 1, VFM_F_MANUAL | VFM_F_PURE | VFM_F_COMMUTES, "(a b -- a|b)") \
	X(XOR, 14, "XOR", NONE, 2, 1, VFM_F_MANUAL | VFM_F_PURE | VFM_F_COMMUTES, "(a b -- a^b)") \
	X(SHL, 15, "SHL", NONE, 2, 1, VFM_F_MANUAL | VFM_F_PURE, "(a n -- a<<(n&63))") \
	X(SHR, 16, "SHR", NONE, 2, 1, VFM_F_MANUAL | VFM_F_PURE, "(a n -- a>>(n&63)) unsigned") \
	X(JMP, 17, "JMP", REL16, 0, 0, VFM_F_MANUAL | VFM_F_JUMP | VFM_F_END, "jump") \
	X(JEQ, 18, "JEQ", REL16, 2, 0, VFM_F_MANUAL | VFM_F_JUMP | VFM_F_COND, "(a b -- ) jump if a == b") \
	X(JNE, 19, "JNE", REL16, 2, 0, VFM_F_MANUAL | VFM_F_JUMP | VFM_F_COND, "(a b -- ) jump if a != b") \
	X(JGT, 20, "JGT", REL16, 2, 0, VFM_F_MANUAL | VFM_F_JUMP | VFM_F_COND, "(a b -- ) jump if a > b, unsigned") \
	X(JLT, 21, "JLT", REL16, 2, 0, VFM_F_MANUAL | VFM_F_JUMP | VFM_F_COND, "(a b -- ) jump if a < b, unsigned") \
	X(RET, 22, "RET", NONE, 1, 0, VFM_F_MANUAL | VFM_F_END, "(a -- ) end; the result is a") \
	X(HASH5, 23, "HASH5", NONE, 0, 1, VFM_F_MANUAL | VFM_F_PACKET, "push the hash of the 5-tuple; 0 if there is none") \
	X(FLOW_LOAD, 26, "FLOW_LOAD", NONE, 1, 1, VFM_F_MANUAL | VFM_F_READ, "(k -- v) v = table 0 [k], 0 if absent") \
	X(FLOW_STORE, 27, "FLOW_STORE", NONE, 2, 0, VFM_F_MANUAL | VFM_F_UPDATE, "(k v -- ) table 0 [k] = v") \
	X(JGE, 28, "JGE", REL16, 2, 0, VFM_F_MANUAL | VFM_F_JUMP | VFM_F_COND, "(a b -- ) jump if a >= b, unsigned") \
	X(JLE, 29, "JLE", REL16, 2, 0, VFM_F_MANUAL | VFM_F_JUMP | VFM_F_COND, "(a b -- ) jump if a <= b, unsigned") \
	X(NOT, 30, "NOT", NONE, 1, 1, VFM_F_MANUAL | VFM_F_PURE, "(a -- ~a)") \
	X(NEG, 31, "NEG", NONE, 1, 1, VFM_F_PURE, "(a -- -a) modulo 2^64") \
	X(MOD, 32, "MOD", NONE, 2, 1, VFM_F_MANUAL | VFM_F_DIVIDE, "(a b -- a%b) unsigned; DIVISION_BY_ZERO if b is 0") \
	X(OVER, 33, "OVER", NONE, 2, 3, VFM_F_PURE, "(a b -- a b a)") \
	X(ROT, 34, "ROT", NONE, 3, 3, VFM_F_PURE, "(a b c -- b c a)") \
	X(HASH5S, 35, "HASH5S", NONE, 0, 1, VFM_F_PACKET, "like HASH5, equal for both directions") \
	X(PKTLEN, 36, "PKTLEN", NONE, 0, 1, VFM_F_PACKET, "push the number of bytes present") \
	X(NOW, 37, "NOW", NONE, 0, 1, VFM_F_TIME, "push packet time, microseconds since 1970") \
	X(LDX8, 38, "LDX8", NONE, 1, 1, VFM_F_PACKET | VFM_F_BOUNDS, "(o -- v) v = the byte at packet offset o") \
	X(LDX16, 39, "LDX16", NONE, 1, 1, VFM_F_PACKET | VFM_F_BOUNDS, "(o -- v) v = 16 bits at packet offset o, big-endian") \
	X(LDX32, 40, "LDX32", NONE, 1, 1, VFM_F_PACKET | VFM_F_BOUNDS, "(o -- v) v = 32 bits at packet offset o, big-endian") \
	X(LDX64, 41, "LDX64", NONE, 1, 1, VFM_F_PACKET | VFM_F_BOUNDS, "(o -- v) v = 64 bits at packet offset o, big-endian") \
	X(FLOW_ADD, 42, "FLOW_ADD", NONE, 2, 1, VFM_F_READ | VFM_F_UPDATE, "(k d -- v) table 0 [k] += d; push the new value") \
	X(FLOW_DEL, 43, "FLOW_DEL", NONE, 1, 0, VFM_F_UPDATE, "(k -- ) remove k from table 0") \
	X(PICK, 44, "PICK", U8, 0, 1, VFM_F_PURE, "push a copy of the slot n below the top (0 = DUP)") \
	X(HDR, 45, "HDR", U8, 0, 1, VFM_F_PACKET, \
	  "push 0 network, 1 transport, 2 payload offset, 3 final protocol, 4 fragment offset") \
	X(MIX, 46, "MIX", NONE, 2, 1, VFM_F_PURE, "(a b -- h) 64-bit hash of both, seeded like HASH5") \
	X(INPUT, 47, "INPUT", NONE, 0, 1, VFM_F_PACKET, "push the number of the port the packet came in by") \
	X(FLOW_LOAD_T, 48, "FLOW_LOAD", TABLE, 1, 1, VFM_F_READ, "(k -- v) v = table [k], 0 if absent") \
	X(FLOW_STORE_T, 49, "FLOW_STORE", TABLE, 2, 0, VFM_F_UPDATE, "(k v -- ) table [k] = v") \
	X(FLOW_ADD_T, 50, "FLOW_ADD", TABLE, 2, 1, VFM_F_READ | VFM_F_UPDATE, "(k d -- v) table [k] += d; push the new value") \
	X(FLOW_DEL_T, 51, "FLOW_DEL", TABLE, 1, 0, VFM_F_UPDATE, "(k -- ) remove k from a table") \
	X(TABLE, 52, "TABLE", DECLARE, 0, 0, 0, "declare a table: number, entries, idle seconds (0: never)")

#define VFM_ISA_ENUM(name, number, mnemonic, operand, pops, pushes, flags, doc) VFM_OP_##name = number,
enum vfm_op { VFM_ISA(VFM_ISA_ENUM) };
#undef VFM_ISA_ENUM

enum vfm_hdr_item {
	VFM_HDR_NETWORK,   /* offset of the IPv4 or IPv6 header */
	VFM_HDR_TRANSPORT, /* offset of the transport header; first fragments only */
	VFM_HDR_PAYLOAD,   /* offset of what follows the transport header (TCP, UDP, SCTP, ICMP, ICMPv6) */
	VFM_HDR_PROTOCOL,  /* final protocol number */
	VFM_HDR_FRAGMENT,  /* fragment offset in bytes */
	VFM_HDR_ITEMS,
};

struct vfm_op_info {
	const char *name;     /* enum name: FLOW_LOAD_T */
	const char *mnemonic; /* assembly: FLOW_LOAD; NULL for an opcode that does not exist */
	const char *doc;
	uint8_t operand; /* enum vfm_operand */
	uint8_t operand_bytes;
	uint8_t pops; /* PICK and the slots it needs are the verifier's business */
	uint8_t pushes;
	uint16_t flags; /* enum vfm_op_flag */
};

/* One row for each of the 256 byte values. */
extern const struct vfm_op_info vfm_ops[256];

static inline bool vfm_op_exists(uint8_t op)
{
	return vfm_ops[op].mnemonic != 0;
}

/* One instruction taken apart. */
struct vfm_insn {
	uint32_t pc;   /* address of the opcode */
	uint32_t next; /* address after the operand */
	uint8_t op;
	uint8_t table;   /* FLOW_*: table number (0 for the short forms); TABLE: the declared one */
	uint32_t target; /* jumps: absolute address; may be outside the program before verification */
	uint64_t imm;    /* PUSH value, LD offset, PICK depth, HDR item; TABLE: entries */
	uint32_t idle_s; /* TABLE */
};

/* Takes the instruction at pc apart. -EINVAL: no such opcode; -ENODATA: the operand is cut off. insn->pc, op are set in any case;
 * pc must be below len. */
int vfm_decode(const uint8_t *code, uint32_t len, uint32_t pc, struct vfm_insn *insn);

#endif

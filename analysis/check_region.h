/* check_region.h: what a branch on a value loaded from a statistics table may do: keep or replace the largest (or smallest) value.
 *
 *     v := table[key]; if x > v then table[key] := x          or          table[key] := (x > v ? x : v)
 *
 * A region starts at such a branch. All ways through it are followed, instruction by instruction, until they meet again or all return
 * the same value. Nothing outside may be able to tell which way was taken, but for the entry table[key] and for values of the form
 * "x or v", which stay tainted. For each way it is known how v and x compare (a set of cases), so what was stored or chosen can be held
 * against what the class demands in each case.
 *
 * Only in programs without backward jumps whose longest path is within the limits of instructions and updates: else the number of
 * instructions, which differs between the ways, could be told. Instructions then run in order of address, each at most once. */
#ifndef ANALYSIS_CHECK_REGION_H
#define ANALYSIS_CHECK_REGION_H

#include "analysis/check_flow.h"

#define REGION_MAX_PATHS    8
#define REGION_MAX_INSNS    512 /* on all paths together */
#define REGION_MAX_ACCESSES 16

/* What a region is followed from: the state before the branch, its two operands on top of the stack. */
struct region_start {
	const struct vfm_proof *proof;
	struct term_pool *pool;
	const struct flow_options *options; /* taints: is the access one of a statistics table? */
	const struct facts *facts;
	const struct flow_value *stack;
	uint32_t sp;
	uint32_t at; /* index of the branch in proof->insns */
};

struct region_slot {
	uint8_t kind; /* enum region_slot_kind */
	uint32_t vec; /* REGION_KNOWN */
	struct flow_part part;
};
enum region_slot_kind { REGION_SAME, REGION_KNOWN, REGION_TAINTED };

struct region {
	bool returns;     /* all ways return one value; else they meet at instruction `join` */
	uint32_t join;    /* index */
	uint32_t sp;      /* depth there */
	uint32_t n_slots; /* the slots that count there: the top ones, [0] the lowest of them */
	struct region_slot slots[VFM_STACK_SLOTS + 3];
	uint8_t table;
	uint32_t key, x; /* vectors; x VEC_NONE: v is compared with 0 alone */
	uint8_t stores;  /* bit 1 << class: the stores inside are updates of this class */
	uint32_t n_accesses;
	const struct vfm_insn *accesses[REGION_MAX_ACCESSES];
};

/* Can the number of instructions or updates of a packet never matter, the limit of instructions being that? */
bool region_possible(const struct vfm_proof *proof, uint32_t insn_limit);
/* Follows the region. False: the branch decides something else. */
bool region_follow(const struct region_start *start, struct region *region);

#endif

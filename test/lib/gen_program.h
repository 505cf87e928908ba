/* gen_program.h: random programs that the verifier accepts, and packets that suit them.
 *
 * A program is built forward with its depth interval known at each point (the verifier's own abstraction), so no program is ever
 * thrown away: forward labels remember the depths that jump to them, a backward jump is written only where the depths fit.
 * Programs hold every allowed opcode, counted and wild loops, joins of unequal depth, compare chains, several tiny tables with
 * small keys (so that they collide, evict and expire), loads around the packet's end, raw divisors, runs of updates past the
 * limit, and now and then a stack near 256 values. The same seed and options give the same program on any machine.
 */
#ifndef TEST_GEN_PROGRAM_H
#define TEST_GEN_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/isa.h"
#include "vm/packet.h"

#define GEN_MAX_BYTES 8192u

/* splitmix64. */
struct gen_rng {
	uint64_t state;
};
uint64_t gen_next(struct gen_rng *r);
/* 0 .. n-1; n at least 1. */
uint32_t gen_below(struct gen_rng *r, uint32_t n);
/* True in `percent` of 100 cases. */
bool gen_chance(struct gen_rng *r, uint32_t percent);

struct gen_options {
	bool allow[256];    /* opcodes that may be written; RET, PUSH and POP must be among them */
	bool loops;         /* backward jumps */
	bool unequal_joins; /* paths that join with different depths */
	bool wide_values;   /* constants above 32 bits */
	bool wild_faults;   /* loads far beyond any packet, offsets and divisors that nothing bounds */
	uint32_t min_statements;
	uint32_t max_statements;  /* about 3 instructions each */
	uint32_t max_depth;       /* of the stack in ordinary code, at most 200 */
	uint32_t max_load_offset; /* loads stay below this, wild ones excepted */
};

/* Everything the machine has. */
void gen_options_all(struct gen_options *o);
/* The same without tables. */
void gen_options_stateless(struct gen_options *o);
/* What classic BPF can express: no tables, hashes, loops, NOW, INPUT or 64-bit loads, constants below 2^32. Values may still
 * exceed 32 bits by arithmetic. */
void gen_options_bpf(struct gen_options *o);

struct gen_program {
	uint32_t len;
	uint32_t n_tables; /* different table numbers used or declared */
	bool has_loop;
	bool has_unequal_join;
	uint8_t code[GEN_MAX_BYTES];
};

void gen_program(struct gen_program *p, const struct gen_options *o, uint64_t seed);

/* Packets for a program: half are frames (a few hosts and ports, VLAN, IPv4, IPv6, fragments), half are small bytes; lengths lie
 * around the ends of the program's loads; times go forward, mostly by less than a second, at times by more than the idle times of
 * generated tables. A packet ends exactly at the end of its heap block, so that a sanitizer sees a read beyond it. */
struct gen_traffic {
	struct gen_rng rng;
	uint64_t time_us;
	uint32_t n_ends;
	uint32_t ends[64]; /* off + size of the program's loads */
	uint8_t *block;
};

/* Any bytes will do for code. 0 or -ENOMEM. */
int gen_traffic_init(struct gen_traffic *t, uint64_t seed, const uint8_t *code, uint32_t len);
/* The same for another program, without allocating. */
void gen_traffic_restart(struct gen_traffic *t, uint64_t seed, const uint8_t *code, uint32_t len);
void gen_traffic_fini(struct gen_traffic *t);
/* The next packet; its bytes are valid until the next call. */
void gen_traffic_next(struct gen_traffic *t, struct vfm_packet *packet);

#endif

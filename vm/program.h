/* program.h: a verified program: bytecode, proof, and the tables it names. What every consumer (interpreter, IR, analysis, jit)
 * starts from. Immutable after program_new. */
#ifndef VM_PROGRAM_H
#define VM_PROGRAM_H

#include "state/shard.h"
#include "vm/verify.h"

struct program_table {
	uint8_t number;   /* as written in the program */
	bool declared;    /* by TABLE */
	bool loaded;      /* some FLOW_LOAD or FLOW_ADD names it */
	bool updated;     /* some FLOW_STORE, FLOW_ADD or FLOW_DEL names it */
	uint32_t entries; /* declared capacity, else 0 */
	uint32_t idle_s;  /* declared idle time-out, else 0 */
};

struct program {
	uint8_t *code;
	uint32_t len;
	uint32_t start;      /* address of the first instruction that is not TABLE */
	uint32_t need_bytes; /* a packet this long never ends a LD in BOUNDS (largest off + size) */
	struct vfm_proof proof;
	uint32_t n_tables; /* tables declared or used, ascending by number */
	struct program_table tables[SHARD_MAX_TABLES];
	int16_t table_index[256]; /* table number -> dense index, -1: not in the program */
	uint32_t update_sites;
	bool uses_time;
};

/* Verifies and copies. NULL with reject filled. */
struct program *program_new(const uint8_t *code, uint32_t len, unsigned verify_flags, struct vfm_reject *reject);
void program_free(struct program *p);

/* How tables that the program does not declare (or all of them) are made. */
struct program_state_options {
	uint32_t capacity;         /* 0: as declared, undeclared tables are not initialised; else capacity of every table */
	uint32_t default_capacity; /* for undeclared tables when capacity is 0; 0: not initialised */
	int64_t idle_s;            /* < 0: as declared; else of every table */
	uint32_t preload_room;     /* preloaded entries each table has room for */
	uint64_t seed;             /* HASH5 seed */
	uint64_t layout_seed;
	bool tracked;
	bool flat;       /* the naive machine: no capacity limit */
	uint32_t shards; /* of how many this is one: 0 or 1 has the whole capacity, else program_share() of it */
	/* Another shard of the same program, NULL: none. Tables that no instruction updates are taken from it, not made: configuration
	 * is the same in every shard. It must outlive the new one. */
	struct shard *configuration;
};

/* The part of a table's capacity that each of `shards` shards gets: the mean m of an even spread and 4 sqrt(m) + 8 for unevenness, so
 * that a table that is nearly full hardly ever evicts early; never more than the whole. 0 stays 0. */
uint32_t program_share(uint32_t capacity, uint32_t shards);

/* One shard with the program's tables. NULL: out of memory or a capacity out of range (errno). */
struct shard *program_shard_new(const struct program *p, const struct program_state_options *options);

#endif

/* vfl_tree.h: random VFLisp programs as trees of the tests' own, their text, and their meaning: a naive evaluator that shares no code with
 * the compiler. It follows docs/vflisp.md to the letter, from left to right, with a table map of its own.
 */
#ifndef TEST_VFL_TREE_H
#define TEST_VFL_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "test/lib/gen_program.h"
#include "vm/packet.h"

#define VFL_TREE_MAX_TEXT   65536
#define VFL_TREE_MAX_TABLES 64
#define VFL_TREE_ENTRIES    4096

struct vt_node;

struct vt_entry {
	uint32_t table;
	uint32_t stamp_s;
	uint64_t key, value;
};

struct vt_program {
	struct vt_node *root;  /* one of nodes */
	struct vt_node *nodes; /* owned */
	uint32_t n_nodes;
	char text[VFL_TREE_MAX_TEXT];
	/* The map. */
	struct vt_entry entries[VFL_TREE_ENTRIES];
	uint32_t n_entries;
	bool full;                        /* the map overflowed: results mean nothing any more */
	char *table[VFL_TREE_MAX_TABLES]; /* identity of each table: use, parameters, list of keys */
	uint32_t n_tables;
	uint32_t idle_s; /* of table 0, the declared one */
	uint64_t clock_us;
};

/* A random program. */
struct vt_program *vt_generate(uint64_t seed);
void vt_free(struct vt_program *p);
/* What the program returns for the packet: VFM_SUCCESS and *value, or VFM_ERROR_BOUNDS, _DIVISION_BY_ZERO, _LIMIT. */
int vt_evaluate(struct vt_program *p, const struct vfm_packet *packet, uint64_t *value);
/* Sum of a hash of key and value over the live entries of tables that hold neither windows nor buckets (those may have forgotten
 * entries that count for nothing any more). */
uint64_t vt_digest(const struct vt_program *p);

#endif

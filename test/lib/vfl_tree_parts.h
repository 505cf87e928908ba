/* vfl_tree_parts.h: the trees of vfl_tree.h from inside: what its generator and its evaluator share. */
#ifndef TEST_VFL_TREE_PARTS_H
#define TEST_VFL_TREE_PARTS_H

#include "test/lib/vfl_tree.h"

#define VT_MAX_KIDS 6

enum vt_kind {
	NUM,
	VAR,
	FIELD,
	LOAD,
	NARY,
	BINARY,
	UNARY,
	COMPARE,
	LOGIC,
	NOT,
	IF,
	LET,
	DO,
	BITS,
	IN,
	HDR,
	FLOW,
};

/* One member of an (in ...): a value, or a network of IPv4. */
struct vt_node {
	enum vt_kind kind;
	const char *op; /* as written */
	uint64_t num;
	int style; /* of numbers */
	uint32_t hi, lo;
	bool network;
	uint32_t prefix;
	uint32_t n;
	struct vt_node *kid[VT_MAX_KIDS];
	struct vt_node *binding; /* VAR: the LET */
	uint32_t name;           /* LET: which name it binds */
	uint64_t bound;          /* LET: while evaluating */
	uint32_t field;
	uint32_t table;
	uint64_t per_us, rate, burst; /* FLOW: windows, buckets */
	const char *per;
	bool declared; /* FLOW: names the declared table */
};

enum vt_place { FIXED, TOP, NET4, NET6, PORTS, TCP, UDP, ICMP, VLAN };

/* The fields of the language, said again. */
struct vt_field {
	const char *name;
	uint32_t width;
	enum vt_place of;
	uint32_t offset, bytes; /* TOP: offset is which of top_field()'s cases; VLAN: 0 number, 1 priority */
};

extern const struct vt_field vt_fields[];
extern const uint32_t vt_n_fields;

/* Of a FLOW: how many of its operands are key fields. */
uint32_t vt_n_keys(const struct vt_node *n);

#endif

/* analysis.h: what state a filter program has, what it is keyed by, and whether and how it may be split. The stages are those of
 * StateAlyzr (NSDI 2016), proved on verified bytecode (docs/analysis.md).
 *
 * This half searches and may be as clever as it likes: nothing it finds is believed before cert_check() has proved it.
 */
#ifndef ANALYSIS_ANALYSIS_H
#define ANALYSIS_ANALYSIS_H

#include "analysis/cert.h"
#include "vm/ir.h"

enum object_kind {
	OBJECT_CONFIG,  /* no reachable update */
	OBJECT_PARTIAL, /* every shard keeps its own part; merged when read */
	OBJECT_OWNED,   /* each key belongs to one shard */
};

/* An object: access sites that may reach an equal (table, key), transitively. */
struct object {
	uint8_t table;
	enum object_kind kind;
	uint8_t merge_class; /* enum cert_class, of partial objects */
	bool updateable;
	uint32_t n_sites;
	uint32_t *sites; /* value ids in the ir, ascending */
};

struct objects {
	uint32_t n;
	struct object *items;
};

enum split_verdict { SPLIT_STATELESS, SPLIT_PARTITIONABLE, SPLIT_CONDITIONAL, SPLIT_PINNED };

#define SPLIT_MAX_OTHERS 7

/* What the search may give up on large programs: M(NAME, what it did). */
#define SPLIT_LIMITS(M) \
	M(SITES, "a certificate cannot list more than 4096 configuration and statistics sites, so none was tried") \
	M(FORMS, "more than 256 forms of keys: common fields were looked for in the first 256 only") \
	M(FIELDS, "more than 64 ways to steer: the others were not tried") \
	M(PATHS, \
	  "more than 50000 blocks, or 2000 one after the other, on the way to the accesses: other paths were not looked at") \
	M(STEER, \
	  "a steering program of more than 4096 bytes, or for an expression more than 100 operations deep, was not written") \
	M(CHECKER, "a certificate was not taken because proving it takes more than the checker's bounds")

#define SPLIT_LIMIT_ENUM(name, text) SPLIT_LIMIT_##name,
enum split_limit { SPLIT_LIMITS(SPLIT_LIMIT_ENUM) SPLIT_LIMIT_COUNT };
#undef SPLIT_LIMIT_ENUM

/* The answer to "may it be split". */
struct split {
	enum split_verdict verdict;
	struct cert *cert; /* proved; NULL when pinned. A stateless program has one without rows */
	uint32_t tried;    /* candidates given to the checker */
	uint32_t limits;   /* what was given up: bit SPLIT_LIMIT_x */
	uint32_t n_others; /* by split_alternatives: other proved certificates */
	struct cert *others[SPLIT_MAX_OTHERS];
	char reason[256]; /* pinned: why the last candidate was refused */
};

/* 0 or -ENOMEM. Free with objects_fini. */
int objects_find(const struct ir *ir, struct objects *o);
void objects_fini(struct objects *o);
/* Part of objects_find (partial.c): makes partial the owned objects of every table all of whose sites combine what is there with another
 * value (t[k] := t[k] | d, t[k] + d, the larger or the smaller of t[k] and x). 0 or -ENOMEM. */
int partial_find(const struct ir *ir, struct objects *o);

/* Searches for a certificate: of those accepted, the one with most packet bits. 0 or -ENOMEM. Free with split_fini. */
int split_search(const struct ir *ir, const struct objects *o, struct split *s);
/* After split_search: every other accepted certificate of the same verdict and guard that steers differently, into s->others. Costs one
 * check for each guess of the search. 0 or -ENOMEM. */
int split_alternatives(const struct ir *ir, const struct objects *o, struct split *s);
/* Makes others[i] the split's certificate, and its certificate others[i]. */
void split_take(struct split *s, uint32_t i);
void split_fini(struct split *s);
const char *split_name(enum split_verdict v);
const char *split_limit_text(enum split_limit l);

#endif

/* fuse_list.h: chains of tests as lists of conditions that are computed without a branch, for the interpreter and the compiler. */
#ifndef VM_FUSE_LIST_H
#define VM_FUSE_LIST_H

#include <stdbool.h>
#include <stdint.h>

/* Windows: 8 bytes of the packet from `at` as the machine loads them (little-endian); a window holds if
 * ((bytes ^ value) & mask) == 0. */
struct window {
	uint64_t mask, value;
	uint32_t at;
};

#define LIST_MAX_WINDOWS 4u
#define LIST_ITEM_ROOM   64u /* a multiple of 8: items are matched in whole vectors */
#define LIST_MAX_ITEMS   (LIST_ITEM_ROOM - 1)

/* Conditions tried in order, all computed without a branch. The items of a list look at the same windows; item i holds if
 * ((bytes ^ value) & mask) == 0 in each of them, or, where bit i of `negate` is set, if that is not so. The first that holds
 * decides; entry n is for none. */
struct reg_list {
	uint64_t mask[LIST_MAX_WINDOWS][LIST_ITEM_ROOM]; /* 0 from item n on, and in windows from `width` on */
	uint64_t value[LIST_MAX_WINDOWS][LIST_ITEM_ROOM];
	uint32_t n;
	uint32_t width; /* windows */
	uint32_t at[LIST_MAX_WINDOWS];
	uint64_t negate;
	uint64_t result[LIST_ITEM_ROOM]; /* LIST_RET, LIST_NEXT, MATCH_RET */
	uint32_t target[LIST_ITEM_ROOM]; /* LIST_JMP */
} __attribute__((aligned(64)));

/* What a block amounts to when nothing but its end is left of it. */
enum gist_kind { GIST_OTHER, GIST_EMPTY, GIST_TEST, GIST_RET };

struct gist {
	uint8_t kind;
	bool ends_in_test;    /* the end is a test of a window, whatever comes before it */
	uint32_t match, miss; /* TEST: blocks; EMPTY: match */
	struct window window;
	uint64_t value; /* RET */
};

/* A list as it is built: items lead to blocks. */
struct plan {
	struct reg_list list;
	uint32_t exit[LIST_ITEM_ROOM]; /* block of each item; [n]: of none */
};

/* Joins the tests that begin at the end of block b, which ends in a test, into one list of at most max_items (1 ..
 * LIST_MAX_ITEMS). Tests must not go round in a circle. */
void fuse_list(const struct gist *gists, uint32_t b, uint32_t max_items, struct plan *plan);

#endif

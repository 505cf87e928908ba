/* change.h: what to change in a filter that is pinned or conditional, so that it splits. Each change is made on the bytecode and analysed
 * before it is named: what is listed was seen to help. */
#ifndef ANALYSIS_CHANGE_H
#define ANALYSIS_CHANGE_H

#include "analysis/rewrite.h"
#include "analysis/stages.h"

#define CHANGE_MAX         4
#define CHANGE_MAX_OBJECTS 16
#define CHANGE_FIELD_BYTES 64
#define CHANGE_BY_BYTES    256

enum change_kind {
	CHANGE_TABLES,   /* keys of different forms get tables of their own */
	CHANGE_FIELD,    /* a field goes in front of the keys of some objects */
	CHANGE_SEPARATE, /* one object stays, the other owned ones go into filters of their own */
};

struct change {
	enum change_kind kind;
	char field[CHANGE_FIELD_BYTES]; /* CHANGE_FIELD: what the keys begin with afterwards, in words */
	char lisp[CHANGE_FIELD_BYTES];  /* and as an expression of VFLisp */
	uint32_t n_objects;
	uint32_t objects[CHANGE_MAX_OBJECTS]; /* that are changed; CHANGE_SEPARATE: the one that stays */
	uint32_t n_edits;
	struct rewrite_edit edits[REWRITE_MAX_EDITS];
	char by[CHANGE_BY_BYTES]; /* what it then splits by */
};

struct changes {
	uint32_t n;
	uint32_t tried; /* changes that were made and analysed */
	bool skipped;   /* the program is too large to try any: see CHANGE_MAX_BYTES */
	struct change items[CHANGE_MAX];
};

/* Larger programs are not tried: each trial is an analysis. */
#define CHANGE_MAX_BYTES 8192

struct analysis;
/* Of an analysed program; nothing where it splits anyway. Best first. 0 or -ENOMEM. */
int change_find(const struct analysis *a, struct changes *c);

const char *change_name(enum change_kind k);

#endif

/* stages.h: what StateAlyzr's stages find out about each object, and the program as a whole. One pass = one file. */
#ifndef ANALYSIS_STAGES_H
#define ANALYSIS_STAGES_H

#include "analysis/analysis.h"
#include "analysis/control.h"
#include "analysis/field.h"

#define DIMS_MAX 24 /* dimensions of an object that are listed; more are counted */

enum object_scope { SCOPE_PER_FLOW, SCOPE_MULTI_FLOW, SCOPE_ALL_FLOWS, SCOPE_CONFIGURATION };

/* What an object can change, worst first from the end: which error a dropped packet is counted as, the class of an accepted packet
 * (logged or not), whether a packet is forwarded. */
enum output_level { OUTPUT_NONE, OUTPUT_ERROR, OUTPUT_CLASS, OUTPUT_FORWARDING };

struct dims {
	uint32_t n;
	uint32_t dropped; /* not listed for want of room */
	struct dim items[DIMS_MAX];
};

/* Stage 3 and 4 of one object. */
struct object_stages {
	enum object_scope scope;
	enum output_level output;
	bool reads, updates;
	bool symmetric; /* proved: both directions of an IPv4 flow have the same keys */
	bool coupled;   /* shares its table, so its capacity, with another object */
	struct dims dims;
};

/* The talk's columns. */
struct stage_counts {
	uint32_t values;     /* stage 0: every value the program computes */
	uint32_t persistent; /* table access sites: where values outlive the packet */
	uint32_t flow;       /* stage 1: objects reachable from packet input */
	uint32_t updateable; /* stage 2 */
	uint32_t impacting;  /* stage 4: updateable and output-impacting */
	uint32_t tracked;    /* stage 5: sites whose updates are tracked */
};

struct stages {
	uint32_t *object_of;           /* [n_values] object of an access site, IR_NONE */
	struct object_stages *objects; /* [objects.n] */
	struct stage_counts counts;
	uint32_t readable_bytes; /* no byte at or behind this offset is ever read */
};

/* All stages; the ir with all its passes. 0 or -ENOMEM; free with stages_fini in either case. */
int stages_find(const struct ir *ir, const struct objects *o, struct stages *s);
void stages_fini(struct stages *s);

/* The passes (dims.c, impact.c, readable.c, symmetric.c). */
int dims_find(const struct ir *ir, const struct objects *o, struct control *c, struct stages *s);
int impact_find(const struct ir *ir, const struct objects *o, struct control *c, struct stages *s);
uint32_t readable_find(const struct ir *ir);
/* Is the value the same for both directions of any IPv4 flow without VLAN tag or options? False: not proved. */
bool symmetric_value(const struct ir *ir, uint32_t value);
/* The dimensions of what a program returns (a steering program, which tests little and so proves few names: fields of `lend` are
 * named as there). 0 or -ENOMEM. */
int dims_of_result(const struct ir *ir, const struct dims *lend, struct dims *dims);

const char *scope_name(enum object_scope s);
const char *output_name(enum output_level l);

#endif

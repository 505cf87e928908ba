/* analyze.h: everything the analyzer says about one program, in one place: what the reports print. */
#ifndef ANALYSIS_ANALYZE_H
#define ANALYSIS_ANALYZE_H

#include "analysis/balance.h"
#include "analysis/change.h"
#include "analysis/stages.h"
#include "analysis/transfer.h"
#include "analysis/witness.h"

/* The proved ways to split, weighed by a capture. */
struct choice {
	uint32_t n; /* 0: not weighed */
	uint32_t taken;
	struct balance_result results[1 + SPLIT_MAX_OTHERS];
	struct dims by[1 + SPLIT_MAX_OTHERS]; /* what each looks at */
};

struct analysis {
	const struct program *program; /* not owned */
	uint8_t sha256[32];            /* of its bytes */
	struct ir *ir;
	struct objects objects;
	struct stages stages;
	struct split split;
	struct dims by;                /* what the steering program looks at; empty where no split was proved or none is needed */
	struct witnesses witnesses;    /* of a pinned program */
	struct changes changes;        /* what would make it split, if the caller looked for it with change_find() */
	struct choice choice;          /* among several ways to split, by a capture, if the caller ran one */
	struct transfer_sums transfer; /* of a capture, if the caller ran one; else no packets */
};

/* Every stage and the search for a split, without looking for witnesses. As analysis_run(). */
int analysis_split(const struct program *program, struct analysis *a);
/* Runs every stage. The program must outlive *a; free with analysis_fini(), also after a failure. 0 or -ENOMEM. */
int analysis_run(const struct program *program, struct analysis *a);
void analysis_fini(struct analysis *a);

/* To choose among the ways to split after split_alternatives(): weigh what the capture's packets show with the result (NULL: out of
 * memory; the caller frees it), then let it choose, which may replace the certificate and what it goes by. 0 or -ENOMEM. */
struct balance *analysis_weigh(const struct analysis *a);
int analysis_choose(struct analysis *a, struct balance *b);

/* The filter that a conditional split runs: `G else RET 0`, then the program. Heap bytes, the caller frees. The program's bytes
 * stand unchanged behind its table declarations. -EFBIG: the guard does not fit into 64 KiB with it; -ENOMEM. */
int guard_program(const struct program *program, const struct cert *cert, uint8_t **code, uint32_t *len);

/* One sentence: may it be split, and by what. */
void report_sentence(const struct analysis *a, char *text, size_t text_bytes);
/* For people; one JSON object (form: docs/analysis.md). Errors show in ferror(out). */
void report_text(const struct analysis *a, FILE *out);
void report_json(const struct analysis *a, FILE *out);
/* One self-contained page; name is the filter's, for its title. */
void report_html(const struct analysis *a, const char *name, FILE *out);
/* The dependence graph of values, for graphviz. */
void report_dot(const struct analysis *a, FILE *out);
/* What to change so that it splits, and why it does not; nothing where it does. */
void report_explain(const struct analysis *a, FILE *out);

#endif

/* report.h: the analysis in words. */
#ifndef ANALYSIS_REPORT_H
#define ANALYSIS_REPORT_H

#include "analysis/analyze.h"

#define REPORT_MAX_SITES 4096 /* of an object that are listed */
#define REPORT_MAX_INSNS 8192 /* of the program in the page */

/* Each writes at most room bytes, NUL included, and cuts what does not fit. */
void report_dim(const struct dim *d, char *text, size_t room);
void report_dims(const struct dims *dims, char *text, size_t room);
/* "bytes 26-27 are not 0x0 and ..." */
void report_guard(const struct cert *c, char *text, size_t room);
const char *report_kind(const struct object *o);
const char *report_access(const struct object_stages *s);

#endif

/* filter.h: FILTER as every command takes it: bytecode (.bin), assembly (.vfm), VFLisp (.vfl), told apart by content and name, or
 * an expression given with -e. */
#ifndef VM_FILTER_H
#define VM_FILTER_H

#include "vm/diag.h"
#include "vm/program.h"

/* Reads a file (or "-"), compiles or assembles it, and verifies. Bytecode is told from source by a control byte other than tab,
 * line feed, form feed, return; source is VFLisp if the name ends in .vfl or, without a known ending, if its first token is "(".
 * On failure NULL, and d says what, where and what to do; d->source points into *text, which the caller frees after printing. */
struct program *filter_read(const char *name, unsigned verify_flags, struct diag_list *d, char **text);
/* The same for VFLisp given on the command line. */
struct program *filter_expression(const char *expression, unsigned verify_flags, struct diag_list *d);

#endif

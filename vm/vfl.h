/* vfl.h: what the passes of the VFLisp compiler share. Private to vm/vfl_*.c and their tests; users include vm/vflisp.h.
 *
 * Memory: one arena per compilation, released at once. Running out of memory, and limits that make going on pointless, unwind to
 * vfl_compile() through c->escape; everything else is reported in c->diags and compilation goes on to find more errors.
 */
#ifndef VM_VFL_H
#define VM_VFL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>

#include "vm/vflisp.h"

struct vfl_chunk;

/* One compilation. */
struct vfl {
	const char *source;
	uint32_t source_bytes;
	uint32_t at, line, line_start; /* of the lexer */
	struct diag_list *diags;
	uint32_t errors_before; /* in diags, of somebody else */
	struct vfl_chunk *chunks;
	size_t chunk_used, chunk_room;
	uint32_t parts; /* atoms and lists read */
	jmp_buf escape; /* longjmp with an errno */
	struct vfl_scope *scope;
	struct vfl_table *tables, **tables_end;
	bool in_field;               /* checking the compiler's own definition of a field */
	struct vfl_node *fields[64]; /* by index of vfl_fields[]: the folded definition, once used */
	FILE *dump;
};

/* Zeroed memory for the length of the compilation. Never NULL. */
void *vfl_alloc(struct vfl *c, size_t bytes);
_Noreturn void vfl_escape(struct vfl *c, int error);

/* ---- text ---- */

enum vfl_kind {
	VFL_END,
	VFL_OPEN,
	VFL_CLOSE,
	VFL_NUMBER,   /* value */
	VFL_DURATION, /* value in microseconds; a number wherever a number is meant */
	VFL_NETWORK4, /* value, prefix */
	VFL_ADDRESS6, /* hi, value, prefix (128 without one) */
	VFL_SYMBOL,
	VFL_KEYWORD, /* text without the colon */
	VFL_BAD,     /* reported */
	VFL_LIST,
};

/* A token, or what the parser makes of tokens: an atom or a list. */
struct vfl_sexp {
	enum vfl_kind kind;
	uint32_t line, column;
	const char *text; /* in the source */
	uint32_t bytes;
	uint32_t prefix;
	uint64_t value, hi;
	uint32_t n;             /* lists: elements */
	struct vfl_sexp *first; /* lists */
	struct vfl_sexp *next;  /* in the same list */
};

void vfl_lex_begin(struct vfl *c, const char *source, uint32_t bytes);
/* The next token; VFL_END for ever after the last. */
void vfl_lex(struct vfl *c, struct vfl_sexp *token);
/* Every form at the top of the text, chained by next; NULL after a reported error or for an empty text. */
struct vfl_sexp *vfl_parse(struct vfl *c);

void vfl_error(struct vfl *c, const struct vfl_sexp *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void vfl_warn(struct vfl *c, const struct vfl_sexp *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool vfl_is(const struct vfl_sexp *s, const char *name);

/* ---- expressions ---- */

enum vfl_op {
	VFL_NUM,   /* imm */
	VFL_VAR,   /* binding */
	VFL_FIELD, /* imm: index of vfl_fields[]; a[0]: its definition */
	VFL_LOAD,  /* imm: bytes (1, 2, 4, 8); a[0]: offset */
	VFL_LEAF,  /* imm: PKTLEN, NOW, INPUT, HASH5 or HASH5S */
	VFL_HDR,   /* imm: item */
	VFL_ADD,   /* n-ary, folds left */
	VFL_SUB,   /* n-ary, folds left */
	VFL_MUL,   /* n-ary, folds left */
	VFL_AND,   /* n-ary, bitwise */
	VFL_OR,
	VFL_XOR,
	VFL_MIX, /* n-ary, folds left */
	VFL_DIV,
	VFL_MOD,
	VFL_SHL,
	VFL_SHR,
	VFL_NEG,
	VFL_INV, /* bitwise not */
	VFL_EQ,
	VFL_NE,
	VFL_GT,
	VFL_GE,
	VFL_LT,
	VFL_LE,
	VFL_ALL,    /* and */
	VFL_ANY,    /* or */
	VFL_UNTRUE, /* not */
	VFL_IF,
	VFL_LET, /* binding; a[0]: what it is bound to, a[1]: body */
	VFL_DO,
	VFL_FLOW_GET, /* table; a[0]: key */
	VFL_FLOW_SET, /* a[1]: value, which is the result */
	VFL_FLOW_ADD, /* a[1]: delta */
	VFL_FLOW_DEL, /* result 0 */
	VFL_OPS,
};

struct vfl_table;

struct vfl_binding {
	const char *name; /* NULL: made by the compiler */
	uint32_t bytes;
	struct vfl_node *init;
	uint32_t value; /* while lowering: the value it stands for */
};

struct vfl_node {
	uint8_t op;      /* enum vfl_op */
	uint8_t width;   /* 1..64: the value is below 2^width; as docs/vflisp.md "Width" has it */
	bool may_fault;  /* it or a part may end in BOUNDS or DIVISION_BY_ZERO */
	bool has_effect; /* it or a part updates a table */
	bool reads;      /* it or a part reads a table */
	bool folded;
	uint32_t n;
	uint64_t imm;
	struct vfl_node **a;
	struct vfl_binding *binding;
	struct vfl_table *table;
};

struct vfl_node *vfl_num(struct vfl *c, uint64_t value);
struct vfl_node *vfl_new(struct vfl *c, enum vfl_op op, uint32_t n);
struct vfl_node *vfl_1(struct vfl *c, enum vfl_op op, struct vfl_node *a);
struct vfl_node *vfl_2(struct vfl *c, enum vfl_op op, struct vfl_node *a, struct vfl_node *b);
struct vfl_node *vfl_if(struct vfl *c, struct vfl_node *condition, struct vfl_node *a, struct vfl_node *b);
/* (let ((fresh init)) body): make the binding first, refer to it with vfl_var, then close it over the body. */
struct vfl_binding *vfl_bind(struct vfl *c, struct vfl_node *init);
struct vfl_node *vfl_var(struct vfl *c, struct vfl_binding *b);
struct vfl_node *vfl_let(struct vfl *c, struct vfl_binding *b, struct vfl_node *body);
/* Sets width from the parts: to be called once a node is complete. Returns n. */
struct vfl_node *vfl_done(struct vfl_node *n);
/* The same expression once names are replaced by what they stand for; expressions of more than some thousand parts never are. */
bool vfl_equal(const struct vfl_node *a, const struct vfl_node *b);
bool vfl_is_boolean(const struct vfl_node *n);
/* Prints it as VFLisp; stops after max_bytes. */
void vfl_print(const struct vfl_node *n, char *out, size_t max_bytes);

/* ---- fields ---- */

/* Columns: name, bits, definition in VFLisp, whether it is one of the manual's eight, what it is. */
struct vfl_field {
	const char *name;
	uint8_t width;
	const char *definition;
	const char *doc;
};

extern const struct vfl_field vfl_fields[];
extern const uint32_t vfl_n_fields;

/* 128-bit fields: two ordinary ones. */
struct vfl_wide_field {
	const char *name, *hi, *lo;
};
extern const struct vfl_wide_field vfl_wide_fields[2];

/* Index of the field called so, -1. */
int vfl_field_find(const char *text, uint32_t bytes);
const struct vfl_wide_field *vfl_wide_find(const char *text, uint32_t bytes);
/* A reference to field i. */
struct vfl_node *vfl_field_node(struct vfl *c, uint32_t i);

/* ---- names, arity, ranges ---- */

struct vfl_scope {
	struct vfl_binding *binding;
	struct vfl_scope *outer;
};

/* The whole program's expression; NULL if anything was reported as an error. Tables are numbered. */
struct vfl_node *vfl_check(struct vfl *c, struct vfl_sexp *forms);
/* One expression. Never NULL: after an error, a number. */
struct vfl_node *vfl_expression(struct vfl *c, const struct vfl_sexp *s);
/* The text read as an expression of the compiler's own (a field's definition). */
struct vfl_node *vfl_expression_text(struct vfl *c, const char *text);

/* ---- tables and keys ---- */

enum vfl_table_kind { VFL_PLAIN, VFL_WINDOW, VFL_BUCKET, VFL_DECLARED };

struct vfl_table {
	enum vfl_table_kind kind;
	const struct vfl_sexp *declared; /* the (table ...) form */
	const struct vfl_sexp *name;
	struct vfl_node **keys; /* not declared: the ordered list */
	uint32_t n_keys;
	uint64_t per_us;      /* window */
	uint64_t rate, burst; /* bucket */
	int32_t number;       /* -1: not yet */
	uint32_t entries, idle_s;
	bool used;
	struct vfl_table *next;
};

/* The positional and keyword arguments of one form. */
struct vfl_args {
	const struct vfl_sexp *form; /* the list */
	const char *usage;
	enum vfl_op op;
	const struct vfl_sexp **at; /* positional ones, without the form's name */
	uint32_t n;
	const struct vfl_sexp *table, *per, *entries, *idle, *number; /* values of keywords; NULL: not given */
};

/* (flow-get k...), (flow-del k...); (flow-set k... v), (flow-add k... d): a->op says which. */
struct vfl_node *vfl_flow_key(struct vfl *c, const struct vfl_args *a);
struct vfl_node *vfl_flow_value(struct vfl *c, const struct vfl_args *a);
struct vfl_node *vfl_count_by(struct vfl *c, const struct vfl_args *a);
struct vfl_node *vfl_rate_by(struct vfl *c, const struct vfl_args *a);
struct vfl_node *vfl_token_bucket(struct vfl *c, const struct vfl_args *a);
void vfl_declare_table(struct vfl *c, const struct vfl_args *a);
/* Gives every table its number. */
void vfl_number_tables(struct vfl *c);
void vfl_list_tables(const struct vfl *c, struct vfl_listing *listing);

/* ---- the later passes ---- */

/* The same expression, simpler. Keeps what faults, in what order, and every update. */
struct vfl_node *vfl_fold(struct vfl *c, struct vfl_node *n);
/* vm/vfl_graph.h has the rest. */

#endif

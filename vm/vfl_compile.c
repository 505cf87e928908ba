/* vfl_compile.c: the compiler's passes in order, its memory, and the manual's vfl_compile_string(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/verify.h"
#include "vm/vfl_graph.h"
#include "vm/vfm.h"

#define CHUNK_BYTES (256u << 10)
#define DUMP_BYTES  (256u << 10) /* of the expression, printed in one piece */

struct vfl_chunk {
	struct vfl_chunk *next;
	max_align_t bytes[];
};

_Noreturn void vfl_escape(struct vfl *c, int error)
{
	longjmp(c->escape, error);
}

void *vfl_alloc(struct vfl *c, size_t bytes)
{
	void *p;

	bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (!c->chunks || bytes > c->chunk_room - c->chunk_used) {
		size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
		struct vfl_chunk *chunk = calloc(1, sizeof(*chunk) + room);

		if (!chunk)
			vfl_escape(c, ENOMEM);
		chunk->next = c->chunks;
		c->chunks = chunk;
		c->chunk_used = 0;
		c->chunk_room = room;
	}
	p = (char *)c->chunks->bytes + c->chunk_used;
	c->chunk_used += bytes;
	return p;
}

static void release(struct vfl *c)
{
	while (c->chunks) {
		struct vfl_chunk *next = c->chunks->next;

		free(c->chunks);
		c->chunks = next;
	}
}

static void dump_expression(struct vfl *c, const char *pass, const struct vfl_node *n)
{
	char *text;

	if (!c->dump)
		return;
	text = vfl_alloc(c, DUMP_BYTES);
	vfl_print(n, text, DUMP_BYTES);
	fprintf(c->dump, "; %s\n%s\n", pass, text);
}

static void dump_graph(struct vfl *c, const char *pass, const struct vfl_graph *g)
{
	if (!c->dump)
		return;
	fprintf(c->dump, "; %s\n", pass);
	vfl_graph_dump(g, c->dump);
}

static void run_passes(struct vfl *c, uint8_t **code, uint32_t *len, struct vfl_listing *listing)
{
	struct vfl_sexp *forms = vfl_parse(c);
	struct vfl_node *n;
	struct vfl_graph *g;

	if (!forms)
		return;
	n = vfl_check(c, forms);
	if (!n)
		return;
	if (listing)
		vfl_list_tables(c, listing);
	dump_expression(c, "checked", n);
	n = vfl_fold(c, n);
	dump_expression(c, "folded", n);
	g = vfl_lower(c, n);
	dump_graph(c, "lowered", g);
	vfl_thread(g);
	dump_graph(c, "threaded", g);
	vfl_emit(c, g, code, len);
}

/* The last line of defence: what the compiler gives away has been proved. */
static int prove(struct diag_list *d, const uint8_t *code, uint32_t len)
{
	struct vfm_reject reject;
	int err = vfm_verify_program(code, len, 0, NULL, &reject);

	if (err == VFM_ERROR_NO_MEMORY)
		return -ENOMEM;
	if (!err)
		return 0;
	diag_add(d, DIAG_ERROR, 0, 0, "the compiled program is refused at byte %u: %s; please report this", reject.pc,
		 reject.reason);
	return -EINVAL;
}

int vfl_compile_listing(const char *source, size_t source_bytes, struct diag_list *d, uint8_t **code, uint32_t *len,
			struct vfl_listing *listing, FILE *dump)
{
	struct vfl *c = calloc(1, sizeof(*c));
	int error;

	*code = NULL;
	*len = 0;
	if (!c)
		return -ENOMEM;
	c->diags = d;
	c->errors_before = d->errors;
	c->dump = dump;
	error = setjmp(c->escape);
	if (!error) {
		if (source_bytes > VFL_MAX_SOURCE_BYTES) {
			vfl_error(c, NULL, "the source has more than %u bytes; preload a table instead", VFL_MAX_SOURCE_BYTES);
		} else {
			vfl_lex_begin(c, source, (uint32_t)source_bytes);
			run_passes(c, code, len, listing);
		}
	}
	if (error == ENOMEM)
		error = -ENOMEM;
	else if (error || d->errors > c->errors_before)
		error = -EINVAL;
	else
		error = prove(d, *code, *len);
	release(c);
	free(c);
	if (error) {
		free(*code);
		*code = NULL;
		*len = 0;
	}
	return error;
}

int vfl_compile(const char *source, size_t source_bytes, struct diag_list *d, uint8_t **code, uint32_t *len)
{
	return vfl_compile_listing(source, source_bytes, d, code, len, NULL, NULL);
}

static void say_first(const struct diag_list *d, char *error_msg, size_t error_len)
{
	for (uint32_t i = 0; i < d->count; i++) {
		const struct diag *item = &d->items[i];

		if (item->severity != DIAG_ERROR)
			continue;
		if (item->line)
			snprintf(error_msg, error_len, "%u:%u: %s", item->line, item->column, item->text);
		else
			snprintf(error_msg, error_len, "%s", item->text);
		return;
	}
	snprintf(error_msg, error_len, "out of memory");
}

int vfl_compile_string(const char *source, uint8_t **bytecode, uint32_t *len, char *error_msg, size_t error_len)
{
	struct diag_list *d = malloc(sizeof(*d));
	int err = -ENOMEM;

	*bytecode = NULL;
	*len = 0;
	if (error_len)
		error_msg[0] = 0;
	if (d) {
		diag_init(d, NULL, NULL, 0);
		err = vfl_compile(source, strlen(source), d, bytecode, len);
	}
	if (err && error_len) {
		if (d)
			say_first(d, error_msg, error_len);
		else
			snprintf(error_msg, error_len, "out of memory");
	}
	free(d);
	return err == -ENOMEM ? VFM_ERROR_NO_MEMORY : err ? VFM_ERROR_INVALID_PROGRAM : VFM_SUCCESS;
}

/* filter.c: see filter.h. */
#include "vm/filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vm/asm.h"
#include "vm/file.h"
#include "vm/vflisp.h"

enum filter_form { FILTER_BYTECODE, FILTER_ASSEMBLY, FILTER_VFLISP };

static bool ends_in(const char *name, const char *ending)
{
	size_t n = strlen(name), e = strlen(ending);

	return n >= e && strcasecmp(name + n - e, ending) == 0;
}

/* First character that is neither blank nor in a ';' comment; 0: none. Both source languages write comments so. */
static char first_token(const char *text, size_t n)
{
	bool comment = false;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == ';')
			comment = true;
		else if (text[i] == '\n')
			comment = false;
		else if (!comment && !isspace((unsigned char)text[i]))
			return text[i];
	}
	return 0;
}

static enum filter_form form_of(const char *name, const char *text, size_t n)
{
	if (file_find_control(text, (uint32_t)n))
		return FILTER_BYTECODE;
	if (ends_in(name, ".vfl"))
		return FILTER_VFLISP;
	if (ends_in(name, ".vfm") || ends_in(name, ".asm"))
		return FILTER_ASSEMBLY;
	return first_token(text, n) == '(' ? FILTER_VFLISP : FILTER_ASSEMBLY;
}

/* Verifies code; what the verifier says goes into d. */
static struct program *verified(const uint8_t *code, uint32_t len, unsigned flags, const struct asm_map *map, struct diag_list *d)
{
	struct vfm_reject reject;
	struct program *p = program_new(code, len, flags, &reject);

	if (!p)
		asm_map_say_reject(&reject, map, d);
	return p;
}

static struct program *from_bytecode(const char *bytes, uint32_t n, unsigned flags, struct diag_list *d)
{
	if (n > VFM_MAX_PROGRAM_BYTES) {
		diag_add(d, DIAG_ERROR, 0, 0,
			 "bytecode of %u bytes, but a program has at most %u: give a program (is this a capture?)", n,
			 VFM_MAX_PROGRAM_BYTES);
		return NULL;
	}
	return verified((const uint8_t *)bytes, n, flags, NULL, d);
}

static struct program *from_assembly(const char *source, uint32_t n, unsigned flags, struct diag_list *d)
{
	struct program *p = NULL;
	struct asm_map map = {0};
	uint8_t *code = NULL;
	uint32_t len = 0;
	int rc = asm_assemble_map(source, n, flags & VFM_VERIFY_STRICT_MANUAL, &code, &len, &map, d);

	if (rc == 0)
		p = verified(code, len, flags, &map, d);
	else if (!d->errors)
		diag_add(d, DIAG_ERROR, 0, 0, "%s while assembling: close other programs", strerror(-rc));
	asm_map_fini(&map);
	free(code);
	return p;
}

static struct program *from_vflisp(const char *source, uint32_t n, unsigned flags, struct diag_list *d)
{
	struct program *p = NULL;
	uint8_t *code = NULL;
	uint32_t len = 0;
	int rc = vfl_compile(source, n, d, &code, &len);

	if (rc == 0)
		p = verified(code, len, flags, NULL, d);
	else if (!d->errors)
		diag_add(d, DIAG_ERROR, 0, 0, "%s while compiling: close other programs", strerror(-rc));
	free(code);
	return p;
}

struct program *filter_read(const char *name, unsigned verify_flags, struct diag_list *d, char **text)
{
	uint32_t n = 0;
	int rc;

	*text = NULL;
	rc = file_read(name, ASM_MAX_SOURCE_BYTES, text, &n);
	diag_init(d, strcmp(name, "-") == 0 ? "standard input" : name, NULL, 0);
	if (rc) {
		diag_add(d, DIAG_ERROR, 0, 0, "%s: give a filter as bytecode, assembly or VFLisp",
			 rc == -EFBIG ? "larger than 64 MiB" : strerror(-rc));
		return NULL;
	}
	if (n == 0) {
		diag_add(d, DIAG_ERROR, 0, 0, "the file is empty: give a filter as bytecode, assembly or VFLisp");
		return NULL;
	}
	switch (form_of(name, *text, n)) {
	case FILTER_BYTECODE:
		return from_bytecode(*text, n, verify_flags, d);
	case FILTER_ASSEMBLY:
		d->source = *text;
		d->source_bytes = n;
		return from_assembly(*text, n, verify_flags, d);
	case FILTER_VFLISP:
		break;
	}
	d->source = *text;
	d->source_bytes = n;
	return from_vflisp(*text, n, verify_flags, d);
}

struct program *filter_expression(const char *expression, unsigned verify_flags, struct diag_list *d)
{
	size_t n = strlen(expression);

	if (n > VFL_MAX_SOURCE_BYTES)
		n = VFL_MAX_SOURCE_BYTES + 1; /* refused by the compiler */
	diag_init(d, "expression", expression, (uint32_t)n);
	return from_vflisp(expression, (uint32_t)n, verify_flags, d);
}

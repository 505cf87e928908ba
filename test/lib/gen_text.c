/* gen_text.c: see gen_text.h. */
#include "test/lib/gen_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "test/lib/gen_program.h"
#include "vm/asm.h"
#include "vm/vfm.h"

static struct gen_rng rng;
static char text[65536];
static size_t len;

void text_begin(uint64_t seed)
{
	rng = (struct gen_rng){seed};
	len = 0;
	text[0] = 0;
}

uint32_t text_below(uint32_t n)
{
	return gen_below(&rng, n);
}

void text_add(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	len += (size_t)vsnprintf(text + len, sizeof(text) - len, format, args);
	va_end(args);
	if (len >= sizeof(text)) {
		fprintf(stderr, "gen_text: more than %zu bytes of program\n", sizeof(text));
		abort();
	}
}

const char *text_so_far(void)
{
	return text;
}

struct program *text_assemble(const char **why)
{
	static struct diag_list d;
	static struct vfm_reject reject;
	struct program *p;
	uint8_t *code;
	uint32_t bytes;

	diag_init(&d, "generated", text, (uint32_t)len);
	*why = "it does not assemble";
	if (asm_assemble(text, len, false, &code, &bytes, &d))
		return NULL;
	p = program_new(code, bytes, 0, &reject);
	free(code);
	*why = p ? NULL : reject.reason;
	return p;
}

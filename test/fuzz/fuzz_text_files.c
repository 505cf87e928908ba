/* fuzz_text_files.c: the input as a preload file and as a verdict file: taken or refused, never a fault; what is taken is written in
 * the fixed form and reads back as the same. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/table_file.h"
#include "vm/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* TABLE 3 and 250; RET 1 */
static const uint8_t two_tables[] = {52, 3, 8, 0, 0, 0, 0, 0, 0, 0, 52, 250, 8, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 22};
static struct program *program;
static struct diag_list diags;

static int parse(struct table_file *t, const char *text, size_t n)
{
	diag_init(&diags, "input", text, (uint32_t)n);
	return table_file_parse(t, program, text, n, &diags);
}

static void check_preload(const char *text, size_t n)
{
	struct table_file first = {0}, second = {0};
	char *written = NULL;
	size_t bytes = 0;
	FILE *out;
	int rc = parse(&first, text, n);

	if (rc != 0 && rc != -EINVAL)
		abort();
	if ((rc == 0) != (diags.errors == 0))
		abort();
	out = open_memstream(&written, &bytes);
	if (rc == 0 && out) {
		if (table_file_write(&first, out) || fclose(out) || parse(&second, written, bytes) || first.n != second.n)
			abort();
		for (size_t i = 0; i < first.n; i++)
			if (first.entries[i].table != second.entries[i].table || first.entries[i].key != second.entries[i].key ||
			    first.entries[i].value != second.entries[i].value)
				abort();
	} else if (out) {
		fclose(out);
	}
	free(written);
	table_file_fini(&first);
	table_file_fini(&second);
}

/* Every line taken is written back as the same bytes, but for leading zeros. */
static void check_verdicts(char *text, size_t n)
{
	FILE *in = n ? fmemopen(text, n, "r") : NULL;
	struct vfm_result r;

	while (in && verdict_read(in, &r) == 1) {
		struct vfm_result again;
		char line[VERDICT_TEXT_BYTES + 1];
		FILE *one;

		verdict_text(&r, line);
		strcat(line, "\n");
		one = fmemopen(line, strlen(line), "r");
		if (!one || verdict_read(one, &again) != 1 || again.error != r.error || again.value != r.value)
			abort();
		fclose(one);
	}
	if (in)
		fclose(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vfm_reject reject;
	char *text = malloc(size + 1);

	if (!program)
		program = program_new(two_tables, sizeof(two_tables), 0, &reject);
	if (!text || !program)
		abort();
	memcpy(text, data, size);
	text[size] = 0;
	check_preload(text, size);
	check_verdicts(text, size);
	free(text);
	return 0;
}

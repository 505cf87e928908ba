/* verdict.c: see verdict.h. */
#include "vm/verdict.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vm/vfm.h"

static const struct {
	int code;
	const char *name;
} errors[] = {
#define ROW(index, code, name) [VERDICT_INDEX_##index] = {code, name},
	VERDICT_ERRORS(ROW)
#undef ROW
};

int verdict_error_index(int error)
{
	for (int i = 0; i < VERDICT_ERROR_KINDS; i++)
		if (errors[i].code == error)
			return i;
	return -1;
}

int verdict_error_code(enum verdict_error_index index)
{
	return errors[index].code;
}

const char *verdict_error_name(enum verdict_error_index index)
{
	return errors[index].name;
}

void verdict_text(const struct vfm_result *r, char text[VERDICT_TEXT_BYTES])
{
	int i = r->error ? verdict_error_index(r->error) : -1;

	if (i >= 0)
		snprintf(text, VERDICT_TEXT_BYTES, "%s", errors[i].name);
	else
		snprintf(text, VERDICT_TEXT_BYTES, "%" PRIu64, r->value);
}

int verdict_write(FILE *out, const struct vfm_result *r)
{
	char text[VERDICT_TEXT_BYTES];

	/* Most verdicts are one digit, and a verdict file has a line for every packet. */
	if (!r->error && r->value < 10) {
		putc((int)('0' + r->value), out);
	} else {
		verdict_text(r, text);
		fputs(text, out);
	}
	return putc('\n', out) == EOF ? -EIO : 0;
}

/* A whole decimal number without sign or space; false also above 2^64 - 1. */
static bool parse_value(const char *text, uint64_t *value)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && *end == 0;
}

int verdict_read(FILE *in, struct vfm_result *r)
{
	char line[VERDICT_TEXT_BYTES + 1];
	size_t n;

	*r = (struct vfm_result){0};
	if (!fgets(line, sizeof(line), in))
		return ferror(in) ? -EINVAL : 0;
	n = strlen(line);
	if (n == 0 || line[n - 1] != '\n')
		return -EINVAL;
	line[n - 1] = 0;
	for (int i = 0; i < VERDICT_ERROR_KINDS; i++) {
		if (strcmp(line, errors[i].name) == 0) {
			r->error = errors[i].code;
			return 1;
		}
	}
	return parse_value(line, &r->value) ? 1 : -EINVAL;
}

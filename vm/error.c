/* error.c: the names of the API's error codes. */
#include "vm/vfm.h"

struct error_row {
	const char *name;
	const char *words; /* the manual's, Appendix B */
};

static const struct error_row error_rows[] = {
	{"SUCCESS", "Success"},
	{"NO_MEMORY", "Out of memory"},
	{"INVALID_PROGRAM", "Invalid program"},
	{"INVALID_OPCODE", "Invalid opcode"},
	{"STACK_OVERFLOW", "Stack overflow"},
	{"STACK_UNDERFLOW", "Stack underflow"},
	{"BOUNDS", "Packet bounds exceeded"},
	{"DIVISION_BY_ZERO", "Division by zero"},
	{"LIMIT", "Instruction limit exceeded"},
	{"VERIFICATION_FAILED", "Verification failed"},
};

static const struct error_row *error_row(int error)
{
	static const struct error_row unknown = {"UNKNOWN", "Unknown error"};
	unsigned i = (unsigned)-error;

	return i < sizeof(error_rows) / sizeof(error_rows[0]) ? &error_rows[i] : &unknown;
}

const char *vfm_error_string(int error)
{
	return error_row(error)->words;
}

const char *vfm_error_name(int error)
{
	return error_row(error)->name;
}

/* Diagnostics as people see them: position, quoted line, caret; and the nearest name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vm/diag.h"
#include "vm/nearest.h"

static struct diag_list diags;

static void begin(const char *file, const char *source)
{
	diag_init(&diags, file, source, source ? (uint32_t)strlen(source) : 0);
}

static void prints(const char *expected)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	diag_print(&diags, out);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void a_message_has_as_much_position_as_is_known(void **state)
{
	(void)state;
	begin("f.vfm", "abc\ndef\n");
	diag_add(&diags, DIAG_ERROR, 0, 0, "all of it");
	diag_add(&diags, DIAG_WARNING, 1, 0, "line %d", 1);
	diag_add(&diags, DIAG_ERROR, 2, 3, "here");
	prints("f.vfm: error: all of it\n"
	       "f.vfm:1: warning: line 1\n"
	       "    abc\n"
	       "f.vfm:2:3: error: here\n"
	       "    def\n"
	       "      ^\n");
	assert_int_equal(diags.errors, 2);
	begin(NULL, NULL);
	diag_add(&diags, DIAG_ERROR, 0, 0, "alone");
	diag_add(&diags, DIAG_ERROR, 3, 4, "without a source");
	prints("error: alone\n3:4: error: without a source\n");
}

static void positions_outside_the_source_are_not_quoted_or_moved_to_its_end(void **state)
{
	(void)state;
	begin("f", "abc");
	diag_add(&diags, DIAG_ERROR, 1, 99, "beyond the line");
	diag_add(&diags, DIAG_ERROR, 9, 1, "beyond the file");
	prints("f:1:99: error: beyond the line\n    abc\n       ^\nf:9:1: error: beyond the file\n");
}

static void the_caret_stands_below_tabs_wide_characters_and_odd_line_ends(void **state)
{
	(void)state;
	/* Columns are bytes: e with acute is two of them and one place on the screen. */
	begin("f", "\xc3\xa9\tx\r\nlast \x1b[1m x");
	diag_add(&diags, DIAG_ERROR, 1, 4, "x");
	diag_add(&diags, DIAG_ERROR, 2, 11, "x");
	prints("f:1:4: error: x\n    \xc3\xa9\tx\n     \t^\nf:2:11: error: x\n    last ?[1m x\n              ^\n");
}

static void a_long_line_is_not_cut_inside_a_character(void **state)
{
	char source[601], *text = NULL;
	size_t bytes;
	FILE *out;

	(void)state;
	/* 300 characters of two bytes; 80 bytes before column 402 lies a character's second byte: the quote begins at its first. */
	for (int i = 0; i < 600; i += 2)
		memcpy(source + i, "\xc3\xa9", 2);
	source[600] = '\0';
	begin("f", source);
	diag_add(&diags, DIAG_ERROR, 1, 402, "inside");
	out = open_memstream(&text, &bytes);
	diag_print(&diags, out);
	fclose(out);
	assert_memory_equal(strchr(text, '\n') + 1, "    \xc3\xa9", 6);
	free(text);
}

static void messages_are_cut_at_their_room(void **state)
{
	char source[1000];

	(void)state;
	memset(source, 'x', sizeof(source));
	begin("f", NULL);
	diag_add(&diags, DIAG_ERROR, 0, 0, "%.*s", 1000, source);
	assert_int_equal(strlen(diags.items[0].text), DIAG_TEXT_BYTES - 1);
}

static const char *nearest(const char *wanted, bool ignore_case)
{
	static const char *const known[] = {"accept", "drop", "src-ip", "dst-ip", "flow-count"};
	static char best[NEAREST_MAX_NAME_BYTES + 1];
	struct nearest n;

	nearest_init(&n, wanted, (uint32_t)strlen(wanted), ignore_case);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		nearest_offer(&n, known[i], (uint32_t)strlen(known[i]));
	if (!n.best)
		return "";
	snprintf(best, sizeof(best), "%.*s", (int)n.best_bytes, n.best);
	return best;
}

static void the_nearest_name_is_found_by_small_mistakes_only(void **state)
{
	char wanted[100];

	(void)state;
	assert_string_equal(nearest("acept", false), "accept");          /* left out */
	assert_string_equal(nearest("acccept", false), "accept");        /* too much */
	assert_string_equal(nearest("accebt", false), "accept");         /* another one */
	assert_string_equal(nearest("flow-cuont", false), "flow-count"); /* swapped: one mistake */
	assert_string_equal(nearest("drpo", false), "drop");
	assert_string_equal(nearest("DROP", false), "");
	assert_string_equal(nearest("DROP", true), "drop");
	assert_string_equal(nearest("scr-ip", false), "src-ip");
	assert_string_equal(nearest("d", false), "");
	assert_string_equal(nearest("count", false), "");
	assert_string_equal(nearest("", false), "");
	memset(wanted, 'a', 99);
	wanted[99] = '\0';
	assert_string_equal(nearest(wanted, false), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_has_as_much_position_as_is_known),
		cmocka_unit_test(positions_outside_the_source_are_not_quoted_or_moved_to_its_end),
		cmocka_unit_test(the_caret_stands_below_tabs_wide_characters_and_odd_line_ends),
		cmocka_unit_test(a_long_line_is_not_cut_inside_a_character),
		cmocka_unit_test(messages_are_cut_at_their_room),
		cmocka_unit_test(the_nearest_name_is_found_by_small_mistakes_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

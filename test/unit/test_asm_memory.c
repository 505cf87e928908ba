/* Assembler and disassembler when memory runs out: every single allocation fails once; each time the call says so and leaves nothing
 * behind. Stands in for malloc, so it is skipped where a sanitizer does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vm/asm.h"

#if defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define ENDLESS (-1)

static long left = ENDLESS; /* allocations until one fails */
static long live;           /* allocations not yet freed */

#if !SANITIZED
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void __libc_free(void *p);

static bool allowed(void)
{
	if (left == 0)
		return false;
	if (left > 0)
		left--;
	return true;
}

static void *counted(void *p)
{
	live += p != NULL;
	return p;
}

void *malloc(size_t bytes)
{
	return allowed() ? counted(__libc_malloc(bytes)) : NULL;
}

void *calloc(size_t n, size_t bytes)
{
	return allowed() ? counted(__libc_calloc(n, bytes)) : NULL;
}

void *realloc(void *p, size_t bytes)
{
	if (!allowed())
		return NULL;
	return p ? __libc_realloc(p, bytes) : counted(__libc_malloc(bytes));
}

void free(void *p)
{
	live -= p != NULL;
	__libc_free(p);
}
#endif

/* Many labels, uses and instructions, so that every list grows; ends in a verified program. */
static char *make_source(void)
{
	char *source = malloc(1 << 16);
	size_t n = 0;

	for (int i = 0; i < 200; i++)
		n += (size_t)sprintf(source + n, "l%d: JMP m%d\nm%d:\n", i, i, i);
	strcpy(source + n, "RET 1\n");
	return source;
}

static void the_assembler_survives_every_failing_allocation(void **state)
{
	static struct diag_list d;
	char *source;
	long failures = 0, before;
	int ret;

	(void)state;
	if (SANITIZED)
		skip();
	source = make_source();
	before = live;
	do {
		uint8_t *code = NULL;
		uint32_t len;

		diag_init(&d, "t", source, (uint32_t)strlen(source));
		left = failures;
		ret = asm_assemble_verified(source, strlen(source), 0, &code, &len, NULL, &d);
		left = ENDLESS;
		if (ret) {
			failures++;
			/* The verifier's own want of memory is said as its reason. */
			assert_true(ret == -ENOMEM || (ret == -EINVAL && strstr(d.items[0].text, "NO_MEMORY")));
			assert_null(code);
		}
		free(code);
		assert_int_equal(live, before);
		assert_in_range(failures, 0, 1000);
	} while (ret);
	/* Assembler, its code, three lists that grow at least three times, and the verifier. */
	assert_in_range(failures, 12, 1000);
	free(source);
}

static void the_disassembler_survives_a_failing_allocation(void **state)
{
	static const uint8_t code[] = {5, 22};
	FILE *out;
	long before;

	(void)state;
	if (SANITIZED)
		skip();
	out = fopen("/dev/null", "w");
	before = live;
	left = 0;
	assert_int_equal(dis_disassemble(code, sizeof(code), 0, out), -ENOMEM);
	left = ENDLESS;
	assert_int_equal(live, before);
	fclose(out);
}

static void the_disassembler_says_that_output_failed(void **state)
{
	static const uint8_t code[] = {5, 22};
	FILE *out = fopen("/dev/full", "w");

	(void)state;
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(dis_disassemble(code, sizeof(code), 0, out), -EIO);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_assembler_survives_every_failing_allocation),
		cmocka_unit_test(the_disassembler_survives_a_failing_allocation),
		cmocka_unit_test(the_disassembler_says_that_output_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

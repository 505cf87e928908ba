/* The plan as one text: what comes out is what went in; what was tampered with is refused, an unsound split above all (I9). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "analysis/analyze.h"
#include "analysis/deploy.h"
#include "analysis/spread.h"

#define LIMIT 1000

static struct diag_list diags;

/* The plan of an expression, split as the analyzer proves where shards > 1. */
static struct deploy opened(const char *expression, uint32_t shards, const char *preload)
{
	struct deploy_options o = {.expression = expression, .insn_limit = LIMIT, .preload = preload};
	struct analysis a;
	struct deploy d;
	char why[DEPLOY_WHY_BYTES], *text;
	assert_int_equal(deploy_open(&d, &o, &diags, &text, why), 0);
	free(text);
	if (shards == 1)
		return d;
	assert_int_equal(analysis_run(d.program, &a), 0);
	assert_non_null(a.split.cert);
	deploy_close(&d);
	o.shards = shards;
	if (deploy_open_with(&d, &o, a.split.cert, &diags, &text, why))
		fail_msg("%s", why);
	free(text);
	analysis_fini(&a);
	return d;
}

static void a_plan_comes_back_as_it_was(void **state)
{
	(void)state;
	struct deploy d = opened("(< (count-by src-ip) 5)", 16, NULL), e;
	char why[DEPLOY_WHY_BYTES];
	deploy_set_generation(&d, 3);
	char *text = deploy_encode(&d);
	if (deploy_decode(&e, text, strlen(text), why))
		fail_msg("%s", why);
	assert_int_equal(e.digest, d.digest);
	assert_int_equal(e.generation, 3);
	assert_int_equal(e.insn_limit, LIMIT);
	assert_int_equal(e.plan->shards, 16);
	assert_string_equal(e.name, "(< (count-by src-ip) 5)");
	assert_int_equal(e.program->len, d.program->len);
	assert_memory_equal(e.program->code, d.program->code, d.program->len);
	free(text);
	deploy_close(&e);
	deploy_close(&d);
}

static void everything_that_matters_is_in_the_digest(void **state)
{
	(void)state;
	struct deploy a = opened("(< (count-by src-ip) 5)", 16, NULL), b = opened("(< (count-by src-ip) 5)", 8, NULL),
		      c = opened("(< (count-by src-ip) 6)", 16, NULL);
	assert_int_not_equal(a.digest, b.digest);
	assert_int_not_equal(a.digest, c.digest);
	uint64_t first = a.digest;
	deploy_set_generation(&a, 1);
	assert_int_not_equal(a.digest, first);
	deploy_set_generation(&a, 0);
	assert_int_equal(a.digest, first);
	deploy_close(&a);
	deploy_close(&b);
	deploy_close(&c);
}

/* text with the first `from` replaced by `to`, which is as long. */
static void tamper(char *text, const char *from, const char *to)
{
	char *at = strstr(text, from);
	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
}

static void refused(char *text, const char *expected)
{
	struct deploy d;
	char why[DEPLOY_WHY_BYTES] = "";
	assert_true(deploy_decode(&d, text, strlen(text), why) < 0);
	if (!strstr(why, expected))
		fail_msg("%s: not in: %s", expected, why);
	free(text);
}

static void what_was_tampered_with_is_refused(void **state)
{
	(void)state;
	struct deploy d = opened("(< (count-by src-ip) 5)", 16, NULL);
	static const char *const changes[][3] = {
		{"\"shards\":16", "\"shards\":32", "digest"},
		{"\"limit\":1000", "\"limit\":1001", "digest"},
		{"\"generation\":0", "\"generation\":7", "digest"},
		{"\"shards\":16", "\"shards\":17", "power of two"},
		{"\"name\"", "\"nome\"", "not a plan"},
		{"vfm-plan-1", "vfm-plan-9", "not a plan"},
		{"\"steer\"", "\"stear\"", "certificate"},
	};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		char *text = deploy_encode(&d);
		tamper(text, changes[i][0], changes[i][1]);
		refused(text, changes[i][2]);
	}
	deploy_close(&d);
	refused(strdup("{"), "not JSON");
	refused(strdup("[]"), "not a plan");
}

/* The certificate of another program, and none at all: both would split what nobody proved may be split. */
static void an_unsound_split_is_refused(void **state)
{
	(void)state;
	struct deploy d = opened("(< (count-by src-ip) 5)", 16, NULL), other = opened("(< (count-by dst-ip) 5)", 16, NULL);
	char *text = deploy_encode(&d), *stranger = deploy_encode(&other), *mixed = NULL;
	const char *cert = strstr(text, "\"certificate\":"), *rest = strstr(text, ",\"preload\":");
	const char *wrong = strstr(stranger, "\"certificate\":"), *end = strstr(stranger, ",\"preload\":");
	assert_true(asprintf(&mixed, "%.*s%.*s%s", (int)(cert - text), text, (int)(end - wrong), wrong, rest) > 0);
	refused(mixed, "certificate");
	assert_true(asprintf(&mixed, "%.*s\"certificate\":null%s", (int)(cert - text), text, rest) > 0);
	refused(mixed, "16 shards need a certificate");
	free(text);
	free(stranger);
	deploy_close(&d);
	deploy_close(&other);
}

static void bytes_that_are_no_program_are_refused(void **state)
{
	(void)state;
	refused(strdup("{\"format\":\"vfm-plan-1\",\"digest\":\"0\",\"generation\":0,\"name\":\"x\",\"shards\":1,\"capacity\":0,"
		       "\"limit\":9,"
		       "\"program\":\"07\",\"certificate\":null,\"preload\":null}"),
		"not verified");
	refused(strdup("{\"format\":\"vfm-plan-1\",\"digest\":\"0\",\"generation\":0,\"name\":\"x\",\"shards\":1,\"capacity\":0,"
		       "\"limit\":9,"
		       "\"program\":\"0g\",\"certificate\":null,\"preload\":null}"),
		"no program in hex");
}

static void preloaded_entries_are_in_the_plan_and_in_the_shards(void **state)
{
	(void)state;
	char name[] = "/tmp/test_deploy-XXXXXX", why[DEPLOY_WHY_BYTES];
	int fd = mkstemp(name);
	FILE *f = fdopen(fd, "w");
	fputs("0 5 1\n0 6 1\n", f);
	fclose(f);
	struct deploy d = opened("(< (count-by src-ip) 5)", 16, name), without = opened("(< (count-by src-ip) 5)", 16, NULL), e;
	remove(name);
	assert_int_not_equal(d.digest, without.digest);
	char *text = deploy_encode(&d);
	if (deploy_decode(&e, text, strlen(text), why))
		fail_msg("%s", why);
	assert_int_equal(e.digest, d.digest);
	struct shard *s = deploy_shard(&e, 3, 1);
	assert_int_equal(shard_load(s, 0, 5), 1);
	assert_int_equal(shard_load(s, 0, 7), 0);
	shard_free(s);
	free(text);
	deploy_close(&e);
	deploy_close(&d);
	deploy_close(&without);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_comes_back_as_it_was),
		cmocka_unit_test(everything_that_matters_is_in_the_digest),
		cmocka_unit_test(what_was_tampered_with_is_refused),
		cmocka_unit_test(an_unsound_split_is_refused),
		cmocka_unit_test(bytes_that_are_no_program_are_refused),
		cmocka_unit_test(preloaded_entries_are_in_the_plan_and_in_the_shards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

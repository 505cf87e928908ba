/* jit_captures.c: the examples and the listed filters, every tier against the interpreter, on all captures at hand (TEST_ALL=1: every
 * packet) and on generated traffic; and how much of it vector code runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jit/jit.h"
#include "node/capture.h"
#include "test/lib/oracle_list.h"
#include "test/lib/packets.h"
#include "test/lib/traffic.h"
#include "vm/asm.h"
#include "vm/filter.h"
#include "vm/vfm.h"

#define LIST        "test/golden/oracle/filters.list"
#define CAPTURES    "../shared/data/captures/*/*"
#define MAX_PACKETS (1u << 20)
#define SHORT_FIRST 200 /* of each capture, then one in SHORT_STEP */
#define SHORT_STEP  64
#define GENERATED   4000
#define BURST       64u

static struct vfm_packet *packets;
static struct vfm_result *wanted, *got;
static uint32_t n_packets;

static void add(const struct vfm_packet *p, uint64_t time_us)
{
	uint8_t *copy = malloc(p->len + !p->len);

	assert_true(copy && n_packets < MAX_PACKETS);
	memcpy(copy, p->data, p->len);
	packets[n_packets++] = (struct vfm_packet){.data = copy, .len = p->len, .time_us = time_us};
}

static bool load_captures(void)
{
	char error[CAPTURE_ERROR_BYTES];
	struct vfm_packet p;
	struct capture *c;
	glob_t names;

	if (glob(CAPTURES, 0, NULL, &names))
		return false;
	for (size_t i = 0; i < names.gl_pathc; i++) {
		if (capture_open(names.gl_pathv[i], &c, error))
			continue; /* not Ethernet: another suite's matter */
		for (uint64_t n = 0; capture_next(c, &p) == 1; n++)
			if (getenv("TEST_ALL") || n < SHORT_FIRST || n % SHORT_STEP == 0)
				add(&p, p.time_us);
		capture_close(c);
	}
	globfree(&names);
	return true;
}

static void load_generated(void)
{
	struct traffic_config config;
	uint8_t buf[PACKET_BYTES];
	struct vfm_packet p = {.data = buf};
	struct traffic *t;
	uint64_t time_us;

	traffic_config_init(&config);
	config.packets = GENERATED;
	t = traffic_new(&config);
	assert_non_null(t);
	while (traffic_next(t, buf, &p.len, &time_us))
		add(&p, time_us);
	traffic_free(t);
}

static void allocate(void)
{
	packets = calloc(MAX_PACKETS, sizeof(*packets));
	wanted = calloc(MAX_PACKETS, sizeof(*wanted));
	got = calloc(MAX_PACKETS, sizeof(*got));
	assert_true(packets && wanted && got);
}

static void release(void)
{
	for (uint32_t i = 0; i < n_packets; i++)
		free((void *)(uintptr_t)packets[i].data);
	free(packets);
	free(wanted);
	free(got);
	n_packets = 0;
}

static struct shard *new_shard(const struct program *p)
{
	struct shard *s = program_shard_new(p, &(struct program_state_options){.default_capacity = 200, .idle_s = -1});

	assert_non_null(s);
	return s;
}

static uint64_t run_interpreter(const struct program *p)
{
	struct interp *interp = interp_new(p);
	struct shard *s = new_shard(p);
	uint64_t digest;

	assert_non_null(interp);
	for (uint32_t i = 0; i < n_packets; i++)
		interp_run(interp, s, &packets[i], VFM_DEFAULT_INSN_LIMIT, &wanted[i]);
	digest = shard_digest(s);
	shard_free(s);
	interp_free(interp);
	return digest;
}

/* The share of packets that the tier's own code ran. */
static double run_tier(const char *name, const struct program *p, enum jit_tier tier, uint64_t digest)
{
	struct shard *s = new_shard(p), *shards[BURST];
	struct jit_counts counts;
	struct jit *j;

	assert_int_equal(jit_new(p, tier, VFM_DEFAULT_INSN_LIMIT, &j), 0);
	for (uint32_t i = 0; i < BURST; i++)
		shards[i] = s;
	for (uint32_t i = 0; i < n_packets; i += BURST)
		jit_burst(j, n_packets - i < BURST ? n_packets - i : BURST, packets + i, shards, got + i);
	for (uint32_t i = 0; i < n_packets; i++)
		if (got[i].error != wanted[i].error || got[i].value != wanted[i].value)
			fail_msg("%s, %s, packet %u of %u bytes: %d %llu, but the interpreter %d %llu", name, jit_tier_name(tier),
				 i, packets[i].len, got[i].error, (unsigned long long)got[i].value, wanted[i].error,
				 (unsigned long long)wanted[i].value);
	if (shard_digest(s) != digest)
		fail_msg("%s, %s: the tables differ at the end", name, jit_tier_name(tier));
	counts = jit_counts(j);
	assert_int_equal(counts.fallback, 0);
	jit_free(j);
	shard_free(s);
	return (double)counts.tier[tier] / n_packets;
}

/* The share of vector code is to be from least to most. */
static void check(const char *name, const struct program *p, double least, double most)
{
	uint64_t digest = run_interpreter(p);

	for (int tier = JIT_SCALAR; tier <= (int)jit_best_tier(); tier++) {
		double share = run_tier(name, p, (enum jit_tier)tier, digest);

		if (tier == JIT_AVX512 && (share < least || share > most))
			fail_msg("%s: %.0f %% of the packets in vector code, not %.0f to %.0f %%", name, 100 * share, 100 * least,
				 100 * most);
	}
}

/* Of the examples without tables these run nothing in vector code; docs/jit.md says why. */
static const char *const not_in_vectors[] = {"http-logger.vfm", "jmp.vfm", "subroutine.vfm"};
#define EXCEPTIONS       (sizeof(not_in_vectors) / sizeof(*not_in_vectors))
#define LEAST_IN_VECTORS 0.9 /* of each of the others */
#define LEAST_EXAMPLES   25  /* there are so many others, at least */

static bool is_excepted(const char *path)
{
	for (unsigned i = 0; i < EXCEPTIONS; i++)
		if (strcmp(strrchr(path, '/') + 1, not_in_vectors[i]) == 0)
			return true;
	return false;
}

static void check_list(void)
{
	struct oracle_list list;

	assert_int_equal(oracle_list_read(&list, LIST), 0);
	for (uint32_t i = 0; i < list.n; i++) {
		const char *source = list.filters[i].assembly;
		struct vfm_reject why;
		struct diag_list d;
		struct program *p;
		uint8_t *code;
		uint32_t len;

		diag_init(&d, list.filters[i].name, source, (uint32_t)strlen(source));
		assert_int_equal(asm_assemble(source, strlen(source), false, &code, &len, &d), 0);
		p = program_new(code, len, 0, &why);
		assert_non_null(p);
		check(list.filters[i].name, p, 0, 1);
		program_free(p);
		free(code);
	}
	oracle_list_fini(&list);
}

static void check_examples(void)
{
	static const char *const patterns[] = {"examples/*/*.vfm", "examples/*/*.vfl", "examples/*.vfl"};
	uint32_t n_stateless = 0, n_excepted = 0;

	for (unsigned k = 0; k < sizeof(patterns) / sizeof(*patterns); k++) {
		glob_t names;

		if (glob(patterns[k], 0, NULL, &names))
			continue;
		for (size_t i = 0; i < names.gl_pathc; i++) {
			static struct diag_list d;
			char *text = NULL;
			struct program *p = filter_read(names.gl_pathv[i], 0, &d, &text);

			if (p && is_excepted(names.gl_pathv[i])) {
				check(names.gl_pathv[i], p, 0, 0);
				n_excepted++;
			} else if (p) {
				check(names.gl_pathv[i], p, p->n_tables ? 0 : LEAST_IN_VECTORS, 1);
				n_stateless += p->n_tables == 0;
			}
			program_free(p);
			free(text);
		}
		globfree(&names);
	}
	assert_int_equal(n_excepted, EXCEPTIONS);
	assert_true(n_stateless >= LEAST_EXAMPLES);
}

static void every_tier_equals_the_interpreter_on_generated_traffic(void **state)
{
	(void)state;
	allocate();
	load_generated();
	check_list();
	check_examples();
	release();
}

static void every_tier_equals_the_interpreter_on_captures(void **state)
{
	(void)state;
	allocate();
	if (!load_captures()) {
		release();
		print_message("SKIP no captures in " CAPTURES "\n");
		skip();
	}
	check_list();
	check_examples();
	release();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_tier_equals_the_interpreter_on_generated_traffic),
		cmocka_unit_test(every_tier_equals_the_interpreter_on_captures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

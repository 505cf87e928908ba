/* The compiler against the plain machine: generated programs and packets, every tier of this CPU, verdicts, errors and tables.
 *   TEST_SEED=N   the one case with that seed        TEST_ALL=1   many more cases        TEST_SHARE=K/N   part K of N, from 0, of the cases
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "jit/parts.h"
#include "test/lib/gen_program.h"
#include "test/lib/gen_text.h"
#include "vm/step.h"
#include "vm/asm.h"
#include "vm/vfm.h"

#define SHORT_PROGRAMS 1000
#define ALL_PROGRAMS   1000000
#define PACKETS        16
#define MAX_BURST      67

static uint64_t running_seed;
static bool many; /* programs have run, not one that was asked for */

#define FAIL(...) \
	do { \
		print_message("repeat: TEST_SEED=%llu build/test/prop/test_jit\n", (unsigned long long)running_seed); \
		fail_msg(__VA_ARGS__); \
	} while (0)

/* What happened, so that a test that sees nothing happen fails. */
static struct {
	uint64_t packets, accepted, bounds, division, limit;
	uint64_t together;  /* in vector code */
	uint64_t continued; /* begun there */
} seen;

static void expect_share(uint64_t part, unsigned per_mille, const char *of)
{
	if (part * 1000 < seen.packets * per_mille)
		fail_msg("only %llu of %llu packets %s", (unsigned long long)part, (unsigned long long)seen.packets, of);
}

static void count_result(const struct vfm_result *r)
{
	seen.packets++;
	seen.accepted += r->error == VFM_SUCCESS && r->value;
	seen.bounds += r->error == VFM_ERROR_BOUNDS;
	seen.division += r->error == VFM_ERROR_DIVISION_BY_ZERO;
	seen.limit += r->error == VFM_ERROR_LIMIT;
}

/* A page and then none, so that a packet can end, or begin, where nothing may be read. */
struct edge {
	uint8_t *page; /* one readable page between two that are not */
	size_t bytes;
};

static struct edge edges[MAX_BURST]; /* of the burst's packets */

static void open_edge(struct edge *e)
{
	uint8_t *at;

	e->bytes = (VFM_MAX_PACKET_BYTES / (size_t)sysconf(_SC_PAGESIZE) + 1) * (size_t)sysconf(_SC_PAGESIZE);
	at = mmap(NULL, 3 * e->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(at != MAP_FAILED);
	e->page = at + e->bytes;
	assert_int_equal(mprotect(e->page, e->bytes, PROT_READ | PROT_WRITE), 0);
}

static void put_at_edge(struct vfm_packet *p, const struct edge *e, bool at_end)
{
	uint8_t *to = at_end ? e->page + e->bytes - p->len : e->page;

	memcpy(to, p->data, p->len);
	p->data = to;
}

struct subject {
	struct program *program;
	struct shard *a, *b; /* of the machine, of the compiled code */
	struct jit *jit;
	uint32_t insn_limit;
};

static void open_subject(struct subject *s, uint64_t seed, enum jit_tier tier)
{
	static struct gen_program gen;
	struct gen_options o;
	struct vfm_reject reject;
	struct program_state_options state = {.default_capacity = 6, .idle_s = -1, .seed = seed};

	if (seed % 4 == 3)
		gen_options_stateless(&o);
	else
		gen_options_all(&o);
	o.min_statements = 2;
	o.max_statements = seed % 16 == 0 ? 120 : 24;
	gen_program(&gen, &o, seed);
	s->insn_limit = seed % 3 == 0 ? 40 : seed % 3 == 1 ? 1000 : VFM_DEFAULT_INSN_LIMIT;
	s->program = program_new(gen.code, gen.len, 0, &reject);
	assert_non_null(s->program);
	s->a = program_shard_new(s->program, &state);
	s->b = program_shard_new(s->program, &state);
	assert_true(s->a && s->b);
	assert_int_equal(jit_new(s->program, tier, s->insn_limit, &s->jit), 0);
	if (seed % 2)
		jit_hint_from(s->jit, 0);
	if (jit_tier(s->jit) == JIT_INTERP)
		FAIL("not compiled");
}

static void close_subject(struct subject *s)
{
	struct jit_counts counts = jit_counts(s->jit);

	seen.together += counts.tier[JIT_AVX2] + counts.tier[JIT_AVX512];
	seen.continued += counts.continued;
	jit_free(s->jit);
	shard_free(s->a);
	shard_free(s->b);
	program_free(s->program);
}

static void expect_same(const struct machine *m, const struct vfm_result *got, unsigned i, enum jit_tier tier)
{
	if (m->result.error != got->error || m->result.value != got->value)
		FAIL("%s, packet %u of %u bytes: machine %d %llu, compiled %d %llu", jit_tier_name(tier), i, m->packet.len,
		     m->result.error, (unsigned long long)m->result.value, got->error, (unsigned long long)got->value);
	count_result(got);
}

static void check_single(uint64_t seed, enum jit_tier tier)
{
	static struct machine m;
	struct gen_traffic traffic;
	struct vfm_packet packet;
	struct vfm_result got;
	struct subject s;

	open_subject(&s, seed, tier);
	assert_int_equal(gen_traffic_init(&traffic, seed, s.program->code, s.program->len), 0);
	for (unsigned i = 0; i < PACKETS; i++) {
		gen_traffic_next(&traffic, &packet);
		put_at_edge(&packet, &edges[0], i % 2);
		machine_init(&m, s.program->code, s.program->len, s.program->table_index, s.a, &packet, s.insn_limit);
		machine_run(&m);
		jit_run(s.jit, s.b, &packet, &got);
		expect_same(&m, &got, i, tier);
	}
	if (shard_digest(s.a) != shard_digest(s.b))
		FAIL("%s: the tables differ at the end", jit_tier_name(tier));
	gen_traffic_fini(&traffic);
	close_subject(&s);
}

/* A burst of 1 to 67 packets, each at an edge of its own, on two shards. */
static void check_burst(uint64_t seed, enum jit_tier tier)
{
	static struct machine m;
	struct vfm_packet packets[MAX_BURST];
	struct vfm_result results[MAX_BURST];
	struct shard *shards[MAX_BURST], *twin[2], *mine[2];
	struct program_state_options state = {.default_capacity = 6, .idle_s = -1, .seed = seed};
	uint32_t n = 1 + (uint32_t)(seed % MAX_BURST);
	struct gen_traffic traffic;
	struct subject s;

	open_subject(&s, seed, tier);
	assert_int_equal(gen_traffic_init(&traffic, seed, s.program->code, s.program->len), 0);
	twin[0] = s.a;
	mine[0] = s.b;
	twin[1] = program_shard_new(s.program, &state);
	mine[1] = program_shard_new(s.program, &state);
	assert_true(twin[1] && mine[1]);
	for (uint32_t i = 0; i < n; i++) {
		gen_traffic_next(&traffic, &packets[i]);
		put_at_edge(&packets[i], &edges[i], (i + seed) % 2);
		shards[i] = mine[i % 3 == 1];
	}
	jit_burst(s.jit, n, packets, shards, results);
	for (uint32_t i = 0; i < n; i++) {
		machine_init(&m, s.program->code, s.program->len, s.program->table_index, twin[i % 3 == 1], &packets[i],
			     s.insn_limit);
		machine_run(&m);
		expect_same(&m, &results[i], i, tier);
	}
	if (shard_digest(twin[0]) != shard_digest(mine[0]) || shard_digest(twin[1]) != shard_digest(mine[1]))
		FAIL("%s: the tables differ at the end", jit_tier_name(tier));
	if (jit_counts(s.jit).fallback)
		FAIL("%s: fallbacks", jit_tier_name(tier));
	shard_free(twin[1]);
	shard_free(mine[1]);
	gen_traffic_fini(&traffic);
	close_subject(&s);
}

static void for_programs(void (*check)(uint64_t seed, enum jit_tier tier))
{
	const char *one = getenv("TEST_SEED");
	uint64_t n = one ? 1 : getenv("TEST_ALL") ? ALL_PROGRAMS : SHORT_PROGRAMS;
	enum jit_tier best = jit_best_tier();
	unsigned share = 0, shares = 1;

	if (getenv("TEST_SHARE") && (sscanf(getenv("TEST_SHARE"), "%u/%u", &share, &shares) != 2 || share >= shares))
		fail_msg("TEST_SHARE is to be K/N, K from 0 to N - 1");
	if (best == JIT_INTERP) {
		print_message("SKIP no compiler for this CPU\n");
		skip();
	}
	memset(&seen, 0, sizeof(seen));
	for (uint64_t i = one ? 0 : share; i < n; i += shares) {
		running_seed = one ? strtoull(one, NULL, 0) : i + 1;
		for (int tier = JIT_SCALAR; tier <= (int)best; tier++) {
			/* Lowers the instructions that are used, too. */
			setenv("VFM_JIT", jit_tier_name((enum jit_tier)tier), 1);
			check(running_seed, (enum jit_tier)tier);
		}
	}
	unsetenv("VFM_JIT");
	many = n > 1;
}

static void one_packet_after_another_equals_the_machine(void **state)
{
	(void)state;
	for_programs(check_single);
	if (!many)
		return;
	expect_share(seen.accepted, 200, "are accepted");
	expect_share(seen.bounds, 100, "end in BOUNDS");
	expect_share(seen.division, 5, "end in DIVISION_BY_ZERO");
	expect_share(seen.limit, 20, "end in LIMIT");
}

static void bursts_equal_the_machine(void **state)
{
	(void)state;
	for_programs(check_burst);
	if (!many || jit_best_tier() < JIT_AVX2)
		return;
	expect_share(seen.continued, 25, "go on where they left it");
	expect_share(seen.together, 25, "run in vector code"); /* most programs have tables */
}

/* ---- policies: chains of rules, each of some tests, as lists of tests are made of ---- */

#define POLICY_BYTES 40 /* packets are at most so long, of bytes below 4, so that rules fit now and then */

/* Pushes what a test looks at, and a number that it may be equal to. */
static void add_field(void)
{
	static const char *const loads[] = {"LD8", "LD16", "LD32", "LD64"};
	static const char *const often[] = {"3", "0x0302", "0x03020100", "0x0302010003020100"};
	uint32_t k = text_below(4), at = text_below(6) ? 4 * text_below(4) : text_below(POLICY_BYTES - 8);

	switch (text_below(8)) {
	case 0: /* a value that is loaded at a place that another one tells */
		text_add("LD8 %u\nPUSH 3\nAND\nLDX16\nPUSH 0x%u0%u\n", at, text_below(4), text_below(4));
		return;
	case 1:
		text_add("%s %u\nPUSH %u\nSHR\nPUSH %u\n", loads[k], at, text_below(8u << k), text_below(3));
		return;
	case 2:
		text_add("%s\nPUSH %u\n", text_below(2) ? "PKTLEN" : "INPUT", text_below(4));
		return;
	case 3:
		text_add("%s %u\nPUSH %u\nADD\nPUSH %u\n", loads[k], at, text_below(3), text_below(5));
		return;
	case 4:
		text_add("%s %u\nPUSH 0x%x\nAND\nPUSH %u\n", loads[k], at, 1 + text_below(0x0303), text_below(4));
		return;
	default:
		text_add("%s %u\nPUSH %s\n", loads[k], at, often[k]);
	}
}

#define ACTIONS 8

static void make_policy(uint64_t seed)
{
	static const char *const fails[] = {"JNE", "JNE", "JNE", "JNE", "JEQ", "JGE", "JGT"};
	static const char *const texts[ACTIONS] = {
		"PUSH 0",       "PUSH 1",  "PUSH 3", "LD8 9\nPUSH 1\nFLOW_ADD", "PUSH 0x123456789ab",
		"LD16 9\nLDX8", "LD32 12", "PUSH -1"};
	bool used[ACTIONS] = {true}; /* the first one is for packets that no rule fits */
	uint32_t rules, actions;

	text_begin(seed);
	rules = 1 + text_below(seed % 8 == 0 ? 140 : 12);
	actions = 1 + text_below(ACTIONS);
	for (uint32_t i = 0; i < rules; i++) {
		uint32_t action = text_below(actions);

		for (uint32_t tests = 1 + text_below(3); tests; tests--) {
			add_field();
			text_add("%s next%u\n", fails[text_below(7)], i);
		}
		text_add("JMP action%u\nnext%u:\n", action, i);
		used[action] = true;
	}
	for (uint32_t a = 0; a < actions; a++)
		if (used[a])
			text_add("action%u:\n%s\nRET\n", a, texts[a]);
}

static void open_policy(struct subject *s, uint64_t seed, enum jit_tier tier)
{
	struct program_state_options state = {.default_capacity = 6, .idle_s = -1, .seed = seed};
	const char *why;

	make_policy(seed);
	s->insn_limit = VFM_DEFAULT_INSN_LIMIT;
	s->program = text_assemble(&why);
	if (!s->program)
		FAIL("the policy: %s\n%s", why, text_so_far());
	s->a = program_shard_new(s->program, &state);
	s->b = program_shard_new(s->program, &state);
	assert_true(s->a && s->b);
	assert_int_equal(jit_new(s->program, tier, s->insn_limit, &s->jit), 0);
}

static void make_policy_packet(struct vfm_packet *p, const struct edge *e, bool at_end)
{
	static uint8_t bytes[POLICY_BYTES];

	*p = (struct vfm_packet){
		.data = bytes, .len = text_below(8) ? POLICY_BYTES : text_below(POLICY_BYTES + 1), .input = text_below(4)};
	for (uint32_t i = 0; i < POLICY_BYTES; i++)
		bytes[i] = (uint8_t)text_below(4);
	for (uint32_t i = 0; i < 16 && text_below(2); i++)
		bytes[i] = (uint8_t)(3 - i % 4); /* what the wider constants are made of */
	put_at_edge(p, e, at_end);
}

static void check_policy(uint64_t seed, enum jit_tier tier)
{
	static struct machine m;
	struct vfm_packet packet, copies[16];
	struct vfm_result got, results[16];
	struct shard *shards[16];
	struct subject s;

	open_policy(&s, seed, tier);
	for (unsigned i = 0; i < 32; i++) {
		make_policy_packet(&packet, &edges[0], i % 2);
		machine_init(&m, s.program->code, s.program->len, s.program->table_index, s.a, &packet, s.insn_limit);
		machine_run(&m);
		jit_run(s.jit, s.b, &packet, &got);
		expect_same(&m, &got, i, tier);
	}
	for (unsigned i = 0; i < 16; i++) {
		make_policy_packet(&copies[i], &edges[i], i % 2);
		shards[i] = s.b;
	}
	jit_burst(s.jit, 16, copies, shards, results);
	for (unsigned i = 0; i < 16; i++) {
		machine_init(&m, s.program->code, s.program->len, s.program->table_index, s.a, &copies[i], s.insn_limit);
		machine_run(&m);
		expect_same(&m, &results[i], i, tier);
	}
	if (shard_digest(s.a) != shard_digest(s.b))
		FAIL("%s: the tables differ at the end", jit_tier_name(tier));
	close_subject(&s);
}

static void policies_equal_the_machine(void **state)
{
	(void)state;
	for_programs(check_policy);
	if (!many)
		return;
	expect_share(seen.accepted, 200, "are accepted");
	if (jit_best_tier() < JIT_AVX2)
		return;
	expect_share(seen.together, 50, "run in vector code");
	expect_share(seen.continued, 25, "go on where they left it");
}

/* A burst of several groups of lanes. */
#define SMALL_PKTS  64
#define SMALL_BYTES 64
struct small {
	uint8_t bytes[SMALL_PKTS][SMALL_BYTES];
	struct vfm_packet packets[SMALL_PKTS];
	struct vfm_result results[SMALL_PKTS];
};

static void run_small(const char *source, struct small *w)
{
	struct shard *shards[SMALL_PKTS];
	struct vfm_reject why;
	static struct diag_list d;
	struct program *p;
	struct jit *j;
	uint8_t *text;
	uint32_t len;

	diag_init(&d, "small", source, (uint32_t)strlen(source));
	assert_int_equal(asm_assemble(source, strlen(source), false, &text, &len, &d), 0);
	p = program_new(text, len, 0, &why);
	assert_non_null(p);
	assert_int_equal(jit_new(p, jit_best_tier(), VFM_DEFAULT_INSN_LIMIT, &j), 0);
	shards[0] = program_shard_new(p, &(struct program_state_options){.idle_s = -1});
	for (unsigned i = 0; i < SMALL_PKTS; i++) {
		w->packets[i] = (struct vfm_packet){.data = w->bytes[i], .len = SMALL_BYTES};
		shards[i] = shards[0];
	}
	jit_burst(j, SMALL_PKTS, w->packets, shards, w->results);
	jit_free(j);
	shard_free(shards[0]);
	program_free(p);
	free(text);
}

/* Lanes hold 32 bits: a difference of a multiple of 2^32 must not be taken for 0. */
static void a_wide_difference_is_not_taken_for_0(void **state)
{
	struct small w = {0};

	(void)state;
	for (unsigned i = 0; i < SMALL_PKTS; i++) {
		w.bytes[i][3] = (uint8_t)i; /* times 2^32 */
		w.bytes[i][7] = 7;
	}
	run_small("LD64 0\nPUSH 7\nSUB\nPUSH 0\nJEQ same\nRET 1\nsame:\nRET 2\n", &w);
	for (unsigned i = 0; i < SMALL_PKTS; i++)
		assert_int_equal(w.results[i].value, i ? 1 : 2);
}

/* A block that returns a constant computes, for nothing, what another block returns. */
static void a_value_that_a_block_drops_serves_another_block(void **state)
{
	struct small w = {0};

	(void)state;
	for (unsigned i = 0; i < SMALL_PKTS; i++) {
		w.bytes[i][0] = 0xfd;
		w.bytes[i][1] = (uint8_t)(i % 2);
	}
	run_small("LD8 1\nPUSH 0\nJEQ other\nLD8 0\nPUSH 7\nAND\nPOP\nRET 1\nother:\nLD8 0\nPUSH 7\nAND\nRET\n", &w);
	for (unsigned i = 0; i < SMALL_PKTS; i++)
		assert_int_equal(w.results[i].value, i % 2 ? 1 : 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_packet_after_another_equals_the_machine),
		cmocka_unit_test(bursts_equal_the_machine),
		cmocka_unit_test(policies_equal_the_machine),
		cmocka_unit_test(a_wide_difference_is_not_taken_for_0),
		cmocka_unit_test(a_value_that_a_block_drops_serves_another_block),
	};

	for (unsigned i = 0; i < MAX_BURST; i++)
		open_edge(&edges[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

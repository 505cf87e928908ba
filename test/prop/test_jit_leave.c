/* Packets that leave the vector code in the middle, against the plain machine: programs that compute some values, then choose among verdicts, table
 * instructions, divisions and hashes that use them.
 * Bursts of 1 to 67 packets on up to three shards; many packets of a burst have the same keys; each ends at a page that cannot be read.
 *   TEST_SEED=N   the one case with that seed        TEST_ALL=1   many more cases
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
#include "test/lib/gen_text.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define SHORT_PROGRAMS 4000
#define ALL_PROGRAMS   200000
#define MAX_BURST      67
#define PACKET_BYTES   32 /* at most, of bytes below 4 */
#define SHARDS         3

static uint64_t running_seed;

#define FAIL(...) \
	do { \
		print_message("repeat: TEST_SEED=%llu build/test/prop/test_jit_leave\n%s", (unsigned long long)running_seed, \
			      text_so_far()); \
		fail_msg(__VA_ARGS__); \
	} while (0)

static struct {
	uint64_t packets, together, continued, errors;
	uint64_t programs, continuing; /* those some of whose packets went on */
} seen;

static uint32_t depth; /* values computed first, which stay on the stack */
static uint32_t n_labels;

/* ---- programs ---- */

static uint32_t offset(void)
{
	return text_below(10) ? text_below(12) : text_below(PACKET_BYTES);
}

/* Pushes a value of few outcomes, of one load or more. */
static void add_value(void)
{
	uint32_t label = n_labels;

	switch (text_below(12)) {
	case 0:
		text_add("LD16 %u\nPUSH %u\nSHR\n", offset(), text_below(12));
		return;
	case 1:
		text_add("LD32 %u\nPUSH 0x01000001\nAND\n", offset());
		return;
	case 2:
		text_add("%s\n", text_below(2) ? "PKTLEN" : "INPUT");
		return;
	case 3: /* at an offset that the packet tells */
		text_add("LD8 %u\nPUSH 7\nMUL\nLDX%u\n", offset(), 8u << text_below(3));
		return;
	case 4: /* one of two */
		n_labels++;
		text_add("LD8 %u\nPUSH %u\nJEQ yes%u\nPUSH %u\nJMP end%u\nyes%u:\nLD8 %u\nend%u:\n", offset(), text_below(4), label,
			 text_below(3), label, label, offset(), label);
		return;
	case 5: /* more than 32 bits */
		text_add("LD64 %u\n%s", offset(), text_below(2) ? "" : "PUSH 40\nSHR\n");
		return;
	case 6:
		text_add("LD8 %u\nPUSH %u\nSHL\n", offset(), 28 + text_below(12));
		return;
	case 7:
		text_add("LD8 %u\nLD8 %u\nSUB\n", offset(), offset());
		return;
	default:
		text_add("LD8 %u\nLD8 %u\n%s\n", offset(), offset(), text_below(2) ? "ADD" : "MUL");
	}
}

/* Pushes one of those computed first, of which `over` values are above, or a new one. */
static void add_use(uint32_t over)
{
	if (text_below(6) && depth)
		text_add("PICK %u\n", over + text_below(depth));
	else
		text_add("LD8 %u\n", offset());
}

/* Ends the packet, or falls through with the stack as it was. */
static void add_action(void)
{
	uint32_t t = text_below(2);

	switch (text_below(11)) {
	case 9: /* two ways to a table instruction, each with values of its own */
		text_add("LD8 %u\nPUSH 1\nJEQ one%u\n", offset(), n_labels);
		add_use(0);
		add_use(1);
		text_add("JMP both%u\none%u:\n", n_labels, n_labels);
		add_use(0);
		add_use(1);
		text_add("both%u:\nFLOW_ADD %u\nRET\n", n_labels++, t);
		return;
	case 10: /* a key that no packet of the region must have */
		add_use(0);
		text_add("LD8 %u\nDIV\nLD8 %u\nFLOW_LOAD %u\nADD\nRET\n", offset(), text_below(PACKET_BYTES), t);
		return;
	case 0:
		text_add("RET %u\n", text_below(4));
		return;
	case 1:
		add_use(0);
		text_add("RET\n");
		return;
	case 2:
		add_use(0);
		text_add("FLOW_LOAD %u\n", t);
		add_use(1);
		text_add("ADD\nRET\n");
		return;
	case 3:
		add_use(0);
		add_use(1);
		text_add("FLOW_STORE %u\n", t);
		return;
	case 4: /* counts, and chooses by the count */
		add_use(0);
		text_add("PUSH 1\nFLOW_ADD %u\nPUSH %u\nAND\nPUSH 0\nJEQ even%u\nRET 1\neven%u:\n", t, 1 + text_below(2), n_labels,
			 n_labels);
		n_labels++;
		return;
	case 5:
		add_use(0);
		add_use(1);
		text_add("%s\nRET\n", text_below(2) ? "DIV" : "MOD");
		return;
	case 6:
		text_add("%s\nFLOW_LOAD %u\nRET\n", text_below(2) ? "HASH5" : "NOW", t);
		return;
	case 7:
		add_use(0);
		add_use(1);
		text_add("MIX\nPUSH 1\nFLOW_ADD %u\nRET\n", t);
		return;
	default:
		add_use(0);
		text_add("FLOW_DEL %u\n", t);
	}
}

static void make_program(uint64_t seed)
{
	text_begin(seed);
	n_labels = 0;
	text_add("TABLE 0, %u, %u\nTABLE 1, 3, 0\n", 1 + text_below(40), text_below(3));
	for (depth = 0; depth < text_below(6); depth++)
		add_value();
	for (uint32_t i = 0, n = 1 + text_below(7); i < n; i++) {
		uint32_t label = n_labels++;

		if (text_below(3) == 0)
			add_use(0);
		else
			text_add("LD8 %u\n", offset());
		text_add("PUSH %u\n%s next%u\n", text_below(4), text_below(3) ? "JNE" : "JGT", label);
		add_action();
		text_add("next%u:\n", label);
	}
	text_add("RET %u\n", text_below(3));
}

static struct program *assemble(void)
{
	const char *why;
	struct program *p = text_assemble(&why);

	if (!p)
		FAIL("%s", why);
	return p;
}

/* ---- packets, each up to a page that may not be read ---- */

static uint8_t *ends[MAX_BURST];

static void open_ends(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (uint32_t i = 0; i < MAX_BURST; i++) {
		uint8_t *at = mmap(NULL, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		assert_true(at != MAP_FAILED);
		assert_int_equal(mprotect(at, page, PROT_READ | PROT_WRITE), 0);
		ends[i] = at + page;
	}
}

static void make_packet(struct vfm_packet *p, uint32_t i, uint32_t few)
{
	uint32_t len = text_below(6) ? 16 + text_below(PACKET_BYTES - 15) : text_below(PACKET_BYTES);

	*p = (struct vfm_packet){.data = ends[i] - len, .len = len, .input = text_below(3)};
	for (uint32_t k = 0; k < len; k++)
		ends[i][(long)k - (long)len] = (uint8_t)text_below(few);
}

/* ---- bursts ---- */

static void check_bursts(const struct program *p, enum jit_tier tier, struct shard **twin, struct shard **mine)
{
	static struct machine m;
	struct vfm_packet packets[MAX_BURST];
	struct vfm_result results[MAX_BURST];
	struct shard *shards[MAX_BURST];
	uint32_t whose[MAX_BURST];
	struct jit_counts counts;
	uint64_t now = 0;
	struct jit *j;

	assert_int_equal(jit_new(p, tier, VFM_DEFAULT_INSN_LIMIT, &j), 0);
	if (text_below(4))
		jit_hint_from(j, 0);
	for (unsigned burst = 0; burst < 3; burst++) {
		uint32_t n = 1 + text_below(MAX_BURST), few = 1 + text_below(4), step = text_below(2) * 600000,
			 n_shards = 1 + text_below(SHARDS);

		for (uint32_t i = 0; i < n; i++) {
			make_packet(&packets[i], i, few);
			now += text_below(step + 1);
			packets[i].time_us = now;
			whose[i] = text_below(n_shards);
			shards[i] = mine[whose[i]];
		}
		jit_burst(j, n, packets, shards, results);
		for (uint32_t i = 0; i < n; i++) {
			machine_init(&m, p->code, p->len, p->table_index, twin[whose[i]], &packets[i], VFM_DEFAULT_INSN_LIMIT);
			machine_run(&m);
			if (m.result.error != results[i].error || m.result.value != results[i].value)
				FAIL("%s, burst %u, packet %u of %u, %u bytes: machine %d %llu, compiled %d %llu",
				     jit_tier_name(tier), burst, i, n, packets[i].len, m.result.error,
				     (unsigned long long)m.result.value, results[i].error, (unsigned long long)results[i].value);
			seen.errors += results[i].error != VFM_SUCCESS;
		}
		seen.packets += n;
		for (unsigned k = 0; k < SHARDS; k++)
			if (shard_digest(twin[k]) != shard_digest(mine[k]))
				FAIL("%s, burst %u: the tables, or the clocks, differ", jit_tier_name(tier), burst);
	}
	counts = jit_counts(j);
	seen.together += counts.tier[JIT_AVX2] + counts.tier[JIT_AVX512];
	seen.continued += counts.continued;
	seen.programs++;
	seen.continuing += counts.continued > 0;
	jit_free(j);
}

static void check(uint64_t seed, enum jit_tier tier)
{
	struct program_state_options state = {.idle_s = -1, .tracked = seed % 2, .seed = seed};
	struct shard *twin[SHARDS], *mine[SHARDS];
	struct program *p;

	make_program(seed);
	p = assemble();
	for (unsigned k = 0; k < SHARDS; k++) {
		twin[k] = program_shard_new(p, &state);
		mine[k] = program_shard_new(p, &state);
		assert_true(twin[k] && mine[k]);
	}
	check_bursts(p, tier, twin, mine);
	for (unsigned k = 0; k < SHARDS; k++) {
		shard_free(twin[k]);
		shard_free(mine[k]);
	}
	program_free(p);
}

static void expect(uint64_t part, uint64_t of, unsigned percent, const char *what)
{
	if (part * 100 < of * percent)
		fail_msg("only %llu of %llu %s", (unsigned long long)part, (unsigned long long)of, what);
}

static void packets_that_leave_lanes_equal_the_machine(void **state)
{
	const char *one = getenv("TEST_SEED");
	uint64_t n = one ? 1 : getenv("TEST_ALL") ? ALL_PROGRAMS : SHORT_PROGRAMS;
	enum jit_tier best = jit_best_tier();

	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		running_seed = one ? strtoull(one, NULL, 0) : i + 1;
		for (int tier = JIT_AVX2; tier <= (int)best; tier++) {
			setenv("VFM_JIT", jit_tier_name((enum jit_tier)tier), 1);
			check(running_seed, (enum jit_tier)tier);
		}
	}
	unsetenv("VFM_JIT");
	if (best < JIT_AVX2) {
		print_message("SKIP no vector code for this CPU\n");
		skip();
	}
	if (n == 1)
		return;
	expect(seen.continued, seen.packets, 10, "packets went on where they left the lanes");
	expect(seen.continuing, seen.programs, 50, "programs had such packets");
	expect(seen.together, seen.packets, 10, "packets had their verdict in lanes");
	expect(seen.errors, seen.packets, 10, "packets ended in an error");
}

/* A sum of more than 32 bits is computed where it is used, in lanes or not. */
static void what_lanes_cannot_hand_on_is_computed_behind_them(void **state)
{
	struct program_state_options options = {.idle_s = -1};
	struct vfm_packet packets[16];
	struct vfm_result results[16];
	struct shard *shards[16];
	struct program *p;
	struct jit *j;

	(void)state;
	if (jit_best_tier() < JIT_AVX2)
		skip();
	text_begin(0);
	text_add("TABLE 0, 16, 0\nLD8 0\nPUSH 0\nJEQ out\nLD32 1\nPUSH 8\nSHL\nLD8 5\nADD\nLD8 6\nMIX\nPUSH 1\nFLOW_ADD "
		 "0\nRET\nout:\nRET 7\n");
	p = assemble();
	shards[0] = program_shard_new(p, &options);
	assert_int_equal(jit_new(p, jit_best_tier(), VFM_DEFAULT_INSN_LIMIT, &j), 0);
	for (uint32_t i = 0; i < 16; i++) {
		packets[i] = (struct vfm_packet){.data = ends[i] - PACKET_BYTES, .len = PACKET_BYTES};
		memset(ends[i] - PACKET_BYTES, i % 2, PACKET_BYTES);
		shards[i] = shards[0];
	}
	jit_burst(j, 16, packets, shards, results);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(results[i].value, i % 2 ? (i + 1) / 2 : 7);
	assert_int_equal(jit_counts(j).continued, 8);
	jit_free(j);
	shard_free(shards[0]);
	program_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_that_leave_lanes_equal_the_machine),
		cmocka_unit_test(what_lanes_cannot_hand_on_is_computed_behind_them),
	};

	open_ends();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The intermediate form on generated programs: it computes what the machine computes; dominators, longest paths and intervals equal
 * naive twins; no fact is ever contradicted by a run.
 *   TEST_SEED=N   the one case with that seed        TEST_ALL=1   many more cases
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/gen_program.h"
#include "test/lib/ir_run.h"
#include "vm/ir_fact.h"
#include "vm/step.h"

#define SHORT_CASES     1000
#define ALL_CASES       100000
#define PACKETS         12
#define INSN_LIMIT      500 /* low, so that loops meet it */
#define TWIN_MAX_BLOCKS 400

static uint64_t running_seed;

struct subject {
	struct program *program;
	struct ir *ir;
};

static void open_subject(struct subject *s, uint64_t seed, bool stateless)
{
	static struct gen_program gen;
	struct gen_options o;
	struct vfm_reject reject;

	if (stateless)
		gen_options_stateless(&o);
	else
		gen_options_all(&o);
	o.max_statements = seed % 8 == 0 ? 120 : 24;
	o.min_statements = 4;
	gen_program(&gen, &o, seed);
	s->program = program_new(gen.code, gen.len, 0, &reject);
	assert_non_null(s->program);
	s->ir = ir_new(s->program, NULL);
	assert_non_null(s->ir);
}

static void close_subject(struct subject *s)
{
	ir_free(s->ir);
	program_free(s->program);
}

/* Runs test(seed) for each case and says how to repeat a failing one. */
static void for_cases(void (*test)(uint64_t seed))
{
	const char *one = getenv("TEST_SEED");
	uint64_t cases = one ? 1 : getenv("TEST_ALL") ? ALL_CASES : SHORT_CASES;

	for (uint64_t i = 0; i < cases; i++) {
		running_seed = one ? strtoull(one, NULL, 0) : i + 1;
		test(running_seed);
	}
}

#define FAIL(...) \
	do { \
		print_message("repeat: TEST_SEED=%llu build/test/prop/test_ir\n", (unsigned long long)running_seed); \
		fail_msg(__VA_ARGS__); \
	} while (0)

static struct shard *new_shard(const struct program *p, uint64_t seed)
{
	struct program_state_options o = {.default_capacity = 8, .idle_s = -1, .seed = seed};
	struct shard *s = program_shard_new(p, &o);

	assert_non_null(s);
	return s;
}

/* ---- the form means what the bytecode means ---- */

static void check_meaning(uint64_t seed)
{
	struct subject s;
	struct gen_traffic traffic;
	struct ir_run run;
	struct shard *a, *b;

	open_subject(&s, seed, false);
	a = new_shard(s.program, seed);
	b = new_shard(s.program, seed);
	assert_int_equal(ir_run_init(&run, s.ir), 0);
	assert_int_equal(gen_traffic_init(&traffic, seed, s.program->code, s.program->len), 0);
	run.check_facts = true;
	for (unsigned i = 0; i < PACKETS; i++) {
		struct vfm_packet packet;
		struct machine m;

		gen_traffic_next(&traffic, &packet);
		machine_init(&m, s.program->code, s.program->len, s.program->table_index, a, &packet, INSN_LIMIT);
		machine_run(&m);
		ir_run(&run, b, &packet, INSN_LIMIT);
		if (m.result.error != run.result.error || m.result.value != run.result.value)
			FAIL("packet %u: machine %d %llu, form %d %llu", i, m.result.error, (unsigned long long)m.result.value,
			     run.result.error, (unsigned long long)run.result.value);
		if (run.result.error == 0 && m.insn_count != run.insn_count)
			FAIL("packet %u: machine executes %llu instructions, form %llu", i, (unsigned long long)m.insn_count,
			     (unsigned long long)run.insn_count);
		if (run.contradicted)
			FAIL("packet %u: %s: %u", i, run.contradicted, run.where);
		if (run.insn_count > s.ir->path.insns || run.accesses > s.ir->path.accesses)
			FAIL("packet %u: more instructions or accesses than the worst case", i);
	}
	if (shard_digest(a) != shard_digest(b))
		FAIL("the tables differ at the end");
	gen_traffic_fini(&traffic);
	ir_run_fini(&run);
	shard_free(a);
	shard_free(b);
	close_subject(&s);
}

static void the_form_computes_what_the_machine_computes(void **state)
{
	(void)state;
	for_cases(check_meaning);
}

/* ---- facts against traces of the plain machine ---- */

/* value_at[pc]: the value made by the instruction at pc + 1. */
static void check_step(const struct ir *ir, const uint32_t *value_at, const struct machine *before, const struct machine *after)
{
	uint32_t v = value_at[before->pc];

	if (v == 0 || after->done || !(ir_ops[ir->values[v - 1].op].flags & IR_F_RESULT))
		return;
	if (!fact_allows(&ir->facts.value[v - 1], after->stack[after->sp - 1]))
		FAIL("at %u the machine has %llu, which the fact of v%u excludes", before->pc,
		     (unsigned long long)after->stack[after->sp - 1], v - 1);
}

static void check_params(const struct ir *ir, const uint32_t *block_at, const struct machine *m)
{
	const struct ir_block *b;

	if (m->done || block_at[m->pc] == 0)
		return;
	b = &ir->blocks[block_at[m->pc] - 1];
	for (uint32_t v = b->first; v < b->first + b->n_params; v++)
		if (!fact_allows(&ir->facts.value[v], m->stack[m->sp - 1 - ir->values[v].imm]))
			FAIL("at %u slot %u holds %llu, which the fact of v%u excludes", m->pc, (unsigned)ir->values[v].imm,
			     (unsigned long long)m->stack[m->sp - 1 - ir->values[v].imm], v);
}

static void check_trace(uint64_t seed)
{
	static struct machine before, m;
	struct subject s;
	struct gen_traffic traffic;
	struct shard *shard;
	uint32_t *value_at, *block_at;

	open_subject(&s, seed, false);
	value_at = calloc(s.program->len + 1ul, sizeof(*value_at));
	block_at = calloc(s.program->len + 1ul, sizeof(*block_at));
	assert_true(value_at && block_at);
	for (uint32_t v = 0; v < s.ir->n_values; v++)
		if (s.ir->values[v].op != IR_PARAM)
			value_at[s.ir->values[v].pc] = v + 1;
	for (uint32_t i = 0; i < s.ir->n_blocks; i++)
		block_at[s.ir->blocks[i].pc] = i + 1;
	shard = new_shard(s.program, seed);
	assert_int_equal(gen_traffic_init(&traffic, seed, s.program->code, s.program->len), 0);
	for (unsigned i = 0; i < PACKETS / 2; i++) {
		struct vfm_packet packet;

		gen_traffic_next(&traffic, &packet);
		machine_init(&m, s.program->code, s.program->len, s.program->table_index, shard, &packet, INSN_LIMIT);
		do {
			before.pc = m.pc;
			machine_step(&m);
			check_step(s.ir, value_at, &before, &m);
			check_params(s.ir, block_at, &m);
		} while (!m.done);
	}
	gen_traffic_fini(&traffic);
	shard_free(shard);
	free(value_at);
	free(block_at);
	close_subject(&s);
}

static void no_fact_is_contradicted_by_a_trace_of_the_machine(void **state)
{
	(void)state;
	for_cases(check_trace);
}

/* ---- dominators: b is dominated by exactly the blocks without which it cannot be reached ---- */

static void reach_without(const struct ir *ir, uint32_t removed, uint8_t *reached, uint32_t *work)
{
	uint32_t n = 0;

	memset(reached, 0, ir->n_blocks);
	if (removed != 0) {
		reached[0] = 1;
		work[n++] = 0;
	}
	while (n) {
		const struct ir_block *b = &ir->blocks[work[--n]];

		for (unsigned k = 0; k < b->n_succs; k++) {
			uint32_t to = b->succ[k].block;

			if (to == removed || reached[to])
				continue;
			reached[to] = 1;
			work[n++] = to;
		}
	}
}

static void check_dominators(uint64_t seed)
{
	struct subject s;
	uint8_t *reached;
	uint32_t *work;

	open_subject(&s, seed, true);
	if (s.ir->n_blocks > TWIN_MAX_BLOCKS) {
		close_subject(&s);
		return;
	}
	reached = malloc(s.ir->n_blocks);
	work = malloc(s.ir->n_blocks * sizeof(*work));
	assert_true(reached && work);
	for (uint32_t d = 0; d < s.ir->n_blocks; d++) {
		reach_without(s.ir, d, reached, work);
		for (uint32_t b = 0; b < s.ir->n_blocks; b++)
			if (ir_dominates(s.ir, d, b) != !reached[b])
				FAIL("b%u %s b%u", d, reached[b] ? "is said to dominate" : "is not said to dominate", b);
		/* The immediate one is dominated by all the others. */
		if (d > 0 && (s.ir->idom[d] == d || !ir_dominates(s.ir, s.ir->idom[d], d)))
			FAIL("b%u is no strict dominator of b%u", s.ir->idom[d], d);
	}
	for (uint32_t b = 1; b < s.ir->n_blocks; b++)
		for (uint32_t d = 0; d < s.ir->n_blocks; d++)
			if (d != b && ir_dominates(s.ir, d, b) && !ir_dominates(s.ir, d, s.ir->idom[b]))
				FAIL("b%u is not the nearest dominator of b%u: b%u is nearer", s.ir->idom[b], b, d);
	free(reached);
	free(work);
	close_subject(&s);
}

static void dominators_equal_those_found_by_taking_blocks_away(void **state)
{
	(void)state;
	for_cases(check_dominators);
}

/* ---- longest path: Bellman-Ford, as many rounds as there are blocks; what still grows is in a cycle ---- */

/* One round: each block's best continuation plus its own weight. A path without a cycle weighs at most cap; a heavier one goes
 * round a cycle of positive weight. True if something grew. */
static bool relax(const struct ir *ir, const uint64_t *weight, uint64_t cap, uint64_t *best)
{
	bool grew = false;

	for (uint32_t i = 0; i < ir->n_blocks; i++) {
		uint64_t rest = 0;

		for (unsigned k = 0; k < ir->blocks[i].n_succs; k++)
			if (best[ir->blocks[i].succ[k].block] > rest)
				rest = best[ir->blocks[i].succ[k].block];
		rest = rest == IR_UNBOUNDED || rest + weight[i] > cap ? IR_UNBOUNDED : rest + weight[i];
		grew |= rest != best[i];
		best[i] = rest;
	}
	return grew;
}

static uint64_t naive_longest(const struct ir *ir, const uint64_t *weight)
{
	uint64_t *best = calloc(ir->n_blocks, sizeof(*best)), result, cap = 0;

	assert_non_null(best);
	for (uint32_t i = 0; i < ir->n_blocks; i++)
		cap += weight[i];
	while (relax(ir, weight, cap, best))
		;
	result = best[0];
	free(best);
	return result;
}

static void check_paths(uint64_t seed)
{
	struct subject s;
	uint64_t *weight[3];

	open_subject(&s, seed, false);
	for (unsigned w = 0; w < 3; w++) {
		weight[w] = calloc(s.ir->n_blocks, sizeof(uint64_t));
		assert_non_null(weight[w]);
	}
	for (uint32_t i = 0; i < s.ir->n_blocks; i++) {
		const struct ir_block *b = &s.ir->blocks[i];

		weight[0][i] = b->insns;
		for (uint32_t v = b->first; v < b->first + b->n_values; v++) {
			uint8_t op = s.ir->values[v].op;

			weight[1][i] += op == IR_FLOW_LOAD || op == IR_FLOW_STORE || op == IR_FLOW_ADD || op == IR_FLOW_DEL;
			weight[2][i] += op == IR_FLOW_STORE || op == IR_FLOW_ADD || op == IR_FLOW_DEL;
		}
	}
	if (s.ir->path.insns != naive_longest(s.ir, weight[0]) || s.ir->path.accesses != naive_longest(s.ir, weight[1]) ||
	    s.ir->path.updates != naive_longest(s.ir, weight[2]))
		FAIL("worst case %llu %llu %llu", (unsigned long long)s.ir->path.insns, (unsigned long long)s.ir->path.accesses,
		     (unsigned long long)s.ir->path.updates);
	for (unsigned w = 0; w < 3; w++)
		free(weight[w]);
	close_subject(&s);
}

static void longest_paths_equal_those_of_repeated_relaxation(void **state)
{
	(void)state;
	for_cases(check_paths);
}

/* ---- intervals: a twin that knows no bits, no branches and no widening, on programs without cycles ---- */

static struct ir_fact naive_fact(const struct ir *ir, const struct ir_fact *known, uint32_t id)
{
	const struct ir_value *v = &ir->values[id];
	struct ir_fact f = fact_full(), a = fact_full(), b = fact_full();

	if (v->a != IR_NONE)
		a = known[v->a];
	if (v->b != IR_NONE)
		b = known[v->b];
	switch (v->op) {
	case IR_CONST:
		f.lo = f.hi = v->imm;
		break;
	case IR_LD8:
	case IR_LDX8:
		f.hi = 0xff;
		break;
	case IR_LD16:
	case IR_LDX16:
	case IR_PKTLEN:
		f.hi = 0xffff;
		break;
	case IR_LD32:
	case IR_LDX32:
		f.hi = UINT32_MAX;
		break;
	case IR_ADD:
		if (a.hi + b.hi >= a.hi) {
			f.lo = a.lo + b.lo;
			f.hi = a.hi + b.hi;
		}
		break;
	case IR_SUB:
		if (a.lo >= b.hi) {
			f.lo = a.lo - b.hi;
			f.hi = a.hi - b.lo;
		}
		break;
	case IR_MUL:
		if (a.hi <= UINT32_MAX && b.hi <= UINT32_MAX) {
			f.lo = a.lo * b.lo;
			f.hi = a.hi * b.hi;
		}
		break;
	case IR_DIV:
		if (b.lo > 0) {
			f.lo = a.lo / b.hi;
			f.hi = a.hi / b.lo;
		}
		break;
	case IR_MOD:
		if (b.hi > 0)
			f.hi = b.hi - 1;
		break;
	case IR_AND:
		f.hi = a.hi < b.hi ? a.hi : b.hi;
		break;
	case IR_OR:
		f.lo = a.lo > b.lo ? a.lo : b.lo;
		break;
	case IR_NOT:
		f.lo = ~a.hi;
		f.hi = ~a.lo;
		break;
	case IR_SHR:
		if (b.hi <= 63) {
			f.lo = a.lo >> b.hi;
			f.hi = a.hi >> b.lo;
		}
		break;
	case IR_SHL:
		if (b.hi <= 63 && a.hi << b.hi >> b.hi == a.hi) {
			f.lo = a.lo << b.lo;
			f.hi = a.hi << b.hi;
		}
		break;
	default:
		break;
	}
	return f;
}

static void join_args(const struct ir *ir, const struct ir_block *b, struct ir_fact *known)
{
	for (unsigned k = 0; k < b->n_succs; k++) {
		const struct ir_block *to = &ir->blocks[b->succ[k].block];

		for (uint32_t i = 0; i < to->n_params; i++) {
			const struct ir_fact *arg = &known[ir->args[b->succ[k].args + i]];
			struct ir_fact *param = &known[to->first + i];

			if (arg->lo < param->lo)
				param->lo = arg->lo;
			if (arg->hi > param->hi)
				param->hi = arg->hi;
		}
	}
}

static uint32_t compared;

static void check_intervals(uint64_t seed)
{
	struct subject s;
	struct ir_fact *known;

	open_subject(&s, seed, true);
	if (s.ir->has_cycle) {
		close_subject(&s);
		return;
	}
	known = malloc((s.ir->n_values + 1ul) * sizeof(*known));
	assert_non_null(known);
	for (uint32_t v = 0; v < s.ir->n_values; v++)
		known[v] = (struct ir_fact){.lo = UINT64_MAX, .hi = 0};
	for (uint32_t i = 0; i < s.ir->n_blocks; i++) {
		const struct ir_block *b = &s.ir->blocks[i];

		for (uint32_t v = b->first + b->n_params; v < b->first + b->n_values; v++)
			known[v] = naive_fact(s.ir, known, v);
		join_args(s.ir, b, known);
	}
	for (uint32_t v = 0; v < s.ir->n_values; v++) {
		const struct ir_fact *f = &s.ir->facts.value[v];

		if (!fact_never(f) && (f->lo < known[v].lo || f->hi > known[v].hi))
			FAIL("v%u: %llu..%llu, but the naive twin knows %llu..%llu", v, (unsigned long long)f->lo,
			     (unsigned long long)f->hi, (unsigned long long)known[v].lo, (unsigned long long)known[v].hi);
		compared++;
	}
	free(known);
	close_subject(&s);
}

static void intervals_are_never_wider_than_a_naive_twins(void **state)
{
	(void)state;
	compared = 0;
	for_cases(check_intervals);
	if (!getenv("TEST_SEED"))
		assert_true(compared > 10000);
}

/* ---- the domain itself, operation by operation ---- */

/* A random fact that allows v. */
static struct ir_fact fact_around(struct gen_rng *r, uint64_t v)
{
	uint64_t mask = gen_next(r) & gen_next(r);
	uint64_t below = gen_chance(r, 30) ? 0 : gen_next(r) >> gen_below(r, 64);
	uint64_t above = gen_chance(r, 30) ? 0 : gen_next(r) >> gen_below(r, 64);
	struct ir_fact f = {.lo = below > v ? 0 : v - below, .hi = above > ~v ? ~0ULL : v + above};

	if (gen_chance(r, 30))
		mask = 0;
	f.zeros = ~v & mask;
	f.ones = v & mask;
	return gen_chance(r, 90) ? fact_tighten(f) : f;
}

static uint64_t some_number(struct gen_rng *r)
{
	uint64_t v = gen_next(r) >> gen_below(r, 64);

	return gen_chance(r, 10) ? ~v : gen_chance(r, 10) ? 0 : v;
}

static uint64_t exact(uint8_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case IR_ADD:
		return a + b;
	case IR_SUB:
		return a - b;
	case IR_MUL:
		return a * b;
	case IR_DIV:
		return a / b;
	case IR_MOD:
		return a % b;
	case IR_AND:
		return a & b;
	case IR_OR:
		return a | b;
	case IR_XOR:
		return a ^ b;
	case IR_SHL:
		return a << (b & 63);
	case IR_SHR:
		return a >> (b & 63);
	case IR_NOT:
		return ~a;
	default:
		return -a;
	}
}

static void check_domain(uint64_t seed)
{
	struct gen_rng r = {seed};

	for (unsigned i = 0; i < 200; i++) {
		uint64_t a = some_number(&r), b = gen_chance(&r, 20) ? a : some_number(&r);
		struct ir_fact fa = fact_around(&r, a), fb = fact_around(&r, b), f;
		uint8_t op = (uint8_t)(IR_ADD + gen_below(&r, IR_NEG - IR_ADD + 1));
		uint8_t conds[] = {VFM_OP_JEQ, VFM_OP_JNE, VFM_OP_JGT, VFM_OP_JLT, VFM_OP_JGE, VFM_OP_JLE};
		uint8_t cond = conds[gen_below(&r, 6)];

		if ((op == IR_DIV || op == IR_MOD) && b == 0)
			continue;
		f = fact_apply(op, &fa, &fb);
		if (!fact_allows(&f, exact(op, a, b)))
			FAIL("%s of %llu and %llu", ir_ops[op].name, (unsigned long long)a, (unsigned long long)b);
		f = fact_join(&fa, &fb);
		if (!fact_allows(&f, a) || !fact_allows(&f, b))
			FAIL("join loses a value");
		f = fact_widen(&fa, &fb);
		if (!fact_allows(&f, a) || !fact_allows(&f, b))
			FAIL("widening loses a value");
		if (ir_compare(cond, a, b)) {
			fact_assume(cond, &fa, &fb);
			if (!fact_allows(&fa, a) || !fact_allows(&fb, b))
				FAIL("assuming %s excludes %llu and %llu", vfm_ops[cond].mnemonic, (unsigned long long)a,
				     (unsigned long long)b);
		}
		assert_true(ir_compare(cond, a, b) == !ir_compare(ir_negated(cond), a, b));
		assert_true(ir_compare(cond, a, b) == ir_compare(ir_swapped(cond), b, a));
	}
}

static void no_operation_on_facts_loses_a_possible_value(void **state)
{
	(void)state;
	for_cases(check_domain);
}

/* On small intervals without bits the result's ends are those of trying every pair. */
static void sums_of_small_intervals_are_exact(void **state)
{
	static const uint8_t ops[] = {IR_ADD, IR_SUB, IR_MUL, IR_DIV, IR_NOT, IR_NEG, IR_SHR, IR_SHL};

	(void)state;
	for (unsigned o = 0; o < sizeof(ops); o++) {
		for (uint64_t spec = 0; spec < 5u * 5 * 5 * 5; spec++) {
			uint64_t alo = spec % 5 + 3, ahi = alo + spec / 5 % 5, blo = spec / 25 % 5 + 1, bhi = blo + spec / 125;
			struct ir_fact a = {.lo = alo, .hi = ahi}, b = {.lo = blo, .hi = bhi}, f = fact_apply(ops[o], &a, &b);
			uint64_t lo = ~0ULL, hi = 0;

			for (uint64_t x = alo; x <= ahi; x++)
				for (uint64_t y = blo; y <= bhi; y++) {
					uint64_t v = exact(ops[o], x, y);

					lo = v < lo ? v : lo;
					hi = v > hi ? v : hi;
				}
			assert_true(f.lo <= lo && f.hi >= hi);
			if (ops[o] != IR_SUB || alo >= bhi || ahi < blo) {
				assert_int_equal(f.lo, lo);
				assert_int_equal(f.hi, hi);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_form_computes_what_the_machine_computes),
		cmocka_unit_test(no_fact_is_contradicted_by_a_trace_of_the_machine),
		cmocka_unit_test(dominators_equal_those_found_by_taking_blocks_away),
		cmocka_unit_test(longest_paths_equal_those_of_repeated_relaxation),
		cmocka_unit_test(intervals_are_never_wider_than_a_naive_twins),
		cmocka_unit_test(no_operation_on_facts_loses_a_possible_value),
		cmocka_unit_test(sums_of_small_intervals_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

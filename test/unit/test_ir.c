/* The intermediate form: joins of unequal depth, needless parameters, and the largest programs there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vm/asm.h"
#include "vm/ir_fact.h"

static struct program *assemble(const char *source)
{
	struct diag_list d;
	struct vfm_reject why;
	struct program *p;
	uint8_t *code;
	uint32_t len;

	diag_init(&d, "test", source, (uint32_t)strlen(source));
	assert_int_equal(asm_assemble(source, strlen(source), false, &code, &len, &d), 0);
	p = program_new(code, len, 0, &why);
	free(code);
	assert_non_null(p);
	return p;
}

static uint32_t count_params(const struct ir *ir)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ir->n_blocks; i++)
		n += ir->blocks[i].n_params;
	return n;
}

static void check(const char *source, uint32_t blocks, uint32_t params)
{
	struct program *p = assemble(source);
	struct ir *ir = ir_new(p, NULL);

	assert_non_null(ir);
	assert_int_equal(ir->n_blocks, blocks);
	assert_int_equal(count_params(ir), params);
	ir_free(ir);
	program_free(p);
}

static void a_join_of_different_values_has_one_parameter(void **state)
{
	(void)state;
	check("LD8 0\nPUSH 6\nJEQ yes\nPUSH 1\nJMP end\nyes: PUSH 2\nend: RET", 4, 1);
}

static void slots_that_no_path_touches_need_no_parameter(void **state)
{
	(void)state;
	check("LD8 1\nLD8 0\nPUSH 6\nJEQ yes\nPUSH 1\nJMP end\nyes: PUSH 2\nend: ADD\nRET", 4, 1);
}

static void a_parameter_that_nobody_uses_is_dropped(void **state)
{
	(void)state;
	check("LD8 0\nPUSH 6\nJEQ yes\nPUSH 1\nJMP end\nyes: PUSH 2\nend: POP\nRET 5", 4, 0);
}

static void a_value_that_a_loop_only_carries_needs_no_parameter(void **state)
{
	(void)state;
	/* The key lies below the counter in both loops. */
	check("LD8 9\nPUSH 3\na: PUSH 1\nSUB\nDUP\nPUSH 0\nJNE a\nPOP\nPUSH 3\nb: PUSH 1\nSUB\nDUP\nPUSH 0\nJNE b\nPOP\nRET", 5, 2);
}

static void a_join_of_unequal_depth_keeps_the_slots_from_the_top(void **state)
{
	struct program *p = assemble("LD8 0\nPUSH 6\nJEQ yes\nPUSH 10\nPUSH 11\nJMP end\nyes: PUSH 12\nend: RET");
	struct ir *ir = ir_new(p, NULL);
	const struct ir_block *end;

	(void)state;
	assert_non_null(ir);
	end = &ir->blocks[ir->n_blocks - 1];
	assert_int_equal(end->n_params, 1);
	assert_int_equal(ir->facts.value[end->first].lo, 11);
	assert_int_equal(ir->facts.value[end->first].hi, 12);
	ir_free(ir);
	program_free(p);
}

/* A builder of large programs: bytes up to the limit. */
struct text {
	uint8_t code[VFM_MAX_PROGRAM_BYTES];
	uint32_t len;
};

static void op(struct text *t, uint8_t opcode)
{
	t->code[t->len++] = opcode;
}

static void jump_to(struct text *t, uint8_t opcode, uint32_t target)
{
	int16_t by = (int16_t)((int32_t)target - (int32_t)(t->len + 3));

	t->code[t->len++] = opcode;
	t->code[t->len++] = (uint8_t)by;
	t->code[t->len++] = (uint8_t)((uint16_t)by >> 8);
}

static struct ir *build(const struct text *t, struct program **p)
{
	struct vfm_reject why;
	struct ir *ir;

	*p = program_new(t->code, t->len, 0, &why);
	if (!*p)
		fail_msg("at %u: %s", why.pc, why.reason);
	ir = ir_new(*p, NULL);
	assert_non_null(ir);
	return ir;
}

/* Thousands of one-block loops above a full stack whose slots are all used at the end. */
static void loops_above_a_deep_stack_are_built(void **state)
{
	static struct text t;
	struct program *p;
	struct ir *ir;

	(void)state;
	t.len = 0;
	for (unsigned i = 0; i < 250; i++)
		op(&t, VFM_OP_PKTLEN);
	while (t.len < VFM_MAX_PROGRAM_BYTES - 300) {
		uint32_t loop = t.len;

		op(&t, VFM_OP_DUP);
		op(&t, VFM_OP_PKTLEN);
		jump_to(&t, VFM_OP_JNE, loop);
	}
	for (unsigned i = 0; i < 249; i++)
		op(&t, VFM_OP_ADD);
	op(&t, VFM_OP_RET);
	ir = build(&t, &p);
	assert_true(ir->n_blocks > 12900);
	assert_int_equal(count_params(ir), 0);
	assert_true(ir->path.insns == IR_UNBOUNDED);
	ir_free(ir);
	program_free(p);
}

/* A policy as long as a program can be: every test leads to one common exit. */
static void a_chain_of_tests_with_one_exit_is_built(void **state)
{
	static struct text t;
	struct program *p;
	struct ir *ir;

	(void)state;
	t.len = 0;
	op(&t, VFM_OP_PKTLEN);
	op(&t, VFM_OP_PKTLEN);
	jump_to(&t, VFM_OP_JEQ, 9); /* over the exit */
	op(&t, VFM_OP_PKTLEN);
	op(&t, VFM_OP_RET);
	t.code[3] = 2;
	t.code[4] = 0;
	while (t.len < 32000) {
		op(&t, VFM_OP_PKTLEN);
		op(&t, VFM_OP_INPUT);
		jump_to(&t, VFM_OP_JEQ, 5);
	}
	op(&t, VFM_OP_PKTLEN);
	op(&t, VFM_OP_RET);
	ir = build(&t, &p);
	assert_true(ir->n_blocks > 6000);
	for (uint32_t i = 1; i < ir->n_blocks; i++)
		assert_true(ir_dominates(ir, ir->idom[i], i));
	ir_free(ir);
	program_free(p);
}

/* Each block joins paths one slot apart, up to the deepest stack, again and again. */
static void many_joins_of_unequal_depth_are_built(void **state)
{
	static struct text t;
	struct program *p;
	struct ir *ir;

	(void)state;
	t.len = 0;
	op(&t, VFM_OP_PKTLEN);
	for (unsigned i = 0; i < 200; i++)
		op(&t, VFM_OP_PKTLEN);
	for (unsigned round = 0; round < 50; round++) {
		op(&t, VFM_OP_PKTLEN);
		op(&t, VFM_OP_INPUT);
		jump_to(&t, VFM_OP_JEQ, t.len + 4);
		op(&t, VFM_OP_INPUT); /* one more on this path */
		op(&t, VFM_OP_NOT);
		for (unsigned i = 0; i < 1000; i++)
			op(&t, VFM_OP_NEG);
	}
	for (unsigned i = 0; i < 200; i++)
		op(&t, VFM_OP_ADD);
	op(&t, VFM_OP_RET);
	ir = build(&t, &p);
	assert_true(count_params(ir) > 50 * 199);
	ir_free(ir);
	program_free(p);
}

static void every_opcode_of_the_form_has_a_row(void **state)
{
	(void)state;
	for (unsigned i = 0; i < IR_N_OPS; i++) {
		assert_non_null(ir_ops[i].name);
		assert_non_null(ir_ops[i].doc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_join_of_different_values_has_one_parameter),
		cmocka_unit_test(slots_that_no_path_touches_need_no_parameter),
		cmocka_unit_test(a_parameter_that_nobody_uses_is_dropped),
		cmocka_unit_test(a_value_that_a_loop_only_carries_needs_no_parameter),
		cmocka_unit_test(a_join_of_unequal_depth_keeps_the_slots_from_the_top),
		cmocka_unit_test(loops_above_a_deep_stack_are_built),
		cmocka_unit_test(a_chain_of_tests_with_one_exit_is_built),
		cmocka_unit_test(many_joins_of_unequal_depth_are_built),
		cmocka_unit_test(every_opcode_of_the_form_has_a_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

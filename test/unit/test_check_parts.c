/* test_check_parts.c: which statistics the checker believes to merge as which class. Table 9 has them; all its sites are listed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "analysis/analysis.h"
#include "analysis/parts.h"
#include "vm/asm.h"

static char why[512];

static struct program *program_of(const char *text)
{
	static struct diag_list d;
	struct vfm_reject reject;
	struct program *p;
	uint8_t *code;
	uint32_t len;

	diag_init(&d, "test", text, (uint32_t)strlen(text));
	if (asm_assemble(text, strlen(text), false, &code, &len, &d))
		fail_msg("%s\n%s", d.items[0].text, text);
	p = program_new(code, len, 0, &reject);
	if (!p)
		fail_msg("%s\n%s", reject.reason, text);
	free(code);
	return p;
}

/* A certificate that lists every access to table 9 as of the class. */
static struct cert *cert_of(const struct program *p, uint8_t merge_class)
{
	struct cert *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	cert_digest_program(p, c->program_sha256);
	memcpy(c->steer, "\x17\x16", 2); /* HASH5 RET */
	c->steer_bytes = 2;
	for (uint32_t i = 0; i < p->proof.n; i++) {
		const struct vfm_insn *insn = &p->proof.insns[i];

		if ((vfm_ops[insn->op].flags & (VFM_F_READ | VFM_F_UPDATE)) && insn->table == 9)
			c->sites[c->n_sites++] =
				(struct cert_site){.pc = insn->pc, .table = 9, .partial = true, .merge_class = merge_class};
	}
	return c;
}

static int check(const char *text, uint8_t merge_class)
{
	struct program *p = program_of(text);
	struct cert *c = cert_of(p, merge_class);
	int err;

	why[0] = 0;
	err = cert_check_listed(c, p, why, sizeof(why));
	free(c);
	program_free(p);
	return err;
}

/* The text is accepted as of these classes (bit 1 << class) and no other; and the search finds the lowest of them. */
static void is_of(const char *text, uint32_t classes)
{
	struct program *p = program_of(text);
	struct ir *ir = ir_new(p, NULL);
	struct objects objects;

	assert_non_null(ir);
	for (uint8_t k = 0; k < CERT_CLASSES; k++) {
		bool accepted = check(text, k) == 0;

		if (accepted != (classes >> k & 1))
			fail_msg("%s as %s: %s\n%s", accepted ? "accepted" : "refused", cert_class_name(k), why, text);
	}
	assert_int_equal(objects_find(ir, &objects), 0);
	for (uint32_t i = 0; i < objects.n; i++) {
		const struct object *o = &objects.items[i];

		if (o->table != 9)
			continue;
		if (o->kind != (classes ? OBJECT_PARTIAL : OBJECT_OWNED) || (classes && !(classes >> o->merge_class & 1)))
			fail_msg("the search says kind %d, class %s\n%s", (int)o->kind, cert_class_name(o->merge_class), text);
	}
	objects_fini(&objects);
	ir_free(ir);
	program_free(p);
}

#define ONE(name) (1u << CERT_##name)
#define SRC       "LD32 26\n"

static void bits_and_sums_of_what_is_there_are_parts(void **state)
{
	(void)state;
	is_of(SRC "DUP\n FLOW_LOAD 9\n LD8 47\n OR\n FLOW_STORE 9\n RET 1\n", ONE(OR));
	is_of(SRC SRC "FLOW_LOAD 9\n LD8 47\n SWAP\n LD8 46\n OR\n OR\n FLOW_STORE 9\n RET 1\n", ONE(OR));
	is_of(SRC "DUP\n FLOW_LOAD 9\n PKTLEN\n ADD\n FLOW_STORE 9\n RET 1\n", ONE(SUM));
	is_of(SRC "DUP\n FLOW_LOAD 9\n PKTLEN\n SUB\n FLOW_STORE 9\n RET 1\n", ONE(SUM));
	is_of(SRC "PKTLEN\n FLOW_ADD 9\n POP\n RET 1\n", ONE(SUM));
	is_of(SRC "PUSH 7\n FLOW_STORE 9\n RET 1\n", ONE(CONSTANT));
	/* One path gathers bits, the other adds. */
	is_of(SRC "DUP\n FLOW_LOAD 9\n LD8 47\n PUSH 2\n JNE sum\n LD8 46\n OR\n JMP end\nsum: LD8 46\n ADD\nend: FLOW_STORE 9\n "
		  "RET 1\n",
	      0);
	/* Other operations, another key, twice the value, a value that counts elsewhere, a deletion. */
	is_of(SRC "DUP\n FLOW_LOAD 9\n LD8 47\n XOR\n FLOW_STORE 9\n RET 1\n", 0);
	is_of(SRC "DUP\n FLOW_LOAD 9\n LD8 47\n AND\n FLOW_STORE 9\n RET 1\n", 0);
	is_of(SRC "PKTLEN\n OVER\n FLOW_LOAD 9\n SUB\n FLOW_STORE 9\n RET 1\n", 0);
	is_of(SRC "LD32 30\n FLOW_LOAD 9\n LD8 47\n OR\n FLOW_STORE 9\n RET 1\n", 0);
	is_of(SRC "DUP\n FLOW_LOAD 9\n DUP\n ADD\n FLOW_STORE 9\n RET 1\n", 0);
	is_of(SRC "DUP\n FLOW_LOAD 8\n LD8 47\n OR\n FLOW_STORE 9\n RET 1\n", 0);
	is_of(SRC "DUP\n FLOW_LOAD 9\n LD8 47\n OR\n DUP\n ROT\n SWAP\n FLOW_STORE 9\n RET\n", 0);
	is_of(SRC "DUP\n DUP\n FLOW_LOAD 9\n LD8 47\n OR\n FLOW_STORE 9\n FLOW_DEL 9\n RET 1\n", 0);
	is_of("TABLE 9 10 60\n" SRC "DUP\n FLOW_LOAD 9\n LD8 47\n OR\n FLOW_STORE 9\n RET 1\n", 0);
}

static void the_larger_of_two_is_a_part(void **state)
{
	(void)state;
	/* Store if larger; with a join, with two returns, with >=, with the time. */
	is_of(SRC "FLOW_LOAD 9\n PKTLEN\n JGE no\n" SRC "PKTLEN\n FLOW_STORE 9\nno: RET 1\n", ONE(MAX));
	is_of(SRC "PKTLEN\n OVER\n FLOW_LOAD 9\n JLE no\n PKTLEN\n FLOW_STORE 9\n RET 1\nno: RET 1\n", ONE(MAX));
	is_of(SRC "PKTLEN\n OVER\n FLOW_LOAD 9\n JLT no\n PKTLEN\n FLOW_STORE 9\n RET 1\nno: RET 1\n", ONE(MAX));
	is_of(SRC "NOW\n OVER\n FLOW_LOAD 9\n JLE no\n NOW\n FLOW_STORE 9\n RET 1\nno: RET 1\n", ONE(MAX));
	/* Store the larger. */
	is_of(SRC "DUP\n FLOW_LOAD 9\n PKTLEN\n OVER\n JGT x\n JMP v\nx: POP\n PKTLEN\nv: FLOW_STORE 9\n RET 1\n", ONE(MAX));
	/* The smaller, without a thought for 0, stays where nothing was: no class. */
	is_of(SRC "FLOW_LOAD 9\n PKTLEN\n JLE no\n" SRC "PKTLEN\n FLOW_STORE 9\nno: RET 1\n", 0);
	/* Stored is not what was compared; compared is not what is stored there. */
	is_of(SRC "FLOW_LOAD 9\n PKTLEN\n JGE no\n" SRC "LD16 16\n FLOW_STORE 9\nno: RET 1\n", 0);
	is_of("LD32 30\n FLOW_LOAD 9\n PKTLEN\n JGE no\n" SRC "PKTLEN\n FLOW_STORE 9\nno: RET 1\n", 0);
	/* A constant is a value like another, if it is larger. */
	is_of(SRC "FLOW_LOAD 9\n PUSH 60\n JGE no\n" SRC "PUSH 60\n FLOW_STORE 9\nno: RET 1\n", ONE(MAX));
	/* Stored whichever is larger; compared with two values. */
	is_of(SRC "FLOW_LOAD 9\n PKTLEN\n JGE no\n" SRC "PKTLEN\n FLOW_STORE 9\n RET 1\nno: " SRC "PKTLEN\n FLOW_STORE 9\n RET 1\n",
	      0);
	is_of(SRC "FLOW_LOAD 9\n DUP\n PKTLEN\n JGE pop\n LD16 16\n JGE no\n" SRC
		  "PKTLEN\n FLOW_STORE 9\n RET 1\npop: POP\n RET 1\nno: RET 1\n",
	      0);
	/* Another table's entry is not for this one to decide. */
	assert_int_not_equal(check(SRC "FLOW_LOAD 9\n PKTLEN\n JGE no\n" SRC "PKTLEN\n FLOW_STORE 8\nno: RET 1\n", CERT_MAX), 0);
	assert_non_null(strstr(why, "JGE uses a value loaded from a partial object"));
}

static void the_smaller_of_two_is_a_part_where_0_is_none(void **state)
{
	(void)state;
	is_of(SRC "FLOW_LOAD 9\n DUP\n PUSH 0\n JEQ yes\n DUP\n PKTLEN\n JLE no\nyes: " SRC "PKTLEN\n FLOW_STORE 9\nno: RET 1\n",
	      ONE(MIN));
	is_of(SRC "DUP\n FLOW_LOAD 9\n DUP\n PUSH 0\n JEQ x\n PKTLEN\n OVER\n JLT x\n JMP v\nx: POP\n PKTLEN\nv: FLOW_STORE 9\n "
		  "RET 1\n",
	      ONE(MIN));
	/* A value that may be 0 would be taken for none by the next packet; one that was tested may not. */
	is_of(SRC "FLOW_LOAD 9\n DUP\n PUSH 0\n JEQ yes\n DUP\n LD16 16\n JLE no\nyes: " SRC "LD16 16\n FLOW_STORE 9\nno: RET 1\n",
	      0);
	is_of("LD16 16\n PUSH 0\n JEQ no\n" SRC "FLOW_LOAD 9\n DUP\n PUSH 0\n JEQ yes\n DUP\n LD16 16\n JLE over\nyes: " SRC
	      "LD16 16\n FLOW_STORE 9\nover: RET 1\nno: RET 1\n",
	      ONE(MIN));
}

static void nothing_else_may_tell_which_way_was_taken(void **state)
{
#define LARGER SRC "FLOW_LOAD 9\n PKTLEN\n JGE no\n" SRC "PKTLEN\n FLOW_STORE 9\n"
	(void)state;
	is_of(LARGER "RET 2\nno: RET 1\n", 0);
	is_of(LARGER "PUSH 2\n JMP end\nno: PUSH 1\nend: RET\n", 0);
	is_of(LARGER "PUSH 2\n JMP end\nno: PUSH 1\nend: POP\n RET 1\n", ONE(MAX));
	is_of(LARGER "PUSH 0\n PUSH 1\n FLOW_ADD 1\n POP\nno: RET 1\n", 0);
	is_of(LARGER "PUSH 5\n FLOW_LOAD 1\n POP\nno: RET 1\n", 0);
	/* A load that may fault on one way only; a division. */
	is_of(LARGER "LD8 99\n POP\nno: RET 1\n", 0);
	is_of("LD8 99\n POP\n" LARGER "LD8 99\n POP\nno: RET 1\n", ONE(MAX));
	is_of(LARGER "PUSH 8\n PUSH 2\n DIV\n POP\nno: RET 1\n", 0);
	/* A branch inside that another value decides. */
	is_of(SRC "FLOW_LOAD 9\n PKTLEN\n JGE no\n PKTLEN\n PUSH 80\n JLT no\n" SRC "PKTLEN\n FLOW_STORE 9\nno: RET 1\n", 0);
	/* Both ways leave the stack as it was, whatever lies on it. */
	is_of("HASH5\n" LARGER "no: RET\n", ONE(MAX));
	is_of("PUSH 5\n FLOW_LOAD 1\n" LARGER "no: RET\n", ONE(MAX));
	is_of("PUSH 5\n FLOW_LOAD 1\n" LARGER "POP\n PUSH 5\n FLOW_LOAD 1\nno: RET\n", 0);
}

static void a_value_from_before_another_store_decides_nothing(void **state)
{
	(void)state;
	/* t = 10: max(10, 200) is stored, then 60 because 60 > 10. */
	is_of(SRC "FLOW_LOAD 9\n" SRC "DUP\n FLOW_LOAD 9\n PKTLEN\n OVER\n JGT x\n JMP v\nx: POP\n PKTLEN\nv: FLOW_STORE 9\n"
		  "PUSH 60\n JGE no\n" SRC "PUSH 60\n FLOW_STORE 9\nno: RET 1\n",
	      0);
	is_of(SRC "FLOW_LOAD 9\n" SRC "DUP\n FLOW_LOAD 9\n FLOW_STORE 9\n PUSH 60\n JGE no\n" SRC
		  "PUSH 60\n FLOW_STORE 9\nno: RET 1\n",
	      0);
	is_of(SRC "DUP\n FLOW_LOAD 9\n PKTLEN\n OVER\n JGT x\n JMP v\nx: POP\n PKTLEN\nv: FLOW_STORE 9\n" SRC
		  "FLOW_LOAD 9\n PUSH 60\n JGE no\n" SRC "PUSH 60\n FLOW_STORE 9\nno: RET 1\n",
	      ONE(MAX));
}

static void where_instructions_may_be_counted_no_branch_is_believed(void **state)
{
	static char text[VFM_MAX_UPDATES * 64];
	struct program *p;
	size_t used;

	(void)state;
	/* A loop; and 64 updates beside the one that depends. */
	is_of("again: " SRC "FLOW_LOAD 9\n PKTLEN\n JGE no\n" SRC
	      "PKTLEN\n FLOW_STORE 9\nno: LD8 23\n PUSH 6\n JEQ again\n RET 1\n",
	      0);
	used = (size_t)snprintf(text, sizeof(text), LARGER "no: ");
	for (int i = 0; i < VFM_MAX_UPDATES - 1; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "PUSH 1\n PUSH 2\n FLOW_STORE 1\n");
	snprintf(text + used, sizeof(text) - used, "RET 1\n");
	is_of(text, ONE(MAX));
	snprintf(text + used, sizeof(text) - used, "PUSH 1\n PUSH 2\n FLOW_STORE 1\n RET 1\n");
	is_of(text, 0);
	/* The longest path has 9 instructions: a limit of 8 could tell. */
	p = program_of(LARGER "no: RET 1\n");
	for (uint32_t limit = 8; limit <= 9; limit++) {
		struct cert *c = cert_of(p, CERT_MAX);
		struct plan *plan;

		assert_int_equal(plan_new(p, c, 4, 0, &plan, why, sizeof(why)), 0);
		assert_int_equal(parts_check(plan, -1, limit, NULL, why, sizeof(why)), limit == 9 ? 0 : -EPERM);
		plan_free(plan);
		free(c);
	}
	assert_non_null(strstr(why, "a limit of 8 instructions could tell"));
	program_free(p);
}

/* ---- what a plan with parts must not be combined with ---- */

static void time_outs_and_preloaded_constants_are_refused(void **state)
{
	static const struct {
		const char *text;
		uint8_t merge_class;
		int preloaded;
	} rows[] = {
		{SRC "PUSH 7\n FLOW_STORE 9\n RET 1\n", CERT_CONSTANT, -EPERM},
		{SRC "PKTLEN\n FLOW_ADD 9\n POP\n RET 1\n", CERT_SUM, 0},
	};
	struct table_file_entry entry = {.table = 9, .key = 5, .value = 1};
	struct table_file preload = {.entries = &entry, .n = 1};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (uint32_t shards = 1; shards <= 4; shards *= 4) {
			struct program *p = program_of(rows[i].text);
			struct cert *c = cert_of(p, rows[i].merge_class);
			struct plan *plan;

			assert_int_equal(plan_new(p, c, shards, 0, &plan, why, sizeof(why)), 0);
			assert_int_equal(parts_check(plan, 0, 10000, NULL, why, sizeof(why)), 0);
			assert_int_equal(parts_check(plan, 60, 10000, NULL, why, sizeof(why)), shards == 1 ? 0 : -EPERM);
			assert_int_equal(parts_check(plan, -1, 10000, &preload, why, sizeof(why)),
					 shards == 1 ? 0 : rows[i].preloaded);
			plan_free(plan);
			free(c);
			program_free(p);
		}
}

static void there_are_five_classes(void **state)
{
	struct program *p = program_of(SRC "PKTLEN\n FLOW_ADD 9\n POP\n RET 1\n");
	struct cert *c = cert_of(p, CERT_CLASSES);

	(void)state;
	assert_int_equal(cert_check(c, p, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "there is no merge class 5"));
	free(c);
	program_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits_and_sums_of_what_is_there_are_parts),
		cmocka_unit_test(the_larger_of_two_is_a_part),
		cmocka_unit_test(the_smaller_of_two_is_a_part_where_0_is_none),
		cmocka_unit_test(nothing_else_may_tell_which_way_was_taken),
		cmocka_unit_test(a_value_from_before_another_store_decides_nothing),
		cmocka_unit_test(where_instructions_may_be_counted_no_branch_is_believed),
		cmocka_unit_test(time_outs_and_preloaded_constants_are_refused),
		cmocka_unit_test(there_are_five_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Hints against the machine: the key that a hint gives for a packet is the one that the machine comes to first. */
#include "jit/parts.h"
#include "test/lib/gen_program.h"
#include "vm/step.h"
#include "vm/vfm.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#if defined(__x86_64__)
static const struct jit_target *const native = &jit_x86;
#else
static const struct jit_target *const native = &jit_arm64;
#endif

#define PROGRAMS 2000
#define PACKETS  6

static uint64_t hints, keys, other_tables, none;

static struct jit_exec executable;

/* h->run is NULL if the program has no hints. */
static void open_hint(const struct program *p, struct jit_hint *h)
{
	struct ir *ir = ir_new(p, NULL);
	struct jit_buf b = {0};
	int err;

	assert_non_null(ir);
	*h = (struct jit_hint){0};
	jit_fold(ir);
	assert_int_equal(jit_cse(ir), 0);
	err = jit_hint_gen(ir, native, h, &b);
	if (!err) {
		assert_int_equal(jit_exec_new(b.code, b.n, &executable), 0);
		h->run = (jit_loop_fn)(uintptr_t)executable.code;
	} else {
		assert_int_equal(err, -ENOTSUP);
	}
	jit_buf_fini(&b);
	ir_free(ir);
}

static struct shard *new_shard(const struct program *p)
{
	struct program_state_options state = {.default_capacity = 6, .idle_s = -1, .seed = 5};
	struct shard *s = program_shard_new(p, &state);

	assert_non_null(s);
	return s;
}

/* Runs the packet to its first table instruction. False: it ended before. */
static bool step_to_table(struct machine *m, struct vfm_insn *insn)
{
	do {
		assert_int_equal(vfm_decode(m->code, m->len, m->pc, insn), 0);
		if (vfm_ops[insn->op].flags & (VFM_F_READ | VFM_F_UPDATE))
			return true;
	} while (machine_step(m));
	return false;
}

static void check_packet(const struct program *p, const struct jit_hint *h, struct shard *s, const struct vfm_packet *packet)
{
	static struct machine m;
	struct vfm_insn insn;
	struct vfm_result key;
	bool comes_to_table;

	machine_init(&m, p->code, p->len, p->table_index, s, packet, UINT32_MAX);
	jit_hint_keys(h, 1, packet, &s, &key);
	hints++;
	comes_to_table = step_to_table(&m, &insn);
	if (key.error != VFM_SUCCESS) {
		assert_true(m.result.error == key.error || packet->len < p->need_bytes);
		none++;
	} else if (comes_to_table && (uint32_t)p->table_index[insn.table] == h->table) {
		assert_true(key.value == m.stack[m.sp - vfm_ops[insn.op].pops]);
		keys++;
	} else if (comes_to_table) {
		assert_true(key.value == 0);
		other_tables++;
	} else {
		assert_int_equal(m.result.error, VFM_SUCCESS);
	}
}

static void a_hint_is_the_key_that_the_machine_comes_to_first(void **state)
{
	static struct gen_program program;
	struct gen_options options;

	(void)state;
	gen_options_all(&options);
	options.loops = false;
	options.min_statements = 2;
	options.max_statements = 30;
	for (uint64_t seed = 1; seed <= PROGRAMS; seed++) {
		struct vfm_reject reject;
		struct gen_traffic traffic;
		struct vfm_packet packet;
		struct program *p;
		struct jit_hint h;
		struct shard *s;

		gen_program(&program, &options, seed);
		p = program_new(program.code, program.len, 0, &reject);
		assert_non_null(p);
		s = new_shard(p);
		assert_int_equal(gen_traffic_init(&traffic, seed, p->code, p->len), 0);
		open_hint(p, &h);
		for (unsigned i = 0; i < PACKETS && h.run; i++) {
			gen_traffic_next(&traffic, &packet);
			check_packet(p, &h, s, &packet);
		}
		jit_exec_free(&executable);
		gen_traffic_fini(&traffic);
		shard_free(s);
		program_free(p);
	}
	assert_true(hints > PROGRAMS && keys > PROGRAMS && other_tables > PROGRAMS / 40 && none > PROGRAMS / 10);
}

static void expect_no_hint(const uint8_t *code, uint32_t len)
{
	struct vfm_reject reject;
	struct program *p = program_new(code, len, 0, &reject);
	struct jit_hint h;

	assert_non_null(p);
	open_hint(p, &h);
	assert_null(h.run);
	program_free(p);
}

static void programs_with_loops_or_without_tables_have_none(void **state)
{
	static const uint8_t no_table[] = {VFM_OP_LD8, 0, 0, VFM_OP_RET};
	/* while (packet[table[length]] == length) ; return table[length] */
	static const uint8_t loop[] = {VFM_OP_PKTLEN, VFM_OP_FLOW_LOAD, VFM_OP_LDX8,      VFM_OP_PKTLEN, VFM_OP_JEQ, 0xf9,
				       0xff,          VFM_OP_PKTLEN,    VFM_OP_FLOW_LOAD, VFM_OP_RET};

	(void)state;
	expect_no_hint(no_table, sizeof(no_table));
	expect_no_hint(loop, sizeof(loop));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hint_is_the_key_that_the_machine_comes_to_first),
		cmocka_unit_test(programs_with_loops_or_without_tables_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

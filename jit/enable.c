/* enable.c: vfm_enable_jit of the manual's C API ("JIT Compilation"). */
#include "jit/jit.h"
#include "vm/vfm_engine.h"

static void *make(const struct program *program, uint32_t insn_limit)
{
	struct jit *j;

	return jit_new(program, jit_best_tier() > JIT_SCALAR ? JIT_SCALAR : jit_best_tier(), insn_limit, &j) ? NULL : j;
}

static void run(void *made, struct shard *shard, const struct vfm_packet *packet, struct vfm_result *result)
{
	jit_run(made, shard, packet, result);
}

static void drop(void *made)
{
	jit_free(made);
}

int vfm_enable_jit(vfm_state_t *vm)
{
	static const struct vfm_engine engine = {make, run, drop};

	return vfm_use_engine(vm, &engine);
}

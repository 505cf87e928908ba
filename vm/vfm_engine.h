/* vfm_engine.h: how something faster than the interpreter plugs into the C API without vm/ knowing it (jit/enable.c does). */
#ifndef VM_VFM_ENGINE_H
#define VM_VFM_ENGINE_H

#include "vm/interp.h"
#include "vm/vfm.h"

/* Results are the interpreter's to the bit. */
struct vfm_engine {
	/* For program, which outlives what is made, and one instruction limit. NULL: out of memory. */
	void *(*make)(const struct program *program, uint32_t insn_limit);
	void (*run)(void *made, struct shard *shard, const struct vfm_packet *packet, struct vfm_result *result);
	void (*drop)(void *made);
};

/* From now on vfm_execute runs programs by engine (static; NULL: the interpreter). VFM_ERROR_NO_MEMORY leaves it as it was. */
int vfm_use_engine(vfm_state_t *vm, const struct vfm_engine *engine);

#endif

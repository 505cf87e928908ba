/* step.h: the plain stack machine: one bytecode instruction at a time, nothing fused, everything checked. The manual's debugger
 * stands on it, and it is the naive twin of the interpreter and of every JIT tier. */
#ifndef VM_STEP_H
#define VM_STEP_H

#include <stddef.h>

#include "vm/interp.h"

struct machine {
	const uint8_t *code;
	uint32_t len;
	uint32_t pc;
	uint32_t sp; /* values on the stack */
	uint64_t insn_count;
	uint32_t insn_limit;
	uint32_t updates;
	const int16_t *table_index; /* table number -> dense index */
	struct shard *shard;
	struct vfm_packet packet;
	bool done;
	struct vfm_result result;
	uint64_t stack[VFM_STACK_SLOTS + 2]; /* two more, so that operands are read without a test */
};

/* Ready to run packet on shard; advances the shard's clock. Any bytecode, verified or not. */
void machine_init(struct machine *m, const uint8_t *code, uint32_t len, const int16_t table_index[256], struct shard *shard,
		  const struct vfm_packet *packet, uint32_t insn_limit);
/* Executes one instruction. Returns true while there is more to do; m->result holds the end. An unverified program may end in
 * STACK_UNDERFLOW, STACK_OVERFLOW, INVALID_OPCODE or INVALID_PROGRAM as well. */
bool machine_step(struct machine *m);
/* Steps to the end. */
void machine_run(struct machine *m);

#endif

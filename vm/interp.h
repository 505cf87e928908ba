/* interp.h: the interpreter. A verified program is fused once at load into a register program (no stack, compares with their
 * jumps, loads without checks where the packet is long enough); running it is one dispatch loop.
 *
 * Semantics to the bit: vm/step.c, the plain stack machine, is the reference that tests hold it to.
 */
#ifndef VM_INTERP_H
#define VM_INTERP_H

#include "vm/packet.h"
#include "vm/program.h"

/* What one packet gave. */
struct vfm_result {
	uint64_t value; /* what RET returned; 0 on error */
	int error;      /* VFM_SUCCESS, or VFM_ERROR_BOUNDS, _DIVISION_BY_ZERO, _LIMIT */
};

struct interp;

/* NULL: out of memory. The program must outlive it. */
struct interp *interp_new(const struct program *p);
void interp_free(struct interp *c);
/* Runs one packet on shard s: advances its clock, then executes. insn_limit as in vm/vfm.h. */
void interp_run(const struct interp *c, struct shard *s, const struct vfm_packet *packet, uint32_t insn_limit,
		struct vfm_result *result);

#endif

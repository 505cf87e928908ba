/* bpf.c: VFM to classic BPF: what is refused at the door, and the order of the passes. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "vm/bpf_parts.h"
#include "vm/vfm.h"

_Static_assert(sizeof(bpf_insn_t) == 8, "the kernel's struct sock_filter");

void bpf_refuse(struct bpf_draft *d, int error, const char *format, ...)
{
	va_list args;

	if (d->error)
		return;
	d->error = error;
	va_start(args, format);
	vsnprintf(d->reason, sizeof(d->reason), format, args);
	va_end(args);
}

/* What no program with the construct can have, whatever it is used for. */
static void check_program(const struct ir *ir, struct bpf_draft *d)
{
	for (uint32_t v = 0; v < ir->n_values; v++)
		if (ir_ops[ir->values[v].op].flags & (IR_F_READ | IR_F_UPDATE))
			bpf_refuse(d, VFM_ERROR_INVALID_PROGRAM, "at %u %s: BPF has no tables", ir->values[v].pc,
				   ir_ops[ir->values[v].op].name);
	for (uint32_t i = 0; i < ir->n_blocks; i++)
		if (ir->blocks[i].header)
			bpf_refuse(d, VFM_ERROR_INVALID_PROGRAM, "the code at %u is in a loop, and BPF jumps forward only",
				   ir->blocks[i].pc);
	if (ir->path.insns > VFM_DEFAULT_INSN_LIMIT)
		bpf_refuse(d, VFM_ERROR_INVALID_PROGRAM,
			   "a packet may take %llu instructions, above the limit of %u, which BPF does not count",
			   (unsigned long long)ir->path.insns, VFM_DEFAULT_INSN_LIMIT);
}

static uint32_t export_ir(const struct ir *ir, bpf_insn_t *out, uint32_t room, struct bpf_draft *d)
{
	struct bpf_plan plan;
	uint32_t n = 0;

	check_program(ir, d);
	if (d->error)
		return 0;
	if (bpf_plan(ir, &plan, d) == 0)
		bpf_emit(ir, &plan, d);
	if (!d->error)
		n = bpf_link(d, out, room);
	bpf_plan_fini(&plan);
	return n;
}

int vfm_to_bpf_reason(const uint8_t *vfm_prog, uint32_t vfm_len, bpf_insn_t *bpf_prog, uint32_t *bpf_len,
		      char reason[VFM_BPF_REASON_BYTES])
{
	struct bpf_draft d = {0};
	struct vfm_reject why;
	struct program *p = program_new(vfm_prog, vfm_len, 0, &why);
	struct ir *ir = p ? ir_new(p, NULL) : NULL;
	uint32_t n = 0;

	if (!p)
		bpf_refuse(&d, why.code, "at %u: %s", why.pc, why.reason);
	else if (!ir)
		bpf_refuse(&d, VFM_ERROR_NO_MEMORY, "out of memory");
	else
		n = export_ir(ir, bpf_prog, *bpf_len, &d);
	if (n > *bpf_len)
		bpf_refuse(&d, VFM_ERROR_LIMIT, "%u BPF instructions are needed, and there is room for %u", n, *bpf_len);
	if (n)
		*bpf_len = n;
	if (reason)
		memcpy(reason, d.reason, sizeof(d.reason));
	ir_free(ir);
	program_free(p);
	free(d.items);
	free(d.labels);
	return d.error;
}

int vfm_to_bpf(const uint8_t *vfm_prog, uint32_t vfm_len, bpf_insn_t *bpf_prog, uint32_t *bpf_len)
{
	return vfm_to_bpf_reason(vfm_prog, vfm_len, bpf_prog, bpf_len, NULL);
}

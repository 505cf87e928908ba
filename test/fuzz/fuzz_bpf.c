/* fuzz_bpf.c: byte 0 = length of a packet, then the packet, then a program. If the program verifies and can be exported, bpf_validate()
 * takes it, and bpf_filter() judges the packet, and the packet cut short, as the machine does. */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdlib.h>

#include "vm/program.h"
#include "vm/step.h"
#include "vm/vfm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bpf_insn_t code[VFM_BPF_MAX_INSNS];

static void compare(const struct program *p, struct shard *s, const uint8_t *data, uint32_t len)
{
	static struct machine m;
	struct vfm_packet packet = {.data = data, .len = len};
	uint32_t want;

	machine_init(&m, p->code, p->len, p->table_index, s, &packet, VFM_DEFAULT_INSN_LIMIT);
	machine_run(&m);
	want = m.result.error == 0 && m.result.value ? UINT32_MAX : 0;
	if (bpf_filter((struct bpf_insn *)code, data, len, len) != want)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t n = VFM_BPF_MAX_INSNS, len = size ? data[0] : 0;
	struct vfm_reject why;
	struct program *p;
	struct shard *s;

	if (size < 1u + len || size > VFM_MAX_PROGRAM_BYTES)
		return 0;
	if (vfm_to_bpf(data + 1 + len, (uint32_t)size - 1 - len, code, &n))
		return 0;
	if (!bpf_validate((struct bpf_insn *)code, (int)n))
		abort();
	p = program_new(data + 1 + len, (uint32_t)size - 1 - len, 0, &why);
	s = p ? program_shard_new(p, &(struct program_state_options){0}) : NULL;
	for (uint32_t cut = 0; s && cut <= len; cut = cut < 24 ? cut + 1 : cut * 2)
		compare(p, s, data + 1, cut);
	if (s)
		compare(p, s, data + 1, len);
	shard_free(s);
	program_free(p);
	return 0;
}

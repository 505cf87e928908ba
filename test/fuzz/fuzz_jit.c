/* fuzz_jit.c: byte 0 = length of a packet, then the packet, then a program. If it verifies, every tier gives what the machine gives,
 * for the packet and for it cut short, and the same tables. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jit/parts.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define CUTS       20
#define INSN_LIMIT 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tier(const struct program *p, enum jit_tier tier, const uint8_t *data, uint32_t len)
{
	static const struct program_state_options options = {.default_capacity = 4, .idle_s = -1};
	static struct machine m;
	struct shard *mine = program_shard_new(p, &options), *twin = program_shard_new(p, &options), *shards[CUTS];
	struct vfm_packet packets[CUTS];
	struct vfm_result results[CUTS];
	struct jit *j;

	if (!mine || !twin || jit_new(p, tier, INSN_LIMIT, &j))
		abort();
	if (len % 2)
		jit_hint_from(j, 0);
	for (uint32_t i = 0; i < CUTS; i++) {
		packets[i] = (struct vfm_packet){.data = data, .len = len * i / (CUTS - 1), .input = i, .time_us = i * 400000};
		shards[i] = mine;
	}
	jit_burst(j, CUTS, packets, shards, results);
	for (uint32_t i = 0; i < CUTS; i++) {
		machine_init(&m, p->code, p->len, p->table_index, twin, &packets[i], INSN_LIMIT);
		machine_run(&m);
		if (m.result.error != results[i].error || m.result.value != results[i].value)
			abort();
	}
	if (shard_digest(mine) != shard_digest(twin))
		abort();
	jit_free(j);
	shard_free(mine);
	shard_free(twin);
}

/* Large tables would take the time that the compiler should have. */
static bool is_small(const struct program *p)
{
	for (uint32_t i = 0; i < p->n_tables; i++)
		if (p->tables[i].entries > 1000)
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = size ? data[0] : 0;
	struct vfm_reject why;
	enum jit_tier best;
	struct program *p;

	if (size < 1u + len || size > VFM_MAX_PROGRAM_BYTES)
		return 0;
	p = program_new(data + 1 + len, (uint32_t)size - 1 - len, 0, &why);
	if (!p)
		return 0;
	unsetenv("VFM_JIT");
	best = jit_best_tier();
	for (int tier = JIT_SCALAR; is_small(p) && tier <= (int)best; tier++) {
		/* Lowers the instructions that are used, too. */
		setenv("VFM_JIT", jit_tier_name((enum jit_tier)tier), 1);
		check_tier(p, (enum jit_tier)tier, data + 1, len);
	}
	program_free(p);
	return 0;
}

/* fuzz_loader.c: bytes -> verifier -> interpreter and step machine, which must agree.
 *
 * Input: byte 0 the packet's length, byte 1 the instruction limit (times 4) and the input port, then the packet, then the program.
 * What the verifier accepts runs on the packet, on its first half and on nothing, at times that let entries expire; value, error and
 * tables must be equal and the machine must not end in an error that verification rules out.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vm/step.h"
#include "vm/vfm.h"

#define HEAD_BYTES 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct shard *new_shard(const struct program *p)
{
	/* The program's own capacities may ask for gigabytes. */
	struct program_state_options options = {.capacity = 3, .idle_s = -1, .seed = 1};
	struct shard *s = program_shard_new(p, &options);

	if (!s)
		abort();
	return s;
}

static void check_packet(const struct program *p, const struct interp *c, struct shard *a, struct shard *b,
			 const struct vfm_packet *packet, uint32_t limit)
{
	struct vfm_result got;
	struct machine m;

	interp_run(c, a, packet, limit, &got);
	machine_init(&m, p->code, p->len, p->table_index, b, packet, limit);
	machine_run(&m);
	if (m.result.error != VFM_SUCCESS && m.result.error != VFM_ERROR_BOUNDS && m.result.error != VFM_ERROR_DIVISION_BY_ZERO &&
	    m.result.error != VFM_ERROR_LIMIT)
		abort();
	if (got.error != m.result.error || got.value != m.result.value || shard_digest(a) != shard_digest(b))
		abort();
}

static void check_program(const struct program *p, const uint8_t *bytes, uint32_t len, uint8_t setting)
{
	struct interp *c = interp_new(p);
	struct shard *a = new_shard(p), *b = new_shard(p);

	if (!c)
		abort();
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t present = i == 0 ? len : i == 1 ? len / 2 : 0;
		uint8_t *copy = malloc(present ? present : 1); /* a sanitizer sees where it ends */
		struct vfm_packet packet = {copy, present, setting & 3u, 1000000ull * i * i};

		if (!copy)
			abort();
		memcpy(copy, bytes, present);
		check_packet(p, c, a, b, &packet, 4u * setting + 4);
		free(copy);
	}
	interp_free(c);
	shard_free(a);
	shard_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vfm_reject why;
	struct program *p;
	uint32_t len;

	if (size < HEAD_BYTES)
		return 0;
	len = data[0] < size - HEAD_BYTES ? data[0] : (uint32_t)(size - HEAD_BYTES);
	if (size - HEAD_BYTES - len > VFM_MAX_PROGRAM_BYTES + 1)
		return 0;
	p = program_new(data + HEAD_BYTES + len, (uint32_t)(size - HEAD_BYTES - len), 0, &why);
	if (!p) {
		if (why.code >= 0 || !why.reason[0])
			abort();
		return 0;
	}
	check_program(p, data + HEAD_BYTES, len, data[1]);
	program_free(p);
	return 0;
}

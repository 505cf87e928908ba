/* fuzz_vflisp.c: the input as VFLisp: it compiles to a program that the verifier accepts and that ends on a few packets without any error a
 * verified program cannot have, or gives errors that can be printed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/step.h"
#include "vm/vflisp.h"
#include "vm/vfm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct diag_list diags;

static void check_printable(void)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (!out || !diags.errors)
		abort();
	diag_print(&diags, out);
	fclose(out);
	free(text);
}

/* The source itself serves as packet: any bytes do. */
static void check_run(const struct program *p, const uint8_t *data, uint32_t len)
{
	static struct machine m;
	const struct program_state_options options = {.capacity = 16, .idle_s = -1};
	const struct vfm_packet packet = {.data = data, .len = len, .time_us = 1000000};
	struct shard *shard = program_shard_new(p, &options);

	if (!shard)
		abort();
	machine_init(&m, p->code, p->len, p->table_index, shard, &packet, 100000);
	machine_run(&m);
	if (m.result.error && m.result.error != VFM_ERROR_BOUNDS && m.result.error != VFM_ERROR_DIVISION_BY_ZERO &&
	    m.result.error != VFM_ERROR_LIMIT)
		abort();
	shard_free(shard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vfm_reject reject;
	struct program *p;
	uint8_t *code = NULL;
	uint32_t len = 0;

	diag_init(&diags, "input", (const char *)data, (uint32_t)size);
	if (vfl_compile((const char *)data, size, &diags, &code, &len)) {
		check_printable();
		return 0;
	}
	p = program_new(code, len, 0, &reject);
	if (!p)
		abort();
	check_run(p, data, (uint32_t)(size < VFM_MAX_PACKET_BYTES ? size : VFM_MAX_PACKET_BYTES));
	check_run(p, data, (uint32_t)(size / 4));
	program_free(p);
	free(code);
	return 0;
}

/* readable.c: the readable prefix: no byte at or behind it can change what the program does, as long as the packet's length is told. */
#include "analysis/stages.h"

/* The parser behind HASH5, HASH5S and HDR reads at most this far: Ethernet, two VLAN tags, an IPv6 header, eight extension headers of
 * at most 2048 bytes (AH: 1028), and 13 bytes of TCP. */
#define PARSER_BYTES (14 + 8 + 40 + 8 * 2048 + 13)

static uint32_t end_of_access(const struct ir *ir, uint32_t value)
{
	const struct ir_value *v = &ir->values[value];
	unsigned bytes = ir_ops[v->op].bytes;

	if (v->op >= IR_LD8 && v->op <= IR_LD64)
		return (uint32_t)v->imm + bytes;
	if (v->op >= IR_LDX8 && v->op <= IR_LDX64) {
		uint64_t furthest = ir->facts.operand[value].hi;

		return furthest < VFM_MAX_PACKET_BYTES - bytes ? (uint32_t)furthest + bytes : VFM_MAX_PACKET_BYTES;
	}
	return v->op == IR_HASH5 || v->op == IR_HASH5S || v->op == IR_HDR ? PARSER_BYTES : 0;
}

uint32_t readable_find(const struct ir *ir)
{
	uint32_t end = 0;

	for (uint32_t b = 0; b < ir->n_blocks; b++) {
		const struct ir_block *block = &ir->blocks[b];

		if (!(ir->facts.block[b] & IR_REACHED))
			continue;
		for (uint32_t v = block->first; v < block->first + block->n_values; v++) {
			uint32_t here = end_of_access(ir, v);

			end = here > end ? here : end;
		}
	}
	return end < VFM_MAX_PACKET_BYTES ? end : VFM_MAX_PACKET_BYTES;
}

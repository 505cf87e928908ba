/* asm_map.c: from an address to the source line, and what the verifier says said there. */
#include "vm/asm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/vfm.h"

int asm_map_append(struct asm_map *map, struct asm_place place)
{
	if (map->n == map->room) {
		uint32_t room = map->room ? 2 * map->room : 64;
		struct asm_place *places = realloc(map->places, room * sizeof(*places));

		if (!places)
			return -ENOMEM;
		map->places = places;
		map->room = room;
	}
	map->places[map->n++] = place;
	return 0;
}

void asm_map_fini(struct asm_map *map)
{
	free(map->places);
	memset(map, 0, sizeof(*map));
}

const struct asm_place *asm_map_find(const struct asm_map *map, uint32_t pc)
{
	uint32_t lo = 0, hi = map->n; /* places[0, lo) begin at or before pc; places[hi, n) after it */

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (map->places[mid].pc <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &map->places[lo - 1] : NULL;
}

void asm_map_say_reject(const struct vfm_reject *reject, const struct asm_map *map, struct diag_list *d)
{
	const struct asm_place *place = map ? asm_map_find(map, reject->pc) : NULL;

	diag_add(d, DIAG_ERROR, place ? place->line : 0, place ? place->column : 0, "not verified (%s, address %04x): %s",
		 vfm_error_name(reject->code), reject->pc, reject->reason);
}

int asm_assemble_verified(const char *source, size_t source_bytes, unsigned verify_flags, uint8_t **code, uint32_t *len,
			  struct vfm_proof *proof, struct diag_list *d)
{
	struct vfm_reject reject;
	struct asm_map map;
	uint8_t *bytes = NULL;
	int ret = asm_assemble_map(source, source_bytes, verify_flags & VFM_VERIFY_STRICT_MANUAL, &bytes, len, &map, d);

	if (!ret && vfm_verify_program(bytes, *len, verify_flags, proof, &reject) != VFM_SUCCESS) {
		asm_map_say_reject(&reject, &map, d);
		ret = -EINVAL;
	}
	if (ret)
		free(bytes);
	else
		*code = bytes;
	asm_map_fini(&map);
	return ret;
}

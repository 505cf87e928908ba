/* vfl_code.c: bytes, labels, islands.
 *
 * A jump reaches 32,767 bytes forward. Before the oldest open jump gets out of reach, an island is put into the code: a jump around it,
 * and one jump on for each label that is still open; the open jumps are led to the island.
 */
#include <errno.h>
#include <string.h>

#include "vm/vfl_code.h"

#define REACH_BYTES   32767u
#define JUMP_BYTES    3u
#define LARGEST_BYTES 16u /* room for the next instruction, whichever it is */
#define ROOM_BYTES    (VFM_MAX_PROGRAM_BYTES + 64u)

void vfl_code_init(struct vfl_code *k, struct vfl *c)
{
	memset(k, 0, sizeof(*k));
	k->c = c;
	k->bytes = vfl_alloc(c, ROOM_BYTES);
}

static void too_large(struct vfl_code *k)
{
	vfl_error(k->c, NULL, "the program does not fit in %u bytes; preload a table instead of listing members",
		  VFM_MAX_PROGRAM_BYTES);
	vfl_escape(k->c, EINVAL);
}

static void *doubled(struct vfl *c, const void *old, uint32_t *room, size_t each)
{
	void *p = vfl_alloc(c, (*room ? 2 * *room : 64) * each);

	if (*room)
		memcpy(p, old, *room * each);
	*room = *room ? 2 * *room : 64;
	return p;
}

uint32_t vfl_label(struct vfl_code *k)
{
	uint32_t room = k->room_labels;

	if (k->n_labels == room) {
		k->labels = doubled(k->c, k->labels, &room, sizeof(*k->labels));
		k->wanted = doubled(k->c, k->wanted, &k->room_labels, sizeof(*k->wanted));
	}
	k->labels[k->n_labels] = VFL_NOT_PLACED;
	return k->n_labels++;
}

static void put_bytes(struct vfl_code *k, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		k->bytes[k->len++] = (uint8_t)(value >> 8 * i);
	if (k->len > VFM_MAX_PROGRAM_BYTES)
		too_large(k);
}

static void patch(struct vfl_code *k, uint32_t at, uint32_t to)
{
	uint32_t distance = to - (at + 2); /* at most REACH_BYTES: see make_island */

	k->bytes[at] = (uint8_t)distance;
	k->bytes[at + 1] = (uint8_t)(distance >> 8);
}

void vfl_place(struct vfl_code *k, uint32_t label)
{
	uint32_t kept = 0;

	k->labels[label] = k->len;
	for (uint32_t i = 0; i < k->n_fixes; i++) {
		if (k->fixes[i].label == label)
			patch(k, k->fixes[i].at, k->len);
		else
			k->fixes[kept++] = k->fixes[i];
	}
	k->n_fixes = kept;
}

static void add_jump(struct vfl_code *k, uint8_t op, uint32_t label)
{
	if (k->n_fixes == k->room_fixes)
		k->fixes = doubled(k->c, k->fixes, &k->room_fixes, sizeof(*k->fixes));
	k->wanted[label] = true;
	put_bytes(k, op, 1);
	k->fixes[k->n_fixes++] = (struct vfl_fix){k->len, label};
	put_bytes(k, 0, 2);
}

static void make_island(struct vfl_code *k)
{
	uint32_t n = k->n_fixes;
	struct vfl_fix *old = vfl_alloc(k->c, n * sizeof(*old));
	uint32_t around = vfl_label(k);

	memcpy(old, k->fixes, n * sizeof(*old));
	k->n_fixes = 0;
	add_jump(k, VFM_OP_JMP, around);
	for (uint32_t i = 0; i < n; i++) {
		if (old[i].label == VFL_NOT_PLACED)
			continue;
		for (uint32_t j = n; j-- > i;) {
			if (old[j].label != old[i].label)
				continue;
			patch(k, old[j].at, k->len);
			if (j > i)
				old[j].label = VFL_NOT_PLACED;
		}
		add_jump(k, VFM_OP_JMP, old[i].label);
	}
	vfl_place(k, around);
}

/* Called before every instruction. After an island every open jump is one of its own, so the next is some 32,000 bytes away. */
static void keep_in_reach(struct vfl_code *k)
{
	uint32_t island = JUMP_BYTES * (k->n_fixes + 2);

	if (k->n_fixes && k->len + LARGEST_BYTES + island - k->fixes[0].at > REACH_BYTES)
		make_island(k);
}

void vfl_put(struct vfl_code *k, uint8_t op, uint64_t operand)
{
	keep_in_reach(k);
	put_bytes(k, op, 1);
	put_bytes(k, operand, vfm_ops[op].operand_bytes);
}

void vfl_put_jump(struct vfl_code *k, uint8_t op, uint32_t label)
{
	keep_in_reach(k);
	add_jump(k, op, label);
}

void vfl_put_table(struct vfl_code *k, const struct vfl_table *t)
{
	put_bytes(k, VFM_OP_TABLE, 1);
	put_bytes(k, (uint64_t)t->number, 1);
	put_bytes(k, t->entries, 4);
	put_bytes(k, t->idle_s, 4);
}

/* vec_load.c: windows of the packets into lanes, without gathers, which take several cycles a packet.
 *
 * Up to four windows lie in a block of 16 bytes, which one load fetches from a packet. Register g of four gets the blocks of packets g,
 * 4 + g, 8 + g, 12 + g, one in each 128-bit chunk; a byte shuffle puts the windows of each block into its four places, little-endian; and
 * the four registers, taken as a 4 x 4 matrix of windows in each chunk, are transposed: register w then has window w of all packets.
 */
#include <string.h>

#include "jit/vec_parts.h"
#include "jit/x86_encode.h"

#define PLACES 4 /* of windows in a block, and packets in a chunk */

struct block {
	uint32_t start; /* packet offset */
	uint32_t n;
	uint8_t window[PLACES]; /* its windows' numbers */
};

static struct evex_src reg(uint8_t r)
{
	return (struct evex_src){EVEX_REG, r};
}

/* ---- which windows go together ---- */

/* The first window, by offset, that is in no block yet; VEC_MAX_WINDOWS: none. */
static uint32_t first_left(const struct vec *v, const bool *taken)
{
	uint32_t first = VEC_MAX_WINDOWS;

	for (uint32_t w = 0; w < v->n_windows; w++)
		if (!taken[w] && (first == VEC_MAX_WINDOWS || v->window_start[w] < v->window_start[first]))
			first = w;
	return first;
}

/* Returns the number of blocks, all of which end before the guard does. */
static uint32_t make_blocks(const struct vec *v, struct block *blocks)
{
	bool taken[VEC_MAX_WINDOWS] = {false};
	uint32_t n = 0, first;

	for (; (first = first_left(v, taken)) < VEC_MAX_WINDOWS; n++) {
		struct block *k = &blocks[n];
		uint32_t start = v->window_start[first];

		*k = (struct block){.start = start < v->guard - VEC_BLOCK ? start : v->guard - VEC_BLOCK};
		for (uint32_t w = 0; w < v->n_windows; w++) {
			/* In the order of offsets, which windows have not. */
			uint32_t next = first_left(v, taken);

			if (k->n == PLACES || next == VEC_MAX_WINDOWS || v->window_start[next] + 4 > k->start + VEC_BLOCK)
				break;
			k->window[k->n++] = (uint8_t)next;
			taken[next] = true;
		}
	}
	return n;
}

/* ---- code ---- */

enum { CC_E = 4, CC_B = 2 };

static void with_all_lanes(const struct vec *v, unsigned op, uint8_t r)
{
	x86_rr(v->b, false, 0x81, (uint8_t)op, r);
	x86_word32(v->b, (1u << v->isa->lanes) - 1);
}

/* Where lanes' packets are too short, or not there: r8 = others, at the same addresses but for those lanes, which are given the address of
 * one that is long enough. Any of its bytes may be read then. */
static void mend_packets(struct vec *v, uint32_t no_lanes)
{
	static const uint8_t take[] = {0x49, 0x8b, 0x04, 0x10,  /* mov rax, [r8 + rdx] */
				       0x41, 0xd1, 0xe9,        /* shr r9d, 1 */
				       0x48, 0x0f, 0x43, 0xc6,  /* cmovnc rax, rsi */
				       0x48, 0x89, 0x84, 0x17}; /* mov [rdi + rdx + mended], rax */
	struct jit_buf *b = v->b;
	uint32_t whole = jit_label(b), next = jit_label(b);

	with_all_lanes(v, 7, VEC_OWN); /* cmp */
	x86_jump_if(b, CC_E, whole);
	x86_rr(b, false, 0x85, VEC_OWN, VEC_OWN); /* test */
	x86_jump_if(b, CC_E, no_lanes);
	x86_byte(b, 0x0f); /* bsf eax, own */
	x86_byte(b, 0xbc);
	x86_modrm_reg(b, RAX, VEC_OWN);
	jit_bytes(b, (const uint8_t[]){0x48, 0x8d, 0x04, 0x40}, 4); /* lea rax, [rax + 2 * rax] */
	jit_bytes(b, (const uint8_t[]){0x49, 0x8b, 0x34, 0xc0}, 4); /* mov rsi, [r8 + 8 * rax] */
	x86_rr(b, false, 0x89, VEC_OWN, R9);
	x86_set(b, RDX, 0);
	jit_place_label(b, next);
	jit_bytes(b, take, sizeof(take));
	x86_word32(b, offsetof(struct vec_args, mended));
	x86_rr(b, true, 0x83, 0, RDX); /* add */
	x86_byte(b, sizeof(struct vfm_packet));
	x86_rr(b, false, 0x81, 7, RDX); /* cmp */
	x86_word32(b, v->isa->lanes * (uint32_t)sizeof(struct vfm_packet));
	x86_jump_if(b, CC_B, next);
	x86_set(b, R9, 0);                                                 /* lanes that return a constant: none yet */
	x86_rm(b, true, 0x8d, R8, RDI, offsetof(struct vec_args, mended)); /* lea */
	jit_place_label(b, whole);
}

/* The first of the four registers of a block. */
static uint8_t stage(unsigned k)
{
	return (uint8_t)(PLACES * k);
}

static void load_blocks(struct vec *v, const struct block *blocks, unsigned n)
{
	for (unsigned g = 0; g < PLACES; g++)
		for (unsigned chunk = 0; chunk < v->isa->lanes / PLACES; chunk++) {
			uint8_t at = chunk % 2 ? RDX : RAX;

			x86_rm(v->b, true, 0x8b, at, R8, (int32_t)(sizeof(struct vfm_packet) * (PLACES * chunk + g)));
			for (unsigned k = 0; k < n; k++)
				v->isa->load_chunk(v->b, (uint8_t)(stage(k) + g), at, (int32_t)blocks[k].start, (uint8_t)chunk);
		}
}

/* Puts the windows of each 16 bytes into places, the last byte first. */
static struct evex_src shuffle_of(const struct vec *v, const struct block *k)
{
	uint8_t bytes[64];

	memset(bytes, 0x80, sizeof(bytes)); /* 0 */
	for (unsigned i = 0; i < k->n; i++)
		for (unsigned byte = 0; byte < 4; byte++)
			bytes[4 * i + byte] = (uint8_t)(v->window_start[k->window[i]] - k->start + 3 - byte);
	for (unsigned at = VEC_BLOCK; at < sizeof(bytes); at += VEC_BLOCK)
		memcpy(bytes + at, bytes, VEC_BLOCK);
	return (struct evex_src){EVEX_CONST, jit_constant(v->b, bytes, v->isa->bytes, v->isa->bytes)};
}

static void transpose(struct vec *v, const struct block *k, uint8_t r)
{
	void (*op)(struct jit_buf * b, enum evex_op op, uint8_t d, uint8_t a, struct evex_src s) = v->isa->op;
	struct evex_src shuffle = shuffle_of(v, k);
	uint8_t low = v->isa->scratch, high = (uint8_t)(low + 1);

	for (uint8_t g = 0; g < PLACES; g++)
		op(v->b, EVEX_PSHUFB, (uint8_t)(r + g), (uint8_t)(r + g), shuffle);
	for (uint32_t i = 0; i < k->n; i += 2) {
		enum evex_op pair = i ? EVEX_PUNPCKHDQ : EVEX_PUNPCKLDQ;
		uint8_t first = (uint8_t)(v->isa->first_window + k->window[i]);

		op(v->b, pair, low, r, reg((uint8_t)(r + 1)));
		op(v->b, pair, high, (uint8_t)(r + 2), reg((uint8_t)(r + 3)));
		op(v->b, EVEX_PUNPCKLQDQ, first, low, reg(high));
		if (i + 1 < k->n)
			op(v->b, EVEX_PUNPCKHQDQ, (uint8_t)(v->isa->first_window + k->window[i + 1]), low, reg(high));
	}
}

void vec_load_windows(struct vec *v, uint32_t no_lanes)
{
	struct block blocks[VEC_MAX_WINDOWS];
	uint32_t n = make_blocks(v, blocks);

	mend_packets(v, no_lanes);
	for (uint32_t i = 0; i < n; i += v->isa->blocks_at_once) {
		uint32_t together = n - i < v->isa->blocks_at_once ? n - i : v->isa->blocks_at_once;

		load_blocks(v, blocks + i, together);
		for (uint32_t k = 0; k < together; k++)
			transpose(v, &blocks[i + k], stage(k));
	}
}

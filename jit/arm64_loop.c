/* arm64_loop.c: what stands around a body that runs packet after packet, on arm64.
 *
 *     leaf code      x0 data, x1 len, x2 env        x19 packet, x20 result, x21 end
 *     calling code   x19 data, x20 len, x21 env     x22 packet; the rest in env
 */
#include "jit/arm64_encode.h"
#include "jit/parts.h"
#include "state/shard.h"

/* Scratch: the last two are also the result's, so free before a body begins. */
enum { X0, X1, X2, T0 = 14, T1, VALUE, ERROR, X19 = 19, X20, X21, X22 };

struct registers {
	uint8_t data, len, env, packet;
};

static struct registers registers_of(const struct jit_loop *l)
{
	return l->calls ? (struct registers){X19, X20, X21, X22} : (struct registers){X0, X1, X2, X19};
}

/* Those that the loop takes beside the values'. */
static uint32_t saved(const struct jit_loop *l)
{
	return l->saved | (l->calls ? 1u << X22 : 1u << X19 | 1u << X20 | 1u << X21);
}

static void word(struct jit_buf *b, uint32_t insn)
{
	jit_bytes(b, &insn, 4);
}

static void branch_to(struct jit_buf *b, uint32_t insn, uint32_t label)
{
	jit_fixup(b, b->n, label);
	word(b, insn);
}

static void move(struct jit_buf *b, uint8_t d, uint8_t s)
{
	word(b, arm64_reg(ARM64_ORR, d, ARM64_ZR, s));
}

static void load(struct jit_buf *b, unsigned bytes, uint8_t d, uint8_t base, size_t offset)
{
	word(b, arm64_load(bytes, d, base, (uint32_t)offset));
}

static void store(struct jit_buf *b, uint8_t s, uint8_t base, size_t offset)
{
	word(b, arm64_store(s, base, (uint32_t)offset));
}

static void advance(struct jit_buf *b, uint8_t r, uint32_t n)
{
	word(b, arm64_imm(ARM64_ADD_IMM, r, r, n));
}

static void compare(struct jit_buf *b, uint8_t a, uint8_t with)
{
	word(b, arm64_reg(ARM64_SUBS, ARM64_ZR, a, with));
}

/* d = a number of 32 bits */
static void set(struct jit_buf *b, uint8_t d, uint32_t n)
{
	word(b, arm64_wide(ARM64_MOVZ, d, (uint16_t)n, 0));
	word(b, arm64_wide(ARM64_MOVK, d, (uint16_t)(n >> 16), 1));
}

/* shard_set_time() of the shard in T1. */
static void set_time(struct jit_buf *b, const struct registers *r)
{
	uint32_t not_later = jit_label(b);

	load(b, 8, T0, r->packet, offsetof(struct vfm_packet, time_us));
	load(b, 8, VALUE, T1, offsetof(struct shard, clock_us));
	compare(b, T0, VALUE);
	branch_to(b, arm64_b_cond(ARM64_LS, 0), not_later);
	store(b, T0, T1, offsetof(struct shard, clock_us));
	set(b, VALUE, 1000000);
	word(b, arm64_reg(ARM64_UDIV, T0, T0, VALUE));
	word(b, arm64_store32(T0, T1, offsetof(struct shard, now_s)));
	jit_place_label(b, not_later);
}

static void take_shard(struct jit_buf *b, const struct registers *r, bool times)
{
	load(b, 8, T0, r->env, offsetof(struct jit_env, shards));
	load(b, 8, T1, T0, 0);
	advance(b, T0, sizeof(struct shard *));
	store(b, T0, r->env, offsetof(struct jit_env, shards));
	store(b, T1, r->env, offsetof(struct jit_env, shard));
	load(b, 8, T0, r->env, offsetof(struct jit_env, hinted));
	advance(b, T0, sizeof(struct jit_hinted));
	store(b, T0, r->env, offsetof(struct jit_env, hinted));
	if (times)
		set_time(b, r);
}

/* The packet that is next. */
static void take_packet(struct jit_buf *b, const struct jit_loop *l)
{
	struct registers r = registers_of(l);

	load(b, 8, r.data, r.packet, offsetof(struct vfm_packet, data));
	load(b, 4, r.len, r.packet, offsetof(struct vfm_packet, len));
	if (l->guard) {
		set(b, T0, l->guard);
		compare(b, r.len, T0);
		branch_to(b, arm64_b_cond(ARM64_LO, 0), l->stop);
	}
	if (l->shards != LOOP_ALONE)
		take_shard(b, &r, l->shards == LOOP_TIMES);
	if (l->input) {
		load(b, 4, T0, r.packet, offsetof(struct vfm_packet, input));
		store(b, T0, r.env, offsetof(struct jit_env, input));
	}
	if (l->insns)
		store(b, ARM64_ZR, r.env, offsetof(struct jit_env, insns));
	if (l->updates)
		store(b, ARM64_ZR, r.env, offsetof(struct jit_env, updates));
}

void jit_arm64_begin_loop(struct jit_buf *b, const struct jit_loop *l)
{
	struct registers r = registers_of(l);

	arm64_push_frame(b, l->calls, saved(l), l->n_slots);
	move(b, r.packet, X0);
	move(b, r.env, X1);
	if (!l->calls) {
		load(b, 8, X20, r.env, offsetof(struct jit_env, results));
		load(b, 8, X21, r.env, offsetof(struct jit_env, end));
	}
	jit_place_label(b, l->head);
	take_packet(b, l);
}

void jit_arm64_end_loop(struct jit_buf *b, const struct jit_loop *l)
{
	struct registers r = registers_of(l);
	uint8_t result = l->calls ? T0 : X20, end = l->calls ? T1 : X21;

	if (l->calls)
		load(b, 8, result, r.env, offsetof(struct jit_env, results));
	store(b, VALUE, result, offsetof(struct vfm_result, value));
	word(b, arm64_store32(ERROR, result, offsetof(struct vfm_result, error)));
	advance(b, result, sizeof(struct vfm_result));
	if (l->calls) {
		store(b, result, r.env, offsetof(struct jit_env, results));
		load(b, 8, end, r.env, offsetof(struct jit_env, end));
	}
	advance(b, r.packet, sizeof(struct vfm_packet));
	compare(b, r.packet, end);
	branch_to(b, arm64_b_cond(ARM64_LO, 0), l->head);
	jit_place_label(b, l->stop);
	move(b, X0, r.packet);
	arm64_pop_frame(b, l->calls, saved(l), l->n_slots);
}

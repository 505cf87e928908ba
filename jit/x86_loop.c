/* x86_loop.c: what stands around a body that runs packet after packet, on x86-64.
 *
 *     leaf code      rdi data, rsi len, r11 env     r12 packet, r13 result, r14 end
 *     calling code   r12 data, r13 len, r14 env     r15 packet; the rest in env
 */
#include "jit/x86_encode.h"
#include "state/shard.h"

enum { CC_B = 2, CC_BE = 6 };

struct registers {
	uint8_t data, len, env, packet;
};

static struct registers registers_of(const struct jit_loop *l)
{
	return l->calls ? (struct registers){R12, R13, R14, R15} : (struct registers){RDI, RSI, R11, R12};
}

/* Those that the loop takes beside the values'. */
static uint32_t saved(const struct jit_loop *l)
{
	return l->saved | (l->calls ? 1u << R15 : 1u << R12 | 1u << R13 | 1u << R14);
}

static void load(struct jit_buf *b, uint8_t d, uint8_t base, size_t offset)
{
	x86_rm(b, true, 0x8b, d, base, (int32_t)offset);
}

static void store(struct jit_buf *b, uint8_t s, uint8_t base, size_t offset)
{
	x86_rm(b, true, 0x89, s, base, (int32_t)offset);
}

/* r += n, n below 128 */
static void advance(struct jit_buf *b, uint8_t r, uint8_t n)
{
	x86_rr(b, true, 0x83, 0, r);
	x86_byte(b, n);
}

static void compare(struct jit_buf *b, uint8_t r, uint8_t with)
{
	x86_rr(b, true, 0x39, with, r);
}

/* shard_set_time() of the shard in rdx. */
static void set_time(struct jit_buf *b, const struct registers *r)
{
	uint32_t not_later = jit_label(b);

	load(b, RAX, r->packet, offsetof(struct vfm_packet, time_us));
	x86_rm(b, true, 0x3b, RAX, RDX, offsetof(struct shard, clock_us)); /* cmp rax, [rdx + ...] */
	x86_jump_if(b, CC_BE, not_later);
	store(b, RAX, RDX, offsetof(struct shard, clock_us));
	x86_move(b, RCX, RDX);
	x86_set(b, RDX, 0x431bde82d7b634db); /* 2^82 / 10^6, rounded up: exact for every 64-bit number */
	x86_rr(b, true, 0xf7, 4, RDX);       /* rdx:rax = rax * rdx */
	x86_rr(b, true, 0xc1, 5, RDX);       /* shr rdx, 18 */
	x86_byte(b, 18);
	x86_rm(b, false, 0x89, RDX, RCX, offsetof(struct shard, now_s));
	jit_place_label(b, not_later);
}

static void take_shard(struct jit_buf *b, const struct registers *r, bool times)
{
	load(b, RAX, r->env, offsetof(struct jit_env, shards));
	load(b, RDX, RAX, 0);
	advance(b, RAX, sizeof(struct shard *));
	store(b, RAX, r->env, offsetof(struct jit_env, shards));
	store(b, RDX, r->env, offsetof(struct jit_env, shard));
	x86_rm(b, true, 0x83, 0, r->env, offsetof(struct jit_env, hinted)); /* add */
	x86_byte(b, sizeof(struct jit_hinted));
	if (times)
		set_time(b, r);
}

static void set_zero(struct jit_buf *b, uint8_t base, size_t offset)
{
	x86_rm(b, true, 0xc7, 0, base, (int32_t)offset);
	x86_word32(b, 0);
}

/* The packet that is next. */
static void take_packet(struct jit_buf *b, const struct jit_loop *l)
{
	struct registers r = registers_of(l);

	load(b, r.data, r.packet, offsetof(struct vfm_packet, data));
	x86_rm(b, false, 0x8b, r.len, r.packet, offsetof(struct vfm_packet, len));
	if (l->guard) {
		x86_rr(b, false, 0x81, 7, r.len); /* cmp len, guard */
		x86_word32(b, l->guard);
		x86_jump_if(b, CC_B, l->stop);
	}
	if (l->shards != LOOP_ALONE)
		take_shard(b, &r, l->shards == LOOP_TIMES);
	if (l->input) {
		x86_rm(b, false, 0x8b, RAX, r.packet, offsetof(struct vfm_packet, input));
		store(b, RAX, r.env, offsetof(struct jit_env, input));
	}
	if (l->lanes) {
		x86_rm(b, true, 0x83, 0, r.env, offsetof(struct jit_env, lane)); /* add [env + ...], 4 */
		x86_byte(b, sizeof(uint32_t));
	}
	if (l->insns)
		set_zero(b, r.env, offsetof(struct jit_env, insns));
	if (l->updates)
		set_zero(b, r.env, offsetof(struct jit_env, updates));
}

void jit_x86_begin_loop(struct jit_buf *b, const struct jit_loop *l)
{
	struct registers r = registers_of(l);

	x86_push_frame(b, l->calls, saved(l), l->n_slots);
	x86_move(b, r.packet, RDI);
	x86_move(b, r.env, RSI);
	if (!l->calls) {
		load(b, R13, r.env, offsetof(struct jit_env, results));
		load(b, R14, r.env, offsetof(struct jit_env, end));
	}
	jit_place_label(b, l->head);
	take_packet(b, l);
}

void jit_x86_end_loop(struct jit_buf *b, const struct jit_loop *l)
{
	struct registers r = registers_of(l);
	uint8_t result = l->calls ? RCX : R13;

	if (l->calls)
		load(b, result, r.env, offsetof(struct jit_env, results));
	store(b, RAX, result, offsetof(struct vfm_result, value));
	x86_rm(b, false, 0x89, RDX, result, offsetof(struct vfm_result, error));
	advance(b, result, sizeof(struct vfm_result));
	if (l->calls)
		store(b, result, r.env, offsetof(struct jit_env, results));
	advance(b, r.packet, sizeof(struct vfm_packet));
	if (l->calls)
		x86_rm(b, true, 0x3b, r.packet, r.env, offsetof(struct jit_env, end));
	else
		compare(b, r.packet, R14);
	x86_jump_if(b, CC_B, l->head);
	jit_place_label(b, l->stop);
	x86_move(b, RAX, r.packet);
	x86_pop_frame(b, l->calls, saved(l), l->n_slots);
}

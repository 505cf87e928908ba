/* gen_traffic.c: packets for generated programs (gen_program.h). */
#include "test/lib/gen_program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Past this many bytes a packet is whatever the block held. */
#define FRESH_BYTES 160u

static void note_end(struct gen_traffic *t, uint32_t end)
{
	for (uint32_t i = 0; i < t->n_ends; i++)
		if (t->ends[i] == end)
			return;
	if (t->n_ends < sizeof t->ends / sizeof t->ends[0])
		t->ends[t->n_ends++] = end;
}

void gen_traffic_restart(struct gen_traffic *t, uint64_t seed, const uint8_t *code, uint32_t len)
{
	struct vfm_insn insn;
	t->rng.state = seed;
	t->time_us = 1000000ull * (1 + gen_below(&t->rng, 1000));
	t->n_ends = 0;
	for (uint32_t pc = 0; pc < len && vfm_decode(code, len, pc, &insn) == 0; pc = insn.next)
		if (insn.op <= VFM_OP_LD64)
			note_end(t, (uint32_t)insn.imm + (1u << insn.op));
}

int gen_traffic_init(struct gen_traffic *t, uint64_t seed, const uint8_t *code, uint32_t len)
{
	t->block = malloc(VFM_MAX_PACKET_BYTES);
	if (!t->block)
		return -ENOMEM;
	struct gen_rng fill = {1};
	for (uint32_t i = 0; i < VFM_MAX_PACKET_BYTES; i++)
		t->block[i] = (uint8_t)gen_next(&fill);
	gen_traffic_restart(t, seed, code, len);
	return 0;
}

void gen_traffic_fini(struct gen_traffic *t)
{
	free(t->block);
	t->block = NULL;
}

/* Mostly longer than every load that a packet can satisfy; else at, below or above the end of one load. */
static uint32_t choose_length(struct gen_traffic *t)
{
	uint32_t longest = 64;
	for (uint32_t i = 0; i < t->n_ends; i++)
		if (t->ends[i] > longest && t->ends[i] < 200)
			longest = t->ends[i];
	uint32_t kind = gen_below(&t->rng, 100);
	if (kind < 72 || t->n_ends == 0)
		return longest + gen_below(&t->rng, 40);
	if (kind < 75)
		return gen_below(&t->rng, 16);
	uint32_t len = t->ends[gen_below(&t->rng, t->n_ends)] + gen_below(&t->rng, 3) - 1;
	return len > VFM_MAX_PACKET_BYTES ? VFM_MAX_PACKET_BYTES : len;
}

static uint8_t *put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

/* IPv4 or IPv6 between a few hosts. Returns where the transport header goes. */
static uint8_t *put_ip(struct gen_traffic *t, uint8_t *p, bool six, uint8_t protocol)
{
	memset(p, 0, 40);
	if (six) {
		p[0] = 0x60;
		p[5] = 40;
		p[6] = protocol;
		p[7] = 64;
		p[23] = (uint8_t)gen_below(&t->rng, 4);
		p[39] = (uint8_t)gen_below(&t->rng, 4);
		return p + 40;
	}
	p[0] = gen_chance(&t->rng, 10) ? 0x46 : 0x45;
	p[3] = 60;
	if (gen_chance(&t->rng, 10))
		put16(p + 6, gen_below(&t->rng, 3) | (gen_chance(&t->rng, 50) ? 0x2000 : 0));
	p[8] = 64;
	p[9] = protocol;
	p[12] = p[16] = 10;
	p[15] = (uint8_t)gen_below(&t->rng, 4);
	p[19] = (uint8_t)gen_below(&t->rng, 4);
	return p + 4 * (p[0] & 15);
}

/* A frame of at most 14 + 8 + 40 + 20 bytes. */
static void put_frame(struct gen_traffic *t, uint8_t *p)
{
	static const uint16_t ports[] = {53, 80, 443, 1024, 5060};
	static const uint8_t protocols[] = {6, 6, 6, 17, 17, 1, 132, 58, 44};
	bool six = gen_chance(&t->rng, 25);
	memset(p, 2, 12);
	p += 12;
	for (uint32_t tags = gen_chance(&t->rng, 20) ? 1 + gen_below(&t->rng, 2) : 0; tags; tags--)
		p = put16(put16(p, tags == 2 ? 0x88a8 : 0x8100), gen_below(&t->rng, 8));
	p = put16(p, gen_chance(&t->rng, 4) ? 0x0806 : six ? 0x86dd : 0x0800);
	p = put_ip(t, p, six, protocols[gen_below(&t->rng, sizeof protocols)]);
	memset(p, 0, 20);
	put16(p, ports[gen_below(&t->rng, 5)]);
	put16(p + 2, ports[gen_below(&t->rng, 5)]);
	p[12] = 0x50;
	p[13] = (uint8_t)gen_below(&t->rng, 32);
}

static void put_small_bytes(struct gen_traffic *t, uint8_t *p, uint32_t n)
{
	uint32_t range = gen_chance(&t->rng, 70) ? 4 : 256;
	for (uint32_t i = 0; i < n; i += 8) {
		uint64_t r = gen_next(&t->rng);
		for (uint32_t j = i; j < i + 8 && j < n; j++, r >>= 8)
			p[j] = (uint8_t)((r & 255) % range);
	}
}

static void advance_time(struct gen_traffic *t)
{
	uint32_t kind = gen_below(&t->rng, 100);
	if (kind < 60)
		t->time_us += gen_below(&t->rng, 1000);
	else if (kind < 85)
		t->time_us += gen_below(&t->rng, 1500000);
	else if (kind < 97)
		t->time_us += 1000000ull * (1 + gen_below(&t->rng, 6));
	else
		t->time_us -= gen_below(&t->rng, 500000); /* the machine takes the latest */
}

void gen_traffic_next(struct gen_traffic *t, struct vfm_packet *packet)
{
	uint8_t head[FRESH_BYTES];
	uint32_t len = choose_length(t);
	uint8_t *data = t->block + VFM_MAX_PACKET_BYTES - len;
	bool frame = gen_chance(&t->rng, 50);
	put_small_bytes(t, head, FRESH_BYTES);
	if (frame)
		put_frame(t, head);
	memcpy(data, head, len < FRESH_BYTES ? len : FRESH_BYTES);
	advance_time(t);
	*packet = (struct vfm_packet){data, len, gen_below(&t->rng, 4), t->time_us};
}

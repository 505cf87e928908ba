#include "node/probe.h"

void probe_read(struct probe *p, uint64_t packet, uint64_t now_us)
{
	if (p->armed)
		return;
	p->armed = true;
	p->packet = packet;
	p->read_us = now_us;
}

void probe_released(struct probe *p, uint64_t packets, uint64_t now_us)
{
	if (!p->armed || packets < p->packet)
		return;
	uint64_t took = now_us - p->read_us;
	p->armed = false;
	p->n++;
	p->sum_us += took;
	if (took > p->max_us)
		p->max_us = took;
}

void probe_reset(struct probe *p)
{
	p->n = p->sum_us = p->max_us = 0;
}

void probe_wait(struct probe_waits *w, uint64_t us)
{
	uint32_t shift = 0;
	while (us >> shift >= 2 * PROBE_STEPS && PROBE_STEPS * (shift + 3) <= PROBE_BUCKETS)
		shift++;
	if (us >> shift >= 2 * PROBE_STEPS)
		us = UINT64_MAX >> (64 - shift) | (2 * PROBE_STEPS - 1ull) << shift;
	w->n[PROBE_STEPS * shift + (uint32_t)(us >> shift)]++;
}

uint64_t probe_bucket_us(uint32_t bucket)
{
	uint32_t shift = bucket < 2 * PROBE_STEPS ? 0 : bucket / PROBE_STEPS - 1;
	return (uint64_t)(bucket - PROBE_STEPS * shift) << shift;
}

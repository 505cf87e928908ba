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

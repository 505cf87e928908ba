/* rx_clock.c: see rx_clock.h. */
#include "node/rx_clock.h"

#define Q           40
#define SLOWEST     (UINT64_C(1) << 56) /* cycles per tick: 2^16, a device of 100 kHz beside a TSC of 6.5 GHz */
#define FASTEST     (UINT64_C(1) << 30) /* 2^-10: a device of 1 THz */
#define MAX_OFF     100                 /* a part of the frequency: 1 % */
#define LONGEST_BIT 62                  /* between two samples: 2^62 cycles are 48 years */

/* Is a before b? They are less than 2^63 apart. */
static bool before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* 0: no clock ticks so. */
static uint64_t rate_between(const struct rx_clock *c, uint64_t ticks, uint64_t cycles)
{
	uint64_t dt = ticks - c->ticks, dc = cycles - c->cycles;
	unsigned __int128 rate;

	if (!before(c->ticks, ticks) || !before(c->cycles, cycles) || dc >> LONGEST_BIT)
		return 0;
	rate = ((unsigned __int128)dc << Q) / dt;
	return rate > SLOWEST || rate < FASTEST ? 0 : (uint64_t)rate;
}

static bool is_near(uint64_t rate, uint64_t known)
{
	uint64_t off = rate > known ? rate - known : known - rate;

	return off <= known / MAX_OFF;
}

void rx_clock_sample(struct rx_clock *c, uint64_t ticks, uint64_t cycles)
{
	uint64_t rate = c->sampled ? rate_between(c, ticks, cycles) : 0, known = c->cycles_per_tick_q40;

	if (known && !is_near(rate, known))
		rate = 0;
	if (!known)
		c->first = rate ? c->cycles : cycles;
	c->cycles_per_tick_q40 = rate;
	c->ticks = ticks;
	c->cycles = cycles;
	c->sampled = true;
}

bool rx_clock_known(const struct rx_clock *c)
{
	return c->cycles_per_tick_q40 != 0;
}

/* |difference| <= 2^63 and the rate <= 2^56, so the product has at most 119 bits and its sign. false: decades away. */
static bool convert(const struct rx_clock *c, uint64_t ticks, uint64_t *cycles)
{
	__int128 since = ((__int128)(int64_t)(ticks - c->ticks) * (__int128)c->cycles_per_tick_q40) >> Q;

	*cycles = c->cycles + (uint64_t)since;
	return since >> LONGEST_BIT == 0 || since >> LONGEST_BIT == -1;
}

uint64_t rx_clock_cycles(struct rx_clock *c, uint64_t ticks, uint64_t now)
{
	uint64_t at;

	if (!rx_clock_known(c) || !convert(c, ticks, &at) || before(now, at) || before(at, c->first))
		at = now;
	if (c->told && !before(ticks, c->latest_ticks) && before(at, c->latest_c))
		at = c->latest_c;
	c->told = true;
	c->latest_ticks = ticks;
	c->latest_c = at;
	return at;
}

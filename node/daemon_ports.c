/* daemon_ports.c: live ports as a daemon's input, and what its process tells it and sees of it from other threads. See daemon_core.h. */
#include "node/daemon_core.h"

void daemon_show(uint64_t *shown, uint64_t value)
{
	__atomic_store_n(shown, value, __ATOMIC_RELAXED);
}

int daemon_take_ports(struct daemon *d, const struct live_config *config)
{
	char error[IO_ERROR_BYTES];
	int err = live_open(config, &d->node, d->deploy->plan, &d->live, error);
	if (err)
		snprintf(d->why, DAEMON_WHY_BYTES, "%.*s", DAEMON_WHY_BYTES - 1, error);
	d->node.options.roles |= d->node.n_steerers ? 2 : 0;
	d->allowed = d->options.stop_at;
	return err;
}

void daemon_order(struct daemon *d, enum daemon_order order)
{
	__atomic_store_n(&d->order, (int)order, __ATOMIC_RELEASE);
}

static enum daemon_order ordered(const struct daemon *d)
{
	return (enum daemon_order)__atomic_load_n(&d->order, __ATOMIC_ACQUIRE);
}

struct daemon_view daemon_view(const struct daemon *d)
{
	return (struct daemon_view){.quiet_us = __atomic_load_n(&d->shown.quiet_us, __ATOMIC_RELAXED),
				    .executed = __atomic_load_n(&d->shown.executed, __ATOMIC_RELAXED),
				    .drained = __atomic_load_n(&d->shown.drained, __ATOMIC_ACQUIRE)};
}

uint64_t daemon_self(const struct daemon *d)
{
	return d->node.options.self;
}

const char *daemon_name(const struct daemon *d)
{
	return d->options.name;
}

const struct live *daemon_live(const struct daemon *d)
{
	return d->live;
}

uint32_t daemon_ports_read(struct daemon *d)
{
	bool drains = ordered(d) != DAEMON_GO;
	uint32_t n = drains ? 0 : live_read(d->live, d->allowed - d->read, d->now_us);
	bool idle = live_idle(d->live);
	if (n) {
		probe_read(&d->probe, d->read + 1, d->now_us);
		d->arrived_us = d->now_us;
	}
	d->read += n;
	daemon_show(&d->shown.quiet_us, idle ? d->now_us - d->arrived_us : 0);
	__atomic_store_n(&d->shown.drained, drains && idle, __ATOMIC_RELEASE);
	node_flush(&d->node, d->now_us);
	return n;
}

int daemon_poll_ports(struct daemon *d)
{
	int err = 0;
	d->arrived_us = daemon_clock_us();
	while (!err && ordered(d) != DAEMON_LEAVE)
		err = daemon_turn(d);
	return err;
}

/* test_rx_time_dpdk.c: the time of packets by a DPDK port that stamps them, which no virtual device does: net_null is made to say that it
 * does (rte_eth_dev_info_get), its clock is an eighth of the TSC (rte_eth_read_clock), and a receive callback stamps its packets.
 * Three of DPDK's functions are this file's for it: the program's own go before those of a shared library. */
#define ALLOW_EXPERIMENTAL_API
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf_dyn.h>

#include "node/eal_dpdk.h"
#include "node/io_dpdk.h"

#define ARGS \
	"--no-huge --no-pci --no-shconf --no-telemetry -m 256 --vdev net_null0 --vdev net_null1 --vdev net_null2 --vdev " \
	"net_null3 --vdev net_null4 --vdev net_null5"
#define STEP_US  250u /* between the stamps of a burst's packets: a burst is 16 ms long, the clock is known from 20 ms before */
#define TSC_TICK 8u

static struct {
	bool offers;  /* the port says that it stamps */
	int no_clock; /* what reading its clock fails with */
	bool asked;   /* to stamp */
	int readings; /* of its clock */
} device;

int rte_eth_read_clock(uint16_t port, uint64_t *clock)
{
	(void)port;
	device.readings++;
	/* Beyond 2^63, where a signed number would be negative. */
	*clock = (UINT64_C(15) << 60) + rte_rdtsc() / TSC_TICK;
	return device.no_clock;
}

int rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info)
{
	int (*real)(uint16_t, struct rte_eth_dev_info *);
	int rc;

	*(void **)&real = dlsym(RTLD_NEXT, "rte_eth_dev_info_get");
	rc = real(port, info);
	if (device.offers)
		info->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_TIMESTAMP;
	return rc;
}

int rte_eth_dev_configure(uint16_t port, uint16_t rx, uint16_t tx, const struct rte_eth_conf *asked)
{
	int (*real)(uint16_t, uint16_t, uint16_t, const struct rte_eth_conf *);
	struct rte_eth_conf conf = *asked;

	*(void **)&real = dlsym(RTLD_NEXT, "rte_eth_dev_configure");
	device.asked = conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TIMESTAMP;
	conf.rxmode.offloads &= ~(uint64_t)RTE_ETH_RX_OFFLOAD_TIMESTAMP; /* net_null would refuse it */
	return real(port, rx, tx, &conf);
}

/* The last packet of the burst came now, each other one STEP_US before the next. With arg, only every second one is stamped. */
static uint16_t stamp(uint16_t port, uint16_t queue, struct rte_mbuf **m, uint16_t n, uint16_t room, void *every_second)
{
	uint64_t step = rte_get_tsc_hz() / 1000000 * STEP_US / TSC_TICK, now;
	int offset;
	uint64_t flag;

	(void)queue;
	(void)room;
	rte_eth_read_clock(port, &now);
	assert_int_equal(rte_mbuf_dyn_rx_timestamp_register(&offset, &flag), 0);
	for (uint16_t i = 0; i < n; i++) {
		*RTE_MBUF_DYNFIELD(m[i], offset, rte_mbuf_timestamp_t *) = now - (n - 1u - i) * step;
		m[i]->ol_flags = every_second && i % 2 ? m[i]->ol_flags & ~flag : m[i]->ol_flags | flag;
	}
	return n;
}

static struct io *open_port(const char *name, bool every_second, bool stamps)
{
	struct io_dpdk_config config = {.rx_queues = 1, .tx_queues = 1, .held_pkts = 64, .cores = 1};
	char error[IO_ERROR_BYTES];
	struct io *io;
	uint16_t id;

	assert_int_equal(rte_eth_dev_get_port_by_name(name, &id), 0);
	device.asked = false;
	assert_int_equal(io_dpdk_open(name, &config, &io, error), 0);
	if (stamps)
		assert_non_null(rte_eth_add_rx_callback(id, 0, stamp, every_second ? &device : NULL));
	return io;
}

/* One full burst; the frames are given back. */
static void receive(struct io *io, struct io_burst *b)
{
	assert_int_equal(io_rx(io, 0, b), IO_BURST_PACKETS);
	io_free(io, b->frames, b->n);
}

static uint64_t stamped(struct io *io)
{
	struct io_counters c;

	io_counters(io, &c);
	return c.stamped;
}

static void a_port_that_stamps_tells_when_each_packet_came(void **state)
{
	struct io_burst b, next;
	struct io *io;

	(void)state;
	device.offers = true;
	device.no_clock = 0;
	io = open_port("net_null0", false, true);
	assert_true(device.asked);
	assert_string_equal(io->time, "port");
	receive(io, &b);
	for (uint32_t i = 1; i < b.n; i++)
		assert_true(b.packets[i].time_us > b.packets[i - 1].time_us);
	/* Twice as much or half: what a machine may do to the two readings that teach the clock's frequency. */
	assert_in_range(b.packets[63].time_us - b.packets[0].time_us, 63 * STEP_US / 2, 63 * STEP_US * 2);
	assert_int_equal(stamped(io), IO_BURST_PACKETS);
	receive(io, &next); /* its first packets have stamps before the last ones': held, and counted */
	for (uint32_t i = 0; i < next.n; i++)
		assert_true(next.packets[i].time_us >= b.packets[63].time_us);
	assert_int_equal(io_close(io), 0);
}

static void the_device_clock_is_read_again_once_a_second(void **state)
{
	uint64_t start, us;
	struct io_burst b;
	struct io *io;
	int readings;

	(void)state;
	device.offers = true;
	device.no_clock = 0;
	io = open_port("net_null4", false, false);
	for (start = rte_rdtsc(); rte_rdtsc() - start <= rte_get_tsc_hz();)
		rte_delay_us_sleep(10000);
	readings = device.readings;
	receive(io, &b);
	assert_true(device.readings > readings);
	us = b.packets[0].time_us;
	readings = device.readings;
	receive(io, &b);
	/* Unless a second went by in between. */
	assert_true(device.readings == readings || b.packets[0].time_us - us >= 900000);
	assert_int_equal(io_close(io), 0);
}

static void a_packet_without_a_stamp_has_the_time_of_the_tsc(void **state)
{
	struct io_burst b;
	struct io *io;

	(void)state;
	device.offers = true;
	device.no_clock = 0;
	io = open_port("net_null1", true, true);
	receive(io, &b);
	/* The first was stamped 16 ms ago, the second was found now; none after it is earlier. */
	assert_true(b.packets[1].time_us - b.packets[0].time_us > 63 * STEP_US / 2);
	for (uint32_t i = 2; i < b.n; i++)
		assert_int_equal(b.packets[i].time_us, b.packets[1].time_us);
	assert_int_equal(stamped(io), IO_BURST_PACKETS / 2);
	assert_int_equal(io_close(io), 0);
}

/* A driver without the function is not asked to stamp; of one whose clock fails that is known only then. */
static void stamps_of_a_clock_that_nobody_can_read_are_left_alone(void **state)
{
	static const struct {
		const char *port;
		int error;
		bool asked;
	} cases[] = {{"net_null2", -ENOTSUP, false}, {"net_null5", -EIO, true}};
	struct io_burst b;
	struct io *io;

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		device.offers = true;
		device.no_clock = cases[k].error;
		io = open_port(cases[k].port, false, true);
		assert_int_equal(device.asked, cases[k].asked);
		assert_string_equal(io->time, "tsc");
		receive(io, &b);
		for (uint32_t i = 1; i < b.n; i++)
			assert_int_equal(b.packets[i].time_us, b.packets[0].time_us);
		assert_int_equal(stamped(io), 0);
		assert_int_equal(io_close(io), 0);
	}
}

static void a_port_that_stamps_nothing_is_not_asked_to(void **state)
{
	struct io_burst b;
	struct io *io;

	(void)state;
	device.offers = false;
	device.no_clock = 0;
	io = open_port("net_null3", false, false);
	assert_false(device.asked);
	assert_string_equal(io->time, "tsc");
	receive(io, &b);
	assert_int_equal(b.packets[63].time_us, b.packets[0].time_us);
	assert_int_equal(stamped(io), 0);
	assert_int_equal(io_close(io), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_that_stamps_tells_when_each_packet_came),
		cmocka_unit_test(the_device_clock_is_read_again_once_a_second),
		cmocka_unit_test(a_packet_without_a_stamp_has_the_time_of_the_tsc),
		cmocka_unit_test(stamps_of_a_clock_that_nobody_can_read_are_left_alone),
		cmocka_unit_test(a_port_that_stamps_nothing_is_not_asked_to),
	};
	char error[EAL_ERROR_BYTES];
	int failed;

	if (eal_start("test", ARGS, error)) {
		print_message("SKIP %s\n", error);
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	eal_stop();
	return failed;
}

/* Exported BPF accepts exactly what the machine accepts: generated programs and packets through libpcap's bpf_filter(), with
 * bpf_validate() for each program; some of them attached to a socket, with the kernel as judge.
 *   TEST_SEED=N   the one case with that seed        TEST_ALL=1   many more cases
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/filter.h>
#include <pcap/bpf.h>

#include "test/lib/gen_program.h"
#include "vm/program.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define SHORT_PROGRAMS 1000 /* exportable ones */
#define ALL_PROGRAMS   100000
#define PACKETS        16
#define KERNEL_EVERY   10 /* one program in so many goes to the kernel as well */

static uint64_t running_seed;

#define FAIL(...) \
	do { \
		print_message("repeat: TEST_SEED=%llu build/test/prop/test_bpf\n", (unsigned long long)running_seed); \
		fail_msg(__VA_ARGS__); \
	} while (0)

static bpf_insn_t code[VFM_BPF_MAX_INSNS];
static struct sock_filter kernel_code[VFM_BPF_MAX_INSNS];
_Static_assert(sizeof(code) == sizeof(kernel_code), "one layout");

static bool machine_accepts(const struct program *p, struct shard *s, const struct vfm_packet *packet)
{
	static struct machine m;

	machine_init(&m, p->code, p->len, p->table_index, s, packet, VFM_DEFAULT_INSN_LIMIT);
	machine_run(&m);
	return m.result.error == 0 && m.result.value != 0;
}

/* A pair of datagram sockets; the filter sits on the receiving one. */
static void open_pair(int pair[2])
{
	int bytes = 1 << 20;

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static void attach(int fd, uint32_t n)
{
	struct sock_fprog prog = {.len = (unsigned short)n, .filter = kernel_code};

	memcpy(kernel_code, code, n * sizeof(*code));
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)))
		FAIL("the kernel refuses the filter: %s", strerror(errno));
}

/* Did the datagram pass the filter? A datagram socket drops what the filter refuses, in silence. */
static bool kernel_accepts(const int pair[2], const struct vfm_packet *packet)
{
	static uint8_t buffer[VFM_MAX_PACKET_BYTES];
	ssize_t n;

	assert_int_equal(send(pair[0], packet->data, packet->len, 0), packet->len);
	n = recv(pair[1], buffer, sizeof(buffer), MSG_DONTWAIT);
	if (n < 0)
		assert_int_equal(errno, EAGAIN);
	else
		assert_int_equal(n, packet->len);
	return n >= 0;
}

/* True if the program could be exported. */
static bool check_program(uint64_t seed)
{
	static struct gen_program gen;
	struct gen_options o;
	struct gen_traffic traffic;
	struct vfm_reject reject;
	struct program *p;
	struct shard *shard;
	uint32_t n = VFM_BPF_MAX_INSNS;
	char reason[VFM_BPF_REASON_BYTES];
	int pair[2] = {-1, -1}, rc;

	gen_options_bpf(&o);
	o.min_statements = 1;
	o.max_statements = seed % 16 == 0 ? 60 : seed % 2 ? 24 : 8;
	gen_program(&gen, &o, seed);
	rc = vfm_to_bpf_reason(gen.code, gen.len, code, &n, reason);
	if (rc) {
		assert_int_equal(rc, VFM_ERROR_INVALID_PROGRAM);
		assert_true(reason[0] != '\0');
		return false;
	}
	if (!bpf_validate((struct bpf_insn *)code, (int)n))
		FAIL("bpf_validate refuses it");
	p = program_new(gen.code, gen.len, 0, &reject);
	assert_non_null(p);
	shard = program_shard_new(p, &(struct program_state_options){0});
	assert_non_null(shard);
	if (seed % KERNEL_EVERY == 0) {
		open_pair(pair);
		attach(pair[1], n);
	}
	assert_int_equal(gen_traffic_init(&traffic, seed, p->code, p->len), 0);
	for (unsigned i = 0; i < PACKETS; i++) {
		struct vfm_packet packet;
		bool accept;
		u_int got;

		gen_traffic_next(&traffic, &packet);
		accept = machine_accepts(p, shard, &packet);
		got = bpf_filter((struct bpf_insn *)code, packet.data, packet.len, packet.len);
		if (got != (accept ? 0xffffffff : 0))
			FAIL("packet %u of %u bytes: machine %d, BPF %#x", i, packet.len, accept, got);
		/* The kernel runs no filter on an empty datagram's data in another way, but recv cannot tell its length from none. */
		if (pair[0] >= 0 && packet.len > 0 && kernel_accepts(pair, &packet) != accept)
			FAIL("packet %u of %u bytes: machine %d, the kernel not", i, packet.len, accept);
	}
	if (pair[0] >= 0) {
		close(pair[0]);
		close(pair[1]);
	}
	gen_traffic_fini(&traffic);
	shard_free(shard);
	program_free(p);
	return true;
}

static void exported_programs_accept_what_the_machine_accepts(void **state)
{
	const char *one = getenv("TEST_SEED");
	uint64_t wanted = one ? 1 : getenv("TEST_ALL") ? ALL_PROGRAMS : SHORT_PROGRAMS, exported = 0, tried = 0;

	(void)state;
	for (uint64_t seed = one ? strtoull(one, NULL, 0) : 1; exported < wanted && tried < wanted * 10; seed++) {
		running_seed = seed;
		exported += check_program(seed);
		tried++;
		if (one)
			break;
	}
	print_message("%llu of %llu generated programs exported\n", (unsigned long long)exported, (unsigned long long)tried);
	/* The generator must not hide behind refusals. */
	assert_true(one || exported == wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exported_programs_accept_what_the_machine_accepts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

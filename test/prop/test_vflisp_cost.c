/* test_vflisp_cost.c: the twelve commonest filters, compiled from VFLisp, execute at most as many instructions as written by hand in assembly,
 * on every packet that tells the paths apart. Prints the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "test/lib/packets.h"
#include "vm/asm.h"
#include "vm/step.h"
#include "vm/vflisp.h"
#include "vm/vfm.h"

#define N_PACKETS 11

static const struct {
	const char *name, *vflisp, *assembly;
} filters[] = {
	{"TCP", "(= proto 6)", "LD8 23\nPUSH 6\nJNE n\nPUSH 1\nRET\nn: PUSH 0\nRET"},
	{"IPv4 TCP", "(and (= ethertype 0x0800) (= proto 6))",
	 "LD16 12\nPUSH 0x0800\nJNE n\nLD8 23\nPUSH 6\nJNE n\nPUSH 1\nRET\nn: PUSH 0\nRET"},
	{"TCP or UDP", "(or (= proto 6) (= proto 17))", "LD8 23\nDUP\nPUSH 6\nJEQ y\nPUSH 17\nJEQ y\nPUSH 0\nRET\ny: PUSH 1\nRET"},
	{"not ICMP", "(not (= proto 1))", "LD8 23\nPUSH 1\nJEQ n\nPUSH 1\nRET\nn: PUSH 0\nRET"},
	{"web server", "(and (= ethertype 0x0800) (= proto 6) (or (= dst-port 80) (= dst-port 443)))",
	 "LD16 12\nPUSH 0x0800\nJNE n\nLD8 23\nPUSH 6\nJNE n\nLD16 36\nDUP\nPUSH 80\nJEQ y\nPUSH 443\nJEQ y\n"
	 "n: PUSH 0\nRET\ny: PUSH 1\nRET"},
	{"large UDP", "(and (= proto 17) (> ip-len 1400))",
	 "LD8 23\nPUSH 17\nJNE n\nLD16 16\nPUSH 1400\nJLE n\nPUSH 1\nRET\nn: PUSH 0\nRET"},
	{"SYN", "(and (= proto 6) (= (& tcp-flags 0x12) 0x02))",
	 "LD8 23\nPUSH 6\nJNE n\nLD8 47\nPUSH 0x12\nAND\nPUSH 2\nJNE n\nPUSH 1\nRET\nn: PUSH 0\nRET"},
	{"source network", "(in src-ip 10.0.0.0/8 192.168.0.0/16)",
	 "LD32 26\nDUP\nPUSH 0xff000000\nAND\nPUSH 0x0a000000\nJEQ y\nPUSH 0xffff0000\nAND\nPUSH 0xc0a80000\nJEQ y\n"
	 "PUSH 0\nRET\ny: PUSH 1\nRET"},
	{"rate limit", "(if (= proto 6) (<= (count-by src-ip) 3) 1)",
	 "TABLE 0, 65536, 0\nLD8 23\nPUSH 6\nJNE y\nLD32 26\nPUSH 1\nFLOW_ADD\nPUSH 3\nJLE y\nPUSH 0\nRET\ny: PUSH 1\nRET"},
	{"enterprise policy",
	 "(if (= ethertype 0x0800) (if (= proto 6) (or (= dst-port 80) (= dst-port 443) (= dst-port 22) (= dst-port 25) "
	 "(= dst-port 993)) (if (= proto 17) (or (= dst-port 53) (= dst-port 123)) 0)) 1)",
	 "LD16 12\nPUSH 0x0800\nJNE y\nLD8 23\nDUP\nPUSH 6\nJEQ tcp\nPUSH 17\nJNE n\nLD16 36\nDUP\nPUSH 53\nJEQ y\nPUSH 123\nJEQ "
	 "y\n"
	 "n: PUSH 0\nRET\n"
	 "tcp: LD16 36\nDUP\nPUSH 80\nJEQ y\nDUP\nPUSH 443\nJEQ y\nDUP\nPUSH 22\nJEQ y\nDUP\nPUSH 25\nJEQ y\nPUSH 993\nJEQ y\n"
	 "PUSH 0\nRET\ny: PUSH 1\nRET"},
	{"DNS amplification", "(not (and (= ethertype 0x0800) (= proto 17) (= src-port 53) (> ip-len 512)))",
	 "LD16 12\nPUSH 0x0800\nJNE y\nLD8 23\nPUSH 17\nJNE y\nLD16 34\nPUSH 53\nJNE y\nLD16 16\nPUSH 512\nJGT n\n"
	 "y: PUSH 1\nRET\nn: PUSH 0\nRET"},
	{"guard twice",
	 "(or (and (= ethertype 0x0800) (= proto 6) (= dst-port 22)) (and (= ethertype 0x0800) (= proto 17) (= dst-port 53)))",
	 "LD16 12\nPUSH 0x0800\nJNE n\nLD8 23\nDUP\nPUSH 6\nJEQ tcp\nPUSH 17\nJNE n\nLD16 36\nPUSH 53\nJNE n\nPUSH 1\nRET\n"
	 "tcp: LD16 36\nPUSH 22\nJNE n\nPUSH 1\nRET\nn: PUSH 0\nRET"},
};
#define N_FILTERS (sizeof(filters) / sizeof(filters[0]))

static uint8_t packets[N_PACKETS][PACKET_BYTES];
static uint32_t len[N_PACKETS];

static int make_packets(void **state)
{
	const uint32_t a = PACKET_IP(10, 0, 0, 1), b = PACKET_IP(192, 168, 0, 1), c = PACKET_IP(8, 8, 8, 8);
	uint32_t n = 0;

	(void)state;
	len[n++] = packet_tcp4(packets[0], a, b, 1000, 80, TCP_SYN, 0);
	len[n++] = packet_tcp4(packets[1], b, a, 1000, 443, TCP_ACK, 10);
	len[n++] = packet_tcp4(packets[2], c, a, 1000, 22, TCP_SYN | TCP_ACK, 0);
	len[n++] = packet_tcp4(packets[3], a, b, 1000, 993, TCP_ACK, 0);
	len[n++] = packet_tcp4(packets[4], a, b, 1000, 8080, TCP_ACK, 0);
	len[n++] = packet_udp4(packets[5], c, a, 53, 40000, 600);
	len[n++] = packet_udp4(packets[6], a, c, 40000, 53, 30);
	len[n++] = packet_udp4(packets[7], a, c, 123, 123, 1450);
	len[n++] = packet_icmp4(packets[8], a, b, 40);
	len[n++] = packet_arp(packets[9], a, b);
	len[n++] = packet_cut(packets[10], packet_tcp4(packets[10], a, b, 1, 2, TCP_ACK, 0), 20);
	assert_int_equal(n, N_PACKETS);
	return 0;
}

struct side {
	struct program *program;
	struct shard *shard;
};

static void side_init(struct side *s, uint8_t *code, uint32_t bytes)
{
	const struct program_state_options options = {.idle_s = -1};
	struct vfm_reject reject;

	s->program = program_new(code, bytes, 0, &reject);
	assert_non_null(s->program);
	s->shard = program_shard_new(s->program, &options);
	assert_non_null(s->shard);
	free(code);
}

static void side_fini(struct side *s)
{
	shard_free(s->shard);
	program_free(s->program);
}

static uint64_t run(const struct side *s, uint32_t packet, struct vfm_result *result)
{
	static struct machine m;
	const struct vfm_packet p = {.data = packets[packet], .len = len[packet]};

	machine_init(&m, s->program->code, s->program->len, s->program->table_index, s->shard, &p, VFM_DEFAULT_INSN_LIMIT);
	machine_run(&m);
	*result = m.result;
	return m.insn_count;
}

static void compare(uint32_t i)
{
	static struct diag_list d;
	struct side compiled, written;
	uint64_t by_compiler = 0, by_hand = 0;
	uint8_t *code;
	uint32_t bytes;

	diag_init(&d, NULL, NULL, 0);
	assert_int_equal(vfl_compile(filters[i].vflisp, strlen(filters[i].vflisp), &d, &code, &bytes), 0);
	side_init(&compiled, code, bytes);
	assert_int_equal(asm_assemble(filters[i].assembly, strlen(filters[i].assembly), false, &code, &bytes, &d), 0);
	side_init(&written, code, bytes);
	for (uint32_t k = 0; k < N_PACKETS; k++) {
		struct vfm_result a, b;
		uint64_t compiler_count = run(&compiled, k, &a), hand_count = run(&written, k, &b);

		assert_int_equal(a.error, b.error);
		assert_int_equal(a.value, b.value);
		if (compiler_count > hand_count)
			fail_msg("%s, packet %u: compiled %lu instructions, by hand %lu", filters[i].name, k, compiler_count,
				 hand_count);
		by_compiler += compiler_count;
		by_hand += hand_count;
	}
	print_message("%-20s %10.2f %10.2f %8u %8u\n", filters[i].name, (double)by_compiler / N_PACKETS,
		      (double)by_hand / N_PACKETS, compiled.program->len, written.program->len);
	side_fini(&compiled);
	side_fini(&written);
}

static void compiled_filters_execute_no_more_instructions_than_assembly_by_hand(void **state)
{
	(void)state;
	print_message("%-20s %10s %10s %8s %8s\n", "filter", "compiled", "by hand", "bytes", "by hand");
	for (uint32_t i = 0; i < N_FILTERS; i++)
		compare(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compiled_filters_execute_no_more_instructions_than_assembly_by_hand),
	};

	_Static_assert(N_FILTERS == 12, "the twelve commonest");
	return cmocka_run_group_tests(tests, make_packets, NULL);
}

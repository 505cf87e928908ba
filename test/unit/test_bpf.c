/* BPF export: each refusal with its full text, chosen instructions, far jumps, listings as libpcap prints them, a raw socket on lo. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>

#include "test/lib/packets.h"
#include "vm/asm.h"
#include "vm/bpf_parts.h"
#include "vm/vfm.h"

static bpf_insn_t code[VFM_BPF_MAX_INSNS];
static uint32_t n_code;
static char reason[VFM_BPF_REASON_BYTES];

static int export_bytes(const uint8_t *bytes, uint32_t len)
{
	n_code = VFM_BPF_MAX_INSNS;
	return vfm_to_bpf_reason(bytes, len, code, &n_code, reason);
}

static int export(const char *source)
{
	struct diag_list d;
	uint8_t *bytes;
	uint32_t len;
	int rc;

	diag_init(&d, "test", source, (uint32_t)strlen(source));
	if (asm_assemble(source, strlen(source), false, &bytes, &len, &d))
		fail_msg("%s", d.items[0].text);
	rc = export_bytes(bytes, len);
	free(bytes);
	return rc;
}

static void refused(const char *source, const char *why)
{
	assert_int_equal(export(source), VFM_ERROR_INVALID_PROGRAM);
	assert_string_equal(reason, why);
}

static void each_refusal_says_why(void **state)
{
	(void)state;
	refused("PUSH 1\nFLOW_LOAD\nRET", "at 9 FLOW_LOAD: BPF has no tables");
	refused("PUSH 1\nPUSH 2\nFLOW_STORE\nRET 1", "at 18 FLOW_STORE: BPF has no tables");
	refused("PUSH 1\nPUSH 2\nFLOW_ADD\nRET", "at 18 FLOW_ADD: BPF has no tables");
	refused("PUSH 1\nFLOW_DEL\nRET 1", "at 9 FLOW_DEL: BPF has no tables");
	refused("HASH5\nPUSH 7\nMOD\nRET", "at 0 HASH5: BPF has no 64-bit hash");
	refused("HASH5S\nPUSH 7\nMOD\nRET", "at 0 HASH5S: BPF has no 64-bit hash");
	refused("LD8 0\nLD8 1\nMIX\nPUSH 3\nAND\nRET", "at 6 MIX: BPF has no 64-bit hash");
	refused("NOW\nPUSH 1\nAND\nRET", "at 0 NOW: BPF has no clock");
	refused("INPUT\nRET", "at 0 INPUT: BPF does not know our port numbers");
	refused("HDR 1\nRET", "at 0 HDR needs the packet parser, which BPF does not have: use fixed offsets");
	refused("LD8 0\nl: PUSH 1\nSUB\nDUP\nPUSH 0\nJNE l\nRET", "the code at 3 is in a loop, and BPF jumps forward only");
	refused("LD64 0\nRET", "at 0 the value of LD64 may be as large as 18446744073709551615, and BPF has 32 bits: keep it below "
			       "2^32 (AND, SHR, a smaller load)");
	refused("LD32 0\nLD8 4\nADD\nPUSH 5\nJGT y\nRET 0\ny: RET 1",
		"at 6 the value of ADD may be as large as 4294967550, and BPF has 32 bits: keep it below 2^32 (AND, SHR, a smaller "
		"load)");
	refused("LD8 0\nPUSH 9\nSUB\nPUSH 2\nDIV\nRET",
		"at 12 the value of SUB may be as large as 18446744073709551615, and BPF has 32 "
		"bits: keep it below 2^32 (AND, SHR, a smaller load)");
	refused("LD8 0\nPUSH 9\nSUB\nLDX8\nRET",
		"at 12 the value of SUB may be as large as 18446744073709551615, and BPF has 32 bits: "
		"keep it below 2^32 (AND, SHR, a smaller load)");
}

static void code_the_verifier_refuses_is_refused_in_its_words(void **state)
{
	static const uint8_t ret[] = {VFM_OP_RET};

	(void)state;
	assert_int_equal(export_bytes(ret, 1), VFM_ERROR_VERIFICATION_FAILED);
	assert_non_null(strstr(reason, "RET needs 1 value"));
}

static void too_many_live_values_are_refused(void **state)
{
	char source[2048] = "";

	(void)state;
	/* Seventeen computed values, then their sum. */
	for (int i = 0; i < 17; i++)
		sprintf(source + strlen(source), "LD8 %d\nPUSH 3\nAND\n", i);
	for (int i = 0; i < 16; i++)
		strcat(source, "ADD\n");
	strcat(source, "RET");
	assert_int_equal(export(source), VFM_SUCCESS); /* the last one stays in the accumulator */
	sprintf(source, "LD8 99\nPUSH 3\nAND\n");
	for (int i = 0; i < 17; i++)
		sprintf(source + strlen(source), "LD8 %d\nPUSH 3\nAND\n", i);
	for (int i = 0; i < 17; i++)
		strcat(source, "ADD\n");
	strcat(source, "RET");
	refused(source,
		"at 220 more than 16 values are live at once, and BPF has 16 scratch slots: use values sooner after they are "
		"computed");
}

static void append(uint8_t *bytes, uint32_t *len, uint8_t op, uint64_t operand, unsigned operand_bytes)
{
	bytes[(*len)++] = op;
	for (unsigned i = 0; i < operand_bytes; i++)
		bytes[(*len)++] = (uint8_t)(operand >> 8 * i);
}

/* `tests` times: drop unless byte 0 differs from the number. Each may jump to the common end. */
static uint32_t chain(uint8_t *bytes, unsigned tests)
{
	uint32_t len = 0;

	for (unsigned i = 0; i < tests; i++) {
		append(bytes, &len, VFM_OP_LD32, 0, 2);
		append(bytes, &len, VFM_OP_PUSH, i, 8);
		append(bytes, &len, VFM_OP_JEQ, (tests - 1 - i) * 15 + 10, 2);
	}
	append(bytes, &len, VFM_OP_PUSH, 1, 8);
	append(bytes, &len, VFM_OP_RET, 0, 0);
	append(bytes, &len, VFM_OP_PUSH, 0, 8);
	append(bytes, &len, VFM_OP_RET, 0, 0);
	return len;
}

static void jumps_beyond_255_instructions_go_through_ja(void **state)
{
	static uint8_t bytes[VFM_MAX_PROGRAM_BYTES];
	uint8_t packet[4] = {0};
	unsigned far = 0;

	(void)state;
	assert_int_equal(export_bytes(bytes, chain(bytes, 1900)), VFM_SUCCESS);
	assert_true(bpf_validate((struct bpf_insn *)code, (int)n_code));
	for (uint32_t i = 0; i < n_code; i++)
		far += code[i].code == (BPF_JMP | BPF_JA);
	assert_true(far > 1000);
	for (unsigned v = 0; v < 2000; v++) {
		packet[2] = (uint8_t)(v >> 8);
		packet[3] = (uint8_t)v;
		assert_int_equal(bpf_filter((struct bpf_insn *)code, packet, 4, 4), v < 1900 ? 0 : 0xffffffff);
	}
}

static void programs_above_the_kernels_length_are_refused(void **state)
{
	static uint8_t bytes[VFM_MAX_PROGRAM_BYTES];

	(void)state;
	assert_int_equal(export_bytes(bytes, chain(bytes, 2182)), VFM_ERROR_INVALID_PROGRAM);
	assert_string_equal(reason, "it needs more than 4096 BPF instructions, which the kernel does not take");
}

static void programs_that_may_pass_the_instruction_limit_are_refused(void **state)
{
	static uint8_t bytes[VFM_MAX_PROGRAM_BYTES];
	uint32_t len = 0;

	(void)state;
	append(bytes, &len, VFM_OP_LD8, 0, 2);
	while (len < 10010) {
		append(bytes, &len, VFM_OP_DUP, 0, 0);
		append(bytes, &len, VFM_OP_POP, 0, 0);
	}
	append(bytes, &len, VFM_OP_RET, 0, 0);
	assert_int_equal(export_bytes(bytes, len), VFM_ERROR_INVALID_PROGRAM);
	assert_string_equal(reason, "a packet may take 10010 instructions, above the limit of 10000, which BPF does not count");
}

static void too_little_room_is_told_with_what_is_needed(void **state)
{
	static const uint8_t bytes[] = {VFM_OP_LD8, 0, 0, VFM_OP_RET};
	uint32_t n = 2;

	(void)state;
	assert_int_equal(vfm_to_bpf(bytes, sizeof(bytes), code, &n), VFM_ERROR_LIMIT);
	assert_int_equal(n, 4);
	assert_int_equal(vfm_to_bpf(bytes, sizeof(bytes), code, &n), VFM_SUCCESS);
	assert_int_equal(n, 4);
}

static void expect(const char *source, const char *listing)
{
	char text[4096] = "", line[96];

	if (export(source))
		fail_msg("%s", reason);
	for (uint32_t i = 0; i < n_code; i++) {
		bpf_text(&code[i], i, line);
		sprintf(text + strlen(text), "%s\n", line + 6);
	}
	assert_string_equal(text, listing);
}

static void common_filters_are_as_short_as_by_hand(void **state)
{
	(void)state;
	expect("LD16 12\nPUSH 0x800\nJNE n\nLD8 23\nPUSH 6\nJNE n\nRET 1\nn: RET 0", "ldh      [12]\n"
										     "jeq      #0x800           jt 2\tjf 5\n"
										     "ldb      [23]\n"
										     "jeq      #0x6             jt 4\tjf 5\n"
										     "ret      #-1\n"
										     "ret      #0\n");
	/* A bit test is one instruction. */
	expect("LD8 47\nPUSH 2\nAND\nPUSH 0\nJEQ n\nRET 1\nn: RET 0", "ldb      [47]\n"
								      "jset     #0x2             jt 2\tjf 3\n"
								      "ret      #-1\n"
								      "ret      #0\n");
	/* A load whose result is dropped still guards. */
	expect("LD8 60\nPOP\nRET 1", "ldb      [60]\n"
				     "ret      #-1\n");
	/* The header length makes the offset. */
	expect("LD8 14\nPUSH 15\nAND\nPUSH 4\nMUL\nPUSH 16\nADD\nLDX16\nPUSH 53\nJEQ y\nRET 0\ny: RET 1",
	       "ldb      [14]\n"
	       "and      #0xf\n"
	       "mul      #4\n"
	       "add      #16\n"
	       "tax      \n"
	       "ldh      [x + 0]\n"
	       "jeq      #0x35            jt 8\tjf 7\n"
	       "ret      #0\n"
	       "ret      #-1\n");
}

static void wide_values_that_are_masked_in_time_are_exported(void **state)
{
	(void)state;
	assert_int_equal(export("LD32 26\nLD32 30\nADD\nPUSH 0xff\nAND\nRET"), VFM_SUCCESS);
	assert_int_equal(export("LD64 26\nPUSH 0xffff\nAND\nRET"), VFM_SUCCESS);
	assert_int_equal(export("LD8 0\nNOT\nPUSH 1\nAND\nRET"), VFM_SUCCESS);
	assert_int_equal(export("LD32 0\nPUSH 0x100000000\nOR\nRET"), VFM_SUCCESS); /* never 0 */
}

/* Every instruction that any of these programs makes is printed as libpcap prints it. */
static void listings_equal_libpcaps(void **state)
{
	static const char *const sources[] = {
		"LD8 0\nLD16 1\nADD\nLD32 2\nSUB\nPUSH 0xffff\nAND\nPUSH 3\nMUL\nRET",
		"LD8 0\nPUSH 1\nADD\nLD8 1\nPUSH 2\nOR\nDIV\nPUSH 3\nMOD\nPUSH 4\nDIV\nRET",
		"LD8 0\nPUSH 1\nXOR\nPUSH 2\nOR\nPUSH 3\nSHL\nPUSH 2\nSHR\nRET",
		"LD8 0\nLD8 1\nPUSH 7\nAND\nSHL\nLD8 2\nXOR\nPUSH 255\nAND\nRET",
		"LD8 0\nNEG\nPUSH 255\nAND\nLDX8\nPKTLEN\nJGT y\nRET 0\ny: RET 1",
		"PKTLEN\nPUSH 2\nDIV\nLD8 0\nPUSH 2\nMUL\nJGE y\nLD8 1\nPUSH 4\nAND\nPUSH 0\nJNE y\nRET 0\ny: RET 1",
		"LD32 0\nLDX16\nRET",
	};

	(void)state;
	for (unsigned s = 0; s < sizeof(sources) / sizeof(*sources); s++) {
		if (export(sources[s]))
			fail_msg("%s", reason);
		for (uint32_t i = 0; i < n_code; i++) {
			char text[96];

			if (code[i].code == (BPF_LDX | BPF_W | BPF_LEN))
				continue; /* bpf_image() does not know it, though bpf_filter() does */
			bpf_text(&code[i], i, text);
			assert_string_equal(text, bpf_image((struct bpf_insn *)&code[i], (int)i));
		}
	}
}

/* ---- small traps, run by libpcap's machine and taken by the kernel ---- */

static void attach_to_a_socket(void)
{
	struct sock_fprog prog = {.len = (unsigned short)n_code, .filter = (struct sock_filter *)code};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	if (setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)))
		fail_msg("the kernel refuses the filter: %s", strerror(errno));
	close(pair[0]);
	close(pair[1]);
}

/* Accepts a packet of these bytes? */
static bool accepts(const char *source, const char *packet, uint32_t len)
{
	if (export(source))
		fail_msg("%s", reason);
	attach_to_a_socket();
	return bpf_filter((struct bpf_insn *)code, (const u_char *)packet, len, len) != 0;
}

static void a_load_that_is_shifted_out_still_guards(void **state)
{
	(void)state;
	assert_true(accepts("LD8 3\nPUSH 40\nSHR\nLD8 0\nOR\nRET", "\1\1\1\1", 4));
	assert_false(accepts("LD8 3\nPUSH 40\nSHR\nLD8 0\nOR\nRET", "\1\1\1", 3));
	assert_false(accepts("LD8 3\nLD8 1\nSHR\nLD8 0\nOR\nRET", "\1\55\1", 3));
}

static void shifts_by_32_and_more_give_nothing(void **state)
{
	(void)state;
	assert_false(accepts("LD8 0\nPUSH 32\nSHR\nLD8 1\nOR\nRET", "\377\0", 2));
	assert_false(accepts("LD8 0\nLD8 1\nSHR\nRET", "\377\40", 2));
	assert_true(accepts("LD8 0\nLD8 1\nSHR\nRET", "\377\100", 2)); /* 64 is 0 */
	assert_false(accepts("LD8 0\nLD8 1\nSHL\nPUSH 0xff\nAND\nRET", "\377\40", 2));
}

static void arguments_are_read_before_parameters_overwrite_them(void **state)
{
	const char *source = "LD8 2\nPUSH 0\nJEQ c\nLD8 0\nPUSH 3\nAND\nLD8 1\nPUSH 3\nAND\nJMP j\nc: LD8 3\nLD8 4\n"
			     "j: JGT y\nRET 0\ny: RET 1";

	(void)state;
	assert_true(accepts(source, "\2\1\1\0\0", 5));
	assert_false(accepts(source, "\1\2\1\0\0", 5));
	assert_true(accepts(source, "\0\0\0\2\1", 5));
	assert_false(accepts(source, "\0\0\0\1\2", 5));
}

static void the_kernel_takes_a_return_before_a_block_with_slots(void **state)
{
	const char *source =
		"LD16 4\nDUP\nPUSH 4\nJEQ j\nDUP\nPUSH 1\nJEQ a\nPOP\nPKTLEN\nJMP j\na: RET 1\nj: PUSH 6\nJEQ y\nRET 0\ny: RET 1";

	(void)state;
	assert_true(accepts(source, "\0\0\0\0\0\1", 6));
	assert_true(accepts(source, "\0\0\0\0\0\2", 6));
	assert_false(accepts(source, "\0\0\0\0\0\4", 6));
}

/* ---- a packet socket on lo, in a network namespace of its own ---- */

#define NO_NAMESPACE 77

static int lo_up(int fd)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	return ioctl(fd, SIOCSIFFLAGS, &r);
}

static int packet_socket(const struct sock_fprog *filter)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex("lo")};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (fd < 0 || (filter && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, sizeof(*filter))) || lo_up(fd) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return -1;
	return fd;
}

/* Frames that come in on fd, outgoing copies not counted, as bits of their last byte. */
static unsigned received(int fd)
{
	uint8_t frame[256];
	struct sockaddr_ll from;
	socklen_t from_len = sizeof(from);
	unsigned bits = 0;
	ssize_t n;

	while ((n = recvfrom(fd, frame, sizeof(frame), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len)) > 0)
		if (from.sll_pkttype != PACKET_OUTGOING)
			bits |= 1u << frame[n - 1];
	return bits;
}

/* In the child: sends ten frames with last bytes 0 to 9 through lo, where `code` lets some pass. Exit: which, or NO_NAMESPACE. */
static int send_through_lo(unsigned *passed)
{
	static struct sock_filter filter[64];
	struct sock_fprog prog = {.len = (unsigned short)n_code, .filter = filter};
	uint8_t frame[64] = {0};
	int in, out;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) && unshare(CLONE_NEWNET))
		return NO_NAMESPACE;
	memcpy(filter, code, n_code * sizeof(*code));
	in = packet_socket(&prog);
	out = packet_socket(NULL);
	if (in < 0 || out < 0)
		return errno == EPERM ? NO_NAMESPACE : 1;
	frame[12] = 0x88;
	frame[13] = 0xb5; /* the ethertype for experiments */
	for (uint8_t i = 0; i < 10; i++) {
		frame[sizeof(frame) - 1] = i;
		if (send(out, frame, sizeof(frame), 0) != sizeof(frame))
			return 1;
	}
	*passed = received(in);
	return 0;
}

static void a_packet_socket_on_lo_passes_what_the_program_accepts(void **state)
{
	unsigned passed = 0;
	int status, fds[2];
	pid_t child;

	(void)state;
	/* Even last bytes above 2, of the experiment's ethertype. */
	assert_int_equal(export("LD16 12\nPUSH 0x88b5\nJNE n\nLD8 63\nPUSH 1\nAND\nPUSH 0\nJNE n\nLD8 63\nPUSH 2\nJGT y\nn: RET "
				"0\ny: RET 1"),
			 VFM_SUCCESS);
	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		int rc = send_through_lo(&passed);

		if (write(fds[1], &passed, sizeof(passed)) != sizeof(passed))
			rc = 1;
		_exit(rc);
	}
	assert_int_equal(read(fds[0], &passed, sizeof(passed)), sizeof(passed));
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_NAMESPACE) {
		print_message("SKIP no right to make a network namespace or a packet socket\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(passed, 1u << 4 | 1u << 6 | 1u << 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_refusal_says_why),
		cmocka_unit_test(code_the_verifier_refuses_is_refused_in_its_words),
		cmocka_unit_test(too_many_live_values_are_refused),
		cmocka_unit_test(jumps_beyond_255_instructions_go_through_ja),
		cmocka_unit_test(programs_above_the_kernels_length_are_refused),
		cmocka_unit_test(programs_that_may_pass_the_instruction_limit_are_refused),
		cmocka_unit_test(too_little_room_is_told_with_what_is_needed),
		cmocka_unit_test(common_filters_are_as_short_as_by_hand),
		cmocka_unit_test(wide_values_that_are_masked_in_time_are_exported),
		cmocka_unit_test(listings_equal_libpcaps),
		cmocka_unit_test(a_load_that_is_shifted_out_still_guards),
		cmocka_unit_test(shifts_by_32_and_more_give_nothing),
		cmocka_unit_test(arguments_are_read_before_parameters_overwrite_them),
		cmocka_unit_test(the_kernel_takes_a_return_before_a_block_with_slots),
		cmocka_unit_test(a_packet_socket_on_lo_passes_what_the_program_accepts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

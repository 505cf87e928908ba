/* The C snippets of the VFM programming manual: as written where they compile (only braces and names of the test around them), and
 * corrected. What each must do is said in docs/manual-errata.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "test/lib/packets.h"
#include "vm/asm.h"
#include "vm/file.h"
#include "vm/vfm.h"

#define CLIENT PACKET_IP(10, 0, 0, 1)
#define SERVER PACKET_IP(192, 0, 2, 7)

/* Bytecode of an example; the caller frees. */
static uint8_t *assemble_example(const char *path, uint32_t *len)
{
	struct diag_list *d = malloc(sizeof(*d));
	uint8_t *code = NULL;
	uint32_t bytes;
	char *source;

	assert_int_equal(file_read(path, ASM_MAX_SOURCE_BYTES, &source, &bytes), 0);
	diag_init(d, path, source, bytes);
	assert_int_equal(asm_assemble(source, bytes, false, &code, len, d), 0);
	free(source);
	free(d);
	return code;
}

static vfm_state_t *load_example(const char *path)
{
	uint32_t len;
	uint8_t *code = assemble_example(path, &len);
	vfm_state_t *vm = vfm_create();

	assert_non_null(vm);
	assert_int_equal(vfm_load_program(vm, code, len), VFM_SUCCESS);
	free(code);
	return vm;
}

/* "vfm_execute", the example's switch. */
static const char *as_the_switch_has_it(vfm_state_t *vm, const uint8_t *packet_data, uint16_t packet_len)
{
	const char *did = "nothing";
	int result = vfm_execute(vm, packet_data, packet_len);

	switch (result) {
	case 1:
		did = "accept";
		break;
	case 0:
		did = "drop";
		break;
	default:
		if (result < 0)
			did = "error";
	}
	return did;
}

static void the_switch_of_vfm_execute_overlooks_classes_above_one(void **state)
{
	struct packet_tcp tcp = {.sport = 1000, .dport = 80, .flags = TCP_ACK};
	uint8_t packet[PACKET_BYTES];
	vfm_state_t *vm = load_example("examples/manual/getting-started.vfm");
	uint16_t len = (uint16_t)packet_tcp4(packet, CLIENT, SERVER, 1000, 80, TCP_ACK, 0);

	(void)state;
	assert_string_equal(as_the_switch_has_it(vm, packet, len), "accept");
	assert_string_equal(as_the_switch_has_it(vm, packet, 13), "error"); /* byte 13 is not there */
	assert_string_equal(as_the_switch_has_it(vm, packet, (uint16_t)packet_arp(packet, CLIENT, SERVER)), "drop");
	vfm_destroy(vm);
	vm = load_example("examples/manual/http-logger.vfm");
	len = (uint16_t)packet_tcp4_with(packet, CLIENT, SERVER, &tcp, (const uint8_t *)"GET /", 5);
	assert_string_equal(as_the_switch_has_it(vm, packet, len), "nothing"); /* 2: accept and log */
	assert_true(vfm_execute(vm, packet, len) > 0);                         /* corrected */
	vfm_destroy(vm);
}

/* "vfm_verify", and "Always Verify Programs". */
static int verify_before_execution(const uint8_t *program, uint32_t len)
{
	if (vfm_verify(program, len) != VFM_SUCCESS)
		return -1;
	return 0;
}

static void vfm_verify_accepts_and_refuses(void **state)
{
	static const uint8_t good[] = {4, 1, 0, 0, 0, 0, 0, 0, 0, 22}, bad[] = {8, 22};

	(void)state;
	assert_int_equal(verify_before_execution(good, sizeof(good)), 0);
	assert_int_equal(verify_before_execution(bad, sizeof(bad)), -1);
}

/* "Handle All Error Cases". */
static const char *said;

static void log_error(const char *text)
{
	said = text;
}

static void handle_all_error_cases(int result)
{
	if (result < 0) {
		switch (result) {
		case VFM_ERROR_BOUNDS:
			log_error("Packet too small");
			break;
		case VFM_ERROR_LIMIT:
			log_error("Execution limit exceeded");
			break;
		}
	}
}

static void errors_of_execution_can_be_told_apart(void **state)
{
	uint8_t packet[PACKET_BYTES] = {0};
	vfm_state_t *vm = load_example("examples/manual/jmp.vfm");

	(void)state;
	/* 1, 2, 4, ... 128: six loops and more than ten instructions. */
	vm->hot.insn_limit = 10;
	handle_all_error_cases(vfm_execute(vm, packet, 60));
	assert_string_equal(said, "Execution limit exceeded");
	vfm_destroy(vm);
	vm = load_example("examples/manual/getting-started.vfm");
	handle_all_error_cases(vfm_execute(vm, packet, 0));
	assert_string_equal(said, "Packet too small");
	vfm_destroy(vm);
}

/* "Error Handling Example": the manual's function under another name. */
static const char *manual_error_string(int error)
{
	switch (error) {
	case VFM_SUCCESS:
		return "Success";
	case VFM_ERROR_NO_MEMORY:
		return "Out of memory";
	case VFM_ERROR_INVALID_PROGRAM:
		return "Invalid program";
	case VFM_ERROR_INVALID_OPCODE:
		return "Invalid opcode";
	case VFM_ERROR_STACK_OVERFLOW:
		return "Stack overflow";
	case VFM_ERROR_STACK_UNDERFLOW:
		return "Stack underflow";
	case VFM_ERROR_BOUNDS:
		return "Packet bounds exceeded";
	case VFM_ERROR_DIVISION_BY_ZERO:
		return "Division by zero";
	case VFM_ERROR_LIMIT:
		return "Instruction limit exceeded";
	case VFM_ERROR_VERIFICATION_FAILED:
		return "Verification failed";
	default:
		return "Unknown error";
	}
}

static void the_librarys_error_strings_are_the_manuals(void **state)
{
	(void)state;
	for (int error = -12; error <= 2; error++)
		assert_string_equal(vfm_error_string(error), manual_error_string(error));
}

/* "Benchmarking", as written. */
static void benchmark_filter(vfm_state_t *vm, uint8_t *packets[], uint16_t lengths[], int count)
{
	struct timespec start, end;

	clock_gettime(CLOCK_MONOTONIC, &start);

	for (int i = 0; i < count; i++) {
		vfm_execute(vm, packets[i], lengths[i]);
	}

	clock_gettime(CLOCK_MONOTONIC, &end);

	double elapsed = (end.tv_sec - start.tv_sec) + (end.tv_nsec - start.tv_nsec) / 1e9;
	double pps = count / elapsed;

	printf("Processed %d packets in %.3f seconds (%.1f Mpps)\n", count, elapsed, pps / 1e6);
}

static void the_benchmark_runs_every_packet(void **state)
{
	uint8_t packet[PACKET_BYTES], *packets[3] = {packet, packet, packet};
	uint16_t len = (uint16_t)packet_tcp4(packet, CLIENT, SERVER, 1000, 80, TCP_SYN, 0), lengths[3] = {len, len, len};
	vfm_state_t *vm = load_example("examples/manual/syn-flood.vfm");
	uint64_t count = 0;

	(void)state;
	assert_int_equal(vfm_flow_table_init(vm, 16), VFM_SUCCESS);
	benchmark_filter(vm, packets, lengths, 3);
	assert_int_equal(vfm_flow_get(vm, 0, CLIENT, &count), 1);
	assert_int_equal(count, 3);
	vfm_destroy(vm);
}

/* "Single-Step Execution": the loop of debug_execute, which the manual leaves when the result is not LIMIT; here after 1000 rounds. */
static void debug_execute_as_written_never_ends(void **state)
{
	uint8_t packet[PACKET_BYTES];
	uint16_t len = (uint16_t)packet_tcp4(packet, CLIENT, SERVER, 1000, 80, TCP_SYN, 0);
	vfm_state_t *vm = load_example("examples/manual/getting-started.vfm");
	uint32_t step = 0;

	(void)state;
	vm->hot.insn_limit = 1;
	while (step < 1000 && vfm_execute(vm, packet, len) == VFM_ERROR_LIMIT) {
		step++;
		vm->hot.insn_count = 0;
		vm->hot.insn_limit = 1;
	}
	assert_int_equal(step, 1000);
	vfm_destroy(vm);
}

/* Corrected: prints what the manual's would, into trace. */
static int debug_execute(vfm_state_t *vm, const uint8_t *packet, uint16_t len, FILE *trace)
{
	int more = vfm_step_begin(vm, packet, len);

	if (more < 0)
		return more;
	while ((more = vfm_step(vm)) == 1) {
		fprintf(trace, "PC=%u, Stack depth=%u:", vm->pc, vm->sp);
		for (uint32_t i = 0; i < vm->sp; i++)
			fprintf(trace, " %llu", (unsigned long long)vm->stack[i]);
		fputc('\n', trace);
	}
	return more < 0 ? more : (int)vfm_result(vm);
}

static void debug_execute_corrected_shows_each_step(void **state)
{
	uint8_t packet[PACKET_BYTES];
	uint16_t len = (uint16_t)packet_tcp4(packet, CLIENT, SERVER, 1000, 80, TCP_SYN, 0);
	vfm_state_t *vm = load_example("examples/manual/getting-started.vfm");
	char *text = NULL;
	size_t bytes;
	FILE *trace = open_memstream(&text, &bytes);

	(void)state;
	assert_int_equal(debug_execute(vm, packet, len, trace), 1);
	assert_int_equal(debug_execute(vm, packet, 13, trace), VFM_ERROR_BOUNDS);
	fclose(trace);
	/* LD16 3 bytes, PUSH 9, JEQ 3, PUSH 9, RET: 2048 twice, then accept at 25, where PUSH 1 ends at 34. The cut packet shows no step. */
	assert_string_equal(text, "PC=3, Stack depth=1: 2048\n"
				  "PC=12, Stack depth=2: 2048 2048\n"
				  "PC=25, Stack depth=0:\n"
				  "PC=34, Stack depth=1: 1\n");
	free(text);
	vfm_destroy(vm);
}

/* "C Integration", corrected: verdicts above 1 accept, and what was made is released on every way out. */
static int c_integration(const char *program, const uint8_t *packet, uint16_t packet_len, int *accepted)
{
	vfm_state_t *vm = vfm_create();
	uint8_t *bytecode = NULL;
	uint32_t bytecode_len;
	char error_msg[256];
	int status = 1;

	if (!vm)
		return 1;
	if (vfl_compile_string(program, &bytecode, &bytecode_len, error_msg, sizeof(error_msg)) < 0)
		goto out;
	if (vfm_load_program(vm, bytecode, bytecode_len) != VFM_SUCCESS)
		goto out;
	*accepted = vfm_execute(vm, packet, packet_len) > 0;
	status = 0;
out:
	free(bytecode);
	vfm_destroy(vm);
	return status;
}

static void the_c_integration_compiles_loads_and_decides(void **state)
{
	uint8_t packet[PACKET_BYTES];
	uint16_t len = (uint16_t)packet_tcp4(packet, CLIENT, SERVER, 1000, 80, TCP_SYN, 0);
	int accepted = -1;

	(void)state;
	assert_int_equal(c_integration("(= proto 6)", packet, len, &accepted), 0);
	assert_int_equal(accepted, 1);
	len = (uint16_t)packet_udp4(packet, CLIENT, SERVER, 1000, 80, 0);
	assert_int_equal(c_integration("(= proto 6)", packet, len, &accepted), 0);
	assert_int_equal(accepted, 0);
	assert_int_equal(c_integration("(= proto", packet, len, &accepted), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_switch_of_vfm_execute_overlooks_classes_above_one),
		cmocka_unit_test(vfm_verify_accepts_and_refuses),
		cmocka_unit_test(errors_of_execution_can_be_told_apart),
		cmocka_unit_test(the_librarys_error_strings_are_the_manuals),
		cmocka_unit_test(the_benchmark_runs_every_packet),
		cmocka_unit_test(debug_execute_as_written_never_ends),
		cmocka_unit_test(debug_execute_corrected_shows_each_step),
		cmocka_unit_test(the_c_integration_compiles_loads_and_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

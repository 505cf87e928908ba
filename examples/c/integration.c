/* integration.c: the C program of the VFM programming manual ("C Integration"), whole: it compiles a VFLisp filter, loads it, and runs it on
 * two packets made here. The manual's `result == 1` would drop packets that a filter accepts and logs (2): a verdict above 0 accepts.
 *
 *     cc -o integration integration.c $(pkg-config --cflags --libs vfm)
 *     ./integration '(= proto 6)'
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vfm.h>

/* An IPv4 frame with the given protocol number. Stands for a packet from the network. */
static uint16_t receive_packet(uint8_t packet[60], uint8_t protocol)
{
	memset(packet, 0, 60);
	packet[12] = 0x08; /* EtherType 0x0800 */
	packet[14] = 0x45; /* version 4, header of 20 bytes */
	packet[17] = 46;   /* total length */
	packet[23] = protocol;
	return 60;
}

static void process_packet(vfm_state_t *vm, uint8_t protocol)
{
	uint8_t packet[60];
	uint16_t packet_len = receive_packet(packet, protocol);
	int result = vfm_execute(vm, packet, packet_len);

	if (result > 0)
		printf("protocol %u: accepted (%d)\n", protocol, result);
	else if (result == 0)
		printf("protocol %u: dropped\n", protocol);
	else
		printf("protocol %u: dropped, %s\n", protocol, vfm_error_string(result));
}

int main(int argc, char **argv)
{
	const char *filter = argc > 1 ? argv[1] : "(= proto 6)";
	vfm_state_t *vm = vfm_create();
	uint8_t *bytecode = NULL;
	uint32_t bytecode_len;
	char error_msg[256];
	int status = EXIT_FAILURE;

	if (!vm) {
		fprintf(stderr, "Failed to create VM\n");
		return EXIT_FAILURE;
	}
	if (vfl_compile_string(filter, &bytecode, &bytecode_len, error_msg, sizeof(error_msg)) < 0) {
		fprintf(stderr, "Compilation failed: %s\n", error_msg);
		goto out;
	}
	if (vfm_load_program(vm, bytecode, bytecode_len) != VFM_SUCCESS) {
		fprintf(stderr, "Failed to load program: %s\n", vfm_last_reason(vm));
		goto out;
	}
	process_packet(vm, 6);
	process_packet(vm, 17);
	status = EXIT_SUCCESS;
out:
	free(bytecode);
	vfm_destroy(vm);
	return status;
}

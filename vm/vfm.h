/* vfm.h: the C API of the VFM programming manual ("API Reference"), with what it leaves open settled. */
#ifndef VFM_H
#define VFM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VFM_VERSION "1.0.0"

#define VFM_SUCCESS                   0
#define VFM_ERROR_NO_MEMORY           -1
#define VFM_ERROR_INVALID_PROGRAM     -2
#define VFM_ERROR_INVALID_OPCODE      -3
#define VFM_ERROR_STACK_OVERFLOW      -4
#define VFM_ERROR_STACK_UNDERFLOW     -5
#define VFM_ERROR_BOUNDS              -6
#define VFM_ERROR_DIVISION_BY_ZERO    -7
#define VFM_ERROR_LIMIT               -8
#define VFM_ERROR_VERIFICATION_FAILED -9

/* One instance: a loaded program and one shard of state. Not thread-safe; use one per thread. */
typedef struct vfm_state {
	struct {
		uint32_t insn_limit; /* instructions per packet; default 10,000 */
		uint32_t insn_count; /* instructions executed by vfm_step so far */
	} hot;
	uint32_t pc;         /* after vfm_step: address of the next instruction */
	uint32_t sp;         /* after vfm_step: values on the stack */
	uint64_t stack[256]; /* after vfm_step: stack[0] is the bottom */
	struct vfm_private *priv;
} vfm_state_t;

/* NULL if memory runs out. */
vfm_state_t *vfm_create(void);
void vfm_destroy(vfm_state_t *vm);

/* Verifies and copies the program. The tables it declares are made (empty). On failure the program loaded before, if any, stays.
 * VFM_ERROR_INVALID_PROGRAM (empty or above 65,536 bytes), VFM_ERROR_INVALID_OPCODE, VFM_ERROR_VERIFICATION_FAILED
 * (stack faults too) or VFM_ERROR_NO_MEMORY; vfm_last_reason() has it in words. */
int vfm_load_program(vfm_state_t *vm, const uint8_t *program, uint32_t len);
/* Bytecode from a file; VFM_ERROR_INVALID_PROGRAM if it cannot be read. */
int vfm_load_program_file(vfm_state_t *vm, const char *filename);
/* Why the last call failed; never NULL; valid until the next call on vm. */
const char *vfm_last_reason(const vfm_state_t *vm);

/* From now on programs run as machine code where this CPU and system allow, else by the interpreter as before; the results are the
 * same. Before or after loading. VFM_ERROR_NO_MEMORY. */
int vfm_enable_jit(vfm_state_t *vm);

/* Runs the program on one packet. Returns what RET returned if it fits a positive int, INT_MAX if larger, or a negative error code:
 * VFM_ERROR_BOUNDS, VFM_ERROR_DIVISION_BY_ZERO, VFM_ERROR_LIMIT, VFM_ERROR_INVALID_PROGRAM (nothing loaded). What the packet
 * stored before its error stays stored. */
int vfm_execute(vfm_state_t *vm, const uint8_t *packet, uint16_t packet_len);
/* All 64 bits of what the last vfm_execute (or finished vfm_step) returned; 0 after an error. */
uint64_t vfm_result(const vfm_state_t *vm);
/* Packet time for the next packets, microseconds since 1970; never goes back (an earlier time is taken as the latest). 0 until set. */
void vfm_set_time(vfm_state_t *vm, uint64_t us);
/* Number of the port that the next packets come in by (INPUT); 0 until set. */
void vfm_set_input(vfm_state_t *vm, uint32_t input);

/* Single step. vfm_step_begin puts the packet in place (it must stay valid), each vfm_step executes one instruction and returns 1
 * while there is more to do, 0 at the end (vfm_result), or a negative error code. Works on verified programs only. */
int vfm_step_begin(vfm_state_t *vm, const uint8_t *packet, uint16_t packet_len);
int vfm_step(vfm_state_t *vm);

/* Table 0 with room for size entries, empty; replaces it if it is there. VFM_ERROR_NO_MEMORY. */
int vfm_flow_table_init(vfm_state_t *vm, uint32_t size);
/* Empties every table, preloaded entries included. */
void vfm_flow_table_clear(vfm_state_t *vm);
/* Fills a configuration table: the entry is preloaded (never evicted, never expires). VFM_ERROR_INVALID_PROGRAM if the program has
 * no such table; VFM_ERROR_NO_MEMORY. */
int vfm_flow_set(vfm_state_t *vm, uint8_t table, uint64_t key, uint64_t value);
/* 1 and *value if the key is live, 0 if absent. */
int vfm_flow_get(const vfm_state_t *vm, uint8_t table, uint64_t key, uint64_t *value);

int vfm_verify(const uint8_t *program, uint32_t len);

/* Compiles VFLisp (docs/vflisp.md) into *bytecode (heap, the caller frees), *len bytes that vfm_load_program accepts. On failure a
 * negative error code (VFM_ERROR_INVALID_PROGRAM, VFM_ERROR_NO_MEMORY), *bytecode NULL, and error_msg, cut to error_len bytes with
 * its NUL, says "LINE:COLUMN: what is wrong and what to do" about the first error; error_msg may be NULL if error_len is 0. */
int vfl_compile_string(const char *source, uint8_t **bytecode, uint32_t *len, char *error_msg, size_t error_len);

/* "Success", "Packet bounds exceeded", ...: the manual's words. */
const char *vfm_error_string(int error);
/* The short name used in verdict files: "BOUNDS", "DIVISION_BY_ZERO", "LIMIT", ... */
const char *vfm_error_name(int error);

/* Classic BPF, for the kernel's SO_ATTACH_FILTER and for libpcap (docs/bpf.md). The result accepts (0xFFFFFFFF) exactly the packets
 * for which the machine returns a value that is not 0, and drops (0) where it returns 0 or ends in an error. What classic BPF cannot
 * do is refused with the reason, never approximated. */
#define VFM_BPF_MAX_INSNS    4096 /* the kernel's limit */
#define VFM_BPF_REASON_BYTES 256

/* One instruction; the layout of the kernel's struct sock_filter and libpcap's struct bpf_insn. */
typedef struct bpf_insn_t {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
} bpf_insn_t;

/* Compiles VFM bytecode. *bpf_len: before, how many instructions bpf_prog has room for; after, how many there are (VFM_BPF_MAX_INSNS
 * is always enough). VFM_SUCCESS; VFM_ERROR_INVALID_PROGRAM: cannot be expressed; VFM_ERROR_LIMIT: no room, *bpf_len says
 * how much is needed; VFM_ERROR_NO_MEMORY; or why the verifier refused it. */
int vfm_to_bpf(const uint8_t *vfm_prog, uint32_t vfm_len, bpf_insn_t *bpf_prog, uint32_t *bpf_len);
/* The same; reason (may be NULL) gets one sentence that says why it failed, "" on success. */
int vfm_to_bpf_reason(const uint8_t *vfm_prog, uint32_t vfm_len, bpf_insn_t *bpf_prog, uint32_t *bpf_len,
		      char reason[VFM_BPF_REASON_BYTES]);

#ifdef __cplusplus
}
#endif

#endif

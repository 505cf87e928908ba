/* peer_kernel.c: the kernel's eBPF JIT. See engines.h.
 *
 * BPF_PROG_TEST_RUN runs a program on one packet as often as one likes, which a branch predictor learns by heart. So the packets lie in
 * a map, and the program runs the filter on each in the order of the hot set, by bpf_loop(), which the verifier inlines:
 *     map value: order, uint32_t[n]; verdicts, uint8_t[n]; slots
 *     program:   bpf_loop(n, each); each(i): verdicts[i] = filter(slots[order[i]])
 * A callback must be named in the program's type information (BTF), which is therefore written here by hand.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test/bench/vm/ebpf.h"
#include "test/bench/vm/engines.h"
#include "test/bench/vm/sets.h"

#define LOG_BYTES    65536
#define ORDER_BYTES  sizeof(uint32_t)
#define PACKET_BYTES 64 /* of the packet that a run wants and the program does not look at */

struct kernel {
	int values, table, program, baseline; /* -1: not open */
	uint32_t n, n_slots;
	uint8_t *memory; /* the map's value */
	size_t bytes;
};

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* A file descriptor, another result, or -errno. */
static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	long rc = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return rc < 0 ? -errno : (int)rc;
}

static int map_new(enum bpf_map_type type, uint32_t key_bytes, uint32_t value_bytes, uint32_t entries, uint32_t flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = type;
	attr.key_size = key_bytes;
	attr.value_size = value_bytes;
	attr.max_entries = entries;
	attr.map_flags = flags;
	return sys_bpf(BPF_MAP_CREATE, &attr);
}

/* The types of `int entry(void)` and `static int each(int, int)`. */
enum { TYPE_INT = 1, TYPE_ENTRY_PROTO, TYPE_ENTRY, TYPE_EACH_PROTO, TYPE_EACH };

static int load_types(void)
{
	static const char names[] = "\0int\0entry\0each";
	static const struct {
		struct btf_header header;
		struct btf_type number;
		uint32_t encoding;
		struct btf_type entry_proto, entry, each_proto;
		struct btf_param params[2];
		struct btf_type each;
		char names[sizeof(names)];
	} types = {
		.header = {.magic = BTF_MAGIC,
			   .version = BTF_VERSION,
			   .hdr_len = sizeof(struct btf_header),
			   .type_len = 5 * sizeof(struct btf_type) + sizeof(uint32_t) + 2 * sizeof(struct btf_param),
			   .str_off = 5 * sizeof(struct btf_type) + sizeof(uint32_t) + 2 * sizeof(struct btf_param),
			   .str_len = sizeof(names)},
		.number = {.name_off = 1, .info = BTF_KIND_INT << 24, .size = 4},
		.encoding = BTF_INT_SIGNED << 24 | 32,
		.entry_proto = {.info = BTF_KIND_FUNC_PROTO << 24, .type = TYPE_INT},
		.entry = {.name_off = 5, .info = BTF_KIND_FUNC << 24 | BTF_FUNC_GLOBAL, .type = TYPE_ENTRY_PROTO},
		.each_proto = {.info = BTF_KIND_FUNC_PROTO << 24 | 2, .type = TYPE_INT},
		.params = {{.name_off = 1, .type = TYPE_INT}, {.name_off = 1, .type = TYPE_INT}},
		.each = {.name_off = 11, .info = BTF_KIND_FUNC << 24 | BTF_FUNC_STATIC, .type = TYPE_EACH_PROTO},
		.names = "\0int\0entry\0each",
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.btf = address(&types);
	attr.btf_size = sizeof(types);
	return sys_bpf(BPF_BTF_LOAD, &attr);
}

/* The kernel compiled it, and does not interpret. */
static int is_jited(int fd)
{
	struct bpf_prog_info info;
	union bpf_attr attr;
	int rc;

	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = address(&info);
	rc = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	return rc < 0 ? rc : info.jited_prog_len ? 0 : -ENOEXEC;
}

/* Loads e, whose second function begins at op `each`. */
static int load_program(const struct ebpf *e, uint32_t each)
{
	struct bpf_func_info functions[2] = {{0, TYPE_ENTRY}, {each, TYPE_EACH}};
	static char log[LOG_BYTES];
	union bpf_attr attr;
	int types = load_types(), fd;

	if (types < 0)
		return types;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = address(e->ops);
	attr.insn_cnt = e->n;
	attr.license = address("GPL");
	attr.prog_btf_fd = (uint32_t)types;
	attr.func_info = address(functions);
	attr.func_info_cnt = 2;
	attr.func_info_rec_size = sizeof(*functions);
	fd = sys_bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0 && fd != -EPERM) {
		attr.log_buf = address(log);
		attr.log_size = sizeof(log);
		attr.log_level = 1;
		fd = sys_bpf(BPF_PROG_LOAD, &attr);
		if (fd < 0)
			fprintf(stderr, "bench_vm: the kernel's verifier: %s\n", log);
	}
	close(types);
	if (fd >= 0 && is_jited(fd)) {
		close(fd);
		return -ENOEXEC;
	}
	return fd;
}

static size_t verdicts_at(const struct kernel *k)
{
	return k->n * ORDER_BYTES;
}

static size_t slots_at(const struct kernel *k)
{
	return verdicts_at(k) + k->n;
}

/* dst = address of the map's value + at */
static void load_value(struct ebpf *e, const struct kernel *k, int dst, size_t at)
{
	ebpf_load64(e, dst, BPF_PSEUDO_MAP_VALUE, (uint32_t)k->values | (uint64_t)at << 32);
}

/* entry(), and of each() what comes before the filter. Returns where each() begins. */
static uint32_t begin(struct ebpf *e, const struct kernel *k)
{
	uint32_t each = 8;

	ebpf_init(e);
	ebpf_op(e, E_ALU64 | E_MOV, 1, 0, 0, (int32_t)k->n);
	ebpf_load64(e, 2, BPF_PSEUDO_FUNC, each - 2);
	ebpf_op(e, E_ALU64 | E_MOV, 3, 0, 0, 0);
	ebpf_op(e, E_ALU64 | E_MOV, 4, 0, 0, 0);
	ebpf_op(e, E_CALL, 0, 0, 0, BPF_FUNC_loop);
	ebpf_op(e, E_ALU64 | E_MOV, 0, 0, 0, 1);
	ebpf_op(e, E_EXIT, 0, 0, 0, 0);
	ebpf_op(e, E_ALU64 | E_MOV | E_X, E_INDEX, 1, 0, 0);
	ebpf_op(e, E_ALU64 | E_AND, E_INDEX, 0, 0, (int32_t)(k->n - 1));
	ebpf_op(e, E_ALU64 | E_MOV | E_X, 2, E_INDEX, 0, 0);
	ebpf_op(e, E_ALU64 | E_LSH, 2, 0, 0, 2);
	load_value(e, k, 1, 0);
	ebpf_op(e, E_ALU64 | E_ADD | E_X, 1, 2, 0, 0);
	ebpf_op(e, E_LDX_W, 2, 1, 0, 0);
	ebpf_op(e, E_ALU64 | E_AND, 2, 0, 0, (int32_t)(k->n_slots - 1));
	ebpf_op(e, E_ALU64 | E_LSH, 2, 0, 0, __builtin_ctz(BENCH_SLOT_BYTES));
	load_value(e, k, E_PACKET, slots_at(k) + BENCH_LEAD_BYTES - BENCH_LEN_BYTES);
	ebpf_op(e, E_ALU64 | E_ADD | E_X, E_PACKET, 2, 0, 0);
	ebpf_op(e, E_LDX_W, E_LEN, E_PACKET, 0, 0);
	return each;
}

/* What comes after the filter; then the program is loaded. */
static int end(struct ebpf *e, const struct kernel *k, uint32_t each)
{
	int err;

	ebpf_bind(e, E_END);
	load_value(e, k, 1, verdicts_at(k));
	ebpf_op(e, E_ALU64 | E_ADD | E_X, 1, E_INDEX, 0, 0);
	ebpf_op(e, E_STX_B, 1, 0, 0, 0);
	ebpf_op(e, E_ALU64 | E_MOV, 0, 0, 0, 0);
	ebpf_op(e, E_EXIT, 0, 0, 0, 0);
	err = ebpf_finish(e);
	return err ? err : load_program(e, each);
}

static void run(const struct kernel *k, int program)
{
	uint8_t packet[PACKET_BYTES] = {0};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)program;
	attr.test.data_in = address(packet);
	attr.test.data_size_in = sizeof(packet);
	attr.test.repeat = 1;
	if (sys_bpf(BPF_PROG_TEST_RUN, &attr))
		memset(k->memory + verdicts_at(k), 0xff, k->n); /* no verdict: the comparison will say so */
}

static void kernel_prepare(void *self, const struct bench_pass *pass)
{
	const struct kernel *k = self;

	memcpy(k->memory, pass->slots, pass->n * ORDER_BYTES);
	for (uint32_t i = 0; i < pass->n; i++) {
		uint8_t *slot = k->memory + slots_at(k) + (size_t)pass->slots[i] * BENCH_SLOT_BYTES + BENCH_LEAD_BYTES;

		bench_slot_write(slot, pass->packets[i].data, pass->packets[i].len);
	}
}

static void kernel_pass(void *self, const struct bench_pass *pass)
{
	const struct kernel *k = self;

	run(k, k->program);
	memcpy(pass->verdicts, k->memory + verdicts_at(k), pass->n);
}

static void kernel_baseline(void *self, const struct bench_pass *pass)
{
	const struct kernel *k = self;

	run(k, k->baseline);
	memcpy(pass->verdicts, k->memory + verdicts_at(k), pass->n);
}

static void kernel_close(void *self)
{
	struct kernel *k = self;
	int *fds[] = {&k->program, &k->baseline, &k->values, &k->table};

	if (k->memory)
		munmap(k->memory, k->bytes);
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	free(k);
}

static struct kernel *kernel_new(uint32_t n_slots, uint32_t n)
{
	struct kernel *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	*k = (struct kernel){.values = -1, .table = -1, .program = -1, .baseline = -1, .n = n, .n_slots = n_slots};
	k->bytes = slots_at(k) + (size_t)n_slots * BENCH_SLOT_BYTES;
	k->bytes = (k->bytes + 4095) & ~(size_t)4095;
	return k;
}

static int kernel_open(struct kernel *k)
{
	static struct ebpf e;
	uint32_t each;

	k->values = map_new(BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), (uint32_t)k->bytes, 1, BPF_F_MMAPABLE);
	if (k->values < 0)
		return k->values;
	k->memory = mmap(NULL, k->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, k->values, 0);
	if (k->memory == MAP_FAILED) {
		k->memory = NULL;
		return -errno;
	}
	each = begin(&e, k);
	ebpf_op(&e, E_ALU64 | E_MOV, 0, 0, 0, 1);
	k->baseline = end(&e, k, each);
	return k->baseline < 0 ? k->baseline : 0;
}

/* Appends the engine, or says once why there is none. 0 in both cases. */
static int add(struct bench_engines *list, struct kernel *k, int err)
{
	static bool said;
	struct bench_engine *engine;

	if (err) {
		if (!said)
			printf("kernel jit: not available: %s (errno %d)%s\n", strerror(-err), -err,
			       err == -EPERM ? ": needs root or CAP_BPF" : "");
		said = true;
		kernel_close(k);
		return 0;
	}
	engine = bench_engines_add(list, BENCH_KERNEL, k);
	engine->prepare = kernel_prepare;
	engine->pass = kernel_pass;
	engine->baseline = kernel_baseline;
	engine->close = kernel_close;
	engine->hot_only = true;
	return 0;
}

int bench_kernel_add(struct bench_engines *list, const bpf_insn_t *code, uint32_t len, uint32_t n_slots, uint32_t n)
{
	static struct ebpf e;
	struct kernel *k = kernel_new(n_slots, n);
	uint32_t each;
	int err;

	if (!k)
		return -1;
	err = kernel_open(k);
	if (err)
		return add(list, k, err);
	each = begin(&e, k);
	err = ebpf_from_classic(&e, code, len);
	if (!err)
		k->program = end(&e, k, each);
	return add(list, k, err ? err : k->program < 0 ? k->program : 0);
}

enum { MISS = E_FREE_LABEL, COUNTED };

/* The key on the stack, a look-up, one more; a new key begins with 1. */
static void count(struct ebpf *e, void *arg)
{
	const struct kernel *k = arg;

	ebpf_op(e, E_STX_DW, E_FRAME, E_KEY, -8, 0);
	ebpf_load64(e, 1, BPF_PSEUDO_MAP_FD, (uint32_t)k->table);
	ebpf_op(e, E_ALU64 | E_MOV | E_X, 2, E_FRAME, 0, 0);
	ebpf_op(e, E_ALU64 | E_ADD, 2, 0, 0, -8);
	ebpf_op(e, E_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
	ebpf_jump(e, E_JEQ, 0, 0, MISS);
	ebpf_op(e, E_LDX_DW, 1, 0, 0, 0);
	ebpf_op(e, E_ALU64 | E_ADD, 1, 0, 0, 1);
	ebpf_op(e, E_STX_DW, 0, 1, 0, 0);
	ebpf_op(e, E_ALU64 | E_MOV | E_X, 0, 1, 0, 0);
	ebpf_jump(e, E_JA, 0, 0, COUNTED);
	ebpf_bind(e, MISS);
	ebpf_op(e, E_ALU64 | E_MOV, 1, 0, 0, 1);
	ebpf_op(e, E_STX_DW, E_FRAME, 1, -16, 0);
	ebpf_load64(e, 1, BPF_PSEUDO_MAP_FD, (uint32_t)k->table);
	ebpf_op(e, E_ALU64 | E_MOV | E_X, 2, E_FRAME, 0, 0);
	ebpf_op(e, E_ALU64 | E_ADD, 2, 0, 0, -8);
	ebpf_op(e, E_ALU64 | E_MOV | E_X, 3, E_FRAME, 0, 0);
	ebpf_op(e, E_ALU64 | E_ADD, 3, 0, 0, -16);
	ebpf_op(e, E_ALU64 | E_MOV, 4, 0, 0, 0);
	ebpf_op(e, E_CALL, 0, 0, 0, BPF_FUNC_map_update_elem);
	ebpf_op(e, E_ALU64 | E_MOV, 0, 0, 0, 1);
	ebpf_bind(e, COUNTED);
}

int bench_kernel_add_count(struct bench_engines *list, enum bench_flow_filter which, uint32_t entries, uint32_t n_slots, uint32_t n)
{
	static struct ebpf e;
	struct kernel *k = kernel_new(n_slots, n);
	uint32_t each;
	int err;

	if (!k)
		return -1;
	err = kernel_open(k);
	if (err)
		return add(list, k, err);
	k->table = map_new(BPF_MAP_TYPE_HASH, sizeof(uint64_t), sizeof(uint64_t), entries, 0);
	if (k->table < 0)
		return add(list, k, k->table);
	each = begin(&e, k);
	ebpf_count(&e, which, count, k);
	k->program = end(&e, k, each);
	return add(list, k, k->program < 0 ? k->program : 0);
}

int bench_kernel_insert(const struct bench_engine *engine, const uint64_t *keys, const uint64_t *counts, uint32_t n)
{
	const struct kernel *k = engine->self;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.batch.keys = address(keys);
	attr.batch.values = address(counts);
	attr.batch.count = n;
	attr.batch.map_fd = (uint32_t)k->table;
	return sys_bpf(BPF_MAP_UPDATE_BATCH, &attr);
}

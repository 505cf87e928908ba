/* jit_cross.c: compiled code against the plain machine, without any library, so that it can be built for another CPU and run by an
 * emulator (test/prop/jit_arm64.sh does).
 *
 *   jit_cross generated FIRST N      programs and packets of seeds FIRST .. FIRST + N - 1, one at a time and in bursts
 *   jit_cross filter PACKETS FILE... each FILE of bytecode on that many packets of generated traffic
 *   jit_cross captures MOST LIST FILE...
 *                                    the same on the first MOST packets of each pcap file named in LIST
 *   jit_cross long                   a program whose machine code is longer than a conditional branch reaches
 *
 * Verdicts, errors and the tables at the end must be the same. Exit 0: they are; 1: they are not, and how to repeat it; 2: usage.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "jit/parts.h"
#include "test/lib/gen_program.h"
#include "test/lib/traffic.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define SINGLE_PACKETS 8
#define MAX_BURST      67
#define FILTER_BURST   32

struct census {
	uint64_t programs, loops, packets, accepted, bounds, division, limit, entries;
};

/* A program for both, each with two shards of its own. */
struct pair {
	struct program *program;
	struct jit *jit;
	struct shard *twin[2], *mine[2];
	uint32_t insn_limit;
};

/* Bytes with nothing readable before and after them. */
struct edge {
	uint8_t *at;
	size_t bytes;
};

static struct census census;
static struct edge edge;
static struct machine machine;
static char repeat[256];

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nrepeat: %s\n", repeat);
	exit(1);
}

static void need(bool fine, const char *what)
{
	if (!fine)
		fail("%s: %s", what, strerror(errno));
}

static void open_edge(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *at;

	edge.bytes = (VFM_MAX_PACKET_BYTES / page + 1) * page;
	at = mmap(NULL, 3 * edge.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(at != MAP_FAILED, "mmap");
	edge.at = at + edge.bytes;
	need(mprotect(edge.at, edge.bytes, PROT_READ | PROT_WRITE) == 0, "mprotect");
}

static void put_at_edge(struct vfm_packet *p, bool at_end)
{
	uint8_t *to = at_end ? edge.at + edge.bytes - p->len : edge.at;

	memcpy(to, p->data, p->len);
	p->data = to;
}

static void open_pair(struct pair *p, const uint8_t *code, uint32_t len, uint32_t insn_limit, uint32_t capacity, uint64_t seed)
{
	struct program_state_options state = {.default_capacity = capacity, .idle_s = -1, .seed = seed};
	struct vfm_reject reject;

	p->insn_limit = insn_limit;
	p->program = program_new(code, len, 0, &reject);
	if (!p->program)
		fail("the program is rejected");
	for (unsigned i = 0; i < 2; i++) {
		p->twin[i] = program_shard_new(p->program, &state);
		p->mine[i] = program_shard_new(p->program, &state);
		need(p->twin[i] && p->mine[i], "shards");
	}
	need(jit_new(p->program, JIT_SCALAR, insn_limit, &p->jit) == 0, "jit_new");
	if (seed % 2)
		jit_hint_from(p->jit, 0);
	if (jit_tier(p->jit) != JIT_SCALAR)
		fail("not compiled");
	census.programs++;
}

static void close_pair(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		if (shard_digest(p->twin[i]) != shard_digest(p->mine[i]))
			fail("the tables differ at the end");
		for (uint32_t t = 0; t < p->mine[i]->n_tables; t++)
			census.entries += p->mine[i]->tables[t] ? table_held(p->mine[i]->tables[t]) : 0;
		shard_free(p->twin[i]);
		shard_free(p->mine[i]);
	}
	jit_free(p->jit);
	program_free(p->program);
}

/* What the machine makes of the packet is what the compiled code got. */
static void check(struct pair *p, struct shard *twin, const struct vfm_packet *packet, const struct vfm_result *got)
{
	machine_init(&machine, p->program->code, p->program->len, p->program->table_index, twin, packet, p->insn_limit);
	machine_run(&machine);
	if (machine.result.error != got->error || machine.result.value != got->value)
		fail("packet %llu, %u bytes: the machine gives %llu, error %d; compiled code %llu, error %d",
		     (unsigned long long)census.packets, packet->len, (unsigned long long)machine.result.value,
		     machine.result.error, (unsigned long long)got->value, got->error);
	census.packets++;
	census.accepted += got->error == VFM_SUCCESS && got->value;
	census.bounds += got->error == VFM_ERROR_BOUNDS;
	census.division += got->error == VFM_ERROR_DIVISION_BY_ZERO;
	census.limit += got->error == VFM_ERROR_LIMIT;
}

static void run_singles(struct pair *p, struct gen_traffic *traffic)
{
	for (unsigned i = 0; i < SINGLE_PACKETS; i++) {
		struct vfm_packet packet;
		struct vfm_result got;

		gen_traffic_next(traffic, &packet);
		put_at_edge(&packet, i % 2);
		jit_run(p->jit, p->mine[0], &packet, &got);
		check(p, p->twin[0], &packet, &got);
	}
}

static void run_burst(struct pair *p, struct gen_traffic *traffic, uint32_t n)
{
	static struct vfm_packet packets[MAX_BURST];
	static struct vfm_result results[MAX_BURST];
	static struct shard *shards[MAX_BURST];

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *copy;

		gen_traffic_next(traffic, &packets[i]);
		copy = malloc(packets[i].len + 1ul);
		need(copy != NULL, "memory");
		memcpy(copy, packets[i].data, packets[i].len);
		packets[i].data = copy;
		shards[i] = p->mine[i % 3 == 1];
	}
	jit_burst(p->jit, n, packets, shards, results);
	for (uint32_t i = 0; i < n; i++) {
		check(p, p->twin[i % 3 == 1], &packets[i], &results[i]);
		free((void *)(uintptr_t)packets[i].data);
	}
}

static void run_generated(uint64_t seed)
{
	static const uint32_t limits[] = {40, 1000, VFM_DEFAULT_INSN_LIMIT};
	static struct gen_program program;
	struct gen_options options;
	struct gen_traffic traffic;
	struct pair p;

	snprintf(repeat, sizeof(repeat), "build/arm64/jit_cross generated %llu 1 (with qemu-aarch64)", (unsigned long long)seed);
	if (seed % 4 == 3)
		gen_options_stateless(&options);
	else
		gen_options_all(&options);
	options.min_statements = 2;
	options.max_statements = seed % 16 == 0 ? 120 : 24;
	gen_program(&program, &options, seed);
	census.loops += program.has_loop;
	open_pair(&p, program.code, program.len, limits[seed % 3], 6, seed);
	need(gen_traffic_init(&traffic, seed, program.code, program.len) == 0, "traffic");
	run_singles(&p, &traffic);
	if (seed % 8 == 5)
		run_burst(&p, &traffic, 1 + (uint32_t)(seed % MAX_BURST));
	gen_traffic_fini(&traffic);
	close_pair(&p);
}

static uint32_t read_program(const char *path, uint8_t *code)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	need(f != NULL, path);
	n = fread(code, 1, VFM_MAX_PROGRAM_BYTES, f);
	fclose(f);
	return (uint32_t)n;
}

/* ---- filters on packets that are all in memory ---- */

struct packets {
	uint32_t n, room;
	struct vfm_packet *at;
};

static void add_packet(struct packets *p, const uint8_t *bytes, uint32_t len, uint64_t time_us)
{
	uint8_t *copy = malloc(len + 1ul);

	if (p->n == p->room) {
		p->room = p->room ? 2 * p->room : 1024;
		p->at = realloc(p->at, p->room * sizeof(*p->at));
	}
	need(p->at && copy, "memory");
	memcpy(copy, bytes, len);
	p->at[p->n++] = (struct vfm_packet){.data = copy, .len = len, .time_us = time_us};
}

static void generate_packets(struct packets *p, uint64_t n)
{
	uint8_t bytes[PACKET_BYTES];
	struct traffic_config config;
	struct traffic *traffic;
	uint64_t time_us;
	uint32_t len;

	traffic_config_init(&config);
	config.packets = n;
	traffic = traffic_new(&config);
	need(traffic != NULL, "traffic");
	while (traffic_next(traffic, bytes, &len, &time_us))
		add_packet(p, bytes, len, time_us);
	traffic_free(traffic);
}

static uint32_t field(const uint8_t *at, bool swapped)
{
	uint32_t v;

	memcpy(&v, at, 4);
	return swapped ? __builtin_bswap32(v) : v;
}

/* The first packets of a capture, at most `most`; none if it is no pcap file, or not of Ethernet. pcapng is left to other tests. */
static void read_capture(struct packets *p, const char *path, uint64_t most)
{
	static uint8_t bytes[VFM_MAX_PACKET_BYTES];
	uint8_t head[24], record[16];
	FILE *f = fopen(path, "rb");
	bool swapped, is_ns;

	need(f != NULL, path);
	if (fread(head, sizeof(head), 1, f) != 1)
		goto out;
	swapped = field(head, true) == 0xa1b2c3d4 || field(head, true) == 0xa1b23c4d;
	is_ns = field(head, swapped) == 0xa1b23c4d;
	if ((field(head, swapped) != 0xa1b2c3d4 && !is_ns) || field(head + 20, swapped) != 1)
		goto out;
	for (uint64_t i = 0; i < most && fread(record, sizeof(record), 1, f) == 1; i++) {
		uint32_t len = field(record + 8, swapped), fraction = field(record + 4, swapped);

		if (len > sizeof(bytes) || (len && fread(bytes, len, 1, f) != 1))
			break;
		add_packet(p, bytes, len, field(record, swapped) * 1000000ull + (is_ns ? fraction / 1000 : fraction));
	}
out:
	fclose(f);
}

/* Those of every file named in a list, a path a line. */
static void read_captures(struct packets *p, const char *list, uint64_t most_each)
{
	char path[4096];
	FILE *f = fopen(list, "r");

	need(f != NULL, list);
	while (fgets(path, sizeof(path), f)) {
		path[strcspn(path, "\n")] = 0;
		read_capture(p, path, most_each);
	}
	fclose(f);
	if (!p->n)
		fail("no packet in any capture of %s", list);
}

/* Alternately a burst and one by one. */
static void run_filter(const char *path, const struct packets *packets)
{
	static uint8_t code[VFM_MAX_PROGRAM_BYTES];
	struct vfm_result results[FILTER_BURST];
	struct shard *shards[FILTER_BURST];
	struct pair p;

	open_pair(&p, code, read_program(path, code), VFM_DEFAULT_INSN_LIMIT, 64, 7);
	for (uint32_t first = 0; first < packets->n; first += FILTER_BURST) {
		const struct vfm_packet *at = packets->at + first;
		uint32_t n = packets->n - first < FILTER_BURST ? packets->n - first : FILTER_BURST;
		bool burst = first / FILTER_BURST % 2;

		for (uint32_t i = 0; i < n; i++)
			shards[i] = p.mine[at[i].len % 2];
		if (burst)
			jit_burst(p.jit, n, at, shards, results);
		for (uint32_t i = 0; i < n; i++) {
			if (!burst)
				jit_run(p.jit, shards[i], &at[i], &results[i]);
			check(&p, p.twin[at[i].len % 2], &at[i], &results[i]);
		}
	}
	close_pair(&p);
}

static void run_filters(int n, char **paths, struct packets *packets, const char *how)
{
	for (int i = 0; i < n; i++) {
		snprintf(repeat, sizeof(repeat), "build/arm64/jit_cross %s %s (with qemu-aarch64)", how, paths[i]);
		run_filter(paths[i], packets);
	}
	for (uint32_t i = 0; i < packets->n; i++)
		free((void *)(uintptr_t)packets->at[i].data);
	free(packets->at);
}

static uint32_t append(uint8_t *code, uint32_t n, const void *bytes, uint32_t len)
{
	memcpy(code + n, bytes, len);
	return n + len;
}

static uint32_t append_push(uint8_t *code, uint32_t n, uint8_t value)
{
	const uint8_t push[9] = {VFM_OP_PUSH, value};

	return append(code, n, push, sizeof(push));
}

/* table[5] = 9; table[9] = 5; k = packet[0]; if (k == 9) skip 32,767 of what follows; k = table[k], 60,000 times; return k + packet[20].
 * So 9 gives 5, an odd number of steps away from what it would give without the jump. */
static uint32_t long_program(uint8_t *code)
{
	static const uint8_t load[] = {VFM_OP_LD8, 0, 0, VFM_OP_DUP}, jump[] = {VFM_OP_JEQ, 0xff, 0x7f},
			     tail[] = {VFM_OP_LD8, 20, 0, VFM_OP_ADD, VFM_OP_RET}, store = VFM_OP_FLOW_STORE;
	uint32_t n = append(code, append_push(code, append_push(code, 0, 5), 9), &store, 1);

	n = append(code, append_push(code, append_push(code, n, 9), 5), &store, 1);
	n = append(code, append_push(code, append(code, n, load, sizeof(load)), 9), jump, sizeof(jump));
	memset(code + n, VFM_OP_FLOW_LOAD, 60000);
	return append(code, n + 60000, tail, sizeof(tail));
}

static void run_long(void)
{
	static uint8_t code[VFM_MAX_PROGRAM_BYTES], bytes[64];
	size_t code_bytes;
	struct pair p;

	snprintf(repeat, sizeof(repeat), "build/arm64/jit_cross long (with qemu-aarch64)");
	open_pair(&p, code, long_program(code), 100000, 64, 7);
	if (!jit_code(p.jit, &code_bytes) || code_bytes < 2u << 20)
		fail("only %zu bytes of machine code: not long", code_bytes);
	for (uint32_t len = 0; len < 22; len += 7) {
		for (bytes[0] = 4; bytes[0] < 10; bytes[0]++) {
			struct vfm_packet packet = {.data = bytes, .len = len};
			struct vfm_result got;

			jit_run(p.jit, p.mine[0], &packet, &got);
			check(&p, p.twin[0], &packet, &got);
		}
	}
	if (census.accepted != 2)
		fail("%llu packets accepted instead of 2", (unsigned long long)census.accepted);
	close_pair(&p);
}

int main(int argc, char **argv)
{
	open_edge();
	if (argc == 4 && strcmp(argv[1], "generated") == 0) {
		uint64_t first = strtoull(argv[2], NULL, 0), n = strtoull(argv[3], NULL, 0);

		for (uint64_t i = 0; i < n; i++)
			run_generated(first + i);
		/* A suite that meets none of something tests nothing of it. */
		if (n >= 1000 && (census.loops < n / 20 || census.bounds < n / 2 || census.division < n / 100 ||
				  census.limit < n / 20 || census.accepted < n || census.entries < n / 4))
			fail("too little was met");
	} else if (argc > 3 && strcmp(argv[1], "filter") == 0) {
		struct packets packets = {0};

		snprintf(repeat, sizeof(repeat), "build/arm64/jit_cross filter %s (with qemu-aarch64)", argv[2]);
		generate_packets(&packets, strtoull(argv[2], NULL, 0));
		run_filters(argc - 3, argv + 3, &packets, argv[1]);
	} else if (argc > 4 && strcmp(argv[1], "captures") == 0) {
		struct packets packets = {0};

		snprintf(repeat, sizeof(repeat), "build/arm64/jit_cross captures %s %s (with qemu-aarch64)", argv[2], argv[3]);
		read_captures(&packets, argv[3], strtoull(argv[2], NULL, 0));
		run_filters(argc - 4, argv + 4, &packets, argv[1]);
	} else if (argc == 2 && strcmp(argv[1], "long") == 0) {
		run_long();
	} else {
		fputs("usage: jit_cross generated FIRST N | filter PACKETS FILE... | captures MOST LIST FILE... | long\n", stderr);
		return 2;
	}
	printf("%llu programs (%llu with loops), %llu packets: %llu accepted, %llu BOUNDS, %llu DIVISION_BY_ZERO, %llu LIMIT; %llu "
	       "entries\n",
	       (unsigned long long)census.programs, (unsigned long long)census.loops, (unsigned long long)census.packets,
	       (unsigned long long)census.accepted, (unsigned long long)census.bounds, (unsigned long long)census.division,
	       (unsigned long long)census.limit, (unsigned long long)census.entries);
	return 0;
}

/* bpf_captures.c: filters that operators and the manual have, exported to BPF, against the machine on every capture at hand and on
 * generated traffic. TEST_ALL=1: every packet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/capture.h"
#include "test/lib/oracle_list.h"
#include "test/lib/packets.h"
#include "test/lib/traffic.h"
#include "vm/asm.h"
#include "vm/filter.h"
#include "vm/step.h"
#include "vm/vfm.h"

#define LIST        "test/golden/oracle/filters.list"
#define EXAMPLES    "examples/*/*.vfm"
#define CAPTURES    "../shared/data/captures/*/*"
#define MAX_PACKETS (1u << 20)
#define SHORT_STEP  8 /* a short run takes one packet in so many of a capture beyond the first */
#define SHORT_FIRST 200
#define GENERATED   3000

struct sample {
	uint32_t len;
	uint8_t *data;
};

static struct sample *samples;
static uint32_t n_samples;

static void add_sample(const uint8_t *data, uint32_t len)
{
	struct sample *s = &samples[n_samples];

	assert_true(n_samples < MAX_PACKETS);
	s->data = malloc(len + !len);
	assert_non_null(s->data);
	memcpy(s->data, data, len);
	s->len = len;
	n_samples++;
}

static bool load_captures(void)
{
	char error[CAPTURE_ERROR_BYTES];
	struct vfm_packet p;
	struct capture *c;
	glob_t names;

	if (glob(CAPTURES, 0, NULL, &names))
		return false;
	for (size_t i = 0; i < names.gl_pathc; i++) {
		if (capture_open(names.gl_pathv[i], &c, error))
			continue; /* not Ethernet: another suite's matter */
		for (uint64_t n = 0; capture_next(c, &p) == 1; n++)
			if (getenv("TEST_ALL") || n < SHORT_FIRST || n % (SHORT_STEP * 8) == 0)
				add_sample(p.data, p.len);
		capture_close(c);
	}
	globfree(&names);
	return true;
}

static void load_generated(void)
{
	struct traffic_config config;
	uint8_t buf[PACKET_BYTES];
	struct traffic *t;
	uint64_t time_us;
	uint32_t len;

	traffic_config_init(&config);
	config.packets = GENERATED;
	t = traffic_new(&config);
	assert_non_null(t);
	while (traffic_next(t, buf, &len, &time_us)) {
		add_sample(buf, len);
		if (n_samples % 4 == 0)
			add_sample(buf, len * (n_samples % 64) / 64); /* and cut short */
	}
	traffic_free(t);
}

static void unload(void)
{
	for (uint32_t i = 0; i < n_samples; i++)
		free(samples[i].data);
	n_samples = 0;
	free(samples);
}

/* False if the program cannot be exported. */
static bool compare(const char *name, const struct program *p)
{
	static bpf_insn_t code[VFM_BPF_MAX_INSNS];
	static struct machine m;
	uint32_t n = VFM_BPF_MAX_INSNS;
	struct shard *shard;

	if (vfm_to_bpf(p->code, p->len, code, &n))
		return false;
	if (!bpf_validate((struct bpf_insn *)code, (int)n))
		fail_msg("%s: bpf_validate refuses it", name);
	shard = program_shard_new(p, &(struct program_state_options){0});
	assert_non_null(shard);
	for (uint32_t i = 0; i < n_samples; i++) {
		struct vfm_packet packet = {.data = samples[i].data, .len = samples[i].len};
		bool accepts;

		machine_init(&m, p->code, p->len, p->table_index, shard, &packet, VFM_DEFAULT_INSN_LIMIT);
		machine_run(&m);
		accepts = m.result.error == 0 && m.result.value != 0;
		if (bpf_filter((struct bpf_insn *)code, packet.data, packet.len, packet.len) != (accepts ? 0xffffffff : 0))
			fail_msg("%s, packet %u of %u bytes: the machine says %d, BPF not", name, i, packet.len, accepts);
	}
	shard_free(shard);
	return true;
}

static uint32_t compare_list(void)
{
	struct oracle_list list;
	uint32_t exported = 0;

	assert_int_equal(oracle_list_read(&list, LIST), 0);
	for (uint32_t i = 0; i < list.n; i++) {
		const char *source = list.filters[i].assembly;
		struct vfm_reject why;
		struct diag_list d;
		struct program *p;
		uint8_t *code;
		uint32_t len;

		diag_init(&d, list.filters[i].name, source, (uint32_t)strlen(source));
		assert_int_equal(asm_assemble(source, strlen(source), false, &code, &len, &d), 0);
		p = program_new(code, len, 0, &why);
		assert_non_null(p);
		if (compare(list.filters[i].name, p))
			exported++;
		else
			print_message("%s: not exported\n", list.filters[i].name);
		program_free(p);
		free(code);
	}
	oracle_list_fini(&list);
	return exported;
}

static uint32_t compare_examples(void)
{
	uint32_t exported = 0;
	glob_t names;

	assert_int_equal(glob(EXAMPLES, 0, NULL, &names), 0);
	for (size_t i = 0; i < names.gl_pathc; i++) {
		struct diag_list d;
		char *text = NULL;
		struct program *p = filter_read(names.gl_pathv[i], 0, &d, &text);

		if (p)
			exported += compare(names.gl_pathv[i], p);
		program_free(p);
		free(text);
	}
	globfree(&names);
	return exported;
}

static void run_all(void)
{
	uint32_t listed = compare_list(), examples = compare_examples();

	print_message("%u packets, %u listed filters and %u examples exported\n", n_samples, listed, examples);
	assert_true(listed >= 60);
	assert_true(examples >= 15);
}

static void exported_filters_equal_the_machine_on_generated_traffic(void **state)
{
	(void)state;
	samples = calloc(MAX_PACKETS, sizeof(*samples));
	assert_non_null(samples);
	load_generated();
	run_all();
	unload();
}

static void exported_filters_equal_the_machine_on_captures(void **state)
{
	(void)state;
	samples = calloc(MAX_PACKETS, sizeof(*samples));
	assert_non_null(samples);
	if (!load_captures()) {
		free(samples);
		print_message("SKIP no captures in " CAPTURES "\n");
		skip();
	}
	run_all();
	unload();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exported_filters_equal_the_machine_on_generated_traffic),
		cmocka_unit_test(exported_filters_equal_the_machine_on_captures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

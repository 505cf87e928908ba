/* oracle_pcap.c: stateless filters against libpcap's own filter machine, packet by packet.
 *
 * The filters are those of test/golden/oracle/filters.list; the packets: all Ethernet captures at hand, generated traffic, and both
 * again cut short and with bytes changed, so that loads end at and beyond the last byte. libpcap runs each expression as written and
 * as it optimises it.
 */
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
#include "test/lib/traffic.h"
#include "vm/asm.h"
#include "vm/interp.h"
#include "vm/program.h"
#include "vm/step.h"
#include "vm/vflisp.h"

#define LIST        "test/golden/oracle/filters.list"
#define CAPTURES    "../shared/data/captures/*/*"
#define MANY        20000 /* packets of one capture from which on a short run takes every eighth */
#define GENERATED   10000 /* packets; in a full run ten times as many */
#define MAX_PACKETS (1u << 20)

struct sample {
	const char *origin; /* capture (owned by names), or a word for the generator */
	uint64_t number;    /* in it, from 1 */
	uint32_t len;
	uint8_t *data; /* owned */
};

static struct oracle_list list;
static glob_t names;
static struct sample *samples;
static uint32_t n_captured, n_samples;                                   /* the captured ones come first */
static uint64_t wanted[ORACLE_MAX_FILTERS], refused[ORACLE_MAX_FILTERS]; /* unchanged packets, by libpcap */

static void add_sample(const char *origin, uint64_t number, const uint8_t *data, uint32_t len)
{
	struct sample *s = &samples[n_samples];

	assert_true(n_samples < MAX_PACKETS);
	/* Exactly as long as the packet, so that a sanitizer sees a byte too far. */
	*s = (struct sample){.origin = origin, .number = number, .len = len, .data = malloc(len ? len : 1)};
	assert_non_null(s->data);
	memcpy(s->data, data, len);
	n_samples++;
}

static void load_capture(const char *name)
{
	bool all = getenv("TEST_ALL") != NULL;
	char error[CAPTURE_ERROR_BYTES];
	struct vfm_packet p;
	struct capture *c;

	if (capture_open(name, &c, error))
		return; /* not Ethernet, or no capture: other suites have the error */
	for (uint64_t number = 1; capture_next(c, &p) == 1; number++)
		if (all || number < MANY || number % 8 == 0)
			add_sample(name, number, p.data, p.len);
	capture_close(c);
}

static void load_generated(void)
{
	struct traffic_config config;
	uint8_t buf[PACKET_BYTES];
	struct traffic *t;
	uint64_t time_us;
	uint32_t len;

	traffic_config_init(&config);
	config.packets = getenv("TEST_ALL") ? 10 * GENERATED : GENERATED;
	t = traffic_new(&config);
	assert_non_null(t);
	for (uint64_t number = 1; traffic_next(t, buf, &len, &time_us); number++)
		add_sample("generated traffic (traffic-gen, seed 1)", number, buf, len);
	traffic_free(t);
}

static int load(void **state)
{
	(void)state;
	samples = calloc(MAX_PACKETS, sizeof(*samples));
	if (!samples || oracle_list_read(&list, LIST))
		return -1;
	if (glob(CAPTURES, 0, NULL, &names) == 0) /* else the tests on captures skip */
		for (size_t i = 0; i < names.gl_pathc; i++)
			load_capture(names.gl_pathv[i]);
	n_captured = n_samples;
	load_generated();
	return 0;
}

static int unload(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < n_samples; i++)
		free(samples[i].data);
	free(samples);
	oracle_list_fini(&list);
	globfree(&names);
	return 0;
}

static void skip_without_captures(void)
{
	if (n_captured)
		return;
	print_message("SKIP no captures in " CAPTURES "\n");
	skip();
}

enum { ASSEMBLY, VFLISP, LANGUAGES };
static const char *const language_names[] = {"assembly", "VFLisp"};

/* A filter in one of the machine's languages. */
struct candidate {
	struct program *program; /* NULL: the list does not have it */
	struct interp *interp;
	struct shard *shard;
};

/* One filter in libpcap's two forms and as programs. */
struct judges {
	const struct oracle_filter *filter;
	struct bpf_program as_written, optimised;
	struct candidate candidates[LANGUAGES];
};

static void compile_pcap(const struct oracle_filter *f, int optimise, struct bpf_program *out)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 262144);

	assert_non_null(pcap);
	if (pcap_compile(pcap, out, f->pcap, optimise, PCAP_NETMASK_UNKNOWN))
		fail_msg("%s: %s", f->name, pcap_geterr(pcap));
	pcap_close(pcap);
}

static struct program *compile_source(const struct oracle_filter *f, int language, const char *source)
{
	static struct diag_list d;
	struct vfm_reject reject;
	struct program *p;
	uint8_t *code;
	uint32_t len;
	int rc;

	diag_init(&d, f->name, source, (uint32_t)strlen(source));
	rc = language == VFLISP ? vfl_compile(source, strlen(source), &d, &code, &len)
				: asm_assemble(source, strlen(source), false, &code, &len, &d);
	if (rc) {
		diag_print(&d, stderr);
		fail_msg("%s: not compiled", f->name);
	}
	p = program_new(code, len, 0, &reject);
	if (!p)
		fail_msg("%s: address %u: %s", f->name, reject.pc, reject.reason);
	free(code);
	return p;
}

static void candidate_init(struct candidate *c, const struct oracle_filter *f, int language)
{
	const struct program_state_options no_tables = {.idle_s = -1};
	const char *source = language == VFLISP ? f->vflisp : f->assembly;

	memset(c, 0, sizeof(*c));
	if (!source)
		return;
	c->program = compile_source(f, language, source);
	c->interp = interp_new(c->program);
	assert_non_null(c->interp);
	c->shard = program_shard_new(c->program, &no_tables);
	assert_non_null(c->shard);
}

static void candidate_fini(struct candidate *c)
{
	if (!c->program)
		return;
	shard_free(c->shard);
	interp_free(c->interp);
	program_free(c->program);
}

static void judges_init(struct judges *j, const struct oracle_filter *f)
{
	j->filter = f;
	compile_pcap(f, 0, &j->as_written);
	compile_pcap(f, 1, &j->optimised);
	for (int i = 0; i < LANGUAGES; i++)
		candidate_init(&j->candidates[i], f, i);
}

static void judges_fini(struct judges *j)
{
	pcap_freecode(&j->as_written);
	pcap_freecode(&j->optimised);
	for (int i = 0; i < LANGUAGES; i++)
		candidate_fini(&j->candidates[i]);
}

static bool pcap_accepts(const struct bpf_program *bpf, const uint8_t *data, uint32_t len)
{
	struct pcap_pkthdr h = {.caplen = len, .len = len};

	return pcap_offline_filter(bpf, &h, data) != 0;
}

static const char *word(bool accepted)
{
	return accepted ? "accepts" : "refuses";
}

static bool accepts(const struct vfm_result *r)
{
	return !r->error && r->value;
}

static bool machine_accepts(const struct candidate *c, const struct vfm_packet *packet)
{
	struct machine m;

	machine_init(&m, c->program->code, c->program->len, c->program->table_index, c->shard, packet, VFM_DEFAULT_INSN_LIMIT);
	machine_run(&m);
	return accepts(&m.result);
}

static bool interpreter_accepts(const struct candidate *c, const struct vfm_packet *packet)
{
	struct vfm_result r;

	interp_run(c->interp, c->shard, packet, VFM_DEFAULT_INSN_LIMIT, &r);
	return accepts(&r);
}

/* Whether libpcap accepts; fails unless all judges agree. what: how the packet was changed. */
static bool judge(const struct judges *j, const struct sample *s, const uint8_t *data, uint32_t len, const char *what)
{
	const struct vfm_packet packet = {.data = data, .len = len};
	bool expected = pcap_accepts(&j->as_written, data, len);

	if (pcap_accepts(&j->optimised, data, len) != expected)
		fail_msg("%s: libpcap's optimiser differs on packet %lu of %s%s", j->filter->name, s->number, s->origin, what);
	for (int i = 0; i < LANGUAGES; i++) {
		const struct candidate *c = &j->candidates[i];
		bool by_machine, by_interpreter;

		if (!c->program)
			continue;
		by_machine = machine_accepts(c, &packet);
		by_interpreter = interpreter_accepts(c, &packet);
		if (by_machine != expected || by_interpreter != expected)
			fail_msg("%s in %s, packet %lu of %s%s (%u bytes): libpcap %s it, the stack machine %s it, the interpreter "
				 "%s it",
				 j->filter->name, language_names[i], s->number, s->origin, what, len, word(expected),
				 word(by_machine), word(by_interpreter));
	}
	return expected;
}

/* Holds every filter to libpcap on samples from first to before end, and counts what libpcap does. */
static void judge_all(uint32_t first, uint32_t end)
{
	for (uint32_t i = 0; i < list.n; i++) {
		struct judges j;

		judges_init(&j, &list.filters[i]);
		for (uint32_t k = first; k < end; k++) {
			if (judge(&j, &samples[k], samples[k].data, samples[k].len, ""))
				wanted[i]++;
			else
				refused[i]++;
		}
		judges_fini(&j);
	}
	print_message("%u filters, %u packets\n", list.n, end - first);
}

static void every_captured_packet_is_judged_as_by_libpcap(void **state)
{
	(void)state;
	skip_without_captures();
	judge_all(0, n_captured);
}

static void every_generated_packet_is_judged_as_by_libpcap(void **state)
{
	(void)state;
	judge_all(n_captured, n_samples);
}

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

/* Changes some of the first 80 bytes and cuts the frame there, into a buffer of just that length. */
static uint8_t *changed_copy(const struct sample *s, uint64_t *random, uint32_t *len)
{
	uint8_t *copy;

	*len = next_random(random) % 3 ? s->len : next_random(random) % (s->len < 80 ? s->len + 1 : 80);
	copy = malloc(*len ? *len : 1);
	assert_non_null(copy);
	memcpy(copy, s->data, *len);
	for (uint32_t n = next_random(random) % 4; *len && n > 0; n--)
		copy[next_random(random) % (*len < 80 ? *len : 80)] = (uint8_t)next_random(random);
	return copy;
}

static void cut_and_changed_packets_are_judged_as_by_libpcap(void **state)
{
	uint32_t step = getenv("TEST_ALL") ? 1 : 5;

	(void)state;
	for (uint32_t i = 0; i < list.n; i++) {
		uint64_t random = i + 1; /* each filter sees other changes; the same ones in each run */
		struct judges j;

		judges_init(&j, &list.filters[i]);
		for (uint32_t k = i % step; k < n_samples; k += step) {
			uint32_t len;
			uint8_t *copy = changed_copy(&samples[k], &random, &len);

			judge(&j, &samples[k], copy, len, ", changed");
			free(copy);
		}
		judges_fini(&j);
	}
}

static void every_filter_accepts_some_packets_and_refuses_some(void **state)
{
	(void)state;
	skip_without_captures();
	for (uint32_t i = 0; i < list.n; i++)
		if (!wanted[i] || !refused[i])
			fail_msg("%s accepts %lu packets and refuses %lu", list.filters[i].name, wanted[i], refused[i]);
}

static void the_list_has_at_least_sixty_filters_with_different_names(void **state)
{
	(void)state;
	assert_true(list.n >= 60);
	for (uint32_t i = 0; i < list.n; i++) {
		assert_non_null(list.filters[i].pcap);
		assert_non_null(list.filters[i].assembly);
		for (uint32_t k = 0; k < i; k++)
			assert_string_not_equal(list.filters[i].name, list.filters[k].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_has_at_least_sixty_filters_with_different_names),
		cmocka_unit_test(every_captured_packet_is_judged_as_by_libpcap),
		cmocka_unit_test(every_generated_packet_is_judged_as_by_libpcap),
		cmocka_unit_test(cut_and_changed_packets_are_judged_as_by_libpcap),
		cmocka_unit_test(every_filter_accepts_some_packets_and_refuses_some),
	};

	return cmocka_run_group_tests(tests, load, unload);
}

/* vfm-bpf: a filter as classic BPF (docs/bpf.md). Exit status: 0 done, 1 the filter cannot be used or expressed, 2 the command line
 * is wrong. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/bpf_parts.h"
#include "vm/file.h"
#include "vm/filter.h"
#include "vm/vfm.h"

#define USAGE_STATUS 2

enum form { FORM_LISTING, FORM_C, FORM_DECIMAL, FORM_RAW };

struct options {
	const char *filter, *expression, *output;
	enum form form;
};

static const char help[] =
	"usage: vfm-bpf [options] FILTER\n"
	"       vfm-bpf [options] -e EXPR\n"
	"\n"
	"Compiles FILTER (bytecode, assembly or VFLisp) to classic BPF, for SO_ATTACH_FILTER, tcpdump and libpcap. It accepts\n"
	"(0xffffffff) and drops (0) the same packets. What BPF cannot do is refused with the reason.\n"
	"\n"
	"  -d               as people read it, like tcpdump -d (default)\n"
	"  -dd              as a fragment of C, like tcpdump -dd\n"
	"  -ddd             as decimal numbers after a count, like tcpdump -ddd\n"
	"  -r, --raw        as bytes: struct sock_filter in this machine's byte order\n"
	"  -e, --expression EXPR  the filter, as a VFLisp expression\n"
	"  -o, --output FILE      write there (standard output)\n"
	"      --version    print the version\n"
	"  -h, --help       print this text\n";

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "vfm-bpf: %s%s: see vfm-bpf --help\n", what, which);
	return USAGE_STATUS;
}

/* -1 to go on, else the exit status. */
static int take_option(int c, char **argv, struct options *o, unsigned *dumps)
{
	switch (c) {
	case 'd':
		if (++*dumps > 3)
			return usage_error("more than three -d", "");
		o->form = *dumps == 1 ? FORM_LISTING : *dumps == 2 ? FORM_C : FORM_DECIMAL;
		return -1;
	case 'r':
		o->form = FORM_RAW;
		return -1;
	case 'e':
		o->expression = optarg;
		return -1;
	case 'o':
		o->output = optarg;
		return -1;
	case 'V':
		puts("vfm-bpf " VFM_VERSION);
		return 0;
	case 'h':
		fputs(help, stdout);
		return 0;
	case ':':
		return usage_error("no value for ", argv[optind - 1]);
	default:
		return usage_error("unknown or ambiguous option ", argv[optind - 1]);
	}
}

static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"raw", no_argument, NULL, 'r'},     {"expression", required_argument, NULL, 'e'},
		{"help", no_argument, NULL, 'h'},    {"output", required_argument, NULL, 'o'},
		{"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0},
	};
	unsigned dumps = 0;
	int status = -1;

	*o = (struct options){.output = "-"};
	for (int c; status < 0 && (c = getopt_long(argc, argv, ":dre:o:h", longs, NULL)) != -1;)
		status = take_option(c, argv, o, &dumps);
	if (status >= 0)
		return status;
	if (dumps && o->form == FORM_RAW)
		return usage_error("-d and --raw exclude each other", "");
	if (!o->expression && optind == argc)
		return usage_error("no filter", "");
	if (argc - optind > !o->expression)
		return usage_error("more than one filter, ", argv[optind + !o->expression]);
	if (!o->expression)
		o->filter = argv[optind];
	return -1;
}

static struct program *read_filter(const struct options *o)
{
	struct diag_list *d = calloc(1, sizeof(*d));
	struct program *p = NULL;
	char *text = NULL;

	if (!d) {
		fprintf(stderr, "vfm-bpf: out of memory\n");
		return NULL;
	}
	p = o->expression ? filter_expression(o->expression, 0, d) : filter_read(o->filter, 0, d, &text);
	diag_print(d, stderr);
	free(text);
	free(d);
	return p;
}

static void write_text(const bpf_insn_t *code, uint32_t n, enum form form, FILE *out)
{
	char line[96];

	if (form == FORM_DECIMAL)
		fprintf(out, "%u\n", n);
	for (uint32_t i = 0; i < n; i++) {
		const bpf_insn_t *b = &code[i];

		if (form == FORM_LISTING) {
			bpf_text(b, i, line);
			fprintf(out, "%s\n", line);
		} else if (form == FORM_C) {
			fprintf(out, "{ 0x%x, %u, %u, 0x%08x },\n", b->code, b->jt, b->jf, b->k);
		} else {
			fprintf(out, "%u %u %u %u\n", b->code, b->jt, b->jf, b->k);
		}
	}
}

static int write_out(const struct options *o, const bpf_insn_t *code, uint32_t n)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out;
	int rc;

	if (o->form == FORM_RAW)
		return file_write(o->output, code, n * (uint32_t)sizeof(*code));
	out = open_memstream(&text, &bytes);
	if (!out)
		return -errno;
	write_text(code, n, o->form, out);
	rc = fclose(out) ? -ENOMEM : file_write(o->output, text, (uint32_t)bytes);
	free(text);
	return rc;
}

int main(int argc, char **argv)
{
	static bpf_insn_t code[VFM_BPF_MAX_INSNS];
	uint32_t n = VFM_BPF_MAX_INSNS;
	char reason[VFM_BPF_REASON_BYTES];
	struct options o;
	struct program *p;
	int status = read_options(argc, argv, &o), rc;

	if (status >= 0)
		return status;
	p = read_filter(&o);
	if (!p)
		return EXIT_FAILURE;
	if (vfm_to_bpf_reason(p->code, p->len, code, &n, reason)) {
		fprintf(stderr, "vfm-bpf: %s: no BPF: %s\n", o.filter ? o.filter : "expression", reason);
		status = EXIT_FAILURE;
	} else {
		rc = write_out(&o, code, n);
		if (rc)
			fprintf(stderr, "vfm-bpf: cannot write %s: %s\n", o.output, strerror(-rc));
		status = rc ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	program_free(p);
	return status;
}

/* vfm-asm: VFM assembly to bytecode (manual, "Command Line Tools"). Exit status: 0 done, 1 the source or a file is wrong, 2 the
 * command line is. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/asm.h"
#include "vm/file.h"
#include "vm/vfm.h"

#define USAGE_STATUS 2

struct options {
	const char *input, *output;
	bool verbose, strict_manual, verify;
};

static const char help[] = "usage: vfm-asm [options] INPUT.vfm -o OUTPUT.bin\n"
			   "\n"
			   "Assembles INPUT, verifies the program, and writes its bytecode. \"-\" is standard input or output.\n"
			   "\n"
			   "  -o, --output FILE    where the bytecode goes (required)\n"
			   "  -v, --verbose        say what was assembled\n"
			   "      --strict-manual  refuse instructions that are not in the VFM programming manual\n"
			   "      --no-verify      write the bytecode even if the verifier refuses it\n"
			   "      --version        print the version\n"
			   "  -h, --help           print this text\n";

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "vfm-asm: %s%s: see vfm-asm --help\n", what, which);
	return USAGE_STATUS;
}

/* -1 to go on, else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"output", required_argument, NULL, 'o'},
		{"verbose", no_argument, NULL, 'v'},
		{"strict-manual", no_argument, NULL, 'S'},
		{"no-verify", no_argument, NULL, 'N'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};

	*o = (struct options){.verify = true};
	for (int c; (c = getopt_long(argc, argv, ":o:vh", longs, NULL)) != -1;) {
		switch (c) {
		case 'o':
			o->output = optarg;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'S':
			o->strict_manual = true;
			break;
		case 'N':
			o->verify = false;
			break;
		case 'V':
			puts("vfm-asm " VFM_VERSION);
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
	if (optind == argc)
		return usage_error("no input file", "");
	if (argc - optind > 1)
		return usage_error("more than one input file, ", argv[optind + 1]);
	if (!o->output)
		return usage_error("no output file, -o FILE is required", "");
	o->input = argv[optind];
	return -1;
}

static void print_summary(const struct options *o, uint32_t len, const struct vfm_proof *proof)
{
	if (!o->verify)
		fprintf(stderr, "%s: %u bytes, not verified\n", o->input, len);
	else
		fprintf(stderr, "%s: %u bytes, %u instructions, stack depth at most %u, %s, %s\n", o->input, len, proof->n,
			proof->max_depth, proof->has_loop ? "a loop" : "no loop",
			proof->unequal_joins ? "paths join at unequal depths" : "paths join at equal depths");
}

static int build(const struct options *o, const char *source, uint32_t source_bytes, uint8_t **code, uint32_t *len,
		 struct diag_list *d)
{
	struct vfm_proof proof = {0};
	int ret;

	if (o->verify)
		ret = asm_assemble_verified(source, source_bytes, o->strict_manual ? VFM_VERIFY_STRICT_MANUAL : 0, code, len,
					    &proof, d);
	else
		ret = asm_assemble(source, source_bytes, o->strict_manual, code, len, d);
	if (!ret && o->verbose)
		print_summary(o, *len, &proof);
	vfm_proof_fini(&proof);
	return ret;
}

static int cannot(const char *what, const char *name, int error)
{
	fprintf(stderr, "vfm-asm: cannot %s %s: %s\n", what, name, strerror(-error));
	return EXIT_FAILURE;
}

static int read_source(const char *name, char **source, uint32_t *bytes)
{
	int ret = file_read(name, ASM_MAX_SOURCE_BYTES, source, bytes);

	if (ret == -EFBIG) {
		fprintf(stderr, "vfm-asm: cannot read %s: it has more than %u bytes; is this the right file?\n", name,
			ASM_MAX_SOURCE_BYTES);
		return EXIT_FAILURE;
	}
	return ret ? cannot("read", name, ret) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static struct diag_list d;
	struct options o;
	char *source = NULL;
	uint8_t *code = NULL;
	uint32_t source_bytes, len = 0;
	int status = read_options(argc, argv, &o), ret;

	if (status >= 0)
		return status;
	status = read_source(o.input, &source, &source_bytes);
	if (status)
		return status;
	diag_init(&d, o.input, source, source_bytes);
	ret = build(&o, source, source_bytes, &code, &len, &d);
	diag_print(&d, stderr);
	status = EXIT_FAILURE;
	if (ret == -ENOMEM)
		cannot("assemble", o.input, ret);
	else if (!ret && (ret = file_write(o.output, code, len)))
		cannot("write", o.output, ret);
	else if (!ret)
		status = EXIT_SUCCESS;
	free(code);
	free(source);
	return status;
}

/* vflispc: the VFLisp compiler (manual, "VFLisp DSL Programming"; language: docs/vflisp.md). Exit status: 0 done, 1 the source or a file is
 * wrong, 2 the command line is. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/asm.h"
#include "vm/file.h"
#include "vm/verify.h"
#include "vm/vflisp.h"
#include "vm/vfm.h"

#define USAGE_STATUS 2

enum action { COMPILE, TEST, DISASSEMBLE };

struct options {
	enum action action;
	const char *expression, *input, *output;
	bool assembly, verbose, dump;
};

static const char help[] = "usage: vflispc [options] [-e EXPRESSION | INPUT.vfl] -o OUTPUT.bin\n"
			   "       vflispc -S [-e EXPRESSION | INPUT.vfl]\n"
			   "       vflispc -t FILE.bin\n"
			   "       vflispc -d FILE.bin\n"
			   "\n"
			   "Compiles VFLisp to bytecode. \"-\" is standard input or output.\n"
			   "\n"
			   "  -e, --expression TEXT   compile TEXT instead of a file\n"
			   "  -o, --output FILE       where the bytecode (with -S the assembly) goes\n"
			   "  -S, --assembly          print assembly, with a comment per table\n"
			   "  -t, --test FILE         verify the bytecode in FILE and say what it is\n"
			   "  -d, --disassemble FILE  print the bytecode in FILE as assembly\n"
			   "  -v, --verbose           say what was compiled\n"
			   "      --dump              print the program after each pass on standard error\n"
			   "      --version           print the version\n"
			   "  -h, --help              print this text\n";

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "vflispc: %s%s: see vflispc --help\n", what, which);
	return USAGE_STATUS;
}

static int cannot(const char *what, const char *name, int error)
{
	fprintf(stderr, "vflispc: %s: cannot %s: %s\n", name, what, strerror(-error));
	return EXIT_FAILURE;
}

static int check_options(int argc, char **argv, struct options *o, bool act)
{
	int left = argc - optind;

	if (act)
		return left || o->expression ? usage_error("-t and -d take one file and no source", "") : -1;
	if (left > 1)
		return usage_error("more than one input file, ", argv[optind + 1]);
	if (left && o->expression)
		return usage_error("both -e and an input file, ", argv[optind]);
	if (!left && !o->expression)
		return usage_error("no source, give -e EXPRESSION or INPUT.vfl", "");
	if (left)
		o->input = argv[optind];
	if (!o->output && !o->assembly)
		return usage_error("no output file, -o FILE or -S is required", "");
	return -1;
}

/* -1 to go on, else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"expression", required_argument, NULL, 'e'},
		{"output", required_argument, NULL, 'o'},
		{"assembly", no_argument, NULL, 'S'},
		{"test", required_argument, NULL, 't'},
		{"disassemble", required_argument, NULL, 'd'},
		{"verbose", no_argument, NULL, 'v'},
		{"dump", no_argument, NULL, 'D'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	bool act = false;

	*o = (struct options){.action = COMPILE};
	for (int c; (c = getopt_long(argc, argv, ":e:o:St:d:vh", longs, NULL)) != -1;) {
		switch (c) {
		case 'e':
			o->expression = optarg;
			break;
		case 'o':
			o->output = optarg;
			break;
		case 'S':
			o->assembly = true;
			break;
		case 't':
		case 'd':
			if (act)
				return usage_error("more than one of -t and -d", "");
			act = true;
			o->action = c == 't' ? TEST : DISASSEMBLE;
			o->input = optarg;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'D':
			o->dump = true;
			break;
		case 'V':
			puts("vflispc " VFM_VERSION);
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
	return check_options(argc, argv, o, act);
}

static int print_assembly(const struct options *o, const uint8_t *code, uint32_t len, const struct vfl_listing *listing)
{
	const char *name = o->output ? o->output : "-";
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	int ret;

	if (!out)
		return cannot("write it", name, -errno);
	for (uint32_t i = 0; listing && i < listing->n_tables; i++)
		fprintf(out, "; table %u: %s\n", listing->tables[i].number, listing->tables[i].meaning);
	ret = dis_disassemble(code, len, o->verbose ? DIS_VERBOSE | DIS_ADDRESSES : 0, out);
	if (fclose(out) && !ret)
		ret = -ENOMEM;
	if (!ret)
		ret = file_write(name, text, (uint32_t)bytes);
	free(text);
	return ret ? cannot("write it", name, ret) : EXIT_SUCCESS;
}

static void print_summary(const char *name, const struct vfm_proof *proof, uint32_t len, FILE *out)
{
	fprintf(out, "%s: valid, %u bytes, %u instructions, stack depth at most %u\n", name, len, proof->n, proof->max_depth);
}

static int test(const struct options *o, const uint8_t *code, uint32_t len)
{
	struct vfm_proof proof;
	struct vfm_reject reject;

	if (vfm_verify_program(code, len, 0, &proof, &reject)) {
		fprintf(stderr, "vflispc: %s, byte %u: %s: compile it again from its source\n", o->input, reject.pc, reject.reason);
		return EXIT_FAILURE;
	}
	print_summary(o->input, &proof, len, stdout);
	vfm_proof_fini(&proof);
	return EXIT_SUCCESS;
}

/* -t and -d. */
static int inspect(const struct options *o)
{
	char *code = NULL;
	uint32_t len;
	int ret = file_read(o->input, VFM_MAX_PROGRAM_BYTES, &code, &len);

	if (ret == -EFBIG)
		fprintf(stderr, "vflispc: %s: has more than %u bytes, so it is no program: give a .bin file\n", o->input,
			VFM_MAX_PROGRAM_BYTES);
	if (ret)
		return ret == -EFBIG ? EXIT_FAILURE : cannot("read it", o->input, ret);
	if (o->action == TEST)
		ret = test(o, (const uint8_t *)code, len);
	else
		ret = print_assembly(o, (const uint8_t *)code, len, NULL);
	free(code);
	return ret;
}

static int write_program(const struct options *o, const uint8_t *code, uint32_t len, const struct vfl_listing *listing)
{
	int ret;

	if (o->assembly)
		return print_assembly(o, code, len, listing);
	ret = file_write(o->output, code, len);
	if (ret)
		return cannot("write it", o->output, ret);
	if (o->verbose) {
		fprintf(stderr, "%s: %u bytes\n", o->output, len);
		for (uint32_t i = 0; i < listing->n_tables; i++)
			fprintf(stderr, "table %u: %u entries, idle %u s: %s\n", listing->tables[i].number,
				listing->tables[i].entries, listing->tables[i].idle_s, listing->tables[i].meaning);
	}
	return EXIT_SUCCESS;
}

static int read_source(const struct options *o, char **source, uint32_t *bytes)
{
	int ret;

	if (o->expression) {
		*source = strdup(o->expression);
		*bytes = *source ? (uint32_t)strlen(*source) : 0;
		return *source ? EXIT_SUCCESS : cannot("read it", "-e", -ENOMEM);
	}
	ret = file_read(o->input, VFL_MAX_SOURCE_BYTES, source, bytes);
	if (ret == -EFBIG) {
		fprintf(stderr, "vflispc: %s: has more than %u bytes: is this the right file?\n", o->input, VFL_MAX_SOURCE_BYTES);
		return EXIT_FAILURE;
	}
	return ret ? cannot("read it", o->input, ret) : EXIT_SUCCESS;
}

static int compile(const struct options *o)
{
	static struct diag_list d;
	static struct vfl_listing listing;
	const char *name = o->expression ? "-e" : o->input;
	char *source = NULL;
	uint8_t *code = NULL;
	uint32_t bytes, len;
	int ret, status = read_source(o, &source, &bytes);

	if (status)
		return status;
	diag_init(&d, name, source, bytes);
	ret = vfl_compile_listing(source, bytes, &d, &code, &len, &listing, o->dump ? stderr : NULL);
	diag_print(&d, stderr);
	status = EXIT_FAILURE;
	if (!ret)
		status = write_program(o, code, len, &listing);
	else if (ret == -ENOMEM)
		cannot("compile it", name, ret);
	else
		fprintf(stderr, "vflispc: %s: %u error%s: nothing was written\n", name, d.errors, d.errors == 1 ? "" : "s");
	free(code);
	free(source);
	return status;
}

int main(int argc, char **argv)
{
	struct options o;
	int status = read_options(argc, argv, &o);

	if (status >= 0)
		return status;
	return o.action == COMPILE ? compile(&o) : inspect(&o);
}

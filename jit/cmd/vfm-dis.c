/* vfm-dis: VFM bytecode to assembly (manual, "Command Line Tools"). Exit status: 0 done, 1 a file is wrong, 2 the command line is. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jit/jit.h"
#include "vm/asm.h"
#include "vm/file.h"
#include "vm/ir.h"
#include "vm/vfm.h"

#define USAGE_STATUS 2

struct options {
	const char *input, *output;
	unsigned flags; /* DIS_* */
	bool ir, ir_passes, native;
};

static const char help[] = "usage: vfm-dis [options] INPUT.bin [OUTPUT.asm]\n"
			   "\n"
			   "Writes bytecode as assembly, which assembles to the same bytes. \"-\" is standard input or output.\n"
			   "\n"
			   "  -a, --addresses  show the address of each instruction\n"
			   "  -x, --hex        show the bytes of each instruction\n"
			   "  -v, --verbose    say what each instruction does\n"
			   "      --ir         write the intermediate form instead; --ir=passes: after each pass\n"
			   "      --native     write the machine code that the JIT makes instead\n"
			   "      --version    print the version\n"
			   "  -h, --help       print this text\n";

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "vfm-dis: %s%s: see vfm-dis --help\n", what, which);
	return USAGE_STATUS;
}

/* -1 to go on, else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"addresses", no_argument, NULL, 'a'}, {"hex", no_argument, NULL, 'x'},
		{"verbose", no_argument, NULL, 'v'},   {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},      {"ir", optional_argument, NULL, 'i'},
		{"native", no_argument, NULL, 'n'},    {NULL, 0, NULL, 0},
	};

	*o = (struct options){.output = "-"};
	for (int c; (c = getopt_long(argc, argv, ":axvh", longs, NULL)) != -1;) {
		switch (c) {
		case 'a':
			o->flags |= DIS_ADDRESSES;
			break;
		case 'x':
			o->flags |= DIS_HEX;
			break;
		case 'v':
			o->flags |= DIS_VERBOSE;
			break;
		case 'i':
			o->ir = true;
			o->ir_passes = optarg && strcmp(optarg, "passes") == 0;
			if (optarg && !o->ir_passes)
				return usage_error("--ir may be followed by =passes, not by =", optarg);
			break;
		case 'n':
			o->native = true;
			break;
		case 'V':
			puts("vfm-dis " VFM_VERSION);
			return 0;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return usage_error("unknown or ambiguous option ", argv[optind - 1]);
		}
	}
	if (optind == argc)
		return usage_error("no input file", "");
	if (argc - optind > 2)
		return usage_error("more than one output file, ", argv[optind + 2]);
	o->input = argv[optind];
	if (argc - optind == 2)
		o->output = argv[optind + 1];
	return -1;
}

static int cannot(const char *what, const char *name, int error)
{
	fprintf(stderr, "vfm-dis: cannot %s %s: %s\n", what, name, strerror(-error));
	return EXIT_FAILURE;
}

static int read_bytecode(const char *name, char **code, uint32_t *len)
{
	int ret = file_read(name, VFM_MAX_PROGRAM_BYTES, code, len);

	if (ret == -EFBIG) {
		fprintf(stderr, "vfm-dis: cannot read %s: a program has at most %u bytes; is this the right file?\n", name,
			VFM_MAX_PROGRAM_BYTES);
		return EXIT_FAILURE;
	}
	return ret ? cannot("read", name, ret) : EXIT_SUCCESS;
}

/* The intermediate form of a program that the verifier accepts. */
static int print_ir(const struct options *o, const uint8_t *code, uint32_t len, FILE *out)
{
	struct vfm_reject why;
	struct program *p = program_new(code, len, 0, &why);
	struct ir *ir = p ? ir_new(p, o->ir_passes ? out : NULL) : NULL;

	if (!p)
		fprintf(stderr, "vfm-dis: %s: at %u: %s\n", o->input, why.pc, why.reason);
	else if (!ir)
		fprintf(stderr, "vfm-dis: %s: out of memory\n", o->input);
	else if (!o->ir_passes)
		ir_print(ir, out);
	ir_free(ir);
	program_free(p);
	return ir ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The machine code of a program that the verifier accepts. */
static int print_native(const struct options *o, const uint8_t *code, uint32_t len, FILE *out)
{
	struct vfm_reject why;
	struct program *p = program_new(code, len, 0, &why);
	struct jit *j = NULL;
	int status = EXIT_FAILURE;

	if (!p)
		fprintf(stderr, "vfm-dis: %s: at %u: %s\n", o->input, why.pc, why.reason);
	else if (jit_new(p, jit_best_tier(), VFM_DEFAULT_INSN_LIMIT, &j) || jit_list(j, out))
		fprintf(stderr, "vfm-dis: %s: out of memory, or no disassembler for this CPU\n", o->input);
	else
		status = EXIT_SUCCESS;
	jit_free(j);
	program_free(p);
	return status;
}

int main(int argc, char **argv)
{
	struct options o;
	char *code = NULL, *text = NULL;
	size_t text_bytes = 0;
	uint32_t len;
	FILE *out;
	int status = read_options(argc, argv, &o), ret = 0;

	if (status >= 0)
		return status;
	status = read_bytecode(o.input, &code, &len);
	if (status)
		return status;
	/* Bytecode has control bytes; RET is one. */
	if (len && !file_find_control(code, len))
		fprintf(stderr, "vfm-dis: %s: warning: this looks like text, not bytecode: assemble it with vfm-asm first\n",
			o.input);
	out = open_memstream(&text, &text_bytes);
	if (!out)
		ret = -errno;
	else if (o.ir)
		status = print_ir(&o, (uint8_t *)code, len, out);
	else if (o.native)
		status = print_native(&o, (uint8_t *)code, len, out);
	else
		ret = dis_disassemble((uint8_t *)code, len, o.flags, out);
	if (out && fclose(out) && !ret)
		ret = -ENOMEM;
	if (!ret && !status)
		ret = file_write(o.output, text, (uint32_t)text_bytes);
	if (ret)
		status = cannot("write", o.output, ret);
	free(text);
	free(code);
	return status;
}

/* The assembler: every form of every instruction against bytes written by hand, every error with its position and full text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vm/asm.h"

static struct diag_list diags;

static int assemble(const char *source, size_t source_bytes, bool strict_manual, uint8_t **code, uint32_t *len)
{
	*code = NULL;
	*len = 0;
	diag_init(&diags, "t.vfm", source, (uint32_t)source_bytes);
	return asm_assemble(source, source_bytes, strict_manual, code, len, &diags);
}

/* Source gives these bytes, written as hexadecimal digits. */
static void gives(const char *source, const char *hex)
{
	char found[4096] = "";
	uint8_t *code;
	uint32_t len;

	if (assemble(source, strlen(source), false, &code, &len))
		diag_print(&diags, stderr);
	for (uint32_t i = 0; i < len; i++)
		snprintf(found + 2 * i, 3, "%02x", code[i]);
	assert_string_equal(found, hex);
	assert_int_equal(diags.count, 0);
	free(code);
}

/* The errors as LINE:COLUMN: TEXT, one a line. */
static void render(char *text, size_t room)
{
	size_t n = 0;

	*text = '\0';
	for (uint32_t i = 0; i < diags.count && n < room; i++)
		n += (size_t)snprintf(text + n, room - n, "%u:%u: %s\n", diags.items[i].line, diags.items[i].column,
				      diags.items[i].text);
}

static void fails_bytes(const char *source, size_t source_bytes, bool strict_manual, const char *errors)
{
	char found[4096];
	uint8_t *code;
	uint32_t len;

	assert_int_equal(assemble(source, source_bytes, strict_manual, &code, &len), -22);
	assert_null(code);
	render(found, sizeof(found));
	assert_string_equal(found, errors);
}

static void fails(const char *source, const char *errors)
{
	fails_bytes(source, strlen(source), false, errors);
}

static void fails_strict(const char *source, const char *errors)
{
	fails_bytes(source, strlen(source), true, errors);
}

/* ---- what assembles ---- */

/* Opcodes as in the specification, by hand, not from the table the assembler uses. */
static void every_instruction_has_its_opcode_and_operand(void **state)
{
	(void)state;
	gives("LD8 1\nLD16 258\nLD32 0xffff\nLD64 0", "000100"
						      "010201"
						      "02ffff"
						      "030000");
	gives("PUSH 1", "040100000000000000");
	gives("POP\nDUP\nSWAP\nADD\nSUB\nMUL\nDIV\nAND\nOR\nXOR\nSHL\nSHR", "05060708090a0b0c0d0e0f10");
	gives("JMP +1\nJEQ +2\nJNE +3\nJGT +4\nJLT +5", "110100"
							"120200"
							"130300"
							"140400"
							"150500");
	gives("RET\nHASH5\nFLOW_LOAD\nFLOW_STORE", "16171a1b");
	gives("JGE -1\nJLE -2\nNOT\nNEG\nMOD", "1cffff"
					       "1dfeff"
					       "1e1f20");
	gives("OVER\nROT\nHASH5S\nPKTLEN\nNOW\nLDX8\nLDX16\nLDX32\nLDX64", "212223242526272829");
	gives("FLOW_ADD\nFLOW_DEL\nPICK 3\nHDR 4\nMIX\nINPUT", "2a2b"
							       "2c03"
							       "2d04"
							       "2e2f");
	gives("FLOW_LOAD 0\nFLOW_STORE 1\nFLOW_ADD 2\nFLOW_DEL 255", "3000"
								     "3101"
								     "3202"
								     "33ff");
	gives("TABLE 1, 65536, 60", "3401000001003c000000");
}

/* No row of the table is missing above: every mnemonic assembles to its own opcode. */
static void every_opcode_of_the_table_can_be_written(void **state)
{
	static const char *const operands[] = {
		[VFM_OPERAND_NONE] = "",     [VFM_OPERAND_U8] = " 1",    [VFM_OPERAND_TABLE] = " 1",       [VFM_OPERAND_U16] = " 1",
		[VFM_OPERAND_REL16] = " +1", [VFM_OPERAND_IMM64] = " 1", [VFM_OPERAND_DECLARE] = " 1 2 3",
	};
	char source[64];
	uint8_t *code;
	uint32_t len;

	(void)state;
	for (int op = 0; op < 256; op++) {
		if (!vfm_op_exists((uint8_t)op))
			continue;
		snprintf(source, sizeof(source), "%s%s", vfm_ops[op].mnemonic, operands[vfm_ops[op].operand]);
		assert_int_equal(assemble(source, strlen(source), false, &code, &len), 0);
		assert_int_equal(len, 1 + vfm_ops[op].operand_bytes);
		assert_int_equal(code[0], op);
		free(code);
	}
}

static void ret_with_a_value_is_push_and_ret(void **state)
{
	(void)state;
	gives("RET 0", "04000000000000000016");
	gives("RET -1", "04ffffffffffffffff16");
	gives("RET end\nend:", "040a0000000000000016");
}

static void numbers_are_decimal_hexadecimal_or_binary(void **state)
{
	(void)state;
	gives("PUSH 010", "040a00000000000000");
	gives("PUSH 0x0A", "040a00000000000000");
	gives("PUSH 0Xa", "040a00000000000000");
	gives("PUSH 0b1010", "040a00000000000000");
	gives("PUSH +10", "040a00000000000000");
	gives("PUSH -0", "040000000000000000");
	gives("PUSH 18446744073709551615", "04ffffffffffffffff");
	gives("PUSH -9223372036854775808", "040000000000000080");
	gives("PUSH 0x47455420", "042054454700000000");
}

static void case_blanks_comments_and_line_ends_do_not_matter(void **state)
{
	(void)state;
	gives("ld16 12\r\n\tAdd;comment\r\n\f  rEt ; c \xc3\xa9\n;\n\n", "010c000816");
	gives("\xef\xbb\xbf"
	      "POP",
	      "05");
	gives("", "");
	gives("; nothing", "");
	gives("TABLE 1 2,3", "34010200000003000000");
}

static void labels_stand_for_addresses(void **state)
{
	(void)state;
	gives("JMP end\nPOP\nend:", "11010005");
	gives("loop: POP\nJMP loop", "0511fcff");
	gives("a: b: .c_1 : JMP a\nJMP b\nJMP .c_1", "11fdff"
						     "11faff"
						     "11f7ff");
	gives("POP\nx:\nPUSH x", "05040100000000000000");
	gives("X: x: JMP X", "11fdff");
	/* Names of instructions may be labels; a label is told by its colon. */
	gives("POP: POP\nJMP POP", "0511fcff");
	gives(".byte: JMP .byte", "11fdff");
}

static void jumps_reach_as_far_as_16_bits_go(void **state)
{
	char *source = malloc(1 << 20);
	uint8_t *code;
	uint32_t len;

	(void)state;
	/* 32767 one-byte instructions between the jump and its target. */
	strcpy(source, "JMP end\n");
	for (int i = 0; i < 32767; i++)
		strcat(source + 4 * i, "POP\n");
	strcat(source + 4 * 32767, "end:\n");
	assert_int_equal(assemble(source, strlen(source), false, &code, &len), 0);
	assert_memory_equal(code, "\x11\xff\x7f", 3);
	free(code);
	/* Back over 32765 of them and the jump itself: -32768. */
	strcpy(source, "start:\n");
	for (int i = 0; i < 32765; i++)
		strcat(source + 4 * i, "POP\n");
	strcat(source + 4 * 32765, "JMP start\n");
	assert_int_equal(assemble(source, strlen(source), false, &code, &len), 0);
	assert_memory_equal(code + 32765, "\x11\x00\x80", 3);
	free(code);
	free(source);
}

static void bytes_are_written_as_they_are(void **state)
{
	(void)state;
	gives(".byte 0, 255, 0x18", "00ff18");
	gives(".BYTE 1 2", "0102");
}

/* ---- what does not ---- */

static void unknown_instructions_get_the_nearest_name(void **state)
{
	(void)state;
	fails("LOAD8 1", "1:1: unknown instruction 'LOAD8'; did you mean LD8?\n");
	fails("psh 1", "1:1: unknown instruction 'psh'; did you mean PUSH?\n");
	fails("FLOW_LAOD", "1:1: unknown instruction 'FLOW_LAOD'; did you mean FLOW_LOAD?\n");
	fails("accept\nRET 1", "1:1: unknown instruction 'accept'; if it is a label, write 'accept:'\n");
	fails("accept 1", "1:1: unknown instruction 'accept'; docs/isa.md lists them all\n");
	fails(".word 1", "1:1: unknown directive '.word'; the only one is .byte\n");
	fails("abcdefghijklmnopqrstuvwxyz 1",
	      "1:1: unknown instruction 'abcdefghijklmnopqrstuvwxyz'; docs/isa.md lists them all\n");
}

static void missing_operands_are_named(void **state)
{
	(void)state;
	fails("LD16", "1:5: LD16 needs a packet offset here: 0 to 65535\n");
	fails("PICK ; c", "1:6: PICK needs a depth here: 0 to 255\n");
	fails("HDR", "1:4: HDR needs an item here: 0 to 4\n");
	fails("PUSH", "1:5: PUSH needs a value here: -9223372036854775808 to 18446744073709551615\n");
	fails("JEQ", "1:4: JEQ needs a label, or a distance in bytes from the next instruction\n");
	fails("TABLE", "1:6: TABLE needs a table number here: 0 to 255\n");
	fails("TABLE 1", "1:8: TABLE needs a number of entries here: 0 to 4294967295\n");
	fails("TABLE 1, 2,", "1:12: TABLE needs an idle time in seconds here: 0 to 4294967295\n");
	fails(".byte", "1:6: .byte needs a byte here: 0 to 255\n");
	fails(".byte 1,", "1:9: .byte needs a byte here: 0 to 255\n");
}

static void operands_out_of_range_get_the_range(void **state)
{
	(void)state;
	fails("LD8 65536", "1:5: 65536 is out of range: a packet offset is 0 to 65535\n");
	fails("LD8 -1", "1:5: -1 is out of range: a packet offset is 0 to 65535\n");
	fails("PICK 256", "1:6: 256 is out of range: a depth is 0 to 255\n");
	fails("HDR 256", "1:5: 256 is out of range: an item is 0 to 4\n");
	fails("FLOW_LOAD 256", "1:11: 256 is out of range: a table number is 0 to 255\n");
	fails("JMP 32768", "1:5: 32768 is out of range: a jump's distance in bytes is -32768 to 32767; use a label\n");
	fails("JMP -32769", "1:5: -32769 is out of range: a jump's distance in bytes is -32768 to 32767; use a label\n");
	fails("PUSH 18446744073709551616",
	      "1:6: 18446744073709551616 is out of range: a value is -9223372036854775808 to 18446744073709551615\n");
	fails("PUSH -9223372036854775809",
	      "1:6: -9223372036854775809 is out of range: a value is -9223372036854775808 to 18446744073709551615\n");
	fails("TABLE 256, 1, 1", "1:7: 256 is out of range: a table number is 0 to 255\n");
	fails("TABLE 1, 4294967296, 1", "1:10: 4294967296 is out of range: a number of entries is 0 to 4294967295\n");
	fails("TABLE 1, 1, 4294967296", "1:13: 4294967296 is out of range: an idle time in seconds is 0 to 4294967295\n");
	fails(".byte 256", "1:7: 256 is out of range: a byte is 0 to 255\n");
}

static void operands_of_the_wrong_kind_are_refused(void **state)
{
	(void)state;
	fails("LD8 proto", "1:5: 'proto' cannot stand here; LD8 needs a packet offset: 0 to 65535\n");
	fails("PUSH 12ab", "1:6: '12ab' is not a number; write decimal, 0x and hex digits, or 0b and binary digits\n");
	fails("PUSH 0x", "1:6: '0x' is not a number; write decimal, 0x and hex digits, or 0b and binary digits\n");
	fails("PUSH 0b12", "1:6: '0b12' is not a number; write decimal, 0x and hex digits, or 0b and binary digits\n");
	fails("PUSH -", "1:6: '-' is not a number; write decimal, 0x and hex digits, or 0b and binary digits\n");
	fails("PUSH $5", "1:6: unexpected '$'; PUSH needs a value: -9223372036854775808 to 18446744073709551615\n");
	fails("LD8 \xc3\xa9", "1:5: unexpected '\xc3\xa9'; LD8 needs a packet offset: 0 to 65535\n");
}

static void what_follows_an_instruction_is_refused(void **state)
{
	(void)state;
	fails("POP 5", "1:5: '5' is too much: POP takes no operand; one instruction a line, comments begin with ';'\n");
	fails("LD8 1 2", "1:7: '2' is too much: LD8 takes one operand; one instruction a line, comments begin with ';'\n");
	fails("JMP +1 POP", "1:8: 'POP' is too much: JMP takes one label; one instruction a line, comments begin with ';'\n");
	fails("PUSH 1 ADD",
	      "1:8: 'ADD' is too much: PUSH takes one value or label; one instruction a line, comments begin with ';'\n");
	fails("TABLE 1 2 3 4",
	      "1:13: '4' is too much: TABLE takes three numbers; one instruction a line, comments begin with ';'\n");
	fails("ADD # sum", "1:5: unexpected character '#'; a comment begins with ';'\n");
	fails("# sum", "1:1: unexpected '#'; a line is: label, instruction, comment beginning with ';'\n");
	fails("12", "1:1: unexpected '12'; a line is: label, instruction, comment beginning with ';'\n");
	fails(": POP", "1:1: unexpected ':'; a line is: label, instruction, comment beginning with ';'\n");
}

static void labels_are_checked(void **state)
{
	(void)state;
	fails("JEQ accpet\naccept: RET 1", "1:5: unknown label 'accpet'; did you mean 'accept'?\n");
	fails("JEQ nowhere\naccept: RET 1",
	      "1:5: unknown label 'nowhere'; define it by writing 'nowhere:' before an instruction\n");
	fails("JMP Drop\ndrop:", "1:5: unknown label 'Drop'; did you mean 'drop'?\n");
	fails("a:\nb:\na:\n  a: POP", "3:1: label 'a' is already defined on line 1; rename one of them\n"
				      "4:3: label 'a' is already defined on line 1; rename one of them\n");
	fails("l23456789012345678901234567890123456789012345678901234567890123456: POP",
	      "1:1: the label 'l234567890123456...' has 66 characters; shorten it to at most 64\n");
}

static void jumps_too_far_say_how_far(void **state)
{
	char *source = malloc(1 << 20);

	(void)state;
	strcpy(source, "start:\nJMP end\n");
	for (int i = 0; i < 32768; i++)
		strcat(source + 4 * i, "POP\n");
	strcat(source + 4 * 32768, "end: JMP start\n");
	fails(source, "2:5: 'end' is 32768 bytes away; a jump reaches -32768 to 32767: jump to a JMP placed on the way\n"
		      "32771:10: 'start' is -32774 bytes away; a jump reaches -32768 to 32767: jump to a JMP placed on the way\n");
	free(source);
}

static void strict_manual_refuses_extensions(void **state)
{
	static const char manual[] = "FLOW_LOAD\nMOD\nJGE 1\nNOT\nRET 1";
	uint8_t *code;
	uint32_t len;

	(void)state;
	fails_strict("POP\n over", "2:2: OVER is not in the manual; leave --strict-manual out, or write it with the manual's "
				   "instructions\n");
	fails_strict("FLOW_LOAD 0",
		     "1:1: FLOW_LOAD with a table number is not in the manual; leave --strict-manual out, or write it "
		     "with the manual's instructions\n");
	fails_strict("NEG",
		     "1:1: NEG is not in the manual; leave --strict-manual out, or write it with the manual's instructions\n");
	assert_int_equal(assemble(manual, strlen(manual), true, &code, &len), 0);
	free(code);
}

static void a_program_beyond_65536_bytes_is_refused_where_it_grows_too_long(void **state)
{
	char *source = malloc(1 << 20);
	uint8_t *code;
	uint32_t len;

	(void)state;
	*source = '\0';
	for (int i = 0; i < 65536; i++)
		strcat(source + 4 * i, "POP\n");
	assert_int_equal(assemble(source, strlen(source), false, &code, &len), 0);
	assert_int_equal(len, 65536);
	free(code);
	strcat(source, "  ADD\nSUB\nnonsense\nJMP nowhere");
	fails(source, "65537:3: the program grows beyond 65536 bytes here; split the filter\n"
		      "65539:1: unknown instruction 'nonsense'; if it is a label, write 'nonsense:'\n");
	free(source);
}

static void more_than_65536_labels_are_refused(void **state)
{
	char *source = malloc(1 << 20);
	size_t n = 0;

	(void)state;
	for (int i = 0; i <= 65536; i++)
		n += (size_t)snprintf(source + n, (1 << 20) - n, "l%d:\n", i);
	fails(source, "65537:1: more than 65536 labels; remove those that no jump uses\n");
	free(source);
}

static void input_that_is_no_text_is_refused(void **state)
{
	(void)state;
	fails_bytes("POP\n\0ADD", 8, false, "2:1: byte 0x00 is not text; give assembly source (vfm-dis reads bytecode)\n");
	fails_bytes("POP ; \x1b[2J", 10, false, "1:7: byte 0x1b is not text; give assembly source (vfm-dis reads bytecode)\n");
	fails_bytes("\x7f\x45LF", 4, false, "1:1: byte 0x7f is not text; give assembly source (vfm-dis reads bytecode)\n");
	fails_bytes("", (size_t)ASM_MAX_SOURCE_BYTES + 1, false,
		    "0:0: the source has 67108865 bytes; at most 67108864 are read: is this the right file?\n");
}

static void all_errors_are_reported_in_the_order_of_the_source(void **state)
{
	static const char source[] = "JMP nowhere\n  PSH 1\n\tLD8 99999\n";
	char *text = NULL;
	size_t bytes;
	uint8_t *code;
	uint32_t len;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	assert_int_equal(assemble(source, strlen(source), false, &code, &len), -22);
	diag_print(&diags, out);
	fclose(out);
	assert_string_equal(text,
			    "t.vfm:1:5: error: unknown label 'nowhere'; define it by writing 'nowhere:' before an instruction\n"
			    "    JMP nowhere\n"
			    "        ^\n"
			    "t.vfm:2:3: error: unknown instruction 'PSH'; did you mean PUSH?\n"
			    "      PSH 1\n"
			    "      ^\n"
			    "t.vfm:3:6: error: 99999 is out of range: a packet offset is 0 to 65535\n"
			    "    \tLD8 99999\n"
			    "    \t    ^\n");
	free(text);
}

static void errors_beyond_the_64th_are_counted(void **state)
{
	char source[4 * 100 + 1] = "", *text = NULL;
	size_t bytes;
	uint8_t *code;
	uint32_t len;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	for (int i = 0; i < 100; i++)
		strcat(source, "qqq\n");
	assert_int_equal(assemble(source, strlen(source), false, &code, &len), -22);
	assert_int_equal(diags.count, 64);
	assert_int_equal(diags.errors, 100);
	diag_print(&diags, out);
	fclose(out);
	assert_non_null(strstr(text, "t.vfm: 36 more not shown: correct these first\n"));
	free(text);
}

static void long_lines_are_quoted_around_the_caret(void **state)
{
	char source[1001], *text = NULL, *quote, *caret;
	size_t bytes;
	uint8_t *code;
	uint32_t len;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	memset(source, ' ', 1000);
	source[1000] = '\0';
	memcpy(source + 500, "PSH 1", 5);
	assert_int_equal(assemble(source, 1000, false, &code, &len), -22);
	diag_print(&diags, out);
	fclose(out);
	quote = strchr(text, '\n') + 1;
	caret = strchr(quote, '\n') + 1;
	assert_int_equal(caret - quote, 4 + 160 + 1);
	assert_int_equal(strchr(caret, '^') - caret, 4 + 80);
	assert_memory_equal(quote + 4 + 80, "PSH 1", 5);
	free(text);
}

/* ---- from addresses to lines, and the verifier ---- */

static void the_map_leads_from_addresses_to_lines(void **state)
{
	static const char source[] = "; c\nLD16 12\n\n  RET 1\n";
	struct asm_map map;
	uint8_t *code;
	uint32_t len;

	(void)state;
	diag_init(&diags, "t.vfm", source, sizeof(source) - 1);
	assert_int_equal(asm_assemble_map(source, strlen(source), false, &code, &len, &map, &diags), 0);
	assert_int_equal(len, 13);
	assert_int_equal(asm_map_find(&map, 0)->line, 2);
	assert_int_equal(asm_map_find(&map, 2)->line, 2);
	assert_int_equal(asm_map_find(&map, 3)->line, 4);
	assert_int_equal(asm_map_find(&map, 3)->column, 3);
	assert_int_equal(asm_map_find(&map, 12)->line, 4);
	assert_int_equal(asm_map_find(&map, 99)->line, 4);
	asm_map_fini(&map);
	assert_null(asm_map_find(&map, 0));
	free(code);
}

static void the_verifiers_reason_is_said_at_the_line(void **state)
{
	static const char source[] = "PUSH 1\n  ADD\nRET\n";
	char found[512];
	uint8_t *code = NULL;
	uint32_t len;

	(void)state;
	diag_init(&diags, "t.vfm", source, sizeof(source) - 1);
	assert_int_equal(asm_assemble_verified(source, strlen(source), 0, &code, &len, NULL, &diags), -22);
	assert_null(code);
	render(found, sizeof(found));
	assert_string_equal(found,
			    "2:3: not verified (VERIFICATION_FAILED, address 0009): ADD needs 2 values, but a path arrives with 1 "
			    "on the stack\n");
}

static void an_empty_program_is_refused_without_a_position(void **state)
{
	char found[512];
	uint8_t *code = NULL;
	uint32_t len;

	(void)state;
	diag_init(&diags, "t.vfm", "", 0);
	assert_int_equal(asm_assemble_verified("", 0, 0, &code, &len, NULL, &diags), -22);
	render(found, sizeof(found));
	assert_string_equal(found,
			    "0:0: not verified (INVALID_PROGRAM, address 0000): the program is empty: it needs at least a value "
			    "and RET\n");
}

/* ---- the disassembler ---- */

static void disassembles(const char *bytes, size_t n, unsigned flags, const char *expected)
{
	char *text = NULL;
	size_t text_bytes;
	FILE *out = open_memstream(&text, &text_bytes);

	assert_int_equal(dis_disassemble((const uint8_t *)bytes, (uint32_t)n, flags, out), 0);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

#define DISASSEMBLES(bytes, flags, expected) disassembles(bytes, sizeof(bytes) - 1, flags, expected)

static void disassembly_reads_well(void **state)
{
	(void)state;
	DISASSEMBLES("\x01\x0c\x00\x04\x00\x08\x00\x00\x00\x00\x00\x00\x12\x01\x00\x16\x16", 0,
		     "    LD16 12\n    PUSH 2048\n    JEQ L0010\n    RET\nL0010:\n    RET\n");
	DISASSEMBLES("\x34\x01\x00\x00\x01\x00\x3c\x00\x00\x00\x30\x00\x1a\x33\xff", 0,
		     "    TABLE 1, 65536, 60\n    FLOW_LOAD 0\n    FLOW_LOAD\n    FLOW_DEL 255\n");
	DISASSEMBLES("\x04\xff\xff\xff\xff\xff\xff\xff\xff", 0, "    PUSH -1\n");
	DISASSEMBLES("\x04\x10\x27\x00\x00\x00\x00\x00\x00", 0, "    PUSH 0x2710\n");
	DISASSEMBLES("\x11\x00\x00", 0, "    JMP L0003\nL0003:\n");
	/* Into the middle of an instruction, before the start, behind the end. */
	DISASSEMBLES("\x11\xfe\xff\x11\x00\x80\x11\x01\x00", 0, "    JMP -2\n    JMP -32768\n    JMP +1\n");
}

static void bytes_that_are_no_instruction_become_byte_lines(void **state)
{
	(void)state;
	DISASSEMBLES("\x18\x19\xff\x05", 0, "    .byte 0x18, 0x19, 0xff\n    POP\n");
	DISASSEMBLES("\x05\x04\x05\x05", 0, "    POP\n    .byte 0x04, 0x05, 0x05\n");
	DISASSEMBLES("\x05\x00", DIS_VERBOSE,
		     "    POP                     ;  (a -- )\n    .byte 0x00              ;  cut off by the end of the program\n");
	DISASSEMBLES("\xff", DIS_VERBOSE, "    .byte 0xff              ;  no such instruction\n");
}

static void comments_show_addresses_bytes_and_meaning(void **state)
{
	(void)state;
	DISASSEMBLES("\x05\x16", DIS_ADDRESSES, "    POP                     ; 0000\n    RET                     ; 0001\n");
	DISASSEMBLES("\x00\x17\x00", DIS_HEX, "    LD8 23                  ; 00 17 00\n");
	DISASSEMBLES("\x00\x17\x00", DIS_ADDRESSES | DIS_HEX, "    LD8 23                  ; 0000: 00 17 00\n");
	DISASSEMBLES("\x04\x00\x08\x00\x00\x00\x00\x00\x00", DIS_ADDRESSES | DIS_HEX | DIS_VERBOSE,
		     "    PUSH 2048               ; 0000: 04 00 08 00 00 00 00 00 00     push 0x800\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_instruction_has_its_opcode_and_operand),
		cmocka_unit_test(every_opcode_of_the_table_can_be_written),
		cmocka_unit_test(ret_with_a_value_is_push_and_ret),
		cmocka_unit_test(numbers_are_decimal_hexadecimal_or_binary),
		cmocka_unit_test(case_blanks_comments_and_line_ends_do_not_matter),
		cmocka_unit_test(labels_stand_for_addresses),
		cmocka_unit_test(jumps_reach_as_far_as_16_bits_go),
		cmocka_unit_test(bytes_are_written_as_they_are),
		cmocka_unit_test(unknown_instructions_get_the_nearest_name),
		cmocka_unit_test(missing_operands_are_named),
		cmocka_unit_test(operands_out_of_range_get_the_range),
		cmocka_unit_test(operands_of_the_wrong_kind_are_refused),
		cmocka_unit_test(what_follows_an_instruction_is_refused),
		cmocka_unit_test(labels_are_checked),
		cmocka_unit_test(jumps_too_far_say_how_far),
		cmocka_unit_test(strict_manual_refuses_extensions),
		cmocka_unit_test(a_program_beyond_65536_bytes_is_refused_where_it_grows_too_long),
		cmocka_unit_test(more_than_65536_labels_are_refused),
		cmocka_unit_test(input_that_is_no_text_is_refused),
		cmocka_unit_test(all_errors_are_reported_in_the_order_of_the_source),
		cmocka_unit_test(errors_beyond_the_64th_are_counted),
		cmocka_unit_test(long_lines_are_quoted_around_the_caret),
		cmocka_unit_test(the_map_leads_from_addresses_to_lines),
		cmocka_unit_test(the_verifiers_reason_is_said_at_the_line),
		cmocka_unit_test(an_empty_program_is_refused_without_a_position),
		cmocka_unit_test(disassembly_reads_well),
		cmocka_unit_test(bytes_that_are_no_instruction_become_byte_lines),
		cmocka_unit_test(comments_show_addresses_bytes_and_meaning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

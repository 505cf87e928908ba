"""vfm-asm and vfm-dis: every option form of the manual, every error's text and exit status. Bytes are written by hand."""
import os
import resource
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import tooltest as t  # noqa: E402

SOURCE = "LD8 23\nPUSH 6\nJEQ yes\nRET 0\nyes: RET 1\n"
CODE = bytes.fromhex("001700" "040600000000000000" "120a00" "040000000000000000" "16" "040100000000000000" "16")
TEXT = """    LD8 23
    PUSH 6
    JEQ L0019
    PUSH 0
    RET
L0019:
    PUSH 1
    RET
"""
SUMMARY = ": 35 bytes, 7 instructions, stack depth at most 2, no loop, paths join at equal depths\n"


class ToolCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.files = t.Scratch(self)
        self.source = self.files.write("a.vfm", SOURCE)
        self.code = self.files.write("a.bin", CODE)
        self.out = self.files.path("out")

    def bytes_of(self, path):
        with open(path, "rb") as f:
            return f.read()

    def expect(self, done, status, stdout, stderr):
        self.assertEqual((done.returncode, done.stdout, done.stderr), (status, stdout, stderr))


class Assembler(ToolCase):
    def assembles(self, *args, stderr="", **more):
        if os.path.exists(self.out):
            os.remove(self.out)
        self.expect(t.run("vfm-asm", *args, **more), 0, "", stderr)
        self.assertEqual(self.bytes_of(self.out), CODE)

    def fails(self, status, stderr, *args, **more):
        self.expect(t.run("vfm-asm", *args, **more), status, "", stderr)
        self.assertFalse(os.path.exists(self.out))

    def test_every_option_form_of_the_manual(self):
        self.assembles(self.source, "-o", self.out)
        self.assembles("-o", self.out, self.source)
        self.assembles("-o" + self.out, self.source)
        self.assembles("--output", self.out, self.source)
        self.assembles("--output=" + self.out, self.source)
        self.assembles("-v", self.source, "-o", self.out, stderr=self.source + SUMMARY)
        self.assembles("--verbose", self.source, "-o", self.out, stderr=self.source + SUMMARY)
        self.assembles("--strict-manual", self.source, "-o", self.out)

    def test_help_and_version(self):
        for option in ("-h", "--help"):
            done = t.run("vfm-asm", option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout.startswith("usage: vfm-asm [options] INPUT.vfm -o OUTPUT.bin\n"))
            for name in ("--output", "--verbose", "--strict-manual", "--no-verify", "--version", "--help"):
                self.assertIn(name, done.stdout)
        self.expect(t.run("vfm-asm", "--version"), 0, "vfm-asm 1.0.0\n", "")

    def test_standard_input_and_output(self):
        self.assembles("-", "-o", self.out, stdin=SOURCE.encode())
        raw = subprocess.run([t.program("vfm-asm"), "-v", "-", "-o", "-"], input=SOURCE.encode(), capture_output=True, timeout=60)
        self.assertEqual((raw.returncode, raw.stdout), (0, CODE))
        self.assertEqual(raw.stderr.decode(), "-" + SUMMARY)

    def test_wrong_command_lines(self):
        see = ": see vfm-asm --help\n"
        self.fails(2, "vfm-asm: no input file" + see)
        self.fails(2, "vfm-asm: no output file, -o FILE is required" + see, self.source)
        self.fails(2, "vfm-asm: no value for -o" + see, self.source, "-o")
        self.fails(2, "vfm-asm: unknown or ambiguous option -q" + see, "-q")
        self.fails(2, "vfm-asm: unknown or ambiguous option --ver" + see, "--ver")
        self.fails(2, "vfm-asm: unknown or ambiguous option --verbose=2" + see, "--verbose=2")
        self.fails(2, "vfm-asm: more than one input file, b.vfm" + see, self.source, "b.vfm", "-o", self.out)

    def test_wrong_files(self):
        missing = self.files.path("missing.vfm")
        self.fails(1, f"vfm-asm: cannot read {missing}: No such file or directory\n", missing, "-o", self.out)
        self.fails(1, f"vfm-asm: cannot read {self.files.dir.name}: Is a directory\n", self.files.dir.name, "-o", self.out)
        nowhere = self.files.path("no/where")
        self.fails(1, f"vfm-asm: cannot write {nowhere}: No such file or directory\n", self.source, "-o", nowhere)
        self.fails(1, "vfm-asm: cannot write /dev/full: No space left on device\n", self.source, "-o", "/dev/full")

    def test_a_result_that_cannot_be_written_whole_is_removed(self):
        done = subprocess.run([t.program("vfm-asm"), self.source, "-o", self.out], capture_output=True, timeout=60,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)), restore_signals=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.decode(), f"vfm-asm: cannot write {self.out}: File too large\n")
        self.assertFalse(os.path.exists(self.out))

    def test_errors_name_file_line_and_column_and_leave_the_old_result(self):
        old = self.files.write("old.bin", b"old")
        bad = self.files.write("bad.vfm", "PSH 1\n  JEQ there\n")
        self.fails(1, f"{bad}:1:1: error: unknown instruction 'PSH'; did you mean PUSH?\n    PSH 1\n    ^\n"
                   f"{bad}:2:7: error: unknown label 'there'; define it by writing 'there:' before an instruction\n"
                   "      JEQ there\n          ^\n", bad, "-o", old)
        self.assertEqual(self.bytes_of(old), b"old")

    def test_the_verifier_is_asked_unless_told_otherwise(self):
        bad = self.files.write("bad.vfm", "PUSH 1\nADD\nRET\n")
        self.fails(1, f"{bad}:2:1: error: not verified (VERIFICATION_FAILED, address 0009): "
                   "ADD needs 2 values, but a path arrives with 1 on the stack\n    ADD\n    ^\n", bad, "-o", self.out)
        self.expect(t.run("vfm-asm", "-v", "--no-verify", bad, "-o", self.out), 0, "", f"{bad}: 11 bytes, not verified\n")
        self.assertEqual(self.bytes_of(self.out), bytes.fromhex("040100000000000000" "08" "16"))

    def test_strict_manual(self):
        new = self.files.write("new.vfm", "PKTLEN\nRET\n")
        words = "PKTLEN is not in the manual; leave --strict-manual out, or write it with the manual's instructions"
        self.fails(1, f"{new}:1:1: error: {words}\n    PKTLEN\n    ^\n", "--strict-manual", new, "-o", self.out)
        raw = self.files.write("raw.vfm", ".byte 36\nRET\n")
        words = ("not verified (INVALID_OPCODE, address 0000): PKTLEN is not in the manual's instruction set: "
                 "leave out --strict-manual to allow extensions")
        self.fails(1, f"{raw}:1:1: error: {words}\n    .byte 36\n    ^\n", "--strict-manual", raw, "-o", self.out)

    def test_input_that_is_no_source(self):
        done = t.run("vfm-asm", self.code, "-o", self.out)
        self.assertEqual(done.returncode, 1)
        first = f"{self.code}:1:1: error: byte 0x00 is not text; give assembly source (vfm-dis reads bytecode)\n"
        self.assertTrue(done.stderr.startswith(first), done.stderr)
        self.assertNotIn("\0", done.stderr)
        empty = self.files.write("empty.vfm", "")
        self.fails(1, f"{empty}: error: not verified (INVALID_PROGRAM, address 0000): "
                   "the program is empty: it needs at least a value and RET\n", empty, "-o", self.out)

    def test_100_megabytes(self):
        large = self.files.path("large.vfm")
        with open(large, "wb") as f:
            f.truncate(100 << 20)
        self.fails(1, f"vfm-asm: cannot read {large}: it has more than 67108864 bytes; is this the right file?\n", large, "-o",
                   self.out)

    def test_megabytes_of_nonsense_and_of_instructions(self):
        megabytes = 64 if t.ALL else 8
        lines = megabytes << 17
        large = self.files.write("large.vfm", b"qqqqqqq\n" * lines)
        done = t.run("vfm-asm", large, "-o", self.out)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.count("unknown instruction 'qqqqqqq'"), 64)
        self.assertTrue(done.stderr.endswith(f"{large}: {lines - 64} more not shown: correct these first\n"))
        large = self.files.write("large.vfm", b"POP\n" * (megabytes << 18))
        self.fails(1, f"{large}:65537:1: error: the program grows beyond 65536 bytes here; split the filter\n    POP\n    ^\n",
                   large, "-o", self.out)


class Disassembler(ToolCase):
    def shows(self, expected, *args, **more):
        self.expect(t.run("vfm-dis", *args, **more), 0, expected, "")

    def test_every_option_form_of_the_manual(self):
        self.shows(TEXT, self.code)
        first = {"-a": "; 0000\n", "-x": "; 00 17 00\n", "-v": ";  push the byte at a packet offset\n", "-ax": "; 0000: 00 17 00\n"}
        first.update({"--addresses": first["-a"], "--hex": first["-x"], "--verbose": first["-v"]})
        for option, comment in first.items():
            done = t.run("vfm-dis", option, self.code)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout.startswith("    LD8 23                  " + comment), done.stdout)
            self.assertEqual(len(done.stdout.splitlines()), 8)
        self.assertEqual(t.run("vfm-dis", "-a", "-x", self.code).stdout, t.run("vfm-dis", "-ax", self.code).stdout)

    def test_output_to_a_file(self):
        self.shows("", self.code, self.out)
        self.assertEqual(self.files.read("out"), TEXT)
        self.shows("", "-a", "-x", self.code, self.out)
        self.assertIn("; 0000: 00 17 00\n", self.files.read("out"))
        self.shows("", self.code, self.out, "-v")

    def test_what_it_writes_assembles_to_the_same_bytes(self):
        for options in ([], ["-a"], ["-x"], ["-v"], ["-axv"]):
            t.run("vfm-dis", *options, self.code, self.out)
            self.expect(t.run("vfm-asm", self.out, "-o", self.files.path("again")), 0, "", "")
            self.assertEqual(self.bytes_of(self.files.path("again")), CODE)

    def test_standard_input_and_output(self):
        self.shows(TEXT, "-", stdin=CODE)
        self.shows(TEXT, self.code, "-")

    def test_help_and_version(self):
        for option in ("-h", "--help"):
            done = t.run("vfm-dis", option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout.startswith("usage: vfm-dis [options] INPUT.bin [OUTPUT.asm]\n"))
            for name in ("--addresses", "--hex", "--verbose", "--version", "--help"):
                self.assertIn(name, done.stdout)
        self.shows("vfm-dis 1.0.0\n", "--version")

    def test_wrong_command_lines(self):
        see = ": see vfm-dis --help\n"
        self.expect(t.run("vfm-dis"), 2, "", "vfm-dis: no input file" + see)
        self.expect(t.run("vfm-dis", "-q", self.code), 2, "", "vfm-dis: unknown or ambiguous option -q" + see)
        self.expect(t.run("vfm-dis", "--ver", self.code), 2, "", "vfm-dis: unknown or ambiguous option --ver" + see)
        self.expect(t.run("vfm-dis", "a", "b", "c"), 2, "", "vfm-dis: more than one output file, c" + see)

    def test_wrong_files(self):
        missing = self.files.path("missing.bin")
        self.expect(t.run("vfm-dis", missing), 1, "", f"vfm-dis: cannot read {missing}: No such file or directory\n")
        self.expect(t.run("vfm-dis", self.files.dir.name), 1, "", f"vfm-dis: cannot read {self.files.dir.name}: Is a directory\n")
        self.expect(t.run("vfm-dis", self.code, "/dev/full"), 1, "", "vfm-dis: cannot write /dev/full: No space left on device\n")
        large = self.files.path("large.bin")
        with open(large, "wb") as f:
            f.truncate(100 << 20)
        self.expect(t.run("vfm-dis", large), 1, "",
                    f"vfm-dis: cannot read {large}: a program has at most 65536 bytes; is this the right file?\n")

    def test_source_given_by_mistake_is_noticed(self):
        done = t.run("vfm-dis", self.source)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr, f"vfm-dis: {self.source}: warning: this looks like text, not bytecode: "
                         "assemble it with vfm-asm first\n")

    def test_garbage_disassembles(self):
        self.shows("    .byte 0xff, 0x18\n    POP\n    .byte 0x04\n", "-", stdin=b"\xff\x18\x05\x04")
        self.shows("", "-", stdin=b"")


if __name__ == "__main__":
    unittest.main()

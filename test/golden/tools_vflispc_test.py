"""vflispc: every option form of the manual, every error's text and exit status. Bytes are written by hand."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import tooltest as t  # noqa: E402

# LD8 23, PUSH 6, JNE +10, PUSH 1, RET, PUSH 0, RET
CODE = bytes.fromhex("001700" "040600000000000000" "130a00" "040100000000000000" "16" "040000000000000000" "16")
TEXT = """    LD8 23
    PUSH 6
    JNE L0019
    PUSH 1
    RET
L0019:
    PUSH 0
    RET
"""


class VflispcCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.files = t.Scratch(self)
        self.out = self.files.path("out.bin")

    def expect(self, args, status, stdout="", stderr="", stdin=b""):
        done = t.run("vflispc", *args, stdin=stdin)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (status, stdout, stderr))

    def read(self, path):
        with open(path, "rb") as f:
            return f.read()

    def test_an_expression_goes_to_a_file(self):
        self.expect(["-e", "(= proto 6)", "-o", self.out], 0)
        self.assertEqual(self.read(self.out), CODE)

    def test_a_source_file_goes_to_a_file(self):
        source = self.files.write("tcp.vfl", "; Accept TCP\n(= proto 6)\n")
        self.expect([source, "-o", self.out], 0)
        self.assertEqual(self.read(self.out), CODE)
        self.expect(["--output", self.out, "-v", source], 0, "", self.out + ": 35 bytes\n")

    def test_source_comes_from_standard_input(self):
        self.expect(["-", "-o", self.out], 0, stdin=b"(= proto 6)")
        self.assertEqual(self.read(self.out), CODE)

    def test_assembly_is_printed_with_a_comment_per_table(self):
        self.expect(["-S", "-e", "(= proto 6)"], 0, TEXT)
        done = t.run("vflispc", "-S", "-e", "(count-by src-ip dst-port)")
        self.assertTrue(done.stdout.startswith("; table 0: by src-ip dst-port\n    TABLE 0, 65536, 0\n"))

    def test_assembly_assembles_to_the_same_bytes(self):
        listing = self.files.path("a.vfm")
        again = self.files.path("again.bin")
        text = "(if (= ip.version 4) (token-bucket ip.src l4.dport 10 5) (rate-by ip6.src :per 2s))"
        self.expect(["-S", "-e", text, "-o", listing], 0)
        self.expect(["-e", text, "-o", self.out], 0)
        self.assertEqual(t.run("vfm-asm", listing, "-o", again).returncode, 0)
        self.assertEqual(self.read(again), self.read(self.out))

    def test_bytecode_is_verified(self):
        code = self.files.write("a.bin", CODE)
        self.expect(["-t", code], 0, code + ": valid, 35 bytes, 7 instructions, stack depth at most 2\n")
        bad = self.files.write("b.bin", CODE[:-1])
        done = t.run("vflispc", "-t", bad)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.startswith("vflispc: " + bad + ", byte "), done.stderr)
        self.assertTrue(done.stderr.endswith(": compile it again from its source\n"), done.stderr)

    def test_bytecode_is_disassembled(self):
        code = self.files.write("a.bin", CODE)
        self.expect(["-d", code], 0, TEXT)
        self.expect(["--disassemble=" + code], 0, TEXT)

    def test_errors_of_the_source_show_the_place(self):
        source = self.files.write("bad.vfl", "(and (= proto 6)\n     (= dst-prot 80))\n")
        self.expect([source, "-o", self.out], 1, "",
                    source + ":2:9: error: unknown name 'dst-prot'; did you mean 'dst-port'?\n"
                    "         (= dst-prot 80))\n"
                    "            ^\n"
                    "vflispc: " + source + ": 1 error: nothing was written\n")
        self.assertFalse(os.path.exists(self.out))

    def test_a_warning_does_not_keep_it_from_writing(self):
        self.expect(["-e", "(table t) (= proto 6)", "-o", self.out], 0, "",
                    "-e:1:8: warning: table 't' is never used; remove it or name it with :table\n"
                    "    (table t) (= proto 6)\n"
                    "           ^\n")

    def test_files_that_cannot_be_had_are_named(self):
        missing = self.files.path("missing.vfl")
        self.expect([missing, "-o", self.out], 1, "", "vflispc: " + missing + ": cannot read it: No such file or directory\n")
        self.expect(["-t", missing], 1, "", "vflispc: " + missing + ": cannot read it: No such file or directory\n")
        nowhere = self.files.path("no/such/dir")
        self.expect(["-e", "1", "-o", nowhere], 1, "", "vflispc: " + nowhere + ": cannot write it: No such file or directory\n")
        large = self.files.write("large.bin", b"\x16" * 65537)
        self.expect(["-t", large], 1, "",
                    "vflispc: " + large + ": has more than 65536 bytes, so it is no program: give a .bin file\n")

    def test_wrong_command_lines_exit_2(self):
        see = ": see vflispc --help\n"
        for args, what in (
                ([], "no source, give -e EXPRESSION or INPUT.vfl"),
                (["-e", "1"], "no output file, -o FILE or -S is required"),
                (["-e", "1", "a.vfl", "-o", "x"], "both -e and an input file, a.vfl"),
                (["a.vfl", "b.vfl", "-o", "x"], "more than one input file, b.vfl"),
                (["-t", "a.bin", "-d", "b.bin"], "more than one of -t and -d"),
                (["-t", "a.bin", "b.bin"], "-t and -d take one file and no source"),
                (["-o"], "no value for -o"),
                (["--frobnicate"], "unknown or ambiguous option --frobnicate")):
            self.expect(args, 2, "", "vflispc: " + what + see)

    def test_help_and_version(self):
        done = t.run("vflispc", "-h")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for option in ("-e", "-o", "-S", "-t", "-d", "-v", "--dump", "--version", "-h"):
            self.assertIn(option, done.stdout)
        self.assertEqual(t.run("vflispc", "--help").stdout, done.stdout)
        self.assertEqual(t.run("vflispc", "--version").stdout, "vflispc 1.0.0\n")

    def test_every_pass_is_dumped(self):
        done = t.run("vflispc", "--dump", "-S", "-e", "(= proto (+ 2 4))")
        self.assertEqual(done.stdout, TEXT)
        for heading in ("; checked\n(= proto (+ 2 4))\n", "; folded\n(= (ld8 23) 6)\n", "; lowered\n", "; threaded\n"):
            self.assertIn(heading, done.stderr)


if __name__ == "__main__":
    unittest.main()

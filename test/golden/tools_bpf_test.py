"""vfm-bpf: its forms are tcpdump's, every error's text and exit status, and tcpdump's own compiler as a second opinion."""
import os
import re
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import tooltest as t  # noqa: E402

SOURCE = "LD16 12\nPUSH 0x800\nJNE no\nLD8 23\nPUSH 6\nJNE no\nRET 1\nno: RET 0\n"
# What tcpdump -d "ether[12:2] = 0x800 and ether[23] = 6" prints, with its snapshot length replaced.
LISTING = """(000) ldh      [12]
(001) jeq      #0x800           jt 2	jf 5
(002) ldb      [23]
(003) jeq      #0x6             jt 4	jf 5
(004) ret      #-1
(005) ret      #0
"""
WORDS = [(40, 0, 0, 12), (21, 0, 3, 0x800), (48, 0, 0, 23), (21, 0, 1, 6), (6, 0, 0, 0xFFFFFFFF), (6, 0, 0, 0)]


class Bpf(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.files = t.Scratch(self)
        self.source = self.files.write("a.vfm", SOURCE)

    def expect(self, status, stdout, stderr, *args, **more):
        done = t.run("vfm-bpf", *args, **more)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (status, stdout, stderr))

    def test_the_forms_are_those_of_tcpdump(self):
        self.expect(0, LISTING, "", self.source)
        self.expect(0, LISTING, "", "-d", self.source)
        c = "".join("{ 0x%x, %d, %d, 0x%08x },\n" % w for w in WORDS)
        self.expect(0, c, "", "-dd", self.source)
        self.expect(0, c, "", "-d", "-d", self.source)
        decimal = "%d\n" % len(WORDS) + "".join("%d %d %d %d\n" % w for w in WORDS)
        self.expect(0, decimal, "", "-ddd", self.source)

    def test_raw_bytes_are_struct_sock_filter(self):
        out = self.files.path("out")
        for args in (["-r", "-o", out], ["--raw", "--output=" + out]):
            self.expect(0, "", "", *args, self.source)
            with open(out, "rb") as f:
                self.assertEqual(f.read(), b"".join(struct.pack("=HBBI", *w) for w in WORDS))

    def test_standard_input(self):
        self.expect(0, LISTING, "", "-", stdin=SOURCE.encode())

    def test_help_and_version(self):
        self.expect(0, "vfm-bpf 1.0.0\n", "", "--version")
        done = t.run("vfm-bpf", "--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for name in ("-d ", "-dd ", "-ddd ", "--raw", "--expression", "--output", "--version", "--help"):
            self.assertIn(name, done.stdout)

    def test_wrong_command_lines(self):
        see = ": see vfm-bpf --help\n"
        self.expect(2, "", "vfm-bpf: no filter" + see)
        self.expect(2, "", "vfm-bpf: more than one filter, b" + see, "a", "b")
        self.expect(2, "", "vfm-bpf: more than three -d" + see, "-dddd", "a")
        self.expect(2, "", "vfm-bpf: -d and --raw exclude each other" + see, "-d", "-r", "a")
        self.expect(2, "", "vfm-bpf: no value for -o" + see, "a", "-o")
        self.expect(2, "", "vfm-bpf: unknown or ambiguous option --nonsense" + see, "--nonsense")

    def test_wrong_files(self):
        self.expect(1, "", "vfm-bpf: cannot write /dev/full: No space left on device\n", self.source, "-o", "/dev/full")
        done = t.run("vfm-bpf", self.files.path("missing.vfm"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file or directory", done.stderr)

    def test_what_bpf_cannot_do_is_refused_with_the_reason(self):
        table = self.files.write("t.vfm", "PUSH 1\nFLOW_LOAD\nRET\n")
        self.expect(1, "", f"vfm-bpf: {table}: no BPF: at 9 FLOW_LOAD: BPF has no tables\n", table)

    def test_tcpdump_makes_the_same_of_the_same_filter(self):
        try:
            done = subprocess.run(["tcpdump", "-d", "-y", "EN10MB", "ether[12:2] = 0x800 and ether[23] = 6"], capture_output=True,
                                  timeout=60)
        except FileNotFoundError:
            self.skipTest("SKIP no tcpdump")
        if done.returncode:
            self.skipTest("SKIP tcpdump -d wants a right that is not there")
        self.assertEqual(re.sub(r"#262144", "#-1", done.stdout.decode()), LISTING)


if __name__ == "__main__":
    unittest.main()

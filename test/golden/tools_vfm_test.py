"""vfm-test: every option form, every output form, every error's text and exit status. Expected values are derived in comments."""
import ctypes
import json
import os
import pty
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import tooltest as t  # noqa: E402

# SYNs of one source beyond the second are dropped; everything else that is long enough passes. A frame without byte 47: BOUNDS.
SYN_LIMIT = """
        LD8 47
        PUSH 2
        AND
        PUSH 2
        JNE accept
        LD32 26
        PUSH 1
        FLOW_ADD
        PUSH 2
        JGT drop
accept: RET 1
drop:   RET 0
"""
A, B = "10.0.0.1", "10.0.0.2"
SHORT = b"\0" * 47
# Per packet: SYN 1 of A, SYN 1 of B, SYN 2 of A, SYN 3 of A (dropped), a frame of 47 bytes, SYN 2 of B.
PACKETS = [(10**6 + i, f) for i, f in enumerate([t.syn(A), t.syn(B), t.syn(A), t.syn(A), SHORT, t.syn(B)])]
VERDICTS = "1\n1\n1\n0\nBOUNDS\n1\n"
TABLE = "0 0x000000000a000001 0x0000000000000003\n0 0x000000000a000002 0x0000000000000002\n"
SUMMARY = "6 packets: 4 accepted (0 to log), 1 dropped, 1 in error\n"
# Returns byte 0 of the frame.
FIRST_BYTE = "LD8 0\nRET\n"


class VfmTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.files = t.Scratch(self)
        self.filter = self.files.write("syn.vfm", SYN_LIMIT)
        self.capture = self.files.write("a.pcap", t.pcap(PACKETS))

    def run_ok(self, *args, **more):
        done = t.run("vfm-test", *args, **more)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def run_bad(self, status, stderr, *args, **more):
        done = t.run("vfm-test", *args, **more)
        self.assertEqual((done.stderr, done.returncode), (stderr, status))
        return done.stdout

    def json_of(self, *args):
        return json.loads(self.run_ok("--json", *args))

    def bytes_capture(self, values, name="b.pcap"):
        return self.files.write(name, t.pcap([(i, bytes([v]) + b"\0" * 59) for i, v in enumerate(values)]))


class Output(VfmTest):
    def test_without_options_one_line_sums_up(self):
        self.assertEqual(self.run_ok(self.filter, self.capture), SUMMARY)

    def test_verdict_file_and_table_file_have_the_fixed_forms(self):
        self.run_ok("--verdicts", self.files.path("v"), "--table", self.files.path("t"), self.filter, self.capture)
        self.assertEqual(self.files.read("v"), VERDICTS)
        self.assertEqual(self.files.read("t"), TABLE)

    def test_verdict_and_table_file_go_to_standard_output_too(self):
        self.assertEqual(self.run_ok("--verdicts", "-", self.filter, self.capture), VERDICTS + SUMMARY)
        self.assertEqual(self.run_ok("--table", "-", self.filter, self.capture), TABLE + SUMMARY)

    def test_json_has_every_key(self):
        got = self.json_of(self.filter, self.capture)
        self.assertGreater(got.pop("seconds"), 0)
        self.assertGreater(got.pop("pps"), 0)
        self.assertEqual(got, {
            "packets": 6, "accept": 4, "drop": 1, "log": 0,
            "errors": {"BOUNDS": 1, "DIVISION_BY_ZERO": 0, "LIMIT": 0, "GUARD": 0},
            "verdicts": {"0": 1, "1": 4},
            "table": {"entries": 2, "capacity": 65536, "shards": 1, "fullest": 2, "evictions": 0, "expired": 0, "ignored": 0},
            "time_back": 0, "cut": 0,
            "tiers": {"interp": 6, "scalar": 0, "avx2": 0, "avx512": 0, "fallback": 0},
        })

    def test_accept_log_and_drop_follow_from_the_value(self):
        got = self.json_of(self.files.write("f.vfm", FIRST_BYTE), self.bytes_capture([0, 1, 2, 255, 2]))
        self.assertEqual([got[k] for k in ("packets", "accept", "drop", "log")], [5, 4, 1, 3])
        self.assertEqual(got["verdicts"], {"0": 1, "1": 1, "2": 2, "255": 1})

    def test_values_of_64_bits_are_shown_whole(self):
        big = self.files.write("f.vfm", "PUSH -1\nRET\n")
        self.run_ok("--verdicts", self.files.path("v"), big, self.capture)
        self.assertEqual(self.files.read("v"), "18446744073709551615\n" * 6)
        self.assertEqual(self.json_of(big, self.capture)["verdicts"], {"18446744073709551615": 6})

    def test_more_different_values_than_are_counted_singly_are_summed(self):
        capture = self.files.write("w.pcap", t.pcap([(i, i.to_bytes(2, "big") + b"\0" * 58) for i in range(300)]))
        got = self.json_of(self.files.write("f.vfm", "LD16 0\nRET\n"), capture)
        self.assertEqual(got["verdicts"].pop("other"), 44)
        self.assertEqual(got["verdicts"], {str(i): 1 for i in range(256)})
        self.assertEqual(got["packets"], got["accept"] + got["drop"] + sum(got["errors"].values()))

    def test_division_by_zero_and_limit_are_named(self):
        divide = self.files.write("f.vfm", "PUSH 5\nLD8 0\nDIV\nRET\n")  # 5 / byte 0
        self.run_ok("--verdicts", self.files.path("v"), divide, self.bytes_capture([1, 0, 5]))
        self.assertEqual(self.files.read("v"), "5\nDIVISION_BY_ZERO\n1\n")
        # Counts byte 0 down to 0: 1 + 6 n + 3 instructions and more than 100 for n = 50.
        loop = self.files.write("l.vfm", "LD8 0\nl: DUP\nPUSH 0\nJEQ out\nPUSH 1\nSUB\nJMP l\nout: RET 7\n")
        self.run_ok("--limit", "100", "--verdicts", self.files.path("v"), loop, self.bytes_capture([3, 50, 0]))
        self.assertEqual(self.files.read("v"), "7\nLIMIT\n7\n")

    def test_statistics_have_verdicts_values_and_tables(self):
        for form in (["-s"], ["--stats"], ["--st"]):
            lines = self.run_ok(*form, self.filter, self.capture).splitlines()
            self.assertRegex(lines.pop(), r"^\d+\.\d{3} seconds, \d+ packets a second$")
            self.assertEqual("\n".join(lines), """\
packets                           6  100.0 %
  accept                          4   66.7 %
    to log                        0    0.0 %
  drop                            1   16.7 %
  error                           1   16.7 %
    BOUNDS                        1   16.7 %
returned value
  0                               1   16.7 %
  1                               4   66.7 %
table           entries     capacity    evictions      expired
  0                   2        65536            0            0""")

    def test_verbose_prints_each_packet(self):
        for form in (["-v"], ["--verbose"]):
            self.assertEqual(self.run_ok(*form, self.filter, self.capture), """\
packet 1  1.000000 s  54 bytes  1  accept
packet 2  1.000001 s  54 bytes  1  accept
packet 3  1.000002 s  54 bytes  1  accept
packet 4  1.000003 s  54 bytes  0  drop
packet 5  1.000004 s  47 bytes  BOUNDS  error
packet 6  1.000005 s  54 bytes  1  accept
""" + SUMMARY)

    def test_the_manuals_form_with_statistics_and_verbose(self):
        lines = self.run_ok("-s", "-v", self.filter, self.capture).splitlines()
        self.assertEqual(lines[0], "packet 1  1.000000 s  54 bytes  1  accept")
        self.assertEqual(lines[6], "packets                           6  100.0 %")

    def test_help_and_version(self):
        for form in ("-h", "--help"):
            self.assertTrue(self.run_ok(form).startswith("usage: vfm-test [options] FILTER CAPTURE..."))
        self.assertRegex(self.run_ok("--version"), r"^vfm-test \d+\.\d+")

    def test_a_terminal_sees_a_progress_line_on_long_captures(self):
        # Pace the packets through standard input, so that the line's period passes.
        whole = t.pcap([(i, t.syn(A)) for i in range(2000)])
        try:
            ours, theirs = pty.openpty()
        except OSError as none:  # a container without /dev/pts
            self.skipTest(f"SKIP no pseudo-terminal here: {none}")
        with subprocess.Popen([t.program("vfm-test"), self.filter, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=theirs) as p:
            os.close(theirs)
            half = 24 + 1000 * 70
            p.stdin.write(whole[:half])
            p.stdin.flush()
            seen = b""
            time.sleep(0.5)
            p.stdin.write(whole[half:])
            p.stdin.close()
            summary = p.stdout.read()
            try:
                while chunk := os.read(ours, 4096):
                    seen += chunk
            except OSError:
                pass  # the terminal's other side is closed
            os.close(ours)
        self.assertEqual(summary, b"2000 packets: 2 accepted (0 to log), 1998 dropped, 0 in error\n")
        self.assertRegex(seen, rb"\r\d+ packets, \d+\.\d\d million a second, capture 1 of 1\x1b\[K")
        self.assertTrue(seen.endswith(b"\r\x1b[K"))


class State(VfmTest):
    def test_several_captures_are_one_run(self):
        # A has had 3 SYNs, B 2: from now on every SYN is one too many.
        self.assertEqual(self.run_ok(self.filter, self.capture, self.capture),
                         "12 packets: 4 accepted (0 to log), 6 dropped, 2 in error\n")

    def test_capacity_holds_for_every_table_and_evictions_are_counted(self):
        sources = [f"10.0.0.{i}" for i in range(1, 9)]
        capture = self.files.write("c.pcap", t.pcap([(0, t.syn(s)) for s in sources]))
        declared = self.files.write("d.vfm", "TABLE 0 1000 0\n" + SYN_LIMIT)
        for name in (self.filter, declared):
            table = self.json_of("--capacity", "4", name, capture)["table"]
            self.assertEqual((table["entries"], table["capacity"], table["evictions"]), (4, 4, 4))
        self.assertEqual(self.json_of(declared, capture)["table"]["capacity"], 1000)

    def test_flat_has_no_capacity(self):
        table = self.json_of("--flat", self.filter, self.capture)["table"]
        self.assertEqual((table["entries"], table["capacity"]), (2, None))
        self.run_ok("--flat", "--verdicts", self.files.path("v"), "--table", self.files.path("t"), self.filter, self.capture)
        self.assertEqual((self.files.read("v"), self.files.read("t")), (VERDICTS, TABLE))
        self.assertIn("  0                   2    unlimited            -            -\n",
                      self.run_ok("--flat", "-s", self.filter, self.capture))

    def test_idle_entries_expire_by_packet_time(self):
        # SYNs of A at seconds 0, 0, 2, 2, 5, with 2 s idle: 1, 2, 3 (2 - 0 does not exceed 2), 4, then 1 again.
        capture = self.files.write("c.pcap", t.pcap([(s * 10**6, t.syn(A)) for s in (0, 0, 2, 2, 5)]))
        declared = self.files.write("d.vfm", "TABLE 0 1000 2\n" + SYN_LIMIT)
        for args in (["--idle", "2", self.filter], [declared], ["--flat", declared], ["--flat", "--idle", "2", self.filter]):
            self.run_ok("--verdicts", self.files.path("v"), *args, capture)
            self.assertEqual(self.files.read("v"), "1\n1\n0\n0\n1\n")
        self.run_ok("--idle", "0", "--verdicts", self.files.path("v"), declared, capture)
        self.assertEqual(self.files.read("v"), "1\n1\n0\n0\n0\n")
        self.assertEqual(self.json_of(declared, capture)["table"]["expired"], 1)

    def test_time_going_back_is_held_and_counted(self):
        capture = self.files.write("c.pcap", t.pcap([(5 * 10**6, SHORT), (3 * 10**6, SHORT), (6 * 10**6, SHORT)]))
        now = self.files.write("n.vfm", "NOW\nRET\n")
        self.run_ok("--verdicts", self.files.path("v"), now, capture)
        self.assertEqual(self.files.read("v"), "5000000\n5000000\n6000000\n")
        self.assertEqual(self.json_of(now, capture)["time_back"], 1)
        self.assertIn("time went back and was held: 1 packets\n", self.run_ok("-s", now, capture))

    def test_time_of_a_later_capture_does_not_go_back_either(self):
        early = self.files.write("e.pcap", t.pcap([(10**6, SHORT)]))
        late = self.files.write("l.pcap", t.pcap([(9 * 10**6, SHORT)]))
        now = self.files.write("n.vfm", "NOW\nRET\n")
        self.run_ok("--verdicts", self.files.path("v"), now, late, early)
        self.assertEqual(self.files.read("v"), "9000000\n9000000\n")

    def test_packets_above_65535_bytes_are_cut_and_counted(self):
        capture = self.files.write("c.pcap", t.pcap([(0, b"\0" * 65535), (0, b"\0" * 65536), (0, b"\0" * 100000)]))
        length = self.files.write("n.vfm", "PKTLEN\nRET\n")
        self.run_ok("--verdicts", self.files.path("v"), length, capture)
        self.assertEqual(self.files.read("v"), "65535\n" * 3)
        self.assertEqual(self.json_of(length, capture)["cut"], 2)
        self.assertIn("longer than 65535 bytes and cut: 2 packets\n", self.run_ok("-s", length, capture))

    def test_preload_fills_a_table_that_is_never_evicted_from(self):
        # A has had two SYNs before the capture begins.
        for preload in ("0 0x000000000a000001 0x0000000000000002\n", "# by hand\n\n  0 167772161 2\r\n"):
            for more in ([], ["--flat"], ["--capacity", "1"]):
                self.run_ok("--preload", self.files.write("p", preload), "--verdicts", self.files.path("v"), *more, self.filter,
                            self.capture)
                self.assertEqual(self.files.read("v"), "0\n1\n0\n0\nBOUNDS\n1\n")

    def test_a_table_file_is_a_preload_file(self):
        self.run_ok("--table", self.files.path("t"), self.filter, self.capture)
        self.run_ok("--preload", self.files.path("t"), "--table", self.files.path("u"), self.filter,
                    self.files.write("none.pcap", t.pcap([])))
        self.assertEqual(self.files.read("u"), TABLE)


class Inputs(VfmTest):
    def test_a_filter_may_be_bytecode_or_assembly_or_come_from_standard_input(self):
        binary = self.files.path("x.bin")
        self.assertEqual(t.run("vfm-asm", self.filter, "-o", binary).returncode, 0)
        with open(binary, "rb") as f:
            code = f.read()
        self.assertEqual(self.run_ok(binary, self.capture), SUMMARY)
        self.assertEqual(self.run_ok(self.files.write("nameless", code), self.capture), SUMMARY)
        self.assertEqual(self.run_ok("-", self.capture, stdin=code), SUMMARY)
        self.assertEqual(self.run_ok("-", self.capture, stdin=SYN_LIMIT.encode()), SUMMARY)

    def test_a_filter_may_be_vflisp_in_a_file_or_on_the_command_line(self):
        # Four SYNs of TCP and one more, and a frame without byte 23 behind a cut.
        expression = "(= proto 6)"
        capture = self.files.write("d.pcap", t.pcap(PACKETS + [(2 * 10**6, SHORT[:20])]))
        expected = "7 packets: 5 accepted (0 to log), 1 dropped, 1 in error\n"
        self.assertEqual(self.run_ok("-e", expression, capture), expected)
        self.assertEqual(self.run_ok("--expression", expression, capture), expected)
        self.assertEqual(self.run_ok("--expression=" + expression, capture), expected)
        self.assertEqual(self.run_ok(self.files.write("f.vfl", expression), capture), expected)
        # Without a known ending the first token decides, comments left aside.
        self.assertEqual(self.run_ok(self.files.write("f", "; LD8 23\n\n  " + expression), capture), expected)
        self.assertEqual(self.run_ok(self.files.write("g", "; (= proto 6)\nLD8 23\nPUSH 6\nJEQ y\nRET 0\ny: RET 1\n"), capture), expected)

    def test_a_capture_may_come_from_standard_input(self):
        self.assertEqual(self.run_ok(self.filter, "-", stdin=t.pcap(PACKETS)), SUMMARY)

    def test_both_byte_orders_and_nanoseconds(self):
        now = self.files.write("n.vfm", "NOW\nRET\n")
        for order, magic, expected in (("<", 0xA1B2C3D4, 7000123), (">", 0xA1B2C3D4, 7000123), ("<", 0xA1B23C4D, 7000000),
                                       (">", 0xA1B23C4D, 7000000)):
            capture = self.files.write("c.pcap", t.pcap([(7000123, SHORT)], order=order, magic=magic))
            self.run_ok("--verdicts", self.files.path("v"), now, capture)
            self.assertEqual(self.files.read("v"), f"{expected}\n")

    def test_options_may_stand_behind_the_names(self):
        self.assertIn('"packets":6', self.run_ok(self.filter, self.capture, "--json"))

    def test_an_empty_capture_gives_zeros(self):
        empty = self.files.write("none.pcap", t.pcap([]))
        self.assertEqual(self.run_ok(self.filter, empty), "0 packets: 0 accepted (0 to log), 0 dropped, 0 in error\n")
        self.assertEqual(self.json_of(self.filter, empty)["verdicts"], {})
        self.assertIn("packets                           0    0.0 %", self.run_ok("-s", self.filter, empty))


class Errors(VfmTest):
    def usage(self, text, *args):
        self.assertEqual(self.run_bad(2, f"vfm-test: {text}: see vfm-test --help\n", *args), "")

    def test_a_wrong_command_line_exits_2_and_says_why(self):
        f, c = self.filter, self.capture
        self.usage("no filter")
        self.usage("no capture", f)
        self.usage("no capture", "-e", "(= proto 6)")
        self.usage("unknown or ambiguous option --frobnicate", "--frobnicate", f, c)
        self.usage("unknown or ambiguous option -z", "-z", f, c)
        self.usage("no value for --limit", f, c, "--limit")
        self.usage("no value for -e", f, c, "-e")
        for text in ("0", "-1", "x", "5x", "", "268435457"):
            self.usage(f"--capacity takes a number from 1 to 268435456, not {text}", "--capacity", text, f, c)
        for text in ("-1", "1.5", "4294967296"):
            self.usage(f"--idle takes seconds from 0 to 4294967295, not {text}", "--idle", text, f, c)
        for text in ("0", "99999999999999999999999"):
            self.usage(f"--limit takes a number from 1 to 4294967295, not {text}", "--limit", text, f, c)
        for text in ("0", "3", "131072"):
            self.usage(f"--shards takes a power of two up to 65536, not {text}", "--shards", text, f, c)
        self.usage("--engine takes interp, jit or burst, not warp", "--engine", "warp", f, c)
        self.usage("--shards above 1 needs the proof that the program may be split: add --certificate", "--shards", "4", f, c)
        self.usage("--flat with --shards, but the flat machine is not split", "--flat", "--shards", "4", "--certificate", "x", f, c)
        self.usage("--flat with --capacity, but flat tables have none", "--flat", "--capacity", "4", f, c)
        self.usage("--json with -s or -v, of which only one can have standard output", "--json", "-s", f, c)
        self.usage("--json with -s or -v, of which only one can have standard output", "--json", "-v", f, c)
        self.usage("more than one of --json, --verdicts - and --table - for standard output", "--json", "--table", "-", f, c)
        self.usage("more than one input from standard input", "-", "-")
        self.usage("more than one input from standard input", f, c, "-", "-")

    def test_an_unusable_filter_exits_1_and_says_where(self):
        bad = self.files.write("bad.vfm", "RET 1\nPUSHH 3\n")
        done = t.run("vfm-test", bad, self.capture)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertTrue(done.stderr.startswith(f"{bad}:2:1: error: "), done.stderr)
        self.assertIn("\n    PUSHH 3\n    ^\n", done.stderr)

    def test_a_program_that_the_verifier_refuses_is_shown_at_its_line(self):
        bad = self.files.write("bad.vfm", "; comment\n    POP\n    RET 1\n")
        self.run_bad(1, f"{bad}:2:5: error: not verified (VERIFICATION_FAILED, address 0000): POP needs 1 value, but a path arrives "
                     "with 0 on the stack\n        POP\n        ^\n", bad, self.capture)
        self.run_bad(1, f"{self.files.path('bad.bin')}: error: not verified (VERIFICATION_FAILED, address 0000): POP needs 1 value, but "
                     "a path arrives with 0 on the stack\n", self.files.write("bad.bin", b"\x05\x16"), self.capture)

    def test_an_unusable_expression_exits_1_and_says_where(self):
        done = t.run("vfm-test", "-e", "(= protoo 6)", self.capture)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertTrue(done.stderr.startswith("expression:1:4: error: "), done.stderr)
        self.assertIn("proto", done.stderr.splitlines()[0])
        self.assertIn("\n    (= protoo 6)\n       ^\n", done.stderr)

    def test_a_filter_that_cannot_be_read_exits_1(self):
        advice = "give a filter as bytecode, assembly or VFLisp"
        missing, empty = self.files.path("missing.vfm"), self.files.write("empty.vfm", "")
        self.run_bad(1, f"{missing}: error: No such file or directory: {advice}\n", missing, self.capture)
        self.run_bad(1, f"{empty}: error: the file is empty: {advice}\n", empty, self.capture)
        self.run_bad(1, f"{self.files.dir.name}: error: Is a directory: {advice}\n", self.files.dir.name, self.capture)

    def test_a_capture_given_as_filter_is_told(self):
        big = self.files.write("big.pcap", t.pcap([(0, b"\0" * 65000), (0, b"\0" * 65000)]))
        self.run_bad(1, f"{big}: error: bytecode of 130056 bytes, but a program has at most 65536: give a program (is this a "
                     "capture?)\n", big, self.capture)

    def test_an_unusable_capture_exits_1_before_any_packet_runs(self):
        advice = "give a pcap or pcapng capture"
        missing = self.files.path("missing.pcap")
        self.assertEqual(self.run_bad(1, f"vfm-test: No such file or directory, {missing}: {advice}\n", "-v", self.filter,
                                      self.capture, missing), "")
        words = self.files.write("words.pcap", "words only, no capture here")
        self.run_bad(1, f"vfm-test: unknown file format, {words}: {advice}\n", self.filter, words)
        nothing = self.files.write("nothing.pcap", b"")
        self.run_bad(1, f"vfm-test: truncated dump file; tried to read 4 file header bytes, only got 0, {nothing}: {advice}\n",
                     self.filter, nothing)
        self.run_bad(1, f"vfm-test: unknown file format, standard input: {advice}\n", self.filter, "-", stdin=b"12345678" * 9)

    def test_link_types_other_than_ethernet_are_refused_by_name(self):
        other = self.files.write("raw.pcap", t.pcap(PACKETS, link_type=12))
        self.run_bad(1, f"vfm-test: link type RAW (Raw IP) instead of Ethernet, {other}: filters count from the Ethernet header; "
                     "capture on an Ethernet interface or rewrite the file with Ethernet headers\n", self.filter, other)

    def test_a_damaged_capture_exits_3_with_what_was_read_and_the_next_is_still_run(self):
        cut = self.files.write("cut.pcap", t.pcap(PACKETS)[:-1])
        text = (f"vfm-test: truncated dump file; tried to read 54 captured bytes, only got 53, {cut} after packet 5: results cover "
                "what lies before; mend the rest or take it again\n")
        self.assertEqual(self.run_bad(3, text, self.filter, cut), "5 packets: 3 accepted (0 to log), 1 dropped, 1 in error\n")
        # The second capture adds 6 packets: B's first SYN there is its second, all other SYNs are too many.
        self.assertEqual(self.run_bad(3, text, self.filter, cut, self.capture),
                         "11 packets: 4 accepted (0 to log), 5 dropped, 2 in error\n")
        self.assertEqual(json.loads(self.run_bad(3, text, "--json", self.filter, cut))["packets"], 5)

    def test_outputs_that_cannot_be_written_exit_1(self):
        advice = "name a file that can be written"
        for option in ("--verdicts", "--table"):
            self.run_bad(1, f"vfm-test: No such file or directory, /nowhere/at/all: {advice}\n", option, "/nowhere/at/all",
                         self.filter, self.capture)
            self.run_bad(1, "vfm-test: not all could be written, /dev/full: make room\n", option, "/dev/full", self.filter,
                         self.capture)

    def test_a_wrong_preload_file_exits_1_with_every_wrong_line(self):
        form = "decimal or 0x..."
        p = self.files.write("p", "0 1 2\n1 1 1\n0 x 1\n0 1\n0 1 2 3\n0 0x10000000000000000 1\n-0 1 1\n")
        lines = t.run("vfm-test", "--preload", p, self.filter, self.capture).stderr.splitlines()
        self.assertEqual([s for s in lines if s.startswith(p)], [
            f"{p}:2: error: the program has no table 1: remove the line or use the table in the program",
            f"{p}:3:3: error: a key below 2^64 expected: a line is `table key value`, {form}",
            f"{p}:4:4: error: a value below 2^64 expected: a line is `table key value`, {form}",
            f"{p}:5:7: error: text after the value: a line is `table key value`",
            f"{p}:6:3: error: a key below 2^64 expected: a line is `table key value`, {form}",
            f"{p}:7:1: error: a table number below 2^64 expected: a line is `table key value`, {form}",
        ])
        self.run_bad(1, f"{p}: error: key 0x0000000000000001 of table 0 is given twice: keep one of its lines\n", "--preload",
                     self.files.write("p", "0 1 2\n0 0x1 3\n"), self.filter, self.capture)
        self.run_bad(1, "vfm-test: No such file or directory, /nowhere: give a file of lines `table key value`\n", "--preload",
                     "/nowhere", self.filter, self.capture)

    def test_every_engine_gives_the_same_verdicts_and_tables(self):
        seen = set()
        for engine in ("interp", "jit", "burst"):
            v, table = self.files.path("v"), self.files.path("t")
            done = t.run("vfm-test", "--engine", engine, "--verdicts", v, "--table", table, self.filter, self.capture)
            self.assertEqual(done.returncode, 0)
            with open(v) as a, open(table) as b:
                seen.add((a.read(), b.read()))
        self.assertEqual(len(seen), 1)

    def run_burst(self, **how):
        return subprocess.run([t.program("vfm-test"), "--engine", "burst", self.filter, self.capture], capture_output=True, timeout=60,
                              **how)

    def test_without_machine_code_it_says_so_once(self):
        done = self.run_burst(env=dict(os.environ, VFM_JIT="interp"))
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr.decode(), "vfm-test: no machine code (VFM_JIT=interp), --engine burst: interpreting instead\n")

    def test_without_executable_memory_it_interprets(self):
        libc = ctypes.CDLL(None)
        refuse_exec_gain = (65, 1, 0, 0, 0)  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN: Linux 6.3
        if subprocess.run(["true"], preexec_fn=lambda: libc.prctl(*refuse_exec_gain) and os._exit(77)).returncode == 77:
            self.skipTest("this kernel cannot refuse executable memory")
        done = self.run_burst(preexec_fn=lambda: libc.prctl(*refuse_exec_gain))
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr.decode(),
                         "vfm-test: no machine code (the system allows no executable memory), --engine burst: interpreting instead\n")
        self.assertEqual(done.stdout, self.run_burst().stdout)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Partial tables end to end: what every shard has of them, merged, is the flat machine's table, for every merge class; and what parts
cannot be merged with is refused: a time-out by option, a preloaded constant, a limit of instructions that could tell.

    TEST_ALL=1   in a cluster of real processes as well, with moves and kills
"""
import json
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import tooltest as t  # noqa: E402

GOLDEN = os.path.join(t.ROOT, "test", "golden", "analysis")
# program: table number -> class
PROGRAMS = {
    "bytes-and-hosts.vfl": {0: "sum", 1: "constant"},
    "tcp-flags-seen.vfl": {0: "or"},
    "longest-packet.vfl": {0: "max", 1: "max"},
    "shortest-packet.vfl": {0: "min"},
    "packet-counter.vfm": {1: "sum"},
}
PACKETS = 2000
SHARDS = "16"


def traffic():
    """TCP segments of 40 sources with flags, ports and lengths at random: many flows, so many shards, for each source."""
    r = random.Random(7)
    frames = []
    for i in range(PACKETS):
        segment = t.tcp(r.randrange(1024, 65536), r.choice((22, 25, 80, 443)), 1 << r.randrange(8), payload=b"x" * r.randrange(1, 400))
        frames.append((10**6 + 1000 * i, t.frame4("10.0.0.%d" % r.randrange(40), "10.9.9.9", 6, segment)))
    return t.pcap(frames)


class Parts(unittest.TestCase):
    def setUp(self):
        self.files = t.Scratch(self)
        self.capture = self.files.write("traffic.pcap", traffic())

    def certificate(self, name):
        path = self.files.path(name + ".json")
        done = t.run("vfm-analyze", "--certificate", path, os.path.join(GOLDEN, name))
        self.assertEqual(done.returncode, 0, done.stderr)
        return path

    def run_split(self, name, *options):
        return t.run("vfm-test", "--shards", SHARDS, "--certificate", self.certificate(name), "--table", self.files.path("split"),
                     *options, os.path.join(GOLDEN, name), self.capture)

    def flat(self, name, *options):
        done = t.run("vfm-test", "--flat", "--table", self.files.path("flat"), *options, os.path.join(GOLDEN, name), self.capture)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.files.read("flat")

    def refused(self, done, *texts):
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for text in texts:
            self.assertIn(text, done.stderr)

    def test_every_class_is_proved_and_merges_to_the_flat_table(self):
        for name, classes in PROGRAMS.items():
            with open(self.certificate(name)) as f:
                proved = {p["table"]: p["class"] for p in json.load(f)["partial"]}
            self.assertEqual(proved, classes)
            self.assertEqual(self.run_split(name).returncode, 0)
            table = self.flat(name)
            self.assertEqual(self.files.read("split"), table, name)
            self.assertGreater(len(table.splitlines()), 1)

    def test_a_certificate_with_another_class_is_refused(self):
        for name, classes in PROGRAMS.items():
            for table, kind in classes.items():
                for other in {"sum", "or", "max", "min", "constant"} - {kind}:
                    with open(self.certificate(name)) as f:
                        cert = json.load(f)
                    for part in cert["partial"]:
                        part["class"] = other if part["table"] == table else part["class"]
                    wrong = self.files.write("wrong.json", json.dumps(cert))
                    self.refused(t.run("vfm-analyze", "--check", wrong, os.path.join(GOLDEN, name)),
                                 "the certificate is refused", "class " + other)
                self.refused(t.run("vfm-test", "--shards", SHARDS, "--certificate", wrong, os.path.join(GOLDEN, name),
                                   self.capture), "class " + other)

    def test_a_preloaded_entry_counts_once(self):
        for name, classes in PROGRAMS.items():
            tables = [n for n, kind in classes.items() if kind != "constant"]
            # 10.0.0.1 and port 80 with values of their own, 10.0.0.200 that no packet comes from, and a 0.
            lines = ["%d %d %d" % (n, key, value) for n in tables for key, value in
                     ((0x0A000001, 5000), (80, 7), (0x0A0000C8, 9), (0x0A000002, 0), (0, 3))]
            preload = self.files.write("preload", "\n".join(lines) + "\n")
            done = self.run_split(name, "--preload", preload)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.files.read("split"), self.flat(name, "--preload", preload), name)

    def test_a_preloaded_constant_is_refused(self):
        preload = self.files.write("preload", "1 0x0a000001 5\n")
        self.refused(self.run_split("bytes-and-hosts.vfl", "--preload", preload),
                     "preloaded table 1, key 0xa000001: the program stores one constant there", "use one shard")
        self.assertIn("0x0000000000000001", self.flat("bytes-and-hosts.vfl", "--preload", preload))

    def test_a_time_out_by_option_is_refused(self):
        for name in PROGRAMS:
            self.refused(self.run_split(name, "--idle", "60"), "an idle time-out of 60 s", "use one shard")
            self.assertEqual(self.run_split(name, "--idle", "0").returncode, 0)
        # What is owned may have one, and one shard may.
        for more in (["--shards", SHARDS, "--certificate", self.certificate("smallest-total-length.vfl")], []):
            done = t.run("vfm-test", *more, "--idle", "60", os.path.join(GOLDEN, "smallest-total-length.vfl"), self.capture)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_limit_that_could_tell_is_refused(self):
        self.refused(self.run_split("longest-packet.vfl", "--limit", "12"), "a limit of 12 instructions could tell")
        self.assertEqual(self.run_split("longest-packet.vfl", "--limit", "100").returncode, 0)
        self.assertEqual(self.run_split("tcp-flags-seen.vfl", "--limit", "5").returncode, 0)
        done = t.run("vfm-node", "--certificate", self.certificate("longest-packet.vfl"), "--shards", SHARDS, "--limit", "12",
                     "--capture", self.capture, os.path.join(GOLDEN, "longest-packet.vfl"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("a limit of 12 instructions could tell", done.stderr)

    def test_a_cluster_merges_to_the_flat_table(self):
        if not t.ALL:
            return  # seconds for each program
        for name in PROGRAMS:
            done = t.run("vfmctl", "rehearse", "--json", "--nodes", "2", "--moves", "6", "--kills", "1", "--table",
                         self.files.path("split"), os.path.join(GOLDEN, name), self.capture)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(self.files.read("split"), self.flat(name), name)


if __name__ == "__main__":
    unittest.main()

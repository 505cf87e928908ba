#!/usr/bin/env python3
"""The second equality on real traffic: every example that splits gives, split over 16 shards with its certificate, the verdicts and the
tables of the flat machine, wherever nothing was evicted.

    TEST_ALL=1   every capture instead of a few
"""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tooltest as t  # noqa: E402
from analysis_reports import programs  # noqa: E402

SHARDS = "16"
SHORT = ("example.pcap", "many-protocols.pcap", "one_http_stream_rst.pcap")


def captures():
    found = t.real_captures()
    return found if t.ALL else [c for c in found if os.path.basename(c) in SHORT]


class E2(unittest.TestCase):
    def compare(self, name, path, cert, capture, guarded):
        files = self.files
        flat = t.run("vfm-test", "--flat", "--json", "--verdicts", files.path("flat"), "--table", files.path("flat.table"), guarded,
                     capture)
        split = t.run("vfm-test", "--shards", SHARDS, "--certificate", cert, "--json", "--verdicts", files.path("split"), "--table",
                      files.path("split.table"), path, capture)
        self.assertEqual(flat.returncode, split.returncode, name + ": " + split.stderr)
        if flat.returncode == 1:  # no capture that the machine can read, such as of another link layer: other suites' matter
            self.assertFalse(flat.stdout + split.stdout)
            return 0
        if json.loads(split.stdout)["table"]["evictions"]:
            self.evicted += 1
            return 0
        same = files.read("flat") == files.read("split").replace("GUARD", "0")
        self.assertTrue(same, "%s on %s: verdicts differ" % (name, capture))
        self.assertEqual(files.read("flat.table"), files.read("split.table"), "%s on %s" % (name, capture))
        return len(files.read("flat").splitlines())

    def test_split_and_flat_agree_on_every_example(self):
        if not captures():
            print("SKIP: no captures beside the repository")
            return
        self.files = t.Scratch(self)
        cert, guarded = self.files.path("cert.json"), self.files.path("guarded.bin")
        packets = pairs = self.evicted = 0
        for name, path in programs():
            found = t.run("vfm-analyze", "--certificate", cert, "--guarded", guarded, path)
            if found.returncode not in (0, 10) or found.stdout.startswith("Stateless"):
                continue
            for capture in captures():
                n = self.compare(name, path, cert, capture, guarded)
                packets += n
                pairs += n > 0
        print("%d pairs of program and capture without evictions, %d verdicts equal; %d pairs with evictions left out"
              % (pairs, packets, self.evicted))
        self.assertGreater(pairs, 20)


if __name__ == "__main__":
    unittest.main()

"""An input that is killed and started again takes up its verdict file and its capture of accepted packets where the journal says; the
plan's preloaded entries are in every shard that needs them, on every engine."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from livecluster import BUILD, LiveCluster  # noqa: E402

FILTER = "examples/conntrack.vfl"
PRELOADED = "examples/allow-list.vfl"
PACKETS = 12000


class Input(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.capture = cls.path("t.pcap")
        cls.tool("test/tools/traffic-gen", "-n", str(PACKETS), "--seed", "9", "-o", cls.capture)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory.name, name)

    @staticmethod
    def tool(program, *args):
        return subprocess.run([f"{BUILD}/{program}", *args], check=True, capture_output=True, text=True, timeout=60).stdout

    @staticmethod
    def content(name):
        with open(name, "rb") as f:
            return f.read()

    def test_accepted_packets_go_on_where_the_journal_says(self):
        self.tool("bin/vfm-node", "--capture", self.capture, "--out", self.path("alone.pcap"), "--verdicts", self.path("alone"), FILTER)
        cluster = LiveCluster(FILTER)
        self.addCleanup(cluster.close)
        cluster.controller("--nodes", "2")
        for name in "ab":
            cluster.node(name)
        cluster.wait("in sync", lambda: cluster.in_sync(1))
        out = cluster.path("out.pcap")
        for stop in (2000, 7000):
            feed = cluster.input(self.capture, "--out", out, "--stop-at", str(stop), "--stay")
            cluster.wait("packets", lambda stop=stop: cluster.released() >= stop - 500)
            cluster.end(feed, 9)
        feed = cluster.input(self.capture, "--out", out)
        self.assertEqual(feed.wait(timeout=30), 0, cluster.said(feed))
        self.assertEqual(self.content(cluster.path("verdicts")), self.content(self.path("alone")))
        self.assertEqual(self.content(out), self.content(self.path("alone.pcap")))
        os.truncate(out, 100)
        feed = cluster.input(self.capture, "--out", out)
        self.assertEqual(feed.wait(timeout=30), 1)
        self.assertIn("shorter than its journal says", cluster.said(feed))
        feed = cluster.input(self.capture, "--out", "-")
        self.assertEqual(feed.wait(timeout=30), 2)
        self.assertIn("standard output cannot be taken up again", cluster.said(feed))

    def test_preloaded_entries_are_part_of_the_plan(self):
        self.tool("bin/vfm-test", "--table", self.path("sources"), "-e", "(< (count-by src-ip) 5)", self.capture)
        with open(self.path("sources"), encoding="utf-8") as f:
            sources = [line.split()[1] for line in f]
        with open(self.path("entries"), "w", encoding="utf-8") as f:
            f.writelines(f"0 {source} 2\n" for source in sources[::3])
        accepted = [json.loads(self.tool("bin/vfm-test", "--json", *options, PRELOADED, self.capture))["log"]
                    for options in ([], ["--preload", self.path("entries")])]
        self.assertGreater(accepted[1], accepted[0])
        for engine in ("interp", "jit", "burst"):
            done = subprocess.run([f"{BUILD}/bin/vfmctl", "rehearse", "--json", "--engine", engine, "--preload", self.path("entries"),
                                   "--moves", "2", "--kills", "1", "--shards", "8", PRELOADED, self.capture], capture_output=True,
                                  text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            result = json.loads(done.stdout)
            self.assertEqual((result["differences_e1"], result["differences_e2"], result["state_equal"]), (0, 0, True))


if __name__ == "__main__":
    sys.exit(unittest.main())

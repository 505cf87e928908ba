"""vfmctl state: the merged table of a running cluster is the single instance's after the same packets: at rest, and while packets flow
and shards move, where the positions say which packets those are."""
import os
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from livecluster import BUILD, LiveCluster  # noqa: E402

PARTITIONABLE = "examples/conntrack.vfl"
PARTIAL = "test/golden/analysis/destination-statistics.vfm"
PINNED = "test/golden/analysis/source-and-destination.vfm"
SHARDS = 8
PACKETS = 10000
STOP = 3000


def mix64(x):
    """state/mix.h"""
    mask = (1 << 64) - 1
    x = (x ^ x >> 33) * 0xff51afd7ed558ccd & mask
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53 & mask
    return x ^ x >> 33


def read_pcap(name):
    """The header, and the records as bytes."""
    with open(name, "rb") as f:
        data = f.read()
    records, at = [], 24
    while at < len(data):
        size = 16 + struct.unpack_from("<I", data, at + 8)[0]
        records.append(data[at:at + size])
        at += size
    return data[:24], records


class State(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.capture = os.path.join(cls.directory.name, "t.pcap")
        cls.run_tool("test/tools/traffic-gen", "-n", str(PACKETS), "--seed", "11", "-o", cls.capture)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    @staticmethod
    def run_tool(program, *args):
        return subprocess.run([f"{BUILD}/{program}", *args], check=True, capture_output=True, text=True).stdout

    def begin(self, filter_name, split):
        cert = os.path.join(self.directory.name, "cert")
        self.plan = [filter_name]
        if split:
            self.run_tool("bin/vfm-analyze", "--certificate", cert, filter_name)
            self.plan = ["--certificate", cert, "--shards", str(SHARDS), filter_name]
        self.shards = SHARDS if split else 1
        self.cluster = LiveCluster(*self.plan)
        self.addCleanup(self.cluster.close)
        self.cluster.controller("--nodes", "2")
        for name in "ab":
            self.cluster.node(name)
        self.cluster.wait("in sync", lambda: self.cluster.in_sync(self.shards))

    def single(self, capture):
        """The table of the flat machine, which knows no shards, parts or plans."""
        table = self.cluster.path("single")
        self.run_tool("bin/vfm-test", "--table", table, self.plan[-1], capture)
        with open(table, encoding="utf-8") as f:
            return f.read()

    def steered(self, filter_name):
        """The shard of every packet."""
        steer, values = self.cluster.path("steer.bin"), self.cluster.path("steered")
        self.run_tool("bin/vfm-analyze", "--steer", steer, filter_name)
        self.run_tool("bin/vfm-test", "--verdicts", values, steer, self.capture)
        with open(values, encoding="utf-8") as f:
            return [mix64(int(line)) & self.shards - 1 for line in f]

    def prefix(self, shards, positions):
        """A capture of the packets that the positions say were applied."""
        header, records = read_pcap(self.capture)
        name, count = self.cluster.path("prefix.pcap"), [0] * self.shards
        with open(name, "wb") as f:
            f.write(header)
            for shard, record in zip(shards, records):
                count[shard] += 1
                if count[shard] <= positions.get(shard, 0):
                    f.write(record)
        return name

    def table(self, *options):
        done = self.cluster.run_ctl(*options, "--table", "-", "state")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def at_rest(self, filter_name, split):
        self.begin(filter_name, split)
        self.cluster.input(self.capture, "--stay")
        self.cluster.wait("the capture", lambda: self.cluster.released() == PACKETS)
        expected = self.single(self.capture)
        self.assertGreater(expected.count("\n"), 10)
        self.assertEqual(self.table(), expected)
        state = self.cluster.ctl("state")
        self.assertEqual(sum(p["position"] for p in state["positions"]), PACKETS)
        listed = "".join(f"{t['table']} {key} {value}\n" for t in state["tables"] for key, value in t["entries"])
        self.assertEqual(listed, expected)
        return state

    def test_of_a_filter_that_is_split_it_is_the_single_instances(self):
        state = self.at_rest(PARTITIONABLE, True)
        self.assertIn("owned", [o["kind"] for t in state["tables"] for o in t["objects"]])

    def test_of_parts_it_is_their_sum(self):
        state = self.at_rest(PARTIAL, True)
        self.assertIn(("partial", "sum"), [(o["kind"], o["merge"]) for t in state["tables"] for o in t["objects"]])

    def test_of_a_pinned_filter_it_is_that_of_its_one_shard(self):
        state = self.at_rest(PINNED, False)
        objects = [(o["id"], t["table"]) for t in state["tables"] for o in t["objects"]]
        self.assertGreater(len({table for _, table in objects}), 1)
        for number, table in objects:
            lines = [line for line in self.single(self.capture).splitlines(True) if line.startswith(f"{table} ")]
            self.assertEqual(self.table("--object", str(number)), "".join(lines))
        done = self.cluster.run_ctl("--object", "77", "state")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no such object, --object 77", done.stderr)

    def is_of_its_positions(self, shards):
        state = self.cluster.ctl("state")
        positions = {p["shard"]: p["position"] for p in state["positions"]}
        listed = "".join(f"{t['table']} {key} {value}\n" for t in state["tables"] for key, value in t["entries"])
        self.assertEqual(listed, self.single(self.prefix(shards, positions)), positions)
        return sum(positions.values())

    def in_the_middle(self, filter_name, split):
        self.begin(filter_name, split)
        shards = self.steered(filter_name) if split else [0] * PACKETS
        feed = self.cluster.input(self.capture, "--stay", "--stop-at", str(STOP))
        self.cluster.wait("the stop", lambda: self.cluster.released() == STOP)
        self.assertEqual(self.is_of_its_positions(shards), STOP)
        self.cluster.end(feed, 9)
        self.cluster.input(self.capture, "--stay")
        for i in range(4):
            self.cluster.ctl("move", str(i % self.shards), "ab"[i % 2])
            self.is_of_its_positions(shards)
        self.cluster.wait("the capture", lambda: self.cluster.released() == PACKETS)
        self.assertEqual(self.table(), self.single(self.capture))

    def test_while_packets_flow_and_shards_move_it_is_that_of_the_packets_at_its_positions(self):
        self.in_the_middle(PARTITIONABLE, True)

    def test_the_same_of_parts(self):
        self.in_the_middle(PARTIAL, True)

    def test_the_same_of_a_pinned_filter(self):
        self.in_the_middle(PINNED, False)

    def test_without_an_owner_it_says_so(self):
        self.begin(PINNED, False)
        for process in self.cluster.processes[1:]:
            self.cluster.end(process, 9)
        done = self.cluster.run_ctl("--wait", "1", "state")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "cannot be read, shard 0: has it an owner")


if __name__ == "__main__":
    sys.exit(unittest.main())

"""Nodes with DPDK ports that are killed for good, one after the other, more of them than a shard has room for streams.

    capture 1 -> net_pcap -> vfm-node --dpdk (steers), kill -9
    capture 2 -> net_pcap -> vfm-node --dpdk (steers), kill -9    <->   two nodes that own shards and stand by
       ...

The captures are one after the other the slices of one, so the verdicts together are those of the whole. Without `vfmctl fence` the
17th stream waits, and the operator is told; each fence makes room for one. Short; with TEST_ALL=1 a hundred, with moves and kills of
owners in between."""
import os
import struct
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import dpdknode  # noqa: E402
import tooltest as t  # noqa: E402
from livecluster import LiveCluster  # noqa: E402

FILTER = os.path.join(t.ROOT, "examples", "conntrack.vfl")
SHARDS = 4
ROOM = 16
STREAMS = 100 if t.ALL else 18
SLICE = 2000 if t.ALL else 400


class Retirement(unittest.TestCase):
    def setUp(self):
        self.files = t.Scratch(self)
        cert, self.whole = self.files.path("cert"), self.files.path("whole.pcap")
        self.assertEqual(t.run("vfm-analyze", "--certificate", cert, FILTER).returncode, 0)
        tool = os.path.join(t.BUILD, "test", "tools", "traffic-gen")
        self.assertEqual(os.spawnl(os.P_WAIT, tool, tool, "-n", str(STREAMS * SLICE), "--seed", "4", "-o", self.whole), 0)
        self.cut()
        self.cluster = LiveCluster("--certificate", cert, "--shards", str(SHARDS), FILTER)
        self.addCleanup(self.cluster.close)
        self.controllers = [self.cluster.controller("--nodes", "2")]
        self.owners = {name: self.cluster.node(name) for name in "ab"}
        self.cluster.wait("in sync", lambda: self.cluster.in_sync(SHARDS))
        self.incarnations, self.process = [], None

    def cut(self):
        """Slices of the whole capture, each a capture."""
        with open(self.whole, "rb") as f:
            data = f.read()
        at, records = 24, []
        while at < len(data):
            size = 16 + struct.unpack_from("<I", data, at + 8)[0]
            records.append(data[at:at + size])
            at += size
        self.assertEqual(len(records), STREAMS * SLICE)
        for k in range(STREAMS):
            self.files.write(f"slice{k}", data[:24] + b"".join(records[k * SLICE:(k + 1) * SLICE]))

    def released(self, k):
        try:
            return self.files.read(f"v{k}").count("\n")
        except FileNotFoundError:
            return 0

    def start(self, k):
        """A node with ports, a new incarnation each time; it plays slice k."""
        known = {n["incarnation"] for n in self.cluster.ctl("status")["nodes"]}
        vdevs = [f"net_pcap0,rx_pcap={self.files.path(f'slice{k}')}", "net_pcap1,tx_pcap=/dev/null"]
        self.process = self.cluster.node("ports", "--steer-only", "--dpdk", dpdknode.eal(*vdevs), "--in", "net_pcap0", "--out", "net_pcap1",
                                         "--one-way", "--verdicts", self.files.path(f"v{k}"))

        def new():
            return [n["incarnation"] for n in self.cluster.ctl("status")["nodes"] if n["incarnation"] not in known and n["steers"]]

        self.cluster.wait(f"ports {k}", new)
        self.incarnations.append(new()[0])

    def finish(self, k):
        """Until it has released all of the slice; then it is gone for good."""
        self.cluster.wait(f"slice {k}", lambda: self.released(k) == SLICE)
        self.cluster.end(self.process, 9)

    def fence(self, k):
        done = self.cluster.run_ctl("fence", self.incarnations[k])
        self.assertEqual(done.returncode, 0, done.stderr)

    def restart_controller(self):
        self.cluster.end(self.controllers[-1], 9)
        self.controllers.append(self.cluster.controller("--nodes", "2"))
        self.cluster.wait("a controller", lambda: self.cluster.ctl("status"))
        self.cluster.wait("its nodes", lambda: len([n for n in self.cluster.ctl("status")["nodes"] if n["owns"]]) == 2)

    def disturb(self, k):
        """Long runs: a shard moves with each stream, and now and then an owner is killed and comes back."""
        self.cluster.ctl("move", str(k % SHARDS), "ab"[k // SHARDS % 2])
        if k % 10 == 5:
            name = "ab"[k // 10 % 2]
            self.cluster.end(self.owners[name], 9)
            self.owners[name] = self.cluster.node(name)
            self.cluster.wait("in sync again", lambda: self.cluster.in_sync(SHARDS))

    def fill(self):
        for k in range(ROOM):
            self.start(k)
            self.finish(k)

    def the_17th_waits_and_the_operator_is_told(self):
        self.start(ROOM)
        self.cluster.wait("the complaint", lambda: "NO ROOM" in self.cluster.said(self.controllers[-1]))
        said = self.cluster.said(self.controllers[-1])
        self.assertRegex(said, r"NO ROOM for another stream, shard \d at [ab] [0-9a-f]{16}: it holds 16, some of processes that are gone; "
                               r"stream [0-9a-f]{16} waits, its packets unread: .* vfmctl fence INCARNATION of each that is gone for good")
        self.assertIn("no room for another stream", [e["why"] for e in self.cluster.ctl("events")["events"]])
        self.assertEqual((self.process.poll(), self.released(ROOM)), (None, 0))
        listed = {n["incarnation"]: n["suspected"] for n in self.cluster.ctl("status")["nodes"]}
        self.assertEqual([listed.get(i) for i in self.incarnations], [True] * ROOM + [False])

    def retired(self):
        """Sessions that a shard holds, and whether they are over."""
        state = self.cluster.ctl("state")
        return {(p["shard"], p["session"]): p["retired"] for p in state["positions"]}

    def test_every_fence_makes_room_for_a_stream_and_no_verdict_differs(self):
        self.fill()
        self.the_17th_waits_and_the_operator_is_told()
        self.fence(0)
        self.finish(ROOM)
        # From here on each stream needs the place of one that is over.
        for k in range(ROOM + 1, STREAMS):
            self.fence(k - ROOM)
            if k == ROOM + 1:
                self.restart_controller()  # who was fenced is in the store, and so is who was not
                nodes = {n["incarnation"]: n["name"] for n in self.cluster.ctl("status")["nodes"]}
                self.assertEqual([nodes.get(i) for i in self.incarnations[2:]], ["ports"] * (ROOM - 1))
            if t.ALL:
                self.disturb(k)
            self.start(k)
            self.finish(k)
        self.compare()

    def compare(self):
        want = t.run("vfm-test", "--verdicts", self.files.path("v"), "--table", self.files.path("t"), FILTER, self.whole)
        self.assertEqual(want.returncode, 0, want.stderr)
        self.assertEqual("".join(self.files.read(f"v{k}") for k in range(STREAMS)), self.files.read("v"))
        state = self.cluster.run_ctl("--table", "-", "state")
        self.assertEqual((state.returncode, state.stdout), (0, self.files.read("t")), state.stderr)
        held = self.retired()
        for shard in range(SHARDS):
            sessions = [s for at, s in held if at == shard]
            self.assertLessEqual(len(sessions), ROOM)
            for i in self.incarnations[:STREAMS - ROOM]:
                self.assertTrue(held.get((shard, i), True), f"shard {shard}: {i} was fenced")
            for i in self.incarnations[STREAMS - ROOM:]:
                self.assertFalse(held[shard, i], f"shard {shard}: {i} was not")
        print(f"{STREAMS} streams of {SLICE} packets, {STREAMS - ROOM} fenced, no differing verdict")


if __name__ == "__main__":
    dpdknode.need_dpdk()
    unittest.main()

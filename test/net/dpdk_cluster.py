"""A cluster whose input is a pair of DPDK ports.

    capture -> net_pcap0 -> vfm-node --dpdk (steers) <-> nodes (own shards, stand by) -> vfm-node -> net_pcap1 -> capture

Rehearsals with --io dpdk: moves, a kill, a node more and one fewer, and every verdict that of the single instance. Short; with
TEST_ALL=1 every stateful example on real captures."""
import glob
import json
import os
import re
import shutil
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "golden", "twins")]
import dpdknode  # noqa: E402
import pcapfile  # noqa: E402
import tooltest as t  # noqa: E402

CONNTRACK = os.path.join(t.ROOT, "examples", "conntrack.vfl")


class Rehearsals(unittest.TestCase):
    def setUp(self):
        self.files = t.Scratch(self)
        self.sums = {"rehearsals": 0, "packets": 0, "moves": 0, "promotions": 0, "kills": 0, "evictions": 0}

    def generate(self, packets, seed=3):
        name = self.files.path(f"traffic{seed}.pcap")
        tool = os.path.join(t.BUILD, "test", "tools", "traffic-gen")
        self.assertEqual(os.spawnl(os.P_WAIT, tool, tool, "-n", str(packets), "--seed", str(seed), "-o", name), 0)
        return name

    def rehearse(self, filter_name, *captures, options=()):
        args = ["rehearse", "--json", "--accept-guard", "--io", "dpdk", *options, filter_name, *captures]
        done = t.run("vfmctl", *args, timeout=600)
        self.assertEqual(done.returncode, 0, f"vfmctl {' '.join(args)}\n{done.stdout}{done.stderr}")
        r = json.loads(done.stdout)
        self.assertEqual((r["differences_e1"], r["lost"], r["released_twice"], r["state_equal"]), (0, 0, 0, True), args)
        self.assertIn(r["differences_e2"], (0, None), args)
        for name in self.sums:
            self.sums[name] += r.get(name, 1)
        return r, done.stderr

    def test_moves_and_a_kill_change_no_verdict_and_what_passes_is_what_was_accepted(self):
        capture, verdicts = self.generate(20000), self.files.path("v")
        r, said = self.rehearse(CONNTRACK, capture, options=["--moves", "3", "--kills", "1", "--verdicts", verdicts, "--keep"])
        directory = re.search(r"kept in (\S+)", said).group(1)
        self.addCleanup(shutil.rmtree, directory)
        self.assertEqual((r["packets"], r["kills"], r["differences_e2"]), (20000, 1, 0))
        passed = [frame for _, frame in pcapfile.packets(os.path.join(directory, "passed.pcap"))]
        wanted = [f for (_, f), v in zip(pcapfile.packets(capture), self.files.read("v").split()) if v.isdigit() and v != "0"]
        self.assertEqual(len(passed), len(wanted))
        self.assertEqual(passed, wanted)

    def test_evictions_are_the_same_on_every_node(self):
        r, _ = self.rehearse(CONNTRACK, self.generate(20000), options=["--moves", "2", "--kills", "1", "--capacity", "40", "--shards", "4"])
        self.assertGreater(r["evictions"], 100)

    def test_frames_in_several_segments_wait_for_room_and_none_is_lost(self):
        frames = [(10**9 + i * 1000, t.frame4(f"10.0.{i % 7}.1", "10.9.9.9", 6, t.tcp(1000 + i % 50, 80, 2, i, bytes(2500 + i % 5000))))
                  for i in range(1500)]
        r, _ = self.rehearse(CONNTRACK, self.files.write("jumbo.pcap", t.pcap(frames)), options=["--moves", "1", "--kills", "1"])
        self.assertEqual((r["packets"], r["differences_e2"]), (1500, 0))

    def test_several_streams_get_the_verdicts_of_one_instance_in_the_order_found(self):
        captures = [self.generate(4000, seed) for seed in range(1, 7)]
        r, _ = self.rehearse(CONNTRACK, *captures, options=["--together", "--moves", "2", "--kills", "1"])
        self.assertEqual((r["packets"], r["differences_e2"]), (24000, None))

    @unittest.skipUnless(t.ALL, "the whole matrix runs with TEST_ALL=1")
    def test_every_example_on_real_captures(self):
        captures = sorted(t.real_captures(), key=os.path.getsize, reverse=True)[:6]
        self.assertGreaterEqual(len(captures), 6)
        self.addCleanup(lambda: print("together: " + ", ".join(f"{n} {name}" for name, n in self.sums.items())))
        for filter_name in sorted(glob.glob(os.path.join(t.ROOT, "examples", "*.vfl"))):
            for i, capture in enumerate([*captures, self.generate(1000000, 5)]):
                for more in ([], ["--capacity", "48"]):
                    with self.subTest(filter=filter_name, capture=capture, more=more):
                        self.rehearse(filter_name, capture,
                                      options=["--moves", "20", "--kills", "3", "--seed", str(i + 1), *more])
            with self.subTest(filter=filter_name, together=6):
                self.rehearse(filter_name, *captures, options=["--together", "--moves", "20", "--kills", "3"])

    def test_captures_are_played_together_only_by_ports(self):
        done = t.run("vfmctl", "rehearse", "--together", "-e", "1", "a", "b")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("--together needs --io dpdk", done.stderr)


class Usage(unittest.TestCase):
    def usage(self, words, *args):
        done = t.run("vfm-node", "--controller", "ipc:///nowhere", "--bind", "ipc:///nowhere", "--dpdk", "x", *args)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertIn(words, done.stderr)

    def test_wrong_command_lines(self):
        self.usage("--in PORT and --out PORT", "--in", "a", "-e", "1")
        self.usage("the same port a", "--in", "a", "--out", "a", "-e", "1")
        self.usage("live ports are not a file", "--in", "a", "--out", "b", "--capture", "c", "-e", "1")
        self.usage("live ports are not a file", "--in", "a", "--out", "b", "--journal", "c", "-e", "1")
        self.usage("--queues takes a number from 1 to 16, not 17", "--in", "a", "--out", "b", "--queues", "17", "-e", "1")

    def test_a_port_that_is_not_there_is_told_and_ends_the_node(self):
        files = t.Scratch(self)
        done = t.run("vfm-node", "--controller", "ipc://" + files.path("c"), "--bind", "ipc://" + files.path("n"), "--dpdk",
                     dpdknode.eal("net_null0", "net_null1"), "--in", "net_nul", "--out", "net_null1", "-e", "1")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no such port, net_nul: name one of net_null0, net_null1", done.stderr)


if __name__ == "__main__":
    dpdknode.need_dpdk()
    unittest.main()

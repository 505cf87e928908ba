"""vfm-node between DPDK ports beside vfm-test on the same captures.

    capture -> net_pcap0 -> vfm-node -> net_pcap1 -> capture

With one queue the node's verdict file, its tables and the packets it lets through must be vfm-test's (E2), on one core or on several.
With several queues each is an input of its own, and per shard order is that of no file: then the tables are compared."""
import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "golden", "twins")]
import dpdknode  # noqa: E402
import pcapfile  # noqa: E402
import tooltest as t  # noqa: E402
from dpdknode import FILTER, balanced, node  # noqa: E402

# Small ones of many kinds in the short run: tags, fragments, damage, either byte order.
SHORT = ("example.pcap", "VlanPackets.pcap", "ip4_bad_fragment.pcap", "ipv4-malformed.pcap", "microsecs_big_endian.pcap",
         "many-protocols.pcap", "tls2.pcap", "DnsPackets.pcap")
PORTS = ("net_pcap0", "net_pcap1")


def pcap_vdevs(sources, out):
    return [",".join(["net_pcap0", *(f"rx_pcap={s}" for s in sources)]), f"net_pcap1,tx_pcap={out}"]


def jumbo_capture():
    """Frames that no single mbuf holds, among small ones."""
    frames = []
    for i in range(200):
        payload = bytes((i + k) & 255 for k in range((i * 331) % 9000))
        frames.append((1_000_000_000 + i * 1000, t.frame4(f"10.0.{i % 7}.1", "10.9.9.9", 6, t.tcp(1000 + i, 80, 2, i, payload))))
    return t.pcap(frames)


class Rehearsal(unittest.TestCase):
    def setUp(self):
        self.files = t.Scratch(self)

    def generate(self, packets=20000, seed=1):
        name = self.files.path(f"generated{seed}.pcap")
        done = os.spawnl(os.P_WAIT, os.path.join(t.BUILD, "test", "tools", "traffic-gen"), "traffic-gen", "--packets", str(packets),
                         "--seed", str(seed), "-o", name)
        self.assertEqual(done, 0)
        return name

    def compare(self, capture, filter_file=FILTER, cores=1, more=(), node_only=()):
        path = self.files.path
        want = t.run("vfm-test", "--verdicts", path("v1"), "--table", path("t1"), *more, filter_file, capture)
        self.assertEqual((want.returncode, want.stderr), (0, ""), capture)
        got = node("--one-way", "--stop-after", "200", "--json", "--verdicts", path("v2"), "--table", path("t2"), *more, *node_only,
                   filter_file,
                   vdevs=pcap_vdevs([capture], path("out.pcap")), ports=PORTS, cores=cores)
        self.assertEqual((got.returncode, got.stderr.count("\n")), (0, 1), got.stderr)
        report = json.loads(got.stdout)
        self.assertEqual(balanced(report), [], capture)
        self.assertEqual([p["time"] for p in report["ports"]], ["capture", "capture"])
        self.assertEqual([p["stamped"] for p in report["ports"]], [report["ports"][0]["received"], 0])
        self.assertEqual(self.files.read("v1"), self.files.read("v2"), f"verdicts on {capture}")
        self.assertEqual(self.files.read("t1"), self.files.read("t2"), f"tables after {capture}")
        self.compare_output(capture)
        return report

    def compare_output(self, capture):
        verdicts = self.files.read("v1").split()
        accepted = [f for (_, f), v in zip(pcapfile.packets(capture), verdicts) if v.isdigit() and v != "0"]
        sent = [f for _, f in pcapfile.packets(self.files.path("out.pcap"))]
        self.assertEqual(len(accepted), len(sent), capture)
        for i, (want, got) in enumerate(zip(accepted, sent)):
            self.assertEqual(want, got, f"{capture}: packet {i + 1} of those let through")

    def certificate(self, filter_file=FILTER):
        name = self.files.path("certificate")
        done = t.run("vfm-analyze", "--certificate", name, filter_file)
        self.assertEqual(done.returncode, 0, done.stderr)
        return name

    def test_real_captures_give_the_verdicts_of_vfm_test(self):
        captures = [c for c in t.real_captures() if t.ALL or os.path.basename(c) in SHORT]
        if not captures:
            self.skipTest(f"SKIP no captures at {t.CAPTURES}")
        compared = 0
        for capture in captures:
            if t.run("vfm-test", FILTER, capture).returncode == 0:  # not of another link type, and whole
                self.compare(capture)
                compared += 1
        self.assertGreaterEqual(compared, 4)

    def test_generated_traffic_gives_the_verdicts_of_vfm_test(self):
        report = self.compare(self.generate())
        self.assertGreater(report["drop"], 100, "too little is dropped to show anything")

    def test_several_cores_give_the_verdicts_of_one_in_the_order_of_arrival(self):
        cert = self.certificate()
        more = ("--shards", "64", "--certificate", cert)
        report = self.compare(self.generate(), cores=3, more=more)
        self.assertEqual(len(report["cores"]), 3)
        for core in report["cores"]:
            self.assertGreater(core["executed"], 100, "shards are not spread")
        self.assertGreater(report["cores"][0]["asked"], 1000)
        self.assertEqual(sum(report["shards"]["packets"].values()), report["packets"])

    def test_shards_that_move_between_cores_give_the_verdicts_of_one(self):
        """All traffic is of few sources, whose shards are at first where they fall."""
        frames = [(1_000_000_000 + i * 10, t.syn(f"10.0.{i * i % 5}.{i % 3}", "10.9.9.9", 1000 + i % 60000, 80, i)) for i in range(60000)]
        capture = self.files.write("few.pcap", t.pcap(frames))
        report = self.compare(capture, cores=3, more=("--shards", "64", "--certificate", self.certificate()), node_only=("--balance", "1"))
        self.assertGreater(report["moves"], 0)
        self.assertGreater(report["longest_move_us"], 0)

    def test_several_queues_and_cores_leave_the_tables_of_one(self):
        """SYN counts do not depend on the order in which the sources' packets arrive."""
        cert, sources = self.certificate(), [self.generate(seed=s) for s in (1, 2)]
        path = self.files.path
        more = ("--shards", "64", "--certificate", cert)
        want = t.run("vfm-test", "--table", path("t1"), *more, FILTER, *sources)
        self.assertEqual((want.returncode, want.stderr), (0, ""))
        got = node("--one-way", "--stop-after", "200", "--json", "--queues", "2", "--verdicts", path("v"), "--table", path("t2"), *more,
                   FILTER, vdevs=[pcap_vdevs(sources, "")[0], f"net_pcap1,tx_pcap={path('o1')},tx_pcap={path('o2')}"], ports=PORTS,
                   cores=2, memory=256)
        self.assertEqual((got.returncode, got.stderr.count("\n")), (0, 1), got.stderr)
        report = json.loads(got.stdout)
        self.assertEqual(balanced(report), [])
        self.assertEqual(report["packets"], 40000)
        self.assertEqual(self.files.read("t1"), self.files.read("t2"))
        for i in range(2):
            self.assertEqual(len(self.files.read(f"v.{i}").split()), 20000)

    def test_frames_in_several_segments_are_seen_whole(self):
        capture = self.files.write("jumbo.pcap", jumbo_capture())
        last_byte = "LD8 2047\nRET 1\n"  # beyond the first segment: BOUNDS for the short ones
        report = self.compare(capture, self.files.write("last.vfm", last_byte))
        self.assertGreater(report["ports"][0]["gathered"], 100)
        self.assertGreater(report["errors"]["BOUNDS"], 10)

    def test_packets_for_which_no_buffer_is_left_are_counted(self):
        """64 buffers, and cores that keep packets while others work on them: what the port loses is all that is missing."""
        capture = self.generate()
        done = node("--one-way", "--stop-after", "200", "--json", "--mbufs", "64", "--shards", "64", "--certificate", self.certificate(),
                    FILTER, vdevs=pcap_vdevs([capture], self.files.path("out.pcap")), ports=PORTS, cores=3)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (0, 1), done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(balanced(report), [])
        self.assertEqual(report["packets"] + report["ports"][0]["no_buffer"], 20000)

    def test_logged_packets_are_mirrored_to_a_capture(self):
        capture, path = self.generate(), self.files.path
        done = node("--one-way", "--stop-after", "200", "--json", "--mirror", "log:" + path("log.pcap"), "--mirror",
                    "drop:" + path("drop.pcap"), "--verdicts", path("v"),
                    self.files.write("f.vfm", "LD8 23\nPUSH 17\nJEQ dns\nRET 0\ndns:\nRET 2\n"),
                    vdevs=pcap_vdevs([capture], path("out.pcap")), ports=PORTS)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (0, 1), done.stderr)
        report = json.loads(done.stdout)
        packets = list(pcapfile.packets(capture))
        for name, value in (("log", "2"), ("drop", "0")):
            want = [p for p, v in zip(packets, self.files.read("v").split()) if v == value]
            got = list(pcapfile.packets(path(f"{name}.pcap")))
            self.assertLessEqual(len(got), len(want))
            self.assertEqual(report[name], len(want))
            if not report["mirror_lost"]:
                self.assertEqual([f for _, f in want], [f for _, f in got])
        self.assertGreater(report["mirrored"], 1000)


if __name__ == "__main__":
    dpdknode.need_dpdk()
    unittest.main()

"""vfm-node on DPDK ports that are always there: null and ring ports, signals, a filter that changes, and everything that can be wrong."""
import os
import signal
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import dpdknode  # noqa: E402
import tooltest as t  # noqa: E402
from dpdknode import balanced, node  # noqa: E402


class Smoke(unittest.TestCase):
    """Ports that make packets as fast as they are asked."""

    def setUp(self):
        self.files = t.Scratch(self)

    def start(self, *args, kind="null", cores=1):
        ports = (f"net_{kind}0", f"net_{kind}1")
        live = dpdknode.Live(*args, vdevs=ports, ports=ports, cores=cores)
        self.addCleanup(live.kill)
        return live

    def test_net_null_runs_both_ways_and_stops_on_a_signal(self):
        live = self.start("-e", "1")
        live.wait(lambda c, _: c[0] > 2000)
        report, err = live.stop(signal.SIGINT)
        self.assertEqual((balanced(report), err), ([], ""))
        for port in report["ports"]:
            self.assertGreater(port["received"], 500)

    def test_net_ring_is_quiet_where_nothing_is_sent(self):
        """A ring port gives back what is sent to it, and there is nothing."""
        live = self.start("-e", "1", kind="ring")
        live.counters()
        self.assertEqual(live.stop()[0]["packets"], 0)

    def test_several_queues_on_several_cores(self):
        live = self.start("--queues", "2", "-e", "1", cores=2)
        # A core whose shards are elsewhere only asks.
        live.wait(lambda c, _: c[0] > 100000)
        report, _ = live.stop()
        self.assertEqual(balanced(report), [])
        self.assertEqual(report["cores"][1]["executed"], 0, "one shard has one owner")

    def swap(self, before, after):
        name = self.files.write("f.vfm", before)
        live = self.start(name, cores=2)
        first = live.wait(lambda c, _: c[0] > 1000)
        with open(name, "w") as f:
            f.write(after)
        live.signal(signal.SIGHUP)
        said = live.read_until("")
        live.wait(lambda c, _: c[0] > first[0] + 10000)
        report, err = live.stop()
        self.assertEqual(balanced(report), [])
        return report, said + err

    def test_the_filter_changes_between_bursts(self):
        report, said = self.swap("RET 1\n", "RET 0\n")
        self.assertIn("filter changed", said)
        self.assertEqual(report["swaps"], 1)
        self.assertGreater(report["accept"], 1000)
        self.assertGreater(report["drop"], 0)

    def test_a_change_that_leaves_the_tables_as_they_are_keeps_their_entries(self):
        count = "TABLE 3 1024 0\nPUSH 5\nPUSH 1\nFLOW_ADD 3\nRET {}\n"
        for after, kept in ((count.format(0), True), (count.format(0).replace("1024", "2048"), False)):
            with self.subTest(kept=kept):
                _, said = self.swap(count.format(1), after)
                self.assertIn("tables kept" if kept else "tables new", said)

    def test_a_filter_that_cannot_be_used_leaves_the_one_before(self):
        report, said = self.swap("RET 1\n", "RET\n")
        self.assertEqual(report["swaps"], 0)
        self.assertEqual(report["drop"], 0)
        self.assertIn("f.vfm", said)


class BadInput(unittest.TestCase):
    def fails(self, words, *args, vdevs=("net_null0", "net_null1"), ports=("net_null0", "net_null1"), status=1, **more):
        done = node(*args, vdevs=list(vdevs), ports=ports, **more)
        self.assertEqual(done.returncode, status, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(done.stdout, "")

    def usage(self, words, *args):
        done = t.run("vfm-node", *args)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertIn(words, done.stderr)

    def test_an_unknown_port_is_told_with_those_there_are(self):
        self.fails(["no such port, net_nul: name one of net_null0, net_null1"], "-e", "1", ports=("net_nul", "net_null1"))

    def test_no_port_at_all_says_how_to_get_one(self):
        self.fails(["DPDK has no port at all", "dpdk-devbind.py", "--vdev"], "-e", "1", vdevs=(), ports=("0", "1"))

    def test_no_huge_pages_says_how_to_get_some(self):
        with open("/proc/meminfo") as f:
            if "HugePages_Total:       0\n" not in f.read():
                self.skipTest("SKIP this machine has huge pages")
        done = t.run("vfm-node", "--dpdk", "--no-pci", "--in", "a", "--out", "b", "-e", "1")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no huge pages, --dpdk: reserve some (dpdk-hugepages.py", done.stderr)

    def test_a_wrong_argument_of_dpdk_is_told_in_its_own_words(self):
        self.fails(["DPDK does not start", "--dpdk: "], "-e", "1", vdevs=("no_such_driver0",))

    def test_a_port_that_cannot_be_made_is_told(self):
        self.fails(["no such port, net_pcap0", "DPDK said: "], "-e", "1", vdevs=("net_pcap0,rx_pcap=/no/such/file", "net_null1"),
                   ports=("net_pcap0", "net_null1"))

    def test_too_many_queues_for_the_port(self):
        self.fails(["2 receive", "queues", "fewer --queues"], "--queues", "2", "-e", "1", "--one-way",
                   vdevs=("net_pcap0,rx_pcap=" + self.empty_capture(), "net_null1"), ports=("net_pcap0", "net_null1"))

    def empty_capture(self):
        return t.Scratch(self).write("empty.pcap", t.pcap([]))

    def test_buffers_that_do_not_fit_into_memory_say_how_to_make_room(self):
        self.fails(["packet buffers", "-m MB"], "--mbufs", "1000000", "-e", "1", memory=64)

    def test_a_filter_that_cannot_be_used(self):
        self.fails(["/no/such/filter", "give a filter"], "/no/such/filter")

    def test_wrong_command_lines(self):
        ports = ["--dpdk", "x", "--in", "a", "--out", "b"]
        self.usage("--in PORT and --out PORT", "--dpdk", "x", "-e", "1")
        self.usage("the same port a", "--dpdk", "x", "--in", "a", "--out", "a", "-e", "1")
        self.usage("no filter", *ports)
        self.usage("--queues takes a number from 1 to 16, not 17", *ports, "--queues", "17", "-e", "1")
        self.usage("--shards takes a power of two", *ports, "--shards", "3", "-e", "1")
        self.usage("--shards above 1 needs the proof", *ports, "--shards", "4", "-e", "1")
        self.usage("--mirror takes CLASS:FILE, not x", *ports, "--mirror", "x", "-e", "1")
        self.usage("classes log, accept, drop and error, not all", *ports, "--mirror", "all:x", "-e", "1")
        self.usage("more than one filter: g", *ports, "f", "g")

    def test_the_line_of_dpdk_is_read_with_care(self):
        for line, words in (("--no-huge 'open", "a quote is not closed"), ("x " * 65, "more than 64 words"),
                            ("x" * 5000, "more than 4095 bytes")):
            done = t.run("vfm-node", "--dpdk", line, "--in", "a", "--out", "b", "-e", "1")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    dpdknode.need_dpdk()
    unittest.main()

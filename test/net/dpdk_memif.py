"""Two nodes joined by shared memory: what the first lets through is what the second gets, none lost and none twice.

    capture, over and over -> net_pcap0 -> first -> net_memif ~ net_memif -> second -> net_pcap1 -> capture
"""
import os
import signal
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "golden", "twins")]
import dpdknode  # noqa: E402
import pcapfile  # noqa: E402
import tooltest as t  # noqa: E402
from dpdknode import balanced  # noqa: E402

FRAMES = 90
ENOUGH = 5000


def frame(i):
    return t.frame4(f"10.0.{i % 7}.1", "10.9.9.9", 17 if i % 3 else 6, i.to_bytes(4, "big") * 10)


class SharedMemory(unittest.TestCase):
    def setUp(self):
        self.files = t.Scratch(self)

    def start(self, *args, vdevs, ports):
        live = dpdknode.Live("--one-way", *args, vdevs=vdevs, ports=ports)
        self.addCleanup(live.kill)
        return live

    def let_none_through(self, live, filter_file):
        with open(filter_file, "w", encoding="ascii") as f:
            f.write("0")
        live.signal(signal.SIGHUP)
        live.read_until("filter changed")
        before, _ = live.counters()
        live.wait(lambda c, _: c[3] > before[3] + 1000)  # drops, so the last packet of before has gone

    def drain(self, live):
        seen = []
        while len(seen) < 20 or len(set(seen[-20:])) > 1:
            self.assertLess(len(seen), 2000, "packets come for ever")
            seen.append(live.counters()[0][0])
            time.sleep(0.01)

    def test_a_node_feeds_another(self):
        capture = self.files.write("in.pcap", t.pcap([(1_000_000 + i, frame(i)) for i in range(FRAMES)]))
        out, socket = self.files.path("out.pcap"), self.files.path("memif.sock")
        memif = f"socket={socket},socket-abstract=no"
        second = self.start("-e", "(= proto 17)", vdevs=[f"net_memif0,role=server,{memif}", f"net_pcap1,tx_pcap={out}"],
                            ports=("net_memif0", "net_pcap1"))
        filter_file = self.files.write("first.vfl", "(!= src-ip 10.0.0.1)")
        first = self.start(filter_file,
                           vdevs=[f"net_pcap0,rx_pcap={capture},infinite_rx=1", f"net_memif1,role=client,{memif}"],
                           ports=("net_pcap0", "net_memif1"))
        second.wait(lambda c, _: c[0] > ENOUGH)
        self.let_none_through(first, filter_file)
        self.drain(second)  # while the memory is shared: what is in it goes with it
        sent, _ = first.stop(signal.SIGINT)
        got, said = second.stop(signal.SIGINT)
        self.assertEqual((balanced(sent), balanced(got)), ([], []))
        self.assertEqual(got["packets"], sent["forwarded"])
        self.assertGreater(sent["drop"], 0)
        self.assertGreater(got["drop"], 0)
        passed = [f for _, f in pcapfile.packets(out)]
        self.assertEqual(len(passed), got["accept"])
        wanted = {frame(i) for i in range(FRAMES) if i % 7 and i % 3}
        self.assertEqual(set(passed), wanted)


if __name__ == "__main__":
    dpdknode.need_dpdk()
    unittest.main()

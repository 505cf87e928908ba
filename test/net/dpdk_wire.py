"""A node in the wire between namespaces (wirenet.py): an attacker is stopped, an innocent notices nothing, and the kernel counts the
same. Skipped, with the reason, where namespaces are not to be had."""
import hashlib
import os
import shutil
import socket
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import dpdknode  # noqa: E402
import tooltest as t  # noqa: E402
import wirenet  # noqa: E402
from dpdknode import FILTER, balanced, skip  # noqa: E402
from wirenet import PORTS, PROMPT_S, VDEVS, command  # noqa: E402

ATTACK_SYNS = 3000
REPLAYED = 4000
LIMIT = 10  # SYNs of a source, examples/manual/syn-flood.vfm
MIX = "tcp=40,ip6=10,udp=6,other=2,syn-flood=12,spoofed=5,scan=20,dns-amplification=5"  # as in oracle_nftables.py
FILE_BYTES = 3_000_000


class InTheWire(unittest.TestCase):
    def setUp(self):
        self.files = t.Scratch(self)
        self.addCleanup(wirenet.switch_off)
        self.live = dpdknode.Live(FILTER, vdevs=VDEVS, ports=PORTS, memory=256)
        self.addCleanup(self.live.kill)
        wirenet.start_twin(self)
        wirenet.switch_on()

    def settle(self):
        """Until the node has seen all that the twin has; the report. Nobody sends any more."""
        wirenet.switch_off()
        deadline = time.monotonic() + PROMPT_S
        while time.monotonic() < deadline:
            self.live.signal(10)
            self.live.read_until(" packets: ")
            words = self.live.read_until(f"port {PORTS[0]}").split()
            self.live.read_until(" ran ")
            if int(words[words.index("received") + 1]) >= sum(wirenet.twin()[:2]):
                break
            time.sleep(0.02)
        return self.live.stop()[0]

    def compare(self, report):
        refused, passed, sources = wirenet.twin()
        outside = report["ports"][0]
        self.assertEqual(balanced(report), [])
        self.assertEqual([(p["time"], p["stamped"]) for p in report["ports"]], [("tsc", 0)] * 2)
        self.assertEqual((outside["drop"], outside["accept"]), (refused, passed))
        self.assertEqual(outside["packets"], outside["received"])
        self.assertEqual((outside["missed"], outside["no_buffer"], outside["send_dropped"]), (0, 0, 0))
        return refused, passed, sources

    def serve(self):
        content = os.urandom(FILE_BYTES)
        wirenet.serve(self, self.files.write("file", content))
        return content

    def fetch(self, name):
        return wirenet.fetch(self, "file", self.files.path(name))

    def test_a_flood_of_syns_is_stopped_while_a_transfer_goes_on(self):
        content = self.serve()
        attack = wirenet.attack(self, ATTACK_SYNS)
        for i in range(3):
            curl = self.fetch(f"got{i}")
            _, err = curl.communicate(timeout=2 * PROMPT_S)
            self.assertEqual((curl.returncode, err), (0, ""))
            with open(self.files.path(f"got{i}"), "rb") as f:
                self.assertEqual(hashlib.sha256(f.read()).digest(), hashlib.sha256(content).digest())
        _, err = attack.communicate(timeout=PROMPT_S)
        self.assertEqual((attack.returncode, err), (0, ""))
        report = self.settle()
        refused, passed, sources = self.compare(report)
        self.assertEqual(refused, ATTACK_SYNS - LIMIT)
        self.assertEqual(sorted(sources), ["10.77.0.2", "10.77.0.3"])
        self.assertEqual(report["ports"][1]["drop"], 0, "nothing of the server's is refused")
        print(f"{report['packets']} packets, {refused} SYNs refused, {passed} passed inwards, "
              f"{report['ports'][1]['accept']} outwards, 3 x {FILE_BYTES} bytes fetched meanwhile")

    def test_replayed_traffic_counts_as_the_kernel_counts_it(self):
        capture = self.files.path("generated.pcap")
        command(os.path.join(t.BUILD, "test", "tools", "traffic-gen"), "--packets", str(REPLAYED), "--mix", MIX, "-o", capture)
        if shutil.which("tcpreplay"):
            command("tcpreplay", "-q", "-i", "x0", "--pps", "8000", capture)
        else:
            sys.path.insert(0, os.path.join(HERE, "..", "golden", "twins"))
            import pcapfile
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
                s.bind(("x0", 0))
                for _, frame in pcapfile.packets(capture):
                    s.send(frame)
        refused, passed, _ = self.compare(self.settle())
        self.assertGreaterEqual(refused + passed, REPLAYED)
        self.assertGreater(refused, REPLAYED // 20)
        print(f"{refused} refused, {passed} passed")

    def test_a_link_that_goes_down_is_told_and_comes_back(self):
        self.addCleanup(command, "ip", "link", "set", "dev", "x0", "up")
        self.live.counters()
        command("ip", "link", "set", "dev", "x0", "down")
        self.live.read_until("link down or port gone, net_af_packet0")
        command("ip", "link", "set", "dev", "x0", "up")
        self.live.read_until("link up, net_af_packet0")
        self.assertEqual(balanced(self.live.stop()[0]), [])

    def test_a_port_that_vanishes_is_told_and_the_node_ends_in_order(self):
        self.addCleanup(wirenet.plug_in)
        content = self.serve()
        curl = self.fetch("got")
        self.assertEqual((curl.communicate(timeout=2 * PROMPT_S)[1], len(content)), ("", FILE_BYTES))
        command("ip", "link", "delete", "dev", "x0")
        self.live.read_until("link down or port gone, net_af_packet0")
        report, _ = self.live.stop()
        self.assertEqual(balanced(report), [])
        self.assertEqual(report["table"]["entries"], 1, "the client's count is kept")


if __name__ == "__main__":
    if sys.argv[1:] != ["--inside"]:
        wirenet.enter(os.path.abspath(__file__))
    dpdknode.need_dpdk()
    try:
        wirenet.build()
    except OSError as error:
        skip(str(error).splitlines()[0])
    unittest.main(argv=sys.argv[:1])

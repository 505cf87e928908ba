"""Attackers that people use, at a node in the wire between namespaces (wirenet.py): hping3 floods, nmap scans, while a client fetches a
file. Once on packet sockets, once on AF_XDP sockets. Skipped, with the reason, where namespaces or the tools are not to be had."""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import dpdknode  # noqa: E402
import tooltest as t  # noqa: E402
import wirenet  # noqa: E402
from dpdknode import FILTER, balanced, skip  # noqa: E402
from wirenet import PROMPT_S  # noqa: E402

SCAN_FILTER = os.path.join(t.ROOT, "examples", "portscan.vfl")
LIMIT = 10         # SYNs of a source, examples/manual/syn-flood.vfm
PORTS_TO_TRY = 20  # examples/portscan.vfl
SCANNED = 100
SYNS = 1000
FILE_BYTES = 1_000_000
XDP_VDEVS = ("net_af_xdp0,iface=x1,force_copy=1", "net_af_xdp1,iface=y1,force_copy=1")
RESERVED = "/proc/sys/vm/nr_hugepages"
HUGE_PAGES = 160  # of 2 MB
XDP_PORTS = ("net_af_xdp0", "net_af_xdp1")


class Attackers(unittest.TestCase):
    def setUp(self):
        self.files = t.Scratch(self)
        self.addCleanup(wirenet.switch_off)

    def start(self, filter_file, vdevs=wirenet.VDEVS, ports=wirenet.PORTS, huge=False):
        live = dpdknode.Live(filter_file, vdevs=vdevs, ports=ports, memory=256, huge=huge)
        self.addCleanup(live.kill)
        return live

    def attacker(self, *words):
        process = subprocess.Popen(wirenet.inside("attacker", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: process.poll() is None and (process.kill(), process.communicate()))
        return process

    def flood(self):
        return self.attacker("hping3", "--syn", "--quiet", "--interval", "u500", "--count", str(SYNS), "--destport", "8000", "10.77.0.1")

    def fetch_during(self, attack):
        """A client's transfer goes well while the attack goes on; what the attacker printed."""
        content = os.urandom(FILE_BYTES)
        wirenet.serve(self, self.files.write("file", content))
        curl = wirenet.fetch(self, "file", self.files.path("got"))
        self.assertEqual((curl.communicate(timeout=2 * PROMPT_S)[1], curl.returncode), ("", 0))
        with open(self.files.path("got"), "rb") as f:
            self.assertEqual(hashlib.sha256(f.read()).digest(), hashlib.sha256(content).digest())
        out, _ = attack.communicate(timeout=PROMPT_S)
        return out

    def settle(self, live):
        """The report, when nobody sends any more and nothing more comes."""
        wirenet.switch_off()
        seen = []
        while len(seen) < 10 or len(set(seen[-10:])) > 1:
            self.assertLess(len(seen), 1000, "packets come for ever")
            seen.append(live.counters()[0][0])
            time.sleep(0.02)
        report, _ = live.stop()
        self.assertEqual(balanced(report), [])
        self.assertEqual(report["ports"][1]["drop"], 0, "nothing of the server's is refused")
        return report

    def test_a_flood_by_hping3_passes_as_often_as_the_kernel_lets_it(self):
        live = self.start(FILTER)
        wirenet.start_twin(self)
        wirenet.switch_on()
        self.fetch_during(self.flood())
        report = self.settle(live)
        refused, passed, _ = wirenet.twin()
        self.assertEqual(refused, SYNS - LIMIT)
        self.assertEqual((report["ports"][0]["drop"], report["ports"][0]["accept"]), (refused, passed))

    def test_a_scan_by_nmap_sees_no_more_ports_than_it_may_try(self):
        live = self.start(SCAN_FILTER)
        wirenet.switch_on()
        told = self.fetch_during(self.attacker("nmap", "-sS", "-Pn", "-n", "-T5", "--max-retries", "0", "-p", f"9001-{9000 + SCANNED}",
                                               "10.77.0.1"))
        report = self.settle(live)
        answered = sum(int(n) for n in re.findall(r"(\d+) closed", told))
        self.assertLessEqual(answered, PORTS_TO_TRY, told)
        self.assertEqual(report["ports"][0]["drop"], SCANNED - PORTS_TO_TRY, told)
        self.assertEqual(report["log"], 1, "the SYN that reaches the limit is logged")

    def reserve_huge_pages(self):
        """AF_XDP sends from memory in one piece only."""
        with open("/proc/meminfo", encoding="ascii") as f:
            free = int(re.search(r"HugePages_Free:\s*(\d+)", f.read()).group(1))
        if free >= HUGE_PAGES:
            return
        try:
            with open(RESERVED, "r+", encoding="ascii") as f:
                before = f.read()
                self.addCleanup(self.reserve, before)
                self.reserve(int(before) + HUGE_PAGES - free)
        except OSError as error:
            self.skipTest(f"SKIP no huge pages: {error}")

    @staticmethod
    def reserve(pages):
        with open(RESERVED, "w", encoding="ascii") as f:
            f.write(str(pages))

    def test_the_same_on_af_xdp_sockets(self):
        self.reserve_huge_pages()
        live = self.start(FILTER, vdevs=XDP_VDEVS, ports=XDP_PORTS, huge=True)
        wirenet.switch_on()
        self.fetch_during(self.flood())
        report = self.settle(live)
        self.assertEqual(report["ports"][0]["drop"], SYNS - LIMIT)


if __name__ == "__main__":
    if sys.argv[1:] != ["--inside"]:
        for tool in ("hping3", "nmap"):
            if not shutil.which(tool):
                skip(f"no {tool}")
        wirenet.enter(os.path.abspath(__file__))
    dpdknode.need_dpdk()
    try:
        wirenet.build()
    except OSError as error:
        skip(str(error).splitlines()[0])
    unittest.main(argv=sys.argv[:1])

"""A node in the wire between namespaces: an attacker is stopped, an innocent notices nothing, and the kernel counts the same.

    client  10.77.0.2 (c0)--(c1)--+
                                  br0--(x0)--(x1)  vfm-node  (y1)--(y0) server 10.77.0.1
    attacker 10.77.0.3 (a0)--(a1)-+            ^ net_af_packet ^
                                               |
                          nftables, ingress of x1: the same limit of SYNs per source

Packet sockets see what arrives at x1 before nftables does, so node and kernel judge the same packets; the kernel's chain counts them
and drops them all, that the node alone connects the two sides. The receive ring holds more packets than a test sends, so that
none is lost however late the node gets its turn.

Everything lives in namespaces of this test's own, which go with it. Skipped, with the reason, where they are not to be had."""
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import dpdknode  # noqa: E402
import tooltest as t  # noqa: E402
from dpdknode import FILTER, balanced, skip  # noqa: E402

RING = "framesz=2048,blocksz=4096,framecnt=16384,qpairs=1,qdisc_bypass=1"
VDEVS = (f"net_af_packet0,iface=x1,{RING}", f"net_af_packet1,iface=y1,{RING}")
PORTS = ("net_af_packet0", "net_af_packet1")
ATTACK_SYNS = 3000
REPLAYED = 4000
LIMIT = 10  # SYNs of a source, examples/manual/syn-flood.vfm
MIX = "tcp=40,ip6=10,udp=6,other=2,syn-flood=12,spoofed=5,scan=20,dns-amplification=5"  # as in oracle_nftables.py
FILE_BYTES = 3_000_000
PROMPT_S = 60  # for what must happen, if late

RULES = """
table netdev twin {
    counter refused { }
    counter passed { }
    set sources { type ipv4_addr; flags dynamic; size 65535; }
    chain ingress {
        type filter hook ingress device "x1" priority 0; policy drop;
        ip protocol tcp tcp flags & (syn | ack) == syn update @sources { ip saddr limit rate over 1/day burst 10 packets } counter name "refused" drop
        counter name "passed" drop
    }
}
"""

SEND_SYNS = """
import socket, struct, sys, time
sys.path.insert(0, %r)
import tooltest as t
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("a0", 0))
mac = bytes.fromhex(sys.argv[2].replace(":", ""))
for i in range(int(sys.argv[1])):
    frame = bytearray(mac + t.syn("10.77.0.3", "10.77.0.1", 1024 + i, 8000, i)[6:])
    total = sum(struct.unpack(">10H", frame[14:34]))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    frame[24:26] = struct.pack(">H", total ^ 0xFFFF)  # a bridge may filter, and then wants the header's checksum right
    s.send(bytes(frame).ljust(60, b"\\0"))
    if i %% 20 == 19:
        time.sleep(0.002)
"""


def command(*words, stdin=None):
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=PROMPT_S)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def inside(namespace, *words):
    return ("ip", "netns", "exec", namespace, *words)


def quiet():
    """No neighbour or router discovery among our frames."""
    return "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"


def build_topology():
    command("mount", "-t", "tmpfs", "tmpfs", "/run/netns") if os.path.isdir("/run/netns") else None
    command("sh", "-c", quiet())
    command("ip", "link", "set", "dev", "lo", "up")
    command("ip", "link", "add", "name", "br0", "type", "bridge", "mcast_snooping", "0")
    for name, near, far, address in (("client", "c1", "c0", "10.77.0.2"), ("attacker", "a1", "a0", "10.77.0.3"),
                                     ("server", "y1", "y0", "10.77.0.1")):
        command("ip", "netns", "add", name)
        command(*inside(name, "sh", "-c", quiet()))
        command("ip", "link", "add", "name", near, "type", "veth", "peer", "name", far, "netns", name)
        command(*inside(name, "ip", "address", "add", f"{address}/24", "dev", far))
        command(*inside(name, "ip", "link", "set", "dev", "lo", "up"))
        # Checksums and segments made by the stack itself: there is no NIC below a veth pair to finish them.
        command(*inside(name, "ethtool", "-K", far, "tx", "off", "tso", "off", "gso", "off", "gro", "off"))
    for name in ("c1", "a1"):
        command("ip", "link", "set", "dev", name, "master", "br0")
    for name in ("br0", "c1", "a1", "y1"):
        command("ip", "link", "set", "dev", name, "up")
    plug_in()


def plug_in():
    command("ip", "link", "add", "name", "x0", "type", "veth", "peer", "name", "x1")
    command("ip", "link", "set", "dev", "x0", "master", "br0", "up")
    command("ip", "link", "set", "dev", "x1", "up")


def switch_on():
    """The hosts' ends last: no packet passes before node and twin watch."""
    for name, far in (("server", "y0"), ("attacker", "a0"), ("client", "c0")):
        command(*inside(name, "ip", "link", "set", "dev", far, "up"))
    deadline = time.monotonic() + PROMPT_S
    while any(bridge_state(port) != "forwarding" for port in ("a1", "c1", "x0")):
        if time.monotonic() > deadline:
            raise OSError("the bridge does not forward")
        time.sleep(0.02)


def bridge_state(port):
    return json.loads(command("ip", "-j", "-d", "link", "show", "dev", port))[0]["linkinfo"]["info_slave_data"]["state"]


def switch_off():
    for name, far in (("server", "y0"), ("attacker", "a0"), ("client", "c0")):
        command(*inside(name, "ip", "link", "set", "dev", far, "down"))


class InTheWire(unittest.TestCase):
    def setUp(self):
        self.files = t.Scratch(self)
        self.addCleanup(switch_off)
        self.live = dpdknode.Live(FILTER, vdevs=VDEVS, ports=PORTS, memory=256)
        self.addCleanup(self.live.kill)
        command("nft", "-f", "-", stdin=RULES)
        self.addCleanup(subprocess.run, ["nft", "delete", "table", "netdev", "twin"], capture_output=True, timeout=PROMPT_S)
        switch_on()

    def twin(self):
        """(refused, passed) packets, sources."""
        listed = json.loads(command("nft", "-j", "list", "table", "netdev", "twin"))["nftables"]
        counters = {o["counter"]["name"]: o["counter"]["packets"] for o in listed if "counter" in o}
        sources = [e["elem"]["val"] for o in listed if "set" in o for e in o["set"].get("elem", [])]
        return counters["refused"], counters["passed"], sources

    def settle(self):
        """Until the node has seen all that the twin has; the report. Nobody sends any more."""
        switch_off()
        deadline = time.monotonic() + PROMPT_S
        while time.monotonic() < deadline:
            self.live.signal(10)
            self.live.read_until(" packets: ")
            words = self.live.read_until(f"port {PORTS[0]}").split()
            self.live.read_until(" ran ")
            if int(words[words.index("received") + 1]) >= sum(self.twin()[:2]):
                break
            time.sleep(0.02)
        return self.live.stop()[0]

    def compare(self, report):
        refused, passed, sources = self.twin()
        outside = report["ports"][0]
        self.assertEqual(balanced(report), [])
        self.assertEqual((outside["drop"], outside["accept"]), (refused, passed))
        self.assertEqual(outside["packets"], outside["received"])
        self.assertEqual((outside["missed"], outside["no_buffer"], outside["send_dropped"]), (0, 0, 0))
        return refused, passed, sources

    def serve(self):
        content = os.urandom(FILE_BYTES)
        folder = os.path.dirname(self.files.write("file", content))
        server = subprocess.Popen(inside("server", sys.executable, "-m", "http.server", "--bind", "10.77.0.1", "--directory", folder,
                                         "8000"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            server.kill()
            server.wait(PROMPT_S)

        self.addCleanup(end)
        deadline = time.monotonic() + PROMPT_S
        while time.monotonic() < deadline:  # without a packet through the node
            if ":8000" in command(*inside("server", "ss", "-ltn")):
                return content
            time.sleep(0.05)
        self.fail("the server does not listen")

    def fetch(self, name):
        return subprocess.Popen(inside("client", "curl", "-sS", "--max-time", str(PROMPT_S), "-o", self.files.path(name),
                                       "http://10.77.0.1:8000/file"), stderr=subprocess.PIPE, text=True)

    def test_a_flood_of_syns_is_stopped_while_a_transfer_goes_on(self):
        content = self.serve()
        mac = json.loads(command(*inside("server", "ip", "-j", "link", "show", "dev", "y0")))[0]["address"]
        attack = subprocess.Popen(inside("attacker", sys.executable, "-c", SEND_SYNS % os.path.join(HERE, "..", "lib"),
                                         str(ATTACK_SYNS), mac), stderr=subprocess.PIPE, text=True)
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
        self.addCleanup(plug_in)
        content = self.serve()
        curl = self.fetch("got")
        self.assertEqual((curl.communicate(timeout=2 * PROMPT_S)[1], len(content)), ("", FILE_BYTES))
        command("ip", "link", "delete", "dev", "x0")
        self.live.read_until("link down or port gone, net_af_packet0")
        report, _ = self.live.stop()
        self.assertEqual(balanced(report), [])
        self.assertEqual(report["table"]["entries"], 1, "the client's count is kept")


def enter_namespace():
    """Runs this file again in network and mount namespaces of its own, which its namespaces of hosts go with."""
    for tool in ("unshare", "ip", "nft", "ethtool", "curl", "ss"):
        if not shutil.which(tool):
            skip(f"no {tool}")
    own = ["unshare", "--net", "--mount"]
    if os.geteuid():
        own = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
    tried = subprocess.run([*own, "true"], capture_output=True, text=True)
    if tried.returncode:
        skip(f"no namespaces: {tried.stderr.strip()}")
    os.makedirs("/run/netns", exist_ok=True)
    os.execvp(own[0], [*own, sys.executable, os.path.abspath(__file__), "--inside"])


if __name__ == "__main__":
    if sys.argv[1:] != ["--inside"]:
        enter_namespace()
    dpdknode.need_dpdk()
    try:
        build_topology()
    except OSError as error:
        skip(str(error).splitlines()[0])
    unittest.main(argv=sys.argv[:1])

"""A stateful filter against the kernel: a limit of SYNs per source, as a VFM program and as an nftables dynamic set.

One network namespace of our own, two veth pairs:

    this test -> v0 ==== v1 -> nftables (ingress of v1) -> w0 ==== w1 -> this test

Frames of generated traffic are put on v0. nftables counts SYNs by source in a dynamic set, drops those beyond the tenth and forwards
everything else to w0. What arrives at w1, in order, must be the frames that vfm-test accepts, and the set's elements the table's keys.
`limit rate over 1/day burst 10` lets exactly 10 packets of a source pass: the next is earned after a day.

Skipped, with the reason, where namespaces, veth or nftables are not to be had."""
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "golden", "twins")]
import pcapfile  # noqa: E402
import tooltest as t  # noqa: E402

FILTER = os.path.join(t.ROOT, "examples", "manual", "syn-flood.vfm")
PACKETS = 40000 if t.ALL else 4000
# Without VLAN tags, options and fragments, where the kernel finds the TCP header elsewhere than the filter's fixed offsets.
MIX = "tcp=40,ip6=10,udp=6,other=2,syn-flood=12,spoofed=5,scan=20,dns-amplification=5"
SKIPPED = 77
BATCH = 64  # frames on the way at a time; the kernel queues 1,000
MARK = b"\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5" + b"end of a batch".ljust(46)
WAIT_S = 30  # for a frame that the kernel has; only a lost frame takes as long

RULES = """
table netdev oracle {
    set sources { type ipv4_addr; flags dynamic; size 65535; }
    chain ingress {
        type filter hook ingress device "v1" priority 0; policy drop;
        ip protocol tcp tcp flags & (syn | ack) == syn update @sources { ip saddr limit rate over 1/day burst 10 packets } drop
        fwd to "w0"
    }
}
"""


def command(*words, stdin=None):
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def build_topology():
    for scope in ("all", "default"):  # no neighbour or router discovery among our frames
        with open(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "w") as f:
            f.write("1")
    for near, far in (("v0", "v1"), ("w0", "w1")):
        command("ip", "link", "add", "name", near, "type", "veth", "peer", "name", far)
        for name in (near, far):
            command("ip", "link", "set", "dev", name, "arp", "off", "up")
    command("nft", "-f", "-", stdin=RULES)


def packet_socket(interface, protocol):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
    s.bind((interface, protocol))
    s.settimeout(WAIT_S)
    return s


def through_the_kernel(frames):
    """The frames that arrive at w1, in order."""
    arrived = []
    with packet_socket("v0", 0) as out, packet_socket("w1", 3) as back:
        for first in range(0, len(frames), BATCH):
            for frame in frames[first:first + BATCH]:
                out.send(frame)
            out.send(MARK)
            while (frame := back.recv(65536)) != MARK:
                arrived.append(frame)
    return arrived


class NftablesSynLimit(unittest.TestCase):
    def test_the_kernel_forwards_what_the_filter_accepts(self):
        files = t.Scratch(self)
        capture = files.path("generated.pcap")
        command(os.path.join(t.BUILD, "test", "tools", "traffic-gen"), "--packets", str(PACKETS), "--mix", MIX, "-o", capture)
        done = t.run("vfm-test", "--verdicts", files.path("v"), "--table", files.path("t"), FILTER, capture)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        frames = [frame for _, frame in pcapfile.packets(capture)]
        verdicts = files.read("v").split()
        self.assertEqual(len(frames), len(verdicts))
        accepted = [frame for frame, verdict in zip(frames, verdicts) if verdict == "1"]
        self.assertGreater(len(frames) - len(accepted), PACKETS // 20, "too little is dropped to show anything")

        arrived = through_the_kernel(frames)
        for i, (ours, theirs) in enumerate(zip(accepted, arrived)):
            self.assertEqual(ours.hex(), theirs.hex(), f"accepted packet {i + 1} is not what the kernel forwards")
        self.assertEqual(len(accepted), len(arrived))

        listed = json.loads(command("nft", "-j", "list", "set", "netdev", "oracle", "sources"))
        sources = {e["elem"]["val"] for o in listed["nftables"] if "set" in o for e in o["set"].get("elem", [])}
        keys = {str(ipaddress.ip_address(int(line.split()[1], 16))) for line in files.read("t").splitlines()}
        self.assertEqual(sources, keys)
        print(f"{len(frames)} packets, {len(accepted)} accepted, {len(keys)} sources")


def skip(reason):
    print(f"SKIP {reason}")
    sys.exit(SKIPPED)


def enter_namespace():
    """Runs this file again in a network namespace of its own."""
    for tool in ("unshare", "ip", "nft"):
        if not shutil.which(tool):
            skip(f"no {tool}")
    own = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    tried = subprocess.run([*own, "true"], capture_output=True, text=True)
    if tried.returncode:
        skip(f"no network namespace: {tried.stderr.strip()}")
    os.execvp(own[0], [*own, sys.executable, os.path.abspath(__file__), "--inside"])


if __name__ == "__main__":
    if sys.argv[1:] != ["--inside"]:
        enter_namespace()
    try:
        build_topology()
    except OSError as error:
        skip(str(error).splitlines()[0])
    unittest.main(argv=sys.argv[:1])

"""Namespaces of a wire with a node in it, for tests.

    client  10.77.0.2 (c0)--(c1)--+
                                  br0--(x0)--(x1)  vfm-node  (y1)--(y0) server 10.77.0.1
    attacker 10.77.0.3 (a0)--(a1)-+            ^ net_af_packet ^
                                               |
                          nftables, ingress of x1: the same limit of SYNs per source

Packet sockets see what arrives at x1 before nftables does, so node and kernel judge the same packets; the kernel's chain counts them
and drops them all, that the node alone connects the two sides. The receive ring holds more packets than a test sends, so that
none is lost however late the node gets its turn.

Everything lives in namespaces of a test's own, which go with it: enter() first, then build()."""
import json
import os
import shutil
import subprocess
import sys
import time
import unittest

import tooltest as t
from dpdknode import skip

RING = "framesz=2048,blocksz=4096,framecnt=16384,qpairs=1,qdisc_bypass=1"
VDEVS = (f"net_af_packet0,iface=x1,{RING}", f"net_af_packet1,iface=y1,{RING}")
PORTS = ("net_af_packet0", "net_af_packet1")
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
    frame = bytearray(mac + t.syn("10.77.0.3", "10.77.0.1", int(sys.argv[3]) + i, 8000, i)[6:])
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


def build():
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


def twin():
    """(refused, passed) packets as the kernel counts them, and sources."""
    listed = json.loads(command("nft", "-j", "list", "table", "netdev", "twin"))["nftables"]
    counters = {o["counter"]["name"]: o["counter"]["packets"] for o in listed if "counter" in o}
    sources = [e["elem"]["val"] for o in listed if "set" in o for e in o["set"].get("elem", [])]
    return counters["refused"], counters["passed"], sources


def start_twin(case):
    command("nft", "-f", "-", stdin=RULES)
    case.addCleanup(subprocess.run, ["nft", "delete", "table", "netdev", "twin"], capture_output=True, timeout=PROMPT_S)


def serve(case, path):
    """A web server on the inside, of the file's folder."""
    server = subprocess.Popen(inside("server", sys.executable, "-m", "http.server", "--bind", "10.77.0.1", "--directory",
                                     os.path.dirname(path), "8000"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end():
        server.kill()
        server.wait(PROMPT_S)

    case.addCleanup(end)
    deadline = time.monotonic() + PROMPT_S
    while ":8000" not in command(*inside("server", "ss", "-ltn")):  # without a packet through the node
        case.assertLess(time.monotonic(), deadline, "the server does not listen")
        time.sleep(0.05)


def fetch(case, name, to, *options):
    """curl of the server's file of that name, in the background; to "-": its standard output."""
    curl = subprocess.Popen(inside("client", "curl", "-sS", "--max-time", str(PROMPT_S), *options, "-o", to,
                                   f"http://10.77.0.1:8000/{name}"),
                            stdout=subprocess.PIPE if to == "-" else subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    case.addCleanup(lambda: curl.poll() is None and (curl.kill(), curl.communicate()))
    return curl


def attack(case, syns, first_port=1024):
    """So many SYNs of the attacker, each from another port, in the background."""
    mac = json.loads(command(*inside("server", "ip", "-j", "link", "show", "dev", "y0")))[0]["address"]
    process = subprocess.Popen(inside("attacker", sys.executable, "-c", SEND_SYNS % os.path.dirname(os.path.abspath(__file__)),
                                      str(syns), mac, str(first_port)), stderr=subprocess.PIPE, text=True)
    case.addCleanup(lambda: process.poll() is None and (process.kill(), process.communicate()))
    return process


def own_namespaces():
    """The command that makes network and mount namespaces, which a test's namespaces of hosts go with."""
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
    return own


def enter(script):
    """Runs this file again in namespaces of its own."""
    own = own_namespaces()
    os.execvp(own[0], [*own, sys.executable, script, "--inside"])


def enter_each(script, *cases):
    """Runs each test of the cases in namespaces of its own: no host has a connection left that another test would hear of."""
    own = own_namespaces()
    names = [f"{case.__name__}.{name}" for case in cases for name in unittest.defaultTestLoader.getTestCaseNames(case)]
    codes = [subprocess.call([*own, sys.executable, script, "--inside", name]) for name in names]
    sys.exit(next((code for code in codes if code), 0))

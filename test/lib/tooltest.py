"""Running the project's programs from Python tests: where they are, small captures made on the spot, the real captures.

Import with  sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib")).
"""
import glob
import os
import struct
import subprocess
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
CAPTURES = os.path.join(ROOT, "..", "shared", "data", "captures")
ALL = os.environ.get("TEST_ALL") == "1"
ETHERNET = 1


def program(name):
    return os.path.join(BUILD, "bin", name)


def run(name, *args, stdin=b"", cwd=None, timeout=200):
    """Runs build/bin/NAME; the result has returncode, and stdout and stderr as text."""
    done = subprocess.run([program(name), *args], input=stdin, capture_output=True, cwd=cwd, timeout=timeout)
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done


def real_captures():
    """Every real capture, ascending by name; [] where they are absent."""
    return sorted(p for p in glob.glob(os.path.join(CAPTURES, "*", "*")) if p.endswith((".pcap", ".pcapng", ".cap")))


def pcap(packets, link_type=ETHERNET, order="<", magic=0xA1B2C3D4):
    """Bytes of a pcap file of (time in microseconds, frame) pairs."""
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link_type)]
    for time_us, frame in packets:
        out.append(struct.pack(order + "IIII", time_us // 10**6, time_us % 10**6, len(frame), len(frame)) + frame)
    return b"".join(out)


def pcapng(packets, link_type=ETHERNET):
    """Bytes of a pcapng file of one interface in microseconds."""
    def block(kind, body):
        size = struct.pack("<I", 12 + len(body))
        return struct.pack("<I", kind) + size + body + size

    out = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), block(1, struct.pack("<HHI", link_type, 0, 0))]
    for time_us, frame in packets:
        fixed = struct.pack("<IIIII", 0, time_us >> 32, time_us & 0xFFFFFFFF, len(frame), len(frame))
        out.append(block(6, fixed + frame + b"\0" * (-len(frame) % 4)))
    return b"".join(out)


def ip4(address):
    return bytes(int(part) for part in address.split("."))


def frame4(src, dst, proto, payload, ihl=5):
    """An Ethernet frame of an IPv4 packet without checksum; ihl - 5 words of NOP options."""
    total = 4 * ihl + len(payload)
    header = struct.pack(">BBHHHBBH", 0x40 | ihl, 0, total, 0, 0, 64, proto, 0) + ip4(src) + ip4(dst)
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + header + b"\1" * (4 * (ihl - 5)) + payload


def tcp(sport, dport, flags, seq=0, payload=b""):
    return struct.pack(">HHIIBBHHH", sport, dport, seq, 0, 0x50, flags, 65535, 0, 0) + payload


def syn(src, dst="10.9.9.9", sport=1000, dport=80, seq=0):
    return frame4(src, dst, 6, tcp(sport, dport, 2, seq))


class Scratch:
    """A directory that goes with the test case: write(name, bytes or text) -> path."""

    def __init__(self, case):
        self.dir = tempfile.TemporaryDirectory(prefix="vfm-")
        case.addCleanup(self.dir.cleanup)

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
        return self.path(name)

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

"""Captures that are damaged, foreign or absurd: read as far as they go, the rest told; nothing crashes."""
import csv
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import tooltest as t  # noqa: E402

ADVICE = "give a pcap or pcapng capture"
DAMAGED = "results cover what lies before; mend the rest or take it again"
FOREIGN = ("filters count from the Ethernet header; capture on an Ethernet interface or rewrite the file with Ethernet headers")
# What libpcap does not read of the real captures, and what is said about it. All others are read whole.
NOT_READ = {
    "npm-pcap-parser/malformed.pcap": (1, None, "unknown file format, {path}: " + ADVICE),
    "pcapplusplus/microsecs_big_endian.pcap": (1, None, "link type NETLINK (Linux netlink) instead of Ethernet, {path}: " + FOREIGN),
    "suricata-verify/http-range-multiflows.pcap": (1, None, "link type NULL (BSD loopback) instead of Ethernet, {path}: " + FOREIGN),
    "zeek/llc.pcap": (1, None, "link type FDDI (FDDI) instead of Ethernet, {path}: " + FOREIGN),
    "zeek/rotation.pcap": (1, None, "link type RAW (Raw IP) instead of Ethernet, {path}: " + FOREIGN),
    # pcapng with interfaces of different kinds, which libpcap refuses at the second interface.
    "pcapplusplus/many_interfaces-1.pcapng": (3, 0, "an interface has a type 0 different from the type of the first interface, "
                                              "{path} after packet 0: " + DAMAGED),
    "pcapplusplus/too_many_interfaces.pcapng": (3, 0, "an interface has a snapshot length 8192 different from the snapshot length "
                                                "of the first interface, {path} after packet 0: " + DAMAGED),
    "pcapplusplus/ipv4-malformed.pcap": (3, 0, "an interface has a snapshot length 65536 different from the snapshot length of "
                                         "the first interface, {path} after packet 0: " + DAMAGED),
}


class Damaged(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.files = t.Scratch(self)
        self.filter = self.files.write("length.vfm", "PKTLEN\nRET\n")

    def read(self, *captures, **more):
        """(exit status, lengths of the packets read, standard error)"""
        verdicts = self.files.path("v")
        if os.path.exists(verdicts):
            os.remove(verdicts)
        done = t.run("vfm-test", "--verdicts", verdicts, self.filter, *captures, **more)
        lengths = [int(line) for line in self.files.read("v").split()] if os.path.exists(verdicts) else None
        return done.returncode, lengths, done.stderr

    def test_every_real_capture_is_read_to_its_last_packet_or_its_damage(self):
        listed = os.path.join(t.CAPTURES, "README.tsv")
        if not os.path.exists(listed):
            print(f"SKIP no captures in {t.CAPTURES}")
            self.skipTest("no captures")
        with open(listed) as f:
            rows = {row["file"]: int(row["packets"]) for row in csv.DictReader(f, delimiter="\t")}
        for name, packets in rows.items():
            path = os.path.join(t.CAPTURES, name)
            expected_status, expected_packets, text = NOT_READ.get(name, (0, packets, None))
            with self.subTest(name):
                status, lengths, stderr = self.read(path)
                self.assertEqual(stderr, f"vfm-test: {text.format(path=path)}\n" if text else "")
                self.assertEqual((status, None if lengths is None else len(lengths)), (expected_status, expected_packets))

    def test_a_capture_cut_anywhere_gives_its_whole_packets(self):
        sizes = [60, 0, 5]
        whole = t.pcap([(i, b"x" * n) for i, n in enumerate(sizes)])
        ends = [24 + sum(16 + n for n in sizes[:i]) for i in range(len(sizes) + 1)]  # where packet i ends
        for length in range(len(whole) + 1):
            path = self.files.write("cut.pcap", whole[:length])
            status, lengths, stderr = self.read(path)
            if length < 24:
                self.assertEqual((status, lengths), (1, None), length)
                self.assertIn(f"file header bytes, only got {max(length - 4, 0) if length > 3 else length}, {path}: {ADVICE}\n", stderr)
                continue
            packets = sum(1 for end in ends[1:] if end <= length)
            self.assertEqual((status, lengths), (0 if length in ends else 3, sizes[:packets]), length)
            self.assertEqual(stderr == "", status == 0)
            if status:
                self.assertRegex(stderr, rf"^vfm-test: truncated dump file; .*, {path} after packet {packets}: {DAMAGED}\n$")

    def test_a_record_longer_than_any_packet_is_damage(self):
        whole = t.pcap([(0, b"x" * 60), (1, b"y" * 60)])
        at = 24 + 76 + 8
        path = self.files.write("huge.pcap", whole[:at] + b"\xff\xff\xff\x7f" + whole[at + 4:])
        self.assertEqual(self.read(path), (3, [60], "vfm-test: invalid packet capture length 2147483647, bigger than snaplen of 262144, "
                                           f"{path} after packet 1: {DAMAGED}\n"))

    def test_garbage_ends_in_words_and_an_exit_status(self):
        rng = random.Random(1)
        valid = t.pcap([(i, bytes(rng.randrange(256) for _ in range(60))) for i in range(20)])
        pcapng = t.pcapng([(0, b"data")])
        self.assertEqual(self.read(self.files.write("valid.pcapng", pcapng)), (0, [4], ""))
        for i in range(2000 if t.ALL else 100):
            base = bytearray(rng.choice([valid, pcapng, bytes(rng.randrange(256) for _ in range(300))]))
            for _ in range(rng.randrange(1, 6)):
                base[rng.randrange(len(base))] = rng.randrange(256)
            status, lengths, stderr = self.read(self.files.write("garbage", bytes(base)))
            self.assertIn(status, (0, 1, 3), f"seed 1, case {i}: {stderr}")
            self.assertEqual(stderr == "", status == 0, f"seed 1, case {i}: {stderr}")
            self.assertEqual(lengths is None, status == 1, f"seed 1, case {i}: {stderr}")

    def sparse(self, name, head, size):
        """A file of that size that begins with head and goes on in zeros."""
        path = self.files.write(name, head)
        os.truncate(path, size)
        return path

    def test_a_hundred_megabytes_of_nothing(self):
        size = 100 << 20
        zeros = self.sparse("zeros", b"", size)
        self.assertEqual(self.read(zeros), (1, None, f"vfm-test: unknown file format, {zeros}: {ADVICE}\n"))
        # After a header zeros are packets without a byte; 100 MiB end within a record's header.
        empty = self.sparse("empty.pcap", t.pcap([]), size)
        done = t.run("vfm-test", self.filter, empty)
        packets = (size - 24) // 16
        self.assertEqual((done.returncode, done.stdout),
                         (3, f"{packets} packets: 0 accepted (0 to log), {packets} dropped, 0 in error\n"))
        self.assertEqual(done.stderr, "vfm-test: truncated dump file; tried to read 16 header bytes, only got 8, "
                         f"{empty} after packet {packets}: {DAMAGED}\n")

    def test_a_hundred_megabytes_as_filter_or_as_preload_file(self):
        capture = self.files.write("c.pcap", t.pcap([(0, b"x" * 60)]))
        big = self.sparse("big", b"RET 1\n", 100 << 20)
        done = t.run("vfm-test", big, capture)
        self.assertEqual((done.returncode, done.stderr),
                         (1, f"{big}: error: larger than 64 MiB: give a filter as bytecode, assembly or VFLisp\n"))
        done = t.run("vfm-test", "--preload", big, self.filter, capture)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.startswith(f"{big}:1:1: error: a table number below 2^64 expected"), done.stderr[:300])


if __name__ == "__main__":
    unittest.main()

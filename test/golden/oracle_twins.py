"""Stateful filters against their Python twins (test/golden/twins/twins.py): over all captures in one run, in order of their times, and
over generated traffic. Verdict files and table files must be the same, on the flat machine and on the real tables."""
import filecmp
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(__file__)
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "twins")]
import pcapfile  # noqa: E402
import tooltest as t  # noqa: E402
import twins  # noqa: E402

LARGEST = 3 << 20  # bytes of a capture that a short run leaves out


def read_captures():
    """[(path, packets)] of the Ethernet captures, the one that ends first first; those whose clock is garbage come last so."""
    loaded = []
    for path in t.real_captures():
        if not t.ALL and os.path.getsize(path) > LARGEST:
            continue
        try:
            packets = list(pcapfile.packets(path))
        except pcapfile.NotEthernet:
            continue
        loaded.append((path, packets))
    return sorted(loaded, key=lambda c: (c[1][-1][0] if c[1] else 0, c[0]))


def generate(directory):
    """[(path, packets)] of one capture of ten seconds of generated traffic."""
    path = os.path.join(directory, "generated.pcap")
    options = ["--packets", "100000" if t.ALL else "10000", "--pps", "10000" if t.ALL else "1000"]
    subprocess.run([os.path.join(t.BUILD, "test", "tools", "traffic-gen"), *options, "-o", path], check=True)
    return [(path, list(pcapfile.packets(path)))]


class Twins:
    """The cases, over cls.captures."""

    def setUp(self):
        self.files = t.Scratch(self)

    def where(self, number):
        """Words for the n-th packet, from 0, of the whole run."""
        for path, packets in self.captures:
            if number < len(packets):
                return f"packet {number + 1} of {path}"
            number -= len(packets)
        return "behind the last packet"

    def compare(self, name, expected):
        """The file that vfm-test wrote, with the lines expected."""
        theirs = self.files.write("expected", "".join(line + "\n" for line in expected))
        if filecmp.cmp(self.files.path(name), theirs, shallow=False):
            return
        ours = self.files.read(name).splitlines()
        at = next((i for i, (a, b) in enumerate(zip(ours, expected)) if a != b), min(len(ours), len(expected)))
        place = self.where(at) if name == "verdicts" else f"line {at + 1}"
        self.fail(f"{name}, {place}: {ours[at:at + 1]}, the twin has {expected[at:at + 1]}")

    def judge(self, make_twin):
        """Compares, and returns the verdict lines."""
        twin = make_twin()
        lines = list(twins.judge_all(twin, (p for _, packets in self.captures for p in packets)))
        for form in (["--flat"], []):
            done = t.run("vfm-test", *form, "--verdicts", self.files.path("verdicts"), "--table", self.files.path("table"),
                         os.path.join(t.ROOT, twin.filter), *[path for path, _ in self.captures])
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.compare("verdicts", lines)
            if twin.state is not None:
                self.compare("table", twins.table_lines(twin))
        return lines


class Captured(Twins, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.captures = read_captures()
        if not cls.captures:
            print(f"SKIP no captures in {t.CAPTURES}")
            raise unittest.SkipTest("no captures")

    def check(self, make_twin):
        self.judge(make_twin)


class Generated(Twins, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="vfm-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.captures = generate(cls.directory.name)

    def check(self, make_twin):
        lines = self.judge(make_twin)
        self.assertGreater(lines.count("0"), 0, "no packet is dropped: the twin shows nothing")
        self.assertGreater(len(set(lines)), 1, "all packets are dropped: the twin shows nothing")


def add_cases(cases):
    """One case for each twin; a failure names it."""
    for twin in twins.TWINS:
        name = "".join("_" + c.lower() if c.isupper() else c for c in twin.__name__)
        setattr(cases, "test" + name, lambda self, twin=twin: self.check(twin))


add_cases(Captured)
add_cases(Generated)

if __name__ == "__main__":
    unittest.main()

"""Rehearsals: real processes, real kills, against a single instance. A small matrix; the whole one is rehearsals_all.py."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

BUILD = os.environ.get("BUILD", "build")


def rehearse(capture, filter_name, *options):
    command = [f"{BUILD}/bin/vfmctl", "rehearse", "--json", "--accept-guard", *options, filter_name, capture]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    return done, " ".join(command)


class Rehearsals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.traffic = cls.generate(30000, 3)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    @classmethod
    def generate(cls, packets, seed):
        name = os.path.join(cls.directory.name, f"traffic-{packets}.pcap")
        subprocess.run([f"{BUILD}/test/tools/traffic-gen", "-n", str(packets), "--seed", str(seed), "-o", name], check=True)
        return name

    def passes(self, capture, filter_name, *options):
        done, command = rehearse(capture, filter_name, *options)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        result = json.loads(done.stdout)
        self.assertEqual((result["differences_e1"], result["lost"], result["released_twice"]), (0, 0, 0), command)
        self.assertIn(result["differences_e2"], (0, None), command)
        self.assertTrue(result["state_equal"], command)
        return result

    def test_moves_kills_and_scaling_change_no_verdict(self):
        r = self.passes(self.traffic, "examples/conntrack.vfl", "--moves", "4", "--kills", "1")
        self.assertEqual(r["differences_e2"], 0)
        self.assertGreaterEqual(r["scale_outs"], 1)
        self.assertGreaterEqual(r["scale_ins"], 1)

    def test_evictions_are_the_same_on_every_node(self):
        r = self.passes(self.traffic, "examples/conntrack.vfl", "--moves", "3", "--kills", "1", "--capacity", "40", "--shards", "4")
        self.assertGreater(r["evictions"], 100)
        self.assertIsNone(r["differences_e2"])

    def test_a_filter_that_may_not_be_split_runs_in_one_shard_and_moves_all_the_same(self):
        r = self.passes(self.traffic, "test/golden/analysis/source-and-destination.vfm", "--moves", "3", "--kills", "1")
        self.assertEqual(r["shards"], 1)

    def test_release_early_gives_the_same(self):
        self.passes(self.traffic, "examples/syn-limit.vfl", "--moves", "3", "--kills", "1", "--release", "early")

    def test_the_picture_shows_everything_that_was_done(self):
        picture = os.path.join(self.directory.name, "run <&> 1.svg")
        r = self.passes(self.traffic, "examples/conntrack.vfl", "--moves", "3", "--kills", "1", "--svg", picture)
        root = xml.etree.ElementTree.parse(picture).getroot()
        space = "{http://www.w3.org/2000/svg}"
        self.assertEqual(root.tag, space + "svg")
        marks = [t.text.split(": ", 1) for t in root.iter(space + "title")]
        labels = [t.text for t in root.iter(space + "text") if t.get("class") == "label"]
        self.assertEqual(labels, [what for _, what in marks])
        times = [float(at.removesuffix(" s")) for at, _ in marks]
        self.assertEqual(times, sorted(times))
        for start, wanted in (("shard ", 3), ("kill -9 ", 1), ("promoted ", 1), ("start ", r["scale_outs"]), ("drain ", r["scale_ins"])):
            self.assertEqual(sum(text.startswith(start) for text in labels), wanted, f"{start}: {labels}")
        curves = {p.get("class"): p.get("d") for p in root.iter(space + "path") if p.get("class") in ("rate", "mean", "longest")}
        for name, line in curves.items():
            self.assertGreater(line.count("H"), 3, name)
            self.assertNotRegex(line, "nan|inf", name)
        self.assertEqual(sorted(curves), ["longest", "mean", "rate"])

    def test_a_picture_that_cannot_be_written_is_an_error(self):
        done, _ = rehearse(self.traffic, "examples/conntrack.vfl", "--moves", "0", "--kills", "0", "--svg", "/no/such/directory/a.svg")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/no/such/directory/a.svg", done.stderr)

    def test_a_node_that_crashes_by_itself_fails_the_rehearsal(self):
        command = [f"{BUILD}/bin/vfmctl", "rehearse", "--moves", "1000", "--kills", "0", "examples/conntrack.vfl", self.traffic]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as rehearsal:
            self.addCleanup(rehearsal.kill)
            node = self.child_named(rehearsal.pid, "node2")
            os.kill(node, signal.SIGSEGV)
            out, err = rehearsal.communicate(timeout=60)
        self.assertEqual(rehearsal.returncode, 1, out + err)
        self.assertIn("a process ended by itself (signal 11), node2:", err)
        self.assertNotIn("differing verdicts", out)

    @staticmethod
    def child_named(parent, name):
        """A child that was started with --name NAME, once there is one."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as f:
                children = [int(n) for n in f.read().split()]
            for child in children:
                try:
                    with open(f"/proc/{child}/cmdline", "rb") as f:
                        if name.encode() in f.read().split(b"\0"):
                            return child
                except FileNotFoundError:
                    pass
            time.sleep(0.01)
        raise AssertionError(f"no process {name}")


if __name__ == "__main__":
    sys.exit(unittest.main())

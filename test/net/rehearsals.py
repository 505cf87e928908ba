"""Rehearsals: real processes, real kills, against a single instance. A small matrix; with TEST_ALL=1 every stateful example on every
real capture and a generated one of 10^6 packets, with and without evictions, in all release modes."""
import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

BUILD = os.environ.get("BUILD", "build")
ALL = os.environ.get("TEST_ALL") == "1"
CAPTURES = "../shared/data/captures"


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

    @unittest.skipUnless(ALL, "the whole matrix runs with TEST_ALL=1")
    def test_every_example_on_every_capture(self):
        captures = sorted(glob.glob(f"{CAPTURES}/**/*.pcap*", recursive=True), key=os.path.getsize, reverse=True)[:8]
        self.assertGreaterEqual(len(captures), 6, f"SKIP: no captures in {CAPTURES}")
        captures.append(self.generate(1000000, 5))
        for filter_name in sorted(glob.glob("examples/*.vfl")):
            for i, capture in enumerate(captures):
                for options in ([], ["--capacity", "48"]):
                    with self.subTest(filter=filter_name, capture=capture, options=options):
                        self.passes(capture, filter_name, "--moves", "20", "--kills", "3", "--seed", str(i + 1), *options)


if __name__ == "__main__":
    sys.exit(unittest.main())

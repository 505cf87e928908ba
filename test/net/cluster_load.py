"""vfmctl load, report and scale on a cluster whose processes were started without a filter; and that no flag splits what may not be."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from livecluster import BUILD, LiveCluster  # noqa: E402

SPLITS = "examples/conntrack.vfl"
OTHER = "examples/syn-limit.vfl"
PINNED = "test/golden/analysis/source-and-destination.vfm"
PACKETS = 6000
STOP = 2000


def tool(program, *args):
    return subprocess.run([f"{BUILD}/{program}", *args], capture_output=True, text=True, timeout=60)


class Load(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.capture = os.path.join(cls.directory.name, "t.pcap")
        tool("test/tools/traffic-gen", "-n", str(PACKETS), "--seed", "5", "-o", cls.capture).check_returncode()

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def begin(self, *nodes):
        self.cluster = LiveCluster()
        self.addCleanup(self.cluster.close)
        self.controller = self.cluster.controller("--nodes", "2")
        self.nodes = [self.cluster.node(name) for name in nodes]
        self.cluster.wait("the controller", lambda: "no filter is loaded" in self.cluster.run_ctl("status").stderr)

    def load(self, *args):
        done = self.cluster.run_ctl("--json", *args[1:], "load", args[0])
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def refused(self, pattern, *args):
        done = self.cluster.run_ctl(*args)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stdout)
        self.assertRegex(done.stderr, pattern)

    def single(self, filter_name, capture, *options):
        verdicts, cert = os.path.join(self.directory.name, "single"), os.path.join(self.directory.name, "cert")
        tool("bin/vfm-analyze", "--certificate", cert, filter_name)
        tool("bin/vfm-test", "--verdicts", verdicts, "--certificate", cert, *options, filter_name, capture).check_returncode()
        with open(verdicts, encoding="utf-8") as f:
            return f.read()

    def verdicts(self):
        with open(self.cluster.path("verdicts"), encoding="utf-8") as f:
            return f.read()

    def test_a_cluster_without_a_filter_takes_the_one_that_is_loaded(self):
        self.begin("a", "b")
        loaded = self.load(SPLITS, "--shards", "8")
        self.assertEqual(loaded["shards"], 8)
        self.cluster.wait("in sync", lambda: self.cluster.in_sync(8))
        feed = self.cluster.input(self.capture)
        self.assertEqual(feed.wait(timeout=30), 0, self.cluster.said(feed))
        self.assertEqual(self.verdicts(), self.single(SPLITS, self.capture, "--shards", "8"))
        report = self.cluster.ctl("report")
        self.assertEqual((report["plan"], report["verdict"]), (loaded["plan"], "partitionable"))
        counts = report["cluster"]["counts"]
        self.assertEqual(counts["packets"], PACKETS)
        single = json.loads(tool("bin/vfm-test", "--json", SPLITS, self.capture).stdout)
        self.assertEqual([counts[k] for k in ("accept", "drop", "log")], [single[k] for k in ("accept", "drop", "log")])
        self.assertEqual({k: n for k, n in counts["errors"].items() if n}, {k: n for k, n in single["errors"].items() if n})
        self.assertEqual((report["cluster"]["losses"], report["cluster"]["stray"]), ([], []))
        self.assertRegex(self.cluster.run_ctl("report").stdout, r"(?s)^examples/conntrack.vfl, plan [0-9a-f]{16}, 8 shards\nPartition.*"
                         rf"8 of 8 shards have an owner, 8 a standby in sync.*\n{PACKETS} packets applied, .*losses declared: 0")

    def test_another_filter_takes_its_place_only_when_asked_and_with_no_stream_live(self):
        self.begin("a", "b")
        first = self.load(SPLITS, "--shards", "8")
        self.cluster.wait("in sync", lambda: self.cluster.in_sync(8))
        feed = self.cluster.input(self.capture, "--stop-at", str(STOP), "--stay")
        self.cluster.wait("the stop", lambda: self.cluster.released() == STOP)
        self.refused("conntrack.vfl is loaded already, plan .*--replace", "load", OTHER)
        self.refused("a stream is live, input", "--replace", "load", OTHER)
        self.assertEqual(self.cluster.ctl("report")["plan"], first["plan"])
        self.cluster.end(feed)
        self.cluster.wait("the end to be noticed", lambda: self.cluster.run_ctl("--json", "--replace", "--shards", "4", "load",
                                                                                OTHER).returncode == 0)
        self.cluster.wait("in sync again", lambda: self.cluster.in_sync(4))
        self.assertTrue(all(n.poll() is None for n in self.nodes))
        self.assertEqual(self.cluster.run_ctl("--table", "-", "state").stdout, "", "the tables begin empty")
        # The journal says where the capture goes on: before it the old filter, after it the new one with empty tables.
        feed = self.cluster.input(self.capture)
        self.assertEqual(feed.wait(timeout=30), 0, self.cluster.said(feed))
        old, rest = self.single(SPLITS, self.capture, "--shards", "8").splitlines(), os.path.join(self.directory.name, "rest.pcap")
        with open(self.capture, "rb") as f, open(rest, "wb") as out:
            data, at = f.read(), 24
            for _ in range(STOP):
                at += 16 + int.from_bytes(data[at + 8:at + 12], "little")
            out.write(data[:24] + data[at:])
        self.assertEqual(self.verdicts().splitlines(), old[:STOP] + self.single(OTHER, rest, "--shards", "4").splitlines())

    def test_the_same_filter_loaded_again_is_another_plan(self):
        self.begin("a", "b")
        first, second = self.load(SPLITS, "--shards", "8"), self.load(SPLITS, "--shards", "8", "--replace")
        self.assertNotEqual(first["plan"], second["plan"])

    def test_a_controller_started_again_has_the_plan_of_its_store(self):
        self.begin("a", "b")
        loaded = self.load(SPLITS, "--shards", "8")
        self.cluster.wait("in sync", lambda: self.cluster.in_sync(8))
        self.cluster.end(self.controller, 9)
        stranger = self.cluster.controller("--nodes", "2", options=[OTHER])
        self.assertEqual(stranger.wait(timeout=20), 1)
        self.assertRegex(self.cluster.said(stranger), f"plan {loaded['plan']} .*is in the store, not .*load --replace")
        self.cluster.controller("--nodes", "2")
        self.cluster.wait("in sync", lambda: self.cluster.in_sync(8))
        self.assertEqual(self.cluster.ctl("report")["plan"], loaded["plan"])

    def test_a_filter_that_does_not_compile_changes_nothing(self):
        self.begin()
        for name, text, pattern in (("bad.vfl", "(= src-ip\n  nonsense)", r"bad\.vfl:2:3: error"),
                                    ("bad.vfm", "LD16 12\nADD\nRET\n", r"bad\.vfm:2:1: error: not verified")):
            path = self.cluster.path(name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            self.refused(pattern, "load", path)
            compiler = tool("bin/vflispc" if name.endswith("vfl") else "bin/vfm-asm", path, "-o", "/dev/null").stderr
            self.assertTrue(compiler.startswith(self.cluster.run_ctl("load", path).stderr), "as the compiler says it")
        self.refused("no filter is loaded", "status")

    def test_a_pinned_filter_runs_in_one_shard_with_a_standby_and_scale_says_so(self):
        self.begin("a", "b", "c")
        done = self.cluster.run_ctl("load", PINNED)
        self.assertRegex(done.stdout, "(?s)1 shard\n.*Pinned")
        self.cluster.wait("in sync", lambda: self.cluster.in_sync(1))
        self.assertRegex(self.cluster.run_ctl("scale", "3").stdout, r"may not be split \(.+\): it runs in one shard, with a standby")
        self.assertIn("may not be split", self.cluster.ctl("scale", "2")["note"])
        report = self.cluster.ctl("report")
        self.assertEqual((report["verdict"], report["cluster"]["placed"], report["cluster"]["with_standby"]), ("pinned", 1, 1))
        self.assertTrue(report["reason"])
        self.assertRegex(self.cluster.run_ctl("report").stdout, "\nwhy: .")
        self.load(SPLITS, "--shards", "8", "--replace")
        self.assertNotIn("note", self.cluster.ctl("scale", "3"))

    def test_no_flag_splits_what_may_not_be_split(self):
        self.begin()
        cert, honest = self.cluster.path("cert"), self.cluster.path("honest")
        tool("bin/vfm-analyze", "--certificate", honest, SPLITS)
        with open(honest, encoding="utf-8") as f:
            forged = json.load(f)
        program = json.loads(tool("bin/vfm-analyze", "--json", PINNED).stdout)
        forged["program_sha256"] = program["program"]["sha256"]
        with open(cert, "w", encoding="utf-8") as f:
            json.dump(forged, f)
        self.refused("it may not be split", "--shards", "4", "load", PINNED)
        self.refused("it may not be split", "--shards", "4", "--accept-guard", "--replace", "load", PINNED)
        node = ["--controller", self.cluster.endpoint, "--bind", "ipc://" + self.cluster.path("n")]
        for options in (["--certificate", cert, "--shards", "4"], ["--certificate", honest, "--shards", "4"], ["--shards", "4"]):
            for program, *more in (("vfmctl", "--controller", self.cluster.endpoint), ("vfm-node", *node),
                                   ("vfm-controller", "--bind", "ipc://" + self.cluster.path("c")), ("vfm-node", "--capture", self.capture),
                                   ("vfm-test",)):
                verb = ["load"] if program == "vfmctl" else []
                capture = [self.capture] if program == "vfm-test" else []
                done = tool(f"bin/{program}", *more, *options, *verb, PINNED, *capture)
                self.assertIn(done.returncode, (1, 2), f"{program} {options}: {done.stdout}")
                self.assertTrue(done.stderr, program)
        done = tool("bin/vfmctl", "rehearse", "--json", "--accept-guard", "--shards", "4", "--moves", "0", "--kills", "0", PINNED,
                    self.capture)
        self.assertEqual((done.returncode, json.loads(done.stdout)["shards"]), (0, 1))
        done = tool("bin/vfmctl", "rehearse", "--certificate", cert, "--shards", "4", "--moves", "0", "--kills", "0", PINNED,
                    self.capture)
        self.assertEqual(done.returncode, 1)
        self.refused("no filter is loaded", "status")
        flags = re.findall(r"--(?:force|unsafe|relaxed|consistency)\S*", tool("bin/vfmctl", "--help").stdout)
        self.assertEqual(flags, [])


if __name__ == "__main__":
    sys.exit(unittest.main())

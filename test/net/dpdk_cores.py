"""A cluster of a process with two lcores on DPDK ports and a process without any: three nodes, two of which end together.

    a.pcap -> queue 0 of net_pcap0 -> core 0 = port.0 --+-- peer
    b.pcap -> queue 1              -> core 1 = port.1 --+

Shards are moved between the cores and the peer while packets come, and each process is killed with -9. Every verdict must be the single
instance's in the order told, and the tables its tables. Long with TEST_ALL=1."""
import glob
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "golden", "twins")]
import dpdknode  # noqa: E402
import pcapfile  # noqa: E402
import tooltest as t  # noqa: E402
from livecluster import LiveCluster  # noqa: E402
from zmtp import ask  # noqa: E402

FILTER = os.path.join(t.ROOT, "examples", "conntrack.vfl")
SHARDS = 16
CORES = ("port.0", "port.1")
PACKETS = 200000 if t.ALL else 4000  # of each capture
ROUNDS = 40 if t.ALL else 3          # of moves
ALL_PACKETS = 1 << 62


class Cluster(LiveCluster):
    def __init__(self, case, *plan, captures=(), n_shards=SHARDS):
        super().__init__(*plan)
        self.case, self.captures, self.n_shards, self.started = case, captures, n_shards, 0
        case.addCleanup(self.close)

    def make_keys(self, *names):
        """A pair of keys for each, and for the operator."""
        os.mkdir(self.path("peers"))
        for name in (*names, "ops"):
            self.case.assertEqual(t.run("vfmctl", "keygen", self.path("peers/" + name)).returncode, 0)
            os.rename(self.path(f"peers/{name}_secret"), self.path(name + "_secret"))
        self.operator = self.keys("ops")

    def keys(self, name):
        return ["--key", self.path(name + "_secret"), "--peers", self.path("peers")]

    operator = ()

    def run_ctl(self, *args):
        return super().run_ctl(*self.operator, *args)

    def port(self, *args, stop_at="0"):
        """The process with the ports, whose cores wait for the word to read."""
        self.started += 1
        self.base = f"ipc://{self.path('port')}-{self.started}"
        vdevs = ["net_pcap0" + "".join(f",rx_pcap={c}" for c in self.captures),
                 "net_pcap1" + "".join(f",tx_pcap={self.path(f'passed{i}')}" for i in range(2))]
        live = dpdknode.Live("--name", "port", "--controller", self.endpoint, "--bind", self.base, "--one-way", "--queues", "2", "--stop-at",
                             stop_at, *args, *self.options, vdevs=vdevs, ports=["net_pcap0", "net_pcap1"], cores=2, memory=256)
        self.case.addCleanup(live.kill)
        return live

    def nodes(self):
        return {n["name"]: n for n in (self.ctl("status") or {"nodes": []})["nodes"] if not n["dead"] and not n["suspected"]}

    def shards(self):
        return (self.ctl("status") or {"shards": []})["shards"]

    def settled(self):
        """Every shard has its standby in another process."""
        process = {n["incarnation"]: n["process"] for n in self.nodes().values()}
        shards = self.shards()
        return len(shards) == self.n_shards and all(
            len(s["in_sync"]) == 1 and not s["same_process"] and s["incarnation"] in process and s["in_sync_incarnations"][0] in process
            and process[s["incarnation"]] != process[s["in_sync_incarnations"][0]] for s in shards)

    def degraded(self):
        shards = self.shards()
        return len(shards) == self.n_shards and all(s["same_process"] and {s["owner"], *s["in_sync"]} == set(CORES) for s in shards)

    def core(self, i, **question):
        return ask(f"{self.base}.{i}", **question)

    def go(self, upto):
        for i in range(2):
            self.core(i, command="go", upto=upto[i])

    def released(self):
        return [self.core(i, command="progress")["released"] for i in range(2)]

    def order(self, owners):
        for shard in range(self.n_shards):
            self.wait("the order", lambda: self.ctl("move", str(shard), owners[shard % len(owners)]))

    def placed(self, owners):
        return [s["owner"] for s in self.shards()] == [owners[k % len(owners)] for k in range(self.n_shards)]

    def table(self, name):
        self.case.assertEqual(self.run_ctl("state", "--table", self.path(name)).returncode, 0)
        return Cores.read(self.path(name))


class Cores(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.captures = [os.path.join(directory.name, n) for n in ("a.pcap", "b.pcap")]
        for i, capture in enumerate(cls.captures):
            subprocess.run([os.path.join(t.BUILD, "test", "tools", "traffic-gen"), "-n", str(PACKETS), "--seed", str(i + 1), "-o", capture],
                           check=True)
        cert = os.path.join(directory.name, "cert")
        subprocess.run([t.program("vfm-analyze"), "--certificate", cert, FILTER], check=True, stdout=subprocess.DEVNULL)
        cls.plan = ["--certificate", cert, "--shards", str(SHARDS), FILTER]

    def setUp(self):
        self.files = t.Scratch(self)

    @staticmethod
    def read(name):
        with open(name, "rb") as f:
            return f.read()

    def begin(self, *args, plan=None, captures=None, n_shards=SHARDS):
        """Cluster, peer and ports, every shard with a standby in another process."""
        c = Cluster(self, *(plan or self.plan), captures=captures or self.captures, n_shards=n_shards)
        self.controller = c.controller("--nodes", "3")
        peer, port = c.node("peer"), c.port("--verdicts", c.path("v"), "--order", c.path("o"), *args)
        c.wait("a standby for each shard", c.settled)
        return c, peer, port

    def single(self, c):
        """(verdicts of both captures one after the other, table) of one instance in the order told."""
        orders = [word for i in range(2) for word in ("--order", c.path(f"o.{i}"))]
        done = t.run("vfm-test", *orders, "--verdicts", c.path("single"), "--table", c.path("single.table"), *c.options, *c.captures)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.read(c.path("single")), self.read(c.path("single.table"))

    def lost(self, c):
        return c.ctl("status")["counters"]["losses"]

    def check_end(self, c, port, packets):
        """The report and the verdicts of a run to the captures' ends, of so many packets each; the verdicts as texts, in their order."""
        table = c.table("table")
        report, _ = port.stop()
        verdicts = self.read(c.path("v.0")) + self.read(c.path("v.1"))
        single, single_table = self.single(c)
        self.assertEqual(len(verdicts.splitlines()), sum(packets))
        self.assertTrue(verdicts == single, "verdicts differ from the single instance's")
        self.assertTrue(table == single_table, "tables differ from the single instance's")
        self.assertEqual((report["packets"], report["held"], report["streams"], self.lost(c)), (sum(packets), 0, 2, 0))
        self.assertEqual([(core["streams"], core["packets"], core["held"]) for core in report["cores"]], [(1, n, 0) for n in packets])
        self.assertEqual(report["ports"][1]["sent"], report["accept"])
        return report, verdicts.decode().split()

    def play(self, c, peer, port, packets, rounds):
        """Rounds of moves in the first half, a kill of the peer in the third quarter, the rest with another one."""
        half, three_quarters = [n // 2 for n in packets], [n * 3 // 4 for n in packets]
        moves = c.ctl("status")["counters"]["moves"]
        for k in range(rounds):
            owners = [*CORES, "peer"][k % 3:] + [*CORES, "peer"][:k % 3]
            c.order(owners)  # some of the packets come before, some after
            c.go([n * (k + 1) // rounds for n in half])
            c.wait(f"the moves of round {k}", lambda: c.placed(owners) and c.settled())
        c.wait("the packets of the moves", lambda: c.released() == half)
        self.assertGreaterEqual(c.ctl("status")["counters"]["moves"] - moves, rounds * c.n_shards // 2)
        c.go(three_quarters)
        peer.kill()
        peer.wait()
        c.wait("promotions", c.degraded)
        said = c.run_ctl("status").stdout
        self.assertIn(f"DEGRADED: {c.n_shards} of {c.n_shards} shards have their standby in their owner's own process", said)
        self.assertIn("(same process)", said)
        self.assertIn("DEGRADED", c.run_ctl("nodes").stdout)
        c.wait("the packets meanwhile", lambda: c.released() == three_quarters)
        c.node("peer")
        c.wait("standbys in the new process", c.settled)
        self.assertNotIn("DEGRADED", c.run_ctl("status").stdout)
        c.go([ALL_PACKETS] * 2)
        c.wait("the last packets", lambda: c.released() == packets, 120)
        return self.check_end(c, port, packets)

    def test_moves_between_the_cores_and_a_kill_of_the_other_process_change_no_verdict_and_mirrors_have_their_class(self):
        dropped, errors = self.files.path("dropped"), self.files.path("errors")
        report, verdicts = self.play(*self.begin("--mirror", f"drop:{dropped}", "--mirror", f"error:{errors}"), [PACKETS] * 2, ROUNDS)
        for core in report["cores"]:
            self.assertGreater(core["executed"], 0)
        packets = [p for capture in self.captures for p in pcapfile.packets(capture)]
        for name, belongs in ((dropped, lambda v: v == "0"), (errors, lambda v: not v.isdigit())):
            wanted = sorted(p for p, v in zip(packets, verdicts) if belongs(v))
            self.assertGreater(len(wanted), 5)
            # Each core's are in order, but one ring is emptied after the other.
            self.assertTrue(sorted(pcapfile.pcap(self.read(name))) == wanted, f"{name}: not the packets of its class")
        self.assertEqual((report["mirrored"], report["mirror_lost"]), (report["drop"] + sum(report["errors"].values()), 0))

    @unittest.skipUnless(t.ALL, "every example runs with TEST_ALL=1")
    def test_the_same_with_every_example_on_real_captures(self):
        captures = sorted(t.real_captures(), key=os.path.getsize, reverse=True)[2:4]
        packets = [sum(1 for _ in pcapfile.packets(capture)) for capture in captures]
        for filter_name in sorted(glob.glob(os.path.join(t.ROOT, "examples", "*.vfl"))):
            with self.subTest(filter=filter_name):
                cert = self.files.path("cert")
                pinned = t.run("vfm-analyze", "--certificate", cert, filter_name).returncode == 11
                plan = [filter_name] if pinned else ["--certificate", cert, "--shards", str(SHARDS), filter_name]
                self.play(*self.begin(plan=plan, captures=captures, n_shards=1 if pinned else SHARDS), packets, 4)
                self.doCleanups()
                self.setUp()

    def test_a_kill_of_the_process_with_both_cores_loses_no_state(self):
        c, peer, port = self.begin()
        c.go([PACKETS // 2] * 2)
        c.wait("packets", lambda: c.released() == [PACKETS // 2] * 2)
        before, dead = c.table("before"), {c.nodes()[name]["incarnation"] for name in CORES}
        self.assertGreater(len(before), 1000)
        port.kill()
        c.wait("promotions", lambda: {s["owner"] for s in c.shards()} == {"peer"})
        self.assertTrue(c.table("after") == before, "tables changed")
        self.assertEqual(self.lost(c), 0)
        self.assertTrue(c.ctl("fence", min(dead)))  # said of one, true of both
        self.assertEqual({n["incarnation"] for n in c.ctl("status")["nodes"] if n["dead"]}, dead)
        port = c.port()
        c.wait("the new process", c.settled)
        c.go([100] * 2)
        c.wait("its packets", lambda: c.released() == [100] * 2)
        self.assertTrue(c.table("later") != before)
        self.assertEqual(self.lost(c), 0)
        self.assertIsNone(peer.poll())
        c.go([ALL_PACKETS] * 2)
        report, _ = port.stop()  # in the middle: both cores let go of what they have, which takes a second at most
        self.assertEqual(report["packets"] + report["held"], report["ports"][0]["received"])
        self.assertEqual(sum(core["packets"] for core in report["cores"]), report["packets"])
        self.assertEqual(report["packets"], report["accept"] + report["drop"] + sum(report["errors"].values()))

    @unittest.skipUnless(t.ALL, "runs with TEST_ALL=1")
    def test_with_keys_cores_and_processes_reach_each_other_and_strangers_nobody(self):
        c = Cluster(self, *self.plan, captures=self.captures)
        c.make_keys("controller", "peer", "port")
        self.controller = c.controller("--nodes", "3", *c.keys("controller"))
        c.node("peer", *c.keys("peer"))
        port = c.port("--verdicts", c.path("v"), "--order", c.path("o"), *c.keys("port"), stop_at=str(ALL_PACKETS))
        c.wait("all packets", lambda: (c.ctl("report") or {"cluster": {"counts": {"packets": 0}}})["cluster"]["counts"]["packets"] == 2 * PACKETS,
               120)
        c.wait("a standby for each shard", c.settled)
        c.operator = []
        self.assertIsNone(c.ctl("status"))
        c.operator = c.keys("ops")
        report, _ = self.check_end(c, port, [PACKETS] * 2)
        self.assertTrue(all(core["executed"] for core in report["cores"]))


class Usage(unittest.TestCase):
    def usage(self, words, *args):
        done = t.run("vfm-node", "--controller", "ipc:///nowhere", "--bind", "ipc:///nowhere", *args)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertIn(words, done.stderr)

    def test_wrong_command_lines(self):
        ports = ["--dpdk", "x", "--in", "a", "--out", "b"]
        self.usage("--mirror takes CLASS:FILE, not log", *ports, "--mirror", "log", "-e", "1")
        self.usage("knows the classes log, accept, drop and error, not logs:f", *ports, "--mirror", "logs:f", "-e", "1")
        self.usage("more than 4 times --mirror", *ports, *["--mirror", "log:f"] * 5, "-e", "1")
        self.usage("--mirror without --dpdk", "--mirror", "log:f", "-e", "1")

    def test_a_place_that_cannot_be_counted_up_is_refused(self):
        for bind in ("tcp://127.0.0.1:65535", "inproc://x"):
            done = t.run("vfm-node", "--controller", "ipc:///nowhere", "--bind", bind, "--dpdk",
                         dpdknode.eal("net_null0", "net_null1", cores=2), "--in", "net_null0", "--out", "net_null1", "-e", "1")
            self.assertEqual((done.returncode, done.stdout), (1, ""), bind)
            self.assertIn("no place for each core, --bind", done.stderr)


if __name__ == "__main__":
    dpdknode.need_dpdk()
    unittest.main()

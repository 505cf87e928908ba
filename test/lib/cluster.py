"""A cluster of real processes for tests: controllers, nodes and an input, in a directory of its own. Every process is ended by its own id.

Import with  sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib")).
"""
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

BUILD = os.environ.get("BUILD", "build")
ALL = os.environ.get("TEST_ALL") == "1"
FILTER = "examples/conntrack.vfl"
SHARDS = 16


class Traffic:
    """A generated capture, the certificate of FILTER, and what a single instance says to the capture."""

    def __init__(self, packets, seed=7):
        self.directory = tempfile.TemporaryDirectory()
        self.packets = packets
        self.capture, self.cert, self.single = (os.path.join(self.directory.name, n) for n in ("t.pcap", "cert", "single"))
        self.plan = ["--certificate", self.cert, "--shards", str(SHARDS)]
        subprocess.run([f"{BUILD}/test/tools/traffic-gen", "-n", str(packets), "--seed", str(seed), "-o", self.capture], check=True)
        subprocess.run([f"{BUILD}/bin/vfm-analyze", "--certificate", self.cert, FILTER], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([f"{BUILD}/bin/vfm-test", *self.plan, "--verdicts", self.single, FILTER, self.capture], check=True,
                       stdout=subprocess.DEVNULL)

    def close(self):
        self.directory.cleanup()


class Cluster:
    """Processes on one Traffic. Endpoints are ipc in the cluster's directory."""

    def __init__(self, traffic):
        self.directory = tempfile.TemporaryDirectory()
        self.traffic = traffic
        self.plan = traffic.plan
        self.processes = []
        self.controller_endpoint = "ipc://" + self.path("controller")
        self.controllers = self.controller_endpoint  # what nodes are given
        self.store = self.path("store")

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def start(self, program, *args, filter_name=FILTER):
        log = open(self.path(f"log-{len(self.processes)}"), "w", encoding="utf-8")
        process = subprocess.Popen([f"{BUILD}/bin/{program}", *args, *self.plan, filter_name], stdout=log, stderr=log)
        process.log = log.name
        log.close()
        self.processes.append(process)
        return process

    def controller(self, *args, endpoint=None):
        return self.start("vfm-controller", "--bind", endpoint or self.controller_endpoint, "--store", self.store, "--nodes", "2", *args)

    def node(self, name, *args, filter_name=FILTER):
        endpoint = f"ipc://{self.path(name)}-{len(self.processes)}"
        process = self.start("vfm-node", "--name", name, "--controller", self.controllers, "--bind", endpoint, *args,
                             filter_name=filter_name)
        process.endpoint = endpoint
        return process

    def input(self, *args):
        process = self.node("input", "--steer-only", "--capture", self.traffic.capture, "--verdicts", self.path("verdicts"), "--journal",
                            self.path("journal"), *args)
        return process

    @staticmethod
    def said(process):
        with open(process.log, encoding="utf-8") as f:
            return f.read()

    def ctl(self, *args, endpoint=None):
        done = subprocess.run([f"{BUILD}/bin/vfmctl", "--json", "--controller", endpoint or self.controller_endpoint, *args],
                              capture_output=True, text=True, timeout=20, check=False)
        self.error = done.stderr
        return json.loads(done.stdout) if done.returncode == 0 else None

    def status(self, endpoint=None):
        return self.ctl("status", endpoint=endpoint) or {"shards": [], "nodes": []}

    def alive(self):
        return {n["name"]: n for n in self.status()["nodes"] if not n["suspected"] and not n["dead"]}

    @staticmethod
    def wait(what, condition, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.005)
        raise AssertionError(f"{what}: not within {seconds} s")

    def in_sync(self):
        shards = self.status()["shards"]
        return len(shards) == SHARDS and all(s["in_sync"] for s in shards)

    def released(self):
        try:
            with open(self.path("verdicts"), "rb") as f:
                return f.read().count(b"\n")
        except FileNotFoundError:
            return 0

    def equal(self):
        with open(self.traffic.single, "rb") as a, open(self.path("verdicts"), "rb") as b:
            return a.read() == b.read()

    @staticmethod
    def kill(*processes):
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def remove(self):
        self.directory.cleanup()


class ClusterCase(unittest.TestCase):
    """A test case with traffic for all tests and a cluster for each."""
    PACKETS = 300000 if ALL else 20000

    @classmethod
    def setUpClass(cls):
        cls.traffic = Traffic(cls.PACKETS)

    @classmethod
    def tearDownClass(cls):
        cls.traffic.close()

    def setUp(self):
        self.cluster = Cluster(self.traffic)
        self.addCleanup(self.cluster.remove)
        self.addCleanup(self.cluster.close)

    def begin(self, names="abc", *args):
        """A controller and nodes, with every shard in sync."""
        c = self.cluster
        controller, nodes = c.controller(*args), [c.node(name) for name in names]
        c.wait("the cluster in sync", c.in_sync)
        return controller, nodes

    def ends(self, process):
        self.assertEqual(process.wait(timeout=60), 0, self.cluster.said(process))

    def ends_equal(self, process):
        self.ends(process)
        self.assertTrue(self.cluster.equal(), "verdicts differ from the single instance's")

    def order_moves(self, turn=0, endpoint=None):
        """Every shard to a node of its own choice. Returns who is to have what."""
        wanted = ["abc"[(shard + turn) % 3] for shard in range(SHARDS)]
        for shard, name in enumerate(wanted):
            self.assertTrue(self.cluster.ctl("move", str(shard), name, endpoint=endpoint), self.cluster.error)
        return wanted

    def placed(self, wanted, endpoint=None):
        return [s["owner"] for s in self.cluster.status(endpoint)["shards"]] == wanted

    def epochs(self, endpoint=None):
        return [s["epoch"] for s in self.cluster.status(endpoint)["shards"]]

"""Faults in a cluster of real processes: a controller killed in the middle of moves, an input killed and taken up again from its
journal, a node stopped and woken up as a zombie, another filter, garbage on the sockets. The verdict file is compared with a single
instance's each time. Every process is ended by its own id."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ.get("BUILD", "build")
FILTER = "examples/conntrack.vfl"
SHARDS = "16"


class Cluster:
    """A controller, nodes and an input in a directory of their own."""

    def __init__(self, packets=60000):
        self.directory = tempfile.TemporaryDirectory()
        self.processes = []
        self.capture, self.cert = self.path("t.pcap"), self.path("cert")
        subprocess.run([f"{BUILD}/test/tools/traffic-gen", "-n", str(packets), "--seed", "7", "-o", self.capture], check=True)
        subprocess.run([f"{BUILD}/bin/vfm-analyze", "--certificate", self.cert, FILTER], check=True, stdout=subprocess.DEVNULL)
        self.plan = ["--certificate", self.cert, "--shards", SHARDS]
        subprocess.run([f"{BUILD}/bin/vfm-test", *self.plan, "--verdicts", self.path("single"), FILTER, self.capture], check=True,
                       stdout=subprocess.DEVNULL)
        self.controller_endpoint = "ipc://" + self.path("controller")
        self.packets = packets

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def start(self, program, *args, filter_name=FILTER):
        log = open(self.path(f"log-{len(self.processes)}"), "w", encoding="utf-8")
        process = subprocess.Popen([f"{BUILD}/bin/{program}", *args, *self.plan, filter_name], stdout=log, stderr=log)
        process.log = log.name
        log.close()
        self.processes.append(process)
        return process

    def controller(self):
        return self.start("vfm-controller", "--bind", self.controller_endpoint, "--store", self.path("store"), "--nodes", "2")

    def node(self, name, filter_name=FILTER):
        endpoint = f"ipc://{self.path(name)}-{len(self.processes)}"
        return self.start("vfm-node", "--name", name, "--controller", self.controller_endpoint, "--bind", endpoint,
                          filter_name=filter_name)

    def input(self, *args):
        endpoint = f"ipc://{self.path('input')}-{len(self.processes)}"
        return self.start("vfm-node", "--name", "input", "--steer-only", "--controller", self.controller_endpoint, "--bind", endpoint,
                          "--capture", self.capture, "--verdicts", self.path("verdicts"), "--journal", self.path("journal"), *args)

    @staticmethod
    def said(process):
        with open(process.log, encoding="utf-8") as f:
            return f.read()

    def ctl(self, *args):
        done = subprocess.run([f"{BUILD}/bin/vfmctl", "--json", "--controller", self.controller_endpoint, *args], capture_output=True,
                              text=True, timeout=20)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait(self, what, condition, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.01)
        raise AssertionError(f"{what}: not within {seconds} s")

    def in_sync(self):
        status = self.ctl("status")
        shards = status["shards"] if status else []
        return len(shards) == int(SHARDS) and all(s["in_sync"] for s in shards)

    def released(self):
        try:
            with open(self.path("verdicts"), "rb") as f:
                return f.read().count(b"\n")
        except FileNotFoundError:
            return 0

    def equal(self):
        with open(self.path("single"), "rb") as a, open(self.path("verdicts"), "rb") as b:
            return a.read() == b.read()

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.directory.cleanup()


class Faults(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)

    def begin(self):
        c = self.cluster
        controller, nodes = c.controller(), [c.node("a"), c.node("b"), c.node("c")]
        c.wait("the cluster in sync", c.in_sync)
        return controller, nodes

    def ends_equal(self, process):
        self.assertEqual(process.wait(timeout=60), 0, self.cluster.said(process))
        self.assertTrue(self.cluster.equal(), "verdicts differ from the single instance's")

    def test_moves_finish_although_the_controller_is_killed_in_the_middle(self):
        c = self.cluster
        controller, _ = self.begin()
        feed = c.input()
        c.wait("packets", lambda: c.released() > 1000)
        for shard in range(int(SHARDS)):
            c.ctl("move", str(shard), "abc"[shard % 3])
        controller.kill()
        controller.wait()
        c.wait("traffic without a controller", lambda: c.released() > 1500)
        c.controller()
        c.wait("the moves", lambda: (c.ctl("status") or {"shards": []})["shards"] and
               all(s["owner"] == "abc"[s["shard"] % 3] for s in c.ctl("status")["shards"]))
        self.ends_equal(feed)

    def test_an_input_killed_and_started_again_goes_on_from_its_journal(self):
        c = self.cluster
        self.begin()
        for at in (3000, 20000):
            feed = c.input("--stop-at", str(at + 2000), "--stay")
            c.wait("packets", lambda at=at: c.released() > at)
            feed.kill()
            feed.wait()
        self.ends_equal(c.input())

    def test_a_stopped_node_wakes_up_as_a_harmless_zombie(self):
        c = self.cluster
        _, nodes = self.begin()
        feed = c.input("--stop-at", "20000", "--stay")
        c.wait("packets", lambda: c.released() > 2000)
        nodes[0].send_signal(signal.SIGSTOP)
        c.wait("promotions", lambda: all(s["owner"] != "a" for s in c.ctl("status")["shards"]))
        c.wait("the rest", lambda: c.released() == 20000)
        nodes[0].send_signal(signal.SIGCONT)
        feed.kill()
        feed.wait()
        self.ends_equal(c.input())

    def test_a_node_with_another_filter_is_refused_by_name(self):
        c = self.cluster
        controller, _ = self.begin()
        c.plan, plan = [], c.plan
        c.node("stranger", filter_name="examples/syn-limit.vfl")
        c.plan = plan
        c.wait("the refusal", lambda: "another plan" in c.said(controller))
        self.assertNotIn("stranger", [n["name"] for n in c.ctl("status")["nodes"]])

    def test_garbage_on_a_socket_costs_nobody_anything(self):
        c = self.cluster
        controller, nodes = self.begin()
        for node in c.ctl("status")["nodes"] + [{"endpoint": c.controller_endpoint}]:
            for junk in (b"\0" * 100, os.urandom(4000), b"\xff" + b"\0" * 8 + b"\x7f\3\0NULL" + os.urandom(200)):
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(node["endpoint"][6:])
                    try:
                        s.sendall(junk)
                    except BrokenPipeError:
                        pass
        self.ends_equal(c.input())
        self.assertTrue(all(p.poll() is None for p in [controller, *nodes]))


if __name__ == "__main__":
    sys.exit(unittest.main())

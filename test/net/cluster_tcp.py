"""A cluster over TCP in network namespaces of its own, one for each process: refused without keys, with them its verdicts equal a single
instance's although a node is killed; a node whose key nobody knows is refused. Keys are checked without namespaces, too."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from cluster import BUILD, FILTER, SHARDS, ClusterCase  # noqa: E402

NAMES = ["controller", "a", "b", "c", "input", "stranger"]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)


def vfmctl(*args):
    return run(f"{BUILD}/bin/vfmctl", *args)


class Keys(unittest.TestCase):
    def refused(self, done, text):
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn(text, done.stderr)

    def test_an_endpoint_on_a_network_wants_keys(self):
        for endpoint in ("tcp://0.0.0.0:17511", "tcp://*:17511", "tcp://192.0.2.1:17511"):
            self.refused(run(f"{BUILD}/bin/vfm-controller", "--bind", endpoint, FILTER), f"on a network without keys, {endpoint}: give --key")
            self.refused(run(f"{BUILD}/bin/vfm-node", "--controller", "tcp://127.0.0.1:1", "--bind", endpoint, FILTER),
                         f"on a network without keys, {endpoint}: give --key")
        self.refused(run(f"{BUILD}/bin/vfm-node", "--controller", "tcp://192.0.2.1:1", "--bind", "tcp://127.0.0.1:17511", FILTER),
                     "no key of it is known, tcp://192.0.2.1:1: give --key")
        self.refused(vfmctl("--controller", "tcp://192.0.2.1:1", "status"), "no key of it is known")

    def test_files_that_are_no_keys_are_named(self):
        with tempfile.TemporaryDirectory() as directory:
            name = os.path.join(directory, "me")
            self.assertEqual(vfmctl("keygen", name).returncode, 0)
            self.assertEqual(os.stat(name + "_secret").st_mode & 0o777, 0o600)
            self.refused(vfmctl("keygen", name), "File exists")
            start = [f"{BUILD}/bin/vfm-controller", "--bind", "tcp://127.0.0.1:17511"]
            self.refused(run(*start, "--key", name, "--peers", directory, FILTER), f"no key in it, {name}: give --key the file NAME_secret")
            os.chmod(name + "_secret", 0o644)
            self.refused(run(*start, "--key", name + "_secret", "--peers", directory, FILTER), "others may read it: chmod 600")
            os.chmod(name + "_secret", 0o600)
            with open(os.path.join(directory, "notes"), "w", encoding="ascii") as f:
                f.write("public-key = \"short\"\n")
            self.refused(run(*start, "--key", name + "_secret", "--peers", directory, FILTER), "no key in it")
            self.assertEqual(run(*start, "--key", name + "_secret", FILTER).returncode, 2)


@unittest.skipUnless(os.geteuid() == 0, "SKIP: only root makes network namespaces")
class Tcp(ClusterCase):
    def setUp(self):
        super().setUp()
        c, self.tag = self.cluster, f"vt{os.getpid() % 10000}"
        self.peers = c.path("peers")
        os.mkdir(self.peers)
        for name in NAMES:
            vfmctl("keygen", os.path.join(self.peers if name != "stranger" else c.path(""), name))
        self.addCleanup(self.remove_network)
        self.addCleanup(c.close)
        self.make_network()
        c.start = self.start
        c.controllers = c.controller_endpoint = f"tcp://{self.address('controller')}:7000"

    def make_network(self):
        """A bridge in one namespace, and one namespace for each process, all on 10.199.0.0/24."""
        hub = self.tag + "hub"
        commands = [["netns", "add", hub], ["-n", hub, "link", "add", "name", "br0", "type", "bridge"], ["-n", hub, "link", "set", "dev", "br0", "up"]]
        for i, name in enumerate(NAMES):
            ns = self.tag + name
            commands += [["netns", "add", ns], ["-n", ns, "link", "add", "name", "eth0", "type", "veth", "peer", "name", f"p{i}", "netns", hub],
                         ["-n", hub, "link", "set", f"p{i}", "master", "br0", "up"], ["-n", ns, "link", "set", "lo", "up"],
                         ["-n", ns, "addr", "add", f"{self.address(name)}/24", "dev", "eth0"], ["-n", ns, "link", "set", "eth0", "up"]]
        for command in commands:
            done = run("ip", *command)
            if done.returncode:
                self.skipTest(f"SKIP: no network namespaces: {done.stderr.strip()}")

    def remove_network(self):
        for name in [*NAMES, "hub"]:
            run("ip", "netns", "del", self.tag + name)

    @staticmethod
    def address(name):
        return f"10.199.0.{NAMES.index(name) + 1}"

    def inside(self, name):
        return ["ip", "netns", "exec", self.tag + name]

    def start(self, program, *args, filter_name=FILTER):
        """As Cluster.start, in the process's namespace, with its keys and an endpoint of its own."""
        c, args = self.cluster, list(args)
        name = "controller" if program == "vfm-controller" else args[args.index("--name") + 1]
        args[args.index("--bind") + 1] = f"tcp://{self.address(name)}:7000"
        secret = os.path.join(self.peers if name != "stranger" else c.path(""), name + "_secret")
        log = open(c.path(f"log-{len(c.processes)}"), "w", encoding="utf-8")
        process = subprocess.Popen([*self.inside(name), f"{BUILD}/bin/{program}", *args, "--key", secret, "--peers", self.peers, *c.plan,
                                    filter_name], stdout=log, stderr=log)
        process.log = log.name
        log.close()
        c.processes.append(process)
        return process

    def status(self):
        done = run(*self.inside("input"), f"{BUILD}/bin/vfmctl", "--json", "--controller", self.cluster.controllers, "--key",
                   os.path.join(self.peers, "input_secret"), "--peers", self.peers, "status")
        return json.loads(done.stdout) if done.returncode == 0 else {"shards": [], "nodes": []}

    def in_sync(self):
        shards = self.status()["shards"]
        return len(shards) == SHARDS and all(s["in_sync"] for s in shards)

    def test_a_cluster_over_tcp_lets_in_whom_it_knows(self):
        c = self.cluster
        controller, nodes = c.controller(), [c.node(name) for name in "abc"]
        stranger = c.node("stranger")
        c.wait("the cluster in sync", self.in_sync)
        feed = c.input()
        c.wait("packets", lambda: c.released() > 500)
        c.kill(nodes[0])
        c.wait("promotions", lambda: self.in_sync() and all("a" not in [s["owner"], *s["in_sync"]] for s in self.status()["shards"]))
        self.ends_equal(feed)
        c.wait("the refusal", lambda: "no file in --peers has it" in c.said(controller))
        self.assertIn(f"refused, {self.address('stranger')} with the key", c.said(controller))
        self.assertEqual({n["name"] for n in self.status()["nodes"]}, {"a", "b", "c", "input"})
        self.assertIsNone(stranger.poll())
        done = run(*self.inside("stranger"), f"{BUILD}/bin/vfmctl", "--controller", c.controllers, "--key", c.path("stranger_secret"), "--peers",
                   self.peers, "status")
        self.assertEqual(done.returncode, 1, "a stranger's question is not answered")


del ClusterCase

if __name__ == "__main__":
    sys.exit(unittest.main())

"""A cluster of two in the wire between namespaces (wirenet.py): `port` has the ports, `peer` has none, and each is the other's standby.
While an attacker floods and a client fetches a file over one TCP connection, the node that owns the state is killed, and then the one
with the ports. The filter passes only packets of connections whose SYN it passed: the transfer ends if the state is lost."""
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import dpdknode  # noqa: E402
import tooltest as t  # noqa: E402
import wirenet  # noqa: E402
from dpdknode import skip  # noqa: E402
from wirenet import PORTS, PROMPT_S, VDEVS  # noqa: E402

# At most 10 SYNs of a source, as the twin; else only what belongs to a connection that was opened here.
FILTER = """
(table connections :entries 65536)
(if (= l4.proto 6)
    (if (= (& tcp.flags 0x12) 0x02)
        (if (<= (count-by ip.src) 10)
            (flow-set hash5s 1 :table connections)
            0)
        (flow-get hash5s :table connections))
    1)
"""
LIMIT = 10
FILE_BYTES = 6_000_000
CHUNK = 4096
PAUSE_S = 0.01  # after each chunk, as long as the transfer has to last
ATTACK_SYNS = 2000


class Download(threading.Thread):
    """curl of the server's file: a trickle, so that the connection lasts however late things happen, until finish()."""

    def __init__(self, case):
        super().__init__(daemon=True)
        self.case, self.data, self.hurry = case, bytearray(), threading.Event()
        self.curl = wirenet.fetch(case, "file", "-", "--no-buffer")
        self.start()

    def run(self):
        while chunk := os.read(self.curl.stdout.fileno(), CHUNK):
            self.data += chunk
            self.hurry.wait(PAUSE_S)

    def wait(self, n):
        """Until n bytes more are there."""
        n += len(self.data)
        deadline = time.monotonic() + PROMPT_S
        while len(self.data) < n:
            self.case.assertLess(time.monotonic(), deadline, f"the transfer stands at {len(self.data)}")
            time.sleep(0.01)

    def finish(self):
        """The whole file, at full speed."""
        self.hurry.set()
        self.join(2 * PROMPT_S)
        self.case.assertFalse(self.is_alive(), f"the transfer stands at {len(self.data)}")
        _, err = self.curl.communicate(timeout=PROMPT_S)
        self.case.assertEqual((self.curl.returncode, err), (0, ""))
        return bytes(self.data)


class Cluster:
    def __init__(self, case):
        self.case, self.files, self.started = case, t.Scratch(case), 0
        self.controller = self.endpoint("controller")
        self.filter = self.files.write("filter.vfl", FILTER)
        self.start("vfm-controller", "--bind", self.controller, "--store", self.files.path("store"), "--nodes", "2", self.filter)

    def endpoint(self, name):
        self.started += 1
        return "ipc://" + self.files.path(f"{name}-{self.started}")

    def start(self, program, *args):
        log = open(self.files.path(f"log-{self.started}"), "w", encoding="utf-8")
        process = subprocess.Popen([t.program(program), *args], stdout=log, stderr=log)
        log.close()
        self.case.addCleanup(lambda: process.poll() is None and (process.kill(), process.wait(PROMPT_S)))
        return process

    def membership(self, name):
        return ("--name", name, "--controller", self.controller, "--bind", self.endpoint(name))

    def peer(self):
        return self.start("vfm-node", *self.membership("peer"), self.filter)

    def port(self):
        live = dpdknode.Live(*self.membership("port"), self.filter, vdevs=VDEVS, ports=PORTS, cores=len(self.case.PORT), memory=256)
        self.case.addCleanup(live.kill)
        return live

    def ctl(self, *args):
        done = t.run("vfmctl", "--json", "--controller", self.controller, *args)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def shard(self):
        """(owner, standbys) of the one shard."""
        shards = self.ctl("status").get("shards") or [{}]
        return shards[0].get("owner"), shards[0].get("in_sync", [])

    def wait(self, owners, standbys, meanwhile=lambda: None):
        """Until one of these owns the shard, and one of those stands by for it: nobody if there is only the owner among them."""
        deadline = time.monotonic() + PROMPT_S
        while True:
            owner, in_sync = self.shard()
            others = [s for s in standbys if s != owner]
            if owner in owners and (len(in_sync) == 1 and in_sync[0] in others if others else not in_sync):
                return
            self.case.assertLess(time.monotonic(), deadline, f"not ({owners}, {standbys}) but ({owner}, {in_sync})")
            meanwhile()
            time.sleep(0.01)

    def wait_apart(self):
        """Until the peer has the shard and the process with the ports has it, the one as owner, the other as standby."""
        deadline = time.monotonic() + PROMPT_S
        while True:
            owner, in_sync = self.shard()
            if len(in_sync) == 1 and (owner == "peer") != (in_sync[0] == "peer"):
                return
            self.case.assertLess(time.monotonic(), deadline, f"not apart: ({owner}, {in_sync})")
            time.sleep(0.01)

    def incarnation(self, name):
        return [n["incarnation"] for n in self.ctl("status")["nodes"] if n["name"] == name and not n["dead"]][-1]


class Failover(unittest.TestCase):
    PORT = ("port",)  # nodes of the process with the ports

    def setUp(self):
        self.cluster = c = Cluster(self)
        self.files = c.files
        self.addCleanup(wirenet.switch_off)
        self.peer, self.port = c.peer(), c.port()
        wirenet.start_twin(self)
        wirenet.switch_on()
        self.content = os.urandom(FILE_BYTES)
        wirenet.serve(self, self.files.write("file", self.content))

    def own(self, owner, standbys):
        """Until `owner` owns the shard and one of the others stands by."""
        self.cluster.wait([owner], standbys, lambda: self.cluster.ctl("move", "0", owner))

    def balanced(self, report):
        """Received = accepted + dropped + errors, nothing held, at each port."""
        self.assertEqual(report["held"], 0)
        for port in report["ports"]:
            self.assertEqual(port["packets"], port["received"])
            self.assertEqual(port["packets"], port["accept"] + port["drop"] + sum(port["errors"].values()))
            self.assertEqual(port["accept"], port["forwarded"] + port["send_dropped"])

    def settle(self):
        """Until the node has judged all that the twin has seen, while nobody sends; the node's report."""
        wirenet.switch_off()
        deadline = time.monotonic() + PROMPT_S
        while time.monotonic() < deadline:
            self.port.signal(signal.SIGUSR1)
            self.port.read_until(" packets: ")
            words = self.port.read_until(f"port {PORTS[0]}").split()
            if int(words[words.index("received") + 1]) >= sum(wirenet.twin()[:2]):
                break
            time.sleep(0.02)
        return self.port.stop()[0]

    def test_the_owner_is_killed_and_neither_connection_nor_count_notices(self):
        self.own("peer", self.PORT)
        download, attack = Download(self), wirenet.attack(self, ATTACK_SYNS)
        download.wait(100000)
        self.peer.kill()
        at = len(download.data)
        self.cluster.wait(self.PORT, self.PORT)  # of several cores another one stands by, for want of anything better
        self.peer = self.cluster.peer()
        self.cluster.wait_apart()
        self.assertLess(len(download.data), FILE_BYTES, "the transfer was over before the kill")
        self.assertEqual(download.finish(), self.content)
        self.assertEqual(attack.communicate(timeout=PROMPT_S)[1], "")
        report = self.settle()
        refused, passed, sources = wirenet.twin()
        self.balanced(report)
        outside, within = report["ports"]
        self.assertEqual((outside["drop"], outside["accept"]), (refused, passed))
        self.assertEqual((outside["missed"], outside["no_buffer"], outside["send_dropped"]), (0, 0, 0))
        self.assertEqual(refused, ATTACK_SYNS - LIMIT)
        self.assertEqual((sorted(sources), within["drop"]), (["10.77.0.2", "10.77.0.3"], 0))
        print(f"killed at {at} bytes of {FILE_BYTES}; {refused} SYNs refused, {passed} packets passed inwards, {within['accept']} outwards")

    def test_the_node_with_the_ports_is_killed_and_its_state_lives_on(self):
        self.own(self.PORT[-1], ["peer"])
        attack = wirenet.attack(self, 2 * LIMIT)
        self.assertEqual(attack.communicate(timeout=PROMPT_S)[1], "")
        download = Download(self)
        download.wait(100000)
        dead = self.cluster.incarnation(self.PORT[-1])
        self.port.kill()
        began = time.monotonic()
        self.assertLess(len(download.data), FILE_BYTES, "the transfer was over before the kill")
        self.cluster.wait(["peer"], [])
        self.port = self.cluster.port()
        self.assertTrue(self.cluster.ctl("fence", dead))
        self.cluster.wait([self.PORT[-1]], ["peer"])  # the operator's wish still stands
        back = time.monotonic() - began
        download.wait(100000)
        self.assertEqual(download.finish(), self.content)
        # The attacker's ten are spent, though another process counts now: all of these are refused, and nothing else is.
        attack = wirenet.attack(self, 3 * LIMIT, first_port=5000)
        self.assertEqual(attack.communicate(timeout=PROMPT_S)[1], "")
        wirenet.switch_off()
        deadline = time.monotonic() + PROMPT_S
        while self.dropped() < 3 * LIMIT:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        report = self.port.stop()[0]
        self.balanced(report)
        self.assertEqual([p["drop"] for p in report["ports"]], [3 * LIMIT, 0])
        print(f"the ports were back after {back:.1f} s; {report['packets']} packets since, {3 * LIMIT} of them refused")

    def dropped(self):
        self.port.signal(signal.SIGUSR1)
        self.port.read_until(" packets: ")
        words = self.port.read_until(f"port {PORTS[0]}").split()
        return int(words[words.index("drop") + 1])


class FailoverOfTwoCores(Failover):
    """The port has one queue, which core 0 polls; the state is at the peer or at core 1, which has no queue."""
    PORT = ("port.0", "port.1")


if __name__ == "__main__":
    if sys.argv[1:2] != ["--inside"]:
        wirenet.enter_each(os.path.abspath(__file__), Failover, FailoverOfTwoCores)
    dpdknode.need_dpdk()
    try:
        wirenet.build()
    except OSError as error:
        skip(str(error).splitlines()[0])
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])

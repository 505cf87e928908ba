"""Garbage, truncated and forged frames on every socket of a cluster of real processes, a peer that is put in quarantine for it, and an owner
that takes nothing while the input's window fills. Verdicts equal a single instance's. TEST_ALL=1: with more packets."""
import os
import random
import signal
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from cluster import SHARDS, ClusterCase  # noqa: E402
from zmtp import KINDS, Peer, Server, ask, frame, identity  # noqa: E402

WINDOW = 16384  # packets that an input holds at most (vfm-node)


def bad_frames(seed):
    """Frames that are none: garbage, each kind cut short, lengths and counts that lie."""
    rng = random.Random(seed)
    whole = frame("COMMAND", [b"{}"])
    yield b""
    yield bytes(rng.randrange(256) for _ in range(400))
    yield whole[:-1]
    yield whole + b"\0"
    yield whole.replace(b"\xc6\0\0\0\2", b"\xc6\xff\xff\xff\xff")
    yield b"\xdd\xff\xff\xff\xff" + whole[3:]
    yield frame("COMMAND", [])
    for kind in KINDS:
        yield frame(kind, [1, 2, 3])[: 3 + rng.randrange(30)]


class Frames(ClusterCase):
    def sockets(self):
        c = self.cluster
        return [n["endpoint"] for n in c.status()["nodes"]] + [c.controller_endpoint]

    def test_what_is_not_zeromq_costs_nobody_anything(self):
        c = self.cluster
        controller, nodes = self.begin()
        for endpoint in self.sockets():
            for junk in (b"\0" * 100, os.urandom(4000), b"\xff" + b"\0" * 8 + b"\x7f\3\0NULL" + os.urandom(200)):
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(endpoint[6:])
                    try:
                        s.sendall(junk)
                    except BrokenPipeError:
                        pass
        self.ends_equal(c.input())
        self.assertTrue(all(p.poll() is None for p in [controller, *nodes]))

    def test_what_is_no_frame_costs_a_stranger_its_connection_and_is_counted(self):
        c = self.cluster
        controller, nodes = self.begin()
        sockets = self.sockets()
        for endpoint in sockets:
            n = 0
            for bad in bad_frames(n):
                peer = Peer(endpoint)
                peer.send(bad)
                self.assertTrue(peer.is_cut(), (endpoint, bad))
                peer.close()
                n += 1
            answer = ask(endpoint, command="status" if endpoint == c.controller_endpoint else "progress")
            self.assertEqual(answer["bad_frames"], n)
        self.ends_equal(c.input())
        self.assertTrue(all(p.poll() is None for p in [controller, *nodes]))
        self.assertEqual(c.said(controller), "", "strangers are nobody's fault")

    def test_vfmctl_takes_no_garbage_for_an_answer(self):
        for bad in (b"garbage", frame("ANSWER", [b'{"nodes":'])[:-3], frame("COMMAND", [b"{}"]), frame("ANSWER", [b"[nonsense"])):
            endpoint = "ipc://" + self.cluster.path(f"fake-{abs(hash(bad))}")
            Server(endpoint, bad)
            self.assertIsNone(self.cluster.ctl("status", endpoint=endpoint))
            self.assertIn("no answer", self.cluster.error)

    def test_a_misbehaving_node_is_in_quarantine_until_it_is_another_incarnation(self):
        c = self.cluster
        controller, nodes = self.begin()
        feed = c.input("--stop-at", "500")
        c.wait("packets", lambda: c.released() == 500)
        b = c.alive()["b"]
        who = int(b["incarnation"], 16)
        peer = Peer(nodes[0].endpoint, identity(who))  # what it says to node a, in its name
        peer.send(b"what is no frame")
        self.assertTrue(peer.is_cut())
        c.wait("the quarantine", lambda: c.alive()["b"]["quarantined"])
        c.wait("another owner and standby", lambda: c.in_sync() and
               not any("b" in [s["owner"], *s["in_sync"]] for s in c.status()["shards"]))
        again = Peer(nodes[0].endpoint, identity(who))  # a good frame now, but it is too late
        again.send(frame("REPORT", [b"b", b"", 1, who, b"", b"", b""], sender=who))
        self.assertTrue(again.is_cut())
        peer.close(), again.close()
        self.assertGreater(ask(nodes[0].endpoint, command="progress")["dropped_frames"], 0)
        self.assertIn(f"quarantine, {b['incarnation']}", c.said(nodes[0]))
        self.assertIn(f"QUARANTINE, {b['incarnation']}: it sent what is no frame to a", c.said(controller))
        self.assertIn(("FAULT", "a", "a peer sent what is no frame"),
                      [(e["what"], e["node"], e["why"]) for e in c.ctl("events")["events"]])
        c.kill(nodes[1])
        c.node("b")
        c.wait("b again", lambda: any(n["name"] == "b" and not n["quarantined"] and n["shards"] for n in c.alive().values()))
        c.wait("the cluster in sync", c.in_sync)
        ask(feed.endpoint, command="go", upto=1 << 62)
        self.ends_equal(feed)

    def test_who_speaks_in_the_name_of_another_is_no_better(self):
        c = self.cluster
        _, nodes = self.begin()
        who = int(c.alive()["b"]["incarnation"], 16)
        peer = Peer(nodes[0].endpoint, identity(12345))
        peer.send(frame("FAULT", [0, 0, 1, 0], sender=who))
        self.assertTrue(peer.is_cut())
        peer.close()
        c.wait("the quarantine", lambda: "quarantine, 0000000000003039" in c.said(nodes[0]))
        self.assertFalse(c.alive()["b"]["quarantined"])


class Window(ClusterCase):
    PACKETS = 60000

    def test_a_full_window_stops_the_reading_and_loses_nothing(self):
        c = self.cluster
        c.controller("--no-standby", "--lease", "60000")
        nodes = [c.node("a"), c.node("b")]
        c.wait("owners", lambda: len(c.status()["shards"]) == SHARDS)
        feed = c.input("--stop-at", "500")
        c.wait("packets", lambda: c.released() == 500)
        for node in nodes:
            node.send_signal(signal.SIGSTOP)
        ask(feed.endpoint, command="go", upto=1 << 62)
        read = []

        def stands():
            progress = ask(feed.endpoint, command="progress")
            read.append(progress["read"] - progress["released"])
            return len(read) > 30 and read[-30] == read[-1] > 0
        c.wait("the window full", stands)
        self.assertLessEqual(read[-1], WINDOW)
        self.assertLess(ask(feed.endpoint, command="progress")["read"], self.PACKETS)
        for node in nodes:
            node.send_signal(signal.SIGCONT)
        self.ends_equal(feed)


del ClusterCase  # not a suite of its own

if __name__ == "__main__":
    sys.exit(unittest.main())

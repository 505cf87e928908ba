"""Nodes that fail, of real processes: an input killed and taken up again from its journal, a node stopped beyond suspicion and woken up, a
node with another filter. Verdicts equal a single instance's. TEST_ALL=1: with more packets."""
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from cluster import ClusterCase  # noqa: E402


class Nodes(ClusterCase):
    def test_an_input_killed_and_started_again_goes_on_from_its_journal(self):
        c = self.cluster
        self.begin()
        for at in (self.PACKETS // 10, self.PACKETS // 2):
            feed = c.input("--stop-at", str(at + self.PACKETS // 10), "--stay")
            c.wait("packets", lambda at=at: c.released() > at)
            c.kill(feed)
        self.ends_equal(c.input())

    def test_a_stopped_node_wakes_up_as_a_harmless_zombie(self):
        c = self.cluster
        _, nodes = self.begin()
        half = self.PACKETS // 2
        feed = c.input("--stop-at", str(half), "--stay")
        c.wait("packets", lambda: c.released() > half // 10)
        nodes[0].send_signal(signal.SIGSTOP)
        c.wait("promotions", lambda: all(s["owner"] != "a" for s in c.status()["shards"]))
        c.wait("the rest", lambda: c.released() == half)
        nodes[0].send_signal(signal.SIGCONT)
        c.kill(feed)
        self.ends_equal(c.input())

    def test_a_node_with_another_filter_is_refused_by_name(self):
        c = self.cluster
        controller, _ = self.begin()
        c.plan, plan = [], c.plan
        c.node("stranger", filter_name="examples/syn-limit.vfl")
        c.plan = plan
        c.wait("the refusal", lambda: "another plan" in c.said(controller))
        self.assertNotIn("stranger", [n["name"] for n in c.status()["nodes"]])


if __name__ == "__main__":
    sys.exit(unittest.main())

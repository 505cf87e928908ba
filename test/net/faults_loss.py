"""Copies that are lost, in a cluster of real processes: a standby, which is replaced, and owner and standby together, which is a loss that is
declared, said aloud for each shard, and survived. TEST_ALL=1: with more packets."""
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from cluster import SHARDS, ClusterCase  # noqa: E402


class Losses(ClusterCase):
    def test_a_lost_standby_is_replaced_while_packets_flow(self):
        c = self.cluster
        _, nodes = self.begin()
        half = self.PACKETS // 2
        feed = c.input("--stop-at", str(half), "--stay")
        c.wait("packets", lambda: c.released() > half // 10)
        standbys = {name for s in c.status()["shards"] for name in s["in_sync"]}
        self.assertIn("c", standbys)
        c.kill(nodes[2])
        c.wait("other standbys", lambda: c.in_sync() and
               all(name in "ab" for s in c.status()["shards"] for name in [s["owner"], *s["in_sync"]]))
        c.kill(feed)
        self.ends_equal(c.input())

    def test_owner_and_standby_lost_together_is_a_loss_that_is_declared_and_said_aloud(self):
        c = self.cluster
        controller, nodes = self.begin("ab", "--loss", "300")
        half = self.PACKETS // 2
        feed = c.input("--stop-at", str(half), "--stay")
        c.wait("packets", lambda: c.released() > half // 10)
        nodes[0].send_signal(signal.SIGSTOP)  # its copies survive, stale
        c.kill(nodes[1])
        c.node("d"), c.node("e")
        c.wait("new histories", lambda: all(s["history"] == 2 and not s["sealed"] for s in c.status()["shards"]))
        c.wait("the rest of the half", lambda: c.released() == half)
        nodes[0].send_signal(signal.SIGCONT)
        stale = "a copy of a lost history was still there"
        c.wait("the stale copies named", lambda: c.said(controller).count(stale) >= SHARDS)
        c.kill(feed)
        self.ends(c.input())
        self.assertEqual(c.released(), self.PACKETS, "each packet has one verdict")
        said = c.said(controller)
        events = c.ctl("events")["events"]
        for shard in range(SHARDS):
            self.assertIn(f"HISTORY LOST, shard {shard}:", said)
            self.assertRegex(said, rf"shard {shard}: a [0-9a-f]{{16}}: {stale}")
            self.assertRegex(said, rf"shard {shard}: input [0-9a-f]{{16}}: packets were released under a history that is lost")
            self.assertIn(("HISTORY LOST", shard), [(e["what"], e["shard"]) for e in events])
        lost = sum(e["detail"] for e in events if e["why"].startswith("packets were released"))
        self.assertTrue(0 < lost <= half, lost)
        self.assertTrue(all(s["history"] == 2 for s in c.status()["shards"]), "the stale copies are never promoted")


if __name__ == "__main__":
    sys.exit(unittest.main())

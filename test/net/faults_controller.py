"""Controllers that fail, of real processes: one killed in the middle of moves and started again, none for a while, two on one store of
which the leader is killed. Verdicts equal a single instance's. TEST_ALL=1: with more packets."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from cluster import ClusterCase  # noqa: E402
from zmtp import ask  # noqa: E402


class Controllers(ClusterCase):
    def rests(self, endpoints):
        """Nothing is changed for half a second, and both controllers say the same."""
        before, end = self.epochs(endpoints[0]), time.monotonic() + 0.5
        while time.monotonic() < end:
            if any(self.epochs(e) != before for e in endpoints):
                return False
            time.sleep(0.02)
        return True

    def leaders(self, endpoints):
        return sum(self.cluster.status(e).get("leads", False) for e in endpoints)

    def test_moves_finish_although_the_controller_is_killed_in_the_middle(self):
        c = self.cluster
        controller, _ = self.begin()
        feed = c.input()
        c.wait("packets", lambda: c.released() > 1000)
        wanted = self.order_moves()
        c.kill(controller)
        c.controller()
        c.wait("the moves", lambda: self.placed(wanted))
        self.ends_equal(feed)

    def test_traffic_goes_on_without_a_controller(self):
        c = self.cluster
        controller, _ = self.begin()
        feed = c.input("--stop-at", "500")
        c.wait("packets", lambda: c.released() == 500)
        c.kill(controller)
        ask(feed.endpoint, command="go", upto=1 << 62)
        self.ends_equal(feed)

    def test_of_two_controllers_one_leads_and_the_other_takes_over(self):
        c = self.cluster
        ends = [c.controller_endpoint, "ipc://" + c.path("second")]
        c.controllers = ",".join(ends)
        first = c.controller()
        c.wait("the first leads", lambda: c.status(ends[0]).get("leads"))
        second = c.controller(endpoint=ends[1])
        nodes = [c.node(name) for name in "abc"]
        c.wait("the cluster in sync", c.in_sync)
        feed = c.input()
        wanted = self.order_moves(endpoint=ends[1])  # the one that does not lead takes orders, too
        c.wait("the moves", lambda: self.placed(wanted) and c.in_sync())
        c.wait("one leads", lambda: self.leaders(ends) == 1)
        c.kill(first)
        wanted = self.order_moves(1, endpoint=ends[1])
        c.wait("the second takes over", lambda: self.placed(wanted, ends[1]) and c.status(ends[1])["leads"])
        first = c.controller()
        c.wait("the first is back", lambda: self.placed(wanted, ends[0]))
        c.wait("rest, not shards moved to and fro", lambda: self.rests(ends))
        c.wait("one leads", lambda: self.leaders(ends) == 1)
        self.ends_equal(feed)
        self.assertTrue(all(p.poll() is None for p in [first, second, *nodes]))


if __name__ == "__main__":
    sys.exit(unittest.main())

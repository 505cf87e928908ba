"""A controller's store without room, of real processes: nothing is changed, which is said, packets flow, and all goes on when there is room
again. TEST_ALL=1: with more packets."""
import os
import resource
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from cluster import ClusterCase  # noqa: E402
from zmtp import ask  # noqa: E402


class Stores(ClusterCase):
    def stands_still_and_goes_on(self, controller, fill, empty, has):
        """With the store full nothing is changed, which is said, and packets flow; then all goes on."""
        c = self.cluster
        feed = c.input("--stop-at", "500")
        c.wait("packets", lambda: c.released() == 500)
        fill()
        c.wait("it is said", lambda: f"the store has {has}" in c.said(controller))
        self.assertIsNone(c.ctl("move", "0", "a"))
        self.assertRegex(c.error, "the store (has no room|does not answer)")
        self.assertEqual(c.status()["store"], has)
        before, half = self.epochs(), self.PACKETS // 2
        ask(feed.endpoint, command="go", upto=half)
        c.wait("packets", lambda: c.released() == half)
        self.assertEqual(self.epochs(), before)
        empty()
        c.wait("it goes on", lambda: "the store answers again" in c.said(controller))
        wanted = self.order_moves()
        c.wait("the moves", lambda: self.placed(wanted))
        ask(feed.endpoint, command="go", upto=1 << 62)
        self.ends_equal(feed)

    def test_a_store_that_may_not_grow_stops_changes_but_no_packets(self):
        controller, _ = self.begin()
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.stands_still_and_goes_on(controller, lambda: resource.prlimit(controller.pid, resource.RLIMIT_FSIZE, (100, hard)),
                                      lambda: resource.prlimit(controller.pid, resource.RLIMIT_FSIZE, (hard, hard)),
                                      "no answer")

    @unittest.skipUnless(os.geteuid() == 0, "SKIP: only root mounts a small disk")
    def test_a_full_disk_below_the_store_stops_changes_but_no_packets(self):
        c = self.cluster
        disk = c.path("disk")
        os.mkdir(disk)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], capture_output=True, text=True, check=False)
        if done.returncode:
            self.skipTest(f"SKIP: no small disk: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        self.addCleanup(c.close)  # before it
        c.store, filler = os.path.join(disk, "store"), os.path.join(disk, "filler")
        controller, _ = self.begin()

        def fill():
            with open(filler, "wb", buffering=0) as f:
                try:
                    while f.write(b"x" * 512):
                        pass
                except OSError:
                    pass

        self.stands_still_and_goes_on(controller, fill, lambda: os.unlink(filler), "no room")


if __name__ == "__main__":
    sys.exit(unittest.main())

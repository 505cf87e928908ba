"""vfm-test --order: captures run in the order that order files tell, and order files that tell none."""
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import tooltest as t  # noqa: E402

# What a source's packet gets depends on how many of its packets were judged before.
FILTER = "(rate-by src-ip :per 1000s)"
PACKETS = 200


class Order(unittest.TestCase):
    def setUp(self):
        self.files = t.Scratch(self)
        rng = random.Random(7)
        self.sources = [[f"10.0.0.{rng.randrange(1, 9)}" for _ in range(PACKETS)] for _ in range(2)]
        self.captures = [self.files.write(f"in{i}.pcap", t.pcap([(10**9 + k, t.syn(s)) for k, s in enumerate(sources)]))
                         for i, sources in enumerate(self.sources)]
        places = list(range(1, 2 * PACKETS + 1))
        rng.shuffle(places)
        self.places = [sorted(places[:PACKETS]), sorted(places[PACKETS:])]

    def orders(self, places, shard=0):
        return [self.files.write(f"o{i}", "".join(f"{shard} {n}\n" for n in of)) for i, of in enumerate(places)]

    def run_ordered(self, orders, *more):
        args = [word for o in orders for word in ("--order", o)]
        return t.run("vfm-test", *args, "--verdicts", self.files.path("v"), *more, "-e", FILTER, *self.captures)

    def refused(self, words, orders, *more, status=1):
        done = self.run_ordered(orders, *more)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertIn(words, done.stderr)

    def test_each_packet_gets_what_it_gets_at_its_place(self):
        done = self.run_ordered(self.orders(self.places))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        seen, wanted = {}, {}
        placed = sorted((n, i, k) for i, of in enumerate(self.places) for k, n in enumerate(of))
        for _, i, k in placed:
            source = self.sources[i][k]
            seen[source] = seen.get(source, 0) + 1
            wanted[i, k] = str(seen[source])
        self.assertEqual(self.files.read("v").split(), [wanted[i, k] for i in range(2) for k in range(PACKETS)])

    def test_places_that_no_run_can_have_given(self):
        first, second = self.places
        self.refused(f"two packets stand at {second[0]} of shard 0's history", self.orders([first, [second[0], *second[:-1]]]))
        self.refused(f"no packet stands at {2 * PACKETS} of shard 0's history",
                     self.orders([n + (n == 2 * PACKETS) for n in of] for of in self.places))

    def test_order_files_of_something_else(self):
        first, second = self.places
        self.refused(f"no `shard index` for packet {PACKETS}, {self.files.path('o1')}", self.orders([first, second[:-1]]))
        self.refused(f"more lines than packets, {self.files.path('o0')}", self.orders([first + [1], second]))
        self.refused("packet 1 belongs to shard 0, not 3", self.orders(self.places, shard=3))
        self.refused("give the order file that vfm-node wrote", ["/no/such/file"] * 2)

    def test_wrong_command_lines(self):
        orders = self.orders(self.places)
        self.refused("--order once for each capture", orders[:1], status=2)
        self.refused("--flat with --order", orders, "--flat", status=2)


if __name__ == "__main__":
    unittest.main()

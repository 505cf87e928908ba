"""vfm-analyze: option forms, JSON keys, exit statuses, error texts."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import tooltest as t  # noqa: E402

LIMIT = "LD16 12\nPUSH 0x0800\nJNE ok\nLD32 26\nPUSH 1\nFLOW_ADD 3\nPUSH 2\nJGT drop\nok: RET 1\ndrop: RET 0\n"
PINNED = "LD32 26\nPUSH 1\nFLOW_ADD 1\nLD32 30\nPUSH 1\nFLOW_ADD 2\nADD\nRET\n"
CONDITIONAL = "LD32 26\nPUSH 16\nSHL\nLD16 36\nOR\nFLOW_LOAD\nPOP\nLD32 26\nPUSH 1\nFLOW_ADD\nRET\n"
PAIR = ("LD16 12\nPUSH 0x0800\nJNE out\nLD32 26\nPUSH 32\nSHL\nLD32 30\nOR\nPUSH 1\nFLOW_ADD 1\nPUSH 9\nJGT drop\n"
        "LD32 30\nPUSH 32\nSHL\nLD32 26\nOR\nPKTLEN\nFLOW_STORE 2\nout: RET 1\ndrop: RET 0\n")


class VfmAnalyze(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.files = t.Scratch(self)
        self.filter = self.files.write("limit.vfm", LIMIT)
        self.pinned = self.files.write("pinned.vfm", PINNED)
        self.conditional = self.files.write("conditional.vfm", CONDITIONAL)

    def run_as(self, status, *args):
        done = t.run("vfm-analyze", *args)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def test_json_has_the_keys_that_others_script_against(self):
        r = json.loads(self.run_as(0, "--json", self.filter).stdout)
        self.assertEqual(sorted(r), ["objects", "program", "readable", "split", "stages", "transfer", "worst"])
        self.assertEqual(sorted(r["program"]), ["bytes", "sha256"])
        self.assertEqual(sorted(r["split"]), ["by", "changes", "choice", "given_up", "guard", "steer", "verdict", "witness"])
        self.assertEqual(r["split"]["by"], [{"name": "src-ip", "offset": 26, "bytes": 4, "mask": "0x00000000ffffffff",
                                            "optionless": False}])
        o, = r["objects"]
        self.assertEqual(sorted(o), ["access", "coupled", "dims", "id", "kind", "merge", "output", "scope", "sites", "symmetric", "table"])
        self.assertEqual((o["id"], o["table"], o["access"], o["kind"], o["scope"], o["output"], o["merge"], o["coupled"]),
                         (0, 3, "read-write", "owned", "multi-flow", "forwarding", None, []))
        # LD16 3, PUSH 9, JNE 3, LD32 3, PUSH 9 bytes: FLOW_ADD stands at 27.
        self.assertEqual(o["sites"], [27])
        self.assertEqual({k: r["stages"][k] for k in ("persistent", "flow", "updateable")}, {"persistent": 1, "flow": 1, "updateable": 1})
        self.assertEqual(r["readable"], {"prefix": 30})
        self.assertEqual(sorted(r["worst"]), ["accesses", "instructions", "updates"])
        self.assertIsNone(r["transfer"])

    def test_exit_status_says_the_verdict(self):
        self.run_as(0, "-e", "1")
        self.run_as(10, self.conditional)
        self.run_as(11, self.pinned)
        self.run_as(1, self.files.path("absent.vfm"))
        self.run_as(2)
        self.run_as(2, "--json")
        self.run_as(2, "--unknown", self.filter)
        self.run_as(2, self.filter, self.pinned)
        self.run_as(2, "--json", "--certificate", "-", self.filter)
        self.run_as(2, "--check", "x", "--json", self.filter)

    def test_the_certificate_is_checked_and_a_changed_one_refused(self):
        cert = self.files.path("cert.json")
        self.run_as(0, "--certificate", cert, self.filter)
        c = json.loads(self.files.read("cert.json"))
        self.assertEqual(sorted(c), ["config", "format", "guard", "partial", "program_sha256", "rows", "steer"])
        self.run_as(0, "--check", cert, self.filter)
        c["rows"][0]["first"] = 1
        c["rows"][0]["bits"] = 63
        done = self.run_as(1, "--check", self.files.write("lie.json", json.dumps(c)), self.filter)
        self.assertIn("the certificate is refused", done.stderr)
        self.assertIn("another program", self.run_as(1, "--check", cert, self.conditional).stderr)
        self.assertIn("not JSON", self.run_as(1, "--check", self.files.write("no.json", "{"), self.filter).stderr)
        self.run_as(1, "--check", self.files.path("absent"), self.filter)

    def test_nothing_is_written_for_a_pinned_filter(self):
        done = self.run_as(11, "--certificate", self.files.path("none"), self.pinned)
        self.assertIn("nothing written", done.stderr)
        self.assertFalse(os.path.exists(self.files.path("none")))

    def test_the_guarded_filter_drops_what_breaks_the_guard(self):
        guarded, capture = self.files.path("g.bin"), self.files.write("a.pcap", t.pcap([
            (1, t.syn("0.0.0.5")), (2, t.syn("10.0.0.5")), (3, t.syn("10.0.0.5"))]))
        self.run_as(10, "--guarded", guarded, self.conditional)
        t.run("vfm-test", "--verdicts", self.files.path("v"), guarded, capture)
        self.assertEqual(self.files.read("v"), "0\n1\n2\n")

    def test_the_steering_program_gives_the_source(self):
        steer, capture = self.files.path("s.bin"), self.files.write("a.pcap", t.pcap([(1, t.syn("1.2.3.4"))]))
        self.run_as(0, "--steer", steer, self.filter)
        t.run("vfm-test", "--verdicts", self.files.path("v"), steer, capture)
        self.assertEqual(self.files.read("v"), "%d\n" % 0x01020304)

    def test_transfer_counts_entries_of_16_bytes(self):
        # Three sources, one packet each: 1, 2, 3 entries present; each packet changes one; three changed in the burst.
        capture = self.files.write("a.pcap", t.pcap([(i, t.syn("1.1.1.%d" % i)) for i in range(3)]))
        r = json.loads(self.run_as(0, "--json", "--capture", capture, self.filter).stdout)["transfer"]
        self.assertEqual(r, {"a": {"bytes_per_packet": 32, "ratio": 1}, "b": {"bytes_per_packet": 32, "ratio": 1},
                             "c": {"bytes_per_packet": 32, "ratio": 1}, "d": {"bytes_per_packet": 16, "ratio": 2},
                             "e": {"bytes_per_packet": 16, "ratio": 2}})
        # One source, three packets: the burst has one entry.
        capture = self.files.write("b.pcap", t.pcap([(i, t.syn("1.1.1.1")) for i in range(4)]))
        r = json.loads(self.run_as(0, "--json", "--capture", capture, self.filter).stdout)["transfer"]
        self.assertEqual((r["d"]["bytes_per_packet"], r["e"]["bytes_per_packet"]), (16, 4))

    def test_of_several_ways_to_split_the_capture_chooses_the_one_whose_largest_class_is_smallest(self):
        # Both keys have both addresses, each at another place: it splits by either.
        pair = self.files.write("pair.vfm", PAIR)
        fan_in = self.files.write("in.pcap", t.pcap([(i, t.syn("1.1.1.%d" % (i % 5), "2.2.2.2")) for i in range(10)]))
        fan_out = self.files.write("out.pcap", t.pcap([(i, t.syn("1.1.1.1", "2.2.2.%d" % (i % 5))) for i in range(10)]))
        chosen = []
        for capture, name, steered in ((fan_in, "src-ip", 0x01010100), (fan_out, "dst-ip", 0x02020200)):
            steer, cert = self.files.path("s.bin"), self.files.path("c.json")
            split = json.loads(self.run_as(0, "--json", "--capture", capture, "--steer", steer, "--certificate", cert, pair).stdout)["split"]
            self.assertEqual([d["name"] for d in split["by"]], [name])
            self.assertEqual(sorted((w["by"][0]["name"], w["packets"], w["classes"], w["largest"], w["taken"]) for w in split["choice"]),
                             sorted([(name, 10, 5, 2, True), ({"src-ip": "dst-ip", "dst-ip": "src-ip"}[name], 10, 1, 10, False)]))
            self.run_as(0, "--check", cert, pair)
            t.run("vfm-test", "--verdicts", self.files.path("v"), steer, capture)
            self.assertEqual(self.files.read("v").split()[0], str(steered))
            text = self.run_as(0, "--capture", capture, pair).stdout
            self.assertRegex(text, r"  \* %s +5 classes, largest +20.0 %%\n" % name)
            chosen.append(split["steer"])
        self.assertNotEqual(*chosen)
        # Without a capture, and with one that both suit equally well, the first is taken; one way leaves no choice.
        self.assertEqual(json.loads(self.run_as(0, "--json", pair).stdout)["split"]["choice"], [])
        one = self.files.write("one.pcap", t.pcap([(1, t.syn("1.1.1.1"))]))
        first, by_one = (json.loads(self.run_as(0, "--json", *more, pair).stdout)["split"] for more in ((), ("--capture", one)))
        self.assertEqual(first["steer"], by_one["steer"])
        self.assertEqual(json.loads(self.run_as(0, "--json", "--capture", one, self.filter).stdout)["split"]["choice"], [])

    def test_the_page_is_one_file_and_the_graph_is_dot(self):
        page, dot = self.files.path("a.html"), self.files.path("a.dot")
        self.run_as(11, "--html", page, "--dot", dot, self.pinned)
        text = self.files.read("a.html")
        self.assertIn("Pinned: no way to split", text)
        self.assertIn("<svg", text)
        for outside in ("http:", "https:", "<script", "src=", "@import"):
            self.assertNotIn(outside, text)
        self.assertTrue(self.files.read("a.dot").startswith("digraph"))


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Golden reports of vfm-analyze: the text report of every program of examples/ and of test/golden/analysis, and the stage table
of StateAlyzr's talk for all of them in docs/reports/stages.md.

    analysis_reports.py            compare (fails where they differ; examples without a report fail with TEST_ALL=1 only)
    analysis_reports.py --write    write them anew
"""
import glob
import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import tooltest as t  # noqa: E402

GOLDEN = os.path.join(t.ROOT, "test", "golden", "analysis")
TABLE = os.path.join(t.ROOT, "docs", "reports", "stages.md")
TRANSFER = os.path.join(t.ROOT, "docs", "reports", "transfer.md")
TRAFFIC = ("example.pcap", "many-protocols.pcap", "echo-connections.pcap")
EXIT = {"stateless": 0, "partitionable": 0, "conditional": 10, "pinned": 11}
COLUMNS = ("values", "persistent", "flow", "updateable", "impacting", "tracked")

HEAD = """# The stage table for every example

StateAlyzr's table (docs/analysis.md says what each column counts), written by `test/golden/analysis_reports.py --write` and compared
by `make test`. "By" is what the proved split goes by.

| program | values | access sites | objects | updateable | output-impacting | tracked sites | verdict | by |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |
"""


TRANSFER_HEAD = """# What keeping a standby up to date would cost

Bytes a packet that a hot standby would be sent, and in brackets how many times as much (a) is; docs/analysis.md says what (a) to (e) are.
Written by `test/golden/analysis_reports.py --write` from public captures; programs that change nothing on a capture are left out.

| program | capture | (a) all state | (b) updateable | (c) output-impacting | (d) changed entries | (e) once per 32 packets |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
"""


def programs():
    """(name, path): examples/a/b.vfm is named a/b.vfm."""
    found = []
    for root in (os.path.join(t.ROOT, "examples"), GOLDEN):
        for kind in ("vfm", "vfl"):
            for path in glob.glob(os.path.join(root, "**", "*." + kind), recursive=True):
                found.append((os.path.relpath(path, root if root != GOLDEN else os.path.join(t.ROOT, "test", "golden")), path))
    return sorted(found)


def report(path):
    """(JSON report, text report)."""
    machine = t.run("vfm-analyze", "--json", path)
    if machine.returncode not in (0, 10, 11):
        raise RuntimeError(path + ": " + machine.stderr)
    found = json.loads(machine.stdout)
    assert machine.returncode == EXIT[found["split"]["verdict"]], path
    text = t.run("vfm-analyze", "--explain", path)
    assert text.returncode == machine.returncode and not text.stderr, path
    return found, text.stdout


def golden_path(name):
    return os.path.join(GOLDEN, "reports", re.sub(r"[/.]", "-", name) + ".txt")


def row(name, r):
    by = ", ".join(d["name"] for d in r["split"]["by"])
    cells = [name] + [str(r["stages"][c]) for c in COLUMNS] + [r["split"]["verdict"], by]
    return "| " + " | ".join(cells) + " |\n"


def table(reports):
    sums = [sum(r["stages"][c] for _, r in reports) for c in COLUMNS]
    total = "| **all %d** | " % len(reports) + " | ".join("**%d**" % n for n in sums) + " | | |\n"
    return HEAD + "".join(row(name, r) for name, r in reports) + total


def transfer_rows():
    """Markdown rows of every program that changes state on one of the captures; None without the captures."""
    captures = [c for c in t.real_captures() if os.path.basename(c) in TRAFFIC]
    if len(captures) < len(TRAFFIC):
        return None
    rows = []
    for name, path in programs():
        for capture in captures:
            r = json.loads(t.run("vfm-analyze", "--json", "--capture", capture, path).stdout)["transfer"]
            if r["d"]["bytes_per_packet"]:
                cells = ["%.2f (%.1f)" % (r[k]["bytes_per_packet"], r[k]["ratio"]) if r[k]["ratio"] else "0" for k in "abcde"]
                rows.append("| %s | %s | %s |\n" % (name, os.path.basename(capture), " | ".join(cells)))
    return rows


def write():
    os.makedirs(os.path.join(GOLDEN, "reports"), exist_ok=True)
    for old in glob.glob(os.path.join(GOLDEN, "reports", "*.txt")):
        os.remove(old)
    reports = []
    for name, path in programs():
        found, text = report(path)
        reports.append((name, found))
        with open(golden_path(name), "w") as f:
            f.write(text)
    with open(TABLE, "w") as f:
        f.write(table(reports))
    rows = transfer_rows()
    if rows is not None:
        with open(TRANSFER, "w") as f:
            f.write(TRANSFER_HEAD + "".join(rows))


class Reports(unittest.TestCase):
    maxDiff = None

    def test_every_report_is_the_golden_one(self):
        with open(TABLE) as f:
            known = dict((line.split(" | ")[0][2:], line) for line in f if line.startswith("| ") and " | " in line)
        for name, path in programs():
            if name not in known and not t.ALL:
                print("%s: no golden report yet: test/golden/analysis_reports.py --write" % name)
                continue
            found, text = report(path)
            with self.subTest(name):
                self.assertEqual(known.get(name), row(name, found))
                with open(golden_path(name)) as f:
                    self.assertEqual(f.read(), text)

    def test_the_transfer_table_is_the_golden_one(self):
        if not t.ALL:
            return  # hundreds of runs over captures
        rows = transfer_rows()
        if rows is None:
            print("SKIP: the captures of the transfer table are not beside the repository")
            return
        with open(TRANSFER) as f:
            self.assertEqual(f.read(), TRANSFER_HEAD + "".join(rows))

    def test_what_the_issue_asks_of_each_program(self):
        def split(name):
            found = json.loads(t.run("vfm-analyze", "--json", os.path.join(GOLDEN, name + ".vfm")).stdout)
            return found["split"]["verdict"], [d["name"] for d in found["split"]["by"]], found

        self.assertEqual(split("port-scan-one-table")[:2], ("conditional", ["src-ip"]))
        self.assertEqual(split("port-scan-two-tables")[:2], ("partitionable", ["src-ip"]))
        self.assertEqual(split("flow-limit")[:2], ("partitionable", ["5-tuple"]))
        self.assertEqual(split("symmetric-connections")[:2], ("partitionable", ["src-ip", "dst-ip", "src-port", "dst-port"]))
        self.assertTrue(all(o["symmetric"] for o in split("symmetric-connections")[2]["objects"]))
        self.assertEqual(split("source-connections")[:2], ("partitionable", ["src-ip"]))
        verdict, _, found = split("source-and-destination")
        self.assertEqual((verdict, len(found["split"]["witness"])), ("pinned", 3))
        self.assertEqual([o["kind"] for o in split("packet-counter")[2]["objects"]], ["partial", "partial"])
        self.assertEqual([o["kind"] for o in split("blocklist")[2]["objects"]], ["config"])

    def test_every_certificate_is_accepted_and_belongs_to_its_program_alone(self):
        files = t.Scratch(self)
        proved = [(n, p) for n, p in programs() if t.run("vfm-analyze", "--certificate", files.path(n.replace("/", "-")), p)
                  .returncode in (0, 10)]
        self.assertTrue(proved)
        for (name, path), (_, other) in zip(proved, proved[1:] + proved[:1]):
            cert = files.path(name.replace("/", "-"))
            self.assertEqual(t.run("vfm-analyze", "--check", cert, path).returncode, 0, name)
            done = t.run("vfm-analyze", "--check", cert, other)
            if done.returncode != 0:  # 0 where both compile to the same bytes
                self.assertIn("another program", done.stderr)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        unittest.main()

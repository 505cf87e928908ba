#!/usr/bin/env python3
"""What `vfm-analyze --explain` names helps: for every program of examples/ and of test/golden/analysis that is pinned or conditional, each
change that is named is made in the program's source, compiled and analysed: it is partitionable, by what was said, and split over 16
shards it gives the flat machine's verdicts and tables.

    TEST_ALL=1   every capture instead of two
"""
import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tooltest as t  # noqa: E402
from analysis_reports import programs  # noqa: E402

ACCESS = re.compile(r"^([^;\n]*?)(FLOW_\w+)([ \t]*\d*)", re.M)
NOTHING = {"FLOW_LOAD": "POP\nPUSH 0\n", "FLOW_STORE": "POP\nPOP\n", "FLOW_ADD": "POP\nPOP\nPUSH 0\n", "FLOW_DEL": "POP\n"}


def change_assembly(text, addresses, change):
    """The assembly with the change made; addresses: of its accesses, ascending, as they stand in the text."""
    edits = {addresses.index(e["at"]): e for e in change["edits"]}
    number = -1

    def at(match):
        nonlocal number
        number += 1
        before, name, table = match.groups()
        e = edits.get(number)
        if e is None:
            return match.group(0)
        if e["take_out"]:
            return before + "\n" + NOTHING[name]
        if e["table"] is not None:
            return "%s%s %d" % (before, name, e["table"])
        return before + "\n" + "\n".join(e["insert"]) + "\n" + name + table
    return ACCESS.sub(at, text)


def change_lisp(text, objects, change):
    """The VFLisp with the field put first in the keys of the changed objects' tables, which are numbered as declared."""
    names = re.findall(r"^\(table (\S+)", text, re.M)
    for number in change["objects"]:
        name = names[objects[number]["table"]]
        text = re.sub(r"\((flow-\w+|count-by|rate-by) ([^()]*:table %s)\b" % name,
                      lambda m: "(%s %s %s" % (m.group(1), change["lisp"], m.group(2)), text)
    return text


class Explain(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.captures = [c for c in t.real_captures() if t.ALL or os.path.basename(c) in ("example.pcap", "many-protocols.pcap")]

    def check(self, name, kind, text, change):
        """The changed source is partitionable as was said, and runs split as it runs flat."""
        files = t.Scratch(self)
        source, cert = files.write("changed" + kind, text), files.path("cert")
        done = t.run("vfm-analyze", "--json", "--certificate", cert, source)
        self.assertEqual(done.returncode, 0, name + "\n" + done.stderr + text)
        split = json.loads(done.stdout)["split"]
        self.assertEqual(split["verdict"], "partitionable", name)
        self.assertEqual(", ".join(d["name"] for d in split["by"]), change["by"], name)
        return sum(self.compare(name, files, source, cert, c) for c in self.captures)

    def compare(self, name, files, source, cert, capture):
        t.run("vfm-test", "--flat", "--verdicts", files.path("flat"), "--table", files.path("flat.table"), source, capture)
        run = t.run("vfm-test", "--shards", "16", "--certificate", cert, "--json", "--verdicts", files.path("split"), "--table",
                    files.path("split.table"), source, capture)
        if json.loads(run.stdout)["table"]["evictions"]:
            return 0
        self.assertTrue(files.read("flat") == files.read("split"), "%s on %s: verdicts differ" % (name, capture))
        self.assertTrue(files.read("flat.table") == files.read("split.table"), "%s on %s: tables differ" % (name, capture))
        return len(files.read("flat").splitlines())

    def try_program(self, name, path, report):
        changes, objects = report["split"]["changes"], report["objects"]
        said = t.run("vfm-analyze", "--explain", path).stdout
        self.assertTrue(changes, name + ": no change is named")
        self.assertIn("What to change (made and analysed): ", said)
        addresses = sorted(pc for o in objects for pc in o["sites"])
        with open(path) as f:
            source = f.read()
        listing = source if path.endswith(".vfm") else t.run("vflispc", "-S", path).stdout
        verdicts = 0
        for change in changes:
            for e in change["edits"]:
                self.assertRegex(said, r"at +%d\b" % e["at"])
            verdicts += self.check(name, ".vfm", change_assembly(listing, addresses, change), change)
        if path.endswith(".vfl") and changes[0]["kind"] == "field-in-keys":
            self.assertIn("begin those keys with %s." % changes[0]["lisp"], said)
            changed = change_lisp(source, objects, changes[0])
            self.assertNotEqual(changed, source)
            verdicts += self.check(name, ".vfl", changed, changes[0])
        return len(changes), verdicts

    def test_each_change_that_is_named_is_one_after_which_the_program_splits(self):
        total = made = verdicts = 0
        for name, path in programs():
            report = json.loads(t.run("vfm-analyze", "--json", path).stdout)
            if report["split"]["verdict"] not in ("pinned", "conditional"):
                self.assertEqual(report["split"]["changes"], [], name)
                continue
            with self.subTest(name):
                n, v = self.try_program(name, path, report)
                total, made, verdicts = total + 1, made + n, verdicts + v
        print("%d programs, %d changes made, %d verdicts equal" % (total, made, verdicts))
        self.assertGreater(total, 3)
        self.assertTrue(verdicts or not self.captures)

    def test_large_programs_are_told_that_nothing_was_tried(self):
        files = t.Scratch(self)
        pairs = ["LD32 %d\nPUSH 1\nFLOW_ADD %d\nPOP" % (26 + i % 2 * 4, i % 2) for i in range(700)]
        text = "\n".join(["LD32 26\nLD32 30\nFLOW_STORE 0\nLD32 30\nLD32 26\nFLOW_STORE 1"] + pairs + ["RET 1\n"])
        done = t.run("vfm-analyze", "--explain", files.write("large.vfm", text))
        self.assertEqual(done.returncode, 11)
        self.assertIn("No change was tried: the program has more than 8192 bytes.", done.stdout)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Programs of up to 64 KiB, of shapes chosen to be hard on each part of the analyzer, are analysed within seconds of processor time and in
bounded memory: each child process may use CPU_S seconds and MEMORY bytes of address space, and ends well. What was given up is said.

    TEST_ALL=1   the slow shapes too
"""
import json
import os
import resource
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import tooltest as t  # noqa: E402

CPU_S = 20
MEMORY = 256 << 20
SANITIZED = "san" in os.environ.get("BUILD", "")  # a sanitizer takes terabytes of addresses, and its time

PATHS, FORMS, STEER, SITES, CHECKER = "blocks", "forms of keys", "steering program of more", "cannot list", "checker's bounds"
LIMIT = "LD32 %d\nPUSH 1\nFLOW_ADD %d\nPUSH 9\nJGT drop%d\nJMP on%d\ndrop%d: RET 0\non%d:"
JOIN = "LD8 %d\nPUSH %d\nJEQ a%d\nPUSH 3\nADD\nJMP b%d\na%d: PUSH 5\nXOR\nb%d:"
DIAMOND = "LD8 %d\nPUSH %d\nJEQ a%d\nLD32 26\nPUSH 1\nFLOW_ADD 1\nPOP\nJMP b%d\na%d: LD32 26\nPUSH 2\nFLOW_STORE 1\nb%d:"
LOOP = "PUSH 3\nl%d: LD32 26\nPUSH 1\nFLOW_ADD %d\nPOP\nPUSH 1\nSUB\nDUP\nPUSH 0\nJNE l%d\nPOP"
STACK = "LD8 %d\nPUSH %d\nJEQ b%d\nSWAP\nROT\nPICK 150\nXOR\nb%d:"
CHOICE = "LD8 %d\nPUSH %d\nJNE a%d\nLD32 %d\nPUSH 1\nFLOW_ADD %d\nRET\na%d:"
COUNT = "PUSH 1\nFLOW_ADD\nRET"


def nest(number, depth, last=""):
    """Loops in loops around one access."""
    down = "\n".join("PUSH 2\nl%d_%d:" % (number, i) for i in range(depth))
    up = "\n".join("PUSH 1\nSUB\nDUP\nPUSH 0\nJNE l%d_%d\nPOP" % (number, i) for i in reversed(range(depth)))
    return down + "\nLD32 26\nPUSH 1\nFLOW_ADD %d\nPOP\n" % (number % 5) + up + last


# name: (exit status, what must have been given up, slow, lines)
SHAPES = {
    "limits": (0, [], False, [LIMIT % (26, i % 10, i, i, i, i) for i in range(1600)] + ["RET 1"]),
    "two keys": (11, [FORMS], False, [LIMIT % (26 + 4 * (i % 2), i % 10, i, i, i, i) for i in range(1600)] + ["RET 1"]),
    "configuration": (11, [SITES], False, ["LD32 %d\nFLOW_LOAD %d\nPOP" % (26 + i % 20, i % 8) for i in range(9000)] + ["RET 1"]),
    "one key, thousands of accesses": (11, [FORMS], False, ["LD32 26"] + ["FLOW_LOAD"] * 60000 + [COUNT]),
    "a chain through all tables": (11, [SITES], False, ["LD32 26"] + ["FLOW_LOAD %d" % (i % 250) for i in range(20000)] + [COUNT]),
    "a chain of sums": (11, [STEER], False, ["LD32 26"] + ["PUSH 3\nADD"] * 6400 + [COUNT]),
    "a chain of loads": (11, [STEER], False, ["LD32 26"] + ["LDX8"] * 60000 + [COUNT]),
    "one expression": (11, [], False, ["LD32 26"] + ["LD32 %d\nXOR" % (i % 60) for i in range(12000)] + [COUNT]),
    "a square": (11, [], False, ["LD32 26"] + ["DUP\nMUL"] * 20000 + [COUNT]),
    "joins": (11, [], False, ["PUSH 0"] + [JOIN % (i % 60, i % 7, i, i, i, i) for i in range(1500)] + [COUNT]),
    "diamonds": (0, [], False, [DIAMOND % (i % 60, i % 7, i, i, i, i) for i in range(1250)] + ["RET 1"]),
    "a switch": (11, [STEER], False, [CHOICE % (23, i % 256, i, 14 + i % 60, i % 200, i) for i in range(1850)] + ["RET 1"]),
    "objects of constant keys": (11, [], False, ["PUSH %d\nPUSH 1\nFLOW_ADD %d\nPUSH 5\nJGT drop%d\nJMP n%d\ndrop%d: RET 0\nn%d:" %
                                                (i, i % 250, i, i, i, i) for i in range(1300)] + ["RET 1"]),
    "objects apart by a bit": (0, [], False, ["LD8 %d\nPUSH 0x%x\nOR\nFLOW_LOAD %d\nPOP" % (i % 60, (i // 8 + 1) << 8, i % 8)
                                              for i in range(3800)] + ["RET 1"]),
    "loops": (0, [], False, [LOOP % (i, i % 9, i) for i in range(1300)] + ["RET 1"]),
    "a deep stack through joins": (11, [CHECKER], False, ["LD8 1"] * 240 + [STACK % (i % 60, i % 7, i, i) for i in range(3200)] +
                                   ["XOR"] * 239 + ["FLOW_LOAD 1\nRET"]),
    "loops in loops": (0, [], True, [nest(k, 60) for k in range(28)] + ["RET 1"]),
    "a deep stack through loops": (11, [CHECKER], True, ["LD8 1"] * 200 + [
        "\n".join("h%d_%d:" % (k, i) for i in range(50)) + "LD8 3\nPUSH 2\nJEQ q%d\nPOP\nLD8 9\nq%d:" % (k, k) + "\n".join(
            "\nLD8 %d\nROT\nXOR\nDUP\nPUSH %d\nJGT h%d_%d" % (i % 70, i, k, i) for i in reversed(range(50))) for k in range(70)] +
                                   ["XOR"] * 199 + ["FLOW_LOAD 1\nRET"]),
}


def bounded():
    resource.setrlimit(resource.RLIMIT_CPU, (10 * CPU_S if SANITIZED else CPU_S,) * 2)
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def analyse(path):
    """(exit status, standard output, standard error, seconds of processor time, peak KiB resident)"""
    child = subprocess.Popen([t.program("vfm-analyze"), "--json", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             preexec_fn=bounded)
    out, err = child.stdout.read(), child.stderr.read()
    child.stdout.close()
    child.stderr.close()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, out.decode(), err.decode(), used.ru_utime + used.ru_stime, used.ru_maxrss


class Large(unittest.TestCase):
    def test_programs_of_hard_shapes_take_seconds_and_bounded_memory_and_say_what_was_given_up(self):
        files = t.Scratch(self)
        slowest = largest = n = 0
        for name, (status, given_up, slow, lines) in SHAPES.items():
            if slow and not t.ALL:
                continue
            with self.subTest(name):
                path = files.write("large.vfm", "\n".join(lines) + "\n")
                got, out, err, seconds, kib = analyse(path)
                self.assertEqual(got, status, err)
                report = json.loads(out)
                self.assertGreater(report["program"]["bytes"], 39000)
                for what in given_up:
                    self.assertTrue(any(what in text for text in report["split"]["given_up"]), report["split"]["given_up"])
                if not slow:
                    text = t.run("vfm-analyze", path).stdout
                    self.assertEqual(sum(line.startswith("given up: ") for line in text.split("\n")), len(report["split"]["given_up"]))
                slowest, largest, n = max(slowest, seconds), max(largest, kib), n + 1
        print("%d shapes: at most %.1f s of processor time, %d MiB resident" % (n, slowest, largest >> 10))

    def test_a_small_program_gives_nothing_up(self):
        files = t.Scratch(self)
        done = t.run("vfm-analyze", "--json", files.write("a.vfm", "LD32 26\nPUSH 1\nFLOW_ADD\nRET\n"))
        self.assertEqual(json.loads(done.stdout)["split"]["given_up"], [])


if __name__ == "__main__":
    unittest.main()

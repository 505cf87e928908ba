"""Running vfm-node on DPDK ports from Python tests."""
import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import tooltest as t

SKIPPED = 77
# As little of DPDK as will do, without huge pages (but for drivers that need them) or physical devices. Lcores share the processors
# there are.
EAL = "{pages} --no-pci --no-shconf --no-telemetry -m {memory}"
FILTER = os.path.join(t.ROOT, "examples", "manual", "syn-flood.vfm")


def eal(*vdevs, cores=1, memory=128, huge=False):
    cpus = sorted(os.sched_getaffinity(0))
    lcores = ",".join(f"{i}@{cpus[i % len(cpus)]}" for i in range(cores))
    return " ".join([EAL.format(memory=memory, pages="--in-memory" if huge else "--no-huge"), f"--lcores {lcores}", *(f"--vdev {v}" for v in vdevs)])


def node(*args, vdevs, ports, cores=1, memory=128):
    return t.run("vfm-node", "--dpdk", eal(*vdevs, cores=cores, memory=memory), "--in", ports[0], "--out", ports[1], *args)


def skip(reason):
    print(f"SKIP {reason}")
    sys.exit(SKIPPED)


def need_dpdk():
    """Ends the suite where DPDK cannot start at all, or the program is built with a sanitizer that DPDK's drivers do not bear."""
    done = node("--stop-after", "1", "--json", "-e", "1", vdevs=["net_ring0", "net_ring1"], ports=["net_ring0", "net_ring1"])
    if done.returncode:
        skip(f"DPDK does not start here: {done.stderr.strip()[:200]}")


class Live:
    """vfm-node running in the background, ready when made; stop() gives its report."""

    def __init__(self, *args, vdevs, ports, cores=1, memory=128, huge=False, prefix=()):
        self.cores = cores
        self.said, self.unread = [], b""
        self.process = subprocess.Popen(
            [*prefix, t.program("vfm-node"), "--dpdk", eal(*vdevs, cores=cores, memory=memory, huge=huge), "--in", ports[0],
             "--out", ports[1], "--json", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.read_until(": running, ")

    def signal(self, number):
        self.process.send_signal(number)

    def read_until(self, words):
        """The next line of standard error with these words; an error if it does not come within a minute."""
        fd, deadline = self.process.stderr.fileno(), time.monotonic() + 60
        while True:
            while b"\n" in self.unread:
                line, self.unread = self.unread.split(b"\n", 1)
                self.said.append(line.decode())
                if words in self.said[-1]:
                    return self.said[-1]
            ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
            got = os.read(fd, 65536) if ready else b""
            if not got:
                raise AssertionError(f"vfm-node did not say {words!r}: {self.said}")
            self.unread += got

    def counters(self):
        """(packets, accepted, logged, dropped, errors) and what each core ran, as of now."""
        self.signal(signal.SIGUSR1)
        numbers = [int(n) for n in re.findall(r"\d+", self.read_until(" packets: "))]
        ran = [int(self.read_until(" ran ").split(" ran ")[1].split()[0]) for _ in range(self.cores)]
        return numbers[:5], ran

    def wait(self, reached):
        """Until reached(counters, ran); an error after half a minute."""
        deadline = time.monotonic() + 30
        while True:
            counters, ran = self.counters()
            if reached(counters, ran):
                return counters
            if time.monotonic() > deadline:
                raise AssertionError(f"not reached: {counters} {ran}")
            time.sleep(0.02)

    def stop(self, number=15):
        """(report, what was said on standard error since it ran)"""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        if self.process.returncode:
            raise AssertionError(f"vfm-node ended with {self.process.returncode}: {self.said} {err}")
        return json.loads(out), (self.unread + err).decode()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate(timeout=60)


def balanced(report):
    """What must hold of every report: nothing lost, nothing counted twice."""
    wrong = []
    for part in [report, *report["ports"]]:
        if part["packets"] != part["accept"] + part["drop"] + sum(part["errors"].values()):
            wrong.append(f"packets: {part}")
        if part["accept"] != part["forwarded"] + part["send_dropped"]:
            wrong.append(f"accept: {part}")
    for i, port in enumerate(report["ports"]):
        if port["packets"] not in (0, port["received"]):
            wrong.append(f"received: {port}")
        if port["forwarded"] != report["ports"][1 - i]["sent"]:
            wrong.append(f"sent: {port}")
    executed = sum(core["executed"] for core in report["cores"])
    if executed != report["packets"] - report["errors"]["GUARD"] or sum(c["asked"] for c in report["cores"]) != sum(
            c["served"] for c in report["cores"]):
        wrong.append(f"cores: {report['cores']}")
    return wrong

"""What a standby costs a node on live ports: frames a second, and how long a frame takes through it, beside a node that runs alone.

    wire-probe -> s0 = x1 -> net_af_packet0  node  net_af_packet1 -> y1 = r0 -> wire-probe       (veth pairs, one namespace)

Sides: `bare node` runs alone (no cluster); `one copy` is a node of a cluster that has no other; `standby` has one in another process, and
no frame leaves before it has acknowledged; `elsewhere`: the node with the ports is the standby, the other one owns the state.
The filter counts packets by source (1,000 of them), so every packet changes state. Every side is a fresh set of processes; rounds
alternate. Latency is measured with PACED frames a second, throughput with 512 under way, each in slices of SLICE_MS. On a machine with
other work most slices tell of that work, so the quantiles are those of the slice with the least median, and the throughput that of the
best slice; the interval of its ratio is over the rounds' best slices, and the histogram has every frame. Writes build/bench/node-standby.json; skipped, with the reason, where there
are no namespaces. Started by make bench-node.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import dpdknode as d  # noqa: E402
import tooltest as t  # noqa: E402

FILTER = "(< (count-by src-ip) 1000000000)"
RING = "framesz=2048,blocksz=4096,framecnt=4096,qpairs=1,qdisc_bypass=1"
VDEVS = (f"net_af_packet0,iface=x1,{RING}", f"net_af_packet1,iface=y1,{RING}")
PORTS = ("net_af_packet0", "net_af_packet1")
SIDES = ("bare node", "one copy", "standby", "elsewhere")
PACED = 5000
SLICE_MS = 100
QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1))
STEPS_US = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000)  # of the histogram that is printed


def command(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def build_wire():
    command("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
    for near, far in (("s0", "x1"), ("y1", "r0")):
        command("ip", "link", "add", "name", near, "type", "veth", "peer", "name", far)
        for name in (near, far):
            command("ip", "link", "set", "dev", name, "up")


class Side:
    """The processes of one side, ready when made."""

    def __init__(self, name):
        self.folder = tempfile.TemporaryDirectory()
        self.processes, self.live = [], None
        self.controller = self.endpoint("c")
        if name == "bare node":
            self.live = d.Live("-e", FILTER, vdevs=VDEVS, ports=PORTS, memory=256)
            return
        copies = 1 if name == "one copy" else 2
        self.start("vfm-controller", "--bind", self.controller, "--nodes", str(copies), *(["--no-standby"] if copies == 1 else []))
        if copies == 2:
            self.start("vfm-node", *self.member("peer"))
        self.live = d.Live(*self.member("port"), "--release", "none" if copies == 1 else "commit", "-e", FILTER, vdevs=VDEVS,
                           ports=PORTS, memory=256)
        self.wait("peer" if name == "elsewhere" else "port", copies - 1)

    def endpoint(self, name):
        return f"ipc://{self.folder.name}/{name}"

    def member(self, name):
        return ("--name", name, "--controller", self.controller, "--bind", self.endpoint(name))

    def start(self, program, *args):
        self.processes.append(subprocess.Popen([t.program(program), *args, "-e", FILTER], stdout=subprocess.DEVNULL))

    def wait(self, owner, standbys):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            done = t.run("vfmctl", "--json", "--controller", self.controller, "status")
            shards = json.loads(done.stdout).get("shards", []) if done.returncode == 0 else []
            if shards and shards[0]["owner"] == owner and len(shards[0]["in_sync"]) == standbys:
                return
            t.run("vfmctl", "--json", "--controller", self.controller, "move", "0", owner)
            time.sleep(0.05)
        sys.exit(f"bench_node_standby.py: {owner} does not own the shard with {standbys} standbys")

    def end(self):
        self.live.kill()
        for process in self.processes:
            process.kill()
            process.wait()
        self.folder.cleanup()


def probe(pps, ms):
    done = subprocess.run([os.path.join(t.BUILD, "test", "tools", "wire-probe"), "s0", "r0", str(pps), str(ms)], capture_output=True,
                          text=True, timeout=60)
    if done.returncode:
        sys.exit(f"bench_node_standby.py: {done.stderr}")
    return json.loads(done.stdout)


def measure(name, slices):
    """Slices at PACED frames a second, and the most frames a second of the saturated ones."""
    side = Side(name)
    try:
        probe(1000, 200)  # tables, caches, the stream's admission
        paced = [probe(PACED, SLICE_MS) for _ in range(slices)]
        full = [probe(0, SLICE_MS) for _ in range(slices)]
    finally:
        side.end()
    return paced, max(f["received"] / f["seconds"] for f in full)


def quantile(waits, q):
    total, seen = sum(n for _, n in waits), 0
    for tenths, n in waits:
        seen += n
        if total and seen >= q * total:
            return tenths / 10
    return float("inf")


def histogram(waits):
    """Per cent of the frames below each step."""
    total = sum(n for _, n in waits) or 1
    return [100 * sum(n for tenths, n in waits if tenths < 10 * step) / total for step in STEPS_US]


def merged(lists):
    sums = {}
    for waits in lists:
        for tenths, n in waits:
            sums[tenths] = sums.get(tenths, 0) + n
    return sorted(sums.items())


def interval(values):
    values = sorted(values)
    return {"ratio": round(statistics.median(values), 3), "low": round(values[0], 3), "high": round(values[-1], 3)}


def main():
    quick = "--quick" in sys.argv[1:]
    rounds, slices = (2, 5) if quick else (7, 15)
    waits, rates, late = ({side: [] for side in SIDES} for _ in range(3))
    for k in range(rounds):
        for side in SIDES[k % 4 :] + SIDES[: k % 4]:
            paced, pps = measure(side, slices)
            waits[side] += [p["waits"] for p in paced]
            rates[side].append(pps)
            late[side] += [p["sent"] - p["received"] for p in paced]
    print(f"\nnode on veth pairs, {rounds} rounds; a frame's way through it at {PACED} frames a second (us), and frames a second at most")
    print(f"{'':12}" + "".join(f"{name:>9}" for name, _ in QUANTILES) + f"{'added p50':>11}{'late':>6}{'frames/s':>10}   of the bare node")
    rows = []
    best = {side: min(waits[side], key=lambda w: quantile(w, 0.5)) for side in SIDES}
    base = quantile(best[SIDES[0]], 0.5)
    for side in SIDES:
        values = [quantile(best[side], q) for _, q in QUANTILES]
        ratio = interval([a / b for a, b in zip(rates[side], rates[SIDES[0]])])
        rate = max(rates[side])
        ratio["ratio"] = round(rate / max(rates[SIDES[0]]), 3)
        print(f"{side:12}" + "".join(f"{v:9.1f}" for v in values) + f"{values[0] - base:11.1f}{sum(late[side]):6}{rate:10.0f}"
              f"   {ratio['ratio']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]")
        rows += [{"case": f"latency {name}", "engine": side, "set": "64 B", "us": v} for (name, _), v in zip(QUANTILES, values)]
        rows.append({"case": "throughput", "engine": side, "set": "64 B", "pps": round(rate), "ratio_to": SIDES[0], **ratio})
    print("per cent below" + "".join(f"{step:>8}" for step in STEPS_US) + "  us")
    for side in SIDES:
        print(f"{side:14}" + "".join(f"{share:8.2f}" for share in histogram(merged(waits[side]))))
    folder = os.environ.get("BENCH_DIR", os.path.join("build", "bench"))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "node-standby.json"), "w", encoding="ascii") as out:
        json.dump(rows, out, indent=0)


if __name__ == "__main__":
    if "--inside" not in sys.argv:
        own = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
        if subprocess.run([*own, "true"], capture_output=True).returncode:
            print("SKIP standby: no network namespaces")
            sys.exit(0)
        os.execvp(own[0], [*own, sys.executable, os.path.abspath(__file__), "--inside", *sys.argv[1:]])
    build_wire()
    main()

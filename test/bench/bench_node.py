"""vfm-node and dpdk-testpmd themselves on the same ports, one after the other, as whole processes: packets per second of processor
time. It shows that the loops which bench_node.c measures beside the node are what dpdk-testpmd does. Started by make bench-node.

Ports: net_null (64-byte frames of zeros) and net_pcap (infinite_rx: 900 frames of the generator over and over; what is sent is dropped).
Rounds alternate; the ratio is the median of the rounds' ratios. Writes build/bench/node-testpmd.json.
"""
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import dpdknode as d  # noqa: E402
import tooltest as t  # noqa: E402

SECONDS = 1.5
STATELESS = "(if (and (= ethertype 0x800) (= proto 6)) (= dst-port 80) 1)"
STATEFUL = "(< (count-by src-ip) 1000000000)"
SIDES = ["testpmd io", "testpmd macswap", "node, accept all", "node, stateless", "node, per source"]


def busy_seconds(pid):
    """Processor time of a running process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(args, ready, heard_on):
    """Lets it work for SECONDS from the line that holds `ready`, then interrupts it; its output and its processor time meanwhile."""
    process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in getattr(process, heard_on):
        if ready in line:
            break
    before = busy_seconds(process.pid)
    time.sleep(SECONDS)
    spent = busy_seconds(process.pid) - before
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    if process.returncode:
        sys.exit(f"bench_node.py: {args[0]} ended with {process.returncode}: {err[-300:]}")
    return out, spent


def testpmd(mode, vdevs):
    """Packets it received, and its seconds of processor time. Its statistics need one core, forwarding another."""
    args = ["dpdk-testpmd", *d.eal(*vdevs, cores=2, memory=512).split(), "--", f"--forward-mode={mode}", "--nb-cores=1", "--burst=64",
            "--total-num-mbufs=8192", "--stats-period=60"]
    out, spent = run(args, "start packet forwarding", "stdout")
    total = re.search(r"Accumulated forward statistics.*?RX-packets: (\d+)", out, re.S)
    if not total:
        sys.exit(f"bench_node.py: dpdk-testpmd printed no statistics: {out[-300:]}")
    return int(total.group(1)), spent


def node(expression, vdevs, ports):
    args = [t.program("vfm-node"), "--dpdk", d.eal(*vdevs, memory=512), "--in", ports[0], "--out", ports[1], "--json", "-e", expression]
    out, spent = run(args, ": running, ", "stderr")
    return json.loads(out)["packets"], spent


def measure(side, vdevs, ports):
    """Nanoseconds of processor time a packet."""
    if side.startswith("testpmd"):
        packets, spent = testpmd(side.split()[1], vdevs)
    else:
        packets, spent = node({"accept all": "1", "stateless": STATELESS, "per source": STATEFUL}[side[6:]], vdevs, ports)
    return spent * 1e9 / packets


def interval(values):
    values = sorted(values)
    return {"ratio": round(statistics.median(values), 3), "low": round(values[0], 3), "high": round(values[-1], 3)}


def run_case(name, vdevs, ports, rounds):
    ns = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            ns[side].append(measure(side, vdevs, ports))
    rows = []
    for side in SIDES:
        ratio = interval([a / b for a, b in zip(ns[side], ns[SIDES[0]])])
        median = statistics.median(ns[side])
        print(f"{name:12} {side:18} {median:7.1f} ns {1e3 / median:7.2f} M/s   {ratio['ratio']:6.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]",
              flush=True)
        rows.append({"case": name, "engine": side, "set": "64 B" if name == "null ports" else "generated", "ns": round(median, 2),
                     "ratio_to": SIDES[0], **ratio})
    return rows


def main():
    rounds = 3 if sys.argv[1:] == ["--quick"] else 7
    print(f"\n{rounds} rounds of {SECONDS} s a process; ratio to dpdk-testpmd --forward-mode=io")
    with tempfile.TemporaryDirectory() as folder:
        capture = os.path.join(folder, "traffic.pcap")
        subprocess.run([os.path.join(t.BUILD, "test", "tools", "traffic-gen"), "-n", "900", "-m", "tcp=80,syn-flood=20", "-o", capture], check=True)
        rows = run_case("null ports", ["net_null0,size=64", "net_null1,size=64"], ["net_null0", "net_null1"], rounds)
        rows += run_case("pcap ports", [f"net_pcap{i},rx_pcap={capture},infinite_rx=1" for i in (0, 1)], ["net_pcap0", "net_pcap1"], rounds)
    folder = os.environ.get("BENCH_DIR", os.path.join("build", "bench"))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "node-testpmd.json"), "w", encoding="ascii") as out:
        json.dump(rows, out, indent=0)


main()
